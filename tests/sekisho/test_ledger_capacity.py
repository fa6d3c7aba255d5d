"""`sekisho ledger capacity`: how long the disk lasts, before it is full (A-23)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from controller.config import load_site
from controller.keys import load_keys
from controller.ledger.body import Scribe
from controller.ledger.store import Ledger
from controller.storage import Space
from sekisho.cli import main
from sekisho.ledger_capacity import DAY_MS, CannotTell, forecast
from tests.controller.conftest import SITE
from zones.moment import Moment

START = datetime(2026, 1, 1, tzinfo=UTC)


def steady(a_day: int, *, first: int = 0):
    """When record `seq` was made, where `a_day` come each day; bodies before `first` are gone."""
    return lambda seq: (max(seq, first), max(seq, first) * DAY_MS // a_day)


@pytest.mark.req("A-23")
@pytest.mark.parametrize(
    ("a_day", "size", "free_mb", "days_left", "held", "is_enough"),
    [
        (100, 10_000, 1_000, 10_000, 99, True),  # 1 kB a record: 0.1 MB a day
        (100, 10_000, 100, 1_000, 99, False),
        (100, 200_000, 10, 100, 1_999, True),  # as many are dropped as come
        (10, 10, 1_000_000, 100_000_000, 0, True),
    ],
)
def test_the_days_left_are_those_of_the_present_rate(a_day, size, free_mb, days_left, held, is_enough):
    """A site would learn that its disk is too small on the day that it is full."""
    space = Space(used=10**9, free=free_mb * 1_000_000)
    told = forecast(size=size, octets=size * 1_000, at=steady(a_day), space=space, terms={"access": 1095, "view": 1825})
    assert (told.days_left, told.days_held, told.is_enough) == (pytest.approx(days_left, rel=0.01), held, is_enough)
    assert told.term_days == 1825 and told.records_a_day == pytest.approx(a_day, rel=0.01)


def test_a_busier_month_counts_and_not_the_quiet_years_before():
    """A site that grew would be told the days of the site that it was."""
    quiet, busy = 1_000, 30_000  # one a day for 1,000 days, then 1,000 a day for 30

    def at(seq):
        days = seq if seq < quiet else quiet + (seq - quiet) / 1_000
        return seq, int(days * DAY_MS)

    space = Space(used=10**9, free=10**9)
    told = forecast(size=quiet + busy, octets=31_000_000, at=at, space=space, terms={"access": 1095})
    assert told.records_a_day == pytest.approx(1_000, rel=0.01)
    assert told.days_left == pytest.approx(1_000, rel=0.01)


def test_a_ledger_that_is_too_young_tells_nothing():
    """The first minute's records would be taken for a whole day's."""
    space = Space(used=1, free=1)
    with pytest.raises(CannotTell, match="younger than an hour"):
        forecast(size=9, octets=9_000, at=lambda seq: (seq, seq), space=space, terms={"access": 1095})
    with pytest.raises(CannotTell, match="younger than an hour"):
        forecast(size=0, octets=9_000, at=lambda _seq: None, space=space, terms={"access": 1095})


def test_what_was_dropped_hides_no_rate():
    """After the first purge nobody could tell how long the disk lasts."""
    space = Space(used=1, free=10**9)
    told = forecast(
        size=10_000, octets=10**7, at=steady(100, first=4_000), space=space, terms={"access": 90, "view": 365}
    )
    assert told.records_a_day == pytest.approx(100, rel=0.01)


def test_a_stopped_site_is_asked_by_its_file(tmp_path, capsys):
    """The question could only be put to a controller that runs."""
    file = tmp_path / "site.toml"
    file.write_text(SITE, "utf-8")
    assert main(["ledger", "capacity", str(file)]) == 3  # there is no site yet
    site = load_site(file)
    keys = load_keys(site.state_dir, os.urandom)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, "sekisho.example/test") as ledger:
        for day in range(3):
            now = Moment(at=START + timedelta(days=day), tick_ms=0)
            ledger.append([Scribe(node="test", boot="b").draft("CONTROLLER_STARTED", now=now)] * 5)
    capsys.readouterr()
    status = main(["ledger", "capacity", str(file), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["records"] == 15 and told["days_held"] == 2 and status == (0 if told["is_enough"] else 1)
    main(["ledger", "capacity", str(file)])
    shown = capsys.readouterr().out
    assert "保存期間" in shown and "room for" in shown
