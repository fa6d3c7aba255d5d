"""The reader's half of OSDP's secure channel: session keys, cryptograms, MACs, enciphered bodies (2.2.2 Annex D).

Owns the arithmetic of one session. It draws no random numbers and decides nothing.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK_BYTES = 16
END = 0x80


def _ecb(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - Annex D says so
    return encryptor.update(block) + encryptor.finalize()


def _cbc(key: bytes, start: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(start)).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def _inverted(block: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in block)


def _filled(content: bytes) -> bytes:
    return content + bytes((END,)) + bytes(-(len(content) + 1) % BLOCK_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKeys:
    """Made from the base key and the panel's random number."""

    enc: bytes
    mac1: bytes
    mac2: bytes

    @staticmethod
    def of(scbk: bytes, panel_random: bytes) -> SessionKeys:
        """Annex D.4.1: each key is the base key's ECB over a constant and six bytes of the panel's random number."""

        def derived(constant: int) -> bytes:
            return _ecb(scbk, bytes((0x01, constant)) + panel_random[:6] + bytes(8))

        return SessionKeys(enc=derived(0x82), mac1=derived(0x01), mac2=derived(0x02))

    def client_cryptogram(self, panel_random: bytes, reader_random: bytes) -> bytes:
        """What proves that the reader knows the key."""
        return _ecb(self.enc, panel_random + reader_random)

    def server_cryptogram(self, panel_random: bytes, reader_random: bytes) -> bytes:
        """What proves that the panel knows the key."""
        return _ecb(self.enc, reader_random + panel_random)

    def first_reply_mac(self, server_cryptogram: bytes) -> bytes:
        """The R-MAC that starts the chain."""
        return _ecb(self.mac2, _ecb(self.mac1, server_cryptogram))

    def mac(self, start: bytes, covered: bytes) -> bytes:
        """All 16 bytes of the MAC over `covered`; four of them go over the line."""
        blocks = covered if len(covered) % BLOCK_BYTES == 0 else _filled(covered)
        if len(blocks) > BLOCK_BYTES:
            start = _cbc(self.mac1, start, blocks[:-BLOCK_BYTES])[-BLOCK_BYTES:]
        return _cbc(self.mac2, start, blocks[-BLOCK_BYTES:])


class Session:
    """One secure channel that stands. Commands are checked and replies made in turn, each MAC chained to the last."""

    def __init__(self, keys: SessionKeys, reply_mac: bytes) -> None:
        self._keys = keys
        self._reply_mac = reply_mac
        self._command_mac = bytes(BLOCK_BYTES)

    def accepts(self, signed: bytes, mac: bytes) -> bool:
        """Whether the command's MAC is right; the chain moves on only then."""
        made = self._keys.mac(self._reply_mac, signed)
        if not hmac.compare_digest(made[: len(mac)], mac):
            return False
        self._command_mac = made
        return True

    def decipher(self, body: bytes) -> bytes | None:
        """The body of a command under SCS_17; call before `sign`. None = it is not a padded one."""
        if not body or len(body) % BLOCK_BYTES:
            return b"" if not body else None
        decryptor = Cipher(algorithms.AES(self._keys.enc), modes.CBC(_inverted(self._reply_mac))).decryptor()
        plain = (decryptor.update(body) + decryptor.finalize()).rstrip(b"\0")
        return plain[:-1] if plain[-1:] == bytes((END,)) else None

    def encipher(self, body: bytes) -> bytes:
        """The body of a reply under SCS_18."""
        return _cbc(self._keys.enc, _inverted(self._command_mac), _filled(body))

    def sign(self, signed: bytes) -> bytes:
        """The four bytes of the reply's MAC; the chain moves on."""
        self._reply_mac = self._keys.mac(self._command_mac, signed)
        return self._reply_mac[:4]
