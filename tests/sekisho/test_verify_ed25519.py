"""The verifier's own Ed25519, against RFC 8032 and against somebody else's."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.verify import ORDER, PureEd25519, decode_point

# RFC 8032 §7.1: TEST 1, TEST 2, TEST 3 and TEST SHA(abc): public key, message, signature
VECTORS = {
    "1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    "2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    "3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
    "SHA(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        (
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423643ce80e2a9ac94fa54ca49f"
        ),
        (
            "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
            "3dca179c138ac17ad9bef1177331a704"
        ),
    ),
}


@pytest.mark.req("A-27")
@pytest.mark.parametrize("name", VECTORS)
def test_published_signatures_are_valid_and_changed_ones_are_not(name):
    """An auditor without the cryptography package would accept a forged ledger, or refuse a true one."""
    public, message, signature = map(bytes.fromhex, VECTORS[name])
    key = PureEd25519(public)
    assert key.is_valid(signature, message)
    assert not key.is_valid(signature, message + b"x")
    for index in range(64):
        assert not key.is_valid(signature[:index] + bytes([signature[index] ^ 1]) + signature[index + 1 :], message)


@pytest.mark.req("A-27")
def test_a_second_form_of_the_same_signature_is_refused():
    """A byte of a checkpoint could be changed unseen (RFC 8032 §5.1.7 asks s below the order)."""
    public, message, signature = map(bytes.fromhex, VECTORS["2"])
    s = int.from_bytes(signature[32:], "little") + ORDER
    key = PureEd25519(public)
    assert not key.is_valid(signature[:32] + s.to_bytes(32, "little"), message)
    assert not key.is_valid(signature + b"\x00", message)
    assert not key.is_valid(signature[:63], message)


@pytest.mark.req("A-27")
@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.integers(0, 511))
def test_both_implementations_agree(seed, message, bit):
    """The verdict on a ledger would depend on what happens to be installed on the auditor's laptop."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    signature = private.sign(message)
    ours, theirs = PureEd25519(public), Ed25519PublicKey.from_public_bytes(public)
    assert ours.is_valid(signature, message)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not ours.is_valid(bytes(changed), message)
    with pytest.raises(InvalidSignature):
        theirs.verify(bytes(changed), message)


def test_what_is_no_point_is_no_key():
    """A mistyped key would crash the verifier instead of being named."""
    assert decode_point((2**255 - 1).to_bytes(32, "little")) is None  # y not below p
    assert decode_point((2).to_bytes(32, "little")) is None  # x² has no root
    assert decode_point((1 | 1 << 255).to_bytes(32, "little")) is None  # x = 0 has no sign
