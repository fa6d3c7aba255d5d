"""Scripts, styles and icons of the pages, from here alone. An address that carries its mark may be kept for ever."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from api.pages.frame import STATIC, asset
from api.problems import Problem

KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}

router = APIRouter(include_in_schema=False)


@cache
def _names() -> frozenset[str]:
    """What there is, with the addresses below the folder."""
    return frozenset(
        path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file() and path.suffix in KINDS
    )


@router.get("/static/{name:path}")
async def static(name: str, v: str = "") -> Response:
    """One of the files of the pages."""
    if name not in _names():
        raise Problem("not_found", 404)
    is_marked = bool(v) and asset(name).endswith(f"={v}")
    kept = "public, max-age=31536000, immutable" if is_marked else "no-cache"
    kind = KINDS[f".{name.rpartition('.')[2]}"]
    return FileResponse(STATIC / name, media_type=kind, headers={"Cache-Control": kept})


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Browsers ask for it whatever the page says."""
    return FileResponse(STATIC / "icon.svg", media_type=KINDS[".svg"])
