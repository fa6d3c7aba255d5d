"""The same card readers through libnfc (pynfc 0.1.1), in threads of their own.

pynfc loads libfreefare when it is imported and its polls block in C, so it is imported only by `start()` of a
configured reader, and nothing here is ever called from the loop. Type A only, and the number alone, as with
every UID: what pynfc can ask of a DESFire proves nothing to a site (docs/wire/pynfc.md).

Quirks of pynfc 0.1.1 that this file works around:
  - `uid` is ASCII hex; a card lying there is found again without end, a thousand times a second: `Presence` and a
  pause. - an empty field and a dead device both end a poll; libnfc's last error tells them apart. - a device that
  stops answering in the middle of a poll blocks it for ever: a second thread says so. - leaving its generator early
  leaks the tag: each poll is read to its end, and is short. - its settings pass through the process's environment:
  readers are opened one at a time. - a card that libfreefare does not know (a phone) is polled without a word until
  it is taken away: the reader counts as silent.
"""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from readers.backoff import Backoff
from readers.errors import MissingDriver, TransportError
from readers.events import CardRead, DeviceOffline, DeviceOnline, Event
from readers.protocols.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Callable

POLLS: Final = 1
POLL_UNITS: Final = 1
"""One unit is 150 ms (libnfc, nfc_initiator_poll_target): how long a poll waits for a card, and a stop for the poll."""
LOOK_AGAIN_S: Final = 0.1
SILENT_AFTER_S: Final = 5.0
FIRST_RETRY_MS: Final = 200
LAST_RETRY_MS: Final = 5_000

_OPENING: Final = threading.Lock()


class LibnfcReader:
    """One reader behind libnfc.

    Args:
        source: the device id that its events carry.
        connection: libnfc's name for it, such as `pn532_uart:/dev/serial/by-id/…:115200`.
        on_event: called in this reader's threads; must not block.
        on_wake: called after it.
    """

    def __init__(
        self, source: str, connection: str, on_event: Callable[[Event], None], on_wake: Callable[[], None]
    ) -> None:
        self._source = source
        self._connection = connection
        self._on_event = on_event
        self._on_wake = on_wake
        self._presence = Presence(absent_polls=2)
        self._stopping = threading.Event()
        self._beat = threading.Event()
        self._threads: list[threading.Thread] = []
        self._telling = threading.Lock()
        self._is_online: bool | None = None
        self._lost_events = 0

    @property
    def lost_events(self) -> int:
        """Events that `on_event` refused by raising."""
        return self._lost_events

    def start(self) -> None:
        """Begin to poll. MissingDriver when libfreefare or pynfc is not installed; RuntimeError when started."""
        if self._threads:
            raise RuntimeError("the reader is already started")
        pynfc = load_pynfc()
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._run, args=(pynfc,), name=f"libnfc-{self._source}", daemon=True),
            threading.Thread(target=self._watch, name=f"libnfc-watch-{self._source}", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = 1.0) -> None:
        """End polling; waits at most `within_s` for each thread and leaves one that hangs in C behind (it is a
        daemon).
        """
        self._stopping.set()
        self._beat.set()
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join(within_s)

    def _run(self, pynfc: ModuleType) -> None:
        backoff = Backoff(FIRST_RETRY_MS, LAST_RETRY_MS)
        while not self._stopping.is_set():
            try:
                self._poll_until_broken(pynfc, backoff)
            except TransportError as why:
                self._beat.set()
                self._turn(is_online=False, why=str(why))
            self._stopping.wait(backoff.next_ms() / 1_000)

    def _poll_until_broken(self, pynfc: ModuleType, backoff: Backoff) -> None:
        device = _open(pynfc, self._connection)
        while not self._stopping.is_set():
            for target in device.poll(times=POLLS, delay=POLL_UNITS):
                self._alive(backoff)
                self._found(target)
                if self._stopping.wait(LOOK_AGAIN_S):
                    return
            if pynfc.nfc.nfc_device_get_last_error(device.pdevice) != 0:
                raise TransportError("no answer")
            self._alive(backoff)
            self._presence.empty(self._connection)

    def _alive(self, backoff: Backoff) -> None:
        backoff.reset()
        self._beat.set()
        self._turn(is_online=True)

    def _found(self, target: Any) -> None:
        try:
            number = bytes.fromhex(target.uid.decode("ascii"))
        except ValueError:
            return  # libfreefare had no UID to tell; nothing was read
        if number and self._presence.found(self._connection, "iso14443a", number):
            self._tell(CardRead(source=self._source, number=number, kind="iso14443a"))

    def _watch(self) -> None:
        while not self._stopping.is_set():
            if self._beat.wait(SILENT_AFTER_S):
                self._beat.clear()
                self._stopping.wait(LOOK_AGAIN_S)
            elif not self._stopping.is_set():
                self._turn(is_online=False, why="no answer")

    def _turn(self, *, is_online: bool, why: str = "") -> None:
        with self._telling:
            if self._is_online is is_online:
                return
            self._is_online = is_online
            event = DeviceOnline(source=self._source) if is_online else DeviceOffline(source=self._source, why=why)
            self._tell(event)

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - the listener's fault must not end the reader; it is counted
            self._lost_events += 1
        self._on_wake()


def load_pynfc() -> ModuleType:
    """The module pynfc. MissingDriver, naming the Debian package, when it or the library behind it is not installed."""
    try:
        return importlib.import_module("pynfc")
    except OSError as why:
        raise MissingDriver(f"libnfc readers need libfreefare ({why}): apt install libfreefare-dev") from why
    except ImportError as why:
        raise MissingDriver(
            f"libnfc readers need pynfc ({why}): apt install libfreefare-dev, then pip install pynfc==0.1.1"
        ) from why


def _open(pynfc: ModuleType, connection: str) -> Any:
    """pynfc raises a bare Exception when libnfc cannot open the device."""
    with _OPENING:
        try:
            return pynfc.Nfc(connection, log_level=0)
        except Exception as why:  # it has no narrower type
            raise TransportError("cannot open the reader") from why
