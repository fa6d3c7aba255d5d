"""Passkeys as the controller reads them: whether an assertion was made over our challenge, for us, by somebody whom the
authenticator had verified (Web Authentication Level 3, §7.2 steps 11 to 21; registration §7.1 without attestation).

The controller trusts no web process to have checked this (design §3), and imports no web framework to check it: these
are the few steps that matter here, held against py_webauthn in tests/controller/test_assertions.py (ADR 16). Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PRESENT: Final = 0x01
VERIFIED: Final = 0x04
ATTESTED: Final = 0x40
_HEAD: Final = 37
"""Hash of the relying party's id, flags, counter."""

_ATTESTED_HEAD: Final = _HEAD + 18
"""The same with the model of the authenticator and the length of the credential id."""

CREDENTIAL_BYTES: Final = (16, 1023)
BYTES_MAX: Final = 4096
"""Longest part of an assertion that is looked at."""

RSA_BITS_MIN: Final = 2048

Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


class AssertionRefused(ValueError):
    """It proves nothing to us; why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """Who we are to a passkey. `origins`: where our pages may be asked for; none: anywhere under `rp_id`, by HTTPS, or
    by HTTP on localhost, as browsers have it.
    """

    rp_id: str = "localhost"
    origins: tuple[str, ...] = ()

    def is_ours(self, origin: object) -> bool:
        """Whether pages of this origin are ours."""
        if not isinstance(origin, str):
            return False
        if self.origins:
            return origin in self.origins
        try:
            parts = urlsplit(origin)
            name = parts.hostname or ""
        except ValueError:
            return False
        is_under = name == self.rp_id or name.endswith("." + self.rp_id)
        return is_under and (parts.scheme == "https" or (parts.scheme == "http" and name == "localhost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A passkey that was just registered: its id and its COSE key, in hex."""

    credential: str
    public_key: str


def check_assertion(
    us: RelyingParty, public_key: str, challenge: bytes, *, client_data: str, authenticator_data: str, signature: str
) -> None:
    """Raises AssertionRefused unless this is `public_key` (COSE, hex) saying yes to `challenge`. Parts in hex."""
    shown, told = _bytes(client_data), _bytes(authenticator_data)
    _check_client_data(us, shown, "webauthn.get", challenge)
    _check_head(us, told)
    _check_signature(cose_key(bytes.fromhex(public_key)), _bytes(signature), told + hashlib.sha256(shown).digest())


def new_key(us: RelyingParty, challenge: bytes, *, client_data: str, authenticator_data: str) -> NewKey:
    """The passkey that was registered over `challenge`. Raises AssertionRefused. Parts in hex."""
    _check_client_data(us, _bytes(client_data), "webauthn.create", challenge)
    told = _bytes(authenticator_data)
    _check_head(us, told)
    if not told[32] & ATTESTED or len(told) < _ATTESTED_HEAD:
        raise AssertionRefused("it brings no new passkey")
    end = _ATTESTED_HEAD + int.from_bytes(told[_HEAD + 16 : _ATTESTED_HEAD], "big")
    credential = told[_ATTESTED_HEAD:end]
    if (
        len(credential) != end - _ATTESTED_HEAD
        or not CREDENTIAL_BYTES[0] <= end - _ATTESTED_HEAD <= CREDENTIAL_BYTES[1]
    ):
        raise AssertionRefused("the id of its passkey is cut off, too short or too long")
    cose = told[end : _Cbor(told, end).end_of_map()]
    cose_key(cose)
    return NewKey(credential=credential.hex(), public_key=cose.hex())


def _bytes(text: str) -> bytes:
    if len(text) > 2 * BYTES_MAX:
        raise AssertionRefused("a part of it is too long")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise AssertionRefused("a part of it is not hex") from None


def _check_client_data(us: RelyingParty, shown: bytes, kind: str, challenge: bytes) -> None:
    try:
        said: Any = json.loads(shown)
        answered = base64.urlsafe_b64decode(said["challenge"] + "==")
        is_crossed = said.get("crossOrigin", False) is not False
        is_wrong_kind = said["type"] != kind
        origin = said["origin"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        raise AssertionRefused("what the browser says of it cannot be read") from None
    if is_wrong_kind:
        raise AssertionRefused(f"it is no {kind}")
    if answered != challenge:
        raise AssertionRefused("it was made over something else than this")
    if not us.is_ours(origin):
        raise AssertionRefused("it was made on pages that are not ours")
    if is_crossed:
        raise AssertionRefused("it was made inside of somebody else's page")


def _check_head(us: RelyingParty, told: bytes) -> None:
    if len(told) < _HEAD or told[:32] != hashlib.sha256(us.rp_id.encode()).digest():
        raise AssertionRefused("it was made for another site than ours")
    if not told[32] & PRESENT or not told[32] & VERIFIED:
        raise AssertionRefused("the passkey did not verify who used it; a finger, a face or its PIN is asked for")


def _check_signature(key: Public, signature: bytes, signed: bytes) -> None:
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise AssertionRefused("its signature is not that passkey's over this") from None


def cose_key(cose: bytes) -> Public:
    """The public key of a COSE_Key: ES256, EdDSA or RS256 (RFC 9053 §2, RFC 8812 §2). Raises AssertionRefused."""
    reader = _Cbor(cose, 0)
    fields = reader.map()
    if reader.at != len(cose):
        raise AssertionRefused("its key is followed by something")
    try:
        match fields.get(1), fields.get(3), fields.get(-1):
            case 2, -7, 1:
                x, y = int.from_bytes(fields[-2], "big"), int.from_bytes(fields[-3], "big")
                return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            case 1, -8, 6:
                return ed25519.Ed25519PublicKey.from_public_bytes(fields[-2])
            case 3, -257, bytes() as modulus:
                exponent, number = int.from_bytes(fields[-2], "big"), int.from_bytes(modulus, "big")
                if number.bit_length() >= RSA_BITS_MIN:
                    return rsa.RSAPublicNumbers(exponent, number).public_key()
    except (KeyError, TypeError, ValueError):
        pass
    raise AssertionRefused("its key is of no kind that we take: ES256, EdDSA or RS256 of 2048 bits and more")


class _Cbor:
    """What a COSE key needs of CBOR (RFC 8949): a map of integers to integers and byte strings."""

    def __init__(self, octets: bytes, at: int) -> None:
        self._octets = octets
        self.at = at

    def end_of_map(self) -> int:
        """Where the map that begins here ends."""
        self.map()
        return self.at

    def map(self) -> dict[int, Any]:
        kind, count = self._head()
        if kind != 5:
            raise AssertionRefused("its key is not a COSE key")
        fields: dict[int, Any] = {}
        for _ in range(count):
            name = self._item()
            value = self._item()
            if not isinstance(name, int) or name in fields:
                raise AssertionRefused("its key is not a COSE key")
            fields[name] = value
        return fields

    def _item(self) -> int | bytes:
        kind, value = self._head()
        if kind == 0:
            return value
        if kind == 1:
            return -1 - value
        if kind != 2 or self.at + value > len(self._octets):
            raise AssertionRefused("its key is not a COSE key")
        self.at += value
        return self._octets[self.at - value : self.at]

    def _head(self) -> tuple[int, int]:
        if self.at >= len(self._octets):
            raise AssertionRefused("its key is cut off")
        kind, value = self._octets[self.at] >> 5, self._octets[self.at] & 0x1F
        self.at += 1
        if value < 24:
            return kind, value
        width = {24: 1, 25: 2}.get(value)
        if width is None or self.at + width > len(self._octets):
            raise AssertionRefused("its key is not a COSE key")
        value = int.from_bytes(self._octets[self.at : self.at + width], "big")
        self.at += width
        return kind, value
