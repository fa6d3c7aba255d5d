"""DESFire EV1's AES session (AuthenticateAES, AA): CMAC chained by a running vector, enciphered answers with CRC32.

Owns the handshake and one session's key and vector. What EV1 lacks, it lacks here too: an answer's CRC is enciphered,
not authenticated; the proof is the handshake.
"""

from __future__ import annotations

import hmac
from typing import Final

from readers.cards.aes import BLOCK, ZEROS, AesKey, crc32, rotated
from readers.cards.apdu import MORE, OK, Answer, call, native, parsed
from readers.cards.dialogue import Dialogue, ask
from readers.cards.ev2 import CONTINUE, GET_CARD_UID, Fault

AUTHENTICATE_AES: Final = 0xAA
READ_FILE_EV1: Final = 0xBD
NUMBER_BYTES: Final = 7


class Ev1Session:
    """One session; `iv` runs through every command and answer."""

    def __init__(self, key: bytes) -> None:
        self._key = AesKey(key)
        self.iv = ZEROS

    def command(self, instruction: int, body: bytes) -> bytes:
        """The APDU of a command without a data field of its own: its CMAC moves the vector and is not sent."""
        self.iv = self._key.cmac(bytes((instruction,)) + body, self.iv)
        return native(instruction, body)

    def mac_checked(self, answer: Answer) -> bytes | None:
        """What a MACed answer carries: data || first half of the CMAC over data and status."""
        if answer.word != OK or len(answer.body) < 8:
            return None
        self.iv = self._key.cmac(answer.body[:-8] + b"\0", self.iv)
        return answer.body[:-8] if hmac.compare_digest(self.iv[:8], answer.body[-8:]) else None

    def deciphered(self, answer: Answer, size: int) -> bytes | None:
        """The `size` bytes that an enciphered answer carries, behind which CRC32(data || status) stands."""
        if answer.word != OK or len(answer.body) != -(-(size + 4) // BLOCK) * BLOCK:
            return None
        plain = self._key.decrypt(answer.body, self.iv)
        self.iv = answer.body[-BLOCK:]
        content = plain[:size]
        return content if plain[size : size + 4] == crc32(content + b"\0") else None

    def read(self, file: int, size: int) -> Dialogue[bytes | None]:
        """The first `size` bytes of an enciphered file."""
        body = bytes((file,)) + bytes(3) + size.to_bytes(3, "little")
        return self.deciphered(parsed((yield from ask(self.command(READ_FILE_EV1, body)))), size)

    def card_number(self) -> Dialogue[bytes | None]:
        """The real UID."""
        return self.deciphered(parsed((yield from ask(self.command(GET_CARD_UID, b"")))), NUMBER_BYTES)


def session_key(rnd_a: bytes, rnd_b: bytes) -> bytes:
    """Of both challenges."""
    return rnd_a[:4] + rnd_b[:4] + rnd_a[12:] + rnd_b[12:]


def authenticate_aes(key: bytes, number: int, rnd_a: bytes) -> Dialogue[Ev1Session | Fault]:
    """AuthenticateAES with key `number`; the vector runs through the handshake and then starts anew."""
    first = yield from call(AUTHENTICATE_AES, bytes((number,)))
    if first.word != MORE or len(first.body) != BLOCK:
        return Fault.UNSUPPORTED if first.is_unsupported else Fault.FAILED
    base = AesKey(key)
    rnd_b = base.decrypt(first.body)
    token = base.encrypt(rnd_a + rotated(rnd_b), first.body)
    second = yield from call(CONTINUE, token)
    if second.word != OK or len(second.body) != BLOCK:
        return Fault.FAILED
    if not hmac.compare_digest(base.decrypt(second.body, token[-BLOCK:]), rotated(rnd_a)):
        return Fault.FAILED
    return Ev1Session(session_key(rnd_a, rnd_b))
