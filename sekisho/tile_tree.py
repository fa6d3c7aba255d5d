"""A ledger as a tree of files in the layout of C2SP `tlog-tiles` (docs/ledger.md §7): what any web server can serve.

Files only appear whole. A batch of tiles is written beside the tree, renamed into it, and the checkpoint moves last:
who reads at any moment finds a checkpoint and every tile of it. Nothing that was published is written again; a
ledger that does not grow out of it is refused.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from controller.link.notes import Checkpoint, NoteError, parse_checkpoint
from controller.link.proofs import HASH_BYTES, Node, subtree_root
from controller.link.tiles import bundle, grown, grown_root, node_of, tile_path, unbundle
from controller.link.tree import TILE_BITS, TILE_LEAVES, leaf_hash

CHECKPOINT: Final = "checkpoint"
PARTS: Final = ".new"
"""Where a batch is written before it is published; what is left of one is thrown away by the next."""

GROWN_KEPT: Final = 512


class TreeRefused(Exception):
    """The files are damaged, or of another history than the ledger; what to do."""


class TileTree:
    """The files under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def checkpoint(self) -> Checkpoint | None:
        """What was published last; None where nothing was. TreeRefused: it is no checkpoint."""
        path = self.folder / CHECKPOINT
        try:
            return parse_checkpoint(path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (NoteError, UnicodeDecodeError) as error:
            raise TreeRefused(f"{path}: {error}; write the tiles into a new directory") from error

    def hashes(self, level: int, number: int, width: int) -> bytes:
        """The hashes of a tile, out of a wider file where its own is gone. TreeRefused: they are not there."""
        return self._read(str(level), number, width, width * HASH_BYTES)[: width * HASH_BYTES]

    def entries(self, number: int, width: int) -> list[bytes]:
        """The leaves of a tile of level 0. TreeRefused: they are not there, or not those of the tile."""
        held = self._read("entries", number, width, 0)
        try:
            entries = unbundle(held)[:width]
        except ValueError as error:
            raise self._broken(self.folder / "tile/entries" / tile_path(number), str(error)) from error
        if b"".join(map(leaf_hash, entries)) != self.hashes(0, number, width):
            raise self._broken(self.folder / "tile/entries" / tile_path(number), "not the leaves of its tile")
        return entries

    def node(self, size: int) -> Node:
        """The nodes of the tree of the first `size` records, read as they are asked for."""

        @lru_cache(maxsize=GROWN_KEPT)
        def read_grown(level: int, number: int, width: int) -> bytes:
            return grown(self.hashes(level, number, width))

        return node_of(size, read_grown)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, for this program alone. TreeRefused: another one writes into it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TreeRefused(f"{self.folder}: another `sekisho ledger tiles` writes there; wait for it") from None
            yield
        finally:
            os.close(descriptor)

    def publish(self, files: dict[str, bytes], note: str) -> None:
        """Put `files` (by their paths below the folder) and then the checkpoint `note` in place. OSError."""
        parts = self.folder / PARTS
        shutil.rmtree(parts, ignore_errors=True)
        for name, content in {**files, CHECKPOINT: note.encode()}.items():
            path = parts / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        targets = [self.folder / name for name in files]
        for name, target in zip(files, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            (parts / name).replace(target)
        for folder in {one for target in targets for one in target.parents if one.is_relative_to(self.folder)}:
            _sync_folder(folder)  # a power cut must not leave the checkpoint without its tiles
        (parts / CHECKPOINT).replace(self.folder / CHECKPOINT)
        _sync_folder(self.folder)
        for name in [*files, PARTS]:  # of a tile that is full its narrower ones are not needed any more
            shutil.rmtree(self.folder / (name if name == PARTS else f"{name}.p"), ignore_errors=True)

    def _read(self, kind: str, number: int, width: int, bytes_min: int) -> bytes:
        folder = self.folder / "tile" / kind
        for name in dict.fromkeys((tile_path(number, width), tile_path(number))):
            with suppress(FileNotFoundError):
                held = (folder / name).read_bytes()
                if len(held) < bytes_min:
                    raise self._broken(folder / name, "too short")
                return held
        raise self._broken(folder / tile_path(number, width), "not there")

    @staticmethod
    def _broken(path: Path, what: str) -> TreeRefused:
        return TreeRefused(f"{path}: {what}; delete the directory and write the tiles again")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Growth:
    """A tree that grows leaf by leaf, from what was published on; it gathers the files that are new since the last
    `files()`.
    """

    def __init__(self, tree: TileTree, size: int) -> None:
        """Goes on after the first `size` records. TreeRefused where what is needed of them is damaged."""
        self.size = self._told = size
        self._rows: list[list[bytes]] = []  # of each level the hashes of the tile that is not full yet
        self._entries: list[bytes] = []
        self._full: dict[str, bytes] = {}
        level = 0
        while size >> (TILE_BITS * level):
            number, width = divmod(size >> (TILE_BITS * level), TILE_LEAVES)
            held = tree.hashes(level, number, width) if width else b""
            self._rows.append([held[at : at + HASH_BYTES] for at in range(0, len(held), HASH_BYTES)])
            if width and level == 0:
                self._entries = tree.entries(number, width)
            level += 1

    def add(self, leaf: bytes) -> None:
        """One more record. ValueError: a leaf that no bundle can hold."""
        self._entries.append(leaf)
        self._put(0, self.size // TILE_LEAVES, leaf_hash(leaf))
        self.size += 1

    def root(self) -> bytes:
        """Tree head over all records so far."""
        return subtree_root(node_of(self.size, lambda level, _n, _w: grown(b"".join(self._rows[level]))), 0, self.size)

    def files(self) -> dict[str, bytes]:
        """What is new, by path: full tiles, and the ends of today."""
        files, self._full = self._full, {}
        told, self._told = self._told, self.size
        for level, row in enumerate(self._rows):
            if row and (self.size >> (TILE_BITS * level)) != (told >> (TILE_BITS * level)):
                number = (self.size >> (TILE_BITS * level)) // TILE_LEAVES
                files[f"tile/{level}/{tile_path(number, len(row))}"] = b"".join(row)
        if self._entries and self.size != told:
            files[f"tile/entries/{tile_path(self.size // TILE_LEAVES, len(self._entries))}"] = bundle(self._entries)
        return files

    def _put(self, level: int, number: int, hash_: bytes) -> None:
        if level == len(self._rows):
            self._rows.append([])
        row = self._rows[level]
        row.append(hash_)
        if len(row) < TILE_LEAVES:
            return
        hashes = b"".join(row)
        row.clear()
        self._full[f"tile/{level}/{tile_path(number)}"] = hashes
        if level == 0:
            self._full[f"tile/entries/{tile_path(number)}"] = bundle(self._entries)
            self._entries.clear()
        self._put(level + 1, number // TILE_LEAVES, grown_root(grown(hashes)))
