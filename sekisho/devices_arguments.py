"""Arguments of `sekisho devices`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from sekisho.review_arguments import SOCKET_VARIABLE

MINUTES_MAX: Final = 10


def add_parsers(commands: Any) -> None:
    """`devices` and what it does."""
    command = commands.add_parser("devices", help="readers, boards and lines: find, try, install (機器)")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = _action(actions, "scan", "what is plugged in and speaks; nothing is switched (つながっている機器を探す)")
    action.add_argument("--port", action="append", metavar="PATH", help="this port only; may be repeated (ポート)")

    action = _action(actions, "show", "how every device of the running controller stands (機器の状態)")
    action.add_argument("device", nargs="?", metavar="DEVICE", help="everything that is known of this one")
    _socket(action)

    action = _action(actions, "test", "try one device, while the controller is stopped (機器の試験)")
    action.add_argument("site", type=Path, help="site file (TOML)")
    action.add_argument("device", metavar="DEVICE", help="its id in the site file")
    action.add_argument("--light", action="store_true", help="show the light of a grant and of a refusal (表示灯)")
    action.add_argument("--sound", action="store_true", help="let it sound (ブザー)")
    action.add_argument("--read", action="store_true", help="read one card, or watch the inputs (カード・入力を読む)")
    action.add_argument("--pulse", action="store_true", help="pulse a relay: A LOCK MAY OPEN (出力を一回動かす)")
    action.add_argument("--channel", type=_channel, metavar="N", help="which relay (default: the first)")
    action.add_argument("--for-ms", type=_millis, default=1000, metavar="MS", help="how long the pulse lasts (ミリ秒)")
    action.add_argument("--yes", action="store_true", help="the pulse is wanted; nobody is asked (確認しない)")
    action.add_argument("--wait", type=_seconds, default=15.0, metavar="S", help="how long to wait (秒)")

    action = _action(actions, "install", "give a reader its own key; two officers, ten minutes (鍵の設置)")
    action.add_argument("reader", metavar="READER")
    _two_officers(action)
    words = "how long install mode may last, 1 to 10 (default: %(default)s)"
    action.add_argument("--minutes", type=_minutes, default=MINUTES_MAX, metavar="N", help=words)

    action = _action(actions, "install-off", "end install mode (鍵の設置を終える)")
    action.add_argument("reader", metavar="READER")
    _one_officer(action)

    action = _action(actions, "renew-key", "another key for a reader, inside its channel (読取装置の鍵の更新)")
    action.add_argument("reader", metavar="READER")
    _two_officers(action)

    action = _action(actions, "custodian-left", "somebody who held keys left: they are due (鍵の管理者の離任)")
    action.add_argument("who", metavar="WHO")
    _one_officer(action)


def _two_officers(action: argparse.ArgumentParser) -> None:
    action.add_argument("--officers", nargs=2, required=True, metavar=("A", "B"), help="two different officers (二名)")
    _socket(action)


def _one_officer(action: argparse.ArgumentParser) -> None:
    action.add_argument("--officer", required=True, metavar="A", help="who does this (担当者)")
    _socket(action)


def _socket(action: argparse.ArgumentParser) -> None:
    words = f"the running controller's Unix socket (default: ${SOCKET_VARIABLE}) 制御部のソケット"
    action.add_argument("--socket", type=Path, help=words)


def _action(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=what)
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    action.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    action.set_defaults(run=_run, devices=name)
    return action


def _number(text: str, first: int, last: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and first <= int(text) <= last):
        raise argparse.ArgumentTypeError(f"must be a whole number, {first} to {last}")
    return int(text)


def _channel(text: str) -> int:
    return _number(text, 0, 53)


def _millis(text: str) -> int:
    return _number(text, 100, 9_900)


def _minutes(text: str) -> int:
    return _number(text, 1, MINUTES_MAX)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be a number of seconds, up to 3600")
    return seconds


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.devices import run

    return run(arguments)
