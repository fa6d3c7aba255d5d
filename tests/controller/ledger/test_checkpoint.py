"""Checkpoints are signed notes that others can read, and the key stays with us."""

from __future__ import annotations

import base64
import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.errors import KeyRefused

KEY = SigningKey.from_seed(bytes(range(32)))
NOTARY = Notary(origin="sekisho.example/gate-1", key=KEY)
ROOT = bytes(range(32))


# golang.org/x/mod/sumdb/note's published example: PeterNeumann's key and the note it signed.
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


@pytest.mark.req("A-27")
def test_another_implementation_s_key_and_note():
    """Go's `note` package, and with it every witness, would not accept our checkpoints."""
    key = SigningKey.from_seed(GO_SEED)
    vkey = Notary(origin="PeterNeumann", key=key).vkey
    assert vkey == GO_VKEY
    assert base64.b64encode(bytes.fromhex("c74f20a3") + key.sign(GO_TEXT)).decode() == GO_SIGNATURE


def test_the_note_is_the_documented_text():
    """The verifier, written from the page, would refuse it."""
    note = NOTARY.checkpoint(7, ROOT).decode()
    lines = note.split("\n")
    assert lines[:4] == ["sekisho.example/gate-1", "7", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("— sekisho.example/gate-1 ")
    assert len(base64.b64decode(lines[4].split(" ")[2])) == 4 + 64
    assert lines[5:] == [""]
    NOTARY.check(note.encode(), 7, ROOT)


@pytest.mark.req("A-27")
def test_every_changed_byte_is_found():
    """A checkpoint could be edited."""
    note = NOTARY.checkpoint(7, ROOT)
    for index in range(len(note)):
        for change in (note[:index] + bytes([note[index] ^ 1]) + note[index + 1 :], note[:index]):
            with pytest.raises(ValueError, match="its"):
                NOTARY.check(change, 7, ROOT)
    for change in (note + b"\n", note + note.split(b"\n\n")[1]):
        with pytest.raises(ValueError, match="its"):
            NOTARY.check(change, 7, ROOT)


def test_another_key_and_another_origin_are_told_apart():
    """Somebody with an exchanged key file would look for damage in the records."""
    other = Notary(origin=NOTARY.origin, key=SigningKey.from_seed(bytes(32)))
    with pytest.raises(ValueError, match="signature is by key"):
        NOTARY.check(other.checkpoint(7, ROOT), 7, ROOT)
    with pytest.raises(ValueError, match="its origin is"):
        NOTARY.check(Notary(origin="elsewhere", key=KEY).checkpoint(7, ROOT), 7, ROOT)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "a\u3000b", "a\tb"])
def test_an_origin_that_breaks_the_note_is_refused(origin):
    """A signature line could be read as another's."""
    with pytest.raises(ValueError, match="origin"):
        Notary(origin=origin, key=KEY)


def test_a_new_key_is_private_whole_and_never_replaced(tmp_path):
    """Others could read the key, or a second start would orphan the ledger from it."""
    path = tmp_path / "ledger.key"
    mask = os.umask(0)
    try:
        made = SigningKey.create(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert SigningKey.load(path).public == made.public
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyRefused, match="never overwritten"):
        SigningKey.create(path)
    assert SigningKey.load(path).public == made.public
    assert list(tmp_path.iterdir()) == [path]


def test_a_raw_seed_is_a_key_file_too(tmp_path):
    """A key made by another program could not be brought in."""
    path = tmp_path / "seed"
    path.write_bytes(bytes(range(32)))
    path.chmod(0o400)
    assert SigningKey.load(path).public == KEY.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o610])
def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    """Whoever else is on the box could write another history."""
    path = tmp_path / "ledger.key"
    SigningKey.create(path)
    path.chmod(mode)
    with pytest.raises(KeyRefused, match="chmod 0600"):
        SigningKey.load(path)


def pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        bytes(33),
        bytes(10_000),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        pem(X25519PrivateKey.from_private_bytes(bytes(32))),
        pem(Ed25519PrivateKey.from_private_bytes(bytes(32)))[:60],
    ],
    ids=["empty", "short", "33 bytes", "long", "no key", "x25519", "cut"],
)
def test_what_is_no_key_is_refused_by_name(tmp_path, content):
    """The controller would die of a traceback instead of naming the file."""
    path = tmp_path / "ledger.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyRefused, match=r"ledger\.key"):
        SigningKey.load(path)


def test_a_missing_key_is_told(tmp_path):
    """A wrong path would look like a bad key."""
    with pytest.raises(KeyRefused, match="No such file"):
        SigningKey.load(tmp_path / "ledger.key")
    with pytest.raises(KeyRefused, match=r"regular file|directory"):
        SigningKey.load(tmp_path)
