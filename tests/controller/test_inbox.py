"""The one way into the deciding loop: bounded, never a wait, nothing lost without being counted."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator

import pytest

from controller.inbox import Inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    made = Inbox(events_max=4)
    yield made
    made.close()


def is_awake(inbox: Inbox, within_s: float = 0) -> bool:
    return bool(select.select([inbox], [], [], within_s)[0])


def test_what_comes_in_comes_out_in_order(inbox):
    """A door would be closed before it was opened."""
    for event in "abc":
        inbox.take(event)
    assert is_awake(inbox)
    assert inbox.drain() == (["a", "b", "c"], 0)
    assert not is_awake(inbox)


def test_a_full_inbox_refuses_at_once_and_says_how_many(inbox):
    """A flood on the broker would eat the memory, or nobody would hear that reads were lost."""
    assert [inbox.put(n) for n in range(7)] == [True] * 4 + [False] * 3
    assert inbox.drain() == ([0, 1, 2, 3], 3)
    assert inbox.put(8) and inbox.drain() == ([8], 0)


def test_an_outcome_of_our_own_is_always_taken_and_comes_first(inbox):
    """A grant whose record is on the disk would wait behind a flood, until it is too late to act on."""
    for n in range(9):
        inbox.put(n)
    inbox.put_report("committed")
    inbox.put_report("page")
    assert inbox.drain(2) == (["committed", "page", 0, 1], 5)
    inbox.put_report("again")
    assert inbox.drain(0) == (["again"], 0)
    assert inbox.drain() == ([2, 3], 0)


def test_what_a_drain_leaves_wakes_the_loop_again(inbox):
    """The last reads of a burst would wait for the next burst."""
    for n in range(4):
        inbox.put(n)
    assert inbox.drain(3) == ([0, 1, 2], 0)
    assert is_awake(inbox)
    assert inbox.drain(3) == ([3], 0)
    assert not is_awake(inbox)


@pytest.mark.parametrize("put", ["put", "take", "put_report", "wake"])
def test_every_way_in_wakes_a_loop_that_sleeps(inbox, put):
    """A card would be decided on at the next tick of a clock, or never."""
    arguments = () if put == "wake" else ("event",)
    thread = threading.Thread(target=getattr(inbox, put), args=arguments)
    thread.start()
    assert is_awake(inbox, 10)
    thread.join()


def test_threads_lose_nothing_between_them():
    """Two readers at once: one read would vanish uncounted."""
    inbox = Inbox(events_max=500)
    accepted: list[int] = []

    def flood(first: int) -> None:
        taken = [n for n in range(first, first + 2000) if inbox.put(n)]
        accepted.extend(taken)
        inbox.put_report(f"done {first}")

    threads = [threading.Thread(target=flood, args=(n * 2000,)) for n in range(4)]
    for thread in threads:
        thread.start()
    got: list[int] = []
    refused = done = 0
    while done < 4:
        assert is_awake(inbox, 10)
        waiting, more = inbox.drain(64)
        refused += more
        done += sum(isinstance(one, str) for one in waiting)
        got += [one for one in waiting if isinstance(one, int)]
    for thread in threads:
        thread.join()
    waiting, more = inbox.drain(1000)
    got, refused = got + waiting, refused + more
    inbox.close()
    assert sorted(got) == sorted(accepted) and len(got) + refused == 8000
    for n in range(4):
        mine = [one for one in got if n * 2000 <= one < (n + 1) * 2000]
        assert mine == sorted(mine)


def test_what_must_not_wait_goes_before_what_can(inbox):
    """A press of REX would wait behind a thousand reads."""
    inbox.put("read")
    inbox.put("press", is_first=True)
    assert inbox.drain(1) == (["press"], 0)
    assert inbox.drain(1) == (["read"], 0)
