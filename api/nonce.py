"""The word that scripts and elements of one answer carry, so that a browser tells them from what was slipped in."""

from __future__ import annotations

import secrets
from contextvars import ContextVar
from typing import Final

_nonce: Final[ContextVar[str]] = ContextVar("nonce", default="")


def new_nonce() -> str:
    """A word for the answer that begins in this context."""
    made = secrets.token_urlsafe(16)
    _nonce.set(made)
    return made


def nonce() -> str:
    """The word of the answer that is being made."""
    return _nonce.get()
