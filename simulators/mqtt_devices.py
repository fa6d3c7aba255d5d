"""Simulated MQTT devices at the wall: a card reader, with or without keypad, and a door controller (relay, supervised
input lines, people counter).

Owns what a device remembers: what it shows, whether its relay is on and until when, which commands it ignored.
The relay drops its strike by itself after `for_ms`, whatever happens to the broker or the controller.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING

from simulators import mqtt_codec as codec
from simulators.mqtt_session import Heard, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulators.journal import Journal
    from simulators.loop import Alarm, Loop


LEVEL_LINES = ("contact", "tamper", "fire", "power")  # retained; a press of REX never is


def wall_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


class _Device:
    """What both kinds share: identity, message ids, the ignored count."""

    def __init__(
        self,
        device: str,
        *,
        loop: Loop,
        journal: Journal,
        broker: tuple[str, int],
        listens_to: str,
        now_wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self.device = device
        self.ignored: Counter[str] = Counter()
        self.journal = journal
        self.now_wall_ms = now_wall_ms
        self._ear = codec.Ear()
        self._ids = (f"{now_wall_ms():x}-{number}" for number in itertools.count(1))
        self.session = Session(
            device,
            loop=loop,
            host=broker[0],
            port=broker[1],
            listens_to=codec.topic(device, listens_to),
            on_heard=self.on_heard,
            on_up=self.on_up,
        )

    def next_id(self) -> str:
        """A message id never used before, also not before a restart (the device's clock is part of it)."""
        return next(self._ids)

    def on_heard(self, heard: Heard) -> None:
        """A message came on the subscribed topic."""
        raise NotImplementedError

    def on_up(self) -> None:
        """Connected, or connected again."""

    def ignore(self, what: codec.Ignored) -> None:
        """Count and note a message that was not acted on."""
        self.ignored[what.why] += 1
        self.journal.note("ignored", self.device, why=what.why)

    def send(self, payload: bytes, *parts: str, is_retained: bool = False) -> bool:
        """Publish now or never; a loss is noted."""
        is_sent = self.session.publish(codec.topic(self.device, *parts), payload, is_retained=is_retained)
        if not is_sent:
            self.journal.note("unsent", self.device, topic="/".join(parts))
        return is_sent


class MqttReader(_Device):
    """A reader that publishes card numbers, and digits where it has a keypad, and shows what it is told."""

    def __init__(
        self,
        device: str,
        *,
        loop: Loop,
        journal: Journal,
        broker: tuple[str, int],
        has_keypad: bool = False,
        now_wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        super().__init__(device, loop=loop, journal=journal, broker=broker, listens_to="show", now_wall_ms=now_wall_ms)
        self.has_keypad = has_keypad
        self.shown: str | None = None
        self.number = ""  # of the refusal that is shown
        self.last_card = ""  # hexadecimal: whoever types now has shown this one

    def present(self, number: bytes, *, read_id: str | None = None, at_ms: int | None = None) -> bool:
        """Publish a card read; False = not sent. `read_id`, `at_ms`: given only to make them wrong."""
        payload = codec.encode_card(
            message_id=read_id or self.next_id(), number=number, at_ms=self.now_wall_ms() if at_ms is None else at_ms
        )
        self.last_card = number.hex().upper()
        is_sent = self.send(payload, "card")
        if is_sent:
            self.journal.note("card", self.device, number=number.hex())
        return is_sent

    def enter(self, digits: str, *, read_id: str | None = None, at_ms: int | None = None) -> bool:
        """Publish digits and the confirming key; False = not sent. ValueError: no such keys, or no keypad. Only their
        number is noted.
        """
        if not self.has_keypad:
            raise ValueError(f"reader {self.device!r} has no keypad")
        payload = codec.encode_keys(
            message_id=read_id or self.next_id(), digits=digits, at_ms=self.now_wall_ms() if at_ms is None else at_ms
        )
        is_sent = self.send(payload, "keys")
        if is_sent:
            self.journal.note("keys", self.device, length=len(digits))
        return is_sent

    def on_heard(self, heard: Heard) -> None:
        """…/show"""
        said = self._ear.show(heard.payload, is_retained=heard.is_retained, now_wall_ms=self.now_wall_ms())
        if isinstance(said, codec.Ignored):
            self.ignore(said)
            return
        self.shown, self.number = said.show, said.number
        self.journal.note(
            "show", self.device, show=said.show, number=said.number, id=said.id, payload_bytes=len(heard.payload)
        )


class MqttDoor(_Device):
    """A door controller on its own battery: a relay (where `has_strike`), a people counter (where `has_counter`), and
    supervised lines: contact, REX, and terminals for tamper, fire and power. A terminal on which nothing ever happened
    says nothing.
    """

    def __init__(  # noqa: PLR0913 - one argument a fact about a device, all by name
        self,
        device: str,
        *,
        loop: Loop,
        journal: Journal,
        broker: tuple[str, int],
        has_strike: bool = True,
        has_counter: bool = False,
        on_strike: Callable[[bool], None] = lambda _is_on: None,
        now_wall_ms: Callable[[], int] = wall_ms,
    ) -> None:
        super().__init__(
            device, loop=loop, journal=journal, broker=broker, listens_to="command", now_wall_ms=now_wall_ms
        )
        self.is_strike_on = False
        self._has_strike = has_strike
        self.on_strike = on_strike
        self._loop = loop
        self._auto_off: Alarm | None = None
        self.has_counter = has_counter
        self._levels = {"contact": False}
        self.faults: dict[str, str] = {}

    def line(self, line: str, is_active: bool) -> None:
        """What hangs on `line` changed; nobody hears of it while its loop is cut or short. From the loop's thread."""
        self._levels[line] = is_active
        if line not in self.faults:
            self._report(line)

    def contact(self, is_open: bool) -> None:
        """The leaf's contact changed. From the loop's thread."""
        self.line("contact", is_open)

    def rex(self, is_pressed: bool) -> None:
        """The request-to-exit line changed. From the loop's thread."""
        self.line("rex", is_pressed)

    def break_loop(self, line: str, fault: str | None) -> None:
        """Cut or short the loop of a line ("cut", "short"), or mend it (None). From the loop's thread."""
        if fault is None:
            self.faults.pop(line, None)
        else:
            self.faults[line] = fault
        self._levels.setdefault(line, False)
        self._report(line)

    def count(self, people: int) -> bool:
        """The people counter saw so many pass; False = not sent. ValueError: too many at once, or no counter."""
        if not self.has_counter:
            raise ValueError(f"door controller {self.device!r} has no people counter")
        payload = codec.encode_count(message_id=self.next_id(), count=people, at_ms=self.now_wall_ms())
        is_sent = self.send(payload, "count")
        if is_sent:
            self.journal.note("count", self.device, people=people)
        return is_sent

    def on_up(self) -> None:
        """Tell the levels: whoever missed a change learns the truth."""
        for line in self._levels:
            if line in LEVEL_LINES:
                self._report(line)

    def on_heard(self, heard: Heard) -> None:
        """…/command"""
        said = self._ear.command(heard.payload, is_retained=heard.is_retained, now_wall_ms=self.now_wall_ms())
        if not self._has_strike and not isinstance(said, codec.Ignored):
            said = codec.Ignored(why="no_strike")
        if isinstance(said, codec.Ignored):
            self.ignore(said)
            return
        self._disarm()
        if isinstance(said, codec.Release):
            self._auto_off = self._loop.call_in(said.for_ms, self._drop)
        self._strike(isinstance(said, codec.Release), said.id)

    def _drop(self) -> None:
        self._auto_off = None
        self._strike(False, "")

    def _disarm(self) -> None:
        if self._auto_off is not None:
            self._auto_off.cancel()
            self._auto_off = None

    def _strike(self, is_on: bool, command_id: str) -> None:
        is_change, self.is_strike_on = is_on != self.is_strike_on, is_on
        if is_change:
            self.journal.note("relay", self.device, is_on=is_on, id=command_id)
            self.on_strike(is_on)
        self.send(codec.encode_done(command_id=command_id, is_on=is_on), "done")

    def _report(self, line: str) -> None:
        fault = self.faults.get(line)
        if fault is None:
            payload = codec.encode_input(
                message_id=self.next_id(), is_active=self._levels[line], at_ms=self.now_wall_ms()
            )
        else:
            payload = codec.encode_fault(message_id=self.next_id(), fault=fault, at_ms=self.now_wall_ms())
        self.send(payload, "input", line, is_retained=line in LEVEL_LINES)
