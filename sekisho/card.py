"""`sekisho card`: the enrolment desk at the console (docs/devices.md). One card at a time, beside a running controller.

Keys are looked at in the key store and never shown; a card number is shown by its last four signs. Exit status: 0 done,
1 refused, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.cards import last4
from controller.config import Site, SiteFileError, load_site
from controller.key_room import SYSTEM, seal_of
from controller.keystore.errors import KeyStoreError
from controller.keystore.store import KeyStore
from controller.lines import pkoc_reader_id
from controller.link.client import LinkDown
from controller.link.messages import Refused as LinkRefused
from controller.link.recorded import HistoryBroken
from readers.cards.challenge import Challenger
from readers.cards.issue import Issued, Order, Refused, Retired, issue, rekey, retire
from readers.cards.originality import NXP_KEYS
from readers.cards.proving import is_random
from readers.cards.session import CardKeys, CardTarget, Left, Proved
from readers.protocols.pn532_cards import CardMachine
from sekisho.bench import PortTroubleError
from sekisho.card_desk import CardDesk, Shown
from sekisho.card_look import Looked, looked
from sekisho.card_register import Register
from sekisho.card_words import DONE, STATES, meaning
from sekisho.spoken import Words, lines_of, print_json, said, table, tell

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3

_STOPPED: Final[Words] = (
    "中断しました。書き込みが始まっていたカードは、発行なら --again、更新・廃止ならもう一度実行してください",
    "stopped. A card that was begun: `issue` with --again; `rekey` and `retire` once more",
)
_STATE_TO_ENTER: Final[Words] = (
    "登録の状態はまだ前のままです。資格の状態を次のとおり変えてください",
    "the register still has it as before: change the credential's state through the API",
)
_TO_SIGN: Final[Words] = (
    "登録の案を出しました。管理画面の「変更の承認」で署名されると有効になります",
    "suggested: it is in force when officers have signed it, under Proposals on their pages",
)
_WRITES: Final = {"issue": issue, "rekey": rekey, "retire": retire}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Enrolment:
    """What one run of the command works with. `register` is None where no controller answers."""

    arguments: argparse.Namespace
    site: Site
    keys: CardKeys
    application: bytes
    makers: tuple[bytes, ...]
    register: Register | None


def run(arguments: argparse.Namespace) -> int:
    """Run the action that `arguments.card` names and return its exit status."""
    name = f"sekisho card {arguments.card}"
    if (misuse := _misuse(arguments)) is not None:
        tell(f"{name}: {said(misuse, arguments.lang)}")
        return MISUSE
    try:
        enrolment = _enrolment(arguments)
        if (who := _unknown_cardholder(enrolment)) is not None:
            tell(f"{name}: {said(who, arguments.lang)}")
            return NO
        desk = CardDesk(arguments.reader, arguments.lang, simulation=enrolment.site.simulation is not None)
        shown = desk.present(_challenge(enrolment), arguments.wait)
        return _looked_at(enrolment, shown) if arguments.card == "look" else _written(enrolment, shown)
    except KeyboardInterrupt:
        return _cannot_run(arguments, "stopped", _STOPPED)
    except PortTroubleError as error:
        return _cannot_run(arguments, error.code, error.words)
    except (SiteFileError, KeyStoreError, LinkDown, HistoryBroken, OSError) as error:
        return _cannot_run(arguments, "cannot_run", (str(error), str(error)))


def _cannot_run(arguments: argparse.Namespace, why: str, words: Words) -> int:
    if arguments.json:
        print_json({"act": arguments.card, "outcome": "failed", "why": why, "means": words[1]})
    for line in dict.fromkeys(lines_of(words, arguments.lang)):
        tell(f"sekisho card {arguments.card}: {line}")
    return CANNOT_RUN


def _misuse(arguments: argparse.Namespace) -> Words | None:
    if getattr(arguments, "random_uid", False) and arguments.scheme not in {"desfire_ev2", "ntag424"}:
        return "この種類のカードは番号を隠せません", "a card of this kind cannot hide its number"
    if arguments.card == "retire" and arguments.officer is None:
        return "廃止には --officer が必要です", "`retire` needs --officer: the record says who did it"
    wants_register = getattr(arguments, "cardholder", None) is not None
    if wants_register and arguments.officer is None:
        return "--cardholder には --officer も必要です", "--cardholder needs --officer too: the record says who did it"
    return None


# -- what is needed ----------------------------------------------------------------------------------------------------


def _enrolment(arguments: argparse.Namespace) -> _Enrolment:
    site = load_site(arguments.site)
    if site.cards is None:
        raise SiteFileError(f"{arguments.site} has no section [cards]: no card of this site has keys")
    assert site.keys.dir is not None, "controller.config fills it in"
    store = KeyStore.look(Path(site.keys.dir), seal_of(site.keys, os.urandom), os.urandom)
    application = bytes.fromhex(site.cards.application)
    return _Enrolment(
        arguments=arguments,
        site=site,
        keys=store.card_keys(application=application, system=SYSTEM),
        application=application,
        makers=_makers(site),
        register=_register(arguments, site),
    )


def _makers(site: Site) -> tuple[bytes, ...]:
    """Whose signature a blank must have. Simulated chips have a made-up maker, who counts in a simulation alone."""
    if site.simulation is None:
        return NXP_KEYS
    from simulators.cards.site import maker_point

    return (*NXP_KEYS, maker_point())


def _register(arguments: argparse.Namespace, site: Site) -> Register | None:
    """None where nobody named a socket and no controller answers at the site's own."""
    named: Path | None = arguments.socket
    try:
        return Register(site, named or site.socket, arguments.officer or "console")
    except LinkDown:
        if named is not None:
            raise
        return None


def _unknown_cardholder(enrolment: _Enrolment) -> Words | None:
    who = getattr(enrolment.arguments, "cardholder", None)
    if who is None or enrolment.register is None or enrolment.register.has_cardholder(who):
        return None
    return (
        f"{who} は登録されていません。先に対象者を登録してください。カードには何もしていません",
        f"there is no cardholder {who}: enter him first; no card was touched",
    )


# -- the card ----------------------------------------------------------------------------------------------------------


class _AtOnce:
    """A machine that refuses without a question that changes anything: the chip is asked for its version alone."""

    def __init__(self, why: str) -> None:
        self._why = why

    def begin(self) -> bytes:
        return bytes.fromhex("9060000000")

    def answer(self, _response: bytes | None) -> object:
        return self._why


def _challenge(enrolment: _Enrolment) -> Callable[[CardTarget], CardMachine | None]:
    return (lambda target: _looking(enrolment, target)) if enrolment.arguments.card == "look" else _writing(enrolment)


def _writing(enrolment: _Enrolment) -> Callable[[CardTarget], CardMachine | None]:
    arguments = enrolment.arguments

    def machine(target: CardTarget) -> CardMachine | None:
        if (target.kind == "felica") != (arguments.scheme == "felica_lite_s"):
            return None
        if target.kind != "felica" and not target.is_iso_dep:
            return None
        if _is_of_another(enrolment, target):
            return _AtOnce("other_cardholder")
        order = Order(
            target=target,
            keys=enrolment.keys,
            random=os.urandom,
            application=enrolment.application,
            makers=enrolment.makers,
            wants_random_uid=getattr(arguments, "random_uid", False),
            is_again=getattr(arguments, "again", False),
        )
        made: CardMachine = _WRITES[arguments.card](arguments.scheme, order)
        return made

    return machine


def _is_of_another(enrolment: _Enrolment, target: CardTarget) -> bool:
    who = getattr(enrolment.arguments, "cardholder", None)
    if who is None or enrolment.register is None or is_random(target.number) or enrolment.arguments.scheme == "pkoc":
        return False  # it is asked once more when the real number is known
    known = enrolment.register.credential_of(target.number)
    return known is not None and known.cardholder != who


def _looking(enrolment: _Enrolment, target: CardTarget) -> CardMachine | None:
    cards = enrolment.site.cards
    assert cards is not None
    challenger = Challenger(
        keys=enrolment.keys,
        random=os.urandom,
        schemes=cards.schemes,
        application=enrolment.application,
        pkoc_reader_id=pkoc_reader_id(enrolment.site),
    )
    return looked(target, challenger.session(target), enrolment.application, enrolment.makers)


# -- what came of it ---------------------------------------------------------------------------------------------------


def _written(enrolment: _Enrolment, shown: Shown) -> int:
    outcome = shown.outcome
    if isinstance(outcome, Issued):
        return _issued(enrolment, outcome)
    if isinstance(outcome, Retired):
        return _retired(enrolment, outcome)
    if shown.target is None:
        why = "nobody_came"
    elif not shown.is_asked:
        why = "wrong_type" if enrolment.arguments.reader.startswith("/") else "number_only"
    elif isinstance(outcome, Refused):
        why = outcome.why
    else:
        why = outcome if isinstance(outcome, str) else "card_left"
    return _refused(enrolment.arguments, why)


def _refused(arguments: argparse.Namespace, why: str) -> int:
    means, do = meaning(why)
    if arguments.json:
        print_json({"act": arguments.card, "outcome": "refused", "why": why, "means": means[1], "do": do[1]})
    else:
        for words in (means, do):
            for line in lines_of(words, arguments.lang):
                tell(line)
    return NO


def _issued(enrolment: _Enrolment, made: Issued) -> int:
    arguments = enrolment.arguments
    found: dict[str, Any] = {
        "act": arguments.card,
        "outcome": "done",
        "scheme": made.scheme,
        "last4": last4(made.number),
        "key_version": made.key_version,
    }
    who = getattr(arguments, "cardholder", None)
    if arguments.card == "rekey":
        known = None if enrolment.register is None else enrolment.register.credential_of(made.number)
        return _told(arguments, found | {"credential": None if known is None else known.id})
    if enrolment.register is None or who is None:
        return _told(arguments, found | _to_enter(arguments, made, is_alone=enrolment.register is None))
    state = "ACTIVE" if arguments.active else "ISSUED"
    name, answer = enrolment.register.issue(made.number, made.scheme, who, state, arguments.credential)
    found |= {"credential": name, "cardholder": who, "state": state}
    return _recorded(arguments, found, answer)


def _retired(enrolment: _Enrolment, gone: Retired) -> int:
    arguments = enrolment.arguments
    found: dict[str, Any] = {
        "act": "retire",
        "outcome": "done",
        "scheme": gone.scheme,
        "last4": last4(gone.number),
        "state": _end_state(arguments, gone),
    }
    register = enrolment.register
    known = None if register is None else register.credential_of(gone.number)
    if register is None or known is None:
        return _told(arguments, found | {"to_enter": {"state": found["state"]}})
    return _recorded(arguments, found | {"credential": known.id}, register.close(known, found["state"]))


def _end_state(arguments: argparse.Namespace, gone: Retired) -> str:
    """A card that can be issued anew came back; one that cannot is as good as destroyed, and alarms when shown."""
    return "DESTROYED" if arguments.destroyed or gone.scheme == "felica_lite_s" else "RETURNED"


def _to_enter(arguments: argparse.Namespace, made: Issued, *, is_alone: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "cardholder": arguments.cardholder,
        "last4": last4(made.number),
        "scheme": made.scheme,
        "state": "ACTIVE" if arguments.active else "ISSUED",
    }
    if arguments.print_number and is_alone:
        row["number"] = made.number.hex()
    return {"to_enter": row}


def _recorded(arguments: argparse.Namespace, found: dict[str, Any], answer: Any) -> int:
    """The card is done; whether officers find it on their page, to be signed."""
    if isinstance(answer, LinkRefused):
        found |= {"is_suggested": False, "why": answer.code, "means": answer.why}
        _told(arguments, found)
        return NO
    return _told(arguments, found | {"is_suggested": True, "seq": answer.seq})


def _told(arguments: argparse.Namespace, found: dict[str, Any]) -> int:
    if arguments.json:
        print_json(found)
        return OK
    lang = arguments.lang
    version = found.get("key_version")
    with_key = "" if version is None else f"  {said(('鍵の版', 'key version'), lang)} {version}"
    print(f"{said(DONE[found['act']], lang)}: {found['scheme']}  …{found['last4']}{with_key}")
    if found.get("credential"):
        print(f"{said(('資格', 'credential'), lang)}: {found['credential']}  {_state_of(found, lang)}".rstrip())
    if found.get("is_suggested") is False:
        for line in lines_of(_not_suggested(found), lang):
            tell(line)
    if found.get("is_suggested"):
        print(said(_TO_SIGN, lang))
    if "to_enter" in found:
        _tell_to_enter(found, lang)
    return OK


def _state_of(found: dict[str, Any], lang: str) -> str:
    return said(STATES[found["state"]], lang) if found.get("state") in STATES else ""


def _not_suggested(found: dict[str, Any]) -> Words:
    return (
        f"カードはできましたが、登録の案を出せません ({found['why']}: {found['means']})。画面で登録してください",
        f"the card is done and NOT suggested ({found['why']}: {found['means']}): enter it on the page or by the API",
    )


def _tell_to_enter(found: dict[str, Any], lang: str) -> None:
    words = (
        "登録はまだです。次を画面か API で入力してください",
        "not registered yet; enter this on the page or through the API",
    )
    print(said(words if found["act"] == "issue" else _STATE_TO_ENTER, lang))
    for key, value in found["to_enter"].items():
        print(f"    {key} = {'-' if value is None else str(value).lower() if value is True else value}")
    if "number" not in found["to_enter"] and found["act"] == "issue":
        tell(said(("番号の全体は --print-number で表示します", "--print-number shows the whole number"), lang))


# -- look --------------------------------------------------------------------------------------------------------------


def _looked_at(enrolment: _Enrolment, shown: Shown) -> int:
    arguments = enrolment.arguments
    if shown.target is None:
        return _refused(arguments, "nobody_came")
    found = shown.outcome if isinstance(shown.outcome, Looked) else Looked()
    if isinstance(found.verdict, Left):
        return _refused(arguments, "card_left")
    number = found.verdict.number if isinstance(found.verdict, Proved) else shown.target.number
    known = None if enrolment.register is None else enrolment.register.credential_of(number)
    document = {
        "act": "look",
        "kind": shown.target.kind,
        "chip": found.chip,
        "last4": last4(number),
        "is_number_random": is_random(shown.target.number),
        "ours": _ours(found, has_ended=known is not None and known.state.value in _ENDED),
        "scheme": found.verdict.proof.scheme if isinstance(found.verdict, Proved) else None,
        "is_original": found.is_original,
        "is_blank": found.is_blank,
        "key_versions": found.key_versions,
        "applications": found.applications,
        "credential": None if known is None else known.id,
        "cardholder": None if known is None else known.cardholder,
        "state": None if known is None else known.state.value,
    }
    if arguments.json:
        print_json(document)
    else:
        _tell_look(document, arguments.lang)
    return NO if document["ours"] == "copy" or found.is_original is False else OK


_ENDED: Final = frozenset({"RETURNED", "DESTROYED"})


def _ours(found: Looked, *, has_ended: bool) -> str:
    """genuine, own_key (PKOC: the register knows whose it is), retired, copy, or no."""
    proof = found.verdict.proof if isinstance(found.verdict, Proved) else None
    if proof is None or not proof.is_genuine:
        if has_ended:
            return "retired"
        return "no" if proof is None else "copy"
    return "own_key" if proof.scheme == "pkoc" else "genuine"


_OURS: Final[dict[str, Words]] = {
    "genuine": ("本物 (当所の鍵で確認)", "genuine: it proved itself"),
    "own_key": ("署名は正しい。当所のものかは登録による", "it proved its own key; the register says whose it is"),
    "retired": (
        "何も証明しません。登録では返却・破棄済み: 廃止したカードならこれで正しい",
        "proves nothing, and its credential has ended: as it should be with a card that was retired",
    ),
    "copy": ("偽物または複製。保管して管理者へ", "NOT genuine: a copy or a fake; keep it"),
    "no": ("当所のカードではありません", "not a card of this site"),
}
_YES_NO: Final[dict[bool | None, Words]] = {
    True: ("はい", "yes"),
    False: ("いいえ", "no"),
    None: ("不明", "cannot be told"),
}


def _tell_look(found: dict[str, Any], lang: str) -> None:
    versions = ", ".join(f"{slot}: v{version}" for slot, version in found["key_versions"].items())
    rows: list[tuple[Words, str]] = [
        (("種類", "kind"), f"{found['chip']} ({found['kind']})"),
        (("番号", "number"), f"…{found['last4']}" + (" (random)" if found["is_number_random"] else "")),
        (("判定", "verdict"), said(_OURS[found["ours"]], lang)),
        (("メーカー署名", "maker's signature"), said(_YES_NO[found["is_original"]], lang)),
        (("白紙", "blank"), said(_YES_NO[found["is_blank"]], lang)),
        (("鍵の版", "key versions"), versions or "-"),
        (("資格", "credential"), f"{found['credential'] or '-'}  {_state_of(found, lang)}".rstrip()),
        (("持ち主", "cardholder"), found["cardholder"] or "-"),
    ]
    for line in table([(said(head, lang), cell) for head, cell in rows]):
        print(line)
