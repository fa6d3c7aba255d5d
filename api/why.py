"""Why somebody could not enter: a refusal found by its four characters, its stored trace as statements, and what to do.

The statements are the record's own: nothing is decided again for them. The smallest changes that would help are looked
for by `api.review` (zones.review.explain), which asks the decision again about each before it names it.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final

import msgspec

from api.parts import Parts
from api.problems import Problem
from api.tables import EventRow
from api.texts import Said, spoken
from controller.link.recorded import decision_of
from zones.decision import FindingKind, Reason
from zones.decision.reasons import PublicReason, public_reason
from zones.review.explain import RuleLine, rule_lines
from zones.review.values import RecordedDecision
from zones.review.words import CHANGES

NUMBER: Final = re.compile(r"[23456789BCDFGHJKMNPQRSTVWXZ]{4}")
"""What a reader shows (controller.refusal_numbers): no vowels, nothing that is taken for something else."""

Doc = dict[str, Any]
Puts = list[tuple[str, Doc]]


def number_of(typed: str) -> str | None:
    """Four characters as somebody read them out: any case, full or half width, with gaps or without; None: none."""
    plain = "".join(
        sign for sign in unicodedata.normalize("NFKC", typed).upper() if not (sign.isspace() or sign in "-ー・.")
    )
    return plain if NUMBER.fullmatch(plain) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One statement of the checklist: as it is asked where it held, as it was found where it did not."""

    rule: str
    kind: str
    says: str

    @property
    def has_failed(self) -> bool:
        """Whether this was a cause."""
        return self.kind == FindingKind.FAILED.value


def decision_in(row: EventRow) -> RecordedDecision | None:
    """The decision of a record; None where retention has dropped it, or it cannot be read."""
    if not row.body:
        return None
    try:
        return decision_of(row.seq, row.body)
    except (ValueError, msgspec.MsgspecError):
        return None


def checklist(decision: RecordedDecision) -> list[Line]:
    """The stored trace in words, what failed first; rules that were not asked here are left out."""
    lines = [_line(one) for one in rule_lines(decision.trace) if one.kind is not FindingKind.EXEMPT]
    return sorted(lines, key=lambda line: not line.has_failed)


def _line(one: RuleLine) -> Line:
    words = one.found if one.kind is FindingKind.FAILED else one.asks
    return Line(rule=one.rule, kind=one.kind.value, says=words.ja if spoken() == "ja" else words.en)


SHOWN: Final[Mapping[PublicReason, tuple[Said, Said]]] = MappingProxyType(
    {
        PublicReason.OK: (Said("Please enter"), Said("green light, one short tone")),
        PublicReason.NO_AUTHORISATION: (
            Said("Cannot enter now. Call the protection officer. Number %(number)s"),
            Said("red light, two low tones: the same for every reason about a person"),
        ),
        PublicReason.OUT_OF_ORDER: (
            Said("Temporarily closed. Call the protection officer. Number %(number)s"),
            Said("slow red light, no tone: the door itself was out of order"),
        ),
    }
)
"""What a reader showed -> words and lights (docs/decision.md, E-04)."""


def seen_at_portal(decision: RecordedDecision) -> tuple[str, str]:
    """What the person saw: the words, and lights and tones."""
    try:
        public = public_reason(Reason(decision.decided))
    except ValueError:
        public = PublicReason.NO_AUTHORISATION
    words, lights = SHOWN[public]
    return str(words).replace("%(number)s", decision.number or "–"), str(lights)


# -- what would help -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `is_proposal`: it can be proposed from here; `href`: else where it is done, where there is such
    a page.
    """

    code: str
    words: str
    is_proposal: bool
    href: str = ""


def ways_of(
    here: Parts, seq: int, cardholder: str | None, named: Callable[[str, str], str]
) -> tuple[list[list[Step]], str]:
    """The smallest sets of steps that would let somebody in, and why there are none: "" , or a problem's code. `named`:
    what a place of a kind is called.
    """
    try:
        found = here.reviewer.explanation(str(seq))
    except Problem as problem:
        return [], problem.code
    steps = [[_step(one, cardholder, named) for one in flip["steps"]] for flip in found["flips"]]
    return steps, ""


def _step(step: Doc, cardholder: str | None, named: Callable[[str, str], str]) -> Step:
    code, places = step["code"], step["places"]
    words = CHANGES[code].ja if spoken() == "ja" else CHANGES[code].en
    href = LINKS.get(code, "").format(**{"cardholder": cardholder or "", "zone": "", **places})
    says = words.format(**{kind: named(kind, place) for kind, place in places.items()})
    return Step(
        code=code, words=says, is_proposal=code in FIXES and cardholder is not None,
        href=href if cardholder is not None or "{cardholder}" not in LINKS.get(code, "") else "",
    )  # fmt: skip


LINKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("confirm_clearance", "approve_need", "replace_credential", "complete_training", "unlock_pin"),
            "/people/{cardholder}",
        ),
        "declare_devices": "/people/{cardholder}",
        "issue_credential": "/people",
        "register_and_issue": "/people/new",
        "expect_visit": "/visitors",
        "review_roster": "/zones/{zone}/roster",
        "restore_reader": "/devices",
        "commission": "/devices",
        "protect_line": "/devices",
        **dict.fromkeys(("open_zone", "lift_lockdown", "lower_threat_level", "sanitise_zone", "close_portals"), "/"),
    }
)
"""Step -> the page where it is done."""


def fix_for(here: Parts, seq: int, cardholder: str, code: str, day: date) -> tuple[Puts, str]:
    """The rows that a step comes to now, and the reason code of the change. Raises Problem where it is no such step."""
    found = here.reviewer.explanation(str(seq))
    steps = [step for flip in found["flips"] for step in flip["steps"] if step["code"] == code]
    if code not in FIXES or not steps:
        raise Problem("not_found", 404)
    make, reason = FIXES[code]
    return make(here, cardholder, steps[0]["places"], day), reason


def _on_roster(_here: Parts, cardholder: str, places: Mapping[str, str], day: date) -> Puts:
    until = max(date.fromisoformat(places["until"]), day + timedelta(days=1)).isoformat()
    row = {
        "id": f"r-{secrets.token_hex(6)}", "cardholder": cardholder, "zone": places["zone"],
        "from_on": day.isoformat(), "until_on": until, "review_on": until,
    }  # fmt: skip
    return [("roster", row)]


def _changed(here: Parts, table: str, name: str, **fields: Any) -> Puts:
    doc = here.view.row(table, name)
    if doc is None:
        raise Problem("not_found", 404)
    return [(table, {key: value for key, value in {**doc, **fields}.items() if value is not None})]


def _active(here: Parts, _cardholder: str, places: Mapping[str, str], _day: date) -> Puts:
    return _changed(here, "credential", places["credential"], state="ACTIVE")


def _notice(here: Parts, cardholder: str, places: Mapping[str, str], _day: date) -> Puts:
    return _changed(here, "cardholder", cardholder, notice_version=int(places["version"]))


def _back(here: Parts, cardholder: str, _places: Mapping[str, str], _day: date) -> Puts:
    return _changed(here, "cardholder", cardholder, ended_on=None)


FIXES: Final[Mapping[str, tuple[Callable[[Parts, str, Mapping[str, str], date], Puts], str]]] = MappingProxyType(
    {
        "put_on_roster": (_on_roster, "work_assigned"),
        "activate_credential": (_active, "correction"),
        "hand_over_notice": (_notice, "correction"),
        "register_cardholder": (_back, "correction"),
    }
)
"""Step -> what is proposed for it, with its reason."""
