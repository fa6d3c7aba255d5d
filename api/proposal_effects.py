"""What a change would do to people: who gains, who loses, who is inside a zone that he could not enter again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from api.live import now_ms
from api.presence import last_places
from api.problems import Problem
from api.proposal_rules import edit_by
from zones.ids import CardholderId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.policy import EditRefused
from zones.review.whatif import WhatIf, compare

if TYPE_CHECKING:
    from api.parts import Parts
    from api.proposals import Proposal

PAIRS_MAX: Final = 20_000
SIGNERS: Final = ("officer-x", "officer-y")
"""Stand for whoever signs: what a change does to people does not depend on them."""


def effects(here: Parts, proposal: Proposal) -> WhatIf:
    """Against what is in force, and where everybody was last seen. Raises Problem 409 for what is over."""
    if not proposal.is_open or not proposal.puts:
        raise Problem("proposal_settled", 409, members={"state": proposal.state})
    _, policy = here.proposals.in_force.policy()
    where = {
        CardholderId(one.cardholder): Presence(zone=ZoneId(one.zone), is_certain=one.is_certain)
        for one in last_places(here.view.engine)
    }
    found = WhatIf()
    try:
        edit = edit_by(proposal.puts, SIGNERS)
    except EditRefused as error:
        found.refused = str(error)
        return found
    now = Moment(at=datetime.fromtimestamp(now_ms() / 1000, UTC), tick_ms=0)
    compare(policy, Occupancy(where=where), edit, now, found, PAIRS_MAX)
    return found
