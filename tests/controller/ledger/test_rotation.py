"""A ledger's key is handed over in its own records: the new one is vouched for by the old one, and nobody else's is."""

from __future__ import annotations

import base64
import contextlib
import sqlite3
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.errors import LedgerDamaged, LedgerUnavailable
from controller.ledger.store import Ledger
from tests.controller.ledger.conftest import ORIGIN
from zones.moment import Moment

NOW = Moment(at=datetime(2026, 11, 2, tzinfo=UTC), tick_ms=0)
NEW = SigningKey.from_seed(b"another made-up seed of 32 bytes")
OTHER = SigningKey.from_seed(b"somebody else's seed of 32 bytes")


def vkey(key):
    return Notary(origin=ORIGIN, key=key).vkey


def rotation(site, old, new):
    detail = {"id": "r-1", "old": vkey(old), "new": vkey(new), "officer2": "officer-02"}
    return site.scribe.draft("LEDGER_KEY_ROTATED", now=NOW, officer="officer-01", detail=detail)


def opened(path, key, site, **how):
    return Ledger.open(path, key, ORIGIN, site.random.randbytes, **how)


def lines_of(checkpoint):
    """Public key hash and signature of each line, by the page (docs/ledger.md §2)."""
    text, _, signed = checkpoint.partition(b"\n\n")
    found = [base64.b64decode(line.rpartition(b" ")[2]) for line in signed.splitlines()]
    return text + b"\n", [(one[:4], one[4:]) for one in found]


@pytest.fixture
def rotated(site, path):
    """3 records by the old key, the rotation, 2 by the new one."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        assert ledger.hand_over(rotation(site, site.key, NEW), NEW) == 3
        assert ledger.notary.vkey == vkey(NEW)
        ledger.append(site.drafts(2))
    return path


@pytest.mark.req("A-27")
def test_both_keys_sign_the_checkpoint_that_hands_over_and_one_signs_the_next(site, rotated):
    """An auditor who has the old key could not come to the new one, or anybody could put his key in its place."""
    with opened(rotated, NEW, site) as ledger:
        text, signed = lines_of(ledger.read(3, 1)[0].checkpoint)
        assert text.split(b"\n")[1] == b"4"
        for key, (key_hash, signature) in zip((site.key, NEW), signed, strict=True):
            assert vkey(key).split("+")[1] == key_hash.hex()
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text)
        assert len(lines_of(ledger.read(5, 1)[0].checkpoint)[1]) == 1
        ledger.append(site.drafts())


def test_a_ledger_opens_with_the_key_that_came_last_alone(site, rotated):
    """Whoever keeps an old key, or brings one of his own, could write on."""
    for key in (site.key, OTHER):
        with pytest.raises(LedgerDamaged, match=r"another key than ours|by key"):
            opened(rotated, key, site)
    with opened(rotated, NEW, site) as ledger:
        assert ledger.size == 6


def test_a_chain_of_keys_within_one_tile_holds(site, rotated):
    """A second rotation in a month would lock the controller out."""
    with opened(rotated, NEW, site) as ledger:
        ledger.hand_over(rotation(site, NEW, OTHER), OTHER)
        ledger.append(site.drafts())
    with opened(rotated, OTHER, site) as ledger:
        assert ledger.size == 8
        ledger.append(site.drafts(300))
    with opened(rotated, OTHER, site) as ledger:
        assert ledger.size == 308


def test_the_successor_signs_where_the_record_was_written_and_not_before(site, path):
    """A rotation that was cut off would leave a ledger that neither key opens."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
    with opened(path, site.key, site, successor=NEW) as ledger:
        assert ledger.notary.vkey == vkey(site.key)
        ledger.hand_over(rotation(site, site.key, NEW), NEW)
    for _ in range(2):
        with opened(path, site.key, site, successor=NEW) as ledger:
            assert ledger.notary.vkey == vkey(NEW)
            ledger.append(site.drafts())


def strip_line(note, index):
    text, _, signed = note.partition(b"\n\n")
    lines = signed.splitlines(keepends=True)
    return text + b"\n\n" + b"".join(line for at, line in enumerate(lines) if at != index)


def swap_lines(note):
    text, _, signed = note.partition(b"\n\n")
    return text + b"\n\n" + b"".join(reversed(signed.splitlines(keepends=True)))


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    "change",
    [
        lambda note: strip_line(note, 0),
        lambda note: strip_line(note, 1),
        swap_lines,
        lambda note: note + note.partition(b"\n\n")[2],
        lambda note: note.replace(note.splitlines()[4][-8:-4], b"AAAA"),
        lambda note: note.replace(note.splitlines()[5][-8:-4], b"AAAA"),
    ],
    ids=["without the old", "without the new", "swapped", "four lines", "old one bad", "new one bad"],
)
def test_a_handover_that_not_both_signed_is_refused(site, path, change):
    """A thief with one of the keys would hand the ledger to himself."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts(3))
        ledger.hand_over(rotation(site, site.key, NEW), NEW)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        note = connection.execute("SELECT checkpoint FROM record WHERE seq=3").fetchone()[0]
        connection.execute("UPDATE record SET checkpoint=? WHERE seq=3", (change(note),))
    with pytest.raises(LedgerDamaged, match="record 3"):
        opened(path, NEW, site)


def test_a_record_that_names_other_keys_hands_nothing_over(site, path):
    """The ledger would say that another key came than the one that signs."""
    with site.opens(path) as ledger:
        ledger.append(site.drafts())
        for draft in (rotation(site, site.key, OTHER), rotation(site, OTHER, NEW), site.drafts()[0]):
            with pytest.raises(ValueError, match="names both"):
                ledger.hand_over(draft, NEW)
        assert (ledger.size, ledger.notary.vkey) == (1, vkey(site.key))


class TokenThatDies:
    """A made-up token: signs so often, and then no more."""

    def __init__(self, key, times):
        self.public, self._key, self.times = key.public, key, times

    def sign(self, message):
        self.times -= 1
        if self.times < 0:
            raise LedgerUnavailable("the token is away")
        return self._key.sign(message)


@pytest.mark.req("A-24")
def test_a_key_that_cannot_sign_leaves_the_ledger_as_it_was(site, path):
    """Records without a signature would stand in the ledger, or the ledger would not come back with the token."""
    token = TokenThatDies(site.key, 2)
    with opened(path, token, site) as ledger:
        ledger.append(site.drafts())
        ledger.append(site.drafts())
        for _ in range(3):
            with pytest.raises(LedgerUnavailable, match="token is away"):
                ledger.append(site.drafts())
        assert ledger.size == 2
        token.times = 100
        ledger.append(site.drafts())
    with site.opens(path) as ledger:
        assert ledger.size == 3
        site.finds_whole(ledger)
