"""Who may ask: the bearer token of the token file, or the cookie that the page got for it (until officers sign in).

The cookie is not the token: it is derived from it, so that a stolen cookie store does not give the API away, and it
counts for unsafe methods only from our own page.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from api.problems import Problem

COOKIE: Final = "sekisho"
bearer = HTTPBearer(auto_error=False, description="The token of the token file.")


class Keeper:
    """Holds the token and judges what a request shows."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self.cookie = hmac.new(self._token, b"sekisho page", hashlib.sha256).hexdigest()

    def is_token(self, shown: str) -> bool:
        """Whether `shown` is the token; in constant time."""
        return hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token)

    def is_signed_in(self, request: Request) -> bool:
        """Whether the request carries the page's cookie."""
        shown = request.cookies.get(COOKIE, "").encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, self.cookie.encode())

    def judge(self, request: Request) -> None:
        """Raises Problem 401 or 403 where the request may not be served."""
        kind, _, shown = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.is_token(shown.strip()):
            return
        if not self.is_signed_in(request):
            raise Problem("no_token", 401, headers={"WWW-Authenticate": 'Bearer realm="sekisho"'})
        if request.method not in ("GET", "HEAD") and not _is_own_page(request):
            raise Problem("other_site", 403)


def _is_own_page(request: Request) -> bool:
    """Fetch metadata where the browser sends it, else the Origin; a request with neither is refused."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("origin") == f"{request.url.scheme}://{request.headers.get('host', '')}"


def signed_in(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
    """Dependency: the request may be served."""
    keeper: Keeper = request.app.state.parts.keeper
    keeper.judge(request)
