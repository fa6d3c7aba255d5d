"""Server-sent events over an hour's outage, cut lines and restarts of everybody: `Last-Event-ID` is the cursor."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

AN_HOUR_AGO_MS = time.time_ns() // 1_000_000 - 3_600_000


class Follower:
    """A client that keeps what came by (origin, seq), and its place with it. Its line is cut after so many bytes."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.kept: dict[tuple[str, int], dict[str, Any]] = {}
        self.order: list[int] = []
        self.place = -1

    def follows(self, client: Any, *, until: int, cut_after: int | None = None) -> None:
        """Read from the place on, up to record `until` or until the line is cut."""
        headers = {"Last-Event-ID": str(self.place)}
        with client.stream("GET", "/api/v1/events/stream", headers=headers) as answer:
            for event in events(answer.iter_bytes(), cut_after):
                if event.get("event") != "record":
                    continue
                seq = int(event["id"])
                self.kept.setdefault((self.origin, seq), json.loads(event["data"]))
                self.order.append(seq)
                self.place = seq
                if seq >= until:
                    return


def events(chunks: Iterator[bytes], cut_after: int | None) -> Iterator[dict[str, str]]:
    """Whole events of a stream (HTML §9.2.6), by hand; what a cut left half is no event."""
    waiting, seen = b"", 0
    for chunk in chunks:
        seen += len(chunk)
        waiting += chunk if cut_after is None or seen <= cut_after else chunk[: max(0, cut_after - seen + len(chunk))]
        while b"\n\n" in (plain := waiting.replace(b"\r\n", b"\n")):
            event, _, waiting = plain.partition(b"\n\n")
            yield dict(line.split(": ", 1) for line in event.decode().split("\n") if not line.startswith(":"))
        if cut_after is not None and seen >= cut_after:
            return


@pytest.mark.req("A-28")
def test_an_hour_away_cut_lines_and_restarts_of_everybody(web: Any, controller: Any, kit: Any) -> None:
    """A wall display that was away for an hour shows a day without that hour, or somebody entering twice."""
    die, follower, servers = random.Random(28), Follower("stand-in"), [web]
    try:
        for _ in range(30):
            controller.record("PASSAGE", portal="front")
        web.caught_up()
        follower.follows(web.client, until=10)

        web.stop()  # an hour in which nobody shows anything: the web process is down, and the controller restarts, too
        first = len(controller.records)
        for number in range(300):
            controller.record("PASSAGE", portal="front", corr=f"c{number}", at_ms=AN_HOUR_AGO_MS + number * 12_000)
        controller.restart()
        controller.record("CONTROLLER_STARTED")
        servers.append(kit.serve(web.settings, controller))
        servers[-1].caught_up()

        last = len(controller.records) - 1
        for _ in range(6):  # and then its line is cut in the middle of an event, again and again
            follower.follows(servers[-1].client, until=last, cut_after=die.randrange(500, 20_000))
        follower.place = max(-1, follower.place - 25)  # it crashed, and its place is older than what it kept
        follower.follows(servers[-1].client, until=last)
    finally:
        for server in servers[1:]:
            server.stop()
    assert sorted(seq for _, seq in follower.kept) == list(range(last + 1)), "none missing"
    assert len(follower.order) > len(follower.kept), "some came twice, and were told by their number"
    assert [one["seq"] for one in follower.kept.values()] == list(range(last + 1)), "in order"
    assert follower.kept["stand-in", first]["body"]["corr"] == "c0"
