"""What stands on the bus, in the files and in the logs after a day's work: no names, no card numbers, no signs."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from tests.system.parts import ROOT, eventually
from tests.system.plain_people import PEOPLE, load
from tests.system.site import ITO, NAKAMURA, SATO, STRANGER, SUZUKI, TAKAHASHI, TANAKA, WATANABE, YAMAMOTO, Site
from zones.moment import JST

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

CARDS = [SATO, SUZUKI, TAKAHASHI, TANAKA, ITO, WATANABE, YAMAMOTO, STRANGER, NAKAMURA]

SIGNS = re.compile(
    rb"clear(?:ance|ed)|need.?to.?know|KEIZAI|ANPO|TOKUTEI|HIMITSU|roster|secret|EXCLUSION|LIMITED|item-\d|"
    rb"CLEARANCE_NONE|NOT_ON_ROSTER|NO_NEED|\xe9\x81\xa9\xe6\x80\xa7|\xe6\xa9\x9f\xe5\xaf\x86",
    re.IGNORECASE,
)
"""On the bus and in topic names nothing may say what a zone is worth or what somebody has (E-11)."""

UNSUITABLE = re.compile(
    rb"unsuitab|not.?suitab|unfit|reject(?:ed|ion)|declin(?:e|ed)|refus(?:al|ed).?(?:consent|vetting)|withdr[ae]wn?|"
    rb"complain|criminal|offen[cs]e|bankrupt|credit.?(?:score|history)|alcohol|drug|mental|illness|psychiatr|"
    rb"foreign.?(?:relative|spouse)|spouse|nationality|espionage|terroris|"
    + "不適|不合格|不同意|同意の取下げ|犯罪|懲戒|飲酒|薬物|精神|信用状態|家族|国籍|苦情".encode(),
    re.IGNORECASE,
)
"""The seven investigated matters, and that somebody was not found suitable: nowhere at all (E-01, E-02)."""

FINGERPRINTS = re.compile(
    rb"fingerprint|biometr|template|minutia|iris|face.?(?:image|print)|vein|594017|184092", re.IGNORECASE
)


def a_days_work(site: Site) -> None:
    """Everybody comes and goes, is refused, is let in; an officer looks, releases, changes; a line breaks."""
    site.ear.releases()
    site.starts()
    officer = site.api_starts()
    load(officer.post, datetime.now(JST).date())
    for card in (SATO, ITO):
        for door in ("front", "lab", "vault"):
            site.enters(card, door)
    for card in (SUZUKI, TAKAHASHI, TANAKA, STRANGER):
        site.badges(card, "vault", wait_ms=250)
        site.badges(card, "lab", wait_ms=250)
    site.badges(NAKAMURA, "front", wait_ms=250)
    site.enters(SATO, "vault", side="out")
    site.building.rex("escape", walk=False)
    officer.post("/portals/front/release", {"reason": "visitor"})
    site.badges(YAMAMOTO, "side", wait_ms=250)
    site.building.force("server")
    site.building.cut("rd-front-in")
    site.recorded("DEVICE_OFFLINE", device="rd-front-in")
    site.recorded("DOOR_FORCED", portal="server")
    officer.get("/cardholders")
    officer.get("/events?after=0&limit=200")


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def names() -> list[bytes]:
    spoken = [one for person in PEOPLE for one in (*person.name.split(), *person.roman.split(), *person.kana.split())]
    return [one.encode() if not one.isascii() else rf"\b{one}\b".encode() for one in spoken]


def excerpts(found: dict[str, bytes], pattern: re.Pattern[bytes]) -> dict[str, bytes]:
    hits = {where: pattern.search(content) for where, content in found.items()}
    return {where: hit.string[max(0, hit.start() - 40) : hit.end() + 40] for where, hit in hits.items() if hit}


@pytest.mark.req("E-01", "E-02", "E-08", "E-10", "E-11", "E-14")
def test_what_a_day_leaves_behind(make_site):
    """Who was not let in, what somebody was vetted for, or a whole card number can be read off a disk or a wire."""
    site = make_site()
    a_days_work(site)
    bus = {
        f"{one.topic} #{number}": one.topic.encode() + b" " + one.payload for number, one in enumerate(site.ear.heard)
    }
    link = {f"record {seq}": body.encode() for seq, body in enumerate(site.subscriber.raw)}
    wires = {f"link {path.name}": str(path).encode() for path in (site.folder / "wires").iterdir()}
    eventually(lambda: site.officer_releases("front"), 15)
    site.stops()
    site.api.program.stop()
    files = everything_in(site.state_dir)
    logs = {log: (site.folder / log).read_bytes() for log in ("controller.log", "api.log", "mosquitto.log")}
    api = everything_in(site.folder / "api")
    assert len(bus) > 40
    assert len(link) > 60
    assert {"ledger.db", "site.db", "ledger.key", "site.key"} <= set(files)

    assert not excerpts({**bus, **wires}, SIGNS), "the bus tells what a zone is worth, or who has what"
    assert not excerpts(logs, SIGNS), "a log that whoever repairs the machine reads tells who has what"
    everywhere = {**bus, **link, **files, **logs, **api}
    assert not excerpts(everywhere, UNSUITABLE)
    assert not excerpts(everywhere, FINGERPRINTS)
    by_name = re.compile(b"|".join(names()), re.IGNORECASE)
    assert not excerpts({**bus, **link, **files, **logs}, by_name), "a name outside the web process"
    in_japanese = re.compile(b"|".join(one for one in names() if not one.isascii()))
    assert not excerpts(api, in_japanese), "a name that can be read, in the web process's own files"
    numbers = re.compile(b"|".join(card.encode() for card in CARDS), re.IGNORECASE)
    assert not excerpts({**link, **files, **logs, **api}, numbers), "a whole card number"
    raw = re.compile(b"|".join(re.escape(bytes.fromhex(card)) for card in CARDS))
    assert not excerpts({**files, **api}, raw), "a whole card number, as bytes"


@pytest.mark.req("E-01", "E-02", "E-10")
def test_no_place_exists_for_what_must_not_be_kept(site):
    """A column waits for what must never be written down, and one day somebody fills it in."""
    import sqlite3

    site.api_starts()
    site.api.program.stop()
    site.stops()
    schema = ""
    for file in (site.state_dir / "ledger.db", site.state_dir / "site.db", site.folder / "api" / "api.db"):
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            schema += "\n".join(sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql)
        connection.close()
    assert "CREATE TABLE" in schema
    for pattern in (
        UNSUITABLE,
        FINGERPRINTS,
        re.compile(rb"denied|refused|reason_free|remark|comment|photo", re.IGNORECASE),
    ):
        assert not pattern.search(schema.encode()), pattern.search(schema.encode())


def test_the_ledger_key_is_private(site):
    """Whoever has an account on the box signs a history of his own."""
    for name in ("ledger.key", "site.key"):
        assert (site.state_dir / name).stat().st_mode & 0o077 == 0
    assert site.socket.stat().st_mode & 0o777 == 0o660
    done = subprocess.run(
        [sys.executable, "-m", "sekisho", "check", str(site.file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "uid_accepted" in done.stdout
    assert {body["detail"]["code"] for body in site.found("DEVIATION")} >= {
        "uid_accepted",
        "simulation",
    }
