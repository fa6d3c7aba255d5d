"""What a record says: its body (docs/ledger.md §5), and the Scribe that drafts them by `controller.ledger.catalogue`.

A draft is valid by construction: its canonical text exists, decodes as a Body, and every detail key is one that its
type allows. So nothing the committer thread does can fail for what a record says, only for the disk. Bodies hold
pseudonyms and stable codes: no names, no card numbers beyond the last four, no free text about people.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from controller.ledger.canonical import INTEGER_MAX, check_domain, encode_sorted
from controller.ledger.catalogue import RECORD_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zones.moment import Moment

SCHEMA: Final = 1
CLASSES: Final = frozenset({"access", "alarm", "policy", "command", "system", "view"})
"""Leaf classes: how long a body is kept goes by its class."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

Integer = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of the body and its parts: an absent field does not apply, an unknown one is refused."""


class Subject(Part, frozen=True, kw_only=True):
    """Whom it is about: pseudonyms."""

    cardholder: str | None = None
    credential: str | None = None


class Actor(Part, frozen=True, kw_only=True):
    """Who did it in the officers' pages. No role before officers sign in."""

    officer: str
    role: str | None = None


class Evidence(Part, frozen=True, kw_only=True):
    """What the reader proved. `last4`: the last four hex digits of the number, all of it that is ever kept. `scheme`,
    `key_version`, `is_fresh`: how the card was asked, which version of the site's key it answered to, and whether to a
    challenge of this moment; absent where nobody asked.
    """

    method: str
    factors: Integer
    last4: str | None = None
    link: Integer = 0
    pin: str = "NOT_ASKED"
    scheme: str | None = None
    key_version: Integer | None = None
    is_fresh: bool | None = None


class Companion(Part, frozen=True, kw_only=True):
    """Somebody who entered on the same decision, or who escorted: pseudonyms, and what the reader proved."""

    evidence: Evidence
    cardholder: str | None = None
    credential: str | None = None


class Facts(Part, frozen=True, kw_only=True):
    """What held of the box and the wire at a decision, where it was not as usual (`zones.decision.Request`)."""

    reader_is_trusted: bool = True
    ledger_is_writable: bool = True
    policy_age_ms: Integer | None = None
    read_is_stale: bool = False
    read_is_repeated: bool = False
    evidence_is_replayed: bool = False
    portal_is_locked: bool = False
    not_closed: tuple[str, ...] = ()
    is_commissioned: bool = True


class Trace(Part, frozen=True, kw_only=True):
    """Every rule's finding by rule number; `failed` pairs the rule with its reason."""

    passed: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    exempt: tuple[str, ...] = ()


class Body(Part, frozen=True, kw_only=True):
    """The body of a record. Field by field: docs/ledger.md §5."""

    v: Annotated[int, msgspec.Meta(ge=SCHEMA, le=SCHEMA)]
    node: str
    boot: str
    at_ms: Integer
    tz: str
    clock: str
    type: str
    outcome: str | None = None
    reason: str | None = None
    zone: str | None = None
    portal: str | None = None
    access_point: str | None = None
    direction: str | None = None
    subject: Subject | None = None
    actor: Actor | None = None
    evidence: Evidence | None = None
    revision: str | None = None
    corr: str | None = None
    trace: Trace | None = None
    detail: dict[str, Any] | None = None
    facts: Facts | None = None
    companions: tuple[Companion, ...] = ()
    escorts: tuple[Companion, ...] = ()
    number: str | None = None


_decode: Final = msgspec.json.Decoder(Body).decode


def decode_body(text: bytes) -> Body:
    """The body of a stored record. ValueError (msgspec.ValidationError) where it is not of this schema."""
    return _decode(text)


class Draft(msgspec.Struct, frozen=True):
    """A record to be: everything but its place (`seq`) and its salt, which the ledger gives. Made by a Scribe.

    `text` is the canonical body, `body` the same decoded.
    """

    class_: str
    body: Body
    text: bytes

    def __post_init__(self) -> None:
        if self.class_ not in CLASSES:
            raise ValueError(f"no record class {self.class_!r}")


class Scribe:
    """Drafts records in the name of one start of one controller."""

    __slots__ = ("_boot", "_node", "_tz")

    def __init__(self, *, node: str, boot: str, tz: str = "+09:00") -> None:
        """`tz`: the offset in which people on site read the time; the time itself is kept in UTC."""
        self._node = node
        self._boot = boot
        self._tz = tz

    def draft(  # noqa: PLR0913  (one argument per field of a body; all but two optional)
        self,
        type_: str,
        *,
        now: Moment,
        outcome: str | None = None,
        reason: str | None = None,
        zone: str | None = None,
        portal: str | None = None,
        access_point: str | None = None,
        direction: str | None = None,
        cardholder: str | None = None,
        credential: str | None = None,
        officer: str | None = None,
        role: str | None = None,
        evidence: Evidence | None = None,
        revision: str | None = None,
        corr: str | None = None,
        trace: Trace | None = None,
        detail: Mapping[str, Any] | None = None,
        facts: Facts | None = None,
        companions: tuple[Companion, ...] = (),
        escorts: tuple[Companion, ...] = (),
        number: str | None = None,
    ) -> Draft:
        """A draft of `type_` at `now`. None means: does not apply; keys of `detail` that are None are left out.

        ValueError: an unknown type or detail key, or a value the format has no place for.
        """
        known = RECORD_TYPES.get(type_)
        if known is None:
            raise ValueError(f"no record type {type_!r}")
        class_, keys = known
        body = Body(
            v=SCHEMA,
            node=self._node,
            boot=self._boot,
            at_ms=(now.at - _EPOCH) // _MILLISECOND,
            tz=self._tz,
            clock="trusted" if now.is_trusted else "untrusted",
            type=type_,
            outcome=outcome,
            reason=reason,
            zone=zone,
            portal=portal,
            access_point=access_point,
            direction=direction,
            subject=Subject(cardholder=cardholder, credential=credential) if cardholder or credential else None,
            actor=Actor(officer=officer, role=role) if officer is not None else None,
            evidence=evidence,
            revision=revision,
            corr=corr,
            trace=trace,
            detail=_checked_detail(type_, keys, detail) if detail else None,
            facts=facts,
            companions=companions,
            escorts=escorts,
            number=number,
        )
        texts = (outcome, reason, zone, portal, access_point, direction, cardholder, credential, officer, role)
        if not all(map(_is_text, (*texts, revision, corr, number))):
            raise ValueError(f"{type_}: a field of a type that a body does not have: {body}")
        if (evidence is not None and not _is_sound(evidence)) or (trace is not None and not _is_whole(trace)):
            raise ValueError(f"{type_}: evidence or trace with a value that a body does not have: {body}")
        if not all(_is_whole(part) for part in (*companions, *escorts, *(() if facts is None else (facts,)))):
            raise ValueError(f"{type_}: facts or companions with a value that a body does not have: {body}")
        try:
            return Draft(class_, body, encode_sorted(body))
        except (TypeError, UnicodeError) as error:
            raise ValueError(f"{type_}: {error}") from error


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_sound(evidence: Evidence) -> bool:
    method: object = evidence.method
    factors: object = evidence.factors
    is_number = isinstance(factors, int) and not isinstance(factors, bool) and abs(factors) <= INTEGER_MAX
    return is_number and isinstance(method, str) and _is_text(evidence.last4) and _is_whole(evidence)


@lru_cache(maxsize=256)
def _is_whole(part: Part) -> bool:
    """Whether a part reads back as it is. Sites see a handful of distinct ones, over and over."""
    try:
        return msgspec.json.decode(encode_sorted(part), type=type(part)) == part
    except (TypeError, ValueError):
        return False


def _checked_detail(type_: str, keys: frozenset[str], detail: Mapping[str, Any]) -> dict[str, Any] | None:
    applying = {key: value for key, value in detail.items() if value is not None}
    if not applying.keys() <= keys:
        raise ValueError(f"{type_} has no detail {', '.join(map(repr, sorted(applying.keys() - keys, key=str)))}")
    if all(type(value) is str for value in applying.values()):
        return applying or None
    try:
        check_domain(applying)
        plain: dict[str, Any] = msgspec.json.decode(encode_sorted(applying))  # as it will be read: tuples are arrays
    except (TypeError, ValueError) as error:
        raise ValueError(f"{type_}: {error}") from error
    return plain or None
