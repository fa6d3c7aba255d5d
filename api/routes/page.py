"""The officers' page: sign in with the token once, look, release. Scripts and styles are served from here alone."""

import secrets
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from api.auth import COOKIE
from api.history_page import Asked, history_page
from api.link import done
from api.page import Pages, away
from api.parts import Here
from api.problems import Problem
from api.words import PAGE, Language
from controller.link.messages import Note
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
async def page(here: Here, request: Request, token: str | None = None, lang: str = "ja") -> Response:
    """The page; with `token`, signs in and comes back without it, so that it stays out of the history."""
    language: Language = "en" if lang == "en" else "ja"
    if token is not None:
        return await run_in_threadpool(_sign_in, here, token, language)
    if not here.keeper.is_signed_in(request):
        return HTMLResponse(away(language, PAGE["sign_in_how"][language]), 401)
    pages: Pages = here.rendered["pages"]
    return HTMLResponse(await run_in_threadpool(pages.page, language))


def _sign_in(here: Here, token: str, language: Language) -> Response:
    if not here.keeper.is_token(token):
        return HTMLResponse(away(language, PAGE["sign_in_wrong"][language]), 401)
    try:
        note = Note(id=secrets.token_hex(16), type="SIGN_IN", officer=here.settings.officer)
        done(here.requests.ask(lambda _: note))
    except Problem:
        return HTMLResponse(away(language, PAGE["sign_in_unrecorded"][language]), 503, {"Retry-After": "5"})
    answer = RedirectResponse("/" if language == "ja" else "/?lang=en", 303)
    answer.set_cookie(COOKIE, here.keeper.cookie, httponly=True, samesite="strict", path="/")
    return answer


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
        return HTMLResponse(away(language, PAGE["sign_in_how"][language]), 401)
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
