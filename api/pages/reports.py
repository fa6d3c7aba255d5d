"""Figures without names: entries, refusals, alarms by cause, how reviews stand; a chart and a table of each (E-12)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from api.access import Permission, Who, require
from api.alarm_words import CAUSES
from api.charts import bars, lying_bars, steps
from api.days import moment_of, short_date
from api.figures import (
    LEAST,
    Figure,
    Span,
    Step,
    alarms_per_cause,
    entries_per_day,
    entries_per_hour,
    occupancy,
    refusals_per_zone,
    reviews,
    span_of,
    total,
    unknown_cards_per_zone,
)
from api.live import now_ms, zones
from api.pages.frame import render
from api.parts import Here
from api.register import today
from api.texts import _, spoken
from api.view import View

SPAN_DAYS: Final = 28

router = APIRouter(include_in_schema=False)
Counting = Annotated[Who, Depends(require(Permission.REPORTS))]
Day = Annotated[str, Query(max_length=10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One figure: its chart, and its rows as (label, count); count None: not shown."""

    id: str
    title: str
    chart: Markup | None
    columns: tuple[str, str]
    rows: list[tuple[str, int | None]]
    note: str = ""


@router.get("/reports")
def reports(here: Here, request: Request, who: Counting, first: Day = "", last: Day = "") -> Response:
    """All figures of a span of days; of his own zones, where somebody answers for some alone."""
    span, fault = _span(who, first, last)
    names = {zone.id: zone.name_ja if spoken() == "ja" else zone.name_en for zone in zones(here.view)}
    return render(
        request, who, "reports.html", first=str(span.first), last=str(span.last), fault=fault, least=LEAST,
        sections=_sections(here.view, span, names), reviews=_reviews(here.view, span, names),
        is_bounded=span.zones is not None, newest=str(today()),
    )  # fmt: skip


def _span(who: Who, first: str, last: str) -> tuple[Span, str]:
    """The days that are asked for; the last four weeks where none are, or none that can be."""
    newest, fault = today(), ""
    try:
        begin, until = (date.fromisoformat(one) if one else None for one in (first, last))
    except ValueError:
        begin, until, fault = None, None, _("These are no days.")
    found = span_of(begin, until, newest, SPAN_DAYS)
    if found is None:
        found = span_of(None, None, newest, SPAN_DAYS)
        fault = _("From a day to a later one, at most a year, and none to come.")
    assert found is not None, "the days until today are a span"
    return Span(first=found[0], last=found[1], zones=who.zones), fault


def _sections(view: View, span: Span, names: dict[str, str]) -> list[Section]:
    engine = view.engine
    days, hours = entries_per_day(engine, span), entries_per_hour(engine, span)
    refused, unknown = refusals_per_zone(engine, span), unknown_cards_per_zone(engine, span)
    causes, found = alarms_per_cause(engine, span), occupancy(engine, span.last, span.zones)
    of_zone, of_day = (_("Zone"), _("Times")), (_("Day"), _("Entries"))
    return [
        _section("days", _("Entries by day"), days, _days(days), of_day),
        _section("hours", _("Entries by hour of the day"), hours, [f"{int(h.label)}:00" for h in hours],
                 (_("Hour"), _("Entries"))),
        Section(
            id="inside", title=_("People inside on %(day)s", day=short_date(str(span.last))),
            chart=steps(found, _("People inside"), _minutes_of(span.last)) if found else None,
            columns=(_("From"), _("People")), rows=_hourly(found),
        ),
        _lying("refused", _("Refusals by zone"), refused, [names.get(r.label, r.label) for r in refused], of_zone),
        _lying("unknown", _("Unknown cards by zone"), unknown, [names.get(u.label, u.label) for u in unknown], of_zone),
        _lying("causes", _("Alarms by cause"), causes, [_cause(one.label) for one in causes], (_("Cause"), _("Times"))),
    ]  # fmt: skip


def _section(id_: str, title: str, found: list[Figure], labels: list[str], columns: tuple[str, str]) -> Section:
    rows = [(label, one.count) for one, label in zip(found, labels, strict=True)]
    return Section(
        id=id_, title=title, chart=bars(found, labels, title), columns=columns, rows=rows,
        note=_("%(count)s in all, of what is shown", count=total(found)),
    )  # fmt: skip


def _lying(id_: str, title: str, found: list[Figure], labels: list[str], columns: tuple[str, str]) -> Section:
    rows = [(label, one.count) for one, label in zip(found, labels, strict=True)]
    return Section(id=id_, title=title, chart=lying_bars(found, labels, title) if found else None, columns=columns,
                   rows=rows)  # fmt: skip


def _days(found: list[Figure]) -> list[str]:
    """Days without their year, for a narrow axis."""
    days = [date.fromisoformat(one.label) for one in found]
    return [f"{day.month}/{day.day}" if spoken() == "ja" else f"{day.day} {day:%b}" for day in days]


def _minutes_of(day: date) -> int:
    """How many minutes of a day are over."""
    now = moment_of(now_ms())
    return now.hour * 60 + now.minute if now is not None and now.date() == day else 24 * 60


def _hourly(found: list[Step]) -> list[tuple[str, int | None]]:
    """The steps at each full hour, for whoever reads the table."""
    rows: list[tuple[str, int | None]] = []
    for hour in range(24):
        before = [one for one in found if one.minute <= hour * 60]
        rows.append((f"{hour}:00", before[-1].heads if before else 0))
    return rows


def _cause(code: str) -> str:
    return str(CAUSES[code]) if code in CAUSES else _("not said yet")


def _reviews(view: View, span: Span, names: dict[str, str]) -> list[dict[str, Any]]:
    found = reviews(view.engine, today(), span.zones)
    return [{"review": one, "zone": names.get(one.zone, one.zone)} for one in found]
