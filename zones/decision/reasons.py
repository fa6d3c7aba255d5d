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
    COMMISSIONING = "COMMISSIONING"
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
    STALE_POLICY = "STALE_POLICY"
    LINK_INSECURE = "LINK_INSECURE"
    REPLAY = "REPLAY"
    CARD_AUTH_FAILED = "CARD_AUTH_FAILED"
    PIN_WRONG = "PIN_WRONG"
    PIN_LOCKED = "PIN_LOCKED"
    NOTICE_MISSING = "NOTICE_MISSING"
    PORTAL_LOCKED = "PORTAL_LOCKED"
    ZONE_UNATTENDED = "ZONE_UNATTENDED"
    LOCKDOWN = "LOCKDOWN"
    REVIEW_OVERDUE = "REVIEW_OVERDUE"
    TRAINING_EXPIRED = "TRAINING_EXPIRED"
    DEVICE_DECLARATION = "DEVICE_DECLARATION"
    IMPOSSIBLE_TRAVEL = "IMPOSSIBLE_TRAVEL"
    NEED_SECOND = "NEED_SECOND"
    NOBODY_ALONE = "NOBODY_ALONE"
    NEED_ESCORT = "NEED_ESCORT"
    SANITISE_FIRST = "SANITISE_FIRST"
    INTERLOCK = "INTERLOCK"


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
        Reason.COMMISSIONING,
        Reason.READER_UNTRUSTED,
        Reason.CLOCK_UNTRUSTED,
        Reason.READ_STALE,
        Reason.STALE_POLICY,
        Reason.LINK_INSECURE,
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
        Reason.COMMISSIONING: Words("初期設定 (既定の鍵) のまま", "Not commissioned: a factory default is left"),
        Reason.READER_UNTRUSTED: Words("読取装置を信頼できない", "The reader is not trusted"),
        Reason.CLOCK_UNTRUSTED: Words("時刻を信頼できない", "The clock is not trusted"),
        Reason.READ_STALE: Words("読取が遅れて届いた", "The read arrived too late"),
        Reason.REPEATED_READ: Words("同じカードの連続読取", "The same card again at once"),
        Reason.CARD_UNKNOWN: Words("未登録のカード", "Unknown card"),
        Reason.CARD_INACTIVE: Words("有効でないカード", "The credential is not active"),
        Reason.FACTOR_MISSING: Words("認証要素の不足", "A factor is missing"),
        Reason.CARDHOLDER_INACTIVE: Words("登録が終了している", "The cardholder's registration has ended"),
        Reason.ZONE_SECURED: Words("区域は閉鎖中", "The zone is secured"),
        Reason.CLEARANCE_NONE: Words("有効な適性評価の記録なし", "No valid clearance on record"),
        Reason.NO_NEED_TO_KNOW: Words("知る必要性の承認なし", "No approved need-to-know"),
        Reason.NOT_ON_ROSTER: Words("立入許可者名簿に記載なし", "Not on the zone's roster"),
        Reason.OUT_OF_SCHEDULE: Words("時間外", "Outside the schedule"),
        Reason.OUT_OF_SEQUENCE: Words("手前の区域に在室していない", "Not in the zone this portal leads from"),
        Reason.APB: Words("在室中の再入室 (アンチパスバック)", "Anti-passback: already inside"),
        Reason.FULL: Words("満室", "The zone is full"),
        Reason.STALE_POLICY: Words("許可情報が古い", "The policy has not been confirmed for too long"),
        Reason.LINK_INSECURE: Words(
            "読取装置の回線保護が不足", "The reader's line is less protected than the zone asks"
        ),
        Reason.REPLAY: Words("認証応答の再使用", "Evidence that was used before"),
        Reason.CARD_AUTH_FAILED: Words("カードの真正性を確認できない", "The card could not prove itself: a copy"),
        Reason.PIN_WRONG: Words("暗証番号の不一致", "The PIN does not match"),
        Reason.PIN_LOCKED: Words("暗証番号の誤入力が続き停止中", "The PIN is locked after too many misses"),
        Reason.NOTICE_MISSING: Words(
            "利用目的の通知が未記録", "The notice on the use of entry records was not handed over"
        ),
        Reason.PORTAL_LOCKED: Words("扉は入室停止中", "The portal is locked"),
        Reason.ZONE_UNATTENDED: Words(
            "区域は無人、解錠責任者が先に入室", "The zone is unattended; an opener enters first"
        ),
        Reason.LOCKDOWN: Words("封鎖中", "Lockdown"),
        Reason.REVIEW_OVERDUE: Words("名簿の棚卸し期限切れ", "The review of the roster is overdue"),
        Reason.TRAINING_EXPIRED: Words("教育の期限切れ", "Training has expired"),
        Reason.DEVICE_DECLARATION: Words("機器の申告なし", "Devices were not declared"),
        Reason.IMPOSSIBLE_TRAVEL: Words("移動時間が不自然", "Faster than anybody can walk"),
        Reason.NEED_SECOND: Words("二名同時入室が必要", "A second entitled cardholder is needed"),
        Reason.NOBODY_ALONE: Words("単独在室禁止", "Nobody may be alone in here"),
        Reason.NEED_ESCORT: Words("立会者が必要", "An escort is needed"),
        Reason.SANITISE_FIRST: Words("情報の格納 (保全) が未確認", "The zone must be sanitised first"),
        Reason.INTERLOCK: Words("連動する扉が閉じていない", "An interlocked portal is not closed"),
    }
)
"""The reason as officers read it. Absent and lapsed are one text, as absent and suspended are (requirements §3.4)."""
