"""What the API takes and gives of the state of the site, its zones, portals and devices."""

from typing import Annotated, Literal

from pydantic import Field

from api.models import Asked, Changed, Given, PortalModeWord, Version, ZoneStateWord


class ZoneStatusUpdate(Changed):
    """`state` of use (C-01), and whether nobody enters until it is lifted."""

    state: ZoneStateWord | None = None
    is_locked_down: bool | None = None


class SiteStatusUpdate(Changed):
    """`threat_level` is added to the factors of every zone; `notice_version`: the notice that everybody must have."""

    is_locked_down: bool | None = None
    threat_level: Annotated[int, Field(ge=0, le=2)] | None = None
    notice_version: Version | None = None


class SiteStatusPublic(Given):
    is_locked_down: bool = False
    threat_level: int = 0
    notice_version: int = 0


class PortalModeCreate(Asked):
    """`minutes`: for how long; ATTENDED needs it, CARD ends what was before."""

    mode: PortalModeWord
    minutes: Annotated[int, Field(ge=1, le=24 * 60)] | None = None


class OrderDone(Given):
    """What an officer ordered is recorded under `seq`, and done."""

    act: Literal["forgive_presence", "unlock_pin", "reset_fire"]
    seq: int
