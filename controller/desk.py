"""Where requests from the web process are judged: changes of policy, momentary releases, notes for the record.

The web process is not trusted. An id is used once, a late request is refused, a release made for another start of the
controller is refused, and every answer names the record that was made.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller import alarm_desk
from controller.cards import CardNumbers
from controller.clock import wall_ms
from controller.edit_desk import EditDesk, EditRejected
from controller.enrolment import Enrolment
from controller.ledger.body import Draft
from controller.link.messages import (
    ORDERS,
    AwaitCard,
    Command,
    DeviceOrder,
    EnrolKey,
    HandleAlarm,
    Invited,
    LogOrder,
    Note,
    OfficerOrder,
    Order,
    Prepare,
    Prepared,
    Propose,
    Refused,
    Request,
    ReviewLog,
    StreamReport,
    Suggest,
)
from controller.log_desk import LogDesk
from controller.log_review import LogReview
from controller.notes import complaint
from controller.officer_desk import NotInvited, OfficerDesk, OfficersSetup
from controller.policy_log import PolicyAt, edit_to_doc
from controller.portals import shut_zones
from controller.secured_readers import SecuredReaders
from controller.standing import Standing
from controller.stream_desk import ReportRefused, StreamDesk
from controller.turn import AfterEdit, AfterGrant, AfterNote, AfterRefused, Answer, Turn
from zones.authority import posts_of
from zones.ids import ID_PATTERN, CardholderId, OfficerId, PortalId, ZoneId
from zones.moment import Moment
from zones.officers import Role
from zones.places import Direction, ZoneState
from zones.policy import Edit, EditRefused, Row
from zones.portal import Grant

RELEASE_MS_MAX: Final = 3_000
"""A release may be asked for at most this far ahead, and acted on at most this long after its record was begun."""

EDIT_MS_MAX: Final = 60_000
IDS_MAX: Final = 50_000
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_OFFICER: Final = re.compile(ID_PATTERN)
FROM_PORTAL: Final = "portal"
"""Who is named in edits that follow from what happened at a portal: a zone opened, a device tampered with."""

AT_PORTALS: Final = frozenset({Role.GUARD, Role.WORK_MANAGER, Role.PROTECTION_OFFICER})
"""Posts that act on portals, fire and presence."""

RELEASE_REASONS: Final = ("visitor", "delivery", "forgotten_card", "reader_fault", "emergency", "other")
_RECORD_OF: Final = {
    "forgive_presence": "PRESENCE_FORGIVEN",
    "unlock_pin": "PIN_UNLOCKED",
    "reset_fire": "FIRE_RESET",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A request as it came from session `session` of the link. `is_prepared`: its PINs are hashes made here.
    `is_console`: it came from a program of the controller's own account or root.
    """

    session: int
    message: Request
    is_prepared: bool = False
    is_console: bool = True


class _Rejected(Exception):
    """Why a request is refused: a stable code, a sentence, and the field at fault."""

    def __init__(self, code: str, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.field = code, why, field


class Desk:
    """Judges requests for one boot of the controller."""

    def __init__(  # noqa: PLR0913 - one argument per part of the engine that a request asks
        self,
        *,
        standing: Standing,
        numbers: CardNumbers,
        boot: str,
        is_reachable: Callable[[PortalId], bool] = lambda _portal: True,
        is_fire: Callable[[], bool] = lambda: False,
        is_locked: Callable[[PortalId], bool] = lambda _portal: False,
        not_closed: Callable[[tuple[PortalId, ...]], frozenset[PortalId]] = lambda _portals: frozenset(),
        secured: SecuredReaders | None = None,
        log: LogDesk | None = None,
        review: LogReview | None = None,
        enrolment: Enrolment | None = None,
        officers: OfficersSetup | None = None,
    ) -> None:
        """`is_reachable`: whether a portal's strike can be moved now. `is_fire`: whether the fire alarm speaks now.
        `is_locked`: whether a portal is in the mode LOCKED. `not_closed`: those of some portals that may be open.
        """
        self._standing = standing
        self._scribe = standing.scribe
        setup = officers or OfficersSetup(site=lambda: "")
        self._edits = EditDesk(numbers, setup)
        self._officers = OfficerDesk(standing, setup)
        self._boot = boot
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._is_reachable = is_reachable
        self._is_fire = is_fire
        self._is_locked = is_locked
        self._not_closed = not_closed
        self._secured = secured
        self._log = log or LogDesk(standing, boot, None)
        self._review = review or LogReview(standing, None)
        self._enrolment = enrolment
        self._reports = StreamDesk(standing.scribe)
        self._is_editing = False
        self._judges: dict[type[Request], Callable[[LinkRequest, Any, Moment, Turn], None]] = {
            Propose: self._propose,
            Prepare: self._prepare,
            Suggest: self._suggest,
            OfficerOrder: self._officer_order,
            EnrolKey: self._enrol_key,
            Order: self._order,
            DeviceOrder: self._device_order,
            LogOrder: self._log_order,
            Note: self._note,
            AwaitCard: self._await_card,
            HandleAlarm: self._alarm_word,
            ReviewLog: self._review_log,
            StreamReport: self._report,
        }

    def edit_done(self) -> None:
        """The edit under way came into force or failed; the next one may come."""
        self._is_editing = False

    @property
    def is_editing(self) -> bool:
        """Whether an edit waits for its record."""
        return self._is_editing

    def handle(self, request: LinkRequest, now: Moment, turn: Turn, next_grant: Callable[[], str]) -> bool:
        """Judge one request: adds its record and what follows to `turn`. Returns whether it is carried out."""
        message = request.message
        if (refused := self._unrecorded(message, now)) is not None:
            turn.urgent.append(Answer(session=request.session, message=refused))
            return False
        try:
            self._use_id(message.id)
            if not _OFFICER.fullmatch(message.officer):
                raise _Rejected("protocol", "officer must be lower-case letters, digits and dashes", "officer")
            self._judge(request, now, turn, next_grant)
        except _Rejected as rejected:
            if rejected.code == "busy":
                self._ids.pop(message.id, None)  # nothing was looked at: sent again, signed as it is, it is judged
            draft = self._refusal(message, rejected.code, now)
            after = AfterRefused(
                index=self._standing.record(draft, turn),
                session=request.session,
                request_id=message.id,
                code=rejected.code,
                why=rejected.why,
                field=rejected.field,
            )
            turn.after.append(after)
            return False
        return True

    def _judge(self, request: LinkRequest, now: Moment, turn: Turn, next_grant: Callable[[], str]) -> None:
        """Each kind of request by its own rules. Raises _Rejected."""
        message = request.message
        if isinstance(message, Command):
            self._command(request.session, message, now, turn, next_grant())
        else:
            self._judges[type(message)](request, message, now, turn)

    def _unrecorded(self, message: Request, now: Moment) -> Refused | None:
        """A refusal that makes no record: none can be made, or that would be the flood itself."""
        if not self._standing.is_writable:
            why = "the ledger cannot be written, so nothing can be changed or released; exits are free"
            return Refused(id=message.id, code="ledger_unavailable", why=why)
        if isinstance(message, StreamReport) and not self._reports.takes_one(now):
            return Refused(id=message.id, code="busy", why="too many reports; tell this one again later")
        return None

    def refuse_pins(
        self, request: LinkRequest, why: str, now: Moment, turn: Turn, *, code: str = "edit_refused"
    ) -> None:
        """A proposal whose PINs nobody may have, or that cannot be looked at now."""
        message = request.message
        if not self._standing.is_writable:
            unrecorded = Refused(id=message.id, code=code, why=why, field="pin")
            turn.urgent.append(Answer(session=request.session, message=unrecorded))
            return
        after = AfterRefused(
            index=self._standing.record(self._refusal(message, code, now), turn),
            session=request.session,
            request_id=message.id,
            code=code,
            why=why,
            field="pin",
        )
        turn.after.append(after)

    def hindrance(self, portal_id: PortalId) -> tuple[str, str] | None:
        """Why nobody is released into this portal's inner zone by hand now, as (code, sentence); None: nothing."""
        policy = self._standing.policy
        portal = policy.portals[portal_id]
        if any(policy.zone_state(zone) is ZoneState.SECURED for zone in policy.lineages[portal.inner]):
            return "zone_secured", "the zone is secured, or lies in one that is; open it first"
        if portal.inner in shut_zones(policy):
            return "locked_down", "the zone is locked down; lift the lockdown first"
        if self._is_locked(portal_id):
            return "portal_locked", "the portal is locked; put it back to cards first"
        if self._not_closed(portal.interlock_with):
            return "interlock", "an interlocked portal is not known to be closed; close it first"
        return None

    def edit_from_portal(self, rows: Sequence[Row], now: Moment, turn: Turn) -> None:
        """An edit that follows from what happened at a portal. Raises EditRefused; not to be called while editing."""
        standing = self._standing
        doc = edit_to_doc(Edit(puts=tuple(rows)))
        new = standing.at.after(doc, seq=-1)
        detail = {
            "id": f"portal-{standing.at.revision[:12]}",
            "edit": doc,
            "revision": new.revision,
            "base": standing.at.revision,
            "signed": False,
        }
        draft = self._scribe.draft(
            "POLICY_EDITED", now=now, officer=FROM_PORTAL, revision=standing.at.revision, detail=detail
        )
        self._is_editing = True
        turn.after.append(AfterEdit(index=standing.record(draft, turn), policy=new))

    def _refusal(self, message: Request, code: str, now: Moment) -> Draft:
        """The record of a refused request. Nothing a stranger wrote is copied into it unless it is of a known form."""
        id_ = message.id if _ID.fullmatch(message.id) else "malformed"
        officer = message.officer if _OFFICER.fullmatch(message.officer) else "unknown"
        if isinstance(message, LogOrder) and (alarm := self._log.refusal(message, code, id_, now, officer)) is not None:
            return alarm
        policy = self._standing.policy
        portal = message.portal if isinstance(message, Command) and message.portal in policy.portals else None
        return self._scribe.draft(
            "EDIT_REFUSED" if isinstance(message, Propose | Prepare | Suggest | EnrolKey) else "COMMAND_REFUSED",
            now=now,
            portal=portal,
            officer=officer,
            revision=self._standing.at.revision,
            detail={"id": id_, "code": code},
        )

    def _use_id(self, request_id: str) -> None:
        if not _ID.fullmatch(request_id):
            raise _Rejected("protocol", "an id has 8 to 64 letters, digits and signs of -_.:", "id")
        if request_id in self._ids:
            raise _Rejected("repeated", "this id was used before; what it asked for is in the ledger", "id")
        self._ids[request_id] = None
        if len(self._ids) > IDS_MAX:
            self._ids.popitem(last=False)

    def _check_time(self, not_after_ms: int, ahead_ms_max: int, now: Moment) -> None:
        wall = wall_ms(now.at)
        if wall > not_after_ms:
            raise _Rejected("expired", "this request came too late and was not carried out", "not_after_ms")
        if not_after_ms > wall + ahead_ms_max + 1000:
            raise _Rejected("expired", f"a request may expire at most {ahead_ms_max} ms ahead", "not_after_ms")

    def _propose(self, request: LinkRequest, message: Propose, now: Moment, turn: Turn) -> None:
        at = self._standing.at
        if self._log.is_auditor(message.officer):
            raise _Rejected("not_your_role", "whoever administers the log changes no registers (A-29)", "officer")
        if self._is_editing:
            raise _Rejected("busy", "another change is being recorded; try again")
        try:
            judged = self._edits.judged(message, at, now)
        except EditRejected as error:
            raise _Rejected(error.code, error.why, error.field) from None
        if auditor := next((one for one in judged.signers if self._log.is_auditor(one)), None):
            raise _Rejected("not_your_role", f"{auditor} administers the log and changes no registers", "signatures")
        self._record_edit(judged.policy, judged.signers[0], judged.detail, (request.session, message.id), now, turn)

    def _record_edit(
        self, policy: PolicyAt, officer: str, detail: dict[str, Any], asked: tuple[int, str], now: Moment, turn: Turn
    ) -> None:
        draft = self._scribe.draft(
            "POLICY_EDITED", now=now, officer=officer, revision=self._standing.at.revision, detail=detail
        )
        self._is_editing = True
        index = self._standing.record(draft, turn)
        turn.after.append(AfterEdit(index=index, policy=policy, session=asked[0], request_id=asked[1]))

    def _prepare(self, request: LinkRequest, message: Prepare, now: Moment, turn: Turn) -> None:
        """Changes nothing, so nothing is recorded."""
        try:
            puts = self._edits.prepared(message, now, is_prepared=request.is_prepared)
        except EditRejected as error:
            raise _Rejected(error.code, error.why, error.field) from None
        turn.urgent.append(Answer(session=request.session, message=Prepared(id=message.id, puts=puts)))

    def _suggest(self, request: LinkRequest, message: Suggest, now: Moment, turn: Turn) -> None:
        if not request.is_console:
            raise _Rejected(
                "not_here", "changes are suggested at the controller itself; officers propose on their pages"
            )
        try:
            detail = self._edits.suggested(message, self._standing.at)
        except EditRejected as error:
            raise _Rejected(error.code, error.why, error.field) from None
        draft = self._scribe.draft("EDIT_SUGGESTED", now=now, officer=message.officer, detail=detail)
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id))

    def _officer_order(self, request: LinkRequest, message: OfficerOrder, now: Moment, turn: Turn) -> None:
        """The ticket goes to the console once it is recorded that there is one."""
        self._check_boot(message.boot)
        self._check_time(message.not_after_ms, EDIT_MS_MAX, now)
        try:
            self._officers.complaint(message, now, is_console=request.is_console)
        except NotInvited as error:
            raise _Rejected(error.code, error.why, error.field) from None
        ticket, until_ms = self._officers.invite(message, now)
        type_ = "OFFICER_RESET" if message.act == "reset" else "OFFICER_INVITED"
        detail = {"id": message.id, "who": message.officer, "roles": list(message.roles) or None}
        if type_ == "OFFICER_RESET":
            del detail["roles"]
        index = self._standing.record(self._scribe.draft(type_, now=now, officer="console", detail=detail), turn)
        told = Invited(id=message.id, ticket=ticket, until_ms=until_ms)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id, told=told))

    def _enrol_key(self, request: LinkRequest, message: EnrolKey, now: Moment, turn: Turn) -> None:
        if self._is_editing:
            raise _Rejected("busy", "another change is being recorded; try again")
        at = self._standing.at
        try:
            edit = self._officers.enrolled(message, now)
            doc = edit_to_doc(edit)
            policy = at.after(doc, seq=-1)
        except NotInvited as error:
            raise _Rejected(error.code, error.why, error.field) from None
        except EditRefused as error:
            raise _Rejected("edit_refused", str(error), error.field) from None
        self._officers.used(message.ticket)
        detail = {
            "id": message.id, "edit": doc, "revision": policy.revision, "base": at.revision, "signed": False,
            "reason": "enrolment",
        }  # fmt: skip
        self._record_edit(policy, "console", detail, (request.session, message.id), now, turn)

    def replaced(self, revision: str, doc: dict[str, Any]) -> None:
        """The policy of `revision` was replaced by the edit `doc`, whoever made that."""
        self._edits.bases.replaced(revision, doc)

    def _refuse_stranger(self, officer: str, zone: ZoneId | None, now: Moment) -> None:
        """Raises _Rejected unless this officer is in a post that acts on portals today, there (A-31)."""
        policy, today = self._standing.policy, now.today
        known = policy.officers.get(OfficerId(officer))
        if known is None or not known.is_in_post(today):
            raise _Rejected("not_an_officer", f"{officer} is not in post today", "officer")
        posts = posts_of(policy, known, today)
        if not posts & AT_PORTALS:
            raise _Rejected("not_your_role", f"{officer} holds no post that acts on portals", "officer")
        own = {inner for one in known.zones for inner in policy.insides.get(one, ())}
        if zone is not None and posts & AT_PORTALS == {Role.WORK_MANAGER} and zone not in own:
            raise _Rejected("not_your_zone", f"{officer} does not answer for that zone (A-31)", "officer")

    def _check_boot(self, boot: str) -> None:
        if boot != self._boot:
            raise _Rejected("other_boot", "the controller was restarted since; look again, then repeat", "boot")

    def _command(self, session: int, message: Command, now: Moment, turn: Turn, grant_id: str) -> None:
        policy = self._standing.policy
        self._check_boot(message.boot)
        self._check_time(message.not_after_ms, RELEASE_MS_MAX, now)
        portal = policy.portals.get(PortalId(message.portal))
        if portal is None or not portal.has_entry_reader:
            raise _Rejected("unknown_portal", "there is no such portal that can be released for entry", "portal")
        if message.reason not in RELEASE_REASONS:
            raise _Rejected("protocol", f"reason must be one of {', '.join(RELEASE_REASONS)}", "reason")
        inner = policy.zones[portal.inner]
        self._refuse_stranger(message.officer, inner.id, now)
        if inner.is_protected:
            raise _Rejected(
                "protected_zone",
                "a zone with protected information is not opened for somebody without the three keys",
                "portal",
            )
        if not self._is_reachable(portal.id):
            raise _Rejected("strike_offline", "the device that moves this lock does not answer", "portal")
        if (hindrance := self.hindrance(portal.id)) is not None:
            raise _Rejected(*hindrance, "portal")
        draft = self._scribe.draft(
            "RELEASED",
            now=now,
            portal=portal.id,
            zone=inner.id,
            direction=Direction.IN,
            officer=message.officer,
            corr=grant_id,
            detail={"id": message.id, "reason": message.reason},
        )
        grant = Grant(id=grant_id, cardholder=None, to_zone=inner.id, direction=Direction.IN)
        turn.after.append(
            AfterGrant(
                index=self._standing.record(draft, turn),
                portal=portal.id,
                grant=grant,
                not_after_tick_ms=now.tick_ms + RELEASE_MS_MAX,
                session=session,
                request_id=message.id,
                revision=self._standing.at.revision,
            )
        )

    def _order(self, request: LinkRequest, message: Order, now: Moment, turn: Turn) -> None:
        self._check_boot(message.boot)
        self._check_time(message.not_after_ms, EDIT_MS_MAX, now)
        if message.act not in ORDERS:
            raise _Rejected("protocol", f"act must be one of {', '.join(ORDERS)}", "act")
        self._refuse_stranger(message.officer, None, now)
        who = None if message.cardholder is None else CardholderId(message.cardholder)
        if who is not None and who not in self._standing.policy.cardholders:
            raise _Rejected("unknown_cardholder", "there is no such cardholder", "cardholder")
        if who is not None and who == self._standing.policy.officers[OfficerId(message.officer)].cardholder:
            raise _Rejected("self_grant", f"{message.officer} orders nothing for himself (A-31)", "cardholder")
        if message.act == "unlock_pin" and who is None:
            raise _Rejected("protocol", "say whose PIN", "cardholder")
        if message.act == "reset_fire" and self._is_fire():
            raise _Rejected("fire_lasts", "the fire alarm still speaks; silence it at its panel first")
        draft = self._scribe.draft(
            _RECORD_OF[message.act], now=now, officer=message.officer, cardholder=who, detail={"id": message.id}
        )
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id))

    def _device_order(self, request: LinkRequest, message: DeviceOrder, now: Moment, turn: Turn) -> None:
        self._check_boot(message.boot)
        self._check_time(message.not_after_ms, EDIT_MS_MAX, now)
        if message.second is not None and not _OFFICER.fullmatch(message.second):
            raise _Rejected("protocol", "second must be lower-case letters, digits and dashes", "second")
        if message.who is not None and not _OFFICER.fullmatch(message.who):
            raise _Rejected("protocol", "who must be lower-case letters, digits and dashes", "who")
        assert self._secured is not None, "an engine has its readers"
        if (complaint := self._secured.complaint(message)) is not None:
            raise _Rejected(*complaint)
        self._secured.record_order(request.session, message, now, turn)

    def _await_card(self, request: LinkRequest, message: AwaitCard, now: Moment, turn: Turn) -> None:
        assert self._enrolment is not None, "an engine has its readers"
        self._refuse_stranger(message.officer, None, now)
        if (complaint := self._enrolment.complaint(message)) is not None:
            raise _Rejected(*complaint)
        self._enrolment.begin(request.session, message, now, turn)

    def _log_order(self, request: LinkRequest, message: LogOrder, now: Moment, turn: Turn) -> None:
        self._check_boot(message.boot)
        self._check_time(message.not_after_ms, EDIT_MS_MAX, now)
        if (complaint := self._log.complaint(message, now, is_console=request.is_console)) is not None:
            raise _Rejected(*complaint)
        self._log.record_order(request.session, message, now, turn)

    def _report(self, request: LinkRequest, message: StreamReport, now: Moment, turn: Turn) -> None:
        try:
            draft = self._reports.draft(message, now)
        except ReportRefused as error:
            raise _Rejected("protocol", str(error), error.field) from None
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id))

    def _alarm_word(self, request: LinkRequest, message: HandleAlarm, now: Moment, turn: Turn) -> None:
        """An officer says what an alarm was."""
        if (wrong := alarm_desk.complaint(message, self._standing, now)) is not None:
            raise _Rejected(*wrong)
        detail = alarm_desk.detail_of(message)
        draft = self._scribe.draft("ALARM_HANDLED", now=now, officer=message.officer, detail=detail)
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id))

    def _review_log(self, request: LinkRequest, message: ReviewLog, now: Moment, turn: Turn) -> None:
        """An auditor looked through the log."""
        if (wrong := self._review.complaint(message, now)) is not None:
            raise _Rejected(*wrong)
        self._review.record(request.session, message, now, turn)

    def _note(self, request: LinkRequest, message: Note, now: Moment, turn: Turn) -> None:
        if (wrong := complaint(message)) is not None:
            raise _Rejected(*wrong)
        detail = {
            "id": message.id, "kind": message.type, "purpose": message.purpose, "officer2": message.second,
            "count": message.count,
        }  # fmt: skip
        draft = self._scribe.draft(
            "NOTE", now=now, officer=message.officer, cardholder=message.cardholder, detail=detail
        )
        index = self._standing.record(draft, turn)
        turn.after.append(AfterNote(index=index, session=request.session, request_id=message.id))
