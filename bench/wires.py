"""The bench's end of the wires: PN532 chips that hold a card out when told to, and a relay board that is listened to.

One thread, one epoll, so that nothing of ours stands between the relay's bytes and the clock. A chip answers a command
after WIRE_MS, the time that command, ACK and answer take at 115,200 baud; the card's answer is written whole, and the
clock starts with that write.
"""

from __future__ import annotations

import os
import pty
import random
import select
import termios
import time
import tty
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulators.pn532_frames import ACK, Scanner, frame

WIRE_MS: Final = 2.0
"""24 bytes of 10 bits."""
HOLD_MS_MAX: Final = 300.0
"""A poll that no card answers is answered empty after this; the product waits for a second."""
LOST_AFTER_S: Final = 5.0
RELAY_FRAME_BYTES: Final = 4
STATES_QUERY: Final = 0xFF

POLL_A: Final = bytes.fromhex("D44A0100")
ANSWERS: Final = {0x12: b"\xd5\x13", 0x14: b"\xd5\x15", 0x32: b"\xd5\x33", 0x52: b"\xd5\x53\x00", 0x4A: b"\xd5\x4b\x00"}


class Lost(Exception):
    """A badge whose relay never moved."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A pty: our end, and the path of the other."""

    ours: int
    theirs: int

    @property
    def path(self) -> str:
        return os.ttyname(self.theirs)

    def close(self) -> None:
        os.close(self.ours)
        os.close(self.theirs)


def open_pair() -> Pair:
    """A raw pty. Both ends stay open with us, so that the program on it may come and go."""
    ours, theirs = pty.openpty()
    tty.setraw(ours, termios.TCSANOW)
    tty.setraw(theirs, termios.TCSANOW)
    os.set_blocking(ours, False)
    return Pair(ours, theirs)


def card_answer(number: bytes) -> bytes:
    """One ISO 14443A target in the field (UM0701-02 §7.3.5)."""
    return frame(b"\xd5\x4b\x01\x01\x00\x04\x08" + bytes((len(number),)) + number)


class Chip:
    """A PN532: answers what it is asked, and holds a poll for cards open until there is one."""

    def __init__(self, line: Pair) -> None:
        self.line = line
        self.polled_at: float | None = None
        self._scanner = Scanner()
        self._answers: list[tuple[float, bytes]] = []

    def read(self, now: float) -> None:
        """Bytes have come."""
        try:
            self._scanner.feed(os.read(self.line.ours, 4096))
        except BlockingIOError:
            return
        while (payload := self._scanner.take()) is not None:
            if payload == ACK:
                self._answers.clear()
                self.polled_at = None
            elif payload[0] == 0xD4:
                self._answer(payload, now)

    def tick(self, now: float) -> None:
        """Send what is due."""
        while self._answers and self._answers[0][0] <= now:
            os.write(self.line.ours, self._answers.pop(0)[1])
        if self.polled_at is not None and now - self.polled_at > HOLD_MS_MAX / 1e3:
            self.polled_at = None
            os.write(self.line.ours, frame(ANSWERS[0x4A]))

    @property
    def is_idle(self) -> bool:
        """Whether it holds a poll open, and will not time out within a moment."""
        return self.polled_at is not None and not self._answers and time.perf_counter() - self.polled_at < 0.2

    def deadline(self) -> float | None:
        """When `tick` has something to do."""
        due = [at for at, _ in self._answers[:1]]
        if self.polled_at is not None:
            due.append(self.polled_at + HOLD_MS_MAX / 1e3)
        return min(due, default=None)

    def hold_card(self, number: bytes) -> float:
        """Put a card into the field. Returns when its answer was handed to the line."""
        self.polled_at = None
        answer = card_answer(number)
        at = time.perf_counter()
        os.write(self.line.ours, answer)
        return at

    def _answer(self, payload: bytes, now: float) -> None:
        due = now + WIRE_MS / 1e3
        if payload == POLL_A:
            self._answers.append((due, ACK))
            self.polled_at = due
        else:
            self._answers.append((due, ACK + frame(ANSWERS[payload[1]])))


class Bare:
    """A line without a protocol: where the floor reads the same card answers."""

    def __init__(self, line: Pair) -> None:
        self.line = line

    def hold_card(self, number: bytes) -> float:
        """As `Chip.hold_card`."""
        answer = card_answer(number)
        at = time.perf_counter()
        os.write(self.line.ours, answer)
        return at


class Bench:
    """All wires of one run. `doors` are badged at by index; relay frames are told by channel = index + 1."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._chips: dict[int, Chip] = {}
        self._boards: dict[int, bytearray] = {}
        self._pairs: list[Pair] = []
        self._random = random.Random(7)

    def chips(self, count: int) -> list[Chip]:
        """Readers, each on a pty of its own."""
        made = [Chip(self._pair()) for _ in range(count)]
        for chip in made:
            self._chips[chip.line.ours] = chip
            self._epoll.register(chip.line.ours, select.EPOLLIN)
        return made

    def bare(self, count: int) -> list[Bare]:
        """Lines for a floor."""
        return [Bare(self._pair()) for _ in range(count)]

    def board(self) -> Pair:
        """A relay board."""
        pair = self._pair()
        self._boards[pair.ours] = bytearray()
        self._epoll.register(pair.ours, select.EPOLLIN)
        return pair

    def close(self) -> None:
        """Let all wires go."""
        self._epoll.close()
        for pair in self._pairs:
            pair.close()

    def serve(self, seconds: float) -> None:
        """Let the chips answer for a while."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._turn(left)

    def serve_until_polled(self, chips: Sequence[Chip], within_s: float = 10.0) -> None:
        """Until every one of `chips` holds a poll open; then for a moment that nobody can foresee."""
        until = time.perf_counter() + within_s
        while not all(chip.is_idle for chip in chips):
            if time.perf_counter() > until:
                raise Lost("a reader is not polled")
            self._turn(0.05)
        self.serve(self._random.uniform(0.004, 0.012))

    def badge(self, doors: Sequence[Chip | Bare], channels: Sequence[int], numbers: Sequence[bytes]) -> list[float]:
        """Hold a card to each door, at once. Returns, in ms, how long the relay of each took to be switched on."""
        sent: dict[int, float] = {}
        for door, channel, number in zip(doors, channels, numbers, strict=True):
            sent[channel] = door.hold_card(number)
        taken: dict[int, float] = {}
        until = time.perf_counter() + LOST_AFTER_S
        while len(taken) < len(sent):
            if time.perf_counter() > until:
                raise Lost(f"relays {sorted(sent.keys() - taken.keys())} did not move")
            for at, channel in self._turn(0.05):
                if channel in sent and channel not in taken:
                    taken[channel] = (at - sent[channel]) * 1e3
        return list(taken.values())

    def _pair(self) -> Pair:
        self._pairs.append(open_pair())
        return self._pairs[-1]

    def _turn(self, wait_s: float) -> list[tuple[float, int]]:
        """Wait for bytes; returns the relays that were switched on, and when that was read. Relays come first."""
        due = [at for chip in self._chips.values() if (at := chip.deadline()) is not None]
        wait_s = max(0.0, min([wait_s, *(at - time.perf_counter() for at in due)]))
        on: list[tuple[float, int]] = []
        ready = [fd for fd, _ in self._epoll.poll(wait_s)]
        for fd in ready:
            if fd in self._boards:
                on += self._relays(fd)
        now = time.perf_counter()
        for fd in ready:
            if fd in self._chips:
                self._chips[fd].read(now)
        for chip in self._chips.values():
            chip.tick(now)
        return on

    def _relays(self, fd: int) -> list[tuple[float, int]]:
        held = self._boards[fd]
        held += os.read(fd, 4096)
        at = time.perf_counter()
        on: list[tuple[float, int]] = []
        while held:
            if held[0] == STATES_QUERY:
                del held[0]  # unanswered, as on boards of one channel
            elif len(held) < RELAY_FRAME_BYTES:
                break
            else:
                _, channel, is_on, _ = held[:RELAY_FRAME_BYTES]
                del held[:RELAY_FRAME_BYTES]
                if is_on:
                    on.append((at, channel))
        return on
