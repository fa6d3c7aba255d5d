"""Desk readers on USB through PC/SC (pcscd and pyscard's `scard`), in a thread of their own.

Owns the conversation with pcscd: find the reader, see a card come and go, ask its number (FF CA 00 00 00), carry one
session's APDUs. pyscard is imported only by `start()` of a configured reader; nothing here is called from the loop.
Refuses to guess: a name that fits two readers is an error, and FeliCa cards are told by number alone, because every
vendor wraps their commands in a pseudo-APDU of its own (docs/wire/pcsc.md).
"""

from __future__ import annotations

import importlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from readers.backoff import Backoff
from readers.cards.session import ISO_DEP, CardTarget, Left, NotOurs, Proved
from readers.errors import MissingDriver, TransportError
from readers.events import CardRead, CardUnread, DeviceOffline, DeviceOnline, Event
from readers.protocols.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Callable

    from readers.protocols.pn532_cards import CardMachine

LOOK_MS: Final = 250
"""How long one wait for a change takes: a stop waits for it."""
LOOK_AGAIN_S: Final = 0.1
FIRST_RETRY_MS: Final = 200
LAST_RETRY_MS: Final = 2_000
TAKEN_TRIES: Final = 10
SETTLE_S: Final = 1.5
"""After it came back a reader may say "empty" before it has looked: a card that lay there is not read anew (B-11)."""

GET_NUMBER: Final = bytes.fromhex("FFCA000000")
"""PC/SC part 3, §3.2.2.1.3."""
_STORAGE_CARD: Final = bytes.fromhex("804F0CA000000306")
"""PC/SC part 3, §3.1.3.2.3.1: in the ATR of a card without ISO/IEC 14443-4; standard and name of the card follow."""
_FELICA_STANDARD: Final = 0x11
_FELICA_NAMES: Final = frozenset((0x003B, 0xF011, 0xF012))
"""The registered name, and what ACS readers write instead (ACR122U)."""
_POLL: Final = "pcsc"
_COUNTED: Final = 0x10000
"""pcsc-lite counts in the upper half of a reader's state how often a card came or went."""

_ADVICE: Final = {
    "SCARD_E_NO_SERVICE": ("no PC/SC service", "pcscd does not run: apt install pcscd, systemctl start pcscd.socket"),
    "SCARD_E_SERVICE_STOPPED": ("no PC/SC service", "pcscd was stopped: systemctl start pcscd.socket"),
    "SCARD_E_NO_READERS_AVAILABLE": (
        "no such reader",
        "no PC/SC reader is plugged in, or its driver is missing (apt install libccid)",
    ),
    "SCARD_E_READER_UNAVAILABLE": ("unplugged", "plug the reader in again"),
    "SCARD_E_UNKNOWN_READER": ("unplugged", "plug the reader in again"),
    "SCARD_E_SHARING_VIOLATION": (
        "in use",
        "another program holds the card: close it (a browser, scdaemon, OpenSC), or give the desk its own reader",
    ),
    "SCARD_W_SECURITY_VIOLATION": (
        "no permission",
        "polkit forbids this account the PC/SC service: allow org.debian.pcsc-lite.access_pcsc for it",
    ),
}
_CARD_WENT: Final = (
    "SCARD_W_REMOVED_CARD",
    "SCARD_W_RESET_CARD",
    "SCARD_W_UNPOWERED_CARD",
    "SCARD_W_UNRESPONSIVE_CARD",
    "SCARD_W_UNSUPPORTED_CARD",
    "SCARD_E_NO_SMARTCARD",
    "SCARD_E_NOT_TRANSACTED",
    "SCARD_E_COMM_DATA_LOST",
    "SCARD_E_PROTO_MISMATCH",
)


class PcscReader:
    """One reader behind pcscd.

    Args:
        source: the device id that its events carry.
        name: a part of the reader's PC/SC name that fits one reader ("ACR122U"; `pcsc_scan -r` lists them).
        on_event: called in this reader's thread; must not block.
        on_wake: called after it.
        challenge: what shall talk to a new ISO-DEP card, or None to read its number alone; as for `Pn532Reader`.
        on_outcome: hears how each talk ended, in this reader's thread.
        session_s: the longest that one talk may take. exchanges_max: and how many APDUs.
    """

    def __init__(  # noqa: PLR0913 - as for the other readers, and how long a talk may take
        self,
        source: str,
        name: str,
        on_event: Callable[[Event], None],
        on_wake: Callable[[], None],
        *,
        challenge: Callable[[CardTarget], CardMachine | None] | None = None,
        on_outcome: Callable[[CardTarget, object], None] | None = None,
        session_s: float = 5.0,
        exchanges_max: int = 200,
    ) -> None:
        if not name:
            raise ValueError("name a part of the reader's PC/SC name: `pcsc_scan -r` lists them")
        self._source = source
        self._name = name
        self._on_event = on_event
        self._on_wake = on_wake
        self._challenge = challenge
        self._on_outcome = on_outcome
        self._session_s = session_s
        self._exchanges_max = exchanges_max
        self._presence = Presence(absent_polls=1)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_online: bool | None = None
        self._lost_events = 0
        self._trouble = ""

    @property
    def lost_events(self) -> int:
        """Events that `on_event` refused by raising."""
        return self._lost_events

    @property
    def trouble(self) -> str:
        """What is wrong and what to do about it, for people; "" while nothing is."""
        return self._trouble

    def start(self) -> None:
        """Begin to watch. MissingDriver when pyscard is not installed; RuntimeError when started."""
        if self._thread is not None:
            raise RuntimeError("the reader is already started")
        scard = load_scard()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, args=(scard,), name=f"pcsc-{self._source}", daemon=True)
        self._thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """End watching; waits at most `within_s` and leaves a thread that hangs in a driver behind (it is a daemon)."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(within_s)

    # -- the service -----------------------------------------------------------------------------------------------

    def _run(self, scard: Any) -> None:
        backoff = Backoff(FIRST_RETRY_MS, LAST_RETRY_MS)
        try:
            while not self._stopping.is_set():
                try:
                    with _Service(scard) as service:
                        self._watch(service, backoff)
                except TransportError as why:
                    self._trouble = getattr(why, "advice", "")
                    self._turn(is_online=False, why=str(why))
                self._stopping.wait(backoff.next_ms() / 1_000)
        finally:
            if not self._stopping.is_set():  # a callback of ours raised: said, not silent
                self._turn(is_online=False, why="ended")

    def _watch(self, service: _Service, backoff: Backoff) -> None:
        reader = service.reader(self._name)
        known, counted, is_empty = service.scard.SCARD_STATE_UNAWARE, -1, False
        settled_s = 0.0 if self._is_online is None else time.monotonic() + SETTLE_S
        while not self._stopping.is_set():
            state = service.change(reader, known)
            if is_empty and time.monotonic() >= settled_s:
                self._presence.empty(_POLL)
            if state is None:
                continue
            backoff.reset()
            self._turn(is_online=True)
            if counted >= 0 and state // _COUNTED - counted not in {0, 1}:
                self._presence.empty(_POLL)  # it went and came between two looks
            known, counted = state, state // _COUNTED
            is_empty = not state & service.scard.SCARD_STATE_PRESENT
            if is_empty:
                self._trouble = ""
                continue
            settled_s = 0.0
            if not state & service.scard.SCARD_STATE_MUTE and self._card(service, reader):
                known = service.scard.SCARD_STATE_UNAWARE  # look at once: the same card may be tried again
                self._stopping.wait(LOOK_AGAIN_S)

    # -- the card --------------------------------------------------------------------------------------------------

    def _card(self, service: _Service, reader: str) -> bool:
        """One look at the card that lies there. True when it should be looked at again soon."""
        try:
            with _Connection(service, reader, self._stopping) as card:
                target = card.target()
                if target is None or not self._presence.found(_POLL, target.kind, target.number):
                    return False
                self._trouble = ""
                return self._meet(target, card)
        except _CardWentError:
            return True
        except _TakenError as why:
            is_known, self._trouble = bool(self._trouble), str(why)
            if not is_known:
                self._tell(CardUnread(source=self._source, why="in use"))
            return True

    def _meet(self, target: CardTarget, card: _Connection) -> bool:
        can_talk = target.is_iso_dep and self._challenge is not None
        machine = self._challenge(target) if can_talk and self._challenge is not None else None
        if machine is None:
            self._tell(CardRead(source=self._source, number=target.number, kind=target.kind))
            return False
        try:
            outcome = self._talk(machine, card)
        except TransportError:
            self._conclude(target, _cut(machine), why="line lost")
            raise
        return self._conclude(target, outcome)

    def _talk(self, machine: CardMachine, card: _Connection) -> object:
        until_s = time.monotonic() + self._session_s
        said: object = machine.begin()
        for _ in range(self._exchanges_max):
            assert isinstance(said, bytes)
            try:
                response = card.transmit(said)
            except _CardWentError:
                response = None
            if time.monotonic() >= until_s or self._stopping.is_set():
                break
            said = machine.answer(response)
            if not isinstance(said, bytes):
                return said
        return _cut(machine)

    def _conclude(self, target: CardTarget, outcome: object, why: str = "card left") -> bool:
        """Tell what came of it. True when the card may be tried again."""
        is_left = isinstance(outcome, Left)
        if isinstance(outcome, Proved):
            read = CardRead(source=self._source, number=outcome.number, kind=target.kind, proof=outcome.proof)
            self._tell(read)
        elif isinstance(outcome, NotOurs):
            self._tell(CardRead(source=self._source, number=target.number, kind=target.kind))
        elif is_left and (why != "card left" or self._presence.unread(target.kind, target.number)):
            self._tell(CardUnread(source=self._source, why=why))
        if self._on_outcome is not None:
            self._on_outcome(target, outcome)
        return is_left

    def _turn(self, *, is_online: bool, why: str = "") -> None:
        if is_online:
            self._trouble = self._trouble if self._is_online else ""
        if self._is_online is is_online:
            return
        self._is_online = is_online
        self._tell(DeviceOnline(source=self._source) if is_online else DeviceOffline(source=self._source, why=why))

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - the listener's fault must not end the reader; it is counted
            self._lost_events += 1
        self._on_wake()


class _ServiceError(TransportError):
    """pcscd or the reader failed. `advice`: what to do, for people."""

    def __init__(self, why: str, advice: str) -> None:
        super().__init__(why)
        self.advice = advice


class _CardWentError(Exception):
    """The card is gone, or says nothing that the reader understands."""


class _TakenError(Exception):
    """Another program holds the card."""


class _Service:
    """One context with pcscd."""

    def __init__(self, scard: Any) -> None:
        self.scard = scard
        self._context: Any = None
        self._went = frozenset(getattr(scard, name) for name in _CARD_WENT)

    def __enter__(self) -> _Service:
        code, self._context = self.scard.SCardEstablishContext(self.scard.SCARD_SCOPE_USER)
        self.check(code)
        return self

    def __exit__(self, *_: object) -> None:
        self.scard.SCardReleaseContext(self._context)

    def check(self, code: int) -> None:
        """Raise what `code` means, unless it is success."""
        if code == self.scard.SCARD_S_SUCCESS:
            return
        if code in self._went:
            raise _CardWentError
        for name, (why, advice) in _ADVICE.items():
            if code == getattr(self.scard, name):
                raise _ServiceError(why, advice)
        raise _ServiceError("no PC/SC service", f"pcscd answers {self.scard.SCardGetErrorMessage(code)}")

    def reader(self, name: str) -> str:
        """The whole name of the one reader that `name` fits."""
        code, names = self.scard.SCardListReaders(self._context, [])
        self.check(code)
        fits = [one for one in names if name in one]
        if len(fits) != 1:
            listed = ", ".join(map(repr, names))
            why = "several such readers" if fits else "no such reader"
            raise _ServiceError(why, f"{name!r} must fit one reader; there are: {listed or 'none'}")
        return str(fits[0])

    def change(self, reader: str, known: int) -> int | None:
        """The reader's new state, without the mark of its being new; None when nothing changed within LOOK_MS."""
        code, states = self.scard.SCardGetStatusChange(self._context, LOOK_MS, [(reader, known)])
        if code == self.scard.SCARD_E_TIMEOUT:
            return None
        self.check(code)
        state = int(states[0][1])
        if state & (self.scard.SCARD_STATE_UNKNOWN | self.scard.SCARD_STATE_UNAVAILABLE):
            self.check(self.scard.SCARD_E_READER_UNAVAILABLE)
        return state & ~int(self.scard.SCARD_STATE_CHANGED)

    def connect(self, reader: str) -> tuple[int, Any, int]:
        """The card, for us alone: nobody else may speak in the middle of a proof."""
        scard = self.scard
        answer = scard.SCardConnect(self._context, reader, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T1)
        if answer[0] == scard.SCARD_E_PROTO_MISMATCH:
            both = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
            answer = scard.SCardConnect(self._context, reader, scard.SCARD_SHARE_EXCLUSIVE, both)
        code, handle, protocol = answer
        return int(code), handle, int(protocol)


class _Connection:
    """One card, from connect to a reset."""

    def __init__(self, service: _Service, reader: str, stopping: threading.Event) -> None:
        self._service = service
        self._reader = reader
        self._stopping = stopping
        self._handle: Any = None
        self._protocol = 0

    def __enter__(self) -> _Connection:
        scard = self._service.scard
        code, self._handle, self._protocol = self._service.connect(self._reader)
        for _ in range(TAKEN_TRIES):
            if code != scard.SCARD_E_SHARING_VIOLATION or self._stopping.wait(LOOK_AGAIN_S):
                break
            code, self._handle, self._protocol = self._service.connect(self._reader)
        if code == scard.SCARD_E_SHARING_VIOLATION:
            raise _TakenError(_ADVICE["SCARD_E_SHARING_VIOLATION"][1])
        self._service.check(code)
        return self

    def __exit__(self, *_: object) -> None:
        self._service.scard.SCardDisconnect(self._handle, self._service.scard.SCARD_RESET_CARD)

    def transmit(self, apdu: bytes) -> bytes:
        code, response = self._service.scard.SCardTransmit(self._handle, self._protocol, list(apdu))
        self._service.check(code)
        return bytes(byte & 0xFF for byte in response)

    def target(self) -> CardTarget | None:
        """What lies there; None when it tells no number (a contact card)."""
        answer = self.transmit(GET_NUMBER)
        code, _, _, _, atr = self._service.scard.SCardStatus(self._handle)
        self._service.check(code)
        if len(answer) not in {6, 9, 10, 12} or answer[-2:] != b"\x90\x00":
            return None
        return target_of(bytes(atr), answer[:-2])


def target_of(atr: bytes, number: bytes) -> CardTarget:
    """A card by its ATR (PC/SC part 3, §3.1.3.2.3): without ISO/IEC 14443-4 it is a "storage card"."""
    at = atr.find(_STORAGE_CARD)
    if at < 0:
        return CardTarget(kind="iso14443a", number=number, sak=ISO_DEP)
    tail = atr[at + len(_STORAGE_CARD) :]
    is_felica = tail[:1] == bytes((_FELICA_STANDARD,)) or int.from_bytes(tail[1:3], "big") in _FELICA_NAMES
    return CardTarget(kind="felica" if is_felica else "iso14443a", number=number)


def load_scard() -> Any:
    """The module smartcard.scard. MissingDriver, naming the Debian packages, when it is not installed."""
    try:
        return importlib.import_module("smartcard.scard")
    except (ImportError, OSError) as why:
        raise MissingDriver(
            f"PC/SC readers need pcscd and pyscard ({why}): apt install pcscd libccid python3-pyscard, or "
            "apt install pcscd libccid swig libpcsclite-dev gcc and then pip install pyscard"
        ) from why


def _cut(machine: CardMachine) -> object:
    outcome = machine.answer(None)
    return Left() if isinstance(outcome, bytes | Proved | NotOurs) else outcome
