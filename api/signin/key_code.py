"""What two people compare by voice before a passkey is signed: a code over its id and its public key.

The id alone is no proof: whoever registers a passkey of software chooses it, and could show that of somebody else over
a key of his own. Sixteen signs, so that nobody finds another key with the same ones. The browser that registered the
passkey makes the code by itself (static/passkey.js).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from webauthn.helpers import decode_credential_public_key
from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography
from webauthn.helpers.exceptions import WebAuthnException

SIGNS: Final = 16
APART: Final = 4


def code_of(credential: str, public_key: str) -> str:
    """The code of a passkey, from its id and its COSE key (hex); empty where no browser could have made that key."""
    try:
        key = decoded_public_key_to_cryptography(decode_credential_public_key(bytes.fromhex(public_key)))
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        made = hashlib.sha256(bytes.fromhex(credential) + spki).hexdigest()[:SIGNS]
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return " ".join(made[at : at + APART] for at in range(0, SIGNS, APART))


def code_in(row: Mapping[str, Any]) -> str:
    """The code of a row of `officer_key`."""
    return code_of(str(row["credential"]), str(row["public_key"]))
