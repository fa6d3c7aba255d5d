"""From a card at a reader to a decision, its record, and what is shown: entries by dialogue, exits at once.

What a reader asks for (a PIN, a second card) is the dialogue's business (`zones.dialogue`) and goes by the zone and the
hour alone. The digits of a PIN pass through here to the thread that checks them and are kept nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from controller.cards import CardNumbers
from controller.config import Wiring
from controller.enrolment import Enrolment
from controller.lateness import Lateness
from controller.ledger import body
from controller.noise import Noise
from controller.pins import Digits, PinAnswered, PinJob
from controller.portals import Portals
from controller.reads import Reads
from controller.records import trace_of
from controller.refusal_numbers import RefusalNumbers
from controller.secured_readers import SecuredReaders
from controller.signals import Signals
from controller.standing import Standing
from controller.turn import AfterGrant, AfterRefusal, ShowAtReader, Shown, Turn
from readers.events import CardRead, CardUnread, KeysEntered, MessageRefused
from zones.decision import Decision, Evidence, FindingKind, Method, Outcome, PinCheck, Reason, Request, decide
from zones.decision.ask import roster_entry
from zones.decision.keys import override_of
from zones.decision.reasons import PublicReason, public_reason
from zones.dialogue import (
    CardShown,
    CheckPin,
    Decide,
    DialogueState,
    Ignored,
    KeysTyped,
    Output,
    Phase,
    PinChecked,
    Prompt,
    SecureZone,
    asked_at,
    deadline,
    escorts,
    forget,
    opened,
    remember,
    step,
)
from zones.dialogue import Input as DialogueInput
from zones.ids import AccessPointId, CardholderId, CardNumberHash, PortalId, ZoneId
from zones.moment import Moment, here
from zones.people import CardholderKind, Credential, CredentialState
from zones.places import Direction, Portal, PortalMode, entry_id, exit_id
from zones.portal import (
    DoorHeld,
    DoorHeldSoon,
    ExitReleased,
    Grant,
    GrantUnused,
    Happening,
    PassageCompleted,
    PortalClosed,
    Tailgated,
    TimePassed,
)

GRANT_MS_MAX: Final = 3_000
"""A grant whose record took longer than this to become durable releases nothing."""

BY_OVERRIDE: Final = frozenset({"D11", "D12", "D13", "D14", "D20", "D21", "D29"})
"""Rules that break-glass waives (docs/decision.md). Where one of them was waived for somebody in whose name one is in
force, his record names it.
"""

_TYPED: Final = frozenset({PinCheck.RIGHT, PinCheck.DURESS, PinCheck.WRONG})

_ALARMS: Final = {
    Reason.REPLAY: "replayed",
    Reason.CARD_AUTH_FAILED: "copied",
    Reason.IMPOSSIBLE_TRAVEL: "impossible_travel",
}
"""Findings that are an alarm besides a refusal, and the code it goes by."""


class Entries:
    """Owns the dialogues at the access points.

    Args:
        standing: what the parts of the engine share.
        wiring: which device belongs to which portal.
        portals, signals: the portals' machines; whether what guards a portal is in order.
        lateness, noise: judge late reads at exits; count what makes no sense.
        numbers: hashes card numbers.
        refusal_numbers: draws the numbers on refusals.
        check_pin: has typed digits checked, elsewhere.
        next_grant: names grants.
        secured: knows which readers still go by what the factory set, and which one takes a key now.
        enrolment: takes a card of nobody that an officer waits for.
    """

    def __init__(  # noqa: PLR0913 - one argument per part of the engine that an entry touches
        self,
        *,
        standing: Standing,
        wiring: Wiring,
        portals: Portals,
        signals: Signals,
        lateness: Lateness,
        noise: Noise,
        numbers: CardNumbers,
        refusal_numbers: RefusalNumbers,
        check_pin: Callable[[PinJob], None],
        next_grant: Callable[[], str],
        secured: SecuredReaders,
        enrolment: Enrolment,
    ) -> None:
        self._standing = standing
        self._wiring = wiring
        self._portals = portals
        self._signals = signals
        self._lateness = lateness
        self._noise = noise
        self._reads = Reads(standing=standing, wiring=wiring, numbers=numbers)
        self._refusal_numbers = refusal_numbers
        self._check_pin = check_pin
        self._next_grant = next_grant
        self._secured = secured
        self._enrolment = enrolment
        self._dialogues: dict[str, DialogueState] = {}
        self._shown_at_ms: dict[str, int] = {}
        self._secured_zones: list[ZoneId] = []

    # -- what comes in -------------------------------------------------------------------------------------------------

    def card(self, event: CardRead, now: Moment, turn: Turn) -> None:
        """A card at a reader."""
        if (portal := self._wiring.exit_readers.get(event.source)) is not None:
            self._exit(event, portal, now, turn)
            return
        evidence, is_replayed = self._reads.evidence(event), self._reads.is_replayed(event)
        is_stale, is_repeated = self._reads.is_stale(event, now), self._reads.is_repeated(event, now)
        is_sound = not is_stale and not is_replayed and self._may_ask(event.source)
        if is_sound and self._is_for_enrolment(event.source, evidence, now, turn, is_repeated=is_repeated):
            return
        portal = self._wiring.entry_readers.get(event.source)
        if is_repeated and self._is_talking(event.source):
            is_repeated = False  # the dialogue knows that it is the same presentation
        if portal is None or is_stale or is_repeated or is_replayed or not self._may_ask(event.source):
            request = Request(
                access_point=AccessPointId(event.source) if portal is None else entry_id(portal),
                evidence=evidence,
                read_is_stale=is_stale,
                read_is_repeated=is_repeated,
                evidence_is_replayed=is_replayed,
            )
            self._decide(event.source, portal, request, now, turn)
            return
        standing = self._standing
        asked = asked_at(standing.policy, standing.occupancy, entry_id(portal), now)
        self._advance(event.source, CardShown(evidence=evidence, asked=asked), now, turn)
        dialogue = self._dialogues[event.source]
        if event.at_ms is not None and dialogue.current is not None and dialogue.read_tick == now.tick_ms:
            self._shown_at_ms[event.source] = event.at_ms

    def _is_for_enrolment(self, reader: str, evidence: Evidence, now: Moment, turn: Turn, *, is_repeated: bool) -> bool:
        if not self._enrolment.is_waiting(reader):
            return False
        seen = self._reads.in_record(evidence)
        return self._enrolment.takes(reader, evidence, seen, now, turn, is_repeated=is_repeated)

    def unread(self, event: CardUnread, now: Moment, turn: Turn) -> None:
        """A card left before it could be read: the reader says so, and who waves one about fills no disk."""
        portal = self._wiring.entry_readers.get(event.source) or self._wiring.exit_readers.get(event.source)
        if portal is None:
            return
        if not self._is_talking(event.source):
            turn.urgent.append(ShowAtReader(reader=event.source, shown=Shown.NOT_READ))
        if self._reads.is_repeated(event, now):
            return
        detail = {"device": event.source, "why": event.why[:80]}
        self._standing.record(self._standing.scribe.draft("CARD_UNREAD", now=now, portal=portal, detail=detail), turn)

    def keys(self, event: KeysEntered, now: Moment, turn: Turn) -> None:
        """Digits at a keypad: to whoever checks them, if the dialogue there asks for any."""
        if event.source not in self._wiring.keypads:
            self._noise.note(MessageRefused(source=event.source, why="no keypad is wired"), now, turn)
            return
        if self._reads.is_stale(event, now):
            self._noise.note(MessageRefused(source=event.source, why="late"), now, turn)
            return
        if not self._may_ask(event.source):
            self._noise.note(MessageRefused(source=event.source, why="the reader is not trusted"), now, turn)
            return
        if event.at_ms is not None and event.at_ms < self._shown_at_ms.get(event.source, event.at_ms):
            # typed before the card that a PIN is awaited of, by the same clock: somebody else's
            self._noise.note(MessageRefused(source=event.source, why="keys out of turn"), now, turn)
            return
        for output in self._step(event.source, KeysTyped(), now):
            if isinstance(output, CheckPin):
                self._check(event, output)
            else:
                self._carry_out(event.source, output, now, turn)

    def pin_answered(self, event: PinAnswered, now: Moment, turn: Turn) -> None:
        """The slow hash is done."""
        self._advance(event.source, PinChecked(dialogue=event.dialogue, check=event.check), now, turn)

    def take_secured_zones(self) -> list[ZoneId]:
        """Zones that an opener secured at the door since the last call."""
        secured, self._secured_zones = self._secured_zones, []
        return secured

    def told(self, portal: PortalId, what: Happening) -> None:
        """What happened at a portal. Once the leaf opened, a card shown again does not mean *secure*; and nobody is let
        in behind somebody who did not go in, or has left.
        """
        did_leaf_open = not isinstance(what, GrantUnused | PortalClosed | DoorHeld | DoorHeldSoon | Tailgated)
        gone, has_left = None, False
        if isinstance(what, PassageCompleted | GrantUnused):
            has_left = isinstance(what, PassageCompleted) and what.grant.direction is Direction.OUT
            is_entry_over = isinstance(what, GrantUnused) and what.grant.direction is Direction.IN
            gone = what.grant.cardholder if has_left or is_entry_over else None
        for reader in list(self._dialogues):
            is_here = self._wiring.entry_readers[reader] == portal
            if did_leaf_open and is_here:
                self._dialogues[reader] = opened(self._dialogues[reader])
            dialogue = self._dialogues[reader]
            if gone is not None and dialogue.recent and (is_here or has_left):
                self._dialogues[reader] = forget(dialogue, self._numbers_of(gone, dialogue))

    def let_go(self, after: AfterGrant) -> None:
        """A grant came to nothing: nobody follows who was to go in on it."""
        for grant in (after.grant, *after.others):
            self.told(after.portal, GrantUnused(portal=after.portal, grant=grant))

    def reconsider(self, after: AfterGrant, now: Moment, turn: Turn) -> bool:
        """Ask again where anything but presence changed while the record was made: the policy, the clock, what guards
        the portal. False where that is a refusal, which is recorded and shown. The record itself is durable.
        """
        assert after.asked is not None and after.reader is not None, "a card was shown"
        standing = self._standing
        request = replace(self._with_facts(after.asked, after.reader, after.portal), ledger_is_writable=True)
        if request == after.asked and after.revision == standing.at.revision and now.is_trusted:
            return True
        decision = decide(standing.policy, standing.occupancy, request, now)
        if not decision.is_granted:
            self._refuse(after.reader, decision, request, now, turn)
        return decision.is_granted

    # -- time ----------------------------------------------------------------------------------------------------------

    def deadline(self) -> int | None:
        """The next tick (ms) at which a dialogue is over, or None."""
        due = [tick for dialogue in self._dialogues.values() if (tick := deadline(dialogue)) is not None]
        return min(due, default=None)

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Dialogues whose time is over."""
        for reader, dialogue in list(self._dialogues.items()):
            due = deadline(dialogue)
            if due is not None and due <= now.tick_ms:
                self._advance(reader, TimePassed(), now, turn)

    # -- dialogues -----------------------------------------------------------------------------------------------------

    def _step(self, reader: str, what: DialogueInput, now: Moment) -> tuple[Output, ...]:
        taken = step(self._dialogues.get(reader, DialogueState()), what, now)
        self._dialogues[reader] = taken.state
        return taken.outputs

    def _advance(self, reader: str, what: DialogueInput, now: Moment, turn: Turn) -> None:
        for output in self._step(reader, what, now):
            self._carry_out(reader, output, now, turn)

    def _carry_out(self, reader: str, output: Output, now: Moment, turn: Turn) -> None:
        portal = self._wiring.entry_readers[reader]
        match output:
            case Prompt(show=show):
                turn.urgent.append(ShowAtReader(reader=reader, shown=Shown(show.value)))
            case Decide():
                self._ask(reader, portal, output, now, turn)
            case SecureZone(zone=zone, evidence=evidence):
                self._secure(reader, portal, zone, evidence, now, turn)
            case Ignored(what=what):
                self._noise.note(MessageRefused(source=reader, why=f"{what} out of turn"), now, turn)
            case CheckPin():
                raise AssertionError("only typed keys are checked")

    def _check(self, event: KeysEntered, output: CheckPin) -> None:
        """The work is the same for a card that nobody knows and for one whose PIN is locked (P5)."""
        policy = self._standing.policy
        credential = policy.by_number.get(output.number_hash)
        who = None if credential is None else credential.cardholder
        self._check_pin(
            PinJob(
                source=event.source,
                dialogue=output.dialogue,
                row=None if who is None else policy.pins.get(who),
                digits=Digits(event.digits),
                is_locked=who is not None and self._standing.is_pin_locked(who),
            )
        )

    def _ask(self, reader: str, portal: PortalId, output: Decide, now: Moment, turn: Turn) -> None:
        """A dialogue is over. Who was let in is remembered: a guest may follow, an opener may secure."""
        known = escorts(self._dialogues[reader], now) if self._is_guest(output.evidence) else ()
        request = Request(
            access_point=entry_id(portal),
            evidence=self._unless_locked(output.evidence),
            companions=tuple(self._unless_locked(one) for one in output.companions),
            escorts=tuple(one for one in known if one.number_hash != output.evidence.number_hash),
        )
        is_silent = output.is_abandoned
        if not self._decide(reader, portal, request, now, turn, is_silent=is_silent):
            return
        zone = self._standing.policy.portals[portal].inner
        for evidence in (*output.companions, output.evidence):
            may_secure = self._is_opener(evidence, zone, now) and not output.companions
            self._dialogues[reader] = remember(self._dialogues[reader], evidence, now, may_secure=may_secure)

    def _secure(
        self, reader: str, portal_id: PortalId, zone: ZoneId, evidence: Evidence, now: Moment, turn: Turn
    ) -> None:
        """An opener showed his card twice at an empty zone: it is secured (C-01, C-04). Otherwise: a card like any."""
        standing = self._standing
        is_empty = not standing.occupancy.count(standing.policy.insides[zone])
        is_sound = self._signals.is_sound(portal_id, reader) and standing.is_writable
        is_sound = is_sound and evidence.method is not Method.FAKED
        opener = self._holder(evidence)
        is_quiet = opener is not None and not self._portals.is_anybody_coming(zone, opener)
        if not (is_empty and is_quiet and is_sound and self._is_opener(evidence, zone, now)):
            asked = asked_at(standing.policy, standing.occupancy, entry_id(portal_id), now)
            self._advance(reader, CardShown(evidence=evidence, asked=asked), now, turn)
            return
        self._secured_zones.append(zone)
        credential = standing.policy.by_number[evidence.number_hash]
        draft = standing.scribe.draft(
            "ZONE_SECURED",
            now=now,
            portal=portal_id,
            zone=zone,
            cardholder=credential.cardholder,
            credential=credential.id,
        )
        index = standing.record(draft, turn)
        turn.after.append(AfterRefusal(index=index, show=ShowAtReader(reader=reader, shown=Shown.GRANTED)))

    def _is_guest(self, evidence: Evidence) -> bool:
        """Whether the asker is somebody who is brought. For others escorts are no matter, and a record at a busy
        portal would name dozens.
        """
        who = self._holder(evidence)
        holder = None if who is None else self._standing.policy.cardholders.get(who)
        return holder is not None and holder.kind is not CardholderKind.STAFF

    def _is_opener(self, evidence: Evidence, zone: ZoneId, now: Moment) -> bool:
        policy = self._standing.policy
        credential = policy.by_number.get(evidence.number_hash)
        if credential is None or credential.state is not CredentialState.ACTIVE:
            return False
        entry = roster_entry(policy.holders[credential.cardholder], zone, here(now.at).day)
        return entry is not None and entry.is_opener

    # -- decisions -----------------------------------------------------------------------------------------------------

    def _decide(
        self,
        reader: str,
        portal: PortalId | None,
        asked: Request,
        now: Moment,
        turn: Turn,
        *,
        is_silent: bool = False,
    ) -> bool:
        """Decide, record, and arrange what follows once the record is durable. Returns whether it is a grant.

        `is_silent`: somebody else stands at the reader by now, and a refusal is not shown to him.
        """
        standing = self._standing
        place = None if portal is None else standing.policy.portals.get(portal)
        request = self._with_facts(asked, reader, portal)
        decision = decide(standing.policy, standing.occupancy, request, now)
        if decision.is_granted and place is not None:
            grant = self._grant(decision.cardholder, place, Direction.IN)
            index = self._record("ACCESS_GRANTED", decision, request, reader, now, turn, corr=grant.id)
            others = tuple(
                replace(self._grant(self._holder(one), place, Direction.IN), id=grant.id) for one in request.companions
            )
            turn.after.append(
                AfterGrant(
                    index=index,
                    portal=place.id,
                    grant=grant,
                    others=others,
                    not_after_tick_ms=now.tick_ms + GRANT_MS_MAX,
                    reader=reader,
                    asked=request,
                    revision=standing.at.revision,
                )
            )
            self._portals.promise(place.id)
            self._tell_of_grant(decision, request, now, turn)
            return True
        self._refuse(reader, decision, request, now, turn, is_silent=is_silent)
        return False

    def _with_facts(self, asked: Request, reader: str, portal: PortalId | None) -> Request:
        """`asked`, with what holds of the box and the portal now."""
        place = None if portal is None else self._standing.policy.portals.get(portal)
        is_installing = reader == self._secured.installing
        return replace(
            asked,
            reader_is_trusted=portal is not None and self._signals.is_sound(portal, reader) and not is_installing,
            is_commissioned=self._secured.is_commissioned(reader),
            ledger_is_writable=self._standing.is_writable,
            portal_is_locked=portal is not None and self._portals.mode(portal) is PortalMode.LOCKED,
            not_closed=frozenset() if place is None else self._portals.not_closed(place.interlock_with),
        )

    def _refuse(
        self, reader: str, decision: Decision, request: Request, now: Moment, turn: Turn, *, is_silent: bool = False
    ) -> None:
        """Record a refusal, and show it once that is durable."""
        number = self._refusal_numbers.next()
        index = self._record("ACCESS_DENIED", decision, request, reader, now, turn, number=number)
        self._tell_of_refusal(decision, request, now, turn)
        if request.read_is_repeated or is_silent:
            return  # what was shown last still stands
        is_alike = public_reason(decision.reason) is PublicReason.NO_AUTHORISATION
        show = ShowAtReader(reader=reader, shown=Shown.REFUSED if is_alike else Shown.OUT_OF_ORDER, number=number)
        if self._standing.is_writable:
            turn.after.append(AfterRefusal(index=index, show=show))
        else:
            turn.urgent.append(show)

    def _tell_of_grant(self, decision: Decision, request: Request, now: Moment, turn: Turn) -> None:
        """What an officer must hear of a grant, and nobody at the door."""
        self._tell_of_duress(decision, request, now, turn)
        waived = {finding.rule for finding in decision.findings if finding.kind is FindingKind.WAIVED}
        if "D18" in waived:
            self._alarm("APB_VIOLATION", decision, None, now, turn)

    def _tell_of_duress(self, decision: Decision, request: Request, now: Moment, turn: Turn) -> None:
        """Somebody is forced, whether the door opened or not (B-10)."""
        if any(one.pin is PinCheck.DURESS for one in (request.evidence, *request.companions)):
            self._alarm("DURESS", decision, None, now, turn)

    def _tell_of_refusal(self, decision: Decision, request: Request, now: Moment, turn: Turn) -> None:
        """What an officer must hear of a refusal beyond its record."""
        self._tell_of_duress(decision, request, now, turn)
        failed = [finding.reason for finding in decision.findings if finding.kind is FindingKind.FAILED]
        for rule in (finding.rule for finding in decision.findings if finding.reason is Reason.RULE_ERROR):
            detail = {"rule": rule, "error": "the rule broke, and the entry was refused for it"}
            draft = self._standing.scribe.draft("RULE_ERROR", now=now, portal=decision.portal, detail=detail)
            self._standing.record(draft, turn)
        for code in (_ALARMS[reason] for reason in failed if reason in _ALARMS):
            self._alarm("CREDENTIAL_ALARM", decision, code, now, turn)
        for one in (request.evidence, *request.companions):
            credential = self._standing.policy.by_number.get(one.number_hash)
            if credential is None:
                continue
            if credential.state in (CredentialState.LOST, CredentialState.DESTROYED):
                self._alarm("CREDENTIAL_ALARM", decision, "lost", now, turn, of=credential)
            if one.pin is PinCheck.WRONG and self._standing.is_pin_locked(credential.cardholder):
                self._alarm("PIN_LOCKED", decision, None, now, turn, of=credential)

    def _alarm(
        self,
        type_: str,
        decision: Decision,
        code: str | None,
        now: Moment,
        turn: Turn,
        *,
        of: Credential | None = None,
    ) -> None:
        """`of`: whose card it is, where that need not be the asker's."""
        draft = self._standing.scribe.draft(
            type_,
            now=now,
            portal=decision.portal,
            zone=decision.zone,
            cardholder=decision.cardholder if of is None else of.cardholder,
            credential=decision.credential if of is None else of.id,
            detail={"code": code} if code is not None else None,
        )
        self._standing.record(draft, turn)

    def _record(  # noqa: PLR0913 - one argument per part of the record
        self,
        type_: str,
        decision: Decision,
        request: Request,
        device: str,
        now: Moment,
        turn: Turn,
        *,
        corr: str | None = None,
        number: str | None = None,
    ) -> int:
        draft = self._standing.scribe.draft(
            type_,
            now=now,
            outcome=Outcome.DENIED if type_ == "ACCESS_DENIED" else Outcome.GRANTED,
            reason=decision.reason,
            zone=decision.zone,
            portal=decision.portal,
            access_point=decision.access_point,
            direction=decision.direction,
            cardholder=decision.cardholder,
            credential=decision.credential,
            evidence=self._reads.in_record(request.evidence),
            revision=self._standing.at.revision,
            corr=corr,
            trace=trace_of(decision.findings),
            detail={"device": device, "override": self._override_used(decision, now)},
            facts=_facts(request),
            companions=tuple(self._companion(one) for one in request.companions),
            escorts=tuple(self._companion(one) for one in request.escorts),
            number=number,
        )
        return self._standing.record(draft, turn)

    def _override_used(self, decision: Decision, now: Moment) -> str | None:
        """The break-glass without which a rule would have refused (A-21); None: no rule leant on one."""
        policy = self._standing.policy
        if decision.zone is None or decision.cardholder is None or decision.zone not in policy.overrides_of:
            return None
        if not any(one.kind is FindingKind.WAIVED and one.rule in BY_OVERRIDE for one in decision.findings):
            return None
        override = override_of(policy, decision.zone, decision.cardholder, now)
        return None if override is None else override.id

    def _companion(self, evidence: Evidence) -> body.Companion:
        credential = self._standing.policy.by_number.get(evidence.number_hash)
        return body.Companion(
            evidence=self._reads.in_record(evidence),
            cardholder=None if credential is None else credential.cardholder,
            credential=None if credential is None else credential.id,
        )

    def _unless_locked(self, evidence: Evidence) -> Evidence:
        """A PIN that was locked at another reader while this dialogue went on counts no more here either."""
        who = None if evidence.pin not in _TYPED else self._holder(evidence)
        if who is None or not self._standing.is_pin_locked(who):
            return evidence
        return replace(evidence, pin=PinCheck.LOCKED)

    def _numbers_of(self, who: CardholderId, dialogue: DialogueState) -> set[CardNumberHash]:
        """The cards of `who` among those let in lately."""
        return {one.evidence.number_hash for one in dialogue.recent if self._holder(one.evidence) == who}

    def _holder(self, evidence: Evidence) -> CardholderId | None:
        credential = self._standing.policy.by_number.get(evidence.number_hash)
        return None if credential is None else credential.cardholder

    # -- exits ---------------------------------------------------------------------------------------------------------

    def _exit(self, event: CardRead, portal_id: PortalId, now: Moment, turn: Turn) -> None:
        """A card at an exit reader: out at once, whoever it is. A read that was held back is nobody's exit: the line
        comes back, and a burglar waits outside. Nobody is known to have left by a copy, a replay, or the word of a
        reader that is not believed: it would let a card in twice.
        """
        if event.is_held_back or self._lateness.is_late(event.source, event.at_ms, now):
            self._noise.note(MessageRefused(source=event.source, why="late"), now, turn)
            if event.is_held_back:
                turn.urgent.append(ShowAtReader(reader=event.source, shown=Shown.NOT_READ))
            return
        standing = self._standing
        request = Request(
            access_point=exit_id(portal_id),
            evidence=self._reads.evidence(event),
            evidence_is_replayed=self._reads.is_replayed(event),
            reader_is_trusted=self._signals.is_believed(event.source),
        )
        is_copy = request.evidence.method is Method.FAKED
        is_known = request.reader_is_trusted and not (is_copy or request.evidence_is_replayed)
        decision = decide(standing.policy, standing.occupancy, request, now)
        who = decision.cardholder if is_known else None
        grant = self._grant(who, standing.policy.portals[portal_id], Direction.OUT)
        try:
            self._record("EXIT_GRANTED", decision, request, event.source, now, turn, corr=grant.id)
            if is_copy or request.evidence_is_replayed:
                self._alarm("CREDENTIAL_ALARM", decision, "copied" if is_copy else "replayed", now, turn)
        finally:  # whatever breaks in telling of it
            turn.urgent.append(ShowAtReader(reader=event.source, shown=Shown.GRANTED))
            self._portals.step(portal_id, ExitReleased(grant=grant, cause="card"), now, turn)

    def _may_ask(self, reader: str) -> bool:
        """Whether a PIN may be typed at this reader: not where somebody else may be reading along, or trying."""
        return self._signals.is_believed(reader) and reader != self._secured.installing

    def _is_talking(self, reader: str) -> bool:
        """Whether a dialogue is going on at this reader."""
        return self._dialogues.get(reader, DialogueState()).phase is not Phase.IDLE

    # -- small things --------------------------------------------------------------------------------------------------

    def _grant(self, cardholder: CardholderId | None, portal: Portal, direction: Direction) -> Grant:
        to_zone = portal.inner if direction is Direction.IN else portal.outer
        holder = None if cardholder is None else self._standing.policy.cardholders.get(cardholder)
        return Grant(
            id=self._next_grant(),
            cardholder=cardholder,
            to_zone=to_zone,
            direction=direction,
            held_extra_ms=0 if holder is None else holder.held_extra_ms,
        )


def _facts(request: Request) -> body.Facts | None:
    """What was not as usual, or None."""
    facts = body.Facts(
        reader_is_trusted=request.reader_is_trusted,
        ledger_is_writable=request.ledger_is_writable,
        policy_age_ms=request.policy_age_ms,
        read_is_stale=request.read_is_stale,
        read_is_repeated=request.read_is_repeated,
        evidence_is_replayed=request.evidence_is_replayed,
        portal_is_locked=request.portal_is_locked,
        not_closed=tuple(sorted(request.not_closed)),
        is_commissioned=request.is_commissioned,
    )
    return None if facts == _USUAL else facts


_USUAL: Final = body.Facts()
