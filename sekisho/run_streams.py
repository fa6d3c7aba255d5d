"""`sekisho streams`: carries records outside, one thread and one session for each sink, until it is told to end.

It holds the secrets of the sinks, its cursors, and nothing of the controller's but a connection to its socket.
"""

from __future__ import annotations

import fcntl
import logging
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType
from typing import IO

from controller.link.client import LinkClient
from controller.streams import jsonl, webhook
from controller.streams.courier import Courier
from controller.streams.follower import TREE, Follower
from controller.streams.jsonl import JsonlSection
from controller.streams.mqtt import MqttSection, MqttSink
from controller.streams.outages import removed, tell_removed
from controller.streams.reporter import Reporter
from controller.streams.section import SinkRefused
from controller.streams.settings import AnySection, Settings, SettingsError, load_settings
from controller.streams.sinks import Sink
from controller.streams.syslog import SyslogSink
from controller.streams.webhook import WebhookSection
from controller.streams.witnessing import WitnessCourier
from controller.streams.world import World
from sekisho.cli import CANNOT_RUN, OK

STOP_S = 25.0
"""A courier that has not ended by then is left: whatever it had under way is sent again at the next start."""

LOOK_S = 1.0
"""How often it is looked whether everybody still carries."""


def now_ms() -> int:
    """UTC, epoch."""
    return time.time_ns() // 1_000_000


def run(path: Path) -> int:
    """Carry to every sink of the settings in `path` until SIGTERM or SIGINT. Returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        settings = load_settings(path)
        sinks = [_made(section, settings.state_dir, path) for section in settings.sink]
    except (SettingsError, SinkRefused) as error:
        print(f"sekisho streams: {error}", file=sys.stderr)
        return CANNOT_RUN
    with ExitStack() as stack:
        try:
            stack.enter_context(_alone(settings.state_dir))
        except OSError as error:
            why = f"{settings.state_dir}: {error.strerror or error}; another `sekisho streams` may be running on it"
            print(f"sekisho streams: {why}", file=sys.stderr)
            return CANNOT_RUN
        try:
            return _carry(settings, sinks)
        except SinkRefused as error:
            print(f"sekisho streams: {error}", file=sys.stderr)
            return CANNOT_RUN


def _made(section: AnySection, state_dir: Path, path: Path) -> Sink:
    """As `made`, and SinkRefused says which section of the settings it is about."""
    try:
        return made(section, state_dir, now_ms)
    except SinkRefused as refused:
        raise SinkRefused(refused.key, f"{path}: sink {section.name}: {refused.key}: {refused}") from refused


def made(section: AnySection, state_dir: Path, now_ms: Callable[[], int]) -> Sink:
    """The sink of a section. Raises SinkRefused."""
    if isinstance(section, JsonlSection):
        return jsonl.build(section, state_dir)
    if isinstance(section, WebhookSection):
        return webhook.build(section, now_ms)
    if isinstance(section, MqttSection):
        return MqttSink(section)
    return SyslogSink(section)


def _alone(state_dir: Path) -> IO[bytes]:
    """The lock on `state_dir`: two programs on the same cursors would send all twice. OSError where it is taken."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (state_dir / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file


def _carry(settings: Settings, sinks: list[Sink]) -> int:
    """Until the end is asked for. A thread that ended by itself is a mistake of ours: then all is started anew."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    teller = LinkClient(settings.socket, "streams-reports")
    world = World(now_ms=now_ms, wait=stop.wait, chance=random.SystemRandom().random, tell=Reporter(teller).tell)
    clients = [LinkClient(settings.socket, f"streams-{section.name}") for section in settings.sink]
    threads = []
    for section, sink, client in zip(settings.sink, sinks, clients, strict=True):
        courier = Courier(section, sink, client, settings.state_dir / f"{section.name}.cursor", world)
        threads.append(threading.Thread(target=courier.run, name=section.name, daemon=True))
    if settings.witness:
        follower = LinkClient(settings.socket, "streams-witnesses")
        clients.append(follower)
        threads += witness_threads(settings, follower, teller, world)
        clients += [teller] * (len(threads) - len(clients))
    names = [section.name for section in (*settings.sink, *settings.witness)]
    gone = removed(settings.state_dir, names)
    for thread in threads:
        thread.start()
    print(f"carrying to {', '.join(names)}", flush=True)
    status = OK
    while not stop.wait(LOOK_S):
        gone = tell_removed(gone, world)
        if ended := [thread.name for thread in threads if not thread.is_alive()]:
            print(f"sekisho streams: {', '.join(ended)} ended by itself; start again", file=sys.stderr)
            status = CANNOT_RUN
            stop.set()
    until = time.monotonic() + STOP_S
    for thread, client in zip(threads, clients, strict=True):
        while thread.is_alive() and time.monotonic() < until:
            client.close()  # wakes whoever waits for the next record
            thread.join(0.2)
    teller.close()
    return status


def witness_threads(
    settings: Settings, source: LinkClient, teller: LinkClient, world: World
) -> Sequence[threading.Thread]:
    """Who follows the ledger's tree over `source`, and one thread for each witness; not started. Raises SinkRefused
    where the tree's file cannot be opened.
    """
    try:
        follower = Follower(source, settings.state_dir, world)
    except OSError as error:
        why = f"{settings.state_dir / TREE}: {error.strerror or error}; it is a cache: mend or remove it"
        raise SinkRefused(TREE, why) from error

    def ledger_size() -> int:
        with closing(LinkClient(settings.socket, "streams-size")) as client:
            return client.connect().size

    threads = [threading.Thread(target=follower.run, name="witnesses", daemon=True)]
    for section in settings.witness:
        courier = WitnessCourier(
            section,
            follower,
            world,
            settings.state_dir / f"{section.name}.outage",
            ledger_size=ledger_size,
            cosign=teller.cosign,
        )
        threads.append(threading.Thread(target=courier.run, name=section.name, daemon=True))
    return threads
