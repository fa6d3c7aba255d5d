"""Who may do what in the demo: made-up people, with and without the three keys. Loaded through the API."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Protocol

ALL_ZONES: Final = ("office", "lab", "vault", "server")


class Post(Protocol):
    """Sends one document to one path of the API."""

    def __call__(self, path: str, body: dict[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person of the demo. `what` says for whom the story is told why they may or may not enter."""

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


PEOPLE: Final = (
    Person(
        id="h-01", name="佐藤 美咲", kana="さとう みさき", roman="SATO Misaki", card="04a1b2c3",
        what="three keys: may enter everywhere", zones=ALL_ZONES, is_cleared=True, items=("item-0117",),
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
        what="looks after the server room", zones=("office", "server"),
    ),
    Person(
        id="h-07", name="山本 彩", kana="やまもと あや", roman="YAMAMOTO Aya", card="04e5f607",
        what="works in the office", zones=("office",),
    ),
    Person(
        id="h-08", name="中村 大輔", kana="なかむら だいすけ", roman="NAKAMURA Daisuke", card="04f60718",
        what="lost this card", zones=("office", "lab"), is_cleared=True, card_state="LOST",
    ),
)  # fmt: skip


def load(post: Post, today: date) -> None:
    """Enter everybody, with rights from `today` for about a year."""
    until, review = today + timedelta(days=330), today + timedelta(days=90)
    for person in PEOPLE:
        name = {"name": person.name, "kana": person.kana, "roman": person.roman}
        post("/cardholders", {"id": person.id, **name})
        post("/credentials", {"cardholder": person.id, "number": person.card, "state": person.card_state})
        if person.is_cleared:
            notified = today - timedelta(days=200)
            signed = {"recorded_by": "officer-01", "confirmed_by": "officer-02"}
            basis = {"basis": "KEIZAI_ANPO", "notified_on": notified.isoformat()}
            post("/clearances", {"cardholder": person.id, **basis, **signed})
        period = {"from_on": today.isoformat(), "until_on": until.isoformat()}
        for item in person.items:
            post("/needs-to-know", {"cardholder": person.id, "item": item, "purpose_code": "P-01", **period})
        for zone in person.zones:
            post("/rosters", {"cardholder": person.id, "zone": zone, "review_on": review.isoformat(), **period})


def new_key() -> str:
    """An Idempotency-Key for one request."""
    return secrets.token_hex(16)
