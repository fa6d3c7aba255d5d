"""How the console speaks: Japanese and English side by side, and tables that stay aligned with full-width signs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

Words: TypeAlias = tuple[str, str]
"""The same said in Japanese and in English."""


def said(words: Words, lang: str) -> str:
    """In the language that was asked for; both, with a stroke between them."""
    ja, en = words
    return {"ja": ja, "en": en}.get(lang, f"{ja} / {en}")


def lines_of(words: Words, lang: str) -> tuple[str, ...]:
    """One line for each language, for longer texts."""
    ja, en = words
    return {"ja": (ja,), "en": (en,)}.get(lang, (ja, en))


def width(text: str) -> int:
    """Columns of a terminal that `text` takes: two for a full-width sign."""
    return sum(2 if unicodedata.east_asian_width(sign) in {"W", "F"} else 1 for sign in text)


def padded(text: str, to: int) -> str:
    """`text` filled up to `to` columns."""
    return text + " " * max(0, to - width(text))


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines with aligned columns; the last column is not filled up."""
    if not rows:
        return []
    widths = [max(width(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(padded(cell, to) for cell, to in zip(row, widths, strict=True)).rstrip() for row in rows]


def print_lines(lines: Iterable[str]) -> None:
    """What was asked for, on standard output."""
    for line in lines:
        print(line)


def print_json(document: Any) -> None:
    """One line of JSON on standard output."""
    print(json.dumps(document, ensure_ascii=False))


def os_words(error: Exception) -> str:
    """What an error says to people: the system's words with the file, and no number in brackets."""
    if isinstance(error, OSError) and error.strerror and not error.strerror.startswith("["):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def tell(text: str) -> None:
    """Talk, on standard error."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """One line on standard error that is written over, where somebody watches it."""

    def __init__(self) -> None:
        self._is_watched = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        """Write over what stood there."""
        if self._is_watched:
            print(f"\r{padded(text, self._width)}", end="", file=sys.stderr, flush=True)
            self._width = width(text)

    def end(self) -> None:
        """Leave an empty line behind."""
        if self._width:
            self.show("")
            print("\r", end="", file=sys.stderr, flush=True)
            self._width = 0
