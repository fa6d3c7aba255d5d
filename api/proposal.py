"""One change that waits for signatures, as a value: where it stands, what it is about, and who may look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from api.access import Permission
from api.proposal_rules import Doc
from zones.authority import Weight

PREPARED: Final = frozenset({"number", "pin", "duress"})
"""What the controller makes hashes of."""

HASHES: Final = frozenset({"number_hash", "salt", "pin_hash", "duress_hash"})
"""Of no use to a reader, and something that could be tried out (B-13)."""

STRONG: Final = 3
"""A sign-in by a passkey that verified its user: weaker ones may read and propose, never sign (A-30)."""

PENDING: Final = "PENDING"
SENT: Final = "SENT"
IN_FORCE: Final = "IN_FORCE"
OPEN: Final = frozenset({PENDING, "STALE"})

SEEN_WITH: Final[Mapping[str, Permission]] = {
    "cardholder": Permission.DESK,
    "credential": Permission.DESK,
    "pin": Permission.PEOPLE,
    "declaration": Permission.DESK,
    "visit": Permission.DESK,
    "clearance": Permission.RIGHTS,
    "item": Permission.RIGHTS,
    "need_to_know": Permission.RIGHTS,
    "roster": Permission.RIGHTS,
    "training": Permission.RIGHTS,
    "override": Permission.RIGHTS,
    "zone_status": Permission.LIVE,
    "site_status": Permission.LIVE,
    "portal_status": Permission.LIVE,
    "device_status": Permission.DEVICES,
    "officer": Permission.PROPOSE,
    "officer_key": Permission.PROPOSE,
}
"""Table -> who may look at a change of it: whoever may look at its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """Who signed, and when."""

    officer: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One change. `state`: PENDING_1, PENDING_2 (the first, the second signature is missing), SENT (the controller has
    it), IN_FORCE (under `seq`), REFUSED (`code`), STALE (what it is about changed: look again), WITHDRAWN, EXPIRED.
    `was`: rows before, None for new ones. `hindrance`: why nobody can complete it now. `may_sign`: who can be next.
    """

    id: str
    state: str
    proposer: str
    reason: str
    made_at_ms: int
    base: str
    not_after_ms: int
    puts: tuple[tuple[str, Doc], ...]
    was: tuple[Doc | None, ...]
    signed: tuple[Signed, ...]
    weight: Weight
    may_sign: frozenset[str] = frozenset()
    hindrance: tuple[str, str] | None = None
    findings: tuple[Mapping[str, str], ...] = ()
    code: str = ""
    why: str = ""
    field: str = ""
    seq: int | None = None
    settled_at_ms: int | None = None
    suggestion: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for somebody."""
        return self.state in ("PENDING_1", "PENDING_2", "STALE", SENT)

    @property
    def is_owed(self) -> bool:
        """Whether it has all its signatures, and the controller has not answered."""
        is_signed = self.state.startswith(PENDING) and len(self.signed) >= self.weight.signers
        return self.state == SENT or is_signed

    @property
    def etag(self) -> str:
        """Changes with all that is shown of it."""
        return f'"{self.state}-{len(self.signed)}-{self.seq or 0}"'

    @property
    def tables(self) -> frozenset[str]:
        """What it is about."""
        return frozenset(table for table, _ in self.puts)
