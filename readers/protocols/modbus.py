"""Modbus-RTU relay boards, several on one RS-485 line: orders and polls out, events in (docs/wire/modbus.md).

One question at a time, each with its answer or its time-out, and a gap of silence after it. What it promises:
  - every relay of a board is OFF, and read back, before the board counts as online and takes an order (B-11);
  - a release is a flash where the board has it: the board itself drops the strike (B-26). Our own OFF follows at the
    end of the pulse all the same, and what the relay then does is read back and reported;
  - the last order of a relay counts; nothing is queued for a board or a line that is down, and a release that could
    not be sent within RELEASE_WITHIN_MS is dropped (B-22);
  - a relay that is found on without an order is switched off;
  - inputs are polled often enough that a pulse of 400 ms is seen (B-09), whatever another board does.
Refuses everything that is not the whole, well-summed answer to the question that waits for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from readers.backoff import Backoff
from readers.events import DeviceOffline, DeviceOnline, Event, OutputReported
from readers.protocols import modbus_frames as frames
from readers.protocols.modbus_frames import Function, Reply, Request
from readers.protocols.noise import NoiseMeter
from readers.protocols.supervised import SETTLE_MS, Debounced, InputPlan

BAUD: Final = 9_600
CHANNELS_MAX: Final = 32
INPUTS_MAX: Final = 32
UNIT_MAX: Final = 247
PULSE_MAX_MS: Final = 600_000
"""No release lasts longer, whoever asks for it; a standing mode renews it (B-26)."""
POLL_MS: Final = 50
COILS_MS: Final = 1_000
"""How often relays are looked at when nobody gave an order."""
REPLY_WITHIN_MS: Final = 100
RELEASE_WITHIN_MS: Final = 500
OFFLINE_AFTER: Final = 3
BACKOFF_MAX_MS: Final = 2_000
HELD_BYTES_MAX: Final = 256
SAMPLE_GAP_MS_MAX: Final = 350
"""Between two looks at an input, with one dead board on the line: a pulse of 400 ms must be seen twice (B-09)."""
THINK_MS: Final = 5
"""What a board needs before it answers, as far as is known from other people's measurements."""
BITS_PER_BYTE: Final = 11
_GAP_BYTES: Final = 3.5
_GAP_MS_MIN: Final = 2
_ILLEGAL_FUNCTION: Final = 1
_NOT_MADE_FOR_IT: Final = frozenset({1, 2, 3})
"""Exceptions that say "I have no such function, address or value"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusBoardPlan:
    """One board on the line. `id`: the device id, in events. `unit`: its address. `has_flash`: it drops a relay by
    itself (Waveshare); a board that refuses the order is remembered as one that does not.
    """

    id: str
    unit: int
    channels: int = 8
    inputs: tuple[InputPlan, ...] = ()
    has_flash: bool = True


@dataclass(slots=True)
class _Order:
    """What a relay shall do. `for_ms` 0: off. `is_own`: nobody asked for it but the line itself."""

    for_ms: int
    not_after_ms: int | None = None
    is_own: bool = False
    is_tried: bool = False


@dataclass(slots=True)
class _Flight:
    """The question that waits for its answer."""

    board: _Board
    request: Request
    until_ms: int
    order: tuple[int, _Order] | None = None
    has_echo_gone: bool = False


class _Board:
    """What is known of one board."""

    __slots__ = (
        *("backoff", "due", "failures", "has_all_off", "has_flash", "inputs", "is_online", "known", "loops", "orders"),
        *("plan", "pulses", "reports", "setup"),
    )

    def __init__(self, plan: ModbusBoardPlan) -> None:
        self.plan = plan
        self.has_flash = plan.has_flash
        self.has_all_off = True
        self.is_online: bool | None = None
        self.failures = 0
        self.backoff = Backoff(POLL_MS, BACKOFF_MAX_MS)
        self.inputs = [(one.number, Debounced(plan.id, one)) for one in plan.inputs if one.loop is None]
        self.loops = [(one.number, Debounced(plan.id, one)) for one in plan.inputs if one.loop is not None]
        self.known: dict[int, bool] = {}
        self.reset(0)

    def reset(self, due_ms: int) -> None:
        """Forget what was ordered and seen; begin again with every relay off."""
        self.orders: dict[int, _Order] = {}
        self.pulses: dict[int, int] = {}
        self.reports: set[int] = set()
        self.setup = [*self._off_steps(), *self._polled()]
        self.due = {Function.WRITE_COILS: due_ms}
        for _, one in (*self.inputs, *self.loops):
            one.forget()

    @property
    def takes_orders(self) -> bool:
        return not self.setup

    def ready(self, now_ms: int) -> None:
        """Set-up is over: from now on it is polled."""
        self.due = dict.fromkeys(self._polled(), now_ms + _GAP_MS_MIN)

    def request(self, function: Function) -> Request:
        """The question of that function."""
        unit = self.plan.unit
        match function:
            case Function.WRITE_COILS:
                return frames.all_off(unit, self.plan.channels)
            case Function.WRITE_COIL:  # set-up of a board without function 0F: as many steps as it has relays
                return frames.switch(unit, self.setup.count(Function.WRITE_COIL), is_on=False)
            case Function.READ_COILS:
                return frames.read(unit, function, self.plan.channels)
            case Function.READ_DISCRETE:
                return frames.read(unit, function, max(number for number, _ in self.inputs))
            case Function.READ_REGISTERS:
                return frames.read(unit, function, max(number for number, _ in self.loops))

    def sampled(self, function: Function) -> list[tuple[int, Debounced]]:
        """The inputs that a function reads."""
        return self.inputs if function is Function.READ_DISCRETE else self.loops

    def is_waiting(self, function: Function) -> bool:
        """Whether an input that a function reads wants a second sample."""
        if function not in (Function.READ_DISCRETE, Function.READ_REGISTERS):
            return False
        return any(one.is_waiting for _, one in self.sampled(function))

    def _off_steps(self) -> list[Function]:
        if not self.plan.channels:
            return []
        return [Function.WRITE_COILS] if self.has_all_off else [Function.WRITE_COIL] * self.plan.channels

    def _polled(self) -> list[Function]:
        has = (
            (Function.READ_COILS, self.plan.channels),
            (Function.READ_DISCRETE, self.inputs),
            (Function.READ_REGISTERS, self.loops),
        )
        return [function for function, what in has if what]


class ModbusLine:
    """The master of one line.

    Args:
        source: the line's name, for what belongs to no board (noise).
        boards: who hangs on it; ValueError on addresses used twice, on numbers out of range, and on more inputs than
            can be looked at often enough at this speed (`sample_gap_ms`).
        baud: the line's speed; gaps and time-outs follow from it.
        reply_within_ms: how long a board may think, beside the time that the bytes take.
    """

    def __init__(
        self,
        source: str,
        boards: Sequence[ModbusBoardPlan],
        baud: int = BAUD,
        *,
        reply_within_ms: int = REPLY_WITHIN_MS,
    ) -> None:
        _refuse_unfit(boards)
        if (gap_ms := sample_gap_ms(boards, baud, reply_within_ms)) > SAMPLE_GAP_MS_MAX:
            raise ValueError(
                f"{source}: {gap_ms} ms between two looks at an input are too many; fewer boards, or more baud"
            )
        self._boards = {plan.id: _Board(plan) for plan in boards}
        self._byte_ms = BITS_PER_BYTE * 1_000 / baud
        self._gap_ms = max(_GAP_MS_MIN, math.ceil(_GAP_BYTES * self._byte_ms))
        self._reply_within_ms = reply_within_ms
        self._noise = NoiseMeter(source)
        self._is_open = False
        self._has_echo = False
        self._flight: _Flight | None = None
        self._free_at_ms = 0
        self._held = bytearray()
        self._out = b""

    @property
    def is_open(self) -> bool:
        """Whether the line is there."""
        return self._is_open

    # -- orders --------------------------------------------------------------------------------------------------------

    def release(self, board: str, channel: int, for_ms: int, now_ms: int) -> bool:
        """Relay on for `for_ms` (at most PULSE_MAX_MS). False, and nothing kept, while the board is not there."""
        one = self._fit(board, channel)
        if not (self._is_open and one.takes_orders):
            return False
        if for_ms <= 0:
            raise ValueError(f"{board}: a release of {for_ms} ms")
        for_ms = min(for_ms, PULSE_MAX_MS)
        one.orders[channel] = _Order(for_ms, now_ms + RELEASE_WITHIN_MS)
        self._send_next(now_ms)
        return True

    def secure(self, board: str, channel: int, now_ms: int) -> bool:
        """Relay off. False while the board is not there: it will be switched off before it is believed again."""
        one = self._fit(board, channel)
        if not (self._is_open and one.takes_orders):
            return False
        one.pulses.pop(channel, None)
        one.orders[channel] = _Order(0)
        self._send_next(now_ms)
        return True

    def all_off(self, now_ms: int) -> None:
        """Every relay of every board off; what else was ordered is forgotten."""
        for board in self._boards.values():
            board.pulses.clear()
            board.orders = {channel: _Order(0) for channel in range(1, board.plan.channels + 1)}
        self._send_next(now_ms)

    # -- the face of a protocol ----------------------------------------------------------------------------------------

    def connection_made(self, now_ms: int) -> None:
        """The line is open: every board is switched off first."""
        self._is_open = True
        self._has_echo = False
        self._flight = None
        self._free_at_ms = now_ms + self._gap_ms
        self._held.clear()
        self._out = b""
        for board in self._boards.values():
            board.failures = 0
            board.backoff.reset()
            board.reset(now_ms)

    def connection_lost(self, now_ms: int) -> list[Event]:
        """The line is gone, and with it whatever was ordered. DeviceOffline of every board, once."""
        self._is_open = False
        self._flight = None
        self._held.clear()
        self._out = b""
        told: list[Event] = list(self._noise.report(now_ms))
        for board in self._boards.values():
            board.reset(now_ms)
            told += self._turn(board, is_online=False, why="line lost")
        return told

    def data_to_send(self) -> bytes:
        """Bytes for the line; empties the outgoing buffer."""
        out, self._out = self._out, b""
        return out

    def deadline(self) -> int | None:
        """When `tick` has something to do (tick ms), or None."""
        waits = [] if (noise_ms := self._noise.deadline()) is None else [noise_ms]
        if self._flight is not None:
            waits.append(self._flight.until_ms)
        elif self._is_open:
            work_ms = min((due for board in self._boards.values() for due in self._wakes(board)), default=None)
            if work_ms is not None:
                waits.append(max(work_ms, self._free_at_ms))
        return min(waits, default=None)

    def tick(self, now_ms: int) -> list[Event]:
        """Give up on an answer that does not come; end pulses; ask the next question."""
        told: list[Event] = []
        if self._is_open:
            flight = self._flight
            if flight is not None and now_ms >= flight.until_ms:
                told += self._failed(flight, "no answer", now_ms)
            self._send_next(now_ms)
        return [*told, *self._noise.report(now_ms)]

    def receive_data(self, chunk: bytes, now_ms: int) -> list[Event]:
        """Any bytes, cut anywhere. Never raises on them."""
        if not self._is_open:
            return []
        told: list[Event] = []
        if self._flight is None:
            self._noise.add(chunk)
        else:
            told += self._heard(self._flight, chunk, now_ms)
        self._send_next(now_ms)
        return [*told, *self._noise.report(now_ms)]

    # -- asking --------------------------------------------------------------------------------------------------------

    def _send_next(self, now_ms: int) -> None:
        """Put the next question on the line, if it is free."""
        if not self._is_open:
            return
        for board in self._boards.values():
            self._end_pulses(board, now_ms)
        if self._flight is not None or now_ms < self._free_at_ms:
            return
        chosen = self._next_order(now_ms) or self._next_poll(now_ms)
        if chosen is None:
            return
        board, request, order = chosen
        wire_ms = math.ceil((len(request.frame) + request.answer_bytes) * self._byte_ms)
        until_ms = now_ms + wire_ms + self._reply_within_ms
        self._flight = _Flight(board=board, request=request, until_ms=until_ms, order=order)
        self._held.clear()
        self._out += request.frame

    def _next_order(self, now_ms: int) -> tuple[_Board, Request, tuple[int, _Order]] | None:
        """OFF of any board before any release."""
        waiting = [
            (order.for_ms > 0, board, channel, order)
            for board in self._boards.values()
            if board.takes_orders
            for channel, order in board.orders.items()
        ]
        if not waiting:
            return None
        _, board, channel, order = min(waiting, key=lambda one: one[0])
        unit = board.plan.unit
        if not order.for_ms:
            return board, frames.switch(unit, channel, is_on=False), (channel, order)
        if not order.is_tried:  # the pulse counts from the first try, whatever becomes of it
            order.is_tried = True
            board.pulses[channel] = now_ms + order.for_ms
        if board.has_flash:
            return board, frames.flash(unit, channel, order.for_ms), (channel, order)
        return board, frames.switch(unit, channel, is_on=True), (channel, order)

    def _next_poll(self, now_ms: int) -> tuple[_Board, Request, None] | None:
        """What is due: first an input that wants its second sample, then whoever waits longest."""
        due = (
            (not board.is_waiting(function), due_ms, board, function)
            for board in self._boards.values()
            for function, due_ms in board.due.items()
            if due_ms <= now_ms
        )
        chosen = min(due, key=lambda one: one[:2], default=None)
        if chosen is None:
            return None
        *_, board, function = chosen
        return board, board.request(board.setup[0] if board.setup else function), None

    def _wakes(self, board: _Board) -> Iterator[int]:
        yield from board.due.values()
        yield from board.pulses.values()
        if board.orders and board.takes_orders:
            yield self._free_at_ms

    def _end_pulses(self, board: _Board, now_ms: int) -> None:
        """OFF at the end of each pulse, also where the board drops it by itself; drop what comes too late."""
        for channel in [channel for channel, ends_ms in board.pulses.items() if now_ms >= ends_ms]:
            del board.pulses[channel]
            order = board.orders.get(channel)
            if order is None or not order.for_ms or order.is_tried:  # one that is to begin anew needs no end
                board.orders[channel] = _Order(0)
        for channel, order in list(board.orders.items()):
            if order.not_after_ms is not None and now_ms > order.not_after_ms:
                board.pulses.pop(channel, None)
                board.orders[channel] = _Order(0)  # it may have been heard, and only its answer lost

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _heard(self, flight: _Flight, chunk: bytes, now_ms: int) -> list[Event]:
        self._held += chunk
        self._take_echo(flight)
        reply = frames.find_reply(self._held, flight.request)
        if reply is None:
            if len(self._held) > HELD_BYTES_MAX:
                self._noise.add(self._held[:-HELD_BYTES_MAX])
                del self._held[:-HELD_BYTES_MAX]
            return []
        self._noise.add(self._held[: reply.begin])
        self._noise.add(self._held[reply.end :])
        self._held.clear()
        if reply.exception:
            return self._refused(flight, reply.exception, now_ms)
        self._flight = None
        self._free_at_ms = now_ms + self._gap_ms
        flight.board.failures = 0
        told = self._taken(flight, reply, now_ms)
        if flight.board.takes_orders and flight.board.is_online is not True:
            flight.board.backoff.reset()
            told += self._turn(flight.board, is_online=True)
        return told

    def _take_echo(self, flight: _Flight) -> None:
        """Drop our own question where the adapter hears itself. The answer to function 05 *is* the question: on a line
        that echoes, the first copy proves nothing. The first question of every line (0F or a read) tells which it is.
        """
        if flight.has_echo_gone or (flight.request.function is Function.WRITE_COIL and not self._has_echo):
            return
        at = self._held.find(flight.request.frame)
        if at >= 0:
            del self._held[at : at + len(flight.request.frame)]
            flight.has_echo_gone = self._has_echo = True

    def _taken(self, flight: _Flight, reply: Reply, now_ms: int) -> list[Event]:
        """A good answer."""
        board, function = flight.board, flight.request.function
        told: list[Event] = []
        if flight.order is not None:
            self._obeyed(board, *flight.order, now_ms)
            return told
        if function is Function.READ_COILS:
            told += self._coils(board, frames.bits(reply.payload, flight.request.count))
        elif function in (Function.READ_DISCRETE, Function.READ_REGISTERS):
            told += self._inputs(board, function, reply.payload, now_ms)
        if board.setup:
            del board.setup[0]
            if not board.setup:
                board.ready(now_ms)
        else:
            board.due[function] = now_ms + self._interval_ms(board, function)
        return told

    def _obeyed(self, board: _Board, channel: int, order: _Order, now_ms: int) -> None:
        if board.orders.get(channel) is order:
            del board.orders[channel]
        if not order.is_own:
            board.reports.add(channel)
        board.due[Function.READ_COILS] = min(board.due[Function.READ_COILS], now_ms)

    def _interval_ms(self, board: _Board, function: Function) -> int:
        if function is Function.READ_COILS:
            return COILS_MS
        return SETTLE_MS if board.is_waiting(function) else POLL_MS

    def _coils(self, board: _Board, levels: tuple[bool, ...]) -> list[Event]:
        told: list[Event] = []
        for channel, is_on in enumerate(levels, start=1):
            if channel in board.reports or is_on is not board.known.get(channel, False):
                told.append(OutputReported(source=board.plan.id, is_on=is_on, channel=channel))
            board.known[channel] = is_on
            if is_on and channel not in board.pulses and channel not in board.orders:
                board.orders[channel] = _Order(0, is_own=True)
        board.reports.clear()
        return told

    def _inputs(self, board: _Board, function: Function, payload: bytes, now_ms: int) -> list[Event]:
        if function is Function.READ_DISCRETE:
            raw: Sequence[int] = frames.bits(payload, 8 * len(payload))
        else:
            raw = frames.words(payload)
        told: list[Event] = []
        for number, one in board.sampled(function):
            told += one.sample(raw[number - 1], now_ms)
        return told

    # -- trouble -------------------------------------------------------------------------------------------------------

    def _refused(self, flight: _Flight, code: int, now_ms: int) -> list[Event]:
        """An exception: where the board merely lacks a comfort, go on without it."""
        board, function = flight.board, flight.request.function
        if function is Function.WRITE_COILS and code == _ILLEGAL_FUNCTION:
            board.has_all_off = False
            board.reset(now_ms)
        elif flight.order is not None and flight.order[1].for_ms and board.has_flash and code in _NOT_MADE_FOR_IT:
            board.has_flash = False
        else:
            return self._failed(flight, f"exception {code}", now_ms)
        self._flight = None
        self._free_at_ms = now_ms + self._gap_ms
        return []

    def _failed(self, flight: _Flight, why: str, now_ms: int) -> list[Event]:
        """No answer, or none that helps. What was ordered is tried again until the board counts as gone."""
        self._flight = None
        self._free_at_ms = now_ms + self._gap_ms
        self._noise.add(self._held)
        self._held.clear()
        board = flight.board
        board.failures += 1
        if board.failures < OFFLINE_AFTER and board.is_online is not False:
            board.due = {function: max(due, now_ms + POLL_MS) for function, due in board.due.items()}
            return []
        board.reset(now_ms + board.backoff.next_ms())
        return self._turn(board, is_online=False, why=why)

    def _turn(self, board: _Board, *, is_online: bool, why: str = "") -> list[Event]:
        if board.is_online is is_online:
            return []
        board.is_online = is_online
        if is_online:
            return [DeviceOnline(source=board.plan.id)]
        return [DeviceOffline(source=board.plan.id, why=why)]

    def _fit(self, board: str, channel: int) -> _Board:
        one = self._boards[board]
        if not 1 <= channel <= one.plan.channels:
            raise ValueError(f"{board} has channels 1 to {one.plan.channels}, not {channel}")
        return one


def sample_gap_ms(boards: Sequence[ModbusBoardPlan], baud: int, reply_within_ms: int = REPLY_WITHIN_MS) -> int:
    """How long an input may go unlooked at on such a line, with a dead board's probe and an order in between; 0 for
    lines without inputs.
    """
    byte_ms = BITS_PER_BYTE * 1_000 / baud
    turn_ms = THINK_MS + max(_GAP_MS_MIN, _GAP_BYTES * byte_ms)
    total_ms = 0.0
    for board in boards:
        digital = [one.number for one in board.inputs if one.loop is None]
        loops = [one.number for one in board.inputs if one.loop is not None]
        if digital:
            total_ms += turn_ms + (13 + (max(digital) + 7) // 8) * byte_ms
        if loops:
            total_ms += turn_ms + (13 + 2 * max(loops)) * byte_ms
    if not total_ms:
        return 0
    order_ms = turn_ms + 16 * byte_ms
    return math.ceil(total_ms + order_ms + (reply_within_ms + 16 * byte_ms if len(boards) > 1 else 0))


def _refuse_unfit(boards: Sequence[ModbusBoardPlan]) -> None:
    """Raises ValueError at the first plan that no line can have."""
    if len({board.unit for board in boards}) < len(boards) or len({board.id for board in boards}) < len(boards):
        raise ValueError("two boards of one line share a unit or an id")
    for board in boards:
        numbers = [one.number for one in board.inputs]
        if not 1 <= board.unit <= UNIT_MAX:
            raise ValueError(f"{board.id}: a unit is 1 to {UNIT_MAX}, not {board.unit}")
        if not 0 <= board.channels <= CHANNELS_MAX:
            raise ValueError(f"{board.id}: a board has 0 to {CHANNELS_MAX} channels, not {board.channels}")
        if len(set(numbers)) < len(numbers) or not all(1 <= number <= INPUTS_MAX for number in numbers):
            raise ValueError(f"{board.id}: inputs are numbered 1 to {INPUTS_MAX}, each once")
        if not board.channels and not numbers:
            raise ValueError(f"{board.id} has neither channels nor inputs")
