"""PN532 card reader on a serial line: bytes in, events and bytes out (NXP UM0701-02; docs/wire/pn532.md).

The rules of this file:
  1. Every transition is in TRANSITIONS; what entering a state sends and waits for is in `_enter`; nothing else moves
  the state. 2. No I/O, no clock: `now_ms` is the loop's tick. Nothing here raises on bad bytes: they are counted
  (LineNoise) and skipped. 3. An answer counts only when it is whole, belongs to the command under way and came after
  that command's ACK.

It reads numbers and proves nothing: a UID or IDm can be copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from readers.backoff import Backoff
from readers.events import CardAnswered, CardKind, CardRead, DeviceOffline, DeviceOnline, Event
from readers.protocols.noise import NoiseMeter
from readers.protocols.pn532_frames import ACK, NACK, WAKE_UP, Frame, FrameKind, FrameReader, encode
from readers.protocols.presence import Presence

ACK_WITHIN_MS: Final = 250
"""The chip needs 15 ms (UM0701-02 §6.2.2); the rest is for a machine under load."""
ANSWER_WITHIN_MS: Final = 1_000
OFFLINE_AFTER: Final = 3
"""Commands in a row without a good answer; one lost byte is not an outage."""
FIRST_RETRY_MS: Final = 100
LAST_RETRY_MS: Final = 5_000
FIELD_REST_MS: Final = 10
"""ISO/IEC 14443-3 §5.1: a card is reset by 5 ms without field."""
EXCHANGE_BYTES_MAX: Final = 262
"""UM0701-02 §7.3.8."""


class State(Enum):
    """What the reader is doing; each but the last four waits for one answer of the chip."""

    WAKING = "waking"
    LIMITING = "limiting"
    POLLING = "polling"
    EXCHANGING = "exchanging"
    RELEASING = "releasing"
    DARKENING = "darkening"
    HOLDING = "holding"
    RESTING = "resting"
    RETRYING = "retrying"
    CLOSED = "closed"


class Turn(Enum):
    """What moves the reader on."""

    OPENED = "opened"
    DUE = "due"
    ANSWERED = "answered"
    EMPTY = "empty"
    FOUND = "found"
    KEPT = "kept"
    ASKED = "asked"
    LET_GO = "let_go"
    FAILED = "failed"
    LOST = "lost"


TRANSITIONS: Final[dict[State, dict[Turn, State]]] = {
    State.CLOSED: {Turn.OPENED: State.WAKING},
    State.WAKING: {Turn.ANSWERED: State.LIMITING, Turn.FAILED: State.RETRYING},
    State.LIMITING: {Turn.ANSWERED: State.POLLING, Turn.FAILED: State.RETRYING},
    State.POLLING: {
        Turn.EMPTY: State.RESTING,
        Turn.FOUND: State.RELEASING,
        Turn.KEPT: State.HOLDING,
        Turn.FAILED: State.RETRYING,
    },
    State.HOLDING: {Turn.ASKED: State.EXCHANGING, Turn.LET_GO: State.RELEASING, Turn.DUE: State.RELEASING},
    State.EXCHANGING: {Turn.ANSWERED: State.HOLDING, Turn.FAILED: State.RETRYING},
    State.RELEASING: {Turn.ANSWERED: State.DARKENING, Turn.FAILED: State.RETRYING},
    State.DARKENING: {Turn.ANSWERED: State.RESTING, Turn.FAILED: State.RETRYING},
    State.RESTING: {Turn.DUE: State.POLLING},
    State.RETRYING: {Turn.DUE: State.WAKING},
}
"""Besides these, LOST leads from every state to CLOSED, and OPENED from every state to WAKING (the port was opened
anew).
"""

Modulation: TypeAlias = Literal["106A", "212F", "424F"]


@dataclass(frozen=True, slots=True)
class _Poll:
    """One modulation: the command that asks for it (UM0701-02 §7.3.5) and the kind of card that answers."""

    command: bytes
    kind: CardKind


_POLLING_REQUEST: Final = bytes.fromhex("00FFFF0000")
"""JIS X 6319-4: Polling, any system code, no request, one time slot."""

_POLLS: Final[dict[Modulation, _Poll]] = {
    "106A": _Poll(bytes.fromhex("4A0100"), "iso14443a"),
    "212F": _Poll(bytes.fromhex("4A0101") + _POLLING_REQUEST, "felica"),
    "424F": _Poll(bytes.fromhex("4A0102") + _POLLING_REQUEST, "felica"),
}

_FIXED_COMMANDS: Final = {
    State.WAKING: bytes.fromhex("1401"),  # SAMConfiguration, normal mode (§7.2.10)
    State.RELEASING: bytes.fromhex("5200"),  # InRelease, every target (§7.3.11)
    State.DARKENING: bytes.fromhex("320100"),  # RFConfiguration, field off (§7.3.1); the next poll switches it on
}
_TFI_HOST: Final = 0xD4
_TFI_CHIP: Final = 0xD5
_STATUS_MASK: Final = 0x3F
"""UM0701-02 §7.1: the upper two bits of a status byte are flags, not errors."""


class Pn532Reader:
    """One PN532 chip. Give it the line's bytes and the tick, send what it asks to send, wake it at its deadline.

    Args:
        source: the device id that its events carry.
        poll_interval_ms: shortest time between the beginnings of two rounds of polls. A poll that the chip itself
            holds open for longer is followed by the next at once: an idle field costs little, and a card is
            answered when it enters.
        retries: how often the chip itself tries again within one poll (0 to 254; 255 would never end).
        absent_polls: polls without the card before it may be read again.
        modulations: what is asked in one round, in this order.
        keep_ms: how long a newly read card stays selected for `exchange()`; 0 releases it at once.

    Raises:
        ValueError: on arguments out of range.
    """

    def __init__(
        self,
        source: str,
        *,
        poll_interval_ms: int = 50,
        retries: int = 4,
        absent_polls: int = 2,
        modulations: tuple[Modulation, ...] = ("106A", "212F"),
        keep_ms: int = 0,
    ) -> None:
        if not 0 <= retries <= 0xFE:
            raise ValueError(f"retries must be 0 to 254 (255 would poll for ever), not {retries}")
        if poll_interval_ms < 0 or keep_ms < 0 or not modulations:
            raise ValueError("poll_interval_ms and keep_ms must not be negative, and one modulation must be polled")
        self._source = source
        self._poll_interval_ms = poll_interval_ms
        self._retries = retries
        self._modulations = modulations
        self._keep_ms = keep_ms
        self._state = State.CLOSED
        self._is_online: bool | None = None
        self._unanswered = 0
        self._due_ms: int | None = None
        self._out = bytearray()
        self._frames = FrameReader()
        self._noise = NoiseMeter(source)
        self._backoff = Backoff(FIRST_RETRY_MS, LAST_RETRY_MS)
        self._presence = Presence(absent_polls)
        self._turn_of = 0
        self._round_began_ms = 0
        self._hold_until_ms = 0
        self._expected = 0
        self._is_acknowledged = False
        self._is_repeat_asked = False
        self._ask = b""
        self._events: list[Event] = []

    # -- the face ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the reader stands in TRANSITIONS."""
        return self._state

    def connection_made(self, now_ms: int) -> None:
        """The line is open: wake the chip and configure it."""
        self._step(Turn.OPENED, now_ms)

    def connection_lost(self, now_ms: int) -> list[Event]:
        """The line is gone. DeviceOffline, once."""
        self._step(Turn.LOST, now_ms)
        self._go_offline("line lost")
        return self._told(now_ms)

    def receive_data(self, chunk: bytes, now_ms: int) -> list[Event]:
        """What these bytes meant. Never raises on bad bytes."""
        if self._state is State.CLOSED:
            return []
        frames, junk = self._frames.receive(chunk)
        self._take(frames, junk, now_ms)
        return self._told(now_ms)

    def data_to_send(self) -> bytes:
        """Bytes for the line; empties the outgoing buffer."""
        if not self._out:
            return b""
        out = bytes(self._out)
        self._out.clear()
        return out

    def deadline(self) -> int | None:
        """When `tick` must be called (tick ms), or None."""
        noise_ms = self._noise.deadline()
        if noise_ms is None:
            return self._due_ms
        return noise_ms if self._due_ms is None else min(noise_ms, self._due_ms)

    def tick(self, now_ms: int) -> list[Event]:
        """Time passed: time-outs, the next poll, the noise report that waits."""
        if self._due_ms is not None and now_ms >= self._due_ms:
            self._fall_due(now_ms)
        return self._told(now_ms)

    def exchange(self, payload: bytes, now_ms: int) -> bool:
        """Send `payload` (1 to 262 bytes) to the selected card; CardAnswered follows. False when no card is held."""
        if not 1 <= len(payload) <= EXCHANGE_BYTES_MAX:
            raise ValueError(f"an exchange carries 1 to {EXCHANGE_BYTES_MAX} bytes, not {len(payload)}")
        if self._state is not State.HOLDING:
            return False
        self._ask = bytes(payload)
        self._step(Turn.ASKED, now_ms)
        return True

    def let_go(self, now_ms: int) -> None:
        """The selected card is no longer needed."""
        if self._state is State.HOLDING:
            self._step(Turn.LET_GO, now_ms)

    # -- the machine ---------------------------------------------------------------------------------------------

    def _step(self, turn: Turn, now_ms: int) -> None:
        if turn is Turn.LOST:
            self._enter(State.CLOSED, now_ms)
        elif turn is Turn.OPENED:
            self._enter(State.WAKING, now_ms)
        else:
            self._enter(TRANSITIONS[self._state][turn], now_ms)

    def _enter(self, state: State, now_ms: int) -> None:
        """Everything that entering a state does: what is sent, and until when the reader stays there."""
        left, self._state = self._state, state
        if state in (State.WAKING, State.CLOSED):
            self._start_anew()
        if Turn.FAILED in TRANSITIONS[state]:
            self._send(self._command(state, now_ms), now_ms)
        elif state is State.RESTING:
            self._rest(now_ms, is_dark=left is State.DARKENING)
        elif state is State.HOLDING:
            if left is State.POLLING:
                self._hold_until_ms = now_ms + self._keep_ms
            self._due_ms = self._hold_until_ms
        elif state is State.RETRYING:
            self._out += ACK  # aborts the command that the chip may still be at (UM0701-02 §6.2.1.3)
            self._due_ms = now_ms + self._backoff.next_ms()
        else:
            self._due_ms = None

    def _command(self, state: State, now_ms: int) -> bytes:
        if state is State.POLLING:
            if self._turn_of == 0:
                self._round_began_ms = now_ms
            return _POLLS[self._modulations[self._turn_of]].command
        if state is State.EXCHANGING:
            return b"\x40\x01" + self._ask
        if state is State.LIMITING:
            return bytes((0x32, 0x05, 0xFF, 0x01, self._retries))
        if state is State.WAKING:
            self._out += WAKE_UP
        return _FIXED_COMMANDS[state]

    def _rest(self, now_ms: int, *, is_dark: bool) -> None:
        """After a poll: on to the next modulation at once, but not to the next round before its time, nor into a dark
        field.
        """
        self._turn_of = (self._turn_of + 1) % len(self._modulations)
        due_ms = self._round_began_ms + self._poll_interval_ms
        if is_dark:
            due_ms = max(due_ms, now_ms + FIELD_REST_MS)
        elif self._turn_of:
            due_ms = now_ms
        self._due_ms = due_ms
        if due_ms <= now_ms:
            self._step(Turn.DUE, now_ms)

    def _start_anew(self) -> None:
        self._out.clear()
        self._frames.give_up()
        self._turn_of = 0
        self._ask = b""

    def _send(self, command: bytes, now_ms: int) -> None:
        """Put one command under way. Whatever is still held began before it and cannot be its answer."""
        if self._frames.held_bytes > 1:
            self._noise.add(self._frames.give_up()[1])
        self._out += encode(bytes((_TFI_HOST,)) + command)
        self._expected = command[0] + 1
        self._is_acknowledged = False
        self._is_repeat_asked = False
        self._due_ms = now_ms + ACK_WITHIN_MS

    def _fall_due(self, now_ms: int) -> None:
        if Turn.DUE in TRANSITIONS[self._state]:
            self._step(Turn.DUE, now_ms)
            return
        # The answer may lie behind a beginning that was none: look there before calling the chip silent.
        due_ms = self._due_ms
        frames, junk = self._frames.give_up()
        self._take(frames, junk, now_ms)
        if self._due_ms == due_ms:
            self._fail("no answer", now_ms)

    def _fail(self, why: str, now_ms: int) -> None:
        if self._state is State.EXCHANGING:
            self._events.append(CardAnswered(source=self._source, answer=None))
        self._step(Turn.FAILED, now_ms)
        self._unanswered += 1
        if self._unanswered >= OFFLINE_AFTER:
            self._go_offline(why)

    def _go_offline(self, why: str) -> None:
        if self._is_online is not False:
            self._is_online = False
            self._events.append(DeviceOffline(source=self._source, why=why))

    def _come_online(self) -> None:
        if self._is_online is not True:
            self._is_online = True
            self._events.append(DeviceOnline(source=self._source))

    # -- what the chip said --------------------------------------------------------------------------------------

    def _take(self, frames: list[Frame], junk: bytes, now_ms: int) -> None:
        if junk:
            self._noise.add(junk)
        for frame in frames:
            if frame.kind is FrameKind.BODY:
                self._take_body(frame.body, now_ms)
            elif frame.kind is FrameKind.ACK:
                self._take_ack(now_ms)
            elif frame.kind is FrameKind.SPOILT:
                self._ask_again()

    def _take_ack(self, now_ms: int) -> None:
        if self._is_waiting() and not self._is_acknowledged:
            self._is_acknowledged = True
            self._due_ms = now_ms + ANSWER_WITHIN_MS

    def _ask_again(self) -> None:
        """The answer came spoilt: the chip repeats it on NACK (§6.2.1.4), once; then the time-out decides."""
        if self._is_waiting() and self._is_acknowledged and not self._is_repeat_asked:
            self._is_repeat_asked = True
            self._out += NACK

    def _take_body(self, body: bytes, now_ms: int) -> None:
        if body[0] == _TFI_HOST:
            return  # our own command: half-duplex adapters echo
        if not (self._is_waiting() and self._is_acknowledged):
            self._noise.add(body)
        elif body == b"\x7f":
            self._fail("command refused", now_ms)
        elif len(body) < 2 or body[0] != _TFI_CHIP or body[1] != self._expected:
            self._noise.add(body)
        else:
            self._answer(body[2:], now_ms)

    def _is_waiting(self) -> bool:
        return Turn.FAILED in TRANSITIONS[self._state]

    def _answer(self, answer: bytes, now_ms: int) -> None:
        state = self._state
        if state is State.POLLING:
            self._polled(answer, now_ms)
        elif state is State.EXCHANGING:
            is_good = len(answer) > 0 and answer[0] & _STATUS_MASK == 0
            self._events.append(CardAnswered(source=self._source, answer=answer[1:] if is_good else None))
            self._step(Turn.ANSWERED, now_ms)
        else:
            if state is State.WAKING and self._unanswered < OFFLINE_AFTER:
                self._come_online()
            self._step(Turn.ANSWERED, now_ms)

    def _polled(self, answer: bytes, now_ms: int) -> None:
        modulation = self._modulations[self._turn_of]
        kind = _POLLS[modulation].kind
        if answer[:1] == b"\x00":
            self._answered_well()
            self._presence.empty(modulation)
            self._step(Turn.EMPTY, now_ms)
            return
        number = _number_a(answer) if kind == "iso14443a" else _number_f(answer)
        if number is None:
            self._noise.add(answer)
            self._fail("bad answer", now_ms)
            return
        self._answered_well()
        is_new = self._presence.found(modulation, kind, number)
        if is_new:
            self._events.append(CardRead(source=self._source, number=number, kind=kind))
        self._step(Turn.KEPT if is_new and self._keep_ms else Turn.FOUND, now_ms)

    def _answered_well(self) -> None:
        """Only a poll proves that the chip works: one that wakes up and then falls silent must not flicker online."""
        self._unanswered = 0
        self._backoff.reset()
        self._come_online()

    def _told(self, now_ms: int) -> list[Event]:
        if self._noise.deadline() is not None:
            self._events += self._noise.report(now_ms)
        if not self._events:
            return []
        told, self._events = self._events, []
        return told


def _number_a(answer: bytes) -> bytes | None:
    """UID of `01 Tg SENS_RES(2) SEL_RES LEN NFCID1…` (UM0701-02 §7.3.5); None when it is not that."""
    if len(answer) < 6 or answer[0] != 1 or answer[5] not in {4, 7, 10}:
        return None
    end = 6 + answer[5]
    return answer[6:end] if len(answer) >= end else None


def _number_f(answer: bytes) -> bytes | None:
    """IDm of `01 Tg LEN 01 NFCID2(8) PAD(8) [SYST_CODE(2)]` (UM0701-02 §7.3.5); None when it is not that."""
    if len(answer) < 20 or answer[0] != 1 or answer[2] not in {18, 20} or answer[3] != 1:
        return None
    return answer[4:12] if len(answer) >= 2 + answer[2] else None
