"""A card of nobody is told to the officer who waits for it; everybody else's is decided, and the exits are free."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.desk import LinkRequest
from controller.ledger.errors import LedgerUnavailable
from controller.link.messages import AwaitCard, CardShown, Done, Refused
from controller.turn import Answer
from readers.events import CardProof, CardRead
from tests.controller.conftest import SATO, SITE, STRANGER

WAIT = AwaitCard(id="await-000001", reader="rd-office", officer="officer-01")
SPARE = SITE.replace('[[device]]\nid = "board"', '[[device]]\nid = "rd-desk"\nkind = "mqtt"\n[[device]]\nid = "board"')


def waits(site, session=1, **changed):
    """An officer waits for a card; what was answered at once."""
    before = len(site.effects)
    site.happens(LinkRequest(session=session, message=replace_message(WAIT, **changed)))
    return told(site, before)


def replace_message(message, **changed):
    return AwaitCard(**{name: getattr(message, name) for name in message.__struct_fields__} | changed)


def told(site, before=0):
    return [(e.session, e.message) for e in site.effects[before:] if isinstance(e, Answer)]


@pytest.mark.req("A-02", "A-22")
def test_the_next_card_of_nobody_is_told_and_recorded_and_not_refused(site):
    """An officer would type card numbers from a label, and a wrong one would open for a stranger."""
    assert waits(site) == []
    site.badges(STRANGER, "rd-office")
    session, shown = told(site)[-1]
    assert isinstance(shown, CardShown) and session == 1
    assert (shown.id, shown.last4, shown.scheme) == (WAIT.id, STRANGER[-4:], None)
    assert site.shown == ["not_read"] and not site.releases
    last = site.records[-1]
    assert last.type == "NOTE" and last.detail == {"id": WAIT.id, "kind": "CARD_SEEN"}
    assert last.actor.officer == "officer-01" and last.evidence.last4 == STRANGER[-4:]
    assert "ACCESS_DENIED" not in site.story()


@pytest.mark.req("A-02")
def test_what_was_told_is_what_a_credential_is_issued_by(site):
    """The card that was held there would not be the one that opens."""
    waits(site)
    site.badges(STRANGER, "rd-office")
    shown = told(site)[-1][1]
    card = {"id": "c-2", "cardholder": "h-sato", "state": "ACTIVE", "number_hash": shown.number_hash}
    assert isinstance(site.proposes(("credential", card | {"last4": shown.last4})), Done)
    site.passes(2_000)
    site.badges(STRANGER, "rd-office")
    assert site.last.type == "ACCESS_GRANTED" and site.last.subject.credential == "c-2"


@pytest.mark.req("A-30")
def test_a_card_is_told_to_nobody_who_is_no_officer(site):
    """A stranger's tries at a reader would be hidden as the enrolment of a recruit, in a name that nobody bears."""
    ((_, answer),) = waits(site, officer="officer-99")
    assert isinstance(answer, Refused) and answer.code == "not_an_officer"
    site.badges(STRANGER, "rd-office")
    assert site.last.type == "ACCESS_DENIED" and site.shown == ["refused"]


@pytest.mark.req("A-05")
def test_somebody_who_has_a_card_enters_while_an_officer_waits(site):
    """Enrolling a recruit would shut everybody else out, or hand over a colleague's card."""
    waits(site)
    site.badges(SATO, "rd-office")
    assert site.last.type == "ACCESS_GRANTED" and site.releases
    assert told(site) == []
    site.passes(2_000)
    site.badges(STRANGER, "rd-office")
    assert isinstance(told(site)[-1][1], CardShown)


def test_a_card_that_stays_on_the_reader_is_told_once_and_decided_when_it_comes_back(site):
    """Each second that a recruit leaves his card there would be a refused stranger in the log."""
    waits(site)
    for _ in range(3):
        site.badges(STRANGER, "rd-office")
        site.passes(500)
    assert site.story().count("NOTE") == 1 and "ACCESS_DENIED" not in site.story()
    site.passes(2_000)
    site.badges(STRANGER, "rd-office")
    assert site.last.type == "ACCESS_DENIED" and len(told(site)) == 1


@pytest.mark.req("A-34", "B-22")
@pytest.mark.parametrize("case", ["late", "copied", "known"])
def test_only_a_card_that_may_be_issued_is_told(site, case):
    """A copy, or a message that was held back, would be issued to somebody as his card."""
    waits(site)
    now_ms = site.now_ms
    read = CardRead(source="rd-office", number=bytes.fromhex(STRANGER), kind="mqtt", read_id="r-x", at_ms=now_ms)
    proof = CardProof(scheme="pkoc", is_genuine=False, nonce=bytes(16))
    site.happens(
        {
            "late": replace(read, at_ms=now_ms - 60_000),
            "copied": replace(read, proof=proof),
            "known": replace(read, number=bytes.fromhex(SATO)),
        }[case]
    )
    assert told(site) == [] and "NOTE" not in site.story()
    assert site.last.type in ("ACCESS_DENIED", "ACCESS_GRANTED")


def test_how_a_card_proved_itself_is_told(site):
    """A card that can prove itself would be issued as a mere number, which anybody copies."""
    waits(site)
    proof = CardProof(scheme="pkoc", is_genuine=True, nonce=bytes(range(16)))
    read = CardRead(source="rd-office", number=bytes.fromhex(STRANGER), kind="mqtt", read_id="r-x", at_ms=site.now_ms)
    site.happens(replace(read, proof=proof))
    assert told(site)[-1][1].scheme == "pkoc"


def test_a_wait_is_over_after_its_time_and_the_door_refuses_strangers_again(site):
    """A forgotten wait would keep every stranger out of the log."""
    waits(site)
    site.passes(30_001)
    assert [(one.code, one.id) for _, one in told(site)] == [("expired", WAIT.id)]
    site.badges(STRANGER, "rd-office")
    assert site.last.type == "ACCESS_DENIED" and len(told(site)) == 1


def test_whoever_comes_second_has_the_reader_and_the_first_is_told(site):
    """Two officers would enrol at one reader, and each would get the other's recruit's card."""
    waits(site)
    assert [(session, one.code) for session, one in waits(site, session=2, id="await-000002")] == [(1, "busy")]
    site.badges(STRANGER, "rd-office")
    session, shown = told(site)[-1]
    assert session == 2 and shown.id == "await-000002"
    waits(site, id="await-000003")
    ended = waits(site, session=2, id="await-000004", for_ms=0)  # an officer gave up
    assert [(session, one.code) for session, one in ended] == [(1, "busy"), (2, "expired")]


@pytest.mark.req("A-05")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"reader": "rd-office-out"}, "unknown_device"),  # every card opens there
        ({"reader": "rd-nowhere"}, "unknown_device"),
        ({"for_ms": 60_000}, "protocol"),
        ({"for_ms": -1}, "protocol"),
    ],
)
def test_a_wait_that_cannot_be_is_refused_and_recorded(site, changed, code):
    """A way out would be held up for a card to be read."""
    ((_, refused),) = waits(site, **changed)
    assert isinstance(refused, Refused) and refused.code == code
    assert site.records[-1].type == "COMMAND_REFUSED" and site.records[-1].detail["code"] == code
    site.badges(STRANGER, "rd-office-out")
    assert site.last.type == "EXIT_GRANTED"


def test_a_silent_reader_is_no_place_to_wait(site):
    """An officer and a recruit would stand before a dead reader for half a minute."""
    site.loses("rd-office")
    ((_, refused),) = waits(site)
    assert refused.code == "offline"


def test_a_reader_on_the_desk_that_belongs_to_no_door_serves(make_site):
    """Cards could be enrolled only where people enter."""
    site = make_site(text=SPARE)
    waits(site, reader="rd-desk")
    site.badges(STRANGER, "rd-desk")
    assert isinstance(told(site)[-1][1], CardShown) and "ACCESS_DENIED" not in site.story()


@pytest.mark.req("A-24")
def test_a_card_is_not_told_while_that_cannot_be_recorded(site):
    """A card number would leave the controller and nobody could say to whom."""
    waits(site)

    def full():
        raise LedgerUnavailable("no space left")

    site.disk = full
    site.badges(STRANGER, "rd-office")
    assert [one.code for _, one in told(site)] == ["ledger_unavailable"]
