"""What comes late, twice, retained or from before: it is refused, recorded, and opens nothing."""

from __future__ import annotations

import secrets

import pytest

from controller.link.messages import Command, Done, Note, Refused
from tests.system.parts import epoch_ms, eventually, stays
from tests.system.site import SATO, Site

pytestmark = [pytest.mark.system, pytest.mark.needs("mosquitto")]

QUIET_S = 0.4


def nothing_opens(site: Site, after: int) -> None:
    stays(lambda: not opened(site, after), QUIET_S, "a strike was energised")


def opened(site: Site, after: int) -> bool:
    return any(one.what == "strike" and one.detail["is_on"] for one in site.building.journal.after(after))


@pytest.mark.req("B-22")
def test_a_command_sent_while_the_controller_was_down_is_never_carried_out(site):
    """An officer releases a door, the controller is down, and the door opens by itself when it comes back."""
    with site.link() as link:
        boot = link.connect().boot
    site.dies()
    queued = Command(
        id="queued-while-down",
        boot=boot,
        not_after_ms=epoch_ms() + 2500,
        portal="front",
        reason="visitor",
        officer="officer-01",
    )
    before = site.building.journal.last
    site.starts()
    with site.link() as link:
        answer = link.request(queued)
    assert isinstance(answer, Refused)
    assert answer.code == "other_boot"
    assert site.recorded("COMMAND_REFUSED", id="queued-while-down")["detail"]["code"] == "other_boot"
    nothing_opens(site, before)


@pytest.mark.req("B-22")
@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"not_after_ms": 1}, "expired"),
        ({"not_after_ms": epoch_ms() + 3_600_000}, "expired"),
        ({"boot": ""}, "other_boot"),
        ({"portal": "nowhere"}, "unknown_portal"),
        ({"portal": "vault"}, "protected_zone"),
        ({"reason": "because"}, "protocol"),
        ({"id": "short"}, "protocol"),
    ],
)
def test_a_command_that_is_not_sound_is_recorded_and_opens_nothing(same_site, spoilt, code):
    """A release that nobody may give, or that comes late, opens a door, or leaves no trace."""
    site = same_site
    before = site.building.journal.last
    answer = site.officer_releases(**({"portal": "front"} | spoilt))
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert answer.seq is not None
    site.recorded("COMMAND_REFUSED", seq=answer.seq, code=code)
    nothing_opens(site, before)


@pytest.mark.req("B-22")
def test_a_command_is_carried_out_once(site):
    """One release, sent twice by a bad line, opens a door twice."""
    once = secrets.token_hex(8)
    assert isinstance(site.officer_releases("front", id=once), Done)
    eventually(lambda: site.strikes("front"), 15, "the release is carried out")
    eventually(lambda: not site.any_strike_is_on(), 15)
    before = site.building.journal.last
    again = site.officer_releases("front", id=once)
    assert isinstance(again, Refused)
    assert again.code == "repeated"
    nothing_opens(site, before)
    with site.link() as link:
        assert isinstance(link.request(Note(id=once, type="EXPORT", officer="officer-01")), Refused)


def read(**spoilt: object) -> dict[str, object]:
    return {"id": secrets.token_hex(6), "number": SATO, "at_ms": epoch_ms()} | spoilt


def press(**spoilt: object) -> dict[str, object]:
    return {"id": secrets.token_hex(6), "is_active": True, "at_ms": epoch_ms()} | spoilt


CARD = "sekisho/v1/rd-front-in/card"
REX = "sekisho/v1/dr-front/input/rex"


@pytest.mark.req("B-22", "S-03")
def test_a_sound_read_and_press_open(site):
    """The tests below would show nothing."""
    site.ear.say(CARD, read())
    eventually(lambda: site.strikes("front"), 15, "a sound read is answered")
    eventually(lambda: not site.any_strike_is_on(), 15)
    after = site.building.journal.last
    site.ear.say(REX, press())
    eventually(lambda: site.strikes("front", after=after), 15, "a sound press is answered")


@pytest.mark.req("B-22")
def test_a_read_that_comes_twice_opens_once(site):
    """The broker delivers a read again, as it may, and the door opens for whoever stands there then."""
    sent = read()
    site.ear.say(CARD, sent)
    eventually(lambda: site.strikes("front"), 15)
    eventually(lambda: not site.any_strike_is_on(), 15)
    before = site.building.journal.last
    site.ear.say(CARD, sent)
    site.recorded("MESSAGE_REFUSED", device="rd-front-in", why="duplicate")
    nothing_opens(site, before)
    pressed = press()
    site.ear.say(REX, pressed)
    eventually(lambda: site.strikes("front", after=before), 15)
    eventually(lambda: not site.any_strike_is_on(), 15)
    before = site.building.journal.last
    site.ear.say(REX, pressed)
    nothing_opens(site, before)


@pytest.mark.req("B-22")
@pytest.mark.parametrize("off_ms", [-6_000, -3_600_000, 6_000, 10**15])
def test_a_read_from_another_time_opens_nothing(same_site, off_ms):
    """A read waited in a queue, and the door opens long after the cardholder has gone."""
    site, after, before = same_site, same_site.last_seq, same_site.building.journal.last
    site.ear.say(CARD, read(at_ms=epoch_ms() + off_ms))
    site.recorded("ACCESS_DENIED", after=after, portal="front", reason="READ_STALE")
    nothing_opens(site, before)


@pytest.mark.req("B-22")
def test_a_press_from_another_time_opens_nothing(same_site):
    """A press of REX waited in a queue, and the door opens from outside when nobody is there to leave."""
    site = same_site
    before = site.building.journal.last
    site.ear.say(REX, press(at_ms=epoch_ms() - 60_000))
    nothing_opens(site, before)


@pytest.mark.req("D-24", "A-35")
@pytest.mark.parametrize("off_ms", [-86_400_000, 86_400_000])
def test_a_device_whose_clock_is_wrong_still_lets_people_out(site, off_ms):
    """A relay box without a battery clock takes nobody's press seriously, and they stand before a shut door."""
    device = site.building.fittings.sensors["dr-front"]
    device.now_wall_ms = lambda: epoch_ms() + off_ms
    if not site.building.rex("front", walk=False, wait_ms=1300):
        assert site.building.rex("front", walk=False, wait_ms=8000), "the second press does not release either"
    eventually(lambda: not site.any_strike_is_on(), 15)
    assert site.building.rex("front", walk=False, wait_ms=8000), "nor the next"


@pytest.mark.req("D-24", "B-22")
def test_a_late_press_takes_nothing_from_the_next(site):
    """One late message, and whoever really wants to leave stands before a shut door."""
    before = site.building.journal.last
    for late_ms in (60_000, 60_000, 3_600_000):
        site.ear.say(REX, press(at_ms=epoch_ms() - late_ms))
    nothing_opens(site, before)
    assert site.building.rex("front", walk=False, wait_ms=8000), "a sound press after late ones does not release"
    eventually(lambda: not site.any_strike_is_on(), 15)
    assert site.badges(SATO, "front").released, "a sound card after late presses does not release"


@pytest.mark.req("B-22")
def test_an_exit_read_from_another_time_opens_nothing(same_site):
    """A card read of somebody who left an hour ago waited in a queue, and opens the front door from outside."""
    site = same_site
    before = site.building.journal.last
    site.ear.say("sekisho/v1/rd-front-out/card", read(at_ms=epoch_ms() - 3_600_000))
    nothing_opens(site, before)


@pytest.mark.req("B-22", "B-27")
def test_retained_messages_open_nothing_at_the_start(make_site):
    """Somebody leaves a read on the broker, and every start of the controller opens the door."""
    site = make_site()
    site.ear.say(CARD, read(), retain=True)
    site.ear.say(REX, press(), retain=True)
    site.starts().admits_people()
    for device in ("rd-front-in", "dr-front"):
        site.recorded("MESSAGE_REFUSED", device=device, why="retained")
    nothing_opens(site, 0)


@pytest.mark.req("B-22", "B-27")
def test_a_message_published_to_be_retained_opens_nothing(site):
    """A read that a device was told to retain opens the door at once, and again to everybody who subscribes later."""
    before = site.building.journal.last
    site.ear.say(CARD, read(), retain=True)
    site.ear.say(REX, press(), retain=True)
    nothing_opens(site, before)


@pytest.mark.req("B-27")
def test_commands_are_never_retained_and_expire(site):
    """A release lies on the broker, and the relay that comes back hours later opens."""
    ear = site.ear
    assert site.badges(SATO, "front").released
    site.building.rex("lab", walk=False)
    eventually(lambda: len(ear.releases()) == 2, 15, "both releases are heard")
    commands = [one for one in ear.heard if one.topic.endswith(("/command", "/show"))]
    assert len({one.topic for one in commands}) >= 3
    for one in commands:
        assert not one.retain
        assert one.properties.MessageExpiryInterval <= 3
    for fields in site.ear.messages("sekisho/v1/dr-front/command"):
        assert fields["not_after_ms"] - fields["issued_ms"] <= 3000


@pytest.mark.req("B-22", "A-35")
def test_nobody_presents_a_card_twice_within_a_second(site):
    """A card that lies on the reader, or is shown twice, is two people in the records."""
    site.presents(SATO, "rd-front-in")
    site.presents(SATO, "rd-front-in")
    site.recorded("ACCESS_GRANTED", portal="front")
    again = site.recorded("ACCESS_DENIED", portal="front")
    assert again["reason"] == "REPEATED_READ"
    assert len(site.found("ACCESS_GRANTED", portal="front")) == 1
    chip, wire = site.building.fittings.chips["rd-server-in"], site.building.fittings.wires["rd-server-in"]
    from simulators.cards import card_of

    card = card_of("iso14443a", bytes.fromhex("04112233445566"))
    for _ in range(2):
        after = site.building.journal.last
        wire.touch(lambda now: chip.place(card, now))
        assert site.building.wait_for("card", "rd-server-in", after=after, timeout_s=15)
        wire.touch(lambda now: chip.take(card, now))
        stays(lambda: True, 0.2)
    eventually(lambda: not site.any_strike_is_on(), 15)
    assert len(site.found("ACCESS_GRANTED", portal="server")) == 1
    assert len(site.strikes("server")) == 1
