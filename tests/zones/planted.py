"""Policies with a fault in them that no edit would ever let through: rows laid past `zones.edits.apply`."""

from __future__ import annotations

from dataclasses import replace

from zones.decision.plan import plan_for, plans_of
from zones.decision.rule import Rule
from zones.frozen import Shelf
from zones.policy import ATTRIBUTES, TABLE_OF, Policy, Row
from zones.tree import insides_of, lineages_of


def planted(policy: Policy, *rows: Row) -> Policy:
    """The policy with `rows` in it, held against nothing."""
    for row in rows:
        attribute = ATTRIBUTES[TABLE_OF[type(row)]]
        table = {**getattr(policy, attribute), row.id: row}
        policy = replace(policy, **{attribute: Shelf(table)})
    lineages = lineages_of(policy.zones)
    points = {point.id: point for portal in policy.portals.values() for point in (portal.entry, portal.exit)}
    insides = insides_of(lineages)
    plans = plans_of(policy.zones, insides, policy.portals.values())
    return replace(policy, lineages=lineages, insides=insides, access_points=points, plans=plans)


def ruled_by(policy: Policy, rules: tuple[Rule, ...]) -> Policy:
    """The policy under another table of rules."""
    plans = {point: plan if plan.is_exit else plan_for(plan.setting, rules) for point, plan in policy.plans.items()}
    return replace(policy, plans=plans)
