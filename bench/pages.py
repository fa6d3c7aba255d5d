"""The officers' pages with 1,000 people, 60 zones and a million records: how long, how heavy, how many at once.

A server of its own process answers over loopback; what is taken is what a client waits for, gzip included. Aims are
those of the product's own promise (docs/bench.md): 100 ms at the median and 300 ms at p99 for every page, 200 ms for a
search, 60 KB for a page with all it loads, 150 MB for the process, a fifth of a core for fifty who watch.
"""

from __future__ import annotations

import gzip
import http.client
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from bench.figures import Figure, percentile, short
from bench.page_house import build
from bench.site import cpu_ticks, environment, memory_mb

NAMES: Final = ("page_median", "page_p99", "event_search", "page_weight", "web_memory", "live_50_cpu")
MEDIAN_MS, P99_MS, SEARCH_MS, WEIGHT_KB, MEMORY_MB, CPU_SHARE = 100, 300, 200, 60, 150, 0.2
PAGES: Final = (
    "/", "/live", "/alarms", "/map", "/roll-call", "/visitors", "/proposals", "/people", "/people/h-0001", "/rosters",
    "/zones/zone-07/roster", "/items", "/why", "/what-if", "/review", "/review/zone-07", "/events", "/events/5",
    "/reports", "/transfer", "/devices", "/sessions", "/me",
)  # fmt: skip
CLIENTS: Final = 50
RATE_PER_S: Final = 5
TICKS_PER_S: Final = 100


class Browser:
    """One connection that is kept, with an officer's cookie, as a browser on our pages."""

    def __init__(self, port: int, cookie: str) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Cookie": f"__Host-sekisho={cookie}", "Accept-Encoding": "gzip", "Accept": "text/html"}

    def get(self, address: str) -> tuple[int, bytes, Mapping[str, str]]:
        """Status, the bytes that came over the wire, headers."""
        try:
            answer = self._asked(address)
        except (http.client.RemoteDisconnected, ConnectionError):  # it was let go while nobody asked
            self._line.close()
            answer = self._asked(address)
        return answer.status, answer.read(), dict(answer.getheaders())

    def _asked(self, address: str) -> http.client.HTTPResponse:
        self._line.request("GET", address, headers=self._headers)
        return self._line.getresponse()

    def timed(self, address: str) -> float:
        """Milliseconds; raises where the page is not there."""
        began = time.perf_counter()
        status, body, _ = self.get(address)
        took = (time.perf_counter() - began) * 1e3
        if status != 200:
            raise RuntimeError(f"{address}: {status} {body[:300]!r}")
        return took

    def close(self) -> None:
        self._line.close()


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "bench.page_server", str(folder)]
    with subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        try:
            yield one, int(one.stdout.readline())
        finally:
            one.terminate()


def pages(folder: Path, *, is_quick: bool) -> list[Figure]:
    """All figures of one server."""
    records, rounds = (50_000, 10) if is_quick else (1_000_000, 50)
    cookie, _ = build(folder / "house", records)
    with served(folder / "house") as (server, port):
        browser = Browser(port, cookie)
        there = [one for one in PAGES if browser.get(one)[0] == 200]
        taken, cpu = {}, {}
        for one in there:
            before = _cpu_ms(server.pid)
            taken[one] = [browser.timed(one) for _ in range(rounds)]
            cpu[one] = (_cpu_ms(server.pid) - before) / rounds
        found = [*_times(taken, cpu, records), _searches(browser, server.pid, records, rounds), _weight(browser, there)]
        found.append(_memory(server.pid, records))
        found.append(_watched(server, port, cookie, seconds=4 if is_quick else 20))
        browser.close()
    return found


def _cpu_ms(pid: int) -> float:
    """Processor time of all threads of a process: what a page costs, however busy the machine is."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def _told(values: Mapping[str, float]) -> str:
    """The five largest."""
    return ", ".join(f"{page} {short(values[page])}" for page in sorted(values, key=values.__getitem__)[:-6:-1])


def _times(taken: Mapping[str, list[float]], cpu: Mapping[str, float], records: int) -> Iterator[Figure]:
    missing = sorted(set(PAGES) - set(taken))
    told = f"{len(taken)} pages, {records:,} records" + (f"; NOT RUN: {', '.join(missing)}" if missing else "")
    for name, aim, of in (("page_median", MEDIAN_MS, statistics.median), ("page_p99", P99_MS, _p99)):
        each = {page: of(values) for page, values in taken.items()}
        worst = max(each.values())
        yield Figure(
            name=name, value=worst, unit="ms", ratio=worst / aim, of=f"{aim} ms, the slowest page", aim="<= 1",
            notes=(told, f"slowest: {_told(each)}", f"processor ms a page: {_told(cpu)}"),
        )  # fmt: skip


def _p99(values: list[float]) -> float:
    return percentile(values, 0.99)


def _searches(browser: Browser, pid: int, records: int, rounds: int) -> Figure:
    """By door, day and both. One for a person is recorded by a controller first, and has no figure."""
    day = datetime.now(UTC).date() - timedelta(days=400)
    asked = {
        "door": "/events?portal=door-07", "day": f"/events?first_on={day}&last_on={day}",
        "door and day": f"/events?portal=door-07&first_on={day}&last_on={day}", "refusals": "/events?outcome=DENY",
    }  # fmt: skip
    taken: dict[str, float] = {}
    cpu: dict[str, float] = {}
    for name, address in asked.items():
        before = _cpu_ms(pid)
        taken[name] = _p99([browser.timed(address) for _ in range(rounds)])
        cpu[name] = (_cpu_ms(pid) - before) / rounds
    worst = max(taken.values())
    return Figure(
        name="event_search", value=worst, unit="ms", ratio=worst / SEARCH_MS, of=f"{SEARCH_MS} ms, p99 of the slowest",
        aim="<= 1", notes=(f"{records:,} records; p99: {_told(taken)}", f"processor ms a search: {_told(cpu)}"),
    )  # fmt: skip


def _weight(browser: Browser, there: list[str]) -> Figure:
    """A page with its styles and scripts as they come over the wire, the first time."""
    sizes: dict[str, float] = {}
    for page in there:
        _, body, headers = browser.get(page)
        assets = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', _plain(body, headers)))
        total = len(body) + sum(len(browser.get(one.replace("&amp;", "&"))[1]) for one in assets)
        sizes[page] = total / 1024
    most = max(sizes.values())
    return Figure(
        name="page_weight", value=most, unit="KB", ratio=most / WEIGHT_KB, of=f"{WEIGHT_KB} KB", aim="<= 1",
        notes=(f"compressed, with styles and scripts; heaviest: {_told(sizes)}",),
    )  # fmt: skip


def _plain(body: bytes, headers: Mapping[str, str]) -> str:
    is_small = {name.lower(): value for name, value in headers.items()}.get("content-encoding") != "gzip"
    return (body if is_small else gzip.decompress(body)).decode()


def _memory(pid: int, records: int) -> Figure:
    held, _ = memory_mb(pid)
    return Figure(
        name="web_memory", value=held, unit="MB", ratio=held / MEMORY_MB, of=f"{MEMORY_MB} MB resident", aim="<= 1",
        notes=(f"after every page was asked for many times; {records:,} records",),
    )  # fmt: skip


class Watcher(threading.Thread):
    """A page that is open: it hears the signals, and asks for what changed, at most once a second."""

    def __init__(self, port: int, cookie: str) -> None:
        super().__init__(daemon=True)
        self._stream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._browser, self._cookie = Browser(port, cookie), cookie
        self.connected, self.fetched = threading.Event(), 0
        self.is_over = False

    def run(self) -> None:
        self._stream.request("GET", "/signals", headers={"Cookie": f"__Host-sekisho={self._cookie}"})
        lines: IO[Any] = self._stream.getresponse()
        self.connected.set()
        last, fetched_at = b"", 0.0
        while not self.is_over and (line := lines.readline()):
            version = re.search(rb'"version":\s*(\d+)', line)
            if version is None or version[1] == last or time.monotonic() - fetched_at < 1:
                continue
            last, fetched_at = version[1], time.monotonic()
            self._browser.timed("/live")
            self.fetched += 1


def _watched(server: subprocess.Popen[str], port: int, cookie: str, *, seconds: int) -> Figure:
    """The processor time of the server while so many watch and things happen."""
    assert server.stdin is not None and server.stdout is not None
    watchers = [Watcher(port, cookie) for _ in range(CLIENTS)]
    for one in watchers:
        one.start()
    for one in watchers:
        one.connected.wait(30)
    time.sleep(2)
    before, began = cpu_ticks(server.pid), time.perf_counter()
    server.stdin.write(f"move {seconds * RATE_PER_S} {RATE_PER_S}\n")
    server.stdin.flush()
    server.stdout.readline()
    share = (cpu_ticks(server.pid) - before) / TICKS_PER_S / (time.perf_counter() - began)
    for one in watchers:
        one.is_over = True
    fetched = sum(one.fetched for one in watchers)
    return Figure(
        name="live_50_cpu", value=share * 100, unit="%", ratio=share / CPU_SHARE, of=f"{CPU_SHARE:.0%} of a core",
        aim="<= 1", notes=(f"{CLIENTS} pages open, {RATE_PER_S} events/s for {seconds} s; {fetched} fetches",),
    )  # fmt: skip
