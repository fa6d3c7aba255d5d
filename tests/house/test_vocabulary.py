"""One word per thing: the synonyms that docs/vocabulary.md refuses do not stand in names we give."""

from __future__ import annotations

import ast
import functools
import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tests.house.sources import ALLOWED, PACKAGES, ROOT, python

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "vocabulary.md"
EMPTY = {"data", "info", "manager", "util", "helper", "misc"}  # words that name nothing
ROW = re.compile(r"^\|(?P<word>[^|]+)\|(?P<means>[^|]*)\|(?P<refused>[^|]*)\|", re.MULTILINE)


@functools.cache
def refused() -> dict[tuple[str, ...], str]:
    """Word sequences that stand in the column `not`, each with the word to use instead."""
    words = {(word,): "a word that says something" for word in EMPTY}
    for row in ROW.finditer(PAGE.read_text("utf-8")):
        column = re.sub(r"\([^)]*\)|[`*]", "", row["refused"]).strip()
        if set(column) <= {"-", ":", " "} or column in {"not", "–", "—"}:
            continue
        for synonym in re.split(r"[,;/、]", column):
            if parts := tuple(re.findall(r"[a-z0-9]+", synonym.lower())):
                words[parts] = row["word"].strip(" `*")
    return words


def words_of(name: str) -> list[str]:
    """cardNumberHash, card_number_hash and CARD_NUMBER_HASH: card, number, hash."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def names_given(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Names that this file gives: classes, functions, arguments, variables, fields; not those it only uses."""
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_ours(node):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno or 0, node.asname


def is_ours(node: ast.Attribute) -> bool:
    """A field of our own object; what stands on another's is named by its owner."""
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def is_allowed(word: str, path: str, name: str) -> bool:
    """Does a reasoned exception stand in tests/house/allowed.toml?"""
    return any(
        word == one["word"]
        and any(fnmatch(path, pattern) for pattern in one.get("files", ["*"]))
        and re.search(one.get("names", ""), name)
        for one in ALLOWED["word"]
    )


def synonyms_in(name: str) -> Iterator[tuple[str, str]]:
    """Refused words in a name, in the singular too, each with the word to use."""
    words = words_of(name)
    for parts, instead in refused().items():
        for start in range(len(words) - len(parts) + 1):
            held = words[start : start + len(parts)]
            if all(one in {part, f"{part}s"} for one, part in zip(held, parts, strict=True)):
                yield " ".join(parts), instead


def test_names_use_the_words_of_the_house():
    """Two words for one thing: sooner or later somebody takes them for two things, at a door."""
    assert PAGE.exists(), "docs/vocabulary.md is missing: it is the law that this test applies"
    assert len(refused()) > 2 * len(EMPTY), "docs/vocabulary.md has no table | word | means | not |"
    findings = [
        f"{path}:{line}: {name}: not '{word}' but {instead}"
        for path, module in python(*PACKAGES)
        for line, name in names_given(module)
        for word, instead in synonyms_in(name)
        if not is_allowed(word, str(path), name)
    ]
    assert not findings, "\n".join(["", *findings])


def test_names_are_taken_apart():
    """The check above would see nothing."""
    assert words_of("_heldAfter_MS2") == ["held", "after", "ms", "2"]
    assert words_of("OSDPReader") == ["osdp", "reader"]
    assert dict(synonyms_in("users_seen")) or ("user",) not in refused()
