"""Somebody who holds two wires of an OSDP line, or put a device of his own on it, without knowing a key."""

from __future__ import annotations

import pytest

from readers.events import (
    CardRead,
    DeviceOffline,
    InputChanged,
    KeyRenewed,
    KeysEntered,
    OutputReported,
    ReaderDistrusted,
)
from readers.protocols.osdp import PdPlan
from tests.readers.osdp.scripted import KEY, OTHER_KEY, Bench, ScriptedPd, reply

OUT = 0x68


def alone() -> Bench:
    bench = Bench(ScriptedPd(), plans=[PdPlan(source="r0", address=0, key=KEY, inputs={0: "rex"})])
    bench.online()
    return bench


def codes_heard(bench: Bench) -> list[int]:
    """Of the commands that the reader could open, and obeyed."""
    return [code for code, body in bench.pds[0].heard if body]


@pytest.mark.req("A-12", "B-16")
@pytest.mark.parametrize("nak", [1, 2, 3, 4, 7, 8, 9])
def test_whoever_only_says_no_is_not_there_and_is_nobody_else(nak):
    """A reader is cut off, a chip says NAK in its place, and nobody hears it opened; or an ill one is condemned."""
    bench = alone()
    bench.wire = lambda raw: reply(0, raw[4] & 3, 0x41, bytes((nak,)))
    bench.run(60_000)
    assert bench.of(DeviceOffline) == [DeviceOffline(source="r0", why="bad frames")]
    assert bench.of(ReaderDistrusted) == []
    bench.wire = lambda raw: raw
    bench.until(lambda: bench.bus.standing("r0").is_online)


@pytest.mark.req("B-20")
@pytest.mark.parametrize("nak", [5, 6])
def test_a_reader_that_says_that_it_has_no_key_is_not_believed(nak):
    """A reset reader would come back as if nothing had been."""
    bench = alone()
    bench.pds[0].nak_handshake = nak
    bench.pds[0].restart()
    bench.run(10_000)
    assert bench.of(ReaderDistrusted) == [ReaderDistrusted(source="r0", why="key_lost")]


@pytest.mark.req("B-11", "B-22")
def test_a_release_is_not_held_back_by_a_reader_that_says_it_is_busy():
    """Anybody on the line says BUSY until the person at the door has gone, and takes the release himself."""
    bench = alone()
    bench.pds[0].busy = 1_000_000
    assert bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    bench.run(1_500)
    bench.pds[0].busy = 0
    bench.run(5_000)
    assert OUT not in codes_heard(bench)
    bench.until(lambda: bench.bus.standing("r0").is_online)
    assert bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    bench.run(200)
    assert codes_heard(bench).count(OUT) == 1


@pytest.mark.req("B-11", "B-22")
def test_a_release_that_was_caught_on_the_wire_is_worth_nothing_later():
    """Whoever keeps the frame of a release plays it tonight."""
    bench = alone()
    bench.wire = lambda raw: b""
    bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    bench.pds[0].is_silent = True
    bench.run(100)
    caught = [raw for raw in bench.sent if raw[4] & 8 and raw[6] == 0x17]
    assert caught
    bench.run(3_000)
    bench.wire, bench.pds[0].is_silent = (lambda raw: raw), False
    bench.until(lambda: bench.bus.standing("r0").is_online)
    for raw in caught:
        bench.pds[0].take(raw)
    assert OUT not in codes_heard(bench)


@pytest.mark.req("B-16", "B-22")
def test_one_readers_frames_are_no_others():
    """The card of the canteen's reader, sent with the vault's address, would open the vault."""
    bench = Bench(ScriptedPd(), ScriptedPd(address=1, key=OTHER_KEY))
    bench.online()
    recorded: list[bytes] = []

    def swapping(raw: bytes) -> bytes:
        if raw[1] == 0x81:
            recorded.append(raw)
            return raw
        return raw[:1] + b"\x80" + recorded[-1][2:] if recorded else raw

    bench.pds[1].polls = [(0x50, bytes.fromhex("00002000A1B2C3D4"))] * 5
    bench.wire = swapping
    bench.run(3_000)
    assert {event.source for event in bench.of(CardRead)} == {"r1"}


@pytest.mark.req("B-11")
@pytest.mark.parametrize("how", ["busy", "storm", "nak"])
def test_a_hostile_reader_does_not_hold_its_neighbours(how):
    """Somebody who wants to leave at the next door presses, and nobody asks that reader."""
    plans = [
        PdPlan(source="r0", address=0, key=KEY),
        PdPlan(source="r1", address=1, key=OTHER_KEY, inputs={0: "rex"}),
    ]
    bench = Bench(ScriptedPd(), ScriptedPd(address=1, key=OTHER_KEY), plans=plans)
    bench.online()
    if how == "busy":
        bench.pds[0].busy = 1_000_000
    elif how == "storm":
        bench.pds[0].polls = [(0x90, b"\1\2\3" + bytes(64))] * 10_000
    else:
        bench.pds[0].answers = dict.fromkeys(range(0x60, 0xA8), (0x41, b"\x03"))
    bench.run(500)
    bench.told.clear()
    for _ in range(5):
        bench.pds[1].polls += [(0x49, b"\1\0\0\0"), (0x49, b"\0\0\0\0")]
        took_ms = bench.until(lambda: not bench.pds[1].polls)
        assert took_ms < 600
    assert sum(event.is_active for event in bench.of(InputChanged) if event.source == "r1") == 5


@pytest.mark.req("B-13")
def test_digits_left_in_a_keypad_are_not_the_next_persons():
    """Somebody types one digit and walks on: the next PIN is wrong, and after five people nobody knows why."""
    bench = Bench(ScriptedPd(), plans=[PdPlan(source="r0", address=0, key=KEY, has_keypad=True)])
    bench.online()
    bench.pds[0].polls += [(0x53, b"\x00\x019"), (0x50, bytes.fromhex("00002000A1B2C3D4")), (0x53, b"\x00\x051234#")]
    told = bench.run(500)
    assert [event.digits for event in told if isinstance(event, KeysEntered)] == ["1234"]


class KeepsItsKey(ScriptedPd):
    """Says yes to a new key and goes on with the old one."""

    def _obey(self, code: int, body: bytes) -> tuple[int, bytes]:
        return (0x40, b"") if code == 0x75 else super()._obey(code, body)


@pytest.mark.req("A-09", "B-21")
def test_a_reader_that_only_says_that_it_took_a_key_is_found_out():
    """A leaver's key would open the channel for ever, and the books would say that it was changed."""
    bench = Bench(KeepsItsKey())
    bench.online()
    assert bench.bus.renew_key("r0", OTHER_KEY)
    bench.run(10_000)
    assert bench.of(KeyRenewed) == [KeyRenewed(source="r0", is_done=False)]
    assert bench.of(ReaderDistrusted) == [] and bench.bus.standing("r0").is_online


@pytest.mark.req("B-11", "B-22")
@pytest.mark.parametrize("is_short", [True, False], ids=["a short silence", "a cut line"])
def test_forty_old_cards_and_presses_are_old_however_long_they_take_to_tell(is_short):
    """A burglar cuts the line, people go in and out, he mends it; what the reader kept opens the door for him."""
    keys = [KEY, OTHER_KEY, bytes.fromhex("c81f5307e6a94db27810fe3c95ab426d")]
    plans = [PdPlan(source=f"r{at}", address=at, key=key, inputs={0: "rex"}) for at, key in enumerate(keys)]
    bench = Bench(*(ScriptedPd(address=at, key=key) for at, key in enumerate(keys)), plans=plans)
    bench.online()
    presses = [(0x49, bytes((n % 2, 0, 0, 0))) for n in range(1, 41)]
    kept = [(0x50, bytes.fromhex("00002000A1B2C3D4"))] * 40
    if is_short:
        for pd in bench.pds.values():
            pd.is_silent = True
        bench.run(900)
    else:
        bench.told += bench.bus.connection_lost(bench.now_ms)
        for pd in bench.pds.values():
            pd.restart()
    bench.pds[0].polls, bench.pds[1].polls = list(kept), list(presses)
    if is_short:
        for pd in bench.pds.values():
            pd.is_silent = False
    else:
        bench.bus.connection_made(bench.now_ms)
    bench.until(lambda: not bench.pds[0].polls and not bench.pds[1].polls)
    bench.run(100)
    assert [event.is_held_back for event in bench.of(CardRead)] == [True] * 40
    pressed = [event for event in bench.of(InputChanged) if event.line == "rex" and event.is_active]
    assert pressed and all(event.is_level_report for event in pressed)
    bench.run(1_500)
    bench.told.clear()
    bench.pds[0].polls, bench.pds[1].polls = kept[:1], presses[:1]
    bench.run(500)
    assert [event.is_held_back for event in bench.of(CardRead)] == [False]
    assert [event.is_level_report for event in bench.of(InputChanged)] == [False], "and who presses now is let out"


@pytest.mark.req("B-26")
def test_an_output_that_is_on_is_found_when_its_reader_comes_and_whenever_it_is_asked():
    """A strike that hangs on an OSDP module stays on after a restart, or for ever, and nobody hears of it."""
    plan = PdPlan(source="r0", address=0, key=KEY, has_outputs=True)
    bench = Bench(ScriptedPd(answers={0x66: (0x4A, b"\1\0")}), plans=[plan])
    bench.run(2_000)
    on = [
        OutputReported(source="r0", is_on=True, channel=1),
        OutputReported(source="r0", is_on=False, channel=2),
    ]
    assert bench.of(OutputReported) == on
    assert bench.run(2_000) == []
    assert bench.bus.ask_outputs("r0")
    assert bench.run(500) == on


@pytest.mark.req("B-20")
@pytest.mark.parametrize("is_swapped", [False, True], ids=["the true one", "another"])
def test_an_approval_of_nobody_changes_nobody(is_swapped):
    """Two people approve a reader that has not come yet: the true one is called another, or any other the true."""
    bench = Bench(ScriptedPd())
    bench.online()
    bench.pds[0].nak_handshake = 6
    bench.pds[0].restart()
    bench.until(lambda: bool(bench.of(ReaderDistrusted)))
    bench.bus.trust("r0", "")
    bench.pds[0].nak_handshake = 0
    if is_swapped:
        bench.pds[0].pdid = bench.pds[0].pdid[:-1] + b"\x07"
    bench.run(10_000)
    assert [event.why for event in bench.of(ReaderDistrusted)] == ["key_lost", "replaced"][: 1 + is_swapped]
    assert bench.bus.standing("r0").is_online is not is_swapped


@pytest.mark.req("A-09", "B-18")
@pytest.mark.parametrize("is_taken", [True, False])
def test_a_key_that_was_under_way_when_the_power_went_is_tried_afterwards(is_taken):
    """The power goes between a reader's new key and its word: the reader is dead until somebody climbs to it."""
    plan = PdPlan(source="r0", address=0, key=KEY, new_key=OTHER_KEY)
    bench = Bench(ScriptedPd(key=OTHER_KEY if is_taken else KEY), plans=[plan])
    bench.run(5_000)
    assert bench.of(KeyRenewed) == [KeyRenewed(source="r0", is_done=is_taken)]
    assert bench.of(ReaderDistrusted) == [] and bench.bus.standing("r0").is_online
    bench.pds[0].restart()
    bench.run(5_000)
    assert bench.bus.standing("r0").is_online and len(bench.of(KeyRenewed)) == 1


@pytest.mark.req("B-11")
def test_a_length_that_somebody_says_makes_nobody_wait_past_the_end_of_patience():
    """A long answer, or a lie about its length, is given up before anybody has looked at what came."""
    bench = alone()
    bench.pds[0].is_silent = True
    bench.until(lambda: bench.bus.quiet_ms > 0)
    bench.told += bench.bus.receive_data(bytes.fromhex("5380A0050E") + bytes(8), bench.now_ms)
    for _ in range(20):
        quiet_ms, due_ms = bench.bus.quiet_ms, bench.bus.deadline()
        assert due_ms is not None and bench.now_ms + quiet_ms < due_ms
        bench.now_ms += max(quiet_ms, 1)
        bench.told += bench.bus.receive_data(bytes(16), bench.now_ms)
