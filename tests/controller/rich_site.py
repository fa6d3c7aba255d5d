"""A site with everything a decision can ask for: keypads, openers, a vestibule, two-person and escorted zones, a fire
input, supervised lines, schedules. Its parts are switched on by what a test puts into the policy.
"""

from __future__ import annotations

from typing import Any

from tests.controller.conftest import clearance, need, roster

MQTT_DEVICES = (
    "rd-office", "rd-office-out", "dr-office", "rd-lab", "rd-lab-out", "dr-lab", "rd-vault", "rd-vault-out", "dr-vault",
    "rd-room", "rd-room-out", "dr-room", "fire-panel",
)  # fmt: skip
KEYPADS = ("rd-lab", "rd-vault", "rd-room")


def _devices() -> str:
    lines = []
    for device in MQTT_DEVICES:
        lines += ["[[device]]", f'id = "{device}"', 'kind = "mqtt"']
        if device in KEYPADS:
            lines.append("keypad = true")
    return "\n".join(lines)


def _portal(name: str, outer: str, **more: Any) -> str:
    keys = {
        "id": name, "name_ja": name, "name_en": name, "outer": outer, "inner": name, "entry_reader": f"rd-{name}",
        "exit_reader": f"rd-{name}-out", "strike": f"dr-{name}", "contact": f"dr-{name}", "rex": f"dr-{name}",
        "exit_hardware": "HANDLE", **more,
    }  # fmt: skip
    return "[[portal]]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())


def _zone(name: str, kind: str, parent: str | None, **more: Any) -> str:
    keys = {
        "id": name,
        "name_ja": name,
        "name_en": name,
        "kind": kind,
        **({"parent": parent} if parent else {}),
        **more,
    }
    return "[[zone]]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in keys.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def site_text(*, office: Any = None, lab: Any = None, vault: Any = None, room: Any = None, portals: Any = None) -> str:
    """The site file. Each argument: more keys of that zone; `portals`: portal -> more keys."""
    more = portals or {}
    zones = (
        _zone("outside", "UNRESTRICTED", None),
        _zone("office", "CONTROLLED", "outside", uid_accepted=True, **(office or {})),
        _zone("lab", "LIMITED", "office", uid_accepted=True, **(lab or {})),
        _zone(
            "vault", "EXCLUSION", "lab", uid_accepted=True, items=["item-1"], accepted_bases=["KEIZAI_ANPO"],
            anti_passback="HARD", **(vault or {}),
        ),
        _zone("room", "CONTROLLED", "office", uid_accepted=True, **(room or {})),
    )  # fmt: skip
    outers = {"office": "outside", "lab": "office", "vault": "lab", "room": "office"}
    return "\n".join(
        (
            '[controller]\nnode = "test"\nstate_dir = "state"\nsocket = "controller.sock"\nfire_input = "fire-panel"',
            'power_input = "fire-panel"\n[mqtt]\nhost = "127.0.0.1"',
            _devices(),
            '[[schedule]]\nid = "day"\nwindows = ["mon-fri 08:00-20:00"]',
            *zones,
            *(_portal(name, outer, **more.get(name, {})) for name, outer in outers.items()),
        )
    )


CARDS = {"h-sato": "04a1b2c3", "h-suzuki": "04a1b2c4", "h-tanaka": "04a1b2c5", "h-guest": "04a1b2c6"}


def people(site: Any, *roles: str, **entry: Any) -> None:
    """Enter Sato, Suzuki and Tanaka with all three keys of every zone, and a guest with a visit. `entry`: more of the
    roster rows of `roles` (cardholders).
    """
    for who in ("h-sato", "h-suzuki", "h-tanaka"):
        more = entry if who in roles else {}
        puts = [
            ("cardholder", {"id": who}),
            ("credential", {"id": f"c-{who}", "cardholder": who, "number": CARDS[who], "state": "ACTIVE"}),
            ("clearance", clearance(who)),
            ("need_to_know", need(who)),
            *(("roster", roster(who, zone) | more) for zone in ("office", "lab", "vault", "room")),
        ]
        answer = site.proposes(*puts)
        assert hasattr(answer, "revision"), answer
    guest = {"id": "h-guest", "kind": "VISITOR"}
    visit = {"id": "visit-1", "cardholder": "h-guest", "host": "h-sato", "zones": ["office", "lab", "vault", "room"]}
    answer = site.proposes(
        ("cardholder", guest),
        ("credential", {"id": "c-guest", "cardholder": "h-guest", "number": CARDS["h-guest"], "state": "ACTIVE"}),
        ("visit", visit | {"from_on": "2026-11-01", "until_on": "2026-12-31"}),
    )
    assert hasattr(answer, "revision"), answer
    site.effects.clear()


def walks_in(site: Any, who: str, *zones: str) -> None:
    """Badge and go through, portal by portal; must be let in everywhere."""
    for zone in zones:
        site.badges(CARDS[who], f"rd-{zone}")
        assert site.last.type == "ACCESS_GRANTED", site.last
        site.goes_through(f"dr-{zone}")
        site.passes(1500)


def walks_out(site: Any, who: str, *zones: str) -> None:
    """Leave by card, portal by portal."""
    for zone in zones:
        site.badges(CARDS[who], f"rd-{zone}-out")
        site.goes_through(f"dr-{zone}")
        site.passes(3500)
