"""On which line of a TOML text a key stands, for complaints about it.

The text has been read by `tomllib` and is known to be TOML: this only walks over it, past strings, comments and values
that go over several lines.
"""

from __future__ import annotations

import re
from typing import Final

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_NAME: Final = re.compile(rf"[ \t]*(\[\[?)?[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*(\]\]?|=)")
_TOKEN: Final = re.compile(
    r'"""(?:\\.|.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r""""(?:\\.|[^"\\\n])*"|'[^'\n]*'|#[^\n]*|\n|.""", re.DOTALL
)


def line_of(text: str, key_path: str) -> int:
    """The line (from 1) of a key path such as `.zone[2].kind`; of what it stands in, where it is not written itself."""
    lines = _lines(text)
    while key_path and key_path not in lines:
        key_path = re.sub(r"(?:\.[^.\[\]]+|\[\d+\]|.)\Z", "", key_path, flags=re.DOTALL)
    return lines.get(key_path, 1)


def _lines(text: str) -> dict[str, int]:
    """Key path -> line, of every table and key that the text writes out."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    position, line, section = 0, 1, ""
    while position < len(text):
        if found := _NAME.match(text, position):
            names = [part.strip("\"'") for part in re.findall(_PART, found[2])]
            if found[1]:
                section = _section(names, found[1] == "[[", counts)
                lines.setdefault(section, line)
            else:
                lines.setdefault(".".join((section, *names)), line)
            position = found.end()
        position, line = _past_value(text, position, line)
    return lines


def _section(names: list[str], is_array: bool, counts: dict[str, int]) -> str:
    """The path that a table's header stands for: `[[zone]]` is the next zone, `[zone.x]` belongs to the last one."""
    path = ""
    for depth, name in enumerate(names, 1):
        path += f".{name}"
        if is_array and depth == len(names):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += f"[{counts[path]}]"
    return path


def _past_value(text: str, position: int, line: int) -> tuple[int, int]:
    """Where the next statement begins: after the end of a line that is in no string and in no bracket."""
    depth = 0
    while position < len(text) and (token := _TOKEN.match(text, position)):
        position = token.end()
        line += token[0].count("\n")
        depth += (token[0] in "[{") - (token[0] in "]}")
        if token[0] == "\n" and depth <= 0:
            break
    return position, line
