"""Who is in the registers, found and put in order by name. Names are unsealed in memory, so this is done there too."""

from __future__ import annotations

from typing import Any, Literal

from api.names import Name, order_of
from api.parts import Parts
from api.register import is_there, today

Doc = dict[str, Any]


def people(
    here: Parts, *, sought: str | None = None, sort: Literal["id", "kana"] = "id", with_ended: bool = False
) -> list[tuple[Doc, Name | None]]:
    """Cardholders with their names: those whose id or name holds `sought`; nameless ones stand last by `kana`."""
    names, day = here.view.names.all(), today()
    docs = [doc for doc in here.view.rows("cardholder") if with_ended or is_there("cardholder", doc, day)]
    if sought is not None:
        found = here.view.names.matching(sought)
        docs = [doc for doc in docs if doc["id"] in found or sought in doc["id"]]
    if sort == "kana":
        docs.sort(key=lambda doc: order_of(names.get(doc["id"]), doc["id"]))
    return [(doc, names.get(doc["id"])) for doc in docs]
