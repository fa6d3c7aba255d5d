"""Registers: what is taken, what is refused, what the controller is told, what absence looks like."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from api.routes.registers import today
from zones.row_checks import CARD_SCHEMES

HOLDER = {"name": "山田 花子", "kana": "ヤマダ ハナコ", "roman": "Hanako Yamada"}
STAFF = {"kind": "STAFF", "notice_version": 0, "held_extra_ms": 0}


def day(offset: int = 0) -> str:
    return (today() + timedelta(days=offset)).isoformat()


def holder(web: Any, name: str = "c-1") -> str:
    assert web.client.post("/api/v1/cardholders", json={"id": name, **HOLDER}).status_code == 201
    return name


def rows(cardholder: str) -> dict[str, dict[str, Any]]:
    return {
        "credentials": {"cardholder": cardholder, "number": "04a1b2c3d4e5f6"},
        "clearances": {
            "cardholder": cardholder, "basis": "KEIZAI_ANPO", "notified_on": day(-10), "recorded_by": "o-1",
            "confirmed_by": "o-2",
        },
        "needs-to-know": {
            "cardholder": cardholder, "item": "item-1", "purpose_code": "P1", "from_on": day(), "until_on": day(90),
        },
        "rosters": {
            "cardholder": cardholder, "zone": "vault", "from_on": day(), "until_on": day(90), "review_on": day(80),
        },
    }  # fmt: skip


CHANGES = {
    "credentials": {"state": "LOST", "scheme": "pkoc"},
    "needs-to-know": {
        "is_suspended": True, "requested_by": "o-1", "approved_by_1": "o-2", "approved_by_2": "o-3",
        "recert_on": "2099-01-01",
    },
    "rosters": {"until_on": "2099-01-01", "is_suspended": True, "is_escort": True, "may_enter_lockdown": True},
}  # fmt: skip


@pytest.mark.parametrize("table", ["credentials", "clearances", "needs-to-know", "rosters"])
def test_a_row_is_created_shown_listed_changed_and_ended(web: Any, table: str) -> None:
    """An officer could not keep the registers."""
    c = holder(web)
    made = web.client.post(f"/api/v1/{table}", json=rows(c)[table])
    assert made.status_code == 201, made.text
    row = made.json()
    place = made.headers["location"]
    assert place == f"/api/v1/{table}/{row['id']}"
    assert web.client.get(place).json() == row
    assert web.client.get(f"/api/v1/{table}", params={"cardholder": c}).json() == {"items": [row], "next": None}
    if table in CHANGES:
        changed = web.client.patch(place, json=CHANGES[table])
        assert changed.status_code == 200 and changed.json() == {**row, **CHANGES[table]}
    ended = web.client.post(f"{place}/end")
    assert ended.status_code == 200 and ended.json()["seq"] == len(web.controller.records) - 1
    if table == "credentials":
        assert web.client.get(place).json()["state"] == "RETURNED"
    else:
        assert web.client.get(place).status_code == 404
        assert web.client.post(f"{place}/end").status_code == 404


@pytest.mark.req("A-34")
@pytest.mark.parametrize("scheme", [None, *sorted(CARD_SCHEMES)])
def test_how_a_card_proves_itself_reaches_the_controller(web: Any, scheme: str | None) -> None:
    """A copy of the number of a card with keys would open a door that takes numbers, and nobody would hear of it."""
    asked = {"cardholder": holder(web), "number": "04a1b2c3d4e5f6", "scheme": scheme}
    made = web.client.post("/api/v1/credentials", json=asked).json()
    assert made["scheme"] == scheme
    assert web.controller.heard_of("propose")[-1]["puts"][0][1].get("scheme") == scheme
    bare = web.client.patch(f"/api/v1/credentials/{made['id']}", json={"scheme": None})
    assert bare.json()["scheme"] is None, "it was given the wrong one, and is a number again"


def test_a_scheme_that_no_reader_can_ask_for_is_refused(web: Any) -> None:
    """A typing error makes every copy of the card a plain number."""
    asked = {"cardholder": holder(web), "number": "04a1b2c3d4e5f6", "scheme": "desfire"}
    assert web.client.post("/api/v1/credentials", json=asked).status_code == 422


@pytest.mark.req("E-10", "E-01")
def test_the_card_number_goes_to_the_controller_and_nowhere_else(web: Any, capfd: Any) -> None:
    """A copy of a card could be made from a backup of the web process."""
    c = holder(web)
    number = "04deadbeef1234"
    answer = web.client.post("/api/v1/credentials", json={"cardholder": c, "number": number})
    assert answer.json()["last4"] == "1234" and number not in answer.text and "hash" not in answer.text
    assert web.controller.heard_of("propose")[-1]["puts"][0][1]["number"] == number
    web.client.post("/api/v1/credentials", json={"cardholder": c, "number": number, "oops": 1})
    web.client.get("/api/v1/events?limit=1000")
    kept = b"".join(path.read_bytes() for path in web.settings.state_dir.iterdir())
    assert number.encode() not in kept
    assert number not in "".join(capfd.readouterr())


def test_names_stay_in_the_web_process(web: Any, capfd: Any) -> None:
    """A person could not be forgotten: their name would stand in the ledger for ever."""
    c = holder(web)
    assert web.client.get(f"/api/v1/cardholders/{c}").json() == {"id": c, **HOLDER, **STAFF}
    assert web.client.patch(f"/api/v1/cardholders/{c}", json={"name": "山田 はな"}).json()["name"] == "山田 はな"
    told = str(web.controller.heard)
    assert "山田" not in told and "Yamada" not in told
    assert "山田" not in "".join(capfd.readouterr())


@pytest.mark.req("D-02")
def test_last_valid_day_is_derived_and_two_people_are_asked_for(web: Any) -> None:
    """Somebody could confirm their own record, or write a longer term than the law gives."""
    c = holder(web)
    asked = {**rows(c)["clearances"], "notified_on": "2026-04-01"}
    assert web.client.post("/api/v1/clearances", json=asked).json()["last_valid_on"] == "2036-03-31"
    for bad in ({"confirmed_by": "o-1"}, {"last_valid_on": "2099-01-01"}, {"notified_on": 0}, {"basis": "MINE"}):
        assert web.client.post("/api/v1/clearances", json={**asked, **bad}).status_code == 422, bad


def test_a_renewal_ends_the_old_row_in_the_same_change(web: Any) -> None:
    """Between end and renewal somebody would stand before a shut door, or hold two terms."""
    c = holder(web)
    old = web.client.post("/api/v1/clearances", json=rows(c)["clearances"]).json()
    asked = {"notified_on": day(), "recorded_by": "o-3", "confirmed_by": "o-4"}
    answer = web.client.patch(f"/api/v1/clearances/{old['id']}", json=asked)
    assert answer.status_code == 200 and answer.json()["id"] != old["id"]
    assert len(web.controller.heard_of("propose")[-1]["puts"]) == 2
    assert web.client.get("/api/v1/clearances").json()["items"] == [answer.json()]


@pytest.mark.req("E-03", "E-02")
def test_five_histories_of_absence_answer_with_the_same_bytes(web: Any) -> None:
    """A reader of the registers could tell who was found unsuitable from who was never asked."""
    base = {"basis": "KEIZAI_ANPO", "recorded_by": "o-1"}
    old, past = day(-4000), day(-340)
    histories: dict[str, list[dict[str, Any]]] = {
        "c-never": [],
        "c-pending": [{"notified_on": day(), "last_valid_on": day(3650)}],
        "c-other": [{"notified_on": day(), "last_valid_on": day(3650), "ended_on": day()}],
        "c-ended": [{"notified_on": past, "last_valid_on": day(3000), "confirmed_by": "o-2", "ended_on": day()}],
        "c-lapsed": [{"notified_on": old, "last_valid_on": past, "confirmed_by": "o-2"}],
    }
    answers: dict[str, list[tuple[int, bytes]]] = {}
    for c, clearances in histories.items():
        web.controller.edit(("cardholder", {"id": c}))
        for number, fields in enumerate(clearances):
            web.controller.edit(("clearance", {"id": f"q-{c}-{number}", "cardholder": c, **base, **fields}))
    web.caught_up()
    for c in histories:
        asked = [
            f"/api/v1/cardholders/{c}", f"/api/v1/clearances?cardholder={c}", f"/api/v1/clearances/q-{c}-0",
            f"/api/v1/rosters?cardholder={c}", f"/api/v1/needs-to-know?cardholder={c}",
            f"/api/v1/credentials?cardholder={c}",
        ]  # fmt: skip
        found = [web.client.get(path) for path in asked]
        answers[c] = [(one.status_code, one.content.replace(c.encode(), b"WHO")) for one in found]
        found_end = web.client.post(f"/api/v1/clearances/q-{c}-0/end")
        answers[c].append((found_end.status_code, found_end.content.replace(c.encode(), b"WHO")))
    assert len({str(answer) for answer in answers.values()}) == 1, answers
    events = web.client.get("/api/v1/events?limit=1000").text
    assert "confirmed_by" not in events and "ended_on" not in events and "last_valid_on" not in events


PLACE = {"cardholder": "c-1", "zone": "vault", "from_on": day(), "until_on": day(), "review_on": day()}
BASIS = {"cardholder": "c-1", "basis": "COMPANY", "notified_on": day(), "recorded_by": "a", "confirmed_by": "b"}
NEED = {"cardholder": "c-1", "item": "item-1", "purpose_code": "P1", "from_on": day(), "until_on": day()}

HOSTILE: list[tuple[str, dict[str, Any], str]] = [
    ("cardholders", {"name": ""}, "an empty name"),
    ("cardholders", {"name": "a\u0000b"}, "a control character"),
    ("cardholders", {"name": "a\u202eb"}, "a direction override"),
    ("cardholders", {"name": "x" * 101}, "a long name"),
    ("cardholders", {"name": "a", "note": "x"}, "free text about a person (E-01)"),
    ("cardholders", {"name": "a", "photo": "AAAA", "template": "AAAA"}, "a biometric template (E-10)"),
    ("cardholders", {"name": "a", "id": "../x"}, "a path for an id"),
    ("cardholders", {"name": 7}, "a number for a name"),
    ("cardholders", {"name": None}, "no name"),
    ("credentials", {"cardholder": "c-1", "number": "zz"}, "no hex"),
    ("credentials", {"cardholder": "c-1", "number": "0" * 68}, "too long"),
    ("credentials", {"cardholder": "c-1", "number": "04a1b2c3", "fingerprint": "x"}, "a template (E-10)"),
    ("rosters", {**PLACE, "from_on": 0}, "date 0"),
    ("rosters", {**PLACE, "from_on": "2026-02-30"}, "30 Feb"),
    ("rosters", {**PLACE, "from_on": "20260201"}, "basic form"),
    ("rosters", {**PLACE, "from_on": day(2)}, "backwards"),
    ("rosters", {**PLACE, "is_suspended": True, "cause": "x"}, "a cause of suspension"),
    ("needs-to-know", {**NEED, "purpose_code": "二人で"}, "free text"),
    ("clearances", {**BASIS, "basis": "REFUSED"}, "a negative basis"),
    ("clearances", {**BASIS, "reason": "x"}, "a cause"),
]  # fmt: skip


@pytest.mark.req("E-01", "E-02", "E-10")
@pytest.mark.parametrize(("table", "asked", "why"), HOSTILE, ids=[row[2] for row in HOSTILE])
def test_hostile_and_forbidden_fields_are_refused_unheard(
    web: Any, table: str, asked: dict[str, Any], why: str
) -> None:
    """Something that must not exist would have been stored, or sent on."""
    answer = web.client.post(f"/api/v1/{table}", json=asked)
    assert answer.status_code == 422, why
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_valid" and answer.json()["errors"]
    assert not web.controller.heard_of("propose")


BODIES = [b"", b"{", b"[]", b"null", b'"x"', b'{"name": "\\ud800"}', b'{"\\ud800": 1}', b"\xff\xfe", b"[" * 5000,
          b'{"name": NaN}', b'{"name": 1e999}', b'{"name": "' + b"a" * 70000 + b'"}']  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_bodies_that_are_no_request_get_a_problem(web: Any, body: bytes) -> None:
    """A hostile client could take the web process down."""
    answer = web.client.post("/api/v1/cardholders", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 413, 422), answer.text
    assert answer.json()["status"] == answer.status_code


def test_a_change_made_against_an_old_revision_is_tried_once_more(web: Any) -> None:
    """Two officers at once: one would get an error for nothing, or overwrite the other."""
    c = holder(web)
    made = web.client.post("/api/v1/rosters", json=rows(c)["rosters"]).json()
    web.controller.refusals = [{"code": "stale_base"}]
    answer = web.client.patch(f"/api/v1/rosters/{made['id']}", json={"review_on": day(70)})
    assert answer.status_code == 200 and answer.json()["review_on"] == day(70)
    web.controller.refusals = [{"code": "stale_base"}, {"code": "stale_base"}]
    answer = web.client.patch(f"/api/v1/rosters/{made['id']}", json={"review_on": day(60)})
    assert answer.status_code == 409 and answer.json()["code"] == "stale_base"


REFUSED = [("edit_refused", 422), ("busy", 503), ("ledger_unavailable", 503), ("repeated", 409), ("expired", 409),
           ("protocol", 502), ("never_heard_of", 502)]  # fmt: skip


@pytest.mark.parametrize(("code", "status"), REFUSED)
def test_what_the_controller_refuses_is_a_problem_in_both_languages(web: Any, code: str, status: int) -> None:
    """An officer would believe that a change is in force."""
    web.controller.refusals = [{"code": code, "field": "zone", "seq": 9}] * 2
    for language, word in (("ja", "。"), ("en", ".")):
        answer = web.client.post("/api/v1/cardholders", json=HOLDER, headers={"Accept-Language": language})
        assert answer.status_code == status and answer.headers["content-language"] == language
        told = answer.json()
        assert told["type"] == f"urn:sekisho:problem:{code}" and told["seq"] == 9 and told["field"] == "zone"
        assert told["instance"] == "/api/v1/cardholders" and told["title"] and word in told["detail"]
    assert web.client.get("/api/v1/cardholders").json()["items"] == []


def test_pages_of_a_list_hold_every_row_once(web: Any) -> None:
    """A register read by pages would miss people."""
    web.controller.edit(*[("cardholder", {"id": f"c-{n:03}"}) for n in range(25)])
    web.caught_up()
    found, cursor = [], None
    while True:
        params = {"limit": 10} | ({"cursor": cursor} if cursor else {})
        page = web.client.get("/api/v1/cardholders", params=params).json()
        found += [row["id"] for row in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert found == [f"c-{n:03}" for n in range(25)]


def test_the_same_key_is_done_once(web: Any) -> None:
    """A retried request would make a second cardholder."""
    headers = {"Idempotency-Key": "key-12345678"}
    first = web.client.post("/api/v1/cardholders", json=HOLDER, headers=headers)
    again = web.client.post("/api/v1/cardholders", json=HOLDER, headers=headers)
    assert again.status_code == 201 and again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    assert [message["id"] for message in web.controller.heard_of("propose")] == ["key-12345678"]
    other = web.client.post("/api/v1/cardholders", json={"name": "x"}, headers=headers)
    assert other.status_code == 422 and other.json()["code"] == "key_reused"
    stranger = web.anonymous().post("/api/v1/cardholders", json=HOLDER, headers=headers)
    assert stranger.status_code in (401, 422) and "山田" not in stranger.text
    assert web.client.post("/api/v1/cardholders", json=HOLDER, headers={"Idempotency-Key": "x"}).status_code == 422
