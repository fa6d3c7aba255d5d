"""Information items, trainings, declarations, visits, break-glass and PINs: what is taken and never given back."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import timedelta
from typing import Any

import pytest

from api.register import today


def day(offset: int = 0) -> str:
    return (today() + timedelta(days=offset)).isoformat()


@pytest.fixture
def people(web: Any) -> Any:
    kinds = (("c-1", "STAFF"), ("c-2", "STAFF"), ("v-1", "VISITOR"))
    web.controller.edit(*[("cardholder", {"id": name, "kind": kind, "notice_version": 2}) for name, kind in kinds])
    web.caught_up()
    return web


PERIOD = {"from_on": day(), "until_on": day(30)}
ROWS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("items", {"id": "item-7", "designated_until": day(900), "contract_until": day(400)}, {"lifted_on": day()}),
    (
        "trainings",
        {"cardholder": "c-1", "course": "fire", "done_on": day(-9), "due_on": day(300)},
        {"due_on": day(350)},
    ),
    (
        "declarations",
        {"cardholder": "c-1", "zone": "vault", "locker": "L-7", "permits": ["P-1"], **PERIOD},
        {"permits": ["P-1", "P-2"], "locker": "L-8"},
    ),
    ("visits", {"cardholder": "v-1", "host": "c-1", "zones": ["office", "lab"], **PERIOD}, {"until_on": day(20)}),
]


@pytest.mark.parametrize(("table", "asked", "changes"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_is_created_shown_listed_changed(people: Any, table: str, asked: Any, changes: Any) -> None:
    """An officer could not enter a visitor, a course or a telephone in a locker."""
    row = people.in_force(people.client.post(f"/api/v1/{table}", json=asked))
    place = f"/api/v1/{table}/{row['id']}"
    assert {**row, **asked} == row
    assert people.client.get(place).json() == row
    assert people.client.get(f"/api/v1/{table}").json() == {"items": [row], "next": None}
    assert people.in_force(people.patch(place, changes)) == {**row, **changes}
    if table in ("declarations", "visits"):
        assert people.signed(people.client.post(f"{place}/end"))["state"] == "IN_FORCE"
        assert people.client.get(place).status_code == 404


@pytest.mark.req("A-32")
def test_break_glass_is_timed_signed_by_two_and_ends(people: Any) -> None:
    """A door would stand open to somebody without keys for as long as nobody remembers it."""
    asked = {
        "zone": "vault", "cardholders": ["c-1", "c-2"], "reason_code": "flood", "minutes": 30,
    }  # fmt: skip
    made = people.in_force(people.client.post("/api/v1/overrides", json=asked))
    assert (made["started_by"], made["approved_by"]) == ("officer-01", "officer-03")
    ((_, told),) = people.controller.heard_of("propose")[-1]["puts"]
    assert told["until_ms"] - told["from_ms"] == 30 * 60_000 and "minutes" not in told
    place = f"/api/v1/overrides/{made['id']}"
    assert people.signed(people.client.post(f"{place}/end"))["signers_needed"] == 1
    assert people.client.get("/api/v1/overrides").json()["items"] == []
    for bad in ({"approved_by": "o-1"}, {"minutes": 241}, {"cardholders": []}, {"reason_code": "水漏れ"}):
        assert people.client.post("/api/v1/overrides", json={**asked, **bad}).status_code == 422, bad


@pytest.mark.req("B-13")
def test_a_pin_goes_to_the_controller_and_nowhere_else(people: Any, capfd: Any) -> None:
    """Whoever steals a backup of the web process could type somebody's PIN."""
    pins = {"pin": "594017", "duress": "184092"}
    answer = people.client.post("/api/v1/cardholders/c-1/pin", json=pins)
    assert answer.status_code == 202 and answer.json()["changes"][0]["row"] == {"id": "c-1"}
    assert people.controller.heard_of("prepare")[-1]["puts"] == [["pin", {"id": "c-1", **pins}]]
    people.client.post("/api/v1/cardholders/c-1/pin", json={"pin": "59401x", "oops": "594017"})
    assert people.client.get("/api/v1/cardholders/c-1/pin").status_code in (404, 405)
    events = people.client.get("/api/v1/events?limit=1000").text
    kept = b"".join(path.read_bytes() for path in people.settings.state_dir.iterdir())
    said = "".join(capfd.readouterr())
    for digits in pins.values():
        assert digits not in answer.text and digits not in events and digits not in said
        assert digits.encode() not in kept
    assert people.signed(answer)["state"] == "IN_FORCE"
    assert "salt" not in people.client.get("/api/v1/events?limit=1000").text
    with contextlib.closing(sqlite3.connect(people.settings.state_dir / "api.db")) as db:
        assert db.execute("SELECT puts FROM proposal").fetchall() == [('[["pin",{"id":"c-1"}]]',)], "no hash to try"


def test_a_pin_of_nobody_is_refused_unheard(people: Any) -> None:
    """A slip of the hand would set a PIN for a cardholder who is entered later."""
    assert people.client.post("/api/v1/cardholders/c-9/pin", json={"pin": "594017"}).status_code == 404
    assert not people.controller.heard_of("prepare")


HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("items", {"id": "item-8", "designated_until": day(), "title": "設計書"}, "the title of a secret"),
    ("items", {"id": "極秘 8", "designated_until": day()}, "a title for an id"),
    ("trainings", {"cardholder": "c-1", "course": "fire drill", "done_on": day(), "due_on": day()}, "free text"),
    ("trainings", {"cardholder": "c-1", "course": "f", "done_on": day(), "due_on": day(-1)}, "backwards"),
    ("declarations", {"cardholder": "c-1", "zone": "vault", "note": "x", **PERIOD}, "a remark"),
    ("visits", {"cardholder": "v-1", "host": "c-1", "zones": [], **PERIOD}, "a visit to nowhere"),
    ("visits", {"cardholder": "v-1", "host": "c-1", "zones": ["office"], "nationality": "x", **PERIOD}, "nationality"),
    ("cardholders/c-1/pin", {"pin": 594017}, "a number, of which 012345 would be 12345"),
    ("cardholders/c-1/pin", {"pin": "５９４０１７"}, "other digits than the keypad has"),
]


@pytest.mark.req("E-01", "E-02")
def test_hostile_and_forbidden_fields_are_refused_unheard(people: Any) -> None:
    """Something that must not exist would have been stored, or sent on."""
    for table, asked, why in HOSTILE:
        answer = people.client.post(f"/api/v1/{table}", json=asked)
        assert answer.status_code == 422 and answer.json()["code"] == "not_valid", why
    assert not people.controller.heard_of("propose") and not people.controller.heard_of("prepare")


def test_a_notice_that_was_handed_over_reaches_the_controller_and_the_name_does_not(people: Any) -> None:
    """Everybody would be refused the day after a new notice; or a name would stand in the ledger."""
    answer = people.patch("/api/v1/cardholders/c-1", {"notice_version": 3, "name": "山田 はな"})
    assert people.in_force(answer)["name"] == "山田 はな"
    assert people.controller.heard_of("propose")[-1]["puts"][0][1]["notice_version"] == 3
    assert "山田" not in str(people.controller.heard)
    assert people.patch("/api/v1/cardholders/v-1", {"kind": "STAFF"}).status_code == 422
