"""Our PN532 driver and the simulators' PN532 share no code: byte by byte they must understand each other."""

from __future__ import annotations

import pytest

from readers.events import CardRead, DeviceOffline, DeviceOnline, LineNoise
from readers.protocols.pn532 import Pn532Reader
from simulators.cards import FelicaCard, TypeACard
from simulators.pn532 import Pn532


class Wire:
    """Both ends and one clock; every byte travels alone."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.told: list[object] = []
        self.chip = Pn532()
        self.reader = Pn532Reader("r")
        self.reader.connection_made(0)

    def run(self, for_ms: int) -> list[object]:
        """What was told in this time."""
        self.told = []
        end_ms = self.now_ms + for_ms
        while True:
            self._settle()
            due = [ms for ms in (self.reader.deadline(), self.chip.deadline()) if ms is not None]
            self.now_ms = max(self.now_ms, min(due, default=end_ms))
            if self.now_ms >= end_ms:
                return self.told
            self.told += self.reader.tick(self.now_ms)
            self.chip.tick(self.now_ms)

    def _settle(self) -> None:
        while True:
            sent, said = self.reader.data_to_send(), self.chip.outgoing()
            if not sent and not said:
                return
            for byte in sent:
                self.chip.receive(bytes((byte,)), self.now_ms)
            for byte in said:
                self.told += self.reader.receive_data(bytes((byte,)), self.now_ms)


@pytest.mark.req("S-01")
@pytest.mark.parametrize(
    "card,kind",
    [
        (TypeACard(uid=bytes.fromhex("04A1B2C3")), "iso14443a"),
        (FelicaCard(idm=bytes.fromhex("0102030405060708")), "felica"),
    ],
)
def test_a_presented_card_is_read_once_within_a_tenth_of_a_second(card, kind):
    """The simulated building would not be the building: cards unread, read twice, or late."""
    wire = Wire()
    assert wire.run(200) == [DeviceOnline(source="r")]
    for _ in range(3):
        wire.chip.place(card, wire.now_ms)
        (read,) = wire.run(100)
        assert isinstance(read, CardRead)
        assert read.kind == kind
        assert wire.run(2_000) == []
        wire.chip.take(card, wire.now_ms)
        assert wire.run(300) == []


def test_a_power_cut_of_the_chip_is_survived():
    """A reader that was reset would stay deaf."""
    wire = Wire()
    wire.run(200)
    wire.chip.power_cycle(wire.now_ms)
    told = wire.run(10_000)
    assert [type(event) for event in told if not isinstance(event, LineNoise)] in ([], [DeviceOffline, DeviceOnline])
    wire.chip.place(TypeACard(uid=bytes.fromhex("04A1B2C3")), wire.now_ms)
    assert CardRead(source="r", number=bytes.fromhex("04A1B2C3"), kind="iso14443a") in wire.run(200)
