"""Every rule in words, for an officer who asks why (docs/decision.md is normative for what each asks).

What a person lacks is said in one way whether it was never asked for, waits, has lapsed, was ended or suspended (E-03).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from zones.decision.reasons import OFFICER_WORDS, Reason, Words
from zones.decision.values import FindingKind

RULE_WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "D01": Words("入退室口が登録されている", "The access point and its zone are known"),
        "D02": Words("監査ログに記録できる", "The ledger can be written"),
        "D03": Words("読取装置と扉の機器を信頼できる", "The reader and what guards the portal are trusted"),
        "D04": Words("時刻を信頼できる", "The clock is trusted"),
        "D05": Words("許可情報が新しい", "The policy was confirmed lately enough"),
        "D06": Words("カードが登録されている", "The card number belongs to a credential"),
        "D07": Words("カードが有効である", "The credential is active"),
        "D08": Words("必要な数の認証要素がある", "As many factors as the zone asks for now"),
        "D09": Words("本人の登録が続いている", "The cardholder is registered"),
        "D10": Words("区域とその外側が閉鎖されていない", "Neither the zone nor one around it is secured"),
        "D11": Words("有効な適性評価の記録がある (第一の鍵)", "First key: a valid clearance on record"),
        "D12": Words("知る必要性が承認されている (第二の鍵)", "Second key: an approved need-to-know"),
        "D13": Words("立入許可者名簿に記載がある (第三の鍵)", "Third key: a place on the zone's roster"),
        "D14": Words("区域と本人の入室時間内である", "Within the hours of the zone and of the cardholder"),
        "D15": Words("必要な教育を修了している", "The zone's courses were completed"),
        "D16": Words("持込機器を申告している", "Devices were declared"),
        "D17": Words("手前の区域から来ている", "Comes from the zone that this portal leads from"),
        "D18": Words("すでに在室していない (アンチパスバック)", "Not inside already (anti-passback)"),
        "D19": Words("定員に空きがある", "There is room in the zone"),
        "D20": Words("必要な場合に二名が揃っている", "Two entitled cardholders, where two are asked for"),
        "D21": Words("単独在室にならない", "Nobody is left alone in the zone"),
        "D22": Words("来訪者に立会者がいる", "A guest comes with an escort"),
        "D23": Words(
            "三つの鍵のない者の入室中は情報を格納済み (保全済) である", "The zone is sanitised for whoever lacks a key"
        ),
        "D24": Words("暗証番号が一致する", "The PIN matches, where one was asked for"),
        "D25": Words("連動する扉が閉じている", "Every interlocked portal is closed"),
        "D26": Words("封鎖中でない", "No lockdown"),
        "D27": Words("認証応答が初めて使われた", "The card's answer was not used before"),
        "D28": Words("前回の扉から歩いて来られる時間である", "One can have walked here since the last read"),
        "D29": Words("名簿の棚卸しが期限内である", "The place on the roster was reviewed in time"),
        "D30": Words("読取が遅れずに届いた", "The read arrived in time"),
        "D31": Words("連続した同じ読取でない", "Not the same card again at once"),
        "D32": Words("カードが本物である", "The card proved to be genuine"),
        "D33": Words("読取装置の回線が区域の求めるとおり保護されている", "The line is as protected as the zone asks"),
        "D34": Words("利用目的の通知を受けている", "The notice on entry records was handed over"),
        "D35": Words(
            "区域に資格のある者がいるか、解錠責任者が先に入る", "The zone is attended, or an opener enters first"
        ),
        "D36": Words("暗証番号が停止されていない", "The PIN is not locked"),
        "D37": Words("扉が入室停止中でない", "The portal is not in the mode LOCKED"),
        "D38": Words("既定の鍵が残っていない", "No factory default is left"),
    }
)
"""Rule -> what it asks. One entry per rule of RULES, and no other (held by a test)."""

FOUND: Final[Mapping[FindingKind, Words]] = MappingProxyType(
    {
        FindingKind.PASSED: Words("適", "passed"),
        FindingKind.WAIVED: Words("逸脱・特例として許容", "waived"),
        FindingKind.EXEMPT: Words("対象外", "not asked here"),
        FindingKind.FAILED: Words("否", "failed"),
    }
)

UNKNOWN_RULE: Final = Words("この版にない規則", "A rule that this version does not have")

CHANGES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "restore_ledger": Words("監査ログに書けるようにする", "make the ledger writable again"),
        "restore_reader": Words(
            "読取装置・錠・扉の接点を復旧し、二名で確認する",
            "restore the reader, strike and contact; two officers confirm",
        ),
        "commission": Words(
            "既定の鍵を全て替える (初期設定を終える)",
            "replace every key that something came with: finish commissioning",
        ),
        "set_clock": Words("時計を合わせる", "set the clock right"),
        "confirm_policy": Words("許可情報を最新にする", "bring the policy up to date"),
        "present_again": Words("カードをもう一度かざす", "present the card again"),
        "wait_and_present": Words("1 秒以上待ってもう一度かざす", "wait a second and present the card again"),
        "protect_line": Words("読取装置の回線を {link} にする", "protect the reader's line: {link}"),
        "issue_credential": Words(
            "このカードを区域 {zone} に入れる者に発行する",
            "issue a credential for this card to somebody who may enter {zone}",
        ),
        "register_and_issue": Words(
            "本人を登録し、このカードを発行する", "register a cardholder and issue a credential for this card"
        ),
        "activate_credential": Words("カード {credential} を有効にする", "activate credential {credential}"),
        "replace_credential": Words("新しいカードを発行する", "issue another credential"),
        "use_genuine_card": Words("本物のカードを使う", "use the genuine card"),
        "unlock_pin": Words(
            "暗証番号の停止を解除し、正しく入力する", "lift the lock of the PIN and enter the right one"
        ),
        "enter_pin": Words("正しい暗証番号を入力する", "enter the right PIN"),
        "use_challenge": Words(
            "複製できないカードで認証する (要素 {factors})", "use a card that answers a challenge ({factors} factors)"
        ),
        "use_challenge_and_pin": Words(
            "複製できないカード (要素 {factors}) と暗証番号で認証する",
            "use a card that answers a challenge ({factors} factors) and enter the PIN",
        ),
        "lower_threat_level": Words("脅威レベルを 0 に戻す", "lower the threat level to 0"),
        "register_cardholder": Words("本人の登録を復活させる", "register the cardholder again"),
        "hand_over_notice": Words(
            "利用目的の通知 (版 {version}) を渡す", "hand over the notice on entry records, version {version}"
        ),
        "portal_to_card": Words("扉 {portal} の入室停止を解く", "take portal {portal} out of the mode LOCKED"),
        "open_zone": Words("区域 {zones} の使用を開始する", "open {zones}"),
        "opener_enters_first": Words("解錠責任者が先に区域 {zone} に入る", "an opener enters {zone} first"),
        "openers_together": Words("解錠責任者が二名で入る", "two openers enter together"),
        "lift_lockdown": Words("封鎖を解除する ({where})", "lift the lockdown ({where})"),
        "confirm_clearance": Words(
            "適性評価 ({basis}) の結果を記録し、別の担当者が確認する",
            "record a clearance ({basis}) and have a second officer confirm it",
        ),
        "approve_need": Words(
            "情報 {item} を知る必要性を申請し、二名が承認する",
            "request need-to-know for item {item} and have two officers approve it",
        ),
        "put_on_roster": Words(
            "区域 {zone} の立入許可者名簿に {until} まで記載する", "put on the roster of {zone} until {until}"
        ),
        "expect_visit": Words("区域 {zone} への来訪を登録する", "register a visit to {zone}"),
        "review_roster": Words("区域 {zone} の名簿を棚卸しする", "review the roster of {zone}"),
        "come_back": Words("{at} 以降に来る", "come back at {at}"),
        "complete_training": Words("教育 {courses} を修了する", "complete the training {courses}"),
        "declare_devices": Words("区域 {zone} への持込機器を申告する", "declare devices for {zone}"),
        "come_through": Words("{zone} を出て、{from_zone} から入り直す", "leave {zone}, and come from {from_zone}"),
        "go_first": Words(
            "先に {from_zone} に入る (記録では {zone} に在室)", "go to {from_zone} first (recorded as in {zone})"
        ),
        "forgive_presence": Words("担当者が在室の記録を不明に戻す", "an officer forgives the recorded presence"),
        "wait": Words("{seconds} 秒待つ", "wait {seconds} s"),
        "others_leave": Words("{zone} から {count} 名が退室する", "{count} leave {zone} first"),
        "bring_second": Words(
            "資格のある者がもう {count} 名、一緒に入る", "{count} more entitled cardholder(s) enter together"
        ),
        "come_without": Words(
            "一緒にカードをかざした者を除いて入る", "come without those who presented their cards too"
        ),
        "somebody_inside": Words(
            "資格のある者 {count} 名が先に在室する", "{count} entitled cardholder(s) are inside first"
        ),
        "bring_escort": Words("立会者が先に入る", "an escort is let in just before"),
        "sanitise_zone": Words(
            "区域 {zone} の情報を格納し、二名で保全済と記録する", "sanitise {zone}; two officers record it"
        ),
        "close_portals": Words("扉 {portals} を閉める", "close {portals}"),
        "report_lost": Words("カード {credential} が紛失と届け出られる", "credential {credential} is reported lost"),
        "leave_roster": Words("区域 {zone} の名簿の記載が終わる", "the place on the roster of {zone} is ended"),
        "secure_zone": Words("区域 {zone} が閉鎖される", "{zone} is secured"),
        "lock_down": Words("全域が封鎖される", "the site is locked down"),
        "later": Words("{at} 以降", "from {at} on"),
        "without_pin": Words("暗証番号を誤る", "the PIN is missed"),
        "nobody_inside": Words("区域 {zone} に誰もいない", "nobody is in {zone}"),
        "alone": Words("一人で来る", "coming alone"),
    }
)
"""Change -> what is to be done, with the places that it names. One entry per code of `zones.review.changes`."""


def reason_words(reason: str) -> Words:
    """A reason in the officer's words; a reason that this version does not have as it stands."""
    try:
        return OFFICER_WORDS[Reason(reason)]
    except ValueError:
        return Words(reason, reason)
