"""What a device believes of what it hears."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.mqtt_codec import (
    Ear,
    Ignored,
    Release,
    Secure,
    Show,
    encode_card,
    encode_count,
    encode_done,
    encode_fault,
    encode_input,
    encode_keys,
    topic,
)

NOW = 1_790_000_000_000
RELEASE = {"id": "c1", "do": "release", "for_ms": 3000, "issued_ms": NOW, "not_after_ms": NOW + 3000}
SECURE = {"id": "c2", "do": "secure", "issued_ms": NOW, "not_after_ms": NOW + 3000}
SHOW = {"id": "s1", "show": "refused", "not_after_ms": NOW + 3000}


def command(ear: Ear, fields: object, *, is_retained: bool = False, now: int = NOW) -> object:
    payload = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return ear.command(payload, is_retained=is_retained, now_wall_ms=now)


def test_sound_commands_are_believed():
    """A device deaf to a sound release keeps an entitled person out."""
    assert command(Ear(), RELEASE) == Release(id="c1", for_ms=3000)
    assert command(Ear(), SECURE) == Secure(id="c2")
    assert Ear().show(json.dumps(SHOW).encode(), is_retained=False, now_wall_ms=NOW) == Show(id="s1", show="refused")


@pytest.mark.req("B-22")
def test_retained_repeated_and_late_commands_are_not():
    """A replayed command would open a door for whoever recorded it."""
    ear = Ear()
    assert command(ear, RELEASE, is_retained=True) == Ignored(why="retained")
    assert command(ear, RELEASE, now=NOW + 3001) == Ignored(why="late")
    assert command(ear, RELEASE, now=NOW + 3000) == Release(id="c1", for_ms=3000)
    assert command(ear, RELEASE) == Ignored(why="duplicate")
    assert command(ear, SECURE | {"id": "c1"}) == Ignored(why="duplicate")


MALFORMED = [
    RELEASE | {"for_ms": 0},
    RELEASE | {"for_ms": 60_001},
    RELEASE | {"for_ms": True},
    RELEASE | {"for_ms": 1.5},
    RELEASE | {"for_ms": "3000"},
    RELEASE | {"id": ""},
    RELEASE | {"id": "x" * 65},
    RELEASE | {"do": "unlock"},
    RELEASE | {"extra": 1},
    {key: value for key, value in RELEASE.items() if key != "not_after_ms"},
    {key: value for key, value in RELEASE.items() if key != "issued_ms"},
    SECURE | {"for_ms": 1},
    [],
    "open",
    b"",
    b"\xff\xfe",
    b"[" * 900,
    b" " * 2000 + json.dumps(RELEASE).encode(),
]


@pytest.mark.parametrize("fields", MALFORMED)
@pytest.mark.req("B-22")
def test_malformed_commands_are_ignored(fields):
    """A half-understood message would move a strike."""
    ear = Ear()
    assert command(ear, fields) == Ignored(why="malformed")
    assert command(ear, RELEASE) == Release(id="c1", for_ms=3000)  # and its id is not used up


SHOWN = [
    ({"show": "enter_pin"}, Show(id="s1", show="enter_pin")),
    ({"show": "second_card"}, Show(id="s1", show="second_card")),
    ({"number": "B7KX"}, Show(id="s1", show="refused", number="B7KX")),
    ({"show": "out_of_order", "number": "2222"}, Show(id="s1", show="out_of_order", number="2222")),
    ({"show": "granted", "number": "B7KX"}, Ignored(why="malformed")),
    ({"show": "enter_pin", "number": "B7KX"}, Ignored(why="malformed")),
    ({"number": "B7K"}, Ignored(why="malformed")),
    ({"number": "B7KXX"}, Ignored(why="malformed")),
    ({"number": "b7kx"}, Ignored(why="malformed")),
    ({"number": "A7KX"}, Ignored(why="malformed")),
    ({"number": 2222}, Ignored(why="malformed")),
    ({"number": None}, Ignored(why="malformed")),
    ({"number": ""}, Ignored(why="malformed")),
]


@pytest.mark.parametrize("fields, said", SHOWN)
def test_a_reader_shows_prompts_and_a_refusals_number_and_nothing_else(fields, said):
    """Somebody would be asked for nothing, or read an officer a number that no refusal has."""
    payload = json.dumps(SHOW | fields).encode()
    assert Ear().show(payload, is_retained=False, now_wall_ms=NOW) == said


@pytest.mark.parametrize("digits", ["", "123", "1234567890123", "12a4", "１２３４", "12 4", "-123", "1234\n"])
def test_a_keypad_sends_no_more_than_it_has_keys_for(digits):
    """A simulated keypad that sends what no real one can would prove nothing about real ones."""
    with pytest.raises(ValueError, match="4 to 12 digits"):
        encode_keys(message_id="k", digits=digits, at_ms=NOW)


@pytest.mark.parametrize("count", [0, 10, -1])
def test_a_counter_counts_one_to_nine(count):
    """As above, for people counters."""
    with pytest.raises(ValueError, match="1 to 9 people"):
        encode_count(message_id="n", count=count, at_ms=NOW)


ANY_JSON = st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda one: json.dumps(one).encode())


@given(st.one_of(st.binary(max_size=200), ANY_JSON))
def test_any_bytes_are_ignored_and_none_crash(payload):
    """One bad message would silence a device for good."""
    assert isinstance(Ear().command(payload, is_retained=False, now_wall_ms=NOW), Ignored)
    assert isinstance(Ear().show(payload, is_retained=False, now_wall_ms=NOW), Ignored)


def test_memory_of_ids_is_bounded_and_long_enough():
    """256 ids back a repetition is still known; a device's memory does not grow for ever."""
    ear = Ear()
    for number in range(256):
        command(ear, RELEASE | {"id": f"n{number}"})
    assert command(ear, RELEASE | {"id": "n0"}) == Ignored(why="duplicate")
    command(ear, RELEASE | {"id": "one more"})
    assert command(ear, RELEASE | {"id": "n0"}) == Release(id="n0", for_ms=3000)


def test_payloads_are_written_as_the_contract_says():
    """The other side reads these fields and refuses any other."""
    assert topic("rd-1", "input", "contact") == "sekisho/v1/rd-1/input/contact"
    assert json.loads(encode_card(message_id="a", number=b"\x04\xa1\xb2\xc3", at_ms=NOW)) == {
        "id": "a",
        "number": "04a1b2c3",
        "at_ms": NOW,
    }
    assert json.loads(encode_input(message_id="b", is_active=True, at_ms=NOW)) == {
        "id": "b",
        "is_active": True,
        "at_ms": NOW,
    }
    assert json.loads(encode_keys(message_id="k", digits="0042", at_ms=NOW)) == {
        "id": "k",
        "digits": "0042",
        "at_ms": NOW,
    }
    assert json.loads(encode_count(message_id="n", count=2, at_ms=NOW)) == {"id": "n", "count": 2, "at_ms": NOW}
    assert json.loads(encode_fault(message_id="f", fault="cut", at_ms=NOW)) == {"id": "f", "fault": "cut", "at_ms": NOW}
    assert encode_done(command_id="", is_on=False) == b'{"id":"","is_on":false}'
