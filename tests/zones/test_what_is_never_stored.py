"""The schema of the policy: only the good list exists (P5, E-01, E-02)."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass, replace
from datetime import date
from enum import Enum
from pathlib import Path

import pytest

import zones
from zones.officers import Officer, Role
from zones.people import (
    Basis,
    Cardholder,
    Clearance,
    Credential,
    CredentialState,
    Declaration,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.policy import TABLE_OF, TABLES, EditRefused
from zones.row_checks import check_row

# Every field of every row, written out: whoever adds one has to come by here and say why it may be stored.
STORED = {
    "calendar": {"id", "days"},
    "schedule": {"id", "windows", "calendar"},
    "zone": {
        *("id", "name_ja", "name_en", "kind", "parent", "items", "accepted_bases", "min_factors", "uid_accepted"),
        *("anti_passback", "occupancy_max", "schedule", "company_level", "raised_factors", "raised_outside"),
        *("attended_counts", "min_link", "apb_ms", "occupancy_min", "dual_window_ms", "needs_opener", "training"),
        *("declares_devices", "visitors_allowed", "escort_ratio", "policy_age_ms_max", "is_vestibule", "plan_ref"),
    },
    "zone_status": {"id", "state", "is_locked_down", "sanitised_by", "sanitised_confirmed_by"},
    "site_status": {"id", "is_locked_down", "threat_level", "notice_version"},
    "portal": {
        *("id", "name_ja", "name_en", "outer", "inner", "lock_type", "has_contact", "has_entry_reader"),
        *("has_exit_reader", "has_rex", "is_escape", "release_ms", "held_after_ms", "held_warn_ms", "grade"),
        *("reader_link", "relay_in_reader", "exit_hardware", "fire_release", "interlock_with", "unlock_schedule"),
        "first_in",
    },
    "portal_status": {"id", "mode", "until_ms"},
    "device_status": {"id", "is_trusted", "restored_by", "confirmed_by"},
    "walk": {"id", "one", "other", "min_ms"},
    "item": {"id", "designated_until", "contract_until", "lifted_on"},
    "cardholder": {"id", "ended_on", "kind", "notice_version", "held_extra_ms"},
    "credential": {"id", "cardholder", "number_hash", "last4", "state", "scheme"},
    "pin": {"id", "salt", "pin_hash", "duress_hash", "is_locked"},
    "clearance": {
        *("id", "cardholder", "basis", "notified_on", "last_valid_on", "recorded_by", "confirmed_by", "ended_on"),
        "level",
    },
    "need_to_know": {
        *("id", "cardholder", "item", "purpose_code", "from_on", "until_on", "is_suspended", "ended_on", "sponsor"),
        *("requested_by", "approved_by_1", "approved_by_2", "recert_on"),
    },
    "roster": {
        *("id", "cardholder", "zone", "from_on", "until_on", "review_on", "is_suspended", "ended_on"),
        *("is_opener", "is_escort", "is_minimum", "may_enter_lockdown", "schedule"),
    },
    "training": {"id", "cardholder", "course", "done_on", "due_on"},
    "declaration": {"id", "cardholder", "zone", "from_on", "until_on", "locker", "permits", "ended_on"},
    "visit": {"id", "cardholder", "host", "zones", "from_on", "until_on", "ended_on"},
    "override": {
        *("id", "zone", "cardholders", "reason_code", "started_by", "approved_by", "from_ms", "until_ms", "ended_ms"),
    },
    "officer": {"id", "roles", "from_on", "until_on", "deputises", "zones", "cardholder", "ended_on"},
    "officer_key": {"id", "officer", "credential", "public_key", "enrolled_on", "ended_on"},
}

# Words that mean something else where they stand.
ALLOWED = {
    "zone": {"name", "age"},  # of a place, and of a policy
    "portal": {"name", "held"},  # how long its leaf may stand open
    "cardholder": {"held"},  # how much longer, for whom it takes longer to walk through
    "override": {"reason"},  # of the emergency, a code
}

# The investigated matters and what is like them, and who a person is beyond a pseudonym (E-01, E-08, E-10).
INVESTIGATED = """
    nationality citizenship birth born age gender sex race ethnicity religion creed party politics union
    health medical illness disease mental alcohol drug drugs substance treatment
    debt debts credit loan finance finances income economic
    family spouse partner parents relative relatives cohabitant
    crime criminal conviction offence offense police record misconduct discipline leak
    espionage terror terrorism sabotage contact_abroad questionnaire interview reference
    address phone mail email photo picture face fingerprint iris template biometric name surname
"""

# That somebody was found wanting, or said no, or why (E-02).
UNSUITABLE = """
    unsuitable ineligible unfit disqualified negative refused refusal rejected rejection denied declined failed
    withdrew withdrawn withdrawal consent objection complaint appeal doubt doubts concern suspicion hold held
    revoked revocation cancelled blacklist banned cause reason why remark remarks comment comments note notes memo text
"""

JAPANESE = "国籍 病歴 借金 負債 家族 前科 犯歴 飲酒 薬物 不適格 不適性 同意拒否 取下げ 苦情"


def deny(words):
    return set(words.split())


def enums():
    for module in pkgutil.walk_packages(zones.__path__, "zones."):
        for _, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(value, Enum) and value.__module__ == module.name:
                yield value


@pytest.mark.req("E-01", "E-02")
@pytest.mark.parametrize("table", sorted(TABLES))
def test_rows_have_these_fields_and_no_others(table):
    """A field would appear in which somebody's health, or a doubt about him, is kept for ever."""
    stored = {field.name for field in fields(TABLES[table])}
    assert stored == STORED[table]
    words = {word for name in stored for word in name.split("_")} - ALLOWED.get(table, set())
    assert not words & (deny(INVESTIGATED) | deny(UNSUITABLE))


@pytest.mark.req("E-02")
def test_no_state_of_a_row_says_that_somebody_was_found_wanting():
    """An end would carry its reason with it."""
    from_rows = {enum for enum in enums() if enum.__module__ in {"zones.people", "zones.places"}}
    members = {word.lower() for enum in from_rows for member in enum for word in member.name.split("_")}
    assert not members & (deny(INVESTIGATED) | deny(UNSUITABLE))
    assert set(CredentialState.__members__) == {"ISSUED", "ACTIVE", "LOST", "RETURNED", "DESTROYED"}


@pytest.mark.req("E-02")
def test_a_suspension_is_a_flag_and_nothing_else():
    """Transfer, leave, a lost card and a doubt would leave different traces (D-03)."""
    for table in ("roster", "need_to_know"):
        types = {field.name: str(field.type) for field in fields(TABLES[table])}
        assert [kind for name, kind in types.items() if "suspend" in name] == ["bool"]


DAY, LATER = date(2026, 5, 11), date(2026, 5, 12)
ABOUT_CARDHOLDERS = (
    Cardholder(id="ana"),
    Credential(id="card", cardholder="ana", number_hash="0" * 64, last4="00A1", state=CredentialState.ACTIVE),
    Pin(id="ana", salt="0" * 32, pin_hash="1" * 64, duress_hash="2" * 64),
    Clearance(
        id="clearance",
        cardholder="ana",
        basis=Basis.KEIZAI_ANPO,
        notified_on=DAY,
        last_valid_on=date(2036, 5, 10),
        recorded_by="officer-1",
        confirmed_by="officer-2",
    ),
    NeedToKnow(
        id="need",
        cardholder="ana",
        item="item-1",
        purpose_code="DESIGN",
        from_on=DAY,
        until_on=LATER,
        sponsor="officer-4",
        requested_by="officer-1",
        approved_by_1="officer-2",
        approved_by_2="officer-3",
    ),
    RosterEntry(id="entry", cardholder="ana", zone="vault", from_on=DAY, until_on=LATER, review_on=LATER),
    Officer(id="officer-1", roles=(Role.GUARD,), from_on=DAY, until_on=LATER, cardholder="ana"),
    Training(id="training", cardholder="ana", course="fire", done_on=DAY, due_on=LATER),
    Declaration(
        id="devices", cardholder="ana", zone="vault", from_on=DAY, until_on=LATER, locker="7", permits=("p-1",)
    ),
    Visit(id="visit", cardholder="cy", host="ana", zones=("vault",), from_on=DAY, until_on=LATER),
    Override(
        id="glass",
        zone="vault",
        cardholders=("ana",),
        reason_code="RESCUE",
        started_by="officer-1",
        approved_by="officer-2",
        from_ms=0,
        until_ms=60_000,
    ),
)


def texts(row):
    """The fields of a row that hold text of any kind, with what a busy officer might type there."""
    for field in fields(row):
        value = getattr(row, field.name)
        if isinstance(value, str) and not isinstance(value, Enum) and "Id" not in str(field.type):
            yield field.name, "was seen with debts"
        elif isinstance(value, tuple) and "str" in str(field.type):
            yield field.name, ("was seen with debts",)


@pytest.mark.req("E-01")
@pytest.mark.parametrize("row", ABOUT_CARDHOLDERS, ids=lambda row: TABLE_OF[type(row)])
def test_no_row_about_a_cardholder_takes_free_text(row):
    """What the schema forbids would be typed into a remark."""
    check_row(row)
    for field, text in texts(row):
        with pytest.raises(EditRefused):
            check_row(replace(row, **{field: text}))


def test_every_table_about_cardholders_is_asked_that():
    """A table would be added, and with it a place for remarks."""
    about = {"cardholder", "cardholders"}
    tables = {name for name, kind in TABLES.items() if about & {field.name for field in fields(kind)}}
    assert {TABLE_OF[type(row)] for row in ABOUT_CARDHOLDERS} == tables | {"cardholder", "pin"}


@pytest.mark.req("E-01")
def test_the_domain_has_no_words_for_what_it_must_not_know():
    """A screen or a record would get its words from here."""
    for path in Path(zones.__path__[0]).rglob("*.py"):
        if path.name == "plain_words.py":
            continue  # it refuses them
        text = path.read_text("utf-8")
        assert not [word for word in JAPANESE.split() if word in text], path


def is_grounds(value, module):
    """Values that decisions are made of: not an Ask, which lives for one call, nor what a review gathers as it goes."""
    is_own = is_dataclass(value) and value.__module__ == module.name
    return is_own and value.__name__ != "Ask" and not module.name.startswith("zones.review")


def test_values_cannot_be_changed_or_grown():
    """A stray line would change a decision's grounds after the decision."""
    for module in pkgutil.walk_packages(zones.__path__, "zones."):
        for name, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if is_grounds(value, module):
                assert value.__dataclass_params__.frozen, name
                assert "__slots__" in vars(value), name
                assert re.fullmatch(r"zones(\.\w+)+", value.__module__)
