"""The live stream to 200 clients: the product's web process against a raw server that does nothing else.

Both send the same bytes at the same pace from a process of their own; a third process holds the clients and notes when
each event came. Ours is the real application, its guards and its route; events enter where the feed puts them.
After shared/bench/bench_stream.py of the project's performance research.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from bench.figures import Figure, percentile, ratio_of_rounds, short
from bench.site import environment

CLIENTS: Final = 200
RATE_PER_S: Final = 50
NAMES: Final = ("sse_vs_raw",)


def fan_out(folder: Path, *, is_quick: bool) -> Figure:
    """Rounds of both in turn; the figure is the p99 of ours, the ratio that to the raw server's."""
    rounds, events = (2, 100) if is_quick else (5, 250)
    ours: list[float] = []
    raw: list[float] = []
    middle: list[float] = []
    for number in range(rounds):
        for kind, found in (("raw", raw), ("ours", ours)):
            taken = _round(folder / f"{kind}-{number}", kind, events)
            found.append(percentile(taken, 0.99))
            if kind == "ours":
                middle.append(statistics.median(taken))
    ratio, spread = ratio_of_rounds(ours, raw)
    return Figure(
        name="sse_vs_raw",
        value=statistics.median(ours),
        unit="ms",
        ratio=ratio,
        of=f"p99 of a raw asyncio server, {CLIENTS} clients, {RATE_PER_S} events/s",
        aim="<= 2",
        spread=spread,
        notes=(f"p50 {short(statistics.median(middle))} ms; raw p99 {short(statistics.median(raw))} ms",),
    )


def _round(folder: Path, kind: str, events: int) -> list[float]:
    """Milliseconds from an event's making to each client, of every event and client."""
    folder.mkdir()
    command = [sys.executable, "-m", "bench.stream_server", kind, str(folder), str(events), str(RATE_PER_S)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None
        try:
            port, cookie = server.stdout.readline().split()
            clients = [sys.executable, "-m", "bench.stream", port, cookie, str(events)]
            with subprocess.Popen(clients, env=environment(), stdout=subprocess.PIPE, text=True) as holder:
                assert holder.stdout is not None
                assert holder.stdout.readline() == "connected\n"
                server.stdin.write("go\n")
                server.stdin.flush()
                return list(json.loads(holder.stdout.read()))
        finally:
            server.stdin.close()
            server.terminate()


async def _client(port: int, cookie: str, events: int, connected: asyncio.Semaphore, taken: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    connected.release()
    seen = 0
    while seen < events:
        line = await reader.readline()
        if not line:
            raise ConnectionError("the stream ended")
        at = line.find(b'"made_ns":')
        if at >= 0:
            made = int(line[at + 10 :].split(b"}")[0])
            taken.append((time.monotonic_ns() - made) / 1e6)
            seen += 1
    writer.close()


async def _hold(port: int, cookie: str, events: int) -> None:
    connected = asyncio.Semaphore(0)
    taken: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(port, cookie, events, connected, taken))
        for _ in range(CLIENTS):
            await connected.acquire()
        await asyncio.sleep(0.5)
        print("connected", flush=True)
    print(json.dumps(taken))


if __name__ == "__main__":
    asyncio.run(_hold(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
