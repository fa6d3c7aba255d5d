"""A PN532 on its high speed UART, good enough for libnfc: NXP UM0701-02 (commands §7).

No I/O: bytes in, bytes out, ticks. Owns the chip's modes, its field and the cards lying in it; not what they answer.
Quirks kept because drivers trip over them: deaf until 0x55 wakes it, no contactless command before SAMConfiguration,
damaged frames get no answer at all, a host's ACK aborts, an infinite search answers only when a card comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.cards import Card, FelicaCard, TypeACard
from simulators.pn532_frames import ACK, CHIP, ERROR, HOST, NACK, Scanner, frame

if TYPE_CHECKING:
    from collections.abc import Callable

FIRMWARE = bytes.fromhex("32010607")  # IC 0x32 = PN532, version 1.6, supports ISO 14443A, 14443B, ISO 18092
WAKE_UP = 0x55
OK = b"\x00"
TIMED_OUT = b"\x01"  # the card did not answer
WRONG_CONTEXT = b"\x27"
INFINITE = 0xFF
TRY_MS = 5  # one activation attempt in an empty field
POLL_UNIT_MS = 150
TYPE_A_106, FELICA_212, FELICA_424, TYPE_B_106, JEWEL_106 = range(5)
AUTO_RATS = 0x10  # SetParameters bit 4
REGISTER_BYTES = 2


class _SyntaxFault(Exception):
    """The command cannot be understood: the chip answers with its error frame."""


@dataclass(slots=True, kw_only=True)
class _Search:
    """A command that waits for a card."""

    code: int
    look: Callable[[], bytes | None]
    empty: bytes
    give_up_ms: int | None


class Pn532:
    """One chip. `on_reported(card, now_ms)`: the chip has told the host about this card."""

    def __init__(self, on_reported: Callable[[Card, int], None] | None = None) -> None:
        self.cards: list[Card] = []
        self.commands_seen: list[int] = []
        self._on_reported = on_reported
        self._scanner = Scanner()
        self._outgoing = bytearray()
        self._now_ms = 0
        self._commands = self._command_table()
        self._forget()

    def _forget(self) -> None:
        self.is_asleep = True
        self.is_field_on = False
        self.baud = 115200
        self._is_normal = False  # SAMConfiguration has been made
        self._activation_tries = INFINITE  # MxRtyPassiveActivation at power-on
        self._parameters = 0x14
        self._registers: dict[int, int] = {}
        self._gpio = bytearray((0x3F, 0x06, 0x03))
        self._targets: dict[int, tuple[Card, int]] = {}
        self._search: _Search | None = None
        self._last_answer = b""
        self._next_baud: int | None = None
        self._scanner.clear()

    # -- the hands ------------------------------------------------------------------------------------------------

    def place(self, card: Card, now_ms: int) -> None:
        """Put a card into the field; a waiting search finds it."""
        self._now_ms = now_ms
        if card not in self.cards:
            self.cards.append(card)
        self._look()

    def take(self, card: Card, now_ms: int) -> None:
        """Take a card away; a chip that was talking to it hears silence from now on."""
        self._now_ms = now_ms
        if card in self.cards:
            self.cards.remove(card)

    # -- the wire -------------------------------------------------------------------------------------------------

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Take bytes from the host; any bytes, cut anywhere."""
        self._now_ms = now_ms
        if self.is_asleep:
            at = chunk.find(WAKE_UP)
            if at < 0:
                return
            self.is_asleep = False
            chunk = chunk[at:]
        self._scanner.feed(chunk)
        while (found := self._scanner.take()) is not None:
            self._take_frame(found)

    def outgoing(self) -> bytes:
        """Bytes for the host, handed over once."""
        sent = bytes(self._outgoing)
        self._outgoing.clear()
        return sent

    def deadline(self) -> int | None:
        """When a finite search gives up."""
        return None if self._search is None else self._search.give_up_ms

    def tick(self, now_ms: int) -> None:
        """Give up a search whose time is over."""
        self._now_ms = now_ms
        search = self._search
        if search is not None and search.give_up_ms is not None and now_ms >= search.give_up_ms:
            self._search = None
            self._answer(search.code, search.empty)

    def power_cycle(self, now_ms: int) -> None:
        """Power gone: asleep, unconfigured, field off. Cards stay where they lie."""
        self._now_ms = now_ms
        self._forget()
        self._outgoing.clear()

    # -- frames ---------------------------------------------------------------------------------------------------

    def _take_frame(self, found: bytes) -> None:
        if found == ACK:
            self._on_host_ack()
        elif found == NACK:
            self._outgoing += self._last_answer
        else:
            self._take_command(found)

    def _on_host_ack(self) -> None:
        self._search = None  # §6.2.1.3: an ACK from the host aborts the command
        if self._next_baud is not None:  # §7.2.8: the new speed starts with the host's ACK
            self.baud, self._next_baud = self._next_baud, None

    def _take_command(self, payload: bytes) -> None:
        self._search = None
        self._outgoing += ACK
        try:
            if len(payload) < 2 or payload[0] != HOST or payload[1] not in self._commands:
                raise _SyntaxFault
            code, body = payload[1], payload[2:]
            self.commands_seen.append(code)
            if code in CONTACTLESS and not self._is_normal:
                raise _SyntaxFault
            answer = self._commands[code](body)
        except (_SyntaxFault, IndexError):
            self._say(ERROR)
            return
        if answer is not None:
            self._answer(code, answer)

    def _answer(self, code: int, body: bytes) -> None:
        self._say(frame(bytes((CHIP, code + 1)) + body))

    def _say(self, whole: bytes) -> None:
        self._last_answer = whole
        self._outgoing += whole

    def _command_table(self) -> dict[int, Callable[[bytes], bytes | None]]:
        return {
            0x00: self._diagnose,
            0x02: self._firmware,
            0x04: self._general_status,
            0x06: self._read_register,
            0x08: self._write_register,
            0x0C: self._read_gpio,
            0x0E: self._write_gpio,
            0x10: self._set_baud,
            0x12: self._set_parameters,
            0x14: self._sam_configuration,
            0x16: self._power_down,
            0x32: self._rf_configuration,
            0x40: self._data_exchange,
            0x42: self._communicate_thru,
            0x44: self._deselect,
            0x46: self._no_peer,
            0x4A: self._list_passive,
            0x50: self._no_peer,
            0x52: self._release,
            0x54: self._reselect,
            0x56: self._no_peer,
            0x60: self._auto_poll,
        }

    # -- commands about the chip ----------------------------------------------------------------------------------

    def _diagnose(self, body: bytes) -> bytes:
        test = body[0]
        if test == 0x00:  # communication line: echo
            return body
        if test in (0x01, 0x02, 0x07):  # ROM, RAM, antenna
            return OK
        if test == 0x06:  # attention request: is the card still there
            return OK if self._target(1) is not None else TIMED_OUT
        raise _SyntaxFault

    def _firmware(self, _body: bytes) -> bytes:
        return FIRMWARE

    def _general_status(self, _body: bytes) -> bytes:
        targets = b"".join(
            bytes((number, speed, speed, 0x10 if isinstance(card, FelicaCard) else 0x00))
            for number, (card, speed) in self._targets.items()
        )
        return bytes((0x00, self.is_field_on, len(self._targets))) + targets + b"\x80"

    def _read_register(self, body: bytes) -> bytes:
        if not body or len(body) % REGISTER_BYTES:
            raise _SyntaxFault
        places = (body[at] << 8 | body[at + 1] for at in range(0, len(body), REGISTER_BYTES))
        return bytes(self._registers.get(place, 0) for place in places)  # one byte each, no status: PN532, not PN533

    def _write_register(self, body: bytes) -> bytes:
        if not body or len(body) % 3:
            raise _SyntaxFault
        for at in range(0, len(body), 3):
            self._registers[body[at] << 8 | body[at + 1]] = body[at + 2]
        return b""

    def _read_gpio(self, _body: bytes) -> bytes:
        return bytes(self._gpio)

    def _write_gpio(self, body: bytes) -> bytes:
        for port, value in enumerate(body[:2]):
            if value & 0x80:  # bit 7 validates the write
                self._gpio[port] = value & 0x7F
        return b""

    def _set_baud(self, body: bytes) -> bytes:
        self._next_baud = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600, 1288000)[body[0]]
        return b""

    def _set_parameters(self, body: bytes) -> bytes:
        self._parameters = body[0]
        return b""

    def _sam_configuration(self, body: bytes) -> bytes:
        if body[0] not in (0x01, 0x02, 0x03, 0x04):
            raise _SyntaxFault
        self._is_normal = True
        return b""

    def _power_down(self, body: bytes) -> bytes:
        body[0]  # which lines wake it: must be there; ours is the UART
        self.is_asleep, self.is_field_on = True, False
        self._targets.clear()
        return OK

    def _rf_configuration(self, body: bytes) -> bytes:
        item, values = body[0], body[1:]
        if item == 0x01:
            self.is_field_on = bool(values[0] & 0x01)
            if not self.is_field_on:
                self._targets.clear()
        elif item == 0x05:
            self._activation_tries = values[2]
        elif item not in (0x02, 0x04, 0x0A, 0x0B, 0x0C, 0x0D):
            raise _SyntaxFault
        return b""

    # -- commands about cards -------------------------------------------------------------------------------------

    def _list_passive(self, body: bytes) -> bytes | None:
        max_targets, kind, wanted = body[0], body[1], body[2:]
        if not 1 <= max_targets <= 2 or kind > JEWEL_106:
            raise _SyntaxFault
        self.is_field_on = True
        self._targets.clear()

        def look() -> bytes | None:
            found = [card for card in self.cards if _answers(card, kind, wanted)][:max_targets]
            if not found:
                return None
            return bytes((len(found),)) + b"".join(self._select(card, kind, wanted) for card in found)

        tries = self._activation_tries
        return self._find(0x4A, look, None if tries == INFINITE else (tries + 1) * TRY_MS)

    def _auto_poll(self, body: bytes) -> bytes | None:
        rounds, period, kinds = body[0], body[1], body[2:]
        if not rounds or not 1 <= period <= 15 or not 1 <= len(kinds) <= 15:
            raise _SyntaxFault
        self.is_field_on = True
        self._targets.clear()

        def look() -> bytes | None:
            for kind in kinds:
                found = [card for card in self.cards if _answers(card, AUTO_POLL_KINDS.get(kind, -1), b"")]
                found = [card for card in found if kind != 0x20 or (isinstance(card, TypeACard) and card.is_iso_dep)]
                if found:
                    target = self._select(found[0], AUTO_POLL_KINDS[kind], b"")
                    return bytes((1, kind, len(target))) + target
            return None

        wait_ms = rounds * period * POLL_UNIT_MS * len(kinds)
        return self._find(0x60, look, None if rounds == INFINITE else wait_ms)

    def _data_exchange(self, body: bytes) -> bytes:
        card = self._target(body[0] & 0x07)
        if card is None:
            return TIMED_OUT if self._targets else WRONG_CONTEXT
        answer = card.exchange(body[1:])
        return TIMED_OUT if answer is None else OK + answer

    def _communicate_thru(self, body: bytes) -> bytes:
        card = self._target(1)
        answer = None if card is None else card.exchange(body)
        return TIMED_OUT if answer is None else OK + answer

    def _release(self, body: bytes) -> bytes:
        if body[0] == 0:
            self._targets.clear()
            return OK
        return OK if self._targets.pop(body[0], None) is not None else WRONG_CONTEXT

    def _reselect(self, body: bytes) -> bytes:
        if body[0] not in self._targets:
            return WRONG_CONTEXT
        return OK if self._target(body[0]) is not None else TIMED_OUT

    def _deselect(self, body: bytes) -> bytes:
        return OK if body[0] == 0 or body[0] in self._targets else WRONG_CONTEXT

    def _no_peer(self, _body: bytes) -> bytes:
        return TIMED_OUT  # no NFC peer is ever in this field

    # -- finding --------------------------------------------------------------------------------------------------

    def _find(self, code: int, look: Callable[[], bytes | None], wait_ms: int | None) -> bytes | None:
        found = look()
        if found is None:
            give_up_ms = None if wait_ms is None else self._now_ms + wait_ms
            self._search = _Search(code=code, look=look, empty=b"\x00", give_up_ms=give_up_ms)
        return found

    def _look(self) -> None:
        if self._search is None:
            return
        found = self._search.look()
        if found is not None:
            code, self._search = self._search.code, None
            self._answer(code, found)

    def _select(self, card: Card, kind: int, wanted: bytes) -> bytes:
        number = len(self._targets) + 1
        self._targets[number] = (card, kind if kind in (FELICA_212, FELICA_424) else 0)
        if self._on_reported is not None:
            self._on_reported(card, self._now_ms)
        if isinstance(card, FelicaCard):
            asks_system_code = len(wanted) == 5 and wanted[3] == 0x01
            tail = card.idm + card.pmm + (card.system_code if asks_system_code else b"")
            return bytes((number, len(tail) + 2, 0x01)) + tail
        ats = card.ats if card.is_iso_dep and self._parameters & AUTO_RATS else b""
        return bytes((number,)) + card.atqa + bytes((card.sak, len(card.uid))) + card.uid + ats

    def _target(self, number: int) -> Card | None:
        """The selected card with this number, if it still lies in the field."""
        card = self._targets.get(number, (None, 0))[0]
        return card if card in self.cards and self.is_field_on else None


def _answers(card: Card, kind: int, wanted: bytes) -> bool:
    """Whether a card in the field answers a search of this kind (§7.3.5 BrTy, InitiatorData)."""
    if isinstance(card, FelicaCard):
        is_polled = kind in (FELICA_212, FELICA_424)
        return is_polled and card.answers_to(wanted[1:3] if len(wanted) == 5 else b"\xff\xff")
    return kind == TYPE_A_106 and wanted in (b"", card.uid, _cascaded(card.uid))


def _cascaded(uid: bytes) -> bytes:
    """A long UID as it goes over the air: cascade tag 0x88 before each group of three but the last of four."""
    if len(uid) == 7:
        return b"\x88" + uid
    return b"\x88" + uid[:3] + b"\x88" + uid[3:] if len(uid) == 10 else uid


AUTO_POLL_KINDS = {
    0x00: TYPE_A_106,
    0x01: FELICA_212,
    0x02: FELICA_424,
    0x10: TYPE_A_106,  # libnfc asks this for every type A card, also an ISO-DEP one
    0x11: FELICA_212,
    0x12: FELICA_424,
    0x20: TYPE_A_106,
}
CONTACTLESS = frozenset((0x40, 0x42, 0x4A, 0x50, 0x54, 0x56, 0x60))
