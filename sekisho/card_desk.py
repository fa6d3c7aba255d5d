"""The reader on the enrolment desk: waits for one card and lets one machine talk to it (PN532 on a port, or PC/SC).

Owns the waiting and what is said meanwhile. What the machine does to the card is `readers/cards`; nothing here sees a
key.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from readers.cards.session import CardTarget
from readers.errors import MissingDriver
from readers.events import CardRead, CardUnread, DeviceOffline, DeviceOnline, Event
from readers.protocols.pn532 import Pn532Reader
from readers.protocols.pn532_cards import CardMachine
from readers.transports.pcsc import PcscReader, load_scard
from readers.transports.serial_line import PN532_BAUD, SerialLine
from sekisho.bench import Bench, PortTroubleError
from sekisho.spoken import Progress, Words, said, tell

TALK_S: Final = 20.0
"""A personalisation is some forty commands; a slow card with large files needs seconds."""
ONLINE_S: Final = 6.0
EXCHANGES_MAX: Final = 1_000
PCSC: Final = "pcsc"

Challenge = Callable[[CardTarget], CardMachine | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What came of waiting: the card and what its machine made of it. No `target`: nobody came. `is_asked` False: the
    reader can tell this card's number and nothing more.
    """

    target: CardTarget | None = None
    outcome: object = None
    is_asked: bool = True


class _Counted:
    """A machine, with every exchange told to whoever watches."""

    def __init__(self, machine: CardMachine, progress: Progress) -> None:
        self._machine = machine
        self._progress = progress
        self._count = 0

    def begin(self) -> bytes:
        return self._machine.begin()

    def answer(self, response: bytes | None) -> object:
        self._count += 1
        self._progress.show(f"… {self._count}")
        return self._machine.answer(response)


class CardDesk:
    """One reader, one card.

    Args:
        reader: `pcsc`, `pcsc:NAME`, or the path of a port with a PN532.
        lang: in which language it speaks.
        simulation: whether a port may be a loopback socket.
    """

    def __init__(self, reader: str, lang: str, *, simulation: bool = False) -> None:
        self._reader = reader
        self._lang = lang
        self._simulation = simulation
        self._shown: Shown | None = None
        self._offline = ""
        self._is_ready = False
        self._progress = Progress()

    def present(self, challenge: Challenge, wait_s: float) -> Shown:
        """Wait for one card; what came of it. PortTroubleError where there is no such reader."""

        def counted(target: CardTarget) -> CardMachine | None:
            machine = challenge(target)
            return None if machine is None else _Counted(machine, self._progress)

        try:
            kind, _, name = self._reader.partition(":")
            if kind == PCSC:
                self._at_pcsc(name, counted, wait_s)
            else:
                self._at_pn532(counted, wait_s)
        finally:
            self._progress.end()
        return self._shown or Shown()

    # -- a PN532 ---------------------------------------------------------------------------------------------------

    def _at_pn532(self, challenge: Challenge, wait_s: float) -> None:
        chip = Pn532Reader(
            "desk",
            challenge=challenge,
            on_outcome=self._hear_outcome,
            session_ms=int(TALK_S * 1000),
            exchanges_max=EXCHANGES_MAX,
            is_alone_required=True,
        )
        try:
            line = SerialLine(self._reader, PN532_BAUD, simulation=self._simulation)
        except ValueError as error:
            raise PortTroubleError("no_port", (f"読取装置の指定が不正です: {error}", str(error))) from None
        with Bench(line, chip) as bench:
            is_known = bench.run(ONLINE_S, self._hear, lambda: bool(self._is_ready or self._offline))
            if not is_known or not self._is_ready:
                raise PortTroubleError("no_reader", _silent(self._reader))
            bench.run(wait_s, self._hear, lambda: bool(self._shown is not None or self._offline))
            if self._shown is None and self._offline:
                raise PortTroubleError("no_reader", _silent(self._reader))

    # -- PC/SC -----------------------------------------------------------------------------------------------------

    def _at_pcsc(self, name: str, challenge: Challenge, wait_s: float) -> None:
        heard: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        reader = PcscReader(
            "desk",
            name or _only_reader(),
            lambda event: heard.put(lambda: self._hear(event)),
            lambda: None,
            challenge=challenge,
            on_outcome=lambda target, outcome: heard.put(lambda: self._hear_outcome(target, outcome)),
            session_s=TALK_S,
            exchanges_max=EXCHANGES_MAX,
        )
        try:
            reader.start()
        except MissingDriver as error:
            raise PortTroubleError("no_driver", (f"PC/SC を使えません: {error}", str(error))) from error
        try:
            until = time.monotonic() + wait_s
            while self._shown is None and (left_s := until - time.monotonic()) > 0:
                try:
                    heard.get(timeout=min(left_s, 0.25))()
                except queue.Empty:
                    continue
                if self._offline:
                    advice = reader.trouble or self._offline
                    raise PortTroubleError("no_reader", (f"読取装置を使えません: {advice}", advice))
        finally:
            reader.stop()

    # -- what it says ----------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        match event:
            case DeviceOnline():
                if not self._is_ready:
                    tell(said(("カードを置いてください", "put the card on the reader"), self._lang))
                self._is_ready, self._offline = True, ""
            case DeviceOffline():
                self._offline = event.why
            case CardUnread() if event.why == "two cards":
                tell(said(("カードは一枚だけ置いてください", "one card only, please"), self._lang))
            case CardRead() if self._shown is None:
                self._shown = Shown(target=CardTarget(kind=event.kind, number=event.number), is_asked=False)
            case _:
                return

    def _hear_outcome(self, target: CardTarget, outcome: object) -> None:
        if self._shown is None:
            self._shown = Shown(target=target, outcome=outcome)


def _silent(path: str) -> Words:
    return (
        f"{path} に PN532 が応答しません。`sekisho devices scan --port {path}` で何がつながっているか調べてください",
        f"no PN532 answers at {path}: `sekisho devices scan --port {path}` tells what is there",
    )


def pcsc_readers() -> list[str]:
    """The names of the readers that pcscd knows. MissingDriver without pyscard; OSError where pcscd does not run."""
    scard = load_scard()
    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if code != scard.SCARD_S_SUCCESS:
        raise OSError("pcscd does not run: systemctl start pcscd.socket")
    try:
        code, names = scard.SCardListReaders(context, [])
    finally:
        scard.SCardReleaseContext(context)
    return [str(name) for name in names] if code == scard.SCARD_S_SUCCESS else []


def _only_reader() -> str:
    try:
        names = pcsc_readers()
    except (MissingDriver, OSError) as error:
        raise PortTroubleError("no_driver", (f"PC/SC を使えません: {error}", str(error))) from error
    if len(names) == 1:
        return names[0]
    listed = ", ".join(names) or "-"
    raise PortTroubleError(
        "no_reader",
        (
            f"PC/SC の読取装置が一台に決まりません。--reader pcsc:NAME で指定してください: {listed}",
            f"name one reader with --reader pcsc:NAME; there are: {listed}",
        ),
    )
