"""The known attacks on OSDP (Bishop Fox's Mellon; requirements B-16 to B-21), each against our control panel."""

from __future__ import annotations

import pytest

from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InstallEnded,
    ReaderDistrusted,
    ReaderIdentified,
)
from readers.protocols.osdp import PdPlan
from tests.readers.osdp.scripted import CLEAR_PDCAP, DEFAULT_KEY, KEY, OTHER_KEY, PDID, Bench, ScriptedPd, reply

CARD = (0x50, bytes.fromhex("00002000A1B2C3D4"))
NEW_KEY = bytes.fromhex("c81f5307e6a94db27810fe3c95ab426d")


def distrusted(bench: Bench) -> list[str]:
    return [event.why for event in bench.of(ReaderDistrusted)]


def approved_identity() -> str:
    bench = Bench(ScriptedPd())
    bench.online()
    identity = bench.bus.standing("r0").identity
    assert identity is not None
    return identity


def pinned(pd: ScriptedPd, **options: object) -> Bench:
    plan = PdPlan(source="r0", address=0, key=KEY, identity=approved_identity(), inputs={0: "rex"})
    return Bench(pd, plans=[plan], **options)


@pytest.mark.req("B-16")
def test_a_reader_that_offers_no_channel_is_a_downgrade():
    """A fake that says "no encryption" would be talked to in the clear (Mellon, attack 2)."""
    bench = pinned(ScriptedPd(clear_pdcap=CLEAR_PDCAP, has_secure=False, polls=[CARD] * 50))
    bench.run(30_000)
    assert distrusted(bench) == ["downgraded"]
    assert bench.of(DeviceOffline) == [DeviceOffline(source="r0", why="downgraded")]
    assert bench.of(CardRead) == bench.of(DeviceOnline) == []
    assert set(bench.pds[0].codes()) <= {0x61, 0x62, 0x76}


@pytest.mark.req("B-16")
def test_a_clear_card_is_no_card():
    """Whoever holds the wire would send a card number in the clear (Mellon, attack 1)."""
    bench = pinned(ScriptedPd())
    bench.online()
    bench.wire = lambda raw: reply(0, raw[4] & 3, *CARD)
    bench.run(1_000)
    assert bench.of(CardRead) == []
    assert bench.bus.standing("r0").counts.bad_macs > 0


@pytest.mark.req("B-16")
def test_nothing_but_the_handshake_leaves_in_the_clear():
    """A command or a key could be read on the wire."""
    bench = pinned(ScriptedPd())
    bench.online()
    bench.bus.show("r0", "granted")
    bench.bus.renew_key("r0", OTHER_KEY)
    bench.run(2_000)
    clear = {raw[5] for raw in bench.sent if not raw[4] & 8}
    opening = {raw[5 + raw[5]] for raw in bench.sent if raw[4] & 8 and raw[6] < 0x15}
    assert (clear, opening) == ({0x61, 0x62}, {0x76, 0x77})


@pytest.mark.req("B-17")
@pytest.mark.parametrize("flag", [0, None], ids=["says so", "hides it"])
def test_the_default_key_opens_no_channel(flag):
    """The key that is printed in the standard would do."""
    bench = pinned(ScriptedPd(key=DEFAULT_KEY, key_flag=flag, is_default_key_taken=True, polls=[CARD]))
    bench.run(10_000)
    assert distrusted(bench) == ["default_key" if flag == 0 else "key_lost"]
    assert bench.of(DeviceOnline) == bench.of(CardRead) == []
    assert all(raw[7] == 1 for raw in bench.sent if raw[4] & 8 and raw[6] in (0x11, 0x13))


@pytest.mark.req("B-17")
def test_no_key_is_ever_sent_unasked():
    """A reader that says "I have no key" would be given ours, over the wire (Mellon, attack 5)."""
    for pd in (ScriptedPd(has_secure=False), ScriptedPd(key=DEFAULT_KEY), ScriptedPd(nak_handshake=6)):
        bench = pinned(pd)
        bench.run(20_000)
        assert 0x75 not in pd.codes()
        assert bench.of(DeviceOnline) == []


@pytest.mark.req("B-20")
@pytest.mark.parametrize(
    ("pd", "why"),
    [
        (ScriptedPd(pdid=PDID[:5] + b"\x99" + PDID[6:]), "replaced"),
        (ScriptedPd(pdid=PDID[:-1] + b"\x07"), "replaced"),
        (ScriptedPd(pdcap=bytes.fromhex("030100080100090100")), "replaced"),
        (ScriptedPd(key=OTHER_KEY), "key_lost"),
        (ScriptedPd(nak_handshake=6), "key_lost"),
        (ScriptedPd(nak_handshake=5), "key_lost"),
        (ScriptedPd(first_mac_flag=0xFF), "key_lost"),
    ],
    ids=["serial", "firmware", "abilities", "other key", "not secure", "no block", "refuses our proof"],
)
def test_another_reader_is_believed_no_more(pd, why):
    """A reader swapped for another would go on opening the portal."""
    bench = pinned(pd)
    pd.polls = [CARD] * 20
    bench.run(20_000)
    assert distrusted(bench) == [why]
    assert bench.of(CardRead) == bench.of(DeviceOnline) == []
    assert not bench.bus.switch("r0", 0, is_on=True, for_ms=1_000)
    assert not bench.bus.show("r0", "granted")


@pytest.mark.req("B-20")
def test_distrust_ends_by_approval_only():
    """A swapped reader would be trusted again after a restart of the line."""
    pd = ScriptedPd(pdid=PDID[:-1] + b"\x07")
    bench = pinned(pd)
    bench.run(3_000)
    found = bench.of(ReaderIdentified)[0].identity
    bench.told += bench.bus.connection_lost(bench.now_ms)
    bench.bus.connection_made(bench.now_ms)
    bench.run(3_000)
    assert bench.of(DeviceOnline) == []
    bench.bus.trust("r0", found)
    bench.run(100)
    assert bench.of(DeviceOnline) == [DeviceOnline(source="r0")]
    assert distrusted(bench) == ["replaced"]
    bench.run(2_000)
    pd.polls.append(CARD)
    bench.run(200)
    assert [event.is_held_back for event in bench.of(CardRead)] == [False]


@pytest.mark.req("B-20")
def test_approving_another_identity_helps_nobody():
    """An approval of one reader would let any other in."""
    bench = pinned(ScriptedPd(pdid=PDID[:-1] + b"\x07"))
    bench.run(3_000)
    bench.bus.trust("r0", "00" * 32)
    bench.run(1_000)
    assert bench.of(DeviceOnline) == []
    assert distrusted(bench) == ["replaced", "replaced"]


@pytest.mark.req("B-20")
def test_an_exit_works_on_a_reader_that_is_not_trusted():
    """Distrust would lock somebody in."""
    pd = ScriptedPd(pdid=PDID[:-1] + b"\x07")
    bench = pinned(pd)
    bench.run(2_000)
    bench.told.clear()
    pd.polls += [(0x49, b"\1"), CARD, (0x48, b"\1\0"), (0x48, b"\0\0")]
    bench.run(500)
    assert bench.told == [
        InputChanged(source="r0", line="rex", is_active=True, is_level_report=False),
        InputChanged(source="r0", line="tamper", is_active=True, is_level_report=True),
    ]


@pytest.mark.req("B-16")
def test_a_reader_that_loses_its_channel_while_running_is_a_downgrade():
    """A swap against a reader without encryption would be called a key that got lost."""
    bench = pinned(ScriptedPd())
    bench.online()
    pd = bench.pds[0]
    pd.clear_pdcap, pd.has_secure = CLEAR_PDCAP, False
    pd.restart()
    pd.polls = [CARD] * 20
    bench.run(5_000)
    assert distrusted(bench) == ["downgraded"]
    assert bench.of(CardRead) == []


@pytest.mark.req("B-16")
def test_a_swap_while_running_is_seen_even_without_a_pin():
    """A reader that nobody approved by identity could be swapped at leisure."""
    bench = Bench(ScriptedPd())
    bench.online()
    bench.pds[0].pdid = PDID[:-1] + b"\x07"
    bench.pds[0].restart()
    bench.run(3_000)
    assert distrusted(bench) == ["replaced"]


@pytest.mark.req("B-21")
def test_a_hundred_bad_macs_end_trust():
    """Somebody could guess at 32 bits for as long as he likes."""
    bench = pinned(ScriptedPd())
    bench.online()
    bench.pds[0].spoil_macs = 100
    bench.run(60_000)
    assert distrusted(bench) == ["macs_failed"]
    assert bench.of(CardRead) == []
    assert not bench.bus.standing("r0").is_online


@pytest.mark.req("B-21")
def test_bad_macs_in_a_row_end_the_session():
    """A channel out of step would never recover."""
    bench = pinned(ScriptedPd())
    bench.online()
    bench.pds[0].spoil_macs = 1  # and it repeats what it said, as readers do
    bench.run(2_000)
    assert bench.bus.standing("r0").counts.sessions == 2
    assert bench.bus.standing("r0").is_online
    assert bench.told == [event for event in bench.told if isinstance(event, InputChanged)]


@pytest.mark.req("B-21")
@pytest.mark.req("B-22")
def test_replayed_answers_are_nothing():
    """A recorded card would open the portal: in the same session, and in the next."""
    bench = pinned(ScriptedPd())
    recorded: list[bytes] = []

    def record(raw: bytes) -> bytes:
        recorded.append(raw)
        return raw

    bench.online()
    bench.wire = record
    bench.pds[0].polls.append(CARD)
    bench.run(300)
    assert len(bench.of(CardRead)) == 1
    bench.wire = lambda raw: raw
    for raw in recorded:
        for _ in range(4):
            bench.told += bench.bus.receive_data(raw, bench.now_ms)
            bench.run(7)
    bench.pds[0].restart()
    bench.run(1_000)
    for raw in recorded:
        bench.told += bench.bus.receive_data(raw, bench.now_ms)
        bench.run(7)
    assert len(bench.of(CardRead)) == 1


# -- install mode ---------------------------------------------------------------------------------------------------


def blank(**options: object) -> Bench:
    pd = ScriptedPd(key=DEFAULT_KEY, is_default_key_taken=True)
    other = ScriptedPd(address=1, key=OTHER_KEY)
    plans = [PdPlan(source="r0", address=0), PdPlan(source="r1", address=1, key=OTHER_KEY)]
    return Bench(pd, other, plans=plans, **options)


@pytest.mark.req("B-18")
def test_install_mode_gives_one_reader_its_key():
    """A new reader could not be commissioned."""
    bench = blank()
    bench.run(2_000)
    bench.pds[0].polls = [CARD]
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms)
    bench.told.clear()
    bench.until(lambda: bench.bus.standing("r0").is_online)
    assert [type(event) for event in bench.told] == [InstallEnded, ReaderIdentified, DeviceOnline]
    assert bench.told[0] == InstallEnded(source="r0", is_done=True)
    assert bench.pds[0].key == NEW_KEY
    assert not bench.bus.standing("r0").is_installing
    keysets = [body for code, body in bench.pds[0].heard if code == 0x75]
    assert keysets == [b"\x01\x10" + NEW_KEY]
    assert not any(NEW_KEY[:4] in raw for raw in bench.sent)


@pytest.mark.req("B-18")
def test_install_mode_ends_by_itself():
    """Forgotten install mode would hand the next key to whoever connects (Mellon, attack 3)."""
    bench = blank()
    bench.pds[0].is_silent = True
    bench.run(1_000)
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms, within_ms=600_000)
    bench.run(599_000)
    assert bench.of(InstallEnded) == []
    bench.run(2_000)
    assert bench.of(InstallEnded) == [InstallEnded(source="r0", is_done=False, why="time is over")]
    bench.pds[0].is_silent = False
    bench.pds[0].heard.clear()
    bench.run(60_000)
    assert bench.pds[0].heard == []
    assert not bench.bus.standing("r0").is_online


@pytest.mark.req("B-18")
def test_install_mode_is_for_one_reader_and_ten_minutes():
    """A whole line could be re-keyed by whoever is there first."""
    bench = blank()
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms)
    with pytest.raises(ValueError, match="one reader"):
        bench.bus.begin_install("r1", bytes.fromhex("17b90c6f2ed3a84581fa60c7354be29d"), bench.now_ms)
    bench.bus.end_install("r0")
    bench.run(10)
    assert bench.of(InstallEnded) == [InstallEnded(source="r0", is_done=False, why="stopped")]
    with pytest.raises(ValueError, match="lasts"):
        bench.bus.begin_install("r0", bytes.fromhex("17b90c6f2ed3a84581fa60c7354be29d"), bench.now_ms, 600_001)
    with pytest.raises(ValueError, match="key"):
        bench.bus.begin_install("r0", DEFAULT_KEY, bench.now_ms)
    with pytest.raises(ValueError, match="key"):
        bench.bus.begin_install("r0", OTHER_KEY, bench.now_ms)


@pytest.mark.req("B-18")
def test_install_mode_does_not_touch_the_neighbours():
    """While one reader is installed the others would take the default key too."""
    bench = blank()
    bench.run(1_000)
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms)
    bench.pds[1].restart()
    bench.run(3_000)
    assert bench.bus.standing("r1").is_online
    challenges = [raw for raw in bench.sent if raw[1] == 1 and raw[4] & 8 and raw[6] == 0x11]
    assert {raw[7] for raw in challenges} == {1}


@pytest.mark.req("B-18")
def test_a_line_loss_pauses_install_mode():
    """A loose plug would cost two people their ten minutes, or end nothing."""
    bench = blank()
    bench.pds[0].is_silent = True
    bench.run(500)
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms, within_ms=60_000)
    bench.run(1_000)
    bench.told += bench.bus.connection_lost(bench.now_ms)
    bench.run(10_000)
    bench.bus.connection_made(bench.now_ms)
    bench.pds[0].is_silent = False
    bench.run(3_000)
    assert InstallEnded(source="r0", is_done=True) in bench.told


@pytest.mark.req("B-18")
def test_a_key_that_arrived_unheard_is_found_by_the_next_install_mode():
    """A plug pulled at the wrong moment would make a new reader useless."""
    bench = blank()
    bench.pds[0].key, bench.pds[0].is_default_key_taken = NEW_KEY, False
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms, within_ms=60_000)
    bench.until(lambda: bench.bus.standing("r0").is_online)
    assert bench.of(InstallEnded) == [InstallEnded(source="r0", is_done=True)]
    assert 0x75 not in bench.pds[0].codes()


@pytest.mark.req("B-18")
@pytest.mark.req("B-20")
def test_a_reset_reader_is_back_only_through_install_mode():
    """A reader reset on the wall would come back by itself."""
    pd = ScriptedPd()
    bench = pinned(pd)
    bench.online()
    pd.key, pd.is_default_key_taken, pd.key_flag = DEFAULT_KEY, True, None
    pd.restart()
    bench.run(20_000)
    assert distrusted(bench) == ["key_lost"]
    assert not bench.bus.standing("r0").is_online
    bench.bus.begin_install("r0", NEW_KEY, bench.now_ms)
    bench.run(3_000)
    assert InstallEnded(source="r0", is_done=True) in bench.told
    assert bench.bus.standing("r0").is_online
