"""A blank NTAG 424 DNA becomes a credential of the site; keys are renewed; a credential is retired.

The mark is written first, by which a card that was begun is known; key 0 comes last. Its one application cannot be
deleted: a retired card gets its record wiped and its proving keys set back, and keeps the site's key 0.
"""

from __future__ import annotations

from typing import Final

from readers.cards.aes import ZEROS
from readers.cards.apdu import ISO_OK, OK, call, exchange, select
from readers.cards.dialogue import Dialogue
from readers.cards.ev2 import WRITE_FILE, Ev2Session, Mode
from readers.cards.ntag424 import APPLICATION, CREDENTIAL_FILE, MARK_FILE, mark_of, ntag424, read_plain, told_number
from readers.cards.order import (
    CHANGE_KEY,
    Issued,
    Order,
    Outcome,
    Refused,
    Retired,
    Slot,
    checked_blank,
    hide_number,
    key_change,
    number_for,
    opened,
    opened_blank,
    renew,
    renew_own,
    require,
)
from readers.cards.proving import READ_KEY, RECORD_BYTES, UID_KEY, is_random
from readers.cards.session import KeyPurpose, Proved

HARDWARE: Final = 0x04
MAJORS: Final = frozenset({0x30})
_CHANGE_FILE_SETTINGS: Final = 0x5F
_RECORD_SETTINGS: Final = bytes.fromhex("030020")
"""Enciphered; read with key 2, everything else with key 0."""
_MARK_SETTINGS: Final = bytes.fromhex("0000E0")
"""In clear, without SDM; anybody reads, everything else with key 0."""
_PROVING: Final[tuple[Slot, ...]] = ((UID_KEY, "desfire_uid"), (READ_KEY, "ntag424_read"))
_SLOTS: Final[tuple[Slot, ...]] = (*_PROVING, (3, "ntag424_master"), (4, "ntag424_master"))
_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("ntag424_master", "desfire_uid", "ntag424_read")


def issue(order: Order) -> Dialogue[Outcome]:
    """Blank card to credential."""
    if order.is_again and is_random(order.target.number):
        return (yield from rekey(order))  # a random UID is the last step: all others are done
    require((yield from exchange(select(APPLICATION))).word == ISO_OK, "wrong_type")
    number = yield from checked_blank(order, HARDWARE, MAJORS, _PURPOSES)
    is_marked = yield from _is_marked(order)
    session, version = yield from _opened(order, number, is_marked=is_marked)
    if not is_marked:
        # In clear and outside of the session, as the factory's settings allow; then the session is opened anew.
        yield from _write_mark(order)
        session, version = yield from _opened(order, number, is_marked=True, is_expected=True)
    yield from _fill(order, session, number)
    key, newest = order.newest("ntag424_master", number)
    if version != newest:
        yield from renew_own(session, key, newest)
    if order.wants_random_uid:
        session, _ = yield from opened(order, "ntag424_master", newest, number)
        yield from hide_number(session)
    return (yield from _verified(order, number))


def _is_marked(order: Order) -> Dialogue[bool]:
    mark = mark_of(order.application)
    return (yield from read_plain(MARK_FILE, len(mark))) == mark


def _write_mark(order: Order) -> Dialogue[None]:
    require((yield from exchange(select(APPLICATION))).word == ISO_OK)
    mark = mark_of(order.application)
    header = bytes((MARK_FILE,)) + bytes(3) + len(mark).to_bytes(3, "little")
    require((yield from call(WRITE_FILE, header + mark)).word == OK, "not_blank")


def _opened(
    order: Order, number: bytes, *, is_marked: bool, is_expected: bool = False
) -> Dialogue[tuple[Ev2Session, int]]:
    """A session under key 0: the factory's (version 0), or, begun again, the site's."""
    session = yield from opened_blank(order)
    if session is not None:
        require(order.is_again or is_expected or not is_marked, "interrupted")
        return session, 0
    require(is_marked, "not_blank")
    require(order.is_again, "already_ours")
    return (yield from opened(order, "ntag424_master", None, number))


def _fill(order: Order, session: Ev2Session, number: bytes) -> Dialogue[None]:
    for file, settings in ((MARK_FILE, _MARK_SETTINGS), (CREDENTIAL_FILE, _RECORD_SETTINGS)):
        require((yield from session.call(Mode.FULL, _CHANGE_FILE_SETTINGS, bytes((file,)), settings)))
    yield from _write_record(session, order.record(number))
    yield from renew(order, session, number, _SLOTS)


def _write_record(session: Ev2Session, record: bytes) -> Dialogue[None]:
    header = bytes((CREDENTIAL_FILE,)) + bytes(3) + RECORD_BYTES.to_bytes(3, "little")
    require((yield from session.call(Mode.FULL, WRITE_FILE, header, record)))


def rekey(order: Order) -> Dialogue[Outcome]:
    """Every key of ours to its newest version; each tells its own, so that it may be begun again at any point."""
    number, session, version = yield from _ours(order)
    yield from renew(order, session, number, _SLOTS)
    key, newest = order.newest("ntag424_master", number)
    if version != newest:
        yield from renew_own(session, key, newest)
    return (yield from _verified(order, number))


def retire(order: Order) -> Dialogue[Outcome]:
    """The record is wiped and the two proving keys are the factory's; `is_again` may issue the card anew."""
    number, session, _ = yield from _ours(order)
    yield from _write_record(session, bytes(RECORD_BYTES))
    for slot, purpose in _PROVING:
        present = yield from session.key_version(slot)
        require(present)
        assert present is not None
        if present == 0:
            continue
        old = order.asker().key(purpose, present, number_for(purpose, number))
        require(old, "not_ours")
        done = yield from session.call(Mode.FULL, CHANGE_KEY, bytes((slot,)), key_change(ZEROS, 0, old))
        require(done)
    return Retired(number=number, scheme="ntag424")


def _ours(order: Order) -> Dialogue[tuple[bytes, Ev2Session, int]]:
    """The real UID of a card with our mark, a session under its key 0, and that key's version."""
    require((yield from exchange(select(APPLICATION))).word == ISO_OK, "not_ours")
    require((yield from _is_marked(order)), "not_ours")
    number: bytes | None = order.target.number
    if is_random(order.target.number):
        number = yield from told_number(order.asker())
        require(number, "not_ours")
    assert number is not None
    session, version = yield from opened(order, "ntag424_master", None, number)
    return number, session, version


def _verified(order: Order, number: bytes) -> Dialogue[Outcome]:
    verdict = yield from ntag424(order.asker())
    if isinstance(verdict, Proved) and verdict.proof.is_genuine and verdict.number == number:
        return Issued(number=number, scheme="ntag424", key_version=verdict.proof.key_version)
    return Refused(why="not_verified")
