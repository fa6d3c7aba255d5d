"""The deciding loop: drain, decide, commit, act (design §2-§3).

One thread, one selector. It never waits for the disk, a broker or the web process; what can wait has its own thread
and comes back through the inbox. Exits and OFFs of a turn go out before its records are even handed over.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.clock import Clock, wall_ms
from controller.committer import CommitFailed, Committed, Committer, PageRead
from controller.core import Core
from controller.cosigning import Attended, WitnessWatch, attend
from controller.desk import LinkRequest
from controller.engine import Engine, Happened
from controller.inbox import Inbox
from controller.intake import Intake
from controller.key_room import KeyJobs
from controller.keystore.jobs import KeyJob
from controller.ledger.body import Draft, Scribe
from controller.link.messages import AskCosigned, Cosign, KeyStanding, Prepare, Propose, Request, Status
from controller.link.server import LinkServer
from controller.outputs import Outputs
from controller.pin_setting import PinSetter
from controller.pins import PinDesk
from controller.ports import Port
from controller.site.store import SiteStore
from controller.storage import StorageWatch
from controller.turn import Answer, Effect, LogEffect, RenewKey
from readers.events import Event, KeyRenewed
from zones.moment import Moment

log = logging.getLogger(__name__)

EVENTS_PER_TURN: Final = 128
"""So many decisions take a few milliseconds: no OFF and no press of REX waits longer for a flood of reads."""

LINK_REQUESTS_PER_TURN: Final = 4
"""A large edit takes some milliseconds to judge; doors come between."""

COSIGNING_MAX: Final = 16
"""So many words of and about witnesses wait for the disk's thread at once."""

WATCHDOG_MS: Final = 2_000
REFUSALS_MS: Final = 1_000


class Guard:
    """Holds the guard process: it switches the boards off when nobody holds it any more. One that died is replaced."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes] | None]) -> None:
        self._start = start
        self._process = start()

    def watch(self) -> None:
        """Look after it."""
        if self._process is not None and self._process.poll() is not None:
            log.warning("the guard ended with %s and is started again", self._process.returncode)
            self._process = self._start()


class StoreReport:
    """What the site store has to say: "" when site.db can be written again."""

    def __init__(self, why: str) -> None:
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a runtime is made of, by `controller.boot`.

    `omitted`: record types that the site does not keep. `deviations` stand in every status; `size` is the ledger's.
    `owed`: what a start on a full disk could not record, and why. `witnesses`: whose lines are taken, and `vouched`
    what they vouch for.
    """

    clock: Clock
    engine: Engine
    scribe: Scribe
    inbox: Inbox
    selector: selectors.BaseSelector
    committer: Committer
    store: SiteStore
    boot: str
    deviations: tuple[str, ...]
    size: int
    guard: Guard
    pins: PinDesk
    setter: PinSetter
    keys: KeyJobs
    witnesses: WitnessWatch
    omitted: frozenset[str] = frozenset()
    owed: tuple[list[Draft], str] | None = None
    storage: StorageWatch | None = None


class Runtime:
    """Everything wired together; `run` is the controller's life."""

    def __init__(self, parts: Parts) -> None:
        self._guard = parts.guard
        self._clock = parts.clock
        self._engine = parts.engine
        self._scribe = parts.scribe
        self._inbox = parts.inbox
        self._selector = parts.selector
        self._committer = parts.committer
        self._core = Core(
            engine=parts.engine,
            scribe=parts.scribe,
            submit=parts.committer.submit,
            perform=self._perform,
            in_force=lambda: parts.store.follow(parts.engine.policy),
            omitted=parts.omitted,
        )
        self._store = parts.store
        self._pins = parts.pins
        self._setter = parts.setter
        self._keys = parts.keys
        self._storage = parts.storage
        self._boot = parts.boot
        self._deviations = list(parts.deviations)
        self._size = parts.size
        self._witnesses = parts.witnesses
        self._cosigning = 0
        self._events: list[Happened] = []
        self._requests = 0
        self._ports: list[Port] = []
        self._outputs: Outputs | None = None
        self._link: LinkServer | None = None
        self._intake: Intake | None = None
        self._refusals_at = 0
        self._is_stopping = False
        self._watchdog_at = 0
        if parts.owed is not None:
            drafts, why = parts.owed
            log.error("the ledger cannot be written: %s; entries are refused, exits are free", why)
            self._core.owe(drafts, why, parts.clock.now())
        parts.selector.register(parts.inbox, selectors.EVENT_READ, lambda _mask, _tick: None)

    # -- wiring ------------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Take an event from a port, in the loop's own thread."""
        self._events.append(event)

    def take_request(self, session: int, message: Request) -> bool:
        """Take a request from the link, in the loop's own thread; False when this turn has enough of them."""
        cost = LINK_REQUESTS_PER_TURN if isinstance(message, Propose | Prepare) else 1
        if self._requests and self._requests + cost > LINK_REQUESTS_PER_TURN:
            return False
        self._requests += cost
        is_console = self._link is None or self._link.is_console(session)
        self._events.append(LinkRequest(session=session, message=message, is_console=is_console))
        return True

    def fetch(self, session: int, from_seq: int, limit: int) -> None:
        """Ask the committer for a page of records, for a subscriber."""
        self._committer.read(session, from_seq, limit)

    def take_cosign(self, session: int, message: Cosign | AskCosigned) -> bool:
        """Take a witness's line, or the question for them, from the link; False when enough of them wait."""
        if self._cosigning >= COSIGNING_MAX:
            return False
        self._cosigning += 1
        self._committer.ask(lambda ledger: attend(session, message, ledger, self._witnesses.keys))
        return True

    def attach(self, ports: Sequence[Port], outputs: Outputs, link: LinkServer | None, intake: Intake) -> None:
        """The wires, once they exist."""
        self._ports, self._outputs, self._link, self._intake = list(ports), outputs, link, intake
        if link is not None:
            link.grown(self._size)

    def status(self) -> Status:
        """How it stands, for subscribers."""
        now = self._clock.now()
        return Status(
            at_ms=wall_ms(now.at),
            boot=self._boot,
            size=self._size,
            revision=self._engine.policy.revision,
            is_ledger_writable=self._core.is_writable,
            is_clock_trusted=now.is_trusted,
            deviations=self._deviations,
            devices_offline=sorted(self._engine.offline),
            witnesses=self._witnesses.standings(wall_ms(now.at)),
        )

    def key_standings(self) -> tuple[KeyStanding, ...]:
        """The keys of the key store, without the keys."""
        return self._keys.standings()

    # -- life --------------------------------------------------------------------------------------------------

    def run(self, armed: Callable[[], None]) -> None:
        """Serve until asked to stop (SIGTERM, SIGINT). `armed` is called once the doors are."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        self._committer.start()
        self._store.start()
        self._pins.start()
        self._keys.start()
        self._store.follow(self._engine.policy)
        tick_ms = self._clock.now().tick_ms
        for port in self._ports:
            port.tick(tick_ms)
        notify("READY=1")
        armed()
        while not self._is_stopping:
            self.turn()
        self._stop()

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._is_stopping = True
        self._inbox.wake()

    def turn(self) -> None:
        """One turn of the loop."""
        for key, mask in self._selector.select(self._timeout_s()):
            key.data(mask, self._clock.tick_ms())
        waiting, refused = self._inbox.drain(max(0, EVENTS_PER_TURN - len(self._events)))
        now = self._clock.now()
        for port in self._ports:
            port.tick(now.tick_ms)
        for report in waiting:
            self._report(report, now)
        self._core.watch(now)  # after the reports: a loop that was late must not be taken for a stalled disk
        self._record_refusals(refused, now)
        self._requests = 0
        events, self._events = self._events[:EVENTS_PER_TURN], self._events[EVENTS_PER_TURN:]
        self._core.take(events, now)
        if (phases := self._engine.take_phases()) and self._outputs is not None:
            self._outputs.show_phases(phases)
        for port in self._ports:
            port.answer(now.tick_ms)
        if self._link is not None:
            self._link.tick(now.tick_ms, self.status)
        if now.tick_ms >= self._watchdog_at:
            self._watchdog_at = now.tick_ms + WATCHDOG_MS
            notify("WATCHDOG=1")
            self._guard.watch()
            if self._storage is not None:
                self._core.record(self._storage.watch(now), now)

    def _record_refusals(self, refused: int, now: Moment) -> None:
        """Say what was not taken in: at once for a full inbox, and once a second for readers that flood."""
        drafts = [self._scribe.draft("INBOX_FULL", now=now, detail={"count": refused})] if refused else []
        if self._intake is not None and now.tick_ms >= self._refusals_at:
            self._refusals_at = now.tick_ms + REFUSALS_MS
            for device, count in self._intake.refused().items():
                drafts.append(self._scribe.draft("READS_REFUSED", now=now, detail={"device": device, "count": count}))
        self._core.record(drafts, now)

    def _report(self, report: Any, now: Moment) -> None:
        """Something came from another thread: an outcome of the committer's, a reader's event, the store's word."""
        match report:
            case Committed() | CommitFailed():
                if isinstance(report, CommitFailed):
                    log.error("the ledger cannot be written: %s", report.why)
                self._core.settle(report, now)
                if isinstance(report, Committed):
                    self._size = report.size
                    self._witnesses.grown(report.size, wall_ms(now.at))
                    if self._link is not None:
                        self._link.grown(report.size)
            case PageRead(session=session, from_seq=from_seq, records=records):
                if self._link is not None:
                    self._link.page(session, from_seq, records, now.tick_ms)
            case Attended(session=session, answer=answer, vouched=vouched):
                self._cosigning -= 1
                self._witnesses.vouched(vouched)
                if self._link is not None:
                    self._link.send(session, answer)
            case StoreReport(why=why):
                type_, detail = ("SITE_STORE_FAILED", {"why": why[:200]}) if why else ("SITE_STORE_RESTORED", None)
                self._core.record([self._scribe.draft(type_, now=now, detail=detail)], now)
            case _:
                self._events.append(report)

    def _perform(self, effect: Effect, now: Moment) -> tuple[str, str] | None:
        """Carry an effect out; (device, why) where it could not be."""
        if isinstance(effect, Answer):
            if self._link is not None:
                self._link.send(effect.session, effect.message)
            return None
        if isinstance(effect, KeyJob):
            self._keys.submit(effect)
            return None
        if isinstance(effect, LogEffect):
            self._committer.take(effect)
            return None
        if self._outputs is None or not (why := self._outputs.perform(effect, now)):
            return None
        if isinstance(effect, RenewKey):
            self.emit(KeyRenewed(source=effect.reader, is_done=False))
        return self._outputs.device_of(effect), why

    def _timeout_s(self) -> float:
        if self._events:
            return 0.0
        now_ms = self._clock.tick_ms()
        due = [self._core.deadline(), now_ms + WATCHDOG_MS]
        due += [port.deadline() for port in self._ports]
        if self._link is not None:
            due.append(self._link.deadline(now_ms))
        return max(0, min(tick for tick in due if tick is not None) - now_ms) / 1000

    def _stop(self) -> None:
        """Say so in the ledger, switch everything off, let the disk catch up."""
        notify("STOPPING=1")
        now = self._clock.now()
        if self._core.is_writable:
            self._core.record([self._scribe.draft("CONTROLLER_STOPPED", now=now)], now)
        if self._outputs is not None:
            self._outputs.all_off(now)
        for port in self._ports:
            port.close(now.tick_ms)
        if self._link is not None:
            self._link.close()
        self._pins.stop()
        self._setter.stop()
        self._keys.stop()
        self._store.stop()
        self._committer.stop()
        self._committer.join(timeout=10)
        self._store.join(timeout=5)


def notify(state: str) -> None:
    """Tell systemd how it stands, where it asked to be told (sd_notify(3))."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        try:
            connection.sendto(state.encode(), "\0" + path[1:] if path.startswith("@") else path)
        except OSError as error:
            log.warning("systemd does not listen: %s", error)
