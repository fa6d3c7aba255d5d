"""The state of the site, its zones, portals and devices, and what an officer may order at once.

A state is changed by a proposal: what only shuts takes one signature and acts at once. Who shuts in a hurry need not
read first: `If-Match` may be left out here.
"""

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from api.access import Permission, Who, require
from api.link import done
from api.live import devices, now_ms, site_status, zones
from api.models import DevicePublic
from api.parts import Here, Parts
from api.problems import Problem
from api.proposal_models import ProposalPublic
from api.proposal_rules import Puts
from api.proposals import Proposal, open_proposal
from api.register import PROBLEMS, Doc, IfMatch, RequestKey, Why, etag, one, refuse_stale, sent, waiting
from api.right_models import MINUTE_MS
from api.state_models import (
    OrderDone,
    PortalModeCreate,
    SiteStatusPublic,
    SiteStatusUpdate,
    ZoneStatusUpdate,
)
from api.view import Snapshot
from controller.link.messages import Order, Welcome
from zones.authority import APPROVER, PROPOSER

ORDER_MS = 3_000
SITE = "site"

router = APIRouter(responses=PROBLEMS)

AtDesk = Annotated[Who, Depends(require(Permission.DESK))]
Proposer = Annotated[Who, Depends(require(Permission.PROPOSE))]
Technical = Annotated[Who, Depends(require(Permission.DEVICES))]
OnShift = Annotated[Who, Depends(require(Permission.HANDLE))]


def _put(  # noqa: PLR0913 - each a different thing about one state
    here: Parts, who: Who, place: tuple[str, str], usual: Doc, fields: Doc, *, reason: str, key: str | None = None,
    drops: tuple[str, ...] = (),
) -> Proposal:  # fmt: skip
    """Propose other values of a state, of which there may be no row yet."""
    table, name = place

    def puts(snapshot: Snapshot) -> Puts:
        now = snapshot.rows.get(place, {"id": name, **usual})
        return [(table, {**{name: value for name, value in now.items() if name not in drops}, **fields})]

    return open_proposal(here, who, make=puts, places=(place,), reason=reason, key=key)


def ordered(here: Parts, who: Who, act: Any, cardholder: str | None, key: str | None) -> OrderDone:
    """Have something done at once. Raises Problem."""
    not_after_ms = now_ms() + ORDER_MS

    def order(welcome: Welcome) -> Order:
        return Order(
            id=key or secrets.token_hex(16), boot=welcome.boot, not_after_ms=not_after_ms, act=act,
            officer=who.officer, cardholder=cardholder,
        )  # fmt: skip

    return OrderDone(act=act, seq=done(here.requests.ask(order)).seq)


def ordered_for(here: Parts, who: Who, act: str, cardholder: str, key: str | None) -> OrderDone:
    """What makes it easier for one person to enter: with a passkey shown just now, or a stolen cookie and a found card
    would try PINs without end. Raises Problem.
    """
    if not who.is_fresh:
        raise Problem("step_up", 403)
    one(here, "cardholder", cardholder)
    return ordered(here, who, act, cardholder, key)


def _refuse_unknown(here: Parts, id: str) -> None:
    if not any(zone.id == id for zone in zones(here.view)):
        raise Problem("not_found", 404)


# -- zones and the site ----------------------------------------------------------------------------------------------

IN_USE: Doc = {"state": "OPEN_ATTENDED"}
SANITISED = ("sanitised_by", "sanitised_confirmed_by")


@router.patch("/zones/{id}/status", status_code=202)
def change_zone_status(
    here: Here, who: AtDesk, id: str, asked: ZoneStatusUpdate, response: Response, why: Why = "other"
) -> ProposalPublic:
    """Put a zone in a state of use, lock it down or lift that."""
    _refuse_unknown(here, id)
    return waiting(here, who, _put(here, who, ("zone_status", id), IN_USE, sent(asked), reason=why), response)


@router.post("/zones/{id}/sanitise", status_code=202)
def sanitise_zone(
    here: Here, who: Proposer, id: str, response: Response, why: Why = "maintenance", key: RequestKey = None
) -> ProposalPublic:
    """保全済, by the two who sign it: visitors and break-glass may enter from then on, under their own rules."""
    _refuse_unknown(here, id)
    signed = dict(zip(SANITISED, (PROPOSER, APPROVER), strict=True))
    proposal = _put(here, who, ("zone_status", id), IN_USE, signed, reason=why, key=key)
    return waiting(here, who, proposal, response)


@router.post("/zones/{id}/sanitise/end", status_code=202)
def end_sanitised(
    here: Here, who: AtDesk, id: str, response: Response, why: Why = "other", key: RequestKey = None
) -> ProposalPublic:
    """Information items are out again: from then on nobody enters without all three keys."""
    _refuse_unknown(here, id)
    proposal = _put(here, who, ("zone_status", id), IN_USE, {}, reason=why, key=key, drops=SANITISED)
    return waiting(here, who, proposal, response)


@router.get("/site-status", dependencies=[Depends(require(Permission.LIVE))])
def get_site_status(here: Here, response: Response) -> SiteStatusPublic:
    response.headers["ETag"] = _site_etag(here)
    return site_status(here.view)


@router.patch("/site-status", status_code=202)
def change_site_status(
    here: Here, who: AtDesk, asked: SiteStatusUpdate, response: Response, why: Why = "other", if_match: IfMatch = None
) -> ProposalPublic:
    """Lockdown of the whole site, threat level, version of the notice."""
    refuse_stale(if_match, _site_etag(here), is_needed=False)
    return waiting(here, who, _put(here, who, ("site_status", SITE), {}, sent(asked), reason=why), response)


def _site_etag(here: Parts) -> str:
    return etag(here.view.row("site_status", SITE))


# -- portals and devices ---------------------------------------------------------------------------------------------


@router.post("/portals/{id}/mode", status_code=202)
def set_portal_mode(
    here: Here, who: AtDesk, id: str, asked: PortalModeCreate, response: Response, why: Why = "other",
    key: RequestKey = None,
) -> ProposalPublic:  # fmt: skip
    """CARD, LOCKED, UNLOCKED or ATTENDED; never unlocked into a zone with protected information. The portal follows
    where its zones allow it, and says so in `mode`.
    """
    one(here, "portal", id)
    until = {} if asked.minutes is None else {"until_ms": now_ms() + asked.minutes * MINUTE_MS}
    fields = {"mode": asked.mode, **until}
    proposal = _put(here, who, ("portal_status", id), {}, fields, reason=why, key=key, drops=("until_ms",))
    return waiting(here, who, proposal, response)


@router.get("/devices", dependencies=[Depends(require(Permission.DEVICES))])
def list_devices(here: Here) -> list[DevicePublic]:
    """Every device that was heard of since the controller's start, and those that are not trusted."""
    return devices(here.view)


@router.post("/devices/{id}/restore", status_code=202)
def restore_device(
    here: Here, who: Technical, id: str, response: Response, why: Why = "maintenance", key: RequestKey = None
) -> ProposalPublic:
    """Trust a device again whose enclosure was opened; the two who sign it looked at it."""
    one(here, "device_status", id)
    fields = {"is_trusted": True, "restored_by": PROPOSER, "confirmed_by": APPROVER}
    proposal = _put(here, who, ("device_status", id), {}, fields, reason=why, key=key)
    return waiting(here, who, proposal, response)


# -- orders ----------------------------------------------------------------------------------------------------------


@router.post("/presence/forgive")
def forgive_presence(here: Here, who: OnShift, key: RequestKey = None) -> OrderDone:
    """Nobody's place is believed any more, until he is seen again (after a drill, a roll-call; B-06, B-07)."""
    return ordered(here, who, "forgive_presence", None, key)


@router.post("/cardholders/{id}/forgive")
def forgive_cardholder(here: Here, who: OnShift, id: str, key: RequestKey = None) -> OrderDone:
    """One cardholder's place is not believed any more: anti-passback lets him through once."""
    return ordered_for(here, who, "forgive_presence", id, key)


@router.post("/cardholders/{id}/unlock-pin")
def unlock_pin(here: Here, who: Proposer, id: str, key: RequestKey = None) -> OrderDone:
    """Lift the lock after five misses; the PIN stays what it is (B-13)."""
    return ordered_for(here, who, "unlock_pin", id, key)


@router.post("/fire/reset")
def reset_fire(here: Here, who: OnShift, key: RequestKey = None) -> OrderDone:
    """Doors lock again after a fire alarm: an officer's decision, never the program's (D-25)."""
    return ordered(here, who, "reset_fire", None, key)
