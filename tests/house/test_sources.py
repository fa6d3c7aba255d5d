"""The house rules that no linter knows (CONTRIBUTING.md)."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.house.sources import ALLOWED, PACKAGES, ROOT, called, files, functions, imports, python

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_MAX = 70

# What a pure domain may take from the standard library: values, and nothing that reads a clock, a disk or a die.
PURE = {
    *("__future__", "abc", "bisect", "calendar", "collections", "collections.abc", "dataclasses", "datetime", "enum"),
    *(
        "fractions",
        "functools",
        "graphlib",
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
    ),
    *("types", "typing", "unicodedata"),
}
IMPURE_CALLS = re.compile(r"(?:^|\.)(?:now|utcnow|today|fromtimestamp|open|print|input|urandom|monotonic|sleep)$")

# Put together here, so that this file does not find itself.
STRANGE = [
    (re.compile("(?<![a-z0-9._~-])/" + "(?:work|root|home)/"), "a path of somebody's machine"),
    (re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b"), "work left over"),
    (
        re.compile("py" + r"pi\.org|python" + r"hosted|(?:extra-)?index" + "-url|find" + "-links"),
        "a registry's address",
    ),
]
NOT_TEXT = {".png", ".db", ".ico", ".woff2", ".lock"}


def report(findings: list[str]) -> None:
    assert not findings, "\n".join(["", *findings])


def test_functions_fit_on_a_screen():
    """A rule that decides about a door is read by nobody to its end."""
    report(
        [
            f"{path}:{node.lineno}: {name} has {node.end_lineno - node.lineno + 1} lines, more than {LINES_MAX}"
            for path, module in python(*PACKAGES, "tests", "bench")
            for name, node in functions(module)
            if "migrations" not in path.parts  # generated once, read as a list of statements
            if node.end_lineno - node.lineno + 1 > LINES_MAX
        ]
    )


def test_zones_are_pure():
    """A decision depends on something that is not in its arguments, and cannot be explained or run again."""
    findings = []
    for path, module in python("zones"):
        for line, name in imports(module):
            if name not in PURE and name.split(".")[0] != "zones":
                findings.append(f"{path}:{line}: imports {name}")
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and IMPURE_CALLS.search(called(node)):
                findings.append(f"{path}:{node.lineno}: calls {called(node)}()")
    report(findings)


def test_blind_excepts_stand_only_at_named_rims():
    """A fault is swallowed, and a door does something that nobody decided."""
    rims = {(one["file"], one["function"]) for one in ALLOWED["rim"]}
    blind = {
        (str(path), name): handler.lineno
        for path, module in python(*PACKAGES)
        for name, handler in handlers(module)
        if is_blind(handler)
    }
    findings = [
        f"{path}:{line}: {name} catches everything" for (path, name), line in blind.items() if (path, name) not in rims
    ]
    findings += [f"allowed.toml: {path} {name} is a rim no more" for path, name in rims - set(blind)]
    report(findings)


def handlers(node: ast.AST, name: str = "") -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Every except clause with the function it stands in."""
    for child in ast.iter_child_nodes(node):
        is_scope = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if isinstance(child, ast.ExceptHandler):
            yield name, child
        yield from handlers(child, f"{name}.{child.name}".lstrip(".") if is_scope else name)


def is_blind(handler: ast.ExceptHandler) -> bool:
    """Catches everything and does not end in raising something."""
    caught = handler.type
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    is_wide = any(name is None or ast.unparse(name) in {"Exception", "BaseException"} for name in names)
    return is_wide and not isinstance(handler.body[-1], ast.Raise)


def test_tests_do_not_sleep():
    """A test that waits for a guess of time is red on a slow machine, and green over a race."""
    report(
        [
            f"{path}:{node.lineno}: {called(node)}()"
            for path, module in python("tests")
            for node in ast.walk(module)
            if isinstance(node, ast.Call) and called(node) in {"time.sleep", "sleep", "asyncio.sleep", "anyio.sleep"}
        ]
    )


def test_tests_say_what_would_be_wrong():
    """A red test tells nobody which promise was broken."""
    report(
        [
            f"{path}:{node.lineno}: {name} has no first line"
            for path, module in python("tests")
            for name, node in functions(module)
            if node.name.startswith("test_") and path.name.startswith("test_") and not ast.get_docstring(node)
        ]
    )


def test_tests_stand_in_no_package():
    """tests/api/__init__.py would shadow the package api, and the tests would test nothing."""
    report([str(path) for path in files() if path.parts[0] == "tests" and path.name == "__init__.py"])


def test_every_module_says_what_it_owns():
    """Whoever carries this on has to guess what a file is for."""
    report(
        [
            f"{path}: no docstring"
            for path, module in python(*PACKAGES)
            if module.body and ast.get_docstring(module) is None
        ]
    )


def test_tables_are_read_while_they_run():
    """`from __future__ import annotations` silently breaks SQLModel's relationships."""
    findings = []
    for path, module in python("controller", "api"):
        is_table = any(
            isinstance(node, ast.ClassDef) and any(word.arg == "table" for word in node.keywords)
            for node in ast.walk(module)
        )
        if is_table and "__future__" in {name for _, name in imports(module)}:
            findings.append(f"{path}: holds tables and postpones annotations")
    report(findings)


def test_nothing_speaks_of_one_machine():
    """A clone on another machine looks for what is not there."""
    findings = []
    for path in files():
        if path.suffix in NOT_TEXT or path.name in {"LICENSE", "allowed.toml"}:
            continue
        for number, line in enumerate((ROOT / path).read_text("utf-8", errors="replace").splitlines(), 1):
            findings += [
                f"{path}:{number}: {what}: {line.strip()[:100]}" for pattern, what in STRANGE if pattern.search(line)
            ]
    report(findings)


def test_locks_name_no_machine():
    """An install would ask one company's mirror, or somebody's folder."""
    findings = []
    for path in files():
        if path.suffix == ".lock":
            text = (ROOT / path).read_text("utf-8")
            findings += [f"{path}: {found}" for found in re.findall(r".*(?:://|--index|--find|file:|\s/\w+/).*", text)]
            names = re.findall(r"^[A-Za-z0-9._-]+==\S+", text, re.MULTILINE)
            if not names or text.count("--hash=sha256:") < len(names):
                findings.append(f"{path}: not every package has its hash")
    report(findings)
