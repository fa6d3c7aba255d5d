"""The public holidays of a country, as days (B-03).

They are made by the `holidays` library when the locks are renewed (requirements/renew) and kept beside this file: the
library costs half a second and 45 MB at every start of a controller, and two controllers with the same program must
have the same calendar. A test holds the days against the library.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

YEARS: Final = (2025, 2040)
"""First and last year that the national days are known for; the law may change them before that."""


class National(StrEnum):
    """Countries whose holidays are known here."""

    JP = "JP"


@cache
def national_days(country: National) -> tuple[date, ...]:
    """The public holidays of `country` in YEARS, in order, with substitutes (振替休日) and bridges (国民の休日)."""
    text = Path(__file__).with_name(f"holidays_{country.value.lower()}.txt").read_text("utf-8")
    return tuple(date.fromisoformat(line[:10]) for line in text.splitlines() if not line.startswith("#"))


def days_of(country: National | None, days: Iterable[date]) -> tuple[date, ...]:
    """A calendar's days: the country's, where it names one, and its own; each once, in order."""
    return tuple(sorted({*days, *(() if country is None else national_days(country))}))
