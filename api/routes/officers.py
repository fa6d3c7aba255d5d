"""Who holds which post, and who can sign: read here, changed by proposals like every register."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.access import Permission, Who, require
from api.models import ListQuery, PageOf, iso
from api.officer_models import OfficerPublic, PasskeyPublic
from api.parts import Here, Parts
from api.problems import Problem
from api.register import PROBLEMS
from api.signin.key_code import code_of
from api.signin.posts import today
from zones.ids import ID_PATTERN
from zones.officers import Officer

router = APIRouter(responses=PROBLEMS)
Known = Annotated[str, Path(pattern=f"^{ID_PATTERN}$")]


@router.get("/officers", dependencies=[Depends(require(Permission.OFFICERS))])
def list_officers(here: Here, query: Annotated[ListQuery, Query()]) -> PageOf[OfficerPublic]:
    """Everybody who has or had a post, by id."""
    rest = [one for one in here.signing_in.posts.officers() if query.cursor is None or one.id > query.cursor]
    page = rest[: query.limit]
    return PageOf(
        items=[_shown(here, one) for one in page], next=page[-1].id if len(rest) > query.limit else None
    )  # fmt: skip


@router.get("/officers/{id}")
def get_officer(here: Here, who: Annotated[Who, Depends(require(Permission.OWN))], id: Known) -> OfficerPublic:
    """One officer: oneself, or anybody for who answers for officers."""
    found = next((one for one in here.signing_in.posts.officers() if one.id == id), None)
    if found is None or not (id == who.officer or who.may(Permission.OFFICERS)):
        raise Problem("not_found", 404)
    return _shown(here, found)


def _shown(here: Parts, one: Officer) -> OfficerPublic:
    ways, day = here.signing_in, today()
    keys = ways.posts.keys_of(one.id)
    return OfficerPublic(
        id=one.id, roles=list(one.roles), deputises=list(one.deputises), zones=list(one.zones),
        cardholder=one.cardholder, from_on=one.from_on, until_on=one.until_on, ended_on=one.ended_on,
        fills=sorted(ways.posts.roles(one)), signs=bool(keys) and one.is_in_post(day),
        is_active=ways.last.is_active(one, keys), signed_in=iso(ways.last.last_ms(one.id)),
        passkeys=[
            PasskeyPublic(id=key.id, code=code_of(key.credential, key.public_key), enrolled_on=key.enrolled_on)
            for key in keys
        ],
    )  # fmt: skip
