"""The small changes that could turn a refusal into a grant: per rule, what an officer or the cardholder would do.

Every change is made for real: an edit that `apply` accepts, another request, a later moment, somebody elsewhere. None
is believed: `zones.review.explain` asks `decide` again and keeps what it grants. A right that is missing is answered by
the same change whether it was never asked for, waits, has lapsed, was suspended or ended: nobody can tell which (E-03).
Not offered: break-glass, and deviations of a zone. They are for emergencies and for the site file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from zones.decision import Evidence, Method
from zones.decision.ask import Ask
from zones.decision.keys import FACTORS_MAX, factors_suffice, is_guest
from zones.decision.reasons import Words
from zones.decision.rules import holds_keys, may_enter_with
from zones.decision.values import FindingKind, PinCheck
from zones.ids import (
    CardholderId,
    ClearanceId,
    DeclarationId,
    NeedToKnowId,
    RosterEntryId,
    TrainingId,
    VisitId,
    ZoneId,
)
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    CredentialState,
    Declaration,
    NeedToKnow,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import ZoneState, ZoneStatus
from zones.review.cases import (
    ask_for,
    asking,
    edited,
    later,
    new_credential,
    opening,
    others_on_roster,
    proving,
    roster_of,
    unused_id,
    wall,
)
from zones.review.values import Case
from zones.review.words import CHANGES
from zones.terms import term_of

OFFICERS: Final = ("review-officer-1", "review-officer-2", "review-officer-3")
"""Stand for any three officers in the rows that a change would need."""

ROSTER_DAYS: Final = 90
"""How long a place on a roster is proposed for: until its review (A-03)."""

_MS: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step: its stable code, the places that it names, and the case after it."""

    code: str
    places: tuple[tuple[str, str], ...]
    case: Case

    @property
    def words(self) -> Words:
        """What is to be done."""
        ja, en = CHANGES[self.code]
        places = dict(self.places)
        return Words(ja.format(**places), en.format(**places))


Changes = Iterator[Change]


def changes_for(rule: str, case: Case, ask: Ask) -> Changes:
    """The changes that could satisfy `rule`, likeliest first. None for a rule that no such change satisfies."""
    propose = PROPOSALS.get(rule)
    return iter(()) if propose is None else propose(case, ask)


def _change(code: str, case: Case | None, **places: object) -> Changes:
    if case is not None:
        yield Change(code=code, places=tuple((name, str(place)) for name, place in places.items()), case=case)


# -- the box, the wire and the portal ----------------------------------------------------------------------------------


def _ledger(case: Case, _ask: Ask) -> Changes:
    yield from _change("restore_ledger", asking(case, ledger_is_writable=True))


def _reader(case: Case, _ask: Ask) -> Changes:
    yield from _change("restore_reader", asking(case, reader_is_trusted=True))


def _clock(case: Case, _ask: Ask) -> Changes:
    yield from _change("set_clock", replace(case, now=replace(case.now, is_trusted=True)))


def _age(case: Case, _ask: Ask) -> Changes:
    yield from _change("confirm_policy", asking(case, policy_age_ms=0))


def _defaults(case: Case, _ask: Ask) -> Changes:
    yield from _change("commission", asking(case, is_commissioned=True))


def _stale(case: Case, _ask: Ask) -> Changes:
    yield from _change("present_again", asking(case, read_is_stale=False))


def _repeated(case: Case, _ask: Ask) -> Changes:
    yield from _change("wait_and_present", asking(case, read_is_repeated=False))


def _replayed(case: Case, _ask: Ask) -> Changes:
    yield from _change("present_again", asking(case, evidence_is_replayed=False))


def _line(case: Case, ask: Ask) -> Changes:
    yield from _change("protect_line", proving(case, link=ask.zone.min_link), link=ask.zone.min_link.name)


def _mode(case: Case, ask: Ask) -> Changes:
    yield from _change("portal_to_card", asking(case, portal_is_locked=False), portal=_portal(ask))


def _interlock(case: Case, ask: Ask) -> Changes:
    if ask.portal is not None and not case.request.not_closed.isdisjoint(ask.portal.interlock_with):
        not_shut = sorted(case.request.not_closed & frozenset(ask.portal.interlock_with))
        still = case.request.not_closed.difference(not_shut)
        yield from _change("close_portals", asking(case, not_closed=still), portals=", ".join(not_shut))
    if ask.from_zone is not None and ask.from_zone.is_vestibule:
        yield from _leave(case, ask, ask.from_zone.id, case.occupancy.count((ask.from_zone.id,)) - 1)


def _portal(ask: Ask) -> str:
    return "" if ask.portal is None else ask.portal.id


# -- the credential and its cardholder ---------------------------------------------------------------------------------


def _unknown_card(case: Case, ask: Ask) -> Changes:
    """A card that nobody was issued: to be issued to somebody with the keys of the zone, or to somebody new."""
    for who in roster_of(case.policy, ask.zone.id):
        row, reading = new_credential(case, who)
        issued = edited(reading, row)
        if issued is not None and issued.decide().is_granted:
            yield from _change("issue_credential", issued, zone=ask.zone.id)
            return
    someone = Cardholder(
        id=CardholderId(unused_id(case.policy, "cardholder")), notice_version=case.policy.site.notice_version
    )
    row, reading = new_credential(case, someone.id)
    yield from _change("register_and_issue", edited(reading, someone, row))


def _inactive_card(case: Case, ask: Ask) -> Changes:
    if ask.credential is None:
        return
    if ask.credential.state is CredentialState.ISSUED:
        active = replace(ask.credential, state=CredentialState.ACTIVE)
        yield from _change("activate_credential", edited(case, active), credential=ask.credential.id)
        return
    row, reading = new_credential(case, ask.credential.cardholder)
    yield from _change("replace_credential", edited(reading, row))


def _copied_card(case: Case, _ask: Ask) -> Changes:
    factors = max(1, case.request.evidence.factors)
    yield from _change("use_genuine_card", proving(case, method=Method.CHALLENGE, factors=factors))


def _locked_pin(case: Case, _ask: Ask) -> Changes:
    yield from _change("unlock_pin", proving(case, pin=PinCheck.RIGHT))


def _wrong_pin(case: Case, _ask: Ask) -> Changes:
    yield from _change("enter_pin", proving(case, pin=PinCheck.RIGHT))


def _factors(case: Case, ask: Ask) -> Changes:
    evidence = case.request.evidence
    is_pin_needed = evidence.pin not in (PinCheck.RIGHT, PinCheck.DURESS)
    if is_pin_needed:
        yield from _change("enter_pin", proving(case, pin=PinCheck.RIGHT))
    begin = evidence.factors + 1 if evidence.method is Method.CHALLENGE else 1
    for factors in range(begin, FACTORS_MAX + 1):
        card = proving(case, method=Method.CHALLENGE, factors=factors)
        if factors_suffice(ask_for(card)) is not FindingKind.FAILED:
            yield from _change("use_challenge", card, factors=factors)
            break
        with_pin = proving(card, pin=PinCheck.RIGHT)
        if is_pin_needed and factors_suffice(ask_for(with_pin)) is not FindingKind.FAILED:
            yield from _change("use_challenge_and_pin", with_pin, factors=factors)
            is_pin_needed = False
    if (status := case.policy.site).threat_level:
        yield from _change("lower_threat_level", edited(case, replace(status, threat_level=0)))
    usual = ask.zone.raised_outside
    if usual is not None and (at := opening(case.policy, (usual,), case.now)) is not None:
        yield from _change("come_back", later(case, at), at=wall(at))


def _registration(case: Case, ask: Ask) -> Changes:
    if ask.holder is not None:
        yield from _change("register_cardholder", edited(case, replace(ask.holder.cardholder, ended_on=None)))


def _notice(case: Case, ask: Ask) -> Changes:
    version = case.policy.site.notice_version
    if ask.holder is not None:
        told = replace(ask.holder.cardholder, notice_version=version)
        yield from _change("hand_over_notice", edited(case, told), version=version)


# -- the three keys, and what else somebody must have ------------------------------------------------------------------


def _clearance(case: Case, ask: Ask) -> Changes:
    if ask.holder is None:
        return
    for basis in ask.zone.accepted_bases:
        row = Clearance(
            id=ClearanceId(unused_id(case.policy, "clearance")),
            cardholder=ask.holder.cardholder.id,
            basis=basis,
            notified_on=ask.today,
            last_valid_on=term_of(basis, ask.today),
            recorded_by=OFFICERS[0],
            confirmed_by=OFFICERS[1],
            level=max(1, ask.zone.company_level) if basis is Basis.COMPANY else 0,
        )
        yield from _change("confirm_clearance", edited(case, row), basis=basis.value)


def _need(case: Case, ask: Ask) -> Changes:
    if ask.holder is None:
        return
    for item in ask.zone.items:
        row = NeedToKnow(
            id=NeedToKnowId(unused_id(case.policy, "need_to_know")),
            cardholder=ask.holder.cardholder.id,
            item=item,
            purpose_code="REVIEW",
            from_on=ask.today,
            until_on=ask.today + timedelta(days=ROSTER_DAYS),
            sponsor=OFFICERS[0],
            requested_by=OFFICERS[0],
            approved_by_1=OFFICERS[1],
            approved_by_2=OFFICERS[2],
            recert_on=ask.today + timedelta(days=ROSTER_DAYS),
        )
        yield from _change("approve_need", edited(case, row), item=item)


def _roster(case: Case, ask: Ask) -> Changes:
    if ask.holder is None:
        return
    who, until_on = ask.holder.cardholder.id, ask.today + timedelta(days=ROSTER_DAYS)
    if is_guest(ask):
        visit = Visit(
            id=VisitId(unused_id(case.policy, "visit")),
            cardholder=who,
            host=_host(case, ask) or who,
            zones=(ask.zone.id,),
            from_on=ask.today,
            until_on=ask.today,
        )
        yield from _change("expect_visit", edited(case, visit), zone=ask.zone.id)
        return
    row = RosterEntry(
        id=RosterEntryId(unused_id(case.policy, "roster")),
        cardholder=who,
        zone=ask.zone.id,
        from_on=ask.today,
        until_on=until_on,
        review_on=until_on,
    )
    yield from _change("put_on_roster", edited(case, row), zone=ask.zone.id, until=until_on)


def _host(case: Case, ask: Ask) -> CardholderId | None:
    """Somebody of the staff who could answer for a guest."""
    for who, holder in case.policy.holders.items():
        if holder.cardholder.kind is CardholderKind.STAFF and holder.cardholder.ended_on is None and holder.roster:
            return who
    return None if ask.holder is None else ask.holder.cardholder.id


def _review(case: Case, ask: Ask) -> Changes:
    if (entry := ask.roster_entry()) is not None:
        review_on = min(entry.until_on, ask.today + timedelta(days=ROSTER_DAYS))
        yield from _change("review_roster", edited(case, replace(entry, review_on=review_on)), zone=ask.zone.id)


def _hours(case: Case, ask: Ask) -> Changes:
    entry = ask.roster_entry()
    wanted = [one for one in (ask.zone.schedule, None if entry is None else entry.schedule) if one is not None]
    if (at := opening(case.policy, wanted, case.now)) is not None:
        yield from _change("come_back", later(case, at), at=wall(at))


def _training(case: Case, ask: Ask) -> Changes:
    if ask.holder is None:
        return
    rows: list[Training] = []
    for n, course in enumerate(ask.zone.training, 1):
        row_id = TrainingId(f"{unused_id(case.policy, 'training')}-{n}")
        due_on = ask.today + timedelta(days=365)
        who = ask.holder.cardholder.id
        rows.append(Training(id=row_id, cardholder=who, course=course, done_on=ask.today, due_on=due_on))
    yield from _change("complete_training", edited(case, *rows), courses=", ".join(ask.zone.training))


def _devices(case: Case, ask: Ask) -> Changes:
    if ask.holder is not None:
        row = Declaration(
            id=DeclarationId(unused_id(case.policy, "declaration")),
            cardholder=ask.holder.cardholder.id,
            zone=ask.zone.id,
            from_on=ask.today,
            until_on=ask.today,
            locker="L-01",
        )
        yield from _change("declare_devices", edited(case, row), zone=ask.zone.id)


# -- the zone, and where everybody is ----------------------------------------------------------------------------------


def _secured(case: Case, ask: Ask) -> Changes:
    if ask.zone.needs_opener:
        for together in _companions(case, ask, 1, lambda entry: entry.is_opener):
            yield from _change("openers_together", together)
    statuses = [case.policy.zone_statuses.get(zone) for zone in case.policy.lineages.get(ask.zone.id, ())]
    secured = [row for row in statuses if row is not None and row.state is ZoneState.SECURED]
    opened = edited(case, *(replace(row, state=ZoneState.OPEN_ATTENDED) for row in secured))
    yield from _change("open_zone", opened, zones=", ".join(row.id for row in secured))


def _unattended(case: Case, ask: Ask) -> Changes:
    for entry, _ in others_on_roster(case, ask):
        if entry.is_opener:
            inside = replace(case, occupancy=case.occupancy.moved(entry.cardholder, ask.zone.id, case.now.at))
            yield from _change("opener_enters_first", inside, zone=ask.zone.id)
            return


def _lockdown(case: Case, ask: Ask) -> Changes:
    statuses = [case.policy.zone_statuses.get(zone) for zone in case.policy.lineages.get(ask.zone.id, ())]
    held = [row for row in statuses if row is not None and row.is_locked_down]
    rows = [replace(row, is_locked_down=False) for row in held]
    where: list[str] = [row.id for row in held]
    if case.policy.site.is_locked_down:
        lifted = edited(case, replace(case.policy.site, is_locked_down=False), *rows)
        where.insert(0, case.policy.site.id)
    else:
        lifted = edited(case, *rows)
    yield from _change("lift_lockdown", lifted, where=", ".join(where))


def _sequence(case: Case, ask: Ask) -> Changes:
    for moved, places in _moved(case, ask):
        yield from _change("go_first", moved, **places)
    yield from _forgive(case, ask)


def _moved(case: Case, ask: Ask) -> Iterator[tuple[Case, dict[str, str]]]:
    """The case in which the asker stands where the portal leads from, and from where he came."""
    certain = ask.certain_zone()
    if ask.holder is not None and ask.point is not None and certain is not None:
        from_zone = ask.point.from_zone
        occupancy = case.occupancy.moved(ask.holder.cardholder.id, from_zone, case.now.at)
        yield replace(case, occupancy=occupancy), {"zone": certain, "from_zone": from_zone}


def _forgive(case: Case, ask: Ask) -> Changes:
    if ask.holder is not None:
        forgiven = replace(case, occupancy=case.occupancy.forgiven(ask.holder.cardholder.id))
        yield from _change("forgive_presence", forgiven)


def _anti_passback(case: Case, ask: Ask) -> Changes:
    for moved, places in _moved(case, ask):
        yield from _change("come_through", moved, **places)
    yield from _forgive(case, ask)
    presence = None if ask.holder is None else case.occupancy.where.get(ask.holder.cardholder.id)
    if presence is not None and presence.since is not None and ask.zone.apb_ms is not None:
        yield from _wait(case, ask.zone.apb_ms - (case.now.at - presence.since) // _MS)


def _walk(case: Case, ask: Ask) -> Changes:
    seen = None if ask.holder is None else case.occupancy.seen.get(ask.holder.cardholder.id)
    if seen is None or ask.portal is None:
        return
    min_ms = case.policy.walk_ms.get((seen.portal, ask.portal.id))
    if min_ms is not None:
        yield from _wait(case, min_ms - (case.now.at - seen.at) // _MS)


def _wait(case: Case, wait_ms: int) -> Changes:
    seconds = -(-wait_ms // 1000)
    if seconds > 0:
        yield from _change("wait", later(case, case.now.at + timedelta(seconds=seconds)), seconds=seconds)


def _full(case: Case, ask: Ask) -> Changes:
    inside = case.policy.insides.get(ask.zone.id, frozenset())
    entering = 1 + len(case.request.companions)
    over = case.occupancy.count(inside) + entering - (ask.zone.occupancy_max or 0)
    yield from _leave(case, ask, ask.zone.id, over)


def _leave(case: Case, ask: Ask, zone: ZoneId, count: int) -> Changes:
    """`count` others leave `zone` for the outermost zone around it."""
    own = None if ask.holder is None else ask.holder.cardholder.id
    inside = sorted(who for who in case.occupancy.people(case.policy.insides.get(zone, (zone,))) if who != own)
    lineage = case.policy.lineages.get(zone, ())
    if not 0 < count <= len(inside) or len(lineage) < 2:
        return
    occupancy = case.occupancy
    for who in inside[:count]:
        occupancy = occupancy.moved(who, lineage[-1], case.now.at)
    yield from _change("others_leave", replace(case, occupancy=occupancy), zone=zone, count=count)


# -- those who come too ------------------------------------------------------------------------------------------------


def _companions(case: Case, ask: Ask, count: int, is_wanted: Callable[[RosterEntry], bool]) -> Iterator[Case]:
    """The case with `count` more who enter together, each entitled; at most one such case."""
    found: list[Evidence] = []
    for entry, evidence in others_on_roster(case, ask):
        if is_wanted(entry) and may_enter_with(ask.of(evidence)):
            found.append(evidence)
        if len(found) == count:
            yield asking(case, companions=(*case.request.companions, *found))
            return


def _second(case: Case, ask: Ask) -> Changes:
    if case.request.companions:
        yield from _change("come_without", asking(case, companions=()))
    for together in _companions(asking(case, companions=()), ask, 1, lambda _: True):
        yield from _change("bring_second", together, count=1)


def _alone(case: Case, ask: Ask) -> Changes:
    present = set(case.occupancy.certain_people(case.policy.insides.get(ask.zone.id, ())))
    present |= {one.holder.cardholder.id for e in case.request.companions if (one := ask.of(e)).holder is not None}
    if ask.holder is not None:
        present.add(ask.holder.cardholder.id)
    count = (ask.zone.occupancy_min or 0) - len(present)
    if count < 1:
        return
    for together in _companions(case, ask, count, lambda _: True):
        yield from _change("bring_second", together, count=count)
    occupancy, found = case.occupancy, 0
    for entry, _ in others_on_roster(case, ask):
        if found < count and entry.cardholder not in present:
            occupancy, found = occupancy.moved(entry.cardholder, ask.zone.id, case.now.at), found + 1
    if found == count:
        yield from _change("somebody_inside", replace(case, occupancy=occupancy), count=count)


def _escort(case: Case, ask: Ask) -> Changes:
    escorts = case.request.escorts
    for entry, evidence in others_on_roster(case, ask):
        if entry.is_escort and evidence not in escorts and holds_keys(ask.of(evidence)):
            escorts = (*escorts, evidence)
            yield from _change("bring_escort", asking(case, escorts=escorts))


def _sanitise(case: Case, ask: Ask) -> Changes:
    before = case.policy.zone_statuses.get(ask.zone.id) or ZoneStatus(
        id=ask.zone.id, state=case.policy.zone_state(ask.zone.id)
    )
    row = replace(before, sanitised_by=OFFICERS[0], sanitised_confirmed_by=OFFICERS[1])
    yield from _change("sanitise_zone", edited(case, row), zone=ask.zone.id)


PROPOSALS: Final[Mapping[str, Callable[[Case, Ask], Changes]]] = MappingProxyType(
    {
        "D02": _ledger,
        "D03": _reader,
        "D04": _clock,
        "D05": _age,
        "D06": _unknown_card,
        "D07": _inactive_card,
        "D08": _factors,
        "D09": _registration,
        "D10": _secured,
        "D11": _clearance,
        "D12": _need,
        "D13": _roster,
        "D14": _hours,
        "D15": _training,
        "D16": _devices,
        "D17": _sequence,
        "D18": _anti_passback,
        "D19": _full,
        "D20": _second,
        "D21": _alone,
        "D22": _escort,
        "D23": _sanitise,
        "D24": _wrong_pin,
        "D25": _interlock,
        "D26": _lockdown,
        "D27": _replayed,
        "D28": _walk,
        "D29": _review,
        "D30": _stale,
        "D31": _repeated,
        "D32": _copied_card,
        "D33": _line,
        "D34": _notice,
        "D35": _unattended,
        "D36": _locked_pin,
        "D37": _mode,
        "D38": _defaults,
    }
)
"""Rule -> what could satisfy it. D01 has none: an access point is declared in the site file."""
