"""Made-up records of a made-up site, and RFC 6962 written the slow way to hold the ledger against."""

from __future__ import annotations

import base64
import hashlib
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.ledger.body import Draft, Evidence, Scribe, Trace
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from zones.moment import Moment

ORIGIN = "sekisho.example/gate-1"
START = datetime(2026, 11, 2, 0, 0, tzinfo=UTC)


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word for word: `leaves` are the leaves' contents."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


class Site:
    """Opens ledgers of one key, and drafts."""

    def __init__(self, seed: int = 1) -> None:
        self.key = SigningKey.from_seed(b"made-up seed for tests, 32 bytes")
        self.random = random.Random(seed)
        self.scribe = Scribe(node="gate-1", boot="b-0001")
        self.count = 0

    def opens(self, path) -> Ledger:
        return Ledger.open(path, self.key, ORIGIN, self.random.randbytes)

    def drafts(self, count: int = 1, type_: str = "ACCESS_DENIED") -> list[Draft]:
        made = []
        for _ in range(count):
            self.count += 1
            now = Moment(at=START + timedelta(seconds=self.count), tick_ms=self.count * 1000)
            made.append(
                self.scribe.draft(
                    type_,
                    now=now,
                    outcome="DENIED",
                    reason="NO_NEED_TO_KNOW",
                    zone="lab-east",
                    portal="lab-east-1",
                    access_point="lab-east-1-in",
                    direction="entry",
                    cardholder=f"c-{self.count}",
                    evidence=Evidence(method="UID", factors=1, last4="9a3b"),
                    trace=Trace(passed=("D01", "D02"), failed=(("D09", "NO_NEED_TO_KNOW"),)),
                    detail={"device": "reader-east"} if type_ == "ACCESS_DENIED" else None,
                )
            )
        return made

    def finds_whole(self, ledger: Ledger) -> None:
        """All of docs/ledger.md §1-§2 for all records, from its text, with none of the writer's parts."""
        records = ledger.read(0, 1_000_000)
        assert [record.seq for record in records] == list(range(ledger.size))
        public = Ed25519PublicKey.from_public_bytes(self.key.public)
        edge: list[tuple[int, bytes]] = []  # (height, hash): a quick second tree, itself held against naive_root below
        for record in records:
            assert hashlib.sha256(record.salt + record.body).hexdigest() in record.leaf.decode()
            node = (0, hashlib.sha256(b"\x00" + record.leaf).digest())
            while edge and edge[-1][0] == node[0]:
                node = (node[0] + 1, hashlib.sha256(b"\x01" + edge.pop()[1] + node[1]).digest())
            edge.append(node)
            if record.checkpoint is None:
                continue
            head = edge[-1][1]
            for _, left in edge[-2::-1]:
                head = hashlib.sha256(b"\x01" + left + head).digest()
            text, signature = record.checkpoint.decode().split("\n\n")
            assert text == f"{ORIGIN}\n{record.seq + 1}\n{base64.b64encode(head).decode()}"
            public.verify(base64.b64decode(signature.split(" ")[2])[4:], f"{text}\n".encode())
        if records:
            assert records[-1].checkpoint is not None
            assert ledger.root == naive_root([record.leaf for record in records])


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def site_of():
    return Site


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture(scope="session")
def slow_root():
    return naive_root
