"""The numbers of OSDP 2.2.2 and who a reader says it is: codes of commands and replies, capabilities, identity.

Owns names for numbers, and no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

BROADCAST = 0x7F
SCBK_D = bytes(range(0x30, 0x40))  # Annex D: the key that everybody knows
OFFLINE_MS = 8000  # clause 5.7: after this silence the line is down, and the session with it
PAYLOAD_LIMIT = 1440
FRAME_MIN_MAX = 128  # clause 5.5: what every panel can take
OUI_PSIA = bytes.fromhex("1a9021")


class Command(IntEnum):
    """Panel to reader."""

    POLL = 0x60
    ID = 0x61
    CAP = 0x62
    LSTAT = 0x64
    ISTAT = 0x65
    OSTAT = 0x66
    RSTAT = 0x67
    OUT = 0x68
    LED = 0x69
    BUZ = 0x6A
    TEXT = 0x6B
    COMSET = 0x6E
    KEYSET = 0x75
    CHLNG = 0x76
    SCRYPT = 0x77
    ACURXSIZE = 0x7B
    FILETRANSFER = 0x7C
    MFG = 0x80
    ABORT = 0xA2
    KEEPACTIVE = 0xA7


class Reply(IntEnum):
    """Reader to panel."""

    ACK = 0x40
    NAK = 0x41
    PDID = 0x45
    PDCAP = 0x46
    LSTATR = 0x48
    ISTATR = 0x49
    OSTATR = 0x4A
    RSTATR = 0x4B
    RAW = 0x50
    FMT = 0x51
    KEYPAD = 0x53
    COM = 0x54
    CCRYPT = 0x76
    RMAC_I = 0x78
    BUSY = 0x79
    FTSTAT = 0x7A
    MFGREP = 0x90


class Nak(IntEnum):
    """Why a command is refused (table 47)."""

    CHECK = 0x01
    LENGTH = 0x02
    UNKNOWN = 0x03
    SEQUENCE = 0x04
    BLOCK = 0x05
    CONDITIONS = 0x06
    UNABLE = 0x09


class Colour(IntEnum):
    """What a LED can be."""

    black = 0
    red = 1
    green = 2
    amber = 3
    blue = 4
    magenta = 5
    cyan = 6
    white = 7


class Capability(IntEnum):
    """Function codes of Annex B."""

    INPUTS = 1
    OUTPUTS = 2
    CARD_FORMAT = 3
    LED = 4
    BUZZER = 5
    TEXT = 6
    TIME = 7
    CHECK = 8
    SECURITY = 9
    RECEIVE_SIZE = 10
    MESSAGE_SIZE = 11
    SMART_CARD = 12
    READERS = 13
    BIOMETRICS = 14
    SECURE_PIN = 15
    VERSION = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a reader says it is (osdp_PDID). All made up; the maker's code belongs to nobody."""

    vendor: bytes = bytes.fromhex("e5ca11")
    model: int = 1
    version: int = 1
    serial: int = 0x10203040
    firmware: tuple[int, int, int] = (1, 4, 2)

    def pdid(self) -> bytes:
        """Body of osdp_PDID."""
        fixed = self.vendor + bytes((self.model, self.version)) + self.serial.to_bytes(4, "little")
        return fixed + bytes(self.firmware)

    def client_uid(self) -> bytes:
        """The eight bytes of osdp_CCRYPT that name the reader."""
        return self.vendor + bytes((self.model,)) + self.serial.to_bytes(4, "little")
