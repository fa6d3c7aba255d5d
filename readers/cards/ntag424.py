"""NTAG 424 DNA: its one application, AuthenticateEV2First, and an enciphered read of its proprietary file.

Every such card has the application, ours or not: what makes one ours is a mark that anybody may read in its NDEF file.
A card with our mark that cannot answer for it is not genuine.
"""

from __future__ import annotations

from typing import Final

from readers.cards.apdu import ISO_OK, OK, call, exchange, select
from readers.cards.desfire import authenticated
from readers.cards.dialogue import Dialogue, DialogueSession, Random
from readers.cards.ev2 import READ_FILE, Ev2Session
from readers.cards.proving import READ_KEY, RECORD_BYTES, UID_KEY, Asker, is_random, is_record_of
from readers.cards.session import CardKeys, CardTarget, Left, NotOurs, Verdict

APPLICATION: Final = bytes.fromhex("D2760000850101")
MARK_FILE: Final = 2
CREDENTIAL_FILE: Final = 3
_MARK_NAME: Final = b"sekisho.invalid:card"


def mark_of(application: bytes) -> bytes:
    """The NDEF file of our cards: one external record (NFC Forum RTD, TNF 4) that names the site's application."""
    record = bytes((0xD4, len(_MARK_NAME), len(application))) + _MARK_NAME + application
    return len(record).to_bytes(2, "big") + record


def read_plain(file: int, size: int) -> Dialogue[bytes | None]:
    """The first `size` bytes of a file that anybody may read, outside of any session."""
    answer = yield from call(READ_FILE, bytes((file,)) + bytes(3) + size.to_bytes(3, "little"))
    return answer.body if answer.word == OK and len(answer.body) == size else None


def ntag424_session(target: CardTarget, keys: CardKeys, random: Random, application: bytes) -> DialogueSession[Verdict]:
    """One authentication; `application` is the site's, in the card's mark."""
    asker = Asker(target=target, keys=keys, random=random, application=application)
    return DialogueSession(ntag424(asker), Left())


def ntag424(asker: Asker) -> Dialogue[Verdict]:
    """The dialogue of `ntag424_session`."""
    selected = yield from exchange(select(APPLICATION))
    if selected.word != ISO_OK or not asker.keys.versions("ntag424_read"):
        return NotOurs()
    mark = mark_of(asker.application)
    if (yield from read_plain(MARK_FILE, len(mark))) != mark:
        return NotOurs()
    number: bytes | None = asker.target.number
    if is_random(asker.target.number):
        number = yield from told_number(asker)
        if number is None:
            return asker.failed("ntag424", asker.target.number)
    assert number is not None
    session, version = yield from authenticated(asker, "desfire_ev2", "ntag424_read", READ_KEY, number)
    if not isinstance(session, Ev2Session):
        return asker.failed("ntag424", number)
    content = yield from session.read(CREDENTIAL_FILE, RECORD_BYTES)
    if not is_record_of(content, number):
        return asker.failed("ntag424", number)
    return asker.proved("ntag424", number, version)


def told_number(asker: Asker) -> Dialogue[bytes | None]:
    """The real UID of a card that shows a random one."""
    session, _ = yield from authenticated(asker, "desfire_ev2", "desfire_uid", UID_KEY, b"")
    return (yield from session.card_number()) if isinstance(session, Ev2Session) else None
