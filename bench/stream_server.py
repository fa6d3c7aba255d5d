"""One of two servers of the live stream: `raw` (asyncio alone) or `ours` (the web process's application).

Prints its port and token; sends the events when told "go".
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from api.broadcast import Frame, frame_of

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
    from api.settings import Settings, read_token

    settings = Settings(socket=folder / "nobody.sock", state_dir=folder, streams_max=1_000)
    token = read_token(settings)
    app = create_app(settings)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1_024)  # before the port is told: clients come while the application still starts
        print(listener.getsockname()[1], token, flush=True)

        def send(number: int) -> None:
            app.state.parts.broadcast.publish([frame(number)])

        threading.Thread(target=paced, args=(send, events, rate), daemon=True).start()
        uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        raw(int(sys.argv[3]), float(sys.argv[4]))
    else:
        ours(Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
