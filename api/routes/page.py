"""The officers' page: look, release. Scripts and styles are served from here alone."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from api.history_page import Asked, history_page
from api.page import Pages
from api.parts import Here
from api.problems import Problem
from api.words import Language
from zones.ids import ID_PATTERN

STATIC = Path(__file__).parent.parent / "static"
KINDS = {
    "app.js": "text/javascript",
    "history.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page(here: Here, request: Request, lang: str = "ja") -> Response:
    """The page, for whoever is signed in."""
    language: Language = "en" if lang == "en" else "ja"
    if not here.keeper.is_signed_in(request):
        return RedirectResponse("/sign-in", 303)
    pages: Pages = here.rendered["pages"]
    return HTMLResponse(await run_in_threadpool(pages.page, language))


@router.get("/live")
async def live(here: Here, request: Request, lang: Annotated[str, Query()] = "ja") -> Response:
    """The part of the page that changes."""
    if not here.keeper.is_signed_in(request):
        raise Problem("no_token", 401)
    pages: Pages = here.rendered["pages"]
    return HTMLResponse(await run_in_threadpool(pages.live, "en" if lang == "en" else "ja"))


@router.get("/history")
async def history(
    here: Here,
    request: Request,
    cardholder: Annotated[str, Query(pattern=f"^({ID_PATTERN})?$")] = "",
    purpose: Annotated[str, Query(max_length=64)] = "",
    cursor: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    lang: Annotated[str, Query()] = "ja",
) -> Response:
    """One person's history. Each look is recorded, so that a link from elsewhere must not cause one: the cookie is
    sent from our own pages alone.
    """
    language: Language = "en" if lang == "en" else "ja"
    if not here.keeper.is_signed_in(request):
        return RedirectResponse("/sign-in?next=/history", 303)
    asked = Asked(cardholder=cardholder, purpose=purpose, cursor=cursor)
    shown, status = await run_in_threadpool(history_page, here, asked, language)
    return HTMLResponse(shown, status)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """One of the files of the pages."""
    if name not in KINDS:
        raise Problem("not_found", 404)
    return FileResponse(STATIC / name, media_type=KINDS[name], headers={"Cache-Control": "no-cache"})


@router.get("/favicon.ico")
async def favicon() -> Response:
    """Browsers ask for it whatever the page says."""
    return FileResponse(STATIC / "icon.svg", media_type=KINDS["icon.svg"])
