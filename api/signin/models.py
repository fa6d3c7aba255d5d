"""What is sent and shown when somebody signs in. Secrets are in none of what is shown, but for a new token, once."""

from typing import Annotated, Any

from pydantic import Field

from api.models import Given
from api.signin.passkeys import AssertionSent, RegistrationSent


class PasskeyAsked(Given):
    """Options for `navigator.credentials.get` or `create`: its argument, with bytes as base64url."""

    publicKey: dict[str, Any]  # noqa: N815  the browsers' name


class PasskeySignIn(Given):
    response: AssertionSent


class Enrolment(Given):
    ticket: Annotated[str, Field(min_length=8, max_length=128)]
    response: RegistrationSent


class EnrolmentAsked(Given):
    ticket: Annotated[str, Field(min_length=8, max_length=128)]


class SessionPublic(Given):
    """`name`: of the session, for revoking it. `may`: names of permissions. `strength`: factors shown, 1 to 3;
    `is_fresh`: a passkey was shown within the last five minutes.
    """

    name: str
    officer: str | None
    cardholder: str | None
    way: str
    strength: int
    made: str
    seen: str
    until: str
    agent: str
    is_this: bool = False


class WhoPublic(Given):
    """Who is signed in here, and what he may see and begin."""

    officer: str
    roles: list[str]
    may: list[str]
    cardholder: str | None
    strength: int
    is_fresh: bool
    session: SessionPublic | None
    idle_minutes: int
