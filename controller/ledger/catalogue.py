"""Every type of record: its class, what its detail may hold, whether a site may leave it out, and why it is recorded.

The one table behind `controller.ledger.body.RECORD_TYPES`, docs/ledger.md §6 and the published files in docs/schema
(A-20). The floor is what an auditor cannot do without, and what the ledger's own readers fold (last places, the state
of doors and devices, the policy): a site file cannot switch it off. What is not floor tells a technician more than an
auditor, and may fill a small disk.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class RecordType(NamedTuple):
    """One row. `class_`: how long a body is kept; `keys`: what its detail may hold, between blanks; `why`: what for."""

    type: str
    class_: str
    keys: str
    why: str
    is_floor: bool = True


_SPARE: Final = False
"""Not of the floor."""

CATALOGUE: Final = (
    # -- the controller itself
    RecordType("CONTROLLER_STARTED", "system", "version is_simulated", "since when doors are watched; the version"),
    RecordType("CONTROLLER_STOPPED", "system", "", "until when; an end without it was a crash or a power cut"),
    RecordType("DEVIATION", "system", "code place", "nobody can say later that a weaker setting was not known"),
    RecordType("CONFIG_REFUSED", "alarm", "code place", "somebody tried to switch off what an auditor needs"),
    RecordType("SITE_REBUILT", "alarm", "why", "the copy of the policy was damaged or changed outside of the ledger"),
    RecordType("SITE_STORE_FAILED", "alarm", "why", "the next start will have to fold the whole ledger"),
    RecordType("SITE_STORE_RESTORED", "alarm", "", "how long that lasted"),
    RecordType("RULE_ERROR", "alarm", "rule error", "a fault of the product refused somebody, or might have"),
    RecordType("INBOX_FULL", "alarm", "count", "what happened then is not in the ledger, and how much of it"),
    RecordType("READS_REFUSED", "alarm", "device count", "a reader that floods hides who was there"),
    # -- decisions, passages and doors
    RecordType("ACCESS_GRANTED", "access", "device override", "who was let in where, by which rules and which rights"),
    RecordType("ACCESS_DENIED", "access", "device override", "who tried, and which rule refused"),
    RecordType("EXIT_GRANTED", "access", "device", "who left, where there is a reader inside"),
    RecordType("REX", "access", "", "why a strike was released without a card"),
    RecordType("RELEASED", "command", "id reason", "which officer let somebody in by hand, and for what"),
    RecordType("RELEASE_EXPIRED", "access", "", "a grant that opened nothing"),
    RecordType("PASSAGE", "access", "", "who really went through, and so where everybody was"),
    RecordType("EXIT", "access", "cause", "somebody left unseen: places are not certain any more"),
    RecordType("NO_PASSAGE", "access", "is_certain", "a grant that nobody used"),
    RecordType("DOOR_FORCED", "alarm", "", "a door was opened without anybody being let in"),
    RecordType("DOOR_HELD", "alarm", "", "a door stood open: anybody may have come through"),
    RecordType("DOOR_HELD_SOON", "access", "", "whether people were warned before the alarm", _SPARE),
    RecordType("DOOR_CLOSED", "access", "was", "until when it stood open"),
    RecordType("DOOR_OPEN_AT_START", "alarm", "", "it was open while nobody watched"),
    RecordType("CARD_UNREAD", "access", "device why", "cards that leave too early: a technician's count", _SPARE),
    RecordType("TAILGATE", "alarm", "counted granted", "more people came in than were let in"),
    RecordType("REX_SUSPECT", "alarm", "", "an exit button worked from outside"),
    RecordType("PORTAL_MODE", "access", "mode", "when a door stood unlocked or locked for everybody"),
    RecordType("OUTPUT_FAILED", "alarm", "device why", "a lock that did not do what the ledger says it was told"),
    # -- people, zones, credentials
    RecordType("DURESS", "alarm", "", "somebody was forced to open"),
    RecordType("CREDENTIAL_ALARM", "alarm", "code", "a card that should not be about was held to a reader"),
    RecordType("UNUSUAL", "alarm", "code count minutes", "something that is rare: an hour, a stay, a way, tries"),
    RecordType("APB_VIOLATION", "alarm", "", "one card for two people, or somebody left unseen"),
    RecordType("PIN_LOCKED", "alarm", "", "somebody tried out a PIN"),
    RecordType("PIN_UNLOCKED", "command", "id", "who gave it back"),
    RecordType("PRESENCE_FORGIVEN", "command", "id", "who declared places unknown, which lets somebody in again"),
    RecordType("ZONE_OPENED", "access", "", "from when a zone was in use, and by whom"),
    RecordType("ZONE_SECURED", "access", "", "from when it was shut, and by whom"),
    RecordType("OCCUPANCY_BELOW_MIN", "alarm", "", "somebody was alone where two must be"),
    RecordType("ESCORT_BROKEN", "alarm", "", "a guest was without an escort"),
    RecordType("ESCORT_RATIO", "alarm", "", "more guests than can be looked after"),
    RecordType("ZONE_UNATTENDED", "alarm", "", "an open zone that nobody watched"),
    RecordType("NOT_CLOSED", "alarm", "row", "a night that a zone was left open"),
    RecordType("REVIEW_OVERDUE", "alarm", "", "rights that nobody looked at in time"),
    RecordType("OVERRIDE_ENDED", "alarm", "row", "until when break-glass lasted"),
    RecordType("ALARM_CEASED", "alarm", "kind row", "how long an alarm lasted"),
    # -- building
    RecordType("FIRE_ON", "alarm", "device", "why doors stood open, and places are not known"),
    RecordType("FIRE_OFF", "alarm", "device", "until when"),
    RecordType("FIRE_RESET", "command", "id", "who let the doors lock again"),
    RecordType("POWER_LOST", "alarm", "device", "why fail-safe doors stood open, and places are not known"),
    RecordType("POWER_RESTORED", "alarm", "device", "until when"),
    RecordType("TAMPER", "alarm", "device", "somebody opened an enclosure: what it said since is in doubt"),
    RecordType("TAMPER_ENDED", "alarm", "device", "until when"),
    RecordType("LINE_FAULT", "alarm", "device line fault", "a contact was cut or bridged"),
    RecordType("LINE_RESTORED", "alarm", "device line", "until when"),
    # -- devices and keys
    RecordType("DEVICE_ONLINE", "system", "device", "from when a device answered; the page shows it by this"),
    RecordType("DEVICE_OFFLINE", "system", "device why", "what a silent device saw is not in the ledger"),
    RecordType("LINE_NOISE", "system", "device count", "bad cables: a technician's count", _SPARE),
    RecordType("MESSAGE_REFUSED", "system", "device why count", "forged, late or repeated messages"),
    RecordType("READER_UNTRUSTED", "alarm", "device why", "from when a reader was not believed, and why"),
    RecordType("READER_REPLACED", "alarm", "device", "another reader hung there"),
    RecordType("OSDP_DOWNGRADE", "alarm", "device", "somebody tried to make a line speak in clear"),
    RecordType("OSDP_INSTALL_ON", "alarm", "device id officer2 until_ms", "when a first key could be overheard"),
    RecordType("OSDP_INSTALL_OFF", "alarm", "device why is_done", "until when"),
    RecordType("READER_POWER_LOST", "alarm", "device", "a reader about to fall silent"),
    RecordType("READER_POWER_RESTORED", "alarm", "device", "that is over"),
    RecordType("READER_IDENTIFIED", "system", "device identity maker model serial firmware", "which firmware it ran"),
    RecordType("READER_APPROVED", "command", "device id identity officer2", "which two people believed it"),
    RecordType("DEVICE_ORDER", "command", "id act device officer2 who purpose", "who changed a reader or a key"),
    RecordType("KEYS_FAILED", "alarm", "why act device", "a key that was not changed although somebody meant it to be"),
    RecordType("KEY_ROTATED", "policy", "key version", "which version of a key counted when"),
    RecordType("KEY_RENEWED", "policy", "device is_done", "which readers have the new key"),
    RecordType("KEY_ROTATION_DUE", "alarm", "key", "a key that somebody who left still knows"),
    RecordType("COMMISSIONING", "alarm", "place code", "a factory default that anybody can look up"),
    # -- policy and officers
    RecordType(
        "POLICY_EDITED", "policy",
        "id edit revision base signatures signed signed_base reason not_after_ms stand_ins weight",
        "who got which right by whom, and the signatures that it rests on",
    ),
    RecordType("EDIT_SUGGESTED", "policy", "id edit reason", "a change that somebody at the console wanted"),
    RecordType("OFFICER_INVITED", "policy", "id who roles", "who let the first officers in at the console"),
    RecordType("OFFICER_RESET", "alarm", "id who", "an officer's passkeys were replaced at the console"),
    RecordType("EDIT_REFUSED", "policy", "id code", "changes that were tried and refused"),
    RecordType("COMMAND_REFUSED", "command", "id code", "orders that were tried and refused"),
    RecordType("ALARM_HANDLED", "policy", "id kind row cause note seq", "what an alarm was, and who says so"),
    RecordType("LOG_REVIEWED", "policy", "id from_seq to_seq code incident", "who looked through which records"),
    RecordType("LOG_REVIEW_OVERDUE", "alarm", "", "records that nobody looked through in time"),
    RecordType("NOTE", "view", "id kind purpose officer2 count", "who looked at whose history, and why"),
    # -- the ledger itself
    RecordType("STORAGE_FAILED", "alarm", "why", "from when nothing could be recorded"),
    RecordType("STORAGE_RESTORED", "alarm", "why for_ms records_lost", "until when, and how much is missing"),
    RecordType("STORAGE_75", "alarm", "used_percent free_mb", "that there was time to do something about it"),
    RecordType("STORAGE_90", "alarm", "used_percent free_mb", "that entries are about to stop"),
    RecordType("CLOCK_UNTRUSTED", "alarm", "", "times from here on are not to be believed"),
    RecordType("CLOCK_TRUSTED", "alarm", "", "from here on they are"),
    RecordType("CLOCK_ACCEPTED", "alarm", "", "somebody said that the clock is right although it went back"),
    RecordType("CLOCK_SET", "alarm", "by_ms", "somebody, or a time server, set the clock while the controller ran"),
    RecordType("CLOCK_SKEW", "alarm", "against by_ms", "times of two places cannot be compared to the second"),
    RecordType("LEDGER_KEY_ROTATED", "policy", "id old new officer2", "which key signed what, and who changed it"),
    RecordType("TAIL_SET_ASIDE", "alarm", "first count file sha256 why", "what was lost, and where it is kept"),
    RecordType("WITNESS_REFUSED", "alarm", "witness code size", "somebody outside knows another history"),
    RecordType("SINK_LOST", "alarm", "sink why", "from when nobody outside had the records"),
    RecordType("SINK_RESTORED", "alarm", "sink from_seq to_seq for_ms", "which records arrived late"),
    RecordType("PURGED", "policy", "id code of_class ranges count term_days reckoned_ms", "what went by rule"),
    RecordType("LEGAL_HOLD_ON", "policy", "id hold from_ms until_ms officer2", "what must be kept, and who says so"),
    RecordType("LEGAL_HOLD_OFF", "policy", "id hold officer2", "who let it be dropped again"),
    RecordType("LOG_ADMIN_REFUSED", "alarm", "id act code", "somebody without that role tried to administer the log"),
)  # fmt: skip

RECORD_TYPES: Final[dict[str, tuple[str, frozenset[str]]]] = {
    row.type: (row.class_, frozenset(row.keys.split())) for row in CATALOGUE
}
"""Type -> its class and the keys that its detail may have."""

FLOOR: Final = frozenset(row.type for row in CATALOGUE if row.is_floor)
"""What no site file can leave out."""
