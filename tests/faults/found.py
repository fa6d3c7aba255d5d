"""What every fault is told by: where it looks, how much of it, and what is said when the ledger did not stand it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.ledger.body import Draft, Evidence, Scribe
from controller.ledger.checkpoint import Notary, SigningKey
from controller.ledger.store import Ledger
from sekisho.verify import Report, parse_key, verify_file
from zones.moment import Moment

ORIGIN = "sekisho.example/faults"
KEY = SigningKey.from_seed(b"made-up seed of tests/faults, 32")
TYPES = ("ACCESS_GRANTED", "ACCESS_DENIED", "PASSAGE", "DOOR_CLOSED", "REX")
_START = datetime(2026, 11, 2, tzinfo=UTC)


class FaultFound(AssertionError):
    """The ledger did not stand a fault. Says what, and with which seed to see it again."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """`folder`: empty, on the disk that is tried. `seed`: of everything that is drawn. `count`: how many moments,
    cuts or bits.
    """

    folder: Path
    seed: int
    count: int
    progress: Callable[[int], None] = lambda _done: None

    @property
    def die(self) -> random.Random:
        """The same one at every asking."""
        return random.Random(self.seed)


@contextmanager
def named(what: str, ask: Ask) -> Iterator[None]:
    """Whatever goes wrong within is told with the seed that brings it back."""
    try:
        yield
    except Exception as error:
        raise FaultFound(f"{what}: {type(error).__name__}: {error} (seed {ask.seed})") from error


def opened(path: Path) -> Ledger:
    """The product's ledger at `path`, with salts that are the same each time, so that a seed brings back every byte."""
    return Ledger.open(path, KEY, ORIGIN, random.Random(ORIGIN).randbytes)


def drafts(first: int, count: int) -> list[Draft]:
    """`count` records of made-up events, the ones from number `first` on; each starts what the next one ends."""
    scribe = Scribe(node="faults", boot="0badcafe")
    return [_draft(scribe, number) for number in range(first, first + count)]


def _draft(scribe: Scribe, number: int) -> Draft:
    now = Moment(at=_START + timedelta(milliseconds=250 * number), tick_ms=250 * number)
    if number == 0:
        return scribe.draft("CONTROLLER_STARTED", now=now, detail={"version": "1", "is_simulated": True})
    type_ = TYPES[number % len(TYPES)] if number >= len(TYPES) else "REX"  # no passage before the first grant
    corr = f"0badcafe-{number // len(TYPES)}"
    place = {"zone": "lab", "portal": "lab-1"}
    if type_ in ("DOOR_CLOSED", "REX"):
        return scribe.draft(type_, now=now, **place)
    if type_ == "PASSAGE":
        return scribe.draft(type_, now=now, corr=corr, cardholder="h-0001", direction="IN", **place)
    evidence = Evidence(method="UID", factors=0, last4=f"{number % 65536:04x}")
    said = {"access_point": "lab-1:in", "cardholder": "h-0001", "evidence": evidence, "detail": {"device": "rd-1"}}
    if type_ == "ACCESS_GRANTED":
        return scribe.draft(type_, now=now, corr=corr, outcome="GRANTED", reason="OK", **place, **said)
    return scribe.draft(type_, now=now, outcome="DENIED", reason="NOT_ON_ROSTER", **place, **said)


VKEY = parse_key(Notary(origin=ORIGIN, key=KEY).vkey)
"""As the verifier reads it."""


def verified(path: Path, checkpoint: str | None = None) -> Report:
    """What the auditor's verifier says of a closed ledger, against a checkpoint that was kept outside."""
    return verify_file(path, VKEY, checkpoint=None if checkpoint is None else checkpoint.encode())
