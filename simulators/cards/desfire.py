"""MIFARE DESFire EV1, EV2 and EV3 as a card behaves: applications, keys, files, three ages of secure messaging.

Owns one card's memory and its session. Sources: NXP's public notes AN10922, AN12343, AN12752, and libfreefare for what
they leave out. Native frames and frames wrapped in ISO/IEC 7816 (90 INS 00 00 Lc … 00, answered 91 xx).
Refuses whatever it does not know with the code the real card uses. Not here: value, record and transaction-MAC files,
transactions, delegated applications, LRP, proximity check.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from simulators.cards.channels import (
    WRONG_LENGTH,
    Channel,
    Ev1Channel,
    Ev2Channel,
    LegacyChannel,
    Protection,
    Refused,
)
from simulators.cards.crypto import (
    KeyKind,
    block_size,
    decrypt,
    encrypt,
    ev1_session_key,
    ev2_session_keys,
    rotated,
    xor,
)
from simulators.cards.plain import IsoDepCard

if TYPE_CHECKING:
    from collections.abc import Callable

Generation: TypeAlias = Literal["ev1", "ev2", "ev3"]
OK, MORE = 0x00, 0xAF
NO_MEMORY, ILLEGAL, NO_KEY, DENIED, BAD_VALUE, NO_APPLICATION = 0x0E, 0x1C, 0x40, 0x9D, 0x9E, 0xA0
NOT_AUTHENTICATED, OUT_OF_BOUNDS, ABORTED, TWICE, NO_FILE = 0xAE, 0xBE, 0xCA, 0xDE, 0xF0
FRAME_MAX = 59  # bytes of an answer before a card says AF
PICC = b"\x00\x00\x00"
FREE, NEVER = 0xE, 0xF
MEMORY = 8192
VERSIONS: dict[str, bytes] = {  # hardware, then software: vendor, kind, subkind, version, storage, protocol
    "ev1": bytes.fromhex("04010101001a05 04010101041a05"),
    "ev2": bytes.fromhex("04010112001a05 04010102011a05"),
    "ev3": bytes.fromhex("04010133001a05 04010103001a05"),
}
BATCH = bytes.fromhex("b90c1a4d50")
MADE_IN = bytes.fromhex("1221")  # calendar week and year, in BCD
MODES: dict[int, Protection] = {0: "plain", 1: "mac", 2: "plain", 3: "full"}
KINDS: dict[int, KeyKind] = {0x00: "des", 0x40: "3k3des", 0x80: "aes"}
SIZES: dict[KeyKind, int] = {"des": 16, "3k3des": 24, "aes": 16}


@dataclass(frozen=True, slots=True, kw_only=True)
class CardKey:
    """One key on a card. `version`: told to anybody who asks."""

    kind: KeyKind = "aes"
    value: bytes = bytes(16)
    version: int = 0


FACTORY_KEY = CardKey(kind="des", value=bytes(8))


@dataclass(slots=True, kw_only=True)
class StdFile:
    """A standard data file. `access`: key numbers to read, write, do both, change (E = free, F = never)."""

    mode: int
    access: tuple[int, int, int, int]
    content: bytearray
    mirror: bytes = b""  # NTAG 424 DNA: what follows the settings where Secure Unique NFC is on

    @property
    def settings(self) -> bytes:
        """As GetFileSettings tells them."""
        read, write, both, change = self.access
        rights = bytes((both << 4 | change, read << 4 | write))
        return bytes((0x00, self.mode)) + rights + len(self.content).to_bytes(3, "little")

    def opened_by(self, *, writing: bool) -> tuple[int, int]:
        """The key numbers that open it."""
        read, write, both, _ = self.access
        return (write if writing else read), both


@dataclass(slots=True, kw_only=True)
class Application:
    """An application, or the card's own level (PICC). `settings`: key settings, `kind` of all its keys."""

    keys: list[CardKey]
    settings: int = 0x0F
    kind: KeyKind = "aes"
    files: dict[int, StdFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command: who does it, how many bytes before what is protected (None = all), and how it is protected."""

    do: Callable[[bytes, bytes], bytes]
    header: int | None
    command: Protection = "mac"
    answer: Protection = "mac"


class SecureCard(IsoDepCard):
    """What DESFire and NTAG 424 DNA share: frames, three-pass authentication, protected commands, files."""

    __slots__ = ("_chain_in", "_chain_out", "_channel", "_half", "_held", "commands_seen", "signature")

    def __init__(
        self,
        uid: bytes,
        *,
        signature: bytes = bytes(56),
        is_uid_random: bool = False,
        ats: bytes,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        super().__init__(uid, ats=ats, is_uid_random=is_uid_random, random=random)
        self.signature = signature
        self.commands_seen: list[int] = []
        self._channel: Channel | None = None
        self._half: _Half | None = None
        self._chain_in: tuple[int, bytes, int] | None = None
        self._chain_out: list[bytes] = []
        self._held: Application | None = None

    # -- frames ---------------------------------------------------------------------------------------------------

    def exchange(self, command: bytes) -> bytes | None:
        """One APDU, or one native frame."""
        if not command:
            return None
        if command[0] == 0x90:
            return self._wrapped(command)
        if command[0] == 0x00:
            return self._iso(command)
        return self._native(command)

    def _native(self, command: bytes) -> bytes:
        code, reply = self.take(command[0], command[1:])
        return bytes((code,)) + reply

    def _wrapped(self, apdu: bytes) -> bytes:
        count = apdu[4] if len(apdu) > 5 else 0
        is_sound = len(apdu) >= 5 and apdu[2:4] == b"\x00\x00" and len(apdu) == 5 + count + (count > 0)
        if not is_sound:
            return b"\x67\x00"
        code, reply = self.take(apdu[1], apdu[5 : 5 + count])
        return reply + bytes((0x91, code))

    def _iso(self, apdu: bytes) -> bytes:
        if len(apdu) < 5:
            return b"\x67\x00"
        if apdu[1] != 0xA4:
            return b"\x6d\x00"
        return self._select_name(apdu[2], apdu[5 : 5 + apdu[4]])

    def _select_name(self, _how: int, _name: bytes) -> bytes:
        return b"\x6a\x82"

    def take(self, ins: int, body: bytes) -> tuple[int, bytes]:
        """One command without its wrapping: the code of the answer, and what comes with it."""
        self.commands_seen.append(ins)
        try:
            return self._dispatch(ins, body)
        except Refused as refusal:
            self._drop()
            return refusal.code, b""

    def _drop(self) -> None:
        self._channel = self._half = self._chain_in = None
        self._chain_out = []

    def _forget(self) -> None:
        self._drop()

    def _dispatch(self, ins: int, body: bytes) -> tuple[int, bytes]:
        if ins == MORE:
            return self._go_on(body)
        if self._half is not None or self._chain_in is not None or self._chain_out:
            raise Refused(ABORTED)
        if ins in AUTHENTICATIONS:
            return MORE, self._challenge(ins, body)
        step = self._steps().get(ins)
        if step is None:
            raise Refused(ILLEGAL)
        if ins in WRITES:
            wanted = self._write_size(ins, body)
            if len(body) < wanted:
                self._chain_in = (ins, body, wanted)
                return MORE, b""
        return self._perform(ins, step, body)

    def _go_on(self, body: bytes) -> tuple[int, bytes]:
        if self._half is not None:
            return OK, self._prove(body)
        if self._chain_in is not None:
            ins, sofar, wanted = self._chain_in
            whole = sofar + body
            if len(whole) < wanted and body:
                self._chain_in = (ins, whole, wanted)
                return MORE, b""
            self._chain_in = None
            return self._perform(ins, self._steps()[ins], whole)
        if not self._chain_out or body:
            raise Refused(ABORTED)
        reply = self._chain_out.pop(0)
        return (MORE if self._chain_out else OK), reply

    def _perform(self, ins: int, step: Step, body: bytes) -> tuple[int, bytes]:
        command, answer = self._protections(ins, step, body)
        channel = self._channel
        size = step.header
        if size is None:
            size = len(body) - 8 if command == "mac" and isinstance(channel, Ev2Channel) else len(body)
        header, rest = body[: max(0, size)], body[max(0, size) :]
        payload = rest if channel is None else channel.incoming(ins, header, rest, command)
        reply = step.do(header, payload)
        if channel is not None and channel is self._channel:
            reply = channel.outgoing(reply, answer)
        return self._cut(ins, reply)

    def _cut(self, ins: int, reply: bytes) -> tuple[int, bytes]:
        sizes = (7, 7, len(reply)) if ins == 0x60 else (FRAME_MAX,) * (len(reply) // FRAME_MAX + 1)
        if ins == 0xAD or (len(reply) <= FRAME_MAX and ins != 0x60):
            return OK, reply
        parts, at = [], 0
        for size in sizes:
            parts.append(reply[at : at + size])
            at += size
        self._chain_out = [part for part in parts[1:] if part]
        return MORE, parts[0]

    # -- authentication -------------------------------------------------------------------------------------------

    def _key(self, key_no: int) -> CardKey:
        keys = [] if self._held is None else self._held.keys
        if key_no >= len(keys):
            raise Refused(NO_KEY)
        return keys[key_no]

    def _challenge(self, ins: int, body: bytes) -> bytes:
        if not body or (ins != 0x71 and len(body) != 1):
            raise Refused(WRONG_LENGTH)
        if ins == 0x71 and (len(body) < 2 or len(body) != 2 + body[1]):
            raise Refused(WRONG_LENGTH)
        key = self._key(body[0])
        if key.kind not in AUTHENTICATIONS[ins] or not self._knows(ins):
            raise Refused(NOT_AUTHENTICATED if self._knows(ins) else ILLEGAL)
        before = self._channel
        self._channel = None
        if ins == 0x77 and not isinstance(before, Ev2Channel):
            raise Refused(DENIED)
        nonce = self._random(16 if key.kind != "des" else 8)
        iv = bytes(block_size(key.kind))
        sent = encrypt(key.kind, key.value, iv, nonce)
        self._half = _Half(ins=ins, key_no=body[0], key=key, nonce=nonce, sent=sent, before=before)
        return sent

    def _knows(self, _ins: int) -> bool:
        return True

    def _prove(self, body: bytes) -> bytes:
        half, self._half = self._half, None
        assert half is not None
        if len(body) != 2 * len(half.nonce):
            raise Refused(WRONG_LENGTH)
        prove = {0x0A: self._prove_legacy, 0x1A: self._prove_ev1, 0xAA: self._prove_ev1}
        return prove.get(half.ins, self._prove_ev2)(half, body)

    def _prove_legacy(self, half: _Half, body: bytes) -> bytes:
        key = half.key
        nonce_a = encrypt("des", key.value, bytes(8), body[:8])
        turned = xor(encrypt("des", key.value, bytes(8), body[8:]), body[:8])
        if turned != rotated(half.nonce):
            raise Refused(NOT_AUTHENTICATED)
        self._channel = LegacyChannel(half.key_no, ev1_session_key("des", key.value, nonce_a, half.nonce))
        return encrypt("des", key.value, bytes(8), rotated(nonce_a))

    def _prove_ev1(self, half: _Half, body: bytes) -> bytes:
        key, size = half.key, block_size(half.key.kind)
        plain = decrypt(key.kind, key.value, half.sent[-size:], body)
        nonce_a, turned = plain[: len(half.nonce)], plain[len(half.nonce) :]
        if turned != rotated(half.nonce):
            raise Refused(NOT_AUTHENTICATED)
        session_key = ev1_session_key(key.kind, key.value, nonce_a, half.nonce)
        self._channel = Ev1Channel(half.key_no, key.kind, session_key)
        return encrypt(key.kind, key.value, body[-size:], rotated(nonce_a))

    def _prove_ev2(self, half: _Half, body: bytes) -> bytes:
        plain = decrypt("aes", half.key.value, bytes(16), body)
        nonce_a = plain[:16]
        if plain[16:] != rotated(half.nonce):
            raise Refused(NOT_AUTHENTICATED)
        keys = ev2_session_keys(half.key.value, nonce_a, half.nonce)
        before = half.before
        if half.ins == 0x77 and isinstance(before, Ev2Channel):
            self._channel = Ev2Channel(half.key_no, before.identifier, keys, before.counter)
            return encrypt("aes", half.key.value, bytes(16), rotated(nonce_a))
        identifier = self._random(4)
        self._channel = Ev2Channel(half.key_no, identifier, keys)
        capabilities = bytes(12)
        return encrypt("aes", half.key.value, bytes(16), identifier + rotated(nonce_a) + capabilities)

    # -- protection -----------------------------------------------------------------------------------------------

    def _steps(self) -> dict[int, Step]:
        raise NotImplementedError

    def _protections(self, ins: int, step: Step, body: bytes) -> tuple[Protection, Protection]:
        """How a command and its answer travel in the present session."""
        if self._channel is None:
            return "plain", "plain"
        if ins in READS or ins in WRITES:
            mode = self._file_mode(ins, body)
            return mode, (mode if ins in READS else "mac" if mode != "plain" else "plain")
        return step.command, step.answer

    def _file(self, number: int) -> StdFile:
        files = {} if self._held is None else self._held.files
        if number not in files:
            raise Refused(NO_FILE)
        return files[number]

    def _file_mode(self, ins: int, body: bytes) -> Protection:
        """Plain where only the free right opens the file (AN12343 §8), else as the file says."""
        file = self._file(body[0] if body else 0xFF)
        keys = file.opened_by(writing=ins in WRITES)
        is_ours = self._channel is not None and self._channel.key_no in keys
        return "plain" if not is_ours and FREE in keys else MODES[file.mode & 0x03]

    def _write_size(self, ins: int, body: bytes) -> int:
        if len(body) < 7:
            raise Refused(WRONG_LENGTH)
        count = int.from_bytes(body[4:7], "little")
        if self._channel is None:
            return 7 + count
        return 7 + self._channel.sent_size(count, self._file_mode(ins, body))

    def _open(self, header: bytes, *, writing: bool) -> tuple[StdFile, int, int]:
        if len(header) != 7:
            raise Refused(WRONG_LENGTH)
        file = self._file(header[0])
        keys = file.opened_by(writing=writing)
        if FREE not in keys:
            if self._channel is None:
                raise Refused(NOT_AUTHENTICATED if any(key < FREE for key in keys) else DENIED)
            if self._channel.key_no not in keys:
                raise Refused(NOT_AUTHENTICATED)
        at, count = int.from_bytes(header[1:4], "little"), int.from_bytes(header[4:7], "little")
        count = count or (0 if writing else len(file.content) - at)
        if at + count > len(file.content) or count < 0:
            raise Refused(OUT_OF_BOUNDS)
        return file, at, count

    # -- commands both have ---------------------------------------------------------------------------------------

    def _read(self, header: bytes, _payload: bytes) -> bytes:
        file, at, count = self._open(header, writing=False)
        return bytes(file.content[at : at + count])

    def _write(self, header: bytes, payload: bytes) -> bytes:
        file, at, count = self._open(header, writing=True)
        if len(payload) != count:
            raise Refused(WRONG_LENGTH)
        file.content[at : at + count] = payload
        return b""

    def _tell_key_version(self, header: bytes, _payload: bytes) -> bytes:
        if len(header) != 1:
            raise Refused(WRONG_LENGTH)
        return bytes((self._key(header[0] & 0x3F).version,))

    def _tell_uid(self, _header: bytes, _payload: bytes) -> bytes:
        if self._channel is None:
            raise Refused(NOT_AUTHENTICATED)
        return self.real_uid

    def _tell_signature(self, header: bytes, _payload: bytes) -> bytes:
        if header != b"\x00":
            raise Refused(BAD_VALUE)
        return self.signature

    def _tell_settings(self, header: bytes, _payload: bytes) -> bytes:
        if len(header) != 1:
            raise Refused(WRONG_LENGTH)
        return self._file(header[0]).settings

    def _change_settings(self, header: bytes, payload: bytes) -> bytes:
        if len(header) != 1 or len(payload) < 3:
            raise Refused(WRONG_LENGTH)
        file = self._file(header[0])
        change = file.access[3]
        if change == NEVER:
            raise Refused(DENIED)
        if change != FREE and (self._channel is None or self._channel.key_no != change):
            raise Refused(NOT_AUTHENTICATED)
        file.mode, file.access = payload[0], rights_of(payload[1:3])
        return b""

    def _version(self, versions: bytes) -> bytes:
        shown = bytes(7) if self.is_uid_random and self._channel is None else self.real_uid
        return versions + shown + BATCH + MADE_IN


def rights_of(two: bytes) -> tuple[int, int, int, int]:
    """Access rights as they stand in commands: both and change first, then read and write."""
    return two[1] >> 4, two[1] & 0x0F, two[0] >> 4, two[0] & 0x0F


@dataclass(frozen=True, slots=True, kw_only=True)
class _Half:
    """An authentication between its two commands."""

    ins: int
    key_no: int
    key: CardKey
    nonce: bytes
    sent: bytes
    before: Channel | None


AUTHENTICATIONS: dict[int, tuple[KeyKind, ...]] = {
    0x0A: ("des",),
    0x1A: ("des", "3k3des"),
    0xAA: ("aes",),
    0x71: ("aes",),
    0x77: ("aes",),
}
READS = (0xAD, 0xBD)
WRITES = (0x8D, 0x3D)


class Desfire(SecureCard):
    """One DESFire. `applications`: by AID (three bytes, as on the wire). Fresh from the factory without any."""

    __slots__ = ("_aid", "_commands", "_formattable", "applications", "default_key", "generation")

    def __init__(
        self,
        uid: bytes,
        *,
        generation: Generation = "ev2",
        picc_key: CardKey = FACTORY_KEY,
        applications: dict[bytes, Application] | None = None,
        signature: bytes = bytes(56),
        is_uid_random: bool = False,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        ats = bytes.fromhex("067577810280")
        super().__init__(uid, signature=signature, is_uid_random=is_uid_random, ats=ats, random=random)
        if len(uid) != 7:
            raise ValueError(f"uid of {len(uid)} bytes: a DESFire has 7")
        self.generation: Generation = generation
        self.applications = {PICC: Application(keys=[picc_key], kind=picc_key.kind)} | (applications or {})
        self.default_key = CardKey()
        self._formattable = True
        self._commands = self._command_table()
        self._select(PICC)

    @property
    def application_keys(self) -> dict[bytes, list[CardKey]]:
        """What the hands may see: every application's keys."""
        return {aid: list(one.keys) for aid, one in self.applications.items()}

    def _forget(self) -> None:
        super()._forget()
        self._select(PICC)

    def _knows(self, ins: int) -> bool:
        return self.generation != "ev1" or ins not in (0x71, 0x77)

    def _select(self, aid: bytes) -> None:
        self._aid, self._held = aid, self.applications[aid]

    def _steps(self) -> dict[int, Step]:
        return self._commands

    def _command_table(self) -> dict[int, Step]:
        read, write = Step(do=self._read, header=7), Step(do=self._write, header=7)
        steps = {
            0x45: Step(do=self._tell_key_settings, header=None),
            0x51: Step(do=self._tell_uid, header=0, command="mac", answer="full"),
            0x54: Step(do=self._change_key_settings, header=0, command="full"),
            0x5A: Step(do=self._select_application, header=None, command="plain", answer="plain"),
            0x5C: Step(do=self._configure, header=1, command="full"),
            0x5F: Step(do=self._change_settings, header=1, command="full"),
            0x60: Step(do=lambda _h, _p: self._version(VERSIONS[self.generation]), header=None),
            0x64: Step(do=self._tell_key_version, header=None),
            0x6A: Step(do=self._tell_applications, header=None),
            0x6E: Step(do=self._tell_free_memory, header=None),
            0x6F: Step(do=self._tell_files, header=None),
            0xC4: Step(do=self._change_key, header=1, command="key"),
            0xCA: Step(do=self._create_application, header=None),
            0xCD: Step(do=self._create_file, header=None),
            0xDA: Step(do=self._delete_application, header=None),
            0xDF: Step(do=self._delete_file, header=None),
            0xF5: Step(do=self._tell_settings, header=None),
            0xFC: Step(do=self._format, header=None),
            0xBD: read,
            0x3D: write,
        }
        if self.generation != "ev1":
            signature = Step(do=self._tell_signature, header=1, answer="full")
            steps |= {0xAD: read, 0x8D: write, 0x3C: signature}
        return steps

    # -- the card's level -----------------------------------------------------------------------------------------

    @property
    def _here(self) -> Application:
        assert self._held is not None
        return self._held

    def _needs_master(self, free_bit: int = 0) -> None:
        """Key 0 must be proved, unless the key settings leave this free."""
        if free_bit and self._here.settings & free_bit:
            return
        if self._channel is None or self._channel.key_no != 0:
            raise Refused(NOT_AUTHENTICATED)

    def _needs_picc(self) -> None:
        if self._aid != PICC:
            raise Refused(DENIED)

    def _select_name(self, how: int, name: bytes) -> bytes:
        if how == 0x04 and name == bytes.fromhex("d2760000850100"):
            self._drop()
            self._select(PICC)
            return b"\x90\x00"
        return b"\x6a\x82"

    def _select_application(self, header: bytes, _payload: bytes) -> bytes:
        if len(header) != 3:
            raise Refused(WRONG_LENGTH)
        self._channel = None
        if header not in self.applications:
            raise Refused(NO_APPLICATION)
        self._select(header)
        return b""

    def _tell_applications(self, _header: bytes, _payload: bytes) -> bytes:
        self._needs_picc()
        self._needs_master(0x02)
        return b"".join(aid for aid in self.applications if aid != PICC)

    def _tell_free_memory(self, _header: bytes, _payload: bytes) -> bytes:
        used = sum(len(file.content) for one in self.applications.values() for file in one.files.values())
        return max(0, MEMORY - used).to_bytes(3, "little")

    def _create_application(self, header: bytes, _payload: bytes) -> bytes:
        self._needs_picc()
        self._needs_master(0x04)
        if len(header) < 5:
            raise Refused(WRONG_LENGTH)
        aid, settings, second = header[:3], header[3], header[4]
        kind, count = KINDS.get(second & 0xC0), second & 0x0F
        if kind is None or not 1 <= count <= 14:
            raise Refused(BAD_VALUE)
        if aid in self.applications:
            raise Refused(TWICE)
        first = self.default_key.value if kind == "aes" else bytes(SIZES[kind])
        version = self.default_key.version if kind == "aes" else 0
        keys = [CardKey(kind=kind, value=first, version=version)] * count
        self.applications[aid] = Application(keys=keys, settings=settings, kind=kind)
        return b""

    def _delete_application(self, header: bytes, _payload: bytes) -> bytes:
        if self._aid not in (PICC, header):
            raise Refused(DENIED)
        self._needs_master()
        if header == PICC or header not in self.applications:
            raise Refused(NO_APPLICATION)
        del self.applications[header]
        if self._aid == header:
            self._channel = None
            self._select(PICC)
        return b""

    def _format(self, _header: bytes, _payload: bytes) -> bytes:
        self._needs_picc()
        self._needs_master()
        if not self._formattable:
            raise Refused(DENIED)
        self.applications = {PICC: self.applications[PICC]}
        return b""

    def _configure(self, header: bytes, payload: bytes) -> bytes:
        self._needs_picc()
        self._needs_master()
        if header == b"\x00" and len(payload) == 1:
            self._formattable = self._formattable and not payload[0] & 0x01
            self.is_uid_random = self.is_uid_random or bool(payload[0] & 0x02)
        elif header == b"\x01" and len(payload) == 25:
            self.default_key = CardKey(value=payload[:16], version=payload[24])
        elif header == b"\x02" and payload:
            self.ats = payload
        else:
            raise Refused(BAD_VALUE)
        return b""

    # -- keys -----------------------------------------------------------------------------------------------------

    def _tell_key_settings(self, _header: bytes, _payload: bytes) -> bytes:
        self._needs_master(0x02)
        kinds = {kind: bits for bits, kind in KINDS.items()}
        return bytes((self._here.settings, kinds[self._here.kind] | len(self._here.keys)))

    def _change_key_settings(self, _header: bytes, payload: bytes) -> bytes:
        self._needs_master()
        if len(payload) != 1:
            raise Refused(WRONG_LENGTH)
        if not self._here.settings & 0x08:
            raise Refused(DENIED)
        self._here.settings = payload[0]
        return b""

    def _change_key(self, header: bytes, payload: bytes) -> bytes:
        channel = self._channel
        if channel is None:
            raise Refused(NOT_AUTHENTICATED)
        if len(header) != 1:
            raise Refused(WRONG_LENGTH)
        key_no, kind = header[0] & 0x3F, self._here.kind
        if self._aid == PICC:
            kind = KINDS.get(header[0] & 0xC0, "des")
        old, is_own = self._key(key_no), key_no == channel.key_no
        self._may_change(key_no, channel)
        size = SIZES[kind]
        before = None if is_own else (old.value * 2)[:size]
        new = channel.changed_key(header[0], payload, size + (kind == "aes"), before)
        version = new[size] if kind == "aes" else _parity_version(new)
        self._here.keys[key_no] = CardKey(kind=kind, value=new[:size], version=version)
        self._here.kind = kind
        if is_own:
            self._channel = None
        return b""

    def _may_change(self, key_no: int, channel: Channel) -> None:
        """Bits 7-4 of the key settings: which key changes keys; E = each its own, F = nobody but the master's own."""
        changer = self._here.settings >> 4
        if key_no == 0 or self._aid == PICC:
            if channel.key_no != 0:
                raise Refused(NOT_AUTHENTICATED)
            if not self._here.settings & 0x01:
                raise Refused(DENIED)
        elif changer == NEVER:
            raise Refused(DENIED)
        elif channel.key_no != (key_no if changer == FREE else changer):
            raise Refused(NOT_AUTHENTICATED)

    # -- files ----------------------------------------------------------------------------------------------------

    def _tell_files(self, _header: bytes, _payload: bytes) -> bytes:
        if self._aid == PICC:
            raise Refused(DENIED)
        self._needs_master(0x02)
        return bytes(self._here.files)

    def _create_file(self, header: bytes, _payload: bytes) -> bytes:
        if self._aid == PICC:
            raise Refused(DENIED)
        self._needs_master(0x04)
        if len(header) == 9:  # with an ISO file number
            header = header[:1] + header[3:]
        if len(header) != 7:
            raise Refused(WRONG_LENGTH)
        size = int.from_bytes(header[4:], "little")
        if header[0] in self._here.files:
            raise Refused(TWICE)
        if not 0 < size <= MEMORY or header[0] > 0x1F:
            raise Refused(NO_MEMORY if size > MEMORY else BAD_VALUE)
        file = StdFile(mode=header[1] & 0x03, access=rights_of(header[2:4]), content=bytearray(size))
        self._here.files[header[0]] = file
        return b""

    def _delete_file(self, header: bytes, _payload: bytes) -> bytes:
        self._needs_master(0x04)
        if len(header) != 1:
            raise Refused(WRONG_LENGTH)
        self._file(header[0])
        del self._here.files[header[0]]
        return b""


def _parity_version(key: bytes) -> int:
    """A DES key's version stands in its parity bits."""
    return int("".join(str(byte & 1) for byte in key[:8]), 2)
