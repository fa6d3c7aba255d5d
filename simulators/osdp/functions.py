"""What an OSDP reader does when the link layer hands it a command: states, lamps, cards, digits, files, PKOC.

No I/O and no link: it neither knows addresses nor keys. Owns the queue of what happened and was not yet told: like a
real reader it keeps card reads while nobody polls, and hands them out stale.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from simulators.osdp import pkoc
from simulators.osdp.face import BUZZER_BYTES, LED_BYTES, OUT_BYTES, TEXT_HEAD, BadRequest, Face
from simulators.osdp.words import FRAME_MIN_MAX, OUI_PSIA, PAYLOAD_LIMIT, Capability, Command, Identity, Nak, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulators.osdp.pkoc import PkocCard

EVENTS_MAX = 64
FILE_HEAD = 11
FILE_MAX = 1 << 20
FILE_OK, FILE_DONE = 0, 1
FILE_MALFORMED = 0xFFFD  # -3
RAW_BITS, WIEGAND_BITS = 0, 1
ENTER, CLEAR = 0x0D, 0x7F
OVERHEAD = 30  # header, security block, code, padding, MAC and CRC around a body
PIV_HEAD = 10
Answer = tuple[int, bytes]


class NumberedCard(Protocol):
    """A card as a contactless reader meets it."""

    @property
    def number(self) -> bytes:
        """What anybody may read."""

    def activate(self) -> None:
        """The reader selects it."""

    def field_lost(self) -> None:
        """It was taken away."""

    def exchange(self, command: bytes) -> bytes | None:
        """One command; None = silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """How a reader is built. `size`: the longest frame that it can take."""

    inputs: int = 2
    outputs: int = 1
    leds: int = 1
    has_keypad: bool = True
    has_display: bool = True
    pkoc: Literal["panel", "reader", "none"] = "panel"  # who checks PKOC cards
    size: int = 512
    card_ms: int = 30


class Refused(Exception):
    """The command is answered with this NAK."""

    def __init__(self, why: int) -> None:
        super().__init__(why)
        self.why = why


class Functions:
    """Everything in one reader's housing but its link."""

    def __init__(self, make: Make, identity: Identity, note: Callable[[str, dict[str, object], int], None]) -> None:
        self.make = make
        self.identity = identity
        self.inputs = [False] * make.inputs
        self.is_tampered = False
        self.has_power_fault = False
        self.is_head_tampered = False
        self.face = Face(outputs=make.outputs, leds=make.leds, note=note)
        self.files: dict[int, bytes] = {}
        self.maker_commands: list[tuple[bytes, bytes]] = []
        self.events: deque[Answer] = deque(maxlen=EVENTS_MAX)
        self.events_lost = 0
        self.keep_active_ms = 0
        self.panel_size: int | None = None
        self.pkoc = pkoc.PkocReader(make.card_ms)
        self._card: NumberedCard | None = None
        self._note = note
        self._incoming_file: tuple[int, int, bytearray] | None = None
        self._commands = self._table()

    # -- what hands do --------------------------------------------------------------------------------------------

    def present(self, bits: bytes, count: int, *, is_wiegand: bool, now_ms: int) -> None:
        """A card was read: so many bits, left-aligned."""
        head = bytes((0, WIEGAND_BITS if is_wiegand else RAW_BITS)) + count.to_bytes(2, "little")
        self._note("card", {"number": bits.hex(), "bits": count}, now_ms)
        self.tell(Reply.RAW, head + bits[: (count + 7) // 8])

    def present_text(self, text: str, *, is_backward: bool, now_ms: int) -> None:
        """A card was read whose number this reader knows as characters (osdp_FMT)."""
        self._note("card", {"number": text.encode("ascii").hex(), "bits": 0}, now_ms)
        self.tell(Reply.FMT, bytes((0, is_backward, len(text))) + text.encode("ascii"))

    def present_card(self, card: NumberedCard, now_ms: int) -> None:
        """A contactless card: its own key is asked where it has one (PKOC), else its number is sent as it is."""
        self.take_card()
        self._card = card
        card.activate()
        key_card = pkoc.NearCard.found(card) if self.make.pkoc != "none" else None
        if key_card is None:
            self.present(card.number, len(card.number) * 8, is_wiegand=False, now_ms=now_ms)
        else:
            self.present_pkoc(key_card, now_ms)

    def take_card(self, card: NumberedCard | None = None) -> None:
        """The card that is held to it (or `card`, if it still is that one) is taken away."""
        if card is not None and card is not self._card:
            return
        if self._card is not None:
            self._card.field_lost()
            self._card = None
        self.pkoc.take_away()

    def present_pkoc(self, card: PkocCard, now_ms: int) -> None:
        """A PKOC card: carried to the panel, or checked by the reader itself, which then sends X as bits."""
        if self.make.pkoc == "panel":
            self._note("card", {"number": "", "bits": 0}, now_ms)
            self._tell_pkoc(self.pkoc.present(card, now_ms))
        elif (number := pkoc.genuine_x(card, bytes(16))) is not None:
            self.present(number, len(number) * 8, is_wiegand=False, now_ms=now_ms)

    def type(self, digits: str, now_ms: int, *, confirms: bool = True) -> None:
        """Keys: 0 to 9, * (7F), # (0D). One event a key, as most keypads do. Only their number is noted."""
        if not self.make.has_keypad:
            raise ValueError("this reader has no keypad")
        special = {"#": ENTER, "*": CLEAR}
        self._note("keys", {"length": len(digits)}, now_ms)
        for key in digits + ("#" if confirms else ""):
            self.tell(Reply.KEYPAD, bytes((0, 1, special.get(key, ord(key)))))

    def set_input(self, number: int, is_active: bool) -> None:
        """A line at the terminals changed."""
        self.inputs[number] = is_active
        self.tell(Reply.ISTATR, bytes(self.inputs))

    def set_tamper(self, is_open: bool, now_ms: int) -> None:
        """The housing."""
        self.is_tampered = is_open
        self._note("tamper", {"is_open": is_open}, now_ms)
        self.tell(Reply.LSTATR, self._local())

    def set_power_fault(self, is_faulty: bool) -> None:
        """The supply is weak; the reader still lives."""
        self.has_power_fault = is_faulty
        self.tell(Reply.LSTATR, self._local())

    def tell(self, code: int, body: bytes) -> None:
        """Queue a reply for a later poll; the oldest goes when there is no more room."""
        self.events_lost += len(self.events) == EVENTS_MAX
        self.events.append((code, body))

    # -- time and power -------------------------------------------------------------------------------------------

    def power_off(self, now_ms: int) -> None:
        """What power kept is gone: the queue, the lamps, the outputs, a file half received."""
        self.events.clear()
        self.face.power_off(now_ms)
        self.pkoc.forget()
        self.panel_size = None
        self._incoming_file = None

    def deadline(self) -> int | None:
        """Tick at which something ends by itself."""
        return min((one for one in (self.face.deadline(), self.pkoc.deadline()) if one is not None), default=None)

    def tick(self, now_ms: int) -> None:
        """End what is over."""
        if self.face.tick(now_ms):
            self.tell(Reply.OSTATR, bytes(self.face.outputs))
        self._tell_pkoc(self.pkoc.tick(now_ms))

    # -- commands -------------------------------------------------------------------------------------------------

    def handle(self, code: int, body: bytes, now_ms: int) -> Answer:
        """The reply to one command. Raises Refused."""
        if code not in self._commands:
            raise Refused(Nak.UNKNOWN)
        try:
            return self._commands[code](body, now_ms)
        except BadRequest:
            raise Refused(Nak.UNABLE) from None

    def _table(self) -> dict[int, Callable[[bytes, int], Answer]]:
        def telling(what: Callable[[], Answer]) -> Callable[[bytes, int], Answer]:
            return lambda _body, _now_ms: what()

        return {
            Command.POLL: telling(self._poll),
            Command.ID: telling(lambda: (Reply.PDID, self.identity.pdid())),
            Command.LSTAT: telling(lambda: (Reply.LSTATR, self._local())),
            Command.ISTAT: telling(lambda: (Reply.ISTATR, bytes(self.inputs))),
            Command.OSTAT: telling(lambda: (Reply.OSTATR, bytes(self.face.outputs))),
            Command.RSTAT: telling(lambda: (Reply.RSTATR, bytes((2 if self.is_head_tampered else 0,)))),
            Command.OUT: self._out,
            Command.LED: self._led,
            Command.BUZ: self._buz,
            Command.TEXT: self._text,
            Command.ACURXSIZE: self._panel_size,
            Command.KEEPACTIVE: self._keep_active,
            Command.FILETRANSFER: self._file,
            Command.MFG: self._maker,
            Command.ABORT: self._abort,
        }

    def capabilities(self, *, has_security: bool, is_keyless: bool) -> bytes:
        """Body of osdp_PDCAP."""
        rows: list[tuple[int, int, int]] = [
            (Capability.INPUTS, 1, len(self.inputs)),
            (Capability.OUTPUTS, 2, len(self.face.outputs)),
            (Capability.CARD_FORMAT, 3, 0),
            (Capability.LED, 4, len(self.face.permanent)),
            (Capability.BUZZER, 2, 1),
            (Capability.TEXT, int(self.make.has_display), int(self.make.has_display)),
            (Capability.TIME, 0, 0),
            (Capability.CHECK, 1, 0),
            (Capability.SECURITY, int(has_security), int(has_security and is_keyless)),
            (Capability.RECEIVE_SIZE, self.make.size & 0xFF, self.make.size >> 8),
            (Capability.MESSAGE_SIZE, PAYLOAD_LIMIT & 0xFF, PAYLOAD_LIMIT >> 8),
            (Capability.SMART_CARD, int(self.make.pkoc == "panel"), 0),
            (Capability.READERS, 0, 1),
        ]
        return b"".join(bytes(row) for row in rows)

    def _poll(self) -> Answer:
        return self.events.popleft() if self.events else (Reply.ACK, b"")

    def _local(self) -> bytes:
        return bytes((self.is_tampered, self.has_power_fault))

    def _out(self, body: bytes, now_ms: int) -> Answer:
        _must(body and len(body) % OUT_BYTES == 0)
        self.face.out(body, now_ms)
        return Reply.OSTATR, bytes(self.face.outputs)

    def _led(self, body: bytes, now_ms: int) -> Answer:
        _must(body and len(body) % LED_BYTES == 0)
        self.face.led(body, now_ms)
        return Reply.ACK, b""

    def _buz(self, body: bytes, now_ms: int) -> Answer:
        _must(len(body) == BUZZER_BYTES)
        self.face.buzz(body, now_ms)
        return Reply.ACK, b""

    def _text(self, body: bytes, now_ms: int) -> Answer:
        if not self.make.has_display:
            raise Refused(Nak.UNKNOWN)
        _must(len(body) >= TEXT_HEAD and len(body) == TEXT_HEAD + body[5])
        self.face.write(body, now_ms)
        return Reply.ACK, b""

    def _panel_size(self, body: bytes, _now_ms: int) -> Answer:
        _must(len(body) == 2)
        self.panel_size = int.from_bytes(body, "little")
        return Reply.ACK, b""

    def _keep_active(self, body: bytes, _now_ms: int) -> Answer:
        _must(len(body) == 2)
        self.keep_active_ms = int.from_bytes(body, "little")
        return Reply.ACK, b""

    def _abort(self, _body: bytes, _now_ms: int) -> Answer:
        self._incoming_file = None
        return Reply.ACK, b""

    # -- files ----------------------------------------------------------------------------------------------------

    def _file(self, body: bytes, now_ms: int) -> Answer:
        _must(len(body) >= FILE_HEAD)
        kind, part = body[0], body[FILE_HEAD:]
        total, offset = int.from_bytes(body[1:5], "little"), int.from_bytes(body[5:9], "little")
        _must(len(part) == int.from_bytes(body[9:11], "little"))
        if offset == 0:
            self._incoming_file = (kind, total, bytearray())
        running = self._incoming_file
        if running is None or (kind, total, offset) != (*running[:2], len(running[2])) or not _fits(part, running):
            self._incoming_file = None
            return Reply.FTSTAT, _progress(FILE_MALFORMED)
        running[2].extend(part)
        if len(running[2]) < total:
            return Reply.FTSTAT, _progress(FILE_OK)
        self.files[kind], self._incoming_file = bytes(running[2]), None
        self._note("file", {"type": kind, "bytes": total}, now_ms)
        return Reply.FTSTAT, _progress(FILE_DONE)

    # -- manufacturer commands ------------------------------------------------------------------------------------

    def _maker(self, body: bytes, now_ms: int) -> Answer:
        _must(len(body) >= 3)
        oui, said = body[:3], body[3:]
        if oui == OUI_PSIA:
            return self._hear_pkoc(said, now_ms)
        self.maker_commands.append((oui, said))
        if oui != self.identity.vendor:
            raise Refused(Nak.UNABLE)
        return Reply.MFGREP, oui + said  # this maker's only command: an echo

    def _hear_pkoc(self, said: bytes, now_ms: int) -> Answer:
        if self.make.pkoc != "panel" or not said:  # 1.63: also a reader that does all by itself refuses
            raise Refused(Nak.UNABLE)
        try:
            told = self.pkoc.hear(said[0], said[1:], now_ms)
        except ValueError:
            raise Refused(Nak.UNABLE) from None
        self._tell_pkoc(told)
        return Reply.ACK, b""

    def _tell_pkoc(self, told: Answer | None) -> None:
        if told is not None:
            for body in self._fragments(*told):
                self.tell(Reply.MFGREP, body)

    def _fragments(self, code: int, content: bytes) -> Iterator[bytes]:
        space = min(self.panel_size or FRAME_MIN_MAX, self.make.size) - OVERHEAD - PIV_HEAD
        return pkoc.messages(code, content, max(space, 16))


def _must(is_right: object) -> None:
    """Refuse a command whose length cannot be."""
    if not is_right:
        raise Refused(Nak.LENGTH)


def _fits(part: bytes, running: tuple[int, int, bytearray]) -> bool:
    return len(running[2]) + len(part) <= running[1] <= FILE_MAX


def _progress(outcome: int) -> bytes:
    """osdp_FTSTAT: the panel may poll in between, need not wait, and may keep its size."""
    return b"\x01\x00\x00" + outcome.to_bytes(2, "little") + b"\x00\x00"
