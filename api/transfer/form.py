"""A file as a browser's form sends it (multipart/form-data, RFC 7578), taken apart without guessing. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PARTS_MAX: Final = 20
_BOUNDARY: Final = re.compile(
    r'^multipart/form-data\s*;.*?\bboundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?\s*(?:;|$)', re.IGNORECASE
)
_NAME: Final = re.compile(rb'content-disposition:\s*form-data;[^\r\n]*?\bname="([^"\r\n]{0,64})"', re.IGNORECASE)
_FILE: Final = re.compile(rb"content-disposition:[^\r\n]*\bfilename\*?=", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Plain fields, and the file where there was one."""

    fields: Mapping[str, str]
    content: bytes | None


def is_form(content_type: str) -> bool:
    """Whether a body of this type is such a form."""
    return content_type.lower().startswith("multipart/")


def taken_apart(content_type: str, body: bytes) -> Sent | None:
    """The form; None where it is not well formed."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        return None
    mark = b"--" + found.group(1).rstrip().encode("ascii")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 3 or len(pieces) > PARTS_MAX or not pieces[-1].startswith(b"--"):
        return None
    fields: dict[str, str] = {}
    content: bytes | None = None
    for piece in pieces[1:-1]:
        head, gap, value = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not gap or name is None:
            return None
        if _FILE.search(head):
            content = value
        else:
            fields[name.group(1).decode("utf-8", "replace")] = value[:200].decode("utf-8", "replace")
    return Sent(fields=fields, content=content)
