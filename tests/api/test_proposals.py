"""Changes that wait for signatures: who may begin and sign them, what settles them, and what is left of them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from api.proposals import EACH_MAX
from api.register import today
from api.tables import ProposalRow


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
    people = [
        ("cardholder", {"id": name, "kind": "VISITOR" if name == "v-1" else "STAFF"}) for name in ("c-1", "c-2", "v-1")
    ]
    web.controller.edit(*people)
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


def signature(house: Any, told: dict[str, Any], officer: str, assertion: Any = None) -> Any:
    client = house.as_(officer)
    if assertion is None:
        options = client.get(f"/api/v1/proposals/{told['id']}").json()["publicKey"]
        assertion = house.asserted(officer, options)
    return client.post(f"/api/v1/proposals/{told['id']}/signature", json=assertion)


@pytest.mark.req("A-31", "A-30")
def test_a_signature_counts_for_its_officer_its_change_and_once(house: Any) -> None:
    """Somebody else's signature, or one that was given for something harmless, brings another change into force."""
    one = house.client.post("/api/v1/proposals", json=asked(roster("r-1"))).json()
    two = house.client.post("/api/v1/proposals", json=asked(roster("r-2", cardholder="c-2"))).json()
    for_one = house.asserted("officer-01", one["publicKey"])
    replayed = signature(house, two, "officer-01", for_one)
    assert (replayed.status_code, replayed.json()["code"]) == (401, "passkey_wrong")
    others = signature(house, one, "officer-03", for_one)
    assert others.status_code == 401, "one officer's passkey in another's session"
    unverified = house.client.get(f"/api/v1/proposals/{two['id']}").json()["publicKey"]
    elsewhere = house.asserted("officer-01", unverified, "https://evil.example")
    assert signature(house, two, "officer-01", elsewhere).status_code == 401
    assert signature(house, one, "officer-01", {"id": "x"}).status_code == 422
    assert signature(house, {"id": "p-unknown-00"}, "officer-01", for_one).status_code == 404
    found = house.client.get("/api/v1/proposals").json()["items"]
    assert [row["signed"] for row in found] == [[], []] and not house.controller.heard_of("propose")


@pytest.mark.req("A-31")
def test_nobody_begins_or_signs_what_is_for_himself_or_not_his(house: Any) -> None:
    """An officer gives himself a place, a post or a zone that is another's to give."""
    post = {"id": "officer-03", "roles": ["PROTECTION_OFFICER"], "from_on": "2026-01-01", "until_on": "2099-12-31"}
    house.controller.edit(("officer", {**post, "cardholder": "c-1"}))
    house.caught_up()
    own = house.as_("officer-03").post("/api/v1/proposals", json=asked(roster()))
    assert (own.status_code, own.json()["code"]) == (403, "self_grant")
    told = house.client.post("/api/v1/proposals", json=asked(roster())).json()
    assert told["hindrance"] is None, "officer-01 and officer-02 can sign it"
    assert house.as_("officer-03").get(f"/api/v1/proposals/{told['id']}").json()["publicKey"] is None
    house.sign(told["id"], "officer-01")
    assert house.sign(told["id"], "officer-02").json()["state"] == "IN_FORCE"
    grant = asked(("officer", {**post, "cardholder": "c-1", "deputises": ["WORK_MANAGER"]}))
    assert house.as_("officer-03").post("/api/v1/proposals", json=grant).json()["code"] == "self_grant"
    outside = roster("r-9", zone="site", cardholder="c-2")
    assert house.as_("officer-02").post("/api/v1/proposals", json=asked(outside)).json()["code"] == "not_your_zone"
    for who in ("guard-01", "auditor-01", "engineer-01", "line-01"):
        assert house.as_(who).post("/api/v1/proposals", json=asked(roster("r-8"))).status_code == 403, who


@pytest.mark.req("D-07")
def test_a_change_waits_while_the_post_that_must_approve_it_is_vacant(house: Any) -> None:
    """Nobody holds the post, and a deputy or two work managers approve in its place; or nobody sees why it waits."""
    told = house.client.post("/api/v1/proposals", json=asked(roster())).json()
    house.sign(told["id"], "officer-01")
    period = {"from_on": "2026-01-01", "until_on": "2099-12-31"}
    manager = {"roles": ["WORK_MANAGER"], "deputises": ["PROTECTION_OFFICER"], "zones": ["site"], **period}
    gone = {"roles": ["PROTECTION_OFFICER"], "ended_on": day(-1), **period}
    house.controller.edit(
        ("officer", {"id": "officer-02", **manager}), ("officer", {"id": "officer-01", **gone}),
        ("officer", {"id": "officer-03", **gone}),
    )  # fmt: skip
    house.caught_up()
    manager_sees = house.as_("officer-02").get(f"/api/v1/proposals/{told['id']}").json()
    assert manager_sees["state"] == "PENDING_2" and manager_sees["publicKey"] is None
    assert manager_sees["hindrance"]["code"] in ("post_vacant", "not_an_officer"), manager_sees["hindrance"]
    other = house.as_("officer-02").post("/api/v1/proposals", json=asked(roster("r-2"))).json()
    assert other["hindrance"]["code"] == "post_vacant" and "vacant" in other["hindrance"]["why"]
    ends = house.as_("officer-02").post(
        "/api/v1/proposals", json=asked(("cardholder", {"id": "c-1", "ended_on": day()}))
    )
    assert house.sign(ends.json()["id"], "officer-02").json()["state"] == "IN_FORCE", "what takes away needs no second"


def test_what_a_change_is_about_moves_on_and_is_looked_at_again(house: Any) -> None:
    """A signature for what an officer saw last week overwrites what was decided since."""
    house.controller.edit(roster())
    house.caught_up()
    longer = ("roster", {**roster()[1], "until_on": day(300)})
    told = house.client.post("/api/v1/proposals", json=asked(longer)).json()
    house.sign(told["id"], "officer-01")
    house.controller.edit(("roster", {**roster()[1], "is_escort": True}))
    house.caught_up()
    late = signature(house, told, "officer-03", house.asserted("officer-03", told["publicKey"]))
    assert (late.status_code, late.json()["state"]) == (409, "STALE")
    fresh = house.as_("officer-03").post(f"/api/v1/proposals/{told['id']}/renew").json()
    assert fresh["id"] != told["id"] and fresh["state"] == "PENDING_1" and not fresh["signed"]
    assert fresh["changes"][0]["row"]["is_escort"], "what was decided since stays"
    assert house.client.get(f"/api/v1/proposals/{told['id']}").json()["state"] == "WITHDRAWN"
    for officer in ("officer-01", "officer-03"):
        house.sign(fresh["id"], officer)
    row = house.parts.view.row("roster", "r-1")
    assert row["is_escort"] and row["until_on"] == day(300)
    other = house.client.post("/api/v1/proposals", json=asked(roster("r-5"))).json()
    house.controller.edit(("cardholder", {"id": "c-2", "notice_version": 9}))
    house.caught_up()
    for officer in ("officer-01", "officer-03"):
        done = house.sign(other["id"], officer).json()
    assert done["state"] == "IN_FORCE", "what changed elsewhere costs nobody a signature"


def test_two_officers_at_the_same_moment_are_one_outcome(house: Any) -> None:
    """Both press the button: the change is made twice, or one is left believing that it was not."""
    told = house.client.post("/api/v1/proposals", json=asked(roster())).json()
    house.sign(told["id"], "officer-01")
    made = {one: house.asserted(one, house.as_(one).get(f"/api/v1/proposals/{told['id']}").json()["publicKey"])
            for one in ("officer-02", "officer-03")}  # fmt: skip
    answers: dict[str, Any] = {}
    both = [
        threading.Thread(target=lambda one=one: answers.update({one: signature(house, told, one, made[one])}))
        for one in made
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(20)
    states = sorted((answer.status_code, answer.json()["state"]) for answer in answers.values())
    assert states == [(200, "IN_FORCE"), (409, "IN_FORCE")]
    assert len(house.controller.heard_of("propose")) == 1
    assert len(house.client.get(f"/api/v1/proposals/{told['id']}").json()["signed"]) == 2


@pytest.mark.req("E-03")
def test_nothing_is_left_of_what_came_to_nothing(house: Any) -> None:
    """Whoever reads a backup learns for whom a clearance was once asked and not given, or a name of nobody."""
    basis = {"cardholder": "c-2", "basis": "KEIZAI_ANPO", "notified_on": day(-10)}
    withdrawn = house.client.post("/api/v1/clearances", json=basis).json()["id"]
    person = house.client.post("/api/v1/cardholders", json={"id": "c-9", "name": "山田 花子"}).json()["id"]
    expired = house.client.post("/api/v1/proposals", json=asked(roster("r-7"))).json()["id"]
    assert house.parts.view.names.get("c-9").name == "山田 花子"
    taken = house.client.post("/api/v1/cardholders", json={"id": "c-9", "name": "鈴木"})
    assert (taken.status_code, taken.json()["field"]) == (422, "id")
    for name in (withdrawn, person):
        assert house.client.post(f"/api/v1/proposals/{name}/withdraw").json()["state"] == "WITHDRAWN"
        assert house.client.post(f"/api/v1/proposals/{name}/withdraw").status_code == 200
    with contextlib.closing(sqlite3.connect(house.settings.state_dir / "api.db")) as db:
        db.execute("UPDATE proposal SET not_after_ms = 1 WHERE id = ?", (expired,))
        db.commit()
        assert house.client.get(f"/api/v1/proposals/{expired}").json()["state"] == "EXPIRED"
        kept = db.execute("SELECT puts, was, named, why FROM proposal").fetchall()
    assert kept == [("[]", "[]", "", "")] * 3
    assert house.parts.view.names.get("c-9") is None
    assert house.client.post(f"/api/v1/proposals/{expired}/renew").status_code == 409
    assert house.as_("officer-02").get("/api/v1/proposals").json()["items"] == [], "not even that there was something"
    again = house.client.post("/api/v1/cardholders", json={"id": "c-9", "name": "山田 花子"})
    assert house.in_force(again)["name"] == "山田 花子"


ODD = [
    "<script>alert(1)</script>", "'; DROP TABLE proposal; --", "=cmd|' /C calc'!A0", "\u202eevil", "𠮷野家🍜",
    "{{ 7*7 }}",
]  # fmt: skip


@pytest.mark.req("E-01")
def test_hostile_rows_are_refused_or_shown_as_text(house: Any) -> None:
    """What somebody typed runs in the browser of the officer who looks at it, or stops the page for everybody."""
    for text in ODD:
        row = {**roster()[1], "id": text}
        puts = [("roster", row), ("roster", {**roster()[1], "zone": text}), ("roster", {**roster()[1], text: 1})]
        puts += [("credential", {"id": "k-1", "number": text}), ("clearance", {"id": "q-1", "recorded_by": text})]
        for put in puts:
            assert house.client.post("/api/v1/proposals", json=asked(put)).status_code == 422, put
        named = house.client.post("/api/v1/cardholders", json={"name": text})
        if named.status_code == 202:
            shown = page(house.client, f"/proposals/{named.json()['id']}").partition("<main")[2]
            assert "<script>alert" not in shown and " 49" not in shown
    many = asked(*[roster(f"r-{n}") for n in range(101)])
    assert house.client.post("/api/v1/proposals", json=many).status_code == 422
    huge = b'{"puts": [{"table": "roster", "row": {"id": "' + b"a" * 10_000_000 + b'"}}]}'
    answer = house.client.post("/api/v1/proposals", content=huge, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    rows = [
        ("zone", {"id": "x"}),
        ("roster", {}),
        ("roster", {"id": 7}),
        ("roster", {"id": None}),
        ("nothing", {"id": "x"}),
    ]
    for odd in ({"puts": []}, {**asked(roster()), "reason": "refused"}, *(asked(put) for put in rows)):
        assert house.client.post("/api/v1/proposals", json=odd).status_code in (403, 422), odd
    assert house.client.get("/api/v1/proposals?limit=200").status_code == 200 and page(house.client, "/proposals")


def test_a_change_has_no_name_that_leads_elsewhere(house: Any) -> None:
    """An officer who looks at what awaits him, or turns it down, would do something else in his own name."""
    for key in ("../history?cardholder=c-1&purpose=audit", "../lockdown/site?", "x" * 61, "short", "a b c d e f"):
        form = {"name": "佐藤", "kana": "さとう", "key": key}
        answer = house.client.post("/people", data=form, follow_redirects=False)
        assert answer.status_code == 422 and "Location" not in answer.headers, (key, answer.status_code)
    assert not house.client.get("/api/v1/proposals").json()["items"]


def test_one_session_does_not_keep_others_from_changes(house: Any) -> None:
    """Whoever has an officer's cookie would begin changes without end, and nobody could lock anything down."""
    usual = {
        "state": "PENDING",
        "proposer": "officer-01",
        "reason": "other",
        "base": "0" * 64,
        "puts": "[]",
        "was": "[]",
    }
    with Session(house.parts.view.engine) as store:
        for n in range(EACH_MAX):
            store.add(ProposalRow(id=f"flood-{n:04}", made_at_ms=n, not_after_ms=2**52, **usual))
        store.commit()
    assert house.client.post("/api/v1/proposals", json=asked(roster())).json()["code"] == "busy"
    shut = {"on": "on", "reason": "emergency"}
    assert house.as_("guard-01").post("/lockdown/site", data=shut, follow_redirects=False).status_code == 303


@pytest.mark.req("D-07")
def test_two_people_of_one_name_are_told_apart_before_anybody_signs(house: Any) -> None:
    """An officer would sign that a stranger enters, whom another officer gave the name of somebody who is known."""
    named = {"name": "佐藤 美咲", "kana": "さとう みさき"}
    for one in ("c-11", "c-12"):
        house.in_force(house.client.post("/api/v1/cardholders", json={"id": one, **named}))
    told = house.client.post("/api/v1/proposals", json=asked(roster("ro-12", cardholder="c-12"))).json()
    shown = page(house.client, f"/proposals/{told['id']}").partition("<main")[2]
    assert "佐藤 美咲 (c-12)" in shown and "c-11" not in shown


@pytest.mark.req("E-06")
def test_a_change_is_shown_to_those_who_may_see_its_rows(house: Any) -> None:
    """The reception learns from the inbox who is about to be cleared for what."""
    basis = {"cardholder": "c-2", "basis": "KEIZAI_ANPO", "notified_on": day(-10)}
    secret = house.client.post("/api/v1/clearances", json=basis).json()["id"]
    period = {"from_on": day(), "until_on": day(1)}
    plain = house.as_("guard-01").post(
        "/api/v1/visits", json={"cardholder": "v-1", "host": "c-1", "zones": ["office"], **period}
    )
    assert plain.status_code == 202, plain.text
    assert plain.json()["signers_needed"] == 1 and plain.json()["publicKey"] is not None
    seen = {
        who: [one["id"] for one in house.as_(who).get("/api/v1/proposals").json()["items"]]
        for who in ("guard-01", "line-01", "auditor-01", "engineer-01", "officer-02", "officer-03")
    }
    assert seen["guard-01"] == [plain.json()["id"]]
    assert seen["line-01"] == seen["auditor-01"] == seen["engineer-01"] == []
    assert secret in seen["officer-02"] and secret in seen["officer-03"]
    for place in (f"/api/v1/proposals/{secret}", f"/proposals/{secret}", f"/proposals/{secret}/effects"):
        assert house.as_("guard-01").get(place).status_code == 404, place
    assert house.as_("guard-01").post(f"/api/v1/proposals/{secret}/withdraw").status_code == 404
    assert house.sign(plain.json()["id"], "guard-01").json()["state"] == "IN_FORCE"


def test_what_the_console_suggests_becomes_an_officers_change_once(house: Any) -> None:
    """A card was made at the desk and nobody finds it to sign; or it comes into force by itself."""
    row = {"id": "k-1", "cardholder": "c-1", "number_hash": "ab" * 32, "last4": "00FF", "state": "ACTIVE"}
    detail = {"id": "suggest-0001", "edit": {"puts": [["credential", row]], "drops": []}, "reason": "joined"}
    seq = house.controller.record("EDIT_SUGGESTED", detail=detail, actor={"officer": "officer-01"})
    house.caught_up()
    assert "00FF" not in house.client.get("/api/v1/events?limit=1000").text, "no rows in the events (E-03)"
    assert house.parts.view.row("credential", "k-1") is None
    assert f"/suggestions/{seq}/adopt" in page(house.client, "/proposals")
    adopted = house.client.post(f"/suggestions/{seq}/adopt", follow_redirects=False)
    assert adopted.status_code == 303
    name = adopted.headers["location"].rpartition("/")[2]
    assert house.client.post(f"/suggestions/{seq}/adopt").status_code == 404
    for officer in ("officer-01", "officer-03"):
        done = house.sign(name, officer).json()
    assert done["state"] == "IN_FORCE" and house.client.get("/api/v1/credentials/k-1").json()["last4"] == "00FF"


def test_an_answer_that_was_lost_is_found_in_the_records(house: Any) -> None:
    """The line breaks at the wrong moment: officers sign again, or believe for ever that it is not in force."""
    told = house.client.post("/api/v1/proposals", json=asked(roster())).json()
    house.sign(told["id"], "officer-01")
    options = house.as_("officer-03").get(f"/api/v1/proposals/{told['id']}").json()["publicKey"]
    house.controller.hangs_up = True
    assert signature(house, told, "officer-03", house.asserted("officer-03", options)).status_code == 503
    house.controller.hangs_up = False
    house.caught_up()
    found = house.client.get(f"/api/v1/proposals/{told['id']}").json()
    assert (found["state"], found["seq"]) == ("IN_FORCE", len(house.controller.records) - 1)
    old = house.controller.edit(("cardholder", {"id": "c-9"}), name="an-old-change", not_after_ms=7)
    house.caught_up()
    more, borrowed = {"Idempotency-Key": "an-old-change"}, asked(("cardholder", {"id": "c-8"}))
    house.client.post("/api/v1/proposals", json=borrowed, headers=more)
    house.controller.refusals = [{"code": "repeated"}]
    state = house.sign("an-old-change", "officer-01").json()
    assert state["state"] == "STALE" and state["seq"] != old, "another change's record is none of this one"
    full = house.client.post("/api/v1/proposals", json=asked(("cardholder", {"id": "c-5"}))).json()
    house.controller.refusals = [{"code": "ledger_unavailable"}]
    assert house.sign(full["id"], "officer-01").status_code == 503
    assert f"/proposals/{full['id']}/send" in page(house.client, f"/proposals/{full['id']}")
    assert house.client.post(f"/api/v1/proposals/{full['id']}/send").json()["state"] == "IN_FORCE"
    assert house.client.post(f"/api/v1/proposals/{full['id']}/send").status_code == 409


def test_who_gains_who_loses_and_who_is_inside_is_told_before_it_is_signed(house: Any) -> None:
    """An officer takes somebody off a list who stands in the vault, and nobody knew."""
    easy = {"id": "office", "name_ja": "執務室", "name_en": "Office", "kind": 1, "parent": "site", "uid_accepted": True}
    card = {"id": "k-1", "cardholder": "c-1", "number_hash": "ab" * 32, "last4": "00FF", "state": "ACTIVE"}
    house.controller.edit(("zone", easy), ("credential", card), roster(zone="office"))
    house.controller.record("PASSAGE", portal="front", zone="office", direction="IN", subject={"cardholder": "c-1"})
    house.caught_up()
    ends = house.client.post("/api/v1/rosters/r-1/end").json()["id"]
    found = house.client.get(f"/api/v1/proposals/{ends}/effects").json()
    assert {"cardholder": "c-1", "zone": "office"} in found["loses"] and not found["gains"]
    assert [one["cardholder"] for one in found["stranded"]] == ["c-1"]
    assert "c-1" in page(house.client, f"/proposals/{ends}/effects", "en")
