"""A card is shown to be issued: an officer chose a reader, and the next card of nobody held there is told to him.

A part of the engine. It takes a read away from the decision only while somebody waits, only where the card is nobody's
and proves nothing false, and never at a reader inside, where every card opens. The reader answers as to a card that
it could not read, so that nobody takes it for an entry; and it is recorded who was told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.config import Wiring
from controller.ledger import body
from controller.link.messages import AwaitCard, CardShown, Refused
from controller.standing import Standing
from controller.turn import AfterNote, Answer, ShowAtReader, Shown, Turn
from zones.decision import Evidence, Method
from zones.moment import Moment

WAIT_MS_MAX: Final = 30_000
"""A reader is asked for so long at the most: what a stranger tries there meanwhile is told and not refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    session: int
    message: AwaitCard
    until_tick_ms: int


class Enrolment:
    """Owns who waits at which reader.

    Args:
        standing: what the parts of the engine share.
        wiring: which readers are inside.
        devices: every device of the site file; a reader that belongs to no portal serves as well.
    """

    def __init__(self, *, standing: Standing, wiring: Wiring, devices: frozenset[str]) -> None:
        self._standing = standing
        self._inside = frozenset(wiring.exit_readers)
        self._devices = devices
        self._waiting: dict[str, _Waiting] = {}
        self._told: dict[str, str] = {}

    def complaint(self, message: AwaitCard) -> tuple[str, str, str] | None:
        """Why nobody can wait for a card there, as (code, sentence, field at fault); None: he can."""
        if message.reader not in self._devices or message.reader in self._inside:
            return "unknown_device", "there is no such reader, or it is one inside, where every card opens", "reader"
        if message.reader in self._standing.offline:
            return "offline", "that reader does not answer", "reader"
        if not 0 <= message.for_ms <= WAIT_MS_MAX:
            return "protocol", f"a card is awaited for at most {WAIT_MS_MAX} ms", "for_ms"
        return None

    def begin(self, session: int, message: AwaitCard, now: Moment, turn: Turn) -> None:
        """Wait at that reader. Whoever waited there is told `busy`; `for_ms` 0 so ends a wait and begins none."""
        if (before := self._waiting.pop(message.reader, None)) is not None:
            _refuse(before, "busy", "somebody else waits for a card at this reader now", turn)
        self._waiting[message.reader] = _Waiting(
            session=session, message=message, until_tick_ms=now.tick_ms + message.for_ms
        )

    def is_waiting(self, reader: str) -> bool:
        """Whether the next read here may be no matter of entering: it, or what is left of the one that was told."""
        return reader in self._waiting or reader in self._told

    def takes(
        self, reader: str, evidence: Evidence, seen: body.Evidence, now: Moment, turn: Turn, *, is_repeated: bool
    ) -> bool:
        """Whether this read is told to whoever waits, instead of being decided. `seen`: as a record shows it."""
        if self._told.pop(reader, None) == evidence.number_hash and is_repeated:
            self._told[reader] = evidence.number_hash  # still held there
            return True
        is_nobodys = evidence.number_hash not in self._standing.policy.by_number
        is_fit = is_nobodys and evidence.method is not Method.FAKED and not is_repeated and self._standing.is_writable
        waiting = self._waiting.pop(reader, None) if is_fit else None
        if waiting is None or now.tick_ms > waiting.until_tick_ms:
            return False
        asked, scheme = waiting.message, evidence.scheme if evidence.method is Method.CHALLENGE else None
        draft = self._standing.scribe.draft(
            "NOTE", now=now, officer=asked.officer, evidence=seen, detail={"id": asked.id, "kind": "CARD_SEEN"}
        )
        shown = CardShown(
            id=asked.id, number_hash=evidence.number_hash, last4=seen.last4 or "", scheme=scheme
        )  # fmt: skip
        turn.after.append(
            AfterNote(
                index=self._standing.record(draft, turn), session=waiting.session, request_id=asked.id, told=shown
            )
        )
        turn.urgent.append(ShowAtReader(reader=reader, shown=Shown.NOT_READ))
        self._told[reader] = evidence.number_hash
        return True

    def deadline(self) -> int | None:
        """The next tick (ms) at which a wait is over, or None."""
        return min((waiting.until_tick_ms for waiting in self._waiting.values()), default=None)

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Waits that are over."""
        for reader, waiting in list(self._waiting.items()):
            if waiting.until_tick_ms <= now.tick_ms:
                del self._waiting[reader]
                _refuse(waiting, "expired", "no new card was held to the reader in time", turn)


def _refuse(waiting: _Waiting, code: str, why: str, turn: Turn) -> None:
    turn.urgent.append(
        Answer(session=waiting.session, message=Refused(id=waiting.message.id, code=code, why=why))
    )  # fmt: skip
