"""readers/transports/libnfc.py: the real libnfc, through pynfc, against a chip written by hand on a pty."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import sys
import threading

import pytest

from readers.errors import MissingDriver
from readers.events import CardRead, DeviceOffline, DeviceOnline
from readers.transports import libnfc
from readers.transports.libnfc import LibnfcReader

ACK = bytes.fromhex("0000FF00FF00")
ANSWERS = {
    0x00: "0000FF0CF4D501006C69626E6663 BC00",  # Diagnose: echoes "libnfc"
    0x02: "0000FF06FAD50332010607E800",  # GetFirmwareVersion: PN532 1.6
    0x06: "0000FF07F9D5070000000000 2400",  # ReadRegister, five of them
    0x08: "0000FF02FED509 2200",  # WriteRegister
    0x12: "0000FF02FED513 1800",  # SetParameters
    0x14: "0000FF02FED515 1600",  # SAMConfiguration
    0x16: "0000FF03FDD51700 1400",  # PowerDown
    0x32: "0000FF02FED533 F800",  # RFConfiguration
    0x44: "0000FF03FDD54500 E600",  # InDeselect
    0x52: "0000FF03FDD55300 D800",  # InRelease
    0x60: "0000FF03FDD56100 CA00",  # InAutoPoll: nothing
}
CLASSIC = "0000FF0FF1D56101100901000408 0404A1B2C3 6600"
"""InAutoPoll: one target, type 10 (106 kbit/s type A), ATQA 0004, SAK 08, UID 04A1B2C3."""


def whole(frame: str) -> bytes:
    """The hex of a frame, its last check byte made right: these tables are for reading."""
    raw = bytearray.fromhex(frame)
    raw[-2] = -sum(raw[5:-2]) & 0xFF
    raw[3] = len(raw) - 7
    raw[4] = -raw[3] & 0xFF
    return bytes(raw)


class Chip:
    """Answers libnfc from the table; `card` lies in its field or not; `mute` stops answering."""

    def __init__(self, far) -> None:
        self._far = far
        self.card = threading.Event()
        self.mute = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        held = b""
        while not self._ended.is_set():
            if not select.select([self._far], [], [], 0.05)[0]:
                continue
            try:
                held += os.read(self._far.fileno(), 4096)
            except OSError:
                return
            while (start := held.find(b"\x00\xff")) >= 0 and len(held) > start + 4:
                size = held[start + 2]
                if size in (0x00, 0xFF):
                    held = held[start + 4 :]  # ACK or NACK
                    continue
                if len(held) < start + 5 + size:
                    break
                command = held[start + 5]
                held = held[start + 5 + size :]
                self._answer(command)

    def _answer(self, command: int) -> None:
        if self.mute.is_set():
            return
        is_card = command == 0x60 and self.card.is_set()
        if command == 0x60 and not is_card:
            self._ended.wait(0.02)  # it looks for a while
        with contextlib.suppress(OSError):  # unplugged meanwhile
            self._far.send(ACK + whole(CLASSIC if is_card else ANSWERS[command]))

    def end(self) -> None:
        self._ended.set()
        self._thread.join(10)


@pytest.fixture
def chip_on(plug):
    made = []

    def make():
        far = plug()
        made.append(Chip(far))
        return far, made[-1]

    yield make
    for one in made:
        one.end()


@pytest.fixture
def reader_on(told):
    made = []

    def make(path: str) -> LibnfcReader:
        made.append(LibnfcReader("gate", f"pn532_uart:{path}:115200", told, told.wake))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.needs("libnfc")
@pytest.mark.req("S-01")
def test_the_real_libnfc_reads_a_card_once_per_presentation(chip_on, reader_on, told):
    """A card lying on such a reader would badge a thousand times a second, or never."""
    far, chip = chip_on()
    reader_on(far.path)
    assert told.next() == DeviceOnline(source="gate")
    read = CardRead(source="gate", number=bytes.fromhex("04A1B2C3"), kind="iso14443a")
    chip.card.set()
    assert told.next() == read
    assert told.woken.is_set()
    with pytest.raises(queue.Empty):
        told.next(within_s=0.5)
    chip.card.clear()
    with pytest.raises(queue.Empty):
        told.next(within_s=0.5)
    chip.card.set()
    assert told.next() == read


@pytest.mark.needs("libnfc")
def test_an_unplugged_reader_is_told_and_comes_back(chip_on, reader_on, told, tmp_path):
    """A reader that was pulled would look alive, or need a restart."""
    name = tmp_path / "pn532"
    far, chip = chip_on()
    name.symlink_to(far.path)
    reader_on(str(name))
    assert told.next() == DeviceOnline(source="gate")
    chip.end()
    far.unplug()
    offline = told.next()
    assert isinstance(offline, DeviceOffline)
    again, _ = chip_on()
    name.unlink()
    name.symlink_to(again.path)
    assert told.next() == DeviceOnline(source="gate")


@pytest.mark.needs("libnfc")
def test_a_reader_that_is_not_there_is_told_once(reader_on, told):
    """A missing reader would be silence, or a record every second."""
    reader_on("/dev/serial/by-id/none")
    assert told.next() == DeviceOffline(source="gate", why="cannot open the reader")
    with pytest.raises(queue.Empty):
        told.next(within_s=1.0)


@pytest.mark.needs("libnfc")
def test_a_reader_that_hangs_in_c_is_told_and_does_not_hang_the_end(chip_on, reader_on, told, monkeypatch):
    """A frozen chip would look alive, and the service could not be stopped."""
    monkeypatch.setattr(libnfc, "SILENT_AFTER_S", 0.5)
    far, chip = chip_on()
    reader = reader_on(far.path)
    assert told.next() == DeviceOnline(source="gate")
    chip.mute.set()
    assert told.next() == DeviceOffline(source="gate", why="no answer")
    ended = threading.Thread(target=lambda: reader.stop(within_s=0.2))
    ended.start()
    ended.join(10)
    assert not ended.is_alive()


def test_nothing_of_libnfc_is_loaded_before_a_reader_is_started():
    """The controller would not start where libfreefare is not installed, although no reader needs it."""
    code = "import sys, readers.transports.libnfc; sys.exit('pynfc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "broken,says",
    [
        ("raise OSError('libfreefare.so: cannot open shared object file')", "apt install libfreefare-dev"),
        ("raise ModuleNotFoundError('No module named pynfc')", "pip install pynfc==0.1.1"),
    ],
)
def test_a_missing_driver_names_the_package(tmp_path, monkeypatch, broken, says):
    """Whoever installs the reader would have to search for the reason."""
    (tmp_path / "pynfc.py").write_text(broken + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynfc", raising=False)
    with pytest.raises(MissingDriver, match=says):
        LibnfcReader("gate", "pn532_uart:/dev/null:115200", print, print).start()
