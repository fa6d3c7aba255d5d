"""Who may do what in the plain site of the system tests: made-up people, with and without the three keys."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Protocol

ALL_ZONES: Final = ("office", "lab", "vault", "server")
ITEMS: Final = ("item-0117", "item-0203")
HOST: Final = "h-06"
"""Brings the visitor, and answers for the visit."""

NOTICE_VERSION: Final = 1
"""Of the notice on the use of entry records, that everybody here was handed (D-21)."""


class Post(Protocol):
    """Sends one document to one path of the API."""

    def __call__(self, path: str, body: dict[str, Any], *, method: str = "POST") -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of the demo. `what` says for whom the story is told why they may or may not enter.

    `pin`, `duress_pin`: what the building file has this person type. `escorts`: zones that visitors may be brought to.
    `hours`: the schedule that the person's places on rosters are held to.
    """

    id: str
    name: str
    kana: str
    roman: str
    card: str
    what: str
    zones: tuple[str, ...]
    is_cleared: bool = False
    items: tuple[str, ...] = ()
    card_state: str = "ACTIVE"
    pin: str | None = None
    duress_pin: str | None = None
    escorts: tuple[str, ...] = ()
    hours: str | None = None


PEOPLE: Final = (
    Person(
        id="h-01", name="佐藤 美咲", kana="さとう みさき", roman="SATO Misaki", card="04a1b2c3",
        what="three keys: may enter everywhere", zones=ALL_ZONES, is_cleared=True, items=("item-0117",),
        pin="594017", duress_pin="184092",
    ),
    Person(
        id="h-02", name="鈴木 健太", kana="すずき けんた", roman="SUZUKI Kenta", card="04b2c3d4",
        what="on every roster, clearance not recorded", zones=ALL_ZONES, items=("item-0117",),
    ),
    Person(
        id="h-03", name="高橋 由美", kana="たかはし ゆみ", roman="TAKAHASHI Yumi", card="04c3d4e5",
        what="cleared and on every roster, no need-to-know", zones=ALL_ZONES, is_cleared=True,
    ),
    Person(
        id="h-04", name="田中 翔", kana="たなか しょう", roman="TANAKA Sho", card="04d4e5f6",
        what="cleared, need-to-know, not on the vault's roster", zones=("office", "lab"), is_cleared=True,
        items=("item-0117",),
    ),
    Person(
        id="h-05", name="伊藤 直子", kana="いとう なおこ", roman="ITO Naoko", card="01147a0b2c3d4e5f",
        what="three keys, with a FeliCa card", zones=ALL_ZONES, is_cleared=True, items=("item-0203",),
    ),
    Person(
        id="h-06", name="渡辺 誠", kana="わたなべ まこと", roman="WATANABE Makoto", card="04112233445566",
        what="looks after the server room and brings visitors", zones=("office", "server"),
        escorts=("office", "server"),
    ),
    Person(
        id="h-07", name="山本 彩", kana="やまもと あや", roman="YAMAMOTO Aya", card="04e5f607",
        what="works in the office on weekdays and, some hours, on holidays", zones=("office",), hours="weekdays",
    ),
    Person(
        id="h-08", name="中村 大輔", kana="なかむら だいすけ", roman="NAKAMURA Daisuke", card="04f60718",
        what="lost this card", zones=("office", "lab"), is_cleared=True, card_state="LOST",
    ),
)  # fmt: skip

VISITOR: Final = Person(
    id="v-01", name="小林 恵", kana="こばやし めぐみ", roman="KOBAYASHI Megumi", card="04071829",
    what="a visitor today: enters right behind WATANABE, and never alone", zones=("office", "server"),
)  # fmt: skip


def load(post: Post, today: date) -> None:
    """Enter everybody, with rights from `today` for about a year."""
    post("/site-status", {"notice_version": NOTICE_VERSION}, method="PATCH")
    for item in ITEMS:
        post("/items", {"id": item, "designated_until": (today + timedelta(days=1500)).isoformat()})
    for person in PEOPLE:
        _enter(post, person, "STAFF")
        _entitle(post, person, today)
    _enter(post, VISITOR, "VISITOR")
    days = {"from_on": today.isoformat(), "until_on": (today + timedelta(days=30)).isoformat()}
    post("/visits", {"cardholder": VISITOR.id, "host": HOST, "zones": list(VISITOR.zones), **days})


def _enter(post: Post, person: Person, kind: str) -> None:
    """Who somebody is, and what he carries."""
    name = {"name": person.name, "kana": person.kana, "roman": person.roman}
    post("/cardholders", {"id": person.id, "kind": kind, "notice_version": NOTICE_VERSION, **name})
    post("/credentials", {"cardholder": person.id, "number": person.card, "state": person.card_state})
    if person.pin is not None:
        post(f"/cardholders/{person.id}/pin", {"pin": person.pin, "duress": person.duress_pin})


def _entitle(post: Post, person: Person, today: date) -> None:
    """The keys that somebody holds: clearance, need-to-know, places on rosters; and the course for the vault."""
    until, review = today + timedelta(days=330), today + timedelta(days=90)
    period = {"from_on": today.isoformat(), "until_on": until.isoformat()}
    if person.is_cleared:
        notified = today - timedelta(days=200)
        basis = {"basis": "KEIZAI_ANPO", "notified_on": notified.isoformat()}
        post("/clearances", {"cardholder": person.id, **basis})
    for item in person.items:
        asked = {"requested_by": "line-01", "purpose_code": "P-01"}
        post("/needs-to-know", {"cardholder": person.id, "item": item, **asked, **period})
    for zone in person.zones:
        place = {"zone": zone, "review_on": review.isoformat(), "is_escort": zone in person.escorts}
        if person.hours is not None:
            place["schedule"] = person.hours
        post("/rosters", {"cardholder": person.id, **place, **period})
    if "vault" in person.zones:
        done = today - timedelta(days=30)
        dates = {"done_on": done.isoformat(), "due_on": (done + timedelta(days=365)).isoformat()}
        post("/trainings", {"cardholder": person.id, "course": "handling", **dates})


def new_key() -> str:
    """An Idempotency-Key for one request."""
    return secrets.token_hex(16)
