"""PKCS#11 tokens: one logged-in session for each, shared by all who work with it in this process.

A token lets a process log in once. Whoever works with one borrows the session for one piece of work, in turn; whoever
needs it again and again (the ledger's signatures) holds it open. After a failure the session is closed, and the next
piece of work begins with a new one.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.keystore.guarded import read_guarded


class TokenError(Exception):
    """The token cannot be used; the words say what to look at, and tell nothing of its PIN."""


@dataclass(slots=True)
class _Shared:
    session: Any
    holders: int = 0


_open: Final[dict[tuple[str, str, str], _Shared]] = {}
_turn: Final = threading.RLock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Which token, through which module, and where its PIN lies."""

    module: str
    token: str
    pin_file: Path

    @contextmanager
    def work(self) -> Iterator[tuple[Any, Any]]:
        """The module's Python face and a logged-in session, for one piece of work. TokenError, KeyStoreError (PIN)."""
        pkcs11 = _face()
        pin = read_guarded(self.pin_file, "put the token's PIN there").decode("utf-8", "replace").strip()
        place = (self.module, self.token, pin)
        with _turn:
            try:
                shared = _open.get(place) or self._opened(pkcs11, place)
                yield pkcs11, shared.session
            except (pkcs11.PKCS11Error, RuntimeError, OSError) as error:
                _close(place)
                why = type(error).__name__  # its words are the module's, and not ours to trust with a PIN
                raise TokenError(
                    f"the token {self.token!r} of {self.module} cannot be used ({why}): is it there, and its PIN right?"
                ) from None
            finally:
                if place in _open and not _open[place].holders:
                    _close(place)

    def hold(self) -> None:
        """Keep the session open between pieces of work, until `release` or a failure. TokenError, KeyStoreError."""
        with self.work():
            for shared in self._sessions():
                shared.holders += 1

    def release(self) -> None:
        """One holder less: the last one closes the session."""
        with _turn:
            for place, shared in list(_open.items()):
                if place[:2] == (self.module, self.token):
                    shared.holders = max(0, shared.holders - 1)
                    if not shared.holders:
                        _close(place)

    def _sessions(self) -> list[_Shared]:
        return [shared for place, shared in _open.items() if place[:2] == (self.module, self.token)]

    def _opened(self, pkcs11: Any, place: tuple[str, str, str]) -> _Shared:
        token = pkcs11.lib(self.module).get_token(token_label=self.token)
        _open[place] = shared = _Shared(token.open(user_pin=place[2], rw=True))
        return shared


def _close(place: tuple[str, str, str]) -> None:
    shared = _open.pop(place, None)
    if shared is not None:
        with suppress(_face().PKCS11Error, RuntimeError):  # it is given up: what it says on the way out changes nothing
            shared.session.close()


def _face() -> Any:
    try:
        return importlib.import_module("pkcs11")
    except ImportError as error:
        raise TokenError("\"pkcs11\" needs python-pkcs11: install the extra, pip install 'sekisho[pkcs11]'") from error
