"""Checkpoints with witnesses' lines, as a running controller keeps them (docs/ledger.md §8)."""

from __future__ import annotations

from pathlib import Path

from controller.link.client import LinkClient, LinkDown
from controller.link.notes import Checkpoint, NoteError, Vkey, parse_checkpoint

PAGES_MAX = 64


def cosigned(socket: Path, name: str, from_size: int, size_max: int) -> list[Checkpoint]:
    """Those of `from_size` to `size_max` records, the oldest first; none where the controller cannot tell. `name`: this
    program. Nothing of them is checked.
    """
    found: list[Checkpoint] = []
    try:
        with LinkClient(socket, name) as client:
            for _ in range(PAGES_MAX):
                page = [parse_checkpoint(note) for note in client.cosigned(from_size)]
                found += [one for one in page if from_size <= one.size <= size_max]
                if not page or page[-1].size >= size_max or page[-1].size < from_size:
                    break
                from_size = page[-1].size + 1
    except (LinkDown, NoteError):
        pass  # a proof without witnesses is a proof; who demands them says so
    return found


def is_by(vkey: Vkey, checkpoint: Checkpoint) -> bool:
    """Whether it is a checkpoint of the ledger of `vkey`, well signed by that key."""
    try:
        return checkpoint.origin == vkey.name and checkpoint.by(vkey) is not None
    except NoteError:
        return False
