"""The day's short code: a checkpoint in so few signs that a person copies it onto the inspection sheet (docs/ledger.md
§12). Pure; a verifier that is given the sheet years later computes the same from the ledger.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""

_PREFIX: Final = b"sekisho code v1\n"


def short_code(size: int, text: str) -> str:
    """`SIZE-XXXX-XXXX-XXXX-C` of the checkpoint of `size` records whose signed lines are `text`, the last line end
    included.
    """
    top = int.from_bytes(sha256(_PREFIX + text.encode()).digest()[:8]) >> 4  # the first 60 bits
    letters = "".join(LETTERS[top >> shift & 31] for shift in range(55, -1, -5))
    told = f"{size}-{letters[:4]}-{letters[4:8]}-{letters[8:]}"
    return f"{told}-{LETTERS[sha256(told.encode()).digest()[0] >> 3]}"
