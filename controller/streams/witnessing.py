"""Has one witness sign what the ledger has become, and brings its line to the controller (docs/ledger.md §8).

It proves what it sends from a tree of its own, so that a refusal is about the ledger and not about a web process that
lied. What the witness refuses is recorded once for as long as it stands (WITNESS_REFUSED); that it is away, as for any
sink (SINK_LOST); that its clock and ours differ, once until they agree again, and then that they do (CLOCK_SKEW,
ALARM_CEASED, A-26).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from controller.link.client import LinkDown
from controller.link.messages import WITNESS_WHY, Done, Refused, StreamReport
from controller.link.notes import NoteError, cosigned_at, parse_checkpoint, parse_signature, parse_size
from controller.streams.follower import Follower, Newest
from controller.streams.outages import Outages
from controller.streams.sinks import SinkDown
from controller.streams.witness_line import Answer, WitnessSection, post
from controller.streams.world import World

ROUNDS_MAX: Final = 4
"""A witness says once where it stands, and perhaps once more where another courier is quicker."""

SKEW_MS: Final = 1_000
BY_MS_MAX: Final = 10**15
"""A record holds no larger numbers than JSON's; a witness may sign any time."""

log = logging.getLogger(__name__)


class _NotSigned(Exception):
    """The witness knows another history, or not this key: one of WITNESS_WHY."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class WitnessCourier:
    """To one witness. `run` is its thread; `step` one round of it."""

    def __init__(
        self,
        section: WitnessSection,
        follower: Follower,
        world: World,
        outages: Path,
        *,
        ledger_size: Callable[[], int],
        cosign: Callable[[str], Done | Refused],
    ) -> None:
        """`outages`: the file that a standing outage is kept in. `ledger_size`: how many records the ledger has now;
        `cosign`: brings a note with the witness's line to the controller. Both raise LinkDown.
        """
        self._section = section
        self._vkey = section.checked()
        self._follower = follower
        self._world = world
        self._outages = Outages(section.name, outages, world)
        self._ledger_size = ledger_size
        self._cosign = cosign
        self._known = 0
        self._vouched = 0
        self._signed_note = ""
        self._refused = ""
        self._skew = outages.with_suffix(".skew")  # there while CLOCK_SKEW stands, so that a restart can end it
        self._is_skewed = self._skew.exists()
        self._rotations = len(follower.rotations())

    def run(self) -> None:
        """Ask every `every_s`, where the ledger has grown, until `wait` says to end."""
        while not self._world.wait(0):
            self.step()
            if self._world.wait(self._section.every_s if self._follower.newest() else 1):
                return

    def step(self) -> None:
        """Have the newest checkpoint signed, where there is one that is not."""
        newest = self._follower.newest()
        if newest is None or newest.note == self._signed_note:  # not the size: a history may be as long as another
            self._outages.report()
            return
        try:
            self._carry(newest)
        except _NotSigned as refused:
            self._not_signed(refused.code, newest.size)
        except SinkDown as down:
            self._outages.began(down, self._vouched)
        except LinkDown as down:
            log.warning("%s: %s", self._section.name, down)
        except Exception as error:  # the thread's rim: whatever it was, it is an outage, and tried again
            log.exception("%s: a mistake of ours, or a disk that fails", self._section.name)
            self._outages.began(SinkDown("fault", repr(error)), self._vouched)
        self._outages.report()

    def _carry(self, newest: Newest) -> None:
        line = self._signed(newest)
        if line is None:
            return
        answer = self._cosign(newest.note + line + "\n")
        if isinstance(answer, Refused):
            later = answer.code in ("busy", "ledger_unavailable")
            why = (
                f"it signed, and the controller refused its line ({answer.code}: {answer.why}); see [ledger] witnesses"
            )
            raise SinkDown("busy" if later else "rejected", why)
        self._vouched, self._signed_note = newest.size, newest.note
        self._refused = ""
        self._outages.caught_up(newest.size - 1)

    def _signed(self, newest: Newest) -> str | None:
        """The witness's line under the newest checkpoint; None where it is ahead of us for the moment."""
        is_told_keys = len(self._follower.rotations()) > self._rotations and self._tell_keys()
        for _ in range(ROUNDS_MAX):
            if self._known > newest.size:
                if self._known > self._ledger_size():
                    raise _NotSigned("rollback")
                return None
            answer = post(self._section, "/add-checkpoint", self._asks(newest), self._world.now_ms)
            match answer.status:
                case 200:
                    return self._taken(newest, answer)
                case 409:
                    self._learnt(newest, answer)
                case 422:
                    raise _NotSigned("not_consistent")
                case 403 | 404:
                    if is_told_keys or not self._tell_keys():
                        raise _NotSigned(answer.code if answer.code in WITNESS_WHY else "unknown_key")
                    is_told_keys = True
                case 429 | 503:
                    raise SinkDown("busy", f"{self._section.url} says: later ({answer.status})")
                case _:
                    raise SinkDown("protocol", f"{self._section.url} says {answer.status}: {answer.text[:200]!r}")
        raise SinkDown("protocol", f"{self._section.url} says each time that it stands somewhere else")

    def _asks(self, newest: Newest) -> bytes:
        proof = self._follower.consistency(self._known, newest.size)
        return "".join([f"old {self._known}\n", *(f"{one}\n" for one in proof), "\n", newest.note]).encode()

    def _learnt(self, newest: Newest, answer: Answer) -> None:
        """Where the witness stands. Raises _NotSigned where it stands where we do, and still refuses."""
        try:
            size = parse_size(answer.text.removesuffix("\n"))
        except NoteError as error:
            raise SinkDown("protocol", f"{self._section.url} says 409, and not where it stands: {error}") from error
        if size == self._known == newest.size:
            raise _NotSigned("fork")
        self._known = size

    def _tell_keys(self) -> bool:
        """Tell the witness of every rotation of the ledger's key; whether it took one. It is told when we see a new
        one, so that it need not refuse first, and whenever it does not know the key.
        """
        rotations = self._follower.rotations()
        answers = [post(self._section, "/rotate-key", one, self._world.now_ms).status for one in rotations]
        self._rotations = len(rotations)
        return 200 in answers

    def _taken(self, newest: Newest, answer: Answer) -> str:
        """The line among those that came that is the witness's, and good. Raises SinkDown where none is."""
        checkpoint = parse_checkpoint(newest.note)
        for line in answer.text.splitlines():
            try:
                at_s = cosigned_at(checkpoint, self._vkey, parse_signature(line))
            except NoteError:
                continue  # of another key of the same witness, or of nobody (tlog-witness: ignore)
            self._known = newest.size
            self._compare_clocks(at_s, answer)
            return line
        raise SinkDown("protocol", f"{self._section.url} does not sign with the key of {self._vkey.name}")

    def _not_signed(self, code: str, size: int) -> None:
        self._known = 0  # asked again next time: perhaps somebody mends it
        if code == "not_consistent" and self._follower.doubt():
            log.warning(
                "%s refuses our proof: the tree beside is built anew, and it is asked again", self._section.name
            )
            return
        log.error("%s refuses: %s (%d records)", self._section.name, code, size)
        report = StreamReport(
            id=f"{self._section.name}:{self._world.now_ms()}:{code}",
            code="WITNESS_REFUSED",
            sink=self._vkey.name,
            why=code,
            size=size,
        )
        if self._refused != code and self._world.tell(report):
            self._refused = code

    def _compare_clocks(self, at_s: int, answer: Answer) -> None:
        """Hold the signature's time against ours. It was made between sending and answer; it tells whole seconds, and
        our own witness the milliseconds beside it.
        """
        early = late = answer.at_ms
        if answer.at_ms // 1000 != at_s:
            early, late = at_s * 1000, at_s * 1000 + 999
        by_ms = min(0, answer.came_ms - early) or max(0, answer.sent_ms - late)
        by_ms = max(by_ms, -BY_MS_MAX)
        is_skewed = abs(by_ms) > SKEW_MS
        if is_skewed == self._is_skewed:
            return
        code, word = ("CLOCK_SKEW", "skew") if is_skewed else ("CLOCK_AGREES", "agrees")
        id_ = f"{self._section.name}:{self._world.now_ms()}:{word}"
        report = StreamReport(id=id_, code=code, sink=self._vkey.name, by_ms=by_ms if is_skewed else 0)
        if self._world.tell(report):
            self._remember_skew(is_skewed)

    def _remember_skew(self, is_skewed: bool) -> None:
        self._is_skewed = is_skewed
        try:
            self._skew.touch() if is_skewed else self._skew.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s: %s: %s", self._section.name, self._skew, error.strerror or error)
