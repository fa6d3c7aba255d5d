"""Requests to the controller: one connection, one request at a time. Nothing is sent twice by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from api.problems import Problem
from controller.link.client import LinkClient, LinkDown
from controller.link.messages import (
    Devices,
    Done,
    Prepare,
    Prepared,
    Record,
    Refused,
    Request,
    Welcome,
)

READ_S_MAX = 5.0
"""Longest wait for somebody else's record to be read."""

STATUS_OF = {
    "protocol": 502,
    "expired": 409,
    "other_boot": 409,
    "repeated": 409,
    "stale_base": 409,
    "edit_refused": 422,
    "unknown_portal": 404,
    "protected_zone": 409,
    "zone_secured": 409,
    "locked_down": 409,
    "portal_locked": 409,
    "interlock": 409,
    "unknown_cardholder": 404,
    "fire_lasts": 409,
    "strike_offline": 503,
    "ledger_unavailable": 503,
    "busy": 503,
    "no_purpose": 422,
    "two_people": 409,
    "bad_ticket": 403,
    "unsigned": 403,
    "bad_signature": 422,
    "not_an_officer": 403,
    "self_grant": 403,
    "not_your_zone": 403,
    "not_your_role": 403,
    "not_signed_by": 422,
    "post_vacant": 409,
    "clock_untrusted": 409,
    "not_plain": 422,
    "about_himself": 409,
}
"""HTTP status of each refusal; a code that is not here is the controller's fault: 502."""


class Requests:
    """The way to ask the controller for something. Blocking; call from a worker thread."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._client = LinkClient(socket, "api")
        self._reading = threading.Lock()
        self._lock = threading.Lock()
        self._welcome: Welcome | None = None
        self._is_old = threading.Event()

    def renew(self) -> None:
        """The stream came or went: the connection here may belong to a controller that is gone. Does not wait."""
        self._is_old.set()

    def close(self) -> None:
        """End the connection."""
        self._drop()

    def welcome(self) -> Welcome:
        """A fresh greeting: the controller's boot id, size and revision now. Raises Problem 503 when it is away."""
        with self._lock:
            self._drop()
            return self._connected()

    def ask(self, make: Callable[[Welcome], Request]) -> Done | Refused:
        """Send what `make` builds for the controller's present start. Raises Problem 503 when no answer comes."""
        with self._lock:
            message = make(self._connected())
            try:
                return self._client.request(message)
            except LinkDown as error:
                self._drop()
                raise Problem("no_answer", 503, members={"id": message.id}) from error

    def prepare(self, message: Prepare) -> Prepared | Refused:
        """Rows as they can be signed: what must not be kept here is turned into hashes. Raises Problem 503."""
        with self._lock:
            self._connected()
            try:
                return self._client.prepare(message)
            except LinkDown as error:
                self._drop()
                raise Problem("no_answer", 503, members={"id": message.id}) from error

    def record(self, seq: int) -> Record:
        """Record `seq` as the ledger holds it, over a connection of its own, one at a time. Raises Problem 503."""
        if not self._reading.acquire(timeout=READ_S_MAX):
            raise Problem("busy", 503, headers={"Retry-After": "5"})
        try:
            with LinkClient(self._socket, "api-record") as client:
                for message in client.stream(seq):
                    if isinstance(message, Record) and message.seq == seq:
                        return message
                    if isinstance(message, Record) or message.size <= seq:
                        break
        except LinkDown as error:
            raise Problem("controller_away", 503) from error
        finally:
            self._reading.release()
        raise Problem("not_found", 404)

    def cosigned(self, from_size: int) -> tuple[str, ...]:
        """Checkpoints of at least `from_size` records with witnesses' lines; none where the controller cannot tell."""
        with self._lock:
            try:
                self._connected()
                return self._client.cosigned(from_size)
            except (LinkDown, Problem):
                self._drop()
                return ()

    def devices(self) -> Devices:
        """How every device stands now, by the controller's own word. Raises Problem 503 when it is away."""
        with self._lock:
            self._connected()
            try:
                return self._client.devices()
            except LinkDown as error:
                self._drop()
                raise Problem("controller_away", 503) from error

    def _connected(self) -> Welcome:
        if self._is_old.is_set():
            self._is_old.clear()
            self._drop()
        if self._welcome is None:
            try:
                self._welcome = self._client.connect()
            except LinkDown as error:
                raise Problem("controller_away", 503) from error
        return self._welcome

    def _drop(self) -> None:
        self._client.close()
        self._welcome = None


def done(answer: Done | Refused) -> Done:
    """The answer where it was carried out; else Problem with the refusal's code, words and record."""
    if isinstance(answer, Done):
        return answer
    members = {"why": answer.why, "field": answer.field, "seq": answer.seq}
    given = {name: value for name, value in members.items() if value is not None}
    raise Problem(answer.code, STATUS_OF.get(answer.code, 502), members=given)
