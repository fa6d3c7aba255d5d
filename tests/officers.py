"""Made-up officers with passkeys of software: they sign what a test changes, as people would."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cache
from typing import Any

from controller.link.challenge import change_challenge, enrolment_challenge
from controller.link.client import LinkClient
from controller.link.messages import Done, EnrolKey, Invited, OfficerOrder, Propose, Signature
from simulators.passkey import SoftPasskey

THREE = ("officer-01", "officer-02", "officer-03")
"""Each holds both posts that change registers, so that any two of them can sign anything."""

POSTS = ("WORK_MANAGER", "PROTECTION_OFFICER")
RP_ID = "localhost"
ORIGIN = "http://localhost:8000"


@cache
def passkey(officer: str) -> SoftPasskey:
    """The passkey of an officer: always the same."""
    return SoftPasskey(f"passkey of {officer}")


def officer_puts(
    officer: str, today: date, *, roles: Sequence[str] = POSTS, **more: Any
) -> list[tuple[str, dict[str, Any]]]:
    """The rows of an officer in post from yesterday for a year, with his passkey."""
    yesterday = today - timedelta(days=1)
    period = {"from_on": f"{yesterday}", "until_on": f"{today + timedelta(days=365)}"}
    key = {"credential": passkey(officer).credential, "public_key": passkey(officer).public_key}
    return [
        ("officer", {"id": officer, "roles": list(roles), **(period | more)}),
        ("officer_key", {"id": f"pk-{officer}", "officer": officer, "enrolled_on": f"{yesterday}", **key}),
    ]


def signature(challenge: bytes, officer: str) -> Signature:
    """One officer says yes to a challenge."""
    made = passkey(officer).signs(challenge, RP_ID, ORIGIN)
    return Signature(
        credential=passkey(officer).credential, client_data=made.client_data.hex(),
        authenticator_data=made.authenticator_data.hex(), signature=made.signature.hex(),
    )  # fmt: skip


def proposal(
    puts: Iterable[tuple[str, dict[str, Any]]], *, site: str, id: str, base: str, not_after_ms: int,
    signers: Sequence[str] = THREE, reason: str = "other", officer: str | None = None,
) -> Propose:  # fmt: skip
    """A change, signed by `signers` in that order; `puts` must not hold card numbers or PINs any more."""
    rows = list(puts)
    challenge = change_challenge(site=site, id=id, base=base, puts=rows, reason=reason, not_after_ms=not_after_ms)
    return Propose(
        id=id, base=base, not_after_ms=not_after_ms, puts=rows, reason=reason,
        officer=officer or (signers[0] if signers else "officer-01"),
        signatures=tuple(signature(challenge, one) for one in signers),
    )  # fmt: skip


def needs_preparing(puts: Iterable[tuple[str, dict[str, Any]]]) -> bool:
    """Whether a change holds what must be turned into hashes before it is signed."""
    return any((table == "credential" and "number" in row) or (table == "pin" and "pin" in row) for table, row in puts)


def enrols(link: LinkClient, *officers: str, roles: Sequence[str] = POSTS) -> None:
    """The console lets these officers in, and each enrols a passkey with the ticket that it printed."""
    for officer in officers:
        welcome = link.connect()
        order = OfficerOrder(
            id=secrets.token_hex(8), boot=welcome.boot, not_after_ms=time.time_ns() // 1_000_000 + 30_000, act="invite",
            officer=officer, roles=tuple(roles),
        )  # fmt: skip
        invited = link.invite(order)
        assert isinstance(invited, Invited), invited
        challenge = enrolment_challenge(site=welcome.vkey, ticket=invited.ticket)
        made = passkey(officer).creates(challenge, RP_ID, ORIGIN)
        answer = link.request(
            EnrolKey(
                id=secrets.token_hex(8), ticket=invited.ticket, client_data=made.client_data.hex(),
                authenticator_data=made.authenticator_data.hex(),
            )
        )  # fmt: skip
        assert isinstance(answer, Done), answer
