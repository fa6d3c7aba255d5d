"""Record, then act; exits first; nothing late, repeated or broken opens anything."""

from __future__ import annotations

from typing import Any

import pytest

from controller.ledger.errors import LedgerUnavailable
from controller.link.messages import Done, Refused
from readers.events import CardAnswered, CardRead, FileSent, InputChanged, MakerReplied
from zones.portal import ReleaseStrike

SATO = "04a1b2c3"
STRANGER = "04999999"


def full_disk() -> None:
    raise LedgerUnavailable("database or disk is full")


@pytest.mark.req("A-05")
def test_a_passage_is_one_story_in_the_ledger(site: Any) -> None:
    """An auditor could not tell who went in and whether they did."""
    site.badges(SATO, "rd-office")
    assert [r.portal for r in site.releases] == ["office"]
    site.opens("dr-office")
    site.closes("dr-office")
    site.passes(1500)
    site.badges(SATO, "rd-office-out")
    site.opens("dr-office")
    site.closes("dr-office")
    told_once = ("DEVICE_ONLINE", "DEVIATION")  # a relay here that never says what it does
    story = [(b.type, b.direction) for b in site.records if b.type not in told_once][1:]
    assert story == [
        ("ACCESS_GRANTED", "IN"),
        ("PASSAGE", "IN"),
        ("DOOR_CLOSED", None),
        ("EXIT_GRANTED", "OUT"),
        ("PASSAGE", "OUT"),
        ("DOOR_CLOSED", None),
    ]
    grants = {b.corr for b in site.records if b.type in ("ACCESS_GRANTED", "EXIT_GRANTED")}
    assert grants == {b.corr for b in site.records if b.type == "PASSAGE"}
    assert site.shown == ["granted", "granted"]


@pytest.mark.req("A-24")
def test_no_entry_is_released_before_its_record_is_durable(site: Any) -> None:
    """A strike would let go and nobody could prove for whom."""
    site.is_stalled = True
    site.badges(SATO, "rd-office")
    assert site.releases == [] and site.shown == []
    site.is_stalled = False
    site.settles()
    assert len(site.releases) == 1 and site.shown == ["granted"]


@pytest.mark.req("A-24")
def test_a_full_disk_stops_entries_and_never_an_exit(site: Any) -> None:
    """Somebody would enter unrecorded, or somebody would be locked in, because a disk is full."""
    site.disk = full_disk
    site.badges(SATO, "rd-office")
    assert site.releases == [] and site.shown == ["out_of_order"]
    site.passes(1500)
    site.badges(SATO, "rd-office")
    assert site.releases == []
    site.presses_rex("dr-office")
    assert len(site.releases) == 1
    site.badges(STRANGER, "rd-office-out")
    assert len(site.releases) == 2
    site.disk = lambda: None
    site.passes(2500)
    types = site.story()
    assert types.count("ACCESS_DENIED") == 2 and "ACCESS_GRANTED" not in types
    assert {b.reason for b in site.records if b.type == "ACCESS_DENIED"} == {"AUDIT_UNAVAILABLE"}
    for owed in ("REX", "EXIT_GRANTED", "STORAGE_FAILED", "STORAGE_RESTORED"):
        assert owed in types
    site.badges(SATO, "rd-office")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("A-24")
@pytest.mark.req("B-26")
def test_a_disk_that_stalls_neither_holds_a_strike_nor_releases_late(site: Any) -> None:
    """A door would stay open, or open when nobody stands there any more, because a disk is slow."""
    site.badges(SATO, "rd-office")
    site.is_stalled = True
    site.passes(1200)
    site.badges(SATO, "rd-office")
    site.passes(1900)
    assert [type(e) for e in site.effects if not hasattr(e, "shown")] == [ReleaseStrike, type(site.secures[0])]
    site.badges(SATO, "rd-vault")
    assert site.shown[-1] == "out_of_order"
    site.presses_rex("dr-office")
    assert len(site.releases) == 2
    site.passes(27_000)
    site.is_stalled = False
    site.settles()
    assert len(site.releases) == 2
    types = site.story()
    assert "RELEASE_EXPIRED" in types and "STORAGE_FAILED" in types and "STORAGE_RESTORED" in types
    site.badges(SATO, "rd-office")
    assert len(site.releases) == 3


@pytest.mark.req("B-11")
def test_owed_records_are_bounded_and_the_loss_is_said(site: Any) -> None:
    """A long outage would eat the memory, or hide how much was lost."""
    site.disk = full_disk
    site.badges(SATO, "rd-office")
    for _ in range(25_000 // 500):
        events = [
            CardRead(source="rd-office", number=n.to_bytes(4, "big"), kind="mqtt", read_id=None, at_ms=None)
            for n in range(500)
        ]
        site.happens(*events)
    site.disk = lambda: None
    site.passes(3000)
    restored = next(b for b in site.records if b.type == "STORAGE_RESTORED")
    assert restored.detail["records_lost"] > 4000


REFUSALS: tuple[tuple[str, tuple[tuple[str, dict[str, Any]], ...]], ...] = (
    ("CLEARANCE_NONE", (("clearance", {"id": "k-h-sato", "ended_on": "2026-11-20"}),)),
    ("NO_NEED_TO_KNOW", (("need_to_know", {"id": "n-h-sato", "is_suspended": True}),)),
    ("NOT_ON_ROSTER", (("roster", {"id": "r-h-sato-vault", "is_suspended": True}),)),
    ("CARD_INACTIVE", (("credential", {"id": "c-h-sato", "state": "LOST"}),)),
    ("CARDHOLDER_INACTIVE", (("cardholder", {"id": "h-sato", "ended_on": "2026-11-20"}),)),
)


@pytest.mark.req("E-04")
@pytest.mark.req("C-09")
@pytest.mark.parametrize(("reason", "changes"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_every_refusal_about_a_person_looks_the_same_at_the_door(site: Any, reason: str, changes: Any) -> None:
    """A bystander could read from the light why somebody was refused."""
    site.badges(STRANGER, "rd-vault")
    unknown = list(site.effects)
    site.effects.clear()
    assert isinstance(site.changes(*changes), Done)
    site.effects.clear()
    site.badges(SATO, "rd-vault")
    assert site.last.reason == reason
    assert site.unnumbered(site.effects) == site.unnumbered(unknown) and site.releases == []


@pytest.mark.req("A-04")
def test_a_removal_acts_at_the_next_read(site: Any) -> None:
    """Somebody taken off a roster would still get in."""
    site.badges(SATO, "rd-vault")
    assert site.last.type == "ACCESS_GRANTED"
    site.passes(5000)
    site.changes(("roster", {"id": "r-h-sato-vault", "ended_on": "2026-11-24"}))
    site.badges(SATO, "rd-vault")
    assert site.last.reason == "NOT_ON_ROSTER"


@pytest.mark.req("B-22")
@pytest.mark.parametrize("age_ms", [6_000, -6_000, 3_600_000])
def test_a_late_read_opens_nothing(site: Any, age_ms: int) -> None:
    """A message held back on a network would open a door when its holder has long gone."""
    site.badges(SATO, "rd-office", age_ms=age_ms)
    assert site.last.reason == "READ_STALE" and site.releases == []


def test_one_presentation_is_one_decision(site: Any) -> None:
    """A card that bounces in the field would be let in twice."""
    site.badges(SATO, "rd-office")
    site.passes(400)
    site.badges(SATO, "rd-office")
    assert site.last.reason == "REPEATED_READ" and len(site.releases) == 1


@pytest.mark.req("B-02")
def test_a_clock_at_1970_admits_nobody_and_lets_everybody_out(site: Any) -> None:
    """Expired rights would live again on a Pi that lost the time, or people would be locked in."""
    site.at = site.at.replace(year=1970)
    site.happens(CardRead(source="rd-office", number=bytes.fromhex(SATO), kind="iso14443a"))
    assert site.last.reason == "CLOCK_UNTRUSTED" and site.releases == []
    site.presses_rex("dr-office")
    assert len(site.releases) == 1
    assert "CLOCK_UNTRUSTED" in site.story()


@pytest.mark.req("B-02")
def test_a_clock_turned_back_is_not_believed(site: Any) -> None:
    """Turning the clock back would revive a right that has run out."""
    site.badges(SATO, "rd-office")
    site.passes(2000)
    site.at = site.at.replace(day=20)
    site.happens(CardRead(source="rd-office", number=bytes.fromhex(SATO), kind="iso14443a"))
    assert site.last.reason == "CLOCK_UNTRUSTED"


@pytest.mark.req("B-08")
def test_forced_held_and_unused_are_told_apart(site: Any) -> None:
    """An officer could not tell a break-in from a propped door."""
    site.opens("dr-office")
    site.closes("dr-office")
    site.badges(SATO, "rd-office")
    site.passes(4000)
    site.badges(SATO, "rd-office")
    site.opens("dr-office")
    site.passes(25_000)
    site.closes("dr-office")
    kinds = [t for t in site.story() if t in ("DOOR_FORCED", "NO_PASSAGE", "DOOR_HELD", "DOOR_CLOSED")]
    assert kinds == ["DOOR_FORCED", "DOOR_CLOSED", "NO_PASSAGE", "DOOR_HELD", "DOOR_CLOSED"]


@pytest.mark.req("B-26")
def test_a_strike_is_switched_off_on_time_without_any_event(site: Any) -> None:
    """A relay board without auto-off would hold the door open."""
    site.badges(SATO, "rd-office")
    site.passes(2999)
    assert site.secures == []
    site.passes(1)
    assert len(site.secures) == 1


@pytest.mark.req("A-12")
@pytest.mark.parametrize("device", ["rd-vault", "dr-vault", "board"])
def test_a_portal_that_is_not_whole_admits_nobody(site: Any, device: str) -> None:
    """A door whose contact or strike does not answer would grant entries that nobody can follow."""
    site.loses(device)
    site.badges(SATO, "rd-vault")
    assert site.last.reason == "READER_UNTRUSTED" and site.releases == []
    site.presses_rex("dr-vault")
    assert len(site.releases) == 1


def test_a_retained_rex_and_a_level_report_release_nothing(site: Any) -> None:
    """A message kept by a broker would open a door at every reconnect."""
    site.happens(InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=True))
    site.happens(InputChanged(source="dr-office", line="contact", is_active=True, is_level_report=True))
    assert site.releases == []


def test_an_output_that_cannot_be_reached_is_recorded(site: Any) -> None:
    """A door that does not open would leave no trace of why."""
    site.dead_outputs["dr-office"] = "broker is away"
    site.badges(SATO, "rd-office")
    failed = next(b for b in site.records if b.type == "OUTPUT_FAILED")
    assert failed.detail == {"device": "dr-office", "why": "broker is away"} and failed.portal == "office"


@pytest.mark.req("S-02")
def test_the_same_seed_gives_the_same_ledger(make_site: Any) -> None:
    """A simulation could not be repeated, and a fault seen once would never be found."""
    heads = []
    for seed in (1, 1, 2):
        site = make_site(seed=seed)
        site.admits("h-sato", SATO, "office", "vault")
        for number in (SATO, STRANGER, SATO):
            site.badges(number, "rd-office")
            site.opens("dr-office")
            site.passes(3000)
            site.closes("dr-office")
        heads.append(site.ledger.checkpoint_text)
    assert heads[0] == heads[1] != heads[2]


# -- requests from the web process ------------------------------------------------------------------------------------


@pytest.mark.req("B-22")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"boot": "00000000"}, "other_boot"),
        ({"not_after_ms": 1}, "expired"),
        ({"not_after_ms": 2**52}, "expired"),
        ({"portal": "nowhere"}, "unknown_portal"),
        ({"portal": "vault"}, "protected_zone"),
        ({"reason": "because"}, "protocol"),
        ({"id": "short"}, "protocol"),
    ],
)
def test_a_release_that_is_not_right_is_recorded_and_refused(site: Any, changed: Any, code: str) -> None:
    """A replayed, late or forged command would open a door."""
    answer = site.commands(**({"portal": "office"} | changed))
    assert isinstance(answer, Refused) and answer.code == code
    assert site.releases == []
    assert site.records[answer.seq].type == "COMMAND_REFUSED"


def test_a_release_is_recorded_then_done_once(site: Any) -> None:
    """An officer's release could be repeated by whoever saw it."""
    answer = site.commands("office", id="release-0001")
    assert isinstance(answer, Done) and site.records[answer.seq].type == "RELEASED"
    assert len(site.releases) == 1
    again = site.commands("office", id="release-0001")
    assert isinstance(again, Refused) and again.code == "repeated"
    assert len(site.releases) == 1


@pytest.mark.req("A-01")
def test_an_edit_takes_effect_when_its_record_is_durable(site: Any) -> None:
    """A right would be in force that no record explains."""
    site.is_stalled = True
    assert site.changes(("roster", {"id": "r-h-sato-office", "ended_on": "2026-11-24"})) is None
    before = site.engine.policy.revision
    site.is_stalled = False
    site.settles()
    assert site.engine.policy.revision != before


def test_an_edit_whose_record_failed_never_was(site: Any) -> None:
    """A failed edit would be half in force."""
    before = site.engine.policy
    site.disk = full_disk
    answer = site.changes(("roster", {"id": "r-h-sato-office", "ended_on": "2026-11-24"}))
    assert isinstance(answer, Refused) and answer.code == "ledger_unavailable"
    assert site.engine.policy is before
    site.disk = lambda: None
    site.passes(3000)
    assert isinstance(site.changes(("roster", {"id": "r-h-sato-office", "ended_on": "2026-11-24"})), Done)


@pytest.mark.parametrize(
    ("puts", "field"),
    [
        ([("zone", {"id": "vault"})], "table"),
        ([("credential", {"id": "c-2", "cardholder": "h-sato", "number": "xyz", "state": "ACTIVE"})], "number"),
        ([("credential", {"id": "c-2", "cardholder": "h-sato", "number": SATO, "state": "ACTIVE"})], "number_hash"),
        ([("roster", {"id": "r-2", "cardholder": "h-nobody"})], None),
        ([("nonsense", {"id": "x"})], "table"),
    ],
)
def test_a_bad_edit_is_refused_whole_and_names_the_field(site: Any, puts: Any, field: str | None) -> None:
    """A bad row would slip into force, or an officer would not know what to mend."""
    before = site.engine.policy
    answer = site.proposes(*puts)
    assert isinstance(answer, Refused) and answer.code == "edit_refused"
    assert field is None or answer.field == field
    assert site.engine.policy is before


@pytest.mark.parametrize(
    ("event", "is_known"),
    [
        (CardAnswered(source="rd-office", answer=None), True),
        (FileSent(source="rd-office", is_done=True), True),
        (MakerReplied(source="rd-office", oui=b"\x1a\x90\x21", payload=b""), True),
        (object(), False),
    ],
)
def test_a_kind_of_event_that_nobody_hears_is_recorded(site: Any, event: Any, is_known: bool) -> None:
    """An adapter's new event would be lost without a word; an answer to its own question would be an alarm."""
    site.happens(event)
    assert ("RULE_ERROR" not in site.story()) is is_known and site.releases == []


def test_an_edit_made_against_another_policy_is_refused(site: Any) -> None:
    """Two officers would undo each other's changes unseen."""
    answer = site.proposes(("cardholder", {"id": "h-2"}), base="00" * 32)
    assert isinstance(answer, Refused) and answer.code == "stale_base"


@pytest.mark.req("A-02")
def test_no_card_number_reaches_the_ledger(site: Any) -> None:
    """Whoever reads the ledger could copy cards."""
    site.badges(SATO, "rd-office")
    site.badges(STRANGER, "rd-office")
    for record in site.ledger.scan(0):
        assert SATO.encode() not in record.body.lower() and STRANGER.encode() not in record.body.lower()


@pytest.mark.req("S-03")
def test_an_event_that_makes_us_raise_is_an_alarm_and_opens_nothing(site: Any) -> None:
    """One impossible event would end the loop, and with it every door."""
    site.happens(InputChanged(source="dr-office", line="contact", is_active="no bool", is_level_report=None))  # type: ignore[arg-type]
    site.happens(CardRead(source="rd-office", number=None, kind="mqtt"))  # type: ignore[arg-type]
    assert "RULE_ERROR" in site.story() and site.releases == []
    site.badges(SATO, "rd-office")
    assert site.last.type in ("ACCESS_GRANTED", "ACCESS_DENIED")


@pytest.mark.req("A-05")
def test_whoever_leaves_by_the_button_can_come_back(site: Any) -> None:
    """Somebody who left by REX would count as inside for ever and be refused as already there."""
    site.badges(SATO, "rd-vault")
    site.opens("dr-vault")
    site.closes("dr-vault")
    site.passes(2000)
    site.badges(SATO, "rd-vault")
    assert site.last.reason == "APB"
    site.presses_rex("dr-vault")
    site.opens("dr-vault")
    site.closes("dr-vault")
    site.passes(2000)
    site.badges(SATO, "rd-vault")
    assert site.last.type == "ACCESS_GRANTED"


@pytest.mark.req("B-22")
def test_a_rex_that_was_held_back_releases_nothing(site: Any) -> None:
    """A button pressed before an outage would open the door after it."""
    at_ms = int(site.at.timestamp() * 1000) - 60_000
    site.happens(InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=False, at_ms=at_ms))
    assert site.releases == [] and site.story()[-1] == "MESSAGE_REFUSED"
    at_ms += 60_000
    site.happens(InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=False, at_ms=at_ms))
    assert len(site.releases) == 1


@pytest.mark.req("D-24")
def test_a_contact_that_flutters_does_not_cut_an_exit(site: Any) -> None:
    """Somebody who pressed REX would pull at a leaf that is locked again."""
    site.closes("dr-vault")
    site.effects.clear()
    site.presses_rex("dr-vault")
    for _ in range(3):
        site.passes(20)
        site.opens("dr-vault")
        site.closes("dr-vault")
    assert site.secures == []
    site.passes(3000)
    assert len(site.secures) == 1


@pytest.mark.req("B-08")
def test_a_portal_that_was_forced_admits_nobody_until_it_is_shut(site: Any) -> None:
    """A magnet at the contact would make a passage of every read, and keep its holder out afterwards."""
    site.closes("dr-vault")
    site.opens("dr-vault")
    site.badges(SATO, "rd-vault")
    assert site.last.reason == "READER_UNTRUSTED" and "PASSAGE" not in site.story()
    site.closes("dr-vault")
    site.passes(2000)
    site.badges(SATO, "rd-vault")
    assert site.last.type == "ACCESS_GRANTED" and len(site.releases) == 1


def test_a_value_that_a_record_cannot_hold_is_an_answer_and_no_alarm(site: Any) -> None:
    """One null in a row would be an alarm at night, and the officer would wait for an answer that never comes."""
    answer = site.proposes(("roster", {"id": "r-2", "cardholder": "h-sato", "zone": "office", "ended_on": None} | {}))
    assert isinstance(answer, Refused) and answer.code == "edit_refused"
    answer = site.proposes(*[("cardholder", {"id": f"h-{n}"}) for n in range(101)])
    assert isinstance(answer, Refused) and "1 to 100 rows" in answer.why
    assert "RULE_ERROR" not in site.story()


def test_a_release_of_a_lock_that_cannot_move_is_not_called_done(site: Any) -> None:
    """An officer would send a visitor to a door that does not open."""
    site.loses("dr-office")
    answer = site.commands("office")
    assert isinstance(answer, Refused) and answer.code == "strike_offline"
    assert site.releases == []


def test_a_portal_in_another_phase_is_told_once(site: Any) -> None:
    """The house's own panel shows a door as shut that stands open, or is told a thousand times a second."""
    site.closes("dr-office")
    site.engine.take_phases()
    site.badges(SATO, "rd-office")
    assert {portal: phase.value for portal, phase in site.engine.take_phases().items()} == {"office": "RELEASED"}
    site.opens("dr-office")
    site.closes("dr-office")
    assert {portal: phase.value for portal, phase in site.engine.take_phases().items()} == {"office": "SECURED"}
    site.passes(100)
    assert site.engine.take_phases() == {}
