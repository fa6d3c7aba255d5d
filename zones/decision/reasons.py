"""Why: stable strings, never renamed, never reused (requirements §3.4). One fact, one place."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Outcome(StrEnum):
    """What was decided. There is no third answer."""

    GRANTED = "GRANTED"
    DENIED = "DENIED"


class Reason(StrEnum):
    """The reason of a decision, for the ledger and the officer. What the door shows is `public_reason`'s."""

    OK = "OK"
    EXIT_FREE = "EXIT_FREE"
    RULE_ERROR = "RULE_ERROR"
    ACCESS_POINT_UNKNOWN = "ACCESS_POINT_UNKNOWN"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    READER_UNTRUSTED = "READER_UNTRUSTED"
    CLOCK_UNTRUSTED = "CLOCK_UNTRUSTED"
    READ_STALE = "READ_STALE"
    REPEATED_READ = "REPEATED_READ"
    CARD_UNKNOWN = "CARD_UNKNOWN"
    CARD_INACTIVE = "CARD_INACTIVE"
    FACTOR_MISSING = "FACTOR_MISSING"
    CARDHOLDER_INACTIVE = "CARDHOLDER_INACTIVE"
    ZONE_SECURED = "ZONE_SECURED"
    CLEARANCE_NONE = "CLEARANCE_NONE"
    NO_NEED_TO_KNOW = "NO_NEED_TO_KNOW"
    NOT_ON_ROSTER = "NOT_ON_ROSTER"
    OUT_OF_SCHEDULE = "OUT_OF_SCHEDULE"
    OUT_OF_SEQUENCE = "OUT_OF_SEQUENCE"
    APB = "APB"
    FULL = "FULL"


class PublicReason(StrEnum):
    """All that a door may tell (E-04, E-05, P5)."""

    OK = "OK"
    NO_AUTHORISATION = "NO_AUTHORISATION"
    OUT_OF_ORDER = "OUT_OF_ORDER"


GRANTING: Final = frozenset({Reason.OK, Reason.EXIT_FREE})

ABOUT_THE_BOX: Final = frozenset(
    {
        Reason.RULE_ERROR,
        Reason.ACCESS_POINT_UNKNOWN,
        Reason.AUDIT_UNAVAILABLE,
        Reason.READER_UNTRUSTED,
        Reason.CLOCK_UNTRUSTED,
        Reason.READ_STALE,
    }
)
"""Nobody at the door is meant by these: the door is out of order. Every other refusal looks alike."""


def public_reason(reason: Reason) -> PublicReason:
    """What the door may tell of `reason`: the same for every refusal that could depend on who is standing there.

    ZONE_SECURED and FULL are told like the rest: they are found only where a card is known, and would betray that.
    """
    if reason in GRANTING:
        return PublicReason.OK
    return PublicReason.OUT_OF_ORDER if reason in ABOUT_THE_BOX else PublicReason.NO_AUTHORISATION


class Words(NamedTuple):
    """A reason in the officer's words."""

    ja: str
    en: str


OFFICER_WORDS: Final[Mapping[Reason, Words]] = MappingProxyType(
    {
        Reason.OK: Words("入室可", "May enter"),
        Reason.EXIT_FREE: Words("退室は常に自由", "Leaving is always free"),
        Reason.RULE_ERROR: Words("判定の内部異常", "A rule failed to run"),
        Reason.ACCESS_POINT_UNKNOWN: Words("未登録の入退室口", "Unknown access point"),
        Reason.AUDIT_UNAVAILABLE: Words("監査ログに記録できない", "The ledger cannot be written"),
        Reason.READER_UNTRUSTED: Words("読取装置を信頼できない", "The reader is not trusted"),
        Reason.CLOCK_UNTRUSTED: Words("時刻を信頼できない", "The clock is not trusted"),
        Reason.READ_STALE: Words("読取が遅れて届いた", "The read arrived too late"),
        Reason.REPEATED_READ: Words("同じカードの連続読取", "The same card again at once"),
        Reason.CARD_UNKNOWN: Words("未登録のカード", "Unknown card"),
        Reason.CARD_INACTIVE: Words("有効でないカード", "The credential is not active"),
        Reason.FACTOR_MISSING: Words("認証要素の不足", "A factor is missing"),
        Reason.CARDHOLDER_INACTIVE: Words("登録が終了している", "The cardholder's registration has ended"),
        Reason.ZONE_SECURED: Words("区画は閉鎖中", "The zone is secured"),
        Reason.CLEARANCE_NONE: Words("有効な適性評価の記録なし", "No valid clearance on record"),
        Reason.NO_NEED_TO_KNOW: Words("知る必要性の承認なし", "No approved need-to-know"),
        Reason.NOT_ON_ROSTER: Words("立入許可者名簿に記載なし", "Not on the zone's roster"),
        Reason.OUT_OF_SCHEDULE: Words("時間外", "Outside the schedule"),
        Reason.OUT_OF_SEQUENCE: Words("直前の区画に在室していない", "Not in the zone this portal leads from"),
        Reason.APB: Words("アンチパスバック", "Anti-passback: already inside"),
        Reason.FULL: Words("満室", "The zone is full"),
    }
)
"""The reason as officers read it. Absent and lapsed are one text, as absent and suspended are (requirements §3.4)."""
