"""DESFire EV1 (AES), EV2 and EV3 with our own application: select, authenticate, read the credential file.

A card without our application is not ours. One that has it and cannot answer for it under any of the site's keys is
not genuine. A card with a random UID is first asked who it is, under the key that all cards share and that proves
nothing; then it proves itself under its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from readers.cards.apdu import OK, call
from readers.cards.dialogue import Dialogue, DialogueSession, Random
from readers.cards.ev1 import Ev1Session, authenticate_aes
from readers.cards.ev2 import GET_KEY_VERSION, Ev2Session, Fault, authenticate_ev2
from readers.cards.proving import (
    READ_KEY,
    RECORD_BYTES,
    UID_KEY,
    Asker,
    candidates,
    is_random,
    is_record_of,
)
from readers.cards.session import CardKeys, CardTarget, KeyPurpose, Left, NotOurs, Verdict

SELECT_APPLICATION: Final = 0x5A
CREDENTIAL_FILE: Final = 1

DesfireScheme: TypeAlias = Literal["desfire_ev1", "desfire_ev2"]
Session: TypeAlias = Ev1Session | Ev2Session


def desfire_session(
    target: CardTarget, keys: CardKeys, random: Random, application: bytes, schemes: Sequence[DesfireScheme]
) -> DialogueSession[Verdict]:
    """One authentication by the first of `schemes` that the card knows."""
    asker = Asker(target=target, keys=keys, random=random, application=application)
    return DialogueSession(desfire(asker, schemes), Left())


def desfire(asker: Asker, schemes: Sequence[DesfireScheme]) -> Dialogue[Verdict]:
    """The dialogue of `desfire_session`."""
    selected = yield from call(SELECT_APPLICATION, asker.application)
    if selected.word != OK or not asker.keys.versions("desfire_read"):
        return NotOurs()
    for scheme in schemes:
        verdict = yield from _proved_by(asker, scheme)
        if verdict is not None:
            return verdict
    return asker.failed(schemes[-1], asker.target.number)


def said_version(number: int) -> Dialogue[int | None]:
    """What version the card says that one of its keys has; it need not tell."""
    answer = yield from call(GET_KEY_VERSION, bytes((number,)))
    return answer.body[0] if answer.word == OK and len(answer.body) == 1 else None


def _proved_by(asker: Asker, scheme: DesfireScheme) -> Dialogue[Verdict | None]:
    """None where the card does not know this scheme."""
    number = asker.target.number
    if is_random(number):
        told = yield from _told_number(asker, scheme)
        if told is Fault.UNSUPPORTED:
            return None
        if not isinstance(told, bytes):
            return asker.failed(scheme, number)
        number = told
    session, version = yield from authenticated(asker, scheme, "desfire_read", READ_KEY, number)
    if session is Fault.UNSUPPORTED:
        return None
    if isinstance(session, Fault):
        return asker.failed(scheme, number)
    content = yield from session.read(CREDENTIAL_FILE, RECORD_BYTES)
    if not is_record_of(content, number):
        return asker.failed(scheme, number)
    return asker.proved(scheme, number, version)


def _told_number(asker: Asker, scheme: DesfireScheme) -> Dialogue[bytes | Fault]:
    session, _ = yield from authenticated(asker, scheme, "desfire_uid", UID_KEY, b"")
    if isinstance(session, Fault):
        return session
    return (yield from session.card_number()) or Fault.FAILED


def authenticated(
    asker: Asker, scheme: DesfireScheme, purpose: KeyPurpose, key_number: int, number: bytes
) -> Dialogue[tuple[Session | Fault, int | None]]:
    """A session under the first of the site's key versions that the card answers to, and that version."""
    said = yield from said_version(key_number)
    for version in candidates(said, asker.keys.versions(purpose)):
        key = asker.key(purpose, version, number)
        if key is None:
            continue
        authenticate = authenticate_ev2 if scheme == "desfire_ev2" else authenticate_aes
        session: Session | Fault = yield from authenticate(key, key_number, asker.challenge())
        if session is not Fault.FAILED:
            return session, version
    return Fault.FAILED, None
