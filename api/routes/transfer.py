"""Registers as files: exports that take two officers, imports with a preview before anything is proposed, and undone.

A file is sent as the whole body, or as the `file` of a browser's form; this is the one route that takes 10 MB.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.access import Permission, Who, require
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS
from api.sheets.delimited import NotInCp932
from api.sheets.files import CSV_MEDIA, XLSX_MEDIA, write_table
from api.transfer.exports import people_in, record_export, rows_of, table_of
from api.transfer.form import is_form, taken_apart
from api.transfer.models import (
    AgreementAsked,
    AgreementPublic,
    EncodingWord,
    FormWord,
    ImportPublic,
    PurposeWord,
    RegisterWord,
    UndonePublic,
    agreement_public,
    import_public,
    undone_public,
)
from api.transfer.registers import REGISTERS

router = APIRouter(responses=PROBLEMS, tags=["files"])

Exports = Annotated[Who, Depends(require(Permission.EXPORT))]
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]
Agrees = Annotated[Who, Depends(require(Permission.RIGHTS))]
Name = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,40}$")]
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The register as a file.",
        "content": {
            media.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for media in (CSV_MEDIA, XLSX_MEDIA)
        },
    }
}


@router.get("/exports/{register}", response_class=Response, responses=FILES)
def export_register(
    here: Here,
    who: Exports,
    register: RegisterWord,
    purpose: Annotated[PurposeWord, Query(description="for what; recorded")],
    format: FormWord = "csv",
    encoding: Annotated[EncodingWord, Query(description="of CSV; cp932 for programs that know nothing else")] = "utf-8",
    agreement: Annotated[str | None, Query(max_length=40, description="what a second officer agreed to")] = None,
) -> Response:
    """A register as CSV (UTF-8 with a mark, CRLF) or Excel, recorded with its purpose before it goes out. Card numbers
    never do. Of several people it takes a second officer (`POST /agreements`), and a passkey that was just shown.
    """
    one = REGISTERS[register]
    docs = rows_of(here, who, one)
    table = table_of(one, docs)
    try:
        content, media = write_table(table, format, encoding)
    except NotInCp932 as error:
        places = [{"row": place.row, "column": place.column} for place in error.places[:500]]
        raise Problem("not_in_cp932", 409, members={"places": places}) from error
    record_export(
        here, who, purpose=purpose, about=register, count=people_in(one, docs), agreement=agreement
    )  # fmt: skip
    name = f'attachment; filename="sekisho-{register}.{format}"'
    return Response(content, media_type=media, headers={"Content-Disposition": name})


# -- a second officer --------------------------------------------------------------------------------------------------


@router.get("/agreements")
def list_agreements(here: Here, who: Agrees) -> list[AgreementPublic]:
    """What this officer asked for and has not used, and what waits for his agreement."""
    return [agreement_public(row) for row in (*here.agreements.asked_by(who), *here.agreements.waiting_for(who))]


@router.post("/agreements", status_code=201)
def ask_agreement(here: Here, who: Exports, asked: AgreementAsked) -> AgreementPublic:
    """Ask a second officer to agree that a register goes out."""
    one = REGISTERS[asked.register_]
    count = people_in(one, rows_of(here, who, one))
    return agreement_public(here.agreements.ask(who, "EXPORT", asked.purpose, asked.register_, count))


@router.post("/agreements/{id}/agree")
def agree(here: Here, who: Agrees, id: Name) -> AgreementPublic:
    """Agree, as another officer than the one who asks, with a passkey that was just shown."""
    return agreement_public(here.agreements.agree(who, id))


# -- files that come in ------------------------------------------------------------------------------------------------

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "id,name\r\nc-12,佐藤 花子\r\n"},
            XLSX_MEDIA: {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "register": {"enum": list(REGISTERS)},
                        "removes": {"type": "string"},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            },
        },
    }
}


@router.post("/imports", status_code=202, response_model=ImportPublic, openapi_extra=BODY)
async def import_register(
    here: Here,
    request: Request,
    who: Proposes,
    register: Annotated[RegisterWord | None, Query(description="which register; of a form: its field")] = None,
    removes: Annotated[bool, Query(description="rows that are not in the file are taken away")] = False,
) -> Response:
    """Read a file, in the background, and hold it against the register: `GET` the answer's Location until its state is
    READY (or FAULTY). Nothing is proposed by that.
    """
    content = await request.body()
    chosen: str | None = register
    kind = request.headers.get("content-type", "")
    if is_form(kind):
        form = taken_apart(kind, content)
        if form is None or form.content is None:
            raise Problem("not_valid", 422, members={"field": "file"})
        content, chosen = form.content, form.fields.get("register", chosen)
        removes = removes or bool(form.fields.get("removes"))
    if chosen is None or chosen not in REGISTERS:
        raise Problem("not_valid", 422, members={"field": "register"})
    one = here.imports.begin(here, who, REGISTERS[chosen], content, removes=removes)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"/transfer/{one.id}", 303)
    return Response(
        import_public(one, 0, 0).model_dump_json(by_alias=True), 202, media_type="application/json",
        headers={"Location": f"/api/v1/imports/{one.id}"},
    )  # fmt: skip


@router.get("/imports/{id}")
def get_import(
    here: Here,
    who: Proposes,
    id: Name,
    cursor: Annotated[int, Query(ge=0, le=1_000_000, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> ImportPublic:
    """How far it is, and what the file would do."""
    return import_public(here.imports.get(who, id), cursor, limit)


@router.post("/imports/{id}/proposals", status_code=202)
def propose_import(here: Here, who: Proposes, id: Name) -> ImportPublic:
    """Make proposals of what was looked at, up to 100 rows each, in the background: they wait for their signatures."""
    return import_public(here.imports.propose(here, who, id), 0, 0)


@router.post("/imports/{id}/undo", status_code=202)
def undo_import(here: Here, who: Proposes, id: Name) -> UndonePublic:
    """Withdraw what still waits, and propose what is in force as it was before."""
    return undone_public(here.imports.undo(here, who, id))
