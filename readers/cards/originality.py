"""Is this blank a chip of its maker? NXP's originality signature: ECDSA over the bare UID, on secp224r1.

It is checked before any key of the site is used (complaint 12: a faked blank that is enrolled collects keys). It is a
constant of the chip: somebody who owns a genuine card can give its UID and signature to a fake. What such a fake gets
is the diversified keys of that one number and the key that all cards share and that proves nothing.

The public keys are those that proxmark3 lists and that its `recover_pk.py` works out from signatures of real chips;
two signatures each of EV2 and NTAG 424 DNA are in our tests, none of EV3 was found in public.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

HALF: Final = 28
SIGNATURE_BYTES: Final = 2 * HALF

DESFIRE_EV2: Final = bytes.fromhex(
    "04B304DC4C615F5326FE9383DDEC9AA892DF3A57FA7FFB3276192BC0EAA252ED45A865E3B093A3D0DCE5BE29E92F1392CE7DE321E3E5C52B3A"
)
DESFIRE_EV3: Final = bytes.fromhex(
    "041DB46C145D0A36539C6544BD6D9B0AA62FF91EC48CBC6ABAE36E0089A46F0D08C8A715EA40A63313B92E90DDC1730230E0458A33276FB743"
)
NTAG_424: Final = bytes.fromhex(
    "048A9B380AF2EE1B98DC417FECC263F8449C7625CECE82D9B916C992DA209D68422B81EC20B65A66B5102A61596AF3379200599316A00A1410"
)
NXP_KEYS: Final = (DESFIRE_EV2, DESFIRE_EV3, NTAG_424)


def is_original(number: bytes, signature: bytes, makers: tuple[bytes, ...] = NXP_KEYS) -> bool:
    """Whether one of `makers` (uncompressed points) signed this UID."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    halves = (int.from_bytes(signature[:HALF], "big"), int.from_bytes(signature[HALF:], "big"))
    encoded = utils.encode_dss_signature(*halves)
    # The UID itself stands where a hash would: the same number when it is filled up on the left.
    digest = number.rjust(HALF, b"\0")
    return any(_is_by(maker, encoded, digest) for maker in makers)


def _is_by(maker: bytes, signature: bytes, digest: bytes) -> bool:
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP224R1(), maker)
    try:
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA224())))
    except InvalidSignature:
        return False
    return True
