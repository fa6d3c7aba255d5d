"""Challenges that passkeys are asked with: good once, for two minutes, for one thing.

A challenge carries its own time and a seal, so that asking for a thousand of them costs nothing and drives nobody
else's out; only those that were used are remembered, until their time is over.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from typing import Final

from api.signin.posts import now_ms

LIFE_MS: Final = 120_000
_NONCE, _TIME, _SEAL = 16, 8, 32


class Challenges:
    """Makes challenges and takes each back once. `clock`: milliseconds."""

    def __init__(self, clock: Callable[[], int] = now_ms) -> None:
        self._key = secrets.token_bytes(32)
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[bytes, int] = {}

    def make(self, purpose: str) -> bytes:
        """A new one for `purpose`: what it is asked for, and by whom where that is known."""
        head = secrets.token_bytes(_NONCE) + (self._clock() + LIFE_MS).to_bytes(_TIME, "big")
        return head + self._seal(head, purpose)

    def take(self, challenge: bytes, purpose: str) -> bool:
        """Whether it was made here for this purpose, lately, and was not taken before; from now on it was."""
        head, seal = challenge[: _NONCE + _TIME], challenge[_NONCE + _TIME :]
        if len(challenge) != _NONCE + _TIME + _SEAL or not hmac.compare_digest(seal, self._seal(head, purpose)):
            return False
        now, until = self._clock(), int.from_bytes(head[_NONCE:], "big")
        with self._lock:
            self._used = {used: end for used, end in self._used.items() if end >= now}
            if until < now or head in self._used:
                return False
            self._used[head] = until
            return True

    def _seal(self, head: bytes, purpose: str) -> bytes:
        return hmac.new(self._key, head + purpose.encode(), hashlib.sha256).digest()
