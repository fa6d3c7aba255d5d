"""The frame of every page: who is signed in, where he may go, language, light or dark, and how a template is rendered.

A page calls `render(request, who, "its.html", …)` and nothing else. What the templates may use beside their own values:
`_`, `ngettext`, `pgettext` (newstyle), `hx()` for elements of htmx, `asset(name)`, and the filters `day`, `moment`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from api.access import Permission, Who
from api.days import YEARS, counted, long_date, moment_of, short_date, short_moment
from api.live import is_current, now_ms
from api.nonce import nonce
from api.speaker import KEPT, LANGUAGE_COOKIE, YEARS_COOKIE
from api.texts import LANGUAGES, Said, catalogue, spoken

HERE: Final = Path(__file__).parent.parent
STATIC: Final = HERE / "static"
THEMES: Final = ("auto", "light", "dark")
KEPT_S: Final = 365 * 86400
PREFERENCES: Final[Mapping[str, tuple[str, ...]]] = {
    LANGUAGE_COOKIE: LANGUAGES,
    YEARS_COOKIE: YEARS,
    "theme": THEMES,
}
"""What may be chosen of how pages look, each kept in a cookie of its name; the address of any page may choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One page in the menu: shown to those who may see it, where it is there."""

    address: str
    name: Said
    permission: Permission


P = Permission
MENU: Final[tuple[tuple[Said, tuple[Place, ...]], ...]] = (
    (
        Said("Now", "menu"),
        (
            Place(address="/", name=Said("Entry and exit now"), permission=P.LIVE),
            Place(address="/alarms", name=Said("Alarms"), permission=P.LIVE),
            Place(address="/map", name=Said("Plan of the building"), permission=P.LIVE),
            Place(address="/roll-call", name=Said("Roll call"), permission=P.ROLL_CALL),
            Place(address="/visitors", name=Said("Visitors", "menu"), permission=P.DESK),
            Place(address="/own-links", name=Said("Link to one's own records"), permission=P.DESK),
            Place(address="/lockdown", name=Said("Lockdown and reset"), permission=P.DESK),
            Place(address="/zone-acts", name=Said("Doors and zones for a while"), permission=P.DESK),
        ),
    ),
    (
        Said("Who may enter", "menu"),
        (
            Place(address="/proposals", name=Said("Proposals"), permission=P.DESK),
            Place(address="/people", name=Said("People and cards"), permission=P.PEOPLE),
            Place(address="/rosters", name=Said("Rosters", "menu"), permission=P.RIGHTS),
            Place(address="/items", name=Said("Information items", "menu"), permission=P.RIGHTS),
            Place(address="/why", name=Said("Why not let in"), permission=P.LIVE),
            Place(address="/what-if", name=Said("What if"), permission=P.RIGHTS),
            Place(address="/review", name=Said("Quarterly review"), permission=P.REVIEW),
        ),
    ),
    (
        Said("Records", "menu"),
        (
            Place(address="/history", name=Said("One person's history"), permission=P.HISTORY),
            Place(address="/events", name=Said("Search records"), permission=P.EVENTS),
            Place(address="/log-review", name=Said("Look through the log"), permission=P.LOG_REVIEW),
            Place(address="/reports", name=Said("Figures"), permission=P.REPORTS),
            Place(address="/transfer", name=Said("Registers as files"), permission=P.PROPOSE),
        ),
    ),
    (
        Said("This site", "menu"),
        (
            Place(address="/devices", name=Said("Devices", "menu"), permission=P.DEVICES),
            Place(address="/officers", name=Said("Officers", "menu"), permission=P.OFFICERS),
            Place(address="/settings", name=Said("Settings", "menu"), permission=P.SETTINGS),
            Place(address="/me", name=Said("My own records"), permission=P.OWN),
        ),
    ),
)
"""The menu, in order. A page that no route answers for yet is not in it."""


def render(
    request: Request, who: Who | None, template: str, /, *, status: int = 200, keeps_query: bool = True, **values: Any
) -> HTMLResponse:
    """One page. `keeps_query=False`: where asking again with the same query would do something (leave a record)."""
    chosen = _chosen(request)
    shown = templates.get_template(template).render(
        **_framed(request, who, chosen, keeps_query=keeps_query), **values
    )  # fmt: skip
    answer = HTMLResponse(shown, status)
    for name, allowed in PREFERENCES.items():
        if request.query_params.get(name) in allowed:
            answer.set_cookie(
                KEPT + name, chosen[name], max_age=KEPT_S, path="/", samesite="lax", httponly=True, secure=True
            )
    return answer


def fragment(template: str, /, **values: Any) -> str:
    """A part of a page, as text: it is rendered once and sent to whoever sees the same."""
    return templates.get_template(template).render(language=spoken(), **values)


def _framed(request: Request, who: Who | None, chosen: Mapping[str, str], *, keeps_query: bool) -> dict[str, Any]:
    view = request.app.state.parts.view
    today = moment_of(now_ms())
    assert today is not None
    address = _address(request)
    return {
        "language": spoken(), "address": address, "theme": chosen["theme"], "years": chosen[YEARS_COOKIE],
        "who": who, "me": "" if who is None else own_name(request, who), "is_current": is_current(view),
        "menu": [] if who is None else list(_menu(request, who)), "today": long_date(today.date()),
        "choose": _Chooser(address, dict(request.query_params) if keeps_query and request.method == "GET" else {}),
    }  # fmt: skip


def _address(request: Request) -> str:
    """Where this page can be asked for again: what a form was sent to may be no page itself, then the one above it."""
    path = request.url.path
    pages = [r for prefix, r in request.app.state.routes if not prefix and "GET" in (r.methods or ())]
    while request.method == "POST" and path != "/" and not any(one.path_regex.match(path) for one in pages):
        path = path.rpartition("/")[0] or "/"
    return path


def own_name(request: Request, who: Who) -> str:
    """What whoever is signed in is called: his own name is no secret from him."""
    name = request.app.state.parts.view.names.get(who.cardholder) if who.cardholder else None
    if name is None:
        return who.officer
    return str((name.roman if spoken() == "en" else "") or name.name)


def _menu(request: Request, who: Who) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Parts of the menu with (address, name) of what is there and may be seen."""
    there = _addresses(request.app.state.routes)
    for part, places in MENU:
        shown = [(one.address, str(one.name)) for one in places if one.address in there and who.may(one.permission)]
        if shown:
            yield str(part), shown


def _addresses(routes: list[tuple[str, Any]]) -> frozenset[str]:
    return frozenset(prefix + route.path for prefix, route in routes if not prefix and "GET" in (route.methods or ()))


def _chosen(request: Request) -> dict[str, str]:
    """How pages look: as the address says, else as was chosen before."""
    said = (request.query_params.get("theme"), request.cookies.get(KEPT + "theme"))
    theme = next((one for one in said if one in THEMES and one), THEMES[0])
    return {LANGUAGE_COOKIE: spoken(), YEARS_COOKIE: counted(), "theme": theme}


class _Chooser:
    """`choose(lang="en")`: this page's own address, with one thing chosen."""

    def __init__(self, address: str, query: Mapping[str, str]) -> None:
        self._address, self._query = address, {name: said for name, said in query.items() if name not in PREFERENCES}

    def __call__(self, **chosen: str) -> str:
        return f"{self._address}?{urlencode({**self._query, **chosen})}"


@cache
def asset(name: str) -> str:
    """The address of a file of the pages; another content is another address, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def _hx() -> Markup:
    """What lets htmx touch an element: an element that was injected does not know it (docs/adr/0017-pages.md)."""
    return Markup('hx-nonce="{}"').format(nonce())


def _gettext(text: str) -> str:
    return catalogue(spoken()).gettext(text)


def _ngettext(one: str, many: str, n: int) -> str:
    return catalogue(spoken()).ngettext(one, many, n)


def _pgettext(context: str, text: str) -> str:
    return catalogue(spoken()).pgettext(context, text)


def _npgettext(context: str, one: str, many: str, n: int) -> str:
    return catalogue(spoken()).npgettext(context, one, many, n)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, auto_reload=False, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension's own way
        _gettext, _ngettext, newstyle=True, pgettext=_pgettext, npgettext=_npgettext
    )
    made.globals |= {"hx": _hx, "asset": asset, "nonce": nonce, "escape": escape}
    made.filters |= {"day": short_date, "moment": short_moment}
    return made


templates: Final = _environment()
