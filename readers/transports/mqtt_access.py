"""How the broker knows us and we it: passwords, certificates, TLS 1.3, and what to do when they do not fit.

Refuses a key that others can read, and to go on without what was asked for. Every fault has a short stable name, which
is recorded, and a sentence for whoever has to mend it, which is logged.
"""

from __future__ import annotations

import datetime as dt
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from readers.errors import TransportError

OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
"""Who may not have a key: everybody, and a group that could put another in its place."""

_X509_EXPIRED: Final = 10
_X509_NOT_YET_VALID: Final = 9
_X509_ANOTHER_ISSUER: Final = frozenset({2, 18, 19, 20, 21})
_X509_ANOTHER_HOST: Final = frozenset({62, 63, 64})
"""OpenSSL's X509_V_ERR_… numbers (x509_vfy.h)."""

NO_TLS: Final = "broker speaks no TLS 1.3"
ADVICE: Final = {
    "ca_file unreadable": "give the path of the site authority's ca.pem, readable for the controller",
    "password file unreadable": "give the path of a file that the controller can read",
    "own certificate unreadable": "give the path of the controller's certificate in PEM",
    "own certificate expired": "make a new one (deploy/make-certificates controller)",
    "own certificate not yet valid": "set this machine's clock, or make a new certificate",
    "own key unreadable": "give the path of the key, and make the controller its owner",
    "own key open to others": "chmod 0600 the key file; if others had an account here, make a new certificate",
    "own key of another certificate": "cert_file and key_file were made apart; give the two that belong together",
    "broker certificate expired": "make a new one for the broker (deploy/make-certificates broker)",
    "broker certificate not yet valid": "set this machine's clock, or the broker's certificate is from the future",
    "broker certificate of another authority": "somebody else answers at this address, or ca_file is another site's",
    "broker certificate of another host": "write `host` as it stands in the broker's certificate, or make one with it",
    "broker certificate refused": "look at it with openssl s_client -connect host:port",
    NO_TLS: "is `port` its TLS listener, and tls_version tlsv1.3 there?",
    "broker refused our certificate": "was it made by the broker's authority, and not revoked? Its log says which",
    "broker wants a certificate": "give cert_file and key_file, or the broker hung up for a reason that its log tells",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAccess:
    """How the broker knows us, and we it. All files are read anew for each connection; of the password file, its first
    line.
    """

    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class AccessFault(TransportError):
    """A file of ours, or the broker's certificate, is not in order. `why` is one of ADVICE."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: {ADVICE[why]}")
        self.why = why


def password(access: BrokerAccess) -> str | None:
    """The password. AccessFault when its file cannot be read."""
    if access.password_file is None:
        return None
    try:
        return access.password_file.read_text("utf-8").split("\n", 1)[0]
    except (OSError, UnicodeDecodeError):
        raise AccessFault("password file unreadable") from None


def tls(access: BrokerAccess) -> ssl.SSLContext:
    """TLS 1.3 against the site's own authority, with our certificate where there is one. AccessFault when a file is not
    in order.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(access.ca_file)
    except (OSError, ssl.SSLError):
        raise AccessFault("ca_file unreadable") from None
    if access.cert_file is not None and access.key_file is not None:
        _check_certificate(access.cert_file)
        _check_key(access.key_file)
        try:
            context.load_cert_chain(access.cert_file, access.key_file, password=_no_password)
        except ssl.SSLError as error:
            is_another = error.reason == "KEY_VALUES_MISMATCH"
            raise AccessFault("own key of another certificate" if is_another else "own key unreadable") from None
        except (OSError, ValueError):
            raise AccessFault("own key unreadable") from None
    return context


def why_refused(error: ssl.SSLError) -> str:
    """The name of what was wrong when a handshake failed."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return NO_TLS
    code = error.verify_code
    if code == _X509_EXPIRED:
        return "broker certificate expired"
    if code == _X509_NOT_YET_VALID:
        return "broker certificate not yet valid"
    if code in _X509_ANOTHER_ISSUER:
        return "broker certificate of another authority"
    return "broker certificate of another host" if code in _X509_ANOTHER_HOST else "broker certificate refused"


def _no_password() -> str:
    """OpenSSL would ask at the terminal and wait there for ever."""
    raise ValueError("a key with a password cannot be used by a service")


def _check_certificate(file: Path) -> None:
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError):
        raise AccessFault("own certificate unreadable") from None
    now = dt.datetime.now(dt.UTC)
    if now > certificate.not_valid_after_utc:
        raise AccessFault("own certificate expired")
    if now < certificate.not_valid_before_utc:
        raise AccessFault("own certificate not yet valid")


def _check_key(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except OSError:
        raise AccessFault("own key unreadable") from None
    if mode & OTHERS:
        raise AccessFault("own key open to others")
