"""Words of changes that wait for signatures: fields of rows, what a change does, where it stands, what hinders it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from api.texts import Said

FIELDS: Final[Mapping[str, Said]] = {
    "accepted_bases": Said("Accepted clearances", "field"),
    "approved_by": Said("Approved by", "field"),
    "approved_by_1": Said("Approved by, first", "field"),
    "approved_by_2": Said("Approved by, second", "field"),
    "basis": Said("Basis", "field"),
    "cardholder": Said("Person", "field"),
    "cardholders": Said("People", "field"),
    "confirmed_by": Said("Confirmed by", "field"),
    "contract_until": Said("Contract until", "field"),
    "course": Said("Course", "field"),
    "credential": Said("Passkey", "field"),
    "deputises": Said("Deputises for", "field"),
    "designated_until": Said("Designated until", "field"),
    "done_on": Said("Done on", "field"),
    "due_on": Said("To be repeated by", "field"),
    "ended_ms": Said("Ended at", "field"),
    "ended_on": Said("Ends on", "field"),
    "enrolled_on": Said("Enrolled on", "field"),
    "from_ms": Said("From", "field"),
    "from_on": Said("From", "field"),
    "held_extra_ms": Said("Longer time for the door", "field"),
    "host": Said("Host", "field"),
    "id": Said("No.", "field"),
    "is_escort": Said("May bring visitors", "field"),
    "is_locked": Said("PIN locked", "field"),
    "is_locked_down": Said("Lockdown", "field"),
    "is_minimum": Said("Keeps the place past its review", "field"),
    "is_opener": Said("May open the zone", "field"),
    "is_suspended": Said("Suspended", "field"),
    "is_trusted": Said("Trusted", "field"),
    "item": Said("Information item", "field"),
    "kind": Said("Kind of person", "field"),
    "last4": Said("Card, last four signs", "field"),
    "last_valid_on": Said("Last valid day", "field"),
    "level": Said("Level", "field"),
    "lifted_on": Said("Lifted on", "field"),
    "locker": Said("Locker", "field"),
    "may_enter_lockdown": Said("May enter in a lockdown", "field"),
    "mode": Said("Mode of the door", "field"),
    "notice_version": Said("Version of the notice", "field"),
    "notified_on": Said("Notified on", "field"),
    "officer": Said("Officer", "field"),
    "permits": Said("Permits", "field"),
    "purpose_code": Said("Purpose", "field"),
    "reason_code": Said("Reason", "field"),
    "recert_on": Said("Confirm again by", "field"),
    "recorded_by": Said("Recorded by", "field"),
    "requested_by": Said("Requested by", "field"),
    "restored_by": Said("Looked at by", "field"),
    "review_on": Said("Next review", "field"),
    "roles": Said("Posts", "field"),
    "sanitised_by": Said("Put away by", "field"),
    "sanitised_confirmed_by": Said("Putting away confirmed by", "field"),
    "schedule": Said("Hours", "field"),
    "scheme": Said("How the card proves itself", "field"),
    "sponsor": Said("Sponsor", "field"),
    "started_by": Said("Started by", "field"),
    "state": Said("State", "field"),
    "threat_level": Said("Threat level", "field"),
    "until_ms": Said("Until", "field"),
    "until_on": Said("Until", "field"),
    "zone": Said("Zone", "field"),
    "zones": Said("Zones", "field"),
}
"""Fields of rows that officers change. What is not here is shown by its name."""

VALUES: Final[Mapping[str, Said]] = {
    "@1": Said("whoever signs first"),
    "@2": Said("whoever signs second"),
    "ACTIVE": Said("in use", "card"),
    "ISSUED": Said("issued", "card"),
    "LOST": Said("lost", "card"),
    "RETURNED": Said("returned", "card"),
    "DESTROYED": Said("destroyed", "card"),
    "STAFF": Said("staff", "kind"),
    "VISITOR": Said("visitor", "kind"),
    "MAINTENANCE": Said("maintenance", "kind"),
    "SECURED": Said("secured", "zone"),
    "OPEN_ATTENDED": Said("in use, attended", "zone"),
    "OPEN_UNATTENDED": Said("in use, unattended", "zone"),
    "CARD": Said("by card", "mode"),
    "LOCKED": Said("locked", "mode"),
    "UNLOCKED": Said("unlocked", "mode"),
    "ATTENDED": Said("unlocked, attended", "mode"),
    "GUARD": Said("Guard and reception", "post"),
    "LINE": Said("Line manager", "post"),
    "WORK_MANAGER": Said("Work manager", "post"),
    "PROTECTION_OFFICER": Said("Protection officer", "post"),
    "AUDITOR": Said("Auditor", "post"),
    "ENGINEER": Said("Engineer", "post"),
    "KEIZAI_ANPO": Said("Economic security act", "basis"),
    "TOKUTEI_HIMITSU": Said("Specially designated secrets act", "basis"),
    "BOEI_HOGO": Said("Defence equipment secrets", "basis"),
    "COMPANY": Said("The company's own", "basis"),
}
"""Codes in rows, in words."""

STATES: Final[Mapping[str, tuple[Said, str, str]]] = {
    "PENDING_1": (Said("Awaits the first signature"), "warn", "pen"),
    "PENDING_2": (Said("Awaits the second signature"), "warn", "pen"),
    "SENT": (Said("With the controller; its answer is awaited"), "warn", "plug"),
    "IN_FORCE": (Said("In force"), "ok", "check"),
    "REFUSED": (Said("Not accepted by the controller"), "no", "cross"),
    "STALE": (Said("What this is about has changed: look again"), "warn", "alarm"),
    "WITHDRAWN": (Said("Withdrawn"), "plain", "dash"),
    "EXPIRED": (Said("Expired without its signatures"), "plain", "dash"),
}
"""Where a change stands: words, tone and icon."""

WEIGHTS: Final[Mapping[str, Said]] = {
    "NARROWS": Said("Only takes away: one signature, in force at once."),
    "ROUTINE": Said("Opens nothing by itself: one signature."),
    "WIDENS": Said("Widens who may enter: two officers sign, one of them a protection officer."),
}

HINDRANCES: Final[Mapping[str, Said]] = {
    "post_vacant": Said("The post of protection officer is vacant: nothing that widens is approved until it is held."),
    "two_people": Said("There are not enough officers who could sign this."),
    "self_grant": Said("Nobody approves what is for himself: another officer must sign this."),
    "not_your_zone": Said("It lies outside of the zones that its signers answer for."),
    "not_your_role": Said("The posts of those who could sign do not carry this change."),
    "edit_refused": Said("The rules of the registers do not take this change."),
}
"""Why nobody's signature completes a change now."""

BAN: Final = (
    Said("Dismissal"),
    Said("Reduction of pay"),
    Said("Demotion"),
    Said("Disadvantageous reassignment"),
    Said("Being made to do nothing but odd jobs"),
)
"""What must not be done to somebody because he is taken off a list (D-18)."""
