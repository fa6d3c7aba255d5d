"""A new passkey, for whoever holds a one-time link: the console's, which the controller judges, or an officer's, whose
passkey becomes a change that waits for signatures like every other (docs/officers.md §2).
"""

from __future__ import annotations

import hashlib
import math
import secrets
from typing import Any

from api.access import Who
from api.link import done
from api.parts import Parts
from api.problems import Problem
from api.signin.links import INVITATION
from api.signin.models import Enrolled
from api.signin.passkeys import Registered, RegistrationSent, challenge_in
from api.signin.posts import today
from controller.link.challenge import enrolment_challenge
from controller.link.messages import EnrolKey


def options_for(here: Parts, ticket: str) -> dict[str, Any]:
    """What the browser is to be asked for. Raises Problem 401 for a link of ours that is over, 503."""
    if ticket.startswith(INVITATION):
        found = here.signing_in.links.look("invitation", ticket)
        if found is None:
            raise Problem("link_over", 401)
        return here.signing_in.passkeys.creation_options(here.signing_in.challenges.make(_purpose(ticket)), found.who)
    return here.signing_in.passkeys.creation_options(enrolment_challenge(site=_site(here), ticket=ticket), "")


def enrol(here: Parts, ticket: str, sent: RegistrationSent, address: str) -> Enrolled:
    """What came of it. Raises Problem; 429 where that `address` tried too often: each attempt is the controller's to
    judge.
    """
    by_address = f"enrolment {address}"
    wait_s = here.signing_in.delays.begin(by_address)
    if wait_s > 0:
        raise Problem("sign_in_delayed", 429, headers={"Retry-After": str(math.ceil(wait_s))})
    made = _invited(here, ticket, sent) if ticket.startswith(INVITATION) else _at_console(here, ticket, sent)
    here.signing_in.delays.succeed("", by_address)
    return made


def _at_console(here: Parts, ticket: str, sent: RegistrationSent) -> Enrolled:
    challenge = enrolment_challenge(site=_site(here), ticket=ticket)
    made = here.signing_in.passkeys.registered(sent, challenge)
    message = EnrolKey(
        id=secrets.token_hex(16), ticket=ticket, client_data=made.client_data,
        authenticator_data=made.authenticator_data,
    )  # fmt: skip
    return Enrolled(seq=done(here.requests.ask(lambda _: message)).seq)


def _invited(here: Parts, ticket: str, sent: RegistrationSent) -> Enrolled:
    found = here.signing_in.links.look("invitation", ticket)
    challenge = challenge_in(sent.response.clientDataJSON)
    if found is None or not here.signing_in.challenges.take(challenge, _purpose(ticket)):
        raise Problem("link_over", 401)
    made = here.signing_in.passkeys.registered(sent, challenge)
    if here.signing_in.links.take("invitation", ticket) is None:
        raise Problem("link_over", 401)
    inviter = here.signing_in.posts.officer(found.made_by)
    if inviter is None:
        raise Problem("link_over", 401)
    asker = Who(
        officer=inviter.id, roles=here.signing_in.posts.roles(inviter), zones=here.signing_in.posts.zones(inviter)
    )
    row = registered_key(made, found.who)
    proposal = here.proposals.open(asker, lambda _: [("officer_key", row)], [("officer_key", row["id"])],
                                   reason="enrolment")  # fmt: skip
    return Enrolled(proposal=proposal.id)


def _site(here: Parts) -> str:
    """The ledger's public key, as it was told with the newest records. Raises Problem 503 before that."""
    if not here.view.vkey:
        raise Problem("controller_away", 503)
    return here.view.vkey


def registered_key(made: Registered, officer: str) -> dict[str, Any]:
    """The row of the policy for a new passkey of an officer; as the controller names the ones of the console."""
    return {
        "id": f"pk-{hashlib.sha256(made.credential.encode()).hexdigest()[:24]}", "officer": officer,
        "credential": made.credential, "public_key": made.public_key, "enrolled_on": today().isoformat(),
    }  # fmt: skip


def _purpose(ticket: str) -> str:
    return f"invitation {hashlib.sha256(ticket.encode()).hexdigest()}"
