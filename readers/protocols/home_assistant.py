"""What Home Assistant is shown of the portals: three states of each, and nothing that it could work.

docs/wire/mqtt.md. Pure. Owns the topics under `homeassistant/` and `sekisho/home/`. Refuses to announce a lock: Home
Assistant's lock needs a topic for commands, and a page on somebody's telephone must open nothing. A portal goes by a
name of the wires, never by its own, which may tell what is kept there (E-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from readers import topics

if TYPE_CHECKING:
    from collections.abc import Mapping

AVAILABLE: Final = "sekisho/home/available"
ONLINE, OFFLINE = b"online", b"offline"
_UNKNOWN: Final = "None"
"""What Home Assistant takes for "unknown"."""
_ON, _OFF = "ON", "OFF"

_KINDS: Final = {"strike": "lock", "leaf": "door", "alarm": "problem"}
"""States of a portal, and the device class that Home Assistant shows each as (ON: unlocked, open, a problem)."""

_STATES: Final[dict[str, tuple[str, str, str]]] = {
    "SECURED": (_OFF, _OFF, _OFF),
    "RELEASED": (_ON, _OFF, _OFF),
    "OPEN": (_ON, _ON, _OFF),
    "HELD": (_OFF, _ON, _ON),
    "FORCED": (_OFF, _ON, _ON),
    "BLIND": (_UNKNOWN, _UNKNOWN, _ON),
    "UNKNOWN": (_UNKNOWN, _UNKNOWN, _OFF),
}
"""Strike, leaf and alarm by the portal's phase (zones.portal_values.Phase)."""


class HomeAssistant:
    """The portals that are shown. `names`: of each portal on the wires.

    Raises:
        ValueError: a name that may not stand in a topic.
    """

    def __init__(self, node: str, names: Mapping[str, str]) -> None:
        for name in (node, *names.values()):
            if not topics.is_device_id(name):
                raise ValueError(f"{name!r} may hold only a-z, 0-9 and '-' (1 to 64 of them)")
        self._node = node
        self._names = dict(names)
        self._phases = dict.fromkeys(names, "UNKNOWN")

    def announced(self) -> list[tuple[str, bytes]]:
        """Everything that is published, to be retained, when a connection begins: what there is, and how it stands."""
        found = [(AVAILABLE, ONLINE)]
        for portal, name in self._names.items():
            found += [self._config(name, part, kind) for part, kind in _KINDS.items()]
            found.append(self._state(portal))
        return found

    def changed(self, portal: str, phase: str) -> tuple[str, bytes] | None:
        """What to publish, to be retained, when a portal is in another phase; None when nothing is shown of it."""
        if portal not in self._names or self._phases[portal] == phase:
            return None
        self._phases[portal] = phase
        return self._state(portal)

    def _state(self, portal: str) -> tuple[str, bytes]:
        states = _STATES.get(self._phases[portal], _STATES["UNKNOWN"])
        return _topic(self._names[portal]), msgspec.json.encode(dict(zip(_KINDS, states, strict=True)))

    def _config(self, name: str, part: str, kind: str) -> tuple[str, bytes]:
        own = f"sekisho-{self._node}-{name}"
        config = {
            "name": part,
            "unique_id": f"{own}-{part}",
            "device_class": kind,
            "state_topic": _topic(name),
            "value_template": "{{ value_json." + part + " }}",
            "availability_topic": AVAILABLE,
            "device": {"identifiers": [own], "name": name, "manufacturer": "Sekisho"},
        }
        return f"homeassistant/binary_sensor/{own}/{part}/config", msgspec.json.encode(config)


def _topic(name: str) -> str:
    return f"sekisho/home/{name}/state"
