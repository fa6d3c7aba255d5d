"""One person: cards, confirmation, needs-to-know, places, training, declarations, and what is done about each.

Whoever may not see rights sees cards alone. The last day of a confirmation is told to whoever answers for rights, and
to the person himself (`/me`, E-06).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.access import Permission, Who, require
from api.changes import (
    LIVING,
    TRANSFERRED,
    Puts,
    card_row,
    clearance_row,
    leaving,
    new_id,
    standing_rows,
    transferring,
)
from api.pages.cards import readers_of, waits_of
from api.pages.forms import REASONS, TAKING_OFF, Form, Sent, begun, new_key, told
from api.pages.frame import render
from api.pages.looks import Look, holder_of, look_of, shown_state, zone_of
from api.pages.people import BASES, KINDS, PLACE_DAYS, REVIEW_DAYS, shown_card
from api.parts import Here, Parts
from api.problems import Problem
from api.routes.states import ordered_for
from api.row_states import LACKS, RosterState, card_holders, missing_keys, roster_state
from api.texts import Said, _
from api.words import CARD_SCHEMES
from controller.link.rows import row_to_doc
from zones.decision.ask import is_ended
from zones.decision.keys import asks_for_roster
from zones.ids import CardholderId
from zones.people import Basis, Clearance, Credential, CredentialState, NeedToKnow
from zones.policy import Holder

router = APIRouter(include_in_schema=False)
SeesPeople = Annotated[Who, Depends(require(Permission.PEOPLE))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]

CARD_STATES: Final[Mapping[str, tuple[Said, str]]] = {
    "ISSUED": (Said("Issued, not handed over", "card"), "plain"),
    "ACTIVE": (Said("Active", "card"), "ok"),
    "LOST": (Said("Lost", "card"), "alarm"),
    "RETURNED": (Said("Returned", "card"), "plain"),
    "DESTROYED": (Said("Destroyed", "card"), "plain"),
}

CARD_ACTS: Final = {"lost": ("LOST", "lost_card"), "returned": ("RETURNED", "other"), "found": ("ACTIVE", "correction")}
"""What may be done with a card: its state from then on, and the reason of the change."""


# -- values ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card. `last4` is all of its number that anybody sees."""

    row: Credential
    state: str
    tone: str
    scheme: str

    @property
    def is_lost(self) -> bool:
        """Whether it may be found again."""
        return self.row.state is CredentialState.LOST

    @property
    def is_living(self) -> bool:
        """Whether it can still be lost or handed back."""
        return self.row.state in LIVING


def cards(look: Look, who: CardholderId) -> list[Card]:
    """Somebody's cards, those in use first."""
    rows = [one for one in look.policy.credentials.values() if one.cardholder == who]
    rows.sort(key=lambda one: (one.state not in LIVING, one.id))
    return [
        Card(
            row=one, state=str(CARD_STATES[one.state.value][0]), tone=CARD_STATES[one.state.value][1],
            scheme=str(CARD_SCHEMES[one.scheme]) if one.scheme in CARD_SCHEMES else "",
        )
        for one in rows
    ]  # fmt: skip


def confirmed_until(holder: Holder, day: date) -> list[tuple[str, Clearance]]:
    """What was confirmed of somebody and lasts: on which basis, and until when. All else is absence (E-03)."""
    return [
        (str(BASES[one.basis.value]), one)
        for one in holder.clearances
        if one.confirmed_by is not None and not is_ended(one.ended_on, day) and one.last_valid_on >= day
    ]


def needs(look: Look, holder: Holder) -> list[NeedToKnow]:
    """Needs-to-know that last, for items that are handled where he answers for."""
    mine = None if look.who.zones is None else {item for zone in look.who.zones for item in _items(look, zone)}
    return [
        one
        for one in holder.needs
        if not is_ended(one.ended_on, look.day) and one.until_on >= look.day and (mine is None or one.item in mine)
    ]


def _items(look: Look, zone: str) -> Iterable[str]:
    found = [one for one in look.policy.zones.values() if one.id == zone]
    return found[0].items if found else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HisPlace:
    """A place on a roster, seen from the person."""

    id: str
    zone: str
    name: str
    state: Mapping[str, str]
    until_on: date
    review_on: date
    last_entry_ms: int | None
    lacks: tuple[str, ...]


def his_places(here: Parts, look: Look, holder: Holder) -> list[HisPlace]:
    """Places that are not over."""
    who = holder.cardholder.id
    seen = here.view.last_entries(cardholders=[who])
    has_card = who in card_holders(look.policy)
    found = []
    for entry in holder.roster:
        zone = look.policy.zones.get(entry.zone)
        if zone is None or not look.who.may_see_zone(entry.zone):
            continue
        lacks = missing_keys(look.policy, holder, zone, look.now, has_card=has_card)
        state = roster_state(entry, look.day, is_complete=not lacks)
        if state is RosterState.REMOVED:
            continue
        found.append(
            HisPlace(
                id=entry.id, zone=entry.zone, name=look.zone_name(entry.zone), state=shown_state(state),
                until_on=entry.until_on, review_on=entry.review_on, last_entry_ms=seen.get((who, entry.zone)),
                lacks=tuple(str(LACKS[key]) for key in lacks),
            )
        )  # fmt: skip
    return found


# -- the page --------------------------------------------------------------------------------------------------------


@router.get("/people/{id}")
def cardholder(here: Here, request: Request, who: SeesPeople, id: str) -> HTMLResponse:
    """One person."""
    return _page(here, request, who, id, "")


def _page(here: Parts, request: Request, who: Who, id: str, problem: str, *, done: bool = False) -> HTMLResponse:
    look = look_of(here, who)
    one = holder_of(look, id)
    holder = look.policy.holders.get(one) or Holder(cardholder=look.policy.cardholders[one])
    rights: dict[str, Any] = {"confirmed": [], "needs": [], "places": [], "trainings": [], "zones": [], "items": []}
    if look.sees_rights:
        zones = [zone for zone in look.policy.zones.values() if who.may_see_zone(zone.id)]
        rights = {
            "confirmed": confirmed_until(holder, look.day), "needs": needs(look, holder),
            "places": his_places(here, look, holder), "trainings": sorted(holder.trainings, key=lambda row: row.course),
            "zones": [zone for zone in zones if asks_for_roster(zone, None, None)],
            "items": sorted({item for zone in zones for item in zone.items}),
        }  # fmt: skip
    waiting = {change for table in WAITED for change in _waiting(here, table, one)}
    return render(
        request, who, "person.html", look=look, person=holder.cardholder, name=look.names.get(one),
        kind=str(KINDS[holder.cardholder.kind.value]), cards=cards(look, one), **rights, problem=problem,
        declarations=[row for row in holder.declarations if not is_ended(row.ended_on, look.day)],
        waiting=sorted(waiting), key=new_key(), reasons=REASONS, bases=BASES, has_pin=one in look.policy.pins,
        done=done, may_order=who.may(Permission.HANDLE), is_fresh=who.is_fresh,
        may_propose=who.may(Permission.PROPOSE), may_look_back=who.may(Permission.HISTORY),
        is_ended=is_ended(holder.cardholder.ended_on, look.day), readers=readers_of(here, look),
        until_on=look.day + timedelta(days=PLACE_DAYS), review_on=look.day + timedelta(days=REVIEW_DAYS),
        status=422 if problem else 200,
    )  # fmt: skip


def _waiting(here: Parts, table: str, one: CardholderId) -> list[str]:
    """Changes about this person that wait for signatures."""
    rows = here.proposals.waiting_rows(table)
    return [change for name, (change, row) in rows.items() if one in (name, row.get("cardholder"))]


@router.post("/people/{id}/forgive")
def forgive(here: Here, request: Request, who: SeesPeople, id: str, form: Sent) -> HTMLResponse:
    """His place is not believed any more: anti-passback lets him through once."""
    return _told(here, request, who, id, "forgive_presence", form)


@router.post("/people/{id}/unlock-pin")
def unlock(here: Here, request: Request, who: SeesPeople, id: str, form: Sent) -> HTMLResponse:
    """Lift the lock after too many misses; the PIN stays what it is (B-13)."""
    return _told(here, request, who, id, "unlock_pin", form)


def _told(here: Parts, request: Request, who: Who, id: str, act: str, form: Form) -> HTMLResponse:
    """Done at once, with a passkey shown just now; or what is wrong. Raises Problem 403 `step_up`, 404."""
    permission = Permission.PROPOSE if act == "unlock_pin" else Permission.HANDLE
    if not who.may(permission):
        here.keeper.refused(who, permission)
        raise Problem("not_your_role", 403)
    holder_of(look_of(here, who), id)
    try:
        ordered_for(here, who, act, id, form.text("key") or None)
    except Problem as problem:
        if problem.code == "step_up":
            raise
        return _page(here, request, who, id, told(problem))
    return _page(here, request, who, id, "", done=True)


@router.get("/people/{id}/place")
def place_for(here: Here, who: Proposes, id: str, zone: str = "") -> Response:
    """On to the form for a place, with this person chosen."""
    look = look_of(here, who)
    return RedirectResponse(f"/zones/{zone_of(look, zone).id}/roster/new?cardholder={holder_of(look, id)}", 303)


WAITED: Final = ("cardholder", "credential", "clearance", "need_to_know", "roster", "training", "declaration")


@router.post("/people/{id}/cards/{card}/{state}")
def change_card(here: Here, request: Request, who: SeesPeople, id: str, card: str, state: str, form: Sent) -> Response:
    """A card was lost, or handed back: it opens nothing from the moment one officer has signed. A lost one was found:
    it opens again when two have.
    """
    look = look_of(here, who)
    found = next((one for one in cards(look, holder_of(look, id)) if one.row.id == card), None)
    if found is None or state not in CARD_ACTS or (state == "found") is not (found.row.state is CredentialState.LOST):
        raise Problem("not_found", 404)
    now, reason = CARD_ACTS[state]
    _table, doc = row_to_doc(found.row)
    return begun(
        here, who, form, lambda: [("credential", {**doc, "state": now})],
        lambda why: _page(here, request, who, id, why), reason=reason,
    )  # fmt: skip


@router.post("/people/{id}/rows/{act}")
def put_row(here: Here, request: Request, who: Proposes, id: str, act: str, form: Sent) -> Response:
    """A new card, confirmation, need-to-know, training or PIN, or the end of one."""
    look = look_of(here, who)
    one = holder_of(look, id)
    if act not in MAKES:
        raise Problem("not_found", 404)
    answer = begun(
        here, who, form, lambda: list(MAKES[act](here, look, one, form)), lambda why: _page(here, request, who, id, why)
    )
    if act == "card" and isinstance(answer, RedirectResponse):
        waits_of(here).spent(form.text("wait"))
    return answer


def _new_card(here: Parts, look: Look, one: CardholderId, form: Form) -> Puts:
    card = shown_card(here, look.who, form)
    if card is None:
        raise Problem("not_valid", 422, members={"field": "number"})
    return [("credential", card_row(one, card))]


def _new_clearance(_here: Parts, _look: Look, one: CardholderId, form: Form) -> Puts:
    if form.text("basis") not in Basis.__members__:
        raise Problem("not_valid", 422, members={"field": "basis"})
    level = int(form.text("level")) if form.text("level").isdecimal() else 0
    return [("clearance", clearance_row(one, Basis(form.text("basis")), form.needed_day("notified_on"), level))]


def _new_need(_here: Parts, look: Look, one: CardholderId, form: Form) -> Puts:
    row = {
        "id": new_id("n"), "cardholder": one, "item": form.text("item"), "purpose_code": form.text("purpose_code"),
        "from_on": look.day.isoformat(), "until_on": form.needed_day("until_on").isoformat(),
        "requested_by": form.text("requested_by"),
    }  # fmt: skip
    return [("need_to_know", row)]


def _new_training(_here: Parts, _look: Look, one: CardholderId, form: Form) -> Puts:
    days = {"done_on": form.needed_day("done_on").isoformat(), "due_on": form.needed_day("due_on").isoformat()}
    return [("training", {"id": new_id("t"), "cardholder": one, "course": form.text("course"), **days})]


def _new_pin(_here: Parts, _look: Look, one: CardholderId, form: Form) -> Puts:
    """The digits go to the controller, which makes a hash of them before anything is kept here."""
    if form.text("pin") != form.text("again"):
        raise Problem("not_valid", 422, members={"field": "again"})
    return [("pin", {"id": one, "pin": form.text("pin")})]


def _ended_row(_here: Parts, look: Look, one: CardholderId, form: Form) -> Puts:
    """What is his and was named ends today."""
    if form.reason("") not in TAKING_OFF:
        raise Problem("not_valid", 422, members={"field": "reason"})
    rows = [row for table, row in standing_rows(look.policy, one, look.day) if row.id == form.text("row")]
    if not rows or isinstance(rows[0], Credential):
        raise Problem("not_found", 404)
    table, doc = row_to_doc(rows[0])
    return [(table, {**doc, "ended_on": look.day.isoformat()})]


MAKES: Final[Mapping[str, Callable[[Parts, Look, CardholderId, Form], Puts]]] = {
    "card": _new_card,
    "clearance": _new_clearance,
    "need": _new_need,
    "training": _new_training,
    "pin": _new_pin,
    "end": _ended_row,
}
"""What a form on the page makes -> the rows of the change."""


# -- leaving and transfer --------------------------------------------------------------------------------------------


@router.get("/people/{id}/leave")
def leave_form(here: Here, request: Request, who: Proposes, id: str) -> HTMLResponse:
    """What ends when somebody leaves or is transferred, said before it is done."""
    return _leave(here, request, who, id, "")


def _leave(here: Parts, request: Request, who: Who, id: str, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    one = holder_of(look, id)
    rows = [(table, row, _called(look, table, row)) for table, row in standing_rows(look.policy, one, look.day)]
    return render(
        request, who, "leave.html", look=look, person=look.policy.cardholders[one], rows=rows, problem=problem,
        of_work=[row for row in rows if row[0] in TRANSFERRED], cards=[row for row in rows if row[0] == "credential"],
        key=new_key(), status=422 if problem else 200,
    )  # fmt: skip


ROW_NAMES: Final[Mapping[str, Said]] = {
    "credential": Said("Card"),
    "clearance": Said("Confirmation"),
    "need_to_know": Said("Need-to-know"),
    "roster": Said("Place on a roster"),
    "declaration": Said("Declared devices"),
    "visit": Said("Visit"),
}


def _called(look: Look, table: str, row: Any) -> str:
    """A row in words: what it is, and which."""
    if table == "clearance":
        which = str(BASES[row.basis.value])
    elif table in ("roster", "declaration"):
        which = look.zone_name(row.zone)
    else:
        which = {"credential": "last4", "need_to_know": "item", "visit": "host"}[table]
        which = look.name(getattr(row, which))
    return _("%(what)s: %(which)s", what=ROW_NAMES[table], which=which)


@router.post("/people/{id}/leave")
def leave(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Propose all that ends, as one change: it only takes away, so one officer's signature carries it."""
    look = look_of(here, who)
    one = holder_of(look, id)
    is_leaving = form.text("how") == "left"

    def make() -> Puts:
        if is_leaving:
            return leaving(look.policy, one, look.day, lost=form.many("lost"))
        puts = transferring(look.policy, one, look.day, keep=form.many("keep"))
        if not puts:
            raise Problem("not_valid", 422, members={"field": "keep"})
        return puts

    return begun(
        here, who, form, make, lambda why: _leave(here, request, who, id, why),
        reason="left" if is_leaving else "transferred",
    )  # fmt: skip
