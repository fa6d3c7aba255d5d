"""What the key store does with keys: cards, readers, rotation, commissioning."""

from __future__ import annotations

import hashlib
import pickle
import traceback

import pytest

from controller.keystore.commissioning import defaults_found, key_view
from controller.keystore.errors import KeyRefused, KeyStoreError
from controller.keystore.store import PURPOSES, KeyStore
from controller.keystore.values import Secret
from controller.keystore.weak import SCBK_D
from tests.controller.keystore.keys import GOOD, LATER, OTHER, TODAY, filled, opened

# -- kept ------------------------------------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path):
    """Every card of the site would be a copy in the morning, and every reader a stranger."""
    store = filled(tmp_path / "keys")
    before = store.listing(), store.reader_key("rd-1"), store.pending_key("rd-2"), store.identities
    card = store.card_keys(application=b"\xf5\x3e\x4b", system=b"site").diversified("desfire_read", 1, b"\4\xa1")
    store.close()
    again = opened(tmp_path / "keys", seed=2)
    listing = again.listing()
    assert [(row.name, row.version, row.fingerprint) for row in listing] == [
        (row.name, row.version, row.fingerprint) for row in before[0]
    ]
    assert (again.reader_key("rd-1"), again.pending_key("rd-2"), again.identities) == before[1:]
    keys = again.card_keys(application=b"\xf5\x3e\x4b", system=b"site")
    assert keys.diversified("desfire_read", 1, b"\4\xa1") == card
    assert again.single("aliro_reader_key") == bytes(range(100, 132))
    again.close()


def test_uses_are_counted_and_kept_rarely(tmp_path):
    """The disk would be written at every card, or nobody would know whether an old key is still in use."""
    store = filled(tmp_path / "keys")
    keys = store.card_keys(application=b"\1\2\3")
    generation = store.generation
    for _ in range(3):
        keys.diversified("desfire_read", 1, b"\4")
    assert store.generation == generation
    assert next(row for row in store.listing() if row.name == "desfire_read").uses == 3
    store.flush_uses()
    store.flush_uses()
    assert store.generation == generation + 1
    keys.diversified("desfire_read", 1, b"\4")
    store.close()
    again = opened(tmp_path / "keys")
    assert next(row for row in again.listing() if row.name == "desfire_read").uses == 4
    again.close()


# -- cards -----------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-28")
def test_a_card_gets_a_key_of_its_own(tmp_path):
    """One card taken apart would give the key of every other."""
    store = opened(tmp_path / "keys")
    published = bytes.fromhex("00112233445566778899aabbccddeeff")  # AN10922 §2.2.1, its example
    store.import_card_key("desfire_read", 7, published, TODAY, is_factory=True)
    keys = store.card_keys(application=bytes.fromhex("3042f5"), system=b"NXP Abu")
    found = keys.diversified("desfire_read", 7, bytes.fromhex("04782e21801d80"))
    assert found.hex() == "a8dd63a3b89d54b37ca802473fda9175"
    assert len({keys.diversified("desfire_read", 7, bytes((4, n))) for n in range(50)}) == 50
    store.close()


def test_old_cards_are_taken_until_their_version_is_retired(tmp_path):
    """Everybody would stand before a locked door on the day of a rotation; or a retired key count for ever."""
    store = opened(tmp_path / "keys")
    keys = store.card_keys(application=b"\1\2\3")
    assert keys.versions("ntag424_read") == ()
    assert store.rotate("ntag424_read", TODAY, ("h-1",)) == 1
    one = keys.diversified("ntag424_read", 1, b"\4")
    assert store.rotate("ntag424_read", LATER) == 2
    assert keys.versions("ntag424_read") == (2, 1)
    assert keys.diversified("ntag424_read", 1, b"\4") == one != keys.diversified("ntag424_read", 2, b"\4")
    assert [row.state for row in store.listing()] == ["ACTIVE", "RETIRING"]
    with pytest.raises(KeyRefused, match="rotate first"):
        store.retire("ntag424_read", 2)
    store.retire("ntag424_read", 1)
    assert keys.versions("ntag424_read") == (2,)
    for version in (1, 3):
        with pytest.raises(KeyError):
            keys.diversified("ntag424_read", version, b"\4")
    with pytest.raises(KeyError):
        keys.diversified("felica_card", 1, b"\4")
    with pytest.raises(KeyRefused, match="no version 9"):
        store.retire("ntag424_read", 9)
    with pytest.raises(KeyRefused, match="no key for 'vault'"):
        store.rotate("vault", TODAY)
    retired = store.listing()[1]
    assert (retired.state, len(retired.fingerprint)) == ("RETIRED", 6)
    store.close()


def test_versions_go_round_and_never_name_two_keys(tmp_path):
    """A card would be asked with another key than the one it was made with."""
    store = opened(tmp_path / "keys")
    store.import_card_key("felica_card", 255, GOOD, TODAY)
    assert store.rotate("felica_card", TODAY) == 1  # 0 is what cards come with
    with pytest.raises(KeyRefused, match="version 255 already"):
        store.import_card_key("felica_card", 255, OTHER, TODAY)
    store.import_card_key("felica_card", 254, OTHER, TODAY)
    assert store.rotate("felica_card", TODAY) == 2
    assert store.versions("felica_card") == (2, 254, 1, 255)
    with pytest.raises(KeyRefused, match="0 to 255"):
        store.import_card_key("felica_card", 256, bytes(GOOD[::-1]), TODAY)
    store.close()


# -- readers ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-19")
def test_every_reader_has_a_key_of_its_own(tmp_path):
    """One reader taken off the wall would speak for all the others."""
    store = opened(tmp_path / "keys")
    keys = {store.propose_reader_key(f"rd-{n}", TODAY) for n in range(40)}
    assert len(keys) == 40
    assert store.reader_key("rd-1") is None  # until it has it
    store.import_reader_key("rd-99", GOOD, TODAY)
    for reader in ("rd-1", "rd-99"):
        with pytest.raises(KeyRefused, match="in use already"):
            store.import_reader_key(reader, GOOD, TODAY)
    with pytest.raises(KeyRefused, match="in use already"):
        store.import_card_key("desfire_read", 1, GOOD, TODAY)
    for weak in (SCBK_D, bytes(16), bytes(range(16))):
        with pytest.raises(KeyRefused, match="refused"):
            store.import_reader_key("rd-2", weak, TODAY)
    store.close()


def test_a_broken_source_of_randomness_gives_no_key(tmp_path):
    """Every reader of the site would get the same key, drawn from zeros."""
    for stuck in (bytes, lambda count: (GOOD * 2)[:count]):
        folder = tmp_path / f"keys-{stuck is bytes}"
        store = opened(folder)
        store.import_reader_key("rd-1", GOOD, TODAY)
        store._random = stuck
        with pytest.raises(KeyStoreError, match="source of randomness"):
            store.propose_reader_key("rd-2", TODAY)
        assert store.pending_key("rd-2") is None
        store.close()


def test_a_name_that_cannot_be_kept_is_refused(tmp_path):
    """One strange name would end the thread that keeps keys."""
    store = opened(tmp_path / "keys")
    for reader, who in (("読取装置", "h-1"), ("rd-1", "\ud800")):
        with pytest.raises(KeyRefused, match="cannot be kept"):
            store.propose_reader_key(reader, TODAY, (who,))
    assert store.listing() == ()
    store.close()


def test_a_proposed_key_is_kept_before_it_is_sent(tmp_path):
    """Power fails just after a reader took its key: it would never be heard again."""
    store = opened(tmp_path / "keys")
    key = store.propose_reader_key("rd-1", TODAY, ("officer-01", "officer-02"))
    store._file.close()
    again = opened(tmp_path / "keys", seed=3)
    assert (again.reader_key("rd-1"), again.pending_key("rd-1")) == (None, key)
    again.confirm_reader_key("rd-1", identity="cd" * 32)
    assert (again.reader_key("rd-1"), again.pending_key("rd-1"), again.identity("rd-1")) == (key, None, "cd" * 32)
    new = again.propose_reader_key("rd-1", LATER)
    assert (again.reader_key("rd-1"), again.pending_key("rd-1")) == (key, new)
    assert [(row.state, row.version) for row in again.listing()] == [("PENDING", 2), ("ACTIVE", 1)]
    again.withdraw_reader_key("rd-1")
    again.withdraw_reader_key("rd-1")
    assert (again.reader_key("rd-1"), again.pending_key("rd-1")) == (key, None)
    with pytest.raises(KeyRefused, match="no key is waiting"):
        again.confirm_reader_key("rd-1")
    again.propose_reader_key("rd-7", LATER)
    again.withdraw_reader_key("rd-7")
    again.pin_identity("rd-1", "ef" * 32)
    assert again.identities == {"rd-1": "ef" * 32}
    again.forget_reader("rd-1")
    again.forget_reader("rd-1")
    assert again.listing() == ()
    again.close()


# -- rotation --------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-09")
def test_what_a_leaver_held_is_due_until_there_is_another_key(tmp_path):
    """Whoever left with a copy of a key could make cards until somebody happens to think of it."""
    store = filled(tmp_path / "keys")
    assert store.custodians == {"officer-01", "officer-02", "h-1"}
    assert store.rotation_due() == frozenset()
    assert store.rotation_due({"officer-02"}) == {"rd-1"}
    assert store.rotation_due({"h-1", "nobody"}) == {"desfire_read", "ntag424_read"}
    store.custodian_left("h-1")
    store.custodian_left("officer-02")
    assert store.rotation_due() == {"desfire_read", "ntag424_read", "rd-1"}
    store.close()
    store = opened(tmp_path / "keys", seed=5)
    assert store.rotation_due() == {"desfire_read", "ntag424_read", "rd-1"}
    store.rotate("desfire_read", LATER, ("h-2",))
    assert store.rotation_due() == {"ntag424_read", "rd-1"}
    store.propose_reader_key("rd-1", LATER)
    assert store.rotation_due() == {"ntag424_read", "rd-1"}  # sent is not taken
    store.confirm_reader_key("rd-1")
    store.rotate("ntag424_read", LATER)
    assert store.rotation_due() == frozenset()
    assert store.identity("rd-1") == "ab" * 32
    generation = store.generation
    store.custodian_left("nobody")
    assert store.generation == generation
    store.close()


def test_what_is_done_offline_is_kept_with_who_did_it_or_not_at_all(tmp_path):
    """The ledger would never hear of a key that was made while no controller ran; or hear of one that was refused."""
    store = opened(tmp_path / "keys")
    with store.noting("rotate_key", "desfire_read", TODAY, ("officer-01", "officer-02")):
        store.rotate("desfire_read", TODAY)
    with pytest.raises(KeyRefused), store.noting("retire_key", "desfire_read", TODAY):
        store.retire("desfire_read", 9)
    store.pin_identity("rd-1", "ab" * 32)
    store.close()
    store = opened(tmp_path / "keys", seed=2)
    assert [(note.act, note.about, note.on, note.people) for note in store.notes] == [
        ("rotate_key", "desfire_read", TODAY, ("officer-01", "officer-02"))
    ]
    store.notes_recorded()
    assert store.notes == ()
    store.close()


# -- commissioning ---------------------------------------------------------------------------------------------------


@pytest.mark.req("B-14")
def test_what_came_with_its_key_is_found(tmp_path):
    """The site would open with the key that is printed in the data sheet."""
    store = opened(tmp_path / "keys")
    readers, schemes = ("rd-1", "rd-2"), ("desfire_ev2", "ntag424", "pkoc", "felica_lite_s")
    assert defaults_found(store, readers, schemes) == {"rd-1", "rd-2"}
    store.propose_reader_key("rd-1", TODAY)
    store.import_reader_key("rd-2", GOOD, TODAY)
    assert defaults_found(store, readers, schemes) == {"rd-1"}  # proposed is not taken
    with pytest.raises(KeyRefused, match="factory default"):
        store.import_card_key("desfire_master", 0, bytes(range(0x30, 0x40)), TODAY)
    store.import_card_key("desfire_master", 0, bytes(16), TODAY, is_factory=True)
    assert defaults_found(store, readers, schemes) == {"rd-1", "desfire_ev2"}
    store.rotate("desfire_master", TODAY)
    assert "desfire_ev2" in defaults_found(store, readers, schemes)  # the old one still counts
    store.retire("desfire_master", 0)
    store.confirm_reader_key("rd-1")
    assert defaults_found(store, readers, schemes) == frozenset()
    view = key_view(store, readers, schemes)
    assert (view.commissioned, view.defaults, view.due) == ({"rd-1", "rd-2"}, frozenset(), frozenset())
    with pytest.raises(KeyRefused, match="16 bytes"):
        store.import_card_key("desfire_master", 9, bytes(8), TODAY, is_factory=True)
    store.close()


@pytest.mark.req("B-14")
@pytest.mark.parametrize(
    ("purpose", "stopped"),
    [
        ("desfire_uid", {"desfire_ev2", "desfire_ev1", "ntag424"}),
        ("ntag424_read", {"ntag424"}),
        ("felica_card", {"felica_lite_s"}),
    ],
)
def test_a_factory_key_stops_every_scheme_whose_cards_carry_it(tmp_path, purpose, stopped):
    """A kind of card is taken for commissioned while one of its keys is the one that everybody knows."""
    store = opened(tmp_path / "keys")
    store.import_card_key(purpose, 1, bytes(16), TODAY, is_factory=True)
    schemes = ("desfire_ev2", "desfire_ev1", "ntag424", "pkoc", "felica_lite_s")
    assert defaults_found(store, (), schemes) == stopped
    store.close()


# -- secrets ---------------------------------------------------------------------------------------------------------


def test_no_key_is_ever_shown(tmp_path, caplog, capsys):
    """A key would stand in the journal of every machine that a log is copied to."""
    store = filled(tmp_path / "keys")
    pending = store.pending_key("rd-2")
    keys = store.card_keys(application=b"\1\2\3")
    said = [repr(store), str(store), repr(keys), repr(store.listing()), repr(store._contents)]
    said += [repr(vars(store)), repr(Secret(GOOD)), str(Secret(GOOD)), f"{Secret(GOOD)}"]
    said.append(repr(key_view(store, ("rd-1",), ("ntag424",))))
    for wrong in (
        lambda: store.import_reader_key("rd-3", GOOD, TODAY),
        lambda: store.import_card_key("ntag424_read", 1, OTHER, TODAY),
        lambda: store.import_reader_key("rd-3", SCBK_D, TODAY),
        lambda: store.keep_single("mine", GOOD),
        lambda: pickle.dumps(Secret(GOOD)),
        lambda: pickle.dumps(store._contents),
    ):
        with pytest.raises((KeyStoreError, TypeError)) as caught:
            wrong()
        said.append("".join(traceback.format_exception(caught.value)))
    store.close()
    said += [caplog.text, *capsys.readouterr()]
    for secret in (GOOD, pending, bytes(range(100, 132))):
        for text in said:
            for shown in (secret.hex(), secret.hex().upper(), repr(secret)[2:-1], str(list(secret))[1:-1]):
                assert shown not in text
    for path in (tmp_path / "keys").iterdir():
        assert GOOD not in path.read_bytes() and GOOD.hex().encode() not in path.read_bytes()


def test_a_fingerprint_is_the_same_for_the_same_key_alone():
    """The officer would compare two readers and find them alike, or a key unlike itself."""
    assert Secret(GOOD).fingerprint == Secret(bytes(GOOD)).fingerprint != Secret(OTHER).fingerprint
    assert len(Secret(GOOD).fingerprint) == 6
    assert Secret(GOOD).fingerprint not in hashlib.sha256(GOOD).hexdigest()[:6]
    assert Secret(GOOD) == Secret(bytes(GOOD)) != Secret(OTHER)
    assert Secret(GOOD) != GOOD
    assert {Secret(GOOD), Secret(bytes(GOOD))} == {Secret(GOOD)}


def test_purposes_are_the_card_protocols_own():
    """A key would be kept for something that no card is asked."""
    assert {"desfire_master", "desfire_read", "desfire_uid", "ntag424_read", "felica_card"} <= set(PURPOSES)
    assert KeyStore.__doc__
