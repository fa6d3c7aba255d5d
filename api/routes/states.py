"""The state of the site, its zones, portals and devices, and what an officer may order at once."""

import secrets
from typing import Any

from fastapi import APIRouter, Depends

from api.auth import signed_in
from api.edits import Puts, propose
from api.link import done
from api.live import devices, now_ms, site_status, zones
from api.models import DevicePublic, Recorded, ZonePublic
from api.parts import Here, Parts
from api.problems import Problem
from api.register import PROBLEMS, Doc, RequestKey, one, sent
from api.right_models import MINUTE_MS
from api.state_models import (
    DeviceRestore,
    OrderDone,
    PortalModeCreate,
    SanitiseCreate,
    SiteStatusPublic,
    SiteStatusUpdate,
    ZoneStatusUpdate,
)
from api.view import Snapshot
from controller.link.messages import Order, Welcome

ORDER_MS = 3_000
SITE = "site"

router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)


def _put(
    here: Parts, table: str, id: str, usual: Doc, fields: Doc, key: str | None, *, drops: tuple[str, ...] = ()
) -> int:
    """Propose other values of a state, of which there may be no row yet; the number of the record."""
    place = (table, id)

    def puts(snapshot: Snapshot) -> Puts:
        now = snapshot.rows.get(place, {"id": id, **usual})
        return [(table, {**{name: value for name, value in now.items() if name not in drops}, **fields})]

    return propose(here.view, here.requests, here.settings.officer, key or secrets.token_hex(16), (place,), puts).seq


def _order(here: Parts, act: Any, cardholder: str | None, key: str | None) -> OrderDone:
    not_after_ms = now_ms() + ORDER_MS

    def order(welcome: Welcome) -> Order:
        return Order(
            id=key or secrets.token_hex(16), boot=welcome.boot, not_after_ms=not_after_ms, act=act,
            officer=here.settings.officer, cardholder=cardholder,
        )  # fmt: skip

    return OrderDone(act=act, seq=done(here.requests.ask(order)).seq)


def _zone(here: Parts, id: str) -> ZonePublic:
    for zone in zones(here.view):
        if zone.id == id:
            return zone
    raise Problem("not_found", 404)


# -- zones and the site ----------------------------------------------------------------------------------------------

IN_USE: Doc = {"state": "OPEN_ATTENDED"}


@router.patch("/zones/{id}/status")
def change_zone_status(here: Here, id: str, asked: ZoneStatusUpdate) -> ZonePublic:
    """Put a zone in a state of use, lock it down or lift that."""
    _zone(here, id)
    _put(here, "zone_status", id, IN_USE, sent(asked), None)
    return _zone(here, id)


@router.post("/zones/{id}/sanitise")
def sanitise_zone(here: Here, id: str, asked: SanitiseCreate, key: RequestKey = None) -> ZonePublic:
    """保全済: visitors and break-glass may enter from now on, under their own rules."""
    _zone(here, id)
    _put(here, "zone_status", id, IN_USE, sent(asked), key)
    return _zone(here, id)


@router.post("/zones/{id}/sanitise/end")
def end_sanitised(here: Here, id: str, key: RequestKey = None) -> ZonePublic:
    """Information items are out again: from now on nobody enters without all three keys."""
    _zone(here, id)
    _put(here, "zone_status", id, IN_USE, {}, key, drops=("sanitised_by", "sanitised_confirmed_by"))
    return _zone(here, id)


@router.get("/site-status")
def get_site_status(here: Here) -> SiteStatusPublic:
    return site_status(here.view)


@router.patch("/site-status")
def change_site_status(here: Here, asked: SiteStatusUpdate) -> SiteStatusPublic:
    """Lockdown of the whole site, threat level, version of the notice."""
    _put(here, "site_status", SITE, {}, sent(asked), None)
    return site_status(here.view)


# -- portals and devices ---------------------------------------------------------------------------------------------


@router.post("/portals/{id}/mode")
def set_portal_mode(here: Here, id: str, asked: PortalModeCreate, key: RequestKey = None) -> Recorded:
    """CARD, LOCKED, UNLOCKED or ATTENDED; never unlocked into a zone with protected information. The portal follows
    where its zones allow it, and says so in `mode`.
    """
    one(here, "portal", id)
    until = {} if asked.minutes is None else {"until_ms": now_ms() + asked.minutes * MINUTE_MS}
    seq = _put(here, "portal_status", id, {}, {"mode": asked.mode, **until}, key, drops=("until_ms",))
    return Recorded(id=id, seq=seq)


@router.get("/devices")
def list_devices(here: Here) -> list[DevicePublic]:
    """Every device that was heard of since the controller's start, and those that are not trusted."""
    return devices(here.view)


@router.post("/devices/{id}/restore")
def restore_device(here: Here, id: str, asked: DeviceRestore, key: RequestKey = None) -> Recorded:
    """Trust a device again whose enclosure was opened; two people looked at it."""
    one(here, "device_status", id)
    seq = _put(here, "device_status", id, {}, {"is_trusted": True, **sent(asked)}, key)
    return Recorded(id=id, seq=seq)


# -- orders ----------------------------------------------------------------------------------------------------------


@router.post("/presence/forgive")
def forgive_presence(here: Here, key: RequestKey = None) -> OrderDone:
    """Nobody's place is believed any more, until he is seen again (after a drill, a roll-call; B-06, B-07)."""
    return _order(here, "forgive_presence", None, key)


@router.post("/cardholders/{id}/forgive")
def forgive_cardholder(here: Here, id: str, key: RequestKey = None) -> OrderDone:
    """One cardholder's place is not believed any more: anti-passback lets him through once."""
    one(here, "cardholder", id)
    return _order(here, "forgive_presence", id, key)


@router.post("/cardholders/{id}/unlock-pin")
def unlock_pin(here: Here, id: str, key: RequestKey = None) -> OrderDone:
    """Lift the lock after five misses; the PIN stays what it is (B-13)."""
    one(here, "cardholder", id)
    return _order(here, "unlock_pin", id, key)


@router.post("/fire/reset")
def reset_fire(here: Here, key: RequestKey = None) -> OrderDone:
    """Doors lock again after a fire alarm: an officer's decision, never the program's (D-25)."""
    return _order(here, "reset_fire", None, key)
