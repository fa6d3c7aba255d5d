"""Changes that wait for signatures: who may begin and who may sign them, what settles them, and what is left of them."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from api.register import today


def day(offset: int = 0) -> str:
    return (today() + timedelta(days=offset)).isoformat()


def roster(name: str = "r-1", zone: str = "lab", cardholder: str = "c-1") -> tuple[str, dict[str, Any]]:
    dates = {"from_on": day(), "until_on": day(90), "review_on": day(80)}
    return "roster", {"id": name, "cardholder": cardholder, "zone": zone, **dates}


def asked(*puts: tuple[str, dict[str, Any]], reason: str = "work_assigned") -> dict[str, Any]:
    return {"puts": [{"table": table, "row": row} for table, row in puts], "reason": reason}


@pytest.fixture
def house(web: Any) -> Any:
    """Somebody is in the registers."""
    web.controller.edit(("cardholder", {"id": "c-1"}), ("cardholder", {"id": "c-2"}))
    web.caught_up()
    return web


@pytest.mark.req("A-31", "D-07")
def test_what_widens_is_in_force_when_two_have_signed_and_not_before(house: Any) -> None:
    """One officer alone, or a web process in somebody's hands, decides who may enter."""
    answer = house.client.post("/api/v1/proposals", json=asked(roster()))
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["weight"], told["signers_needed"], told["state"]) == ("WIDENS", 2, "PENDING_1")
    assert told["hindrance"] is None and told["publicKey"]["challenge"] == told["challenge"]
    assert answer.headers["location"] == f"/api/v1/proposals/{told['id']}" and not house.controller.heard_of("propose")
    first = house.sign(told["id"], "officer-01")
    assert first.json()["state"] == "PENDING_2" and not house.controller.heard_of("propose")
    assert first.json()["publicKey"] is None, "the same officer is not asked twice"
    once_more = house.asserted("officer-01", told["publicKey"])
    again = house.client.post(f"/api/v1/proposals/{told['id']}/signature", json=once_more)
    assert again.json()["state"] == "PENDING_2" and len(again.json()["signed"]) == 1
    second = house.sign(told["id"], "officer-03").json()
    assert second["state"] == "IN_FORCE" and second["seq"] == len(house.controller.records) - 1
    assert [one["officer"] for one in second["signed"]] == ["officer-01", "officer-03"]
    assert house.client.get("/api/v1/rosters/r-1").status_code == 200
    (sent,) = house.controller.heard_of("propose")
    assert sent["id"] == told["id"] and len(sent["signatures"]) == 2


def page(client: Any, place: str, language: str = "ja") -> str:
    answer = client.get(place, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


@pytest.mark.req("D-18", "D-07")
def test_the_inbox_says_what_changes_and_who_signs_next(house: Any) -> None:
    """An officer signs what he does not understand, or looks for the button in vain."""
    assert "sign" not in page(house.client, "/proposals", "en").partition("<main")[2].partition("mine")[0]
    told = house.client.post("/api/v1/proposals", json=asked(roster())).json()
    first = page(house.client, f"/proposals/{told['id']}", "en")
    assert 'id="sign"' in first and "Widens who may enter" in first and "Laboratory" in first and "c-1" in first
    house.sign(told["id"], "officer-01")
    assert "You have signed" in page(house.client, f"/proposals/{told['id']}", "en")
    assert told["id"] in page(house.as_("officer-03"), "/proposals").partition('id="settled"')[0]
    house.sign(told["id"], "officer-03")
    done = page(house.client, f"/proposals/{told['id']}", "en")
    assert "In force" in done and "holds since" in done and 'id="sign"' not in done
    ends = house.client.post("/api/v1/rosters/r-1/end").json()
    ban = page(house.client, f"/proposals/{ends['id']}", "en")
    assert "Dismissal" in ban and "odd jobs" in ban and "Only takes away" in ban
    assert "nobody" in page(house.client, f"/proposals/{ends['id']}/effects", "en")
