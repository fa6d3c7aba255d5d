"""What a start learns of looks through the log (A-15), a slice at a time between two commits: the last, and the alarms
since. Reads alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from controller.ledger.catalogue import RECORD_TYPES
from controller.ledger.store import Ledger
from controller.log_chores import SLICE, ReviewLearnt, Spoken

GRAVE: Final = frozenset(
    {
        *("DOOR_FORCED", "DURESS", "TAMPER", "TAILGATE", "CREDENTIAL_ALARM", "UNUSUAL", "OSDP_DOWNGRADE"),
        *("READER_REPLACED", "OFFICER_RESET", "LOG_ADMIN_REFUSED", "WITNESS_REFUSED", "TAIL_SET_ASIDE", "SITE_REBUILT"),
    }
)
"""Alarms after which the log is looked through sooner."""

_REVIEWED: Final = b'"type":"LOG_REVIEWED"'
_ALARM: Final = b'"class":"alarm"'
_decode: Final = msgspec.json.Decoder(dict).decode


class LearnReview:
    """Reads from the ledger what the last look was, and the alarms since."""

    def __init__(self) -> None:
        self._policy_seq = 0
        self._alarm_seq = -1
        self._to_seq = -1
        self._reviewed_ms: int | None = None
        self._spoken: list[Spoken] = []

    def step(self, ledger: Ledger) -> ReviewLearnt | None:
        """Read a slice: first of the changes of policy, among which looks are kept; then of what came since."""
        if self._alarm_seq < 0:
            self._look_for_reviews(ledger)
            return None
        page = ledger.read(self._alarm_seq, SLICE)
        for record in page:
            if record.body is not None and _ALARM in record.leaf:
                body = _decode(record.body)
                self._spoken.append(spoken_of(record.seq, body))
        self._alarm_seq += len(page)
        if len(page) == SLICE:
            return None
        return ReviewLearnt(
            to_seq=self._to_seq, newest_seq=self._alarm_seq - 1, reviewed_ms=self._reviewed_ms,
            spoken=tuple(self._spoken),
        )  # fmt: skip

    def failed(self, why: str) -> ReviewLearnt:
        """The disk fails: nothing is known."""
        return ReviewLearnt(why=why)

    def _look_for_reviews(self, ledger: Ledger) -> None:
        page = list(islice(ledger.scan_policy(self._policy_seq), SLICE))
        for record in page:
            if record.body is not None and _REVIEWED in record.body:
                body = _decode(record.body)
                self._to_seq, self._reviewed_ms = body["detail"]["to_seq"], body["at_ms"]
        if len(page) == SLICE:
            self._policy_seq = page[-1].seq + 1
            return
        if self._reviewed_ms is None:  # never: it is counted from the first record
            first = next(iter(ledger.read(0, 1)), None)
            self._reviewed_ms = None if first is None or first.body is None else _decode(first.body)["at_ms"]
        self._alarm_seq = self._to_seq + 1


def spoken_of(seq: int, body: Mapping[str, Any]) -> Spoken:
    """An alarm's record, as a look through the log has to do with it."""
    people = {(body.get("subject") or {}).get("cardholder"), (body.get("actor") or {}).get("officer")}
    people |= {(body.get("detail") or {}).get("who")}
    return Spoken(
        seq=seq, at_ms=body["at_ms"], is_grave=body["type"] in GRAVE,
        people=frozenset(one for one in people if isinstance(one, str)),
    )  # fmt: skip


assert RECORD_TYPES.keys() >= GRAVE, "every grave alarm is a record"
