"""What the ledger tells at a start: the policy in force, the latest time that was believed, people's last places."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.clock import from_wall_ms
from controller.ledger.store import Ledger
from controller.link.follow import MOVES, PLACES_SCAN_MAX, followed
from controller.pins import PinMisses
from controller.policy_log import PolicyAt
from controller.site.boot import SiteUnusable, read_site
from controller.site.seal import Seal
from controller.site_file import SiteFileError
from controller.standing import missed
from zones.occupancy import Occupancy
from zones.policy import EditRefused, Policy

_MATTERS: Final = re.compile(
    b'"type":"(?:%s)"|"pin":"(?:DURESS|RIGHT|WRONG)"'
    % "|".join(sorted(MOVES | {"PIN_UNLOCKED", "POLICY_EDITED"})).encode()
)


def load_policy(path: Path, seal: Seal, ledger: Ledger) -> tuple[PolicyAt, str]:
    """The policy that the ledger says is in force, and why site.db was not used ("" where it was).

    site.db saves the work of folding the ledger from its first record; what came after it is folded in any case.
    """
    policy, why = PolicyAt(), ""
    try:
        policy = read_site(path, seal)
        check_history(policy, ledger)
    except SiteUnusable as error:
        policy, why = PolicyAt(), str(error)
    return rolled_forward(policy, ledger), why


def rolled_forward(policy: PolicyAt, ledger: Ledger) -> PolicyAt:
    """`policy` after the edits that the ledger holds beyond it. SiteFileError: one of them cannot be read."""
    for record in ledger.scan_policy(policy.seq + 1):
        body = record.decoded()
        if body is None:
            why = "an edit whose text is gone may have taken a right away; restore ledger.db from the backup"
            raise SiteFileError(f"record {record.seq} of the ledger: {why}")
        if body.type == "POLICY_EDITED" and body.detail is not None:
            policy = _after(policy, body.detail["edit"], record.seq)
            if policy.revision != body.detail["revision"]:
                raise SiteFileError(f"record {record.seq} of the ledger names another revision than its history gives")
    return policy


def _after(policy: PolicyAt, doc: dict[str, Any], seq: int) -> PolicyAt:
    """The policy after the edit of a record. One that cannot be read may have taken a right: no start on it."""
    try:
        return policy.after(doc, seq)
    except EditRefused as error:
        why = "it was written by a newer version, or damaged; install that version, or restore from the backup"
        raise SiteFileError(
            f"record {seq} of the ledger holds an edit that is not understood: {error} ({why})"
        ) from error


def check_history(policy: PolicyAt, ledger: Ledger) -> None:
    """That the record that site.db says it stands for is in this ledger and made this policy. Else SiteUnusable."""
    if policy.seq >= ledger.size:
        raise SiteUnusable("is ahead of the ledger")
    for record in ledger.read(policy.seq, 1):
        body = record.decoded()
        if body is None:  # dropped by retention: the leaf alone cannot say
            return
        if body.type != "POLICY_EDITED" or (body.detail or {}).get("revision") != policy.revision:
            raise SiteUnusable("is of another history")


def latest_trusted(ledger: Ledger) -> datetime | None:
    """The time of the last record made by a clock that was believed; None where there is none."""
    for record in ledger.scan(is_backward=True):
        body = record.decoded()
        if body is not None and body.clock == "trusted":
            return from_wall_ms(body.at_ms)
    return None


def last_standing(ledger: Ledger, policy: Policy) -> tuple[Occupancy, PinMisses]:
    """Where people were last seen, none of it certain (B-07), and whose PIN was missed how often in a row."""
    occupancy, misses = Occupancy(), PinMisses()
    for record in ledger.scan(max(0, ledger.size - PLACES_SCAN_MAX)):
        if record.body is None or not _MATTERS.search(record.body):
            continue
        body = record.decoded()
        if body is not None:
            occupancy = followed(occupancy, policy, msgspec.to_builtins(body))
            misses = missed(misses, body)
    return occupancy.made_uncertain(), misses
