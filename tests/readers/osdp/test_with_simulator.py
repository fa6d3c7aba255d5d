"""Our control panel against the simulated readers, which share no code with it, in virtual time and byte by byte."""

from __future__ import annotations

import secrets

import pytest

from readers.events import (
    CardRead,
    CardUnread,
    DeviceOffline,
    DeviceOnline,
    Event,
    FileSent,
    InputChanged,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    ReaderDistrusted,
)
from readers.protocols.osdp import OsdpBus, PdPlan
from simulators.osdp.bus import OsdpBus as Pair
from simulators.osdp.functions import Make
from simulators.osdp.pkoc import KeyPairCard
from simulators.osdp.reader import OsdpReader
from simulators.osdp.words import Identity

KEYS = [secrets.token_bytes(16) for _ in range(4)]
NEW_KEY = secrets.token_bytes(16)
READER_ID = bytes(range(32))


class Wire:
    """The pair in virtual time; every byte takes its time, in both directions."""

    def __init__(self, *readers: OsdpReader, baud: int = 38_400, **plan: object) -> None:
        self.pair = Pair(readers)
        self.readers = readers
        lines = {0: "contact", 1: "rex"}
        options = {"inputs": lines, "has_keypad": True, "pkoc_reader_id": READER_ID} | plan
        self.plans = [
            PdPlan(source=f"r{one.address}", address=one.address, **({"key": one.key} | options)) for one in readers
        ]
        self.bus = OsdpBus("bus", self.plans, baud=baud, random=secrets.token_bytes)
        self.now_ms = 1_000
        self.told: list[Event] = []
        self._up: list[tuple[float, int]] = []
        self._down: list[tuple[float, int]] = []
        self._free = {"up": 0.0, "down": 0.0}
        self.bus.connection_made(self.now_ms)

    def run(self, for_ms: int) -> list[Event]:
        before = len(self.told)
        for _ in range(for_ms):
            self.now_ms += 1
            self._step()
        return self.told[before:]

    def until(self, is_so, within_ms: int = 20_000) -> int:
        began_ms = self.now_ms
        while not is_so():
            assert self.now_ms - began_ms < within_ms, f"not within {within_ms} ms; told {self.told}"
            self.run(1)
        return self.now_ms - began_ms

    def online(self) -> None:
        self.until(lambda: all(self.bus.standing(plan.source).is_online for plan in self.plans))
        self.run(1_500)
        self.told.clear()

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]

    def _step(self) -> None:
        due_ms = self.bus.deadline()
        if due_ms is not None and due_ms <= self.now_ms:
            self.told += self.bus.tick(self.now_ms)
        self._put("down", self._down, self.bus.data_to_send())
        if down := self._arrived(self._down):
            self.pair.receive(down, self.now_ms)
        self.pair.tick(self.now_ms)
        self._put("up", self._up, self.pair.outgoing())
        if up := self._arrived(self._up):
            self.told += self.bus.receive_data(up, self.now_ms)
            self._put("down", self._down, self.bus.data_to_send())

    def _put(self, way: str, held: list[tuple[float, int]], chunk: bytes) -> None:
        self._free[way] = max(self._free[way], float(self.now_ms))
        for byte in chunk:
            self._free[way] += 10_000 / self.bus.baud
            held.append((self._free[way], byte))

    def _arrived(self, held: list[tuple[float, int]]) -> bytes:
        count = next((at for at, (at_ms, _) in enumerate(held) if at_ms > self.now_ms), len(held))
        out = bytes(byte for _, byte in held[:count])
        del held[:count]
        return out


def readers_of(count: int = 1, **make: object) -> list[OsdpReader]:
    return [OsdpReader(at, key=KEYS[at], make=Make(**make)) for at in range(count)]


def test_four_readers_say_everything():
    """Something at a portal would be lost between the two."""
    wire = Wire(*readers_of(4))
    wire.online()
    for reader in wire.readers:
        reader.functions.present(bytes((1, 2, 3, reader.address)), 32, is_wiegand=False, now_ms=wire.now_ms)
        reader.functions.type("4711", wire.now_ms)
        reader.functions.set_input(0, True)
    wire.run(2_000)
    assert [event.number[3] for event in sorted(wire.of(CardRead), key=lambda one: one.source)] == [0, 1, 2, 3]
    assert [event.digits for event in wire.of(KeysEntered)] == ["4711"] * 4
    contacts = [event for event in wire.of(InputChanged) if event.line == "contact"]
    assert [(event.is_active, event.is_level_report) for event in contacts] == [(True, False)] * 4
    assert wire.pair.collisions == 0
    assert b"4711" not in wire.pair.overheard()


def test_outputs_lights_and_words_arrive():
    """A strike would not be released, and nobody told why."""
    wire = Wire(*readers_of())
    wire.online()
    face = wire.readers[0].functions.face
    assert wire.bus.switch("r0", 0, is_on=True, for_ms=1_500)
    assert wire.bus.show("r0", "granted")
    wire.run(600)
    assert (face.outputs, face.colour, face.text) == ([True], "green", "OK")
    wire.pair.cut(wire.readers[0])
    wire.run(1_500)
    assert face.outputs == [False]


@pytest.mark.req("A-34")
@pytest.mark.parametrize("size", [128, 512])
def test_pkoc_cards_prove_themselves(size):
    """A copied card would open, or a genuine one not."""
    wire = Wire(*readers_of(size=size))
    wire.online()
    card = KeyPairCard(0x1234567)
    wire.readers[0].functions.present_pkoc(card, wire.now_ms)
    wire.run(1_500)
    (read,) = wire.of(CardRead)
    assert read.proof is not None
    assert (read.number, read.proof.is_genuine, len(read.proof.nonce)) == (card.public_key[1:33], True, 16)
    wire.told.clear()
    wire.readers[0].functions.present_pkoc(KeyPairCard(99, forges=card.public_key), wire.now_ms)
    wire.run(1_500)
    (read,) = wire.of(CardRead)
    assert read.proof is not None
    assert (read.number, read.proof.is_genuine) == (card.public_key[1:33], False)


def test_a_reader_that_checks_pkoc_alone_sends_the_number():
    """A reader bought for PKOC would be of no use."""
    wire = Wire(*readers_of(pkoc="reader"))
    wire.online()
    card = KeyPairCard(0x1234567)
    wire.readers[0].functions.present_pkoc(card, wire.now_ms)
    wire.run(1_000)
    (read,) = wire.of(CardRead)
    assert (read.number, read.proof) == (card.public_key[1:33], None)


def test_a_card_that_leaves_too_soon_is_told():
    """Nobody would tell the holder to try again."""
    wire = Wire(*readers_of(card_ms=300))
    wire.online()
    wire.readers[0].functions.present_pkoc(KeyPairCard(7), wire.now_ms)
    wire.run(100)
    wire.readers[0].functions.pkoc.take_away()
    wire.run(1_000)
    assert wire.of(CardUnread) == [CardUnread(source="r0", why="reader error")]


@pytest.mark.req("B-20")
@pytest.mark.parametrize(
    ("mischief", "why"),
    [
        ({"offers_no_security": True}, "downgraded"),
        ({"answers_with": bytes.fromhex("303132333435363738393a3b3c3d3e3f")}, "default_key"),
        ({"answers_with": bytes(16)}, "key_lost"),
        ({"corrupts_macs": True}, "macs_failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_mischief_ends_trust(mischief, why):
    """A tampered reader would go on opening portals."""
    wire = Wire(*readers_of(2))
    wire.online()
    reader = wire.readers[0]
    for name, value in mischief.items():
        setattr(reader.mischief, name, value)
    if why != "macs_failed":
        reader.power_cycle(wire.now_ms)
    wire.until(lambda: bool(wire.of(ReaderDistrusted)), within_ms=120_000)
    reader.functions.present(b"\x01\x02\x03\x04", 32, is_wiegand=False, now_ms=wire.now_ms)
    wire.run(3_000)
    assert wire.of(ReaderDistrusted) == [ReaderDistrusted(source="r0", why=why)]
    assert wire.of(CardRead) == wire.of(DeviceOnline) == []
    assert wire.bus.standing("r1").is_online


@pytest.mark.req("B-20")
def test_a_swapped_reader_with_the_right_key_is_not_trusted():
    """Whoever took the key out of one reader could put another in its place."""
    wire = Wire(*readers_of())
    wire.online()
    wire.readers[0].swap(Identity(serial=0x99999999), KEYS[0], wire.now_ms)
    wire.run(4_000)
    assert [event.why for event in wire.of(ReaderDistrusted)] == ["replaced"]
    assert wire.of(DeviceOnline) == []


@pytest.mark.req("B-22")
def test_a_replayed_frame_is_no_card():
    """A recorded card would open."""
    wire = Wire(*readers_of())
    wire.online()
    reader = wire.readers[0]
    reader.functions.present(b"\x01\x02\x03\x04", 32, is_wiegand=False, now_ms=wire.now_ms)
    wire.run(500)
    recorded = [one.frame.raw for one in wire.pair.captured if one.frame.code == 0x50][-1]
    for _ in range(3):
        reader.replay(recorded)
        wire.run(800)
    assert len(wire.of(CardRead)) == 1
    assert wire.bus.standing("r0").is_online


@pytest.mark.req("B-18")
def test_install_and_new_keys():
    """A reader could not be commissioned, or not be given another key."""
    wire = Wire(OsdpReader(0, key=None))
    wire.run(500)
    assert wire.readers[0].heard == type(wire.readers[0].heard)()
    wire.bus.begin_install("r0", NEW_KEY, wire.now_ms)
    wire.until(lambda: wire.bus.standing("r0").is_online)
    assert InstallEnded(source="r0", is_done=True) in wire.told
    assert wire.readers[0].key == NEW_KEY
    wire.run(1_500)
    assert wire.bus.renew_key("r0", KEYS[1])
    wire.run(1_000)
    assert wire.of(KeyRenewed) == [KeyRenewed(source="r0", is_done=True)]
    assert wire.readers[0].key == KEYS[1]
    assert NEW_KEY not in wire.pair.overheard()
    assert KEYS[1] not in wire.pair.overheard()


def test_a_damaged_answer_costs_one_retry():
    """Each disturbance would end a session."""
    wire = Wire(*readers_of())
    wire.online()
    for bit in range(0, 14 * 8, 5):
        wire.pair.flip(bit)
        wire.run(500)
    assert wire.bus.standing("r0").counts.sessions == 1
    assert wire.of(DeviceOffline) == []
    wire.readers[0].functions.present(b"\x01\x02\x03\x04", 32, is_wiegand=False, now_ms=wire.now_ms)
    wire.pair.flip(100)
    # a damaged byte may look like the beginning of a frame: then the whole patience is waited out
    assert wire.until(lambda: bool(wire.of(CardRead))) < 300


def test_a_file_arrives():
    """A reader's new firmware would be cut."""
    wire = Wire(*readers_of(), baud=115_200)
    wire.online()
    content = secrets.token_bytes(2_000)
    assert wire.bus.send_file("r0", 7, content)
    wire.run(5_000)
    assert wire.of(FileSent) == [FileSent(source="r0", is_done=True)]
    assert wire.readers[0].functions.files == {7: content}


def test_speed_is_raised():
    """A line of many readers would stay slow."""
    wire = Wire(*readers_of(3), baud=9_600)
    wire.online()
    assert wire.bus.set_baud(115_200)
    wire.until(lambda: wire.bus.baud == 115_200)
    assert [reader.baud for reader in wire.readers] == [115_200] * 3
    wire.run(2_000)
    assert wire.of(DeviceOffline) == []
    assert all(wire.bus.standing(plan.source).is_online for plan in wire.plans)
