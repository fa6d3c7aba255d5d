"""What still has the key it came with (B-14): until that is changed, nobody is let in by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from controller.keystore.jobs import KeyView
from controller.keystore.store import KeyStore
from readers.cards.session import KeyPurpose

PURPOSES_OF: Final[Mapping[str, tuple[KeyPurpose, ...]]] = MappingProxyType(
    {
        "desfire_ev1": ("desfire_master", "desfire_read", "desfire_uid"),
        "desfire_ev2": ("desfire_master", "desfire_read", "desfire_uid"),
        "ntag424": ("ntag424_master", "ntag424_read", "desfire_uid"),
        "felica_lite_s": ("felica_card",),
    }
)
"""Scheme -> the site keys that it hangs on. PKOC and Aliro cards have key pairs of their own."""


def defaults_found(store: KeyStore, readers: Iterable[str], schemes: Iterable[str]) -> frozenset[str]:
    """Readers (by id) without a key of their own, and schemes with a factory default among their keys.

    Args:
        store: the key store.
        readers: those that have a secure channel.
        schemes: those that the site asks cards for.
    """
    bare = {reader for reader in readers if not store.is_reader_commissioned(reader)}
    return frozenset(
        bare | {scheme for scheme in schemes if any(map(store.has_factory_key, PURPOSES_OF.get(scheme, ())))}
    )


def key_view(store: KeyStore, readers: Iterable[str], schemes: Iterable[str]) -> KeyView:
    """What the deciding loop may know of the key store: no key."""
    of_site = tuple(readers)
    return KeyView(
        commissioned=frozenset(of_site) - defaults_found(store, of_site, ()),
        identities=store.identities,
        custodians=store.custodians,
        due=store.rotation_due(),
        defaults=defaults_found(store, (), schemes),
    )
