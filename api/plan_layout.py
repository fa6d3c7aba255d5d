"""The plan of the building as shapes: drawn by an officer, or put together from how zones are nested. Pure.

Without a drawing each zone is a box with its doors on top and the zones inside it below: always right, never pretty.
Text is cut to the width that it has; one that is cut is whole in the list beside the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from unicodedata import east_asian_width

WIDE: Final = 1000
NARROW: Final = 360
PAD: Final = 10
HEAD: Final = 34
CHIP_W: Final = 220
CHIP_H: Final = 44
ZONE_W_MIN: Final = 250
SIZE_MAX: Final = 4000
"""Largest coordinate of a drawing."""

SIGN_W: Final = 14.5
"""Width of one full-width sign of a name on the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Where something is on the plan: a zone as a box, a portal as the box of its sign."""

    x: int
    y: int
    w: int
    h: int


@dataclass(slots=True, kw_only=True)
class Nest:
    """A zone: the portals that lead into it, and the zones inside it, by id."""

    id: str
    portals: Sequence[str] = ()
    inside: list[Nest] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Plan:
    """Shapes by id, and how large the whole is."""

    width: int
    height: int = 0
    zones: dict[str, Shape] = field(default_factory=dict)
    portals: dict[str, Shape] = field(default_factory=dict)


def laid_out(tops: Sequence[Nest], width: int) -> Plan:
    """A plan of nothing but how zones are nested, `width` wide and as high as it has to be."""
    plan = Plan(width=width)
    plan.height = _row(plan, tops, PAD, PAD, width - 2 * PAD) + PAD
    return plan


def drawn(tops: Sequence[Nest], zones: Mapping[str, Shape], portals: Mapping[str, Shape]) -> Plan:
    """A plan as it was drawn; what was not drawn stands below it, so that no zone is ever missing."""
    there = [*zones.values(), *portals.values()]
    width = max([WIDE, *(one.x + one.w + PAD for one in there)])
    bottom = max([0, *(one.y + one.h for one in there)])
    plan = Plan(width=width, zones=dict(zones), portals=dict(portals))
    rest = [Nest(id=one.id, portals=one.portals) for one in each(tops) if one.id not in zones]
    missing = [
        portal for one in each(tops) if one.id in zones for portal in one.portals if portal not in portals
    ]  # fmt: skip
    plan.height = bottom + PAD
    if rest:
        plan.height = _row(plan, rest, PAD, bottom + 2 * PAD, width - 2 * PAD) + PAD
    if missing:
        plan.height = _chips(plan, missing, PAD, plan.height + PAD, width - 2 * PAD) + PAD
    return plan


def cut_to(name: str, width: int) -> str:
    """As much of a name as `width` holds; … where something was cut."""
    space = width / SIGN_W
    used = 0.0
    for at, sign in enumerate(name):
        used += 1.0 if east_asian_width(sign) in "WFA" else 0.58
        if used > space:
            return name[: max(at - 1, 0)].rstrip() + "…"
    return name


def each(nests: Sequence[Nest]) -> list[Nest]:
    """All zones, from the outside in."""
    found: list[Nest] = []
    for one in nests:
        found += [one, *each(one.inside)]
    return found


def _leaves(nest: Nest) -> int:
    return max(1, sum(map(_leaves, nest.inside)))


def _row(plan: Plan, nests: Sequence[Nest], x: int, y: int, width: int) -> int:
    """Zones beside each other, in as many rows as they need, each as wide as what is in it asks; the bottom of all."""
    rows: list[list[Nest]] = []
    for nest in nests:
        if not rows or (sum(map(_leaves, rows[-1])) + _leaves(nest)) * (ZONE_W_MIN + PAD) - PAD > width:
            rows.append([])
        rows[-1].append(nest)
    for row in rows:
        space, parts, at, bottoms = width - PAD * (len(row) - 1), sum(map(_leaves, row)), x, []
        for nest in row:
            wide = space * _leaves(nest) // parts
            bottoms.append(_zone(plan, nest, at, y, wide))
            at += wide + PAD
        bottom = max(bottoms)
        for nest in row:
            was = plan.zones[nest.id]
            plan.zones[nest.id] = Shape(x=was.x, y=was.y, w=was.w, h=bottom - y)
        y = bottom + PAD
    return y - PAD if rows else y


def _zone(plan: Plan, nest: Nest, x: int, y: int, width: int) -> int:
    """One zone with all that is in it; its bottom."""
    at = _chips(plan, nest.portals, x + PAD, y + HEAD, width - 2 * PAD)
    if nest.inside:
        at = _row(plan, nest.inside, x + PAD, at, width - 2 * PAD) + PAD
    plan.zones[nest.id] = Shape(x=x, y=y, w=width, h=max(at - y, HEAD + PAD))
    return y + plan.zones[nest.id].h


def _chips(plan: Plan, portals: Sequence[str], x: int, y: int, width: int) -> int:
    """Portals in rows; the y below them."""
    across = max(1, (width + PAD) // (CHIP_W + PAD))
    wide = min((width - PAD * (across - 1)) // across, CHIP_W + 60)
    for number, portal in enumerate(portals):
        down, right = divmod(number, across)
        plan.portals[portal] = Shape(
            x=x + right * (wide + PAD), y=y + down * (CHIP_H + PAD), w=wide, h=CHIP_H
        )  # fmt: skip
    return y + -(-len(portals) // across) * (CHIP_H + PAD)
