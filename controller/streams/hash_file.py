"""The ledger's tree, kept beside the courier as one growing file of hashes, so that any two of its sizes can be proven
consistent from a few dozen reads (docs/witness.md §4).

The file holds the hash of every complete subtree in the order in which they become complete: 64 bytes a record. It is a
cache: it is rebuilt from the stream whenever it does not fit, so nothing is synced and nothing is lost with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from controller.link.proofs import HASH_BYTES, consistency_proof, inclusion_proof, subtree_root
from controller.link.tree import node_hash

UNFLUSHED_MAX: Final = 64 * 1024
"""So many bytes wait in memory at most, while a long stream is caught up with."""


class HashFile:
    """The tree over `size` leaves. Used by one thread at a time. Everything raises OSError where the disk fails."""

    def __init__(self, path: Path) -> None:
        """Open or create; a last record that was written in part is forgotten."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
        self._waiting = bytearray()
        self._begin(_size_of(os.fstat(descriptor).st_size // HASH_BYTES))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its leaf hash."""
        number, height = self.size, 0
        node = leaf
        self._waiting += node
        while number & 1:
            node = node_hash(self._edge.pop(), node)
            self._waiting += node
            number, height = number >> 1, height + 1
        self._edge.append(node)
        self.size += 1
        if len(self._waiting) >= UNFLUSHED_MAX:
            self._flush()

    def root(self, size: int | None = None) -> bytes:
        """Tree head over the first `size` leaves (None: all, out of memory, as each checkpoint asks)."""
        if size is not None or not self._edge:
            return subtree_root(self.node, 0, self.size if size is None else size)
        head = self._edge[-1]
        for left in self._edge[-2::-1]:
            head = node_hash(left, head)
        return head

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """RFC 9162 §2.1.4.1, for any two sizes up to `size`. ValueError where the old one is larger."""
        assert new_size <= self.size, "a proof is asked for what is there"
        return consistency_proof(self.node, old_size, new_size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 9162 §2.1.3.1, for any size up to `size`."""
        assert size <= self.size, "a proof is asked for what is there"
        return inclusion_proof(self.node, index, size)

    def node(self, height: int, number: int) -> bytes:
        """Hash of the complete subtree over the 2^height leaves from number · 2^height on."""
        self._flush()
        last_leaf = ((number + 1) << height) - 1
        place = _stored(last_leaf) + height
        found = os.pread(self._file.fileno(), HASH_BYTES, place * HASH_BYTES)
        if len(found) != HASH_BYTES:
            raise OSError(f"{self._file.name}: cut off at hash {place}")
        return found

    def clear(self) -> None:
        """Forget everything, to begin again from record 0."""
        self._waiting.clear()
        self._begin(0)

    def close(self) -> None:
        """Write what waits, and close. A second call does nothing."""
        if not self._file.closed:
            try:
                self._flush()
            finally:
                self._file.close()

    def _begin(self, size: int) -> None:
        self._file.truncate(_stored(size) * HASH_BYTES)
        self._file.seek(0, os.SEEK_END)
        self.size = size
        self._edge: list[bytes] = []
        begin = 0
        for height in reversed(range(size.bit_length())):
            if size >> height & 1:
                self._edge.append(self.node(height, begin >> height))
                begin += 1 << height

    def _flush(self) -> None:
        while self._waiting:
            written = self._file.write(self._waiting)
            del self._waiting[:written]


def _stored(leaves: int) -> int:
    """How many hashes stand in the file for the first `leaves` leaves: one for each complete subtree of them."""
    return 2 * leaves - leaves.bit_count()


def _size_of(hashes: int) -> int:
    """The most leaves whose hashes are all among the first `hashes`."""
    size = hashes // 2
    while _stored(size + 1) <= hashes:
        size += 1
    return size
