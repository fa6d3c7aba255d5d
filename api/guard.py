"""Before any route: is this host ours, is the body small, and what every answer must carry. Plain ASGI, no state.

A page on another site can make a browser here send requests, and a name that is re-pointed at 127.0.0.1 can make it
read the answers: the Host check stops the second, `api.signin.keeper` the first.
"""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.nonce import new_nonce
from api.once import is_known
from api.problems import answer, log_fault
from api.texts import language_of

BODY_BYTES_MAX: Final = 64 * 1024
FILE_PATH: Final = "/api/v1/imports"
FILE_BYTES_MAX: Final = 10 * 1024 * 1024 + BODY_BYTES_MAX
"""The one address that takes a file, of 10 MB and what a form puts around it; only of somebody who is known: a stranger
would hold both places.
"""

FILES_MAX: Final = 2
"""How many of them are held at a time."""

POLICY: Final = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types htmx app"
)
"""What a page may load and do: our own files, nothing written into it. `nonce`: what htmx knows our elements by."""

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
    "publickey-credentials-get=(self), publickey-credentials-create=(self)",
}

TLS_HEADER: Final = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
"""Where this process speaks TLS, browsers never ask without it again. Not of localhost: it is not ours alone."""


class Guard:
    """Refuses other host names and large bodies; adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, host_names: frozenset[str]) -> None:
        self._app = app
        self._host_names = host_names
        self._files = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                return await send({"type": "websocket.close", "code": 1008})
            return await self._app(scope, receive, send)

        has_begun = False
        policy = POLICY.format(nonce=new_nonce())

        async def guarded(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = policy
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                if scope["scheme"] == "https" and _name_of(Headers(scope=scope).get("host", "")) != "localhost":
                    headers[TLS_HEADER[0]] = TLS_HEADER[1]
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._judge(scope, receive, guarded)
        except Exception as error:  # noqa: BLE001  the rim: a fault of ours is answered as a problem, and told without its words
            log_fault(error, scope["method"], scope["path"])
            if not has_begun:
                await self._refuse("internal", 500, scope, receive, guarded)

    async def _judge(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _name_of(Headers(scope=scope).get("host", "")) not in self._host_names:
            return await self._refuse("other_host", 421, scope, receive, send)
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        shows = "cookie" in headers or "authorization" in headers
        if scope["path"] == FILE_PATH and shows and await run_in_threadpool(is_known, scope):
            return await self._file(scope, receive, send)
        body = await _body(receive, BODY_BYTES_MAX)
        if body is None:
            return await self._refuse("too_large", 413, scope, receive, send)
        return await self._app({**scope, "sekisho.body": body}, _replay(body, receive), send)

    async def _file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A file, while not too many are held."""
        if self._files >= FILES_MAX:
            return await self._refuse("busy", 503, scope, receive, send)
        self._files += 1
        try:
            body = await _body(receive, FILE_BYTES_MAX)
            if body is None:
                return await self._refuse("file_too_large", 413, scope, receive, send)
            return await self._app({**scope, "sekisho.body": body}, _replay(body, receive), send)
        finally:
            self._files -= 1

    async def _refuse(self, code: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        language = language_of(Headers(scope=scope).get("accept-language", ""))
        await answer(code, status, path=scope["path"], language=language)(scope, receive, send)


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    host = host.strip().lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def _body(receive: Receive, most: int) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
