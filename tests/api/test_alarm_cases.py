"""Alarms that officers answer for: joined, open until their cause is over and somebody said what it was."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api import presence
from api.alarm_fold import KINDS, TOLD_ALONE
from api.alarms import AlarmCase, alarm, figures, open_alarms, past_alarms
from api.name_keys import NameKeys
from api.names import Names
from api.store import open_store
from api.view import View
from controller.ledger.catalogue import CATALOGUE
from controller.link.follow import followed
from controller.link.messages import ALARM_CAUSES, Record
from zones.edits import apply
from zones.occupancy import Occupancy
from zones.places import Portal, Zone, ZoneKind
from zones.policy import EMPTY, Edit

MINUTE = 60_000
T0 = 1_780_000_000_000  # 2026-05-29 in Japan


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """One view for all tests of this file: each starts another ledger on it."""
    folder = tmp_path_factory.mktemp("alarms")
    engine = open_store(folder / "api.db")
    yield View(engine, Names(engine, NameKeys(folder)))
    engine.dispose()


class Story:
    """Records at minutes of our choosing, folded one by one."""

    def __init__(self, view: View, kit: Any) -> None:
        self.view, self.controller = view, kit.stand_in.StandIn(Path("unused"))
        view.follow_ledger("story+00000000+AAAA", "", anew=True)
        self.controller.edit(*kit.stand_in.HOUSE)
        self._taken()

    def at(self, minute: float, kind: str, **fields: Any) -> int:
        seq: int = self.controller.record(kind, at_ms=T0 + int(minute * MINUTE), **fields)
        self._taken()
        return seq

    def handled(self, minute: float, kind: str, row: str, cause: str = "worn_latch", **more: Any) -> int:
        detail = {"kind": kind, "row": row, "cause": cause, "note": "x", **more}
        return self.at(minute, "ALARM_HANDLED", detail=detail, actor={"officer": "guard-1"})

    def _taken(self) -> None:
        new = self.controller.records[self.view.seq + 1 :]
        self.view.apply([Record(**{k: v for k, v in one.items() if k != "is"}) for one in new])

    @property
    def open(self) -> list[AlarmCase]:
        return open_alarms(self.view.engine)


@pytest.fixture
def story(store: View, kit: Any) -> Story:
    return Story(store, kit)


def test_every_alarm_of_the_ledger_is_one_an_officer_answers_for_or_the_end_of_one() -> None:
    """An alarm would be recorded, and shown to nobody."""
    recorded = {row.type for row in CATALOGUE if row.class_ == "alarm"}
    assert recorded == recorded & (set(KINDS) | TOLD_ALONE)
    assert set(KINDS) - recorded == {"DEVICE_OFFLINE"}, "of the class system, and an officer's business all the same"


@pytest.mark.req("A-14", "A-15")
def test_a_forced_door_stays_red_until_it_is_closed_and_somebody_said_what_it_was(story: Story) -> None:
    """A click would make an open door look shut."""
    seq = story.at(0, "DOOR_FORCED", portal="front", zone="office")
    assert [(one.seq, one.is_lasting, one.needs_handling) for one in story.open] == [(seq, True, True)]
    story.handled(1, "DOOR_FORCED", "front")
    assert [(one.is_lasting, one.needs_handling) for one in story.open] == [(True, False)]
    story.at(2, "DOOR_CLOSED", portal="side", zone="office")
    assert story.open, "another door was closed"
    story.at(3, "DOOR_CLOSED", portal="front", zone="office")
    assert story.open == []
    (past,) = past_alarms(story.view.engine, None, 10)
    assert (past.cause, past.officer, past.ended_ms) == ("worn_latch", "guard-1", T0 + 3 * MINUTE)


def test_a_door_closed_first_still_wants_its_cause(story: Story) -> None:
    """Whoever shut the door before anybody looked would have hidden that it was forced."""
    story.at(0, "DOOR_FORCED", portal="front", zone="office")
    story.at(1, "DOOR_CLOSED", portal="front", zone="office")
    assert [(one.is_lasting, one.needs_handling) for one in story.open] == [(False, True)]
    story.handled(2, "DOOR_FORCED", "front")
    assert story.open == []


def test_repeated_alarms_of_one_portal_are_one(story: Story) -> None:
    """A worn latch would bury the one alarm that matters under forty of its own."""
    first = story.at(0, "DOOR_HELD", portal="front", zone="office")
    for minute in (1, 5, 14):  # each within ten minutes of the last
        story.at(minute, "DOOR_CLOSED", portal="front", zone="office")
        last = story.at(minute + 0.5, "DOOR_HELD", portal="front", zone="office")
    story.at(15, "DOOR_HELD", portal="side", zone="office")
    story.at(16, "DOOR_CLOSED", portal="front", zone="office")
    one = next(one for one in story.open if one.portal == "front")
    assert (one.seq, one.last_seq, one.count, len(story.open)) == (first, last, 4, 2)
    story.at(40, "DOOR_HELD", portal="front", zone="office")
    assert len(story.open) == 3, "half an hour later it is another one"
    story.handled(41, "DOOR_HELD", "front", seq=last)
    assert [one.count for one in story.open if one.portal == "front"] == [1], "what came after was not before him"


@pytest.mark.parametrize("code", ["lost", "copied"])
def test_a_lost_card_is_an_alarm_that_ends_when_somebody_handled_it(story: Story, code: str) -> None:
    """Somebody with a found card would try door after door, and nobody would be told."""
    seq = story.at(0, "CREDENTIAL_ALARM", portal="front", zone="office", detail={"code": code})
    assert [(one.seq, one.row, one.is_lasting) for one in story.open] == [(seq, f"front/{code}", False)]
    story.handled(1, "CREDENTIAL_ALARM", f"front/{code}", "wrong_use")
    assert story.open == [] and alarm(story.view.engine, seq) is not None


def test_a_start_does_not_hide_a_forced_door_nor_keep_it_for_ever(story: Story) -> None:
    """A restart would make a forced door green, or leave it red for ever when it was shut meanwhile."""
    seq = story.at(0, "DOOR_FORCED", portal="front", zone="office")
    story.at(1, "CONTROLLER_STARTED")
    assert [one.is_doubted for one in story.open] == [True]
    story.at(2, "DOOR_OPEN_AT_START", portal="front", zone="office")
    assert [(one.seq, one.is_doubted, one.is_lasting) for one in story.open] == [(seq, False, True)]
    story.at(3, "CONTROLLER_STARTED")  # and now nothing more is said of it: it is shut
    story.handled(4, "DOOR_FORCED", "front")
    assert story.open == []


def test_figures_tell_which_portal_is_a_nuisance_and_why(story: Story) -> None:
    """Nobody could show that it is the latch that must be mended, and not people."""
    for minute, cause in ((0, "worn_latch"), (30, "worn_latch"), (60, "weather")):
        story.at(minute, "DOOR_HELD", portal="front", zone="office")
        story.at(minute + 1, "DOOR_CLOSED", portal="front", zone="office")
        story.handled(minute + 2, "DOOR_HELD", "front", cause)
    story.at(90, "TAILGATE", portal="side", zone="office")
    found = [(one.month, one.portal, one.cause, one.count) for one in figures(story.view.engine, T0, T0 + 2**40)]
    assert found[0] == ("2026-05", "front", "worn_latch", 2)
    assert set(found[1:]) == {("2026-05", "front", "weather", 1), ("2026-05", "side", None, 1)}
    assert {"worn_latch", "weather"} <= set(ALARM_CAUSES)


# -- where people are -------------------------------------------------------------------------------------------------


def _policy() -> Any:
    zones = [("site", None), ("office", "site"), ("lab", "office"), ("vault", "lab")]
    portals = [("front", "site", "office"), ("side", "site", "office"), ("lab-east", "office", "lab")]
    rows = [Zone(id=z, name_ja=z, name_en=z, kind=ZoneKind.CONTROLLED, parent=p) for z, p in zones]
    doors = [
        Portal(id=p, name_ja=p, name_en=p, outer=o, inner=i) for p, o, i in (*portals, ("vault-door", "lab", "vault"))
    ]
    return apply(EMPTY, Edit(puts=(*rows, *doors)))


def _any_record(dice: random.Random) -> tuple[str, dict[str, Any]]:
    who = {"subject": {"cardholder": f"c-{dice.randrange(6)}"}}
    portal, zone = dice.choice([("front", "office"), ("lab-east", "lab"), ("vault-door", "vault"), ("front", "site")])
    return dice.choices(
        [
            ("PASSAGE", {"portal": portal, "zone": zone, **who}),
            ("EXIT", {"portal": portal}),
            ("NO_PASSAGE", {"portal": portal, "detail": {"is_certain": dice.random() < 0.5}, **who}),
            ("PRESENCE_FORGIVEN", who if dice.random() < 0.7 else {}),
            ("STORAGE_RESTORED", {"detail": {"records_lost": dice.randrange(2)}}),
            ("POWER_LOST", {"detail": {"device": "d"}}),
            ("CONTROLLER_STARTED", {}),
            ("DOOR_FORCED", {"portal": portal}),
        ],
        weights=[30, 4, 4, 2, 1, 1, 1, 1],
    )[0]


@pytest.mark.req("D-27")
def test_the_roll_call_tells_what_the_controller_knows(story: Story) -> None:
    """The list in a fire would send people back for somebody who left, or miss somebody who is inside."""
    dice, policy, occupancy = random.Random(27), _policy(), Occupancy()
    for step in range(250):
        what, fields = _any_record(dice)
        seq = story.at(step, what, **fields)
        body = {"type": what, "at_ms": T0 + step * MINUTE, **fields}
        occupancy = followed(occupancy, policy, body)
        if step % 10 and what != "CONTROLLER_STARTED":
            continue
        told = {one.cardholder: (one.zone, one.is_certain) for one in presence.last_places(story.view.engine)}
        known = {who: (one.zone, one.is_certain) for who, one in occupancy.where.items() if one.zone != "site"}
        assert told == known, f"after record {seq}, {what}"
        assert presence.counted_places(story.view.engine) == Counter(zone for zone, _ in told.values())
    before = presence.last_places(story.view.engine)
    story.at(300, "FIRE_ON", detail={"device": "panel"})
    assert presence.last_places(story.view.engine) == before, "a fire moves nobody, and hides nobody's place"
    roll = presence.roll(story.view.engine, T0 + 300 * MINUTE)
    assert roll is not None and not roll.is_drill
    for found in ("missing", "found"):
        detail = {"id": f"tick-{found}", "kind": "ROLL_CALL", "purpose": found}
        story.at(301, "NOTE", detail=detail, subject={"cardholder": "c-1"}, actor={"officer": "guard-1"})
    assert presence.ticks(story.view.engine, roll.seq)["c-1"].is_found
    assert presence.ticked_requests(story.view.engine, roll.seq) == {"tick-missing", "tick-found"}
    story.at(302, "CONTROLLER_STARTED")
    assert presence.roll(story.view.engine, T0 + 302 * MINUTE) is None
    story.at(303, "FIRE_ON", detail={"device": "panel"})
    assert presence.roll(story.view.engine, T0 + 303 * MINUTE) == replace(roll)
    story.at(304, "FIRE_RESET")
    assert presence.roll(story.view.engine, T0 + 304 * MINUTE) is None
