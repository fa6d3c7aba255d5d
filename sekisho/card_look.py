"""What a card is, found out without changing it and without any master key of the site (complaint 12).

A card is first asked as at a door: only one that carries our application, mark or record is asked with its own proving
key. Then come questions that anybody may put: the chip's version, its maker's signature, the versions of its keys,
which applications it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from readers.cards.apdu import ISO_OK, MORE, OK, call, exchange, select
from readers.cards.desfire import SELECT_APPLICATION, said_version
from readers.cards.dialogue import Dialogue, DialogueSession
from readers.cards.ev2 import CONTINUE
from readers.cards.felica import DEVICE_ID, IDM_BYTES, KEY_VERSION, MEMORY, RECORD, read, record_block
from readers.cards.ntag424 import APPLICATION, MARK_FILE, mark_of, read_plain
from readers.cards.order import GET_VERSION, READ_SIGNATURE
from readers.cards.originality import is_original
from readers.cards.proving import is_random
from readers.cards.session import CardSession, CardTarget, Left, NotOurs, Proved, Verdict

NXP: Final = 0x04
_DESFIRE: Final = 0x01
_NTAG: Final = 0x04
_MAJORS: Final = {
    (_DESFIRE, 0x01): "MIFARE DESFire EV1",
    (_DESFIRE, 0x12): "MIFARE DESFire EV2",
    (_DESFIRE, 0x22): "MIFARE DESFire EV2",
    (_DESFIRE, 0x33): "MIFARE DESFire EV3",
    (_NTAG, 0x30): "NTAG 424 DNA",
}
_APPLICATIONS: Final = 0x6A
_PICC: Final = bytes(3)
_OPEN: Final = 0xFF
_LITE: Final = {0xF0: "FeliCa Lite", 0xF1: "FeliCa Lite-S"}
_UNKNOWN: Final = "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found. `verdict`: what came of asking it to prove itself; None where nothing could be asked.
    `key_versions`: as the card tells them, by the number of the key. `is_original`: its maker signed its number; None
    where there is no such signature to read. `is_blank`: as the shop sends it; None where that cannot be told.
    """

    chip: str = _UNKNOWN
    verdict: Verdict | None = None
    is_original: bool | None = None
    is_blank: bool | None = None
    key_versions: dict[int, int] = field(default_factory=dict)
    applications: int | None = None


def looked(
    target: CardTarget, session: CardSession | None, application: bytes, makers: tuple[bytes, ...]
) -> DialogueSession[Looked] | None:
    """Everything that can be asked of this card; None where its number is all that it tells."""
    if session is None and target.kind != "felica" and not target.is_iso_dep:
        return None
    return DialogueSession(_looked(target, session, application, makers), Looked(verdict=Left()))


def _looked(
    target: CardTarget, session: CardSession | None, application: bytes, makers: tuple[bytes, ...]
) -> Dialogue[Looked]:
    verdict = None if session is None else (yield from _asked(session))
    if isinstance(verdict, Left):
        return Looked(verdict=verdict)
    if target.kind == "felica":
        return (yield from _felica(target.number, verdict, application))
    if isinstance(verdict, Proved) and verdict.proof.scheme == "pkoc":
        return Looked(chip="PKOC", verdict=verdict)
    return (yield from _nxp(target, verdict, application, makers))


def _asked(session: CardSession) -> Dialogue[Verdict]:
    said: bytes | Verdict = session.begin()
    while isinstance(said, bytes):
        said = session.answer((yield said))
    return said


# -- DESFire and NTAG 424 DNA ------------------------------------------------------------------------------------------


def _nxp(
    target: CardTarget, verdict: Verdict | None, application: bytes, makers: tuple[bytes, ...]
) -> Dialogue[Looked]:
    is_ntag = (yield from exchange(select(APPLICATION))).word == ISO_OK
    if not is_ntag:
        yield from call(SELECT_APPLICATION, _PICC)
    first = yield from call(GET_VERSION)
    if first.word != MORE or len(first.body) != 7 or first.body[0] != NXP:
        return Looked(verdict=verdict)
    yield from call(CONTINUE)
    yield from call(CONTINUE)
    chip = _MAJORS.get((first.body[1], first.body[3]), _UNKNOWN)
    signed = None
    if not is_random(target.number):
        answer = yield from call(READ_SIGNATURE, b"\0")
        is_read = answer.word in {0x9100, 0x9190}
        signed = is_original(target.number, answer.body, makers) if is_read else None
    if first.body[1] == _NTAG:
        return (yield from _ntag(chip, verdict, signed, application))
    return (yield from _desfire(chip, verdict, signed, application))


def _ntag(chip: str, verdict: Verdict | None, signed: bool | None, application: bytes) -> Dialogue[Looked]:
    yield from exchange(select(APPLICATION))
    mark = mark_of(application)
    is_marked = (yield from read_plain(MARK_FILE, len(mark))) == mark
    versions = yield from _versions(range(5))
    is_blank = not is_marked and len(versions) == 5 and not any(versions.values()) if versions else None
    return Looked(chip=chip, verdict=verdict, is_original=signed, is_blank=is_blank, key_versions=versions)


def _desfire(chip: str, verdict: Verdict | None, signed: bool | None, application: bytes) -> Dialogue[Looked]:
    yield from call(SELECT_APPLICATION, _PICC)
    own = yield from said_version(0)
    listed = yield from call(_APPLICATIONS)
    count = len(listed.body) // 3 if listed.word == OK else None
    is_blank = None if count is None or own is None else (count == 0 and own == 0)
    versions: dict[int, int] = {}
    if (yield from call(SELECT_APPLICATION, application)).word == OK:
        versions = yield from _versions(range(3))
    return Looked(
        chip=chip,
        verdict=verdict,
        is_original=signed,
        is_blank=is_blank,
        key_versions=versions,
        applications=count,
    )


def _versions(slots: range) -> Dialogue[dict[int, int]]:
    found: dict[int, int] = {}
    for slot in slots:
        version = yield from said_version(slot)
        if version is not None:
            found[slot] = version
    return found


# -- FeliCa ------------------------------------------------------------------------------------------------------------


def _felica(idm: bytes, verdict: Verdict | None, application: bytes) -> Dialogue[Looked]:
    blocks = yield from read(idm, bytes((RECORD, DEVICE_ID, KEY_VERSION, MEMORY)))
    if blocks is None:
        return Looked(chip="FeliCa", verdict=verdict or NotOurs())
    chip = _LITE.get(blocks[1][IDM_BYTES + 1], "FeliCa")
    is_ours = blocks[0] == record_block(application)
    version = int.from_bytes(blocks[2][:2], "little")
    is_blank = blocks[3][2] == _OPEN and not is_ours and version == 0
    return Looked(chip=chip, verdict=verdict, is_blank=is_blank, key_versions={0: version})
