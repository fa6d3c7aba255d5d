"""Card numbers are never kept: only a keyed hash to find a credential by, and four digits for a person to recognise.

The key stays with the controller. Without it the numbers cannot be found by trying all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

from zones.ids import CardNumberHash

NUMBER_PATTERN: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){4,33}")
"""4 to 33 bytes in hex: UIDs, IDms, the X of a public key."""

_FAMILIES: Final = {"desfire_ev1": "desfire", "desfire_ev2": "desfire"}
"""Schemes that one card speaks, with one credential on it."""


class CardNumbers:
    """Hashes card numbers with the site's own key (32 bytes)."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == 32, "the card number key has 32 bytes"
        self._key = key

    def hash(self, number: bytes) -> CardNumberHash:
        """HMAC-SHA256 of the number, as lower-case hex."""
        return CardNumberHash(hmac.digest(self._key, number, hashlib.sha256).hex())


def is_of_family(scheme: str | None, others: Iterable[str]) -> bool:
    """Whether `scheme` is among `others`, or another way to ask the same kind of card is (DESFire EV1 and EV2)."""
    return scheme is not None and _FAMILIES.get(scheme, scheme) in {_FAMILIES.get(one, one) for one in others}


def last4(number: bytes) -> str:
    """The last four hex digits: all of a number that is ever shown."""
    return number.hex().upper()[-4:]
