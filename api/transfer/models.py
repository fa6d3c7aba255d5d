"""What the API says of files that come in and go out. FastAPI reads annotations at run time; they are simple here."""

from typing import Literal

from pydantic import ConfigDict, Field

from api.models import Asked, Given, iso
from api.problem_words import PROBLEMS
from api.texts import spoken
from api.transfer.imports import Import, Undone
from api.transfer.preview import Fault, Move
from api.transfer.registers import REGISTERS
from api.transfer.says import fault_says, move_says
from api.transfer.tables import AgreementRow

RegisterWord = Literal["people", "credentials", "rosters"]
FormWord = Literal["csv", "xlsx"]
EncodingWord = Literal["utf-8", "cp932"]
PurposeWord = Literal["incident", "audit", "disclosure", "safety", "correction"]

assert set(RegisterWord.__args__) == set(REGISTERS)  # type: ignore[attr-defined]


class FaultPublic(Given):
    """`row` and `column` as a spreadsheet counts them, from 1; 0: the file as a whole."""

    row: int
    column: int
    code: str
    field: str
    detail: str


class MovePublic(Given):
    """What would become of one row, and why."""

    kind: Literal["add", "change", "remove"]
    row: int
    id: str
    cardholder: str
    detail: str


class ImportPublic(Given):
    """A file that came in. `state`: READING, READY, FAULTY, PROPOSING, PROPOSED, STOPPED. `done` of `total` rows."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "imp-0123456789abcdef", "register": "rosters", "state": "READY", "done": 2, "total": 2, "add": 1,
                "change": 1, "remove": 0, "same": 0, "faults": [], "proposals": [], "renamed": 0, "code": "",
                "detail": "", "how": "CSV, utf-8, comma",
                "rows": [
                    {"kind": "add", "row": 2, "id": "r-0a1b2c", "cardholder": "c-12", "detail": "new"},
                ],
                "next": None,
            }
        }
    )  # fmt: skip
    id: str
    register_: RegisterWord = Field(alias="register")
    state: str
    done: int
    total: int
    how: str = ""
    add: int = 0
    change: int = 0
    remove: int = 0
    same: int = 0
    faults: tuple[FaultPublic, ...] = ()
    rows: tuple[MovePublic, ...] = ()
    next: int | None = None
    proposals: tuple[str, ...] = ()
    renamed: int = 0
    code: str = ""
    detail: str = ""


class UndonePublic(Given):
    """What undoing came to. `left`: ids of rows that were changed since and stay as they are."""

    proposals: list[str]
    withdrawn: int
    left: list[str]
    renamed: int


class AgreementAsked(Asked):
    """What a second officer is asked to agree to: that a register goes out as a file."""

    model_config = ConfigDict(json_schema_extra={"example": {"register": "rosters", "purpose": "audit"}})
    register_: RegisterWord = Field(alias="register")
    purpose: PurposeWord


class AgreementPublic(Given):
    """`second`: who agreed; null while nobody has. Usable once, until `until`."""

    id: str
    kind: Literal["EXPORT", "UNMASK"]
    asker: str
    purpose: PurposeWord
    about: str
    count: int
    made_at: str | None
    until: str | None
    second: str | None


def agreement_public(row: AgreementRow) -> AgreementPublic:
    """An agreement as the API gives it."""
    return AgreementPublic.model_validate(
        {
            "id": row.id, "kind": row.kind, "asker": row.asker, "purpose": row.purpose, "about": row.about,
            "count": row.count, "made_at": iso(row.made_ms), "until": iso(row.until_ms), "second": row.second,
        }
    )  # fmt: skip


def undone_public(undone: Undone) -> UndonePublic:
    """What undoing came to, as the API gives it."""
    return UndonePublic(
        proposals=list(undone.proposals), withdrawn=undone.withdrawn, left=list(undone.left), renamed=undone.names
    )  # fmt: skip


def import_public(one: Import, first: int, limit: int) -> ImportPublic:
    """An import as the API gives it: rows from number `first` on."""
    preview = one.preview
    moves = preview.moves[first : first + limit] if preview else ()
    return ImportPublic.model_validate(
        {
            "id": one.id, "register": one.register, "state": one.state, "done": one.count, "total": one.total,
            "how": preview.how if preview else "", "same": preview.same if preview else 0,
            **{kind: preview.count(kind) if preview else 0 for kind in ("add", "change", "remove")},
            "faults": [_fault(one, fault) for fault in preview.faults] if preview else [],
            "rows": [_move(one, move) for move in moves],
            "next": first + limit if preview and first + limit < len(preview.moves) else None,
            "proposals": list(one.proposals), "renamed": one.renamed, "code": one.code,
            "detail": " ".join(PROBLEMS[one.code][spoken()]) if one.code in PROBLEMS else "",
        }
    )  # fmt: skip


def _fault(one: Import, fault: Fault) -> FaultPublic:
    return FaultPublic(
        row=fault.row, column=fault.column, code=fault.code, field=fault.field, detail=fault_says(one.register, fault)
    )  # fmt: skip


def _move(one: Import, move: Move) -> MovePublic:
    return MovePublic.model_validate(
        {
            "kind": move.kind, "row": move.number, "id": move.id, "cardholder": move.cardholder,
            "detail": move_says(one.register, move),
        }
    )  # fmt: skip
