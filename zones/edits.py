"""Turning one policy into the next: `apply` holds an edit against every rule of a policy, or refuses it whole.

Rows are put by identifier, each a whole value; only tables that the edit touches are copied, and the derived indexes
follow row by row. Order within an edit does not matter: references are held against the policy as it will be. Rows
about people are never dropped, they are ended; places are dropped once nothing refers to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from zones.frozen import thawed
from zones.people import Clearance, Credential, NeedToKnow, RosterEntry
from zones.places import Portal, Schedule, Zone, ZoneStatus, entry_id, exit_id
from zones.policy import ATTRIBUTES, EMPTY, TABLE_OF, TABLES, Edit, EditRefused, Policy, Row
from zones.row_checks import check_change, check_row, refusal
from zones.tree import check_nesting, check_portals, insides_of, lineages_of

__all__ = ["EMPTY", "apply", "fold"]

DROPPABLE: Final = ("zone", "zone_status", "portal", "schedule")


def apply(policy: Policy, edit: Edit) -> Policy:
    """The policy after `edit`. Raises EditRefused naming table, row and field; `policy` is never changed."""
    draft = _Draft(policy)
    _refuse_repetition(edit)
    for table, row_id in edit.drops:
        _drop(draft, table, row_id)
    for row in edit.puts:
        _put(draft, row)
    for row in edit.puts:
        _check_references(draft, row)
    for table, row_id in edit.drops:
        _check_unreferenced(draft, table, row_id)
    _check_places(draft, edit)
    return draft.frozen()


def fold(edits: Iterable[Edit], policy: Policy = EMPTY) -> Policy:
    """The policy after all of `edits`, in order. Raises EditRefused at the first that is refused."""
    for edit in edits:
        policy = apply(policy, edit)
    return policy


class _Draft:
    """The next policy in the making: reads see what was written, and a table is copied when it is first written to."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._written: dict[str, dict[Any, Any]] = {}

    def read(self, attribute: str) -> Mapping[Any, Any]:
        written = self._written.get(attribute)
        table: Mapping[Any, Any] = getattr(self._policy, attribute) if written is None else written
        return table

    def write(self, attribute: str) -> dict[Any, Any]:
        if attribute not in self._written:
            self._written[attribute] = thawed(getattr(self._policy, attribute))
        return self._written[attribute]

    def overwrite(self, attribute: str, table: dict[Any, Any]) -> None:
        self._written[attribute] = table

    def frozen(self) -> Policy:
        tables: dict[str, Any] = {name: MappingProxyType(table) for name, table in self._written.items()}
        return replace(self._policy, **tables) if tables else self._policy


def _refuse_repetition(edit: Edit) -> None:
    named: set[tuple[str, str]] = set()
    for table, row_id in (*((TABLE_OF[type(row)], str(row.id)) for row in edit.puts), *edit.drops):
        if (table, row_id) in named:
            raise EditRefused(table, row_id, "id", "is named twice in one edit")
        named.add((table, row_id))


def _drop(draft: _Draft, table: str, row_id: str) -> None:
    if table not in DROPPABLE:
        raise EditRefused(table, row_id, "table", f"only rows of {', '.join(DROPPABLE)} are dropped; end others")
    if row_id not in draft.read(ATTRIBUTES[table]):
        raise EditRefused(table, row_id, "id", "is not there to be dropped")
    del draft.write(ATTRIBUTES[table])[row_id]
    if table == "portal":
        points = draft.write("access_points")
        for point in (entry_id, exit_id):
            del points[point(row_id)]  # type: ignore[arg-type]  # a portal's identifier: it was found in portals


def _put(draft: _Draft, row: Row) -> None:
    check_row(row)
    attribute = ATTRIBUTES[TABLE_OF[type(row)]]
    before = draft.read(attribute).get(row.id)
    if before is not None:
        check_change(before, row)
    draft.write(attribute)[row.id] = row
    if type(row) in _INDEX:
        _INDEX[type(row)](draft, row)


# -- derived indexes. Rows about people keep their cardholder, number and zone for ever, so these only ever grow ------


def _index_portal(draft: _Draft, row: Portal) -> None:
    draft.write("access_points").update({point.id: point for point in (row.entry, row.exit)})


def _index_credential(draft: _Draft, row: Credential) -> None:
    holder = draft.read("credential_by_number").get(row.number_hash)
    if holder is None:
        draft.write("credential_by_number")[row.number_hash] = row.id
    elif holder != row.id:
        raise refusal(row, "number_hash", f"is the number of credential {holder}; a card has one credential (A-02)")


def _index_clearance(draft: _Draft, row: Clearance) -> None:
    _join(draft, "clearances_of", row.cardholder, row.id)


def _index_need_to_know(draft: _Draft, row: NeedToKnow) -> None:
    _join(draft, "needs_of", row.cardholder, row.id)


def _index_roster(draft: _Draft, row: RosterEntry) -> None:
    _join(draft, "roster_of", (row.cardholder, row.zone), row.id)


def _join(draft: _Draft, index: str, key: object, row_id: str) -> None:
    """Add to a tuple kept in order, so that the same rows give the same policy by whatever way they came."""
    members: tuple[str, ...] = draft.read(index).get(key, ())
    if row_id not in members:
        draft.write(index)[key] = tuple(sorted((*members, row_id)))


_INDEX: Final[Mapping[type[Row], Callable[[_Draft, Any], None]]] = MappingProxyType(
    {
        Portal: _index_portal,
        Credential: _index_credential,
        Clearance: _index_clearance,
        NeedToKnow: _index_need_to_know,
        RosterEntry: _index_roster,
    }
)


# -- references ------------------------------------------------------------------------------------------------------

_REFERENCES: Final[Mapping[type[Row], tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        Zone: (("schedule", "schedule"),),
        ZoneStatus: (("id", "zone"),),
        Credential: (("cardholder", "cardholder"),),
        Clearance: (("cardholder", "cardholder"),),
        NeedToKnow: (("cardholder", "cardholder"),),
        RosterEntry: (("cardholder", "cardholder"), ("zone", "zone")),
    }
)
"""Row -> its fields that name a row, and of which table. A zone's parent and a portal's zones: `zones.tree`."""


def _check_references(draft: _Draft, row: Row) -> None:
    for field, table in _REFERENCES.get(type(row), ()):
        named = getattr(row, field)
        if named is not None and named not in draft.read(ATTRIBUTES[table]):
            raise refusal(row, field, f"there is no {table} {named!r}")


def _check_unreferenced(draft: _Draft, table: str, row_id: str) -> None:
    if table == "zone_status" and row_id in draft.read("zones"):
        raise EditRefused(table, row_id, "id", "a zone's state is dropped only together with its zone")
    for by in _referring(draft, table, row_id):
        raise EditRefused(table, row_id, "id", f"is still named by {by}")


def _referring(draft: _Draft, table: str, row_id: str) -> Iterable[str]:
    """Who still names a place. Walks whole tables: places are dropped rarely."""
    if table == "schedule":
        yield from (f"zone {z.id}" for z in draft.read("zones").values() if z.schedule == row_id)
    if table == "zone":
        yield from (f"zone {z.id}" for z in draft.read("zones").values() if z.parent == row_id)
        yield from (f"portal {p.id}" for p in draft.read("portals").values() if row_id in (p.outer, p.inner))
        yield from (f"roster {r.id}" for r in draft.read("roster").values() if r.zone == row_id)
        yield from (f"zone_status {s}" for s in draft.read("zone_statuses") if s == row_id)


def _check_places(draft: _Draft, edit: Edit) -> None:
    """Zones and portals depend on each other's shape: an edit of a zone holds all of them against the new tree."""
    zones = draft.read("zones")
    touched = {TABLE_OF[type(row)] for row in edit.puts} | {table for table, _ in edit.drops}
    if "zone" in touched:
        lineages = lineages_of(zones)
        check_nesting(zones)
        draft.overwrite("lineages", lineages)
        draft.overwrite("insides", insides_of(lineages))
        check_portals(zones, lineages, draft.read("portals").values())
    elif "portal" in touched:
        check_portals(zones, draft.read("lineages"), (row for row in edit.puts if isinstance(row, Portal)))


assert set(TABLES) == set(ATTRIBUTES), "every table has its place in Policy"
assert all(kind in TABLE_OF for kind in (Schedule, *_INDEX, *_REFERENCES)), "only rows are indexed"
