"""The texts of the officers' side: what the code says, against `api/locale` (docs/adr/0017-pages.md).

`python -m tests.house.texts` takes the texts out of the code, keeps what is translated, adds what the .po files named
on the command line translate, and compiles. A translation whose text is gone stays at the end of the file as `#~` until
`--prune`: a half-written page on one side must not cost the words of the other. English is what the ids say.
"""

from __future__ import annotations

import gettext
import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from tests.house.sources import ROOT

FOLDER = ROOT / "api"
PO = FOLDER / "locale" / "ja" / "LC_MESSAGES" / "sekisho.po"
MO = PO.with_suffix(".mo")
METHODS = [("migrations/**", "ignore"), ("**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS = {
    "_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "npgettext": ((1, "c"), 2, 3),
    "Said": {1: (1,), 2: (1, (2, "c"))},
}  # fmt: skip
JINJA = {"templates/**.html": {"extensions": "jinja2.ext.i18n", "silent": "false", "newstyle_gettext": "true",
                               "trim_blocks": "true", "lstrip_blocks": "true"}}  # fmt: skip
HEAD = r"""# Sekisho 関所
msgid ""
msgstr ""
"Language: ja\n"
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=1; plural=0;\n"

"""
NO_DAY = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands where a compiled catalogue has to have a date: the same texts are the same bytes on every day."""

Key = tuple[str | None, str]


def key_of(message: Message) -> Key:
    """What tells one text from all others."""
    return message.context, message.id if isinstance(message.id, str) else message.id[0]


def empty() -> Catalog:
    """A catalogue without texts; nothing in it changes from day to day."""
    return Catalog(locale="ja", domain="sekisho", project="Sekisho", charset="utf-8", header_comment="# Sekisho 関所")


def said() -> Catalog:
    """Every text of the code and the templates."""
    found = empty()
    taken = extract_from_dir(FOLDER, METHODS, JINJA, keywords=KEYWORDS, comment_tags=())
    for _path, _line, text, _comments, context in sorted(taken, key=lambda one: str(one[2])):
        if text and text != ("", ""):
            found.add(text, context=context)
    return found


def read(path: Path) -> Catalog:
    """One .po file."""
    with path.open("rb") as file:
        return read_po(file, locale="ja", domain="sekisho")


def translated(*catalogues: Catalog) -> dict[Key, Message]:
    """Every translation, the last catalogue's first; unused ones too."""
    known: dict[Key, Message] = {}
    for catalogue in catalogues:
        for message in (*catalogue.obsolete.values(), *catalogue):
            if message.id and any([message.string] if isinstance(message.string, str) else message.string):
                known[key_of(message)] = message
    return known


def merged(texts: Catalog, known: dict[Key, Message], *, prune: bool) -> Catalog:
    """`texts` with the translations that are known."""
    whole = empty()
    for message in texts:
        if message.id:
            was = known.pop(key_of(message), None)
            whole.add(message.id, _as_many(message, was), context=message.context, flags=_python(message))
    if not prune:
        for was in known.values():
            whole.obsolete[was.id] = was
    return whole


def _as_many(message: Message, was: Message | None) -> str | tuple[str, ...]:
    """The translation in the shape of the text: Japanese has one form for any number."""
    string = "" if was is None else was.string if isinstance(was.string, str) else was.string[0]
    return string if isinstance(message.id, str) else (string,)


def _python(message: Message) -> set[str]:
    return {"python-format"} if message.python_format else set()


def po_bytes(catalogue: Catalog) -> bytes:
    """The .po file, in order of the texts, without lines and dates: it changes where a text does."""
    kept = io.BytesIO()
    catalogue.creation_date = catalogue.revision_date = None  # type: ignore[assignment]
    write_po(kept, catalogue, width=118, no_location=True, sort_output=True, omit_header=True)
    return HEAD.encode() + kept.getvalue()


def mo_bytes(catalogue: Catalog) -> bytes:
    """The compiled catalogue; the same for the same texts."""
    kept = io.BytesIO()
    plain = Catalog(locale="ja", domain="sekisho", header_comment="", charset="utf-8")
    plain.creation_date = plain.revision_date = NO_DAY
    for message in catalogue:
        if message.id:
            plain.add(message.id, message.string, context=message.context, flags=message.flags)
    write_mo(kept, plain)
    return kept.getvalue()


def meant(compiled: bytes) -> dict[object, str]:
    """What a compiled catalogue says, without its header, which names the version of the tool."""
    texts = dict(gettext.GNUTranslations(io.BytesIO(compiled))._catalog)  # type: ignore[attr-defined]
    return {key: text for key, text in texts.items() if key}


def main(arguments: list[str]) -> None:
    """Take out, merge, compile; say what is missing."""
    more = [read(Path(name)) for name in arguments if not name.startswith("--")]
    known = translated(*([read(PO)] if PO.exists() else []), *more)
    whole = merged(said(), known, prune="--prune" in arguments)
    PO.parent.mkdir(parents=True, exist_ok=True)
    PO.write_bytes(po_bytes(whole))
    MO.write_bytes(mo_bytes(read(PO)))
    missing = [key_of(message) for message in whole if message.id and not any(message.string)]
    for context, text in missing:
        sys.stdout.write(f"no Japanese: {text}{f' ({context})' if context else ''}\n")
    sys.stdout.write(f"{len(whole)} texts, {len(missing)} without Japanese, {len(whole.obsolete)} unused\n")


if __name__ == "__main__":
    main(sys.argv[1:])
