"""Which questions a card is asked: the site's schemes in their order, until one is not answered with "not ours".

Owns the choice; each scheme's own module owns its dialogue. A card that no scheme can speak to is not asked at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, get_args

from readers.cards.aliro import AliroReader, aliro
from readers.cards.desfire import DesfireScheme, desfire
from readers.cards.dialogue import Dialogue, DialogueSession, Random
from readers.cards.felica import SYSTEM_CODE, felica
from readers.cards.ntag424 import ntag424
from readers.cards.pkoc import READER_ID_BYTES, pkoc
from readers.cards.proving import Asker
from readers.cards.session import CardKeys, CardSession, CardTarget, Left, NotOurs, Verdict
from readers.events import CardScheme

APPLICATION_BYTES: Final = 3
_DESFIRE: Final[tuple[DesfireScheme, ...]] = get_args(DesfireScheme)


class Challenger:
    """Makes the session for each card that a reader finds.

    Args:
        keys: the site's card keys.
        random: bytes that nobody can foresee; every challenge comes from it.
        schemes: what the site accepts, in the order in which cards are asked.
        application: the site's DESFire application id, 3 bytes as they go over the air.
        pkoc_reader_id: 32 bytes that name the reader to a PKOC card.
        aliro: the reader's key pair; without it Aliro is off, whatever `schemes` says.

    Raises:
        ValueError: an id has the wrong length.
    """

    def __init__(
        self,
        keys: CardKeys,
        random: Random,
        schemes: Sequence[CardScheme],
        application: bytes,
        pkoc_reader_id: bytes = bytes(READER_ID_BYTES),
        aliro: AliroReader | None = None,
    ) -> None:
        if len(application) != APPLICATION_BYTES or len(pkoc_reader_id) != READER_ID_BYTES:
            raise ValueError("an application id has 3 bytes, and a PKOC reader id 32")
        if aliro is not None and len(aliro.reader_id) != READER_ID_BYTES:
            raise ValueError("an Aliro reader id has 32 bytes")
        self._keys = keys
        self._random = random
        self._schemes = tuple(schemes)
        self._application = application
        self._pkoc_reader_id = pkoc_reader_id
        self._aliro = aliro

    def session(self, target: CardTarget) -> CardSession | None:
        """The questions for this card, one scheme after the other; None where none can be put to it."""
        dialogues = list(self._dialogues(target))
        return DialogueSession(_chained(dialogues), Left()) if dialogues else None

    def _dialogues(self, target: CardTarget) -> Iterator[Dialogue[Verdict]]:
        asker = Asker(target=target, keys=self._keys, random=self._random, application=self._application)
        if target.kind == "felica":
            if target.system_code in {SYSTEM_CODE, b""} and self._asks("felica_lite_s"):
                yield felica(asker)
            return
        if not target.is_iso_dep:
            return
        desfires = tuple(scheme for scheme in self._schemes if scheme in _DESFIRE)
        for scheme in self._schemes:
            if desfires and scheme == desfires[0]:
                yield desfire(asker, desfires)  # one SELECT for both
            elif scheme in self._others():
                yield self._others()[scheme](asker)

    def _asks(self, scheme: CardScheme) -> bool:
        return scheme in self._schemes

    def _others(self) -> dict[CardScheme, Callable[[Asker], Dialogue[Verdict]]]:
        others: dict[CardScheme, Callable[[Asker], Dialogue[Verdict]]] = {
            "ntag424": ntag424,
            "pkoc": lambda asker: pkoc(asker.target, asker.random, self._pkoc_reader_id),
        }
        reader = self._aliro
        if reader is not None:
            others["aliro"] = lambda asker: aliro(asker.target, asker.random, reader)
        return others


def _chained(dialogues: list[Dialogue[Verdict]]) -> Dialogue[Verdict]:
    for dialogue in dialogues:
        verdict = yield from dialogue
        if not isinstance(verdict, NotOurs):
            return verdict
    return NotOurs()
