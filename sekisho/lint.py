"""`sekisho lint` and `sekisho prove`: a site held against docs/lint.md, and who could be where.

A site file has zones and portals alone; a running controller (`--socket`) and an export (`--export`) have people too.
Exit status: 0 nothing unsafe and every proof holds (warnings are allowed), 1 an error or a proof that fails, 3 could
not run. Their arguments are told by `sekisho.lint_arguments`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from controller.boot import layout_edit
from controller.config import SiteFileError, load_site
from controller.link.recorded import HistoryBroken
from sekisho.sources import SourceError, open_history
from zones.edits import EMPTY, apply
from zones.ids import ZoneId
from zones.lint import LintFinding, Severity, errors, lint
from zones.moment import Moment, epoch_ms
from zones.policy import EditRefused, Policy
from zones.proofs import Proof, Witness, prove

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

_SEVERITY_WORDS: Final = MappingProxyType({Severity.ERROR: ("不可", "error"), Severity.WARNING: ("注意", "warning")})


NO_SITE: Final = (
    "区域が一つもありません。sekisho controller SITE.toml を一度起動すると登録されます",
    "there are no zones: they come from the site file when `sekisho controller SITE.toml` starts",
)


def run(arguments: argparse.Namespace) -> int:
    """Run the command that `arguments.lint` names and return its exit status."""
    try:
        return RUNS[arguments.lint](arguments)
    except (SiteFileError, EditRefused) as error:
        print(f"sekisho {arguments.lint}: {error}", file=sys.stderr)
        return NO
    except (SourceError, HistoryBroken) as error:
        print(f"sekisho {arguments.lint}: {error}", file=sys.stderr)
        return CANNOT_RUN


# -- lint ----------------------------------------------------------------------------------------------------------


def run_lint(arguments: argparse.Namespace) -> int:
    """Every finding of a site file, or of what is in force."""
    policy = _policy_in(arguments) if arguments.site is None else site_policy(arguments.site)
    findings = lint(policy)
    if arguments.json:
        _print_json({"findings": [finding_document(one) for one in findings]})
    else:
        for one in findings:
            _tell_finding(one, arguments.lang)
        _say(_summary(policy, findings, arguments.lang))
    return NO if errors(findings) else OK


def _summary(policy: Policy, findings: tuple[LintFinding, ...], lang: str) -> str:
    """How much was looked at and found."""
    if not policy.zones:
        return _words(NO_SITE, lang)
    zones, portals, unsafe = len(policy.zones), len(policy.portals), len(errors(findings))
    warnings = len(findings) - unsafe
    ja = f"区域 {zones}、扉 {portals}: 不可 {unsafe}、注意 {warnings}"
    return _words((ja, f"{zones} zones, {portals} portals: {unsafe} errors, {warnings} warnings"), lang)


def site_policy(path: Path) -> Policy:
    """The zones and portals of a site file as a policy. Raises SiteFileError, EditRefused."""
    return apply(EMPTY, layout_edit(load_site(path), EMPTY))


def finding_document(finding: LintFinding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "table": finding.table,
        "row": finding.row,
        "path": list(finding.path),
        "words": {"ja": finding.ja, "en": finding.en},
    }


def _tell_finding(finding: LintFinding, lang: str) -> None:
    words = _words(_SEVERITY_WORDS[finding.severity], lang)
    print(f"{words} {finding.code}: {finding.table} {finding.row} [{finding.way}]")
    for text in _texts(finding.ja, finding.en, lang):
        print(f"    {text}")


# -- prove -----------------------------------------------------------------------------------------------------------


def run_prove(arguments: argparse.Namespace) -> int:
    """Every proof over what is in force, from now on."""
    policy = _policy_in(arguments)
    zones = None if arguments.zone is None else tuple(ZoneId(one) for one in arguments.zone)
    unknown = [one for one in zones or () if one not in policy.zones]
    if unknown:
        known = ", ".join(sorted(policy.zones)) or "-"
        _say(f"sekisho prove: there is no zone {', '.join(unknown)}; there are: {known} / その区域はありません")
        return NO
    if not policy.zones:
        _say(f"sekisho prove: {_words(NO_SITE, arguments.lang)}")
        return NO
    now = Moment(at=datetime.now(UTC), tick_ms=0)
    proofs = prove(policy, now, horizon_days=arguments.days, zones=zones, progress=_progress())
    if arguments.json:
        document = {"at_ms": epoch_ms(now.at), "days": arguments.days}
        _print_json(document | {"proofs": [proof_document(one) for one in proofs]})
    else:
        for one in proofs:
            _tell_proof(one, arguments.lang)
    return OK if all(one.holds for one in proofs) else NO


def proof_document(proof: Proof) -> dict[str, Any]:
    """A proof as JSON."""
    return {
        "name": proof.name,
        "zone": proof.zone,
        "holds": proof.holds,
        "words": {"ja": proof.ja, "en": proof.en},
        "steps": list(proof.steps),
        "witnesses": [_witness_document(one) for one in proof.witnesses],
    }


def _witness_document(witness: Witness) -> dict[str, Any]:
    return {
        "cardholder": witness.who or None,
        "at_ms": epoch_ms(witness.at.at),
        "path": list(witness.path),
        "keys": {
            "clearance": witness.keys.clearance,
            "need_to_know": witness.keys.need_to_know,
            "roster": witness.keys.roster,
        },
        "guest_of": list(witness.guest_of),
    }


def _tell_proof(proof: Proof, lang: str) -> None:
    words = _words(("成立", "holds") if proof.holds else ("不成立", "FAILS"), lang)
    print(f"{words} {proof.name}{f' {proof.zone}' if proof.zone else ''}")
    for text in _texts(proof.ja, proof.en, lang):
        print(f"    {text}")
    for step in proof.steps:
        print(f"        {step}")


def _progress() -> Callable[[int, int], bool | None] | None:
    if not sys.stderr.isatty():
        return None

    def progress(done: int, of: int) -> None:
        print(f"\r{done}/{of}", end="\n" if done == of else "", file=sys.stderr, flush=True)

    return progress


# -- both --------------------------------------------------------------------------------------------------------------


def _policy_in(arguments: argparse.Namespace) -> Policy:
    """What is in force in a running controller, or at the end of an export. Raises SourceError, HistoryBroken."""
    with open_history(arguments) as source:
        last = None if source.size is None else source.size - 1
        policy = source.history.until(last).policy
    if policy is None:
        raise SourceError("an edit was dropped by retention, so what is in force cannot be told from these records")
    return policy


def _texts(ja: str, en: str, lang: str) -> tuple[str, ...]:
    return {"ja": (ja,), "en": (en,)}.get(lang, (ja, en))


def _words(words: tuple[str, str], lang: str) -> str:
    return " / ".join(_texts(*words, lang))


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


RUNS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = MappingProxyType(
    {"lint": run_lint, "prove": run_prove}
)
