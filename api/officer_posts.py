"""Who holds which post today, and who can sign: read from the policy in force, for the page of officers and the API.

Pure. What a vacant post blocks is said in words here and enforced in `zones.authority` (D-07).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from api.proposal_rules import weight_by_anybody
from api.texts import Said
from controller.link.rows import row_to_doc
from zones.authority import EDITORS, Weight, posts_of, signing_officers
from zones.officers import Officer, OfficerKey, Role
from zones.policy import EditRefused, Policy

SOON_DAYS: Final = 30
"""An end of a term within so many days is said beforehand: the next one takes two signatures and an enrolment."""

BLOCKED: Final[Mapping[Role, Said]] = {
    Role.PROTECTION_OFFICER: Said("Nothing that lets more people in is approved until somebody holds it."),
    Role.WORK_MANAGER: Said("The protection officer alone reviews rosters and approves needs-to-know."),
    Role.GUARD: Said("Visitors and alarms wait for a work manager or the protection officer."),
    Role.AUDITOR: Said("Nobody looks through the log: it will be overdue, and that is an alarm."),
    Role.ENGINEER: Said("Devices wait for the protection officer."),
}
"""What waits while a post is vacant. Nothing waits for line managers: they sign nothing."""

UNSIGNED: Final = Said("Nobody who holds it has a passkey: what it must sign waits.")
LONELY: Final = Said("One person alone: what is for himself, his next term too, nobody can approve.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post: who holds it today and who fills in. `signers`: how many of them can sign changes of registers."""

    role: Role
    holders: tuple[str, ...]
    deputies: tuple[str, ...]
    signers: int

    @property
    def is_vacant(self) -> bool:
        """Whether nobody holds it in full: then no deputy fills in either."""
        return not self.holders

    @property
    def warning(self) -> Said | None:
        """What waits because of how it is held; None: nothing."""
        if self.is_vacant:
            return BLOCKED.get(self.role)
        if self.role in EDITORS and not self.signers:
            return UNSIGNED
        return LONELY if self.role is Role.PROTECTION_OFFICER and self.signers == 1 else None


def posts_today(policy: Policy, day: date) -> list[Post]:
    """Every post, those that change registers first."""
    there = sorted((one for one in policy.officers.values() if one.is_in_post(day)), key=lambda one: one.id)
    can_sign = signing_officers(policy, day)
    found = []
    for role in _ORDER:
        holders = tuple(one.id for one in there if role in one.roles)
        fill = {one.id for one in there if role in posts_of(policy, one, day)}
        found.append(
            Post(
                role=role, holders=holders,
                deputies=tuple(one.id for one in there if role in one.deputises and role not in one.roles),
                signers=len(fill & can_sign),
            )
        )  # fmt: skip
    return found


_ORDER: Final = (Role.PROTECTION_OFFICER, Role.WORK_MANAGER, Role.GUARD, Role.AUDITOR, Role.ENGINEER, Role.LINE)


def keys_of(policy: Policy, officer: str) -> list[OfficerKey]:
    """His passkeys that count, the oldest first: an end acts at once."""
    keys = [key for key in policy.officer_keys.values() if key.officer == officer and key.ended_on is None]
    return sorted(keys, key=lambda key: (key.enrolled_on, key.id))


def days_left(officer: Officer, day: date) -> int | None:
    """How many days his term goes on, where that is soon; None: longer, or he is not in post."""
    left = (officer.until_on - day).days
    return left if officer.is_in_post(day) and left <= SOON_DAYS else None


def ended(row: Officer | OfficerKey, day: date) -> tuple[str, dict[str, Any]]:
    """The row as it would be, over from this day on."""
    table, doc = row_to_doc(row)
    return table, {**doc, "ended_on": day.isoformat()}


def signers_of_end(policy: Policy, row: Officer | OfficerKey, day: date) -> int:
    """How many must sign that it is over: two where it leaves fewer than two who can sign, else one."""
    try:
        return weight_by_anybody(policy, [ended(row, day)], day).signers
    except EditRefused:
        return Weight.WIDENS.signers


def renewed(officer: Officer, day: date, until_on: date) -> tuple[str, dict[str, Any]]:
    """The row with a longer term; of somebody whose post is over it begins anew."""
    table, doc = row_to_doc(officer)
    if not officer.is_in_post(day) and officer.from_on <= day:
        doc |= {"from_on": day.isoformat()}
        doc.pop("ended_on", None)
    return table, {**doc, "until_on": until_on.isoformat()}


def with_posts(
    officer: Officer, *, roles: Sequence[str], deputises: Sequence[str], zones: Sequence[str], cardholder: str
) -> tuple[str, dict[str, Any]]:
    """The row with other posts."""
    table, doc = row_to_doc(officer)
    doc |= {"roles": list(roles), "deputises": list(deputises), "zones": list(zones)}
    doc.pop("cardholder", None)
    return table, {**doc, **({"cardholder": cardholder} if cardholder else {})}
