"""Ledgers and a witness side by side: the product's own writer, and requests as a log's operator sends them."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

from controller.ledger.body import Draft
from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.store import StoredRecord
from controller.link.notes import ED25519, Vkey, parse_checkpoint, to_base64
from controller.link.proofs import consistency_proof, inclusion_proof
from controller.link.tree import leaf_hash, node_hash
from sekisho.witness import Witness
from sekisho.witness_folder import Folder
from sekisho.witness_http import Reply
from sekisho.witness_judge import request_body
from tests.controller.ledger.conftest import ORIGIN, START, Site
from zones.moment import Moment

SEED = b"made-up seed for tests, 32 bytes"
VKEY = Notary(origin=ORIGIN, key=SigningKey.from_seed(SEED)).vkey
OTHER_KEY = SigningKey.from_seed(b"another made-up seed of 32 bytes")
NAME = "witness.example/north"
NOON_MS = 1_795_000_000_000


class History:
    """One ledger that grows, and what can be said of it to a witness."""

    def __init__(self, folder: Path, site: Site | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.site = site or Site()
        self.ledger = self.site.opens(folder / "ledger.db")

    def grows(self, count: int = 1) -> History:
        """`count` commits of one record each."""
        for _ in range(count):
            self.ledger.append(self.site.drafts())
        return self

    def forked(self, folder: Path, seed: int = 2) -> History:
        """The same past in another folder, with a future of its own: an image of the disk, put to use."""
        self.ledger.close()
        folder.mkdir()
        for file in self.folder.glob("ledger.db*"):
            shutil.copy2(file, folder / file.name)
        self.ledger = self.site.opens(self.folder / "ledger.db")
        return History(folder, Site(seed))

    def close(self) -> None:
        self.ledger.close()

    @property
    def size(self) -> int:
        return self.ledger.size

    def record(self, seq: int) -> StoredRecord:
        return self.ledger.read(seq, 1)[0]

    def note(self, size: int | None = None) -> str:
        found = self.record((size or self.size) - 1).checkpoint
        assert found is not None
        return found.decode()

    def node(self, height: int, number: int) -> bytes:
        if height == 0:
            return leaf_hash(self.record(number).leaf)
        return node_hash(self.node(height - 1, 2 * number), self.node(height - 1, 2 * number + 1))

    def asks(self, old: int, size: int | None = None, note: str | None = None) -> bytes:
        """The request to sign the checkpoint of `size`, for a witness that knows `old` records."""
        size = size or self.size
        proof = [to_base64(one) for one in consistency_proof(self.node, min(old, size), size)]
        return request_body(old, proof, note or self.note(size))

    def rotates(self, new: SigningKey) -> None:
        """Two people have the ledger signed with another key from here on."""
        detail = {"id": "rotate-1", "old": self.ledger.notary.vkey, "officer2": "officer-02"}
        new_vkey = Notary(origin=ORIGIN, key=new).vkey
        self.ledger.hand_over(self._rotation(detail | {"new": new_vkey}), new)

    def asks_to_rotate(self, new: SigningKey, **changed: object) -> bytes:
        """One more record that says so, under a checkpoint of both keys (docs/ledger.md §9), as a request."""
        notary = Notary(origin=ORIGIN, key=new)
        detail = {"id": "rotate-1", "old": self.ledger.notary.vkey, "new": notary.vkey, "officer2": "officer-02"}
        self.ledger.append([self._rotation(detail)])
        record = self.record(self.size - 1)
        told = {
            "checkpoint": self.note() + notary.checkpoint(self.size, self.ledger.root).decode().rpartition("\n\n")[2],
            "leaf": record.leaf.decode(),
            "salt": record.salt.hex(),
            "body": record.body.decode(),
            "proof": [to_base64(one) for one in inclusion_proof(self.node, self.size - 1, self.size)],
        }
        return json.dumps(told | changed).encode()

    def _rotation(self, detail: dict[str, str]) -> Draft:
        now = Moment(at=START + timedelta(days=1), tick_ms=86_400_000)
        return self.site.scribe.draft("LEDGER_KEY_ROTATED", now=now, officer="officer-01", detail=detail)


class Desk:
    """A witness in its folder, whose clock the test sets; what it told is kept."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.told: list[str] = []
        self.now_ms = NOON_MS
        if not (folder / "state.json").exists():
            Folder.create(folder, NAME)
        self.starts()

    def starts(self) -> Desk:
        self.folder = Folder.hold(self.path)
        self.folder.trust([Vkey.parse(VKEY, ED25519)])
        self.witness = Witness(self.folder, lambda: self.now_ms, self.told.append)
        return self

    def restarts(self) -> Desk:
        self.folder.close()
        return self.starts()

    def close(self) -> None:
        self.folder.close()

    def signs(self, request: bytes) -> str:
        """The line that it gave for a request that it must grant."""
        reply = self.witness.add_checkpoint(request)
        assert reply.status == 200, reply
        return reply.body.removesuffix("\n")

    def refuses(self, request: bytes) -> tuple[int, str]:
        """Status and code of a request that it must not grant."""
        reply = self.witness.add_checkpoint(request)
        return code_of(reply)

    @property
    def size(self) -> int:
        return Folder.read(self.path).known[ORIGIN].size

    @property
    def evidence(self) -> list[str]:
        return [file.name.split("-")[1] for file in self.folder.evidence()]


def code_of(reply: Reply) -> tuple[int, str]:
    assert reply.status != 200, reply
    assert not any(line.startswith("—") for line in reply.body.splitlines()), "a refusal that is signed"
    return reply.status, reply.headers["Sekisho-Refused"]


def checkpoint_of(history: History, size: int | None = None):
    return parse_checkpoint(history.note(size))
