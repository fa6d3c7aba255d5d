"""The site's secrets, beside the ledger: made at the first start, refused when others can read them, never made anew
beside a ledger that was signed with others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.cards import CardNumbers
from controller.ledger.checkpoint import SigningKey
from controller.secrets_file import read_or_create
from controller.site.seal import Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The site's secrets: one for the ledger's signatures, one (split by purpose) for card numbers,
    the seal and PINs.
    """

    signer: SigningKey
    numbers: CardNumbers
    seal: Seal
    pins: bytes


def load_keys(state_dir: Path, random: Callable[[int], bytes]) -> Keys:
    """The keys in `state_dir`, made at the first start. A key file that others can read is refused."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state_dir / "ledger.key"
    if (state_dir / "ledger.db").exists():
        for key, loss in ((path, "no record can be signed as before"), (state_dir / "site.key", "no card is known")):
            if not key.exists():
                raise ValueError(f"{key} is missing beside a ledger; restore it from the backup: without it {loss}")
    elif path.exists():
        raise ValueError(
            f"{state_dir / 'ledger.db'} is missing although its key is there: put it back from the backup, "
            f"or move {path.name}, site.key and site.db away too, to begin a new site with an empty ledger"
        )
    signer = SigningKey.load(path) if path.exists() else SigningKey.create(path)
    secret = read_or_create(state_dir / "site.key", random)
    return Keys(
        signer=signer,
        numbers=CardNumbers(hmac.digest(secret, b"card numbers", hashlib.sha256)),
        seal=Seal(hmac.digest(secret, b"site seal", hashlib.sha256)),
        pins=hmac.digest(secret, b"PINs", hashlib.sha256),
    )
