"""Where the offline commands get records from: a running controller over its socket, or an export of its ledger.

Either way the records come in order from the first one on, as far as the ledger reached when the command began. An
export is believed as it stands: `sekisho verify` says whether it may be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.link.client import LinkClient, LinkDown
from controller.link.messages import Record
from controller.link.recorded import History, Line
from controller.policy_log import next_revision
from sekisho.review_arguments import SOCKET_VARIABLE, add_source_arguments

__all__ = ["Source", "SourceError", "add_source_arguments", "open_history", "progress_of"]


class SourceError(Exception):
    """The records cannot be had; why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLine:
    """One line of an export."""

    seq: int
    leaf: str
    body: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A ledger as it was when it was opened: `size` records (None: as many as the export has), and their history."""

    history: History
    size: int | None


@contextmanager
def open_history(arguments: argparse.Namespace) -> Iterator[Source]:
    """The history that the arguments name. Raises SourceError; LinkDown and OSError become one while it is read."""
    try:
        if arguments.export is not None:
            file: Path = arguments.export
            yield Source(history=History(lambda seq: exported(file, seq), revision_of=next_revision), size=None)
            return
        path = _socket_of(arguments)
        with LinkClient(path, "sekisho review") as client:
            size = client.connect().size
        yield Source(history=History(lambda seq: linked(path, seq, size), revision_of=next_revision), size=size)
    except LinkDown as error:
        raise SourceError(
            f"{error}; is it running? `sekisho controller` and `sekisho demo` tell its socket / 制御装置に届きません"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{why}; make one with `sekisho ledger export FILE` / ファイルを読めません") from error


def _socket_of(arguments: argparse.Namespace) -> Path:
    named: Path | None = arguments.socket
    if named is not None:
        return named
    if text := os.environ.get(SOCKET_VARIABLE):
        return Path(text)
    raise SourceError(
        f"name the running controller with --socket PATH (or in ${SOCKET_VARIABLE}), or an export with --export FILE; "
        "the demo prints its socket / --socket か --export を指定してください"
    )


def linked(path: Path, from_seq: int, size: int) -> Iterator[Line]:
    """Records `from_seq` to `size` - 1 of a running controller, over a connection of their own."""
    if from_seq >= size:
        return
    with LinkClient(path, "sekisho review") as client:
        for message in client.stream(from_seq):
            if isinstance(message, Record):
                yield message
                if message.seq >= size - 1:
                    return


def exported(path: Path, from_seq: int) -> Iterator[Line]:
    """Records of an export from `from_seq` on. Raises SourceError where a line is not one."""
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, 1):
            if number <= from_seq:  # records are numbered from 0, one a line
                continue
            try:
                line = json.loads(text)
                body = line.get("body")
                yield ExportedLine(
                    seq=int(line["seq"]), leaf=str(line["leaf"]), body=None if body is None else str(body)
                )
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SourceError(f"{path}: line {number} is not a record of an export ({error!r})") from error


def progress_of(size: int | None) -> Callable[[int], None] | None:
    """Tells how far it is, on standard error, where somebody watches it."""
    if not sys.stderr.isatty():
        return None

    def progress(seq: int) -> None:
        print(f"\r{seq}{'' if size is None else f'/{size}'}", end="", file=sys.stderr, flush=True)

    return progress
