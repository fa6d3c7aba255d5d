"""What a courier needs of the world: time, waiting, chance, and somebody who has a report recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.link.messages import StreamReport


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`now_ms`: UTC, epoch. `wait`: up to so many seconds, True once it shall end (`threading.Event.wait`). `chance`:
    0 to 1. `tell`: has a report recorded; False where the controller did not answer, and it is tried again later.
    """

    now_ms: Callable[[], int]
    wait: Callable[[float], bool]
    chance: Callable[[], float]
    tell: Callable[[StreamReport], bool]
