"""site.db: a copy of the policy in force that starts faster than the ledger, and is believed only where it is whole."""

from __future__ import annotations

import os
import queue
import sqlite3
import types
import typing
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from controller.policy_log import PolicyAt, edit_to_doc
from controller.site import boot
from controller.site.boot import SiteUnusable, read_site
from controller.site.schema import alembic_config, open_site
from controller.site.seal import Seal
from controller.site.store import SiteStore
from controller.site.tables import MODELS, SiteMeta
from tests.share import share
from zones.edits import apply
from zones.officers import Officer, OfficerKey, Role
from zones.people import (
    Basis,
    Cardholder,
    CardholderKind,
    Clearance,
    Credential,
    CredentialState,
    Declaration,
    InformationItem,
    NeedToKnow,
    Override,
    Pin,
    RosterEntry,
    Training,
    Visit,
)
from zones.places import (
    AntiPassback,
    Calendar,
    DeviceStatus,
    ExitHardware,
    FireRelease,
    LinkAssurance,
    Portal,
    PortalMode,
    PortalStatus,
    Schedule,
    SiteStatus,
    Walk,
    Window,
    Zone,
    ZoneKind,
    ZoneState,
    ZoneStatus,
)
from zones.policy import EMPTY, TABLES, Edit, Policy, Row
from zones.terms import term_of

SCHEMES = ("pkoc", None)
SEAL = Seal(bytes(range(32)))
DAY = date(2026, 11, 2)


def person(n: int, card: CredentialState = CredentialState.ACTIVE, *, is_ended: bool = False) -> tuple[Row, ...]:
    """All rows of somebody made up."""
    ended_on = DAY if is_ended else None
    who = f"h-{n}"
    return (
        Cardholder(id=who, ended_on=ended_on, notice_version=n, held_extra_ms=1000 * n),
        Pin(id=who, salt="5a" * 16, pin_hash=f"{n:064x}", duress_hash=None if n % 2 else "ee" * 32),
        Credential(
            id=f"c-{n}", cardholder=who, number_hash=f"{n:064x}", last4=f"{n:04X}", state=card, scheme=SCHEMES[n % 2]
        ),
        Clearance(
            id=f"k-{n}",
            cardholder=who,
            basis=Basis.KEIZAI_ANPO,
            notified_on=date(2026, 4, 1),
            last_valid_on=date(2036, 3, 31),
            recorded_by="officer-01",
            confirmed_by=None if n % 2 else "officer-02",
            ended_on=ended_on,
        ),
        NeedToKnow(
            id=f"n-{n}",
            cardholder=who,
            item="item-1",
            purpose_code="P-01",
            from_on=DAY,
            until_on=date(2027, 10, 1),
            is_suspended=is_ended,
            sponsor="officer-09",
            requested_by="officer-01",
            approved_by_1="officer-02",
            approved_by_2=None if n % 2 else "officer-03",
            recert_on=date(2027, 4, 1),
        ),
        Clearance(
            id=f"kc-{n}",
            cardholder=who,
            basis=Basis.COMPANY,
            notified_on=date(2026, 4, 1),
            last_valid_on=term_of(Basis.COMPANY, date(2026, 4, 1)),
            recorded_by="officer-01",
            level=3,
        ),
        RosterEntry(
            id=f"r-{n}",
            cardholder=who,
            zone="vault",
            from_on=DAY,
            until_on=date(2027, 10, 1),
            review_on=date(2027, 1, 1),
            is_opener=not n % 2,
            is_escort=bool(n % 2),
            is_minimum=True,
            may_enter_lockdown=True,
            schedule="hours",
        ),
        Training(id=f"t-{n}", cardholder=who, course="fire", done_on=DAY, due_on=date(2027, 10, 1)),
        Declaration(
            id=f"d-{n}",
            cardholder=who,
            zone="vault",
            from_on=DAY,
            until_on=DAY,
            locker=None if n % 2 else "L-7",
            permits=("P-1", "P-2") if n % 2 else (),
            ended_on=ended_on,
        ),
    )


PLACES: tuple[Row, ...] = (
    Calendar(id="holidays", days=(date(2026, 11, 23), date(2027, 1, 1))),
    Schedule(
        id="hours",
        windows=(
            Window(weekday=0, from_min=480, to_min=1200),
            Window(weekday=1, from_min=0, to_min=9, from_on=DAY, until_on=date(2027, 1, 3)),
            Window(weekday=0, from_min=600, to_min=960, is_for_holidays=True),
        ),
        calendar="holidays",
    ),
    Zone(id="outside", name_ja="屋外", name_en="Outside", kind=ZoneKind.UNRESTRICTED),
    Zone(
        id="vault",
        name_ja="取扱区画 \"'",
        name_en="Vault",
        kind=ZoneKind.EXCLUSION,
        parent="outside",
        items=("item-1", "item-2"),
        accepted_bases=(Basis.KEIZAI_ANPO, Basis.COMPANY),
        min_factors=3,
        anti_passback=AntiPassback.HARD,
        occupancy_max=7,
        schedule="hours",
        uid_accepted=True,
        company_level=2,
        raised_factors=3,
        raised_outside="hours",
        attended_counts=True,
        min_link=LinkAssurance.CONDUIT,
        occupancy_min=2,
        dual_window_ms=30_000,
        needs_opener=True,
        training=("fire", "handling"),
        declares_devices=True,
        visitors_allowed=True,
        escort_ratio=3,
        policy_age_ms_max=60_000,
        is_vestibule=True,
        plan_ref="A-1",
    ),
    ZoneStatus(
        id="vault",
        state=ZoneState.SECURED,
        is_locked_down=True,
        sanitised_by="officer-01",
        sanitised_confirmed_by="officer-02",
    ),
    SiteStatus(id="site", is_locked_down=True, threat_level=1, notice_version=3),
    Portal(
        id="vault",
        name_ja="扉",
        name_en="Door",
        outer="outside",
        inner="vault",
        is_escape=True,
        has_exit_reader=True,
        held_warn_ms=10_000,
        grade=4,
        reader_link=LinkAssurance.ENCRYPTED,
        relay_in_reader=True,
        exit_hardware=ExitHardware.HARDWIRED_REX,
        fire_release=FireRelease.HARDWIRED,
        interlock_with=("side",),
    ),
    Zone(id="lobby", name_ja="受付", name_en="Lobby", kind=ZoneKind.CONTROLLED, parent="outside"),
    Portal(
        id="side",
        name_ja="脇",
        name_en="Side",
        outer="outside",
        inner="lobby",
        unlock_schedule="hours",
        first_in=True,
    ),
    PortalStatus(id="side", mode=PortalMode.ATTENDED, until_ms=1_800_000_000_000),
    PortalStatus(id="vault", mode=PortalMode.LOCKED),
    DeviceStatus(id="rd-1", is_trusted=True, restored_by="officer-01", confirmed_by="officer-02"),
    DeviceStatus(id="rd-2", is_trusted=False),
    Walk(id="w-1", one="vault", other="side", min_ms=5000),
    InformationItem(id="item-1", designated_until=date(2030, 1, 1), contract_until=date(2028, 1, 1)),
    InformationItem(id="item-2", designated_until=date(2030, 1, 1), lifted_on=DAY),
)


def at(*edits: Edit) -> PolicyAt:
    """The policy after these edits, as of the record of the last."""
    policy = PolicyAt()
    for seq, edit in enumerate(edits):
        policy = policy.after(edit_to_doc(edit), seq)
    return policy


VISITING: tuple[Row, ...] = (
    Cardholder(id="v-1", kind=CardholderKind.VISITOR),
    Visit(id="vi-1", cardholder="v-1", host="h-1", zones=("vault",), from_on=DAY, until_on=DAY),
    Override(
        id="o-1",
        zone="vault",
        cardholders=("v-1", "h-1"),
        reason_code="flood",
        started_by="officer-01",
        approved_by="officer-02",
        from_ms=1_800_000_000_000,
        until_ms=1_800_003_600_000,
        ended_ms=1_800_000_060_000,
    ),
    Officer(
        id="officer-01",
        roles=(Role.WORK_MANAGER,),
        deputises=(Role.PROTECTION_OFFICER,),
        zones=("vault",),
        from_on=DAY,
        until_on=date(2027, 10, 1),
        cardholder="h-1",
    ),
    OfficerKey(
        id="pk-1", officer="officer-01", credential="ab" * 32, public_key="cd" * 77, enrolled_on=DAY, ended_on=DAY
    ),
)
FULL = at(Edit(puts=PLACES), Edit(puts=person(1) + person(2)), Edit(puts=VISITING))


class Written:
    """A store on a file, and everything it reports."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reports: queue.Queue[str] = queue.Queue()
        self.store = SiteStore(path, SEAL, self.reports.put)

    def ends(self) -> None:
        if self.store.is_alive():
            self.store.stop()
            self.store.join(20)
        assert not self.store.is_alive()

    def says(self) -> str:
        return self.reports.get(timeout=20)


def write(path: Path, *policies: PolicyAt) -> None:
    """Have a store write these, one after the other, each as a change of the one before."""
    store = SiteStore(path, SEAL, pytest.fail)
    for policy in policies:
        store._write(policy)
    store._close()


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Written]:
    made = Written(tmp_path / "site.db")
    yield made
    made.ends()


# -- schema ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", sorted(TABLES))
def test_a_table_has_a_column_for_every_field_and_no_other(table):
    """A field would be lost over a restart, or something would be kept that no row may hold."""
    wanted = typing.get_type_hints(TABLES[table])
    columns = SQLModel.metadata.tables[table].columns
    assert [column.name for column in columns] == [field.name for field in fields(TABLES[table])]
    for column in columns:
        assert column.nullable is (types.NoneType in typing.get_args(wanted[column.name])), column
    assert [column.name for column in columns if column.primary_key] == ["id"]


def test_migrations_lead_to_the_tables_and_to_what_a_start_reads(tmp_path):
    """After an upgrade every start would read the whole ledger, or read a column that is not there."""
    engine = open_site(tmp_path / "site.db")
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    "include_name": lambda name, kind, _: kind != "table" or name in {*MODELS, "site_meta"},
                    "include_object": lambda _o, name, kind, *_: kind != "table" or name in {*MODELS, "site_meta"},
                },
            )
            assert compare_metadata(context, SQLModel.metadata) == []
            assert context.get_current_revision() == boot.SCHEMA
    finally:
        engine.dispose()
    assert ScriptDirectory.from_config(alembic_config("sqlite://")).get_heads() == [boot.SCHEMA]
    assert SiteMeta.__tablename__ == "site_meta"


def test_a_folder_with_any_name_serves(tmp_path):
    """A site whose folder has a question mark in its name would keep its policy in another file."""
    folder = tmp_path / "a ?b#c %20d"
    folder.mkdir()
    write(folder / "site.db", FULL)
    assert [found.name for found in folder.iterdir()] == ["site.db"]
    assert read_site(folder / "site.db", SEAL) == FULL


def test_a_migration_happens_whole_or_not_at_all(tmp_path):
    """After a power cut in the first second of its life, no policy would ever be kept again."""
    path = tmp_path / "site.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE zone_status (id TEXT)")  # the last one that the first migration makes
    with pytest.raises(SQLAlchemyError, match="zone_status already exists"):
        open_site(path)
    left = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert set(left) <= {"zone_status", "alembic_version"}
    connection.execute("DROP TABLE zone_status")
    connection.commit()
    connection.close()
    open_site(path).dispose()


def test_rows_of_the_first_schema_mean_what_they_meant(tmp_path):
    """After an upgrade a door would have lost its name, or a zone would ask for something that nobody had asked for."""
    path = tmp_path / "site.db"
    old = at(Edit(puts=OLD))
    write(path, old)
    engine = open_site(path)
    try:
        with engine.begin() as connection:
            config = alembic_config("sqlite://")
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
    finally:
        engine.dispose()
    with pytest.raises(SiteUnusable, match="has schema 0001, this program reads 0004"):
        read_site(path, SEAL)
    open_site(path).dispose()
    assert read_site(path, SEAL) == old


OLD: tuple[Row, ...] = (
    Schedule(id="hours", windows=(Window(weekday=0, from_min=480, to_min=1200),)),
    Zone(id="outside", name_ja="屋外", name_en="Outside", kind=ZoneKind.UNRESTRICTED),
    Zone(id="office", name_ja="室", name_en="Office", kind=ZoneKind.LIMITED, parent="outside", schedule="hours"),
    ZoneStatus(id="office", state=ZoneState.OPEN_UNATTENDED),
    Portal(id="front", name_ja="扉", name_en="Door", outer="outside", inner="office"),
    Cardholder(id="h-1"),
    RosterEntry(
        id="r-1", cardholder="h-1", zone="office", from_on=DAY, until_on=date(2027, 10, 1), review_on=date(2027, 1, 1)
    ),
    NeedToKnow(id="n-1", cardholder="h-1", item="item-1", purpose_code="P-01", from_on=DAY, until_on=date(2027, 10, 1)),
)
"""What the first schema had room for."""


# -- round trip -----------------------------------------------------------------------------------------------------


def test_what_was_written_is_read(tmp_path):
    """After a restart somebody would have more rights, or fewer, than were approved."""
    write(tmp_path / "site.db", FULL)
    read = read_site(tmp_path / "site.db", SEAL)
    assert read == FULL
    assert set(read.policy.rows()) == {*PLACES, *person(1), *person(2), *VISITING}
    write(tmp_path / "site.db", at(Edit(puts=PLACES)))
    assert read_site(tmp_path / "site.db", SEAL) == at(Edit(puts=PLACES))


def test_rows_of_every_table_are_in_this_test():
    """A new table would be left out of every test here."""
    assert {type(row) for row in FULL.policy.rows()} == set(TABLES.values())


people = st.integers(1, 4).flatmap(
    lambda n: st.builds(
        lambda card, is_ended: person(n, card, is_ended=is_ended),
        st.sampled_from([CredentialState.ACTIVE, CredentialState.LOST]),
        st.booleans(),
    )
)
states = st.sampled_from(list(ZoneState)).map(lambda state: (ZoneStatus(id="vault", state=state),))
hours = st.integers(1, 1440).map(
    lambda minute: (Schedule(id="hours", windows=(Window(weekday=3, from_min=0, to_min=minute),)),)
)
more = st.sampled_from(
    [
        Edit(puts=(Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED),)),
        Edit(drops=(("zone", "yard"),)),
    ]
)


@settings(max_examples=share(5, many=60))
@given(st.lists(st.one_of(people, states, hours).map(lambda rows: Edit(puts=rows)) | more, min_size=1, max_size=4))
def test_following_edits_ends_where_a_fresh_copy_would(tmp_path_factory, edits):
    """The copy would drift from the policy in force, and the next start would believe it."""
    folder = tmp_path_factory.mktemp("site")
    chain = [Edit(puts=PLACES)]
    for edit in edits:
        if not edit.drops or edit.drops[0][1] in at(*chain).policy.zones:
            chain.append(edit)
    policies = [at(*chain[: n + 1]) for n in range(len(chain))]
    write(folder / "a.db", *policies)
    write(folder / "b.db", policies[-1])
    assert read_site(folder / "a.db", SEAL) == policies[-1]
    assert meta_of(folder / "a.db") == meta_of(folder / "b.db")


def test_a_place_that_was_taken_out_leaves_no_trace_in_the_seal(tmp_path):
    """Every start after that would read the whole ledger and speak of tampering."""
    yard = Zone(id="yard", name_ja="庭", name_en="Yard", kind=ZoneKind.UNRESTRICTED)
    chain = [Edit(puts=PLACES), Edit(puts=(yard,)), Edit(drops=(("zone", "yard"),))]
    write(tmp_path / "site.db", *(at(*chain[: n + 1]) for n in range(3)))
    assert read_site(tmp_path / "site.db", SEAL) == at(*chain)


def test_a_seal_is_of_the_set_the_record_and_the_key():
    """A row could be moved, doubled or taken out, and the seal would hold."""
    rows = list(FULL.policy.rows())
    total = SEAL.total(rows)
    assert SEAL.total(reversed(rows)) == total
    assert SEAL.total(rows[1:]) != total != SEAL.total([*rows, rows[0]])
    assert SEAL.exchange(SEAL.exchange(total, rows[0], None), None, rows[0]) == total
    seal = SEAL.over(total, 7, "aa")
    assert SEAL.is_whole(seal, total, 7, "aa")
    for other in ((total + 1, 7, "aa"), (total, 8, "aa"), (total, 7, "ab")):
        assert not SEAL.is_whole(seal, *other)
    assert not Seal(bytes(32)).is_whole(seal, total, 7, "aa")


def meta_of(path: Path) -> Any:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT * FROM site_meta").fetchall()
    finally:
        connection.close()


# -- what is not believed -------------------------------------------------------------------------------------------

TAMPERED = [
    ("UPDATE credential SET state = 'ACTIVE' WHERE id = 'c-2'", None),
    ("UPDATE credential SET state = 'LOST' WHERE id = 'c-1'", "seal"),
    ("UPDATE roster SET cardholder = 'h-2' WHERE id = 'r-1'", "seal"),
    ("UPDATE zone SET uid_accepted = 0 WHERE id = 'vault'", "seal"),
    ("UPDATE zone SET items = '[\"item-1\"]' WHERE id = 'vault'", "seal"),
    ("UPDATE clearance SET ended_on = NULL", None),
    ("UPDATE clearance SET confirmed_by = 'officer-09' WHERE id = 'k-1'", "seal"),
    ("DELETE FROM roster WHERE id = 'r-1'", "seal"),
    ("DELETE FROM zone_status", "seal"),
    ("INSERT INTO cardholder (id) VALUES ('h-9')", "seal"),
    ("UPDATE site_meta SET seq = seq - 1", "seal"),
    ("UPDATE site_meta SET seq = 'x'", "seal"),
    ("UPDATE site_meta SET revision = '00'", "seal"),
    ("UPDATE site_meta SET seal = '00'", "seal"),
    ("UPDATE site_meta SET seal = '\u00e9'", "refused"),
    ("UPDATE site_meta SET total = '-1'", "refused|seal"),
    ("UPDATE site_meta SET total = 'zz'", "refused"),
    ("DELETE FROM site_meta", "empty"),
    ("UPDATE alembic_version SET version_num = '9999'", "has schema 9999, this program reads"),
    ("DELETE FROM alembic_version", "has schema None"),
    ("DROP TABLE alembic_version", "unreadable"),
    ("DROP TABLE roster", "unreadable"),
    ("ALTER TABLE roster DROP COLUMN is_suspended", "unreadable"),
    ("UPDATE zone SET items = 'item-1' WHERE id = 'vault'", "refused"),
    ("UPDATE zone SET kind = 9 WHERE id = 'vault'", "refused"),
    ("UPDATE zone SET kind = 'x' WHERE id = 'vault'", "refused"),
    ("UPDATE zone SET name_ja = x'ff' WHERE id = 'vault'", "refused"),
    ("UPDATE roster SET until_on = '1' WHERE id = 'r-1'", "refused"),
]


@pytest.mark.parametrize(("statement", "why"), TAMPERED)
def test_a_copy_that_somebody_changed_is_not_believed(tmp_path, statement, why):
    """Whoever can write one file could give himself a key to any zone."""
    path = tmp_path / "site.db"
    write(path, FULL)
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    if why is None:  # it says what it said before
        assert read_site(path, SEAL) == FULL
        return
    with pytest.raises(SiteUnusable, match=why):
        read_site(path, SEAL)


def test_a_copy_that_another_site_sealed_is_not_believed(tmp_path):
    """One site's database would open another's doors."""
    write(tmp_path / "site.db", FULL)
    with pytest.raises(SiteUnusable, match="seal"):
        read_site(tmp_path / "site.db", Seal(bytes(32)))


@pytest.mark.parametrize(
    "content", [None, b"", b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_a_missing_or_broken_copy_says_so(tmp_path, content):
    """The doors would not be armed for a file that can be made again."""
    path = tmp_path / "site.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SiteUnusable, match="missing" if content is None else "unreadable"):
        read_site(path, SEAL)


@settings(max_examples=share(10, many=120))
@given(position=st.integers(0, 1 << 17), octets=st.binary(min_size=1, max_size=64))
def test_no_flipped_bytes_make_a_start_stumble(copy_of_full, position, octets):
    """A worn SD card would keep the doors from being armed."""
    whole = copy_of_full.read_bytes()
    position %= len(whole)
    copy_of_full.write_bytes(whole[:position] + octets + whole[position + len(octets) :])
    try:
        try:
            read = read_site(copy_of_full, SEAL)
        except SiteUnusable:
            return
        assert read == FULL
    finally:
        copy_of_full.write_bytes(whole)


@pytest.fixture(scope="module")
def copy_of_full(tmp_path_factory) -> Path:
    path: Path = tmp_path_factory.mktemp("site") / "site.db"
    write(path, FULL)
    return path


# -- the thread -----------------------------------------------------------------------------------------------------


def test_the_policy_that_was_followed_last_is_written_before_the_end(written):
    """Every start after a change at the last moment would read the whole ledger."""
    for policy in (at(Edit(puts=PLACES)), FULL):
        written.store.follow(policy)
    written.store.stop()
    written.store.start()
    written.store.join(20)
    assert read_site(written.path, SEAL) == FULL
    assert written.reports.empty()


def test_a_locked_copy_is_reported_once_and_caught_up_with(written):
    """Somebody looking into the file would cost its consistency, or fill the ledger with complaints."""
    write(written.path, at(Edit(puts=PLACES)))
    holder = sqlite3.connect(written.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    written.store.start()
    written.store.follow(FULL)
    assert "locked" in written.says()
    with pytest.raises(SiteUnusable, match="locked"):
        read_site(written.path, SEAL)
    holder.execute("ROLLBACK")
    holder.close()
    latest = at(Edit(puts=PLACES), Edit(puts=person(1) + person(2)), Edit(puts=VISITING), Edit(puts=person(3)))
    written.store.follow(latest)
    assert written.says() == ""
    written.ends()
    assert read_site(written.path, SEAL) == latest
    assert written.reports.empty()


def test_a_copy_of_a_newer_program_is_left_alone(written):
    """A step back to an older program would destroy what the newer one wrote."""
    write(written.path, FULL)
    connection = sqlite3.connect(written.path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    before = written.path.read_bytes()
    written.store.start()
    written.store.follow(FULL)
    assert "was written by a newer program" in written.says()
    written.ends()
    assert written.path.read_bytes() == before


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def drop_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE roster")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"not a database at all" * 100),
        lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000),
        truncate,
        drop_a_table,
    ],
)
def test_a_spoilt_copy_is_set_aside_and_made_anew(written, spoil):
    """Every start from then on would read the whole ledger, and say so, until somebody deletes a file."""
    write(written.path, FULL)
    spoil(written.path)
    spoilt = written.path.read_bytes()
    written.store.start()
    written.store.follow(FULL)
    written.ends()
    assert read_site(written.path, SEAL) == FULL
    assert written.path.with_name("site.db.unusable").read_bytes() == spoilt
    assert written.reports.empty()


def test_a_copy_that_is_taken_away_while_the_doors_work_is_made_again(written):
    """Nothing would be kept until the next start, and nobody would hear of it."""
    written.store._write(at(Edit(puts=PLACES)))
    written.path.unlink()
    written.store.start()
    written.store.follow(at(Edit(puts=PLACES), Edit(puts=person(1))))
    assert "readonly" in written.says()  # what SQLite says of a file that went
    written.store.follow(FULL)
    assert written.says() == ""
    written.ends()
    assert read_site(written.path, SEAL) == FULL


def test_a_folder_that_cannot_be_written_is_reported(written):
    """An officer would believe that the policy is kept."""
    written.path.mkdir()
    written.store.start()
    written.store.follow(at(Edit(puts=PLACES)))
    assert "unable to open database file" in written.says()
    written.path.rmdir()
    written.store.follow(FULL)
    assert written.says() == ""
    written.ends()
    assert read_site(written.path, SEAL) == FULL


def test_a_policy_is_the_same_by_whatever_way_it_came():
    """Equal policies would compare as different, and tests above would prove nothing."""
    assert apply(EMPTY, Edit(puts=tuple(FULL.policy.rows()))) == FULL.policy != Policy()
