"""The deciding core: events in, one `Turn` out. No I/O, no clock, no threads; randomness only as given ids.

It holds what changes from moment to moment (portals, occupancy, which devices answer) and the policy in force, and
asks `zones` for every decision. What it may not do is written in `controller.turn`: an entry is released by
`committed` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date
from typing import Any, Final, NamedTuple

from controller.cards import CardNumbers
from controller.clock_watch import ClockWatch
from controller.config import Wiring
from controller.desk import Desk, LinkRequest
from controller.edit_desk import ROWS_MAX
from controller.enrolment import Enrolment
from controller.entries import Entries
from controller.keystore.jobs import KeysStored, KeyView
from controller.lateness import Lateness
from controller.ledger.body import Body, Draft, Scribe
from controller.link.messages import Command, Done, Order, Prepare, Refused
from controller.log_chores import BodiesDropped, ExpiredFound, LogLearnt, LogReport, ReviewLearnt
from controller.log_desk import LogDesk, LogSetup
from controller.log_review import LogReview, ReviewSetup
from controller.noise import Noise
from controller.officer_desk import OfficersSetup
from controller.output_watch import OutputWatch
from controller.pin_setting import PinsHashed, sets_pins
from controller.pins import PinAnswered, PinJob, PinMisses
from controller.policy_log import PolicyAt
from controller.portals import Portals, shut_zones
from controller.records import undone
from controller.refusal_numbers import RefusalNumbers
from controller.secured_readers import SecuredReaders
from controller.signals import Signals
from controller.standing import Standing
from controller.turn import (
    After,
    AfterDeviceOrder,
    AfterEdit,
    AfterGrant,
    AfterHold,
    AfterMode,
    AfterNote,
    AfterPurge,
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
    CardUnread,
    DeviceOffline,
    DeviceOnline,
    Event,
    FileSent,
    InputChanged,
    InstallEnded,
    KeyRenewed,
    KeysEntered,
    LineFault,
    LineNoise,
    MakerReplied,
    MessageRefused,
    OutputReported,
    PeopleCounted,
    ReaderDistrusted,
    ReaderIdentified,
)
from zones.ids import CardholderId, DeviceId, PortalId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.places import DeviceStatus, PortalMode, ZoneState, ZoneStatus
from zones.policy import TABLE_OF, Row
from zones.portal import EntryGranted, Happening, Phase
from zones.unusual import Habits
from zones.watch import Alarm, Ceased, ConditionKind, Watch, look
from zones.watch import deadline as watch_deadline

Happened = Event | LinkRequest | PinAnswered | PinsHashed | KeysStored | LogReport
"""What a turn of the loop may be about."""

_WITH_ROW: Final = frozenset({ConditionKind.OVERRIDE_ENDED, ConditionKind.NOT_CLOSED})
"""Alarms of the watch that are about a row of the policy, or a day."""

_HELD_AT_ONCE: Final = frozenset({"PRESENCE_FORGIVEN", "PIN_UNLOCKED", "FIRE_RESET"})
"""Orders that hold from the turn in which they were given, so that a replay of the records finds the same."""

HASHING_MAX: Final = 8
"""Proposals whose PINs may wait to be hashed. Officers set one at a time; more is a flood."""

HASHING_MS: Final = 60_000
"""A proposal that did not come back from the hashing in this time will not."""

SAID_AGAIN_MS: Final = 60_000
"""A part that breaks in every turn is recorded this often."""

Moved = Callable[[Moment, Turn], None]
Handler = Callable[[Any, Moment, Turn], None]


def _for_whoever_asked(_event: object, _now: Moment, _turn: Turn) -> None:
    """Answers to a question on the wire: whoever asked it hears them there."""


class Watching(NamedTuple):
    """What officers are told of besides alarms: what is unusual, and that nobody looked through the log. `review` None:
    nobody need look.
    """

    habits: Habits = Habits()
    review: ReviewSetup | None = None


class Engine:
    """Decides. One thread owns it.

    Args:
        wiring: which device belongs to which portal.
        policy: the policy in force and its revision.
        occupancy: last known places.
        misses: PINs missed in a row.
        scribe: drafts records for this node and boot.
        numbers: hashes card numbers.
        boot: this start's id; grants are named after it.
        random: gives random bytes, for the numbers on refusals.
        check_pin: has typed digits checked, elsewhere; the answer comes as an event.
        hash_pins: has the PINs of a proposal hashed, elsewhere; the outcome comes as an event.
        devices: every device of the site file.
        last_day: the last day (in Japan) that the ledger knows of, so that a midnight while nobody watched counts.
        keys: what the key store holds.
        log: who administers the ledger and what is kept how long; None: nothing is ever dropped.
        watching: what is usual at this site, and by when somebody looks through the log (A-14, A-15).
        officers: who we are to passkeys, and what gives tickets.
        is_clock_trusted: what the start found and recorded of the wall clock.
    """

    def __init__(  # noqa: PLR0913 - one argument per thing that a start knows
        self,
        *,
        wiring: Wiring,
        policy: PolicyAt,
        occupancy: Occupancy,
        scribe: Scribe,
        numbers: CardNumbers,
        boot: str,
        random: Callable[[int], bytes],
        check_pin: Callable[[PinJob], None],
        hash_pins: Callable[[LinkRequest, Iterable[str]], None],
        misses: PinMisses | None = None,
        devices: Iterable[str] = (),
        last_day: date | None = None,
        keys: KeyView | None = None,
        log: LogSetup | None = None,
        watching: Watching | None = None,
        officers: OfficersSetup | None = None,
        is_clock_trusted: bool = True,
    ) -> None:
        known, watching = frozenset(devices), watching or Watching()
        self.lateness = Lateness()
        self._standing = Standing(
            policy=policy,
            occupancy=occupancy,
            misses=misses or PinMisses(),
            scribe=scribe,
            offline=set(known),
            habits=watching.habits,
        )
        self._scribe = scribe
        self._boot = boot
        self._grants = 0
        self._hash_pins = hash_pins
        self._hashing: deque[int] = deque()
        self._broken: dict[str, int] = {}
        self._noise = Noise(scribe)
        self._portals = Portals(self._standing, self._told)
        self._signals = Signals(
            standing=self._standing,
            wiring=wiring,
            portals=self._portals,
            lateness=self.lateness,
            noise=self._noise,
            distrust=self._distrust,
            devices=known,
        )
        self._secured = SecuredReaders(
            standing=self._standing,
            readers=wiring.secured,
            buses=wiring.buses,
            challenging=wiring.challenging,
            view=keys or KeyView(),
            distrust=self._distrust,
        )
        self._enrolment = Enrolment(standing=self._standing, wiring=wiring, devices=known)
        self._entries = self._made_entries(wiring, numbers, RefusalNumbers(random), check_pin)
        self._log = LogDesk(self._standing, boot, log)
        self._review = LogReview(self._standing, watching.review)
        self._officers = officers
        self._desk = self._made_desk(numbers)
        self._outputs = OutputWatch(self._standing, wiring)
        self._handlers = self._heard_by()
        self._clocks = ClockWatch(self._standing)
        self._watch = Watch(day=last_day)
        self._from_portals: dict[tuple[str, str], ZoneState | bool] = {}
        self._clock_was_trusted = is_clock_trusted

    def _made_entries(
        self,
        wiring: Wiring,
        numbers: CardNumbers,
        refusal_numbers: RefusalNumbers,
        check_pin: Callable[[PinJob], None],
    ) -> Entries:
        return Entries(
            standing=self._standing,
            wiring=wiring,
            portals=self._portals,
            signals=self._signals,
            lateness=self.lateness,
            noise=self._noise,
            numbers=numbers,
            refusal_numbers=refusal_numbers,
            check_pin=check_pin,
            next_grant=self._next_grant,
            secured=self._secured,
            enrolment=self._enrolment,
        )

    def _made_desk(self, numbers: CardNumbers) -> Desk:
        return Desk(
            standing=self._standing,
            numbers=numbers,
            boot=self._boot,
            is_reachable=self._signals.strike_answers,
            is_fire=lambda: self._signals.is_fire,
            is_locked=lambda portal: self._portals.mode(portal) is PortalMode.LOCKED,
            not_closed=self._portals.not_closed,
            secured=self._secured,
            log=self._log,
            review=self._review,
            enrolment=self._enrolment,
            officers=self._officers,
        )

    def _heard_by(self) -> dict[type[Any], Handler]:
        """Who hears of what: every kind of event stands here. A kind that nobody knows is an error, and recorded."""
        entries, signals, secured, noise = self._entries, self._signals, self._secured, self._noise
        return {
            CardRead: entries.card,
            CardUnread: entries.unread,
            KeysEntered: entries.keys,
            PinAnswered: entries.pin_answered,
            InputChanged: signals.input,
            LineFault: signals.fault,
            PeopleCounted: signals.counted,
            DeviceOnline: signals.presence,
            DeviceOffline: signals.presence,
            LineNoise: noise.note,
            MessageRefused: noise.note,
            ReaderIdentified: secured.identified,
            ReaderDistrusted: secured.distrusted,
            InstallEnded: secured.install_ended,
            KeyRenewed: secured.renewed,
            KeysStored: secured.stored,
            OutputReported: self._outputs.reported,
            LinkRequest: self._request,
            PinsHashed: self._hashed,
            LogLearnt: self._log.learnt,
            ExpiredFound: self._log.found,
            BodiesDropped: self._log.dropped,
            ReviewLearnt: self._review.learnt,
            **dict.fromkeys((CardAnswered, FileSent, MakerReplied), _for_whoever_asked),
        }

    # -- the face ----------------------------------------------------------------------------------------------

    @property
    def policy(self) -> PolicyAt:
        """The policy in force and its revision."""
        return self._standing.at

    @property
    def occupancy(self) -> Occupancy:
        """Who is where, as far as is known."""
        return self._standing.occupancy

    def take_phases(self) -> dict[PortalId, Phase]:
        """Portals that are in another phase since the last call."""
        return self._portals.take_changed()

    @property
    def offline(self) -> set[str]:
        """Devices that do not answer."""
        return self._standing.offline

    def is_trusted(self, device: str) -> bool:
        """Whether a device is believed: nobody opened it or put another in its place."""
        return self._signals.is_believed(device)

    def is_commissioned(self, device: str) -> bool:
        """Whether nothing that the factory set is left in what a reader goes by (B-14)."""
        return self._secured.is_commissioned(device)

    @property
    def is_writable(self) -> bool:
        """Whether an entry decided now could be recorded now."""
        return self._standing.is_writable

    @is_writable.setter
    def is_writable(self, is_writable: bool) -> None:
        if is_writable is not self._standing.is_writable:
            self._portals.look_soon()
        self._standing.is_writable = is_writable

    def take(self, events: Iterable[Happened], now: Moment) -> Turn:
        """Handle what the inbox held. An event that makes a rule or a machine raise is recorded and opens nothing.

        Nothing that breaks keeps the turn from ending: exits that are in it go out.
        """
        turn = Turn()
        self._watch_clock(now, turn)
        for event in events:
            try:
                self._handle(event, now, turn)
            except Exception as error:  # noqa: BLE001 - the loop's rim: record, alarm, deny (design §1 P1)
                detail = {"rule": type(event).__name__, "error": repr(error)[:200]}
                turn.record(self._scribe.draft("RULE_ERROR", now=now, detail=detail))
        self._attempt("portals", self._portals.pass_time, now, turn)
        self._attempt("dialogues", self._entries.pass_time, now, turn)
        self._attempt("readers", self._secured.pass_time, now, turn)
        self._attempt("enrolment", self._enrolment.pass_time, now, turn)
        self._attempt("watch", self._afterwards, now, turn)
        self._attempt("outputs", self._outputs.look, now, turn)
        self._attempt("log", self._log.pass_time, now, turn)
        self._attempt("review", self._review.pass_time, now, turn)
        return turn

    def committed(self, turn: Turn, first_seq: int, now: Moment) -> Turn:
        """The records of `turn` are on disk from `first_seq` on: act. The turn returned holds what follows."""
        out = Turn()
        self._review.recorded(turn.records, first_seq)
        for after in turn.after:
            seq = first_seq + after.index
            match after:
                case AfterGrant():
                    self._portals.keep_promise(after.portal)
                    self._release(after, seq, now, out)
                case AfterMode():
                    self._portals.unlock(after, now, out)
                case AfterRefusal():
                    out.urgent.append(after.show)
                case AfterEdit():
                    self._adopt(after, turn.records[after.index].body, seq, now, out)
                case AfterNote():
                    message = after.told or Done(id=after.request_id, seq=seq)
                    out.urgent.append(Answer(session=after.session, message=message))
                case AfterDeviceOrder(session=session, order=order):
                    self._secured.carry_out(order, now, out)
                    out.urgent.append(Answer(session=session, message=Done(id=order.id, seq=seq)))
                case AfterHold() | AfterPurge():
                    self._log.recorded(after, seq, out)
                case AfterRefused():
                    refused = Refused(id=after.request_id, code=after.code, why=after.why, field=after.field, seq=seq)
                    out.urgent.append(Answer(session=after.session, message=refused))
        self._attempt("watch", self._afterwards, now, out)
        self._attempt("outputs", self._outputs.look, now, out)
        return out

    def failed(self, turn: Turn) -> Turn:
        """The records of `turn` could not be written. Nothing of it happens: its grants become refusals, owed to the
        ledger; its edits never came into force; those who wait are told.
        """
        out = Turn(records=list(turn.records))
        for after in turn.after:
            match after:
                case AfterGrant():
                    self._portals.keep_promise(after.portal)
                    self._entries.let_go(after)
                    self._standing.forget(after.grant.id)
                    out.records[after.index] = undone(turn.records[after.index])
                    if after.reader is not None:
                        out.urgent.append(ShowAtReader(reader=after.reader, shown=Shown.OUT_OF_ORDER))
                case AfterMode():
                    self._portals.not_unlocked(after)
                case AfterRefusal():
                    is_done = after.show.shown is Shown.GRANTED  # a zone secured at the door: not yet
                    show = ShowAtReader(reader=after.show.reader, shown=Shown.OUT_OF_ORDER)
                    out.urgent.append(show if is_done else after.show)
                case AfterEdit():
                    out.records[after.index] = undone(turn.records[after.index])
                    self._desk.edit_done()
                case AfterHold() | AfterPurge():
                    out.records[after.index] = undone(turn.records[after.index])
                    self._log.not_recorded(after)
                case AfterDeviceOrder(order=order):
                    self._secured.give_up(order)
            _tell_failed(after, turn.records[after.index], out)
        return out

    def follow(self, draft: Draft) -> None:
        """Learn from a record that somebody else drafted."""
        self._standing.follow(draft.body)

    def has_due(self, now: Moment) -> bool:
        """Whether something is to be done at `now` even without an event."""
        due = self.deadline()
        is_clock_moved = now.is_trusted is not self._clock_was_trusted or self._clocks.is_set(now)
        return (due is not None and due <= now.tick_ms) or is_clock_moved

    def deadline(self) -> int | None:
        """The next tick (ms) at which something is due, or None."""
        due = (
            self._portals.deadline(),
            self._entries.deadline(),
            self._secured.deadline(),
            self._enrolment.deadline(),
            self._outputs.deadline(),
            self._log.deadline(),
            self._review.deadline(),
            watch_deadline(self._watch),
            self._standing.noticing.deadline(),
        )
        return min((tick for tick in due if tick is not None), default=None)

    # -- events ------------------------------------------------------------------------------------------------

    def _handle(self, event: Happened, now: Moment, turn: Turn) -> None:
        self._handlers[type(event)](event, now, turn)
        at_ms = getattr(event, "at_ms", None)
        if at_ms is not None and isinstance(event, CardRead | KeysEntered | InputChanged | LineFault | PeopleCounted):
            is_old = getattr(event, "is_held_back", False) or getattr(event, "is_level_report", False)
            self._clocks.heard(event.source, None if is_old else at_ms, now, turn)

    def _request(self, request: LinkRequest, now: Moment, turn: Turn) -> None:
        """A request of the web process. One that sets PINs is judged when their slow hashes are done."""
        message = request.message
        is_too_large = isinstance(message, Prepare) and len(message.puts) > ROWS_MAX  # refused as any such
        if not sets_pins(message) or is_too_large or not self._standing.is_writable:
            self._carry_out(request, now, turn)
            return
        while self._hashing and now.tick_ms - self._hashing[0] > HASHING_MS:
            self._hashing.popleft()
        if len(self._hashing) >= HASHING_MAX:
            why = "too many PINs are being set at once; try again in a minute"
            self._desk.refuse_pins(request, why, now, turn, code="busy")
            return
        self._hashing.append(now.tick_ms)
        last4s = (credential.last4 for credential in self._standing.policy.credentials.values())
        self._hash_pins(request, last4s)

    def _hashed(self, event: PinsHashed, now: Moment, turn: Turn) -> None:
        if self._hashing:
            self._hashing.popleft()
        if event.why:
            self._desk.refuse_pins(event.request, f"pin {event.row}: {event.why}", now, turn)
        else:
            self._carry_out(event.request, now, turn)

    def _carry_out(self, request: LinkRequest, now: Moment, turn: Turn) -> None:
        is_accepted = self._desk.handle(request, now, turn, self._next_grant)
        message = request.message
        if is_accepted and isinstance(message, Command):
            self._portals.promise(PortalId(message.portal))
        if is_accepted and isinstance(message, Order):
            self._follow_order(message, now, turn)

    def _follow_order(self, order: Order, now: Moment, turn: Turn) -> None:
        """What an order comes to besides its record."""
        if order.act == "reset_fire":
            self._signals.reset_fire(now, turn)
        elif order.act == "unlock_pin" and order.cardholder in self._standing.policy.pins:
            self._from_portals["pin", str(order.cardholder)] = False

    def _told(self, portal: PortalId, what: Happening) -> None:
        self._entries.told(portal, what)

    def _attempt(self, part: str, move: Moved, now: Moment, turn: Turn) -> None:
        """Let a part of the engine do what is due. One that breaks is recorded, now and then, and stops no other."""
        try:
            move(now, turn)
        except Exception as error:  # noqa: BLE001 - the loop's rim: record, alarm, deny (design §1 P1, P3)
            said = self._broken.get(part)
            if said is None or now.tick_ms - said >= SAID_AGAIN_MS:
                self._broken[part] = now.tick_ms
                detail = {"rule": part, "error": repr(error)[:200]}
                turn.record(self._scribe.draft("RULE_ERROR", now=now, detail=detail))

    # -- what follows from what happened -------------------------------------------------------------------------

    def _adopt(self, after: AfterEdit, body: Body, seq: int, now: Moment, out: Turn) -> None:
        """An edit is recorded: it is in force. What it shuts is shut at once, for those who were on their way too."""
        before, shut = self._standing.policy, shut_zones(self._standing.policy)
        new = PolicyAt(policy=after.policy.policy, revision=after.policy.revision, seq=seq)
        if body.detail is not None:
            self._desk.replaced(self._standing.at.revision, body.detail["edit"])
        self._standing.adopt(new, body)
        self._desk.edit_done()
        self._portals.take_back(shut_zones(new.policy) - shut, now, out)
        self._portals.look_at_modes(now, out)
        self._secured.adopted(before, now, out)
        if after.session is not None:
            done = Done(id=after.request_id, seq=seq, revision=new.revision)
            out.urgent.append(Answer(session=after.session, message=done))

    def _afterwards(self, now: Moment, turn: Turn) -> None:
        """What is to be watched now, and what the portals changed in the policy."""
        self._watch, alarms = look(self._watch, self._standing.policy, self._standing.occupancy, now)
        for alarm in alarms:
            self._tell(alarm, now, turn)
        for draft in self._standing.noticing.take(self._standing.occupancy, self._scribe, now):
            self._standing.record(draft, turn)
        for zone in self._portals.take_opened_zones():
            self._record_opening(zone, now, turn)
        self._edit_from_portal(now, turn)

    def _tell(self, alarm: Alarm | Ceased, now: Moment, turn: Turn) -> None:
        """Record what the watch found, or that it is over."""
        condition = alarm.condition
        row = {} if condition.row is None else {"row": str(condition.row)}
        type_, detail = str(condition.kind), row if condition.kind in _WITH_ROW else {}
        if isinstance(alarm, Ceased):
            type_, detail = "ALARM_CEASED", {"kind": str(condition.kind), **row}
        draft = self._scribe.draft(
            type_, now=now, zone=condition.zone, cardholder=condition.cardholder, detail=detail or None
        )
        self._standing.record(draft, turn)

    def _record_opening(self, zone: ZoneId, now: Moment, turn: Turn) -> None:
        """Two openers went into a secured zone: it is open from here on (C-01, C-04)."""
        self._standing.record(self._scribe.draft("ZONE_OPENED", now=now, zone=zone), turn)
        self._from_portals["zone_status", zone] = ZoneState.OPEN_ATTENDED

    def _distrust(self, device: str) -> None:
        """A device's enclosure was opened: trust comes back by two people alone (A-12)."""
        self._from_portals["device_status", device] = False
        self._standing.doubted.add(device)

    def _edit_from_portal(self, now: Moment, turn: Turn) -> None:
        """Put into the policy what happened at portals, one edit at a time, when no other is under way.

        What happened is kept until it is in force: an edit that could not be recorded is made again.
        """
        for zone in self._entries.take_secured_zones():
            self._from_portals["zone_status", zone] = ZoneState.SECURED
        for who, is_locked in self._standing.take_locks().items():
            if who in self._standing.policy.pins:
                self._from_portals["pin", who] = is_locked
        if not self._from_portals or self._desk.is_editing or not self._standing.is_writable:
            return
        policy, changed = self._standing.policy, []
        for (table, row_id), value in list(self._from_portals.items()):
            row = self._row_of(table, row_id, value)
            if policy.table(TABLE_OF[type(row)]).get(row.id) != row:
                changed.append(row)
                continue
            del self._from_portals[table, row_id]
            self._standing.doubted.discard(row_id if table == "device_status" else "")
        if changed:
            self._desk.edit_from_portal(changed, now, turn)

    def _row_of(self, table: str, row_id: str, value: ZoneState | bool) -> Row:
        if table == "device_status":
            return DeviceStatus(id=DeviceId(row_id), is_trusted=False)
        if table == "pin":
            return replace(self._standing.policy.pins[CardholderId(row_id)], is_locked=bool(value))
        assert isinstance(value, ZoneState), "devices, PINs and zones are edited from a portal"
        zone = ZoneId(row_id)
        status = self._standing.policy.zone_statuses.get(zone) or ZoneStatus(id=zone, state=value)
        # What was put away is taken out again once the zone is in use: sanitised is said anew each time.
        return replace(status, state=value, sanitised_by=None, sanitised_confirmed_by=None)

    # -- small things ----------------------------------------------------------------------------------------------

    def _next_grant(self) -> str:
        self._grants += 1
        return f"{self._boot}-{self._grants}"

    def _release(self, after: AfterGrant, seq: int, now: Moment, out: Turn) -> None:
        """The record is durable: release, unless that took so long that nobody expects the strike any more, or what
        came meanwhile (another policy, a tamper, an open leaf beside) would have refused it.
        """
        is_late = now.tick_ms > after.not_after_tick_ms
        hindrance = None if is_late else self._hindrance(after, now, out)
        if is_late or hindrance is not None:
            draft = self._scribe.draft(
                "RELEASE_EXPIRED", now=now, portal=after.portal, zone=after.grant.to_zone, corr=after.grant.id
            )
            self._standing.record(draft, out)
            self._entries.let_go(after)
        else:
            for grant in (after.grant, *after.others):
                self._portals.step(after.portal, EntryGranted(grant=grant), now, out)
        if after.reader is not None and hindrance is None:  # else the refusal is shown, when its record is durable
            out.urgent.append(ShowAtReader(reader=after.reader, shown=Shown.OUT_OF_ORDER if is_late else Shown.GRANTED))
        if after.session is not None:
            why = "recorded, but too late to act on; send it again if it is still wanted"
            code, why = ("expired", why) if hindrance is None else hindrance
            late = Refused(id=after.request_id, code=code, why=why, seq=seq)
            is_over = is_late or hindrance is not None
            answer = late if is_over else Done(id=after.request_id, seq=seq)
            out.urgent.append(Answer(session=after.session, message=answer))

    def _hindrance(self, after: AfterGrant, now: Moment, out: Turn) -> tuple[str, str] | None:
        """Why this release would not be decided any more; None: it would."""
        if after.asked is None:
            return self._desk.hindrance(after.portal)
        return None if self._entries.reconsider(after, now, out) else ("edit_refused", "refused by now")

    def _watch_clock(self, now: Moment, turn: Turn) -> None:
        self._clocks.look(now, turn)
        if now.is_trusted != self._clock_was_trusted:
            self._clock_was_trusted = now.is_trusted
            self._standing.record(
                self._scribe.draft("CLOCK_TRUSTED" if now.is_trusted else "CLOCK_UNTRUSTED", now=now), turn
            )


def _tell_failed(after: After, draft: Draft, out: Turn) -> None:
    """Tell whoever waits for a record that it could not be written."""
    match after:
        case AfterDeviceOrder(session=session, order=order):
            asked: tuple[int | None, str] = (session, order.id)
        case AfterGrant() | AfterEdit() | AfterNote() | AfterRefused() | AfterHold() | AfterPurge():
            asked = (after.session, after.request_id)
        case _:
            return
    why = "the ledger cannot be written; nothing was changed"
    if draft.body.type in _HELD_AT_ONCE:
        why = "the ledger cannot be written; the order holds, and is recorded when it can be"
    if asked[0] is not None:
        refused = Refused(id=asked[1], code="ledger_unavailable", why=why)
        out.urgent.append(Answer(session=asked[0], message=refused))
