"""Who may see and do what: the one table of permissions (requirements §3.5, docs/officers.md §5), and how a route asks.

Every route names one permission, `Depends(require(Permission.X))`, and gets the `Who` that asks. What is signed by
passkeys is judged by the controller besides; this table decides what is shown, and who may begin something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api.problems import Problem
from zones.officers import Role


class Permission(StrEnum):
    """What somebody may see or begin."""

    OWN = "own"  # one's own rights, last entries, who looked (E-13)
    LIVE = "live"  # doors, alarms, heads per zone
    NAMES_INSIDE = "names.inside"  # who is inside, by name
    PEOPLE = "people"  # names and cards
    RIGHTS = "rights"  # rosters, clearances, needs-to-know, trainings: who may enter where, until when
    REASONS = "reasons"  # which rule refused somebody
    HISTORY = "history"  # one person's entries, with a purpose, recorded
    EVENTS = "events"  # records, pseudonymous
    LEDGER = "ledger"  # checkpoints, tiles, proofs
    LOG_REVIEW = "log.review"  # to sign that the log was looked through
    PROPOSE = "propose"  # to begin a change
    DESK = "desk"  # visitors, declarations, lost cards
    HANDLE = "handle"  # to say what an alarm was
    RELEASE = "release"  # to let somebody in by hand
    ROLL_CALL = "roll_call"  # the list in a fire
    REVIEW = "review"  # quarterly review
    REPORTS = "reports"  # figures without names
    EXPORT = "export"  # registers as files
    DEVICES = "devices"  # how readers and boards stand
    PLAN = "plan"  # to draw the plan of the building
    OFFICERS = "officers"  # who holds which post; sessions and tokens of others
    SETTINGS = "settings"  # of the web process


P: Final = Permission
_EVERYBODY: Final = frozenset({P.OWN})

MAY: Final[Mapping[Role, frozenset[Permission]]] = MappingProxyType(
    {
        Role.GUARD: _EVERYBODY | {P.LIVE, P.DESK, P.HANDLE, P.RELEASE, P.ROLL_CALL},
        Role.LINE: _EVERYBODY,
        Role.WORK_MANAGER: _EVERYBODY
        | {P.LIVE, P.NAMES_INSIDE, P.PEOPLE, P.RIGHTS, P.REASONS, P.HISTORY, P.PROPOSE, P.DESK, P.HANDLE, P.RELEASE}
        | {P.ROLL_CALL, P.REVIEW, P.REPORTS},
        Role.PROTECTION_OFFICER: _EVERYBODY
        | {P.LIVE, P.NAMES_INSIDE, P.PEOPLE, P.RIGHTS, P.REASONS, P.HISTORY, P.EVENTS, P.LEDGER, P.PROPOSE, P.DESK}
        | {P.HANDLE, P.RELEASE, P.ROLL_CALL, P.REVIEW, P.REPORTS, P.EXPORT, P.DEVICES, P.PLAN, P.OFFICERS}
        | {P.SETTINGS},
        Role.AUDITOR: _EVERYBODY | {P.EVENTS, P.LEDGER, P.LOG_REVIEW, P.REPORTS},
        Role.ENGINEER: _EVERYBODY | {P.DEVICES, P.PLAN, P.SETTINGS},
    }
)
"""Role -> what it may. Whoever has no post may only see what is his own."""

NEEDS_STEP_UP: Final = frozenset({P.RELEASE, P.EXPORT, P.OFFICERS})
"""What asks for the passkey again where it was not shown within the last minutes; changes are signed each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who asks. `officer`: his pseudonym in records; `cardholder`: the same person as one who enters. `zones`: what a
    work manager answers for, with all that is nested in it (None: every zone). `strength`: how many factors the sign-in
    showed (1 OIDC, 2 password and TOTP, 3 a passkey that verified its user). `scopes`: of an API token, named in
    `token` (None: a person).
    """

    officer: str
    roles: frozenset[Role]
    cardholder: str | None = None
    zones: frozenset[str] | None = None
    strength: int = 3
    session: str | None = None
    is_fresh: bool = True
    scopes: frozenset[Permission] | None = None
    token: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the table gives it."""
        if self.scopes is not None and permission not in self.scopes:
            return False
        return permission in _EVERYBODY or any(permission in MAY[role] for role in self.roles)

    def may_see_zone(self, zone: str) -> bool:
        """Whether this is a zone that he answers for."""
        return self.zones is None or zone in self.zones


bearer: Final = HTTPBearer(auto_error=False, description="An API token: `skt_…`.")


def require(permission: Permission) -> Callable[..., Who]:
    """The dependency of a route: who asks. Raises Problem 401 (nobody), 403 (not his to see or do, or from elsewhere)
    or 403 `step_up` (show the passkey again first).
    """

    def dependency(request: Request, _: Annotated[object, Depends(bearer)] = None) -> Who:
        keeper = request.app.state.parts.keeper
        who: Who = keeper.who(request)
        if not who.may(permission):
            keeper.refused(who, permission)
            raise Problem("not_your_role", 403)
        if permission in NEEDS_STEP_UP and request.method not in ("GET", "HEAD") and not who.is_fresh:
            raise Problem("step_up", 403)
        return who

    dependency.permission = permission  # type: ignore[attr-defined]  # read by the test of every route and role
    return dependency


def refuse_weak(who: Who, factors: int) -> None:
    """Whoever edits what takes so many factors at the door has shown as many himself (A-30). Raises Problem 403."""
    if who.strength < factors:
        raise Problem("sign_in_too_weak", 403, members={"factors": factors, "strength": who.strength})
