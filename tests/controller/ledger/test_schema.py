"""The catalogue of record types and the published schema: what they say is what the ledger writes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import jsonschema_rs
import pytest

from controller.ledger.body import CLASSES, Scribe
from controller.ledger.catalogue import CATALOGUE, FLOOR, RECORD_TYPES
from controller.ledger.schema import published, record_schema
from controller.link.follow import MOVES
from readers.events import CardRead, CardUnread, InputChanged, KeysEntered, LineFault, LineNoise, MessageRefused
from tests.controller.conftest import NOON, VirtualSite
from tests.controller.rich_site import CARDS, KEYPADS, people, site_text
from zones.moment import Moment

DOCS = Path(__file__).parents[3] / "docs" / "schema"
NEEDED = {
    *("ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED", "REX", "RELEASED", "PASSAGE", "EXIT", "NO_PASSAGE"),
    *("POLICY_EDITED", "EDIT_REFUSED", "COMMAND_REFUSED", "NOTE", "DEVICE_ORDER", "READER_APPROVED"),
    *("PURGED", "LEGAL_HOLD_ON", "LEGAL_HOLD_OFF", "LOG_ADMIN_REFUSED", "CONFIG_REFUSED", "DEVIATION"),
    *("KEY_ROTATED", "LEDGER_KEY_ROTATED", "CONTROLLER_STARTED", "CONTROLLER_STOPPED", "TAIL_SET_ASIDE"),
}
"""What an auditor cannot do without: decisions, passages, policy, commands, holds, purges, keys, views, starts."""

IS_VALID = jsonschema_rs.validator_for(record_schema())


def faults(text: bytes) -> list[str]:
    return [f"{error.instance_path}: {error.message[:200]}" for error in IS_VALID.iter_errors(json.loads(text))]


@pytest.mark.req("A-20")
@pytest.mark.parametrize("name", sorted(published()))
def test_what_is_published_is_what_the_program_writes(name):
    """A program that reads our records by the published schema would refuse them, or believe what we never write."""
    assert (DOCS / name).read_bytes() == published()[name], "run `sekisho ledger schema docs/schema`"


@pytest.mark.req("A-20")
def test_the_catalogue_gives_a_reason_for_every_type():
    """An auditor asks why something about people is kept, and nobody knows."""
    rows = json.loads((DOCS / "catalogue.json").read_text("utf-8"))["records"]
    assert [row["type"] for row in rows] == [row.type for row in CATALOGUE]
    assert len({row["type"] for row in rows}) == len(rows)
    assert all(row["why"] and row["class"] in CLASSES for row in rows)


@pytest.mark.req("A-20")
def test_the_floor_holds_what_an_auditor_needs():
    """A site file could switch off the record of a refusal, or of the purge that hides it."""
    assert NEEDED <= FLOOR
    assert {
        type_ for type_, (class_, _) in RECORD_TYPES.items() if class_ in ("alarm", "policy", "command", "view")
    } <= FLOOR
    assert MOVES <= FLOOR, "a replay would find people elsewhere than the engine did"


@pytest.mark.req("A-21")
def test_every_record_of_a_wild_day_fits_the_schema(tmp_path):
    """An auditor's program would stumble over exactly the records of the day on which something happened."""
    site = VirtualSite(tmp_path, text=site_text())
    site.ledger._run("PRAGMA synchronous=OFF")  # nobody will cut the power
    people(site)
    goes_wild(site, random.Random(21), events=10_000)
    seen: dict[str, int] = {}
    for record in site.ledger.scan():
        assert record.body is not None
        assert not (found := faults(record.body)), f"{record.body.decode()}: {found}"
        type_ = json.loads(record.body)["type"]
        seen[type_] = seen.get(type_, 0) + 1
    site.ledger.close()
    assert sum(seen.values()) > 5_000
    assert {"ACCESS_GRANTED", "ACCESS_DENIED", "EXIT_GRANTED", "PASSAGE", "NO_PASSAGE", "REX"} <= seen.keys()
    assert {"POLICY_EDITED", "FIRE_ON", "TAMPER", "LINE_FAULT", "LINE_NOISE", "DOOR_FORCED", "RELEASED"} <= seen.keys()
    assert {"EDIT_REFUSED", "COMMAND_REFUSED", "PRESENCE_FORGIVEN", "CARD_UNREAD", "MESSAGE_REFUSED"} <= seen.keys()


def goes_wild(site: VirtualSite, random_: random.Random, events: int) -> None:
    """Everything that can come over a wire or the link, in any order; a batch is a drain of the loop."""
    doors, readers = (
        ("dr-office", "dr-lab", "dr-vault", "dr-room"),
        [d for d in site.file.devices if d.startswith("rd-")],
    )

    def one(number: int):
        at_ms = site.now_ms - random_.choice((0, 0, 0, 30, 9_000))
        reader, door, flag = random_.choice(readers), random_.choice(doors), random_.random() < 0.5
        match random_.randrange(12):
            case 0 | 1 | 2 | 3:
                card = random_.choice([*CARDS.values(), "04999999"])
                return CardRead(
                    source=reader, number=bytes.fromhex(card), kind="mqtt", read_id=f"w{number}", at_ms=at_ms
                )
            case 4:
                digits = random_.choice(("1234", "99999999", "0"))
                return KeysEntered(source=random_.choice(KEYPADS), digits=digits, read_id=f"k{number}", at_ms=at_ms)
            case 5 | 6 | 7:
                line = random_.choice(("contact",) * 30 + ("rex",) * 10 + ("tamper",))
                return InputChanged(source=door, line=line, is_active=flag, is_level_report=False)
            case 8:
                line = random_.choice(("fire", "power"))
                is_on = random_.random() < 0.02
                return InputChanged(source="fire-panel", line=line, is_active=is_on, is_level_report=False)
            case 9:
                return LineFault(source=door, line="contact", fault="cut", is_level_report=False)
            case 10:
                return random_.choice(
                    (CardUnread(source=reader, why="left"), LineNoise(source=reader, count=3, sample=b"?"))
                )
            case _:
                return MessageRefused(source=reader, why="expired")

    for batch in range(events // 20):
        site.happens(*(one(batch * 20 + index) for index in range(20)))
        site.passes(random_.choice((50, 700, 4_000, 25_000)))
        if batch % 10 == 0:
            officers_act(site, random_)


def officers_act(site: VirtualSite, random_: random.Random) -> None:
    """What comes over the link: good, refused and malformed."""
    match random_.randrange(6):
        case 0:
            site.commands(random_.choice(("office", "vault", "nowhere")))
        case 1:
            site.orders(random_.choice(("forgive_presence", "reset_fire", "unlock_pin")))
        case 2:
            site.changes(("roster", {"id": "r-h-sato-lab", "is_suspended": random_.random() < 0.5}))
        case 3:
            site.proposes(("roster", {"id": "r-x", "zone": "nowhere"}))
        case 4:
            until_ms = site.now_ms + 600_000
            override = {"id": f"o-{site.ids}", "zone": "vault", "cardholders": ["h-guest"], "reason_code": "FLOOD"}
            people_ = {"started_by": "officer-01", "approved_by": "officer-02"}
            site.proposes(("override", override | people_ | {"from_ms": site.now_ms, "until_ms": until_ms}))
        case _:
            for device in ("rd-lab", "dr-vault"):
                status = {"id": device, "is_trusted": True, "restored_by": "officer-01", "confirmed_by": "officer-02"}
                site.proposes(("device_status", status))


@pytest.mark.req("A-21")
@pytest.mark.parametrize(
    "change",
    [
        {"type": "NOTHING"},
        {"detail": {"device": "rd-office", "name": "somebody"}},
        {"detail": {"device": 4}},
        {"surname": "Sato"},
        {"reason": None},
        {"evidence": {"method": "UID", "factors": 1.5}},
        {"at_ms": "now"},
    ],
    ids=repr,
)
def test_the_schema_refuses_what_the_ledger_refuses(change):
    """A schema that takes anything would hold nothing."""
    now = Moment(at=NOON, tick_ms=0)
    text = Scribe(node="n", boot="b").draft("DOOR_FORCED", now=now, portal="office").text
    assert not faults(text)
    assert faults(json.dumps(json.loads(text) | change).encode())


@pytest.mark.req("A-21")
@pytest.mark.parametrize("missing", ["reason", "outcome", "evidence", "trace", "revision", "detail", "access_point"])
def test_a_decision_without_its_reason_or_evidence_does_not_fit(tmp_path, missing):
    """A refusal would stand there of which nobody can say why, by which factors and at which device."""
    site = VirtualSite(tmp_path)
    site.badges("04999999", "rd-office")
    text = next(r.body for r in site.ledger.scan(types={"ACCESS_DENIED"}))
    site.ledger.close()
    assert text is not None
    assert not faults(text)
    whole = json.loads(text)
    assert whole["reason"] == "CARD_UNKNOWN" or whole["reason"]
    assert whole["evidence"]["factors"] == 0 and whole["detail"]["device"] == "rd-office"
    assert faults(json.dumps({key: value for key, value in whole.items() if key != missing}).encode())


@pytest.mark.req("A-21", "A-32")
def test_a_record_names_the_break_glass_that_let_somebody_in(tmp_path):
    """Nobody could tell from the ledger who went in on an override and who had keys."""
    site = VirtualSite(tmp_path, text=site_text())
    people(site)
    site.proposes(("cardholder", {"id": "h-sato", "notice_version": 0}))
    card = {"id": "c-mori", "cardholder": "h-mori", "number": "04a1b2c9", "state": "ACTIVE"}
    site.proposes(("cardholder", {"id": "h-mori"}), ("credential", card))
    site.badges("04a1b2c9", "rd-office")
    assert site.last.detail == {"device": "rd-office"}
    override = {
        "id": "o-1",
        "zone": "office",
        "cardholders": ["h-mori", "h-sato"],
        "reason_code": "FLOOD",
        "started_by": "officer-01",
        "approved_by": "officer-02",
        "from_ms": site.now_ms,
        "until_ms": site.now_ms + 600_000,
    }
    site.proposes(("override", override))
    site.passes(3_000)
    site.badges("04a1b2c9", "rd-office")
    assert site.last.type == "ACCESS_GRANTED" and site.last.detail == {"device": "rd-office", "override": "o-1"}
    site.passes(8_000)
    site.badges(CARDS["h-sato"], "rd-office")
    assert site.last.type == "ACCESS_GRANTED" and site.last.detail == {"device": "rd-office"}, "has keys of his own"
    site.ledger.close()
