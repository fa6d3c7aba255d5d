"""Idempotency-Key: a POST that is sent again gets the answer of the first, and is not done again.

Answers are kept in memory only, a bounded number of them: they may carry names. After a restart the controller, which
knows the key as the request's id, answers `repeated`.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer
from api.texts import language_of

KEPT_MAX: Final = 256
KEY: Final = re.compile(r"[A-Za-z0-9_.:-]{8,60}")


@dataclass(slots=True)
class _Answer:
    fingerprint: bytes
    messages: list[Message] | None = None


class Answers:
    """The answers that are kept, by key."""

    def __init__(self) -> None:
        self.kept: OrderedDict[str, _Answer] = OrderedDict()

    def clear(self) -> None:
        """Give none of them again: one may carry the name of somebody who was forgotten."""
        for key in [key for key, one in list(self.kept.items()) if one.messages is not None]:
            self.kept.pop(key, None)


class Once:
    """Keeps the 2xx answers of POSTs that carry an Idempotency-Key in `answers`, and gives them again."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app = app
        self._kept = answers.kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = Headers(scope=scope).get("idempotency-key") if scope["type"] == "http" else None
        if key is None or scope["method"] != "POST":
            return await self._app(scope, receive, send)
        if not KEY.fullmatch(key):
            return await _refuse("not_valid", 422, scope, receive, send)
        fingerprint = _fingerprint(scope)
        kept = self._kept.get(key)
        if kept is None:
            return await self._first(key, fingerprint, scope, receive, send)
        if kept.fingerprint != fingerprint:
            return await _refuse("key_reused", 422, scope, receive, send)
        if kept.messages is None:
            return await _refuse("key_in_use", 409, scope, receive, send)
        if not is_known(scope):  # whoever was signed out meanwhile is not told again what he was told
            return await self._app(scope, receive, send)
        start, *rest = kept.messages
        await send({**start, "headers": [*start["headers"], (b"idempotency-replayed", b"true")]})
        for message in rest:
            await send(message)
        return None

    async def _first(self, key: str, fingerprint: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        kept = self._kept[key] = _Answer(fingerprint)
        messages: list[Message] = []

        async def keeping(message: Message) -> None:
            messages.append(dict(message))
            await send(message)

        try:
            await self._app(scope, receive, keeping)
        finally:
            if messages and 200 <= messages[0].get("status", 500) < 300 and not _signs_in(messages[0]):
                kept.messages = messages
                while len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
            else:
                self._kept.pop(key, None)


def is_known(scope: Scope) -> bool:
    """Whether whoever asks is still signed in, or his token still good."""
    try:
        scope["app"].state.parts.keeper.who(Request(scope))
    except Problem:
        return False
    return True


def _signs_in(start: Message) -> bool:
    """An answer that gives a browser its session is given once."""
    return any(name.lower() == b"set-cookie" for name, _ in start.get("headers", ()))


def _fingerprint(scope: Scope) -> bytes:
    """Who asked for what: the same key from another signed-in browser or token must not show this answer."""
    digest = hashlib.sha256()
    headers = Headers(scope=scope)
    for part in (scope["path"], headers.get("authorization", ""), headers.get("cookie", "")):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(scope.get("sekisho.body", b""))
    return digest.digest()


async def _refuse(code: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    language = language_of(Headers(scope=scope).get("accept-language", ""))
    await answer(code, status, path=scope["path"], language=language)(scope, receive, send)
