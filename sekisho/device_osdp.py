"""The trial of an OSDP reader: its secure channel with the site's key, what it shows, and why it would not.

Owns the search for the cause: another speed, another address, the factory's key, another key. The default key is never
tried: whether a reader still has it is asked in clear (osdp_PDCAP).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from controller.lines import OSDP_BAUD, pkoc_reader_id
from readers.events import DeviceOffline, DeviceOnline, ReaderDistrusted
from readers.protocols.osdp import OsdpBus, PdPlan
from readers.transports.serial_line import SerialLine
from sekisho.bench import Bench
from sekisho.device_report import Report, pause
from sekisho.probe import OSDP_ADDRESSES, OSDP_BAUDS, Found
from sekisho.spoken import Words

if TYPE_CHECKING:
    from sekisho.device_test import Tried

ONLINE_S: Final = 6.0
SHOWN_S: Final = 1.5
STATES_S: Final = 0.6
OFF_S: Final = 0.3
OFFLINE_MS: Final = 1_000

TellAddresses = Callable[[Report, str, int, int, list[tuple[int, int]]], None]


def try_bus(tried: Tried) -> None:
    """A line: who answers on it."""
    wanted = tried.device.baud or OSDP_BAUD
    found = tried.prober().osdp_only(_bauds(wanted), OSDP_ADDRESSES)
    members = {one.address or 0: one.id for one in tried.site.devices.values() if one.bus == tried.device.id}
    for one in found:
        name = members.get(one.at or 0, "?")
        words = (
            f"番地 {one.at} ({name}) が {one.baud} で応答",
            f"address {one.at} ({name}) answers at {one.baud} baud",
        )
        tried.report.good("answer", words, address=one.at, baud=one.baud, **one.facts)
    for address in members.keys() - {one.at for one in found}:
        words = (f"番地 {address} が応答しません", f"no answer from address {address} ({members[address]})")
        tried.report.bad("answer", words)


def try_osdp(tried: Tried, tell_addresses: TellAddresses) -> None:
    """One reader."""
    device, report = tried.device, tried.report
    bus = tried.site.devices[device.bus or ""]
    wanted, address = bus.baud or OSDP_BAUD, device.address or 0
    key = tried.secrets.reader_key(device.id)
    if key is not None and _is_well(tried, key, bus.port or "", wanted):
        return
    prober = tried.prober(bus.port)
    found = prober.osdp_only(_bauds(wanted), (address,))
    if not found:
        found = tried.prober(bus.port).osdp_only((prober.heard_at or wanted,), OSDP_ADDRESSES)
    one = next((one for one in found if one.at == address), None)
    if one is None or one.baud != wanted:
        tell_addresses(report, "OSDP", address, wanted, [(one.at or 0, one.baud) for one in found])
        return
    _tell_key(report, device.id, one, has_key=key is not None)


def _bauds(wanted: int) -> tuple[int, ...]:
    return (wanted, *(baud for baud in OSDP_BAUDS if baud != wanted))


def _tell_key(report: Report, device: str, one: Found, *, has_key: bool) -> None:
    """It answers in clear and not in its channel: whose key has it?"""
    facts = dict(one.facts)
    who = " ".join(facts.get(key, "?") for key in ("maker", "model", "serial", "firmware"))
    report.note("identity", (f"読取装置 (平文): {who}", f"the reader says in clear: {who}"), **facts)
    install = f"`sekisho devices install {device} --officers A B`"
    do: Words = (f"制御部を動かし、二名で {install}", f"start the controller; two officers: {install}")
    if facts.get("secure_channel") == "no":
        words = ("暗号通信ができない読取装置です", "this reader offers no secure channel")
        report.bad("key", words, ("別の読取装置が必要です", "another reader is needed"), key="none")
    elif facts.get("default_key") == "yes":
        words = ("初期鍵のままです。固有の鍵がありません", "it still has the factory's default key")
        report.bad("key", words, do, key="default")
    elif not has_key:
        words = ("鍵庫に鍵がなく、読取装置は別の鍵を持っています", "the key store has no key for it, and it has one")
        report.bad("key", words, _reset(do), key="unknown")
    else:
        words = ("鍵が違います。読取装置は当所の鍵を知りません", "wrong key: it has another than the key store")
        report.bad("key", words, _reset(do), key="other")


def _reset(do: Words) -> Words:
    return (
        f"現物を確かめ、工場出荷状態に戻してから: {do[0]}",
        f"look at it (was it exchanged?), reset it as its maker says, then: {do[1]}",
    )


def _is_well(tried: Tried, key: bytes, port: str, baud: int) -> bool:
    """Whether its channel stands; then all that was asked for is tried. False where it is worth asking in clear."""
    device, report, site = tried.device, tried.report, tried.site
    is_asking = site.cards is not None and "pkoc" in site.cards.schemes
    plan = PdPlan(
        source=device.id,
        address=device.address or 0,
        key=key,
        identity=tried.secrets.view.identities.get(device.id),
        inputs={number - 1: line for number, line in site.wiring.inputs.get(device.id, {}).items()},
        has_keypad=bool(device.keypad),
        offline_after_ms=OFFLINE_MS,
        pkoc_reader_id=pkoc_reader_id(site) if is_asking else None,
    )
    bus = OsdpBus("line", [plan], baud=baud, random=os.urandom)
    with Bench(SerialLine(port, baud, simulation=tried.is_simulation), bus) as bench:
        ends = (DeviceOnline, DeviceOffline)
        bench.run(ONLINE_S, report.events.append, lambda: any(isinstance(one, ends) for one in report.events))
        heard, report.events = report.events, []
        if not any(isinstance(one, DeviceOnline) for one in heard):
            told = [one for one in heard if isinstance(one, ReaderDistrusted) and one.why in {"replaced", "downgraded"}]
            for one in told:
                report.hear(one)
            return bool(told)
        for event in heard:
            report.hear(event)
        words = ("暗号通信が成立しました (当所の鍵)", "the secure channel stands, with the site's key")
        report.good("key", words, baud=baud, key="site")
        pause(bench, report, STATES_S)
        _show(tried, bench, bus)
        tried.read(bench)
        output = tried.channel() - 1

        def off() -> None:
            bus.switch(device.id, output, is_on=False)
            pause(bench, report, OFF_S)

        tried.pulse(bench, lambda: bus.switch(device.id, output, is_on=True, for_ms=tried.for_ms), off)
    return True


def _show(tried: Tried, bench: Bench, bus: OsdpBus) -> None:
    """Lights and sounds, as people see them at the wall."""
    name, report = tried.device.id, tried.report
    if tried.arguments.light:
        bus.show(name, "granted")
        report.note("light", ("表示: 許可 (緑 3 秒)", "shown: a grant (green, 3 s)"))
        pause(bench, report, SHOWN_S)
        bus.show(name, "refused")
        report.note("light", ("表示: 拒否 (赤 点滅 2 秒)", "shown: a refusal (red, flashing, 2 s)"))
        pause(bench, report, SHOWN_S)
    if tried.arguments.sound:
        bus.show(name, "enter_pin")
        report.note("sound", ("鳴動: 短く 2 回", "sounded: twice, short"))
        pause(bench, report, SHOWN_S)
