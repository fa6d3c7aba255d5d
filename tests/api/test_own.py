"""One's own data: all of it to oneself, nothing of anybody else's, and nobody else gets it (E-13, D-22)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from api.own import MENDABLE
from api.register import today
from zones.decision import Reason

OTHERS = ("h-other", "officer-03", "officer-01", "佐藤", "c-other", "9999")


def day(offset: int = 0) -> str:
    return (today() + timedelta(days=offset)).isoformat()


@pytest.fixture(scope="module")
def site(shared: Any) -> Any:
    """line-01 holds a card, an ended place, a confirmation; somebody else was beside him."""
    control = shared.controller
    dates = {"from_on": day(-30), "until_on": day(200), "review_on": day(60)}
    signed = {"recorded_by": "officer-01", "confirmed_by": "officer-03"}
    post = {"id": "line-01", "roles": ["LINE"], "from_on": "2026-01-01", "until_on": "2099-12-31"}
    control.edit(
        ("cardholder", {"id": "h-me"}), ("cardholder", {"id": "h-other"}),
        ("officer", post | {"cardholder": "h-me"}),
        ("credential", {"id": "c-me", "cardholder": "h-me", "number_hash": "1" * 64, "last4": "aaaa",
                        "state": "ACTIVE"}),
        ("credential", {"id": "c-other", "cardholder": "h-other", "number_hash": "2" * 64, "last4": "9999",
                        "state": "ACTIVE"}),
        ("roster", {"id": "r-me", "cardholder": "h-me", "zone": "office", **dates}),
        ("roster", {"id": "r-gone", "cardholder": "h-me", "zone": "lab", **dates, "ended_on": day(-1)}),
        ("clearance", {"id": "k-me", "cardholder": "h-me", "basis": "KEIZAI_ANPO", "notified_on": "2026-04-01",
                       "last_valid_on": "2036-03-31", **signed}),
    )  # fmt: skip
    at = {"zone": "office", "portal": "front", "direction": "IN"}
    control.record("PASSAGE", **at, subject={"cardholder": "h-me"})
    control.record("PASSAGE", **at, subject={"cardholder": "h-other"})
    me, denied = {"cardholder": "h-me"}, {"outcome": "DENIED", **at}
    control.record("ACCESS_DENIED", **denied, reason="PIN_WRONG", number="7QK4", subject=me)
    control.record("ACCESS_DENIED", **denied, reason="CLEARANCE_NONE", number="8XW3", subject=me)
    control.record("ACCESS_DENIED", **denied, reason="NO_NEED_TO_KNOW", number="9ZZ9", subject=me)
    control.record(
        "ACCESS_GRANTED", **at, subject={"cardholder": "h-other"}, companions=[{"cardholder": "h-me"}]
    )  # fmt: skip
    control.record(
        "NOTE", actor={"officer": "auditor-01"}, subject=me,
        detail={"id": "note-0001", "kind": "VIEW_PERSONAL", "purpose": "incident"},
    )  # fmt: skip
    shared.caught_up()
    return shared


@pytest.mark.req("E-13")
def test_somebody_reads_his_own_rights_entries_and_who_looked(site: Any) -> None:
    """Nobody could tell an employee what is held about him."""
    told = site.as_("line-01").get("/api/v1/me")
    assert told.status_code == 200, told.text
    said = told.json()
    assert said["cardholder"] == "h-me"
    assert [row["id"] for row in said["rights"]["roster"]] == ["r-me"], "what ended is not there (E-03)"
    assert said["rights"]["clearance"][0]["last_valid_on"] == "2036-03-31"
    assert [one["zone"] for one in said["entries"]] == ["office"]
    assert [(one["officer"], one["purpose"]) for one in said["looks"]] == [("auditor-01", "incident")]
    text = site.as_("line-01").get("/me", params={"lang": "ja"}).text
    assert "執務室" in text and "2036/03/31" in text and "正面玄関" in text and "auditor-01" in text


@pytest.mark.req("E-13", "D-22")
def test_nobody_elses_data_is_in_it(site: Any) -> None:
    """A request for one's own data would hand out a colleague's."""
    for address in ("/api/v1/me", "/api/v1/me/export", "/me"):
        text = site.as_("line-01").get(address).text
        assert not [word for word in OTHERS if word in text], address
        assert "number_hash" not in text and "1" * 64 not in text


@pytest.mark.req("E-05", "E-03", "E-13")
def test_of_a_refusal_is_told_what_the_person_can_mend_and_of_others_the_number(site: Any) -> None:
    """An employee would read that there is no confirmation of him, or not learn that he mistyped his PIN."""
    refusals = site.as_("line-01").get("/api/v1/me").json()["refusals"]
    assert [(one["number"], one["reason"]) for one in refusals] == [
        ("9ZZ9", None),
        ("8XW3", None),
        ("7QK4", "PIN_WRONG"),
    ]
    assert refusals[0]["do"] is None and refusals[0].keys() == refusals[1].keys()
    page = site.as_("line-01").get("/me", params={"lang": "ja"}).text
    assert "暗証番号をゆっくり" in page and page.count("保護責任者に番号を伝えてください") == 2
    assert "CLEARANCE" not in page and "適性評価" not in page


ABOUT_RIGHTS = {
    *("CLEARANCE_NONE", "NO_NEED_TO_KNOW", "NOT_ON_ROSTER", "REVIEW_OVERDUE", "CARD_UNKNOWN", "CARD_INACTIVE"),
    *("CARDHOLDER_INACTIVE", "LOCKDOWN", "CARD_AUTH_FAILED", "REPLAY", "IMPOSSIBLE_TRAVEL"),
}


@pytest.mark.req("E-05")
def test_what_can_be_mended_names_real_reasons_and_none_about_rights() -> None:
    """A hint would stand under a code that no door gives, or tell that somebody was taken off a list."""
    assert MENDABLE.keys() <= {reason.value for reason in Reason}
    assert not MENDABLE.keys() & ABOUT_RIGHTS


@pytest.mark.req("D-22")
def test_all_of_it_goes_out_as_a_file_with_third_parties_masked_and_is_recorded(site: Any) -> None:
    """A disclosure would leave out what lapsed, name the officers beside him, or leave no trace."""
    before = len(site.controller.heard_of("note"))
    answer = site.as_("line-01").get("/api/v1/me/export")
    assert "attachment" in answer.headers["content-disposition"] and answer.headers["cache-control"] == "no-store"
    said = json.loads(answer.text)
    assert {row["id"] for row in said["registers"]["roster"]} == {"r-me", "r-gone"}
    (row,) = said["registers"]["clearance"]
    assert row["confirmed_by"] == row["recorded_by"] == "***"
    beside = [one for one in said["records"] if one["as"] == "companion"]
    assert len(beside) == 1 and beside[0]["zone"] == "office"
    assert said["is_complete"] and not [one for one in said["records"] if one.get("reason") == "CLEARANCE_NONE"]
    (note,) = site.controller.heard_of("note")[before:]
    assert (note["type"], note["cardholder"], note["purpose"]) == ("EXPORT", "h-me", "disclosure")
    site.caught_up()
    assert site.as_("line-01").get("/api/v1/me").json()["looks"][0]["kind"] == "EXPORT"


@pytest.mark.req("E-13")
def test_whoever_holds_no_card_has_no_own_data_and_a_stranger_none_at_all(site: Any) -> None:
    """A post without a person would read somebody's data, or anybody would."""
    assert site.as_("guard-01").get("/api/v1/me").status_code == 404
    assert site.as_("guard-01").get("/me").status_code == 200
    for address in ("/api/v1/me", "/api/v1/me/export"):
        assert site.anonymous().get(address).status_code == 401


@pytest.mark.req("D-22")
def test_nothing_goes_out_that_cannot_be_recorded(site: Any) -> None:
    """An export would leave no trace on the day on which the ledger is full."""
    site.controller.refusals.append({"code": "ledger_unavailable"})
    answer = site.as_("line-01").get("/api/v1/me/export")
    assert answer.status_code == 503 and "registers" not in answer.text
