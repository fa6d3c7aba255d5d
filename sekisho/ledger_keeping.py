"""`sekisho ledger hold`, `purge` and `schema`: what is kept how long, for whom longer, and what a record is.

Holds and purges are ordered at the controller itself, by an auditor (A-29); the controller decides and records it, this
asks and says what came of it. Exit status: 0 done, 1 refused, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from controller.clock import from_wall_ms
from controller.config import SiteFileError, load_site
from controller.ledger.catalogue import CATALOGUE
from controller.ledger.schema import catalogue, published
from controller.link.client import LinkClient
from controller.link.messages import Done, LogOrder, Record, Refused
from controller.link.recorded import class_of
from controller.retention import EVER, Due, Entry, Holds, Sweep, cutoffs, held, terms_of
from controller.streams import schema as on_the_way
from sekisho.spoken import Progress, Words, print_json, print_lines, said, table, tell
from zones.moment import JST, epoch_ms

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2

NAME: Final = "sekisho ledger"
REQUEST_MS: Final = 10_000
PURGE_S: Final = 900.0
"""A purge by order looks over the whole ledger before it answers."""

_REFUSALS: Final = MappingProxyType(
    {
        "not_here": (
            "この操作は制御部のアカウントか root だけに許されています: `sudo -u sekisho sekisho ledger …`",
            "only the controller's own account or root may do this: `sudo -u sekisho sekisho ledger …`",
        ),
        "not_your_role": (
            "監査役だけの操作です。設定ファイルの [ledger] auditors を確かめてください。この試みは記録されました",
            "auditors alone may do this ([ledger] auditors in the site file); the attempt was recorded",
        ),
        "two_people": (
            "異なる二名の監査役が必要です。この試みは記録されました",
            "this takes two different auditors; the attempt was recorded",
        ),
        "unknown_hold": (
            "その名前の保全はありません: `sekisho ledger hold list`",
            "no such hold; `hold list` shows them",
        ),
        "repeated": (
            "その名前の保全が既にあります。別の名前にしてください: `sekisho ledger hold list`",
            "there is a hold of this name already: take another name; `hold list` shows them",
        ),
        "clock_untrusted": ("時計が確かでない間は消去しません", "nothing is dropped while the clock is not trusted"),
    }
)


def hold(arguments: argparse.Namespace) -> int:
    """Begin a hold, end one, or list those that hold."""
    if arguments.hold_act == "list":
        return _list(arguments)
    fields: dict[str, Any] = {"act": f"hold_{arguments.hold_act}", "officer": arguments.by, "hold": arguments.name}
    if arguments.hold_act == "off":
        fields["second"] = arguments.second
    else:
        fields["from_ms"] = 0 if arguments.first is None else epoch_ms(arguments.first)
        fields["until_ms"] = None if arguments.last is None else epoch_ms(arguments.last)
    on, off = ("保全を始めました", "it holds"), ("保全を終えました", "it is over")
    return _answered(arguments, _ordered(arguments.socket, fields), on if arguments.hold_act == "on" else off)


def purge(arguments: argparse.Namespace) -> int:
    """Ask for the daily purge now, or tell what it would drop."""
    if arguments.dry_run:
        return _dry_run(arguments)
    if arguments.by is None:
        tell(
            f"{NAME} purge: --by ID says who asks for it, --dry-run only tells what would go / --by を指定してください"
        )
        return MISUSE
    answer = _ordered(arguments.socket, {"act": "purge", "officer": arguments.by}, PURGE_S)
    return _answered(arguments, answer, ("消去を記録しました", "recorded; bodies past their term are being dropped"))


def schema(arguments: argparse.Namespace) -> int:
    """Every type of record with its class, whether it may be left out, and why it is kept."""
    if arguments.folder is not None:
        folder: Path = arguments.folder
        folder.mkdir(parents=True, exist_ok=True)
        files = {**published(), **on_the_way.published()}
        for name, text in files.items():
            (folder / name).write_bytes(text)
        tell(f"{folder}: {', '.join(files)}")
        return OK
    if arguments.json:
        print_json(catalogue())
        return OK
    rows = [(row.type, row.class_, "" if row.is_floor else "omit", row.why) for row in CATALOGUE]
    print_lines(table([("type", "class", "", "why"), *rows]))
    return OK


# -- orders ------------------------------------------------------------------------------------------------------------


def _ordered(socket: Path, fields: dict[str, Any], timeout_s: float = 15.0) -> Done | Refused:
    with LinkClient(socket, NAME) as client:
        boot = client.connect().boot
        not_after_ms = time.time_ns() // 1_000_000 + REQUEST_MS
        order = LogOrder(id=f"log-{secrets.token_hex(12)}", boot=boot, not_after_ms=not_after_ms, **fields)
        return client.request(order, timeout_s)


def _answered(arguments: argparse.Namespace, answer: Done | Refused, words: Words) -> int:
    if arguments.json:
        print_json(msgspec.to_builtins(answer))
    elif isinstance(answer, Done):
        print(f"{said(words, 'both')} [{answer.seq}]")
    if isinstance(answer, Done):
        return OK
    told = _REFUSALS.get(answer.code)
    tell(f"{NAME} {arguments.ledger}: {answer.why if told is None else said(told, 'both')} [{answer.code}]")
    return NO


# -- what the ledger tells ---------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    holds = _holds(arguments.socket)
    rows = sorted(holds.values(), key=lambda one: one.seq)
    if arguments.json:
        found = [
            {"hold": one.id, "from_ms": one.from_ms, "officer": one.officer, "seq": one.seq}
            | ({} if one.until_ms == EVER else {"until_ms": one.until_ms})
            for one in rows
        ]
        print_json(found)
        return OK
    if not rows:
        tell(said(("保全はありません", "there is no hold"), "both"))
        return OK
    heads = ("保全 hold", "始め from", "終わり until", "監査役 auditor", "記録 record")
    print_lines(table([heads, *((o.id, _day(o.from_ms), _day(o.until_ms), o.officer, str(o.seq)) for o in rows)]))
    return OK


def _day(ms: int) -> str:
    if ms in (0, EVER):
        return "-"
    try:
        return from_wall_ms(ms).astimezone(JST).isoformat(" ", "minutes")[:16]
    except OverflowError:
        return str(ms)


def _dry_run(arguments: argparse.Namespace) -> int:
    """By the terms of the site file and this machine's clock. The controller's own reckoning may be behind it, never
    ahead, so at most this goes.
    """
    if arguments.site is None:
        tell(f"{NAME} purge: --dry-run needs --site FILE, for the terms / --site を指定してください")
        return MISUSE
    try:
        terms = terms_of(load_site(arguments.site).ledger.terms_days)
    except SiteFileError as error:
        tell(str(error))
        return NO
    holds = _holds(arguments.socket)
    sweep = Sweep(cutoffs(terms, epoch_ms(datetime.now(UTC))), tuple(holds.values()))
    for record in _records(arguments.socket):
        sweep.take((_entry(record),))
        if sweep.is_done:
            break
    _tell_due(arguments, sweep.due(), terms, holds)
    return OK


def _holds(socket: Path) -> Holds:
    """The holds that hold now."""
    holds: Holds = {}
    for record in _records(socket):
        if record.body is not None and '"type":"LEGAL_HOLD_' in record.body:
            holds = held(holds, json.loads(record.body), record.seq)
    return holds


def _entry(record: Record) -> Entry:
    class_ = class_of(record.leaf)
    if record.body is None:
        return Entry(record.seq, class_, None, is_trusted=False, has_body=False)
    body = json.loads(record.body)
    return Entry(record.seq, class_, body.get("at_ms"), is_trusted=body.get("clock") == "trusted", has_body=True)


def _tell_due(arguments: argparse.Namespace, due: tuple[Due, ...], terms: dict[str, int], holds: Holds) -> None:
    counts = Counter({one.class_: one.count for one in due})
    if arguments.json:
        print_json({"due": {class_: counts[class_] for class_ in terms}, "terms_days": terms, "holds": sorted(holds)})
        return
    rows = [(class_, str(days), str(counts[class_])) for class_, days in terms.items()]
    print_lines(table([("種別 class", "日数 days", "消去される件数 would go"), *rows]))
    if holds:
        tell(said(("保全中", "held"), "both") + f": {', '.join(sorted(holds))}")


def _records(socket: Path) -> Iterator[Record]:
    """Every record that the ledger holds now, in order, with progress where somebody watches."""
    progress = Progress()
    with LinkClient(socket, NAME) as client:
        size = client.connect().size
        if size == 0:
            return
        for message in client.stream(0):
            if isinstance(message, Record):
                if message.seq % 1000 == 0:
                    progress.show(f"{message.seq}/{size}")
                yield message
                if message.seq >= size - 1:
                    break
    progress.end()
