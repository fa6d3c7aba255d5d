"""What the pages of registers look at: the policy in force, the names, the day in Japan; read once for each answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import monotonic_ns
from typing import Final, Generic, TypeVar

from api.access import Permission, Who
from api.kana import Order
from api.names import Name, order_of
from api.parts import Parts
from api.problems import Problem
from api.row_states import LOOKS, RosterState
from api.texts import _, spoken
from zones.ids import CardholderId, PortalId, ZoneId
from zones.moment import Moment
from zones.places import Zone
from zones.policy import EditRefused, Policy

ROWS_SHOWN: Final = 100
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the registers, by `who`."""

    who: Who
    policy: Policy
    names: dict[str, Name]
    now: Moment

    @property
    def day(self) -> date:
        """The day in Japan."""
        return self.now.today

    @property
    def sees_rights(self) -> bool:
        """Whether it may be told who may enter where, and until when."""
        return self.who.may(Permission.RIGHTS)

    def name(self, cardholder: str) -> str:
        """What somebody is called in the spoken language; the pseudonym where there is no name."""
        name = self.names.get(cardholder)
        if name is None:
            return cardholder
        return (name.roman if spoken() == "en" else "") or name.name

    def kana(self, cardholder: str) -> str:
        """How a name is read, in Japanese alone."""
        name = self.names.get(cardholder)
        return name.kana if name is not None and spoken() == "ja" else ""

    def order(self, cardholder: str) -> tuple[bool, Order, str]:
        """Where somebody stands in a list: by reading, in English by the Latin name; nameless ones last."""
        return order_of(self.names.get(cardholder), cardholder)

    def is_sought(self, cardholder: str, part: str) -> bool:
        """Whether name, reading, Latin name or pseudonym hold `part`, folded."""
        name = self.names.get(cardholder)
        return part in cardholder or (name is not None and part in name.sought)

    def zone_name(self, zone: str) -> str:
        """What a zone is called."""
        found = self.policy.zones.get(ZoneId(zone))
        if found is None:
            return zone
        return found.name_ja if spoken() == "ja" else found.name_en

    def portal_name(self, portal: str | None) -> str:
        """What a door is called."""
        found = self.policy.portals.get(PortalId(portal or ""))
        if found is None:
            return portal or ""
        return found.name_ja if spoken() == "ja" else found.name_en

    def officer_name(self, officer: str) -> str:
        """An officer's name where he is known as a cardholder too, else his pseudonym."""
        found = next((one for one in self.policy.officers.values() if one.id == officer), None)
        if found is None or found.cardholder is None:
            return officer
        return self.name(found.cardholder)


def look_of(here: Parts, who: Who) -> Look:
    """Look now. Raises Problem 503 where the records make no policy."""
    try:
        _revision, policy = here.proposals.in_force.policy()
    except EditRefused as error:
        raise Problem("history_broken", 503, members={"why": str(error)}) from error
    now = Moment(at=datetime.now(UTC), tick_ms=monotonic_ns() // 1_000_000)
    return Look(who=who, policy=policy, names=here.view.names.all(), now=now)


def zone_of(look: Look, zone: str) -> Zone:
    """A zone that he answers for. Raises Problem 404, also where it is another's."""
    found = look.policy.zones.get(ZoneId(zone))
    if found is None or not look.who.may_see_zone(zone):
        raise Problem("not_found", 404)
    return found


def holder_of(look: Look, cardholder: str) -> CardholderId:
    """A cardholder who is there. Raises Problem 404."""
    if CardholderId(cardholder) not in look.policy.cardholders:
        raise Problem("not_found", 404)
    return CardholderId(cardholder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf(Generic[Row]):
    """One page of a list: `number` of `last`, both from 1; `count` of all rows."""

    rows: tuple[Row, ...]
    number: int
    last: int
    count: int


def leaf_of(rows: Sequence[Row], number: int, shown: int = ROWS_SHOWN) -> Leaf[Row]:
    """That page of `rows`, or the nearest there is."""
    last = max(1, -(-len(rows) // shown))
    number = min(max(1, number), last)
    return Leaf(
        rows=tuple(rows[(number - 1) * shown : number * shown]), number=number, last=last, count=len(rows)
    )  # fmt: skip


def shown_state(state: RosterState) -> dict[str, str]:
    """A state as word, tone and icon."""
    look = LOOKS[state]
    return {"code": state.value, "word": str(look.words), "tone": look.tone, "icon": look.icon}


def joined(parts: Iterable[str]) -> str:
    """A short list in one line."""
    return _(", ").join(part for part in parts if part)
