"""What a reader shows: light, sound and words. Every refusal is the same, so that nobody learns from it (P5)."""

from __future__ import annotations

from typing import Final

from readers.protocols.osdp import commands
from readers.protocols.osdp.commands import Command
from readers.protocols.osdp.values import Signal

_SIGNALS: Final[dict[Signal, tuple[Command, ...]]] = {
    "granted": (
        commands.light(on_ms=3_000, color=commands.GREEN, for_ms=3_000),
        commands.buzzer(on_ms=100),
        commands.text("OK", for_s=3),
    ),
    "refused": (
        commands.light(on_ms=200, off_ms=200, color=commands.RED, for_ms=2_000),
        commands.buzzer(on_ms=200, off_ms=100, times=3),
        commands.text("NO ENTRY", for_s=3),
    ),
    "out_of_order": (
        commands.light(on_ms=500, off_ms=500, color=commands.AMBER, for_ms=10_000),
        commands.text("OUT OF ORDER", for_s=10),
    ),
    "enter_pin": (
        commands.light(on_ms=500, off_ms=500, color=commands.BLUE, off_color=commands.BLACK, for_ms=10_000),
        commands.buzzer(on_ms=100, off_ms=100, times=2),
        commands.text("ENTER PIN", for_s=10),
    ),
    "second_card": (
        commands.light(on_ms=300, off_ms=300, color=commands.GREEN, off_color=commands.AMBER, for_ms=10_000),
        commands.buzzer(on_ms=100, off_ms=100, times=2),
        commands.text("SECOND CARD", for_s=10),
    ),
    "not_read": (
        commands.light(on_ms=200, off_ms=200, color=commands.AMBER, for_ms=1_000),
        commands.buzzer(on_ms=100, off_ms=100, times=2),
        commands.text("AGAIN, SLOWLY", for_s=3),
    ),
}


def signal(what: Signal, number: str = "") -> tuple[Command, ...]:
    """The commands of one signal. `number`: of a refusal, to be told to an officer; every refusal has one."""
    if what == "refused" and number:
        return (*_SIGNALS[what][:-1], commands.text(f"NO ENTRY {number}", for_s=8))
    return _SIGNALS[what]
