"""Arguments of `sekisho keys`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

PURPOSES: Final = (
    *("desfire_master", "desfire_read", "desfire_uid"),
    *("ntag424_master", "ntag424_read", "felica_card"),
)


ALIRO: Final = "aliro_reader"
"""The key pair by which phones know the site's readers: not a card's, and of one version."""


def add_parsers(commands: Any) -> None:
    """`keys` and what it does."""
    command = commands.add_parser("keys", help="the site's keys, while the controller is stopped (鍵の管理)")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = _action(actions, "list", "every key by its mark, without the key (一覧)", is_by_two=False)
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    action.add_argument("--lang", choices=("ja", "en", "both"), default="both")

    action = _action(actions, "make", "draw a card key, or its next version (カードの鍵を作る・更新する)")
    action.add_argument("purpose", choices=(*PURPOSES, ALIRO))

    action = _action(actions, "retire", "forget an old version of a card key (古い鍵を廃止する)")
    action.add_argument("purpose", choices=PURPOSES)
    action.add_argument("version", type=int)

    action = _action(
        actions, "import-reader", "take a reader's key that was loaded on the bench (読取装置の鍵を取り込む)"
    )
    action.add_argument("reader", help="the reader's id in the site file")
    action.add_argument("file", type=Path, help="16 bytes or 32 hex digits, mode 0600")

    action = _action(actions, "import-card", "take a card key that was made elsewhere (カードの鍵を取り込む)")
    action.add_argument("purpose", choices=PURPOSES)
    action.add_argument("version", type=int)
    action.add_argument("file", type=Path, help="16 bytes or 32 hex digits, mode 0600")
    action.add_argument(
        "--factory", action="store_true", help="it is the key that cards come with: not commissioned until retired"
    )

    action = _action(actions, "seal-again", "seal the same keys as the site file says now (封印を替える)")
    action.add_argument("--was", choices=("file", "credential"), required=True, help="what seals them until now")

    _action(actions, "restored", "say that the key store was put back from its backup (バックアップから戻した)")


def _action(actions: Any, name: str, what: str, *, is_by_two: bool = True) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=what)
    action.add_argument("site", type=Path, help="site file (TOML)")
    if is_by_two:
        action.add_argument(
            "--by",
            action="append",
            default=[],
            metavar="ID",
            help="officer or cardholder who does this; two of them, --by A --by B (二名)",
        )
    action.set_defaults(run=_run, keys=name)
    return action


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.keys import run

    return run(arguments)
