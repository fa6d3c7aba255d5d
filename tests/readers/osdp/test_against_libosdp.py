"""Our control panel against libosdp's reader, over a pty whose bytes take the time that a UART's take.

The wheels of libosdp 3.2 forget a frame that comes in pieces, so that its channel is fed whole ones. Under CPython 3.11
its reader steals a reference to None with each command, which is given back here.
"""

from __future__ import annotations

import ctypes
import os
import pty
import secrets
import select
import time
import tty
from collections import deque

import pytest

from readers.events import (
    CardRead,
    DeviceOffline,
    DeviceOnline,
    FileSent,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    MakerReplied,
    ReaderDistrusted,
)
from readers.protocols.osdp import OsdpBus, PdPlan

if "SEKISHO_TEST_ALL" in os.environ:
    import osdp  # missing under `make test` is an error, never a silent skip
else:
    osdp = pytest.importorskip("osdp", reason="needs peers (make test)")

pytestmark = [pytest.mark.needs("peers"), pytest.mark.system]

KEYS = [
    bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b"),
    bytes.fromhex("5b1ec07746d2a8913f60e4bb0d27fa83"),
    bytes.fromhex("c81f5307e6a94db27810fe3c95ab426d"),
    bytes.fromhex("17b90c6f2ed3a84581fa60c7354be29d"),
]
NEW_KEY = bytes.fromhex("e1075c93b84f2ad66b90d13ef7248ac5")
TURN_S = 0.001


class Paced:
    """Bytes that arrive one after the other, as fast as the baud allows."""

    def __init__(self, baud: int) -> None:
        self._byte_s = 10 / baud
        self._held: deque[tuple[float, int]] = deque()
        self._free_s = 0.0

    def put(self, chunk: bytes) -> None:
        self._free_s = max(self._free_s, time.monotonic())
        for byte in chunk:
            self._free_s += self._byte_s
            self._held.append((self._free_s, byte))

    def take(self) -> bytes:
        now_s, out = time.monotonic(), bytearray()
        while self._held and self._held[0][0] <= now_s:
            out.append(self._held.popleft()[1])
        return bytes(out)


class FramedChannel(osdp.Channel):
    """One whole frame for each refresh, in the pieces that the library asks for."""

    def __init__(self, number: int, wire: Paced) -> None:
        super().__init__()
        self.id = number
        self.heard = bytearray()
        self._wire = wire
        self._ready = b""
        self._is_over = False

    def read(self, max_bytes: int) -> bytes:
        if self._is_over:
            self._is_over = False
            return b""
        if not self._ready:
            start = self.heard.find(0x53)
            del self.heard[: len(self.heard) if start < 0 else start]
            size = int.from_bytes(self.heard[2:4], "little") if len(self.heard) >= 4 else 0
            if not size or len(self.heard) < size:
                return b""
            self._ready = bytes(self.heard[:size])
            del self.heard[:size]
        piece, self._ready = self._ready[: min(max_bytes, 64)], self._ready[min(max_bytes, 64) :]
        self._is_over = not self._ready
        return piece

    def write(self, buf: bytes) -> int:
        self._wire.put(bytes(buf))
        return len(buf)

    def flush(self) -> None:
        self.heard.clear()
        self._ready = b""


class LibReader:
    """One libosdp reader on the line."""

    def __init__(self, address: int, key: bytes | None, wire: Paced, *, name: str = "reader") -> None:
        self.commands: list[dict[str, object]] = []
        self.channel = FramedChannel(1_000 + address + secrets.randbelow(1_000_000), wire)
        able = osdp.Capability
        abilities = osdp.PDCapabilities(
            [
                (able.OutputControl, 1, 2),
                (able.LEDControl, 1, 1),
                (able.AudibleControl, 1, 1),
                (able.TextOutput, 1, 1),
            ]
        )
        flags = [osdp.LibFlag.EnforceSecure] if key is not None else [osdp.LibFlag.InstallMode]
        plan = osdp.PDInfo(address, self.channel, scbk=key, name=name, flags=flags)
        self.pd = osdp.PeripheralDevice(
            plan, abilities, log_level=osdp.LogLevel.Critical, command_handler=self._on_command
        )
        self.is_on = True

    def _on_command(self, command: dict[str, object]) -> tuple[int, None]:
        self.pd.command_queue.queue.clear()
        if command["command"] != osdp.Command.Status:
            self.commands.append(command)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
        return 0, None

    def submit(self, **event: object) -> None:
        assert self.pd.ctx.submit_event(event)


class Line:
    """A pty: our bus on its near end, the readers behind its far end, both turned by hand."""

    def __init__(self, baud: int, readers: int = 1, **options: object) -> None:
        self._far, self._near = pty.openpty()
        tty.setraw(self._near)
        os.set_blocking(self._near, False)
        self._down, self._up = Paced(baud), Paced(baud)
        self.readers = [LibReader(at, KEYS[at], self._up) for at in range(readers)]
        plans = [PdPlan(source=f"r{at}", address=at, key=KEYS[at], has_keypad=True) for at in range(readers)]
        plans = options.pop("plans", plans)
        self.bus = OsdpBus("bus", plans, baud=baud, random=secrets.token_bytes, **options)
        self.told: list[object] = []
        self.bus.connection_made(self.now_ms)

    @property
    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def turn(self) -> None:
        due_ms = self.bus.deadline()
        if due_ms is not None and due_ms <= self.now_ms:
            self.told += self.bus.tick(self.now_ms)
        if out := self.bus.data_to_send():
            os.write(self._near, out)
        ready, _, _ = select.select([self._near, self._far], [], [], TURN_S)
        if self._far in ready:
            self._down.put(os.read(self._far, 4_096))
        if self._near in ready:
            self.told += self.bus.receive_data(os.read(self._near, 4_096), self.now_ms)
        down, up = self._down.take(), self._up.take()
        if up:
            os.write(self._far, up)
        for reader in self.readers:
            if reader.is_on:
                reader.channel.heard += down
                reader.pd.ctx.refresh()

    def until(self, is_so, within_s: float = 8.0) -> float:
        began_s = time.monotonic()
        while not is_so():
            assert time.monotonic() < began_s + within_s, f"not within {within_s} s; told {self.told}"
            self.turn()
        return time.monotonic() - began_s

    def online(self) -> None:
        sources = [f"r{at}" for at in range(len(self.readers))]
        self.until(lambda: all(self.bus.standing(source).is_online for source in sources))

    def settle(self) -> None:
        """Let the first second pass, in which everything is held back."""
        began_ms = self.now_ms
        self.until(lambda: self.now_ms - began_ms > 1_100)
        self.told.clear()

    def of(self, kind: type) -> list[object]:
        return [event for event in self.told if isinstance(event, kind)]

    def close(self) -> None:
        os.close(self._near)
        os.close(self._far)


@pytest.fixture
def line():
    made: list[Line] = []

    def make(*args: object, **options: object) -> Line:
        made.append(Line(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def card(number: bytes, bits: int) -> dict[str, object]:
    return {
        "event": osdp.Event.CardRead,
        "reader_no": 0,
        "format": osdp.CardFormat.Unspecified,
        "direction": 0,
        "length": bits,
        "data": number,
    }


@pytest.mark.parametrize(("baud", "readers"), [(9_600, 1), (115_200, 4)])
def test_cards_keys_and_commands(line, baud, readers):
    """A reader of another maker would not be understood, or would not understand us."""
    one = line(baud, readers)
    one.online()
    one.settle()
    numbers = [bytes((0xA1, 0xB2, 0xC3, at)) for at in range(readers)]
    for reader, number in zip(one.readers, numbers, strict=True):
        reader.submit(**card(number, 32))
        reader.submit(event=osdp.Event.KeyPress, reader_no=0, data=b"1234\r")
    one.until(lambda: len(one.of(CardRead)) == len(one.of(KeysEntered)) == readers)
    assert sorted(event.number for event in one.of(CardRead)) == numbers
    assert {event.digits for event in one.of(KeysEntered)} == {"1234"}
    assert not any(event.is_held_back for event in one.of(CardRead))
    assert one.bus.show("r0", "refused")
    assert one.bus.switch("r0", 1, is_on=True, for_ms=3_000)
    one.until(lambda: len(one.readers[0].commands) >= 4)
    kinds = [command["command"] for command in one.readers[0].commands]
    assert kinds == [osdp.Command.LED, osdp.Command.Buzzer, osdp.Command.Text, osdp.Command.Output]
    output = one.readers[0].commands[-1]
    assert (output["output_no"], output["control_code"], output["timer_count"]) == (1, 5, 30)
    for at in range(readers):
        counts = one.bus.standing(f"r{at}").counts
        assert (counts.bad_macs, counts.naks, counts.sessions) == (0, 0, 1)


def test_makers_commands_and_new_keys(line):
    """A site could never change its keys, nor use what its readers can besides."""
    one = line(38_400)
    one.online()
    one.settle()
    assert one.bus.manufacturer("r0", b"\x01\x02\x03", b"hello")
    one.until(lambda: bool(one.readers[0].commands))
    one.readers[0].submit(event=osdp.Event.ManufacturerReply, vendor_code=0x030201, data=b"back")
    one.until(lambda: bool(one.of(MakerReplied)))
    assert one.of(MakerReplied)[0].payload.endswith(b"back")
    assert one.bus.renew_key("r0", NEW_KEY)
    one.until(lambda: bool(one.of(KeyRenewed)))
    assert one.of(KeyRenewed) == [KeyRenewed(source="r0", is_done=True)]
    one.readers[0].submit(**card(b"\x01\x02\x03\x04", 32))
    one.until(lambda: bool(one.of(CardRead)))
    assert one.of(DeviceOffline) == []


def test_back_within_a_second_and_old_cards_held_back(line):
    """A mended cable would take minutes, and would deliver what was shown while it was cut."""
    one = line(115_200)
    one.online()
    one.settle()
    one.readers[0].is_on = False
    one.until(lambda: bool(one.of(DeviceOffline)))
    for at in range(5):
        one.readers[0].submit(**card(bytes((1, 2, 3, at)), 32))
    one.readers[0].is_on = True
    one.readers[0].channel.flush()
    assert one.until(lambda: one.bus.standing("r0").is_online) < 1.0
    began_ms = one.now_ms
    one.until(lambda: one.now_ms - began_ms > 900)
    assert all(event.is_held_back for event in one.of(CardRead))


@pytest.mark.req("B-17")
def test_a_reader_with_another_key_is_not_believed(line):
    """Another's reader would be taken for ours."""
    one = line(115_200, plans=[PdPlan(source="r0", address=0, key=NEW_KEY)])
    one.until(lambda: bool(one.of(ReaderDistrusted)))
    assert [event.why for event in one.of(ReaderDistrusted)] == ["key_lost"]
    assert one.of(DeviceOnline) == []


@pytest.mark.req("B-18")
def test_a_blank_reader_is_installed(line):
    """A bought reader could not be given its key."""
    one = line(115_200, plans=[PdPlan(source="r0", address=0)])
    one.readers[:] = [LibReader(0, None, one._up)]
    began_ms = one.now_ms
    one.until(lambda: one.now_ms - began_ms > 200)
    assert not one.bus.standing("r0").is_secure
    one.bus.begin_install("r0", NEW_KEY, one.now_ms)
    one.until(lambda: one.bus.standing("r0").is_online)
    assert one.of(InstallEnded) == [InstallEnded(source="r0", is_done=True)]


def test_a_file_arrives(line):
    """A reader's new firmware would not arrive."""
    one = line(230_400)
    one.online()
    got = bytearray()
    content = secrets.token_bytes(3_000)
    ops = {
        "open": lambda _file_id, _size: 0,
        "read": lambda _size, _offset: b"",
        "write": lambda chunk, offset: got.__setitem__(slice(offset, offset + len(chunk)), chunk) or len(chunk),
        "close": lambda _file_id: 0,
    }
    assert one.readers[0].pd.ctx.register_file_ops(0, ops)
    assert one.bus.send_file("r0", 13, content)
    one.until(lambda: bool(one.of(FileSent)))
    assert one.of(FileSent) == [FileSent(source="r0", is_done=True)]
    assert bytes(got) == content
