"""Arguments of `sekisho lint` and `sekisho prove`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sekisho.review_arguments import add_source_arguments


def add_parsers(commands: Any) -> None:
    """`lint` and `prove`."""
    command = commands.add_parser("lint", help="what is unsafe about a site (区域と扉の安全点検)")
    command.add_argument(
        "site",
        type=Path,
        nargs="?",
        metavar="SITE.toml",
        help="a site file; without one, what --socket or --export has (設定ファイル)",
    )
    _add_answer_arguments(command, "lint")

    command = commands.add_parser("prove", help="who could be where, proven (在室可能者の証明)")
    command.add_argument("--zone", action="append", metavar="ZONE", help="this zone only; may be repeated (区域)")
    command.add_argument(
        "--days", type=_days, default=366, help="how many days ahead are searched (default: %(default)s)"
    )
    _add_answer_arguments(command, "prove")


def _add_answer_arguments(command: argparse.ArgumentParser, name: str) -> None:
    add_source_arguments(command)
    command.add_argument("--json", action="store_true", help="print the answer as JSON")
    command.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    command.set_defaults(run=_run, lint=name)


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.lint import run

    return run(arguments)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) <= 3660):
        raise argparse.ArgumentTypeError("must be a whole number of days, 0 to 3660")
    return int(text)
