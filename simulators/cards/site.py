"""Cards as a site issues them: from its master keys and a number to a card with keys of its own (docs/wire/cards.md).

Owns the layout (application, key numbers, files) on the simulators' side, and AN10922 with the site's own input. The
keys are made up, and only ever given as arguments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from simulators.cards.crypto import an10922
from simulators.cards.desfire import FACTORY_KEY, FREE, Application, CardKey, Desfire, Generation, StdFile
from simulators.cards.felica import FelicaLiteS
from simulators.cards.ntag424 import Ntag424
from simulators.cards.pkoc import PkocCard
from simulators.cards.plain import Card, card_of

if TYPE_CHECKING:
    from collections.abc import Mapping

CardType: TypeAlias = Literal["uid", "desfire", "ntag424", "pkoc", "felica-lite-s"]
AID: Final = bytes.fromhex("f53e4b")
CREDENTIAL_FILE: Final = 0x01
NTAG_FILE: Final = 0x03
CREDENTIAL_BYTES: Final = 32
MASTER, UID_KEY, READ = 0, 1, 2
MARK_FILE: Final = 0x02
MARK_NAME: Final = b"sekisho.invalid:card"
PURPOSES = ("desfire_master", "desfire_uid", "desfire_read", "ntag424_master", "ntag424_read", "felica_card")
P224_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D


def made_up_maker() -> ec.EllipticCurvePrivateKey:
    """The key with which the simulators' own "manufacturer" signs UIDs. Real chips are signed with NXP's."""
    number = int.from_bytes(hashlib.sha512(b"simulated maker").digest(), "big") % (P224_ORDER - 1) + 1
    return ec.derive_private_key(number, ec.SECP224R1())


def maker_point() -> bytes:
    """The made-up maker's public key, 04 || X || Y: what Read_Sig of simulated cards verifies against."""
    return (
        made_up_maker()
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )


def originality(uid: bytes) -> bytes:
    """R || S over the bare UID, secp224r1, no hash (NXP AN12196 §7.2: the UID stands where a digest would)."""
    digest = uid.rjust(28, b"\x00")
    r, s = utils.decode_dss_signature(made_up_maker().sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA224()))))
    return r.to_bytes(28, "big") + s.to_bytes(28, "big")


def credential_bytes(number: bytes) -> bytes:
    """What stands in a credential file where nobody says otherwise."""
    return (b"SEKISHO\x01" + number.ljust(10, b"\x00")).ljust(CREDENTIAL_BYTES, b"\x00")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteCards:
    """Makes cards of one site. `keys`: purpose → version → sixteen bytes."""

    keys: Mapping[str, Mapping[int, bytes]]

    def key(self, purpose: str, number: bytes, version: int | None = None) -> CardKey:
        """The key of the card with `number` (b"" for `desfire_uid`); the newest version unless one is named."""
        versions = self.keys[purpose]
        chosen = max(versions) if version is None else version
        return CardKey(value=an10922(versions[chosen], number + AID + b"SEKISHO"), version=chosen)

    def desfire(
        self,
        uid: bytes,
        *,
        generation: Generation = "ev2",
        version: int | None = None,
        is_uid_random: bool = False,
        content: bytes | None = None,
    ) -> Desfire:
        """An issued DESFire."""
        master = self.key("desfire_master", uid, version)
        keys = [master, self.key("desfire_uid", b""), self.key("desfire_read", uid, version)]
        file = StdFile(
            mode=3, access=(READ, MASTER, MASTER, MASTER), content=bytearray(content or credential_bytes(uid))
        )
        return Desfire(
            uid,
            generation=generation,
            picc_key=master,
            applications={AID: Application(keys=keys, settings=0x0B, files={CREDENTIAL_FILE: file})},
            signature=originality(uid),
            is_uid_random=is_uid_random,
        )

    def ntag424(
        self,
        uid: bytes,
        *,
        version: int | None = None,
        is_uid_random: bool = False,
        content: bytes | None = None,
    ) -> Ntag424:
        """An issued NTAG 424 DNA."""
        master = self.key("ntag424_master", uid, version)
        keys = dict.fromkeys(range(5), master)
        keys[UID_KEY], keys[READ] = self.key("desfire_uid", b""), self.key("ntag424_read", uid, version)
        whole = bytearray((content or credential_bytes(uid)).ljust(128, b"\x00"))
        record = bytes((0xD4, len(MARK_NAME), len(AID))) + MARK_NAME + AID  # NDEF: external, short, alone
        mark = bytearray((len(record).to_bytes(2, "big") + record).ljust(256, b"\x00"))
        files = {
            MARK_FILE: StdFile(mode=0, access=(FREE, MASTER, MASTER, MASTER), content=mark),
            NTAG_FILE: StdFile(mode=3, access=(READ, MASTER, MASTER, MASTER), content=whole),
        }
        return Ntag424(uid, keys=keys, files=files, signature=originality(uid), is_uid_random=is_uid_random)

    def felica(self, idm: bytes, *, version: int | None = None) -> FelicaLiteS:
        """An issued FeliCa Lite-S."""
        key = self.key("felica_card", idm, version)
        record = {0: (b"SEKISHO\x01" + AID).ljust(16, b"\x00")}
        return FelicaLiteS(idm, card_key=key.value, key_version=key.version, blocks=record, is_locked=True)

    def card(self, card_type: CardType, number: bytes, kind: str = "iso14443a") -> Card:
        """The card of somebody in a building file."""
        if card_type == "desfire":
            return self.desfire(number)
        if card_type == "ntag424":
            return self.ntag424(number)
        if card_type == "felica-lite-s":
            return self.felica(number)
        return PkocCard(number, uid=number) if card_type == "pkoc" else card_of(kind, number)


def blank_desfire(uid: bytes, *, generation: Generation = "ev2", is_genuine: bool = True) -> Desfire:
    """As the shop sends it: DES zeros at the card's level, no application. Not `is_genuine`: nobody's signature."""
    signature = originality(uid) if is_genuine else bytes(56)
    return Desfire(uid, generation=generation, picc_key=FACTORY_KEY, signature=signature)


def blank_ntag424(uid: bytes, *, is_genuine: bool = True) -> Ntag424:
    """As the shop sends it: five keys of zeros."""
    return Ntag424(uid, signature=originality(uid) if is_genuine else bytes(56))
