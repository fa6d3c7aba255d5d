"""What a file would do to a register, row by row, before anything is proposed: added, changed, taken away, left.

Pure. Each fault has its row and its column; a file with a fault proposes nothing. An empty cell leaves a row that is
there as it is.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from api.models import (
    CardholderCreate,
    CardholderUpdate,
    CredentialCreate,
    CredentialUpdate,
    RosterCreate,
    RosterUpdate,
)
from api.names import Name
from api.sheets.table import Taken, TakenRow
from api.transfer.registers import FALSE_WORDS, TRUE_WORDS, Field, Register, folded

Doc = dict[str, Any]
NAMES: Final = ("name", "kana", "roman")
FAULTS_MAX: Final = 200

_MODELS: Final[Mapping[str, tuple[type[BaseModel], type[BaseModel]]]] = {
    "people": (CardholderCreate, CardholderUpdate),
    "credentials": (CredentialCreate, CredentialUpdate),
    "rosters": (RosterCreate, RosterUpdate),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, where. `field`: code of the column's field, where that is known."""

    row: int
    column: int
    code: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What becomes of one row. `kind`: add, change, remove. `number`: its row in the file, 0 where it is not in it.
    `put`: the row as it would stand, with a card's number; `was`: as it stands; `changed`: fields with what
    they were and are. `name`: what the person is called from then on, `name_was` before.
    """

    kind: str
    number: int
    id: str
    put: Doc | None
    was: Doc | None = None
    changed: tuple[tuple[str, str, str], ...] = ()
    cardholder: str = ""
    name: Name | None = None
    name_was: Name | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a file is held against. `rows`: of the register, those that are there; `gone`: ids of those that were ended;
    `known`: ids by table that a column may refer to.
    """

    rows: Mapping[str, Doc]
    gone: frozenset[str]
    names: Mapping[str, Name]
    known: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a file would do. `same`: rows of it that are as they stand."""

    register: str
    how: str
    moves: tuple[Move, ...] = ()
    same: int = 0
    faults: tuple[Fault, ...] = ()

    def count(self, kind: str) -> int:
        """How many rows are moved so."""
        return sum(move.kind == kind for move in self.moves)


class _Stop(Exception):
    """Enough faults."""


@dataclass(slots=True)
class _Reading:
    register: Register
    standing: Standing
    columns: dict[int, Field]
    faults: list[Fault] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    same: int = 0

    def fault(self, row: int, code: str, name: str = "") -> None:
        column = next((nth + 1 for nth, one in self.columns.items() if one.code == name), 0)
        self.faults.append(Fault(row=row, column=column, code=code, field=name))
        if len(self.faults) >= FAULTS_MAX:
            raise _Stop


def preview(
    register: Register, taken: Taken, standing: Standing, *, removes: bool, today: date,
    progress: Callable[[int], None] = lambda _: None,
) -> Preview:  # fmt: skip
    """What `taken` would do. `removes`: rows that are not in the file are taken away."""
    columns, faults = _columns(register, taken)
    reading = _Reading(register, standing, columns, faults)
    if not faults:
        try:
            for nth, row in enumerate(taken.rows):
                _read(reading, row)
                if nth % 100 == 0:
                    progress(nth)
            if removes:
                reading.moves += _removals(reading, today)
        except _Stop:
            pass
    if reading.faults:
        return Preview(register=register.code, how=taken.how, faults=tuple(reading.faults))
    return Preview(register=register.code, how=taken.how, moves=tuple(reading.moves), same=reading.same)


def _columns(register: Register, taken: Taken) -> tuple[dict[int, Field], list[Fault]]:
    columns: dict[int, Field] = {}
    faults: list[Fault] = []
    for nth, title in enumerate(taken.header):
        found = register.field_of(title)
        if found is None:
            faults.append(Fault(row=1, column=nth + 1, code="unknown_column"))
        elif found in columns.values():
            faults.append(Fault(row=1, column=nth + 1, code="header_twice", field=found.code))
        else:
            columns[nth] = found
    there = {one.code for one in columns.values()}
    faults += [Fault(row=1, column=0, code="missing_column", field=one) for one in register.needed if one not in there]
    return columns, faults


def _read(reading: _Reading, row: TakenRow) -> None:
    before = len(reading.faults)
    said = dict(_values(reading, row))
    if len(reading.faults) > before:
        return
    name = _id_of(reading, said)
    if name in reading.seen:
        reading.fault(row.number, "twice", "id")
        return
    reading.seen[name] = row.number
    if name in reading.standing.gone:
        reading.fault(row.number, "ended", "id")
    elif name in reading.standing.rows:
        _change(reading, row.number, name, said)
    else:
        _add(reading, row.number, name, said)


def _values(reading: _Reading, row: TakenRow) -> Iterator[tuple[str, Any]]:
    """What the cells say, by field; empty ones say nothing."""
    for nth, one in reading.columns.items():
        text = row.cells[nth].strip()
        if one.is_told or not text:
            continue
        value = _value(one, text)
        if value is None:
            reading.fault(row.number, "not_valid", one.code)
        elif one.refers and value not in reading.standing.known[one.refers]:
            reading.fault(row.number, f"unknown_{one.refers}", one.code)
        else:
            yield one.code, value


def _value(one: Field, text: str) -> Any:
    word = folded(text)
    if one.kind == "flag":
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
    if one.kind == "whole":
        return int(word) if word.isascii() and word.isdigit() and len(word) < 16 else None
    if one.kind == "choice":
        return next(
            (code for code, said in one.choices.items() if word in {folded(code), *map(folded, said.values())}), None
        )
    if one.kind == "day":
        return text.replace("/", "-") if text.count("/") == 2 and len(text) == 10 else text
    return text


def _id_of(reading: _Reading, said: Doc) -> str:
    """The id that the row names; for rosters without one that of the same person and zone; else a new one."""
    if (named := said.get("id")) is not None:
        return str(named)
    if reading.register.code == "rosters":
        pair = (said.get("cardholder"), said.get("zone"))
        found = [name for name, doc in reading.standing.rows.items() if (doc["cardholder"], doc["zone"]) == pair]
        if found:
            return found[0]
    return f"{reading.register.prefix}-{secrets.token_hex(6)}"


def _add(reading: _Reading, number: int, id: str, said: Doc) -> None:
    model = _MODELS[reading.register.code][0]
    asked = _checked(reading, number, model, {**said, "id": id})
    if asked is None:
        return
    put: Doc = asked.model_dump(mode="json", exclude_unset=True, exclude_none=True) | {"id": id}
    name = None
    if reading.register.code == "people":
        name = Name(cardholder=id, name=put.pop("name"), kana=put.pop("kana", ""), roman=put.pop("roman", ""))
    if reading.register.code == "credentials":
        put.setdefault("state", "ACTIVE")
    if not _is_in_order(reading, number, put):
        return
    reading.moves.append(
        Move(kind="add", number=number, id=id, put=put, name=name, cardholder=put.get("cardholder", id))
    )  # fmt: skip


def _change(reading: _Reading, number: int, id: str, said: Doc) -> None:
    doc = reading.standing.rows[id]
    was_name = reading.standing.names.get(id) if reading.register.code == "people" else None
    present = {**_defaults(reading.register), **doc}
    if reading.register.code == "people":
        present |= {one: getattr(was_name, one, "") for one in NAMES}
    differs = {code: value for code, value in said.items() if code != "id" and present.get(code) != value}
    if fixed := sorted(reading.register.fixed & differs.keys()):
        for one in fixed:
            reading.fault(number, "number_given" if one == "number" else "fixed", one)
        return
    if not differs:
        reading.same += 1
        return
    asked = _checked(reading, number, _MODELS[reading.register.code][1], differs)
    if asked is None:
        return
    fields: Doc = asked.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    named: dict[str, str] = {one: fields.pop(one) for one in NAMES if one in fields}
    if not _is_in_order(reading, number, {**doc, **fields}):
        return
    reading.moves.append(
        Move(
            kind="change", number=number, id=id, put={**doc, **fields} if fields else None, was=doc,
            changed=tuple((code, _shown(present.get(code)), _shown(value)) for code, value in differs.items()),
            cardholder=doc.get("cardholder", id), name=_renamed(id, was_name, named), name_was=was_name,
        )
    )  # fmt: skip


def _is_in_order(reading: _Reading, number: int, put: Doc) -> bool:
    """Whether a place's days follow one another."""
    if reading.register.code != "rosters":
        return True
    if put["until_on"] < put["from_on"]:
        reading.fault(number, "order", "until_on")
        return False
    if not put["from_on"] <= put["review_on"] <= put["until_on"]:
        reading.fault(number, "review_outside", "review_on")
        return False
    return True


def _renamed(id: str, was: Name | None, named: Mapping[str, str]) -> Name | None:
    if not named:
        return None
    parts = {one: getattr(was, one, "") for one in NAMES} | dict(named)
    return Name(cardholder=id, **parts)


def _defaults(register: Register) -> Doc:
    """What a row says that leaves a field out."""
    plain: dict[str, Any] = {"flag": False, "whole": 0}
    return {one.code: plain[one.kind] for one in register.fields if one.kind in plain} | {"kind": "STAFF"}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


def _checked(reading: _Reading, number: int, model: type[BaseModel], said: Doc) -> BaseModel | None:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False):
            name = str(one["loc"][0]) if one["loc"] else ""
            code = "needed" if one["type"] == "missing" else "not_valid"
            reading.fault(number, code if name else "order", name or "until_on")
    return None


def _removals(reading: _Reading, today: date) -> list[Move]:
    """Rows that are there and not in the file."""
    moves = []
    for name, doc in reading.standing.rows.items():
        if name in reading.seen or (
            reading.register.code == "credentials" and doc["state"] not in ("ISSUED", "ACTIVE")
        ):
            continue
        ended = {"state": "RETURNED"} if reading.register.code == "credentials" else {"ended_on": today.isoformat()}
        about = doc.get("cardholder", name)
        moves.append(Move(kind="remove", number=0, id=name, put={**doc, **ended}, was=doc, cardholder=about))
    return moves
