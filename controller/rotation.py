"""The ledger's key is changed while the controller is stopped, by two people at the console (docs/ledger.md §9).

In this order: the new key is durable beside the old one; the record that names both is committed, under a checkpoint
that both sign; the new key takes the old one's place. Cut off before the record, the old key goes on; after it, the
next start takes up the new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from controller.clock import SystemClock
from controller.config import Site
from controller.history import latest_trusted
from controller.keys import LEDGER, is_untouched, load_keys
from controller.ledger.body import Scribe
from controller.ledger.checkpoint import Notary
from controller.ledger.errors import LedgerRefused
from controller.ledger.store import Ledger


class RotationRefused(Exception):
    """Nothing was changed; why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The record that did it, and both keys as vkeys; `place` is where the key lies."""

    seq: int
    old: str
    new: str
    place: str


def origin_of(site: Site) -> str:
    """The name of the site's ledger."""
    return f"{site.domain}/{site.node}"


def rotate_key(site: Site, officer: str, second: str, random: Callable[[int], bytes] = os.urandom) -> Rotated:
    """Give the site's ledger another signing key. RotationRefused, LedgerError, ValueError, OSError say what to do."""
    if is_untouched(site.state_dir):
        raise RotationRefused(f"{site.state_dir} holds no ledger yet: `sekisho init` makes it, with its first key")
    keys = load_keys(site.state_dir, random, site.ledger)
    try:
        try:
            ledger = Ledger.open(
                site.state_dir / LEDGER, keys.signer, origin_of(site), random, successor=keys.successor
            )
        except LedgerRefused as error:
            raise RotationRefused(f"stop the controller first (systemctl stop sekisho-controller): {error}") from error
        with ledger:
            keys.settle(ledger)  # of a rotation that was cut off
            if not ledger.size:
                raise RotationRefused("the ledger holds no record yet, and its key signed nothing: start it once first")
            clock = SystemClock(latest_trusted(ledger))
            now = clock.now()
            if not now.is_trusted:
                raise RotationRefused("the clock is behind the ledger's last record: set it right first")
            successor = keys.place.make_successor()
            old, new = ledger.notary.vkey, Notary(origin=ledger.notary.origin, key=successor).vkey
            if old == new:
                raise RotationRefused("the new key is the old one: make another")
            scribe = Scribe(node=site.node, boot=random(4).hex())
            detail = {"id": random(8).hex(), "old": old, "new": new, "officer2": second}
            draft = scribe.draft("LEDGER_KEY_ROTATED", now=now, officer=officer, detail=detail)
            seq = ledger.hand_over(draft, successor)
            keys.place.take_up()
            return Rotated(seq=seq, old=old, new=new, place=keys.place.name)
    finally:
        keys.place.close()
