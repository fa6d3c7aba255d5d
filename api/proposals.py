"""Changes that wait for their officers' signatures: made ready, signed, sent, and what became of them (docs/officers.md
§4). The only way by which this process changes a register.

The controller judges each change by itself; here it is refused early and in words what it would refuse anyway. Card
numbers and PINs are turned into hashes by the controller before anything is kept. Of what came to nothing no row stays.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlmodel import Session, col, delete, select

from api.access import Permission, Who, refuse_weak
from api.in_force import InForce
from api.link import done
from api.live import is_current, now_ms
from api.names import Name
from api.once import KEY
from api.problems import Problem
from api.proposal import (
    HASHES,
    IN_FORCE,
    OPEN,
    PENDING,
    PREPARED,
    SEEN_WITH,
    SENT,
    STRONG,
    Proposal,
    Signed,
)
from api.proposal_rules import (
    Doc,
    Puts,
    Verdict,
    edit_by,
    in_order,
    refuse_asker,
    verdict,
    weight_by_anybody,
    with_named,
)
from api.signin.passkeys import AssertionSent, CountWentBack, signature_of
from api.signin.posts import today
from api.tables import EventRow, ProposalRow, ProposalSignatureRow
from api.view import Forgotten, Snapshot, View
from controller.link.challenge import change_challenge
from controller.link.messages import EDIT_REASONS, Prepare, Propose, Refused, Signature
from zones.authority import NotAuthorised, Weight, zones_of
from zones.ids import ID_PATTERN, ZoneId
from zones.policy import EditRefused, Policy

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from api.link import Requests
    from api.parts import Parts
    from api.signin.ways import SigningIn

WAITS_MS: Final = 7 * 86_400_000 - 60_000
"""How long a change waits for its signatures: what the controller takes, and a minute for the clocks."""

KEPT_MS: Final = 30 * 86_400_000
"""How long what became of one is told here; then the ledger tells it."""

VIEW_S_MAX: Final = 3.0
ROWS_MAX: Final = 100
BYTES_MAX: Final = 48 * 1024
OPEN_MAX: Final = 500
EACH_MAX: Final = 200
"""So many wait at once, and of one officer: whoever has one session must not keep others from shutting a door."""

_ID: Final = re.compile(ID_PATTERN)


class Proposals:
    """Those of api.db at `engine`. Any thread; what settles one happens once."""

    def __init__(self, engine: Engine, view: View, requests: Requests, signing_in: SigningIn) -> None:
        self._engine = engine
        self._view = view
        self._requests = requests
        self._signing_in = signing_in
        self._lock = threading.RLock()
        self._verdicts: dict[str, tuple[tuple[object, ...], Verdict]] = {}
        self.in_force = InForce(view)

    # -- made ready ---------------------------------------------------------------------------------------------

    def open(
        self,
        who: Who,
        make: Callable[[Snapshot], Puts],
        places: Sequence[tuple[str, str]] = (),
        *,
        reason: str = "other",
        key: str | None = None,
        names: Sequence[Name] = (),
        suggestion: int | None = None,
    ) -> Proposal:
        """See `open_proposal`."""
        if reason not in EDIT_REASONS or (key is not None and not KEY.fullmatch(key)):
            raise Problem("not_valid", 422)
        if key is not None and (known := self._known(key)) is not None:
            if known.proposer != who.officer:
                raise Problem("key_reused", 422)
            return self._shown(known)
        puts = make(self._view.snapshot(*places))
        self._refuse_size(puts)
        puts, snapshot = self._prepared(puts, who)
        was = {(table, row["id"]): snapshot.rows.get((table, row["id"])) for table, row in puts}
        puts = with_named(puts, {place: doc for place, doc in was.items() if doc is not None})
        weight = self._refuse_early(who, puts)
        now = now_ms()
        row = ProposalRow(
            id=key or secrets.token_hex(16), state=PENDING, proposer=who.officer, reason=reason, made_at_ms=now,
            base=snapshot.revision, not_after_ms=now + WAITS_MS, puts=_text(puts),
            was=_text([was[table, doc["id"]] for table, doc in puts]),
            named="\n".join(name.cardholder for name in names), weight=int(weight), suggestion=suggestion,
        )  # fmt: skip
        with self._lock:
            known = self._known(row.id)  # the same form, sent twice at once
            if known is None:
                self._keep(row, puts, names)
                known = row
            return self._shown(known)

    def _keep(self, row: ProposalRow, puts: Puts, names: Sequence[Name]) -> None:
        with Session(self._engine, expire_on_commit=False) as session:
            by = session.exec(select(ProposalRow.proposer).where(col(ProposalRow.state).in_(OPEN))).all()
            if len(by) >= OPEN_MAX or by.count(row.proposer) >= EACH_MAX:
                raise Problem("busy", 503)
            self._keep_names(puts, names)
            session.add(row)
            session.commit()
            session.expunge(row)

    def _refuse_size(self, puts: Puts) -> None:
        if not 0 < len(puts) <= ROWS_MAX:
            raise Problem("edit_refused", 422, members={"field": "puts", "why": f"1 to {ROWS_MAX} rows"})
        if len(_text(puts).encode("utf-8", "replace")) > BYTES_MAX:
            raise Problem("too_large", 413)
        if not all(isinstance(row.get("id"), str) and _ID.fullmatch(row["id"]) for _, row in puts):
            raise Problem("edit_refused", 422, members={"field": "id"})

    def _prepared(self, puts: Puts, who: Who) -> tuple[Puts, Snapshot]:
        """The rows without card numbers and digits, and what stands in their places now."""
        if any(PREPARED & row.keys() for _, row in puts):
            name = secrets.token_hex(16)
            answer = self._requests.prepare(Prepare(id=name, puts=puts, officer=who.officer))
            if isinstance(answer, Refused):
                done(answer)
            else:
                puts = [(table, dict(row)) for table, row in answer.puts]
        return puts, self._view.snapshot(*[(table, str(row.get("id"))) for table, row in puts])

    def _refuse_early(self, who: Who, puts: Puts) -> Weight:
        """Raises Problem for what the controller would refuse, and for what is not this officer's to begin."""
        policy = self._policy()
        if not all(who.may(SEEN_WITH.get(table, Permission.SETTINGS)) for table, _ in puts):
            raise Problem("not_your_role", 403)
        try:
            weight = weight_by_anybody(policy, puts, today())
            refuse_asker(policy, puts, who.officer, weight, today())
        except EditRefused as error:
            raise Problem("edit_refused", 422, members={"field": error.field, "why": str(error)}) from error
        except NotAuthorised as error:
            raise Problem(error.code, 403, members={"why": error.why}) from error
        zones = _zones_of(policy, puts)
        if not all(map(who.may_see_zone, zones)):
            raise Problem("not_your_zone", 403)
        refuse_weak(who, max((policy.zones[ZoneId(zone)].required_factors for zone in zones), default=0))
        return weight

    def _keep_names(self, puts: Puts, names: Sequence[Name]) -> None:
        """Names of people who are new: kept under keys of their own, which are destroyed if it comes to nothing."""
        new = {row["id"] for table, row in puts if table == "cardholder"}
        for name in names:
            if name.cardholder not in new or self._view.names.get(name.cardholder) is not None:
                raise Problem("edit_refused", 422, members={"field": "id"})
        for name in names:
            try:
                self._view.set_name(name)
            except Forgotten as error:
                raise Problem("forgotten", 409) from error

    # -- looked at ----------------------------------------------------------------------------------------------

    def get(self, who: Who, id: str) -> Proposal:
        """One that this officer may see. Raises Problem 404."""
        row = self._known(id)
        if row is None:
            raise Problem("not_found", 404)
        shown = self._shown(row)
        if not self.may_see(who, shown):
            raise Problem("not_found", 404)
        return shown

    def listed(self, who: Who, *, is_open: bool | None = None, before: str | None = None) -> list[Proposal]:
        """Those that this officer may see, the newest first; after the one named `before`."""
        self._forget_old()
        with Session(self._engine, expire_on_commit=False) as session:
            query = select(ProposalRow).order_by(col(ProposalRow.made_at_ms).desc(), col(ProposalRow.id))
            rows = list(session.exec(query))
        if before is not None:
            ids = [row.id for row in rows]
            rows = rows[ids.index(before) + 1 :] if before in ids else []
        shown = [self._shown(row) for row in rows]
        return [
            one for one in shown if self.may_see(who, one) and (is_open is None or one.is_open is is_open)
        ]  # fmt: skip

    def waiting(self, who: Who) -> int:
        """How many wait for this officer's signature."""
        return sum(who.officer in one.may_sign for one in self.listed(who, is_open=True))

    def waiting_rows(self, table: str) -> dict[str, tuple[str, Doc]]:
        """Row id -> the change that waits for signatures and touches it, and the row as it would be: of one table."""
        found: dict[str, tuple[str, Doc]] = {}
        with Session(self._engine) as session:
            query = select(ProposalRow.id, ProposalRow.puts).where(
                ProposalRow.state == PENDING, ProposalRow.not_after_ms > now_ms()
            )
            for name, puts in session.exec(query.order_by(col(ProposalRow.made_at_ms))):
                found |= {row["id"]: (name, row) for of, row in json.loads(puts) if of == table}
        return found

    def may_see(self, who: Who, proposal: Proposal) -> bool:
        """Whoever may look at the rows it is about, in the zones that he answers for; and whoever made it."""
        if proposal.proposer == who.officer:
            return True
        if not proposal.puts:
            return who.may(Permission.PROPOSE) and who.zones is None
        if not all(who.may(SEEN_WITH.get(table, Permission.SETTINGS)) for table in proposal.tables):
            return False
        return who.zones is None or all(map(who.may_see_zone, _zones_of(self._policy(), proposal.puts)))

    # -- signed -------------------------------------------------------------------------------------------------

    def signing_options(self, who: Who, proposal: Proposal) -> dict[str, Any] | None:
        """`publicKey` of navigator.credentials.get for this officer; None where he cannot be the next who signs."""
        if who.strength < STRONG or who.scopes is not None or who.officer not in proposal.may_sign:
            return None
        keys = self._signing_in.posts.keys_of(who.officer)
        return self._signing_in.passkeys.request_options(self.challenge(proposal), keys)

    def challenge(self, proposal: Proposal) -> bytes:
        """What is signed."""
        return change_challenge(
            site=self._view.vkey, id=proposal.id, base=proposal.base, puts=proposal.puts, reason=proposal.reason,
            not_after_ms=proposal.not_after_ms,
        )  # fmt: skip

    def sign(self, who: Who, id: str, sent: AssertionSent) -> Proposal:
        """One officer's signature; with the last that is needed the change is sent. Raises Problem."""
        with self._lock:
            proposal = self.get(who, id)
            if any(one.officer == who.officer for one in proposal.signed):
                return self._sent_when_ready(who.officer, id)
            self._refuse_signing(who, proposal)
            try:
                key = self._signing_in.passkeys.judge(sent, self.challenge(proposal))
            except CountWentBack as error:
                raise Problem("passkey_wrong", 401) from error
            if key.officer != who.officer:
                raise Problem("passkey_wrong", 401)
            with Session(self._engine) as session:
                parts = signature_of(sent)
                row = ProposalSignatureRow(
                    proposal=id, officer=who.officer, at_ms=now_ms(), credential=parts.credential,
                    client_data=parts.client_data, authenticator_data=parts.authenticator_data,
                    signature=parts.signature,
                )  # fmt: skip
                session.add(row)
                session.commit()
            return self._sent_when_ready(who.officer, id)

    def send_again(self, who: Who, id: str) -> Proposal:
        """What has its signatures and no answer yet, or could not be recorded: the same once more. Raises Problem."""
        with self._lock:
            proposal = self.get(who, id)
            if not proposal.is_owed:
                raise Problem("proposal_settled", 409, members={"state": proposal.state})
            return self._sent_when_ready(who.officer, id)

    def _refuse_signing(self, who: Who, proposal: Proposal) -> None:
        """Raises Problem where this officer's signature is of no use here."""
        if proposal.state not in ("PENDING_1", "PENDING_2"):
            raise Problem("proposal_settled", 409, members={"state": proposal.state})
        if who.strength < STRONG or who.scopes is not None:
            raise Problem("passkey_needed", 403)
        if who.officer not in proposal.may_sign:
            code, why = self._why_not(who.officer, proposal)
            raise Problem(code, 403, members={"why": why})

    def _why_not(self, officer: str, proposal: Proposal) -> tuple[str, str]:
        if proposal.hindrance is not None:
            return proposal.hindrance
        try:
            refuse_asker(self._policy(), proposal.puts, officer, proposal.weight, today())
            in_order(self._policy(), proposal.puts, (*(one.officer for one in proposal.signed), officer), today())
        except NotAuthorised as error:
            return error.code, error.why
        except EditRefused as error:
            return "edit_refused", str(error)
        return "not_your_role", "another officer must sign this"

    def _sent_when_ready(self, officer: str, id: str) -> Proposal:
        row = self._known(id)
        assert row is not None, "it was signed just now"
        proposal = self._shown(row)
        return self._send(officer, proposal) if proposal.is_owed else proposal

    def _send(self, officer: str, proposal: Proposal) -> Proposal:
        """To the controller, once: the same id again is refused there. Raises Problem where no answer comes; then it is
        SENT until its record, or the lack of one, tells.
        """
        signatures = self._signatures(proposal)
        self._settle(proposal.id, state=SENT)
        message = Propose(
            id=proposal.id, base=proposal.base, not_after_ms=proposal.not_after_ms, puts=list(proposal.puts),
            officer=officer, reason=proposal.reason, signatures=signatures,
        )  # fmt: skip
        answer = self._requests.ask(lambda _: message)
        try:
            recorded = done(answer)
        except Problem as problem:
            return self._refused(proposal.id, problem)
        self._view.wait_for(recorded.seq, VIEW_S_MAX)
        return self._settle(proposal.id, state=IN_FORCE, seq=recorded.seq)

    def _refused(self, id: str, problem: Problem) -> Proposal:
        members = problem.members
        if problem.code in RETRIED:
            self._settle(id, state=PENDING)
            raise problem
        if problem.code == "repeated" and (seq := self._recorded(id)) is not None:
            return self._settle(id, state=IN_FORCE, seq=seq)
        state = "STALE" if problem.code in LOOK_AGAIN else "REFUSED"
        return self._settle(
            id, state=state, code=problem.code, why=str(members.get("why", "")), field=str(members.get("field", "")),
            seq=members.get("seq"), at_ms=None if state == "STALE" else now_ms(),
        )  # fmt: skip

    def _signatures(self, proposal: Proposal) -> tuple[Signature, ...]:
        """In the order in which they carry the change."""
        with Session(self._engine) as session:
            query = select(ProposalSignatureRow).where(ProposalSignatureRow.proposal == proposal.id)
            rows = {row.officer: row for row in session.exec(query)}
        try:
            order = in_order(self._policy(), proposal.puts, [one.officer for one in proposal.signed], today())
        except (NotAuthorised, EditRefused):
            order = tuple(one.officer for one in proposal.signed)  # the controller says what is wrong with it
        return tuple(
            Signature(
                credential=rows[one].credential, client_data=rows[one].client_data,
                authenticator_data=rows[one].authenticator_data, signature=rows[one].signature,
            )
            for one in order
        )  # fmt: skip

    # -- taken back, looked at again ----------------------------------------------------------------------------

    def withdraw(self, who: Who, id: str) -> Proposal:
        """Whoever made it takes it back, and whoever could sign it turns it down: nobody is told which."""
        with self._lock:
            proposal = self.get(who, id)
            if proposal.state == "WITHDRAWN":
                return proposal
            if not proposal.is_open or proposal.state == SENT:
                raise Problem("proposal_settled", 409, members={"state": proposal.state})
            if proposal.proposer != who.officer and not who.may(Permission.PROPOSE):
                raise Problem("not_your_role", 403)
            return self._settle(id, state="WITHDRAWN", at_ms=now_ms())

    def renew(self, who: Who, id: str) -> Proposal:
        """The same change against what is in force now, under a new id: both sign anew."""
        with self._lock:
            old = self.get(who, id)
            if not old.is_open or old.state == SENT:
                raise Problem("proposal_settled", 409, members={"state": old.state})
            fresh = self.open(
                who, lambda now: _over(now, old), [(table, row["id"]) for table, row in old.puts], reason=old.reason,
                suggestion=old.suggestion,
            )  # fmt: skip
            with Session(self._engine) as session:
                was, now = session.get(ProposalRow, old.id), session.get(ProposalRow, fresh.id)
                assert was is not None and now is not None, "one was read, one was made"
                now.named, was.named = was.named, ""
                session.commit()
            self._settle(old.id, state="WITHDRAWN", at_ms=now_ms())
            return fresh

    # -- rows ---------------------------------------------------------------------------------------------------

    def _known(self, id: str) -> ProposalRow | None:
        with Session(self._engine, expire_on_commit=False) as session:
            return session.get(ProposalRow, id)

    def _shown(self, row: ProposalRow) -> Proposal:
        """As it stands now: what has run out has, what changed beneath it is said."""
        if row.state == SENT and (seq := self._recorded(row.id)) is not None:
            return self._settle(row.id, state=IN_FORCE, seq=seq)
        is_over = row.state in OPEN or (row.state == SENT and is_current(self._view))
        if is_over and now_ms() > row.not_after_ms:
            return self._settle(row.id, state="EXPIRED", at_ms=now_ms())
        proposal = self._plain(row)
        if row.state != PENDING:
            return proposal
        snapshot = self._view.snapshot(*[(table, doc["id"]) for table, doc in proposal.puts])
        if any(snapshot.rows.get((t, d["id"])) != was for (t, d), was in zip(proposal.puts, proposal.was, strict=True)):
            return replace(proposal, state="STALE", code="stale_base")
        try:
            judged = self._judged(proposal)
        except EditRefused as error:
            return replace(proposal, state="STALE", code="edit_refused", why=str(error), field=error.field)
        return _with_verdict(proposal, judged)

    def _judged(self, proposal: Proposal) -> Verdict:
        """Kept while nothing is changed: an inbox is looked at more often than it changes."""
        revision, policy = self._dated_policy()
        signed, day = tuple(one.officer for one in proposal.signed), today()
        of = (revision, signed, day)
        kept = self._verdicts.get(proposal.id)
        if kept is None or kept[0] != of:
            kept = of, verdict(policy, proposal.puts, signed, day)
            self._verdicts = {name: one for name, one in self._verdicts.items() if one[0][0] == of[0]}
            self._verdicts[proposal.id] = kept
        return kept[1]

    def _plain(self, row: ProposalRow) -> Proposal:
        with Session(self._engine) as session:
            query = select(ProposalSignatureRow).where(ProposalSignatureRow.proposal == row.id)
            rows = session.exec(query.order_by(col(ProposalSignatureRow.at_ms), col(ProposalSignatureRow.officer)))
            signed = tuple(Signed(officer=one.officer, at_ms=one.at_ms) for one in rows)
        return Proposal(
            id=row.id, state=f"PENDING_{min(len(signed) + 1, 2)}" if row.state == PENDING else row.state,
            proposer=row.proposer, reason=row.reason, made_at_ms=row.made_at_ms, base=row.base,
            not_after_ms=row.not_after_ms, puts=tuple((table, doc) for table, doc in json.loads(row.puts)),
            was=tuple(json.loads(row.was)), signed=signed, weight=Weight(row.weight), code=row.code, why=row.why,
            field=row.field, seq=row.seq, settled_at_ms=row.settled_at_ms, suggestion=row.suggestion,
        )  # fmt: skip

    def _settle(
        self, id: str, *, state: str, seq: Any = None, at_ms: int | None = None, code: str = "", why: str = "",
        field: str = "",
    ) -> Proposal:  # fmt: skip
        with self._lock, Session(self._engine, expire_on_commit=False) as session:
            row = session.get(ProposalRow, id)
            assert row is not None, "it was read before"
            row.state, row.seq, row.settled_at_ms = state, seq, at_ms
            row.code, row.why, row.field = code, why, field
            names = row.named.split("\n") if row.named else []
            if state == IN_FORCE:
                row.settled_at_ms = self._recorded_ms(seq)
                row.puts = _text([(table, _shown_of(doc)) for table, doc in json.loads(row.puts)])
            if state in EMPTIED:
                row.puts, row.was, row.why, row.named = "[]", "[]", "", ""
                session.execute(delete(ProposalSignatureRow).where(col(ProposalSignatureRow.proposal) == id))
            session.commit()
        if state in EMPTIED:
            self._forget_names(names)
        return self._plain(row)

    def _forget_names(self, names: Collection[str]) -> None:
        """Of people who did not come to be."""
        gone = [name for name in names if self._view.row("cardholder", name) is None]
        if gone:
            self._view.unname(gone)

    def _recorded(self, id: str) -> int | None:
        """The record by which a change came into force: of this id, and signed until then. An id alone may have been
        chosen after that of an older change.
        """
        mark = json.dumps({"id": id}, separators=(",", ":"))[1:-1]
        holds = col(EventRow.body).contains(mark, autoescape=True)
        query = select(EventRow.seq, EventRow.body).where(EventRow.type == "POLICY_EDITED", holds)
        row = self._known(id)
        with Session(self._engine) as session:
            for seq, body in session.exec(query.order_by(col(EventRow.seq).desc())):
                detail = json.loads(body or "{}").get("detail") or {}
                if row is not None and (detail.get("id"), detail.get("not_after_ms")) == (id, row.not_after_ms):
                    return seq
        return None

    def _recorded_ms(self, seq: int) -> int:
        """When that was: by the controller's clock, from when on every door goes by it."""
        with Session(self._engine) as session:
            event = session.get(EventRow, seq)
        return now_ms() if event is None or event.at_ms is None else event.at_ms

    def _forget_old(self) -> None:
        over = ProposalRow.settled_at_ms < now_ms() - KEPT_MS  # type: ignore[operator]  # a column
        with Session(self._engine) as session:
            gone = session.exec(select(ProposalRow.id).where(over)).all()
            session.execute(delete(ProposalSignatureRow).where(col(ProposalSignatureRow.proposal).in_(gone)))
            session.execute(delete(ProposalRow).where(col(ProposalRow.id).in_(gone)))
            session.commit()

    def _policy(self) -> Policy:
        return self._dated_policy()[1]

    def _dated_policy(self) -> tuple[str, Policy]:
        try:
            return self.in_force.policy()
        except EditRefused as error:
            raise Problem("history_broken", 503, members={"why": str(error)}) from error


EMPTIED: Final = frozenset({"WITHDRAWN", "EXPIRED", "REFUSED"})
LOOK_AGAIN: Final = frozenset({"stale_base", "repeated", "other_boot"})
"""Refusals after which the same change may be signed anew."""

RETRIED: Final = frozenset({"busy", "ledger_unavailable"})
"""Refusals after which the same signatures may be sent again."""


def open_proposal(  # noqa: PLR0913 - each a different thing about one change
    here: Parts,
    who: Who,
    *,
    puts: Puts | None = None,
    make: Callable[[Snapshot], Puts] | None = None,
    places: Sequence[tuple[str, str]] = (),
    reason: str = "other",
    key: str | None = None,
    names: Sequence[Name] = (),
) -> Proposal:
    """Make a change ready for its signatures: `puts`, or what `make` builds from the rows at `places` as they are now.

    A credential may hold its `number` and a PIN its digits: the controller makes hashes of them first. Fields that name
    who did it hold "@1" and "@2". `names`: of cardholders that are new in it. `key`: its id; the same again gives the
    same. Raises Problem for what no signature could bring into force, or is not this officer's to begin.
    """
    return here.proposals.open(who, make or (lambda _: list(puts or [])), places, reason=reason, key=key, names=names)


def sign(here: Parts, who: Who, id: str, assertion: AssertionSent) -> Proposal:
    """See `Proposals.sign`."""
    return here.proposals.sign(who, id, assertion)


def _over(now: Snapshot, old: Proposal) -> Puts:
    """The fields that the old change set, over the rows as they are now."""
    puts = []
    for (table, row), was in zip(old.puts, old.was, strict=True):
        present = now.rows.get((table, row["id"]))
        if was is None and present is not None:
            raise Problem("edit_refused", 422, members={"field": "id"})
        set_ = {name: value for name, value in row.items() if (was or {}).get(name) != value}
        gone = set(was or {}) - set(row)
        puts.append((table, {**{k: v for k, v in (present or {}).items() if k not in gone}, **set_, "id": row["id"]}))
    return puts


def _with_verdict(proposal: Proposal, judged: Verdict) -> Proposal:
    findings = tuple(
        {"code": one.code, "severity": one.severity.value, "row": one.row, "ja": one.ja, "en": one.en}
        for one in judged.new_errors
    )
    return replace(
        proposal, weight=judged.weight, may_sign=judged.may_sign, hindrance=judged.hindrance, findings=findings
    )  # fmt: skip


def _shown_of(doc: Doc) -> Doc:
    """Of what is in force no hash is kept here: there is nothing to be signed any more."""
    return {name: value for name, value in doc.items() if name not in HASHES}


def _zones_of(policy: Policy, puts: Sequence[tuple[str, Doc]]) -> set[str]:
    try:
        edit = edit_by(puts, ("officer-x", "officer-y"))
    except EditRefused:
        return set()
    return {zone for row in edit.puts for zone in zones_of(policy, row) if zone in policy.zones}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


__all__ = ["Proposal", "Proposals", "open_proposal", "sign"]
