"""Words for codes: what stands in records, and how officers read it. Codes stay in records; words stay in `api.texts`.

Words about a person are neutral: they say which registration was not found, never anything about the person (P5). Only
the words of reasons lie elsewhere: `zones` writes them into documents of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from api.alarm_words import ALARM_DOS, ALARMS
from api.days import long_date, moment_of
from api.problem_words import PROBLEMS
from api.texts import Language, Said, language_of
from zones.decision.reasons import OFFICER_WORDS

__all__ = ["ALARMS", "ALARM_DOS", "PROBLEMS", "Language", "language_of", "long_date", "moment_of"]

Words = Mapping[Language, str]
NOTHING: Final[Words] = {"ja": "", "en": ""}

# (words, tone, icon) of each record type; tone: ok, no, warn, alarm, plain
TYPES: Final[dict[str, tuple[Words, str, str]]] = {
    "ACCESS_GRANTED": (Said("Entry granted"), "ok", "check"),
    "ACCESS_DENIED": (Said("Entry not granted"), "no", "cross"),
    "EXIT_GRANTED": (Said("May leave"), "ok", "out"),
    "REX": (Said("Exit button"), "plain", "out"),
    "RELEASED": (Said("Released", "record"), "warn", "key"),
    "RELEASE_REFUSED": (Said("Not released", "record"), "no", "cross"),
    "RELEASE_EXPIRED": (Said("Not released (too late)"), "warn", "cross"),
    "PASSAGE": (Said("Went in"), "ok", "walk"),
    "EXIT": (Said("Left"), "plain", "out"),
    "NO_PASSAGE": (Said("Nobody passed"), "plain", "dash"),
    "DOOR_FORCED": (Said("Door forced"), "alarm", "alarm"),
    "DOOR_HELD": (Said("Door held open"), "alarm", "alarm"),
    "DOOR_CLOSED": (Said("Door closed"), "plain", "dash"),
    "DOOR_OPEN_AT_START": (Said("Door open at start"), "warn", "alarm"),
    "POLICY_EDITED": (Said("Registers changed"), "plain", "pen"),
    "EDIT_SUGGESTED": (Said("Change suggested at the console"), "plain", "pen"),
    "OFFICER_INVITED": (Said("Officer let in at the console"), "warn", "key"),
    "OFFICER_RESET": (Said("Officer's passkeys replaced at the console"), "alarm", "key"),
    "ALARM_HANDLED": (Said("Alarm explained"), "plain", "check"),
    "EDIT_REFUSED": (Said("Change not accepted", "record"), "no", "cross"),
    "COMMAND_REFUSED": (Said("Command not accepted"), "no", "cross"),
    "NOTE": (Said("Noted"), "plain", "pen"),
    "DEVICE_ONLINE": (Said("Device answers"), "plain", "plug"),
    "DEVICE_OFFLINE": (Said("Device does not answer"), "alarm", "plug"),
    "LINE_NOISE": (Said("Noise on a line"), "warn", "plug"),
    "MESSAGE_REFUSED": (Said("Device message not accepted"), "warn", "plug"),
    "STORAGE_FAILED": (Said("Records cannot be written"), "alarm", "alarm"),
    "STORAGE_RESTORED": (Said("Records are written again"), "plain", "check"),
    "CLOCK_UNTRUSTED": (Said("Clock not trusted"), "warn", "alarm"),
    "RULE_ERROR": (Said("Fault in a rule"), "alarm", "alarm"),
    "OUTPUT_FAILED": (Said("Output failed"), "alarm", "alarm"),
    "CONTROLLER_STARTED": (Said("Controller started"), "plain", "plug"),
    "CONTROLLER_STOPPED": (Said("Controller stopped"), "warn", "plug"),
    "INBOX_FULL": (Said("Events found no room"), "alarm", "alarm"),
    "READS_REFUSED": (Said("Too many reads"), "alarm", "plug"),
    "CLOCK_TRUSTED": (Said("Clock trusted again"), "plain", "plug"),
    "CLOCK_ACCEPTED": (Said("Clock accepted"), "warn", "alarm"),
    "SITE_REBUILT": (Said("Registers rebuilt from the ledger"), "warn", "alarm"),
    "SITE_STORE_FAILED": (Said("Copy of the registers not written"), "alarm", "alarm"),
    "SITE_STORE_RESTORED": (Said("Copy of the registers restored"), "plain", "plug"),
    "DEVIATION": (Said("Deviation"), "warn", "alarm"),
    "DURESS": (Said("Duress code"), "alarm", "alarm"),
    "CREDENTIAL_ALARM": (Said("Alarm about a card"), "alarm", "alarm"),
    "UNUSUAL": (Said("Unusual for this place"), "warn", "alarm"),
    "LOG_REVIEWED": (Said("Log looked through"), "plain", "check"),
    "LOG_REVIEW_OVERDUE": (Said("Look through the log overdue"), "warn", "alarm"),
    "APB_VIOLATION": (Said("Entered again without leaving"), "warn", "alarm"),
    "PIN_LOCKED": (Said("PIN locked after misses"), "alarm", "lock"),
    "PIN_UNLOCKED": (Said("PIN unlocked"), "plain", "key"),
    "PRESENCE_FORGIVEN": (Said("Presence forgiven"), "warn", "walk"),
    "FIRE_ON": (Said("Fire alarm"), "alarm", "alarm"),
    "FIRE_OFF": (Said("Fire alarm silent"), "plain", "alarm"),
    "FIRE_RESET": (Said("Reset after fire"), "warn", "lock"),
    "POWER_LOST": (Said("Mains lost"), "alarm", "plug"),
    "POWER_RESTORED": (Said("Mains restored"), "plain", "plug"),
    "READER_POWER_LOST": (Said("Reader's supply fails"), "alarm", "plug"),
    "READER_POWER_RESTORED": (Said("Reader's supply is back"), "plain", "plug"),
    "TAMPER": (Said("Enclosure opened"), "alarm", "alarm"),
    "TAMPER_ENDED": (Said("Enclosure closed"), "plain", "plug"),
    "LINE_FAULT": (Said("Line cut or short", "record"), "alarm", "plug"),
    "LINE_RESTORED": (Said("Line restored"), "plain", "plug"),
    "REX_SUSPECT": (Said("Exit button suspect"), "alarm", "alarm"),
    "TAILGATE": (Said("Tailgating"), "alarm", "walk"),
    "DOOR_HELD_SOON": (Said("Door open long, warning"), "warn", "ajar"),
    "PORTAL_MODE": (Said("Door mode changed"), "plain", "key"),
    "ZONE_OPENED": (Said("Zone opened"), "plain", "key"),
    "ZONE_SECURED": (Said("Zone secured", "record"), "plain", "lock"),
    "OCCUPANCY_BELOW_MIN": (Said("Too few people in a zone"), "alarm", "walk"),
    "ESCORT_BROKEN": (Said("Visitor without an escort"), "alarm", "walk"),
    "ESCORT_RATIO": (Said("Too many visitors per escort", "record"), "alarm", "walk"),
    "ZONE_UNATTENDED": (Said("Zone open with nobody in it"), "alarm", "ajar"),
    "NOT_CLOSED": (Said("Not closed at the end of the day", "record"), "alarm", "ajar"),
    "REVIEW_OVERDUE": (Said("Review of a roster overdue"), "warn", "pen"),
    "OVERRIDE_ENDED": (Said("Break-glass ended"), "warn", "key"),
    "ALARM_CEASED": (Said("Alarm ceased"), "plain", "check"),
    "READER_UNTRUSTED": (Said("Reader not trusted any more"), "alarm", "plug"),
    "READER_REPLACED": (Said("Another reader in its place"), "alarm", "plug"),
    "OSDP_DOWNGRADE": (Said("Reader offers no secure channel"), "alarm", "plug"),
    "OSDP_INSTALL_ON": (Said("Reader takes a first key"), "warn", "key"),
    "OSDP_INSTALL_OFF": (Said("Reader takes no first key any more"), "plain", "lock"),
    "READER_IDENTIFIED": (Said("Reader said what it is"), "plain", "plug"),
    "READER_APPROVED": (Said("Reader approved"), "plain", "check"),
    "DEVICE_ORDER": (Said("Order about a reader or key"), "plain", "key"),
    "KEYS_FAILED": (Said("Keys could not be kept"), "alarm", "key"),
    "KEY_ROTATED": (Said("Key rotated"), "plain", "key"),
    "KEY_RENEWED": (Said("Reader's key renewed"), "plain", "key"),
    "KEY_ROTATION_DUE": (Said("Key must be rotated"), "alarm", "key"),
    "CARD_UNREAD": (Said("Card not read to the end"), "plain", "dash"),
    "COMMISSIONING": (Said("Not commissioned: a factory default is left"), "alarm", "key"),
    "LEDGER_KEY_ROTATED": (Said("Ledger's signing key rotated"), "warn", "key"),
    "TAIL_SET_ASIDE": (Said("Damaged end of the ledger set aside"), "alarm", "alarm"),
    "WITNESS_REFUSED": (Said("A witness does not know this history"), "alarm", "alarm"),
    "SINK_LOST": (Said("Records do not reach a sink"), "alarm", "plug"),
    "SINK_RESTORED": (Said("Records reach the sink again"), "plain", "check"),
    "CLOCK_SET": (Said("The clock was set"), "warn", "alarm"),
    "CLOCK_SKEW": (Said("Clocks differ"), "warn", "alarm"),
    "STORAGE_75": (Said("Three quarters of the disk used"), "warn", "alarm"),
    "STORAGE_90": (Said("Nine tenths of the disk used"), "alarm", "alarm"),
    "PURGED": (Said("Records past their term dropped"), "plain", "pen"),
    "LEGAL_HOLD_ON": (Said("Legal hold begun"), "warn", "lock"),
    "LEGAL_HOLD_OFF": (Said("Legal hold ended"), "warn", "key"),
    "LOG_ADMIN_REFUSED": (Said("Act on the log not accepted"), "alarm", "cross"),
    "CONFIG_REFUSED": (Said("Part of the site file not accepted"), "alarm", "cross"),
}

REASONS: Final[dict[str, Words]] = {
    reason.value: {"ja": words[0], "en": words[1]} for reason, words in OFFICER_WORDS.items()
}
"""Why somebody was not let in: the words of docs/decision.md."""

PASSED_OUT: Final = (Said("Went out"), "ok", "out")
"""A passage outward."""

STATES: Final[dict[str, tuple[Words, str]]] = {
    "secured": (Said("Closed, locked"), "lock"),
    "released": (Said("Released", "door"), "key"),
    "open": (Said("Open"), "ajar"),
    "held": (Said("Held open"), "alarm"),
    "forced": (Said("Forced open"), "alarm"),
    "unknown": (Said("Unknown"), "dash"),
    "offline": (Said("No answer", "door"), "plug"),
}

KINDS: Final[dict[int, Words]] = {
    0: Said("Unrestricted"),
    1: Said("Controlled"),
    2: Said("Limited"),
    3: Said("Exclusion"),
}

ZONE_STATES: Final[dict[str, Words]] = {
    "SECURED": Said("Secured"),
    "OPEN_ATTENDED": Said("In use"),
    "OPEN_UNATTENDED": Said("Unattended"),
}

ZONE_NOTES: Final[dict[str, Words]] = {
    "locked_down": Said("Locked down", "zone"),
    "sanitised": Said("Sanitised"),
}
"""What else stands beside a zone's name."""

MODES: Final[dict[str, Words]] = {
    "CARD": NOTHING,
    "LOCKED": Said("Nobody is let in", "mode"),
    "UNLOCKED": Said("Unlocked"),
    "ATTENDED": Said("Unlocked, attended"),
}
"""How a door stands, where it is not as usual."""

BY_CARD: Final = Said("Entry by card")
"""How a door usually stands."""

SHUT_UNLOCKED: Final = Said("Closed, unlocked")
"""A shut door whose mode keeps its lock released."""

FIRE_RELEASED: Final = Said("Unlocked by fire alarm")
"""A shut door whose lock the fire alarm dropped, by wire."""

EXITS: Final[dict[str, Words]] = {
    "card": Said("Left by card"),
    "rex": Said("Left by the button"),
    "unseen": Said("Opened from inside"),
}
"""What let somebody out."""

CREDENTIAL_ALARMS: Final[dict[str, Words]] = {
    "lost": Said("Lost or destroyed credential"),
    "copied": Said("Perhaps a copy"),
    "replayed": Said("Evidence used before"),
    "impossible_travel": Said("Faster than anybody can walk"),
}
"""What an alarm about a card is about."""

WITNESS_REFUSALS: Final[dict[str, Words]] = {
    "fork": Said("Another history of the same length"),
    "rollback": Said("Fewer records than it had signed"),
    "not_consistent": Said("Not the history that it had signed"),
    "unknown_key": Said("A key that it does not know"),
    "bad_signature": Said("A signature that does not hold"),
}
"""What a witness refused (docs/witness.md)."""

DISTRUSTS: Final[dict[str, Words]] = {
    "key_lost": Said("does not know its key"),
    "default_key": Said("answers with the default key"),
    "macs_failed": Said("its frames are tampered with"),
}
"""Why a reader is believed no more, where the type of the record does not say it."""

CARD_SCHEMES: Final[dict[str, Words]] = {
    "desfire_ev1": Said("DESFire EV1"),
    "desfire_ev2": Said("DESFire EV2"),
    "ntag424": Said("NTAG 424 DNA"),
    "pkoc": Said("PKOC"),
    "felica_lite_s": Said("FeliCa Lite-S"),
    "aliro": Said("Aliro"),
    "": Said("number only"),
}
"""How a card proves itself; under no name, one that does not."""

ACTORS: Final[dict[str, Words]] = {
    "officer": Said("Officer"),
    "site-file": Said("Site file"),
    "portal": Said("Controller"),
    "controller": Said("Controller"),
    "streams": Said("Streams"),
    "console": Said("Console", "actor"),
    "unknown": Said("Nobody known", "actor"),
}
"""Who stands in records without being a person: the one officer until officers sign in, and the controller itself."""

RELEASE_REASONS: Final[dict[str, Words]] = {
    "visitor": Said("Showing a visitor in"),
    "delivery": Said("Delivery"),
    "forgotten_card": Said("Card left behind"),
    "reader_fault": Said("Reader not working"),
    "emergency": Said("Emergency"),
    "other": Said("Other"),
}

NOTE_KINDS: Final[dict[str, Words]] = {
    "SIGN_IN": Said("Signed in"),
    "SIGN_IN_REFUSED": Said("Sign-in failed"),
    "SIGN_OUT": Said("Signed out"),
    "STEP_UP": Said("Passkey shown again"),
    "SESSION_REVOKED": Said("Session ended by an officer"),
    "TOKEN_MADE": Said("API token made"),
    "TOKEN_REVOKED": Said("API token revoked"),
    "PASSWORD_SET": Said("Password set"),
    "PASSWORD_DROPPED": Said("Password removed"),
    "LINK_MADE": Said("One-time link made"),
    "NAME_CHANGED": Said("Name changed"),
    "CARD_SEEN": Said("New card read for issue"),
    "VISIT_ARRIVED": Said("Visitor arrived"),
    "VISIT_LEFT": Said("Visitor left"),
    "ROLL_CALL": Said("Roll call: ticked"),
    "DRILL": Said("Fire drill begun or ended"),
    "VIEW_PERSONAL": Said("History looked at"),
    "EXPORT": Said("Exported"),
    "REFUSED_ATTEMPT": Said("Attempt not accepted"),
    "FORGOTTEN": Said("Name destroyed"),
}
"""What happened in these pages."""

PURPOSES: Final[dict[str, Words]] = {
    "incident": Said("Incident or suspicion"),
    "audit": Said("Inspection or audit"),
    "disclosure": Said("The person asked to see it"),
    "safety": Said("Safety of the person"),
    "correction": Said("Correcting a record"),
}
"""Why somebody looks at a person's history (E-07)."""

FORGET_REASONS: Final[dict[str, Words]] = {
    "term_over": Said("Term is over"),
    "request": Said("The person asked"),
    "mistake": Said("Entered by mistake"),
}
"""Why a name is destroyed (E-08)."""

DEVIATIONS: Final[dict[str, Words]] = {
    "uid_accepted": Said("Zones that take card numbers which can be copied"),
    "record_omitted": Said("Types of records that are not kept"),
    "keystore_unsealed": Said("What seals the keys lies on the same disk as they"),
    "mqtt_without_tls": Said("Device messages are not encrypted"),
    "attended_counts": Said("Zones where being attended counts for a factor"),
    "way_around_roster": Said("Zones reached without being on their roster"),
    "door_unlocked": Said("Doors that may stand unlocked"),
    "fire_release_missing": Said("Doors without hard-wired fire release"),
    "fail_safe_into_protected": Said("Doors into protected zones that open without power"),
    "vestibule_open": Said("Vestibules whose doors are not interlocked"),
    "interlock_one_way": Said("Doors interlocked one way only"),
    "device_unnumbered": Said("Devices whose messages carry neither a number nor a time"),
    "strike_without_timer": Said("Devices that do not end a release by themselves"),
    "simulation": Said("Simulation: this is not a real site"),
}


def deviations(codes: Sequence[str], places: Mapping[str, str], language: Language) -> list[str]:
    """Words for what the controller reports as `code` or `code:place`: one line a code, its places named."""
    found: dict[str, list[str]] = {}
    for text in codes:
        code, _, place = text.partition(":")
        found.setdefault(code, []).extend([places.get(place, place)] if place else [])
    comma = "、" if language == "ja" else ", "
    lines: list[str] = []
    for code, where in found.items():
        words = DEVIATIONS[code][language] if code in DEVIATIONS else code
        lines.append(f"{words}: {comma.join(where)}" if where else words)
    return lines


TABLES: Final[dict[str, Words]] = {
    "zone": Said("Zone settings"),
    "zone_status": Said("State of a zone"),
    "site_status": Said("State of the site"),
    "portal": Said("Door settings"),
    "portal_status": Said("Mode of a door"),
    "device_status": Said("Trust in a device"),
    "schedule": Said("Schedules"),
    "calendar": Said("Calendars"),
    "walk": Said("Walking times"),
    "item": Said("Information items"),
    "cardholder": Said("Cardholders"),
    "credential": Said("Credentials"),
    "pin": Said("PIN"),
    "clearance": Said("Clearances"),
    "need_to_know": Said("Need-to-know"),
    "roster": Said("Zone rosters"),
    "training": Said("Training"),
    "declaration": Said("Device declarations"),
    "visit": Said("Visits"),
    "override": Said("Break-glass"),
    "officer": Said("Officers", "table"),
    "officer_key": Said("Officers' passkeys", "table"),
}
"""What a change of the registers was about: the tables of `zones.policy`."""

FIELD_FAULTS: Final[dict[str, Words]] = {
    "other": Said("is not an acceptable value"),
    "missing": Said("is missing"),
    "extra_forbidden": Said("is not a field here"),
    "json_invalid": Said("is not JSON"),
    "string": Said("must be text of the right length and form"),
    "int": Said("must be a whole number"),
    "bool": Said("must be true or false"),
    "literal_error": Said("is not one of the known words"),
    "date": Said("must be a date written YYYY-MM-DD"),
    "greater": Said("is too small"),
    "less": Said("is too large"),
    "two_people": Said("recorded_by and confirmed_by must be two people"),
    "order": Said("ends before it begins"),
    "text": Said("holds characters that cannot be used"),
    "nothing": Said("changes nothing"),
}  # fmt: skip
