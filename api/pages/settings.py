"""With what the web process runs, and where each of it is changed. Read only: no secret, and no machine's path."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final

from cryptography import x509
from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.days import moment_of, short_date
from api.live import is_current
from api.log_reviews import looks
from api.pages.frame import render
from api.parts import Here, Parts
from api.settings import Settings
from api.signin.passwords import LENGTH_MIN
from api.signin.sessions import LIFE_MS
from api.store import SCHEMA
from api.texts import _
from zones.moment import JST

router = APIRouter(include_in_schema=False)
Sees = Annotated[Who, Depends(require(Permission.SETTINGS))]

API_TOML: Final = "api.toml: "
SITE_TOML: Final = "site.toml: "
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing, how it is, and where it is changed (empty: nowhere)."""

    name: str
    value: str
    where: str = ""


@router.get("/settings")
def settings(here: Here, request: Request, who: Sees) -> HTMLResponse:
    """All of it."""
    given = here.settings
    sections = (
        (_("Address and certificate"), [*_address(given)]),
        (_("Signing in"), [*_signing_in(given)]),
        (_("Records"), [*_records(here)]),
        (_("This program"), [*_program(here)]),
    )
    return render(request, who, "settings.html", sections=sections)


def _address(given: Settings) -> Iterator[Fact]:
    yield Fact(name=_("Address of the pages"), value=given.page_origin, where=API_TOML + "origin")
    yield Fact(name=_("Listens on"), value=f"{given.host}:{given.port}", where=API_TOML + "host, port")
    yield Fact(name=_("Name that passkeys are made for"), value=given.relying_party,
               where=f"{API_TOML}rp_id; {SITE_TOML}[officers] rp_id")  # fmt: skip
    yield Fact(name="TLS", value=_tls(given), where=API_TOML + "[tls]")


def _tls(given: Settings) -> str:
    if not given.has_tls:
        return _("Not by this program: this machine alone, or a proxy of yours")
    words = _("A CA of its own") if given.tls_own_ca else _("The company's certificate")
    return _("%(what)s, until %(day)s", what=words, day=_until(given))


def _until(given: Settings) -> str:
    """The last day of the certificate, as it lies on the disk."""
    path: Path = given.tls_certificate or given.state_dir / "tls" / "server.crt"
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return "?"
    return short_date(ends.astimezone(JST).date())


def _signing_in(given: Settings) -> Iterator[Fact]:
    fixed = _("Fixed in the program")
    yield Fact(name=_("A session ends when nobody does anything for"),
               value=_("%(n)s minutes", n=given.idle_minutes), where=API_TOML + "idle_minutes")  # fmt: skip
    yield Fact(name=_("A session ends at the latest after"),
               value=_("%(n)s hours", n=LIFE_MS // 3_600_000), where=fixed)  # fmt: skip
    yield Fact(name=_("Only a passkey will do after not signing in for"),
               value=_("%(n)s days", n=given.inactive_days), where=API_TOML + "inactive_days")  # fmt: skip
    rule = _("%(n)s characters or more, none that everybody tries; with a code of the phone", n=LENGTH_MIN)
    yield Fact(name=_("Passwords"), value=rule, where=fixed)
    yield Fact(name=_("The company's sign-in (OIDC)"), value=given.oidc_issuer or _("Off"), where=API_TOML + "[oidc]")


def _records(here: Parts) -> Iterator[Fact]:
    last = next(iter(looks(here.view.engine, 1)), None)
    at = moment_of(last.at_ms) if last else None
    yield Fact(name=_("Last look through the log"), value=short_date(at.date()) if at else _("None yet"))
    yield Fact(name=_("How often the log is looked through"), value=_("As the site file says; else 7 days"),
               where=SITE_TOML + "[log_review] days")  # fmt: skip
    yield Fact(name=_("How long records are kept"), value=_("As the site file says, by class of record"),
               where=SITE_TOML + "[ledger] terms_days")  # fmt: skip


def _program(here: Parts) -> Iterator[Fact]:
    status = here.view.live.status if is_current(here.view) else None
    behind = _("The controller is not heard") if status is None else str(max(0, status.size - 1 - here.view.seq))
    files = [Path(f"{here.view.engine.url.database}{end}") for end in ("", "-wal")]
    size = sum(path.stat().st_size for path in files if path.is_file())
    yield Fact(name=_("Version"), value=f"Sekisho {version('sekisho')}, Python {platform.python_version()}")
    yield Fact(name=_("Size of the database of the pages"), value=f"{size / MB:.1f} MB")
    yield Fact(name=_("Its schema"), value=SCHEMA)
    yield Fact(name=_("Records that the pages have not read yet"), value=behind)
