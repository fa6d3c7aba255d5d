"""Canonical JSON (RFC 8785) for the values a ledger may hold: objects, arrays, strings, booleans and integers.

Refuses what the ledger's format has no place for: floats, null, integers beyond ±(2^53-1), lone surrogates, and object
keys outside ASCII. RFC 8785 sorts keys by UTF-16 code units; for ASCII that is the byte order msgspec sorts by, and all
our keys are field names and identifiers. Measured on a 600-byte body: msgspec 1.4 us, json.dumps 9.9 us, the `rfc8785`
package 40 us, all three the same bytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

INTEGER_MAX: Final = 2**53 - 1
"""RFC 8785 writes numbers as IEEE 754 doubles; beyond this neighbours become one."""

DEPTH_MAX: Final = 32
"""Deeper nesting is refused; a policy row is the deepest thing we write, with five levels."""

encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
"""Canonical bytes of a value already known to be in the domain."""


def canonical(value: object) -> bytes:
    """RFC 8785 text of `value`, UTF-8. TypeError: a type outside the domain. ValueError: a value outside of it."""
    check_domain(value)
    return encode_sorted(value)


def check_domain(value: object, depth: int = 0) -> None:
    """Raise TypeError or ValueError unless `value` can stand in a ledger (lone surrogates are found by the encoder)."""
    kind = type(value)
    if kind is str or kind is bool:
        return
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            raise ValueError("integer beyond 2^53-1: it would not survive another reader")
        return
    if depth > DEPTH_MAX:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    if kind is dict:
        _check_object(value, depth)  # type: ignore[arg-type]
    elif kind is list or kind is tuple:
        for held in value:  # type: ignore[attr-defined]
            check_domain(held, depth + 1)
    elif not isinstance(value, StrEnum):
        raise TypeError(f"{kind.__name__} has no place in a ledger")


def _check_object(value: dict[object, object], depth: int) -> None:
    for key, held in value.items():
        if type(key) is not str:
            raise TypeError(f"object key of type {type(key).__name__}")
        if not key.isascii():
            raise ValueError(f"object key {key!r} is not ASCII")
        check_domain(held, depth + 1)
