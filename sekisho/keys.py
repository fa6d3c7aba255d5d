"""`sekisho keys`: the site's keys while the controller is stopped, by two people (docs/keys.md).

What is done is noted in the key store together with it, and recorded in the ledger by the controller's next start. No
key is printed: people see its mark. Exit status: 0 done, 1 refused, 3 could not run.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controller.config import SiteFileError, load_site
from controller.key_room import open_key_store, seal_of
from controller.keystore.errors import KeyRefused, KeyStoreError
from controller.keystore.guarded import read_guarded
from controller.keystore.store import ALIRO as ALIRO_SECRET
from controller.keystore.store import KeyStore
from controller.keystore.weak import KEY_BYTES
from controller.site_file import KeysSection
from sekisho.keys_arguments import ALIRO
from sekisho.spoken import Words, print_lines, said, table, tell
from zones.moment import here

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

_HEADS: Final[tuple[Words, ...]] = (
    *(("鍵", "key"), ("版", "version"), ("状態", "state"), ("作成日", "made on")),
    *(("印", "mark"), ("使用回数", "uses"), ("管理者", "custodians"), ("更新", "due")),
)
_STATES: Final[Mapping[str, Words]] = MappingProxyType(
    {"ACTIVE": ("使用中", "ACTIVE"), "RETIRING": ("更新中 (旧)", "RETIRING"), "RETIRED": ("廃止", "RETIRED")}
)
_DUE: Final[Words] = ("要更新", "DUE")

_WHO: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:-]{0,63}")


def run(arguments: argparse.Namespace) -> int:
    """Run the action that `arguments.keys` names and return its exit status."""
    try:
        if arguments.keys != "list":
            check_people(arguments.by)
        return ACTIONS[arguments.keys](arguments)
    except (SiteFileError, KeyRefused) as error:
        print(f"sekisho keys: {error}", file=sys.stderr)
        return NO
    except (KeyStoreError, OSError) as error:
        print(f"sekisho keys: {error}", file=sys.stderr)
        return CANNOT_RUN


def check_people(people: list[str], how: str = "--by ID --by ID") -> None:
    """KeyRefused where these are not two different people; `how` is how they are named."""
    if len(people) != 2 or len(set(people)) != 2 or not all(map(_WHO.fullmatch, people)):
        ids = "in letters, digits and signs of @._:-"
        raise KeyRefused(f"異なる二名が必要です / this takes two different people: {how}, {ids}")


def check_account(folder: Path) -> None:
    """KeyRefused where root would make for root what the controller of another account could then not read."""
    owner = next(place.stat().st_uid for place in (folder, *folder.parents) if place.exists())
    if os.geteuid() == 0 and owner != 0:
        raise KeyRefused(f"{folder} is of another account: sudo -u {_name_of(owner)} sekisho …")


def _name_of(account: int) -> str:
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"'#{account}'"


def _opened(path: Path, *, is_restored: bool = False) -> KeyStore:
    site = load_site(path)
    check_account(Path(site.keys.dir or path))
    store = open_key_store(site, os.urandom, is_restored=is_restored)
    if store is None:
        raise KeyRefused(f"{path} names neither cards nor readers with keys: there is no key store")
    return store


def _today() -> date:
    return here(datetime.now(UTC))[0]


# -- what is done ------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    store = _opened(arguments.site)
    try:
        rows = store.listing()
    finally:
        store.close()
    if arguments.json:
        documents = [
            {
                "key": row.name,
                "version": row.version,
                "state": row.state,
                "made_on": row.made_on.isoformat(),
                "mark": row.fingerprint,
                "custodians": row.custodians,
                "uses": row.uses,
                "is_due": row.is_due,
            }
            for row in rows
        ]
        print(json.dumps(documents, ensure_ascii=False))
        return OK
    if not rows:
        words = ("鍵はまだありません: `sekisho keys make`", "there is no key yet: `sekisho keys make` draws one")
        tell(said(words, arguments.lang))
        return OK
    told = [tuple(said(head, arguments.lang) for head in _HEADS)]
    for row in rows:
        state = said(_STATES.get(row.state, (row.state, row.state)), arguments.lang)
        due = said(_DUE, arguments.lang) if row.is_due else "-"
        people = ", ".join(row.custodians) or "-"
        told.append((row.name, f"v{row.version}", state, str(row.made_on), row.fingerprint, str(row.uses), people, due))
    print_lines(table(told))
    return OK


def _make(arguments: argparse.Namespace, store: KeyStore, people: tuple[str, ...]) -> str:
    if arguments.purpose == ALIRO:
        key = ec.generate_private_key(ec.SECP256R1())
        store.keep_single(ALIRO_SECRET, key.private_numbers().private_value.to_bytes(32, "big"))
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return f"{ALIRO} public key (for whoever provisions phones): {point.hex()}"
    version = store.rotate(arguments.purpose, _today(), people)
    return f"{arguments.purpose} v{version}"


def _retire(arguments: argparse.Namespace, store: KeyStore, _people: tuple[str, ...]) -> str:
    store.retire(arguments.purpose, arguments.version)
    return f"{arguments.purpose} v{arguments.version} retired"


def _import_reader(arguments: argparse.Namespace, store: KeyStore, people: tuple[str, ...]) -> str:
    store.import_reader_key(arguments.reader, _key_in(arguments.file), _today(), people)
    return f"{arguments.reader}: destroy {arguments.file} now"


def _import_card(arguments: argparse.Namespace, store: KeyStore, people: tuple[str, ...]) -> str:
    key, version = _key_in(arguments.file), arguments.version
    store.import_card_key(arguments.purpose, version, key, _today(), people, is_factory=arguments.factory)
    return f"{arguments.purpose} v{version}: destroy {arguments.file} now"


def _noted(
    act: str, do: Callable[[argparse.Namespace, KeyStore, tuple[str, ...]], str]
) -> Callable[[argparse.Namespace], int]:
    """Do it, and note who did."""

    def run_noted(arguments: argparse.Namespace) -> int:
        people = tuple(arguments.by)
        about = getattr(arguments, "purpose", None) or arguments.reader
        if act == "import_reader_key" and about not in load_site(arguments.site).wiring.secured:
            raise KeyRefused(f"{arguments.site} has no reader {about!r} with a secure channel")
        store = _opened(arguments.site)
        try:
            with store.noting(act, about, _today(), people):
                done = do(arguments, store, people)
        finally:
            store.close()
        print(done)
        return OK

    return run_noted


def _seal_again(arguments: argparse.Namespace) -> int:
    site = load_site(arguments.site)
    if site.keys.dir is None or site.keys.seal == arguments.was:
        raise KeyRefused(f"the site file says seal = {site.keys.seal!r}: change it to the new one first")
    before = seal_of(_as_it_was(site.keys, arguments.was), os.urandom)
    store = KeyStore.open(Path(site.keys.dir), before, os.urandom)
    try:
        with store.noting("seal_again", site.keys.seal, _today(), tuple(arguments.by)):
            store.seal_again(seal_of(site.keys, os.urandom))
    finally:
        store.close()
    print(f"sealed: {arguments.was} -> {site.keys.seal}; destroy the old sealing key now")
    return OK


def _as_it_was(keys: KeysSection, was: str) -> KeysSection:
    return msgspec.structs.replace(keys, seal=was)


def _restored(arguments: argparse.Namespace) -> int:
    store = _opened(arguments.site, is_restored=True)
    try:
        with store.noting("keys_restored", "", _today(), tuple(arguments.by)):
            store.keep()
    finally:
        store.close()
    print("the key store is taken as it is; look at every reader that was renewed since the backup")
    return OK


def _key_in(path: Path) -> bytes:
    """A key from a file that nobody else can read."""
    found = read_guarded(path, "the file with the key")
    if len(found) == KEY_BYTES:
        return found
    try:
        return bytes.fromhex(found.decode("ascii"))
    except ValueError:
        raise KeyRefused(f"{path} holds no key: 16 bytes, or 32 hex digits") from None


ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = MappingProxyType(
    {
        "list": _list,
        "make": _noted("rotate_key", _make),
        "retire": _noted("retire_key", _retire),
        "import-reader": _noted("import_reader_key", _import_reader),
        "import-card": _noted("import_card_key", _import_card),
        "seal-again": _seal_again,
        "restored": _restored,
    }
)
