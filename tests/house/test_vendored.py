"""What other people wrote and we serve is byte for byte what they published (api/static/vendor/vendor.lock.json)."""

from __future__ import annotations

import hashlib
import json

from tests.house.sources import ROOT

FOLDER = ROOT / "api" / "static" / "vendor"
LOCK = FOLDER / "vendor.lock.json"


def test_vendored_files_match_their_hashes():
    """A changed library would run in every officer's browser, and nobody would have read the change."""
    lock = json.loads(LOCK.read_text("utf-8"))
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir() if path != LOCK}
    assert there == {name: one["sha256"] for name, one in lock["files"].items()}
    assert "LICENSE.htmx.txt" in there, "what is not ours carries its licence"
    assert lock["version"] and lock["integrity"].startswith("sha512-")


def test_what_tests_have_of_others_is_what_they_published():
    """A changed judge of the pages would find nothing wrong with them, and nobody would have read the change."""
    folder = ROOT / "tests" / "vendor"
    lock = json.loads((folder / "vendor.lock.json").read_text("utf-8"))
    files = [path for path in folder.iterdir() if path.name != "vendor.lock.json"]
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert there == {name: one["sha256"] for name, one in lock["files"].items()}
    assert "LICENSE.axe-core.txt" in there


def test_our_own_styles_and_scripts_stay_small():
    """The first page on a bad line at night would be late (ux.md: 60 KB compressed for a whole page)."""
    sizes = {path.name: path.stat().st_size for path in FOLDER.parent.iterdir() if path.is_file()}
    assert sizes["style.css"] <= 15 * 1024, sizes
    assert sizes["app.js"] <= 6 * 1024, sizes
