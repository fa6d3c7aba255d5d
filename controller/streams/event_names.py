"""How grave each type of record is, and what a SIEM calls it: one table for CEF and syslog (docs/streams.md, CEF).

Severities are CEF's, 0 to 10. A type that is not here is younger than this table: it is told by its class. The names
say what happened and never why somebody was refused (P5).
"""

from __future__ import annotations

from typing import Final

GRAVE: Final = 7
"""From here on somebody is to look now; syslog says error or worse."""

EVENTS: Final[dict[str, tuple[int, str]]] = {
    # entries and exits
    "ACCESS_GRANTED": (1, "Entry granted"),
    "ACCESS_DENIED": (4, "Entry not granted"),
    "EXIT_GRANTED": (1, "Card at an exit reader"),
    "REX": (0, "Request to exit"),
    "RELEASED": (4, "Momentary release by an officer"),
    "RELEASE_EXPIRED": (4, "Grant too late to act on"),
    "PASSAGE": (1, "Passage on a grant"),
    "EXIT": (1, "Somebody left"),
    "NO_PASSAGE": (1, "Grant unused"),
    "CARD_UNREAD": (1, "Card left before it was read"),
    "DOOR_CLOSED": (0, "Leaf closed"),
    "DOOR_HELD_SOON": (3, "Leaf open for long"),
    "PORTAL_MODE": (3, "Mode of a portal changed"),
    "ZONE_OPENED": (3, "Zone opened by its openers"),
    "ZONE_SECURED": (3, "Zone secured"),
    # alarms at portals and zones
    "DOOR_FORCED": (9, "Portal forced"),
    "DOOR_HELD": (7, "Portal held open"),
    "DOOR_OPEN_AT_START": (6, "Leaf found open at a start"),
    "TAILGATE": (8, "More people passed than were let in"),
    "REX_SUSPECT": (7, "Request to exit where nobody is known to be"),
    "DURESS": (10, "Duress PIN"),
    "CREDENTIAL_ALARM": (8, "Credential that should not be about"),
    "UNUSUAL": (6, "Something that is rare here"),
    "APB_VIOLATION": (7, "Anti-passback"),
    "PIN_LOCKED": (6, "PIN locked after misses"),
    "OCCUPANCY_BELOW_MIN": (7, "Fewer people than the minimum in a zone"),
    "ESCORT_BROKEN": (7, "Guest without an escort"),
    "ESCORT_RATIO": (6, "More guests than the escorts may look after"),
    "ZONE_UNATTENDED": (8, "Zone left and not secured"),
    "NOT_CLOSED": (7, "Zone not secured at the end of a day"),
    "REVIEW_OVERDUE": (5, "Review of a roster overdue"),
    "OVERRIDE_ENDED": (5, "Break-glass override over"),
    "ALARM_CEASED": (2, "A condition holds no more"),
    "FIRE_ON": (10, "Fire alarm"),
    "FIRE_OFF": (5, "Fire alarm silent again"),
    "FIRE_RESET": (5, "Locking again after a fire"),
    "POWER_LOST": (7, "Mains power lost"),
    "POWER_RESTORED": (3, "Mains power back"),
    # readers, lines, outputs
    "TAMPER": (9, "Enclosure opened"),
    "TAMPER_ENDED": (5, "Enclosure closed"),
    "LINE_FAULT": (7, "Supervised line short or cut"),
    "LINE_RESTORED": (3, "Supervised line whole again"),
    "OUTPUT_FAILED": (8, "Strike not as it should be"),
    "DEVICE_ONLINE": (1, "Device answers"),
    "DEVICE_OFFLINE": (6, "Device does not answer"),
    "LINE_NOISE": (3, "Bytes that made no sense"),
    "MESSAGE_REFUSED": (4, "Messages refused"),
    "READS_REFUSED": (6, "Reads of a reader that floods refused"),
    "READER_UNTRUSTED": (8, "Reader believed no more"),
    "READER_REPLACED": (9, "Reader is another one"),
    "READER_POWER_LOST": (6, "Reader's own supply fails"),
    "READER_POWER_RESTORED": (3, "Reader's own supply is back"),
    "READER_IDENTIFIED": (1, "Reader said what it is"),
    "READER_APPROVED": (5, "Reader approved by two officers"),
    "OSDP_DOWNGRADE": (9, "Reader offers less protection than before"),
    "OSDP_INSTALL_ON": (7, "Reader may take a first key"),
    "OSDP_INSTALL_OFF": (4, "Reader may take no first key any more"),
    "DEVICE_ORDER": (4, "Order to a reader or key"),
    "COMMISSIONING": (7, "Factory default left"),
    # keys and registers
    "KEYS_FAILED": (8, "Key store failed"),
    "KEY_ROTATED": (4, "Site key renewed"),
    "KEY_RENEWED": (3, "Reader's key renewed"),
    "KEY_ROTATION_DUE": (6, "Site key due to be renewed"),
    "POLICY_EDITED": (4, "Registers changed"),
    "EDIT_SUGGESTED": (3, "Change suggested at the console"),
    "OFFICER_INVITED": (6, "Officer let in at the console"),
    "OFFICER_RESET": (8, "Officer's passkeys replaced at the console"),
    "LOG_REVIEWED": (2, "Records looked through by an auditor"),
    "LOG_REVIEW_OVERDUE": (6, "Records not looked through in time"),
    "ALARM_HANDLED": (3, "Alarm explained by an officer"),
    "EDIT_REFUSED": (5, "Change of registers refused"),
    "COMMAND_REFUSED": (5, "Command refused"),
    "PIN_UNLOCKED": (4, "PIN unlocked by an officer"),
    "PRESENCE_FORGIVEN": (4, "Presence declared unknown"),
    "NOTE": (3, "Noted in the officers' pages"),
    "CONFIG_REFUSED": (7, "Part of the site file refused"),
    # the box itself
    "CONTROLLER_STARTED": (3, "Controller started"),
    "CONTROLLER_STOPPED": (5, "Controller stopped"),
    "DEVIATION": (4, "Less strict than it should be"),
    "RULE_ERROR": (9, "A rule raised"),
    "INBOX_FULL": (8, "Events found no place"),
    "SITE_REBUILT": (8, "Policy folded from the ledger"),
    "SITE_STORE_FAILED": (7, "Policy cannot be stored"),
    "SITE_STORE_RESTORED": (3, "Policy can be stored again"),
    "STORAGE_FAILED": (10, "Ledger cannot be written, entries stop"),
    "STORAGE_RESTORED": (5, "Ledger can be written again"),
    "STORAGE_75": (5, "Disk three quarters full"),
    "STORAGE_90": (8, "Disk nine tenths full"),
    "CLOCK_UNTRUSTED": (9, "Clock not believed, entries stop"),
    "CLOCK_TRUSTED": (4, "Clock believed again"),
    "CLOCK_ACCEPTED": (6, "Clock declared right at the console"),
    "CLOCK_SET": (6, "Clock was set"),
    "CLOCK_SKEW": (6, "Clock differs from another's"),
    # the ledger
    "LEDGER_KEY_ROTATED": (6, "Ledger signed with another key"),
    "TAIL_SET_ASIDE": (10, "Damaged end of the ledger set aside"),
    "WITNESS_REFUSED": (10, "Witness knows another history"),
    "SINK_LOST": (7, "Records do not reach a sink"),
    "SINK_RESTORED": (4, "Records reach a sink again"),
    "PURGED": (4, "Bodies dropped by rule"),
    "LEGAL_HOLD_ON": (5, "Legal hold"),
    "LEGAL_HOLD_OFF": (5, "Legal hold ended"),
    "LOG_ADMIN_REFUSED": (8, "Administration of the log refused"),
}

WITHOUT_BODY: Final = "BODY_DROPPED"
"""What a record is called whose body is gone, or is of a schema that we do not know. No record type is named so."""

_WITHOUT_BODY: Final = (1, "Body dropped by rule, or not known")
_BY_CLASS: Final = {"alarm": (8, "Alarm"), "policy": (4, "Registers changed")}
_OTHERS: Final = (3, "Record")


def event(type_: str, class_: str) -> tuple[int, str]:
    """Severity (0 to 10) and name of a record of that type and class."""
    if not type_:
        return _WITHOUT_BODY
    return EVENTS.get(type_) or _BY_CLASS.get(class_, _OTHERS)
