"""A ledger whose last records do not hold together, or are not there any more: set aside whole, with a record, and
gone on from before them (docs/adr/0014-a-damaged-tail.md).

No right that was taken away comes back by it. The policy in force is site.db's, where that is whole: it is sealed, and
follows each edit within moments. Where it cannot be believed, or the damaged records changed what it does not hold,
only somebody at the console lets the controller start, and that is recorded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.history import check_history, rolled_forward
from controller.ledger.body import Draft, Scribe, decode_body
from controller.ledger.checkpoint import sync_directory
from controller.ledger.errors import LedgerDamaged, LedgerUnavailable
from controller.ledger.store import Ledger
from controller.ledger.tail import Damage
from controller.policy_log import PolicyAt, edit_to_doc
from controller.site.boot import SiteUnusable, read_site
from controller.site.seal import Seal
from zones.moment import Moment
from zones.policy import TABLE_OF, Edit, EditRefused, Policy

ACTOR: Final = "set-aside"
BLOCK_BYTES: Final = 1 << 20
BINDING: Final = frozenset({"POLICY_EDITED", "PURGED", "LEGAL_HOLD_ON", "LEGAL_HOLD_OFF", "LEDGER_KEY_ROTATED"})
"""What must not be set aside unseen: rights, what was dropped by rule, what may not be dropped, who signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What a start goes on with: the records that come first, the policy in force, why site.db was not used."""

    drafts: list[Draft]
    policy: PolicyAt
    rebuilt: str


def lacking(ledger: Ledger, site_db: Path, seal: Seal) -> str:
    """Why a ledger that is whole in itself is not all of it: site.db, which only ever follows, stands for an edit
    beyond its end. "" where nothing says so.
    """
    try:
        found = read_site(site_db, seal)
    except SiteUnusable:
        return ""
    if not ledger.size or found.seq < ledger.size:
        return ""
    end = ledger.size - 1
    return f"it ends with record {end}, and site.db holds the edit of record {found.seq}: put back, or its end is gone"


def mend(ledger: Ledger, site_db: Path, seal: Seal, scribe: Scribe, now: Moment, *, is_accepted: bool) -> Mended:
    """Keep the damaged ledger beside itself and say how to go on before the damage; the ledger is changed by the next
    append, which must begin with `drafts`.

    `is_accepted`: somebody at the console takes the policy that the ledger still tells. LedgerDamaged: nobody does, and
    no site.db can be believed. LedgerUnavailable: the damaged ledger cannot be kept. SiteFileError as `load_policy`.
    """
    damage = ledger.damage
    assert damage is not None, "there is nothing to mend"
    policy, edit, why = _policy(ledger, site_db, seal, damage)
    if why and not is_accepted:
        raise LedgerDamaged(
            f"{ledger.path}: {damage.why}; and the policy in force cannot be told: {why}. Restore ledger.db or site.db"
            " from the backup; or, where nobody's right was taken away since record"
            f" {damage.first}, start once with --accept-set-aside, and look through all rights",
            seq=damage.first,
        )
    name, digest = _kept(ledger.path, now, damage)
    said = f"accepted at the console, {why}: {damage.why}" if why else damage.why
    detail = {"first": damage.first, "count": damage.count, "file": name, "sha256": digest, "why": said[:300]}
    drafts = [scribe.draft("TAIL_SET_ASIDE", now=now, detail=detail)]
    if edit is not None:
        before, after = edit
        named = {"id": ACTOR, "edit": after, "revision": policy.revision, "base": before, "signed": False}
        drafts.append(scribe.draft("POLICY_EDITED", now=now, officer=ACTOR, revision=before, detail=named))
    return Mended(drafts=drafts, policy=policy, rebuilt=why)


def difference(old: Policy, new: Policy) -> Edit:
    """The edit that makes `new` of `old`."""
    before = {(TABLE_OF[type(row)], row.id): row for row in old.rows()}
    puts = tuple(row for row in new.rows() if before.pop((TABLE_OF[type(row)], row.id), None) != row)
    return Edit(puts=puts, drops=tuple(reversed(before)))


def _policy(
    ledger: Ledger, site_db: Path, seal: Seal, damage: Damage
) -> tuple[PolicyAt, tuple[str, dict[str, Any]] | None, str]:
    """The policy in force; the revision before and the edit that brings the ledger to it, where it needs one; and why
    site.db is not believed.
    """
    try:
        found = read_site(site_db, seal)
        _check_nothing_later(ledger, found.seq)
        if found.seq < damage.first:
            check_history(found, ledger)
            return rolled_forward(found, ledger), None, ""
        left = rolled_forward(PolicyAt(), ledger)
        doc = edit_to_doc(difference(left.policy, found.policy))
        after = left.after(doc, damage.first + 1)
        if difference(after.policy, found.policy) != Edit():
            raise SiteUnusable("cannot be reached from what is left of the ledger")
    except (SiteUnusable, EditRefused) as error:
        return rolled_forward(PolicyAt(), ledger), None, f"site.db {error}"
    return after, (left.revision, doc), ""


def _check_nothing_later(ledger: Ledger, seq: int) -> None:
    """SiteUnusable where a record of the damaged end, as far as it can be read, changed what site.db does not hold."""
    for at, leaf, body in ledger.damaged():
        if b'"class":"policy"' not in leaf or body is None or at == seq:  # that one made site.db what it is
            continue
        try:
            record = decode_body(body)
        except ValueError:
            raise SiteUnusable(f"does not hold what record {at} of the damaged end changed (unreadable)") from None
        is_known = record.type == "POLICY_EDITED" and at < seq
        is_idle = record.type == "PURGED" and not (record.detail or {}).get("count")
        if record.type in BINDING and not is_known and not is_idle:
            raise SiteUnusable(f"does not hold what record {at} of the damaged end changed ({record.type})")


def _kept(path: Path, now: Moment, damage: Damage) -> tuple[str | None, str | None]:
    """The damaged ledger and its log, copied beside it: the copy's name, and SHA-256 over both files, one after the
    other. None where only the log may lack something and the disk has no room: exits must be served all the same.
    """
    name = _free_name(path, f"{path.name}.damaged-{now.at:%Y%m%dT%H%M%SZ}")
    try:
        digest = hashlib.sha256()
        for end in ("", "-wal"):
            source = path.with_name(path.name + end)
            if source.exists():
                _copy(source, path.with_name(name + end), digest)
        sync_directory(path.parent)
    except (OSError, subprocess.SubprocessError) as error:
        for end in ("", "-wal"):
            path.with_name(name + end).unlink(missing_ok=True)
        if not damage.count:
            return None, None
        raise LedgerUnavailable(
            f"{path}: {damage.why}; and it cannot be kept as {name}: {error}. Make room on the disk and start again"
        ) from error
    return name, digest.hexdigest()


def _free_name(path: Path, name: str) -> str:
    """`name`, or the next one where a start that was cut off left a copy, whole or not."""
    names = (name, *(f"{name}-{number}" for number in range(2, 100)))
    return next((one for one in names if not path.with_name(one).exists()), name)


def _copy(source: Path, copy: Path, digest: Any) -> None:
    """By another process: a file that this one opened and closed would take SQLite's hold on the ledger with it (fcntl
    locks are a process's, not a descriptor's).
    """
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    program = shutil.which("cp") or "/bin/cp"
    command = [program, "--reflink=auto", "--", str(source), str(copy)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    with copy.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
        os.fsync(file.fileno())
