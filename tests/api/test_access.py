"""Who may ask, from which page, under which name; and that every error is a problem."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.guard import Guard

PATHS = ["zones", "portals", "cardholders", "credentials", "clearances", "needs-to-know", "rosters", "events",
         "events/stream", "portals/front", "cardholders/c-1", "items", "trainings", "declarations", "visits",
         "overrides", "site-status", "devices"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_told_to_nobody(shared: Any, path: str) -> None:
    """Anybody on the network could read the registers."""
    nothing: list[dict[str, str]] = [
        {},
        {"Cookie": "__Host-sekisho=x"},
        {"Cookie": "sekisho=x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer skt_" + "A" * 43},
        {"Authorization": "Basic b2ZmaWNlci0wMTo="},
    ]
    for headers in nothing:
        answer = shared.anonymous(**headers).get(f"/api/v1/{path}")
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["content-type"] == "application/problem+json"


def test_health_tells_strangers_that_it_lives_and_no_more(shared: Any) -> None:
    """A stranger would learn the state of the doors, or a watchdog could not ask."""
    assert shared.anonymous().get("/api/v1/health").json() == {"status": "up"}
    told = shared.client.get("/api/v1/health").json()
    assert told["is_current"] and told["seq"] == len(shared.controller.records) - 1 and told["node_boot"] == "boot-1"


ORIGINS: list[tuple[dict[str, str], int]] = [
    ({}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "OWN"}, 200),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "OWN"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ORIGINS)
def test_a_cookie_opens_a_door_from_our_own_page_only(shared: Any, headers: dict[str, str], status: int) -> None:
    """A page on another site could open a door with an officer's cookie."""
    client, before = shared.as_("officer-01"), len(shared.controller.heard_of("command"))
    stolen = shared.anonymous(Cookie=client.headers["cookie"])
    sent = {name: shared.url if value == "OWN" else value for name, value in headers.items()}
    answer = stolen.post("/api/v1/portals/front/release", json={"reason": "delivery"}, headers=sent)
    assert answer.status_code == status, answer.text
    assert len(shared.controller.heard_of("command")) - before == (1 if status == 200 else 0)


HOSTS = [("127.0.0.1", True), ("localhost:8440", True), ("LOCALHOST", True), ("[::1]:1", True), ("evil.example", False),
         ("127.0.0.1.evil.example", False), ("", False), ("localhost.evil", False)]  # fmt: skip


@pytest.mark.parametrize(("host", "is_ours"), HOSTS)
def test_only_our_own_names_are_answered(shared: Any, host: str, is_ours: bool) -> None:
    """A name re-pointed at this machine could read the registers through an officer's browser."""
    answer = shared.anonymous(Host=host).get("/api/v1/health")
    assert answer.status_code == (200 if is_ours else (400 if host == "" else 421)) or (
        host == "" and answer.status_code == 421
    )


def test_every_answer_carries_the_security_headers_and_no_cors(shared: Any) -> None:
    """A script that slipped in could run, or another site could read answers."""
    for answer in (shared.client.get("/"), shared.signed_in().get("/"), shared.client.get("/nowhere"),
                   shared.client.get("/static/app.js"), shared.client.get("/api/v1/zones", headers={"Origin": "http://x"}),
                   shared.anonymous(Host="evil").get("/")):  # fmt: skip
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy and "trusted-types htmx app" in policy
        assert all(f"{name} 'none'" in policy for name in ("base-uri", "frame-ancestors")), "framed, or re-based"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == (
            "no-store" if answer.request.url.path != "/static/app.js" else "no-cache"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers and "server" not in answer.headers


@pytest.mark.parametrize(
    ("scheme", "host", "is_told"),
    [("https", "gate.example:8440", True), ("http", "gate.example:8440", False), ("https", "localhost", False),
     ("https", "stranger.example", True)],
)  # fmt: skip
def test_browsers_that_came_by_tls_never_come_without_it_again(scheme: str, host: str, is_told: bool) -> None:
    """Somebody on the network answers the first plain request of the day in our place, and takes a password."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    heard: list[Any] = []

    async def send(message: Any) -> None:
        heard.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "scheme": scheme, "headers": [(b"host", host.encode())]}
    asyncio.run(Guard(app, host_names=frozenset({"gate.example", "localhost"}))(scope, receive, send))
    told = dict(heard[0]["headers"]).get(b"strict-transport-security")
    assert told == (b"max-age=31536000; includeSubDomains" if is_told else None)


WRONG: list[tuple[str, str, int]] = [
    ("GET", "/nowhere", 404), ("GET", "/api/v1/nowhere", 404), ("GET", "/static/../app.py", 404),
    ("GET", "/static/%2e%2e%2fapp.py", 404), ("DELETE", "/api/v1/rosters/x", 405), ("PUT", "/api/v1/events", 405),
    ("GET", "/api/v1/portals/front/release", 405), ("GET", "/api/v1/zones/nowhere", 404),
    ("GET", "/api/v1/portals/nowhere", 404), ("POST", "/api/v1/portals/nowhere/release", 404),
    ("GET", "/api/v1/rosters/" + "x" * 3000, 404), ("GET", "/api/v1/zones?limit=0", 422),
    ("GET", "/api/v1/zones?limit=x", 422), ("GET", "/api/v1/zones?colour=red", 422),
    ("GET", "/api/v1/events?after=-2", 422), ("GET", "/api/v1/events?limit=100000", 422),
    ("GET", "/api/v1/events/stream?after=x", 422), ("TRACE", "/api/v1/zones", 405),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), WRONG)
def test_every_error_is_a_problem(shared: Any, method: str, path: str, status: int) -> None:
    """A program could not tell what went wrong."""
    body = {"reason": "other"} if method == "POST" else None
    answer = shared.client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "instance"} <= set(answer.json())
    if status == 405 and path.endswith("rosters/x"):
        assert answer.headers["allow"] == "GET, PATCH"


def test_a_fault_of_ours_is_a_problem_without_our_secrets(web: Any) -> None:
    """A stack trace with names would reach a browser."""
    client = web.client
    web.parts.view._engine.dispose()
    (web.settings.state_dir / "api.db").write_bytes(b"not a database" * 1000)
    for suffix in ("-wal", "-shm"):
        (web.settings.state_dir / f"api.db{suffix}").unlink(missing_ok=True)
    answer = client.get("/api/v1/zones")
    assert answer.status_code == 500 and answer.json()["code"] == "internal" and "sqlite" not in answer.text.lower()
    assert "content-security-policy" in answer.headers


def test_the_description_of_the_api_says_what_it_does(shared: Any) -> None:
    """A generated client would not know the problems, or offer what is not there."""
    described = shared.client.get("/api/v1/openapi.json").json()
    assert "HTTPValidationError" not in str(described)
    names = [one["operationId"] for path in described["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))
    post = described["paths"]["/api/v1/rosters"]["post"]["responses"]
    assert set(post["422"]["content"]) == {"application/problem+json"}
    assert described["components"]["schemas"]["RosterCreate"]["additionalProperties"] is False
    assert "/" not in described["paths"] and described["components"]["securitySchemes"]
