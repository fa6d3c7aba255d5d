"""A panel by hand, on a virtual clock: says what a test tells it to say, wrong things too."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from simulators.osdp.frames import Frame, Scanner, close, opening
from simulators.osdp.secure import SessionKeys

RANDOM = bytes.fromhex("b0b1b2b3b4b5b6b7")


class Panel:
    """One panel that talks to one address of a core."""

    def __init__(self, core, address: int = 0, *, now_ms: int = 1000, has_crc: bool = True) -> None:
        self.core = core
        self.address = address
        self.now_ms = now_ms
        self.keys: SessionKeys | None = None
        self.said = b""
        self._has_crc = has_crc
        self._sequence = 0
        self._ears = Scanner()
        self._command_mac = self._reply_mac = b""

    def wait(self, ms: int) -> bytes:
        """Let time pass, in steps that a reader asked for; what it said meanwhile."""
        until, said = self.now_ms + ms, b""
        while (at := self.core.deadline()) is not None and at <= until:
            self.now_ms = max(self.now_ms, at)
            self.core.tick(self.now_ms)
            said += self.core.outgoing()
        self.now_ms = until
        self.core.tick(until)
        return said + self.core.outgoing()

    def push(self, raw: bytes) -> list[Frame]:
        """Put bytes on the line and gather the whole frames that come back."""
        self.said = raw
        self.core.receive(raw, self.now_ms)
        return self.read(self.core.outgoing())

    def read(self, raw: bytes) -> list[Frame]:
        """Whole frames in what came."""
        self._ears.feed(raw, self.now_ms)
        found = []
        while (one := self._ears.take()) is not None:
            found.append(one)
        return found

    def next_sequence(self) -> int:
        """0, 1, 2, 3, 1, 2, 3, …"""
        sequence, self._sequence = self._sequence, self._sequence % 3 + 1
        return sequence

    def restart(self) -> None:
        """Begin again at sequence 0, without a channel."""
        self._sequence, self.keys = 0, None

    def make(self, code: int, body: bytes = b"", *, block: bytes = b"", sequence: int | None = None) -> bytes:
        """A command in clear text."""
        control = (self.next_sequence() if sequence is None else sequence) | (4 if self._has_crc else 0)
        tail = 2 if self._has_crc else 1
        return close(opening(self.address, control, block, bytes((code,)) + body, tail), has_crc=self._has_crc)

    def make_secure(self, code: int, body: bytes = b"") -> bytes:
        """A command inside the channel."""
        assert self.keys is not None
        control = self.next_sequence() | (4 if self._has_crc else 0)
        content = body
        if body:
            padded = body + b"\x80" + bytes(-(len(body) + 1) % 16)
            content = self._cipher(self._reply_mac).encryptor().update(padded)
        signed = opening(
            self.address,
            control,
            bytes((0x17 if body else 0x15,)),
            bytes((code,)) + content,
            6 if self._has_crc else 5,
        )
        self._command_mac = self.keys.mac(self._reply_mac, signed)
        return close(signed + self._command_mac[:4], has_crc=self._has_crc)

    def say(self, code: int, body: bytes = b"", *, block: bytes = b"") -> Frame | None:
        """Say a command in clear text; the one answer, if one came."""
        return self._one(self.push(self.make(code, body, block=block)))

    def ask(self, code: int, body: bytes = b"") -> tuple[int, bytes]:
        """Say a command inside the channel; code and body of the answer, its MAC checked."""
        answer = self._one(self.push(self.make_secure(code, body)))
        assert answer is not None, "no answer"
        return self.open(answer)

    def open(self, answer: Frame) -> tuple[int, bytes]:
        """Check and decipher an answer; (code, body). A clear one ends the channel."""
        assert self.keys is not None
        if not answer.block:
            self.keys = None
            return answer.code, answer.body
        made = self.keys.mac(self._command_mac, answer.signed)
        assert made[:4] == answer.mac, "wrong MAC"
        body = answer.body
        if answer.block[0] == 0x18:
            plain = self._cipher(self._command_mac).decryptor().update(body).rstrip(b"\0")
            assert plain[-1:] == b"\x80"
            body = plain[:-1]
        self._reply_mac = made
        return answer.code, body

    def connect(self, key: bytes, *, is_default: bool = False) -> bool:
        """Build the channel up. True = it stands and the reader proved its key."""
        self.restart()
        self.say(0x61, b"\0")
        answer = self.say(0x76, RANDOM, block=bytes((0x11, int(not is_default))))
        if answer is None or answer.code != 0x76:
            return False
        keys, reader_random = SessionKeys.of(key, RANDOM), answer.body[8:16]
        is_proved = answer.body[16:] == keys.client_cryptogram(RANDOM, reader_random)
        cryptogram = keys.server_cryptogram(RANDOM, reader_random)
        answer = self.say(0x77, cryptogram, block=bytes((0x13, int(not is_default))))
        self.keys, self._reply_mac = keys, keys.first_reply_mac(cryptogram)
        return is_proved and answer is not None and answer.block == b"\x14\x01" and answer.body == self._reply_mac

    def _cipher(self, mac: bytes):
        return Cipher(algorithms.AES(self.keys.enc), modes.CBC(bytes(byte ^ 0xFF for byte in mac)))

    @staticmethod
    def _one(found: list[Frame]) -> Frame | None:
        assert len(found) <= 1, found
        return found[0] if found else None
