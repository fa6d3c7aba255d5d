"""The table of permissions, cell by cell: every route and every role, as the running process answers (D-07, E-06)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from api.access import MAY, Permission
from api.app import create_app
from api.settings import Settings
from zones.officers import Role

OPEN = frozenset(
    {
        "GET /api/v1/health", "GET /static/{name:path}", "GET /favicon.ico",
        "POST /api/v1/sign-in/passkey/options", "POST /api/v1/sign-in/passkey", "POST /api/v1/sign-in/password",
        "POST /api/v1/sign-in/link", "POST /api/v1/sign-out", "POST /sign-out", "GET /sign-in",
        "POST /sign-in/password",
        "GET /sign-in/company", "GET /sign-in/company/back", "GET /own-link", "GET /enrol", "GET /enrolled",
        "POST /api/v1/enrolment/options", "POST /api/v1/enrolment", "GET /ca", "GET /ca/sekisho-ca.crt",
    }
)  # fmt: skip
"""What whoever has no session yet must reach: the way in, and files that say nothing of this site."""

PAGE = Path(__file__).parents[2] / "docs" / "officers.md"


class Asked(NamedTuple):
    """One route: how it is asked, and what it asks for."""

    name: str
    method: str
    path: str
    permissions: frozenset[Permission]


def _permissions(dependant: Any) -> Iterator[Permission]:
    found = getattr(dependant.call, "permission", None)
    if found is not None:
        yield found
    for inner in dependant.dependencies:
        yield from _permissions(inner)


def _routes() -> list[Asked]:
    app = create_app(Settings(socket=Path("/nowhere"), state_dir=Path("/nowhere")))
    return [
        Asked(f"{method} {prefix}{route.path}", method, prefix + route.path, frozenset(_permissions(route.dependant)))
        for prefix, route in app.state.routes
        for method in sorted(route.methods)
    ]


ROUTES = _routes()
GUARDED = [one for one in ROUTES if one.name not in OPEN and len(one.permissions) == 1]


@pytest.mark.req("E-06", "D-07")
def test_every_route_asks_for_exactly_one_permission() -> None:
    """A new page would be open to everybody, because somebody forgot a line."""
    assert not [one.name for one in ROUTES if one.name not in OPEN and len(one.permissions) != 1]
    assert not [one.name for one in ROUTES if one.name in OPEN and one.permissions], "not open any more: take it out"
    assert len(GUARDED) > 100


def _own(web: Any) -> httpx2.Client:
    """本人: somebody with a card and no post, signed in with a link that the desk made."""
    if not any(row["id"] == "h-own" for row in web.parts.view.rows("cardholder")):
        web.controller.edit(("cardholder", {"id": "h-own"}))
        web.caught_up()
    made = web.as_("PROTECTION_OFFICER").post(
        "/api/v1/cardholders/h-own/own-link", headers={"Idempotency-Key": secrets.token_hex(16)}
    )
    ticket = made.json()["link"].partition("#")[2]
    answer = web.page().post("/api/v1/sign-in/link", json={"ticket": ticket})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    client: httpx2.Client = web.page(cookie)
    return client


def _token(web: Any, scope: Permission) -> httpx2.Client:
    """A program with a token of one scope, of somebody who may nearly everything."""
    made = web.as_("PROTECTION_OFFICER").post(
        "/api/v1/tokens", json={"name": scope.value, "scopes": [scope.value], "days": 1},
        headers={"Idempotency-Key": secrets.token_hex(16)},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    client: httpx2.Client = web.anonymous(Authorization=f"Bearer {made.json()['token']}")
    return client


def _asks(client: httpx2.Client, route: Asked) -> tuple[int, str]:
    """The status and the problem's code of one request about what does not exist."""
    path = re.sub(r"\{(seq|level)\}", "999999", route.path)
    path = re.sub(r"\{[^}]+\}", "nobody", path)
    sent: dict[str, Any] = {} if route.method == "GET" else {"json": {}}
    headers = {"Idempotency-Key": secrets.token_hex(16)}
    with client.stream(route.method, path, headers=headers, **sent) as answer:
        code = ""
        if "problem+json" in answer.headers.get("content-type", ""):
            answer.read()
            code = answer.json()["code"]
        return answer.status_code, code


def _held(web: Any, client: httpx2.Client, allowed: frozenset[Permission]) -> None:
    wrong = []
    for route in GUARDED:
        (permission,) = route.permissions
        status, code = _asks(client, route)
        is_refused = (status, code) == (403, "not_your_role")
        if permission is Permission.OWN and permission in allowed:
            is_refused = False  # what of it is his own, the route itself judges
        if is_refused is (permission in allowed) or status == 401 or (status >= 500 and code != "busy"):
            wrong.append((route.name, status, code))
    assert not wrong, wrong


@pytest.mark.req("E-06", "D-07")
@pytest.mark.parametrize("role", list(Role))
def test_a_role_reaches_what_the_table_says_and_nothing_else(shared: Any, role: Role) -> None:
    """A guard would read who is cleared for what, or the protection officer could not do his work."""
    _held(shared, shared.as_(role.value), MAY[role])


@pytest.mark.req("E-06", "E-13")
def test_whoever_has_no_post_reaches_his_own_alone(shared: Any) -> None:
    """Whoever has a card would read the registers."""
    _held(shared, _own(shared), frozenset({Permission.OWN}))


@pytest.mark.req("E-06")
@pytest.mark.parametrize("scope", [Permission.EVENTS, Permission.LIVE, Permission.PROPOSE])
def test_a_token_reaches_its_scope_alone(shared: Any, scope: Permission) -> None:
    """A token of the time clock would read clearances, because an officer made it who may."""
    _held(shared, _token(shared, scope), frozenset({scope}))


@pytest.mark.req("E-06")
def test_nobody_reaches_anything(shared: Any) -> None:
    """Anybody on the network would be served what was forgotten."""
    client = shared.page()
    reached = [(route.name, *_asks(client, route)) for route in GUARDED]
    assert not [one for one in reached if one[1] not in (401, 303)]


@pytest.mark.req("D-07")
def test_the_page_about_officers_has_the_table_of_the_code() -> None:
    """An auditor would read another table than the one that is enforced."""
    told = PAGE.read_text("utf-8").partition("## 5. ")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in told.splitlines() if line.startswith("|")]
    assert lines[0][2:] == [f"`{role.value}`" for role in Role]
    for permission, line in zip(Permission, lines[2:], strict=True):
        assert line[0] == f"`{permission.value}`"
        assert line[2:] == ["yes" if permission in MAY[role] else "" for role in Role], permission
