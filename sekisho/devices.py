"""`sekisho devices`: what is plugged in, how it stands, and what to do about it (docs/devices.md).

`scan` asks ports and switches nothing; `show` asks a running controller. What drives one device is in
`sekisho.device_test`, what orders are given to a running controller in `sekisho.device_orders`. Exit status: 0 well,
1 something is wrong or was refused, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Devices, DeviceStanding
from readers.errors import MissingDriver
from sekisho.bench import PortTroubleError
from sekisho.card_desk import pcsc_readers
from sekisho.probe import Found, Prober, gpio_present, serial_ports
from sekisho.review_arguments import SOCKET_VARIABLE
from sekisho.spoken import Progress, Words, print_json, print_lines, said, table, tell

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

_NO_SOCKET: Final[Words] = (
    f"--socket PATH か ${SOCKET_VARIABLE} で制御部のソケットを指定してください",
    f"name the running controller with --socket PATH or in ${SOCKET_VARIABLE}",
)


def run(arguments: argparse.Namespace) -> int:
    """Run the action that `arguments.devices` names and return its exit status."""
    return ACTIONS[arguments.devices](arguments)


def socket_of(arguments: argparse.Namespace) -> Path | None:
    """The socket that was named; None, and said so, where none was."""
    named: Path | None = arguments.socket
    if named is None and (text := os.environ.get(SOCKET_VARIABLE)):
        named = Path(text)
    if named is None:
        tell(f"sekisho devices {arguments.devices}: {said(_NO_SOCKET, arguments.lang)}")
    return named


# -- scan --------------------------------------------------------------------------------------------------------------


def _scan(arguments: argparse.Namespace) -> int:
    ports = [(path, "") for path in arguments.port] if arguments.port else serial_ports()
    asked: list[dict[str, Any]] = []
    is_whole = True
    progress = Progress()
    try:
        for path, words in ports:
            asked.append(_asked(path, words, progress))
    except KeyboardInterrupt:
        is_whole = False  # what was found so far is told
    finally:
        progress.end()
    document: dict[str, Any] = {"ports": asked, "is_whole": is_whole}
    if not arguments.port:
        document |= {"pcsc": _pcsc(), "gpio": gpio_present()}
    if arguments.json:
        print_json(_without_words(document))
    else:
        _print_scan(document, arguments.lang)
    if arguments.port and any(one["trouble"] for one in asked):
        return CANNOT_RUN
    is_any = any(one["found"] for one in asked) or bool(document.get("pcsc", {}).get("readers"))
    return OK if is_any else NO


def _asked(path: str, words: str, progress: Progress) -> dict[str, Any]:
    """One port: who answers there, or why it cannot be asked."""
    try:
        found = Prober(path, progress.show).found()
    except PortTroubleError as error:
        return {"port": path, "adapter": words, "found": [], "trouble": error.code, "words": error.words}
    except ValueError as error:
        return {"port": path, "adapter": words, "found": [], "trouble": "no_port", "words": (str(error), str(error))}
    return {"port": path, "adapter": words, "found": found, "trouble": None}


def _pcsc() -> dict[str, Any]:
    try:
        return {"readers": pcsc_readers()}
    except (MissingDriver, OSError) as error:
        return {"readers": [], "why": str(error)}


def _without_words(document: dict[str, Any]) -> dict[str, Any]:
    ports = [
        {key: value for key, value in one.items() if key != "words"}
        | {"found": [asdict(found) for found in one["found"]]}
        | ({"why": one["words"][1]} if one["trouble"] else {})
        for one in document["ports"]
    ]
    return document | {"ports": ports}


_KINDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "pn532": ("カード読取装置 PN532", "card reader PN532"),
        "osdp": ("OSDP 読取装置", "OSDP reader"),
        "modbus": ("Modbus 出力基板", "Modbus board"),
        "lcus": ("LCUS 出力基板", "LCUS board"),
        "pcsc": ("PC/SC 卓上読取装置", "PC/SC desk reader"),
        "gpio": ("GPIO 端子", "GPIO pins"),
    }
)
_FACTS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "maker": ("製造者", "maker"),
        "model": ("型", "model"),
        "serial": ("製番", "serial"),
        "firmware": ("版", "firmware"),
        "secure_channel": ("暗号通信", "secure channel"),
        "default_key": ("初期鍵", "default key"),
        "checks": ("検査", "check"),
        "relays": ("出力", "relays"),
        "on": ("入の出力", "on now"),
        "answer": ("応答", "answer"),
        "chips": ("端子", "chips"),
        "machine": ("機種", "machine"),
    }
)
_YES_NO: Final[Mapping[str, Words]] = MappingProxyType({"yes": ("有", "yes"), "no": ("無", "no")})
_SILENT: Final[Words] = ("応答なし", "nothing answers")


def _print_scan(document: dict[str, Any], lang: str) -> None:
    head = tuple(
        said(words, lang)
        for words in (
            ("ポート", "port"),
            ("機器", "device"),
            ("番地", "address"),
            ("速度", "baud"),
            ("詳細", "details"),
        )
    )
    rows: list[tuple[str, ...]] = []
    for one in document["ports"]:
        if one["trouble"]:
            rows.append((one["port"], "-", "-", "-", said(one["words"], lang)))
        elif not one["found"]:
            rows.append((one["port"], "-", "-", "-", f"{said(_SILENT, lang)} {one['adapter']}".rstrip()))
        rows += [_found_row(found, lang) for found in one["found"]]
    pcsc = document.get("pcsc", {"readers": []})
    rows += [(name, said(_KINDS["pcsc"], lang), "-", "-", "") for name in pcsc["readers"]]
    if gpio := document.get("gpio"):
        rows.append(("gpio", said(_KINDS["gpio"], lang), "-", "-", _facts(gpio, lang)))
    if rows:
        print_lines(table([head, *rows]))
    else:
        tell(said(("シリアルポートがありません", "there is no serial port"), lang))
    if why := pcsc.get("why"):
        tell(f"PC/SC: {why}")
    if not document["is_whole"]:
        tell(said(("途中で止めました", "stopped before the end"), lang))


def _found_row(found: Found, lang: str) -> tuple[str, ...]:
    at = "-" if found.at is None else str(found.at)
    return found.port, said(_KINDS[found.kind], lang), at, str(found.baud), _facts(found.facts, lang)


def _facts(facts: Mapping[str, str], lang: str) -> str:
    told = []
    for key, value in facts.items():
        name = said(_FACTS[key], lang) if key in _FACTS else key
        told.append(f"{name} {said(_YES_NO[value], lang) if value in _YES_NO else value}")
    return ("、" if lang == "ja" else ", ").join(told)


# -- show --------------------------------------------------------------------------------------------------------------


def _show(arguments: argparse.Namespace) -> int:
    socket = socket_of(arguments)
    if socket is None:
        return CANNOT_RUN
    try:
        with LinkClient(socket, "sekisho devices") as client:
            answer = client.devices()
    except LinkDown as error:
        tell(f"sekisho devices show: {error}")
        return CANNOT_RUN
    if arguments.device is not None:
        return _show_one(arguments, answer)
    if arguments.json:
        print_json(
            {
                "devices": [_document(one) for one in answer.devices],
                "keys_due": [one.key for one in answer.keys if one.is_due],
            }
        )
    else:
        _print_standings(answer, arguments.lang)
    return NO if any(is_wrong(one) for one in answer.devices) else OK


def is_wrong(one: DeviceStanding) -> bool:
    """Whether somebody has to do something about this device."""
    return not (one.is_online and one.is_trusted and one.is_commissioned) or bool(one.fault)


def _document(one: DeviceStanding) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "where": one.where,
        "serves": list(one.serves),
        "is_online": one.is_online,
        "is_trusted": one.is_trusted,
        "is_commissioned": one.is_commissioned,
        "fault": one.fault,
        "facts": one.facts,
        "next": [words[1] for words in next_steps(one)],
    }


def next_steps(one: DeviceStanding) -> list[Words]:
    """What is to be done about a device, in words."""
    steps: list[Words] = []
    if one.facts.get("is_installing") == "True":
        order = f"`sekisho devices install-off {one.id} --officer A`"
        steps.append((f"鍵の設置中です。終えるには {order}", f"it is in install mode; {order} ends it"))
    elif not one.is_online and one.facts.get("last_why") == "installing":
        steps.append(("鍵の設置が終わったばかりです。少し待つ", "install mode is just over: wait a little"))
    elif not one.is_commissioned and one.kind == "osdp":
        return [_commission(one)]  # it is not spoken to before: that nothing comes of it is no fault of the cable
    elif not one.is_online and not one.is_trusted and one.facts.get("last_why") in _ANOTHER_KEY:
        steps.append(_another_key(one.id))
    elif not one.is_online:
        why = one.fault or one.facts.get("last_why", "")
        told = f" ({why})" if why else ""
        order = f"`sekisho devices test SITE.toml {one.id}`"
        ja = f"応答なし{told}: 配線と電源を確認する。制御部を止めれば {order} で試せます"
        steps.append((ja, f"no answer{told}: look at cable and power; with the controller stopped, {order} tries it"))
    elif one.fault:
        steps.append((f"異常: {one.fault}", f"fault: {one.fault}"))
    if not one.is_commissioned:
        steps.append(_commission(one))
    elif not one.is_trusted:
        steps.append(restore_words(one.id))
    return steps


_ANOTHER_KEY: Final = frozenset({"wrong key", "default key"})


def _another_key(device: str) -> Words:
    order = f"`sekisho devices install {device} --officers A B`"
    return (
        f"別の鍵を持っています: 交換・初期化されていないか現物を見る。正しい装置なら、製造者の手順で初期化して {order}",
        f"it has another key: was it exchanged or reset? The right one is reset as its maker says; then {order}",
    )


def _commission(one: DeviceStanding) -> Words:
    if one.kind == "osdp":
        order = f"`sekisho devices install {one.id} --officers A B`"
        return f"固有の鍵がありません: {order}", f"it has no key of its own: {order}"
    order = "`sekisho keys list SITE.toml`"
    return (
        f"カードの鍵が工場出荷時のままです: {order}",
        f"cards still count with a factory key: {order}",
    )


def restore_words(device: str) -> Words:
    """How a device is trusted again."""
    way = f"POST /api/v1/devices/{device}/restore (restored_by, confirmed_by)"
    return (
        f"信頼されていません: 二名で現物を確かめ、承認する: {way}",
        f"not trusted: two officers look at it and approve it: {way}",
    )


def _print_standings(answer: Devices, lang: str) -> None:
    if not answer.devices:
        tell(said(("機器がありません", "there are no devices"), lang))
        return
    head = [("機器", "device"), ("種類", "kind"), ("場所", "where"), ("扉", "serves"), ("状態", "state")]
    rows = [tuple(said(words, lang) for words in head)]
    rows += [
        (one.id, one.kind, one.where or "-", ", ".join(one.serves) or "-", _state(one, lang)) for one in answer.devices
    ]
    lines = table(rows)
    print(lines[0])
    for one, line in zip(answer.devices, lines[1:], strict=True):
        print(line)
        for words in next_steps(one):
            print(f"    → {said(words, lang)}")
    due = sorted({one.key for one in answer.keys if one.is_due})
    if due:
        print(said((f"更新すべき鍵: {', '.join(due)}", f"keys that are due: {', '.join(due)}"), lang))


def _state(one: DeviceStanding, lang: str) -> str:
    words: list[Words] = [("応答あり", "online") if one.is_online else ("応答なし", "OFFLINE")]
    if not one.is_trusted:
        words.append(("信頼なし", "UNTRUSTED"))
    if not one.is_commissioned:
        words.append(("鍵なし", "NOT COMMISSIONED"))
    if one.fault:
        words.append((one.fault, one.fault))
    return ", ".join(dict.fromkeys(said(one, lang) for one in words))


_TOLD_ABOVE: Final = frozenset({"source", "is_online"})
_FACT_NAMES: Final[Mapping[str, str]] = MappingProxyType({"state": "wire"})


def _show_one(arguments: argparse.Namespace, answer: Devices) -> int:
    one = next((one for one in answer.devices if one.id == arguments.device), None)
    if one is None:
        known = ", ".join(one.id for one in answer.devices) or "-"
        words = (f"{arguments.device} はありません: {known}", f"there is no {arguments.device}; there are: {known}")
        tell(f"sekisho devices show: {said(words, arguments.lang)}")
        return NO
    if arguments.json:
        print_json(_document(one))
        return NO if is_wrong(one) else OK
    lang = arguments.lang
    rows = [
        (said(("機器", "device"), lang), one.id),
        (said(("種類", "kind"), lang), one.kind),
        (said(("場所", "where"), lang), one.where or "-"),
        (said(("扉", "serves"), lang), ", ".join(one.serves) or "-"),
        (said(("状態", "state"), lang), _state(one, lang)),
        *((_FACT_NAMES.get(key, key), fact) for key, fact in sorted(one.facts.items()) if key not in _TOLD_ABOVE),
    ]
    print_lines(table(rows))
    for words in next_steps(one):
        print(f"    → {said(words, lang)}")
    return NO if is_wrong(one) else OK


def _test(arguments: argparse.Namespace) -> int:
    from sekisho.device_test import run as run_test

    return run_test(arguments)


def _order(arguments: argparse.Namespace) -> int:
    from sekisho.device_orders import run as run_order

    socket = socket_of(arguments)
    return CANNOT_RUN if socket is None else run_order(arguments, socket)


ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = MappingProxyType(
    {
        "scan": _scan,
        "show": _show,
        "test": _test,
        "install": _order,
        "install-off": _order,
        "renew-key": _order,
        "custodian-left": _order,
    }
)
