"""Verify a Sekisho ledger: python3 verify.py WHERE --key K [--witness W] [--checkpoint FILE] [--code C] [--json]

WHERE is the `ledger.db` of a stopped controller, an export in JSON Lines, or a folder of tiles; K is a public key of
the ledger (a vkey, or a file that holds one), got from somewhere other than the box. Written from docs/ledger.md alone:
one file, standard library only, Python 3.10 or newer, and no code shared with the writer. It carries Ed25519 (RFC 8032)
in pure Python and uses the `cryptography` package where it is installed.

It never writes to WHERE or beside it, holds no lock, and reads no further than the first record that is not what was
signed. Memory: one bit for each body that is gone and not yet accounted for, and two numbers for each hour in which
a purge, a start or an edit was recorded; nothing else grows with the ledger.
Exit codes: 0 whole, 1 not whole, 2 misuse, 3 could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import bisect
import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future, ProcessPoolExecutor

APPLICATION_ID: Final = 0x53454B49
FORMATS: Final = (1, 2)
LINE_BYTES_MAX: Final = 16 * 1024 * 1024
INTEGER_MAX: Final = 2**53 - 1  # RFC 8785 §3.2.2.3: what every reader of JSON holds exactly
SPAN: Final = 4096  # records looked at in one go, by one process; a power of 256's root, so that its tiles are whole
PROGRESS_EVERY: Final = SPAN
ALONE_MAX: Final = 8 * SPAN  # a ledger no longer than this is read by one process: a second one would start too late
FINDINGS_MAX: Final = 100
CLASSES: Final = frozenset({b"access", b"alarm", b"command", b"policy", b"system", b"view"})
LEAF: Final = re.compile(
    rb'\{"body":"([0-9a-f]{64})","class":"(access|alarm|command|policy|system|view)","seq":(0|[1-9][0-9]{0,18}),"v":1\}'
)
VKEY: Final = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
LEDGER_KEY, WITNESS_KEY = 0x01, 0x04  # type bytes of a vkey: Ed25519, and cosignature/v1


class Unchecked(Exception):
    """Nothing is said about the ledger, and why. `ja`: the same in Japanese, on a line of its own."""

    def __init__(self, why: str, ja: str = "") -> None:
        super().__init__(why)
        self.ja = ja


class Misuse(Unchecked):
    """The command line is wrong: a key that is none, a checkpoint of another log."""


class CannotRun(Unchecked):
    """The file cannot be checked as it stands; nothing is said about its content."""


@dataclass(frozen=True)
class Problem:
    """Where the ledger is not what was signed, or what it says cannot be. `index` is the first bad record as far as can
    be known; where only a span can be named, `first` to `last` hold it; `other`: the record that it was exchanged with.
    `kind` is changed, missing, swapped, forked, cut off, not proven or meaning; `part` the column, or `file`.
    """

    kind: str
    index: int
    first: int
    last: int
    part: str
    what: str
    other: int | None = None


class NotWhole(Exception):
    """The first problem found."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def refuse(
    index: int, part: str, what: str, kind: str = "changed", *, first: int | None = None, last: int | None = None
) -> NoReturn:
    """Raise NotWhole for record `index`, or for the span around it."""
    first = index if first is None else first
    raise NotWhole(Problem(kind, index, first, index if last is None else last, part, what))


# -- Ed25519, RFC 8032 §5.1: verification alone, so no secret is handled and no care for timing is needed --------------

P: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
D: Final = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE: Final = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]  # X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z


def decode_point(encoded: bytes) -> Point | None:
    """§5.1.3. None where the 32 bytes are no point of the curve."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == P - u or (u == 0 and v * x * x % P != u):
        x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add_points(one: Point, other: Point) -> Point:
    """§5.1.4."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % P
    b = (one[1] + one[0]) * (other[1] + other[0]) % P
    c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiples(point: Point) -> list[list[Point]]:
    """j·256^i·point for i < 32 and j < 256, each as (Y-X, Y+X, 2dT, 2Z), which an addition wants. One key signs a whole
    ledger, so a tenth of a second here makes each signature four times cheaper.
    """
    table, base = [], point
    for _ in range(32):
        row, at = [], (0, 1, 1, 0)
        for _ in range(256):
            row.append(((at[1] - at[0]) % P, (at[1] + at[0]) % P, 2 * D * at[3] % P, 2 * at[2] % P))
            at = add_points(at, base)
        table.append(row)
        base = at
    return table


class PureEd25519:
    """Signatures of one public key, in Python alone."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        point = decode_point(public_key)
        if point is None:
            raise Misuse("the key is no Ed25519 public key")
        base = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
        assert base is not None
        x, y, z, t = point
        self.tables = (multiples(base), multiples((-x % P, y, z, -t % P)))

    def is_valid(self, signature: bytes, message: bytes) -> bool:
        """§5.1.7 without the cofactor, as OpenSSL does it: R must be exactly s·B - h·A."""
        s = int.from_bytes(signature[32:], "little")
        if len(signature) != 64 or s >= ORDER:
            return False
        digest = hashlib.sha512(signature[:32] + self.public_key + message).digest()
        h = int.from_bytes(digest, "little") % ORDER
        x, y, z, t = 0, 1, 1, 0
        for number, table in zip((s, h), self.tables, strict=True):
            for byte, row in zip(number.to_bytes(32, "little"), table, strict=True):
                if byte:
                    y_less_x, y_plus_x, t2d, z2 = row[byte]
                    a, b, c, d = (y - x) * y_less_x, (y + x) * y_plus_x, t * t2d, z * z2
                    e, f, g, i = (b - a) % P, (d - c) % P, (d + c) % P, (b + a) % P
                    x, y, z, t = e * f % P, g * i % P, f * g % P, e * i % P
        inverse = pow(z, -1, P)
        x, y = x * inverse % P, y * inverse % P
        return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


def signature_check(public_key: bytes, *, pure: bool) -> tuple[str, Callable[[bytes, bytes], bool]]:
    """What checks signatures of `public_key`, and its name: the `cryptography` package where it is installed."""
    if not pure:
        with contextlib.suppress(ImportError):
            from cryptography.exceptions import InvalidSignature  # optional
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

            key = Ed25519PublicKey.from_public_bytes(public_key)

            def is_valid(signature: bytes, message: bytes) -> bool:
                try:
                    key.verify(signature, message)
                except InvalidSignature:
                    return False
                return True

            return "cryptography", is_valid
    return "pure Python", PureEd25519(public_key).is_valid


# -- canonical JSON, RFC 8785, of objects, arrays, strings, booleans and integers --------------------------------------


def refuse_number(text: str) -> NoReturn:
    """Fractions, exponents, NaN."""
    raise ValueError(f"{text} is no integer")


def canonical(value: object) -> str:
    """The one text of a value (RFC 8785 §3.2). ValueError on null, on what JSON has not and on integers too large."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))  # §3.2.3: by UTF-16 code units
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # the escapes of §3.2.2.2 are the ones Python makes
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) <= INTEGER_MAX:
        return str(value)
    raise ValueError("only objects, arrays, strings, booleans and integers below 2^53")


DECODER: Final = json.JSONDecoder(parse_float=refuse_number, parse_constant=refuse_number)
ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
LONG_NUMBER: Final = re.compile(rb"[0-9]{16}")


def is_canonical(body: bytes) -> bool:
    """Is `body` an object, written as RFC 8785 writes it? Quick for plain ASCII, exact for the rest."""
    try:
        value = DECODER.decode(body.decode())
        if not isinstance(value, dict):
            return False
        # DEL: the one ASCII character that Python escapes and RFC 8785 does not
        is_plain = body.isascii() and b"\x7f" not in body and b"null" not in body and not LONG_NUMBER.search(body)
        if not is_plain:
            return canonical(value).encode() == body
        return ENCODER.encode(value).encode() == body
    except (ValueError, RecursionError):  # UnicodeError is a ValueError
        return False


# -- what of a body is held against other records ----------------------------------------------------------------------

STRING: Final = r'"[^"\\\x00-\x1f]*"'  # of bytes; whether they are UTF-8 is asked apart
INTEGER, BOOLEAN = r"(?:0|-?[1-9][0-9]{0,14})", r"(?:true|false)"
OTHER, ARRAY = r"(\{[^{}]*\})", r"(\[[^\[\]]*\])"  # innermost ones: held against RFC 8785 once, and kept in mind
ACTOR: Final = rf'\{{"officer":{STRING}(?:,"role":{STRING})?\}}'
DETAIL: Final = rf"\{{{STRING}:(?:{STRING}|{INTEGER}|{BOOLEAN})\}}"  # of one member: no order to keep
EVIDENCE: Final = (
    rf'\{{"factors":{INTEGER}(?:,"is_fresh":{BOOLEAN})?(?:,"key_version":{INTEGER})?(?:,"last4":{STRING})?'
    rf'(?:,"link":{INTEGER})?,"method":{STRING}(?:,"pin":{STRING})?(?:,"scheme":{STRING})?\}}'
)
SUBJECT: Final = rf'\{{"cardholder":{STRING}(?:,"credential":{STRING})?\}}'
FIELDS: Final = (  # docs/ledger.md §5 in canonical order, up to `v` and `zone`
    ("access_point", STRING),
    ("actor", f"(?:{ACTOR}|{OTHER})"),
    ("at_ms", r"([1-9][0-9]{0,14})"),
    ("boot", r'"([^"\\\x00-\x1f]*)"'),
    ("clock", r'"(trusted|untrusted)"'),
    ("companions", ARRAY),
    ("corr", r'"([^"\\\x00-\x1f]*)"'),
    ("detail", f"(?:{DETAIL}|{OTHER})"),
    ("direction", STRING),
    ("escorts", ARRAY),
    ("evidence", f"(?:{EVIDENCE}|{OTHER})"),
    ("facts", OTHER),
    ("node", STRING),
    ("number", STRING),
    ("outcome", STRING),
    ("portal", STRING),
    ("reason", STRING),
    ("revision", STRING),
    ("subject", f"(?:{SUBJECT}|{OTHER})"),
    ("trace", OTHER),
    ("type", r'"([A-Z0-9_]+)"'),
    ("tz", STRING),
)
DEMANDED: Final = frozenset({"at_ms", "boot", "clock", "type"})
BODY: Final = re.compile(
    (
        r"\{"
        + "".join(f'(?:"{name}":{value},){"" if name in DEMANDED else "?"}' for name, value in FIELDS)
        + rf'"v":1(?:,"zone":{STRING})?\}}'
    ).encode()
)
"""A body as the controller usually writes one. What does not fit is looked at the slow way, and may be as canonical."""

TOLD: Final = frozenset(  # record types whose detail is held against other records
    b"CLOCK_ACCEPTED CLOCK_TRUSTED CLOCK_UNTRUSTED CONTROLLER_STARTED LEDGER_KEY_ROTATED LEGAL_HOLD_OFF LEGAL_HOLD_ON"
    b" POLICY_EDITED PURGED STORAGE_RESTORED".split()
)
LASTING: Final = frozenset(b"LEDGER_KEY_ROTATED LEGAL_HOLD_OFF LEGAL_HOLD_ON POLICY_EDITED PURGED".split())
"""Of class policy, whose bodies are never dropped: under another one they could be made to go."""
RULING: Final = frozenset({b"LEGAL_HOLD_OFF", b"LEGAL_HOLD_ON", b"PURGED", b"STORAGE_RESTORED"})
PARTS_MAX: Final = 8192
VALUES_MAX: Final = 65_536


class Said(NamedTuple):
    """What a body says that other records are held against. `at_ms` and `boot` None: it does not say."""

    at_ms: int | None
    boot: bytes | None
    clock: bytes
    corr: bytes | None
    has_failed: bool  # a failed rule in its trace
    type: bytes
    detail: dict[str, Any] | None  # of the types in TOLD


PLAIN: Final = r'[^"\\\x00-\x1f]*'
STAMP_MIN: Final = b"1000000000000"  # 13 digits, as times have from 2001 to 2286
COMPANION: Final = rf'\{{(?:"cardholder":{STRING},)?(?:"credential":{STRING},)?"evidence":{EVIDENCE}\}}'
VARYING: Final = tuple(  # what differs from record to record: where it begins, where it ends, what it may be
    (mark, len(mark), close, re.compile(value.encode()).fullmatch if value else None)
    for mark, close, value in (
        (b'"companions":[', b"]", f"{COMPANION}(?:,{COMPANION})*"),
        (b'"corr":"', b'"', ""),  # letters, digits and dashes; never the same again, so that it is not kept in mind
        (b'"evidence":{', b"}", EVIDENCE[2:-2]),
        (b'"revision":"', b"}", f'{PLAIN}","subject":{SUBJECT[:-2]}'),
    )
)
MARKS: Final = (b'"at_ms":', *(one[0] for one in VARYING if one[0] != b'"evidence":{'))


class Shape:
    """What all bodies of a shape say."""

    def __init__(self, said: Said) -> None:
        assert said.boot is not None
        self.boot = said.boot
        self.clock = said.clock
        self.type = said.type
        self.has_failed = said.has_failed
        self.is_calm = said.clock == b"trusted" and not said.has_failed and said.type not in TAKING
        self.is_giving = said.type in GIVING
        self.leaf_form = "%s%d"  # until a leaf of such a record was seen to be right


if TYPE_CHECKING:
    Cut = tuple[tuple[bytes, ...], bytes, bytes | None]  # the body without what varies; of that the time, and `corr`

GIVING: Final = frozenset({b"ACCESS_GRANTED", b"EXIT_GRANTED", b"RELEASED"})
TAKING: Final = frozenset({b"PASSAGE", b"NO_PASSAGE", b"RELEASE_EXPIRED"})


class Bodies:
    """Reads bodies. A site writes the same few hundred texts over and over but for a time, a person and a number: such
    a text (a shape) is understood once, and so is a part that comes again (a trace).

    Why that is sound: a body without backslash has quotes only around strings, so that each mark begins a member, once.
    In a canonical text a value may be replaced by another canonical value, and it stays canonical.
    """

    def __init__(self) -> None:
        self.parts: dict[bytes, bool] = {}
        self.shapes: dict[tuple[bytes, ...], Shape] = {}
        self.values: set[bytes] = set()

    def cut(self, body: bytes) -> Cut | None:
        """Take out what varies. None where that is not of the usual form. This is `cut_any` for most records of most
        sites: somebody alone, whose values are in mind. It is half of the time that a ledger costs.
        """
        find, values = body.find, self.values
        at = find(b'"at_ms":') + 8
        end = at + 13
        corr = find(b'"corr":"', end, end + 96) + 8  # further on where somebody came along
        corr_end = find(b'"', corr)
        evidence = find(b'"evidence":{', corr_end) + 12
        evidence_end = find(b"}", evidence)
        revision = find(b'"revision":"', evidence_end) + 12
        revision_end = find(b"}", revision)
        if (
            (at < 8 or corr < 8 or evidence < 12 or revision < 12)
            or body[evidence:evidence_end] not in values
            or body[revision:revision_end] not in values
        ):
            return self.cut_any(body)
        stamp, said = body[at:end], body[corr:corr_end]
        if stamp < STAMP_MIN or not stamp.isdigit() or not said.replace(b"-", b"").isalnum():
            return None
        known = body[end:corr], body[corr_end:evidence], body[evidence_end:revision]
        return (body[:at], *known, body[revision_end:]), stamp, said

    def cut_any(self, body: bytes) -> Cut | None:
        """The same, whichever of what varies is there."""
        find, values = body.find, self.values
        at = find(b'"at_ms":') + 8
        end = at + 13
        stamp, corr = body[at:end], None
        if at < 8 or stamp < STAMP_MIN or not stamp.isdigit():
            return None
        shape = [body[:at]]
        for mark, length, close, is_one in VARYING:
            start = find(mark, end)
            if start >= 0:
                start += length
                shape.append(body[end:start])
                end = find(close, start)
                value = body[start:end]
                if is_one is None:
                    if not value.replace(b"-", b"").isalnum():
                        return None
                    corr = value
                elif value not in values and not self.learn_value(value, is_one(value)):
                    return None
        shape.append(body[end:])
        return tuple(shape), stamp, corr

    def read(self, body: bytes) -> Said | None:
        """What any body says. None where it is not canonical JSON."""
        said = self.read_whole(body)
        if said is None or said.detail is not None or said.boot is None or b"\\" in body or b'"number":' in body:
            return said  # what tells something is looked at each time; the number of a refusal is never seen again
        cut = self.cut(body)
        if cut is None or (said.at_ms, said.corr) != (int(cut[1]), cut[2]):
            return said
        shape = cut[0]
        if shape not in self.shapes and shape[1][:1] == b"," and all(body.count(mark) <= 1 for mark in MARKS):
            if len(self.shapes) >= PARTS_MAX:
                self.shapes.clear()
            self.shapes[shape] = Shape(said)
        return said

    def learn_value(self, value: bytes, is_one: object) -> bool:
        """Keep a value in mind that is of its pattern."""
        if is_one is None or not value.isascii():
            return False
        if len(self.values) >= VALUES_MAX:
            self.values.clear()
        self.values.add(value)
        return True

    def read_whole(self, body: bytes) -> Said | None:
        """The same, of a body that may be of any shape."""
        match = BODY.fullmatch(body)
        if match is None or not (body.isascii() or is_utf8(body)):
            return said_slowly(body)
        actor, at_ms, boot, clock, with_, corr, detail, escorts, evidence, facts, subject, trace, type_ = match.groups()
        for part in (actor, with_, detail, escorts, evidence, facts, subject, trace):  # the trace last: it is kept
            if part is not None and part not in self.parts and not self.learn(part):
                return said_slowly(body)
        if type_ in TOLD:
            return said_slowly(body)
        return Said(int(at_ms), boot, clock, corr, trace is not None and self.parts[trace], type_, None)

    def learn(self, part: bytes) -> bool:
        """Is this object or array canonical by itself? A canonical text with a canonical part in it is canonical."""
        whole = b'{"a":' + part + b"}"
        if not is_canonical(whole):
            return False
        value = json.loads(part)
        if len(self.parts) >= PARTS_MAX:
            self.parts = {}
        self.parts[part] = isinstance(value, dict) and bool(value.get("failed"))
        return True


def is_utf8(text: bytes) -> bool:
    """Surrogates are none of it."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def said_slowly(body: bytes) -> Said | None:
    """What any body says, however it is written. None where it is not canonical JSON."""
    if not is_canonical(body):
        return None
    value = DECODER.decode(body.decode())

    def text(name: str) -> bytes | None:
        found = value.get(name)
        return found.encode() if isinstance(found, str) else None

    at_ms, trace, detail = value.get("at_ms"), value.get("trace"), value.get("detail")
    return Said(
        at_ms if type(at_ms) is int else None,
        text("boot"),
        text("clock") or b"",
        text("corr"),
        isinstance(trace, dict) and bool(trace.get("failed")),
        text("type") or b"",
        detail if isinstance(detail, dict) else {},
    )


# -- tree, RFC 6962 §2.1 -----------------------------------------------------------------------------------------------


class Tree:
    """The hashes of the complete subtrees of a growing log, largest first: as many as its size has bits set."""

    def __init__(self, on_tile: Callable[[int, int, bytes], None]) -> None:
        self.size = 0
        self.subtrees: list[tuple[int, bytes]] = []  # height, hash
        self.on_tile = on_tile

    def push(self, height: int, node: bytes) -> None:
        """Add a complete subtree of 2^height leaves; tell `on_tile` of each one of 256^level that it completes: level,
        number, hash.
        """
        subtrees = self.subtrees
        self.size += 1 << height
        while subtrees and subtrees[-1][0] == height:
            node = hashlib.sha256(b"\x01" + subtrees.pop()[1] + node).digest()
            height += 1
            if not height & 7:
                self.on_tile(height >> 3, (self.size >> height) - 1, node)
        subtrees.append((height, node))

    def copy(self) -> Tree:
        """The same, to be tried with other leaves."""
        other = Tree(lambda _level, _number, _node: None)
        other.size, other.subtrees = self.size, list(self.subtrees)
        return other

    def root(self, right: bytes | None = None) -> bytes:
        """The tree head of all leaves so far, and of those under `right` after them."""
        for _, left in reversed(self.subtrees):
            right = left if right is None else hashlib.sha256(b"\x01" + left + right).digest()
        return hashlib.sha256().digest() if right is None else right


class Heights:
    """All complete subtrees over the leaf hashes of a span, height by height."""

    def __init__(self, hashes: list[bytes]) -> None:
        digest_of = hashlib.sha256
        self.heights = [hashes]
        while len(hashes) > 1:
            hashes = [
                digest_of(b"\x01" + left + right).digest()
                for left, right in zip(hashes[::2], hashes[1::2], strict=False)
            ]
            self.heights.append(hashes)

    def of(self, height: int) -> list[bytes]:
        """Those of 2^height leaves."""
        return self.heights[height] if height < len(self.heights) else []

    def subtrees(self, size: int | None = None) -> list[tuple[int, bytes]]:
        """The largest ones that the first `size` leaves consist of (all of them), from the left: height, hash."""
        size = len(self.heights[0]) if size is None else size
        bits = [height for height in range(size.bit_length()) if size >> height & 1]
        return [(height, self.heights[height][(size >> height) - 1]) for height in reversed(bits)]

    def root(self, size: int) -> bytes:
        """Of the first `size` leaves."""
        subtrees = self.subtrees(size)
        node = subtrees.pop()[1]
        for _, left in reversed(subtrees):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


# -- keys and checkpoints: signed-note, tlog-checkpoint, tlog-cosignature ----------------------------------------------


def decode_base64(text: str, size: int) -> bytes | None:
    """Exactly `size` bytes in the one standard writing, else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size and base64.b64encode(raw).decode() == text else None


class Key(NamedTuple):
    """The name and public key of a ledger or of a witness."""

    origin: str
    key_hash: bytes
    public_key: bytes
    vkey: str


def parse_key(text: str, algorithm: int = LEDGER_KEY) -> Key:
    """A vkey: `<origin>+<key hash>+<base64(algorithm ‖ public key)>`. Misuse where it is none."""
    match = VKEY.fullmatch(text.strip())
    raw = decode_base64(match[3], 33) if match else None
    if match is None or raw is None:
        why = "a key is a vkey, <name>+<8 hex digits>+<base64>, or a file that holds one line of it"
        raise Misuse(why, "鍵は「名前+16進8桁+base64」の一行か、それを入れたファイルです")
    if raw[0] != algorithm:
        kinds = {LEDGER_KEY: "a ledger's key: give it as --key", WITNESS_KEY: "a witness's: give it as --witness"}
        ja = "鍵の種類が違います。監査ログの鍵は --key、立会人の鍵は --witness で与えてください"
        raise Misuse(f"{text.strip()[:60]}…: this key is {kinds.get(raw[0], 'of a kind not known here')}", ja)
    key_hash = hashlib.sha256(match[1].encode() + b"\n" + raw).digest()[:4]
    if key_hash.hex() != match[2]:
        ja = "鍵の写し間違いです。どこか一文字が違います"
        raise Misuse("the key's own check digits do not match: a letter of it is wrong", ja)
    if decode_point(raw[1:]) is None:
        raise Misuse("the key is no Ed25519 public key")
    return Key(match[1], key_hash, raw[1:], match[0])


class Signature(NamedTuple):
    """One signature line: who, by which key, and what is behind the key hash."""

    name: str
    key_hash: bytes
    rest: bytes


class Checkpoint(NamedTuple):
    """A signed tree head, taken apart. `text` is what was signed; `own` the lines of the ledger, `others` the rest."""

    size: int
    root: bytes
    text: bytes
    own: tuple[Signature, ...]
    others: tuple[Signature, ...]


SIGNATURE_LINE: Final = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


def parse_signature(line: str) -> Signature:
    """ValueError where the line is none, or not in the one standard writing."""
    match = SIGNATURE_LINE.fullmatch(line)
    raw = b"" if match is None or len(match[2]) % 4 else base64.b64decode(match[2])
    if match is None or len(raw) < 5 or base64.b64encode(raw).decode() != match[2]:
        raise ValueError("has a malformed signature line")
    return Signature(match[1], raw[:4], raw[4:])


def parse_checkpoint(note: bytes, origin: str) -> Checkpoint:
    """Take a checkpoint apart; witnesses may have added signature lines. ValueError says what is wrong with it."""
    try:
        lines = note.decode().split("\n")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if len(lines) < 6 or lines[3] != "" or lines[-1] != "":
        raise ValueError("is not three lines, an empty line and a signature")
    if lines[0] != origin:
        raise ValueError(f"is of another origin: {lines[0][:80]!r}, not {origin!r}")
    root = decode_base64(lines[2], 32)
    if NUMBER.fullmatch(lines[1]) is None or root is None:
        raise ValueError("has a malformed size or root")
    found = tuple(map(parse_signature, lines[4:-1]))
    own = tuple(one for one in found if one.name == origin)
    if own != found[: len(own)]:
        raise ValueError("has a line of the ledger's behind somebody else's")
    return Checkpoint(int(lines[1]), root, "".join(f"{one}\n" for one in lines[:3]).encode(), own, found[len(own) :])


def checkpoint_text(origin: str, size: int, root: bytes) -> bytes:
    """What is signed for a tree."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


class Signers:
    """Checks signatures of any key; what a key costs to prepare is paid once."""

    def __init__(self, *, pure: bool) -> None:
        self.pure = pure
        self.checks: dict[bytes, Callable[[bytes, bytes], bool]] = {}
        self.by = "pure Python"

    def is_signed(self, key: Key, signature: bytes, text: bytes) -> bool:
        """Is `signature` one of `key` over `text`?"""
        check = self.checks.get(key.public_key)
        if check is None:
            self.by, check = signature_check(key.public_key, pure=self.pure)
            self.checks[key.public_key] = check
        return check(signature, text)

    def cosigned_at(self, witness: Key, line: Signature, text: bytes) -> int | None:
        """When `witness` cosigned `text`, in seconds since 1970; None: this is not its cosignature/v1 of that."""
        stamp, signature = line.rest[:8], line.rest[8:]
        at = int.from_bytes(stamp, "big")
        head = b"cosignature/v1\ntime %d\n" % at
        is_its = (line.name, line.key_hash) == (witness.origin, witness.key_hash) and len(signature) == 64
        return at if is_its and self.is_signed(witness, signature, head + text) else None


# -- the day's short code, docs/ledger.md §12 --------------------------------------------------------------------------

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE: Final = re.compile(rf"(0|[1-9][0-9]{{0,18}})-((?:[{CROCKFORD}]{{4}}-){{3}})([{CROCKFORD}])")


def letters_of(digest: bytes, count: int) -> str:
    """The first 5·count bits in Crockford's base 32."""
    bits = int.from_bytes(digest, "big")
    return "".join(CROCKFORD[bits >> len(digest) * 8 - 5 * place & 31] for place in range(1, count + 1))


def code_letters(text: bytes) -> str:
    """The twelve letters of a checkpoint's three lines, in groups of four."""
    letters = letters_of(hashlib.sha256(b"sekisho code v1\n" + text).digest(), 12)
    return "-".join(letters[at : at + 4] for at in (0, 4, 8))


def parse_code(text: str) -> tuple[int, str]:
    """Size and letters of a code as somebody copied it. Misuse where it was copied wrongly."""
    plain = text.strip().upper().translate(str.maketrans("OIL", "011"))
    match = CODE.fullmatch(plain)
    if match is None:
        ja = "符号は「件数-XXXX-XXXX-XXXX-X」の形で、数字と、I・L・O・U を除く英字から成ります"
        raise Misuse("a code is SIZE-XXXX-XXXX-XXXX-C, in digits and letters without I, L, O and U", ja)
    if letters_of(hashlib.sha256(plain[:-2].encode()).digest(), 1) != match[3]:
        why = f"the code {plain} was copied wrongly: its last letter is not that of the others. Look again"
        raise Misuse(why, "符号の写し間違いです。最後の文字が他の文字と合いません。点検票をもう一度見てください")
    return int(match[1]), match[2][:-1]


# -- where records come from -------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """One record as it lies in the file, every part still to be believed."""

    seq: int
    leaf: bytes
    salt: bytes | None
    body: bytes | None
    checkpoint: bytes | None


class Span(NamedTuple):
    """Records to be looked at in one go: the first one's index, how many, and where they begin in an export."""

    first: int
    length: int
    at: int = 0


def refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object's members; ValueError where a name stands twice, which readers take differently."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


LINE_NAMES: Final = frozenset({"seq", "leaf", "salt", "body", "checkpoint"})
LINES: Final = json.JSONDecoder(object_pairs_hook=refuse_repeated)


def parse_line(line: bytes) -> Row:
    """One line of an export. ValueError where it is not what docs/ledger.md §3 says."""
    value = LINES.decode(line.decode())
    if not isinstance(value, dict) or not {"seq", "leaf"} <= value.keys() <= LINE_NAMES:
        raise ValueError("the line is not an object of seq, leaf, salt, body, checkpoint")
    seq = value.pop("seq")
    if type(seq) is not int or not all(type(text) is str for text in value.values()):
        raise ValueError("a part is of the wrong type")
    salt = value.pop("salt", None)
    if salt is not None and re.fullmatch(r"(?:[0-9a-f]{2})*", salt, re.ASCII) is None:
        raise ValueError("the salt is not in lower-case hex")
    parts = {name: text.encode() for name, text in value.items()}
    return Row(
        seq,
        parts["leaf"],
        None if salt is None else bytes.fromhex(salt),
        parts.get("body"),
        parts.get("checkpoint"),
    )


class Export:
    """An export in JSON Lines, read line by line."""

    form: Final = "export"
    has_bodies: Final = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes_read = 0
        self.bytes_total = max(path.stat().st_size, 1)

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def spans(self) -> Iterator[Span]:
        """Where each span begins; finding it out reads the file once."""
        self.bytes_read = 0
        with self.path.open("rb") as file:
            first = count = start = 0
            for line in iter(lambda: file.readline(LINE_BYTES_MAX + 1), b""):
                self.bytes_read += len(line)
                count += 1
                if count == SPAN or len(line) > LINE_BYTES_MAX:
                    yield Span(first, count, start)
                    first, count, start = first + count, 0, self.bytes_read
            if count:
                yield Span(first, count, start)

    def rows(self, span: Span) -> Iterator[Row]:
        """The records of `span` in the file's order. NotWhole at the first line that is none."""
        with self.path.open("rb") as file:
            file.seek(span.at)
            for index in range(span.first, span.first + span.length):
                line = file.readline(LINE_BYTES_MAX + 1)
                if len(line) > LINE_BYTES_MAX:
                    refuse(index, "file", "the line is longer than any record")
                try:
                    yield parse_line(line)
                except (ValueError, RecursionError) as error:
                    self.refuse_line(index, line, error)

    def refuse_line(self, index: int, line: bytes, error: Exception) -> NoReturn:
        """What a line is that is no record."""
        if index and not line.endswith(b"\n"):
            why = f"the file ends within line {index + 1}: it was cut off, or its copying was; export it again"
            refuse(index, "file", why, "cut off")
        hint = "" if index else "; is this an export (sekisho ledger export)?"
        refuse(index, "file", f"line {index + 1} is not a record: {error}{hint}")

    def cosignatures(self, _span: Span) -> dict[int, tuple[bytes, ...]]:
        """They stand in the checkpoints."""
        return {}

    def done(self, _size: int) -> float:
        """How much of the file is read, 0 to 1."""
        return self.bytes_read / self.bytes_total

    def check_tile(self, level: int, number: int, node: bytes) -> None:
        """An export carries no tiles."""

    def check_rest(self, size: int) -> None:
        """Nothing stands beside an export's records."""


STORED: Final = frozenset({bytes, type(None)})
COLUMNS: Final = [("seq", "INTEGER", 1), *((name, "BLOB", 0) for name in ("leaf", "salt", "body", "checkpoint"))]


class Store:
    """`ledger.db` of a stopped controller, opened as immutable; with a write-ahead log beside it, a copy of both."""

    form: Final = "database"
    has_bodies: Final = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.size = 0
        self.tiles_met = 0
        self.version = 0
        self.bad_tile: Problem | None = None

    def __enter__(self) -> Store:
        if is_locked(self.path):
            raise CannotRun(
                "a running controller holds this ledger. Let it write an export and verify that: sekisho ledger export"
            )
        if sqlite3.sqlite_version_info < (3, 37):
            raise CannotRun(f"this Python brings SQLite {sqlite3.sqlite_version}; a ledger needs 3.37 or newer")
        beside = [Path(f"{self.path}{end}") for end in ("-wal", "-journal")]
        beside = [path for path in beside if path.exists() and path.stat().st_size]
        if beside:
            self.path = self.copy_of(beside)
        self.connection = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
        self.connection.execute("PRAGMA trusted_schema = OFF")
        return self

    def copy_of(self, beside: list[Path]) -> Path:
        """The database with what lies beside it worked in, in a folder of ours."""
        self.folder = tempfile.TemporaryDirectory(prefix="sekisho-verify-")
        copy = Path(self.folder.name) / self.path.name
        for path in (self.path, *beside):
            shutil.copyfile(path, copy.with_name(path.name))
        connection = sqlite3.connect(copy)
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.DatabaseError:
            pass  # what is damaged is found, and said, where it is read
        finally:
            connection.close()
        return copy

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        if self.folder is not None:
            self.folder.cleanup()

    def one(self, query: str, *values: int) -> Any:  # whatever stands in a hostile file
        """The first column of the first row, or None."""
        row = self.connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def spans(self) -> Iterator[Span]:
        """By sequence number. CannotRun where this is no ledger that we know."""
        with reading(0):
            if self.one("PRAGMA application_id") != APPLICATION_ID:
                raise CannotRun("this SQLite file is no Sekisho ledger (application_id)")
            self.version = self.one("PRAGMA user_version")
            if self.version not in FORMATS:
                raise CannotRun("this ledger's format is of another version: take the verifier that came with it")
            self.check_tables()
            oldest, newest = self.one("SELECT min(seq) FROM record"), self.one("SELECT max(seq) FROM record")
            if type(oldest) is not type(newest) or type(newest) not in (int, type(None)) or (oldest or 0) < 0:
                refuse(0, "seq", "a record stands before the first one, or has no number")
        self.size = 0 if newest is None else newest + 1
        for first in range(0, self.size, SPAN):
            yield Span(first, min(SPAN, self.size - first))

    def check_tables(self) -> None:
        """What is read must be what the file holds: a view can show today what is not there tomorrow."""
        found = self.one("SELECT name FROM sqlite_schema WHERE type IN ('view', 'trigger')")
        if found is not None:
            refuse(0, "file", f"the file holds a view or trigger, {str(found)[:40]!r}: no ledger has one")
        columns = self.connection.execute("SELECT name, type, pk FROM pragma_table_info('record')").fetchall()
        if columns != COLUMNS:
            refuse(0, "file", "the table `record` has other columns than those of a ledger")

    def rows(self, span: Span) -> Iterator[Row]:
        """The records of `span` by sequence number, of whatever types the columns hold."""
        query = "SELECT seq, leaf, salt, body, checkpoint FROM record WHERE seq >= ? AND seq < ? ORDER BY seq"
        return self.connection.execute(query, (span.first, span.first + span.length))

    def cosignatures(self, span: Span) -> dict[int, tuple[bytes, ...]]:
        """Signature lines by the size of the checkpoint that they belong to."""
        if (self.version or self.one("PRAGMA user_version")) < 2:
            return {}
        query = "SELECT size, witness, line FROM cosignature WHERE size > ? AND size <= ? ORDER BY size, witness"
        found: dict[int, tuple[bytes, ...]] = {}
        for size, witness, line in self.connection.execute(query, (span.first, span.first + span.length)):
            is_its = isinstance(line, bytes) and line.startswith(f"— {witness} ".encode())
            found[size] = (*found.get(size, ()), line if is_its else b"")  # which is no signature line
        return found

    def done(self, size: int) -> float:
        """How much of the file is read, 0 to 1."""
        return size / max(self.size, 1)

    def check_tile(self, level: int, number: int, node: bytes) -> None:
        """Hold the stored hash of a complete subtree against the recomputed one."""
        query = "SELECT hash FROM tile WHERE level = ? AND number = ?"
        with reading(number * 256**level):
            stored = [row[0] for row in self.connection.execute(query, (level, number))]
        self.tiles_met += len(stored)
        if self.bad_tile is None and stored != [node]:
            first, count = number * 256**level, 256**level
            what = f"the stored hash {level}/{number} is missing or not that of its records (they are whole)"
            self.bad_tile = Problem("changed", first, first, first + count - 1, "tile", what)

    def check_rest(self, size: int) -> None:
        """After the last record: tiles that do not match or cover nothing, cosignatures of what is not there."""
        last = size - 1
        with reading(last):
            if self.version >= 2:
                beyond = self.one("SELECT max(size) FROM cosignature") or 0
                if beyond > size:
                    what = f"a witness cosigned {beyond} records, and this ledger ends after {size}"
                    refuse(size, "cosignature", what, "cut off", first=size, last=beyond - 1)
                if self.one("SELECT count(*) FROM cosignature WHERE size < 1"):
                    refuse(0, "cosignature", "a cosignature is of a size that no checkpoint has")
            if self.bad_tile is None and self.one("SELECT count(*) FROM tile") != self.tiles_met:
                refuse(last, "tile", "a stored tile covers records that are not there")
        if self.bad_tile is not None:
            raise NotWhole(self.bad_tile)


@contextlib.contextmanager
def reading(index: int | Callable[[], int]) -> Iterator[None]:
    """What SQLite says of the file while record `index` is read, in our words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CannotRun(f"SQLite cannot read it: {error}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: in what SQLite says of damaged names
        refuse(index if isinstance(index, int) else index(), "file", f"SQLite finds the file damaged here: {error}")


class Tiles:
    """A folder in the form of C2SP `tlog-tiles`: leaves, tree and the newest checkpoint. Bodies are not in it."""

    form: Final = "tiles"
    has_bodies: Final = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.note = b""
        self.hashes: dict[int, bytearray] = {}  # of the tile that is being filled, by level

    def __enter__(self) -> Tiles:
        with (self.path / "checkpoint").open("rb") as file:
            self.note = file.read(64 * 1024)
        lines = self.note.split(b"\n", 2)
        if len(lines) == 3 and lines[1].isdigit() and len(lines[1]) < 19:
            self.size = int(lines[1])
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def spans(self) -> Iterator[Span]:
        """As many leaves as the checkpoint speaks of."""
        if not self.size:
            refuse(0, "checkpoint", "the file `checkpoint` speaks of no records")
        for first in range(0, self.size, SPAN):
            yield Span(first, min(SPAN, self.size - first))

    def rows(self, span: Span) -> Iterator[Row]:
        """The leaves of `span`, the last of all with the checkpoint; NotWhole where an entry bundle is not whole."""
        for start in range(span.first, span.first + span.length, 256):
            width = min(256, self.size - start)
            bundle = self.read("entries", start >> 8, width)
            if bundle is None:
                refuse(start, "entries", "the entries from here on are not in the folder", "missing")
            hashes, at = [], 0
            for index in range(start, start + width):
                leaf = bundle[at + 2 : at + 2 + int.from_bytes(bundle[at : at + 2], "big")]
                at += 2 + len(leaf)
                hashes.append(hashlib.sha256(b"\x00" + leaf).digest())
                yield Row(index, leaf, None, None, self.note if index == self.size - 1 else None)
            if len(bundle) != at and width == 256:
                refuse(start + width - 1, "entries", "the bundle goes on behind its last entry")
            self.hold(0, start >> 8, hashes)

    def hold(self, level: int, number: int, hashes: list[bytes]) -> None:
        """Hold a tile against the hashes that its records give."""
        first, last = number << 8 * (level + 1), min((number + 1 << 8 * (level + 1)) - 1, self.size - 1)
        stored = self.read(str(level), number, len(hashes))
        if stored is None:
            refuse(first, "tile", f"tile {level}/{number} is not in the folder", "missing", first=first, last=last)
        if stored[: 32 * len(hashes)] != b"".join(hashes) or (len(hashes) == 256 and len(stored) != 8192):
            what = f"tile {level}/{number} does not hold the hashes of its records"
            refuse(first, "tile", what, first=first, last=last)

    def read(self, kind: str, number: int, width: int) -> bytes | None:
        """A tile or bundle of which `width` parts are wanted; a full one will do. None: it is not there."""
        digits = f"{number:03d}".zfill(-(-len(str(number)) // 3) * 3)
        threes = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{three}" for three in threes[:-1]), threes[-1]])
        for end in ("",) if width == 256 else (f".p/{width}", ""):
            path = self.path / "tile" / kind / f"{name}{end}"
            if path.is_file():
                with path.open("rb") as file:
                    return file.read(LINE_BYTES_MAX * 2)
        return None

    def cosignatures(self, _span: Span) -> dict[int, tuple[bytes, ...]]:
        """They stand in the checkpoint."""
        return {}

    def done(self, size: int) -> float:
        """How much is read, 0 to 1."""
        return size / max(self.size, 1)

    def check_tile(self, level: int, number: int, node: bytes) -> None:
        """Collect the hashes of each tile, and hold those that are full against their files."""
        hashes = self.hashes.setdefault(level, bytearray())
        hashes += node
        if len(hashes) == 8192:
            self.hold(level, number >> 8, [bytes(hashes)[at : at + 32] for at in range(0, 8192, 32)])
            hashes.clear()

    def check_rest(self, size: int) -> None:
        """After the last record: the tiles that are not full."""
        for level, hashes in sorted(self.hashes.items()):
            if hashes:
                number = (size >> 8 * level) >> 8
                self.hold(level, number, [bytes(hashes)[at : at + 32] for at in range(0, len(hashes), 32)])


if TYPE_CHECKING:
    Source = Export | Store | Tiles


def is_locked(path: Path) -> bool:
    """Does a process hold the database for itself? Asks for SQLite's shared lock and gives it back at once."""
    try:
        import fcntl  # absent on Windows, where no controller runs
    except ImportError:
        return False
    # SQLite's SHARED_FIRST and SHARED_SIZE; beside a write-ahead log, its writer's byte (WAL_WRITE_LOCK)
    for file_path, start, length in ((path, 0x40000002, 510), (Path(f"{path}-shm"), 120, 1)):
        if file_path.exists():
            with file_path.open("rb") as file:
                try:
                    fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, length, start)
                except OSError:
                    return True
                fcntl.lockf(file, fcntl.LOCK_UN, length, start)
    return False


def state_of(path: Path) -> list[tuple[int, int] | None]:
    """Size and time of the file and what stands beside it: has somebody written while we read?"""
    paths = (path, Path(f"{path}-wal"), Path(f"{path}-journal"))
    return [(at.stat().st_size, at.stat().st_mtime_ns) if at.exists() else None for at in paths]


def open_source(path: Path) -> Source:
    """Tell a folder of tiles from a file, and a database from an export by its first bytes."""
    if path.is_dir():
        if not (path / "checkpoint").is_file():
            raise CannotRun("this folder holds no `checkpoint`: it is no folder of tiles")
        return Tiles(path)
    with path.open("rb") as file:
        head = file.read(16)
    if head == b"SQLite format 3\x00":
        return Store(path)
    if is_proof(path):
        why = "this is the proof of one record, not a ledger: sekisho ledger check-proof FILE --key KEY"
        raise CannotRun(why, "これは一件の証明です。sekisho ledger check-proof FILE --key KEY で確かめてください")
    return Export(path)


def is_proof(path: Path) -> bool:
    """Whether this is what `sekisho ledger prove` hands out, as text or as JSON: one line with a path."""
    with path.open("rb") as file:
        line, rest = file.readline(LINE_BYTES_MAX), file.read(1)
    try:
        return line.startswith(b"c2sp.org/tlog-proof@") or (not rest and "path" in json.loads(line))
    except (ValueError, RecursionError, TypeError):
        return False


# -- a span of records, each looked at by itself (docs/ledger.md §4) ---------------------------------------------------


class Job(NamedTuple):
    """A span, and what to hold it against. `marks`: sizes whose root is asked for."""

    path: Path
    span: Span
    keys: tuple[Key, ...]
    witnesses: tuple[Key, ...]
    marks: frozenset[int]
    pure: bool
    quick: bool


class Note(NamedTuple):
    """A checkpoint in a span. `right`: the root of the span's leaves up to it; `lines`: the ledger's own, each with
    True (good), False, or None where its key is not known here or nobody looked.
    """

    seq: int
    right: bytes
    root: bytes
    text: bytes
    lines: tuple[tuple[Signature, bool | None], ...]


class Cosigned(NamedTuple):
    """A cosignature in a span by the witness of that number. `at` None: it is bad."""

    seq: int
    witness: int
    at: int | None


@dataclass
class Found:
    """What a span holds, for whoever joins the spans. `problem`: why it was not read to its end."""

    span: Span
    count: int = 0
    subtrees: list[tuple[int, bytes]] = field(default_factory=list)
    tiles: list[bytes] = field(default_factory=list)  # of level 1
    rights: dict[int, bytes] = field(default_factory=dict)  # by size, of the marks
    notes: list[Note] = field(default_factory=list)
    cosigned: list[Cosigned] = field(default_factory=list)
    gone: dict[bytes, int] = field(default_factory=dict)  # bodies, by class: a bit each, from the span's first on
    told: list[Told] = field(default_factory=list)
    odd: list[tuple[int, str]] = field(default_factory=list)  # findings of one record by itself
    rotated: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    story: list[Stretch | Awaited] = field(default_factory=list)
    grants: list[bytes] = field(default_factory=list)
    problem: Problem | None = None
    signatures_by: str = ""


class Told(NamedTuple):
    """A record of the types in TOLD. `at_ms` None: its clock was not believed; `detail` of the types in RULING."""

    seq: int
    type: bytes
    at_ms: int | None
    detail: dict[str, Any]


class Stretch(NamedTuple):
    """Records of one boot and one state of the clock, one after the other, whose times run on. `gone`: the newest body
    before it that is not there (-1: none). `detail` of the first, where its type is in TOLD.
    """

    seq: int
    boot: bytes
    is_trusted: bool
    type: bytes
    first_at: int
    last_at: int
    gone: int
    detail: dict[str, Any] | None


class Awaited(NamedTuple):
    """A passage whose grant stands in no record of its span; or a grant by itself, with a failed rule."""

    seq: int
    type: bytes
    corr: bytes
    gone: int


BODIES: Final = Bodies()  # one for each process: what it has understood holds for every ledger
STAMP_END: Final = b":"  # after every stamp


class SpanCheck:
    """Looks at the records of one span, one after the other."""

    def __init__(self, job: Job, source: Source) -> None:
        self.job = job
        self.source = source
        self.origin = job.keys[0].origin
        self.signers = Signers(pure=job.pure)
        self.keys = {key.key_hash: key for key in job.keys}
        self.found = Found(job.span)
        self.index = job.span.first  # of the record that is looked at
        self.hashes: list[bytes] = []
        self.noted: list[tuple[int, object]] = []
        self.granted: set[bytes] = set()
        self.gone = -1
        # the stretch that is being heard, and the time of its newest record, as a number and as it is written
        self.head: tuple[int, bytes, bool, bytes, int, int, dict[str, Any] | None] | None = None
        self.boot: bytes | None = None
        self.stamp = STAMP_END
        self.last_at = 0

    def run(self) -> None:
        """All of it. What is usual is done here, and quickly; whatever is not, by `take`."""
        cut_of, shapes, take, digest_of = BODIES.cut, BODIES.shapes, self.take, hashlib.sha256
        append = self.hashes.append
        for row in self.source.rows(self.job.span):
            seq, leaf, salt, body, note = row
            index = self.index
            cut = cut_of(body) if type(body) is bytes and type(salt) is bytes and len(salt) == 32 else None
            shape = None if cut is None else shapes.get(cut[0])
            if cut is None or shape is None or salt is None or body is None or seq != index:
                take(row)
            else:
                _, stamp, corr = cut
                if leaf != (shape.leaf_form % (digest_of(salt + body).hexdigest(), index)).encode():
                    take(row)
                elif shape.is_calm and stamp >= self.stamp and shape.boot == self.boot:
                    self.stamp = stamp
                    if corr is not None and shape.is_giving:
                        self.give(corr)
                else:
                    self.hear(
                        index, Said(int(stamp), shape.boot, shape.clock, corr, shape.has_failed, shape.type, None)
                    )
            append(digest_of(b"\x00" + leaf).digest())
            if note is not None:
                self.noted.append((index, note))
            self.index = index + 1

    def take(self, row: Row) -> None:
        """Check one record."""
        index, row = self.index, Row(*row)  # a database gives plain tuples
        seq, leaf, salt, body, note = row
        if type(seq) is not int or type(leaf) is not bytes:
            refuse(index, "leaf", "the leaf or its number is of the wrong type")
        if not {type(salt), type(body), type(note)} <= STORED:
            refuse(index, "file", "a part is of the wrong type")
        if seq != index:
            what = f"record {index} should follow, and record {seq} stands there"
            refuse(index, "seq", what, "missing" if seq > index else "changed")
        if salt is None or body is None or len(salt) != 32:
            self.miss(index, row)
            return
        match = LEAF.fullmatch(leaf)
        body_hash = hashlib.sha256(salt + body).hexdigest()
        if match is None or int(match[3]) != index or match[1].decode() != body_hash:
            refuse_leaf(index, row)
        said = BODIES.read(body)
        if said is None:
            refuse(index, "body", "the body is not canonical JSON")
        if said.type in LASTING and match[2] != b"policy":
            self.found.odd.append((index, f"{said.type.decode()} is of class policy, and not of {match[2].decode()}"))
        cut = BODIES.cut(body)
        shape = None if cut is None else BODIES.shapes.get(cut[0])
        if shape is not None:
            shape.leaf_form = f'{{"body":"%s","class":"{match[2].decode()}","seq":%d,"v":1}}'
        self.hear(index, said)

    def miss(self, index: int, row: Row) -> None:
        """A record without its body: tiles have none, and retention may have dropped it."""
        match = LEAF.fullmatch(row.leaf)
        if match is None or int(match[3]) != index or (row.salt, row.body) != (None, None):
            refuse_leaf(index, row)
        if not self.source.has_bodies:
            return
        if match[2] == b"policy":
            refuse(index, "body", "body and salt are gone, and those of class policy are never dropped", "missing")
        self.found.gone[match[2]] = self.found.gone.get(match[2], 0) | 1 << index - self.job.span.first
        self.gone = index

    # -- meaning, as far as one span shows it --------------------------------------------------------------------------

    def give(self, corr: bytes) -> None:
        """A grant or release, which a passage may name."""
        self.found.grants.append(corr)
        self.granted.add(corr)

    def hear(self, index: int, said: Said) -> None:
        """Keep what other spans' records are held against."""
        at_ms, boot, clock, corr, has_failed, type_, detail = said
        if corr is not None and type_ in GIVING:
            self.give(corr)
        elif corr is not None and type_ in TAKING and corr not in self.granted:
            self.end_stretch()
            self.found.story.append(Awaited(index, type_, corr, self.gone))
        if has_failed and type_ == b"ACCESS_GRANTED":
            self.end_stretch()
            self.found.story.append(Awaited(index, type_, b"", self.gone))
        if detail is not None:
            self.keep(index, said, detail)
        if at_ms is None or boot is None:
            return
        head, is_trusted, stamp = self.head, clock == b"trusted", b"%013d" % at_ms
        if len(stamp) != 13 or at_ms < 0:
            stamp = STAMP_END
        if head is None or detail is not None or stamp < self.stamp or head[1] != boot or head[2] != is_trusted:
            self.end_stretch()
            self.head = (index, boot, is_trusted, type_, at_ms, self.gone, detail)
            self.boot = boot if is_trusted else None
        self.stamp, self.last_at = stamp, at_ms

    def keep(self, index: int, said: Said, detail: dict[str, Any]) -> None:
        """Records that say what may be gone and when it was, and by whom is signed from here on."""
        if said.type not in TOLD:
            return
        at_ms = said.at_ms if said.clock == b"trusted" else None
        self.found.told.append(Told(index, said.type, at_ms, detail if said.type in RULING else {}))
        if said.type == b"LEDGER_KEY_ROTATED":
            self.found.rotated.append((index, detail))

    def end_stretch(self) -> None:
        """What comes next does not go on like the records before."""
        if self.head is not None:
            index, boot, is_trusted, type_, first_at, gone, detail = self.head
            last_at = self.last_at if self.stamp == STAMP_END else int(self.stamp)
            self.found.story.append(Stretch(index, boot, is_trusted, type_, first_at, last_at, gone, detail))
        self.head, self.boot, self.stamp = None, None, STAMP_END

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """After the records: what needs the tree. NotWhole at the first checkpoint that is none."""
        end = self.index
        heights, first = Heights(self.hashes), self.job.span.first
        self.found.count, self.found.subtrees = len(self.hashes), heights.subtrees()
        self.found.tiles = heights.of(8)
        for size in self.job.marks:
            if first < size <= end:
                self.found.rights[size] = heights.root(size - first)
        cosignatures = self.source.cosignatures(self.job.span)
        for index, note in self.noted:
            self.index = index
            lines = cosignatures.pop(self.index + 1, ())
            self.read_note(self.index, note, lines, heights.root(self.index + 1 - first))
        for size in cosignatures:
            if size <= end:
                refuse(size - 1, "cosignature", f"a cosignature is of {size} records, where no checkpoint stands")

    def read_note(self, index: int, note: object, lines: tuple[bytes, ...], right: bytes) -> None:
        """Take a checkpoint apart; its root is judged by whoever knows what comes before this span."""
        if type(note) is not bytes:
            refuse(index, "file", "a part is of the wrong type")
        try:
            size, root, text, own, others = parse_checkpoint(note, self.origin)
            if others and self.source.form == "database":  # there cosignatures have a table of their own
                raise ValueError("has a signature line of somebody else")
        except ValueError as error:
            refuse(index, "checkpoint", f"the checkpoint {error}")
        try:
            others += tuple(parse_signature(line.decode()) for line in lines)
        except ValueError as error:
            refuse(index, "cosignature", f"the cosignature beside it {error}, or is somebody else's")
        if size != index + 1:
            refuse(index, "checkpoint", f"the checkpoint speaks of {size} records, not {index + 1}")
        judged = tuple((line, self.judge(line, text)) for line in own)
        self.found.notes.append(Note(index, right, root, text, judged))
        for number, witness in enumerate(self.job.witnesses):
            for line in others:
                if (line.name, line.key_hash) == (witness.origin, witness.key_hash):
                    self.found.cosigned.append(Cosigned(index, number, self.signers.cosigned_at(witness, line, text)))

    def judge(self, line: Signature, text: bytes) -> bool | None:
        """Is this line of the ledger's good? None: not looked at, or by a key not known yet."""
        key = self.keys.get(line.key_hash)
        return None if self.job.quick or key is None else self.signers.is_signed(key, line.rest, text)


def refuse_leaf(index: int, row: Row) -> NoReturn:
    """Say what is wrong with a record whose leaf, salt and body do not belong together."""
    match = LEAF.fullmatch(row.leaf)
    if match is None or int(match[3]) != index:
        refuse(index, "leaf", "the leaf is not the canonical text of this record")
    if row.salt is None or row.body is None:
        refuse(index, "salt" if row.salt is None else "body", "salt and body must stand or be dropped together")
    if len(row.salt) != 32:
        refuse(index, "salt", f"the salt has {len(row.salt)} bytes, not 32")
    refuse(index, "body", "the body with its salt is not the one that the leaf names")


def look_at(job: Job) -> Found:
    """Look at one span. Runs in a process of its own where the ledger is long."""
    with open_source(job.path) as source:
        check = SpanCheck(job, source)
        found = check.found
        try:
            with reading(lambda: check.index):
                check.run()
            if check.index < job.span.first + job.span.length:
                refuse(check.index, "seq", f"record {check.index} is missing", "missing")
        except NotWhole as error:
            found.problem = error.problem
        try:
            with reading(lambda: check.index):
                check.close()
        except NotWhole as error:  # of a record before the other problem
            found.problem = error.problem
    check.end_stretch()
    found.signatures_by = check.signers.by
    return found


# -- what the records must mean together (docs/ledger.md §11) ----------------------------------------------------------

BACK_MS_MAX: Final = 2000  # a time server may take back so much without the clock losing its credit
LATE_MS_MAX: Final = 60_000  # before an outage was noticed
REACH: Final = 65_536  # records: how far a passage may stand from its grant, and a gone body may excuse
PENDING_MAX: Final = 1000


class Doubt(NamedTuple):
    """A finding that a later record of the same boot may explain."""

    kind: str
    at_ms: int
    problem: Problem


class Meaning:
    """Holds what bodies say against each other, in the order of the ledger. Never ends the check: it collects."""

    def __init__(self) -> None:
        self.findings: list[Problem] = []
        self.count = 0
        self.doubts: list[Doubt] = []
        self.boot: bytes | None = None
        self.mark: int | None = None  # the latest time of this boot that was believed
        self.believed: int | None = None  # the last one of any boot
        self.before = 0  # time of the record before
        self.is_doubted = False  # CLOCK_UNTRUSTED holds
        self.gone = -1
        self.young: set[bytes] = set()
        self.old: set[bytes] = set()
        self.revision: str | None = None

    def take(self, found: Found) -> None:
        """One span's records."""
        for seq, what in found.odd:
            self.find(seq, what)
        for told in found.story:
            self.gone = max(self.gone, told.gone)
            if isinstance(told, Stretch):
                self.hear(told)
            elif told.type == b"ACCESS_GRANTED":
                self.find(told.seq, "somebody was let in although a rule failed: the trace names it")
            elif told.corr not in self.young and told.corr not in self.old:
                what = f"{told.type.decode()} without the grant or release before it that it names"
                self.doubt("grant", told.seq, 0, what)
        if found.gone:
            self.gone = found.span.first + max(bits.bit_length() for bits in found.gone.values()) - 1
        self.young.update(found.grants)
        if len(self.young) > REACH:
            self.young, self.old = set(), self.young

    def end(self) -> None:
        """After the last record nothing more can be explained."""
        for doubt in self.doubts:
            self.add(doubt.problem)
        self.doubts.clear()

    def find(self, index: int, what: str) -> None:
        """A finding that nothing explains."""
        self.add(Problem("meaning", index, index, index, "body", what))

    def add(self, problem: Problem) -> None:
        """Count it; keep it while there is room."""
        self.count += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(problem)

    def doubt(self, kind: str, index: int, at_ms: int, what: str) -> None:
        """A finding, unless a later record of this boot explains it, or a body that is gone may have."""
        if self.gone >= 0 and index - self.gone < REACH:
            return
        doubt = Doubt(kind, at_ms, Problem("meaning", index, index, index, "body", what))
        if len(self.doubts) < PENDING_MAX:
            self.doubts.append(doubt)
        else:
            self.add(doubt.problem)

    def explain(self, *kinds: str, since_ms: int | None = None) -> None:
        """What was doubted is in order, where it is of these kinds (and was not made before then)."""
        self.doubts = [
            one for one in self.doubts if one.kind not in kinds or (since_ms is not None and one.at_ms < since_ms)
        ]

    def hear(self, told: Stretch) -> None:
        """Boots and times; then what the first record of the stretch says."""
        if told.type == b"LEDGER_KEY_ROTATED":  # written at the console, in no boot of a controller
            return
        if told.boot != self.boot:
            self.end()
            self.boot, self.mark, self.is_doubted = told.boot, self.believed, False
            if told.type not in {b"CONTROLLER_STARTED", b"TAIL_SET_ASIDE"}:  # that one stands before a start, by itself
                self.doubt("start", told.seq, 0, f"a boot begins with {told.type.decode()}, not CONTROLLER_STARTED")
        elif told.type == b"CONTROLLER_STARTED":
            self.find(told.seq, "CONTROLLER_STARTED a second time in one boot")
        self.time(told)
        handle = self.TOLD.get(told.type)
        if handle is not None:
            handle(self, told)

    def time(self, told: Stretch) -> None:
        """A clock that is believed does not run backwards; one that is not was said to be so."""
        if not told.is_trusted:
            if told.first_at < self.before - BACK_MS_MAX and not self.is_doubted:
                self.doubt(
                    "unbelieved", told.seq, told.first_at, "time runs back, and nothing says that the clock is off"
                )
        else:
            if self.mark is not None and told.first_at < self.mark - BACK_MS_MAX:
                what = f"time runs back by {self.mark - told.first_at} ms although the clock is believed"
                self.doubt("back", told.seq, told.first_at, what)
            self.mark = max(told.last_at, told.last_at if self.mark is None else self.mark)
            self.believed = told.last_at
        self.before = told.last_at

    def clock_accepted(self, told: Stretch) -> None:
        """Somebody at the console said that the clock is right."""
        self.explain("back")
        self.mark = told.last_at

    def clock_untrusted(self, _told: Stretch) -> None:
        """Said of itself."""
        self.is_doubted = True
        self.explain("unbelieved")

    def clock_trusted(self, _told: Stretch) -> None:
        """It is right again."""
        self.is_doubted = False

    def storage_restored(self, told: Stretch) -> None:
        """What could not be written in an outage stands later than it happened, and some of it may be lost."""
        detail = told.detail or {}
        for_ms, lost = detail.get("for_ms"), detail.get("records_lost")
        if type(for_ms) is int:
            self.explain("back", "unbelieved", since_ms=told.first_at - for_ms - LATE_MS_MAX)
        if type(lost) is int and lost > 0:
            self.explain("back", "unbelieved", "start", "grant")

    def policy_edited(self, told: Stretch) -> None:
        """Edits hang together, each on the revision that the one before gave."""
        detail = told.detail or {}
        base, revision = detail.get("base"), detail.get("revision")
        if not isinstance(base, str) or not isinstance(revision, str):
            self.find(told.seq, "an edit without the revisions that it leads from and to")
        elif self.revision is not None and base != self.revision:
            self.find(told.seq, "an edit starts from another revision than the one before it gave")
        self.revision = revision if isinstance(revision, str) else None

    TOLD: Final = {
        b"CLOCK_ACCEPTED": clock_accepted,
        b"CLOCK_TRUSTED": clock_trusted,
        b"CLOCK_UNTRUSTED": clock_untrusted,
        b"STORAGE_RESTORED": storage_restored,
        b"POLICY_EDITED": policy_edited,
    }


class Gone:
    """Bodies that are gone and not yet accounted for (§10): a bit each, by class and span."""

    def __init__(self) -> None:
        self.count = 0
        self.bits: dict[bytes, dict[int, int]] = {}

    def take(self, found: Found) -> None:
        """Take note of a span's, and of what its PURGED records account for."""
        number = found.span.first // SPAN
        for class_, bits in found.gone.items():
            self.count += bits.bit_count()
            self.bits.setdefault(class_, {})[number] = bits

    def purge(self, index: int, detail: dict[str, Any]) -> bool:
        """Record `index` says what was dropped before it. False where it does not say so as it should."""
        if not self.is_sound(index, detail):
            return False
        for first, last in detail["ranges"]:
            self.clear(self.bits.get(detail["of_class"].encode(), {}), first, last)
        return True

    @staticmethod
    def is_sound(index: int, detail: dict[str, Any]) -> bool:
        """Does it name a class, and ranges before it?"""
        class_, ranges = detail.get("of_class"), detail.get("ranges")
        return (
            isinstance(class_, str)
            and isinstance(ranges, list)
            and all(isinstance(pair, list) and [*map(type, pair)] == [int, int] for pair in ranges)
            and all(0 <= first <= last < index for first, last in ranges)
        )

    def has(self, class_: str, first: int, last: int) -> bool:
        """Is a body of that class, from `first` to `last`, gone and not yet accounted for?"""
        spans = self.bits.get(class_.encode(), {})
        for number, bits in spans.items():
            start, end = max(first - number * SPAN, 0), min(last - number * SPAN, SPAN - 1)
            if start <= end and bits >> start & ((1 << end - start + 1) - 1):
                return True
        return False

    @staticmethod
    def clear(spans: dict[int, int], first: int, last: int) -> None:
        """These are accounted for."""
        numbers = range(first // SPAN, last // SPAN + 1)
        for number in [one for one in spans if one in numbers] if len(spans) < len(numbers) else numbers:
            if number in spans:
                start, end = max(first - number * SPAN, 0), min(last - number * SPAN, SPAN - 1)
                spans[number] &= ~(((1 << end - start + 1) - 1) << start)
                if not spans[number]:
                    del spans[number]

    def first(self) -> int | None:
        """The first record whose body is gone without a record of the rule."""
        found = [
            number * SPAN + (bits & -bits).bit_length() - 1
            for spans in self.bits.values()
            for number, bits in spans.items()
        ]
        return min(found, default=None)


DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
TERM_DAYS_MIN: Final = {"access": 90, "alarm": 90, "command": 365, "system": 365, "view": 365}


class Rule:
    """Holds PURGED against times and legal holds that other records tell (§11): whoever has the key could write one
    over last night. A purge is recorded every day and its body stays, so that times are known to a day for ever.
    """

    def __init__(self) -> None:
        self.seqs: list[int] = []  # of records whose time is known, an hour apart at least;
        self.times: list[int] = []  # both rise
        self.holds: dict[str, tuple[int, int]] = {}
        self.slack_ms = HOUR_MS  # by so much a record may be older than those before it

    def take(self, told: Told) -> None:
        """Times, holds and outages."""
        if told.at_ms is not None:
            while self.times and self.times[-1] > told.at_ms:  # the clock was put right since
                del self.times[-1], self.seqs[-1]
            if not self.times or told.at_ms - self.times[-1] >= HOUR_MS:
                self.times.append(told.at_ms)
                self.seqs.append(told.seq)
        detail, hold = told.detail, str(told.detail.get("hold"))
        if told.type == b"LEGAL_HOLD_ON":
            begin, end = detail.get("from_ms"), detail.get("until_ms")
            self.holds[hold] = (begin if type(begin) is int else 0, end if type(end) is int else INTEGER_MAX)
        elif told.type == b"LEGAL_HOLD_OFF":
            self.holds.pop(hold, None)
        elif told.type == b"STORAGE_RESTORED" and type(detail.get("for_ms")) is int:
            self.slack_ms = max(self.slack_ms, detail["for_ms"] + HOUR_MS)

    def fault(self, told: Told, gone: Gone) -> str | None:
        """What a PURGED, of sound form, names and must not."""
        class_, ranges = str(told.detail.get("of_class")), told.detail["ranges"]
        term, reckoned = told.detail.get("term_days"), told.detail.get("reckoned_ms")
        if not ranges:
            return None
        if type(term) is not int or type(reckoned) is not int:
            return "PURGED does not say by which term and time"
        if term < TERM_DAYS_MIN.get(class_, 0):
            return f"PURGED goes by a term of {term} days, and {class_} is kept for {TERM_DAYS_MIN[class_]} at least"
        if told.at_ms is not None and reckoned > told.at_ms + self.slack_ms:
            return "PURGED reckons by a time that had not come"
        for first, last in ranges:
            at = bisect.bisect_right(self.seqs, last) - 1
            if at >= 0 and self.times[at] > reckoned - term * DAY_MS + self.slack_ms:
                return f"PURGED names record {last}, which was younger than the term"
            hold = self.held(class_, first, last, gone)
            if hold is not None:
                return f"PURGED names records that the legal hold {hold[:40]} kept"
        return None

    def held(self, class_: str, first: int, last: int, gone: Gone) -> str | None:
        """The hold within which a body of that range went."""
        for hold, (begin, end) in self.holds.items():
            at = bisect.bisect_left(self.times, begin + self.slack_ms)
            to = bisect.bisect_right(self.times, end - self.slack_ms) - 1
            if at <= to and gone.has(class_, max(first, self.seqs[at]), min(last, self.seqs[to])):
                return hold
        return None


# -- the check itself: spans joined, in the order of the ledger --------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A key of the chain, and the records that it signed for."""

    vkey: str
    first: int
    last: int


@dataclass(frozen=True)
class Vouch:
    """How far a witness vouches: `size` records, the last of which is `record`, at a time by its own clock."""

    witness: str
    vkey: str
    size: int
    record: int
    at: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was found. `end`: "proven", "proven to record N" or "not proven"; `root` in base64. `problem` is the first;
    `findings` what the records mean that cannot be (§11), the first hundred of `findings_count`.
    """

    verdict: str
    form: str
    records: int
    checkpoints: int
    bodies: str
    bodies_dropped: int
    root: str
    end: str
    problem: Problem | None
    findings: list[Problem]
    findings_count: int
    keys: list[Term]
    witnesses: list[Vouch]
    signatures: str
    signatures_by: str
    processes: int
    seconds: float
    records_per_s: int


class Outside(NamedTuple):
    """What was kept outside the box: a checkpoint, what came with it as a witness's, a code."""

    checkpoint: Checkpoint | None
    witnesses: tuple[Key, ...]
    code: tuple[int, str] | None

    def marks(self) -> frozenset[int]:
        """The sizes whose root is asked for."""
        sizes = {self.checkpoint.size} if self.checkpoint else set()
        return frozenset(sizes | ({self.code[0]} if self.code else set()))


class Check:
    """Joins what was found in spans. Memory does not grow with the ledger, but for `Gone`."""

    def __init__(self, key: Key, source: Source, outside: Outside, how: How) -> None:
        self.given = key
        self.key = key  # in force
        self.known = {key.vkey: key}
        self.source = source
        self.outside = outside
        self.how = how
        self.signers = Signers(pure=how.pure)
        self.tree = Tree(source.check_tile)
        self.processes = 1
        self.next_after_checkpoint = 0
        self.checkpoints = 0
        self.terms: list[Term] = []
        self.term_first = 0
        self.is_given_met = True
        self.unjudged: Note | None = None
        self.signed_root: bytes | None = None  # that the records do not give
        self.roots: dict[int, bytes] = {0: hashlib.sha256().digest()}
        self.vouched: dict[int, tuple[int, int]] = {}  # witness: size, time
        self.proven = 0  # records known to be there by what was kept outside
        self.gone = Gone()
        self.rule = Rule()
        self.meaning = Meaning()
        self.signatures_by = signature_check(key.public_key, pure=how.pure)[0]

    def begin_with(self, old: Key, known: Sequence[Key]) -> None:
        """The ledger begins with another key than the given one, which must come to be in force."""
        self.key = old
        self.is_given_met = False
        self.known.update((key.vkey, key) for key in (old, *known))

    def job(self, span: Span) -> Job:
        """What a span is held against, as far as is known by now."""
        keys = (self.key, *(key for key in self.known.values() if key != self.key))
        out, how = self.outside, self.how
        return Job(self.source.path, span, keys, out.witnesses, out.marks(), how.pure, how.quick)

    def join(self, found: Found) -> None:
        """Take the next span in. NotWhole at the first problem."""
        rotated = deque(found.rotated)
        self.gone.take(found)
        for note in found.notes:
            while rotated and rotated[0][0] < note.seq:
                self.refuse_rotation(rotated[0][0])
            self.check_note(note, rotated.popleft()[1] if rotated and rotated[0][0] == note.seq else None)
        if rotated and (found.problem is None or rotated[0][0] < found.problem.index):
            self.refuse_rotation(rotated[0][0])
        for size, right in found.rights.items():
            self.roots[size] = self.tree.root(right)
        for one in found.cosigned:
            self.check_cosigned(one)
        for told in found.told:
            self.rule.take(told)
            if told.type == b"PURGED":
                self.check_purged(told)
        self.meaning.take(found)
        self.push(found)
        if found.problem is not None:
            raise NotWhole(found.problem)

    UNSOUND: Final = "PURGED does not name what was dropped before it: a class, and ranges"

    def check_purged(self, told: Told) -> None:
        """What it names may be gone, where it may."""
        is_sound = self.gone.is_sound(told.seq, told.detail)
        fault = self.rule.fault(told, self.gone) if is_sound else self.UNSOUND
        self.gone.purge(told.seq, told.detail)
        if fault is not None:
            self.meaning.find(told.seq, fault)

    def push(self, found: Found) -> None:
        """Take the leaves of a span into the tree."""
        for number, node in enumerate(found.tiles, found.span.first >> 8):
            self.source.check_tile(1, number, node)
        for height, node in found.subtrees:
            self.tree.push(height, node)

    def refuse_rotation(self, index: int) -> NoReturn:
        """A rotation must be a commit of its own, signed by both keys."""
        refuse(index, "checkpoint", "a change of the key is no commit of its own, signed by both keys", "not proven")

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def check_note(self, note: Note, rotation: dict[str, Any] | None) -> None:
        """A checkpoint vouches for the records since the one before. Where its root is not the recomputed one, a valid
        signature says that the records were changed, and a bad one that the checkpoint was.
        """
        index, first = note.seq, self.next_after_checkpoint
        keys = [self.key] if rotation is None else [self.key, self.successor(index, rotation)]
        lines = note.lines
        if not self.source.has_bodies:  # a rotation cannot be seen there, and both may have signed
            lines = tuple(pair for pair in lines if pair[0].key_hash == self.key.key_hash)
        if [line.key_hash for line, _ in lines] != [key.key_hash for key in keys]:
            if rotation is not None:
                self.refuse_rotation(index)
            what = "the checkpoint is not signed by the key in force, and by it alone"
            refuse(index, "checkpoint", what, "not proven", first=first)
        root = self.tree.root(note.right)
        if root != note.root or not self.how.quick or rotation is not None:
            self.check_signed(note, root, keys, lines)
        self.unjudged = note if self.how.quick else None
        self.checkpoints += 1
        self.next_after_checkpoint = index + 1
        if rotation is not None:
            self.succeed(index, keys[1])

    def check_signed(
        self, note: Note, root: bytes, keys: list[Key], lines: tuple[tuple[Signature, bool | None], ...]
    ) -> None:
        """Are root and signatures of `note` good?"""
        index, first = note.seq, self.next_after_checkpoint
        is_signed = all(
            self.signers.is_signed(key, line.rest, note.text) if good is None else good
            for key, (line, good) in zip(keys, lines, strict=True)
        )
        if note.root != root and is_signed:
            self.signed_root = note.root
            what = "one of these records is not the one that was signed (each is whole in itself)"
            refuse(first, "leaf", what, first=first, last=index)
        if note.root != root:
            refuse(index, "checkpoint", "the root is not that of the records, and the signature is not of this root")
        if not is_signed:
            what = "the signature is bad: nobody vouches for the records since the checkpoint before"
            refuse(index, "checkpoint", what, "not proven", first=first, last=index)

    def successor(self, index: int, rotation: dict[str, Any]) -> Key:
        """The key that LEDGER_KEY_ROTATED hands over to."""
        if self.next_after_checkpoint != index or rotation.get("old") != self.key.vkey:
            self.refuse_rotation(index)
        try:
            new = parse_key(str(rotation.get("new")))
        except Misuse:
            self.refuse_rotation(index)
        if new.origin != self.key.origin or new.key_hash == self.key.key_hash:
            self.refuse_rotation(index)
        return new

    def succeed(self, index: int, new: Key) -> None:
        """The new key is in force."""
        self.terms.append(Term(self.key.vkey, self.term_first, index))
        self.key, self.term_first = new, index
        self.known[new.vkey] = new
        self.is_given_met = self.is_given_met or new == self.given

    def check_cosigned(self, one: Cosigned) -> None:
        """The newest cosignature of each witness."""
        if one.at is None:
            name = self.outside.witnesses[one.witness].origin
            refuse(one.seq, "cosignature", f"the cosignature of {name} is not of this checkpoint")
        self.vouched[one.witness] = max(self.vouched.get(one.witness, (0, 0)), (one.seq + 1, one.at))

    # -- after the last record -----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """What can be said only after the last record."""
        size = self.tree.size
        self.meaning.end()
        if size == 0:
            refuse(0, "file", "there is no record; a controller's first start writes one", "missing")
        if self.next_after_checkpoint != size:
            first, what = self.next_after_checkpoint, "the last record closes no checkpoint: the end is cut off"
            refuse(size - 1, "checkpoint", what, "cut off", first=first)
        if self.unjudged is not None:
            note, self.next_after_checkpoint = self.unjudged, self.unjudged.seq
            if len(note.lines) == 1:  # a rotation was judged
                self.check_signed(note, note.root, [self.key], note.lines)
        self.terms.append(Term(self.key.vkey, self.term_first, size - 1))
        if not self.is_given_met:
            what = "the key given is none of those that signed this ledger"
            refuse(0, "checkpoint", what, "not proven", first=0, last=size - 1)
        gone = self.gone.first()
        if gone is not None:
            what = "body and salt are gone without a record of the rule (PURGED) that they were dropped by"
            refuse(gone, "body", what, "missing")
        self.source.check_rest(size)
        self.check_outside(size)
        self.check_witnesses(size)
        self.check_code(size)
        if self.meaning.findings:
            raise NotWhole(self.meaning.findings[0])

    def prove(self, of: int, size: int, is_same: Callable[[bytes], bool], what: str) -> None:
        """Hold the tree of `of` records against what was kept outside."""
        if of > size:
            cut = f"the end is cut off: {what} knows {of} records"
            refuse(size, "file", cut, "cut off", first=size, last=of - 1)
        if not is_same(self.roots[of]):
            forked = f"the log was rewritten: its first {of} records are not those of {what}"
            refuse(0, "leaf", forked, "forked", first=0, last=max(of - 1, 0))
        self.proven = max(self.proven, of)

    def check_outside(self, size: int) -> None:
        """The checkpoint that was kept outside. Misuse where nobody who counts signed it."""
        outside = self.outside.checkpoint
        if outside is None:
            return
        keys = {key.key_hash: key for key in (*map(parse_key, (term.vkey for term in self.terms)), self.given)}
        is_ours = any(
            line.key_hash in keys and self.signers.is_signed(keys[line.key_hash], line.rest, outside.text)
            for line in outside.own
        )
        cosigned = [
            (number, at)
            for number, witness in enumerate(self.outside.witnesses)
            for line in outside.others
            if (at := self.signers.cosigned_at(witness, line, outside.text)) is not None
        ]
        if not is_ours and not cosigned:
            raise Misuse("the checkpoint given is signed by no key of this ledger: it proves nothing about it")
        self.prove(outside.size, size, lambda root: root == outside.root, "the checkpoint kept outside")
        for number, at in cosigned:
            self.vouched[number] = max(self.vouched.get(number, (0, 0)), (outside.size, at))

    def check_witnesses(self, size: int) -> None:
        """Each witness that was asked for must have vouched."""
        for number, witness in enumerate(self.outside.witnesses):
            vouched = self.vouched.get(number)
            if vouched is None:
                what = f"{witness.origin} has cosigned no checkpoint that is here"
                refuse(size - 1, "cosignature", what, "not proven", first=0)
            self.proven = max(self.proven, vouched[0])

    def check_code(self, size: int) -> None:
        """The short code on the inspection sheet."""
        if self.outside.code is not None:
            of, letters = self.outside.code
            origin = self.key.origin
            self.prove(
                of, size, lambda root: code_letters(checkpoint_text(origin, of, root)) == letters, "the short code"
            )

    def end(self) -> str:
        """How far what was kept outside proves that nothing is missing."""
        if not self.proven:
            return "not proven"
        return "proven" if self.proven == self.tree.size else f"proven to record {self.proven - 1}"

    def vouches(self) -> list[Vouch]:
        """Of each witness asked for, how far and when."""
        return [
            Vouch(
                self.outside.witnesses[number].origin, self.outside.witnesses[number].vkey, size, size - 1, moment(at)
            )
            for number, (size, at) in sorted(self.vouched.items())
        ]


def moment(seconds: int) -> str:
    """A time in UTC, as people read it."""
    try:
        utc = timezone.utc  # noqa: UP017  (Python 3.10 has no other name for it)
        return datetime.fromtimestamp(seconds, utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"


# -- two records exchanged ---------------------------------------------------------------------------------------------

PAIRS_MAX: Final = 48  # records between two checkpoints among which an exchange is tried out


def tolerant(source: Source, first: int = 0, end: int | None = None) -> Iterator[Row]:
    """Rows once more, by place, as far as they can be read: to find where a part of one came from."""
    with contextlib.suppress(NotWhole, CannotRun, sqlite3.DatabaseError, UnicodeDecodeError):
        for span in source.spans():
            place = span.first
            if place + span.length <= first:
                continue
            for row in source.rows(span):
                if end is not None and place >= end:
                    return
                if place >= first:
                    yield as_stored(row)
                place += 1
            if place == span.first:  # nothing at all: somebody gave a record a number far beyond the others
                return


def as_stored(row: Sequence[Any]) -> Row:
    """NotWhole where a column holds something else than it should."""
    row = Row(*row)
    if type(row.seq) is not int or type(row.leaf) is not bytes or not {*map(type, row[2:])} <= STORED:
        refuse(0, "file", "a part is of the wrong type")
    return row


def explained(problem: Problem, source: Source, tree: Tree, root: bytes | None) -> Problem:
    """The problem, told as an exchange of two records where it can be seen to be one. Costs another look at the file.

    `tree` and `root`: what stands before the span in question, and the root that was signed for its end.
    """
    if problem.kind not in ("changed", "missing") or not source.has_bodies:
        return problem
    if problem.part == "leaf" and problem.first != problem.last and root is not None:
        other = exchanged_and_renumbered(problem, source, tree, root)
    elif problem.part in ("seq", "leaf", "body"):
        other = exchanged(problem.index, source)
    else:
        return problem
    if other is None:
        return problem
    first, second = sorted(other)
    what = f"records {first} and {second} were exchanged"
    return Problem("swapped", first, problem.first, max(problem.last, second), problem.part, what, second)


def exchanged(index: int, source: Source) -> tuple[int, int] | None:
    """Whose leaf or body stands at `index`, where that other one has the leaf or body of `index`."""
    here = next(tolerant(source, index, index + 1), None)
    if here is None:
        return None
    mine = LEAF.fullmatch(here.leaf)
    wanted = b'"body":"%s"' % body_hash_of(here).encode()
    for place, row in enumerate(tolerant(source)):
        if place == index:
            continue
        leaf = LEAF.fullmatch(row.leaf)
        if mine and leaf and int(mine[3]) == place and int(leaf[3]) == index:
            return index, place
        if mine and int(mine[3]) == index and wanted in row.leaf and body_hash_of(row).encode() == mine[1]:
            return index, place
    return None


def body_hash_of(row: Row) -> str:
    """What a leaf must name for this salt and body."""
    return hashlib.sha256((row.salt or b"") + (row.body or b"")).hexdigest()


def exchanged_and_renumbered(problem: Problem, source: Source, tree: Tree, root: bytes) -> tuple[int, int] | None:
    """Which two of the records since the checkpoint before must change places for the signed root to come out."""
    count = problem.last - problem.first + 1
    if not 2 <= count <= PAIRS_MAX:
        return None
    parts = [LEAF.fullmatch(row.leaf) for row in tolerant(source, tree.size, problem.last + 1)]
    found = [(part[1], part[2]) for part in parts if part is not None]
    if len(found) != problem.last + 1 - tree.size:
        return None
    start = tree.copy()
    for body_hash, class_ in found[:-count]:
        start.push(0, leaf_hash_of(body_hash, class_, start.size))
    for one, other in itertools.combinations(range(count), 2):
        order = found[-count:]
        order[one], order[other] = order[other], order[one]
        trial = start.copy()
        for body_hash, class_ in order:
            trial.push(0, leaf_hash_of(body_hash, class_, trial.size))
        if trial.root() == root:
            return problem.first + one, problem.first + other
    return None


def leaf_hash_of(body_hash: bytes, class_: bytes, seq: int) -> bytes:
    """Of the leaf with these parts."""
    return hashlib.sha256(b'\x00{"body":"%s","class":"%s","seq":%d,"v":1}' % (body_hash, class_, seq)).digest()


# -- a whole ledger ----------------------------------------------------------------------------------------------------


class How(NamedTuple):
    """`pure`: do without the cryptography package. `quick`: signatures of the last checkpoint and of key changes alone.
    `processes`: how many look at a long ledger; 0: as many as there are processors, up to eight.
    """

    pure: bool = False
    quick: bool = False
    processes: int = 0


AS_USUAL: Final = How()


def verify_file(
    path: Path,
    key: Key,
    *,
    checkpoint: bytes | None = None,
    witnesses: Sequence[Key] = (),
    code: tuple[int, str] | None = None,
    how: How = AS_USUAL,
    on_progress: Callable[[int, float], None] = lambda _records, _done: None,
) -> Report:
    """Check a ledger, an export or a folder of tiles. `checkpoint`: one kept outside the box. `witnesses`: those that
    must have vouched. `code`: from `parse_code`. `on_progress` hears records and 0 to 1.

    Raises Misuse where the checkpoint is not of this key, CannotRun and OSError where the file cannot be read. Not for
    a process that has the ledger open itself: closing any handle on a file drops that process's locks on it (POSIX).
    """
    kept = None
    if checkpoint is not None:
        try:
            kept = parse_checkpoint(checkpoint, key.origin)
        except ValueError as error:
            raise Misuse(f"the checkpoint given {error}") from error
    started, before, problem = time.monotonic(), state_of(path), None
    with open_source(path) as source:
        check = Check(key, source, Outside(kept, tuple(witnesses), code), how)
        try:
            begin(check, source)
            read_all(check, source, on_progress)
            check.finish()
        except NotWhole as found:
            problem = found.problem
            if problem.kind != "meaning":
                problem = explained(problem, source, check.tree, check.signed_root)
    if state_of(path) != before:
        raise CannotRun("somebody wrote to the file while it was read. Verify an export: sekisho ledger export")
    return report_of(check, problem, time.monotonic() - started)


def begin(check: Check, source: Source) -> None:
    """Where the first checkpoint is not by the key given, find the first key of the chain (§9): nothing is believed of
    it but that the given key must come out of it.
    """
    first = next((row.checkpoint for row in tolerant(source) if row.checkpoint is not None), None)
    if first is None or not source.has_bodies:
        return
    with contextlib.suppress(ValueError):
        own = parse_checkpoint(first, check.given.origin).own
        if any(line.key_hash == check.given.key_hash for line in own):
            return
    chain: list[Key] = []
    for row in tolerant(source):
        if row.body is not None and b'"LEDGER_KEY_ROTATED"' in row.body:
            said = said_slowly(row.body)
            if said is not None and said.type == b"LEDGER_KEY_ROTATED" and said.detail is not None:
                with contextlib.suppress(Misuse):
                    chain += [parse_key(str(said.detail.get(name))) for name in ("old", "new")]
        if len(chain) >= PENDING_MAX:
            break
    if chain and chain[0].origin == check.given.origin:
        check.begin_with(chain[0], chain)


def read_all(check: Check, source: Source, on_progress: Callable[[int, float], None]) -> None:
    """Look at every span and join them in order, in several processes where that pays."""
    spans = source.spans()
    head = list(itertools.islice(spans, ALONE_MAX // SPAN))
    wanted = check.how.processes or min(os.cpu_count() or 1, 8)
    pool = processes(wanted) if wanted > 1 and len(head) == ALONE_MAX // SPAN else None
    spans = itertools.chain(head, spans)
    if pool is None:
        join_all(check, (look_at(check.job(span)) for span in spans), on_progress)
        return
    check.processes = wanted
    with pool:
        try:
            join_all(check, found_by(pool, check, spans, wanted), on_progress)
        except RuntimeError as error:  # BrokenExecutor is one: killed, or out of memory
            raise CannotRun(f"a process that read the ledger ended ({error}); try --processes 1") from error


def processes(count: int) -> ProcessPoolExecutor | None:
    """Processes to look at spans; None on a machine that has none to give."""
    try:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    except (ImportError, OSError):
        return None


def join_all(check: Check, spans: Iterator[Found], on_progress: Callable[[int, float], None]) -> None:
    """In the order of the ledger."""
    for found in spans:
        check.join(found)
        check.signatures_by = found.signatures_by or check.signatures_by
        on_progress(check.tree.size, check.source.done(check.tree.size))


def found_by(pool: ProcessPoolExecutor, check: Check, spans: Iterator[Span], processes: int) -> Iterator[Found]:
    """What other processes find, in order; a few spans ahead of what is joined, and no more."""
    waiting: deque[Future[Found]] = deque()
    try:
        for span in spans:
            waiting.append(pool.submit(look_at, check.job(span)))
            if len(waiting) > 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def report_of(check: Check, problem: Problem | None, seconds: float) -> Report:
    """All that is to be told."""
    meaning, size = check.meaning, check.tree.size
    bodies = "checked" if check.source.has_bodies else "not in tiles: leaves, tree and checkpoint alone were checked"
    return Report(
        verdict="ok" if problem is None else "bad",
        form=check.source.form,
        records=size,
        checkpoints=check.checkpoints,
        bodies=bodies,
        bodies_dropped=check.gone.count,
        root=base64.b64encode(check.tree.root()).decode(),
        end=check.end() if problem is None or problem.kind == "meaning" else "not proven",
        problem=problem,
        findings=meaning.findings,
        findings_count=meaning.count,
        keys=check.terms,
        witnesses=check.vouches(),
        signatures="last checkpoint and key changes" if check.how.quick else "every checkpoint",
        signatures_by=check.signatures_by,
        processes=check.processes,
        seconds=round(seconds, 3),
        records_per_s=round(size / max(seconds, 1e-9)),
    )


# -- for people --------------------------------------------------------------------------------------------------------

KINDS: Final = {
    "changed": "書き換え",
    "missing": "欠落",
    "swapped": "入れ替え",
    "forked": "別の履歴",
    "cut off": "末尾の切り捨て",
    "not proven": "未証明",
    "meaning": "内容の矛盾",
}


def tell(report: Report) -> str:
    """The report in words: one line of verdict in both languages, then what to know or to do."""
    lines = tell_problem(report) if report.problem is not None else tell_whole(report)
    for term in report.keys[:-1] if len(report.keys) > 1 else []:
        lines.append(f"Key changed at record {term.last}, signed by both keys / 署名鍵の更新: {term.vkey}")
    lines += [
        f"Witness / 立会人 {one.witness}: vouches up to record {one.record}, {one.at}" for one in report.witnesses
    ]
    lines.append(
        f"{report.checkpoints} checkpoints, signatures of {report.signatures}, by {report.signatures_by}; root"
        f" {report.root}; {report.seconds:.1f} s, {report.records_per_s} records/s, {report.processes} processes"
    )
    return "\n".join(lines)


def tell_whole(report: Report) -> list[str]:
    """Nothing was found."""
    lines = [f"OK  検証成功: {report.records} records are whole / 記録 {report.records} 件は署名どおりです"]
    if report.end == "not proven":
        lines += [
            "end not proven / 末尾は未証明: records cut off at the end would not show. Give --checkpoint FILE, --code",
            "  or --witness: something kept outside the box, to prove the end.",
            "  装置の外にある控え（検査点・点検票の符号・立会人の鍵）を与えると証明できます。",
        ]
    else:
        lines.append(f"end {report.end} / 末尾は外部の控えと一致")
    if report.form == "tiles":
        lines.append(f"Bodies are {report.bodies}. / 本文はタイルに含まれません")
    if report.bodies_dropped:
        lines.append(
            f"{report.bodies_dropped} bodies were dropped by rule, each under a PURGED record; their leaves stand."
            " / 保存期間の規則により削除"
        )
    return lines


def tell_problem(report: Report) -> list[str]:
    """What was found, and what to do."""
    at = report.problem
    assert at is not None
    where, ja = f"records {at.first} to {at.last}", f"{at.first}〜{at.last}"
    if at.first == at.last:
        where, ja = f"record {at.index}", f"{at.index}"
    head = f"BAD 検証失敗: {where}, {at.part}: {at.what} [{at.kind}]"
    lines = [f"{head} / 記録 {ja}: {KINDS[at.kind]}"]
    if at.kind == "meaning":
        lines.append("Every record is as it was signed; what they say cannot all be true. The controller is at fault,")
        lines.append("  or somebody with its key. / 署名は正しいが、内容が矛盾しています")
        lines += [f"  record {one.index}: {one.what}" for one in report.findings[1:]]
        if report.findings_count > len(report.findings):
            lines.append(f"  … {report.findings_count} findings in all")
    else:
        lines.append(f"Records before {at.first} are whole." if at.first else "No record before it stands.")
    lines += [
        "What to do: keep this file as it is and work on a copy; compare with exports and checkpoints kept",
        "  outside the box; open an incident. 原本を保全し、外部の控えと照合し、保護責任者に報告してください。",
    ]
    return lines


class Progress:
    """One line on the terminal, written over: records, how fast, how long yet."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def __call__(self, records: int, done: float) -> None:
        seconds = max(time.monotonic() - self.started, 1e-9)
        left = seconds / done - seconds if done else 0.0
        sys.stderr.write(f"\r{records} records, {done:4.0%}, {records / seconds:.0f} records/s, {left:.0f} s left ")
        sys.stderr.flush()


def read_key(text: str, algorithm: int = LEDGER_KEY) -> Key:
    """The key as given, or out of the file of that name."""
    if VKEY.fullmatch(text.strip()) is None and Path(text).is_file():
        text = Path(text).read_bytes()[:4096].decode("utf-8", "replace")
    return parse_key(text, algorithm)


HOW_TO: Final = """\
for an auditor:
  1. Bring the ledger's public key and this file from your own papers, not from the box. Whichever key of the
     ledger you hold will do: later and earlier ones follow from it.
  2. Take an export (sekisho ledger export FILE), or ledger.db of a stopped controller. Work on a copy.
  3. Give what was kept outside: --witness KEY, --checkpoint FILE, --code from the inspection sheet. Without any
     of them the verdict says "end not proven": nobody can see whether later records were cut off.
  4. OK is exit code 0. BAD names the record, the part and what is wrong; keep the original and report it.
監査の手順:
  1. 公開鍵とこのファイルは、装置からではなく手元の控えから用意する。鍵は更新の前後どれでもよい。
  2. 書き出し（sekisho ledger export FILE）か、停止した装置の ledger.db を写し、写しを検証する。
  3. 外部の控えを与える: 立会人の鍵 --witness、検査点 --checkpoint、点検票の符号 --code。
     どれもなければ「末尾は未証明」となる（末尾の切り捨ては見えない）。
  4. 終了コード 0 が合格。不合格なら記録番号と理由が出る。原本を保全し、保護責任者に報告する。

exit codes: 0 whole, 1 not whole, 2 misuse, 3 could not be checked
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="sekisho verify",
        description="Is this ledger what its controller signed? 台帳が署名どおりかを確かめます。",
        epilog=HOW_TO,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("file", type=Path, help="ledger.db of a stopped controller, an export (JSON Lines), or a folder of tiles")
    add("--key", required=True, help="a public key of the ledger (vkey), or a file that holds it (公開鍵)")
    add("--witness", action="append", default=[], help="a witness's key (vkey) or file: it must vouch (立会人の鍵)")
    add("--checkpoint", type=Path, help="a checkpoint kept outside the box: proves the end (外部の検査点)")
    add("--code", help="the short code of a day, from the inspection sheet (点検票の符号)")
    add("--quick", action="store_true", help="signatures of the last checkpoint and of key changes alone")
    add("--processes", type=int, default=0, help="how many read a long ledger; as many as processors if not given")
    add("--json", action="store_true", help="answer in JSON")
    add("--pure-python", action="store_true", help="do not use the cryptography package")
    return made


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns the exit code."""
    try:
        options = parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has said why; the number is ours to return
        return 0 if stop.code in (0, None) else 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console that has no Japanese must not cost the verdict
    is_watched = sys.stderr.isatty()
    try:
        report = verify_file(
            options.file,
            read_key(options.key),
            checkpoint=options.checkpoint.read_bytes() if options.checkpoint else None,
            witnesses=[read_key(one, WITNESS_KEY) for one in options.witness],
            code=parse_code(options.code) if options.code else None,
            how=How(options.pure_python, options.quick, max(options.processes, 0)),
            **({"on_progress": Progress()} if is_watched else {}),
        )
    except Misuse as error:
        return stop_with(2, "misuse", error, as_json=options.json)
    except (CannotRun, OSError, sqlite3.Error) as error:
        return stop_with(3, "cannot run", error, as_json=options.json)
    except KeyboardInterrupt:
        return stop_with(3, "cannot run", CannotRun("it was stopped before it had read all"), as_json=options.json)
    finally:
        if is_watched:
            sys.stderr.write("\r\033[K")
    print(json.dumps(asdict(report), ensure_ascii=False) if options.json else tell(report))
    return 0 if report.problem is None else 1


def stop_with(code: int, verdict: str, error: Exception, *, as_json: bool) -> int:
    """Say why nothing could be said about the ledger."""
    why, ja = str(error), error.ja if isinstance(error, Unchecked) else ""
    if isinstance(error, OSError) and error.strerror:
        why, ja = f"{error.filename}: {error.strerror}", "ファイルを読めません。名前と権限を確かめてください"
    if as_json:
        print(json.dumps({"verdict": verdict, "why": why}, ensure_ascii=False))
    else:
        sys.stderr.write(f"{verdict} / 検証できません: {why}\n" + (f"  {ja}\n" if ja else ""))
    return code


if __name__ == "__main__":
    sys.exit(main())
