"""How a site stands from moment to moment: the policy in force, presence, PIN misses, and whether it can be recorded.

Presence and misses are never set: they follow the records, in the order in which those are handed over, by the same
fold that a replay uses (`controller.link.follow`, P8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from controller.ledger.body import Body, Draft, Scribe
from controller.link.follow import MOVES, followed
from controller.noticing import Noticing
from controller.pins import PinMisses
from controller.policy_log import PolicyAt
from controller.turn import Turn
from zones.ids import CardholderId
from zones.occupancy import Occupancy
from zones.policy import Policy
from zones.unusual import Habits


class Standing:
    """What the parts of the engine share. One thread owns it.

    Args:
        policy: the policy in force and its revision.
        occupancy: last known places, as the ledger told them at the start.
        misses: PINs missed in a row, as the ledger told them.
        scribe: drafts records for this node and boot.
        offline: devices that do not answer.
        habits: what is usual here.
    """

    def __init__(
        self,
        *,
        policy: PolicyAt,
        occupancy: Occupancy,
        misses: PinMisses,
        scribe: Scribe,
        offline: set[str],
        habits: Habits | None = None,
    ) -> None:
        self.at = policy
        self.occupancy = occupancy
        self.misses = misses
        self.scribe = scribe
        self.offline = offline
        self.is_writable = True
        self.noticing = Noticing(habits)
        self._locks: dict[CardholderId, bool] = {}
        self.doubted: set[str] = set()
        """Devices whose enclosure was opened, until the policy in force says so."""

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.at.policy

    def record(self, draft: Draft, turn: Turn) -> int:
        """Add a record to `turn` and follow it; returns its index for an `after`."""
        self.follow(draft.body)
        return turn.record(draft)

    def follow(self, body: Body) -> None:
        """Learn from a record that was, or will be, handed over; from an edit only once it is in force."""
        self.noticing.follow(self.occupancy, self.policy, body)
        if body.type in MOVES:
            doc: Mapping[str, Any] = msgspec.to_builtins(body)
            self.occupancy = followed(self.occupancy, self.policy, doc)
        if body.type != "POLICY_EDITED":
            before, self.misses = self.misses, missed(self.misses, body)
            if self.misses is not before:
                self._note_locks(before)

    def forget(self, grant: str) -> None:
        """The record of a grant could not be written: it stands in the ledger as a refusal, and lets nobody in."""
        self.occupancy = self.occupancy.settled(grant)

    def is_pin_locked(self, who: CardholderId) -> bool:
        """Whether this PIN counts no more: missed too often now, or once, and never lifted since."""
        pin = self.policy.pins.get(who)
        return self.misses.is_locked(who) or (pin is not None and pin.is_locked)

    def take_locks(self) -> dict[CardholderId, bool]:
        """Whose PIN was locked (True) or lifted (False) since the last call: to be put into the policy, which outlives
        a start and any number of records.
        """
        taken, self._locks = self._locks, {}
        return taken

    def _note_locks(self, before: PinMisses) -> None:
        for who in before.in_a_row.keys() | self.misses.in_a_row.keys():
            if before.is_locked(who) is not self.misses.is_locked(who):
                self._locks[who] = self.misses.is_locked(who)

    def adopt(self, policy: PolicyAt, body: Body) -> None:
        """The edit in the record with `body` is in force."""
        self.at = policy
        self.misses = missed(self.misses, body)


def missed(misses: PinMisses, body: Body) -> PinMisses:
    """PINs missed in a row after the record with `body`."""
    who = None if body.subject is None or body.subject.cardholder is None else CardholderId(body.subject.cardholder)
    if body.type in ("ACCESS_GRANTED", "ACCESS_DENIED"):
        for one, pin in _typed(body):
            if pin == "WRONG":
                misses = misses.missed(one)
            elif pin in ("RIGHT", "DURESS"):
                misses = misses.right(one)
        return misses
    if body.type == "PIN_UNLOCKED" and who is not None:
        return misses.lifted(who)
    if body.type == "POLICY_EDITED" and body.detail is not None:
        for table, row in body.detail["edit"]["puts"]:
            if table == "pin":
                misses = misses.lifted(CardholderId(row["id"]))
    return misses


def _typed(body: Body) -> Iterator[tuple[CardholderId, str]]:
    """Whose PIN was asked for in a decision, companions' too, and what came of it."""
    if body.evidence is not None and body.subject is not None and body.subject.cardholder is not None:
        yield CardholderId(body.subject.cardholder), body.evidence.pin
    for companion in body.companions:
        if companion.cardholder is not None:
            yield CardholderId(companion.cardholder), companion.evidence.pin
