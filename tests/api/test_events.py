"""Events, the live stream, releases, and doors' live state."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest


def stream(client: Any, last: str | None = None, **params: int) -> Iterator[dict[str, Any]]:
    """Events of the live stream, parsed by hand."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    with client.stream("GET", "/api/v1/events/stream", headers=headers, params=params) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            if not line:
                yield event
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = json.loads(value) if name == "data" else value


def numbers(events: Iterator[dict[str, Any]], last: int) -> list[int]:
    """Sequence numbers of record events up to `last`."""
    found: list[int] = []
    for event in events:
        if event["event"] == "record":
            assert int(event["id"]) == event["data"]["seq"]
            found.append(event["data"]["seq"])
            if found[-1] >= last:
                return found
    return found


def test_events_come_in_pages_without_gap_or_repetition(web: Any) -> None:
    """An auditor's copy would miss an entry."""
    for n in range(45):
        web.controller.record("PASSAGE", portal="front", subject={"cardholder": f"c-{n}"})
    web.caught_up()
    found, after = [], -1
    while True:
        page = web.client.get("/api/v1/events", params={"after": after, "limit": 10}).json()
        if not page["items"]:
            break
        found += [event["seq"] for event in page["items"]]
        after = page["next"]
    assert found == list(range(47)) and page["tail"] == 46
    event = web.client.get("/api/v1/events", params={"after": 45}).json()["items"][0]
    assert event["class"] == "access" and event["at"].endswith("+09:00") and event["cardholder"] == "c-44"
    assert event["body"]["type"] == "PASSAGE"


def test_the_stream_resumes_where_it_was_cut(web: Any) -> None:
    """A client that was away for a moment would miss entries or count them twice."""
    for _ in range(700):
        web.controller.record("PASSAGE", portal="front")
    web.caught_up()
    first = numbers(stream(web.client, after=-1), 300)
    assert first == list(range(301))
    for _ in range(10):
        web.controller.record("PASSAGE", portal="front")
    assert numbers(stream(web.client, last="300"), 711) == list(range(301, 712))


def test_clients_that_join_while_events_come_see_each_once(web: Any) -> None:
    """Between what was kept and what comes live, an entry would fall through."""
    total = 400
    results: dict[int, list[int]] = {}

    def listen(name: int) -> None:
        with web.anonymous(Authorization=f"Bearer {web.token}") as client:
            results[name] = numbers(stream(client, last="1"), total + 1)

    listeners = []
    for n in range(total):
        web.controller.record("PASSAGE", portal="front")
        if n % 100 == 50:
            listeners.append(threading.Thread(target=listen, args=(n,)))
            listeners[-1].start()
    for listener in listeners:
        listener.join(20)
    assert len(results) == 4
    assert all(found == list(range(2, total + 2)) for found in results.values())


def test_a_quiet_stream_still_speaks(web: Any) -> None:
    """A page could not tell a dead line from a quiet night."""
    began = time.monotonic()
    for seen, event in enumerate(stream(web.client)):
        assert event["event"] == "snapshot" and event["data"]["is_current"] is True and "id" not in event
        if seen == 2:
            break
    assert time.monotonic() - began < 5.5


def test_streams_are_bounded(web: Any) -> None:
    """Open tabs could take all the memory."""
    web.parts.broadcast.followers += web.settings.streams_max
    answer = web.client.get("/api/v1/events/stream")
    assert answer.status_code == 503 and answer.json()["code"] == "too_many" and answer.headers["retry-after"]


def test_a_release_is_answered_when_it_is_recorded(web: Any) -> None:
    """An officer would be told of an open door that is not, or the other way round."""
    before = time.time_ns() // 1_000_000
    answer = web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
    assert answer.json() == {"id": "front", "seq": len(web.controller.records) - 1}
    command = web.controller.heard_of("command")[0]
    assert command["boot"] == "boot-1" and command["portal"] == "front" and command["reason"] == "visitor"
    assert 2900 <= command["not_after_ms"] - before <= 3200 and command["officer"] == "officer"
    web.caught_up()
    portal = web.client.get("/api/v1/portals/front").json()
    assert portal["state"] == "released" and portal["last_event"]["type"] == "RELEASED"


@pytest.mark.parametrize("asked", [{}, {"reason": "because"}, {"reason": None}, {"reason": "visitor", "for_ms": 9}])
def test_a_release_needs_one_of_the_known_reasons(web: Any, asked: dict[str, Any]) -> None:
    """A door would be opened for a reason nobody can count."""
    assert web.client.post("/api/v1/portals/front/release", json=asked).status_code == 422
    assert not web.controller.heard_of("command")


def test_a_release_while_the_controller_is_away_is_never_done_later(web: Any) -> None:
    """A door would open minutes after somebody had asked and gone."""
    web.controller.stop()
    answer = web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
    assert answer.status_code == 503 and answer.json()["code"] in ("controller_away", "no_answer")
    web.controller.restart()
    web.caught_up()
    assert not web.controller.heard_of("command")
    assert web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"}).status_code == 200
    assert web.controller.heard_of("command")[0]["boot"] == "boot-2"


def test_a_release_without_an_answer_is_not_called_done(web: Any) -> None:
    """An officer would walk away from a door of which nobody knows whether it opened."""
    web.controller.swallows_answers = True
    answer = web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
    assert answer.status_code == 503 and answer.json()["code"] == "no_answer"
    assert len(web.controller.heard_of("command")) == 1


STATES: list[tuple[list[str], str]] = [
    ([], "secured"), (["ACCESS_GRANTED"], "released"), (["ACCESS_GRANTED", "PASSAGE"], "open"),
    (["ACCESS_GRANTED", "PASSAGE", "DOOR_CLOSED"], "secured"), (["ACCESS_GRANTED", "NO_PASSAGE"], "secured"),
    (["ACCESS_DENIED"], "secured"), (["REX", "EXIT"], "open"), (["DOOR_FORCED"], "forced"),
    (["DOOR_FORCED", "ACCESS_GRANTED"], "forced"), (["DOOR_FORCED", "DOOR_HELD"], "forced"),
    (["DOOR_FORCED", "DOOR_CLOSED"], "secured"), (["ACCESS_GRANTED", "PASSAGE", "DOOR_HELD"], "held"),
    (["ACCESS_GRANTED", "PASSAGE", "DOOR_HELD", "EXIT_GRANTED"], "held"), (["DOOR_OPEN_AT_START"], "open"),
    (["DOOR_FORCED", "CONTROLLER_STARTED"], "secured"), (["CONTROLLER_STOPPED"], "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("happened", "state"), STATES)
def test_the_live_state_of_a_door_follows_from_its_records(web: Any, happened: list[str], state: str) -> None:
    """The page would show a forced door as shut."""
    web.controller.record("ACCESS_DENIED", portal="front")
    for kind in happened:
        web.controller.record(kind, **({} if kind.startswith("CONTROLLER") else {"portal": "front"}))
    web.caught_up()
    assert web.client.get("/api/v1/portals/front").json()["state"] == state
    assert web.client.get("/api/v1/portals/side").json()["state"] == "secured"


def test_a_release_that_nobody_records_the_end_of_reads_as_secured(web: Any) -> None:
    """The page would show an unlocked door for ever after an exit button without a passage."""
    web.controller.record("REX", portal="front", at_ms=time.time_ns() // 1_000_000 - 60_000)
    web.caught_up()
    assert web.client.get("/api/v1/portals/front").json()["state"] == "secured"


def test_a_device_that_does_not_answer_shows_at_its_door(web: Any) -> None:
    """An officer would trust a door whose reader is dead."""
    web.controller.record("DEVICE_OFFLINE", portal="front", detail={"device": "reader-front", "why": "no answer"})
    web.caught_up()
    portal = web.client.get("/api/v1/portals/front").json()
    assert portal["state"] == "offline" and portal["devices"][0]["id"] == "reader-front"
    web.controller.record("DEVICE_ONLINE", portal="front", detail={"device": "reader-front"})
    web.caught_up()
    assert web.client.get("/api/v1/portals/front").json()["state"] == "secured"
