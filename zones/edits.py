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

from zones.decision.plan import plans_of
from zones.frozen import Shelf
from zones.officers import Officer, OfficerKey
from zones.people import (
    Cardholder,
    Clearance,
    Credential,
    Declaration,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import Portal, PortalStatus, Schedule, Walk, Zone, ZoneStatus, entry_id, exit_id
from zones.policy import ATTRIBUTES, EMPTY, TABLE_OF, TABLES, Edit, EditRefused, Holder, Policy, Row
from zones.row_checks import check_change, check_row, refusal
from zones.tree import check_nesting, check_portals, insides_of, lineages_of

__all__ = ["EMPTY", "apply", "fold"]

DROPPABLE: Final = ("zone", "zone_status", "portal", "portal_status", "schedule", "calendar", "walk")

_GONE: Final[Any] = object()


def apply(policy: Policy, edit: Edit) -> Policy:
    """The policy after `edit`. Raises EditRefused naming table, row and field; `policy` is never changed."""
    draft = _Draft(policy)
    _refuse_repetition(edit)
    for table, row_id in edit.drops:
        _drop(draft, table, row_id)
    for row in sorted(edit.puts, key=_is_about_cardholder):  # a cardholder before the rows about him
        _put(draft, row)
    for row in edit.puts:
        _check_references(draft, row)
        _check_one_kind(draft, row)
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
    """The next policy in the making: reads see what was written, and nothing is copied but what is written."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._puts: dict[str, dict[Any, Any]] = {}
        self._drops: dict[str, set[Any]] = {}
        self._whole: dict[str, Mapping[Any, Any]] = {}

    def get(self, attribute: str, key: object) -> Any:
        """The value of one key, or None."""
        if attribute in self._whole:
            return self._whole[attribute].get(key)
        found = self._puts.get(attribute, {}).get(key, _GONE)
        if found is not _GONE:
            return found
        if key in self._drops.get(attribute, ()):
            return None
        return getattr(self._policy, attribute).get(key)

    def table(self, attribute: str) -> Mapping[Any, Any]:
        """The whole mapping as it will be. Costs its size where something was written: for places, not for people."""
        if attribute in self._whole:
            return self._whole[attribute]
        before: Mapping[Any, Any] = getattr(self._policy, attribute)
        drops = self._drops.get(attribute, ())
        if not drops and attribute not in self._puts:
            return before
        return {k: v for k, v in before.items() if k not in drops} | self._puts.get(attribute, {})

    def put(self, attribute: str, key: object, value: object) -> None:
        self._puts.setdefault(attribute, {})[key] = value

    def drop(self, attribute: str, key: object) -> None:
        self._puts.get(attribute, {}).pop(key, None)
        if key in getattr(self._policy, attribute):
            self._drops.setdefault(attribute, set()).add(key)

    def replace_all(self, attribute: str, table: Mapping[Any, Any]) -> None:
        self._whole[attribute] = table

    def frozen(self) -> Policy:
        tables: dict[str, Any] = {name: MappingProxyType(dict(table)) for name, table in self._whole.items()}
        for name in self._puts.keys() | self._drops.keys():
            puts, drops = self._puts.get(name, {}), frozenset(self._drops.get(name, ()))
            tables[name] = Shelf(getattr(self._policy, name)).changed(puts, drops - puts.keys())
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
    row = draft.get(ATTRIBUTES[table], row_id)
    if row is None:
        raise EditRefused(table, row_id, "id", "is not there to be dropped")
    draft.drop(ATTRIBUTES[table], row_id)
    if isinstance(row, Portal):
        draft.drop("access_points", entry_id(row.id))
        draft.drop("access_points", exit_id(row.id))
    if isinstance(row, Walk):
        draft.drop("walk_ms", (row.one, row.other))
        draft.drop("walk_ms", (row.other, row.one))


def _put(draft: _Draft, row: Row) -> None:
    check_row(row)
    attribute = ATTRIBUTES[TABLE_OF[type(row)]]
    before = draft.get(attribute, row.id)
    if before is not None:
        check_change(before, row)
    draft.put(attribute, row.id, row)
    if type(row) in _INDEX:
        _INDEX[type(row)](draft, row)


# -- derived indexes. Rows about people keep their cardholder, number and zone for ever, so these only ever grow ------


def _index_portal(draft: _Draft, row: Portal) -> None:
    for point in (row.entry, row.exit):
        draft.put("access_points", point.id, point)


def _index_walk(draft: _Draft, row: Walk) -> None:
    draft.put("walk_ms", (row.one, row.other), row.min_ms)
    draft.put("walk_ms", (row.other, row.one), row.min_ms)


def _index_credential(draft: _Draft, row: Credential) -> None:
    holder = draft.get("by_number", row.number_hash)
    if holder is not None and holder.id != row.id:
        raise refusal(row, "number_hash", f"is the number of credential {holder.id}; a card has one credential (A-02)")
    draft.put("by_number", row.number_hash, row)


def _index_officer_key(draft: _Draft, row: OfficerKey) -> None:
    holder = draft.get("by_passkey", row.credential)
    if holder is not None and holder.id != row.id:
        raise refusal(row, "credential", f"is the passkey {holder.id} already; a passkey has one officer")
    draft.put("by_passkey", row.credential, row)


def _index_cardholder(draft: _Draft, row: Cardholder) -> None:
    holder = draft.get("holders", row.id)
    draft.put("holders", row.id, Holder(cardholder=row) if holder is None else replace(holder, cardholder=row))


def _index_override(draft: _Draft, row: Override) -> None:
    draft.put("overrides_of", row.zone, _joined(draft.get("overrides_of", row.zone) or (), row))


def _joins(name: str) -> Callable[[_Draft, Any], None]:
    """Puts a row into the tuple `name` of its cardholder's Holder."""

    def index(draft: _Draft, row: Any) -> None:
        holder = draft.get("holders", row.cardholder)
        if holder is None:
            if draft.get("cardholders", row.cardholder) is None:
                raise refusal(row, "cardholder", f"there is no cardholder {row.cardholder!r}")
            holder = Holder(cardholder=draft.get("cardholders", row.cardholder))
        draft.put("holders", row.cardholder, replace(holder, **{name: _joined(getattr(holder, name), row)}))

    return index


def _joined(rows: tuple[Any, ...], row: Any) -> tuple[Any, ...]:
    """Kept in order, so that the same rows give the same policy by whatever way they came."""
    if not rows or rows[-1].id < row.id:
        return (*rows, row)
    return tuple(sorted((*(one for one in rows if one.id != row.id), row), key=_id_of))


def _id_of(row: Any) -> str:
    return str(row.id)


_INDEX: Final[Mapping[type[Row], Callable[[_Draft, Any], None]]] = MappingProxyType(
    {
        Portal: _index_portal,
        Walk: _index_walk,
        Cardholder: _index_cardholder,
        Credential: _index_credential,
        Clearance: _joins("clearances"),
        NeedToKnow: _joins("needs"),
        RosterEntry: _joins("roster"),
        Training: _joins("trainings"),
        Declaration: _joins("declarations"),
        Visit: _joins("visits"),
        Override: _index_override,
        OfficerKey: _index_officer_key,
    }
)


# -- references ------------------------------------------------------------------------------------------------------

_REFERENCES: Final[Mapping[type[Row], tuple[tuple[str, str], ...]]] = MappingProxyType(
    {
        Schedule: (("calendar", "calendar"),),
        Zone: (("schedule", "schedule"), ("raised_outside", "schedule")),
        ZoneStatus: (("id", "zone"),),
        Portal: (("interlock_with", "portal"), ("unlock_schedule", "schedule")),
        PortalStatus: (("id", "portal"),),
        Walk: (("one", "portal"), ("other", "portal")),
        Credential: (("cardholder", "cardholder"),),
        Pin: (("id", "cardholder"),),
        Clearance: (("cardholder", "cardholder"),),
        NeedToKnow: (("cardholder", "cardholder"),),
        RosterEntry: (("cardholder", "cardholder"), ("zone", "zone"), ("schedule", "schedule")),
        Training: (("cardholder", "cardholder"),),
        Declaration: (("cardholder", "cardholder"), ("zone", "zone")),
        Visit: (("cardholder", "cardholder"), ("host", "cardholder"), ("zones", "zone")),
        Override: (("zone", "zone"), ("cardholders", "cardholder")),
        Officer: (("zones", "zone"), ("cardholder", "cardholder")),
        OfficerKey: (("officer", "officer"),),
    }
)
"""Row -> its fields that name rows, and of which table. A zone's parent and a portal's zones: `zones.tree`."""


def _check_references(draft: _Draft, row: Row) -> None:
    for field, table in _REFERENCES.get(type(row), ()):
        named = getattr(row, field)
        for row_id in named if isinstance(named, tuple) else () if named is None else (named,):
            if draft.get(ATTRIBUTES[table], row_id) is None:
                raise refusal(row, field, f"there is no {table} {row_id!r}")


def _check_one_kind(draft: _Draft, row: Row) -> None:
    """A pseudonym is a cardholder's or an officer's: records name both in one field, and sessions go by it."""
    other = {Officer: "cardholders", Cardholder: "officers"}.get(type(row))
    if other is not None and draft.get(other, row.id) is not None:
        raise refusal(row, "id", f"is taken among the {other}: an officer and a cardholder have names of their own")


def _is_about_cardholder(row: Row) -> bool:
    return not isinstance(row, Cardholder)


def _check_unreferenced(draft: _Draft, table: str, row_id: str) -> None:
    if table in ("zone_status", "portal_status"):
        of = table.removesuffix("_status")
        if draft.get(ATTRIBUTES[of], row_id) is not None:
            raise EditRefused(table, row_id, "id", f"a {of}'s state is dropped only together with its {of}")
    for by in _referring(draft, table, row_id):
        raise EditRefused(table, row_id, "id", f"is still named by {by}")


def _referring(draft: _Draft, table: str, row_id: str) -> Iterable[str]:
    """Who still names a place. Walks whole tables: places are dropped rarely."""
    for kind, references in _REFERENCES.items():
        names = [field for field, of in references if of == table]
        if kind is Zone and table == "zone":
            names.append("parent")
        if kind is Portal and table == "zone":
            names += ["outer", "inner"]
        if not names:
            continue
        for row in draft.table(ATTRIBUTES[TABLE_OF[kind]]).values():
            if any(row_id == named or (isinstance(named, tuple) and row_id in named) for named in _named(row, names)):
                yield f"{TABLE_OF[kind]} {row.id}"


def _named(row: Row, names: Iterable[str]) -> Iterable[object]:
    return (getattr(row, name) for name in names)


def _check_places(draft: _Draft, edit: Edit) -> None:
    """Zones and portals depend on each other's shape: an edit of a zone holds all of them against the new tree."""
    touched = {TABLE_OF[type(row)] for row in edit.puts} | {table for table, _ in edit.drops}
    if not touched & {"zone", "portal"}:
        return
    zones = draft.table("zones")
    if "zone" in touched:
        lineages = lineages_of(zones)
        check_nesting(zones)
        draft.replace_all("lineages", lineages)
        draft.replace_all("insides", insides_of(lineages))
        check_portals(zones, lineages, draft.table("portals").values())
    else:
        check_portals(zones, draft.table("lineages"), (row for row in edit.puts if isinstance(row, Portal)))
    portals, insides = draft.table("portals").values(), draft.table("insides")
    draft.replace_all("plans", plans_of(zones, insides, portals, draft.table("plans")))


assert set(TABLES) == set(ATTRIBUTES), "every table has its place in Policy"
assert all(kind in TABLE_OF for kind in (*_INDEX, *_REFERENCES)), "only rows are indexed"
