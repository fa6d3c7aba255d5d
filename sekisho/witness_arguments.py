"""Arguments of `sekisho witness`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parsers(commands: Any) -> None:
    """`witness` and what it does."""
    command = commands.add_parser("witness", help="vouch for another machine's ledger (立会人として署名する)")
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = _action(actions, "init", "make a witness's folder and key, and print its vkey (鍵を作る)")
    action.add_argument("--name", default="", help="name in the vkey, like a host name and path (名前)")

    action = _action(actions, "serve", "sign checkpoints that continue what was signed before (署名する)")
    action.add_argument(
        "--listen", type=_address, default=("127.0.0.1", 8443), metavar="HOST:PORT", help="default 127.0.0.1:8443"
    )
    action.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain (PEM), for TLS")
    action.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    action.add_argument(
        "--ledger",
        nargs="+",
        action="extend",
        default=[],
        metavar="VKEY",
        help="look after the ledger of this key; remembered, so once is enough (見守る記録簿の公開鍵)",
    )

    action = _action(actions, "show", "what this witness signed last, and what it refused (一覧)")
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    action.add_argument(
        "--checkpoint",
        metavar="ORIGIN",
        help="print the last checkpoint signed of that ledger alone, for `sekisho verify --checkpoint` (検査点)",
    )
    action.add_argument("--lang", choices=("ja", "en", "both"), default="both")


def _action(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=what)
    action.add_argument("dir", type=Path, metavar="DIR", help="the witness's folder")
    action.set_defaults(run=_run, witness=name)
    return action


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.witness import run

    return run(arguments)
