"""`sekisho check`: a site file held against its rules, and what it asks for that is odd, without running anything."""

from __future__ import annotations

import argparse
from typing import Final

from api.words import ALARM_DOS, ALARMS, DEVIATIONS
from controller.boot import deviations_of
from controller.config import Site, SiteFileError, load_site
from controller.keystore.store import UNSEALED
from controller.ledger.catalogue import FLOOR
from sekisho.spoken import print_json, print_lines, said, tell

OK: Final = 0
NO: Final = 1


def run(arguments: argparse.Namespace) -> int:
    """Say what is wrong, or what will be recorded at each start; the exit status."""
    try:
        site = load_site(arguments.site)
    except SiteFileError as error:
        tell(str(error))
        if arguments.json:
            print_json({"is_sound": False, "why": str(error)})
        return NO
    if arguments.json:
        print_json(_document(site))
        return OK
    print(f"{arguments.site}: {len(site.zones)} zones, {len(site.portals)} portals, {len(site.devices)} devices: ok")
    for code, place in _deviations(site):
        words = DEVIATIONS.get(code)
        meant = f": {words['ja']} / {words['en']}" if words else ""
        print(f"deviation: {code}{f' ({place})' if place else ''}{meant}")
    refused = ", ".join(_passed_over(site))
    if refused:
        what, then = (said((words["ja"], words["en"]), "both") for words in (ALARMS[REFUSED], ALARM_DOS[REFUSED]))
        print_lines([f"passed over: ledger.omit ({refused}): {what}", f"  {then}"])
    for found in site.warnings:
        print(f"warning: {found.way}: {found.ja} / {found.en} [{found.code}]")
    return OK


REFUSED: Final = "CONFIG_REFUSED"


def _deviations(site: Site) -> list[tuple[str, str]]:
    found = deviations_of(site)
    if site.keys.seal == "file" and (site.cards is not None or site.wiring.secured):
        found.append((UNSEALED, ""))
    return found


def _passed_over(site: Site) -> list[str]:
    """Record types that the file leaves out and that are kept all the same."""
    return sorted(FLOOR.intersection(site.ledger.omit))


def _document(site: Site) -> dict[str, object]:
    return {
        "is_sound": True, "zones": len(site.zones), "portals": len(site.portals), "devices": len(site.devices),
        "deviations": [{"code": code, "place": place} for code, place in _deviations(site)],
        "passed_over": _passed_over(site),
        "warnings": [{"code": one.code, "way": one.way, "ja": one.ja, "en": one.en} for one in site.warnings],
    }  # fmt: skip
