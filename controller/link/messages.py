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


class Propose(Message, tag="propose", frozen=True, kw_only=True):
    """A change of policy. `puts`: [table, row] pairs, rows as in `controller.link.rows`; card numbers arrive in clear
    in `number` of a credential row and leave as keyed hashes. `base`: the revision it was made against (hex).
    """

    id: str
    base: str
    not_after_ms: int
    puts: list[tuple[str, dict[str, Any]]]
    officer: str
    signatures: list[str] = []


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


class Note(Message, tag="note", frozen=True, kw_only=True):
    """Please record that something happened in the web process (a view, a sign-in, an export)."""

    id: str
    type: str
    officer: str


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


class Record(Message, tag="record", frozen=True, kw_only=True):
    """One committed record, the exact bytes: `leaf` and `body` are JSON texts, `salt` hex, `checkpoint` a signed note
    where this record closed a commit. `body` is None where retention dropped it.
    """

    seq: int
    leaf: str
    salt: str | None
    body: str | None
    checkpoint: str | None = None


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


ORDERS: Final = ("forgive_presence", "unlock_pin", "reset_fire")

ToController = Hello | Propose | Command | Order | Note | Subscribe
FromController = Welcome | Done | Refused | Record | Status

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
    "fire_lasts",  # the fire alarm still speaks
    "busy",  # too much is waiting; try again
)
