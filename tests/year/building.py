"""The building of the virtual year: eight zones, eight portals, thirty people by what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

ZONES: Final = ("outside", "office", "meeting", "vestibule", "lab", "vault", "room", "server")

WAYS: Final = {
    "office": ("outside", "office"),
    "meeting": ("office", "meeting"),
    "vestibule": ("office", "vestibule"),
    "lab": ("vestibule", "lab"),
    "vault": ("lab", "vault"),
    "room": ("office", "room"),
    "server": ("office", "server"),
    "escape": ("outside", "lab"),
}
"""Portal -> the zones outside and inside of it. `escape` opens from inside alone and has no reader."""

PARENTS: Final = {inner: outer for portal, (outer, inner) in WAYS.items() if portal != "escape"}
"""Zone -> the zone that one enters it from."""

ITEMS: Final = {"vault": "item-1"}
"""Zones with protected information."""

OPENED: Final = ("vault",)
"""Zones that named people open in the morning and secure at night."""

FRONT_MINUTES: Final = (12 * 60, 12 * 60 + 3)
"""When the front stands unlocked on working days, once somebody was let in: from, until (minutes of the day)."""

HELD_AFTER_MS: Final = 20_000

_ZONES: Final[dict[str, dict[str, Any]]] = {
    "outside": {"kind": "UNRESTRICTED"},
    "office": {"kind": "CONTROLLED", "parent": "outside", "visitors_allowed": True, "escort_ratio": 2},
    "meeting": {"kind": "CONTROLLED", "parent": "office", "visitors_allowed": True, "occupancy_max": 8},
    "vestibule": {"kind": "CONTROLLED", "parent": "office", "visitors_allowed": True, "is_vestibule": True},
    "lab": {"kind": "LIMITED", "parent": "office", "visitors_allowed": True, "anti_passback": "SOFT"},
    "vault": {
        "kind": "EXCLUSION",
        "parent": "lab",
        "visitors_allowed": True,
        "anti_passback": "HARD",
        "needs_opener": True,
        "items": ["item-1"],
        "accepted_bases": ["KEIZAI_ANPO", "TOKUTEI_HIMITSU"],
    },
    "room": {"kind": "CONTROLLED", "parent": "office", "occupancy_min": 2, "anti_passback": "TIMED", "apb_ms": 600_000},
    "server": {
        "kind": "LIMITED",
        "parent": "office",
        "training": ["server-safety"],
        "declares_devices": True,
        "schedule": "long",
        "raised_outside": "day",
        "raised_factors": 3,
    },
}

_PORTALS: Final[dict[str, dict[str, Any]]] = {
    "office": {"unlock_schedule": "front", "first_in": True, "counter": "dr-office", "held_warn_ms": 5_000},
    "vestibule": {"interlock_with": ["lab"]},
    "lab": {"interlock_with": ["vestibule"]},
    "escape": {"is_escape": True},
}

_HEAD: Final = """[controller]
node = "test"
state_dir = "state"
socket = "controller.sock"
fire_input = "panel"
power_input = "panel"

[mqtt]
host = "127.0.0.1"

[[calendar]]
id = "jp"
national = "JP"
days = [2026-12-29, 2026-12-30, 2026-12-31]

[[schedule]]
id = "day"
windows = ["mon-fri 07:00-20:00"]
calendar = "jp"
[[schedule]]
id = "long"
windows = ["mon-sat 06:00-22:00", "hol 09:00-12:00"]
calendar = "jp"
[[schedule]]
id = "front"
windows = ["mon-fri 12:00-12:03"]
calendar = "jp"

[[walk]]
id = "across"
one = "meeting"
other = "server"
min_ms = 20000

[[device]]
id = "panel"
kind = "mqtt"
"""


def site_text() -> str:
    """The site file: every portal but the escape has a reader with a keypad, and all a contact, a REX and a handle."""
    parts = [_HEAD]
    for portal in WAYS:
        for device in ("dr",) if portal == "escape" else ("rd", "ro", "dr"):
            keys = {"id": f"{device}-{portal}", "kind": "mqtt"} | ({"keypad": True} if device == "rd" else {})
            parts.append(_section("device", keys))
    for zone, more in _ZONES.items():
        named = {"id": zone, "name_ja": zone, "name_en": zone} | ({} if zone == "outside" else {"uid_accepted": True})
        parts.append(_section("zone", named | more))
    for portal, (outer, inner) in WAYS.items():
        keys = {
            "id": portal, "name_ja": portal, "name_en": portal, "outer": outer, "inner": inner,
            "exit_hardware": "HANDLE", "strike": f"dr-{portal}", "contact": f"dr-{portal}", "rex": f"dr-{portal}",
            "held_after_ms": HELD_AFTER_MS,
        }  # fmt: skip
        readers = {} if portal == "escape" else {"entry_reader": f"rd-{portal}", "exit_reader": f"ro-{portal}"}
        parts.append(_section("portal", keys | readers | _PORTALS.get(portal, {})))
    return "\n".join(parts)


def _section(name: str, keys: dict[str, Any]) -> str:
    return f"[[{name}]]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """`zones` this person is on the roster of. `card` is the number of the first card; replacements count up."""

    id: str
    zones: tuple[str, ...]
    card: str
    pin: str = ""
    duress: str = ""
    is_opener: bool = False
    is_escort: bool = False
    is_visitor: bool = False
    is_responder: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        """The information items of the zones that this person works in."""
        return tuple(ITEMS[zone] for zone in self.zones if zone in ITEMS)


_COMMON: Final = ("office", "meeting")
_LAB: Final = (*_COMMON, "vestibule", "lab")
_TEAMS: Final = (
    (_COMMON, 5),
    (_LAB, 3),
    ((*_COMMON, "server"), 2),
    ((*_COMMON, "room"), 3),
    ((*_LAB, "vault"), 4),
    ((), 1),  # visitors
)
"""Zones, and how many of eighteen work there; with more people in proportion."""


def people(count: int = 30) -> tuple[Person, ...]:
    """`count` people, at least eighteen, team by team; the last ones are visitors who come now and then."""
    found: list[Person] = []
    for zones, share in _TEAMS:
        for place in range(max(share, round(share * count / 18)) if zones else max(1, count - len(found))):
            number = len(found) + 1
            has_pin = "vault" in zones or "server" in zones
            found.append(
                Person(
                    id=f"h-{number:03}",
                    zones=zones,
                    card=card_number(number),
                    pin=f"{48_371_950 + number * 7_919:08}" if has_pin else "",
                    duress=f"{93_650_718 - number * 6_007:08}" if "vault" in zones and place == 1 else "",
                    is_opener="vault" in zones and place < 3,
                    is_escort=(zones == _COMMON and place < 3) or ("vault" in zones and place < 3),
                    is_visitor=not zones,
                    is_responder="vault" in zones and place == 0,
                )
            )
    return tuple(found)


def card_number(number: int, replacement: int = 0) -> str:
    """The bits of a card, as a reader sends them."""
    return f"04{number:04x}{replacement:02x}5e"
