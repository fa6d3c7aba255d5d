"""Bodies that retention drops are gone from the disk; everything else of the ledger stays as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from controller.ledger.body import Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.errors import LedgerUnavailable
from controller.ledger.store import Ledger
from tests.controller.conftest import NOON
from zones.moment import Moment

SCRIBE = Scribe(node="n", boot="b")


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.db", SigningKey.from_seed(bytes(32)), "sekisho.example/n") as made:
        made._run("PRAGMA synchronous=OFF")  # nobody will cut the power
        yield made


def fills(ledger: Ledger, commits: int, mark: str = "needle") -> None:
    for number in range(commits):
        now = Moment(at=NOON + timedelta(minutes=number), tick_ms=0)
        forced = [SCRIBE.draft("DOOR_FORCED", now=now, portal=f"{mark}-{number}", zone="z" * 400) for _ in range(4)]
        ledger.append([*forced, SCRIBE.draft("REX", now=now, portal=f"rex-{number}")])


def drops(ledger: Ledger, class_: str, first: int, last: int) -> int:
    count, at = 0, first
    while at <= last:
        gone, at = ledger.drop_bodies(class_, at, last, 50)
        count += gone
    return count


def on_disk(ledger: Ledger) -> bytes:
    return b"".join(path.read_bytes() for path in Path(ledger.path).parent.iterdir())


@pytest.mark.req("D-23", "E-15")
def test_only_what_was_named_goes(ledger):
    """A purge of entries would take alarms with it, or a checkpoint, and the ledger would not verify any more."""
    fills(ledger, 60)
    before, root = list(ledger.scan()), ledger.root
    assert drops(ledger, "alarm", 7, 201) == len([r for r in before if b'"alarm"' in r.leaf and 7 <= r.seq <= 201])
    assert drops(ledger, "alarm", 7, 201) == 0, "nothing is left to be done"
    for was, now in zip(before, ledger.scan(), strict=True):
        is_gone = b'"class":"alarm"' in was.leaf and 7 <= was.seq <= 201
        assert (now.seq, now.leaf, now.checkpoint) == (was.seq, was.leaf, was.checkpoint)
        assert (now.body, now.salt) == ((None, None) if is_gone else (was.body, was.salt))
    ledger.verify_tail()
    assert ledger.root == root


@pytest.mark.req("D-23")
def test_nothing_of_it_is_left_in_the_file_or_its_log(ledger):
    """Whoever finds the card in the bin reads where people went, years after it was dropped."""
    fills(ledger, 60)
    assert on_disk(ledger).count(b'needle-7"') >= 4
    drops(ledger, "alarm", 0, 299)
    ledger.scrub()
    assert b"needle-" not in on_disk(ledger) and b"rex-7" in on_disk(ledger)
    fills(ledger, 1, mark="later")
    ledger.verify_tail()
    assert ledger.size == 305


@pytest.mark.req("D-23")
def test_room_that_became_free_is_written_into_again(ledger):
    """Bodies go and the file grows all the same, until the card is full and nobody is let in."""
    fills(ledger, 400)
    ledger.scrub()
    whole = ledger.path.stat().st_size
    drops(ledger, "alarm", 0, 1999)
    fills(ledger, 300)
    ledger.scrub()
    assert ledger.path.stat().st_size < whole * 1.1


@pytest.mark.req("E-15")
def test_a_disk_that_fails_takes_nothing(ledger):
    """Half of a slice would be gone, and the other half not."""
    fills(ledger, 20)
    before = list(ledger.scan())
    ledger._run("PRAGMA query_only=ON")
    with pytest.raises(LedgerUnavailable):
        ledger.drop_bodies("alarm", 0, 99, 200)
    ledger._run("PRAGMA query_only=OFF")
    assert list(ledger.scan()) == before
    fills(ledger, 1)
    ledger.verify_tail()
