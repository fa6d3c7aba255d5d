"""How officers come in, and back, at the console (docs/officers.md §2): one-time tickets, and the passkey of whoever
holds one. Nobody has a password here, and none is made.

The first two are named at the console alone; later ones by a change that two sign. A reset is the way back of somebody
who lost his passkeys: by whoever has the machine, recorded as an alarm. A ticket is kept as its hash, in memory alone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from controller.assertions import AssertionRefused, RelyingParty, new_key
from controller.clock import wall_ms
from controller.link.challenge import enrolment_challenge
from controller.link.messages import EnrolKey, OfficerOrder
from controller.standing import Standing
from zones.authority import posts_of, signing_officers
from zones.ids import CardholderId, OfficerId, ZoneId
from zones.moment import Moment, here
from zones.officers import Officer, OfficerKey, Role
from zones.policy import Edit, Policy

TICKET_BYTES: Final = 16
TICKET_MS: Final = 60 * 60_000
FIRST_OFFICERS: Final = 2
TERM_DAYS: Final = 365
"""How long the first officers are in post: a year, as everything that is granted here ends by itself."""

ACTS: Final = ("invite", "reset")
LOCALHOST: Final = RelyingParty()


class NotInvited(Exception):
    """Why nobody is let in: code, sentence, field."""

    def __init__(self, code: str, why: str, field: str | None = None) -> None:
        super().__init__(why)
        self.code, self.why, self.field = code, why, field


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficersSetup:
    """`site`: tells the ledger's vkey as it is now. `random`: gives tickets."""

    site: Callable[[], str]
    us: RelyingParty = LOCALHOST
    random: Callable[[int], bytes] = secrets.token_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ticket:
    order: OfficerOrder
    until_ms: int


class OfficerDesk:
    """Tickets of this start of the controller. One thread owns it."""

    def __init__(self, standing: Standing, setup: OfficersSetup) -> None:
        self._standing = standing
        self._setup = setup
        self._tickets: dict[str, _Ticket] = {}

    def complaint(self, order: OfficerOrder, now: Moment, *, is_console: bool) -> None:
        """Raises NotInvited where nobody is let in by this order."""
        if not is_console:
            raise NotInvited("not_here", "officers are let in at the controller itself, by root or its own account")
        if order.act not in ACTS:
            raise NotInvited("protocol", f"act must be one of {', '.join(ACTS)}", "act")
        policy, today = self._standing.policy, here(now.at).day
        known = policy.officers.get(OfficerId(order.officer))
        if order.act == "reset":
            if known is None or not known.is_in_post(today):
                raise NotInvited("not_an_officer", "there is no such officer in post", "officer")
            return
        if known is not None:
            raise NotInvited("repeated", "there is such an officer already; reset lets him enrol again", "officer")
        if can_name_others(policy, today):
            why = "there are two officers who can sign: they name the others, on their pages"
            raise NotInvited("two_people", why)
        unknown = [role for role in order.roles if role not in set(Role)]
        if unknown or not order.roles:
            raise NotInvited("protocol", f"roles: one or more of {', '.join(Role)}", "roles")

    def invite(self, order: OfficerOrder, now: Moment) -> tuple[str, int]:
        """The ticket of an order without a complaint, and until when (epoch ms) it is good."""
        ticket = self._setup.random(TICKET_BYTES).hex()
        until_ms = wall_ms(now.at) + TICKET_MS
        self._tickets = {name: one for name, one in self._tickets.items() if one.order.officer != order.officer}
        self._tickets[_hash(ticket)] = _Ticket(order=order, until_ms=until_ms)
        return ticket, until_ms

    def enrolled(self, message: EnrolKey, now: Moment) -> Edit:
        """What a passkey that is enrolled by a ticket changes. Raises NotInvited; a ticket is good until it worked."""
        found = self._tickets.get(_hash(message.ticket))
        if found is None or wall_ms(now.at) > found.until_ms:
            why = "this link was used, is too old, or was made before the last start; print another at the console"
            raise NotInvited("bad_ticket", why, "ticket")
        challenge = enrolment_challenge(site=self._setup.site(), ticket=message.ticket)
        parts = {"client_data": message.client_data, "authenticator_data": message.authenticator_data}
        try:
            key = new_key(self._setup.us, challenge, **parts)
        except AssertionRefused as error:
            raise NotInvited("bad_signature", f"the passkey was not taken: {error}", "authenticator_data") from None
        today = here(now.at).day
        row = OfficerKey(
            id=_key_id(key.credential), officer=OfficerId(found.order.officer), credential=key.credential,
            public_key=key.public_key, enrolled_on=today,
        )  # fmt: skip
        return Edit(puts=(*self._officer_rows(found.order, today), row))

    def used(self, ticket: str) -> None:
        """A ticket that worked is good no more."""
        self._tickets.pop(_hash(ticket), None)

    def _officer_rows(self, order: OfficerOrder, today: date) -> tuple[Any, ...]:
        policy = self._standing.policy
        if order.act == "reset":
            keys = [key for key in policy.officer_keys.values() if key.officer == order.officer]
            return tuple(_ended(key, today) for key in keys if key.ended_on is None)
        row = Officer(
            id=OfficerId(order.officer), roles=tuple(Role(role) for role in order.roles),
            zones=tuple(ZoneId(zone) for zone in order.zones), from_on=today,
            until_on=today + timedelta(days=TERM_DAYS),
            cardholder=None if order.cardholder is None else CardholderId(order.cardholder),
        )  # fmt: skip
        return (row,)


def can_name_others(policy: Policy, today: date) -> bool:
    """Whether officers can name another one themselves: two can sign, and the post that must be among them is held by
    somebody who can. Where it is not, nothing that widens is ever approved again, and the console is the one way back.
    """
    signing = [policy.officers[name] for name in signing_officers(policy, today)]
    people = {officer.cardholder or officer.id for officer in signing}
    is_held = any(Role.PROTECTION_OFFICER in posts_of(policy, officer, today) for officer in signing)
    return len(people) >= FIRST_OFFICERS and is_held


def _ended(key: OfficerKey, today: date) -> OfficerKey:
    return OfficerKey(
        id=key.id, officer=key.officer, credential=key.credential, public_key=key.public_key,
        enrolled_on=key.enrolled_on, ended_on=today,
    )  # fmt: skip


def _key_id(credential: str) -> Any:
    """A name for the row: from the passkey's id, so that it has one row however often it is enrolled."""
    return f"pk-{hashlib.sha256(credential.encode()).hexdigest()[:24]}"


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
