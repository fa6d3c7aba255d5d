"""A witness's folder: its key, what it signed last, and what it refused (docs/witness.md).

Whoever loses what he signed last signs a fork the next day. So the state is on the disk before a signature leaves,
whole or not at all; a folder whose state is away or damaged is refused, never begun anew; and one process at a time
holds it. Evidence is bounded: what strangers can fill has a smaller share of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from controller.ledger.checkpoint import SigningKey, sync_directory, write_durably
from controller.ledger.errors import KeyRefused
from controller.link.notes import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    NoteError,
    Vkey,
    cosign,
    cosigned_at,
    parse_checkpoint,
    parse_signature,
)
from sekisho.witness_judge import CONTRADICTIONS, Known, LedgerKey, Refused

VERSION: Final = 1
LEDGERS_MAX: Final = 256
EVIDENCE_MAX: Final = 1_000
OF_STRANGERS_MAX: Final = 50


class FolderRefused(Exception):
    """A folder that no witness can work with. The message says what to do."""


class Folder:
    """An open folder. `vkey` is the witness's; `known` by origin."""

    def __init__(
        self, path: Path, vkey: Vkey, known: dict[str, Known], *, key: SigningKey | None = None, lock: int | None = None
    ) -> None:
        """`key`, `lock`: of a folder that is held; who only looks has neither."""
        self.path = path
        self.vkey = vkey
        self.known = known
        self._key = key
        self._lock = lock

    @classmethod
    def create(cls, path: Path, name: str) -> Folder:
        """Make the folder, its key and an empty state. FolderRefused where there is one already; OSError."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (path / "state.json").exists():
            raise FolderRefused(f"{path}: there is a witness already; it is never replaced")
        try:
            key = SigningKey.create(path / "key.pem")
            vkey = Vkey(name=name, algorithm=COSIGNATURE, public=key.public)
            Vkey.parse(vkey.text, COSIGNATURE)  # a name that nobody could configure
        except (KeyRefused, NoteError) as error:
            raise FolderRefused(str(error)) from error
        made = cls(path, vkey, {})
        made._write({})
        return made

    @classmethod
    def read(cls, path: Path) -> Folder:
        """The folder as it stands, to look at. FolderRefused where it is none, or damaged."""
        file = path / "state.json"
        try:
            told = json.loads(file.read_bytes())
            if told["v"] != VERSION:
                raise FolderRefused(f"{file}: of version {told['v']}, and this program knows {VERSION}")
            vkey = Vkey.parse(told["vkey"], COSIGNATURE)
            known = [_known_of(one, vkey) for one in told["ledgers"]]
        except FileNotFoundError:
            why = "no witness is here, or it lost what it signed. A new place: sekisho witness init"
            raise FolderRefused(f"{file}: {why}. Never init a key anew that has signed") from None
        except OSError as error:
            raise FolderRefused(f"{file}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = "damaged. Put no older copy back: retire this witness, and init another one with another name"
            raise FolderRefused(f"{file}: {why} ({error!r:.200})") from error
        return cls(path, vkey, {one.origin: one for one in known})

    @classmethod
    def hold(cls, path: Path) -> Folder:
        """The folder with its key, held for this process alone. FolderRefused says what hinders."""
        try:
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderRefused(f"{path}: {error.strerror or error}; a new witness: sekisho witness init") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder = cls.read(path)
            key = SigningKey.load(path / "key.pem")
            if key.public != folder.vkey.public:
                raise FolderRefused(f"{path / 'key.pem'}: not the key of {folder.vkey.name}")
        except BlockingIOError:
            os.close(lock)
            raise FolderRefused(f"{path}: another process serves this witness") from None
        except KeyRefused as error:
            os.close(lock)
            raise FolderRefused(str(error)) from error
        except BaseException:
            os.close(lock)
            raise
        return cls(path, folder.vkey, folder.known, key=key, lock=lock)

    def close(self) -> None:
        """Let go of it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def trust(self, vkeys: Iterable[Vkey]) -> list[Vkey]:
        """Look after the ledgers of these keys too; those that were new. FolderRefused: too many. OSError: the disk."""
        known, new = dict(self.known), []
        for vkey in vkeys:
            of_it = known.get(vkey.name, Known(origin=vkey.name, keys=()))
            if vkey not in [key.vkey for key in of_it.keys]:
                known[vkey.name] = replace(of_it, keys=(*of_it.keys, LedgerKey(vkey=vkey)))
                new.append(vkey)
        if len(known) > LEDGERS_MAX:
            raise FolderRefused(f"{self.path}: a witness looks after at most {LEDGERS_MAX} ledgers")
        if new:
            self._keep(known)
        return new

    def sign(self, checkpoint: Checkpoint, at_s: int) -> str:
        """The witness's line under `checkpoint`, once the disk has it as the last one. OSError: nothing was signed."""
        assert self._key is not None, "whoever signs holds the folder"
        line = cosign(checkpoint, self.vkey, self._key.sign, at_s)
        last = replace(checkpoint, signatures=(*self._own(checkpoint), parse_signature(line)))
        self.keep(replace(self.known[checkpoint.origin], last=last, at_s=at_s))
        return line

    def keep(self, one: Known) -> None:
        """Keep what is known of one ledger, durably. OSError: what was known before stays known."""
        self._keep(self.known | {one.origin: one})

    def evidence(self) -> list[Path]:
        """What was refused, the oldest first."""
        return sorted((self.path / "evidence").glob("*.txt"))

    def keep_evidence(self, refused: Refused, request: bytes, origin: str, at: str) -> Path | None:
        """Keep a refused request as it came; None where the same one is there already, or there is no more room."""
        place = self.path / "evidence"
        place.mkdir(mode=0o700, exist_ok=True)
        mark = sha256(request).hexdigest()[:16]
        kept = self.evidence()
        of_ledger = [one for one in kept if one.name.split("-")[1] in CONTRADICTIONS]
        is_of_ledger = refused.code in CONTRADICTIONS
        count, most = (len(of_ledger), EVIDENCE_MAX) if is_of_ledger else (len(kept) - len(of_ledger), OF_STRANGERS_MAX)
        if count >= most or any(one.stem.endswith(mark) for one in kept):
            return None
        file = place / f"{at.replace(':', '').replace('-', '')}-{refused.code}-{mark}.txt"
        known = self.known.get(origin)
        signed = "" if known is None or known.last is None else known.last.note
        head = (
            f"{refused.code}: {refused.why}\nat: {at}\n\n-- this witness had signed --\n{signed}\n-- and was asked --\n"
        )
        write_durably(file, head.encode() + request)
        return file

    def _own(self, checkpoint: Checkpoint) -> list[Any]:
        """The ledger's own lines: what others signed is theirs to show."""
        return [one for one in checkpoint.signatures if one.name == checkpoint.origin]

    def _keep(self, known: dict[str, Known]) -> None:
        self._write(known)
        self.known = known

    def _write(self, known: dict[str, Known]) -> None:
        told = {"v": VERSION, "vkey": self.vkey.text, "ledgers": [_told(one) for one in known.values()]}
        partial = self.path / "state.new"
        partial.unlink(missing_ok=True)
        write_durably(partial, json.dumps(told, ensure_ascii=False, indent=1).encode())
        partial.replace(self.path / "state.json")
        sync_directory(self.path)


def _told(one: Known) -> dict[str, Any]:
    keys = [{"vkey": key.vkey.text} | ({} if key.until is None else {"until": key.until}) for key in one.keys]
    return {"origin": one.origin, "keys": keys, "note": "" if one.last is None else one.last.note}


def _known_of(told: dict[str, Any], vkey: Vkey) -> Known:
    """ValueError where what was kept is not what this witness signed."""
    origin, note = told["origin"], told["note"]
    keys = tuple(LedgerKey(vkey=Vkey.parse(key["vkey"], ED25519), until=key.get("until")) for key in told["keys"])
    if not note:
        return Known(origin=origin, keys=keys)
    last = parse_checkpoint(note)
    if last.origin != origin:
        raise NoteError(f"a checkpoint of {last.origin} under {origin}")
    return Known(origin=origin, keys=keys, last=last, at_s=cosigned_at(last, vkey, last.signatures[-1]))
