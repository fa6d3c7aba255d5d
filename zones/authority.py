"""Whose signatures a change needs, and whether these are they: the table of authority (D-07, A-30..A-32).

What only takes away acts at once on one signature, what widens needs two people, of whom one answers for protection as
a whole; which of the two it is follows from the rows before and after, never from what somebody says. Nobody gives
anything to himself, nor where he does not answer for. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

from zones.ids import CardholderId, OfficerId, ZoneId
from zones.officers import Officer, OfficerKey, Role
from zones.people import (
    Cardholder,
    Clearance,
    Credential,
    CredentialState,
    InformationItem,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import DeviceStatus, PortalMode, PortalStatus, SiteStatus, ZoneState, ZoneStatus
from zones.policy import TABLE_OF, Edit, Policy, Row


class Weight(IntEnum):
    """What a change does to who may enter. NARROWS: only takes away. ROUTINE: opens nothing by itself. WIDENS."""

    NARROWS = 0
    ROUTINE = 1
    WIDENS = 2

    @property
    def signers(self) -> int:
        """How many people it takes."""
        return 2 if self is Weight.WIDENS else 1


class NotAuthorised(ValueError):
    """These signatures do not carry this change. `code` is stable, `field` names the row at fault."""

    def __init__(self, code: str, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.field = code, why, field


EDITORS: Final = frozenset({Role.WORK_MANAGER, Role.PROTECTION_OFFICER})
_DAY: Final = timedelta(days=1)
_DESK: Final = EDITORS | {Role.GUARD}
_TECHNICAL: Final = EDITORS | {Role.ENGINEER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """Which posts may sign changes of one table: those that only take away, and all others."""

    narrows: frozenset[Role]
    others: frozenset[Role] = EDITORS


AUTHORITY: Final[Mapping[str, Authority]] = MappingProxyType(
    {
        "cardholder": Authority(narrows=_DESK, others=_DESK),
        "credential": Authority(narrows=_DESK),
        "pin": Authority(narrows=EDITORS),
        "clearance": Authority(narrows=EDITORS),
        "item": Authority(narrows=EDITORS),
        "need_to_know": Authority(narrows=EDITORS),
        "roster": Authority(narrows=EDITORS),
        "training": Authority(narrows=EDITORS),
        "declaration": Authority(narrows=_DESK, others=_DESK),
        "visit": Authority(narrows=_DESK, others=_DESK),
        "override": Authority(narrows=EDITORS),
        "zone_status": Authority(narrows=_DESK),
        "site_status": Authority(narrows=_DESK),
        "portal_status": Authority(narrows=_DESK),
        "device_status": Authority(narrows=_TECHNICAL, others=_TECHNICAL),
        "officer": Authority(narrows=EDITORS),
        "officer_key": Authority(narrows=EDITORS),
    }
)
"""Table -> who may sign. A table that is not here is changed in the site file, by nobody's signature."""

NAMED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "clearance": ("recorded_by", "confirmed_by"),
        "need_to_know": ("approved_by_1", "approved_by_2"),
        "override": ("started_by", "approved_by"),
        "zone_status": ("sanitised_by", "sanitised_confirmed_by"),
        "device_status": ("restored_by", "confirmed_by"),
    }
)
"""Table -> fields that say who did it: whoever is newly named there has signed. Who requested a need-to-know is no
officer's act, and stands there as the approvers were told.
"""

PROPOSER: Final = "@1"
APPROVER: Final = "@2"
"""What stands in a field of NAMED while nobody knows who the second will be: the first and the second who signed."""


# -- how much a change does ------------------------------------------------------------------------------------------


def weigh(before: Policy, edit: Edit) -> Weight:
    """What the whole edit does: as much as the heaviest of its rows."""
    return max((weigh_row(before, row) for row in edit.puts), default=Weight.ROUTINE)


def weigh_row(before: Policy, row: Row) -> Weight:
    """What one row does, against the one that it replaces."""
    was: Any = before.table(TABLE_OF[type(row)]).get(row.id)
    if was == row:
        return Weight.NARROWS
    judge = _WEIGHTS.get(type(row))
    if judge is None:
        return Weight.ROUTINE
    weight = judge(was, row)
    if isinstance(row, Visit) and weight is Weight.ROUTINE:
        return Weight.WIDENS if any(before.zones[zone].is_protected for zone in row.zones) else Weight.ROUTINE
    return weight


def _changed(was: Any, row: Any) -> set[str]:
    return {field.name for field in fields(row) if getattr(was, field.name) != getattr(row, field.name)}


def _only_less(*less: tuple[str, Callable[[Any, Any], bool]]) -> Callable[[Any, Any], bool]:
    """Whether all that changed changed towards less; `less` says of each field when it does."""
    rules = dict(less)
    return lambda was, row: all(
        name in rules and rules[name](getattr(was, name), getattr(row, name)) for name in _changed(was, row)
    )


def _comes(was: Any, now: Any) -> bool:
    """An end that was not there, or comes earlier."""
    return now is not None and (was is None or now < was)


def _turns_on(was: bool, now: bool) -> bool:
    return now and not was


def _turns_off(was: bool, now: bool) -> bool:
    return was and not now


def _becomes_less(was: Any, now: Any) -> bool:
    return bool(now < was)


def _subset(was: Sequence[Any], now: Sequence[Any]) -> bool:
    return set(now) < set(was)


def _by(is_less: Callable[[Any, Any], bool], *, new: Weight = Weight.WIDENS) -> Callable[[Any, Any], Weight]:
    def judge(was: Any, row: Any) -> Weight:
        if was is None:
            return new
        return Weight.NARROWS if is_less(was, row) else Weight.WIDENS

    return judge


_ENDS: Final = ("ended_on", _comes)
_SPENT: Final = frozenset({CredentialState.LOST, CredentialState.RETURNED, CredentialState.DESTROYED})


def _cardholder(was: Cardholder | None, row: Cardholder) -> Weight:
    if was is None:
        return Weight.WIDENS if row.held_extra_ms else Weight.ROUTINE
    changed = _changed(was, row)
    if changed == {"notice_version"}:
        return Weight.ROUTINE
    less = _only_less(_ENDS, ("held_extra_ms", _becomes_less))
    return Weight.NARROWS if less(was, row) else Weight.WIDENS


def _credential(was: Credential | None, row: Credential) -> Weight:
    if was is None:
        return Weight.WIDENS if row.state is CredentialState.ACTIVE else Weight.ROUTINE
    return Weight.NARROWS if _changed(was, row) == {"state"} and row.state in _SPENT else Weight.WIDENS


def _clearance(was: Clearance | None, row: Clearance) -> Weight:
    if was is None:
        return Weight.WIDENS if row.confirmed_by is not None else Weight.ROUTINE
    return Weight.NARROWS if _only_less(_ENDS)(was, row) else Weight.WIDENS


def _need(was: NeedToKnow | None, row: NeedToKnow) -> Weight:
    if was is None or not was.is_approved:
        return Weight.WIDENS if row.is_approved else Weight.ROUTINE
    less = _only_less(_ENDS, ("is_suspended", _turns_on), ("until_on", _becomes_less), ("recert_on", _comes))
    return Weight.NARROWS if less(was, row) else Weight.WIDENS


def _training(was: Training | None, row: Training) -> Weight:
    if was is not None and _only_less(("due_on", _becomes_less))(was, row):
        return Weight.NARROWS
    return Weight.ROUTINE


def _visit(was: Visit | None, row: Visit) -> Weight:
    if was is not None and _only_less(_ENDS, ("until_on", _becomes_less))(was, row):
        return Weight.NARROWS
    return Weight.ROUTINE


def _zone_status(was: ZoneStatus | None, row: ZoneStatus) -> Weight:
    usual = was or ZoneStatus(id=row.id, state=ZoneState.OPEN_ATTENDED)
    less = _only_less(
        ("state", lambda _was, now: now is ZoneState.SECURED),
        ("is_locked_down", _turns_on),
        ("sanitised_by", lambda _was, now: now is None),
        ("sanitised_confirmed_by", lambda _was, now: now is None),
    )
    return Weight.NARROWS if less(usual, row) else Weight.WIDENS


def _site_status(was: SiteStatus | None, row: SiteStatus) -> Weight:
    usual = was or SiteStatus(id=row.id)
    more = ("threat_level", lambda was, now: bool(now > was)), ("notice_version", lambda was, now: bool(now > was))
    return Weight.NARROWS if _only_less(("is_locked_down", _turns_on), *more)(usual, row) else Weight.WIDENS


def _portal_status(was: PortalStatus | None, row: PortalStatus) -> Weight:
    if row.mode is PortalMode.LOCKED and row.until_ms is None:
        return Weight.NARROWS
    was_unlocked = was is not None and was.mode is PortalMode.UNLOCKED
    return Weight.NARROWS if row.mode is PortalMode.CARD and was_unlocked else Weight.WIDENS


def _device_status(_was: DeviceStatus | None, row: DeviceStatus) -> Weight:
    return Weight.WIDENS if row.is_trusted else Weight.NARROWS


_WEIGHTS: Final[Mapping[type[Row], Callable[[Any, Any], Weight]]] = MappingProxyType(
    {
        Cardholder: _cardholder,
        Credential: _credential,
        Pin: _by(_only_less(("is_locked", _turns_on))),
        Clearance: _clearance,
        InformationItem: _by(
            _only_less(("lifted_on", _comes), ("designated_until", _becomes_less), ("contract_until", _comes)),
            new=Weight.ROUTINE,
        ),
        NeedToKnow: _need,
        RosterEntry: _by(
            _only_less(
                _ENDS,
                ("is_suspended", _turns_on),
                ("until_on", _becomes_less),
                ("review_on", _becomes_less),
                ("is_opener", _turns_off),
                ("is_escort", _turns_off),
                ("is_minimum", _turns_off),
                ("may_enter_lockdown", _turns_off),
                ("schedule", lambda was, _now: was is None),
            )
        ),
        Training: _training,
        Visit: _visit,
        Override: _by(_only_less(("ended_ms", _comes))),
        ZoneStatus: _zone_status,
        SiteStatus: _site_status,
        PortalStatus: _portal_status,
        DeviceStatus: _device_status,
        Officer: _by(
            _only_less(
                _ENDS,
                ("until_on", _becomes_less),
                ("roles", _subset),
                ("deputises", _subset),
                ("zones", _subset),
            )
        ),
        OfficerKey: _by(_only_less(_ENDS)),
    }
)
"""How a row of each kind weighs; of what is not here (declarations) every change is ROUTINE."""


# -- who may sign it -------------------------------------------------------------------------------------------------


def posts_of(policy: Policy, officer: Officer, day: date) -> frozenset[Role]:
    """The posts that this officer fills today: his own, and those he deputises in while somebody holds them."""
    if not officer.is_in_post(day):
        return frozenset()
    filled = {role for one in policy.officers.values() if one.is_in_post(day) for role in one.roles}
    return frozenset({*officer.roles, *(role for role in officer.deputises if role in filled)})


def signing_officers(policy: Policy, day: date) -> frozenset[OfficerId]:
    """Who can sign a change of registers today: in an editor's post, with a passkey that was not ended."""
    keyed = {key.officer for key in policy.officer_keys.values() if key.ended_on is None}  # an end acts at once
    return frozenset(
        officer.id for officer in policy.officers.values()
        if officer.id in keyed and posts_of(policy, officer, day) & EDITORS
    )  # fmt: skip


def judge(before: Policy, after: Policy, edit: Edit, signers: Sequence[OfficerId], day: date) -> Weight:
    """The weight of an edit that these officers signed, in this order. Raises NotAuthorised where they may not."""
    if not signers:
        raise NotAuthorised(
            "unsigned", "a change is signed by its officers; nothing takes effect unsigned", "signatures"
        )
    officers = [_in_post(before, signer, day) for signer in signers]
    weight = weight_of(before, after, edit, day)
    if len({officer.cardholder or officer.id for officer in officers}) < weight.signers:
        raise NotAuthorised("two_people", "this widens who may enter: another officer must sign it too", "signatures")
    for row in edit.puts:
        _judge_row(before, row, officers, weight, day)
    if weight is Weight.WIDENS:
        _judge_posts(before, edit, officers, day)
    return weight


def weight_of(before: Policy, after: Policy, edit: Edit, day: date) -> Weight:
    """What the whole edit does, and whether it leaves enough officers behind."""
    return max(weigh(before, edit), _weight_of_losses(before, after, edit, day))


def refuse_signer(before: Policy, edit: Edit, signer: OfficerId, weight: Weight, day: date) -> None:
    """Raises NotAuthorised where this officer may not be one of those who sign, whoever the others are."""
    officer = _in_post(before, signer, day)
    for row in edit.puts:
        _judge_signer(before, row, officer, weight, day)


def _in_post(policy: Policy, signer: OfficerId, day: date) -> Officer:
    officer = policy.officers.get(signer)
    if officer is None or not officer.is_in_post(day):
        raise NotAuthorised("not_an_officer", f"{signer} is not in post today", "signatures")
    return officer


def _weight_of_losses(before: Policy, after: Policy, edit: Edit, day: date) -> Weight:
    """One officer alone does not make himself the only one, not from some later day either: then taking an officer
    away takes two.
    """
    if not any(isinstance(row, Officer | OfficerKey) for row in edit.puts):
        return Weight.NARROWS
    ends = {end for row in edit.puts if isinstance(row, Officer) for end in (row.ended_on, row.until_on + _DAY) if end}
    for then in {day, *(end for end in ends if end > day)}:
        if len(signing_officers(after, then)) < min(2, len(signing_officers(before, then))):
            return Weight.WIDENS
    return Weight.NARROWS


def _judge_row(before: Policy, row: Row, officers: Sequence[Officer], weight: Weight, day: date) -> None:
    """Every signer may sign this row. Raises NotAuthorised."""
    for officer in officers:
        _judge_signer(before, row, officer, weight, day)
    _refuse_unnamed(before, row, [officer.id for officer in officers])


def _judge_signer(before: Policy, row: Row, officer: Officer, weight: Weight, day: date) -> None:
    table = TABLE_OF[type(row)]
    own = weigh_row(before, row)
    allowed = AUTHORITY.get(table)
    if allowed is None:
        raise NotAuthorised("not_your_role", f"{table} rows are changed in the site file, not here", "puts")
    posts = posts_of(before, officer, day)
    if not posts & (allowed.narrows if own is Weight.NARROWS else allowed.others):
        raise NotAuthorised("not_your_role", f"{officer.id} holds no post that changes {table} rows", "signatures")
    is_giving = Weight.WIDENS in (own, weight) or isinstance(row, Training) or officer.id in _newly_named(before, row)
    if own is not Weight.NARROWS and is_giving:
        _refuse_own(row, officer)
    if Role.WORK_MANAGER in posts and Role.PROTECTION_OFFICER not in posts:
        _refuse_elsewhere(before, row, officer)


def _refuse_own(row: Row, officer: Officer) -> None:
    """Nobody gives anything to himself (A-31): neither as one who enters nor as an officer."""
    is_own_post = officer.id in {getattr(row, "officer", None), row.id if isinstance(row, Officer) else None}
    if is_own_post or (officer.cardholder is not None and officer.cardholder in beneficiaries(row)):
        raise NotAuthorised("self_grant", f"{officer.id} cannot sign what is for {officer.id} (A-31)", "signatures")


def beneficiaries(row: Row) -> frozenset[CardholderId]:
    """Whom a row is about."""
    if isinstance(row, Cardholder | Pin):
        return frozenset({row.id})
    if isinstance(row, Override):
        return frozenset(row.cardholders)
    who = getattr(row, "cardholder", None)
    return frozenset() if who is None else frozenset({who})


def _refuse_elsewhere(before: Policy, row: Row, officer: Officer) -> None:
    """Whoever answers for some zones signs nothing about others. The reception and those who look after devices answer
    for none: what their posts may sign they sign anywhere.
    """
    own = {inner for zone in officer.zones for inner in before.insides.get(zone, ())}
    if any(zone not in own for zone in zones_of(before, row)):
        raise NotAuthorised("not_your_zone", f"{officer.id} does not answer for that zone (A-31)", "signatures")


def zones_of(policy: Policy, row: Row) -> frozenset[ZoneId]:
    """Which zones a row is about; none: about no zone in particular."""
    if isinstance(row, ZoneStatus):
        return frozenset({row.id})
    if isinstance(row, PortalStatus):
        return frozenset({policy.portals[row.id].inner}) if row.id in policy.portals else frozenset()
    if isinstance(row, Visit):
        return frozenset(row.zones)
    if isinstance(row, SiteStatus):
        return frozenset(policy.zones)
    if isinstance(row, NeedToKnow | InformationItem):
        number = row.item if isinstance(row, NeedToKnow) else row.id
        return frozenset(zone.id for zone in policy.zones.values() if number in zone.items)
    zone = getattr(row, "zone", None)
    return frozenset() if zone is None else frozenset({zone})


def _refuse_unnamed(before: Policy, row: Row, signers: Sequence[OfficerId]) -> None:
    """Whoever a row newly names as having done it has signed it."""
    for who, name in _newly_named(before, row).items():
        if who not in signers:
            raise NotAuthorised("not_signed_by", f"{name} names {who}, who did not sign this", name)


def _newly_named(before: Policy, row: Row) -> dict[str, str]:
    """Officer -> the field in which this row says that he did it, as the row before did not."""
    table = TABLE_OF[type(row)]
    was = before.table(table).get(row.id)
    named = ((getattr(row, name), name) for name in NAMED.get(table, ()))
    return {who: name for who, name in named if who is not None and who != getattr(was, name, None)}


def _judge_posts(before: Policy, edit: Edit, officers: Sequence[Officer], day: date) -> None:
    """What widens is signed for protection as a whole too, by a post that is held (D-07). Raises NotAuthorised."""
    if not _is_held(before.officers.values(), Role.PROTECTION_OFFICER, day):
        why = "the post of protection officer is vacant: nothing that widens is approved until it is held"
        raise NotAuthorised("post_vacant", why, "signatures")
    if not any(Role.PROTECTION_OFFICER in posts_of(before, officer, day) for officer in officers):
        raise NotAuthorised("not_your_role", "a protection officer must be one of the two", "signatures")
    for row in edit.puts:
        if isinstance(row, NeedToKnow) and weigh_row(before, row) is Weight.WIDENS:
            _judge_need(before, row, officers, day)


def _is_held(officers: Iterable[Officer], role: Role, day: date) -> bool:
    return any(role in officer.roles for officer in officers if officer.is_in_post(day))


def _judge_need(before: Policy, row: NeedToKnow, officers: Sequence[Officer], day: date) -> None:
    """The first approval is the work manager's, the second the protection officer's (§3.2)."""
    posts = {officer.id: posts_of(before, officer, day) for officer in officers}
    wanted = (("approved_by_1", EDITORS), ("approved_by_2", frozenset({Role.PROTECTION_OFFICER})))
    for name, roles in wanted:
        who = OfficerId(getattr(row, name) or "")
        if who in posts and not posts[who] & roles:
            raise NotAuthorised("not_your_role", f"{name} must be one of {', '.join(sorted(roles))} (§3.2)", name)
