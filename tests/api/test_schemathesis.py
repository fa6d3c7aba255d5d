"""Requests that nobody thought of, made from the description of the API, and requests that somebody did think of, with
what breaks programs in every field: no fault of ours, every error a problem.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

SEED = 6
IS_SOAK = bool(os.environ.get("SEKISHO_SOAK"))
BUDGET_S = 600.0 if IS_SOAK else 14.0
EXAMPLES = 200 if IS_SOAK else 6
CHECKS = (
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
)  # fmt: skip
ENDLESS = "/stream"
"""What answers for as long as one listens (tests/api/test_events.py asks it)."""

UNMAKING = ("/sessions", "/session", "/sign-out", "/forget", "/tokens", "/sign-in")
"""What would sign the tester out, or have him wait."""

BODIES: list[bytes] = [
    b"", b"null", b"[]", b"{}", b'"x"', b"0", b"{", b"\xff\xfe", b'{"a": 1}', b'{"id": null}', b'{"id": "\\ud800"}',
    b"[" * 5000, b'{"id": ' + b"9" * 400 + b"}", b'{"id": NaN}', b'{"id": "a", "id": "b"}',
]  # fmt: skip
TEXTS = [
    "%00",
    "%ff",
    "..%2f..%2fetc",
    "x" * 3000,
    "%F0%9F%98%80",
    "-1",
    "1e999",
    "9" * 40,
    "'%20OR%201=1--",
    "%0d%0aX:y",
]

NAMES = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; DROP TABLE name; --", '=HYPERLINK("http://x")',
    "@SUM(A1)", "\u202eevil\u202c", "\u200frtl", "𠮷野 家", "葛\U000e0100", "👩\u200d👩\u200d👧", "{{7*7}}",
    "%(name)s", "${x}", "\x00", "\x1b[31m", "\r\nSet-Cookie: x=y", "\ud800", "\u2028", "a" * 101, " ", "",
    "ZA\u0336\u0337LGO" + "\u0301" * 60, "../../etc/passwd", "0", "null", "NaN", "é", "e\u0301", "ﾊﾝｶｸ", "\ufeff",
]  # fmt: skip
PLAIN = {"<script>alert(1)</script>", "𠮷野 家", "0", "null", "ﾊﾝｶｸ", "%(name)s", "{{7*7}}"}
"""Some of those that are names like any other: they are kept, and shown as what they are."""


@pytest.fixture(scope="module")
def house(shared: Any) -> Any:
    """The house with somebody in every register, and the protection officer who asks."""
    day = {"from_on": "2026-01-01", "until_on": "2099-12-31"}
    shared.controller.edit(
        ("cardholder", {"id": "c-01"}),
        ("cardholder", {"id": "c-02"}),
        ("roster", {"id": "r-01", "cardholder": "c-01", "zone": "lab", "review_on": "2099-01-01", **day}),
        ("credential", {"id": "k-01", "cardholder": "c-01", "number_hash": "ab" * 32, "last4": "0012",
                        "state": "ACTIVE"}),
    )  # fmt: skip
    shared.caught_up()
    return shared


@pytest.fixture(scope="module")
def operations(house: Any) -> list[Any]:
    """Every operation that can be asked without an end."""
    schema = schemathesis.openapi.from_dict(house.client.get("/api/v1/openapi.json").json())
    schema.config.generation.update(
        with_security_parameters=False
    )  # the session's cookie is shown, and no made-up token
    found = [one.ok() for one in schema.get_all_operations()]
    return [one for one in found if ENDLESS not in one.path and not any(part in one.path for part in UNMAKING)]


@pytest.mark.timeout(900 if IS_SOAK else 120)
def test_no_request_meets_a_fault_of_ours(house, operations):
    """A request that nobody thought of takes the web process down, or is answered with something nobody reads."""
    ends, faults, asked, done = time.monotonic() + BUDGET_S, {}, 0, 0
    headers = dict(house.client.headers)
    for nth, operation in enumerate(operations):
        share = max(0.02, (ends - time.monotonic()) / (len(operations) - nth))
        of_it = _ask(house, operation, headers, share, faults)
        asked, done = asked + of_it[0], done + of_it[1]
    assert asked >= len(operations), "hardly anything was asked"
    assert done > len(operations) // 5, "hardly anything was carried out"
    assert not faults, "\n\n".join(f"{where}: {what}" for where, what in faults.items())


def _ask(
    house: Any, operation: Any, headers: dict[str, str], share_s: float, faults: dict[str, str]
) -> tuple[int, int]:
    """As many requests to one operation as its share of the time allows; how many there were, how many went well."""
    ends, count, well = time.monotonic() + share_s, 0, 0

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def once(case: Any) -> None:
        nonlocal count, well
        if count and time.monotonic() > ends:
            return
        count += 1
        try:
            answer = case.call(base_url=house.url, headers=headers, timeout=10)
            well += answer.status_code < 300
            case.validate_response(answer, checks=CHECKS)
            assert answer.status_code < 400 or answer.headers["content-type"] == ["application/problem+json"]
        except (schemathesis.errors.SchemathesisError, BaseExceptionGroup, AssertionError) as error:
            faults.setdefault(f"{operation.method.upper()} {operation.path}", str(error)[:1500])

    once()
    return count, well


def _hostile(operation: Any) -> Iterator[tuple[str, bytes]]:
    """Addresses and bodies that break programs, for one operation."""
    path = operation.path
    plain = path.replace("{register}", "people")
    while "{" in plain:
        plain = plain.replace(plain[plain.index("{") : plain.index("}") + 1], "c-01", 1)
    for text in TEXTS:
        if "{" in path:
            yield path[: path.index("{")] + text + path[path.index("}") + 1 :].replace("{", "").replace("}", ""), b"{}"
        else:
            yield f"{plain}?limit={text}&cursor={text}&q={text}&after={text}&purpose={text}", b"{}"
    if operation.method.upper() in ("POST", "PATCH", "PUT"):
        for body in BODIES:
            yield plain, body


def test_what_breaks_programs_does_not_break_this_one(house, operations):
    """A broken body or an odd address is answered with 500, or with a page of somebody else's."""
    wrong = []
    for nth, operation in enumerate(operations):
        kept = [one for at, one in enumerate(_hostile(operation)) if IS_SOAK or (at + nth) % 5 == 0]
        for address, body in kept:
            answer = house.client.request(
                operation.method.upper(), address, content=body, headers={"Content-Type": "application/json"}
            )
            kind = answer.headers.get("content-type", "")
            if answer.status_code >= 500 and answer.json().get("code") in (None, "internal"):
                wrong.append(f"{operation.method} {address[:80]} {body[:40]!r}: {answer.status_code}")
            if answer.status_code >= 400 and kind != "application/problem+json":
                wrong.append(f"{operation.method} {address[:80]}: {answer.status_code} {kind}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("field", ["name", "kana", "roman"])
def test_a_hostile_name_is_refused_or_kept_as_it_is(house, field):
    """A visitor's name runs in an officer's browser, turns the text around it, or empties a register."""
    for nth, text in enumerate(NAMES):
        person = {"id": f"h-{field}-{nth}", "name": "山田", "kana": "", "roman": "", field: text}
        answer = house.client.post(
            "/api/v1/cardholders", content=json.dumps(person).encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in (202, 422), f"{text!r}: {answer.status_code} {answer.text[:200]}"
        assert text not in PLAIN or answer.status_code == 202, f"{text!r} is a name"
        if answer.status_code == 422:
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(text) < 3 or text.encode("utf-8", "replace").decode() not in answer.text, "an error echoes"
            continue
        kept = house.parts.view.names.get(person["id"])
        assert kept is None or "\u202e" not in getattr(kept, field)
    for address in ("/people", "/transfer", "/events", "/why?number=%3Cscript%3E", "/proposals"):
        page = house.client.get(address, headers={"Accept": "text/html"})
        assert "<script>alert" not in page.text and "onerror=alert(1)>" not in page.text, address


def test_a_name_of_ten_megabytes_is_told_no(house):
    """Somebody sends a name as long as a film, and everybody waits."""
    body = json.dumps({"id": "h-big", "name": "あ" * 3_500_000}).encode()
    answer = house.client.post("/api/v1/cardholders", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
