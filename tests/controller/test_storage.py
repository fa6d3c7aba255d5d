"""The disk's warnings: in order, once each, over when there is room again (A-23)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.ledger.body import Scribe
from controller.storage import LOOK_MS, Space, StorageWatch, space_of
from zones.moment import Moment

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class Disk:
    """A made-up disk of 1,000 MB, and the clock that goes by."""

    def __init__(self) -> None:
        self.used = 0
        self.looks = 0
        self.is_broken = False
        self.tick_ms = 0
        self.watch = StorageWatch(self.look, Scribe(node="gate", boot="b"))

    def look(self) -> Space:
        self.looks += 1
        if self.is_broken:
            raise OSError(5, "Input/output error")
        return Space(used=self.used * 1_000_000, free=(1000 - self.used) * 1_000_000)

    def at(self, used: int) -> list[str]:
        """What is recorded at the next look, with so many MB used."""
        self.used = used
        self.tick_ms += LOOK_MS
        moment = Moment(at=START + timedelta(milliseconds=self.tick_ms), tick_ms=self.tick_ms)
        told = []
        for draft in self.watch.watch(moment):
            detail = draft.body.detail
            told.append(f"ceased {detail['kind']}" if draft.body.type == "ALARM_CEASED" else draft.body.type)
        return told


@pytest.mark.req("A-23")
def test_a_disk_that_fills_warns_twice_in_order_and_once_each():
    """The first word about a full disk would be that nobody is let in."""
    disk = Disk()
    told = [disk.at(used) for used in range(0, 1001, 10)]
    assert [(10 * index, types) for index, types in enumerate(told) if types] == [
        (750, ["STORAGE_75"]),
        (900, ["STORAGE_90"]),
    ]


@pytest.mark.req("A-23")
def test_a_disk_that_is_nearly_full_at_a_start_says_both_in_order():
    """Whoever reads the records would miss the first warning."""
    disk = Disk()
    assert disk.at(950) == ["STORAGE_75", "STORAGE_90"]
    assert disk.at(960) == []


def test_an_alarm_ceases_two_points_below_its_level_and_rings_again():
    """An alarm would stand for ever, or ring with every file that comes and goes."""
    disk = Disk()
    disk.at(910)
    assert [disk.at(used) for used in (895, 880, 870, 905)] == [[], [], ["ceased STORAGE_90"], ["STORAGE_90"]]
    assert disk.at(100) == ["ceased STORAGE_90", "ceased STORAGE_75"]
    assert disk.at(751) == ["STORAGE_75"]


def test_the_warning_says_how_much_is_left():
    """The officer would have to log in to the box to learn what the alarm means."""
    disk = Disk()
    disk.used = 761
    (draft,) = disk.watch.watch(Moment(at=START, tick_ms=0))
    assert draft.body.detail == {"used_percent": 77, "free_mb": 239}


def test_the_disk_is_asked_every_half_minute_and_may_not_answer():
    """A dying disk would be asked at every turn of the loop, or end it."""
    disk = Disk()
    for tick_ms in range(0, 120_000, 500):
        disk.watch.watch(Moment(at=START, tick_ms=tick_ms))
    assert disk.looks == 4
    disk.is_broken = True
    assert disk.at(999) == []


def test_a_disk_without_any_room_is_full(tmp_path):
    """A division by zero would end the loop."""
    assert Space(used=0, free=0).used_percent == 100
    assert 0 < space_of(tmp_path).used_percent <= 100
