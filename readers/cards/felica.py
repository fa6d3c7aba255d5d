"""FeliCa Lite-S with our record and card key: it proves itself by MAC_A over our challenge, and is proved to.

Commands are whole FeliCa commands without their length byte. A card without our record is not ours. Its key is triple
DES with two keys, of the older kind: see docs/wire/cards.md for what that is worth.
"""

from __future__ import annotations

import hmac
from typing import Final

from readers.cards.dialogue import Dialogue, DialogueSession, Random, ask
from readers.cards.felica_mac import MAC_A, MAC_BYTES, FelicaMacs
from readers.cards.proving import Asker, candidates
from readers.cards.session import CardKeys, CardTarget, Left, NotOurs, Verdict

SYSTEM_CODE: Final = bytes.fromhex("88B4")
RECORD: Final = 0x00
"""S_PAD0: the site's record."""
CHALLENGE: Final = 0x80
ID: Final = 0x82
DEVICE_ID: Final = 0x83
KEY_VERSION: Final = 0x86
CARD_KEY: Final = 0x87
MEMORY: Final = 0x88
WRITE_COUNT: Final = 0x90
STATE: Final = 0x92
BLOCK: Final = 16
IDM_BYTES: Final = 8
AUTHENTICATED: Final = b"\x01" + bytes(15)
_PROVING: Final = bytes((RECORD, ID, WRITE_COUNT, MAC_A))


def record_block(application: bytes) -> bytes:
    """The record that makes a card one of the site's."""
    return (b"SEKISHO\x01" + application).ljust(BLOCK, b"\0")


def read(idm: bytes, blocks: bytes) -> Dialogue[list[bytes] | None]:
    """Read Without Encryption of up to 4 blocks; None where the card refuses or answers something else."""
    listed = b"".join(bytes((0x80, number)) for number in blocks)
    answer = yield from ask(b"\x06" + idm + b"\x01\x0b\x00" + bytes((len(blocks),)) + listed)
    head = b"\x07" + idm + b"\0\0" + bytes((len(blocks),))
    if not answer.startswith(head) or len(answer) != len(head) + BLOCK * len(blocks):
        return None
    return [answer[at : at + BLOCK] for at in range(len(head), len(answer), BLOCK)]


def write(idm: bytes, blocks: bytes, content: bytes) -> Dialogue[bool]:
    """Write Without Encryption; whether the card took it."""
    listed = b"".join(bytes((0x80, number)) for number in blocks)
    answer = yield from ask(b"\x08" + idm + b"\x01\x09\x00" + bytes((len(blocks),)) + listed + content)
    return answer == b"\x09" + idm + b"\0\0"


def write_with_mac(idm: bytes, macs: FelicaMacs, write_count: bytes, block: int, content: bytes) -> Dialogue[bool]:
    """A write that proves the reader: MAC_A beside the block, with WCNT in its second half."""
    mac = macs.mac_a_write(write_count, block, content) + write_count + bytes(5)
    return (yield from write(idm, bytes((block, MAC_A)), content + mac))


def felica_session(target: CardTarget, keys: CardKeys, random: Random, application: bytes) -> DialogueSession[Verdict]:
    """One mutual authentication."""
    asker = Asker(target=target, keys=keys, random=random, application=application)
    return DialogueSession(felica(asker), Left())


def felica(asker: Asker) -> Dialogue[Verdict]:
    """The dialogue of `felica_session`."""
    idm, known = asker.target.number, asker.keys.versions("felica_card")
    first = yield from read(idm, bytes((RECORD, KEY_VERSION)))
    if first is None or first[0] != record_block(asker.application) or not known:
        return NotOurs()
    challenge = asker.challenge()
    if not (yield from write(idm, bytes((CHALLENGE,)), challenge)):
        return asker.failed("felica_lite_s", idm)
    blocks = yield from read(idm, _PROVING)
    if blocks is None or blocks[0] != first[0] or blocks[1][:IDM_BYTES] != idm:
        return asker.failed("felica_lite_s", idm)
    for version in candidates(int.from_bytes(first[1][:2], "little"), known):
        key = asker.key("felica_card", version, idm)
        macs = FelicaMacs(key, challenge) if key is not None else None
        if macs is not None and is_maced(macs, _PROVING, blocks):
            if (yield from write_with_mac(idm, macs, blocks[2][:3], STATE, AUTHENTICATED)):
                return asker.proved("felica_lite_s", idm, version)
            break
    return asker.failed("felica_lite_s", idm)


def is_maced(macs: FelicaMacs, numbers: bytes, blocks: list[bytes]) -> bool:
    """Whether the last block is MAC_A over those before it."""
    expected = macs.mac_a_read(numbers, b"".join(blocks[:-1]))
    return hmac.compare_digest(expected, blocks[-1][:MAC_BYTES])
