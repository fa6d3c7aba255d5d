"""The repository as the house tests see it: tracked files and new ones, and their syntax trees."""

from __future__ import annotations

import ast
import functools
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("zones", "readers", "controller", "api", "simulators", "sekisho")
ALLOWED = tomllib.loads((Path(__file__).parent / "allowed.toml").read_text("utf-8"))


def git(*arguments: str) -> str | None:
    """What git answers here; None where there is no git or no repository (a source archive)."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout


@functools.cache
def files() -> tuple[Path, ...]:
    """Every file that is tracked or could be, relative to the root."""
    listed = git("ls-files", "-co", "--exclude-standard", "-z")
    if listed is not None:
        paths = [Path(name) for name in listed.split("\0") if name]
    else:
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        paths = [path for path in paths if not any(part.startswith(".venv") or part == "build" for part in path.parts)]
    return tuple(sorted(path for path in paths if (ROOT / path).is_file()))


@functools.cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def python(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """The Python files under the folders, with their syntax trees."""
    for path in files():
        if path.suffix == ".py" and path.parts[0] in folders and "vectors" not in path.parts:
            yield path, tree(path)


def functions(module: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function with its qualified name, from the outside in."""
    for node in ast.iter_child_nodes(module):
        name = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{node.name}".lstrip(".")
            if not isinstance(node, ast.ClassDef):
                yield name, node
        yield from functions(node, name)


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, wherever in the file."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def called(node: ast.Call) -> str:
    """The dotted name of what is called, as written."""
    return ast.unparse(node.func)
