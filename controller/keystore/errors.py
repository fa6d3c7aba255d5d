"""What is wrong with the key store, in words that say what to do, and never with a key in them."""

from __future__ import annotations


class KeyStoreError(Exception):
    """The key store cannot be used, or refuses what it was asked. Nothing was begun anew, and nothing is lost by it."""


class KeyRefused(KeyStoreError):
    """A key, or an order about one, breaks a rule: the store is as it was."""
