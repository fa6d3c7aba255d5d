"""The drawing of the building: kept in api.db, changed as a whole, and put together with what zones there are now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Engine, delete
from sqlmodel import Session, select

from api.plan_layout import Nest, Plan, Shape, drawn, each, laid_out
from api.tables import PlanShapeRow
from api.view import View

ZONE: Final = "zone"
PORTAL: Final = "portal"
Drawing = Mapping[tuple[str, str], Shape]


def drawing(engine: Engine) -> dict[tuple[str, str], Shape]:
    """Every shape that was drawn, by kind and id."""
    with Session(engine) as session:
        rows = session.exec(select(PlanShapeRow)).all()
        return {(row.kind, row.id): Shape(x=row.x, y=row.y, w=row.w, h=row.h) for row in rows}


def draw(engine: Engine, shapes: Drawing) -> None:
    """Keep this drawing in place of the one before; an empty one: the plan is put together by itself again."""
    with Session(engine) as session:
        session.execute(delete(PlanShapeRow))
        for (kind, name), one in shapes.items():
            session.add(PlanShapeRow(kind=kind, id=name, x=one.x, y=one.y, w=one.w, h=one.h))
        session.commit()


def nests(view: View, seen: frozenset[str] | None = None) -> list[Nest]:
    """The zones (of `seen`) as they are nested, with the portals that lead into each."""
    into: dict[str, list[str]] = {}
    for doc in view.rows(PORTAL):
        into.setdefault(doc["inner"], []).append(doc["id"])
    docs = [doc for doc in view.rows(ZONE) if seen is None or doc["id"] in seen]
    found = {doc["id"]: Nest(id=doc["id"], portals=into.get(doc["id"], [])) for doc in docs}
    tops: list[Nest] = []
    for doc in docs:
        around = found.get(doc.get("parent") or "")
        (tops if around is None else around.inside).append(found[doc["id"]])
    return tops


def plan_of(view: View, width: int, seen: frozenset[str] | None = None) -> tuple[Plan, bool]:
    """The plan of the zones that are `seen` (None: all) as it stands, and whether it was drawn."""
    tops, shapes = nests(view, seen), drawing(view.engine)
    there = {(ZONE, one.id) for one in each(tops)} | {(PORTAL, name) for one in each(tops) for name in one.portals}
    zones = {name: one for (kind, name), one in shapes.items() if kind == ZONE and (kind, name) in there}
    if not zones:
        return laid_out(tops, width), False
    portals = {name: one for (kind, name), one in shapes.items() if kind == PORTAL and (kind, name) in there}
    return drawn(tops, zones, portals), True
