"""Which registers go out and come in as files, and what each column means. Card numbers come in and never go out.

A header is known by its code or by its title in either language: a file that went out in Japanese comes in on a page in
English. Columns that only tell (`is_told`) are passed over on the way in.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from api.texts import LANGUAGES, Said

Kind = Literal["text", "day", "flag", "whole", "choice"]

YES: Final = Said("yes", "cell")
TRUE_WORDS: Final = frozenset({"1", "true", "yes", "y", "はい", "有", "○", "〇", "✓"})
FALSE_WORDS: Final = frozenset({"0", "false", "no", "n", "いいえ", "無", "×", "-"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column. `hint`: what may stand in it. `is_told`: goes out only; `is_secret`: comes in only. `refers`: to a
    row of that table. `also`: what other offices call it.
    """

    code: str
    title: Said
    hint: Said | None = None
    kind: Kind = "text"
    width: int = 16
    is_told: bool = False
    is_secret: bool = False
    refers: str = ""
    choices: Mapping[str, Said] = field(default_factory=dict)
    also: tuple[str, ...] = ()

    def titles(self) -> frozenset[str]:
        """All that its header may say."""
        words = (self.code, *(self.title[language] for language in LANGUAGES), *self.also)
        return frozenset(folded(one) for one in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One register. `table`: of the policy. `fixed`: fields that no change may touch; `needed`: columns that must be
    there. `prefix`: of ids that are made here.
    """

    code: str
    table: str
    name: Said
    prefix: str
    fields: tuple[Field, ...]
    fixed: frozenset[str]
    needed: tuple[str, ...]

    def field_of(self, header: str) -> Field | None:
        """The field of a column, by its header."""
        sought = folded(header)
        return next((one for one in self.fields if sought in one.titles()), None)


def folded(header: str) -> str:
    """For comparing headers: width, case and spaces count for nothing."""
    return "".join(unicodedata.normalize("NFKC", header).casefold().split())


_ID_HINT: Final = Said("lower-case letters, digits and dashes")
_DAY_HINT: Final = Said("a day as 2026-04-01")
_FLAG_HINT: Final = Said("yes or no")
_ID: Final = Field(code="id", title=Said("ID", "column"), hint=_ID_HINT, width=18, also=("社員番号", "職員番号"))
_HOLDER: Final = Field(
    code="cardholder",
    title=Said("Person ID", "column"),
    hint=_ID_HINT,
    width=18,
    refers="cardholder",
    also=("社員番号", "職員番号"),
)
_CALLED: Final = Field(code="called", title=Said("Person", "column"), width=18, is_told=True)

KINDS: Final = MappingProxyType(
    {"STAFF": Said("Staff"), "VISITOR": Said("Visitor"), "MAINTENANCE": Said("Maintenance")}
)
STATES: Final = MappingProxyType(
    {
        "ISSUED": Said("Issued", "card"),
        "ACTIVE": Said("Active", "card"),
        "LOST": Said("Lost", "card"),
        "RETURNED": Said("Returned", "card"),
        "DESTROYED": Said("Destroyed", "card"),
    }
)

PEOPLE: Final = Register(
    code="people",
    table="cardholder",
    name=Said("People", "register"),
    prefix="c",
    fixed=frozenset({"kind"}),
    needed=("id", "name"),
    fields=(
        _ID,
        Field(
            code="name",
            title=Said("Name"),
            hint=Said("one line of up to 100 characters"),
            width=22,
            also=("氏名", "名前"),
        ),
        Field(
            code="kana",
            title=Said("Reading (kana)"),
            hint=Said("one line of up to 100 characters"),
            width=22,
            also=("ふりがな", "フリガナ", "読み", "カナ"),
        ),
        Field(
            code="roman",
            title=Said("Latin letters"),
            hint=Said("one line of up to 100 characters"),
            width=22,
            also=("ローマ字",),
        ),
        Field(
            code="kind",
            title=Said("Kind"),
            hint=Said("staff, visitor or maintenance"),
            kind="choice",
            choices=KINDS,
            also=("種別", "区分"),
        ),
        Field(code="notice_version", title=Said("Notice handed over (version)"), hint=Said("a number"), kind="whole"),
        Field(code="held_extra_ms", title=Said("More time for the door (ms)"), hint=Said("0 to 600000"), kind="whole"),
    ),
)

CREDENTIALS: Final = Register(
    code="credentials",
    table="credential",
    name=Said("Cards", "register"),
    prefix="k",
    fixed=frozenset({"cardholder", "number"}),
    needed=("cardholder",),
    fields=(
        _ID,
        _HOLDER,
        _CALLED,
        Field(code="last4", title=Said("Last 4 signs"), width=10, is_told=True),
        Field(
            code="number", title=Said("Card number"), hint=Said("the card number in hex, 8 to 66 signs"), is_secret=True
        ),
        Field(
            code="state", title=Said("State"), hint=Said("issued, active, lost, returned or destroyed"), kind="choice",
            choices=STATES,
        ),
        Field(code="scheme", title=Said("How the card proves itself"), hint=Said("a known kind of card"), width=18),
    ),
)  # fmt: skip

_PLACE: Final = (
    Field(code="zone", title=Said("Zone ID", "column"), hint=_ID_HINT, refers="zone"),
    Field(code="zone_name", title=Said("Zone", "column"), width=22, is_told=True),
    Field(code="from_on", title=Said("From"), hint=_DAY_HINT, kind="day", width=12),
    Field(code="until_on", title=Said("Until"), hint=_DAY_HINT, kind="day", width=12),
    Field(code="review_on", title=Said("Review by"), hint=_DAY_HINT, kind="day", width=12),
    Field(code="is_opener", title=Said("May open the zone"), hint=_FLAG_HINT, kind="flag", width=10),
    Field(code="is_escort", title=Said("May escort visitors"), hint=_FLAG_HINT, kind="flag", width=10),
    Field(
        code="is_minimum", title=Said("Keeps the place when a review is late"), hint=_FLAG_HINT, kind="flag", width=10
    ),
    Field(code="may_enter_lockdown", title=Said("May enter in a lockdown"), hint=_FLAG_HINT, kind="flag", width=10),
    Field(code="schedule", title=Said("Hours (schedule)"), hint=_ID_HINT, refers="schedule"),
)

ROSTERS: Final = Register(
    code="rosters",
    table="roster",
    name=Said("Rosters", "register"),
    prefix="r",
    fixed=frozenset({"cardholder", "zone", "from_on"}),
    needed=("cardholder", "zone"),
    fields=(_ID, _HOLDER, _CALLED, *_PLACE),
)

REGISTERS: Final[Mapping[str, Register]] = MappingProxyType({one.code: one for one in (PEOPLE, CREDENTIALS, ROSTERS)})
