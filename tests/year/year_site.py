"""The site of the virtual year: the product's own start, engine, core and ledger; what hangs on the wires is simulated.

It can be started again from its ledger, as a controller is. Everything that is written, done or taken is shown to the
invariants in the order in which it happens.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from controller.boot import _adopt, _start_records
from controller.cards import CardNumbers
from controller.clock import ClockTrust, wall_ms
from controller.committer import CommitFailed, Committed
from controller.config import parse_site
from controller.core import Core
from controller.desk import LinkRequest
from controller.engine import Engine
from controller.history import last_standing, latest_trusted, load_policy
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.errors import LedgerError
from controller.ledger.store import Ledger
from controller.officer_desk import OfficersSetup
from controller.pin_setting import PinSetter
from controller.pins import PinDesk, PinHasher
from controller.policy_log import PolicyAt
from controller.site.seal import Seal
from controller.turn import Effect, Turn
from readers.events import CardRead, DeviceOnline, Event, InputChanged, KeysEntered
from tests.controller.conftest import VKEY, VirtualSite
from tests.officers import THREE, officer_puts
from tests.year.building import FRONT_MINUTES, site_text
from tests.year.invariants import Invariants
from zones.moment import Moment, here
from zones.portal import ReleaseStrike, SecureStrike
from zones.portal import deadline as portal_deadline
from zones.watch import deadline as watch_deadline

ORIGIN = "sekisho.example/test"
MODES_LATE_MS = 6_000


class YearSite(VirtualSite):
    """One controller and its wires for a year. Unlike a `VirtualSite` its ledger begins with its own start."""

    def __init__(self, folder: Path, at: datetime, seed: int) -> None:
        self.folder = folder
        self.file = parse_site(site_text(), folder / "site.toml")
        self.at, self.tick_ms = at, 1_000_000
        self.skew = timedelta()
        """How far the controller's clock is behind everybody else's."""
        self.signer = SigningKey.from_seed(bytes(32))
        self.randbytes = random.Random(seed).randbytes
        self.numbers = CardNumbers(bytes(range(32)))
        self.hasher = PinHasher(bytes(reversed(range(32))))
        self.hashes = 0
        self.starts = 0
        self.wakes = 0
        self.ids = 0
        self.disk: Callable[[], None] = lambda: None
        self.is_stalled = False
        self.dead_outputs: dict[str, str] = {}
        self.effects: list[Effect] = []
        self.queue: deque[Turn] = deque()
        self.answered: deque[Any] = deque()
        self.bounds: list[datetime] = []
        """When a portal's mode may change by the clock, besides the front's hours."""
        self.bound_tick = 0
        self.open_leaves: set[str] = set()
        self.active_lines: set[tuple[str, str]] = set()
        self.invariants = Invariants(self.file, self._is_owing)
        self.begin()

    # -- starts --------------------------------------------------------------------------------------------------------

    @property
    def ledger_path(self) -> Path:
        return self.folder / "ledger.db"

    def begin(self) -> None:
        """A start: from the ledger alone, as `controller.boot` does it, but for threads, wires and the wall clock."""
        self.starts += 1
        self.ledger = Ledger.open(self.ledger_path, self.signer, ORIGIN, self.randbytes)
        self.ledger._run("PRAGMA synchronous=OFF")  # no power cut will ask for it, and it is most of a year's time
        latest = latest_trusted(self.ledger)
        self.trust = ClockTrust(latest)
        now = self.now()
        self.boot = self.randbytes(4).hex()
        self.scribe = Scribe(node="test", boot=self.boot)
        policy, rebuilt = load_policy(self.folder / "site.db", Seal(bytes(32)), self.ledger)
        rebuilt = rebuilt if self.ledger.size else ""
        drafts = _start_records(self.file, self.scribe, now, rebuilt=rebuilt, believe_clock=False)
        occupancy, misses = last_standing(self.ledger, policy.policy)
        size = self.ledger.size
        policy, unrecorded = _adopt(self.file, self.ledger, self.scribe, policy, drafts, now)
        assert not unrecorded
        policy = policy if policy.policy.officers else self._with_officers(policy, now)
        self.invariants.restarted()
        for record in self.ledger.read(size, 1000):
            self.invariants.wrote(record.decoded(), record.seq, self.tick_ms)
        setter = PinSetter(self.hasher, self.randbytes, self.answered.append)
        desk = PinDesk(self.hasher, self.answered.append)
        self.queue.clear()
        self.answered.clear()
        self.engine = Engine(
            wiring=self.file.wiring,
            policy=policy,
            occupancy=occupancy,
            misses=misses,
            scribe=self.scribe,
            numbers=self.numbers,
            boot=self.boot,
            random=self.randbytes,
            check_pin=lambda job: self._hashed(1) or self.answered.append(desk.answer(job)),
            hash_pins=lambda request, known: self._hashed(2) or self.answered.append(setter.hashed(request, known)),
            devices=self.file.devices,
            last_day=None if latest is None else here(latest).day,
            officers=OfficersSetup(site=lambda: VKEY, random=self.randbytes),
            is_clock_trusted=now.is_trusted,
        )
        self.core = Core(engine=self.engine, scribe=self.scribe, submit=self.queue.append, perform=self._perform)
        self.happens(*(DeviceOnline(source=device) for device in self.file.devices))
        self.says_levels()

    def _with_officers(self, policy: PolicyAt, now: Moment) -> PolicyAt:
        """Three officers came in at the console before the year begins, and stay longer than it."""
        rows = [put for one in THREE for put in officer_puts(one, now.today, until_on="2199-12-31")]
        doc = {"puts": [list(row) for row in rows], "drops": []}
        after = policy.after(doc, seq=self.ledger.size)
        detail = {
            "id": "officers-01",
            "edit": doc,
            "revision": after.revision,
            "base": policy.revision,
            "signed": False,
        }
        draft = self.scribe.draft("POLICY_EDITED", now=now, officer="console", revision=policy.revision, detail=detail)
        self.ledger.append([draft])
        return after

    def restarts(self, pause_ms: int = 4_000) -> None:
        """The controller stops without a word, and starts again from its ledger."""
        self.ledger.close()
        self.tick_ms += pause_ms
        self.at += timedelta(milliseconds=pause_ms)
        self.begin()

    def says_levels(self) -> None:
        """What a broker has kept of every line: where it is, not that it changed."""
        contacts = [
            InputChanged(source=d, line="contact", is_active=p in self.open_leaves, is_level_report=True)
            for d, p in self.file.wiring.contacts.items()
        ]
        lines = [
            InputChanged(source=device, line=line, is_active=True, is_level_report=True)
            for device, line in sorted(self.active_lines)
        ]
        self.happens(*contacts, *lines)

    def _hashed(self, count: int) -> None:
        self.hashes += count

    # -- what happens --------------------------------------------------------------------------------------------------

    def happens(self, *events: Event | LinkRequest) -> None:
        """Events reach the loop in one drain; the invariants hold before anything is written, and afterwards."""
        now = self.now()
        for event in events:
            self._notes(event)
        self.wakes += 1
        is_due = self.engine.has_due(now)
        self.invariants.begins(events, now)
        done = len(self.effects)
        self.core.watch(now)
        self.core.take(list(events), now)
        self.invariants.drained(self.effects[done:])
        self.settles()
        while self.answered:
            self.core.take([self.answered.popleft()], self.now())
            self.settles()
        if events or is_due or len(self.effects) > done or self._is_owing():
            self.invariants.ends(self.engine, self.effects[done:], now)

    def settles(self) -> None:
        """As in a `VirtualSite`; what is durable is shown to the invariants before anything follows from it."""
        while self.queue and not self.is_stalled:
            turn = self.queue.popleft()
            try:
                self.disk()
                seqs = self.ledger.append(turn.records)
            except LedgerError as error:
                self.core.settle(CommitFailed(turn=turn, why=str(error)), self.now())
            else:
                for seq, draft in zip(seqs, turn.records, strict=True):
                    self.invariants.wrote(draft.body, seq, self.tick_ms)
                self.core.settle(Committed(turn=turn, first_seq=seqs.start, size=seqs.stop), self.now())

    def passes(self, milliseconds: int) -> None:
        """Time goes by in jumps. The look at modes every 5 s is skipped but where one may change: it finds nothing."""
        end = self.tick_ms + milliseconds
        while True:
            due = self._due()
            step = end if due is None else max(self.tick_ms, min(end, due))
            self.at += timedelta(milliseconds=step - self.tick_ms)
            self.tick_ms = step
            if (due is not None and due <= step) or self.engine.has_due(self.now()):
                self.happens()
            due = self._due()
            if step >= end and (due is None or due > end):
                return
            if due is not None and due <= self.tick_ms:
                self.tick_ms += 1
                self.at += timedelta(milliseconds=1)

    def until(self, true_at: datetime) -> None:
        """Time goes by until everybody else's clock says `true_at`, if it is not later already."""
        left_ms = (true_at - self.true_at) // timedelta(milliseconds=1)
        if left_ms > 0:
            self.passes(left_ms)

    @property
    def true_at(self) -> datetime:
        """The time by everybody else's clocks."""
        return self.at + self.skew

    def badges(self, number: str, reader: str, age_ms: int = 0) -> None:
        self.happens(self.card(number, reader, age_ms))

    def card(self, number: str, reader: str, age_ms: int = 0) -> CardRead:
        """What a reader says of a card, stamped by its own clock, which is right."""
        self.ids += 1
        at_ms = wall_ms(self.true_at) - age_ms
        return CardRead(source=reader, number=bytes.fromhex(number), kind="mqtt", read_id=f"r{self.ids}", at_ms=at_ms)

    def types(self, digits: str, reader: str) -> None:
        self.ids += 1
        at_ms = wall_ms(self.true_at)
        self.happens(KeysEntered(source=reader, digits=digits, read_id=f"k{self.ids}", at_ms=at_ms))

    def _notes(self, event: Event | LinkRequest) -> None:
        """What the wires would say if they were asked."""
        if not isinstance(event, InputChanged) or event.is_level_report or event.line == "rex":
            return
        if event.line == "contact":
            portal = self.file.wiring.contacts[event.source]
            (self.open_leaves.add if event.is_active else self.open_leaves.discard)(portal)
        else:
            key = (event.source, event.line)
            (self.active_lines.add if event.is_active else self.active_lines.discard)(key)

    def _perform(self, effect: Effect, now: Moment) -> tuple[str, str] | None:
        failed = super()._perform(effect, now)
        if failed is None and isinstance(effect, ReleaseStrike | SecureStrike):
            self.invariants.performed(effect, now)
        return failed

    def _is_owing(self) -> bool:
        """Whether something decided is not in the ledger yet."""
        outbox = self.core._outbox
        return bool(self.queue or outbox._owed) or not outbox.is_writable

    # -- when something is due -----------------------------------------------------------------------------------------

    def _due(self) -> int | None:
        engine = self.engine
        portals = engine._portals
        due = [tick for state in portals._states.values() if (tick := portal_deadline(state)) is not None]
        due += [
            tick
            for tick in (
                engine._entries.deadline(),
                watch_deadline(engine._watch),
                self.core._outbox.deadline(),
                self._bound(),
            )
            if tick is not None
        ]
        if portals._modes_at < self.bound_tick + MODES_LATE_MS:
            due.append(portals._modes_at)
        return min(due)

    def _bound(self) -> int:
        """The next tick at which the hour alone may change a portal's mode; passed ones are remembered."""
        while self.bounds and self.bounds[0] <= self.at:
            self.bounds.pop(0)
            self.bound_tick = self.tick_ms
        local = self.at + timedelta(hours=9)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        ahead = [midnight + timedelta(minutes=minute) for minute in FRONT_MINUTES]
        for bound in ahead:
            if timedelta() <= local - bound < timedelta(seconds=2):
                self.bound_tick = max(self.bound_tick, self.tick_ms)
        ahead.append(midnight + timedelta(days=1, minutes=FRONT_MINUTES[0]))
        ahead += [bound + timedelta(hours=9) for bound in self.bounds[:1]]
        left = min(bound - local for bound in ahead if bound > local)
        return self.tick_ms + -(-left // timedelta(milliseconds=1))
