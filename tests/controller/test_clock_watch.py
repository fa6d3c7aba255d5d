"""Clocks that do not agree: one that somebody set while we ran, and those of devices that tell theirs (A-26)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controller.clock import wall_ms
from readers.events import CardRead, InputChanged
from tests.controller.conftest import SATO, SITE

SKEWS = {
    "right": ([0, 30, 0, 200, 0, 0], []),
    "5 s behind": ([5_000, 5_100, 5_030, 5_000], [5_000]),
    "5 s ahead": ([-5_000, -4_950], [-5_000]),
    "one message lay about": ([0, 9_000, 0, 0], []),
    "three lay about, then it is seen to be right": ([9_000, 9_000, 9_000, 0, 0, 0], [9_000, "over"]),
    "put right": ([5_000] * 3 + [100] * 3, [5_000, "over"]),
    "just within a second": ([990] * 5, []),
    "a little beyond, and back, and beyond": ([1_200] * 3 + [900] * 3 + [1_200] * 3, [1_200]),
}


def presses(site, skew_ms, source="dr-office"):
    """A button is pressed, by a device whose clock is so far behind ours."""
    at_ms = wall_ms(site.at) - skew_ms
    site.happens(InputChanged(source=source, line="rex", is_active=True, is_level_report=False, at_ms=at_ms))
    site.passes(4_000)


def told(site):
    found = []
    for body in site.records:
        if body.type == "CLOCK_SKEW":
            assert body.detail["against"] == "dr-office"
            found.append(body.detail["by_ms"])
        elif body.type == "ALARM_CEASED" and body.detail["kind"] == "CLOCK_SKEW":
            assert body.detail["row"] == "dr-office"
            found.append("over")
    return found


@pytest.mark.req("A-26")
@pytest.mark.parametrize(("skews", "expected"), SKEWS.values(), ids=SKEWS.keys())
def test_a_device_whose_clock_differs_is_told_once(site, skews, expected):
    """Two doors could not be compared to the second, and nobody would know; or the ledger be full of it."""
    for skew_ms in skews:
        presses(site, skew_ms)
    assert told(site) == expected


@pytest.mark.req("A-26")
@pytest.mark.parametrize("at_ms", [None, 0, 5_000, 99_999])
def test_a_device_without_a_clock_is_not_said_to_be_wrong(site, at_ms):
    """A button that counts from its start would be an alarm for ever."""
    for number in range(5):
        stamp = None if at_ms is None else at_ms + number
        site.happens(InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=False, at_ms=stamp))
        site.passes(4_000)
    assert told(site) == []


@pytest.mark.req("A-26")
def test_what_was_kept_or_sent_again_says_nothing_about_a_clock(site):
    """A broker that hands on what it kept would make every clock look wrong."""
    old_ms = wall_ms(site.at) - 60_000
    kept = InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=True, at_ms=old_ms)
    again = InputChanged(source="dr-office", line="contact", is_active=False, is_level_report=False, at_ms=old_ms)
    late = CardRead(
        source="rd-office", number=bytes.fromhex(SATO), kind="mqtt", read_id="r", at_ms=old_ms, is_held_back=True
    )
    for _ in range(5):
        site.happens(kept, again, late)
        site.passes(4_000)
    assert told(site) == []


@pytest.mark.req("A-26", "A-22")
@pytest.mark.parametrize("by_ms", [3_600_000, 1_500, -1_500, -7_200_000])
def test_a_clock_that_somebody_sets_is_recorded(site, by_ms):
    """Somebody moves the clock, does something, and moves it back: the times of the ledger would be believed."""
    site.at += timedelta(milliseconds=by_ms)
    site.happens()
    site.badges(SATO, "rd-office")
    (body,) = [body for body in site.records if body.type == "CLOCK_SET"]
    assert body.detail == {"by_ms": by_ms}


@pytest.mark.req("A-26")
def test_when_our_clock_was_put_right_the_devices_agree_again(site):
    """The alarm about every device would stand for ever after our own clock was mended."""
    for _ in range(3):
        presses(site, 5_000)
    site.at -= timedelta(seconds=1, milliseconds=900)
    for _ in range(3):
        presses(site, 0)
    assert told(site) == [5_000, "over"]


@pytest.mark.req("A-26")
def test_a_clock_that_runs_is_not_said_to_be_set(site):
    """The ledger would be full of it."""
    for step in (1, 400, 1_001, 86_400_000):
        site.passes(step)
        site.badges(SATO, "rd-office")
    assert "CLOCK_SET" not in site.story()


@pytest.mark.req("A-26")
def test_two_nodes_are_in_order_though_one_clock_is_wrong(make_site):
    """A clock that is 5 s off would turn round who came first; or nobody could tell by how much it is off."""
    sites = {}
    for name, skew in (("north", 0), ("south", 5)):
        site = make_site(text=SITE.replace('node = "test"', f'node = "{name}"'))
        site.scribe._node = name
        site.at += timedelta(seconds=skew)
        site.admits("h-sato", SATO, "office")
        for _ in range(6):
            presses(site, skew * 1000)
        sites[name] = site
    merged = sorted(
        ((name, record.seq, record.decoded()) for name, site in sites.items() for record in site.ledger.scan()),
        key=lambda one: one[:2],
    )
    for name, site in sites.items():
        mine = [(seq, body) for node, seq, body in merged if node == name]
        assert [seq for seq, _ in mine] == list(range(site.ledger.size))
        times = [body.at_ms for _, body in mine]
        assert times == sorted(times) and {body.node for _, body in mine[-6:]} == {name}
        assert {(body.tz, body.clock) for _, body in mine} == {("+09:00", "trusted")}
        assert datetime.fromtimestamp(times[0] / 1000, UTC).tzinfo is UTC
    assert told(sites["north"]) == [] and told(sites["south"]) == [5_000]
    rex = {name: [b.at_ms for node, _, b in merged if node == name and b.type == "REX"] for name in sites}
    apart = [south - 5_000 - north for north, south in zip(rex["north"], rex["south"], strict=True)]
    assert all(abs(one) < 1_000 for one in apart), "corrected by what the ledger says, they fit to the second"
