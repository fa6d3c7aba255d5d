"""Arguments of the commands that ask the ledger. Imports nothing of ours: the console command must start quickly."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

SOCKET_VARIABLE: Final = "SEKISHO_SOCKET"

EDIT_EXAMPLE: Final = """\
Rows are whole and look as they do in the ledger (docs/ledger.md; `sekisho ledger export`, POLICY_EDITED):
  {"puts": [["zone_status", {"id": "vault", "state": "SECURED"}]], "drops": []}
行は監査ログにあるとおり、すべての項目を書く。"""

_JST: Final = timezone(timedelta(hours=9))


def add_parsers(commands: Any) -> None:
    """`explain`, `replay`, `what-if`, `who-can`."""
    command = _parser(commands, "explain", "why a decision came out as it did (判定の理由)")
    command.add_argument("decision", metavar="SEQ|NUMBER", help="sequence number, or the 4 characters of a refusal")
    command.add_argument("--number", action="store_true", help="it is the number of a refusal, though all digits")

    span = "a sequence number, or a time (2026-11-24, 2026-11-24T12:00 in Japan)"
    command = _parser(commands, "replay", "derive recorded decisions again and compare (判定の再現)")
    command.add_argument("first", nargs="?", type=_bound, metavar="FROM", help=f"first record: {span}")
    command.add_argument("last", nargs="?", type=_bound, metavar="TO", help="last record, the same way")

    command = _parser(commands, "what-if", "recorded history under a proposed edit (変更の試算)")
    command.add_argument("edit", type=Path, metavar="EDIT", help='JSON: {"puts": [[table, row], ...]}; - for stdin')
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = EDIT_EXAMPLE
    command.add_argument("--from", dest="first", type=_bound, metavar="FROM", help=f"first record: {span}")
    command.add_argument("--to", dest="last", type=_bound, metavar="TO", help="last record, the same way")

    command = _parser(commands, "who-can", "who could be let into a zone (立入可能者)")
    command.add_argument("zone", metavar="ZONE")
    command.add_argument("--at", type=time_of, metavar="TIME", help="e.g. 2026-11-24T12:00 in Japan; default: now")
    command.add_argument("--all", action="store_true", help="those who cannot too, with what is missing (不足も表示)")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """`--socket` and `--export`, of which one is needed unless SEKISHO_SOCKET names the socket."""
    sources = parser.add_mutually_exclusive_group()
    words = f"the running controller's Unix socket (default: ${SOCKET_VARIABLE}) 制御部のソケット"
    sources.add_argument("--socket", type=Path, help=words)
    words = "a file made by `sekisho ledger export` 書き出したファイル"
    sources.add_argument("--export", type=Path, metavar="FILE", help=words)


def _parser(commands: Any, name: str, words: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=words)
    add_source_arguments(command)
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    command.set_defaults(run=_run, review=name)
    return command


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.review import run

    return run(arguments)


def time_of(text: str) -> datetime:
    """A time as somebody in Japan writes it. argparse.ArgumentTypeError where it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 2026-11-24 or 2026-11-24T12:00") from None
    return (at if at.tzinfo is not None else at.replace(tzinfo=_JST)).astimezone(UTC)


def _bound(text: str) -> int | datetime:
    if text.isascii() and text.isdecimal() and len(text) < 16:
        return int(text)
    try:
        return time_of(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a sequence number nor a time (2026-11-24, 2026-11-24T12:00)"
        ) from None
