"""What the controller keeps, records and says: only the good list, from the first schema on (P5; E-01, E-02, E-10)."""

from __future__ import annotations

import inspect
import re
import sqlite3
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlmodel import SQLModel

from controller import desk
from controller.boot import start
from controller.config import SiteFileError, parse_site
from controller.ledger import body
from controller.ledger.catalogue import RECORD_TYPES
from controller.link import messages
from controller.link.messages import Done, Note, Refused
from controller.notes import NOTE_TYPES
from controller.policy_log import PolicyAt
from controller.site.schema import open_site
from controller.site.tables import MODELS
from controller.site_wires import TELLING
from controller.turn import Shown
from readers import topics
from readers.protocols import mqtt_messages
from tests.zones.test_what_is_never_stored import INVESTIGATED, JAPANESE, UNSUITABLE
from zones.people import Basis

DENIED = {*INVESTIGATED.split(), *UNSUITABLE.split(), "pin", "password", "biometrics", "title"}
ABOUT_SOMEBODY = {*INVESTIGATED.split(), "pin", "password", "biometrics", "title"}


def words_of(name: str) -> set[str]:
    """has_exit_reader, HasExitReader and HAS_EXIT_READER: has, exit, reader."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


# -- site.db --------------------------------------------------------------------------------------------------------

KEPT = {
    # (table, column) with such a word: what it may say
    ("zone", "name_ja"): "of a place",
    ("zone", "name_en"): "of a place",
    ("zone", "policy_age_ms_max"): "how old a policy may be",
    ("portal", "name_ja"): "of a place",
    ("portal", "name_en"): "of a place",
    ("portal", "held_after_ms"): "when an open leaf is an alarm",
    ("portal", "held_warn_ms"): "and when it is warned of",
    ("cardholder", "held_extra_ms"): "how much longer the leaf may stand open behind somebody",
    ("override", "reason_code"): "a code, 1 to 32 letters, digits, _ and -, of an emergency (A-32)",
    ("pin", "pin_hash"): "a keyed slow hash; digits are never kept (B-13)",
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Table -> (column, type), as a fresh site.db has them."""
    path = tmp_path_factory.mktemp("schema") / "site.db"
    open_site(path).dispose()
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables
        }
    finally:
        connection.close()


@pytest.mark.req("E-01", "E-02", "E-10")
def test_the_database_has_no_place_for_what_must_not_be_known(schema):
    """Somebody's health, or a doubt about him, would be kept in a column that is already there."""
    assert set(schema) == {*MODELS, "site_meta", "alembic_version"}
    found = {(table, column) for table, columns in schema.items() for column, _ in columns if words_of(column) & DENIED}
    assert found == set(KEPT)
    assert {table for table in schema if words_of(table) & DENIED} == {"pin"}


@pytest.mark.req("E-01", "E-10")
def test_the_database_has_no_place_for_anything_large_or_shapeless(schema):
    """A photograph, a template or a questionnaire would fit in (BLOB, or JSON about somebody)."""
    kinds = {kind for columns in schema.values() for _, kind in columns}
    assert kinds <= {"VARCHAR", "VARCHAR(32)", "INTEGER", "BOOLEAN", "DATE", "JSON"}
    shapeless = {(table, column) for table, columns in schema.items() for column, kind in columns if kind == "JSON"}
    assert shapeless == {
        *(("schedule", "windows"), ("calendar", "days"), ("zone", "items"), ("zone", "accepted_bases")),
        *(("zone", "training"), ("portal", "interlock_with")),
        *(("declaration", "permits"), ("visit", "zones"), ("override", "cardholders")),  # codes and ids
        *(("officer", "roles"), ("officer", "deputises"), ("officer", "zones")),  # posts, and ids of places
    }


@pytest.mark.req("E-01", "E-02")
def test_no_index_view_or_trigger_says_more_than_the_tables(tmp_path):
    """A trigger would keep what a row must not hold."""
    open_site(tmp_path / "site.db").dispose()
    connection = sqlite3.connect(tmp_path / "site.db")
    others = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE type <> 'table'").fetchall()
    connection.close()
    assert {kind for kind, _, _ in others} == {"index"}
    assert {name for _, name, _ in others if words_of(name) & DENIED} == {"sqlite_autoindex_pin_1"}  # of its id
    assert set(SQLModel.metadata.tables) >= {*MODELS, "site_meta"}


# -- the ledger -----------------------------------------------------------------------------------------------------

ABOUT_REQUESTS = {
    # words that would be wrong of somebody, and here are said of a request, a door, a message or a disk
    "ACCESS_DENIED": "one request at one door; its reason is one of zones.decision.reasons",
    "EDIT_REFUSED": "a change that breaks a rule of the policy",
    "COMMAND_REFUSED": "a command that came late or twice",
    "MESSAGE_REFUSED": "a message on the broker",
    "DOOR_HELD": "the leaf stands open",
    "READS_REFUSED": "reads of a reader that floods, by their number",
    "NOTE": "a record that the web process asked for: a kind out of a list, and no text",
    "STORAGE_FAILED": "the disk",
    "SITE_STORE_FAILED": "site.db",
    "OUTPUT_FAILED": "a relay",
    "KEYS_FAILED": "the key store",
    "DOOR_HELD_SOON": "the leaf stands open, and soon too long",
    "PIN_LOCKED": "that a PIN was missed five times in a row; no digits",
    "PIN_UNLOCKED": "that an officer lifted that",
    "WITNESS_REFUSED": "a checkpoint",
    "LEGAL_HOLD_ON": "that records of a time are kept; about nobody",
    "LEGAL_HOLD_OFF": "that they are not kept any longer",
    "LOG_ADMIN_REFUSED": "an order about the log itself",
    "CONFIG_REFUSED": "a line of the site file",
}

ABOUT_MACHINES = {
    # detail keys with such a word: what they may say
    ("RELEASED", "reason"): "one of controller.desk.RELEASE_REASONS",
    ("EXIT", "cause"): "card, rex or officer",
    ("DEVICE_OFFLINE", "why"): "what became of a line",
    ("MESSAGE_REFUSED", "why"): "one of readers.protocols.mqtt_messages.Refusal, or what the engine says of a device",
    ("STORAGE_FAILED", "why"): "the disk's error",
    ("STORAGE_RESTORED", "why"): "the disk's error",
    ("SITE_REBUILT", "why"): "what was wrong with site.db",
    ("SITE_STORE_FAILED", "why"): "what was wrong with site.db",
    ("OUTPUT_FAILED", "why"): "what was wrong with a relay",
    ("READER_UNTRUSTED", "why"): "one of readers.events.Distrust, or what the controller says of a device",
    ("OSDP_INSTALL_OFF", "why"): "how install mode ended",
    ("KEYS_FAILED", "why"): "what was wrong with the key store",
    ("CARD_UNREAD", "why"): "what became of a card in the field, a short stable code",
    ("LEGAL_HOLD_ON", "hold"): "the name of a legal hold",
    ("LEGAL_HOLD_OFF", "hold"): "the name of a legal hold",
    ("TAIL_SET_ASIDE", "why"): "what was wrong with the file",
    ("SINK_LOST", "why"): "the network's error",
    ("POLICY_EDITED", "reason"): "one of controller.link.messages.EDIT_REASONS",
    ("EDIT_SUGGESTED", "reason"): "the same",
    ("ALARM_HANDLED", "cause"): "one of controller.link.messages.ALARM_CAUSES, of an alarm",
    ("ALARM_HANDLED", "note"): "what an officer says of an alarm, held against the words of E-01",
}


@pytest.mark.req("E-01", "E-02", "E-10")
def test_no_record_type_is_about_what_must_not_be_known():
    """It would stand in the ledger, from which nothing can be taken out."""
    flagged = {type_ for type_ in RECORD_TYPES if words_of(type_) & DENIED}
    assert flagged == set(ABOUT_REQUESTS) & set(RECORD_TYPES)
    assert {type_ for type_ in RECORD_TYPES if words_of(type_) & ABOUT_SOMEBODY} == {"PIN_LOCKED", "PIN_UNLOCKED"}
    keys = {(type_, key) for type_, (_, details) in RECORD_TYPES.items() for key in details}
    assert {pair for pair in keys if words_of(pair[1]) & DENIED} == set(ABOUT_MACHINES)


@pytest.mark.req("E-01", "E-02", "E-10")
def test_no_field_of_a_record_is_about_what_must_not_be_known():
    """A record would have a place for a name, a template or a doubt."""
    names = {
        field
        for part in (body.Body, body.Subject, body.Actor, body.Evidence, body.Companion, body.Facts, body.Trace)
        for field in part.__struct_fields__
    }
    # of a decision and its rules; what came of a PIN, one word; how old the policy was
    assert {name for name in names if words_of(name) & DENIED} == {"reason", "failed", "pin", "policy_age_ms"}
    assert set(body.Subject.__struct_fields__) == {"cardholder", "credential"}
    how = {"scheme", "key_version", "is_fresh"}  # which kind of card was asked with which version of a key; no secret
    assert set(body.Evidence.__struct_fields__) == {"method", "factors", "last4", "link", "pin", *how}
    assert set(body.Companion.__struct_fields__) == {"cardholder", "credential", "evidence"}


@pytest.mark.req("E-02")
def test_codes_that_records_hold_are_about_requests():
    """A release would be recorded with somebody's failing for a reason."""
    codes = {*desk.RELEASE_REASONS, *NOTE_TYPES, *messages.PURPOSES, *messages.FORGET_REASONS, *messages.REFUSAL_CODES}
    codes |= {*messages.EDIT_REASONS, *messages.ALARM_CAUSES, *messages.REVIEW_OUTCOMES}
    of_requests = {"refused", "name", "hold", "password", "revoked"}
    found = {code for code in codes if words_of(code) & (DENIED - of_requests)}
    assert found == set()
    assert {code for code in codes if words_of(code) & of_requests} <= {
        *("PASSWORD_SET", "PASSWORD_DROPPED", "SESSION_REVOKED", "TOKEN_REVOKED"),  # that an officer's sign-in changed
        *("REFUSED_ATTEMPT", "SIGN_IN_REFUSED"),  # of a sign-in or a request, in the officers' pages
        "NAME_CHANGED",  # that a name was changed there, not to what
        "edit_refused",
        "unknown_hold",  # a legal hold, over records of a time
    }


def test_the_signed_bits_of_an_edit_hold_no_row_about_a_doubt(site):
    """The delta of an edit would carry what the tables refuse."""
    refused = [
        site.proposes(("cardholder", {"id": "h-2", key: "x"}))
        for key in ("name", "nationality", "remark", "reason", "health", "template", "consent")
    ]
    assert all(isinstance(answer, Refused) and answer.code == "edit_refused" for answer in refused)
    kept = b"".join(record.body for record in site.ledger.scan() if record.body is not None)
    for word in (b"nationality", b"remark", b"health", b"template", b"consent"):
        assert word not in kept


@pytest.mark.req("E-01")
def test_nothing_typed_freely_reaches_the_ledger(site):
    """A remark about somebody would be typed into the one field that takes any text."""
    said = "Sato has debts, refused"
    site.asks(Note(id="note-000001", type="EXPORT", officer=said))
    site.asks(Note(id=said, type="EXPORT", officer="officer-01"))
    site.asks(Note(id="note-000002", type=said, officer="officer-01"))
    site.commands("office", reason=said)
    site.commands(said)
    site.commands("office", officer=said)
    site.commands("office", id=said)
    site.proposes(("cardholder", {"id": said}))
    site.proposes(("cardholder", {"id": "h-2"}), id=said)
    for record in site.ledger.scan():
        assert b"debts" not in record.body, record.body


# -- the link -------------------------------------------------------------------------------------------------------

ON_THE_LINK = {
    ("Command", "reason"): "one of controller.desk.RELEASE_REASONS",
    ("Refused", "why"): "our own words about a request, for the officer who made it; not recorded",
    ("StreamReport", "why"): "the network's error",
    ("LogOrder", "hold"): "the name of a legal hold",
    ("Cosign", "note"): "a signed note, which is what C2SP calls a checkpoint",
    ("Cosigned", "notes"): "the same",
    ("WitnessStanding", "name"): "a witness's, from its key",
    ("Propose", "reason"): "one of controller.link.messages.EDIT_REASONS",
    ("Suggest", "reason"): "the same",
    ("HandleAlarm", "cause"): "one of controller.link.messages.ALARM_CAUSES, of an alarm",
    ("HandleAlarm", "note"): "what an officer says of an alarm, held against the words of E-01",
}


def link_fields() -> Iterator[tuple[str, str]]:
    for name, kind in inspect.getmembers(messages, inspect.isclass):
        if issubclass(kind, msgspec.Struct):
            yield from ((name, field) for field in kind.__struct_fields__)


@pytest.mark.req("E-01", "E-02", "E-10")
def test_no_message_between_the_processes_is_about_what_must_not_be_known():
    """The web process could hand over what may not be kept, and it would be logged on the way."""
    fields = set(link_fields())
    assert len(fields) > 30
    assert {pair for pair in fields if words_of(pair[1]) & DENIED} == set(ON_THE_LINK)
    tags = {kind.__struct_config__.tag for kind in typing.get_args(messages.ToController)}
    about_people = {"hello", "propose", "prepare", "suggest", "command", "order", "note", "subscribe", "await_card"}
    about_officers = {"officer_order", "enrol_key", "handle_alarm", "review_log"}
    about_things = {"device_order", "ask_devices", "log_order", "stream_report", "cosign", "ask_cosigned"}
    assert tags == about_people | about_officers | about_things


# -- what others can see --------------------------------------------------------------------------------------------

SIGNS = {*TELLING, *(word for basis in Basis for word in words_of(basis.name)), "roster", "need", "zone"} - {"company"}


@pytest.mark.req("E-11")
def test_topics_and_messages_tell_nothing_of_clearances():
    """Whoever watches the network would learn which door guards what."""
    spoken = [
        topics.card("rd-1"),
        *(topics.input_line("rd-1", line) for line in topics.INPUT_LINES),
        *(build("rd-1") for build in (topics.state, topics.done, topics.command, topics.show)),
        *topics.SUBSCRIPTIONS,
    ]
    for _, kind in inspect.getmembers(mqtt_messages, inspect.isclass):
        if issubclass(kind, msgspec.Struct):
            spoken += [*kind.__struct_fields__, str(kind.__struct_config__.tag)]
    spoken += [str(shown) for shown in Shown]
    assert not [text for text in spoken if words_of(text) & SIGNS]


@pytest.mark.req("E-11")
@pytest.mark.parametrize("word", sorted(TELLING))
def test_names_that_go_over_the_wires_may_not_tell(site, tmp_path, word):
    """A topic, a client's name or a checkpoint's origin would say where the protected things are."""
    for name in (word, f"rd-{word}", f"{word}-2"):
        for text in (
            WIRES.replace('node = "gate"', f'node = "{name}"'),
            WIRES.replace('id = "rd"', f'id = "{name}"').replace('"rd"', f'"{name}"'),
        ):
            with pytest.raises(SiteFileError, match=r"tells all who see the wires .*E-11"):
                parse_site(text, tmp_path / "site.toml")


WIRES = """
[controller]
node = "gate"
state_dir = "state"
socket = "controller.sock"
[mqtt]
host = "127.0.0.1"
[[device]]
id = "rd"
kind = "mqtt"
[[device]]
id = "rd-out"
kind = "mqtt"
[[device]]
id = "dr"
kind = "mqtt"
[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"
[[zone]]
id = "vault"
name_ja = "取扱区画"
name_en = "Vault"
kind = "EXCLUSION"
parent = "outside"
items = ["item-1"]
accepted_bases = ["TOKUTEI_HIMITSU"]
anti_passback = "HARD"
[[portal]]
id = "vault"
name_ja = "扉"
name_en = "Door"
outer = "outside"
inner = "vault"
exit_hardware = "HANDLE"
entry_reader = "rd"
exit_reader = "rd-out"
strike = "dr"
contact = "dr"
"""
WITHOUT_DOORS = re.sub(r"\[\[device\]\][^\[]*|\[mqtt\][^\[]*|\[\[portal\]\].*", "", WIRES, flags=re.DOTALL).replace(
    "[controller]", "device = []\nportal = []\n[controller]"
)
WITHOUT_DOORS = re.sub(r"items = .*\n|accepted_bases = .*\n|anti_passback = .*\n", "", WITHOUT_DOORS).replace(
    "EXCLUSION", "UNRESTRICTED"
)


@pytest.mark.req("E-11")
def test_file_names_tell_nothing(tmp_path):
    """A listing of a folder, or a backup's log, would say for whom this box works."""
    runtime: Any = start(parse_site(WITHOUT_DOORS, tmp_path / "site.toml"))
    runtime._store.follow(PolicyAt())
    runtime._store.stop()
    runtime._store.run()
    try:
        names = {path.name for path in tmp_path.rglob("*")}
        assert {"ledger.db", "ledger.key", "site.db", "site.key", "controller.sock"} <= names
        assert not [name for name in names if words_of(name) & (SIGNS | {"vault"})]
    finally:
        runtime._link.close()
        runtime._committer._ledger.close()
        runtime._inbox.close()
        runtime._selector.close()


@pytest.mark.req("E-11", "E-02")
def test_a_door_shows_one_thing_to_everybody_who_may_not_enter(site):
    """Light and sound would tell the whole corridor who has no clearance."""
    assert {str(shown) for shown in Shown} == {
        *("granted", "refused", "out_of_order", "enter_pin", "second_card"),
        "not_read",  # a card that left too soon, whoever's
    }
    site.badges("04999999", "rd-vault")
    site.changes(("roster", {"id": "r-h-sato-vault", "is_suspended": True}))
    site.passes(2000)
    site.badges("04a1b2c3", "rd-vault")
    assert site.shown == ["refused", "refused"]


@pytest.mark.req("E-01")
def test_the_controller_has_no_words_for_what_it_must_not_know():
    """A log line or a message would get its words from here."""
    for path in Path(inspect.getfile(desk)).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        assert not [word for word in JAPANESE.split() if word in text], path


def test_done_and_note_hold_ids_and_codes_only():
    """The list above would be of another protocol than the one that is spoken."""
    assert set(Note.__struct_fields__) == {"id", "type", "officer", "cardholder", "purpose", "second", "count"}
    assert set(Done.__struct_fields__) == {"id", "seq", "revision"}
