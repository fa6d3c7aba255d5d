"""Registers on paper: A4 landscape, boxes for three seals, a header on each page, and what a sheet is known by."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from api import ledger
from api.access import Permission, Who, require
from api.days import era_year, long_date, short_date
from api.live import now_ms
from api.pages.frame import render
from api.pages.looks import look_of
from api.parts import Here, Parts
from api.problems import Problem
from api.register import today
from api.sheets.delimited import write_csv
from api.sheets.table import Cell, Table
from api.texts import spoken
from api.transfer.exports import rows_of, table_of
from api.transfer.registers import REGISTERS

router = APIRouter(include_in_schema=False)
SeesPeople = Annotated[Who, Depends(require(Permission.PEOPLE))]

NEEDS: Final = {
    "people": Permission.PEOPLE, "credentials": Permission.PEOPLE, "rosters": Permission.RIGHTS,
}  # fmt: skip


@router.get("/print/{register}")
def printed(
    here: Here, request: Request, who: SeesPeople, register: str,
    zone: Annotated[str, Query(max_length=64)] = "",
) -> HTMLResponse:  # fmt: skip
    """One register, whole, for paper; a roster of one `zone` alone where that is asked."""
    if register not in REGISTERS:
        raise Problem("not_found", 404)
    if not who.may(NEEDS[register]):
        raise Problem("not_your_role", 403)
    one, look = REGISTERS[register], look_of(here, who)
    seq = here.view.seq
    docs = [doc for doc in rows_of(here, who, one) if not zone or doc.get("zone") == zone]
    docs.sort(key=lambda doc: (doc.get("zone", ""), look.order(str(doc.get("cardholder", doc["id"]))), doc["id"]))
    table = table_of(one, docs)
    return render(
        request, who, "print.html", register=str(one.name), rows=[[_cell(cell) for cell in row] for row in table.rows],
        columns=[column.title for column in table.columns], day=long_date(today()), seq=seq, at_ms=now_ms(),
        sha256=content_hash(table), code=_code(here), zone=look.zone_name(zone) if zone else "", register_code=register,
        zones=[(name, look.zone_name(name)) for name in look.policy.zones if who.may_see_zone(name)], chosen=zone,
    )  # fmt: skip


def content_hash(table: Table) -> str:
    """SHA-256 of what is printed, as its CSV: whoever exports the same register at the same moment finds the same."""
    return hashlib.sha256(write_csv(table)).hexdigest()


MARKS: Final = {"はい": "○", "いいえ": "–", "yes": "○", "no": "–"}
"""On paper a mark is quicker to read than a word."""


def _cell(cell: Cell) -> str:
    """A day with both ways of counting years."""
    if not isinstance(cell, date):
        return MARKS.get(cell or "", cell or "")
    era = era_year(cell) if spoken() == "ja" else ""
    return f"{cell:%Y/%m/%d} ({era})" if era else short_date(cell)


def _code(here: Parts) -> str:
    """The short code of the newest checkpoint; empty while there is none."""
    try:
        return str(ledger.day_code(here).get("code", ""))
    except Problem:
        return ""
