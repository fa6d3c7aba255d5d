"""Replies of a reader (SIA OSDP 2.2.2 §7), from bytes to values.

Every function takes a whole body and gives a value, or None for a body that is not exactly what the standard says:
too short, too long, a count that does not fit. Nothing is guessed from half a reply.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

ACK: Final = 0x40
NAK: Final = 0x41
PDID: Final = 0x45
PDCAP: Final = 0x46
LSTATR: Final = 0x48
ISTATR: Final = 0x49
OSTATR: Final = 0x4A
RSTATR: Final = 0x4B
RAW: Final = 0x50
FMT: Final = 0x51
KEYPAD: Final = 0x53
COM: Final = 0x54
BUSY: Final = 0x79
FTSTAT: Final = 0x7A
MFGREP: Final = 0x90

NAK_BAD_SUM: Final = 1
NAK_LENGTH: Final = 2
NAK_UNKNOWN: Final = 3
NAK_SEQUENCE: Final = 4
NAK_BLOCK: Final = 5
NAK_NOT_SECURE: Final = 6

_PDID_BYTES: Final = 12
_NUMBER_BYTES_MIN: Final = 4
_NUMBER_BYTES_MAX: Final = 32
"""Readers that check PKOC by themselves send the whole X."""
_KEYS_MAX: Final = 32
_CAN_SECURE: Final = 9


@dataclass(frozen=True, slots=True)
class Identity:
    """osdp_PDID."""

    raw: bytes
    maker: str
    model: str
    serial: str
    firmware: str


def identity(body: bytes) -> Identity | None:
    """Vendor (3), model, version, serial number (4, little endian), firmware (3)."""
    if len(body) != _PDID_BYTES:
        return None
    return Identity(
        raw=body,
        maker=body[:3].hex().upper(),
        model=f"{body[3]}.{body[4]}",
        serial=f"{int.from_bytes(body[5:9], 'little'):08X}",
        firmware=".".join(str(byte) for byte in body[9:12]),
    )


def capabilities(body: bytes) -> dict[int, tuple[int, int]] | None:
    """Function code → compliance and number (for RECEIVE_BYTES: its two bytes, low one first)."""
    if not body or len(body) % 3:
        return None
    return {body[at]: (body[at + 1], body[at + 2]) for at in range(0, len(body), 3)}


def is_secure(found: dict[int, tuple[int, int]]) -> bool:
    """Whether a reader says that it speaks the Secure Channel with AES-128 (Annex B.10)."""
    return bool(found.get(_CAN_SECURE, (0, 0))[0] & 1)


def identity_hash(who: Identity, found: dict[int, tuple[int, int]]) -> str:
    """One value over all that must not change unseen; the order in which a reader lists its functions may."""
    listed = b"".join(bytes((code, *found[code])) for code in sorted(found))
    return hashlib.sha256(b"osdp identity v1" + who.raw + listed).hexdigest()


def local_status(body: bytes) -> tuple[bool, bool] | None:
    """Tamper and power failure."""
    return (body[0] != 0, body[1] != 0) if len(body) == 2 else None


def card_number(body: bytes) -> bytes | None:
    """osdp_RAW: the bits, left-aligned, unused bits zero, at least 4 bytes (zeroes behind), at most 32."""
    if len(body) < 5:
        return None
    bits = int.from_bytes(body[2:4], "little")
    number = body[4:]
    if not bits or len(number) != -(-bits // 8) or len(number) > _NUMBER_BYTES_MAX:
        return None
    spare = -bits % 8
    return (number[:-1] + bytes((number[-1] >> spare << spare,))).ljust(_NUMBER_BYTES_MIN, b"\0")


def formatted_number(body: bytes) -> bytes | None:
    """osdp_FMT: the characters as the reader made them, 4 to 32."""
    if len(body) < 4 or len(body) != 3 + body[2] or body[2] > _NUMBER_BYTES_MAX:
        return None
    return body[3:].ljust(_NUMBER_BYTES_MIN, b"\0")


def keys(body: bytes) -> bytes | None:
    """osdp_KEYPAD: the keys in their order."""
    return body[2:] if 3 <= len(body) == 2 + body[1] <= 2 + _KEYS_MAX else None


def communication(body: bytes) -> tuple[int, int] | None:
    """osdp_COM: address and speed from now on."""
    return (body[0], int.from_bytes(body[1:5], "little")) if len(body) == 5 else None


@dataclass(frozen=True, slots=True)
class FileStatus:
    """osdp_FTSTAT. `code`: below 0 refused, 0 go on, 1 done, 2 done and restarting, 3 finishing."""

    may_poll_between: bool
    delay_ms: int
    code: int
    fragment_bytes_max: int


def file_status(body: bytes) -> FileStatus | None:
    """What the reader makes of a piece of a file."""
    if len(body) != 7:
        return None
    return FileStatus(
        may_poll_between=bool(body[0] & 1),
        delay_ms=int.from_bytes(body[1:3], "little"),
        code=int.from_bytes(body[3:5], "little", signed=True),
        fragment_bytes_max=int.from_bytes(body[5:7], "little"),
    )
