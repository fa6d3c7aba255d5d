"""The key store of a site, and the room where its jobs are done: a thread of their own, for the disk.

A site that names neither cards nor readers with keys has no key store, and a room that refuses every job.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Protocol

from controller.config import Site
from controller.keystore.commissioning import defaults_found, key_view
from controller.keystore.desk import KeyDesk
from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.keystore.seals import CredentialSeal, FileSeal, Pkcs11Seal, Seal
from controller.keystore.store import ALIRO, KeyStore
from controller.lines import Secrets
from controller.link.messages import KeyStanding
from controller.site_file import KeysSection

SEALING_FILE = "seal.key"
SYSTEM = b"SEKISHO"
"""What AN10922 mixes into every card's own key beside its number and the application (docs/wire/cards.md)."""


class KeyJobs(Protocol):
    """Where jobs are done."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def submit(self, job: KeyJob) -> None: ...
    def standings(self) -> tuple[KeyStanding, ...]: ...


class NoKeys:
    """The room of a site that has no key store."""

    def __init__(self, deliver: Callable[[KeysStored], object]) -> None:
        self._deliver = deliver

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def submit(self, job: KeyJob) -> None:
        """Refused: there is nothing to keep keys in."""
        self._deliver(KeysStored(job=job, view=KeyView(), why="this site has no key store"))

    def standings(self) -> tuple[KeyStanding, ...]:
        """None."""
        return ()


def open_key_store(site: Site, random: Callable[[int], bytes], *, is_restored: bool = False) -> KeyStore | None:
    """The site's key store; None where the site file asks for no keys. KeyStoreError says what to do."""
    if site.cards is None and not site.wiring.secured:
        return None
    assert site.keys.dir is not None, "controller.config fills it in"
    folder = Path(site.keys.dir)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return KeyStore.open(folder, seal_of(site.keys, random), random, is_restored=is_restored)


def seal_of(section: KeysSection, random: Callable[[int], bytes]) -> Seal:
    """What seals the key store of a site file."""
    assert section.dir is not None, "controller.config fills it in"
    if section.seal == "credential":
        return CredentialSeal(os.environ.get("CREDENTIALS_DIRECTORY"), random)
    if section.seal == "pkcs11":
        assert section.module is not None and section.token is not None and section.pin_file is not None
        return Pkcs11Seal(
            module=section.module,
            token=section.token,
            label=section.label,
            pin_file=Path(section.pin_file),
            random=random,
        )
    folder = Path(section.dir)
    return FileSeal(folder.with_name(f"{folder.name}-{SEALING_FILE}"), random)


def key_jobs(
    site: Site, store: KeyStore | None, deliver: Callable[[KeysStored], object], today: Callable[[], date]
) -> KeyJobs:
    """Where the jobs of a site are done."""
    if store is None:
        return NoKeys(deliver)
    return KeyDesk(store, deliver, today, readers=site.wiring.secured, schemes=_schemes(site))


def secrets_of(site: Site, store: KeyStore | None) -> Secrets:
    """What the wires of a site need of its key store. A reader may have taken a key that nobody could confirm."""
    if store is None:
        return Secrets()
    cards = (
        None
        if site.cards is None
        else store.card_keys(application=bytes.fromhex(site.cards.application), system=SYSTEM)
    )
    return Secrets(
        cards=cards,
        aliro=store.single(ALIRO),
        reader_key=lambda reader: store.reader_key(reader) or store.pending_key(reader),
        pending_key=lambda reader: store.pending_key(reader) if store.reader_key(reader) else None,
        view=key_view(store, site.wiring.secured, _schemes(site)),
    )


def commissioning_of(site: Site, store: KeyStore | None) -> list[str]:
    """Readers and schemes that still have what the factory gave them (B-14)."""
    return [] if store is None else sorted(defaults_found(store, site.wiring.secured, _schemes(site)))


def _schemes(site: Site) -> tuple[str, ...]:
    return () if site.cards is None else tuple(site.cards.schemes)
