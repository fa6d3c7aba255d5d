"""What a read at a reader comes to: evidence, and whether it is late, repeated or played back (A-34, B-22).

A part of the engine. Card numbers pass through here and are kept nowhere: a keyed hash is looked up, and the last four
digits stand in records.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from controller.cards import CardNumbers, is_of_family, last4
from controller.clock import wall_ms
from controller.config import Wiring
from controller.ledger import body
from controller.standing import Standing
from readers.events import CardRead, CardUnread, KeysEntered
from zones.decision import Evidence, Method
from zones.moment import Moment
from zones.places import LinkAssurance

READ_AGE_MS_MAX: Final = 5_000
"""A read that a device stamped earlier (or later) than this is late or from a wrong clock: refused."""

REPEAT_MS: Final = 1_000
"""The same number at the same reader within this time is one presentation."""

REMEMBERED_MAX: Final = 4096


class Reads:
    """Judges reads. `standing`: what the parts of the engine share. `wiring`: what protects a reader's line,
    and what it can ask a card. `numbers`: hashes card numbers.
    """

    def __init__(self, *, standing: Standing, wiring: Wiring, numbers: CardNumbers) -> None:
        self._standing = standing
        self._wiring = wiring
        self._numbers = numbers
        self._recent: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._last4: OrderedDict[str, str] = OrderedDict()
        self._nonces: OrderedDict[bytes, None] = OrderedDict()

    def evidence(self, event: CardRead) -> Evidence:
        """What a read comes to as evidence. A number alone proves nothing; and of a card that can prove itself it is a
        copy where the reader could have asked that kind of card (A-34). So is a proof of another kind of card than the
        one that was issued: the weakest card of a site must not stand in for all others.
        """
        number_hash = self._numbers.hash(event.number)
        self._remember_last4(number_hash, last4(event.number))
        link = self._wiring.links.get(event.source, LinkAssurance.CLEAR)
        proof = event.proof
        credential = self._standing.policy.by_number.get(number_hash)
        issued = None if credential is None else credential.scheme
        if proof is None:
            is_copy = is_of_family(issued, self._wiring.challenging.get(event.source, ()))
            method = Method.FAKED if is_copy else Method.UID
            return Evidence(number_hash=number_hash, method=method, factors=0, link=link)
        is_genuine = proof.is_genuine and (issued is None or is_of_family(issued, [proof.scheme]))
        return Evidence(
            number_hash=number_hash,
            method=Method.CHALLENGE if is_genuine else Method.FAKED,
            factors=int(is_genuine),
            link=link,
            scheme=proof.scheme,
            key_version=proof.key_version,
        )

    def is_replayed(self, event: CardRead) -> bool:
        """Whether the challenge that this card answered was answered before (B-22)."""
        if event.proof is None:
            return False
        if (nonce := event.proof.nonce) in self._nonces:
            return True
        self._nonces[nonce] = None
        if len(self._nonces) > REMEMBERED_MAX:
            self._nonces.popitem(last=False)
        return False

    def is_stale(self, event: CardRead | KeysEntered, now: Moment) -> bool:
        """Whether a read, or digits, came too late, by the reader's clock or by what its line went through (B-22)."""
        return event.is_held_back or (event.at_ms is not None and abs(wall_ms(now.at) - event.at_ms) > READ_AGE_MS_MAX)

    def is_repeated(self, event: CardRead | CardUnread, now: Moment) -> bool:
        """Whether this presentation was told a moment ago."""
        key = (event.source, event.number if isinstance(event, CardRead) else b"")
        before = self._recent.pop(key, None)
        self._recent[key] = now.tick_ms
        if len(self._recent) > REMEMBERED_MAX:
            self._recent.popitem(last=False)
        return before is not None and now.tick_ms - before < REPEAT_MS

    def in_record(self, evidence: Evidence) -> body.Evidence:
        """What a record keeps of evidence: of the number its last four digits."""
        return body.Evidence(
            method=evidence.method.value,
            factors=evidence.factors,
            last4=self._last4.get(evidence.number_hash),
            link=int(evidence.link),
            pin=evidence.pin.value,
            scheme=evidence.scheme,
            key_version=evidence.key_version,
            is_fresh=True if evidence.method is Method.CHALLENGE else None,
        )

    def _remember_last4(self, number_hash: str, digits: str) -> None:
        """The last four digits stand in records; a dialogue carries hashes alone."""
        self._last4[number_hash] = digits
        self._last4.move_to_end(number_hash)
        if len(self._last4) > REMEMBERED_MAX:
            self._last4.popitem(last=False)
