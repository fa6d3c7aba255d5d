"""Settings of the web process: from TOML, then the environment, then arguments; and its one secret, the token file.

Refuses: unknown keys (named with their line), a host other than loopback unless the site says so in so many words,
a token file that others may read.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import tomllib
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

TOKEN_BYTES: Final = 32
_ENVIRONMENT: Final = "SEKISHO_API_"


class SettingsError(ValueError):
    """The settings cannot be used; the message names the key and says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`socket`: the controller's Unix socket. `state_dir`: where api.db lies. `allow_remote`: must be true for a host
    other than loopback, because the page carries names and releases locks. `allowed_hosts`: further names that the
    Host header may carry. `officer`: who the token stands for in records, until officers sign in themselves.
    """

    socket: Path
    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8440
    token_file: Path | None = None
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    officer: str = "officer"
    streams_max: int = 64

    def __post_init__(self) -> None:
        if not self.allow_remote and not _is_loopback(self.host):
            raise SettingsError(f"host: {self.host} is not loopback; set allow_remote = true if that is meant")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port: {self.port} is not between 0 and 65535")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", self.officer):
            raise SettingsError("officer: lower-case letters, digits and dashes only (a pseudonym, not a name)")
        if self.streams_max < 1:
            raise SettingsError("streams_max: must be at least 1")

    @property
    def token_path(self) -> Path:
        """Where the token lies: `token_file`, or `token` beside api.db."""
        return self.token_file or self.state_dir / "token"

    @property
    def host_names(self) -> frozenset[str]:
        """Names (without port) that a Host header may carry; anything else is another site's name for our address."""
        own = {"localhost", "127.0.0.1", "[::1]", *self.allowed_hosts}
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
            values = tomllib.loads(text)
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


def _line_of(text: str, key: str) -> str:
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


def read_token(settings: Settings) -> str:
    """The bearer token; made with mode 0600 when the file is missing. Raises SettingsError when others may read it."""
    path = settings.token_path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(made, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise SettingsError(f"token_file: {path} may be read by others; chmod 600 it, and renew it if it was")
    token = path.read_text("ascii", errors="replace").strip()
    if not re.fullmatch(r"[A-Za-z0-9_~.+/=-]{20,}", token):
        raise SettingsError(f"token_file: {path} holds no token of 20 letters and digits or more; delete it")
    return token
