"""One turn of the deciding loop: what to do at once, what to record, and what follows once that is on disk.

`urgent` effects (exits, OFFs, answers that promise nothing) never wait for a commit. Everything in `after` waits for
the record it names by index: that is promise P2, and there is no other way to release an entry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from controller.keystore.jobs import KeyJob
from controller.ledger.body import Draft
from controller.link.messages import CardShown, DeviceOrder, FromController, Invited
from controller.log_chores import DropBodies, FindExpired, LearnLog
from controller.policy_log import PolicyAt
from controller.retention import Due, Reckoning
from controller.review_chore import LearnReview
from zones.decision import Request
from zones.ids import PortalId
from zones.places import PortalMode
from zones.portal import Grant, ReleaseStrike, SecureStrike


class Shown(StrEnum):
    """What a reader may show. Every refusal about the person is REFUSED, whatever its reason (P5)."""

    GRANTED = "granted"
    REFUSED = "refused"
    OUT_OF_ORDER = "out_of_order"
    ENTER_PIN = "enter_pin"
    SECOND_CARD = "second_card"
    NOT_READ = "not_read"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowAtReader:
    """Light and sound at a reader that has them. `number`: what every refusal shows, to be told to an officer."""

    reader: str
    shown: Shown
    number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A message for one session of the link."""

    session: int
    message: FromController


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginInstall:
    """Let one reader without a key take this one, for `within_ms` at the most (B-18)."""

    reader: str
    key: bytes = field(repr=False)
    within_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndInstall:
    """No reader takes a key any more."""

    reader: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewKey:
    """Give a reader another key, inside its secure channel."""

    reader: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustReader:
    """Two people said that the reader that is there now is the right one (B-20)."""

    reader: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOff:
    """One output off, again: that it went off was not heard (B-26)."""

    device: str
    channel: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBaud:
    """Another speed for a whole bus: its readers are told, then the line follows."""

    reader: str
    baud: int


ReaderEffect = BeginInstall | EndInstall | RenewKey | TrustReader | SetBaud
LogEffect = LearnLog | FindExpired | DropBodies | LearnReview
Effect = ReleaseStrike | SecureStrike | ShowAtReader | SwitchOff | Answer | ReaderEffect | KeyJob | LogEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterGrant:
    """An entry that may be released once its record is durable, and only until `not_after_tick_ms`.

    `others`: who enters on the same decision. `asked`: what was decided (None: an officer's release), by the policy of
    `revision`: where anything changed meanwhile, it is asked again.
    """

    index: int
    portal: PortalId
    grant: Grant
    not_after_tick_ms: int
    others: tuple[Grant, ...] = ()
    reader: str | None = None
    session: int | None = None
    request_id: str = ""
    asked: Request | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRefusal:
    """A refusal is shown when its record is durable, so that it takes as long as a grant does."""

    index: int
    show: ShowAtReader


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterEdit:
    """A policy that comes into force with its record."""

    index: int
    policy: PolicyAt
    session: int | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterNote:
    """Somebody waits to hear that a record was made, or what stands in it (`told`)."""

    index: int
    session: int
    request_id: str
    told: CardShown | Invited | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterDeviceOrder:
    """What two officers do to a reader is done once it is recorded."""

    index: int
    session: int
    order: DeviceOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterRefused:
    """A request was refused; the answer is sent with the number of the record that says so."""

    index: int
    session: int
    request_id: str
    code: str
    why: str
    field: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterMode:
    """A portal that is kept released once the record of it is durable."""

    index: int
    portal: PortalId
    mode: PortalMode


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterHold:
    """A legal hold, or its end, once it is recorded."""

    index: int
    session: int
    request_id: str
    hold: str
    is_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterPurge:
    """What a purge may drop once all its records are durable: `whole`, which stands with the last of them alone.
    `reckoned`: by which time.
    """

    index: int
    request_id: str
    reckoned: Reckoning
    whole: tuple[Due, ...] = ()
    session: int | None = None


AfterLog = AfterHold | AfterPurge
After = AfterLog | AfterGrant | AfterMode | AfterRefusal | AfterEdit | AfterNote | AfterRefused | AfterDeviceOrder


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one drain of the inbox came to."""

    urgent: list[Effect] = field(default_factory=list)
    records: list[Draft] = field(default_factory=list)
    after: list[After] = field(default_factory=list)

    def record(self, draft: Draft) -> int:
        """Add a record; returns its index for an `after`."""
        self.records.append(draft)
        return len(self.records) - 1
