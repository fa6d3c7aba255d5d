"""Words of problems: title and detail of each code that the API and the pages answer with (RFC 9457)."""

from __future__ import annotations

from typing import Final

from api.texts import Language, Said


class Told:
    """Title and detail of one problem, in both languages: `told["ja"]` is the pair."""

    __slots__ = ("detail", "title")

    def __init__(self, title: Said, detail: Said) -> None:
        self.title, self.detail = title, detail

    def __getitem__(self, language: Language) -> tuple[str, str]:
        return self.title[language], self.detail[language]


PROBLEMS: Final[dict[str, Told]] = {
    "internal": Told(Said("Internal fault"), Said("Something went wrong here. Doors go on.")),
    "bad_request": Told(Said("Bad request"), Said("This request cannot be taken.")),
    "not_found": Told(Said("Not found"), Said("There is no such thing here.")),
    "method_not_allowed": Told(Said("Method not allowed"), Said("This address does not take that method.")),
    "not_valid": Told(Said("Not valid"), Said("Some fields are not valid; see errors.")),
    "no_token": Told(
        Said("Not signed in"), Said("Sign in on the page, or send an API token as Authorization: Bearer.")
    ),
    "not_your_role": Told(Said("Not your task"), Said("Your post does not include this. The attempt was recorded.")),
    "not_plain": Told(
        Said("Note not accepted"),
        Said("One line about what happened at the door, and nothing about what an assessment looks into (E-01)."),
    ),
    "about_himself": Told(
        Said("Somebody else looks at this"),
        Said("These records speak of you. Another auditor signs that they were looked through (A-15)."),
    ),
    "alarm_moved": Told(
        Said("The alarm came again"), Said("It was raised once more since you looked. Look again, then answer it.")
    ),
    "no_roll_call": Told(
        Said("No roll call now"), Said("Names are shown while the fire alarm lasts, or a drill. Neither does.")
    ),
    "step_up": Told(Said("Passkey needed"), Said("Show your passkey again, then do this once more.")),
    "sign_in_too_weak": Told(
        Said("Sign in with a passkey"),
        Said("This zone asks for more at its door than you showed when you signed in. Sign in with a passkey."),
    ),
    "passkey_wrong": Told(
        Said("Passkey not accepted"), Said("This passkey is not registered here, or its answer was not for this site.")
    ),
    "challenge_over": Told(
        Said("Took too long"),
        Said("The question to your passkey is over two minutes old. Try again."),
    ),
    "sign_in_wrong": Told(
        Said("Not signed in", "problem"), Said("Officer, password or code is not right. A code is taken once only.")
    ),
    "sign_in_delayed": Told(
        Said("Please wait"), Said("Too many attempts. Wait as long as shown, or sign in with a passkey at once.")
    ),
    "passkey_only": Told(
        Said("Only with a passkey"), Said("You have not signed in for long. Sign in with a passkey this time.")
    ),
    "password_weak": Told(
        Said("Password not accepted"),
        Said("At least 12 characters, not your officer name, and none of those that everybody tries first."),
    ),
    "password_differs": Told(Said("Not the same"), Said("The two passwords differ. Type the same one twice.")),
    "link_over": Told(Said("Link not valid"), Said("This link was used or is over. Ask for a new one.")),
    "oidc_failed": Told(
        Said("Not signed in by your company"), Said("Your company's sign-in did not confirm you. Use a passkey.")
    ),
    "not_set_up": Told(Said("Not set up"), Said("This way to sign in is not set up here.")),
    "other_site": Told(Said("From another site"), Said("Only this site's own pages may do that.")),
    "other_host": Told(Said("Unknown host name"), Said("Not served under this name; add it to allowed_hosts.")),
    "too_large": Told(Said("Too large"), Said("A request may be at most 64 KiB.")),
    "file_too_large": Told(Said("Too large"), Said("A file may be at most 10 MB.")),
    "not_in_cp932": Told(
        Said("Not in cp932"), Said("Some rows have signs that cp932 does not have; see places. Take UTF-8, or Excel.")
    ),
    "import_not_ready": Told(
        Said("Nothing to propose"), Said("This file is not read yet, has faults, or was proposed already.")
    ),
    "if_match_missing": Told(
        Said("If-Match is missing"), Said("Ask for the row first, and send its ETag as If-Match.")
    ),
    "stale_etag": Told(
        Said("Changed meanwhile"), Said("The row was changed since you asked for it. Look again, then send again.")
    ),
    "self_grant": Told(Said("Not for oneself"), Said("Nobody gives anything to himself. Two others must sign this.")),
    "proposal_settled": Told(Said("Settled already"), Said("This proposal does not wait for anybody any more.")),
    "not_your_zone": Told(Said("Not your zone"), Said("It lies outside of what you answer for.")),
    "passkey_needed": Told(
        Said("Only with a passkey"),
        Said("Sign in with your passkey to do this. With other sign-ins one may read and propose."),
    ),
    "unsigned": Told(Said("Not signed"), Said("Nothing is changed without its officers' signatures.")),
    "not_an_officer": Told(Said("Not an officer"), Said("Whoever signed is not in post today.")),
    "not_signed_by": Told(
        Said("Named without having signed"), Said("A row names somebody as having done it who did not sign.")
    ),
    "post_vacant": Told(
        Said("A post is vacant"), Said("Nobody holds the post that must approve this. It waits until somebody does.")
    ),
    "unknown_device": Told(Said("No such device"), Said("The controller knows no device of that name.")),
    "not_here": Told(Said("Only at the controller"), Said("This is done at the controller's own console alone.")),
    "offline": Told(Said("The device does not answer"), Said("Look at its power and its line, then try again.")),
    "unknown_hold": Told(Said("No such hold"), Said("There is no legal hold of that name.")),
    "clock_untrusted": Told(
        Said("The clock is not trusted"), Said("Nothing is dropped by a clock that is not trusted.")
    ),
    "bad_signature": Told(
        Said("Signature not accepted"), Said("It is not this officer's over this change. Sign again.")
    ),
    "bad_ticket": Told(Said("Link not valid"), Said("This enrolment link was used, is over, or was never printed.")),
    "not_ours": Told(
        Said("Not of this ledger"), Said("It belongs to another history, or to a witness that is not named here.")
    ),
    "too_many": Told(Said("Too many streams"), Said("Too many live streams are open.")),
    "controller_away": Told(
        Said("Controller away"), Said("The controller does not answer. Doors go on. Nothing was changed.")
    ),
    "no_answer": Told(
        Said("No answer", "problem"),
        Said("It may or may not have been done: look at the events. The same id is never done twice."),
    ),
    "protocol": Told(Said("Not understood"), Said("The controller did not understand; upgrade both together.")),
    "expired": Told(Said("Too late"), Said("It reached the controller too late and was not done.")),
    "other_boot": Told(Said("Controller restarted"), Said("The controller restarted in between; it was not done.")),
    "repeated": Told(Said("Used before"), Said("This Idempotency-Key was used before; take a new one.")),
    "stale_base": Told(
        Said("Changed meanwhile"), Said("Something else was changed first. Look again, then send again.")
    ),
    "edit_refused": Told(
        Said("Change not accepted", "problem"), Said("It breaks a rule of the registers; nothing was changed.")
    ),
    "unknown_portal": Told(Said("No such door"), Said("This door is not registered.")),
    "protected_zone": Told(
        Said("Not opened"), Said("A zone with protected information is not opened for somebody without the three keys.")
    ),
    "strike_offline": Told(
        Said("Not released", "problem"), Said("The device that moves this lock does not answer. Check the device.")
    ),
    "zone_secured": Told(Said("Zone secured", "problem"), Said("Open the zone first.")),
    "locked_down": Told(Said("Locked down", "problem"), Said("It is locked down; lift the lockdown first.")),
    "portal_locked": Told(Said("Portal locked"), Said("Put the portal back to cards first.")),
    "interlock": Told(Said("Interlocked portal open"), Said("Close the interlocked portal first.")),
    "unknown_cardholder": Told(Said("No such cardholder"), Said("This cardholder is not registered.")),
    "fire_lasts": Told(Said("Fire alarm lasts"), Said("Silence it at its panel first.")),
    "ledger_unavailable": Told(
        Said("Records cannot be written"), Said("It could not be recorded, so it was not done.")
    ),
    "busy": Told(Said("Busy"), Said("Wait a moment and send again.")),
    "no_purpose": Told(
        Said("A purpose is needed"), Said("Say for what in purpose: incident, audit, disclosure, safety or correction.")
    ),
    "two_people": Told(Said("Another officer must agree"), Said("Name a second officer, who is another person.")),
    "in_force": Told(
        Said("Something is still in force"),
        Said("End what in_force lists first (a credential: returned or destroyed; the rest: …/{id}/end)."),
    ),
    "forgotten": Told(
        Said("The name was destroyed"),
        Said("A pseudonym whose name was destroyed gets none again. Register the person under a new one."),
    ),
    "names_unreadable": Told(
        Said("Names cannot be kept"), Said("Look at names.keys and what opens it (docs/privacy.md).")
    ),
    "names_owed": Told(
        Said("The key of the name is not destroyed yet"),
        Said("It is recorded, but the file of keys cannot be written. Look at the disk, then send again."),
    ),
    "key_reused": Told(
        Said("Key used for another request"), Said("This Idempotency-Key was used for another request.")
    ),
    "key_in_use": Told(Said("In progress"), Said("A request with this Idempotency-Key is in progress.")),
    "not_done": Told(Said("Not done"), Said("The controller did not accept it.")),
    "history_broken": Told(
        Said("Records do not hang together"),
        Said("The records do not hang together: check the ledger with sekisho verify."),
    ),
    "purged": Told(Said("Purged"), Said("The records that this needs were dropped by retention.")),
    "too_long": Told(Said("Takes too long"), Said("Ask for less, or use the sekisho command.")),
    "too_many_records": Told(Said("Too many records"), Said("Ask for fewer, or use the sekisho command.")),
    "no_checkpoint": Told(Said("No checkpoint yet"), Said("Wait until records have come from the controller.")),
    "no_such_tile": Told(
        Said("Not a tile"), Said("Name it as C2SP tlog-tiles does: tile/0/x001/234, and tile/0/000.p/17 at the end.")
    ),
    "tile_not_there": Told(
        Said("That tile is not there yet"), Said("Ask ledger/checkpoint for the size, and for tiles of that size.")
    ),
    "not_proven_yet": Told(
        Said("Not closed by a checkpoint yet"), Said("Ask for a record below `size`, or again in a moment.")
    ),
    "other_way_round": Told(Said("The other way round"), Said("`old` must not be larger than `new`.")),
    "view_anew": Told(
        Said("Damage was found in the copy of the records; it is folded anew from the ledger"),
        Said("Ask again in a while. No name is lost by it."),
    ),
    "view_damaged": Told(
        Said("The copy of the records is damaged"),
        Said(
            "Folding it anew did not help. Look at the disk, restore api.db from the backup and restart "
            "sekisho api. Never delete it: the names are in it."
        ),
    ),
}
