"""Days and times as people here write them: Japan's clock, and 西暦 or 和暦 as is chosen (D-30)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from typing import Final, Literal

from api.texts import Language, spoken
from zones.moment import JST

Years = Literal["western", "japanese"]
YEARS: Final[tuple[Years, ...]] = ("western", "japanese")
_ERAS: Final = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))
_DAYS: Final = ("月", "火", "水", "木", "金", "土", "日")
_counting: ContextVar[Years] = ContextVar("years", default="western")


def counted() -> Years:
    """How years are written in what is being answered."""
    return _counting.get()


@contextmanager
def counting(years: Years) -> Iterator[None]:
    """Write years so within the block."""
    token = _counting.set(years)
    try:
        yield
    finally:
        _counting.reset(token)


def long_date(day: date, language: Language | None = None) -> str:
    """With the day of the week, and in Japanese with both ways of counting years: for heads and for what is printed."""
    if (language or spoken()) == "en":
        return f"{day:%A} {day.day} {day:%B %Y}"
    era = era_year(day)
    return f"{day.year}年{f'({era})' if era else ''}{day.month}月{day.day}日({_DAYS[day.weekday()]})"


def short_date(day: date | str | None) -> str:
    """For columns: 2026/11/30, 令和8年11月30日, or 30 Nov 2026. Takes a register's text as well; empty for no day."""
    if not day:
        return ""
    if isinstance(day, str):
        day = date.fromisoformat(day[:10])
    if spoken() == "en":
        return f"{day.day} {day:%b %Y}"
    era = era_year(day)
    return f"{era}{day.month}月{day.day}日" if counted() == "japanese" and era else f"{day:%Y/%m/%d}"


def moment_of(at_ms: int | None) -> datetime | None:
    """Epoch milliseconds as an aware time in Japan; None where there is none or it cannot be one."""
    if at_ms is None:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, JST)
    except (OverflowError, ValueError, OSError):
        return None


def short_moment(at_ms: int | None) -> str:
    """Day, hour and minute; empty where there is none."""
    at = moment_of(at_ms)
    return "" if at is None else f"{short_date(at.date())} {at:%H:%M}"


def era_year(day: date) -> str:
    """令和8年; 元年 for the first; empty before 昭和."""
    found = next(((name, day.year - first.year + 1) for first, name in _ERAS if day >= first), None)
    if found is None:
        return ""
    name, year = found
    return f"{name}{'元' if year == 1 else year}年"
