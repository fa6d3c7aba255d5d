"""`sekisho ledger rotate-key`: another signing key, by two people, the controller stopped (docs/ledger.md §9)."""

from __future__ import annotations

import argparse
from typing import Final

from controller.config import SiteFileError, load_site
from controller.keystore.errors import KeyRefused
from controller.ledger.errors import LedgerError
from controller.rotation import RotationRefused, rotate_key
from sekisho.keys import check_account, check_people
from sekisho.spoken import Words, lines_of, print_json, print_lines, tell

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

_KEEP: Final[Words] = (
    "新しい公開鍵を紙に控え、監査担当者と立会人に渡してください。古い公開鍵でも引き続き検証できます",
    "Write the new public key on paper, and give it to the auditor and the witnesses; the old one still verifies",
)
_CREDENTIAL: Final[Words] = (
    "起動の前に、新しい鍵の credential を ledger-key の位置に置き、古いものを破棄してください",
    "Before the start put the new credential in the place of ledger-key, and destroy the old one",
)


def rotate(arguments: argparse.Namespace) -> int:
    """Carry it out; the exit status."""
    try:
        check_people([arguments.officer, arguments.second], "--officer ID --second ID")
        site = load_site(arguments.site)
        check_account(site.state_dir)
        done = rotate_key(site, arguments.officer, arguments.second)
    except (SiteFileError, KeyRefused, RotationRefused) as error:
        tell(f"sekisho ledger rotate-key: {error}")
        return NO
    except (LedgerError, OSError, ValueError) as error:
        tell(f"sekisho ledger rotate-key: {error}")
        return CANNOT_RUN
    if arguments.json:
        print_json({"seq": done.seq, "old": done.old, "new": done.new, "key": done.place})
        return OK
    print(done.new)
    tell(f"record {done.seq}: {done.old} -> {done.new}")
    print_lines(lines_of(_KEEP, "both"))
    if done.place == "credential":
        print_lines(lines_of(_CREDENTIAL, "both"))
    return OK
