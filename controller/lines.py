"""Makes the serial lines, buses and pins that a site file names, each with the protocol that gives it a meaning."""

from __future__ import annotations

import hashlib
import logging
import selectors
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from controller.config import DeviceKind, Site
from controller.inbox import Inbox
from controller.keystore.jobs import KeyView
from controller.outputs import SecuredBus
from controller.ports import Port, WireProtocol
from controller.relays import LcusRelays, ModbusRelays, OsdpOutputs, OsdpReaders, PinRelays, Relays
from controller.site_file import DeviceSection
from controller.site_wires import input_plans
from readers.cards.session import CardKeys, CardSession, CardTarget
from readers.errors import MissingDriver, TransportError
from readers.events import DeviceOffline, Event
from readers.protocols.lcus import LcusBoard
from readers.protocols.pn532 import Pn532Reader
from readers.transports.serial_line import SerialLine

if TYPE_CHECKING:
    from readers.cards.aliro import AliroReader
    from readers.protocols.osdp import OsdpBus

log = logging.getLogger(__name__)

PN532_BAUD: Final = 115_200
LCUS_BAUD: Final = 9_600
OSDP_BAUD: Final = 9_600
OSDP_BAUDS: Final = (9_600, 38_400, 115_200)
"""Where readers are looked for that do not answer at the speed of the site file."""
MODBUS_BAUD: Final = 9_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the wires need of the key store: card keys, the private key of Aliro readers (32 bytes), each reader's own
    key, and what may be known of all that.
    """

    cards: CardKeys | None = None
    aliro: bytes | None = field(default=None, repr=False)
    reader_key: Callable[[str], bytes | None] = lambda _reader: None
    pending_key: Callable[[str], bytes | None] = lambda _reader: None
    view: KeyView = field(default_factory=KeyView)


class Lines:
    """The serial lines and pins of a site, as they are made one after the other."""

    def __init__(
        self,
        site: Site,
        emit: Callable[[Event], None],
        inbox: Inbox,
        selector: selectors.BaseSelector,
        keys: Secrets,
        random: Callable[[int], bytes],
    ) -> None:
        self._site = site
        self._emit = emit
        self._inbox = inbox
        self._selector = selector
        self._keys = keys
        self._random = random
        self.ports: list[Port] = []
        self.relays: dict[str, Relays] = {}
        self.buses: dict[str, SecuredBus] = {}
        self.standings: dict[str, Callable[[], dict[str, str]]] = {}

    def make(self) -> None:
        """Everything that the site file names; ports open when the loop begins."""
        make = {
            DeviceKind.LCUS: self._lcus,
            DeviceKind.PN532: self._pn532,
            DeviceKind.PYNFC: self._pynfc,
            DeviceKind.OSDP_BUS: self._osdp,
            DeviceKind.GPIO: self._gpio,
        }
        for device in self._site.devices.values():
            if device.kind in make:
                make[device.kind](device)
        for path in dict.fromkeys(d.port for d in self._site.devices.values() if d.kind is DeviceKind.MODBUS):
            self._modbus([d for d in self._site.devices.values() if d.kind is DeviceKind.MODBUS and d.port == path])

    def _port(self, device: DeviceSection, baud: int, protocol: WireProtocol) -> Port:
        assert device.port is not None, "the site file was checked"
        opened_at = getattr(protocol, "baud", None) or device.baud or baud  # one that changes its speed knows the first
        line = SerialLine(device.port, opened_at, simulation=self._site.simulation is not None)
        is_bus = device.kind is DeviceKind.OSDP_BUS
        port = Port(device.id, line, protocol, self._selector, self._emit, is_bus=is_bus)
        self.ports.append(port)
        return port

    def _lcus(self, device: DeviceSection) -> None:
        board = LcusBoard(device.id, device.channels or 1)
        self.relays[device.id] = LcusRelays(board, self._port(device, LCUS_BAUD, board))

    def _pn532(self, device: DeviceSection) -> None:
        high_baud = device.baud if device.baud != PN532_BAUD else None
        self._port(device, PN532_BAUD, Pn532Reader(device.id, challenge=self._challenge(), high_baud=high_baud))

    def _pynfc(self, device: DeviceSection) -> None:
        assert device.connection is not None, "the site file was checked"
        _start_libnfc(device.id, device.connection, self._inbox)

    def _challenge(self) -> Callable[[CardTarget], CardSession | None] | None:
        """What asks cards to prove themselves; None where the site file does not."""
        section = self._site.cards
        if section is None or self._keys.cards is None:
            return None
        from readers.cards.challenge import Challenger

        aliro = None if self._keys.aliro is None else aliro_reader(self._keys.aliro, pkoc_reader_id(self._site))
        challenger = Challenger(
            keys=self._keys.cards,
            random=self._random,
            schemes=section.schemes,
            application=bytes.fromhex(section.application),
            pkoc_reader_id=pkoc_reader_id(self._site),
            aliro=aliro,
        )
        return challenger.session

    def _osdp(self, device: DeviceSection) -> None:
        from readers.protocols.osdp import OsdpBus, PdPlan
        from readers.protocols.osdp.values import OFFLINE_AFTER_MS

        members = [one for one in self._site.devices.values() if one.bus == device.id]
        is_asking = self._site.cards is not None and "pkoc" in self._site.cards.schemes
        plans = [
            PdPlan(
                source=one.id,
                address=one.address or 0,
                key=self._keys.reader_key(one.id),
                new_key=self._keys.pending_key(one.id),
                identity=self._keys.view.identities.get(one.id),
                inputs={number - 1: line for number, line in self._site.wiring.inputs.get(one.id, {}).items()},
                has_keypad=bool(one.keypad),
                has_outputs=bool(one.channels),
                pkoc_reader_id=pkoc_reader_id(self._site) if is_asking else None,
                offline_after_ms=one.offline_after_ms or OFFLINE_AFTER_MS,
            )
            for one in members
        ]
        bus = OsdpBus(device.id, plans, baud=device.baud or OSDP_BAUD, random=self._random, search_bauds=OSDP_BAUDS)
        port = self._port(device, OSDP_BAUD, bus)
        readers = self.buses[device.id] = OsdpReaders(bus, port)
        for one in members:
            self.buses[one.id] = readers
            self.standings[one.id] = partial(_facts_of, bus, one.id)
            if one.channels:
                self.relays[one.id] = OsdpOutputs(bus, one.id, one.channels, port)

    def _modbus(self, devices: Sequence[DeviceSection]) -> None:
        from readers.protocols.modbus import ModbusBoardPlan, ModbusLine

        wired = self._site.wiring.inputs
        boards = [
            ModbusBoardPlan(
                id=one.id,
                unit=one.unit or 1,
                channels=one.channels or 1,
                inputs=input_plans(one, wired.get(one.id, {})),
                has_flash=bool(one.has_flash),
            )
            for one in devices
        ]
        line = ModbusLine(devices[0].id, boards, baud=devices[0].baud or MODBUS_BAUD)
        port = self._port(devices[0], MODBUS_BAUD, line)
        for one in devices:
            self.relays[one.id] = ModbusRelays(line, one.id, port)

    def _gpio(self, device: DeviceSection) -> None:
        """Pins. Without a Raspberry Pi they are offline and the log says why; other doors do not suffer."""
        from readers.transports.gpio import GpioPins

        inputs = self._site.wiring.inputs.get(device.id, {})
        try:
            pins = GpioPins(
                device.id,
                outputs=tuple(device.relay_pins or ()),
                inputs=inputs,
                on_event=self._inbox.take,
                on_wake=self._inbox.wake,
            )
            pins.start()
        except (MissingDriver, TransportError) as error:
            log.error("%s: %s", device.id, error)  # noqa: TRY400 - the message is the whole story
            self._inbox.take(DeviceOffline(source=device.id, why="pins cannot be had"))
            return
        self.relays[device.id] = PinRelays(pins)


def aliro_reader(secret: bytes, reader_id: bytes) -> AliroReader:
    """The readers of this site, as phones know them (experimental)."""
    from cryptography.hazmat.primitives.asymmetric import ec

    from readers.cards.aliro import AliroReader

    return AliroReader(
        private_key=ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1()), reader_id=reader_id
    )


def pkoc_reader_id(site: Site) -> bytes:
    """32 bytes that name this site to PKOC credentials: as the file says, or from the controller's name."""
    if site.cards is not None and site.cards.reader_id is not None:
        return bytes.fromhex(site.cards.reader_id)
    return hashlib.sha256(f"{site.domain}/{site.node}".encode()).digest()


def _facts_of(bus: OsdpBus, reader: str) -> dict[str, str]:
    """What a bus knows of a reader, in words; what is empty is left out."""
    known = asdict(bus.standing(reader))
    known |= known.pop("counts", {})
    return {key: str(value) for key, value in known.items() if value not in (None, "")}


def _start_libnfc(device: str, connection: str, inbox: Inbox) -> None:
    """A reader behind libnfc. Without its driver it is offline and the log says why; other doors do not suffer."""
    from readers.transports.libnfc import LibnfcReader

    try:
        LibnfcReader(device, connection, on_event=inbox.take, on_wake=inbox.wake).start()
    except MissingDriver as error:
        log.error("%s: %s", device, error)  # noqa: TRY400 - the message is the whole story
        inbox.take(DeviceOffline(source=device, why="driver missing"))
