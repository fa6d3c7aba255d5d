"""The accepted policy as one immutable value, and the edits that turn one policy into the next.

A policy is a fold of edits: rows put by identifier, each a whole value. `zones.edits.apply` refuses an edit that
would leave a reference dangling, a cycle in the zone tree, dates out of order or two credentials with one number, and
names the row and the field; the policy before it stays in force (P2). Nothing is edited in place, and tables that an
edit does not touch are shared with the policy before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from zones.frozen import nothing
from zones.ids import (
    AccessPointId,
    CardholderId,
    CardNumberHash,
    ClearanceId,
    CredentialId,
    NeedToKnowId,
    PortalId,
    RosterEntryId,
    ScheduleId,
    ZoneId,
)
from zones.people import Cardholder, Clearance, Credential, NeedToKnow, RosterEntry
from zones.places import AccessPoint, Portal, Schedule, Zone, ZoneState, ZoneStatus

Row = Zone | Portal | Schedule | ZoneStatus | Cardholder | Credential | Clearance | NeedToKnow | RosterEntry

TABLES: Final[Mapping[str, type[Row]]] = MappingProxyType(
    {
        "schedule": Schedule,
        "zone": Zone,
        "zone_status": ZoneStatus,
        "portal": Portal,
        "cardholder": Cardholder,
        "credential": Credential,
        "clearance": Clearance,
        "need_to_know": NeedToKnow,
        "roster": RosterEntry,
    }
)
"""Every table of a policy by its name in records, links and databases, in an order that satisfies references."""

ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "schedule": "schedules",
        "zone": "zones",
        "zone_status": "zone_statuses",
        "portal": "portals",
        "cardholder": "cardholders",
        "credential": "credentials",
        "clearance": "clearances",
        "need_to_know": "needs_to_know",
        "roster": "roster",
    }
)
"""Table -> the attribute of Policy that holds its rows."""

TABLE_OF: Final[Mapping[type[Row], str]] = MappingProxyType({kind: name for name, kind in TABLES.items()})


class EditRefused(ValueError):
    """An edit that must not take effect. `table`, `row` and `field` name the place; the message says what to do."""

    def __init__(self, table: str, row: str, field: str, why: str) -> None:
        super().__init__(f"{table} {row}: {field}: {why}")
        self.table, self.row, self.field, self.why = table, row, field, why


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Rows to put (new or replacing by id), and places to drop: (table, id) of zones, portals and schedules only.

    A zone that was ever put in a state is dropped together with its `zone_status` row, named in the same edit.
    """

    puts: tuple[Row, ...] = ()
    drops: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that a decision may know about who and where. Indexes are derived: build one with `zones.edits.apply`."""

    schedules: Mapping[ScheduleId, Schedule] = field(default_factory=nothing)
    zones: Mapping[ZoneId, Zone] = field(default_factory=nothing)
    zone_statuses: Mapping[ZoneId, ZoneStatus] = field(default_factory=nothing)
    portals: Mapping[PortalId, Portal] = field(default_factory=nothing)
    cardholders: Mapping[CardholderId, Cardholder] = field(default_factory=nothing)
    credentials: Mapping[CredentialId, Credential] = field(default_factory=nothing)
    clearances: Mapping[ClearanceId, Clearance] = field(default_factory=nothing)
    needs_to_know: Mapping[NeedToKnowId, NeedToKnow] = field(default_factory=nothing)
    roster: Mapping[RosterEntryId, RosterEntry] = field(default_factory=nothing)
    # derived
    access_points: Mapping[AccessPointId, AccessPoint] = field(default_factory=nothing)
    credential_by_number: Mapping[CardNumberHash, CredentialId] = field(default_factory=nothing)
    clearances_of: Mapping[CardholderId, tuple[ClearanceId, ...]] = field(default_factory=nothing)
    needs_of: Mapping[CardholderId, tuple[NeedToKnowId, ...]] = field(default_factory=nothing)
    roster_of: Mapping[tuple[CardholderId, ZoneId], tuple[RosterEntryId, ...]] = field(default_factory=nothing)
    lineages: Mapping[ZoneId, tuple[ZoneId, ...]] = field(default_factory=nothing)
    """Zone -> itself, its parent, and so on up to the outermost."""
    insides: Mapping[ZoneId, frozenset[ZoneId]] = field(default_factory=nothing)
    """Zone -> itself and every zone nested in it."""

    def zone_state(self, zone: ZoneId) -> ZoneState:
        """The state the zone was last put in; open and attended where nobody has put it in any."""
        status = self.zone_statuses.get(zone)
        return ZoneState.OPEN_ATTENDED if status is None else status.state

    def table(self, name: str) -> Mapping[str, Row]:
        """The rows of one of TABLES by identifier."""
        rows: Mapping[str, Row] = getattr(self, ATTRIBUTES[name])
        return rows

    def rows(self) -> Iterator[Row]:
        """Every row, in an order in which putting them one by one satisfies all references but a zone's parent."""
        for name in TABLES:
            yield from self.table(name).values()


EMPTY: Final = Policy()
"""The policy of a controller that was told nothing: it admits nobody."""
