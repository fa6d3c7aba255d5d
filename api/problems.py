"""Every error as application/problem+json (RFC 9457), in Japanese or English, never echoing what was sent.

A request may carry a card number or a name: neither may come back in an error, nor reach a log.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from api.problem_words import PROBLEMS
from api.texts import Language, spoken
from api.words import FIELD_FAULTS

log = logging.getLogger(__name__)

_WAIT: Final[Mapping[int, Mapping[str, str]]] = {429: {"Retry-After": "5"}, 503: {"Retry-After": "5"}}
"""When to try again, where nobody said better."""

_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 400: "bad_request", 422: "not_valid"}


class Problem(Exception):
    """A request that cannot be carried out. `code` is stable and has its words in `api.words.PROBLEMS`."""

    def __init__(
        self,
        code: str,
        status: int,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code)
        self.code, self.status, self.headers, self.members = code, status, dict(headers or {}), dict(members or {})


def answer(
    code: str, status: int, *, path: str, language: Language, headers: Mapping[str, str] | None = None,
    members: Mapping[str, object] | None = None,
) -> JSONResponse:  # fmt: skip
    """The response for a problem. `why` in `members`: the controller's own words."""
    title, detail = PROBLEMS.get(code, PROBLEMS["not_done"])[language]
    rest = dict(members or {})
    if language == "en" and (why := rest.pop("why", None)):  # the controller speaks English: for ja it stays apart
        detail = f"{detail} ({why})"
    content = {
        "type": f"urn:sekisho:problem:{code}", "title": title, "status": status, "detail": detail,
        "instance": path, "code": code, **rest,
    }  # fmt: skip
    return JSONResponse(
        _printable(content), status, media_type="application/problem+json",
        headers={**_WAIT.get(status, {}), **(headers or {}), "Content-Language": language, "Cache-Control": "no-store"},
    )  # fmt: skip


def _printable(value: Any) -> Any:
    """Lone surrogates from hostile JSON cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def install(app: FastAPI, page: Callable[[Request, str, int], Response | None]) -> None:
    """Make every error of `app` a problem; where a browser asked for a page, `page` answers with one."""

    def respond(
        request: Request, code: str, status: int, headers: Mapping[str, str] | None = None, **members: object
    ) -> Response:
        shown = page(request, code, status)
        if shown is not None:
            shown.headers.update(headers or {})
            return shown
        return answer(code, status, path=request.url.path, language=spoken(), headers=headers, members=members)

    async def of_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return respond(request, error.code, error.status, error.headers, **error.members)

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_of(request))
        return respond(request, _OF_STATUS.get(error.status_code, "bad_request"), error.status_code, headers)

    async def of_fields(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [_fault(item, spoken()) for item in error.errors()[:20]]
        return respond(request, "not_valid", 422, errors=faults)

    app.add_exception_handler(Problem, of_problem)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(RequestValidationError, of_fields)


def log_fault(error: Exception, method: str, path: str) -> None:
    """Say where a fault of ours arose, without its message: that may carry a name or a card number."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-6:]))
    log.error("%s %s: %s at %s", method, path, type(error).__name__, where)


def _methods_of(request: Request) -> list[str]:
    """All methods of the path: Starlette itself names those of the first route only."""
    found: set[str] = set()
    path = request.url.path
    for prefix, route in request.app.state.routes:
        if path.startswith(prefix) and route.path_regex.match(path.removeprefix(prefix)):
            found |= route.methods or set()
    return sorted(found)


def _fault(item: Mapping[str, Any], language: Language) -> dict[str, str]:
    place = [str(part)[:64] for part in item.get("loc", ())]
    kind = str(item.get("type", ""))
    words = FIELD_FAULTS.get(kind) or FIELD_FAULTS.get(kind.split("_", maxsplit=1)[0]) or FIELD_FAULTS["other"]
    detail = str(item["ctx"]["error"]) if kind == "value_error" and "ctx" in item else words[language]
    if kind == "value_error" and (translated := FIELD_FAULTS.get(detail)) is not None:
        detail = translated[language]
    return {"pointer": "/" + "/".join(place[1:]), "in": place[0] if place else "body", "detail": detail}
