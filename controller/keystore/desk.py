"""Does the key store's jobs on a thread of its own: the disk, and perhaps a token, must not keep a door waiting."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from datetime import date
from typing import Final

from controller.keystore.commissioning import key_view
from controller.keystore.errors import KeyStoreError
from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.keystore.store import KeyStore
from controller.link.messages import KeyStanding

log = logging.getLogger(__name__)

JOBS_MAX: Final = 64
"""Jobs that may wait. Each is an officer's act or a reader that said who it is; more is a fault."""

FLUSH_S: Final = 86_400.0


class KeyDesk:
    """One job after the other, in order; exactly one `KeysStored` for each.

    Args:
        store: the key store; closed by `stop`.
        deliver: called with what came of each job, from this thread or from `submit`; must only enqueue.
        today: what day it is in Japan.
        readers: those with a secure channel.
        schemes: those that the site asks cards for.
        jobs_max: jobs that may wait; one more is refused at once.
        flush_s: how often the counts of uses are kept, where nothing else is written.
    """

    def __init__(
        self,
        store: KeyStore,
        deliver: Callable[[KeysStored], object],
        today: Callable[[], date],
        *,
        readers: Iterable[str] = (),
        schemes: Iterable[str] = (),
        jobs_max: int = JOBS_MAX,
        flush_s: float = FLUSH_S,
    ) -> None:
        self._store = store
        self._deliver = deliver
        self._today = today
        self._readers = tuple(readers)
        self._schemes = tuple(schemes)
        self._max = jobs_max
        self._flush_s = flush_s
        self._jobs: deque[KeyJob] = deque()
        self._changed = threading.Condition()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="keys", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether anybody works."""
        return self._thread.is_alive()

    @property
    def view(self) -> KeyView:
        """What may be known of the key store now."""
        return key_view(self._store, self._readers, self._schemes)

    def standings(self) -> tuple[KeyStanding, ...]:
        """Every key without the key, for the officers."""
        return tuple(
            KeyStanding(
                key=row.name,
                version=row.version,
                state=row.state,
                made_on=row.made_on.isoformat(),
                mark=row.fingerprint,
                custodians=row.custodians,
                uses=row.uses,
                is_due=row.is_due,
            )
            for row in self._store.listing()
        )

    def start(self) -> None:
        """Begin with what was and will be submitted."""
        self._thread.start()

    def submit(self, job: KeyJob) -> None:
        """Hand over a job. Returns at once."""
        with self._changed:
            is_taken = len(self._jobs) < self._max and not self._is_stopping
            if is_taken:
                self._jobs.append(job)
                self._changed.notify()
        if not is_taken:
            self._deliver(KeysStored(job=job, view=self.view, why="too many orders wait for the key store; ask again"))

    def stop(self) -> None:
        """Do what was submitted, then end the thread and close the store. A key that a reader took is kept."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._store.close()

    def answer(self, job: KeyJob) -> KeysStored:
        """What comes of one job, done here and now."""
        key, why, version = None, "", 0
        try:
            if job.act == "rotate":
                version = self._store.rotate(job.purpose, self._today(), job.custodians)
            else:
                key = self._do(job)
        except KeyStoreError as error:
            log.warning("key store: %s: %s", job.act, error)
            why = str(error)
        return KeysStored(job=job, view=self.view, why=why, key=key, version=version)

    def _do(self, job: KeyJob) -> bytes | None:
        store = self._store
        match job.act:
            case "propose":
                return store.propose_reader_key(job.reader, self._today(), job.custodians)
            case "confirm":
                store.confirm_reader_key(job.reader, job.identity)
            case "withdraw":
                store.withdraw_reader_key(job.reader)
            case "pin":
                if job.identity is None:
                    raise KeyStoreError(f"{job.reader} did not say who it is: nothing can be pinned")
                store.pin_identity(job.reader, job.identity)
            case "custodian_left":
                store.custodian_left(job.who)
            case "retire":
                store.retire(job.purpose, job.version)
        return None

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._deliver(self.answer(job))

    def _next(self) -> KeyJob | None:
        while True:
            with self._changed:
                is_woken = self._changed.wait_for(lambda: bool(self._jobs) or self._is_stopping, self._flush_s)
                if is_woken:
                    return self._jobs.popleft() if self._jobs else None
            self._flush()

    def _flush(self) -> None:
        try:
            self._store.flush_uses()
        except KeyStoreError as error:
            log.warning("key store: counts were not kept: %s", error)
