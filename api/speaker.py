"""Before any route: in which language, and counting which years, a request is answered. Plain ASGI, no state.

`?lang=` and `?years=` of the address come first, then the cookies of the same names (KEPT before them), then what the
browser prefers.
"""

from __future__ import annotations

from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Final, cast
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.days import YEARS, Years, counting
from api.texts import LANGUAGES, Language, language_of, speaking

LANGUAGE_COOKIE: Final = "lang"
YEARS_COOKIE: Final = "years"
KEPT: Final = "__Host-"
"""Before the name of each cookie that keeps a choice: it is of this host alone."""


class Speaker:
    """Whatever answers a request does it in the language of the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        language = _chosen(scope, headers, LANGUAGE_COOKIE, LANGUAGES) or language_of(
            headers.get("accept-language", "")
        )
        years = _chosen(scope, headers, YEARS_COOKIE, YEARS) or YEARS[0]
        with speaking(cast(Language, language)), counting(cast(Years, years)):
            await self._app(scope, receive, send)


def _chosen(scope: Scope, headers: Headers, name: str, allowed: Collection[str]) -> str | None:
    said = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(name, [])
    return next((one for one in (*said, _cookie(headers, KEPT + name)) if one in allowed), None)


def _cookie(headers: Headers, name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
