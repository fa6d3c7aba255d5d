"""Signed notes by others: C2SP `signed-note`, `tlog-checkpoint` and `tlog-cosignature` (docs/ledger.md §2, §8).

For whoever checks a checkpoint that came from elsewhere: a witness, the controller that is brought a witness's line,
the program that carries checkpoints out. Pure, and strict: a text that could be written in two ways is refused. The
writer of the ledger has its own (controller/ledger/checkpoint.py), and so has the verifier.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519: Final = 0x01
"""signed-note's type byte of a ledger's key."""

COSIGNATURE: Final = 0x04
"""tlog-cosignature's type byte of a witness's Ed25519 key."""

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
SIGNATURE_BYTES: Final = 64
TIMESTAMP_BYTES: Final = 8
NOTE_BYTES_MAX: Final = 16 * 1024
SIGNATURES_MAX: Final = 64
SIZE_MAX: Final = 2**63 - 1

_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteError(ValueError):
    """What is wrong with a note, a line or a key that somebody else wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vkey:
    """A public key with its name and what it signs (`algorithm`: ED25519 or COSIGNATURE)."""

    name: str
    algorithm: int
    public: bytes

    @classmethod
    def parse(cls, text: str, algorithm: int) -> Self:
        """The key that `text` (name+key id+key) tells. NoteError: malformed, damaged in copying, of another kind."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        octets = from_base64(encoded, "the key in a vkey")
        if not _NAME.fullmatch(name) or len(octets) != 1 + KEY_BYTES:
            raise NoteError(f"{text[:120]!r} is no vkey: name+8 hex digits+base64 of an Ed25519 key")
        found = cls(name=name, algorithm=octets[0], public=octets[1:])
        if found.algorithm != algorithm:
            kinds = {ED25519: "a ledger's key", COSIGNATURE: "a witness's key"}
            is_what = kinds.get(found.algorithm, f"a key of type {found.algorithm:#04x}")
            raise NoteError(f"{name} is {is_what}, and {kinds[algorithm]} is wanted")
        if found.key_id.hex() != key_id:
            raise NoteError(f"the vkey of {name} was changed in copying: its key id does not fit its key")
        return found

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ key)."""
        kind = bytes([self.algorithm])
        return sha256(self.name.encode() + b"\n" + kind + self.public).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """As others configure it."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.algorithm]) + self.public)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (64 bytes) is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line: who says to have signed, with which key, and the line itself without its line end."""

    name: str
    key_id: bytes
    octets: bytes
    line: str

    def is_of(self, vkey: Vkey) -> bool:
        """Whether it says to be of that key. Not whether it is good."""
        return self.name == vkey.name and self.key_id == vkey.key_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head with whatever signatures stand under it, none of them checked. `text` is what they sign."""

    origin: str
    size: int
    root: bytes
    text: str
    signatures: tuple[Signature, ...]

    @property
    def note(self) -> str:
        """The whole signed note again."""
        return self.text + "\n" + "".join(f"{one.line}\n" for one in self.signatures)

    def by(self, vkey: Vkey) -> Signature | None:
        """The line of that key, None without one. NoteError: it has one, and the signature is bad."""
        found = None
        for one in self.signatures:
            if not one.is_of(vkey):
                continue
            if len(one.octets) != SIGNATURE_BYTES or not vkey.verifies(one.octets, self.text.encode()):
                raise NoteError(f"the signature of {one.name} (key {one.key_id.hex()}) is bad")
            found = found or one
        return found


def parse_checkpoint(note: str) -> Checkpoint:
    """The checkpoint in `note`. NoteError says what of it is malformed; no signature is checked."""
    try:
        count = len(note.encode())
    except UnicodeEncodeError:
        raise NoteError("a note is UTF-8") from None
    if count > NOTE_BYTES_MAX:
        raise NoteError(f"a note of more than {NOTE_BYTES_MAX} bytes")
    head, gap, tail = note.rpartition("\n\n")
    if not gap or not tail.endswith("\n"):
        raise NoteError("not a signed note: text, empty line, signature lines")
    if any(ord(sign) < 0x20 and sign != "\n" for sign in note):
        raise NoteError("a control character in a note")
    lines = head.split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("a checkpoint has an origin, a size and a root hash, a line each")
    root = from_base64(lines[2], "the root hash")
    if len(root) != KEY_BYTES:
        raise NoteError("a root hash has 32 bytes")
    signed = tail[:-1].split("\n")
    if len(signed) > SIGNATURES_MAX:
        raise NoteError(f"more than {SIGNATURES_MAX} signatures")
    return Checkpoint(
        origin=lines[0],
        size=parse_size(lines[1]),
        root=root,
        text=head + "\n",
        signatures=tuple(parse_signature(line) for line in signed),
    )


def parse_signature(line: str) -> Signature:
    """A signature line (without its line end): `— NAME base64(key id ‖ signature)`. NoteError where it is none."""
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    octets = from_base64(encoded, "a signature")
    if dash != "—" or not _NAME.fullmatch(name) or len(octets) <= KEY_ID_BYTES:
        raise NoteError("a signature line is: dash, name, base64, with a space between")
    return Signature(name=name, key_id=octets[:KEY_ID_BYTES], octets=octets[KEY_ID_BYTES:], line=line)


def parse_size(text: str) -> int:
    """A size in ASCII decimal without leading zeroes. NoteError where it is none."""
    if not _DECIMAL.fullmatch(text) or int(text) > SIZE_MAX:
        raise NoteError(f"{text[:30]!r} is no size: decimal digits, no leading zero, at most 2^63 - 1")
    return int(text)


def witness_keys(texts: Sequence[str]) -> tuple[Vkey, ...]:
    """The witnesses that these vkeys name. NoteError: one is none, or named twice."""
    found = tuple(Vkey.parse(text, COSIGNATURE) for text in texts)
    for number, one in enumerate(found):
        if one.name in {other.name for other in found[:number]}:
            raise NoteError(f"the witness {one.name} is named twice")
    return found


def cosign(checkpoint: Checkpoint, vkey: Vkey, sign: Callable[[bytes], bytes], at_s: int) -> str:
    """The witness's line under `checkpoint`, signed at `at_s` (seconds since 1970), without its line end."""
    signature = sign(_cosigned_text(checkpoint.text, at_s))
    octets = vkey.key_id + at_s.to_bytes(TIMESTAMP_BYTES) + signature
    return f"— {vkey.name} {to_base64(octets)}"


def cosigned_at(checkpoint: Checkpoint, vkey: Vkey, signature: Signature) -> int:
    """When the witness of `vkey` signed `checkpoint`, in seconds since 1970. NoteError where it did not."""
    if not signature.is_of(vkey):
        raise NoteError(f"a line of {signature.name} (key {signature.key_id.hex()}), and not of {vkey.name}")
    stamp, octets = signature.octets[:TIMESTAMP_BYTES], signature.octets[TIMESTAMP_BYTES:]
    at_s = int.from_bytes(stamp)
    is_good = len(octets) == SIGNATURE_BYTES and at_s <= SIZE_MAX
    if not is_good or not vkey.verifies(octets, _cosigned_text(checkpoint.text, at_s)):
        raise NoteError(f"the cosignature of {vkey.name} is bad")
    return at_s


def _cosigned_text(text: str, at_s: int) -> bytes:
    """What a witness signs (tlog-cosignature, "Ed25519 signed message")."""
    return f"cosignature/v1\ntime {at_s}\n{text}".encode()


def to_base64(octets: bytes) -> str:
    """RFC 4648 §4."""
    return b64encode(octets).decode("ascii")


def from_base64(text: str, what: str) -> bytes:
    """RFC 4648 §4, in the one way in which it is written. NoteError names `what` it was to be."""
    try:
        octets = b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        raise NoteError(f"{what} is not base64") from None
    if to_base64(octets) != text:
        raise NoteError(f"{what} is not base64 as it is written")
    return octets
