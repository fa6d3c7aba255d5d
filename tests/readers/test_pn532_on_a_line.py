"""Pn532Reader in the controller's port, on a pty with the pace of a UART; plugs are pulled at any moment."""

from __future__ import annotations

import random
import selectors
import termios
import time

import pytest

from controller.ports import Port
from readers.cards.challenge import Challenger
from readers.events import CardRead, CardUnread, DeviceOffline, DeviceOnline, LineNoise
from readers.protocols.pn532 import Pn532Reader
from readers.transports.serial_line import SerialLine
from simulators.cards import site
from simulators.loop import Loop
from simulators.pn532 import Pn532
from simulators.pn532_field import AirTime
from simulators.wire import SerialWire
from tests.readers.cards.peers import READER_ID, Dice
from tests.readers.cards.test_with_simulated_cards import SCHEMES, SITE, UID, Keys

pytestmark = pytest.mark.system
ONLINE = DeviceOnline(source="r")


class Rig:
    """The chip's end in a thread of its own; ours is turned by the test."""

    def __init__(self, link, loop: Loop, **options: object) -> None:
        self.chip = Pn532(air=AirTime(), on_speed=self._on_speed)
        self.wire = SerialWire(loop, self.chip, link, baud=115_200)
        self.told: list[object] = []
        self.selector = selectors.DefaultSelector()
        challenger = Challenger(Keys(), Dice(5), SCHEMES, site.AID, READER_ID)
        self.reader = Pn532Reader("r", challenge=challenger.session, **options)
        self.line = SerialLine(str(link), 115_200)
        self.port = Port("r", self.line, self.reader, self.selector, self.told.append)

    def _on_speed(self, baud: int) -> None:
        self.wire.baud = baud

    def until(self, kind: type, within_s: float = 8.0) -> list[object]:
        """Turn the loop until such an event; hands back everything told meanwhile."""
        self.told.clear()
        self.turn(within_s, lambda: any(isinstance(event, kind) for event in self.told))
        assert any(isinstance(event, kind) for event in self.told), self.told
        return list(self.told)

    def turn(self, for_s: float, is_done=lambda: False) -> None:
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s and not is_done():
            now_ms = time.monotonic_ns() // 1_000_000
            due_ms = self.port.deadline()
            left_s = end_s - time.monotonic()
            wait_s = left_s if due_ms is None else min(left_s, (due_ms - now_ms) / 1e3)
            for key, mask in self.selector.select(max(0.0, wait_s)):
                key.data(mask, time.monotonic_ns() // 1_000_000)
            now_ms = time.monotonic_ns() // 1_000_000
            self.port.tick(now_ms)
            self.port.answer(now_ms)

    def place(self, card) -> None:
        self.wire.touch(lambda now_ms: self.chip.place(card, now_ms))

    def take(self, card) -> None:
        self.wire.touch(lambda now_ms: self.chip.take(card, now_ms))


@pytest.fixture
def rig(tmp_path):
    made = []
    loop = Loop()
    loop.start()

    def make(**options: object) -> Rig:
        made.append(Rig(tmp_path / "reader", loop, **options))
        made[-1].wire.mend()
        return made[-1]

    yield make
    for one in made:
        one.port.close(0)
        one.selector.close()
        one.wire.cut()
    loop.stop()
    assert not loop.faults


@pytest.mark.req("A-34")
@pytest.mark.parametrize("high_baud", [None, 921_600])
def test_a_desfire_proves_itself_on_a_line_with_the_pace_of_a_uart(rig, high_baud):
    """What works on an unpaced line would fail on a real one."""
    bench = rig(high_baud=high_baud)
    assert bench.until(DeviceOnline) == [ONLINE]
    card = SITE.desfire(UID)
    for _ in range(2):
        bench.place(card)
        (read,) = bench.until(CardRead)
        assert read.proof.is_genuine
        bench.take(card)
        bench.turn(0.4)
    assert bench.chip.baud == (high_baud or 115_200)
    wanted = termios.B921600 if high_baud else termios.B115200
    assert termios.tcgetattr(bench.line.fileno())[4] == wanted


@pytest.mark.req("B-11")
def test_a_plug_pulled_at_any_moment_is_survived_and_its_return_reads_nothing(rig):
    """Whoever pulls and plugs the reader's cable with a card lying there would be let in, or end the reader."""
    bench = rig()
    bench.until(DeviceOnline)
    card = SITE.desfire(UID)
    moments = random.Random(7)
    met = 0
    for turn in range(7):
        bench.told.clear()
        bench.place(card)
        bench.turn(moments.uniform(0.0, 0.12))
        before = list(bench.told)
        bench.wire.cut()
        before += bench.until(DeviceOffline)
        bench.wire.mend()
        bench.until(DeviceOnline)
        bench.turn(0.15)
        after = [event for event in bench.told if not isinstance(event, DeviceOnline | LineNoise)]
        if any(isinstance(event, CardRead | CardUnread) for event in before):
            met += 1
            assert after == [], turn
        assert len(after) <= 1, turn  # pulled before the card was seen: it is new
        bench.take(card)
        bench.turn(0.3)
    assert met >= 3
    bench.place(card)
    read = bench.until(CardRead)[-1]
    assert read.proof.is_genuine
