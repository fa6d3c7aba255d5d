"""Puts the wires of a site file on a runtime: serial ports, broker connections, libnfc readers, the link, the guard."""

from __future__ import annotations

import logging
import secrets
import selectors
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from controller import guard
from controller.config import DeviceKind, Site
from controller.engine import Engine
from controller.inbox import Inbox
from controller.intake import Intake
from controller.lines import Lines, Secrets
from controller.link.messages import PROTOCOL, Devices, DeviceStanding, Welcome
from controller.link.server import LinkServer
from controller.outputs import Outputs
from controller.runtime import Runtime
from controller.site_file import DeviceSection, MqttSection
from controller.site_wires import READERS, device_of, mqtt_device
from readers.protocols.lcus import LcusBoard

if TYPE_CHECKING:
    from readers.events import Event
    from readers.topics import Lane
    from readers.transports.mqtt import MqttLink
    from readers.transports.mqtt_access import BrokerAccess

log = logging.getLogger(__name__)


def attach(  # noqa: PLR0913 - everything that the wires hang between
    site: Site,
    runtime: Runtime,
    engine: Engine,
    inbox: Inbox,
    selector: selectors.BaseSelector,
    *,
    boot: str,
    vkey: str,
    keys: Secrets,
    random: Callable[[int], bytes],
) -> None:
    """Make everything that the site file names and give it to the runtime; ports open when the loop begins."""
    lines = Lines(site, runtime.emit, inbox, selector, keys, random)
    lines.make()
    mqtt = shows = None
    intake = Intake(inbox)
    on_mqtt = frozenset(device.id for device in site.devices.values() if device.kind is DeviceKind.MQTT)
    if site.mqtt is not None:
        mqtt, shows = _start_mqtt(site, site.mqtt, inbox, intake)
    outputs = Outputs(
        wiring=site.wiring,
        relays=lines.relays,
        buses=lines.buses,
        mqtt=mqtt,
        shows=shows,
        displays=on_mqtt,
        boot=boot,
        skew_ms=engine.lateness.skew_ms,
    )

    def welcome() -> Welcome:
        status = runtime.status()
        return Welcome(
            node=site.node, boot=boot, size=status.size, revision=status.revision, vkey=vkey, protocol=PROTOCOL
        )

    def devices(asked: str) -> Devices:
        standings = tuple(standing_of(site, engine, device, lines.standings) for device in site.devices.values())
        return Devices(id=asked, devices=standings, keys=runtime.key_standings())

    link = LinkServer(
        site.socket,
        selector,
        on_request=runtime.take_request,
        welcome=welcome,
        fetch=runtime.fetch,
        devices=devices,
        on_cosign=runtime.take_cosign,
    )
    runtime.attach(lines.ports, outputs, link, intake)


def standing_of(
    site: Site, engine: Engine, device: DeviceSection, facts: Mapping[str, Callable[[], dict[str, str]]]
) -> DeviceStanding:
    """How one device stands, for somebody at the console."""
    wiring = site.wiring
    served: list[str] = [portal for portal, strike in wiring.strikes.items() if strike.device == device.id]
    for table in (wiring.entry_readers, wiring.exit_readers, wiring.contacts, wiring.rexes, wiring.counters):
        served += [portal for source, portal in table.items() if device_of(source) == device.id]
    places = (device.port, device.connection, device.bus and f"{device.bus} address {device.address}")
    return DeviceStanding(
        id=device.id,
        kind=device.kind.value,
        is_online=device.id not in engine.offline,
        is_trusted=engine.is_trusted(device.id),
        is_commissioned=engine.is_commissioned(device.id),
        where=next((place for place in places if place), "broker" if device.kind is DeviceKind.MQTT else ""),
        serves=tuple(dict.fromkeys(served)),
        facts=facts[device.id]() if device.id in facts else {},
        is_for_entry=device.id in wiring.entry_readers or (device.kind in READERS and not served),
    )


def _start_mqtt(site: Site, section: MqttSection, inbox: Inbox, intake: Intake) -> tuple[MqttLink, MqttLink]:
    """Two connections to the broker: one for inputs and commands, one for reads and what is shown, so that a reader
    that floods holds up no exit. Their client ids tell nobody anything: who knows one can throw its owner out.
    """
    from readers.protocols.home_assistant import HomeAssistant
    from readers.transports.mqtt import MqttLink
    from readers.transports.mqtt_access import BrokerAccess

    access = BrokerAccess(
        username=section.username,
        password_file=_path(section.password_file),
        ca_file=_path(section.ca_file),
        cert_file=_path(section.cert_file),
        key_file=_path(section.key_file),
    )
    listeners: tuple[tuple[Lane, Callable[[Event], None]], ...] = (("inputs", intake.inputs), ("acts", intake.acts))
    devices = tuple(mqtt_device(device) for device in site.devices.values() if device.kind is DeviceKind.MQTT)
    strikes = site.wiring.strikes.items()
    names: dict[str, str] = {
        portal: "-".join(str(part) for part in (at.device, at.channel) if part is not None) for portal, at in strikes
    }
    home = HomeAssistant(site.node, names) if section.home_assistant else None
    inputs, reads = (
        MqttLink(
            host=section.host,
            port=section.port,
            client_id=f"sekisho-{secrets.token_hex(8)}",
            devices=devices,
            on_event=on_event,
            on_wake=inbox.wake,
            access=access,
            lanes=frozenset({lane}),
            home=home if lane == "acts" else None,
        )
        for lane, on_event in listeners
    )
    inputs.start()
    reads.start()
    for _, strike in strikes:
        if (last_words := inputs.last_words_of(strike.device)) is not None:
            _keep_guard(section, access, last_words)
    return inputs, reads


def _keep_guard(section: MqttSection, access: BrokerAccess, last_words: tuple[str, bytes]) -> None:
    """A connection that does nothing but die with us: then the broker tells a relay without a timer to drop its strike
    (B-26). The guard of serial boards (controller/guard.py) has no such friend at the far end.
    """
    from readers.transports.mqtt import MqttLink

    MqttLink(
        host=section.host,
        port=section.port,
        client_id=f"sekisho-{secrets.token_hex(8)}",
        devices=(),
        on_event=lambda _event: None,
        on_wake=lambda: None,
        access=access,
        lanes=frozenset(),
        last_words=last_words,
    ).start()


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)


def start_guard(site: Site) -> subprocess.Popen[bytes] | None:
    """Start the guard that switches relay boards off when we die, and tell it how. It acts when its input is closed:
    whoever holds what is returned keeps it waiting.
    """
    ports = off_frames(site)
    if not ports:
        return None
    program = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdin is not None
    for path, (frames, baud) in ports.items():
        program.stdin.write(f"{path} {','.join(frame.hex() for frame in frames)}@{baud}\n".encode())
    program.stdin.flush()
    log.info("guard %d watches %d line(s) with relays", program.pid, len(ports))
    return program


def off_frames(site: Site) -> dict[str, tuple[tuple[bytes, ...], int]]:
    """For each serial port with relay boards: the frames that switch them off, and the baud. OSDP outputs and boards
    with flash-on drop theirs by their own timers besides.
    """
    ports: dict[str, tuple[tuple[bytes, ...], int]] = {}
    shared: dict[str, list[DeviceSection]] = {}
    for device in site.devices.values():
        if device.kind is DeviceKind.LCUS and device.port is not None:
            ports[device.port] = ((all_off(device.channels or 1),), device.baud or guard.BAUD)
        elif device.kind is DeviceKind.MODBUS and device.port is not None:
            shared.setdefault(device.port, []).append(device)
    for path, boards in shared.items():
        ports[path] = (modbus_off([(one.unit or 1, one.channels or 1) for one in boards]), boards[0].baud or guard.BAUD)
    return ports


def all_off(channels: int) -> bytes:
    """The bytes that switch every relay of an LCUS board off."""
    board = LcusBoard("off", channels)
    board.connection_made(0)
    return board.data_to_send()


def modbus_off(boards: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """Frames that switch off every relay of Modbus boards, given as unit and channels: each board at once, then relay
    by relay, for boards that know no other way and for a first frame that met an answer on the line.
    """
    from readers.protocols import modbus_frames as frames

    at_once = (frames.all_off(unit, channels).frame for unit, channels in boards)
    one_by_one = (
        frames.switch(unit, channel, is_on=False).frame
        for unit, channels in boards
        for channel in range(1, channels + 1)
    )
    return (*at_once, *one_by_one)
