"""No page, answer, stream or log says a word about clearances to whoever may not know (E-06, E-12; requirements §3.5).

Every address that answers a GET is asked as everybody, about everything that there is, in both languages.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx2
import pytest

from tests.api.lived_in import NOTIFIED_DAY, PEOPLE, SECRET_DAY, moves_in
from zones.moment import JST

WORDS = re.compile(
    r"clearance|need.?to.?know|適性評価|知る必要性|適格性|クリアランス|秘密指定|"
    r"KEIZAI|ANPO|TOKUTEI|BOEI_|NO_NEED|NOT_ON_ROSTER|CLEARANCE_|last_valid|need_to_know|"
    r"名簿に記載なし|not on the zone's roster|item-1|nk-1|cl-\d",
    re.IGNORECASE,
)
DAYS = re.compile("|".join(form for iso in (SECRET_DAY, NOTIFIED_DAY) for form in (
    iso, iso.replace("-", "/"), iso.replace("-", "."), iso[2:].replace("-", "/"),
)))  # fmt: skip
NAMES = re.compile("|".join(part for _, name, kana, roman in PEOPLE for part in (name, kana, roman)))
IDS = (
    "c-1",
    "c-2",
    "k-1",
    "cl-1",
    "ro-1",
    "nk-1",
    "tr-1",
    "item-1",
    "visit-1",
    "vault",
    "office",
    "vault-door",
    "people",
)

SILENT = frozenset({"/static/{name:path}", "/api/v1/health", "/favicon.ico"})
OWN = re.compile(r"^/(me|api/v1/me)\b|^/password|^/sessions")
"""What is about whoever asks: it has words for what is his own."""

QUERIES = {"/api/v1/events": "after=0&limit=100", "/api/v1/events/stream": "after=0", "/why": "number=7QK4"}

BEHIND = {
    "GUARD": (WORDS, DAYS),
    "LINE": (WORDS, DAYS, NAMES),
    "ENGINEER": (WORDS, DAYS, NAMES),
    "AUDITOR": (DAYS, NAMES),
}
"""Role -> what it reads nowhere. The audit reads codes of records, and pseudonyms; never until when."""


@pytest.fixture(scope="module")
def places(shared: Any) -> dict[str, str]:
    return moves_in(shared, datetime.now(JST).date())


def _addresses(web: Any, places: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Every route of a GET with the addresses that it has here."""
    known = {**places, "id": "", "level": "0", "path": "000", "name": "x", "state": "x"}
    for prefix, route in web.server.config.app.state.routes:
        address = prefix + route.path
        if "GET" not in route.methods or address in SILENT:
            continue
        many = {"seq": [places["seq"], places["edit"], places["decision"]]}
        given = {name: many.get(name) or [known[name]] if known.get(name) else [*IDS, places["proposal"]]
                 for name in re.findall(r"\{(\w+)", address)}  # fmt: skip
        found = [re.sub(r":path\}", "}", address)]
        for name, values in given.items():
            found = [one.replace(f"{{{name}}}", value) for one in found for value in values]
        yield address, found


def _said(client: httpx2.Client, address: str, language: str) -> tuple[int, str]:
    """What comes for an address; of a stream, what comes within a second."""
    queries = [QUERIES.get(address, ""), "" if address.startswith("/api/") else f"lang={language}"]
    asked = f"{address}?{'&'.join(filter(None, queries))}".rstrip("?")
    heard = b""
    with client.stream("GET", asked, headers={"Accept-Language": language, "Accept": "text/html, */*"}) as answer:
        try:
            for chunk in answer.iter_bytes():
                heard += chunk
        except httpx2.ReadTimeout:
            pass
        told = heard.decode().replace(address, "")  # which was asked for
        seen = f"{dict(answer.headers)} {told}"
        return answer.status_code, re.sub(r"""nonce-[^']+|nonce="[^"]+\"""", "nonce", seen)  # chance makes words, too


def _excerpt(text: str, hit: re.Match[str]) -> str:
    return text[max(0, hit.start() - 50) : hit.end() + 30].replace("\n", " ")


@pytest.mark.req("E-06", "E-12", "D-07")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("role", list(BEHIND))
def test_nothing_is_read_by_whoever_may_not_know(shared: Any, places: dict[str, str], role: str, caplog: Any) -> None:
    """A guard, a line manager or whoever repairs the readers could see who has been cleared, and until when."""
    client = shared.page(shared.as_(role).headers["cookie"].partition("=")[2])
    client.timeout = httpx2.Timeout(15, read=1.2)
    leaks, reached = [], 0
    for route, addresses in _addresses(shared, places):
        for address in addresses:
            for language in ("ja", "en"):
                status, text = _said(client, address, language)
                reached += status == 200
                if OWN.match(route):
                    continue
                hits = (pattern.search(text) for pattern in BEHIND[role])
                leaks += [f"{address} ({language}, {status}): …{_excerpt(text, hit)}…" for hit in hits if hit]
            if status == 403:
                break  # it is the route that is not his, whatever is asked about
    assert reached > 8, "hardly anything was shown: this has shown nothing"
    assert not leaks, "\n".join(leaks)
    assert not WORDS.search(caplog.text) and not DAYS.search(caplog.text) and not NAMES.search(caplog.text)


@pytest.mark.req("E-13", "D-17")
def test_whoever_looks_at_his_own_reads_of_nobody_else(shared: Any, places: dict[str, str]) -> None:
    """Somebody would find colleagues on the page about himself, or learn what was not to be told."""
    made = shared.as_("officer-01").post(
        "/api/v1/cardholders/c-3/own-link", headers={"Idempotency-Key": secrets.token_hex(16)}
    )
    ticket = made.json()["link"].partition("#")[2]
    cookie = shared.page().post("/api/v1/sign-in/link", json={"ticket": ticket}).headers["set-cookie"]
    client = shared.page(cookie.partition("=")[2].partition(";")[0])
    client.timeout = httpx2.Timeout(15, read=1.2)
    others = re.compile("|".join(f"{re.escape(name)}|{roman}" for one, name, _, roman in PEOPLE if one != "c-3"))
    for route, addresses in _addresses(shared, places):
        status, text = _said(client, addresses[0], "ja")
        assert status in (200, 303, 404, 422) or status == 403, (route, status)
        if hit := others.search(text):
            raise AssertionError(f"{addresses[0]}: {_excerpt(text, hit)}")
        if not OWN.match(route) and (hit := WORDS.search(text)):
            raise AssertionError(f"{addresses[0]}: {_excerpt(text, hit)}")
