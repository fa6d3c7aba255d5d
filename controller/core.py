"""Decide, commit, act, without a wire: engine and outbox together, on whatever clock and committer they are given.

The runtime gives it the machine's clock, the committer's thread and real outputs; a test gives it a virtual clock and
a ledger of its own. There is no other order of things than the one written here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from controller.committer import CommitFailed, Committed
from controller.engine import Engine, Happened
from controller.ledger.body import Draft, Scribe
from controller.outbox import Outbox
from controller.turn import AfterEdit, Effect, Turn
from zones.moment import Moment
from zones.portal import ReleaseStrike, SecureStrike


class Core:
    """What the deciding loop does with events and outcomes.

    Args:
        engine: decides.
        scribe: drafts records.
        submit: hands a turn to the committer; its outcome comes back through `settle`.
        perform: carries an effect out; returns (device, why) where it could not be done, else None.
        in_force: told whenever another policy came into force.
        omitted: record types that this site does not keep.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        scribe: Scribe,
        submit: Callable[[Turn], None],
        perform: Callable[[Effect, Moment], tuple[str, str] | None],
        in_force: Callable[[], None] = lambda: None,
        omitted: Collection[str] = frozenset(),
    ) -> None:
        self.engine = engine
        self._scribe = scribe
        self._outbox = Outbox(scribe, submit, omitted)
        self._perform = perform
        self._in_force = in_force

    @property
    def is_writable(self) -> bool:
        """Whether an entry decided now could be recorded now."""
        return self._outbox.is_writable

    def watch(self, now: Moment) -> None:
        """Notice a stalled disk; try a failed one again."""
        self._outbox.watch(now)

    def take(self, events: Sequence[Happened], now: Moment) -> None:
        """Handle events, and whatever has become due."""
        self.engine.is_writable = self._outbox.is_writable
        if events or self.engine.has_due(now):
            self._push(self.engine.take(events, now), now)

    def settle(self, outcome: Committed | CommitFailed, now: Moment) -> None:
        """The committer's word on a turn: act on it, or undo it."""
        self._outbox.settled()
        self.engine.is_writable = self._outbox.is_writable  # nothing may wait for a ledger that cannot be written
        if isinstance(outcome, CommitFailed):
            out = self.engine.failed(outcome.turn)
            failures = self._do(out.urgent, now)
            self._outbox.owe(out.records + failures, outcome.why, now)
            return
        out = self.engine.committed(outcome.turn, outcome.first_seq, now)
        if any(isinstance(after, AfterEdit) for after in outcome.turn.after):
            self._in_force()
        for draft in self._outbox.recovered(now):
            self.engine.follow(draft)
        self._push(out, now)

    def owe(self, drafts: list[Draft], why: str, now: Moment) -> None:
        """Records that could not be written before this core began: to be written when the disk is back."""
        self._outbox.owe(drafts, why, now)

    def record(self, drafts: Iterable[Draft], now: Moment) -> None:
        """Put records in the ledger that no decision made."""
        self._outbox.push(Turn(records=list(drafts)), now)

    def deadline(self) -> int | None:
        """The next tick (ms) at which `watch` or `take` has something to do."""
        due = [tick for tick in (self.engine.deadline(), self._outbox.deadline()) if tick is not None]
        return min(due, default=None)

    def _push(self, turn: Turn, now: Moment) -> None:
        """Exits, OFFs and answers go out at once; then the records are handed over."""
        turn.records.extend(self._do(turn.urgent, now))
        self._outbox.push(turn, now)

    def _do(self, effects: Sequence[Effect], now: Moment) -> list[Draft]:
        drafts: list[Draft] = []
        for effect in effects:
            if (failure := self._perform(effect, now)) is not None:
                detail = dict(zip(("device", "why"), failure, strict=True))
                portal = effect.portal if isinstance(effect, ReleaseStrike | SecureStrike) else None
                drafts.append(self._scribe.draft("OUTPUT_FAILED", now=now, portal=portal, detail=detail))
        return drafts
