"""The officer's handbook quotes the pages as they are: what stands in quotation marks there is a text of ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from babel.messages.pofile import read_po

from tests.house.sources import ROOT

CATALOGUE: Final = ROOT / "api" / "locale" / "ja" / "LC_MESSAGES" / "sekisho.po"


def texts(path: Path) -> tuple[set[str], set[str]]:
    """All texts, in English and in Japanese."""
    with path.open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    english = {message.id if isinstance(message.id, str) else message.id[0] for message in messages}
    return english, {message.string if isinstance(message.string, str) else message.string[0] for message in messages}


@pytest.mark.parametrize(("page", "quoted"), [("handbook.md", r"“([^”]+)”"), ("handbook.ja.md", r"「([^」\s]+)」")])
def test_what_the_handbook_quotes_stands_on_a_page(page: str, quoted: str) -> None:
    """The button has another name since spring, and a new officer looks for it while the phone rings."""
    ours = texts(CATALOGUE)[page.endswith(".ja.md")]
    found = set(re.findall(quoted, (ROOT / "docs" / page).read_text("utf-8")))
    assert len(found) > 20
    assert [words for words in sorted(found) if not any(words in text for text in ours)] == []
