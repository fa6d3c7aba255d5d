"""Somebody looks through the log in time, and not he of whom it speaks (A-15); what alarms were is said (E-01)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.link.messages import Done, HandleAlarm, Refused, ReviewLog
from controller.log_review import ReviewSetup
from controller.review_chore import LearnReview
from tests.controller.conftest import SATO, VirtualSite
from tests.officers import officer_puts

DAY = 24 * 3_600_000
LOST = "04d1d2d3"


@pytest.fixture
def site(tmp_path):
    """A site with an auditor who holds a card too, another who holds none, and a guard."""
    virtual = VirtualSite(tmp_path, review=ReviewSetup())
    virtual.ledger._run("PRAGMA synchronous=OFF")  # nobody will cut the power
    virtual.admits("h-sato", SATO, "office")
    day = virtual.at.date()
    posts = {"auditor-01": "AUDITOR", "auditor-02": "AUDITOR", "guard-01": "GUARD", "line-01": "LINE"}
    for officer, post in posts.items():
        who = {"cardholder": "h-sato"} if officer == "auditor-01" else {}
        virtual.proposes(*officer_puts(officer, day, roles=[post], until_on="2027-10-01", **who))
    manager = officer_puts("manager-01", day, roles=["WORK_MANAGER"], until_on="2027-10-01", zones=["vault"])
    virtual.proposes(*manager)
    yield virtual
    virtual.ledger.close()


def reviews(site, officer="auditor-02", *, to_seq=None, outcome="in_order", **more):
    site.ids += 1
    to = site.ledger.size - 1 if to_seq is None else to_seq
    return site.asks(ReviewLog(id=f"look-{site.ids:06}", to_seq=to, outcome=outcome, officer=officer, **more))


def sleeps(site, days):
    """Days go by with the controller running."""
    for _ in range(days):
        site.tick_ms += DAY
        site.at += timedelta(days=1)
        site.happens()


def overdue(site):
    told = [one for one in site.records if one.type in ("LOG_REVIEW_OVERDUE", "ALARM_CEASED")]
    return [one.type for one in told if one.type != "ALARM_CEASED" or one.detail == {"kind": "LOG_REVIEW_OVERDUE"}]


@pytest.mark.req("A-15")
def test_a_week_without_a_look_is_an_alarm_until_somebody_looks(site):
    """Nobody would look, and nobody would notice that nobody does."""
    sleeps(site, 6)
    assert overdue(site) == []
    sleeps(site, 2)
    assert overdue(site) == ["LOG_REVIEW_OVERDUE"]
    sleeps(site, 3)
    assert isinstance(reviews(site), Done)
    site.happens()
    assert overdue(site) == ["LOG_REVIEW_OVERDUE", "ALARM_CEASED"]
    sleeps(site, 6)
    assert overdue(site) == ["LOG_REVIEW_OVERDUE", "ALARM_CEASED"]


@pytest.mark.req("A-15")
def test_a_grave_alarm_is_looked_at_sooner(site):
    """A forced door would be looked into a week later."""
    site.opens("dr-office")
    site.closes("dr-office")
    sleeps(site, 2)
    assert overdue(site) == []
    sleeps(site, 2)
    assert overdue(site) == ["LOG_REVIEW_OVERDUE"]


@pytest.mark.req("A-15")
def test_nobody_reviews_what_speaks_of_himself(site):
    """Whoever did it would sign that nothing was done."""
    site.changes(("credential", {"id": "c-h-sato", "state": "LOST"}))
    site.badges(SATO, "rd-office")
    refused = reviews(site, "auditor-01")
    assert isinstance(refused, Refused) and refused.code == "about_himself"
    about = next(seq for seq, one in enumerate(site.records) if one.type == "CREDENTIAL_ALARM")
    assert isinstance(reviews(site, "auditor-01", to_seq=about - 1), Done), "before that he may"
    assert reviews(site, "auditor-01").code == "about_himself"
    assert isinstance(reviews(site, "auditor-02", outcome="incident", incident="INC-7"), Done)
    last = next(one for one in reversed(site.records) if one.type == "LOG_REVIEWED")
    assert (
        last.detail["from_seq"] == about and last.detail["incident"] == "INC-7" and last.actor.officer == "auditor-02"
    )
    assert isinstance(reviews(site, "auditor-01"), Done), "another has looked at that"
    learnt = LearnReview()
    while (report := learnt.step(site.ledger)) is None:
        pass
    assert report.to_seq == site.records[-1].detail["to_seq"] and report.spoken == ()


NO_LOOKS = (
    ({"officer": "officer-01"}, "not_your_role"), ({"officer": "guard-01"}, "not_your_role"),
    ({"officer": "nobody"}, "not_an_officer"), ({"outcome": "fine"}, "protocol"),
    ({"outcome": "incident"}, "protocol"), ({"incident": "X-1"}, "protocol"),
    ({"outcome": "incident", "incident": "his debts"}, "protocol"), ({"to_seq": 10**9}, "protocol"),
)  # fmt: skip


@pytest.mark.req("A-15")
def test_a_look_that_is_none_is_refused(site):
    """A look by somebody else, at nothing, or with words that must not stand there, would count as one."""
    for asked, code in NO_LOOKS:
        assert reviews(site, **asked).code == code, asked


# -- what alarms were -------------------------------------------------------------------------------------------------


def says(site, officer="guard-01", **changed):
    site.ids += 1
    fields = {"kind": "DOOR_FORCED", "row": "office", "cause": "worn_latch", "note": "蝶番を調整", "seq": 12}
    return site.asks(HandleAlarm(id=f"alarm-{site.ids:06}", officer=officer, **(fields | changed)))


@pytest.mark.req("E-01")
def test_what_an_alarm_was_is_recorded_by_whoever_answers_for_it(site):
    """Alarms would be clicked away, and nobody would know by whom and why."""
    assert isinstance(says(site), Done)
    said = site.records[-1]
    assert said.type == "ALARM_HANDLED" and said.actor.officer == "guard-01" and said.detail["cause"] == "worn_latch"
    assert isinstance(says(site, "manager-01", row="vault"), Done)
    assert isinstance(says(site, "officer-01", kind="SINK_LOST", row="siem"), Done)


NO_WORDS = (
    ({"officer": "line-01"}, "not_your_role", "officer"), ({"officer": "auditor-02"}, "not_your_role", "officer"),
    ({"officer": "nobody"}, "not_an_officer", "officer"),
    ({"officer": "manager-01", "row": "office"}, "not_your_zone", "row"),
    ({"cause": "boredom"}, "protocol", "cause"), ({"kind": "PASSAGE"}, "protocol", "kind"),
    ({"row": "a b"}, "protocol", "row"), ({"row": "../" * 80}, "protocol", "row"), ({"seq": -1}, "protocol", "seq"),
    ({"note": "適性評価で落ちた人"}, "not_plain", "note"), ({"note": ""}, "not_plain", "note"),
    ({"note": "x" * 501}, "not_plain", "note"), ({"note": "a\x1b[2J"}, "not_plain", "note"),
)  # fmt: skip


@pytest.mark.req("E-01", "A-31")
def test_a_word_on_an_alarm_that_may_not_be_is_refused(site):
    """The ledger would hold somebody's illness for years, or an alarm closed by whoever raised it."""
    for changed, code, field in NO_WORDS:
        refused = says(site, **changed)
        assert isinstance(refused, Refused) and (refused.code, refused.field) == (code, field), changed
    assert "ALARM_HANDLED" not in site.story()
    assert "適性評価で" not in site.ledger.path.read_bytes().decode("utf-8", "ignore")
