"""The hands of a simulated building over HTTP: a small API and one page, so that a person or a script can badge.

Bound to loopback only, and deaf to other sites: a page of somebody else's, open in the same browser, must not
badge here. So the Host must be a loopback name, and a POST must be JSON and from nowhere or from this very origin.
"""

from __future__ import annotations

import socket
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from simulators.building import WAIT_MS, SimulatedBuilding
from simulators.fittings import NotHere
from simulators.mqtt_session import BrokerUnreachable
from simulators.osdp.hands import Trick
from simulators.pockets import Held

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset(("127.0.0.1", "localhost", "::1"))
PAGE = Path(__file__).with_name("hands.html")
Side = Literal["in", "out"]
WaitMs = Annotated[int, Field(ge=0, le=10_000)]
DigitsTyped = Annotated[str, Field(pattern=r"^[0-9]{4,12}$", examples=["4821"])]
CardHex = Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2}){4,20}$", examples=["04A1B2C3"])]
DeviceName = Annotated[str, Field(min_length=1, max_length=64, examples=["rd-vault-in"])]
DoorName = Annotated[str, Field(min_length=1, max_length=64, examples=["vault"])]


class _Hand(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BadgeHand(_Hand):
    """Present a card."""

    card: CardHex
    door: DoorName
    side: Side = "in"
    walk: bool = True
    digits: DigitsTyped | None = None  # typed if the reader asks for a PIN
    held: Held = "own"  # or a copy of its number, other keys, a recording of it …
    wait_ms: WaitMs = WAIT_MS


class KeysHand(_Hand):
    """Type digits at a reader, as whoever presented a card there last."""

    door: DoorName
    digits: DigitsTyped
    side: Side = "in"
    walk: bool = True
    wait_ms: WaitMs = WAIT_MS


class DoorHand(_Hand):
    """Touch a door."""

    door: DoorName


class SideHand(_Hand):
    """Touch a door from one side."""

    door: DoorName
    side: Side = "in"


class RexHand(_Hand):
    """Press REX and leave."""

    door: DoorName
    walk: bool = True
    card: CardHex | None = None
    wait_ms: WaitMs = WAIT_MS


class TailgateHand(_Hand):
    """Slip through behind somebody."""

    door: DoorName
    card: CardHex | None = None
    side: Side = "in"
    wait_ms: WaitMs = WAIT_MS


class TamperHand(_Hand):
    """Open or close the enclosure of a door's controller."""

    door: DoorName
    is_open: bool


class LoopHand(_Hand):
    """Cut or short the loop of a door's line, or mend it (null)."""

    door: DoorName
    line: Literal["contact", "rex", "tamper", "fire", "power"] = "contact"
    fault: Literal["cut", "short"] | None


class SupplyHand(_Hand):
    """The fire alarm, or the mains, at one door or at all (null)."""

    door: DoorName | None = None
    is_on: bool


class ResetHand(_Hand):
    """Reset the fire alarm's contact at one door or at all (null)."""

    door: DoorName | None = None


class CountHand(_Hand):
    """Pass under a people counter."""

    door: DoorName
    count: Annotated[int, Field(ge=1, le=9)]


class LineHand(_Hand):
    """Touch a cable: a device's id or its link."""

    line: Annotated[str, Field(min_length=1, max_length=64, examples=["pn532-vault"])]


class ReaderHand(_Hand):
    """Touch an OSDP reader."""

    device: DeviceName


class SwapHand(_Hand):
    """Hang another OSDP reader in its place."""

    device: DeviceName
    serial: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None  # the next one
    has_key: bool = False  # it was given the old one's key


class TrickHand(_Hand):
    """Make an OSDP reader misbehave, or behave again."""

    device: DeviceName
    trick: Trick
    is_on: bool


class ReaderSupplyHand(_Hand):
    """The supply of an OSDP reader."""

    device: DeviceName
    is_on: bool


class HousingHand(_Hand):
    """The housing of an OSDP reader."""

    device: DeviceName
    is_open: bool


def make_app(building: SimulatedBuilding) -> FastAPI:
    """The HTTP face of a running building. OpenAPI at /openapi.json; no /docs, which loads scripts from elsewhere."""
    app = FastAPI(
        title="Sekisho simulated building",
        summary="Hands for the doors of a building that does not exist",
        docs_url=None,
        redoc_url=None,
    )
    app.middleware("http")(_only_from_here)
    app.exception_handler(NotHere)(_not_here)
    app.exception_handler(ValueError)(_bad_value)
    app.exception_handler(BrokerUnreachable)(_no_broker)
    _add_people(app, building)
    _add_doors(app, building)
    _add_wires(app, building)
    _add_readers(app, building)
    _add_sight(app, building)
    return app


def _add_people(app: FastAPI, building: SimulatedBuilding) -> None:
    @app.post("/hands/badge")
    def badge(hand: BadgeHand) -> dict[str, object]:
        """Present a card; the reply tells what the reader showed and whether the lock let go."""
        reply = building.badge(
            hand.card,
            door=hand.door,
            side=hand.side,
            walk=hand.walk,
            digits=hand.digits,
            held=hand.held,
            wait_ms=hand.wait_ms,
        )
        return asdict(reply)

    @app.post("/hands/keys")
    def keys(hand: KeysHand) -> dict[str, object]:
        """Type digits and confirm them; the reply is that of a card."""
        reply = building.keys(hand.digits, door=hand.door, side=hand.side, walk=hand.walk, wait_ms=hand.wait_ms)
        return asdict(reply)

    @app.post("/hands/rex")
    def rex(hand: RexHand) -> dict[str, object]:
        """Press REX inside; with walk, leave by the handle."""
        return {"released": building.rex(hand.door, walk=hand.walk, card=hand.card, wait_ms=hand.wait_ms)}

    @app.post("/hands/tailgate")
    def tailgate(hand: TailgateHand) -> dict[str, object]:
        """Slip through an open leaf, now or as soon as it opens."""
        return {"passed": building.tailgate(hand.door, card=hand.card, side=hand.side, wait_ms=hand.wait_ms)}


def _add_doors(app: FastAPI, building: SimulatedBuilding) -> None:
    @app.post("/hands/open")
    def open_leaf(hand: SideHand) -> dict[str, object]:
        """Push the leaf (in) or turn the handle inside (out)."""
        return {"is_open": building.open(hand.door, side=hand.side)}

    @app.post("/hands/close")
    def close_leaf(hand: DoorHand) -> dict[str, object]:
        """Take away what props it and shut it."""
        return {"is_open": not building.close(hand.door)}

    @app.post("/hands/force")
    def force_leaf(hand: DoorHand) -> dict[str, object]:
        """Break it open."""
        return {"is_open": building.force(hand.door)}

    @app.post("/hands/prop")
    def prop_leaf(hand: DoorHand) -> dict[str, object]:
        """Keep an open leaf from closing."""
        return {"is_open": building.prop(hand.door)}


def _add_wires(app: FastAPI, building: SimulatedBuilding) -> None:
    @app.post("/hands/tamper")
    def tamper(hand: TamperHand) -> dict[str, object]:
        """Open or close an enclosure."""
        building.tamper(hand.door, is_open=hand.is_open)
        return {"is_tampered": hand.is_open}

    @app.post("/hands/loop")
    def break_loop(hand: LoopHand) -> dict[str, object]:
        """Cut, short or mend the loop of one line."""
        building.break_loop(hand.door, line=hand.line, fault=hand.fault)
        return {"fault": hand.fault}

    @app.post("/hands/fire")
    def fire(hand: SupplyHand) -> dict[str, object]:
        """Begin or end the fire alarm."""
        building.fire(is_on=hand.is_on, door=hand.door)
        return {"is_fire_on": hand.is_on}

    @app.post("/hands/reset-fire")
    def reset_fire(hand: ResetHand) -> dict[str, object]:
        """Turn the key at the fire panel."""
        building.reset_fire(hand.door)
        return {"is_reset": True}

    @app.post("/hands/power")
    def power(hand: SupplyHand) -> dict[str, object]:
        """Cut the mains of locks, or bring them back."""
        building.power(is_on=hand.is_on, door=hand.door)
        return {"has_power": hand.is_on}

    @app.post("/hands/count")
    def count(hand: CountHand) -> dict[str, object]:
        """Let a people counter see somebody pass."""
        return {"was_sent": building.count(hand.count, door=hand.door)}

    @app.post("/hands/cut")
    def cut_line(hand: LineHand) -> dict[str, object]:
        """Cut a device off."""
        building.cut(hand.line)
        return {"is_cut": True}

    @app.post("/hands/mend")
    def mend_line(hand: LineHand) -> dict[str, object]:
        """Undo a cut."""
        building.mend(hand.line)
        return {"is_cut": False}


def _add_readers(app: FastAPI, building: SimulatedBuilding) -> None:
    @app.post("/hands/reader/swap")
    def swap(hand: SwapHand) -> dict[str, object]:
        """Hang another reader in its place, with or without the old one's key."""
        return {"serial": building.osdp.swap(hand.device, serial=hand.serial, has_key=hand.has_key)}

    @app.post("/hands/reader/reset")
    def reset(hand: ReaderHand) -> dict[str, object]:
        """Press the reset switch inside: its key is lost."""
        building.osdp.reset(hand.device)
        return {"is_keyless": True}

    @app.post("/hands/reader/trick")
    def trick(hand: TrickHand) -> dict[str, object]:
        """Hold install mode, downgrade, answer with another key, corrupt MACs, be late, busy, silent or refuse all."""
        building.osdp.trick(hand.device, hand.trick, is_on=hand.is_on)
        return {"is_tricked": hand.is_on}

    @app.post("/hands/reader/power")
    def power(hand: ReaderSupplyHand) -> dict[str, object]:
        """Cut a reader's supply, or bring it back."""
        building.osdp.power(hand.device, is_on=hand.is_on)
        return {"has_power": hand.is_on}

    @app.post("/hands/reader/tamper")
    def tamper(hand: HousingHand) -> dict[str, object]:
        """Open or close a reader's housing."""
        building.osdp.tamper(hand.device, is_open=hand.is_open)
        return {"is_tampered": hand.is_open}

    @app.get("/hands/capture")
    def capture(
        pair: DeviceName, after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
    ) -> dict[str, object]:
        """What a clip on the pair has seen: whole frames, oldest first, from number `after` on."""
        seen = building.osdp.captured(pair)
        frames = [
            {"tick_ms": one.tick_ms, "is_reply": one.frame.is_reply, "raw": one.frame.raw.hex()}
            for one in seen[after : after + limit]
        ]
        return {"frames": frames, "count": len(seen)}


def _add_sight(app: FastAPI, building: SimulatedBuilding) -> None:
    @app.get("/hands/state")
    def state() -> dict[str, object]:
        """How everything stands."""
        return building.state()

    @app.get("/hands/log")
    def log(
        after: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(ge=1, le=5000)] = 1000
    ) -> dict[str, object]:
        """What happened after entry `after`: every relay's switching with both clocks, every ignored command."""
        return {"entries": [entry.as_json() for entry in building.journal.after(after, limit)]}

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        """A page with buttons."""
        return PAGE.read_text("utf-8")


async def _only_from_here(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    """Refuse other hosts' names and other sites' requests."""
    host = request.headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in LOOPBACK_NAMES:
        return _problem(403, f"Host {host!r} is not this machine")
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and request.method != "GET":
        return _problem(403, "another site's page may not use these hands")
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return _problem(403, "another site's page may not use these hands")
    if request.method == "POST" and request.headers.get("content-type", "").split(";")[0] != "application/json":
        return _problem(415, "send application/json")
    answer = await proceed(request)
    answer.headers["Content-Security-Policy"] = (
        "default-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
        if request.url.path == "/"
        else "frame-ancestors 'none'"
    )
    return answer


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"status": status, "detail": detail}, status, media_type="application/problem+json")


async def _not_here(_request: Request, error: Exception) -> JSONResponse:
    return _problem(404, str(error))


async def _bad_value(_request: Request, error: Exception) -> JSONResponse:
    return _problem(422, str(error))


async def _no_broker(_request: Request, error: Exception) -> JSONResponse:
    return _problem(503, str(error))


class HandsServer:
    """Serves the hands on loopback from a thread of its own."""

    def __init__(self, building: SimulatedBuilding, port: int) -> None:
        """`port`: 0 = any free one. Raises OSError when the port is taken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, port))
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"port {port} of the hands is taken: {error.strerror}") from None
        config = uvicorn.Config(make_app(building), log_level="warning", lifespan="off", ws="none")
        config.timeout_graceful_shutdown = 1
        self._server = _Announcing(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="hands", daemon=True
        )

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}/"

    def start(self, timeout_s: float = 10.0) -> None:
        """Start and wait until it answers."""
        self._thread.start()
        if not self._server.ready.wait(timeout_s):
            raise RuntimeError("the hands' web server did not start")

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread and free the port."""
        self._server.should_exit = True
        self._thread.join(timeout_s)
        self._socket.close()


class _Announcing(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.ready.set()
