"""A whole site: broker, simulated building, controller and, where wanted, the web process, all real, all in one folder.

It is told like an incident report: `site.badges(SATO, "vault")`, `site.recorded("ACCESS_GRANTED", portal="vault")`.
"""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from controller.link.client import LinkClient
from controller.link.messages import Command, Done, Prepare, Prepared, Refused
from sekisho.demo_officers import SoftOfficer
from simulators.building import BadgeReply, SimulatedBuilding
from simulators.journal import Entry
from simulators.people import Pace
from simulators.plan import LcusPlan, Plan, Pn532Plan, load
from tests.officers import THREE, enrols, needs_preparing, officer_puts, passkey, proposal
from tests.system.parts import Broker, Ear, Faults, Program, Subscriber, epoch_ms, eventually, free_port
from tests.system.plain_people import PEOPLE
from zones.moment import JST
from zones.people import Basis
from zones.terms import term_of

SATO = "04A1B2C3"  # three keys
SUZUKI = "04B2C3D4"  # no clearance on record
TAKAHASHI = "04C3D4E5"  # no need-to-know
TANAKA = "04D4E5F6"  # not on the vault's roster
ITO = "01147A0B2C3D4E5F"  # three keys, FeliCa
WATANABE = "04112233445566"  # the server room
YAMAMOTO = "04E5F607"  # the office
NAKAMURA = "04F60718"  # lost this card
STRANGER = "08FEEDFA"  # a card that nobody knows

PLAIN = Path(__file__).parent / "plain"
QUICK = Pace(hold_ms=500, reach_ms=30, pass_ms=80, press_ms=60)
RELEASE_MS = 600


def quick_plan(files: Path) -> Plan:
    """A building, with lines that are as fast as they can be."""
    plan = load(files / "building.toml")
    devices = [
        device.model_copy(update={"baud": None}) if isinstance(device, Pn532Plan | LcusPlan) else device
        for device in plan.devices
    ]
    return plan.model_copy(update={"devices": tuple(devices)})


class Site:
    """One site in one folder. A context manager: on leaving, every process is ended and must have been sound."""

    def __init__(
        self,
        folder: Path,
        *,
        faults: Faults | None = None,
        change: Callable[[str], str] = lambda text: text,
        files: Path = PLAIN,
    ) -> None:
        """`change` edits the text of the site file. `files`: where building.toml and site.toml are."""
        self.folder = folder
        self.state_dir = folder / "controller"
        self.socket = folder / "controller.sock"
        self.file = folder / "site.toml"
        self.faults = faults
        self.broker = Broker(folder)
        self.building = SimulatedBuilding(
            quick_plan(files), run_dir=folder / "wires", broker=self.broker.address, pace=QUICK
        )
        self.controller: Program | None = None
        self.api: Api | None = None
        self.is_crash_expected = False
        self._ear: Ear | None = None
        self._subscriber: Subscriber | None = None
        self._change = change
        self._files = files

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self.building.start()
            self.write_site_file()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        was_alive = self.controller is None or self.controller.is_alive or self.is_crash_expected
        said = "" if self.controller is None else self.controller.log.read_text(errors="replace")
        self.end()
        if kind is None:
            assert was_alive, f"the controller had died:\n{said[-3000:]}"
            assert self.is_crash_expected or "Traceback" not in said, said[-3000:]
            assert not self.building.loop.faults

    def end(self) -> None:
        """End everything, whatever state it is in."""
        if self.faults is not None:
            self.faults.close()
        if self._subscriber is not None:
            self._subscriber.stop()
        if self.api is not None:
            self.api.program.signal(signal.SIGCONT)
            self.api.program.kill()
        if self.controller is not None:
            self.controller.kill()
        if self._ear is not None:
            self._ear.close()
        with suppress(RuntimeError):  # never started
            self.building.stop()
        self.broker.kill()

    # -- parts -------------------------------------------------------------------------------------------------------

    def write_site_file(self) -> None:
        text = (self._files / "site.toml").read_text("utf-8")
        text = text.replace("@BROKER_PORT@", str(self.broker.address[1])).replace(
            "@RUN_DIR@", str(self.folder / "wires")
        )
        text = text.replace("[[portal]]", f"[[portal]]\nrelease_ms = {RELEASE_MS}")
        self.file.write_text(self._change(text), "utf-8")

    @property
    def devices(self) -> set[str]:
        return {device.id for device in self.building.plan.devices}

    @property
    def ear(self) -> Ear:
        if self._ear is None:
            self._ear = Ear(self.broker.address)
        return self._ear

    @property
    def subscriber(self) -> Subscriber:
        if self._subscriber is None:
            self._subscriber = Subscriber(self.socket)
            self._subscriber.start()
        return self._subscriber

    def link(self) -> LinkClient:
        """A connection to the controller of the test's own."""
        return LinkClient(self.socket, "test")

    # -- the controller ------------------------------------------------------------------------------------------------

    def launch(self) -> Program:
        """Start the controller, and come back at once."""
        env = self.faults.env if self.faults is not None else None
        self.is_crash_expected = False
        self.controller = Program.sekisho("controller", str(self.file), log=self.folder / "controller.log", env=env)
        return self.controller

    def starts(self, *, without: Iterable[str] = ()) -> Self:
        """Start the controller and wait until its doors are armed and every device (but `without`) answers."""
        records = len(self.records)
        program, self.is_crash_expected = self.launch(), True  # no second complaint where it does not come up
        program.wait_said("armed")
        self.is_crash_expected = False
        wanted = self.devices - set(without)
        eventually(lambda: self._online_since(records) >= wanted, 15, "every device is online")
        return self

    def _online_since(self, seq: int) -> set[str]:
        online: set[str] = set()
        for body in self.subscriber.bodies[seq:]:
            if body["type"] == "DEVICE_ONLINE":
                online.add(body["detail"]["device"])
            elif body["type"] in ("DEVICE_OFFLINE", "CONTROLLER_STARTED"):
                online.discard(body.get("detail", {}).get("device", ""))
        return online

    def dies(self) -> None:
        """kill -9."""
        assert self.controller is not None
        self.is_crash_expected = True
        self.controller.kill()

    def stops(self) -> int:
        """An orderly end. The exit status."""
        assert self.controller is not None
        self.is_crash_expected = True
        return self.controller.stop()

    def api_starts(self) -> Api:
        self.has_officers()
        self.api = Api(self.folder, self.socket)
        return self.api.waits()

    # -- policy --------------------------------------------------------------------------------------------------------

    def admits_people(self) -> Self:
        """One edit with everybody, through the link."""
        return self.edits(self.rows())

    def rows(self) -> list[tuple[str, dict[str, Any]]]:
        """Everybody, as rows of policy."""
        return plain_rows()

    def edits(self, puts: list[tuple[str, dict[str, Any]]]) -> Self:
        """One edit, through the link, signed by all three officers."""
        self.has_officers()
        return self._signed(puts, THREE)

    def has_officers(self) -> Self:
        """Two officers enrolled at the console, as the first ones are, and a third named by these."""
        if self.found("POLICY_EDITED", id="third-officer"):
            return self
        with self.link() as link:
            enrols(link, *THREE[:2])
        return self._signed(officer_puts(THREE[2], datetime.now(JST).date()), THREE[:2], id="third-officer")

    def _signed(self, puts: list[tuple[str, dict[str, Any]]], signers: Sequence[str], id: str | None = None) -> Self:
        with self.link() as link:
            welcome = link.connect()
            if needs_preparing(puts):
                prepared = link.prepare(Prepare(id=secrets.token_hex(8), puts=puts, officer=signers[0]))
                assert isinstance(prepared, Prepared), prepared
                puts = prepared.puts
            change = proposal(
                puts, site=welcome.vkey, id=id or secrets.token_hex(8), base=welcome.revision,
                not_after_ms=epoch_ms() + 30_000, signers=signers,
            )  # fmt: skip
            answer = link.request(change)
        assert isinstance(answer, Done), answer
        eventually(lambda: self.last_seq >= answer.seq, 15, "the edit is acknowledged")
        return self

    def officer_releases(self, portal: str, **spoilt: Any) -> Done | Refused:
        """A momentary release, through the link; `spoilt` makes fields of the command wrong."""
        self.has_officers()
        with self.link() as link:
            boot = link.connect().boot
            sound = {"id": secrets.token_hex(8), "boot": boot, "not_after_ms": epoch_ms() + 2500, "portal": portal}
            return link.request(Command(**{"reason": "visitor", "officer": "officer-01", **sound, **spoilt}))

    # -- people --------------------------------------------------------------------------------------------------------

    def badges(self, card: str, door: str, *, side: str = "in", walk: bool = False, wait_ms: int = 8000) -> BadgeReply:
        return self.building.badge(card, door=door, side=side, walk=walk, wait_ms=wait_ms)

    def enters(self, card: str, door: str, *, side: str = "in") -> BadgeReply:
        """Badge and walk through; comes back when the leaf is shut behind."""
        after = self.building.journal.last
        reply = self.badges(card, door, side=side, walk=True)
        assert reply.released, f"{card} was not let through {door}: {reply}"
        assert self.building.wait_for("contact", door, after=after, is_open=False, timeout_s=15), "the leaf stays open"
        eventually(lambda: not self.strike_is_on(door), 15, "the strike goes off behind")
        return reply

    def presents(self, card: str, reader: str) -> bool:
        """Hold a card to an MQTT reader and do not wait for anything."""
        device = self.building.fittings.readers[reader]
        return self.building.loop.run(lambda: device.present(bytes.fromhex(card)))

    def strike_is_on(self, door: str) -> bool:
        return self.building.loop.run(lambda: self.building.fittings.rig(door).door.is_strike_on)

    def any_strike_is_on(self) -> bool:
        rigs = self.building.fittings.rigs
        return self.building.loop.run(lambda: any(rig.door.is_strike_on for rig in rigs.values()))

    def strikes(self, door: str, *, after: int = 0) -> list[Entry]:
        """Every time the door's strike was energised."""
        entries = self.building.journal.after(after)
        return [one for one in entries if one.what == "strike" and one.where == door and one.detail["is_on"]]

    # -- the ledger ----------------------------------------------------------------------------------------------------

    @property
    def records(self) -> list[dict[str, Any]]:
        """Every record acknowledged so far."""
        return self.subscriber.bodies

    def found(self, type_: str, *, after: int = -1, **fields: Any) -> list[dict[str, Any]]:
        """The acknowledged records of a type whose fields (or detail's) are these."""

        def fits(body: dict[str, Any]) -> bool:
            everything = {**body.get("detail", {}), **body.get("subject", {}), **body}
            return (
                body["type"] == type_ and body["seq"] > after and all(everything.get(k) == v for k, v in fields.items())
            )

        return [body for body in list(self.records) if fits(body)]

    def recorded(self, type_: str, *, after: int = -1, within_s: float = 15.0, **fields: Any) -> dict[str, Any]:
        """The first such record, waiting for it."""
        what = f"a record {type_} {fields}; there are {[b['type'] for b in self.records[-12:]]}"
        eventually(lambda: self.found(type_, after=after, **fields), within_s, what)
        return self.found(type_, after=after, **fields)[0]

    @property
    def last_seq(self) -> int:
        return len(self.records) - 1

    def ledger_copy(self) -> Path:
        """The ledger's files as they lie on the disk now (a dead or stopped controller's)."""
        place = self.folder / "copy"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for file in self.state_dir.glob("ledger.db*"):
            shutil.copy2(file, place / file.name)
        return place / "ledger.db"


class Api:
    """The web process, and officers who sign in with their passkeys when they are first needed."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder / "api"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        port = free_port()
        self.url = f"http://localhost:{port}"
        settings = folder / "api.toml"
        lines = {"socket": str(socket), "state_dir": str(self.folder), "port": port}
        settings.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()), "utf-8")
        self.program = Program.sekisho("api", str(settings), log=folder / "api.log")
        self._signed_in: dict[str, SoftOfficer] = {}

    def waits(self) -> Self:
        """Until it answers."""
        eventually(self._answers, 60, "the web process answers")
        return self

    def _answers(self) -> bool:
        assert self.program.is_alive, self.program.said
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=2):
                return True
        except OSError:
            return False

    def officer(self, name: str = THREE[0]) -> SoftOfficer:
        """An officer of the site at a browser, signed in. The web process must have heard of him, or hear soon."""
        if name not in self._signed_in:
            officer = SoftOfficer(name, self.url)
            officer.passkey = passkey(name)
            officer.sign_in()
            self._signed_in[name] = officer
        return self._signed_in[name]

    def get(self, path: str) -> Any:
        return self.officer().asks("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None, *, method: str = "POST") -> Any:
        """A request that changes something; a proposal is signed by as many as it takes, and must be in force then."""
        match = {"If-Match": self.officer().etag(path)} if method == "PATCH" else {}
        told = self.officer().asks(method, path, {} if body is None else body, **match)
        if not isinstance(told, dict) or "signers_needed" not in told:
            return told
        for name in THREE[: told["signers_needed"]]:
            told = self.officer(name).signs(told)
        assert told["state"] == "IN_FORCE", told
        return told


def plain_rows() -> list[tuple[str, dict[str, Any]]]:
    """The people as rows of policy."""
    today = datetime.now(JST).date()
    period = {"from_on": f"{today}", "until_on": f"{today + timedelta(days=330)}"}
    notified = today - timedelta(days=200)
    rows: list[tuple[str, dict[str, Any]]] = []
    for one in PEOPLE:
        mine = {"cardholder": one.id}
        rows.append(("cardholder", {"id": one.id}))
        rows.append(("credential", {"id": f"cr-{one.id}", "number": one.card, "state": one.card_state} | mine))
        if one.is_cleared:
            valid = {"notified_on": f"{notified}", "last_valid_on": f"{term_of(Basis.KEIZAI_ANPO, notified)}"}
            signed = {"recorded_by": "officer-01", "confirmed_by": "officer-02"}
            rows.append(("clearance", {"id": f"cl-{one.id}", "basis": "KEIZAI_ANPO"} | valid | signed | mine))
        for item in one.items:
            named = {"id": f"nk-{one.id}-{item}", "item": item, "purpose_code": "P-01"}
            signed = {"requested_by": "officer-01", "approved_by_1": "officer-02", "approved_by_2": "officer-03"}
            rows.append(("need_to_know", named | period | signed | mine))
        if "vault" in one.zones:
            dates = {"done_on": f"{today - timedelta(days=30)}", "due_on": f"{today + timedelta(days=330)}"}
            rows.append(("training", {"id": f"tr-{one.id}", "course": "handling"} | dates | mine))
        for zone in one.zones:
            named = {"id": f"ro-{one.id}-{zone}", "zone": zone, "review_on": f"{today + timedelta(days=90)}"}
            rows.append(("roster", named | period | mine))
    return rows
