"""Decisions per second beside Cedar, Casbin, SQL and a mask index; what one edit costs; what a row costs in memory."""

from __future__ import annotations

import gc
import importlib.util
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

from bench import workload
from bench.engines import ENGINES, Engine, wrong_answers
from bench.figures import Figure, not_run, percentile, ratio_of_rounds, short
from bench.site import environment, memory_mb
from bench.workload import NEEDS, PEOPLE, Asked, Workload
from zones.edits import apply
from zones.policy import Edit, Policy

PEERS: Final = {"casbin": "casbin", "cedar": "cedarpy"}
"""Policy engines by the module that they are imported from."""

SLICE: Final = 1_000
SMALL: Final = 1_000
EDIT_MS_MAX: Final = 5.0
ROW_BYTES_MAX: Final = 400

NAMES: Final = ("decision_vs_engine", "decision_vs_mask", "decision_flat", "edit_swap", "memory_per_row")


@dataclass(kw_only=True)
class Taken:
    """Seconds per decision of one engine, by round, and of single decisions."""

    rounds: list[float] = field(default_factory=list)
    single_us: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return 1 / statistics.median(self.rounds)

    def spell(self) -> str:
        p50, p99 = statistics.median(self.single_us), percentile(self.single_us, 0.99)
        return f"{short(self.per_second)}/s, p50 {short(p50)} p99 {short(p99)} us"


def decisions(_folder: Path, *, is_quick: bool) -> list[Figure]:
    """All figures about decisions, on one site in one run."""
    site = workload.make()
    missing = [name for name, module in PEERS.items() if importlib.util.find_spec(module) is None]
    names = [name for name in ENGINES if name not in missing]
    engines = {name: ENGINES[name](site) for name in names}
    for name, engine in engines.items():
        wrong = wrong_answers(engine, site.asked)
        assert wrong == 0, f"{name}: {wrong} of {len(site.asked)} answers are not the site's"
    taken = _measured(engines, site.asked, passes=1 if is_quick else 3)
    notes = [_note(name, taken[name], _loaded(name)) for name in names]
    notes += [f"{name}: NOT RUN, {PEERS[name]} is not installed" for name in missing]
    ours = engines["ours"]
    del engines
    return [
        _versus_engines(taken, notes),
        _versus_mask(taken),
        _flatness(ours, site.asked, is_quick=is_quick),
        edit_swap(ours.form(site.asked[0])[0], site, is_quick=is_quick),
        memory_per_row(),
    ]


# -- decisions -------------------------------------------------------------------------------------------------------


def _measured(engines: Mapping[str, Engine], asked: Sequence[Asked], passes: int) -> dict[str, Taken]:
    """A round is a slice of the same questions to each engine in turn; nobody asks again before everybody has."""
    taken = {name: Taken() for name in engines}
    gc.collect()
    gc.freeze()  # as the controller does once it has loaded
    for turn in range(-1, passes):
        for start in range(0, len(asked), SLICE):
            for name, engine in engines.items():
                forms = [engine.form(one) for one in asked[start : start + SLICE]]
                seconds = _seconds(engine.answer, forms)
                if turn >= 0:
                    taken[name].rounds.append(seconds)
    for start in range(0, len(asked), SLICE):
        for name, engine in engines.items():
            forms = [engine.form(one) for one in asked[start : start + SLICE]]
            taken[name].single_us += _single_us(engine.answer, forms)
    gc.unfreeze()
    return taken


def _seconds(answer: Callable[..., Any], forms: Sequence[tuple[Any, ...]]) -> float:
    """Of this thread's processor time: none of the engines waits, and what else the machine does is not theirs."""
    began = time.thread_time()
    for form in forms:
        answer(*form)
    return (time.thread_time() - began) / len(forms)


def _single_us(answer: Callable[..., Any], forms: Iterable[tuple[Any, ...]]) -> list[float]:
    clock = time.perf_counter_ns
    took = []
    for form in forms:
        began = clock()
        answer(*form)
        took.append((clock() - began) / 1e3)
    return took


def _loaded(name: str) -> dict[str, Any]:
    """What loading that engine alone takes, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.engines", name], check=True, capture_output=True, text=True, env=environment()
    )
    loaded: dict[str, Any] = json.loads(done.stdout)
    assert loaded["wrong"] == 0, f"{name}: {loaded}"
    return loaded


def _note(name: str, taken: Taken, loaded: Mapping[str, Any]) -> str:
    return f"{name}: {taken.spell()}; loaded in {short(loaded['load_s'])} s, {short(loaded['mb'])} MB"


def _versus_engines(taken: Mapping[str, Taken], notes: Sequence[str]) -> Figure:
    peers = {name: taken[name] for name in PEERS if name in taken}
    if not peers:
        return replace(not_run("decision_vs_engine", "neither cedarpy nor pycasbin is installed"), notes=tuple(notes))
    fastest = max(peers, key=lambda name: peers[name].per_second)
    ratio, spread = ratio_of_rounds(peers[fastest].rounds, taken["ours"].rounds)
    return Figure(
        name="decision_vs_engine",
        value=taken["ours"].per_second,
        unit="decisions/s",
        ratio=ratio,
        of=f"{fastest}, the faster of {' and '.join(peers)}",
        aim=">= 10",
        spread=spread,
        notes=tuple(notes),
    )


def _versus_mask(taken: Mapping[str, Taken]) -> Figure:
    ratio, spread = ratio_of_rounds(taken["ours"].rounds, taken["mask"].rounds)
    return Figure(
        name="decision_vs_mask",
        value=statistics.median(taken["ours"].rounds) * 1e6,
        unit="us",
        ratio=ratio,
        of="a compiled mask index, which gives no reason",
        aim="<= 15",
        spread=spread,
    )


def _flatness(large: Engine, asked: Sequence[Asked], *, is_quick: bool) -> Figure:
    """Slices in turn on the large site and on a small one, as many questions each."""
    site = workload.make(needs=SMALL, people=SMALL * PEOPLE // NEEDS)
    small = ENGINES["ours"](site)
    few = [site.asked[number % len(site.asked)] for number in range(SLICE)]
    many: list[float] = []
    little: list[float] = []
    for start in range(0, len(asked) // (4 if is_quick else 1), SLICE):
        many.append(statistics.median(_single_us(large.answer, map(large.form, asked[start : start + SLICE]))))
        little.append(statistics.median(_single_us(small.answer, map(small.form, few))))
    ratio, spread = ratio_of_rounds(many, little)
    return Figure(
        name="decision_flat",
        value=statistics.median(many),
        unit="us",
        ratio=ratio,
        of=f"p50 with {SMALL} need-to-know rows, against {NEEDS}",
        aim="<= 2",
        spread=spread,
        notes=(f"p50 with {SMALL} rows {short(statistics.median(little))} us: what grows is the way to memory",),
    )


# -- edits -----------------------------------------------------------------------------------------------------------


def edit_swap(policy: Policy, site: Workload, *, is_quick: bool) -> Figure:
    """One need-to-know suspended, one place on a roster ended, one zone renamed: each a new policy out of the last."""
    edits = 1_500 if is_quick else 5_000
    people = [who for who, zones in enumerate(site.needs) if zones]
    took: list[float] = []
    for number in range(edits):
        who = people[number * 7919 % len(people)]
        row = replace(workload.need(who, site.needs[who][0]), is_suspended=number % 2 == 0)
        policy = _timed_edit(policy, Edit(puts=(row,)), took)
    zones: list[float] = []
    for number in range(20):
        zone = policy.zones[workload.zone_id(number)]
        policy = _timed_edit(policy, Edit(puts=(replace(zone, name_en=f"{zone.name_en} again"),)), zones)
    small_site = workload.make(needs=SMALL, people=SMALL * PEOPLE // NEEDS)
    small, few = workload.policy_of(small_site), []
    for number in range(500):
        who = number % len(small_site.needs)
        row = replace(workload.need(who, small_site.needs[who][0]), is_suspended=number % 2 == 0)
        small = _timed_edit(small, Edit(puts=(row,)), few)
    median, copied = statistics.median(took), _copy_ms(policy)
    return Figure(
        name="edit_swap",
        value=median,
        unit="ms",
        ratio=median / copied,
        of="copying every table of the policy",
        aim="<= 0.1",
        notes=(
            f"{NEEDS} rows, {edits} edits: {_spread(took)}; aim: less than {EDIT_MS_MAX:.0f} ms",
            f"{SMALL} rows: {_spread(few)}; copying every table of the large policy takes {short(copied)} ms",
            f"one zone of {workload.ZONES}: {_spread(zones)}",
        ),
    )


def _timed_edit(policy: Policy, edit: Edit, took: list[float]) -> Policy:
    began = time.perf_counter()
    after = apply(policy, edit)
    took.append((time.perf_counter() - began) * 1e3)
    return after


def _copy_ms(policy: Policy) -> float:
    """What a policy that shares nothing with the one before would cost: each table copied as a plain dict."""
    tables = [dict(table) for one in fields(policy) if isinstance(table := getattr(policy, one.name), Mapping)]
    took = []
    for _ in range(5):
        began = time.perf_counter()
        copies = [table.copy() for table in tables]
        took.append((time.perf_counter() - began) * 1e3)
        del copies
    return statistics.median(took)


def _spread(took_ms: Sequence[float]) -> str:
    p50, p99 = statistics.median(took_ms), percentile(took_ms, 0.99)
    return f"p50 {short(p50)} p99 {short(p99)} most {short(max(took_ms))} ms"


# -- memory ----------------------------------------------------------------------------------------------------------


def memory_per_row() -> Figure:
    """What 200,000 need-to-know rows add to a process that holds all the rest, each read as the controller reads it."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.decisions"], check=True, capture_output=True, text=True, env=environment()
    )
    held: dict[str, float] = json.loads(done.stdout)
    size = (held["after_mb"] - held["before_mb"]) * 1e6 / NEEDS
    whole = (held["after_mb"] - held["empty_mb"]) * 1e6 / NEEDS
    return Figure(
        name="memory_per_row",
        value=size,
        unit="bytes",
        ratio=size / ROW_BYTES_MAX,
        of=f"{ROW_BYTES_MAX} bytes",
        aim="<= 1",
        notes=(
            f"{PEOPLE} people, {workload.ZONES} zones and the rest: {short(held['before_mb'] - held['empty_mb'])} MB",
            f"the whole policy, spread over its {NEEDS} need-to-know rows: {short(whole)} bytes",
        ),
    )


def _hold() -> dict[str, float]:
    """In a process of its own: resident memory before anything, with all but the need-to-know rows, and with them."""
    from msgspec import json as codec

    from controller.link.rows import doc_to_row, row_to_doc

    def read(rows: Iterable[Any]) -> Iterable[Any]:
        for row in rows:
            table, doc = row_to_doc(row)
            yield doc_to_row(table, codec.decode(codec.encode(doc)))

    site = workload.make()
    needs, site.needs[:] = list(site.needs), [() for _ in site.needs]
    gc.collect()
    empty = memory_mb("self")[0]
    policy = apply(Policy(), Edit(puts=tuple(read(workload.places_of(site)))))
    policy = apply(policy, Edit(puts=tuple(read(workload.people_of(site)))))
    gc.collect()
    before = memory_mb("self")[0]
    for who in range(0, PEOPLE, 1000):
        some = (workload.need(one, zone) for one in range(who, who + 1000) for zone in needs[one])
        policy = apply(policy, Edit(puts=tuple(read(some))))
    gc.collect()
    assert len(policy.needs_to_know) == NEEDS
    return {"empty_mb": empty, "before_mb": before, "after_mb": memory_mb("self")[0]}


if __name__ == "__main__":
    print(json.dumps(_hold()))
