"""`sekisho streams report`: what arrived in an archive, what late and by how much, what is missing or double.

Exit status: 0 whole, 1 something is missing, double or damaged, 3 could not run.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from controller.streams.completeness import Completeness, LateSpan, Span, completeness
from controller.streams.cursor import load
from controller.streams.jsonl import JsonlSection
from controller.streams.own_folder import read_mark
from controller.streams.settings import SettingsError, load_settings
from controller.streams.sinks import SinkDown
from sekisho.cli import CANNOT_RUN, MISUSE, NO, OK
from sekisho.spoken import Progress, Words, os_words, print_json, print_lines, said, tell

UNITS: Final = ((86_400_000, "日", "d"), (3_600_000, "時間", "h"), (60_000, "分", "min"), (1000, "秒", "s"))
SPANS_SHOWN_MAX: Final = 20


def run(arguments: argparse.Namespace) -> int:
    """Report on the folder or the settings that were named. Returns the exit status."""
    if (arguments.folder is None) == (arguments.settings is None):
        tell("sekisho streams report: name a folder, or --settings SETTINGS.toml")
        return MISUSE
    try:
        folders, cursors = ([arguments.folder], []) if arguments.settings is None else _of_settings(arguments.settings)
        found = [(folder, one) for folder in folders for one in _looked_at(folder)]
    except (SettingsError, SinkDown, OSError) as error:
        tell(f"sekisho streams report: {os_words(error)}")
        return CANNOT_RUN
    if arguments.json:
        archives = [{"folder": str(folder), **asdict(one), "is_whole": one.is_whole} for folder, one in found]
        print_json({"archives": archives, "sinks": cursors})
    else:
        for folder, one in found:
            print_lines([f"{folder}: {one.origin}", *(f"  {said(words, arguments.lang)}" for words in told(one))])
        print_lines(said(_cursor_told(one), arguments.lang) for one in cursors)
        if not found:
            print_lines([said(("記録のある保管先はありません", "there is no archive with records"), arguments.lang)])
    return OK if all(one.is_whole for _, one in found) and (found or cursors) else NO


def _looked_at(folder: Path) -> list[Completeness]:
    mark = read_mark(folder)
    progress = Progress()
    try:
        return completeness(
            folder,
            is_filtered=mark is not None and mark.is_filtered,
            show=lambda count: progress.show(f"{folder}: {count}"),
        )
    finally:
        progress.end()


def _of_settings(path: Path) -> tuple[list[Path], list[dict[str, Any]]]:
    """The archives of the settings, and how far each sink has got."""
    settings = load_settings(path)
    cursors: list[dict[str, Any]] = []
    for section in settings.sink:
        cursor = load(settings.state_dir / f"{section.name}.cursor")
        is_down = (settings.state_dir / f"{section.name}.outage").exists()
        last = None if cursor is None else cursor.seq
        cursors.append({"sink": section.name, "acknowledged_to": last, "is_down": is_down})
    return [section.folder for section in settings.sink if isinstance(section, JsonlSection)], cursors


# -- words -------------------------------------------------------------------------------------------------------------


def told(one: Completeness) -> list[Words]:
    """An archive in sentences: what is there, what arrived late, what is wrong."""
    lines = [
        (
            f"記録 {one.first}〜{one.last}、{one.count} 件",
            f"records {one.first} to {one.last}, {one.count} of them",
        )
    ]
    lines += [_late_told(span) for span in one.late]
    missing, double = sum(map(_count, one.missing)), sum(map(_count, one.double))
    if one.is_filtered:
        lines.append(
            (
                f"選別あり: {missing} 件は設定により送られていません(欠落は判定できません)。重複 {double} 件",
                f"filtered: {missing} were left out by its settings, so gaps say nothing; {double} double",
            )
        )
    else:
        lines.append((f"欠落 {missing} 件、重複 {double} 件", f"{missing} missing, {double} double"))
        lines += [(f"欠落: {_named(span)}", f"missing: {_named(span)}") for span in one.missing[:SPANS_SHOWN_MAX]]
    lines += [(f"重複: {_named(span)}", f"double: {_named(span)}") for span in one.double[:SPANS_SHOWN_MAX]]
    lines += [
        (f"破損: {name} の {line} 行目", f"damaged: {name}, line {line}")
        for name, line in one.damaged[:SPANS_SHOWN_MAX]
    ]
    if one.signed_to < one.last:
        lines.append(
            (
                f"署名は記録 {one.signed_to} まで(続きは次の署名とともに届きます)",
                f"signed up to record {one.signed_to}; the rest is covered by the next checkpoint",
            )
        )
    return lines


def _late_told(span: LateSpan) -> Words:
    late_ja, late_en = duration(span.late_ms)
    none = ("欠落なし", "none missing")
    missing_ja, missing_en = (
        (f"うち {span.missing} 件欠落", f"{span.missing} of them missing") if span.missing else none
    )
    return (
        f"記録 {span.first}〜{span.last} は最大 {late_ja} 遅れて到着、{missing_ja}",
        f"records {span.first} to {span.last} arrived {late_en} late, {missing_en}",
    )


def _cursor_told(one: dict[str, Any]) -> Words:
    last = one["acknowledged_to"]
    how = ("届いていません", "does not take records now") if one["is_down"] else ("正常", "takes records")
    if last is None:
        return f"{one['sink']}: まだ送っていません", f"{one['sink']}: nothing was sent yet"
    return f"{one['sink']}: 記録 {last} まで送付済み、{how[0]}", f"{one['sink']}: has records up to {last}, {how[1]}"


def duration(ms: int) -> Words:
    """How long, in at most two units: 3 h, 1 d 4 h."""
    ja: list[str] = []
    en: list[str] = []
    left = ms
    for unit_ms, name_ja, name_en in UNITS:
        if left >= unit_ms and len(en) < 2:
            ja.append(f"{left // unit_ms}{name_ja}")
            en.append(f"{left // unit_ms} {name_en}")
            left %= unit_ms
        elif en:
            break
    return "".join(ja) or "1秒未満", " ".join(en) or "under 1 s"


def _count(span: Span) -> int:
    return span[1] - span[0] + 1


def _named(span: Span) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"
