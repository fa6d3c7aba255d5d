"""Small steps from one case to another: an edit applied, an evidence replaced, a later moment, somebody elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from zones.decision import Evidence
from zones.decision.ask import Ask, ask_of, roster_entry
from zones.edits import apply
from zones.ids import CardholderId, CardNumberHash, ScheduleId, ZoneId
from zones.moment import JST, Moment
from zones.people import CardholderKind, Credential, CredentialState, RosterEntry
from zones.policy import Edit, EditRefused, Policy, Row
from zones.review.values import Case
from zones.schedule import is_within

DAYS_AHEAD: Final = 14
"""How far ahead an hour is looked for at which a schedule holds, or ends."""

OTHERS_MAX: Final = 500
"""Places on a roster that are looked at for somebody who could come too."""


def ask_for(case: Case) -> Ask:
    """What the rules may read of a case."""
    return ask_of(case.policy, case.occupancy, case.request, case.now)


def edited(case: Case, *puts: Row) -> Case | None:
    """The case under the policy with `puts` in it; None where such an edit would be refused."""
    try:
        return replace(case, policy=apply(case.policy, Edit(puts=puts)))
    except EditRefused:
        return None


def proving(case: Case, **changed: Any) -> Case:
    """The case with other evidence from the reader."""
    return asking(case, evidence=replace(case.request.evidence, **changed))


def asking(case: Case, **changed: Any) -> Case:
    """The case with another request."""
    return replace(case, request=replace(case.request, **changed))


def later(case: Case, at: datetime) -> Case:
    """The case at another time, all else as it was."""
    gone_ms = (at - case.now.at) // timedelta(milliseconds=1)
    return replace(case, now=Moment(at=at, tick_ms=case.now.tick_ms + gone_ms, is_trusted=case.now.is_trusted))


def unused_id(policy: Policy, table: str) -> str:
    """An identifier that no row of `table` has."""
    rows = policy.table(table)
    return next(name for n in range(1, len(rows) + 2) if (name := f"review-{n}") not in rows)


def unused_number(policy: Policy) -> CardNumberHash:
    """The hash of a card number that nobody has."""
    n = 0
    while (number := CardNumberHash(hashlib.sha256(f"review {n}".encode()).hexdigest())) in policy.by_number:
        n += 1
    return number


def new_credential(case: Case, cardholder: CardholderId) -> tuple[Credential, Case]:
    """A credential for `cardholder`, and the case in which its card is held to the reader."""
    number = unused_number(case.policy)
    row = Credential(
        id=_credential_id(case.policy),
        cardholder=cardholder,
        number_hash=number,
        last4="0000",
        state=CredentialState.ACTIVE,
    )
    return row, proving(case, number_hash=number)


def _credential_id(policy: Policy) -> Any:
    return unused_id(policy, "credential")


# -- other cardholders -------------------------------------------------------------------------------------------------


def others_on_roster(case: Case, ask: Ask) -> Iterator[tuple[RosterEntry, Evidence]]:
    """Staff on the zone's roster who are not in the request, each with a card of theirs read as the asker's was."""
    used = {case.request.evidence.number_hash, *(one.number_hash for one in case.request.companions)}
    taken = {row.cardholder for number in used if (row := case.policy.by_number.get(number)) is not None}
    cards = {row.cardholder: row for row in case.policy.credentials.values() if row.state is CredentialState.ACTIVE}
    looked_at = 0
    for who in roster_of(case.policy, ask.zone.id):
        holder, card = case.policy.holders[who], cards.get(who)
        if who in taken or card is None or holder.cardholder.kind is not CardholderKind.STAFF:
            continue
        if (entry := roster_entry(holder, ask.zone.id, ask.today)) is None:
            continue
        looked_at += 1
        if looked_at > OTHERS_MAX:
            return
        yield entry, replace(case.request.evidence, number_hash=card.number_hash)


def roster_of(policy: Policy, zone: ZoneId) -> list[CardholderId]:
    """Everybody who was ever put on the roster of `zone`, in order."""
    return sorted({row.cardholder for row in policy.roster.values() if row.zone == zone})


# -- time --------------------------------------------------------------------------------------------------------------


def at_minute(day: date, minute: int) -> datetime:
    """Minute `minute` of a day in Japan, as UTC."""
    return (datetime.combine(day, time(), JST) + timedelta(minutes=minute)).astimezone(UTC)


def edges(policy: Policy, schedules: Iterable[ScheduleId], now: Moment) -> list[datetime]:
    """Every time after `now` at which a window of one of `schedules` begins or ends, for some days ahead, in order."""
    minutes = {
        minute
        for schedule in schedules
        for window in policy.schedules[schedule].windows
        for minute in (window.from_min, window.to_min)
    }
    first = now.at.astimezone(JST).date()
    days = [first + timedelta(days=n) for n in range(DAYS_AHEAD + 1)]
    return sorted(at for day in days for minute in minutes if (at := at_minute(day, minute)) > now.at)


def opening(policy: Policy, schedules: Iterable[ScheduleId], now: Moment) -> datetime | None:
    """The next time at which all of `schedules` hold; None where there is none in the days ahead."""
    wanted = tuple(schedules)
    for at in edges(policy, wanted, now):
        moment = Moment(at=at, tick_ms=now.tick_ms)
        if all(is_within(policy.schedules[one], moment, policy.calendars) for one in wanted):
            return at
    return None


def wall(at: datetime) -> str:
    """A time as people in Japan read it, to the minute."""
    return at.astimezone(JST).strftime("%Y-%m-%d %H:%M")
