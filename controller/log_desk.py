"""Who administers the log, and what is dropped when (docs/ledger.md §10, docs/retention.md; A-29, E-15, D-23).

Holds, their end, and a purge are ordered at the console alone, by an auditor alone; an auditor edits nothing else. Once
a day by the reckoned time (`controller.retention`) what is due is looked for; PURGED is recorded; and only when that is
durable do the bodies go. While the clock or the disk is not trusted nothing is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from controller.clock import wall_ms
from controller.ledger.body import Draft
from controller.ledger.canonical import INTEGER_MAX
from controller.link.messages import LOG_ORDERS, Done, LogOrder, Refused
from controller.log_chores import BodiesDropped, DropBodies, ExpiredFound, FindExpired, LearnLog, LogLearnt
from controller.retention import DAY_MS, EVER, Due, Hold, Holds, Reckoning, cutoffs, terms_of
from controller.standing import Standing
from controller.turn import AfterHold, AfterPurge, Answer, Turn
from zones.ids import ID_PATTERN
from zones.moment import Moment

LOOK_MS: Final = 3_600_000
"""How often it is asked whether a day went by."""

BY_ITSELF: Final = "controller"
"""Who is named where nobody ordered a purge."""

ALARMING: Final = frozenset({"not_here", "not_your_role", "two_people"})
"""Refusals of a LogOrder that are an alarm: somebody tried to do what is not his to do."""

_NAME: Final = re.compile(ID_PATTERN)

_NOTHING: Final = Due(class_="access", ranges=(), count=0)
"""What a purge says that found nothing."""

Complaint = tuple[str, str, str | None]
"""Code, sentence, field at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSetup:
    """What the site file and the start say. `latest_ms`: the last time that the ledger holds and a clock that was
    trusted gave; None where it holds none.
    """

    auditors: frozenset[str] = frozenset()
    terms_days: Mapping[str, int] = field(default_factory=lambda: MappingProxyType(terms_of({})))
    latest_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A look for what is due. `holds`: those that it went by."""

    reckoned_ms: int
    tick_ms: int
    holds: Holds
    id: str
    code: str = "daily"
    officer: str = BY_ITSELF
    session: int | None = None


class LogDesk:
    """Judges orders about the log and keeps the daily purge. One thread owns it.

    Args:
        standing: what the parts of the engine share.
        boot: this start's id; daily purges are named after it.
        setup: None: nothing is dropped and nobody may order anything (a part of the engine in a test of others).
    """

    def __init__(self, standing: Standing, boot: str, setup: LogSetup | None) -> None:
        self._standing = standing
        self._boot = boot
        self._setup = setup
        self._holds: Holds = {}
        self._reckoning: Reckoning | None = None
        self._from_seq = 0
        self._run: _Run | None = None
        self._is_dropping = False
        self._runs = 0
        self._look_tick = None if setup is None else 0

    # -- orders ------------------------------------------------------------------------------------------------

    def is_auditor(self, officer: str) -> bool:
        """Whether this officer administers the log, and so edits nothing (A-29)."""
        return self._setup is not None and officer in self._setup.auditors

    def complaint(self, order: LogOrder, now: Moment, *, is_console: bool) -> Complaint | None:
        """Why an order is refused; None: it is carried out."""
        if not is_console:
            return "not_here", "the log is administered at the controller itself, by root or its own account", None
        if not self.is_auditor(order.officer):
            return "not_your_role", "the log is administered by its auditors ([ledger] auditors in the site file)", None
        if order.act not in LOG_ORDERS:
            return "protocol", f"act must be one of {', '.join(LOG_ORDERS)}", "act"
        if LOG_ORDERS[order.act] and (order.second in (None, order.officer) or not self.is_auditor(order.second or "")):
            return "two_people", "another auditor must agree", "second"
        if self._reckoning is None:
            return "busy", "the ledger is still being read for earlier holds; try again", None
        return self._complaint_of_purge(now) if order.act == "purge" else self._complaint_of_hold(order)

    def _complaint_of_hold(self, order: LogOrder) -> Complaint | None:
        if not _NAME.fullmatch(order.hold):
            return "protocol", "a hold's name has lower-case letters, digits and dashes", "hold"
        if order.act == "hold_off":
            known = ", ".join(sorted(self._holds)) or "none"
            return None if order.hold in self._holds else ("unknown_hold", f"there is no such hold; {known}", "hold")
        if order.hold in self._holds:
            return "repeated", "there is a hold of this name already", "hold"
        until_ms = EVER if order.until_ms is None else order.until_ms
        if not -INTEGER_MAX <= order.from_ms <= until_ms <= INTEGER_MAX:
            return "protocol", "a hold ends after it begins", "until_ms"
        return None

    def _complaint_of_purge(self, now: Moment) -> Complaint | None:
        if not now.is_trusted:
            return "clock_untrusted", "nothing is dropped by a clock that is not trusted", None
        if self._run is not None or self._is_dropping:
            return "busy", "a purge is under way", None
        return None

    def record_order(self, session: int, order: LogOrder, now: Moment, turn: Turn) -> None:
        """Carry out an order without a complaint. A hold holds at once; its end, when that is durable."""
        if order.act == "purge":
            self._begin(order.id, order.officer, session, now, turn)
            return
        is_on = order.act == "hold_on"
        detail = {"id": order.id, "hold": order.hold, "officer2": order.second}
        if is_on:
            detail |= {"from_ms": order.from_ms, "until_ms": order.until_ms}  # type: ignore[dict-item]
            until_ms = EVER if order.until_ms is None else order.until_ms
            hold = Hold(id=order.hold, from_ms=order.from_ms, until_ms=until_ms, officer=order.officer)
            self._holds = {**self._holds, hold.id: hold}
        type_ = "LEGAL_HOLD_ON" if is_on else "LEGAL_HOLD_OFF"
        draft = self._standing.scribe.draft(type_, now=now, officer=order.officer, detail=detail)
        index = self._standing.record(draft, turn)
        turn.after.append(AfterHold(index=index, session=session, request_id=order.id, hold=order.hold, is_on=is_on))

    def refusal(self, order: LogOrder, code: str, id_: str, now: Moment, officer: str) -> Draft | None:
        """The alarm about somebody who tried to administer the log and may not; None: an ordinary refusal."""
        if code not in ALARMING:
            return None
        act = order.act if order.act in LOG_ORDERS else "unknown"
        detail = {"id": id_, "act": act, "code": code}
        return self._standing.scribe.draft("LOG_ADMIN_REFUSED", now=now, officer=officer, detail=detail)

    # -- the daily purge -----------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """The next tick (ms) at which `pass_time` has something to do."""
        return self._look_tick

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Ask what the ledger tells, once; then look whether a day went by, every hour."""
        if self._look_tick is None or now.tick_ms < self._look_tick:
            return
        self._look_tick = now.tick_ms + LOOK_MS
        if self._reckoning is None:
            turn.urgent.append(LearnLog())
            return
        if self._complaint_of_purge(now) is not None or not self._standing.is_writable:
            return
        gone_ms = self._reckoning.now_ms(wall_ms(now.at), now.tick_ms) - self._reckoning.at_ms
        if abs(gone_ms) >= DAY_MS:  # a clock that was ahead and was put right: from here on by the right one
            self._runs += 1
            self._begin(f"purge-{self._boot}-{self._runs}", BY_ITSELF, None, now, turn)

    def learnt(self, report: LogLearnt, now: Moment, turn: Turn) -> None:
        """What the ledger tells of purges and holds. What the last purge named is dropped again: a crash may have come
        between. Not so where anything is held: the hold may be younger than the purge, and what may still go is found
        by the next one.
        """
        if report.why or self._setup is None:
            return  # asked again at the next look
        latest_ms = self._setup.latest_ms if report.reckoned_ms is None else report.reckoned_ms
        if latest_ms is None and not now.is_trusted:
            return  # a new ledger, and nobody knows yet what time it is
        self._reckoning = Reckoning(at_ms=wall_ms(now.at) if latest_ms is None else latest_ms, tick_ms=now.tick_ms)
        self._holds = report.holds
        if report.reckoned_ms is None:
            self._record_beginning(now, turn)
        if report.purged and not report.holds:
            self._is_dropping = True
            turn.urgent.append(DropBodies(report.purged, is_again=True))

    def _record_beginning(self, now: Moment, turn: Turn) -> None:
        """Say at once from when terms are reckoned: the next start goes by this, and not by what a clock that somebody
        set meanwhile wrote into the newest record.
        """
        assert self._reckoning is not None, "just set"
        if self._standing.is_writable:
            run = _Run(
                reckoned_ms=self._reckoning.at_ms,
                tick_ms=self._reckoning.tick_ms,
                holds=self._holds,
                id=f"purge-{self._boot}-0",
                code="begun",
            )
            self._record(run, _NOTHING, (_NOTHING,), now, turn)

    def _begin(self, id_: str, officer: str, session: int | None, now: Moment, turn: Turn) -> None:
        assert self._setup is not None and self._reckoning is not None, "looked at by the callers"
        reckoned_ms = self._reckoning.now_ms(wall_ms(now.at), now.tick_ms)
        self._run = _Run(
            reckoned_ms=reckoned_ms, tick_ms=now.tick_ms, holds=self._holds, id=id_, officer=officer, session=session
        )
        due_before = cutoffs(self._setup.terms_days, reckoned_ms)
        turn.urgent.append(FindExpired(from_seq=self._from_seq, cutoffs_ms=due_before, holds=self._holds.values()))

    def found(self, report: ExpiredFound, now: Moment, turn: Turn) -> None:
        """What is due is recorded; nothing is dropped yet. Where a hold came meanwhile, it is looked for again."""
        run, self._run = self._run, None
        if run is None:
            return
        if report.why or run.holds is not self._holds or not now.is_trusted or not self._standing.is_writable:
            self._look_tick = now.tick_ms + LOOK_MS
            if run.session is not None:
                why = report.why or "a hold, the clock or the disk changed meanwhile; ask again"
                turn.urgent.append(Answer(session=run.session, message=Refused(id=run.id, code="busy", why=why[:200])))
            return
        self._from_seq = report.next_seq
        self._is_dropping = True
        whole = report.due or (_NOTHING,)
        for due in whole:
            self._record(run, due, whole if due is whole[-1] else (), now, turn)

    def _record(self, run: _Run, due: Due, whole: tuple[Due, ...], now: Moment, turn: Turn) -> None:
        """The record of what is due in one class; with the last of them all of it may go (`whole`)."""
        assert self._setup is not None, "there are no runs without it"
        detail = {
            "id": run.id,
            "code": "ordered" if run.session is not None else run.code,
            "of_class": due.class_,
            "ranges": due.ranges,
            "count": due.count,
            "term_days": self._setup.terms_days[due.class_],
            "reckoned_ms": run.reckoned_ms,
        }
        draft = self._standing.scribe.draft("PURGED", now=now, officer=run.officer, detail=detail)
        after = AfterPurge(
            index=self._standing.record(draft, turn),
            whole=whole,
            reckoned=Reckoning(at_ms=run.reckoned_ms, tick_ms=run.tick_ms),
            session=run.session if whole else None,
            request_id=run.id,
        )
        turn.after.append(after)

    def dropped(self, report: BodiesDropped, now: Moment, turn: Turn) -> None:
        """The bodies are gone, or will be at the next start, which does it again."""
        del report, now, turn
        self._is_dropping = False

    # -- what became of a record ---------------------------------------------------------------------------------

    def recorded(self, after: AfterHold | AfterPurge, seq: int, out: Turn) -> None:
        """It is durable: what it says is done."""
        if isinstance(after, AfterHold):
            if not after.is_on:
                self._holds = {name: hold for name, hold in self._holds.items() if name != after.hold}
        else:
            self._reckoning = after.reckoned
            going = tuple(due for due in after.whole if due.ranges)
            if going:
                out.urgent.append(DropBodies(going))
            elif after.whole:
                self._is_dropping = False
        if after.session is not None:
            out.urgent.append(Answer(session=after.session, message=Done(id=after.request_id, seq=seq)))

    def not_recorded(self, after: AfterHold | AfterPurge) -> None:
        """It is not in the ledger: it is not so."""
        if isinstance(after, AfterHold):
            if after.is_on:
                self._holds = {name: hold for name, hold in self._holds.items() if name != after.hold}
        else:
            self._is_dropping = False
