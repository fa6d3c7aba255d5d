"""Where the ledger's key lies: a file, a credential, a token. Away, not ours, another one: said, never replaced."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from controller.clock import SystemClock
from controller.config import parse_site
from controller.key_places import CredentialKeys, FileKeys, TokenKeys
from controller.keys import load_keys
from controller.keystore.seals import Pkcs11Seal
from controller.ledger.body import Scribe
from controller.ledger.errors import KeyRefused, LedgerUnavailable
from controller.ledger.store import Ledger
from controller.rotation import rotate_key
from controller.site_file import LedgerSection
from controller.tokens import Token
from tests.controller.keystore.test_pkcs11 import MODULES, PIN
from tests.controller.test_boot import NO_WIRES

SEED = b"made-up seed for tests, 32 bytes"
ORIGIN = "sekisho.example/gate"


def signs(key, message=b"a checkpoint's three lines"):
    Ed25519PublicKey.from_public_bytes(key.public).verify(key.sign(message), message)
    return key.public


# -- a file ------------------------------------------------------------------------------------------------------------


def test_a_successor_takes_the_place_of_the_key_whose_bytes_go(tmp_path):
    """The old key would lie on the disk for whoever finds it next, or the new one would be lost."""
    place = FileKeys(tmp_path / "ledger.key")
    assert place.keys() == (None, None)
    old = signs(place.make())
    held = (tmp_path / "ledger.key").open("rb")
    with held:
        new = signs(place.make_successor())
        current, successor = place.keys()
        assert (signs(current), signs(successor)) == (old, new)
        place.take_up()
        assert set(held.read()) == {0}
    current, successor = place.keys()
    assert (signs(current), successor) == (new, None)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {"ledger.key": 0o600}


def test_a_successor_that_was_never_named_is_taken_away(tmp_path):
    """A key that signs nothing would wait for a thief."""
    place = FileKeys(tmp_path / "ledger.key")
    old = signs(place.make())
    place.make_successor()
    (tmp_path / "ledger.key.next.77.new").write_bytes(b"of a process that was killed")
    place.drop_successor()
    assert signs(place.keys()[0]) == old
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.key"]


def test_a_key_file_of_another_account_is_refused(tmp_path, monkeypatch):
    """Somebody else would have chosen the key that signs the ledger."""
    place = FileKeys(tmp_path / "ledger.key")
    place.make()
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    if os.getuid() == 0:  # root's are taken by everybody
        os.chown(tmp_path / "ledger.key", 4712, 4712)
    with pytest.raises(KeyRefused, match="belongs to another account"):
        place.keys()


def test_a_state_folder_that_others_can_write_to_is_refused(tmp_path):
    """Somebody else could put his key in the place of ours."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(ValueError, match="chmod 700"):
        load_keys(tmp_path / "state", os.urandom)


@pytest.mark.parametrize("made", [[], ["ledger.db"], ["ledger.db", "ledger.key"]], ids=["nothing", "ledger", "key"])
def test_a_first_start_that_was_cut_off_goes_on(tmp_path, made):
    """A power cut in the first second would leave a site that never starts."""
    load_keys(tmp_path / "whole", os.urandom)
    (tmp_path / "state").mkdir(mode=0o700)
    for name in made:
        shutil.copy2(tmp_path / "whole" / name, tmp_path / "state" / name)
    keys = load_keys(tmp_path / "state", os.urandom)
    assert keys.is_new
    again = load_keys(tmp_path / "state", os.urandom)
    assert not again.is_new and again.signer.public == keys.signer.public


# -- a credential ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [SEED, SEED.hex().encode() + b"\n"], ids=["bytes", "hex"])
def test_a_credential_signs(tmp_path, held):
    """A site whose key is sealed to its machine would not start."""
    (tmp_path / "ledger-key").write_bytes(held)
    (tmp_path / "ledger-key").chmod(0o400)
    place = CredentialKeys(str(tmp_path))
    key, successor = place.keys()
    assert signs(key) == signs(place.make()) and successor is None
    with pytest.raises(KeyRefused, match="ledger-key-next"):
        place.make_successor()
    (tmp_path / "ledger-key-next").write_bytes(SEED[::-1])
    (tmp_path / "ledger-key-next").chmod(0o400)
    assert signs(place.keys()[1]) == signs(place.make_successor()) != signs(key)


@pytest.mark.parametrize(
    ("held", "mode", "said"),
    [(SEED[:-1], 0o400, "neither a PEM"), (b"00" * 31, 0o400, "32 bytes or 64 hex"), (SEED, 0o444, "others can read")],
)
def test_what_is_no_credential_is_refused(tmp_path, held, mode, said):
    """Half a key, or one that all can read, would sign the ledger."""
    (tmp_path / "ledger-key").write_bytes(held)
    (tmp_path / "ledger-key").chmod(mode)
    with pytest.raises(KeyRefused, match=said):
        CredentialKeys(str(tmp_path)).keys()


def test_without_its_credential_a_site_does_not_begin(tmp_path, monkeypatch):
    """A key in a plain file would sign where one that is sealed was asked for."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(KeyRefused, match="LoadCredentialEncrypted=ledger-key:PATH"):
        load_keys(tmp_path, os.urandom, LedgerSection(key="credential"))
    assert not (tmp_path / "ledger.key").exists()


# -- a token -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One token. The library reads its configuration once a process, so it serves the whole file."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    patched = pytest.MonkeyPatch()
    patched.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "ledger", "--so-pin", "24681357", "--pin", PIN],
        check=True,
        capture_output=True,
    )
    import pkcs11

    pkcs11.lib(module()).reinitialize()  # another file's tests may have had it before
    (folder / "pin").write_text(f"{PIN}\n")
    (folder / "pin").chmod(0o600)
    yield folder
    patched.undo()


def module():
    return next(path for path in MODULES if Path(path).exists())


def token_of(folder, token="ledger", pin="pin"):
    return Token(module=module(), token=token, pin_file=folder / pin)


@pytest.fixture
def place(tokens, request) -> Iterator[TokenKeys]:
    made = TokenKeys(token_of(tokens), request.node.name[:40])
    yield made
    made.close()


@pytest.mark.needs("softhsm")
def test_a_token_makes_the_key_and_signs_with_it(tokens, place):
    """The key could be taken out of the token, and the ledger be signed elsewhere."""
    import pkcs11

    assert place.keys() == (None, None)
    public = signs(place.make())
    assert signs(place.make()) == public  # made once
    with token_of(tokens).work() as (_, session):
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=place._label)
        assert key[pkcs11.Attribute.SENSITIVE] is True
        assert key[pkcs11.Attribute.EXTRACTABLE] is False
        with pytest.raises(pkcs11.PKCS11Error):
            _ = key[pkcs11.Attribute.VALUE]
    assert signs(place.keys()[0]) == public


@pytest.mark.needs("softhsm")
def test_a_tokens_successor_takes_over_however_often_it_is_cut_off(tokens, place):
    """A rotation that lost its power between two steps in the token would leave no key that signs."""
    import pkcs11

    place.make()
    new = place.make_successor()
    with token_of(tokens).work() as (_, session):  # cut off after the old pair, and half of the new one's label
        place._destroy(pkcs11, session, place._label)
        key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=place._next)
        halves = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.Attribute.ID: key[pkcs11.Attribute.ID]}
        next(iter(session.get_objects(halves)))[pkcs11.Attribute.LABEL] = place._label
    current, successor = place.keys()
    assert current is None and signs(successor) == new.public
    place.take_up()
    place.take_up()
    assert signs(successor) == new.public  # whoever holds it goes on
    assert (signs(place.keys()[0]), place.keys()[1]) == (new.public, None)


@pytest.mark.needs("softhsm")
def test_a_site_on_a_token_starts_again_and_rotates(tokens, tmp_path):
    """A site whose key is in a token could not be run."""
    section = LedgerSection(key="pkcs11", module=module(), token="ledger", label="whole", pin_file=str(tokens / "pin"))
    keys = load_keys(tmp_path, os.urandom, section)
    assert keys.is_new and not (tmp_path / "ledger.key").exists()
    with Ledger.open(tmp_path / "ledger.db", keys.signer, ORIGIN) as ledger:
        vkey = ledger.notary.vkey
    keys.place.close()
    again = load_keys(tmp_path, os.urandom, section)
    with Ledger.open(tmp_path / "ledger.db", again.signer, ORIGIN) as ledger:
        assert not again.is_new and ledger.notary.vkey == vkey
        ledger.append([Scribe(node="gate", boot="b").draft("REX", now=SystemClock(None).now())])
    again.place.close()
    site = replace(parse_site(NO_WIRES, tmp_path / "site.toml"), state_dir=tmp_path, ledger=section)
    done = rotate_key(site, "officer-01", "officer-02")
    assert (done.old, done.place) == (vkey, "pkcs11")
    new = load_keys(tmp_path, os.urandom, section)
    assert new.successor is None
    with Ledger.open(tmp_path / "ledger.db", new.signer, ORIGIN) as ledger:
        assert ledger.notary.vkey == done.new and ledger.size == 2
    new.place.close()


@pytest.mark.needs("softhsm")
@pytest.mark.parametrize(
    ("change", "said"),
    [({"token": "nowhere"}, "cannot be used"), ({"pin": "wrong"}, "its PIN right"), ({"pin": "gone"}, "token's PIN")],
)
def test_a_token_that_is_away_at_a_start_is_told(tokens, change, said):
    """The controller would stop with a number, or sign with another key."""
    (tokens / "wrong").write_text("00000000")
    (tokens / "wrong").chmod(0o600)
    with pytest.raises(KeyRefused, match=said) as caught:
        TokenKeys(token_of(tokens, **change), "away").keys()
    assert PIN not in str(caught.value) and "00000000" not in str(caught.value)


@pytest.mark.needs("softhsm")
@pytest.mark.req("A-24")
def test_a_token_that_dies_stops_the_records_and_signs_nothing_with_another_key(tokens, place):
    """Records would be signed by whatever token somebody puts in, or the loop would die with the token."""
    import pkcs11

    key = place.make()
    signs(key)
    with token_of(tokens).work() as (_, session):
        place._destroy(pkcs11, session, place._label)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="no record can be signed"):
            key.sign(b"x")
    place.make()  # another one under the same label
    with pytest.raises(LedgerUnavailable, match="no record can be signed"):
        key.sign(b"x")


@pytest.mark.needs("softhsm")
def test_the_ledger_and_the_key_store_share_one_token(tokens, place, tmp_path):
    """Whoever puts both into one token would see the second one refused, or the first one logged out."""
    key = place.make()
    place.keys()
    seal = Pkcs11Seal(
        module=module(), token="ledger", label="seal", pin_file=tokens / "pin", random=lambda n: bytes(range(n))
    )
    seal.begin()
    for _ in range(3):
        assert seal.unwrap(seal.wrap(bytes(32))) == bytes(32)
        signs(key)
