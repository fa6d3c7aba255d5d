"""Registers as tables: what goes out, in the language of whoever asks; and the record that it did.

Of a card goes out what is shown of it, never its number. Whatever is about several people takes a second officer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from api.access import Who
from api.link import done
from api.parts import Parts
from api.problems import Problem
from api.register import is_there, today
from api.sheets.table import Cell, Column, Table
from api.texts import Said, spoken
from api.transfer.registers import YES, Field, Register
from controller.link.messages import PURPOSES, Done, Note

Doc = dict[str, Any]
NO: Final = Said("no", "cell")


def rows_of(here: Parts, who: Who, register: Register) -> list[Doc]:
    """Rows of a register that are there, in order of id, with what tells them to people."""
    day = today()
    docs = [doc for doc in here.view.rows(register.table) if is_there(register.table, doc, day)]
    if register.code == "rosters":
        docs = [doc for doc in docs if who.may_see_zone(doc["zone"])]
    names = here.view.names.all()
    zones = {doc["id"]: doc.get(f"name_{spoken()}") or doc["name_ja"] for doc in here.view.rows("zone")}
    shown = []
    for doc in docs:
        name = names.get(doc.get("cardholder", doc["id"]))
        told = {"called": name.name if name else "", "zone_name": zones.get(doc.get("zone", ""), "")}
        own = {one: getattr(name, one, "") for one in ("name", "kana", "roman")} if register.code == "people" else {}
        shown.append({**doc, **told, **own})
    return shown


def table_of(register: Register, docs: list[Doc]) -> Table:
    """These rows as a table with its header."""
    columns = [one for one in register.fields if not one.is_secret]
    return Table(
        name=str(register.name),
        columns=tuple(
            Column(title=str(one.title), width=one.width, is_date=one.kind == "day") for one in columns
        ),
        rows=tuple(tuple(_cell(one, doc) for one in columns) for doc in docs),
    )  # fmt: skip


def _cell(one: Field, doc: Mapping[str, Any]) -> Cell:
    value = doc.get(one.code)
    if one.kind == "flag":
        return str(YES) if value else str(NO)
    if one.kind == "choice":
        code = value or next(iter(one.choices))
        return str(one.choices.get(code, code))
    if one.kind == "whole":
        return str(value or 0)
    if value is None:
        return None
    return date.fromisoformat(value) if one.kind == "day" else str(value)


def people_in(register: Register, docs: list[Doc]) -> int:
    """How many people these rows are about."""
    return len({doc.get("cardholder", doc["id"]) if register.code != "people" else doc["id"] for doc in docs})


def record_export(here: Parts, who: Who, *, purpose: str, about: str, count: int, agreement: str | None) -> Done:
    """Have it recorded before anything goes out. Raises Problem: 422 without a purpose, 409 `two_people` where a second
    officer has not agreed, 403 where the passkey was not shown lately; then nothing goes out.
    """
    if purpose not in PURPOSES:
        raise Problem("no_purpose", 422, members={"purposes": list(PURPOSES)})
    if not who.is_fresh:
        raise Problem("step_up", 403)
    second = None
    if count > 1:
        if agreement is None:
            raise Problem("two_people", 409)
        second = here.agreements.use(who, agreement, "EXPORT", purpose, about)
    note = Note(
        id=secrets.token_hex(16), type="EXPORT", officer=who.officer, purpose=purpose, second=second, count=count
    )
    try:
        return done(here.requests.ask(lambda _: note))
    except Problem:
        if agreement is not None and second is not None:
            here.agreements.give_back(agreement)
        raise
