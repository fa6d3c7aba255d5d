"""Has the controller record what was seen outside; one connection for all couriers."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from controller.link.client import LinkDown
from controller.link.messages import Done, Refused, StreamReport

LATER: Final = frozenset({"busy", "ledger_unavailable"})
"""Refusals after which the same report is tried again."""

log = logging.getLogger(__name__)


class Asked(Protocol):
    """The controller: `controller.link.client.LinkClient`. Raises LinkDown."""

    def request(self, message: StreamReport, timeout_s: float = 5.0) -> Done | Refused: ...


class Reporter:
    """Used by all threads."""

    def __init__(self, client: Asked) -> None:
        self._client = client

    def tell(self, report: StreamReport) -> bool:
        """Whether `report` needs not be told again: it is recorded, or will never be."""
        try:
            answer = self._client.request(report)
        except LinkDown as down:
            log.warning("%s of %s waits: %s", report.code, report.sink, down)
            return False
        if isinstance(answer, Done):
            return True
        if answer.code in LATER:
            return False
        if answer.code != "repeated":  # that is: recorded, and the answer was lost
            log.error("%s of %s was refused: %s: %s", report.code, report.sink, answer.code, answer.why)
        return True
