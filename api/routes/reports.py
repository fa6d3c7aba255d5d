"""Figures by the API: the same as on the page, of no fewer than five people each (E-12)."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends

from api.access import Permission, Who, require
from api.figures import (
    LEAST,
    Figure,
    Span,
    alarms_per_cause,
    entries_per_day,
    entries_per_hour,
    occupancy,
    refusals_per_zone,
    reviews,
    span_of,
    unknown_cards_per_zone,
)
from api.models import Given, IsoDate
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS, today

router = APIRouter(responses=PROBLEMS)
Counting = Annotated[Who, Depends(require(Permission.REPORTS))]


class FigureShown(Given):
    """One figure; `count` is null where it rests on one to four people, and such figures are in no sum."""

    label: str
    count: int | None


class StepShown(Given):
    """How many are inside from a minute of the last day on; null: one to four."""

    minute: int
    heads: int | None


class ReviewShown(Given):
    """How the review of a zone's roster stands; null where fewer than five places are in force."""

    zone: str
    rows: int | None
    due: int | None
    overdue: int | None
    is_overdue: bool
    next_on: date | None


class Reports(Given):
    """All figures of a span of days, both included. Days and hours are Japan's."""

    from_on: date
    until_on: date
    least: int
    entries_per_day: list[FigureShown]
    entries_per_hour: list[FigureShown]
    refusals_per_zone: list[FigureShown]
    unknown_cards_per_zone: list[FigureShown]
    alarms_per_cause: list[FigureShown]
    occupancy: list[StepShown]
    reviews: list[ReviewShown]


@router.get("/reports")
def get_reports(here: Here, who: Counting, from_on: IsoDate | None = None, until_on: IsoDate | None = None) -> Reports:
    """Figures of some days, at most a year; of the last four weeks where none are given."""
    days = span_of(from_on, until_on, today(), 28)
    if days is None:
        raise Problem("not_valid", 422)
    first, last = days
    span, engine = Span(first=first, last=last, zones=who.zones), here.view.engine
    return Reports(
        from_on=first, until_on=last, least=LEAST,
        entries_per_day=_shown(entries_per_day(engine, span)), entries_per_hour=_shown(entries_per_hour(engine, span)),
        refusals_per_zone=_shown(refusals_per_zone(engine, span)),
        unknown_cards_per_zone=_shown(unknown_cards_per_zone(engine, span)),
        alarms_per_cause=_shown(alarms_per_cause(engine, span)),
        occupancy=[StepShown(minute=one.minute, heads=one.heads) for one in occupancy(engine, last, who.zones)],
        reviews=[
            ReviewShown(
                zone=one.zone, rows=one.rows, due=one.due, overdue=one.overdue, is_overdue=one.is_overdue,
                next_on=one.next_on,
            )
            for one in reviews(engine, today(), who.zones)
        ],
    )  # fmt: skip


def _shown(found: list[Figure]) -> list[FigureShown]:
    return [FigureShown(label=one.label, count=one.count) for one in found]
