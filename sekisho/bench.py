"""One serial device on the console's bench: its port, and the product's own protocol object run on it for a while.

Owns what is said when a port cannot be had: no permission, held by which program, not there. Refuses to share a port:
the controller, or this.
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from readers.errors import TransportError
from readers.transports.serial_line import SerialLine

if TYPE_CHECKING:
    from controller.ports import WireProtocol
    from readers.events import Event
    from sekisho.spoken import Words

_CODES: Final = {
    errno.ENOENT: "no_port",
    errno.EACCES: "no_permission",
    errno.EPERM: "no_permission",
    errno.EAGAIN: "busy",
    errno.EBUSY: "busy",
    errno.EIO: "gone",
    errno.ENXIO: "gone",
    errno.ENODEV: "gone",
}
_CONTROLLER: Final = "sekisho controller"


class PortTroubleError(Exception):
    """A port cannot be had, or broke. `code` is stable, `words` say what to do."""

    def __init__(self, code: str, words: Words) -> None:
        super().__init__(words[1])
        self.code = code
        self.words = words


def now_ms() -> int:
    """The tick of the protocols."""
    return time.monotonic_ns() // 1_000_000


def opened(line: SerialLine) -> SerialLine:
    """The line, open for this program alone. PortTroubleError says why it is not."""
    try:
        line.open()
    except TransportError as error:
        raise trouble_of(line.url, error) from error
    return line


def trouble_of(path: str, error: BaseException) -> PortTroubleError:
    """What a failed port means, in words that say what to do."""
    code = next((_CODES[number] for number in _numbers_of(error) if number in _CODES), "unusable")
    if code == "busy":
        return PortTroubleError(code, busy_words(path, holder_of(path)))
    return PortTroubleError(code, _words(path, code, error))


def _numbers_of(error: BaseException | None) -> Iterator[int]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno is not None:
            yield error.errno
        error = error.__cause__ or error.__context__


def _words(path: str, code: str, error: BaseException) -> Words:
    known: dict[str, Words] = {
        "no_port": (
            f"{path} がありません。差し込みを確認し、`sekisho devices scan` で名前を調べてください",
            f"there is no port {path}: is it plugged in? `sekisho devices scan` shows the ports there are",
        ),
        "no_permission": (
            f"{path} を開く権限がありません。`usermod -aG dialout ACCOUNT` のあと、入り直してください",
            f"no permission for {path}: add your account to the group: `usermod -aG dialout ACCOUNT`, log in anew",
        ),
        "gone": (
            f"{path} の先の機器がありません。差し直してください",
            f"the device behind {path} is gone: plug it in again",
        ),
    }
    return known.get(code, (f"{path} を使えません: {error}", f"{path} cannot be used: {error}"))


def busy_words(path: str, holder: tuple[int, str] | None) -> Words:
    """Who holds a port, and what to do about it."""
    if holder is None:
        return (
            f"{path} は別のプログラムが使用中です。`fuser -v {path}` で分かります",
            f"another program holds {path}: `fuser -v {path}` names it",
        )
    number, name = holder
    if name == _CONTROLLER:
        return (
            f"{path} は制御部が使用中です。`sekisho devices show --socket` で状態を見るか、制御部を止めてください",
            f"the controller holds {path}: use `sekisho devices show --socket`, or stop the controller first",
        )
    return (
        f"{path} は {name} (プロセス {number}) が使用中です。終了してください",
        f"{name} (process {number}) holds {path}: end it first",
    )


def holder_of(path: str) -> tuple[int, str] | None:
    """Process id and name of another program that has this port open, the controller first; None where that cannot be
    seen.
    """
    port = os.path.realpath(path)
    found: list[tuple[int, str]] = []
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) != os.getpid() and _holds(folder, port):
            found.append((int(folder.name), _name_of(folder)))
    return min(found, key=lambda one: (one[1] != _CONTROLLER, one), default=None)


def _holds(folder: Path, port: str) -> bool:
    try:
        return any(str(one.readlink()) == port for one in (folder / "fd").iterdir())
    except OSError:
        return False  # it ended meanwhile, or is somebody else's


def _name_of(folder: Path) -> str:
    try:
        words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        if any(word.endswith("sekisho") for word in words) and "controller" in words:
            return _CONTROLLER
        return (folder / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "?"


class Bench:
    """Runs one protocol object on one line, for as long as somebody at the console wants.

    Args:
        line: the transport, not yet open.
        protocol: what its bytes mean.
    """

    def __init__(self, line: SerialLine, protocol: WireProtocol) -> None:
        self._line = line
        self._protocol = protocol

    def __enter__(self) -> Bench:
        opened(self._line)
        self._protocol.connection_made(now_ms())
        return self

    def __exit__(self, *_: object) -> None:
        self._protocol.connection_lost(now_ms())
        self._line.close()

    def run(self, for_s: float, on_event: Callable[[Event], object], is_over: Callable[[], bool]) -> bool:
        """Until `is_over` or the time has passed; whether it is over. PortTroubleError where the line breaks."""
        end_ms = now_ms() + int(for_s * 1000)
        try:
            while not is_over():
                if now_ms() >= end_ms:
                    return False
                self._turn(end_ms, on_event)
        except TransportError as error:
            raise trouble_of(self._line.url, error) from error
        return True

    def flush(self) -> None:
        """Send what the protocol still has to say, and wait until it has left."""
        self._send()
        end_ms = now_ms() + 500
        while self._line.wants_write and now_ms() < end_ms:
            select.select([], [self._line.fileno()], [], 0.05)
            self._line.flush()

    def _turn(self, end_ms: int, on_event: Callable[[Event], object]) -> None:
        tick_ms = now_ms()
        due_ms = self._protocol.deadline()
        if due_ms is not None and due_ms <= tick_ms:
            for event in self._protocol.tick(tick_ms):
                on_event(event)
        self._send()
        due_ms = self._protocol.deadline()
        until_ms = end_ms if due_ms is None else min(end_ms, due_ms)
        waits_s = max(0.0, min(until_ms - now_ms(), 100) / 1000)
        wanting = [self._line.fileno()] if self._line.wants_write else []
        ready, _, _ = select.select([self._line.fileno()], wanting, [], waits_s)
        if self._line.wants_write:
            self._line.flush()
        if ready:
            for event in self._protocol.receive_data(self._line.read(), now_ms()):
                on_event(event)

    def _send(self) -> None:
        if chunk := self._protocol.data_to_send():
            self._line.write(chunk)
        baud: int | None = getattr(self._protocol, "baud", None)
        if baud is not None and baud != self._line.baud and not self._line.wants_write:
            self._line.set_baud(baud)
