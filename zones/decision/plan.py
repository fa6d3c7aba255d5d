"""Which rules ask anything at an access point: worked out when the building changes, not when somebody waits.

Whether a rule concerns a zone, the zone before it and the portal between them is fixed by their rows alone
(`Rule.concerns`); it is EXEMPT where it does not. A plan holds the findings of an entry in which everything passed, and
the checks that could find otherwise, by their place in the trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from zones.decision.ask import NO_SETTING, Setting
from zones.decision.reasons import Reason
from zones.decision.rule import EXEMPT, PASSED, Check, Rule
from zones.decision.rules import RULES
from zones.decision.values import Finding, FindingKind
from zones.ids import AccessPointId, ZoneId
from zones.places import AccessPoint, Portal, Zone, entry_id, exit_id

KINDS: Final = (FindingKind.PASSED, FindingKind.EXEMPT, FindingKind.WAIVED, FindingKind.FAILED)
"""A trace in one number has two bits per rule: the place of what was found in this table. Rule n stands at bits 2n."""

Checks = tuple[tuple[int, Check, FindingKind], ...]
"""Checks with their place in that number and what they usually find."""

_SELDOM: Final = frozenset({"D05", "D20", "D22", "D23", "D24", "D34"})
"""Rules that usually ask nothing even where they concern the zone: it hangs on who comes, or on the site. A trace is
put together from what differs from the usual, so this saves time and changes nothing.
"""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked at all access points that the same rules concern. `usual`: the trace in one number when every check
    finds what it usually finds. `checks`: those that could find otherwise.

    `traces` remembers the traces that came up: a site sees a handful of them over and over. It changes nothing that
    anybody can see but the time it takes.
    """

    rules: tuple[Rule, ...]
    usual: int
    checks: Checks
    traces: dict[int, tuple[tuple[Finding, ...], Reason]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the entries at one access point are decided; nothing is asked of an exit."""

    setting: Setting
    questions: Questions
    is_exit: bool = False


def plan_for(setting: Setting, rules: tuple[Rule, ...] = RULES) -> Plan:
    """The plan of entering by `setting`."""
    concerned = tuple(rule.concerns(setting.zone, setting.from_zone, setting.portal) for rule in rules)
    questions = _of_all_rules(concerned) if rules is RULES else _questions(rules, concerned)
    return Plan(setting=setting, questions=questions)


@lru_cache(maxsize=256)
def _of_all_rules(concerned: tuple[bool, ...]) -> Questions:
    """The same for the same, so that five hundred zones share what a decision reads all the time."""
    return _questions(RULES, concerned)


def _questions(rules: tuple[Rule, ...], concerned: tuple[bool, ...]) -> Questions:
    usual = 0
    checks = []
    for number, rule in enumerate(rules):
        kind = EXEMPT if not concerned[number] or rule.number in _SELDOM else PASSED
        usual |= KINDS.index(kind) << 2 * number
        if concerned[number]:
            checks.append((2 * number, rule.check, kind))
    return Questions(rules, usual, tuple(checks))


def plans_of(
    zones: Mapping[ZoneId, Zone],
    insides: Mapping[ZoneId, frozenset[ZoneId]],
    portals: Iterable[Portal],
    before: Mapping[AccessPointId, Plan] = MappingProxyType({}),
) -> dict[AccessPointId, Plan]:
    """The plans of both access points of each of `portals`; those of `before` whose setting is as it was are kept."""
    plans: dict[AccessPointId, Plan] = {}
    for portal in portals:
        way_in, way_out = entry_id(portal.id), exit_id(portal.id)
        plan, leaving = before.get(way_in), before.get(way_out)
        if plan is None or leaving is None or not _is_as_it_was(plan, leaving, portal, zones, insides):
            plan = plan_for(_setting(portal, portal.entry, zones, insides))
            leaving = Plan(setting=_setting(portal, portal.exit, zones, insides), questions=_NONE, is_exit=True)
        plans[way_in], plans[way_out] = plan, leaving
    return plans


def _is_as_it_was(
    entering: Plan,
    leaving: Plan,
    portal: Portal,
    zones: Mapping[ZoneId, Zone],
    insides: Mapping[ZoneId, frozenset[ZoneId]],
) -> bool:
    """Whether both plans of a portal were made of the rows that are there now."""
    setting = entering.setting
    return (
        setting.portal is portal
        and setting.zone is zones[portal.inner]
        and setting.from_zone is zones[portal.outer]
        and setting.inside == insides[portal.inner]
        and leaving.setting.inside == insides[portal.outer]
    )


def _setting(
    portal: Portal, point: AccessPoint, zones: Mapping[ZoneId, Zone], insides: Mapping[ZoneId, frozenset[ZoneId]]
) -> Setting:
    zone = zones[point.to_zone]
    return Setting(
        point=point,
        portal=portal,
        zone=zone,
        from_zone=zones[point.from_zone],
        items=frozenset(zone.items),
        inside=insides[zone.id],
    )


_NONE: Final = Questions((), 0, ())

EXIT_FINDINGS: Final[tuple[Finding, ...]] = (
    RULES[0].findings[FindingKind.PASSED],
    *(rule.findings[FindingKind.EXEMPT] for rule in RULES[1:]),
)
"""The trace of every exit: the access point is known, and nothing else is asked."""

NOWHERE_PLAN: Final = plan_for(NO_SETTING)
"""An access point that nobody knows is asked everything."""
