"""One session of OSDP's Secure Channel, as the control panel (SIA OSDP 2.2.2 Annex D).

Owns the keys and the chain of MACs of one session. A message that is not authentic has no content: `unseal` gives None.
A session that is over cannot be taken up again: a new one needs a new object and fresh randomness.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from readers.protocols.osdp import crypto
from readers.protocols.osdp.frames import Frame, encode

CHLNG: Final = 0x76
SCRYPT: Final = 0x77
CCRYPT: Final = 0x76
RMAC_I: Final = 0x78

_SCS_11: Final = 0x11
_SCS_12: Final = 0x12
_SCS_13: Final = 0x13
_SCS_14: Final = 0x14
_SCS_15: Final = 0x15
_SCS_16: Final = 0x16
_SCS_17: Final = 0x17
_SCS_18: Final = 0x18
_BY_SCBK: Final = 1
_BY_DEFAULT_KEY: Final = 0
_CCRYPT_BYTES: Final = 32


class Handshake(Enum):
    """What became of one answer of the handshake."""

    GOOD = "good"
    MALFORMED = "malformed"
    WRONG_KEY = "wrong_key"
    DEFAULT_KEY = "default_key"


@dataclass(frozen=True, slots=True)
class Opening:
    """One message of the handshake: still in the clear."""

    code: int
    block: bytes
    body: bytes


class SecureChannel:
    """One session with one reader.

    Args:
        key: the SCBK.
        cp_random: 8 fresh random bytes.
        is_default: `key` is SCBK-D; only install mode may say so.
    """

    __slots__ = ("_client", "_command_mac", "_cp_random", "_flag", "_keys", "_reply_mac", "_server", "messages")

    def __init__(self, key: bytes, cp_random: bytes, *, is_default: bool = False) -> None:
        self._keys = crypto.session_keys(key, cp_random)
        self._cp_random = cp_random
        self._flag = _BY_DEFAULT_KEY if is_default else _BY_SCBK
        self._server = b""
        self._command_mac = b""
        self._reply_mac = b""
        self.messages = 0

    def challenge(self) -> Opening:
        """osdp_CHLNG: our random number."""
        return Opening(CHLNG, bytes((3, _SCS_11, self._flag)), self._cp_random)

    def take_cryptogram(self, frame: Frame) -> Handshake:
        """osdp_CCRYPT: the reader's random number, and whether it knows the key."""
        if (frame.code, frame.block_type, len(frame.body)) != (CCRYPT, _SCS_12, _CCRYPT_BYTES) or len(frame.block) != 3:
            return Handshake.MALFORMED
        if frame.block[2] == _BY_DEFAULT_KEY and self._flag != _BY_DEFAULT_KEY:
            return Handshake.DEFAULT_KEY
        pd_random, client = frame.body[8:16], frame.body[16:]
        if not hmac.compare_digest(crypto.client_cryptogram(self._keys, self._cp_random, pd_random), client):
            return Handshake.WRONG_KEY
        self._server = crypto.server_cryptogram(self._keys, self._cp_random, pd_random)
        return Handshake.GOOD

    def proof(self) -> Opening:
        """osdp_SCRYPT: that we know it too."""
        return Opening(SCRYPT, bytes((3, _SCS_13, self._flag)), self._server)

    def take_first_mac(self, frame: Frame) -> Handshake:
        """osdp_RMAC_I: the session begins. The value is computed, the reader's only compared."""
        if (frame.code, frame.block_type, len(frame.body)) != (RMAC_I, _SCS_14, 16) or len(frame.block) != 3:
            return Handshake.MALFORMED
        first = crypto.first_mac(self._keys, self._server)
        if not hmac.compare_digest(first, frame.body) or (frame.block[2] != 1 and self._flag == _BY_SCBK):
            return Handshake.WRONG_KEY
        self._reply_mac = first
        return Handshake.GOOD

    def seal(self, address: int, sequence: int, code: int, body: bytes) -> bytes:
        """A whole command frame of this session. To repeat it, send the same bytes again."""
        self.messages += 1
        if body:
            body = crypto.encrypt(self._keys, self._reply_mac, body)
        block = bytes((2, _SCS_17 if body else _SCS_15))
        return encode(address, sequence, code, body, block=block, authenticate=self._authenticate)

    def unseal(self, frame: Frame) -> tuple[int, bytes] | None:
        """Code and body of an authentic reply to the last command; None for anything else, which changes nothing."""
        if frame.block_type not in (_SCS_16, _SCS_18):
            return None
        whole = crypto.mac(self._keys, self._command_mac, frame.covered)
        if not hmac.compare_digest(whole[:4], frame.mac):
            return None
        body: bytes | None = frame.body
        if frame.block_type == _SCS_18 and frame.body:
            body = crypto.decrypt(self._keys, self._command_mac, frame.body)
        if body is None:
            return None
        self._reply_mac = whole
        self.messages += 1
        return frame.code, body

    @property
    def _authenticate(self) -> Callable[[bytes], bytes]:
        def authenticate(message: bytes) -> bytes:
            self._command_mac = crypto.mac(self._keys, self._reply_mac, message)
            return self._command_mac[:4]

        return authenticate
