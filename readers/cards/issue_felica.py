"""A blank FeliCa Lite-S becomes a credential of the site; its key is renewed; a credential is retired.

The card key goes over the air in clear, for the chip knows no other way: this is done at a desk where nobody listens,
and the key is that one card's. There is no originality signature: what is checked is that the chip's own tables agree
with each other and that it is as the factory left it. The lock (block MC) comes last and cannot be undone.
"""

from __future__ import annotations

from typing import Final

from readers.cards.aes import ZEROS
from readers.cards.dialogue import Dialogue
from readers.cards.felica import (
    AUTHENTICATED,
    CARD_KEY,
    CHALLENGE,
    DEVICE_ID,
    ID,
    IDM_BYTES,
    KEY_VERSION,
    MEMORY,
    RECORD,
    STATE,
    WRITE_COUNT,
    felica,
    is_maced,
    read,
    record_block,
    write,
    write_with_mac,
)
from readers.cards.felica_mac import MAC_A, FelicaMacs
from readers.cards.order import Issued, Order, Outcome, Refused, RefusedError, Retired, require
from readers.cards.proving import candidates
from readers.cards.session import Proved

_LITE_S: Final = 0xF1
"""PMm's second byte, the IC code (F0 is Lite, which cannot check the reader)."""
_OPEN: Final = 0xFF
_LOCKED: Final = 0x00
_PROVING: Final = bytes((ID, WRITE_COUNT, MAC_A))


def issue(order: Order) -> Dialogue[Outcome]:
    """Blank card to credential."""
    idm = order.target.number
    blocks = yield from read(idm, bytes((RECORD, DEVICE_ID, KEY_VERSION, MEMORY)))
    require(blocks, "wrong_type")
    assert blocks is not None
    order.check_versions(("felica_card",))
    require(blocks[1][IDM_BYTES + 1] == _LITE_S, "wrong_type")
    require(blocks[1][:IDM_BYTES] == idm, "uid_changed")
    is_ours = blocks[0] == record_block(order.application)
    if order.is_again and is_ours and blocks[3][2] != _OPEN:
        return (yield from rekey(order))  # the lock is the last step: all others are done
    require(blocks[3][2] == _OPEN, "already_ours" if is_ours else "not_blank")
    require(order.is_again or not is_ours, "interrupted")
    if not (yield from _answers_to(order, ZEROS)):
        require(order.is_again and is_ours, "not_blank")
        yield from _macs(order, _said(blocks[2]))  # begun before: it has a key of ours
    yield from _fill(order, blocks[3])
    return (yield from _verified(order))


def _said(block: bytes) -> int:
    return int.from_bytes(block[:2], "little")


def _version_block(version: int) -> bytes:
    return bytes((version,)).ljust(16, b"\0")


def _fill(order: Order, memory: bytes) -> Dialogue[None]:
    idm = order.target.number
    key, version = order.newest("felica_card", idm)
    for block, content in (
        (RECORD, record_block(order.application)),
        (CARD_KEY, key),
        (KEY_VERSION, _version_block(version)),
    ):
        require((yield from write(idm, bytes((block,)), content)))
    require((yield from _answers_to(order, key)), "not_verified")
    require((yield from write(idm, bytes((MEMORY,)), _locked(memory))))


def _locked(memory: bytes) -> bytes:
    """MC: S_PAD0 for reading only; system blocks locked; key and state only with MAC_A."""
    locked = bytearray(memory)
    locked[0] &= 0xFE
    locked[2] = _LOCKED
    locked[5] = locked[12] = 0x01
    return bytes(locked)


def _answers_to(order: Order, key: bytes) -> Dialogue[bool]:
    challenge = order.random(16)
    require((yield from write(order.target.number, bytes((CHALLENGE,)), challenge)))
    blocks = yield from read(order.target.number, _PROVING)
    return blocks is not None and is_maced(FelicaMacs(key, challenge), _PROVING, blocks)


def _macs(order: Order, said: int) -> Dialogue[tuple[FelicaMacs, int]]:
    """The MACs of a new challenge under the site's key that the card answers to, and that key's version."""
    idm, challenge = order.target.number, order.random(16)
    require((yield from write(idm, bytes((CHALLENGE,)), challenge)))
    blocks = yield from read(idm, _PROVING)
    require(blocks, "not_ours")
    assert blocks is not None
    for version in candidates(said, order.keys.versions("felica_card")):
        key = order.asker().key("felica_card", version, idm)
        macs = FelicaMacs(key, challenge) if key is not None else None
        if macs is not None and is_maced(macs, _PROVING, blocks):
            return macs, version
    raise RefusedError("not_ours")


def rekey(order: Order) -> Dialogue[Outcome]:
    """The card key to its newest version, by writes that prove the reader; the version's block comes second."""
    said = yield from _said_by_ours(order)
    key, newest = order.newest("felica_card", order.target.number)
    macs, version = yield from _macs(order, said)
    if version != newest:
        yield from _write_proved(order, macs, CARD_KEY, key)
        macs, _ = yield from _macs(order, newest)
    if version != newest or said != newest:
        yield from _write_proved(order, macs, KEY_VERSION, _version_block(newest))
    return (yield from _verified(order))


def retire(order: Order) -> Dialogue[Outcome]:
    """A key that nobody knows: the card proves nothing any more, for good."""
    said = yield from _said_by_ours(order)
    macs, _ = yield from _macs(order, said)
    yield from _write_proved(order, macs, CARD_KEY, order.random(16))
    return Retired(number=order.target.number, scheme="felica_lite_s")


def _said_by_ours(order: Order) -> Dialogue[int]:
    blocks = yield from read(order.target.number, bytes((RECORD, KEY_VERSION)))
    require(blocks is not None and blocks[0] == record_block(order.application), "not_ours")
    assert blocks is not None
    return _said(blocks[1])


def _write_proved(order: Order, macs: FelicaMacs, block: int, content: bytes) -> Dialogue[None]:
    """One write to a locked block: the reader proves itself first, then each write anew, over the count of writes."""
    for number, value in ((STATE, AUTHENTICATED), (block, content)):
        blocks = yield from read(order.target.number, bytes((WRITE_COUNT,)))
        require(blocks)
        assert blocks is not None
        require((yield from write_with_mac(order.target.number, macs, blocks[0][:3], number, value)))


def _verified(order: Order) -> Dialogue[Outcome]:
    verdict = yield from felica(order.asker())
    if isinstance(verdict, Proved) and verdict.proof.is_genuine:
        return Issued(number=verdict.number, scheme="felica_lite_s", key_version=verdict.proof.key_version)
    return Refused(why="not_verified")
