"""本人: one's own rights, entries, what one can mend, and who looked (E-13). The same values as `/api/v1/me`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from api.access import Permission, Who, require
from api.own import own_records, own_rights
from api.pages.frame import render
from api.pages.looks import look_of, shown_state
from api.pages.people import BASES
from api.parts import Here
from api.row_states import RosterState
from api.texts import spoken
from api.words import PURPOSES

router = APIRouter(include_in_schema=False)
Oneself = Annotated[Who, Depends(require(Permission.OWN))]


@router.get("/me")
def me(here: Here, request: Request, who: Oneself) -> HTMLResponse:
    """One's own page."""
    look = look_of(here, who)
    if who.cardholder is None or who.scopes is not None:
        return render(request, who, "me.html", look=look, is_somebody=False)
    rights = own_rights(look.policy, who.cardholder, look.now)
    records = own_records(here, who.cardholder)
    return render(
        request, who, "me.html", look=look, is_somebody=True, rights=rights, bases=BASES,
        places=[(row, shown_state(RosterState(row["state"]))) for row in rights.get("roster", [])],
        entries=records["entries"], refusals=records["refusals"], portal_name=look.portal_name,
        looks=[(one, purpose_of(one), look.officer_name(one["officer"] or "")) for one in records["looks"]],
    )  # fmt: skip


def purpose_of(look: dict[str, Any]) -> str:
    """For what somebody looked, in words."""
    words = PURPOSES.get(look["purpose"] or "")
    return "" if words is None else words[spoken()]
