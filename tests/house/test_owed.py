"""Every requirement is shown by a test or owed, and what is owed only shrinks."""

from __future__ import annotations

import pytest

from tests.house import owed


@pytest.mark.req("S-04")
def test_every_requirement_is_shown_or_owed():
    """A duty towards people is forgotten, and every light is green."""
    ids, owing, shown = set(owed.required()), owed.owed_in(owed.OWED.read_text("utf-8")), owed.shown()
    forgotten, paid = ids - owing - set(shown), owing & set(shown)
    assert not forgotten, f"neither shown by a test nor owed: {sorted(forgotten)}"
    assert not paid, f"shown by now; run `python -m tests.house.owed`: {sorted(paid)}"
    assert not owing - ids, f"owed, and no requirement: {sorted(owing - ids)}"
    unknown = {one: where for one, where in shown.items() if one not in ids}
    assert not unknown, f"marked, and no requirement: {unknown}"


@pytest.mark.req("S-04")
def test_what_is_owed_only_shrinks():
    """A test that had shown a duty is deleted, and the duty goes back on the list unseen."""
    owing = owed.owed_in(owed.OWED.read_text("utf-8"))
    for commit, before in owed.versions():
        assert not owing - before, f"owed again since {commit[:12]}: {sorted(owing - before)}"


def test_the_list_is_written_as_the_command_writes_it():
    """Two people's edits of the list would not merge."""
    text = owed.OWED.read_text("utf-8")
    assert text == owed.text_of(owed.owed_in(text))
