"""PINs: which are refused, how they are kept and checked, and when one is locked (B-10, B-13).

Kept is a keyed slow hash: Argon2id (RFC 9106) with the site's own key as its secret and the cardholder's id bound in,
so that a row copied to somebody else opens nothing. There are only nine hundred thousand good PINs of six digits: what
keeps a copied database safe is the key, which is not in it, and the slow hash is for whoever has both. Argon2id and not
scrypt: at the least strength that OWASP recommends it takes 19 MiB and a fifth of scrypt's time, and somebody waits for
it. It comes with `cryptography`, which the ledger needs anyway; argon2-cffi would be one more package for the same
function. It leaves the interpreter to the deciding thread while it works.

Digits are never kept: not in a repr, an exception, a record or a pickle. They live from the keypad's event to the end
of one check. (Python cannot wipe them from memory.)
"""

from __future__ import annotations

import hmac
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Final, NoReturn

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from zones.decision.values import PinCheck
from zones.ids import CardholderId
from zones.people import Pin

DIGITS_LEAST: Final = 4
"""No site may set its least length lower (B-13)."""

DIGITS_MIN: Final = 6
DIGITS_MAX: Final = 12

MISSES_MAX: Final = 5
"""Misses in a row after which a PIN is locked until an officer lifts it (B-13)."""

JOBS_MAX: Final = 16
"""PINs that may wait to be checked: at a fifth of a second each, the last one is answered in its dialogue's time."""

MEMORY_KIB: Final = 19 * 1024
ITERATIONS: Final = 2
"""The cost of one hash (with one lane): OWASP's least for Argon2id. Other values make every PIN that is kept wrong."""

_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32
_LINKED_DIGITS: Final = 4

_YEARS: Final = range(1900, 2100)
_LEAP_YEAR: Final = 2000
"""Where the year is written with two digits or not at all, 29 February may be meant."""


class Weakness(StrEnum):
    """Why a PIN is refused. None of these tells a digit of it."""

    NOT_DIGITS = "not_digits"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    REPEATED = "repeated"
    RUN = "run"
    READS_AS_DATE = "reads_as_date"
    LINKED_TO_HOLDER = "linked_to_holder"
    DURESS_TOO_CLOSE = "duress_too_close"


class PinRefused(ValueError):
    """A PIN that nobody may have. `why` names the rule; the digits are not in it."""

    def __init__(self, why: Weakness) -> None:
        super().__init__(f"this PIN is refused: {why}")
        self.why = why


class Digits:
    """Digits as somebody typed them. `reveal` alone shows them; no log, pickle or repr does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The digits themselves: to hash them or to hold them against the rules, and for nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Digits(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("digits are never written down")


# -- the rules -------------------------------------------------------------------------------------------------------


def check_rules(digits: Digits, *, forbidden: Iterable[str] = (), digits_min: int = DIGITS_MIN) -> None:
    """Raises PinRefused where these digits are too short, easy to guess or linked to the holder (B-13).

    Args:
        digits: the PIN that is wished for.
        forbidden: what is known about the holder and may not be in it: ids, ends of card numbers.
        digits_min: the site's least length, at least DIGITS_LEAST.
    """
    for why in _weaknesses(digits.reveal(), forbidden, max(DIGITS_LEAST, digits_min)):
        raise PinRefused(why)


def check_duress(digits: Digits, duress: Digits) -> None:
    """Raises PinRefused where one wrong key in the PIN would raise the silent alarm (B-10)."""
    if _is_slip(digits.reveal(), duress.reveal()):
        raise PinRefused(Weakness.DURESS_TOO_CLOSE)


def new_pin(random: Callable[[int], bytes], *, forbidden: Iterable[str] = (), digits_min: int = DIGITS_MIN) -> Digits:
    """A PIN that the rules accept, every one as likely as every other. `random` gives as many bytes as asked for."""
    known, count = tuple(forbidden), max(DIGITS_LEAST, digits_min)
    limit = (1 << 64) // 10**count * 10**count  # what lies above would make the low numbers likelier
    for _ in range(1000):
        drawn = int.from_bytes(random(8), "big")
        suggested = Digits(f"{drawn % 10**count:0{count}d}")
        try:
            check_rules(suggested, forbidden=known, digits_min=count)
        except PinRefused:
            continue
        if drawn < limit:
            return suggested
    raise RuntimeError("a thousand draws gave no PIN: the source of randomness is broken")


def _weaknesses(text: str, forbidden: Iterable[str], digits_min: int) -> Iterator[Weakness]:
    """All that is wrong with a PIN, or only that it is none."""
    if not (text.isascii() and text.isdigit()):
        yield Weakness.NOT_DIGITS
        return
    if len(text) < digits_min:
        yield Weakness.TOO_SHORT
    if len(text) > DIGITS_MAX:
        yield Weakness.TOO_LONG
    if _is_repeated(text):
        yield Weakness.REPEATED
    if _is_run(text):
        yield Weakness.RUN
    if _reads_as_date(text):
        yield Weakness.READS_AS_DATE
    if _is_linked(text, forbidden):
        yield Weakness.LINKED_TO_HOLDER


def _is_repeated(text: str) -> bool:
    """111111, 121212, 123123: one part and nothing else."""
    return any(text == text[:size] * (len(text) // size) for size in range(1, len(text) // 2 + 1))


def _is_run(text: str) -> bool:
    """123456, 890123, 987654, 135790: each digit as far from the one before it."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(text)}
    return len(steps) <= 1


def _reads_as_date(text: str) -> bool:
    """The whole of it is a date or a year, or a date of eight digits stands in it: a birthday is the first guess.

    Two digits of a year may be any: years of the Japanese eras are written so too.
    """
    if len(text) == 4:
        return int(text) in _YEARS or _is_day(text[:2], text[2:])
    if len(text) == 6:
        return _is_day(text[2:4], text[4:]) or _is_day(text[:2], text[2:4])
    return any(_is_full_date(text[at : at + 8]) for at in range(len(text) - 7))


def _is_full_date(text: str) -> bool:
    """YYYYMMDD, DDMMYYYY or MMDDYYYY."""
    ways = ((text[:4], text[4:6], text[6:]), (text[4:], text[:2], text[2:4]))
    return any(int(year) in _YEARS and _is_day(one, other) for year, one, other in ways)


def _is_day(one: str, other: str) -> bool:
    """A month and a day of it, either first."""
    for month, day in ((one, other), (other, one)):
        try:
            date(_LEAP_YEAR, int(month), int(day))
        except ValueError:
            continue
        return True
    return False


def _is_slip(one: str, other: str) -> bool:
    """The same, or one key wrong, forgotten or too many."""
    if len(one) == len(other):
        return sum(1 for typed, meant in zip(one, other, strict=True) if typed != meant) <= 1
    shorter, longer = sorted((one, other), key=len)
    return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))


def _is_linked(text: str, forbidden: Iterable[str]) -> bool:
    """Four digits in a row are those of something that stands on the card or in the list of staff."""
    for known in forbidden:
        digits = re.sub(r"[^0-9]", "", known)
        starts = range(len(digits) - _LINKED_DIGITS + 1)
        if any(digits[at : at + _LINKED_DIGITS] in text for at in starts):
            return True
    return False


# -- the hash --------------------------------------------------------------------------------------------------------


class PinHasher:
    """Hashes and checks PINs under the site's own key (32 bytes). Nothing of it is kept but the key."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == _KEY_BYTES, "the PIN key has 32 bytes"
        self._key = key
        self._of_nobody = hmac.digest(key, b"nobody", "sha256")
        self._kdf("", self._of_nobody[:_SALT_BYTES])  # an OpenSSL without Argon2id is told at the start, not at a door

    def __repr__(self) -> str:
        return "PinHasher(hidden)"

    def hash_pin(self, cardholder: CardholderId, digits: Digits, salt: bytes) -> str:
        """The hash as it is kept, in hex."""
        return self._slow(str(cardholder), digits, salt).hex()

    def new_row(
        self,
        cardholder: CardholderId,
        digits: Digits,
        duress: Digits | None,
        salt: bytes,
        *,
        forbidden: Iterable[str] = (),
        digits_min: int = DIGITS_MIN,
    ) -> Pin:
        """The row of a new PIN. PinRefused where the rules refuse it or the duress PIN, or both are too much alike."""
        assert len(salt) == _SALT_BYTES, "a salt has 16 bytes"
        known = tuple(forbidden)
        check_rules(digits, forbidden=known, digits_min=digits_min)
        if duress is not None:
            check_rules(duress, forbidden=known, digits_min=digits_min)
            check_duress(digits, duress)
        return Pin(
            id=cardholder,
            salt=salt.hex(),
            pin_hash=self.hash_pin(cardholder, digits, salt),
            duress_hash=None if duress is None else self.hash_pin(cardholder, duress, salt),
        )

    def check(self, row: Pin | None, digits: Digits) -> PinCheck:
        """RIGHT, DURESS or WRONG; WRONG where there is no row.

        The work is one slow hash and two comparisons, whoever it is: both PINs of a row share its salt. An unknown
        card, a cardholder without a PIN or without a duress PIN, and a row that cannot be read cost what a right PIN
        costs.
        """
        salt, pin_hash, duress_hash = self._expected(row)
        found = self._slow("" if row is None else str(row.id), digits, salt)
        is_right = hmac.compare_digest(found, pin_hash)
        is_duress = hmac.compare_digest(found, duress_hash)
        if is_duress:
            return PinCheck.DURESS
        return PinCheck.RIGHT if is_right else PinCheck.WRONG

    def _expected(self, row: Pin | None) -> tuple[bytes, bytes, bytes]:
        """Salt and hashes of a row; for nobody, values that no digits have ever been found to give."""
        nobody = (self._of_nobody[:_SALT_BYTES], self._of_nobody, self._of_nobody)
        if row is None:
            return nobody
        try:
            salt, pin_hash = bytes.fromhex(row.salt), bytes.fromhex(row.pin_hash)
            duress_hash = self._of_nobody if row.duress_hash is None else bytes.fromhex(row.duress_hash)
        except ValueError:
            return nobody
        return (salt, pin_hash, duress_hash) if len(salt) == _SALT_BYTES else nobody

    def _slow(self, cardholder: str, digits: Digits, salt: bytes) -> bytes:
        return self._kdf(cardholder, salt).derive(digits.reveal().encode())

    def _kdf(self, cardholder: str, salt: bytes) -> Argon2id:
        return Argon2id(
            salt=salt,
            length=_HASH_BYTES,
            iterations=ITERATIONS,
            lanes=1,
            memory_cost=MEMORY_KIB,
            ad=cardholder.encode(),
            secret=self._key,
        )


# -- checking beside the deciding loop -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PinJob:
    """Digits typed at `source` in `dialogue`, and the row they are to match (None: there is none).

    `is_locked`: the PIN was missed too often. The work is done all the same, so that nobody sees it from outside.
    """

    source: str
    dialogue: int
    row: Pin | None = field(repr=False)
    digits: Digits
    is_locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PinAnswered:
    """The outcome of the job for `dialogue` at `source`."""

    source: str
    dialogue: int
    check: PinCheck


class PinDesk:
    """Checks PINs on a thread of its own, one after the other, so that no door waits for somebody's digits.

    Args:
        hasher: checks.
        deliver: called with each answer, from this thread or from `submit`; must only enqueue.
        jobs_max: jobs that may wait; one more is answered MISSING at once.
    """

    def __init__(
        self, hasher: PinHasher, deliver: Callable[[PinAnswered], object], *, jobs_max: int = JOBS_MAX
    ) -> None:
        self._hasher = hasher
        self._deliver = deliver
        self._max = jobs_max
        self._jobs: deque[PinJob] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="pins", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether anybody checks."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to check what was and will be submitted."""
        self._thread.start()

    def submit(self, job: PinJob) -> None:
        """Hand over a job. Returns at once; exactly one answer is delivered."""
        with self._changed:
            is_taken = len(self._jobs) < self._max and not self._is_stopping
            if is_taken:
                self._jobs.append(job)
                self._changed.notify()
        if not is_taken:
            self._deliver(_unchecked(job))

    def stop(self) -> None:
        """End the thread when its present job is done; whoever waits is answered MISSING."""
        with self._changed:
            self._is_stopping = True
            left = tuple(self._jobs)
            self._jobs.clear()
            self._changed.notify()
        for job in left:
            self._deliver(_unchecked(job))
        if self._thread.is_alive():
            self._thread.join()

    def answer(self, job: PinJob) -> PinAnswered:
        """The outcome of one job, worked out here and now. A box that cannot hash has checked nothing: MISSING."""
        try:
            check = self._hasher.check(job.row, job.digits)
        except MemoryError:
            return _unchecked(job)
        return PinAnswered(source=job.source, dialogue=job.dialogue, check=PinCheck.LOCKED if job.is_locked else check)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._deliver(self.answer(job))

    def _next(self) -> PinJob | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_stopping)
            return None if self._is_stopping else self._jobs.popleft()


def _unchecked(job: PinJob) -> PinAnswered:
    """The same for every card: it says that nobody looked."""
    return PinAnswered(source=job.source, dialogue=job.dialogue, check=PinCheck.MISSING)


# -- misses ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PinMisses:
    """Misses in a row by cardholder: a fold of decisions and of officers' lifts. Only a lift ends a lock."""

    in_a_row: Mapping[CardholderId, int] = field(default_factory=lambda: MappingProxyType({}))

    def is_locked(self, cardholder: CardholderId) -> bool:
        """Whether this PIN counts no more."""
        return self.in_a_row.get(cardholder, 0) >= MISSES_MAX

    def after(self, cardholder: CardholderId, check: PinCheck) -> PinMisses:
        """The misses after one check. What nobody typed is no miss; what a locked PIN was answered changes nothing."""
        if check is PinCheck.WRONG:
            return self.missed(cardholder)
        return self.right(cardholder) if check in {PinCheck.RIGHT, PinCheck.DURESS} else self

    def missed(self, cardholder: CardholderId) -> PinMisses:
        """One miss more."""
        count = min(MISSES_MAX, self.in_a_row.get(cardholder, 0) + 1)
        return PinMisses(in_a_row=MappingProxyType({**self.in_a_row, cardholder: count}))

    def right(self, cardholder: CardholderId) -> PinMisses:
        """The row of misses ends, unless it has led to a lock."""
        return self if self.is_locked(cardholder) else self.lifted(cardholder)

    def lifted(self, cardholder: CardholderId) -> PinMisses:
        """An officer lifted the lock, or the cardholder was given a new PIN."""
        return PinMisses(in_a_row=MappingProxyType({who: n for who, n in self.in_a_row.items() if who != cardholder}))
