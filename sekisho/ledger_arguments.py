"""Arguments of `sekisho ledger`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from sekisho.review_arguments import SOCKET_VARIABLE


def add_parsers(commands: Any) -> None:
    """`ledger` and what it does."""
    command = commands.add_parser("ledger", help="work with the ledger (監査ログ)")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = actions.add_parser("export", help="write every record of a running controller as JSON Lines (書き出し)")
    action.add_argument("file", type=Path, help="where to write; - for standard output")
    add_socket(action)
    action.set_defaults(run=_run, ledger="export")

    action = actions.add_parser("key", help="print the ledger's public key of a running controller (公開鍵)")
    add_socket(action)
    action.set_defaults(run=_run, ledger="key")


def add_socket(action: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """`--socket`, or what the environment says, as with every other question to a running controller."""
    named = os.environ.get(SOCKET_VARIABLE)
    words = "the running controller's Unix socket (default: $SEKISHO_SOCKET) 制御部のソケット"
    required = is_required and not named
    action.add_argument("--socket", type=Path, default=named and Path(named), required=required, help=words)


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.ledger import run

    return run(arguments)
