"""Every kind of rule, dialogue and alarm, from the reader's event to the record, the strike and the light."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.ledger.body import Draft, Scribe
from controller.link.messages import Done, Refused
from tests.controller.conftest import VKEY, roster
from tests.controller.rich_site import CARDS, people, site_text, walks_in, walks_out
from tests.officers import proposal
from zones.ids import CardholderId
from zones.places import ZoneState

SATO, SUZUKI, GUEST = "h-sato", "h-suzuki", "h-guest"
PIN, DURESS = "493817", "720465"


def badges(site: Any, who: str, zone: str) -> Any:
    site.badges(CARDS[who], f"rd-{zone}")
    return site.last


def alarms(site: Any, *left_out: str) -> list[str]:
    """Alarms by record type, presence of devices aside."""
    known = {"REX_SUSPECT", "ZONE_UNATTENDED", *left_out}
    return [b.type for b in site.records if b.type.isupper() and b.type in ALARMS - known]


ALARMS = {
    "DURESS", "CREDENTIAL_ALARM", "APB_VIOLATION", "PIN_LOCKED", "FIRE_ON", "FIRE_OFF", "TAMPER", "TAMPER_ENDED",
    "LINE_FAULT", "LINE_RESTORED", "REX_SUSPECT", "TAILGATE", "OCCUPANCY_BELOW_MIN", "ESCORT_BROKEN", "ZONE_UNATTENDED",
    "DOOR_FORCED", "DOOR_HELD", "POWER_LOST", "NOT_CLOSED", "REVIEW_OVERDUE", "OVERRIDE_ENDED", "RULE_ERROR",
}  # fmt: skip


def shown(site: Any) -> list[str]:
    taken = site.shown
    site.effects.clear()
    return taken


@pytest.fixture
def rich(make_site: Any) -> Any:
    """Makes the rich site with some keys of zones and portals, and its people."""

    def make(*roles: str, entry: Any = None, **more: Any) -> Any:
        site = make_site(text=site_text(**more))
        people(site, *roles, **(entry or {}))
        return site

    return make


# -- PINs ----------------------------------------------------------------------------------------------------------


def with_pin(rich: Any, *who: str) -> Any:
    site = rich()
    for one in who:
        assert isinstance(site.proposes(("pin", {"id": one, "pin": PIN, "duress": DURESS})), Done)
    assert isinstance(site.proposes(("site_status", {"id": "site", "threat_level": 1})), Done)
    for one in who:
        _enters_office(site, one)
    site.effects.clear()
    return site


def _enters_office(site: Any, who: str) -> None:
    """The office has no keypad, so the threat level is lifted for a moment."""
    assert isinstance(site.proposes(("site_status", {"id": "site", "threat_level": 0})), Done)
    walks_in(site, who, "office")
    assert isinstance(site.proposes(("site_status", {"id": "site", "threat_level": 1})), Done)


@pytest.mark.req("A-33", "B-13")
def test_a_raised_threat_asks_for_a_pin_at_once(rich: Any) -> None:
    """A warning would change nothing until somebody had walked to every reader."""
    site = with_pin(rich, SATO)
    site.badges(CARDS[SATO], "rd-lab")
    assert shown(site) == ["enter_pin"] and site.releases == []
    site.types(PIN, "rd-lab")
    assert site.last.type == "ACCESS_GRANTED" and site.last.evidence.pin == "RIGHT"
    assert shown(site) == ["granted"]


@pytest.mark.req("B-10")
def test_a_duress_pin_opens_like_any_and_alarms_in_silence(rich: Any) -> None:
    """Whoever stands beside would see that help was called."""
    site = with_pin(rich, SATO)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    usual = site.unnumbered(site.effects)
    site.passes(20_000)
    site.effects.clear()
    site.badges(CARDS[SATO], "rd-lab")
    site.types(DURESS, "rd-lab")
    assert [type(e) for e in site.effects] == [type(e) for e in usual] and shown(site) == ["enter_pin", "granted"]
    assert site.last.type == "ACCESS_GRANTED" and site.last.reason == "OK"
    assert alarms(site) == ["DURESS"]
    site.passes(20_000)
    assert isinstance(site.changes(("roster", {"id": "r-h-sato-lab", "is_suspended": True})), Done)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(DURESS, "rd-lab")
    assert site.last.reason == "NOT_ON_ROSTER" and alarms(site) == ["DURESS", "DURESS"]  # forced, and refused


@pytest.mark.req("B-13")
def test_five_misses_lock_a_pin_until_an_officer_lifts_it(rich: Any) -> None:
    """Ten thousand guesses would open the laboratory."""
    site = with_pin(rich, SATO)
    for _ in range(5):
        site.badges(CARDS[SATO], "rd-lab")
        site.types("111333", "rd-lab")
        assert (site.last.type, site.last.reason) == ("ACCESS_DENIED", "PIN_WRONG")
        site.passes(1500)
    assert alarms(site) == ["PIN_LOCKED"]
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    assert site.last.reason == "PIN_LOCKED" and site.releases == []
    site.passes(1500)
    assert isinstance(site.orders("unlock_pin", SATO), Done)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("B-13", "E-04")
def test_a_pin_is_asked_of_every_card_and_answered_alike(rich: Any) -> None:
    """A found card could be tried to learn whether it is known here."""
    site = with_pin(rich, SATO, SUZUKI)
    stories = []
    for number in (CARDS[SATO], CARDS[SUZUKI], CARDS[GUEST], "04999999"):
        site.effects.clear()
        site.badges(number, "rd-lab")
        site.passes(1000)
        site.types("111333", "rd-lab")
        stories.append(site.unnumbered(site.effects))
        site.passes(40_000)
    assert all(story == stories[0] for story in stories)
    assert [e.shown.value for e in stories[0]] == ["enter_pin", "refused"]


def test_a_pin_that_nobody_types_is_a_refusal_after_the_same_time(rich: Any) -> None:
    """A card without its PIN would keep the reader busy, or tell by its silence that it is known."""
    site = with_pin(rich, SATO)
    for number in (CARDS[SATO], "04999999"):
        site.effects.clear()
        site.badges(number, "rd-lab")
        site.passes(9_999)
        assert site.shown == ["enter_pin"]
        site.passes(2)
        assert site.shown == ["enter_pin", "refused"]
        site.passes(5_000)
    site.types(PIN, "rd-lab")
    assert site.releases == [] and "MESSAGE_REFUSED" in site.story()


@pytest.mark.req("B-13", "E-10")
def test_a_pin_is_kept_nowhere_and_a_weak_one_is_refused(rich: Any) -> None:
    """Whoever copied the ledger would have everybody's PIN."""
    site = with_pin(rich, SATO)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    for record in site.ledger.scan(0):
        for part in (record.leaf, record.body or b""):
            assert PIN.encode() not in part and DURESS.encode() not in part
    for weak in ("123456", "19800101", "1234"):
        answer = site.proposes(("pin", {"id": SUZUKI, "pin": weak}))
        assert isinstance(answer, Refused) and answer.field == "pin" and weak not in answer.why
    digits = ("pin", {"id": SUZUKI, "pin": PIN})
    assert isinstance(site.asks(proposal([digits], site=VKEY, id="digits-01", base="0", not_after_ms=0)), Refused)
    assert SUZUKI not in site.engine.policy.policy.pins


# -- two people, nobody alone, escorts -------------------------------------------------------------------------------


@pytest.mark.req("B-04")
@pytest.mark.parametrize(
    ("second", "after_ms", "is_granted"),
    [(SUZUKI, 20_000, True), (SATO, 20_000, False), (SUZUKI, 31_000, False), (GUEST, 5_000, False)],
    ids=["A+B in 20 s", "A+A", "A then B at 31 s", "A+guest"],
)
def test_two_different_people_open_a_two_person_zone_in_time(
    rich: Any, second: str, after_ms: int, is_granted: bool
) -> None:
    """One person with two presentations would be two people."""
    site = rich(room={"dual_window_ms": 30_000, "occupancy_min": 2})
    walks_in(site, SATO, "office")
    walks_in(site, SUZUKI, "office")
    site.effects.clear()
    site.badges(CARDS[SATO], "rd-room")
    assert site.shown == ["second_card"] and site.releases == []
    site.passes(after_ms)
    site.badges(CARDS[second], "rd-room")
    site.passes(31_000 - min(after_ms, 30_999))
    granted = [b for b in site.records if b.type == "ACCESS_GRANTED" and b.zone == "room"]
    assert bool(granted) is is_granted and bool(site.releases) is is_granted
    if is_granted:
        assert [c.cardholder for c in granted[0].companions] == [SUZUKI]
        assert site.engine.occupancy.count({"room"}) == 0


@pytest.mark.req("B-04", "B-05")
def test_both_of_two_who_enter_together_are_inside_afterwards(rich: Any) -> None:
    """The second one would be a ghost: not on the muster list, free to enter again."""
    site = rich(room={"dual_window_ms": 30_000, "occupancy_min": 2})
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office")
    site.badges(CARDS[SATO], "rd-room")
    site.badges(CARDS[SUZUKI], "rd-room")
    site.goes_through("dr-room")
    passed = [b.subject.cardholder for b in site.records if b.type == "PASSAGE" and b.zone == "room"]
    assert passed == [SATO, SUZUKI]
    assert {who: p.zone for who, p in site.engine.occupancy.where.items()} == {SATO: "room", SUZUKI: "room"}
    walks_out(site, SUZUKI, "room")
    site.passes(61_000)
    assert "OCCUPANCY_BELOW_MIN" in alarms(site)
    assert site.releases[-1].portal == "room"  # and the one who stayed gets out all the same
    walks_out(site, SATO, "room")
    assert site.engine.occupancy.count({"room"}) == 0


@pytest.mark.req("A-06")
def test_a_visitor_enters_behind_an_escort_and_never_alone(rich: Any) -> None:
    """A stranger would walk through the building by himself."""
    more = {"visitors_allowed": True}
    site = rich(SATO, entry={"is_escort": True}, office=more, lab=more)
    assert badges(site, GUEST, "office").reason == "NEED_ESCORT"
    site.passes(1500)
    walks_in(site, SATO, "office")
    assert badges(site, GUEST, "office").type == "ACCESS_GRANTED"
    site.goes_through("dr-office")
    site.passes(31_000)
    walks_out(site, SATO, "office")
    site.passes(6_000)
    assert "ESCORT_BROKEN" in alarms(site)
    walks_out(site, GUEST, "office")
    assert site.engine.occupancy.certain_zone(CardholderId(GUEST)) == "outside"


@pytest.mark.req("A-06", "A-19")
def test_a_visitor_enters_a_protected_zone_only_while_it_is_sanitised(rich: Any) -> None:
    """A visitor would read what lies open on the desk."""
    more = {"visitors_allowed": True}
    site = rich(SATO, entry={"is_escort": True}, office=more, lab=more, vault=more)
    walks_in(site, SATO, "office")
    walks_in(site, GUEST, "office")
    walks_in(site, SATO, "lab")
    walks_in(site, GUEST, "lab")
    walks_in(site, SATO, "vault")
    assert badges(site, GUEST, "vault").reason == "SANITISE_FIRST"
    site.passes(1500)
    one = {"id": "vault", "state": "OPEN_ATTENDED", "sanitised_by": "officer-01"}
    site.proposes(("zone_status", one))
    assert badges(site, GUEST, "vault").type == "ACCESS_DENIED"  # one person's word
    site.passes(1500)
    assert isinstance(site.proposes(("zone_status", one | {"sanitised_confirmed_by": "officer-02"})), Done)
    assert badges(site, GUEST, "vault").type == "ACCESS_GRANTED"


@pytest.mark.req("A-32")
def test_break_glass_takes_two_people_and_ends_by_itself(rich: Any) -> None:
    """One officer could let a friend into the vault, and it would stay open for good."""
    site = rich()
    override = {
        "id": "o-1", "zone": "vault", "cardholders": ["h-tanaka"], "reason_code": "RESCUE", "started_by": "officer-01",
        "approved_by": "officer-01", "from_ms": site.now_ms, "until_ms": site.now_ms + 30 * 60_000,
    }  # fmt: skip
    assert isinstance(site.proposes(("override", override)), Refused)
    for row in ("office", "lab"):
        walks_in(site, "h-tanaka", row)
    assert isinstance(site.changes(("roster", {"id": "r-h-tanaka-vault", "is_suspended": True})), Done)
    assert isinstance(site.proposes(("override", override | {"approved_by": "officer-02"})), Done)
    assert badges(site, "h-tanaka", "vault").reason == "SANITISE_FIRST"
    site.passes(1500)
    sanitised = {"sanitised_by": "officer-01", "sanitised_confirmed_by": "officer-02"}
    site.proposes(("zone_status", {"id": "vault", "state": "OPEN_ATTENDED", **sanitised}))
    assert badges(site, "h-tanaka", "vault").type == "ACCESS_GRANTED"
    site.passes(31 * 60_000)
    assert badges(site, "h-tanaka", "vault").reason == "NOT_ON_ROSTER"
    assert "OVERRIDE_ENDED" in alarms(site)


# -- openers ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("C-01", "C-04")
def test_a_secured_zone_is_opened_by_two_openers_and_secured_by_the_last_one(rich: Any) -> None:
    """One person alone could open the vault in the morning, or nobody could say who closed it at night."""
    site = rich(SATO, SUZUKI, entry={"is_opener": True}, room={"needs_opener": True})
    assert isinstance(site.proposes(("zone_status", {"id": "room", "state": "SECURED"})), Done)
    for who in (SATO, SUZUKI, "h-tanaka"):
        walks_in(site, who, "office")
    site.badges(CARDS[SATO], "rd-room")
    site.badges(CARDS["h-tanaka"], "rd-room")
    assert site.last.reason == "ZONE_SECURED"
    site.passes(1500)
    site.badges(CARDS[SATO], "rd-room")
    site.badges(CARDS[SUZUKI], "rd-room")
    assert site.last.type == "ACCESS_GRANTED"
    assert site.engine.policy.policy.zone_state("room") is ZoneState.SECURED  # nobody has gone in yet
    site.goes_through("dr-room")
    site.passes(5_000)
    assert site.engine.policy.policy.zone_state("room") is ZoneState.OPEN_ATTENDED
    assert "ZONE_OPENED" in site.story()
    walks_in(site, "h-tanaka", "room")
    for who in ("h-tanaka", SATO, SUZUKI):
        walks_out(site, who, "room")
    site.passes(295_000)
    assert "ZONE_UNATTENDED" not in [b.type for b in site.records]
    site.passes(3_000)
    assert "ZONE_UNATTENDED" in [b.type for b in site.records]
    assert badges(site, "h-tanaka", "room").reason == "ZONE_UNATTENDED"
    site.passes(5_000)
    assert badges(site, SATO, "room").type == "ACCESS_GRANTED"
    site.passes(2_000)
    site.badges(CARDS[SATO], "rd-room")
    site.passes(1_000)
    assert "ZONE_SECURED" in site.story()
    assert site.engine.policy.policy.zone_state("room") is ZoneState.SECURED


@pytest.mark.req("A-16")
def test_a_lockdown_holds_everybody_out_but_those_who_may_and_nobody_in(rich: Any) -> None:
    """An intruder would walk on, or people would be locked in with him."""
    site = rich(SATO, entry={"may_enter_lockdown": True})
    walks_in(site, SUZUKI, "office")
    assert isinstance(site.proposes(("site_status", {"id": "site", "is_locked_down": True})), Done)
    assert badges(site, "h-tanaka", "office").reason == "LOCKDOWN"
    assert badges(site, SATO, "office").type == "ACCESS_GRANTED"
    assert isinstance(site.commands("office"), Refused)
    site.passes(5_000)
    site.effects.clear()
    walks_out(site, SUZUKI, "office")
    assert [r.portal for r in site.releases] == ["office"]


# -- what guards a portal ----------------------------------------------------------------------------------------------


@pytest.mark.req("A-12")
def test_a_reader_that_was_opened_is_not_trusted_until_two_people_say_so(rich: Any) -> None:
    """Whoever opened the reader and soldered a wire to it would be let in by it."""
    site = rich()
    site.signals("tamper", "rd-office")
    assert badges(site, SATO, "office").reason == "READER_UNTRUSTED"
    site.signals("tamper", "rd-office", is_active=False)
    site.passes(1500)
    assert badges(site, SATO, "office").reason == "READER_UNTRUSTED"
    site.presses_rex("dr-office")
    assert len(site.releases) == 1  # and the way out is free
    site.passes(5_000)
    alone = {"id": "rd-office", "is_trusted": True, "restored_by": "officer-01"}
    assert isinstance(site.proposes(("device_status", alone)), Refused)
    assert isinstance(site.proposes(("device_status", alone | {"confirmed_by": "officer-02"})), Done)
    assert badges(site, SATO, "office").type == "ACCESS_GRANTED"
    assert alarms(site) == ["TAMPER", "TAMPER_ENDED"]


@pytest.mark.req("B-09")
@pytest.mark.parametrize("fault", ["cut", "short"])
def test_a_cut_line_is_told_and_what_it_watches_is_not_trusted(rich: Any, fault: str) -> None:
    """A cut wire at the contact would be a door that is always shut."""
    site = rich()
    site.closes("dr-office")
    site.breaks("contact", "dr-office", fault)
    assert badges(site, SATO, "office").reason == "READER_UNTRUSTED"
    site.presses_rex("dr-office")
    assert len(site.releases) == 1
    site.passes(5_000)
    site.closes("dr-office")
    assert badges(site, SATO, "office").type == "ACCESS_GRANTED"
    told = [(b.type, b.detail.get("fault")) for b in site.records if b.type in ("LINE_FAULT", "LINE_RESTORED")]
    assert told == [("LINE_FAULT", fault), ("LINE_RESTORED", None)]


@pytest.mark.req("A-13")
def test_the_inner_portal_of_a_vestibule_waits_for_the_outer_one(rich: Any) -> None:
    """Somebody would hold the outer leaf and let a second person slip through both."""
    both = {"lab": {"interlock_with": ["vault"]}, "vault": {"interlock_with": ["lab"]}}
    site = rich(lab={"is_vestibule": True}, portals=both)
    for name in ("office", "lab", "vault"):
        site.closes(f"dr-{name}")
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office")
    site.badges(CARDS[SATO], "rd-lab")
    site.opens("dr-lab")
    assert badges(site, SATO, "vault").reason == "INTERLOCK"
    site.presses_rex("dr-vault")
    assert site.releases[-1].portal == "vault"  # whoever is inside gets out
    site.passes(4_000)
    site.closes("dr-lab")
    site.passes(4_000)
    assert badges(site, SATO, "vault").type == "ACCESS_GRANTED"
    site.passes(5_000)
    walks_in(site, SUZUKI, "lab")
    assert badges(site, SUZUKI, "vault").reason == "INTERLOCK"  # two in the vestibule


# -- fire, power, REX, people counters ---------------------------------------------------------------------------------


@pytest.mark.req("D-25", "B-07")
def test_a_fire_locks_nothing_again_until_somebody_resets_it(rich: Any) -> None:
    """A door would lock itself in front of people who run."""
    site = rich()
    walks_in(site, SATO, "office")
    site.badges(CARDS[SUZUKI], "rd-office")
    site.signals("fire", "fire-panel")
    site.passes(60_000)
    assert [s for s in site.secures if s.portal == "office"] == site.secures[:1]
    before = len(site.secures)
    assert site.engine.occupancy.where[CardholderId(SATO)].is_certain is False
    for _ in range(3):
        site.presses_rex("dr-office")
        site.goes_through("dr-office")
        site.passes(10_000)
    assert len(site.secures) == before and "DOOR_FORCED" not in alarms(site)
    answer = site.orders("reset_fire")
    assert isinstance(answer, Refused) and answer.code == "fire_lasts"
    site.signals("fire", "fire-panel", is_active=False)
    site.passes(60_000)
    assert len(site.secures) == before
    assert isinstance(site.orders("reset_fire"), Done)
    assert len(site.secures) > before


@pytest.mark.req("D-25", "B-11")
def test_a_fire_input_releases_no_entry(rich: Any) -> None:
    """Whoever pulls the alarm would be let into the vault."""
    site = rich()
    site.signals("fire", "fire-panel")
    site.passes(60_000)
    assert site.releases == [] and badges(site, "h-guest", "vault").type == "ACCESS_DENIED"


@pytest.mark.req("B-25")
def test_a_rex_where_nobody_is_frees_the_way_and_is_told(rich: Any) -> None:
    """A wire pushed under the door would open it from outside and nobody would ever hear of it."""
    site = rich()
    site.presses_rex("dr-room")
    assert [r.portal for r in site.releases] == ["room"]
    assert [b.type for b in site.records].count("REX_SUSPECT") == 1
    walks_in(site, SATO, "office", "room")
    site.presses_rex("dr-room")
    assert [b.type for b in site.records].count("REX_SUSPECT") == 1


@pytest.mark.req("B-24")
def test_two_people_on_one_grant_are_told(rich: Any) -> None:
    """A stranger would walk in behind somebody who was let in."""
    site = rich(portals={"office": {"counter": "dr-office"}})
    site.badges(CARDS[SATO], "rd-office")
    site.opens("dr-office")
    site.counts(2, "dr-office")
    site.closes("dr-office")
    tailgates = [b.detail for b in site.records if b.type == "TAILGATE"]
    assert tailgates == [{"counted": 2, "granted": 1}]


@pytest.mark.req("B-23")
def test_one_card_at_two_places_faster_than_anybody_walks_is_an_alarm(make_site: Any) -> None:
    """A copy of a card could be used while its holder is inside."""
    walk = '\n[[walk]]\nid = "far"\none = "office"\nother = "room"\nmin_ms = 60000\n'
    site = make_site(text=site_text() + walk)
    people(site)
    walks_in(site, SATO, "office")
    site.passes(5_000)
    assert badges(site, SATO, "room").reason == "IMPOSSIBLE_TRAVEL"
    assert [b.detail["code"] for b in site.records if b.type == "CREDENTIAL_ALARM"] == ["impossible_travel"]
    site.passes(60_000)
    assert badges(site, SATO, "room").type == "ACCESS_GRANTED"


@pytest.mark.req("A-02")
def test_a_lost_card_is_refused_and_told(rich: Any) -> None:
    """Whoever found it could try every door until somebody looked at the log."""
    site = rich()
    assert isinstance(site.changes(("credential", {"id": "c-h-sato", "state": "LOST"})), Done)
    assert badges(site, SATO, "office").reason == "CARD_INACTIVE"
    assert [b.detail["code"] for b in site.records if b.type == "CREDENTIAL_ALARM"] == ["lost"]


@pytest.mark.req("B-06")
def test_an_officer_forgives_a_wrong_presence(rich: Any) -> None:
    """Somebody whose exit was not seen would be held out until a restart."""
    site = rich()
    walks_in(site, SATO, "office", "lab", "vault")
    assert badges(site, SATO, "vault").reason == "APB"
    assert isinstance(site.orders("forgive_presence", SATO), Done)
    site.passes(1500)
    assert badges(site, SATO, "vault").type == "ACCESS_GRANTED"
    forgiven = [b.subject.cardholder for b in site.records if b.type == "PRESENCE_FORGIVEN"]
    assert forgiven == [SATO]


# -- standing modes ---


def test_a_portal_stands_unlocked_in_its_hours_and_locks_after_them(rich: Any) -> None:
    """The front entrance would stay shut in office hours, or open at night."""
    site = rich(portals={"office": {"unlock_schedule": "day"}})
    site.passes(11_000)
    assert {r.portal for r in site.releases} == {"office"}
    first = [b.type for b in site.records].index("PORTAL_MODE")
    assert site.records[first].detail == {"mode": "UNLOCKED"}
    site.effects.clear()
    site.passes(60_000)
    assert 5 <= len(site.releases) <= 7 and all(r.for_ms <= 15_000 for r in site.releases)
    site.goes_through("dr-office")
    assert "DOOR_FORCED" not in alarms(site)
    site.passes(8 * 3_600_000)  # 20:00 has passed
    site.effects.clear()
    site.passes(60_000)
    assert site.releases == []
    assert [b.detail["mode"] for b in site.records if b.type == "PORTAL_MODE"] == ["UNLOCKED", "CARD"]


def test_no_portal_stands_unlocked_before_its_record_is_durable(rich: Any) -> None:
    """A full disk would leave a door open that nobody can prove was to be."""
    from controller.ledger.errors import LedgerUnavailable

    def full() -> None:
        raise LedgerUnavailable("full")

    site = rich(portals={"office": {"unlock_schedule": "day"}})
    assert isinstance(site.proposes(("portal_status", {"id": "office", "mode": "CARD"})), Done)
    site.passes(20_000)
    site.effects.clear()
    until = {"until_ms": site.now_ms + 30_000}
    assert isinstance(site.proposes(("portal_status", {"id": "office", "mode": "CARD", **until})), Done)
    site.disk = full
    site.passes(60_000)  # the officer's word is over: the schedule would unlock
    assert site.releases == [] and not site.core.is_writable


def test_an_officer_locks_a_portal_and_cards_open_it_no_more(rich: Any) -> None:
    """A door that must stay shut would open for the next card."""
    site = rich()
    assert isinstance(site.proposes(("portal_status", {"id": "office", "mode": "LOCKED"})), Done)
    assert badges(site, SATO, "office").reason == "PORTAL_LOCKED"
    site.presses_rex("dr-office")
    assert len(site.releases) == 1


def test_a_portal_into_a_protected_zone_is_never_put_open(rich: Any) -> None:
    """One click would open the vault to everybody in the laboratory."""
    site = rich()
    for mode in ({"mode": "UNLOCKED"}, {"mode": "ATTENDED", "until_ms": site.now_ms + 60_000}):
        site.proposes(("portal_status", {"id": "vault", **mode}))
        site.passes(30_000)
        assert site.releases == []


# -- the number on a refusal ---


@pytest.mark.req("E-04")
def test_every_refusal_shows_a_number_and_the_record_has_it(rich: Any) -> None:
    """An officer on the telephone could not find which refusal somebody asks about."""
    site = rich()
    numbers = []
    for n in range(50):
        site.effects.clear()
        site.badges(f"0499{n:04x}", "rd-office")
        (show,) = site.effects
        assert show.number is not None and len(show.number) == 4
        assert set(show.number) <= set("23456789BCDFGHJKMNPQRSTVWXZ")
        assert site.last.number == show.number
        numbers.append(show.number)
    assert len(set(numbers)) == 50


@pytest.mark.req("D-03")
def test_nobody_has_two_places_on_one_roster_at_once(rich: Any) -> None:
    """A second place that somebody forgot would keep the door open for a suspended person."""
    site = rich()
    second = roster(SATO, "office") | {"id": "r-second"}
    answer = site.proposes(("roster", second))
    assert isinstance(answer, Refused) and "r-h-sato-office" in answer.why
    assert isinstance(site.changes(("roster", {"id": "r-h-sato-office", "ended_on": "2026-11-24"})), Done)
    assert isinstance(site.proposes(("roster", second)), Done)


def test_a_rule_that_breaks_refuses_and_is_an_alarm(rich: Any) -> None:
    """A mistake of ours would let somebody in, or hold everybody out without anybody hearing why."""
    site = rich()

    def breaks(_ask: object) -> None:
        raise ZeroDivisionError

    standing, policy = site.engine._standing, site.engine.policy.policy
    plan = policy.plans["office.in"]
    (place, _, usual), *rest = plan.questions.checks[1:]
    broken = replace(plan.questions, checks=((place, breaks, usual), *rest), traces={})
    planted = {**policy.plans, "office.in": replace(plan, questions=broken)}
    standing.at = replace(standing.at, policy=replace(policy, plans=planted))
    assert badges(site, SATO, "office").reason == "RULE_ERROR"
    assert [b.detail["rule"] for b in site.records if b.type == "RULE_ERROR"] == ["D02"]


@pytest.mark.req("A-19")
def test_a_zone_that_is_taken_into_use_is_sanitised_no_more(rich: Any) -> None:
    """Yesterday's word would let a visitor in among what lies open today."""
    site = rich(SATO, SUZUKI, entry={"is_opener": True}, vault={"needs_opener": True})
    put_away = {"sanitised_by": "officer-01", "sanitised_confirmed_by": "officer-02"}
    assert isinstance(site.proposes(("zone_status", {"id": "vault", "state": "SECURED", **put_away})), Done)
    for who in (SATO, SUZUKI):
        walks_in(site, who, "office", "lab")
    site.badges(CARDS[SATO], "rd-vault")
    site.badges(CARDS[SUZUKI], "rd-vault")
    site.goes_through("dr-vault")
    site.passes(5_000)
    status = site.engine.policy.policy.zone_statuses["vault"]
    assert status.state is ZoneState.OPEN_ATTENDED and not status.is_sanitised


@pytest.mark.req("B-13")
def test_a_locked_pin_stays_locked_whatever_the_ledger_has_forgotten(rich: Any) -> None:
    """Whoever guesses would only have to wait for the next restart."""
    site = with_pin(rich, SATO)
    for _ in range(5):
        site.badges(CARDS[SATO], "rd-lab")
        site.types("111333", "rd-lab")
        site.passes(1500)
    assert site.engine.policy.policy.pins[SATO].is_locked
    site.engine._standing.misses = type(site.engine._standing.misses)()  # a start that looks back no further
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    assert site.last.reason == "PIN_LOCKED"
    site.passes(1500)
    assert isinstance(site.orders("unlock_pin", SATO), Done)
    site.passes(1500)
    site.badges(CARDS[SATO], "rd-lab")
    site.types(PIN, "rd-lab")
    assert site.last.type == "ACCESS_GRANTED" and not site.engine.policy.policy.pins[SATO].is_locked


def test_only_a_guests_record_names_who_brought_him(rich: Any) -> None:
    """At a busy portal every record would name everybody of the last half minute."""
    more = {"visitors_allowed": True}
    site = rich(SATO, entry={"is_escort": True}, office=more)
    walks_in(site, SATO, "office")
    assert badges(site, SUZUKI, "office").escorts == ()
    site.passes(1500)
    site.goes_through("dr-office")
    assert {one.cardholder for one in badges(site, GUEST, "office").escorts} >= {SATO}


class BrokenScribe(Scribe):
    """A scribe that cannot write of exits: a mistake of ours, or a value that the format has no place for."""

    def draft(self, type_: str, **fields: Any) -> Draft:
        if type_ in ("REX", "EXIT_GRANTED"):
            raise ValueError(type_)
        return super().draft(type_, **fields)


def test_an_exit_that_cannot_be_told_of_is_free_all_the_same(rich: Any) -> None:
    """A mistake in a record would lock somebody in."""
    site = rich()
    walks_in(site, SATO, "office")
    site.passes(5_000)
    site.effects.clear()
    site.engine._standing.scribe = BrokenScribe(node="test", boot=site.boot)
    site.presses_rex("dr-office")
    assert [r.portal for r in site.releases] == ["office"]
    site.passes(5_000)
    site.badges(CARDS[SATO], "rd-office-out")
    assert [r.portal for r in site.releases] == ["office", "office"] and site.shown == ["granted"]
    assert [b.detail["rule"] for b in site.records if b.type == "RULE_ERROR"] == ["InputChanged", "CardRead"]
