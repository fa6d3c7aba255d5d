"""Mappings that nobody can write to, and that the next version of a policy shares instead of copying.

A `Shelf` is a large dict that is never touched again and a small one laid over it. The next version copies the small
one alone, so that changing one row of 200,000 costs microseconds; when that has grown, the two become one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

OVER_MAX: Final = 256
"""Changes kept in the small dict."""

MID_MIN: Final = 1024
MID_SHARE: Final = 8
"""The middling dict holds as many as this, or this part of the large one where that is more."""

_GONE: Final[Any] = object()
_ABSENT: Final[Any] = object()


def nothing() -> Mapping[K, V]:
    """An empty mapping that stays empty."""
    return MappingProxyType({})


def thawed(mapping: Mapping[K, V]) -> dict[K, V]:
    """A copy that may be changed. A proxy's own copy is one C call; going through its items is ten times slower."""
    return mapping.copy() if isinstance(mapping, MappingProxyType) else dict(mapping)


class Shelf(Mapping[K, V]):
    """An immutable mapping that shares its bulk with the versions before and after it."""

    __slots__ = ("_base", "_mid", "_over", "_size")

    def __init__(self, base: Mapping[K, V]) -> None:
        """A shelf of what `base` holds now; `base` is copied unless it is a shelf."""
        self._size: int
        self._base: dict[K, V]
        self._mid: dict[K, Any]
        self._over: dict[K, Any]
        if isinstance(base, Shelf):
            self._base, self._mid = base._base, base._mid  # noqa: SLF001 - a shelf itself
            self._over, self._size = base._over, base._size  # noqa: SLF001
        else:
            self._base, self._mid, self._over, self._size = dict(base), {}, {}, len(base)

    def __getitem__(self, key: K) -> V:
        value = self.get(key, _ABSENT)
        if value is _ABSENT:
            raise KeyError(key)
        return value

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, default: V | D, /) -> V | D: ...
    def get(self, key: K, default: Any = None, /) -> Any:
        """The value of `key`, or `default`."""
        if self._over and (value := self._over.get(key, _ABSENT)) is not _ABSENT:
            return default if value is _GONE else value
        if self._mid and (value := self._mid.get(key, _ABSENT)) is not _ABSENT:
            return default if value is _GONE else value
        return self._base.get(key, default)

    def __contains__(self, key: object) -> bool:
        return self.get(key, _ABSENT) is not _ABSENT  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[K]:
        """What was there first comes first; what was put again keeps its place."""
        over, mid, base = self._over, self._mid, self._base
        if not over and not mid:
            yield from base
            return
        laid = {**mid, **over}
        for key in base:
            if laid.get(key, _ABSENT) is not _GONE:
                yield key
        for key, value in laid.items():
            if key not in base and value is not _GONE:
                yield key

    def __len__(self) -> int:
        return self._size

    def __repr__(self) -> str:
        return f"Shelf({dict(self)!r})"

    def changed(self, puts: Mapping[K, V], drops: frozenset[K] = frozenset()) -> Shelf[K, V]:
        """The mapping with `puts` in and the keys `drops` out (each is either, and a dropped key is there)."""
        after: Shelf[K, V] = Shelf.__new__(Shelf)
        after._size = self._size + sum(1 for key in puts if key not in self) - len(drops)
        base, mid, over = self._base, self._mid, {**self._over, **puts, **dict.fromkeys(drops, _GONE)}
        if len(over) > OVER_MAX or not base:
            mid, over = {**mid, **over}, {}
            if len(mid) > max(MID_MIN, len(base) // MID_SHARE) or not base:
                base, mid = _without_gone({**base, **mid}, mid), {}
        after._base, after._mid, after._over = base, mid, over
        return after


def _without_gone(whole: dict[K, Any], laid: Mapping[K, Any]) -> dict[K, V]:
    for key, value in laid.items():
        if value is _GONE:
            del whole[key]
    return whole
