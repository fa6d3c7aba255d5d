"""Changes that wait for signatures: made, looked at, signed, withdrawn, made anew. None is in force by itself."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.access import Permission, Who, require
from api.models import PageOf
from api.parts import Here
from api.proposal_effects import effects
from api.proposal_models import (
    EffectsPublic,
    ProposalCreate,
    ProposalPublic,
    ProposalQuery,
    RightPublic,
    StrandedPublic,
    shown,
)
from api.proposals import Proposal, open_proposal
from api.register import PROBLEMS, IfMatch, RequestKey, refuse_stale, waiting
from api.signin.passkeys import AssertionSent
from zones.review.whatif import Right

router = APIRouter(responses=PROBLEMS)

Anybody = Annotated[Who, Depends(require(Permission.OWN))]
"""Each proposal is shown to those who may see its rows (`api.proposals.SEEN_WITH`): guards sign for visitors, engineers
for devices.
"""

Proposer = Annotated[Who, Depends(require(Permission.PROPOSE))]
ProposalPath = Annotated[str, Path(alias="id", pattern=r"^[A-Za-z0-9_.:-]{8,64}$")]


@router.get("/proposals")
def list_proposals(here: Here, who: Anybody, query: Annotated[ProposalQuery, Query()]) -> PageOf[ProposalPublic]:
    """The newest first."""
    is_open = None if query.state is None else query.state == "open"
    found = here.proposals.listed(who, is_open=is_open, before=query.cursor)
    page = found[: query.limit]
    return PageOf(
        items=[shown(here, who, one) for one in page], next=page[-1].id if len(found) > query.limit else None
    )  # fmt: skip


@router.post("/proposals", status_code=202)
def create_proposal(
    here: Here, who: Proposer, asked: ProposalCreate, response: Response, key: RequestKey = None
) -> ProposalPublic:
    """Any change of registers, as rows. Nothing is dropped: rows end by their fields."""
    puts = [(put.table, put.row) for put in asked.puts]
    return waiting(here, who, open_proposal(here, who, puts=puts, reason=asked.reason, key=key), response)


@router.get("/proposals/{id}")
def get_proposal(here: Here, who: Anybody, name: ProposalPath, response: Response) -> ProposalPublic:
    return _answered(here, who, here.proposals.get(who, name), response)


@router.get("/proposals/{id}/effects")
def get_proposal_effects(here: Here, who: Anybody, name: ProposalPath) -> EffectsPublic:
    """Who gains, who loses, who is inside and would be stranded. Takes a moment: presence is read from the records."""
    found = effects(here, here.proposals.get(who, name))
    return EffectsPublic(
        gains=[_right(one) for one in found.gains if who.may_see_zone(one.zone)],
        loses=[_right(one) for one in found.loses if who.may_see_zone(one.zone)],
        stranded=[
            StrandedPublic(cardholder=one.cardholder, zone=one.zone, is_certain=one.is_certain, by_edit=one.by_edit)
            for one in found.stranded
            if who.may_see_zone(one.zone)
        ],
        is_cut=found.is_cut, refused=found.refused or None,
    )  # fmt: skip


@router.post("/proposals/{id}/signature")
def sign_proposal(
    here: Here, who: Anybody, name: ProposalPath, asked: AssertionSent, response: Response, if_match: IfMatch = None
) -> ProposalPublic:
    """What the passkey answered to `publicKey`. With the last signature that is needed the change is sent: the answer
    says whether it is in force, and under which record. Again by the same officer: nothing more happens.
    """
    refuse_stale(if_match, here.proposals.get(who, name).etag, is_needed=False)
    return _answered(here, who, here.proposals.sign(who, name, asked), response)


@router.post("/proposals/{id}/send")
def send_proposal(here: Here, who: Anybody, name: ProposalPath, response: Response) -> ProposalPublic:
    """Once more to the controller, with the signatures that it has: where no answer came, or none could be recorded."""
    return _answered(here, who, here.proposals.send_again(who, name), response)


@router.post("/proposals/{id}/withdraw")
def withdraw_proposal(
    here: Here, who: Anybody, name: ProposalPath, response: Response, if_match: IfMatch = None
) -> ProposalPublic:
    """By whoever made it, or whoever may propose: nothing of what it was about is kept."""
    refuse_stale(if_match, here.proposals.get(who, name).etag, is_needed=False)
    return _answered(here, who, here.proposals.withdraw(who, name), response)


@router.post("/proposals/{id}/renew", status_code=202)
def renew_proposal(
    here: Here, who: Anybody, name: ProposalPath, response: Response, if_match: IfMatch = None
) -> ProposalPublic:
    """The same change against what is in force now, as another proposal: it is signed anew by everybody."""
    refuse_stale(if_match, here.proposals.get(who, name).etag, is_needed=False)
    return waiting(here, who, here.proposals.renew(who, name), response)


def _right(one: Right) -> RightPublic:
    return RightPublic(cardholder=one.cardholder, zone=one.zone)


def _answered(here: Here, who: Who, proposal: Proposal, response: Response) -> ProposalPublic:
    response.headers["ETag"] = proposal.etag
    return shown(here, who, proposal)
