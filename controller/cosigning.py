"""What witnesses vouch for (docs/ledger.md §8): their lines taken, kept, told again; and who has fallen silent.

A line is taken from whoever brings it, because nothing about the bringer is believed: the checkpoint must be one that
this ledger wrote, the witness one of the site file's, the signature good. All of that is done in the committer's
thread, which alone touches the ledger. Silence is stored nowhere: it is the age of the first record that nobody
outside has vouched for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from controller.ledger.errors import LedgerError
from controller.ledger.store import Ledger
from controller.link.messages import AskCosigned, Cosign, Cosigned, Done, FromController, Refused, WitnessStanding
from controller.link.notes import (
    Checkpoint,
    NoteError,
    Signature,
    Vkey,
    cosigned_at,
    parse_checkpoint,
    parse_signature,
    witness_keys,
)

SILENT_MS: Final = 24 * 3_600_000
"""A record that no witness vouched for within a day: somebody must look after that witness."""

NOTES_MAX: Final = 64
NOTES_BYTES_MAX: Final = 256 * 1024
"""An answer holds at most so many cosigned checkpoints."""

TIME_S_MAX: Final = 4_102_444_800
"""The year 2100. A witness that says a later one is broken, or its key is stolen."""

FIRST_BODIES_MAX: Final = 64
"""So far is looked for a record that still says when it was made."""


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """What one witness vouches for: the first `size` records, at `at_ms` by its clock (0: nothing yet).
    `open_since_ms`: when the first record after those was made, None while there is none.
    """

    witness: str
    size: int = 0
    at_ms: int = 0
    open_since_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attended:
    """The answer to a session, and what its witnesses vouch for now where that has grown."""

    session: int
    answer: FromController
    vouched: tuple[Vouched, ...] = ()


def attend(session: int, message: Cosign | AskCosigned, ledger: Ledger, vkeys: Sequence[Vkey]) -> Attended:
    """Answer a session's message out of the ledger, in the committer's thread. Raises nothing."""
    try:
        if isinstance(message, AskCosigned):
            return Attended(session=session, answer=_told(message, ledger))
        return _taken(session, message, ledger, vkeys)
    except NoteError as error:
        answer = Refused(id=message.id, code="not_ours", why=str(error))
    except LedgerError as error:
        answer = Refused(id=message.id, code="ledger_unavailable", why=str(error))
    return Attended(session=session, answer=answer)


def vouched_in(ledger: Ledger, vkeys: Sequence[Vkey]) -> tuple[Vouched, ...]:
    """What each witness of the site file vouches for, by the lines that the ledger keeps. LedgerUnavailable,
    LedgerDamaged.
    """
    newest = {vkey: Vouched(witness=vkey.name) for vkey in vkeys}
    for vkey in vkeys:
        found = ledger.last_cosigned(vkey.name)
        if found is not None:
            note, line = found
            newest[vkey] = _vouched(note, vkey, line) or newest[vkey]
    return tuple(replace(one, open_since_ms=_made_at_ms(ledger, one.size)) for one in newest.values())


class WitnessWatch:
    """How the witnesses of `keys` stand, kept up by the loop."""

    def __init__(self, keys: Sequence[Vkey], vouched: Sequence[Vouched]) -> None:
        self.keys = tuple(keys)
        self._vouched = {one.witness: one for one in vouched}

    def grown(self, size: int, now_ms: int) -> None:
        """The ledger has `size` records: those that nobody vouches for yet age from now on."""
        for name, one in self._vouched.items():
            if one.open_since_ms is None and size > one.size:
                self._vouched[name] = replace(one, open_since_ms=now_ms)

    def vouched(self, found: Sequence[Vouched]) -> None:
        """A witness's line was kept; an older one than the newest changes nothing."""
        for one in found:
            if one.witness in self._vouched and one.size >= self._vouched[one.witness].size:
                self._vouched[one.witness] = one

    def standings(self, now_ms: int) -> tuple[WitnessStanding, ...]:
        """How each stands at `now_ms`, by name."""
        return tuple(
            WitnessStanding(
                name=one.witness,
                size=one.size,
                at_ms=one.at_ms,
                is_silent=one.open_since_ms is not None and now_ms - one.open_since_ms > SILENT_MS,
            )
            for _, one in sorted(self._vouched.items())
        )


def watch_of(ledger: Ledger, vkeys: Sequence[str]) -> WitnessWatch:
    """How the witnesses of the site file stand at a start. NoteError: one of them is none.

    What cannot be read (a full disk, on which an older file could not be given its table) hinders no start: exits.
    """
    keys = witness_keys(vkeys)
    try:
        return WitnessWatch(keys, vouched_in(ledger, keys))
    except LedgerError as error:
        log.warning("what witnesses signed cannot be read: %s", error)
        return WitnessWatch(keys, [Vouched(witness=key.name) for key in keys])


def _taken(session: int, message: Cosign, ledger: Ledger, vkeys: Sequence[Vkey]) -> Attended:
    """Keep the lines of our witnesses under a checkpoint of ours. Raises NoteError where it is not ours or has none."""
    checkpoint = parse_checkpoint(message.note)
    _check_ours(checkpoint, ledger)
    known = [(vkey, one) for one in checkpoint.signatures for vkey in vkeys if one.is_of(vkey)]
    if not known:
        raise NoteError("no witness that the site file names ([ledger] witnesses) signed it")
    good = [(vkey, one, _time(checkpoint, vkey, one)) for vkey, one in known]
    for vkey, one, _ in good:
        ledger.add_cosignature(checkpoint.size, vkey.name, one.line)
    since_ms = _made_at_ms(ledger, checkpoint.size)
    vouched = tuple(
        Vouched(witness=vkey.name, size=checkpoint.size, at_ms=at_s * 1000, open_since_ms=since_ms)
        for vkey, _, at_s in good
    )
    return Attended(session=session, answer=Done(id=message.id, seq=checkpoint.size - 1), vouched=vouched)


def _check_ours(checkpoint: Checkpoint, ledger: Ledger) -> None:
    """Raises NoteError unless this ledger wrote that very text under its record."""
    found = ledger.read(checkpoint.size - 1, 1) if 0 < checkpoint.size <= ledger.size else []
    kept = found[0].checkpoint if found else None
    if kept is None or not kept.startswith(f"{checkpoint.text}\n".encode()):
        raise NoteError(f"this ledger wrote no such checkpoint of {checkpoint.size} records: it is another history's")


def _told(message: AskCosigned, ledger: Ledger) -> Cosigned:
    notes: list[str] = []
    left = NOTES_BYTES_MAX
    for _, checkpoint, lines in ledger.cosigned(max(0, message.from_size), NOTES_MAX):
        note = checkpoint + "".join(f"{line}\n" for line in lines)
        left -= len(note.encode())
        if notes and left < 0:
            break
        notes.append(note)
    return Cosigned(id=message.id, notes=tuple(notes))


def _vouched(note: str, vkey: Vkey, line: str) -> Vouched | None:
    """None where the line is of another key of that name, that the site file no longer names, or is damaged."""
    try:
        checkpoint = parse_checkpoint(note)
        at_s = _time(checkpoint, vkey, parse_signature(line))
    except NoteError:
        return None
    return Vouched(witness=vkey.name, size=checkpoint.size, at_ms=at_s * 1000)


def _time(checkpoint: Checkpoint, vkey: Vkey, signature: Signature) -> int:
    """When the witness signed, in seconds since 1970. Raises NoteError where it did not, or says an absurd time."""
    at_s = cosigned_at(checkpoint, vkey, signature)
    if at_s > TIME_S_MAX:
        raise NoteError(f"{vkey.name} says that it signed {at_s} seconds after 1970")
    return at_s


def _made_at_ms(ledger: Ledger, seq: int) -> int | None:
    """When the first record from `seq` on was made that still says so."""
    for record in ledger.read(seq, FIRST_BODIES_MAX):
        if (body := record.decoded()) is not None:
            return body.at_ms
    return None
