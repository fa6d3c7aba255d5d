"""What is asked of a second officer, and what came in by file.

No table here holds a card number, a name, or more of a person than a pseudonym. SQLModel reads annotations at run time:
no `from __future__ import annotations` here.
"""

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, SQLModel


class AgreementRow(SQLModel, table=True):
    """Something that two officers do together: `asker` asks, `second` agrees with his own passkey, the asker does it.
    `kind`: EXPORT or UNMASK; `about`: what it is about, in codes.
    """

    __tablename__ = "agreement"
    id: str = Field(primary_key=True)
    kind: str
    asker: str
    purpose: str
    about: str
    count: int
    made_ms: int = Field(sa_type=BigInteger)
    until_ms: int = Field(sa_type=BigInteger)
    second: str | None = None
    agreed_ms: int | None = Field(default=None, sa_type=BigInteger)
    used_ms: int | None = Field(default=None, sa_type=BigInteger)


class TransferRow(SQLModel, table=True):
    """A file that came in: `proposals` that were made of it, so that they can be undone together. `state`: PROPOSED or
    UNDONE; `before`: proposals that undo it.
    """

    __tablename__ = "transfer"
    id: str = Field(primary_key=True)
    of_register: str
    officer: str
    state: str
    made_ms: int = Field(sa_type=BigInteger)
    proposals: str = Field(sa_type=Text)
    before: str = Field(sa_type=Text)
    undone_by: str | None = None
