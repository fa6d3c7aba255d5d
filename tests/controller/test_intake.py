"""One reader that floods silences no exit and fills no disk."""

from __future__ import annotations

import pytest

from controller.inbox import Inbox
from controller.intake import READS_BURST, Intake
from readers.events import CardRead, DeviceOffline, DeviceOnline, InputChanged, MessageRefused


@pytest.fixture
def inbox():
    made = Inbox()
    yield made
    made.close()


def read(source: str) -> CardRead:
    return CardRead(source=source, number=b"\x04\xa1\xb2\xc3", kind="mqtt", read_id="r", at_ms=7)


PRESS = InputChanged(source="dr-lab", line="rex", is_active=True, is_level_report=False, at_ms=7)


@pytest.mark.req("B-27")
def test_a_flood_is_cut_counted_and_leaves_the_others_alone(inbox):
    """A reader gone mad would fill the disk with its reads, and nobody else would be heard."""
    intake = Intake(inbox)
    for _ in range(READS_BURST + 5_000):
        intake.acts(read("rd-mad"))
    intake.acts(read("rd-lab"))
    refused = intake.refused()
    assert set(refused) == {"rd-mad"} and 4_000 < refused["rd-mad"] <= 5_000
    assert intake.refused() == {}
    waiting, lost = inbox.drain(100_000)
    assert lost == 0 and len(waiting) == READS_BURST + 5_001 - refused["rd-mad"]
    assert waiting[-1] == read("rd-lab")


@pytest.mark.req("D-24")
def test_a_press_goes_before_the_flood(inbox):
    """Somebody would stand at the door while thousands of reads are worked off."""
    intake = Intake(inbox)
    for _ in range(1_000):
        intake.acts(read("rd-mad"))
    intake.inputs(PRESS)
    assert inbox.drain(1) == ([PRESS], 0)


def test_presence_is_told_once(inbox):
    """Both connections would tell of a device that comes and goes, and one of them of none."""
    intake = Intake(inbox)
    intake.acts(DeviceOffline(source="rd-lab", why="no state"))
    intake.inputs(DeviceOnline(source="rd-lab"))
    assert inbox.drain() == ([DeviceOnline(source="rd-lab")], 0)


def test_strangers_share_one_measure(inbox):
    """A million names on a broker would each get a flood of their own, and fill the memory."""
    intake = Intake(inbox)
    for n in range(READS_BURST * 2):
        intake.inputs(MessageRefused(source=f"s-{n}", why="unknown_device"))
    assert set(intake.refused()) <= {"*"}
