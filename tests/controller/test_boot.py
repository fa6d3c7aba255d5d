"""A start takes its policy from the ledger, believes nothing else, and says what it found."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller import boot
from controller.boot import deviations_of, layout_edit, start
from controller.config import Site, SiteFileError, parse_site
from controller.history import last_standing, latest_trusted, load_policy
from controller.keys import Keys, load_keys
from controller.ledger.body import Body, Scribe
from controller.ledger.errors import LedgerRefused
from controller.ledger.store import Ledger
from controller.policy_log import PolicyAt, edit_to_doc
from controller.site.store import SiteStore
from zones.edits import apply
from zones.moment import Moment
from zones.people import Cardholder, RosterEntry
from zones.places import PortalMode, PortalStatus, Zone, ZoneKind, ZoneState, ZoneStatus
from zones.policy import EMPTY, Edit, Row

NOON = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

FILE = """
[controller]
node = "gate"
state_dir = "state"
socket = "controller.sock"

[[schedule]]
id = "hours"
windows = ["mon-fri 08:00-20:00"]

[[zone]]
id = "outside"
name_ja = "屋外"
name_en = "Outside"
kind = "UNRESTRICTED"

[[zone]]
id = "office"
name_ja = "執務室"
name_en = "Office"
kind = "UNRESTRICTED"
parent = "outside"
schedule = "hours"
"""
NO_WIRES = FILE.replace("[controller]", "device = []\nportal = []\n[controller]")
"""A building without doors: all of a start but the wires."""

DOORS = """
[[zone]]
id = "vault"
name_ja = "取扱区画"
name_en = "Vault"
kind = "EXCLUSION"
parent = "office"
items = ["item-1"]
accepted_bases = ["KEIZAI_ANPO"]
anti_passback = "HARD"
uid_accepted = true

[[device]]
id = "dr"
kind = "mqtt"
[[device]]
id = "rd"
kind = "mqtt"
[[device]]
id = "rd-out"
kind = "mqtt"

[[portal]]
id = "vault"
name_ja = "扉"
name_en = "Door"
outer = "office"
inner = "vault"
exit_hardware = "HANDLE"
entry_reader = "rd"
exit_reader = "rd-out"
strike = "dr"
contact = "dr"
"""


class History:
    """A state folder, and the ledger of a site to which things have happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "site.db"
        self.keys: Keys = load_keys(folder, os.urandom)
        self.ledger = self.opens()
        self.scribe = Scribe(node="gate", boot="b0")
        self.policy = PolicyAt()
        self.at = NOON

    def opens(self) -> Ledger:
        return Ledger.open(self.folder / "ledger.db", self.keys.signer, "sekisho.example/gate")

    def now(self, *, is_trusted: bool = True) -> Moment:
        self.at += timedelta(seconds=1)
        return Moment(at=self.at, tick_ms=1, is_trusted=is_trusted)

    def records(self, type_: str, **fields: Any) -> int:
        (seq,) = self.ledger.append([self.scribe.draft(type_, now=self.now(), **fields)])
        return seq

    def edits(self, *puts: Row, drops: tuple[tuple[str, str], ...] = (), revision: str | None = None) -> PolicyAt:
        doc = edit_to_doc(Edit(puts=puts, drops=drops))
        after = self.policy.after(doc, self.ledger.size)
        names = revision or after.revision
        detail = {"id": "edit-0001", "edit": doc, "revision": names, "base": self.policy.revision, "signed": False}
        self.records("POLICY_EDITED", officer="officer-01", detail=detail)
        self.policy = after
        return after

    def stores(self, policy: PolicyAt | None = None) -> None:
        """site.db as a store would leave it."""
        store = SiteStore(self.path, self.keys.seal, pytest.fail)
        store._write(policy or self.policy)
        store._close()

    def load(self) -> tuple[PolicyAt, str]:
        return load_policy(self.path, self.keys.seal, self.ledger)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path / "state")
    made.records("CONTROLLER_STARTED")
    made.edits(*layout_edit(parse_site(NO_WIRES, tmp_path / "site.toml"), EMPTY).puts)
    made.records("REX", portal="front")
    made.edits(Cardholder(id="h-1"), Cardholder(id="h-2"))
    made.records("REX", portal="front")
    yield made
    made.ledger.close()


# -- policy ---------------------------------------------------------------------------------------------------------


def nothing(_: History) -> None:
    """As a store left it."""


def missing(history: History) -> None:
    history.path.unlink()


def behind(history: History) -> None:
    history.edits(Cardholder(id="h-3"))
    history.edits(Cardholder(id="h-1", ended_on=NOON.date()))


def ahead(history: History) -> None:
    history.stores(PolicyAt(policy=history.policy.policy, revision=history.policy.revision, seq=history.ledger.size))


def of_another_history(history: History) -> None:
    lost = history.policy.after(edit_to_doc(Edit(puts=(Cardholder(id="h-9"),))), seq=4)
    history.stores(lost)


def of_a_record_that_is_no_edit(history: History) -> None:
    history.stores(PolicyAt(policy=history.policy.policy, revision=history.policy.revision, seq=2))


def tampered(history: History) -> None:
    connection = sqlite3.connect(history.path)
    connection.execute("INSERT INTO cardholder (id) VALUES ('h-9')")
    connection.commit()
    connection.close()


def corrupt(history: History) -> None:
    history.path.write_bytes(b"\xff" * 9000)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (nothing, ""),
        (behind, ""),
        (missing, "missing"),
        (ahead, "is ahead of the ledger"),
        (of_another_history, "is of another history"),
        (of_a_record_that_is_no_edit, "is of another history"),
        (tampered, "the seal does not match"),
        (corrupt, "unreadable"),
    ],
)
def test_the_policy_is_what_the_ledger_says_whatever_became_of_its_copy(history, fault, why):
    """Somebody would have a right that was never recorded, or lose one that was."""
    history.stores()
    fault(history)
    loaded, said = history.load()
    assert loaded == history.policy
    assert why in said if why else said == ""


@pytest.mark.req("A-24")
def test_a_ledger_that_contradicts_itself_is_not_gone_on_from(history):
    """A policy would come into force that no revision names."""
    history.edits(Cardholder(id="h-3"), revision="ab" * 32)
    with pytest.raises(SiteFileError, match="record 5 of the ledger names another revision"):
        history.load()


def test_an_edit_of_a_newer_version_is_not_passed_over(history):
    """An edit that took a right away would be left out, because it also said something that is not understood."""
    row = ["cardholder", {"id": "h-9", "ended_on": "2026-11-20", "badge_colour": "red"}]
    detail = {"id": "edit-0009", "edit": {"puts": [row], "drops": []}, "revision": "ab" * 32, "base": "cd" * 32}
    history.records("POLICY_EDITED", officer="officer-01", detail={**detail, "signed": False})
    with pytest.raises(SiteFileError, match=r"record 5 of the ledger.*cardholder h-9: badge_colour.*newer version"):
        history.load()


def test_a_policy_record_that_changes_nothing_is_passed_over(history):
    """A refused edit would come into force at the next start."""
    history.records("EDIT_REFUSED", officer="officer-01", detail={"id": "edit-0002", "code": "stale_base"})
    assert history.load()[0] == history.policy


# -- the building ---------------------------------------------------------------------------------------------------


def site_of(text: str) -> Site:
    return parse_site(text, Path("site.toml"))


def test_an_unchanged_building_is_no_edit():
    """Every start would make a new revision, and every page would be stale."""
    site = site_of(NO_WIRES)
    assert layout_edit(site, apply(EMPTY, layout_edit(site, EMPTY))) == Edit()


def test_a_changed_building_is_the_smallest_edit():
    """A door that was taken out would still be decided on, or a zone's state would be forgotten."""
    old = apply(EMPTY, layout_edit(site_of(FILE.replace("[controller]", MQTT) + DOORS), EMPTY))
    new = site_of(NO_WIRES.replace('"Office"', '"Offices"').replace("schedule = ", "# ").replace("[[schedule]]", TWICE))
    edit = layout_edit(new, old)
    assert [(type(row).__name__, row.id) for row in edit.puts] == [("Schedule", "nights"), ("Zone", "office")]
    assert edit.drops == (("portal", "vault"), ("zone", "vault"))
    after = apply(old, edit)
    assert set(after.portals) == set() and set(after.zones) == {"outside", "office"}


MQTT = '[mqtt]\nhost = "127.0.0.1"\n[controller]'


def test_calendars_walks_and_modes_go_with_the_building():
    """A holiday would be a working day until somebody edits a file twice, or a door could never be taken out."""
    calendar = '[[calendar]]\nid = "holidays"\nnational = "JP"\n[[schedule]]\ncalendar = "holidays"\n'
    side = DOORS.partition("[[portal]]")[2].replace('"vault"', '"side"', 1).replace('"rd', '"rd-side')
    more = DOORS + "[[portal]]" + side.replace('"dr"', '"dr-side"')
    devices = "".join(f'[[device]]\nid = "{name}"\nkind = "mqtt"\n' for name in ("rd-side", "rd-side-out", "dr-side"))
    walk = '[[walk]]\nid = "round"\none = "vault"\nother = "side"\nmin_ms = 5000\n'
    text = FILE.replace("[controller]", MQTT).replace("[[schedule]]\n", calendar) + more + devices + walk
    old = apply(EMPTY, layout_edit(site_of(text), EMPTY))
    assert set(old.calendars) == {"holidays"} and set(old.walks) == {"round"}
    assert layout_edit(site_of(text), old) == Edit()
    old = apply(old, Edit(puts=(PortalStatus(id="side", mode=PortalMode.LOCKED),)))
    after = apply(old, layout_edit(site_of(NO_WIRES), old))
    assert not (after.calendars or after.walks or after.portals or after.portal_statuses)
    assert after.schedules["hours"].calendar is None


TWICE = '[[schedule]]\nid = "nights"\nwindows = []\n[[schedule]]'


def test_a_zone_that_was_put_in_a_state_can_be_taken_out():
    """The controller would not start after a rebuild of the house."""
    old = apply(EMPTY, layout_edit(site_of(FILE.replace("[controller]", MQTT) + DOORS), EMPTY))
    old = apply(old, Edit(puts=(ZoneStatus(id="vault", state=ZoneState.SECURED),)))
    assert set(apply(old, layout_edit(site_of(NO_WIRES), old)).zones) == {"outside", "office"}


def test_deviations_are_all_that_is_less_strict_than_it_should_be():
    """A site would run on cards that anybody can copy, and nobody would be told."""
    strict = site_of(NO_WIRES)
    assert deviations_of(strict) == []
    lax = site_of(FILE.replace("[controller]", "[simulation]\n" + MQTT) + DOORS)
    assert deviations_of(lax) == [
        ("uid_accepted", "vault"),
        ("mqtt_without_tls", "127.0.0.1"),
        ("simulation", ""),
    ]
    gate = DOORS.replace("uid_accepted = true", "attended_counts = true").replace(
        'exit_hardware = "HANDLE"', 'exit_hardware = "HANDLE"\nlock_type = "FAIL_SAFE"'
    )
    assert deviations_of(site_of(FILE.replace("[controller]", MQTT) + gate))[:3] == [
        ("attended_counts", "vault"),
        ("fire_release_missing", "vault"),
        ("fail_safe_into_protected", "vault"),
    ]


# -- what is remembered ---------------------------------------------------------------------------------------------


@pytest.mark.req("B-07")
def test_last_places_are_remembered_and_not_believed(history):
    """Somebody would be held out by where he was before the power went, or nobody would know where to look."""
    for who, zone in (("h-1", "office"), ("h-2", "office"), ("h-1", "outside")):
        history.records("PASSAGE", cardholder=who, zone=zone, portal="front")
    history.records("PASSAGE", zone="office", portal="front")
    history.records("ACCESS_GRANTED", cardholder="h-2", zone="outside")
    places = last_standing(history.ledger, EMPTY)[0].where
    assert {who: presence.zone for who, presence in places.items()} == {"h-1": "outside", "h-2": "office"}
    assert not any(presence.is_certain for presence in places.values())


@pytest.mark.req("B-02")
def test_the_mark_for_the_clock_is_the_last_time_that_was_believed(history):
    """After one start in 1970 a clock of last year would be believed, and rights that ended would count again."""
    mark = history.at
    assert latest_trusted(history.ledger) == mark
    for year in (1970, 2098):
        now = Moment(at=datetime(year, 1, 1, tzinfo=UTC), tick_ms=1, is_trusted=False)
        history.ledger.append([history.scribe.draft("CONTROLLER_STARTED", now=now)])
    assert latest_trusted(history.ledger) == mark


def test_an_empty_ledger_has_no_mark(tmp_path):
    """The first start of all would fail."""
    empty = History(tmp_path / "state")
    try:
        assert latest_trusted(empty.ledger) is None and last_standing(empty.ledger, EMPTY)[0].where == {}
        assert empty.load() == (PolicyAt(), "missing")
    finally:
        empty.ledger.close()


# -- keys and randomness --------------------------------------------------------------------------------------------


def test_keys_are_made_once_and_are_not_each_other(tmp_path):
    """A restart would know no card; or whoever learns one key would have all."""
    state = tmp_path / "state"
    first = load_keys(state, os.urandom)
    (state / "ledger.db").touch()
    second = load_keys(state, os.urandom)
    assert first.numbers.hash(b"\x04") == second.numbers.hash(b"\x04")
    assert first.seal.over(1, 1, "a") == second.seal.over(1, 1, "a")
    assert first.numbers._key != first.seal._key != (state / "site.key").read_bytes()
    assert state.stat().st_mode & 0o777 == 0o700
    keys = {path.name: path.stat().st_mode & 0o777 for path in state.glob("*.key*")}
    assert keys == {"ledger.key": 0o600, "site.key": 0o600}


@pytest.mark.parametrize("name", ["ledger.key", "site.key"])
def test_a_key_that_others_can_read_is_refused(tmp_path, name):
    """Anybody on the box could sign records, or find every card number."""
    load_keys(tmp_path, os.urandom)
    (tmp_path / "ledger.db").touch()
    (tmp_path / name).chmod(0o644)
    with pytest.raises(Exception, match=name):
        load_keys(tmp_path, os.urandom)


@pytest.mark.parametrize("name", ["ledger.key", "site.key"])
def test_a_key_that_is_gone_is_not_made_anew_beside_a_ledger(history, name):
    """Every card would be unknown from then on, or the ledger would look forged, and nobody would know why."""
    (history.folder / name).unlink()
    with pytest.raises(ValueError, match=rf"{name} is missing beside a ledger; restore it from the backup"):
        load_keys(history.folder, os.urandom)
    assert not (history.folder / name).exists()


def test_a_short_secret_is_refused(tmp_path):
    """Card numbers would be hidden behind half a key."""
    load_keys(tmp_path, os.urandom)
    (tmp_path / "ledger.db").touch()
    (tmp_path / "site.key").write_bytes(b"\x00" * 31)
    with pytest.raises(ValueError, match="has 31 bytes"):
        load_keys(tmp_path, os.urandom)


@pytest.mark.parametrize(
    ("section", "is_seeded"), [("", False), ("[simulation]\n", False), ("[simulation]\nseed = 7\n", True)]
)
def test_only_a_simulation_has_a_seed(section, is_seeded):
    """The salts and ids of a real site could be foretold."""
    given = boot._randomness(site_of(NO_WIRES.replace("[controller]", f"{section}[controller]")))
    assert (given is os.urandom) is not is_seeded
    assert (given(16) == random.Random(7).randbytes(16)) is is_seeded


def test_a_seed_outside_a_simulation_is_a_fault():
    """A real site could be made repeatable by one line in the wrong section."""
    with pytest.raises(SiteFileError, match=r"controller\.seed: there is no such key here"):
        site_of(NO_WIRES.replace("[controller]", "[controller]\nseed = 7"))


# -- the whole start ------------------------------------------------------------------------------------------------


@contextmanager
def started(site: Site) -> Iterator[Any]:
    """A controller up to armed doors, and what it was made of, let go of afterwards."""
    runtime = start(site)
    try:
        yield runtime
    finally:
        runtime._link.close()
        runtime._committer._ledger.close()
        runtime._inbox.close()
        runtime._selector.close()


def story(runtime: Any) -> list[Body]:
    return [body for record in runtime._committer._ledger.scan() if (body := record.decoded()) is not None]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return parse_site(NO_WIRES, tmp_path / "site.toml")


def test_a_first_start_says_who_it_is_what_is_lax_and_what_the_building_is(site):
    """An inspector could not tell from the ledger under which rules the doors worked."""
    with started(site) as runtime:
        types = [body.type for body in story(runtime)]
        assert types == ["CONTROLLER_STARTED", "POLICY_EDITED"]
        status = runtime.status()
        assert status.size == 2 and status.deviations == [] and status.is_ledger_writable
        assert status.revision == story(runtime)[-1].detail["revision"]
        assert runtime._engine.policy.seq == 1
    with started(site) as runtime:
        assert [body.type for body in story(runtime)][2:] == ["CONTROLLER_STARTED", "SITE_REBUILT"]
        boots = {body.boot for body in story(runtime)}
        assert len(boots) == 2


def test_a_second_controller_on_the_same_folder_is_refused(site):
    """Two programs would drive the same doors and write the same ledger."""
    with started(site), pytest.raises(LedgerRefused, match="in use by another process; a ledger has one writer"):
        start(site)


def test_a_building_that_somebody_still_has_rights_in_is_not_taken_away(tmp_path):
    """Rights would point at a zone that is gone, and come back with the next zone of that name."""
    site = parse_site(NO_WIRES, tmp_path / "site.toml")
    state = History(site.state_dir)
    state.edits(
        *layout_edit(site, EMPTY).puts,
        Zone(id="lab", name_ja="研究室", name_en="Lab", kind=ZoneKind.CONTROLLED, parent="office"),
        Cardholder(id="h-1"),
        RosterEntry(
            id="r-1",
            cardholder="h-1",
            zone="lab",
            from_on=NOON.date(),
            until_on=NOON.date(),
            review_on=NOON.date(),
        ),
    )
    state.ledger.close()
    with pytest.raises(SiteFileError, match=r"zone lab: id: is still named by roster r-1 .*end them first"):
        start(site)


def test_a_lost_ledger_is_not_begun_anew_in_silence(site):
    """All that was ever recorded would be gone, and the next day would look like the first."""
    with started(site):
        pass
    for path in site.state_dir.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(Exception, match=r"ledger\.db.*missing"):
        start(site)


def test_a_state_folder_can_be_moved(site, tmp_path, make_at: Callable[[Path], Site]):
    """A site could not be restored on another machine."""
    with started(site):
        pass
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(site.state_dir, elsewhere / "state")
    with started(make_at(elsewhere)) as runtime:
        assert [body.type for body in story(runtime)].count("CONTROLLER_STARTED") == 2


@pytest.fixture
def make_at() -> Callable[[Path], Site]:
    return lambda folder: parse_site(NO_WIRES, folder / "site.toml")
