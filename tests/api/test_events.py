"""Events, the live stream, releases, and doors' live state."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
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
    assert found == list(range(48)) and page["tail"] == 47, "the last one is the sign-in"
    event = web.client.get("/api/v1/events", params={"after": 45}).json()["items"][0]
    assert event["class"] == "access" and event["at"].endswith("+09:00") and event["cardholder"] == "c-44"
    assert event["body"]["type"] == "PASSAGE"


def test_the_stream_resumes_where_it_was_cut(web: Any) -> None:
    """A client that was away for a moment would miss entries or count them twice."""
    for _ in range(700):
        web.controller.record("PASSAGE", portal="front")
    web.caught_up()
    client = web.client  # record 702 is the sign-in
    first = numbers(stream(client, after=-1), 300)
    assert first == list(range(301))
    for _ in range(10):
        web.controller.record("PASSAGE", portal="front")
    assert numbers(stream(client, last="300"), 712) == list(range(301, 713))


def test_clients_that_join_while_events_come_see_each_once(web: Any) -> None:
    """Between what was kept and what comes live, an entry would fall through."""
    total, cookie = 400, web.client.headers["cookie"].partition("=")[2]  # record 2 is the sign-in
    results: dict[int, list[int]] = {}

    def listen(name: int) -> None:
        results[name] = numbers(stream(web.page(cookie), last="2"), total + 2)

    listeners = []
    for n in range(total):
        web.controller.record("PASSAGE", portal="front")
        if n % 100 == 50:
            listeners.append(threading.Thread(target=listen, args=(n,)))
            listeners[-1].start()
    for listener in listeners:
        listener.join(20)
    assert len(results) == 4
    assert all(found == list(range(3, total + 3)) for found in results.values())


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
    client = web.client
    web.parts.broadcast.followers += web.settings.streams_max
    answer = client.get("/api/v1/events/stream")
    assert answer.status_code == 503 and answer.json()["code"] == "too_many" and answer.headers["retry-after"]


def test_one_person_does_not_take_everybodys_streams(web: Any) -> None:
    """A visitor's link, or one stolen cookie, would leave every page of the guards without news."""
    part = -(-web.settings.streams_max // 4)
    held = [web.parts.broadcast.follow(0, anyio.Event(), whose=one) for one in ("officer-01", "") for _ in range(part)]
    for address in ("/signals", "/api/v1/events/stream"):
        answer = web.client.get(address)
        assert answer.status_code == 503 and answer.json()["code"] == "too_many"
    with web.as_("guard-01").stream("GET", "/signals") as answer:
        assert answer.status_code == 200
    assert web.parts.broadcast.is_full("", web.settings.streams_max), "those who look at what is their own share a part"
    del held
    gc.collect()
    assert not web.parts.broadcast.is_full("officer-01", web.settings.streams_max)


def test_a_release_is_answered_when_it_is_recorded(web: Any) -> None:
    """An officer would be told of an open door that is not, or the other way round."""
    before = time.time_ns() // 1_000_000
    answer = web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
    assert answer.json() == {"id": "front", "seq": len(web.controller.records) - 1}
    command = web.controller.heard_of("command")[0]
    assert command["boot"] == "boot-1" and command["portal"] == "front" and command["reason"] == "visitor"
    assert 2900 <= command["not_after_ms"] - before <= 3200 and command["officer"] == "officer-01"
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
    client = web.client
    web.controller.stop()
    answer = client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
    assert answer.status_code == 503 and answer.json()["code"] in ("controller_away", "no_answer")
    web.controller.restart()
    web.caught_up()
    assert not web.controller.heard_of("command")
    assert web.client.post("/api/v1/portals/front/release", json={"reason": "visitor"}).status_code == 200
    assert web.controller.heard_of("command")[0]["boot"] == "boot-2"


def test_a_release_without_an_answer_is_not_called_done(web: Any) -> None:
    """An officer would walk away from a door of which nobody knows whether it opened."""
    client = web.client
    web.controller.swallows_answers = True
    answer = client.post("/api/v1/portals/front/release", json={"reason": "visitor"})
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


# -- filters --------------------------------------------------------------------------------------------------------


def a_mixed_morning(web: Any, rounds: int) -> None:
    for n in range(rounds):
        web.controller.record("PASSAGE", portal="front", zone="office")
        web.controller.record("DOOR_HELD" if n % 7 == 0 else "DOOR_CLOSED", portal="front", zone="office")
        web.controller.record("PASSAGE", portal="lab-east", zone="lab")


def wanted(web: Any, types: set[str], zones: set[str], after: int = -1) -> list[int]:
    bodies = [(one["seq"], json.loads(one["body"])) for one in web.controller.records]
    return [
        seq
        for seq, body in bodies
        if seq > after and (not types or body["type"] in types) and (not zones or body.get("zone") in zones)
    ]


FILTERS: list[tuple[set[str], set[str]]] = [
    ({"DOOR_HELD"}, set()),
    (set(), {"lab"}),
    ({"PASSAGE"}, {"lab"}),
    ({"DOOR_HELD", "PASSAGE"}, {"lab", "office"}),
    ({"DOOR_HELD"}, {"lab", "office"}),
]


def test_a_filtered_stream_tells_what_was_asked_for_and_all_of_it(web: Any) -> None:
    """A siren that listens for held doors would miss one, from api.db or from what is live."""
    a_mixed_morning(web, 80)
    web.caught_up()
    streams = []
    for types, zones in FILTERS:
        asked: Any = {"type": sorted(types), "zone": sorted(zones), "after": -1}
        streams.append(stream(web.client, **asked))
        expected = wanted(web, types, zones)
        assert numbers(streams[-1], expected[-1]) == expected, f"{asked}: what lies in api.db"
    last = len(web.controller.records) - 1
    a_mixed_morning(web, 15)
    for (types, zones), events in zip(FILTERS, streams, strict=True):
        later = wanted(web, types, zones, after=last)
        assert later and numbers(events, later[-1]) == later, f"{types} {zones}: what comes live"


def test_a_filtered_client_resumes_after_what_it_passed_over(web: Any) -> None:
    """After a cut a client would read a year of what it does not want again, or lose what came meanwhile."""
    client = web.client
    web.controller.record("DOOR_HELD", portal="front", zone="office")
    for _ in range(300):
        web.controller.record("PASSAGE", portal="front", zone="office")
    web.caught_up()
    passed = len(web.controller.records) - 1
    last = None
    for event in stream(client, type="DOOR_HELD", after=-1):  # type: ignore[arg-type]
        last = event["id"]
        if event["event"] == "snapshot" and int(last) == passed:
            break
    assert last == str(passed), "a snapshot says how far the client has come"
    for _ in range(40):
        web.controller.record("PASSAGE", portal="front", zone="office")
        web.controller.record("DOOR_HELD", portal="front", zone="office")
    expected = wanted(web, {"DOOR_HELD"}, set(), after=passed)
    assert numbers(stream(web.client, last=last, type="DOOR_HELD"), expected[-1]) == expected  # type: ignore[arg-type]
    assert numbers(stream(web.client, last=str(expected[4]), type="DOOR_HELD"), expected[-1]) == expected[5:]  # type: ignore[arg-type]


def test_a_slow_filtered_client_misses_nothing_and_costs_no_rendering(web: Any) -> None:
    """One client on a bad line would lose alarms once the ring has gone on without it."""
    from api.broadcast import RING_MAX

    web.controller.record("DOOR_HELD", portal="front", zone="office")
    web.caught_up()
    events = stream(web.client, type="DOOR_HELD", after=-1)  # type: ignore[arg-type]
    first = numbers(events, 2)
    for n in range(RING_MAX + 300):  # nobody reads meanwhile
        web.controller.record("DOOR_HELD" if n % 50 == 0 else "PASSAGE", portal="front", zone="office")
    web.caught_up()
    expected = wanted(web, {"DOOR_HELD"}, set())
    assert first + numbers(events, expected[-1]) == expected
    everybody = web.parts.broadcast._ring
    assert len({id(frame.wire) for frame in everybody}) == len(everybody) == RING_MAX


def test_a_filter_that_cannot_be_is_refused_at_once(web: Any) -> None:
    """A mistyped filter would be a stream that never speaks, and looks like a quiet night."""
    for asked in (
        {"type": "door_held"}, {"type": "DOOR_HELT"}, {"zone": "nowhere"}, {"type": ""}, {"portal": "front"},
        {"cardholder": "c-1"}, {"type": ["DOOR_HELD", "X"]}, {"after": -2},
    ):  # fmt: skip
        answer = web.client.get("/api/v1/events/stream", params=asked)
        assert answer.status_code == 422 and answer.json()["code"] == "not_valid", asked
