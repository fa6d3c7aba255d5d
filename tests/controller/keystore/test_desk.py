"""The key desk: jobs in order, one answer each, off the deciding thread."""

from __future__ import annotations

import os
import queue
import shutil
import threading

import pytest

from controller.keystore.desk import KeyDesk
from controller.keystore.jobs import KeyJob, KeysStored
from controller.keystore.seals import FileSeal
from controller.keystore.store import KeyStore
from tests.controller.keystore.keys import GOOD, OTHER, TODAY, opened


class Work:
    """A desk with its answers."""

    def __init__(self, folder, *, jobs_max: int = 64):
        self.answers: queue.Queue[KeysStored] = queue.Queue()
        self.store = opened(folder)
        readers, schemes = ("rd-1", "rd-2"), ("ntag424",)
        self.desk = KeyDesk(
            self.store, self.answers.put, lambda: TODAY, readers=readers, schemes=schemes, jobs_max=jobs_max
        )

    def asks(self, act, **more) -> KeysStored:
        """One job, and what came of it."""
        self.desk.submit(KeyJob(act=act, **more))
        return self.answers.get(timeout=10)


@pytest.fixture
def work(tmp_path):
    found = Work(tmp_path / "keys")
    found.desk.start()
    yield found
    found.desk.stop()


@pytest.mark.req("B-20", "A-09")
def test_a_readers_key_from_proposal_to_a_custodian_who_left(work):
    """A reader would get a key that is nowhere kept, or keep one that somebody left with."""
    asked = work.asks("propose", reader="rd-1", order="order-1", custodians=("officer-01", "officer-02"))
    assert (asked.why, asked.job.order, len(asked.key)) == ("", "order-1", 16)
    assert asked.view.commissioned == frozenset()
    done = work.asks("confirm", reader="rd-1", identity="ab" * 32)
    assert (done.why, done.key, done.view.commissioned) == ("", None, {"rd-1"})
    assert (done.view.identities, done.view.custodians) == ({"rd-1": "ab" * 32}, {"officer-01", "officer-02"})
    assert work.asks("pin", reader="rd-1", identity="cd" * 32).view.identities == {"rd-1": "cd" * 32}
    assert work.asks("custodian_left", who="officer-02").view.due == {"rd-1"}
    assert work.asks("propose", reader="rd-1").view.due == {"rd-1"}
    assert work.asks("withdraw", reader="rd-1").view.due == {"rd-1"}
    work.asks("propose", reader="rd-1")
    assert work.asks("confirm", reader="rd-1").view.due == frozenset()
    assert "b" * 4 not in repr(asked.key and asked)
    assert asked.key.hex() not in repr(asked)


def test_a_card_key_is_rotated_and_retired(work):
    """An officer's order would be lost between the threads."""
    rotated = [work.asks("rotate", purpose="ntag424_read", custodians=("h-1",)) for _ in range(2)]
    assert [one.version for one in rotated] == [1, 2]
    assert work.asks("retire", purpose="ntag424_read", version=1).why == ""
    assert [(one.key, one.state, len(one.mark)) for one in work.desk.standings()] == [
        ("ntag424_read", "ACTIVE", 6),
        ("ntag424_read", "RETIRED", 6),
    ]


@pytest.mark.parametrize(
    ("act", "more", "said"),
    [
        ("confirm", {"reader": "rd-1"}, "no key is waiting"),
        ("pin", {"reader": "rd-1"}, "did not say who it is"),
        ("retire", {"purpose": "ntag424_read", "version": 3}, "no version 3"),
        ("rotate", {"purpose": "vault"}, "there is no key for"),
    ],
)
def test_what_is_refused_is_answered_and_the_next_job_done(work, act, more, said):
    """One wrong order would end the thread, and no key be kept any more."""
    assert said in work.asks(act, **more).why
    assert work.asks("propose", reader="rd-2").why == ""
    assert work.desk.is_alive


def test_a_disk_that_fails_is_told_and_the_key_not_given_out(work, tmp_path):
    """A reader would be sent a key that a restart forgets."""
    shutil.rmtree(tmp_path / "keys")
    asked = work.asks("propose", reader="rd-1")
    assert "No such file" in asked.why
    assert asked.key is None


def test_more_jobs_than_fit_are_refused_at_once(tmp_path):
    """A flood of orders would grow in memory until the machine stops."""
    work = Work(tmp_path / "keys", jobs_max=2)
    for _ in range(3):
        work.desk.submit(KeyJob(act="propose", reader="rd-1"))
    assert "too many" in work.answers.get(timeout=10).why
    work.desk.start()
    assert [work.answers.get(timeout=10).why for _ in range(2)] == ["", ""]
    work.desk.stop()


def test_counts_are_kept_now_and_then(tmp_path):
    """After a power cut nobody would know how many cards still come with the old key."""
    written = threading.Event()  # each write draws a content key

    def random(count):
        written.set()
        return os.urandom(count)

    store = KeyStore.open(tmp_path / "keys", FileSeal(tmp_path / "seal.key", random), random)
    store.rotate("ntag424_read", TODAY)
    written.clear()
    store.card_keys(application=b"\1\2\3").diversified("ntag424_read", 1, b"\4")
    desk = KeyDesk(store, lambda _: None, lambda: TODAY, flush_s=0.01)
    generation = store.generation
    desk.start()
    assert written.wait(10)
    desk.stop()
    assert store.generation == generation + 1


@pytest.mark.req("B-20")
def test_what_was_submitted_is_done_before_the_end(tmp_path):
    """A reader took its key, the controller was stopped in that moment, and the key would be lost."""
    work = Work(tmp_path / "keys")
    work.store.import_reader_key("rd-2", GOOD, TODAY)
    key = work.store.propose_reader_key("rd-1", TODAY)
    work.desk.submit(KeyJob(act="confirm", reader="rd-1"))
    work.desk.start()
    work.desk.stop()
    assert not work.desk.is_alive
    assert work.answers.get(timeout=10).why == ""
    assert "too many" in work.asks("propose", reader="rd-1").why
    again = opened(tmp_path / "keys")
    assert (again.reader_key("rd-1"), again.reader_key("rd-2")) == (key, GOOD)
    assert key != OTHER
    again.close()
