"""Rules about the credential, its cardholder and the three keys (docs/decision.md §2.2, §2.4, P1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from zones.decision.ask import Ask, is_ended
from zones.decision.rule import EXEMPT, FAILED, PASSED, WAIVED
from zones.decision.values import Evidence, FindingKind, Method, PinCheck
from zones.ids import CardholderId, InformationItemId, ZoneId
from zones.moment import Moment, epoch_ms
from zones.people import Basis, CardholderKind, CredentialState, NeedToKnow, Override
from zones.places import Portal, Zone, ZoneKind
from zones.policy import Policy
from zones.schedule import is_within

FACTORS_MAX: Final = 3

TRAINING_GRACE: Final = timedelta(days=30)
"""How long an overdue course is overlooked (D-13)."""

REVIEW_GRACE: Final = timedelta(days=14)
"""How long an overdue review of a place on a roster is overlooked (A-03)."""

_ACTIVE: Final = CredentialState.ACTIVE  # an enum's members are looked up once: each look costs as much as a rule
_FAKED: Final = Method.FAKED
_NUMBERED: Final = frozenset({Method.UID, Method.CHALLENGE})
"""Read with a number that may be believed; of a fake not even that."""
_CHALLENGE: Final = Method.CHALLENGE
_NOT_ASKED: Final = PinCheck.NOT_ASKED
_LOCKED: Final = PinCheck.LOCKED
_PROVEN: Final = (PinCheck.RIGHT, PinCheck.DURESS)
_MISSED: Final = (PinCheck.WRONG, PinCheck.MISSING)
_STAFF: Final = CardholderKind.STAFF
_COMPANY: Final = Basis.COMPANY
_UNRESTRICTED: Final = ZoneKind.UNRESTRICTED


# -- the credential and its cardholder -------------------------------------------------------------------------------


def credential_is_known(ask: Ask) -> FindingKind:
    """D06. Somebody was issued this card number."""
    return FAILED if ask.credential is None else PASSED


def credential_is_active(ask: Ask) -> FindingKind:
    """D07. Issued but not handed over, lost, returned and destroyed ones open nothing (A-02)."""
    return PASSED if ask.credential is not None and ask.credential.state is _ACTIVE else FAILED


def credential_is_genuine(ask: Ask) -> FindingKind:
    """D32. A card that was challenged answered with its own key (A-34)."""
    return FAILED if ask.evidence.method is _FAKED else PASSED


def pin_matches(ask: Ask) -> FindingKind:
    """D24. The PIN, where one was asked for, is the cardholder's. A duress PIN is one (B-10)."""
    pin = ask.evidence.pin
    if pin is _NOT_ASKED:
        return EXEMPT
    if pin in _MISSED:
        return FAILED
    return PASSED if pin in _PROVEN else EXEMPT


def pin_is_not_locked(ask: Ask) -> FindingKind:
    """D36. The PIN was not missed too often (B-13)."""
    return FAILED if ask.evidence.pin is _LOCKED else PASSED


def factors_needed(ask: Ask) -> int:
    """Factors asked for now: the zone's, raised outside a schedule or by the threat level (A-33); 3 at most."""
    zone, policy = ask.zone, ask.policy
    needed = zone.required_factors
    usual_hours = None if zone.raised_outside is None else policy.schedules[zone.raised_outside]
    if usual_hours is not None and not is_within(usual_hours, ask.now, policy.calendars):
        needed = max(needed, zone.raised_factors or 0)
    threat_level = policy.site.threat_level
    return min(FACTORS_MAX, needed + threat_level) if threat_level and needed else needed


def pin_is_asked(ask: Ask) -> bool:
    """Whether the reader asks for a PIN. The zone, the site and the hour alone decide: it betrays nothing (P5)."""
    by_card = max(1, int(ask.zone.kind)) if ask.zone.uid_accepted else 1
    return factors_needed(ask) > by_card


def factors_suffice(ask: Ask) -> FindingKind:
    """D08. As many factors as are asked for now; a free-read number proves none, whatever the reader claims (A-34).

    Two recorded deviations: a zone may take the number, free-read or proved, for all that its kind asks for (never for
    what is asked on top), and may count for one factor that somebody cleared is inside, or enters on the same decision.
    """
    evidence, zone = ask.evidence, ask.zone
    needed = factors_needed(ask)
    by_pin = _by_pin(evidence)
    by_card = evidence.factors if evidence.method is _CHALLENGE else 0
    if by_card + by_pin >= needed:
        return PASSED
    taken = int(zone.kind) if zone.uid_accepted and evidence.method in _NUMBERED else by_card
    if taken + by_pin >= needed:
        return WAIVED
    if not zone.attended_counts or taken + by_pin + 1 < needed:
        return FAILED
    return WAIVED if any(attendants(ask)) or _is_accompanied(ask, needed) else FAILED


def _by_pin(evidence: Evidence) -> int:
    return 1 if evidence.pin is not _NOT_ASKED and evidence.pin in _PROVEN else 0


def _is_accompanied(ask: Ask, needed: int) -> bool:
    """Whether somebody else who enters on the same decision holds his own keys and proves all but one factor himself:
    two who open a zone attend each other (C-01).
    """
    for evidence in (ask.request.evidence, *ask.request.companions):
        one = ask.of(evidence)
        if one.holder is None or one.holder is ask.holder:
            continue
        factors = _by_pin(evidence) + (evidence.factors if evidence.method is _CHALLENGE else 0)
        if factors + 1 >= needed and cardholder_is_active(one) is PASSED and holds_own_keys(one):
            return True
    return False


def cardholder_is_active(ask: Ask) -> FindingKind:
    """D09. The cardholder's registration has not ended."""
    holder = ask.holder
    return PASSED if holder is not None and not is_ended(holder.cardholder.ended_on, ask.today) else FAILED


def notice_was_handed_over(ask: Ask) -> FindingKind:
    """D34. The cardholder was told what entry records are used for, in the version now in force (D-21)."""
    version = ask.policy.site.notice_version
    if version == 0:
        return EXEMPT
    return PASSED if ask.holder is not None and ask.holder.cardholder.notice_version >= version else FAILED


# -- who enters without keys of his own -------------------------------------------------------------------------------


def is_guest(ask: Ask) -> bool:
    """Whether the asker is of a kind that holds no keys: a visitor, or somebody who comes to mend something."""
    return ask.holder is not None and ask.holder.cardholder.kind is not _STAFF


def is_overriding(ask: Ask) -> bool:
    """Whether two officers let the asker into this zone without its keys for now (break-glass, A-32)."""
    if ask.zone.id not in ask.policy.overrides_of or ask.holder is None:
        return False
    return override_of(ask.policy, ask.zone.id, ask.holder.cardholder.id, ask.now) is not None


def override_of(policy: Policy, zone: ZoneId, who: CardholderId, now: Moment) -> Override | None:
    """The break-glass by which this cardholder may enter this zone now without its keys."""
    at_ms = epoch_ms(now.at)
    for one in policy.overrides_of.get(zone, ()):
        is_begun = one.from_ms <= at_ms < one.until_ms and (one.ended_ms is None or at_ms < one.ended_ms)
        if is_begun and who in one.cardholders:
            return one
    return None


def attendants(ask: Ask) -> Iterator[Ask]:
    """The others who are certainly in the zone and hold all its keys today, each as if he asked.

    Nobody attends himself, and whoever was let in without keys, or lost one since, looks after nobody (C-01).
    """
    for holder in ask.staff_inside():
        one = replace(ask, holder=holder, credential=None)
        if holder is not ask.holder and cardholder_is_active(one) is PASSED and holds_own_keys(one):
            yield one


def holds_own_keys(ask: Ask) -> bool:
    """Whether the asker himself holds every key that the zone asks for; nothing is waived."""
    way_in = (ask.zone, ask.from_zone, ask.portal)
    return (
        not is_guest(ask)
        and (has_clearance(ask) or not asks_for_clearance(*way_in))
        and (has_need_to_know(ask) or not is_protected(*way_in))
        and (ask.roster_entry() is not None or not asks_for_roster(*way_in))
    )


def _missing_key(ask: Ask) -> FindingKind:
    """A key that the asker does not hold: waived for whoever enters without keys, who must find D22 and D23 content."""
    return WAIVED if is_guest(ask) or is_overriding(ask) else FAILED


# -- the three keys --------------------------------------------------------------------------------------------------


def has_clearance(ask: Ask) -> bool:
    """Whether the asker holds a confirmed clearance that counts here today."""
    if ask.holder is None:
        return False
    zone, today = ask.zone, ask.today
    for clearance in ask.holder.clearances:
        if (
            clearance.confirmed_by is not None
            and clearance.basis in zone.accepted_bases
            and clearance.notified_on <= today <= clearance.last_valid_on
            and not is_ended(clearance.ended_on, today)
            and (clearance.basis is not _COMPANY or clearance.level >= zone.company_level)
        ):
            return True
    return False


def has_need_to_know(ask: Ask) -> bool:
    """Whether the asker has need-to-know today for at least one information item handled here."""
    if ask.holder is not None:
        items = ask.items
        for need in ask.holder.needs:
            if need.item in items and need_counts(ask, need):
                return True
    return False


def need_counts(ask: Ask, need: NeedToKnow) -> bool:
    """Whether a need-to-know is approved, in its days, recertified, and its item still designated (§3.2)."""
    today = ask.today
    if need.is_suspended or not need.from_on <= today <= need.until_on or is_ended(need.ended_on, today):
        return False
    if not need.is_approved or (need.recert_on is not None and today > need.recert_on):
        return False
    return item_counts(ask, need.item)


def item_counts(ask: Ask, number: InformationItemId) -> bool:
    """Whether an information item is still designated and under contract. One without a row of its own is."""
    today = ask.today
    item = ask.policy.items.get(number)
    if item is None:
        return True
    if today > item.designated_until or is_ended(item.lifted_on, today):
        return False
    return item.contract_until is None or today <= item.contract_until


def clearance_is_valid(ask: Ask) -> FindingKind:
    """D11. First key: a confirmed clearance that counts here, in its days (D-01, D-02)."""
    return PASSED if has_clearance(ask) and not is_guest(ask) else _missing_key(ask)


def asks_for_clearance(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones that name a basis, and all with protected information."""
    return bool(zone.accepted_bases) or zone.is_protected


def need_to_know_is_approved(ask: Ask) -> FindingKind:
    """D12. Second key: need-to-know for at least one information item handled here (D-06)."""
    return PASSED if has_need_to_know(ask) and not is_guest(ask) else _missing_key(ask)


def is_protected(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones with protected information."""
    return zone.is_protected


def cardholder_is_on_roster(ask: Ask) -> FindingKind:
    """D13. Third key: a place on the zone's own roster; its parent's does not count (A-01, A-10).

    A guest's place is a visit to this zone, in its days (A-06).
    """
    if is_guest(ask):
        return WAIVED if has_visit(ask) or is_overriding(ask) else FAILED
    return PASSED if ask.roster_entry() is not None else _missing_key(ask)


def asks_for_roster(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """All but open ground without protected information."""
    return zone.kind is not _UNRESTRICTED or zone.is_protected


def has_visit(ask: Ask) -> bool:
    """Whether the asker is expected in this zone today."""
    holder, today = ask.holder, ask.today
    return holder is not None and any(
        ask.zone.id in visit.zones and visit.from_on <= today <= visit.until_on and not is_ended(visit.ended_on, today)
        for visit in holder.visits
    )


def roster_was_reviewed(ask: Ask) -> FindingKind:
    """D29. The place on the roster is not overdue for review, grace included; the named minimum keeps it (A-03)."""
    entry = ask.roster_entry()
    if entry is None:
        return EXEMPT
    if entry.is_minimum or ask.today <= entry.review_on + REVIEW_GRACE:
        return PASSED
    return WAIVED if is_overriding(ask) else FAILED  # or it would be better to have no place at all


# -- what else a person must have ------------------------------------------------------------------------------------


def schedule_is_open(ask: Ask) -> FindingKind:
    """D14. Now lies within the zone's schedule, and within that of the asker's place on its roster (B-03).

    Where no roster is asked for, a place on one takes nothing away.
    """
    zone, policy, way_in = ask.zone, ask.policy, (ask.zone, ask.from_zone, ask.portal)
    entry = ask.roster_entry() if asks_for_roster(*way_in) else None
    own = None if entry is None else entry.schedule
    if zone.schedule is None and own is None:
        return EXEMPT
    for schedule in (zone.schedule, own):
        if schedule is not None and not is_within(policy.schedules[schedule], ask.now, policy.calendars):
            return WAIVED if is_overriding(ask) else FAILED
    return PASSED


def is_trained(ask: Ask) -> FindingKind:
    """D15. Every course of the zone was completed, and is overdue by the grace at most (D-13). A guest is briefed."""
    if is_guest(ask) or is_overriding(ask):
        return WAIVED
    holder, today = ask.holder, ask.today
    if holder is None:
        return FAILED
    known = {one.course for one in holder.trainings if one.done_on <= today <= one.due_on + TRAINING_GRACE}
    return PASSED if known.issuperset(ask.zone.training) else FAILED


def asks_for_training(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones that name courses."""
    return bool(zone.training)


def devices_are_declared(ask: Ask) -> FindingKind:
    """D16. The asker declared the devices brought here today (D-08). Nobody is above that."""
    holder, today = ask.holder, ask.today
    return (
        PASSED
        if holder is not None
        and any(
            one.zone == ask.zone.id and one.from_on <= today <= one.until_on and not is_ended(one.ended_on, today)
            for one in holder.declarations
        )
        else FAILED
    )


def asks_for_declaration(zone: Zone, _from_zone: Zone | None, _portal: Portal | None) -> bool:
    """Zones that devices are not simply carried into."""
    return zone.declares_devices
