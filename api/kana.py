"""The order of names in kana, as registers here keep it: 五十音順. Pure; no library has it without a system locale.

Width, script, small and voiced signs count only where all else is the same; a long mark reads as the vowel before it:
サトウ, サトオ, サトー; ハヤシ, はやし, バヤシ, パヤシ, ハヤシダ; ヴァン among ウ. A family name
goes before a longer one.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_SMALL: Final = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_VOWELS: Final = {
    sign: vowel
    for vowel, signs in {
        "ア": "アカサタナハマヤラワ", "イ": "イキシチニヒミリヰ", "ウ": "ウクスツヌフムユル",
        "エ": "エケセテネヘメレヱ", "オ": "オコソトノホモヨロヲ",
    }.items()
    for sign in signs
}  # fmt: skip
_MARKS: Final = "\u3099\u309a"
LONG: Final = "ー"

Order = tuple[str, str, bool]


def kana_order(said: str) -> Order:
    """What to sort by: the bare signs, then the whole reading in katakana, then katakana before hiragana."""
    whole = " ".join(unicodedata.normalize("NFKC", said).split())
    katakana = "".join(chr(ord(sign) + 0x60) if "ぁ" <= sign <= "ゖ" else sign for sign in whole)
    return _bare(katakana), katakana, katakana != whole


def _bare(katakana: str) -> str:
    parted = "".join(sign for sign in unicodedata.normalize("NFD", katakana) if sign not in _MARKS)
    signs: list[str] = []
    for sign in parted.translate(_SMALL).casefold():
        signs.append(_VOWELS.get(signs[-1], sign) if sign == LONG and signs else sign)
    return "".join(signs)
