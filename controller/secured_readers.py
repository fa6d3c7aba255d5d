"""Readers on secured lines: who they are, whether they are believed, install mode and their keys (B-14 to B-21, A-09).

A part of the engine: no I/O. What is to be done to a reader or the key store leaves as an effect, once it is
recorded. Install mode takes two officers, one reader and ten minutes at most; it lives in memory alone, so that a
restart ends it. A reader that is believed no more is so by an edit of the policy, and comes back by two people alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, get_args

from controller.clock import wall_ms
from controller.keystore.jobs import KeyAct, KeyJob, KeysStored, KeyView
from controller.link.messages import DEVICE_ORDERS, DeviceOrder
from controller.standing import Standing
from controller.turn import AfterDeviceOrder, BeginInstall, EndInstall, RenewKey, SetBaud, TrustReader, Turn
from readers.cards.session import KeyPurpose
from readers.events import InstallEnded, KeyRenewed, ReaderDistrusted, ReaderIdentified
from zones.ids import CardholderId, DeviceId
from zones.moment import Moment, here
from zones.policy import Policy

MINUTES_MAX: Final = 10
BAUDS: Final = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
MINUTE_MS: Final = 60_000
RENEWING_MS: Final = MINUTES_MAX * MINUTE_MS
"""So long a reader may take to say that it has another key, before it is asked anew."""
LOOK_EVERY_MS: Final = 60_000

_RECORD_OF: Final = {"replaced": "READER_REPLACED", "downgraded": "OSDP_DOWNGRADE"}
"""Why a reader is believed no more -> the record; of the rest READER_UNTRUSTED says why."""

_OF_CARDS: Final[dict[str, KeyAct]] = {"rotate_key": "rotate", "retire_key": "retire"}
PURPOSES: Final = get_args(KeyPurpose)

Complaint = tuple[str, str, str]
"""Why an order is refused: a stable code, a sentence, the field at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Install:
    """Install mode of one reader, from its record on."""

    order: DeviceOrder
    until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renewal:
    """A reader is to get another key, from the record of the order on."""

    order: DeviceOrder
    until_ms: int


class SecuredReaders:
    """Owns what is known of the readers with a secure channel.

    Args:
        standing: what the parts of the engine share.
        readers: those readers.
        buses: the lines that they are on.
        challenging: which schemes each reader asks cards for.
        view: what the key store holds.
        distrust: told of a reader that is believed no more.
    """

    def __init__(
        self,
        *,
        standing: Standing,
        readers: frozenset[str],
        buses: frozenset[str],
        challenging: Mapping[str, frozenset[str]],
        view: KeyView,
        distrust: Callable[[str], None],
    ) -> None:
        self._standing = standing
        self._readers = readers
        self._buses = buses
        self._challenging = challenging
        self._view = view
        self._distrust = distrust
        self._seen: dict[str, str] = {}
        self._install: _Install | None = None
        self._renewing: dict[str, _Renewal] = {}
        self._due: frozenset[str] = frozenset()
        self._left: set[str] = set()
        self._fresh: set[str] = set()
        self._look_at_ms = 0
        self._tick_ms = 0
        self._checks: dict[str, Callable[[DeviceOrder], Complaint | None]] = {
            "install_on": self._install_complaint,
            "install_off": self._reader_complaint,
            "renew_key": self._renew_complaint,
            "custodian_left": self._custodian_complaint,
            "rotate_key": self._card_key_complaint,
            "retire_key": self._card_key_complaint,
            "set_baud": self._baud_complaint,
        }

    # -- what the engine asks ------------------------------------------------------------------------------------------

    def is_commissioned(self, reader: str) -> bool:
        """Whether nothing that the factory set is left in what this reader goes by (B-14)."""
        if reader in self._readers and reader not in self._view.commissioned:
            return False
        return self._view.defaults.isdisjoint(self._challenging.get(reader, ()))

    @property
    def installing(self) -> str | None:
        """The reader in install mode."""
        return None if self._install is None else self._install.order.device

    @property
    def view(self) -> KeyView:
        """What the key store holds, as far as the loop knows."""
        return self._view

    # -- orders --------------------------------------------------------------------------------------------------------

    def complaint(self, order: DeviceOrder) -> Complaint | None:
        """Why an order is refused; None: it is not."""
        if order.act not in DEVICE_ORDERS:
            return "protocol", f"act must be one of {', '.join(DEVICE_ORDERS)}", "act"
        if DEVICE_ORDERS[order.act] and order.second in (None, "", order.officer):
            return "two_people", "this takes two officers: name another one who agrees", "second"
        return self._checks[order.act](order)

    def _reader_complaint(self, order: DeviceOrder) -> Complaint | None:
        if order.device not in self._readers:
            return "unknown_device", "there is no such reader with a secure channel in the site file", "device"
        return None

    def _custodian_complaint(self, order: DeviceOrder) -> Complaint | None:
        return None if order.who else ("protocol", "say which custodian left", "who")

    def _card_key_complaint(self, order: DeviceOrder) -> Complaint | None:
        is_known = order.purpose in PURPOSES
        return None if is_known else ("protocol", f"purpose must be one of {', '.join(PURPOSES)}", "purpose")

    def _giving_complaint(self, order: DeviceOrder) -> Complaint | None:
        """A reader is given one key at a time, or nobody knows which one it took."""
        if (complaint := self._reader_complaint(order)) is not None:
            return complaint
        renewal = self._renewing.get(order.device)
        if renewal is not None and self._tick_ms < renewal.until_ms:
            return "busy", "this reader is being given another key; wait until it says what came of it", "device"
        return None

    def _renew_complaint(self, order: DeviceOrder) -> Complaint | None:
        if (complaint := self._giving_complaint(order)) is not None:
            return complaint
        if order.device == self.installing:
            return "busy", "this reader is in install mode", "device"
        if order.device in self._standing.offline:
            return "offline", "the reader must answer on its secure channel to take another key", "device"
        return None

    def _baud_complaint(self, order: DeviceOrder) -> Complaint | None:
        if order.device not in self._buses:
            return "unknown_device", "there is no such OSDP bus in the site file", "device"
        if order.baud not in BAUDS:
            return "protocol", f"an OSDP bus has one of {', '.join(map(str, BAUDS))} bits per second", "baud"
        return None

    def _install_complaint(self, order: DeviceOrder) -> Complaint | None:
        if (complaint := self._giving_complaint(order)) is not None:
            return complaint
        if not 1 <= order.minutes <= MINUTES_MAX:
            return "protocol", f"install mode lasts 1 to {MINUTES_MAX} minutes", "minutes"
        if self._install is not None:
            return "busy", f"{self._install.order.device} is in install mode; one reader at a time", "device"
        return None

    def record_order(self, session: int, order: DeviceOrder, now: Moment, turn: Turn) -> None:
        """Record an order that is not refused; it is carried out once the record is durable."""
        scribe = self._standing.scribe
        if order.act == "install_on":
            lasts_ms = order.minutes * MINUTE_MS
            self._install = _Install(order=order, until_ms=now.tick_ms + lasts_ms)
            detail: dict[str, str | int | None] = {"device": order.device, "id": order.id, "officer2": order.second}
            detail["until_ms"] = wall_ms(now.at) + lasts_ms
            draft = scribe.draft("OSDP_INSTALL_ON", now=now, officer=order.officer, detail=detail)
        else:
            if order.act == "renew_key":
                self._renewing[order.device] = _Renewal(order=order, until_ms=now.tick_ms + RENEWING_MS)
            detail = {"id": order.id, "act": order.act, "device": order.device or None, "officer2": order.second}
            detail |= {"who": order.who, "purpose": order.purpose}
            draft = scribe.draft("DEVICE_ORDER", now=now, officer=order.officer, detail=detail)
        index = self._standing.record(draft, turn)
        turn.after.append(AfterDeviceOrder(index=index, session=session, order=order))

    def carry_out(self, order: DeviceOrder, now: Moment, out: Turn) -> None:
        """The order is recorded: do it."""
        people = tuple(who for who in (order.officer, order.second) if who)
        propose = KeyJob(act="propose", reader=order.device, order=order.id, custodians=people)
        if order.act == "install_on":
            if self._install is not None and self._install.order.id == order.id:
                out.urgent.append(propose)
        elif order.act == "install_off":
            self._end_install("ended by an officer", now, out)
        elif order.act == "renew_key":
            out.urgent.append(propose)
        elif order.act == "custodian_left":
            out.urgent.append(KeyJob(act="custodian_left", who=order.who or ""))
        elif order.act == "set_baud":
            out.urgent.append(SetBaud(reader=order.device, baud=order.baud))
        else:
            purpose = order.purpose or ""
            job = KeyJob(act=_OF_CARDS[order.act], purpose=purpose, version=order.version, custodians=people)
            out.urgent.append(job)

    def give_up(self, order: DeviceOrder) -> None:
        """The order could not be recorded: nothing of it happens."""
        if self._install is not None and self._install.order.id == order.id:
            self._install = None
        renewal = self._renewing.get(order.device)
        if renewal is not None and renewal.order.id == order.id:
            del self._renewing[order.device]

    # -- what the key store says ---------------------------------------------------------------------------------------

    def stored(self, event: KeysStored, now: Moment, turn: Turn) -> None:
        """A job of the key store is done, or is not."""
        self._view = event.view
        self._tell_of_due(now, turn)
        job = event.job
        if event.why:
            detail = {"why": event.why[:200], "act": job.act, "device": job.reader or None}
            self._standing.record(self._standing.scribe.draft("KEYS_FAILED", now=now, detail=detail), turn)
        elif job.act == "rotate":
            rotated: dict[str, str | int] = {"key": job.purpose, "version": event.version}
            self._standing.record(self._standing.scribe.draft("KEY_ROTATED", now=now, detail=rotated), turn)
        if job.act == "propose":
            self._proposed(event, now, turn)

    def _proposed(self, event: KeysStored, now: Moment, turn: Turn) -> None:
        reader, order = event.job.reader, event.job.order
        renewing = self._renewing.get(reader)
        if renewing is not None and renewing.order.id == order:
            if event.key is not None:
                turn.urgent.append(RenewKey(reader=reader, key=event.key))
            else:
                del self._renewing[reader]
            return
        install = self._install
        if install is None or install.order.id != order:
            if event.key is not None:  # ended meanwhile
                turn.urgent.append(KeyJob(act="withdraw", reader=reader))
        elif event.key is None or now.tick_ms >= install.until_ms:
            self._end_install("the key could not be kept" if event.key is None else "time is over", now, turn)
        else:
            left_ms = install.until_ms - now.tick_ms
            turn.urgent.append(BeginInstall(reader=reader, key=event.key, within_ms=left_ms))

    # -- what readers say ----------------------------------------------------------------------------------------------

    def identified(self, event: ReaderIdentified, now: Moment, turn: Turn) -> None:
        """A reader said who it is: recorded once per change."""
        is_fresh = event.source in self._fresh
        if is_fresh:  # it has just taken its key: this is who it is from now on
            self._fresh.discard(event.source)
            turn.urgent.append(KeyJob(act="pin", reader=event.source, identity=event.identity))
        if event.source not in self._readers or self._seen.get(event.source) == event.identity:
            return
        is_first = event.source not in self._seen
        self._seen[event.source] = event.identity
        detail = {
            "device": event.source,
            "identity": event.identity,
            "maker": event.maker[:32],
            "model": event.model[:32],
            "serial": event.serial[:32],
            "firmware": event.firmware[:32],
        }
        self._standing.record(self._standing.scribe.draft("READER_IDENTIFIED", now=now, detail=detail), turn)
        if is_fresh:
            return
        if event.source not in self._view.commissioned and event.source != self.installing:
            # it took a key of ours that a crash kept us from confirming
            turn.urgent.append(KeyJob(act="confirm", reader=event.source, identity=event.identity))
        elif is_first and event.source not in self._view.identities:
            turn.urgent.append(KeyJob(act="pin", reader=event.source, identity=event.identity))

    def distrusted(self, event: ReaderDistrusted, now: Moment, turn: Turn) -> None:
        """A reader is believed no more: an alarm, and no entry there until two people approved it."""
        if event.source not in self._readers:
            return
        type_ = _RECORD_OF.get(event.why, "READER_UNTRUSTED")
        detail = {"device": event.source} | ({} if type_ in _RECORD_OF.values() else {"why": event.why})
        self._standing.record(self._standing.scribe.draft(type_, now=now, detail=detail), turn)
        self._distrust(event.source)

    def install_ended(self, event: InstallEnded, now: Moment, turn: Turn) -> None:
        """The bus says that install mode is over."""
        if self._install is None or self._install.order.device != event.source:
            return
        order, self._install = self._install.order, None
        self._record_end(event.source, event.why, now, turn, is_done=event.is_done)
        act: KeyAct = "confirm" if event.is_done else "withdraw"
        if event.is_done:
            self._fresh.add(event.source)  # whom it replaces was seen; it will say next who it is itself
        turn.urgent.append(KeyJob(act=act, reader=event.source, order=order.id))

    def renewed(self, event: KeyRenewed, now: Moment, turn: Turn) -> None:
        """A reader took another key, or would not."""
        renewal = self._renewing.pop(event.source, None)
        detail = {"device": event.source, "is_done": event.is_done}
        self._standing.record(self._standing.scribe.draft("KEY_RENEWED", now=now, detail=detail), turn)
        act: KeyAct = "confirm" if event.is_done else "withdraw"
        order = "" if renewal is None else renewal.order.id  # ordered before a restart: it took the key unheard, or not
        turn.urgent.append(KeyJob(act=act, reader=event.source, order=order))

    def _end_install(self, why: str, now: Moment, turn: Turn) -> None:
        install, self._install = self._install, None
        if install is None:
            return
        reader = install.order.device
        self._record_end(reader, why, now, turn, is_done=False)
        turn.urgent.append(EndInstall(reader=reader))
        turn.urgent.append(KeyJob(act="withdraw", reader=reader))

    def _record_end(self, reader: str, why: str, now: Moment, turn: Turn, *, is_done: bool) -> None:
        detail = {"device": reader, "is_done": is_done, "why": why or None}
        self._standing.record(self._standing.scribe.draft("OSDP_INSTALL_OFF", now=now, detail=detail), turn)

    # -- policy and time -----------------------------------------------------------------------------------------------

    def adopted(self, before: Policy, now: Moment, out: Turn) -> None:
        """Another policy is in force: a reader that two people approved is the right one from now on (B-20)."""
        after = self._standing.policy.device_statuses
        for reader in sorted(self._readers):
            old, new = before.device_statuses.get(DeviceId(reader)), after.get(DeviceId(reader))
            if new is None or not new.is_trusted or old is None or old.is_trusted:
                continue
            if reader in self._standing.doubted:
                continue  # what they approved is not what stands there by now
            identity = self._seen.get(reader, "")
            detail = {"device": reader, "identity": identity or None, "officer2": new.confirmed_by}
            draft = self._standing.scribe.draft("READER_APPROVED", now=now, officer=new.restored_by, detail=detail)
            self._standing.record(draft, out)
            out.urgent.append(TrustReader(reader=reader, identity=identity))
            if identity:
                out.urgent.append(KeyJob(act="pin", reader=reader, identity=identity))

    def deadline(self) -> int | None:
        """The next tick (ms) at which something is due, or None."""
        if not self._readers and not self._view.custodians:
            return None
        if self._install is not None:
            return min(self._install.until_ms, self._look_at_ms)
        return self._look_at_ms

    def pass_time(self, now: Moment, turn: Turn) -> None:
        """Install mode that is over; custodians who left."""
        self._tick_ms = now.tick_ms
        if self._install is not None and now.tick_ms >= self._install.until_ms:
            self._end_install("time is over", now, turn)
        if now.tick_ms >= self._look_at_ms:
            self._look_at_ms = now.tick_ms + LOOK_EVERY_MS
            self._tell_of_due(now, turn)
            self._look_for_leavers(now, turn)

    def _look_for_leavers(self, now: Moment, turn: Turn) -> None:
        today = here(now.at).day
        for who in sorted(self._view.custodians - self._left):
            holder = self._standing.policy.cardholders.get(CardholderId(who))
            if holder is not None and holder.ended_on is not None and holder.ended_on <= today:
                self._left.add(who)
                turn.urgent.append(KeyJob(act="custodian_left", who=who))

    def _tell_of_due(self, now: Moment, turn: Turn) -> None:
        """Keys whose custodian left are an alarm until there is another key (A-09)."""
        scribe = self._standing.scribe
        for key in sorted(self._view.due - self._due):
            self._standing.record(scribe.draft("KEY_ROTATION_DUE", now=now, detail={"key": key}), turn)
        for key in sorted(self._due - self._view.due):
            detail = {"kind": "KEY_ROTATION_DUE", "row": key}
            self._standing.record(scribe.draft("ALARM_CEASED", now=now, detail=detail), turn)
        self._due = self._view.due
