"""readers/transports/gpio.py on gpiozero's own mock pins: real threads, no Pi."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from gpiozero import DigitalInputDevice
from gpiozero.pins.mock import MockFactory

from readers.errors import MissingDriver, TransportError
from readers.events import DeviceOffline, DeviceOnline, InputChanged, OutputReported
from readers.transports import gpio
from readers.transports.gpio import GpioPins

CONTACT, REX = 5, 6
LINES = {CONTACT: "contact", REX: "rex"}


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    made = MockFactory()
    yield made
    made.reset()


@pytest.fixture
def make(factory, told) -> Iterator[Callable[..., GpioPins]]:
    made: list[GpioPins] = []

    def make(**options: object) -> GpioPins:
        spec: dict[str, object] = {"outputs": (17, 27), "inputs": LINES, "pin_factory": factory}
        made.append(GpioPins("gpio", on_event=told, on_wake=told.wake, **(spec | options)))  # type: ignore[arg-type]
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def output(pin: int, is_on: bool) -> OutputReported:
    return OutputReported(source="gpio", is_on=is_on, channel=pin)


@pytest.mark.req("B-26")
@pytest.mark.parametrize("active_high", [True, False])
def test_relays_are_at_rest_at_the_start_and_at_the_end(make, factory, told, active_high):
    """A strike would be released while the controller starts, or for ever after it stopped."""
    pins = make(active_high=active_high)
    assert [factory.pin(pin).state for pin in (17, 27)] == [not active_high] * 2
    assert pins.release(17, 60_000)
    assert factory.pin(17).state is active_high
    told.until(output(17, True))
    states = factory.pin(17).states
    pins.close()
    assert states[-1].state is (not active_high)
    assert pins.release(17, 100) is False and pins.secure(17) is False


@pytest.mark.req("B-26")
def test_a_release_ends_without_the_loop(make, factory, told):
    """A deciding loop that hangs would hold a door open."""
    make().release(17, 80)
    told.until(output(17, True))
    told.until(output(17, False))
    assert factory.pin(17).state is False


def test_a_renewed_release_goes_on_and_an_off_ends_it(make, factory, told):
    """An unlocked portal would click, or would not lock when it is told to."""
    pins = make()
    pins.release(17, 60)
    pins.release(17, 60_000)
    pins.release(27, 60)
    told.until(output(27, False))
    assert factory.pin(17).state is True
    pins.secure(17)
    assert factory.pin(17).state is False
    pins.release(17, 60_000)
    pins.all_off()
    assert factory.pin(17).state is False


@pytest.mark.req("B-09")
def test_levels_are_reports_and_changes_are_edges(make, factory, told):
    """A contact or a REX on the controller's own pins would not be seen, or would free a strike at every start."""
    make()
    told.until(DeviceOnline(source="gpio"))
    told.until(InputChanged(source="gpio:5", line="contact", is_active=True, is_level_report=True))
    told.until(InputChanged(source="gpio:6", line="rex", is_active=False, is_level_report=True))
    factory.pin(CONTACT).drive_low()  # the leaf is closed, and its contact with it
    told.until(InputChanged(source="gpio:5", line="contact", is_active=False, is_level_report=False))
    factory.pin(CONTACT).drive_high()  # the leaf opens; so would a cut wire
    told.until(InputChanged(source="gpio:5", line="contact", is_active=True, is_level_report=False))
    factory.pin(REX).drive_low()
    told.until(InputChanged(source="gpio:6", line="rex", is_active=True, is_level_report=False))
    factory.pin(REX).drive_high()
    told.until(InputChanged(source="gpio:6", line="rex", is_active=False, is_level_report=False))


def test_without_a_pi_it_says_what_is_missing(told):
    """A technician would read "Unable to load any default pin factory"."""
    pins = GpioPins("gpio", outputs=(17,), inputs={}, on_event=told, on_wake=told.wake)
    with pytest.raises(MissingDriver, match="needs a Raspberry Pi with lgpio"):
        pins.start()
    assert pins.release(17, 100) is False


def test_without_gpiozero_it_says_what_to_install(told, monkeypatch):
    """A site without pins would not start for want of a library that it does not need, or say nothing of use."""

    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(gpio.importlib, "import_module", missing)
    with pytest.raises(MissingDriver, match="apt install python3-lgpio"):
        GpioPins("gpio", outputs=(17,), inputs={}, on_event=told, on_wake=told.wake).start()


def test_a_pin_that_is_taken_is_said_and_the_others_are_let_go(make, factory, told):
    """Two programs would pull at one strike."""
    make()
    second = GpioPins("other", outputs=(22, 17), inputs={}, on_event=told, on_wake=told.wake, pin_factory=factory)
    with pytest.raises(TransportError, match="used by another program"):
        second.start()
    third = GpioPins("third", outputs=(22,), inputs={}, on_event=told, on_wake=told.wake, pin_factory=factory)
    third.start()
    third.close()


def test_a_pin_that_breaks_is_told_and_takes_no_order(make, factory, told, monkeypatch):
    """A dead chip would look like a door that is always shut, or hold open the one that was released."""
    pins = make()
    told.until(DeviceOnline(source="gpio"))
    pins.release(17, 60_000)

    def broken(_pin: object) -> bool:
        raise OSError("gone")

    monkeypatch.setattr(DigitalInputDevice, "value", property(broken))
    told.until(DeviceOffline(source="gpio", why="pins lost: OSError"))
    assert pins.release(17, 100) is False
    monkeypatch.undo()
    assert factory.pin(17).state is False
    assert pins.secure(17) is True


def test_a_listener_that_fails_leaves_no_relay_on(factory):
    """A full inbox would hold a door open."""

    def fail(_event: object) -> None:
        raise RuntimeError

    pins = GpioPins("gpio", outputs=(17,), inputs={}, on_event=fail, on_wake=lambda: None, pin_factory=factory)
    pins.start()
    pins.release(17, 60_000)
    pins.close()
    assert pins.lost_events >= 2


def test_pins_that_nobody_declared_are_our_mistake(make):
    """A typo in the site file would switch something else."""
    with pytest.raises(ValueError, match="no relay on pin 22"):
        make().release(22, 100)
    with pytest.raises(ValueError, match="used twice"):
        make(outputs=(CONTACT,))
