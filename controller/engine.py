"""The deciding core: events in, one `Turn` out. No I/O, no clock, no threads; randomness only as given ids.

It holds what changes from moment to moment (portals, occupancy, which devices answer) and the policy in force, and
asks `zones` for every decision. What it may not do is written in `controller.turn`: an entry is released by
`committed` alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from controller.cards import CardNumbers, last4
from controller.clock import wall_ms
from controller.config import Wiring
from controller.desk import Desk, LinkRequest
from controller.lateness import Lateness
from controller.ledger import body
from controller.ledger.body import Scribe
from controller.link.messages import Done, Refused
from controller.noise import Noise
from controller.policy_log import PolicyAt
from controller.records import happening_record, trace_of, undone
from controller.turn import (
    AfterEdit,
    AfterGrant,
    AfterNote,
    AfterRefusal,
    AfterRefused,
    Answer,
    ShowAtReader,
    Shown,
    Turn,
)
from readers.events import (
    CardAnswered,
    CardRead,
    DeviceOffline,
    DeviceOnline,
    Event,
    InputChanged,
    LineNoise,
    MessageRefused,
    OutputReported,
)
from zones.decision import Decision, Evidence, Method, Outcome, Reason, Request, decide
from zones.decision.reasons import PublicReason, public_reason
from zones.ids import AccessPointId, CardholderId, PortalId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.places import Direction, Portal, entry_id, exit_id
from zones.portal import (
    EntryGranted,
    ExitCompleted,
    ExitReleased,
    Grant,
    Input,
    LeafClosed,
    LeafLevel,
    LeafOpened,
    PassageCompleted,
    Phase,
    PortalState,
    TimePassed,
    deadline,
    step,
)

READ_AGE_MS_MAX: Final = 5_000
"""A read that a device stamped earlier (or later) than this is late or from a wrong clock: refused."""

REPEAT_MS: Final = 1_000
"""The same number at the same reader within this time is one presentation."""

GRANT_MS_MAX: Final = 3_000
"""A grant whose record took longer than this to become durable releases nothing."""


def portals_of_devices(wiring: Wiring) -> dict[str, PortalId]:
    """The portal that each device serves; a relay board with strikes of several portals serves none in particular."""
    found: dict[str, PortalId] = {}
    for table in (wiring.entry_readers, wiring.exit_readers, wiring.contacts, wiring.rexes):
        found |= table
    return found | {s.device: portal for portal, s in wiring.strikes.items() if s.channel is None}


class Engine:
    """Decides. One thread owns it.

    Args:
        wiring: which device belongs to which portal.
        policy: the policy in force and its revision.
        occupancy: last known places.
        scribe: drafts records for this node and boot.
        numbers: hashes card numbers.
        boot: this start's id; grants are named after it.
        now: the time of the start.
    """

    def __init__(
        self,
        *,
        wiring: Wiring,
        policy: PolicyAt,
        occupancy: Occupancy,
        scribe: Scribe,
        numbers: CardNumbers,
        boot: str,
        devices: Iterable[str] = (),
    ) -> None:
        self.policy = policy
        self.occupancy = occupancy
        self.is_writable = True
        self.offline: set[str] = set(devices)
        self._wiring = wiring
        self._scribe = scribe
        self._numbers = numbers
        self._boot = boot
        self._grants = 0
        self._portals: dict[PortalId, PortalState] = {}
        self._recent: OrderedDict[tuple[str, bytes], int] = OrderedDict()
        self._noise = Noise(scribe)
        self.lateness = Lateness()
        self._portal_of = portals_of_devices(wiring)
        self._desk = Desk(scribe=scribe, numbers=numbers, boot=boot, is_reachable=self._strike_answers)
        self._known_devices = frozenset(self.offline)
        self._unheard = set(self.offline)
        self._clock_was_trusted = True

    # -- the face ----------------------------------------------------------------------------------------------

    def take(self, events: Iterable[Event | LinkRequest], now: Moment) -> Turn:
        """Handle what the inbox held. An event that makes a rule or a machine raise is recorded and opens nothing."""
        turn = Turn()
        self._watch_clock(now, turn)
        for event in events:
            try:
                self._handle(event, now, turn)
            except Exception as error:  # noqa: BLE001 - the loop's rim: record, alarm, deny (design §1 P1)
                turn.record(
                    self._scribe.draft(
                        "RULE_ERROR", now=now, detail={"rule": type(event).__name__, "error": repr(error)[:200]}
                    )
                )
        self._pass_time(now, turn)
        return turn

    def committed(self, turn: Turn, first_seq: int, now: Moment) -> Turn:
        """The records of `turn` are on disk from `first_seq` on: act. The turn returned holds what follows."""
        out = Turn()
        for after in turn.after:
            seq = first_seq + after.index
            match after:
                case AfterGrant():
                    self._release(after, seq, now, out)
                case AfterRefusal():
                    out.urgent.append(ShowAtReader(reader=after.reader, shown=after.shown))
                case AfterEdit():
                    self.policy = PolicyAt(policy=after.policy.policy, revision=after.policy.revision, seq=seq)
                    self._desk.edit_done()
                    if after.session is not None:
                        done = Done(id=after.request_id, seq=seq, revision=self.policy.revision)
                        out.urgent.append(Answer(session=after.session, message=done))
                case AfterNote():
                    out.urgent.append(Answer(session=after.session, message=Done(id=after.request_id, seq=seq)))
                case AfterRefused():
                    refused = Refused(id=after.request_id, code=after.code, why=after.why, field=after.field, seq=seq)
                    out.urgent.append(Answer(session=after.session, message=refused))
        return out

    def failed(self, turn: Turn) -> Turn:
        """The records of `turn` could not be written. Nothing of it happens: its grants become refusals, owed to the
        ledger; its edits never came into force; those who wait are told.
        """
        out = Turn(records=list(turn.records))
        for after in turn.after:
            match after:
                case AfterGrant():
                    out.records[after.index] = undone(turn.records[after.index])
                    if after.reader is not None:
                        out.urgent.append(ShowAtReader(reader=after.reader, shown=Shown.OUT_OF_ORDER))
                case AfterRefusal():
                    out.urgent.append(ShowAtReader(reader=after.reader, shown=after.shown))
                case AfterEdit():
                    out.records[after.index] = undone(turn.records[after.index])
                    self._desk.edit_done()
            if not isinstance(after, AfterRefusal) and after.session is not None:
                why = "the ledger cannot be written; nothing was changed"
                refused = Refused(id=after.request_id, code="ledger_unavailable", why=why)
                out.urgent.append(Answer(session=after.session, message=refused))
        return out

    def has_due(self, now: Moment) -> bool:
        """Whether something is to be done at `now` even without an event."""
        due = self.deadline()
        return (due is not None and due <= now.tick_ms) or now.is_trusted is not self._clock_was_trusted

    def deadline(self) -> int | None:
        """The next tick (ms) at which something is due, or None."""
        due = [tick for state in self._portals.values() if (tick := deadline(state)) is not None]
        return min(due, default=None)

    # -- events ------------------------------------------------------------------------------------------------

    def _handle(self, event: Event | LinkRequest, now: Moment, turn: Turn) -> None:
        match event:
            case CardRead():
                self._card(event, now, turn)
            case InputChanged():
                self._input(event, now, turn)
            case DeviceOnline() | DeviceOffline():
                self._presence(event, now, turn)
            case LineNoise() | MessageRefused():
                self._noise.note(event, now, turn)
            case CardAnswered() | OutputReported():
                pass  # card authentication and confirmed outputs come with the wires
            case LinkRequest():
                self._desk.handle(event, self.policy, self.is_writable, now, turn, self._next_grant)

    def _presence(self, event: DeviceOnline | DeviceOffline, now: Moment, turn: Turn) -> None:
        """A device came or went. One that the site file does not know is noise."""
        if event.source not in self._known_devices:
            self._noise.note(MessageRefused(source=event.source, why="undeclared device"), now, turn)
            return
        self.lateness.forget(event.source)
        portal = self._portal_of.get(event.source)
        was_offline = event.source in self.offline
        if isinstance(event, DeviceOnline) and was_offline:
            self._unheard.discard(event.source)
            self.offline.discard(event.source)
            turn.record(self._scribe.draft("DEVICE_ONLINE", now=now, portal=portal, detail={"device": event.source}))
        elif isinstance(event, DeviceOffline):
            self.offline.add(event.source)
            if not was_offline or event.source in self._unheard:
                turn.record(
                    self._scribe.draft(
                        "DEVICE_OFFLINE",
                        now=now,
                        portal=portal,
                        detail={"device": event.source, "why": event.why[:200]},
                    )
                )
            self._unheard.discard(event.source)

    def _input(self, event: InputChanged, now: Moment, turn: Turn) -> None:
        wiring = self._wiring
        if event.line == "contact" and (portal := wiring.contacts.get(event.source)) is not None:
            if event.is_level_report:
                self._step(portal, LeafLevel(is_open=event.is_active), now, turn)
            else:
                self._step(portal, LeafOpened() if event.is_active else LeafClosed(), now, turn)
        elif event.line == "rex" and (portal := wiring.rexes.get(event.source)) is not None:
            if event.is_active and not event.is_level_report:
                if self.lateness.is_late(event.source, event.at_ms, now):
                    self._noise.note(MessageRefused(source=event.source, why="late"), now, turn)
                else:
                    self._rex(portal, now, turn)
        else:
            self._noise.note(MessageRefused(source=event.source, why=f"no input {event.line[:32]} is wired"), now, turn)

    def _rex(self, portal_id: PortalId, now: Moment, turn: Turn) -> None:
        """Egress is never a permission (P3): the effect goes out in this turn, whatever the ledger does."""
        portal = self.policy.policy.portals[portal_id]
        turn.record(self._scribe.draft("REX", now=now, portal=portal_id, zone=portal.outer, direction=Direction.OUT))
        self._step(portal_id, ExitReleased(grant=None, cause="rex"), now, turn)

    def _card(self, event: CardRead, now: Moment, turn: Turn) -> None:
        if (portal := self._wiring.exit_readers.get(event.source)) is not None:
            self._exit(event, portal, now, turn)
            return
        portal = self._wiring.entry_readers.get(event.source)
        access_point = AccessPointId(event.source) if portal is None else entry_id(portal)
        evidence = Evidence(number_hash=self._numbers.hash(event.number), method=Method.UID, factors=0)
        request = Request(
            access_point=access_point,
            evidence=evidence,
            reader_is_trusted=portal is not None and self._is_sound(portal, event.source),
            ledger_is_writable=self.is_writable,
        )
        decision = decide(self.policy.policy, self.occupancy, request, now)
        reason = self._wire_reason(event, now) or decision.reason
        if decision.is_granted and reason is decision.reason and portal is not None:
            grant = self._grant(decision.cardholder, self.policy.policy.portals[portal], Direction.IN)
            index = self._record_decision("ACCESS_GRANTED", decision, reason, grant.id, event, now, turn)
            expiry = now.tick_ms + GRANT_MS_MAX
            after = AfterGrant(index=index, portal=portal, grant=grant, not_after_tick_ms=expiry, reader=event.source)
            turn.after.append(after)
            return
        index = self._record_decision("ACCESS_DENIED", decision, reason, None, event, now, turn)
        is_alike = public_reason(reason) is PublicReason.NO_AUTHORISATION
        shown = Shown.REFUSED if is_alike else Shown.OUT_OF_ORDER
        if self.is_writable:
            turn.after.append(AfterRefusal(index=index, reader=event.source, shown=shown))
        else:
            turn.urgent.append(ShowAtReader(reader=event.source, shown=shown))

    def _wire_reason(self, event: CardRead, now: Moment) -> Reason | None:
        """What the wire itself says against a read: it is late, or it is the same presentation again."""
        if event.at_ms is not None and abs(wall_ms(now.at) - event.at_ms) > READ_AGE_MS_MAX:
            return Reason.READ_STALE
        key = (event.source, event.number)
        before = self._recent.pop(key, None)
        self._recent[key] = now.tick_ms
        if len(self._recent) > 4096:
            self._recent.popitem(last=False)
        return Reason.REPEATED_READ if before is not None and now.tick_ms - before < REPEAT_MS else None

    def _strike_answers(self, portal: PortalId) -> bool:
        """Whether the device that this portal's strike hangs on is there."""
        return self._wiring.strikes[portal].device not in self.offline

    def _is_sound(self, portal: PortalId, reader: str) -> bool:
        """Whether all that guards this portal is in order: its reader, its strike and, where it has one, its contact,
        which must not say that the leaf was forced: then nobody knows what an opening means.
        """
        state = self._portals.get(portal)
        if state is not None and state.phase is Phase.FORCED:
            return False
        if reader in self.offline or not self._strike_answers(portal):
            return False
        return not any(p == portal and device in self.offline for device, p in self._wiring.contacts.items())

    def _exit(self, event: CardRead, portal_id: PortalId, now: Moment, turn: Turn) -> None:
        """A card at an exit reader: out at once, whoever it is. A read that was held back is nobody's exit."""
        if self.lateness.is_late(event.source, event.at_ms, now):
            self._noise.note(MessageRefused(source=event.source, why="late"), now, turn)
            return
        policy = self.policy.policy
        evidence = Evidence(number_hash=self._numbers.hash(event.number), method=Method.UID, factors=0)
        decision = decide(policy, self.occupancy, Request(access_point=exit_id(portal_id), evidence=evidence), now)
        grant = self._grant(decision.cardholder, policy.portals[portal_id], Direction.OUT)
        self._record_decision("EXIT_GRANTED", decision, decision.reason, grant.id, event, now, turn)
        turn.urgent.append(ShowAtReader(reader=event.source, shown=Shown.GRANTED))
        self._step(portal_id, ExitReleased(grant=grant, cause="card"), now, turn)

    def _record_decision(
        self,
        type_: str,
        decision: Decision,
        reason: Reason,
        corr: str | None,
        event: CardRead,
        now: Moment,
        turn: Turn,
    ) -> int:
        draft = self._scribe.draft(
            type_,
            now=now,
            outcome=Outcome.DENIED if type_ == "ACCESS_DENIED" else Outcome.GRANTED,
            reason=reason,
            zone=decision.zone,
            portal=decision.portal,
            access_point=decision.access_point,
            direction=decision.direction,
            cardholder=decision.cardholder,
            credential=decision.credential,
            evidence=body.Evidence(method=Method.UID, factors=0, last4=last4(event.number)),
            revision=self.policy.revision,
            corr=corr,
            trace=trace_of(decision.findings),
            detail={"device": event.source},
        )
        return turn.record(draft)

    # -- portals -----------------------------------------------------------------------------------------------

    def _next_grant(self) -> str:
        self._grants += 1
        return f"{self._boot}-{self._grants}"

    def _grant(self, cardholder: CardholderId | None, portal: Portal, direction: Direction) -> Grant:
        to_zone = portal.inner if direction is Direction.IN else portal.outer
        return Grant(id=self._next_grant(), cardholder=cardholder, to_zone=to_zone, direction=direction)

    def _release(self, after: AfterGrant, seq: int, now: Moment, out: Turn) -> None:
        """The record is durable: release, unless that took so long that nobody expects the strike any more."""
        is_late = now.tick_ms > after.not_after_tick_ms
        if is_late:
            draft = self._scribe.draft(
                "RELEASE_EXPIRED", now=now, portal=after.portal, zone=after.grant.to_zone, corr=after.grant.id
            )
            out.record(draft)
        else:
            self._step(after.portal, EntryGranted(grant=after.grant), now, out)
        if after.reader is not None:
            out.urgent.append(ShowAtReader(reader=after.reader, shown=Shown.OUT_OF_ORDER if is_late else Shown.GRANTED))
        if after.session is not None:
            why = "recorded, but too late to act on; send it again if it is still wanted"
            late = Refused(id=after.request_id, code="expired", why=why, seq=seq)
            answer = late if is_late else Done(id=after.request_id, seq=seq)
            out.urgent.append(Answer(session=after.session, message=answer))

    def _step(self, portal_id: PortalId, what: Input, now: Moment, turn: Turn) -> None:
        portal = self.policy.policy.portals[portal_id]
        taken = step(portal, self._portals.get(portal_id, PortalState()), what, now)
        self._portals[portal_id] = taken.state
        turn.urgent.extend(taken.effects)
        for happening in taken.happenings:
            turn.record(happening_record(self._scribe, portal, happening, self.policy.revision, now))
            if isinstance(happening, PassageCompleted) and happening.grant.cardholder is not None:
                self.occupancy = self.occupancy.moved(happening.grant.cardholder, happening.grant.to_zone)
            elif isinstance(happening, ExitCompleted):
                self._doubt(portal)

    def _doubt(self, portal: Portal) -> None:
        """Somebody left and nobody knows who: no place inside is certain any more (A-05)."""
        inside = self.policy.policy.insides.get(portal.inner, frozenset())
        self.occupancy = self.occupancy.left_unseen(inside | {portal.inner})

    def _pass_time(self, now: Moment, turn: Turn) -> None:
        for portal_id, state in list(self._portals.items()):
            due = deadline(state)
            if due is not None and due <= now.tick_ms and portal_id in self.policy.policy.portals:
                self._step(portal_id, TimePassed(), now, turn)

    def _watch_clock(self, now: Moment, turn: Turn) -> None:
        if now.is_trusted != self._clock_was_trusted:
            self._clock_was_trusted = now.is_trusted
            turn.record(self._scribe.draft("CLOCK_TRUSTED" if now.is_trusted else "CLOCK_UNTRUSTED", now=now))
