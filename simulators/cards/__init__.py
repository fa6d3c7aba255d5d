"""Cards that lie in a simulated field, from a bare number to real cryptography. Own codecs; nothing of the product."""

from simulators.cards.plain import Card, FelicaCard, IsoDepCard, TypeACard, card_of, uid_copy

__all__ = ["Card", "FelicaCard", "IsoDepCard", "TypeACard", "card_of", "uid_copy"]
