"""What is unusual is told to officers, once, and what is usual never (A-14)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.controller.conftest import SATO, SITE, VirtualSite, clearance, need, roster

HOUR = 3_600_000
MINUTE = 60_000
MORI = "04d1d2d3"
MORNING = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
"""Tuesday, half past eight in Japan."""


def goes(site: VirtualSite, number: str, reader: str) -> None:
    """Somebody is let through and passes."""
    place = reader.removeprefix("rd-").removesuffix("-out")
    site.badges(number, reader)
    site.goes_through(f"dr-{place}")
    site.passes(4_000)


def noticed(site: VirtualSite) -> list[tuple[str | None, ...]]:
    return [
        (one.detail["code"], one.subject.cardholder, one.portal, one.zone)
        for one in site.records
        if one.type == "UNUSUAL" and one.detail is not None and one.subject is not None
    ]


@pytest.mark.req("A-14")
def test_an_entry_in_the_night_is_told(site):
    """Somebody would work in the vault at eleven in the night, and nobody would know of it in the morning."""
    goes(site, SATO, "rd-office")
    site.passes(11 * HOUR)
    assert noticed(site) == [], "the office is no 制限区域"
    goes(site, SATO, "rd-vault")
    assert noticed(site) == [("OUT_OF_HOURS", "h-sato", "vault", "vault")]
    goes(site, SATO, "rd-vault-out")
    assert len(noticed(site)) == 1, "leaving is nobody's business"


@pytest.mark.req("A-14")
def test_tries_at_doors_where_somebody_has_no_place_are_told_once(site):
    """Somebody would try every door of the house with his card, and nobody would be told."""
    site.proposes(
        ("cardholder", {"id": "h-mori"}),
        ("credential", {"id": "c-mori", "cardholder": "h-mori", "number": MORI, "state": "ACTIVE"}),
    )
    for reader in ("rd-office", "rd-office", "rd-office", "rd-office"):
        site.badges(MORI, reader)
        site.passes(MINUTE)
    assert noticed(site) == [], "one door, whatever he makes of it, is a mistake about one door"
    site.badges(MORI, "rd-vault")
    assert noticed(site) == [("REPEATED_TRIES", "h-mori", "vault", "vault")]
    site.passes(MINUTE)
    site.badges(MORI, "rd-office")
    assert len(noticed(site)) == 1
    site.passes(31 * MINUTE)
    for reader in ("rd-office", "rd-vault"):
        site.badges(MORI, reader)
        site.passes(MINUTE)
    assert len(noticed(site)) == 1, "two are no three, and the others are long ago"


@pytest.mark.req("A-14")
def test_a_stay_of_fourteen_hours_is_told_while_it_lasts(site):
    """Somebody who stays in the vault over night would be seen when he comes out, or never."""
    goes(site, SATO, "rd-office")
    goes(site, SATO, "rd-vault")
    site.passes(13 * HOUR)
    assert noticed(site) == []
    site.passes(HOUR)
    assert noticed(site) == [("LONG_STAY", "h-sato", None, "vault")]
    site.passes(20 * HOUR)
    assert len(noticed(site)) == 1


@pytest.mark.req("A-14")
def test_a_card_that_is_in_two_places_is_told_once(site):
    """Somebody else would try his card, or be let in by a door that nobody watches."""
    goes(site, SATO, "rd-office")
    goes(site, SATO, "rd-office-out")
    site.passes(MINUTE)
    for _ in range(3):
        site.badges(SATO, "rd-vault")
        site.passes(MINUTE)
    assert noticed(site) == [("OUT_OF_SEQUENCE", "h-sato", "vault", "vault")]


@pytest.mark.req("A-14")
def test_a_card_from_another_house_is_told_where_it_is_let_in(tmp_path):
    """From open ground nobody is refused for it, and so nobody would know either."""
    site = VirtualSite(tmp_path, SITE.replace('outer = "office"', 'outer = "outside"'))
    site.admits("h-sato", SATO, "office", "vault")
    goes(site, SATO, "rd-office")
    site.passes(MINUTE)
    goes(site, SATO, "rd-vault")
    assert site.last.outcome == "GRANTED" and noticed(site) == [("OUT_OF_SEQUENCE", "h-sato", "vault", "vault")]


@pytest.mark.req("A-14")
def test_hours_that_were_approved_by_name_are_usual(tmp_path):
    """Whoever works at night on purpose would be told of every night, until nobody reads it."""
    text = SITE_WITH_HOURS
    site = VirtualSite(tmp_path, text, at=MORNING)
    for person, number in (("h-sato", SATO), ("h-mori", MORI)):
        site.admits(person, number, "office")
    site.proposes(
        ("roster", {**roster("h-sato", "vault"), "schedule": "nights"}),
        ("roster", roster("h-mori", "vault")),
        *(("clearance", {**clearance("h-mori"), "id": "k2"}), ("need_to_know", {**need("h-mori"), "id": "n2"})),
    )
    site.passes(14 * HOUR)  # 22:30
    for number in (SATO, MORI):
        goes(site, number, "rd-office")
        goes(site, number, "rd-vault")
    assert noticed(site) == [("OUT_OF_HOURS", "h-mori", "vault", "vault")]


@pytest.mark.req("A-14")
def test_a_month_of_ordinary_days_tells_nothing(tmp_path):
    """Officers would be told of ordinary people every day, and look no more."""
    site = VirtualSite(tmp_path, at=MORNING)
    site.admits("h-sato", SATO, "office", "vault")
    site.admits("h-mori", MORI, "office")
    for day in range(30):
        if day % 7 < 5:
            ordinary_day(site, is_long=day % 7 == 2)
        site.passes(24 * HOUR - (site.now_ms - int(MORNING.timestamp() * 1000)) % (24 * HOUR))
    assert sum(one.type == "PASSAGE" for one in site.records) > 150
    assert noticed(site) == []


def ordinary_day(site: VirtualSite, *, is_long: bool) -> None:
    """From half past eight until six, or half past nine; a mistake at the vault's door; out by the button for lunch."""
    for number in (SATO, MORI):
        goes(site, number, "rd-office")
        site.passes(5 * MINUTE)
    goes(site, SATO, "rd-vault")
    site.badges(MORI, "rd-vault")
    site.passes(3 * HOUR)
    goes(site, SATO, "rd-vault-out")
    site.presses_rex("dr-office")
    site.goes_through("dr-office")
    site.passes(HOUR)
    goes(site, SATO, "rd-office")
    goes(site, SATO, "rd-vault")
    site.passes((9 if is_long else 5) * HOUR)
    goes(site, SATO, "rd-vault-out")
    for number in (SATO, MORI):
        goes(site, number, "rd-office-out")


SITE_WITH_HOURS = (
    SITE.replace('anti_passback = "HARD"', 'anti_passback = "HARD"\nusual_schedule = "days"')
    + """
[[schedule]]
id = "days"
windows = ["mon-fri 07:00-20:00"]
[[schedule]]
id = "nights"
windows = ["mon-sun 00:00-24:00"]
"""
)
