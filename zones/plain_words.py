"""What may stand in a note that an officer writes: one line about a door, and nothing about a person's suitability.

E-01, P5: free text is the one place in which somebody could write down what must not be known here, the matters that
an assessment looks into (法12条2項) or what came of one. A note with such a word is refused, and told which. The list
holds words, not intentions: whoever wants to write around it can, and finds at least that it is not wanted.
"""

from __future__ import annotations

import re
import unicodedata
from types import MappingProxyType
from typing import Final

NOTE_SIGNS_MAX: Final = 500

_JAPANESE: Final = (
    # what came of an assessment, or that there was one
    *("適性評価", "適性", "適格", "不適", "セキュリティクリアランス", "クリアランス", "身辺調査", "身元調査", "素行"),
    *("同意拒否", "同意の撤回", "取下げ", "取り下げ", "評価対象", "質問票", "誓約違反"),
    # 1: ties to espionage and terrorism; the family, nationality and address that are asked for it
    *(
        "スパイ",
        "諜報",
        "テロ",
        "工作員",
        "国籍",
        "帰化",
        "外国籍",
        "外国人",
        "出身国",
        "家族",
        "配偶者",
        "同居人",
        "親族",
    ),
    # 2, 3: crimes and discipline; mishandling of information
    *("犯罪", "前科", "犯歴", "逮捕", "有罪", "懲戒", "処分歴", "漏えい歴", "非違"),
    # 4, 5, 6: drugs, mental illness, drink
    *(
        "薬物",
        "覚醒剤",
        "覚せい剤",
        "大麻",
        "依存症",
        "精神",
        "うつ病",
        "鬱病",
        "病歴",
        "持病",
        "通院",
        "服薬",
        "障害者",
    ),
    *("飲酒", "酒癖", "酩酊", "泥酔", "酒臭", "アルコール依存"),
    # 7: money
    *("借金", "負債", "債務", "破産", "滞納", "多重債務", "ローン", "差押", "信用情報", "経済状況", "年収"),
    # and what the law on personal information calls for care (要配慮個人情報)
    *("人種", "信条", "宗教", "政党", "組合員", "妊娠"),
)

_ENGLISH: Final = (
    *("suitability", "unsuitable", "unfit", "clearance", "clearances", "vetting", "vetted", "background check"),
    *("questionnaire", "ineligible", "disqualified"),
    *("spy", "spies", "espionage", "terrorism", "terrorist", "nationality", "citizenship", "foreigner", "immigrant"),
    *("family", "wife", "husband", "spouse", "relative", "relatives", "girlfriend", "boyfriend"),
    *("crime", "criminal", "conviction", "convicted", "arrested", "police record", "disciplinary", "misconduct"),
    *("drug", "drugs", "cannabis", "marijuana", "addict", "addiction", "mental", "psychiatric", "depression"),
    *("illness", "disease", "medication", "pregnant", "disability", "drunk", "drunken", "alcoholic", "alcoholism"),
    *("drinking", "debt", "debts", "loan", "loans", "bankrupt", "bankruptcy", "credit rating", "credit score"),
    *("salary", "income", "race", "religion", "political", "union member"),
)

_INNOCENT: Final = MappingProxyType(
    {
        "テロ": ("ステロ",),
        "ローン": ("ドローン", "クローン"),
        "スパイ": ("スパイク", "スパイス", "スパイラル"),
        "障害者": ("障害者用",),
        "適格": ("適格請求書",),
    }
)
"""Words in which one of the list stands by accident: a drone in the yard, a spiked fence."""

_SPACES: Final = re.compile(r"[\s\u3000・･._\-–—/|*~'\"]+")
_WORDS: Final = re.compile(rf"(?<![a-z])(?:{'|'.join(map(re.escape, _ENGLISH))})(?![a-z])")


def fault_of_note(note: str) -> tuple[str, str] | None:
    """Why a note is not taken, as (code, the word or sign at fault); None: it may be recorded.

    `empty`, `long`; `sign`: one that is no text (control signs, marks that turn the line); `word`: of the list.
    """
    if not note.strip():
        return "empty", ""
    if len(note) > NOTE_SIGNS_MAX:
        return "long", str(NOTE_SIGNS_MAX)
    for sign in note:
        if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            return "sign", f"U+{ord(sign):04X}"
    word = denied_word(note)
    return None if word is None else ("word", word)


def denied_word(text: str) -> str | None:
    """The first word of the list in a text, however it is spaced, cased or wide; None: there is none."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    joined = _SPACES.sub("", folded)
    for word in _JAPANESE:
        rest = joined
        for innocent in _INNOCENT.get(word, ()):
            rest = rest.replace(innocent, "")
        if unicodedata.normalize("NFKC", word) in rest:
            return word
    found = _WORDS.search(_SPACES.sub(" ", folded))
    return None if found is None else found[0]
