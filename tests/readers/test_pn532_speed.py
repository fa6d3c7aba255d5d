"""Pn532Reader at a higher speed: a chip that hears nothing at another speed than its own, in virtual time."""

from __future__ import annotations

import pytest

from readers.events import CardRead, DeviceOffline, DeviceOnline, LineNoise
from tests.readers.pn532_bench import ACK, DESFIRE, DESFIRE_UID, Field, bodies, framed

ERROR = bytes.fromhex("0000FF01FF7F8100")
CODES = {5: 230_400, 6: 460_800, 7: 921_600}
ONLINE = DeviceOnline(source="r")
READ = CardRead(source="r", number=DESFIRE_UID, kind="iso14443a")


class Line(Field):
    """`line_baud` is the adapter's speed, `chip_baud` the chip's; beyond `cable_max` nothing gets through."""

    def __init__(self, *, chip_baud: int = 115_200, cable_max: int = 921_600, **options: object) -> None:
        super().__init__(**options)
        self.chip_baud = chip_baud
        self.line_baud = 115_200
        self.cable_max = cable_max
        self.is_stubborn = False
        self._pending: int | None = None

    def settle(self, until: int | None = None) -> list[object]:
        told: list[object] = []
        while (sent := self.reader.data_to_send()) or self.reader.baud not in (None, self.line_baud):
            heard_at = self.line_baud
            self.line_baud = self.reader.baud or self.line_baud
            if heard_at != self.chip_baud or heard_at > self.cable_max:
                continue
            if ACK in sent and self._pending is not None:
                self.chip_baud, self._pending = self._pending, None
            for command in bodies(sent):
                self.commands.append(command)
                if command[0] == 0x10 and self.is_stubborn:
                    told += self.reader.receive_data(ACK + ERROR, self.now_ms)
                    continue
                if command[0] == 0x10:
                    self._pending = CODES[command[1]]
                told += self.reader.receive_data(ACK + framed(self.answer(command)), self.now_ms)
        return told

    def power_cycle(self) -> None:
        self.chip_baud, self._pending = 115_200, None


@pytest.mark.parametrize("baud", [230_400, 460_800, 921_600])
def test_the_chip_is_asked_for_the_configured_speed(baud):
    """An authentication would take three times as long on the line as it must."""
    line = Line(high_baud=baud)
    assert line.run(200) == [ONLINE]
    assert (line.line_baud, line.chip_baud) == (baud, baud)
    line.place(DESFIRE)
    assert line.run(200) == [READ]


def test_without_a_configured_speed_the_line_is_left_alone():
    """A site that set the speed of its adapter itself would lose its reader."""
    line = Line()
    line.run(200)
    assert line.reader.baud is None
    assert not any(command[0] == 0x10 for command in line.commands)


@pytest.mark.parametrize("left_at", [115_200, 230_400, 460_800, 921_600])
@pytest.mark.parametrize("wanted", [230_400, 921_600])
def test_a_chip_that_an_earlier_program_left_at_another_speed_is_found(left_at, wanted):
    """After a crash somebody would have to pull the reader's plug."""
    line = Line(high_baud=wanted, chip_baud=left_at)
    told = line.run(12_000)
    assert told[-1] == ONLINE
    assert line.line_baud == line.chip_baud == wanted
    line.place(DESFIRE)
    assert line.run(200) == [READ]


def test_the_speed_of_an_earlier_run_is_found_within_half_a_second():
    """A restart of the controller would cost seconds at every reader."""
    line = Line(high_baud=921_600, chip_baud=921_600)
    assert line.run(500) == [ONLINE]


def test_a_cable_that_cannot_do_it_falls_back_and_stays_there():
    """A long cable would make a reader that comes and goes for ever."""
    line = Line(high_baud=921_600, cable_max=115_200)
    line.run(3_000)
    line.power_cycle()  # the chip is deaf at a speed that no byte survives
    told = line.run(30_000)
    assert told[-1] == ONLINE
    assert (line.line_baud, line.chip_baud) == (115_200, 115_200)
    line.place(DESFIRE)
    assert line.run(500) == [READ]
    assert sum(command[0] == 0x10 for command in line.commands) == 1


def test_a_chip_that_refuses_stays_at_the_first_speed():
    """An odd chip would be asked for ever and never read a card."""
    line = Line(high_baud=921_600)
    line.is_stubborn = True
    assert line.run(3_000) == [ONLINE]
    assert (line.line_baud, line.chip_baud) == (115_200, 115_200)
    line.place(DESFIRE)
    assert READ in line.run(500)


def test_a_chip_that_lost_its_power_is_found_at_the_first_speed_and_asked_again():
    """A brown-out would take a reader away until somebody restarts the controller."""
    line = Line(high_baud=921_600)
    line.run(200)
    line.power_cycle()
    told = line.run(5_000)
    assert told in ([], [DeviceOffline(source="r", why="no answer"), ONLINE])
    assert line.line_baud == line.chip_baud == 921_600


def test_a_replugged_reader_begins_at_the_first_speed():
    """The line is opened at 115200, and the reader would be spoken to at another speed."""
    line = Line(high_baud=921_600)
    line.run(200)
    line.reader.connection_lost(line.now_ms)
    line.power_cycle()
    line.line_baud = 115_200
    line.reader.connection_made(line.now_ms)
    assert line.reader.baud == 115_200
    assert line.run(300) == [ONLINE]
    assert line.line_baud == line.chip_baud == 921_600


def test_an_answer_that_got_lost_leaves_the_chip_at_a_speed_that_is_found():
    """Our own abort is the ACK with which the chip speeds up: it would be looked for at the speed it left."""
    line = Line(high_baud=921_600)
    answer = line.answer
    line.answer = lambda command: b"" if command[0] == 0x10 else answer(command)
    told = [event for event in line.run(3_000) if not isinstance(event, LineNoise)]
    assert told == [ONLINE]
    assert (line.line_baud, line.chip_baud) == (921_600, 921_600)
