"""A real uvicorn on a real port beside a stand-in for the controller; nothing of ours is replaced."""

from __future__ import annotations

import base64
import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import uvicorn

from api.app import create_app
from api.settings import Settings
from simulators.passkey import SoftPasskey


def _beside(name: str) -> Any:
    """A module of this folder that is no test: under its plain name, loaded once."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


stand_in = _beside("stand_in")
signing = _beside("signing")


def eventually(holds: Callable[[], object], timeout_s: float = 8.0) -> None:
    """Wait until `holds()` is true; the deadline is the failure."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "did not come in time"
        threading.Event().wait(0.01)


ORIGIN = "http://localhost"
COOKIE = "__Host-sekisho"
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
OFFICERS: dict[str, tuple[str, ...]] = {
    "officer-01": ("PROTECTION_OFFICER",), "officer-02": ("WORK_MANAGER",), "officer-03": ("PROTECTION_OFFICER",),
    "guard-01": ("GUARD",), "line-01": ("LINE",), "auditor-01": ("AUDITOR",), "engineer-01": ("ENGINEER",),
}  # fmt: skip
"""Who is in post in the stand-in's house; officer-02 answers for the office and all that is nested in it."""

OFFICER_OF = {roles[0]: officer for officer, roles in reversed(OFFICERS.items())}


def posts(*officers: str) -> list[tuple[str, dict[str, Any]]]:
    """The rows of these officers and of a passkey of each (all: of everybody in OFFICERS)."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for officer in officers or OFFICERS:
        row = {"id": officer, "roles": list(OFFICERS[officer]), "from_on": "2026-01-01", "until_on": "2099-12-31"}
        rows.append(("officer", row | ({"zones": ["office"]} if officer == "officer-02" else {})))
        key = SoftPasskey(officer)
        rows.append(
            (
                "officer_key",
                {
                    "id": f"k-{officer}",
                    "officer": officer,
                    "credential": key.credential,
                    "public_key": key.public_key,
                    "enrolled_on": "2026-01-01",
                },
            )
        )
    return rows


def wire(octets: bytes) -> str:
    """Bytes as browsers send them."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def unwire(text: str) -> bytes:
    """The other way."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def asserted(key: SoftPasskey, options: dict[str, Any], origin: str = ORIGIN) -> dict[str, Any]:
    """What a browser answers to `options` (of navigator.credentials.get), as JSON."""
    said = key.signs(unwire(options["challenge"]), options["rpId"], origin)
    name = wire(key.credential_id)
    return {
        "id": name, "rawId": name, "type": "public-key", "authenticatorAttachment": "platform",
        "clientExtensionResults": {},
        "response": {
            "clientDataJSON": wire(said.client_data), "authenticatorData": wire(said.authenticator_data),
            "signature": wire(said.signature), "userHandle": None,
        },
    }  # fmt: skip


def created(key: SoftPasskey, options: dict[str, Any], origin: str = ORIGIN) -> dict[str, Any]:
    """What a browser answers to `options` (of navigator.credentials.create), as JSON."""
    made = key.creates(unwire(options["challenge"]), options["rp"]["id"], origin)
    name = wire(key.credential_id)
    return {
        "id": name, "rawId": name, "type": "public-key", "clientExtensionResults": {},
        "response": {
            "clientDataJSON": wire(made.client_data), "attestationObject": wire(made.attestation_object),
            "transports": ["internal"],
        },
    }  # fmt: skip


@dataclass
class Web:
    """The web process under test, and a client that signed in as the protection officer `officer-01`."""

    settings: Settings
    controller: Any
    server: uvicorn.Server
    thread: threading.Thread
    url: str
    others: list[httpx2.Client] = field(default_factory=list)
    keys: dict[str, SoftPasskey] = field(default_factory=dict)
    kept: dict[str, httpx2.Client] = field(default_factory=dict)

    # officers sign what a test proposed (`signing.py`)
    sign = signing.sign
    signed = signing.signed
    in_force = signing.in_force
    patch = signing.patch

    @property
    def parts(self) -> Any:
        return self.server.config.app.state.parts

    @property
    def client(self) -> httpx2.Client:
        return self.as_("officer-01")

    def as_(self, who: str) -> httpx2.Client:
        """A client signed in with a passkey as the officer or the first of that role; the same one each time."""
        officer = OFFICER_OF.get(who, who)
        if officer not in self.kept:
            self.kept[officer] = self.signed_in(officer)
        return self.kept[officer]

    def key(self, officer: str) -> SoftPasskey:
        """The passkey of an officer; it counts on over this test."""
        return self.keys.setdefault(officer, SoftPasskey(officer))

    def asserted(self, officer: str, options: dict[str, Any], origin: str = ORIGIN) -> dict[str, Any]:
        """What the browser of an officer answers to `options`."""
        return asserted(self.key(officer), options, origin)

    def anonymous(self, **headers: str) -> httpx2.Client:
        self.others.append(httpx2.Client(base_url=self.url, headers=headers, timeout=15, verify=False))
        return self.others[-1]

    def page(self, cookie: str = "", **headers: str) -> httpx2.Client:
        """A browser on one of our pages, with this cookie: `Secure` keeps a client from sending it over plain HTTP."""
        shown = {"Cookie": f"{COOKIE}={cookie}"} if cookie else {}
        return self.anonymous(**OWN_PAGE, **shown, **headers)

    def sign_in(self, officer: str) -> httpx2.Response:
        """A sign-in with the officer's passkey; its answer."""
        page = self.page()
        options = page.post("/api/v1/sign-in/passkey/options").json()["publicKey"]
        return page.post("/api/v1/sign-in/passkey", json={"response": asserted(self.key(officer), options)})

    def signed_in(self, officer: str = "officer-01") -> httpx2.Client:
        """A new session, as a browser on our pages."""
        answer = self.sign_in(officer)
        assert answer.status_code == 200, answer.text
        if self.controller is not None:  # else beside a ledger of the product's writer
            self.caught_up()
            self.controller.heard[:] = [one for one in self.controller.heard if one.get("type") != "SIGN_IN"]
        return self.page(cookie_of(answer))

    def caught_up(self) -> None:
        eventually(
            lambda: self.parts.view.seq == len(self.controller.records) - 1 and self.parts.view.live.is_connected
        )

    def stop(self) -> None:
        for client in self.others:
            client.close()
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop"


def cookie_of(answer: httpx2.Response) -> str:
    """The session's secret, as an answer sets it."""
    return answer.headers["set-cookie"].partition(f"{COOKIE}=")[2].partition(";")[0]


def serve(settings: Settings, controller: Any) -> Web:
    """Start the web process for `settings`."""
    config = uvicorn.Config(
        create_app(settings), host="127.0.0.1", port=0, access_log=False, log_level="warning", lifespan="on", ws="none",
        server_header=False, timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    assert server.started, "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    return Web(settings, controller, server, thread, url)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Any]:
    """A stand-in controller with a small house, started."""
    one = stand_in.StandIn(tmp_path / "c.sock")
    one.record("CONTROLLER_STARTED")
    one.edit(*stand_in.HOUSE, *posts())
    one.start()
    yield one
    one.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(socket=tmp_path / "c.sock", state_dir=tmp_path / "api", port=0, origin=ORIGIN)


@pytest.fixture
def web(controller: Any, settings: Settings) -> Iterator[Web]:
    """The web process, up to date with the stand-in."""
    one = serve(settings, controller)
    one.caught_up()
    yield one
    one.stop()


@contextmanager
def house(folder: Path, **given: Any) -> Iterator[Web]:
    """The stand-in's house, and a web process for it with these settings, in `folder`."""
    controller = stand_in.StandIn(folder / "c.sock")
    controller.record("CONTROLLER_STARTED")
    controller.edit(*stand_in.HOUSE, *posts())
    controller.start()
    one = serve(
        Settings(socket=folder / "c.sock", state_dir=folder / "api", port=0, **{"origin": ORIGIN, **given}), controller
    )
    one.caught_up()
    try:
        yield one
    finally:
        one.stop()
        controller.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web process for the tests of a file that leave it as they found it: to begin one takes half a second."""
    with house(tmp_path_factory.mktemp("shared")) as one:
        yield one


@pytest.fixture(scope="module")
def api_kit() -> Any:
    """As `kit`, for fixtures of a whole file."""
    return SimpleNamespace(house=house, COOKIE=COOKIE)


@pytest.fixture
def kit() -> Any:
    """What tests need that start things themselves."""
    return SimpleNamespace(
        eventually=eventually, serve=serve, stand_in=stand_in, asserted=asserted, created=created, posts=posts,
        Settings=Settings, cookie_of=cookie_of, wire=wire, unwire=unwire, ORIGIN=ORIGIN, COOKIE=COOKIE,
    )  # fmt: skip
