"""Follows the ledger's tree for the witnesses: its newest checkpoint, proofs between any two sizes, and rotations.

It hashes what the controller streams and believes nothing else: a checkpoint whose root is not that of the leaves is
passed to nobody. A tree on disk that does not fit the ledger (an older disk put back, another future) is built anew.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from controller.link.client import LinkDown
from controller.link.messages import Record
from controller.link.notes import NoteError, parse_checkpoint, to_base64
from controller.link.tree import leaf_hash
from controller.streams.courier import Source
from controller.streams.cursor import replace_durably
from controller.streams.hash_file import HashFile
from controller.streams.world import World

TREE: Final = "tree.hashes"
RETRY_S: Final = 2.0
FAULT_RETRY_S: Final = 60.0
ROTATED: Final = '"type":"LEDGER_KEY_ROTATED"'

log = logging.getLogger(__name__)


class Unfit(Exception):
    """The tree on disk is not that of the ledger that answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest checkpoint of the ledger: the signed note, over `size` records."""

    note: str
    size: int


class Follower:
    """`run` is a thread's life; the rest may be asked by others meanwhile.

    Args:
        source: a connection of its own.
        folder: where the tree is kept.
        world: time and waiting.
    """

    def __init__(self, source: Source, folder: Path, world: World) -> None:
        self._source = source
        self._world = world
        self._tree = HashFile(folder / TREE)
        self._rotations_file = folder / "tree.rotations"
        self._rotations = _read(self._rotations_file)
        self._lock = threading.Lock()
        self._newest: Newest | None = None
        self._target = 0
        self._is_fresh = self._tree.size == 0
        self._is_from_disk = not self._is_fresh
        self._is_doubted = False

    # -- asked by those who speak to witnesses -------------------------------------------------------------------------

    def newest(self) -> Newest | None:
        """The newest checkpoint; None while the stream is still being caught up with."""
        with self._lock:
            return self._newest

    def consistency(self, old_size: int, new_size: int) -> list[str]:
        """The proof between two sizes, hashes in base64. OSError from the disk, ValueError where there is none."""
        with self._lock:
            if new_size > self._tree.size:
                raise ValueError("the tree was begun anew meanwhile")
            return [to_base64(one) for one in self._tree.consistency(old_size, new_size)]

    def rotations(self) -> list[bytes]:
        """Every change of the ledger's key so far, as a witness is told it (docs/ledger.md §8)."""
        with self._lock:
            return [msgspec.json.encode(one) for one in self._rotations]

    def doubt(self) -> bool:
        """Somebody was refused with a proof out of this tree. Whether it is built anew first: what came from the disk
        may have rotted where no checkpoint's root looks; what was built by this process has not.
        """
        with self._lock:
            if not self._is_from_disk:
                return False
            self._is_doubted, self._newest = True, None
        self._source.close()  # wakes whoever waits for the next record
        return True

    # -- its thread ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Follow until `wait` says to end."""
        while not self._world.wait(0):
            pause_s = self.session()
            self._source.close()
            if self._world.wait(pause_s):
                break
        self._source.close()
        self.close()

    def session(self) -> float:
        """One connection, to its end. How many seconds to wait before the next."""
        try:
            self._follow()
        except LinkDown as down:
            log.warning("witnesses: %s", down)
        except Unfit as unfit:
            was_fresh = self._is_fresh
            self._begin_anew()
            if was_fresh:
                log.warning("witnesses: %s: the ledger contradicts itself; run sekisho verify", unfit)
                return FAULT_RETRY_S
            log.warning("witnesses: %s: the tree is built anew", unfit)
            return 0.0
        except Exception:  # the thread's rim: without it no witness is asked any more, and nobody is told why
            log.exception("witnesses: a mistake of ours, or a disk that fails")
            return FAULT_RETRY_S
        return RETRY_S

    def close(self) -> None:
        """Close the tree's file."""
        with self._lock:
            self._newest = None
            self._tree.close()

    def _follow(self) -> None:
        welcome = self._source.connect()
        if self._is_doubted:
            raise Unfit("a witness does not know what it proves")
        if welcome.size < self._tree.size:
            raise Unfit(f"the ledger has {welcome.size} records, and the tree {self._tree.size}")
        self._target = welcome.size
        for message in self._source.stream(max(0, self._tree.size - 1)):
            if isinstance(message, Record):
                self.take(message)
            if self._world.wait(0):
                return

    def take(self, record: Record) -> None:
        """The next record of the stream; the first one may stand in the tree already. Raises Unfit, OSError."""
        leaf = leaf_hash(record.leaf.encode())
        with self._lock:
            if self._is_doubted:
                raise Unfit("a witness does not know what it proves")
            if record.seq == self._tree.size - 1:
                if self._tree.node(0, record.seq) != leaf:
                    raise Unfit(f"record {record.seq} is another one now")
            elif record.seq == self._tree.size:
                self._tree.append(leaf)
            else:
                raise LinkDown(f"record {record.seq} came where {self._tree.size} was next")
            if record.checkpoint is not None:
                self._closed(record, record.checkpoint)

    def _closed(self, record: Record, note: str) -> None:
        size = record.seq + 1
        is_rotation = record.body is not None and ROTATED in record.body
        if size < self._target and not is_rotation:
            return  # still catching up: the last root covers them all
        try:
            checkpoint = parse_checkpoint(note)
        except NoteError as error:
            raise Unfit(f"the checkpoint of record {record.seq}: {error}") from error
        if (checkpoint.size, checkpoint.root) != (size, self._tree.root()):
            raise Unfit(f"the checkpoint of record {record.seq} is not that of the records before it")
        if is_rotation:
            self._rotated(record, note, size)
        if size >= self._target:
            self._newest, self._is_fresh = Newest(note=note, size=size), False

    def _rotated(self, record: Record, note: str, size: int) -> None:
        if any(one["checkpoint"] == note for one in self._rotations):
            return
        proof = [to_base64(one) for one in self._tree.inclusion(record.seq, size)]
        told = {"checkpoint": note, "leaf": record.leaf, "salt": record.salt, "body": record.body, "proof": proof}
        self._rotations.append(told)
        replace_durably(self._rotations_file, msgspec.json.encode(self._rotations))

    def _begin_anew(self) -> None:
        with self._lock:
            self._tree.clear()
            self._newest, self._rotations, self._is_fresh = None, [], True
            self._is_from_disk = self._is_doubted = False
            self._rotations_file.unlink(missing_ok=True)


def _read(file: Path) -> list[dict[str, Any]]:
    """The rotations that were kept. Where they cannot be read a witness of ours names the key that it lacks."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[dict[str, Any]])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("%s: %s; delete tree.hashes and tree.rotations, and they are made anew", file, error)
        return []
