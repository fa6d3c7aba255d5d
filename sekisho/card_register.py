"""The register behind the enrolment desk: which credential a card is, and what to change of it, through a running
controller.

Owns the requests. Nothing is changed from here: what the desk made ready is suggested to the officers, who find it on
their page and sign it. A card number goes to the controller alone and is shown by its last four signs.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from controller.cards import CardNumbers, last4
from controller.config import Site
from controller.keys import load_numbers
from controller.link.client import LinkClient
from controller.link.messages import Done, Prepare, Refused, Suggest
from controller.link.recorded import History
from controller.link.rows import row_to_doc
from controller.policy_log import next_revision
from sekisho.sources import linked
from zones.ids import CardholderId, CredentialId
from zones.people import Credential
from zones.policy import Policy

NAME: Final = "sekisho card"
TRIES: Final = 3


class Register:
    """The policy as it stood when the desk opened, and the way to suggest a change of it. LinkDown where no controller
    answers.
    """

    def __init__(self, site: Site, socket: Path, officer: str) -> None:
        self._socket = socket
        self._officer = officer
        self._numbers = _numbers_of(site)
        with LinkClient(socket, NAME) as client:
            size = client.connect().size
        history = History(lambda seq: linked(socket, seq, size), revision_of=next_revision)
        self._policy: Policy | None = history.until(size - 1).policy if size else None

    def has_cardholder(self, who: str) -> bool:
        """Whether this cardholder can be given a credential, as far as is known."""
        return self._policy is None or CardholderId(who) in self._policy.cardholders

    def credential_of(self, number: bytes) -> Credential | None:
        """The credential with this card number; None where there is none, or it cannot be known here."""
        if self._policy is None:
            return None
        if self._numbers is not None:
            return self._policy.by_number.get(self._numbers.hash(number))
        fits = [
            one for one in self._policy.credentials.values() if one.last4 == last4(number) and one.scheme is not None
        ]
        return fits[0] if len(fits) == 1 else None

    def issue(
        self, number: bytes, scheme: str, cardholder: str, state: str, name: str | None
    ) -> tuple[str, Done | Refused]:
        """Suggest a card that proves itself by `scheme`; its credential's id. A card that came back and is issued anew
        keeps its credential.
        """
        known = self.credential_of(number)
        if known is not None and known.cardholder != cardholder:
            why = f"this card is registered for {known.cardholder}; a number stays its first holder's"
            return known.id, Refused(id="", code="other_cardholder", why=why)
        given = name or (f"k-{secrets.token_hex(6)}" if known is None else known.id)
        row = {"id": given, "cardholder": cardholder, "number": number.hex(), "state": state, "scheme": scheme}
        return given, self._suggest(row, "joined")

    def close(self, credential: Credential, state: str) -> Done | Refused:
        """The card proves nothing any more: `state` is RETURNED or DESTROYED."""
        _, row = row_to_doc(credential)
        return self._suggest(row | {"state": state}, "work_ended")

    def credential(self, name: str) -> Credential | None:
        """By its id."""
        return None if self._policy is None else self._policy.credentials.get(CredentialId(name))

    def _suggest(self, row: dict[str, Any], reason: str) -> Done | Refused:
        answer: Done | Refused | None = None
        for _ in range(TRIES):
            with LinkClient(self._socket, NAME) as client:
                ready = client.prepare(
                    Prepare(id=secrets.token_hex(16), puts=[("credential", row)], officer=self._officer)
                )
                if isinstance(ready, Refused):
                    answer = ready
                else:
                    suggestion = Suggest(
                        id=secrets.token_hex(16), puts=ready.puts, officer=self._officer, reason=reason
                    )
                    answer = client.request(suggestion)
            if not (isinstance(answer, Refused) and answer.code == "busy"):
                break
        assert answer is not None
        return answer


def _numbers_of(site: Site) -> CardNumbers | None:
    """How card numbers are hashed here; None for an account that may not know. Nothing is made where nothing is."""
    try:
        if not all((site.state_dir / name).exists() for name in ("ledger.db", "site.key")):
            return None
        return load_numbers(site.state_dir)
    except (OSError, ValueError):
        return None
