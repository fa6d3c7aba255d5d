"""PN532 card reader on a serial line: bytes in, events and bytes out (NXP UM0701-02; docs/wire/pn532.md).

The rules of this file:
  1. Every transition is in TRANSITIONS; what entering a state sends and waits for is in `_enter`; nothing else moves
  the state. 2. No I/O, no clock: `now_ms` is the loop's tick. Nothing here raises on bad bytes: they are counted
  (LineNoise) and skipped. 3. An answer counts only when it is whole, belongs to the command under way and came after
  that command's ACK. 4. A card that is asked to prove itself is told of when it has answered to the end
  (`readers/cards`), or as CardUnread; never in between.

A number proves nothing: a UID or IDm can be copied. What proves is the session that `challenge` gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

from readers.backoff import Backoff
from readers.cards.session import CardTarget, Left, NotOurs, Proved
from readers.events import CardAnswered, CardRead, CardUnread, DeviceOffline, DeviceOnline, Event
from readers.protocols.noise import NoiseMeter
from readers.protocols.pn532_cards import EXCHANGE_BYTES_MAX, STATUS_MASK, CardMachine, CardTalk, targets_a, targets_f
from readers.protocols.pn532_frames import (
    ACK,
    HELD_BYTES_MAX,
    NACK,
    WAKE_UP,
    Frame,
    FrameKind,
    FrameReader,
    encode,
)
from readers.protocols.pn532_speed import SpeedSearch
from readers.protocols.presence import Presence

ACK_WITHIN_MS: Final = 250
"""The chip needs 15 ms (UM0701-02 §6.2.2); the rest is for a machine under load."""
ANSWER_WITHIN_MS: Final = 1_000
OFFLINE_AFTER: Final = 3
"""Commands in a row without a good answer; one lost byte is not an outage."""
FLUSH_AFTER: Final = 2
FLUSH: Final = bytes(HELD_BYTES_MAX)
"""A chip that heard a spoilt length waits for as many bytes as the longest frame has, and swallows every command."""
FIRST_RETRY_MS: Final = 100
LAST_RETRY_MS: Final = 5_000
FIELD_REST_MS: Final = 10
"""ISO/IEC 14443-3 §5.1: a card is reset by 5 ms without field."""
SWITCH_REST_MS: Final = 10
"""UM0701-02 §7.2.8: the chip changes its speed 200 us after the host's ACK; the rest is for the adapter's buffers."""


class State(Enum):
    """What the reader is doing; each but the last five waits for one answer of the chip."""

    WAKING = "waking"
    SPEEDING = "speeding"
    SETTING = "setting"
    LIMITING = "limiting"
    POLLING = "polling"
    EXCHANGING = "exchanging"
    RELEASING = "releasing"
    DARKENING = "darkening"
    SWITCHING = "switching"
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
    SLOW = "slow"
    FOUND = "found"
    MET = "met"
    KEPT = "kept"
    ASKED = "asked"
    LET_GO = "let_go"
    FAILED = "failed"
    LOST = "lost"


TRANSITIONS: Final[dict[State, dict[Turn, State]]] = {
    State.CLOSED: {Turn.OPENED: State.WAKING},
    State.WAKING: {Turn.ANSWERED: State.SETTING, Turn.SLOW: State.SPEEDING, Turn.FAILED: State.RETRYING},
    State.SPEEDING: {Turn.ANSWERED: State.SWITCHING, Turn.FAILED: State.RETRYING},
    State.SWITCHING: {Turn.DUE: State.SETTING},
    State.SETTING: {Turn.ANSWERED: State.LIMITING, Turn.FAILED: State.RETRYING},
    State.LIMITING: {Turn.ANSWERED: State.POLLING, Turn.FAILED: State.RETRYING},
    State.POLLING: {
        Turn.EMPTY: State.RESTING,
        Turn.FOUND: State.RELEASING,
        Turn.KEPT: State.HOLDING,
        Turn.MET: State.EXCHANGING,
        Turn.FAILED: State.RETRYING,
    },
    State.HOLDING: {Turn.ASKED: State.EXCHANGING, Turn.LET_GO: State.RELEASING, Turn.DUE: State.RELEASING},
    State.EXCHANGING: {
        Turn.ANSWERED: State.HOLDING,
        Turn.ASKED: State.EXCHANGING,
        Turn.LET_GO: State.RELEASING,
        Turn.FAILED: State.RETRYING,
    },
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
    """One modulation: the parameters that ask for it (UM0701-02 §7.3.5) and how its answer is read."""

    asks: bytes
    read: Callable[[bytes], list[CardTarget] | None]


_POLLING_REQUEST: Final = bytes.fromhex("00FFFF0100")
"""JIS X 6319-4: Polling, any system code, which is to be told, one time slot."""

_POLLS: Final[dict[Modulation, _Poll]] = {
    "106A": _Poll(b"\x00", targets_a),
    "212F": _Poll(b"\x01" + _POLLING_REQUEST, targets_f),
    "424F": _Poll(b"\x02" + _POLLING_REQUEST, targets_f),
}

_FIXED_COMMANDS: Final = {
    State.WAKING: bytes.fromhex("1401"),  # SAMConfiguration, normal mode (§7.2.10)
    State.SETTING: bytes.fromhex(
        "1214"
    ),  # SetParameters (§7.2.9): the chip itself does RATS; others may have left it off
    State.RELEASING: bytes.fromhex("5200"),  # InRelease, every target (§7.3.11)
    State.DARKENING: bytes.fromhex("320100"),  # RFConfiguration, field off (§7.3.1); the next poll switches it on
}
_TFI_HOST: Final = 0xD4
_TFI_CHIP: Final = 0xD5


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
        challenge: asked about each new card: what shall talk to it, or None to read its number alone. A session's
            verdict becomes the event; a machine that ends in anything else (personalisation) is told to `on_outcome`
            and to nobody else.
        on_outcome: hears how each talk ended, in the thread of this reader; must not block. A card that left, or a
            line that broke, is what the machine makes of silence.
        session_ms: the longest that one talk may take; one answer may take half of it.
        exchanges_max: how many commands of the chip one talk may cost.
        is_alone_required: two type A cards at once are refused ("two cards") instead of one of them being read.
        high_baud: the speed that the chip is asked for once it answers at 115200; None leaves it there.

    Raises:
        ValueError: on arguments out of range.
    """

    def __init__(  # noqa: PLR0913 - a reader's settings, all but one of them named
        self,
        source: str,
        *,
        poll_interval_ms: int = 50,
        retries: int = 4,
        absent_polls: int = 2,
        modulations: tuple[Modulation, ...] = ("106A", "212F"),
        keep_ms: int = 0,
        challenge: Callable[[CardTarget], CardMachine | None] | None = None,
        on_outcome: Callable[[CardTarget, object], None] | None = None,
        session_ms: int = 2_000,
        exchanges_max: int = 200,
        is_alone_required: bool = False,
        high_baud: int | None = None,
    ) -> None:
        if not 0 <= retries <= 0xFE:
            raise ValueError(f"retries must be 0 to 254 (255 would poll for ever), not {retries}")
        if poll_interval_ms < 0 or keep_ms < 0 or not modulations:
            raise ValueError("poll_interval_ms and keep_ms must not be negative, and one modulation must be polled")
        if session_ms < 1 or exchanges_max < 1:
            raise ValueError("session_ms and exchanges_max must be positive")
        self._speed = SpeedSearch(high_baud)
        self._challenge = challenge
        self._on_outcome = on_outcome
        self._session_ms = session_ms
        self._exchanges_max = exchanges_max
        self._poll_head = bytes((0x4A, 2 if is_alone_required else 1))
        self._talk: CardTalk | None = None
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
        self._is_speed_new = False
        self._ask = b""
        self._events: list[Event] = []

    # -- the face ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the reader stands in TRANSITIONS."""
        return self._state

    @property
    def baud(self) -> int | None:
        """The speed the line must have once `data_to_send()` was sent; None leaves it as it was opened."""
        return self._speed.baud

    def connection_made(self, now_ms: int) -> None:
        """The line is open: wake the chip and configure it."""
        self._speed.begin()
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
        self._ask = b"\x40\x01" + payload
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
        if state is State.SWITCHING:
            self._speed.switch()
        if Turn.FAILED in TRANSITIONS[state]:
            self._send(self._command(state, now_ms), now_ms)
        elif state is State.RESTING:
            self._rest(now_ms, is_dark=left is State.DARKENING)
        elif state is State.HOLDING:
            if left is State.POLLING:
                self._hold_until_ms = now_ms + self._keep_ms
            self._due_ms = self._hold_until_ms
        elif state is State.SWITCHING:
            self._out += ACK  # §7.2.8: at the old speed; with it the chip changes
            self._due_ms = now_ms + SWITCH_REST_MS
        elif state is State.RETRYING:
            self._out += ACK  # aborts the command that the chip may still be at (UM0701-02 §6.2.1.3)
            self._due_ms = now_ms + self._backoff.next_ms()
        else:
            self._due_ms = None

    def _command(self, state: State, now_ms: int) -> bytes:
        if state is State.POLLING:
            if self._turn_of == 0:
                self._round_began_ms = now_ms
            return self._poll_head + _POLLS[self._modulations[self._turn_of]].asks
        if state is State.EXCHANGING:
            return self._ask
        if state is State.SPEEDING:
            return self._speed.command
        if state is State.LIMITING:
            return bytes((0x32, 0x05, 0xFF, 0x01, self._retries))
        if state is State.WAKING:
            if self._unanswered >= FLUSH_AFTER:
                self._out += FLUSH
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
        self._cut_talk("line lost")

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
        left = self._state
        is_card_silent = left is State.EXCHANGING and self._is_acknowledged  # the chip lives; it waits for the card
        if left is State.EXCHANGING and self._talk is None:
            self._events.append(CardAnswered(source=self._source, answer=None))
        self._cut_talk(why)
        if left is State.SPEEDING or (left is State.SETTING and self._is_speed_new):
            self._speed.refuse()
        self._is_speed_new = False
        if left is State.WAKING:
            self._speed.look_on()
        self._step(Turn.FAILED, now_ms)
        if is_card_silent:
            return
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
            if self._state is State.EXCHANGING and self._talk is not None:
                within_ms = max(ANSWER_WITHIN_MS, self._session_ms // 2)  # a desk's card may format itself
                self._due_ms = max(now_ms + 1, min(now_ms + within_ms, self._talk.until_ms))

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
            self._exchanged(answer, now_ms)
        elif state is State.WAKING:
            if self._unanswered < OFFLINE_AFTER:
                self._come_online()
            self._step(Turn.SLOW if self._speed.is_faster_wanted else Turn.ANSWERED, now_ms)
        else:
            self._is_speed_new = state is State.SPEEDING
            self._step(Turn.ANSWERED, now_ms)

    def _polled(self, answer: bytes, now_ms: int) -> None:
        modulation = self._modulations[self._turn_of]
        if answer[:1] == b"\x00":
            self._answered_well()
            self._presence.empty(modulation)
            self._step(Turn.EMPTY, now_ms)
            return
        targets = _POLLS[modulation].read(answer)
        if targets is None or len(targets) > self._poll_head[1]:
            self._noise.add(answer)
            self._fail("bad answer", now_ms)
            return
        self._answered_well()
        if len(targets) > 1:
            if self._presence.crowded(modulation, targets[0].kind, [target.number for target in targets]):
                self._events.append(CardUnread(source=self._source, why="two cards"))
            self._step(Turn.FOUND, now_ms)
        elif self._presence.found(modulation, targets[0].kind, targets[0].number):
            self._step(self._meet(targets[0], now_ms), now_ms)
        else:
            self._step(Turn.FOUND, now_ms)

    def _meet(self, target: CardTarget, now_ms: int) -> Turn:
        """A new presentation: ask the card, or tell its number."""
        machine = None if self._challenge is None else self._challenge(target)
        if machine is None:
            self._events.append(CardRead(source=self._source, number=target.number, kind=target.kind))
            return Turn.KEPT if self._keep_ms else Turn.FOUND
        until_ms = now_ms + self._session_ms
        self._talk = CardTalk(machine, target, until_ms=until_ms, exchanges_max=self._exchanges_max)
        self._ask = self._talk.begin()
        return Turn.MET

    def _exchanged(self, answer: bytes, now_ms: int) -> None:
        talk = self._talk
        if talk is None:
            is_good = len(answer) > 0 and answer[0] & STATUS_MASK == 0
            self._events.append(CardAnswered(source=self._source, answer=answer[1:] if is_good else None))
            self._step(Turn.ANSWERED, now_ms)
            return
        if now_ms >= talk.until_ms:
            self._cut_talk("too slow")
            self._step(Turn.LET_GO, now_ms)
            return
        outcome = talk.take(answer)
        if isinstance(outcome, bytes):
            self._ask = outcome
            self._step(Turn.ASKED, now_ms)
            return
        self._talk = None
        self._conclude(talk.target, outcome)
        self._step(Turn.LET_GO, now_ms)

    def _conclude(self, target: CardTarget, outcome: object) -> None:
        """The machine came to an end by itself. Only a verdict is an event of this reader."""
        if isinstance(outcome, Proved):
            read = CardRead(source=self._source, number=outcome.number, kind=target.kind, proof=outcome.proof)
            self._events.append(read)
        elif isinstance(outcome, NotOurs):
            self._events.append(CardRead(source=self._source, number=target.number, kind=target.kind))
        elif isinstance(outcome, Left) and self._presence.unread(target.kind, target.number):
            self._events.append(CardUnread(source=self._source, why="card left"))
        if self._on_outcome is not None:
            self._on_outcome(target, outcome)

    def _cut_talk(self, why: str) -> None:
        """The chip, the line or the time ended the talk. The card is not tried again where it lies: nothing is read
        because a line came back (B-11).
        """
        talk, self._talk = self._talk, None
        if talk is None:
            return
        outcome = talk.cut()
        if isinstance(outcome, Left):
            self._events.append(CardUnread(source=self._source, why=why))
        if self._on_outcome is not None:
            self._on_outcome(talk.target, outcome)

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
