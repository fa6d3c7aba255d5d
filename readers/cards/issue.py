"""The enrolment desk's face: issue, rekey and retire one card, APDU in and APDU out like an authentication.

Owns the choice by scheme; each scheme's steps and their order are in `issue_*.py`. Nothing here keeps or shows a key.
PKOC needs no key of the site: its public key is read, checked by a signature, and registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from readers.cards import issue_desfire, issue_felica, issue_ntag424
from readers.cards.dialogue import Dialogue, DialogueSession
from readers.cards.order import Issued, Order, Outcome, Refused, Retired, personalisation
from readers.cards.pkoc import READER_ID_BYTES, pkoc
from readers.cards.session import Proved
from readers.events import CardScheme

__all__ = ["Issued", "Order", "Outcome", "Refused", "Retired", "issue", "rekey", "retire"]

Act: TypeAlias = Callable[[Order], Dialogue[Outcome]]

_ISSUES: Final[dict[CardScheme, Act]] = {
    "desfire_ev2": issue_desfire.issue,
    "ntag424": issue_ntag424.issue,
    "felica_lite_s": issue_felica.issue,
}
_REKEYS: Final[dict[CardScheme, Act]] = {
    "desfire_ev2": issue_desfire.rekey,
    "ntag424": issue_ntag424.rekey,
    "felica_lite_s": issue_felica.rekey,
}
_RETIRES: Final[dict[CardScheme, Act]] = {
    "desfire_ev2": issue_desfire.retire,
    "ntag424": issue_ntag424.retire,
    "felica_lite_s": issue_felica.retire,
}


def issue(scheme: CardScheme, order: Order) -> DialogueSession[Outcome]:
    """A blank card, or one that was begun (`is_again`), to a credential that has proved itself.

    Raises:
        ValueError: nothing is issued in this scheme (DESFire EV1: no originality signature; Aliro: the phone's).
    """
    if scheme == "pkoc":
        return personalisation(_registered(order))
    return personalisation(_of(_ISSUES, scheme)(order))


def rekey(scheme: CardScheme, order: Order) -> DialogueSession[Outcome]:
    """A credential's keys to their newest versions.

    Raises:
        ValueError: cards of this scheme hold no key of the site.
    """
    return personalisation(_of(_REKEYS, scheme)(order))


def retire(scheme: CardScheme, order: Order) -> DialogueSession[Outcome]:
    """A credential that can prove nothing any more.

    Raises:
        ValueError: cards of this scheme hold no key of the site.
    """
    return personalisation(_of(_RETIRES, scheme)(order))


def _of(acts: dict[CardScheme, Act], scheme: CardScheme) -> Act:
    if scheme not in acts:
        raise ValueError(f"no card of the scheme {scheme} is personalised here")
    return acts[scheme]


def _registered(order: Order) -> Dialogue[Outcome]:
    verdict = yield from pkoc(order.target, order.random, bytes(READER_ID_BYTES))
    if not isinstance(verdict, Proved):
        return Refused(why="wrong_type")
    if not verdict.proof.is_genuine:
        return Refused(why="not_original")
    return Issued(number=verdict.number, scheme="pkoc", key_version=None)
