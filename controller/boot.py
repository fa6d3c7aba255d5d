"""From a site file to armed doors (design §3, "Boot"): strikes off, ledger's end verified, policy loaded, last places
remembered but not believed, the start recorded. Nothing is released before all of that is done.
"""

from __future__ import annotations

import logging
import os
import random as seeded
import selectors
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from controller.assertions import RelyingParty
from controller.clock import SystemClock, wall_ms
from controller.committer import Committer
from controller.config import Site, SiteFileError
from controller.cosigning import watch_of
from controller.engine import Engine, Watching
from controller.history import last_standing, latest_trusted, load_policy
from controller.inbox import Inbox
from controller.key_room import commissioning_of, key_jobs, open_key_store, secrets_of
from controller.keys import LEDGER, Keys, load_keys
from controller.keystore.store import KeyStore
from controller.keystore.values import Note
from controller.ledger.body import Draft, Scribe
from controller.ledger.catalogue import FLOOR
from controller.ledger.errors import LedgerUnavailable
from controller.ledger.store import Ledger
from controller.log_desk import LogSetup
from controller.log_review import ReviewSetup
from controller.officer_desk import OfficersSetup
from controller.pin_setting import PinSetter
from controller.pins import PinDesk, PinHasher
from controller.policy_log import PolicyAt, edit_to_doc
from controller.retention import terms_of
from controller.runtime import Guard, Parts, Runtime, StoreReport
from controller.set_aside import Mended, lacking, mend
from controller.site.store import SiteStore
from controller.storage import StorageWatch, space_of
from controller.wires import attach, start_guard
from readers import profiles
from readers.protocols.mqtt_profiles import OURS
from zones.moment import Moment, here
from zones.policy import TABLE_OF, Edit, EditRefused, Policy, Row

log = logging.getLogger(__name__)

DEVIATING: Final = frozenset(
    {
        *("WAY_AROUND_ROSTER", "DOOR_UNLOCKED", "FIRE_RELEASE_MISSING", "FAIL_SAFE_INTO_PROTECTED"),
        *("VESTIBULE_OPEN", "INTERLOCK_ONE_WAY"),
    }
)
"""Warnings of the lint (docs/lint.md) that the ledger is told of at every start. `uid_accepted` tells of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """What somebody at the console says at this one start."""

    believe_clock: bool = False
    accept_set_aside: bool = False


def start(site: Site, *, believe_clock: bool = False, accept_set_aside: bool = False) -> Runtime:
    """Everything up to armed doors, short of the loop. Raises SiteFileError, LedgerError, OSError with what to do.

    `believe_clock`: somebody at the console says that the wall clock is right although the ledger holds later times (a
    time server once told nonsense). `accept_set_aside`: he takes the rights that a damaged ledger still tells, where no
    site.db can be believed (`controller.set_aside`). Both are recorded.
    """
    random = _randomness(site)
    keys = load_keys(site.state_dir, random, site.ledger)
    if keys.is_new:
        log.warning("%s: the site's keys were made just now: `sekisho init` says what to keep of them", site.state_dir)
    ledger = Ledger.open(
        site.state_dir / LEDGER,
        keys.signer,
        f"{site.domain}/{site.node}",
        random,
        successor=keys.successor,
        may_set_aside=True,
    )
    store = None
    try:
        keys.settle(ledger)
        store = open_key_store(site, random)
        how = Console(believe_clock=believe_clock, accept_set_aside=accept_set_aside)
        return _assemble(site, keys, ledger, store, random, how)
    except BaseException:
        if store is not None:
            store.close()
        ledger.close()
        raise


def _assemble(
    site: Site,
    keys: Keys,
    ledger: Ledger,
    store: KeyStore | None,
    random: Callable[[int], bytes],
    how: Console,
) -> Runtime:
    """Everything on top of an open ledger."""
    latest = latest_trusted(ledger)
    clock = SystemClock(None if how.believe_clock else latest)
    now = clock.now()
    boot = random(4).hex()
    scribe = Scribe(node=site.node, boot=boot)
    if why := lacking(ledger, site.state_dir / "site.db", keys.seal):
        ledger.lacks(why)
    console = Scribe(node=site.node, boot=random(4).hex()) if ledger.damage is not None else scribe
    mended = _policy_of(site, keys, ledger, console, now, how)
    started = _start_records(site, scribe, now, store, rebuilt=mended.rebuilt, believe_clock=how.believe_clock)
    drafts = [*mended.drafts, *started]
    occupancy, misses = last_standing(ledger, mended.policy.policy)
    policy, unrecorded = _adopt(site, ledger, scribe, mended.policy, drafts, now)
    if store is not None and not unrecorded:
        store.notes_recorded()
    selector, inbox = selectors.DefaultSelector(), Inbox()
    secrets = secrets_of(site, store)
    hasher = PinHasher(keys.pins)
    pins, setter = PinDesk(hasher, inbox.take), PinSetter(hasher, random, inbox.take)
    engine = Engine(
        wiring=site.wiring,
        policy=policy,
        occupancy=occupancy,
        misses=misses,
        scribe=scribe,
        numbers=keys.numbers,
        boot=boot,
        random=random,
        check_pin=pins.submit,
        hash_pins=setter.submit,
        devices=site.devices,
        last_day=None if latest is None or how.believe_clock else here(latest).day,
        keys=secrets.view,
        log=_log_setup(site, latest),
        watching=_watching(site),
        officers=_officers_setup(site, ledger, random),
        is_clock_trusted=now.is_trusted,
    )
    parts = Parts(
        clock=clock,
        engine=engine,
        scribe=scribe,
        inbox=inbox,
        selector=selector,
        committer=Committer(ledger, inbox.put_report),
        store=SiteStore(site.state_dir / "site.db", keys.seal, lambda why: inbox.put_report(StoreReport(why))),
        boot=boot,
        deviations=tuple(code if not place else f"{code}:{place}" for code, place in deviations_of(site, store)),
        size=ledger.size,
        guard=Guard(lambda: start_guard(site)),
        storage=StorageWatch(lambda: space_of(site.state_dir), scribe),
        pins=pins,
        setter=setter,
        keys=key_jobs(site, store, inbox.put_report, lambda: here(clock.now().at).day),
        omitted=frozenset(site.ledger.omit) - FLOOR,
        owed=(drafts, unrecorded) if unrecorded else None,
        witnesses=watch_of(ledger, site.ledger.witnesses),
    )
    runtime = Runtime(parts)
    attach(site, runtime, engine, inbox, selector, boot=boot, vkey=ledger.notary.vkey, keys=secrets, random=random)
    return runtime


def _policy_of(site: Site, keys: Keys, ledger: Ledger, scribe: Scribe, now: Moment, how: Console) -> Mended:
    """The policy in force, and what is to be recorded first: nothing, where the ledger's end is whole."""
    site_db = site.state_dir / "site.db"
    if ledger.damage is None:
        policy, why = load_policy(site_db, keys.seal, ledger)
        return Mended(drafts=[], policy=policy, rebuilt=why if ledger.size else "")  # a new site has nothing to rebuild
    log.error("%s: %s: set aside, and gone on from record %d", ledger.path, ledger.damage.why, ledger.damage.first)
    return mend(ledger, site_db, keys.seal, scribe, now, is_accepted=how.accept_set_aside)


def _log_setup(site: Site, latest: datetime | None) -> LogSetup:
    """Who administers the ledger, and from when and how long things are kept."""
    return LogSetup(
        auditors=frozenset(site.ledger.auditors),
        terms_days=terms_of(site.ledger.terms_days),
        latest_ms=None if latest is None else wall_ms(latest),
    )


def _watching(site: Site) -> Watching:
    """What officers are told of, and by when an auditor looks."""
    section = site.log_review
    return Watching(site.habits, ReviewSetup(days=section.days, after_alarm_days=section.after_alarm_days))


def _officers_setup(site: Site, ledger: Ledger, random: Callable[[int], bytes]) -> OfficersSetup:
    """Who we are to officers' passkeys. The ledger's key may be another one by the time that it is asked for."""
    us = RelyingParty(rp_id=site.officers.rp_id, origins=site.officers.origins)
    return OfficersSetup(site=lambda: ledger.notary.vkey, us=us, random=random)


def layout_edit(site: Site, policy: Policy) -> Edit:
    """What must change in a policy for its building (zones, portals, walks and their hours) to be the site file's."""
    wanted: tuple[tuple[Iterable[Row], Iterable[Row]], ...] = (
        (site.calendars, policy.calendars.values()),
        (site.schedules, policy.schedules.values()),
        (site.zones, policy.zones.values()),
        (site.portals, policy.portals.values()),
        (site.walks, policy.walks.values()),
    )
    puts: list[Row] = []
    drops: list[tuple[str, str]] = []
    for new_rows, old_rows in wanted:
        old = {row.id: row for row in old_rows}
        puts += [row for row in new_rows if old.pop(row.id, None) != row]
        drops += [(TABLE_OF[type(row)], row.id) for row in old.values()]
    for table, states in (("zone", policy.zone_statuses), ("portal", policy.portal_statuses)):
        drops += [(f"{table}_status", name) for of, name in drops if of == table and name in states]
    return Edit(puts=tuple(puts), drops=tuple(reversed(drops)))


def _adopt(
    site: Site, ledger: Ledger, scribe: Scribe, policy: PolicyAt, drafts: list[Draft], now: Moment
) -> tuple[PolicyAt, str]:
    """Record `drafts`, and with them the site file's zones and portals where they are new.

    Returns what is in force, and why `drafts` could not be recorded ("" where they were): a start on a full disk must
    serve exits. A site file that is new is adopted with its record or not at all.
    """
    edit = layout_edit(site, policy.policy)
    if not edit.puts and not edit.drops:
        try:
            ledger.append(drafts)
        except LedgerUnavailable as error:
            if ledger.damage is not None:  # nothing may be served on a policy whose record is not there
                raise
            return policy, str(error)
        return policy, ""
    doc = edit_to_doc(edit)
    try:
        new = policy.after(doc, seq=ledger.size + len(drafts))
    except EditRefused as error:
        why = "people's rights in force refer to it; end them first" if policy.seq >= 0 else "mend the site file"
        raise SiteFileError(f"the zones and portals of the site file cannot be adopted: {error} ({why})") from error
    detail = {"id": "site-file", "edit": doc, "revision": new.revision, "base": policy.revision, "signed": False}
    drafts.append(scribe.draft("POLICY_EDITED", now=now, officer="site-file", revision=policy.revision, detail=detail))
    ledger.append(drafts)
    return new, ""


def _start_records(
    site: Site, scribe: Scribe, now: Moment, store: KeyStore | None = None, *, rebuilt: str, believe_clock: bool
) -> list[Draft]:
    """What is said at every start: that it is one, what is odd about it, and every deviation."""
    detail = {"version": product_version(), "is_simulated": site.simulation is not None}
    drafts = [scribe.draft("CONTROLLER_STARTED", now=now, detail=detail)]
    if believe_clock:
        drafts.append(scribe.draft("CLOCK_ACCEPTED", now=now))
    if not now.is_trusted:
        drafts.append(scribe.draft("CLOCK_UNTRUSTED", now=now))
    if rebuilt:
        drafts.append(scribe.draft("SITE_REBUILT", now=now, detail={"why": rebuilt[:200]}))
    drafts += [_note_record(scribe, now, note) for note in (() if store is None else store.notes)]
    for place in commissioning_of(site, store):
        drafts.append(scribe.draft("COMMISSIONING", now=now, detail={"code": "factory_default", "place": place}))
    for type_ in sorted(FLOOR.intersection(site.ledger.omit)):
        drafts.append(scribe.draft("CONFIG_REFUSED", now=now, detail={"code": "floor_type", "place": type_}))
    for code, place in deviations_of(site, store):
        drafts.append(scribe.draft("DEVIATION", now=now, detail={"code": code, "place": place or None}))
    return drafts


def _note_record(scribe: Scribe, now: Moment, note: Note) -> Draft:
    """What two officers did to the key store while no controller ran (docs/keys.md)."""
    officer, second = (*note.people, None, None)[:2]
    about = "device" if note.act == "import_reader_key" else "purpose"
    detail = {"act": note.act, about: note.about or None, "officer2": second}
    return scribe.draft("DEVICE_ORDER", now=now, officer=officer, detail=detail)


def deviations_of(site: Site, store: KeyStore | None = None) -> list[tuple[str, str]]:
    """What this site does less strictly than it should, as (code, place): said in the ledger at every start."""
    found: list[tuple[str, str]] = [("uid_accepted", zone.id) for zone in site.zones if zone.uid_accepted]
    found += [("attended_counts", zone.id) for zone in site.zones if zone.attended_counts]
    found += [(one.code.lower(), one.row) for one in site.warnings if one.code in DEVIATING]
    found += [("record_omitted", type_) for type_ in sorted(set(site.ledger.omit) - FLOOR)]
    found += [(code, "") for code in (() if store is None else store.deviations)]
    if site.mqtt is not None and site.mqtt.ca_file is None:
        found.append(("mqtt_without_tls", site.mqtt.host))
    found += _of_bought_devices(site)
    if site.simulation is not None:
        found.append(("simulation", ""))
    return found


def _of_bought_devices(site: Site) -> list[tuple[str, str]]:
    """What devices that can be bought lack: a number or time on what they say, so that a late message looks like a live
    one (B-22); a timer of their own on what they release, so that the broker must end it when we are dead (B-26).
    """
    wiring = site.wiring
    saying = {*wiring.entry_readers, *wiring.exit_readers, *wiring.rexes}
    moving = {strike.device for strike in wiring.strikes.values()}
    bought = [one for one in site.devices.values() if one.profile not in (None, OURS)]
    found = [("device_unnumbered", one.id) for one in bought if one.id in saying]
    timed = {one.id for one in bought if one.profile is not None and profiles.load(one.profile).has_auto_off}
    return found + [("strike_without_timer", one.id) for one in bought if one.id in moving - timed]


def _randomness(site: Site) -> Callable[[int], bytes]:
    """The machine's own, or a seeded one where the site file is a simulation and asks for it (P7)."""
    if site.simulation is None or site.simulation.seed is None:
        return os.urandom
    return seeded.Random(site.simulation.seed).randbytes  # noqa: S311 - a simulation that asked to be repeatable


def product_version() -> str:
    """This program's version."""
    try:
        return version("sekisho")
    except PackageNotFoundError:
        return "unknown"
