"""The simulated Aliro phone against the CSA's own test vectors, and against a reader spelt out here."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from simulators.cards.aliro import DEVICE_USAGE, READER_USAGE, AliroPhone, Transaction, is_signed, shared_secret
from simulators.cards.pkoc import key_from, point_of, signed

H = bytes.fromhex
SELECT = H("00a4040009a000000909acce550100")
READER = key_from(b"reader of the lab")
READER_ID = bytes(range(32))

# published by the CSA with aliro-actuator (Apache-2.0)
LOCK = serialization.load_pem_public_key(b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEti2bj0lPL0Ogen236WWGXQT+6r5O
nDuKL1pUTuKpxg/YZ1x7PMoOAHDbuZnZ0R9ntFFyR0UuyTHu9R8EcZQXKg==
-----END PUBLIC KEY-----""")
POINT = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
LOCK_POINT = LOCK.public_bytes(*POINT)
READER_EPHEMERAL_X = H("9696afe33de58b7d3253d1cba86d14147c16d455e8a27373b38d454af21b70e7")
PUBLISHED = Transaction(
    reader_id=H("00112233445566778899aabbccddeeffffeeddccbbaa99887766554433221100"),
    transaction_id=H("4165a83667ad0af5ab115247424822e0"),
    reader_ephemeral=b"\x04" + READER_EPHEMERAL_X + bytes(32),
    flags=b"\x00\x01",
)
DEVICE_EPHEMERAL = H(
    "045d75ab60136a2c54ff27b799ee157f3f3329435c0df608de904c920ac29f72bd4274c2edc810a93e240bf5d6394a92c9766b690b2bf5128a"
    "e70d6e29257ea786"
)
KDH = H("cd227f01f917ad1dd5252db51c5ad3da1c3028be750a0f4e69c6a5624fca271c")


def test_the_published_readers_signature_is_believed():
    """A phone that refuses a true reader, or believes a false one, is no witness."""
    signature = H(
        "9398c312ba3dbe29b0e11eda23134a24228ffdda61e65596e83b512677ab4efeecd4c2743c7faa0c1ec25df32605f9071dee8fce4ebb4bc1"
        "60dff1c6d0050dcb"
    )
    message = PUBLISHED.signed_by(READER_USAGE, DEVICE_EPHEMERAL)
    assert is_signed(LOCK_POINT, signature, message)
    assert not is_signed(LOCK_POINT, signature, PUBLISHED.signed_by(DEVICE_USAGE, DEVICE_EPHEMERAL))
    assert not is_signed(point_of(READER), signature, message)


def test_session_keys_are_the_published_ones():
    """Salt, HKDF and both keys, as the CSA's reference has them."""
    assert PUBLISHED.salt(LOCK_POINT) == H(
        "b62d9b8f494f2f43a07a7db7e965865d04feeabe4e9c3b8a2f5a544ee2a9c60f566f6c6174696c652a2a2a2a00112233445566778899aabb"
        "ccddeeffffeeddccbbaa998877665544332211005e5c0201009696afe33de58b7d3253d1cba86d14147c16d455e8a27373b38d454af21b70"
        "e74165a83667ad0af5ab115247424822e00001a508800200005c020100"
    )
    assert PUBLISHED.keys(KDH, LOCK_POINT, DEVICE_EPHEMERAL)[:64] == H(
        "f06ab1499102ca96f75cfa6d2e42c7920382d05a22e959325a91eb3aa4d71ce8"
        "de82f4f94575da8369febd52dea94ec3dadad6d4406a9efe76098d6a22a8fd5d"
    )


def asked(ins: str, body: bytes) -> bytes:
    return H("80" + ins + "0000") + bytes((len(body),)) + body + b"\x00"


def meets(phone: AliroPhone, reader: ec.EllipticCurvePrivateKey) -> tuple[bytes, Transaction, bytes, bytes]:
    """SELECT, AUTH0, AUTH1: the answer to the last, and what it takes to read it."""
    phone.activate()
    assert phone.exchange(SELECT)[-2:] == b"\x90\x00"
    ephemeral = key_from(b"this time")
    transaction = Transaction(
        reader_id=READER_ID, transaction_id=bytes(16), reader_ephemeral=point_of(ephemeral), flags=b"\x00\x01"
    )
    body = H("4101004201015c0201008741") + transaction.reader_ephemeral + H("4c10") + bytes(16)
    first = phone.exchange(asked("80", body + H("4d20") + READER_ID))
    device = first[2:67]
    proof = signed(reader, transaction.signed_by(READER_USAGE, device))
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device)
    shared = shared_secret(ephemeral, theirs, bytes(16))
    return phone.exchange(asked("81", H("4101019e40") + proof)), transaction, shared, device


def test_the_phone_proves_itself_to_its_reader():
    """The whole expedited-standard phase, to the signature that the site looks up."""
    phone = AliroPhone(b"misaki", point_of(READER))
    answer, transaction, shared, device = meets(phone, READER)
    key = transaction.keys(shared, point_of(READER), device)[32:64]
    plain = AESGCM(key).decrypt(H("000000000000000100000001"), answer[:-2], b"")
    assert plain[:67] == H("5a41") + phone.public_point
    assert is_signed(phone.public_point, plain[69:133], transaction.signed_by(DEVICE_USAGE, device))
    assert phone.exchange(H("803c00000641010142010000")) == b"\x90\x00"
    assert phone.finished == [b"\x01\x00"]


def test_the_phone_tells_a_strange_reader_nothing():
    """Whoever holds up a reader of his own must not learn whose phone it is."""
    assert meets(AliroPhone(b"misaki", point_of(READER)), key_from(b"stranger"))[0] == H("6982")


@pytest.mark.parametrize(
    "sent, answered",
    [
        ("8080000000", "6a80"),
        ("8081000003410101", "6985"),
        ("8099000000", "6d00"),
        ("8480000000", "6e00"),
        ("00a4040000", "6a82"),
        ("808000000541", "6700"),
    ],
)
def test_refusals(sent, answered):
    """A reader that asks wrongly must hear so."""
    phone = AliroPhone(b"misaki", point_of(READER))
    phone.activate()
    phone.exchange(SELECT)
    assert phone.exchange(H(sent)) == H(answered)


@given(st.lists(st.tuples(st.sampled_from([0x80, 0x81, 0x3C]), st.binary(max_size=200)), max_size=6))
def test_junk_never_crashes_it(commands):
    """A phone that dies of a bad field would blame the reader."""
    phone = AliroPhone(b"misaki", point_of(READER))
    phone.activate()
    phone.exchange(SELECT)
    for ins, body in commands:
        assert phone.exchange(asked(f"{ins:02x}", body)) is not None
