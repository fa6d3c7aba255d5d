"""A multi-drop OSDP line as its control panel: bytes in, events and bytes out (docs/wire/osdp.md).

Owns whose turn it is and how long an answer is waited for. One reader is asked at a time, the one that has waited
longest first; the next as soon as the last has answered. No I/O, no clock, no randomness of its own. Nothing here
raises on bad bytes: what is no frame is counted (LineNoise), what nobody asked for is counted (Standing.strays).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from readers.events import Event
from readers.protocols.noise import NoiseMeter
from readers.protocols.osdp import commands
from readers.protocols.osdp.commands import Command
from readers.protocols.osdp.crypto import refuse_weak_key
from readers.protocols.osdp.files import FILE_BYTES_MAX
from readers.protocols.osdp.frames import FRAME_BYTES_MAX, MARK, Frame, FrameReader
from readers.protocols.osdp.pd import URGENT_MS, Pd
from readers.protocols.osdp.signals import signal
from readers.protocols.osdp.speeds import SpeedChange, SpeedSearch
from readers.protocols.osdp.values import PdPlan, Signal, Standing

SHORTEST_REPLY_BYTES: Final = 14
"""A sealed ACK: header, security block, code, MAC, CRC."""
FAST_BAUD: Final = 100_000
"""Sleep is counted in whole milliseconds and may end one late: on a line this fast a poll has gone by in that."""
BAUDS: Final = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
BITS_PER_BYTE: Final = 10
ROUND_MS: Final = 28
"""Nobody's card waits longer than this for its turn, where the line is fast enough…"""
REST_MS_MAX: Final = 9
"""…and few readers do not keep a processor busy: a poll costs a quarter of a millisecond."""
BYTE_GAP_MS: Final = 40
"""§5.7 allows 20 ms between two bytes; USB adapters hand them over every 16 ms."""
SPOILT_REST_MS: Final = 20
"""After an answer with a wrong sum, before it is asked for again."""
PROBE_SHARE: Final = 3
"""After asking one that is not there, three times as long belongs to the others…"""
PROBE_REST_MS_MAX: Final = 300
"""…but no longer than this, or it would not be back within a second."""
RESPEED_MS: Final = 100
"""The transport needs a moment to change its speed."""
INSTALL_MS_MAX: Final = 600_000
OUTPUT_MS_MAX: Final = commands.TIMED_MS_MAX
RENEW_AFTER_MS: Final = 24 * 3_600_000
RENEW_AFTER_MESSAGES: Final = 1 << 22
"""About half a day of polls: a MAC of 32 bits is not to be worn out."""
_MARKING: Final = bytes((MARK,))


class OsdpBus:
    """One RS-485 line and its readers.

    Args:
        source: the line's device id, for its noise.
        plans: its readers: sources, addresses and keys of their own.
        baud: the line's speed, as opened.
        random: gives fresh random bytes (`secrets.token_bytes`).
        poll_every_ms: from one poll of a reader to its next while nothing happens and the line has time.
        rest_ms: shortest time from one idle poll of the line to the next; None: as the number of readers allows.
        renew_after_ms, renew_after_messages: the longest life of a session.
        search_bauds: speeds to try when nobody answers; the opened one and those of `set_baud` are always among them.

    Raises:
        ValueError: on readers that share a source, an address or a key, or arguments out of range.
    """

    def __init__(  # noqa: PLR0913 - each is a fact of the line
        self,
        source: str,
        plans: Sequence[PdPlan],
        *,
        baud: int,
        random: Callable[[int], bytes],
        poll_every_ms: int = 20,
        rest_ms: int | None = None,
        renew_after_ms: int = RENEW_AFTER_MS,
        renew_after_messages: int = RENEW_AFTER_MESSAGES,
        search_bauds: Sequence[int] = (),
    ) -> None:
        if baud not in BAUDS or any(one not in BAUDS for one in search_bauds):
            raise ValueError(f"{source}: an OSDP line runs at one of {BAUDS}")
        if poll_every_ms < 1 or (rest_ms is not None and rest_ms < 0) or renew_after_ms < 1 or renew_after_messages < 1:
            raise ValueError(f"{source}: times and counts must be positive")
        keys = [key for plan in plans for key in (plan.key, plan.new_key) if key is not None]
        for shared in ([plan.source for plan in plans], [plan.address for plan in plans], keys):
            if len(set(shared)) != len(shared):
                raise ValueError(f"{source}: two readers share a source, an address or a key")
        self._source = source
        self._pds = {
            plan.source: Pd(
                plan,
                random,
                poll_every_ms=poll_every_ms,
                renew_after_ms=renew_after_ms,
                renew_after_messages=renew_after_messages,
            )
            for plan in plans
        }
        self._by_address = {pd.plan.address: pd for pd in self._pds.values()}
        self._keys = {key: plan.source for plan in plans for key in (plan.key, plan.new_key) if key is not None}
        self._rest_ms = min(REST_MS_MAX, ROUND_MS // max(1, len(plans))) if rest_ms is None else rest_ms
        self._baud = baud
        self._search = SpeedSearch(baud, search_bauds)
        self._change: SpeedChange | None = None
        self._is_open = False
        self._now_ms = 0
        self._noise = NoiseMeter(source)
        self._frames = FrameReader()
        self._out = b""
        self._asked: Pd | None = None
        self._give_up_ms = 0
        self._give_up_latest_ms = 0
        self._asked_at_ms = 0
        self._sent_bytes = 0
        self._polled_at_ms = 0
        self._probe_free_ms = 0
        self._quiet_until_ms = 0
        self._due_ms: int | None = None
        self._is_due_known = False

    # -- the face ------------------------------------------------------------------------------------------------

    @property
    def baud(self) -> int:
        """The speed that the line must have now. When it changes, the transport follows within 100 ms, without
        `connection_lost`.
        """
        return self._baud

    @property
    def quiet_ms(self) -> int:
        """How long, from the last call on, nothing can come that is worth a look: our question and the shortest answer
        take their time on the line, and so does the rest of an answer that has begun. The transport may sleep over it.
        """
        if self._asked is None or not self._is_open:
            return 0
        if self._frames.held_bytes:
            quiet_ms = self._frames.missing_bytes * BITS_PER_BYTE * 1000 // self._baud
        else:
            on_line = (self._sent_bytes + SHORTEST_REPLY_BYTES) * BITS_PER_BYTE * 1000 // self._baud
            quiet_ms = self._asked_at_ms + on_line - self._now_ms
        # what has come by then is to be seen before it is given up; and a length is only what somebody says
        quiet_ms = min(quiet_ms, self._give_up_ms - self._now_ms - 1)
        return max(0, quiet_ms - (self._baud >= FAST_BAUD))

    def connection_made(self, now_ms: int) -> None:
        """The line is open: every reader is asked who it is."""
        self._is_open = True
        self._is_due_known = False
        self._now_ms = now_ms
        self._forget_asked()
        self._search.heard(now_ms)
        for pd in self._pds.values():
            pd.open(now_ms)

    def connection_lost(self, now_ms: int) -> list[Event]:
        """The line is gone. DeviceOffline of every reader, once."""
        self._is_open = False
        self._forget_asked()
        self._change = None
        for pd in self._pds.values():
            pd.is_parked = False
            pd.lose(now_ms)
        return self._told(now_ms)

    def receive_data(self, chunk: bytes, now_ms: int) -> list[Event]:
        """What these bytes meant. Never raises on bad bytes."""
        self._now_ms = now_ms
        if not self._is_open:
            return []
        spoilt = self._frames.spoilt
        frames, junk = self._frames.receive(chunk)
        if not frames and not junk:  # a piece of a frame: nothing new, but that it goes on
            if self._asked is not None and self._frames.held_bytes and self._give_up_ms < now_ms + BYTE_GAP_MS:
                self._give_up_ms = min(now_ms + BYTE_GAP_MS, self._give_up_latest_ms)
                self._is_due_known = False
            return []
        self._take(frames, junk, now_ms)
        if self._asked is not None and self._frames.held_bytes:
            self._give_up_ms = min(max(self._give_up_ms, now_ms + BYTE_GAP_MS), self._give_up_latest_ms)
        elif self._frames.spoilt != spoilt:  # it has answered, and the answer is lost
            self._give_up_ms = min(self._give_up_ms, now_ms + SPOILT_REST_MS)
        self._run(now_ms)
        return self._told(now_ms)

    def data_to_send(self) -> bytes:
        """Bytes for the line; empties the outgoing buffer."""
        out, self._out = self._out, b""
        return out

    def deadline(self) -> int | None:
        """When `tick` must be called (tick ms), or None. A loop asks twice for every piece of a reply: it is kept."""
        if not self._is_due_known:
            self._due_ms, self._is_due_known = self._find_due_ms(), True
        return self._due_ms

    def _find_due_ms(self) -> int | None:
        waiting = [self._noise.deadline()]
        if self._is_open:
            if any(pd.has_events for pd in self._pds.values()):
                return self._now_ms
            waiting += [pd.deadline_ms for pd in self._pds.values()]
            if self._asked is not None:
                waiting.append(self._give_up_ms)
            else:
                waiting += [self._ready_ms(pd) for pd in self._pds.values()]
        return min((due_ms for due_ms in waiting if due_ms is not None), default=None)

    def tick(self, now_ms: int) -> list[Event]:
        """Time passed: silence, the next poll, what ends by itself."""
        self._now_ms = now_ms
        if self._is_open:
            if self._asked is not None and now_ms >= self._give_up_ms:
                self._take(*self._frames.give_up(), now_ms)
            asked = self._asked
            if asked is not None and now_ms >= self._give_up_ms:
                self._asked = None
                asked.no_answer(now_ms)
                self._probe_free_ms = now_ms + min(PROBE_SHARE * (now_ms - self._asked_at_ms), PROBE_REST_MS_MAX)
            self._run(now_ms)
        return self._told(now_ms)

    # -- what may be asked of it ---------------------------------------------------------------------------------

    def switch(self, source: str, output: int, *, is_on: bool, for_ms: int = 0) -> bool:
        """Switch an output (from 0). On for `for_ms` (rounded up to 100 ms): the reader drops it by itself; 0 stands
        until OFF. False when the reader is not there to do it, and then it never will.
        """
        if not 0 <= for_ms <= OUTPUT_MS_MAX:
            raise ValueError(f"an output is on for 0 to {OUTPUT_MS_MAX} ms, not {for_ms}")
        pd = self._pd(source)
        if not 0 <= output < max(pd.outputs(), 1):
            return False
        return self._order(pd, commands.output(output, is_on=is_on, for_ms=for_ms, not_after_ms=URGENT_MS))

    def show(self, source: str, what: Signal, number: str = "") -> bool:
        """Light, sound and words for whoever stands there; what the reader lacks is left out. `number`: a refusal's."""
        pd = self._pd(source)
        taken = [self._order(pd, command) for command in signal(what, number)]
        return any(taken)

    def begin_install(self, source: str, key: bytes, now_ms: int, within_ms: int = INSTALL_MS_MAX) -> None:
        """Install mode: this reader, and no other, may be given `key` over the default key. Ends by itself after
        `within_ms`, and with this object. ValueError on a key that is weak or another reader's, on a time over ten
        minutes, or while another reader is being installed.
        """
        refuse_weak_key(key)
        if not 0 < within_ms <= INSTALL_MS_MAX:
            raise ValueError(f"install mode lasts at most {INSTALL_MS_MAX} ms, not {within_ms}")
        if any(pd.is_installing for pd in self._pds.values()):
            raise ValueError("one reader at a time is installed")
        if self._keys.setdefault(key, source) != source:
            raise ValueError("another reader of this line has, or had, this key")
        pd = self._pd(source)
        if self._asked is pd:
            self._forget_asked()
        pd.begin_install(key, now_ms, within_ms)

    def end_install(self, source: str) -> None:
        """Install mode is over, done or not."""
        self._pd(source).end_install(self._now_ms)

    def renew_key(self, source: str, key: bytes) -> bool:
        """Give a reader another key, inside its channel; KeyRenewed follows. Keep both until then. False: not now."""
        refuse_weak_key(key)
        if key in self._keys:
            raise ValueError("a reader of this line has, or had, this key")
        if not self._pd(source).renew_key(key, self._now_ms):
            return False
        self._keys[key] = source
        return True

    def trust(self, source: str, identity: str) -> None:
        """Two people approved the reader that says `identity` (ReaderIdentified)."""
        self._pd(source).trust(identity, self._now_ms)

    def set_baud(self, baud: int) -> bool:
        """Bring all readers, then the line, to another speed. False unless all are online. What came of it: `baud`."""
        if baud not in BAUDS:
            raise ValueError(f"an OSDP line runs at one of {BAUDS}, not {baud}")
        if self._change is not None or not all(pd.is_online for pd in self._pds.values()):
            return False
        self._search.add(baud)
        self._change = SpeedChange(baud, list(self._pds.values()))
        return True

    def send_file(self, source: str, kind: int, content: bytes) -> bool:
        """Send a file (`kind`: 0 to 255, by the reader's maker); FileSent follows. False: not now."""
        if not 0 <= kind <= 0xFF or not 0 < len(content) <= FILE_BYTES_MAX:
            raise ValueError(f"a file has a kind of 0 to 255 and 1 to {FILE_BYTES_MAX} bytes")
        return self._pd(source).send_file(kind, content)

    def manufacturer(self, source: str, oui: bytes, payload: bytes) -> bool:
        """A manufacturer's command; MakerReplied may follow."""
        if len(oui) != 3 or len(payload) > 1024:
            raise ValueError("a manufacturer command has three bytes of OUI and at most 1024 of payload")
        return self._order(self._pd(source), commands.manufacturer(oui, payload))

    def ask_outputs(self, source: str) -> bool:
        """Ask what the outputs do; OutputReported of each follows, news or not."""
        pd = self._pd(source)
        pd.forget_outputs()
        return self._order(pd, commands.output_status())

    def standing(self, source: str) -> Standing:
        """How a reader stands, for diagnosis."""
        return self._pds[source].standing(self._baud)

    def _pd(self, source: str) -> Pd:
        """The reader that is about to be told something."""
        self._is_due_known = False
        return self._pds[source]

    def _order(self, pd: Pd, command: Command) -> bool:
        return self._is_open and pd.order(command, self._now_ms)

    # -- whose turn it is ----------------------------------------------------------------------------------------

    def _run(self, now_ms: int) -> None:
        """Bring every reader up to now; when the line is free, ask the next."""
        for pd in self._pds.values():
            pd.time_out(now_ms)
        if self._asked is not None:
            return
        self._mind_speed(now_ms)
        ready = [pd for pd in self._pds.values() if (due_ms := self._ready_ms(pd)) is not None and due_ms <= now_ms]
        if ready:
            self._ask(min(ready, key=lambda pd: pd.started_ms), now_ms)

    def _ready_ms(self, pd: Pd) -> int | None:
        """When this reader may have the line."""
        if pd.due_ms is None or pd.is_parked:
            return None
        due_ms = max(pd.due_ms, self._quiet_until_ms)
        if pd.is_absent:
            return max(due_ms, self._probe_free_ms)
        return due_ms if pd.is_urgent else max(due_ms, self._polled_at_ms + self._rest_ms)

    def _ask(self, pd: Pd, now_ms: int) -> None:
        if self._frames.held_bytes:
            self._noise.add(self._frames.give_up()[1])
        if not pd.is_urgent:
            self._polled_at_ms = now_ms
        self._out = _MARKING + pd.next_frame(now_ms)
        self._asked, self._asked_at_ms, self._sent_bytes = pd, now_ms, len(self._out)
        sent_ms = now_ms + self._line_ms(len(self._out)) + 1
        self._give_up_ms = sent_ms + pd.patience_ms
        self._give_up_latest_ms = self._give_up_ms + self._line_ms(FRAME_BYTES_MAX)

    def _line_ms(self, count: int) -> int:
        return -(-count * BITS_PER_BYTE * 1000 // self._baud)

    def _forget_asked(self) -> None:
        self._asked = None
        self._out = b""
        self._frames.clear()

    def _take(self, frames: list[Frame], junk: bytes, now_ms: int) -> None:
        if junk:
            self._noise.add(junk)
        for frame in frames:
            if frame.is_reply:  # anything else is our own voice: half-duplex adapters echo
                self._take_reply(frame, now_ms)

    def _take_reply(self, frame: Frame, now_ms: int) -> None:
        pd = self._by_address.get(frame.address)
        if pd is None:
            self._noise.add(frame.covered[:5])
        elif pd is not self._asked:
            pd.stray()
        elif pd.take(frame, now_ms):
            self._asked = None
            self._search.heard(now_ms)

    def _mind_speed(self, now_ms: int) -> None:
        if self._change is not None:
            baud = self._change.advance(now_ms)
            if self._change.is_over:
                self._change = self._change.way_back(self._baud)
        else:
            baud = self._search.next_baud(self._baud, now_ms) if self._pds else None
        if baud is not None and baud != self._baud:
            self._baud = baud
            self._quiet_until_ms = now_ms + RESPEED_MS
            for pd in self._pds.values():
                pd.speed_changed(now_ms)

    def _told(self, now_ms: int) -> list[Event]:
        self._is_due_known = False
        events: list[Event] = []
        for pd in self._pds.values():
            if pd.has_events:
                events += pd.drain()
        if self._noise.deadline() is not None:
            events += self._noise.report(now_ms)
        return events
