"""Card numbers are never kept; the keys that hide them are made once and read by nobody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cards import NUMBER_PATTERN, CardNumbers, last4
from controller.secrets_file import read_or_create

numbers = st.binary(min_size=4, max_size=20)


@pytest.mark.req("A-02")
@given(number=numbers, key=st.binary(min_size=32, max_size=32))
def test_a_hash_shows_nothing_of_the_number_and_hangs_on_the_key(number, key):
    """Whoever reads the policy could copy every card."""
    hashed = CardNumbers(key).hash(number)
    assert len(hashed) == 64 and set(hashed) <= set("0123456789abcdef")
    assert hashed == CardNumbers(key).hash(number)
    assert hashed != CardNumbers(bytes(b ^ 1 for b in key)).hash(number)
    assert hashed != CardNumbers(key).hash(number + b"\x00")


@given(number=numbers)
def test_four_digits_are_all_that_is_shown(number):
    """A log would hold a number that can be copied."""
    assert last4(number) == number.hex().upper()[-4:] and len(last4(number)) == 4


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        ("04A1B2C3", True),
        ("04a1b2c3", True),
        ("0" * 66, True),
        ("04A1B2", False),
        ("04A1B2C", False),
        ("0" * 68, False),
        ("04 A1 B2 C3", False),
        ("04A1B2C3\n", False),
        ("０４A1B2C3", False),
        ("", False),
    ],
)
def test_a_number_is_4_to_33_bytes_in_hex(text, is_number):
    """A mistyped number would be issued, and no reader would ever send it."""
    assert (NUMBER_PATTERN.fullmatch(text) is not None) is is_number


def test_a_secret_is_made_once_and_for_nobody_else(tmp_path):
    """A second start would not know the cards of the first; or anybody on the box could try all numbers."""
    path = tmp_path / "site.key"
    secret = read_or_create(path, os.urandom)
    assert len(secret) == 32 and path.stat().st_mode & 0o777 == 0o600
    assert read_or_create(path, lambda _: pytest.fail("made anew")) == secret
    assert [found.name for found in tmp_path.iterdir()] == ["site.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_secret_that_others_can_read_is_refused(tmp_path, mode):
    """A restored backup would lie open, and nobody would notice."""
    path = tmp_path / "site.key"
    read_or_create(path, os.urandom)
    path.chmod(mode)
    with pytest.raises(ValueError, match=f"others can read this secret: chmod 600 {path}"):
        read_or_create(path, os.urandom)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_of_another_size_is_refused_and_kept(tmp_path, size):
    """All cards would be hashed with half a key, or the other half would be gone for good."""
    path = tmp_path / "site.key"
    path.write_bytes(bytes(size))
    path.chmod(0o600)
    with pytest.raises(ValueError, match=f"has {size} bytes, a secret has 32; restore it from the backup"):
        read_or_create(path, os.urandom)
    assert path.read_bytes() == bytes(size)


def test_a_start_that_lost_its_power_leaves_no_half_secret(tmp_path):
    """The controller would never start again: its key has no bytes, and it will not overwrite it."""
    path = tmp_path / "site.key"

    def power_cut(_size: int) -> bytes:
        raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        read_or_create(path, power_cut)
    assert not path.exists()
    assert len(read_or_create(path, os.urandom)) == 32


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    """A start would end in a traceback."""
    with pytest.raises(OSError, match=r"site\.key"):
        read_or_create(tmp_path / "nowhere" / "site.key", os.urandom)
