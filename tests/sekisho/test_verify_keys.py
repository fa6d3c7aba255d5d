"""Who signed, and who vouched: a chain of keys (docs/ledger.md §9), witnesses (§8), the short code (§12)."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
from dataclasses import replace

import pytest

from sekisho.verify import WITNESS_KEY, How, Misuse, parse_code, parse_key, verify_file
from tests.sekisho.ledger_by_hand import HandLedger, Signer, Witness, code_of, leaf_of
from tests.share import some_of

A, B, C, MALLORY = (Signer(seed=bytes([number]) * 32) for number in (1, 2, 3, 66))
WITNESS, OTHER = Witness(), Witness(seed=bytes(32), name="witness.example/w2")
FORMS = ("export", "store")


def three_keys() -> HandLedger:
    """Nine records; A signs 0 to 2, B with it 3, B 4 and 5, C with it 6, C the rest."""
    ledger = HandLedger([1, 2], signer=A)
    ledger.rotate(B)
    ledger.commit({"type": "REX", "v": 1}, {"type": "REX", "v": 1})
    ledger.rotate(C)
    ledger.commit({"type": "REX", "v": 1})
    ledger.commit({"type": "REX", "v": 1})
    return ledger


def check(path, signer, **asked):
    witnesses = [parse_key(one.vkey, WITNESS_KEY) for one in asked.pop("witnesses", ())]
    return verify_file(path, parse_key(signer.vkey), witnesses=witnesses, **asked)


def problem_of(path, signer=A, **asked):
    problem = check(path, signer, **asked).problem
    assert problem is not None
    return problem


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("signer", [A, B, C])
@pytest.mark.parametrize("form", FORMS)
def test_any_one_key_of_the_chain_verifies_all_of_it(tmp_path, form, signer, quick):
    """An auditor who noted the key years ago could not verify any more, or must trust the box for the new one."""
    report = check(getattr(three_keys(), form)(tmp_path / "ledger"), signer, how=How(quick=quick))
    assert report.problem is None
    assert [(one.vkey, one.first, one.last) for one in report.keys] == [(A.vkey, 0, 3), (B.vkey, 3, 6), (C.vkey, 6, 8)]


def rewritten(ledger: HandLedger, seq: int) -> None:
    """Record `seq` says something else, and its leaf fits."""
    record = ledger.records[seq]
    assert record.salt is not None
    record.body = b'{"type":"REX","v":1,"zone":"x"}'
    record.leaf = leaf_of(seq, record.salt, record.body)


def resigned(ledger: HandLedger, seq: int, *by: Signer) -> None:
    """The checkpoint of record `seq` by other keys."""
    text = by[0].text(ledger.leaves[: seq + 1])
    ledger.records[seq].checkpoint = f"{text}\n{''.join(one.line(text) for one in by)}".encode()


def stolen_old_key() -> HandLedger:
    """Whoever got the first key later rewrites its time, and signs again what it signed."""
    ledger = three_keys()
    rewritten(ledger, 1)
    resigned(ledger, 2, A)
    return ledger


def only(*by: Signer) -> HandLedger:
    ledger = three_keys()
    resigned(ledger, 3, *by)
    return ledger


def taken_over(old: Signer, by: tuple[Signer, ...]) -> HandLedger:
    """Somebody puts a key of his own behind ours."""
    ledger = HandLedger([1, 2], signer=A)
    ledger.signer = old
    ledger.rotate(MALLORY, by=by)
    ledger.commit({"type": "REX", "v": 1})
    return ledger


def not_alone() -> HandLedger:
    ledger = HandLedger([1], signer=A)
    detail = {"id": "0", "old": A.vkey, "new": B.vkey, "officer2": "o"}
    rotated = {"type": "LEDGER_KEY_ROTATED", "detail": detail, "v": 1}
    ledger.commit({"type": "REX", "v": 1}, rotated, class_="policy", by=(A, B))
    return ledger


def signed_on(signer: Signer) -> HandLedger:
    ledger = three_keys()
    resigned(ledger, 4 + 1, signer)
    return ledger


CHAINS = {
    "old key stolen": (stolen_old_key, A, 3, "changed"),
    "old key stolen, the newest given": (stolen_old_key, C, 3, "changed"),
    "by the old key alone": (lambda: only(A), A, 3, "not proven"),
    "by the new key alone": (lambda: only(B), A, 3, "not proven"),
    "the lines exchanged": (lambda: only(B, A), A, 3, "not proven"),
    "by a third as well": (lambda: only(A, B, C), A, 3, "not proven"),
    "handed over by nobody": (lambda: taken_over(A, (MALLORY, MALLORY)), A, 3, "not proven"),
    "handed over from a key not in force": (lambda: taken_over(B, (A, MALLORY)), A, 3, "not proven"),
    "handed over within a commit": (not_alone, A, 2, "not proven"),
    "the old key goes on signing": (lambda: signed_on(A), A, 5, "not proven"),
    "a later key signs before its time": (lambda: signed_on(C), A, 5, "not proven"),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CHAINS)
def test_a_broken_chain_of_keys_is_refused(tmp_path, name, form):
    """Whoever holds an old key, or none, would write the history that the next auditor believes."""
    make, given, index, kind = CHAINS[name]
    problem = problem_of(getattr(make(), form)(tmp_path / "ledger"), given)
    assert problem.kind == kind
    assert problem.first <= index <= problem.last


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
def test_a_chain_that_the_given_key_is_no_part_of_is_refused(tmp_path, form):
    """A whole history by somebody else's keys, which names ours, would count as ours."""
    path = getattr(three_keys(), form)(tmp_path / "ledger")
    assert problem_of(path, MALLORY).kind == "not proven"
    ledger = HandLedger([1, 2], signer=MALLORY)
    ledger.rotate(A, by=(MALLORY, MALLORY))  # he cannot sign for A
    assert problem_of(getattr(ledger, form)(tmp_path / "his"), A).kind == "not proven"
    ledger = HandLedger([2], signer=A)  # cut off before the key that we hold came
    ledger.rotate(B)
    ledger.records = ledger.records[:2]
    assert problem_of(getattr(ledger, form)(tmp_path / "cut"), B).kind == "not proven"


@pytest.mark.req("A-27")
def test_version_1_of_the_database_is_read(tmp_path):
    """Ledgers from before witnesses could not be verified any more."""
    assert check(three_keys().store(tmp_path / "ledger.db", version=1), A).problem is None


# -- witnesses ---------------------------------------------------------------------------------------------------------


def witnessed() -> HandLedger:
    ledger = three_keys()
    ledger.cosign(WITNESS, 2, 1_790_000_000)
    ledger.cosign(WITNESS, 7, 1_790_086_400)
    ledger.cosign(OTHER, 3, 1_790_000_001)
    return ledger


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
def test_a_witness_vouches_as_far_as_it_signed(tmp_path, form):
    """The auditor would not know which part of the history somebody outside has seen, and when."""
    path = getattr(witnessed(), form)(tmp_path / "ledger")
    report = check(path, C, witnesses=[WITNESS, OTHER])
    assert (report.problem, report.end) == (None, "proven to record 7")
    told = [(one.witness, one.record, one.at) for one in report.witnesses]
    assert told == [(WITNESS.name, 7, "2026-09-22T14:13:20Z"), (OTHER.name, 3, "2026-09-21T14:13:21Z")]
    assert check(path, C).end == "not proven"  # nobody's word was asked for


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
def test_a_witness_that_never_signed_is_missed(tmp_path, form):
    """Lines that cannot be brought would count as not needed."""
    ledger = witnessed()
    ledger.cosignatures = {}
    problem = problem_of(getattr(ledger, form)(tmp_path / "ledger"), witnesses=[WITNESS])
    assert (problem.kind, problem.part) == ("not proven", "cosignature")


def forge(ledger: HandLedger) -> None:
    """Somebody else signs in the witness's name."""
    forged = replace(WITNESS, seed=bytes(31) + b"\x01")
    note = ledger.records[7].checkpoint.decode()
    line = forged.line(note).split(" ")
    raw = base64.b64decode(line[2])
    line[2] = base64.b64encode(WITNESS.key_hash + raw[4:]).decode()
    ledger.cosignatures[8] = [" ".join(line)]


def of_another_size(ledger: HandLedger) -> None:
    ledger.cosignatures[8] = [WITNESS.line(ledger.records[8].checkpoint.decode())]


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spoil", [forge, of_another_size])
def test_a_cosignature_that_is_not_of_its_checkpoint_is_found(tmp_path, spoil, form):
    """A witness's word for one history would pass for its word on another."""
    ledger = witnessed()
    spoil(ledger)
    problem = problem_of(getattr(ledger, form)(tmp_path / "ledger"), witnesses=[WITNESS])
    assert (problem.index, problem.part) == (7, "cosignature")


ODD_ROWS = {
    "beyond the end": ("UPDATE cosignature SET size = 40 WHERE size = 8", "cut off", 9),
    "where no checkpoint is": ("UPDATE cosignature SET size = 5 WHERE size = 8", "changed", 4),
    "of no size": ("UPDATE cosignature SET size = -1 WHERE size = 8", "changed", 0),
    "of somebody else": ("UPDATE cosignature SET witness = 'x' WHERE size = 8", "changed", 7),
    "not UTF-8": ("UPDATE cosignature SET line = x'e28094ff' WHERE size = 8", "changed", 7),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("name", ODD_ROWS)
def test_a_row_of_cosignatures_out_of_place_is_found(tmp_path, name):
    """Records cut off at the end would leave a witness's word for them behind, and nobody would ask."""
    change, kind, index = ODD_ROWS[name]
    path = witnessed().store(tmp_path / "ledger.db")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(change)
    connection.close()
    problem = problem_of(path)
    assert (problem.kind, problem.index) == (kind, index)


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
def test_what_a_witness_kept_finds_a_fork_and_a_rollback(tmp_path, form):
    """The box's disk and key are in one hand; only the witness has seen the other history."""
    ledger = witnessed()
    note = ledger.records[7].checkpoint
    theirs = note.split(b"\n\n")[0] + b"\n\n" + WITNESS.line(note.decode()).encode() + b"\n"
    path = getattr(ledger, form)(tmp_path / "whole")
    for kept in (theirs, note + theirs.split(b"\n\n")[1]):
        assert check(path, A, checkpoint=kept, witnesses=[WITNESS]).end == "proven to record 7"
    with pytest.raises(Misuse):
        check(path, A, checkpoint=theirs)  # whose key nobody gave
    cut = witnessed()
    cut.cosignatures, cut.records = {}, cut.records[:7]
    problem = problem_of(getattr(cut, form)(tmp_path / "cut"), checkpoint=theirs, witnesses=[WITNESS])
    assert (problem.kind, problem.first, problem.last) == ("cut off", 7, 7)
    forked = HandLedger([1, 3], signer=A)
    forked.rotate(B)
    for _ in range(4):
        forked.commit({"type": "REX", "v": 1})
    problem = problem_of(getattr(forked, form)(tmp_path / "forked"), checkpoint=theirs, witnesses=[WITNESS])
    assert (problem.kind, problem.first, problem.last) == ("forked", 0, 7)


@pytest.mark.req("A-27")
def test_a_checkpoint_outside_by_any_key_of_the_chain_counts(tmp_path):
    """What was noted under the new key would be refused as somebody else's."""
    ledger = three_keys()
    path = ledger.export(tmp_path / "export")
    for seq, end in ((0, "proven to record 0"), (3, "proven to record 3"), (8, "proven")):
        assert check(path, B, checkpoint=ledger.records[seq].checkpoint).end == end
    with pytest.raises(Misuse):
        check(path, B, checkpoint=MALLORY.checkpoint(ledger.leaves).encode())


@pytest.mark.req("A-27")
def test_keys_are_not_taken_for_one_another(tmp_path):
    """A witness's key given as the ledger's would be told to be mistyped, and nobody would know what to do."""
    with pytest.raises(Misuse, match="--witness"):
        parse_key(WITNESS.vkey)
    with pytest.raises(Misuse, match="--key"):
        parse_key(A.vkey, WITNESS_KEY)


# -- the short code ----------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27")
@pytest.mark.parametrize("form", FORMS)
def test_the_code_on_the_inspection_sheet_is_held_against_the_ledger(tmp_path, form):
    """A history that was rewritten whole would agree with the sheet that was signed by hand on that day."""
    ledger = three_keys()
    code = code_of(C.text(ledger.leaves[:6]))
    path = getattr(ledger, form)(tmp_path / "ledger")
    assert check(path, A, code=parse_code(code)).end == "proven to record 5"
    assert check(path, A, code=parse_code(f" {code.lower().replace('0', 'o').replace('1', 'l')} ")).problem is None
    other = HandLedger([7], signer=A)
    problem = problem_of(getattr(other, form)(tmp_path / "other"), code=parse_code(code))
    assert problem.kind == "forked"
    short = HandLedger([3], signer=A)
    problem = problem_of(getattr(short, form)(tmp_path / "short"), code=parse_code(code))
    assert (problem.kind, problem.last) == ("cut off", 5)


@pytest.mark.req("A-27")
def test_a_code_that_was_copied_wrongly_is_misuse():
    """A slip of the pen would read as a forged history."""
    code = code_of(A.text(three_keys().leaves))
    wrong = 0
    for at in range(len(code)):
        for letter in "0A-Z7":
            if letter != code[at]:
                with contextlib.suppress(Misuse):
                    assert parse_code(code[:at] + letter + code[at + 1 :]) != parse_code(code)
                    wrong += 1
    assert wrong < len(code) * 5 / 16  # one letter checks five bits
    for none in ("", "9", code[:-2], f"{code}-A", code.replace("-", "")):
        with pytest.raises(Misuse):
            parse_code(none)


# -- every byte --------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-27", "D-23")
def test_any_changed_byte_of_a_ledger_with_all_of_it_is_found(tmp_path):
    """One byte of a handing over, of a purge or of a witness's line is edited, and the log still reads as true."""
    ledger = HandLedger([2], signer=A)
    ledger.rotate(B)
    ledger.purge("access", (0, 0))
    ledger.cosign(WITNESS, 3)
    ledger.drop(0)
    path = ledger.export(tmp_path / "export")
    whole = path.read_bytes()
    assert check(path, A, witnesses=[WITNESS]).problem is None
    second = range(whole.index(b"\n") + 1, whole.index(b"\n", whole.index(b"\n") + 1))  # tests/sekisho/test_verify.py
    for index in some_of(set(range(len(whole))) - set(second)):
        changed = bytearray(whole)
        changed[index] ^= 1 << index % 8
        path.write_bytes(changed)
        problem = problem_of(path, A, witnesses=[WITNESS])
        line = whole[:index].count(b"\n")
        assert problem.first <= line <= problem.last + 1, (index, problem)
    path = ledger.store(tmp_path / "ledger.db")
    whole, one = path.read_bytes(), ledger.cosignatures[4][0].encode()
    for index in some_of(range(whole.index(one), whole.index(one) + len(one))):
        changed = bytearray(whole)
        changed[index] ^= 1 << index % 8
        path.write_bytes(changed)
        assert problem_of(path, A, witnesses=[WITNESS]).index == 3, index
