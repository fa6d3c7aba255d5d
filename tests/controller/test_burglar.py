"""The burglar, the insider and the saboteur: every way in that was tried, through public faces only."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.clock import wall_ms
from controller.desk import LinkRequest
from controller.ledger.errors import LedgerUnavailable
from controller.link.messages import Command, Done, Order, Refused
from controller.link.recorded import BEGINNING, History
from controller.policy_log import PolicyAt, next_revision
from controller.turn import ShowAtReader
from readers.events import CardRead, DeviceOffline, DeviceOnline, InputChanged, KeysEntered, LineFault
from tests.controller.conftest import VKEY, first_edit
from tests.controller.rich_site import CARDS, people, site_text, walks_in, walks_out
from tests.officers import proposal as signed
from tests.share import share
from zones.places import ZoneState
from zones.portal import ReleaseStrike
from zones.review.replay import replay

SATO, SUZUKI, TANAKA, GUEST = "h-sato", "h-suzuki", "h-tanaka", "h-guest"
PIN, OTHER_PIN = "493817", "720465"


@pytest.fixture
def rich(make_site: Any) -> Any:
    """Makes the rich site with some keys of zones and portals, and its people."""

    def make(*roles: str, entry: Any = None, text: str = "", **more: Any) -> Any:
        site = make_site(text=site_text(**more) + text)
        people(site, *roles, **(entry or {}))
        return site

    return make


def full() -> None:
    raise LedgerUnavailable("full")


def fails_once(site: Any) -> None:
    """The next commit fails, and no other."""

    def once() -> None:
        site.disk = lambda: None
        raise LedgerUnavailable("a torn cable")

    site.disk = once


def recovers(site: Any) -> None:
    site.disk = lambda: None
    site.passes(5_000)
    assert site.core.is_writable


def card(site: Any, number: str, reader: str) -> CardRead:
    site.ids += 1
    return CardRead(
        source=reader, number=bytes.fromhex(number), kind="mqtt", read_id=f"r{site.ids}", at_ms=wall_ms(site.at)
    )


def proposal(site: Any, *puts: Any) -> LinkRequest:
    site.ids += 1
    message = signed(
        puts,
        site=VKEY,
        id=f"edit-{site.ids:06}",
        base=site.engine.policy.revision,
        not_after_ms=wall_ms(site.at) + 5000,
    )
    return LinkRequest(session=1, message=message)


def line(device: str, name: str, *, is_active: bool = True) -> InputChanged:
    return InputChanged(source=device, line=name, is_active=is_active, is_level_report=False)


def types(site: Any) -> list[str]:
    return [body.type for body in site.records]


def released(site: Any, portal: str) -> int:
    return sum(1 for one in site.releases if one.portal == portal)


def shuts_all(site: Any) -> None:
    """Every contact says that its leaf is shut."""
    for name in ("office", "lab", "vault", "room"):
        site.closes(f"dr-{name}")
    site.effects.clear()


# -- PINs ------------------------------------------------------------------------------------------------------------


def asks_pin(site: Any, *who: str) -> None:
    """Sato and Suzuki have PINs, and the laboratory asks for one from now on."""
    for one, pin in zip(who, (PIN, OTHER_PIN), strict=False):
        assert isinstance(site.proposes(("pin", {"id": one, "pin": pin})), Done)
    for one in who:
        walks_in(site, one, "office")
    assert isinstance(site.proposes(("site_status", {"id": "site", "threat_level": 1})), Done)
    site.effects.clear()


@pytest.mark.req("B-13")
def test_a_companions_pin_is_locked_after_five_misses_as_well(rich: Any) -> None:
    """An insider with his own card first could try every PIN of a stolen one behind it."""
    site = rich(lab={"dual_window_ms": 30_000, "occupancy_min": 2})
    asks_pin(site, SATO, SUZUKI)
    for _ in range(5):
        site.badges(CARDS[SATO], "rd-lab")
        site.types(PIN, "rd-lab")
        site.badges(CARDS[SUZUKI], "rd-lab")
        site.types("111333", "rd-lab")
        assert site.last.type == "ACCESS_DENIED"
        site.passes(2_000)
    assert types(site).count("PIN_LOCKED") == 1
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    site.badges(CARDS[SUZUKI], "rd-lab")
    site.types(OTHER_PIN, "rd-lab")
    assert site.last.type == "ACCESS_DENIED" and site.releases == []
    assert site.last.companions[0].evidence.pin == "LOCKED"


@pytest.mark.req("B-13")
def test_a_pin_that_locks_elsewhere_meanwhile_opens_nothing(rich: Any) -> None:
    """With copies of a card at ten readers ten more guesses would be free."""
    site = rich(lab={"dual_window_ms": 30_000, "occupancy_min": 2}, room={"min_factors": 2})
    asks_pin(site, SATO, SUZUKI)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")  # right, and now the second card is awaited
    for _ in range(5):
        site.badges(CARDS[SATO], "rd-room")
        site.types("111333", "rd-room")
        site.passes(1_500)
    site.badges(CARDS[SUZUKI], "rd-lab")
    site.types(OTHER_PIN, "rd-lab")
    assert site.last.access_point == "lab.in" and site.last.type == "ACCESS_DENIED"
    assert released(site, "lab") == 0


@pytest.mark.req("B-13")
def test_digits_typed_before_the_card_are_nobodys(rich: Any) -> None:
    """Digits that a broker held back would be tried on the next person's card, and lock it."""
    site = rich()
    asks_pin(site, SATO, SUZUKI)
    site.badges(CARDS[SATO], "rd-lab")
    late = KeysEntered(source="rd-lab", digits=PIN, read_id="k-late", at_ms=wall_ms(site.at) + 500)
    site.passes(1_500)
    site.badges(CARDS[SUZUKI], "rd-lab")
    site.happens(late)
    assert not [b for b in site.records if b.evidence is not None and b.evidence.pin == "WRONG"]
    site.types(OTHER_PIN, "rd-lab")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("A-24")
def test_a_refused_pin_on_a_full_disk_stops_no_door(rich: Any) -> None:
    """An officer's weak PIN, hashed while the disk filled up, would stop the controller."""
    site = rich()
    request = proposal(site, ("pin", {"id": SATO, "pin": "123456"}))
    site.core.take([request], site.now())  # its hash is being made
    site.disk = full
    site.badges("04999999", "rd-office")  # and the disk is full now
    assert not site.core.is_writable
    site.happens()
    site.presses_rex("dr-office")
    assert released(site, "office") == 1
    recovers(site)


@pytest.mark.req("B-13")
def test_a_flood_of_pins_is_refused_before_anybody_hashes_it(rich: Any) -> None:
    """The web process could keep the controller hashing for hours, and fill its memory with what waits."""
    site = rich()
    answer = site.proposes(*(("pin", {"id": SATO, "pin": PIN}) for _ in range(101)))
    assert isinstance(answer, Refused) and answer.field == "puts"
    hashed: list[Any] = []
    for _ in range(50):
        before = len(site.answered)
        site.core.take([proposal(site, ("pin", {"id": SATO, "pin": PIN}))], site.now())
        hashed += list(site.answered)[before:]
    assert len(hashed) < 20
    site.happens()
    assert isinstance(site.proposes(("pin", {"id": SATO, "pin": PIN})), Done)


# -- the enclosure of a reader ----------------------------------------------------------------------------------------


@pytest.mark.req("A-12")
def test_a_tamper_while_the_disk_fails_is_not_forgotten(rich: Any) -> None:
    """Whoever opens a reader while the disk hiccups would have it trusted again by closing it."""
    site = rich()
    fails_once(site)
    site.signals("tamper", "rd-office")
    recovers(site)
    site.signals("tamper", "rd-office", is_active=False)
    site.passes(2_000)
    site.badges(CARDS[SATO], "rd-office")
    assert site.last.reason == "READER_UNTRUSTED" and released(site, "office") == 0
    assert not site.engine.policy.policy.device_statuses["rd-office"].is_trusted


@pytest.mark.req("A-12")
def test_a_reader_that_was_opened_for_a_moment_lets_nobody_in(rich: Any) -> None:
    """A card that comes with the tamper and its end in one message burst would be believed."""
    site = rich()
    site.happens(
        line("rd-office", "tamper"), line("rd-office", "tamper", is_active=False), card(site, CARDS[SATO], "rd-office")
    )
    assert site.last.reason == "READER_UNTRUSTED" and site.releases == []


@pytest.mark.req("A-12")
def test_trust_does_not_come_back_while_the_enclosure_is_open(rich: Any) -> None:
    """Two people who take the alarm for a false one would trust the reader that is being rebuilt."""
    site = rich()
    site.signals("tamper", "rd-office")
    restored = {"id": "rd-office", "is_trusted": True, "restored_by": "officer-01", "confirmed_by": "officer-02"}
    site.proposes(("device_status", restored))
    site.signals("tamper", "rd-office", is_active=False)
    site.passes(2_000)
    site.badges(CARDS[SATO], "rd-office")
    assert site.last.reason == "READER_UNTRUSTED"
    assert isinstance(site.proposes(("device_status", restored)), Done)
    site.passes(2_000)
    site.badges(CARDS[SATO], "rd-office")
    assert site.last.type == "ACCESS_GRANTED"


# -- interlock ---------------------------------------------------------------------------------------------------------

VESTIBULE: Any = {"lab": {"interlock_with": ["room"]}, "room": {"interlock_with": ["lab"]}}


@pytest.mark.req("A-13")
@pytest.mark.parametrize("is_one_drain", [True, False], ids=["one drain", "one commit later"])
def test_two_cards_at_once_release_one_of_two_interlocked_portals(rich: Any, is_one_drain: bool) -> None:
    """Two people who count to three would stand both leaves of a vestibule open."""
    site = rich(portals=VESTIBULE)
    shuts_all(site)
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office")
    site.passes(5_000)
    site.effects.clear()
    cards = [card(site, CARDS[SATO], "rd-lab"), card(site, CARDS[SUZUKI], "rd-room")]
    if is_one_drain:
        site.happens(*cards)
    else:
        site.is_stalled = True
        for one in cards:
            site.happens(one)
        site.is_stalled = False
        site.settles()
    assert len({one.portal for one in site.releases}) == 1
    assert site.last.reason == "INTERLOCK"
    site.passes(10_000)
    site.badges(CARDS[SUZUKI], "rd-room")
    assert site.last.type == "ACCESS_GRANTED"  # and it is free again afterwards


@pytest.mark.req("A-13")
def test_a_grant_that_failed_holds_no_interlocked_portal_back(rich: Any) -> None:
    """After one failed commit the vestibule would refuse everybody until a restart."""
    site = rich(portals=VESTIBULE)
    shuts_all(site)
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office")
    site.passes(5_000)
    fails_once(site)
    site.badges(CARDS[SATO], "rd-lab")
    recovers(site)
    site.badges(CARDS[SUZUKI], "rd-room")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("A-13", "A-16")
def test_an_officers_release_goes_around_no_interlock_lock_or_secured_zone(rich: Any) -> None:
    """A call to the guard would open the second leaf, the locked door, or the room in the secured zone."""
    site = rich(portals=VESTIBULE)
    shuts_all(site)
    site.presses_rex("dr-lab")
    site.opens("dr-lab")
    answer = site.commands("room")
    assert isinstance(answer, Refused) and answer.code == "interlock"
    site.closes("dr-lab")
    site.passes(5_000)
    assert isinstance(site.proposes(("portal_status", {"id": "room", "mode": "LOCKED"})), Done)
    answer = site.commands("room")
    assert isinstance(answer, Refused) and answer.code == "portal_locked"
    assert isinstance(site.proposes(("portal_status", {"id": "room", "mode": "CARD"})), Done)
    assert isinstance(site.proposes(("zone_status", {"id": "office", "state": "SECURED"})), Done)
    answer = site.commands("room")
    assert isinstance(answer, Refused) and answer.code == "zone_secured"
    assert released(site, "room") == 0


@pytest.mark.req("A-13", "D-24")
def test_a_leaf_that_opens_while_the_disk_works_holds_the_other_one_back(rich: Any) -> None:
    """Somebody who leaves at the right moment would let somebody in through the second leaf."""
    site = rich(portals=VESTIBULE)
    shuts_all(site)
    walks_in(site, SATO, "office")
    site.passes(5_000)
    site.is_stalled = True
    site.badges(CARDS[SATO], "rd-lab")
    site.presses_rex("dr-room")
    site.opens("dr-room")
    assert released(site, "room") == 1
    site.is_stalled = False
    site.settles()
    assert released(site, "lab") == 0 and site.last.reason == "INTERLOCK"


@pytest.mark.req("A-12")
def test_a_reader_that_is_opened_in_the_moment_of_the_badge_lets_nobody_in(rich: Any) -> None:
    """The release would leave for a reader that is known by then to be in somebody's hands."""
    site = rich()
    site.happens(card(site, CARDS[SATO], "rd-office"), line("rd-office", "tamper"))
    assert site.releases == [] and "RELEASE_EXPIRED" in types(site)
    assert site.shown == ["out_of_order"]


@pytest.mark.req("B-24")
def test_one_person_who_badges_twice_is_one_person(rich: Any) -> None:
    """An insider would show his card twice and bring a stranger past the people counter."""
    site = rich(portals={"office": {"counter": "dr-office"}})
    site.badges(CARDS[SATO], "rd-office")
    site.passes(1_200)
    site.badges(CARDS[SATO], "rd-office")
    assert site.last.type == "ACCESS_GRANTED"
    site.opens("dr-office")
    site.counts(2, "dr-office")
    assert "TAILGATE" in types(site)


# -- edits that race with badges ---------------------------------------------------------------------------------------

LOCKDOWN: Any = ("site_status", {"id": "site", "is_locked_down": True})


@pytest.mark.req("A-16")
@pytest.mark.parametrize("is_edit_first", [True, False])
def test_nobody_is_released_once_a_lockdown_is_in_force(rich: Any, is_edit_first: bool) -> None:
    """Whoever badged in the same moment would walk in after the lockdown."""
    site = rich()
    events: list[Any] = [proposal(site, LOCKDOWN), card(site, CARDS[SATO], "rd-office")]
    site.happens(*(events if is_edit_first else reversed(events)))
    assert site.engine.policy.policy.site.is_locked_down
    last_on = max((n for n, e in enumerate(site.effects) if e in site.releases), default=-1)
    last_off = max((n for n, e in enumerate(site.effects) if e in site.secures), default=-1)
    assert last_on < 0 or last_off > last_on, "the strike stays on in the lockdown"
    site.opens("dr-office")
    assert "DOOR_FORCED" in types(site) and "PASSAGE" not in types(site)


@pytest.mark.req("A-16")
def test_a_lockdown_takes_back_what_waits_but_no_exit(rich: Any) -> None:
    """An intruder's release would outlast the lockdown, or somebody who leaves would be cut off."""
    site = rich()
    shuts_all(site)
    site.badges(CARDS[SATO], "rd-office")
    site.presses_rex("dr-room")
    site.effects.clear()
    assert isinstance(site.proposes(LOCKDOWN), Done)
    assert [one.portal for one in site.secures] == ["office"]
    site.goes_through("dr-room")
    assert "EXIT" in types(site)


@pytest.mark.req("A-16")
def test_an_officers_release_dies_with_a_lockdown_too(rich: Any) -> None:
    """A release under way would open after the lockdown was in force."""
    site = rich()
    site.ids += 1
    command = Command(
        id=f"command-{site.ids:06}", boot=site.boot, not_after_ms=wall_ms(site.at) + 3000, portal="office",
        reason="visitor", officer="officer-01",
    )  # fmt: skip
    site.happens(proposal(site, LOCKDOWN), LinkRequest(session=1, message=command))
    assert released(site, "office") == 0


@pytest.mark.req("A-04")
def test_a_card_lost_in_the_same_moment_opens_nothing(rich: Any) -> None:
    """The finder's badge would be released after the card's loss was in force, and nobody would be told."""
    site = rich()
    lost = site.engine.policy.policy.credentials["c-h-sato"]
    row = {"id": lost.id, "cardholder": SATO, "number_hash": lost.number_hash, "last4": lost.last4, "state": "LOST"}
    site.happens(proposal(site, ("credential", row)), card(site, CARDS[SATO], "rd-office"))
    assert site.releases == [] and site.shown == ["refused"]
    site.passes(2_000)
    site.badges(CARDS[SUZUKI], "rd-office")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("A-04")
def test_an_edit_about_others_holds_nobody_up(rich: Any) -> None:
    """At the start of work every edit would send somebody back to badge again."""
    site = rich()
    site.happens(proposal(site, ("cardholder", {"id": "h-new"})), card(site, CARDS[SATO], "rd-office"))
    assert released(site, "office") == 1 and site.shown == ["granted"]


# -- opening and securing ----------------------------------------------------------------------------------------------


def opened_room(rich: Any, *roles: str, **more: Any) -> Any:
    site = rich(*roles, entry={"is_opener": True}, room={"needs_opener": True}, **more)
    shuts_all(site)
    return site


@pytest.mark.req("C-01")
def test_one_person_never_reopens_a_zone_that_was_secured_behind_his_badge(rich: Any) -> None:
    """Who was granted a second before the guard secured the room would open it for the whole night."""
    site = opened_room(rich, SATO)
    for who in (SATO, TANAKA):
        walks_in(site, who, "office")
    site.badges(CARDS[SATO], "rd-room")
    assert site.last.type == "ACCESS_GRANTED"
    assert isinstance(site.proposes(("zone_status", {"id": "room", "state": "SECURED"})), Done)
    site.goes_through("dr-room")
    site.passes(5_000)
    assert site.engine.policy.policy.zone_state("room") is ZoneState.SECURED
    assert "ZONE_OPENED" not in types(site)


@pytest.mark.req("C-01", "C-04")
def test_securing_by_card_takes_the_openers_own_release_back(rich: Any) -> None:
    """The reader says secured, and the door stands released behind the back of the last one to leave."""
    site = opened_room(rich, SATO, portals={"room": {"release_ms": 10_000}})
    walks_in(site, SATO, "office")
    site.passes(5_000)
    site.effects.clear()
    site.badges(CARDS[SATO], "rd-room")
    site.passes(2_000)
    site.badges(CARDS[SATO], "rd-room")
    assert "ZONE_SECURED" in types(site)
    assert [one.portal for one in site.secures] == ["room"]
    site.opens("dr-room")
    assert "DOOR_FORCED" in types(site)
    assert site.engine.policy.policy.zone_state("room") is ZoneState.SECURED


@pytest.mark.req("C-01")
def test_a_zone_is_not_secured_while_somebody_is_on_his_way_in(rich: Any) -> None:
    """Somebody would be inside a room that everybody believes empty and closed."""
    second = (
        '\n[[device]]\nid = "rd-side"\nkind = "mqtt"\n[[device]]\nid = "dr-side"\nkind = "mqtt"\n[[portal]]\n'
        'id = "side"\nname_ja = "side"\nname_en = "side"\nouter = "office"\ninner = "room"\nentry_reader = "rd-side"\n'
        'strike = "dr-side"\ncontact = "dr-side"\nrex = "dr-side"\nexit_hardware = "HANDLE"\n'
    )
    site = opened_room(rich, SATO, SUZUKI, text=second)
    site.closes("dr-side")
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office")
    site.passes(5_000)
    site.badges(CARDS[SATO], "rd-room")
    site.passes(1_500)
    site.badges(CARDS[SUZUKI], "rd-side")
    assert site.last.type == "ACCESS_GRANTED"
    site.badges(CARDS[SATO], "rd-room")
    assert "ZONE_SECURED" not in types(site)
    site.passes(10_000)
    site.opens("dr-side")  # forced, and nobody knows who went in
    site.badges(CARDS[SATO], "rd-room")
    site.passes(1_500)
    site.badges(CARDS[SATO], "rd-room")
    assert "ZONE_SECURED" not in types(site)


@pytest.mark.req("C-01")
def test_a_card_shown_again_after_somebody_went_in_secures_nothing(rich: Any) -> None:
    """An opener who sends a helper in on his card, and out by the button, would lock him in the books."""
    site = opened_room(rich, SATO)
    walks_in(site, SATO, "office")
    site.passes(5_000)
    site.badges(CARDS[SATO], "rd-room")
    site.goes_through("dr-room")
    site.badges(CARDS[SATO], "rd-room-out")
    site.goes_through("dr-room")
    site.passes(1_500)
    site.badges(CARDS[SATO], "rd-room")
    assert "ZONE_SECURED" not in types(site)


@pytest.mark.req("C-01")
def test_securing_is_not_shown_as_done_when_it_could_not_be_recorded(rich: Any) -> None:
    """The last one would go home from a room that is open."""
    site = opened_room(rich, SATO)
    walks_in(site, SATO, "office")
    site.passes(5_000)
    site.badges(CARDS[SATO], "rd-room")
    site.passes(2_000)
    site.effects.clear()
    fails_once(site)
    site.badges(CARDS[SATO], "rd-room")
    assert site.shown == ["out_of_order"]
    recovers(site)
    assert site.engine.policy.policy.zone_state("room") is ZoneState.SECURED


# -- standing open -----------------------------------------------------------------------------------------------------


@pytest.mark.req("A-24")
def test_no_portal_stands_open_while_nothing_can_be_recorded(rich: Any) -> None:
    """With the disk full the front door would let everybody in unrecorded, all day."""
    site = rich(portals={"office": {"unlock_schedule": "day"}})
    site.passes(11_000)
    assert site.releases
    site.disk = full
    site.badges("04999999", "rd-lab")
    site.passes(20_000)
    site.effects.clear()
    site.passes(30_000)
    assert released(site, "office") == 0
    site.presses_rex("dr-office")
    assert released(site, "office") == 1
    recovers(site)
    site.passes(20_000)
    assert released(site, "office") > 1


@pytest.mark.req("B-03")
def test_an_officers_release_is_nobodys_first_entry(rich: Any) -> None:
    """A parcel let in at eight would unlock the entrance of an empty house for the day."""
    site = rich(portals={"office": {"unlock_schedule": "day", "first_in": True}})
    site.passes(11_000)
    assert isinstance(site.commands("office"), Done)
    site.goes_through("dr-office")
    site.effects.clear()
    site.passes(60_000)
    assert site.releases == []
    site.badges(CARDS[SATO], "rd-office")
    site.goes_through("dr-office")
    site.effects.clear()
    site.passes(60_000)
    assert site.releases


# -- escorts -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-06")
@pytest.mark.parametrize("is_leaving", [False, True], ids=["never went in", "went in and left"])
def test_an_escort_who_is_not_there_brings_nobody(rich: Any, is_leaving: bool) -> None:
    """An escort would badge a visitor through and go for lunch."""
    more = {"visitors_allowed": True}
    site = rich(SATO, entry={"is_escort": True}, office=more)
    shuts_all(site)
    site.badges(CARDS[SATO], "rd-office")
    assert site.last.type == "ACCESS_GRANTED"
    if is_leaving:
        site.goes_through("dr-office")
        walks_out(site, SATO, "office")
    site.passes(6_000)
    site.badges(CARDS[GUEST], "rd-office")
    assert site.last.reason == "NEED_ESCORT"


# -- the disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-24")
def test_a_disk_that_fails_now_and_then_stops_no_door(rich: Any) -> None:
    """One failed commit among others would stop the controller, and every exit reader with it."""
    site = rich(portals={"office": {"unlock_schedule": "day"}})
    assert isinstance(site.proposes(("portal_status", {"id": "office", "mode": "CARD"})), Done)
    site.passes(10_000)
    site.is_stalled = True
    site.badges("04999999", "rd-room")
    site.happens(proposal(site, ("portal_status", {"id": "office", "mode": "UNLOCKED"})))
    site.badges("04999998", "rd-room")
    site.is_stalled = False
    fails_once(site)
    site.settles()
    site.presses_rex("dr-room")
    assert released(site, "room") == 1
    recovers(site)


@pytest.mark.req("D-24")
def test_a_mad_clock_holds_nobody_in(rich: Any) -> None:
    """A time server that says the year 9999 would stop the loop, and with it every exit."""
    site = rich(portals={"office": {"unlock_schedule": "day"}})
    site.at = datetime(9999, 12, 31, 23, 50, tzinfo=UTC)
    site.effects.clear()
    site.presses_rex("dr-room")
    site.happens(CardRead(source="rd-office-out", number=bytes.fromhex(CARDS[SATO]), kind="mqtt"))
    assert released(site, "room") == 1 and released(site, "office") >= 1


@pytest.mark.req("B-06")
def test_an_order_that_holds_is_not_answered_as_undone(rich: Any) -> None:
    """An officer would be told that nothing was changed, and the PIN would be unlocked all the same."""
    site = rich()
    fails_once(site)
    answer = site.orders("forgive_presence", SATO)
    assert isinstance(answer, Refused) and "nothing was changed" not in answer.why


# -- a storm -----------------------------------------------------------------------------------------------------------

_NAMES = ("office", "lab", "vault", "room")
_ODD_ROWS: tuple[tuple[str, Any], ...] = (
    ("zone_status", {"id": "nowhere", "state": "SECURED"}),
    ("zone_status", {"id": "office"}),
    ("zone_status", {}),
    ("portal_status", {"id": "office", "mode": "WIDE_OPEN"}),
    ("portal_status", {"id": "office", "mode": "UNLOCKED", "until_ms": -1}),
    ("portal_status", {"id": 7, "mode": ["UNLOCKED"]}),
    ("portal", {"id": "office"}),
    ("pin", {"id": SATO, "pin": 493817}),
    ("pin", {"pin": PIN}),
    ("pin", {"id": SATO, "pin": PIN, "duress": "493818"}),
    ("device_status", {"id": "RD", "is_trusted": False}),
    ("device_status", {"id": "rd-lab", "is_trusted": True}),
    ("cardholder", {"id": "h-" + "x" * 500}),
    ("credential", {"id": "c-9", "cardholder": SATO, "number": "zz"}),
    ("credential", {"id": "c-9", "cardholder": SATO, "number": 10**40}),
    ("cardholder", {"id": "h-9", "held_extra_ms": 10**30}),
    ("cardholder", {"id": "h-9", "held_extra_ms": 1.5}),
    ("roster", {"id": "r-9", "cardholder": "h-none", "zone": "office"}),
    ("override", {"id": "o-9", "zone": "vault", "cardholders": [[]]}),
    ("no_table", {"id": None}),
    ("visit", {"id": "v-9", "zones": {"a": {"b": [None]}}}),
    ("site_status", {"id": "site", "threat_level": True}),
    ("\ud800", {"id": "\ud800"}),
)


_A_PIN = re.compile(rf"(?<![0-9a-f])(?:{PIN}|{OTHER_PIN})(?![0-9a-f])".encode())
"""Standing by itself: six digits stand in some hash now and then."""


class Storm:
    """Everybody does everything, in an order that a seed gives. Each step is held against P2 and P3."""

    def __init__(self, site: Any, seed: int) -> None:
        self.site = site
        self.dice = random.Random(seed)
        self.latest = site.at
        self.portal = {f"rd-{name}-out": name for name in _NAMES} | {f"dr-{name}": name for name in _NAMES}

    def blows(self, steps: int) -> None:
        for _ in range(steps):
            site = self.site
            events = [event for _ in range(self.dice.choice((1, 1, 1, 2, 5))) if (event := self.event()) is not None]
            before, size = len(site.effects), site.ledger.size
            site.happens(*events)
            self.holds(events, before, size)
            self.weather()

    def event(self) -> Any:  # noqa: PLR0911 - one line per kind of event
        """Something that somebody does or a wire says."""
        dice, site, name = self.dice, self.site, self.dice.choice(_NAMES)
        number = dice.choice((*CARDS.values(), "04999999"))
        match dice.choices(range(14), (9, 9, 9, 9, 4, 3, 9, 9, 9, 1, 1, 1, 4, 3))[0]:
            case 0 | 1 | 2 | 3:
                return card(site, number, f"rd-{name}")
            case 4:
                return card(site, number, f"rd-{name}-out")
            case 5:
                return line(f"dr-{name}", "rex")
            case 6 | 7:
                is_released = bool(site.releases) and site.releases[-1].portal == name
                is_going = dice.random() < (0.7 if is_released else 0.1)
                return line(f"dr-{name}", "contact", is_active=is_going)
            case 8:
                source = dice.choice((f"rd-{name}", f"dr-{name}", "stranger"))
                digits = dice.choice((PIN, OTHER_PIN, "111333"))
                return KeysEntered(source=source, digits=digits, read_id=f"k{dice.random()}", at_ms=wall_ms(site.at))
            case 9:
                what = dice.choice((("fire", "fire-panel"), ("power", "fire-panel"), ("tamper", f"rd-{name}")))
                return line(what[1], what[0], is_active=dice.random() < 0.3)
            case 10:
                fault: Any = dice.choice(("cut", "short"))
                where = dice.choice((("contact", f"dr-{name}"), ("rex", f"dr-{name}"), ("tamper", f"rd-{name}")))
                return LineFault(source=where[1], line=where[0], fault=fault, is_level_report=False)
            case 11:
                return dice.choice((DeviceOffline(source=f"rd-{name}", why="gone"), DeviceOnline(source=f"rd-{name}")))
            case 12:
                return self.edit(name)
            case _:
                return self.order(name)

    def edit(self, name: str) -> LinkRequest:
        dice = self.dice
        sane: tuple[tuple[str, Any], ...] = (
            ("zone_status", {"id": name, "state": dice.choice(("SECURED", "OPEN_ATTENDED"))}),
            ("zone_status", {"id": name, "state": "OPEN_ATTENDED", "is_locked_down": dice.random() < 0.3}),
            ("portal_status", {"id": name, "mode": dice.choice(("LOCKED", "CARD", "UNLOCKED"))}),
            ("site_status", {"id": "site", "threat_level": dice.randrange(3), "is_locked_down": dice.random() < 0.2}),
            ("pin", {"id": SATO, "pin": PIN}),
        )
        return proposal(self.site, dice.choice((*sane, *sane, dice.choice(_ODD_ROWS))))

    def order(self, name: str) -> LinkRequest:
        site, dice = self.site, self.dice
        site.ids += 1
        same = {"id": f"asked-{site.ids:06}", "boot": site.boot, "not_after_ms": wall_ms(site.at) + 2000}
        officer = dice.choice(("officer-01", "NOT AN OFFICER"))
        who = dice.choice((None, SATO, "h-nobody"))
        act = dice.choice(("forgive_presence", "unlock_pin", "reset_fire", "open_sesame"))
        messages: tuple[Any, ...] = (
            Command(**same, portal=dice.choice((name, "nowhere")), reason="visitor", officer=officer),
            Order(**same, act=act, officer=officer, cardholder=who),
        )
        return LinkRequest(session=1, message=dice.choice(messages))

    def weather(self) -> None:
        """Time goes by; the disk stalls, fails and recovers; the clock is set back and right again."""
        dice, site = self.dice, self.site
        roll = dice.random()
        if roll < 0.03:
            site.is_stalled = True
        elif roll < 0.05:
            site.disk = full
        elif roll < 0.08:
            fails_once(site)
        elif roll < 0.09:
            site.at -= timedelta(hours=1)
        elif roll > 0.7:
            site.is_stalled, site.disk = False, lambda: None
            site.at = max(site.at, self.latest)
        elif roll > 0.63:
            self.repairs()
        self.latest = max(site.at, self.latest)
        before = len(site.effects)
        if roll < 0.5:
            site.passes(dice.choice((10, 300, 1_100, 2_500, 12_000, 40_000)))
        self.holds([], before, site.ledger.size)

    def repairs(self) -> None:
        """Somebody mends what was broken, and people are where their cards were read last."""
        site = self.site
        for name in _NAMES:
            site.happens(DeviceOnline(source=f"rd-{name}"), line(f"rd-{name}", "tamper", is_active=False))
            site.closes(f"dr-{name}")
            trusted = {"is_trusted": True, "restored_by": "officer-01", "confirmed_by": "officer-02"}
            for row in (
                ("device_status", {"id": f"rd-{name}", **trusted}),
                ("zone_status", {"id": name, "state": "OPEN_ATTENDED"}),
                ("portal_status", {"id": name, "mode": "CARD"}),
                ("site_status", {"id": "site"}),
            ):
                site.proposes(row)
        site.orders("forgive_presence")

    def holds(self, events: list[Any], before: int, size: int) -> None:
        """Nothing was released before its record (P2), everybody who leaves was let out (P3), nothing broke."""
        site = self.site
        effects = [one for one in site.effects[before:] if isinstance(one, ReleaseStrike)]
        bodies = [draft.body for turn in site.queue for draft in turn.records]
        unrecorded = {b.corr for b in bodies if b.type in ("ACCESS_GRANTED", "RELEASED")}
        assert not unrecorded & {one.grant_id for one in effects if one.grant_id is not None}
        for event in events:
            is_exit = isinstance(event, CardRead) and event.source.endswith("-out")
            is_press = isinstance(event, InputChanged) and event.line == "rex"
            if is_exit or is_press:
                assert any(one.portal == self.portal[event.source] for one in effects), event
        for record in site.ledger.read(size, 4_000):
            body = record.decoded()
            assert body is None or body.type != "RULE_ERROR", body
            text = (record.body or b"") + record.leaf
            assert not _A_PIN.search(text), body
        assert all(one.portal != "vault" or one.grant_id is not None or events for one in effects)


@pytest.mark.req("D-24", "A-24")
@pytest.mark.parametrize("seed", range(share(2, many=12)))
def test_no_storm_holds_anybody_in_or_lets_anybody_in_unrecorded(rich: Any, seed: int) -> None:
    """Some order of badges, edits, faults and failures that nobody thought of would stop a door, or open one."""
    zones: Any = {
        "office": {"visitors_allowed": True},
        "lab": {"dual_window_ms": 20_000, "occupancy_min": 2} if seed % 2 else {"is_vestibule": True},
        "room": {"needs_opener": True},
    }
    portals: Any = {"office": {"unlock_schedule": "day", "first_in": True}}
    if seed % 3:
        portals |= {"lab": {"interlock_with": ["vault"]}, "vault": {"interlock_with": ["lab"]}}
    site = rich(SATO, SUZUKI, entry={"is_opener": True, "is_escort": True}, portals=portals, **zones)
    Storm(site, seed).blows(350)
    site.is_stalled, site.disk = False, lambda: None
    site.settles()
    site.passes(10_000)
    assert site.core.is_writable
    report = replay(_history(site).steps())
    assert report.decisions > 100 and report.is_same, report.differences[:3]


class _Line:
    """A record as the link sends it."""

    def __init__(self, record: Any) -> None:
        self.seq, self.leaf = record.seq, record.leaf.decode()
        self.body = None if record.body is None else record.body.decode()


def _history(site: Any) -> History:
    """The site's records from its layout on."""
    first = PolicyAt().after(first_edit(site.file), seq=0)
    begin = replace(BEGINNING, revision=first.revision, policies={first.revision: first.policy})
    return History(lambda seq: (_Line(one) for one in site.ledger.scan(seq)), begin=begin, revision_of=next_revision)


# -- what the reader betrays -------------------------------------------------------------------------------------------

NOBODYS = "04999999"
_REFUSED_PEOPLE = {
    "unknown card": (NOBODYS, ()),
    "guest": (CARDS[GUEST], ()),
    "suspended": (CARDS[TANAKA], (("roster", {"id": "r-h-tanaka-lab", "is_suspended": True}),)),
    "ended": (CARDS[TANAKA], (("cardholder", {"id": TANAKA, "ended_on": "2026-11-01"}),)),
    "lost": (CARDS[TANAKA], (("credential", {"id": "c-h-tanaka", "state": "LOST"}),)),
    "locked PIN": (CARDS[SUZUKI], ()),
    "wrong PIN": (CARDS[SATO], ()),
}
_LABS: dict[str, Any] = {
    "plain": {"min_factors": 3},
    "two people": {"dual_window_ms": 20_000, "occupancy_min": 2, "min_factors": 3},
    "openers": {"needs_opener": True},
}


def _told_at_reader(  # noqa: C901 - one line per thing that somebody does
    rich: Any, who: str, lab: str, seed: int
) -> list[tuple[int, Any]]:
    """What the laboratory's reader shows while somebody plays with it, and when."""
    number, changes = _REFUSED_PEOPLE[who]
    site = rich(SATO, SUZUKI, entry={"is_opener": True}, lab=_LABS[lab])
    shuts_all(site)
    for one in (SATO, SUZUKI):
        assert isinstance(site.proposes(("pin", {"id": one, "pin": PIN})), Done)
    if changes:
        assert isinstance(site.changes(*changes), Done)
    if lab != "plain":
        assert isinstance(site.proposes(("zone_status", {"id": "lab", "state": "SECURED"})), Done)
    if lab == "openers":
        assert isinstance(site.proposes(("site_status", {"id": "site", "threat_level": 1})), Done)
    for _ in range(5):
        site.badges(CARDS[SUZUKI], "rd-lab")
        site.types("111333", "rd-lab")
        site.passes(40_000)
    dice, start = random.Random(seed), site.tick_ms
    told: list[tuple[int, Any]] = []
    for _ in range(25):
        before = len(site.effects)
        match dice.randrange(6):
            case 0 | 1:
                site.badges(number, "rd-lab")
            case 2:
                site.badges(NOBODYS[:-1] + "8", "rd-lab")
            case 3:
                site.types("111333", "rd-lab")
            case _:
                for _ in range(dice.choice((1, 7, 21, 110))):
                    site.passes(300)
                    told += [(site.tick_ms - start, one) for one in site.unnumbered(site.effects[before:])]
                    before = len(site.effects)
        told += [(site.tick_ms - start, one) for one in site.unnumbered(site.effects[before:])]
    return [(tick, one) for tick, one in told if isinstance(one, ShowAtReader)]


@pytest.mark.req("E-04")
@pytest.mark.parametrize("lab", _LABS)
@pytest.mark.parametrize("seed", range(share(1, many=8)))
def test_whoever_is_refused_sees_what_a_stranger_sees_when_a_stranger_sees_it(rich: Any, lab: str, seed: int) -> None:
    """Whoever plays with a found card would learn from a light or a delay whether it is known here."""
    told = {who: _told_at_reader(rich, who, lab, seed) for who in _REFUSED_PEOPLE}
    assert any(show.shown.value == "refused" for _, show in told["unknown card"])
    for who, one in told.items():
        assert one == told["unknown card"], who
