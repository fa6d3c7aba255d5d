"""What holds after every event of the virtual year, worked out anew from records, effects and wires alone.

Nothing here is the product's: the policy is kept as the rows of POLICY_EDITED records, presence by a fold of
its own, a strike is a thing that is on until a time. Where the product and this disagree, one of them is wrong.

I1  a strike goes on for a grant that is in the ledger, for somebody who leaves, or by a mode that is in the ledger
I2  nobody is certainly inside a protected zone who had not all three keys when let in, but where it was put away
    and none into a zone that is secured or locked down, nor by a portal that is locked or whose devices are not sound
I3  whoever shows a card at an exit or presses REX is let out in the same drain, whatever else holds
I4  presence is what the records say
I5  each alarm is told once per occurrence, and none is missed
I6  a refusal shows one of two things, by its reason, with the number of its record; who stands there changes nothing
I7  records are numbered without a gap; no rule failed
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from controller.config import Site
from controller.ledger.body import Body
from controller.turn import Effect, ShowAtReader
from readers.events import CardRead, InputChanged, LineFault
from zones.moment import Moment
from zones.portal import ReleaseStrike, SecureStrike

JAPAN: Final = timedelta(hours=9)
KEPT: Final = ("UNLOCKED", "ATTENDED")
SHOWS: Final = ("granted", "refused", "out_of_order", "enter_pin", "second_card")
OF_THE_BOX: Final = frozenset(
    (
        *("RULE_ERROR", "ACCESS_POINT_UNKNOWN", "AUDIT_UNAVAILABLE", "READER_UNTRUSTED", "CLOCK_UNTRUSTED"),
        *("READ_STALE", "STALE_POLICY", "LINK_INSECURE"),
    )
)
"""Reasons that are about the door and not about who stands there (docs/decision.md, requirements E-04)."""

COUNTED: Final = frozenset(
    (
        *("DOOR_FORCED", "DOOR_HELD", "DOOR_OPEN_AT_START", "TAMPER", "TAMPER_ENDED", "FIRE_ON", "FIRE_OFF"),
        *("POWER_LOST", "POWER_RESTORED", "LINE_FAULT", "LINE_RESTORED", "REX", "REX_SUSPECT", "TAILGATE"),
        *("DURESS", "CREDENTIAL_ALARM", "PIN_LOCKED", "NOT_CLOSED", "EDIT_REFUSED", "APB_VIOLATION", "DEVICE_OFFLINE"),
    )
)
"""Records that come once for each thing that happened: counted against what the wires, or the records, say."""

GRACES: Final = {"OCCUPANCY_BELOW_MIN": 60_000, "ZONE_UNATTENDED": 300_000, "ESCORT_BROKEN": 5_000, "REVIEW_OVERDUE": 0}
TURNS: Final = {"STORAGE_FAILED": "STORAGE_RESTORED", "CLOCK_UNTRUSTED": "CLOCK_TRUSTED"}
"""Alarms that come again only after their end."""

LATE_MS: Final = 3_000
MISSES_MAX: Final = 5
PLACES_MAX: Final = 20_000
"""Records that a start looks back for last places, which are only a memory."""


class Broken(AssertionError):
    """An invariant does not hold."""


class Rows:
    """The policy as rows: what POLICY_EDITED records put, and nothing derived."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.revision = "0" * 64
        self.older: tuple[str, dict[str, dict[str, dict[str, Any]]]] = (self.revision, {})

    def fold(self, detail: dict[str, Any]) -> None:
        before = self.tables
        self.older = (self.revision, before)
        touched = {table for table, _ in (*detail["edit"]["puts"], *detail["edit"].get("drops", ()))}
        self.tables = {**before, **{table: dict(before.get(table, {})) for table in touched}}
        for table, row in detail["edit"]["puts"]:
            self.tables[table][row["id"]] = row
        for table, row_id in detail["edit"].get("drops", ()):
            del self.tables[table][row_id]
        self.revision = detail["revision"]

    def of(self, table: str, revision: str | None = None) -> dict[str, dict[str, Any]]:
        """The rows of a table, now or in the revision before."""
        if revision is not None and revision != self.revision:
            if revision != self.older[0]:
                raise Broken(
                    f"a decision names revision {revision[:12]}, which is neither the newest nor the one before"
                )
            return self.older[1].get(table, {})
        return self.tables.get(table, {})


class Leaf:
    """One portal's leaf and strike, as somebody would see them who stands there."""

    def __init__(self) -> None:
        self.is_open = False
        self.is_forced = False
        self.is_cut = False
        self.on_until = 0
        self.due: int | None = None

    def is_on(self, tick: int) -> bool:
        return tick < self.on_until


class Invariants:
    """Holds a site to all of them. `is_owing`: whether something decided is not in the ledger yet."""

    def __init__(self, site: Site, is_owing: Callable[[], bool]) -> None:
        self._wiring = site.wiring
        self._ways = {str(p.id): (str(p.outer), str(p.inner)) for p in site.portals}
        self._held_ms = {str(p.id): p.held_after_ms for p in site.portals}
        parents = self._parents = {str(z.id): None if z.parent is None else str(z.parent) for z in site.zones}
        self._inside = {zone: {one for one in parents if zone in _upwards(one, parents)} for zone in parents}
        self._zones = {str(z.id): z for z in site.zones}
        self._is_owing = is_owing
        self.story: deque[str] = deque(maxlen=20)
        self.rows = Rows()
        self.seq = -1
        self.checked = 0
        self.seen: Counter[str] = Counter()
        self.leaves = {portal: Leaf() for portal in self._ways}
        self.where: dict[str, tuple[str, bool]] = {}
        self.passed: dict[str, int] = {}
        self.entries: dict[tuple[str, str], str] = {}
        """(grant, cardholder) -> what was wrong with an entry into a protected zone, "" where nothing was."""
        self.entered: dict[str, str] = {}
        self.grants: dict[str, Body] = {}
        self.unproven: set[str] = set()
        self.modes: dict[str, str] = {}
        self.misses: Counter[str] = Counter()
        self.expected: Counter[tuple[str, str]] = Counter()
        self.written: Counter[tuple[str, str]] = Counter()
        self.loose: set[tuple[str, str]] = set()
        self.lines: dict[tuple[str, str], str] = {}
        self.turns: set[str] = set()
        self.said: set[tuple[str, str, str, str]] = set()
        self.since: dict[tuple[str, str, str, str], int] = {}
        self.is_fire = False
        self.day = ""
        self.denials: list[Body] = []
        self.shows: dict[str, tuple[str, str]] = {}
        self.offline: set[str] = set()
        self.ended: set[str] = set()
        self._leaving: Counter[str] = Counter()
        self._pressed: set[str] = set()

    # -- told by the site ------------------------------------------------------------------------------------------

    def restarted(self) -> None:
        """A start: nothing is on, nothing was said; what is still wrong is told again."""
        for leaf in self.leaves.values():
            leaf.on_until, leaf.due = 0, None
            leaf.is_forced = leaf.is_cut = False
            if leaf.is_open:
                leaf.due = -1  # told when its level is
        self.modes.clear()
        self.lines.clear()
        self.said.clear()
        self.ended.clear()
        self.since.clear()
        self.turns.discard("CLOCK_UNTRUSTED")
        self.turns.discard("STORAGE_FAILED")
        self.unproven.clear()
        self.shows.clear()
        self.is_fire = False
        self.offline = set()

    def expects(self, type_: str, about: str = "") -> None:
        """Something that only its maker knows: a record of it must come, once."""
        self.expected[type_, about] += 1

    def begins(self, events: Iterable[Any], now: Moment) -> None:
        """Before a drain: what the wires say is to be expected of it."""
        self._leaving.clear()
        self._pressed.clear()
        for event in events:
            if isinstance(event, CardRead) and event.source in self._wiring.exit_readers:
                self._leaving[str(self._wiring.exit_readers[event.source])] += 1
            elif isinstance(event, InputChanged):
                self._input(event, now)
            elif isinstance(event, LineFault):
                self._fault(event)
            elif type(event).__name__ == "DeviceOffline" and event.source not in self.offline:
                self.offline.add(event.source)
                self.expects("DEVICE_OFFLINE", event.source)
            elif type(event).__name__ == "DeviceOnline":
                self.offline.discard(event.source)

    def performed(self, effect: Effect, now: Moment) -> None:
        """I1: a strike moved."""
        if isinstance(effect, SecureStrike):
            self.leaves[effect.portal].on_until = 0
            return
        assert isinstance(effect, ReleaseStrike)
        leaf = self.leaves[effect.portal]
        leaf.on_until = max(leaf.on_until, now.tick_ms + effect.for_ms)
        grant, portal = effect.grant_id, str(effect.portal)
        if grant is None:
            if portal not in self._pressed and self.modes.get(portal) not in KEPT:
                raise Broken(f"I1: {portal} was released for nobody: no REX, and its mode is {self.modes.get(portal)}")
        elif grant not in self.grants:
            if not self._leaving[portal]:
                raise Broken(f"I1: {portal} was released for grant {grant}, which is not in the ledger")
            self.unproven.add(grant)
        elif (
            self.grants[grant].type != "EXIT_GRANTED" and (late_ms := _at_ms(now) - self.grants[grant].at_ms) > LATE_MS
        ):
            raise Broken(f"I1: {portal} was released {late_ms} ms after the decision")

    def drained(self, effects: list[Effect]) -> None:
        """I3: after the loop's turn, before anything was written."""
        releases = Counter(str(e.portal) for e in effects if isinstance(e, ReleaseStrike))
        for portal, count in self._leaving.items():
            if releases[portal] < count + (portal in self._pressed):
                raise Broken(f"I3: {count} leave by {portal}, and its strike went on {releases[portal]} times")
        for portal in self._pressed:
            if not releases[portal]:
                raise Broken(f"I3: REX of {portal} was pressed, and its strike stayed off")

    def wrote(self, body: Body | None, seq: int, tick: int) -> None:
        """A record is durable."""
        assert body is not None
        self.story.append(_line(seq, body))
        self.seen[body.type] += 1
        if seq != self.seq + 1:
            raise Broken(f"I7: record {seq} follows record {self.seq}")
        self.seq = seq
        if body.type in ("RULE_ERROR", "OUTPUT_FAILED"):
            raise Broken(f"I7: {body.type}: {body.detail}")
        if body.type in COUNTED:
            self.written[body.type, self._about(body)] += 1
        take = getattr(self, f"_on_{body.type.lower()}", None)
        if take is not None:
            take(body, tick)
        self._turn_over(body)
        if body.type in GRACES or body.type == "ALARM_CEASED":
            self._watched(body)

    def ends(self, engine: Any, effects: list[Effect], now: Moment) -> None:
        """After a drain, all its records written as far as the disk takes them."""
        self.checked += 1
        self._check_shown(effects)
        self._time(now)
        if self._is_owing():
            self.loose |= {key for key in self.expected | self.written if key[0] == "REX_SUSPECT"}
            self._conditions(now)
            return
        if self.unproven:
            raise Broken(f"I1: exits were released for grants that are not in the ledger: {sorted(self.unproven)}")
        self._check_presence(engine)
        self._check_keys(engine)
        self._check_alarms()
        self._check_watch(now)

    # -- I1 and I2: what was granted -------------------------------------------------------------------------------

    def _on_access_granted(self, body: Body, _tick: int) -> None:
        self._granted(body)
        if why := self._shut(body):
            raise Broken(f"I2: somebody was let into {body.zone} by {body.portal}: {why}")
        zone, subject = str(body.zone), body.subject
        assert subject is not None and subject.cardholder is not None and body.corr is not None
        for who, credential in (
            (subject.cardholder, subject.credential),
            *((one.cardholder, one.credential) for one in body.companions),
        ):
            if who is None:
                raise Broken("I2: a companion whom nobody knows was let in")
            wrong = self._wrong_with(who, credential, zone, body)
            if wrong:
                raise Broken(f"I2: {who} was let into {zone}: {wrong}")
            self.entries[body.corr, who] = wrong
        self._alarms_of_grant(body)
        self._pin(body)

    def _alarms_of_grant(self, body: Body) -> None:
        """What is told of somebody who was let in, even where that could not be recorded in time and was undone."""
        evidences = [body.evidence, *(one.evidence for one in body.companions)]
        if any(one is not None and one.pin == "DURESS" for one in evidences):
            self.expects("DURESS", self._about(body))
        if body.trace is not None and "D18" in body.trace.waived:
            self.expects("APB_VIOLATION", self._about(body))

    def _on_exit_granted(self, body: Body, _tick: int) -> None:
        self._granted(body)

    def _on_released(self, body: Body, _tick: int) -> None:
        self._granted(body)
        if self._zones[str(body.zone)].is_protected:
            raise Broken("I2: an officer released a portal into a protected zone")

    def _granted(self, body: Body) -> None:
        assert body.corr is not None
        if body.corr in self.grants:
            raise Broken(f"I1: grant {body.corr} is in the ledger twice")
        self.grants[body.corr] = body
        self.unproven.discard(body.corr)

    def _shut(self, body: Body) -> str:
        """Why nobody should have been let in there then, "" where somebody might."""
        revision, zone, portal = body.revision, str(body.zone), str(body.portal)
        device = str((body.detail or {})["device"])
        who = [body.subject and body.subject.cardholder, *(one.cardholder for one in body.companions)]
        places = [
            one
            for one in self.rows.of("roster", revision).values()
            if one["zone"] == zone and one["cardholder"] in who and _is_within(one, _day_of(body.at_ms))
        ]
        for around in _upwards(zone, self._parents):
            status = self.rows.of("zone_status", revision).get(around, {})
            openers = {one["cardholder"] for one in places if one.get("is_opener")}
            is_opening = around == zone and self._zones[zone].needs_opener and len(openers) >= 2
            if status.get("state") == "SECURED" and not is_opening:
                return f"{around} is secured"
        is_locked_down = self.rows.of("site_status", revision).get("site", {}).get("is_locked_down")
        if is_locked_down and {one["cardholder"] for one in places if one.get("may_enter_lockdown")} != set(who):
            return "the site is locked down"
        mode = self.rows.of("portal_status", revision).get(portal, {})
        if mode.get("mode") == "LOCKED" and self.modes.get(portal) == "LOCKED":
            return "the portal is locked"
        if body.clock != "trusted":
            return "the clock is not believed"
        leaf = self.leaves[portal]
        untrusted = {row["id"] for row in self.rows.of("device_status", revision).values() if not row["is_trusted"]}
        for one in (device, f"dr-{portal}"):
            if one in untrusted or one in self.offline or (one, "tamper") in self.lines:
                return f"{one} is not sound"
        return "the leaf is forced" if leaf.is_forced else "the contact's line is cut" if leaf.is_cut else ""

    def _wrong_with(self, who: str, credential: str | None, zone: str, body: Body) -> str:
        """What somebody lacked when he was let in, "" where nothing."""
        day, revision = _day_of(body.at_ms), body.revision
        holder = self.rows.of("cardholder", revision)[who]
        card = self.rows.of("credential", revision).get(credential or "")
        if card is None or card["cardholder"] != who or card["state"] != "ACTIVE":
            return "the credential is not his, or not active"
        if _is_over(holder, day):
            return "his registration has ended"
        is_override = any(
            one["zone"] == zone and who in one["cardholders"] and one["from_ms"] <= body.at_ms < _override_end(one)
            for one in self.rows.of("override", revision).values()
        )
        if not is_override and holder.get("kind", "STAFF") == "STAFF":
            return self._missing_key(who, zone, day, revision)
        if not is_override and not any(
            one["cardholder"] == who and zone in one["zones"] and _is_within(one, day)
            for one in self.rows.of("visit", revision).values()
        ):
            return "nobody expects this guest"
        if not self._zones[zone].is_protected or (is_override and not self._missing_key(who, zone, day, revision)):
            return ""
        status = self.rows.of("zone_status", revision).get(zone, {})
        return "" if status.get("sanitised_by") and status.get("sanitised_confirmed_by") else "nothing was put away"

    def _missing_key(self, who: str, zone: str, day: str, revision: str | None) -> str:
        """Which of the three keys somebody lacks."""
        row, of = self._zones[zone], self.rows.of
        if not any(
            one["cardholder"] == who and one["zone"] == zone and _is_within(one, day)
            for one in of("roster", revision).values()
        ):
            return "no place on the roster"
        if not row.is_protected:
            return ""
        bases = {str(basis) for basis in row.accepted_bases}
        if not any(
            one["cardholder"] == who
            and one["basis"] in bases
            and one.get("confirmed_by")
            and one["notified_on"] <= day <= one["last_valid_on"]
            and not _is_over(one, day)
            for one in of("clearance", revision).values()
        ):
            return "no clearance"
        items = {str(item) for item in row.items}
        lapsed = {
            one["id"]
            for one in of("item", revision).values()
            if day > one["designated_until"] or (one.get("lifted_on") or "9") <= day
        }
        if not any(
            one["cardholder"] == who
            and one["item"] in items - lapsed
            and all(one.get(name) for name in ("requested_by", "approved_by_1", "approved_by_2"))
            and day <= (one.get("recert_on") or "9")
            and _is_within(one, day)
            for one in of("need_to_know", revision).values()
        ):
            return "no need-to-know"
        return ""

    def _check_keys(self, engine: Any) -> None:
        for who, presence in engine.occupancy.where.items():
            if (
                presence.is_certain
                and self._zones[presence.zone].is_protected
                and (wrong := self.entered.get(who, "?"))
            ):
                raise Broken(f"I2: {who} is certainly in {presence.zone}: {wrong}")

    # -- I4: presence ----------------------------------------------------------------------------------------------

    def _on_passage(self, body: Body, tick: int) -> None:
        who = body.subject and body.subject.cardholder
        if who is not None:
            self.where[who] = (str(body.zone), True)
            self.passed[who] = self.seq
            if body.direction == "IN":
                self.entered[who] = self.entries.pop((str(body.corr), who), "no entry of his is in the ledger")
        leaf = self.leaves[str(body.portal)]
        if body.direction == "IN" and leaf.is_open and not leaf.is_forced and not self._is_free(str(body.portal)):
            extra = self.rows.of("cardholder").get(who or "", {}).get("held_extra_ms", 0)
            leaf.due = max(tick + self._held_ms[str(body.portal)] + extra, leaf.due or 0)

    def _on_no_passage(self, body: Body, _tick: int) -> None:
        who = body.subject and body.subject.cardholder
        if (body.detail or {}).get("is_certain", True) or who not in self.where:
            return
        self._doubt([who])

    def _on_exit(self, body: Body, _tick: int) -> None:
        inner = self._inside[self._ways[str(body.portal)][1]]
        self._doubt([who for who, (zone, _) in self.where.items() if zone in inner])

    def _on_presence_forgiven(self, body: Body, _tick: int) -> None:
        who = body.subject and body.subject.cardholder
        self._doubt(self.where if who is None else [who])

    def _on_controller_started(self, _body: Body, _tick: int) -> None:
        for who in [who for who, seq in self.passed.items() if seq < self.seq - PLACES_MAX]:
            del self.where[who], self.passed[who]
        self._doubt(self.where)

    def _on_power_lost(self, _body: Body, _tick: int) -> None:
        self._doubt(self.where)

    def _on_fire_on(self, _body: Body, _tick: int) -> None:
        self._doubt(self.where)

    def _on_storage_restored(self, body: Body, _tick: int) -> None:
        if (body.detail or {}).get("records_lost"):
            self._doubt(self.where)

    def _doubt(self, people: Iterable[str]) -> None:
        for who in list(people):
            if who in self.where:
                self.where[who] = (self.where[who][0], False)

    def _check_presence(self, engine: Any) -> None:
        found = {str(who): (str(one.zone), one.is_certain) for who, one in engine.occupancy.where.items()}
        if found != self.where:
            differ = {who: (found.get(who), self.where.get(who)) for who in found.keys() | self.where.keys()}
            differ = {who: pair for who, pair in differ.items() if pair[0] != pair[1]}
            raise Broken(f"I4: presence (of the engine, of the records): {differ}")

    # -- I5: alarms ------------------------------------------------------------------------------------------------

    def _input(self, event: InputChanged, now: Moment) -> None:
        line, source = event.line, event.source
        if (source, line) in self.lines and self.lines[source, line] in ("cut", "short"):
            del self.lines[source, line]
            self.expects("LINE_RESTORED", f"{source} {line}")
            if line == "contact":
                self.leaves[str(self._wiring.contacts[source])].is_cut = False
        if line == "contact":
            self._leaf(event, str(self._wiring.contacts[source]), now)
        elif line == "rex":
            if event.is_active and not event.is_level_report:
                self._press(str(self._wiring.rexes[source]))
        elif event.is_active is not ((source, line) in self.lines):
            kinds = {"tamper": ("TAMPER", "TAMPER_ENDED"), "fire": ("FIRE_ON", "FIRE_OFF")}
            kinds["power"] = ("POWER_LOST", "POWER_RESTORED")
            self.expects(kinds[line][not event.is_active], source)
            if event.is_active:
                self.lines[source, line] = "active"
            else:
                del self.lines[source, line]
            if line == "fire" and event.is_active:
                self.is_fire = True
                for leaf in self.leaves.values():
                    leaf.due = None

    def _press(self, portal: str) -> None:
        self._pressed.add(portal)
        self.expects("REX", portal)
        key = ("REX_SUSPECT", portal)
        if self._is_owing():
            self.loose.add(key)
        elif not self._people(self._ways[portal][1]) and self.modes.get(portal, "CARD") == "CARD":
            self.expects(*key)

    def _leaf(self, event: InputChanged, portal: str, now: Moment) -> None:
        leaf = self.leaves[portal]
        if event.is_level_report and leaf.due == -1:
            leaf.due = None
            if event.is_active:
                self.expects("DOOR_OPEN_AT_START", portal)
                leaf.due = None if self._is_free(portal) else now.tick_ms + self._held_ms[portal]
            leaf.is_open = event.is_active
            return
        if event.is_active is leaf.is_open:
            return
        leaf.is_open = event.is_active
        leaf.due, leaf.is_forced = None, False
        if event.is_active and not leaf.is_on(now.tick_ms) and not self.is_fire:
            leaf.is_forced = True
            self.expects("DOOR_FORCED", portal)
        elif event.is_active and not self._is_free(portal):
            leaf.due = now.tick_ms + self._held_ms[portal]

    def _fault(self, event: LineFault) -> None:
        if self.lines.get((event.source, event.line)) != event.fault:
            self.lines[event.source, event.line] = event.fault
            self.expects("LINE_FAULT", f"{event.source} {event.line}")
            if event.line == "contact":
                self.leaves[str(self._wiring.contacts[event.source])].is_cut = True

    def _is_free(self, portal: str) -> bool:
        return self.is_fire or self.modes.get(portal) in KEPT

    def _time(self, now: Moment) -> None:
        """Leaves that have been open too long by now; a day that has ended."""
        for portal, leaf in self.leaves.items():
            if leaf.due is not None and leaf.is_open and not leaf.is_cut and 0 <= leaf.due <= now.tick_ms:
                leaf.due = None
                self.expects("DOOR_HELD", portal)
        if not now.is_trusted:
            return
        day = (now.at + JAPAN).date().isoformat()
        if self.day and day > self.day:
            for zone, row in self._zones.items():
                if row.needs_opener and self._state(zone) != "SECURED":
                    self.expects("NOT_CLOSED", f"{zone} {self.day}")
        self.day = day

    def _on_portal_mode(self, body: Body, tick: int) -> None:
        portal, mode = str(body.portal), (body.detail or {})["mode"]
        was_free = self._is_free(portal)
        self.modes[portal] = mode
        leaf = self.leaves[portal]
        if mode in KEPT:
            leaf.due = None
        elif was_free and not self.is_fire and leaf.is_open and not leaf.is_forced:
            leaf.due = tick + self._held_ms[portal]

    def _on_fire_reset(self, _body: Body, tick: int) -> None:
        self.is_fire = False
        for portal, leaf in self.leaves.items():
            if leaf.is_open and not leaf.is_forced and self.modes.get(portal) not in KEPT:
                leaf.due = tick + self._held_ms[portal]

    def _on_access_denied(self, body: Body, _tick: int) -> None:
        if body.number is not None:
            self.denials.append(body)
        elif body.trace is not None and not body.trace.failed:
            self._alarms_of_grant(body)
        shown = [(body.subject and body.subject.cardholder, body.subject and body.subject.credential)]
        shown += [(one.cardholder, one.credential) for one in body.companions]
        for who, credential in shown:
            row = self.rows.of("credential", body.revision).get(credential or "", {})
            if row.get("state") in ("LOST", "DESTROYED"):
                self.expects("CREDENTIAL_ALARM", f"{body.portal} {who} lost")
        if any(reason == "IMPOSSIBLE_TRAVEL" for _, reason in (body.trace.failed if body.trace else ())):
            self.expects("CREDENTIAL_ALARM", f"{self._about(body)} impossible_travel")
        self._pin(body)

    def _pin(self, body: Body) -> None:
        shown = [(body.subject and body.subject.cardholder, body.evidence)]
        shown += [(one.cardholder, one.evidence) for one in body.companions]
        for who, evidence in shown:
            if who is not None and evidence is not None:
                self._pin_of(who, evidence.pin, body)

    def _pin_of(self, who: str, pin: str, body: Body) -> None:
        if pin == "WRONG":
            self.misses[who] += 1
            if self.misses[who] > MISSES_MAX:
                raise Broken(f"I2: the PIN of {who} was locked, nobody lifted that, and it is checked again")
            if body.type == "ACCESS_DENIED" and self.misses[who] == MISSES_MAX and body.number is not None:
                self.expects("PIN_LOCKED", f"{body.portal} {who}")
        elif pin in ("RIGHT", "DURESS"):
            if self.misses[who] >= MISSES_MAX:
                raise Broken(f"I2: the PIN of {who} was missed {self.misses[who]} times in a row, and is taken")
            self.misses[who] = 0

    def _on_pin_unlocked(self, body: Body, _tick: int) -> None:
        assert body.subject is not None and body.subject.cardholder is not None
        self.misses[body.subject.cardholder] = 0

    def _on_policy_edited(self, body: Body, _tick: int) -> None:
        assert body.detail is not None
        if body.revision != self.rows.revision:
            raise Broken(f"I7: an edit of revision {str(body.revision)[:12]}, in force is {self.rows.revision[:12]}")
        self.rows.fold(body.detail)
        for table, row in body.detail["edit"]["puts"]:
            if table == "pin":
                self.misses[row["id"]] = 0

    def _about(self, body: Body) -> str:
        """What tells one occurrence of an alarm from another."""
        detail = body.detail or {}
        match body.type:
            case "LINE_FAULT" | "LINE_RESTORED":
                return f"{detail['device']} {detail['line']}"
            case "NOT_CLOSED":
                return f"{body.zone} {detail['row']}"
            case "EDIT_REFUSED":
                return ""
            case "ACCESS_GRANTED" | "ACCESS_DENIED" | "DURESS" | "APB_VIOLATION" | "PIN_LOCKED" | "CREDENTIAL_ALARM":
                who = body.subject and body.subject.cardholder
                return f"{body.portal} {who}" + (f" {detail['code']}" if "code" in detail else "")
            case _:
                return str(detail.get("device") or body.portal)

    def _check_alarms(self) -> None:
        for key in self.loose:
            self.expected[key] = self.written[key]
        self.loose.clear()
        if self.expected == self.written:
            return
        for key in self.expected | self.written:
            if self.expected[key] != self.written[key]:
                said = f"{self.written[key]} times in the ledger, and happened {self.expected[key]} times"
                raise Broken(f"I5: {key[0]} ({key[1]}) stands {said}")

    def _turn_over(self, body: Body) -> None:
        if body.type in TURNS:
            if body.type in self.turns and body.type != "STORAGE_FAILED":
                raise Broken(f"I5: {body.type} was told twice")
            self.turns.add(body.type)
        for first, end in TURNS.items():
            if body.type == end:
                if first not in self.turns:
                    raise Broken(f"I5: {end} without {first}")
                self.turns.discard(first)

    # -- I5: what the watch sees -----------------------------------------------------------------------------------

    def _on_override_ended(self, body: Body, _tick: int) -> None:
        row = str((body.detail or {})["row"])
        if row in self.ended:
            raise Broken(f"I5: the end of override {row} is told twice")
        self.ended.add(row)

    def _watched(self, body: Body) -> None:
        kind = body.type
        detail = body.detail or {}
        if kind == "ALARM_CEASED":
            kind = detail["kind"]
        who = (body.subject and body.subject.cardholder) or ""
        key = (kind, str(body.zone), who, "" if kind in GRACES else str(detail.get("row")))
        if body.type == "ALARM_CEASED":
            if kind not in GRACES:
                return
            if key not in self.said:
                raise Broken(f"I5: the end of {key} is told, which was never told")
            self.said.discard(key)
        elif key in self.said:
            raise Broken(f"I5: {key} is told again, and never ended")
        else:
            self.said.add(key)

    def _conditions(self, now: Moment) -> None:
        holding = set(self._wrong())
        self.since = {key: self.since.get(key, now.tick_ms) for key in holding}

    def _check_watch(self, now: Moment) -> None:
        self._conditions(now)
        for row in self.rows.of("override").values():
            ago = _at_ms(now) - _override_end(row)
            if now.is_trusted and 0 <= ago < 86_400_000 and row["id"] not in self.ended:
                raise Broken(f"I5: override {row['id']} ended {ago} ms ago, and that was not told")
        for key, since in self.since.items():
            if now.tick_ms - since >= GRACES[key[0]] and key not in self.said:
                raise Broken(f"I5: {key} has lasted {now.tick_ms - since} ms and was not told")
        for key in self.said:
            if key not in self.since and key[0] != "REVIEW_OVERDUE":
                raise Broken(f"I5: {key} is over, and that was not told")

    def _wrong(self) -> Iterator[tuple[str, str, str, str]]:
        """What is wrong in a zone now."""
        for zone, row in self._zones.items():
            if row.occupancy_min is not None:
                count = sum(1 for _ in self._certain(self._inside[zone]))
                if 0 < count < row.occupancy_min:
                    yield "OCCUPANCY_BELOW_MIN", zone, "", ""
            if row.needs_opener and self._state(zone) != "SECURED" and not self._people(zone):
                yield "ZONE_UNATTENDED", zone, "", ""
            if row.visitors_allowed:
                yield from self._unescorted(zone)

    def _unescorted(self, zone: str) -> Iterator[tuple[str, str, str, str]]:
        holders = self.rows.of("cardholder")
        guests = [who for who in self._certain({zone}) if holders[who].get("kind", "STAFF") != "STAFF"]
        if not guests:
            return
        there = set(self._certain(self._inside[zone]))
        if not any(
            one["cardholder"] in there and one["zone"] == zone and one.get("is_escort") and _is_within(one, self.day)
            for one in self.rows.of("roster").values()
        ):
            yield from (("ESCORT_BROKEN", zone, who, "") for who in guests)

    def _state(self, zone: str) -> str:
        return str(self.rows.of("zone_status").get(zone, {}).get("state", "OPEN_ATTENDED"))

    def _people(self, zone: str) -> int:
        return sum(1 for place, _ in self.where.values() if place in self._inside[zone])

    def _certain(self, zones: set[str]) -> Iterator[str]:
        return (who for who, (place, is_certain) in self.where.items() if is_certain and place in zones)

    # -- I6: what is shown -----------------------------------------------------------------------------------------

    def _check_shown(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ShowAtReader):
                shown = effect.shown.value
                if shown not in SHOWS or (effect.number is not None and shown not in ("refused", "out_of_order")):
                    raise Broken(f"I6: {effect}")
                if shown == "refused" and effect.number is None:
                    raise Broken(f"I6: a refusal without a number at {effect.reader}")
                if effect.number is not None:
                    self.shows[effect.number] = (effect.reader, shown)
        for body in self.denials:
            self._check_refusal(body)
        self.denials.clear()
        if self.shows and not self._is_owing():
            raise Broken(f"I6: shown, and not in the ledger: {self.shows}")

    def _check_refusal(self, body: Body) -> None:
        is_repeated = body.facts is not None and body.facts.read_is_repeated
        is_left = body.evidence is not None and body.evidence.pin == "MISSING"
        found = self.shows.pop(str(body.number), None)
        due = ((body.detail or {})["device"], "out_of_order" if body.reason in OF_THE_BOX else "refused")
        if found is None and (is_repeated or is_left):
            return
        if found != due or is_repeated:
            raise Broken(f"I6: refusal {body.number} ({body.reason}) is due {due}, and shows {found}")


# -- small things ------------------------------------------------------------------------------------------------------


def _upwards(zone: str, parents: dict[str, str | None]) -> Iterator[str]:
    at: str | None = zone
    while at is not None:
        yield at
        at = parents[at]


def _day_of(at_ms: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(milliseconds=at_ms) + JAPAN).date().isoformat()  # noqa: DTZ001 - a day


def _at_ms(now: Moment) -> int:
    return (now.at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _is_over(row: dict[str, Any], day: str) -> bool:
    return bool(row.get("ended_on")) and row["ended_on"] <= day


def _is_within(row: dict[str, Any], day: str) -> bool:
    return row["from_on"] <= day <= row["until_on"] and not row.get("is_suspended") and not _is_over(row, day)


def _override_end(row: dict[str, Any]) -> int:
    return min(row["until_ms"], row.get("ended_ms") or row["until_ms"])


def _line(seq: int, body: Body) -> str:
    at = (datetime(1970, 1, 1) + timedelta(milliseconds=body.at_ms) + JAPAN).isoformat(" ", "milliseconds")  # noqa: DTZ001
    who = (body.subject and body.subject.cardholder) or ""
    pin = "" if body.evidence is None or body.evidence.pin == "NOT_ASKED" else f"pin={body.evidence.pin}"
    detail = "" if body.type == "POLICY_EDITED" else body.detail or ""
    if body.type == "POLICY_EDITED" and body.detail is not None:
        detail = ", ".join(f"{table} {row['id']}" for table, row in body.detail["edit"]["puts"][:6])
    parts = (body.type, body.portal or "", body.zone or "", who, body.reason or "", pin, body.corr or "", detail)
    return f"{seq}  {at}  " + " ".join(str(part) for part in parts if part != "")
