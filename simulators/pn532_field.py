"""The field of a simulated PN532: the cards that lie in it, which are selected, and what passes through the air.

No I/O, no frames of the host. Owns power and selection of cards, RF checksums, chaining on the host's side of a long
exchange, and the time that an exchange takes. Errors are the chip's own codes (UM0701-02 §7.1).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.cards import Card, FelicaCard, TypeACard
from simulators.iso_dep import CardBlocks

if TYPE_CHECKING:
    from collections.abc import Callable

OK = b"\x00"
TIMED_OUT = b"\x01"  # the card did not answer
RF_CRC = b"\x02"
RF_PROTOCOL = b"\x13"  # it stopped in the middle of its answer
WRONG_CONTEXT = b"\x27"
MORE_FOLLOWS = 0x40
ANSWER_MAX = 262  # 264 bytes with command code and error byte
TYPE_A_106, FELICA_212, FELICA_424, TYPE_B_106, JEWEL_106 = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class AirTime:
    """How long an exchange takes. At 106 kbit/s a byte takes 0.085 ms; a card thinks for `card_ms`."""

    byte_ms: float = 0.085
    card_ms: float = 1.0
    silence_ms: float = 77.0  # FWT of a usual card: how long the chip waits for nothing

    def of(self, command: bytes, answer: bytes | None) -> tuple[float, float]:
        """Until the answer begins, and until it ends."""
        sent = (len(command) + 3) * self.byte_ms
        if answer is None:
            return sent + self.silence_ms, sent + self.silence_ms
        begins = sent + self.card_ms
        return begins, begins + (len(answer) + 3) * self.byte_ms


@dataclass(slots=True, kw_only=True)
class Target:
    """A selected card. `blocks`: type A with ISO-DEP only."""

    card: Card
    speed: int
    blocks: CardBlocks | None = None
    is_asleep: bool = False


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What an exchange came to, and what the host hears if the card leaves before it is over."""

    answer: bytes
    begins_ms: float = 0.0
    ends_ms: float = 0.0


class Field:
    """One antenna. `air`: None = exchanges take no time."""

    def __init__(self, on_selected: Callable[[Card], None], air: AirTime | None = None) -> None:
        self.cards: list[Card] = []
        self.targets: dict[int, Target] = {}
        self.is_on = False
        self.spoilt: deque[int] = deque()
        self._on_selected = on_selected
        self._air = air
        self._coming = b""
        self._going = b""

    # -- power and selection --------------------------------------------------------------------------------------

    def switch(self, is_on: bool) -> None:
        """The carrier. Cards lose their power with it."""
        if self.is_on and not is_on:
            for card in self.cards:
                card.field_lost()
        self.is_on = is_on
        if not is_on:
            self.release_all()

    def place(self, card: Card) -> None:
        """A card comes in."""
        if card not in self.cards:
            self.cards.append(card)

    def take(self, card: Card) -> None:
        """A card goes."""
        if card in self.cards:
            self.cards.remove(card)
            card.field_lost()

    def release_all(self) -> None:
        """Forget every selection."""
        self.targets.clear()
        self._coming = self._going = b""

    def answering(self, kind: int, wanted: bytes) -> list[Card]:
        """The cards that answer a search of this kind (§7.3.5 BrTy, InitiatorData)."""
        return [card for card in self.cards if _answers(card, kind, wanted)]

    def select(self, card: Card, kind: int, *, with_rats: bool) -> int:
        """Select a card; hands back its target number."""
        number = len(self.targets) + 1
        blocks = None
        if isinstance(card, TypeACard) and card.is_iso_dep:
            blocks = CardBlocks(card, is_active=with_rats)
        speed = kind if kind in (FELICA_212, FELICA_424) else 0
        self.targets[number] = Target(card=card, speed=speed, blocks=blocks)
        card.activate()
        self._on_selected(card)
        return number

    def target(self, number: int) -> Target | None:
        """The selected card with this number, if it still lies in the field; one that was put to sleep wakes."""
        target = self.targets.get(number)
        if target is None or not self.is_on or target.card not in self.cards:
            return None
        if target.is_asleep:
            target.card.activate()
            target.is_asleep = False
        return target

    def sleep(self, number: int) -> bool:
        """Deselect one, or all with 0. False = there is no such target."""
        if number and number not in self.targets:
            return False
        for one, target in self.targets.items():
            if number in (0, one):
                target.is_asleep = True
        return True

    # -- exchanges ------------------------------------------------------------------------------------------------

    def exchange(self, first: int, payload: bytes) -> Exchange:
        """InDataExchange: `first` is target number and the bit MI."""
        target = self.target(first & 0x07)
        if target is None:
            self._coming = self._going = b""
            return Exchange(answer=TIMED_OUT if self.targets else WRONG_CONTEXT)
        if self._going and not payload:
            return Exchange(answer=self._piece())
        if first & MORE_FOLLOWS:
            self._coming += payload
            return Exchange(answer=OK)
        command, self._coming = self._coming + payload, b""
        return self._through(command, lambda: self._spoken(target, command), self._piece)

    def raw(self, frame: bytes, *, sends_crc: bool, takes_crc: bool) -> Exchange:
        """InCommunicateThru. `sends_crc`, `takes_crc`: the chip does the checksum (CIU_TxMode, CIU_RxMode bit 7)."""
        target = self.target(1)
        if target is None:
            return Exchange(answer=TIMED_OUT)
        crc = crc_f if isinstance(target.card, FelicaCard) else crc_a
        body = frame if sends_crc else frame[:-2]
        if not sends_crc and crc(body) != frame[-2:]:
            return Exchange(answer=TIMED_OUT)  # a card does not answer a damaged frame

        def speak() -> bytes | None:
            answer = self._spoken(target, body) if target.blocks is None else target.blocks.frame(body)
            return answer if answer is None or takes_crc else answer + crc(answer)

        return self._through(body, speak, lambda: OK + self._going)

    def _through(self, command: bytes, speak: Callable[[], bytes | None], wrap: Callable[[], bytes]) -> Exchange:
        if self.spoilt:
            return Exchange(answer=bytes((self.spoilt.popleft(),)))
        answer = speak()
        begins, ends = (0.0, 0.0) if self._air is None else self._air.of(command, answer)
        self._going = answer or b""
        whole = TIMED_OUT if answer is None else wrap()
        if wrap != self._piece:
            self._going = b""
        return Exchange(answer=whole, begins_ms=begins, ends_ms=ends)

    def _piece(self) -> bytes:
        piece, self._going = self._going[:ANSWER_MAX], self._going[ANSWER_MAX:]
        return bytes((MORE_FOLLOWS if self._going else 0x00,)) + piece

    @staticmethod
    def _spoken(target: Target, command: bytes) -> bytes | None:
        if not isinstance(target.card, FelicaCard):
            return target.card.exchange(command)
        if not command or command[0] != len(command):
            return None
        answer = target.card.exchange(command[1:])
        return None if answer is None else bytes((len(answer) + 1,)) + answer


def crc_a(frame: bytes) -> bytes:
    """ISO/IEC 14443-3 CRC_A."""
    crc = 0x6363
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def crc_f(frame: bytes) -> bytes:
    """JIS X 6319-4: polynomial 1021, from 0, most significant byte first."""
    crc = 0
    for byte in frame:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc.to_bytes(2, "big")


def _answers(card: Card, kind: int, wanted: bytes) -> bool:
    if isinstance(card, FelicaCard):
        is_polled = kind in (FELICA_212, FELICA_424)
        return is_polled and card.answers_to(wanted[1:3] if len(wanted) == 5 else b"\xff\xff")
    return kind == TYPE_A_106 and wanted in (b"", card.uid, _cascaded(card.uid))


def _cascaded(uid: bytes) -> bytes:
    """A long UID as it goes over the air: cascade tag 0x88 before each group of three but the last of four."""
    if len(uid) == 7:
        return b"\x88" + uid
    return b"\x88" + uid[:3] + b"\x88" + uid[3:] if len(uid) == 10 else uid
