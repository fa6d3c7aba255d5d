"""The key store sealed by a PKCS#11 token: SoftHSM2, whole."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.keystore.errors import KeyStoreError
from controller.keystore.seals import Pkcs11Seal
from controller.keystore.store import KeyStore
from tests.controller.keystore.keys import GOOD, OTHER, TODAY, drawn

PIN = "73906152"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)

pytestmark = pytest.mark.needs("softhsm")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two tokens. The library reads its configuration once a process, so they serve the whole file."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    patched = pytest.MonkeyPatch()
    patched.setenv("SOFTHSM2_CONF", str(configuration))
    for label in ("sekisho", "another"):
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "24681357", "--pin", PIN],
            check=True,
            capture_output=True,
        )
    import pkcs11

    pkcs11.lib(next(path for path in MODULES if Path(path).exists())).reinitialize()  # it may have served another file
    (folder / "pin").write_text(f"{PIN}\n")
    (folder / "pin").chmod(0o600)
    yield folder
    patched.undo()


def seal(
    tokens: Path, *, token: str = "sekisho", label: str = "keys", pin: str = "pin", module: str = ""
) -> Pkcs11Seal:
    """A seal on one of them."""
    found = module or next(path for path in MODULES if Path(path).exists())
    return Pkcs11Seal(module=found, token=token, label=label, pin_file=tokens / pin, random=drawn())


def test_a_token_seals_and_opens_the_key_store(tokens, tmp_path):
    """The keys would lie open on every disk image, or be lost with the next restart."""
    store = KeyStore.open(tmp_path / "keys", seal(tokens), drawn(1))
    assert store.deviations == ()
    store.import_reader_key("rd-1", GOOD, TODAY)
    store.close()
    again = KeyStore.open(tmp_path / "keys", seal(tokens), drawn(2))
    assert again.reader_key("rd-1") == GOOD
    again.import_reader_key("rd-2", OTHER, TODAY)
    again.close()
    text = (tmp_path / "keys" / "keystore").read_bytes()
    assert GOOD not in text and PIN.encode() not in text


def test_another_token_opens_nothing(tokens, tmp_path):
    """A copied disk would be opened with a token bought for it."""
    KeyStore.open(tmp_path / "keys", seal(tokens), drawn(1)).close()
    with pytest.raises(KeyStoreError, match="has no AES key"):
        KeyStore.open(tmp_path / "keys", seal(tokens, token="another"), drawn(2))
    seal(tokens, token="another").begin()  # and neither does one with a key of the same name
    with pytest.raises(KeyStoreError, match="was not sealed with this pkcs11"):
        KeyStore.open(tmp_path / "keys", seal(tokens, token="another"), drawn(2))


def test_the_sealing_key_cannot_be_taken_out(tokens):
    """Whoever knows the PIN for a minute would keep the key for ever."""
    import pkcs11

    seal(tokens, label="fixed").begin()
    seal(tokens, label="fixed").begin()  # made once
    module = next(path for path in MODULES if Path(path).exists())
    with pkcs11.lib(module).get_token(token_label="sekisho").open(user_pin=PIN) as session:
        keys = list(session.get_objects({pkcs11.Attribute.LABEL: "fixed"}))
        assert len(keys) == 1
        assert keys[0][pkcs11.Attribute.SENSITIVE] is True
        assert keys[0][pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.PKCS11Error):
            _ = keys[0][pkcs11.Attribute.VALUE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"token": "nowhere"}, "cannot be used"),
        ({"module": "/nowhere/lib.so"}, "cannot be used"),
        ({"pin": "wrong"}, "its PIN right"),
        ({"pin": "missing"}, "put the token's PIN there"),
        ({"pin": "open"}, "others can read"),
    ],
)
def test_a_token_that_cannot_be_used_says_why_without_its_pin(tokens, tmp_path, change, said):
    """The controller would stop with a number, or print the PIN into the journal."""
    (tokens / "wrong").write_text("00000000")
    (tokens / "wrong").chmod(0o600)
    shutil.copy(tokens / "pin", tokens / "open")
    (tokens / "open").chmod(0o644)
    with pytest.raises(KeyStoreError, match=said) as caught:
        KeyStore.open(tmp_path / "keys", seal(tokens, **change), drawn())
    assert PIN not in str(caught.value) and "00000000" not in str(caught.value)
    assert not (tmp_path / "keys" / "keystore").exists()
