"""TLS: a CA of our own that vouches for nothing else, certificates that renew themselves, no plain pages by mistake."""

from __future__ import annotations

import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from api.run import served
from api.settings import Settings, SettingsError
from api.tls import LEAF_DAYS, RENEW_DAYS, Files, OwnCa, Renewal, fingerprint, names_of

NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "gate.local"})
START = datetime(2026, 12, 1, tzinfo=UTC)


def test_a_certificate_is_made_for_our_names_and_renewed_in_time(tmp_path: Path) -> None:
    """Browsers would warn after a year, on the morning when nobody has time."""
    now = [START]
    ca = OwnCa(tmp_path / "tls", lambda: now[0])
    first = ca.leaf(NAMES).certificate.read_bytes()
    made = x509.load_pem_x509_certificate(first)
    assert names_of(made) == {"localhost", "127.0.0.1", "::1", "gate.local"}
    assert made.not_valid_after_utc - START == timedelta(days=LEAF_DAYS)
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "tls" / name).stat().st_mode) == 0o600
    mark = fingerprint(ca.certificate)
    now[0] = START + timedelta(days=LEAF_DAYS - RENEW_DAYS - 1)
    assert ca.leaf(NAMES).certificate.read_bytes() == first
    now[0] += timedelta(days=2)
    assert ca.leaf(NAMES).certificate.read_bytes() != first and fingerprint(ca.certificate) == mark
    fewer = ca.leaf(NAMES - {"gate.local"})
    assert "gate.local" not in names_of(x509.load_pem_x509_certificate(fewer.certificate.read_bytes()))


def test_the_ca_vouches_for_no_other_name(tmp_path: Path) -> None:
    """Whoever steals its key could show every officer's browser a false bank."""
    ca = OwnCa(tmp_path / "tls")
    ca.leaf(NAMES)
    with pytest.raises(SettingsError, match=r"bank\.example"):
        ca.leaf({*NAMES, "bank.example"})
    constraints = ca.certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    found = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", "ca.crt", "-verify_hostname", "gate.local", "server.crt"],
        cwd=tmp_path / "tls", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr + found.stdout


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    """Another account on the machine could be this site."""
    ca = OwnCa(tmp_path / "tls")
    files = ca.leaf(NAMES)
    files.certificate.unlink()
    (tmp_path / "tls" / "ca.key").chmod(0o640)
    with pytest.raises(SettingsError, match="read by others"):
        ca.leaf(NAMES)


def test_a_clock_of_1970_makes_no_certificate(tmp_path: Path) -> None:
    """A board without a battery would make one that is over when the clock is right."""
    now = [START]
    ca = OwnCa(tmp_path / "tls", lambda: now[0])
    files = ca.leaf(NAMES)
    now[0] = datetime(1970, 1, 1, tzinfo=UTC)
    assert ca.leaf(NAMES) == files, "the one that there is goes on"
    files.certificate.unlink()
    with pytest.raises(SettingsError, match="1970"):
        ca.leaf(NAMES)


def test_a_newer_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    """Every renewal would need somebody at the machine."""
    now = [START]
    ca = OwnCa(tmp_path / "tls", lambda: now[0])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found: list[Files | None] = [ca.leaf(NAMES)]
    renewal = Renewal(context, lambda: found[0])
    assert renewal.look() and not renewal.look()
    now[0] += timedelta(days=LEAF_DAYS - 1)
    found[0] = ca.leaf(NAMES)
    assert renewal.look() and not renewal.look()
    assert found[0] is not None
    found[0].key.unlink()
    found[0].certificate.write_bytes(b"broken")
    assert not renewal.look(), "the one in use goes on"


def test_the_page_is_served_and_a_device_comes_to_trust_it(tmp_path: Path, kit: Any) -> None:
    """Officers would learn to press warnings away."""
    settings = Settings(socket=tmp_path / "c.sock", state_dir=tmp_path / "api", port=0, tls_own_ca=True)
    server, renewal = served(settings)
    assert renewal is not None and server.config.ssl is not None
    assert server.config.ssl.minimum_version == ssl.TLSVersion.TLSv1_2
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        kit.eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"https://localhost:{port}"
        with httpx2.Client(base_url=url, verify=False) as stranger:
            assert stranger.get("/ca", params={"lang": "en"}).status_code == 200
            page = stranger.get("/ca", params={"lang": "ja"}).text
            given = stranger.get("/ca/sekisho-ca.crt")
        ca = x509.load_der_x509_certificate(given.content)
        assert fingerprint(ca) in page and "信頼されたルート証明機関" in page
        assert given.headers["content-type"] == "application/x-x509-ca-cert"
        for load in (load_der_private_key, load_pem_private_key):
            with pytest.raises(ValueError, match=r"(?i)key|PEM|DER|data"):
                load(given.content, None)
        trusting = ssl.create_default_context(cadata=given.content)
        with httpx2.Client(base_url=url, verify=trusting) as device:
            assert device.get("/api/v1/health").json() == {"status": "up"}
            hello = device.post("/api/v1/sign-in/passkey/options", headers={"Origin": url})
            assert hello.status_code == 200
    finally:
        server.should_exit = True
        thread.join(10)


def test_without_a_ca_of_ours_there_is_no_such_page(shared: Any) -> None:
    """Somebody would install a file that is not there."""
    assert shared.anonymous().get("/ca").status_code == 404
    assert shared.anonymous().get("/ca/sekisho-ca.crt").status_code == 404


PLAIN: list[tuple[dict[str, Any], str | None]] = [
    ({}, None),
    ({"host": "10.0.0.5", "allow_remote": True}, "tls"),
    ({"host": "10.0.0.5", "allow_remote": True, "tls_own_ca": True}, None),
    ({"host": "10.0.0.5", "allow_remote": True, "allow_plain": True}, None),
    ({"host": "10.0.0.5", "tls_own_ca": True}, "allow_remote"),
    ({"tls_certificate": Path("a")}, "together"),
    ({"tls_own_ca": True, "tls_certificate": Path("a"), "tls_key": Path("b")}, "either"),
]


@pytest.mark.parametrize(("given", "named"), PLAIN)
def test_pages_on_the_network_speak_tls(tmp_path: Path, given: dict[str, Any], named: str | None) -> None:
    """Whoever listens on the network would have every officer's session."""
    whole = {"socket": tmp_path / "s", "state_dir": tmp_path, **given}
    if named is None:
        assert Settings(**whole)
    else:
        with pytest.raises(SettingsError, match=named):
            Settings(**whole)


def test_tables_of_the_settings_file_are_read(tmp_path: Path) -> None:
    """The company's certificate would be passed over without a word."""
    from api.settings import load_settings

    path = tmp_path / "api.toml"
    start = 'socket = "/s"\nstate_dir = "/d"\n'
    path.write_text(start + '[tls]\ncertificate = "/c.pem"\nkey = "/k.pem"\n[oidc]\nissuer = "https://idp.example"\n'
                    'client_id = "x"\nsecret_file = "/x"\n')  # fmt: skip
    read = load_settings(path)
    assert (read.tls_certificate, read.tls_key) == (Path("/c.pem"), Path("/k.pem")) and read.has_tls
    assert read.oidc_issuer == "https://idp.example" and read.page_origin == "https://localhost:8440"
    path.write_text(start + "[tls]\nown_ka = true\n")
    with pytest.raises(SettingsError, match=r":4.*own_ka"):
        load_settings(path)
