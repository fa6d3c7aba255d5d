"""Holds, purges and who may order them, on a whole site without wires."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import pairwise

import pytest

from controller.desk import LinkRequest
from controller.ledger.errors import LedgerUnavailable
from controller.link.messages import Done, LogOrder, Refused
from controller.log_chores import DropBodies, FindExpired, LearnLog, LogLearnt
from controller.log_desk import LogSetup
from controller.retention import DAY_MS, Due, Hold, terms_of
from controller.turn import Answer
from sekisho.verify import How, parse_key, verify_file
from tests.controller.conftest import NOON, SATO, STRANGER, VirtualSite

AUDITORS = frozenset({"auditor-01", "auditor-02"})
HOUR_MS = 3_600_000
SETUP = LogSetup(auditors=AUDITORS, terms_days=terms_of({"access": 90, "alarm": 90}))


def begun(folder, **changed):
    site = VirtualSite(folder, log=LogSetup(auditors=AUDITORS, terms_days=SETUP.terms_days, **changed))
    site.ledger._run("PRAGMA synchronous=OFF")  # nobody will cut the power
    site.admits("h-sato", SATO, "office")
    return site


@pytest.fixture
def site(tmp_path):
    virtual = begun(tmp_path)
    yield virtual
    virtual.ledger.close()
    accuses_nobody(virtual.ledger)


def accuses_nobody(ledger):
    """Whatever the desk did in a test, the auditor's verifier takes its purges for what they are."""
    report = verify_file(ledger.path, parse_key(ledger.notary.vkey), how=How(processes=1))
    assert report.problem is None or report.problem.kind == "meaning", report.problem
    assert [found for found in report.findings if "PURGED" in found.what or "policy" in found.what] == []


def orders(site, act, *, officer="auditor-01", is_console=True, **more):
    """An order about the log; returns the answer."""
    site.ids += 1
    fields = {"id": f"log-{site.ids:06}", "boot": site.boot, "not_after_ms": site.now_ms + 3000}
    before = len(site.effects)
    message = LogOrder(**(fields | {"act": act, "officer": officer} | more))
    site.happens(LinkRequest(session=1, message=message, is_console=is_console))
    answers = [effect.message for effect in site.effects[before:] if isinstance(effect, Answer)]
    return answers[-1] if answers else None


def gone(site, *classes):
    """Sequence numbers of records without a body."""
    return {record.seq for record in site.ledger.scan() if record.body is None}


def of(site, type_):
    return [b for b in site.records if b.type == type_ and (b.detail or {}).get("code") != "begun"]


def sleeps(site, days):
    """Days go by with the controller running, hour by hour."""
    for _ in range(days * 24):
        site.tick_ms += HOUR_MS
        site.at += timedelta(hours=1)
        site.happens()


@pytest.mark.req("A-29")
@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"act": "purge", "officer": "officer-01"}, "not_your_role"),
        ({"act": "hold_on", "officer": "officer-01", "hold": "case-1"}, "not_your_role"),
        ({"act": "hold_off", "officer": "officer-01", "second": "auditor-01", "hold": "case-1"}, "not_your_role"),
        ({"act": "purge", "is_console": False}, "not_here"),
        ({"act": "hold_off", "hold": "case-1"}, "two_people"),
        ({"act": "hold_off", "hold": "case-1", "second": "auditor-01"}, "two_people"),
        ({"act": "hold_off", "hold": "case-1", "second": "officer-01"}, "two_people"),
    ],
    ids=str,
)
def test_who_may_not_administer_the_log_is_refused_and_an_alarm_says_so(site, order, code):
    """Somebody who edits rosters could purge the log of what he did, and nobody would hear that he tried."""
    site.badges(STRANGER, "rd-office")
    orders(site, "hold_on", hold="case-1", from_ms=0)
    before = gone(site)
    answer = orders(site, **order)
    assert isinstance(answer, Refused) and answer.code == code
    alarm = of(site, "LOG_ADMIN_REFUSED")[-1]
    assert alarm.detail["code"] == code and alarm.detail["act"] == order["act"]
    assert alarm.actor.officer == order.get("officer", "auditor-01")
    assert gone(site) == before == set() and not of(site, "PURGED") and not of(site, "LEGAL_HOLD_OFF")


@pytest.mark.req("A-29")
def test_whoever_administers_the_log_edits_nothing(site):
    """One person could let a friend in and drop the record of it."""
    roster = {"id": "r-1", "cardholder": "h-sato", "zone": "vault"}
    answer = site.proposes(("roster", roster), officer="auditor-02")
    assert isinstance(answer, Refused) and answer.code == "not_your_role"
    refused = of(site, "EDIT_REFUSED")[-1]
    assert refused.detail["code"] == "not_your_role" and refused.actor.officer == "auditor-02"


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"act": "burn"}, "protocol"),
        ({"act": "hold_on", "hold": "Case 1"}, "protocol"),
        ({"act": "hold_on", "hold": "case-2", "from_ms": 5, "until_ms": 4}, "protocol"),
        ({"act": "hold_on", "hold": "case-1"}, "repeated"),
        ({"act": "hold_off", "hold": "nothing", "second": "auditor-02"}, "unknown_hold"),
        ({"act": "purge", "boot": "other"}, "other_boot"),
        ({"act": "purge", "not_after_ms": 5}, "expired"),
    ],
    ids=str,
)
def test_an_order_that_makes_no_sense_is_refused_and_recorded(site, order, code):
    """It would be carried out as something else, or vanish."""
    orders(site, "hold_on", hold="case-1", from_ms=0)
    answer = orders(site, **order)
    assert isinstance(answer, Refused) and answer.code == code
    assert of(site, "COMMAND_REFUSED")[-1].detail["code"] == code


@pytest.mark.req("D-23", "E-15")
def test_after_its_term_a_body_goes_by_record_and_the_rest_stays(site):
    """Where somebody went would be kept for ever; or a gap in the ledger would look like any other."""
    site.badges(SATO, "rd-office")
    site.goes_through("dr-office")
    first = {r.seq: r.leaf for r in site.ledger.scan()}
    root = site.ledger.root
    sleeps(site, 94)
    purges = [body for body in of(site, "PURGED") if body.detail["count"]]
    assert {body.detail["of_class"] for body in purges} >= {"access"}
    assert all(b.detail["term_days"] == 90 and b.detail["code"] == "daily" for b in purges)
    left = {body.type for body in site.records}
    assert not left & {"ACCESS_GRANTED", "PASSAGE", "DOOR_CLOSED"} and {"POLICY_EDITED", "PURGED"} <= left
    named = {
        seq for body in purges for a, b in body.detail["ranges"] for seq in range(a, b + 1)
        if f'"class":"{body.detail["of_class"]}"'.encode() in first.get(seq, b"")
    }  # fmt: skip
    assert gone(site) <= {r.seq for r in site.ledger.scan()} and gone(site) & set(first) == named
    assert sum(body.detail["count"] for body in purges) == len(gone(site))
    assert {r.seq: r.leaf for r in site.ledger.scan() if r.seq in first} == first
    assert all((r.salt is None) == (r.body is None) for r in site.ledger.scan())
    site.ledger.verify_tail()
    assert site.ledger.root != root, "the records of the purges came behind"


@pytest.mark.req("E-15")
def test_what_is_held_is_never_dropped(site):
    """A court asks for the records of a night, and they went by schedule."""
    site.badges(SATO, "rd-office")
    held_at = site.now_ms
    assert isinstance(orders(site, "hold_on", hold="case-1", from_ms=held_at - DAY_MS, until_ms=held_at + DAY_MS), Done)
    sleeps(site, 94)
    assert not [b for b in of(site, "PURGED") if b.detail["count"]] and of(site, "PURGED") and gone(site) == set()
    assert [b.type for b in site.records].count("ACCESS_GRANTED") == 1
    answer = orders(site, "hold_off", hold="case-1", second="auditor-02")
    assert isinstance(answer, Done)
    off = of(site, "LEGAL_HOLD_OFF")[-1]
    assert (off.actor.officer, off.detail["officer2"], off.detail["hold"]) == ("auditor-01", "auditor-02", "case-1")
    sleeps(site, 2)
    assert gone(site) and not of(site, "ACCESS_GRANTED")


@pytest.mark.req("E-15")
def test_a_hold_that_comes_while_the_purge_looks_is_heeded(site):
    """Between a look and its record there would be a moment in which a hold holds nothing."""
    site.badges(SATO, "rd-office")
    site.tick_ms += 91 * DAY_MS
    site.at += timedelta(days=91)
    site.happens()
    assert not of(site, "LEGAL_HOLD_ON")
    site.answered.clear()
    engine, now = site.engine, site.now()
    run = LogOrder(
        id="purge-by-hand", boot=site.boot, not_after_ms=site.now_ms + 3000, act="purge", officer="auditor-01"
    )
    hold = LogOrder(
        id="hold-by-hand", boot=site.boot, not_after_ms=site.now_ms + 3000, act="hold_on", officer="auditor-01",
        hold="case-1", from_ms=0,
    )  # fmt: skip
    before = set(gone(site))
    site.core.take([LinkRequest(session=1, message=run)], now)
    site.core.take([LinkRequest(session=1, message=hold)], now)
    site.happens()
    assert of(site, "LEGAL_HOLD_ON") and gone(site) == before
    last = [e.message for e in site.effects if isinstance(e, Answer) and e.message.id == "purge-by-hand"][-1]
    assert isinstance(last, Refused) and last.code == "busy"
    assert engine.deadline() is not None


@pytest.mark.req("D-23")
def test_a_burglar_who_sets_the_clock_ahead_drops_nothing(site):
    """Set the clock four years ahead and wait a day: the night of the break-in would be gone, by rule."""
    site.badges(STRANGER, "rd-office")
    site.at += timedelta(days=4 * 365)
    sleeps(site, 40)
    assert gone(site) == set()
    assert of(site, "CLOCK_SET")[-1].detail["by_ms"] == 4 * 365 * DAY_MS
    for one, other in pairwise(of(site, "PURGED")):
        assert other.detail["reckoned_ms"] - one.detail["reckoned_ms"] <= 3 * DAY_MS


@pytest.mark.req("D-23")
def test_the_first_start_says_at_once_from_when_terms_are_reckoned(tmp_path):
    """Set the clock ahead on the day of an upgrade, start twice, and years of traces would be gone the day after."""
    at = int((NOON - timedelta(days=3)).timestamp() * 1000)
    site = begun(tmp_path, latest_ms=at)
    (first,) = [body for body in site.records if body.type == "PURGED"]
    assert (first.detail["code"], first.detail["reckoned_ms"], first.detail["count"]) == ("begun", at, 0)
    chore = LearnLog()
    while (learnt := chore.step(site.ledger)) is None:
        pass
    assert learnt.reckoned_ms == at
    site.ledger.close()


@pytest.mark.req("D-23")
def test_a_new_box_that_does_not_know_the_time_waits(tmp_path):
    """Terms of a new site would be reckoned from 1970 on, and nothing ever dropped."""
    early = type(NOON)(1970, 1, 1, tzinfo=NOON.tzinfo)
    site = VirtualSite(tmp_path, log=SETUP, at=early)
    site.passes(2 * HOUR_MS)
    assert not [body for body in site.records if body.type == "PURGED"]
    site.at = NOON
    site.passes(2 * HOUR_MS)
    (first,) = [body for body in site.records if body.type == "PURGED"]
    assert first.detail["reckoned_ms"] >= NOON.timestamp() * 1000
    site.ledger.close()


@pytest.mark.req("D-23")
def test_the_clock_is_put_right_and_the_purge_goes_on(site):
    """After a wrong clock was put right nothing would ever be dropped again."""
    site.at += timedelta(days=100)
    sleeps(site, 5)
    ahead = of(site, "PURGED")[-1].detail["reckoned_ms"]
    site.at -= timedelta(days=100)
    site.trust = type(site.trust)(site.at)  # somebody at the console says that it is right (CLOCK_ACCEPTED)
    sleeps(site, 3)
    reckoned = [body.detail["reckoned_ms"] for body in of(site, "PURGED")]
    assert ahead > reckoned[-1] >= site.now_ms - DAY_MS - HOUR_MS


@pytest.mark.req("D-23", "A-26")
def test_a_clock_that_is_not_trusted_drops_nothing(site):
    """A box without a battery clock starts in 2106 or 1970 and drops what it likes."""
    site.badges(STRANGER, "rd-office")
    sleeps(site, 91)
    site.trust = type(site.trust)(site.at + timedelta(days=9))
    count = len(of(site, "PURGED"))
    sleeps(site, 5)
    assert len(of(site, "PURGED")) == count
    answer = orders(site, "purge")
    assert isinstance(answer, Refused) and answer.code == "clock_untrusted"


@pytest.mark.req("E-15")
def test_a_purge_by_order_answers_with_its_record(site):
    """An auditor would not know what his order came to."""
    site.badges(STRANGER, "rd-office")
    answer = orders(site, "purge")
    assert isinstance(answer, Done)
    (record,) = site.ledger.read(answer.seq, 1)
    body = record.decoded()
    assert body.type == "PURGED" and body.actor.officer == "auditor-01" and body.detail["count"] == 0
    assert body.detail["code"] == "ordered"


@pytest.mark.req("E-15")
def test_what_could_not_be_recorded_is_not_dropped(site):
    """A full disk would make gaps that no record accounts for."""
    site.badges(STRANGER, "rd-office")
    sleeps(site, 89)

    def full():
        raise LedgerUnavailable("disk is full")

    site.at += timedelta(days=3)
    site.tick_ms += 3 * DAY_MS
    site.disk = full
    answer = orders(site, "purge")
    assert isinstance(answer, Refused) and answer.code == "ledger_unavailable"
    assert not any(isinstance(effect, DropBodies) for effect in site.effects)
    site.disk = lambda: None
    site.passes(5_000)
    assert gone(site) == set() and of(site, "COMMAND_REFUSED")[-1].detail["code"] == "ledger_unavailable"
    assert not [body for body in of(site, "PURGED") if body.detail["count"]]
    sleeps(site, 2)
    assert gone(site), "it is found again"


@pytest.mark.req("E-15")
def test_a_hold_that_could_not_be_recorded_does_not_hold(site):
    """An officer would be told that nothing was changed, and later something holds that stands nowhere."""

    def full():
        raise LedgerUnavailable("disk is full")

    site.disk = full
    answer = orders(site, "hold_on", hold="case-1", from_ms=0)
    assert isinstance(answer, Refused) and answer.code == "ledger_unavailable"
    site.disk = lambda: None
    site.passes(5_000)
    assert not of(site, "LEGAL_HOLD_ON") and isinstance(orders(site, "hold_on", hold="case-1", from_ms=0), Done)


@pytest.mark.req("E-15")
def test_a_start_does_the_newest_purge_again_and_knows_the_holds(tmp_path):
    """A power cut between the record of a purge and the dropping: the bodies would stay for good."""
    site = begun(tmp_path)
    site.badges(STRANGER, "rd-office")
    orders(site, "hold_on", hold="case-1", from_ms=0, until_ms=5)
    sleeps(site, 88)
    find = FindExpired(from_seq=0, cutoffs_ms={"access": site.now_ms}, holds=())
    report = find.step(site.ledger)
    assert report is not None and report.due
    detail = {
        "id": "purge-x",
        "code": "daily",
        "of_class": "access",
        "ranges": report.due[0].ranges,
        "count": report.due[0].count,
        "term_days": 90,
        "reckoned_ms": site.now_ms,
    }
    site.core.record([site.scribe.draft("PURGED", now=site.now(), officer="controller", detail=detail)], site.now())
    site.settles()  # the power goes here: the record is durable, and nothing is dropped
    assert gone(site) == set()
    chore = LearnLog()
    while (learnt := chore.step(site.ledger)) is None:
        pass
    assert set(learnt.holds) == {"case-1"} and learnt.reckoned_ms == site.now_ms
    drop = DropBodies(learnt.purged, is_again=True)
    while (dropped := drop.step(site.ledger)) is None:
        pass
    assert dropped.count == len(gone(site)) == report.due[0].count > 0
    again = DropBodies(learnt.purged)
    while (nothing := again.step(site.ledger)) is None:
        pass
    assert nothing.count == 0, "doing it twice does nothing twice"
    site.ledger.close()


@pytest.mark.req("E-15")
@pytest.mark.parametrize("is_held", [False, True])
def test_what_is_held_since_is_not_dropped_again(tmp_path, is_held):
    """A purge that a crash cut off would be finished over a hold that came meanwhile."""
    site = begun(tmp_path)
    site.effects.clear()
    purged = (Due(class_="access", ranges=((0, 3),), count=4),)
    holds = {"case-1": Hold(id="case-1", from_ms=0)} if is_held else {}
    site.happens(LogLearnt(holds=holds, reckoned_ms=site.now_ms, purged=purged))
    assert any(isinstance(effect, DropBodies) for effect in site.effects) is not is_held
    site.ledger.close()


def test_before_the_ledger_was_read_nobody_orders_anything(tmp_path):
    """A hold of the same name would be made twice, or one that holds be called unknown."""
    site = VirtualSite(tmp_path, log=SETUP)
    site.engine._log._reckoning = None
    answer = orders(site, "purge")
    assert isinstance(answer, Refused) and answer.code == "busy"
    site.ledger.close()


@pytest.mark.req("D-23")
def test_a_site_that_was_off_for_weeks_catches_up(tmp_path):
    """After a summer without power personal records would be kept for months beyond their term, for good."""
    site = begun(tmp_path, latest_ms=int((NOON - timedelta(days=30)).timestamp() * 1000))
    sleeps(site, 45)
    assert of(site, "PURGED")[-1].detail["reckoned_ms"] >= site.now_ms - DAY_MS - HOUR_MS
    site.ledger.close()


def does_something(site, die, held):
    """One thing that happens to a site: days go by, somebody badges, the clock is set, a hold, its end, a purge."""
    act = die.choice(["sleep", "sleep", "badge", "badge", "clock", "hold_on", "hold_off", "purge"])
    if act == "sleep":
        sleeps(site, die.choice([1, 3, 10, 40]))
    elif act == "badge":
        site.badges(die.choice([STRANGER, SATO]), "rd-office")
    elif act == "clock":
        site.at += timedelta(seconds=die.choice([-150 * 86_400, -7200, -30, -1, 30, 7200, 200 * 86_400]))
        site.happens()
    elif act == "hold_on":
        name, since = f"case-{site.ids}", site.now_ms - die.randrange(200) * DAY_MS
        until = since + die.randrange(1, 150) * DAY_MS
        if isinstance(orders(site, act, hold=name, from_ms=since, until_ms=until), Done):
            held.append(name)
    elif act == "hold_off" and held:
        orders(site, act, hold=held.pop(die.randrange(len(held))), second="auditor-02")
    elif act == "purge":
        orders(site, act)


@pytest.mark.req("D-23", "E-15", "A-27")
@pytest.mark.parametrize("seed", [3, 11])
def test_whatever_happens_to_a_site_its_purges_are_taken_for_what_they_are(site, seed):
    """A clock is set and put right, a hold comes and goes, and the auditor reads an honest purge as an erasure."""
    die, held = random.Random(seed), []
    for _ in range(24):
        does_something(site, die, held)
    sleeps(site, 95)
    assert gone(site)  # the fixture has it verified
