"""The verifier against ledgers written by hand: whole ones pass, and every change is found and named."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sekisho.verify import Bodies, How, is_canonical, parse_key, said_slowly, verify_file
from tests.sekisho.ledger_by_hand import ORIGIN, HandLedger, Record, Signer, leaf_of, sha256
from tests.share import some_of

KEY = parse_key(Signer().vkey)
PARTS = ("leaf", "salt", "body", "checkpoint")
TMP_PATH_IS_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(path, *, pure=False, checkpoint=None, **asked):
    return verify_file(path, KEY, checkpoint=checkpoint, how=How(pure=pure), **asked)


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


# -- every byte of every part ------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", ["export", "store"])
def test_any_changed_byte_of_any_record_is_found_and_the_record_named(tmp_path, form):
    """Somebody edits one byte of one record and the log still reads as true."""
    ledger = HandLedger([2, 3])
    path = getattr(ledger, form)(tmp_path / "ledger")
    whole = path.read_bytes()
    flips = 0
    # 0x20: the other case of a letter or hex digit; every other bit of an export is turned in the next test
    mask = (lambda index: 1 << index % 8) if form == "store" else (lambda _index: 0x20)
    for record in ledger.records:
        for part in PARTS:
            stored = stored_part(record, part, form)
            at = whole.index(stored) if stored else 0
            assert whole.count(stored) == 1 or not stored
            for index in some_of(range(at, at + len(stored))):
                changed = bytearray(whole)
                changed[index] ^= mask(index)
                path.write_bytes(changed)
                problem = problem_of(path)
                assert problem.index == record.seq, (part, index - at, problem)
                assert problem.first <= record.seq <= problem.last
                flips += 1
    assert flips > 200


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
    for index in some_of(range(len(whole))):
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


def bodies(one: Record, other: Record) -> None:
    one.salt, other.salt, one.body, other.body = other.salt, one.salt, other.body, one.body


def rows(one: Record, other: Record) -> None:
    bodies(one, other)
    one.leaf, other.leaf = other.leaf, one.leaf


def renumbered(one: Record, other: Record) -> None:
    """With leaves that fit: only the tree can tell."""
    bodies(one, other)
    for record in (one, other):
        assert record.salt is not None and record.body is not None
        record.leaf = leaf_of(record.seq, record.salt, record.body)


@pytest.mark.req("A-27")
@pytest.mark.parametrize("exchange", [bodies, rows, renumbered])
@pytest.mark.parametrize("form", ["export", "store"])
def test_two_records_exchanged_are_both_named(tmp_path, form, exchange):
    """Who came first is turned round, and the auditor would look for what was written into one of them."""
    ledger = HandLedger([2, 5, 1])
    exchange(ledger.records[3], ledger.records[5])
    problem = problem_of(getattr(ledger, form)(tmp_path / "ledger"))
    assert (problem.kind, problem.index, problem.other) == ("swapped", 3, 5)


@pytest.mark.req("A-27")
def test_lines_exchanged_in_an_export_are_both_named_and_a_missing_one_is_missing(tmp_path):
    """What was only put in another order would be reported as lost, and what is lost as put in another order."""
    ledger = HandLedger([2, 5, 1])
    whole = list(ledger.records)
    ledger.records[2], ledger.records[6] = whole[6], whole[2]
    problem = problem_of(ledger.export(tmp_path / "exchanged"))
    assert (problem.kind, problem.index, problem.other) == ("swapped", 2, 6)
    for order, kind in (([0, 1, 3, 4, 5, 6, 7], "missing"), ([0, 1, 1, 2, 3, 4, 5, 6, 7], "changed")):
        ledger.records = [whole[seq] for seq in order]
        problem = problem_of(ledger.export(tmp_path / "other"))
        assert (problem.kind, problem.index, problem.other) == (kind, 2, None)


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
    assert (problem.kind, problem.first, problem.last) == ("forked", 0, 4)


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
    cosigned = note + "— witness.example/w AAAAAAAAAAAA\n".encode()
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


@st.composite
def bodies_as_written(draw):
    """Texts like those of the controller, some of them not canonical by a little."""
    evidence = draw(st.sampled_from(['{"factors":1,"method":"UID"}', '{"method":"UID","factors":1}', '{"a":1}', "{}"]))
    text = draw(
        st.sampled_from(["b1", "区画", "é", "a\\\\b", "\\u0041", "x\x7f", '\\"at_ms\\":1234567890123,', "a\tb"])
    )
    at_ms = draw(
        st.sampled_from(["1790000000000", "0790000000000", "1790000000000999", "1790000000000.5", "-1", "17e9"])
    )
    corr = draw(st.sampled_from(["", '"corr":"b1-1",', '"corr":"b1 1",', '"corr":"",', '"corr":1,']))
    subject = draw(
        st.sampled_from(["", '"subject":{"cardholder":"h-1","credential":"c"},', '"subject":{"cardholder":{}},'])
    )
    trace = draw(st.sampled_from(["", '"trace":{"failed":[],"passed":["D01"]},', '"trace":{"passed":[],"failed":[]},']))
    revision = draw(st.sampled_from(["", '"revision":"aa",']))
    return (
        f'{{"access_point":"{text}","at_ms":{at_ms},"boot":"b","clock":"trusted",{corr}"detail":{{"device":"{text}"}},'
        f'"evidence":{evidence},"node":"n",{revision}{subject}{trace}"type":"REX","tz":"+09:00","v":1}}'
    ).encode()


@settings(max_examples=200)
@given(st.lists(bodies_as_written(), min_size=1, max_size=4))
def test_the_quick_way_to_read_a_body_is_as_strict_as_the_exact_one(texts):
    """A text that no other reader takes the same way would pass, because one like it had been seen before."""
    known = Bodies()
    for text in [*texts, *texts]:
        exact = said_slowly(text)
        quick = known.read(text)
        assert (quick is None) is (exact is None) is (not is_canonical(text))
        cut = known.cut(text)
        shape = None if cut is None else known.shapes.get(cut[0])
        if exact is not None and quick is not None:
            assert quick[:6] == exact[:6]
        if cut is not None and shape is not None:  # as it is met again: nothing but `cut` is asked
            assert exact is not None, text
            assert (int(cut[1]), shape.boot, shape.clock, cut[2], shape.has_failed, shape.type) == exact[:6]


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
