"""What the program that carries records outside may have recorded, in a site without wires."""

from __future__ import annotations

import pytest

from controller.link.messages import SINK_WHY, Done, Refused, StreamReport


def report(number: int, code: str = "SINK_LOST", **fields: object) -> StreamReport:
    sound: dict[str, object] = {"sink": "archive", "why": "storage" if code == "SINK_LOST" else ""}
    return StreamReport(**({"id": f"report-{number:04}", "code": code} | sound | fields))


@pytest.mark.req("A-28")
def test_an_outage_and_its_end_are_records(site):
    """The archive has been away for a week, and the controller's own ledger knows nothing of it."""
    assert isinstance(site.asks(report(1)), Done)
    assert isinstance(site.asks(report(2, "SINK_RESTORED", from_seq=812, to_seq=840, for_ms=10_800_000, why="")), Done)
    lost, restored = site.records[-2:]
    assert (lost.type, lost.detail) == ("SINK_LOST", {"sink": "archive", "why": "storage"})
    assert restored.detail == {"sink": "archive", "from_seq": 812, "to_seq": 840, "for_ms": 10_800_000}
    assert isinstance(site.asks(report(3, "SINK_REMOVED", why="")), Done)
    over = site.records[-1]
    assert (over.type, over.detail) == ("ALARM_CEASED", {"kind": "SINK_LOST", "row": "archive"})


def test_a_witness_that_refuses_and_a_clock_that_differs_are_records(site):
    """A witness says that the history was rewritten, and nobody hears it."""
    assert isinstance(site.asks(report(1, "WITNESS_REFUSED", sink="witness.example/w1", why="fork", size=9)), Done)
    assert isinstance(site.asks(report(2, "CLOCK_SKEW", sink="witness.example/w1", by_ms=-5000)), Done)
    refused, skew = site.records[-2:]
    assert refused.detail == {"witness": "witness.example/w1", "code": "fork", "size": 9}
    assert skew.detail == {"against": "witness.example/w1", "by_ms": -5000}
    assert isinstance(site.asks(report(3, "CLOCK_AGREES", sink="witness.example/w1")), Done)
    over = site.records[-1]
    assert (over.type, over.detail) == ("ALARM_CEASED", {"kind": "CLOCK_SKEW", "row": "witness.example/w1"})


@pytest.mark.parametrize(
    ("code", "fields", "field"),
    [
        ("SINK_LOST", {"sink": "Sato Hanako"}, "sink"),
        ("SINK_LOST", {"sink": ""}, "sink"),
        ("SINK_LOST", {"why": "connection refused by 10.0.0.7"}, "why"),
        ("SINK_LOST", {"why": ""}, "why"),
        ("SINK_RESTORED", {"from_seq": -1}, "from_seq"),
        ("SINK_RESTORED", {"from_seq": 9, "to_seq": 2}, "to_seq"),
        ("SINK_RESTORED", {"to_seq": 1 << 60}, "to_seq"),
        ("SINK_RESTORED", {"for_ms": -1}, "for_ms"),
        ("WITNESS_REFUSED", {"sink": "w", "why": "bad temper"}, "why"),
        ("WITNESS_REFUSED", {"sink": "w w", "why": "fork"}, "sink"),
        ("CLOCK_SKEW", {"by_ms": 999}, "by_ms"),
        ("CLOCK_AGREES", {"sink": "w w"}, "sink"),
        ("ALARM_CEASED", {}, "code"),
        ("DOOR_FORCED", {}, "code"),
        ("POLICY_EDITED", {}, "code"),
    ],
)
def test_what_is_not_of_a_known_form_is_refused(site, code, fields, field):
    """A stranger on the socket writes what he likes into the ledger, for ever: a name, an address, another alarm."""
    answer = site.asks(report(1, code, **fields))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.field) == ("protocol", field)
    last = site.records[-1]
    assert last.type == "COMMAND_REFUSED"
    assert last.detail == {"id": "report-0001", "code": "protocol"}


def test_a_flood_of_reports_makes_few_records(site):
    """A sink that flaps, or a program that was broken into, fills the disk with alarms until entry stops."""
    before = len(site.records)
    answers = [site.asks(report(number)) for number in range(200)]
    assert len(site.records) - before <= 41
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"busy"}
    site.passes(60_000)
    assert isinstance(site.asks(report(9_000)), Done), "and later ones are heard again"


def test_reasons_are_short_codes():
    """The network's own words, or an address, are kept for ever."""
    assert all(why.isidentifier() and len(why) <= 20 for why in SINK_WHY)


def test_nothing_moves_at_a_door(site):
    """A report from outside opens something."""
    site.effects.clear()
    site.asks(report(1))
    assert site.releases == []
    assert site.shown == []
