"""Arguments of `sekisho streams` and `sekisho streams report`. Imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

REPORT: Final = "streams-report"
"""What the console command makes of `streams report`: argparse has no command that takes a file or another command."""


def spelled(arguments: list[str]) -> list[str]:
    """The command line as argparse understands it."""
    return [REPORT, *arguments[2:]] if arguments[:2] == ["streams", "report"] else arguments


def add_parsers(commands: Any) -> None:
    """`streams` and `streams report`."""
    command = commands.add_parser(
        "streams",
        help="carry records outside (files, webhooks, MQTT, syslog), and report what arrived (記録の外部送出)",
        epilog="`sekisho streams report --help`: what arrived in an archive, what late, what is missing",
    )
    command.add_argument("settings", type=Path, metavar="SETTINGS.toml", help="settings file; or the word `report`")
    command.set_defaults(run=_run)

    command = commands.add_parser(
        REPORT,
        prog="sekisho streams report",
        description="what arrived in an archive of JSON Lines, what late and by how much, what is missing or double "
        "(届いた記録・遅延・欠落の報告). Exit status: 0 whole, 1 something missing, double or damaged, 3 could not run",
    )
    command.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="the archive's folder (保管先)")
    command.add_argument("--settings", type=Path, metavar="SETTINGS.toml", help="every archive of these settings")
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    command.set_defaults(run=_report)


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.run_streams import run

    return run(arguments.settings)


def _report(arguments: argparse.Namespace) -> int:
    from sekisho.streams_report import run

    return run(arguments)
