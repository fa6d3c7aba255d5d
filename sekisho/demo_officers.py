"""The demo's officers: two who are made of software, enrolled at the console like real ones. They enter the made-up
people, both sign, and stay: what waits in the inbox for ten seconds they sign, so that a visitor sees four eyes work.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from controller.link.client import LinkClient
from controller.link.messages import OfficerOrder, Refused
from simulators.passkey import SoftPasskey

SIMULATED: Final = ("officer-01", "officer-02")
VISITOR: Final = "officer-you"
POSTS: Final = ("WORK_MANAGER", "PROTECTION_OFFICER")
DIGEST: Final = "SEKISHO_DEMO_LINK"
"""Where the demo's page finds by which link its visitor comes (`sekisho.demo_api`): SHA-256, in its environment."""

THINKS_S: Final = 10.0
"""How long a simulated officer looks at a change before he signs it."""

LOOKS_EACH_S: Final = 2.0
ORDER_MS: Final = 10_000
READY_S_MAX: Final = 20.0


class Unwilling(Exception):
    """The page or the controller said no; what it said."""


def wire(octets: bytes) -> str:
    """Bytes as browsers send them."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unwire(text: str) -> bytes:
    """The other way."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class SoftOfficer:
    """One officer at a browser of his own, with a passkey of software."""

    id: str
    origin: str
    passkey: SoftPasskey = field(default_factory=lambda: SoftPasskey(secrets.token_hex(16)))
    cookie: str = ""
    _etag: str = ""

    def enrol(self, socket: Path) -> None:
        """In at the console, as the first two of every site. Raises Unwilling."""
        with LinkClient(socket, "sekisho demo") as client:
            order = OfficerOrder(
                id=secrets.token_hex(16), boot=client.connect().boot, act="invite", officer=self.id, roles=POSTS,
                not_after_ms=time.time_ns() // 1_000_000 + ORDER_MS,
            )  # fmt: skip
            answer = client.invite(order)
        if isinstance(answer, Refused):
            raise Unwilling(f"{self.id}: {answer.why}")
        options = self.asks("POST", "/enrolment/options", {"ticket": answer.ticket})["publicKey"]
        made = self.passkey.creates(unwire(options["challenge"]), options["rp"]["id"], self.origin)
        parts = {"clientDataJSON": wire(made.client_data), "attestationObject": wire(made.attestation_object)}
        self.asks("POST", "/enrolment", {"ticket": answer.ticket, "response": self._credential(parts)})

    def sign_in(self) -> None:
        """With the passkey, as soon as the page knows it. Raises Unwilling."""
        deadline = time.monotonic() + READY_S_MAX
        while True:
            options = self.asks("POST", "/sign-in/passkey/options", {})["publicKey"]
            try:
                self.asks("POST", "/sign-in/passkey", {"response": self._assertion(options)})
            except Unwilling:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def signs(self, proposal: dict[str, Any]) -> dict[str, Any]:
        """One change, where he is asked to. Raises Unwilling."""
        now: dict[str, Any] = self.asks("GET", f"/proposals/{proposal['id']}")
        if now["publicKey"] is None:
            return now
        signed = self._assertion(now["publicKey"])
        done: dict[str, Any] = self.asks("POST", f"/proposals/{now['id']}/signature", signed)
        return done

    def etag(self, path: str) -> str:
        """What a change of the row at `path` must name, so that it is held against what was seen. Raises Unwilling."""
        self.asks("GET", path)
        return self._etag

    def asks(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """One request, as the page's own script makes it. Raises Unwilling."""
        request = urllib.request.Request(f"{self.origin}/api/v1{path}", method=method)  # noqa: S310 - our own
        request.add_header("Sec-Fetch-Site", "same-origin")
        request.add_header("Accept-Language", "en")
        for name, value in headers.items():
            request.add_header(name, value)
        if self.cookie:
            request.add_header("Cookie", self.cookie)
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own http address
                self.cookie = (answer.headers.get("Set-Cookie") or self.cookie).partition(";")[0]
                self._etag = answer.headers.get("ETag") or ""
                said = answer.read()
        except urllib.error.HTTPError as error:
            raise Unwilling(f"{method} {path}: {error.read().decode(errors='replace')}") from error
        except OSError as error:
            raise Unwilling(f"{method} {path}: {error}") from error
        return json.loads(said) if said else None

    def _assertion(self, options: dict[str, Any]) -> dict[str, Any]:
        made = self.passkey.signs(unwire(options["challenge"]), options["rpId"], self.origin)
        return self._credential(
            {
                "clientDataJSON": wire(made.client_data), "authenticatorData": wire(made.authenticator_data),
                "signature": wire(made.signature),
            }
        )  # fmt: skip

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        name = wire(self.passkey.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}


class SimulatedOfficers:
    """Both of them. `start` and `enter` raise Unwilling; `watch` signs in a thread of its own until `stop`."""

    def __init__(self, origin: str, socket: Path, say: Callable[[str], None]) -> None:
        self._socket = socket
        self._say = say
        self.both = tuple(SoftOfficer(name, origin) for name in SIMULATED)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """In at the console, then signed in."""
        for officer in self.both:
            officer.enrol(self._socket)
        for officer in self.both:
            officer.sign_in()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A change, begun by the first and signed by as many as it takes. Raises Unwilling where it is not in force."""
        told: dict[str, Any] = self.both[0].asks("POST", path, body)
        for officer in self.both[: told["signers_needed"]]:
            told = officer.signs(told)
        if told["state"] != "IN_FORCE":
            raise Unwilling(f"{path}: {told['state']} {told['refusal'] or told['hindrance']}")
        return told

    def invite(self, today: date) -> str:
        """The visitor gets the same posts; the link by which he enrols a passkey of his own."""
        period = {"from_on": today.isoformat(), "until_on": (today + timedelta(days=365)).isoformat()}
        row = {"id": VISITOR, "roles": list(POSTS), **period}
        self.post("/proposals", {"puts": [{"table": "officer", "row": row}], "reason": "enrolment"})
        link: str = self.both[0].asks("POST", f"/officers/{VISITOR}/invitation")["link"]
        return link

    def watch(self) -> None:
        """From now on whatever waits is signed, one signature each THINKS_S."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sign nothing more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5)

    def _watch(self) -> None:
        seen: dict[str, tuple[int, float]] = {}
        while not self._stopping.wait(LOOKS_EACH_S):
            with suppress(Unwilling):  # the page is away for a moment, or a session ran out: look again
                self._look(seen)

    def _look(self, seen: dict[str, tuple[int, float]]) -> None:
        try:
            waiting = self.both[0].asks("GET", "/proposals?state=open")["items"]
        except Unwilling:
            for officer in self.both:
                officer.sign_in()
            raise
        for one in waiting:
            count, since = seen.get(one["id"], (-1, 0.0))
            if count != len(one["signed"]):
                seen[one["id"]] = len(one["signed"]), time.monotonic()
            elif time.monotonic() - since >= THINKS_S:
                self._sign_one(one)

    def _sign_one(self, one: dict[str, Any]) -> None:
        signed = {by["officer"] for by in one["signed"]}
        for officer in self.both:
            if officer.id not in signed:
                now = officer.signs(one)
                if officer.id in {by["officer"] for by in now["signed"]}:
                    self._say(f"  {officer.id} (模擬 / simulated) 署名 / signed {one['id']}: {now['state']}")
                    return
