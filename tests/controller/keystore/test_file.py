"""The sealed file: what is believed, what is refused, and what a crash leaves."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.keystore.errors import KeyStoreError
from controller.keystore.guarded import BYTES_MAX
from controller.keystore.seals import CredentialSeal, FileSeal
from controller.keystore.store import UNSEALED, KeyStore
from tests.controller.keystore.keys import GOOD, LATER, OTHER, TODAY, drawn, filled, opened


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a key store that was closed."""
    folder = tmp_path_factory.mktemp("whole") / "keys"
    filled(folder).close()
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(whole, tmp_path / "keys")
    (tmp_path / "keys").chmod(0o700)
    return tmp_path / "keys"


def refused(folder: Path, match: str, **more: bool) -> None:
    """It cannot be opened; nothing is changed by that, and nothing is begun anew."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    with pytest.raises(KeyStoreError, match=match) as caught:
        opened(folder, **more)
    assert GOOD.hex() not in str(caught.value)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    assert {name: text for name, text in after.items() if name != "keystore.lock"} == {
        name: text for name, text in before.items() if name != "keystore.lock"
    }


# -- what is believed ------------------------------------------------------------------------------------------------


def test_any_changed_byte_is_noticed(folder):
    """Somebody with the disk in his hands would change a key, a version or a reader's identity, and nobody see it."""
    path = folder / "keystore"
    text = path.read_bytes()
    end = text.index(b"\n", 20) + 1
    places = sorted({*range(end), *range(end, len(text), 13), *range(len(text) - 17, len(text))})
    for place in places:
        for bit in (1, 0x80) if place % 3 else (0x20,):
            path.write_bytes(text[:place] + bytes((text[place] ^ bit,)) + text[place + 1 :])
            refused(folder, "keystore|key store")
    path.write_bytes(text)
    opened(folder).close()


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 3000), more=st.binary(max_size=40))
def test_any_half_or_longer_file_is_noticed(whole, tmp_path_factory, cut, more):
    """A file that a full disk cut off would be taken for an empty key store."""
    folder = tmp_path_factory.mktemp("cut") / "keys"
    shutil.copytree(whole, folder)
    folder.chmod(0o700)
    text = (folder / "keystore").read_bytes()
    changed = text[: min(cut, len(text) - 1)] + more
    if changed == text:
        return
    (folder / "keystore").write_bytes(changed)
    refused(folder, "restore|damaged|cut off|newer")


@pytest.mark.parametrize(
    "parts", [("keystore",), ("seal.key",), ("keystore", "keystore.old"), ("keystore.generation",)]
)
def test_what_is_gone_is_never_begun_anew(folder, parts):
    """All keys would be replaced by none, and every card of the site be a stranger: or be let in as a mere number."""
    for part in parts:
        (folder / part).unlink()
    refused(folder, "restore")


def test_an_old_file_put_back_is_refused_until_somebody_says_so(folder):
    """Somebody who kept a copy would bring back a key that was retired because he had it."""
    old = (folder / "keystore").read_bytes()
    store = opened(folder, seed=2)
    store.rotate("desfire_read", LATER)
    store.retire("desfire_read", 1)
    store.close()
    (folder / "keystore").write_bytes(old)
    refused(folder, "older than what was here")
    store = opened(folder, seed=3, is_restored=True)
    assert store.versions("desfire_read") == (1,)
    generation = store.generation
    store.close()
    store = opened(folder, seed=4)  # and that was kept
    assert store.generation == generation
    store.close()


def test_the_state_before_the_last_change_is_kept(folder):
    """A mistake, or a damaged file, would cost every key."""
    store = opened(folder, seed=2)
    store.forget_reader("rd-1")
    store.close()
    shutil.copy(folder / "keystore.old", folder / "keystore")
    store = opened(folder, is_restored=True)
    assert store.reader_key("rd-1") == GOOD
    store.close()


def test_another_seal_does_not_open_it(folder):
    """A stolen disk would be opened by any machine."""
    shutil.copy(folder / "seal.key", folder / "mine")
    (folder / "seal.key").write_bytes(OTHER + GOOD)
    refused(folder, "was not sealed with this file")
    (folder / "seal.key").write_bytes(GOOD)
    refused(folder, "no sealing key")
    shutil.copy(folder / "mine", folder / "seal.key")
    credentials = folder.parent / "credentials"
    credentials.mkdir()
    shutil.copy(folder / "seal.key", credentials / "sekisho-keystore")
    with pytest.raises(KeyStoreError, match="sealed with 'file', and the site file says seal = 'credential'"):
        KeyStore.open(folder, CredentialSeal(str(credentials), drawn()), drawn())


def test_one_process_at_a_time(folder):
    """A console program and the controller would overwrite each other's keys."""
    store = opened(folder)
    refused(folder, "in use by another process")
    store.close()
    with pytest.raises(KeyStoreError, match="closed"):
        store.forget_reader("rd-1")
    opened(folder).close()


# -- who may read it -------------------------------------------------------------------------------------------------


def test_it_is_made_for_one_account_alone(tmp_path):
    """Any program on the machine would read the keys."""
    before = os.umask(0)
    try:
        filled(tmp_path / "keys").close()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert set(modes.values()) == {0o600}
    assert modes.keys() == {"keystore", "keystore.old", "keystore.generation", "keystore.lock", "seal.key"}
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "keystore", "seal.key", "keystore.generation"])
def test_what_others_can_read_is_refused(folder, name):
    """A backup or a careless chmod laid the keys open, and the site would go on as if nothing was."""
    (folder / name).chmod(0o750 if not name else 0o640)
    refused(folder, "others can read")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["", "keystore", "seal.key"])
def test_what_belongs_to_another_account_is_refused(folder, name):
    """Another program's account would hold the site's keys, and could change them."""
    os.chown(folder / name, 65534, 65534)
    refused(folder, "belongs to another account")


def test_links_and_other_things_are_refused(folder):
    """A link would lead the keys to where somebody else reads them."""
    (folder / "keystore").rename(folder / "elsewhere")
    (folder / "keystore").symlink_to(folder / "elsewhere")
    refused(folder, "keystore|key store")
    (folder / "keystore").unlink()
    (folder / "keystore").mkdir()
    refused(folder, "keystore|key store")
    (folder / "keystore").rmdir()
    (folder / "elsewhere").rename(folder / "keystore")
    (folder / "keystore.generation").write_text("many\n")
    refused(folder, "damaged")
    assert BYTES_MAX > 1_000_000


# -- crashes ---------------------------------------------------------------------------------------------------------

STEPS = ("open", "fsync", "link", "replace", "unlink", "close", "write")


class Crash(BaseException):
    """The power is cut."""


class Cut:
    """Counts what a write does to the disk, and stops the world before step number `at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, error: type[BaseException] | OSError = Crash) -> None:
        self.steps = 0
        self._at = at
        self._error = error
        for name in ("open", "fsync", "link", "replace", "unlink", "rename"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name)))

    def _counted(self, real):  # type: ignore[no-untyped-def]
        def step(*args, **more):  # type: ignore[no-untyped-def]
            self.steps += 1
            if self.steps == self._at:
                raise self._error
            return real(*args, **more)

        return step


def test_a_crash_at_any_step_leaves_the_old_keys_or_the_new(folder, monkeypatch, tmp_path):
    """A power cut in the middle of a rotation would lose every key of the site."""
    found = set()
    for at in range(1, 60):
        here = tmp_path / f"crash-{at}"
        shutil.copytree(folder, here)
        here.chmod(0o700)
        store = opened(here, seed=at)
        with monkeypatch.context() as patched:
            cut = Cut(patched, at)
            try:
                store.rotate("desfire_read", LATER)
            except Crash:
                pass
            else:
                break  # the write needs no more steps than that
        store._file.close()
        again = opened(here, seed=100 + at)
        assert again.versions("desfire_read") in ((1,), (2, 1))
        assert again.reader_key("rd-1") == GOOD
        found.add(again.versions("desfire_read"))
        again.rotate("desfire_read", LATER)  # and what was left lying about hinders nobody
        again.close()
        opened(here).close()
        assert cut.steps >= at
    else:
        raise AssertionError("a write has no end")
    assert found == {(1,), (2, 1)}
    assert at > 8


def test_a_full_disk_changes_nothing_and_says_so(folder, monkeypatch, tmp_path):
    """A key would be sent to a reader that nobody will know after the next start."""
    said = set()
    for at in range(1, 60):
        here = tmp_path / f"full-{at}"
        shutil.copytree(folder, here)
        here.chmod(0o700)
        store = opened(here, seed=at)
        with monkeypatch.context() as patched:
            Cut(patched, at, OSError(errno.ENOSPC, "No space left on device"))
            try:
                store.propose_reader_key("rd-9", LATER)
            except KeyStoreError as error:
                said.add(str(error).rpartition(": ")[2])
            else:
                break
        assert store.pending_key("rd-9") is None
        key = store.propose_reader_key("rd-9", LATER)  # there is room again
        store.close()
        again = opened(here)
        assert again.pending_key("rd-9") == key
        again.close()
    assert at > 8
    assert said == {"restore the sealing key from its backup", "make room or repair the disk, then ask again"}


def test_a_plain_sealing_key_is_a_deviation(tmp_path):
    """The site would believe its keys safe while they lie on the same disk as what seals them."""
    store = opened(tmp_path / "keys")
    assert store.deviations == (UNSEALED,)
    store.close()
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "sekisho-keystore").write_text(f"{(GOOD + OTHER).hex()}\n")
    seal = CredentialSeal(str(tmp_path / "credentials"), drawn())
    store = KeyStore.open(tmp_path / "sealed", seal, drawn())
    assert store.deviations == ()
    store.import_reader_key("rd-1", GOOD, TODAY)
    store.close()
    (tmp_path / "credentials" / "sekisho-keystore").write_bytes(GOOD + OTHER)  # the same 32 bytes, raw
    store = KeyStore.open(tmp_path / "sealed", CredentialSeal(str(tmp_path / "credentials"), drawn()), drawn())
    assert store.reader_key("rd-1") == GOOD
    store.close()
    assert GOOD.hex() not in repr(seal)


def test_a_better_seal_takes_the_place_of_a_worse_one(folder, tmp_path):
    """The first sealing file would stay for ever, because all keys hang on it."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "sekisho-keystore").write_bytes(GOOD + OTHER)
    better = CredentialSeal(str(tmp_path / "credentials"), drawn())
    store = opened(folder)
    with pytest.raises(KeyStoreError, match="no \\$CREDENTIALS_DIRECTORY"):
        store.seal_again(CredentialSeal(None, drawn()))
    store.pin_identity("rd-1", "ef" * 32)  # and goes on with the old one
    store.seal_again(better)
    assert store.deviations == ()
    assert not (folder / "keystore.old").exists()  # which the old seal opens
    store.close()
    (folder / "seal.key").unlink()
    store = KeyStore.open(folder, better, drawn(3))
    assert (store.reader_key("rd-1"), store.identity("rd-1")) == (GOOD, "ef" * 32)
    store.close()
    refused(folder, "sealed with 'credential', and the site file says seal = 'file'")


@pytest.mark.parametrize("directory", [None, "", "nowhere"])
def test_a_missing_credential_says_how_to_make_one(tmp_path, directory):
    """The service would begin with no keys because a line is missing in its unit."""
    where = None if directory is None else str(tmp_path / directory) if directory else ""
    with pytest.raises(KeyStoreError, match="systemd-creds encrypt"):
        KeyStore.open(tmp_path / "keys", CredentialSeal(where, drawn()), drawn())
    assert not (tmp_path / "keys" / "keystore").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """The controller would end with a trace of its own code."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyStoreError, match="a folder of its own"):
        KeyStore.open(tmp_path / "file" / "keys", FileSeal(tmp_path / "seal", drawn()), drawn())
