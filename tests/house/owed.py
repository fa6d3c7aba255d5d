"""Which requirements no test shows yet: tests/owed.toml against the `req` marks in the tests, read and not run.

`python -m tests.house.owed` takes the ids that are shown by now out of tests/owed.toml. It never puts one in.
"""

from __future__ import annotations

import ast
import sys
import tomllib

from tests.house.sources import ROOT, git, python

REQUIREMENTS = ROOT / "tests" / "requirements.toml"
OWED = ROOT / "tests" / "owed.toml"
HEAD = """\
# Requirement ids that no test shows yet. This list only ever gets shorter: `make check` fails on an id that was not
# here before, on one that a test shows by now (`python -m tests.house.owed` takes those out), and on one that is in
# neither place.
"""


def required() -> dict[str, dict[str, str]]:
    """Every requirement id with its priority and title."""
    return tomllib.loads(REQUIREMENTS.read_text("utf-8"))["requirement"]


def owed_in(text: str) -> set[str]:
    """The ids of a version of tests/owed.toml."""
    return set(tomllib.loads(text)["owed"])


def shown() -> dict[str, list[str]]:
    """Requirement ids in `pytest.mark.req(…)` anywhere in the tests, each with where."""
    where: dict[str, list[str]] = {}
    for path, module in python("tests"):
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pytest.mark.req", "mark.req"}:
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        where.setdefault(str(argument.value), []).append(f"{path}:{node.lineno}")
    return where


def versions() -> list[tuple[str, set[str]]]:
    """Every committed version of tests/owed.toml with its commit; none where there is no history."""
    commits = (git("log", "--format=%H", "--", "tests/owed.toml") or "").split()
    texts = ((commit, git("show", f"{commit}:tests/owed.toml")) for commit in commits)
    return [(commit, owed_in(text)) for commit, text in texts if text]


def text_of(ids: set[str]) -> str:
    """The file's text for these ids, one line for each letter and ten."""
    lines: dict[str, list[str]] = {}
    for one in sorted(ids):
        lines.setdefault(one[:3], []).append(f'"{one}"')
    return HEAD + "owed = [\n" + "".join(f"    {', '.join(group)},\n" for group in lines.values()) + "]\n"


def main() -> None:
    """Write the committed list (at the very first, every requirement) without what is shown by now."""
    committed = versions()
    before = committed[0][1] if committed else set(required())
    after = before - set(shown())
    OWED.write_text(text_of(after), "utf-8")
    sys.stdout.write(f"{len(before) - len(after)} taken out, {len(after)} still owed\n")


if __name__ == "__main__":
    main()
