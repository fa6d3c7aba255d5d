"""The same question asked of five engines: ours, the compiled mask index, SQLite, Casbin, Cedar (see `bench.workload`).

Each is asked in its best case: everything parsed and loaded before, the question in the form that it takes made before.
`python -m bench.engines NAME`: load one in this process and print what that took, as JSON.
"""

from __future__ import annotations

import gc
import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench import workload
from bench.site import memory_mb
from bench.workload import HOURS, LEVEL_MAX, SCHEDULES, ZONES, Asked, Workload, number_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """`form`: one question as `answer` takes it; `is_granted`: what the answer comes to."""

    form: Callable[[Asked], tuple[Any, ...]]
    answer: Callable[..., Any]
    is_granted: Callable[[Any], bool] = bool


def ours(site: Workload) -> Engine:
    """Every rule evaluated, and the whole trace kept."""
    from zones.decision import decide

    policy, occupancy = workload.policy_of(site), workload.occupancy_of(site)
    return Engine(
        form=lambda one: (policy, occupancy, *workload.request_of(one)),
        answer=decide,
        is_granted=lambda decision: decision.is_granted,
    )


def mask(site: Workload) -> Engine:
    """The limit: everything about a person folded into two whole numbers. It can say yes or no, and nothing else."""
    inside = [0] * ZONES
    for zone, lineage in enumerate(site.lineages):
        for around in lineage:
            inside[around] |= 1 << zone
    within = [sum(1 << zone for zone in range(ZONES) if site.levels[zone] <= held) for held in range(LEVEL_MAX + 1)]
    index: dict[str, tuple[int, int]] = {}
    for who, held in enumerate(site.held):
        if site.is_active[who]:
            needs = rosters = 0
            for zone in site.needs[who]:
                needs |= inside[zone]
            for zone in site.rosters[who]:
                rosters |= 1 << zone
            index[number_hash(who)] = (needs & rosters & within[held], site.open_hours[site.schedules[who]])
    get = index.get

    def answer(number: str, zone: int, hour: int) -> Any:
        found = get(number)
        return found is not None and found[0] >> zone & 1 and found[1] >> hour & 1

    return Engine(form=_numbers, answer=answer)


def _numbers(one: Asked) -> tuple[str, int, int]:
    return number_hash(one.who), one.zone, one.hour


def sqlite(site: Workload) -> Engine:
    """One indexed statement on a database in memory."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(
        """CREATE TABLE people (number TEXT PRIMARY KEY, id INT, held INT, schedule INT, is_active INT) WITHOUT ROWID;
        CREATE TABLE zones (id INTEGER PRIMARY KEY, level INT);
        CREATE TABLE around (zone INT, around INT, PRIMARY KEY (zone, around)) WITHOUT ROWID;
        CREATE TABLE needs (who INT, zone INT, PRIMARY KEY (who, zone)) WITHOUT ROWID;
        CREATE TABLE rosters (who INT, zone INT, PRIMARY KEY (who, zone)) WITHOUT ROWID;
        CREATE TABLE hours (schedule INT, hour INT, PRIMARY KEY (schedule, hour)) WITHOUT ROWID;"""
    )
    tables: dict[str, list[tuple[Any, ...]]] = {
        "people": [
            (number_hash(who), who, held, site.schedules[who], site.is_active[who])
            for who, held in enumerate(site.held)
        ],
        "zones": list(enumerate(site.levels)),
        "around": [(zone, around) for zone, lineage in enumerate(site.lineages) for around in lineage],
        "needs": [(who, zone) for who, zones in enumerate(site.needs) for zone in zones],
        "rosters": [(who, zone) for who, zones in enumerate(site.rosters) for zone in zones],
        "hours": [
            (number, hour) for number, bits in enumerate(site.open_hours) for hour in range(HOURS) if bits >> hour & 1
        ],
    }
    database.execute("BEGIN")
    for name, rows in tables.items():
        database.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    database.execute("COMMIT")
    database.execute("ANALYZE")
    statement = """SELECT p.is_active AND p.held >= z.level
        AND EXISTS (SELECT 1 FROM around a JOIN needs n ON n.zone = a.around AND n.who = p.id WHERE a.zone = z.id)
        AND EXISTS (SELECT 1 FROM rosters r WHERE r.who = p.id AND r.zone = z.id)
        AND EXISTS (SELECT 1 FROM hours h WHERE h.schedule = p.schedule AND h.hour = ?3)
        FROM people p, zones z WHERE p.number = ?1 AND z.id = ?2"""
    execute = database.execute

    def answer(number: str, zone: int, hour: int) -> Any:
        return execute(statement, (number, zone, hour)).fetchone()

    return Engine(form=_numbers, answer=answer, is_granted=lambda row: row is not None and bool(row[0]))


CASBIN: Final = """[request_definition]
r = sub, obj, hour
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = cleared(r.sub, r.obj) && needs(r.sub, r.obj) && rostered(r.sub, r.obj) && open(r.sub, r.hour)
"""


def casbin(site: Workload) -> Engine:
    """Attributes, one policy line, and a function per condition over dicts of our own: faster than a line per right."""
    from casbin import Enforcer, Model

    index = {
        number_hash(who): (
            site.is_active[who],
            held,
            frozenset(site.needs[who]),
            frozenset(site.rosters[who]),
            site.open_hours[site.schedules[who]],
        )
        for who, held in enumerate(site.held)
    }
    levels, lineages = site.levels, site.lineages
    model = Model()
    model.load_model_from_text(CASBIN)
    enforcer = Enforcer(model)
    enforcer.add_policy("*", "*", "enter")
    enforcer.add_function("cleared", lambda who, zone: index[who][0] and index[who][1] >= levels[zone])
    enforcer.add_function("needs", lambda who, zone: not index[who][2].isdisjoint(lineages[zone]))
    enforcer.add_function("rostered", lambda who, zone: zone in index[who][3])
    enforcer.add_function("open", lambda who, hour: bool(index[who][4] >> hour & 1))
    return Engine(form=_numbers, answer=enforcer.enforce)


CEDAR: Final = """permit(principal is Staff, action == Action::"enter", resource is Zone) when {
    principal.active && principal.held >= resource.level && resource in principal.needs
    && principal.rosters.contains(resource) && context.schedules.contains(principal.schedule) };"""


def cedar(site: Workload) -> Engine:
    """Policies and all entities parsed before; which schedules are open now is told with the question."""
    from cedarpy import Entities, PolicySet, is_authorized

    entities: list[dict[str, Any]] = [
        {
            "uid": {"type": "Zone", "id": str(zone)},
            "attrs": {"level": level},
            "parents": [] if site.parents[zone] is None else [{"type": "Zone", "id": str(site.parents[zone])}],
        }
        for zone, level in enumerate(site.levels)
    ]
    for who, held in enumerate(site.held):
        attributes = {
            "active": site.is_active[who],
            "held": held,
            "schedule": site.schedules[who],
            "needs": [{"__entity": {"type": "Zone", "id": str(zone)}} for zone in site.needs[who]],
            "rosters": [{"__entity": {"type": "Zone", "id": str(zone)}} for zone in site.rosters[who]],
        }
        entities.append({"uid": {"type": "Staff", "id": number_hash(who)}, "attrs": attributes, "parents": []})
    text = json.dumps(entities)
    del entities
    parsed, policies = Entities.from_json_str(text), PolicySet.from_str(CEDAR)
    opened = [[number for number in range(SCHEDULES) if site.open_hours[number] >> hour & 1] for hour in range(HOURS)]

    def form(one: Asked) -> tuple[Any, ...]:
        question = {
            "principal": {"type": "Staff", "id": number_hash(one.who)},
            "action": {"type": "Action", "id": "enter"},
            "resource": {"type": "Zone", "id": str(one.zone)},
            "context": {"schedules": opened[one.hour]},
        }
        return question, policies, parsed

    return Engine(form=form, answer=is_authorized, is_granted=lambda answer: answer.allowed)


ENGINES: Final[dict[str, Callable[[Workload], Engine]]] = {
    "ours": ours,
    "mask": mask,
    "sqlite": sqlite,
    "casbin": casbin,
    "cedar": cedar,
}


def wrong_answers(engine: Engine, asked: Sequence[Asked]) -> int:
    """How many of the answers are not the site's own."""
    return sum(engine.is_granted(engine.answer(*engine.form(one))) is not one.is_granted for one in asked)


def main() -> None:
    """Load one engine where nothing else is, and say what it takes."""
    site = workload.make()
    make = ENGINES[sys.argv[1]]
    gc.collect()
    before = memory_mb("self")[0]
    began = time.perf_counter()
    engine = make(site)
    took = time.perf_counter() - began
    gc.collect()
    print(json.dumps({"load_s": took, "mb": memory_mb("self")[0] - before, "wrong": wrong_answers(engine, site.asked)}))


if __name__ == "__main__":
    main()
