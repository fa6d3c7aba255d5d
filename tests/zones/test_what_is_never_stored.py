"""The schema of the policy: only the good list exists (P5, E-01, E-02)."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path

import pytest

import zones
from zones.people import CredentialState
from zones.policy import TABLES

# Every field of every row, written out: whoever adds one has to come by here and say why it may be stored.
STORED = {
    "schedule": {"id", "windows"},
    "zone": {
        *("id", "name_ja", "name_en", "kind", "parent", "items", "accepted_bases", "min_factors", "uid_accepted"),
        *("anti_passback", "occupancy_max", "schedule"),
    },
    "zone_status": {"id", "state"},
    "portal": {
        *("id", "name_ja", "name_en", "outer", "inner", "lock_type", "has_contact", "has_entry_reader"),
        *("has_exit_reader", "has_rex", "is_escape", "release_ms", "held_after_ms"),
    },
    "cardholder": {"id", "ended_on"},
    "credential": {"id", "cardholder", "number_hash", "last4", "state"},
    "clearance": {
        *("id", "cardholder", "basis", "notified_on", "last_valid_on", "recorded_by", "confirmed_by", "ended_on"),
    },
    "need_to_know": {
        *("id", "cardholder", "item", "purpose_code", "from_on", "until_on", "is_suspended", "ended_on"),
    },
    "roster": {"id", "cardholder", "zone", "from_on", "until_on", "review_on", "is_suspended", "ended_on"},
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
    allowed = {"name"} if table in {"zone", "portal"} else set()  # of places
    words = {word for name in stored for word in name.split("_")} - allowed
    if table == "portal":
        words -= {"held"}  # how long its leaf may stand open
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


@pytest.mark.req("E-01")
def test_no_row_about_a_cardholder_takes_free_text():
    """What the schema forbids would be typed into a remark."""
    coded = {"purpose_code", "last4", "recorded_by", "confirmed_by", "str | None"}  # each held to a pattern
    for table in ("cardholder", "credential", "clearance", "need_to_know", "roster"):
        free = {field.name for field in fields(TABLES[table]) if str(field.type).startswith("str")}
        assert free <= coded


@pytest.mark.req("E-01")
def test_the_domain_has_no_words_for_what_it_must_not_know():
    """A screen or a record would get its words from here."""
    for path in Path(zones.__path__[0]).rglob("*.py"):
        text = path.read_text("utf-8")
        assert not [word for word in JAPANESE.split() if word in text], path


def test_values_cannot_be_changed_or_grown():
    """A stray line would change a decision's grounds after the decision."""
    for module in pkgutil.walk_packages(zones.__path__, "zones."):
        for name, value in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if is_dataclass(value) and value.__module__ == module.name and name != "Ask":  # an Ask lives for one call
                assert value.__dataclass_params__.frozen, name
                assert "__slots__" in vars(value), name
                assert re.fullmatch(r"zones(\.\w+)+", value.__module__)
