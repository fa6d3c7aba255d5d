"""Arguments of `sekisho officer`. Imports nothing heavy: the console command must start quickly."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

ROLES: Final = ("guard", "line", "work-manager", "protection-officer", "auditor", "engineer")
EPILOG: Final = (
    "Only at the controller itself, as root or its own account; each act is recorded. The first two officers come in "
    "here, later ones by a change that two officers sign on their pages. docs/officers.md tells the whole way."
)


def add_parsers(commands: Any) -> None:
    """`officer` and what it does."""
    command = commands.add_parser(
        "officer", help="let the first officers in, or one back who lost his passkeys (保全担当者)", epilog=EPILOG
    )
    actions = command.add_subparsers(required=True, metavar="ACTION")

    action = _action(actions, "add", "one of the first two officers: print a one-time link (最初の二名を登録する)")
    action.add_argument("officer", metavar="OFFICER", help="a pseudonym: lower-case letters, digits, dashes")
    action.add_argument(
        "--role", action="append", choices=ROLES, metavar="ROLE", dest="roles",
        help=f"a post; may be repeated (default: work-manager and protection-officer): {', '.join(ROLES)} (職務)",
    )  # fmt: skip
    action.add_argument("--zone", action="append", default=[], metavar="ZONE", help="what a work manager answers for")
    action.add_argument("--cardholder", metavar="ID", help="the same person as one who enters (本人のカード保持者)")
    _page(action)

    action = _action(actions, "reset", "an officer lost his passkeys: print a link for another (再登録)")
    action.add_argument("officer", metavar="OFFICER")
    _page(action)

    _action(actions, "list", "who is in which post, and who can sign (一覧)")


def _page(action: argparse.ArgumentParser) -> None:
    words = "where the officers' pages are, as https://gate.example:8440 (default: [officers] origins, or localhost)"
    action.add_argument("--page", metavar="URL", help=words)


def _action(actions: Any, name: str, words: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=words, description=words, epilog=EPILOG)
    action.add_argument("site", type=Path, help="site file (TOML)")
    action.add_argument("--json", action="store_true", help="print the answer as JSON")
    action.set_defaults(run=_run, act=name)
    return action


def _run(arguments: argparse.Namespace) -> int:
    from sekisho.officer import run

    return run(arguments)
