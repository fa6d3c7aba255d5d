"""One figure, how it is printed and how it is written: value, unit, ratio, and of what the ratio is."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` in `unit`; `ratio` of it to the floor that `of` names, in the same run. Both None where it was not run.

    `aim` bounds the ratio: "<= 1.5", ">= 0.85", or "" where none is set. `notes` are printed below the table.
    """

    name: str
    value: float | None
    unit: str
    ratio: float | None
    of: str
    aim: str = ""
    spread: str = ""
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """Whether the aim is met, in a word."""
        if self.ratio is None:
            return "NOT RUN"
        if not self.aim:
            return ""
        sign, bound = self.aim.split()
        is_met = self.ratio <= float(bound) if sign == "<=" else self.ratio >= float(bound)
        return "met" if is_met else "MISSED"


def not_run(name: str, why: str) -> Figure:
    """Said plainly: a figure that could not be taken here."""
    return Figure(name=name, value=None, unit="", ratio=None, of=f"NOT RUN: {why}")


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def flat(rounds: Iterable[Iterable[float]]) -> list[float]:
    """All values of all rounds."""
    return [value for one in rounds for value in one]


def spell(values: Sequence[float]) -> str:
    """The two that are looked at."""
    return f"p50 {short(statistics.median(values))} p99 {short(percentile(values, 0.99))} ms"


def ratio_of_rounds(ours: Sequence[float], floor: Sequence[float]) -> tuple[float, str]:
    """The median over rounds of ours/floor, and its least and most: what the machine did meanwhile hit both."""
    ratios = sorted(mine / theirs for mine, theirs in zip(ours, floor, strict=True))
    return statistics.median(ratios), f"{short(ratios[0])}-{short(ratios[-1])}"


def short(number: float | None) -> str:
    """Three digits that matter."""
    if number is None:
        return "-"
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def table(figures: Sequence[Figure]) -> str:
    """All figures, a line each, with their notes below."""
    rows = [("figure", "value", "ratio", "rounds", "aim", "", "ratio to")]
    for one in figures:
        value = f"{short(one.value)} {one.unit}".strip()
        rows.append((one.name, value, short(one.ratio), one.spread, one.aim, one.verdict, one.of))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    lines += ["", *(f"{one.name}: {note}" for one in figures for note in one.notes)]
    return "\n".join(line.rstrip() for line in lines)


def write(figures: Sequence[Figure], path: Path) -> None:
    """`{name: {value, unit, ratio, of}}`; figures of an earlier run that this one did not take stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        document = {}
    for one in figures:
        document[one.name] = {"value": one.value, "unit": one.unit, "ratio": one.ratio, "of": one.of}
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
