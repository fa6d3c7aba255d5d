"""Faults in any order on an OSDP line: nothing is invented, nobody is suspected for a bad cable, all is well after."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.events import CardRead, InputChanged, ReaderDistrusted
from readers.protocols.osdp import PdPlan
from tests.readers.osdp.scripted import KEY, OTHER_KEY, Bench, ScriptedPd


class Trouble:
    """Two readers and whatever can happen to them and to their line."""

    def __init__(self) -> None:
        plans = [
            PdPlan(source="r0", address=0, key=KEY, inputs={0: "rex"}),
            PdPlan(source="r1", address=1, key=OTHER_KEY, inputs={0: "rex"}),
        ]
        self.bench = Bench(ScriptedPd(), ScriptedPd(address=1, key=OTHER_KEY), plans=plans, baud=38_400)
        self.shown: list[bytes] = []
        self.pressed = 0
        self._to_lose = 0
        self._to_spoil = 0
        self._spoilt_at = 0
        self.bench.wire = self._wire
        self.bench.online()

    def _wire(self, raw: bytes) -> bytes:
        if self._to_lose:
            self._to_lose -= 1
            return b""
        if self._to_spoil:
            self._to_spoil -= 1
            at = self._spoilt_at % len(raw)
            return raw[:at] + bytes((raw[at] ^ 0x10,)) + raw[at + 1 :]
        return raw

    def card(self, _how: int) -> None:
        number = len(self.shown).to_bytes(4, "big")
        self.shown.append(number)
        self.bench.pds[0].polls.append((0x50, bytes.fromhex("00002000") + number))

    def press(self, _how: int) -> None:
        self.pressed += 1
        self.bench.pds[1].polls += [(0x49, b"\1"), (0x49, b"\0")]

    def silence(self, how: int) -> None:
        self.bench.pds[0].is_silent = True
        self.bench.run(how * 13)
        self.bench.pds[0].is_silent = False

    def restart(self, how: int) -> None:
        self.bench.pds[how % 2].restart()

    def lose(self, how: int) -> None:
        self._to_lose = how % 9

    def spoil(self, how: int) -> None:
        self._to_spoil, self._spoilt_at = how % 5, how

    def junk(self, how: int) -> None:
        junk = bytes((how * 7 + at * how) & 0xFF for at in range(how % 40)) + b"\x53\x80\x40\x00"
        self.bench.told += self.bench.bus.receive_data(junk, self.bench.now_ms)

    def unplug(self, how: int) -> None:
        self.bench.told += self.bench.bus.connection_lost(self.bench.now_ms)
        self.bench.on_its_way.clear()
        self.bench.run(how * 11)
        self.bench.bus.connection_made(self.bench.now_ms)

    def busy(self, how: int) -> None:
        self.bench.pds[how % 2].busy = how % 7

    def order(self, how: int) -> None:
        self.bench.bus.switch(f"r{how % 2}", 0, is_on=how % 3 > 0, for_ms=500)
        self.bench.bus.show(f"r{how % 2}", "refused")


FAULTS: list[Callable[[Trouble, int], None]] = [
    Trouble.card,
    Trouble.press,
    Trouble.silence,
    Trouble.restart,
    Trouble.lose,
    Trouble.spoil,
    Trouble.junk,
    Trouble.unplug,
    Trouble.busy,
    Trouble.order,
]


@pytest.mark.req("B-11")
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 255), st.integers(0, 900)), max_size=25))
def test_whatever_happens_nothing_is_invented_and_all_comes_back(faults):
    """A bad cable would make cards, or make two people approve a reader that is still the same."""
    trouble = Trouble()
    bench = trouble.bench
    for fault, how, wait_ms in faults:
        fault(trouble, how)
        bench.run(wait_ms)
    trouble.lose(0)
    trouble.spoil(0)
    bench.run(4_000)
    assert bench.of(ReaderDistrusted) == []
    assert all(bench.bus.standing(source).is_online for source in ("r0", "r1"))
    told = [read.number for read in bench.of(CardRead)]
    assert told == sorted(set(told))
    assert set(told) <= set(trouble.shown)
    presses = [event for event in bench.of(InputChanged) if event.source == "r1" and event.is_active]
    assert len(presses) <= trouble.pressed
    before = len(bench.told)
    trouble.card(0)
    bench.run(400)
    (read,) = (event for event in bench.told[before:] if isinstance(event, CardRead))
    assert (read.number, read.is_held_back) == (trouble.shown[-1], False)
