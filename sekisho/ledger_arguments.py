"""Arguments of `sekisho ledger`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from sekisho.review_arguments import SOCKET_VARIABLE, time_of


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
    _add_keeping(actions)


def _add_keeping(actions: Any) -> None:
    """What is kept how long, for whom it is kept longer, and what a record is."""
    words = "legal holds: what was recorded in a time is kept until the hold ends (記録の保全)"
    hold = actions.add_parser("hold", help=words).add_subparsers(required=True, metavar="on|off|list")
    action = hold.add_parser("on", help="begin one; an auditor, at the controller itself (保全を始める)")
    _add_hold(action)
    words = "what was recorded from then on, e.g. 2026-11-24T12:00 in Japan; default: from the beginning (始め)"
    action.add_argument("--from", dest="first", type=time_of, metavar="TIME", help=words)
    words = "and until then; default: without an end, what is still to come too (終わり)"
    action.add_argument("--until", dest="last", type=time_of, metavar="TIME", help=words)
    action.set_defaults(run=_run, ledger="hold", hold_act="on")
    action = hold.add_parser("off", help="end one; two auditors (保全を終える)")
    _add_hold(action)
    action.add_argument("--second", required=True, metavar="ID", help="the other auditor (二人目)")
    action.set_defaults(run=_run, ledger="hold", hold_act="off")
    action = hold.add_parser("list", help="those that hold (一覧)")
    add_socket(action)
    add_json(action)
    action.set_defaults(run=_run, ledger="hold", hold_act="list")

    words = "drop what is past its term now, not only tonight; an auditor, at the controller itself (保存期間後の消去)"
    action = actions.add_parser("purge", help=words)
    action.add_argument("--by", metavar="ID", help="the auditor")
    action.add_argument("--dry-run", action="store_true", help="only tell what would go (消去せずに件数だけ)")
    action.add_argument("--site", type=Path, metavar="FILE", help="of --dry-run: the site file, for its terms")
    add_socket(action)
    add_json(action)
    action.set_defaults(run=_run, ledger="purge")

    action = actions.add_parser("schema", help="every type of record and why it is kept (記録の種類と理由)")
    action.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="write the published files there")
    add_json(action)
    action.set_defaults(run=_run, ledger="schema")


def _add_hold(action: argparse.ArgumentParser) -> None:
    action.add_argument("name", metavar="NAME", help="lower-case letters, digits and dashes; no names of people")
    action.add_argument("--by", required=True, metavar="ID", help="the auditor ([ledger] auditors in the site file)")
    add_socket(action)
    add_json(action)


def _add_stopped(actions: Any) -> None:
    """What is done beside the ledger's files, at the console."""
    words = "give the ledger another signing key, while the controller is stopped (署名鍵の更新)"
    action = actions.add_parser("rotate-key", help=words)
    action.add_argument("site", type=Path, help="site file (TOML)")
    action.add_argument("--officer", required=True, metavar="ID", help="who does this")
    action.add_argument("--second", required=True, metavar="ID", help="the second person (二人目)")
    add_json(action)
    action.set_defaults(run=_run, ledger="rotate-key")

    action = actions.add_parser("capacity", help="for how many days the disk holds (媒体の残り日数)")
    action.add_argument("site", type=Path, help="site file (TOML)")
    add_json(action)
    action.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    action.set_defaults(run=_run, ledger="capacity")


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
