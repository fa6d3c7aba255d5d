"""A PN532 on its high speed UART, good enough for libnfc: NXP UM0701-02 (commands §7).

No I/O: bytes in, bytes out, ticks. Owns the chip's modes and registers; its field and cards are `pn532_field`.
Quirks kept because drivers trip over them: deaf until five rising edges wake it (what comes before is lost), no
contactless command before SAMConfiguration, damaged frames get no answer at all, a host's ACK aborts, an infinite
search answers only when a card comes, a new baud rate holds from the host's ACK on.
Not here: the chip as a target (TgInitAsTarget), type B, Jewel, the passwords of MIFARE Classic, REQA by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.cards import Card, FelicaCard, TypeACard
from simulators.pn532_field import (
    FELICA_212,
    FELICA_424,
    JEWEL_106,
    OK,
    RF_PROTOCOL,
    TIMED_OUT,
    TYPE_A_106,
    WRONG_CONTEXT,
    AirTime,
    Exchange,
    Field,
)
from simulators.pn532_frames import ACK, CHIP, ERROR, HOST, NACK, Scanner, frame

if TYPE_CHECKING:
    from collections.abc import Callable

FIRMWARE = bytes.fromhex("32010607")  # IC 0x32 = PN532, version 1.6, supports ISO 14443A, 14443B, ISO 18092
WAKE_EDGES = 5  # §7.2.11: rising edges on RX
POWER_ON_BAUD = 115200
INFINITE = 0xFF
TRY_MS = 5  # one activation attempt in an empty field
POLL_UNIT_MS = 150
AUTO_RATS = 0x10  # SetParameters bit 4
REGISTER_BYTES = 2
CIU_TX_MODE, CIU_RX_MODE, CIU_TX_CONTROL, CIU_FIFO = 0x6302, 0x6303, 0x6304, 0x6339
CRC_BY_CHIP = 0x80
REQA = 0x26
RF_ITEM_BYTES = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}


class _SyntaxFault(Exception):
    """The command cannot be understood: the chip answers with its error frame."""


@dataclass(slots=True, kw_only=True)
class _Search:
    """A command that waits for a card."""

    code: int
    look: Callable[[], bytes | None]
    empty: bytes
    give_up_ms: int | None


@dataclass(slots=True, kw_only=True)
class _InTheAir:
    """An exchange whose answer has not ended yet."""

    code: int
    card: Card
    exchange: Exchange
    begins_ms: float
    ends_ms: int


class Pn532:
    """One chip. `cards`: those in its field. `commands_seen`: the codes of every command, in order."""

    def __init__(
        self,
        on_reported: Callable[[Card, int], None] | None = None,
        *,
        air: AirTime | None = None,
        on_speed: Callable[[int], None] | None = None,
    ) -> None:
        """`on_reported(card, now_ms)`: the chip has told the host about this card. `air`: how long exchanges take; None
        = no time. `on_speed(baud)`: the line's speed is another from now on.
        """
        self.commands_seen: list[int] = []
        self.field = Field(self._selected, air)
        self._on_reported = on_reported
        self._on_speed = on_speed
        self._scanner = Scanner()
        self._outgoing = bytearray()
        self._now_ms = 0
        self._commands = self._command_table()
        self.baud = POWER_ON_BAUD
        self._forget()

    def _forget(self) -> None:
        self.is_asleep = True
        self._edges = 0
        self.field.switch(False)
        self._speed(POWER_ON_BAUD)
        self._is_normal = False  # SAMConfiguration has been made
        self._activation_tries = INFINITE  # MxRtyPassiveActivation at power-on
        self._parameters = 0x14
        self._registers: dict[int, int] = {CIU_TX_MODE: CRC_BY_CHIP, CIU_RX_MODE: CRC_BY_CHIP}
        self._gpio = bytearray((0x3F, 0x06, 0x03))
        self._search: _Search | None = None
        self._in_the_air: _InTheAir | None = None
        self._last_answer = b""
        self._next_baud: int | None = None
        self._scanner.clear()

    # -- the hands ------------------------------------------------------------------------------------------------

    @property
    def cards(self) -> list[Card]:
        """Those that lie in the field."""
        return self.field.cards

    @property
    def is_field_on(self) -> bool:
        """Whether it radiates."""
        return self.field.is_on

    def place(self, card: Card, now_ms: int) -> None:
        """Put a card into the field; a waiting search finds it."""
        self._now_ms = now_ms
        self.field.place(card)
        self._look()

    def take(self, card: Card, now_ms: int) -> None:
        """Take a card away; a chip that was talking to it hears silence, or half an answer."""
        self._now_ms = now_ms
        self.field.take(card)
        waiting = self._in_the_air
        if waiting is not None and waiting.card is card:
            waiting.exchange.answer = TIMED_OUT if now_ms < waiting.begins_ms else RF_PROTOCOL

    def spoil(self, code: int) -> None:
        """The next exchange ends with this error of the chip (0x01 silence, 0x02 RF checksum, 0x13 protocol)."""
        self.field.spoilt.append(code)

    # -- the wire -------------------------------------------------------------------------------------------------

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Take bytes from the host; any bytes, cut anywhere."""
        self._now_ms = now_ms
        self._scanner.feed(self._woken(chunk) if self.is_asleep else chunk)
        while (found := self._scanner.take()) is not None:
            self._take_frame(found)

    def _woken(self, chunk: bytes) -> bytes:
        """What it hears of a chunk that comes while it sleeps."""
        for at, byte in enumerate(chunk):
            line = "0" + f"{byte:08b}"[::-1] + "1"  # start bit, least significant bit first, stop bit
            self._edges += line.count("01")
            if self._edges >= WAKE_EDGES:
                self.is_asleep, self._edges = False, 0
                return chunk[at + 1 :]
        return b""

    def outgoing(self) -> bytes:
        """Bytes for the host, handed over once."""
        sent = bytes(self._outgoing)
        self._outgoing.clear()
        return sent

    def deadline(self) -> int | None:
        """When a finite search gives up, or an answer has come through the air."""
        if self._in_the_air is not None:
            return self._in_the_air.ends_ms
        return None if self._search is None else self._search.give_up_ms

    def tick(self, now_ms: int) -> None:
        """Give up a search whose time is over; tell an answer that has come."""
        self._now_ms = now_ms
        waiting = self._in_the_air
        if waiting is not None and now_ms >= waiting.ends_ms:
            self._in_the_air = None
            self._answer(waiting.code, waiting.exchange.answer)
        search = self._search
        if search is not None and search.give_up_ms is not None and now_ms >= search.give_up_ms:
            self._search = None
            self._registers[CIU_FIFO] = REQA  # nfcpy looks whether its question still stands there
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
        self._search = self._in_the_air = None  # §6.2.1.3: an ACK from the host aborts the command
        if self._next_baud is not None:  # §7.2.8: the new speed starts with the host's ACK
            self._speed(self._next_baud)

    def _speed(self, baud: int) -> None:
        self._next_baud = None
        if baud != self.baud:
            self.baud = baud
            if self._on_speed is not None:
                self._on_speed(baud)

    def _take_command(self, payload: bytes) -> None:
        self._search = self._in_the_air = None
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
            return OK if self.field.target(1) is not None else TIMED_OUT
        raise _SyntaxFault

    def _firmware(self, _body: bytes) -> bytes:
        return FIRMWARE

    def _general_status(self, _body: bytes) -> bytes:
        targets = b"".join(
            bytes((number, one.speed, one.speed, 0x10 if isinstance(one.card, FelicaCard) else 0x00))
            for number, one in self.field.targets.items()
        )
        return bytes((0x00, self.is_field_on, len(self.field.targets))) + targets + b"\x80"

    def _read_register(self, body: bytes) -> bytes:
        if not body or len(body) % REGISTER_BYTES:
            raise _SyntaxFault
        places = (body[at] << 8 | body[at + 1] for at in range(0, len(body), REGISTER_BYTES))
        antenna = {CIU_TX_CONTROL: self._registers.get(CIU_TX_CONTROL, 0) & ~0x03 | 0x03 * self.is_field_on}
        registers = self._registers | antenna
        return bytes(registers.get(place, 0) for place in places)  # one byte each, no status: PN532, not PN533

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
        self.field.switch(False)
        self.is_asleep, self._edges = True, 0
        return OK

    def _rf_configuration(self, body: bytes) -> bytes:
        item, values = body[0], body[1:]
        if len(values) != RF_ITEM_BYTES.get(item, -1):
            raise _SyntaxFault
        if item == 0x01:
            self.field.switch(bool(values[0] & 0x01))
        elif item == 0x05:
            self._activation_tries = values[2]
        return b""

    # -- commands about cards -------------------------------------------------------------------------------------

    def _list_passive(self, body: bytes) -> bytes | None:
        max_targets, kind, wanted = body[0], body[1], body[2:]
        if not 1 <= max_targets <= 2 or kind > JEWEL_106:
            raise _SyntaxFault
        self.field.switch(True)
        self.field.release_all()
        framing = {FELICA_212: 0x12, FELICA_424: 0x22}.get(kind, 0x00)
        self._registers |= {CIU_TX_MODE: CRC_BY_CHIP | framing, CIU_RX_MODE: CRC_BY_CHIP | framing}

        def look() -> bytes | None:
            found = self.field.answering(kind, wanted)[:max_targets]
            if not found:
                return None
            return bytes((len(found),)) + b"".join(self._select(card, kind, wanted) for card in found)

        tries = self._activation_tries
        return self._find(0x4A, look, None if tries == INFINITE else (tries + 1) * TRY_MS)

    def _auto_poll(self, body: bytes) -> bytes | None:
        rounds, period, kinds = body[0], body[1], body[2:]
        if not rounds or not 1 <= period <= 15 or not 1 <= len(kinds) <= 15:
            raise _SyntaxFault
        self.field.switch(True)
        self.field.release_all()

        def look() -> bytes | None:
            for kind in kinds:
                found = self.field.answering(AUTO_POLL_KINDS.get(kind, -1), b"")
                found = [card for card in found if kind != 0x20 or (isinstance(card, TypeACard) and card.is_iso_dep)]
                if found:
                    target = self._select(found[0], AUTO_POLL_KINDS[kind], b"")
                    return bytes((1, kind, len(target))) + target
            return None

        wait_ms = rounds * period * POLL_UNIT_MS * len(kinds)
        return self._find(0x60, look, None if rounds == INFINITE else wait_ms)

    def _data_exchange(self, body: bytes) -> bytes | None:
        return self._aired(0x40, body[0] & 0x07, self.field.exchange(body[0], body[1:]))

    def _communicate_thru(self, body: bytes) -> bytes | None:
        sends, takes = (self._registers.get(one, 0) & CRC_BY_CHIP for one in (CIU_TX_MODE, CIU_RX_MODE))
        return self._aired(0x42, 1, self.field.raw(body, sends_crc=bool(sends), takes_crc=bool(takes)))

    def _aired(self, code: int, number: int, exchange: Exchange) -> bytes | None:
        """The answer at once, or None: it comes when its time in the air is over."""
        target = self.field.targets.get(number)
        if target is None or exchange.ends_ms <= 0:
            return exchange.answer
        self._in_the_air = _InTheAir(
            code=code,
            card=target.card,
            exchange=exchange,
            begins_ms=self._now_ms + exchange.begins_ms,
            ends_ms=self._now_ms + max(1, round(exchange.ends_ms)),
        )
        return None

    def _release(self, body: bytes) -> bytes:
        if body[0] == 0:
            self.field.release_all()
            return OK
        return OK if self.field.targets.pop(body[0], None) is not None else WRONG_CONTEXT

    def _reselect(self, body: bytes) -> bytes:
        if body[0] not in self.field.targets:
            return WRONG_CONTEXT
        return OK if self.field.target(body[0]) is not None else TIMED_OUT

    def _deselect(self, body: bytes) -> bytes:
        return OK if self.field.sleep(body[0]) else WRONG_CONTEXT

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
        with_rats = bool(self._parameters & AUTO_RATS)
        number = self.field.select(card, kind, with_rats=with_rats)
        if isinstance(card, FelicaCard):
            asks_system_code = len(wanted) == 5 and wanted[3] == 0x01
            tail = card.idm + card.pmm + (card.system_code if asks_system_code else b"")
            return bytes((number, len(tail) + 2, 0x01)) + tail
        ats = card.ats if card.is_iso_dep and with_rats else b""
        return bytes((number,)) + card.atqa + bytes((card.sak, len(card.uid))) + card.uid + ats

    def _selected(self, card: Card) -> None:
        if self._on_reported is not None:
            self._on_reported(card, self._now_ms)


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
