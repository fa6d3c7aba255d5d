"""A ledger whose end is damaged: kept, told, gone on from; and no right comes back by it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from controller.boot import start
from controller.config import Site, parse_site
from controller.history import load_policy
from controller.keys import load_keys
from controller.ledger.body import Scribe
from controller.ledger.errors import LedgerDamaged, LedgerRefused
from controller.ledger.file import WAL_BYTES
from controller.ledger.store import Ledger
from controller.policy_log import PolicyAt
from controller.set_aside import mend
from sekisho import verify
from tests.controller.test_boot import NO_WIRES, NOON, History, layout_edit, started, story
from zones.moment import Moment
from zones.people import Cardholder
from zones.policy import EMPTY

ORIGIN = "sekisho.example/gate"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return parse_site(NO_WIRES, tmp_path / "site.toml")


@pytest.fixture
def history(site: Site) -> Iterator[History]:
    """Two people, one of whom is ended by the last record."""
    made = History(site.state_dir)
    made.records("CONTROLLER_STARTED")
    made.edits(*layout_edit(site, EMPTY).puts)
    made.edits(Cardholder(id="h-1"), Cardholder(id="h-2"))
    made.records("REX", portal="front")
    made.edits(Cardholder(id="h-1", ended_on=NOON.date()))
    made.stores()
    yield made
    made.ledger.close()


@contextlib.contextmanager
def rows_of(history: History) -> Iterator[Callable[..., object]]:
    history.ledger.close()
    with contextlib.closing(sqlite3.connect(history.folder / "ledger.db", isolation_level=None)) as connection:
        yield connection.execute


def passes(history: History, count: int) -> None:
    """So many records in one commit."""
    history.ledger.append([history.scribe.draft("REX", now=history.now(), portal="front")] * count)


BODY = "UPDATE record SET body=CAST(replace(CAST(body AS TEXT), '\"v\":1', '\"v\":2') AS BLOB) WHERE seq=?"
CHECKPOINT = "UPDATE record SET checkpoint=x'00' WHERE seq=?"
LEAF = "UPDATE record SET leaf=x'7b7d' WHERE seq=?"
GONE = "UPDATE record SET checkpoint=NULL WHERE seq=?"


def ended(runtime: object) -> bool:
    return runtime._engine.policy.policy.cardholders["h-1"].ended_on is not None


@pytest.mark.req("A-27")
@pytest.mark.parametrize("how", [BODY, CHECKPOINT, LEAF, GONE], ids=["body", "checkpoint", "leaf", "no checkpoint"])
def test_a_right_that_was_taken_away_in_the_damaged_end_stays_away(site, history, how):
    """Whoever flips one bit on the disk would have his end lifted."""
    with rows_of(history) as run:
        run(how, (4,))
    with started(site) as runtime:
        told = story(runtime)
        assert [body.type for body in told[4:7]] == ["TAIL_SET_ASIDE", "POLICY_EDITED", "CONTROLLER_STARTED"]
        assert told[4].boot == told[5].boot not in {told[3].boot, told[6].boot}
        detail = told[4].detail
        assert (detail["first"], detail["count"]) == (4, 1) and "record 4" in detail["why"]
        assert ended(runtime) and told[5].detail["edit"]["puts"][0][1]["ended_on"]
        kept = site.state_dir / detail["file"]
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        log = kept.with_name(kept.name + "-wal")
        whole = kept.read_bytes() + (log.read_bytes() if log.exists() else b"")
        assert hashlib.sha256(whole).hexdigest() == detail["sha256"]
    with contextlib.closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM record").fetchone() == (5,)
    (site.state_dir / "site.db").unlink()  # the ledger alone tells the same
    with started(site) as runtime:
        assert ended(runtime)
        assert [body.type for body in story(runtime)].count("TAIL_SET_ASIDE") == 1
        vkey = runtime._committer._ledger.notary.vkey
    assert verify.main([str(site.state_dir / "ledger.db"), "--key", vkey]) == 0


def test_a_damaged_end_without_an_edit_needs_none(site, history):
    """Every damaged end would make a revision that nobody asked for."""
    history.records("REX", portal="front")
    history.records("REX", portal="front")
    with rows_of(history) as run:
        run(BODY, (5,))
    with started(site) as runtime:
        told = story(runtime)
        assert [body.type for body in told[5:7]] == ["TAIL_SET_ASIDE", "CONTROLLER_STARTED"]
        assert (told[5].detail["first"], told[5].detail["count"]) == (5, 2)
        assert ended(runtime)


@pytest.mark.req("A-27", "D-03")
def test_a_right_that_was_taken_away_stays_away_beside_an_older_ledger(site, history):
    """Somebody puts last week's ledger.db back from the backup, and whoever lost a right since has it again."""
    with rows_of(history) as run:
        run("DELETE FROM record WHERE seq >= ?", (4,))
    with started(site) as runtime:
        told = story(runtime)
        assert [body.type for body in told[4:7]] == ["TAIL_SET_ASIDE", "POLICY_EDITED", "CONTROLLER_STARTED"]
        assert (told[4].detail["first"], told[4].detail["count"]) == (4, 0)
        assert "site.db holds the edit of record 4" in told[4].detail["why"]
        assert ended(runtime)
        vkey = runtime._committer._ledger.notary.vkey
    (site.state_dir / "site.db").unlink()
    with started(site) as runtime:
        assert ended(runtime), "the ledger alone tells the same"
        assert [body.type for body in story(runtime)].count("TAIL_SET_ASIDE") == 1
    assert verify.main([str(site.state_dir / "ledger.db"), "--key", vkey]) == 0


def states(site: Site) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in site.state_dir.iterdir() if "ledger.db" in path.name}


def never(site: Site, history: History) -> None:
    (site.state_dir / "site.db").unlink()


def spoilt(site: Site, history: History) -> None:
    (site.state_dir / "site.db").write_bytes(b"not a database" * 100)


def changed(site: Site, history: History) -> None:
    with contextlib.closing(sqlite3.connect(site.state_dir / "site.db")) as connection:
        connection.execute("UPDATE cardholder SET ended_on=NULL")
        connection.commit()


def behind(site: Site, history: History) -> None:
    """As of before that end, which the damaged end still tells."""
    (site.state_dir / "site.db").unlink()
    keep, history.policy = history.policy, history.before
    history.stores()
    history.policy = keep


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (never, "missing"),
        (spoilt, "unreadable"),
        (changed, "the seal does not match"),
        (behind, "record 4 of the dama"),
    ],
)
def test_without_a_copy_that_can_be_believed_nobody_is_let_in_before_somebody_says_so(site, history, spoil, said):
    """Somebody who was ended would be let in because two files were damaged, and nobody had decided that."""
    keys = load_keys(site.state_dir, os.urandom)
    (history.folder / "site.db").unlink()
    history.before = _policy_before(history)
    history.stores()
    spoil(site, history)
    with rows_of(history) as run:
        run(CHECKPOINT, (4,))
    before = states(site)
    with pytest.raises(LedgerDamaged, match="--accept-set-aside") as caught:
        start(site)
    assert said in str(caught.value) and "record 4" in str(caught.value)
    assert states(site) == before
    assert keys.signer.public
    runtime = start(site, accept_set_aside=True)
    try:
        told = story(runtime)
        assert [body.type for body in told[4:7]] == ["TAIL_SET_ASIDE", "CONTROLLER_STARTED", "SITE_REBUILT"]
        assert told[4].detail["why"].startswith("accepted at the console")
        assert not ended(runtime)
    finally:
        runtime._link.close()
        runtime._committer._ledger.close()
        runtime._inbox.close()
        runtime._selector.close()


def _policy_before(history: History) -> PolicyAt:
    policy = PolicyAt()
    for record in history.ledger.read(0, 4):
        body = record.decoded()
        if body.type == "POLICY_EDITED":
            policy = policy.after(body.detail["edit"], record.seq)
    return policy


def test_an_end_that_was_kept_but_not_yet_gone_on_from_is_there_at_the_next_start(site, history):
    """A power cut between the copy and the record would leave a ledger that was shortened without a word."""
    with rows_of(history) as run:
        run(BODY, (4,))
    keys = load_keys(site.state_dir, os.urandom)
    for _ in range(2):
        with Ledger.open(site.state_dir / "ledger.db", keys.signer, ORIGIN, may_set_aside=True) as ledger:
            assert (ledger.size, ledger.damage.first, ledger.damage.count) == (4, 4, 1)
            assert [record.seq for record in ledger.scan()] == [0, 1, 2, 3]
            assert [record.seq for record in ledger.scan(is_backward=True)] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE tile SET hash=zeroblob(32)",
        "DELETE FROM record WHERE seq < 3",
        "DELETE FROM record WHERE seq >= 255",
        "UPDATE record SET leaf=x'7b7d' WHERE seq > 10",
    ],
)
def test_damage_further_back_is_refused_as_ever(site, history, damage):
    """A whole year of records could be set aside by changing one of them."""
    passes(history, 254 - history.ledger.size)
    passes(history, 1)
    passes(history, 45)
    with rows_of(history) as run:
        run(damage)
    with pytest.raises(LedgerDamaged, match="keep the file as it is"):
        start(site)
    assert not list(site.state_dir.glob("*.damaged-*"))


def test_the_tile_before_is_looked_at_where_the_last_one_has_no_whole_checkpoint(site, history):
    """The first records after a full tile would be the ones that stop a site."""
    passes(history, 256 - history.ledger.size)
    passes(history, 1)
    passes(history, 1)
    with rows_of(history) as run:
        run(BODY, (256,))
    with started(site) as runtime:
        detail = story(runtime)[256].detail
        assert (detail["first"], detail["count"]) == (256, 2)
        site_keys = load_keys(site.state_dir, os.urandom)
    with Ledger.open(site.state_dir / "ledger.db", site_keys.signer, ORIGIN) as ledger:
        assert ledger.size > 256


def mends(site: Site) -> None:
    """What a start does about a damaged end, and nothing else of it."""
    keys = load_keys(site.state_dir, os.urandom)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, ORIGIN, may_set_aside=True) as ledger:
        scribe = Scribe(node="gate", boot="b-9")
        now = Moment(at=NOON + timedelta(days=1), tick_ms=0)
        mended = mend(ledger, site.state_dir / "site.db", keys.seal, scribe, now, is_accepted=False)
        ledger.append([*mended.drafts, scribe.draft("CONTROLLER_STARTED", now=now)])


def is_cut_off(site: Site, at: int) -> bool:
    """Mend in a child that is killed at its `at`-th deed; False where it came to its end before."""
    child = os.fork()
    if child == 0:
        seen = 0

        def watch(event: str, arguments: object) -> None:
            nonlocal seen
            if event.startswith(("open", "os.", "sqlite3.connect", "subprocess")) and str(site.state_dir) in repr(
                arguments
            ):
                seen += 1
                if seen > at:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            mends(site)
            os._exit(0)
        finally:
            os._exit(9)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.req("A-27")
def test_a_start_that_is_killed_while_it_sets_aside_loses_no_word_of_it(site, history, tmp_path):
    """Records would be gone without a record, or a right come back, by pulling the plug at the right moment."""
    with rows_of(history) as run:
        run(BODY, (4,))
    whole = tmp_path / "whole"
    shutil.copytree(site.state_dir, whole)
    told = []
    for at in range(100):
        shutil.rmtree(site.state_dir)
        shutil.copytree(whole, site.state_dir)
        was_killed = is_cut_off(site, at)
        keys = load_keys(site.state_dir, os.urandom)
        with Ledger.open(site.state_dir / "ledger.db", keys.signer, ORIGIN, may_set_aside=True) as ledger:
            told.append(ledger.damage is None)
        if told[-1]:
            with Ledger.open(site.state_dir / "ledger.db", keys.signer, ORIGIN) as ledger:
                aside = ledger.read(4, 1)[0].decoded()
                assert aside.type == "TAIL_SET_ASIDE" and (site.state_dir / aside.detail["file"]).exists()
        else:
            mends(site)
        with Ledger.open(site.state_dir / "ledger.db", keys.signer, ORIGIN) as ledger:
            assert ledger.read(4, 1)[0].decoded().type == "TAIL_SET_ASIDE"
            assert load_policy(site.state_dir / "none", keys.seal, ledger)[0].policy.cardholders["h-1"].ended_on
        if not was_killed:
            break
    assert told == sorted(told) and set(told) == {False, True}


# -- the write-ahead log -----------------------------------------------------------------------------------------------


@pytest.fixture
def killed(site: Site, history: History, tmp_path: Path) -> Site:
    """As a kill leaves it: the log holds every record, the main file none of them."""
    whole = tmp_path / "whole"
    shutil.copytree(site.state_dir, whole)
    history.ledger.close()
    shutil.rmtree(site.state_dir)
    shutil.copytree(whole, site.state_dir)
    assert (site.state_dir / "ledger.db-wal").stat().st_size == WAL_BYTES
    return site


FRAME = 24 + 2048


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda held: held[:at] + bytes([held[at] ^ 1]) + held[at + 1 :]


@pytest.mark.req("A-27")
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (flip(5), "head of the write-ahead log"),
        (flip(17), "head of the write-ahead log"),
        (flip(32 + 3 * FRAME + 500), "frame 4 of the write-ahead log is damaged"),
        (lambda held: held[:20], "within its head"),
        (lambda held: held[: 32 + 6 * FRAME], "was cut off: records may have followed"),
        (lambda held: held[: 32 + 6 * FRAME + 99], "was cut off: records may have followed"),
        (lambda held: bytes(32) + held[32:], "head of the write-ahead log"),
    ],
)
def test_a_damaged_log_is_named_and_brings_no_right_back(killed, change, why):
    """SQLite would pass over the rest of the log without a word, and somebody's end with it."""
    log = killed.state_dir / "ledger.db-wal"
    log.write_bytes(change(log.read_bytes()))
    keys = load_keys(killed.state_dir, os.urandom)
    image = states(killed)
    with pytest.raises(LedgerDamaged, match=why):
        Ledger.open(killed.state_dir / "ledger.db", keys.signer, ORIGIN)
    for name, held in image.items():
        (killed.state_dir / name).write_bytes(held)
    with started(killed) as runtime:
        aside = next(body for body in story(runtime) if body.type == "TAIL_SET_ASIDE")
        assert why in aside.detail["why"] and ended(runtime)
    with Ledger.open(killed.state_dir / "ledger.db", keys.signer, ORIGIN) as ledger:
        assert load_policy(killed.state_dir / "none", keys.seal, ledger)[0].policy.cardholders["h-1"].ended_on


def test_what_a_kill_leaves_is_whole(killed):
    """Every kill would raise an alarm, and nobody would look at the next one."""
    with started(killed) as runtime:
        assert "TAIL_SET_ASIDE" not in [body.type for body in story(runtime)]
        assert ended(runtime)


def test_the_last_commit_of_a_power_cut_is_no_damage(killed):
    """A record that nobody was told of would be called lost."""
    log = killed.state_dir / "ledger.db-wal"
    held = bytearray(log.read_bytes())
    frames = [at for at in range(32, len(held), FRAME) if held[at + 8 : at + 16] == held[16:24]]
    held[frames[-1] + 300] ^= 1
    log.write_bytes(held)
    keys = load_keys(killed.state_dir, os.urandom)
    with Ledger.open(killed.state_dir / "ledger.db", keys.signer, ORIGIN) as ledger:
        assert ledger.size == 4


def test_another_databases_log_is_refused_and_left_alone(killed, tmp_path):
    """SQLite would play a stranger's pages into the ledger."""
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size=2048")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE recipes (name)")
        stranger = (tmp_path / "other.db-wal").read_bytes()
    log = killed.state_dir / "ledger.db-wal"
    log.write_bytes(stranger)
    image = states(killed)
    with pytest.raises(LedgerRefused, match="not the write-ahead log of this ledger"):
        start(killed)
    assert states(killed) == image
