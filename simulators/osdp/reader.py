"""An OSDP reader (PD) without I/O: its link layer, its key, its secure channel, and how it can misbehave.

Owns the address, the sequence numbers and the session; what commands mean is told by `functions`. Like a real reader it
repeats its last reply when a sequence number comes again, starts afresh at sequence 0, and forgets the session after
eight seconds of silence.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulators.osdp.frames import CRC_BIT, MAC_BYTES, MARK, REPLY_BIT, Frame, Scanner, close, opening
from simulators.osdp.functions import Functions, Make, Refused
from simulators.osdp.secure import Session, SessionKeys
from simulators.osdp.words import BROADCAST, OFFLINE_MS, SCBK_D, Command, Identity, Nak, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS_KEPT = 10_000
OPEN_COMMANDS = frozenset((Command.ID, Command.CAP, Command.CHLNG, Command.SCRYPT))
SCS_11, SCS_12, SCS_13, SCS_14, SCS_15, SCS_16, SCS_17, SCS_18 = range(0x11, 0x19)
KEY_BYTES = 16
RANDOM_BYTES = 8
BAUDS = (9600, 19200, 38400, 57600, 115200, 230400)


@dataclass(slots=True, kw_only=True)
class Mischief:
    """What is wrong with a reader, or done to it by an attacker. All off by default."""

    offers_no_security: bool = False  # a downgrade: no AES in osdp_PDCAP, no handshake
    answers_with: bytes | None = None  # makes its cryptograms with this key
    corrupts_macs: bool = False
    late_ms: int = 0
    naks_all: int | None = None
    is_busy: bool = False
    is_silent: bool = False
    holds_install_mode: bool = False  # takes the key that everybody knows, always, and forgets what it is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A command that came, after deciphering."""

    code: int
    body: bytes
    is_secure: bool


@dataclass(slots=True, kw_only=True)
class _Handshake:
    keys: SessionKeys
    expected: bytes  # the panel's cryptogram
    is_default: bool


class OsdpReader:
    """One reader. `note(what, detail, now_ms)` hears what it shows, switches and reads."""

    def __init__(  # noqa: PLR0913 - one argument a fact about a reader, all by name
        self,
        address: int,
        *,
        key: bytes | None,
        identity: Identity | None = None,
        make: Make | None = None,
        enforces_security: bool = True,
        has_mark: bool = True,
        baud: int = 9600,
        random: Callable[[int], bytes] = secrets.token_bytes,
        note: Callable[[str, dict[str, object], int], None] = lambda _what, _detail, _now_ms: None,
    ) -> None:
        """`key`: None = as it came from the maker, in install state. `has_mark`: FF before each reply."""
        if key is not None and len(key) != KEY_BYTES:
            raise ValueError(f"key of {len(key)} bytes: a secure channel base key has 16")
        self.address = address
        self.baud = baud
        self.key = key
        self.mischief = Mischief()
        self.enforces_security = enforces_security
        self.heard: deque[Heard] = deque(maxlen=COMMANDS_KEPT)
        self.functions = Functions(make or Make(), identity or Identity(), note)
        self._has_mark = has_mark
        self._random = random
        self._note = note
        self._scanner = Scanner()
        self._replays: deque[bytes] = deque()
        self._now_ms = 0
        self._forget()

    def _forget(self) -> None:
        self._sequence: int | None = None
        self._last_reply = b""
        self._session: Session | None = None
        self._handshake: _Handshake | None = None
        self._heard_ms: int | None = None
        self._outbox: list[tuple[int, bytes]] = []
        self._moves_to: tuple[int, int] | None = None
        self._scanner.clear()

    @property
    def is_secure(self) -> bool:
        """Whether a secure channel stands."""
        return self._session is not None

    @property
    def identity(self) -> Identity:
        """Who it says it is."""
        return self.functions.identity

    # -- hands ----------------------------------------------------------------------------------------------------

    def swap(self, identity: Identity, key: bytes | None, now_ms: int) -> None:
        """Another reader hangs at this wall now, at the same address."""
        self.power_cycle(now_ms)
        self.functions.identity, self.key = identity, key
        self._note("swap", {"serial": identity.serial, "has_key": key is not None}, now_ms)

    def reset(self, now_ms: int) -> None:
        """The reset switch inside: the key is lost, the reader is in install state."""
        self.power_cycle(now_ms)
        self.key = None
        self._note("reset", {}, now_ms)

    def replay(self, raw: bytes) -> None:
        """Answer the next poll with these captured bytes, whatever they were."""
        self._replays.append(raw)

    # -- the line -------------------------------------------------------------------------------------------------

    def receive(self, chunk: bytes, now_ms: int) -> None:
        """Take what comes over the line, from anybody; any bytes, cut anywhere."""
        self._see(now_ms)
        self._scanner.feed(chunk, now_ms)
        while (found := self._scanner.take()) is not None:
            if not found.is_reply and found.address in (self.address, BROADCAST) and not self.mischief.is_silent:
                self._take(found)

    def outgoing(self) -> bytes:
        """Bytes for the line that are due by now."""
        due = b"".join(raw for at, raw in self._outbox if at <= self._now_ms)
        self._outbox = [one for one in self._outbox if one[0] > self._now_ms]
        if due and self._moves_to is not None:  # osdp_COMSET: its answer still goes the old way
            (self.address, self.baud), self._moves_to = self._moves_to, None
        return due

    def deadline(self) -> int | None:
        """When something is due: a late answer, the end of a timed output, of the session."""
        ends = [at for at, _ in self._outbox]
        ends += [one for one in (self.functions.deadline(), self._goes_offline_at()) if one is not None]
        return min(ends, default=None)

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        self._see(now_ms)

    def power_cycle(self, now_ms: int) -> None:
        """Power was gone: the session, the queue and all that was on is lost; the key is not."""
        self._now_ms = now_ms
        self._forget()
        self.functions.power_off(now_ms)

    def _see(self, now_ms: int) -> None:
        self._now_ms = now_ms
        end = self._goes_offline_at()
        if end is not None and now_ms >= end:
            self._drop("silence")
            self._heard_ms = None
            self._sequence = None
        self.functions.tick(now_ms)

    def _goes_offline_at(self) -> int | None:
        return None if self._heard_ms is None else self._heard_ms + OFFLINE_MS

    # -- sequence -------------------------------------------------------------------------------------------------

    def _take(self, found: Frame) -> None:
        self._heard_ms = self._now_ms
        if self.mischief.is_busy:
            self._send(self._plain(found, Reply.BUSY, b"", sequence=0))
            return
        if found.sequence == 0:
            self._drop("restart")
        elif found.sequence == self._sequence:
            self._send(self._last_reply)
            return
        elif self._sequence is None or found.sequence != self._sequence % 3 + 1:
            self._send(self._plain(found, Reply.NAK, bytes((Nak.SEQUENCE,))))
            return
        self._sequence = found.sequence
        self._last_reply = self._answer(found)
        self._send(self._last_reply)

    def _send(self, raw: bytes) -> None:
        mark = bytes((MARK,)) if self._has_mark else b""
        self._outbox.append((self._now_ms + self.mischief.late_ms, mark + raw))

    # -- security -------------------------------------------------------------------------------------------------

    def _answer(self, found: Frame) -> bytes:
        try:
            body = self._unwrap(found)
        except Refused as refusal:
            return self._plain(found, Reply.NAK, bytes((refusal.why,)))
        session = self._session
        self.heard.append(Heard(code=found.code, body=body, is_secure=session is not None))
        if self._replays and found.code == Command.POLL:
            return self._replays.popleft()
        try:
            code, said, block = self._execute(found, body)
        except Refused as refusal:
            code, said, block = Reply.NAK, bytes((refusal.why,)), b""
        if session is not None and not block:
            return self._secured(found, session, code, said)
        return self._plain(found, code, said, block=block)

    def _unwrap(self, found: Frame) -> bytes:
        """The body in the clear. Raises Refused; what is wrong inside a channel ends it."""
        kind = found.block[0] if found.block else 0
        if kind in (SCS_15, SCS_17):
            session = self._session
            if session is None:
                raise Refused(Nak.CONDITIONS)
            body: bytes | None = found.body
            if not session.accepts(found.signed, found.mac):
                self._drop("mac")
                raise Refused(Nak.CONDITIONS)
            if kind == SCS_17:
                body = session.decipher(found.body)
            if body is None:
                self._drop("padding")
                raise Refused(Nak.LENGTH)
            return body
        if kind not in (0, SCS_11, SCS_13):
            raise Refused(Nak.BLOCK)
        if self._session is not None:
            self._drop("plain")
        if self.enforces_security and found.code not in OPEN_COMMANDS:
            raise Refused(Nak.CONDITIONS)
        return found.body

    def _execute(self, found: Frame, body: bytes) -> tuple[int, bytes, bytes]:
        """Reply code, body and (in the handshake) security block. Raises Refused."""
        if self.mischief.naks_all is not None:
            raise Refused(self.mischief.naks_all)
        if found.code == Command.CHLNG:
            return self._challenge(found.block, body)
        if found.code == Command.SCRYPT:
            return self._prove(found.block, body)
        if found.code == Command.KEYSET:
            return self._set_key(body)
        if found.code == Command.COMSET:
            return self._set_line(body)
        if found.code == Command.CAP:
            has_security = not self.mischief.offers_no_security
            return Reply.PDCAP, self.functions.capabilities(has_security=has_security, is_keyless=self.key is None), b""
        return *self.functions.handle(found.code, body, self._now_ms), b""

    def _challenge(self, block: bytes, body: bytes) -> tuple[int, bytes, bytes]:
        if self.mischief.offers_no_security:
            raise Refused(Nak.BLOCK)
        if len(block) != 2 or block[0] != SCS_11:
            raise Refused(Nak.CONDITIONS)
        if len(body) != RANDOM_BYTES:
            raise Refused(Nak.LENGTH)
        is_default = block[1] == 0
        key = self._key_for(is_default=is_default)
        own = self._random(RANDOM_BYTES)
        keys = SessionKeys.of(key, body)
        self._handshake = _Handshake(
            keys=keys, expected=keys.server_cryptogram(body, own), is_default=is_default or key == SCBK_D
        )
        said = self.identity.client_uid() + own + keys.client_cryptogram(body, own)
        return Reply.CCRYPT, said, bytes((SCS_12, int(key != SCBK_D)))

    def _key_for(self, *, is_default: bool) -> bytes:
        if self.mischief.answers_with is not None:
            return self.mischief.answers_with
        if is_default and (self.key is None or self.mischief.holds_install_mode):
            return SCBK_D
        if is_default or self.key is None:
            raise Refused(Nak.CONDITIONS)
        return self.key

    def _prove(self, block: bytes, body: bytes) -> tuple[int, bytes, bytes]:
        handshake, self._handshake = self._handshake, None
        if handshake is None or len(block) != 2 or block[0] != SCS_13:
            raise Refused(Nak.CONDITIONS)
        if not hmac.compare_digest(handshake.expected, body):
            return Reply.RMAC_I, bytes(16), bytes((SCS_14, 0xFF))
        reply_mac = handshake.keys.first_reply_mac(body)
        self._session = Session(handshake.keys, reply_mac)
        self._note("channel", {"is_up": True, "is_default_key": handshake.is_default}, self._now_ms)
        return Reply.RMAC_I, reply_mac, bytes((SCS_14, 1))

    def _drop(self, why: str) -> None:
        self._handshake = None
        if self._session is not None:
            self._session = None
            self._note("channel", {"is_up": False, "why": why}, self._now_ms)

    def _set_key(self, body: bytes) -> tuple[int, bytes, bytes]:
        if self._session is None:
            raise Refused(Nak.CONDITIONS)
        if len(body) != 2 + KEY_BYTES or body[1] != KEY_BYTES:
            raise Refused(Nak.LENGTH)
        if body[0] != 1:
            raise Refused(Nak.UNABLE)
        if not self.mischief.holds_install_mode:
            self.key = body[2:]
        self._note("keyset", {}, self._now_ms)
        return Reply.ACK, b"", b""

    def _set_line(self, body: bytes) -> tuple[int, bytes, bytes]:
        if len(body) != 5:
            raise Refused(Nak.LENGTH)
        address, baud = body[0], int.from_bytes(body[1:], "little")
        if address >= BROADCAST:
            address = self.address
        if baud not in BAUDS:
            baud = self.baud  # clause 6.13: the reply says what will be used
        self._moves_to = (address, baud)
        return Reply.COM, bytes((address,)) + baud.to_bytes(4, "little"), b""

    # -- replies --------------------------------------------------------------------------------------------------

    def _plain(self, found: Frame, code: int, body: bytes, *, block: bytes = b"", sequence: int | None = None) -> bytes:
        control = (found.sequence if sequence is None else sequence) | (CRC_BIT if found.has_crc else 0)
        tail = 2 if found.has_crc else 1
        content = opening(self._from(found), control, block, bytes((code,)) + body, tail)
        return close(content, has_crc=found.has_crc)

    def _secured(self, found: Frame, session: Session, code: int, body: bytes) -> bytes:
        control = found.sequence | (CRC_BIT if found.has_crc else 0)
        block = bytes((SCS_18 if body else SCS_16,))
        content = bytes((code,)) + (session.encipher(body) if body else b"")
        tail = MAC_BYTES + (2 if found.has_crc else 1)
        signed = opening(self._from(found), control, block, content, tail)
        mac = session.sign(signed)
        if self.mischief.corrupts_macs:
            mac = bytes((mac[0] ^ 1,)) + mac[1:]
        return close(signed + mac, has_crc=found.has_crc)

    def _from(self, found: Frame) -> int:
        return (BROADCAST if found.address == BROADCAST else self.address) | REPLY_BIT
