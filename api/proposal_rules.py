"""What can be said of a change before it is signed: how much it does, whose signatures carry it, what hinders it.

The same rules that the controller holds it against (`zones.authority`), asked of the officers who are there. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any, Final

from controller.link.recorded import edit_of
from zones.authority import (
    APPROVER,
    NAMED,
    PROPOSER,
    NotAuthorised,
    Weight,
    judge,
    refuse_signer,
    signing_officers,
    weight_of,
)
from zones.edits import apply
from zones.ids import OfficerId
from zones.lint import LintFinding, errors, lint
from zones.officers import Role
from zones.policy import Edit, EditRefused, Policy

Doc = dict[str, Any]
Puts = list[tuple[str, Doc]]

OF_PLACES: Final = frozenset({"zone_status", "site_status", "portal_status", "device_status"})
_ANYBODY: Final = ("officer-x", "officer-y")
"""Stand for signers whom nobody knows yet: weights do not depend on who they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`weight` of a change. `hindrance`: code and words of why nobody's signature completes it now; None: it can be.
    `may_sign`: officers who can be the next. `new_errors`: faults of the site that it would bring.
    """

    weight: Weight
    may_sign: frozenset[str]
    hindrance: tuple[str, str] | None = None
    new_errors: tuple[LintFinding, ...] = ()


def with_named(puts: Puts, was: Mapping[tuple[str, str], Doc]) -> Puts:
    """New rows get who records and who confirms from those who sign, where nobody else is named."""
    return [(table, _named(table, row, was.get((table, str(row.get("id")))))) for table, row in puts]


def _named(table: str, row: Doc, was: Doc | None) -> Doc:
    first, second = NAMED.get(table, ("", ""))
    is_new = was is None and table in ("clearance", "override")
    is_approved = table == "need_to_know" and row.get("requested_by") is not None and not (was or {}).get(second)
    if not (is_new or is_approved) or row.get("ended_on") is not None:
        return row
    return {first: PROPOSER, second: APPROVER} | row


def with_signers(puts: Sequence[tuple[str, Doc]], signers: Sequence[str]) -> Puts:
    """The rows with the officers' ids where the places for them are."""
    ids = dict(zip((PROPOSER, APPROVER), signers, strict=False))
    return [
        (table, {**row, **{name: ids[row[name]] for name in NAMED.get(table, ()) if row.get(name) in ids}})
        for table, row in puts
    ]


def edit_by(puts: Sequence[tuple[str, Doc]], signers: Sequence[str]) -> Edit:
    """The change as these officers would make it. Raises EditRefused."""
    return edit_of({"puts": [list(put) for put in with_signers(puts, signers)], "drops": []})


def _judged(policy: Policy, puts: Sequence[tuple[str, Doc]], signers: Sequence[str], day: date) -> Weight:
    """Raises NotAuthorised, EditRefused."""
    edit = edit_by(puts, signers)
    return judge(policy, apply(policy, edit), edit, [OfficerId(one) for one in signers], day)


def weight_by_anybody(policy: Policy, puts: Sequence[tuple[str, Doc]], day: date) -> Weight:
    """How much a change does, whoever signs it. Raises EditRefused where the policy does not take it."""
    edit = edit_by(puts, _ANYBODY)
    return weight_of(policy, apply(policy, edit), edit, day)


def refuse_asker(policy: Policy, puts: Sequence[tuple[str, Doc]], officer: str, weight: Weight, day: date) -> None:
    """Raises NotAuthorised where this officer may not begin it: it is for himself, or not his to change."""
    if officer in policy.officers:
        refuse_signer(policy, edit_by(puts, (officer, _ANYBODY[1])), OfficerId(officer), weight, day)


def verdict(policy: Policy, puts: Sequence[tuple[str, Doc]], signed: Sequence[str], day: date) -> Verdict:
    """What a change that `signed` have signed needs still. Raises EditRefused where the policy does not take it."""
    weight = weight_by_anybody(policy, puts, day)
    found = _faults(policy, puts)
    others = sorted(_eligible(policy, puts, weight, day) - set(signed))
    missing = max(weight.signers - len(signed), 0)
    may, worst = set[str](), None
    for more in combinations(others, missing):
        if missing and may.issuperset(more):
            continue
        order = _order(policy, puts, (*signed, *more), day)
        if isinstance(order, tuple):
            may.update(more)
        elif worst is None or _RANK.get(order.code, 0) > _RANK.get(worst.code, 0):
            worst = order
    if missing and not may:
        if weight is Weight.WIDENS and _is_vacant(policy, day):
            worst = NotAuthorised("post_vacant", "the post of protection officer is vacant")
        worst = worst or NotAuthorised("two_people", "there are not enough officers who could sign this")
        return Verdict(weight=weight, may_sign=frozenset(), hindrance=(worst.code, worst.why), new_errors=found)
    return Verdict(weight=weight, may_sign=frozenset(may), new_errors=found)


_RANK: Final = {"post_vacant": 3, "self_grant": 2, "not_your_zone": 1}


def _is_vacant(policy: Policy, day: date) -> bool:
    """Whether nobody holds the post that answers for protection: a deputy fills in for somebody, not for nobody."""
    held = (one for one in policy.officers.values() if one.is_in_post(day))
    return not any(Role.PROTECTION_OFFICER in one.roles for one in held)


def _eligible(policy: Policy, puts: Sequence[tuple[str, Doc]], weight: Weight, day: date) -> set[str]:
    """Whoever may be one of those who sign; the rules are asked of each alone before they are asked of pairs."""
    edit, found = edit_by(puts, _ANYBODY), set[str]()
    for officer in _signers_of(policy, day):
        try:
            refuse_signer(policy, edit, OfficerId(officer), weight, day)
        except NotAuthorised:
            continue
        found.add(officer)
    return found


def _signers_of(policy: Policy, day: date) -> set[str]:
    """Who has a passkey and a post: guards sign for visitors, engineers for devices."""
    keyed = {key.officer for key in policy.officer_keys.values() if key.ended_on is None}
    return {one.id for one in policy.officers.values() if one.id in keyed and one.is_in_post(day)} | set(
        signing_officers(policy, day)
    )


def in_order(
    policy: Policy, puts: Sequence[tuple[str, Doc]], signed: Sequence[str], day: date
) -> tuple[str, ...]:  # fmt: skip
    """The order in which these signatures carry the change. Raises NotAuthorised, EditRefused."""
    order = _order(policy, puts, signed, day)
    if isinstance(order, NotAuthorised):
        raise order
    return order


def _order(
    policy: Policy, puts: Sequence[tuple[str, Doc]], signers: Sequence[str], day: date
) -> tuple[str, ...] | NotAuthorised:
    """A need-to-know is approved by the work manager first and the protection officer second, whoever was quicker."""
    first: NotAuthorised | None = None
    refused: EditRefused | None = None
    for order in dict.fromkeys((tuple(signers), tuple(reversed(signers)))):
        try:
            _judged(policy, puts, order, day)
        except NotAuthorised as error:
            first = first or error
        except EditRefused as error:
            refused = error
        else:
            return order
    if first is not None:
        return first
    assert refused is not None
    return NotAuthorised("self_grant" if "another" in refused.why else "edit_refused", refused.why, refused.field)


def _faults(policy: Policy, puts: Sequence[tuple[str, Doc]]) -> tuple[LintFinding, ...]:
    """What the site lint would find that it does not find now; people cannot make a building unsafe."""
    if not any(table in OF_PLACES for table, _ in puts):
        return ()
    known = {(one.code, one.row) for one in errors(lint(policy))}
    after = errors(lint(apply(policy, edit_by(puts, _ANYBODY))))
    return tuple(one for one in after if (one.code, one.row) not in known)
