"""`sekisho ledger`: what can be asked of a running controller's ledger, and done with what came of it.

Exit status: 0 done, 1 the answer is no, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from controller.link.client import LinkClient, LinkDown
from sekisho.spoken import tell

OK: Final = 0
CANNOT_RUN: Final = 3


def run(arguments: argparse.Namespace) -> int:
    """Carry out the action in `arguments.ledger`; its exit status."""
    try:
        return _ACTIONS[arguments.ledger](arguments)
    except (LinkDown, OSError) as error:
        tell(f"sekisho ledger {arguments.ledger}: {error}")
        return CANNOT_RUN


def _export(arguments: argparse.Namespace) -> int:
    from sekisho.export import export

    count = export(arguments.socket, arguments.file)
    tell(f"{count} records")
    return OK


def _key(arguments: argparse.Namespace) -> int:
    with LinkClient(arguments.socket, "sekisho ledger key") as client:
        print(client.connect().vkey)
    return OK


_ACTIONS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {"export": _export, "key": _key}
