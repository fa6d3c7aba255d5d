"""A month of the virtual year, every invariant checked after every event; `python -m tests.year` lives a whole one."""

from __future__ import annotations

import pytest

from controller.log_chores import DropBodies, FindExpired
from controller.retention import BOUNDS
from readers.events import CardRead, InputChanged
from tests.share import share
from tests.year.invariants import Broken
from tests.year.life import Life, YearBroken
from zones.portal import ReleaseStrike

DAYS = share(12, many=33)
TERMS = {class_: bounds.least for class_, bounds in BOUNDS.items()}


@pytest.mark.req("A-24", "B-06", "B-07", "B-11", "D-24")
def test_a_month_holds_every_promise(tmp_path):
    """What holds for each door in a test would not hold for a building in which everything happens at once."""
    life = Life(folder=tmp_path, seed=20260401)
    life.lives(DAYS)
    seen = life.site.invariants.seen
    fires = ("FIRE_ON",) if DAYS > 30 else ()  # not in every fortnight
    for type_ in ("ACCESS_GRANTED", "ACCESS_DENIED", *fires, "ZONE_OPENED", "ZONE_SECURED", "STORAGE_RESTORED"):
        assert seen[type_], f"a month without {type_} shows little"
    replayed = life.replayed()
    assert replayed.is_same and replayed.purged_inputs == replayed.purged_records == 0
    assert replayed.decisions == seen["ACCESS_GRANTED"] + seen["ACCESS_DENIED"] + seen["EXIT_GRANTED"]
    verified = life.verified()
    assert verified.verdict == "ok" and verified.records == life.site.invariants.seq + 1


def test_the_same_seed_gives_the_same_ledger(tmp_path):
    """A failure could not be run again."""
    heads = []
    for folder, seed in (("one", 5), ("two", 5), ("other", 6)):
        (tmp_path / folder).mkdir()
        life = Life(folder=tmp_path / folder, seed=seed)
        life.lives(2)
        heads.append(life.site.ledger.root)
        life.site.ledger.close()
    assert heads[0] == heads[1] != heads[2]


# -- would the invariants see it? ------------------------------------------------------------------------------------


@pytest.fixture
def life(tmp_path):
    """A site on its first day, with its people entered."""
    found = Life(folder=tmp_path, seed=1)
    found.lives(0)
    yield found
    found.site.ledger.close()


def release(grant: str | None) -> ReleaseStrike:
    return ReleaseStrike(portal="office", for_ms=3_000, not_after_tick_ms=9_999_999, grant_id=grant)


@pytest.mark.parametrize("grant", [None, "b0b0b0b0-1"])
def test_a_release_without_its_record_is_seen(life, grant):
    """I1 would hold whatever the controller does."""
    with pytest.raises(Broken, match="I1"):
        life.site.invariants.performed(release(grant), life.site.now())


def test_somebody_in_the_vault_without_keys_is_seen(life):
    """I2 would hold whatever the controller does."""
    engine, at = life.site.engine, life.site.at
    engine._standing.occupancy = engine.occupancy.moved("h-001", "vault", at)
    with pytest.raises(Broken, match="I2"):
        life.site.invariants._check_keys(engine)
    with pytest.raises(Broken, match="I4"):
        life.site.invariants._check_presence(engine)


@pytest.mark.parametrize(
    "event",
    [
        InputChanged(source="dr-office", line="rex", is_active=True, is_level_report=False),
        CardRead(source="ro-office", number=b"\x04\x01\x02\x03", kind="mqtt"),
    ],
)
def test_an_exit_that_is_held_is_seen(life, event):
    """I3 would hold whatever the controller does."""
    life.site.invariants.begins([event], life.site.now())
    with pytest.raises(Broken, match="I3"):
        life.site.invariants.drained([])


def test_an_alarm_that_is_missed_or_repeated_is_seen(life):
    """I5 would hold whatever the controller does."""
    life.site.invariants.expects("TAMPER", "rd-office")
    quiet = InputChanged(source="rd-lab", line="tamper", is_active=False, is_level_report=True)
    with pytest.raises(Broken, match="I5: TAMPER"):
        life.site.happens(quiet)
    draft = life.site.scribe.draft("DOOR_FORCED", now=life.site.now(), portal="lab", zone="lab")
    life.site.invariants.expected.clear()
    life.site.invariants.written.clear()
    life.site.core.record([draft], life.site.now())
    with pytest.raises(Broken, match="I5: DOOR_FORCED"):
        life.site.happens(quiet)


def test_a_refusal_that_tells_its_reason_is_seen(life, monkeypatch):
    """I6 would hold whatever the controller does."""
    monkeypatch.setattr("tests.year.invariants.OF_THE_BOX", frozenset({"CARD_UNKNOWN"}))
    with pytest.raises(Broken, match="I6"):
        life.site.badges("04aabbccdd", "rd-office")


def test_a_broken_year_says_where(life):
    """Nobody could find the moment in a year's records."""
    life.site.invariants.expects("DOOR_HELD", "lab")
    with pytest.raises(YearBroken, match=r"(?s)I5: DOOR_HELD.*seed 1, 2026-04-01.*the last records"):
        life.lives(1)


@pytest.mark.req("D-23", "E-15")
def test_a_site_lives_on_after_its_bodies_were_dropped(tmp_path):
    """The purge of the second year would keep the controller from starting, or make a replay find what never was."""
    life = Life(folder=tmp_path, seed=11)
    life.lives(3)
    site = life.site
    before = site.now_ms
    site.passes((max(TERMS.values()) + 1) * 86_400_000)  # nobody comes: the building stands empty for a year
    find = FindExpired(from_seq=0, cutoffs_ms=dict.fromkeys(BOUNDS, before), holds=())
    while (found := find.step(site.ledger)) is None:
        pass
    assert {due.class_ for due in found.due} >= {"access", "alarm", "system"}
    drafts = [
        site.scribe.draft(
            "PURGED", now=site.now(), officer="controller",
            detail={
                "id": "purge-1", "code": "daily", "of_class": due.class_, "ranges": due.ranges, "count": due.count,
                "term_days": TERMS[due.class_], "reckoned_ms": site.now_ms,
            },
        )
        for due in found.due
    ]  # fmt: skip
    site.core.record(drafts, site.now())
    site.settles()
    drop = DropBodies(found.due)
    while (dropped := drop.step(site.ledger)) is None:
        pass
    assert dropped.count == sum(due.count for due in found.due) > 100
    site.invariants.where.clear()  # in 90 days everybody passes; here the last places go too
    site.restarts()
    site.badges("04aabbccdd", "rd-office")
    replayed = life.replayed()
    assert replayed.is_same and replayed.purged_records == dropped.count and replayed.decisions == 1
    verified = life.verified()
    assert (verified.verdict, verified.problem, verified.findings) == ("ok", None, [])
    assert verified.bodies_dropped == dropped.count
