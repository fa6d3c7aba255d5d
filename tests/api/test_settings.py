"""Settings: what is refused, and the token file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings, SettingsError, load_settings, read_token

GOOD = 'socket = "/run/s.sock"\nstate_dir = "/var/lib/s"\n'
BAD: list[tuple[str, str]] = [
    ('socket = "/x"\n', "state_dir"),
    (GOOD + "prot = 1\n", r":3: prot"),
    (GOOD + 'port = "8440"\n', r":3: port"),
    (GOOD + "port = 70000\n", "port"),
    (GOOD + 'host = "0.0.0.0"\n', "allow_remote"),
    (GOOD + 'host = "gate.local"\n', "allow_remote"),
    (GOOD + "allow_remote = 1\n", r":3: allow_remote"),
    (GOOD + 'officer = "山本 恵"\n', "officer"),
    (GOOD + "host = \n", "line 3"),
]


@pytest.mark.parametrize(("text", "named"), BAD)
def test_a_mistake_in_the_file_names_the_key_and_the_line(tmp_path: Path, text: str, named: str) -> None:
    """Somebody would hunt for a typo, or the page would be open to the whole network by mistake."""
    (tmp_path / "api.toml").write_text(text)
    with pytest.raises(SettingsError, match=named):
        load_settings(tmp_path / "api.toml")


def test_arguments_come_before_the_environment_before_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    """A unit's override would not take."""
    (tmp_path / "api.toml").write_text(GOOD + "port = 1\n")
    monkeypatch.setenv("SEKISHO_API_PORT", "2")
    monkeypatch.setenv("SEKISHO_API_ALLOWED_HOSTS", "gate.local, gate")
    read = load_settings(tmp_path / "api.toml")
    assert read.port == 2 and read.host_names >= {"gate.local", "gate", "localhost"}
    assert load_settings(tmp_path / "api.toml", port=3).port == 3
    monkeypatch.setenv("SEKISHO_API_PORT", "two")
    with pytest.raises(SettingsError, match="SEKISHO_API_PORT"):
        load_settings(tmp_path / "api.toml")


def test_the_token_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    """Another account on the machine could open doors."""
    settings = Settings(socket=tmp_path / "s", state_dir=tmp_path / "state")
    token = read_token(settings)
    assert len(token) >= 40 and read_token(settings) == token
    assert stat.S_IMODE(settings.token_path.stat().st_mode) == 0o600
    settings.token_path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_token(settings)
    settings.token_path.chmod(0o600)
    settings.token_path.write_text("short\n")
    with pytest.raises(SettingsError, match="holds no token"):
        read_token(settings)
