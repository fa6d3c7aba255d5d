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

    words = "write a running controller's ledger as static C2SP tiles; again: what is new (タイルの書き出し)"
    action = actions.add_parser("tiles", help=words)
    action.add_argument("folder", type=Path, metavar="DIR", help="where; made if it is not there")
    add_socket(action)
    add_json(action)
    action.set_defaults(run=_run, ledger="tiles")

    _add_proofs(actions)
    _add_stopped(actions)


def _add_stopped(actions: Any) -> None:
    """What is done beside the ledger's files, at the console."""
    words = "give the ledger another signing key, while the controller is stopped (署名鍵の更新)"
    action = actions.add_parser("rotate-key", help=words)
    action.add_argument("site", type=Path, help="site file (TOML)")
    action.add_argument("--officer", required=True, metavar="ID", help="who does this")
    action.add_argument("--second", required=True, metavar="ID", help="the second person (二人目)")
    add_json(action)
    action.set_defaults(run=_run, ledger="rotate-key")


def _add_proofs(actions: Any) -> None:
    """What one record, or one day, is proven by."""
    action = actions.add_parser("prove", help="one record with the proof that it is in the ledger (一件の証明)")
    action.add_argument("seq", type=int, metavar="SEQ", help="the record's number")
    action.add_argument("--out", type=Path, metavar="FILE", help="where to write; default: standard output")
    action.add_argument(
        "--tiles", type=Path, metavar="DIR", help="read the path from these tiles: quick in a big ledger"
    )
    add_socket(action)
    action.add_argument("--json", action="store_true", help="as JSON instead of C2SP tlog-proof text")
    action.set_defaults(run=_run, ledger="prove")

    action = actions.add_parser("check-proof", help="whether such a proof holds; needs nothing else (証明の検査)")
    action.add_argument("file", type=Path, help="what `prove` or the API gave, text or JSON")
    action.add_argument("--key", required=True, metavar="VKEY", help="the ledger's public key, or a file with it")
    words = "also demand this witness's signature, a public key or a file with it; any number of times (立会人)"
    action.add_argument("--witness", action="append", default=[], metavar="VKEY", help=words)
    add_json(action)
    action.set_defaults(run=_run, ledger="check-proof")

    action = actions.add_parser("code", help="the day's short code for the inspection sheet (点検表に書く符号)")
    add_socket(action)
    add_json(action)
    action.set_defaults(run=_run, ledger="code")


def add_json(action: argparse.ArgumentParser) -> None:
    """`--json`, as everywhere."""
    action.add_argument("--json", action="store_true", help="print the answer as JSON")


def add_socket(action: argparse.ArgumentParser, *, is_required: bool = True) -> None:
    """`--socket`, or what the environment says, as with every other question to a running controller."""
    named = os.environ.get(SOCKET_VARIABLE)
    words = "the running controller's Unix socket (default: $SEKISHO_SOCKET) 制御部のソケット"
    required = is_required and not named
    action.add_argument("--socket", type=Path, default=named and Path(named), required=required, help=words)


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.ledger import run

    return run(arguments)
