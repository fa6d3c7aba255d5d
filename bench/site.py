"""A made-up site of the size that is asked for: its site file, its processes and a thousand people, all of it real.

The wires are ptys that the caller made; the controller is `sekisho controller` in a process of its own.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from controller.link.challenge import change_challenge, enrolment_challenge
from controller.link.client import LinkClient
from controller.link.messages import (
    Done,
    EnrolKey,
    Invited,
    OfficerOrder,
    Prepare,
    Prepared,
    Propose,
    Refused,
    Signature,
)
from simulators.passkey import SoftPasskey

PEOPLE: Final = 1_000
OFFICERS: Final = ("officer-01", "officer-02")
"""Two made-up officers with passkeys of software, who sign what a bench enters."""

RP_ID: Final = "localhost"
ORIGIN: Final = "http://localhost"
PEOPLE_PER_EDIT: Final = 33
START_S_MAX: Final = 60
STOP_S_MAX: Final = 15


def number_of(person: int) -> bytes:
    """The card number of the n-th person: seven bytes, as of an NXP card."""
    return b"\x04" + person.to_bytes(6, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is installed. `readers`: the port of each reader on a serial line; beside them `mqtt_readers` on a broker.

    Doors are numbered as readers are, serial ones first; each has the board's channel of its number and no contact.
    """

    folder: Path
    readers: Sequence[str]
    board: str
    mqtt_readers: int = 0
    broker_port: int = 0

    @property
    def socket(self) -> Path:
        """The controller's. Its name must be short: a Unix socket's path has a hundred bytes."""
        return self.folder / "c.sock"

    @property
    def file(self) -> Path:
        """The site file."""
        return self.folder / "site.toml"

    def write(self) -> None:
        """Write the site file."""
        doors = len(self.readers) + self.mqtt_readers
        socket = json.dumps(str(self.socket))
        lines = ["[controller]", 'node = "bench"', 'state_dir = "state"', f"socket = {socket}"]
        if self.mqtt_readers:
            lines += ["[mqtt]", 'host = "127.0.0.1"', f"port = {self.broker_port}"]
        lines += ["[[device]]", 'id = "board"', 'kind = "lcus"', f'port = "{self.board}"', f"channels = {doors}"]
        for door, port in enumerate(self.readers, 1):
            lines += ["[[device]]", f'id = "reader-{door}"', 'kind = "pn532"', f'port = "{port}"']
        for door in range(len(self.readers) + 1, doors + 1):
            lines += ["[[device]]", f'id = "reader-{door}"', 'kind = "mqtt"']
        lines += ["[[zone]]", 'id = "outside"', 'name_ja = "屋外"', 'name_en = "Outside"', 'kind = "UNRESTRICTED"']
        lines += ["[[zone]]", 'id = "office"', 'name_ja = "執務室"', 'name_en = "Office"', 'kind = "CONTROLLED"']
        lines += ['parent = "outside"', "uid_accepted = true"]
        for door in range(1, doors + 1):
            lines += ["[[portal]]", f'id = "door-{door}"', f'name_ja = "扉{door}"', f'name_en = "Door {door}"']
            lines += ['outer = "outside"', 'inner = "office"', 'exit_hardware = "HANDLE"', "grade = 1"]
            lines += [f'entry_reader = "reader-{door}"', f'strike = "board:{door}"']
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file.write_text("\n".join(lines) + "\n", "utf-8")


class Program:
    """One of our programs, from its start to its end."""

    def __init__(self, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.started_at = time.perf_counter()
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=file,
                env=environment(),
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def line(self) -> str:
        """Its next line, waited for. RuntimeError with the end of its log where none comes."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S_MAX)
        line = self.process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise RuntimeError(f"{self.log}: {self.log.read_text('utf-8', errors='replace')[-2000:]}")
        return line

    def end(self) -> None:
        """Ask it to stop, and wait."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def environment() -> dict[str, str]:
    """Ours, but with compiled modules kept: an installed program has them."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def start_controller(site: Site) -> Program:
    """The controller, armed."""
    program = Program(["-m", "sekisho", "controller", str(site.file)], site.folder / "controller.log")
    try:
        if (line := program.line()) != "armed":
            raise RuntimeError(f"the controller said {line!r}")
    except BaseException:
        program.end()
        raise
    return program


def enter_people(site: Site, count: int = PEOPLE) -> None:
    """People with a card and a place on the office's roster, entered over the controller's socket."""
    today = datetime.now(UTC).date()
    period = {"from_on": str(today - timedelta(days=1)), "until_on": str(today + timedelta(days=300))}
    with LinkClient(site.socket, "bench") as client:
        _enrol_officers(client)
        revision = client.connect().revision
        for first in range(0, count, PEOPLE_PER_EDIT):
            puts: list[tuple[str, dict[str, Any]]] = []
            for person in range(first, min(first + PEOPLE_PER_EDIT, count)):
                holder = f"h-{person:04}"
                puts.append(("cardholder", {"id": holder}))
                card = {"id": f"c-{person:04}", "cardholder": holder, "number": number_of(person).hex()}
                puts.append(("credential", card | {"state": "ACTIVE"}))
                place = {"id": f"r-{person:04}", "cardholder": holder, "zone": "office", **period}
                puts.append(("roster", place | {"review_on": str(today + timedelta(days=90))}))
            not_after_ms = time.time_ns() // 1_000_000 + 30_000
            prepared = client.prepare(Prepare(id=f"prepare-{first:06}", puts=puts, officer=OFFICERS[0]), timeout_s=30)
            _refuse(prepared)
            assert isinstance(prepared, Prepared)
            edit = _signed(client, prepared.puts, f"people-{first:06}", revision, not_after_ms)
            answer = client.request(edit, timeout_s=30)
            if not isinstance(answer, Done) or answer.revision is None:
                raise RuntimeError(f"the people were refused: {answer}")
            revision = answer.revision


def _enrol_officers(client: LinkClient) -> None:
    """As at a new site's console."""
    for officer in OFFICERS:
        welcome = client.connect()
        order = OfficerOrder(
            id=f"invite-{officer}", boot=welcome.boot, not_after_ms=time.time_ns() // 1_000_000 + 30_000, act="invite",
            officer=officer, roles=("WORK_MANAGER", "PROTECTION_OFFICER"),
        )  # fmt: skip
        invited = client.invite(order)
        _refuse(invited)
        assert isinstance(invited, Invited)
        challenge = enrolment_challenge(site=welcome.vkey, ticket=invited.ticket)
        made = SoftPasskey(officer).creates(challenge, RP_ID, ORIGIN)
        enrolment = EnrolKey(
            id=f"enrol-{officer}", ticket=invited.ticket, client_data=made.client_data.hex(),
            authenticator_data=made.authenticator_data.hex(),
        )  # fmt: skip
        _refuse(client.request(enrolment))


def _refuse(answer: object) -> None:
    why = answer.why if isinstance(answer, Refused) else ""
    if why:
        raise RuntimeError(f"the controller refused: {why}")


def _signed(client: LinkClient, puts: list[Any], id: str, base: str, not_after_ms: int) -> Propose:
    """A change with both signatures."""
    site = client.connect().vkey
    challenge = change_challenge(site=site, id=id, base=base, puts=puts, reason="import", not_after_ms=not_after_ms)
    signatures = []
    for officer in OFFICERS:
        made, key = SoftPasskey(officer).signs(challenge, RP_ID, ORIGIN), SoftPasskey(officer).credential
        signatures.append(
            Signature(
                credential=key, client_data=made.client_data.hex(), authenticator_data=made.authenticator_data.hex(),
                signature=made.signature.hex(),
            )
        )  # fmt: skip
    return Propose(
        id=id, base=base, not_after_ms=not_after_ms, puts=puts, officer=OFFICERS[0], reason="import",
        signatures=tuple(signatures),
    )  # fmt: skip


def settle(pid: int, quiet_s: float = 1.0, within_s: float = 30.0) -> None:
    """Wait until a process has done next to nothing for a while (site.db is written behind the doors' back)."""
    until, before, quiet_since = time.monotonic() + within_s, cpu_ticks(pid), time.monotonic()
    while time.monotonic() < until and time.monotonic() - quiet_since < quiet_s:
        time.sleep(0.1)
        now = cpu_ticks(pid)
        if now - before > 1:
            quiet_since = time.monotonic()
        before = now


def cpu_ticks(pid: int) -> int:
    """Processor time that a process has used, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory_mb(pid: int | str) -> tuple[float, float]:
    """Resident and proportional set size of a process, in MB."""
    kept = {"Rss": 0.0, "Pss": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in kept:
            kept[name] = int(rest.split()[0]) * 1024 / 1e6
    return kept["Rss"], kept["Pss"]


def raise_priority(pid: int, priority: int = 10) -> str:
    """Give every thread of a process the shipped unit's priority (deploy/sekisho-controller.service).

    Returns what was given: real-time, else nice -10, else "" where this account may do neither.
    """
    threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 - no files
    with suppress(PermissionError):
        for thread in threads:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
        return f"SCHED_FIFO {priority}"
    with suppress(PermissionError):
        for thread in threads:
            os.setpriority(os.PRIO_PROCESS, thread, -10)
        return "nice -10"
    return ""


def usual_priority(pid: int) -> None:
    """Take it back."""
    for name in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - no files
        os.sched_setscheduler(int(name), os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, int(name), 0)
