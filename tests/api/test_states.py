"""The state of the site, its zones, portals and devices: put, shown, ordered; and the alarms that last."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from api.words import CARD_SCHEMES as CARD_WORDS
from api.words import TABLES
from zones import policy
from zones.row_checks import CARD_SCHEMES


def told(web: Any) -> tuple[str, dict[str, Any]]:
    """The last row that was put."""
    bodies = [json.loads(record["body"]) for record in web.controller.records]
    ((table, row),) = [one for one in bodies if one["type"] == "POLICY_EDITED"][-1]["detail"]["edit"]["puts"]
    return table, row


def live(web: Any, language: str = "ja") -> str:
    """The part of the live page that changes, as its officer sees it."""
    shown: str = web.client.get("/live", headers={"Accept-Language": language}).text
    return shown


@pytest.mark.req("C-01")
def test_a_zone_is_secured_locked_down_and_sanitised_each_by_itself(web: Any) -> None:
    """Locking down a zone would open it, or a second change would forget the first."""

    def zone() -> Any:
        return web.client.get("/api/v1/zones/vault").json()

    locked = web.signed(web.client.patch("/api/v1/zones/vault/status", json={"is_locked_down": True}))
    assert locked["signers_needed"] == 1 and zone()["is_locked_down"]
    assert told(web) == ("zone_status", {"id": "vault", "state": "OPEN_ATTENDED", "is_locked_down": True})
    web.signed(web.client.patch("/api/v1/zones/vault/status", json={"state": "SECURED"}))
    assert zone()["state"] == "SECURED"
    web.signed(web.client.post("/api/v1/zones/vault/sanitise"))
    signed = {"sanitised_by": "officer-01", "sanitised_confirmed_by": "officer-03"}
    assert {**zone(), **signed, "state": "SECURED", "is_locked_down": True} == zone()
    ended = web.signed(web.client.post("/api/v1/zones/vault/sanitise/end"))
    assert ended["signers_needed"] == 1
    assert zone()["sanitised_by"] is None and zone()["sanitised_confirmed_by"] is None and zone()["is_locked_down"]
    assert told(web)[1] == {"id": "vault", "state": "SECURED", "is_locked_down": True}
    page = live(web)
    assert "閉鎖中・封鎖" in page and "保全済" not in page
    for bad in ({}, {"state": None}, {"state": "OPEN"}, {"sanitised_by": "o-1"}):
        assert web.client.patch("/api/v1/zones/vault/status", json=bad).status_code == 422, bad
    assert web.client.patch("/api/v1/zones/cellar/status", json={"state": "SECURED"}).status_code == 404


def test_the_site_has_one_state(web: Any) -> None:
    """A lockdown would be lifted by whoever raises the threat level."""
    assert web.client.get("/api/v1/site-status").json() == {
        "is_locked_down": False, "threat_level": 0, "notice_version": 0,
    }  # fmt: skip
    web.signed(web.client.patch("/api/v1/site-status", json={"is_locked_down": True, "notice_version": 4}))
    web.signed(web.client.patch("/api/v1/site-status", json={"threat_level": 2}))
    shown = web.client.get("/api/v1/site-status").json()
    assert shown == {"is_locked_down": True, "threat_level": 2, "notice_version": 4}
    assert told(web) == ("site_status", {"id": "site", **shown})
    assert "全域を封鎖中" in live(web)
    assert web.client.patch("/api/v1/site-status", json={"threat_level": 3}).status_code == 422
    stale = {"If-Match": '"of-yesterday"'}
    assert web.client.patch("/api/v1/site-status", json={"threat_level": 1}, headers=stale).status_code == 412


def test_a_portals_mode_is_asked_for_and_shown_once_it_stands(web: Any) -> None:
    """The page would say that a door is locked while it stands unlocked."""
    answer = web.signed(web.client.post("/api/v1/portals/front/mode", json={"mode": "ATTENDED", "minutes": 10}))
    assert answer["state"] == "IN_FORCE" and answer["signers_needed"] == 2
    assert told(web)[1]["mode"] == "ATTENDED" and told(web)[1]["until_ms"] > 0
    assert web.client.get("/api/v1/portals/front").json()["mode"] == "CARD"
    web.controller.record("PORTAL_MODE", portal="front", detail={"mode": "ATTENDED"})
    web.caught_up()
    assert web.client.get("/api/v1/portals/front").json()["mode"] == "ATTENDED"
    page = live(web)
    assert "立会い開放中" in page and "閉・開放中" in page
    web.signed(web.client.post("/api/v1/portals/front/mode", json={"mode": "CARD"}))
    assert told(web) == ("portal_status", {"id": "front", "mode": "CARD"})
    web.controller.record("CONTROLLER_STARTED")
    web.caught_up()
    assert web.client.get("/api/v1/portals/front").json()["mode"] == "CARD"
    for bad in ({"mode": "OPEN"}, {"mode": "LOCKED", "minutes": 0}, {}):
        assert web.client.post("/api/v1/portals/front/mode", json=bad).status_code == 422, bad
    assert web.client.post("/api/v1/portals/back/mode", json={"mode": "CARD"}).status_code == 404


def test_a_lock_that_the_fire_alarm_dropped_is_not_called_locked(web: Any) -> None:
    """In a fire the officer would believe that the escape is shut, or that a thief cannot walk in by it."""
    places = {"name_ja": "通用口", "name_en": "Side door", "outer": "site", "inner": "office"}
    web.controller.edit(("portal", {"id": "side", **places, "is_escape": True, "fire_release": "HARDWIRED"}))
    web.controller.record("FIRE_ON", portal="side", detail={"device": "dr-side"})
    web.caught_up()
    assert "火災で解錠" in live(web)
    web.controller.record("FIRE_RESET")
    web.caught_up()
    assert "火災で解錠" not in live(web)


def test_nothing_is_offered_for_release_that_is_locked_down_or_locked(web: Any) -> None:
    """The officer would press a button that can only be refused."""
    assert "data-release=" in live(web)
    web.controller.record("PORTAL_MODE", portal="side", detail={"mode": "LOCKED"})
    web.caught_up()
    page = live(web)
    assert 'data-release="side"' not in page and 'data-release="front"' in page
    web.controller.edit(("site_status", {"id": "site", "is_locked_down": True}))
    web.caught_up()
    assert "data-release=" not in live(web)
    zone = {"id": "office", "state": "OPEN_ATTENDED", "is_locked_down": True}
    web.controller.edit(("site_status", {"id": "site"}), ("zone_status", zone))
    web.caught_up()
    assert "data-release=" not in live(web), "all other zones lie in the office"


def test_the_number_that_the_door_showed_is_beside_the_refusal(web: Any) -> None:
    """Somebody calls with the four characters, and nobody could find what they are about."""
    web.controller.record("ACCESS_DENIED", portal="front", reason="CLEARANCE_NONE", number="7KQX")
    web.caught_up()
    assert "7KQX" in live(web)


def test_every_table_that_an_edit_can_name_has_words() -> None:
    """The officer would read the name of a table in our code."""
    assert set(TABLES) == set(policy.TABLES)
    assert all(words["ja"] and words["en"] for words in TABLES.values())


CARDS = [
    (["desfire_ev2"], "カードの登録 (DESFire EV2)"),
    (["felica_lite_s", "felica_lite_s"], "カードの登録 (FeliCa Lite-S)"),
    ([None], "カードの登録 (番号のみ)"),
    (["pkoc", None], "カードの登録<"),
]


def test_the_page_tells_what_kind_of_card_was_entered(web: Any) -> None:
    """A card with keys is entered as a number, every copy of it opens doors, and no officer sees it."""
    for schemes, words in CARDS:
        rows = [
            ("credential", {"id": f"k-{n}", "cardholder": "h-1", "last4": "0001"} | ({"scheme": one} if one else {}))
            for n, one in enumerate(schemes)
        ]
        assert words not in live(web)
        web.controller.edit(*rows, name="cards")
        web.caught_up()
        assert words in live(web)


def test_every_kind_of_card_has_words() -> None:
    """An officer reads a bare code."""
    assert CARD_WORDS.keys() == CARD_SCHEMES | {""}


@pytest.mark.req("A-12")
def test_a_device_is_trusted_again_by_two(web: Any) -> None:
    """One officer could put back a reader that he had opened himself."""
    web.controller.edit(("device_status", {"id": "rd-1", "is_trusted": False}))
    web.caught_up()
    assert [(one["id"], one["is_trusted"]) for one in web.client.get("/api/v1/devices").json()] == [("rd-1", False)]
    assert "rd-1" in live(web)
    told_of = web.signed(web.client.post("/api/v1/devices/rd-1/restore"))
    assert told_of["signers_needed"] == 2
    both = {"restored_by": "officer-01", "confirmed_by": "officer-03"}
    assert told(web) == ("device_status", {"id": "rd-1", "is_trusted": True, **both})
    assert web.client.get("/api/v1/devices").json() == []
    assert web.client.post("/api/v1/devices/rd-9/restore").status_code == 404


ORDERS = [
    ("presence/forgive", "forgive_presence", None),
    ("cardholders/c-1/forgive", "forgive_presence", "c-1"),
    ("cardholders/c-1/unlock-pin", "unlock_pin", "c-1"),
    ("fire/reset", "reset_fire", None),
]


def test_an_order_is_sent_once_for_this_start_and_names_its_record(web: Any) -> None:
    """An order could be carried out twice, or by a controller that was started since, or in another's name."""
    web.controller.edit(("cardholder", {"id": "c-1"}))
    web.caught_up()
    for nth, (path, act, who) in enumerate(ORDERS):
        key = f"order-00000{nth}"
        answer = web.client.post(f"/api/v1/{path}", headers={"Idempotency-Key": key})
        assert answer.status_code == 200 and answer.json() == {"act": act, "seq": len(web.controller.records) - 1}
        assert web.client.post(f"/api/v1/{path}", headers={"Idempotency-Key": key}).json() == answer.json()
        order = web.controller.heard_of("order")[-1]
        assert len(web.controller.heard_of("order")) == nth + 1
        assert (order["act"], order.get("cardholder"), order["boot"], order["id"]) == (act, who, "boot-1", key)
        assert order["officer"] == "officer-01"


def test_an_order_that_is_refused_says_why(web: Any) -> None:
    """An officer would believe that the doors lock again while the fire alarm still speaks."""
    officer = web.client
    web.controller.refusals = [{"code": "fire_lasts", "seq": 7}]
    answer = officer.post("/api/v1/fire/reset")
    assert answer.status_code == 409 and answer.json()["code"] == "fire_lasts" and answer.json()["seq"] == 7
    assert web.client.post("/api/v1/cardholders/c-9/unlock-pin").status_code == 404


@pytest.mark.req("A-30", "B-13")
def test_a_stolen_cookie_lifts_no_lock_of_a_pin(web: Any) -> None:
    """Somebody with an officer's cookie and a found card would try one PIN after the other."""
    web.controller.edit(("cardholder", {"id": "c-1"}))
    web.caught_up()
    assert web.client.get("/api/v1/session").status_code == 200, "signed in"
    sessions = web.parts.signing_in.sessions
    sessions._all = {name: replace(one, fresh_ms=0) for name, one in sessions._all.items()}
    for path in ("unlock-pin", "forgive"):
        answer = web.client.post(f"/api/v1/cardholders/c-1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "step_up")
    assert not web.controller.heard_of("order")


BEGINNINGS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    # begins with, ends with
    ("FIRE_ON", {"detail": {"device": "dr-1"}}, "FIRE_RESET", {}),
    ("POWER_LOST", {"detail": {"device": "dr-1"}}, "POWER_RESTORED", {"detail": {"device": "dr-1"}}),
    ("TAMPER", {"portal": "front", "detail": {"device": "rd-1"}}, "TAMPER_ENDED", {"detail": {"device": "rd-1"}}),
    (
        "LINE_FAULT",
        {"portal": "front", "detail": {"device": "dr-1", "line": "contact", "fault": "cut"}},
        "LINE_RESTORED",
        {"detail": {"device": "dr-1", "line": "contact"}},
    ),
    ("OSDP_INSTALL_ON", {"detail": {"device": "rd-1"}}, "OSDP_INSTALL_OFF", {"detail": {"device": "rd-1"}}),
    ("KEY_ROTATION_DUE", {"detail": {"key": "ntag424_read"}}, "KEY_ROTATED", {"detail": {"key": "ntag424_read"}}),
    (
        "KEY_ROTATION_DUE",
        {"detail": {"key": "rd-1"}},
        "ALARM_CEASED",
        {"detail": {"kind": "KEY_ROTATION_DUE", "row": "rd-1"}},
    ),
    (
        "COMMISSIONING",
        {"detail": {"place": "rd-1", "code": "no_key"}},
        "ALARM_CEASED",
        {"detail": {"kind": "COMMISSIONING", "row": "rd-1"}},
    ),
    *(
        (kind, {"zone": "vault"}, "ALARM_CEASED", {"zone": "vault", "detail": {"kind": kind}})
        for kind in ("OCCUPANCY_BELOW_MIN", "ESCORT_RATIO", "ZONE_UNATTENDED", "NOT_CLOSED", "REVIEW_OVERDUE")
    ),
    (
        "ESCORT_BROKEN",
        {"zone": "vault", "subject": {"cardholder": "v-1"}},
        "ALARM_CEASED",
        {"zone": "vault", "subject": {"cardholder": "v-1"}, "detail": {"kind": "ESCORT_BROKEN"}},
    ),
]


def test_an_alarm_stands_until_its_end_and_no_other(web: Any) -> None:
    """Everybody is calm while something is wrong, or cries over what ended yesterday."""
    for kind, begins, end, ends in BEGINNINGS:
        _begins_and_ends(web, kind, begins, end, ends)


def _begins_and_ends(web: Any, kind: str, begins: Any, end: str, ends: Any) -> None:
    def stands() -> bool:
        web.caught_up()
        return any(row.kind == kind for row in web.parts.view.alarms())

    web.controller.record(kind, **begins)
    web.controller.record("POWER_RESTORED", detail={"device": "another"})
    web.controller.record("ALARM_CEASED", zone="office", detail={"kind": kind})
    web.controller.record("FIRE_OFF", detail={"device": "dr-1"})
    assert stands(), kind
    web.controller.record(end, **ends)
    assert not stands(), kind
    web.controller.record(kind, **begins)
    web.controller.record("CONTROLLER_STARTED")
    assert not stands(), kind


@pytest.mark.req("B-10")
def test_duress_stands_first_and_tells_where(web: Any) -> None:
    """The one alarm that somebody's life hangs on would be found below a reader without power."""
    web.controller.record("DEVICE_OFFLINE", portal="front", detail={"device": "rd-1"})
    web.controller.record("DOOR_HELD", portal="side")
    web.controller.record("DURESS", portal="vault-door", zone="vault", subject={"cardholder": "c-1"})
    web.caught_up()
    page = live(web)
    duress = page.index("脅迫の合図 (本人は入室しています): 取扱室扉")
    assert duress < page.index("扉の長時間開放")


def test_every_alarm_that_lasts_has_its_words() -> None:
    """The page would fail on the day that something new is wrong."""
    from api.fold import ENDING, LASTING
    from api.words import ALARM_DOS, ALARMS, TYPES

    assert set(LASTING) <= set(ALARMS) and set(LASTING) <= set(TYPES) and set(ENDING) <= set(TYPES)
    assert all(set(words) == {"ja", "en"} for words in ALARMS.values())
    assert set(ALARM_DOS) == set(ALARMS) - {"deviations"}


def test_a_reader_that_is_not_believed_is_told_with_its_door_why_and_what_to_do(web: Any) -> None:
    """The officer reads an id that he does not know, and that two people are needed; not where, and not for what."""
    web.controller.record("DEVICE_ONLINE", portal="front", detail={"device": "rd-1"})
    web.controller.record("READER_UNTRUSTED", detail={"device": "rd-1", "why": "key_lost"})
    web.controller.record("LINE_NOISE", detail={"device": "rd-1"})
    web.controller.edit(("device_status", {"id": "rd-1", "is_trusted": False}))
    web.caught_up()
    alarms, _, events = live(web).partition('<div class="columns">')
    assert "正面玄関 (rd-1)" in alarms and "sekisho devices install" in alarms
    told = events.partition("読取装置の信頼を外した")[2].partition("</tr>")[0]
    assert "正面玄関" in told and "rd-1: 当所の鍵を知らない" in told
    assert "正面玄関" in events.partition("回線の雑音")[2].partition("</tr>")[0]


@pytest.mark.req("A-34")
def test_a_copied_card_is_an_alarm_for_whoever_was_not_looking(web: Any) -> None:
    """A copy is tried at night, and in the morning it is one of a thousand lines."""
    extra = {"portal": "vault-door", "zone": "vault", "subject": {"cardholder": "c-1"}, "detail": {"code": "copied"}}
    web.controller.record("CREDENTIAL_ALARM", **extra)
    for device in ("rd-1", "rd-2", "rd-3"):
        web.controller.record("DEVICE_OFFLINE", portal="front", detail={"device": device})
    web.caught_up()
    alarms = live(web).partition('<div class="columns">')[0]
    assert "カードの異常 (複製・紛失・使い回しなど): 取扱室扉" in alarms and "本人とカードを確かめる" in alarms
    assert alarms.index("カードの異常") < alarms.index("機器の応答なし")
