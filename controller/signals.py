"""What devices say besides cards: contacts, REX, tamper, fire, power, people counters, and whether they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from controller.config import Wiring
from controller.lateness import Lateness
from controller.noise import Noise
from controller.portals import Portals
from controller.site_wires import device_of
from controller.standing import Standing
from controller.turn import Turn
from readers.events import DeviceOffline, DeviceOnline, InputChanged, LineFault, MessageRefused, PeopleCounted
from zones.ids import DeviceId, PortalId
from zones.moment import Moment
from zones.places import Direction, PortalMode
from zones.portal import (
    ExitReleased,
    FireReset,
    FireStarted,
    LeafClosed,
    LeafLevel,
    LeafOpened,
    Phase,
)
from zones.portal import PeopleCounted as PortalCounted

_SPOKEN_AND_SILENT: Final = {
    "fire": ("FIRE_ON", "FIRE_OFF"),
    "power": ("POWER_LOST", "POWER_RESTORED"),
    "tamper": ("TAMPER", "TAMPER_ENDED"),
}
"""Line -> what is recorded when it becomes active, and when it ceases to be."""

_OF_READER: Final = ("READER_POWER_LOST", "READER_POWER_RESTORED")
"""The supply of one reader, which says so itself: nothing about the mains, and nobody's place becomes uncertain."""

Distrust = Callable[[str], None]


def portals_of_devices(wiring: Wiring) -> dict[str, PortalId]:
    """The portal that each device, or input of a board, serves; a relay board with strikes of several portals serves
    none in particular.
    """
    found: dict[str, PortalId] = {}
    for table in (wiring.entry_readers, wiring.exit_readers, wiring.contacts, wiring.rexes):
        found |= table
    return found | {s.device: portal for portal, s in wiring.strikes.items() if s.channel is None}


class Signals:
    """Turns what devices say into steps of portals and records.

    Args:
        standing: what the parts of the engine share.
        wiring: which device belongs to which portal.
        portals: the portals' machines.
        lateness: judges presses of REX.
        noise: counts what makes no sense.
        distrust: told of a device whose enclosure was opened.
        devices: every device of the site file.
    """

    def __init__(
        self,
        *,
        standing: Standing,
        wiring: Wiring,
        portals: Portals,
        lateness: Lateness,
        noise: Noise,
        distrust: Distrust,
        devices: Iterable[str],
    ) -> None:
        self._standing = standing
        self._wiring = wiring
        self._portals = portals
        self._lateness = lateness
        self._noise = noise
        self._distrust = distrust
        self._portal_of = portals_of_devices(wiring)
        self._known_devices = frozenset(devices)
        self._unheard = set(self._known_devices)
        self._active: set[tuple[str, str]] = set()
        self._faults: dict[tuple[str, str], str] = {}

    # -- what the engine asks ----------------------------------------------------------------------------------------

    @property
    def is_fire(self) -> bool:
        """Whether a fire input is active now."""
        return any(line == "fire" for _, line in self._active)

    def is_tampered(self, device: str) -> bool:
        """Whether the device's enclosure is open now, or may be: its line is cut or short."""
        spoken = (*self._active, *self._faults)
        return any(line == "tamper" and device_of(source) == device for source, line in spoken)

    def is_believed(self, device: str) -> bool:
        """Whether nobody is known to have opened a device or put another in its place."""
        status = self._standing.policy.device_statuses.get(DeviceId(device))
        is_doubted = device in self._standing.doubted or self.is_tampered(device)
        return not is_doubted and (status is None or status.is_trusted)

    def strike_answers(self, portal: PortalId) -> bool:
        """Whether the device that this portal's strike hangs on is there."""
        return self._wiring.strikes[portal].device not in self._standing.offline

    def is_sound(self, portal: PortalId, reader: str) -> bool:
        """Whether all that guards this portal is in order: its reader, its strike and, where it has one, its contact,
        which must not say that the leaf was forced or the line is faulty: then nobody knows what an opening means.
        """
        if self._portals.phase(portal) is Phase.FORCED:
            return False
        contacts = [source for source, of in self._wiring.contacts.items() if of == portal]
        if any((source, "contact") in self._faults for source in contacts):
            return False
        guards = [reader, self._wiring.strikes[portal].device, *map(device_of, contacts)]
        offline = self._standing.offline
        return all(device not in offline and self.is_believed(device) for device in guards)

    # -- devices -----------------------------------------------------------------------------------------------------

    def presence(self, event: DeviceOnline | DeviceOffline, now: Moment, turn: Turn) -> None:
        """A device came or went. One that the site file does not know is noise."""
        if event.source not in self._known_devices:
            self._noise.note(MessageRefused(source=event.source, why="undeclared device"), now, turn)
            return
        self._lateness.forget(event.source)
        offline = self._standing.offline
        was_offline = event.source in offline
        if isinstance(event, DeviceOnline) and was_offline:
            self._unheard.discard(event.source)
            offline.discard(event.source)
            self._record("DEVICE_ONLINE", event.source, now, turn)
        elif isinstance(event, DeviceOffline):
            offline.add(event.source)
            if not was_offline or event.source in self._unheard:
                self._record("DEVICE_OFFLINE", event.source, now, turn, why=event.why[:200])
            self._unheard.discard(event.source)

    # -- lines -------------------------------------------------------------------------------------------------------

    def input(self, event: InputChanged, now: Moment, turn: Turn) -> None:
        """An input line says what it is."""
        wiring, source = self._wiring, event.source
        if self._faults.pop((source, event.line), None) is not None:
            self._record("LINE_RESTORED", source, now, turn, line=event.line)
            if event.line == "tamper":
                self._distrust(device_of(source))
        if event.line == "contact" and (portal := wiring.contacts.get(source)) is not None:
            if event.is_level_report:
                self._portals.step(portal, LeafLevel(is_open=event.is_active), now, turn)
            else:
                self._portals.step(portal, LeafOpened() if event.is_active else LeafClosed(), now, turn)
        elif event.line == "rex" and (portal := wiring.rexes.get(source)) is not None:
            if event.is_active and not event.is_level_report:
                self._press(event, portal, now, turn)
        elif self._is_wired(event.line, source):
            self._state(event, now, turn)
        else:
            self._noise.note(MessageRefused(source=source, why=f"no input {event.line[:32]} is wired"), now, turn)

    def fault(self, event: LineFault, now: Moment, turn: Turn) -> None:
        """A supervised line is neither open nor closed: an alarm, and what it watches is not trusted (B-09)."""
        wiring, key = self._wiring, (event.source, event.line)
        portal = wiring.contacts.get(event.source) if event.line == "contact" else None
        is_rex = event.line == "rex" and event.source in wiring.rexes
        if portal is None and not is_rex and not self._is_wired(event.line, event.source):
            self._noise.note(MessageRefused(source=event.source, why=f"no input {event.line[:32]} is wired"), now, turn)
            return
        if self._faults.get(key) == event.fault:
            return
        self._faults[key] = event.fault
        self._record("LINE_FAULT", event.source, now, turn, line=event.line, fault=event.fault)
        if portal is not None:
            self._portals.fault(portal, event.fault, now, turn)
        elif event.line == "tamper":
            self._distrust(device_of(event.source))

    def counted(self, event: PeopleCounted, now: Moment, turn: Turn) -> None:
        """A people counter saw somebody pass (B-24)."""
        portal = self._wiring.counters.get(event.source)
        if portal is None:
            self._noise.note(MessageRefused(source=event.source, why="no counter is wired"), now, turn)
            return
        self._portals.step(portal, PortalCounted(count=event.count), now, turn)

    def reset_fire(self, now: Moment, turn: Turn) -> None:
        """The doors may lock again: recorded by whoever asked, and done at once, for it only takes away."""
        self._portals.step_all(FireReset(), now, turn)

    def _is_wired(self, line: str, source: str) -> bool:
        wiring = self._wiring
        places: dict[str, Any] = {
            "fire": wiring.fire_inputs,
            "power": wiring.power_inputs,
            "tamper": wiring.tampers,
        }
        return source in places.get(line, ()) or self._is_own_power(line, source)

    def _is_own_power(self, line: str, source: str) -> bool:
        """Whether a reader with a secure channel speaks of its own supply."""
        wiring = self._wiring
        return line == "power" and source in wiring.secured and source not in wiring.power_inputs

    def _state(self, event: InputChanged, now: Moment, turn: Turn) -> None:
        """Fire, power and tamper are states: told when they change, whether as an edge or found so."""
        key = (event.source, event.line)
        if event.is_active is (key in self._active):
            return
        was_fire = self.is_fire
        self._active.symmetric_difference_update({key})
        is_own = self._is_own_power(event.line, event.source)
        types = _OF_READER if is_own else _SPOKEN_AND_SILENT[event.line]
        self._record(types[not event.is_active], event.source, now, turn)
        if event.line == "fire" and not was_fire and event.is_active:
            self._portals.step_all(FireStarted(), now, turn)
        if event.line == "tamper":
            self._distrust(
                device_of(event.source)
            )  # at its end as well: trust that came back meanwhile was given to an open box

    def _press(self, event: InputChanged, portal_id: PortalId, now: Moment, turn: Turn) -> None:
        """Egress is never a permission (P3): the effect goes out in this turn, whatever the ledger does, and whoever
        says so. What hangs on the outer side presses no REX: the site file refuses it (`controller.site_wires`).
        """
        if self._lateness.is_late(event.source, event.at_ms, now):
            self._noise.note(MessageRefused(source=event.source, why="late"), now, turn)
            return
        try:
            self._record_press(device_of(event.source), portal_id, now, turn)
        finally:  # whatever breaks in telling of it
            self._portals.step(portal_id, ExitReleased(grant=None, cause="rex"), now, turn)

    def _record_press(self, device: str, portal_id: PortalId, now: Moment, turn: Turn) -> None:
        standing = self._standing
        portal = standing.policy.portals[portal_id]
        draft = standing.scribe.draft("REX", now=now, portal=portal_id, zone=portal.outer, direction=Direction.OUT)
        standing.record(draft, turn)
        inside = standing.policy.insides.get(portal.inner, frozenset())
        is_empty = not standing.occupancy.count(inside) and self._portals.mode(portal_id) is PortalMode.CARD
        if is_empty or not self.is_believed(device):
            suspect = standing.scribe.draft("REX_SUSPECT", now=now, portal=portal_id, zone=portal.inner)
            standing.record(suspect, turn)

    def _record(self, type_: str, device: str, now: Moment, turn: Turn, **detail: str) -> None:
        portal = self._portal_of.get(device)
        draft = self._standing.scribe.draft(type_, now=now, portal=portal, detail={"device": device, **detail})
        self._standing.record(draft, turn)
