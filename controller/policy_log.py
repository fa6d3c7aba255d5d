"""Revisions: a policy is the fold of the edits in the ledger, and its revision is the hash of that history (P8).

revision(n) = SHA-256(revision(n-1) ‖ canonical edit), in hex; the first one is sixty-four zeros.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.ledger.canonical import canonical
from controller.link.rows import doc_to_row, row_to_doc
from zones.edits import apply
from zones.policy import EMPTY, Edit, EditRefused, Policy

FIRST_REVISION: Final = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyAt:
    """A policy, its revision, and the ledger record that made it (-1 before the first)."""

    policy: Policy = EMPTY
    revision: str = FIRST_REVISION
    seq: int = -1

    def after(self, doc: dict[str, Any], seq: int) -> PolicyAt:
        """The policy after an edit in its document form. Raises EditRefused."""
        policy = apply(self.policy, edit_from_doc(doc))
        return PolicyAt(policy=policy, revision=next_revision(self.revision, doc), seq=seq)


def next_revision(revision: str, doc: dict[str, Any]) -> str:
    """The name of the policy that follows `revision` by the edit `doc`."""
    return hashlib.sha256(bytes.fromhex(revision) + canonical(doc)).hexdigest()


def edit_to_doc(edit: Edit) -> dict[str, Any]:
    """An edit as it stands in a POLICY_EDITED record."""
    puts = [list(row_to_doc(row)) for row in edit.puts]
    return {"puts": puts, "drops": [list(drop) for drop in edit.drops]}


def edit_from_doc(doc: dict[str, Any]) -> Edit:
    """The edit of a document. Raises EditRefused naming table, row and field."""
    puts: Sequence[Any] = doc.get("puts", ())
    drops: Sequence[Any] = doc.get("drops", ())
    try:
        return Edit(
            puts=tuple(doc_to_row(table, row) for table, row in puts),
            drops=tuple((str(table), str(row)) for table, row in drops),
        )
    except (TypeError, ValueError) as error:
        if isinstance(error, EditRefused):
            raise
        raise EditRefused("edit", "?", "puts", f"is malformed: {error}") from error
