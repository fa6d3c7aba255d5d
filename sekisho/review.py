"""`sekisho explain`, `replay`, `what-if` and `who-can`: asking the ledger why, again, what if, and who.

All take a running controller (`--socket`) or an export (`--export`), and answer in words or, with `--json`, as values.
Exit status: 0 done, 1 the answer is no (a difference, nothing found, a refused edit), 2 misuse, 3 could not run. People
are pseudonyms, as in the ledger. Their arguments are told by `sekisho.review_arguments`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from controller.link.recorded import HistoryBroken, at_of, edit_of
from sekisho.sources import Source, SourceError, open_history, progress_of
from zones.decision import FindingKind
from zones.decision.reasons import Words
from zones.ids import ZoneId
from zones.moment import Moment, epoch_ms
from zones.policy import Edit, EditRefused
from zones.review import documents
from zones.review.explain import Explanation, Flip, explain
from zones.review.replay import Difference, replay
from zones.review.values import Past, Purged, RecordedDecision, Step
from zones.review.whatif import Right, WhatIf, compare, rerun
from zones.review.who import Way, who_can
from zones.review.words import reason_words

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3

LISTED_MAX: Final = 20
"""Decisions with one number, or differences, or flips, that are listed in words; `--json` has them all."""

PAIRS_MAX: Final = 2_000_000
"""Pairs of cardholder and zone that what-if looks at for gains and losses."""


def run(arguments: argparse.Namespace) -> int:
    """Run the command that `arguments.review` names and return its exit status."""
    try:
        return RUNS[arguments.review](arguments)
    except (SourceError, HistoryBroken) as error:
        print(f"sekisho {arguments.review}: {error}", file=sys.stderr)
        return CANNOT_RUN


# -- explain -----------------------------------------------------------------------------------------------------------


def run_explain(arguments: argparse.Namespace) -> int:
    """One decision in words, with the smallest change that would turn it round."""
    named: str = arguments.decision
    with open_history(arguments) as source:
        if named.isdecimal() and not arguments.number:
            found = _by_seq(source, int(named))
        else:
            found = _by_number(source, named.upper())
    if isinstance(found, str):
        return _nothing(arguments, found)
    past, others = found
    explanation = explain(past)
    if arguments.json:
        document = documents.explanation(explanation)
        _print_json(document | {"others": [documents.decision(one) for one in others]})
    else:
        _tell_explanation(explanation, others, arguments.lang)
    return OK if explanation.difference is None and not explanation.missing else NO


Found = tuple[Past, list[RecordedDecision]]


def _by_seq(source: Source, seq: int) -> Found | str:
    for step in source.history.steps(seq, seq):
        if isinstance(step, Past):
            return step, []
        if isinstance(step, Purged):
            return f"record {seq} was dropped by retention / 記録 {seq} は保存期間を過ぎて消去済み"
        return f"record {seq} cannot be read: {step.why}"
    return (
        f"record {seq} is no decision, or is not there; take the number of an entry granted or refused from the events "
        f"/ 記録 {seq} は判定ではないか、ありません"
    )


def _by_number(source: Source, number: str) -> Found | str:
    found: deque[Past] = deque(maxlen=LISTED_MAX)
    for step in source.history.steps():
        if isinstance(step, Past) and step.recorded.number == number:
            found.append(step)
    if not found:
        return (
            f"no refusal has the number {number}; look again at the reader or at the officers' page "
            f"/ 受付番号 {number} の記録はありません"
        )
    newest = found.pop()
    return newest, [one.recorded for one in reversed(found)]


def _tell_explanation(of: Explanation, others: list[RecordedDecision], lang: str) -> None:
    recorded = of.recorded
    _say(_head(recorded, lang))
    who = recorded.cardholder or "-"
    _say(f"  {recorded.access_point}  {who}  {recorded.evidence.credential or '-'}  revision {recorded.revision[:16]}")
    if recorded.is_undone:
        _say("  " + _in(Words("許可したが記録できず取り消した", "granted, and undone: it could not be recorded"), lang))
    _say("")
    marks = {FindingKind.PASSED: "○", FindingKind.FAILED: "×", FindingKind.WAIVED: "△", FindingKind.EXEMPT: "－"}
    for line in of.rules:
        found = "" if line.kind is FindingKind.PASSED else f"  → {_in(line.found, lang)}"
        _say(f"  {marks[line.kind]} {line.rule}  {_in(line.asks, lang)}{found}")
    _say("")
    _tell_flips(of, lang)
    for one in others:
        _say(_in(Words("同じ番号の記録", "the same number too"), lang) + f": {_head(one, lang)}")


def _tell_flips(of: Explanation, lang: str) -> None:
    if of.missing == "purged":
        _say(
            _in(
                Words("再現に要る記録は保存期間を過ぎて消去済み", "what it was derived from was dropped by retention"),
                lang,
            )
        )
        return
    if of.missing:
        _say(_in(Words("監査ログにない版を指している", "names a revision that the ledger never had"), lang))
        return
    if of.difference is not None:
        _say(_in(Words("再現した判定と一致しない", "does not come out again as recorded"), lang))
        _say(f"  {_difference(of.difference)}")
    if of.recorded.type == "EXIT_GRANTED":
        _say(_in(Words("退室は何があっても拒まれない", "no change would refuse an exit"), lang))
    elif not of.flips:
        _say(_in(Words("判定を覆す小さな変更は見つからない", "no small change would turn it round"), lang))
    else:
        _say(
            _in(Words("次のいずれかで判定が変わる (確かめ済み)", "any of these would turn it round (tried)"), lang)
            + ":"
        )
        for flip in of.flips:
            _say(f"  - {_flip(flip, lang)}")


def _flip(flip: Flip, lang: str) -> str:
    steps = " + ".join(_in(step.words, lang) for step in flip.steps)
    return f"{steps}  ⇒ {flip.outcome} {flip.reason}"


def _head(recorded: RecordedDecision, lang: str) -> str:
    number = f"  [{recorded.number}]" if recorded.number else ""
    words = _in(reason_words(recorded.reason), lang)
    at = documents.wall_time(recorded.at)
    return f"{recorded.seq}{number}  {at}  {recorded.outcome} {recorded.reason}  {words}"


# -- replay ------------------------------------------------------------------------------------------------------------


def run_replay(arguments: argparse.Namespace) -> int:
    """Every recorded decision derived again."""
    if _is_backward(arguments):
        return MISUSE
    with open_history(arguments) as source:
        report = replay(_within(source, arguments), progress_of(source.size))
    if arguments.json:
        _print_json(documents.replayed(report))
    else:
        lang = arguments.lang
        words = Words("すべて一致", "all the same") if report.is_same else Words("一致しない判定あり", "some differ")
        if not report.decisions:
            words = Words("この範囲に判定の記録はない", "no decision is recorded here")
        _say(f"{_in(words, lang)}: {report.same}/{report.decisions}")
        purged = Words("消去済み (記録, 再現できない判定)", "purged (records, decisions that hang on them)")
        _say(f"{_in(purged, lang)}: {report.purged_records}, {report.purged_inputs}")
        for one in report.differences[:LISTED_MAX]:
            _say(f"  {_difference(one)}")
    return OK if report.is_same else NO


def _is_backward(arguments: argparse.Namespace) -> bool:
    """Whether the span ends before it begins; said, because nothing in it would read as nothing wrong in it."""
    first, last = arguments.first, arguments.last
    if type(first) is not type(last) or first is None or first <= last:
        return False
    print(
        f"sekisho {arguments.review}: FROM is after TO; turn them round / 範囲の始めと終わりが逆です", file=sys.stderr
    )
    return True


def _within(source: Source, arguments: argparse.Namespace) -> Iterator[Step]:
    """The steps from `first` to `last`, each a sequence number or a time."""
    first, last = arguments.first, arguments.last
    steps = source.history.steps(first if isinstance(first, int) else 0, last if isinstance(last, int) else None)
    for step in steps:
        at = step.recorded.at if isinstance(step, Past) else None
        if at is not None and isinstance(first, datetime) and at < first:
            continue
        if at is not None and isinstance(last, datetime) and at > last:
            continue
        yield step


def _difference(one: Difference) -> str:
    rules = f"  ({', '.join(one.rules)})" if one.rules else ""
    return f"{one.seq}  {one.what}: {one.was} → {one.is_now}{rules}"


# -- what-if -----------------------------------------------------------------------------------------------------------


def run_what_if(arguments: argparse.Namespace) -> int:
    """Recorded history under a proposed edit."""
    if _is_backward(arguments):
        return MISUSE
    try:
        edit = _edit(arguments.edit)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if not isinstance(error, OSError | EditRefused):
            why += "; `sekisho what-if --help` shows an edit"
        print(f"sekisho what-if: {arguments.edit}: {why}", file=sys.stderr)
        return NO if isinstance(error, EditRefused) else CANNOT_RUN
    found = WhatIf()
    with open_history(arguments) as source:
        rerun(_within(source, arguments), edit, found, progress_of(source.size))
        latest = source.history.until()
        if latest.policy is None:
            raise HistoryBroken("the policy in force cannot be folded: retention dropped an edit")
        now = Moment(at=max(datetime.now(UTC), at_of(latest.at_ms)), tick_ms=0)
        compare(latest.policy, latest.occupancy, edit, now, found, PAIRS_MAX)
    if arguments.json:
        _print_json(documents.what_if(found))
    else:
        _tell_what_if(found, arguments.lang)
    return NO if found.refused else OK


def _edit(path: Path) -> Edit:
    text = sys.stdin.read() if str(path) == "-" else path.read_text("utf-8")
    document = json.loads(text)
    if not isinstance(document, dict) or not document.keys() <= {"puts", "drops"}:
        raise ValueError('is not of the form {"puts": [[table, row], ...], "drops": [[table, id], ...]}')
    return edit_of(document)


def _tell_what_if(found: WhatIf, lang: str) -> None:
    if found.refused:
        _say(_in(Words("この変更は受け付けられない", "this edit would be refused"), lang) + f": {found.refused}")
        return
    _say(_in(Words("判定", "decisions"), lang) + f": {found.decisions}")
    _say(_in(Words("結果が変わる", "would come out otherwise"), lang) + f": {found.flipped}")
    for flip in found.flips[:LISTED_MAX]:
        _say(f"  {flip.seq}  {flip.cardholder or '-'}  {flip.portal or '-'}  {flip.was} → {flip.would_be}")
    left_out = Words("当時の版には適用できない / 消去済み / 再現と不一致", "not applicable then / purged / differing")
    _say(_in(left_out, lang) + f": {found.not_applicable} / {found.purged} / {found.differing}")
    _tell_rights(Words("新たに入れる", "gain"), found.gains, lang)
    _tell_rights(Words("入れなくなる", "lose"), found.loses, lang)
    if found.is_cut:
        _say(_in(Words("組が多すぎるため増減は一部のみ", "too many to look at: gains and losses are not whole"), lang))
    _say(_in(Words("在室のまま入れなくなる者", "inside, and could not enter again"), lang) + f": {len(found.stranded)}")
    for one in found.stranded:
        certain = Words("確実", "certain") if one.is_certain else Words("最後に見た場所", "last seen")
        already = "" if one.by_edit else "  " + _in(Words("変更前から", "before the edit already"), lang)
        _say(f"  {one.cardholder}  {one.zone}  ({_in(certain, lang)}){already}")


def _tell_rights(words: Words, rights: list[Right], lang: str) -> None:
    _say(f"{_in(words, lang)}: {len(rights)}")
    for one in rights[:LISTED_MAX]:
        _say(f"  {one.cardholder}  {one.zone}")


# -- who-can -----------------------------------------------------------------------------------------------------------


def run_who_can(arguments: argparse.Namespace) -> int:
    """Who could be let into a zone at a time; of the past, by what was in force then."""
    at: datetime = arguments.at or datetime.now(UTC)
    with open_history(arguments) as source:
        policy = source.history.until(at_ms=epoch_ms(at)).policy
    if policy is None:
        raise HistoryBroken("the policy cannot be folded: retention dropped an edit")
    zone = ZoneId(arguments.zone)
    if zone not in policy.zones:
        known = ", ".join(sorted(policy.zones)) or "none yet"
        return _nothing(arguments, f"there is no zone {zone!r}; there are: {known} / その区域はありません")
    ways = list(who_can(policy, zone, Moment(at=at, tick_ms=0), progress_of(len(policy.cardholders))))
    able = {way.cardholder for way in ways if way.is_open}
    shown = [way for way in ways if way.is_open or (arguments.all and way.cardholder not in able)]
    if arguments.json:
        _print_json({"zone": zone, "at": documents.wall_time(at), "ways": documents.ways(shown)})
    else:
        _say(f"{zone}  {documents.wall_time(at)}: {len(able)}")
        for way in shown:
            _say(f"  {_way(way, arguments.lang)}")
    return OK if able else NO


def _way(way: Way, lang: str) -> str:
    if way.missing:
        missing = ", ".join(f"{rule} {_in(reason_words(reason), lang)}" for rule, reason in way.missing)
        return f"× {way.cardholder}  {way.portal}  {missing}"
    keys = " ".join(f"{table}:{row}" for table, row in way.keys)
    beside = "" if not way.beside else "  " + _in(Words("同行者", "beside"), lang) + f" {way.beside}"
    return f"○ {way.cardholder}  {way.portal}  {way.by}{beside}  {keys}"


# -- small things ------------------------------------------------------------------------------------------------------


def _nothing(arguments: argparse.Namespace, why: str) -> int:
    if arguments.json:
        _print_json({"error": why})
    else:
        print(f"sekisho: {why}", file=sys.stderr)
    return NO


def _in(words: Words, lang: str) -> str:
    if lang == "both":
        return words.ja if words.ja == words.en else f"{words.ja} / {words.en}"
    return words.ja if lang == "ja" else words.en


def _say(text: str) -> None:
    print(text)


def _print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))


RUNS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = MappingProxyType(
    {"explain": run_explain, "replay": run_replay, "what-if": run_what_if, "who-can": run_who_can}
)
