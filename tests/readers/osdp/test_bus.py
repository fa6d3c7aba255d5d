"""The control panel in virtual time against readers written by hand (scripted.py)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers.events import (
    CardRead,
    CardUnread,
    DeviceOffline,
    DeviceOnline,
    FileSent,
    InputChanged,
    KeyRenewed,
    KeysEntered,
    LineNoise,
    MakerReplied,
    OutputReported,
    ReaderIdentified,
)
from readers.protocols.osdp import OsdpBus, PdPlan
from readers.protocols.osdp.pd import TRANSITIONS, State
from tests.readers.osdp.scripted import KEY, OTHER_KEY, Bench, ScriptedPd, crc16, reply

CARD = (0x50, bytes.fromhex("00002000A1B2C3D4"))
NUMBER = bytes.fromhex("A1B2C3D4")
THIRD_KEY = bytes.fromhex("c81f5307e6a94db27810fe3c95ab426d")
KEYS = [KEY, OTHER_KEY, THIRD_KEY, bytes.fromhex("17b90c6f2ed3a84581fa60c7354be29d")]


def bench_of(count: int = 1, **options: object) -> Bench:
    return Bench(*(ScriptedPd(address=at, key=KEYS[at]) for at in range(count)), **options)


def test_a_reader_comes_up_inside_its_channel():
    """A reader would be online before it has proved anything."""
    bench = bench_of()
    took_ms = bench.until(lambda: bench.bus.standing("r0").is_online)
    assert took_ms < 500
    assert [type(event) for event in bench.told] == [ReaderIdentified, DeviceOnline]
    assert bench.pds[0].codes()[:6] == [0x61, 0x62, 0x76, 0x77, 0x61, 0x62]
    who = bench.of(ReaderIdentified)[0]
    assert (who.maker, who.model, who.serial, who.firmware) == ("0A0B0C", "1.2", "12345678", "3.2.1")
    bench.run(1_000)
    assert bench.bus.standing("r0").counts.retries == 0


def test_every_state_can_be_left_and_reached():
    """A state would be a trap, or dead code."""
    reached = {State.CLOSED, State.UNCOMMISSIONED, State.PROBING}
    reached |= {after for turns in TRANSITIONS.values() for after in turns.values()}
    assert reached == set(State) == set(TRANSITIONS)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (CARD, CardRead(source="r0", number=NUMBER, kind="osdp")),
        ((0x51, b"\0\0\x0512345"), CardRead(source="r0", number=b"12345", kind="osdp")),
        ((0x50, bytes.fromhex("00000801") + bytes(33)), CardUnread(source="r0", why="number malformed")),
        ((0x53, b"\x00\x051234\r"), KeysEntered(source="r0", digits="1234")),
        ((0x48, b"\1\0"), InputChanged(source="r0", line="tamper", is_active=True, is_level_report=False)),
        ((0x48, b"\0\1"), InputChanged(source="r0", line="power", is_active=True, is_level_report=False)),
        ((0x4B, b"\2"), InputChanged(source="r0", line="tamper", is_active=True, is_level_report=False)),
        ((0x49, b"\1\0\0"), InputChanged(source="r0", line="contact", is_active=True, is_level_report=False)),
        ((0x49, b"\0\0\1"), InputChanged(source="r0", line="rex", is_active=True, is_level_report=False)),
        ((0x4A, b"\1"), OutputReported(source="r0", is_on=True, channel=1)),
        ((0x90, b"\1\2\3hello"), MakerReplied(source="r0", oui=b"\1\2\3", payload=b"hello")),
    ],
    ids=["raw", "fmt", "too long", "keypad", "tamper", "power", "attached", "contact", "rex", "output", "maker"],
)
def test_what_a_reader_says_is_told(said, wanted):
    """Something at the portal would happen and nobody would know."""
    plan = PdPlan(source="r0", address=0, key=KEY, has_keypad=True, inputs={0: "contact", 2: "rex"})
    bench = Bench(ScriptedPd(), plans=[plan])
    bench.online()
    bench.pds[0].polls.append(said)
    assert bench.run(200) == [wanted]


def test_states_are_told_once_and_first_as_levels():
    """A contact that was open already would look like a leaf that opens now."""
    plan = PdPlan(source="r0", address=0, key=KEY, inputs={0: "contact"})
    bench = Bench(ScriptedPd(answers={0x65: (0x49, b"\1")}), plans=[plan])
    bench.run(1_000)
    levels = [event for event in bench.of(InputChanged) if event.line == "contact"]
    assert levels == [InputChanged(source="r0", line="contact", is_active=True, is_level_report=True)]
    bench.pds[0].polls += [(0x49, b"\1"), (0x49, b"\0"), (0x49, b"\0")]
    assert bench.run(500) == [InputChanged(source="r0", line="contact", is_active=False, is_level_report=False)]


def test_digits_add_up_until_confirmed():
    """Somebody's PIN would be cut, joined with another's, or shown."""
    plan = PdPlan(source="r0", address=0, key=KEY, has_keypad=True)
    bench = Bench(ScriptedPd(), plans=[plan])
    bench.online()

    def typed(*keys: bytes) -> list[str]:
        bench.pds[0].polls += [(0x53, bytes((0, len(one))) + one) for one in keys]
        return [event.digits for event in bench.run(500) if isinstance(event, KeysEntered)]

    assert typed(b"1", b"2", b"3", b"4\r") == ["1234"]
    assert typed(b"99", b"\x7f", b"4321#") == ["4321"]
    assert typed(b"123\r") == []
    assert typed(b"1234567890123\r") == []
    assert typed(b"12A4\r") == []
    typed(b"12")
    bench.run(10_500)
    assert typed(b"34\r") == []
    assert "4321" not in repr(KeysEntered(source="r0", digits="4321"))


@pytest.mark.req("B-22")
def test_what_comes_in_the_first_second_is_held_back():
    """A card that was shown while the line was cut would open the portal afterwards."""
    bench = bench_of()
    bench.online()
    bench.told += bench.bus.connection_lost(bench.now_ms)
    bench.pds[0].restart()
    bench.pds[0].polls += [CARD] * 3
    bench.run(5_000)
    bench.bus.connection_made(bench.now_ms)
    bench.run(2_000)
    assert [event.is_held_back for event in bench.of(CardRead)] == [True] * 3
    bench.pds[0].polls.append(CARD)
    assert [event.is_held_back for event in bench.run(200)] == [False]


def test_a_short_silence_holds_back_too():
    """A cable pulled for a second would let old cards through."""
    bench = bench_of()
    bench.online()
    bench.pds[0].is_silent = True
    bench.run(1_000)
    bench.pds[0].is_silent = False
    bench.pds[0].polls.append(CARD)
    assert [event.is_held_back for event in bench.run(1_000)] == [True]
    assert bench.bus.standing("r0").counts.sessions == 1


@pytest.mark.req("B-11")
def test_commands_do_not_outlive_the_line():
    """An old "unlock" would be carried out when the cable is mended."""
    bench = bench_of()
    bench.online()
    bench.pds[0].is_silent = True
    assert bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    bench.run(1_500)
    bench.pds[0].is_silent = False
    bench.run(3_000)
    assert 0x68 not in bench.pds[0].codes()
    bench.pds[0].is_silent = True
    bench.run(5_000)
    assert not bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    assert not bench.bus.show("r0", "granted")


@pytest.mark.parametrize("is_restarted", [True, False], ids=["restarted", "same session"])
def test_offline_after_silence_and_back_within_a_second(is_restarted):
    """A reader that was unplugged for a moment would be gone for minutes (libosdp: 300 s)."""
    bench = bench_of(2)
    bench.online()
    for outage_ms in (2_500, 12_000, 17_300, 61_000):
        bench.told.clear()
        bench.pds[0].is_silent = True
        bench.until(lambda: not bench.bus.standing("r0").is_online)
        assert bench.of(DeviceOffline) == [DeviceOffline(source="r0", why="no answer")]
        bench.run(outage_ms)
        bench.pds[0].is_silent = False
        if is_restarted:
            bench.pds[0].restart()
        assert bench.until(lambda: bench.bus.standing("r0").is_online) <= 1_000
    assert bench.of(DeviceOffline)[1:] == []
    assert bench.bus.standing("r1").is_online


def test_a_reader_that_restarts_is_back_at_once():
    """Every brown-out would be an outage."""
    bench = bench_of()
    bench.online()
    bench.pds[0].restart()
    bench.run(1_500)
    assert bench.of(DeviceOffline) == []
    assert bench.bus.standing("r0").counts.sessions == 2
    bench.pds[0].polls.append(CARD)
    assert bench.run(200)


def test_a_dead_reader_costs_its_neighbours_little():
    """One torn cable would make all portals of the line slow."""
    bench = bench_of(4)
    bench.online()
    before = bench.bus.standing("r1").counts.polls
    bench.run(20_000)
    healthy = bench.bus.standing("r1").counts.polls - before
    bench.pds[0].is_silent = True
    bench.run(5_000)
    before = bench.bus.standing("r1").counts.polls
    bench.run(20_000)
    assert bench.bus.standing("r1").counts.polls - before > 0.9 * healthy
    assert bench.bus.standing("r1").is_online


def test_three_dead_readers_leave_the_fourth_most_of_the_line():
    """A burnt power supply would make the last portal of its line slow."""
    bench = bench_of(4, baud=115_200)
    bench.online()
    for at in range(3):
        bench.pds[at].is_silent = True
    bench.run(5_000)
    before = bench.bus.standing("r3").counts.polls
    bench.run(10_000)
    assert bench.bus.standing("r3").counts.polls - before > 330


def test_a_release_waits_for_no_silent_reader():
    """The strike would be released a second after the grant, when nobody stands there."""
    bench = bench_of()
    bench.online()
    bench.pds[0].is_silent = True
    bench.run(200)
    assert bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    assert bench.bus.switch("r0", 1, is_on=False)
    bench.run(1_300)
    bench.pds[0].is_silent = False
    bench.run(1_000)
    assert [body.hex() for code, body in bench.pds[0].heard if code == 0x68] == ["01010000"]


def test_an_off_is_forgotten_when_the_reader_is_gone():
    """An old OFF would undo a release after the outage."""
    bench = bench_of()
    bench.online()
    bench.pds[0].is_silent = True
    bench.run(200)
    assert bench.bus.switch("r0", 0, is_on=False)
    bench.until(lambda: not bench.bus.standing("r0").is_online)
    bench.pds[0].is_silent = False
    bench.run(3_000)
    assert 0x68 not in bench.pds[0].codes()


def test_an_answer_with_another_sequence_is_a_stray():
    """An answer that was late, or recorded, would count for the next question."""
    bench = bench_of()
    bench.wire = lambda raw: raw if raw[4] & 3 == 0 else reply(0, raw[4] + 1 & 3 or 1, raw[5], raw[6:-2])
    bench.run(1_500)
    standing = bench.bus.standing("r0")
    assert standing.state in ("probing", "describing")
    assert standing.counts.strays > 0


def test_readers_are_polled_fairly():
    """A reader with much to say would keep the others from speaking."""
    bench = bench_of(4)
    bench.online()
    bench.pds[0].polls = [(0x90, b"\1\2\3x")] * 10_000
    before = [bench.bus.standing(f"r{at}").counts.polls for at in range(4)]
    bench.run(5_000)
    polls = [bench.bus.standing(f"r{at}").counts.polls - was for at, was in enumerate(before)]
    assert max(polls) - min(polls) <= 2


def test_a_nak_takes_nobody_offline():
    """A reader without a buzzer would be gone whenever somebody is refused (libosdp: 300 s)."""
    bench = bench_of()
    bench.online()
    bench.pds[0].answers = dict.fromkeys((0x69, 0x6A, 0x6B, 0x80), (0x41, b"\x03"))
    assert bench.bus.show("r0", "refused")
    assert bench.bus.manufacturer("r0", b"\1\2\3", b"x")
    assert bench.run(2_000) == []
    standing = bench.bus.standing("r0")
    assert standing.is_online
    assert (standing.counts.naks, standing.counts.last_nak) == (4, 3)


def test_what_a_reader_lacks_is_not_sent():
    """Real readers answer NAK to what they lack, and some worse."""
    bench = Bench(ScriptedPd(pdcap=bytes.fromhex("030100080100090100")))
    bench.online()
    assert not bench.bus.show("r0", "refused")
    assert not bench.bus.switch("r0", 0, is_on=True, for_ms=1_000)
    bench.run(500)
    assert not {0x68, 0x69, 0x6A, 0x6B} & set(bench.pds[0].codes())


def test_a_busy_reader_is_asked_again():
    """BUSY would lose the command that met it."""
    bench = bench_of()
    bench.online()
    bench.pds[0].busy = 5
    assert bench.bus.switch("r0", 1, is_on=True, for_ms=500)
    bench.run(1_000)
    assert (0x68, bytes.fromhex("01050500")) in bench.pds[0].heard
    assert bench.bus.standing("r0").counts.busy == 5
    assert bench.bus.standing("r0").counts.sessions == 1


@pytest.mark.parametrize("what", ["granted", "refused", "out_of_order", "enter_pin", "second_card", "not_read"])
def test_signals_reach_the_reader(what):
    """Nobody at the wall would know what to do."""
    bench = bench_of()
    bench.online()
    assert bench.bus.show("r0", what)
    bench.run(500)
    light = dict(bench.pds[0].heard)[0x69]
    assert len(light) == 14
    assert light[2] == 2
    assert light[9:] == bytes(5)


def test_a_release_is_told_without_waiting_for_the_next_poll():
    """The strike would be late by a poll interval."""
    bench = bench_of(baud=115_200, poll_every_ms=1_000)
    bench.online()
    assert bench.bus.switch("r0", 0, is_on=True, for_ms=3_000)
    bench.run(60)
    assert (0x68, bytes.fromhex("00051E00")) in bench.pds[0].heard


def test_lost_answers_are_asked_for_again_with_the_same_bytes():
    """A lost answer would break the chain of MACs, or carry a command out twice."""
    bench = bench_of()
    bench.online()
    lost = []

    def lose_one(raw: bytes) -> bytes:
        if not lost:
            lost.append(raw)
            return b""
        return raw

    bench.pds[0].polls.append(CARD)
    bench.wire = lose_one
    assert bench.run(1_000) == [CardRead(source="r0", number=NUMBER, kind="osdp")]
    counts = bench.bus.standing("r0").counts
    assert (counts.retries, counts.sessions) == (1, 1)


def test_our_own_echo_is_ignored():
    """Half-duplex adapters give back what we send: every poll would be noise."""
    bench = bench_of()
    bench.wire = lambda raw: b"\xff" + bench.sent[-1] + raw
    bench.online()
    bench.pds[0].polls.append(CARD)
    assert [type(event) for event in bench.run(200)] == [CardRead]


def test_frames_arrive_in_single_bytes():
    """A UART gives bytes, not frames: nothing would ever be heard (libosdp 3.2)."""
    bench = bench_of()
    bench.pds[0].polls.append(CARD)
    carry, bus = bench._carry, bench.bus

    def one_by_one() -> None:
        carry()
        for at_ms, raw in bench.on_its_way[:1]:
            bench.on_its_way[:1] = [(at_ms - len(raw) + at + 1, raw[at : at + 1]) for at in range(len(raw))]

    bench.wire = lambda raw: raw
    bench._carry = lambda: one_by_one() if not bench.on_its_way else None  # type: ignore[method-assign]
    bench.online()
    assert bus.standing("r0").counts.retries == 0


def test_noise_before_and_after_frames_is_told_and_harmless():
    """A disturbed line would be silent, or would be silent about it."""
    bench = bench_of()
    bench.wire = lambda raw: bytes.fromhex("00FF1122") + raw + bytes.fromhex("AA")
    bench.online()
    bench.run(2_000)
    assert bench.bus.standing("r0").is_online
    assert {type(event) for event in bench.told} == {LineNoise}


def test_session_is_renewed_without_a_gap():
    """A 32-bit MAC would be worn out, or each renewal would be an outage."""
    bench = bench_of(renew_after_messages=200)
    bench.online()
    bench.run(20_000)
    assert bench.bus.standing("r0").counts.sessions > 3
    assert bench.told == []
    bench.pds[0].polls.append(CARD)
    assert [event.is_held_back for event in bench.run(500)] == [False]
    assert bench.sent[-1][4] & 3


@pytest.mark.req("B-21")
def test_session_is_renewed_by_time():
    """The keys of a session would live for ever."""
    bench = bench_of(renew_after_ms=5_000)
    bench.online()
    bench.run(21_000)
    assert bench.bus.standing("r0").counts.sessions == 5


@pytest.mark.req("A-09")
def test_a_key_is_renewed_inside_the_channel():
    """A key that somebody knew could only be changed on a ladder."""
    bench = bench_of()
    bench.online()
    assert bench.bus.renew_key("r0", OTHER_KEY)
    assert bench.run(1_000) == [KeyRenewed(source="r0", is_done=True)]
    assert bench.pds[0].key == OTHER_KEY
    bench.pds[0].restart()
    bench.run(2_000)
    assert bench.bus.standing("r0").is_online
    with pytest.raises(ValueError, match="key"):
        bench.bus.renew_key("r0", OTHER_KEY)


def test_a_refused_key_leaves_the_old_one():
    """A reader that cannot change its key would be lost."""
    bench = bench_of()
    bench.online()
    bench.pds[0].answers[0x75] = (0x41, b"\x03")
    assert bench.bus.renew_key("r0", OTHER_KEY)
    assert bench.run(1_000) == [KeyRenewed(source="r0", is_done=False)]
    bench.pds[0].restart()
    bench.run(2_000)
    assert bench.bus.standing("r0").is_online


@pytest.mark.parametrize("is_taken", [True, False], ids=["taken", "not taken"])
def test_a_line_cut_during_keyset_loses_no_reader(is_taken):
    """Nobody would know which key the reader has, and it would be called a fake."""
    bench = bench_of()
    bench.online()
    pd = bench.pds[0]
    obey = pd._obey

    def cut(code: int, body: bytes) -> tuple[int, bytes]:
        if code != 0x75:
            return obey(code, body)
        if is_taken:
            obey(code, body)
        pd.is_silent = True
        return (0x40, b"")

    pd._obey = cut  # type: ignore[method-assign]
    bench.wire = lambda raw: b"" if pd.is_silent else raw
    assert bench.bus.renew_key("r0", OTHER_KEY)
    bench.run(5_000)
    pd.is_silent = False
    pd.restart()
    bench.run(5_000)
    assert bench.bus.standing("r0").is_online
    assert bench.of(KeyRenewed) == [KeyRenewed(source="r0", is_done=is_taken)]
    assert bench.bus.standing("r0").distrust is None


def test_all_readers_change_speed_before_the_line():
    """A reader would be left behind at the old speed."""
    bench = bench_of(3)
    bench.online()
    assert bench.bus.set_baud(115_200)
    bench.until(lambda: bench.bus.baud == 115_200)
    assert [pd.baud for pd in bench.pds.values()] == [115_200] * 3
    bench.run(3_000)
    assert bench.of(DeviceOffline) == []
    assert all(bench.bus.standing(f"r{at}").is_online for at in range(3))


def test_one_that_refuses_the_speed_brings_the_others_back():
    """Half of a line's readers would be unreachable."""
    bench = bench_of(3)
    bench.online()
    bench.pds[1].answers[0x6E] = (0x41, b"\x03")
    heard = {0: 9_600, 1: 9_600, 2: 9_600}

    def deaf(raw: bytes) -> bytes:
        at = raw[1] & 0x7F
        return raw if bench.bus.baud == heard[at] else b""

    take = bench.pds[0].take

    def hears(raw: bytes) -> bytes:
        answer = take(raw) if bench.bus.baud == heard[0] else b""
        if bench.pds[0].heard and bench.pds[0].heard[-1][0] == 0x6E:
            bench.pds[0].speed = bench.pds[0].baud
        return answer

    bench.pds[0].take = hears  # type: ignore[method-assign]
    bench.wire = deaf
    assert bench.bus.set_baud(115_200)
    bench.until(lambda: bench.pds[0].baud == 115_200)
    heard[0] = 115_200
    bench.until(lambda: bench.bus.baud == 115_200)
    bench.until(lambda: bench.pds[0].baud == 9_600)
    heard[0] = 9_600
    bench.until(lambda: bench.bus.baud == 9_600)
    bench.run(5_000)
    assert all(bench.bus.standing(f"r{at}").is_online for at in range(3))


def test_the_speed_is_searched_when_nobody_answers():
    """After a power cut in the middle of a change nobody would be found again."""
    bench = bench_of(search_bauds=(38_400, 115_200))
    bench.wire = lambda raw: raw if bench.bus.baud == 115_200 else b""
    bench.until(lambda: bench.bus.standing("r0").is_online, within_ms=30_000)
    assert bench.bus.baud == 115_200


def test_a_file_arrives_whole():
    """A reader's new firmware would be cut."""
    bench = bench_of()
    bench.online()
    content = bytes(range(256)) * 8
    bench.pds[0].answers[0x7C] = (0x7A, bytes(7))
    assert bench.bus.send_file("r0", 1, content)
    bench.run(20_000)
    pieces = [body for code, body in bench.pds[0].heard if code == 0x7C]
    assert b"".join(body[11:] for body in pieces) == content
    assert [int.from_bytes(body[5:9], "little") for body in pieces] == list(range(0, 2048, len(pieces[0]) - 11))
    assert bench.of(FileSent) == [FileSent(source="r0", is_done=True)]


def test_a_refused_file_says_so():
    """Somebody would wait for ever."""
    bench = bench_of()
    bench.online()
    bench.pds[0].answers[0x7C] = (0x7A, bytes.fromhex("000000FFFF0000"))
    assert bench.bus.send_file("r0", 1, bytes(500))
    bench.run(1_000)
    assert bench.of(FileSent) == [FileSent(source="r0", is_done=False, why="refused")]


def test_a_reader_without_a_key_is_not_spoken_to():
    """A reader that nobody commissioned would be taken in."""
    bench = Bench(ScriptedPd(), plans=[PdPlan(source="r0", address=0)])
    bench.run(5_000)
    assert bench.told == [DeviceOffline(source="r0", why="not commissioned")]
    assert bench.pds[0].heard == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"address": 127}, "address"),
        ({"key": bytes(16)}, "key"),
        ({"offline_after_ms": 10}, "busy"),
        ({"pkoc_reader_id": b"short"}, "PKOC"),
    ],
)
def test_senseless_plans_are_refused(options, match):
    """A slip in the site file would be found out at the portal."""
    with pytest.raises(ValueError, match=match):
        PdPlan(**({"source": "r", "address": 1} | options))


@pytest.mark.req("B-19")
def test_a_key_guards_one_reader():
    """Whoever opens one reader would hold the keys of all."""
    plans = [PdPlan(source=f"r{at}", address=at, key=KEY) for at in range(2)]
    with pytest.raises(ValueError, match="share"):
        OsdpBus("bus", plans, baud=9_600, random=bytes)


def test_line_loss_is_told_once_each():
    """An unplugged adapter would be silence, or a flood."""
    bench = bench_of(2)
    bench.online()
    assert bench.bus.connection_lost(bench.now_ms) == [
        DeviceOffline(source="r0", why="line lost"),
        DeviceOffline(source="r1", why="line lost"),
    ]
    assert bench.bus.connection_lost(bench.now_ms) == []
    assert bench.bus.receive_data(b"\x53", bench.now_ms) == []
    assert not bench.bus.switch("r0", 0, is_on=False)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=24)), max_size=30), st.integers(0, 2**32))
def test_nothing_on_the_wire_makes_an_event_or_a_crash(attacks, seed):
    """Whoever holds the wire could make a card read, or stop the controller."""
    bench = bench_of()
    bench.online()
    for wait_ms, junk in attacks:
        bench.run(wait_ms)
        at = seed % 7
        bench.told += bench.bus.receive_data(junk, bench.now_ms)
        bench.told += bench.bus.receive_data(reply(0, at % 4, 0x50, junk), bench.now_ms)
        bench.told += bench.bus.receive_data(reply(0, at % 4, 0x50, junk, b"\x02\x16", b"\0\0\0\0"), bench.now_ms)
    bench.run(3_000)
    assert bench.of(CardRead) == []
    assert bench.of(KeysEntered) == []


def test_a_reader_that_never_answers_is_told():
    """A portal without a reader would look as if all were well."""
    bench = bench_of(2)
    bench.pds[0].is_silent = True
    bench.run(10_000)
    assert bench.of(DeviceOffline) == [DeviceOffline(source="r0", why="no answer")]
    assert bench.bus.standing("r0").last_why == "no answer"


@pytest.mark.parametrize("what", ["lost", "doubled", "changed", "inserted"])
def test_a_byte_gone_wrong_anywhere_costs_a_retry_and_no_card(what):
    """A disturbed byte would lose a card, or make another of it."""
    spoilt = {
        "lost": lambda raw, at: raw[:at] + raw[at + 1 :],
        "doubled": lambda raw, at: raw[: at + 1] + raw[at:],
        "changed": lambda raw, at: raw[:at] + bytes((raw[at] ^ 0x35,)) + raw[at + 1 :],
        "inserted": lambda raw, at: raw[:at] + b"\x53" + raw[at:],
    }[what]
    bench = bench_of(baud=115_200)
    bench.online()
    positions = list(range(34))

    def disturb(raw: bytes) -> bytes:
        if raw[7] == 0x50 and positions and len(raw) > positions[-1]:
            return spoilt(raw, positions.pop())
        return raw

    bench.wire = disturb
    for shown in range(34):
        bench.pds[0].polls.append((0x50, bytes.fromhex("00002000") + bytes((1, 2, 3, shown))))
        bench.run(1_200)
    reads = bench.of(CardRead)
    assert [read.number for read in reads] == [bytes((1, 2, 3, shown)) for shown in range(34)]
    assert bench.bus.standing("r0").counts.sessions == 1
    assert bench.bus.standing("r0").counts.bad_macs == 0


def test_another_readers_answer_is_not_taken():
    """One reader could speak for another on the same line."""
    bench = bench_of(2)
    bench.online()
    bench.pds[1].polls.append(CARD)

    def forged(raw: bytes) -> bytes:
        head = bytes((0x53, 0x80 if raw[1] == 0x81 else raw[1])) + raw[2:-2]
        return raw if raw[1] == 0x80 else reply(0, raw[4] & 3, *CARD) + head + crc16(head)

    bench.wire = forged
    bench.run(3_000)
    assert bench.of(CardRead) == []
    assert bench.bus.standing("r0").is_online
    assert bench.bus.standing("r0").counts.strays > 0
