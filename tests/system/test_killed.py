"""kill -9 at any moment: what was released is recorded, what was acknowledged is there, what was on goes off."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sekisho import verify
from tests.system.parts import IS_SOAK, Program, eventually
from tests.system.site import ITO, NAKAMURA, SATO, STRANGER, SUZUKI, WATANABE, YAMAMOTO, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

KILLS = 50 if IS_SOAK else 8
ON_BOARD = {"board/1": "vault", "board/2": "server"}


class Crowd:
    """People who badge at several doors at once and never mind whether anybody answers."""

    ROUTES = (
        (("front", SATO), ("front", YAMAMOTO), ("front", STRANGER)),
        (("side", YAMAMOTO), ("side", ITO)),
        (("lab", SATO), ("lab", SUZUKI)),
        (("server", WATANABE), ("server", ITO), ("server", YAMAMOTO)),
        (("vault", ITO), ("vault", SUZUKI)),
    )

    def __init__(self, site: Site, seed: int) -> None:
        self._over = threading.Event()
        self._site = site
        self.faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._walk_about, args=(route, random.Random(seed + number)), daemon=True)
            for number, route in enumerate(self.ROUTES)
        ]
        for thread in self._threads:
            thread.start()

    def _walk_about(self, route: tuple[tuple[str, str], ...], die: random.Random) -> None:
        try:
            while not self._over.wait(die.uniform(0.0, 0.15)):
                door, card = die.choice(route)
                self._site.badges(card, door, walk=die.random() < 0.7, wait_ms=250)
        except Exception as error:  # noqa: BLE001 - the test looks at them
            self.faults.append(error)

    def goes_home(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(10)
        assert not self.faults, self.faults


def bodies_on_disk(site: Site) -> tuple[dict[int, str], list[dict[str, Any]]]:
    """Every leaf and every body in the dead controller's ledger, as SQLite recovers it."""
    with contextlib.closing(sqlite3.connect(site.ledger_copy())) as connection, connection:
        rows = connection.execute("SELECT seq, leaf, body FROM record ORDER BY seq").fetchall()
    connection.close()
    return {seq: leaf.decode() for seq, leaf, _ in rows}, [json.loads(body) | {"seq": seq} for seq, _, body in rows]


def check_what_is_left(site: Site, key: str) -> None:
    """Nothing acknowledged is lost, nothing was released without its record, and the ledger holds together."""
    leaves, bodies = bodies_on_disk(site)
    lost = {seq for seq, leaf in list(site.subscriber.leaves.items()) if leaves.get(seq) != leaf}
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    recorded = {body["corr"] for body in bodies if body["type"] in ("ACCESS_GRANTED", "EXIT_GRANTED", "RELEASED")}
    released = {command for command, device in site.ear.releases().items() if device != "dr-escape"}
    assert released <= recorded, f"released without a record: {sorted(released - recorded)}"
    on = Counter(e.where for e in site.building.journal.after(0) if e.what == "relay" and e.detail["is_on"])
    granted = Counter(body["portal"] for body in bodies if body["type"] == "ACCESS_GRANTED")
    for channel, portal in ON_BOARD.items():
        assert on[channel] <= granted[portal], f"{portal}: switched on {on[channel]}, granted {granted[portal]}"
    assert verify.main([str(site.folder / "copy" / "ledger.db"), "--key", key]) == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.req("B-12", "B-26", "A-27", "S-03")
@pytest.mark.needs("gcc")
def test_killed_at_any_moment_under_load(ill_site, capsys):
    """The power goes, and a door was opened that no record speaks of, or stays open."""
    seed = int(os.environ.get("SEKISHO_SEED", time.time_ns() % 1_000_000))
    with capsys.disabled():
        print(f"\n[killed: SEKISHO_SEED={seed}]", end=" ")  # noqa: T201 - to do it again
    die = random.Random(seed)
    site = ill_site
    site.faults.disk("dawdle")
    with site.link() as link:
        key = link.connect().vkey
    site.ear.releases()
    crowd = Crowd(site, seed)
    for number in range(KILLS):
        if number:
            controller = site.launch()
            if die.random() < 0.8:
                controller.wait_said("armed")
        threading.Event().wait(die.uniform(0.0, 0.8))
        site.dies()
        eventually(lambda: not site.any_strike_is_on(), 15, f"kill {number}: every strike is off")
        check_what_is_left(site, key)
        capsys.readouterr()
    crowd.goes_home()
    granted = [body for body in site.records if body["type"] == "ACCESS_GRANTED"]
    assert len(granted) > KILLS, "hardly anybody was ever let in: this test has shown nothing"
    site.starts()
    site.enters(WATANABE, "server")


@pytest.mark.req("B-12")
def test_an_edit_that_was_answered_is_in_force_after_the_power_cut(make_site):
    """An officer is told that a change is in force, the power goes, and the change is gone."""
    site = make_site().starts().admits_people()
    site.dies()
    site.starts()
    assert site.badges(WATANABE, "server").released
    assert not site.badges(NAKAMURA, "front", wait_ms=500).released


@pytest.mark.req("B-26")
def test_a_strike_that_was_left_on_is_off_before_anybody_badges(make_site):
    """The controller comes back after a power cut, and a relay that somebody left on stays on."""
    site = make_site()
    board = site.building.fittings.wires["board"]
    with Path(board.device).open("wb", buffering=0) as port:
        port.write(bytes.fromhex("a00101a2a00201a3"))
    eventually(lambda: site.strike_is_on("vault") and site.strike_is_on("server"), 15, "somebody left the relays on")
    site.starts()
    assert not site.any_strike_is_on()


@pytest.mark.req("B-26")
def test_the_guard_alone_switches_off(site):
    """The controller dies during a pulse, and the strike stays on until somebody restarts it."""
    assert site.badges(WATANABE, "server").released
    site.dies()
    eventually(lambda: not site.strike_is_on("server"), 15, "the guard switches the board off")


def guards_of(site):
    """The process ids of the controller's children."""
    pid = site.controller.process.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()


@pytest.mark.req("B-26")
def test_a_guard_that_dies_is_replaced(site):
    """Months later the controller dies too, and nobody is left to switch the strike off."""
    (first,) = guards_of(site)
    os.kill(int(first), 9)
    eventually(lambda: guards_of(site) not in ([], [first]), 15, "another guard is started")
    assert site.badges(WATANABE, "server").released
    site.dies()
    eventually(lambda: not site.strike_is_on("server"), 15, "the new guard switches the board off")


@pytest.mark.req("B-26")
def test_the_service_manager_switches_off_too(site):
    """Controller and guard die together, and the unit's last command leaves the strike on."""
    assert site.badges(WATANABE, "server").released
    for guard in guards_of(site):
        os.kill(int(guard), 9)
    site.dies()
    Program.sekisho("safe", str(site.file), log=site.folder / "safe.log").ends()
    eventually(lambda: not site.strike_is_on("server"), 15, "`sekisho safe` switches the board off")


@pytest.mark.req("B-26")
def test_stopped_during_a_pulse(site):
    """An upgrade stops the controller while somebody passes, and the strike stays on."""
    assert site.badges(WATANABE, "server").released
    site.stops()
    eventually(lambda: not site.strike_is_on("server"), 15, "the strike is off after an orderly stop")
    site.starts()
    site.recorded("CONTROLLER_STOPPED")
    assert not site.any_strike_is_on()
