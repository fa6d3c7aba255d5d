"""Where the key store's jobs are done: a thread of their own, for the disk; what came of one returns through the inbox.

A site without keys has a room that holds none, and says so.
"""

from __future__ import annotations

from collections.abc import Callable

from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.link.messages import KeyStanding


class NoKeys:
    """The room of a site that has no key store: every job is refused."""

    def __init__(self, report: Callable[[KeysStored], None]) -> None:
        self._report = report

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def submit(self, job: KeyJob) -> None:
        """Refused: the site file names neither cards nor readers with keys."""
        self._report(KeysStored(job=job, view=KeyView(), why="this site has no key store"))

    def standings(self) -> tuple[KeyStanding, ...]:
        """None."""
        return ()
