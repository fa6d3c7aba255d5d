"""The verifier against ledgers written by hand: whole ones pass, and every change is found and named."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import sqlite3

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sekisho.verify import is_canonical, parse_key, verify_file
from tests.sekisho.ledger_by_hand import ORIGIN, HandLedger, Record, Signer, leaf_of, sha256

KEY = parse_key(Signer().vkey)
PARTS = ("leaf", "salt", "body", "checkpoint")
TMP_PATH_IS_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(path, *, pure=False, checkpoint=None, may_drop=False):
    return verify_file(path, KEY, pure=pure, checkpoint=checkpoint, may_drop=may_drop)


def problem_of(path, **options):
    report = check(path, **options)
    assert report.verdict == "bad"
    assert report.problem is not None
    return report.problem


@pytest.mark.req("A-27")
@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize("form", ["export", "store"])
@pytest.mark.parametrize("commits", [[1], [5], [1, 1, 1, 1, 1], [2, 3, 1], [100, 200, 215]])
def test_a_whole_ledger_is_whole(tmp_path, commits, form, pure):
    """An auditor would accuse an honest controller."""
    ledger = HandLedger(commits)
    report = check(getattr(ledger, form)(tmp_path / "ledger"), pure=pure)
    assert report.problem is None
    assert (report.records, report.checkpoints, report.end) == (sum(commits), len(commits), "not proven")
    assert report.signatures_by == ("pure Python" if pure else "cryptography")


@pytest.mark.req("A-27", "D-23")
def test_bodies_dropped_by_retention_leave_a_whole_ledger(tmp_path):
    """Forgetting a person would break the log, so nobody would be forgotten."""
    ledger = HandLedger([2, 3])
    for record in ledger.records[1:3]:
        record.salt = record.body = None
    for path in (ledger.export(tmp_path / "export"), ledger.store(tmp_path / "store")):
        report = check(path, may_drop=True)
        assert (report.verdict, report.bodies_dropped) == ("ok", 2)


@pytest.mark.req("A-27")
def test_an_erased_record_is_not_passed_over_unasked(tmp_path):
    """Somebody would erase what a record says, and the log would count as whole."""
    ledger = HandLedger([2, 3])
    ledger.records[3].salt = ledger.records[3].body = None
    for path in (ledger.export(tmp_path / "export"), ledger.store(tmp_path / "store")):
        problem = check(path).problem
        assert problem is not None and (problem.index, problem.part) == (3, "body")


# -- every byte of every part ------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
@pytest.mark.parametrize("commits", [[1, 1, 1, 1, 1], [2, 3]])
def test_any_changed_byte_of_any_record_is_found_and_the_record_named(tmp_path, commits, form):
    """Somebody edits one byte of one record and the log still reads as true."""
    ledger = HandLedger(commits)
    path = getattr(ledger, form)(tmp_path / "ledger")
    whole = path.read_bytes()
    flips = 0
    masks = (lambda index: 1 << index % 8, lambda _index: 0x20)  # 0x20: the other case of a letter or hex digit
    for record in ledger.records:
        for part in PARTS:
            stored = stored_part(record, part, form)
            at = whole.index(stored) if stored else 0
            assert whole.count(stored) == 1 or not stored
            for index, mask in itertools.product(range(at, at + len(stored)), masks):
                changed = bytearray(whole)
                changed[index] ^= mask(index)
                path.write_bytes(changed)
                problem = problem_of(path)
                assert problem.index == record.seq, (part, index - at, problem)
                assert problem.first <= record.seq <= problem.last
                flips += 1
    assert flips > 5 * 200


def stored_part(record: Record, part: str, form: str) -> bytes:
    """The bytes of a part as they lie in the file."""
    raw = getattr(record, part) or b""
    if form == "store":
        return raw
    return raw.hex().encode() if part == "salt" else json.dumps(raw.decode(), ensure_ascii=False)[1:-1].encode()


@pytest.mark.req("A-27")
def test_any_changed_byte_of_an_export_is_found(tmp_path):
    """A byte between the parts (a name, a quote, a line end) could be changed so that readers disagree."""
    ledger = HandLedger([1, 2, 2])
    path = ledger.export(tmp_path / "export")
    whole = path.read_bytes()
    for index in range(len(whole)):
        changed = bytearray(whole)
        changed[index] ^= 1 << index % 8
        path.write_bytes(changed)
        problem = problem_of(path)
        line = whole[:index].count(b"\n")
        assert problem.first <= line <= problem.last + 1, (index, problem)


# -- records taken, swapped, cut, put in -------------------------------------------------------------------------------


@st.composite
def disorders(draw):
    """A list of record numbers that is not 0 to 6 in order."""
    whole = list(range(7))
    kind = draw(st.sampled_from(["delete", "swap", "truncate", "insert"]))
    one, other = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    if kind == "delete":
        return whole[:one] + whole[one + 1 :]
    if kind == "swap":
        whole[one], whole[other] = whole[other], whole[one]
        return whole
    if kind == "truncate":
        return whole[:one]
    return [*whole[:one], other, *whole[one:]]


@pytest.mark.req("A-27")
@TMP_PATH_IS_ONE_FOLDER
@given(disorders())
def test_records_missing_swapped_repeated_or_cut_are_found(tmp_path, order):
    """A night's entries disappear from the log, and what is left reads as true."""
    ledger = HandLedger([1, 3, 1, 2])
    outside = ledger.records[-1].checkpoint
    whole, ledger.records = ledger.records, [ledger.records[seq] for seq in order]
    path = ledger.export(tmp_path / "export")
    if order == list(range(7)):
        assert check(path, checkpoint=outside).end == "proven"
        return
    first = next((place for place, seq in enumerate(order) if place != seq), len(order))
    problem = problem_of(path, checkpoint=outside)
    if first < len(order):
        assert (problem.index, problem.part) == (first, "seq")
    elif order and whole[order[-1]].checkpoint is None:
        assert (problem.index, problem.part) == (first - 1, "checkpoint")
    else:
        assert problem.index == first
    if order and first == len(order) and whole[order[-1]].checkpoint is not None:
        assert check(path).end == "not proven"  # cut at a commit: whole in itself, and said so


@pytest.mark.req("A-27")
@pytest.mark.parametrize("seq", range(5))
def test_a_row_deleted_in_the_database_is_named(tmp_path, seq):
    """One DELETE with any SQLite tool removes an entry; renumbering the rest hides the gap."""
    path = HandLedger([1, 1, 1, 1, 1]).store(tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM record WHERE seq = ?", (seq,))
    connection.close()
    if seq == 4:
        assert check(path).end == "not proven"
        return
    assert problem_of(path).index == seq
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for old in range(seq + 1, 5):
            connection.execute("UPDATE record SET seq = ? WHERE seq = ?", (old - 1, old))
    connection.close()
    assert (problem_of(path).index, problem_of(path).part) == (seq, "leaf")


# -- whole in themselves, and still not what was signed ----------------------------------------------------------------


def rewritten(commits: list[int], seq: int) -> HandLedger:
    """Record `seq` with another body and a leaf that fits it."""
    ledger = HandLedger(commits)
    record = ledger.records[seq]
    assert record.salt is not None
    record.body = b'{"outcome":"DENIED"}'
    record.leaf = leaf_of(seq, record.salt, record.body)
    return ledger


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_a_rewritten_record_names_the_records_since_the_checkpoint_before(tmp_path, form):
    """Somebody who knows the format rewrites a record with all its hashes."""
    path = getattr(rewritten([2, 3, 2], 3), form)(tmp_path / "ledger")
    problem = problem_of(path)
    assert (problem.first, problem.last, problem.index) == (2, 4, 2)


@pytest.mark.req("A-27")
def test_a_rewritten_record_under_a_forged_checkpoint_is_found(tmp_path):
    """Somebody rewrites a record and signs with a key of his own."""
    ledger = rewritten([2, 3, 2], 3)
    ledger.signer = Signer(seed=bytes(32))
    ledger.sign_again()
    assert problem_of(ledger.export(tmp_path / "own key")).index == 1  # the key hash is another's
    for record in ledger.records:
        if record.checkpoint is not None:  # … and with our key's name on it
            head, _, raw = record.checkpoint.decode().rstrip("\n").rpartition(" ")
            record.checkpoint = f"{head} {forged(raw)}\n".encode()
    problem = problem_of(ledger.export(tmp_path / "our name"))
    assert (problem.first, problem.last, problem.part) == (0, 1, "checkpoint")


def forged(signature: str) -> str:
    """A signature line's base64 with our key hash put in front."""
    import base64

    return base64.b64encode(KEY.key_hash + base64.b64decode(signature)[4:]).decode()


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_a_log_rewritten_with_the_stolen_key_is_found_against_a_checkpoint_outside(tmp_path, form):
    """Whoever takes the box and its key could rewrite history: nothing inside the file can tell."""
    outside = HandLedger([2, 3, 2]).records[4].checkpoint
    ledger = rewritten([2, 3, 2], 3)
    ledger.sign_again()
    path = getattr(ledger, form)(tmp_path / "ledger")
    assert check(path).problem is None
    problem = problem_of(path, checkpoint=outside)
    assert (problem.first, problem.last) == (0, 4)


@pytest.mark.req("A-27")
def test_a_checkpoint_outside_proves_the_end_or_as_far_as_it_goes(tmp_path):
    """The auditor would believe in a completeness that nobody showed."""
    ledger = HandLedger([2, 3, 2])
    path = ledger.export(tmp_path / "export")
    assert check(path).end == "not proven"
    assert check(path, checkpoint=ledger.records[6].checkpoint).end == "proven"
    assert check(path, checkpoint=ledger.records[4].checkpoint).end == "proven to record 4"
    note = ledger.records[6].checkpoint
    assert note is not None
    cosigned = note + "— witness.example/w AAAAAAAA\n".encode()
    assert check(path, checkpoint=cosigned).end == "proven"


# -- one part at a time ------------------------------------------------------------------------------------------------


SPOILED = {
    "class unknown": (lambda one: setattr(one, "leaf", one.leaf.replace(b"access", b"secret")), "leaf"),
    "leaf with a space": (lambda one: setattr(one, "leaf", one.leaf.replace(b":", b": ", 1)), "leaf"),
    "leaf of the next record": (lambda one: setattr(one, "leaf", one.leaf.replace(b'"seq":2', b'"seq":3')), "leaf"),
    "salt alone": (lambda one: setattr(one, "body", None), "body"),
    "body alone": (lambda one: setattr(one, "salt", None), "salt"),
    "short salt": (lambda one: resalt(one, bytes(31)), "salt"),
    "body with spaces": (lambda one: rebody(one, b'{"v": 1}'), "body"),
    "body no object": (lambda one: rebody(one, b"[1]"), "body"),
    "body with a float": (lambda one: rebody(one, b'{"v":1.5}'), "body"),
    "body with null": (lambda one: rebody(one, b'{"v":null}'), "body"),
    "body with a large integer": (lambda one: rebody(one, b'{"v":9007199254740992}'), "body"),
    "body with a name twice": (lambda one: rebody(one, b'{"v":1,"v":1}'), "body"),
    "body out of order": (lambda one: rebody(one, b'{"v":1,"a":1}'), "body"),
    "body too deep": (lambda one: rebody(one, b'{"v":' + b"[" * 90_000 + b"]" * 90_000 + b"}"), "body"),
    "checkpoint empty": (lambda one: setattr(one, "checkpoint", b""), "checkpoint"),
    "checkpoint of another size": (lambda one: note(one, b"\n3\n", b"\n4\n"), "checkpoint"),
    "checkpoint of another origin": (
        lambda one: note(one, ORIGIN.encode(), b"other.example/n"),
        "checkpoint",
    ),
    "checkpoint signed twice": (lambda one: note(one, b"", one.checkpoint.splitlines(True)[-1]), "checkpoint"),
}


def resalt(record: Record, salt: bytes) -> None:
    assert record.body is not None
    record.salt, record.leaf = salt, leaf_of(record.seq, salt, record.body)


def rebody(record: Record, body: bytes) -> None:
    assert record.salt is not None
    record.body, record.leaf = body, leaf_of(record.seq, record.salt, body)


def note(record: Record, old: bytes, new: bytes) -> None:
    assert record.checkpoint is not None
    record.checkpoint = record.checkpoint.replace(old, new, 1) if old else record.checkpoint + new


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
@pytest.mark.parametrize("name", SPOILED)
def test_each_rule_names_its_record_and_part(tmp_path, name, form):
    """The controller, or somebody in its place, signs what the format forbids, and other readers take it otherwise."""
    ledger = HandLedger([1] * 5)
    spoil, part = SPOILED[name]
    spoil(ledger.records[2])
    if part != "checkpoint":
        ledger.sign_again()
    problem = problem_of(getattr(ledger, form)(tmp_path / "ledger"))
    assert (problem.index, problem.part) == (2, part)


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    "change", ["UPDATE tile SET hash = x'00'", "DELETE FROM tile", "INSERT INTO tile VALUES (1, 9, x'')"]
)
def test_a_tile_that_is_not_its_records_is_found(tmp_path, change):
    """The controller would start from a cache that says something else than its records."""
    path = HandLedger([300]).store(tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    connection.close()
    assert problem_of(path).part == "tile"


# -- canonical JSON ----------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
VALUES = st.recursive(
    st.booleans() | INTEGERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_rfc_8785_writes_is_canonical_and_nothing_else_is(value):
    """A name in Japanese, or a key beyond the first plane, would make an honest record look forged."""
    text = rfc8785.dumps(value)
    assert is_canonical(text)
    for other in (json.dumps(value).encode(), json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()):
        assert is_canonical(other) is (other == text)


# -- it alters nothing, and does not grow ------------------------------------------------------------------------------


@pytest.mark.req("A-25", "A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_checking_alters_nothing(tmp_path, form):
    """Looking at the evidence would change it."""
    path = getattr(HandLedger([2, 3]), form)(tmp_path / "ledger")
    before = {one.name: (sha256(one.read_bytes()), one.stat().st_mtime_ns) for one in tmp_path.iterdir()}
    check(path)
    assert {one.name: (sha256(one.read_bytes()), one.stat().st_mtime_ns) for one in tmp_path.iterdir()} == before


@pytest.mark.req("A-25", "A-27")
def test_what_still_lies_in_the_write_ahead_log_is_checked_and_left_alone(tmp_path):
    """After a crash the last records lie in ledger.db-wal: they would be overlooked, or moved by the auditor."""
    work = tmp_path / "work"
    work.mkdir()
    ledger = HandLedger([2, 3])
    path = HandLedger([2]).store(work / "ledger.db")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for one in ledger.records[2:]:
        values = (one.seq, one.leaf, one.salt, one.body, one.checkpoint)
        connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?)", values)
    connection.commit()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("ledger.db", "ledger.db-wal"):
        (crashed / name).write_bytes((work / name).read_bytes())
    connection.close()
    before = {one.name: hashlib.sha256(one.read_bytes()).digest() for one in crashed.iterdir()}
    report = check(crashed / "ledger.db", checkpoint=ledger.records[-1].checkpoint)
    assert (report.verdict, report.records, report.end) == ("ok", 5, "proven")
    assert {one.name: hashlib.sha256(one.read_bytes()).digest() for one in crashed.iterdir()} == before
