"""The examples of docs/streams.md are settings that the program takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from controller.streams.settings import load_settings

PAGE = (Path(__file__).parents[3] / "docs" / "streams.md").read_text("utf-8")
EXAMPLES = [one for one in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[[sink]]" in one]


@pytest.mark.parametrize("example", EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_an_example_is_taken_as_it_stands(example, tmp_path):
    """Whoever sets a sink up would copy what does not work."""
    path = tmp_path / "streams.toml"
    head = "" if re.search(r"^socket", example, re.MULTILINE) else 'socket = "x.sock"\nstate_dir = "streams"\n'
    path.write_text(head + example, "utf-8")
    assert load_settings(path).sink


def test_both_wires_have_an_example():
    """The test above would say nothing about a page that lost them."""
    assert {"mqtt", "syslog"} <= {kind for one in EXAMPLES for kind in re.findall(r'kind = "(\w+)"', one)}
