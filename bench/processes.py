"""What a process costs before it does anything: time until the doors are armed, and memory, with a thousand people."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.figures import Figure, ratio_of_rounds, short
from bench.site import OFFICERS, PEOPLE, Program, Site, enter_people, environment, memory_mb, settle, start_controller
from bench.wires import Pair, open_pair
from sekisho.demo_officers import SoftOfficer
from simulators.passkey import SoftPasskey

STACK: Final = "import fastapi, sqlmodel, uvicorn, sse_starlette, jinja2, alembic"
EVERYTHING: Final = f"{STACK}, paho.mqtt.client, serial, cryptography.hazmat.primitives.asymmetric.ed25519, msgspec"
MQTT_READERS: Final = 2


@contextmanager
def peopled_site(folder: Path) -> Iterator[tuple[Site, Program]]:
    """A serial reader, a relay board, a broker's name and a thousand people; the controller runs and has settled.

    Nobody listens where the broker should be: a start does not wait for one, and imports its library all the same.
    """
    lines: list[Pair] = [open_pair(), open_pair()]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        site = Site(
            folder=folder / "site",
            readers=[lines[0].path],
            board=lines[1].path,
            mqtt_readers=MQTT_READERS,
            broker_port=int(nobody.getsockname()[1]),
        )
        site.write()
        with start_controller(site) as controller:
            enter_people(site)
            settle(controller.pid)
            yield site, controller
    for line in lines:
        line.close()


def armed_start(folder: Path, *, is_quick: bool) -> Figure:
    """A start of ours and an import of theirs, in turn, each in a fresh process."""
    rounds = 4 if is_quick else 10
    ours: list[float] = []
    theirs: list[float] = []
    with peopled_site(folder) as (site, controller):
        controller.end()
        for turn in range(-1, rounds):
            began = time.perf_counter()
            with start_controller(site) as program:
                mine = time.perf_counter() - program.started_at
            assert program.started_at >= began
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", STACK], check=True, env=environment())
            other = time.perf_counter() - began
            if turn >= 0:
                ours.append(mine)
                theirs.append(other)
    ratio, spread = ratio_of_rounds(ours, theirs)
    return Figure(
        name="armed_start",
        value=statistics.median(ours) * 1e3,
        unit="ms",
        ratio=ratio,
        of="importing the whole API stack",
        aim="<= 0.7",
        spread=spread,
        notes=(
            f"{PEOPLE} people, serial and MQTT wires; the imports take {short(statistics.median(theirs) * 1e3)} ms",
        ),
    )


def memory(folder: Path, *, is_quick: bool) -> Figure:
    """Both processes settled, the page asked for once; beside a process that has imported what both of them use."""
    with peopled_site(folder) as (site, controller):
        settle(controller.pid, quiet_s=1.0 if is_quick else 2.0)
        with _api(site) as api:
            settle(api.pid)
            ours, web = memory_mb(controller.pid), memory_mb(api.pid)
        controller.end()
        with start_controller(site) as again:
            settle(again.pid)
            fresh = memory_mb(again.pid)
    code = f"{EVERYTHING}\nprint('ready', flush=True)\nimport sys, time\ntime.sleep(60)"
    with Program(["-c", code], folder / "everything.log") as everything:
        everything.line()
        floor = memory_mb(everything.pid)
    return Figure(
        name="memory",
        value=round(ours[0], 1),
        unit="MB",
        ratio=ours[0] / floor[0],
        of="resident set of a process that imports everything both use",
        notes=(
            f"resident (proportional) MB: controller {_pair(ours)}, started again {_pair(fresh)}; {PEOPLE} people",
            f"api {_pair(web)}; import everything {_pair(floor)}",
        ),
    )


def _pair(sizes: tuple[float, float]) -> str:
    return f"{sizes[0]:.0f} ({sizes[1]:.0f})"


@contextmanager
def _api(site: Site) -> Iterator[Program]:
    folder = site.folder / "api"
    folder.mkdir(mode=0o700)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = site.folder / "api.toml"
    values = {"socket": str(site.socket), "state_dir": str(folder), "port": port}
    settings.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()), "utf-8")
    with Program(["-m", "sekisho", "api", str(settings)], site.folder / "api.log") as program:
        until = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=2):
                    break
            except (urllib.error.URLError, OSError):
                if program.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(program.log.read_text("utf-8", errors="replace")[-2000:]) from None
                time.sleep(0.1)
        officer = SoftOfficer(OFFICERS[0], f"http://localhost:{port}", SoftPasskey(OFFICERS[0]))
        officer.sign_in()
        page = urllib.request.Request(f"{officer.origin}/", headers={"Cookie": officer.cookie})
        with urllib.request.urlopen(page, timeout=20) as shown:
            shown.read()
        yield program
