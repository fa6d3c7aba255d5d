"""What is ordered at the enrolment desk, what came of it, and what every personalisation checks first.

Owns the outcomes and their codes, the blank's check before any key of the site is used, and ChangeKey.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from readers.cards.aes import ZEROS, crc32, xor
from readers.cards.apdu import MORE, OK, call, parsed
from readers.cards.dialogue import Dialogue, DialogueSession, Random, ask
from readers.cards.ev2 import CONTINUE, Ev2Session, Fault, Mode, authenticate_ev2
from readers.cards.originality import NXP_KEYS, is_original
from readers.cards.proving import SERIAL_BYTES, Asker, candidates, is_random, record_of
from readers.cards.session import CardKeys, CardTarget, KeyPurpose
from readers.events import CardScheme

GET_VERSION: Final = 0x60
READ_SIGNATURE: Final = 0x3C
CHANGE_KEY: Final = 0xC4
SET_CONFIGURATION: Final = 0x5C
_SIGNATURE_READ: Final = frozenset({0x9100, 0x9190})
_NXP: Final = 0x04
_RANDOM_UID: Final = b"\x02"

RefusalCode: TypeAlias = Literal[
    "wrong_type",
    "uid_changed",
    "not_original",
    "not_blank",
    "already_ours",
    "interrupted",
    "not_ours",
    "no_key",
    "version_zero",
    "card_refused",
    "not_verified",
    "card_left",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The card is a credential now, and has proved it. `key_version`: None where the key pair is its own."""

    number: bytes
    scheme: CardScheme
    key_version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """The card can prove nothing any more."""

    number: bytes
    scheme: CardScheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was issued; `why` is a stable code (docs/wire/cards.md says what to do about each)."""

    why: RefusalCode


Outcome: TypeAlias = Issued | Retired | Refused


class RefusedError(Exception):
    """Ends a personalisation. Never leaves this package."""

    def __init__(self, why: RefusalCode) -> None:
        super().__init__(why)
        self.why: RefusalCode = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One card, one site, one act.

    `makers`: whose originality signature is accepted. `wants_random_uid`: the card is to show a random UID from now on;
    this cannot be undone. `is_again`: the card was begun before, and power was lost; what is ours on it is replaced.
    """

    target: CardTarget
    keys: CardKeys
    random: Random
    application: bytes
    makers: tuple[bytes, ...] = NXP_KEYS
    wants_random_uid: bool = False
    is_again: bool = False

    def asker(self) -> Asker:
        """The same card and site, to be asked for a proof."""
        return Asker(target=self.target, keys=self.keys, random=self.random, application=self.application)

    def newest(self, purpose: KeyPurpose, number: bytes) -> tuple[bytes, int]:
        """The key that the card is to have. Version 0 is the factory's, and would be mistaken for it."""
        self.check_versions((purpose,))
        version = self.keys.versions(purpose)[0]
        key = self.asker().key(purpose, version, number)
        if key is None:
            raise RefusedError("no_key")
        return key, version

    def check_versions(self, purposes: Iterable[KeyPurpose]) -> None:
        """The site has these keys, and none of them would be mistaken for the factory's."""
        for purpose in purposes:
            versions = self.keys.versions(purpose)
            if not versions:
                raise RefusedError("no_key")
            if versions[0] == 0:
                raise RefusedError("version_zero")

    def record(self, number: bytes) -> bytes:
        """A new credential record."""
        return record_of(number, self.random(SERIAL_BYTES))


def personalisation(dialogue: Dialogue[Outcome]) -> DialogueSession[Outcome]:
    """A dialogue with the face of a session, whose refusals are outcomes."""
    return DialogueSession(_told(dialogue), Refused(why="card_left"))


def _told(dialogue: Dialogue[Outcome]) -> Dialogue[Outcome]:
    try:
        return (yield from dialogue)
    except RefusedError as refused:
        return Refused(why=refused.why)


def require(is_done: object, why: RefusalCode = "card_refused") -> None:
    """Go no further unless this is so."""
    if is_done is None or is_done is False:
        raise RefusedError(why)


def checked_blank(order: Order, kind: int, majors: frozenset[int], purposes: Iterable[KeyPurpose]) -> Dialogue[bytes]:
    """The UID of a chip that is what it should be and signed by its maker: before any key of the site is used.

    `kind`, `majors`: of the hardware, as GetVersion tells them. `purposes`: the keys that the site must have, so that
    no card is begun that cannot be ended.
    """
    first = yield from call(GET_VERSION)
    order.check_versions(purposes)
    require(first.word == MORE and len(first.body) == 7, "wrong_type")
    require(first.body[0] == _NXP and first.body[1] == kind and first.body[3] in majors, "wrong_type")
    second = yield from call(CONTINUE)
    require(second.word == MORE and len(second.body) == 7, "wrong_type")
    third = yield from call(CONTINUE)
    require(third.word == OK and len(third.body) >= 14, "wrong_type")
    number = third.body[:7]
    require(not is_random(order.target.number), "not_blank")
    require(number == order.target.number, "uid_changed")
    signature = yield from call(READ_SIGNATURE, b"\0")
    is_read = signature.word in _SIGNATURE_READ
    require(is_read and is_original(number, signature.body, order.makers), "not_original")
    return number


def opened(order: Order, purpose: KeyPurpose, said: int | None, number: bytes) -> Dialogue[tuple[Ev2Session, int]]:
    """A session under the site's master key of this card (key 0), and its version."""
    asker = order.asker()
    for version in candidates(said, order.keys.versions(purpose)):
        key = asker.key(purpose, version, number)
        session = (yield from authenticate_ev2(key, 0, asker.challenge())) if key is not None else Fault.FAILED
        if isinstance(session, Ev2Session):
            return session, version
    raise RefusedError("not_ours")


def opened_blank(order: Order) -> Dialogue[Ev2Session | None]:
    """A session under key 0 as the factory set it (AES, all zeros)."""
    session = yield from authenticate_ev2(ZEROS, 0, order.random(16))
    return session if isinstance(session, Ev2Session) else None


def key_change(key: bytes, version: int, old: bytes | None) -> bytes:
    """ChangeKey's data field; `old` is None for the very key that the session was opened with."""
    if old is None:
        return key + bytes((version,))
    return xor(key, old) + bytes((version,)) + crc32(key)


Slot: TypeAlias = tuple[int, KeyPurpose]


def number_for(purpose: KeyPurpose, number: bytes) -> bytes:
    """What a key is diversified by: nothing for the one that all cards share."""
    return b"" if purpose == "desfire_uid" else number


def renew(order: Order, session: Ev2Session, number: bytes, slots: Iterable[Slot]) -> Dialogue[None]:
    """Bring these keys (none of them key 0) to their newest versions; those that have it are left alone."""
    for slot, purpose in slots:
        divided_by = number_for(purpose, number)
        key, version = order.newest(purpose, divided_by)
        present = yield from session.key_version(slot)
        require(present)
        assert present is not None
        if present == version:
            continue
        old = ZEROS if present == 0 else order.asker().key(purpose, present, divided_by)
        require(old, "not_ours")
        done = yield from session.call(Mode.FULL, CHANGE_KEY, bytes((slot,)), key_change(key, version, old))
        require(done)


def renew_own(session: Ev2Session, key: bytes, version: int, slot: int = 0) -> Dialogue[None]:
    """Change key 0, with which the session was opened: the session ends, and its answer bears no MAC."""
    command = session.command(Mode.FULL, CHANGE_KEY, bytes((slot,)), key_change(key, version, None))
    require(parsed((yield from ask(command))).word == OK)


def hide_number(session: Ev2Session) -> Dialogue[None]:
    """From now on the card shows a random UID. There is no way back."""
    require((yield from session.call(Mode.FULL, SET_CONFIGURATION, b"\0", _RANDOM_UID)))
