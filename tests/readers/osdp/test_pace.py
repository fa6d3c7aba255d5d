"""How often each reader is asked while nothing happens: what a card waits for, and what an idle line costs."""

from __future__ import annotations

import random

import pytest

from tests.readers.osdp.scripted import Bench, ScriptedPd

SECONDS = 5


def polls_a_second(count: int, baud: int, **options: object) -> float:
    """Of the reader that is asked least."""
    dice = random.Random(5)
    pds = [ScriptedPd(address=at, key=dice.randbytes(16), latency_ms=0, baud=baud) for at in range(count)]
    bench = Bench(*pds, baud=baud, **options)
    bench.online()
    before = [bench.bus.standing(f"r{at}").counts.polls for at in range(count)]
    bench.run(SECONDS * 1000)
    return min(bench.bus.standing(f"r{at}").counts.polls - was for at, was in enumerate(before)) / SECONDS


@pytest.mark.parametrize(("count", "least", "most"), [(1, 45, 51), (2, 45, 51), (4, 34, 37), (8, 30, 42)])
def test_eight_readers_are_asked_nearly_as_often_as_four(count, least, most):
    """On a full line people would wait twice as long for the door, or an empty one would keep a processor busy."""
    assert least <= polls_a_second(count, 115_200) <= most


def test_who_asks_for_rest_gets_it():
    """A small controller could not spare its processor."""
    assert polls_a_second(8, 115_200, rest_ms=9) == pytest.approx(1000 / 72, abs=0.5)


@pytest.mark.parametrize(("baud", "spare_ms"), [(9_600, 0), (38_400, 0), (115_200, 1)])
def test_the_transport_may_sleep_while_nothing_can_be_whole_and_no_longer(baud, spare_ms):
    """The loop wakes for every byte of an idle line, or wakes too late and people wait for the door."""
    pd = ScriptedPd(address=0, key=random.Random(7).randbytes(16), latency_ms=0, baud=baud)
    bench = Bench(pd, baud=baud)
    bench.online()
    bus, quiet = bench.bus, []
    for _ in range(400):
        bench.run(1)
        quiet.append(bus.quiet_ms)
    line_ms = (14 + 20) * 10_000 / baud  # the shortest answer behind a poll, neither longer than twenty bytes
    assert 0 < max(quiet) <= line_ms - spare_ms  # a sleep may end a millisecond late, which a fast line has not got
