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
from typing import TYPE_CHECKING, Final

from zones.frozen import nothing
from zones.ids import (
    AccessPointId,
    CalendarId,
    CardholderId,
    CardNumberHash,
    ClearanceId,
    CredentialId,
    DeclarationId,
    DeviceId,
    InformationItemId,
    NeedToKnowId,
    OfficerId,
    OfficerKeyId,
    OverrideId,
    PortalId,
    RosterEntryId,
    ScheduleId,
    TrainingId,
    VisitId,
    WalkId,
    ZoneId,
)
from zones.officers import Officer, OfficerKey
from zones.people import (
    Cardholder,
    Clearance,
    Credential,
    Declaration,
    InformationItem,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import (
    AccessPoint,
    Calendar,
    DeviceStatus,
    Portal,
    PortalStatus,
    Schedule,
    SiteStatus,
    Walk,
    Zone,
    ZoneState,
    ZoneStatus,
)

if TYPE_CHECKING:
    from zones.decision.plan import Plan

Row = (
    Calendar
    | Schedule
    | Zone
    | ZoneStatus
    | SiteStatus
    | Portal
    | PortalStatus
    | DeviceStatus
    | Walk
    | InformationItem
    | Cardholder
    | Credential
    | Pin
    | Clearance
    | NeedToKnow
    | RosterEntry
    | Training
    | Declaration
    | Visit
    | Override
    | Officer
    | OfficerKey
)

TABLES: Final[Mapping[str, type[Row]]] = MappingProxyType(
    {
        "calendar": Calendar,
        "schedule": Schedule,
        "zone": Zone,
        "zone_status": ZoneStatus,
        "site_status": SiteStatus,
        "portal": Portal,
        "portal_status": PortalStatus,
        "device_status": DeviceStatus,
        "walk": Walk,
        "item": InformationItem,
        "cardholder": Cardholder,
        "credential": Credential,
        "pin": Pin,
        "clearance": Clearance,
        "need_to_know": NeedToKnow,
        "roster": RosterEntry,
        "training": Training,
        "declaration": Declaration,
        "visit": Visit,
        "override": Override,
        "officer": Officer,
        "officer_key": OfficerKey,
    }
)
"""Every table of a policy by its name in records, links and databases, in an order that satisfies references."""

ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "calendar": "calendars",
        "schedule": "schedules",
        "zone": "zones",
        "zone_status": "zone_statuses",
        "site_status": "site_statuses",
        "portal": "portals",
        "portal_status": "portal_statuses",
        "device_status": "device_statuses",
        "walk": "walks",
        "item": "items",
        "cardholder": "cardholders",
        "credential": "credentials",
        "pin": "pins",
        "clearance": "clearances",
        "need_to_know": "needs_to_know",
        "roster": "roster",
        "training": "trainings",
        "declaration": "declarations",
        "visit": "visits",
        "override": "overrides",
        "officer": "officers",
        "officer_key": "officer_keys",
    }
)
"""Table -> the attribute of Policy that holds its rows."""

TABLE_OF: Final[Mapping[type[Row], str]] = MappingProxyType({kind: name for name, kind in TABLES.items()})

SITE: Final = "site"
"""The id of the one row of `site_status`."""

_USUAL: Final = SiteStatus(id=SITE)
_OPEN: Final = ZoneState.OPEN_ATTENDED


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
class Holder:
    """One cardholder with all that was put about him, gathered so that a decision looks once. Tuples in id order."""

    cardholder: Cardholder
    clearances: tuple[Clearance, ...] = ()
    needs: tuple[NeedToKnow, ...] = ()
    roster: tuple[RosterEntry, ...] = ()
    trainings: tuple[Training, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    visits: tuple[Visit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All that a decision may know about who and where. Indexes are derived: build one with `zones.edits.apply`."""

    calendars: Mapping[CalendarId, Calendar] = field(default_factory=nothing)
    schedules: Mapping[ScheduleId, Schedule] = field(default_factory=nothing)
    zones: Mapping[ZoneId, Zone] = field(default_factory=nothing)
    zone_statuses: Mapping[ZoneId, ZoneStatus] = field(default_factory=nothing)
    site_statuses: Mapping[str, SiteStatus] = field(default_factory=nothing)
    portals: Mapping[PortalId, Portal] = field(default_factory=nothing)
    portal_statuses: Mapping[PortalId, PortalStatus] = field(default_factory=nothing)
    device_statuses: Mapping[DeviceId, DeviceStatus] = field(default_factory=nothing)
    walks: Mapping[WalkId, Walk] = field(default_factory=nothing)
    items: Mapping[InformationItemId, InformationItem] = field(default_factory=nothing)
    cardholders: Mapping[CardholderId, Cardholder] = field(default_factory=nothing)
    credentials: Mapping[CredentialId, Credential] = field(default_factory=nothing)
    pins: Mapping[CardholderId, Pin] = field(default_factory=nothing)
    clearances: Mapping[ClearanceId, Clearance] = field(default_factory=nothing)
    needs_to_know: Mapping[NeedToKnowId, NeedToKnow] = field(default_factory=nothing)
    roster: Mapping[RosterEntryId, RosterEntry] = field(default_factory=nothing)
    trainings: Mapping[TrainingId, Training] = field(default_factory=nothing)
    declarations: Mapping[DeclarationId, Declaration] = field(default_factory=nothing)
    visits: Mapping[VisitId, Visit] = field(default_factory=nothing)
    overrides: Mapping[OverrideId, Override] = field(default_factory=nothing)
    officers: Mapping[OfficerId, Officer] = field(default_factory=nothing)
    officer_keys: Mapping[OfficerKeyId, OfficerKey] = field(default_factory=nothing)
    # derived
    access_points: Mapping[AccessPointId, AccessPoint] = field(default_factory=nothing)
    plans: Mapping[AccessPointId, Plan] = field(default_factory=nothing, compare=False, repr=False)
    """Access point -> which rules ask anything there (`zones.decision.plan`)."""
    by_number: Mapping[CardNumberHash, Credential] = field(default_factory=nothing)
    by_passkey: Mapping[str, OfficerKey] = field(default_factory=nothing)
    """WebAuthn credential id, in hex -> whose key it is."""
    holders: Mapping[CardholderId, Holder] = field(default_factory=nothing)
    overrides_of: Mapping[ZoneId, tuple[Override, ...]] = field(default_factory=nothing)
    walk_ms: Mapping[tuple[PortalId, PortalId], int] = field(default_factory=nothing)
    """Both ways round."""
    lineages: Mapping[ZoneId, tuple[ZoneId, ...]] = field(default_factory=nothing)
    """Zone -> itself, its parent, and so on up to the outermost."""
    insides: Mapping[ZoneId, frozenset[ZoneId]] = field(default_factory=nothing)
    """Zone -> itself and every zone nested in it."""
    site: SiteStatus = field(init=False, compare=False, repr=False)
    """What holds for the whole site."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "site", self.site_statuses.get(SITE, _USUAL))

    def zone_state(self, zone: ZoneId) -> ZoneState:
        """The state the zone was last put in; open and attended where nobody has put it in any."""
        status = self.zone_statuses.get(zone)
        return _OPEN if status is None else status.state

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
