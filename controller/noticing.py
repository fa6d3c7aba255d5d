"""What is unusual, told by the records as they are drafted (A-14): the engine's side of `zones.unusual`.

It learns from records alone, so that whoever folds the ledger again finds the same. After a start nothing is certain
(B-07), and so nothing is remembered either: tries of the last half hour are counted anew.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from controller.ledger.body import Body, Draft, Scribe
from zones.decision import Reason
from zones.ids import CardholderId, PortalId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.policy import Policy
from zones.unusual import Habits, Noticed, Passage, Seen, due_in_ms, looked, passed, refused, strayed

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Noticing:
    """Follows one site's records. One thread owns it."""

    def __init__(self, habits: Habits | None = None) -> None:
        self._habits = habits or Habits()
        self._seen = Seen()
        self._found: list[Noticed] = []
        self._due_tick: int | None = None

    def follow(self, before: Occupancy, policy: Policy, body: Body) -> None:
        """Learn from a record; `before`: what was known of places until then."""
        if body.type not in ("PASSAGE", "ACCESS_DENIED") or body.subject is None or body.subject.cardholder is None:
            return
        if body.portal is None or body.zone is None:
            return
        who, now = CardholderId(body.subject.cardholder), _moment_of(body)
        passage = Passage(cardholder=who, portal=PortalId(body.portal), zone=ZoneId(body.zone))
        if body.type == "PASSAGE":
            self._seen, found = passed(self._seen, self._habits, policy, before, passage, now)
        elif _has_no_place(body):
            self._seen, found = refused(self._seen, self._habits, passage, now)
        elif body.reason == Reason.OUT_OF_SEQUENCE:
            self._seen, found = strayed(self._seen, self._habits, passage, now)
        else:
            return
        self._found += found
        self._due_tick = 0

    def take(self, occupancy: Occupancy, scribe: Scribe, now: Moment) -> list[Draft]:
        """Records of what was noticed since, stays that have become too long among it."""
        if not self._found and (self._due_tick is None or now.tick_ms < self._due_tick):
            return []
        self._seen, overlong = looked(self._seen, self._habits, occupancy, now)
        found, self._found = [*self._found, *overlong], []
        due_in = due_in_ms(self._seen, self._habits, now)
        self._due_tick = None if due_in is None else now.tick_ms + due_in
        return [
            scribe.draft(
                "UNUSUAL", now=now, zone=one.zone, portal=one.portal, cardholder=one.cardholder,
                detail={"code": str(one.code), "count": one.count, "minutes": one.minutes},
            )
            for one in found
        ]  # fmt: skip

    def deadline(self) -> int | None:
        """The next tick (ms) at which a stay becomes too long, or None."""
        return self._due_tick


def _has_no_place(body: Body) -> bool:
    """Whether somebody was refused because he is not on the list of the zone: what else was wrong does not matter."""
    return body.trace is not None and any(reason == Reason.NOT_ON_ROSTER for _, reason in body.trace.failed)


def _moment_of(body: Body) -> Moment:
    """When a record was made, as whoever reads it again finds it: no tick is in it."""
    return Moment(at=_EPOCH + timedelta(milliseconds=body.at_ms), tick_ms=0, is_trusted=body.clock == "trusted")
