"""What the API takes and gives of information items, trainings, declarations, visits, overrides and PINs.

As in `api.models`: codes and ids only, no free text about anybody (E-01). FastAPI reads annotations at run time.
"""

from datetime import date
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.models import Asked, Changed, Code, Given, Id, IsoDate, ListQuery, OwnedQuery

Codes = Annotated[list[Code], Field(max_length=20)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=50)]
PinDigits = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,12}$"), Field(description="digits")]
Minutes = Annotated[int, Field(ge=1, le=240)]
MINUTE_MS = 60_000


class _Period(Asked):
    """Base of rows with a first and a last day."""

    from_on: IsoDate
    until_on: IsoDate

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.until_on < self.from_on:
            raise ValueError("order")
        return self


# -- information items ----------------------------------------------------------------------------------------------


class ItemCreate(Asked):
    """A thing with a ledger number; its title stays in the paper ledger. Dates are last days."""

    id: Id
    designated_until: IsoDate
    contract_until: IsoDate | None = None
    lifted_on: IsoDate | None = None


class ItemUpdate(Changed):
    """`lifted_on`: the day from which it is designated no more; every need-to-know for it ends then (D-06)."""

    designated_until: IsoDate | None = None
    contract_until: IsoDate | None = None
    lifted_on: IsoDate | None = None


class ItemPublic(Given):
    id: str
    designated_until: date
    contract_until: date | None = None
    lifted_on: date | None = None


# -- trainings ------------------------------------------------------------------------------------------------------


class TrainingCreate(Asked):
    """A course that was completed; `due_on`: the day by which it is to be repeated."""

    id: Id | None = None
    cardholder: Id
    course: Code
    done_on: IsoDate
    due_on: IsoDate

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.due_on < self.done_on:
            raise ValueError("order")
        return self


class TrainingUpdate(Changed):
    """The course was repeated."""

    done_on: IsoDate | None = None
    due_on: IsoDate | None = None


class TrainingPublic(Given):
    id: str
    cardholder: str
    course: str
    done_on: date
    due_on: date


# -- declarations of devices ----------------------------------------------------------------------------------------


class DeclarationCreate(_Period):
    """Devices brought to a zone: in a locker outside, or with a permit (D-08)."""

    id: Id | None = None
    cardholder: Id
    zone: Id
    locker: Code | None = None
    permits: Codes = Field(default_factory=list)


class DeclarationUpdate(Changed):
    until_on: IsoDate | None = None
    locker: Code | None = None
    permits: Codes | None = None


class DeclarationPublic(Given):
    id: str
    cardholder: str
    zone: str
    from_on: date
    until_on: date
    locker: str | None = None
    permits: list[str] = Field(default_factory=list)


class DeclarationQuery(OwnedQuery):
    """Also by zone."""

    zone: Id | None = None


# -- visits ---------------------------------------------------------------------------------------------------------


class VisitCreate(_Period):
    """A visitor may be brought into zones; `host` answers for it (A-06)."""

    id: Id | None = None
    cardholder: Id
    host: Id
    zones: Ids


class VisitUpdate(Changed):
    until_on: IsoDate | None = None


class VisitPublic(Given):
    id: str
    cardholder: str
    host: str
    zones: list[str]
    from_on: date
    until_on: date


# -- break-glass ----------------------------------------------------------------------------------------------------


class OverrideCreate(Asked):
    """Break-glass from now on, for `minutes`; started by one officer, approved by another: who sign it (A-32)."""

    id: Id | None = None
    zone: Id
    cardholders: Ids
    reason_code: Code
    minutes: Minutes


class OverrideQuery(ListQuery):
    """Also by zone."""

    zone: Id | None = None


class OverridePublic(Given):
    """`from_at`, `until_at`: ISO 8601 with the offset of Japan."""

    id: str
    zone: str
    cardholders: list[str]
    reason_code: str
    started_by: str
    approved_by: str
    from_at: str
    until_at: str


# -- PINs -----------------------------------------------------------------------------------------------------------


class PinCreate(Asked):
    """A PIN, and a second one that opens and raises a silent alarm. They are passed to the controller, which keeps slow
    hashes; here they are kept nowhere and can never be read.
    """

    pin: PinDigits
    duress: PinDigits | None = None
