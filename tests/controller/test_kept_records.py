"""[ledger] in the site file: what may be left out, what may not, how long things are kept, who administers the log."""

from __future__ import annotations

import pytest

from controller.boot import _start_records, deviations_of
from controller.config import SiteFileError, parse_site
from controller.ledger.catalogue import CATALOGUE, FLOOR
from controller.link.messages import Done
from readers.events import CardRead, CardUnread, LineNoise
from tests.controller.conftest import SATO, SITE, VirtualSite

SPARE = sorted(row.type for row in CATALOGUE if not row.is_floor)
ALL_SPARE = f"\n[ledger]\nomit = {SPARE}\n".replace("'", '"')


@pytest.mark.req("A-20", "D-23")
@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("terms_days = { access = 30 }", "access: 30 days; it may be 90 to 3650"),
        ("terms_days = { view = 364 }", "view: 364 days; it may be 365 to 3650"),
        ("terms_days = { policy = 400 }", "policy: is never dropped"),
        ("terms_days = { doors = 400 }", "doors: is not one of access, alarm"),
        ('omit = ["NOTHING"]', "'NOTHING' is no record type"),
        ('auditors = ["Auditor One"]', "'Auditor One' is not lower-case letters"),
    ],
)
def test_a_section_that_cannot_be_is_refused_with_its_line(tmp_path, line, why):
    """A typing mistake would keep personal records for ten years, or none for a court."""
    text = f"{SITE}\n[ledger]\n{line}\n"
    at = text.splitlines().index(line) + 1
    with pytest.raises(SiteFileError) as caught:
        parse_site(text, tmp_path / "site.toml")
    assert f"site.toml:{at}: ledger." in str(caught.value) and why in str(caught.value)


@pytest.mark.req("A-20")
def test_a_floor_type_cannot_be_switched_off(tmp_path):
    """A site file leaves the records of refusals out, or those of who looked at whose history."""
    named = ", ".join(f'"{type_}"' for type_ in sorted(FLOOR))
    site = VirtualSite(tmp_path, text=f"{SITE}\n[ledger]\nomit = [{named}]\n")
    drafts = _start_records(site.file, site.scribe, site.now(), rebuilt="", believe_clock=False)
    refused = [draft.body.detail for draft in drafts if draft.body.type == "CONFIG_REFUSED"]
    assert refused == [{"code": "floor_type", "place": type_} for type_ in sorted(FLOOR)]
    assert not [place for code, place in deviations_of(site.file) if code == "record_omitted"]
    site.core.record([site.scribe.draft(type_, now=site.now()) for type_ in sorted(FLOOR)], site.now())
    site.settles()
    assert [body.type for body in site.records][-len(FLOOR) :] == sorted(FLOOR)
    site.ledger.close()


@pytest.mark.req("A-20")
def test_what_is_left_out_is_left_out_and_said_at_every_start(tmp_path):
    """Nobody could tell whether a line was quiet or its noise was not kept."""
    site = VirtualSite(tmp_path, text=SITE + ALL_SPARE)
    assert [place for code, place in deviations_of(site.file) if code == "record_omitted"] == SPARE
    site.admits("h-sato", SATO, "office")
    site.happens(CardUnread(source="rd-office", why="left"), LineNoise(source="rd-office", count=3, sample=b"?"))
    site.badges(SATO, "rd-office")
    site.opens("dr-office")
    site.passes(60_000)
    site.happens(LineNoise(source="rd-office", count=4, sample=b"?"))
    site.passes(60_000)
    assert not set(site.story()) & set(SPARE) and {"ACCESS_GRANTED", "PASSAGE", "DOOR_HELD"} <= set(site.story())
    whole = VirtualSite(tmp_path, seed=8)
    whole.happens(CardUnread(source="rd-office", why="left"))
    assert "CARD_UNREAD" in whole.story()
    site.ledger.close()
    whole.ledger.close()


@pytest.mark.req("A-20")
def test_what_waits_for_a_record_waits_for_the_right_one(tmp_path):
    """A record that is left out shifts those behind it, and a strike is released for another's grant."""
    site = VirtualSite(tmp_path, text=SITE + ALL_SPARE)
    site.admits("h-sato", SATO, "office")
    site.ids += 1
    at_ms = site.now_ms
    card = CardRead(source="rd-office", number=bytes.fromhex(SATO), kind="mqtt", read_id="r-1", at_ms=at_ms)
    site.happens(CardUnread(source="rd-office-out", why="left"), card)
    assert site.last.type == "ACCESS_GRANTED" and len(site.releases) == 1
    assert site.releases[0].grant_id == site.last.corr
    answer = site.changes(("roster", {"id": "r-h-sato-office", "is_suspended": True}))
    assert isinstance(answer, Done)
    (record,) = site.ledger.read(answer.seq, 1)
    assert record.decoded().type == "POLICY_EDITED"
    site.ledger.close()
