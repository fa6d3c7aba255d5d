"""The real things around a site under test: processes, a broker, a listener on it, a subscriber of records, a bad disk.

Every one of them ends when it is told to, also when it was killed, frozen or never started.
"""

from __future__ import annotations

import getpass
import json
import mmap
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Record, Status

IS_SOAK = "SEKISHO_SOAK" in os.environ
"""`make soak`: more kills, longer stalls. `make test` has a fixed share of both."""

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.01
START_S = 20.0

T = TypeVar("T")


def eventually(condition: Callable[[], T], within_s: float = 15.0, what: str = "") -> T:
    """What `condition` answers once that is true; AssertionError naming `what` when it is not within `within_s`."""
    until = time.monotonic() + within_s
    pause = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {within_s:g} s: {what or condition}")
        pause.wait(POLL_S)
    return answer


def stays(condition: Callable[[], object], for_s: float, what: str = "") -> None:
    """AssertionError as soon as `condition` is not true at some moment of the next `for_s` seconds."""
    until = time.monotonic() + for_s
    pause = threading.Event()
    while time.monotonic() < until:
        assert condition(), what or condition
        pause.wait(POLL_S)


def epoch_ms() -> int:
    return time.time_ns() // 1_000_000


def tick_ms() -> float:
    return time.monotonic_ns() / 1e6


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One process; everything that it says goes into `log`."""

    def __init__(self, arguments: Sequence[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as out:
            self._from = out.tell()
            self.process = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
            )

    @classmethod
    def sekisho(cls, *arguments: str, log: Path, env: dict[str, str] | None = None) -> Program:
        return cls([sys.executable, "-m", "sekisho", *arguments], log, env)

    @property
    def said(self) -> str:
        """All that it has said since it was started."""
        with self.log.open("rb") as said:
            said.seek(self._from)
            return said.read().decode(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def wait_said(self, text: str, within_s: float = START_S) -> None:
        eventually(lambda: text in self.said or not self.is_alive, within_s, f"{self.log.name} says {text!r}")
        assert text in self.said, f"it ended instead ({self.process.poll()}):\n{self.said}"

    def memory_bytes(self) -> int:
        """What it holds of the machine's memory (resident)."""
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def cpu_s(self) -> float:
        """Processor time that it has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self, within_s: float = 10.0) -> int:
        """Wait until it has ended by itself; its exit status."""
        return self.process.wait(within_s)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, within_s: float = 20.0) -> int:
        """Ask it to end, as a service manager does; its exit status."""
        if self.is_alive:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.log.name}: did not end when asked to") from None
        return self.process.returncode


class Broker:
    """A real Mosquitto on a port of its own. It may be killed and started again, and remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self.address = ("127.0.0.1", free_port())
        self._log = folder / "mosquitto.log"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.address[1]} 127.0.0.1\nallow_anonymous true\nuser {getpass.getuser()}\nlog_dest stderr\n"
        )
        self._program: Program | None = None

    def start(self) -> None:
        found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        assert found is not None, "mosquitto is not installed"
        self._program = Program([found, "-c", str(self._config)], self._log)
        self._program.wait_said("running")

    def freezes(self) -> None:
        """It hangs: connections stay, and nothing comes through."""
        assert self._program is not None
        self._program.signal(signal.SIGSTOP)

    def thaws(self) -> None:
        assert self._program is not None
        self._program.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._program is not None:
            self._program.kill()
            self._program = None


class Ear:
    """Somebody else on the broker: hears everything there is, and says what it likes."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.heard: list[mqtt.MQTTMessage] = []
        self._address = address
        ready = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        all_of_it = SubscribeOptions(qos=1, retainAsPublished=True)
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("#", all_of_it), ("$SYS/broker/log/#", all_of_it)]
        )
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _c, _u, message: self.heard.append(message)
        self._client.connect(*address)
        self._client.loop_start()
        assert ready.wait(START_S), "the broker does not take us"

    def say(self, topic: str, fields: object, *, retain: bool = False) -> None:
        """Publish JSON, or bytes as they are, at QoS 1; comes back when the broker has it."""
        payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(START_S)

    def messages(self, topic: str) -> list[dict[str, Any]]:
        """Everything heard on one topic so far, decoded."""
        return [json.loads(message.payload) for message in list(self.heard) if message.topic == topic]

    def releases(self) -> dict[str, str]:
        """Every release command heard so far: command id -> device."""
        found: dict[str, str] = {}
        for message in list(self.heard):
            if message.topic.endswith("/command"):
                fields = json.loads(message.payload)
                if fields["do"] == "release":
                    found[fields["id"]] = message.topic.split("/")[2]
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class Subscriber(threading.Thread):
    """A subscriber of the link, as the web process is one: keeps every record that was acknowledged to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="subscriber", daemon=True)
        self._path = path
        self._is_over = threading.Event()
        self._client: LinkClient | None = None
        self.leaves: dict[int, str] = {}
        self.bodies: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.status: Status | None = None

    def run(self) -> None:
        while not self._is_over.wait(0.05):
            client = LinkClient(self._path, "subscriber")
            self._client = client
            try:
                for message in client.stream(len(self.bodies)):
                    self._take(message)
                    if self._is_over.is_set():
                        break
            except LinkDown:
                continue
            finally:
                client.close()

    def _take(self, message: Record | Status) -> None:
        if isinstance(message, Status):
            self.status = message
            return
        assert message.body is not None
        assert message.seq == len(self.bodies), f"record {message.seq} came where {len(self.bodies)} was next"
        self.leaves[message.seq] = message.leaf
        self.raw.append(message.body)
        self.bodies.append(json.loads(message.body) | {"seq": message.seq})

    def stop(self) -> None:
        self._is_over.set()
        if (client := self._client) is not None:
            client.close()
        self.join(5)


class Faults:
    """The switch of tests/faults/disk.c: what the disk does, and how wrong the wall clock is."""

    def __init__(self, library: Path, folder: Path) -> None:
        self.file = folder / "faults"
        self.file.write_bytes(b"o" + bytes(63))
        self._library = library
        self._folder = folder
        with self.file.open("r+b") as file:
            self._switch = mmap.mmap(file.fileno(), 64)

    @property
    def env(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self._library),
            "SEKISHO_FAULT_DIR": str(self._folder),
            "SEKISHO_FAULT_FILE": str(self.file),
        }

    def disk(self, how: str) -> None:
        """`how`: ok, full, eio, read-only, stall, or dawdle (an SD card: a commit takes some 20 ms)."""
        self._switch[0:1] = how[0].encode()

    def clock(self, offset_s: int) -> None:
        """How far the wall clock is off."""
        self._switch[8:16] = struct.pack("=q", offset_s)

    def close(self) -> None:
        self.disk("ok")
        self._switch.close()
