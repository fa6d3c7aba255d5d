"""When somebody was last seen to enter a zone: what a review asks of every place on a roster (A-03).

Folded from the passages beside the events, so that a page of a hundred people asks one question and not a million rows.
What is dropped from the ledger by rule is dropped here too: then nothing is known any more, which a page says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, col, select

from api.tables import LastEntryRow


def note_entries(session: Session, events: Iterable[dict[str, Any]]) -> None:
    """Keep the newest entry of each person to each zone out of these events, which come in order."""
    newest = {
        (event["cardholder"], event["zone"]): event
        for event in events
        if event["type"] == "PASSAGE" and event["direction"] == "IN" and event["cardholder"] and event["zone"]
    }
    if not newest:
        return
    rows = [
        {"cardholder": who, "zone": zone, "seq": event["seq"], "at_ms": event["at_ms"] or 0}
        for (who, zone), event in newest.items()
    ]
    put = insert(LastEntryRow)
    session.execute(
        put.on_conflict_do_update(
            index_elements=["cardholder", "zone"], set_={"seq": put.excluded.seq, "at_ms": put.excluded.at_ms}
        ),
        rows,
    )


def drop_entries(session: Session, first: int, last: int) -> None:
    """Forget what stands in records of this range, which were dropped."""
    session.execute(delete(LastEntryRow).where(col(LastEntryRow.seq).between(first, last)))


def entries(
    session: Session, *, zone: str | None = None, cardholders: Sequence[str] | None = None
) -> dict[tuple[str, str], int]:
    """(person, zone) -> when (epoch ms), of one zone, of some people, or of all."""
    query = select(LastEntryRow.cardholder, LastEntryRow.zone, LastEntryRow.at_ms)
    if zone is not None:
        query = query.where(LastEntryRow.zone == zone)
    if cardholders is not None:
        query = query.where(col(LastEntryRow.cardholder).in_(cardholders))
    return {(who, where): at_ms for who, where, at_ms in session.exec(query)}
