"""What can be seen, heard and switched at an OSDP reader: lamps, buzzer, text, outputs. No I/O; time comes as ticks.

Owns what is on and until when. A timed output drops by itself, whatever happens to the line or the panel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulators.osdp.words import Colour

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT_MS = 100
LED_BYTES = 14
OUT_BYTES = 4
BUZZER_BYTES = 5
TEXT_HEAD = 6
TEMPORARY = (3, 4)


class BadRequest(Exception):
    """The command cannot be carried out: no such lamp, output or operation."""


class Face:
    """Lamps, buzzer, display and outputs of one reader. `note(what, detail, now_ms)` hears all that changes."""

    def __init__(self, *, outputs: int, leds: int, note: Callable[[str, dict[str, object], int], None]) -> None:
        self.outputs = [False] * outputs
        self.permanent = [Colour.black] * leds
        self.temporary: list[tuple[Colour, int] | None] = [None] * leds  # colour, until
        self.text = ""
        self._text_until: int | None = None
        self._lasting_text = ""
        self._note = note
        self._output_until: list[tuple[int, bool] | None] = [None] * outputs

    @property
    def colour(self) -> str:
        """What the first lamp shows now."""
        if not self.permanent:
            return Colour.black.name
        shown = self.temporary[0]
        return (shown[0] if shown is not None else self.permanent[0]).name

    def power_off(self, now_ms: int) -> None:
        """No power: everything dark, every output dropped."""
        for number in range(len(self.outputs)):
            self._output_until[number] = None
            self._switch(number, False, now_ms)
        self.permanent = [Colour.black] * len(self.permanent)
        self.temporary = [None] * len(self.temporary)
        self.text = self._lasting_text = ""
        self._text_until = None

    def deadline(self) -> int | None:
        """When the next timed thing ends."""
        ends = [one[1] for one in self.temporary if one is not None]
        ends += [one[0] for one in self._output_until if one is not None]
        if self._text_until is not None:
            ends.append(self._text_until)
        return min(ends, default=None)

    def tick(self, now_ms: int) -> bool:
        """End what is over. True = an output moved."""
        moved = False
        for number, until in enumerate(self._output_until):
            if until is not None and now_ms >= until[0]:
                self._output_until[number] = None
                self._switch(number, until[1], now_ms)
                moved = True
        for number, shown in enumerate(self.temporary):
            if shown is not None and now_ms >= shown[1]:
                self.temporary[number] = None
                self._note("led", {"led": number, "colour": self.permanent[number].name, "for_ms": 0}, now_ms)
        if self._text_until is not None and now_ms >= self._text_until:
            self._text_until, self.text = None, self._lasting_text
            self._note("text", {"text": self.text, "for_ms": 0}, now_ms)
        return moved

    def out(self, body: bytes, now_ms: int) -> None:
        """osdp_OUT: several outputs at once."""
        for at in range(0, len(body), OUT_BYTES):
            number, code = body[at], body[at + 1]
            count = int.from_bytes(body[at + 2 : at + 4], "little")
            if number >= len(self.outputs) or code > 6:
                raise BadRequest
            self._out_one(number, code, now_ms + count * UNIT_MS if count else None, now_ms)

    def _out_one(self, number: int, code: int, until: int | None, now_ms: int) -> None:
        if code == 0:
            return
        is_on = code in (2, 4, 5)
        running = self._output_until[number]
        if code in (3, 4) and running is not None:  # a lasting state, once the timed one is over
            self._output_until[number] = (running[0], is_on)
            return
        lasting = self.outputs[number] if running is None else running[1]
        self._output_until[number] = (until, lasting) if code in (5, 6) and until is not None else None
        self._switch(number, is_on, now_ms)

    def led(self, body: bytes, now_ms: int) -> None:
        """osdp_LED: temporary and permanent settings of several lamps."""
        for at in range(0, len(body), LED_BYTES):
            part = body[at : at + LED_BYTES]
            number = part[1]
            if number >= len(self.permanent) or max(part[5], part[6], part[12], part[13]) > max(Colour):
                raise BadRequest
            self._led_one(number, part, now_ms)

    def _led_one(self, number: int, part: bytes, now_ms: int) -> None:
        if part[9] == 1:
            self.permanent[number] = Colour(part[12] or part[13])
            self._note("led", {"led": number, "colour": self.permanent[number].name, "for_ms": 0}, now_ms)
        if part[2] == 1:
            self.temporary[number] = None
            self._note("led", {"led": number, "colour": self.permanent[number].name, "for_ms": 0}, now_ms)
        elif part[2] == 2:
            for_ms = int.from_bytes(part[7:9], "little") * UNIT_MS
            colour = Colour(part[5] or part[6])
            self.temporary[number] = (colour, now_ms + for_ms)
            self._note("led", {"led": number, "colour": colour.name, "for_ms": for_ms}, now_ms)

    def buzz(self, body: bytes, now_ms: int) -> None:
        """osdp_BUZ."""
        tone, on, off, count = body[1:5]
        self._note("buzzer", {"tone": tone, "on": on, "off": off, "count": count}, now_ms)

    def write(self, body: bytes, now_ms: int) -> None:
        """osdp_TEXT."""
        text = body[TEXT_HEAD : TEXT_HEAD + body[5]].decode("ascii", "replace")
        for_ms = body[2] * 1000 if body[1] in TEMPORARY else 0
        self.text = text
        if for_ms:
            self._text_until = now_ms + for_ms
        else:
            self._text_until, self._lasting_text = None, text
        self._note("text", {"text": text, "for_ms": for_ms}, now_ms)

    def _switch(self, number: int, is_on: bool, now_ms: int) -> None:
        if self.outputs[number] != is_on:
            self.outputs[number] = is_on
            self._note("output", {"output": number, "is_on": is_on}, now_ms)
