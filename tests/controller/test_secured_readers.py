"""Readers with a secure channel, from the engine's side: install mode, trust, keys, what they read while untrusted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from controller.clock import wall_ms
from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.ledger.errors import LedgerUnavailable
from controller.link.messages import DeviceOrder, Done, Refused
from controller.turn import BeginInstall, EndInstall, RenewKey, SetBaud, ShowAtReader, TrustReader
from readers.events import (
    CardProof,
    CardRead,
    CardScheme,
    CardUnread,
    DeviceOnline,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    ReaderDistrusted,
    ReaderIdentified,
)
from tests.controller.conftest import SITE
from zones.row_checks import CARD_SCHEMES

OSDP_SITE = (
    SITE.replace(
        '[[device]]\nid = "rd-vault"\nkind = "mqtt"\n',
        '[[device]]\nid = "bus"\nkind = "osdp-bus"\nport = "/dev/ttyUSB1"\n'
        '[[device]]\nid = "rd-vault"\nkind = "osdp"\nbus = "bus"\naddress = 1\nkeypad = true\n'
        '[[device]]\nid = "rd-spare"\nkind = "osdp"\nbus = "bus"\naddress = 2\n',
    )
    + "\n[cards]\n"
)
PN532_SITE = (
    SITE.replace(
        '[[device]]\nid = "rd-vault"\nkind = "mqtt"\n',
        '[[device]]\nid = "rd-vault"\nkind = "pn532"\nport = "/dev/ttyUSB1"\n',
    )
    + "\n[cards]\n"
)
CARD = bytes.fromhex("04a1b2c3d4e5f6")
KEY = bytes(range(40, 56))
IDENTITY = "ab" * 32
READY = KeyView(commissioned=frozenset({"rd-vault", "rd-spare"}), identities={"rd-vault": IDENTITY})


def proof(*, nonce: bytes = bytes(16), **changed: Any) -> CardProof:
    return replace(CardProof(scheme="pkoc", is_genuine=True, nonce=nonce), **changed)


@pytest.fixture
def site(make_site):
    """A vault behind an OSDP reader that holds its key, and somebody with all three keys and a card that has one."""
    virtual = make_site(text=OSDP_SITE)
    virtual.admits("h-sato", CARD.hex(), "office", "vault")
    virtual.changes(("credential", {"id": "c-h-sato", "scheme": "pkoc"}))
    stores(virtual, KeyJob(act="pin"), READY)
    virtual.effects.clear()
    return virtual


def issued(make_site: Any, text: str, scheme: str | None) -> Any:
    """Somebody has a card of that kind, and behind the reader it alone is asked for, and no number will do."""
    asks_for_one = text.replace('kind = "EXCLUSION"', 'kind = "CONTROLLED"')
    site = make_site(text=asks_for_one.replace('"HARD"\nuid_accepted = true\n', '"HARD"\n'))
    site.admits("h-sato", CARD.hex(), "office", "vault")
    if scheme is not None:
        assert isinstance(site.changes(("credential", {"id": "c-h-sato", "scheme": scheme})), Done)
    stores(site, KeyJob(act="pin"), READY)
    site.effects.clear()
    return site


def stores(site: Any, job: KeyJob, view: KeyView = READY, **more: Any) -> None:
    """The key store did a job."""
    site.happens(KeysStored(job=job, view=view, **more))


def orders(site: Any, act: str, device: str = "rd-vault", **changed: Any) -> Done | Refused:
    site.ids += 1
    fields = {
        "id": f"device-order-{site.ids:06}",
        "boot": site.boot,
        "not_after_ms": wall_ms(site.at) + 3000,
        "act": act,
        "device": device,
        "officer": "officer-01",
        "second": "officer-02",
    }
    return site.asks(DeviceOrder(**(fields | changed)))


def shows(site: Any, given: CardProof | None, *, number: bytes = CARD, reader: str = "rd-vault", **more: Any) -> Any:
    site.effects.clear()
    site.happens(CardRead(source=reader, number=number, kind="iso14443a", proof=given, **more))
    return site.last


def of(site: Any, kind: type) -> list[Any]:
    return [effect for effect in site.effects if isinstance(effect, kind)]


def told(site: Any, type_: str) -> list[dict[str, Any]]:
    return [body.detail or {} for body in site.records if body.type == type_]


# -- evidence ------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-34", "A-02")
def test_a_card_that_proves_itself_is_recorded_with_how(site):
    """An auditor could not tell a card that answered a challenge from a number that anybody copied."""
    evidence = shows(site, proof(key_version=3)).evidence
    assert (evidence.method, evidence.factors, evidence.scheme) == ("CHALLENGE", 1, "pkoc")
    assert (evidence.key_version, evidence.is_fresh, evidence.link) == (3, True, 2)


@pytest.mark.req("A-34")
@pytest.mark.parametrize("given", [None, proof(is_genuine=False)], ids=["the number alone", "the wrong key"])
def test_a_copied_number_is_refused_with_an_alarm(site, given):
    """A card with a copied number opens the vault, or is refused without anybody hearing of it."""
    last = shows(site, given)
    assert (last.outcome, last.reason) == ("DENIED", "CARD_AUTH_FAILED")
    assert last.subject.cardholder == "h-sato"
    assert told(site, "CREDENTIAL_ALARM") == [{"code": "copied"}]
    assert not site.releases


KINDS = {
    # text, the card as issued, what its number alone comes to
    "DESFire at OSDP": (OSDP_SITE, "desfire_ev2", "UID"),
    "FeliCa at OSDP": (OSDP_SITE, "felica_lite_s", "UID"),
    "PKOC at OSDP": (OSDP_SITE, "pkoc", "FAKED"),
    "DESFire at PN532": (PN532_SITE, "desfire_ev2", "FAKED"),
    "PKOC at PN532": (PN532_SITE, "pkoc", "FAKED"),
    "Aliro at PN532, which is off": (PN532_SITE, "aliro", "UID"),
    "DESFire EV1 where EV2 is asked": (PN532_SITE + 'schemes = ["desfire_ev2"]\n', "desfire_ev1", "FAKED"),
    "DESFire EV2 where EV1 is asked": (PN532_SITE + 'schemes = ["desfire_ev1"]\n', "desfire_ev2", "FAKED"),
    "NTAG where DESFire is asked": (PN532_SITE + 'schemes = ["desfire_ev2"]\n', "ntag424", "UID"),
    "PKOC at OSDP where it is not asked": (OSDP_SITE + 'schemes = ["desfire_ev2"]\n', "pkoc", "UID"),
    "a bare number at PN532": (PN532_SITE, None, "UID"),
    "no cards": (OSDP_SITE.replace("[cards]", ""), "pkoc", "UID"),
}


@pytest.mark.req("A-34")
@pytest.mark.parametrize("case", KINDS)
def test_a_number_is_a_copy_only_where_that_card_would_have_been_asked(make_site, case):
    """A genuine card at a reader that cannot ask its kind raises the alarm about its holder; or a copy raises none."""
    text, scheme, method = KINDS[case]
    site = issued(make_site, text, scheme)
    last = shows(site, None)
    assert (last.evidence.method, last.evidence.factors) == (method, 0)
    assert (last.outcome, last.reason) == ("DENIED", "CARD_AUTH_FAILED" if method == "FAKED" else "FACTOR_MISSING")
    assert told(site, "CREDENTIAL_ALARM") == ([{"code": "copied"}] if method == "FAKED" else [])
    assert not site.releases


@pytest.mark.req("A-34", "A-02")
@pytest.mark.parametrize(
    ("scheme", "proved", "method"),
    [
        ("desfire_ev2", "felica_lite_s", "FAKED"),
        ("desfire_ev2", "pkoc", "FAKED"),
        ("desfire_ev2", "ntag424", "FAKED"),
        ("pkoc", "aliro", "FAKED"),
        ("desfire_ev2", "desfire_ev1", "CHALLENGE"),
        ("desfire_ev1", "desfire_ev2", "CHALLENGE"),
        (None, "felica_lite_s", "CHALLENGE"),
    ],
)
def test_a_proof_of_another_kind_of_card_is_a_copy(make_site, scheme, proved, method):
    """Whoever can forge the weakest card of the site opens every door as the holder of the strongest."""
    site = issued(make_site, PN532_SITE, scheme)
    last = shows(site, proof(scheme=proved))
    assert (last.evidence.method, last.evidence.factors) == (method, int(method != "FAKED"))
    assert last.evidence.scheme == proved, "the record says what it proved itself with"
    assert last.outcome == ("DENIED" if method == "FAKED" else "GRANTED")
    assert (last.reason == "CARD_AUTH_FAILED") is (method == "FAKED")
    assert told(site, "CREDENTIAL_ALARM") == ([{"code": "copied"}] if method == "FAKED" else [])


def test_the_register_knows_every_scheme_that_a_reader_can_tell():
    """A card of a new kind is made, and cannot be registered as what it is."""
    assert frozenset(get_args(CardScheme)) == CARD_SCHEMES


@pytest.mark.req("B-22")
def test_an_answer_counts_once(site):
    """Somebody plays back what a genuine card answered an hour ago."""
    assert shows(site, proof(nonce=b"n" * 16)).reason != "REPLAY"
    site.passes(3_600_000)
    last = shows(site, proof(nonce=b"n" * 16))
    assert (last.outcome, last.reason) == ("DENIED", "REPLAY")
    assert told(site, "CREDENTIAL_ALARM") == [{"code": "replayed"}]


@pytest.mark.req("B-22")
def test_what_lay_in_a_reader_while_its_line_was_down_opens_nothing(site):
    """Forty reads of an absent colleague are delivered when the cable is back, and one of them opens the vault."""
    last = shows(site, proof(), is_held_back=True)
    assert (last.outcome, last.reason) == ("DENIED", "READ_STALE")
    site.happens(KeysEntered(source="rd-vault", digits="123456", is_held_back=True))
    assert told(site, "MESSAGE_REFUSED")[-1]["why"] == "late"


def test_a_card_that_left_too_soon_is_told_so_and_fills_no_disk(site):
    """Somebody stands before a dark reader, or waves a card about until the disk is full."""
    site.effects.clear()
    for _ in range(50):
        site.happens(CardUnread(source="rd-vault", why="card left"))
        site.passes(10)
    assert {effect.shown.value for effect in of(site, ShowAtReader)} == {"not_read"}
    assert len(told(site, "CARD_UNREAD")) == 1


# -- trust ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-16", "B-17", "B-20", "B-21")
@pytest.mark.parametrize(
    ("why", "type_"),
    [
        ("replaced", "READER_REPLACED"),
        ("downgraded", "OSDP_DOWNGRADE"),
        ("key_lost", "READER_UNTRUSTED"),
        ("default_key", "READER_UNTRUSTED"),
        ("macs_failed", "READER_UNTRUSTED"),
    ],
)
def test_a_reader_that_is_not_itself_lets_nobody_in_until_two_people_say_so(site, why, type_):
    """Whoever unscrewed the reader and put his own there is believed."""
    site.happens(
        ReaderIdentified(source="rd-vault", identity="cd" * 32, maker="m", model="o", serial="s", firmware="f")
    )
    site.happens(ReaderDistrusted(source="rd-vault", why=why))
    assert told(site, type_)[0]["device"] == "rd-vault"
    assert shows(site, proof()).reason == "READER_UNTRUSTED"
    row = {"id": "rd-vault", "is_trusted": True, "restored_by": "officer-01", "confirmed_by": "officer-01"}
    assert isinstance(site.proposes(("device_status", row)), Refused), "one person alone"
    site.effects.clear()
    assert isinstance(site.proposes(("device_status", row | {"confirmed_by": "officer-02"})), Done)
    assert of(site, TrustReader) == [TrustReader(reader="rd-vault", identity="cd" * 32)]
    assert [job.act for job in of(site, KeyJob)] == ["pin"]
    approved = told(site, "READER_APPROVED")
    assert approved == [{"device": "rd-vault", "identity": "cd" * 32, "officer2": "officer-02"}]
    assert shows(site, proof(nonce=b"a" * 16)).reason != "READER_UNTRUSTED"


@pytest.mark.req("B-16")
def test_a_distrusted_reader_stays_so_over_a_restart(site):
    """The power is cut and the false reader is believed again."""
    site.happens(ReaderDistrusted(source="rd-vault", why="replaced"))
    assert site.engine.policy.policy.device_statuses["rd-vault"].is_trusted is False
    assert told(site, "POLICY_EDITED")[-1]["edit"]["puts"][0][0] == "device_status"


# -- commissioning -------------------------------------------------------------------------------------------------


@pytest.mark.req("B-14", "A-35")
@pytest.mark.parametrize(
    "view",
    [
        KeyView(commissioned=frozenset({"rd-spare"})),
        replace(READY, defaults=frozenset({"pkoc"})),
    ],
    ids=["the reader has no key of its own", "a card key is the maker's"],
)
def test_nobody_enters_where_a_factory_default_is_left(site, view):
    """Everybody in the world has the key of this door."""
    stores(site, KeyJob(act="pin"), view)
    last = shows(site, proof())
    assert (last.outcome, last.reason) == ("DENIED", "COMMISSIONING")
    assert of(site, ShowAtReader)[-1].shown.value == "out_of_order"


@pytest.mark.req("B-14", "A-35")
@pytest.mark.parametrize(("text", "is_commissioned"), [(OSDP_SITE, True), (PN532_SITE, False)], ids=["osdp", "pn532"])
def test_a_factory_default_closes_the_doors_that_go_by_it(make_site, text, is_commissioned):
    """A DESFire key of the maker's opens a door; or shuts one whose reader never asks for DESFire."""
    site = make_site(text=text)
    stores(site, KeyJob(act="pin"), replace(READY, defaults=frozenset({"desfire_ev2"})))
    assert site.engine.is_commissioned("rd-vault") is is_commissioned


# -- install mode --------------------------------------------------------------------------------------------------


def begins(site: Any, **changed: Any) -> str:
    """Install mode is ordered and the key store has drawn a key; returns the order's id."""
    answer = orders(site, "install_on", **changed)
    assert isinstance(answer, Done), answer
    (job,) = of(site, KeyJob)
    assert (job.act, job.reader, job.custodians) == ("propose", "rd-vault", ("officer-01", "officer-02"))
    stores(site, job, key=KEY)
    return job.order


@pytest.mark.req("B-18")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"second": None}, "two_people"),
        ({"second": "officer-01"}, "two_people"),
        ({"second": "Officer 2"}, "protocol"),
        ({"minutes": 11}, "protocol"),
        ({"minutes": 0}, "protocol"),
        ({"device": "rd-office"}, "unknown_device"),
        ({"device": "nobody"}, "unknown_device"),
        ({"boot": "00000000"}, "other_boot"),
        ({"not_after_ms": 0}, "expired"),
        ({"act": "open_all"}, "protocol"),
    ],
)
def test_install_mode_is_refused_to_one_person_or_for_long(site, changed, code):
    """A single insider teaches the reader a key of his own over the weekend."""
    answer = orders(site, **({"act": "install_on"} | changed))
    assert isinstance(answer, Refused) and answer.code == code
    assert not of(site, BeginInstall) and not of(site, KeyJob)
    assert told(site, "COMMAND_REFUSED")[-1]["code"] == code


@pytest.mark.req("B-18", "B-19")
def test_install_mode_gives_one_reader_one_random_key(site):
    """The reader never gets its key, or nobody can tell who gave it."""
    order = begins(site)
    (begun,) = of(site, BeginInstall)
    assert (begun.reader, begun.key, begun.within_ms) == ("rd-vault", KEY, 600_000)
    assert KEY.hex() not in repr(begun) and str(KEY) not in repr(begun)
    assert told(site, "OSDP_INSTALL_ON")[0] | {"until_ms": 0} == {
        "device": "rd-vault",
        "id": order,
        "officer2": "officer-02",
        "until_ms": 0,
    }
    busy = orders(site, "install_on", device="rd-spare")
    assert isinstance(busy, Refused) and busy.code == "busy"
    assert shows(site, proof()).reason == "READER_UNTRUSTED", "nobody enters by a reader that takes a key"
    site.effects.clear()
    site.happens(InstallEnded(source="rd-vault", is_done=True))
    assert [(job.act, job.reader) for job in of(site, KeyJob)] == [("confirm", "rd-vault")]
    assert told(site, "OSDP_INSTALL_OFF") == [{"device": "rd-vault", "is_done": True}]
    assert all(KEY.hex() not in body for body in map(repr, site.records))


@pytest.mark.req("B-18")
def test_install_mode_ends_by_itself(site):
    """It was forgotten, and whoever brings a reader next week is given the key."""
    begins(site, minutes=10)
    site.effects.clear()
    site.passes(599_000)
    assert not of(site, EndInstall)
    site.passes(1_001)
    assert of(site, EndInstall) == [EndInstall(reader="rd-vault")]
    assert [job.act for job in of(site, KeyJob)] == ["withdraw"]
    assert told(site, "OSDP_INSTALL_OFF") == [{"device": "rd-vault", "is_done": False, "why": "time is over"}]


@pytest.mark.req("B-18")
def test_one_officer_ends_install_mode_and_a_late_key_is_not_used(site):
    """It cannot be stopped by whoever notices it; or a slow disk begins it again afterwards."""
    assert isinstance(orders(site, "install_on"), Done)
    (job,) = of(site, KeyJob)
    site.effects.clear()
    assert isinstance(orders(site, "install_off", second=None), Done)
    assert of(site, EndInstall)
    stores(site, job, key=KEY)
    assert not of(site, BeginInstall)
    assert of(site, KeyJob)[-1].act == "withdraw"


@pytest.mark.req("B-18", "A-24")
def test_install_mode_without_its_record_does_not_begin(site):
    """The disk is full, and a key goes over the wire that no record tells of."""

    def broken() -> None:
        raise LedgerUnavailable("disk full")

    site.disk = broken
    answer = orders(site, "install_on")
    assert isinstance(answer, Refused) and answer.code == "ledger_unavailable"
    assert not of(site, KeyJob) and not of(site, BeginInstall)
    site.disk = lambda: None
    site.passes(5_000)
    assert isinstance(orders(site, "install_on"), Done)


# -- keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.req("A-09", "B-21")
def test_a_reader_gets_another_key_inside_its_channel(site):
    """A key cannot be changed without going to the bench, so it never is."""
    site.happens(DeviceOnline(source="rd-vault"))
    assert isinstance(orders(site, "renew_key"), Done)
    (job,) = of(site, KeyJob)
    stores(site, job, key=KEY)
    assert of(site, RenewKey) == [RenewKey(reader="rd-vault", key=KEY)]
    site.effects.clear()
    site.happens(KeyRenewed(source="rd-vault", is_done=True))
    assert [(one.act, one.reader) for one in of(site, KeyJob)] == [("confirm", "rd-vault")]
    assert told(site, "KEY_RENEWED") == [{"device": "rd-vault", "is_done": True}]


def test_a_reader_that_refuses_another_key_keeps_the_old_one(site):
    """The store believes in a key that the reader never took, and the door is dead."""
    site.happens(DeviceOnline(source="rd-vault"))
    orders(site, "renew_key")
    stores(site, of(site, KeyJob)[0], key=KEY)
    site.effects.clear()
    site.happens(KeyRenewed(source="rd-vault", is_done=False))
    assert [one.act for one in of(site, KeyJob)] == ["withdraw"]


@pytest.mark.req("A-09")
def test_a_key_is_due_once_its_custodian_left_and_until_there_is_another(site):
    """Somebody who made the door's key works elsewhere now, and nobody thinks of it."""
    custodied = replace(READY, custodians=frozenset({"h-sato"}))
    stores(site, KeyJob(act="pin"), custodied)
    site.changes(("cardholder", {"id": "h-sato", "ended_on": "2026-11-24"}))
    site.effects.clear()
    site.passes(61_000)
    jobs = of(site, KeyJob)
    assert [(job.act, job.who) for job in jobs] == [("custodian_left", "h-sato")]
    stores(site, jobs[0], replace(custodied, due=frozenset({"rd-vault"})))
    assert told(site, "KEY_ROTATION_DUE") == [{"key": "rd-vault"}]
    site.passes(200_000)
    assert len(told(site, "KEY_ROTATION_DUE")) == 1
    stores(site, KeyJob(act="confirm", reader="rd-vault"), custodied)
    assert told(site, "ALARM_CEASED")[-1] == {"kind": "KEY_ROTATION_DUE", "row": "rd-vault"}


@pytest.mark.req("A-09")
def test_card_keys_are_rotated_by_two(site):
    """One person alone makes every card of the house worthless."""
    alone = orders(site, "rotate_key", device="", purpose="desfire_read", second=None)
    assert isinstance(alone, Refused) and alone.code == "two_people"
    assert isinstance(orders(site, "rotate_key", device="", purpose="desfire_read"), Done)
    (job,) = of(site, KeyJob)
    assert (job.act, job.purpose) == ("rotate", "desfire_read")
    stores(site, job, version=4)
    assert told(site, "KEY_ROTATED") == [{"key": "desfire_read", "version": 4}]


def test_a_key_store_that_cannot_be_written_is_an_alarm(site):
    """The disk of the keys fails, install mode hangs, and nobody knows why."""
    assert isinstance(orders(site, "install_on"), Done)
    stores(site, of(site, KeyJob)[0], why="the disk is full")
    assert told(site, "KEYS_FAILED")[0]["why"] == "the disk is full"
    assert told(site, "OSDP_INSTALL_OFF")[0]["is_done"] is False


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"device": "rd-vault"}, "unknown_device"), ({"baud": 1200}, "protocol"), ({"baud": 0}, "protocol")],
)
def test_a_bus_gets_another_speed_by_order(site, changed, code):
    """Eight readers share the factory's 9600 bits per second for ten years, or a typing mistake silences them all."""
    refused = orders(site, "set_baud", **({"device": "bus", "baud": 115_200, "second": None} | changed))
    assert isinstance(refused, Refused) and refused.code == code
    assert isinstance(orders(site, "set_baud", device="bus", baud=115_200, second=None), Done)
    assert of(site, SetBaud) == [SetBaud(reader="bus", baud=115_200)]
