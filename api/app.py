"""The web process as an application: parts made at start, routes, guards. It starts with the controller away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute

from api import problems
from api.broadcast import Broadcast, Page, Wanted
from api.describe import describe
from api.feed import Feed, event_frame
from api.guard import Guard
from api.link import Requests
from api.live import is_current, now_ms
from api.models import iso
from api.name_keys import NameKeys
from api.names import Names
from api.once import Answers, Once
from api.pages import (
    alarms,
    approvals,
    audit,
    cards,
    certificate,
    devices,
    files,
    history,
    items,
    live,
    lockdown,
    me,
    naming,
    officer,
    officers,
    paper,
    people,
    person,
    plan,
    quarterly,
    roster,
    sessions,
    sheets,
    visitors,
    why,
    zone_acts,
)
from api.pages import log_review as log_review_page
from api.pages import reports as reports_page
from api.pages import roll_call as roll_call_page
from api.pages import settings as settings_page
from api.pages import signin as signin_pages
from api.pages.live import live_part
from api.pages.plan import plan_part
from api.pages.refused import refused
from api.parts import Parts
from api.proposals import Proposals
from api.review import Reviewer
from api.routes import alarms as alarms_calls
from api.routes import (
    enrolment,
    events,
    health,
    ledger,
    own,
    personal,
    places,
    proposals,
    registers,
    review,
    rights,
    signin,
    states,
    transfer,
)
from api.routes import log_review as log_review_calls
from api.routes import officers as officers_calls
from api.routes import reports as reports_calls
from api.routes import roll_call as roll_call_calls
from api.settings import Settings
from api.signin.start import signing_in_of
from api.speaker import Speaker
from api.store import open_store
from api.suggestions import Suggestions
from api.transfer.agreements import Agreements
from api.transfer.imports import Imports
from api.view import View

PREFIX = "/api/v1"
API_DB = "api.db"
PAGES = (
    files, reports_page, roll_call_page, log_review_page, signin_pages, sessions, certificate, live, lockdown, alarms,
    approvals, plan, history, roster, people, person, naming, cards, items, quarterly, me, devices, officers, officer,
    visitors, why, audit, sheets, paper, zone_acts, settings_page,
)  # fmt: skip
"""The officers' pages (`api.pages`)."""

API = (
    health, signin, enrolment, officers_calls, places, registers, proposals, personal, own, rights, states, review,
    events, ledger, transfer, reports_calls, roll_call_calls, log_review_calls, alarms_calls,
)  # fmt: skip
"""What stands under PREFIX (`api.routes`)."""

PARTS = (*((PREFIX, part) for part in API), *(("", part) for part in PAGES))


def create_app(settings: Settings) -> FastAPI:
    """The application for `settings`. Nothing is opened before it starts."""
    answers = Answers()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = open_store(settings.state_dir / API_DB)
        keys = NameKeys(settings.state_dir, _credentials())
        parts = _parts(settings, engine, View(engine, Names(engine, keys)), answers)
        app.state.parts = parts
        parts.broadcast.start(asyncio.get_running_loop())
        parts.feed.start()
        try:
            yield
        finally:
            await asyncio.to_thread(parts.feed.stop)
            parts.requests.close()
            parts.imports.close()
            engine.dispose()

    app = FastAPI(
        title="Sekisho", version="1", description="Doors, registers and events of one site.", lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=f"{PREFIX}/openapi.json",
        generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.router.routes.extend(_routes())
    app.state.routes = [(prefix, route) for prefix, part in PARTS for route in part.router.routes]
    problems.install(app, refused)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # FastAPI's documented way
    app.add_middleware(Once, answers=answers)
    app.add_middleware(Speaker)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Guard, host_names=settings.host_names)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """All of ours, put together once a process: what FastAPI works out for each at a first request stays with them."""
    made = FastAPI(openapi_url=None, generate_unique_id_function=lambda route: route.name)
    for prefix, part in PARTS:
        made.include_router(part.router, prefix=prefix)
    return tuple(made.router.routes)


def _credentials() -> Path | None:
    """Where systemd puts what it decrypted for this service alone."""
    found = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(found) if found else None


def _parts(settings: Settings, engine: Engine, view: View, answers: Answers) -> Parts:
    requests = Requests(settings.socket)
    signing_in = signing_in_of(settings, engine, view, requests)
    proposals = Proposals(engine, view, requests, signing_in)

    def read_after(seq: int, limit: int, wanted: Wanted) -> Page:
        tail = view.seq  # before the rows: what is folded meanwhile is looked at next time
        rows = view.events_after(seq, limit, types=wanted.types, zones=wanted.zones)
        return Page(list(map(event_frame, rows)), rows[-1].seq if len(rows) == limit else max(seq, tail))

    def cardholder_of(officer: str) -> str | None:
        found = signing_in.posts.officer(officer)
        return None if found is None else found.cardholder

    def snapshot() -> dict[str, object]:
        return {"seq": view.seq, "version": view.version, "is_current": is_current(view), "at": iso(now_ms())}

    broadcast = Broadcast(view.seq, read_after, snapshot)
    return Parts(
        settings=settings, keeper=signing_in.keeper, signing_in=signing_in, view=view, broadcast=broadcast,
        requests=requests,
        reviewer=Reviewer(settings.socket), answers=answers,
        proposals=proposals, suggestions=Suggestions(engine, proposals), agreements=Agreements(engine, cardholder_of),
        imports=Imports(engine),
        feed=Feed(settings.socket, view, broadcast, requests.renew),
        rendered={"live": live_part(view), "plan": plan_part(view)},
    )  # fmt: skip
