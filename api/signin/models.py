"""What is sent and shown when somebody signs in. Secrets are in none of what is shown, but for a new token, once."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from api.models import Asked, Given, Id, NameText
from api.signin.passkeys import AssertionSent, RegistrationSent

Ticket = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{8,128}$")]
OneTimeCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
Scope = Annotated[str, StringConstraints(pattern=r"^[a-z_.]{1,32}$")]
Password = Annotated[str, Field(min_length=1, max_length=256)]


class PasskeyAsked(Given):
    """Options for `navigator.credentials.get` or `create`: its argument, with bytes as base64url."""

    publicKey: dict[str, Any]  # noqa: N815  the browsers' name


class PasskeySignIn(Asked):
    response: AssertionSent


class Enrolment(Asked):
    ticket: Ticket
    response: RegistrationSent


class EnrolmentAsked(Asked):
    ticket: Ticket


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


class PasswordSignIn(Asked):
    """`code`: the six digits that the phone shows now; each is taken once."""

    officer: Id
    password: Password
    code: OneTimeCode


class LinkSignIn(Asked):
    ticket: Ticket


class CodeSecret(Given):
    """A new secret for one-time codes, to be typed or scanned into a phone (`address`), and sent back with a code."""

    secret: str
    address: str


class PasswordSet(Asked):
    """`secret`: of `CodeSecret`, with the code that the phone shows for it now."""

    password: Password
    secret: Annotated[str, StringConstraints(pattern=r"^[A-Z2-7]{32}$")]
    code: OneTimeCode


class PasswordPublic(Given):
    """When one's own password was set; null: there is none."""

    set: str | None


class LinkMade(Given):
    """A one-time link, shown this once."""

    link: str
    until: str


class Enrolled(Given):
    """What came of a new passkey: in force with record `seq` (at the console), or a `proposal` that waits for the
    signatures of officers.
    """

    seq: int | None = None
    proposal: str | None = None


class TokenCreate(Asked):
    """`scopes`: names of permissions, each one's own; none at all (a token for those who may see nothing: the link to
    staff records) is possible too. `days`: until it is over, a year at most.
    """

    name: NameText
    scopes: Annotated[list[Scope], Field(max_length=64)]
    days: Annotated[int, Field(ge=1, le=365)]


class TokenPublic(Given):
    """An API token; `token` is what it is shown as, in the answer that made it and nowhere else."""

    id: str
    officer: str
    name: str
    scopes: list[str]
    made: str
    until: str
    used: str | None
    is_over: bool
    token: str | None = None
