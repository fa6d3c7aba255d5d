"""`sekisho badge`: holds a simulated card to a simulated reader through the hands' HTTP API."""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from typing import Any, Final

from sekisho.cli import CANNOT_RUN, NO, OK

ANSWER_S_MAX: Final = 10


def badge(arguments: argparse.Namespace) -> int:
    """Badge and say what came of it. 0 released, 1 refused, 3 no building there."""
    try:
        card = _card_of(arguments.hands, arguments.card)
        hand = {"card": card, "door": arguments.door, "side": arguments.side, "walk": not arguments.no_walk}
        hand["held"] = arguments.held
        if arguments.pin is not None:
            hand["digits"] = arguments.pin
        reply = call(arguments.hands, "/hands/badge", hand)
    except urllib.error.HTTPError as error:
        told = error.read().decode(errors="replace")
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(told)["detail"]
        print(f"sekisho badge: {told}", file=sys.stderr)
        return CANNOT_RUN
    except (urllib.error.URLError, OSError) as error:
        print(f"sekisho badge: no building at {arguments.hands}: {error}; start `sekisho demo`", file=sys.stderr)
        return CANNOT_RUN
    except LookupError as error:
        print(f"sekisho badge: {error}", file=sys.stderr)
        return CANNOT_RUN
    if arguments.json:
        print(json.dumps(reply, ensure_ascii=False))
    else:
        who = reply.get("person") or card
        print(f"{who} → {arguments.door}: {_outcome(reply)}")
    return OK if reply["released"] else NO


def _outcome(reply: dict[str, Any]) -> str:
    if reply["released"]:
        return "解錠 released"
    if not reply["was_sent"] or reply["shown"] == "not_read":
        return "読み取れません not read"
    if reply["shown"] is None:
        return "施錠のまま stays locked"  # a reader without a display tells nobody why
    if reply["shown"] in _PROMPTS:
        return _PROMPTS[reply["shown"]]
    told = "一時的に使用できません out of order" if reply["shown"] == "out_of_order" else "入室できません refused"
    return f"{told}（受付番号 {reply['number']}）" if reply.get("number") else told


_PROMPTS: Final = {
    "enter_pin": "暗証番号を入力してください enter the PIN (--pin)",
    "second_card": "もう一名のカードをかざしてください a second card, please",
}


def call(base: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """GET, or POST where there is a body, JSON both ways. Raises urllib.error.URLError."""
    if not base.startswith("http://"):
        raise urllib.error.URLError("give an http:// address")
    request = urllib.request.Request(base.rstrip("/") + path)  # noqa: S310 - http alone, see above
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=ANSWER_S_MAX) as answer:  # noqa: S310 - see above
        return json.load(answer)


def _card_of(hands: str, text: str) -> str:
    """A card number as it is, or the card of the person so named (whole or part of a name, either language)."""
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){4,20}", text):
        return text.upper()
    people = call(hands, "/hands/state")["people"]
    found = [p for p in people if any(text.casefold() in p[key].casefold() for key in ("name_ja", "name_en"))]
    if len(found) != 1:
        names = ", ".join(p["name_ja"] for p in people)
        raise LookupError(f"{text!r} names {len(found)} people; there are {names}")
    return str(found[0]["card"])
