"""The Secure Channel's arithmetic on published numbers: Annex E of the standard, and NIST SP 800-38A F.2.1."""

from __future__ import annotations

import secrets

import pytest

from readers.protocols.osdp import crypto, refuse_weak_key
from readers.protocols.osdp.crypto import SessionKeys

CP_RANDOM = bytes.fromhex("B0B1B2B3B4B5B6B7")
PD_RANDOM = bytes.fromhex("A0A1A2A3A4A5A6A7")
ANNEX_E = crypto.session_keys(crypto.DEFAULT_KEY, CP_RANDOM)
SERVER = bytes.fromhex("26D3356E07762D262801FC8E6665A891")

NIST_KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
NIST_IV = bytes(range(16))
NIST_PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
NIST = SessionKeys(enc=NIST_KEY, mac1=NIST_KEY, mac2=NIST_KEY)
COMPLEMENT = bytes(255 - byte for byte in NIST_IV)


def test_annex_e_session_keys_and_cryptograms():
    """No reader of another maker would agree with us on a session."""
    assert ANNEX_E.mac1.hex().upper() == "5E86C676603BDEE2D8BEAFE178637332"
    assert ANNEX_E.mac2.hex().upper() == "6FDA86E857777E81132035758239172E"
    assert ANNEX_E.enc.hex().upper() == "BF8DC2A8329ACB8C67C6D0CD9A451682"
    assert crypto.client_cryptogram(ANNEX_E, CP_RANDOM, PD_RANDOM).hex().upper() == "FDE5D2F428EC16312471EA3C02BD7796"
    assert crypto.server_cryptogram(ANNEX_E, CP_RANDOM, PD_RANDOM) == SERVER
    assert crypto.first_mac(ANNEX_E, SERVER).hex().upper() == "B2A30057EB98BA2229EC1F875662B524"


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (NIST_PLAIN[:16], "7649abac8119b246cee98e9b12e9197d"),
        (NIST_PLAIN, "3ff1caa1681fac09120eca307586e1a7"),
        (bytes(range(15)), "c5311f3d23d086ea86f5ee7f85247b40"),
    ],
    ids=["one block", "four blocks", "part of a block"],
)
def test_macs_chain_as_published(message, wanted):
    """Every frame of ours would be refused, or every forged one taken."""
    assert crypto.mac(NIST, NIST_IV, message).hex() == wanted


@pytest.mark.parametrize(
    ("plain", "sealed"),
    [
        (bytes(range(15)), "c5311f3d23d086ea86f5ee7f85247b40"),
        (bytes(range(16)), "7df76b0c1ab899b33e42f047b91b546fe2fe5bd6c1dfcdd19124f03e1a134d3b"),
        (b"", "4c08220c79d9191022dc6674874ceaf8"),
    ],
)
def test_bodies_are_padded_and_sealed_as_published(plain, sealed):
    """A card number would arrive as something else."""
    assert crypto.encrypt(NIST, COMPLEMENT, plain).hex() == sealed
    assert crypto.decrypt(NIST, COMPLEMENT, bytes.fromhex(sealed)) == plain


def test_a_body_without_its_padding_is_none():
    """Whatever decrypts to nonsense would count as a card."""
    unpadded = crypto.encrypt(NIST, COMPLEMENT, bytes(16))[:16]
    assert crypto.decrypt(NIST, COMPLEMENT, unpadded) is None
    assert crypto.decrypt(NIST, COMPLEMENT, bytes(15)) is None
    assert crypto.decrypt(NIST, COMPLEMENT, b"") is None


@pytest.mark.req("B-19")
@pytest.mark.parametrize(
    "key",
    [
        bytes(16),
        b"\xff" * 16,
        bytes(range(16)),
        bytes(range(0x41, 0x51)),
        bytes(range(16))[::-1],
        bytes(range(0, 48, 3)),
        bytes((0xF8 + step) & 0xFF for step in range(16)),
        crypto.DEFAULT_KEY,
        b"\x01\x02" * 8,
        b"12345678" * 2,
        bytes.fromhex("000102030405060708090a0b0c0d0e10"),
        bytes(15),
        bytes(17),
        b"",
    ],
    ids=lambda key: key.hex() or "empty",
)
def test_weak_keys_are_refused(key):
    """A key from a manual, or one that a hand typed, would guard a portal (Mellon, attack 4)."""
    with pytest.raises(ValueError, match="key"):
        refuse_weak_key(key)


@pytest.mark.req("B-17")
def test_the_default_key_is_refused_by_name():
    """Somebody would look for what is wrong with it."""
    with pytest.raises(ValueError, match="default key"):
        refuse_weak_key(crypto.DEFAULT_KEY)


@pytest.mark.req("B-19")
def test_random_keys_are_taken():
    """No reader could be commissioned."""
    for _ in range(2_000):
        refuse_weak_key(secrets.token_bytes(16))
