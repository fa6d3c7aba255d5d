"""What fails around a door times who stands before it: the same rights, never more, and always a way out (A-35)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.ledger.errors import LedgerUnavailable
from readers.events import CardProof, CardRead, DeviceOffline, DeviceOnline, InputChanged, LineFault
from tests.controller.conftest import SITE

READER = "rd-vault"
OSDP = (
    SITE.replace(
        '[[device]]\nid = "rd-vault"\nkind = "mqtt"\n',
        '[[device]]\nid = "bus"\nkind = "osdp-bus"\nport = "/dev/ttyUSB1"\n'
        '[[device]]\nid = "rd-vault"\nkind = "osdp"\nbus = "bus"\naddress = 1\n',
    )
    .replace('node = "test"', 'node = "test"\npower_input = "dr-office"')
    .replace('anti_passback = "HARD"\n', 'anti_passback = "HARD"\nmin_link = "ENCRYPTED"\n')
    + "\n[cards]\n"
)
VALID, STRANGE = bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("04999999999999")
CARDS = {
    "valid": (VALID, True),
    "invalid": (STRANGE, True),  # genuine, and nobody's here
    "cloned": (VALID, False),
    "number": (VALID, None),  # what is printed on the card, on another one
}


@contextmanager
def as_ever(_site: Any) -> Iterator[None]:
    yield


@contextmanager
def full_disk(site: Any) -> Iterator[None]:
    def broken() -> None:
        raise LedgerUnavailable("disk full")

    site.disk = broken
    site.signals("tamper", "dr-office")  # something to be recorded, so that the fault is noticed
    yield
    site.disk = lambda: None
    site.signals("tamper", "dr-office", is_active=False)
    site.passes(5_000)


@contextmanager
def clock_back(site: Any) -> Iterator[None]:
    site.at -= timedelta(days=400)
    yield
    site.at += timedelta(days=400)


def away(*devices: str) -> Callable[[Any], Any]:
    @contextmanager
    def fault(site: Any) -> Iterator[None]:
        site.happens(*(DeviceOffline(source=device, why="line lost") for device in devices))
        yield
        site.happens(*(DeviceOnline(source=device) for device in devices))
        if "dr-vault" in devices:
            site.closes("dr-vault")

    return fault


@contextmanager
def cut_contact(site: Any) -> Iterator[None]:
    site.happens(LineFault(source="dr-vault", line="contact", fault="cut", is_level_report=False))
    yield
    site.happens(InputChanged(source="dr-vault", line="contact", is_active=False, is_level_report=True))


@contextmanager
def no_mains(site: Any) -> Iterator[None]:
    site.signals("power", "dr-office")
    yield
    site.signals("power", "dr-office", is_active=False)


FAULTS = {
    # what fails -> why the entitled person is refused meanwhile ("": he is not)
    "nothing": (as_ever, ""),
    "the disk is full": (full_disk, "AUDIT_UNAVAILABLE"),
    "the clock was put back": (clock_back, "CLOCK_UNTRUSTED"),
    "the reader is away": (away(READER), "READER_UNTRUSTED"),
    "the relay board is away": (away("board"), "READER_UNTRUSTED"),
    "the broker is away": (
        away("rd-office", "rd-office-out", "dr-office", "dr-vault", "rd-vault-out"),
        "READER_UNTRUSTED",
    ),
    "the contact is cut": (cut_contact, "READER_UNTRUSTED"),
    "the mains are lost": (no_mains, ""),
}


@pytest.fixture
def site(make_site):
    virtual = make_site(text=OSDP)
    virtual.admits("h-sato", VALID.hex(), "office", "vault")
    virtual.changes(("credential", {"id": "c-h-sato", "scheme": "pkoc"}))
    view = KeyView(commissioned=frozenset({READER}))
    virtual.happens(KeysStored(job=KeyJob(act="pin"), view=view))
    virtual.closes("dr-vault")
    return virtual


def shows(site: Any, card: str) -> tuple[bool, str]:
    """A card at the vault's reader: whether the strike was released, and how that is recorded, sooner or later."""
    number, is_genuine = CARDS[card]
    site.ids += 1
    nonce = site.ids.to_bytes(16, "big")
    proof = None if is_genuine is None else CardProof(scheme="pkoc", is_genuine=is_genuine, nonce=nonce)
    site.passes(4_000)  # whoever was let in before did not come
    site.effects.clear()
    site.happens(CardRead(source=READER, number=number, kind="osdp", proof=proof))
    return "vault" in [effect.portal for effect in site.releases], site.shown[-1] if site.shown else ""


@pytest.mark.req("A-35", "S-03", "A-34", "D-24", "B-11")
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("card", CARDS)
def test_whatever_fails_nobody_gets_more_and_everybody_gets_out(site, fault, card):
    """A cut cable, a full disk or a flat battery makes a copy good enough, or keeps somebody in."""
    breaks, why = FAULTS[fault]
    is_entitled = card == "valid"
    with breaks(site):
        is_released, _ = shows(site, card)
        assert is_released is (is_entitled and why == ""), fault
        site.effects.clear()
        site.presses_rex("dr-vault")
        assert [effect.portal for effect in site.releases] == ["vault"], "nobody is kept in"
        site.passes(10_000)
    site.passes(2_000)
    is_released, _ = shows(site, card)
    assert is_released is is_entitled, f"after {fault}"
    reasons = {body.reason for body in site.records if body.type == "ACCESS_DENIED"}
    expected = {"valid": {why} - {""}, "invalid": {"CARD_UNKNOWN"}}.get(card, {"CARD_AUTH_FAILED"})
    assert expected <= reasons <= expected | {why}
