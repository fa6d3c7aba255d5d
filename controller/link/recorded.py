"""Records read back: from the ledger's texts to the values that `zones.review` works on, one record after the other.

A `Follower` folds what the engine folded, by the same functions: the policy from POLICY_EDITED records, presence by
`controller.link.follow`. What it stands on between records can be kept (`Mark`) and taken up again, so that a question
about one record does not cost the whole history. A decision that cannot be read is said to be unreadable; records that
do not hang together end with `HistoryBroken`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from controller.link.follow import MOVES, PLACES_SCAN_MAX, followed
from controller.link.rows import doc_to_row
from zones.decision import Method
from zones.decision.values import PinCheck
from zones.edits import apply
from zones.ids import CardholderId, PortalId, ZoneId
from zones.occupancy import Occupancy, Presence, Sighting
from zones.places import LinkAssurance
from zones.policy import EMPTY, Edit, EditRefused, Policy
from zones.review.values import Past, Purged, RecordedDecision, RecordedEvidence, Step, Trace, Unreadable

REVISIONS_MAX: Final = 64
"""Revisions kept beside the newest: a decision stands in the ledger behind an edit that came into force after it."""

MARKS_MAX: Final = 64
MARK_EVERY: Final = 2_000

DECISIONS: Final = frozenset({"ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED"})
FIRST_REVISION: Final = "0" * 64

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Line(Protocol):
    """A record as it comes over the link or stands in an export; `body` is None where retention dropped it."""

    @property
    def seq(self) -> int: ...
    @property
    def leaf(self) -> str: ...
    @property
    def body(self) -> str | None: ...


class HistoryBroken(ValueError):
    """The records do not hang together: one is missing, or an edit does not give the revision that it says."""


# -- texts to values -------------------------------------------------------------------------------------------------


class _Subject(msgspec.Struct):
    cardholder: str | None = None
    credential: str | None = None


class _Evidence(msgspec.Struct):
    method: Method
    factors: int
    link: LinkAssurance = LinkAssurance.CLEAR
    pin: PinCheck = PinCheck.NOT_ASKED
    scheme: str | None = None
    key_version: int | None = None


class _Other(msgspec.Struct):
    evidence: _Evidence
    cardholder: str | None = None
    credential: str | None = None


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    """A fact that this version does not know may have decided: such a record is unreadable, not read by halves."""

    reader_is_trusted: bool = True
    ledger_is_writable: bool = True
    policy_age_ms: int | None = None
    read_is_stale: bool = False
    read_is_repeated: bool = False
    evidence_is_replayed: bool = False
    portal_is_locked: bool = False
    not_closed: frozenset[str] = frozenset()
    is_commissioned: bool = True


class _Trace(msgspec.Struct):
    passed: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    exempt: tuple[str, ...] = ()


class _Head(msgspec.Struct):
    """What every body has."""

    type: str
    at_ms: int
    clock: str = "trusted"


class _Body(msgspec.Struct):
    """What a decision's body has."""

    type: str
    at_ms: int
    clock: str
    access_point: str
    outcome: str
    reason: str
    revision: str
    trace: _Trace
    evidence: _Evidence
    subject: _Subject = msgspec.field(default_factory=_Subject)
    portal: str | None = None
    zone: str | None = None
    number: str | None = None
    facts: _Facts | None = None
    companions: tuple[_Other, ...] = ()
    escorts: tuple[_Other, ...] = ()


_head: Final = msgspec.json.Decoder(_Head).decode
_body: Final = msgspec.json.Decoder(_Body).decode
_any: Final = msgspec.json.Decoder().decode


def decision_of(seq: int, text: str) -> RecordedDecision:
    """The decision that a body tells. Raises ValueError (msgspec.ValidationError) where it cannot be read."""
    body = _body(text)
    facts: dict[str, Any] = {}
    if body.facts is not None:
        usual = _Facts()
        facts = {
            name: value for name, value in msgspec.structs.asdict(body.facts).items() if value != getattr(usual, name)
        }
    return RecordedDecision(
        seq=seq,
        at=at_of(body.at_ms),
        is_clock_trusted=body.clock == "trusted",
        type=body.type,
        access_point=body.access_point,
        evidence=_evidence(body.evidence, body.subject.credential),
        outcome=body.outcome,
        reason=body.reason,
        revision=body.revision,
        trace=Trace(
            passed=body.trace.passed, waived=body.trace.waived, failed=body.trace.failed, exempt=body.trace.exempt
        ),
        cardholder=body.subject.cardholder,
        portal=body.portal,
        zone=body.zone,
        number=body.number,
        companions=tuple(_evidence(one.evidence, one.credential) for one in body.companions),
        escorts=tuple(_evidence(one.evidence, one.credential) for one in body.escorts),
        facts=MappingProxyType(facts),
    )


def _evidence(evidence: _Evidence, credential: str | None) -> RecordedEvidence:
    return RecordedEvidence(
        credential=credential,
        method=evidence.method,
        factors=evidence.factors,
        link=evidence.link,
        pin=evidence.pin,
        scheme=evidence.scheme,
        key_version=evidence.key_version,
    )


def edit_of(doc: Mapping[str, Any]) -> Edit:
    """The edit of a document as a record or a request holds it. Raises EditRefused naming table, row and field."""
    try:
        return Edit(
            puts=tuple(doc_to_row(str(table), row) for table, row in doc.get("puts") or ()),
            drops=tuple((str(table), str(row)) for table, row in doc.get("drops") or ()),
        )
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, EditRefused):
            raise
        raise EditRefused("edit", "?", "puts", f"is malformed: {error}") from error


def at_of(at_ms: int) -> datetime:
    """Epoch milliseconds as an aware time. Raises ValueError where it cannot be one."""
    try:
        return _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError as error:
        raise ValueError(f"{at_ms} is no time") from error


def class_of(leaf: str) -> str:
    """The class of a record, from its leaf; "" where it says none."""
    try:
        found = _any(leaf)
    except msgspec.DecodeError:
        return ""
    return str(found.get("class", "")) if isinstance(found, dict) else ""


# -- the fold --------------------------------------------------------------------------------------------------------

RevisionOf = Callable[[str, dict[str, Any]], str]
"""The name of the policy that follows a revision by an edit, worked out anew (the web process believes the records)."""


class Passage(NamedTuple):
    """Where somebody was last seen to pass, in which record."""

    seq: int
    at: datetime
    zone: ZoneId
    portal: PortalId


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a follower stood on after record `seq`. Values, shared with the follower and never changed."""

    seq: int
    at_ms: int
    revision: str
    policies: Mapping[str, Policy]
    is_whole: bool
    occupancy: Occupancy
    passages: Mapping[str, Passage]
    dropped_seq: int


BEGINNING: Final = Mark(
    seq=-1,
    at_ms=0,
    revision=FIRST_REVISION,
    policies=MappingProxyType({FIRST_REVISION: EMPTY}),
    is_whole=True,
    occupancy=Occupancy(),
    passages=MappingProxyType({}),
    dropped_seq=-1,
)
"""Before the first record."""


class Follower:
    """Folds records in order. `revision_of`: where given, every revision is worked out again and held to its record."""

    def __init__(self, begin: Mark = BEGINNING, revision_of: RevisionOf | None = None) -> None:
        self.seq = begin.seq
        self.at_ms = begin.at_ms
        self.revision = begin.revision
        self.occupancy = begin.occupancy
        self._policies: OrderedDict[str, Policy] = OrderedDict(begin.policies)
        self._is_whole = begin.is_whole
        self._passages = dict(begin.passages)
        self._dropped_seq = begin.dropped_seq
        self._revision_of = revision_of

    @property
    def policy(self) -> Policy | None:
        """The policy after the last record; None where retention dropped an edit it was folded from."""
        return self._policies.get(self.revision) if self._is_whole else None

    @property
    def is_partial(self) -> bool:
        """Whether records that told of people's places were dropped, and nothing has made up for it since."""
        return self._dropped_seq >= 0

    def mark(self) -> Mark:
        """What it stands on now."""
        since = self.seq - PLACES_SCAN_MAX
        return Mark(
            seq=self.seq,
            at_ms=self.at_ms,
            revision=self.revision,
            policies=MappingProxyType(dict(self._policies)),
            is_whole=self._is_whole,
            occupancy=self.occupancy,
            passages={who: passage for who, passage in self._passages.items() if passage.seq >= since},
            dropped_seq=self._dropped_seq,
        )

    def take(self, line: Line) -> Step | None:
        """Fold one record; what it says where it is a decision, or was dropped. Raises HistoryBroken."""
        if line.seq != self.seq + 1:
            raise HistoryBroken(f"record {self.seq + 1} is missing before record {line.seq}")
        self.seq = line.seq
        if line.body is None:
            return self._dropped(line)
        try:
            head = _head(line.body)
            if head.type == "POLICY_EDITED":
                self._edited(_any(line.body))
            step = self._decided(line) if head.type in DECISIONS else None
            if head.type in MOVES:
                self._moved(_any(line.body))
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError, EditRefused, ValueError) as error:
            if isinstance(error, HistoryBroken):
                raise
            raise HistoryBroken(f"record {line.seq} cannot be read: {error}") from error
        self.at_ms = head.at_ms
        return step

    def _dropped(self, line: Line) -> Purged:
        record_class = class_of(line.leaf)
        if record_class == "policy":
            self._is_whole = False
        if record_class != "view":
            self._dropped_seq = line.seq
        return Purged(seq=line.seq, record_class=record_class)

    def _decided(self, line: Line) -> Step:
        """While the ledger could not be written, records of places may have been lost as well."""
        assert line.body is not None
        try:
            recorded = decision_of(line.seq, line.body)
        except (msgspec.DecodeError, ValueError) as error:
            return Unreadable(seq=line.seq, why=str(error))
        policy = self._policies.get(recorded.revision)
        return Past(
            recorded=recorded,
            policy=policy,
            occupancy=self.occupancy,
            is_partial=self.is_partial or not recorded.facts.get("ledger_is_writable", True),
            is_foreign=policy is None and self._is_whole,
        )

    def _edited(self, body: dict[str, Any]) -> None:
        detail = body["detail"]
        doc, revision = detail["edit"], detail["revision"]
        if not self._is_whole:
            return
        if self._revision_of is not None and (made := self._revision_of(self.revision, doc)) != revision:
            raise HistoryBroken(f"record {self.seq} names revision {revision[:16]}, its history gives {made[:16]}")
        self._policies[revision] = apply(self._policies[self.revision], edit_of(doc))
        self._policies.move_to_end(revision)
        self.revision = revision
        if len(self._policies) > REVISIONS_MAX:
            self._policies.popitem(last=False)

    def _moved(self, body: dict[str, Any]) -> None:
        type_ = body["type"]
        if type_ == "CONTROLLER_STARTED":
            self._started()
        elif type_ == "PASSAGE" and (who := (body.get("subject") or {}).get("cardholder")) is not None:
            at = at_of(body["at_ms"])
            self._passages[who] = Passage(self.seq, at, ZoneId(body["zone"]), PortalId(body["portal"]))
        self.occupancy = followed(self.occupancy, self.policy or EMPTY, body)
        if type_ == "EXIT" and self.policy is None:
            self._dropped_seq = self.seq  # nobody can say any more which zones lie in which

    def _started(self) -> None:
        """A start looks back so far, and remembers where people passed (`controller.history.last_standing`)."""
        since = self.seq - PLACES_SCAN_MAX
        last = {CardholderId(who): one for who, one in self._passages.items() if one.seq >= since}
        self.occupancy = Occupancy(
            where={who: Presence(zone=one.zone, is_certain=False, since=one.at) for who, one in last.items()},
            seen={who: Sighting(portal=one.portal, at=one.at) for who, one in last.items()},
        )
        if self._dropped_seq < since:
            self._dropped_seq = -1


class History:
    """The records of one ledger, with marks along the way. `read(from_seq)` gives them in order from there on."""

    def __init__(
        self,
        read: Callable[[int], Iterable[Line]],
        *,
        begin: Mark = BEGINNING,
        revision_of: RevisionOf | None = None,
    ) -> None:
        self._read = read
        self._revision_of = revision_of
        self._marks = [begin]
        self._every = MARK_EVERY

    def steps(self, first: int = 0, last: int | None = None) -> Iterator[Step]:
        """What the records `first` to `last` (both included) say. Raises HistoryBroken."""
        follower = self._follower_before(first)
        for step in self._follow(follower, last):
            if step is not None and follower.seq >= first:
                yield step

    def until(self, last: int | None = None, at_ms: int | None = None) -> Follower:
        """What was in force and known after record `last`, and before the first record later than `at_ms`."""
        marks = [
            mark
            for mark in self._marks
            if (last is None or mark.seq <= last) and (at_ms is None or mark.at_ms <= at_ms)
        ]
        follower = Follower(marks[-1] if marks else self._marks[0], self._revision_of)
        for _ in self._follow(follower, last, at_ms):
            pass
        return follower

    def _follower_before(self, seq: int) -> Follower:
        begin = next(mark for mark in reversed(self._marks) if mark.seq < seq or mark is self._marks[0])
        return Follower(begin, self._revision_of)

    def _follow(self, follower: Follower, last: int | None, at_ms: int | None = None) -> Iterator[Step | None]:
        if last is not None and follower.seq >= last:
            return
        for line in self._read(follower.seq + 1):
            if at_ms is not None and _is_later(line, at_ms):
                return
            yield follower.take(line)
            self._note(follower)
            if last is not None and line.seq >= last:
                return

    def _note(self, follower: Follower) -> None:
        """Keep a mark now and then; when there are too many, keep every second one and go on at twice the distance."""
        if follower.seq < self._marks[-1].seq + self._every:
            return
        self._marks.append(follower.mark())
        if len(self._marks) > MARKS_MAX:
            self._marks = self._marks[::2] if len(self._marks) % 2 else [*self._marks[::2], self._marks[-1]]
            self._every *= 2


def _is_later(line: Line, at_ms: int) -> bool:
    if line.body is None:
        return False
    try:
        return _head(line.body).at_ms > at_ms
    except msgspec.DecodeError:
        return False
