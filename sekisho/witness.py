"""`sekisho witness`: another machine's word for how long this ledger was, and that nobody rewrote it (docs/witness.md).

It runs without the rest of a site: a folder, a key of its own, a port. Exit status: 0 done; 1 the folder holds evidence
against a ledger (`show`), or nothing can be signed with it; 3 could not run.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from controller.link.notes import ED25519, Checkpoint, NoteError, Vkey
from sekisho.spoken import Words, os_words, print_json, print_lines, said, tell
from sekisho.witness_folder import Folder, FolderRefused
from sekisho.witness_http import Reply, WitnessServer
from sekisho.witness_judge import (
    CONFLICT,
    CONTRADICTIONS,
    TOLD,
    Known,
    Refused,
    judge,
    parse_add,
    parse_rotation,
    rotated,
)

OK: Final = 0
NO: Final = 1
CANNOT_RUN: Final = 3

SIZE_TYPE: Final = "text/x.tlog.size"
CODE_HEADER: Final = "Sekisho-Refused"
TIME_HEADER: Final = "Sekisho-At-Ms"
"""Beside the specification: how a refusal is named, and the time of a cosignature to the millisecond."""

AGAIN_MS: Final = 3_600_000
"""A contradiction that lasts is told again after so long."""

WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "fork": (
            "同じ件数で別の履歴が署名されています。記録が書き換えられたか、鍵が盗まれています",
            "another history of the same length was signed: records were rewritten, or the key is stolen",
        ),
        "rollback": (
            "署名済みの件数より少ない記録です。古いディスクに戻されたか、記録が消されています",
            "fewer records than were signed before: an old disk was put back, or records were removed",
        ),
        "not_consistent": (
            "前に署名した履歴の続きであることが示されていません",
            "not shown to continue the history that was signed before",
        ),
        "unknown_key": ("知らない鍵で署名されています", "signed with a key that this witness does not know"),
        "bad_signature": ("署名が正しくありません", "the signature is bad"),
    }
)
"""What each refusal that is told means. `not_consistent` may also be a stranger who sent a bad proof."""


class Witness:
    """Answers requests out of a folder that is held.

    Args:
        folder: held.
        now_ms: the wall clock (UTC, epoch milliseconds).
        tell: says something to whoever runs the witness.
    """

    def __init__(self, folder: Folder, now_ms: Callable[[], int], tell: Callable[[str], None]) -> None:
        self._folder = folder
        self._now_ms = now_ms
        self._tell = tell
        self._told_at: dict[tuple[str, str], int] = {}

    def add_checkpoint(self, body: bytes) -> Reply:
        """C2SP `tlog-witness`, POST /add-checkpoint."""
        return self._answered(body, self._add)

    def rotate_key(self, body: bytes) -> Reply:
        """POST /rotate-key (docs/ledger.md §9): beside the specification, in which keys never change."""
        return self._answered(body, self._rotate)

    def _add(self, body: bytes) -> tuple[Reply, str]:
        asked = parse_add(body)
        origin = asked.checkpoint.origin
        try:
            judge(asked, self._folder.known.get(origin))
        except Refused as refused:
            raise _About(refused, origin) from None
        return self._signed(asked.checkpoint), origin

    def _signed(self, checkpoint: Checkpoint) -> Reply:
        at_ms = self._now_ms()
        line = self._folder.sign(checkpoint, at_ms // 1000)
        return Reply(status=200, body=f"{line}\n", headers={TIME_HEADER: str(at_ms)})

    def _rotate(self, body: bytes) -> tuple[Reply, str]:
        asked = parse_rotation(body)
        origin = asked.checkpoint.origin
        known = self._folder.known.get(origin)
        try:
            after = rotated(asked, known)
        except Refused as refused:
            raise _About(refused, origin) from None
        if after != known:
            self._folder.keep(after)
            self._tell(_spoken(origin, (f"新しい鍵に移りました: {_key_of(after)}", f"goes on with {_key_of(after)}")))
        return Reply(status=200, body="the new key is known\n"), origin

    def _answered(self, body: bytes, act: Callable[[bytes], tuple[Reply, str]]) -> Reply:
        try:
            return act(body)[0]
        except _About as about:
            return self._refused(about.refused, body, about.origin)
        except Refused as refused:
            return self._refused(refused, body, "")
        except OSError as error:
            why = (f"保存できないため署名しません: {error}", f"cannot be kept, so nothing is signed: {error}")
            self._tell(_spoken(str(self._folder.path), why))
            return Reply(status=503, body="this witness cannot keep what it signs\n")

    def _refused(self, refused: Refused, body: bytes, origin: str) -> Reply:
        if refused.code in TOLD:
            self._accuse(refused, body, origin)
        headers = {CODE_HEADER: refused.code}
        if refused.status == CONFLICT:
            size = self._folder.known[origin].size
            return Reply(status=CONFLICT, body=f"{size}\n", content_type=SIZE_TYPE, headers=headers)
        return Reply(status=refused.status, body=f"{refused.why}\n", headers=headers)

    def _accuse(self, refused: Refused, body: bytes, origin: str) -> None:
        try:
            file = self._folder.keep_evidence(refused, body, origin, _iso(self._now_ms() // 1000))
        except OSError as error:
            self._tell(f"{self._folder.path}: {error}")
            file = None
        if file is None and not self._is_due(origin, refused.code):
            return  # somebody who repeats himself, as an honest courier does each minute
        ja, en = WORDS[refused.code]
        kept = (f"証拠: {file.name}", f"evidence: {file.name}") if file else ("証拠は保存済み", "evidence kept before")
        told = (f"署名を拒否 [{refused.code}]: {ja} ({kept[0]})", f"REFUSED [{refused.code}]: {en} ({kept[1]})")
        self._tell(_spoken(origin or "?", told) + f"\n  {refused.why}")

    def _is_due(self, origin: str, code: str) -> bool:
        """Whether what was told before is told again: of the ledger's own key alone, and not every minute."""
        if code not in CONTRADICTIONS or self._now_ms() - self._told_at.get((origin, code), 0) < AGAIN_MS:
            return False
        self._told_at[origin, code] = self._now_ms()
        return True


class _About(Exception):
    """A refusal, and the ledger that it is about."""

    def __init__(self, refused: Refused, origin: str) -> None:
        super().__init__(refused.why)
        self.refused, self.origin = refused, origin


def run(arguments: argparse.Namespace) -> int:
    """Run the action that `arguments.witness` names and return its exit status."""
    actions = {"init": _init, "serve": _serve, "show": _show}
    try:
        return actions[arguments.witness](arguments)
    except (FolderRefused, NoteError) as error:
        tell(f"sekisho witness: {error}")
        return NO
    except (OSError, ssl.SSLError) as error:
        tell(f"sekisho witness: {os_words(error)}")
        return CANNOT_RUN


def _init(arguments: argparse.Namespace) -> int:
    name = arguments.name or f"sekisho.example/witness-{secrets.token_hex(4)}"
    folder = Folder.create(arguments.dir, name)
    ja = "入退室側の site.toml の [ledger] witnesses と streams.toml の [[witness]] に、この公開鍵を書いてください"
    en = "put this vkey into [ledger] witnesses of the site file, and into [[witness]] of the streams settings"
    tell(f"{ja}\n{en}")
    print(folder.vkey.text)
    return OK


def _serve(arguments: argparse.Namespace) -> int:
    vkeys = [Vkey.parse(text, ED25519) for text in arguments.ledger]
    folder = Folder.hold(arguments.dir)
    try:
        for vkey in folder.trust(vkeys):
            tell(_spoken(vkey.name, ("この記録簿を見守ります", "is looked after from now on")))
        if not folder.known:
            raise FolderRefused("no ledger to look after: --ledger VKEY (sekisho ledger key tells it)")
        witness = Witness(folder, lambda: time.time_ns() // 1_000_000, tell)
        routes = {"/add-checkpoint": witness.add_checkpoint, "/rotate-key": witness.rotate_key}
        with WitnessServer(arguments.listen, routes, _tls(arguments)) as server:
            return _serving(server, folder)
    finally:
        folder.close()


def _serving(server: WitnessServer, folder: Folder) -> int:
    def stop(_number: int, _frame: object) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()  # it waits for the loop that we stand in

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = server.server_address[:2]
    tell(_spoken(folder.vkey.text, (f"{host!s}:{port} で待ち受けます", f"listening on {host!s}:{port}")))
    server.serve_forever()
    return OK


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext | None:
    if arguments.tls_cert is None and arguments.tls_key is None:
        return None
    if arguments.tls_cert is None or arguments.tls_key is None:
        raise FolderRefused("--tls-cert and --tls-key belong together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(arguments.tls_cert, arguments.tls_key)
    return context


def _show(arguments: argparse.Namespace) -> int:
    folder = Folder.read(arguments.dir)
    if arguments.checkpoint is not None:
        return _show_checkpoint(folder, arguments.checkpoint)
    files = [file.name for file in folder.evidence()]
    accused = any(f"-{code}-" in name for name in files for code in CONTRADICTIONS)
    if arguments.json:
        ledgers = [_document(one) for one in folder.known.values()]
        print_json({"vkey": folder.vkey.text, "ledgers": ledgers, "evidence": files})
        return NO if accused else OK
    lang = arguments.lang
    print_lines([f"{said(('立会人の鍵', 'witness'), lang)}: {folder.vkey.text}"])
    for one in folder.known.values():
        when = said(("まだ署名していません", "nothing signed yet"), lang)
        if one.last is not None:
            at = _iso(one.at_s)
            when = said((f"{one.size} 件まで署名 ({at})", f"{one.size} records signed ({at})"), lang)
        print_lines([f"{one.origin}: {when}"])
        print_lines(f"  {_key_words(key.vkey.text, key.until, lang)}" for key in one.keys)
    if files:
        print_lines([said(("拒否した要求", "refused"), lang) + f" ({arguments.dir / 'evidence'}):"])
        print_lines(f"  {name}" for name in files)
    return NO if accused else OK


def _show_checkpoint(folder: Folder, origin: str) -> int:
    """What an auditor holds a ledger against: `sekisho verify --checkpoint`."""
    known = folder.known.get(origin)
    if known is None or known.last is None:
        tell(_spoken(origin, ("署名した検査点はありません", "nothing was signed of this ledger")))
        return NO
    print(known.last.note, end="")
    return OK


def _key_words(vkey: str, until: int | None, lang: str) -> str:
    return vkey if until is None else f"{vkey} ({said((f'{until} 件まで', f'until {until} records'), lang)})"


def _document(one: Known) -> dict[str, Any]:
    keys = [{"vkey": key.vkey.text, "until": key.until} for key in one.keys]
    signed = None if one.last is None else {"size": one.size, "root": one.root.hex(), "at": _iso(one.at_s)}
    return {"origin": one.origin, "keys": keys, "signed": signed}


def _key_of(known: Known) -> str:
    return known.keys[-1].vkey.text


def _spoken(about: str, words: Words) -> str:
    return f"{about}: {words[0]} / {words[1]}"


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
