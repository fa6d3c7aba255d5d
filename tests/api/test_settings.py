"""Settings: what is refused, and where passkeys are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.settings import Settings, SettingsError, load_settings

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


ORIGINS = [
    ({}, "http://localhost:8440", "localhost"),
    ({"port": 80}, "http://localhost", "localhost"),
    ({"origin": "https://gate.example"}, "https://gate.example", "gate.example"),
    ({"origin": "https://gate.example:8440", "rp_id": "example"}, "https://gate.example:8440", "example"),
]


@pytest.mark.parametrize(("given", "origin", "party"), ORIGINS)
def test_passkeys_are_bound_to_where_the_pages_are(
    tmp_path: Path, given: dict[str, Any], origin: str, party: str
) -> None:
    """No passkey would be offered, or one for another site would do."""
    settings = Settings(socket=tmp_path / "s", state_dir=tmp_path / "state", **given)
    assert (settings.page_origin, settings.relying_party) == (origin, party)


@pytest.mark.parametrize(
    "given",
    [{"origin": "gate.example"}, {"origin": "https://gate.example/"}, {"origin": "https://gate.example", "rp_id": "b"},
     {"origin": "https://evilgate.example", "rp_id": "gate.example"}, {"idle_minutes": 0}, {"idle_minutes": 721},
     {"inactive_days": 0}],
)  # fmt: skip
def test_a_sign_in_that_nobody_could_trust_is_not_set_up(tmp_path: Path, given: dict[str, Any]) -> None:
    """Nobody could sign in, or sessions would never end."""
    with pytest.raises(SettingsError):
        Settings(socket=tmp_path / "s", state_dir=tmp_path / "state", **given)
