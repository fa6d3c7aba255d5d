"""Which officers there are today, as the view has them: posts, passkeys, and the zones that each answers for.

Read once for each revision of the policy, and at least every AGE_S_MAX: a view that is folded anew passes through
revisions that it had before.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, cast

from api.view import View
from api.words import moment_of
from controller.link.rows import doc_to_row
from zones.authority import posts_of
from zones.ids import OfficerId
from zones.officers import Officer, OfficerKey, Role
from zones.policy import EditRefused, Policy

AGE_S_MAX: Final = 2.0


def now_ms() -> int:
    """Wall clock, milliseconds."""
    return time.time_ns() // 1_000_000


def today() -> date:
    """The day in Japan (D-30)."""
    at = moment_of(now_ms())
    assert at is not None
    return at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    revision: str
    tick: float
    policy: Policy
    keys: Mapping[str, OfficerKey]
    insides: Mapping[str, frozenset[str]]


class Posts:
    """The officers of the view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._read: _Read | None = None

    def is_empty(self) -> bool:
        """Whether nobody has a post yet: the site was just installed."""
        return not self._now().policy.officers

    def officers(self) -> list[Officer]:
        """Everybody who has or had a post, by id."""
        return sorted(self._now().policy.officers.values(), key=lambda one: one.id)

    def officer(self, id: str) -> Officer | None:
        """Somebody who is in post today."""
        found = self._now().policy.officers.get(OfficerId(id))
        return found if found is not None and found.is_in_post(today()) else None

    def is_over(self, id: str) -> bool:
        """Whether somebody was in post and is not any more: known to the view, which is not being folded anew."""
        found = self._now().policy.officers.get(OfficerId(id))
        return found is not None and not found.is_in_post(today())

    def roles(self, officer: Officer) -> frozenset[Role]:
        """The posts that he fills today, deputies included (D-07)."""
        return posts_of(self._now().policy, officer, today())

    def zones(self, officer: Officer) -> frozenset[str] | None:
        """The zones that he answers for, with what is nested in them; None: he is bound to none."""
        if Role.WORK_MANAGER not in self.roles(officer) or Role.PROTECTION_OFFICER in self.roles(officer):
            return None
        insides = self._now().insides
        return frozenset(inner for zone in officer.zones for inner in insides.get(zone, ()))

    def key(self, credential: str) -> OfficerKey | None:
        """The passkey with this credential id (hex), where it was not ended."""
        found = self._now().keys.get(credential)
        return None if found is None or (found.ended_on is not None and found.ended_on <= today()) else found

    def keys_of(self, officer: str) -> list[OfficerKey]:
        """Passkeys of one officer that were not ended."""
        return [key for key in self._now().keys.values() if key.officer == officer and self.key(key.credential)]

    def _now(self) -> _Read:
        with self._lock:
            revision, tick = self._view.revision, time.monotonic()
            if self._read is None or self._read.revision != revision or tick - self._read.tick > AGE_S_MAX:
                self._read = self._fresh(revision, tick)
            return self._read

    def _fresh(self, revision: str, tick: float) -> _Read:
        officers = [cast("Officer", row) for row in self._rows("officer")]
        keys = [cast("OfficerKey", row) for row in self._rows("officer_key")]
        return _Read(
            revision=revision, tick=tick, policy=Policy(officers={one.id: one for one in officers}),
            keys={key.credential: key for key in keys}, insides=insides_of(self._view.rows("zone")),
        )  # fmt: skip

    def _rows(self, table: str) -> list[Any]:
        found = []
        for doc in self._view.rows(table):
            try:
                found.append(doc_to_row(table, doc))
            except EditRefused:  # written by a newer controller: whom we cannot read, we do not let in
                continue
        return found


def insides_of(zones: list[dict[str, Any]]) -> dict[str, frozenset[str]]:
    """Zone -> itself and every zone nested in it."""
    parents: dict[str, str | None] = {doc["id"]: doc.get("parent") for doc in zones}
    inside: dict[str, set[str]] = {zone: {zone} for zone in parents}
    for zone, parent in parents.items():
        outer, seen = parent, {zone}
        while outer is not None and outer in parents and outer not in seen:
            inside[outer].add(zone)
            seen.add(outer)
            outer = parents[outer]
    return {zone: frozenset(inner) for zone, inner in inside.items()}
