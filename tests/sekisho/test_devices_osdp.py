"""`sekisho devices test` at an OSDP reader: it works, or the cause is named."""

from __future__ import annotations

import pytest

from sekisho import device_osdp, device_test, probe
from sekisho.devices_arguments import add_parsers
from simulators.osdp.bus import OsdpBus
from simulators.osdp.reader import OsdpReader
from tests.sekisho.console_rig import RANDOM, READER_KEY, in_json, typed, walled_site, wired

OTHER = RANDOM(16)


@pytest.fixture
def type_in(capsys):
    """Types a command; gives its exit status, what it printed and what it said."""
    return lambda *words: typed(capsys, add_parsers, "devices", *words)


@pytest.fixture(autouse=True)
def no_time_to_lose(monkeypatch):
    """People look at a light for longer than a test does."""
    monkeypatch.setattr(device_osdp, "SHOWN_S", 0.15)
    monkeypatch.setattr(device_osdp, "STATES_S", 0.2)
    monkeypatch.setattr(device_test, "STATES_S", 0.3)
    monkeypatch.setattr(probe, "LONG_PATIENCE_S", probe.PATIENCE_S)


@pytest.fixture
def site(tmp_path):
    """A site with one device of each wired kind, and the reader's key in its key store."""
    return walled_site(tmp_path)


def reader(address=3, *, key=READER_KEY, baud=9600, note=lambda _what, _detail, _now_ms: None):
    return OsdpReader(address, key=key, baud=baud, note=note)


def osdp(tmp_path, *readers, baud=9600):
    return wired(OsdpBus(readers), tmp_path / "osdp", baud, is_pair=True, hears_speed=True)


@pytest.mark.req("B-16")
def test_a_good_reader_shows_and_pulses_and_ends_at_rest(tmp_path, site, type_in):
    """An installer leaves a reader that nobody ever saw working, or a lock that stays released."""
    noted = []
    good = reader(note=lambda what, detail, _now_ms: noted.append((what, detail)))
    with osdp(tmp_path, good):
        status, told = in_json(
            type_in("test", site, "rd-1", "--light", "--sound", "--pulse", "--yes", "--for-ms", "200", "--json")
        )
    steps = {step["step"]: step for step in told["steps"]}
    assert (status, told["is_good"], steps["key"]["key"]) == (0, True, "site")
    assert steps["identity"]["firmware"] == "1.4.2"
    assert {"light", "sound", "relay"} <= steps.keys()
    assert not any(good.functions.face.outputs)
    assert [detail["is_on"] for what, detail in noted if what == "output"] == [True, False]
    assert {what for what, _ in noted} >= {"led", "buzzer", "output"}


@pytest.mark.req("B-17")
@pytest.mark.parametrize(
    ("made", "key", "words"),
    [
        ({"key": OTHER}, "other", "wrong key"),
        ({"key": None}, "default", "factory's default key"),
    ],
)
def test_whose_key_a_reader_has_is_told(tmp_path, site, type_in, made, key, words):
    """A reader that was exchanged is taken for one with a bad cable."""
    with osdp(tmp_path, reader(**made)):
        status, told = in_json(type_in("test", site, "rd-1", "--json"))
    step = told["steps"][-1]
    assert (status, step["step"], step["key"]) == (1, "key", key)
    assert words in step["words"]
    assert "sekisho devices install rd-1" in step["do"]


def test_a_wrong_speed_and_a_wrong_address_are_named(tmp_path, site, type_in):
    """An installer tries every switch of a reader by hand."""
    with osdp(tmp_path, reader(baud=38_400), baud=38_400):
        status, told = in_json(type_in("test", site, "rd-1", "--json"))
    assert (status, told["steps"][-1]["step"]) == (1, "baud")
    assert "38400" in told["steps"][-1]["do"]
    with osdp(tmp_path, reader(9)):
        status, told = in_json(type_in("test", site, "rd-1", "--json"))
    assert (status, told["steps"][-1]["answering"]) == (1, [9])
