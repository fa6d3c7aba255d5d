"""FeliCa Lite-S: blocks, the card key, MAC and MAC_A both ways, external authentication.

Source: Sony, FeliCa Lite-S User's Manual (public). Commands come without their length byte, command code first.
Owns one card's blocks. Not here: REG's subtraction rule, NDEF compatibility, the CRC check's real sum.
"""

from __future__ import annotations

from simulators.cards.crypto import felica_mac
from simulators.cards.plain import FelicaCard

RC, MAC, ID, D_ID, SER_C, SYS_C, CKV, CK, MC = range(0x80, 0x89)
WCNT, MAC_A, STATE, CRC_CHECK = 0x90, 0x91, 0x92, 0xA0
PAD_BLOCKS = range(0x0F)
SYSTEM_BLOCKS = (ID, SER_C, CKV, CK, MC)
READABLE = frozenset((*PAD_BLOCKS, *range(RC, MC + 1), WCNT, MAC_A, STATE, CRC_CHECK))
READ_SERVICES, WRITE_SERVICES = (0x000B, 0x0009), (0x0009,)
FACTORY_MC = bytes.fromhex("ffffff01070000000000000000000000")
LITE_S_PMM = bytes.fromhex("00f1000000014300")
READ_BLOCKS_MAX, WRITE_BLOCKS_MAX = 4, 2
REFUSED_BLOCK, REFUSED_SERVICE, BAD_COUNT, WRONG_MAC, NOT_READY = 0xA8, 0xA6, 0xA2, 0xB2, 0xB1


class _BlockFault(Exception):
    def __init__(self, code: int, place: int = 0x01) -> None:
        super().__init__(f"{code:02X}")
        self.flags = bytes((place, code))


class FelicaLiteS(FelicaCard):
    """One card. `card_key`: block CK, sixteen bytes as they are written there; `key_version`: CKV."""

    __slots__ = ("_challenge", "_has_outer", "blocks", "writes")

    def __init__(
        self,
        idm: bytes,
        *,
        card_key: bytes = bytes(16),
        key_version: int = 0,
        blocks: dict[int, bytes] | None = None,
        is_locked: bool = False,
    ) -> None:
        """`is_locked`: issued, its system blocks and key closed for good."""
        super().__init__(idm=idm, pmm=LITE_S_PMM)
        self.blocks: dict[int, bytes] = {number: bytes(16) for number in PAD_BLOCKS}
        self.blocks |= {
            ID: idm + bytes(8),
            D_ID: idm + LITE_S_PMM,
            SER_C: b"\x0b\x00" + bytes(14),
            SYS_C: b"\x88\xb4" + bytes(14),
            CKV: key_version.to_bytes(2, "little") + bytes(14),
            CK: card_key,
            MC: (FACTORY_MC[:2] + b"\x00" + FACTORY_MC[3:]) if is_locked else FACTORY_MC,
        }
        self.blocks |= blocks or {}
        self.writes = 0
        self._challenge = bytes(16)
        self._has_outer = False

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def activate(self) -> None:
        """A poll changes nothing: only the field's loss does."""

    def field_lost(self) -> None:
        """The challenge and the authentication are gone."""
        self._challenge = bytes(16)
        self._has_outer = False

    def exchange(self, command: bytes) -> bytes | None:
        """One command."""
        if command[:1] == b"\x00" and len(command) == 5:
            return self._polled(command)
        if len(command) < 14 or command[1:9] != self.idm or command[0] not in (0x06, 0x08):
            return None
        try:
            reply = self._read(command) if command[0] == 0x06 else self._write(command)
        except _BlockFault as fault:
            reply = fault.flags
        return bytes((command[0] + 1,)) + self.idm + reply

    def _polled(self, command: bytes) -> bytes | None:
        if not self.answers_to(command[1:3]):
            return None
        return b"\x01" + self.idm + self.pmm + (self.system_code if command[3] == 0x01 else b"")

    # -- requests -------------------------------------------------------------------------------------------------

    def _asked(self, command: bytes, services: tuple[int, ...], most: int) -> tuple[list[int], bytes]:
        """The block numbers asked for, and what stands behind the list."""
        if command[9] != 1:
            raise _BlockFault(0xA1, 0xFF)
        if int.from_bytes(command[10:12], "little") not in services:
            raise _BlockFault(REFUSED_SERVICE)
        count, at = command[12], 13
        if not 1 <= count <= most:
            raise _BlockFault(BAD_COUNT, 0xFF)
        numbers = []
        for _ in range(count):
            size = 2 if command[at : at + 1] >= b"\x80" else 3
            element = command[at : at + size]
            if len(element) < size:
                raise _BlockFault(BAD_COUNT, 0xFF)
            numbers.append(int.from_bytes(element[1:], "little"))
            at += size
        return numbers, command[at:]

    def _read(self, command: bytes) -> bytes:
        numbers, rest = self._asked(command, READ_SERVICES, READ_BLOCKS_MAX)
        if rest:
            raise _BlockFault(BAD_COUNT, 0xFF)
        shown = b""
        for place, number in enumerate(numbers):
            shown += self._shown(number, numbers, shown, place)
        return b"\x00\x00" + bytes((len(numbers),)) + shown

    def _shown(self, number: int, numbers: list[int], before: bytes, place: int) -> bytes:
        if number not in READABLE or (self._rule(number, 6) and not self._has_outer):
            raise _BlockFault(REFUSED_BLOCK, 1 << place)
        if number == MAC:
            return felica_mac(self.blocks[CK], self._challenge, before) + bytes(8)
        if number == MAC_A:
            listed = b"".join(one.to_bytes(2, "little") for one in numbers).ljust(8, b"\xff")
            return felica_mac(self.blocks[CK], self._challenge, listed + before) + bytes(8)
        if number == STATE:
            return bytes((self._has_outer,)) + bytes(15)
        if number == WCNT:
            return self._counter + bytes(13)
        if number in (RC, CK, CRC_CHECK):
            return bytes(16)
        return self.blocks[number]

    def _write(self, command: bytes) -> bytes:
        numbers, content = self._asked(command, WRITE_SERVICES, WRITE_BLOCKS_MAX)
        if len(content) != 16 * len(numbers):
            raise _BlockFault(BAD_COUNT, 0xFF)
        number, block = numbers[0], content[:16]
        has_mac = len(numbers) == 2
        if has_mac:
            self._check_mac(numbers, content)
        self._store(number, block, has_mac=has_mac)
        return b"\x00\x00"

    # -- rules ----------------------------------------------------------------------------------------------------

    @property
    def _counter(self) -> bytes:
        return self.writes.to_bytes(3, "little")

    def _rule(self, number: int, at: int) -> bool:
        """MC's bit for a user block: 6 reading, 8 writing wants external authentication, 10 writing wants a MAC."""
        return number in PAD_BLOCKS and bool(int.from_bytes(self.blocks[MC][at : at + 2], "little") >> number & 1)

    def _check_mac(self, numbers: list[int], content: bytes) -> None:
        if numbers[1] != MAC_A:
            raise _BlockFault(REFUSED_BLOCK, 0x02)
        lead = self._counter + b"\x00" + bytes((numbers[0] & 0xFF, 0x00, MAC_A, 0x00))
        wanted = felica_mac(self.blocks[CK], self._challenge, lead + content[:16], is_write=True)
        if content[16:24] != wanted or content[24:27] != self._counter:
            raise _BlockFault(WRONG_MAC, 0x02)

    def _store(self, number: int, block: bytes, *, has_mac: bool) -> None:
        if number == RC and not has_mac:
            self._challenge, self._has_outer = block, False
            return
        if not self._may_write(number, has_mac=has_mac):
            raise _BlockFault(REFUSED_BLOCK)
        self.writes += 1
        if number == STATE:
            self._has_outer = block[0] == 0x01
            return
        self.blocks[number] = self.idm + block[8:] if number == ID else block

    def _may_write(self, number: int, *, has_mac: bool) -> bool:
        rules = self.blocks[MC]
        if number == STATE:
            return has_mac
        if number in PAD_BLOCKS:
            is_open = bool(int.from_bytes(rules[:2], "little") >> number & 1)
            return (
                is_open and (not self._rule(number, 8) or self._has_outer) and (not self._rule(number, 10) or has_mac)
            )
        if number in (CK, CKV) and rules[2] != 0xFF:
            return bool(rules[5] & 0x01) and has_mac and self._has_outer
        return number in SYSTEM_BLOCKS and rules[2] == 0xFF
