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
    web.in_force(web.client.post("/api/v1/cardholders", json={"id": name, **HOLDER}))
    return name


def rows(cardholder: str) -> dict[str, dict[str, Any]]:
    return {
        "credentials": {"cardholder": cardholder, "number": "04a1b2c3d4e5f6"},
        "clearances": {
            "cardholder": cardholder, "basis": "KEIZAI_ANPO", "notified_on": day(-10),
        },
        "needs-to-know": {
            "cardholder": cardholder, "item": "item-1", "purpose_code": "P1", "from_on": day(), "until_on": day(90),
        },
        "rosters": {
            "cardholder": cardholder, "zone": "vault", "from_on": day(), "until_on": day(90), "review_on": day(80),
        },
    }  # fmt: skip


APPROVED = {"approved_by_1": "officer-01", "approved_by_2": "officer-03"}
CHANGES = {
    "credentials": {"state": "LOST", "scheme": "pkoc"},
    "needs-to-know": {"is_suspended": True, "requested_by": "line-01", "recert_on": "2099-01-01"},
    "rosters": {"until_on": "2099-01-01", "is_suspended": True, "is_escort": True, "may_enter_lockdown": True},
}  # fmt: skip


@pytest.mark.parametrize("table", ["credentials", "clearances", "needs-to-know", "rosters"])
def test_a_row_is_created_shown_listed_changed_and_ended(web: Any, table: str) -> None:
    """An officer could not keep the registers."""
    c = holder(web)
    row = web.in_force(web.client.post(f"/api/v1/{table}", json=rows(c)[table]))
    place = f"/api/v1/{table}/{row['id']}"
    assert web.client.get(place).json() == row and rows(c)[table].items() - row.items() <= {
        ("number", "04a1b2c3d4e5f6")
    }
    assert web.client.get(f"/api/v1/{table}", params={"cardholder": c}).json() == {"items": [row], "next": None}
    if table in CHANGES:
        changed = web.in_force(web.patch(place, CHANGES[table]))
        assert changed == {**row, **CHANGES[table], **(APPROVED if table == "needs-to-know" else {})}
    ended = web.signed(web.client.post(f"{place}/end"))
    assert ended["state"] == "IN_FORCE" and ended["seq"] == len(web.controller.records) - 1
    assert ended["signers_needed"] == 1, "what only takes away acts at once"
    if table == "credentials":
        assert web.client.get(place).json()["state"] == "RETURNED"
    else:
        assert web.client.get(place).status_code == 404
        assert web.client.post(f"{place}/end").status_code == 404


@pytest.mark.parametrize("table", ["credentials", "rosters"])
def test_a_change_says_what_it_was_made_for(web: Any, table: str) -> None:
    """Two officers change the same row, and the second does not see what the first did."""
    row = web.in_force(web.client.post(f"/api/v1/{table}", json=rows(holder(web))[table]))
    place = f"/api/v1/{table}/{row['id']}"
    old = web.client.get(place).headers["etag"]
    assert web.client.patch(place, json=CHANGES[table]).status_code == 428
    web.in_force(web.patch(place, CHANGES[table]))
    stale = web.client.patch(place, json=CHANGES[table], headers={"If-Match": old})
    assert stale.status_code == 412 and stale.json()["code"] == "stale_etag"


@pytest.mark.req("A-34")
def test_how_a_card_proves_itself_reaches_the_controller(web: Any) -> None:
    """A copy of the number of a card with keys would open a door that takes numbers, and nobody would hear of it."""
    c = holder(web)
    for nth, scheme in enumerate([None, *sorted(CARD_SCHEMES)]):
        _one_scheme(web, {"cardholder": c, "number": f"04a1b2c3d4e5f{nth}", "scheme": scheme})


def _one_scheme(web: Any, asked: dict[str, Any]) -> None:
    scheme = asked["scheme"]
    made = web.in_force(web.client.post("/api/v1/credentials", json=asked))
    assert made["scheme"] == scheme
    assert web.controller.heard_of("propose")[-1]["puts"][0][1].get("scheme") == scheme
    if scheme is not None:
        bare = web.in_force(web.patch(f"/api/v1/credentials/{made['id']}", {"scheme": None}))
        assert bare["scheme"] is None, "it was given the wrong one, and is a number again"


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
    assert number not in answer.text and "hash" not in answer.text
    assert web.in_force(answer)["last4"] == "1234"
    assert web.controller.heard_of("prepare")[-1]["puts"][0][1]["number"] == number
    assert number not in str(web.controller.heard_of("propose"))
    web.client.post("/api/v1/credentials", json={"cardholder": c, "number": number, "oops": 1})
    web.client.get("/api/v1/events?limit=1000")
    kept = b"".join(path.read_bytes() for path in web.settings.state_dir.iterdir())
    assert number.encode() not in kept
    assert number not in "".join(capfd.readouterr())


def test_names_stay_in_the_web_process(web: Any, capfd: Any) -> None:
    """A person could not be forgotten: their name would stand in the ledger for ever."""
    c = holder(web)
    assert web.client.get(f"/api/v1/cardholders/{c}").json() == {"id": c, **HOLDER, **STAFF}
    assert web.patch(f"/api/v1/cardholders/{c}", {"name": "山田 はな"}).json()["name"] == "山田 はな"
    told = str(web.controller.heard)
    assert "山田" not in told and "Yamada" not in told
    assert "山田" not in "".join(capfd.readouterr())


@pytest.mark.req("D-02")
def test_last_valid_day_is_derived_and_two_people_are_asked_for(web: Any) -> None:
    """Somebody could confirm their own record, or write a longer term than the law gives."""
    c = holder(web)
    asked = {**rows(c)["clearances"], "notified_on": "2026-04-01"}
    made = web.in_force(web.client.post("/api/v1/clearances", json=asked))
    assert made["last_valid_on"] == "2036-03-31"
    assert (made["recorded_by"], made["confirmed_by"]) == ("officer-01", "officer-03"), "those who signed, no others"
    for bad in ({"confirmed_by": "o-1"}, {"last_valid_on": "2099-01-01"}, {"notified_on": 0}, {"basis": "MINE"}):
        assert web.client.post("/api/v1/clearances", json={**asked, **bad}).status_code == 422, bad


def test_a_renewal_ends_the_old_row_in_the_same_change(web: Any) -> None:
    """Between end and renewal somebody would stand before a shut door, or hold two terms."""
    c = holder(web)
    old = web.in_force(web.client.post("/api/v1/clearances", json=rows(c)["clearances"]))
    new = web.in_force(web.patch(f"/api/v1/clearances/{old['id']}", {"notified_on": day()}))
    assert new["id"] != old["id"]
    assert len(web.controller.heard_of("propose")[-1]["puts"]) == 2
    assert web.client.get("/api/v1/clearances").json()["items"] == [new]


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
BASIS = {"cardholder": "c-1", "basis": "COMPANY", "notified_on": day()}
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
def test_hostile_and_forbidden_fields_are_refused_unheard(web: Any) -> None:
    """Something that must not exist would have been stored, or sent on."""
    for table, asked, why in HOSTILE:
        answer = web.client.post(f"/api/v1/{table}", json=asked)
        assert answer.status_code == 422, why
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_valid" and answer.json()["errors"], why
    assert not web.controller.heard_of("propose") and not web.controller.heard_of("prepare")
    assert web.client.get("/api/v1/proposals").json()["items"] == []


BODIES = [b"", b"{", b"[]", b"null", b'"x"', b'{"name": "\\ud800"}', b'{"\\ud800": 1}', b"\xff\xfe", b"[" * 5000,
          b'{"name": NaN}', b'{"name": 1e999}', b'{"name": "' + b"a" * 70000 + b'"}']  # fmt: skip


def test_bodies_that_are_no_request_get_a_problem(web: Any) -> None:
    """A hostile client could take the web process down."""
    for body in BODIES:
        answer = web.client.post("/api/v1/cardholders", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 413, 422), answer.text
        assert answer.json()["status"] == answer.status_code


REFUSED = [("edit_refused", "REFUSED"), ("repeated", "STALE"), ("expired", "REFUSED"), ("stale_base", "STALE"),
           ("protocol", "REFUSED"), ("never_heard_of", "REFUSED")]  # fmt: skip


def test_what_the_controller_refuses_is_said_and_is_not_in_force(web: Any) -> None:
    """An officer would believe that a change is in force."""
    for code, state in REFUSED:
        told = web.client.post("/api/v1/cardholders", json=HOLDER).json()
        web.controller.refusals = [{"code": code, "field": "zone", "seq": 9}]
        found = web.sign(told["id"], "officer-01").json()
        assert (found["state"], found["refusal"]["code"], found["seq"]) == (state, code, 9)
    assert web.client.get("/api/v1/cardholders").json()["items"] == []


def test_what_the_controller_cannot_record_now_waits_and_is_sent_again(web: Any) -> None:
    """A full disk for a minute costs two officers their signatures, or a signed change comes into force twice."""
    told = web.client.post("/api/v1/cardholders", json=HOLDER).json()
    web.controller.refusals = [{"code": "ledger_unavailable"}] * 2
    options = told["publicKey"]
    for language, word in (("ja", "。"), ("en", ".")):
        answer = web.client.post(
            f"/api/v1/proposals/{told['id']}/signature", json=web.asserted("officer-01", options),
            headers={"Accept-Language": language},
        )  # fmt: skip
        assert answer.status_code == 503 and answer.headers["content-language"] == language
        assert answer.json()["type"] == "urn:sekisho:problem:ledger_unavailable" and word in answer.json()["detail"]
    again = web.client.post(
        f"/api/v1/proposals/{told['id']}/signature", json=web.asserted("officer-01", options)
    )  # fmt: skip
    assert again.json()["state"] == "IN_FORCE"


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
    assert again.status_code == 202 and again.json() == first.json() and again.headers["idempotency-replayed"] == "true"
    web.in_force(first)
    assert [message["id"] for message in web.controller.heard_of("propose")] == ["key-12345678"]
    other = web.client.post("/api/v1/cardholders", json={"name": "x"}, headers=headers)
    assert other.status_code == 422 and other.json()["code"] == "key_reused"
    stranger = web.anonymous().post("/api/v1/cardholders", json=HOLDER, headers=headers)
    assert stranger.status_code in (401, 422) and "山田" not in stranger.text
    assert web.client.post("/api/v1/cardholders", json=HOLDER, headers={"Idempotency-Key": "x"}).status_code == 422
