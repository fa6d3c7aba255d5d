"""The certificates of a sink's line: TLS 1.3 against an authority of the site's own choice, our certificate where there
is one. Read anew for each connection, so that a renewed file needs no restart.

It shares no code with the readers' links on purpose: the process that carries records outside may not import what
knows doors. Refuses a key that others can read, and to go on without what was asked for.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import stat
from typing import TYPE_CHECKING, Final

from controller.streams.section import SinkRefused
from controller.streams.sinks import SinkDown

if TYPE_CHECKING:
    from pathlib import Path

OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
"""Who may not have a key: everybody, and a group that could put another in its place."""

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""The only places that records may go to in the clear: they do not leave the machine."""

_LABEL: Final = "[A-Za-z0-9_-]{1,63}"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*", re.ASCII)
VERSIONS: Final = {"1.3": ssl.TLSVersion.TLSv1_3, "1.2": ssl.TLSVersion.TLSv1_2}


def check_pair(*, host: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> None:
    """Refuse settings that make no line. SinkRefused names the key and says what to do."""
    if not _is_host(host):
        raise SinkRefused("host", "give the name or address that stands in the other side's certificate")
    if ca_file is None and host not in LOOPBACK:
        raise SinkRefused("ca_file", "records leave this machine under TLS only; give the authority's certificate")
    if (cert_file is None) != (key_file is None):
        raise SinkRefused("cert_file", "give cert_file and key_file together, or neither")
    if cert_file is not None and ca_file is None:
        raise SinkRefused("ca_file", "a certificate of ours needs TLS; give the authority's certificate")


def client_context(
    ca_file: Path, cert_file: Path | None, key_file: Path | None, at_least: str = "1.3"
) -> ssl.SSLContext:
    """A context that trusts `ca_file` alone and checks the host's name; `at_least` is one of VERSIONS.

    Raises SinkDown "tls" naming the file that is not in order and what to do.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[at_least]
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError):
        raise SinkDown("tls", f"{ca_file}: no certificate of an authority can be read here") from None
    if cert_file is not None and key_file is not None:
        _check_key(key_file)
        try:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
        except (OSError, ValueError):
            why = f"{cert_file}, {key_file}: not a certificate and its own key, both in PEM and without a password"
            raise SinkDown("tls", why) from None
    return context


def why_refused(error: ssl.SSLError) -> str:
    """What was wrong when a handshake failed, for a reader at the machine."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the other side's certificate does not hold: {error.verify_message}"
    return f"the handshake failed ({error.reason or 'no TLS there, or hung up on our certificate'})"


def _is_host(text: str) -> bool:
    try:
        return _NAME.fullmatch(text) is not None or bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _no_password() -> str:
    """OpenSSL would ask at the terminal and wait there for ever."""
    raise ValueError("a key with a password cannot be used by a service")


def _check_key(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except OSError:
        raise SinkDown("tls", f"{file}: give the path of the key, and make this account its owner") from None
    if mode & OTHERS:
        raise SinkDown("tls", f"{file}: chmod 0600 it; if others had an account here, make a new certificate")
