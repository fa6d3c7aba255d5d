"""What else must stand in the ledger besides who went where: twelve things that people do to a site (A-22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.boot import _start_records, layout_edit
from controller.keystore.jobs import KeyJob, KeysStored, KeyView
from controller.link.messages import DeviceOrder, LogOrder, Note
from controller.link.recorded import BEGINNING, History
from controller.log_desk import LogSetup
from readers.events import ReaderIdentified
from tests.controller.conftest import SATO, VirtualSite
from tests.controller.test_recorded import lines_of
from tests.controller.test_secured_readers import OSDP_SITE

IDENTITY = "ab" * 32
BY = {"officer": "officer-01"}


def message_of(site, kind, **fields):
    site.ids += 1
    when = {} if kind is Note else {"boot": site.boot, "not_after_ms": site.now_ms + 3_000}
    return site.asks(kind(id=f"asked-{site.ids:05}", **when, **(BY | fields)))


def changes_the_building(site):
    """As a start does with a site file that was changed."""
    portals = tuple(replace(portal, held_after_ms=9_000) for portal in site.file.portals)
    edit = layout_edit(replace(site.file, portals=portals), site.engine.policy.policy)
    site.engine._desk.edit_from_portal(edit.puts, site.now(), turn := type(site.engine.take([], site.now()))())
    site.core._push(turn, site.now())
    site.settles()


def identified(site):
    site.happens(
        ReaderIdentified(
            source="rd-vault", identity=IDENTITY, maker="00068e", model="1.2", serial="0001", firmware="1.2.3"
        )
    )


def starts(site):
    site.core.record(_start_records(site.file, site.scribe, site.now(), rebuilt="", believe_clock=False), site.now())
    site.settles()


def walks_in(site):
    site.badges(SATO, "rd-office")
    site.goes_through("dr-office")


def clock_set(site):
    site.at += timedelta(hours=2)
    site.happens()


ACTIONS = {
    "the building is changed": (changes_the_building, "POLICY_EDITED", {"edit", "revision", "base"}),
    "a right is given, and by whom": (
        lambda site: site.changes(("roster", {"id": "r-h-sato-office", "is_suspended": True})),
        "POLICY_EDITED",
        {"id", "revision"},
    ),
    "an edit does not arrive": (lambda site: site.proposes(base="00"), "EDIT_REFUSED", {"code"}),
    "a door gets another mode": (
        lambda site: site.proposes(("portal_status", {"id": "office", "mode": "LOCKED"})) and site.passes(6_000),
        "PORTAL_MODE",
        {"mode"},
    ),
    "somebody is let in by hand": (lambda site: site.commands("office"), "RELEASED", {"id", "reason"}),
    "somebody sets the clock": (clock_set, "CLOCK_SET", {"by_ms"}),
    "a reader tells its firmware": (identified, "READER_IDENTIFIED", {"firmware", "serial"}),
    "the product starts, in which version": (starts, "CONTROLLER_STARTED", {"version"}),
    "a reader is given a key": (
        lambda site: message_of(site, DeviceOrder, act="custodian_left", who="h-old"),
        "DEVICE_ORDER",
        {"act", "id"},
    ),
    "a site key is replaced": (
        lambda site: site.happens(KeysStored(job=KeyJob(act="rotate", purpose="desfire"), view=KeyView(), version=2)),
        "KEY_ROTATED",
        {"key", "version"},
    ),
    "somebody looks at a history": (
        lambda site: message_of(site, Note, type="VIEW_PERSONAL", cardholder="h-sato", purpose="audit"),
        "NOTE",
        {"kind", "purpose"},
    ),
    "a legal hold begins": (
        lambda site: message_of(site, LogOrder, act="hold_on", hold="case-1", officer="auditor-01"),
        "LEGAL_HOLD_ON",
        {"hold"},
    ),
    "somebody passes": (walks_in, "PASSAGE", set()),
}


@pytest.fixture
def site(tmp_path):
    virtual = VirtualSite(tmp_path, text=OSDP_SITE, log=LogSetup(auditors=frozenset({"auditor-01"})))
    virtual.first = virtual.engine.policy
    virtual.admits("h-sato", SATO, "office", "vault")
    yield virtual
    virtual.ledger.close()


@pytest.mark.req("A-22")
@pytest.mark.parametrize(("acts", "type_", "keys"), ACTIONS.values(), ids=ACTIONS.keys())
def test_what_people_do_to_a_site_is_recorded(site, acts, type_, keys):
    """Somebody changes a door, a clock or a right, and the ledger knows nothing of it."""
    before = site.ledger.size
    acts(site)
    found = [b for r in site.ledger.scan(before) if (b := r.decoded()) is not None and b.type == type_]
    assert found, [b.type for b in site.records][-5:]
    body = found[-1]
    assert keys <= (body.detail or {}).keys()
    if type_ in ("POLICY_EDITED", "EDIT_REFUSED", "RELEASED", "DEVICE_ORDER", "NOTE", "LEGAL_HOLD_ON"):
        assert body.actor is not None and body.actor.officer, "by whom"


def test_the_list_is_as_long_as_the_requirement():
    """A line of it could be lost and nobody would miss it."""
    assert len({type_ for _, type_, _ in ACTIONS.values()}) >= 12


@pytest.mark.req("A-22")
def test_the_last_known_place_of_everybody_is_in_the_ledger(site):
    """After a fire nobody could say from the records where each card was seen last."""
    site.admits("h-mori", "04a1b2c9", "office")
    walks_in(site)
    site.passes(3_000)
    site.badges("04a1b2c9", "rd-office")
    site.goes_through("dr-office")
    site.badges("04a1b2c9", "rd-office-out")
    site.goes_through("dr-office")
    lines = lines_of(site)
    begin = replace(BEGINNING, revision=site.first.revision, policies={site.first.revision: site.first.policy})
    where = History(lambda seq: iter(lines[seq:]), begin=begin).until().occupancy.where
    assert {who: one.zone for who, one in where.items()} == {"h-sato": "office", "h-mori": "outside"}
    assert where["h-sato"].since < where["h-mori"].since
