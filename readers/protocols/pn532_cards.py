"""Cards through a PN532: what a poll's answer says about them, and a session carried by InDataExchange.

No I/O, no clock, and nothing of the chip's state: command bodies out (without TFI), answers in (behind the answer
code). A card's answer counts only when the chip called it good and every piece of it came. Refuses answers longer than
ANSWER_BYTES_MAX, and FeliCa answers whose length byte is not theirs: the session hears silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from readers.cards.session import ISO_DEP, CardTarget, Left, NotOurs, Proved

if TYPE_CHECKING:
    from collections.abc import Iterator

EXCHANGE_BYTES_MAX: Final = 262
"""UM0701-02 §7.3.8: what one InDataExchange carries to a card."""
ANSWER_BYTES_MAX: Final = 4_096
STATUS_MASK: Final = 0x3F
"""UM0701-02 §7.1: the upper two bits of a status byte are flags, not errors."""
_MORE: Final = 0x40
"""UM0701-02 §7.3.8, MI: more of it follows. In the status byte from a card, in the target byte to it."""
_IN_EXCHANGE: Final = 0x40
_FIRST_TARGET: Final = 0x01
_FELICA_BYTES_MAX: Final = 254
"""JIS X 6319-4: the length byte counts itself."""


class CardMachine(Protocol):
    """Whatever talks to one card: a session that proves it, or one that personalises it. What is not bytes ends it."""

    def begin(self) -> bytes: ...
    def answer(self, response: bytes | None) -> object: ...


class CardTalk:
    """One machine talking to one selected card, cut into InDataExchange commands.

    Args:
        machine: what asks.
        target: the card.
        until_ms: when it must be over (tick ms).
        exchanges_max: how many InDataExchange commands it may cost.
    """

    __slots__ = ("_exchanges_left", "_heard", "_machine", "_unsent", "target", "until_ms")

    def __init__(self, machine: CardMachine, target: CardTarget, *, until_ms: int, exchanges_max: int) -> None:
        self.target = target
        self.until_ms = until_ms
        self._machine = machine
        self._exchanges_left = exchanges_max
        self._unsent = b""
        self._heard = bytearray()

    def begin(self) -> bytes:
        """The first command for the chip."""
        return self._say(self._machine.begin())

    def take(self, answer: bytes) -> object:
        """`answer`: status byte and what follows it. The next command (bytes), or the machine's outcome."""
        if self._exchanges_left <= 0:
            return self.cut()
        if not answer or answer[0] & STATUS_MASK:
            return self._hear(None)
        if self._unsent:
            return self._piece()
        self._heard += answer[1:]
        if len(self._heard) > ANSWER_BYTES_MAX:
            return self._hear(None)
        if answer[0] & _MORE:
            self._exchanges_left -= 1
            return bytes((_IN_EXCHANGE, _FIRST_TARGET))
        return self._hear(self._whole())

    def cut(self) -> object:
        """The talk ends without the card. What the machine makes of the silence; never that a card was read."""
        outcome = self._machine.answer(None)
        return Left() if isinstance(outcome, bytes | Proved | NotOurs) else outcome

    def _hear(self, response: bytes | None) -> object:
        self._heard.clear()
        self._unsent = b""
        outcome = self._machine.answer(response)
        return self._say(outcome) if isinstance(outcome, bytes) else outcome

    def _say(self, payload: bytes) -> bytes:
        assert payload, "a session asks something"
        if self.target.kind == "felica":
            assert len(payload) <= _FELICA_BYTES_MAX, "a FeliCa command has a length byte"
            payload = bytes((len(payload) + 1,)) + payload
        self._unsent = payload
        return self._piece()

    def _piece(self) -> bytes:
        self._exchanges_left -= 1
        piece, self._unsent = self._unsent[:EXCHANGE_BYTES_MAX], self._unsent[EXCHANGE_BYTES_MAX:]
        return bytes((_IN_EXCHANGE, _FIRST_TARGET | (_MORE if self._unsent else 0))) + piece

    def _whole(self) -> bytes | None:
        heard = bytes(self._heard)
        if self.target.kind != "felica":
            return heard
        return heard[1:] if len(heard) > 1 and heard[0] == len(heard) else None


def targets_a(answer: bytes) -> list[CardTarget] | None:
    """The cards of `NbTg [Tg SENS_RES(2) SEL_RES LEN NFCID1… [ATS…]]` (UM0701-02 §7.3.5); None when it is not that."""
    if answer[:1] not in {b"\x01", b"\x02"}:
        return None
    found = list(_each_a(answer))
    return found if len(found) == answer[0] else None


def _each_a(answer: bytes) -> Iterator[CardTarget]:
    at = 1
    for _ in range(answer[0]):
        if len(answer) < at + 5 or answer[at + 4] not in {4, 7, 10}:
            return
        sak, end = answer[at + 3], at + 5 + answer[at + 4]
        if len(answer) < end:
            return
        number = answer[at + 5 : end]
        ats = answer[end : end + answer[end]] if sak & ISO_DEP and len(answer) > end else b""
        if ats and len(ats) != ats[0]:
            return
        yield CardTarget(kind="iso14443a", number=number, sak=sak, ats=ats)
        at = end + len(ats)


def targets_f(answer: bytes) -> list[CardTarget] | None:
    """The card of `01 Tg LEN 01 NFCID2(8) PAD(8) [SYST_CODE(2)]` (UM0701-02 §7.3.5); None when it is not that."""
    if len(answer) < 20 or answer[0] != 1 or answer[2] not in {18, 20} or answer[3] != 1:
        return None
    if len(answer) < 2 + answer[2]:
        return None
    system_code = answer[20:22] if answer[2] == 20 else b""
    return [CardTarget(kind="felica", number=answer[4:12], system_code=system_code)]
