"""EV2 secure messaging: DESFire EV2, EV3, Light and NTAG 424 DNA (NXP AN12343, AN12196).

Owns the handshake AuthenticateEV2First and one session's keys and counter: commands wrapped, answers checked. It
tells what a card did not manage to say by None; what that means is the caller's business.
"""

from __future__ import annotations

import hmac
from enum import Enum
from typing import Final

from readers.cards.aes import BLOCK, AesKey, padded, rotated, unpadded, xor
from readers.cards.apdu import MORE, OK, Answer, call, native
from readers.cards.dialogue import Dialogue, ask

AUTHENTICATE_EV2_FIRST: Final = 0x71
CONTINUE: Final = 0xAF
GET_CARD_UID: Final = 0x51
READ_FILE: Final = 0xAD
WRITE_FILE: Final = 0x8D
GET_KEY_VERSION: Final = 0x64

COMMAND: Final = bytes.fromhex("A55A")
RESPONSE: Final = bytes.fromhex("5AA5")
MAC_BYTES: Final = 8


class Mode(Enum):
    """How a command and its answer travel (communication mode)."""

    MAC = "mac"
    FULL = "full"


class Fault(Enum):
    """Why there is no session."""

    UNSUPPORTED = "unsupported"
    FAILED = "failed"


def session_keys(key: bytes, rnd_a: bytes, rnd_b: bytes) -> tuple[bytes, bytes]:
    """KSesAuthENC and KSesAuthMAC."""
    tail = bytes.fromhex("00010080") + rnd_a[:2] + xor(rnd_a[2:8], rnd_b[:6]) + rnd_b[6:] + rnd_a[8:]
    base = AesKey(key)
    return base.cmac(COMMAND + tail), base.cmac(RESPONSE + tail)


def truncated(mac: bytes) -> bytes:
    """Every second byte of a CMAC, from the second on."""
    return mac[1::2]


class Ev2Session:
    """One session; `counter` is CmdCtr."""

    def __init__(self, enc: bytes, mac: bytes, transaction: bytes, counter: int = 0) -> None:
        self._enc = AesKey(enc)
        self._mac = AesKey(mac)
        self._transaction = transaction
        self.counter = counter

    def iv(self, label: bytes) -> bytes:
        """Of the command (label A55A) or answer (5AA5) at the present counter."""
        return self._enc.encrypt(label + self._transaction + self._counted() + bytes(8))

    def _counted(self) -> bytes:
        return self.counter.to_bytes(2, "little")

    def encipher(self, plain: bytes) -> bytes:
        """A command's data field."""
        return self._enc.encrypt(padded(plain), self.iv(COMMAND)) if plain else b""

    def decipher(self, cipher: bytes) -> bytes:
        """An answer's data field, padding and all."""
        return self._enc.decrypt(cipher, self.iv(RESPONSE))

    def mac_over(self, first: int, message: bytes) -> bytes:
        """Of a command (its code first) or an answer (its status first) at the present counter."""
        return truncated(self._mac.cmac(bytes((first,)) + self._counted() + self._transaction + message))

    def command(self, mode: Mode, instruction: int, header: bytes, plain: bytes = b"") -> bytes:
        """The wrapped APDU: `header` in clear, `plain` enciphered in FULL."""
        body = header + (self.encipher(plain) if mode is Mode.FULL else plain)
        return native(instruction, body + self.mac_over(instruction, body))

    def response(self, mode: Mode, response: bytes) -> bytes | None:
        """What a good answer to the last command carries; None where it is an error or not from our card. Counts."""
        self.counter += 1
        if len(response) < MAC_BYTES + 2 or response[-2:] != b"\x91\0" or self.counter > 0xFFFF:
            return None
        body, mac = response[: -MAC_BYTES - 2], response[-MAC_BYTES - 2 : -2]
        if not hmac.compare_digest(self.mac_over(0, body), mac):
            return None
        if mode is Mode.MAC or not body:
            return body
        return unpadded(self.decipher(body)) if len(body) % BLOCK == 0 else None

    def call(self, mode: Mode, instruction: int, header: bytes, plain: bytes = b"") -> Dialogue[bytes | None]:
        """Send a command; what its answer carries."""
        return self.response(mode, (yield from ask(self.command(mode, instruction, header, plain))))

    def read(self, file: int, size: int) -> Dialogue[bytes | None]:
        """The first `size` bytes of an enciphered file."""
        header = bytes((file,)) + bytes(3) + size.to_bytes(3, "little")
        content = yield from self.call(Mode.FULL, READ_FILE, header)
        return content if content is not None and len(content) == size else None

    def card_number(self) -> Dialogue[bytes | None]:
        """The real UID, which a card with a random one gives only enciphered."""
        return number_in((yield from self.call(Mode.FULL, GET_CARD_UID, b"")))

    def key_version(self, number: int) -> Dialogue[int | None]:
        """Of one key of the application."""
        version = yield from self.call(Mode.MAC, GET_KEY_VERSION, bytes((number,)))
        return version[0] if version is not None and len(version) == 1 else None


def number_in(content: bytes | None) -> bytes | None:
    """A UID of GetCardUID: 7 bytes as they are; others behind a format and a length byte (EV3)."""
    if content is None:
        return None
    if len(content) == 7:
        return content
    if len(content) in (6, 12) and content[0] == 0 and content[1] == len(content) - 2:
        return content[2:]
    return None


def authenticate_ev2(key: bytes, number: int, rnd_a: bytes) -> Dialogue[Ev2Session | Fault]:
    """AuthenticateEV2First with key `number`; `rnd_a` (16 fresh bytes) is our challenge."""
    first = yield from call(AUTHENTICATE_EV2_FIRST, bytes((number, 0)))
    if first.word != MORE or len(first.body) != BLOCK:
        return Fault.UNSUPPORTED if first.is_unsupported else Fault.FAILED
    base = AesKey(key)
    rnd_b = base.decrypt(first.body)
    second: Answer = yield from call(CONTINUE, base.encrypt(rnd_a + rotated(rnd_b)))
    if second.word != OK or len(second.body) != 2 * BLOCK:
        return Fault.FAILED
    plain = base.decrypt(second.body)
    if not hmac.compare_digest(plain[4:20], rotated(rnd_a)):
        return Fault.FAILED
    enc, mac = session_keys(key, rnd_a, rnd_b)
    return Ev2Session(enc, mac, plain[:4])
