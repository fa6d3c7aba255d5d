"""A page that is not there, not his, or not now: the words of the problem in the frame, and the way to sign in."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from api.access import Who
from api.pages.frame import render
from api.problem_words import PROBLEMS
from api.problems import Problem
from api.texts import spoken

API: Final = "/api/"
SIGN_IN: Final = "/sign-in"


def refused(request: Request, code: str, status: int) -> Response | None:
    """The answer to a request for a page that fails, to the sign-in where nobody is signed in; None: no page was asked
    for, by a browser that would show it.
    """
    if request.url.path.startswith(API) or "text/html" not in request.headers.get("accept", ""):
        return None
    if status == 401 and request.url.path != SIGN_IN:
        asked = f"?next={quote(request.url.path, safe='/')}" if request.method == "GET" else ""
        return RedirectResponse(SIGN_IN + asked, 303)
    title, detail = PROBLEMS.get(code, PROBLEMS["not_done"])[spoken()]
    return render(request, _whoever(request), "refused.html", status=status, problem=title, detail=detail, code=code)


def _whoever(request: Request) -> Who | None:
    try:
        who: Who = request.app.state.parts.keeper.who(request)
    except Problem:
        return None
    return who
