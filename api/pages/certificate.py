"""How a device comes to trust this site: its CA's certificate, its mark to compare by eye, and what to press where."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from api.pages.frame import render
from api.parts import Here
from api.problems import Problem
from api.texts import Said
from api.tls import OwnCa, fingerprint, names_of_ca

FILE: Final = "sekisho-ca.crt"

STEPS: Final[tuple[tuple[Said, tuple[Said, ...]], ...]] = (
    (
        Said("Windows"),
        (
            Said("Open the file. Press “Install Certificate…”, choose “Local Machine”."),
            Said("Choose “Place all certificates in the following store”: Trusted Root Certification Authorities."),
            Said("Close the browser and open it again. (Firefox: as on Linux.)"),
        ),
    ),
    (
        Said("macOS"),
        (
            Said("Open the file; it is added to “login” in Keychain Access."),
            Said("Open it there, under “Trust” choose “Always Trust” for SSL, and close the window."),
        ),
    ),
    (
        Said("iPhone, iPad"),
        (
            Said("Open the file in Safari and allow the profile."),
            Said("Settings, General, VPN & Device Management: install the profile."),
            Said("Settings, General, About, Certificate Trust Settings: switch it on."),
        ),
    ),
    (
        Said("Android"),
        (
            Said("Settings, Security, Encryption & credentials, Install a certificate, CA certificate."),
            Said("Choose the file. Android says that the network may be monitored: it does not know whose CA it is."),
        ),
    ),
    (
        Said("Linux, Firefox"),
        (
            Said(
                "Debian, Ubuntu: copy the file to /usr/local/share/ca-certificates/, run sudo update-ca-certificates."
            ),
            Said("Firefox: Settings, Privacy & Security, View Certificates, Authorities, Import: for websites."),
        ),
    ),
)
"""What to press, per system, in the words that each shows."""

router = APIRouter(include_in_schema=False)


def _ca(here: Here) -> OwnCa:
    if not here.settings.tls_own_ca:
        raise Problem("not_found", 404)
    return OwnCa(here.settings.state_dir / "tls")


@router.get("/ca")
def ca(here: Here, request: Request) -> HTMLResponse:
    """The page. Whoever needs it is not signed in yet."""
    certificate = _ca(here).certificate
    return render(
        request, None, "certificate.html", fingerprint=fingerprint(certificate), steps=STEPS, file=FILE,
        names=sorted(names_of_ca(certificate)), until=certificate.not_valid_after_utc.date().isoformat(),
    )  # fmt: skip


@router.get(f"/ca/{FILE}")
def ca_certificate(here: Here) -> Response:
    """The certificate, as systems install it. Never the key."""
    shown = _ca(here).certificate.public_bytes(Encoding.DER)
    named = {"Content-Disposition": f'attachment; filename="{FILE}"'}
    return Response(shown, media_type="application/x-x509-ca-cert", headers=named)
