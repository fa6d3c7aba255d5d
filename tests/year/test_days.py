"""The made-up year holds something of everything, and is the same again for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from controller.config import parse_site
from tests.year.building import WAYS, ZONES, people, site_text
from tests.year.days import Act, Year, is_working


def test_a_year_holds_something_of_everything():
    """A kind of day that never comes would never be tried."""
    days = list(Year(seed=1).days())
    acts = Counter(one.act for _, happenings in days for one in happenings)
    assert len(days) == 365
    assert acts.keys() == set(Act)
    assert 5_000 < sum(acts.values()) < 20_000
    assert 200 < sum(is_working(day) for day, _ in days) < 250


def test_the_same_seed_gives_the_same_year():
    """A failure could not be run again."""
    assert list(Year(seed=3).days(40)) == list(Year(seed=3).days(40))
    assert list(Year(seed=3).days(40)) != list(Year(seed=4).days(40))


def test_a_day_goes_forward():
    """Time would run backwards on the virtual clock."""
    last = None
    for _, happenings in Year(seed=5).days(60):
        for one, other in pairwise(happenings):
            assert one.at <= other.at
        assert last is None or last < happenings[0].at
        last = happenings[-1].at


def test_the_building_is_a_site(tmp_path):
    """The year would be spent in front of a site file that no controller takes."""
    site = parse_site(site_text(), tmp_path / "site.toml")
    assert len(ZONES) == 8
    assert len(people()) == 30 and len({one.card for one in people()}) == 30
    assert site.wiring.strikes.keys() == WAYS.keys()
