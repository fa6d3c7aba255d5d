"""A PN532 written for the tests: it frames by itself, and its field answers what the test says."""

from __future__ import annotations

from collections.abc import Callable

from readers.protocols.pn532 import Pn532Reader

ACK = bytes.fromhex("0000FF00FF00")
DESFIRE_UID = bytes.fromhex("04112233445566")
DESFIRE = bytes.fromhex("4B 01 01 0344 20 07") + DESFIRE_UID + bytes.fromhex("067577810280")
FELICA_IDM = bytes.fromhex("0102030405060708")
FELICA = bytes.fromhex("4B 01 01 14 01") + FELICA_IDM + bytes.fromhex("0F1E2D3C4B5A6978 88B4")
RANDOM_A = bytes.fromhex("4B 01 01 0344 20 04 081B2C3D 067577810280")
RANDOM_B = bytes.fromhex("4B 01 01 0344 20 04 0855AA33 067577810280")
TWO = bytes.fromhex("4B 02 01 0344 20 07") + DESFIRE_UID + bytes.fromhex("067577810280 02 0004 08 04 04A1B2C3")
NOTHING = b"\x4b\x00"


def framed(body: bytes) -> bytes:
    """`body` from the chip, D5 put before it."""
    body = b"\xd5" + body
    if len(body) > 255:
        high, low = divmod(len(body), 256)
        head = bytes((0xFF, 0xFF, high, low, -(high + low) & 0xFF))
    else:
        head = bytes((len(body), -len(body) & 0xFF))
    return b"\x00\x00\xff" + head + body + bytes((-sum(body) & 0xFF, 0))


def bodies(sent: bytes) -> list[bytes]:
    """The commands in what the host sent, without D4; ACK, NACK and wake-up left out."""
    found = []
    while (at := sent.find(b"\x00\x00\xff")) >= 0:
        sent = sent[at + 3 :]
        if sent[:2] == b"\xff\xff":
            size, head = sent[2] * 256 + sent[3], 5
        elif sent[:2] in (b"\x00\xff", b"\xff\x00"):
            sent = sent[2:]
            continue
        else:
            size, head = sent[0], 2
        body = sent[head : head + size]
        assert sum(sent[head : head + size + 1]) & 0xFF == 0, "our own sum is wrong"
        assert body[0] == 0xD4
        found.append(body[1:])
        sent = sent[head + size + 1 :]
    return found


class Field:
    """Reader, chip and clock. `polls`: what the chip answers to a poll of type A, of FeliCa; `card`: to an exchange."""

    def __init__(self, card: Callable[[bytes], bytes | None] | None = None, **options: object) -> None:
        self.reader = Pn532Reader("r", **options)
        self.card = card or (lambda _: b"\x01")
        self.polls = {0x00: NOTHING, 0x01: NOTHING, 0x02: NOTHING}
        self.now_ms = 1_000
        self.told: list[object] = []
        self.commands: list[bytes] = []
        self.is_mute = False
        self.reader.connection_made(self.now_ms)

    def place(self, found: bytes) -> None:
        self.polls[0x01 if found[3] in (18, 20) and found[4] == 1 else 0x00] = found

    def take(self) -> None:
        self.polls = dict.fromkeys(self.polls, NOTHING)

    def answer(self, command: bytes) -> bytes | None:
        if self.is_mute:
            return None
        if command[0] == 0x4A:
            return self.polls[command[2]]
        if command[0] == 0x40:
            said = self.card(command[1:])
            return None if said is None else b"\x41" + said
        return bytes((command[0] + 1,)) + (b"\x00" if command[0] == 0x52 else b"")

    def run(self, for_ms: int = 300) -> list[object]:
        """What was told in this time."""
        told: list[object] = []
        end_ms = self.now_ms + for_ms
        while self.now_ms < end_ms:
            told += self.settle()
            due_ms = self.reader.deadline()
            assert due_ms is not None
            if due_ms > self.now_ms:
                self.now_ms = min(due_ms, end_ms)
            told += self.reader.tick(self.now_ms)
        told += self.settle()
        self.told += told
        return told

    def settle(self, until: int | None = None) -> list[object]:
        """Answer what the reader sends until it is quiet, or until it sends the command `until`, which waits."""
        told: list[object] = []
        while commands := bodies(self.reader.data_to_send()):
            for command in commands:
                self.commands.append(command)
                if command[0] == until:
                    return told
                said = self.answer(command)
                told += self.reader.receive_data(ACK + (b"" if said is None else framed(said)), self.now_ms)
        return told

    def until_sent(self, code: int) -> None:
        """Up to the moment at which this command is on the line and not yet answered."""
        for _ in range(100):
            self.settle(until=code)
            if self.commands and self.commands[-1][0] == code:
                return
            self.now_ms = max(self.now_ms, self.reader.deadline() or 0)
            self.reader.tick(self.now_ms)
        raise AssertionError(f"command {code:02X} was never sent")

    def exchanges(self) -> list[bytes]:
        """What was sent to the card, target byte first."""
        return [command[1:] for command in self.commands if command[0] == 0x40]


class Machine:
    """Says its commands in turn, keeps the answers, ends in `outcome`; silence ends it in `silent`."""

    def __init__(self, commands: list[bytes], outcome: object, silent: object) -> None:
        self._commands = list(commands)
        self._outcome = outcome
        self._silent = silent
        self.heard: list[bytes | None] = []

    def begin(self) -> bytes:
        return self._commands.pop(0)

    def answer(self, response: bytes | None) -> object:
        self.heard.append(response)
        if response is None:
            return self._silent
        return self._commands.pop(0) if self._commands else self._outcome
