"""What our card sessions add to each APDU: wall time in `begin` and `answer`, beside the bare arithmetic they need.

The cards are simulated in the same process and not counted. The floor does the same number of PyCA operations on as
many bytes as the session did (counted while it ran): AES set up and run, or an ECDSA verification with its key decoded.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench.figures import Figure, percentile, ratio_of_rounds, short
from readers.cards import aes
from readers.cards.challenge import Challenger
from readers.cards.diversify import diversification_input, diversified
from readers.cards.session import CardTarget, Proved
from readers.events import CardScheme
from simulators.cards import site
from simulators.cards.pkoc import PkocCard

UID: Final = bytes.fromhex("04A1B2C3D4E580")
MASTERS: Final = {purpose: {1: bytes((at * 16 + 1,)) * 16} for at, purpose in enumerate(site.PURPOSES, start=1)}
READER_ID: Final = bytes(range(32))
BOUND_MS: Final = 0.3
NAMES: Final = ("card_desfire_ev2_per_apdu", "card_pkoc_per_apdu")


class Keys:
    """The site's keys, diversified at each question as the key store does it."""

    def versions(self, _purpose: str) -> tuple[int, ...]:
        return (1,)

    def diversified(self, purpose: str, version: int, number: bytes) -> bytes:
        return diversified(MASTERS[purpose][version], diversification_input(number, site.AID, b"SEKISHO"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One authentication: APDUs, and ms of our own."""

    apdus: int
    ms: float


def _ask(challenger: Challenger, card: Any) -> Asked:
    target = CardTarget(kind="iso14443a", number=card.number, sak=card.sak, ats=card.ats)
    card.activate()
    began = time.perf_counter()
    session = challenger.session(target)
    assert session is not None
    said = session.begin()
    spent, apdus = time.perf_counter() - began, 0
    while isinstance(said, bytes):
        answer = card.exchange(said)
        began = time.perf_counter()
        said = session.answer(answer)
        spent += time.perf_counter() - began
        apdus += 1
    card.field_lost()
    assert isinstance(said, Proved)
    assert said.proof.is_genuine
    return Asked(apdus, spent * 1e3)


@contextmanager
def _counted(sizes: list[int]) -> Iterator[None]:
    """Note the bytes of every AES call while it lasts."""
    own = aes.AesKey.encrypt, aes.AesKey.decrypt

    def noting(what: Callable[..., bytes]) -> Callable[..., bytes]:
        def call(key: aes.AesKey, block: bytes, iv: bytes = aes.ZEROS) -> bytes:
            sizes.append(len(block))
            return what(key, block, iv)

        return call

    aes.AesKey.encrypt, aes.AesKey.decrypt = noting(own[0]), noting(own[1])  # type: ignore[method-assign]
    try:
        yield
    finally:
        aes.AesKey.encrypt, aes.AesKey.decrypt = own  # type: ignore[method-assign]


def _aes_floor(challenger: Challenger, card: Any) -> tuple[Callable[[], None], str]:
    sizes: list[int] = []
    with _counted(sizes):
        _ask(challenger, card)
    plain = {size: bytes(size) for size in sizes}
    key, iv = algorithms.AES(bytes(range(16))), modes.CBC(bytes(16))

    def run() -> None:
        for size in sizes:
            Cipher(key, iv).encryptor().update(plain[size])

    return run, f"{len(sizes)} AES-CBC calls of PyCA"


def _ecdsa_floor() -> tuple[Callable[[], None], str]:
    own = ec.generate_private_key(ec.SECP256R1())
    signature, message = own.sign(bytes(16), ec.ECDSA(hashes.SHA256())), bytes(16)
    numbers = own.public_key().public_numbers()
    encoded = b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def run() -> None:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))

    return run, "1 ECDSA P-256 verification of PyCA, the point decoded"


def _makes() -> Mapping[CardScheme, Callable[[], Any]]:
    return {
        "desfire_ev2": lambda: site.SiteCards(keys=MASTERS).desfire(UID),
        "pkoc": lambda: PkocCard(b"a card of the bench"),
    }


def per_apdu(_folder: Path, *, is_quick: bool) -> list[Figure]:
    """DESFire EV2 (select, key version, authenticate, enciphered read) and PKOC (select, authenticate)."""
    rounds, times = (3, 30) if is_quick else (6, 100)
    return [_figure(scheme, make(), rounds, times) for scheme, make in _makes().items()]


def _figure(scheme: CardScheme, card: Any, rounds: int, times: int) -> Figure:
    challenger = Challenger(Keys(), secrets.token_bytes, (scheme,), site.AID, READER_ID)  # type: ignore[arg-type]
    floor, of = _ecdsa_floor() if scheme == "pkoc" else _aes_floor(challenger, card)
    ours: list[float] = []
    theirs: list[float] = []
    every: list[float] = []
    apdus = 1
    for _ in range(rounds + 1):
        asked = [_ask(challenger, card) for _ in range(times)]
        apdus = asked[0].apdus
        bare = []
        for _ in range(times):
            began = time.perf_counter()
            floor()
            bare.append((time.perf_counter() - began) * 1e3)
        ours.append(statistics.median(one.ms for one in asked))
        theirs.append(statistics.median(bare))
        every += [one.ms / one.apdus for one in asked]
    against, spread = ratio_of_rounds(ours[1:], theirs[1:])
    each = statistics.median(ours[1:]) / apdus
    return Figure(
        name=f"card_{scheme}_per_apdu",
        value=each,
        unit="ms",
        ratio=each / BOUND_MS,
        of=f"{BOUND_MS} ms",
        aim="<= 1",
        notes=(
            f"{apdus} APDUs, {short(each * apdus)} ms in all; p99 an APDU {short(percentile(every, 0.99))} ms",
            f"{short(against)} times ({spread}) the floor of {short(statistics.median(theirs[1:]))} ms: {of}",
        ),
    )
