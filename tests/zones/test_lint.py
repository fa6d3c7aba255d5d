"""The lint of a site: every fault has a site that has it, is told with the way to it, and stands on its page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.zones.planted import planted
from zones.edits import apply
from zones.lint import LINTS, Severity, errors, lint
from zones.people import Basis, Cardholder, CardholderKind, InformationItem, RosterEntry
from zones.places import (
    AntiPassback,
    ExitHardware,
    FireRelease,
    LinkAssurance,
    LockType,
    Portal,
    PortalMode,
    PortalStatus,
    Zone,
    ZoneKind,
)
from zones.policy import Edit

PAGE = Path(__file__).parents[2] / "docs" / "lint.md"
HANDLE = {"exit_hardware": ExitHardware.HANDLE}


def zone(row_id, kind=ZoneKind.CONTROLLED, parent="office", **more):
    drawn = {"plan_ref": "A-101", "parent": parent} | more
    return Zone(id=row_id, name_ja="区画", name_en="Zone", kind=kind, **drawn)


def portal(row_id, outer, inner, **more):
    return Portal(id=row_id, name_ja="扉", name_en="Portal", outer=outer, inner=inner, **(HANDLE | more))


class Site:
    """The building of these tests, built well: nothing is found in it."""

    def __init__(self, building) -> None:
        self.building = building
        openers = [
            replace(building.roster(f"{who}-vault", "vault", who), is_opener=True, is_escort=True)
            for who in ("ana", "bo")
        ]
        self.rows = (
            building.row(Zone, "office", plan_ref="A-1"),
            building.row(Zone, "lab", plan_ref="A-2"),
            self.vault(),
            building.row(Portal, "front", fire_release=FireRelease.HARDWIRED, **HANDLE),
            building.row(Portal, "lab-door", **HANDLE),
            building.row(Portal, "vault-door", **HANDLE),
            *(
                InformationItem(id=item, designated_until=building.row(RosterEntry, "ana-lab").until_on)
                for item in self.items
            ),
            Cardholder(id="bo"),
            *openers,
        )

    items = ("item-1", "item-2")

    def vault(self, **more):
        return self.building.row(
            Zone, "vault", **({"plan_ref": "A-3", "needs_opener": True, "schedule": None, "min_factors": None} | more)
        )

    def policy(self, *rows):
        return planted(self.building.policy(*self.rows), *rows)


@pytest.fixture(scope="module")
def site(building):
    return Site(building)


ATTENDED_VAULT = {"uid_accepted": True}


def of(policy, code):
    return [one for one in lint(policy) if one.code == code]


def test_nothing_is_found_in_a_sound_site(site):
    """Officers would learn to read past the list."""
    found = {one.code for one in lint(site.policy())}
    assert found == {"FACTORS_UNPROVABLE"}, "three factors of an EXCLUSION zone are proven by no reader yet"


# code, the rows planted (a function of the site), the row named, the way to it
FAULTS = [
    (
        "CHILD_WEAKER",
        lambda s: [zone("cell", ZoneKind.CONTROLLED, "lab"), portal("cell-door", "lab", "cell")],
        "cell",
        "street > office > lab > cell",
        "§3.3: a zone inside the lab that one enters with less than the lab asks for",
    ),
    (
        "WAY_AROUND",
        lambda s: [zone("store"), portal("store-door", "office", "store"), portal("hatch", "lab", "store")],
        "lab",
        "street > front > office > store-door > store > hatch > lab",
        "leaving the store is free, and leads into the lab",
    ),
    (
        "WAY_AROUND_ROSTER",
        lambda s: [
            zone("annex", parent="street"),
            portal("annex-door", "street", "annex"),
            portal("passage", "office", "annex"),
        ],
        "office",
        "street > annex-door > annex > passage > office",
        "the roster of the annex is as good as the office's",
    ),
    ("ORPHAN_ZONE", lambda s: [zone("attic")], "attic", "street > office > attic", "a room that nobody can come to"),
    (
        "NO_WAY_OUT",
        lambda s: [zone("pit"), zone("pit-2"), portal("pit-door", "pit-2", "pit"), portal("pit-back", "pit", "pit-2")],
        "pit",
        "street > office > pit",
        "two rooms whose exits lead into each other",
    ),
    (
        "TWO_PERSON_ALONE",
        lambda s: [s.vault(dual_window_ms=30_000)],
        "vault",
        "street > office > lab > vault",
        "two enter, one leaves",
    ),
    (
        "UNCOUNTED",
        lambda s: [s.building.row(Portal, "vault-door", has_contact=False, grade=1, **HANDLE)],
        "vault-door",
        "street > office > lab > vault-door > vault",
        "nobody sees who passes",
    ),
    (
        "APB_ONE_SIDED",
        lambda s: [s.building.row(Portal, "vault-door", has_exit_reader=False, **HANDLE)],
        "vault",
        "street > office > lab > vault",
        "nobody is ever seen to leave",
    ),
    (
        "PORTAL_ASKS_LESS",
        lambda s: [s.building.row(Portal, "vault-door", unlock_schedule="hours", **HANDLE)],
        "vault-door",
        "street > office > lab > vault-door > vault",
        "the vault stands open from eight to eight",
    ),
    (
        "PORTAL_ASKS_LESS",
        lambda s: [PortalStatus(id="lab-door", mode=PortalMode.UNLOCKED)],
        "lab-door",
        "street > office > lab-door > lab",
        "an officer unlocked a zone of two factors",
    ),
    (
        "PORTAL_UNLOCKED",
        lambda s: [
            s.building.row(Portal, "front", unlock_schedule="hours", fire_release=FireRelease.HARDWIRED, **HANDLE)
        ],
        "front",
        "street > front > office",
        "anybody walks into the office",
    ),
    (
        "ESCAPE_ASKS_CARD",
        lambda s: [
            s.building.row(Portal, "front", has_rex=False, has_exit_reader=True, exit_hardware=ExitHardware.SOFTWARE)
        ],
        "front",
        "street > front > office",
        "D-24",
    ),
    (
        "EXIT_BY_SOFTWARE",
        lambda s: [s.building.row(Portal, "lab-door", exit_hardware=ExitHardware.SOFTWARE)],
        "lab-door",
        "street > office > lab-door > lab",
        "P3",
    ),
    (
        "ESCAPE_FAIL_SECURE",
        lambda s: [s.building.row(Portal, "front", exit_hardware=ExitHardware.HARDWIRED_REX)],
        "front",
        "street > front > office",
        "D-26",
    ),
    (
        "ESCAPE_NOT_RELEASED",
        lambda s: [
            s.building.row(Portal, "front", exit_hardware=ExitHardware.HARDWIRED_REX, lock_type=LockType.FAIL_SAFE)
        ],
        "front",
        "street > front > office",
        "D-25",
    ),
    (
        "FIRE_RELEASE_MISSING",
        lambda s: [s.building.row(Portal, "front", **HANDLE)],
        "front",
        "street > front > office",
        "a handle opens it, but the fire alarm does not",
    ),
    (
        "FIRE_RELEASE_MISSING",
        lambda s: [s.building.row(Portal, "lab-door", lock_type=LockType.FAIL_SAFE, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "no escape, but held by power",
    ),
    (
        "FAIL_SAFE_INTO_PROTECTED",
        lambda s: [
            s.building.row(
                Portal, "vault-door", lock_type=LockType.FAIL_SAFE, fire_release=FireRelease.HARDWIRED, **HANDLE
            )
        ],
        "vault-door",
        "street > office > lab > vault-door > vault",
        "cut the wire and walk in",
    ),
    (
        "RELAY_OUTSIDE",
        lambda s: [s.building.row(Portal, "lab-door", relay_in_reader=True, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "A-35",
    ),
    (
        "GRADE_CONTACT",
        lambda s: [s.building.row(Portal, "lab-door", has_contact=False, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "B-01",
    ),
    (
        "GRADE_FACTORS",
        lambda s: [s.building.row(Portal, "front", grade=3, fire_release=FireRelease.HARDWIRED, **HANDLE)],
        "front",
        "street > front > office",
        "one factor behind a door of grade 3",
    ),
    (
        "GRADE_TOKEN",
        lambda s: [
            s.building.row(Zone, "lab", uid_accepted=True, plan_ref="A-2"),
            s.building.row(Portal, "lab-door", grade=3, reader_link=LinkAssurance.CONDUIT, **HANDLE),
        ],
        "lab-door",
        "street > office > lab-door > lab",
        "a copied card behind a door of grade 3",
    ),
    (
        "GRADE_LINK",
        lambda s: [s.building.row(Portal, "lab-door", grade=3, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "two wires that anybody may tap",
    ),
    (
        "GRADE_LINK",
        lambda s: [s.building.row(Portal, "lab-door", grade=4, reader_link=LinkAssurance.CONDUIT, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "grade 4 asks for encryption",
    ),
    (
        "GRADE_DUAL",
        lambda s: [s.building.row(Portal, "lab-door", grade=4, reader_link=LinkAssurance.ENCRYPTED, **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "grade 4 asks for dual access",
    ),
    (
        "READER_LINK_SHORT",
        lambda s: [s.building.row(Zone, "lab", min_link=LinkAssurance.ENCRYPTED, plan_ref="A-2")],
        "lab-door",
        "street > office > lab-door > lab",
        "every card is refused",
    ),
    (
        "INTERLOCK_ONE_WAY",
        lambda s: [s.building.row(Portal, "lab-door", interlock_with=("vault-door",), **HANDLE)],
        "lab-door",
        "street > office > lab-door > lab",
        "the vault door does not wait",
    ),
    (
        "VESTIBULE_OPEN",
        lambda s: [s.building.row(Zone, "lab", is_vestibule=True, plan_ref="A-2")],
        "lab",
        "street > office > lab",
        "both doors of a vestibule open together",
    ),
    (
        "NO_PARENT",
        lambda s: [zone("kiosk", parent=None), portal("kiosk-door", "street", "kiosk")],
        "kiosk",
        "kiosk",
        "D-31",
    ),
    (
        "NOT_DRAWN",
        lambda s: [s.building.row(Zone, "lab")],
        "lab",
        "street > office > lab",
        "D-31",
    ),
    (
        "NO_OPENER",
        lambda s: [s.vault(needs_opener=False)],
        "vault",
        "street > office > lab > vault",
        "nobody answers for opening it",
    ),
    (
        "OPENERS_FEW",
        lambda s: [replace(s.building.roster("bo-vault", "vault", "bo"), is_opener=True, is_suspended=True)],
        "vault",
        "street > office > lab > vault",
        "once secured it stays so",
    ),
    (
        "ESCORT_NONE",
        lambda s: [
            s.building.row(Zone, "lab", visitors_allowed=True, plan_ref="A-2"),
            Cardholder(id="guest", kind=CardholderKind.VISITOR),
        ],
        "lab",
        "street > office > lab",
        "visitors wait outside for ever",
    ),
    (
        "UID_INTO_PROTECTED",
        lambda s: [s.vault(uid_accepted=True)],
        "vault",
        "street > office > lab > vault",
        "A-34",
    ),
    (
        "ITEM_UNKNOWN",
        lambda s: [s.vault(items=("item-1", "item-7"))],
        "vault",
        "street > office > lab > vault",
        "its designation never ends anything",
    ),
    (
        "FACTORS_UNPROVABLE",
        lambda s: [s.building.row(Zone, "lab", min_factors=3, plan_ref="A-2")],
        "lab",
        "street > office > lab",
        "the first one never gets in",
    ),
]


@pytest.mark.req("B-01", "A-35", "D-24", "D-25", "D-26", "D-31")
@pytest.mark.parametrize("code, rows, row, way, why", FAULTS)
def test_every_fault_is_found_and_the_way_to_it_named(site, code, rows, row, way, why):
    """A site with this fault would be built, and nobody would be told where to go and look."""
    before = {(one.code, one.row) for one in lint(site.policy())}
    assert (code, row) not in before
    found = [one for one in of(site.policy(*rows(site)), code) if one.row == row]
    assert [one.way for one in found] == [way], why
    assert found[0].ja
    assert found[0].en


@pytest.mark.req("A-33")
@pytest.mark.parametrize(
    "more, is_found",
    [
        ({"occupancy_min": 2}, True),  # two without attended_counts prove two factors each, and no more
        ({"attended_counts": True}, True),  # the first one is alone
        ({"attended_counts": True, "occupancy_min": 2}, False),
        ({"attended_counts": True, "dual_window_ms": 30_000}, False),
    ],
)
def test_a_vault_that_its_first_two_can_enter_is_not_told_as_shut_to_all(site, more, is_found):
    """An officer would read for years that nobody can get into a vault that opens every morning."""
    found = of(site.policy(site.vault(**more)), "FACTORS_UNPROVABLE")
    assert bool(found) is is_found


def test_every_lint_has_a_fault_that_it_finds():
    """A lint that never speaks would be taken for a site without faults."""
    assert {one.code for one in LINTS} == {fault[0] for fault in FAULTS}
    assert len({one.code for one in LINTS}) == len(LINTS)


@pytest.mark.req("B-01")
@pytest.mark.parametrize("grade", [1, 2, 3, 4])
@pytest.mark.parametrize("link", list(LinkAssurance))
@pytest.mark.parametrize("factors", [1, 2])
@pytest.mark.parametrize("has_contact", [True, False])
@pytest.mark.parametrize("dual_window_ms", [None, 30_000])
def test_a_portal_below_its_grade_is_refused_and_no_other(site, grade, link, factors, has_contact, dual_window_ms):
    """A declared grade would be a word on a plan (§3.3, the mandatory set)."""
    rows = [
        zone("room", ZoneKind.CONTROLLED, min_factors=factors, dual_window_ms=dual_window_ms, occupancy_min=2),
        portal("room-door", "office", "room", grade=grade, reader_link=link, has_contact=has_contact),
    ]
    found = {one.code for one in errors(lint(site.policy(*rows))) if one.code.startswith("GRADE")}
    wanted = {
        "GRADE_CONTACT": grade >= 2 and not has_contact,
        "GRADE_FACTORS": grade >= 3 and factors < 2,
        "GRADE_LINK": (grade >= 3 and link is LinkAssurance.CLEAR) or (grade == 4 and link is LinkAssurance.CONDUIT),
        "GRADE_DUAL": grade == 4 and dual_window_ms is None,
    }
    assert found == {code for code, is_so in wanted.items() if is_so}


def test_a_way_past_the_clearance_is_a_fault_although_the_factors_are_the_same(site):
    """Whoever may enter the workshop would be in the lab, whose clearance nobody asked for."""
    rows = [
        site.building.row(Zone, "lab", accepted_bases=(Basis.COMPANY,), company_level=3, plan_ref="A-2"),
        zone("shop", ZoneKind.LIMITED),
        portal("shop-door", "office", "shop"),
        portal("hatch", "lab", "shop"),
    ]
    assert [(one.row, "clearance" in one.en) for one in of(site.policy(*rows), "WAY_AROUND")] == [("lab", True)]
    cleared = replace(rows[1], accepted_bases=(Basis.COMPANY,), company_level=3)
    assert of(site.policy(rows[0], cleared, *rows[2:]), "WAY_AROUND") == []
    lower = replace(cleared, company_level=2)
    assert [one.row for one in of(site.policy(rows[0], lower, *rows[2:]), "WAY_AROUND")] == ["lab"]


def test_a_protected_zone_reached_by_leaving_another_is_a_fault(site):
    """Who holds the keys of one vault would walk out into the other."""
    second = zone(
        "vault-2",
        ZoneKind.EXCLUSION,
        "lab",
        items=("item-9",),
        accepted_bases=(Basis.KEIZAI_ANPO,),
        anti_passback=AntiPassback.GLOBAL,
    )
    rows = [second, portal("second-door", "lab", "vault-2"), portal("hatch", "vault", "vault-2")]
    (found,) = of(site.policy(*rows), "WAY_AROUND")
    assert found.way.endswith("lab > second-door > vault-2 > hatch > vault")


def test_a_way_in_past_the_zone_around_is_a_fault(site):
    """A door from the street into a cell inside the vault would be a door into the vault."""
    cell = zone("cell", ZoneKind.EXCLUSION, "vault", items=("item-9",), accepted_bases=(Basis.KEIZAI_ANPO,))
    found = of(site.policy(cell, portal("back-door", "street", "cell")), "WAY_AROUND")
    assert ("vault", "street > back-door > cell") in {(one.row, one.way) for one in found}


def test_what_apply_lets_through_has_no_weak_child_and_no_door_past_a_key(building, site):
    """The two checks of the same rule would contradict each other."""
    rows = [zone("store"), portal("store-door", "office", "store")]
    policy = apply(building.policy(*site.rows), Edit(puts=tuple(rows)))
    assert not {one.code for one in errors(lint(policy))}


def test_the_page_tells_every_finding():
    """The officer would look up a code that stands nowhere."""
    told = re.findall(r"^\| `([A-Z_]+)` \| (error|warning) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert told == [(one.code, "error" if one.severity is Severity.ERROR else "warning") for one in LINTS]
