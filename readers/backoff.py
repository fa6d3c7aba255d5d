"""How long to wait before trying again: doubling, bounded, without a clock and without randomness."""

from __future__ import annotations


class Backoff:
    """Waits of `first_ms`, twice that, … up to `max_ms`; `reset()` after a success."""

    __slots__ = ("_first_ms", "_max_ms", "_next_ms")

    def __init__(self, first_ms: int, max_ms: int) -> None:
        if not 0 < first_ms <= max_ms:
            raise ValueError(f"back-off needs 0 < first_ms <= max_ms, not {first_ms} and {max_ms}")
        self._first_ms = first_ms
        self._max_ms = max_ms
        self._next_ms = first_ms

    def next_ms(self) -> int:
        """The wait before the next try, in ms; each call doubles the one after it."""
        wait_ms = self._next_ms
        self._next_ms = min(wait_ms * 2, self._max_ms)
        return wait_ms

    def reset(self) -> None:
        """Start again from `first_ms`."""
        self._next_ms = self._first_ms
