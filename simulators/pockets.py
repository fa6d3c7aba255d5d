"""What people hold to a reader: their own card, or what somebody made of it.

Owns the cards of a building file, one object for each for as long as the building stands, and the copies, recordings
and fakes of them. Knows keys only as the building file gives them, which are made up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from simulators.cards import Card, FelicaCard, TypeACard, card_of, uid_copy
from simulators.cards.fakes import (
    LeavingCard,
    RecordingCard,
    RecordingFelica,
    ReplayingCard,
    ReplayingFelica,
    no_application,
    wrong_keys,
)
from simulators.cards.felica import FelicaLiteS
from simulators.cards.site import CardType, SiteCards

if TYPE_CHECKING:
    from collections.abc import Mapping

Held: TypeAlias = Literal["own", "copy", "wrong-keys", "no-application", "recorded", "replay", "leaving"]
"""own; its bare number on another card; a card of that number with keys made up, or without the site's application;
own, and somebody writes down what passes; that recording played back; own, taken away after the first command.
"""


class Pockets:
    """Everybody's cards. `keys`: the site's master keys, purpose → version → sixteen bytes."""

    def __init__(self, keys: Mapping[str, Mapping[int, bytes]]) -> None:
        self.site = SiteCards(keys=keys)
        self._cards: dict[str, Card] = {}
        self._recordings: dict[str, list[tuple[bytes, bytes | None]]] = {}

    def put(self, number: str, card_type: CardType, kind: str) -> None:
        """Give somebody a card. `number`: hexadecimal, upper case."""
        self._cards[number] = self.site.card(card_type, bytes.fromhex(number), kind)

    def held(self, number: str, kind: str, how: Held = "own") -> Card:
        """What is held to the reader. A number that is nobody's is a bare one. Raises ValueError where `how` cannot be
        done with such a card.
        """
        own = self._cards.get(number) or card_of(kind, bytes.fromhex(number))
        if how == "own":
            return own
        if how == "copy":
            return uid_copy(own)
        if how == "replay":
            return self._replayed(number, own)
        if isinstance(own, FelicaCard):
            return self._spoilt_felica(number, own, how)
        return self._spoilt(number, own, how)

    def _spoilt(self, number: str, own: TypeACard, how: Held) -> Card:
        uid = getattr(own, "real_uid", own.uid)
        if how in ("wrong-keys", "no-application"):
            if len(uid) != 7:
                raise ValueError(f"held {how}: only a card with a UID of seven bytes can be such a card")
            return wrong_keys(uid) if how == "wrong-keys" else no_application(uid)
        if not own.is_iso_dep:
            raise ValueError(f"held {how}: that card takes no commands")
        if how == "leaving":
            return LeavingCard(own, 1)
        recording = RecordingCard(own)
        self._recordings[number] = recording.transcript
        return recording

    def _spoilt_felica(self, number: str, own: FelicaCard, how: Held) -> Card:
        if how == "recorded":
            recording = RecordingFelica(own)
            self._recordings[number] = recording.transcript
            return recording
        if how != "wrong-keys":
            raise ValueError(
                f"held {how}: cannot be done with a FeliCa; hold own, copy, wrong-keys, recorded or replay"
            )
        return FelicaLiteS(own.idm, card_key=bytes(range(16)), key_version=1, is_locked=True)

    def _replayed(self, number: str, own: Card) -> Card:
        transcript = self._recordings.get(number)
        if not transcript:
            raise ValueError("held replay: nothing was recorded of that card; hold it recorded first")
        if isinstance(own, FelicaCard):
            return ReplayingFelica(own.idm, transcript)
        return ReplayingCard(own.uid, transcript)
