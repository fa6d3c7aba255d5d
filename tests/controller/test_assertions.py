"""Passkeys as the controller reads them, held against py_webauthn over the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers.exceptions import WebAuthnException

from controller.assertions import AssertionRefused, RelyingParty, check_assertion, cose_key, new_key
from simulators.passkey import SoftPasskey

US = RelyingParty(rp_id="gate.example", origins=("https://gate.example:8440",))
ORIGIN = "https://gate.example:8440"
CHALLENGE = bytes(range(32))
KEY = SoftPasskey("a passkey for these tests")

SPOILT: list[tuple[str, dict[str, Any]]] = [
    ("another challenge", {"challenge": bytes(32)}),
    ("another origin", {"origin": "https://gate.example.evil:8440"}),
    ("another port", {"origin": "https://gate.example"}),
    ("another site's id", {"rp_id": "evil.example"}),
    ("nobody verified", {"key": SoftPasskey("a passkey for these tests", is_verified=False)}),
    ("another passkey", {"key": SoftPasskey("somebody else's")}),
    ("another key's bytes", {"flip": "signature"}),
    ("other authenticator data", {"flip": "authenticator_data"}),
    ("other client data", {"flip": "client_data"}),
    ("a registration", {"kind": "webauthn.create"}),
    ("inside another page", {"crossed": True}),
]


def made(spoilt: dict[str, Any]) -> dict[str, bytes]:
    """The parts of an assertion, spoilt in one way."""
    key = spoilt.get("key", KEY)
    shown = key.signs(
        spoilt.get("challenge", CHALLENGE), spoilt.get("rp_id", "gate.example"), spoilt.get("origin", ORIGIN)
    )
    parts = {
        "client_data": shown.client_data, "authenticator_data": shown.authenticator_data, "signature": shown.signature,
    }  # fmt: skip
    if "kind" in spoilt or "crossed" in spoilt:
        said = json.loads(parts["client_data"])
        said |= {"type": spoilt.get("kind", said["type"]), "crossOrigin": spoilt.get("crossed", False)}
        parts["client_data"] = json.dumps(said).encode()
        resigned = KEY.signs(CHALLENGE, "gate.example", ORIGIN)
        parts["authenticator_data"] = resigned.authenticator_data
    if (name := spoilt.get("flip")) is not None:
        octets = bytearray(parts[name])
        octets[-1] ^= 1
        parts[name] = bytes(octets)
    return parts


def ours(parts: dict[str, bytes], key: SoftPasskey = KEY) -> bool:
    try:
        check_assertion(US, key.public_key, CHALLENGE, **{name: part.hex() for name, part in parts.items()})
    except AssertionRefused:
        return False
    return True


def theirs(parts: dict[str, bytes]) -> bool:
    def text(octets: bytes) -> str:
        return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()

    response = {
        "clientDataJSON": text(parts["client_data"]), "authenticatorData": text(parts["authenticator_data"]),
        "signature": text(parts["signature"]),
    }  # fmt: skip
    own = text(KEY.credential_id)
    try:
        verify_authentication_response(
            credential={"id": own, "rawId": own, "type": "public-key", "response": response},
            expected_challenge=CHALLENGE, expected_rp_id="gate.example", expected_origin=ORIGIN,
            credential_public_key=bytes.fromhex(KEY.public_key), credential_current_sign_count=0,
            require_user_verification=True,
        )  # fmt: skip
    except (WebAuthnException, ValueError):
        return False
    return True


def test_what_the_officers_passkey_says_is_taken_by_both():
    """Nobody could sign anything."""
    assert ours(made({})) and theirs(made({}))


@pytest.mark.parametrize(("what", "spoilt"), SPOILT, ids=[what for what, _ in SPOILT])
def test_what_is_not_his_yes_to_this_is_refused(what, spoilt):
    """A signature for one change, site or page would count for another."""
    assert not ours(made(spoilt)), what
    assert what == "inside another page" or not theirs(made(spoilt)), "py_webauthn does not look at crossOrigin"


@given(part=st.sampled_from(["client_data", "authenticator_data", "signature"]), junk=st.binary(max_size=200))
def test_junk_is_refused_and_breaks_nothing(part, junk):
    """Whoever breaks into the web process could stop the deciding loop with a few bytes."""
    assert not ours({**made({}), part: junk})


def test_a_registration_gives_the_key_that_py_webauthn_finds():
    """The officer would be enrolled with a key that his passkey does not have."""
    shown = KEY.creates(CHALLENGE, "gate.example", ORIGIN)
    found = new_key(
        US, CHALLENGE, client_data=shown.client_data.hex(), authenticator_data=shown.authenticator_data.hex()
    )
    own = base64.urlsafe_b64encode(KEY.credential_id).rstrip(b"=").decode()
    response = {
        "clientDataJSON": base64.urlsafe_b64encode(shown.client_data).decode(),
        "attestationObject": base64.urlsafe_b64encode(shown.attestation_object).decode(),
    }
    told = verify_registration_response(
        credential={"id": own, "rawId": own, "type": "public-key", "response": response}, expected_challenge=CHALLENGE,
        expected_rp_id="gate.example", expected_origin=ORIGIN, require_user_verification=True,
    )  # fmt: skip
    assert (found.credential, found.public_key) == (told.credential_id.hex(), told.credential_public_key.hex())
    assert (found.credential, found.public_key) == (KEY.credential, KEY.public_key)


@given(cut=st.integers(0, 160), flip=st.integers(0, 160))
def test_a_registration_that_is_cut_or_bent_gives_no_key_or_the_key_it_holds(cut, flip):
    """A key would be enrolled that nobody holds, or the loop would stumble."""
    shown = KEY.creates(CHALLENGE, "gate.example", ORIGIN)
    data = bytearray(shown.authenticator_data[: len(shown.authenticator_data) - cut])
    if flip < len(data):
        data[flip] ^= 0x55
    try:
        found = new_key(US, CHALLENGE, client_data=shown.client_data.hex(), authenticator_data=bytes(data).hex())
    except AssertionRefused:
        return
    assert cose_key(bytes.fromhex(found.public_key)) is not None


@pytest.mark.parametrize("bits", [1024, 2048])
def test_rsa_keys_are_taken_from_2048_bits_on(bits):
    """A passkey of an old TPM could be forged."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key().public_numbers()
    size = bits // 8
    cose = bytes.fromhex("a40103033901002059")
    cose += size.to_bytes(2, "big") + numbers.n.to_bytes(size, "big") + bytes.fromhex("2143010001")
    if bits < 2048:
        with pytest.raises(AssertionRefused):
            cose_key(cose)
    else:
        assert isinstance(cose_key(cose), rsa.RSAPublicKey)


def test_passkeys_of_every_kind_that_we_take_sign():
    """Somebody's passkey would be enrolled, and nothing that he signs be taken."""
    challenge, origin = CHALLENGE, ORIGIN
    shown = KEY.signs(challenge, "gate.example", origin)
    signed = shown.authenticator_data + hashlib.sha256(shown.client_data).digest()
    edwards = ed25519.Ed25519PrivateKey.generate()
    cose = bytes.fromhex("a4010103272006215820") + edwards.public_key().public_bytes_raw()
    check_assertion(
        US, cose.hex(), challenge, client_data=shown.client_data.hex(),
        authenticator_data=shown.authenticator_data.hex(), signature=edwards.sign(signed).hex(),
    )  # fmt: skip
    modular = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    numbers = modular.public_key().public_numbers()
    cose = bytes.fromhex("a401030339010020590100") + numbers.n.to_bytes(256, "big") + bytes.fromhex("2143010001")
    signature = modular.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    check_assertion(
        US, cose.hex(), challenge, client_data=shown.client_data.hex(),
        authenticator_data=shown.authenticator_data.hex(), signature=signature.hex(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("us", "origin", "is_ours"),
    [
        (RelyingParty(), "http://localhost:8000", True),
        (RelyingParty(), "https://localhost", True),
        (RelyingParty(), "http://127.0.0.1:8000", False),
        (RelyingParty(), "http://localhost.evil:8000", False),
        (RelyingParty(rp_id="gate.example"), "https://gate.example:8440", True),
        (RelyingParty(rp_id="gate.example"), "https://pages.gate.example", True),
        (RelyingParty(rp_id="gate.example"), "http://gate.example", False),
        (RelyingParty(rp_id="gate.example"), "https://notgate.example", False),
        (RelyingParty(rp_id="gate.example"), "https://[", False),
        (RelyingParty(rp_id="gate.example"), None, False),
    ],
)
def test_pages_are_ours_where_browsers_say_so(us, origin, is_ours):
    """A page of somebody else's would get an officer's yes."""
    assert us.is_ours(origin) is is_ours
