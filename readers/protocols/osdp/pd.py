"""One reader (PD) as the control panel sees it: from the first word to a Secure Channel that stands.

The rules of this file:
  1. Every transition is in TRANSITIONS; FAILED leads from everywhere back to PROBING. 2. In the clear go only osdp_ID,
  osdp_CAP and the handshake; whatever a reader says in the clear opens nothing and is believed only against it.
  3. A command is repeated with the same bytes or not at all. 4. Distrust ends by `trust()` or by a finished install
  mode, never by itself.

It knows no line: `bus.py` says when it may speak, and hands it what was said to it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Final

from readers.backoff import Backoff
from readers.events import (
    DeviceOffline,
    DeviceOnline,
    Distrust,
    Event,
    FileSent,
    InstallEnded,
    KeyRenewed,
    ReaderDistrusted,
    ReaderIdentified,
)
from readers.protocols.osdp import commands, replies
from readers.protocols.osdp.channel import Handshake, Opening, SecureChannel
from readers.protocols.osdp.commands import Command
from readers.protocols.osdp.crypto import DEFAULT_KEY, RANDOM_BYTES, refuse_weak_key
from readers.protocols.osdp.files import FileTransfer
from readers.protocols.osdp.frames import FRAME_BYTES_MAX, Frame, encode
from readers.protocols.osdp.reports import Reports
from readers.protocols.osdp.values import Counts, OfflineWhy, PdPlan, Standing

REPLY_WITHIN_MS: Final = 200
"""§5.7: a reader answers within 200 ms."""
SHORT_PATIENCE_MS: Final = 50
"""For one that did not answer twice: its neighbours wait too. Each FULL_PATIENCE_EVERY-th time is whole."""
FULL_PATIENCE_EVERY: Final = 10
FIRST_RETRY_MS: Final = 100
LAST_RETRY_MS: Final = 300
REFUSED_RETRY_MS: Final = 2_000
"""Between attempts at a reader that is not trusted and with which no channel stands."""
BUSY_RETRY_MS: Final = 50
RECEIVE_BYTES_MIN: Final = 128
ORDERS_MAX: Final = 32
URGENT_MS: Final = 1_000
"""A release that could not be told for so long is not told any more."""
HANDSHAKE_TRIES: Final = 3
REFUSALS_MAX: Final = 2
"""One refusal of the handshake may be a reader that is starting."""
BAD_MACS_IN_A_ROW: Final = 3
BAD_MACS_MAX: Final = 100
SETTLED_AFTER_MS: Final = 1_000
"""A reader that loses every session at once is asked less often."""
SILENCE_MS: Final = 500
"""After so long without a word, what comes first may be old."""


class State(Enum):
    """What is asked of the reader now."""

    CLOSED = "closed"
    UNCOMMISSIONED = "uncommissioned"
    PROBING = "probing"
    DESCRIBING = "describing"
    CHALLENGING = "challenging"
    PROVING = "proving"
    IDENTIFYING = "identifying"
    COMPARING = "comparing"
    KEYING = "keying"
    STANDING = "standing"


class Turn(Enum):
    """What moves it on."""

    OPENED = "opened"
    ANSWERED = "answered"
    KNOWN = "known"
    KEYLESS = "keyless"
    RENEWED = "renewed"


TRANSITIONS: Final[dict[State, dict[Turn, State]]] = {
    State.CLOSED: {Turn.OPENED: State.PROBING},
    State.UNCOMMISSIONED: {Turn.OPENED: State.PROBING},
    State.PROBING: {Turn.ANSWERED: State.DESCRIBING, Turn.KNOWN: State.CHALLENGING},
    State.DESCRIBING: {Turn.ANSWERED: State.CHALLENGING},
    State.CHALLENGING: {Turn.ANSWERED: State.PROVING},
    State.PROVING: {Turn.ANSWERED: State.IDENTIFYING, Turn.KEYLESS: State.KEYING},
    State.IDENTIFYING: {Turn.ANSWERED: State.COMPARING},
    State.COMPARING: {Turn.ANSWERED: State.STANDING},
    State.KEYING: {Turn.RENEWED: State.CHALLENGING},
    State.STANDING: {Turn.RENEWED: State.CHALLENGING},
}
"""Besides these, a failure leads from every state to PROBING, and the loss of the line to CLOSED."""

_SEALED: Final = (State.IDENTIFYING, State.COMPARING, State.KEYING, State.STANDING)
_WAITING: Final = (State.CLOSED, State.UNCOMMISSIONED)
_NOT_SECURE: Final = (replies.NAK_SEQUENCE, replies.NAK_BLOCK, replies.NAK_NOT_SECURE)
_NO_KEY: Final = (replies.NAK_BLOCK, replies.NAK_NOT_SECURE)
"""A refusal of the handshake that says why: it has no secure channel by this key. With any other it may be ill."""


class Pd:
    """One reader.

    Args:
        plan: what the site says about it.
        random: 8 fresh bytes for each session, 16 for each card.
        poll_every_ms: from one poll to the next while nothing happens.
        renew_after_ms, renew_after_messages: how long one session lasts at most.
    """

    def __init__(
        self,
        plan: PdPlan,
        random: Callable[[int], bytes],
        *,
        poll_every_ms: int,
        renew_after_ms: int,
        renew_after_messages: int,
    ) -> None:
        self.plan = plan
        self._random = random
        self._poll_every_ms = poll_every_ms
        self._renew_after_ms = renew_after_ms
        self._renew_after_messages = renew_after_messages
        self._reports = Reports(plan, random)
        self._backoff = Backoff(FIRST_RETRY_MS, LAST_RETRY_MS)
        self._counts = Counts()
        self._pinned = plan.identity
        self._distrust: Distrust | None = None
        self._state = State.CLOSED
        self._is_online: bool | None = None
        self._events: list[Event] = []
        self._orders: deque[tuple[Command, int]] = deque()
        self._file: FileTransfer | None = None
        self._last_fault: OfflineWhy = "no answer"
        self._last_why = ""
        self.speed_answer: int | None = None
        """What came of osdp_COMSET: the reader's new speed, 0 when it refused; None: not asked, or no answer yet."""
        self.is_parked = False
        """It listens at another speed than the line has now."""
        self.due_ms: int | None = None
        """When it wants the line; None: not at all."""
        self.started_ms = 0
        self._begin_exchanges()
        self._begin_keys()

    def _begin_exchanges(self) -> None:
        """The message under way and the session that it belongs to."""
        self._sequence = 0
        self._frame = b""
        self._command: Command | None = None
        self._asked_ms = 0
        self._tries = self._silences = self._busy_in_a_row = self._unsealed_in_a_row = self._reply_ms = 0
        self._channel: SecureChannel | None = None
        self._session_began_ms = self._heard_ms = self._stood_ms = 0
        self._is_renewing = self._has_more = False
        self._bad_macs = self._bad_macs_in_a_row = self._sealed_naks = 0

    def _begin_keys(self) -> None:
        """Its key, the one to come, and who it says that it is."""
        self._key = self.plan.key
        self._new_key = self.plan.new_key
        self._is_new_key_refused = self._is_by_new_key = False
        self._refusals = 0
        self._install_key: bytes | None = None
        self._install_until_ms = 0
        self._is_installed = False
        self._who: replies.Identity | None = None
        self._can: dict[int, tuple[int, int]] = {}
        self._is_known = False  # it stood once: what it can need not be asked in the clear again
        self._identity: str | None = None
        self._told_identity: str | None = None

    # -- what the bus asks ---------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where it stands in TRANSITIONS."""
        return self._state

    @property
    def is_online(self) -> bool:
        """In its channel, and trusted."""
        return self._is_online is True

    @property
    def is_secure(self) -> bool:
        """A channel stands, trusted or not."""
        return self._state is State.STANDING or self._is_renewing

    @property
    def is_installing(self) -> bool:
        """In install mode."""
        return self._install_key is not None

    @property
    def is_absent(self) -> bool:
        """It is not there, as far as one knows: its probe must not cost its neighbours much."""
        return self._silences > 0 and (self._state is State.PROBING or self._silences >= HANDSHAKE_TRIES)

    @property
    def is_urgent(self) -> bool:
        """It has more to say or to be told than a poll."""
        return self._state is not State.STANDING or bool(self._orders) or self._has_more or self._file is not None

    @property
    def patience_ms(self) -> int:
        """How long to wait for the beginning of its answer."""
        if self._silences < HANDSHAKE_TRIES - 1 or self._silences % FULL_PATIENCE_EVERY == 0:
            return REPLY_WITHIN_MS
        return min(REPLY_WITHIN_MS, max(SHORT_PATIENCE_MS, 2 * self._reply_ms))

    @property
    def deadline_ms(self) -> int | None:
        """When `time_out` has something to do."""
        waiting = [self._reports.deadline_ms]
        if self._is_owed and self._is_online is not False and self._state not in _WAITING:
            waiting.append(max(self._stood_ms + self.plan.offline_after_ms, self.started_ms + 1))
        if self._install_key is not None and not self._is_installed:
            waiting.append(self._install_until_ms)
        return min((due_ms for due_ms in waiting if due_ms is not None), default=None)

    def drain(self) -> list[Event]:
        """What there is to tell."""
        events, self._events = self._events, []
        return events

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def open(self, now_ms: int) -> None:
        """The line is there."""
        self._silences = 0
        self._stood_ms = self._heard_ms = now_ms
        self._backoff.reset()
        if self._key is None and self._install_key is None:
            self._state, self.due_ms = State.UNCOMMISSIONED, None
            self._go_offline("not commissioned")
        else:
            self._fail("no answer", now_ms, wait_ms=0)

    def lose(self, now_ms: int) -> None:
        """The line is gone. Install mode only waits for it; its time runs on."""
        self._fail("line lost", now_ms, wait_ms=0)
        self._state, self.due_ms = State.CLOSED, None
        self._go_offline("line lost")

    def speed_changed(self, now_ms: int) -> None:
        """The line has another speed: all begins anew, now."""
        self.is_parked = False
        self.speed_answer = None
        self._silences = 0
        self._backoff.reset()
        if self._state not in _WAITING:
            self._fail("no answer", now_ms, wait_ms=0)

    def time_out(self, now_ms: int) -> None:
        """What is due without a word from the reader."""
        self._events += self._reports.time_out(now_ms)
        if self._install_key is not None and not self._is_installed and now_ms >= self._install_until_ms:
            self._end_install("time is over", now_ms)
        if self._state in _WAITING or self._is_online is False or not self._is_overdue(now_ms):
            return
        self._go_offline(self._last_fault)
        if self._state is State.STANDING:  # what it says from now on begins with who it is
            self._fail("no answer", now_ms, wait_ms=0)

    def _is_overdue(self, now_ms: int) -> bool:
        """It owes us an answer for too long. On a slow, full line it may be that nobody asked it."""
        return self._is_owed and not self.is_parked and now_ms - self._stood_ms >= self.plan.offline_after_ms

    @property
    def _is_owed(self) -> bool:
        is_evasive = self._busy_in_a_row > 0 or self._unsealed_in_a_row > 0
        return self._silences > 0 or is_evasive or self._state is not State.STANDING

    # -- speaking ------------------------------------------------------------------------------------------------

    def next_frame(self, now_ms: int) -> bytes:
        """What to send now: something new, or the last once more."""
        self.started_ms = now_ms
        if self._frame:
            self._counts.retries += 1
            return self._frame
        self._asked_ms = now_ms
        self._renew_if_due(now_ms)
        self._sequence = 0 if self._state is State.PROBING else self._sequence % 3 + 1
        self._command, self._frame = self._compose(now_ms)
        return self._frame

    def _compose(self, now_ms: int) -> tuple[Command | None, bytes]:
        if self._state is State.CHALLENGING:
            return None, self._in_clear(self._new_channel(now_ms).challenge())
        channel = self._channel
        if self._state is State.PROVING and channel is not None:
            return None, self._in_clear(channel.proof())
        if self._state in (State.PROBING, State.DESCRIBING):
            command = commands.identify() if self._state is State.PROBING else commands.capabilities()
            return command, encode(self.plan.address, self._sequence, command.code, command.body)
        command = self._next_command(now_ms)
        if channel is None:
            raise RuntimeError(f"{self.plan.source}: no channel in {self._state}")
        if command.code == commands.KEYSET:
            self._new_key, self._is_new_key_refused = command.body[2:], False
        return command, channel.seal(self.plan.address, self._sequence, command.code, command.body)

    def _in_clear(self, opening: Opening) -> bytes:
        return encode(self.plan.address, self._sequence, opening.code, opening.body, block=opening.block)

    def _next_command(self, now_ms: int) -> Command:
        if self._state is State.IDENTIFYING:
            return commands.identify()
        if self._state is State.COMPARING:
            return commands.capabilities()
        if self._state is State.KEYING and self._install_key is not None:
            return commands.keyset(self._install_key)
        while self._orders:
            command, self._asked_ms = self._orders.popleft()
            if command.not_after_ms is None or now_ms - self._asked_ms < command.not_after_ms:
                self._counts.commands += 1
                return command
        self._asked_ms = now_ms
        was_file = self._command is not None and self._command.code == commands.FILETRANSFER
        if self._file is not None and not was_file and now_ms >= self._file.not_before_ms:
            return self._file.next_command()
        self._counts.polls += 1
        return commands.poll()

    def _new_channel(self, now_ms: int) -> SecureChannel:
        self._session_began_ms = now_ms
        self._is_by_new_key = self._new_key is not None and not self._is_new_key_refused
        key, is_default = self._key, False
        if self._is_by_new_key:
            key = self._new_key
        elif self._install_key is not None and not self._is_installed:
            key, is_default = DEFAULT_KEY, True
        if key is None:
            raise RuntimeError(f"{self.plan.source} has no key and is spoken to")
        self._channel = SecureChannel(key, self._random(RANDOM_BYTES), is_default=is_default)
        return self._channel

    def _renew_if_due(self, now_ms: int) -> None:
        if self._state is not State.STANDING or self._channel is None or self._file is not None:
            return
        is_old = now_ms - self._session_began_ms >= self._renew_after_ms
        if is_old or self._channel.messages >= self._renew_after_messages:
            self._is_renewing = True
            self._step(Turn.RENEWED, now_ms)

    # -- listening -----------------------------------------------------------------------------------------------

    def take(self, frame: Frame, now_ms: int) -> bool:
        """A reply with this reader's address. False: it answers nothing that was asked."""
        if not self._frame:
            self._counts.strays += 1
            return False
        if frame.code == replies.BUSY and frame.sequence == 0 and not frame.block:
            self._counts.busy += 1
            self._busy_in_a_row += 1
            self.due_ms = now_ms + BUSY_RETRY_MS
            if self._is_too_late(now_ms):
                self._fail("no answer", now_ms, wait_ms=0)
            return True
        if frame.sequence != self._sequence:
            self._counts.strays += 1
            return False
        self._reply_ms = max(now_ms - self.started_ms, self._reply_ms * 7 // 8)
        if self._state not in _SEALED or self._channel is None:
            self._answered(now_ms)
            self._take_clear(frame, now_ms)
            return True
        opened = self._channel.unseal(frame)
        if opened is None:
            self._take_unsealed(frame, now_ms)
            return True
        self._bad_macs_in_a_row = 0
        self._answered(now_ms)
        self._take_sealed(*opened, now_ms)
        return True

    def no_answer(self, now_ms: int) -> None:
        """It did not answer in time."""
        self._silences += 1
        self._try_again("no answer", now_ms)

    def _answered(self, now_ms: int) -> None:
        if self._is_owed and now_ms - self._heard_ms > SILENCE_MS:
            self._reports.hold_back(now_ms)
        self._heard_ms = now_ms
        self._frame = b""
        self._tries = self._silences = self._busy_in_a_row = self._unsealed_in_a_row = 0
        self.due_ms = now_ms

    def _is_too_late(self, now_ms: int) -> bool:
        """Whether what it was told is urgent, and comes too late by now: never once more."""
        late = self._command.not_after_ms if self._command is not None else None
        return late is not None and now_ms - self._asked_ms >= late

    def _try_again(self, fault: OfflineWhy, now_ms: int) -> None:
        """The same bytes once more; a handshake only so often, an urgent command only so long."""
        self._tries += 1
        self._last_fault = fault
        is_gone = self._state is State.STANDING and now_ms - self._heard_ms >= self.plan.offline_after_ms
        if is_gone or self._is_too_late(now_ms):
            self._fail(fault, now_ms, wait_ms=0)
        elif self._state is State.PROBING or (self._state is not State.STANDING and self._tries >= HANDSHAKE_TRIES):
            self._fail(fault, now_ms)
        else:
            self.due_ms = now_ms if self._tries < HANDSHAKE_TRIES else now_ms + self._backoff.next_ms()

    def _take_clear(self, frame: Frame, now_ms: int) -> None:
        if frame.code == replies.NAK:
            self._count_nak(frame.body)
            if self._state in (State.PROBING, State.DESCRIBING):
                self._step(Turn.ANSWERED, now_ms)  # whoever does not like to be asked in the clear is asked later
            else:
                self._refused(now_ms)
        elif self._state is State.PROBING:
            self._step(Turn.KNOWN if self._is_known else Turn.ANSWERED, now_ms)
        elif self._state is State.DESCRIBING:
            self._take_clear_capabilities(frame, now_ms)
        elif self._channel is not None:
            is_first = self._state is State.CHALLENGING
            came = self._channel.take_cryptogram(frame) if is_first else self._channel.take_first_mac(frame)
            self._take_handshake(came, now_ms)

    def _take_clear_capabilities(self, frame: Frame, now_ms: int) -> None:
        found = replies.capabilities(frame.body) if frame.code == replies.PDCAP else None
        if found is not None and not replies.is_secure(found):
            if self._install_key is not None and not self._is_installed:
                self._end_install("no secure channel", now_ms)
                return
            self._lose_trust("downgraded", "downgraded")
        self._step(Turn.ANSWERED, now_ms)

    def _take_handshake(self, came: Handshake, now_ms: int) -> None:
        if came is Handshake.MALFORMED:
            self._fail("bad frames", now_ms)
        elif came is Handshake.DEFAULT_KEY:
            self._lose_trust("default_key", "default key")
            self._fail("default key", now_ms, wait_ms=REFUSED_RETRY_MS)
        elif came is Handshake.WRONG_KEY:
            self._wrong_key(now_ms)
        elif self._state is State.CHALLENGING:
            self._step(Turn.ANSWERED, now_ms)
        else:
            self._channel_stands(now_ms)

    def _channel_stands(self, now_ms: int) -> None:
        self._refusals = 0
        self._counts.sessions += 1
        if self._is_by_new_key:
            self._key, self._new_key = self._new_key, None
            if self._install_key is None:
                self._events.append(KeyRenewed(source=self.plan.source, is_done=True))
            else:
                self._is_installed = True
        elif self._install_key is not None and not self._is_installed:
            self._step(Turn.KEYLESS, now_ms)
            return
        elif self._new_key is not None:
            self._new_key = None
            self._events.append(KeyRenewed(source=self.plan.source, is_done=False))
        self._step(Turn.ANSWERED, now_ms)

    def _refused(self, now_ms: int) -> None:
        """It would not begin a session."""
        self._is_known = False
        if self._counts.last_nak not in _NO_KEY and not self._is_by_new_key:
            self._fail("bad frames", now_ms)
            return
        self._refusals += 1
        if self._refusals >= REFUSALS_MAX or self._is_by_new_key:
            self._wrong_key(now_ms)
        else:
            self._fail("wrong key", now_ms)

    def _wrong_key(self, now_ms: int) -> None:
        """It does not know the key. Where a new one may or may not have arrived, the other is tried first."""
        self._refusals = 0
        is_default = self._install_key is not None and not self._is_installed and not self._is_by_new_key
        if self._new_key is not None:
            self._is_new_key_refused = not self._is_new_key_refused
            if self._is_by_new_key and (self._key is not None or self._install_key is not None):
                self._fail("wrong key", now_ms, wait_ms=0)
                return
        if not is_default:
            self._lose_trust("key_lost", "wrong key")
        elif self._new_key is None:  # an earlier install mode may have brought it, unheard
            self._new_key, self._is_new_key_refused = self._install_key, False
        self._fail("wrong key", now_ms, wait_ms=REFUSED_RETRY_MS)

    def _take_unsealed(self, frame: Frame, now_ms: int) -> None:
        """In the channel, something without a good MAC. It changes nothing but our patience."""
        if frame.code == replies.NAK and not frame.block:
            self._count_nak(frame.body)
            self._unsealed_in_a_row += 1  # anybody can say that: it does not show that the reader is there
            self._last_fault = "bad frames"
            if self._counts.last_nak in _NOT_SECURE:
                self._fail("bad frames", now_ms)
            elif self._counts.last_nak == replies.NAK_BAD_SUM:
                self._try_again("bad frames", now_ms)
            else:
                self._drop_command(now_ms)
            return
        self._bad_macs += 1
        self._counts.bad_macs += 1
        self._bad_macs_in_a_row += 1
        if self._bad_macs >= BAD_MACS_MAX:
            self._bad_macs = 0
            self._lose_trust("macs_failed", "bad frames")
            self._fail("bad frames", now_ms, wait_ms=REFUSED_RETRY_MS)
        elif self._bad_macs_in_a_row >= BAD_MACS_IN_A_ROW:
            self._bad_macs_in_a_row = 0
            self._fail("bad frames", now_ms)
        else:
            self._try_again("bad frames", now_ms)

    def _count_nak(self, body: bytes) -> None:
        self._counts.naks += 1
        self._counts.last_nak = body[0] if body else 0

    def _drop_command(self, now_ms: int) -> None:
        """It will not do that. It is there all the same."""
        command = self._command
        self._frame, self._tries = b"", 0
        self.due_ms = self.started_ms + self._poll_every_ms
        if self._state is not State.STANDING or command is None:
            self._fail("bad frames", now_ms)
        elif command.code == commands.KEYSET:
            self._new_key = None
            self._events.append(KeyRenewed(source=self.plan.source, is_done=False))
        elif command.code == commands.COMSET:
            self.speed_answer = 0
        elif command.code == commands.FILETRANSFER:
            self._end_file("refused")

    # -- in the channel ------------------------------------------------------------------------------------------

    def _take_sealed(self, code: int, body: bytes, now_ms: int) -> None:
        if self._state is State.STANDING:
            self._stood_ms = now_ms
            if now_ms - self._session_began_ms > SETTLED_AFTER_MS:
                self._backoff.reset()
            self._take_report(code, body, now_ms)
        elif self._state is State.KEYING:
            self._take_keying(code, body, now_ms)
        elif self._state is State.IDENTIFYING:
            self._who = replies.identity(body) if code == replies.PDID else None
            if self._who is None:
                self._fail("bad frames", now_ms)
            else:
                self._step(Turn.ANSWERED, now_ms)
        else:
            found = replies.capabilities(body) if code == replies.PDCAP else None
            if found is None or self._who is None:
                self._fail("bad frames", now_ms)
            else:
                self._can = found
                self._identity = replies.identity_hash(self._who, found)
                self._step(Turn.ANSWERED, now_ms)

    def _take_keying(self, code: int, body: bytes, now_ms: int) -> None:
        if code == replies.ACK:
            self._step(Turn.RENEWED, now_ms)
        elif code == replies.NAK:
            self._count_nak(body)
            self._new_key = None
            self._end_install("key refused", now_ms)
        else:
            self._fail("bad frames", now_ms)

    def _take_report(self, code: int, body: bytes, now_ms: int) -> None:
        command = self._command
        asked = commands.POLL if command is None else command.code
        self._has_more = False
        if code == replies.NAK:
            self._count_nak(body)
            self._sealed_naks += 1
            if self._sealed_naks >= BAD_MACS_IN_A_ROW and asked == commands.POLL:
                self._fail("bad frames", now_ms)
            else:
                self._drop_command(now_ms)
            return
        self._sealed_naks = 0
        if asked == commands.KEYSET and code == replies.ACK:
            self._is_renewing = True
            self._step(Turn.RENEWED, now_ms)
            return
        if asked == commands.COMSET and code == replies.COM:
            told = replies.communication(body)
            self.speed_answer = told[1] if told is not None and told[0] == self.plan.address else 0
        elif asked == commands.FILETRANSFER and code == replies.FTSTAT:
            self._take_file(body, now_ms)
        elif code == replies.ACK:
            if asked == commands.POLL:
                self._reports.had_nothing()
        else:
            self._has_more = asked == commands.POLL
            self._events += self._reports.take(code, body, now_ms)
            left = ORDERS_MAX - len(self._orders)
            self._orders.extend((one, now_ms) for one in self._reports.wanted[:left])
            self._reports.wanted.clear()
        self.due_ms = now_ms if self.is_urgent else self.started_ms + self._poll_every_ms

    def _take_file(self, body: bytes, now_ms: int) -> None:
        told = replies.file_status(body)
        if self._file is None:
            return
        if told is None:
            self._end_file("refused")
            return
        self._file.take(told, now_ms)
        if self._file.is_over:
            self._end_file(self._file.why)

    def _end_file(self, why: str) -> None:
        if self._file is not None:
            self._file = None
            self._events.append(FileSent(source=self.plan.source, is_done=not why, why=why))

    # -- the machine ---------------------------------------------------------------------------------------------

    def _step(self, turn: Turn, now_ms: int) -> None:
        self._state = TRANSITIONS[self._state][turn]
        self.due_ms = now_ms
        if self._state is State.STANDING:
            self._stand(now_ms)

    def _stand(self, now_ms: int) -> None:
        """The channel stands and its reader has said who it is."""
        self._stood_ms = now_ms
        self._is_known = True
        self._refusals = 0
        was_renewing, self._is_renewing = self._is_renewing, False
        if not was_renewing:
            self._reports.begin(now_ms, self._receive_bytes)
        else:
            self._bad_macs = 0
        self._judge()
        if not was_renewing:  # of a reader that is not trusted too: a REX must be an edge, not a level
            self._ask_states(now_ms)
            if self.plan.pkoc_reader_id is not None:
                self._orders.append((commands.receive_size(FRAME_BYTES_MAX), now_ms))

    def _ask_states(self, now_ms: int) -> None:
        self._orders.append((commands.local_status(), now_ms))
        if self.plan.inputs and self._has(commands.CAN_INPUTS):
            self._orders.append((commands.input_status(), now_ms))
        if self.plan.has_outputs and self._has(commands.CAN_OUTPUTS):
            self._orders.append((commands.output_status(), now_ms))

    def _judge(self) -> None:
        """Is it still the reader that was approved?"""
        identity, who = self._identity, self._who
        if identity is None or who is None:
            return
        if self._is_installed:
            self._install_key, self._is_installed = None, False
            self._pinned, self._distrust = identity, None
            self._events.append(InstallEnded(source=self.plan.source, is_done=True))
            self._told_identity = None
        if self._told_identity != identity:
            self._told_identity = identity
            self._events.append(
                ReaderIdentified(
                    source=self.plan.source,
                    identity=identity,
                    maker=who.maker,
                    model=who.model,
                    serial=who.serial,
                    firmware=who.firmware,
                )
            )
        if not replies.is_secure(self._can):
            self._lose_trust("downgraded", "downgraded")
        elif self._pinned is None:
            self._pinned = identity
        elif self._pinned != identity:
            self._lose_trust("replaced", "replaced")
        self._reports.is_trusted = self._distrust is None
        if self._distrust is None and self._is_online is not True:
            self._is_online = True
            self._events.append(DeviceOnline(source=self.plan.source))

    def _fail(self, why: OfflineWhy, now_ms: int, *, wait_ms: int | None = None) -> None:
        """Begin anew, after a while. Nothing that was to be done is done late; only an OFF is never late."""
        self._last_fault = why
        self._channel = None
        self._state = State.PROBING
        self._is_renewing = False
        self._frame = b""
        self._command = None
        self._tries = 0
        self._has_more = False
        self._reports.forget()
        self._flush(is_off_kept=True)
        self._end_file(why)
        self.due_ms = now_ms + (self._backoff.next_ms() if wait_ms is None else wait_ms)

    def _go_offline(self, why: OfflineWhy) -> None:
        self._last_why = why
        self._reports.is_trusted = False
        self._flush(is_off_kept=False)
        if self._is_online is not False:
            self._is_online = False
            self._events.append(DeviceOffline(source=self.plan.source, why=why))

    def _flush(self, *, is_off_kept: bool) -> None:
        kept: deque[tuple[Command, int]] = deque()
        for command, asked_ms in self._orders:
            if is_off_kept and command.code == commands.OUT and command.not_after_ms is None:
                kept.append((command, asked_ms))
            elif command.code == commands.KEYSET:
                self._events.append(KeyRenewed(source=self.plan.source, is_done=False))
        self._orders = kept

    def _lose_trust(self, distrust: Distrust, why: OfflineWhy) -> None:
        if self._distrust is None:
            self._distrust = distrust
            self._events.append(ReaderDistrusted(source=self.plan.source, why=distrust))
        self._go_offline(why)

    def _end_install(self, why: str, now_ms: int) -> None:
        self._install_key, self._is_installed = None, False
        if self._key is None:
            self._new_key = None
        self._events.append(InstallEnded(source=self.plan.source, is_done=False, why=why))
        if self._state is not State.CLOSED:
            self.open(now_ms)

    def _has(self, code: int) -> bool:
        return code == 0 or any(self._can.get(code, (0, 0)))

    # -- what officers and the engine ask ------------------------------------------------------------------------

    def order(self, command: Command, now_ms: int) -> bool:
        """Queue a command. False: it is not there, not trusted, cannot do it, or has too much to do already."""
        is_off = command.code == commands.OUT and command.not_after_ms is None
        is_there = self.is_secure and (self.is_online or is_off)
        if not is_there or not self._has(command.needs) or len(self._orders) >= ORDERS_MAX:
            return False
        self._orders.append((command, now_ms))
        self._hurry()
        return True

    def _hurry(self) -> None:
        if not self._frame and self._state is State.STANDING:
            self.due_ms = self.started_ms

    @property
    def _receive_bytes(self) -> int:
        """What it takes at once; 128 where it does not say."""
        low, high = self._can.get(commands.RECEIVE_BYTES, (0, 0))
        return low + 256 * high or RECEIVE_BYTES_MIN

    def forget_outputs(self) -> None:
        """The next word on its outputs is told, whatever it is."""
        self._reports.forget_outputs()

    def outputs(self) -> int:
        """How many outputs it says that it has."""
        return self._can.get(commands.CAN_OUTPUTS, (0, 0))[1]

    def begin_install(self, key: bytes, now_ms: int, within_ms: int) -> None:
        """Let the default key in, once, to give it `key`."""
        self._install_key, self._install_until_ms = key, now_ms + within_ms
        self._is_installed, self._new_key = False, None
        self._go_offline("installing")
        if self._state is not State.CLOSED:
            self._fail("no answer", now_ms, wait_ms=0)

    def end_install(self, now_ms: int) -> None:
        """Enough."""
        if self._install_key is not None:
            self._end_install("stopped", now_ms)

    def renew_key(self, key: bytes, now_ms: int) -> bool:
        """Give it another key, inside the channel."""
        refuse_weak_key(key)
        return self._new_key is None and self.order(commands.keyset(key), now_ms)

    def trust(self, identity: str, now_ms: int) -> None:
        """Two people approved `identity`."""
        self._pinned = identity or self._pinned  # "": nobody has seen it yet; whoever was approved before still is
        self._distrust, self._bad_macs = None, 0
        if self._state is State.STANDING:
            self._judge()
            if self.is_online:
                self._reports.begin(now_ms, self._receive_bytes)
                self._ask_states(now_ms)
            self._hurry()
        elif self._state not in _WAITING and not self._frame:
            self.due_ms = now_ms

    def send_file(self, kind: int, content: bytes) -> bool:
        """Begin a file transfer."""
        if not self.is_online or self._state is not State.STANDING or self._file is not None or not content:
            return False
        self._file = FileTransfer(kind, content, self._receive_bytes)
        self._hurry()
        return True

    def stray(self) -> None:
        """Somebody spoke with its address, unasked."""
        self._counts.strays += 1

    def standing(self, baud: int) -> Standing:
        """How it stands now."""
        who = self._who
        return Standing(
            source=self.plan.source,
            address=self.plan.address,
            state=self._state.value,
            is_online=self.is_online,
            is_secure=self.is_secure,
            is_installing=self.is_installing,
            baud=baud,
            identity=self._identity,
            maker="" if who is None else who.maker,
            model="" if who is None else who.model,
            serial="" if who is None else who.serial,
            firmware="" if who is None else who.firmware,
            distrust=self._distrust,
            last_why=self._last_why,
            reply_ms=self._reply_ms,
            counts=replace(self._counts),
        )
