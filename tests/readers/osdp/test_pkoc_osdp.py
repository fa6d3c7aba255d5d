"""PKOC cards through an OSDP reader: the reader carries, our challenge decides."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from readers.events import CardProof, CardRead, CardUnread
from readers.protocols.osdp import PdPlan, pkoc
from tests.readers.osdp.scripted import KEY, Bench, ScriptedPd

READER_ID = bytes(range(32))
OUI = bytes.fromhex("1A9021")
CARD_KEY = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
POINT = CARD_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

PSIA_CHALLENGE = bytes.fromhex("6FCF5012B224043B09350A4FC5E56A8F")
PSIA_POINT = bytes.fromhex(
    "040EC5D87DC39D14A2C5480686DA860C82B16BE0B6903B525F84848B79FD463E32"
    "BBDA1F0252C33503C5287035E6EAC55D138D0650DCFB5281D59A9CF4124D2831"
)
PSIA_SIGNATURE = bytes.fromhex(
    "B98613070C78010B04ED306D143F94EE6DC4ECA2585B621405731FB3A53CD877"
    "A21685DE18435DA7CBCC38F1D926300A454EFEE3594CEC5EFFE28C7FEAC03D7D"
)


def message(code: int, body: bytes, pieces: int = 1, *, is_total_first: bool = True) -> list[tuple[int, bytes]]:
    size = -(-len(body) // pieces)
    out = []
    for at in range(0, len(body), size):
        piece = body[at : at + size]
        numbers = (len(body), at, len(piece)) if is_total_first else (at, len(piece), len(body))
        out.append((0x90, OUI + bytes((code,)) + b"".join(n.to_bytes(2, "little") for n in numbers) + piece))
    return out


def signed(challenge: bytes, key: ec.EllipticCurvePrivateKey = CARD_KEY) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(challenge, ec.ECDSA(hashes.SHA256())))
    return b"\x5a\x41" + POINT + b"\x9e\x40" + r.to_bytes(32, "big") + s.to_bytes(32, "big")


def bench_of() -> Bench:
    bench = Bench(ScriptedPd(), plans=[PdPlan(source="r0", address=0, key=KEY, pkoc_reader_id=READER_ID)])
    bench.online()
    return bench


def asked(bench: Bench, *, is_total_first: bool = True) -> bytes:
    """Show a card; what the reader is asked to ask it."""
    bench.pds[0].polls += message(0xE0, bytes.fromhex("5C020100"), is_total_first=is_total_first)
    bench.run(300)
    heads = [body for code, body in bench.pds[0].heard if code == 0x80]
    return b"".join(body[10:] for body in heads).removeprefix(b"\x00\x01")


def test_the_published_signature_verifies():
    """No card of another maker would be genuine."""
    body = b"\x5a\x41" + PSIA_POINT + b"\x9e\x40" + PSIA_SIGNATURE
    answer = pkoc.judge(body, PSIA_CHALLENGE)
    assert answer == pkoc.Answer(PSIA_POINT[1:33], is_genuine=True)
    assert pkoc.judge(body, bytes(16)) == pkoc.Answer(PSIA_POINT[1:33], is_genuine=False)


@pytest.mark.req("A-34")
@pytest.mark.req("B-28")
@pytest.mark.parametrize("is_total_first", [True, False], ids=["published text", "reference code"])
@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_genuine_card_is_told_with_its_proof(pieces, is_total_first):
    """A card that proves itself would count as one that cannot."""
    bench = bench_of()
    request = asked(bench, is_total_first=is_total_first)
    assert request[:6] == bytes.fromhex("5C0201004C10")
    assert request[22:24] + request[24:] == b"\x4d\x20" + READER_ID
    challenge = request[6:22]
    assert {0x7B, 0xA7} <= set(bench.pds[0].codes())
    bench.pds[0].polls += message(0xE2, signed(challenge), pieces, is_total_first=is_total_first)
    proof = CardProof(scheme="pkoc", is_genuine=True, nonce=challenge)
    assert bench.run(500) == [CardRead(source="r0", number=POINT[1:33], kind="osdp", proof=proof)]


@pytest.mark.req("A-34")
@pytest.mark.parametrize("other", ["key", "challenge"])
def test_a_copy_is_told_as_one(other):
    """Whoever knows a card's public key could be its holder."""
    bench = bench_of()
    challenge = asked(bench)[6:22]
    forger = ec.derive_private_key(99, ec.SECP256R1())
    body = signed(challenge, forger) if other == "key" else signed(bytes(16))
    bench.pds[0].polls += message(0xE2, body, 2)
    (read,) = bench.run(500)
    assert read.proof == CardProof(scheme="pkoc", is_genuine=False, nonce=challenge)


@pytest.mark.req("B-22")
def test_an_answer_counts_once_and_only_when_asked():
    """A recorded answer would open the portal a second time."""
    bench = bench_of()
    answer = message(0xE2, signed(asked(bench)[6:22]))
    bench.pds[0].polls += answer + answer
    told = bench.run(500)
    assert [type(event) for event in told] == [CardRead, CardUnread]
    assert told[1] == CardUnread(source="r0", why="not asked")


def test_a_card_taken_away_is_told():
    """Somebody would stand before a portal that does nothing."""
    bench = bench_of()
    asked(bench)
    assert bench.run(6_000) == [CardUnread(source="r0", why="no answer")]
    asked(bench)
    bench.pds[0].polls += message(0xFE, bytes.fromhex("FB020100"))
    assert bench.run(500) == [CardUnread(source="r0", why="reader error")]


@pytest.mark.parametrize(
    "payload",
    ["E2", "E2000000000000", "E2FFFF00000100AA", "E20200010001005A", "E201000000010000", "E2" + "04000000040099887766"],
)
def test_malformed_answers_are_no_cards(payload):
    """Half an answer would be judged."""
    bench = bench_of()
    asked(bench)
    bench.pds[0].polls.append((0x90, OUI + bytes.fromhex(payload)))
    assert not [event for event in bench.run(400) if isinstance(event, CardRead)]
