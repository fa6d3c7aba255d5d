"""Recorded history under a proposed edit: which decisions would flip, who gains, who loses, who would be stranded.

The edit is laid over every revision of the history. Presence stays as it was recorded: whoever would have been refused
at one door stands before the next as he did, so that each decision is told by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from zones.decision import Reason
from zones.edits import apply
from zones.ids import CardholderId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.officers import Officer, OfficerKey
from zones.people import Cardholder, Credential, Pin
from zones.places import Portal, PortalStatus, Zone, ZoneStatus
from zones.policy import Edit, EditRefused, Policy
from zones.review.replay import OF_PRESENCE, Traces, compared
from zones.review.values import Past, Purged, Step, Unreadable
from zones.review.who import Survey, leans_on_others

FLIPS_MAX: Final = 1_000
"""Flips kept one by one; more are counted."""

GRANTING: Final = frozenset({Reason.OK.value, Reason.EXIT_FREE.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class FlippedDecision:
    """A recorded decision that would have come out otherwise."""

    seq: int
    cardholder: str | None
    portal: str | None
    zone: str | None
    was: str
    would_be: str

    @property
    def would_be_granted(self) -> bool:
        """Whether the entry would be granted under the edit."""
        return self.would_be in GRANTING


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A cardholder and a zone that he could enter before the edit or could after it, not both."""

    cardholder: CardholderId
    zone: ZoneId


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """Somebody inside a zone that he could not enter under the edit. `is_certain`: seen to pass since the last start.

    `by_edit`: he could enter it before. Otherwise he could not before either.
    """

    cardholder: CardholderId
    zone: ZoneId
    is_certain: bool
    by_edit: bool


@dataclass(slots=True, kw_only=True)
class WhatIf:
    """What a proposed edit would have changed, and would change now."""

    decisions: int = 0
    flipped: int = 0
    other_reason: int = 0
    purged: int = 0
    not_applicable: int = 0
    differing: int = 0
    refused: str = ""
    flips: list[FlippedDecision] = field(default_factory=list)
    gains: list[Right] = field(default_factory=list)
    loses: list[Right] = field(default_factory=list)
    stranded: list[Stranded] = field(default_factory=list)
    is_cut: bool = False
    """Whether there were more pairs of cardholder and zone than asked to look at: gains and losses are not whole."""


def rerun(steps: Iterable[Step], edit: Edit, found: WhatIf, progress: Callable[[int], None] | None = None) -> None:
    """Decide everything in `steps` again with `edit` on top of the policy of its time. Fills `found`."""
    laid: dict[int, tuple[Policy, Policy | None]] = {}
    traces = Traces()
    for step in steps:
        if isinstance(step, Purged):
            found.purged += 1
            continue
        found.decisions += 1
        if isinstance(step, Unreadable):
            found.differing += 1
            continue
        if progress is not None and found.decisions % 1000 == 0:
            progress(step.recorded.seq)
        _rerun(step, edit, found, laid, traces)


def _rerun(
    past: Past, edit: Edit, found: WhatIf, laid: dict[int, tuple[Policy, Policy | None]], traces: Traces
) -> None:
    policy, recorded = past.policy, past.recorded
    if policy is None:
        found.purged += 1
        return
    before = recorded.case(policy, past.occupancy).decide()
    if (difference := compared(recorded, before, traces)) is not None:
        if past.is_partial and OF_PRESENCE.issuperset(difference.rules or ("?",)):
            found.purged += 1
        else:
            found.differing += 1
        return
    proposed = _under(policy, edit, laid)
    if proposed is None:
        found.not_applicable += 1
        return
    after = recorded.case(proposed, past.occupancy).decide()
    if after.is_granted is before.is_granted:
        found.other_reason += after.reason is not before.reason
        return
    found.flipped += 1
    if len(found.flips) < FLIPS_MAX:
        found.flips.append(
            FlippedDecision(
                seq=recorded.seq,
                cardholder=recorded.cardholder,
                portal=recorded.portal,
                zone=recorded.zone,
                was=before.reason.value,
                would_be=after.reason.value,
            )
        )


def _under(policy: Policy, edit: Edit, laid: dict[int, tuple[Policy, Policy | None]]) -> Policy | None:
    """`policy` with `edit` on top; None where it would be refused then (what it names was not there yet)."""
    known = laid.get(id(policy))
    if known is not None:
        return known[1]
    if len(laid) >= 256:
        laid.clear()
    try:
        proposed: Policy | None = apply(policy, edit)
    except EditRefused:
        proposed = None
    laid[id(policy)] = policy, proposed  # kept alive, so that the id stays its own
    return proposed


def compare(policy: Policy, occupancy: Occupancy, edit: Edit, now: Moment, found: WhatIf, pairs_max: int) -> None:
    """Who gains and who loses the right to enter a zone, and who is inside one he could not enter again. Fills `found`.

    At most `pairs_max` pairs of cardholder and zone are looked at for gains and losses.
    """
    try:
        proposed = apply(policy, edit)
    except EditRefused as error:
        found.refused = str(error)
        return
    today, then = Survey(policy, now), Survey(proposed, now)
    left = pairs_max
    for zone, among in _touched(policy, proposed, edit):
        left -= len(among)
        if left < 0:
            found.is_cut = True
            break
        before, after = _able(today, zone, among), _able(then, zone, among)
        found.gains += [Right(cardholder=who, zone=zone) for who in sorted(after - before)]
        found.loses += [Right(cardholder=who, zone=zone) for who in sorted(before - after)]
    found.stranded += _stranded(today, then, occupancy)


def _able(survey: Survey, zone: ZoneId, among: list[CardholderId]) -> set[CardholderId]:
    """Who of `among` could enter `zone`."""
    policy = survey.policy
    return {who for who in among if who in policy.cardholders and survey.could_enter(zone, who)}


def _touched(policy: Policy, proposed: Policy, edit: Edit) -> Iterator[tuple[ZoneId, list[CardholderId]]]:
    """The zones and cardholders whose rights the edit could touch: of rows about one cardholder his own, and those of
    whom his coming lets in; of rows about places everybody's.
    """
    zones = sorted(policy.zones.keys() | proposed.zones.keys())
    whom: set[CardholderId] = set()
    where: set[ZoneId] = set()
    is_everybody = bool(edit.drops)
    for row in (one for one in edit.puts if not isinstance(one, Officer | OfficerKey)):  # they open nothing
        if isinstance(row, Cardholder | Pin):
            whom.add(CardholderId(row.id))
        elif isinstance(row, Credential) or hasattr(row, "cardholder"):
            whom.add(row.cardholder)
        elif isinstance(row, Zone | ZoneStatus):
            where.update(proposed.insides.get(ZoneId(row.id), ()))
        elif isinstance(row, Portal):
            where.add(row.inner)
        elif isinstance(row, PortalStatus):
            where.add(proposed.portals[row.id].inner)
        else:
            is_everybody = True
    everybody = sorted(proposed.cardholders)
    for zone in zones:
        row_zone = proposed.zones.get(zone)
        leans = row_zone is not None and leans_on_others(row_zone)
        if is_everybody or zone in where or (whom and leans):
            yield zone, everybody
        elif whom:
            yield zone, sorted(whom)


def _stranded(today: Survey, then: Survey, occupancy: Occupancy) -> list[Stranded]:
    """Who is inside a zone that is not open ground and could not enter it under the policy of `then`."""
    found: list[Stranded] = []
    for who, presence in sorted(occupancy.where.items()):
        zone = then.policy.zones.get(presence.zone)
        if zone is None or zone.parent is None or who not in then.policy.cardholders:
            continue
        if not then.could_enter(zone.id, who):
            by_edit = today.could_enter(zone.id, who)
            found.append(Stranded(cardholder=who, zone=zone.id, is_certain=presence.is_certain, by_edit=by_edit))
    return found
