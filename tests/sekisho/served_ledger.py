"""A ledger of the product's own writer behind the product's own socket, and nothing else of a controller."""

from __future__ import annotations

import random
import selectors
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from controller.ledger.body import Draft, Scribe
from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.store import Ledger
from controller.link.messages import Cosigned, Done, Note, Refused, Status, Welcome
from controller.link.notes import COSIGNATURE, Vkey, cosign, parse_checkpoint
from controller.link.server import LinkServer
from controller.notes import complaint
from zones.moment import Moment

ORIGIN = "sekisho.example/gate-1"
WITNESS = Ed25519PrivateKey.from_private_bytes(b"a made-up witness, 32 bytes long")
WITNESS_VKEY = Vkey(name="witness.example/w", algorithm=COSIGNATURE, public=WITNESS.public_key().public_bytes_raw())
COSIGNED_AT_S = 1_800_000_000
SEED = b"made-up seed for tests, 32 bytes"
NOW = Moment(at=datetime(2026, 11, 2, tzinfo=UTC), tick_ms=0)


def drafts(count: int, who: str = "c-1") -> list[Draft]:
    """Made-up refusals of one made-up person; of nobody where `who` is empty."""
    scribe = Scribe(node="gate-1", boot="b-0001")
    one = scribe.draft("ACCESS_DENIED", now=NOW, outcome="DENIED", reason="NO_NEED_TO_KNOW", cardholder=who or None)
    return [one] * count


class ServedLedger:
    """The ledger in `folder`, served at `socket` by a thread of its own. It grows between questions."""

    def __init__(self, folder: Path, seed: bytes = SEED, *, die: int = 1, dies_at: int | None = None) -> None:
        """`dies_at`: the controller goes away when it is asked for that record."""
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "c.sock"
        self._path = folder / "ledger.db"
        self._key, self._die = SigningKey.from_seed(seed), die
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.vkey, self._dies_at = "", dies_at
        self.asked: list[Any] = []
        self.notes: list[str] = []

    def __enter__(self) -> ServedLedger:
        self.ledger = self.opened()
        self.vkey = self.ledger.notary.vkey
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(10)
        self.ledger.close()

    def opened(self) -> Ledger:
        return Ledger.open(self._path, self._key, ORIGIN, random.Random(self._die).randbytes)

    def grows(self, *commits: int, who: str = "c-1") -> None:
        """Records in commits of so many each."""
        with self._lock:
            for count in commits:
                self.ledger.append(drafts(count, who))

    def is_cosigned(self, seed: bytes | None = None) -> None:
        """A made-up witness signs the newest checkpoint; with `seed`, the one that another key signs of that tree."""
        notary = self.ledger.notary if seed is None else Notary(origin=ORIGIN, key=SigningKey.from_seed(seed))
        note = notary.checkpoint(self.ledger.size, self.ledger.root).decode()
        line = cosign(parse_checkpoint(note), WITNESS_VKEY, WITNESS.sign, COSIGNED_AT_S)
        self.notes.append(f"{note}{line}\n")

    def edits(self, *puts: Any) -> None:
        """A change of the registers, as a record holds it."""
        detail = {"id": "e-1", "edit": {"puts": list(puts), "drops": []}, "revision": "1" * 64, "base": "0" * 64}
        scribe = Scribe(node="gate-1", boot="b-0001")
        draft = scribe.draft("POLICY_EDITED", now=NOW, officer="o-1", detail={**detail, "signed": False})
        with self._lock:
            self.ledger.append([draft])

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        server: Any = None

        def take(session: int, message: Any) -> bool:
            server.send(session, self._answer(message))
            return True

        def tell_cosigned(session: int, message: Any) -> bool:
            known = [note for note in self.notes if int(note.split("\n")[1]) >= message.from_size]
            server.send(session, Cosigned(id=message.id, notes=tuple(known)))
            return True

        server = LinkServer(
            self.socket, selector, on_request=take, on_cosign=tell_cosigned, welcome=self._welcome,
            fetch=lambda session, seq, limit: server.page(session, seq, self._read(seq, limit), _tick()),
        )  # fmt: skip
        self._ready.set()
        while not self._stopping.is_set():
            server.grown(self.ledger.size)
            for key, mask in selector.select(0.005):
                key.data(mask, _tick())
            server.tick(_tick(), self._status)
        server.close()
        selector.close()

    def _answer(self, message: Any) -> Done | Refused:
        """A note is recorded; nothing else is known here."""
        self.asked.append(message)
        if not isinstance(message, Note) or (fault := complaint(message)) is not None:
            code = fault[0] if isinstance(message, Note) and fault is not None else "protocol"
            return Refused(id=message.id, code=code, why="not here")
        scribe = Scribe(node="gate-1", boot="b-0001")
        draft = scribe.draft("NOTE", now=NOW, cardholder=message.cardholder, officer=message.officer)
        with self._lock:
            return Done(id=message.id, seq=self.ledger.append([draft])[0])

    def _read(self, seq: int, limit: int) -> Any:
        if self._dies_at is not None and seq >= self._dies_at:
            self._stopping.set()
            return []
        with self._lock:
            return self.ledger.read(seq, limit)

    def _welcome(self) -> Welcome:
        return Welcome(node="gate-1", boot="b-0001", size=self.ledger.size, revision="0" * 64, vkey=self.vkey)

    def _status(self) -> Status:
        return Status(
            at_ms=0, boot="b-0001", size=self.ledger.size, revision="0" * 64, is_ledger_writable=True,
            is_clock_trusted=True, deviations=[], devices_offline=[],
        )  # fmt: skip


def _tick() -> int:
    return time.monotonic_ns() // 1_000_000
