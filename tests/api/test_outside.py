"""What was seen outside the site: witnesses that sign, refuse or are silent, and sinks that records do not reach."""

from __future__ import annotations

import time
from typing import Any

import pytest

import api.live
from api.words import ALARM_DOS, ALARMS, WITNESS_REFUSALS
from controller.link.messages import WITNESS_WHY

NORTH = "witness.example/north"


def standing(web: Any) -> set[tuple[str, str]]:
    """What is wrong now, whether or not somebody said what it was."""
    return {(one.kind, one.text) for one in api.live.alarms(web.parts.view)}


def alarms(web: Any, language: str = "ja") -> str:
    """What an officer is to see to, until he said what it was."""
    found: str = live(web, language).partition('<div class="columns">')[0]
    return found


def live(web: Any, language: str = "ja") -> str:
    """The part of the page that changes."""
    text: str = web.client.get("/live", params={"lang": language}).text
    return text


def stands(web: Any, **fields: Any) -> None:
    """The controller's next status says this of the witness."""
    web.controller.status = {"witnesses": [{"name": NORTH, **fields}]}
    until = time.monotonic() + 5
    size = fields.get("size", 0)
    while [one.size for one in (web.parts.view.live.status.witnesses if web.parts.view.live.status else ())] != [size]:
        assert time.monotonic() < until, "the status was not heard"
        web.controller.record("REX", portal="front")
        web.caught_up()


@pytest.mark.req("A-27")
def test_a_witness_that_refuses_is_an_alarm_until_it_signs_again(web: Any) -> None:
    """An old disk is put back, the controller starts, and by the next morning the page is calm."""
    web.controller.record("WITNESS_REFUSED", detail={"witness": NORTH, "code": "rollback", "size": 40})
    web.caught_up()
    assert ALARMS["WITNESS_REFUSED"]["ja"] in alarms(web)
    assert f"{ALARMS['WITNESS_REFUSED']['en']}: {NORTH}" in alarms(web, "en")
    assert "署名済みより少ない記録" in live(web), "and the row of events says which way"
    web.controller.record("CONTROLLER_STARTED")
    web.caught_up()
    assert ("WITNESS_REFUSED", NORTH) in standing(web), "a start does not end it"
    stands(web, size=39, at_ms=1_000)
    assert ("WITNESS_REFUSED", NORTH) in standing(web), "nor does an old signature"
    stands(web, size=41, at_ms=4_000_000_000_000)
    assert ("WITNESS_REFUSED", NORTH) not in standing(web)
    assert ALARMS["WITNESS_REFUSED"]["ja"] in alarms(web), "somebody says what it was, all the same"


@pytest.mark.req("A-27")
def test_how_far_somebody_outside_vouches_is_on_the_page(web: Any) -> None:
    """Nobody on shift would know whether anybody outside has ever looked."""
    web.controller.record("REX", portal="front")
    web.caught_up()
    assert "立会人" not in live(web)
    stands(web, size=813, at_ms=1_795_000_000_000)
    assert f"立会人の署名: 記録 812 まで、11/18 20:06 ({NORTH})" in live(web)
    assert f"Witness signed: records up to 812, 11/18 20:06 ({NORTH})" in live(web, "en")
    stands(web, size=0)
    assert f"立会人の署名: まだありません ({NORTH})" in live(web)
    assert ALARMS["witness_silent"]["ja"] not in alarms(web)
    stands(web, size=2, at_ms=5_000, is_silent=True)
    assert f"{ALARMS['witness_silent']['ja']}: {NORTH}" in alarms(web)


@pytest.mark.req("A-28")
def test_a_sink_that_is_lost_is_an_alarm_until_it_is_back(web: Any) -> None:
    """The archive has had nothing since spring, and the page is calm."""
    web.controller.record("SINK_LOST", detail={"sink": "archive", "why": "storage"})
    web.controller.record("SINK_LOST", detail={"sink": "siem", "why": "tls"})
    web.controller.record("CONTROLLER_STARTED")
    web.caught_up()
    assert {("SINK_LOST", "archive"), ("SINK_LOST", "siem")} <= standing(web)
    assert f"{ALARMS['SINK_LOST']['ja']}: siem" in alarms(web)
    web.controller.record("SINK_RESTORED", detail={"sink": "siem", "from_seq": 1, "to_seq": 9, "for_ms": 5})
    web.caught_up()
    assert f"{ALARMS['SINK_LOST']['ja']}: archive" in alarms(web)
    assert ("SINK_LOST", "siem") not in standing(web) and ("SINK_LOST", "archive") in standing(web)


def test_every_refusal_of_a_witness_has_its_words() -> None:
    """The officer on shift would read a code where the worst has happened."""
    assert set(WITNESS_REFUSALS) == set(WITNESS_WHY)


@pytest.mark.req("A-26")
def test_a_clock_that_agrees_again_is_no_alarm(web: Any) -> None:
    """The page would tell of a wrong clock that was put right weeks ago, and the next one is overlooked."""
    web.controller.record("CLOCK_SKEW", detail={"against": NORTH, "by_ms": -5000})
    web.controller.record("CLOCK_SKEW", detail={"against": "reader-9", "by_ms": -5000})
    web.controller.record("CONTROLLER_STARTED")  # compares clocks of devices anew, and hears of no witness's
    web.caught_up()
    assert ("CLOCK_SKEW", "reader-9") not in standing(web)
    assert f"{ALARMS['CLOCK_SKEW']['en']}: {NORTH}" in alarms(web, "en")
    web.controller.record("ALARM_CEASED", detail={"kind": "CLOCK_SKEW", "row": NORTH})
    web.caught_up()
    assert ("CLOCK_SKEW", NORTH) not in standing(web)


def test_health_tells_how_witnesses_stand(web: Any) -> None:
    """Whoever watches over many sites would have to read each one's page to see that nobody vouches for it."""
    stands(web, size=40, at_ms=1_790_000_000_000, is_silent=True)
    (told,) = web.client.get("/api/v1/health").json()["witnesses"]
    assert told.pop("at").endswith("+09:00")
    assert told == {"name": NORTH, "size": 40, "is_silent": True}
    assert "witnesses" not in web.anonymous().get("/api/v1/health").json()


def test_what_to_do_is_plain_words() -> None:
    """An officer reads signs that belong in a manual's source, not on a page."""
    for table in (ALARMS, ALARM_DOS):
        assert not [kind for kind, words in table.items() for text in words.values() if "`" in text]
