"""`sekisho ledger tiles`: a running controller's ledger as static tiles, and again what has been added since.

The records come over the link; every tree head that is published is signed by the controller's key and was recomputed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.link.client import LinkClient
from controller.link.messages import Record
from controller.link.notes import ED25519, Checkpoint, NoteError, Vkey, parse_checkpoint
from sekisho.cosigned import cosigned
from sekisho.spoken import Progress
from sekisho.tile_tree import Growth, TileTree, TreeRefused

BATCH_RECORDS: Final = 65_536
"""Published at least so often, so that a long first run goes on where it was cut off."""

PROGRESS_RECORDS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a run came to: records published before and now, and how many files are new."""

    was: int
    size: int
    files: int


def write_tiles(socket: Path, folder: Path, batch_records: int = BATCH_RECORDS) -> Written:
    """Bring the tiles under `folder` up to what the controller holds now; publish at least every `batch_records`.

    TreeRefused: the files are damaged, or the ledger has not grown out of them. LinkDown, OSError.
    """
    tree = TileTree(folder)
    with LinkClient(socket, "sekisho ledger tiles") as client, tree.held():
        welcome = client.connect()
        vkey = Vkey.parse(welcome.vkey, ED25519)
        was = tree.checkpoint()
        old_size = _checked_old(was, vkey, welcome.size)
        if welcome.size == 0:
            return Written(was=0, size=0, files=0)
        growth = Growth(tree, old_size)
        if was is not None and growth.root() != was.root:
            raise TreeRefused(f"{folder}: its tiles do not have the root hash of its checkpoint; delete it, and again")
        if was is not None and welcome.size == old_size:
            _same(client, was)
            done = Written(was=old_size, size=old_size, files=0)
        else:
            done = _grow(client, tree, growth, vkey, welcome.size, batch_records)
        _add_witnesses(socket, tree)
        return done


def _add_witnesses(socket: Path, tree: TileTree) -> None:
    """The checkpoint that was published, with the witnesses' lines that the controller has for it."""
    published = tree.checkpoint()
    assert published is not None, "something was published"
    for found in cosigned(socket, "sekisho ledger tiles", published.size, published.size):
        if found.text == published.text and found.note != published.note:
            tree.publish({}, found.note)


def _checked_old(was: Checkpoint | None, vkey: Vkey, size: int) -> int:
    if was is None:
        return 0
    if was.origin != vkey.name:
        raise TreeRefused(f"these are tiles of {was.origin}, and the controller's ledger is {vkey.name}")
    if was.size > size:
        raise TreeRefused(
            f"{was.size} records were published, and the ledger has only {size} now: it was rolled back or replaced. "
            "Keep this directory, it is evidence / 記録が巻き戻されています。このフォルダを証拠として保管してください"
        )
    return was.size


def _same(client: LinkClient, was: Checkpoint) -> None:
    """The ledger has not grown: it must still have the head that was published."""
    for message in client.stream(was.size - 1):
        if isinstance(message, Record):
            if message.checkpoint is None or not message.checkpoint.startswith(was.text + "\n"):
                raise _forked(was.size)
            return


def _grow(client: LinkClient, tree: TileTree, growth: Growth, vkey: Vkey, target: int, batch: int) -> Written:
    was = published = growth.size
    count, progress = 0, Progress()
    try:
        for message in client.stream(growth.size):
            if not isinstance(message, Record):
                continue
            if message.seq != growth.size:
                raise TreeRefused(f"record {growth.size} is missing: the controller sent {message.seq}")
            growth.add(message.leaf.encode())
            if growth.size % PROGRESS_RECORDS == 0:
                progress.show(f"{growth.size}/{target}")
            if message.checkpoint is None or (growth.size < target and growth.size - published < batch):
                continue
            if _is_head(message.checkpoint, growth, vkey, was):
                files = growth.files()
                tree.publish(files, message.checkpoint)
                published, count = growth.size, count + len(files)
            if growth.size >= target:
                break
    finally:
        progress.end()
    if published < target:
        raise TreeRefused(f"the last checkpoint is not signed by {vkey.text}; `sekisho verify` says more")
    return Written(was=was, size=published, files=count)


def _is_head(note: str, growth: Growth, vkey: Vkey, was: int) -> bool:
    """Whether a checkpoint is of all records so far and by the present key (not by one from before a rotation)."""
    try:
        checkpoint = parse_checkpoint(note)
        signature = checkpoint.by(vkey)
    except NoteError as error:
        raise TreeRefused(f"the checkpoint of {growth.size} records: {error}") from error
    if (checkpoint.size, checkpoint.root) != (growth.size, growth.root()):
        raise _forked(was)
    return signature is not None


def _forked(size: int) -> TreeRefused:
    return TreeRefused(
        f"the ledger does not begin with the {size} records that were published: it was rewritten. Keep this "
        "directory, it is evidence / 公開済みの記録と一致しません。このフォルダを証拠として保管してください"
    )
