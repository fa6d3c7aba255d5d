"""The controller's own pins, through gpiozero: relays that fall by a timer of their own, inputs that are looked at.

Owns the pins and one thread. Every output is at rest before `start()` returns and before the pins are let go (B-26). A
release ends in that thread, without the deciding loop; the loop's own OFF comes besides. Inputs are sampled, not heard
by edges: a lost edge would be a contact that stays believed. Refuses to guess: without gpiozero or without a Raspberry
Pi `start()` says what to install. Real pins: NOT RUN (docs/wire/gpio.md).
"""

from __future__ import annotations

import importlib
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from readers.errors import MissingDriver, TransportError
from readers.events import DeviceOffline, DeviceOnline, Event, OutputReported
from readers.protocols.supervised import Debounced, InputPlan

SAMPLE_S: Final = 0.02
PULSE_MAX_MS: Final = 600_000


class GpioPins:
    """Pins by their GPIO (BCM) numbers, which are also the channels of outputs and the numbers of inputs.

    Args:
        source: the device's id. Inputs tell as `source:pin`.
        outputs: pins with relays.
        inputs: pin -> line, in the words of InputChanged. Each has a pull-up and a contact to ground.
        on_event: takes events, from this object's thread.
        on_wake: called after each of them.
        active_high: whether a high pin switches the relay on; many boards want it low.
        pin_factory: gpiozero's; None is the Pi's own.
    """

    def __init__(
        self,
        source: str,
        *,
        outputs: Sequence[int],
        inputs: Mapping[int, str],
        on_event: Callable[[Event], None],
        on_wake: Callable[[], None],
        active_high: bool = True,
        pin_factory: Any = None,
    ) -> None:
        if len({*outputs, *inputs}) < len(outputs) + len(inputs):
            raise ValueError(f"{source}: a pin is used twice")
        self._source = source
        self._output_pins = tuple(outputs)
        self._plans = {pin: InputPlan(number=pin, line=line) for pin, line in inputs.items()}
        self._on_event = on_event
        self._on_wake = on_wake
        self._active_high = active_high
        self._factory = pin_factory
        self._outputs: dict[int, Any] = {}
        self._inputs: dict[int, Any] = {}
        self._ends: dict[int, float] = {}
        self._changed = threading.Condition()
        self._is_running = False
        self._thread: threading.Thread | None = None
        self._lost_events = 0

    @property
    def lost_events(self) -> int:
        """Events that the listener failed to take."""
        return self._lost_events

    def start(self) -> None:
        """Take the pins, every output at rest. MissingDriver or TransportError, saying what to do."""
        gpiozero = load_gpiozero()
        try:
            self._take(gpiozero)
        except gpiozero.BadPinFactory as why:
            self._let_go()
            raise MissingDriver(
                "no pins on this machine: GPIO needs a Raspberry Pi with lgpio (apt install python3-lgpio)"
            ) from why
        except Exception as why:  # lgpio's errors have no narrower type
            self._let_go()
            raise TransportError(
                f"{self._source}: a pin cannot be had ({why}): is it used by another program?"
            ) from why
        self._is_running = True
        self._thread = threading.Thread(target=self._run, name=f"gpio {self._source}", daemon=True)
        self._thread.start()

    def release(self, pin: int, for_ms: int) -> bool:
        """The relay on for `for_ms` (at most PULSE_MAX_MS). False while the pins are not there."""
        self._fit(pin)
        with self._changed:
            if not self._is_running:
                return False
            self._ends[pin] = time.monotonic() + min(for_ms, PULSE_MAX_MS) / 1_000
            report = self._set(pin, is_on=True)
            self._changed.notify()
        return self._told(report)

    def secure(self, pin: int) -> bool:
        """The relay at rest. False while the pins are not there."""
        self._fit(pin)
        with self._changed:
            self._ends.pop(pin, None)
            report = self._set(pin, is_on=False)
        return self._told(report)

    def all_off(self) -> None:
        """Every relay at rest."""
        for pin in self._output_pins:
            self.secure(pin)

    def close(self) -> None:
        """Every relay at rest, and the pins let go."""
        with self._changed:
            self._is_running = False
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._let_go()

    def _fit(self, pin: int) -> None:
        if pin not in self._output_pins:
            raise ValueError(f"{self._source} has no relay on pin {pin}")

    def _set(self, pin: int, *, is_on: bool) -> OutputReported | None:
        """Move one relay; what its pin then shows, or None where it could not be moved."""
        device = self._outputs.get(pin)
        if device is None:
            return None
        try:
            device.value = is_on
            return OutputReported(source=self._source, is_on=bool(device.value), channel=pin)
        except Exception:  # noqa: BLE001 - lgpio's errors have no narrower type; the others must still be moved
            return None

    def _told(self, report: OutputReported | None) -> bool:
        if report is not None:
            self._tell(report)
        return report is not None

    def _take(self, gpiozero: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of every kind of Pi that this machine is not
            for pin in self._output_pins:
                self._outputs[pin] = gpiozero.DigitalOutputDevice(
                    pin, active_high=self._active_high, initial_value=False, pin_factory=self._factory
                )
            for pin in self._plans:
                self._inputs[pin] = gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=self._factory)

    def _let_go(self) -> None:
        for pin in self._outputs:
            self._set(pin, is_on=False)
        for device in (*self._outputs.values(), *self._inputs.values()):
            device.close()
        self._outputs.clear()
        self._inputs.clear()

    def _run(self) -> None:
        """Look at the inputs and end the pulses, until closed. Without inputs to look at, no relay is left on."""
        seen = {pin: Debounced(self._source, plan) for pin, plan in self._plans.items()}
        self._tell(DeviceOnline(source=self._source))
        while self._is_running:
            try:
                told: list[Event] = self._look(seen, int(time.monotonic() * 1_000))
            except Exception as why:  # noqa: BLE001 - lgpio's errors have no narrower type; the pins count as gone
                self._is_running = False
                told = [DeviceOffline(source=self._source, why=f"pins lost: {type(why).__name__}")]
                self._ends = dict.fromkeys(self._output_pins, 0.0)
            for event in (*self._end_pulses(time.monotonic()), *told):
                self._tell(event)
            with self._changed:
                if self._is_running:
                    self._changed.wait(self._patience_s())

    def _look(self, seen: Mapping[int, Debounced], now_ms: int) -> list[Event]:
        return [event for pin, one in seen.items() for event in one.sample(bool(self._inputs[pin].value), now_ms)]

    def _patience_s(self) -> float | None:
        waits = [max(0.0, end - time.monotonic()) for end in self._ends.values()]
        return min([*waits, SAMPLE_S] if self._plans else waits, default=None)

    def _end_pulses(self, now: float) -> list[Event]:
        with self._changed:
            ended = [pin for pin, end in self._ends.items() if end <= now]
            for pin in ended:
                del self._ends[pin]
            reports = [self._set(pin, is_on=False) for pin in ended]
        return [report for report in reports if report is not None]

    def _tell(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - the listener's fault must not leave a relay on; it is counted
            self._lost_events += 1
        self._on_wake()


def load_gpiozero() -> Any:
    """The module gpiozero. MissingDriver, naming what to install, when it is not there."""
    os.environ.setdefault("LG_WD", tempfile.gettempdir())  # lgpio makes a FIFO in its working folder, which may be
    try:  # read-only under systemd
        return importlib.import_module("gpiozero")
    except ImportError as why:
        raise MissingDriver(
            f"pins need gpiozero ({why}): apt install python3-lgpio, then pip install 'sekisho[gpio]'"
        ) from why
