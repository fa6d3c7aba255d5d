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
from collections.abc import Callable, Sequence
from typing import Any, Final

from controller.clock import Clock, wall_ms
from controller.committer import Committed, CommitFailed, Committer, PageRead
from controller.desk import LinkRequest
from controller.engine import Engine
from controller.inbox import Inbox
from controller.ledger.body import Scribe
from controller.link.messages import Command, Note, Propose, Status
from controller.link.server import LinkServer
from controller.outbox import Outbox
from controller.outputs import Outputs
from controller.policy_log import PolicyAt
from controller.ports import Port
from controller.site.store import SiteStore
from controller.turn import AfterEdit, Answer, Effect, Turn
from readers.events import Event
from zones.moment import Moment

log = logging.getLogger(__name__)

EVENTS_PER_TURN: Final = 512
LINK_REQUESTS_PER_TURN: Final = 64
WATCHDOG_MS: Final = 2_000


class StoreReport:
    """What the site store has to say: "" when site.db can be written again."""

    def __init__(self, why: str) -> None:
        self.why = why


class Runtime:
    """Everything wired together; `run` is the controller's life.

    Args: the parts, made by `controller.boot`. `deviations` stand in every status.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        engine: Engine,
        scribe: Scribe,
        inbox: Inbox,
        selector: selectors.BaseSelector,
        committer: Committer,
        store: SiteStore,
        boot: str,
        deviations: Sequence[str],
        size: int,
        guard: object = None,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._scribe = scribe
        self._inbox = inbox
        self._selector = selector
        self._committer = committer
        self._outbox = Outbox(scribe, committer.submit)
        self._store = store
        self._boot = boot
        self._deviations = list(deviations)
        self._size = size
        self._guard = guard  # it switches the boards off when nobody holds it any more
        self._events: list[Event | LinkRequest] = []
        self._requests = 0
        self._ports: list[Port] = []
        self._outputs: Outputs | None = None
        self._link: LinkServer | None = None
        self._is_stopping = False
        self._watchdog_at = 0
        selector.register(inbox, selectors.EVENT_READ, lambda _mask, _tick: None)

    # -- wiring ------------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> None:
        """Take an event from a port, in the loop's own thread."""
        self._events.append(event)

    def take_request(self, session: int, message: Propose | Command | Note) -> bool:
        """Take a request from the link, in the loop's own thread; False when this turn has enough of them."""
        if self._requests >= LINK_REQUESTS_PER_TURN:
            return False
        self._requests += 1
        self._events.append(LinkRequest(session=session, message=message))
        return True

    def fetch(self, session: int, from_seq: int, limit: int) -> None:
        """Ask the committer for a page of records, for a subscriber."""
        self._committer.read(session, from_seq, limit)

    def attach(self, ports: Sequence[Port], outputs: Outputs, link: LinkServer | None) -> None:
        """The wires, once they exist."""
        self._ports, self._outputs, self._link = list(ports), outputs, link
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
            is_ledger_writable=self._outbox.is_writable,
            is_clock_trusted=now.is_trusted,
            deviations=self._deviations,
            devices_offline=sorted(self._engine.offline),
        )

    # -- life --------------------------------------------------------------------------------------------------

    def run(self, armed: Callable[[], None]) -> None:
        """Serve until asked to stop (SIGTERM, SIGINT). `armed` is called once the doors are."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask_to_stop)
        self._committer.start()
        self._store.start()
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
            key.data(mask, self._clock.now().tick_ms)
        waiting, refused = self._inbox.drain()
        now = self._clock.now()
        for port in self._ports:
            port.tick(now.tick_ms)
        self._outbox.watch(now)
        for report in waiting:
            self._report(report, now)
        if refused:
            self._push(Turn(records=[self._scribe.draft("INBOX_FULL", now=now, detail={"count": refused})]), now)
        self._decide(now)
        if self._link is not None:
            self._link.tick(now.tick_ms, self.status)
        if now.tick_ms >= self._watchdog_at:
            self._watchdog_at = now.tick_ms + WATCHDOG_MS
            notify("WATCHDOG=1")

    def _decide(self, now: Moment) -> None:
        self._requests = 0
        self._engine.is_writable = self._outbox.is_writable
        events, self._events = self._events[:EVENTS_PER_TURN], self._events[EVENTS_PER_TURN:]
        due = self._engine.deadline()
        if events or (due is not None and due <= now.tick_ms) or now.is_trusted is not self._engine.clock_was_trusted:
            self._push(self._engine.take(events, now), now)

    def _report(self, report: Any, now: Moment) -> None:
        """Something came back from another thread: an outcome of the committer's, a reader's event, the store's word."""
        match report:
            case Committed(turn=turn, first_seq=first_seq, size=size):
                self._size = size
                self._outbox.settled(now)
                was_writable = self._outbox.is_writable
                out = self._engine.committed(turn, first_seq, now)
                if any(isinstance(after, AfterEdit) for after in turn.after):
                    self._follow(self._engine.policy)
                if not was_writable:
                    self._outbox.recovered(now)
                self._push(out, now)
                if self._link is not None:
                    self._link.grown(size)
            case CommitFailed(turn=turn, why=why):
                log.error("the ledger cannot be written: %s", why)
                self._outbox.settled(now)
                out = self._engine.failed(turn, now)
                self._perform(out.urgent, now)
                self._outbox.owe(out.records, why, now)
            case PageRead(session=session, from_seq=from_seq, records=records):
                if self._link is not None:
                    self._link.page(session, from_seq, records, now.tick_ms)
            case StoreReport(why=why):
                type_, detail = ("SITE_STORE_FAILED", {"why": why[:200]}) if why else ("SITE_STORE_RESTORED", None)
                self._push(Turn(records=[self._scribe.draft(type_, now=now, detail=detail)]), now)
            case _:
                self._events.append(report)

    def _follow(self, policy: PolicyAt) -> None:
        self._store.follow(policy)

    def _push(self, turn: Turn, now: Moment) -> None:
        """Exits, OFFs and answers go out at once; then the records are handed over."""
        failures = self._perform(turn.urgent, now)
        for device, why in failures:
            turn.record(self._scribe.draft("OUTPUT_FAILED", now=now, detail={"device": device, "why": why}))
        self._outbox.push(turn, now)

    def _perform(self, effects: Sequence[Effect], now: Moment) -> list[tuple[str, str]]:
        failures: list[tuple[str, str]] = []
        for effect in effects:
            if isinstance(effect, Answer):
                if self._link is not None:
                    self._link.send(effect.session, effect.message)
            elif self._outputs is not None and (why := self._outputs.perform(effect, now)):
                failures.append((self._outputs.device_of(effect), why))
        return failures

    def _timeout_s(self) -> float:
        if self._events:
            return 0.0
        now_ms = self._clock.now().tick_ms
        due = [self._engine.deadline(), self._outbox.deadline(), now_ms + WATCHDOG_MS]
        due += [port.deadline() for port in self._ports]
        if self._link is not None:
            due.append(self._link.deadline(now_ms))
        return max(0, min(tick for tick in due if tick is not None) - now_ms) / 1000

    def _stop(self) -> None:
        """Say so in the ledger, switch everything off, let the disk catch up."""
        notify("STOPPING=1")
        now = self._clock.now()
        if self._outbox.is_writable:
            self._outbox.push(Turn(records=[self._scribe.draft("CONTROLLER_STOPPED", now=now)]), now)
        for port in self._ports:
            port.close(now.tick_ms)
        if self._link is not None:
            self._link.close()
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
