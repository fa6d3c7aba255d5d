"""The hands' HTTP face: scripts and people may, other sites may not."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from simulators.building import SimulatedBuilding
from simulators.hands import HandsServer

PLAIN = Path(__file__).parents[1] / "system" / "plain" / "building.toml"
pytestmark = pytest.mark.needs("mosquitto")


@pytest.fixture
def building(mosquitto, tmp_path):
    with SimulatedBuilding(PLAIN, run_dir=tmp_path / "run", broker=mosquitto.address) as made:
        yield made


@pytest.fixture
def server(building):
    made = HandsServer(building, 0)
    made.start()
    yield made
    made.stop()


def call(server, path, fields=None, **headers):
    body = None if fields is None else json.dumps(fields).encode()
    asked = urllib.request.Request(server.url + path, body, {"Content-Type": "application/json"} | headers)
    try:
        with urllib.request.urlopen(asked, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_script_can_badge(server):
    """One line in a shell is what the demo promises."""
    status, said = call(server, "hands/badge", {"card": "04A1B2C3", "door": "front", "wait_ms": 20})
    assert status == 200
    reply = json.loads(said)
    assert (reply["person"], reply["shown"], reply["released"]) == ("佐藤 美咲", None, False)


def test_every_hand_answers(server):
    """A button without a hand behind it does nothing, silently."""
    door = {"door": "lab"}
    assert call(server, "hands/open", door) == (200, '{"is_open":false}')
    assert call(server, "hands/force", door) == (200, '{"is_open":true}')
    assert call(server, "hands/prop", door) == (200, '{"is_open":true}')
    assert call(server, "hands/tailgate", door) == (200, '{"passed":true}')
    assert call(server, "hands/close", door) == (200, '{"is_open":false}')
    assert call(server, "hands/rex", door | {"walk": False, "wait_ms": 0}) == (200, '{"released":false}')
    assert call(server, "hands/tamper", door | {"is_open": True}) == (200, '{"is_tampered":true}')
    assert call(server, "hands/loop", door | {"fault": "short"}) == (200, '{"fault":"short"}')
    assert call(server, "hands/loop", door | {"fault": None}) == (200, '{"fault":null}')
    assert call(server, "hands/fire", {"is_on": True}) == (200, '{"is_fire_on":true}')
    assert call(server, "hands/fire", door | {"is_on": False}) == (200, '{"is_fire_on":false}')
    assert call(server, "hands/reset-fire", {}) == (200, '{"is_reset":true}')
    assert call(server, "hands/power", door | {"is_on": False}) == (200, '{"has_power":false}')
    assert call(server, "hands/cut", {"line": "pn532-vault"}) == (200, '{"is_cut":true}')
    assert call(server, "hands/mend", {"line": "pn532-vault"}) == (200, '{"is_cut":false}')


def test_a_script_can_type_and_sees_the_prompts(server, peer, release):
    """A PIN could not be shown in the demo, nor a refusal's number be read."""
    fields = {"id": "s1", "not_after_ms": release()["not_after_ms"]}
    answers = {
        "card": fields | {"show": "enter_pin"},
        "keys": fields | {"id": "s2", "show": "refused", "number": "B7KX"},
    }

    def reply(message):
        device, what = message.topic.split("/")[2:4]
        if what in answers:
            peer.say(f"sekisho/v1/{device}/show", answers[what])

    peer.reply = reply
    asked = json.loads(call(server, "hands/badge", {"card": "04A1B2C3", "door": "lab"})[1])
    assert (asked["shown"], asked["number"], asked["released"]) == ("enter_pin", "", False)
    refused = json.loads(call(server, "hands/keys", {"digits": "999999", "door": "lab"})[1])
    assert (refused["shown"], refused["number"], refused["person"]) == ("refused", "B7KX", "佐藤 美咲")
    devices = {one["id"]: one for one in json.loads(call(server, "hands/state")[1])["devices"]}
    assert (devices["rd-lab-in"]["shown"], devices["rd-lab-in"]["number"]) == ("refused", "B7KX")
    assert "999999" not in call(server, "hands/log")[1]


def test_log_tells_switchings_with_both_clocks_after_a_number(server):
    """Latency and order are proven from this log."""
    call(server, "hands/force", {"door": "lab"})
    entries = json.loads(call(server, "hands/log")[1])["entries"]
    assert {"seq", "at_ms", "tick_ms", "what", "where", "detail"} == entries[-1].keys()
    assert json.loads(call(server, f"hands/log?after={entries[-1]['seq']}")[1])["entries"] == []


def test_page_state_and_openapi_are_served(server):
    """Somebody without a shell must be able to badge too."""
    status, page = call(server, "")
    assert status == 200
    assert "カード" in page
    assert page.index("模擬建物") < page.index("Simulated building")
    assert json.loads(call(server, "hands/state")[1])["doors"]
    assert "/hands/badge" in json.loads(call(server, "openapi.json")[1])["paths"]


STRANGERS = [
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "http://elsewhere.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Host": "rebound.example"}, 403),
    ({"Content-Type": "text/plain"}, 415),
]


@pytest.mark.parametrize("headers, status", STRANGERS)
def test_other_sites_may_not_touch_a_door(server, building, headers, status):
    """A page of somebody else's, open in the same browser, would badge here."""
    assert call(server, "hands/force", {"door": "lab"}, **headers)[0] == status
    assert not building.fittings.rigs["lab"].door.is_open


def test_own_page_may(server):
    """The check must not refuse the page's own buttons."""
    own = {"Sec-Fetch-Site": "same-origin", "Origin": server.url.rstrip("/")}
    assert call(server, "hands/force", {"door": "lab"}, **own)[0] == 200


@pytest.mark.parametrize(
    "path, fields, status, said",
    [
        ("hands/open", {"door": "nowhere"}, 404, "there are front"),
        ("hands/badge", {"card": "xyz", "door": "front"}, 422, "card"),
        ("hands/badge", {"card": "0102030405", "door": "front"}, 422, "4, 7 or 10"),
        ("hands/badge", {"card": "04A1B2C3", "door": "escape"}, 404, "use REX"),
        ("hands/open", {"door": "lab", "extra": 1}, 422, "extra"),
        ("hands/keys", {"door": "vault", "digits": "1234"}, 404, "no keypad"),
        ("hands/keys", {"door": "front", "digits": "1234", "side": "out"}, 404, "no keypad"),
        ("hands/keys", {"door": "lab", "digits": "12a4"}, 422, "digits"),
        ("hands/keys", {"door": "nowhere", "digits": "1234"}, 404, "there are front"),
        ("hands/count", {"door": "lab", "count": 1}, 404, "no people counter"),
        ("hands/count", {"door": "lab", "count": 10}, 422, "count"),
        ("hands/loop", {"door": "lab", "fault": "noisy"}, 422, "fault"),
        ("hands/loop", {"door": "lab", "line": "bell", "fault": "cut"}, 422, "line"),
        ("hands/fire", {"door": "nowhere", "is_on": True}, 404, "there are front"),
    ],
)
def test_mistakes_are_told(server, path, fields, status, said):
    """A typo in a script would look like a refusal by the controller."""
    answered, text = call(server, path, fields)
    assert answered == status
    assert said in text
