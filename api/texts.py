"""What people read, in their language: gettext catalogues, and which language a request speaks (docs/adr/0017).

A text's id is its English words, so that English needs no catalogue; Japanese lies in `api/locale`, kept by
`python -m tests.house.texts`. Two meanings of one English word are told apart by a context (`pgettext`).
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Final, Literal

Language = Literal["ja", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("ja", "en")
DOMAIN: Final = "sekisho"
LOCALE: Final = Path(__file__).with_name("locale")

_speaking: ContextVar[Language] = ContextVar("language", default="ja")


@cache
def catalogue(language: Language) -> _gettext.NullTranslations:
    """The texts of one language. English is what the ids say."""
    if language == "en":
        return _gettext.NullTranslations()
    return _gettext.translation(DOMAIN, LOCALE, [language])


def spoken() -> Language:
    """The language of what is being answered."""
    return _speaking.get()


def speak(language: Language) -> None:
    """From here on, in this context, answer in `language`."""
    _speaking.set(language)


@contextmanager
def speaking(language: Language) -> Iterator[None]:
    """Answer in `language` within the block."""
    token = _speaking.set(language)
    try:
        yield
    finally:
        _speaking.reset(token)


def _(text: str, **values: object) -> str:
    """`text` in the spoken language, with `%(name)s` filled in where values are given, as in the templates."""
    return _filled(_plain(text), values)


def ngettext(one: str, many: str, n: int, **values: object) -> str:
    """The one or the other, as `n` asks; `%(num)s` is `n`."""
    return _filled(catalogue(spoken()).ngettext(one, many, n), {"num": n, **values})


def pgettext(context: str, text: str, **values: object) -> str:
    """A text that has another meaning elsewhere."""
    return _filled(catalogue(spoken()).pgettext(context, text), values)


def npgettext(context: str, one: str, many: str, n: int, **values: object) -> str:
    """Both: a context, and one or many."""
    return _filled(catalogue(spoken()).npgettext(context, one, many, n), {"num": n, **values})


def _plain(text: str) -> str:
    return catalogue(spoken()).gettext(text) if text else ""


def _filled(text: str, values: Mapping[str, object]) -> str:
    return text % values if values else text


class Said(Mapping[Language, str]):
    """One text in all languages, looked up when it is read: what stands in tables beside a code.

    `Said("Entry granted")`, `Said("Left", "passage")`: the second is its context. Taken out of the code as such.
    """

    __slots__ = ("_context", "_text")

    def __init__(self, text: str, context: str | None = None) -> None:
        self._text, self._context = text, context

    def __getitem__(self, language: Language) -> str:
        if language not in LANGUAGES:
            raise KeyError(language)
        if not self._text:
            return ""
        texts = catalogue(language)
        return texts.gettext(self._text) if self._context is None else texts.pgettext(self._context, self._text)

    def __iter__(self) -> Iterator[Language]:
        return iter(LANGUAGES)

    def __len__(self) -> int:
        return len(LANGUAGES)

    def __str__(self) -> str:
        return self[spoken()]


def language_of(accept: str) -> Language:
    """The better of ja and en for an Accept-Language header; Japanese where it names neither."""
    best: tuple[float, Language] = (0.0, "ja")
    for part in accept.split(",")[:20]:
        locale, _sep, quality = part.strip().partition(";")
        name = locale.split("-")[0].lower()
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in LANGUAGES and weight > best[0]:
            best = (weight, name)
    return best[1]
