"""Whether the ledger that comes is the one that was seen: another key, another ledger, a shorter one, a mended one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api import live
from api.lineage import Course, OtherEnd, course_of
from controller.link.messages import PROTOCOL, Record, Welcome

OLD, NEW, NEWER = "site.example/gate+00000001+AA", "site.example/gate+00000002+BB", "site.example/gate+00000003+CC"
ELSEWHERE = "other.example/gate+00000009+DD"


def record(seq: int, type_: str = "REX", **detail: Any) -> Record:
    body = json.dumps({"type": type_, "at_ms": seq, **({"detail": detail} if detail else {})})
    return Record(seq=seq, leaf=f'{{"seq":{seq}}}', salt="", body=body)


def rotation(seq: int, old: str, new: str) -> Record:
    return record(seq, "LEDGER_KEY_ROTATED", old=old, new=new)


def aside(seq: int, first: int) -> Record:
    return record(seq, "TAIL_SET_ASIDE", first=first, count=3, file="x", sha256="y", why="z")


PLAIN = [record(seq) for seq in range(20)]


@pytest.mark.parametrize(
    ("vkey", "seq", "now", "records", "course"),
    [
        ("", -1, OLD, PLAIN, Course.GO_ON),
        (OLD, 5, OLD, PLAIN, Course.GO_ON),
        (OLD, 19, OLD, PLAIN, Course.GO_ON),
        (OLD, 19, NEW, [*PLAIN, rotation(20, OLD, NEW)], Course.GO_ON),
        (OLD, 5, NEW, [*PLAIN, rotation(20, OLD, NEW), record(21)], Course.GO_ON),
        (OLD, 19, NEWER, [*PLAIN, rotation(20, OLD, NEW), rotation(21, NEW, NEWER)], Course.GO_ON),
        (NEW, 20, NEW, [*PLAIN, rotation(20, OLD, NEW)], Course.GO_ON),
        (OLD, 19, NEW, PLAIN, Course.START_OVER),
        (OLD, 19, NEW, [*PLAIN, rotation(20, NEWER, NEW)], Course.START_OVER),
        (OLD, 19, NEWER, [*PLAIN, rotation(20, OLD, NEW)], Course.START_OVER),
        (OLD, 19, ELSEWHERE, [record(0)], Course.START_OVER),
        (OLD, 19, OLD, [*PLAIN[:15], aside(15, 15)], Course.START_OVER),
        (OLD, 19, OLD, [*PLAIN[:15], aside(15, 15), *(record(n, "EXIT") for n in range(16, 40))], Course.START_OVER),
        (OLD, 19, OLD, PLAIN[:19], OtherEnd),
        (OLD, 19, OLD, [], OtherEnd),
        (OLD, 19, OLD, [*PLAIN[:15], *(record(n, "EXIT") for n in range(15, 40))], OtherEnd),
        (OLD, 19, OLD, [*PLAIN[:10], aside(10, 10), *PLAIN[11:19]], Course.START_OVER),
    ],
)
def test_a_ledger_is_followed_started_over_or_refused(
    vkey: str, seq: int, now: str, records: list[Record], course: Any
) -> None:
    """A changed key would empty the page, or an old image that somebody put back would be folded over the truth."""
    seen = {one.seq: one for one in [*PLAIN, rotation(20, OLD, NEW)]}

    def read(from_seq: int) -> Any:
        yield from records[from_seq:]

    def ask() -> Course:
        welcome = Welcome(node="gate", boot="b", size=len(records), revision="", vkey=now, protocol=PROTOCOL)
        return course_of(welcome, vkey=vkey, seq=seq, has_seen=lambda one: seen[one.seq] == one, read=read)

    if course is OtherEnd:
        with pytest.raises(OtherEnd, match="LEDGER_SHORTER"):
            ask()
    else:
        assert ask() is course


def test_a_new_key_empties_nothing(web: Any, kit: Any, caplog: pytest.LogCaptureFixture) -> None:
    """After a rotation the page would fold the whole ledger again, and every browser start over."""
    web.controller.record("REX", portal="front")
    web.caught_up()
    before = web.client.get("/api/v1/events").json()["items"]
    web.controller.stop()
    old, web.controller.vkey = web.controller.vkey, "stand-in+11111111+BBBB"
    web.controller.record("LEDGER_KEY_ROTATED", detail={"old": old, "new": web.controller.vkey})
    web.controller.start()
    web.caught_up()
    kit.eventually(lambda: web.parts.view.vkey == web.controller.vkey)
    after = web.client.get("/api/v1/events").json()["items"]
    assert after[:-1] == before and after[-1]["type"] == "LEDGER_KEY_ROTATED"
    assert web.client.get("/api/v1/zones").json()["items"] != []
    assert "anew" not in caplog.text


def test_a_ledger_whose_end_was_set_aside_is_folded_anew(web: Any, kit: Any) -> None:
    """The page would show rights and doors of records that the ledger does not hold any more, and miss the new ones."""
    client = web.client
    web.controller.record("REX", portal="front")
    web.controller.record("REX", portal="front")
    web.caught_up()
    seen = web.parts.view.seq
    web.controller.stop()
    del web.controller.records[-2:]
    detail = {"first": seen - 1, "count": 2, "file": "ledger.db.damaged", "sha256": "00", "why": "record: bad"}
    web.controller.record("TAIL_SET_ASIDE", detail=detail)
    for _ in range(4):
        web.controller.record("EXIT", portal="front")
    web.controller.start()
    kit.eventually(lambda: web.parts.view.seq == seen + 3)
    found = client.get("/api/v1/events").json()["items"]
    assert [row["type"] for row in found[-5:]] == ["TAIL_SET_ASIDE"] + ["EXIT"] * 4
    assert [row["seq"] for row in found] == list(range(len(found)))


@pytest.mark.req("A-23")
def test_alarms_of_a_start_stay_and_those_before_it_go(web: Any, kit: Any) -> None:
    """The alarm about a damaged ledger would be wiped by the very start that raised it, or stand for ever."""
    client = web.client
    now = 1_764_500_000_000
    web.controller.record("STORAGE_75", at_ms=now - 9, detail={"used_percent": 76, "free_mb": 900})
    web.caught_up()
    shown = client.get("/live?lang=ja").text
    assert "75%" in shown and "sekisho ledger capacity" in shown
    detail = {"first": 4, "count": 2, "file": "ledger.db.damaged-20261130T000000Z", "sha256": "00", "why": "bad"}
    web.controller.record("TAIL_SET_ASIDE", at_ms=now, detail=detail)
    web.controller.record("CONTROLLER_STARTED", at_ms=now)
    web.controller.record("STORAGE_90", at_ms=now + 5, detail={"used_percent": 91, "free_mb": 90})
    web.caught_up()
    kinds = {alarm.kind for alarm in live.alarms(web.parts.view)}
    assert {"TAIL_SET_ASIDE", "STORAGE_90"} <= kinds and "STORAGE_75" not in kinds
    web.controller.record("ALARM_CEASED", at_ms=now + 6, detail={"kind": "STORAGE_90"})
    web.controller.record("CONTROLLER_STARTED", at_ms=now + 7)
    web.caught_up()
    kinds = {alarm.kind for alarm in live.alarms(web.parts.view)}
    assert not kinds & {"TAIL_SET_ASIDE", "STORAGE_75", "STORAGE_90"}
