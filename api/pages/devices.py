"""Readers and boards: how each stands by the controller's own word, and trust that two people give back (A-12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.pages.forms import Sent, begun, new_key
from api.pages.frame import render
from api.pages.looks import look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.texts import Said
from controller.link.messages import DeviceStanding, KeyStanding
from zones.authority import APPROVER, PROPOSER

router = APIRouter(include_in_schema=False)
SeesDevices = Annotated[Who, Depends(require(Permission.DEVICES))]

KINDS: Final[Mapping[str, Said]] = {
    "mqtt": Said("MQTT device"),
    "osdp": Said("OSDP reader"),
    "osdp-bus": Said("OSDP bus"),
    "pn532": Said("PN532 reader"),
    "pynfc": Said("NFC reader (libnfc)"),
    "pcsc": Said("PC/SC reader"),
    "lcus": Said("Relay board (LCUS)"),
    "modbus": Said("Relay board (Modbus)"),
    "gpio": Said("GPIO pins"),
}

KEY_STATES: Final[Mapping[str, Said]] = {
    "ACTIVE": Said("in use", "key"),
    "RETIRING": Said("still taken, replaced by a newer one", "key"),
    "RETIRED": Said("out of use", "key"),
}
"""How a version of a key stands (`KeyStanding.state`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is to be said of a device first, and what to do about it."""

    words: Said
    do: Said | None
    tone: str
    icon: str


SILENT: Final = Condition(
    words=Said("Does not answer"), do=Said("Check its power and its line. Entries at its doors are refused meanwhile."),
    tone="alarm", icon="plug",
)  # fmt: skip
DOUBTED: Final = Condition(
    words=Said("Not trusted"),
    do=Said("Its enclosure was opened, or another device hangs there. Look at it, then two officers give trust back."),
    tone="alarm", icon="lock",
)  # fmt: skip
FACTORY: Final = Condition(
    words=Said("Factory key left"), do=Said("Give it keys of its own at the controller (install mode)."), tone="warn",
    icon="key",
)  # fmt: skip
SOUND: Final = Condition(words=Said("In order", "device"), do=None, tone="ok", icon="check")


def condition(device: DeviceStanding) -> Condition:
    """How a device stands, the worst first."""
    ladder = (
        (not device.is_online, SILENT),
        (not device.is_trusted, DOUBTED),
        (not device.is_commissioned, FACTORY),
    )
    return next((found for holds, found in ladder if holds), SOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One device as it is shown."""

    device: DeviceStanding
    kind: str
    condition: Condition
    since_ms: int | None
    serves: tuple[str, ...]
    waits: str


@router.get("/devices")
def devices(here: Here, request: Request, who: SeesDevices) -> HTMLResponse:
    """All devices."""
    return _page(here, request, who, "")


def _page(here: Parts, request: Request, who: Who, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    standings, keys, is_away = _standings(here)
    since = {row.id: row.since_ms for row in here.view.devices()}
    waiting = here.proposals.waiting_rows("device_status")
    lines = [
        Line(
            device=one, kind=str(KINDS.get(one.kind, one.kind)), condition=condition(one), since_ms=since.get(one.id),
            serves=tuple(map(look.portal_name, one.serves)), waits=waiting.get(one.id, ("",))[0],
        )
        for one in standings
    ]  # fmt: skip
    lines.sort(key=lambda line: (line.condition is SOUND, line.device.id))
    return render(
        request, who, "devices.html", look=look, lines=lines, keys=keys, is_away=is_away, problem=problem,
        key=new_key(), key_states=KEY_STATES, status=422 if problem else 200,
    )  # fmt: skip


def _standings(here: Parts) -> tuple[list[DeviceStanding], tuple[KeyStanding, ...], bool]:
    """By the controller; while it is away, what was heard last, and that it is away."""
    try:
        answer = here.requests.devices()
    except Problem:
        last = [
            DeviceStanding(id=row.id, kind="", is_online=False, serves=(row.portal,) if row.portal else ())
            for row in here.view.devices()
        ]
        return last, (), True
    return list(answer.devices), answer.keys, False


@router.post("/devices/{id}/trust")
def trust(here: Here, request: Request, who: SeesDevices, id: str, form: Sent) -> Response:
    """Propose that a device is believed again: who restored it, and who confirms, are those who sign."""
    row = {"id": id, "is_trusted": True, "restored_by": PROPOSER, "confirmed_by": APPROVER}
    return begun(
        here, who, form, lambda: [("device_status", row)], lambda why: _page(here, request, who, why),
        reason="maintenance",
    )  # fmt: skip
