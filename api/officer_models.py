"""What the API tells of officers: posts, terms, whether each can sign; of passkeys no more than people compare."""

from __future__ import annotations

from datetime import date

from api.models import Given


class PasskeyPublic(Given):
    """A passkey that counts. `code`: of its id and its public key, as its holder's screen shows it."""

    id: str
    code: str
    enrolled_on: date


class OfficerPublic(Given):
    """Somebody with a post, until `until_on`, or since `ended_on` no more. `fills`: the posts that he fills today,
    those he deputises in included. `signs`: whether he is in post and has a passkey. `is_active`: false where he did
    not sign in for so long that only a passkey lets him in. `signed_in`: when he did so last; null: never here.
    """

    id: str
    roles: list[str]
    deputises: list[str]
    zones: list[str]
    cardholder: str | None = None
    from_on: date
    until_on: date
    ended_on: date | None = None
    fills: list[str]
    signs: bool
    is_active: bool
    signed_in: str | None = None
    passkeys: list[PasskeyPublic]
