"""By when somebody looks through the log, and who may sign that he has (A-15, docs/ledger.md §11).

An auditor in post, of whom no alarm in what he looked through speaks. What was not looked through within some days of
the last look, or of a grave alarm, is an alarm of its own until it is. State follows the records alone: a start learns
it from the ledger (`LearnReview`), a slice at a time between two commits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from controller.clock import wall_ms
from controller.ledger.body import Body, Draft
from controller.link.messages import REVIEW_OUTCOMES, ReviewLog
from controller.log_chores import ReviewLearnt, Spoken
from controller.review_chore import LearnReview, spoken_of
from controller.standing import Standing
from controller.turn import AfterNote, Turn
from zones.authority import posts_of
from zones.ids import OfficerId
from zones.moment import Moment, here
from zones.officers import Role

DAY_MS: Final = 86_400_000

OVERDUE: Final = "LOG_REVIEW_OVERDUE"
_INCIDENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")

Complaint = tuple[str, str, str | None]
"""Code, sentence, field at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSetup:
    """Within how many days of the last look, and of a grave alarm, the log is looked through."""

    days: int = 7
    after_alarm_days: int = 3


class LogReview:
    """Judges looks through the log, and says when one is overdue. One thread owns it.

    Args:
        standing: what the parts of the engine share.
        setup: None: nobody need look (a part of the engine in a test of others).
    """

    def __init__(self, standing: Standing, setup: ReviewSetup | None) -> None:
        self._standing = standing
        self._setup = setup
        self._is_asked = False
        self._is_known = False
        self._to_seq = -1
        self._newest_seq = -1
        self._reviewed_ms: int | None = None
        self._spoken: list[Spoken] = []
        self._is_told = False
        self._due_tick: int | None = None if setup is None else 0

    # -- looks -------------------------------------------------------------------------------------------------

    def complaint(self, message: ReviewLog, now: Moment) -> Complaint | None:
        """Why a look is not recorded; None: it is."""
        if message.outcome not in REVIEW_OUTCOMES:
            return "protocol", f"outcome must be one of {', '.join(REVIEW_OUTCOMES)}", "outcome"
        if (message.outcome == "incident") is (message.incident is None):
            return "protocol", "an incident is named by its code, and nothing else is", "incident"
        if message.incident is not None and not _INCIDENT.fullmatch(message.incident):
            return "protocol", "an incident's code has 1 to 32 letters, digits and dashes", "incident"
        if not self._is_known:
            return "busy", "the ledger is still being read since the start; try again in a minute", None
        if not self._to_seq < message.to_seq <= self._newest_seq:
            why = f"to_seq must lie after the last look, {self._to_seq}, and not beyond {self._newest_seq}"
            return "protocol", why, "to_seq"
        return self._of_officer(message, now)

    def _of_officer(self, message: ReviewLog, now: Moment) -> Complaint | None:
        policy, day = self._standing.policy, here(now.at).day
        officer = policy.officers.get(OfficerId(message.officer))
        if officer is None or not officer.is_in_post(day):
            return "not_an_officer", "nobody of that name is in post", "officer"
        if Role.AUDITOR not in posts_of(policy, officer, day):
            return "not_your_role", "the log is looked through by an auditor (A-15)", "officer"
        himself = {officer.id, officer.cardholder or officer.id}
        about = next((one.seq for one in self._spoken if one.seq <= message.to_seq and one.people & himself), None)
        if about is not None:
            return "about_himself", f"record {about} speaks of this auditor: another one looks (A-15)", "officer"
        return None

    def record(self, session: int, message: ReviewLog, now: Moment, turn: Turn) -> None:
        """Record a look without a complaint; it counts once it is durable."""
        detail = {
            "id": message.id, "from_seq": self._to_seq + 1, "to_seq": message.to_seq, "code": message.outcome,
            "incident": message.incident,
        }  # fmt: skip
        draft = self._standing.scribe.draft("LOG_REVIEWED", now=now, officer=message.officer, detail=detail)
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=session, request_id=message.id))

    # -- what the records say ----------------------------------------------------------------------------------

    def learnt(self, event: ReviewLearnt, now: Moment, _turn: Turn) -> None:
        """What the ledger told of looks and alarms until it was read."""
        if event.why:
            self._is_asked, self._due_tick = False, now.tick_ms + 60_000
            return
        is_newer = [one for one in self._spoken if one.seq > max((old.seq for old in event.spoken), default=-1)]
        if self._to_seq < event.to_seq or self._reviewed_ms is None:
            self._to_seq = max(self._to_seq, event.to_seq)
            self._reviewed_ms = event.reviewed_ms if self._reviewed_ms is None else self._reviewed_ms
        self._spoken = [one for one in (*event.spoken, *is_newer) if one.seq > self._to_seq]
        if self._reviewed_ms is None:  # nothing is recorded yet: it is counted from now
            self._reviewed_ms = wall_ms(now.at)
        self._newest_seq = max(self._newest_seq, event.newest_seq)
        self._is_known, self._due_tick = True, 0

    def recorded(self, drafts: Iterable[Draft], first_seq: int) -> None:
        """These records are durable."""
        for seq, draft in enumerate(drafts, first_seq):
            self._newest_seq = max(self._newest_seq, seq)
            body = draft.body
            if draft.class_ == "alarm" and body.type != OVERDUE:
                self._spoken.append(spoken_of(seq, msgspec.to_builtins(body)))
                self._due_tick = 0 if self._setup is not None else None
            elif body.type == "LOG_REVIEWED" and body.detail is not None:
                self._reviewed(body)

    def _reviewed(self, body: Body) -> None:
        assert body.detail is not None, "looked at by whoever calls"
        self._to_seq, self._reviewed_ms = body.detail["to_seq"], body.at_ms
        self._spoken = [one for one in self._spoken if one.seq > self._to_seq]
        self._due_tick = 0 if self._setup is not None else None

    # -- time --------------------------------------------------------------------------------------------------

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Say that a look is overdue, or is no more."""
        if self._due_tick is None or now.tick_ms < self._due_tick or self._setup is None:
            return
        if not self._is_asked:
            self._is_asked, self._due_tick = True, None
            turn.urgent.append(LearnReview())
            return
        if not self._is_known or not now.is_trusted:
            self._due_tick = now.tick_ms + 60_000
            return
        left_ms = self._due_ms(self._setup) - wall_ms(now.at)
        if (left_ms <= 0) is not self._is_told:
            self._is_told = left_ms <= 0
            kind = {} if self._is_told else {"kind": OVERDUE}
            draft = self._standing.scribe.draft(OVERDUE if self._is_told else "ALARM_CEASED", now=now, detail=kind)
            self._standing.record(draft, turn)
        self._due_tick = now.tick_ms + min(max(left_ms, 60_000), DAY_MS)

    def deadline(self) -> int | None:
        """The next tick (ms) at which a look may be overdue, or None."""
        return self._due_tick

    def _due_ms(self, setup: ReviewSetup) -> int:
        """By when (epoch ms) somebody looks."""
        last = self._reviewed_ms or 0
        graves = (one.at_ms + setup.after_alarm_days * DAY_MS for one in self._spoken if one.is_grave)
        return min((last + setup.days * DAY_MS, *graves))
