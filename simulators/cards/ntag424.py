"""NTAG 424 DNA: one application, five AES keys, three files, EV2 secure messaging, Secure Unique NFC messages.

Source: NXP's public notes AN12196 (and AN12321 for what it leaves out). Commands only after ISO SELECT of the
application D2760000850101. Secure Unique NFC mirrors the enciphered UID and counter and the MAC into the NDEF file.
Not here: LRP, tag tamper, the reading counter's limit.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from simulators.cards.channels import WRONG_LENGTH, Channel, Refused
from simulators.cards.crypto import ZERO_BLOCK, cmac, encrypt, short_mac
from simulators.cards.desfire import (
    BAD_VALUE,
    DENIED,
    FREE,
    NOT_AUTHENTICATED,
    Application,
    CardKey,
    SecureCard,
    StdFile,
    Step,
    rights_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

APPLICATION_NAME = bytes.fromhex("d2760000850101")
KEYS = 5
VERSION = bytes.fromhex("04040230001105 04040201021105")
CAPABILITY = bytes.fromhex("001720010000ff0406e10401000000 0506e10500808283000000000000000000")
FILE_NUMBERS = {0xE103: 1, 0xE104: 2, 0xE105: 3}
SDM_ON, PICC_ENCIPHERED = 0x40, 0x02


def factory_files() -> dict[int, StdFile]:
    """As they leave the factory: capability container, NDEF, proprietary (AN12196 table 1)."""
    return {
        1: StdFile(mode=0, access=(FREE, 0, 0, 0), content=bytearray(CAPABILITY[:32].ljust(32, b"\x00"))),
        2: StdFile(mode=0, access=(FREE, FREE, FREE, 0), content=bytearray(256)),
        3: StdFile(mode=3, access=(2, 3, 3, 0), content=bytearray(128)),
    }


class Ntag424(SecureCard):
    """One NTAG 424 DNA. `keys`: five, zeros at the factory."""

    __slots__ = ("_commands", "_home", "_iso_file", "_mirror", "reads")

    def __init__(
        self,
        uid: bytes,
        *,
        keys: dict[int, CardKey] | None = None,
        files: dict[int, StdFile] | None = None,
        signature: bytes = bytes(56),
        is_uid_random: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        ats = bytes.fromhex("067777710280")
        super().__init__(uid, signature=signature, is_uid_random=is_uid_random, ats=ats, random=random)
        if len(uid) != 7:
            raise ValueError(f"uid of {len(uid)} bytes: an NTAG 424 DNA has 7")
        all_keys = [CardKey()] * KEYS
        for number, key in (keys or {}).items():
            all_keys[number] = key
        self._home = Application(keys=all_keys, files=factory_files() | (files or {}))
        self._iso_file: StdFile | None = None
        self._mirror: bytes | None = None
        self.reads = 0
        self._commands = self._command_table()

    @property
    def keys(self) -> tuple[CardKey, ...]:
        """What the hands may see."""
        return tuple(self._home.keys)

    @property
    def files(self) -> dict[int, StdFile]:
        """What stands on it."""
        return self._home.files

    def _forget(self) -> None:
        super()._forget()
        self._held = self._iso_file = self._mirror = None

    def _knows(self, ins: int) -> bool:
        return ins in (0x71, 0x77)

    def _steps(self) -> dict[int, Step]:
        return self._commands if self._held is not None else {0x60: self._commands[0x60]}

    def _command_table(self) -> dict[int, Step]:
        return {
            0x51: Step(do=self._tell_uid, header=0, answer="full"),
            0x5C: Step(do=self._configure, header=1, command="full"),
            0x5F: Step(do=self._change_settings, header=1, command="full"),
            0x60: Step(do=lambda _h, _p: self._version(VERSION), header=None),
            0x64: Step(do=self._tell_key_version, header=None),
            0x3C: Step(do=self._tell_signature, header=1, answer="full"),
            0xC4: Step(do=self._change_key, header=1, command="key"),
            0xF5: Step(do=self._tell_settings, header=None),
            0xAD: Step(do=self._read, header=7),
            0x8D: Step(do=self._write, header=7),
        }

    def exchange(self, command: bytes) -> bytes | None:
        """One APDU; this card knows no native frames."""
        if not command:
            return None
        return super().exchange(command) if command[0] in (0x00, 0x90) else b"\x6e\x00"

    # -- ISO/IEC 7816-4 -------------------------------------------------------------------------------------------

    def _iso(self, apdu: bytes) -> bytes:
        if len(apdu) >= 5 and apdu[1] == 0xB0:
            return self._read_binary(apdu[2] << 8 | apdu[3], apdu[4])
        return super()._iso(apdu)

    def _select_name(self, how: int, name: bytes) -> bytes:
        if how == 0x04 and name == APPLICATION_NAME:
            self._drop()
            self._held = self._home
            self._iso_file = None
            return b"\x90\x00"
        number = FILE_NUMBERS.get(int.from_bytes(name, "big")) if how in (0x00, 0x02) and len(name) == 2 else None
        if number is None or self._held is None:
            return b"\x6a\x82"
        self._iso_file = self._home.files[number]
        self._mirror = self._mirrored(self._iso_file)
        return b"\x90\x00"

    def _read_binary(self, at: int, count: int) -> bytes:
        file = self._iso_file
        if file is None or at & 0x8000:
            return b"\x69\x86"
        if FREE not in file.opened_by(writing=False):
            return b"\x69\x82"
        whole = bytes(file.content) if self._mirror is None else self._mirror
        return whole[at : at + (count or 256)] + b"\x90\x00" if at < len(whole) else b"\x6b\x00"

    # -- what only this card has ----------------------------------------------------------------------------------

    def _change_key(self, header: bytes, payload: bytes) -> bytes:
        channel: Channel | None = self._channel
        if channel is None or channel.key_no != 0:
            raise Refused(NOT_AUTHENTICATED)
        if len(header) != 1 or len(payload) < 17:
            raise Refused(WRONG_LENGTH)
        key_no = header[0]
        old = None if key_no == 0 else self._key(key_no).value
        new = channel.changed_key(key_no, payload, 17, old)
        self._home.keys[key_no] = CardKey(value=new[:16], version=new[16])
        if key_no == 0:
            self._channel = None
        return b""

    def _configure(self, header: bytes, payload: bytes) -> bytes:
        if self._channel is None or self._channel.key_no != 0:
            raise Refused(NOT_AUTHENTICATED)
        if header != b"\x00" or len(payload) != 1:
            raise Refused(BAD_VALUE)
        self.is_uid_random = self.is_uid_random or bool(payload[0] & 0x02)
        return b""

    def _change_settings(self, header: bytes, payload: bytes) -> bytes:
        super()._change_settings(header, payload)
        file = self._home.files[header[0]]
        file.mirror = payload[3:] if payload[0] & SDM_ON else b""
        return b""

    def _tell_settings(self, header: bytes, payload: bytes) -> bytes:
        settings = super()._tell_settings(header, payload)
        return settings + self._home.files[header[0]].mirror

    def _mirrored(self, file: StdFile) -> bytes | None:
        """The NDEF file as this one reading shows it: PICC data enciphered, MAC over what the settings say."""
        if not file.mode & SDM_ON or not file.mirror:
            return None
        plan = _SdmPlan(file.mirror)
        if plan.meta_key >= FREE or plan.file_key >= FREE:
            return None
        self.reads += 1
        counter = self.reads.to_bytes(3, "little")
        shown = bytearray(file.content)
        secret = b"\xc7" + self.real_uid + counter + self._random(5)
        enciphered = encrypt("aes", self._key(plan.meta_key).value, ZERO_BLOCK, secret)
        _put(shown, plan.picc_at, enciphered)
        vector = b"\x3c\xc3\x00\x01\x00\x80" + self.real_uid + counter
        session_key = cmac("aes", self._key(plan.file_key).value, vector)
        covered = bytes(shown[plan.mac_from : plan.mac_at])
        _put(shown, plan.mac_at, short_mac(cmac("aes", session_key, covered)))
        return bytes(shown)


class _SdmPlan:
    """AN12196 §5.9: SDM options, access rights, offsets. Only the enciphered mirror of UID and counter."""

    def __init__(self, settings: bytes) -> None:
        if len(settings) < 12:
            raise Refused(BAD_VALUE)
        self.file_key, self.meta_key = settings[1] & 0x0F, settings[2] >> 4
        numbers = [int.from_bytes(settings[at : at + 3], "little") for at in (3, 6, 9)]
        self.picc_at, self.mac_from, self.mac_at = numbers


def _put(shown: bytearray, at: int, value: bytes) -> None:
    """As hexadecimal digits, where they still fit."""
    digits = value.hex().upper().encode()
    if at + len(digits) > len(shown):
        raise Refused(DENIED)
    shown[at : at + len(digits)] = digits


__all__ = ["APPLICATION_NAME", "Ntag424", "factory_files", "rights_of"]
