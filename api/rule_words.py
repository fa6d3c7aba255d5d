"""Words of the rules that a form breaks most: what to put right, for whoever filled it in.

The controller and `zones` say why in English, for engineers, with the row and the field in front. What is not here is
told by the field alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.texts import Said

RULES: Final[Mapping[str, Said]] = {
    "is before from_on": Said("It lies before the first day. Take that day or a later one."),
    "must lie from from_on to until_on": Said("Take a day from the first one to the last one."),
    "months of from_on": Said("It lies too far after the first day. Take an earlier one."),
    " days of ": Said("It lies too far after the first day. Take an earlier one."),
    "there is no ": Said("Choose one of the list."),
    "is not lower-case letters, digits and dashes": Said("Take lower-case letters a to z, digits and dashes alone."),
    "is not an officer's identifier": Said("Take lower-case letters a to z, digits and dashes alone."),
    "must be 4 to 33 bytes in hex": Said("A card's number has 8 to 66 signs: digits and letters A to F, in pairs."),
    "is a code, 1 to 32": Said("Take a code: letters, digits, _ and -, at most 32 of them; no sentences."),
    "a visit leads somewhere": Said("Choose at least one zone."),
    "must hold a post": Said("Choose at least one post."),
    "changes no registers (A-29)": Said("An auditor holds no post that changes the registers."),
    "must be another": Said("Name somebody else."),
    "somebody else answers for a visit": Said("Name somebody else."),
    "is the number of credential": Said("This card is registered already. Take another one."),
}
"""What stands in the reason, and what to tell. The first that stands there counts."""


def rule_told(why: str) -> Said | None:
    """What to put right, where it has words."""
    return next((told for sign, told in RULES.items() if sign in why), None)
