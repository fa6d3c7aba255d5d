"""LCUS serial relay board (9600 8N1): `A0 channel on sum` out, lenient text in (docs/wire/lcus.md).

The board acknowledges nothing and has no automatic switch-off. Many boards answer a query, so:
  - the loop sends OFF by its own deadline, and this object sends every channel OFF whenever the line opens;
  - after each order the board is asked what its relays do, and says so or not: one that never said anything is asked
    no more, and counts as silent (`can_report`), which is no alarm (B-26);
  - online means that the port is open, no more;
  - nothing is queued while the line is down: a strike must not fire when a cable comes back (B-11, B-22).
"""

from __future__ import annotations

import re
from typing import Final

from readers.events import DeviceOffline, DeviceOnline, Event, OutputReported
from readers.protocols.noise import NoiseMeter

CHANNELS_MAX: Final = 32
QUEUED_FRAMES_MAX: Final = 64
HELD_BYTES_MAX: Final = 64
ASK_AFTER_MS: Final = 50
"""A relay takes some milliseconds to move, and a board to read four bytes."""
ANSWER_WITHIN_MS: Final = 500
ASKED_MAX: Final = 3
"""Questions without an answer, before a board that never spoke counts as silent."""

_START: Final = 0xA0
_QUERY: Final = b"\xff"
_STATUS: Final = re.compile(rb"\ACH(\d{1,2}): ?(ON|OFF) ?\Z")
_ALSO_SILENT: Final = b"\x00"


def frame(channel: int, *, is_on: bool) -> bytes:
    """`A0 ch on sum` with sum = the other three, modulo 256: A0 01 01 A2 switches channel 1 on."""
    return bytes((_START, channel, is_on, (_START + channel + is_on) & 0xFF))


class LcusBoard:
    """One board with `channels` relays (1 to 32; else ValueError), numbered from 1."""

    def __init__(self, source: str, channels: int) -> None:
        if not 1 <= channels <= CHANNELS_MAX:
            raise ValueError(f"an LCUS board has 1 to {CHANNELS_MAX} channels, not {channels}")
        self._source = source
        self._channels = channels
        self._is_open = False
        self._is_online: bool | None = None
        self._online_since_ms: int | None = None
        self._out: list[bytes] = []
        self._held = bytearray()
        self._noise = NoiseMeter(source)
        self._can_report = False
        self._unanswered = 0
        self._wants_answer = False
        self._ask_at_ms: int | None = None
        self._reports: set[int] = set()
        self._known: dict[int, bool] = {}

    @property
    def is_open(self) -> bool:
        """Whether commands are taken."""
        return self._is_open

    @property
    def can_report(self) -> bool:
        """Whether the board ever said what its relays do."""
        return self._can_report

    def connection_made(self, now_ms: int) -> None:
        """The line is open: every relay OFF first, whatever it did when the line broke."""
        self._is_open = True
        self._held.clear()
        self._out.clear()
        self._unanswered = 0
        self.all_off()
        self._ask_at_ms = now_ms + ASK_AFTER_MS
        self._reports.clear()
        if self._is_online is not True:
            self._online_since_ms = now_ms

    def connection_lost(self, now_ms: int) -> list[Event]:
        """The line is gone; what was queued is gone with it. DeviceOffline, once."""
        self._is_open = False
        self._out.clear()
        self._held.clear()
        self._online_since_ms = None
        self._wants_answer = False
        self._ask_at_ms = None
        told: list[Event] = list(self._noise.report(now_ms))
        if self._is_online is not False:
            self._is_online = False
            told.append(DeviceOffline(source=self._source, why="line lost"))
        return told

    def switch(self, channel: int, on: bool) -> None:
        """Queue one relay's ON or OFF. Dropped while the line is down; ValueError on a channel that the board has
        not.
        """
        if not 1 <= channel <= self._channels:
            raise ValueError(f"{self._source} has channels 1 to {self._channels}, not {channel}")
        if not self._is_open:
            return
        if len(self._out) >= QUEUED_FRAMES_MAX:
            self._keep_last_frames()
        self._out.append(frame(channel, is_on=on))
        self._reports.add(channel)
        self._wants_answer = True
        self._ask_at_ms = None

    def all_off(self) -> None:
        """Queue OFF for every relay."""
        for channel in range(1, self._channels + 1):
            self.switch(channel, on=False)

    def query(self) -> None:
        """Ask boards that can (LCUS-2 and larger) what their relays do; OutputReported follows, or nothing."""
        self._reports = set(range(1, self._channels + 1))
        self._queue_query()

    def data_to_send(self) -> bytes:
        """Bytes for the line; empties the outgoing buffer."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def deadline(self) -> int | None:
        """When `tick` has something to tell (tick ms), or None."""
        asks_ms = (0 if self._ask_at_ms is None else self._ask_at_ms) if self._is_asking else None
        waiting = (self._online_since_ms, self._noise.deadline(), asks_ms)
        return min((due_ms for due_ms in waiting if due_ms is not None), default=None)

    def tick(self, now_ms: int) -> list[Event]:
        """DeviceOnline after the line opened, the noise report that waits, and a question that is due."""
        self._ask(now_ms)
        return [*self._went_online(), *self._noise.report(now_ms)]

    def receive_data(self, chunk: bytes, now_ms: int) -> list[Event]:
        """Lines like `CH1:ON`; anything else is noise. Never raises on bad bytes."""
        if not self._is_open:
            return []
        told: list[Event] = list(self._went_online())
        *lines, rest = (self._held + chunk).split(b"\n")
        for line in lines:
            told += self._read(bytes(line.rstrip(b"\r")))
        if len(rest) > HELD_BYTES_MAX:
            self._noise.add(rest)
            rest = bytearray()
        self._held = bytearray(rest)
        told += self._noise.report(now_ms)
        return told

    def _read(self, line: bytes) -> list[Event]:
        found = _STATUS.match(line)
        if found is None or not 1 <= int(found[1]) <= self._channels:
            if line.strip(_ALSO_SILENT):
                self._noise.add(line)
            return []
        channel, is_on = int(found[1]), found[2] == b"ON"
        self._can_report, self._unanswered, self._wants_answer = True, 0, False
        is_news = channel in self._reports or self._known.get(channel, False) is not is_on
        self._reports.discard(channel)
        self._known[channel] = is_on
        return [OutputReported(source=self._source, is_on=is_on, channel=channel)] if is_news else []

    @property
    def _is_asking(self) -> bool:
        return self._is_open and self._wants_answer and (self._can_report or self._unanswered < ASKED_MAX)

    def _ask(self, now_ms: int) -> None:
        """A question some time after the last order, and again while there is no answer."""
        if not self._is_asking:
            return
        if self._ask_at_ms is None:
            self._ask_at_ms = now_ms + ASK_AFTER_MS
        elif now_ms >= self._ask_at_ms:
            self._ask_at_ms = now_ms + ANSWER_WITHIN_MS
            self._unanswered += 1
            if self._unanswered > ASKED_MAX:  # it could, and does not: whoever waits for its word must notice
                self._wants_answer, self._unanswered = False, 0
            else:
                self._queue_query()

    def _queue_query(self) -> None:
        if self._is_open and _QUERY not in self._out:
            self._out.append(_QUERY)

    def _went_online(self) -> list[Event]:
        if self._online_since_ms is None:
            return []
        self._online_since_ms = None
        self._is_online = True
        return [DeviceOnline(source=self._source)]

    def _keep_last_frames(self) -> None:
        """A line that takes nothing: of each relay only its last order still matters, and order among relays does
        not.
        """
        last = {one[1:2]: one for one in self._out}
        self._out = list(last.values())
