"""What the deciding loop asks of the key store, and what it hears back: the disk is somebody else's thread.

A `KeyJob` goes to the key desk's thread; a `KeysStored` comes back through the inbox once the store is durable, or with
why it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

KeyAct: TypeAlias = Literal["propose", "confirm", "withdraw", "pin", "custodian_left", "rotate", "retire"]
"""Make a fresh key for a reader and keep it as pending; it is the reader's key now (with its identity); it never will
be; this is who the reader is; a custodian left (A-09); a card key has a new version; an old version of it is forgotten.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyJob:
    """Something to be done to the key store. `order`: the request that it came from, "" where none. `custodians`: who
    made the key. `identity`: of the reader, where it is known. `who`: the custodian who left. `purpose`, `version`: of
    a card key.
    """

    act: KeyAct
    reader: str = ""
    order: str = ""
    identity: str | None = None
    custodians: tuple[str, ...] = ()
    who: str = ""
    purpose: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """What the loop knows of the key store: no key is in it.

    `commissioned`: readers with a key of their own that is no factory default. `identities`: the pinned one of each.
    `custodians`: who made keys that are in use. `due`: names of keys whose custodian has left and that were not changed
    since (A-09). `defaults`: schemes of which a card key is a factory default.
    """

    commissioned: frozenset[str] = frozenset()
    identities: dict[str, str] = field(default_factory=dict)
    custodians: frozenset[str] = frozenset()
    due: frozenset[str] = frozenset()
    defaults: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysStored:
    """A KeyJob is done, or `why` says why not ("" where it is). `key`: the fresh key of "propose". `version`: the one
    that "rotate" made.
    """

    job: KeyJob
    view: KeyView
    why: str = ""
    key: bytes | None = field(default=None, repr=False)
    version: int = 0
