"""One of two servers of the live stream: `raw` (asyncio alone) or `ours` (the web process's application).

Prints its port and the cookie of somebody who is signed in; sends the events when told "go".
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from api.broadcast import Frame, frame_of

HOUR_MS = 3_600_000
BODY = '"type":"ACCESS_GRANTED","zone":"lab","portal":"lab-1","cardholder":"h-0001","reason":"OK"'


def frame(number: int) -> Frame:
    """Event `number`, with the moment it was made."""
    return frame_of(number, "ACCESS_GRANTED", "lab", f'{{"seq":{number},{BODY},"made_ns":{time.monotonic_ns()}}}')


def paced(send: Callable[[int], None], events: int, rate: float) -> None:
    """So many a second, once told to."""
    sys.stdin.readline()
    began = time.perf_counter()
    for number in range(events):
        left = began + number / rate - time.perf_counter()
        if left > 0:
            time.sleep(left)
        send(number)
    sys.stdin.readline()


def raw(events: int, rate: float) -> None:
    """Bytes to every open connection."""
    connections: set[asyncio.Transport] = set()

    class Each(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, _request: bytes) -> None:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            connections.add(self.transport)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Each, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], "none", flush=True)

        def write(octets: bytes) -> None:
            for one in connections:
                one.write(octets)

        sending = threading.Thread(
            target=paced, args=(lambda n: loop.call_soon_threadsafe(write, frame(n).wire), events, rate), daemon=True
        )
        sending.start()
        await server.serve_forever()

    asyncio.run(main())


def ours(folder: Path, events: int, rate: float) -> None:
    """The application as `sekisho api` runs it; events enter at its broadcast, as from the feed."""
    import uvicorn

    from api.app import create_app
    from api.settings import Settings

    settings = Settings(socket=folder / "nobody.sock", state_dir=folder, streams_max=1_000)
    cookie = _signed_in(folder)
    app = create_app(settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1_024)  # before the port is told: clients come while the application still starts
        print(listener.getsockname()[1], cookie, flush=True)

        def send(number: int) -> None:
            app.state.parts.broadcast.publish([frame(number)])

        threading.Thread(target=paced, args=(send, events, rate), daemon=True).start()
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


def _signed_in(folder: Path) -> str:
    """The cookie of an officer's session, in an api.db that has heard of him and of nobody else."""
    from api.app import API_DB
    from api.name_keys import NameKeys
    from api.names import Names
    from api.signin.keeper import COOKIE
    from api.signin.sessions import Sessions
    from api.store import open_store
    from api.view import View
    from controller.link.messages import Record

    engine = open_store(folder / API_DB)
    view = View(engine, Names(engine, NameKeys(folder, None)))
    view.follow_ledger("bench", "0" * 64, anew=True)
    post = {"id": "officer-01", "roles": ["PROTECTION_OFFICER"], "from_on": "2020-01-01", "until_on": "2099-12-31"}
    edit = {"puts": [["officer", post]], "drops": []}
    body = {"type": "POLICY_EDITED", "at_ms": 0, "detail": {"id": "bench", "edit": edit, "revision": "1" * 64}}
    leaf = json.dumps({"body": "00" * 32, "class": "policy", "seq": 0, "v": 1})
    view.apply([Record(seq=0, leaf=leaf, salt="00" * 32, body=json.dumps(body))])
    secret, _ = Sessions(engine, HOUR_MS).open(officer="officer-01", way="passkey", strength=3, agent="bench")
    engine.dispose()
    return f"{COOKIE}={secret}"


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        raw(int(sys.argv[3]), float(sys.argv[4]))
    else:
        ours(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
