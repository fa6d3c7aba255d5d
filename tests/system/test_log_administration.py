"""Holds, purges and reports of a real controller, from the console: what goes by rule goes, and nothing else moves."""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from controller.keys import load_keys
from controller.ledger.body import Scribe
from controller.ledger.store import Ledger
from sekisho.cli import main
from tests.system.parts import eventually
from tests.system.site import STRANGER, Site
from zones.moment import Moment, epoch_ms

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

SECTION = '\n[ledger]\nauditors = ["auditor-01", "auditor-02"]\nomit = ["LINE_NOISE", "ACCESS_DENIED"]\n'
TERMS = "terms_days = { access = 365 }\n"


def wrote_two_years_ago(site: Site) -> None:
    """The ledger of a controller that has run for years: who went where then, and the last daily purge an hour ago."""
    keys = load_keys(site.state_dir, os.urandom)
    with Ledger.open(site.state_dir / "ledger.db", keys.signer, f"sekisho.example/{node(site)}") as ledger:
        scribe = Scribe(node=node(site), boot="00000000")

        def at(days: float) -> Moment:
            return Moment(at=datetime.now(UTC).replace(microsecond=0) - timedelta(days=days), tick_ms=0)

        ledger.append([scribe.draft("CONTROLLER_STARTED", now=at(800), detail={"version": "0"})])
        for number in range(30):
            where = {"portal": "front", "zone": "office", "direction": "in", "corr": f"00000000-{number}"}
            ledger.append(
                [
                    scribe.draft("EXIT", now=at(799 - number), portal="front", detail={"cause": "rex"}),
                    scribe.draft("DOOR_FORCED", now=at(799 - number), portal="front"),
                    scribe.draft("REX", now=at(799 - number), **where),
                ]
            )
        reckoned_ms = epoch_ms(at(1 / 24).at)
        detail = {
            "id": "purge-00000000-1",
            "code": "daily",
            "of_class": "access",
            "ranges": [],
            "count": 0,
            "term_days": 365,
            "reckoned_ms": reckoned_ms,
        }
        ledger.append([scribe.draft("PURGED", now=at(1 / 24), officer="controller", detail=detail)])


def node(site: Site) -> str:
    return next(line for line in site.file.read_text("utf-8").splitlines() if line.startswith("node")).split('"')[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site"), change=lambda text: text + SECTION + TERMS) as made:
        wrote_two_years_ago(made)
        yield made.starts().admits_people()


def asked(site: Site, capsys, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main([*arguments, "--socket", str(site.socket)])
    told = capsys.readouterr()
    return status, told.out, told.err


def store_hash(site: Site) -> str:
    """Of all records, every byte, in order."""
    with site.link() as link:
        size = link.connect().size
        digest = hashlib.sha256()
        for message in link.stream(0):
            if hasattr(message, "leaf"):
                digest.update(
                    repr((message.seq, message.leaf, message.salt, message.body, message.checkpoint)).encode()
                )
                if message.seq >= size - 1:
                    return f"{size} {digest.hexdigest()}"
    raise AssertionError


REPORTS = {
    "explain": ("explain", "@DECISION@", "--json"),
    "replay": ("replay", "--json"),
    "who-can": ("who-can", "vault", "--all", "--json"),
    "what-if": ("what-if", "@EDIT@", "--json"),
    "export": ("ledger", "export", "@EXPORT@"),
    "key": ("ledger", "key"),
    "code": ("ledger", "code"),
    "prove": ("ledger", "prove", "3"),
    "tiles": ("ledger", "tiles", "@TILES@"),
    "hold list": ("ledger", "hold", "list", "--json"),
    "dry run": ("ledger", "purge", "--dry-run", "--site", "@SITE@", "--json"),
}


@pytest.mark.req("A-25")
@pytest.mark.parametrize("report", sorted(REPORTS))
def test_a_report_changes_nothing(site, capsys, report):
    """Whoever looks at the ledger would change what the next one sees."""
    if not (found := site.found("ACCESS_DENIED")):
        site.badges(STRANGER, "front")
        found = [site.recorded("ACCESS_DENIED")]
    edit = site.folder / "edit.json"
    edit.write_text(json.dumps({"puts": [], "drops": []}), "utf-8")
    given = {
        "@DECISION@": str(found[-1]["seq"]), "@EDIT@": str(edit), "@SITE@": str(site.file),
        "@EXPORT@": str(site.folder / "export.jsonl"), "@TILES@": str(site.folder / "tiles"),
    }  # fmt: skip
    before = store_hash(site)
    status, _, err = asked(site, capsys, *(given.get(one, one) for one in REPORTS[report]))
    assert status in (0, 1), err
    assert store_hash(site) == before


@pytest.mark.req("A-20")
def test_a_record_of_the_floor_cannot_be_switched_off(site):
    """The site file leaves refusals out, and nobody hears that trials of stolen cards are not recorded."""
    refused = site.found("CONFIG_REFUSED")
    assert [body["detail"] for body in refused] == [{"code": "floor_type", "place": "ACCESS_DENIED"}]
    assert {"code": "record_omitted", "place": "LINE_NOISE"} in [body["detail"] for body in site.found("DEVIATION")]
    site.badges(STRANGER, "front")
    site.recorded("ACCESS_DENIED")


@pytest.mark.req("A-29", "E-15", "D-23")
def test_the_console_holds_and_purges(site, capsys):
    """Personal records stay for ever, or go although a court asked for them, or by whoever likes."""
    old = {body["seq"] for body in site.found("REX") if body["boot"] == "00000000"}
    assert len(old) == 30
    status, _, err = asked(site, capsys, "ledger", "purge", "--by", "officer-01")
    assert status == 1 and "not_your_role" in err and site.recorded("LOG_ADMIN_REFUSED")["detail"]["act"] == "purge"
    first, last = (f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}" for days in (900, 100))
    case = ("case-1", "--by", "auditor-01")
    status, out, err = asked(site, capsys, "ledger", "hold", "on", *case, "--from", first, "--until", last)
    assert status == 0, err
    status, out, _ = asked(site, capsys, "ledger", "hold", "list", "--json")
    (hold,) = json.loads(out)
    assert status == 0 and (hold["hold"], hold["officer"]) == ("case-1", "auditor-01")
    dry = ("ledger", "purge", "--dry-run", "--site", str(site.file), "--json")
    assert json.loads(asked(site, capsys, *dry)[1])["due"]["access"] == 0, "held"
    assert purge(site, capsys)["count"] == 0
    status, _, err = asked(site, capsys, "ledger", "hold", "off", *case, "--second", "auditor-01")
    assert status == 1 and "two_people" in err
    status, _, err = asked(site, capsys, "ledger", "hold", "off", *case, "--second", "auditor-02")
    assert status == 0, err
    assert json.loads(asked(site, capsys, *dry)[1])["due"]["access"] == 60
    purged = purge(site, capsys)
    assert (purged["of_class"], purged["count"], purged["code"]) == ("access", 60, "ordered")
    export, key = site.folder / "after.jsonl", site.folder / "key"
    eventually(lambda: without_body(site, capsys, export) >= old, 15, "the bodies are gone")
    lines = [json.loads(line) for line in export.read_text("utf-8").splitlines()]
    gone = {line["seq"] for line in lines if "body" not in line}
    assert len(gone) == 60 and all('"class":"access"' in lines[seq]["leaf"] for seq in gone)
    key.write_text(asked(site, capsys, "ledger", "key")[1], "utf-8")
    status = main(["verify", str(export), "--key", str(key)])
    told = capsys.readouterr()
    assert status == 0, told.out + told.err


def purge(site: Site, capsys) -> dict:
    """What the record says that a purge by order was answered with."""
    status, out, err = asked(site, capsys, "ledger", "purge", "--by", "auditor-01", "--json")
    assert status == 0, err
    return site.recorded("PURGED", after=json.loads(out)["seq"] - 1)["detail"]


def without_body(site: Site, capsys, export) -> set[int]:
    """Records of an export, made now, that have no body."""
    assert asked(site, capsys, "ledger", "export", str(export))[0] == 0
    return {
        line["seq"] for line in map(json.loads, export.read_text("utf-8").splitlines()) if "body" not in line
    }  # fmt: skip


@pytest.mark.req("D-23")
def test_nothing_of_what_was_dropped_is_left_on_the_disk(site):
    """A body that was dropped by rule could be read off the card with an editor."""
    site.dies()
    left = b"".join(file.read_bytes() for file in site.state_dir.glob("ledger.db*"))
    assert b'"boot":"00000000"' in left, "what is kept"
    assert b'"corr":"00000000-7"' not in left and b'"cause":"rex"' not in left
    site.starts()
