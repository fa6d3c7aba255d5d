"""Five thousand reads as fast as the wires take them: every one must be in the ledger, granted, denied or counted.

Devices on a real Mosquitto publish at QoS 1 as fast as it takes them, while cards are held to
readers on serial lines. A read is lost when it is neither in a record of its own nor in the count of one that says how
many were refused.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.broker import broker, mosquitto, shipped_queues
from bench.doors import Cards
from bench.figures import Figure, not_run, short
from bench.site import PEOPLE, Site, enter_people, number_of, settle, start_controller
from bench.wires import Bench, Chip
from controller.link.client import LinkClient
from controller.link.messages import Record

READS: Final = 5_000
MQTT_READERS: Final = 12
SERIAL_READERS: Final = 4
QUIET_S: Final = 8.0
DECISIONS: Final = frozenset({"ACCESS_GRANTED", "ACCESS_DENIED"})


def burst_lost(folder: Path, *, is_quick: bool) -> Figure:
    """One burst; `is_quick` changes nothing, because a smaller one would answer another question."""
    del is_quick
    if mosquitto() is None:
        return not_run("burst_lost", "mosquitto is not installed")
    bench = Bench()
    try:
        with broker(folder) as port:
            chips, board = bench.chips(SERIAL_READERS), bench.board()
            site = Site(
                folder=folder / "site",
                readers=[chip.line.path for chip in chips],
                board=board.path,
                mqtt_readers=MQTT_READERS,
                broker_port=port,
            )
            site.write()
            with start_controller(site) as controller:
                wires = _Wires(bench, chips)
                wires.start()
                enter_people(site)
                devices = [_device(f"reader-{SERIAL_READERS + n}", port) for n in range(1, MQTT_READERS + 1)]
                settle(controller.pid)
                begin, began = _size(site), time.monotonic()
                sent, published_s = _publish(devices, wires)
                counts, done_at = _recorded(site, begin, sent)
                done_s = done_at - began
                wires.stop()
                for device in devices:
                    device.disconnect()
                    device.loop_stop()
            dropped = (folder / "mosquitto.log").read_text("utf-8", errors="replace").count("dropped")
    finally:
        bench.close()
    decided = sum(counts[kind] for kind in DECISIONS)
    lost = max(0, sent - decided - counts["refused"])
    return Figure(
        name="burst_lost",
        value=lost,
        unit="reads",
        ratio=lost / sent,
        of=f"{sent} reads",
        aim="<= 0",
        notes=(
            f"{wires.shown} on serial lines, the rest over MQTT, published in {published_s:.1f} s; all recorded after "
            f"{done_s:.1f} s from its beginning ({short(decided / done_s)}/s): {counts['ACCESS_GRANTED']} granted, "
            f"{counts['ACCESS_DENIED']} denied ({counts['READ_STALE']} as late), {counts['refused']} refused unread"
            + ("; the broker says that it dropped messages for a slow client" if dropped else "")
            + (f"; broker: {', '.join(shipped_queues())}" if shipped_queues() else "; broker: its own settings"),
        ),
    )


class _Wires(threading.Thread):
    """Keeps the chips answering; while `is_bursting`, holds a new card to each as soon as it is polled."""

    def __init__(self, bench: Bench, chips: Sequence[Chip]) -> None:
        super().__init__(daemon=True)
        self.is_bursting = False
        self.shown = 0
        self._bench, self._chips = bench, chips
        self._cards = Cards()
        self._is_stopping = False

    def run(self) -> None:
        while not self._is_stopping:
            self._bench.serve(0.002)
            for chip in self._chips:
                if self.is_bursting and chip.is_idle:
                    chip.hold_card(self._cards.take(1)[0])
                    self.shown += 1

    def stop(self) -> None:
        self._is_stopping = True
        self.join()


def _device(device: str, port: int) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=paho.MQTTv5)
    client.max_inflight_messages_set(1_000)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(f"sekisho/v1/{device}/state", b"online", qos=1, retain=True).wait_for_publish(10)
    client.user_data_set(device)
    return client


def _publish(devices: Sequence[paho.Client], wires: _Wires) -> tuple[int, float]:
    """READS reads in all; returns how many, and how long until the broker had acknowledged those of the devices."""
    began = time.perf_counter()
    wires.is_bursting = True
    last = []
    for n in range(READS - 50 * SERIAL_READERS):
        device = devices[n % len(devices)]
        read = {"id": f"{os.getpid()}-{n}", "number": number_of(n % PEOPLE).hex(), "at_ms": time.time_ns() // 1_000_000}
        last.append(device.publish(f"sekisho/v1/{device.user_data_get()}/card", json.dumps(read).encode(), qos=1))
    for one in last:
        one.wait_for_publish(60)
    published_s = time.perf_counter() - began
    until = time.monotonic() + 30
    while len(last) + wires.shown < READS and time.monotonic() < until:
        time.sleep(0.005)
    wires.is_bursting = False
    return len(last) + wires.shown, published_s


def _size(site: Site) -> int:
    with LinkClient(site.socket, "bench") as client:
        return client.connect().size


def _recorded(site: Site, begin: int, sent: int) -> tuple[Counter[str], float]:
    """What the ledger holds of the burst, once all is there or nothing has come for a while, and when the last came."""
    counts: Counter[str] = Counter()
    quiet_since = time.monotonic()
    with LinkClient(site.socket, "bench") as client:
        client.connect()
        for message in client.stream(begin):
            accounted = sum(counts[kind] for kind in (*DECISIONS, "refused"))
            if accounted >= sent or time.monotonic() - quiet_since > QUIET_S:
                break
            if not isinstance(message, Record) or message.body is None:
                continue
            body = msgspec.json.decode(message.body)
            counts[body["type"]] += 1
            if body["type"] in DECISIONS or body["type"] in ("INBOX_FULL", "READS_REFUSED"):
                quiet_since = time.monotonic()
            if body["type"] in ("INBOX_FULL", "READS_REFUSED"):
                counts["refused"] += body["detail"]["count"]
            if body.get("reason") == "read_stale":
                counts["READ_STALE"] += 1
    return counts, quiet_since
