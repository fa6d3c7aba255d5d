"""`sekisho devices test`: one device of a site file, driven by itself while the controller is stopped.

Uses the product's own protocol objects and only reads the key store. Owns what is tried on each kind of device and the
search for what is wrong; a relay moves for `--pulse` alone, and is OFF afterwards whatever happens.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from controller.config import DeviceKind, Site, SiteFileError, load_site
from controller.key_room import seal_of, secrets_of
from controller.keystore.errors import KeyStoreError
from controller.keystore.store import KeyStore
from controller.lines import LCUS_BAUD, MODBUS_BAUD, PN532_BAUD, Secrets, pkoc_reader_id
from controller.site_file import DeviceSection
from readers.cards.challenge import Challenger
from readers.cards.session import CardSession, CardTarget
from readers.errors import MissingDriver, TransportError
from readers.events import CardRead, OutputReported
from readers.protocols.lcus import LcusBoard
from readers.protocols.modbus import ModbusBoardPlan, ModbusLine
from readers.protocols.pn532 import Pn532Reader
from readers.protocols.supervised import InputPlan
from readers.transports.serial_line import SerialLine
from sekisho.bench import Bench, PortTroubleError, now_ms
from sekisho.device_report import Report, Trial, pause, wait_for, wait_online
from sekisho.probe import MODBUS_BAUDS, MODBUS_UNITS, PN532_BAUDS, Prober
from sekisho.spoken import Words, said, tell

NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3

ONLINE_S: Final = 4.0
STATES_S: Final = 0.6
"""How long a device is given to tell its inputs and outputs."""


class Tried:
    """One run: the site, the device, its secrets, and the report."""

    def __init__(self, arguments: argparse.Namespace, site: Site, device: DeviceSection, report: Report) -> None:
        self.arguments = arguments
        self.site = site
        self.device = device
        self.report = report
        self.secrets = _secrets(site)

    @property
    def is_simulation(self) -> bool:
        return self.site.simulation is not None

    def line(self, baud: int) -> SerialLine:
        """The device's line at this speed, or the one of the site file."""
        assert self.device.port is not None, "the site file was checked"
        return SerialLine(self.device.port, self.device.baud or baud, simulation=self.is_simulation)

    def prober(self, path: str | None = None) -> Prober:
        """Asks the device's port."""
        port = path or self.device.port
        assert port is not None, "the site file was checked"
        return Prober(port, lambda _text: None, simulation=self.is_simulation)

    def challenge(self) -> Callable[[CardTarget], CardSession | None] | None:
        """What asks cards to prove themselves, as in the controller."""
        if self.site.cards is None or self.secrets.cards is None:
            return None
        return Challenger(
            keys=self.secrets.cards,
            random=os.urandom,
            schemes=self.site.cards.schemes,
            application=bytes.fromhex(self.site.cards.application),
            pkoc_reader_id=pkoc_reader_id(self.site),
        ).session

    def channel(self) -> int:
        """The relay that is meant."""
        given: int | None = self.arguments.channel
        return 1 if given is None else given

    @property
    def for_ms(self) -> int:
        """How long it is on."""
        lasts: int = self.arguments.for_ms
        return lasts

    def read(self, trial: Trial) -> None:
        """One card, where that was asked for."""
        if not self.arguments.read:
            return
        self.report.note("card", ("カードをかざしてください", "hold a card to the reader"))
        if not wait_for(trial, self.report, CardRead, self.arguments.wait):
            self.report.bad("card", ("カードが読まれませんでした", "no card was read"))

    def watch(self, trial: Trial) -> None:
        """Inputs as they change, where that was asked for."""
        if self.arguments.read:
            words = ("入力を動かしてください", "move its inputs")
            self.report.note("input", words)
            pause(trial, self.report, self.arguments.wait)

    def pulse(self, trial: Trial, on: Callable[[], bool], off: Callable[[], object]) -> None:
        """One relay on for a while, where that was asked for, and OFF whatever happens."""
        if not self.arguments.pulse:
            return
        try:
            if not on():
                self.report.bad("relay", ("出力を動かせません", "the relay could not be ordered"))
                return
            trial.run(self.for_ms / 1000, self.report.hear, lambda: False)
        except (PortTroubleError, TransportError):
            words = ("出力が入のまま線が切れました", "the line broke while the relay was on")
            self.report.bad("relay", words, ("出力基板の電源を切ってください", "take the power of its board away"))
            raise
        finally:
            off()
            with suppress(PortTroubleError):  # told by what follows; the OFF was given
                pause(trial, self.report, STATES_S)
        told = [one for one in self.report.events if isinstance(one, OutputReported)]
        if told and told[-1].is_on:
            self.report.bad("relay", ("出力が切れません", "THE RELAY IS STILL ON: take its power away"))
        else:
            self.report.good(
                "relay",
                (f"出力を {self.for_ms} ms 動かし、切りました", f"the relay was on for {self.for_ms} ms and is off"),
            )


def run(arguments: argparse.Namespace) -> int:
    """Try the device; the exit status."""
    name = "sekisho devices test"
    try:
        site = load_site(arguments.site)
    except SiteFileError as error:
        tell(str(error))
        return NO
    device = site.devices.get(arguments.device)
    if device is None:
        tell(f"{name}: {said(_unknown(site, arguments.device), arguments.lang)}")
        return NO
    if arguments.pulse and not _is_wanted(arguments):
        words = ("--pulse には --yes も必要です。錠が開くことがあります", "--pulse needs --yes too: a lock may open")
        tell(f"{name}: {said(words, arguments.lang)}")
        return MISUSE
    if arguments.pulse and (relays := relays_of(device)) and _wanted_relay(arguments, device) not in relays:
        listed = ", ".join(map(str, relays))
        words = (f"{device.id} の出力は {listed} です", f"the relays of {device.id} are {listed}")
        tell(f"{name}: {said(words, arguments.lang)}")
        return MISUSE
    report = Report(device.id, arguments.lang, is_json=arguments.json)
    try:
        KINDS[device.kind](Tried(arguments, site, device, report))
    except KeyboardInterrupt:
        report.bad("stopped", ("中断しました", "stopped"))
        return report.end()
    except PortTroubleError as error:
        report.bad("port", error.words, code=error.code)
        report.end()
        return CANNOT_RUN
    except (MissingDriver, TransportError, KeyStoreError, ValueError) as error:
        report.bad("port", (str(error), str(error)))
        report.end()
        return CANNOT_RUN
    return report.end()


def relays_of(device: DeviceSection) -> tuple[int, ...]:
    """The relays of a device by their numbers (GPIO: pins); () where it has none, or just one without a number."""
    if device.kind is DeviceKind.GPIO:
        return tuple(device.relay_pins or ())
    return tuple(range(1, (device.channels or 0) + 1))


def _wanted_relay(arguments: argparse.Namespace, device: DeviceSection) -> int:
    given: int | None = arguments.channel
    if given is not None:
        return given
    return relays_of(device)[0]


def _unknown(site: Site, device: str) -> Words:
    known = ", ".join(site.devices)
    return f"設定ファイルに {device} はありません: {known}", f"the site file has no {device}; it has: {known}"


def _is_wanted(arguments: argparse.Namespace) -> bool:
    """Somebody says that a lock may open now."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        return False
    words = ("錠が開くことがあります。動かしますか [y/N] ", "a lock may open: pulse the relay? [y/N] ")
    print(said(words, arguments.lang), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _secrets(site: Site) -> Secrets:
    """The keys, as they are kept; none where there is no key store yet."""
    if site.keys.dir is None or (site.cards is None and not site.wiring.secured):
        return Secrets()
    if not Path(site.keys.dir).exists():
        return Secrets()
    return secrets_of(site, KeyStore.look(Path(site.keys.dir), seal_of(site.keys, os.urandom), os.urandom))


# -- kinds of devices --------------------------------------------------------------------------------------------------


def _pn532(tried: Tried) -> None:
    report, device = tried.report, tried.device
    wanted = device.baud or PN532_BAUD
    found = tried.prober().pn532_only((wanted, *(baud for baud in PN532_BAUDS if baud != wanted)))
    if found is None:
        _tell_other(tried, "PN532")
        return
    words = (f"PN532 {found.facts['firmware']} が応答", f"PN532 {found.facts['firmware']} answers")
    report.good("answer", words, firmware=found.facts["firmware"], baud=found.baud)
    if found.baud != wanted:
        real, _ = wrong_baud(found.baud, wanted)
        do: Words = ("電源を入れ直すと 115200 に戻ります", "take its power away for a moment: it wakes at 115200")
        report.bad("baud", real, do, real=found.baud)
        return
    chip = Pn532Reader(device.id, challenge=tried.challenge())
    with Bench(tried.line(PN532_BAUD), chip) as bench:
        if not wait_online(bench, report, ONLINE_S):
            report.bad("answer", ("読取装置として動きません", "it does not work as a reader"))
            return
        if tried.arguments.light or tried.arguments.sound:
            report.note("light", ("PN532 には表示灯もブザーもありません", "a PN532 has neither light nor sound"))
        tried.read(bench)
        if tried.arguments.pulse:
            report.note("relay", ("PN532 には出力がありません", "a PN532 has no relay"))


def wrong_baud(real: int, wanted: int) -> tuple[Words, Words]:
    """The device speaks at another speed than the site file says."""
    return (
        (f"速度が違います: 機器 {real}、設定 {wanted}", f"wrong speed: the device has {real}, the site file {wanted}"),
        (f"設定ファイルに baud = {real} と書いてください", f"write baud = {real} in the site file"),
    )


def _tell_other(tried: Tried, what: str) -> None:
    """What speaks at this port instead."""
    others = tried.prober().found()
    do: Words = ("配線、電源、ポートの指定を確かめてください", "look at cable, power, and whether it is this port")
    if others:
        kinds = ", ".join(dict.fromkeys(f"{one.kind} ({one.baud} baud)" for one in others))
        do = (f"このポートには {kinds} がつながっています", f"at this port there is {kinds}")
    port = tried.device.port
    tried.report.bad("answer", (f"{port} に {what} が応答しません", f"no {what} answers at {port}"), do)


def _lcus(tried: Tried) -> None:
    report, device = tried.report, tried.device
    board = LcusBoard(device.id, device.channels or 1)
    with Bench(tried.line(LCUS_BAUD), board) as bench:
        pause(bench, report, STATES_S)
        if board.can_report:
            report.good("answer", ("基板が応答し、全出力は切です", "the board answers; every relay was switched off"))
        else:
            silent: Words = (
                "ポートは開きましたが基板は応答しません (応答しない型もあります)。--pulse で音を確かめてください",
                "the port is open, the board says nothing (some never do): listen for its relay with --pulse",
            )
            report.note("answer", silent)

        def on() -> bool:
            board.switch(tried.channel(), on=True)
            return True

        def off() -> None:
            board.all_off()
            bench.flush()

        tried.pulse(bench, on, off)


def _modbus(tried: Tried) -> None:
    report, device = tried.report, tried.device
    wanted, unit = device.baud or MODBUS_BAUD, device.unit or 1
    inputs = tried.site.wiring.inputs.get(device.id, {})
    plan = ModbusBoardPlan(
        id=device.id,
        unit=unit,
        channels=device.channels or 1,
        inputs=tuple(InputPlan(number=number, line=line) for number, line in inputs.items()),
        has_flash=bool(device.has_flash),
    )
    line = ModbusLine(device.id, [plan], baud=wanted)
    with Bench(tried.line(MODBUS_BAUD), line) as bench:
        if wait_online(bench, report, ONLINE_S):
            words = (f"基板 {unit} が応答。全出力は切です", f"board {unit} answers; every relay is off, read back")
            report.good("answer", words, unit=unit, baud=wanted)
            pause(bench, report, STATES_S)
            tried.watch(bench)
            _modbus_pulse(tried, bench, line)
            return
    bauds = (wanted, *(baud for baud in MODBUS_BAUDS if baud != wanted))
    found = tried.prober().modbus_only(bauds, tuple(dict.fromkeys((unit, *MODBUS_UNITS))))
    _tell_addresses(report, "Modbus", unit, wanted, [(one.at or 0, one.baud) for one in found])


def _modbus_pulse(tried: Tried, bench: Bench, line: ModbusLine) -> None:
    def off() -> None:
        line.all_off(now_ms())
        bench.flush()

    tried.pulse(bench, lambda: line.release(tried.device.id, tried.channel(), tried.for_ms, now_ms()), off)


def _tell_addresses(report: Report, what: str, at: int, wanted: int, found: list[tuple[int, int]]) -> None:
    """No answer where one was expected: who answers instead, and how fast."""
    same = next((baud for address, baud in found if address == at), None)
    if same is not None and same != wanted:
        report.bad("baud", *wrong_baud(same, wanted), real=same)
        return
    listed = ", ".join(f"{address} ({baud} baud)" for address, baud in found)
    do: Words = (
        "配線、電源、A/B 線の向きを確かめてください",
        "look at cable, power, and whether A and B are exchanged",
    )
    if found:
        do = (f"応答するのは番地 {listed} です", f"addresses that answer: {listed}")
    words = (f"{what} 番地 {at} が応答しません", f"no {what} device answers at address {at}")
    report.bad("answer", words, do, answering=[address for address, _ in found])


def _osdp(tried: Tried) -> None:
    from sekisho.device_osdp import try_osdp

    try_osdp(tried, _tell_addresses)


def _osdp_bus(tried: Tried) -> None:
    from sekisho.device_osdp import try_bus

    try_bus(tried)


def _gpio(tried: Tried) -> None:
    from sekisho.device_others import try_gpio

    try_gpio(tried)


def _mqtt(tried: Tried) -> None:
    from sekisho.device_others import try_mqtt

    try_mqtt(tried)


def _pynfc(tried: Tried) -> None:
    from sekisho.device_others import try_libnfc

    try_libnfc(tried)


KINDS: Final[dict[DeviceKind, Callable[[Tried], None]]] = {
    DeviceKind.PN532: _pn532,
    DeviceKind.LCUS: _lcus,
    DeviceKind.MODBUS: _modbus,
    DeviceKind.OSDP: _osdp,
    DeviceKind.OSDP_BUS: _osdp_bus,
    DeviceKind.GPIO: _gpio,
    DeviceKind.MQTT: _mqtt,
    DeviceKind.PYNFC: _pynfc,
}
