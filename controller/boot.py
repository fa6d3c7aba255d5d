"""From a site file to armed doors (design §3, "Boot"): strikes off, ledger's end verified, policy loaded, last places
remembered but not believed, the start recorded. Nothing is released before all of that is done.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import random as seeded
import secrets
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller import guard
from controller.cards import CardNumbers
from controller.clock import SystemClock, from_wall_ms
from controller.committer import Committer
from controller.config import DeviceKind, Site, SiteFileError
from controller.engine import Engine
from controller.inbox import Inbox
from controller.intake import Intake
from controller.ledger.body import Draft, Scribe
from controller.ledger.checkpoint import SigningKey
from controller.ledger.store import Ledger
from controller.link.messages import PROTOCOL, Welcome
from controller.link.server import LinkServer
from controller.outputs import Outputs
from controller.policy_log import PolicyAt, edit_to_doc
from controller.ports import Port
from controller.runtime import Guard, Parts, Runtime, StoreReport
from controller.secrets_file import read_or_create
from controller.site.boot import SiteUnusable, read_site
from controller.site.seal import Seal
from controller.site.store import SiteStore
from controller.site_file import MqttSection
from readers.errors import MissingDriver
from readers.events import DeviceOffline
from readers.protocols.lcus import LcusBoard
from readers.protocols.pn532 import Pn532Reader
from readers.transports.serial_line import SerialLine
from zones.ids import CardholderId, ZoneId
from zones.moment import Moment
from zones.occupancy import Occupancy, Presence
from zones.policy import TABLE_OF, Edit, EditRefused, Policy, Row

if TYPE_CHECKING:
    from readers.transports.mqtt import MqttLink

log = logging.getLogger(__name__)

PN532_BAUD: Final = 115_200
LCUS_BAUD: Final = 9_600
PLACES_SCAN_MAX: Final = 20_000
"""How far back in the ledger last places are looked for: they are only a memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The site's secrets: one for the ledger's signatures, one (split by purpose) for card numbers and the seal."""

    signer: SigningKey
    numbers: CardNumbers
    seal: Seal


def load_keys(state_dir: Path, random: Callable[[int], bytes]) -> Keys:
    """The keys in `state_dir`, made at the first start. A key file that others can read is refused."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = state_dir / "ledger.key"
    if (state_dir / "ledger.db").exists():
        for key, loss in ((path, "no record can be signed as before"), (state_dir / "site.key", "no card is known")):
            if not key.exists():
                raise ValueError(f"{key} is missing beside a ledger; restore it from the backup: without it {loss}")
    elif path.exists():
        raise ValueError(
            f"{state_dir / 'ledger.db'} is missing although its key is there: put it back from the backup, "
            f"or move {path.name}, site.key and site.db away too, to begin a new site with an empty ledger"
        )
    signer = SigningKey.load(path) if path.exists() else SigningKey.create(path)
    secret = read_or_create(state_dir / "site.key", random)
    return Keys(
        signer=signer,
        numbers=CardNumbers(hmac.digest(secret, b"card numbers", hashlib.sha256)),
        seal=Seal(hmac.digest(secret, b"site seal", hashlib.sha256)),
    )


def start(site: Site, *, believe_clock: bool = False) -> Runtime:
    """Everything up to armed doors, short of the loop. Raises SiteFileError, LedgerError, OSError with what to do.

    `believe_clock`: somebody at the console says that the wall clock is right although the ledger holds later times (a
    time server once told nonsense). That is recorded.
    """
    random = _randomness(site)
    keys = load_keys(site.state_dir, random)
    ledger = Ledger.open(site.state_dir / "ledger.db", keys.signer, f"{site.domain}/{site.node}", random)
    try:
        return _assemble(site, keys, ledger, random, believe_clock=believe_clock)
    except BaseException:
        ledger.close()
        raise


def _assemble(
    site: Site, keys: Keys, ledger: Ledger, random: Callable[[int], bytes], *, believe_clock: bool
) -> Runtime:
    """Everything on top of an open ledger."""
    clock = SystemClock(None if believe_clock else latest_trusted(ledger))
    now = clock.now()
    boot = random(4).hex()
    scribe = Scribe(node=site.node, boot=boot)
    policy, rebuilt = load_policy(site.state_dir / "site.db", keys.seal, ledger)
    rebuilt = rebuilt if ledger.size else ""  # a new site has nothing to rebuild from
    drafts = _start_records(site, scribe, now, rebuilt=rebuilt, believe_clock=believe_clock)
    policy = _adopt(site, ledger, scribe, policy, drafts, now)
    engine = Engine(
        wiring=site.wiring,
        policy=policy,
        occupancy=last_places(ledger),
        scribe=scribe,
        numbers=keys.numbers,
        boot=boot,
        devices=site.devices,
    )
    selector = selectors.DefaultSelector()
    inbox = Inbox()
    vkey = ledger.notary.vkey
    parts = Parts(
        clock=clock,
        engine=engine,
        scribe=scribe,
        inbox=inbox,
        selector=selector,
        committer=Committer(ledger, inbox.put_report),
        store=SiteStore(site.state_dir / "site.db", keys.seal, lambda why: inbox.put_report(StoreReport(why))),
        boot=boot,
        deviations=tuple(code if not place else f"{code}:{place}" for code, place in deviations_of(site)),
        size=ledger.size,
        guard=Guard(lambda: _start_guard(site)),
    )
    runtime = Runtime(parts)
    _attach(site, runtime, engine, inbox, selector, boot, vkey)
    return runtime


# -- policy ------------------------------------------------------------------------------------------------------------


def load_policy(path: Path, seal: Seal, ledger: Ledger) -> tuple[PolicyAt, str]:
    """The policy that the ledger says is in force, and why site.db was not used ("" where it was).

    site.db saves the work of folding the ledger from its first record; what came after it is folded in any case.
    """
    policy, why = PolicyAt(), ""
    try:
        policy = read_site(path, seal)
        _check_history(policy, ledger)
    except SiteUnusable as error:
        policy, why = PolicyAt(), str(error)
    for record in ledger.scan(policy.seq + 1):
        if b'"class":"policy"' not in record.leaf:
            continue
        body = record.decoded()
        if body is None:
            why = "an edit whose text is gone may have taken a right away; restore ledger.db from the backup"
            raise SiteFileError(f"record {record.seq} of the ledger: {why}")
        if body.type == "POLICY_EDITED" and body.detail is not None:
            policy = policy.after(body.detail["edit"], record.seq)
            if policy.revision != body.detail["revision"]:
                raise SiteFileError(f"record {record.seq} of the ledger names another revision than its history gives")
    return policy, why


def _check_history(policy: PolicyAt, ledger: Ledger) -> None:
    """Whether the record that site.db says it stands for is in this ledger and made this policy. Else SiteUnusable."""
    if policy.seq >= ledger.size:
        raise SiteUnusable("is ahead of the ledger")
    for record in ledger.read(policy.seq, 1):
        body = record.decoded()
        if body is None:  # dropped by retention: the leaf alone cannot say
            return
        if body.type != "POLICY_EDITED" or (body.detail or {}).get("revision") != policy.revision:
            raise SiteUnusable("is of another history")


def latest_trusted(ledger: Ledger) -> datetime | None:
    """The time of the last record made by a clock that was believed; None where there is none."""
    for record in ledger.scan(is_backward=True):
        body = record.decoded()
        if body is not None and body.clock == "trusted":
            return from_wall_ms(body.at_ms)
    return None


def layout_edit(site: Site, policy: Policy) -> Edit:
    """What must change in a policy for its zones, portals and schedules to be those of the site file."""
    wanted: tuple[tuple[Iterable[Row], Iterable[Row]], ...] = (
        (site.schedules, policy.schedules.values()),
        (site.zones, policy.zones.values()),
        (site.portals, policy.portals.values()),
    )
    puts: list[Row] = []
    drops: list[tuple[str, str]] = []
    for new_rows, old_rows in wanted:
        old = {row.id: row for row in old_rows}
        puts += [row for row in new_rows if old.pop(row.id, None) != row]
        drops += [(TABLE_OF[type(row)], row.id) for row in old.values()]
    drops += [("zone_status", zone) for table, zone in drops if table == "zone" and zone in policy.zone_statuses]
    return Edit(puts=tuple(puts), drops=tuple(reversed(drops)))


def _adopt(site: Site, ledger: Ledger, scribe: Scribe, policy: PolicyAt, drafts: list[Draft], now: Moment) -> PolicyAt:
    """Record `drafts`, and with them the site file's zones and portals where they are new. Returns what is in force."""
    edit = layout_edit(site, policy.policy)
    if not edit.puts and not edit.drops:
        ledger.append(drafts)
        return policy
    doc = edit_to_doc(edit)
    try:
        new = policy.after(doc, seq=ledger.size + len(drafts))
    except EditRefused as error:
        why = "people's rights in force refer to it; end them first" if policy.seq >= 0 else "mend the site file"
        raise SiteFileError(f"the zones and portals of the site file cannot be adopted: {error} ({why})") from error
    detail = {"id": "site-file", "edit": doc, "revision": new.revision, "base": policy.revision, "signed": False}
    drafts.append(scribe.draft("POLICY_EDITED", now=now, officer="site-file", revision=policy.revision, detail=detail))
    ledger.append(drafts)
    return new


def _start_records(site: Site, scribe: Scribe, now: Moment, *, rebuilt: str, believe_clock: bool) -> list[Draft]:
    """What is said at every start: that it is one, what is odd about it, and every deviation."""
    detail = {"version": product_version(), "is_simulated": site.simulation is not None}
    drafts = [scribe.draft("CONTROLLER_STARTED", now=now, detail=detail)]
    if believe_clock:
        drafts.append(scribe.draft("CLOCK_ACCEPTED", now=now))
    if not now.is_trusted:
        drafts.append(scribe.draft("CLOCK_UNTRUSTED", now=now))
    if rebuilt:
        drafts.append(scribe.draft("SITE_REBUILT", now=now, detail={"why": rebuilt[:200]}))
    for code, place in deviations_of(site):
        drafts.append(scribe.draft("DEVIATION", now=now, detail={"code": code, "place": place or None}))
    return drafts


def deviations_of(site: Site) -> list[tuple[str, str]]:
    """What this site does less strictly than it should, as (code, place): said in the ledger at every start."""
    found: list[tuple[str, str]] = [("uid_accepted", zone.id) for zone in site.zones if zone.uid_accepted]
    found.append(("edits_unsigned", ""))
    if site.mqtt is not None and site.mqtt.ca_file is None:
        found.append(("mqtt_without_tls", site.mqtt.host))
    if site.simulation is not None:
        found.append(("simulation", ""))
    return found


def last_places(ledger: Ledger) -> Occupancy:
    """Where people were last seen to pass into, none of it certain (B-07)."""
    where: dict[CardholderId, Presence] = {}
    for record in ledger.scan(max(0, ledger.size - PLACES_SCAN_MAX)):
        if record.body is None or b'"type":"PASSAGE"' not in record.body:
            continue
        body = record.decoded()
        if body is not None and body.subject is not None and body.subject.cardholder and body.zone:
            where[CardholderId(body.subject.cardholder)] = Presence(zone=ZoneId(body.zone), is_certain=False)
    return Occupancy(where=where)


# -- wires -------------------------------------------------------------------------------------------------------------


def _attach(
    site: Site,
    runtime: Runtime,
    engine: Engine,
    inbox: Inbox,
    selector: selectors.BaseSelector,
    boot: str,
    vkey: str,
) -> None:
    is_simulation = site.simulation is not None
    ports: list[Port] = []
    boards: dict[str, tuple[LcusBoard, Port]] = {}
    for device in site.devices.values():
        if device.kind is DeviceKind.LCUS and device.port is not None:
            board = LcusBoard(device.id, device.channels or 1)
            line = SerialLine(device.port, device.baud or LCUS_BAUD, simulation=is_simulation)
            port = Port(device.id, line, board, selector, runtime.emit)
            boards[device.id] = (board, port)
            ports.append(port)
        elif device.kind is DeviceKind.PN532 and device.port is not None:
            line = SerialLine(device.port, device.baud or PN532_BAUD, simulation=is_simulation)
            ports.append(Port(device.id, line, Pn532Reader(device.id), selector, runtime.emit))
        elif device.kind is DeviceKind.PYNFC and device.connection is not None:
            _start_libnfc(device.id, device.connection, inbox)
    mqtt = shows = None
    intake = Intake(inbox)
    on_mqtt = frozenset(device.id for device in site.devices.values() if device.kind is DeviceKind.MQTT)
    if site.mqtt is not None:
        mqtt, shows = _start_mqtt(site.mqtt, on_mqtt, inbox, intake)
    outputs = Outputs(site.wiring, boards, mqtt, shows, on_mqtt, boot, engine.lateness.skew_ms)

    def welcome() -> Welcome:
        status = runtime.status()
        return Welcome(
            node=site.node, boot=boot, size=status.size, revision=status.revision, vkey=vkey, protocol=PROTOCOL
        )

    link = LinkServer(site.socket, selector, on_request=runtime.take_request, welcome=welcome, fetch=runtime.fetch)
    runtime.attach(ports, outputs, link, intake)


def _start_mqtt(
    section: MqttSection, devices: frozenset[str], inbox: Inbox, intake: Intake
) -> tuple[MqttLink, MqttLink]:
    """Two connections to the broker: one for inputs and commands, one for reads and what readers show, so that a reader
    that floods holds up no exit. Their client ids tell nobody anything: who knows one can throw its owner out.
    """
    from readers import topics
    from readers.transports.mqtt import BrokerAccess, MqttLink

    access = BrokerAccess(
        username=section.username,
        password_file=None if section.password_file is None else Path(section.password_file),
        ca_file=None if section.ca_file is None else Path(section.ca_file),
    )
    listeners = ((topics.INPUTS, intake.inputs), (topics.READS, intake.acts))
    inputs, reads = (
        MqttLink(
            host=section.host,
            port=section.port,
            client_id=f"sekisho-{secrets.token_hex(8)}",
            devices=devices,
            on_event=on_event,
            on_wake=inbox.wake,
            access=access,
            subscriptions=subscriptions,
        )
        for subscriptions, on_event in listeners
    )
    inputs.start()
    reads.start()
    return inputs, reads


def _start_libnfc(device: str, connection: str, inbox: Inbox) -> None:
    """A reader behind libnfc. Without its driver it is offline and the log says why; other doors do not suffer."""
    from readers.transports.libnfc import LibnfcReader

    try:
        LibnfcReader(device, connection, on_event=inbox.take, on_wake=inbox.wake).start()
    except MissingDriver as error:
        log.error("%s: %s", device, error)  # noqa: TRY400 - the message is the whole story
        inbox.take(DeviceOffline(source=device, why="driver missing"))


def _start_guard(site: Site) -> subprocess.Popen[bytes] | None:
    """Start the guard that switches relay boards off when we die, and tell it how. It acts when its input is closed:
    whoever holds what is returned keeps it waiting.
    """
    boards = [device for device in site.devices.values() if device.kind is DeviceKind.LCUS and device.port is not None]
    if not boards:
        return None
    program = subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert program.stdin is not None
    for device in boards:
        program.stdin.write(f"{device.port} {all_off(device.channels or 1).hex()}\n".encode())
    program.stdin.flush()
    log.info("guard %d watches %d relay board(s)", program.pid, len(boards))
    return program


def all_off(channels: int) -> bytes:
    """The bytes that switch every relay of an LCUS board off."""
    board = LcusBoard("off", channels)
    board.connection_made(0)
    return board.data_to_send()


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
