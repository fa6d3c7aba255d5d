"""PINs: the rules, the hash, the thread that checks them, and the lock after misses."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import traceback
from dataclasses import asdict, replace
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.pins import (
    DIGITS_MAX,
    JOBS_MAX,
    MISSES_MAX,
    Digits,
    PinAnswered,
    PinDesk,
    PinHasher,
    PinJob,
    PinMisses,
    PinRefused,
    Weakness,
    check_rules,
    new_pin,
)
from zones.decision.values import PinCheck
from zones.ids import CardholderId

ANA = CardholderId("ana")
SALT = bytes(range(16))
PIN, DURESS, OTHER = "482913", "591742", "730952"


@pytest.fixture(scope="session")
def hasher():
    return PinHasher(bytes(range(32)))


@pytest.fixture(scope="session")
def row(hasher):
    return hasher.new_row(ANA, Digits(PIN), Digits(DURESS), SALT)


# -- the rules -------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("digits", "why"),
    [
        ("", Weakness.NOT_DIGITS),
        ("48291a", Weakness.NOT_DIGITS),
        ("４８２９１３", Weakness.NOT_DIGITS),  # full width: another keyboard, other bytes
        ("48291\u00b2", Weakness.NOT_DIGITS),  # a digit to str.isdigit, and no key
        ("48291", Weakness.TOO_SHORT),
        ("4829135706281", Weakness.TOO_LONG),
        ("777777", Weakness.REPEATED),
        ("121212", Weakness.REPEATED),
        ("482482", Weakness.REPEATED),
        ("48294829", Weakness.REPEATED),
        ("123456", Weakness.RUN),
        ("890123", Weakness.RUN),
        ("987654", Weakness.RUN),
        ("210987", Weakness.RUN),
        ("135791", Weakness.RUN),
        ("850214", Weakness.READS_AS_DATE),  # 14 February 1985
        ("140285", Weakness.READS_AS_DATE),
        ("021485", Weakness.READS_AS_DATE),
        ("350229", Weakness.READS_AS_DATE),  # an era's year; nobody looks whether it was a leap year
        ("19850214", Weakness.READS_AS_DATE),
        ("14021985", Weakness.READS_AS_DATE),
        ("02141985", Weakness.READS_AS_DATE),
        ("719850214", Weakness.READS_AS_DATE),
    ],
)
def test_a_pin_that_is_easy_to_guess_is_refused(digits, why):
    """The first guess at a lost card would open."""
    with pytest.raises(PinRefused) as refused:
        check_rules(Digits(digits))
    assert refused.value.why is why


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("digits", "why"),
    [
        ("1999", Weakness.READS_AS_DATE),
        ("0229", Weakness.READS_AS_DATE),
        ("2902", Weakness.READS_AS_DATE),
        ("7302", None),
    ],
)
def test_a_short_pin_is_no_year_and_no_day(digits, why):
    """A site that allows four digits would get birthdays and nothing else."""
    if why is None:
        check_rules(Digits(digits), digits_min=4)
        return
    with pytest.raises(PinRefused) as refused:
        check_rules(Digits(digits), digits_min=4)
    assert refused.value.why is why


@pytest.mark.req("B-13")
@pytest.mark.parametrize("digits", [PIN, DURESS, OTHER, "483277", "7302845", "730284519364", "18991307"])
def test_other_pins_are_accepted(digits):
    """Nobody would find a PIN that is good enough."""
    check_rules(Digits(digits))


@pytest.mark.req("B-13")
def test_no_site_may_do_with_three_digits():
    """A setting would undo the rule."""
    with pytest.raises(PinRefused) as refused:
        check_rules(Digits("730"), digits_min=1)
    assert refused.value.why is Weakness.TOO_SHORT


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("known", "digits", "is_refused"),
    [
        ("emp-004829", "482913", True),  # 4829
        ("emp-04-82-91", "734829", True),  # the dashes are not typed
        ("4829", "048296", True),
        ("482", "482913", False),
        ("A829", "482913", False),
        ("emp-5555", "482913", False),
    ],
)
def test_a_pin_says_nothing_that_stands_on_the_card(known, digits, is_refused):
    """Whoever finds a card with its holder's number would try just that."""
    if is_refused:
        with pytest.raises(PinRefused) as refused:
            check_rules(Digits(digits), forbidden=("x", known))
        assert refused.value.why is Weakness.LINKED_TO_HOLDER
    else:
        check_rules(Digits(digits), forbidden=("x", known))


@pytest.mark.req("B-13")
@given(seed=st.integers(0, 2**32), digits_min=st.integers(1, DIGITS_MAX))
def test_a_suggested_pin_is_one_that_the_rules_accept(seed, digits_min):
    """The registrar would be offered a PIN, and then be told that it is refused."""
    suggested = new_pin(Random(seed).randbytes, forbidden=("emp-004829",), digits_min=digits_min)
    check_rules(suggested, forbidden=("emp-004829",), digits_min=digits_min)
    assert len(suggested.reveal()) == max(4, digits_min)


@pytest.mark.parametrize("constant", [b"\x00", b"\xff"])
def test_a_source_of_randomness_that_is_stuck_gives_no_pin(constant):
    """Everybody would be given the same PIN, or the registrar's page would never answer."""
    with pytest.raises(RuntimeError, match="the source of randomness is broken"):
        new_pin(lambda size: constant * size)


def test_no_pin_is_likelier_than_another():
    """The highest draws would be folded onto the lowest PINs."""
    draws = iter([b"\xff" * 8, (482913).to_bytes(8, "big")])
    assert new_pin(lambda _: next(draws)).reveal() == "482913"


# -- the hash --------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-10", "B-13")
@pytest.mark.parametrize(
    ("typed", "check"),
    [(PIN, PinCheck.RIGHT), (DURESS, PinCheck.DURESS), (OTHER, PinCheck.WRONG), (PIN[:-1], PinCheck.WRONG)],
)
def test_each_pin_is_what_it_is(hasher, row, typed, check):
    """Somebody under threat would be taken for a holder at ease, or a stranger for the holder."""
    assert hasher.check(row, Digits(typed)) is check


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    "changes",
    [
        {"id": CardholderId("bo")},  # Ana's PIN copied to Bo
        {"salt": bytes(16).hex()},
        {"salt": "no hex"},
        {"salt": SALT.hex()[:14]},
        {"pin_hash": "", "duress_hash": ""},
        {"pin_hash": "zz", "duress_hash": None},
    ],
)
def test_a_row_that_was_tampered_with_opens_nothing(hasher, row, changes):
    """Whoever can write the database could give his PIN to somebody with more rights."""
    for typed in (PIN, DURESS):
        assert hasher.check(replace(row, **changes), Digits(typed)) is PinCheck.WRONG


@pytest.mark.req("B-13")
def test_without_the_key_the_rows_say_nothing(row):
    """A copy of the database could be tried out at home: a million PINs are soon tried."""
    stranger = PinHasher(bytes(32))
    assert stranger.check(row, Digits(PIN)) is PinCheck.WRONG
    assert stranger.hash_pin(ANA, Digits(PIN), SALT) != row.pin_hash


@pytest.mark.req("B-13")
def test_two_cardholders_with_one_pin_have_different_hashes(hasher, row):
    """Whoever knows his own PIN would see who else has it, whatever salts were drawn."""
    assert hasher.hash_pin(CardholderId("bo"), Digits(PIN), SALT) != row.pin_hash
    assert hasher.hash_pin(ANA, Digits(PIN), bytes(16)) != row.pin_hash


@pytest.mark.req("E-04", "B-13")
def test_whoever_it_is_the_work_is_the_same(hasher, row, monkeypatch):
    """A stopwatch at the keypad would tell which cards are known and who has a duress PIN."""
    hashed = []
    slow = PinHasher._slow
    monkeypatch.setattr(PinHasher, "_slow", lambda *given: hashed.append(len(given[3])) or slow(*given))
    for one in (row, replace(row, duress_hash=None), None, replace(row, salt="no hex")):
        for typed in (PIN, DURESS, OTHER):
            hashed.clear()
            hasher.check(one, Digits(typed))
            assert hashed == [16]


@pytest.mark.req("B-10")
@pytest.mark.parametrize("duress", [PIN, PIN[:-1] + "4", "9" + PIN[1:], PIN + "7", "7" + PIN, PIN[:3] + "7" + PIN[3:]])
def test_one_slip_of_a_finger_is_no_cry_for_help(hasher, duress):
    """Guards would run for every mistyped PIN, and soon for none."""
    with pytest.raises(PinRefused) as refused:
        hasher.new_row(ANA, Digits(PIN), Digits(duress), SALT)
    assert refused.value.why is Weakness.DURESS_TOO_CLOSE


@pytest.mark.req("B-10")
@pytest.mark.parametrize("duress", [DURESS, PIN[:-2] + "46", "7302845", PIN + "77"])
def test_a_duress_pin_may_be_of_any_length(hasher, duress):
    """Nobody could remember one that is far enough from the other."""
    row = hasher.new_row(ANA, Digits(PIN), Digits(duress), SALT)
    assert hasher.check(row, Digits(duress)) is PinCheck.DURESS


@pytest.mark.req("B-10", "B-13")
@pytest.mark.parametrize(("digits", "duress"), [("123456", DURESS), (PIN, "123456"), (PIN, "4829"), ("004829", DURESS)])
def test_both_pins_are_held_to_the_rules(hasher, digits, duress):
    """The weaker of the two would be guessed; either opens."""
    with pytest.raises(PinRefused):
        hasher.new_row(ANA, Digits(digits), Digits(duress), SALT, forbidden=iter(("emp-004829",)))


# -- never kept ------------------------------------------------------------------------------------------------------


def shown_of(error):
    """All that a log could get of an exception, the frames' variables too."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format()) + repr(error) + str(error) + repr(error.args) + repr(vars(error))


@pytest.mark.req("B-13")
@pytest.mark.parametrize("digits", ["4829", "123456", "19850214", "73028451936415", "482９13"])
def test_a_refusal_does_not_tell_the_digits(digits):
    """The log would hold what somebody then changes by one digit."""
    secret = Digits(digits)
    with pytest.raises(PinRefused) as refused:
        check_rules(secret)
    error = refused.value.with_traceback(refused.tb.tb_next)  # without this test's own frame, which does know them
    assert digits not in shown_of(error)


@pytest.mark.req("B-13")
def test_digits_are_written_nowhere(hasher, row):
    """A dump, a debug log or a backup would hold PINs."""
    job = PinJob(source="keypad-1", dialogue=7, row=row, digits=Digits(PIN))
    answer = PinDesk(hasher, lambda _: None).answer(job)
    assert PIN not in repr(job) + repr(hasher) + repr(answer) + repr(row) + f"{job.digits}{job.digits!r}"
    assert row.pin_hash not in repr(job)
    for write in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="never written down"):
            write(job.digits)
    with pytest.raises(TypeError, match="never written down"):
        pickle.dumps(job)
    with pytest.raises(TypeError, match="never written down"):
        asdict(job)


@pytest.mark.req("B-13")
@settings(max_examples=20)
@given(drawn=st.binary(min_size=64, max_size=64))
def test_a_row_does_not_hold_the_pin(hasher, drawn):
    """The database would hold PINs in clear."""
    source = iter(drawn[at : at + 8] for at in count(0, 8))
    try:
        digits = new_pin(lambda _: next(source) or os.urandom(8), digits_min=12)
    except PinRefused:
        return
    assert digits.reveal() not in repr(hasher.new_row(ANA, digits, None, SALT, digits_min=12))


# -- beside the deciding loop ----------------------------------------------------------------------------------------


class Held(PinHasher):
    """Waits with its first check until it is let go: a box that is slow just then."""

    def __init__(self):
        super().__init__(bytes(range(32)))
        self.is_at_work, self.may_go_on = threading.Event(), threading.Event()

    def check(self, row, digits):
        self.is_at_work.set()
        assert self.may_go_on.wait(30)
        return super().check(row, digits)


def job_for(row, dialogue, typed=PIN, **more):
    return PinJob(source="keypad-1", dialogue=dialogue, row=row, digits=Digits(typed), **more)


@pytest.mark.req("B-10", "B-13")
@pytest.mark.parametrize(
    ("typed", "is_known", "is_locked", "check"),
    [
        (PIN, True, False, PinCheck.RIGHT),
        (DURESS, True, False, PinCheck.DURESS),
        (OTHER, True, False, PinCheck.WRONG),
        (PIN, False, False, PinCheck.WRONG),
        (PIN, True, True, PinCheck.LOCKED),
        (OTHER, True, True, PinCheck.LOCKED),
    ],
)
def test_an_answer_names_its_keypad_and_dialogue(hasher, row, typed, is_known, is_locked, check):
    """The right PIN of one would be taken for that of the next; a locked one would open after all."""
    job = job_for(row if is_known else None, 7, typed, is_locked=is_locked)
    answer = PinAnswered(source="keypad-1", dialogue=7, check=check)
    assert PinDesk(hasher, lambda _: None).answer(job) == answer


def test_whoever_asks_does_not_wait(row):
    """Every door of the site would stand still while somebody's PIN is checked."""
    held, answers, is_answered = Held(), [], threading.Semaphore(0)
    desk = PinDesk(held, lambda answer: (answers.append(answer), is_answered.release()))
    desk.start()
    desk.submit(job_for(row, 1))
    desk.submit(job_for(row, 2, DURESS))
    assert held.is_at_work.wait(30)
    assert answers == []  # both calls are back and the check is not done
    held.may_go_on.set()
    assert is_answered.acquire(timeout=30) and is_answered.acquire(timeout=30)
    assert [(one.dialogue, one.check) for one in answers] == [(1, PinCheck.RIGHT), (2, PinCheck.DURESS)]
    desk.stop()
    assert not desk.is_alive


def test_too_many_at_once_are_told_so_and_never_counted_as_misses(row):
    """A flood of digits at one keypad would fill the memory, or lock everybody's PIN."""
    held, answers = Held(), []
    desk = PinDesk(held, answers.append)
    desk.start()
    desk.submit(job_for(row, 0))
    assert held.is_at_work.wait(30)
    for dialogue in range(1, JOBS_MAX + 1):
        desk.submit(job_for(row, dialogue))
    assert answers == []
    desk.submit(job_for(row, 99))
    assert answers == [PinAnswered(source="keypad-1", dialogue=99, check=PinCheck.MISSING)]
    held.may_go_on.set()
    desk.stop()


def test_at_the_end_everybody_is_answered_once(row):
    """A stop would hang, or somebody's PIN would be checked by nobody and never answered."""
    held, answers = Held(), []
    desk = PinDesk(held, answers.append)
    desk.start()
    for dialogue in range(4):
        desk.submit(job_for(row, dialogue))
    assert held.is_at_work.wait(30)
    held.may_go_on.set()
    desk.stop()
    desk.submit(job_for(row, 9))
    assert not desk.is_alive
    assert sorted(one.dialogue for one in answers) == [0, 1, 2, 3, 9]
    assert answers[-1].check is PinCheck.MISSING


def test_a_desk_that_never_began_can_be_stopped(hasher, row):
    """A start that fails half way would hang instead of saying why."""
    answers = []
    desk = PinDesk(hasher, answers.append)
    desk.submit(job_for(row, 1))
    desk.stop()
    assert [one.check for one in answers] == [PinCheck.MISSING]


def test_a_box_without_memory_refuses_and_goes_on(row):
    """The thread would end without a word, and no PIN be checked until somebody wonders."""

    class Full(PinHasher):
        def check(self, row, digits):
            raise MemoryError

    assert PinDesk(Full(bytes(32)), lambda _: None).answer(job_for(row, 1)).check is PinCheck.MISSING


# -- misses ----------------------------------------------------------------------------------------------------------

WRONG, RIGHT = PinCheck.WRONG, PinCheck.RIGHT


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("checks", "is_locked"),
    [
        ([WRONG] * 4, False),
        ([WRONG] * 5, True),
        ([WRONG] * 4 + [RIGHT] + [WRONG] * 4, False),
        ([WRONG] * 4 + [PinCheck.DURESS, WRONG], False),
        ([WRONG] * 4 + [PinCheck.MISSING, PinCheck.NOT_ASKED, WRONG], True),  # silence neither counts nor forgives
        ([PinCheck.MISSING] * 9, False),
        ([WRONG] * 5 + [RIGHT], True),  # only an officer lifts it
        ([WRONG] * 5 + [PinCheck.LOCKED] * 3, True),
    ],
)
def test_five_misses_in_a_row_lock_a_pin(checks, is_locked):
    """A finder of a card could try all PINs, one a minute; or a slip a month would lock its holder out."""
    misses = PinMisses()
    for check in checks:
        misses = misses.after(ANA, check)
    assert misses.is_locked(ANA) is is_locked
    assert not misses.is_locked(CardholderId("bo"))
    assert not misses.lifted(ANA).is_locked(ANA)


@pytest.mark.req("B-13")
@given(st.lists(st.tuples(st.sampled_from(["ana", "bo"]), st.sampled_from([*PinCheck, None]))))
def test_the_misses_of_one_say_nothing_of_another(told):
    """One cardholder's misses would lock another out (against a naive count; None is an officer's lift)."""
    misses, naive = PinMisses(), {"ana": 0, "bo": 0}
    for who, check in told:
        misses = misses.lifted(CardholderId(who)) if check is None else misses.after(CardholderId(who), check)
        if check is None or (check in {RIGHT, PinCheck.DURESS} and naive[who] < MISSES_MAX):
            naive[who] = 0
        elif check is WRONG:
            naive[who] += 1
    assert {who: misses.is_locked(CardholderId(who)) for who in naive} == {w: n >= MISSES_MAX for w, n in naive.items()}
