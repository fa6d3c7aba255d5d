"""The roll call (D-27): who is inside as far as the records know, who was found, and who may see names.

Never with anything about clearance or rights. Whoever sees names inside at all times sees them here too; guards while a
roll call lasts, in a fire or a drill, and then everywhere: a list with holes is worse than none. What was ticked is
recorded, each tick once, however often a phone without a network sends it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from api import presence
from api.access import Permission, Who
from api.link import STATUS_OF
from api.live import now_ms
from api.names import order_of
from api.parts import Parts
from api.presence import FOUND, MISSING, Last, Roll, Tick, Unknown
from api.problems import Problem
from controller.link.messages import Done, Note
from zones.officers import Role

Sort = Literal["longest", "kana"]

_REQUEST: Final = re.compile(r"[A-Za-z0-9_.:-]{8,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Somebody on the list. `place`: where he was last seen; `tick`: what was found of him."""

    place: Last
    name: str
    kana: str
    roman: str
    tick: Tick | None

    @property
    def state(self) -> str:
        """What the list says of him: `open`, `found` or `missing`."""
        return "open" if self.tick is None else "found" if self.tick.is_found else "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class InZone:
    """The people of one zone. `count`: how many there are, also where `lines` may not be shown."""

    zone: str
    count: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollCall:
    """The list of one moment. `seq`: up to which record. `roll`: what lasts; None: nothing, and then nobody ticks."""

    roll: Roll | None
    at_ms: int
    seq: int
    has_names: bool
    zones: tuple[InZone, ...]
    unknown: tuple[Unknown, ...]

    @property
    def total(self) -> int:
        """How many are inside, as far as is known."""
        return sum(one.count for one in self.zones)

    def counted(self, state: str) -> int:
        """How many are in a state."""
        return sum(line.state == state for one in self.zones for line in one.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticked:
    """One tick as a phone sends it: `id` names it for good."""

    id: str
    cardholder: str
    is_found: bool


def may_see_names(who: Who, roll: Roll | None) -> bool:
    """Whether names are shown to somebody now."""
    return who.may(Permission.NAMES_INSIDE) or (roll is not None and who.may(Permission.ROLL_CALL))


def roll_call(here: Parts, who: Who, sort: Sort = "longest") -> RollCall:
    """The list as it is now, by zone; in each those first who have been there longest, or in the order of names."""
    engine, at_ms = here.view.engine, now_ms()
    seq, roll = here.view.seq, presence.roll(engine, at_ms)
    has_names = may_see_names(who, roll)
    is_bounded = roll is None and who.zones is not None
    places = [
        one
        for one in presence.last_places(engine)
        if not is_bounded or (who.zones is not None and one.zone in who.zones)
    ]
    ticked = presence.ticks(engine, roll.seq) if roll is not None else {}
    by_zone: dict[str, list[Last]] = {}
    for place in places:
        by_zone.setdefault(place.zone, []).append(place)
    order = {row["id"]: n for n, row in enumerate(here.view.rows("zone"))}
    return RollCall(
        roll=roll, at_ms=at_ms, seq=seq, has_names=has_names, unknown=tuple(presence.unknown_people(engine, at_ms)),
        zones=tuple(
            InZone(zone=zone, count=len(found), lines=_lines(here, found, ticked, sort) if has_names else ())
            for zone, found in sorted(by_zone.items(), key=lambda item: order.get(item[0], -1))
        ),
    )  # fmt: skip


def _lines(here: Parts, places: Sequence[Last], ticked: dict[str, Tick], sort: Sort) -> tuple[Line, ...]:
    """Whoever was not found stands first."""
    names = here.view.names.all()
    found = []
    for place in places:
        name = names.get(place.cardholder)
        line = Line(
            place=place, name=place.cardholder if name is None else name.name, kana="" if name is None else name.kana,
            roman="" if name is None else name.roman,
            tick=ticked.get(place.cardholder),
        )  # fmt: skip
        reading = order_of(name, place.cardholder)
        found.append(((line.state == "found", reading if sort == "kana" else (place.since_ms, place.cardholder)), line))
    return tuple(line for _, line in sorted(found, key=lambda item: item[0]))


def record_ticks(here: Parts, who: Who, ticks: Sequence[Ticked]) -> list[tuple[str, str]]:
    """Have ticks recorded, each once: (id, what became of it), `recorded`, `known` or `unknown_person`. Raises Problem
    409 where there is no roll call of today, 503 where the controller is away: then the phone sends them again.
    """
    roll = presence.last_roll(here.view.engine, now_ms())
    if roll is None:
        raise Problem("no_roll_call", 409)
    known = presence.ticked_requests(here.view.engine, roll.seq)
    answers, last = [], -1
    for tick in ticks:
        if tick.id in known:
            answers.append((tick.id, "known"))
        elif not _REQUEST.fullmatch(tick.id) or here.view.row("cardholder", tick.cardholder) is None:
            answers.append((tick.id, "unknown_person"))
        else:
            code, seq = _record(here, who, tick)
            answers.append((tick.id, code))
            last = max(last, seq)
    if last >= 0:
        here.view.wait_for(last, 5.0)
    return answers


def _record(here: Parts, who: Who, tick: Ticked) -> tuple[str, int]:
    note = Note(
        id=tick.id, type="ROLL_CALL", officer=who.officer, cardholder=tick.cardholder,
        purpose=FOUND if tick.is_found else MISSING,
    )  # fmt: skip
    answer = here.requests.ask(lambda _: note)
    if isinstance(answer, Done):
        return "recorded", answer.seq
    if answer.code == "repeated":
        return "known", -1
    raise Problem(answer.code, STATUS_OF.get(answer.code, 502))


def record_drill(here: Parts, who: Who, *, begins: bool, key: str) -> None:
    """Begin or end a drill: by a protection officer, whom nobody signed in for. Raises Problem."""
    if Role.PROTECTION_OFFICER not in who.roles or who.scopes is not None:
        raise Problem("not_your_role", 403)
    note = Note(
        id=key, type="DRILL", officer=who.officer, purpose=presence.BEGUN if begins else presence.ENDED,
    )  # fmt: skip
    answer = here.requests.ask(lambda _: note)
    if not isinstance(answer, Done):
        raise Problem(answer.code, STATUS_OF.get(answer.code, 502))
    here.view.wait_for(answer.seq, 5.0)
