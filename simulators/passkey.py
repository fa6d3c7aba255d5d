"""A passkey made of software: the bytes that a phone or a security key gives, so that officers can sign where there is
no finger to put anywhere (Web Authentication Level 3, §6.1 authenticator data, §6.5.1 attested credential data, none
attestation; COSE ES256 by RFC 9053 §2.1).

What it answers cannot be told from a real one's; whoever holds the seed is that officer. Simulation and tests only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a browser gives back from `navigator.credentials.create`. Bytes."""

    client_data: bytes
    authenticator_data: bytes
    attestation_object: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What a browser gives back from `navigator.credentials.get`. Bytes."""

    client_data: bytes
    authenticator_data: bytes
    signature: bytes


class SoftPasskey:
    """One passkey. The same `seed` gives the same keys, and the same answers. `is_verified`: whether it says that it
    checked its user; `counts`: whether it counts its answers, as security keys do and synced passkeys do not.
    """

    def __init__(self, seed: str, *, is_verified: bool = True, counts: bool = False) -> None:
        secret = int.from_bytes(hashlib.sha512(seed.encode()).digest(), "big") % (_ORDER - 1) + 1
        self._private = ec.derive_private_key(secret, ec.SECP256R1())
        self.credential_id = hashlib.sha256(b"credential " + seed.encode()).digest()
        self.is_verified = is_verified
        self.counts = counts
        self.count = 0

    @property
    def credential(self) -> str:
        """The credential id, hex."""
        return self.credential_id.hex()

    @property
    def public_key(self) -> str:
        """The COSE key, hex."""
        numbers = self._private.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return (bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y).hex()

    def creates(self, challenge: bytes, rp_id: str, origin: str) -> Registration:
        """Register at `origin`, as `navigator.credentials.create` would."""
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        told = self._told(rp_id, _ATTESTED) + attested + bytes.fromhex(self.public_key)
        head = bytes.fromhex("a363666d74646e6f6e656761747453746d74a0686175746844617461")
        return Registration(
            client_data=_client_data("webauthn.create", challenge, origin),
            authenticator_data=told,
            attestation_object=head + b"\x59" + len(told).to_bytes(2, "big") + told,
        )

    def signs(self, challenge: bytes, rp_id: str, origin: str) -> Assertion:
        """Answer a challenge, as `navigator.credentials.get` would."""
        self.count += self.counts
        client_data = _client_data("webauthn.get", challenge, origin)
        told = self._told(rp_id, 0)
        signed = told + hashlib.sha256(client_data).digest()
        signature = self._private.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        return Assertion(client_data=client_data, authenticator_data=told, signature=signature)

    def _told(self, rp_id: str, flags: int) -> bytes:
        flags |= _PRESENT | (_VERIFIED if self.is_verified else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")


def _client_data(kind: str, challenge: bytes, origin: str) -> bytes:
    shown = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode()
    return json.dumps({"type": kind, "challenge": shown, "origin": origin, "crossOrigin": False}).encode()
