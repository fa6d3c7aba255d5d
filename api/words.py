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
    "EXIT": (_w("退室釦による退室", "Left by the button"), "plain", "out"),
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

RELEASE_REASONS: Final[dict[str, Words]] = {
    "visitor": _w("来訪者の案内", "Showing a visitor in"),
    "delivery": _w("搬入・搬出", "Delivery"),
    "forgotten_card": _w("カードを忘れた", "Card left behind"),
    "reader_fault": _w("読取装置の不調", "Reader not working"),
    "emergency": _w("緊急の対応", "Emergency"),
    "other": _w("その他", "Other"),
}

DEVIATIONS: Final[dict[str, Words]] = {
    "uid_accepted": _w("複製できるカード番号を受け付ける区域", "Zones that take card numbers which can be copied"),
    "edits_unsigned": _w("登録の変更に署名がない", "Changes of registers carry no signature"),
    "mqtt_without_tls": _w("暗号化されていない機器通信", "Device messages are not encrypted"),
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
PAGE: Final[dict[str, Words]] = _LONG["page"]
PROBLEMS: Final[dict[str, dict[str, tuple[str, str]]]] = _LONG["problem"]
"""(title, detail) of each problem."""

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
