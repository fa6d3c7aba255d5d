"""What the site says about a reader on an OSDP bus, and how it stands: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from readers.events import Distrust
from readers.protocols.osdp.crypto import refuse_weak_key
from readers.protocols.osdp.frames import ADDRESS_MAX

OFFLINE_AFTER_MS: Final = 2_000
"""Ten reply delays of the standard: a torn cable is told fast, a reader that was busy for a second is not called
gone.
"""
READER_ID_BYTES: Final = 32

Signal: TypeAlias = Literal["granted", "refused", "out_of_order", "enter_pin", "second_card", "not_read"]
"""What a reader can be made to show. Every refusal is "refused", whatever its reason."""
OfflineWhy: TypeAlias = Literal[
    "no answer",
    "line lost",
    "wrong key",
    "default key",
    "not commissioned",
    "installing",
    "replaced",
    "downgraded",
    "bad frames",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PdPlan:
    """One reader (PD) of a bus.

    `key`: its SCBK; None: not commissioned, it is not spoken to. `new_key`: one that it was to get when the program
    ended, and may have taken: it is tried too, and KeyRenewed tells. `identity`: what ReaderIdentified told when two
    people approved it; None: whatever stands there with the right key is told and taken. `inputs`: which line hangs on
    which input (from 0). `has_outputs`: something of ours hangs on its outputs; they are asked when it comes online.
    `pkoc_reader_id`: 32 bytes where the controller itself asks PKOC cards through this reader.

    Raises:
        ValueError: on an address out of range, or a key that can be guessed.
    """

    source: str
    address: int
    key: bytes | None = field(default=None, repr=False)
    new_key: bytes | None = field(default=None, repr=False)
    identity: str | None = None
    inputs: Mapping[int, str] = field(default_factory=dict)
    has_keypad: bool = False
    has_outputs: bool = False
    offline_after_ms: int = OFFLINE_AFTER_MS
    pkoc_reader_id: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.address <= ADDRESS_MAX:
            raise ValueError(f"{self.source}: an OSDP address is 0 to {ADDRESS_MAX}, not {self.address}")
        for key in (self.key, self.new_key):
            if key is not None:
                refuse_weak_key(key)
        if self.offline_after_ms < 500:
            raise ValueError(f"{self.source}: offline_after_ms must be at least 500: a reader may be busy that long")
        if self.pkoc_reader_id is not None and len(self.pkoc_reader_id) != READER_ID_BYTES:
            raise ValueError(f"{self.source}: a PKOC reader identifier has {READER_ID_BYTES} bytes")


@dataclass(slots=True, kw_only=True)
class Counts:
    """What happened since the start of the program. `strays`: replies that nobody had asked for."""

    polls: int = 0
    commands: int = 0
    retries: int = 0
    naks: int = 0
    last_nak: int = 0
    busy: int = 0
    bad_macs: int = 0
    strays: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a reader stands now, for diagnosis. `counts` is a copy."""

    source: str
    address: int
    state: str
    is_online: bool
    is_secure: bool
    is_installing: bool
    baud: int
    identity: str | None
    maker: str
    model: str
    serial: str
    firmware: str
    distrust: Distrust | None
    last_why: str
    reply_ms: int
    counts: Counts
