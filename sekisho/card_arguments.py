"""Arguments of `sekisho card`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

SCHEMES: Final = ("desfire_ev2", "ntag424", "felica_lite_s", "pkoc")
KEYED: Final = ("desfire_ev2", "ntag424", "felica_lite_s")


def add_parsers(commands: Any) -> None:
    """`card` and what it does."""
    command = commands.add_parser("card", help="make cards at the enrolment desk (カードの発行)")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = _action(actions, "issue", "make a blank card a credential of the site (発行)")
    action.add_argument("--scheme", choices=SCHEMES, required=True, help="what kind of card it is (カードの種類)")
    action.add_argument(
        "--random-uid", action="store_true", help="the card shows a made-up number from now on, for good (番号を隠す)"
    )
    action.add_argument("--again", action="store_true", help="the card was begun before: begin anew (やり直し)")
    action.add_argument(
        "--active", action="store_true", help="it opens doors at once, not only when handed out (即時有効)"
    )
    _registered(action)
    action.add_argument("--cardholder", metavar="ID", help="whose it is (持ち主)")
    action.add_argument("--credential", metavar="ID", help="the credential's own id; one is made up otherwise")
    action.add_argument(
        "--print-number", action="store_true", help="print the whole number where there is no controller (番号を表示)"
    )

    action = _action(actions, "rekey", "bring a card's keys to their newest version (鍵の更新)")
    action.add_argument("--scheme", choices=KEYED, required=True, help="what kind of card it is (カードの種類)")
    _registered(action)

    action = _action(actions, "retire", "a card that proves nothing any more (廃止)")
    action.add_argument("--scheme", choices=KEYED, required=True, help="what kind of card it is (カードの種類)")
    action.add_argument("--destroyed", action="store_true", help="it will be destroyed, not kept for others (破棄する)")
    _registered(action)

    action = _action(actions, "look", "what a card is, without changing it (カードを調べる)")
    action.add_argument("--socket", type=Path, help="the controller's Unix socket; the site file names it otherwise")
    action.set_defaults(officer=None)


def _registered(action: argparse.ArgumentParser) -> None:
    action.add_argument("--officer", metavar="ID", help="who does this, for the record (担当者)")
    action.add_argument("--socket", type=Path, help="the controller's Unix socket; the site file names it otherwise")


def _action(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=what)
    action.add_argument("site", type=Path, help="site file (TOML)")
    action.add_argument(
        "--reader",
        required=True,
        metavar="pcsc[:NAME]|PORT",
        help="the desk's reader: one on USB (PC/SC), or the port of a PN532 (卓上の読取装置)",
    )
    action.add_argument("--wait", type=_seconds, default=60.0, metavar="S", help="how long to wait for a card (秒)")
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    action.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    action.set_defaults(run=_run, card=name)
    return action


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("must be a number of seconds, up to 3600")
    return seconds


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.card import run

    return run(arguments)
