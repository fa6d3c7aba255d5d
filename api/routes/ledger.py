"""The ledger for others' tools: C2SP checkpoint and tiles, proofs of RFC 9162 (docs/ledger.md §7)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response

from api import ledger
from api.access import Permission, Who, require
from api.models import CodePublic, ConsistencyPublic, RecordProofPublic
from api.parts import Here
from api.register import PROBLEMS

router = APIRouter(prefix="/ledger", dependencies=[Depends(require(Permission.LEDGER))], responses=PROBLEMS)

FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}
NEVER = {"Cache-Control": "no-store"}
TEXT = "text/plain; charset=utf-8"
OCTETS = "application/octet-stream"


def _described(media: str, what: str) -> dict[int | str, dict[str, Any]]:
    """How a response that is no JSON is described."""
    schema = {"type": "string", **({"format": "binary"} if media == OCTETS else {})}
    return {200: {"description": what, "content": {media: {"schema": schema}}}}


Size = Annotated[int, Query(ge=0, le=2**53)]
TilePath = Annotated[str, Path(max_length=64, description="N in groups of three digits, `x001/234`; `.p/W` behind it")]


@router.get("/checkpoint", response_class=Response, responses=_described("text/plain", "C2SP tlog-checkpoint"))
def get_checkpoint(here: Here) -> Response:
    """The newest signed tree head, with the witnesses' signatures that there are for it."""
    return Response(ledger.newest_note(here), media_type=TEXT, headers=NEVER)


@router.get(
    "/tile/entries/{path:path}", response_class=Response, responses=_described(OCTETS, "leaves, C2SP tlog-tiles")
)
def get_entries(here: Here, path: TilePath) -> Response:
    """Up to 256 leaves, each after its length in two bytes. A leaf tells a record's number and class, and nothing of
    its content.
    """
    return Response(ledger.entries_of(here, path), media_type=OCTETS, headers=FOR_EVER)


@router.get(
    "/tile/{level}/{path:path}", response_class=Response, responses=_described(OCTETS, "hashes, C2SP tlog-tiles")
)
def get_tile(here: Here, level: Annotated[int, Path(ge=0, le=63)], path: TilePath) -> Response:
    """256 hashes of 32 bytes of one level of the tree, or W of them where the tile is not full."""
    return Response(ledger.hashes_of(here, level, path), media_type=OCTETS, headers=FOR_EVER)


@router.get("/code")
def get_code(here: Here, response: Response) -> CodePublic:
    """The short code of the newest checkpoint, for the inspection sheet: a person copies it, and `sekisho verify
    --code` holds the ledger against it years later.
    """
    response.headers.update(NEVER)
    return CodePublic.model_validate(ledger.day_code(here))


@router.get("/consistency")
def get_consistency(here: Here, response: Response, old: Size, new: Size | None = None) -> ConsistencyPublic:
    """That the log of `new` records (default: the newest checkpoint's) has grown out of that of `old` (RFC 9162
    §2.1.4).
    """
    response.headers.update(NEVER if new is None else FOR_EVER)
    return ConsistencyPublic.model_validate(ledger.consistency(here, old, new))


@router.get(
    "/records/{seq}/proof",
    response_model=RecordProofPublic,
    responses=_described("text/plain", "JSON, or C2SP tlog-proof"),
)
def get_record_proof(
    here: Here,
    who: Annotated[Who, Depends(require(Permission.LEDGER))],
    seq: Annotated[int, Path(ge=0, le=2**53)],
    purpose: Annotated[
        str | None, Query(max_length=64, description="why, where the record is about a person: a known purpose")
    ] = None,
    accept: Annotated[str, Header(max_length=1000)] = "",
) -> Response:
    """One record with what proves that it stands in the log, to be checked without us (`sekisho ledger check-proof`).

    As JSON, or with `Accept: text/plain` as C2SP tlog-proof with leaf, salt and body in `extra`. Where the record is
    about a person the look is recorded with its purpose first. Changes of the registers are proven by their leaf alone.
    """
    proof = ledger.proof_of(here, who.officer, seq, purpose)
    headers = {**NEVER, "Vary": "Accept"}
    if _wants_text(accept):
        return Response(proof.text, media_type=TEXT, headers=headers)
    shown = RecordProofPublic.model_validate(proof.document)
    return Response(shown.model_dump_json(exclude_none=True), media_type="application/json", headers=headers)


def _wants_text(accept: str) -> bool:
    """Whether plain text is named, and JSON is not named before it."""
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if "text/plain" not in named:
        return False
    return "application/json" not in named[: named.index("text/plain")]
