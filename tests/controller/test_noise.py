"""A line that chatters is told once and counted; it neither fills the ledger nor hides another line's complaint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.ledger.body import Scribe
from controller.noise import KINDS_MAX, WINDOW_MS, Noise
from controller.turn import Turn
from readers.events import LineNoise, MessageRefused
from zones.moment import Moment

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class Line:
    """Complaints, and the records made of them."""

    def __init__(self) -> None:
        self.noise = Noise(Scribe(node="gate", boot="b0"))
        self.tick_ms = 1_000_000

    def chatters(self, source: str = "rd-1", count: int = 1) -> list[dict[str, Any]]:
        return self._note(LineNoise(source=source, count=count, sample=b"\x00"))

    def refuses(self, source: str = "rd-1", why: str = "duplicate") -> list[dict[str, Any]]:
        return self._note(MessageRefused(source=source, why=why))

    def _note(self, event: LineNoise | MessageRefused) -> list[dict[str, Any]]:
        turn = Turn()
        self.noise.note(event, Moment(at=NOON + timedelta(milliseconds=self.tick_ms), tick_ms=self.tick_ms), turn)
        return [{"type": draft.body.type, **(draft.body.detail or {})} for draft in turn.records]


@pytest.fixture
def line() -> Line:
    return Line()


def test_the_first_complaint_is_recorded_and_then_a_count_a_minute(line):
    """A broken cable would fill the disk, or nobody would hear of it."""
    assert line.chatters(count=3) == [{"type": "LINE_NOISE", "device": "rd-1", "count": 3}]
    for _ in range(100):
        line.tick_ms += 10
        assert line.chatters(count=2) == []
    line.tick_ms = 1_000_000 + WINDOW_MS
    assert line.chatters(count=1) == [{"type": "LINE_NOISE", "device": "rd-1", "count": 201}]
    assert line.chatters(count=1) == []


def test_each_source_and_kind_is_counted_for_itself(line):
    """One noisy reader would hide that somebody replays messages at another."""
    assert len(line.chatters("rd-1")) == 1
    assert len(line.chatters("rd-2")) == 1
    assert line.refuses("rd-1", "duplicate") == [
        {"type": "MESSAGE_REFUSED", "device": "rd-1", "why": "duplicate", "count": 1}
    ]
    assert len(line.refuses("rd-1", "retained")) == 1
    assert line.chatters("rd-1") == line.refuses("rd-1", "retained") == []


def test_strangers_cannot_fill_the_memory_or_the_ledger(line):
    """Whoever may publish could invent names until the controller dies."""
    said = [line.refuses(f"stranger-{n}" + "x" * 500, "undeclared device" * 50) for n in range(3 * KINDS_MAX)]
    assert sum(map(len, said)) == KINDS_MAX + 1
    assert said[KINDS_MAX][0]["device"] == "*"
    assert len(line.noise._since) <= KINDS_MAX + 1
    assert all(len(record["device"]) <= 64 and len(record["why"]) <= 80 for one in said for record in one)


def test_strangers_are_forgotten_and_a_door_is_heard_again(line):
    """After one flood no line of this site would ever be named again."""
    for n in range(2 * KINDS_MAX):
        line.refuses(f"stranger-{n}", "undeclared device")
    line.tick_ms += WINDOW_MS
    assert line.chatters("rd-1") == [{"type": "LINE_NOISE", "device": "rd-1", "count": 1}]
