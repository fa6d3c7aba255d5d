"""Words of alarms: what each is called, and what an officer does about it."""

from __future__ import annotations

from typing import Final

from api.texts import Said

ALARMS: Final[dict[str, Said]] = {
    "forced": Said("Door forced"),
    "held": Said("Door held open"),
    "ledger": Said("Records cannot be written: entry has stopped, exits are free"),
    "shorter": Said("The controller's records end before what was seen of them"),
    "names": Said("Names cannot be read: pseudonyms are shown instead"),
    "names_owed": Said("A name that is to be forgotten still has its key"),
    "device": Said("Device does not answer"),
    "DURESS": Said("Duress code (the person was let in)"),
    "CREDENTIAL_ALARM": Said("Alarm about a card (a copy, a lost one, evidence used twice)"),
    "FIRE_ON": Said("Fire alarm; an officer resets it"),
    "POWER_LOST": Said("Mains lost"),
    "READER_POWER_LOST": Said("A reader's supply fails"),
    "TAMPER": Said("Enclosure open"),
    "LINE_FAULT": Said("Line cut or short", "alarm"),
    "OCCUPANCY_BELOW_MIN": Said("Too few people inside"),
    "ESCORT_BROKEN": Said("Visitor without an escort"),
    "ESCORT_RATIO": Said("Too many visitors per escort", "alarm"),
    "ZONE_UNATTENDED": Said("Open with nobody inside"),
    "NOT_CLOSED": Said("Not closed at the end of the day", "alarm"),
    "REVIEW_OVERDUE": Said("Review of the roster overdue"),
    "LOG_REVIEW_OVERDUE": Said("Nobody has looked through the log in time"),
    "UNUSUAL": Said("Unusual for this place"),
    "OSDP_INSTALL_ON": Said("Reader takes a first key (ends by itself within ten minutes)"),
    "KEY_ROTATION_DUE": Said("Key must be rotated (a custodian left, was moved, or lost it)"),
    "WITNESS_REFUSED": Said("A witness does not know this history: rewritten, or an old disk"),
    "SINK_LOST": Said("Records do not reach the outside"),
    "witness_silent": Said("A witness has not signed for a day"),
    "COMMISSIONING": Said("Not commissioned: a factory default is left; no entry"),
    "CONFIG_REFUSED": Said("Part of the site file is passed over: it leaves out records that must be kept"),
    "CLOCK_SKEW": Said("Clocks differ by more than a second"),
    "untrusted": Said("Device not trusted (two people restore it)"),
    "lockdown": Said("The whole site is locked down"),
    "clock": Said("The clock is not trusted"),
    "deviations": Said("Deviations"),
    "view": Said("The copy of the records (api.db) is damaged, and folding it anew did not help: what is shown is old"),
    "TAIL_SET_ASIDE": Said(
        "The end of the ledger was damaged or gone; the file was set aside, and the ledger goes on from there"
    ),
    "STORAGE_75": Said("Three quarters of the disk are used"),
    "STORAGE_90": Said("Nine tenths of the disk are used: at its end nobody is let in"),
}

ALARM_DOS: Final[dict[str, Said]] = {
    "TAIL_SET_ASIDE": Said(
        "keep the set-aside file and a copy, look at it with sekisho verify, and check that the "
        "latest changes of rights are as they should be"
    ),
    "STORAGE_75": Said("see with sekisho ledger capacity how many days are left, and plan for a larger disk"),
    "STORAGE_90": Said("export the ledger and keep it; then replace the disk, or remove what does not belong there"),
    "forced": Said("go and look, and shut it"),
    "held": Said("shut it; where it cannot be shut, somebody stands there"),
    "ledger": Said("look at the controller's disk: full, or failing"),
    "view": Said(
        "look at the disk; restore api.db from the backup and restart sekisho api. Never delete "
        "it: the names are in it. Doors go on"
    ),
    "shorter": Said("hold it against an export, and tell who is responsible"),
    "names": Said(
        "restore names.keys and what opens it (names.seal or the credential sekisho-names) from "
        "the backup, and restart sekisho api; docs/privacy.md"
    ),
    "names_owed": Said("look at the disk: full, or failing; then restart sekisho api"),
    "device": Said("look at power and cable; sekisho devices show tells more"),
    "DURESS": Said("stay calm, and call those who were agreed on"),
    "CREDENTIAL_ALARM": Said("the events below say why: look at the person and the card"),
    "FIRE_ON": Said("people first; exits are free"),
    "POWER_LOST": Said("ask when it comes back; batteries last for hours"),
    "READER_POWER_LOST": Said("look at its supply and cable"),
    "TAMPER": Said("go and look at it, and close it"),
    "LINE_FAULT": Said("look at the cable; until then nobody knows about that door"),
    "OCCUPANCY_BELOW_MIN": Said("another one goes in, or who is left comes out"),
    "ESCORT_BROKEN": Said("the escort goes back, or the visitor is shown out"),
    "ESCORT_RATIO": Said("another escort, or show visitors out"),
    "ZONE_UNATTENDED": Said("go back, or secure it"),
    "NOT_CLOSED": Said("look inside, and secure it"),
    "REVIEW_OVERDUE": Said("review the roster, and set the next day"),
    "LOG_REVIEW_OVERDUE": Said("an auditor looks through the log and signs it"),
    "UNUSUAL": Said("ask whoever answers for the zone; there may be a good reason, and nothing is meant by it"),
    "OSDP_INSTALL_ON": Said("stay beside the reader until it is over"),
    "KEY_ROTATION_DUE": Said("sekisho keys make; of a reader sekisho devices renew-key"),
    "WITNESS_REFUSED": Said("delete nothing; with whoever keeps the witness, run sekisho verify --witness"),
    "SINK_LOST": Said("look after sekisho streams and the other side; what waits is sent when it is back"),
    "witness_silent": Said("look after the witness's machine and sekisho streams"),
    "COMMISSIONING": Said("a reader: sekisho devices install; card keys: sekisho keys make"),
    "CONFIG_REFUSED": Said("take that type out of [ledger] omit in the site file"),
    "CLOCK_SKEW": Said("see that the device and the controller ask a time server (NTP)"),
    "untrusted": Said(
        "look at it; one with another key first needs sekisho devices install; then two people: "
        "POST /api/v1/devices/ID/restore"
    ),
    "lockdown": Said("an officer ends it"),
    "clock": Said("set the controller's clock: entry has stopped until then"),
}
"""Of deviations there is nothing but the list of them."""

CAUSES: Final[dict[str, Said]] = {
    "person": Said("Somebody, and it was in order", "cause"),
    "wrong_use": Said("Somebody, and it was not in order", "cause"),
    "weather": Said("Weather", "cause"),
    "worn_latch": Said("Worn latch or hinge", "cause"),
    "sensor": Said("Sensor at fault", "cause"),
    "power": Said("Power", "cause"),
    "network": Said("Network", "cause"),
    "maintenance": Said("Maintenance work", "cause"),
    "drill": Said("Drill", "cause"),
    "intrusion": Said("Intrusion, or an attempt", "cause"),
    "unknown": Said("Not found out", "cause"),
}
"""What an alarm was (`controller.link.messages.ALARM_CAUSES`)."""

NUISANCES: Final = frozenset({"weather", "worn_latch", "sensor", "power", "network"})
"""Causes that are mended, not watched."""

UNUSUAL_CODES: Final[dict[str, Said]] = {
    "OUT_OF_HOURS": Said("Entry at an unusual hour"),
    "REPEATED_TRIES": Said("Repeated tries at doors without a place on the list"),
    "LONG_STAY": Said("Unusually long stay"),
    "OUT_OF_SEQUENCE": Said("Card shown where its holder is not"),
}
"""What is unusual (`zones.unusual`): about an hour, a stay, a way; never about the person."""

REVIEW_OUTCOMES: Final[dict[str, Said]] = {
    "in_order": Said("In order", "log review"),
    "explained": Said("Something stood out and is explained", "log review"),
    "measures": Said("Something is to be mended", "log review"),
    "incident": Said("An incident follows", "log review"),
}
"""What a look through the log came to (`controller.link.messages.REVIEW_OUTCOMES`)."""
