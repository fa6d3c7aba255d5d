"""Where an officer's word on an alarm is judged: who may say what it was, in which codes, and what may stand beside.

Pure but for what stands in `Standing`. The web process shows which alarms are open; here is held that whoever speaks is
in post for it, that the cause can be counted, and that the note says nothing of what must not be known (E-01).
"""

from __future__ import annotations

import re
from typing import Any, Final

from controller.ledger.catalogue import CATALOGUE
from controller.link.messages import ALARM_CAUSES, HandleAlarm
from controller.standing import Standing
from zones.authority import posts_of
from zones.ids import OfficerId, PortalId, ZoneId
from zones.moment import Moment, here
from zones.officers import Officer, Role
from zones.plain_words import NOTE_SIGNS_MAX, fault_of_note

POSTS: Final = frozenset({Role.GUARD, Role.WORK_MANAGER, Role.PROTECTION_OFFICER})
"""Who answers for alarms."""

HANDLED: Final = frozenset(row.type for row in CATALOGUE if row.class_ == "alarm") | {"DEVICE_OFFLINE"}
"""What can be handled: every record of the class "alarm", and a device that fell silent."""

_ROW: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9./:_-]{0,199}")

Complaint = tuple[str, str, str | None]
"""Code, sentence, field at fault."""

_NOTE_FAULTS: Final = {
    "empty": "say in a few words what it was",
    "long": f"a note has at most {NOTE_SIGNS_MAX} signs",
    "sign": "a note is one line of plain text; this sign is none: {}",
    "word": "a note says nothing of what an assessment looks into, or came to (E-01); take out: {}",
}


def complaint(message: HandleAlarm, standing: Standing, now: Moment) -> Complaint | None:
    """Why an officer's word on an alarm is not recorded; None: it may be."""
    if message.kind not in HANDLED:
        return "protocol", "kind must be the type of an alarm's record", "kind"
    if not _ROW.fullmatch(message.row):
        return "protocol", "row must be what the alarm's record is about", "row"
    if message.cause not in ALARM_CAUSES:
        return "protocol", f"cause must be one of {', '.join(ALARM_CAUSES)}", "cause"
    if message.seq < 0:
        return "protocol", "seq must be the number of a record", "seq"
    if (fault := fault_of_note(message.note)) is not None:
        return "not_plain", _NOTE_FAULTS[fault[0]].format(fault[1]), "note"
    return _of_post(message, standing, now)


def detail_of(message: HandleAlarm) -> dict[str, Any]:
    """What is recorded of it."""
    return {
        "id": message.id, "kind": message.kind, "row": message.row, "cause": message.cause,
        "note": message.note.strip(), "seq": message.seq,
    }  # fmt: skip


def _of_post(message: HandleAlarm, standing: Standing, now: Moment) -> Complaint | None:
    policy, day = standing.policy, here(now.at).day
    officer = policy.officers.get(OfficerId(message.officer))
    if officer is None or not officer.is_in_post(day):
        return "not_an_officer", "nobody of that name is in post", "officer"
    posts = posts_of(policy, officer, day) & POSTS
    if not posts:
        return "not_your_role", "alarms are answered by guards, work managers and protection officers", "officer"
    if posts == {Role.WORK_MANAGER} and not _is_his(officer, message.row, standing):
        return "not_your_zone", "this alarm is not in a zone that this officer answers for (A-31)", "row"
    return None


def _is_his(officer: Officer, row: str, standing: Standing) -> bool:
    """Whether an alarm is in the zones of a work manager; one that is in no zone (a device, a disk) is anybody's."""
    policy, place = standing.policy, row.split("/", 1)[0]
    portal = policy.portals.get(PortalId(place))
    zone = portal.inner if portal is not None else ZoneId(place)
    if zone not in policy.zones:
        return True
    return any(zone in policy.insides.get(own, ()) for own in officer.zones)
