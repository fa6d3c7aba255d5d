"""Where requests from the web process are judged: changes of policy, momentary releases, notes for the record.

The web process is not trusted. An id is used once, a late request is refused, a release made for another start of the
controller is refused, and every answer names the record that was made.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from controller.cards import NUMBER_PATTERN, CardNumbers, last4
from controller.clock import wall_ms
from controller.ledger.body import Draft, Scribe
from controller.link.messages import Command, Note, Propose, Refused
from controller.policy_log import PolicyAt
from controller.turn import AfterEdit, AfterGrant, AfterNote, AfterRefused, Answer, Turn
from zones.ids import ID_PATTERN, PortalId
from zones.moment import Moment
from zones.places import Direction, ZoneState
from zones.policy import EditRefused, Policy
from zones.portal import Grant

RELEASE_MS_MAX: Final = 3_000
"""A release may be asked for at most this far ahead, and acted on at most this long after its record was begun."""

EDIT_MS_MAX: Final = 60_000
ROWS_MAX: Final = 100
IDS_MAX: Final = 50_000
_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{8,64}")
_OFFICER: Final = re.compile(ID_PATTERN)
EDITABLE: Final = frozenset({"cardholder", "credential", "clearance", "need_to_know", "roster", "zone_status"})
"""Zones, portals and schedules come from the site file, by somebody who stands at the controller."""

RELEASE_REASONS: Final = ("visitor", "delivery", "forgotten_card", "reader_fault", "emergency", "other")
NOTE_TYPES: Final = ("SIGN_IN", "NAME_CHANGED", "VIEW_PERSONAL", "EXPORT", "REFUSED_ATTEMPT")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A request as it came from session `session` of the link."""

    session: int
    message: Propose | Command | Note


class _Rejected(Exception):
    """Why a request is refused: a stable code, a sentence, and the field at fault."""

    def __init__(self, code: str, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.field = code, why, field


class Desk:
    """Judges requests for one boot of the controller."""

    def __init__(
        self,
        *,
        scribe: Scribe,
        numbers: CardNumbers,
        boot: str,
        is_reachable: Callable[[PortalId], bool] = lambda _portal: True,
    ) -> None:
        """`is_reachable`: whether a portal's strike can be moved now."""
        self._scribe = scribe
        self._numbers = numbers
        self._boot = boot
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._is_reachable = is_reachable
        self._is_editing = False

    def edit_done(self) -> None:
        """The edit under way came into force or failed; the next one may come."""
        self._is_editing = False

    def handle(
        self,
        request: LinkRequest,
        policy: PolicyAt,
        is_writable: bool,
        now: Moment,
        turn: Turn,
        next_grant: Callable[[], str],
    ) -> None:
        """Judge one request: adds its record and what follows to `turn`."""
        message = request.message
        if not is_writable:
            why = "the ledger cannot be written, so nothing can be changed or released; exits are free"
            refused = Refused(id=message.id, code="ledger_unavailable", why=why)
            turn.urgent.append(Answer(session=request.session, message=refused))
            return
        try:
            self._use_id(message.id)
            if not _OFFICER.fullmatch(message.officer):
                raise _Rejected("protocol", "officer must be lower-case letters, digits and dashes", "officer")
            match message:
                case Propose():
                    self._propose(request.session, message, policy, now, turn)
                case Command():
                    self._command(request.session, message, policy.policy, now, turn, next_grant())
                case Note():
                    self._note(request.session, message, now, turn)
        except _Rejected as rejected:
            draft = self._refusal(message, policy, rejected.code, now)
            after = AfterRefused(
                index=turn.record(draft),
                session=request.session,
                request_id=message.id,
                code=rejected.code,
                why=rejected.why,
                field=rejected.field,
            )
            turn.after.append(after)

    def _refusal(self, message: Propose | Command | Note, policy: PolicyAt, code: str, now: Moment) -> Draft:
        """The record of a refused request. Nothing a stranger wrote is copied into it unless it is of a known form."""
        portal = message.portal if isinstance(message, Command) and message.portal in policy.policy.portals else None
        return self._scribe.draft(
            "EDIT_REFUSED" if isinstance(message, Propose) else "COMMAND_REFUSED",
            now=now,
            portal=portal,
            officer=message.officer if _OFFICER.fullmatch(message.officer) else "unknown",
            revision=policy.revision,
            detail={"id": message.id if _ID.fullmatch(message.id) else "malformed", "code": code},
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

    def _propose(self, session: int, message: Propose, policy: PolicyAt, now: Moment, turn: Turn) -> None:
        self._check_time(message.not_after_ms, EDIT_MS_MAX, now)
        if self._is_editing:
            raise _Rejected("busy", "another change is being recorded; try again")
        if len(message.puts) > ROWS_MAX:
            raise _Rejected("edit_refused", f"one change may hold at most {ROWS_MAX} rows", "puts")
        if message.base != policy.revision:
            raise _Rejected(
                "stale_base", "the policy has changed since this was prepared; look again, then repeat", "base"
            )
        if message.signatures:
            raise _Rejected("protocol", "signed changes are not understood yet", "signatures")
        try:
            doc = {"puts": [self._prepared(table, row) for table, row in message.puts], "drops": []}
            new = policy.after(doc, seq=-1)
        except EditRefused as error:
            raise _Rejected("edit_refused", str(error), error.field) from None
        except (TypeError, ValueError) as error:
            raise _Rejected("edit_refused", f"a value that a record cannot hold: {error}", "puts") from None
        detail = {"id": message.id, "edit": doc, "revision": new.revision, "base": policy.revision, "signed": False}
        draft = self._scribe.draft(
            "POLICY_EDITED", now=now, officer=message.officer, revision=policy.revision, detail=detail
        )
        self._is_editing = True
        turn.after.append(AfterEdit(index=turn.record(draft), policy=new, session=session, request_id=message.id))

    def _prepared(self, table: str, row: dict[str, Any]) -> list[Any]:
        """A row as it may be recorded: card numbers become keyed hashes here and go no further."""
        if table not in EDITABLE:
            raise EditRefused(table, str(row.get("id", "?")), "table", "is changed in the site file, not here")
        if table != "credential" or "number" not in row:
            return [table, row]
        number = row["number"]
        if not isinstance(number, str) or not NUMBER_PATTERN.fullmatch(number):
            raise EditRefused(table, str(row.get("id", "?")), "number", "must be 4 to 20 bytes in hex")
        octets = bytes.fromhex(number)
        kept = {key: value for key, value in row.items() if key != "number"}
        return [table, kept | {"number_hash": self._numbers.hash(octets), "last4": last4(octets)}]

    def _command(self, session: int, message: Command, policy: Policy, now: Moment, turn: Turn, grant_id: str) -> None:
        if message.boot != self._boot:
            raise _Rejected("other_boot", "the controller was restarted since; look again, then repeat", "boot")
        self._check_time(message.not_after_ms, RELEASE_MS_MAX, now)
        portal = policy.portals.get(PortalId(message.portal))
        if portal is None or not portal.has_entry_reader:
            raise _Rejected("unknown_portal", "there is no such portal that can be released for entry", "portal")
        if message.reason not in RELEASE_REASONS:
            raise _Rejected("protocol", f"reason must be one of {', '.join(RELEASE_REASONS)}", "reason")
        inner = policy.zones[portal.inner]
        if inner.is_protected:
            raise _Rejected(
                "protected_zone",
                "a zone with protected information is not opened for somebody without the three keys",
                "portal",
            )
        if not self._is_reachable(portal.id):
            raise _Rejected("strike_offline", "the device that moves this lock does not answer", "portal")
        if policy.zone_state(inner.id) is ZoneState.SECURED:
            raise _Rejected("zone_secured", "the zone is secured; open it first", "portal")
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
                index=turn.record(draft),
                portal=portal.id,
                grant=grant,
                not_after_tick_ms=now.tick_ms + RELEASE_MS_MAX,
                session=session,
                request_id=message.id,
            )
        )

    def _note(self, session: int, message: Note, now: Moment, turn: Turn) -> None:
        if message.type not in NOTE_TYPES:
            raise _Rejected("protocol", f"type must be one of {', '.join(NOTE_TYPES)}", "type")
        detail = {"id": message.id, "kind": message.type}
        draft = self._scribe.draft("NOTE", now=now, officer=message.officer, detail=detail)
        turn.after.append(AfterNote(index=turn.record(draft), session=session, request_id=message.id))
