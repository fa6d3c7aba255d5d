"""Looks at one person's history: with a purpose, recorded before anything is shown, or nothing is shown (E-07)."""

from __future__ import annotations

from typing import Any

import pytest

from api.words import FORGET_REASONS, NOTE_KINDS, PURPOSES
from controller.link import messages
from controller.notes import NOTE_TYPES

SATO = "c-1"


@pytest.fixture
def house(web: Any) -> Any:
    """Sato, and 25 of her passages among those of another."""
    for name, kanji, kana in ((SATO, "佐藤 美咲", "さとう みさき"), ("c-2", "田中 一郎", "タナカ イチロウ")):
        web.in_force(web.client.post("/api/v1/cardholders", json={"id": name, "name": kanji, "kana": kana}))
    for n in range(50):
        web.controller.record("PASSAGE", portal="front", subject={"cardholder": SATO if n % 2 else "c-2"})
    web.caught_up()
    return web


def history(web: Any, cardholder: str = SATO, **asked: Any) -> Any:
    return web.client.get(f"/api/v1/cardholders/{cardholder}/history", params=asked)


@pytest.mark.req("E-07")
def test_a_history_comes_in_pages_each_of_which_is_a_record(house: Any) -> None:
    """Somebody could read a year of a person's comings and goings and leave one line, or none."""
    found: list[int] = []
    recorded: list[int] = []
    cursor: dict[str, int] = {}
    while True:
        page = history(house, purpose="incident", limit=10, **cursor).json()
        found += [event["seq"] for event in page["items"]]
        recorded.append(page["recorded"])
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    passages = [
        one["seq"] for one in house.controller.records if f'"{SATO}"' in one["body"] and "PASSAGE" in one["body"]
    ]
    assert sorted(found, reverse=True) == found and found == passages[::-1] and len(passages) == 25
    notes = [note for note in house.controller.heard_of("note") if note["type"] == "VIEW_PERSONAL"]
    assert [(note["cardholder"], note["purpose"], note["officer"]) for note in notes] == [
        (SATO, "incident", "officer-01")
    ] * len(recorded)
    assert recorded == sorted(set(recorded)) and len(recorded) == 3
    house.caught_up()
    again = history(house, purpose="disclosure").json()["items"]
    assert [one["type"] for one in again[:3]] == ["NOTE"] * 3, "who looked is in the history as well"


@pytest.mark.req("E-07")
def test_without_a_purpose_nothing_is_shown_and_the_attempt_is_recorded(house: Any) -> None:
    """Curiosity about a colleague would be served."""
    for asked in ({}, {"purpose": ""}, {"purpose": "curiosity"}, {"purpose": "INCIDENT"}):
        house.controller.heard.clear()
        answer = history(house, **asked)
        told = answer.json()
        assert answer.status_code == 422 and told["code"] == "no_purpose" and "items" not in told, asked
        assert told["purposes"] == list(messages.PURPOSES) and all(one in told["detail"] for one in messages.PURPOSES)
        tried = [note for note in house.controller.heard_of("note") if note["type"] == "VIEW_PERSONAL"]
        assert len(tried) == 1 and "purpose" not in tried[0], "the controller records that it refused"


@pytest.mark.req("E-07")
@pytest.mark.parametrize("trouble", ["away", "unwritable"])
def test_where_a_look_cannot_be_recorded_nothing_is_shown(house: Any, trouble: str) -> None:
    """Whoever pulls the controller's plug could look at everybody unseen."""
    page = house.signed_in()
    if trouble == "away":
        house.controller.stop()
    else:
        house.controller.refusals += [{"code": "ledger_unavailable"}] * 2
    answer = history(house, purpose="incident")
    shown = page.get("/history", params={"cardholder": SATO, "purpose": "incident"})
    assert answer.status_code == 503 and "items" not in answer.json()
    assert shown.status_code == 503 and "履歴は表示していません" in shown.text and "<table>" not in shown.text
    assert "正面玄関" not in shown.text


@pytest.mark.req("E-07")
def test_who_went_along_is_in_the_history_too(house: Any) -> None:
    """A person who asks what is held about him would not be told where he entered on another's card."""
    evidence = {"method": "UID", "factors": 0}
    house.controller.record(
        "ACCESS_GRANTED", portal="vault-door", subject={"cardholder": "c-2"},
        companions=[{"cardholder": SATO, "credential": "k-1", "evidence": evidence}], escorts=[{"cardholder": "c-9"}],
    )  # fmt: skip
    house.caught_up()
    assert history(house, purpose="disclosure").json()["items"][0]["portal"] == "vault-door"
    assert history(house, "c-9", purpose="disclosure").json()["items"][0]["portal"] == "vault-door"


def test_odd_questions_get_clear_answers(house: Any) -> None:
    """A page would hang or fail on a mistyped address."""
    for who, asked, status in (
        ("nobody", {"purpose": "incident"}, 404),
        ("C-1", {"purpose": "incident"}, 422),
        (SATO, {"purpose": "incident", "cursor": -1}, 422),
        (SATO, {"purpose": "incident", "cursor": "x"}, 422),
        (SATO, {"purpose": "incident", "limit": 501}, 422),
        (SATO, {"purpose": "x" * 65}, 422),
        (SATO, {"purpose": "incident", "cursor": 0}, 200),
    ):
        assert history(house, who, **asked).status_code == status, (who, asked)


@pytest.mark.req("E-07")
def test_no_other_way_leads_to_one_persons_events(house: Any) -> None:
    """The look that must be recorded could be had beside the record."""
    assert house.client.get("/api/v1/events", params={"cardholder": SATO}).status_code == 422
    assert house.client.get("/api/v1/events/stream", params={"cardholder": SATO}).status_code == 422
    paths = house.client.get("/api/v1/openapi.json").json()["paths"]
    exports = {path for path in paths if "export" in path}
    assert exports == {"/api/v1/me/export", "/api/v1/exports/{register}"}, "one's own; registers, by two officers"
    about_events = {path for path in paths if "event" in path or "histor" in path}
    assert about_events == {
        "/api/v1/events",
        "/api/v1/events/stream",
        "/api/v1/cardholders/{id}/history",
    }


@pytest.mark.req("E-07")
def test_strangers_and_other_sites_cause_no_look(house: Any) -> None:
    """A link in a mail would put a look into the ledger under an officer's name."""
    stranger = house.anonymous()
    for address in (f"/api/v1/cardholders/{SATO}/history?purpose=incident", "/history?cardholder=c-1&purpose=incident"):
        assert stranger.get(address).status_code == 401
    assert "SameSite=strict" in house.sign_in("officer-01").headers["set-cookie"]
    assert not [note for note in house.controller.heard_of("note") if note["type"] == "VIEW_PERSONAL"]


def test_people_are_found_by_any_way_of_writing_their_name(house: Any) -> None:
    """Somebody at the counter could not be found in time."""
    for sought, found in (
        ("佐藤", [SATO]), ("サトウ", [SATO]), ("さとうみ", [SATO]), ("ﾀﾅｶ", ["c-2"]), ("c-2", ["c-2"]), ("x", []),
    ):  # fmt: skip
        items = house.client.get("/api/v1/cardholders", params={"q": sought}).json()["items"]
        assert [one["id"] for one in items] == found, sought
    more = {"id": "c-0", "name": "渡辺 恵", "kana": "わたなべ めぐみ"}
    house.in_force(house.client.post("/api/v1/cardholders", json=more))
    house.controller.edit(("cardholder", {"id": "c-00"}))
    house.caught_up()
    first = house.client.get("/api/v1/cardholders", params={"sort": "kana", "limit": 2}).json()
    rest = house.client.get("/api/v1/cardholders", params={"sort": "kana", "cursor": first["next"]}).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [SATO, "c-2", "c-0", "c-00"]
    gone = house.client.get("/api/v1/cardholders", params={"sort": "kana", "cursor": "nobody"})
    assert gone.status_code == 422


def test_every_code_of_the_records_has_words() -> None:
    """The officer would choose between codes."""
    assert set(PURPOSES) == set(messages.PURPOSES) and set(FORGET_REASONS) == set(messages.FORGET_REASONS)
    assert set(NOTE_KINDS) == {*NOTE_TYPES, "CARD_SEEN"}, "a card that was awaited is the controller's own note"
