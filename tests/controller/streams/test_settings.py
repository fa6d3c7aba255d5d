"""The settings file of the program that carries records outside: mistakes are named with their line."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from controller.streams.jsonl import JsonlSection
from controller.streams.settings import SECTIONS, SettingsError, load_settings
from tests.house.sources import ROOT

HEAD = 'socket = "/run/sekisho/controller.sock"\nstate_dir = "state"\n'
FOLDER = '[[sink]]\nkind = "jsonl"\nname = "archive"\nfolder = "/srv/archive"\n'
HOOK = '[[sink]]\nkind = "webhook"\nname = "hook"\nurl = "https://a.example/"\nsecret_file = "secret"\n'


def loaded(tmp_path: Path, text: str):
    path = tmp_path / "streams.toml"
    path.write_text(text)
    return load_settings(path)


def test_a_sound_file(tmp_path):
    """What the page shows is not what is taken."""
    settings = loaded(tmp_path, HEAD + FOLDER + 'types = ["DOOR_FORCED"]\n' + HOOK)
    assert settings.state_dir == tmp_path / "state"
    archive, hook = settings.sink
    assert isinstance(archive, JsonlSection)
    assert archive.folder == Path("/srv/archive")
    assert archive.is_filtered
    assert hook.secret_file == tmp_path / "secret"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (HEAD, 1, "nothing to carry"),
        (HEAD + "sink = []\n", 1, "nothing to carry"),
        (HEAD + FOLDER.replace("folder", "foldr"), 6, "folder"),
        (HEAD + FOLDER.replace("jsonl", "s3"), 4, "jsonl, webhook, mqtt, syslog"),
        (HEAD + FOLDER.replace('kind = "jsonl"\n', ""), 3, "kind"),
        (HEAD + FOLDER.replace("archive", "Archive Tokyo", 1), 5, "lower-case"),
        (HEAD + FOLDER + FOLDER, 9, "another one"),
        (HEAD + FOLDER * 9, 1, "length <= 8"),
        (HEAD + FOLDER + "file_bytes_max = 10\n", 7, "4096"),
        (HEAD + FOLDER + 'folder_max = "x"\n', 7, "file_bytes_max"),
        (HEAD + HOOK.replace("https", "http"), 6, "TLS"),
        (HEAD + HOOK + 'secret = "whsec_AAAA"\n', 8, "secret_file"),
        (HEAD + FOLDER.replace('"/srv/archive"', "3"), 6, "path"),
        (HEAD + FOLDER + 'types = ["DOOR_FORCED", "DOOR_FORCD"]\n', 7, "no record type DOOR_FORCD"),
        (HEAD + "[x", 1, "streams.toml"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path, text, line, said):
    """A mistyped key is passed over, and a sink that everybody relies on was never there."""
    with pytest.raises(SettingsError, match=said) as refused:
        loaded(tmp_path, text)
    assert f"streams.toml:{line}:" in str(refused.value) or said == "streams.toml"


def test_the_pages_example_is_taken(tmp_path):
    """Whoever copies the example of the page is refused."""
    page = (ROOT / "docs" / "streams.md").read_text("utf-8")
    example = next(block for block in page.split("```")[1::2] if block.startswith("toml\nsocket"))
    (tmp_path / "webhook.secret").write_text("whsec_" + base64.b64encode(bytes(32)).decode())
    settings = loaded(tmp_path, example.removeprefix("toml\n"))
    assert {SECTIONS[kind] for kind in SECTIONS} == {type(section) for section in settings.sink}
