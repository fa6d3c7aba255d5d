"""The pictures of docs/: each that a page shows is there, in both widths' names and in a language that there is."""

from __future__ import annotations

import re
from typing import Final

from tests.house.sources import ROOT, files

PICTURES: Final = ROOT / "docs" / "pictures"
SHOWN: Final = re.compile(r"pictures/([^)\s\"']+)")
STORIES: Final = (
    *("first-start", "enrol", "live", "live-alarm", "roster", "recruit", "approvals", "approval", "why", "map"),
    *("review", "roll-call", "audit", "record", "me", "devices", "reports", "people", "person", "print", "officers"),
)
NAME: Final = re.compile(rf"({'|'.join(STORIES)})-(ja|en)-(1366|390)\.png")


def shown() -> set[str]:
    """Pictures that pages show."""
    pages = (path for path in files() if path.suffix == ".md")
    return {name for path in pages for name in SHOWN.findall((ROOT / path).read_text("utf-8"))}


def test_pictures_are_named_by_story_language_and_width():
    """A handbook shows a picture that no story takes, and that is of last year's product for ever."""
    assert len(shown()) > 40
    assert [name for name in sorted(shown()) if not NAME.fullmatch(name)] == []


def test_every_picture_that_a_page_shows_is_there():
    """An officer's handbook has a torn frame where the page should be."""
    assert [name for name in sorted(shown()) if not (PICTURES / name).is_file()] == []
