"""What the enrolment desk says: refusals and what to do about them (docs/wire/cards.md), kinds and states of cards."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from sekisho.spoken import Words

REFUSALS: Final = MappingProxyType(
    {
        "wrong_type": (
            ("指定した種類のカードではありません", "not the kind of card that was ordered"),
            ("別のカードを使ってください。種類は `card look` で分かります", "take another; `card look` tells the kind"),
        ),
        "uid_changed": (
            ("カードの番号が途中で変わりました", "the card tells another number than the reader saw"),
            (
                "一枚だけ置いてやり直す。続けば偽物です。保管してください",
                "one card at a time; if it stays so, keep it: a fake",
            ),
        ),
        "not_original": (
            ("メーカーの署名がありません。偽物か複製です", "it has no signature of its maker: a fake or a clone"),
            ("使わずに保管し、購入先に問い合わせてください", "do not use it; keep it, and ask the dealer"),
        ),
        "not_blank": (
            ("白紙のカードではありません", "the card is not blank"),
            ("別のカードを使う。ここで作りかけたものなら --again", "take another; if it was begun here, add --again"),
        ),
        "already_ours": (
            ("すでに当所で発行したカードです", "it was issued here before"),
            ("鍵の更新は `card rekey`、作り直すなら --again", "`card rekey` renews it; --again makes it anew"),
        ),
        "interrupted": (
            ("前回の発行が途中で終わっています", "it was begun before and not ended"),
            ("--again を付けてやり直してください", "do it once more with --again"),
        ),
        "not_ours": (
            ("当所の鍵に合いません", "none of our keys fits"),
            ("他所のカードです。持ち主に返してください", "somebody else's card: give it back"),
        ),
        "no_key": (
            ("鍵がまだありません", "the key store has no key for it"),
            ("`sekisho keys make` で二名が鍵を作ってください", "two people make it: `sekisho keys make`"),
        ),
        "version_zero": (
            ("鍵の版が 0 です (工場出荷時の鍵)", "the newest key has version 0, the factory's"),
            ("`sekisho keys make` で新しい版を作ってください", "make a new version: `sekisho keys make`"),
        ),
        "card_refused": (
            ("カードが途中で拒みました", "the card refused a step"),
            ("--again でやり直す。続くなら別のカードを使う", "once more with --again; then take another"),
        ),
        "not_verified": (
            ("書き込みましたが、確認できません", "all was written, and the card does not prove itself"),
            ("--again でやり直す。続くなら別のカードを使う", "once more with --again; then take another"),
        ),
        "card_left": (
            ("途中でカードが離れました", "the card was taken away too soon"),
            ("置いたまま、もう一度。発行は --again を付ける", "leave it there, and once more; `issue` with --again"),
        ),
        "number_only": (
            ("この読取装置では番号しか読めないカードです", "of this card the reader tells the number alone"),
            (
                "種類を確かめる。FeliCa は PN532 の読取装置で発行します",
                "look at its kind; a FeliCa is made at a PN532, not at a PC/SC reader",
            ),
        ),
        "nobody_came": (
            ("カードが置かれませんでした", "no card came"),
            ("もう一度実行してください", "run the command once more"),
        ),
        "other_cardholder": (
            ("別の人のものとして登録されているカードです", "this card is registered for another cardholder"),
            (
                "別のカードを使ってください。番号は最初の持ち主のものです",
                "take another: a number stays its first holder's",
            ),
        ),
    }
)
"""Why nothing was done -> what it means, and what to do."""

DONE: Final = MappingProxyType(
    {
        "issue": ("発行しました", "issued"),
        "rekey": ("鍵を更新しました", "its keys are renewed"),
        "retire": ("廃止しました", "retired"),
    }
)

STATES: Final = MappingProxyType(
    {
        "ISSUED": ("発行済 (まだ使えません)", "ISSUED (opens nothing yet)"),
        "ACTIVE": ("有効", "ACTIVE"),
        "RETURNED": ("返却", "RETURNED"),
        "DESTROYED": ("破棄", "DESTROYED"),
        "LOST": ("紛失", "LOST"),
    }
)


def meaning(why: str) -> tuple[Words, Words]:
    """What a refusal means, and what to do about it."""
    return REFUSALS.get(why, ((why, why), ("もう一度実行してください", "run the command once more")))
