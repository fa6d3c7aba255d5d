"""What was made ready at the console (EDIT_SUGGESTED), for a week: an officer may make it his own change."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from api.access import Who
from api.live import now_ms
from api.problems import Problem
from api.proposals import Proposal, Proposals
from api.tables import ProposalRow, SuggestionRow
from controller.link.messages import EDIT_REASONS

KEPT_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One suggestion: the record's number, whom the console names, why, and the rows."""

    seq: int
    at_ms: int
    officer: str
    reason: str
    puts: tuple[tuple[str, dict[str, Any]], ...]


class Suggestions:
    """Those of api.db at `engine` that nobody has taken up."""

    def __init__(self, engine: Engine, proposals: Proposals) -> None:
        self._engine = engine
        self._proposals = proposals

    def listed(self) -> list[Suggestion]:
        """The newest first."""
        with Session(self._engine) as session:
            taken = select(ProposalRow.suggestion).where(col(ProposalRow.suggestion).is_not(None))
            query = select(SuggestionRow).where(
                SuggestionRow.at_ms > now_ms() - KEPT_MS, col(SuggestionRow.seq).not_in(taken)
            )
            return [_shown(row) for row in session.exec(query.order_by(col(SuggestionRow.seq).desc()))]

    def adopt(self, who: Who, seq: int) -> Proposal:
        """It becomes a change of this officer. Raises Problem."""
        found = next((one for one in self.listed() if one.seq == seq), None)
        if found is None:
            raise Problem("not_found", 404)
        puts = [(table, dict(row)) for table, row in found.puts]
        return self._proposals.open(who, lambda _now: puts, reason=found.reason, suggestion=seq)


def _shown(row: SuggestionRow) -> Suggestion:
    return Suggestion(
        seq=row.seq, at_ms=row.at_ms, officer=row.officer,
        reason=row.reason if row.reason in EDIT_REASONS else "other",
        puts=tuple((str(table), dict(doc)) for table, doc in json.loads(row.puts)),
    )  # fmt: skip
