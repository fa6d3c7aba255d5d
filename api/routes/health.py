"""Is it alive (anybody may ask), and how is it (whoever is signed in)."""

from fastapi import APIRouter, Request

from api.access import Permission
from api.live import is_current
from api.models import HealthPublic, WitnessPublic, iso
from api.parts import Here
from api.problems import Problem
from controller.link.messages import WitnessStanding

router = APIRouter()


@router.get("/health", response_model_exclude_none=True)
def get_health(request: Request, here: Here) -> HealthPublic:
    """200 while this process lives, whether the controller is heard or not: doors do not need it."""
    try:
        who = here.keeper.who(request)
    except Problem:
        return HealthPublic()
    if not any(who.may(one) for one in (Permission.LIVE, Permission.DEVICES, Permission.LEDGER)):
        return HealthPublic()
    live, view = here.view.live, here.view
    status = live.status
    current = is_current(view)
    return HealthPublic(
        is_current=current,
        fault=None if current else (live.fault or "controller_away"),
        seq=view.seq,
        revision=view.revision,
        streams=here.broadcast.followers,
        names_fault=view.names.fault or next(iter(view.names.troubles), None),
        node_boot=status.boot if status else None,
        ledger_size=status.size if status else None,
        is_ledger_writable=status.is_ledger_writable if status else None,
        is_clock_trusted=status.is_clock_trusted if status else None,
        deviations=status.deviations if status else None,
        devices_offline=status.devices_offline if status else None,
        witnesses=[_witness(one) for one in status.witnesses] if status else None,
    )


def _witness(one: WitnessStanding) -> WitnessPublic:
    at = iso(one.at_ms) if one.at_ms else None
    return WitnessPublic(name=one.name, size=one.size, at=at, is_silent=one.is_silent)
