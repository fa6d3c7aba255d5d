"""Puts the wires of a site file on a runtime: serial ports, broker connections, libnfc readers, the link, the guard."""

from __future__ import annotations

import logging
import secrets
import selectors
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller import guard
from controller.config import DeviceKind, Site
from controller.engine import Engine
from controller.inbox import Inbox
from controller.intake import Intake
from controller.link.messages import PROTOCOL, Welcome
from controller.link.server import LinkServer
from controller.outputs import Outputs
from controller.ports import Port
from controller.runtime import Runtime
from controller.site_file import MqttSection
from readers.errors import MissingDriver
from readers.events import DeviceOffline
from readers.protocols.lcus import LcusBoard
from readers.protocols.pn532 import Pn532Reader
from readers.transports.serial_line import SerialLine

if TYPE_CHECKING:
    from readers.transports.mqtt import MqttLink

log = logging.getLogger(__name__)

PN532_BAUD: Final = 115_200
LCUS_BAUD: Final = 9_600


def attach(
    site: Site,
    runtime: Runtime,
    engine: Engine,
    inbox: Inbox,
    selector: selectors.BaseSelector,
    boot: str,
    vkey: str,
) -> None:
    """Make everything that the site file names and give it to the runtime; ports open when the loop begins."""
    is_simulation = site.simulation is not None
    ports: list[Port] = []
    boards: dict[str, tuple[LcusBoard, Port]] = {}
    for device in site.devices.values():
        if device.kind is DeviceKind.LCUS and device.port is not None:
            board = LcusBoard(device.id, device.channels or 1)
            line = SerialLine(device.port, device.baud or LCUS_BAUD, simulation=is_simulation)
            port = Port(device.id, line, board, selector, runtime.emit)
            boards[device.id] = (board, port)
            ports.append(port)
        elif device.kind is DeviceKind.PN532 and device.port is not None:
            line = SerialLine(device.port, device.baud or PN532_BAUD, simulation=is_simulation)
            ports.append(Port(device.id, line, Pn532Reader(device.id), selector, runtime.emit))
        elif device.kind is DeviceKind.PYNFC and device.connection is not None:
            _start_libnfc(device.id, device.connection, inbox)
    mqtt = shows = None
    intake = Intake(inbox)
    on_mqtt = frozenset(device.id for device in site.devices.values() if device.kind is DeviceKind.MQTT)
    if site.mqtt is not None:
        mqtt, shows = _start_mqtt(site.mqtt, on_mqtt, inbox, intake)
    outputs = Outputs(site.wiring, boards, mqtt, shows, on_mqtt, boot, engine.lateness.skew_ms)

    def welcome() -> Welcome:
        status = runtime.status()
        return Welcome(
            node=site.node, boot=boot, size=status.size, revision=status.revision, vkey=vkey, protocol=PROTOCOL
        )

    link = LinkServer(site.socket, selector, on_request=runtime.take_request, welcome=welcome, fetch=runtime.fetch)
    runtime.attach(ports, outputs, link, intake)


def _start_mqtt(
    section: MqttSection, devices: frozenset[str], inbox: Inbox, intake: Intake
) -> tuple[MqttLink, MqttLink]:
    """Two connections to the broker: one for inputs and commands, one for reads and what readers show, so that a reader
    that floods holds up no exit. Their client ids tell nobody anything: who knows one can throw its owner out.
    """
    from readers import topics
    from readers.transports.mqtt import BrokerAccess, MqttLink

    access = BrokerAccess(
        username=section.username,
        password_file=None if section.password_file is None else Path(section.password_file),
        ca_file=None if section.ca_file is None else Path(section.ca_file),
    )
    listeners = ((topics.INPUTS, intake.inputs), (topics.READS, intake.acts))
    inputs, reads = (
        MqttLink(
            host=section.host,
            port=section.port,
            client_id=f"sekisho-{secrets.token_hex(8)}",
            devices=devices,
            on_event=on_event,
            on_wake=inbox.wake,
            access=access,
            subscriptions=subscriptions,
        )
        for subscriptions, on_event in listeners
    )
    inputs.start()
    reads.start()
    return inputs, reads


def _start_libnfc(device: str, connection: str, inbox: Inbox) -> None:
    """A reader behind libnfc. Without its driver it is offline and the log says why; other doors do not suffer."""
    from readers.transports.libnfc import LibnfcReader

    try:
        LibnfcReader(device, connection, on_event=inbox.take, on_wake=inbox.wake).start()
    except MissingDriver as error:
        log.error("%s: %s", device, error)  # noqa: TRY400 - the message is the whole story
        inbox.take(DeviceOffline(source=device, why="driver missing"))


def start_guard(site: Site) -> subprocess.Popen[bytes] | None:
    """Start the guard that switches relay boards off when we die, and tell it how. It acts when its input is closed:
    whoever holds what is returned keeps it waiting.
    """
    boards = [device for device in site.devices.values() if device.kind is DeviceKind.LCUS and device.port is not None]
    if not boards:
        return None
    program = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdin is not None
    for device in boards:
        program.stdin.write(f"{device.port} {all_off(device.channels or 1).hex()}\n".encode())
    program.stdin.flush()
    log.info("guard %d watches %d relay board(s)", program.pid, len(boards))
    return program


def all_off(channels: int) -> bytes:
    """The bytes that switch every relay of an LCUS board off."""
    board = LcusBoard("off", channels)
    board.connection_made(0)
    return board.data_to_send()
