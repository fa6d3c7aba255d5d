"""Who may do what in the demo: made-up people, with and without the three keys. Entered by changes that officers sign.

What is in their pockets and heads (cards, PINs) stands in the building file, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Protocol

from simulators.cards.pkoc import PkocCard
from simulators.plan import PersonPlan, Plan
from simulators.pockets import Pockets
from zones.people import Basis
from zones.terms import term_of

ALL_ZONES: Final = ("office", "lab", "vault", "server")
ITEMS: Final = ("item-0117", "item-0203")
HOST: Final = "h-06"
"""Brings the visitor, and answers for the visit."""

REQUESTED_BY: Final = "line-01"
"""Who asked for needs-to-know: nobody who approves them."""

ROWS_EACH: Final = 40
"""Rows of one change."""

Put = tuple[str, dict[str, Any]]

NOTICE_VERSION: Final = 1
"""Of the notice on the use of entry records, that everybody here was handed (D-21)."""


SCHEME_OF: Final[Mapping[str, str | None]] = {
    "uid": None,
    "desfire": "desfire_ev2",
    "ntag424": "ntag424",
    "pkoc": "pkoc",
    "felica-lite-s": "felica_lite_s",
}
"""How the cards of a building file prove themselves."""


class Post(Protocol):
    """Begins one change at one path of the API and brings it into force."""

    def __call__(self, path: str, body: dict[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of the demo. `what` says for whom the story is told why they may or may not enter.

    `escorts`: zones that visitors may be brought to. `hours`: the schedule of the person's places on rosters.
    """

    id: str
    name: str
    kana: str
    roman: str
    what: str
    zones: tuple[str, ...]
    is_cleared: bool = False
    items: tuple[str, ...] = ()
    card_state: str = "ACTIVE"
    escorts: tuple[str, ...] = ()
    hours: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What somebody brings to a reader. `numbers`: what credentials are looked up by; the first is on the outside of
    the card, a second one is what it proves. `scheme`: how it proves itself.
    """

    card: str
    kind: str
    numbers: tuple[str, ...]
    scheme: str | None
    pin: str | None = None
    duress_pin: str | None = None


PEOPLE: Final = (
    Person(
        id="h-01", name="佐藤 美咲", kana="さとう みさき", roman="SATO Misaki",
        what="three keys: may enter everywhere", zones=ALL_ZONES, is_cleared=True, items=("item-0117",),
    ),
    Person(
        id="h-02", name="鈴木 健太", kana="すずき けんた", roman="SUZUKI Kenta",
        what="on every roster, clearance not recorded", zones=ALL_ZONES, items=("item-0117",),
    ),
    Person(
        id="h-03", name="高橋 由美", kana="たかはし ゆみ", roman="TAKAHASHI Yumi",
        what="cleared and on every roster, no need-to-know", zones=ALL_ZONES, is_cleared=True,
    ),
    Person(
        id="h-04", name="田中 翔", kana="たなか しょう", roman="TANAKA Sho",
        what="cleared, need-to-know, not on the vault's roster", zones=("office", "lab"), is_cleared=True,
        items=("item-0117",),
    ),
    Person(
        id="h-05", name="伊藤 直子", kana="いとう なおこ", roman="ITO Naoko",
        what="three keys: may enter everywhere", zones=ALL_ZONES, is_cleared=True, items=("item-0203",),
    ),
    Person(
        id="h-06", name="渡辺 誠", kana="わたなべ まこと", roman="WATANABE Makoto",
        what="looks after the server room and brings visitors", zones=("office", "server"),
        escorts=("office", "server"),
    ),
    Person(
        id="h-07", name="山本 彩", kana="やまもと あや", roman="YAMAMOTO Aya",
        what="works in the office on weekdays and, some hours, on holidays", zones=("office",), hours="weekdays",
    ),
    Person(
        id="h-08", name="中村 大輔", kana="なかむら だいすけ", roman="NAKAMURA Daisuke",
        what="lost this card", zones=("office", "lab"), is_cleared=True, card_state="LOST",
    ),
)  # fmt: skip

VISITOR: Final = Person(
    id="v-01", name="小林 恵", kana="こばやし めぐみ", roman="KOBAYASHI Megumi",
    what="a visitor today: enters right behind WATANABE, and never alone", zones=("office", "server"),
)  # fmt: skip


def carried_in(plan: Plan) -> dict[str, Carried]:
    """What everybody in a building file carries, by name."""
    pockets = Pockets(plan.master_keys())
    for person in plan.people:
        pockets.put(person.card.upper(), person.card_type, person.kind)
    return {person.name.ja: _carried(person, pockets) for person in plan.people}


def _carried(person: PersonPlan, pockets: Pockets) -> Carried:
    own = pockets.held(person.card.upper(), person.kind)
    proved = (own.credential.hex(),) if isinstance(own, PkocCard) else ()
    return Carried(
        card=person.card.upper(),
        kind="felica" if person.kind == "felica" else person.card_type,
        numbers=(person.card.lower(), *proved),
        scheme=SCHEME_OF[person.card_type],
        pin=person.pin,
        duress_pin=person.duress_pin,
    )


def load(post: Post, today: date, carried: Mapping[str, Carried]) -> None:
    """Enter everybody, with what they carry and rights from `today` for about a year."""
    for person, kind in (*((one, "STAFF") for one in PEOPLE), (VISITOR, "VISITOR")):
        name = {"name": person.name, "kana": person.kana, "roman": person.roman}
        post("/cardholders", {"id": person.id, "kind": kind, "notice_version": NOTICE_VERSION, **name})
    days = {"from_on": today.isoformat(), "until_on": (today + timedelta(days=30)).isoformat()}
    visit = {"id": "v-today", "cardholder": VISITOR.id, "host": HOST, "zones": list(VISITOR.zones), **days}
    _change(post, [*_of_the_site(today), *(put for one in (*PEOPLE, VISITOR) for put in _carries(one, carried))])
    _change(post, [*(put for one in PEOPLE for put in _entitled(one, today)), ("visit", visit)])


def _change(post: Post, puts: Sequence[Put]) -> None:
    for begin in range(0, len(puts), ROWS_EACH):
        rows = [{"table": table, "row": row} for table, row in puts[begin : begin + ROWS_EACH]]
        post("/proposals", {"puts": rows, "reason": "joined"})


def _of_the_site(today: date) -> Iterator[Put]:
    yield "site_status", {"id": "site", "notice_version": NOTICE_VERSION}
    for item in ITEMS:
        yield "item", {"id": item, "designated_until": (today + timedelta(days=1500)).isoformat()}


def _carries(person: Person, carried: Mapping[str, Carried]) -> Iterator[Put]:
    """What somebody carries, and knows."""
    own = carried[person.name]
    for nth, number in enumerate(own.numbers):
        row = {"id": f"k-{person.id}-{nth}", "cardholder": person.id, "number": number, "state": person.card_state}
        yield "credential", row | ({} if own.scheme is None else {"scheme": own.scheme})
    if own.pin is not None:
        yield "pin", {"id": person.id, "pin": own.pin} | ({} if own.duress_pin is None else {"duress": own.duress_pin})


def _entitled(person: Person, today: date) -> Iterator[Put]:
    """The keys that somebody holds: clearance, need-to-know, places on rosters; and the course for the vault."""
    until, review = today + timedelta(days=330), today + timedelta(days=90)
    own = {"cardholder": person.id}
    period = {"from_on": today.isoformat(), "until_on": until.isoformat()}
    if person.is_cleared:
        notified = today - timedelta(days=200)
        last = term_of(Basis.KEIZAI_ANPO, notified)
        dates = {"notified_on": notified.isoformat(), "last_valid_on": last.isoformat()}
        yield "clearance", {"id": f"q-{person.id}", **own, "basis": "KEIZAI_ANPO", **dates}
    for item in person.items:
        asked = {"purpose_code": "P-01", "requested_by": REQUESTED_BY}
        yield "need_to_know", {"id": f"n-{person.id}-{item}", **own, "item": item, **asked, **period}
    for zone in person.zones:
        place = {"zone": zone, "review_on": review.isoformat(), "is_escort": zone in person.escorts}
        hours = {} if person.hours is None else {"schedule": person.hours}
        yield "roster", {"id": f"r-{person.id}-{zone}", **own, **place, **hours, **period}
    if "vault" in person.zones:
        done = today - timedelta(days=30)
        dates = {"done_on": done.isoformat(), "due_on": (done + timedelta(days=365)).isoformat()}
        yield "training", {"id": f"t-{person.id}", **own, "course": "handling", **dates}
