"""The site's secrets, beside the ledger: made once, by `sekisho init` or the first start; refused when others can read
them; never made anew beside a ledger that was signed with others.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.cards import CardNumbers
from controller.key_places import CredentialKeys, FileKeys, KeyPlace, TokenKeys
from controller.ledger.checkpoint import Signer
from controller.ledger.errors import LedgerError
from controller.ledger.file import make_file, open_file
from controller.ledger.store import Ledger
from controller.secrets_file import read_or_create, read_secret
from controller.site.seal import Seal
from controller.site_file import LedgerSection
from controller.tokens import Token

LEDGER: Final = "ledger.db"
LEDGER_KEY: Final = "ledger.key"
SITE_KEY: Final = "site.key"
IN_A_FILE: Final = LedgerSection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The site's secrets: one for the ledger's signatures, one (split by purpose) for card numbers,
    the seal and PINs.

    `successor`: the key of a rotation that was cut off, perhaps; the ledger says which of both signs. `is_new`: they
    were made just now.
    """

    signer: Signer
    numbers: CardNumbers
    seal: Seal
    pins: bytes
    place: KeyPlace
    successor: Signer | None = None
    is_new: bool = False

    def settle(self, ledger: Ledger) -> None:
        """The ledger is open: the key it goes on with takes its place, one that it never named goes. KeyRefused."""
        if self.successor is not None and ledger.notary.public == self.successor.public:
            self.place.take_up()
        else:
            self.place.drop_successor()


def place_of(state_dir: Path, section: LedgerSection) -> KeyPlace:
    """Where the ledger's key lies, by the site file."""
    if section.key == "credential":
        return CredentialKeys(os.environ.get("CREDENTIALS_DIRECTORY"))
    if section.key == "pkcs11":
        assert section.module is not None and section.token is not None and section.pin_file is not None
        token = Token(module=section.module, token=section.token, pin_file=Path(section.pin_file))
        return TokenKeys(token, section.label)
    return FileKeys(state_dir / LEDGER_KEY)


def load_keys(state_dir: Path, random: Callable[[int], bytes], section: LedgerSection = IN_A_FILE) -> Keys:
    """The keys of the site in `state_dir`, made where nothing is there yet. A key that others can read is refused.

    KeyRefused, ValueError and OSError say what to do.
    """
    _open_folder(state_dir)
    place = place_of(state_dir, section)
    key, successor = place.keys()
    is_new = is_untouched(state_dir)
    if is_new:
        make_file(state_dir / LEDGER)  # first: a start that is cut off here goes on, and keys alone mean a lost ledger
        key = key or place.make()
    elif key is None and successor is None:
        raise ValueError(
            f"{_named(state_dir, place)} is missing beside a ledger; restore it from the backup: without it no record"
            " can be signed as before"
        )
    secret = read_or_create(state_dir / SITE_KEY, random)
    signer = key or successor
    assert signer is not None, "one of them is there"
    return Keys(
        signer=signer,
        numbers=_numbers(secret),
        seal=Seal(hmac.digest(secret, b"site seal", hashlib.sha256)),
        pins=hmac.digest(secret, b"PINs", hashlib.sha256),
        place=place,
        successor=successor,
        is_new=is_new,
    )


def load_numbers(state_dir: Path) -> CardNumbers:
    """What hides the card numbers of the site in `state_dir`, alone: the ledger's key is not asked for. ValueError,
    OSError as above.
    """
    return _numbers(read_secret(state_dir / SITE_KEY))


def _numbers(secret: bytes) -> CardNumbers:
    return CardNumbers(hmac.digest(secret, b"card numbers", hashlib.sha256))


def is_untouched(state_dir: Path) -> bool:
    """Whether a site is yet to be made here: no ledger and no key, or what a first start left that was cut off.

    ValueError: half of a site is there, and what is missing must come from the backup.
    """
    ledger, site_key = state_dir / LEDGER, state_dir / SITE_KEY
    has_key = (state_dir / LEDGER_KEY).exists() or site_key.exists()
    if not ledger.exists():
        if has_key:
            raise ValueError(
                f"{ledger} is missing although its key is there: put it back from the backup, "
                f"or move {LEDGER_KEY}, {SITE_KEY} and site.db away too, to begin a new site with an empty ledger"
            )
        return True
    if site_key.exists():
        return False
    if _is_empty(ledger):
        return True
    raise ValueError(f"{site_key} is missing beside a ledger; restore it from the backup: without it no card is known")


def _is_empty(ledger: Path) -> bool:
    try:
        with closing(open_file(ledger)) as connection:
            return connection.execute("SELECT 1 FROM record").fetchone() is None
    except (LedgerError, sqlite3.Error):
        return False  # whatever it is, it is not what a first start left


def _open_folder(state_dir: Path) -> None:
    """Make the state folder, or see that nobody else can put files there."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = state_dir.stat()
    if found.st_uid not in {os.geteuid(), 0}:
        raise ValueError(f"{state_dir} belongs to another account: chown it to the controller's")
    if found.st_mode & 0o022:
        raise ValueError(f"others can put files into {state_dir}: chmod 700 {state_dir}")


def _named(state_dir: Path, place: KeyPlace) -> str:
    return str(state_dir / LEDGER_KEY) if place.name == "file" else f"the ledger's key ({place.name})"
