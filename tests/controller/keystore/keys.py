"""What the tests of the key store share: made-up randomness, a folder, a store."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path

from controller.keystore.seals import FileSeal
from controller.keystore.store import KeyStore

TODAY = date(2026, 11, 2)
LATER = date(2027, 1, 15)
GOOD = bytes.fromhex("9a3fc17e5502d86b41e8f07dac12369b")
OTHER = bytes.fromhex("d7443d6a8b0e91f25c17e6bb90a2c458")


def drawn(seed: int = 1) -> Callable[[int], bytes]:
    """Random bytes that a failing test can draw again."""
    return random.Random(seed).randbytes


def opened(folder: Path, seed: int = 1, **more: bool) -> KeyStore:
    """A key store in `folder`, sealed by the file beside it."""
    return KeyStore.open(folder, FileSeal(folder / "seal.key", drawn(seed + 1000)), drawn(seed), **more)


def filled(folder: Path) -> KeyStore:
    """One with a bit of everything."""
    store = opened(folder)
    store.rotate("desfire_read", TODAY, ("officer-01", "h-1"))
    store.rotate("ntag424_read", TODAY, ("h-1",))
    store.import_reader_key("rd-1", GOOD, TODAY, ("officer-01", "officer-02"), identity="ab" * 32)
    store.propose_reader_key("rd-2", TODAY, ("h-1",))
    store.keep_single("aliro_reader_key", bytes(range(100, 132)))
    return store
