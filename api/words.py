"""Words for people, Japanese and English, each in one place. Codes stay in records; words stay here.

Words about a person are neutral: they say which registration was not found, never anything about the person (P5).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final, Literal

from zones.decision.reasons import OFFICER_WORDS
from zones.moment import JST

Language = Literal["ja", "en"]
Words = dict[str, str]


def _w(ja: str, en: str) -> Words:
    return {"ja": ja, "en": en}


def language_of(accept: str) -> Language:
    """The better of ja and en for an Accept-Language header; Japanese where it names neither."""
    best: tuple[float, Language] = (0.0, "ja")
    for part in accept.split(",")[:20]:
        tag, _, quality = part.strip().partition(";")
        name = tag.split("-")[0].lower()
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in ("ja", "en") and weight > best[0]:
            best = (weight, "ja" if name == "ja" else "en")
    return best[1]


# (words, tone, icon) of each record type; tone: ok, no, warn, alarm, plain
TYPES: Final[dict[str, tuple[Words, str, str]]] = {
    "ACCESS_GRANTED": (_w("入室可", "Entry granted"), "ok", "check"),
    "ACCESS_DENIED": (_w("入室不可", "Entry not granted"), "no", "cross"),
    "EXIT_GRANTED": (_w("退室可", "May leave"), "ok", "out"),
    "REX": (_w("退室釦", "Exit button"), "plain", "out"),
    "RELEASED": (_w("一時解錠", "Released"), "warn", "key"),
    "RELEASE_REFUSED": (_w("一時解錠せず", "Not released"), "no", "cross"),
    "RELEASE_EXPIRED": (_w("解錠せず(時間切れ)", "Not released (too late)"), "warn", "cross"),
    "PASSAGE": (_w("入室", "Went in"), "ok", "walk"),
    "EXIT": (_w("退室", "Left"), "plain", "out"),
    "NO_PASSAGE": (_w("通過なし", "Nobody passed"), "plain", "dash"),
    "DOOR_FORCED": (_w("扉のこじ開け", "Door forced"), "alarm", "alarm"),
    "DOOR_HELD": (_w("扉の長時間開放", "Door held open"), "alarm", "alarm"),
    "DOOR_CLOSED": (_w("閉扉", "Door closed"), "plain", "dash"),
    "DOOR_OPEN_AT_START": (_w("起動時に開いていた扉", "Door open at start"), "warn", "alarm"),
    "POLICY_EDITED": (_w("登録の変更", "Registers changed"), "plain", "pen"),
    "EDIT_REFUSED": (_w("変更を受け付けず", "Change not accepted"), "no", "cross"),
    "COMMAND_REFUSED": (_w("操作を受け付けず", "Command not accepted"), "no", "cross"),
    "NOTE": (_w("操作の記録", "Noted"), "plain", "pen"),
    "DEVICE_ONLINE": (_w("機器の応答あり", "Device answers"), "plain", "plug"),
    "DEVICE_OFFLINE": (_w("機器の応答なし", "Device does not answer"), "alarm", "plug"),
    "LINE_NOISE": (_w("回線の雑音", "Noise on a line"), "warn", "plug"),
    "MESSAGE_REFUSED": (_w("機器の通信を受け付けず", "Device message not accepted"), "warn", "plug"),
    "STORAGE_FAILED": (_w("記録できません", "Records cannot be written"), "alarm", "alarm"),
    "STORAGE_RESTORED": (_w("記録を再開", "Records are written again"), "plain", "check"),
    "CLOCK_UNTRUSTED": (_w("時計が不確か", "Clock not trusted"), "warn", "alarm"),
    "RULE_ERROR": (_w("判定の異常", "Fault in a rule"), "alarm", "alarm"),
    "OUTPUT_FAILED": (_w("出力の異常", "Output failed"), "alarm", "alarm"),
    "CONTROLLER_STARTED": (_w("制御装置の起動", "Controller started"), "plain", "plug"),
    "CONTROLLER_STOPPED": (_w("制御装置の停止", "Controller stopped"), "warn", "plug"),
    "INBOX_FULL": (_w("受信の溢れ", "Events found no room"), "alarm", "alarm"),
    "READS_REFUSED": (_w("読取りの過多", "Too many reads"), "alarm", "plug"),
    "CLOCK_TRUSTED": (_w("時計の回復", "Clock trusted again"), "plain", "plug"),
    "CLOCK_ACCEPTED": (_w("時計を正しいと認めた", "Clock accepted"), "warn", "alarm"),
    "SITE_REBUILT": (_w("登録簿を監査ログから再構成", "Registers rebuilt from the ledger"), "warn", "alarm"),
    "SITE_STORE_FAILED": (_w("登録簿の写しを書けない", "Copy of the registers not written"), "alarm", "alarm"),
    "SITE_STORE_RESTORED": (_w("登録簿の写しの回復", "Copy of the registers restored"), "plain", "plug"),
    "DEVIATION": (_w("基準からの逸脱", "Deviation"), "warn", "alarm"),
    "DURESS": (_w("脅迫の合図", "Duress code"), "alarm", "alarm"),
    "CREDENTIAL_ALARM": (_w("カードの異常", "Alarm about a card"), "alarm", "alarm"),
    "APB_VIOLATION": (_w("退室の記録のない再入室", "Entered again without leaving"), "warn", "alarm"),
    "PIN_LOCKED": (_w("暗証番号の停止(続けて誤り)", "PIN locked after misses"), "alarm", "lock"),
    "PIN_UNLOCKED": (_w("暗証番号の停止を解除", "PIN unlocked"), "plain", "key"),
    "PRESENCE_FORGIVEN": (_w("在室の記録を不明とした", "Presence forgiven"), "warn", "walk"),
    "FIRE_ON": (_w("火災信号", "Fire alarm"), "alarm", "alarm"),
    "FIRE_OFF": (_w("火災信号の停止", "Fire alarm silent"), "plain", "alarm"),
    "FIRE_RESET": (_w("火災後の復旧", "Reset after fire"), "warn", "lock"),
    "POWER_LOST": (_w("停電", "Mains lost"), "alarm", "plug"),
    "POWER_RESTORED": (_w("復電", "Mains restored"), "plain", "plug"),
    "READER_POWER_LOST": (_w("読取装置の電源低下", "Reader's supply fails"), "alarm", "plug"),
    "READER_POWER_RESTORED": (_w("読取装置の電源回復", "Reader's supply is back"), "plain", "plug"),
    "TAMPER": (_w("機器の筐体が開いた", "Enclosure opened"), "alarm", "alarm"),
    "TAMPER_ENDED": (_w("機器の筐体が閉じた", "Enclosure closed"), "plain", "plug"),
    "LINE_FAULT": (_w("配線の異常(断線・短絡)", "Line cut or short"), "alarm", "plug"),
    "LINE_RESTORED": (_w("配線の回復", "Line restored"), "plain", "plug"),
    "REX_SUSPECT": (_w("退室釦の疑わしい操作", "Exit button suspect"), "alarm", "alarm"),
    "TAILGATE": (_w("共連れ", "Tailgating"), "alarm", "walk"),
    "DOOR_HELD_SOON": (_w("まもなく長時間開放", "Door open long, warning"), "warn", "ajar"),
    "PORTAL_MODE": (_w("扉の運用の切替", "Door mode changed"), "plain", "key"),
    "ZONE_OPENED": (_w("区域の使用開始", "Zone opened"), "plain", "key"),
    "ZONE_SECURED": (_w("区域の閉鎖", "Zone secured"), "plain", "lock"),
    "OCCUPANCY_BELOW_MIN": (_w("在室者が下限を下回る", "Too few people in a zone"), "alarm", "walk"),
    "ESCORT_BROKEN": (_w("立会者のいない来訪者", "Visitor without an escort"), "alarm", "walk"),
    "ESCORT_RATIO": (_w("立会者に対して来訪者が多い", "Too many visitors per escort"), "alarm", "walk"),
    "ZONE_UNATTENDED": (_w("使用中の区域が無人", "Zone open with nobody in it"), "alarm", "ajar"),
    "NOT_CLOSED": (_w("一日の終わりに閉鎖されていない", "Not closed at the end of the day"), "alarm", "ajar"),
    "REVIEW_OVERDUE": (_w("名簿の見直しの期限超過", "Review of a roster overdue"), "warn", "pen"),
    "OVERRIDE_ENDED": (_w("緊急入室の終了", "Break-glass ended"), "warn", "key"),
    "ALARM_CEASED": (_w("警報の解消", "Alarm ceased"), "plain", "check"),
    "READER_UNTRUSTED": (_w("読取装置の信頼を外した", "Reader not trusted any more"), "alarm", "plug"),
    "READER_REPLACED": (_w("別の読取装置に替わった", "Another reader in its place"), "alarm", "plug"),
    "OSDP_DOWNGRADE": (_w("読取装置が暗号化に応じない", "Reader offers no secure channel"), "alarm", "plug"),
    "OSDP_INSTALL_ON": (_w("読取装置の鍵の設定を開始", "Reader takes a first key"), "warn", "key"),
    "OSDP_INSTALL_OFF": (_w("読取装置の鍵の設定を終了", "Reader takes no first key any more"), "plain", "lock"),
    "READER_IDENTIFIED": (_w("読取装置の型式と製造番号", "Reader said what it is"), "plain", "plug"),
    "READER_APPROVED": (_w("読取装置を承認", "Reader approved"), "plain", "check"),
    "DEVICE_ORDER": (_w("読取装置・鍵への操作", "Order about a reader or key"), "plain", "key"),
    "KEYS_FAILED": (_w("鍵の保管に失敗", "Keys could not be kept"), "alarm", "key"),
    "KEY_ROTATED": (_w("鍵の更新", "Key rotated"), "plain", "key"),
    "KEY_RENEWED": (_w("読取装置の鍵の更新", "Reader's key renewed"), "plain", "key"),
    "KEY_ROTATION_DUE": (_w("鍵の更新が必要", "Key must be rotated"), "alarm", "key"),
    "CARD_UNREAD": (_w("カードを読み切れず", "Card not read to the end"), "plain", "dash"),
    "COMMISSIONING": (_w("初期設定 (既定の鍵) のまま", "Not commissioned: a factory default is left"), "alarm", "key"),
    "LEDGER_KEY_ROTATED": (_w("監査ログの署名鍵を更新", "Ledger's signing key rotated"), "warn", "key"),
    "TAIL_SET_ASIDE": (_w("監査ログの末尾が壊れ、別に保管", "Damaged end of the ledger set aside"), "alarm", "alarm"),
    "WITNESS_REFUSED": (_w("立会人が監査ログを認めず", "A witness does not know this history"), "alarm", "alarm"),
    "SINK_LOST": (_w("記録の送り先に届かない", "Records do not reach a sink"), "alarm", "plug"),
    "SINK_RESTORED": (_w("記録の送り先の回復", "Records reach the sink again"), "plain", "check"),
    "CLOCK_SET": (_w("時計が変更された", "The clock was set"), "warn", "alarm"),
    "CLOCK_SKEW": (_w("時計のずれ", "Clocks differ"), "warn", "alarm"),
    "STORAGE_75": (_w("記憶領域の使用が75%を超過", "Three quarters of the disk used"), "warn", "alarm"),
    "STORAGE_90": (_w("記憶領域の使用が90%を超過", "Nine tenths of the disk used"), "alarm", "alarm"),
    "PURGED": (_w("保存期間を過ぎた記録を消去", "Records past their term dropped"), "plain", "pen"),
    "LEGAL_HOLD_ON": (_w("記録の消去を止めた(保全)", "Legal hold begun"), "warn", "lock"),
    "LEGAL_HOLD_OFF": (_w("記録の保全を終えた", "Legal hold ended"), "warn", "key"),
    "LOG_ADMIN_REFUSED": (_w("監査ログの操作を受け付けず", "Act on the log not accepted"), "alarm", "cross"),
    "CONFIG_REFUSED": (_w("設定の一部を受け付けず", "Part of the site file not accepted"), "alarm", "cross"),
}

REASONS: Final[dict[str, Words]] = {reason.value: _w(*words) for reason, words in OFFICER_WORDS.items()}
"""Why somebody was not let in: the words of docs/decision.md."""

PASSED_OUT: Final = (_w("退室", "Went out"), "ok", "out")
"""A passage outward."""

STATES: Final[dict[str, tuple[Words, str]]] = {
    "secured": (_w("閉・施錠", "Closed, locked"), "lock"),
    "released": (_w("解錠中", "Released"), "key"),
    "open": (_w("開いている", "Open"), "ajar"),
    "held": (_w("長時間開放", "Held open"), "alarm"),
    "forced": (_w("こじ開け", "Forced open"), "alarm"),
    "unknown": (_w("不明", "Unknown"), "dash"),
    "offline": (_w("応答なし", "No answer"), "plug"),
}

KINDS: Final[dict[int, Words]] = {
    0: _w("一般区域", "Unrestricted"),
    1: _w("管理区域", "Controlled"),
    2: _w("制限区域", "Limited"),
    3: _w("取扱区画", "Exclusion"),
}

ZONE_STATES: Final[dict[str, Words]] = {
    "SECURED": _w("閉鎖中", "Secured"),
    "OPEN_ATTENDED": _w("使用中", "In use"),
    "OPEN_UNATTENDED": _w("無人", "Unattended"),
}

ZONE_NOTES: Final[dict[str, Words]] = {
    "locked_down": _w("封鎖", "Locked down"),
    "sanitised": _w("保全済", "Sanitised"),
}
"""What else stands beside a zone's name."""

MODES: Final[dict[str, Words]] = {
    "CARD": _w("", ""),
    "LOCKED": _w("入室停止", "No entry"),
    "UNLOCKED": _w("開放中", "Unlocked"),
    "ATTENDED": _w("立会い開放中", "Unlocked, attended"),
}
"""How a door stands, where it is not as usual."""

BY_CARD: Final = _w("カードによる入室", "Entry by card")
"""How a door usually stands."""

SHUT_UNLOCKED: Final = _w("閉・開放中", "Closed, unlocked")
"""A shut door whose mode keeps its lock released."""

FIRE_RELEASED: Final = _w("火災で解錠", "Unlocked by fire alarm")
"""A shut door whose lock the fire alarm dropped, by wire."""

EXITS: Final[dict[str, Words]] = {
    "card": _w("カードで退室", "Left by card"),
    "rex": _w("退室釦で退室", "Left by the button"),
    "unseen": _w("内側から開扉", "Opened from inside"),
}
"""What let somebody out."""

CREDENTIAL_ALARMS: Final[dict[str, Words]] = {
    "lost": _w("紛失・廃棄したはずのカード", "Lost or destroyed credential"),
    "copied": _w("複製の疑い", "Perhaps a copy"),
    "replayed": _w("認証応答の再使用", "Evidence used before"),
    "impossible_travel": _w("移動時間が不自然", "Faster than anybody can walk"),
}
"""What an alarm about a card is about."""

WITNESS_REFUSALS: Final[dict[str, Words]] = {
    "fork": _w("同じ件数で別の履歴", "Another history of the same length"),
    "rollback": _w("署名済みより少ない記録", "Fewer records than it had signed"),
    "not_consistent": _w("署名済みの履歴の続きでない", "Not the history that it had signed"),
    "unknown_key": _w("立会人の知らない鍵", "A key that it does not know"),
    "bad_signature": _w("署名が正しくない", "A signature that does not hold"),
}
"""What a witness refused (docs/witness.md)."""

DISTRUSTS: Final[dict[str, Words]] = {
    "key_lost": _w("当所の鍵を知らない", "does not know its key"),
    "default_key": _w("初期鍵で応答する", "answers with the default key"),
    "macs_failed": _w("通信が改ざんされている", "its frames are tampered with"),
}
"""Why a reader is believed no more, where the type of the record does not say it."""

CARD_SCHEMES: Final[dict[str, Words]] = {
    "desfire_ev1": _w("DESFire EV1", "DESFire EV1"),
    "desfire_ev2": _w("DESFire EV2", "DESFire EV2"),
    "ntag424": _w("NTAG 424 DNA", "NTAG 424 DNA"),
    "pkoc": _w("PKOC", "PKOC"),
    "felica_lite_s": _w("FeliCa Lite-S", "FeliCa Lite-S"),
    "aliro": _w("Aliro", "Aliro"),
    "": _w("番号のみ", "number only"),
}
"""How a card proves itself; under no name, one that does not."""

ACTORS: Final[dict[str, Words]] = {
    "officer": _w("担当者", "Officer"),
    "site-file": _w("設定ファイル", "Site file"),
    "portal": _w("制御装置", "Controller"),
    "controller": _w("制御装置", "Controller"),
    "streams": _w("記録の送信", "Streams"),
}
"""Who stands in records without being a person: the one officer until officers sign in, and the controller itself."""

RELEASE_REASONS: Final[dict[str, Words]] = {
    "visitor": _w("来訪者の案内", "Showing a visitor in"),
    "delivery": _w("搬入・搬出", "Delivery"),
    "forgotten_card": _w("カードを忘れた", "Card left behind"),
    "reader_fault": _w("読取装置の不調", "Reader not working"),
    "emergency": _w("緊急の対応", "Emergency"),
    "other": _w("その他", "Other"),
}

NOTE_KINDS: Final[dict[str, Words]] = {
    "SIGN_IN": _w("ログイン", "Signed in"),
    "NAME_CHANGED": _w("氏名の変更", "Name changed"),
    "VIEW_PERSONAL": _w("個人の履歴の閲覧", "History looked at"),
    "EXPORT": _w("書き出し", "Exported"),
    "REFUSED_ATTEMPT": _w("受け付けなかった操作", "Attempt not accepted"),
    "FORGOTTEN": _w("氏名の消去", "Name destroyed"),
}
"""What happened in these pages."""

PURPOSES: Final[dict[str, Words]] = {
    "incident": _w("事故・不審な事象の調査", "Incident or suspicion"),
    "audit": _w("点検・監査", "Inspection or audit"),
    "disclosure": _w("本人からの開示請求", "The person asked to see it"),
    "safety": _w("安否の確認", "Safety of the person"),
    "correction": _w("記録の訂正の確認", "Correcting a record"),
}
"""Why somebody looks at a person's history (E-07)."""

FORGET_REASONS: Final[dict[str, Words]] = {
    "term_over": _w("保存期間の満了", "Term is over"),
    "request": _w("本人の請求", "The person asked"),
    "mistake": _w("誤って登録した", "Entered by mistake"),
}
"""Why a name is destroyed (E-08)."""

DEVIATIONS: Final[dict[str, Words]] = {
    "uid_accepted": _w("複製できるカード番号を受け付ける区域", "Zones that take card numbers which can be copied"),
    "edits_unsigned": _w("登録の変更に署名がない", "Changes of registers carry no signature"),
    "record_omitted": _w("残さない種類の記録", "Types of records that are not kept"),
    "keystore_unsealed": _w(
        "鍵の保管庫の封印が同じ記憶媒体にある", "What seals the keys lies on the same disk as they"
    ),
    "mqtt_without_tls": _w("暗号化されていない機器通信", "Device messages are not encrypted"),
    "attended_counts": _w("在室者の立会いを要素に数える区域", "Zones where being attended counts for a factor"),
    "way_around_roster": _w("名簿を照合されずに入れる区域", "Zones reached without being on their roster"),
    "door_unlocked": _w("開放運用になる扉", "Doors that may stand unlocked"),
    "fire_release_missing": _w("火災信号による直結解錠のない扉", "Doors without hard-wired fire release"),
    "fail_safe_into_protected": _w(
        "停電で開く、保護対象の情報がある区域の扉", "Doors into protected zones that open without power"
    ),
    "vestibule_open": _w("扉が連動していない前室", "Vestibules whose doors are not interlocked"),
    "interlock_one_way": _w("片方向だけ連動する扉", "Doors interlocked one way only"),
    "device_unnumbered": _w(
        "番号も時刻もない通知をする機器", "Devices whose messages carry neither a number nor a time"
    ),
    "strike_without_timer": _w("解錠を自分で終えない機器", "Devices that do not end a release by themselves"),
    "simulation": _w("模擬運転中 (実際の設備ではない)", "Simulation: this is not a real site"),
}


def deviations(codes: Sequence[str], places: Mapping[str, str], language: Language) -> list[str]:
    """Words for what the controller reports as `code` or `code:place`: one line a code, its places named."""
    found: dict[str, list[str]] = {}
    for text in codes:
        code, _, place = text.partition(":")
        found.setdefault(code, []).extend([places.get(place, place)] if place else [])
    comma = "、" if language == "ja" else ", "
    lines: list[str] = []
    for code, where in found.items():
        words = DEVIATIONS[code][language] if code in DEVIATIONS else code
        lines.append(f"{words}: {comma.join(where)}" if where else words)
    return lines


_LONG: Final = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))
ALARMS: Final[dict[str, Words]] = _LONG["alarm"]
ALARM_DOS: Final[dict[str, Words]] = _LONG["alarm_do"]
"""What an officer does about an alarm. Of deviations there is nothing but the list of them."""
PAGE: Final[dict[str, Words]] = _LONG["page"]
PROBLEMS: Final[dict[str, dict[str, tuple[str, str]]]] = _LONG["problem"]
"""(title, detail) of each problem."""
TABLES: Final[dict[str, Words]] = _LONG["table"]
"""What a change of the registers was about: the tables of `zones.policy`."""

FIELD_FAULTS: Final[dict[str, Words]] = {
    "other": _w("受け付けられない値です", "is not an acceptable value"),
    "missing": _w("必要です", "is missing"),
    "extra_forbidden": _w("この項目はありません", "is not a field here"),
    "json_invalid": _w("JSON として読めません", "is not JSON"),
    "string": _w("文字列が要ります (長さと形を確かめてください)", "must be text of the right length and form"),
    "int": _w("整数が要ります", "must be a whole number"),
    "bool": _w("true か false が要ります", "must be true or false"),
    "literal_error": _w("決められた語ではありません", "is not one of the known words"),
    "date": _w("YYYY-MM-DD の日付が要ります", "must be a date written YYYY-MM-DD"),
    "greater": _w("小さすぎます", "is too small"),
    "less": _w("大きすぎます", "is too large"),
    "two_people": _w("記録者と確認者は別の人でなければなりません", "recorded_by and confirmed_by must be two people"),
    "order": _w("終わりが始まりより前です", "ends before it begins"),
    "text": _w("使えない文字があります", "holds characters that cannot be used"),
    "nothing": _w("変える項目がありません", "changes nothing"),
}  # fmt: skip

_ERAS: Final = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))
_DAYS: Final = ("月", "火", "水", "木", "金", "土", "日")


def long_date(day: date, language: Language) -> str:
    """A date as people here write it, with the era beside the year (D-30)."""
    if language == "en":
        return f"{day:%A} {day.day} {day:%B %Y}"
    era = next((f"({name}{_year(day.year - first.year + 1)}年)" for first, name in _ERAS if day >= first), "")
    return f"{day.year}年{era}{day.month}月{day.day}日({_DAYS[day.weekday()]})"


def _year(number: int) -> str:
    return "元" if number == 1 else str(number)


def moment_of(at_ms: int | None) -> datetime | None:
    """Epoch milliseconds as an aware time in Japan; None where there is none or it cannot be one."""
    if at_ms is None:
        return None
    try:
        return datetime.fromtimestamp(at_ms / 1000, JST)
    except (OverflowError, ValueError, OSError):
        return None
