"""The trial of devices that have a thread of their own: GPIO pins, MQTT devices, readers behind libnfc."""

from __future__ import annotations

import queue
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.site_wires import mqtt_device
from readers.events import DeviceOffline, DeviceOnline, Event
from readers.protocols.mqtt_messages import Release, Secure, Show
from readers.transports.gpio import GpioPins
from readers.transports.libnfc import LibnfcReader
from sekisho.device_report import Report, pause, wait_for
from sekisho.spoken import Words

if TYPE_CHECKING:
    from readers.transports.mqtt import MqttLink
    from sekisho.device_test import Tried

STATES_S: Final = 0.6
ONLINE_S: Final = 6.0
SHOW_MS: Final = 5_000
COMMAND_MS: Final = 3_000


class Listening:
    """A trial over events that come from a thread."""

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def take(self, event: Event) -> None:
        """From the thread."""
        self._heard.put(event)

    def run(self, for_s: float, on_event: Callable[[Event], object], is_over: Callable[[], bool]) -> bool:
        """As `Bench.run`."""
        until = time.monotonic() + for_s
        while not is_over():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            try:
                on_event(self._heard.get(timeout=min(left_s, 0.1)))
            except queue.Empty:
                continue
        return True


def _wake() -> None:
    """Nobody sleeps here."""


def try_gpio(tried: Tried) -> None:
    """The controller's own pins. MissingDriver or TransportError where there are none."""
    device, heard = tried.device, Listening()
    pins = GpioPins(
        device.id,
        outputs=tuple(device.relay_pins or ()),
        inputs=tried.site.wiring.inputs.get(device.id, {}),
        on_event=heard.take,
        on_wake=_wake,
    )
    pins.start()
    try:
        tried.report.good("answer", ("端子を使えます。全出力は切です", "the pins are there; every relay is at rest"))
        pause(heard, tried.report, STATES_S)
        tried.watch(heard)
        relays = device.relay_pins or []
        if relays:
            pin = relays[0] if tried.arguments.channel is None else tried.arguments.channel
            tried.pulse(heard, lambda: pins.release(pin, tried.for_ms), pins.all_off)
    finally:
        pins.close()


def try_libnfc(tried: Tried) -> None:
    """A reader behind libnfc. MissingDriver where it is not installed."""
    device, heard = tried.device, Listening()
    assert device.connection is not None, "the site file was checked"
    reader = LibnfcReader(device.id, device.connection, on_event=heard.take, on_wake=_wake)
    reader.start()
    try:
        if not wait_for(heard, tried.report, DeviceOnline, ONLINE_S):
            words = (f"{device.connection} が応答しません", f"no reader answers at {device.connection}")
            tried.report.bad("answer", words)
            return
        tried.report.good("answer", ("読取装置が応答しました", "the reader answers"))
        tried.read(heard)
    finally:
        reader.stop()


def try_mqtt(tried: Tried) -> None:
    """A device behind the broker; a running controller is not in the way."""
    device, report, heard = tried.device, tried.report, Listening()
    link = _link(tried, heard)
    link.start()
    try:
        heard.run(ONLINE_S, report.hear, lambda: link.is_connected)
        if not link.is_connected:
            report.bad("broker", *_no_broker(tried))
            return
        report.good("broker", ("ブローカーに接続しました", "the broker takes us"))
        if not _is_here(report) and not wait_for(heard, report, DeviceOnline, ONLINE_S):
            words = (f"{device.id} が接続していません", f"{device.id} is not connected to the broker")
            report.bad("answer", words, ("電源、無線、証明書を確かめてください", "look at power, radio, certificate"))
            return
        report.good("answer", (f"{device.id} が応答しています", f"{device.id} is online"))
        pause(heard, report, STATES_S)
        if tried.arguments.light or tried.arguments.sound:
            show = Show(id=secrets.token_hex(8), show="granted", not_after_ms=_wall_ms() + SHOW_MS)
            is_sent = link.publish_show(device.id, show)
            words = ("表示: 許可", "shown: a grant") if is_sent else ("表示を送れません", "it cannot be made to show")
            report.note("light", words)
        tried.read(heard)
        name = device.id
        tried.pulse(heard, lambda: _mqtt_order(link, name, tried.for_ms), lambda: _mqtt_order(link, name))
    finally:
        link.stop()


def _is_here(report: Report) -> bool:
    """Whether the device said so already: its retained state comes with the connection."""
    said = [isinstance(one, DeviceOnline) for one in report.events if isinstance(one, DeviceOnline | DeviceOffline)]
    return bool(said) and said[-1]


def _no_broker(tried: Tried) -> tuple[Words, Words]:
    mqtt = tried.site.mqtt
    assert mqtt is not None, "the site file was checked"
    where = f"{mqtt.host}:{mqtt.port}"
    return (
        (f"ブローカー {where} に接続できません", f"the broker at {where} cannot be reached, or refuses us"),
        ("ブローカー、ファイアウォール、証明書を確かめてください", "look at the broker, the firewall, the certificate"),
    )


def _link(tried: Tried, heard: Listening) -> MqttLink:
    from readers.transports.mqtt import MqttLink
    from readers.transports.mqtt_access import BrokerAccess

    section = tried.site.mqtt
    assert section is not None, "the site file was checked"
    files = (section.password_file, section.ca_file, section.cert_file, section.key_file)
    password, ca, cert, key = (None if name is None else Path(name) for name in files)
    access = BrokerAccess(username=section.username, password_file=password, ca_file=ca, cert_file=cert, key_file=key)
    return MqttLink(
        host=section.host,
        port=section.port,
        client_id=f"sekisho-test-{secrets.token_hex(6)}",
        devices=(mqtt_device(tried.device),),
        on_event=heard.take,
        on_wake=_wake,
        access=access,
    )


def _mqtt_order(link: MqttLink, device: str, for_ms: int = 0) -> bool:
    name, now = secrets.token_hex(8), _wall_ms()
    late = now + COMMAND_MS
    if for_ms:
        order = Release(id=name, for_ms=for_ms, issued_ms=now, not_after_ms=late)
        return link.publish_command(device, order)
    return link.publish_command(device, Secure(id=name, issued_ms=now, not_after_ms=late))


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
