"""Settings of the web process: from TOML, then the environment, then arguments.

Refuses: unknown keys (named with their line), a host other than loopback unless the site says so in so many words.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
TABLES: Final = frozenset({"tls", "oidc"})
_ENVIRONMENT: Final = "SEKISHO_API_"


class SettingsError(ValueError):
    """The settings cannot be used; the message names the key and says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`socket`: the controller's Unix socket. `state_dir`: where api.db lies. `allow_remote`: must be true for a host
    other than loopback, because the page carries names and releases locks. `allowed_hosts`: further names that the
    Host header may carry. `origin`: where officers open the pages, as browsers write it (empty: http://localhost and
    the port); `rp_id`: the name that passkeys are bound to (empty: the host of `origin`). `idle_minutes`: a session
    ends when nobody does anything for so long; `inactive_days`: after so long without signing in, only a passkey will
    do (A-30). `oidc_…`, written as a table [oidc]: the company's provider, where it has one (`claim`: which claim of
    its tokens is the officer's id). `tls_…`, as a table [tls]: `certificate` and `key` are the company's, or `own_ca`
    makes both; without either, a host other than loopback needs `allow_plain`: somebody else's proxy speaks TLS then.
    """

    socket: Path
    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8440
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    streams_max: int = 64
    origin: str = ""
    rp_id: str = ""
    idle_minutes: int = 15
    inactive_days: int = 90
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_secret_file: Path | None = None
    oidc_claim: str = "preferred_username"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_own_ca: bool = False
    allow_plain: bool = False

    def __post_init__(self) -> None:
        if not self.allow_remote and not _is_loopback(self.host):
            raise SettingsError(f"host: {self.host} is not loopback; set allow_remote = true if that is meant")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port: {self.port} is not between 0 and 65535")
        if self.streams_max < 1:
            raise SettingsError("streams_max: must be at least 1")
        self._check_sign_in()
        self._check_tls()

    def _check_sign_in(self) -> None:
        for key, most in (("idle_minutes", 720), ("inactive_days", 3650)):
            if not 1 <= getattr(self, key) <= most:
                raise SettingsError(f"{key}: must be from 1 to {most}")
        if self.origin and not _ORIGIN.fullmatch(self.origin):
            raise SettingsError("origin: write it as browsers do: https://gate.example or http://localhost:8440")
        host = urlsplit(self.page_origin).hostname or ""
        if host != self.relying_party and not host.endswith(f".{self.relying_party}"):
            raise SettingsError(f"rp_id: {self.rp_id} is neither the host of origin ({host}) nor a domain above it")

        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_secret_file):
            raise SettingsError("oidc: issuer needs client_id and secret_file beside it")

    def _check_tls(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("tls: certificate and key stand together")
        if self.tls_own_ca and self.tls_certificate is not None:
            raise SettingsError("tls: either own_ca, or certificate and key")
        if not _is_loopback(self.host) and not self.has_tls and not self.allow_plain:
            raise SettingsError(
                "tls: pages on the network need it: own_ca = true, or certificate and key; allow_plain = true where"
                " a proxy of yours speaks TLS"
            )

    @property
    def has_tls(self) -> bool:
        """Whether this process itself speaks TLS."""
        return self.tls_own_ca or self.tls_certificate is not None

    @property
    def page_origin(self) -> str:
        """Where the pages are, as browsers write it."""
        if self.origin:
            return self.origin
        scheme, usual = ("https", 443) if self.has_tls else ("http", 80)
        return f"{scheme}://localhost" + ("" if self.port == usual else f":{self.port}")

    @property
    def relying_party(self) -> str:
        """The name that passkeys are bound to."""
        return self.rp_id or urlsplit(self.page_origin).hostname or "localhost"

    @property
    def host_names(self) -> frozenset[str]:
        """Names (without port) that a Host header may carry; anything else is another site's name for our address."""
        own = {"localhost", "127.0.0.1", "[::1]", urlsplit(self.page_origin).hostname or "", *self.allowed_hosts}
        if self.host not in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound to
            own.add(f"[{self.host}]" if ":" in self.host else self.host)
        return frozenset(name.lower() for name in own)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(path: Path | None, **given: Any) -> Settings:
    """Settings from the TOML file at `path`, overridden by SEKISHO_API_<KEY>, overridden by `given`.

    Raises SettingsError naming the key, and the line where it stands in a file.
    """
    known = {field.name: field.type for field in fields(Settings)}
    values: dict[str, Any] = {}
    text = ""
    if path is not None:
        try:
            text = path.read_text("utf-8")
            values = _flat(tomllib.loads(text))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from error
    for key in values:
        if key not in known:
            raise SettingsError(f"{path}{_line_of(text, key)}: {key}: is not a setting; known: {', '.join(known)}")
    for key, kind in known.items():
        if (word := os.environ.get(_ENVIRONMENT + key.upper())) is not None:
            values[key] = _from_word(key, str(kind), word)
    values |= {key: value for key, value in given.items() if value is not None}
    for key, value in values.items():
        values[key] = _typed(key, str(known[key]), value, f"{path or 'settings'}{_line_of(text, key)}")
    missing = [key for key in ("socket", "state_dir") if key not in values]
    if missing:
        raise SettingsError(f"{path or 'settings'}: {missing[0]}: is missing")
    return Settings(**values)


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    """The keys of a table [tls] or [oidc] as settings of their own: tls_key."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key in TABLES and isinstance(value, dict):
            found |= {f"{key}_{inner}": one for inner, one in value.items()}
        else:
            found[key] = value
    return found


def _line_of(text: str, key: str) -> str:
    table, _, inner = key.partition("_")
    key = inner if table in TABLES else key
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*\"?{re.escape(key)}\"?\s*[=.\]]|\s*\[+\s*{re.escape(key)}\b", line):
            return f":{number}"
    return ""


def _from_word(key: str, kind: str, word: str) -> Any:
    if kind == "int":
        if not word.isascii() or not word.isdigit():
            raise SettingsError(f"{_ENVIRONMENT}{key.upper()}: {word!r} is not a whole number")
        return int(word)
    if kind == "bool":
        if word.lower() not in ("true", "false"):
            raise SettingsError(f"{_ENVIRONMENT}{key.upper()}: write true or false, not {word!r}")
        return word.lower() == "true"
    if kind.startswith("tuple"):
        return [part.strip() for part in word.split(",") if part.strip()]
    return word


def _typed(key: str, kind: str, value: Any, where: str) -> Any:
    if kind.startswith("Path") and isinstance(value, str | Path):
        return Path(value)
    if kind.startswith("tuple") and isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(value)
    expected = {"str": str, "int": int, "bool": bool}.get(kind)
    if expected is not None and type(value) is expected:
        return value
    raise SettingsError(f"{where}: {key}: {value!r} is not a {kind.split(' ', maxsplit=1)[0].lower()}")
