"""Zones and portals, and the momentary release: a command with an expiry, answered once it is recorded."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.access import Permission, Who, require
from api.link import done
from api.live import now_ms, portals, zones
from api.models import ListQuery, PageOf, PortalPublic, Recorded, ReleaseCreate, ZonePublic
from api.parts import Here, Parts
from api.problems import Problem
from api.register import PROBLEMS, RequestKey
from controller.link.messages import Command, Welcome

RELEASE_MS = 3_000

router = APIRouter(responses=PROBLEMS)

Watching = Annotated[Who, Depends(require(Permission.LIVE))]
Releasing = Annotated[Who, Depends(require(Permission.RELEASE))]


def zones_seen(here: Parts, who: Who) -> list[ZonePublic]:
    """The zones that somebody answers for; what they ask of those who enter, for who may see rights (P5)."""
    seen = [zone for zone in zones(here.view) if who.may_see_zone(zone.id)]
    if who.may(Permission.RIGHTS):
        return seen
    return [zone.model_copy(update={"items": [], "accepted_bases": []}) for zone in seen]


def portals_seen(here: Parts, who: Who) -> list[PortalPublic]:
    """The portals into zones that somebody answers for."""
    return [portal for portal in portals(here.view) if who.may_see_zone(portal.inner)]


@router.get("/zones")
def list_zones(here: Here, who: Watching, query: Annotated[ListQuery, Query()]) -> PageOf[ZonePublic]:
    rest = [zone for zone in zones_seen(here, who) if query.cursor is None or zone.id > query.cursor]
    return PageOf(items=rest[: query.limit], next=rest[query.limit - 1].id if len(rest) > query.limit else None)


@router.get("/zones/{id}")
def get_zone(here: Here, who: Watching, id: str) -> ZonePublic:
    for zone in zones_seen(here, who):
        if zone.id == id:
            return zone
    raise Problem("not_found", 404)


@router.get("/portals")
def list_portals(here: Here, who: Watching, query: Annotated[ListQuery, Query()]) -> PageOf[PortalPublic]:
    """Portals with their live state."""
    rest = [portal for portal in portals_seen(here, who) if query.cursor is None or portal.id > query.cursor]
    return PageOf(items=rest[: query.limit], next=rest[query.limit - 1].id if len(rest) > query.limit else None)


@router.get("/portals/{id}")
def get_portal(here: Here, who: Watching, id: str) -> PortalPublic:
    for portal in portals_seen(here, who):
        if portal.id == id:
            return portal
    raise Problem("not_found", 404)


@router.post("/portals/{id}/release")
def release_portal(
    here: Here, who: Releasing, id: str, asked: ReleaseCreate, key: RequestKey = None
) -> Recorded:  # fmt: skip
    """Release the strike for one entry. 200 means recorded, and so released; a problem means it was not, except
    `no_answer`, after which the events tell. It expires 3 s after it was asked for and is never repeated.
    """
    portal = here.view.row("portal", id)
    if portal is None:
        raise Problem("unknown_portal", 404)
    if not who.may_see_zone(portal["inner"]):
        raise Problem("not_your_zone", 403)
    not_after_ms = now_ms() + RELEASE_MS

    def command(welcome: Welcome) -> Command:
        return Command(
            id=key or secrets.token_hex(16), boot=welcome.boot, not_after_ms=not_after_ms, portal=id,
            reason=asked.reason, officer=who.officer,
        )  # fmt: skip

    recorded = done(here.requests.ask(command))
    return Recorded(id=id, seq=recorded.seq)
