"""A real uvicorn on a real port beside a stand-in for the controller; nothing of ours is replaced."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
import uvicorn

from api.app import create_app
from api.settings import Settings


def _stand_in_module() -> Any:
    spec = importlib.util.spec_from_file_location("stand_in", Path(__file__).with_name("stand_in.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["stand_in"] = module
    spec.loader.exec_module(module)
    return module


stand_in = sys.modules.get("stand_in") or _stand_in_module()


def eventually(holds: Callable[[], object], timeout_s: float = 8.0) -> None:
    """Wait until `holds()` is true; the deadline is the failure."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "did not come in time"
        threading.Event().wait(0.01)


@dataclass
class Web:
    """The web process under test, and a client with its token."""

    settings: Settings
    controller: Any
    server: uvicorn.Server
    thread: threading.Thread
    url: str
    client: httpx2.Client
    others: list[httpx2.Client] = field(default_factory=list)

    @property
    def parts(self) -> Any:
        return self.server.config.app.state.parts

    @property
    def token(self) -> str:
        return self.settings.token_path.read_text().strip()

    def anonymous(self, **headers: str) -> httpx2.Client:
        self.others.append(httpx2.Client(base_url=self.url, headers=headers, timeout=15))
        return self.others[-1]

    def signed_in(self) -> httpx2.Client:
        """A client with the page's cookie and no token."""
        client = self.anonymous()
        answer = client.get("/", params={"token": self.token})
        assert answer.status_code == 303
        return client

    def caught_up(self) -> None:
        eventually(
            lambda: self.parts.view.seq == len(self.controller.records) - 1 and self.parts.view.live.is_connected
        )

    def stop(self) -> None:
        for client in (self.client, *self.others):
            client.close()
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive(), "the server did not stop"


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
    token = settings.token_path.read_text().strip()
    client = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=15)
    return Web(settings, controller, server, thread, url, client)


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Any]:
    """A stand-in controller with a small house, started."""
    one = stand_in.StandIn(tmp_path / "c.sock")
    one.record("CONTROLLER_STARTED")
    one.edit(*stand_in.HOUSE)
    one.start()
    yield one
    one.stop()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(socket=tmp_path / "c.sock", state_dir=tmp_path / "api", port=0)


@pytest.fixture
def web(controller: Any, settings: Settings) -> Iterator[Web]:
    """The web process, up to date with the stand-in."""
    one = serve(settings, controller)
    one.caught_up()
    yield one
    one.stop()


@pytest.fixture
def kit() -> Any:
    """What tests need that start things themselves."""
    return SimpleNamespace(eventually=eventually, serve=serve, stand_in=stand_in)
