"""A site without wires: the product's own core and ledger, on a virtual clock, with a disk that can be told to fail."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.cards import CardNumbers
from controller.clock import ClockTrust, wall_ms
from controller.committer import CommitFailed, Committed
from controller.config import Site, parse_site
from controller.core import Core
from controller.desk import LinkRequest
from controller.engine import Engine, Watching
from controller.ledger.body import Body, Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.errors import LedgerError
from controller.ledger.store import Ledger
from controller.link.messages import Command, Done, Order, Prepare, Prepared, Refused
from controller.link.rows import row_to_doc
from controller.log_chores import LogReport
from controller.log_desk import LogSetup
from controller.log_review import ReviewSetup
from controller.officer_desk import OfficersSetup
from controller.pin_setting import PinSetter
from controller.pins import PinDesk, PinHasher
from controller.policy_log import PolicyAt, edit_to_doc
from controller.turn import Answer, Effect, LogEffect, ShowAtReader, Turn
from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    Event,
    InputChanged,
    KeysEntered,
    LineFault,
    PeopleCounted,
)
from tests.officers import THREE, needs_preparing, officer_puts, proposal
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.policy import Edit
from zones.portal import ReleaseStrike, SecureStrike

VKEY = "sekisho.example/test+00000000+made-up"
"""What officers' challenges name the site by."""

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
"""A Tuesday, noon in Japan."""

SITE = """
[controller]
node = "test"
state_dir = "state"
socket = "controller.sock"

[mqtt]
host = "127.0.0.1"

[[device]]
id = "rd-office"
kind = "mqtt"
[[device]]
id = "rd-office-out"
kind = "mqtt"
[[device]]
id = "dr-office"
kind = "mqtt"
[[device]]
id = "rd-vault"
kind = "mqtt"
[[device]]
id = "rd-vault-out"
kind = "mqtt"
[[device]]
id = "dr-vault"
kind = "mqtt"
[[device]]
id = "board"
kind = "lcus"
port = "/dev/ttyUSB0"
channels = 2

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"
[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "CONTROLLED"
parent = "outside"
uid_accepted = true
[[zone]]
id = "vault"
name_ja = "取扱区画"
name_en = "Vault"
kind = "EXCLUSION"
parent = "office"
items = ["item-1"]
accepted_bases = ["KEIZAI_ANPO"]
anti_passback = "HARD"
uid_accepted = true

[[portal]]
id = "office"
name_ja = "執務室入口"
name_en = "Office door"
outer = "outside"
inner = "office"
exit_hardware = "HANDLE"
entry_reader = "rd-office"
exit_reader = "rd-office-out"
strike = "dr-office"
contact = "dr-office"
rex = "dr-office"
[[portal]]
id = "vault"
name_ja = "取扱区画扉"
name_en = "Vault door"
outer = "office"
inner = "vault"
exit_hardware = "HANDLE"
entry_reader = "rd-vault"
exit_reader = "rd-vault-out"
strike = "board:1"
contact = "dr-vault"
rex = "dr-vault"
"""

SATO = "04a1b2c3"
"""The card of somebody who holds all three keys."""

STRANGER = "04999999"


class VirtualSite:
    """The core of a controller and what it did. Time moves only by `passes`."""

    def __init__(
        self, folder: Path, text: str = SITE, seed: int = 7, log: LogSetup | None = None, at: datetime = NOON,
        review: ReviewSetup | None = None,
    ) -> None:  # fmt: skip
        self.file: Site = parse_site(text, folder / "site.toml")
        self.at, self.tick_ms = at, 1_000_000
        self.trust = ClockTrust(None)
        self.boot = "b0b0b0b0"
        randbytes = random.Random(seed).randbytes
        self.scribe = Scribe(node="test", boot=self.boot)
        self.numbers = CardNumbers(bytes(range(32)))
        signer = SigningKey.from_seed(bytes(32))
        self.ledger = Ledger.open(folder / f"ledger-{seed}.db", signer, "sekisho.example/test", randbytes)
        self.effects: list[Effect] = []
        self.queue: deque[Turn] = deque()
        self.disk: Callable[[], None] = lambda: None
        self.is_stalled = False
        self.dead_outputs: dict[str, str] = {}
        self.ids = 0
        policy = PolicyAt().after(first_edit(self.file), seq=0)
        self.answered: deque[Any] = deque()
        hasher = PinHasher(bytes(reversed(range(32))))
        desk = PinDesk(hasher, self.answered.append)  # never started: its answers are worked out here and now
        setter = PinSetter(hasher, randbytes, self.answered.append)
        self.engine = Engine(
            wiring=self.file.wiring,
            policy=policy,
            occupancy=Occupancy(),
            scribe=self.scribe,
            numbers=self.numbers,
            boot=self.boot,
            random=randbytes,
            check_pin=lambda job: self.answered.append(desk.answer(job)),
            hash_pins=lambda request, known: self.answered.append(setter.hashed(request, known)),
            devices=self.file.devices,
            log=log,
            watching=Watching(review=review),
            officers=OfficersSetup(site=lambda: VKEY, random=randbytes),
        )
        self.core = Core(
            engine=self.engine, scribe=self.scribe, submit=self.queue.append, perform=self._perform,
            omitted=self.file.ledger.omit,
        )  # fmt: skip
        self.happens(*(DeviceOnline(source=device) for device in self.file.devices))
        self.effects.clear()

    # -- what can happen -----------------------------------------------------------------------------------------

    def happens(self, *events: Event | LinkRequest) -> None:
        """Events reach the loop in one drain."""
        now = self.now()
        self.core.watch(now)
        self.core.take(list(events), now)
        self.settles()
        while self.answered:
            self.core.take([self.answered.popleft()], self.now())
            self.settles()

    def passes(self, milliseconds: int) -> None:
        """Time goes by, and the loop wakes when something is due."""
        end = self.tick_ms + milliseconds
        while True:
            due = self.core.deadline()
            step = end if due is None else max(self.tick_ms, min(end, due))
            self.at += timedelta(milliseconds=step - self.tick_ms)
            self.tick_ms = step
            self.happens()
            due = self.core.deadline()
            if step >= end and (due is None or due > end):
                return
            if due is not None and due <= self.tick_ms:
                self.tick_ms += 1
                self.at += timedelta(milliseconds=1)

    def badges(self, number: str, reader: str, age_ms: int = 0) -> None:
        """Somebody holds a card to a reader."""
        self.ids += 1
        at_ms = wall_ms(self.at) - age_ms
        self.happens(
            CardRead(source=reader, number=bytes.fromhex(number), kind="mqtt", read_id=f"r{self.ids}", at_ms=at_ms)
        )

    def types(self, digits: str, reader: str) -> None:
        """Somebody types digits at a reader's keypad and confirms them."""
        self.ids += 1
        at_ms = wall_ms(self.at)
        self.happens(KeysEntered(source=reader, digits=digits, read_id=f"k{self.ids}", at_ms=at_ms))

    def counts(self, count: int, device: str) -> None:
        """A people counter saw so many pass."""
        self.happens(PeopleCounted(source=device, count=count))

    def signals(self, line: str, device: str, *, is_active: bool = True) -> None:
        """An input line changes: tamper, fire, power."""
        self.happens(InputChanged(source=device, line=line, is_active=is_active, is_level_report=False))

    def breaks(self, line: str, device: str, fault: str = "cut") -> None:
        """A supervised line is cut or shorted."""
        self.happens(LineFault(source=device, line=line, fault=fault, is_level_report=False))  # type: ignore[arg-type]

    def goes_through(self, device: str) -> None:
        """The leaf opens and falls shut again."""
        self.opens(device)
        self.closes(device)

    def orders(self, act: str, cardholder: str | None = None, **changed: Any) -> Any:
        """Something an officer does at once; returns the answer."""
        self.ids += 1
        fields: dict[str, Any] = {
            "id": f"order-{self.ids:06}",
            "boot": self.boot,
            "not_after_ms": wall_ms(self.at) + 3000,
            "act": act,
            "officer": "officer-01",
            "cardholder": cardholder,
        }
        return self.asks(Order(**(fields | changed)))

    def opens(self, device: str) -> None:
        self.happens(InputChanged(source=device, line="contact", is_active=True, is_level_report=False))

    def closes(self, device: str) -> None:
        self.happens(InputChanged(source=device, line="contact", is_active=False, is_level_report=False))

    def presses_rex(self, device: str) -> None:
        self.happens(InputChanged(source=device, line="rex", is_active=True, is_level_report=False))

    def loses(self, device: str) -> None:
        self.happens(DeviceOffline(source=device, why="line lost"))

    def proposes(
        self, *puts: tuple[str, dict[str, Any]], base: str | None = None, id: str | None = None,
        signers: tuple[str, ...] = THREE, **changed: Any,
    ) -> Any:  # fmt: skip
        """An edit from the web process, prepared and signed; returns the answer."""
        self.ids += 1
        rows = list(puts)
        if needs_preparing(rows):
            prepared = self.asks(Prepare(id=f"prepare-{self.ids:06}", puts=rows, officer="officer-01"))
            if not isinstance(prepared, Prepared):
                return prepared
            rows = prepared.puts
        message = proposal(
            rows, site=VKEY, id=id or f"edit-{self.ids:06}", signers=signers,
            base=self.engine.policy.revision if base is None else base, not_after_ms=wall_ms(self.at) + 5000, **changed,
        )  # fmt: skip
        return self.asks(message)

    def changes(self, *changes: tuple[str, dict[str, Any]]) -> Any:
        """Replace fields of rows in force."""
        policy = self.engine.policy.policy
        rows = [(table, row_to_doc(policy.table(table)[change["id"]])[1] | change) for table, change in changes]
        return self.proposes(*rows)

    def commands(self, portal: str, **changed: Any) -> Any:
        """A momentary release from the web process; returns the answer."""
        self.ids += 1
        fields: dict[str, Any] = {
            "id": f"command-{self.ids:06}",
            "boot": self.boot,
            "not_after_ms": wall_ms(self.at) + 3000,
            "portal": portal,
            "reason": "visitor",
            "officer": "officer-01",
        }
        return self.asks(Command(**(fields | changed)))

    def asks(self, message: Any) -> Done | Refused | None:
        before = len(self.effects)
        self.happens(LinkRequest(session=1, message=message))
        answers = [e.message for e in self.effects[before:] if isinstance(e, Answer)]
        return answers[-1] if answers else None  # type: ignore[return-value]

    def settles(self) -> None:
        """The committer works off what it was given, unless the disk has stalled."""
        while self.queue and not self.is_stalled:
            turn = self.queue.popleft()
            try:
                self.disk()
                seqs = self.ledger.append(turn.records)
            except LedgerError as error:
                self.core.settle(CommitFailed(turn=turn, why=str(error)), self.now())
            else:
                self.core.settle(Committed(turn=turn, first_seq=seqs.start, size=seqs.stop), self.now())

    # -- what can be seen ----------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        """The wall time in epoch milliseconds."""
        return wall_ms(self.at)

    def now(self) -> Moment:
        return Moment(at=self.at, tick_ms=self.tick_ms, is_trusted=self.trust.judge(self.at))

    @property
    def records(self) -> list[Body]:
        return [body for record in self.ledger.scan(0) if (body := record.decoded()) is not None]

    def story(self, *left_out: str) -> list[str]:
        return [body.type for body in self.records if body.type not in ("DEVICE_ONLINE", *left_out)]

    @property
    def last(self) -> Body:
        """The last decision."""
        return next(b for b in reversed(self.records) if b.type in ("ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED"))

    @property
    def releases(self) -> list[ReleaseStrike]:
        return [effect for effect in self.effects if isinstance(effect, ReleaseStrike)]

    @property
    def secures(self) -> list[SecureStrike]:
        return [effect for effect in self.effects if isinstance(effect, SecureStrike)]

    @property
    def shown(self) -> list[str]:
        return [effect.shown.value for effect in self.effects if isinstance(effect, ShowAtReader)]

    @staticmethod
    def unnumbered(effects: list[Effect]) -> list[Effect]:
        """Effects with the random number on a refusal taken out, for comparing what is shown."""
        return [replace(e, number="····") if isinstance(e, ShowAtReader) and e.number else e for e in effects]

    def admits(self, person: str, number: str, *zones: str) -> None:
        """Enter somebody with all that the zones ask for."""
        puts: list[tuple[str, dict[str, Any]]] = [
            ("cardholder", {"id": person}),
            ("credential", {"id": f"c-{person}", "cardholder": person, "number": number, "state": "ACTIVE"}),
            ("clearance", clearance(person)),
            ("need_to_know", need(person)),
            *(("roster", roster(person, zone)) for zone in zones),
        ]
        answer = self.proposes(*puts)
        assert isinstance(answer, Done), answer
        self.effects.clear()

    def _perform(self, effect: Effect, _now: Moment) -> tuple[str, str] | None:
        self.effects.append(effect)
        if isinstance(effect, LogEffect):
            self.answered.append(_worked_off(effect, self.ledger))
        if isinstance(effect, ReleaseStrike | SecureStrike):
            device = self.file.wiring.strikes[effect.portal].device
            if (why := self.dead_outputs.get(device)) is not None:
                return device, why
        return None


def _worked_off(chore: LogEffect, ledger: Ledger) -> LogReport:
    """What the committer reports of a long piece of work, done here and now."""
    while (report := chore.step(ledger)) is None:
        pass
    return report


def clearance(person: str) -> dict[str, Any]:
    dates = {"notified_on": "2026-04-01", "last_valid_on": "2036-03-31"}
    signed = {"recorded_by": "officer-01", "confirmed_by": "officer-02"}
    return {"id": f"k-{person}", "cardholder": person, "basis": "KEIZAI_ANPO", **dates, **signed}


def need(person: str) -> dict[str, Any]:
    period = {"from_on": "2026-11-01", "until_on": "2027-10-01"}
    signed = {"requested_by": "officer-01", "approved_by_1": "officer-02", "approved_by_2": "officer-03"}
    return {"id": f"n-{person}", "cardholder": person, "item": "item-1", "purpose_code": "P-01", **period, **signed}


def roster(person: str, zone: str) -> dict[str, Any]:
    period = {"from_on": "2026-11-01", "until_on": "2027-10-01", "review_on": "2027-01-01"}
    return {"id": f"r-{person}-{zone}", "cardholder": person, "zone": zone, **period}


def first_edit(site: Site) -> dict[str, Any]:
    """The document of a site's first edit: its places, and three officers who can sign (in post for years, so that a
    test may move its clock).
    """
    doc = edit_to_doc(Edit(puts=site.layout))
    rows = [put for one in THREE for put in officer_puts(one, NOON.date(), from_on="2000-01-01", until_on="2199-12-31")]
    return {**doc, "puts": [*doc["puts"], *map(list, rows)]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[VirtualSite]:
    """A site whose one cardholder holds all three keys."""
    virtual = VirtualSite(tmp_path)
    virtual.admits("h-sato", SATO, "office", "vault")
    yield virtual
    virtual.ledger.close()


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., VirtualSite]]:
    """Makes sites; closes them afterwards."""
    made: list[VirtualSite] = []

    def make(**given: Any) -> VirtualSite:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(VirtualSite(folder, **given))
        return made[-1]

    yield make
    for virtual in made:
        virtual.ledger.close()
