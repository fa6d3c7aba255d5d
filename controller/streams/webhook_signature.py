"""Signatures of webhooks: Standard Webhooks 1.0.0, symmetric (`v1`, HMAC-SHA256). Pure.

What is signed is `id.timestamp.payload`; neither id nor timestamp holds a full stop, so nothing can be moved from one
into another.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES_MIN: Final = 24
SECRET_BYTES_MAX: Final = 64


def parse_secret(text: bytes) -> bytes:
    """The key in `whsec_` and base64. ValueError says what is wrong, and never what it is."""
    if not text.startswith(PREFIX.encode()):
        raise ValueError(f"a webhook's secret begins with {PREFIX}")
    try:
        key = b64decode(text[len(PREFIX) :], validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"behind {PREFIX} stands base64") from None
    if not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise ValueError(f"a webhook's secret has {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes, this one {len(key)}")
    return key


def webhook_id(number: str) -> str:
    """The `webhook-id` of the record `origin/seq`: the same at each attempt, and without a full stop. An origin has no
    underscore of its own, so no two records have one id.
    """
    return number.replace(".", "_")


def signature(keys: Sequence[bytes], webhook: str, timestamp_s: int, payload: bytes) -> str:
    """The header `webhook-signature`: one signature for each key, a space between."""
    signed = f"{webhook}.{timestamp_s}.".encode() + payload
    macs = [hmac.digest(key, signed, "sha256") for key in keys]
    return " ".join(f"v1,{b64encode(mac).decode('ascii')}" for mac in macs)
