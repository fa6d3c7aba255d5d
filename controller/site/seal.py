"""A seal over site.db, so that a row slipped into it does not open a door: the next start notices and folds the ledger.

Each row has a keyed hash; their sum modulo 2^256 stands for the set of rows and follows an edit in a few microseconds
(a keyed multiset hash: Clarke et al., ASIACRYPT 2003, MSet-Add-Hash). The seal binds the sum to the record and
revision. The key is the site's, which the web process never sees.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, Final

from controller.ledger.canonical import canonical
from controller.link.rows import row_to_doc
from zones.policy import Row

_MODULUS: Final = 1 << 256


class Seal:
    """Sums rows and seals the sum, with a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32, "the seal's key has 32 bytes"
        self._key = key

    def row(self, row: Row) -> int:
        """What one row adds to the sum."""
        table, doc = row_to_doc(row)
        return int.from_bytes(hmac.digest(self._key, b"row" + canonical([table, _listed(doc)]), hashlib.sha256))

    def total(self, rows: Iterable[Row]) -> int:
        """The sum over a set of rows, in any order."""
        return sum(map(self.row, rows)) % _MODULUS

    def exchange(self, total: int, old: Row | None, new: Row | None) -> int:
        """The sum after `old` was replaced by `new`."""
        less = 0 if old is None else self.row(old)
        more = 0 if new is None else self.row(new)
        return (total - less + more) % _MODULUS

    def over(self, total: int, seq: int, revision: str) -> str:
        """The seal of a sum at a record and revision, in hex."""
        return hmac.digest(self._key, canonical(["site", f"{total:064x}", seq, revision]), hashlib.sha256).hex()

    def is_whole(self, seal: str, total: int, seq: int, revision: str) -> bool:
        """Whether a seal is the one we would have made."""
        return hmac.compare_digest(seal, self.over(total, seq, revision))


def _listed(value: Any) -> Any:
    """The same value with lists for tuples all the way down."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
