"""The officers' page of the demo: the product's own, with one more way in, for a visitor without a passkey.

The link signs in `officer-you` with a strength of one: he may read and propose, and never sign. It is nowhere else: the
route is made here, in a program that `sekisho demo` alone starts; it needs the link's digest from the demo; and it
answers only while the controller says that its building is simulated, which no real site file makes it say.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api.app import create_app
from api.nonce import nonce
from api.pages.frame import asset
from api.parts import Here
from api.problems import Problem
from api.routes.signin import OwnPage, browser_of, signed_in_as
from api.settings import load_settings
from api.signin.models import LinkSignIn, WhoPublic
from sekisho.demo_officers import DIGEST, VISITOR

SIMULATION: Final = "simulation"
"""What the controller of a simulated building says of itself in every status."""

_PAGE: Final = """<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>デモ / Demo – Sekisho 関所</title><link rel="stylesheet" href="{style}">
<script src="{script}" nonce="{nonce}" defer></script></head>
<body><main><div class="card letter sign-in" data-ticket><h1>デモ / Demo</h1>
<div data-needs-ticket hidden>
<p>パスキーなしで担当者 officer-you として入ります。閲覧と変更の提案ができ、署名はできません。
模擬の担当者二名が、待っている変更に約10秒ずつで署名します。</p>
<p lang="en">Signs you in as officer-you without a passkey: you may read and propose, not sign. Two simulated officers
sign what waits, ten seconds each.</p>
<p class="buttons"><button type="button" class="main" data-link="/api/v1/sign-in/demo" data-next="/"
 aria-describedby="said">入る / Enter</button></p>
<p class="wrong" id="said" role="alert" data-failed="入れません / Not possible" hidden></p></div>
<div data-without-ticket><p>デモの端末のリンクを開いてください。/ Open the link that the demo printed.</p></div>
</div></main></body></html>
"""

page = APIRouter(include_in_schema=False)
sign_in = APIRouter(include_in_schema=False)


@page.get("/demo")
def demo_page() -> HTMLResponse:
    """What the printed link opens; its ticket stands behind #."""
    return HTMLResponse(_PAGE.format(style=asset("style.css"), script=asset("passkey.js"), nonce=nonce()))


@sign_in.post("/sign-in/demo", dependencies=[OwnPage])
def sign_in_at_demo(here: Here, request: Request, response: Response, asked: LinkSignIn) -> WhoPublic:
    """A session that reads and proposes. Raises Problem 404 beside a controller of real doors, 401 for another link."""
    status = here.view.live.status
    if status is None or SIMULATION not in status.deviations:
        raise Problem("not_found", 404)
    shown = hashlib.sha256(asked.ticket.encode()).hexdigest()
    if not hmac.compare_digest(shown, os.environ.get(DIGEST, "")):
        raise Problem("link_over", 401)
    browser = browser_of(request, here)
    here.signing_in.notes.record("SIGN_IN", VISITOR, purpose="link")
    if browser.was is not None:
        here.signing_in.sessions.end(browser.was.id_hash)
    secret, session = here.signing_in.sessions.open(officer=VISITOR, way="link", strength=1, agent=browser.agent)
    return signed_in_as(here, response, secret, session)


def main(file: str) -> None:
    """Serve with the settings of `file` until SIGTERM."""
    settings = load_settings(Path(file))
    app = create_app(settings)
    app.include_router(page)
    app.include_router(sign_in, prefix="/api/v1")
    uvicorn.run(
        app, host=settings.host, port=settings.port, access_log=False, log_level="warning", server_header=False,
        proxy_headers=False, timeout_graceful_shutdown=3, ws="none", lifespan="on",
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
