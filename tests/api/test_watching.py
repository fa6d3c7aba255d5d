"""What officers do about alarms, the log and a fire, by page and by API: who may, who sees whom, what is recorded."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from api.names import Name

HOUR = 3_600_000
PEOPLE = [
    ("c-1", "佐藤 美咲", "サトウ ミサキ"),
    ("c-2", "阿部 健", "アベ ケン"),
    ("c-3", "小林 由美子", "コバヤシ ユミコ"),
]


@pytest.fixture(scope="module")
def house(shared: Any) -> Any:
    """People inside: Kobayashi longest, in the laboratory; Sato and Abe in the office; somebody let in by hand."""
    told, now = shared.controller.record, time.time_ns() // 1_000_000
    shared.controller.edit(*(("cardholder", {"id": who}) for who, _, _ in PEOPLE))
    shared.caught_up()
    for who, name, kana in PEOPLE:
        shared.parts.view.set_name(Name(cardholder=who, name=name, kana=kana))
    for hours, who, portal, zone in (
        (5, "c-3", "front", "office"), (4, "c-3", "lab-east", "lab"), (3, "c-1", "front", "office"),
        (2, "c-2", "front", "office"),
    ):  # fmt: skip
        about = {"portal": portal, "zone": zone, "direction": "IN", "subject": {"cardholder": who}}
        told("PASSAGE", at_ms=now - hours * HOUR, **about)
    told("RELEASED", portal="front", zone="office", detail={"id": "by-hand-1", "reason": "visitor"})
    shared.caught_up()
    return shared


def notes(web: Any, kind: str) -> list[dict[str, Any]]:
    """What is recorded of a kind of note."""
    bodies = [json.loads(one["body"]) for one in web.controller.records]
    return [one for one in bodies if one["type"] == "NOTE" and one["detail"]["kind"] == kind]


def status(web: Any, role: str, method: str, address: str, **more: Any) -> int:
    found: int = web.as_(role).request(method, address, **more).status_code
    return found


# -- alarms -----------------------------------------------------------------------------------------------------------


def test_an_alarm_is_answered_by_the_api_up_to_what_was_seen(house: Any) -> None:
    """An answer would cover an alarm that came while somebody typed."""
    seq = house.controller.record("DOOR_FORCED", portal="side", zone="office")
    house.caught_up()
    guard = house.as_("GUARD")
    found = next(one for one in guard.get("/api/v1/alarms").json()["items"] if one["seq"] == seq)
    assert found["is_lasting"] and found["needs_handling"] and found["count"] == 1
    newer = house.controller.record("DOOR_FORCED", portal="side", zone="office")
    house.caught_up()
    said = {"cause": "worn_latch", "note": "蝶番を調整", "last_seq": seq}
    late = guard.post(f"/api/v1/alarms/{seq}/handle", json=said)
    assert (late.status_code, late.json()["code"], late.json()["last_seq"]) == (409, "alarm_moved", newer)
    done = guard.post(f"/api/v1/alarms/{seq}/handle", json=said | {"last_seq": newer})
    assert done.status_code == 200 and done.json()["alarm"]["cause"] == "worn_latch", done.text
    assert [one["seq"] for one in guard.get("/api/v1/alarms").json()["items"] if one["kind"] == "DOOR_FORCED"] == [seq]
    house.controller.record("DOOR_CLOSED", portal="side", zone="office")
    house.caught_up()
    assert not [one for one in guard.get("/api/v1/alarms").json()["items"] if one["kind"] == "DOOR_FORCED"]
    handled = guard.get("/api/v1/alarms", params={"state": "handled"}).json()["items"]
    assert [one["officer"] for one in handled if one["seq"] == seq] == ["guard-01"]
    assert status(house, "AUDITOR", "POST", f"/api/v1/alarms/{seq}/handle", json=said) == 403
    about = {"zone": "lab", "subject": {"cardholder": "c-3"}}
    told = house.controller.record("ESCORT_BROKEN", **about)
    house.caught_up()
    rows = [
        next(one["row"] for one in house.as_(role).get("/api/v1/alarms").json()["items"] if one["seq"] == told)
        for role in ("GUARD", "PROTECTION_OFFICER")
    ]
    assert rows == ["lab", "lab/c-3"], "a guard sees where, and not of whom"
    house.controller.record("ALARM_CEASED", detail={"kind": "ESCORT_BROKEN"}, **about)
    figures = house.as_("AUDITOR").get("/api/v1/alarms/figures").json()["items"]
    assert ("side", "DOOR_FORCED", "worn_latch", 2) in {
        (f["portal"], f["kind"], f["cause"], f["count"]) for f in figures
    }


# -- the log ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-15")
def test_the_look_through_the_log_is_signed_on_its_page_and_by_the_api(house: Any) -> None:
    """An auditor would have nowhere to say that he looked, or anybody could say it."""
    house.controller.record("TAILGATE", portal="front", zone="office", subject={"cardholder": "c-1"})
    house.caught_up()
    auditor = house.as_("AUDITOR")
    page = auditor.get("/log-review", params={"lang": "en"}).text
    assert "Look through the log" in page and "佐藤" not in page and "c-1" not in page
    due = auditor.get("/api/v1/log-review").json()
    assert due["from_seq"] == 0 and due["looks"] == [] and due["alarms"]
    signed = auditor.post(
        "/log-review", data={"to_seq": str(due["to_seq"]), "outcome": "in_order", "key": "look-000001"}
    )
    assert signed.status_code == 303
    again = auditor.post(
        "/api/v1/log-review", json={"to_seq": due["to_seq"] + 1, "outcome": "incident", "incident": "INC-7"}
    )
    assert again.status_code == 200 and again.json()["from_seq"] == due["to_seq"] + 1, again.text
    after = auditor.get("/api/v1/log-review").json()
    assert [one["outcome"] for one in after["looks"]] == ["incident", "in_order"]
    house.controller.refusals.append({"code": "about_himself"})
    refused = auditor.post("/log-review", data={"to_seq": "99999", "outcome": "in_order"}, params={"lang": "en"})
    assert refused.status_code == 422 and "Somebody else looks at this" in refused.text
    assert {status(house, role, "GET", "/log-review") for role in ("GUARD", "LINE", "WORK_MANAGER")} == {403}


# -- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("E-12")
def test_no_figure_is_about_fewer_than_five_people(house: Any) -> None:
    """Whoever is the only one in the laboratory at night would be read off a chart."""
    officer = house.as_("PROTECTION_OFFICER")
    day = officer.get("/api/v1/reports").json()
    assert {one["count"] for one in day["entries_per_day"] if one["count"] != 0} == {None}, "three people"
    assert {one["heads"] for one in day["occupancy"]} <= {None, 0}
    now = time.time_ns() // 1_000_000
    for n in range(5):
        about = {"portal": "front", "zone": "office", "direction": "IN", "subject": {"cardholder": f"x-{n}"}}
        house.controller.record("PASSAGE", at_ms=now - 1000 + n, **about)
    for n in range(4):
        about = {"portal": "lab-east", "zone": "lab", "reason": "NOT_ON_ROSTER", "subject": {"cardholder": f"x-{n}"}}
        for _ in range(3):
            house.controller.record("ACCESS_DENIED", at_ms=now, **about)
    house.caught_up()
    day = officer.get("/api/v1/reports").json()
    assert day["entries_per_day"][-1]["count"] >= 5 and day["least"] == 5
    assert day["refusals_per_zone"] == [{"label": "lab", "count": None}], "twelve refusals, and four people"
    page = officer.get("/reports", params={"lang": "en"}).text
    assert "<svg" in page and "style=" not in page and "&lt; 5" in page
    for days in (("2026-05-02", "2026-05-01"), ("0001-01-01", ""), ("", "0001-01-01"), ("", "9999-12-31")):
        asked = {name: day for name, day in zip(("from_on", "until_on"), days, strict=True) if day}
        found = {officer.get(f"/api/v1/{one}", params=asked).status_code for one in ("reports", "alarms/figures")}
        assert found == {422}, days
        assert officer.get("/reports", params={"first": days[0], "last": days[1]}).status_code == 200
    assert (
        officer.get("/reports", params={"first": "2026-05-02", "last": "2026-05-01", "lang": "en"}).status_code == 200
    )
    for role in ("LINE", "GUARD", "ENGINEER"):
        assert {status(house, role, "GET", one) for one in ("/reports", "/api/v1/reports")} == {403}
    for n in range(5):
        about = {"portal": "front", "zone": "site", "direction": "OUT", "subject": {"cardholder": f"x-{n}"}}
        house.controller.record("PASSAGE", **about)
    house.caught_up()


# -- a fire -----------------------------------------------------------------------------------------------------------


def tick(name: str, who: str, *, is_found: bool) -> dict[str, Any]:
    return {"id": name, "cardholder": who, "is_found": is_found}


@pytest.mark.req("D-27", "E-12")
def test_names_are_there_in_a_fire_and_in_a_drill_and_never_for_a_line_manager(house: Any) -> None:
    """Guards would not know whom to look for; or everybody at the desk would know who is in, every day."""
    guard, officer = house.as_("GUARD"), house.as_("PROTECTION_OFFICER")
    calm = guard.get("/api/v1/roll-call").json()
    assert calm["reason"] is None and calm["total"] == 3 and not calm["has_names"]
    assert [zone["people"] for zone in calm["zones"]] == [[], []] and "佐藤" not in guard.get("/roll-call").text
    assert "佐藤" in officer.get("/roll-call").text
    assert {status(house, role, "GET", "/roll-call") for role in ("LINE", "AUDITOR", "ENGINEER")} == {403}
    assert guard.post("/roll-call/drill", data={"act": "begin"}).status_code == 422, "a guard begins no drill"
    assert (
        guard.post("/api/v1/roll-call/ticks", json={"ticks": [tick("tick-00001", "c-1", is_found=True)]}).status_code
        == 409
    )
    assert officer.post("/roll-call/drill", data={"act": "begin"}).status_code == 303
    drill = guard.get("/api/v1/roll-call", params={"sort": "kana"}).json()
    assert drill["reason"] == "drill" and drill["has_names"]
    office = next(zone for zone in drill["zones"] if zone["zone"] == "office")
    assert [one["name"] for one in office["people"]] == ["阿部 健", "佐藤 美咲"], "by reading"
    assert [one["name"] for one in guard.get("/api/v1/roll-call").json()["zones"][1]["people"]] == [
        "佐藤 美咲",
        "阿部 健",
    ]
    assert officer.post("/roll-call/drill", data={"act": "end"}).status_code == 303
    assert not guard.get("/api/v1/roll-call").json()["has_names"]
    assert [one["detail"]["purpose"] for one in notes(house, "DRILL")] == ["begun", "ended"]


@pytest.mark.needs("chromium")
@pytest.mark.req("D-27")
def test_a_fire_has_its_list_in_three_seconds_and_a_phone_ticks_without_a_network(house: Any) -> None:
    """The list would come when everybody is out, or die with the network; a tick would be lost, or counted twice."""
    guard = house.as_("GUARD")
    began = time.monotonic()
    house.controller.record("FIRE_ON", detail={"device": "panel"})
    house.caught_up()
    fire = guard.get("/api/v1/roll-call").json()
    assert time.monotonic() - began < 3 and fire["reason"] == "fire"
    people = {one["name"]: one for zone in fire["zones"] for one in zone["people"]}
    assert {"佐藤 美咲", "阿部 健", "小林 由美子"} == set(people) and fire["unknown"][0]["type"] == "TAILGATE"
    assert not {"clearance", "last_valid_on", "roster", "reason"} & set(json.dumps(fire["zones"]).split('"'))
    twice = {"ticks": [tick("tick-00001", "c-1", is_found=True), tick("tick-00002", "nobody", is_found=True)]}
    first, again = (guard.post("/api/v1/roll-call/ticks", json=twice).json()["ticks"] for _ in range(2))
    assert [one["outcome"] for one in first] == ["recorded", "unknown_person"]
    assert [one["outcome"] for one in again] == ["known", "unknown_person"] and len(notes(house, "ROLL_CALL")) == 1
    offline_on_a_phone(house)
    told = [(one["subject"]["cardholder"], one["detail"]["purpose"]) for one in notes(house, "ROLL_CALL")]
    assert told == [("c-1", "found"), ("c-3", "found"), ("c-2", "missing")]
    house.controller.record("FIRE_RESET")
    house.caught_up()
    assert not guard.get("/api/v1/roll-call").json()["has_names"]


KEPT = """async () => {
  await navigator.serviceWorker.ready;
  for (let n = 0; n < 300 && !(await caches.match("/roll-call")); n++) await new Promise(requestAnimationFrame);
}"""


def offline_on_a_phone(web: Any) -> None:
    """A guard loads the list, the network dies, he loads it again, ticks two people, and the network comes back."""
    with sync_playwright() as started:
        args = ["--no-sandbox", "--disable-gpu"]
        browser = started.chromium.launch(executable_path=shutil.which("chromium"), args=args)
        context = browser.new_context(viewport={"width": 390, "height": 844})
        secret = web.sign_in("guard-01").headers["set-cookie"].partition("=")[2].partition(";")[0]
        held = {"domain": "localhost", "path": "/", "secure": True, "httpOnly": True, "sameSite": "Strict"}
        context.add_cookies([{"name": "__Host-sekisho", "value": secret, **held}])
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{web.url.replace('127.0.0.1', 'localhost')}/roll-call?lang=en")
        page.evaluate(KEPT)
        context.set_offline(True)
        page.reload()
        page.locator("#p-c-3 [data-tick=found]").click()
        page.locator("#p-c-2 [data-tick=missing]").click()
        assert page.locator("li.unsent").count() == 2 and page.locator("#no-network").is_visible()
        assert page.locator("#p-c-1").get_attribute("data-state") == "found"
        context.set_offline(False)
        page.locator("li.unsent").first.wait_for(state="detached", timeout=8000)
        assert not [one for one in said if "Content Security" in one or "Trusted" in one or "rror:" in one], said
        browser.close()
    web.caught_up()


@pytest.mark.req("D-27")
def test_whoever_leaves_next_month_is_looked_for_today(house: Any) -> None:
    """Somebody whose last day is known would not be on the list after a power cut, and nobody would go back for him."""
    house.controller.edit(("cardholder", {"id": "c-2", "ended_on": "2099-12-31"}))
    house.controller.edit(("cardholder", {"id": "c-3", "ended_on": "2026-01-01"}))
    house.controller.record("CONTROLLER_STARTED")
    house.controller.record("POWER_LOST", detail={"device": "board"})
    house.caught_up()
    found = house.as_("PROTECTION_OFFICER").get("/api/v1/roll-call").json()
    people = [one["cardholder"] for zone in found["zones"] for one in zone["people"]]
    assert "c-2" in people and "c-3" not in people and found["total"] == len(people)
