"""`sekisho ledger`: what can be asked of a running controller's ledger, and done with what came of it.

Exit status: 0 done, 1 the answer is no, 2 misuse, 3 could not run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final

from controller.link.client import LinkClient, LinkDown
from sekisho.spoken import os_words, print_json, tell

OK: Final = 0
NO: Final = 1
MISUSE: Final = 2
CANNOT_RUN: Final = 3


def run(arguments: argparse.Namespace) -> int:
    """Carry out the action in `arguments.ledger`; its exit status."""
    try:
        return _ACTIONS[arguments.ledger](arguments)
    except (LinkDown, OSError) as error:
        tell(f"sekisho ledger {arguments.ledger}: {os_words(error)}")
        return CANNOT_RUN


def _export(arguments: argparse.Namespace) -> int:
    from sekisho.export import export

    count = export(arguments.socket, arguments.file)
    tell(f"{count} records")
    return OK


def _key(arguments: argparse.Namespace) -> int:
    with LinkClient(arguments.socket, "sekisho ledger key") as client:
        print(client.connect().vkey)
    return OK


def _tiles(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_tiles import write_tiles
    from sekisho.tile_tree import TreeRefused

    try:
        done = write_tiles(arguments.socket, arguments.folder)
    except TreeRefused as error:
        return _refused(arguments, str(error))
    if arguments.json:
        print_json({"was": done.was, "size": done.size, "files": done.files})
    else:
        print(f"{arguments.folder}: {done.size} records, {done.size - done.was} of them new ({done.files} files)")
        print(f"{arguments.folder}: 記録 {done.size} 件、うち新しく {done.size - done.was} 件 ({done.files} ファイル)")
    return OK


def _prove(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_proof import NoProof, prove, write_whole, written
    from sekisho.tile_tree import TreeRefused

    if arguments.seq < 0:
        tell("sekisho ledger prove: records are numbered from 0 / 記録の番号は 0 からです")
        return MISUSE
    try:
        proof = prove(arguments.socket, arguments.seq, arguments.tiles)
    except (NoProof, TreeRefused) as error:
        tell(f"sekisho ledger prove: {error}")
        return NO
    text = written(proof, as_json=arguments.json)
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        write_whole(arguments.out, text)
        tell(f"{arguments.out}: record {arguments.seq} / 記録 {arguments.seq}; `sekisho ledger check-proof` checks it")
    return OK


def _check_proof(arguments: argparse.Namespace) -> int:
    from controller.link.notes import NoteError
    from controller.link.record_proof import ProofError
    from sekisho.ledger_proof import check, read_key, read_proof, verdict

    try:
        keys = [read_key(given) for given in (arguments.key, *arguments.witness)]
        proof, proven = check(read_proof(arguments.file), keys[0], keys[1:])
    except NoteError as error:
        tell(f"sekisho ledger check-proof: {error}")
        return MISUSE
    except ProofError as error:
        return _refused(arguments, f"{arguments.file}: {error}", words="証明は成り立ちません / it proves nothing")
    found = verdict(proof, proven)
    if arguments.json:
        print_json(found)
        return OK
    print(f"record {proof.seq} ({found['class']}) stands in the ledger {found['origin']} of {found['size']} records")
    print(f"記録 {proof.seq} は、{found['size']} 件の監査ログ {found['origin']} に含まれています")
    for name, at in found["cosigned"].items():
        print(f"witnessed / 立会人: {name} {at}")
    print(proof.body if proof.body is not None else "(its body is not in the proof / 本文は含まれていません)")
    return OK


def _code(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_proof import NoProof, code_document, newest

    try:
        found = code_document(newest(arguments.socket))
    except NoProof as error:
        tell(f"sekisho ledger code: {error}")
        return NO
    if arguments.json:
        print_json(found)
    else:
        print(found["code"])
    return OK


def _capacity(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_capacity import run as told

    return told(arguments)


def _rotate_key(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_rotation import rotate

    return rotate(arguments)


def _hold(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_keeping import hold

    return hold(arguments)


def _purge(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_keeping import purge

    return purge(arguments)


def _schema(arguments: argparse.Namespace) -> int:
    from sekisho.ledger_keeping import schema

    return schema(arguments)


def _refused(arguments: argparse.Namespace, why: str, words: str = "") -> int:
    """The answer is no."""
    if arguments.json:
        document: dict[str, Any] = {"holds": False, "why": why}
        print_json(document)
    tell(f"sekisho ledger {arguments.ledger}: {words + ': ' if words else ''}{why}")
    return NO


_ACTIONS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "export": _export,
    "key": _key,
    "tiles": _tiles,
    "prove": _prove,
    "check-proof": _check_proof,
    "code": _code,
    "rotate-key": _rotate_key,
    "capacity": _capacity,
    "hold": _hold,
    "purge": _purge,
    "schema": _schema,
}
