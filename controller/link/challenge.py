"""What officers sign: the challenge that a passkey is asked with, made alike by the controller, the pages and anybody
who checks a record later (docs/officers.md §4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

_canonical: Final = msgspec.json.Encoder(order="sorted").encode


def change_challenge(*, site: str, id: str, base: str, puts: Sequence[Any], reason: str, not_after_ms: int) -> bytes:
    """32 bytes: SHA-256 over the canonical JSON of what the change is. `site`: the ledger's vkey, so that a signature
    for one site is none for another.
    """
    change = {"base": base, "id": id, "not_after_ms": not_after_ms, "puts": list(puts), "reason": reason, "site": site}
    return hashlib.sha256(b"sekisho change v1\n" + _canonical(change)).digest()


def enrolment_challenge(*, site: str, ticket: str) -> bytes:
    """32 bytes: what a new passkey is asked with, of somebody who holds the `ticket` of the console."""
    return hashlib.sha256(b"sekisho enrolment v1\n" + _canonical({"site": site, "ticket": ticket})).digest()
