"""Every text of the officers' side is there in Japanese, and the compiled catalogue is the one of the texts."""

from __future__ import annotations

import pytest

from tests.house import texts


@pytest.mark.req("D-30")
def test_every_text_has_its_japanese():
    """An officer at night would read half a page in a language that is not his."""
    there = texts.read(texts.PO)
    known = {texts.key_of(one): one for one in there if one.id and any(one.string)}
    missing = [texts.key_of(one) for one in texts.said() if one.id and texts.key_of(one) not in known]
    assert not missing, f"no Japanese for {len(missing)} texts; `python -m tests.house.texts` lists them: {missing[:5]}"
    fuzzy = [key for key, one in known.items() if one.fuzzy]
    assert not fuzzy, f"guessed, and read by nobody: {fuzzy}"


def test_a_translation_fills_in_what_its_text_fills_in():
    """A page would fail in one language only, at the moment when there is something to say."""
    wrong = []
    for one in texts.read(texts.PO):
        if one.id and one.python_format:
            wrong += [f"{texts.key_of(one)}: {error}" for error in one.check()]
    assert not wrong, "\n".join(wrong)


def test_the_compiled_catalogue_is_of_these_texts():
    """What is read would not be what was written and reviewed."""
    told = "run `python -m tests.house.texts`"
    assert texts.meant(texts.MO.read_bytes()) == texts.meant(texts.mo_bytes(texts.read(texts.PO))), told


def test_no_text_holds_a_bare_percent_sign():
    """A template would fail on it: its texts are always filled in."""
    bare = [texts.key_of(one) for one in texts.said() if one.id and "%" in str(one.id) and not one.python_format]
    templates = "".join(path.read_text("utf-8") for path in (texts.FOLDER / "templates").glob("*.html"))
    assert not [text for _, text in bare if text in templates], bare
