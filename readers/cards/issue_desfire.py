"""A blank DESFire EV2 or EV3 becomes a credential of the site; keys are renewed; a credential is retired.

The order of the steps is that of docs/wire/cards.md: nothing of the site is used before the blank is checked, and
after each step a card whose power is lost can be begun again (`is_again`) or renewed again.
"""

from __future__ import annotations

from typing import Final

from readers.cards.aes import BLOCK
from readers.cards.apdu import OK, call, parsed
from readers.cards.desfire import CREDENTIAL_FILE, SELECT_APPLICATION, authenticated, desfire, said_version
from readers.cards.dialogue import Dialogue, ask
from readers.cards.ev2 import WRITE_FILE, Ev2Session, Mode
from readers.cards.iso_des import AES_MASTER, authenticate_blank, master_change
from readers.cards.order import (
    Issued,
    Order,
    Outcome,
    Refused,
    Retired,
    Slot,
    checked_blank,
    hide_number,
    opened,
    opened_blank,
    renew,
    renew_own,
    require,
)
from readers.cards.proving import MASTER_KEY, READ_KEY, RECORD_BYTES, UID_KEY, is_random
from readers.cards.session import KeyPurpose, Proved

HARDWARE: Final = 0x01
MAJORS: Final = frozenset({0x12, 0x22, 0x33})
"""GetVersion's hardware majors: EV2, EV2 of the larger sizes, EV3. EV1 has no originality signature."""
PICC: Final = bytes(3)
_APPLICATIONS: Final = 0x6A
_CREATE_APPLICATION: Final = 0xCA
_DELETE_APPLICATION: Final = 0xDA
_CREATE_FILE: Final = 0xCD
_APPLICATION_SETTINGS: Final = bytes.fromhex("0983")
"""Every change needs key 0, also the list of files; three AES keys."""
_FILE_SETTINGS: Final = bytes.fromhex("030020")
"""Enciphered; read with key 2, everything else with key 0."""
_SLOTS: Final[tuple[Slot, ...]] = ((UID_KEY, "desfire_uid"), (READ_KEY, "desfire_read"))
_PURPOSES: Final[tuple[KeyPurpose, ...]] = ("desfire_master", "desfire_uid", "desfire_read")


def issue(order: Order) -> Dialogue[Outcome]:
    """Blank card to credential."""
    if order.is_again and is_random(order.target.number):
        return (yield from rekey(order))  # a random UID is the last step: all others are done
    number = yield from checked_blank(order, HARDWARE, MAJORS, _PURPOSES)
    require((yield from call(SELECT_APPLICATION, PICC)).word == OK)
    is_begun = yield from _is_begun(order)
    session = yield from _own_card(order, number)
    if is_begun:
        require((yield from session.call(Mode.MAC, _DELETE_APPLICATION, order.application)))
    created = order.application + _APPLICATION_SETTINGS
    require((yield from session.call(Mode.MAC, _CREATE_APPLICATION, created)))
    yield from _fill(order, number)
    if order.wants_random_uid:
        require((yield from call(SELECT_APPLICATION, PICC)).word == OK)
        session, _ = yield from opened(order, "desfire_master", None, number)
        yield from hide_number(session)
    return (yield from _verified(order, number))


def _is_begun(order: Order) -> Dialogue[bool]:
    """Whether our application is there already, which only `is_again` allows; any other's is never touched."""
    listed = yield from call(_APPLICATIONS)
    require(listed.word == OK and len(listed.body) % 3 == 0, "not_blank")
    there = {listed.body[at : at + 3] for at in range(0, len(listed.body), 3)}
    require(order.is_again or order.application not in there, "already_ours")
    require(there <= {order.application}, "not_blank")
    return bool(there)


def _own_card(order: Order, number: bytes) -> Dialogue[Ev2Session]:
    """A session under the card's master key, which is the site's from here on."""
    key, version = order.newest("desfire_master", number)
    blank = yield from authenticate_blank(order.random)
    if blank is not None:
        require(parsed((yield from ask(master_change(blank, key, version)))).word == OK)
    else:
        session = yield from opened_blank(order)
        if session is not None:
            yield from renew_own(session, key, version, AES_MASTER)
        else:
            require(order.is_again, "not_blank")
            yield from _renew_card(order, number)
    return (yield from opened(order, "desfire_master", version, number))[0]


def _renew_card(order: Order, number: bytes) -> Dialogue[None]:
    """The master key of the card itself (application 000000) to its newest version."""
    key, newest = order.newest("desfire_master", number)
    require((yield from call(SELECT_APPLICATION, PICC)).word == OK)
    said = yield from said_version(MASTER_KEY)
    session, version = yield from opened(order, "desfire_master", said, number)
    if version != newest:
        yield from renew_own(session, key, newest, AES_MASTER)


def _fill(order: Order, number: bytes) -> Dialogue[None]:
    """Keys and the credential file of a new application; key 0 comes last."""
    require((yield from call(SELECT_APPLICATION, order.application)).word == OK)
    session = yield from opened_blank(order)
    require(session)
    assert session is not None
    yield from renew(order, session, number, _SLOTS)
    file = bytes((CREDENTIAL_FILE,))
    size = (2 * BLOCK).to_bytes(3, "little")
    require((yield from session.call(Mode.MAC, _CREATE_FILE, file + _FILE_SETTINGS + size)))
    header = file + bytes(3) + RECORD_BYTES.to_bytes(3, "little")
    require((yield from session.call(Mode.FULL, WRITE_FILE, header, order.record(number))))
    yield from renew_own(session, *order.newest("desfire_master", number))


def rekey(order: Order) -> Dialogue[Outcome]:
    """Every key of ours to its newest version; each tells its own, so that it may be begun again at any point."""
    number = yield from _number(order)
    said = yield from said_version(MASTER_KEY)
    session, version = yield from opened(order, "desfire_master", said, number)
    yield from renew(order, session, number, _SLOTS)
    key, newest = order.newest("desfire_master", number)
    if version != newest:
        yield from renew_own(session, key, newest)
    yield from _renew_card(order, number)
    return (yield from _verified(order, number))


def retire(order: Order) -> Dialogue[Outcome]:
    """Our application goes; the card's master key stays the site's, and `is_again` may issue it anew."""
    number = yield from _number(order)
    require((yield from call(SELECT_APPLICATION, PICC)).word == OK)
    said = yield from said_version(MASTER_KEY)
    session, _ = yield from opened(order, "desfire_master", said, number)
    require((yield from session.call(Mode.MAC, _DELETE_APPLICATION, order.application)))
    return Retired(number=number, scheme="desfire_ev2")


def _number(order: Order) -> Dialogue[bytes]:
    """The real UID; our application is selected then, and no session open."""
    require((yield from call(SELECT_APPLICATION, order.application)).word == OK, "not_ours")
    if not is_random(order.target.number):
        return order.target.number
    session, _ = yield from authenticated(order.asker(), "desfire_ev2", "desfire_uid", UID_KEY, b"")
    number = (yield from session.card_number()) if isinstance(session, Ev2Session) else None
    require(number, "not_ours")
    assert number is not None
    require((yield from call(SELECT_APPLICATION, order.application)).word == OK)
    return number


def _verified(order: Order, number: bytes) -> Dialogue[Outcome]:
    verdict = yield from desfire(order.asker(), ("desfire_ev2",))
    if isinstance(verdict, Proved) and verdict.proof.is_genuine and verdict.number == number:
        return Issued(number=number, scheme="desfire_ev2", key_version=verdict.proof.key_version)
    return Refused(why="not_verified")
