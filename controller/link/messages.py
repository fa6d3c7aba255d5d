"""What the two processes say to each other, over one Unix socket: newline-delimited JSON, one message a line.

The web process proposes, commands, asks for records to be made and subscribes; the controller answers with ledger
sequence numbers. Nothing here opens anything by being received: a command carries an id, the controller's boot id and
an expiry, and one that is late, repeated or from another boot is recorded as refused (design §3).

Unknown fields and oversized lines are refused by the decoder, on both sides.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

LINE_BYTES_MAX: Final = 64 * 1024
"""Longest line the controller accepts from a client."""

ANSWER_BYTES_MAX: Final = 1024 * 1024
"""Longest line a client accepts from the controller (a site's first policy record is the largest)."""

PROTOCOL: Final = 1


class Message(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="is", omit_defaults=True
):
    """Base of all messages; the wire carries the class's tag in `is`."""


# -- web process to controller ------------------------------------------------------------------------------------


class Hello(Message, tag="hello", frozen=True, kw_only=True):
    """First line of a client. `client` names the program, for the record."""

    client: str
    protocol: int = PROTOCOL


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One officer's passkey said yes to one change: a WebAuthn assertion, its parts in hex. `credential`: which one.
    Its challenge is `controller.link.challenge.change_challenge`.
    """

    credential: str
    client_data: str
    authenticator_data: str
    signature: str


class Propose(Message, tag="propose", frozen=True, kw_only=True):
    """A change of policy, signed. `puts`: [table, row] pairs, rows as in `controller.link.rows`, with card numbers and
    PINs as Prepare gave them back; "@1" and "@2" in a field that names who did it stand for the first and the second
    who signed. `base`: the revision it was made against (hex); `reason`: one of EDIT_REASONS; `officer`: who sends it.
    """

    id: str
    base: str
    not_after_ms: int
    puts: list[tuple[str, dict[str, Any]]]
    officer: str
    reason: str = "other"
    signatures: tuple[Signature, ...] = ()


class Prepare(Message, tag="prepare", frozen=True, kw_only=True):
    """Give these rows the form in which they can be signed and recorded: card numbers in clear (`number`, hex, of a
    credential) become keyed hashes, digits (`pin`, `duress`) slow ones. Changes nothing; answered with Prepared.
    """

    id: str
    puts: list[tuple[str, dict[str, Any]]]
    officer: str


class OfficerOrder(Message, tag="officer_order", frozen=True, kw_only=True):
    """An officer is let in at the console itself (docs/officers.md §2). `act`: "invite" names one of the first two and
    his posts; "reset" lets an officer who is there enrol another passkey in place of all he has. Answered with Invited.
    """

    id: str
    boot: str
    not_after_ms: int
    act: str
    officer: str
    roles: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    cardholder: str | None = None


class EnrolKey(Message, tag="enrol_key", frozen=True, kw_only=True):
    """The passkey of somebody who was invited at the console. `ticket`: what the console printed. `client_data`,
    `authenticator_data`: of the WebAuthn registration, in hex; its challenge is `enrolment_challenge`.
    """

    id: str
    ticket: str
    client_data: str
    authenticator_data: str
    officer: str = "console"


class Suggest(Message, tag="suggest", frozen=True, kw_only=True):
    """A change made ready at the console, for officers to look at and sign on their pages: recorded, and no more than
    that. `puts` as of Propose.
    """

    id: str
    puts: list[tuple[str, dict[str, Any]]]
    officer: str
    reason: str = "other"


class AwaitCard(Message, tag="await_card", frozen=True, kw_only=True):
    """Tell what card is held to `reader` next, instead of deciding about it, where it is nobody's card: for enrolment.
    For at most `for_ms`. Answered with CardShown, or Refused.
    """

    id: str
    reader: str
    officer: str
    for_ms: int = 30_000


class HandleAlarm(Message, tag="handle_alarm", frozen=True, kw_only=True):
    """An officer says what an alarm was: `kind` and `row` as in the alarm's record (`row`: its portal, zone, device or
    what it is about), `cause` one of ALARM_CAUSES, `note` in his words (held against E-01). It is closed when its cause
    is over too. `seq`: the newest record of it that was before him; what came later he has not seen.
    """

    id: str
    kind: str
    row: str
    cause: str
    note: str
    officer: str
    seq: int


class ReviewLog(Message, tag="review_log", frozen=True, kw_only=True):
    """An auditor has looked through the records up to `to_seq` (A-15). `outcome`: one of REVIEW_OUTCOMES; `incident`:
    the code of an incident that follows from it. From where on is what the last review ended with.
    """

    id: str
    to_seq: int
    outcome: str
    officer: str
    incident: str | None = None


class Command(Message, tag="command", frozen=True, kw_only=True):
    """A momentary release of `portal`, entry direction, with a reason code. Expires after `not_after_ms` (epoch)."""

    id: str
    boot: str
    not_after_ms: int
    portal: str
    reason: str
    officer: str


class Order(Message, tag="order", frozen=True, kw_only=True):
    """Something an officer may do at once: `act` is one of ORDERS, `cardholder` whom it is about (None: everybody, or
    nobody). Expires after `not_after_ms` (epoch).
    """

    id: str
    boot: str
    not_after_ms: int
    act: str
    officer: str
    cardholder: str | None = None


class DeviceOrder(Message, tag="device_order", frozen=True, kw_only=True):
    """Something done to a reader or its keys, at the controller itself: taken only from a program that runs as the
    controller's account or root (B-18). `act` is one of DEVICE_ORDERS, `device` the reader; `officer` asks for it, and
    `second` agrees where two people are needed. `minutes`: how long install mode may last, 1 to 10. `who`: the
    custodian who left, of `custodian_left`. `purpose`, `version`: of a card key (`rotate_key`, `retire_key`). `baud`:
    bits per second that a bus shall have (`set_baud`). Expires after `not_after_ms` (epoch).
    """

    id: str
    boot: str
    not_after_ms: int
    act: str
    officer: str
    device: str = ""
    second: str | None = None
    minutes: int = 10
    who: str | None = None
    purpose: str | None = None
    version: int = 0
    baud: int = 0


class AskDevices(Message, tag="ask_devices", frozen=True, kw_only=True):
    """How every device stands. Answered with Devices; nothing about people is in it, and nothing is recorded."""

    id: str


class Note(Message, tag="note", frozen=True, kw_only=True):
    """Please record that something happened in the web process (a view, a sign-in, an export). `cardholder`: at whose
    history somebody looks, for which `purpose` (one of PURPOSES; of FORGOTTEN, of FORGET_REASONS); `second`: who
    agreed, where two are needed; `count`: how many people it was about. `controller.notes` says which kind needs what.
    """

    id: str
    type: str
    officer: str
    cardholder: str | None = None
    purpose: str | None = None
    second: str | None = None
    count: int | None = None


class LogOrder(Message, tag="log_order", frozen=True, kw_only=True):
    """Something done to the log itself, at the console alone and by an auditor alone (A-29). `act` is one of
    LOG_ORDERS; `hold` names a legal hold, over what was recorded from `from_ms` until `until_ms` (None: for good).
    `second` agrees where LOG_ORDERS says that two people are needed. Expires after `not_after_ms` (epoch).
    """

    id: str
    boot: str
    not_after_ms: int
    act: str
    officer: str
    second: str | None = None
    hold: str = ""
    from_ms: int = 0
    until_ms: int | None = None


class StreamReport(Message, tag="stream_report", frozen=True, kw_only=True):
    """What the program that carries records outside saw: `code` is one of STREAM_REPORTS, the other fields are those
    of the record of that type. `sink`: which sink or witness. `by_ms`: our clock's time minus the other's.
    """

    id: str
    code: str
    sink: str
    officer: str = "streams"
    why: str = ""
    from_seq: int = 0
    to_seq: int = 0
    for_ms: int = 0
    size: int = 0
    by_ms: int = 0


class Cosign(Message, tag="cosign", frozen=True, kw_only=True):
    """A checkpoint of this ledger with a witness's line under it (docs/ledger.md §8). Answered with Done (`seq`: the
    last record it vouches for) or Refused.
    """

    id: str
    note: str


class AskCosigned(Message, tag="ask_cosigned", frozen=True, kw_only=True):
    """Cosigned checkpoints from `from_size` on, the oldest first. Answered with Cosigned."""

    id: str
    from_size: int = 0


class Subscribe(Message, tag="subscribe", frozen=True, kw_only=True):
    """Send every record from sequence number `from_seq` on, then keep sending."""

    from_seq: int


# -- controller to web process ------------------------------------------------------------------------------------


class Welcome(Message, tag="welcome", frozen=True, kw_only=True):
    """Answer to Hello. `size`: records in the ledger; `revision`: policy in force; `vkey`: the ledger's public key."""

    node: str
    boot: str
    size: int
    revision: str
    vkey: str
    protocol: int = PROTOCOL


class Done(Message, tag="done", frozen=True, kw_only=True):
    """The request `id` is recorded under `seq` and in force. `revision` is set where policy changed."""

    id: str
    seq: int
    revision: str | None = None


class Refused(Message, tag="refused", frozen=True, kw_only=True):
    """The request `id` was not carried out. `code` is stable; `why` is for a reader; `seq` where a record was made."""

    id: str
    code: str
    why: str
    field: str | None = None
    seq: int | None = None


class Prepared(Message, tag="prepared", frozen=True, kw_only=True):
    """Answer to Prepare: the same rows, as they can be signed and recorded."""

    id: str
    puts: list[tuple[str, dict[str, Any]]]


class Invited(Message, tag="invited", frozen=True, kw_only=True):
    """Answer to OfficerOrder, to the console alone. `ticket`: good once, until `until_ms` (epoch) or the next start."""

    id: str
    ticket: str
    until_ms: int


class CardShown(Message, tag="card_shown", frozen=True, kw_only=True):
    """Answer to AwaitCard: what stands in a credential's row. `scheme`: how it proved itself, None for a number."""

    id: str
    number_hash: str
    last4: str
    scheme: str | None = None


class Record(Message, tag="record", frozen=True, kw_only=True):
    """One committed record, the exact bytes: `leaf` and `body` are JSON texts, `salt` hex, `checkpoint` a signed note
    where this record closed a commit. `body` is None where retention dropped it.
    """

    seq: int
    leaf: str
    salt: str | None
    body: str | None
    checkpoint: str | None = None


class WitnessStanding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one witness stands: it vouches for the first `size` records, at `at_ms` by its own clock (0: nothing yet).
    `is_silent`: for a day it has vouched for nothing of what was recorded since.
    """

    name: str
    size: int = 0
    at_ms: int = 0
    is_silent: bool = False


class Status(Message, tag="status", frozen=True, kw_only=True):
    """Sent to subscribers at least every 2 s, so that a dead line can be told from a quiet one."""

    at_ms: int
    boot: str
    size: int
    revision: str
    is_ledger_writable: bool
    is_clock_trusted: bool
    deviations: list[str]
    devices_offline: list[str]
    witnesses: tuple[WitnessStanding, ...] = ()


class DeviceStanding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How one device stands. `fault`: what is wrong, a stable phrase; `facts`: what the wire knows (baud, identity,
    counters), for people; `serves`: its portals; `is_for_entry`: a card can be held to it and is awaited by AwaitCard.
    """

    id: str
    kind: str
    is_online: bool
    is_trusted: bool = True
    is_commissioned: bool = True
    fault: str = ""
    where: str = ""
    serves: tuple[str, ...] = ()
    facts: dict[str, str] = {}
    is_for_entry: bool = False


class KeyStanding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key of the key store, without the key. `mark` tells two apart."""

    key: str
    version: int
    state: str
    made_on: str
    mark: str
    custodians: tuple[str, ...] = ()
    uses: int = 0
    is_due: bool = False


class Cosigned(Message, tag="cosigned", frozen=True, kw_only=True):
    """Answer to AskCosigned: checkpoints with the witnesses' lines; as many as fit, ask again after the last size."""

    id: str
    notes: tuple[str, ...] = ()


class Devices(Message, tag="devices", frozen=True, kw_only=True):
    """Answer to AskDevices."""

    id: str
    devices: tuple[DeviceStanding, ...]
    keys: tuple[KeyStanding, ...] = ()


ORDERS: Final = ("forgive_presence", "unlock_pin", "reset_fire")

DEVICE_ORDERS: Final = {
    "install_on": True,
    "install_off": False,
    "renew_key": True,
    "custodian_left": False,
    "rotate_key": True,
    "retire_key": True,
    "set_baud": False,
}
"""What can be done to devices and keys, and whether it takes two people: what only takes away takes one."""

LOG_ORDERS: Final = {"hold_on": False, "hold_off": True, "purge": False}
"""What can be done to the log, and whether it takes two people."""

SINK_WHY: Final = (
    "unreachable",  # no route, refused, no such name
    "timeout",  # it did not answer in time
    "tls",  # its certificate or its TLS is not what was agreed
    "not_authorized",  # it does not know us, or not for this
    "rejected",  # it answered, and would not take the record
    "gone",  # it says that it will take no more, ever
    "busy",  # it says: later
    "storage",  # its folder is full, away or broken
    "protocol",  # it answered what its protocol has no place for
    "foreign_archive",  # it holds other records under these numbers
    "ledger_behind",  # our cursor stands beyond the ledger's end: an older one was put back
    "other_history",  # the last record that was sent is another one in the ledger now
    "other_ledger",  # the ledger has another origin than the cursor
    "other_key",  # the ledger is signed with a key that does not follow from the cursor's
    "cursor",  # its cursor cannot be read or written
    "fault",  # a mistake of ours
)
"""Why a sink is down (SINK_LOST): stable codes, never the network's own words."""

WITNESS_WHY: Final = ("fork", "rollback", "not_consistent", "unknown_key", "bad_signature")
"""What a witness refuses (docs/ledger.md §8)."""

STREAM_REPORTS: Final = (
    *("SINK_LOST", "SINK_RESTORED", "SINK_REMOVED", "WITNESS_REFUSED", "CLOCK_SKEW", "CLOCK_AGREES"),
)
"""SINK_REMOVED (its settings have it no more) and CLOCK_AGREES are recorded as ALARM_CEASED."""

PURPOSES: Final = ("incident", "audit", "disclosure", "safety", "correction")
"""Why somebody looks at a person's history (E-07)."""

FORGET_REASONS: Final = ("term_over", "request", "mistake")
"""Why somebody's name is destroyed (E-08): its term is over, the person asked, it was entered by mistake."""

EDIT_REASONS: Final = (
    "joined",  # somebody begins
    "work_assigned",
    "work_ended",
    "transferred",
    "left",
    "lost_card",
    "renewal",
    "review",
    "visit",
    "maintenance",
    "emergency",
    "correction",
    "import",
    "enrolment",  # of officers and their passkeys
    "other",
)
"""Why a change is made: neutral codes, none of which speaks of suitability (E-01, D-03)."""

ALARM_CAUSES: Final = (
    "person",  # somebody did it, and it was in order
    "wrong_use",  # somebody did it, and it was not
    "weather",
    "worn_latch",
    "sensor",
    "power",
    "network",
    "maintenance",
    "drill",
    "intrusion",
    "unknown",
)
"""What an alarm was, in codes that can be counted."""

REVIEW_OUTCOMES: Final = (
    "in_order",
    "explained",  # something stood out, and there is a reason for it
    "measures",  # something is to be mended
    "incident",  # something is to be looked into: its code is in `incident`
)
"""What a look through the log came to (A-15)."""

Request = (
    Propose
    | Prepare
    | OfficerOrder
    | EnrolKey
    | Suggest
    | AwaitCard
    | HandleAlarm
    | ReviewLog
    | Command
    | Order
    | DeviceOrder
    | LogOrder
    | StreamReport
    | Note
)
ToController = Hello | Request | AskDevices | Cosign | AskCosigned | Subscribe
FromController = Welcome | Done | Refused | Prepared | Invited | CardShown | Record | Status | Devices | Cosigned

REFUSAL_CODES: Final = (
    "protocol",  # not understood
    "expired",  # not_after_ms passed
    "other_boot",  # made for another start of the controller
    "repeated",  # this id was used before
    "stale_base",  # policy changed since; fetch and try again
    "edit_refused",  # the edit breaks a rule of the policy; `field` names it
    "unknown_portal",
    "protected_zone",  # nobody is let into such a zone without the three keys
    "zone_secured",
    "strike_offline",
    "ledger_unavailable",
    "locked_down",
    "portal_locked",
    "interlock",
    "unknown_cardholder",
    "unknown_device",
    "not_here",  # only at the controller itself
    "two_people",  # another officer must agree
    "offline",  # the device does not answer
    "fire_lasts",  # the fire alarm still speaks
    "busy",  # too much is waiting; try again
    "not_your_role",  # the log is administered by its auditors, and by nobody who edits rosters
    "no_purpose",  # a look at somebody's history needs one
    "unknown_hold",
    "clock_untrusted",  # nothing is dropped by a clock that is not trusted
    "unsigned",  # nothing is changed without its officers' signatures
    "bad_signature",  # a signature that is not its officer's over this change
    "not_an_officer",  # nobody of that name is in post
    "self_grant",  # nobody gives anything to himself
    "not_your_zone",  # it lies outside of what this officer answers for
    "not_signed_by",  # a row names somebody as having done it who did not sign
    "post_vacant",  # nobody holds the post that must approve (D-07)
    "bad_ticket",  # an enrolment link that was used, is too old, or was never printed
    "not_plain",  # an alarm's note that is no line of text, or says what must not be known (E-01)
    "about_himself",  # whoever the records are about does not review them
    "not_ours",  # a checkpoint of another history, or a witness that the site file does not name
)
