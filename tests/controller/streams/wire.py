"""A wire between a sink and the other side that a test can break where it likes."""

from __future__ import annotations

import contextlib
import socket
import threading


class Wire:
    """Carries bytes to 127.0.0.1:`port` and back. What the other side answers can be lost, and the line then breaks:
    that is how records arrive that nobody knows of.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._answers_left: int | None = None
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose_answers_after(self, bytes_: int) -> None:
        """The other side's next so many bytes still come; with the one after them the line breaks, once."""
        self._answers_left = bytes_

    def close(self) -> None:
        """Cut everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            _cut(one)
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            for source, target, is_answer in ((near, far, False), (far, near, True)):
                thread = threading.Thread(target=self._carry, args=(source, target, is_answer), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if is_answer and self._answers_left is not None:
                    chunk, self._answers_left = chunk[: self._answers_left], self._answers_left - len(chunk)
                    if self._answers_left < 0:
                        self._answers_left = None
                        target.sendall(chunk)
                        break
                target.sendall(chunk)
        _cut(source)
        _cut(target)


def _cut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
