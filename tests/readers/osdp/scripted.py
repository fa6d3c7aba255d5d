"""A reader written by hand for the tests of our control panel: its own frames, its own AES, and a line in virtual time.

It shares no code with the product. What it must do wrong for a test is an attribute here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from readers.protocols.osdp import OsdpBus, PdPlan

KEY = bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b")
OTHER_KEY = bytes.fromhex("5b1ec07746d2a8913f60e4bb0d27fa83")
DEFAULT_KEY = bytes.fromhex("303132333435363738393a3b3c3d3e3f")
PDID = bytes.fromhex("0A0B0C010278563412030201")
PDCAP = bytes.fromhex("0102040204040301000401010501010601010801000901000A0004100200")
CLEAR_PDCAP = bytes.fromhex("030100040101080100090000")
ACK = (0x40, b"")


def crc16(message: bytes) -> bytes:
    value = 0x1D0F
    for byte in message:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021) & 0xFFFF if value & 0x8000 else value << 1
    return bytes((value & 0xFF, value >> 8))


def ecb(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def cbc(key: bytes, iv: bytes, plain: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor().update(plain)


def uncbc(key: bytes, iv: bytes, sealed: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor().update(sealed)


def inverted(block: bytes) -> bytes:
    return bytes(255 - byte for byte in block)


def reply(address: int, sequence: int, code: int, body: bytes = b"", block: bytes = b"", mac: bytes = b"") -> bytes:
    """A reply frame with CRC, whatever is put into it."""
    size = 5 + len(block) + 1 + len(body) + len(mac) + 2
    head = bytes((0x53, 0x80 | address, size & 255, size >> 8, sequence | 4 | (8 if block else 0)))
    message = head + block + bytes((code,)) + body + mac
    return message + crc16(message)


@dataclass
class ScriptedPd:
    """One reader. `polls`: what it answers to the next polls. `heard`: code and plain body of every command."""

    address: int = 0
    key: bytes = KEY
    pdid: bytes = PDID
    pdcap: bytes = PDCAP
    clear_pdcap: bytes | None = None
    polls: list[tuple[int, bytes]] = field(default_factory=list)
    answers: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    is_silent: bool = False
    latency_ms: int = 2
    has_secure: bool = True
    nak_handshake: int = 0
    key_flag: int | None = None
    first_mac_flag: int = 1
    is_default_key_taken: bool = False
    spoil_macs: int = 0
    busy: int = 0
    heard: list[tuple[int, bytes]] = field(default_factory=list)
    is_secure: bool = False
    sessions: int = 0
    baud: int = 9600
    pd_random: bytes = bytes.fromhex("A0A1A2A3A4A5A6A7")

    def restart(self) -> None:
        """Power off and on."""
        self.is_secure = False
        self.last = (-1, b"")

    def __post_init__(self) -> None:
        self.restart()

    def take(self, raw: bytes) -> bytes:
        """One whole command frame → one reply frame, or nothing."""
        assert raw[0] == 0x53 and crc16(raw[:-2]) == raw[-2:] and len(raw) == raw[2] + 256 * raw[3]
        sequence = raw[4] & 3
        if self.is_silent or raw[1] != self.address:
            return b""
        if self.busy:
            self.busy -= 1
            return reply(self.address, 0, 0x79)
        if (sequence, raw) == self.last and sequence:
            return self.last_answer
        self.last = (sequence, raw)
        self.last_answer = self._answer(raw, sequence)
        return self.last_answer

    def _answer(self, raw: bytes, sequence: int) -> bytes:
        if sequence == 0:
            self.is_secure = False
        block = raw[5 : 5 + raw[5]] if raw[4] & 8 else b""
        at = 5 + len(block)
        if not block:
            return self._clear(raw[at], raw[at + 1 : -2], sequence)
        if block[1] < 0x15:
            return self._handshake(raw[at], block, raw[at + 1 : -2], sequence)
        if not self.is_secure:
            self.heard.append((raw[at], b""))
            return reply(self.address, sequence, 0x41, b"\x06")
        whole = self._mac(self.r_mac, raw[:-6])
        if whole[:4] != raw[-6:-2]:
            self.is_secure = False
            return reply(self.address, sequence, 0x41, b"\x06")
        self.c_mac = whole
        body = raw[at + 1 : -6]
        if body:
            body = uncbc(self.enc, inverted(self.r_mac), body).rstrip(b"\0")[:-1]
        self.heard.append((raw[at], body))
        return self._sealed(sequence, *self._obey(raw[at], body))

    def _clear(self, code: int, body: bytes, sequence: int) -> bytes:
        self.heard.append((code, body))
        if code == 0x61:
            return reply(self.address, sequence, 0x45, self.pdid)
        if code == 0x62:
            return reply(self.address, sequence, 0x46, self.pdcap if self.clear_pdcap is None else self.clear_pdcap)
        return reply(self.address, sequence, 0x41, b"\x06")

    def _handshake(self, code: int, block: bytes, body: bytes, sequence: int) -> bytes:
        self.heard.append((code, body))
        if not self.has_secure or self.nak_handshake:
            return reply(self.address, sequence, 0x41, bytes((self.nak_handshake or 5,)))
        if code == 0x76:
            if block[2] == 0 and not self.is_default_key_taken:
                return reply(self.address, sequence, 0x41, b"\x06")
            key = DEFAULT_KEY if block[2] == 0 else self.key
            six = body[:6] + bytes(8)
            self.enc, self.mac1, self.mac2 = (ecb(key, head + six) for head in (b"\x01\x82", b"\x01\x01", b"\x01\x02"))
            self.server = ecb(self.enc, self.pd_random + body)
            flag = block[2] if self.key_flag is None else self.key_flag
            proof = ecb(self.enc, body + self.pd_random)
            return reply(self.address, sequence, 0x76, bytes(8) + self.pd_random + proof, bytes((3, 0x12, flag)))
        if body != self.server:
            return reply(self.address, sequence, 0x41, b"\x06")
        self.r_mac = ecb(self.mac2, ecb(self.mac1, self.server))
        self.is_secure = True
        self.sessions += 1
        return reply(self.address, sequence, 0x78, self.r_mac, bytes((3, 0x14, self.first_mac_flag)))

    def _obey(self, code: int, body: bytes) -> tuple[int, bytes]:
        if code in self.answers:
            return self.answers[code]
        if code == 0x60:
            return self.polls.pop(0) if self.polls else ACK
        if code == 0x75:
            self.key, self.is_default_key_taken = body[2:], False
        if code == 0x6E:
            self.baud = int.from_bytes(body[1:5], "little")
            return 0x54, body
        fixed = {0x61: (0x45, self.pdid), 0x62: (0x46, self.pdcap), 0x64: (0x48, b"\0\0"), 0x65: (0x49, bytes(4))}
        return fixed.get(code, ACK)

    def _mac(self, before: bytes, message: bytes) -> bytes:
        if len(message) % 16:
            message += b"\x80" + bytes(-(len(message) + 1) % 16)
        if len(message) > 16:
            before = cbc(self.mac1, before, message[:-16])[-16:]
        return ecb(self.mac2, bytes(a ^ b for a, b in zip(before, message[-16:], strict=True)))

    def _sealed(self, sequence: int, code: int, body: bytes) -> bytes:
        if body:
            padded = body + b"\x80" + bytes(-(len(body) + 1) % 16)
            body = cbc(self.enc, inverted(self.c_mac), padded)
        block = bytes((2, 0x18 if body else 0x16))
        size = 5 + 2 + 1 + len(body) + 4 + 2
        covered = (
            bytes((0x53, 0x80 | self.address, size & 255, size >> 8, sequence | 12)) + block + bytes((code,)) + body
        )
        self.r_mac = self._mac(self.c_mac, covered)
        mac = self.r_mac[:4]
        if self.spoil_macs:
            self.spoil_macs -= 1
            mac = inverted(mac)
        message = covered + mac
        return message + crc16(message)

    def codes(self) -> list[int]:
        """Codes of the commands heard."""
        return [code for code, _ in self.heard]


class Dice:
    """Randomness that a test can foresee, and that never repeats."""

    def __init__(self) -> None:
        self.thrown = 0

    def __call__(self, size: int) -> bytes:
        self.thrown += 1
        return (self.thrown.to_bytes(2, "big") * size)[:size]


class Bench:
    """A bus, its readers, and a line in virtual time. `wire`: what becomes of each reply on its way to us."""

    def __init__(self, *pds: ScriptedPd, plans: list[PdPlan] | None = None, **options: object) -> None:
        self.pds = {pd.address: pd for pd in pds}
        self.plans = plans or [PdPlan(source=f"r{pd.address}", address=pd.address, key=pd.key) for pd in pds]
        self.dice = Dice()
        options.setdefault("baud", 9600)
        self.bus = OsdpBus("bus", self.plans, random=self.dice, **options)
        self.now_ms = 1_000
        self.told: list[object] = []
        self.sent: list[bytes] = []
        self.on_its_way: list[tuple[int, bytes]] = []
        self.wire: Callable[[bytes], bytes] = lambda raw: raw
        self.bus.connection_made(self.now_ms)

    def run(self, for_ms: int) -> list[object]:
        """Let time pass; what was told meanwhile."""
        before, end_ms = len(self.told), self.now_ms + for_ms
        while self._once(end_ms):
            pass
        self.now_ms = end_ms
        return self.told[before:]

    def until(self, is_so: Callable[[], bool], within_ms: int = 20_000) -> int:
        """Let time pass until something is so; how long it took."""
        began_ms = self.now_ms
        while not is_so():
            assert self._once(began_ms + within_ms), f"not within {within_ms} ms; told {self.told}"
        return self.now_ms - began_ms

    def online(self) -> None:
        """Until all are online and their first second is over."""
        self.until(lambda: all(self.bus.standing(plan.source).is_online for plan in self.plans))
        self.run(1_500)
        self.told.clear()

    def _once(self, end_ms: int) -> bool:
        self._carry()
        times = [at_ms for at_ms, _ in self.on_its_way[:1]]
        due_ms = self.bus.deadline()
        if due_ms is not None:
            times.append(max(due_ms, self.now_ms))
        if not times or min(times) > end_ms:
            return False
        self.now_ms = max(self.now_ms, min(times))
        if self.on_its_way and self.on_its_way[0][0] <= self.now_ms:
            self.told += self.bus.receive_data(self.on_its_way.pop(0)[1], self.now_ms)
        else:
            self.told += self.bus.tick(self.now_ms)
        self._carry()
        return True

    def _carry(self) -> None:
        raw = self.bus.data_to_send()
        if not raw:
            return
        assert raw[0] == 0xFF
        self.sent.append(raw[1:])
        pd = self.pds.get(raw[2])
        if pd is None:
            return
        answer = pd.take(raw[1:])
        if answer and (answer := self.wire(answer)):
            line_ms = (len(raw) + len(answer)) * 10_000 // self.bus.baud + 1
            self.on_its_way.append((self.now_ms + line_ms + pd.latency_ms, answer))

    def of(self, kind: type) -> list[object]:
        """What was told of one kind."""
        return [event for event in self.told if isinstance(event, kind)]
