"""controller/streams/cef.py: read back by a parser written from ArcSight's page, whatever the fields hold."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.ledger.body import RECORD_TYPES
from controller.streams.cef import cef
from controller.streams.event_names import EVENTS, GRAVE, event
from controller.streams.outgoing import outgoing
from tests.controller.streams.made_ledger import ORIGIN, START_MS, made, record

KEYS = {
    *("rt", "deviceExternalId", "externalId", "dvchost", "cat", "outcome", "reason", "suser", "duser", "dpriv"),
    *("deviceDirection", "msg", "cn1", "cn1Label"),
    *(f"cs{number}{label}" for number in range(1, 7) for label in ("", "Label")),
}


def read(line: str) -> tuple[list[str], dict[str, str]]:
    """Header and extension as a SIEM takes them apart: by bars, then by keys before equal signs, neither escaped."""
    header: list[str] = []
    at = 0
    for _ in range(7):
        part = re.match(r"((?:[^\\|]|\\.)*)\|", line[at:])
        assert part is not None, line
        header.append(re.sub(r"\\(.)", r"\1", part[1]))
        at += part.end()
    fields = {}
    for found in re.finditer(r"(?:^| )(\w+)=((?:[^\\=]|\\.)*?)(?= \w+=|$)", line[at:]):
        fields[found[1]] = re.sub(r"\\(.)", lambda one: {"n": "\n", "r": "\r"}.get(one[1], one[1]), found[2])
    return header, fields


def test_an_event_says_what_a_siem_asks_for():
    """The SIEM would show a line of text and no fields to search by."""
    body = {
        "type": "ACCESS_DENIED",
        "outcome": "DENIED",
        "reason": "CLEARANCE_TOO_LOW",
        "zone": "vault",
        "portal": "vault-door",
        "access_point": "vault-door-in",
        "direction": "IN",
        "subject": {"cardholder": "ch-7f3a", "credential": "cr-19c2"},
        "corr": "g-1",
        "detail": {"device": "reader-7"},
    }
    header, fields = read(cef(made(12, now_ms=START_MS + 60_000, **body)))
    assert header == ["CEF:0", "Sekisho", "Sekisho", "1", "ACCESS_DENIED", "Entry not granted", "4"]
    assert fields == {
        "rt": str(START_MS),
        "deviceExternalId": ORIGIN,
        "externalId": "12",
        "dvchost": "lab",
        "cat": "access",
        "outcome": "DENIED",
        "reason": "CLEARANCE_TOO_LOW",
        "suser": "ch-7f3a",
        "deviceDirection": "0",
        "cs1Label": "zone",
        "cs1": "vault",
        "cs2Label": "portal",
        "cs2": "vault-door",
        "cs3Label": "accessPoint",
        "cs3": "vault-door-in",
        "cs4Label": "credential",
        "cs4": "cr-19c2",
        "cs5Label": "corr",
        "cs5": "g-1",
        "cs6Label": "leafHash",
        "cs6": hashlib.sha256(b"\0" + record(12, **body).leaf.encode()).hexdigest(),
        "cn1Label": "lateMs",
        "cn1": "60000",
        "msg": '{"device":"reader-7"}',
    }


HOSTILE = [
    "a|b",
    "a\\|b",
    "a=b suser=ceo",
    "a\\",
    "a\\\\",
    "a\nCEF:0|Evil|x|1|1|x|10|",
    "\r\n",
    " leading and trailing ",
    "\x1b[2J\x00\x07",
    "\u2028\u0085x",
    "取扱区画 é 🚪",
    "\\=",
    "\\n",
    "=" * 5000,
    "\\" * 5000,
]


@pytest.mark.req("A-28")
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_text_in_any_field_stays_in_that_field(hostile):
    """Whoever may name a zone, a device or an officer would write events into the SIEM, or hide his own."""
    fields = dict.fromkeys(("outcome", "reason", "zone", "portal", "access_point", "corr", "node"), hostile)
    fields |= {
        "subject": {"cardholder": hostile, "credential": hostile},
        "actor": {"officer": hostile, "role": hostile},
    }
    one = outgoing(record(1, type=hostile, detail={"device": hostile}, **fields), hostile, START_MS)
    line = cef(one)
    assert len(line.splitlines()) == 1, "a line is an event"
    header, got = read(line)
    assert header[:4] == ["CEF:0", "Sekisho", "Sekisho", "1"]
    assert set(got) <= KEYS
    clean = re.sub("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", hostile)
    assert header[4:] == [re.sub("[\r\n]", " ", clean), "Record", "3"]
    assert got["cs1"] == clean[:255] and got["outcome"] == clean[:63] and got["suser"] == clean[:255]
    assert got["cs6"] == hashlib.sha256(b"\0" + one.leaf.encode()).hexdigest()


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80), type_=st.text(max_size=20))
def test_every_text_is_read_back_or_shown_as_unprintable(text, type_):
    """As above, for what nobody thought of."""
    one = outgoing(record(1, zone=text, reason=text), ORIGIN, START_MS)
    header, got = read(cef(one))
    assert len(header) == 7
    assert got["cs1"] == got["reason"] == re.sub("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", text)
    read(cef(made(1, type=type_)))


def test_nobodys_name_stands_in_an_event():
    """A SIEM is read by many: who somebody is stays with the officers. Only pseudonyms are in a body; of what else a
    body could hold one day, nothing is retold.
    """
    line = cef(
        made(1, subject={"cardholder": "ch-1", "name": "Hanako Yamada"}, name="Hanako", evidence={"last4": "c0de"})
    )
    assert "Hanako" not in line and "c0de" not in line
    assert read(line)[1]["suser"] == "ch-1"


def test_a_body_that_is_gone_or_unknown_is_an_event_all_the_same():
    """A gap in the numbers means that somebody took something; where a rule did, it must not look so."""
    bare = record(5)
    for body in (None, "{}", "[1]", '{"type":1}', "not JSON", '{"type":"X","at_ms":1,"subject":7}'):
        one = outgoing(type(bare)(seq=5, leaf=bare.leaf, salt=None, body=body), ORIGIN, START_MS)
        header, got = read(cef(one))
        assert header[4] in ("BODY_DROPPED", "X")
        assert (got["externalId"], got["deviceExternalId"]) == ("5", ORIGIN)


@pytest.mark.req("A-28")
def test_every_type_has_a_severity_and_a_name():
    """A new alarm would reach the SIEM as a note that nobody looks at."""
    assert set(RECORD_TYPES) - set(EVENTS) == set()
    assert set(EVENTS) - set(RECORD_TYPES) == set()
    assert all(0 <= severity <= 10 and name for severity, name in EVENTS.values())
    assert event("NOT_YET_KNOWN", "alarm")[0] >= GRAVE
    grave_without_alarm = [one for one in EVENTS if EVENTS[one][0] >= GRAVE and RECORD_TYPES[one][0] != "alarm"]
    assert grave_without_alarm == []
