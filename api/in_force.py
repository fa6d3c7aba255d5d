"""The policy in force as one value, so that a change can be weighed before anybody signs it: folded from the rows of
the view, kept, and moved on by what was changed since. The controller judges again by its own.

Of PINs the view knows that there are some: what stands for one here is no PIN.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from api.view import View
from controller.link.rows import doc_to_row
from zones.edits import apply
from zones.policy import EMPTY, Edit, EditRefused, Policy

NO_PIN: Final = {"salt": "00" * 16, "pin_hash": "00" * 32}
_MOVED_MAX: Final = 500
"""More rows than that at once: it is folded anew."""


class InForce:
    """Reads `view`. Any thread."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._lock = threading.Lock()
        self._policy = EMPTY
        self._revision = ""
        self._seq = -1
        self._vkey = ""

    def policy(self) -> tuple[str, Policy]:
        """Its revision and itself. Raises EditRefused where the view's rows make no policy."""
        with self._lock:
            view = self._view
            if view.revision == self._revision and view.vkey == self._vkey:
                return self._revision, self._policy
            if view.vkey != self._vkey or not self._revision or not self._moved():
                seq, revision, rows = view.policy_rows()
                self._policy = apply(EMPTY, Edit(puts=tuple(_row(table, doc) for table, doc in rows)))
                self._seq, self._revision, self._vkey = seq, revision, view.vkey
            return self._revision, self._policy

    def _moved(self) -> bool:
        """Lay what was changed on top; whether that was possible."""
        seq, revision, places = self._view.policy_changes(self._seq)
        if places is None or len(places) > _MOVED_MAX:
            return False
        snapshot = self._view.snapshot(*places)
        if snapshot.revision != revision or len(snapshot.rows) != len(places):
            return False
        try:
            puts = tuple(_row(table, doc) for (table, _), doc in snapshot.rows.items())
            self._policy = apply(self._policy, Edit(puts=puts))
        except EditRefused:
            return False
        self._seq, self._revision = seq, revision
        return True


def _row(table: str, doc: dict[str, Any]) -> Any:
    return doc_to_row(table, {**NO_PIN, **doc} if table == "pin" else doc)
