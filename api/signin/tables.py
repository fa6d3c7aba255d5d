"""Tables of api.db about who is signed in, and by what. Secrets stand here as hashes alone; nothing is rebuilt from the
ledger: whoever loses api.db signs in again with a passkey, whose public half is a row of the policy.

SQLModel reads annotations at run time: no `from __future__ import annotations` here.
"""

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel


class SessionRow(SQLModel, table=True):
    """One session: `id_hash` is SHA-256 of what the cookie holds. `officer` is empty where a cardholder looks at what
    is his own. `strength`: factors shown; `fresh_ms`: when the passkey was shown last (0: not in this session).
    """

    __tablename__ = "session"
    id_hash: str = Field(primary_key=True)
    officer: str = Field(index=True)
    cardholder: str | None = None
    strength: int
    way: str
    made_ms: int = Field(sa_type=BigInteger)
    seen_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    fresh_ms: int = Field(sa_type=BigInteger)
    agent: str = ""


class PasskeyCountRow(SQLModel, table=True):
    """How often a passkey says that it was used: one that goes back was copied."""

    __tablename__ = "passkey_count"
    credential: str = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)
    used_ms: int = Field(sa_type=BigInteger)


class PasswordRow(SQLModel, table=True):
    """An officer's password as argon2id, and the secret of his one-time codes; `last_step`: the newest code that was
    taken, so that none is taken twice.
    """

    __tablename__ = "password"
    officer: str = Field(primary_key=True)
    hashed: str
    code_secret: str
    last_step: int = Field(default=0, sa_type=BigInteger)
    set_ms: int = Field(sa_type=BigInteger)


class SignedInRow(SQLModel, table=True):
    """When an officer signed in last: whoever has not for long must show a passkey (A-30)."""

    __tablename__ = "signed_in"
    officer: str = Field(primary_key=True)
    at_ms: int = Field(sa_type=BigInteger)


class TokenRow(SQLModel, table=True):
    """An API token: `id_hash` is SHA-256 of it; `scopes` are names of permissions, with spaces between."""

    __tablename__ = "api_token"
    id: str = Field(primary_key=True)
    id_hash: str = Field(unique=True)
    officer: str = Field(index=True)
    name: str
    scopes: str
    made_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    used_ms: int = Field(default=0, sa_type=BigInteger)


class LinkRow(SQLModel, table=True):
    """A one-time link: `kind` is invitation (`who`: the officer to be) or own (`who`: the cardholder who looks)."""

    __tablename__ = "one_time_link"
    id_hash: str = Field(primary_key=True)
    kind: str
    who: str
    made_by: str
    until_ms: int = Field(sa_type=BigInteger)
