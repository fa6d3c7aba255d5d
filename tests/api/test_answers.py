"""Why, what if, and the records' search, as officers ask: each is told what is his to know, and nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from api.names import Name
from api.why import number_of
from zones.decision import Evidence, Method, Request, decide
from zones.edits import apply
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.policy import EMPTY

JA = {"Accept": "text/html", "Accept-Language": "ja"}
ANA: list[tuple[str, dict[str, Any]]] = [
    ("cardholder", {"id": "h-ana"}),
    ("credential", {"id": "c-ana", "cardholder": "h-ana", "number_hash": "a" * 64, "last4": "0001", "state": "ACTIVE"}),
]
AT_MS = 1_790_000_000_000
RIGHTS_WORDS = re.compile(
    "適性評価|知る必要|名簿に記載|CLEARANCE|NEED_TO_KNOW|NOT_ON_ROSTER|clearance|roster", re.IGNORECASE
)


def decided(controller: Any, point: str, number: str) -> int:
    """The record that the controller would make of Ana's card at `point`."""
    from controller.link.recorded import at_of, edit_of
    from zones.review.values import trace_of

    policy = EMPTY
    for line in controller.records:
        body = json.loads(line["body"])
        if body["type"] == "POLICY_EDITED":
            policy = apply(policy, edit_of(body["detail"]["edit"]))
    evidence = Evidence(number_hash="a" * 64, method=Method.CHALLENGE, factors=1)
    now = Moment(at=at_of(AT_MS), tick_ms=0)
    decision = decide(policy, Occupancy(), Request(access_point=point, evidence=evidence), now)
    trace = trace_of(decision.findings)
    told = {"passed": trace.passed, "waived": trace.waived, "failed": trace.failed, "exempt": trace.exempt}
    return int(
        controller.record(
            "ACCESS_DENIED", at_ms=AT_MS, access_point=point, portal=decision.portal, zone=decision.zone,
            outcome="DENIED", reason=decision.reason.value, revision=controller.revision, number=number, trace=told,
            evidence={"method": "CHALLENGE", "factors": 1}, subject={"cardholder": "h-ana", "credential": "c-ana"},
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(shared: Any) -> Any:
    """Ana, on nobody's roster, was refused at the front door."""
    shared.controller.edit(*ANA)
    shared.caught_up()
    shared.parts.view.set_name(Name(cardholder="h-ana", name="穴山 花", kana="あなやま はな", roman="Hana Anayama"))
    shared.denied = decided(shared.controller, "front.in", "7KQX")
    shared.caught_up()
    return shared


def page(house: Any, who: str, address: str) -> Any:
    return house.as_(who).get(address, headers=JA)


@pytest.mark.parametrize(
    "typed, number",
    [
        ("7kqx", "7KQX"),
        (" 7K QX ", "7KQX"),
        ("７ｋｑｘ", "7KQX"),
        ("7K-QX", "7KQX"),
        ("7KQ", None),
        ("7KQI", None),
        ("", None),
    ],
)
def test_a_number_is_understood_however_it_is_typed(typed, number):
    """The officer types what he hears, and is told that there is no such number."""
    assert number_of(typed) == number


def test_a_refusal_is_told_from_its_number_with_the_button_that_mends_it(house):
    """The officer at the telephone is told four characters, and needs four screens to help."""
    shown = page(house, "PROTECTION_OFFICER", "/why?number=7kqx")
    assert shown.status_code == 200
    assert "立入許可者名簿に記載なし" in shown.text and "穴山 花" in shown.text and "入室できません" in shown.text
    assert "カードが有効である" in shown.text, "what held is told as well"
    ways = page(house, "PROTECTION_OFFICER", f"/why/{house.denied}/ways").text
    assert f"/why/{house.denied}/put_on_roster" in ways and "執務室" in ways, "zones by their names"
    assert house.as_("GUARD").get(f"/why/{house.denied}/ways", headers=JA).status_code == 403
    answer = house.client.post(f"/why/{house.denied}/put_on_roster", data={"key": "f" * 32}, headers=JA)
    assert answer.status_code == 303, answer.text[:400]
    told = house.client.get(f"/api/v1{answer.headers['location']}").json()
    assert told["changes"][0]["row"]["cardholder"] == "h-ana"
    assert told["signers_needed"] == 2


@pytest.mark.req("E-06")
def test_a_guard_is_told_whom_to_call_and_nothing_else(house):
    """The guard tells a colleague why she is not on the list."""
    shown = page(house, "GUARD", "/why?number=7KQX")
    assert shown.status_code == 200 and "保護責任者に連絡" in shown.text
    main = shown.text[shown.text.index("<main") : shown.text.index("</main")]
    assert not RIGHTS_WORDS.search(main) and "穴山" not in main and "put_on_roster" not in main
    assert house.as_("GUARD").post(f"/why/{house.denied}/put_on_roster", headers=JA).status_code == 403


def test_a_number_that_is_none_is_told_so(house):
    """A typing error looks like a record that is missing."""
    assert "番号は4文字です" in page(house, "PROTECTION_OFFICER", "/why?number=OOPS").text
    unknown = page(house, "PROTECTION_OFFICER", "/why?number=ZZZZ")
    assert unknown.status_code == 404 and "見つかりません" in unknown.text
    assert page(house, "PROTECTION_OFFICER", "/why?seq=0").status_code == 404
    assert page(house, "AUDITOR", "/why").status_code == 403


def test_what_if_says_what_stands_in_the_way(house):
    """An officer sends somebody to a door that does not open."""
    asked = "/what-if?cardholder=h-ana&portal=front"
    shown = page(house, "PROTECTION_OFFICER", asked)
    assert shown.status_code == 200 and "入室できません" in shown.text and "立入許可者名簿に記載なし" in shown.text
    assert page(house, "PROTECTION_OFFICER", f"{asked}&at=yesterday").status_code == 422
    assert page(house, "PROTECTION_OFFICER", "/what-if?cardholder=nobody&portal=front").status_code == 422
    assert page(house, "GUARD", asked).status_code == 403


def rows(text: str) -> list[int]:
    return [int(one) for one in re.findall(r'href="/events/(\d+)"', text)]


@pytest.mark.req("A-25", "E-07")
def test_records_are_found_and_a_look_at_somebody_is_recorded(house):
    """An auditor does not find what he looks for, or looks through somebody's days unseen."""
    assert rows(page(house, "AUDITOR", "/events?number=7kqx").text) == [house.denied]
    assert rows(page(house, "AUDITOR", "/events?outcome=DENIED&portal=front").text) == [house.denied]
    assert rows(page(house, "AUDITOR", "/events?first_on=2026-09-21&last_on=2026-09-22&type=ACCESS_DENIED").text) == [
        house.denied
    ]
    assert rows(page(house, "AUDITOR", "/events?first_on=2026-09-23&last_on=2026-09-23").text) == []
    without = page(house, "AUDITOR", "/events?cardholder=h-ana")
    assert without.status_code == 422 and rows(without.text) == []
    before = len(house.controller.heard_of("note"))
    assert rows(page(house, "AUDITOR", "/events?cardholder=h-ana&purpose=audit").text) == [house.denied]
    (note,) = house.controller.heard_of("note")[before:]
    assert (note["type"], note["officer"], note["cardholder"]) == ("VIEW_PERSONAL", "auditor-01", "h-ana")
    for address, is_named in (("/events?portal=front", False), ("/events?cardholder=h-ana&purpose=audit", True)):
        text = page(house, "PROTECTION_OFFICER", address).text
        assert ("穴山" in text[text.index('class="events"') :]) is is_named, (
            "who was where on a day is read by pseudonym"
        )
    assert page(house, "AUDITOR", "/events?first_on=soon").status_code == 422
    assert page(house, "GUARD", "/events").status_code == 403


@pytest.mark.req("E-06")
def test_an_auditor_sees_pseudonyms_and_no_word_about_rights(house):
    """The auditor reads who has which clearance, or names, without anybody having agreed."""
    for address in ("/events?number=7KQX", f"/events/{house.denied}"):
        text = page(house, "AUDITOR", address).text
        found = text[text.index('id="found-title"') :] if "found-title" in text else text[text.index("<main") :]
        assert "穴山" not in text and not RIGHTS_WORDS.search(found), address
        assert "許可なし" in found
    officer = page(house, "PROTECTION_OFFICER", f"/events/{house.denied}").text
    assert "穴山" in officer and "立入許可者名簿に記載なし" in officer and "D13" in officer


@pytest.mark.req("E-07")
def test_a_name_behind_a_pseudonym_takes_two(house):
    """One auditor alone finds out who somebody is, or it is not recorded that two did."""
    place = f"/events/{house.denied}/unmask"
    auditor = house.as_("AUDITOR")
    asked = auditor.post(place, data={"purpose": "audit"}, headers=JA)
    assert asked.status_code == 303
    (row,) = [one for one in house.client.get("/api/v1/agreements").json() if one["kind"] == "UNMASK"]
    early = auditor.post(place, data={"purpose": "audit", "agreement": row["id"]}, headers=JA)
    assert early.status_code == 422 and "穴山" not in early.text
    assert house.as_("WORK_MANAGER").post(f"/api/v1/agreements/{row['id']}/agree").status_code == 403
    assert house.client.post(f"/agreements/{row['id']}", headers=JA).status_code == 303
    shown = auditor.post(place, data={"purpose": "audit", "agreement": row["id"]}, headers=JA)
    assert shown.status_code == 200 and "穴山 花" in shown.text
    note = house.controller.heard_of("note")[-1]
    assert (note["type"], note["officer"], note["second"], note["cardholder"]) == (
        "VIEW_PERSONAL", "auditor-01", "officer-01", "h-ana",
    )  # fmt: skip
    again = auditor.post(place, data={"purpose": "audit", "agreement": row["id"]}, headers=JA)
    assert again.status_code == 422 and "穴山" not in again.text


def test_registers_are_printed_whole_with_what_they_are_known_by(house):
    """A printed list cannot be told from one that somebody changed."""
    shown = page(house, "PROTECTION_OFFICER", "/print/people")
    assert shown.status_code == 200 and "穴山 花" in shown.text and "令和" in shown.text
    assert re.search(r"SHA-256 [0-9a-f]{64}", shown.text) and shown.text.count("<td>印</td>") == 3
    assert page(house, "PROTECTION_OFFICER", "/print/rosters").status_code == 200
    assert page(house, "PROTECTION_OFFICER", "/print/keys").status_code == 404
    assert page(house, "GUARD", "/print/people").status_code == 403


def test_what_was_found_goes_out_with_two(house):
    """A list of everybody's entries leaves the house on one officer's word."""
    alone = house.client.get("/events.csv?portal=front&outcome=DENIED&purpose=audit", headers=JA)
    assert alone.status_code == 200 and alone.content.startswith(b"\xef\xbb\xbf"), "it is about one person"
    asked = house.client.post("/events/file?type=NOTE", headers=JA)
    assert asked.status_code == 303
    assert house.as_("AUDITOR").get("/events.csv?portal=front", headers=JA).status_code == 403
