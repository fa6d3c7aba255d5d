"""Where changes of policy are judged: prepared, signed, weighed, held against the rules, recorded (design §3, P2).

Nothing is changed unsigned (docs/officers.md §4). A change carries the revision it was signed against; it is taken
where nothing it touches was changed since, by officers or at a portal (ADR 16). What a portal changes by itself, and
the officers that the console lets in, are the only edits without signatures, and come from no message of an officer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from controller.assertions import AssertionRefused, check_assertion
from controller.cards import NUMBER_PATTERN, CardNumbers, last4
from controller.clock import wall_ms
from controller.link.challenge import change_challenge
from controller.link.messages import EDIT_REASONS, Prepare, Propose, Signature, Suggest
from controller.officer_desk import OfficersSetup
from controller.policy_log import PolicyAt, edit_from_doc
from zones.authority import APPROVER, NAMED, PROPOSER, NotAuthorised, Weight, judge
from zones.ids import OfficerId, RosterEntryId
from zones.lint import errors, lint
from zones.moment import Moment, here
from zones.policy import EditRefused, Policy

ROWS_MAX: Final = 100
SIGNED_MS_MAX: Final = 7 * 86_400_000
"""How far ahead a change may expire: long enough for the second officer to come back from a journey."""

NUMBERS_MAX: Final = 5_000
NUMBER_EACH_MS: Final = 5_000
"""So many card numbers are hashed at once (a whole company's), then one in so long: whoever may ask without end finds
out the number behind a hash, of cards with short ones within minutes.
"""

SIGNATURES_MAX: Final = 4
BASES_MAX: Final = 1_000
EDITABLE: Final = frozenset(
    {
        "cardholder",
        "credential",
        "pin",
        "clearance",
        "item",
        "need_to_know",
        "roster",
        "training",
        "declaration",
        "visit",
        "override",
        "zone_status",
        "site_status",
        "portal_status",
        "device_status",
        "officer",
        "officer_key",
    }
)
"""Zones, portals, schedules and walks come from the site file, by somebody who stands at the controller."""

OF_PLACES: Final = frozenset({"zone_status", "site_status", "portal_status", "device_status"})
"""Tables of which an edit is held against the site lint: those about people cannot make a building unsafe."""

Puts = Sequence[tuple[str, dict[str, Any]]]


class EditRejected(Exception):
    """Why a change is not made: code, sentence, field."""

    def __init__(self, code: str, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.field = code, why, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A change that may be recorded: its document, the policy after it, who signed, and what stands in its record."""

    doc: dict[str, Any]
    policy: PolicyAt
    signers: tuple[OfficerId, ...]
    detail: dict[str, Any]


class Bases:
    """Against which revisions a change may have been signed: the one in force, and those after which nothing was
    changed that it touches.
    """

    def __init__(self) -> None:
        self._touched: OrderedDict[str, frozenset[tuple[str, str]]] = OrderedDict()
        """Revision -> what the edit that replaced it touched; in order."""

    def replaced(self, revision: str, doc: dict[str, Any]) -> None:
        """The policy of `revision` was replaced by the edit `doc`."""
        self._touched[revision] = touched_by(doc["puts"])
        if len(self._touched) > BASES_MAX:
            self._touched.popitem(last=False)

    def is_good(self, base: str, current: str, puts: Puts) -> bool:
        """Whether a change signed against `base` says the same against `current`."""
        if base == current:
            return True
        if base not in self._touched:
            return False
        revisions = list(self._touched)
        mine = touched_by(puts)
        return not any(mine & self._touched[revision] for revision in revisions[revisions.index(base) :])


def touched_by(puts: Iterable[Any]) -> frozenset[tuple[str, str]]:
    """What a change is about: its rows, and whoever and whatever these belong to."""
    found: set[tuple[str, str]] = set()
    for table, row in puts:
        found.add((str(table), str(row.get("id"))))
        found.update((name, str(row[name])) for name in ("cardholder", "item", "officer") if row.get(name) is not None)
        people = row.get("cardholders") or () if table == "override" else (row.get("id"),) if table == "pin" else ()
        found.update(("cardholder", str(who)) for who in people)
    return frozenset(found)


class EditDesk:
    """Judges changes for one boot. Keeps nothing but which revisions were replaced by what."""

    def __init__(self, numbers: CardNumbers, setup: OfficersSetup) -> None:
        self._numbers = numbers
        self._setup = setup
        self._numbers_left, self._numbers_tick = NUMBERS_MAX, 0
        self.bases = Bases()

    def prepared(self, message: Prepare, now: Moment, *, is_prepared: bool) -> list[tuple[str, dict[str, Any]]]:
        """The rows as they can be signed. `is_prepared`: PINs are hashes made here. Raises EditRejected."""
        _check_size(message.puts)
        self._spend(sum(table == "credential" and "number" in row for table, row in message.puts), now)
        try:
            return [(table, self._prepared(table, row, is_prepared=is_prepared)) for table, row in message.puts]
        except EditRefused as error:
            raise EditRejected("edit_refused", str(error), error.field) from None

    def _spend(self, numbers: int, now: Moment) -> None:
        gained = (now.tick_ms - self._numbers_tick) // NUMBER_EACH_MS
        self._numbers_tick += gained * NUMBER_EACH_MS
        self._numbers_left = min(NUMBERS_MAX, self._numbers_left + gained)
        if numbers > self._numbers_left:
            raise EditRejected("busy", "too many card numbers were asked about; try again later", "number")
        self._numbers_left -= numbers

    def _prepared(self, table: str, row: dict[str, Any], *, is_prepared: bool) -> dict[str, Any]:
        """Card numbers become keyed hashes here and go no further."""
        if table == "pin" and not is_prepared:
            raise EditRefused(table, str(row.get("id", "?")), "pin", "is set by its digits, in `pin`")
        if table != "credential" or "number" not in row:
            return row
        number = row["number"]
        if not isinstance(number, str) or not NUMBER_PATTERN.fullmatch(number):
            raise EditRefused(table, str(row.get("id", "?")), "number", "must be 4 to 33 bytes in hex")
        octets = bytes.fromhex(number)
        kept = {key: value for key, value in row.items() if key != "number"}
        return kept | {"number_hash": self._numbers.hash(octets), "last4": last4(octets)}

    def judged(self, message: Propose, at: PolicyAt, now: Moment) -> Judged:
        """What `message` makes of the policy `at`. Raises EditRejected."""
        _check_size(message.puts)
        _check_reason(message.reason)
        self._check_time(message, now)
        signers = self._signers(message, at.policy)
        if not self.bases.is_good(message.base, at.revision, message.puts):
            raise EditRejected(
                "stale_base", "what this is about has changed since it was signed; look again, then sign anew", "base"
            )
        doc, stand_ins = _named(message.puts, signers)
        policy = _applied(doc, at)
        weight = _weighed(doc, at.policy, policy.policy, signers, now)
        detail = {
            "id": message.id, "edit": doc, "revision": policy.revision, "base": at.revision, "signed": True,
            "signed_base": None if message.base == at.revision else message.base,
            "signatures": [msgspec.to_builtins(one) for one in message.signatures], "reason": message.reason,
            "not_after_ms": message.not_after_ms, "stand_ins": stand_ins or None, "weight": weight.name,
        }  # fmt: skip
        return Judged(doc=doc, policy=policy, signers=signers, detail=detail)

    def suggested(self, message: Suggest, at: PolicyAt) -> dict[str, Any]:
        """The detail of a suggestion's record. Raises EditRejected where it could never be signed."""
        _check_size(message.puts)
        _check_reason(message.reason)
        doc, _ = _named(message.puts, (OfficerId("first"), OfficerId("second")))
        _applied(doc, at)
        puts = [[table, row] for table, row in message.puts]
        return {"id": message.id, "edit": {"puts": puts, "drops": []}, "reason": message.reason}

    def _check_time(self, message: Propose, now: Moment) -> None:
        wall = wall_ms(now.at)
        if wall > message.not_after_ms:
            raise EditRejected("expired", "what was signed has run out; look again, then sign anew", "not_after_ms")
        if message.not_after_ms > wall + SIGNED_MS_MAX + 1000:
            raise EditRejected("expired", "a change may wait for signatures for seven days at most", "not_after_ms")

    def _signers(self, message: Propose, policy: Policy) -> tuple[OfficerId, ...]:
        """Who signed, in order. Raises EditRejected for one signature that is not its officer's over this."""
        if not message.signatures:
            raise EditRejected(
                "unsigned", "a change is signed by its officers; nothing is changed unsigned", "signatures"
            )
        if len(message.signatures) > SIGNATURES_MAX:
            raise EditRejected("protocol", f"at most {SIGNATURES_MAX} signatures", "signatures")
        challenge = change_challenge(
            site=self._setup.site(), id=message.id, base=message.base, puts=message.puts, reason=message.reason,
            not_after_ms=message.not_after_ms,
        )  # fmt: skip
        found: list[OfficerId] = []
        for one in message.signatures:
            signer = self._signer(one, policy, challenge)
            if signer in found:
                raise EditRejected("two_people", f"{signer} signed twice; another officer must sign", "signatures")
            found.append(signer)
        return tuple(found)

    def _signer(self, one: Signature, policy: Policy, challenge: bytes) -> OfficerId:
        key = policy.by_passkey.get(one.credential)
        if key is None or key.ended_on is not None:
            raise EditRejected(
                "bad_signature", "signed by a passkey that is nobody's here, or not any more", "signatures"
            )
        try:
            check_assertion(
                self._setup.us, key.public_key, challenge, client_data=one.client_data,
                authenticator_data=one.authenticator_data, signature=one.signature,
            )  # fmt: skip
        except AssertionRefused as error:
            raise EditRejected("bad_signature", f"a signature was refused: {error}", "signatures") from None
        return key.officer


def _check_size(puts: Puts) -> None:
    if not 0 < len(puts) <= ROWS_MAX:
        raise EditRejected("edit_refused", f"one change holds 1 to {ROWS_MAX} rows", "puts")


def _check_reason(reason: str) -> None:
    if reason not in EDIT_REASONS:
        raise EditRejected("protocol", f"reason must be one of {', '.join(EDIT_REASONS)}", "reason")


def _named(puts: Puts, signers: Sequence[OfficerId]) -> tuple[dict[str, Any], list[list[Any]]]:
    """The document of a change with its signers' names where "@1" and "@2" stood, and where that was."""
    names = dict(zip((PROPOSER, APPROVER), signers, strict=False))
    named: list[list[Any]] = []
    stand_ins: list[list[Any]] = []
    for index, (table, row) in enumerate(puts):
        if table not in EDITABLE:
            raise EditRejected("edit_refused", f"{table} rows are changed in the site file, not here", "table")
        found = {field: row[field] for field in NAMED.get(table, ()) if row.get(field) in (PROPOSER, APPROVER)}
        if missing := [field for field, word in found.items() if word not in names]:
            raise EditRejected("two_people", f"{missing[0]}: another officer must sign too", missing[0])
        stand_ins += [[index, field, word] for field, word in found.items()]
        named.append([table, row | {field: names[word] for field, word in found.items()}])
    return {"puts": named, "drops": []}, stand_ins


def _applied(doc: dict[str, Any], at: PolicyAt) -> PolicyAt:
    try:
        new = at.after(doc, seq=-1)
        _refuse_unsafe(at.policy, new.policy, {table for table, _ in doc["puts"]})
        _refuse_second_place(new.policy, [row["id"] for table, row in doc["puts"] if table == "roster"])
    except EditRefused as error:
        raise EditRejected("edit_refused", str(error), error.field) from None
    except (TypeError, ValueError) as error:
        raise EditRejected("edit_refused", f"a value that a record cannot hold: {error}", "puts") from None
    return new


def _weighed(doc: dict[str, Any], before: Policy, after: Policy, signers: Sequence[OfficerId], now: Moment) -> Weight:
    try:
        weight = judge(before, after, edit_from_doc(doc), signers, here(now.at).day)
    except NotAuthorised as error:
        raise EditRejected(error.code, error.why, error.field) from None
    if weight is Weight.WIDENS and not now.is_trusted:
        why = "the clock is not trusted, so nobody can say who is in post: nothing that widens is approved"
        raise EditRejected("clock_untrusted", why)
    return weight


def _refuse_second_place(after: Policy, changed: Sequence[str]) -> None:
    """Raises EditRefused where somebody would have two places on one roster at once: whoever suspends or ends the one
    must have ended it all (D-03).
    """
    for row_id in changed:
        entry = after.roster[RosterEntryId(row_id)]
        for other in after.holders[entry.cardholder].roster:
            is_other = other.id != entry.id and other.zone == entry.zone and {other.ended_on, entry.ended_on} == {None}
            if is_other and other.from_on <= entry.until_on and entry.from_on <= other.until_on:
                why = f"{entry.cardholder} has a place on this roster already, {other.id}: change or end that one"
                raise EditRefused("roster", row_id, "zone", why)


def _refuse_unsafe(before: Policy, after: Policy, tables: set[str]) -> None:
    """Raises EditRefused where an edit makes the site unsafe, naming the way (`zones.lint`)."""
    if not tables & OF_PLACES:
        return
    known = {(one.code, one.row) for one in errors(lint(before))}
    for one in errors(lint(after)):
        if (one.code, one.row) not in known:
            raise EditRefused(one.table, one.row, one.code, f"{one.en} ({one.way})")
