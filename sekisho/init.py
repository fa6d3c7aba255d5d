"""`sekisho init`: a site's state folder and its secrets, made once; what to keep of them outside, and what comes next.

Nothing that is there is ever overwritten. Exit status: 0 made, 1 there is a site already, 3 could not run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Final

from controller.config import Site, SiteFileError, load_site
from controller.keys import LEDGER, LEDGER_KEY, SITE_KEY, is_untouched, load_keys
from controller.ledger.checkpoint import Notary
from controller.ledger.errors import LedgerError
from controller.rotation import origin_of
from sekisho.keys import check_account
from sekisho.spoken import Words, print_json, print_lines, said, tell

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

_KEEP: Final[Words] = (
    "この公開鍵を紙に控え、監査担当者と立会人に渡してください。これがないと、記録の真正は誰にも確かめられません",
    "Write this public key on paper, give it to the auditor and the witnesses: without it nobody can check the records",
)
_BACKUP: Final[Words] = (
    "秘密の控えは、監査ログの控えとは別に、封をして保管してください",
    "Back the secrets up, sealed and apart from the ledger's own backup",
)
_NEXT: Final[Words] = ("次に", "Next")
_DEVIATION: Final[Words] = (
    "署名鍵は平文のファイルです。機械に封じるには docs/keys.md を見てください",
    "The signing key is a plain file; docs/keys.md says how to seal it to the machine",
)


def run(arguments: argparse.Namespace) -> int:
    """Make the site of `arguments.site`; the exit status."""
    try:
        site = load_site(arguments.site)
        check_account(site.state_dir)
        if not is_untouched(site.state_dir):
            tell(f"sekisho init: {site.state_dir}: there is a site already, and nothing was changed (既にあります)")
            return NO
        keys = load_keys(site.state_dir, os.urandom, site.ledger)
        keys.place.close()
    except SiteFileError as error:
        tell(f"sekisho init: {error}")
        return NO
    except (LedgerError, OSError, ValueError) as error:
        tell(f"sekisho init: {error}")
        return CANNOT_RUN
    vkey = Notary(origin=origin_of(site), key=keys.signer).vkey
    made = [site.state_dir / name for name in (LEDGER, LEDGER_KEY, SITE_KEY)]
    document = {
        "vkey": vkey,
        "key": site.ledger.key,
        "state_dir": str(site.state_dir),
        "made": [str(path) for path in made if path.exists()],
        "next": _next(site, str(arguments.site)),
    }
    if arguments.json:
        print_json(document)
    else:
        _print(document, arguments.lang)
    return OK


def _print(document: Mapping[str, object], lang: str) -> None:
    made, commands = document["made"], document["next"]
    assert isinstance(made, list) and isinstance(commands, list)
    lines = [str(document["vkey"]), said(_KEEP, lang), *made, said(_BACKUP, lang)]
    if document["key"] == "file":
        lines.append(said(_DEVIATION, lang))
    print_lines([*lines, f"{said(_NEXT, lang)}:", *(f"  {command}" for command in commands)])


def _next(site: Site, file: str) -> list[str]:
    """The commands that come next, in their order."""
    commands = [f"sekisho check {file}"]
    if site.cards is not None or site.wiring.secured:
        commands.append(f"sekisho keys make {file} PURPOSE --by OFFICER --by OFFICER")
    return [*commands, "systemctl enable --now sekisho-controller sekisho-api"]
