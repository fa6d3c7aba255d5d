"""How much of a long test one run does: `make test` a share of it, another one each time, `make soak` all."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

IS_SOAK = "SEKISHO_SOAK" in os.environ

_PART = 5


def share(few: int, *, many: int) -> int:
    """How many times: `few` in `make test`."""
    return many if IS_SOAK else few


def some_of(places: Iterable[int]) -> list[int]:
    """A fifth of the places at which something is changed, others at each run: an assertion about one names it."""
    chosen = list(places)
    return chosen if IS_SOAK else sorted(random.sample(chosen, -(-len(chosen) // _PART)))
