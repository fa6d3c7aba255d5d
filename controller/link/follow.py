"""Presence as the records tell it: the one fold that the engine, its start and every later review share (P8).

The engine keeps no presence of its own: it folds each record that it drafts, in the order in which records are handed
over. So what a replay folds from the ledger is what was known when the decision was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from zones.ids import CardholderId, PortalId, ZoneId
from zones.occupancy import Expected, Occupancy
from zones.policy import Policy

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

PLACES_SCAN_MAX: Final = 20_000
"""How far back from its start a controller looks for last places: they are only a memory."""


def followed(occupancy: Occupancy, policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    """What is known of everybody's place after the record with `body` (decoded JSON; absent fields left out)."""
    fold = FOLDS.get(body["type"])
    return occupancy if fold is None else fold(occupancy, policy, body)


def _who(body: Mapping[str, Any]) -> str | None:
    who: str | None = (body.get("subject") or {}).get("cardholder")
    return who


def _let_in(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    """Everybody who was let in on this grant may pass any moment."""
    if "portal" not in body or "zone" not in body:
        return occupancy
    expected = Expected(zone=ZoneId(body["zone"]), portal=PortalId(body["portal"]), grant=body.get("corr", ""))
    for one in (_who(body), *(companion.get("cardholder") for companion in body.get("companions") or ())):
        if one is not None:
            occupancy = occupancy.awaited(CardholderId(one), expected)
    return occupancy


def _expired(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    return occupancy.settled(body.get("corr", ""))


def _passed(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    who = _who(body)
    if who is None:
        return occupancy
    at = _EPOCH + timedelta(milliseconds=body["at_ms"])
    occupancy = occupancy.settled(body.get("corr", ""), CardholderId(who))
    return occupancy.moved(CardholderId(who), ZoneId(body["zone"]), at).sighted(
        CardholderId(who), PortalId(body["portal"]), at
    )


def _stayed_away(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    """Nobody came; or nobody could see whether he did, and then nobody knows where he is."""
    who = _who(body)
    if who is None:
        return occupancy
    occupancy = occupancy.settled(body.get("corr", ""), CardholderId(who))
    is_certain = (body.get("detail") or {}).get("is_certain", True)
    return occupancy if is_certain else occupancy.forgiven(CardholderId(who))


def _left_unseen(occupancy: Occupancy, policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    portal = policy.portals.get(PortalId(body["portal"]))
    return occupancy if portal is None else occupancy.left_unseen(policy.insides.get(portal.inner, (portal.inner,)))


def _forgiven(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    who = _who(body)
    return occupancy.made_uncertain() if who is None else occupancy.forgiven(CardholderId(who))


def _started(occupancy: Occupancy, _policy: Policy, _body: Mapping[str, Any]) -> Occupancy:
    return occupancy.nobody_expected().made_uncertain()


def _shaken(occupancy: Occupancy, _policy: Policy, _body: Mapping[str, Any]) -> Occupancy:
    """People ran, or doors let go: every place is a memory (B-07)."""
    return occupancy.made_uncertain()


def _restored(occupancy: Occupancy, _policy: Policy, body: Mapping[str, Any]) -> Occupancy:
    """Records that were lost may have moved anybody."""
    return occupancy.made_uncertain() if (body.get("detail") or {}).get("records_lost") else occupancy


Fold = Callable[[Occupancy, Policy, Mapping[str, Any]], Occupancy]

FOLDS: Final[Mapping[str, Fold]] = MappingProxyType(
    {
        "ACCESS_GRANTED": _let_in,
        "RELEASE_EXPIRED": _expired,
        "PASSAGE": _passed,
        "NO_PASSAGE": _stayed_away,
        "EXIT": _left_unseen,
        "PRESENCE_FORGIVEN": _forgiven,
        "CONTROLLER_STARTED": _started,
        "FIRE_ON": _shaken,
        "POWER_LOST": _shaken,
        "STORAGE_RESTORED": _restored,
    }
)
"""Record type -> what it changes of what is known of anybody's place. Other types change nothing."""

MOVES: Final = frozenset(FOLDS)
