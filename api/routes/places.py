"""Zones and portals, and the momentary release: a command with an expiry, answered once it is recorded."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.auth import signed_in
from api.link import done
from api.live import now_ms, portals, zones
from api.models import ListQuery, PageOf, PortalPublic, Recorded, ReleaseCreate, ZonePublic
from api.parts import Here
from api.problems import Problem
from api.register import PROBLEMS, RequestKey
from controller.link.messages import Command, Welcome

RELEASE_MS = 3_000

router = APIRouter(dependencies=[Depends(signed_in)], responses=PROBLEMS)


@router.get("/zones")
def list_zones(here: Here, query: Annotated[ListQuery, Query()]) -> PageOf[ZonePublic]:
    rest = [zone for zone in zones(here.view) if query.cursor is None or zone.id > query.cursor]
    return PageOf(items=rest[: query.limit], next=rest[query.limit - 1].id if len(rest) > query.limit else None)


@router.get("/zones/{id}")
def get_zone(here: Here, id: str) -> ZonePublic:
    for zone in zones(here.view):
        if zone.id == id:
            return zone
    raise Problem("not_found", 404)


@router.get("/portals")
def list_portals(here: Here, query: Annotated[ListQuery, Query()]) -> PageOf[PortalPublic]:
    """Portals with their live state."""
    rest = [portal for portal in portals(here.view) if query.cursor is None or portal.id > query.cursor]
    return PageOf(items=rest[: query.limit], next=rest[query.limit - 1].id if len(rest) > query.limit else None)


@router.get("/portals/{id}")
def get_portal(here: Here, id: str) -> PortalPublic:
    for portal in portals(here.view):
        if portal.id == id:
            return portal
    raise Problem("not_found", 404)


@router.post("/portals/{id}/release")
def release_portal(here: Here, id: str, asked: ReleaseCreate, key: RequestKey = None) -> Recorded:
    """Release the strike for one entry. 200 means recorded, and so released; a problem means it was not, except
    `no_answer`, after which the events tell. It expires 3 s after it was asked for and is never repeated.
    """
    if here.view.row("portal", id) is None:
        raise Problem("unknown_portal", 404)
    not_after_ms = now_ms() + RELEASE_MS

    def command(welcome: Welcome) -> Command:
        return Command(
            id=key or secrets.token_hex(16), boot=welcome.boot, not_after_ms=not_after_ms, portal=id,
            reason=asked.reason, officer=here.settings.officer,
        )  # fmt: skip

    recorded = done(here.requests.ask(command))
    return Recorded(id=id, seq=recorded.seq)
