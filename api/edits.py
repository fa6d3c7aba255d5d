"""Changes of policy: proposed against the revision of the view, answered only when the controller has recorded them.

Where the policy changed meanwhile, the rows are read again and the change is proposed once more; after that the caller
is told (409). Nothing is changed in api.db here: what is true comes back through the record stream.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from api.link import Requests, done
from api.problems import Problem
from api.view import Snapshot, View
from controller.link.messages import Done, Propose, Refused

EDIT_MS: Final = 5_000
VIEW_S_MAX: Final = 3.0

Puts = list[tuple[str, dict[str, Any]]]


def propose(
    view: View,
    requests: Requests,
    officer: str,
    request_id: str,
    places: tuple[tuple[str, str], ...],
    make: Callable[[Snapshot], Puts],
) -> Done:
    """Propose the rows that `make` builds from the present ones at `places`. Raises Problem where it was refused."""
    for attempt in ("", "-r"):
        snapshot = view.snapshot(*places)
        puts = make(snapshot)

        def message(_: object, attempt: str = attempt, snapshot: Snapshot = snapshot, puts: Puts = puts) -> Propose:
            return Propose(
                id=request_id + attempt, base=snapshot.revision, not_after_ms=time.time_ns() // 1_000_000 + EDIT_MS,
                puts=puts, officer=officer,
            )  # fmt: skip

        answer = requests.ask(message)
        if isinstance(answer, Refused) and answer.code == "stale_base" and not attempt:
            view.wait_for(requests.welcome().size - 1, VIEW_S_MAX)
            continue
        recorded = done(answer)
        if not view.wait_for(recorded.seq, VIEW_S_MAX):
            raise Problem("no_answer", 503, members={"id": request_id, "seq": recorded.seq})
        return recorded
    raise AssertionError("the second attempt always ends")
