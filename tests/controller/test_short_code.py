"""The code that goes on the inspection sheet."""

from __future__ import annotations

import hashlib

import pytest

from controller.link.short_code import LETTERS, short_code

TEXT = "sekisho.example/gate-1\n812\n" + "A" * 43 + "=\n"


@pytest.mark.req("A-27")
def test_the_code_is_that_of_the_page():
    """What stands on the sheet could not be checked by a program that follows docs/ledger.md §12."""
    digest = hashlib.sha256(b"sekisho code v1\n" + TEXT.encode()).digest()
    bits = f"{int.from_bytes(digest):0256b}"
    letters = "".join(LETTERS[int(bits[at : at + 5], 2)] for at in range(0, 60, 5))
    told = f"812-{letters[:4]}-{letters[4:8]}-{letters[8:12]}"
    check = int(f"{hashlib.sha256(told.encode()).digest()[0]:08b}"[:5], 2)
    assert short_code(812, TEXT) == f"{told}-{LETTERS[check]}"
    assert short_code(812, TEXT) == "812-QWM7-ENXF-SRBH-Y"  # for whoever writes another verifier


@pytest.mark.req("A-27")
def test_another_checkpoint_has_another_code():
    """A rewritten history would show the code that was copied down."""
    codes = {short_code(812, TEXT.replace("AAAA", letters, 1)) for letters in ("AAAA", "AAAB", "BAAA")}
    assert len(codes | {short_code(813, TEXT)}) == 4
    assert not set("".join(codes)) & set("ILOU")  # letters that are mistaken for others
