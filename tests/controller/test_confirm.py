"""controller/confirm.py: the second OFF and the alarm behind it, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.confirm import EARLY_MS, SLACK_MS, CannotReport, Confirmations, OffUnconfirmed, SecureAgain

AGAIN = SecureAgain(device="b", channel=1)


def released(for_ms: int = 1_000) -> Confirmations:
    """Board b, known to report, its first output released at tick 0."""
    confirmations = Confirmations(["b"])
    confirmations.released("b", 1, for_ms, 0)
    return confirmations


@pytest.mark.req("B-26")
def test_an_off_that_is_reported_is_the_end_of_it():
    """Every entry would raise an alarm."""
    confirmations = released()
    confirmations.reported("b", 1, True, 20)
    confirmations.reported("b", 1, False, 1_010)
    assert confirmations.deadline() is None and confirmations.due(10_000) == []


@pytest.mark.req("B-26")
def test_an_off_that_is_not_reported_is_sent_again_and_then_alarmed():
    """A strike that hangs would keep a door open all night, and nobody would know."""
    confirmations = released()
    confirmations.reported("b", 1, True, 20)
    assert confirmations.deadline() == 1_000 + SLACK_MS
    assert confirmations.due(1_000 + SLACK_MS - 1) == []
    assert confirmations.due(1_000 + SLACK_MS) == [AGAIN]
    confirmations.secured("b", 1, 1_000 + SLACK_MS)
    assert confirmations.deadline() == 1_000 + 2 * SLACK_MS
    assert confirmations.due(1_000 + 2 * SLACK_MS) == [OffUnconfirmed(device="b", channel=1, is_on=True)]
    assert confirmations.due(10**9) == [] and confirmations.deadline() is None


@pytest.mark.req("B-26")
def test_the_second_off_that_is_confirmed_alarms_nobody():
    """One lost byte would call the guard."""
    confirmations = released()
    assert confirmations.due(1_000 + SLACK_MS) == [AGAIN]
    confirmations.reported("b", 1, False, 1_100 + SLACK_MS)
    assert confirmations.due(10**9) == []


def test_a_device_that_falls_silent_during_a_pulse_is_alarmed_as_unknown():
    """A board torn off the wall while its strike is released would count as secured."""
    confirmations = released()
    confirmations.due(1_000 + SLACK_MS)
    assert confirmations.due(1_000 + 2 * SLACK_MS) == [OffUnconfirmed(device="b", channel=1, is_on=None)]


def test_a_device_that_cannot_report_is_named_once_and_alarms_nothing():
    """The log would drown in alarms of a board that can say nothing, or nobody would know that it cannot."""
    confirmations = Confirmations()
    for tick in (0, 10_000, 20_000):
        confirmations.released("mute", 1, 500, tick)
        confirmations.released("mute", 2, 500, tick)
    assert confirmations.due(30_000) == [CannotReport(device="mute")]
    confirmations.released("mute", 1, 500, 40_000)
    assert confirmations.due(50_000) == []


def test_a_device_is_known_to_report_from_its_first_word():
    """A board that can tell would be excused for ever because the site file does not say so."""
    confirmations = Confirmations()
    confirmations.released("b", 1, 1_000, 0)
    confirmations.reported("b", 1, True, 30)
    assert confirmations.due(1_000 + SLACK_MS) == [AGAIN]


def test_a_report_from_before_the_end_is_no_confirmation():
    """The read-back of the pulse before would vouch for this one."""
    confirmations = released(2_000)
    confirmations.reported("b", 1, False, 5)
    assert confirmations.waiting == {("b", 1)}
    confirmations.reported("b", 1, False, 2_000 - EARLY_MS)
    assert confirmations.waiting == frozenset()


def test_a_device_whose_own_timer_was_shorter_alarms_nobody():
    """Relays that tell changes alone, and drop earlier than we ask, would alarm at every entry."""
    confirmations = released(10_000)
    confirmations.reported("b", 1, True, 20)
    confirmations.reported("b", 1, False, 5_000)
    assert confirmations.due(10_000 + SLACK_MS) == [AGAIN]
    assert confirmations.due(10_000 + 2 * SLACK_MS) == []


def test_an_early_off_is_confirmed_early():
    """A door secured at once after somebody passed would alarm."""
    confirmations = released(10_000)
    confirmations.secured("b", 1, 700)
    assert confirmations.deadline() == 700 + SLACK_MS
    confirmations.reported("b", 1, False, 720)
    assert confirmations.waiting == frozenset()


def test_a_renewed_release_ends_later():
    """A portal in an unlocked mode would be sent OFF between two renewals."""
    confirmations = released(1_000)
    confirmations.released("b", 1, 1_000, 900)
    assert confirmations.due(1_000 + SLACK_MS) == []
    assert confirmations.due(1_900 + SLACK_MS) == [AGAIN]


@pytest.mark.req("B-26")
def test_an_output_that_is_on_without_a_release_is_sent_off_at_once():
    """Somebody who switches the board by its own page would hold a door open."""
    confirmations = Confirmations(["b"])
    confirmations.reported("b", 1, True, 500)
    assert confirmations.due(500) == [AGAIN]
    confirmations.reported("b", 1, True, 600)
    assert confirmations.due(500 + SLACK_MS) == [OffUnconfirmed(device="b", channel=1, is_on=True)]


STEP = st.tuples(
    st.sampled_from(["release", "secure", "on", "off"]),
    st.sampled_from([None, 1, 2]),
    st.integers(min_value=0, max_value=4_000),
)


@given(st.lists(STEP, max_size=40))
def test_no_release_is_ever_forgotten(steps):
    """Some sequence of orders and reports would leave an output on with nobody looking."""
    confirmations, tick = Confirmations(["b"]), 0
    said: dict[int | None, bool | None] = {}
    for what, channel, pause_ms in steps:
        tick += pause_ms
        confirmations.due(tick)
        match what:
            case "release":
                confirmations.released("b", channel, 1_000, tick)
                said[channel] = None
            case "secure":
                confirmations.secured("b", channel, tick)
            case _:
                confirmations.reported("b", channel, what == "on", tick)
                said[channel] = what == "on"
        assert confirmations.deadline() is None or confirmations.deadline() <= tick + 1_000 + SLACK_MS
    waiting = confirmations.waiting
    told = [one for n in (1, 2) for one in confirmations.due(tick + n * (1_000 + SLACK_MS))]
    alarmed = {(one.device, one.channel) for one in told if isinstance(one, OffUnconfirmed)}
    assert (
        alarmed == {(device, channel) for device, channel in waiting if said[channel] is not False}
        and confirmations.deadline() is None
    )
