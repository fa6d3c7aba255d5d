"""Threat level, 保全済, modes of doors, break-glass, one person's place and PIN, and the settings, on their pages."""

from __future__ import annotations

import time
from typing import Any

import pytest

ZONES = "/zone-acts/zones/vault"
CARDS = [
    ("credential", {"id": f"k-{n}", "cardholder": f"h-{n}", "number_hash": n * 32, "last4": n * 2, "state": state})
    for n, state in (("05", "LOST"), ("06", "ACTIVE"))
]


def proposed(web: Any, address: str, who: str, **fields: Any) -> dict[str, Any]:
    """The proposal that a form leads to."""
    answer = web.as_(who).post(address, data=fields)
    assert answer.status_code == 303, answer.text
    return dict(web.client.get("/api/v1" + answer.headers["location"]).json())


def signed(web: Any, told: dict[str, Any], *signers: str) -> None:
    for officer in signers:
        assert web.sign(told["id"], officer).status_code == 200
    web.caught_up()


@pytest.fixture(scope="module", autouse=True)
def people(shared: Any) -> None:
    shared.controller.edit(
        ("cardholder", {"id": "h-05"}), ("cardholder", {"id": "h-06"}),
        *CARDS,
        ("pin", {"id": "h-05", "salt": "00" * 16, "pin_hash": "00" * 32, "is_locked": True}),
    )  # fmt: skip
    shared.caught_up()


@pytest.mark.req("D-07")
def test_the_threat_level_goes_up_by_one_signature_and_down_by_two(shared: Any) -> None:
    """In an alarm everybody waits for a second officer; or one lowers the guard alone."""
    told = proposed(shared, "/zone-acts/threat", "guard-01", threat_level="1")
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    signed(shared, told, "guard-01")
    told = proposed(shared, "/zone-acts/threat", "officer-01", threat_level="0")
    assert (told["weight"], told["signers_needed"]) == ("WIDENS", 2)
    signed(shared, told, "officer-01", "officer-03")
    assert shared.parts.view.row("site_status", "site")["threat_level"] == 0
    assert shared.as_("guard-01").post("/zone-acts/threat", data={"threat_level": "3"}).status_code == 422


@pytest.mark.req("C-01")
def test_a_zone_is_sanitised_by_the_two_who_sign_and_ended_by_one(shared: Any) -> None:
    """Visitors stand among items that nobody put away; or items come out and they may still enter."""
    told = proposed(shared, f"{ZONES}/sanitise", "officer-01")
    assert told["signers_needed"] == 2
    signed(shared, told, "officer-01", "officer-03")
    row = shared.parts.view.row("zone_status", "vault")
    assert (row["sanitised_by"], row["sanitised_confirmed_by"]) == ("officer-01", "officer-03")
    told = proposed(shared, f"{ZONES}/end", "guard-01")
    assert told["signers_needed"] == 1
    signed(shared, told, "guard-01")
    assert "sanitised_by" not in shared.parts.view.row("zone_status", "vault")
    assert shared.as_("guard-01").post(f"{ZONES}/sanitise").status_code == 403
    assert shared.client.post("/zone-acts/zones/office/sanitise").status_code == 404


def test_a_door_is_locked_by_one_and_unlocked_by_two_and_never_into_a_protected_zone(shared: Any) -> None:
    """A door cannot be shut in time; or one officer leaves a protected room open."""
    cases = [("LOCKED", "", 1), ("LOCKED", "30", 2), ("UNLOCKED", "30", 2)]
    for mode, minutes, signers in cases:
        told = proposed(shared, "/zone-acts/doors", "officer-01", door="front", mode=mode, minutes=minutes)
        row = told["changes"][0]["row"]
        assert (told["signers_needed"], "until_ms" in row) == (signers, bool(minutes)), mode
    for door, mode, minutes in (("vault-door", "UNLOCKED", ""), ("nowhere", "LOCKED", ""), ("front", "LOCKED", "-1")):
        sent = {"door": door, "mode": mode, "minutes": minutes}
        assert shared.client.post("/zone-acts/doors", data=sent).status_code == 422, sent


@pytest.mark.req("A-32")
def test_break_glass_is_signed_by_two_ends_by_itself_or_now_by_one(shared: Any) -> None:
    """A burst pipe waits for the list of the zone; or whoever was let in for it may enter for ever."""
    asked = {"zone": "lab", "cardholder": ["h-05", "h-06"], "reason_code": "PIPE-7", "minutes": "30"}
    told = proposed(shared, "/zone-acts/glass", "officer-01", **asked)
    assert told["signers_needed"] == 2
    signed(shared, told, "officer-01", "officer-03")
    (row,) = shared.parts.view.rows("override")
    assert row["until_ms"] - row["from_ms"] == 30 * 60_000 and row["until_ms"] > time.time_ns() // 1_000_000
    page = shared.client.get("/zone-acts", params={"lang": "ja"}).text
    assert "PIPE-7" in page and f"/zone-acts/glass/{row['id']}/end" in page
    assert "PIPE-7" not in shared.as_("guard-01").get("/zone-acts").text
    told = proposed(shared, f"/zone-acts/glass/{row['id']}/end", "officer-01")
    assert told["signers_needed"] == 1
    signed(shared, told, "officer-01")
    assert "PIPE-7" not in shared.client.get("/zone-acts").text
    for wrong in ({"cardholder": []}, {"cardholder": ["h-99"]}, {"reason_code": ""}, {"minutes": "241"}):
        assert shared.client.post("/zone-acts/glass", data={**asked, **wrong}).status_code == 422, wrong


@pytest.mark.req("B-06", "B-13")
def test_one_person_s_place_and_pin_are_put_right_on_his_page(shared: Any) -> None:
    """Somebody stands before a door until an installer comes."""
    page = shared.client.get("/people/h-05").text
    assert "/people/h-05/forgive" in page and "/people/h-05/unlock-pin" in page
    for path, act in (("forgive", "forgive_presence"), ("unlock-pin", "unlock_pin")):
        answer = shared.client.post(f"/people/h-05/{path}", data={"key": f"key-{act}-0001"})
        assert answer.status_code == 200, answer.text
        assert 'href="/people/h-05?' in answer.text, "another language is a page, not the address of a form"
        heard = shared.controller.heard_of("order")[-1]
        assert (heard["act"], heard["cardholder"], heard["officer"]) == (act, "h-05", "officer-01")
    assert shared.as_("guard-01").post("/people/h-05/forgive").status_code == 403
    assert shared.client.post("/people/h-99/forgive").status_code == 404


@pytest.mark.req("A-02")
def test_a_lost_card_that_was_found_opens_again_when_two_have_signed(shared: Any) -> None:
    """A new card is bought for each that lay under a desk; or one officer revives a stolen one."""
    assert "/cards/k-05/found" in shared.client.get("/people/h-05").text
    told = proposed(shared, "/people/h-05/cards/k-05/found", "officer-01")
    assert (told["weight"], told["changes"][0]["row"]["state"]) == ("WIDENS", "ACTIVE")
    assert shared.client.post("/people/h-06/cards/k-06/found").status_code == 404
    assert shared.client.post("/people/h-05/cards/k-05/lost").status_code == 404


def test_the_settings_are_told_without_paths_and_secrets(shared: Any) -> None:
    """An engineer reads where the keys lie, or must sign in to the machine to know when the certificate ends."""
    page = shared.as_("engineer-01").get("/settings", params={"lang": "en"}).text
    assert "api.toml: idle_minutes" in page and "15 minutes" in page
    assert str(shared.settings.state_dir) not in page and str(shared.settings.socket) not in page
    assert shared.as_("guard-01").get("/settings").status_code == 403
