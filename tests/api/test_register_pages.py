"""The pages of registers: what they show to whom, and that each change of them is a proposal that officers sign."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from api.names import Name
from api.register import today
from api.row_states import RosterState, lapses_on, roster_state
from zones.people import RosterEntry

CLEARANCE_SIGNS = ("適性評価", "確認の有効期限", "confirmed until", "KEIZAI", "重要経済安保")
HELD = {"number_hash": "ab" * 32, "last4": "c2d3"}


def day(offset: int = 0) -> str:
    return (today() + timedelta(days=offset)).isoformat()


def place(name: str, zone: str, cardholder: str, **changed: Any) -> tuple[str, dict[str, Any]]:
    dates = {"from_on": day(-30), "until_on": day(200), "review_on": day(60)}
    return "roster", {"id": name, "cardholder": cardholder, "zone": zone, **dates, **changed}


def card(name: str, cardholder: str, number: int, last4: str) -> tuple[str, dict[str, Any]]:
    row = {"id": name, "cardholder": cardholder, "number_hash": f"{number:064x}", "last4": last4, "state": "ACTIVE"}
    return "credential", row


def confirmed(
    name: str, cardholder: str, notified_on: str = "2026-04-01", **changed: Any
) -> tuple[str, dict[str, Any]]:
    last = {"2026-04-01": "2036-03-31", "2010-04-01": "2020-03-31"}[notified_on]
    row = {"id": name, "cardholder": cardholder, "basis": "KEIZAI_ANPO", "notified_on": notified_on}
    signed = {"last_valid_on": last, "recorded_by": "officer-01", "confirmed_by": "officer-03"}
    return "clearance", row | signed | changed


NEED = {
    "id": "n-1", "cardholder": "h-1", "item": "item-1", "purpose_code": "P-01", "from_on": day(-1), "until_on": day(90),
    "requested_by": "line-01", "approved_by_1": "officer-01", "approved_by_2": "officer-03",
}  # fmt: skip
VISIT = {"id": "b-1", "cardholder": "v-1", "host": "h-2", "zones": ["office"], "from_on": day(), "until_on": day(1)}
PEOPLE: list[tuple[str, dict[str, Any]]] = [
    *(("cardholder", {"id": f"h-{n}"}) for n in (1, 2, 3, 4)),
    *(card(f"c-{n}", f"h-{n}", n, f"00a{n}") for n in (1, 2, 4)),
    place("r-1", "office", "h-1"),
    place("r-2", "office", "h-2", review_on=day(-3)),
    place("r-3", "office", "h-3", is_minimum=True, review_on=day(5)),
    place("r-4", "lab", "h-1"),
    confirmed("k-1", "h-1"),
    ("need_to_know", NEED),
    ("cardholder", {"id": "v-1", "kind": "VISITOR"}),
    card("c-v", "v-1", 0x99, "9001"),
    ("visit", VISIT),
    ("device_status", {"id": "rd-lab", "is_trusted": False}),
]
NAMES = {"h-1": ("佐藤 花子", "さとう はなこ", "Sato Hanako"), "h-2": ("青木 剛", "あおき つよし", "Aoki Tsuyoshi"),
         "h-3": ("田中 誠", "たなか まこと", "Tanaka Makoto")}  # fmt: skip


@pytest.fixture(scope="module")
def site(shared: Any) -> Any:
    """A house with people on its lists; tests that change it each take their own."""
    shared.controller.edit(*PEOPLE)
    shared.controller.record("PASSAGE", zone="office", portal="front", direction="IN", subject={"cardholder": "h-1"})
    shared.controller.devices = [
        {"id": "rd-front", "kind": "osdp", "is_online": True, "is_for_entry": True, "serves": ["front"]},
        {"id": "rd-lab", "kind": "mqtt", "is_online": True, "is_trusted": False, "is_for_entry": True},
        {"id": "board", "kind": "lcus", "is_online": False, "serves": ["front"]},
    ]
    shared.caught_up()
    for one, (name, kana, roman) in NAMES.items():
        shared.parts.view.set_name(Name(cardholder=one, name=name, kana=kana, roman=roman))
    return shared


def shown(site: Any, address: str, who: str = "officer-01", language: str = "ja") -> str:
    answer = site.as_(who).get(address, params={"lang": language} if "?" not in address else None)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def sent(site: Any, address: str, who: str = "officer-01", **fields: Any) -> Any:
    return site.as_(who).post(address, data=fields)


def proposal(site: Any, answer: Any) -> dict[str, Any]:
    """The proposal that a form led to."""
    assert answer.status_code == 303, answer.text
    found = site.client.get("/api/v1" + answer.headers["location"])
    assert found.status_code == 200, found.text
    return dict(found.json())


def signed_all(site: Any, told: dict[str, Any]) -> None:
    for officer in ("officer-01", "officer-03")[: told["signers_needed"]]:
        assert site.sign(told["id"], officer).status_code == 200
    site.caught_up()


# -- states -----------------------------------------------------------------------------------------------------------

NOW = date(2026, 12, 1)
STATES = [
    ({}, RosterState.MAY_ENTER),
    ({"until_on": date(2026, 12, 31)}, RosterState.ENDS_SOON),
    ({"until_on": date(2027, 1, 1)}, RosterState.MAY_ENTER),
    ({"review_on": date(2026, 11, 30)}, RosterState.REVIEW_OVERDUE),
    ({"review_on": date(2026, 12, 1)}, RosterState.MAY_ENTER),
    ({"is_suspended": True, "review_on": date(2026, 11, 30)}, RosterState.SUSPENDED),
    ({"from_on": date(2026, 12, 2)}, RosterState.NOT_BEGUN),
    ({"until_on": date(2026, 11, 30)}, RosterState.PERIOD_OVER),
    ({"ended_on": date(2026, 12, 1), "is_suspended": True}, RosterState.REMOVED),
    ({"ended_on": date(2026, 12, 2)}, RosterState.MAY_ENTER),
]  # fmt: skip


@pytest.mark.req("A-01", "A-03")
@pytest.mark.parametrize(("changed", "state"), STATES)
def test_a_place_is_called_what_the_door_makes_of_it(changed: dict[str, Any], state: RosterState) -> None:
    """A list would say 入室可 of somebody whom the door refuses."""
    fields = {"from_on": date(2026, 1, 1), "until_on": date(2027, 6, 1), "review_on": date(2027, 1, 15), **changed}
    entry = RosterEntry(id="r-1", cardholder="h-1", zone="office", **fields)  # type: ignore[arg-type]
    assert roster_state(entry, NOW) is state


@pytest.mark.req("A-03")
def test_an_undecided_place_lapses_two_weeks_after_its_review() -> None:
    """The page would promise another day than the one on which the door refuses."""
    entry = RosterEntry(
        id="r-1", cardholder="h-1", zone="office", from_on=NOW, until_on=NOW, review_on=date(2026, 12, 1)
    )  # type: ignore[arg-type]
    assert lapses_on(entry) == date(2026, 12, 16)


# -- who sees what ----------------------------------------------------------------------------------------------------

PAGES = {
    "/rosters": {"officer-01", "officer-02"}, "/zones/office/roster": {"officer-01", "officer-02"},
    "/roster/r-1": {"officer-01", "officer-02"}, "/people": {"officer-01", "officer-02"},
    "/people/h-1": {"officer-01", "officer-02"}, "/people/new": {"officer-01", "officer-02"},
    "/items": {"officer-01", "officer-02"}, "/items/item-1": {"officer-01", "officer-02"},
    "/review": {"officer-01", "officer-02"}, "/review/office": {"officer-01", "officer-02"},
    "/devices": {"officer-01", "engineer-01"}, "/visitors": {"officer-01", "officer-02", "guard-01"},
}  # fmt: skip


@pytest.mark.req("A-30", "E-06", "D-17")
@pytest.mark.parametrize(("address", "who"), PAGES.items())
def test_a_register_is_shown_to_whoever_answers_for_it(site: Any, address: str, who: set[str]) -> None:
    """A guard would read who was confirmed until when, or an engineer who may enter where."""
    for officer in ("officer-01", "officer-02", "guard-01", "line-01", "auditor-01", "engineer-01"):
        assert (site.as_(officer).get(address).status_code == 200) is (officer in who), officer


@pytest.mark.req("E-06", "D-17")
def test_the_desk_reads_nothing_about_rights(site: Any) -> None:
    """Whoever sits at the door would know who was confirmed for what."""
    for address in ("/visitors", "/visitors?q=さとう", "/visitors/new", "/me"):
        text = shown(site, address, "guard-01")
        assert not [sign for sign in CLEARANCE_SIGNS if sign in text]
        assert "r-1" not in text and "n-1" not in text


@pytest.mark.req("A-31")
def test_a_work_manager_sees_the_zones_that_he_answers_for(site: Any) -> None:
    """The list of another's zone would be open to whoever leads any work."""
    assert "執務室" in shown(site, "/zones/office/roster", "officer-02")
    assert site.as_("officer-02").get("/zones/site/roster").status_code == 404
    assert site.as_("officer-02").post("/zones/site/roster", data={"cardholder": "h-1"}).status_code == 404


def test_a_roster_is_in_the_order_of_readings_and_asks_few_questions(site: Any) -> None:
    """青木 would stand after 田中, and a list of a thousand would ask a thousand questions."""
    asked: list[str] = []

    def count(*seen: Any) -> None:
        asked.append(seen[2])

    event.listen(site.parts.view._engine, "before_cursor_execute", count)
    text = shown(site, "/zones/office/roster")
    event.remove(site.parts.view._engine, "before_cursor_execute", count)
    assert text.index("青木") < text.index("佐藤") < text.index("田中")
    assert "見直し期限超過" in text and "入室なし" in text and "使用中のカードなし" in text
    about_rows = [one for one in asked if "last_entry" in one or "proposal" in one]
    assert len(about_rows) <= 3 and not [one for one in asked if "FROM event" in one]
    english = shown(site, "/zones/office/roster", language="en")
    assert english.index("Aoki") < english.index("Sato") and "Review overdue" in english


@pytest.mark.parametrize("q", ["さとう", "サトウ", "佐藤", "sato", "h-1"])
def test_somebody_is_found_by_name_reading_latin_letters_and_pseudonym(site: Any, q: str) -> None:
    """An officer would not find whoever stands before him."""
    text = shown(site, f"/people?q={q}&lang=ja")
    assert "佐藤 花子" in text and "田中" not in text
    assert "該当する人は登録されていません" in shown(site, "/people?q=zzz&lang=ja")


@pytest.mark.req("E-03")
def test_what_somebody_does_not_have_reads_alike_whatever_the_cause(site: Any) -> None:
    """A page would tell a lapsed confirmation from one that was never asked for."""
    site.controller.edit(
        *(("cardholder", {"id": f"e-{n}"}) for n in (1, 2, 3)),
        confirmed("k-e2", "e-2", "2010-04-01"),
        confirmed("k-e3", "e-3", ended_on=day()),
    )
    site.caught_up()
    texts = set()
    for who in ("e-1", "e-2", "e-3"):
        text = re.sub(r'value="[0-9a-f]{32}[^"]*"|nonce="[^"]*"', "", shown(site, f"/people/{who}"))
        texts.add(text.replace(who, "WHO"))
    assert len(texts) == 1


# -- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-01", "D-07")
def test_a_place_is_proposed_awaits_the_second_officer_and_opens_after_him(site: Any) -> None:
    """A list would show somebody as admitted who is not, or nobody would see that something waits."""
    dates = {"from_on": day(), "until_on": day(100), "review_on": day(80)}
    told = proposal(site, sent(site, "/zones/lab/roster", cardholder="h-2", reason="work_assigned", **dates))
    assert (told["weight"], told["signers_needed"], len(told["changes"])) == ("WIDENS", 2, 1)
    assert "2人目の承認待ち" in shown(site, "/zones/lab/roster")
    signed_all(site, told)
    text = shown(site, "/zones/lab/roster")
    assert "青木" in text and "2人目の承認待ち" not in text


@pytest.mark.req("D-18", "A-04")
def test_taking_somebody_off_says_the_ban_and_takes_reasons_of_work_alone(site: Any) -> None:
    """An officer would not be told what must not follow, or could write why somebody was unfit."""
    text = shown(site, "/roster/r-4")
    dialog = text.partition("<dialog")[2].partition("</dialog>")[0]
    for word in ("解雇", "減給", "降格", "不利益な配置変更", "専ら雑務", "業務上の必要"):
        assert word in dialog
    offered = set(re.findall(r'<option value="([a-z_]+)"', dialog))
    assert offered == {"work_ended", "transferred", "left", "review", "correction"}
    refused = sent(site, "/roster/r-4/end", reason="emergency")
    assert refused.status_code == 422 and 'id="problem"' in refused.text
    told = proposal(site, sent(site, "/roster/r-4/end", reason="work_ended"))
    assert (told["weight"], told["signers_needed"], told["reason"]) == ("NARROWS", 1, "work_ended")
    signed_all(site, told)
    assert "佐藤" not in shown(site, "/zones/lab/roster").partition("<table")[2]
    assert "取消済み" in shown(site, "/zones/lab/roster?view=all&lang=ja")


@pytest.mark.req("A-03")
def test_a_review_is_decided_row_by_row_and_the_rest_lapses_on_the_day_that_is_shown(site: Any) -> None:
    """Forty places would be kept with one click, or one would lapse and nobody had said when."""
    text = shown(site, "/review/office")
    assert "3件中1件 判断済み" in text
    assert day(-3 + 15).replace("-", "/") in text, "the day on which h-2's place lapses"
    assert "期限後も維持" in text and "入室なし" in text
    choices = re.findall(r'<input type="(?:radio|checkbox)"[^>]*>', text)
    assert len(choices) == 4 and not [one for one in choices if "checked" in one]
    nothing = sent(site, "/review/office", until_on=day(90))
    assert nothing.status_code == 422
    answer = sent(site, "/review/office", until_on=day(90), **{"d-r-2": "keep", "d-r-3": "end"})
    assert answer.headers["location"] == "/proposals"
    waiting = [one for one in site.client.get("/api/v1/proposals").json()["items"] if one["reason"] == "review"]
    assert sorted(one["weight"] for one in waiting) == ["NARROWS", "WIDENS"]
    assert "3件中3件 判断済み" in shown(site, "/review/office")
    for one in waiting:
        assert site.client.post(f"/api/v1/proposals/{one['id']}/withdraw").status_code == 200


@pytest.mark.req("A-02", "A-30")
def test_a_guard_reports_a_lost_card_with_his_signature_alone(site: Any) -> None:
    """A found card would open doors until two officers are awake."""
    text = shown(site, "/visitors?q=00a4&lang=ja", "guard-01")
    assert "カード …00a4 を紛失" in text and "00a1" not in text
    told = proposal(site, sent(site, "/desk/cards/c-4/lost", "guard-01"))
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    assert site.sign(told["id"], "guard-01").json()["state"] == "IN_FORCE"
    assert site.parts.view.row("credential", "c-4")["state"] == "LOST"


@pytest.mark.req("D-08")
def test_devices_that_are_brought_are_declared_at_the_desk(site: Any) -> None:
    """A telephone would be in the locker, and the door would not know."""
    fields = {"cardholder": "h-1", "zone": "lab", "locker": "L-07", "permits": "P-1, P-2", "until_on": day(5)}
    told = proposal(site, sent(site, "/desk/declarations", "guard-01", **fields))
    row = told["changes"][0]["row"]
    assert (row["locker"], row["permits"], told["signers_needed"]) == ("L-07", ["P-1", "P-2"], 1)


# -- somebody joins and leaves ----------------------------------------------------------------------------------------


@pytest.mark.req("A-02", "D-07", "D-21")
def test_somebody_joins_by_one_change_with_all_that_he_begins_with(site: Any) -> None:
    """A recruit would have a card before he has a place, or need ten signatures."""
    form = {
        "name": "山田 太郎", "kana": "やまだ たろう", "roman": "Yamada Taro", "kind": "STAFF", "notice": "1",
        "number": "04 A1 B2 C3", "basis": "KEIZAI_ANPO", "notified_on": day(-10), "zone": ["office", "vault"],
        "item": ["item-1"], "purpose_code": "P-01", "requested_by": "line-01", "from_on": day(),
        "until_on": day(300), "review_on": day(90), "key": "join-000001",
    }  # fmt: skip
    answer = sent(site, "/people", **form)
    told = proposal(site, answer)
    tables = [change["table"] for change in told["changes"]]
    assert tables == ["cardholder", "credential", "clearance", "need_to_know", "roster", "roster"]
    assert "04a1b2c3" not in str(told) and told["changes"][1]["row"]["last4"] == "b2c3"
    signed_all(site, told)
    text = shown(site, "/people?q=やまだ&lang=ja")
    assert "山田 太郎" in text and "b2c3" in text
    assert sent(site, "/people", **form).headers["location"] == answer.headers["location"], "sent twice, done once"


def test_a_form_that_lacks_something_comes_back_with_what_was_typed(site: Any) -> None:
    """An officer would type everything again, or believe that it was done."""
    answer = sent(site, "/people", name="", kana="すずき", from_on=day(), until_on=day(9), review_on=day(9))
    assert answer.status_code == 422 and "すずき" in answer.text and 'id="problem"' in answer.text
    wrong = sent(site, "/people", name="鈴木", from_on="yesterday", until_on=day(9), review_on=day(9))
    assert wrong.status_code == 422 and "yesterday" in wrong.text and "鈴木" in wrong.text


@pytest.mark.req("A-02")
def test_a_card_that_was_held_to_a_reader_is_issued_and_never_seen_by_the_browser(site: Any, kit: Any) -> None:
    """Whoever reads the page could make a copy, or another card than the one shown would be issued."""
    begun = sent(site, "/cards/wait", reader="rd-front")
    wait = re.search(r"/cards/wait/([0-9a-f]{32})", begun.text)[1]
    assert "秒" in begun.text and site.as_("officer-03").get(f"/cards/wait/{wait}").status_code == 404
    site.controller.hold_card(**HELD, scheme="pkoc")
    kit.eventually(lambda: "…c2d3" in site.client.get(f"/cards/wait/{wait}").text)
    page = site.client.get(f"/cards/wait/{wait}").text
    assert HELD["number_hash"] not in page and "pkoc" in page
    told = proposal(site, sent(site, "/people/h-3/rows/card", wait=wait))
    assert "number_hash" not in told["changes"][0]["row"]
    row = site.parts.proposals._known(told["id"]).puts
    kept = json.loads(row)[0][1]
    assert (kept["number_hash"], kept["scheme"], kept["cardholder"]) == (HELD["number_hash"], "pkoc", "h-3")
    assert site.client.get(f"/cards/wait/{wait}").status_code == 404, "of one card one credential is made"


def test_a_wait_for_a_card_is_given_up(site: Any) -> None:
    """A reader would keep swallowing strangers' cards after the officer went away."""
    begun = sent(site, "/cards/wait", reader="rd-front")
    wait = re.search(r"/cards/wait/([0-9a-f]{32})", begun.text)[1]
    over = site.client.post(f"/cards/wait/{wait}/cancel")
    assert over.status_code == 200 and "読み取れませんでした" in over.text
    assert [one["for_ms"] for one in site.controller.heard_of("await_card")][-1] == 0


@pytest.mark.req("B-13", "E-10")
def test_digits_of_a_pin_go_to_the_controller_and_stay_nowhere_here(site: Any) -> None:
    """Whoever reads api.db could enter with somebody's PIN."""
    assert sent(site, "/people/h-2/rows/pin", pin="482913", again="482914").status_code == 422
    told = proposal(site, sent(site, "/people/h-2/rows/pin", pin="482913", again="482913"))
    assert "482913" not in str(told)
    folder = site.settings.state_dir
    assert not [file for file in folder.glob("api.db*") if b"482913" in file.read_bytes()]


@pytest.mark.req("A-04", "A-09", "D-18")
def test_whoever_leaves_has_nothing_left_and_one_officer_is_enough(site: Any) -> None:
    """Somebody who left on bad terms would keep a card for want of a second officer."""
    site.controller.edit(
        ("cardholder", {"id": "l-1"}), place("r-l", "office", "l-1"), place("r-l2", "lab", "l-1"),
        card("c-l", "l-1", 0x77, "7777"), confirmed("k-l", "l-1"),
    )  # fmt: skip
    site.caught_up()
    text = shown(site, "/people/l-1/leave")
    assert "不利益取扱いの禁止" in text and "名簿の記載：執務室" in text
    moved = proposal(site, sent(site, "/people/l-1/leave", how="transferred", keep=["r-l"]))
    assert [(one["table"], one["id"]) for one in moved["changes"]] == [("roster", "r-l2")]
    told = proposal(site, sent(site, "/people/l-1/leave", how="left", lost=["c-l"]))
    assert (told["weight"], told["signers_needed"], told["reason"]) == ("NARROWS", 1, "left")
    rows = {one["id"]: one["row"] for one in told["changes"]}
    assert rows.keys() == {"r-l", "r-l2", "c-l", "k-l", "l-1"} and rows["c-l"]["state"] == "LOST"
    assert all("ended_on" in row for name, row in rows.items() if name != "c-l")


@pytest.mark.req("E-08")
def test_a_name_is_corrected_at_once_and_destroyed_when_nothing_is_in_force(site: Any) -> None:
    """An officer could not mend a name, or would destroy one of somebody who still enters."""
    site.controller.edit(("cardholder", {"id": "f-1"}), card("c-f", "f-1", 0xF1, "00f1"))
    site.caught_up()
    assert sent(site, "/people/f-1/name", name="森 あゆ", kana="もり あゆ").status_code == 303
    assert "森 あゆ" in shown(site, "/people?q=もりあゆ&lang=ja")
    noted = site.controller.heard_of("note")[-1]
    assert (noted["type"], noted["cardholder"]) == ("NAME_CHANGED", "f-1") and "森" not in str(noted)
    early = sent(site, "/people/f-1/forget", reason="term_over")
    assert early.status_code == 422 and site.parts.view.names.get("f-1") is not None
    assert 'action="/people/f-1/forget"' not in shown(site, "/people/f-1/name")
    site.controller.edit(("credential", card("c-f", "f-1", 0xF1, "00f1")[1] | {"state": "RETURNED"}))
    site.caught_up()
    assert 'action="/people/f-1/forget"' in shown(site, "/people/f-1/name")
    assert site.as_("officer-02").post("/people/f-1/forget", data={"reason": "term_over"}).status_code == 403
    assert sent(site, "/people/f-1/forget", reason="term_over").status_code == 303
    assert site.parts.view.names.get("f-1") is None and "消去済み" in shown(site, "/people/f-1/name")


# -- the desk, devices, entries ---------------------------------------------------------------------------------------


@pytest.mark.req("A-06")
def test_a_visitor_comes_and_goes_and_the_ledger_knows(site: Any) -> None:
    """Nobody could say afterwards who was in the house."""
    assert "来訪予定" in shown(site, "/visitors", "guard-01")
    assert sent(site, "/visitors/b-1/arrived", "guard-01").status_code == 303
    assert "来訪中" in shown(site, "/visitors", "guard-01")
    assert sent(site, "/visitors/b-1/left", "guard-01").status_code == 303
    assert "退館済み" in shown(site, "/visitors", "guard-01")
    notes = [one for one in site.controller.heard_of("note") if one["type"].startswith("VISIT")]
    assert [(one["type"], one["officer"], one["cardholder"]) for one in notes] == [
        ("VISIT_ARRIVED", "guard-01", "v-1"), ("VISIT_LEFT", "guard-01", "v-1"),
    ]  # fmt: skip
    told = proposal(site, sent(site, "/visitors/b-1/returned", "guard-01"))
    assert told["changes"][0]["row"]["state"] == "RETURNED" and told["signers_needed"] == 1


@pytest.mark.req("A-12")
def test_a_device_says_what_is_wrong_and_trust_comes_back_by_two(site: Any) -> None:
    """A technician would look at the wrong box, or one person alone would have a reader believed again."""
    text = shown(site, "/devices", "engineer-01")
    assert text.index("board") < text.index("rd-front"), "what is wrong stands first"
    assert "応答なし" in text and "信頼停止中" in text and "正面玄関" in text
    told = proposal(site, sent(site, "/devices/rd-lab/trust", "officer-01"))
    assert told["signers_needed"] == 2 and told["changes"][0]["row"]["is_trusted"] is True
    site.controller.devices, before = [], site.controller.devices
    assert "機器がまだありません" in shown(site, "/devices", "engineer-01")
    site.controller.devices = before


def test_the_last_entry_is_the_newest_and_goes_with_its_record(web: Any) -> None:
    """A review would rest on an entry of years ago, or tell what was dropped by rule."""
    for zone, direction in (("lab", "IN"), ("office", "IN"), ("office", "OUT"), ("office", "IN")):
        web.controller.record("PASSAGE", zone=zone, direction=direction, subject={"cardholder": "h-1"})
    last = len(web.controller.records) - 1
    web.caught_up()
    seen = web.parts.view.last_entries(cardholders=["h-1"])
    assert seen.keys() == {("h-1", "lab"), ("h-1", "office")}
    assert web.parts.view.last_entries(zone="lab").keys() == {("h-1", "lab")}
    purged = {"id": "purge-0001", "of_class": "access", "ranges": [[0, last - 1]], "count": last}
    web.controller.record("PURGED", detail=purged)
    web.caught_up()
    assert web.parts.view.last_entries(cardholders=["h-1"]).keys() == {("h-1", "office")}
