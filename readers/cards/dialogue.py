"""A dialogue with a card as straight text: every `yield` sends a command and comes back with what the card said.

Owns the generator form that all card protocols here are written in, and the one wrapper that gives it the face of
`CardSession`. No I/O, no clock. A card that falls silent ends the dialogue wherever it stands; nothing that a card says
may raise out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")
V = TypeVar("V")

Dialogue: TypeAlias = Generator[bytes, bytes | None, T]
Random: TypeAlias = Callable[[int], bytes]
"""So many bytes that nobody can foresee."""


class CardSilentError(Exception):
    """The card said nothing: it left the field, or the chip reported a fault. Never leaves this package."""


def ask(command: bytes) -> Dialogue[bytes]:
    """Send `command`; what the card answered.

    Raises:
        CardSilentError: it said nothing.
    """
    response = yield command
    if response is None:
        raise CardSilentError
    return response


class DialogueSession(Generic[V]):
    """A dialogue behind the face of `CardSession`. Used once; after its verdict it only repeats that.

    Args:
        dialogue: not yet begun; its first act must be a command.
        silence: the verdict on a card that fell silent.
    """

    def __init__(self, dialogue: Dialogue[V], silence: V) -> None:
        self._dialogue = dialogue
        self._silence = silence
        self._verdict: V | None = None

    def begin(self) -> bytes:
        """The first command."""
        return next(self._dialogue)

    def answer(self, response: bytes | None) -> bytes | V:
        """The next command, or the verdict."""
        if self._verdict is not None:
            return self._verdict
        try:
            return self._dialogue.send(response)
        except StopIteration as end:
            self._verdict = end.value
        except CardSilentError:
            self._verdict = self._silence
        assert self._verdict is not None, "a dialogue ends with a verdict"
        return self._verdict
