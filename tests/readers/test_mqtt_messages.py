"""readers/protocols/mqtt_messages.py: only exact messages are messages. Payloads are written by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers.protocols import mqtt_messages
from readers.protocols.mqtt_messages import PayloadRefused, Refusal, Release, Secure, Show

GOOD_CARD = b'{"id":"r-1","number":"04A1b2C3","at_ms":1790000000000}'


def test_a_read_is_read():
    """A card on an MQTT reader would do nothing."""
    card = mqtt_messages.decode_card(GOOD_CARD)
    assert (card.id, card.number, card.at_ms) == ("r-1", "04A1b2C3", 1790000000000)


BAD_CARDS = {
    "empty": b"",
    "no json": b"card",
    "cut short": GOOD_CARD[:-1],
    "two messages": GOOD_CARD * 2,
    "not an object": b'["r-1","04a1b2c3",1]',
    "unknown field": b'{"id":"r-1","number":"04a1b2c3","at_ms":1,"open":true}',
    "missing field": b'{"id":"r-1","number":"04a1b2c3"}',
    "id empty": b'{"id":"","number":"04a1b2c3","at_ms":1}',
    "id too long": b'{"id":"' + b"x" * 65 + b'","number":"04a1b2c3","at_ms":1}',
    "id a number": b'{"id":1,"number":"04a1b2c3","at_ms":1}',
    "number too short": b'{"id":"r","number":"04a1b2","at_ms":1}',
    "number too long": b'{"id":"r","number":"' + b"04" * 21 + b'","at_ms":1}',
    "number of odd length": b'{"id":"r","number":"04a1b2c34","at_ms":1}',
    "number not hex": b'{"id":"r","number":"04a1b2cg","at_ms":1}',
    "number with a line end": b'{"id":"r","number":"04a1b2c3\\n","at_ms":1}',
    "time a float": b'{"id":"r","number":"04a1b2c3","at_ms":1.5}',
    "time text": b'{"id":"r","number":"04a1b2c3","at_ms":"1"}',
    "time negative": b'{"id":"r","number":"04a1b2c3","at_ms":-1}',
    "time huge": b'{"id":"r","number":"04a1b2c3","at_ms":9007199254740992}',
    "not utf-8": b'{"id":"\xff","number":"04a1b2c3","at_ms":1}',
    "nested without end": b"[" * 1024,
}


@pytest.mark.parametrize("payload", BAD_CARDS.values(), ids=BAD_CARDS.keys())
def test_what_is_not_exactly_a_read_is_refused(payload):
    """A half-understood message would be decided on."""
    with pytest.raises(PayloadRefused) as refused:
        mqtt_messages.decode_card(payload)
    assert refused.value.why is Refusal.MALFORMED


def test_an_oversized_payload_is_refused_before_it_is_read():
    """A device could make the controller parse megabytes."""
    with pytest.raises(PayloadRefused) as refused:
        mqtt_messages.decode_card(GOOD_CARD + b" " * 1024)
    assert refused.value.why is Refusal.OVERSIZED


def test_a_refusal_repeats_nothing_that_the_peer_sent():
    """A card number, or a stranger's sentence, would stand in the ledger through the reason of a refusal."""
    with pytest.raises(PayloadRefused) as refused:
        mqtt_messages.decode_card(b'{"id":"r","number":"04a1b2c3","at_ms":1,"SECRET":"04a1b2c3"}')
    assert str(refused.value) == "malformed"


@pytest.mark.parametrize("payload", [b"", b"Online", b"online\n", b'"online"', b"1", b"\xff"])
def test_a_state_is_one_of_two_words(payload):
    """A device would count as online because of noise."""
    with pytest.raises(PayloadRefused):
        mqtt_messages.decode_state(payload)


def test_the_two_states():
    """A device's last will would not be understood."""
    assert mqtt_messages.decode_state(b"online") is True
    assert mqtt_messages.decode_state(b"offline") is False


def test_inputs_and_acknowledgements():
    """A door contact or a relay would not be understood."""
    moved = mqtt_messages.decode_input(b'{"id":"c-9","is_active":true,"at_ms":5}')
    assert (moved.id, moved.is_active, moved.at_ms) == ("c-9", True, 5)
    done = mqtt_messages.decode_done(b'{"id":"","is_on":false}')
    assert (done.id, done.is_on) == ("", False)
    with pytest.raises(PayloadRefused):
        mqtt_messages.decode_input(b'{"id":"c-9","is_active":1,"at_ms":5}')
    with pytest.raises(PayloadRefused):
        mqtt_messages.decode_done(b'{"id":"c-9","is_on":"true"}')


@pytest.mark.req("B-22")
def test_commands_carry_id_issue_and_expiry():
    """A relay could not tell an old command from a new one."""
    release = json.loads(
        mqtt_messages.encode_command(Release(id="k-1", for_ms=5000, issued_ms=1000, not_after_ms=4000))
    )
    assert release == {"do": "release", "id": "k-1", "for_ms": 5000, "issued_ms": 1000, "not_after_ms": 4000}
    secure = json.loads(mqtt_messages.encode_command(Secure(id="k-2", issued_ms=1000, not_after_ms=4000)))
    assert secure == {"do": "secure", "id": "k-2", "issued_ms": 1000, "not_after_ms": 4000}


SHOWN = ["granted", "refused", "not_read", "out_of_order", "enter_pin", "second_card"]


@pytest.mark.parametrize("what", SHOWN)
def test_what_a_reader_shows(what):
    """A reader would stay dark."""
    shown = json.loads(mqtt_messages.encode_show(Show(id="s-1", show=what, not_after_ms=4000)))
    assert shown == {"id": "s-1", "show": what, "not_after_ms": 4000}


@pytest.mark.parametrize("what", SHOWN)
def test_a_number_goes_with_a_refusal_alone(what):
    """Somebody refused could not say which refusal; or a number would stand beside a grant."""
    show = Show(id="s-1", show=what, not_after_ms=4000, number="B7KX")
    if what in {"refused", "out_of_order"}:
        assert json.loads(mqtt_messages.encode_show(show))["number"] == "B7KX"
    else:
        with pytest.raises(ValueError, match="carries no number"):
            mqtt_messages.encode_show(show)


@pytest.mark.parametrize("number", ["", "B7K", "B7KXX", "b7kx", "A7KX", "07KX", "1LKX", "B7KX\n", "B7K ", "B7K\uff12"])
def test_a_number_that_cannot_be_read_out_does_not_reach_a_device(number):
    """O or 0, I or 1: an officer would look for another refusal; and vowels make words."""
    with pytest.raises(ValueError, match="refused by the device"):
        mqtt_messages.encode_show(Show(id="s-1", show="refused", not_after_ms=4000, number=number))


GOOD_KEYS = b'{"id":"k-1","digits":"0042","at_ms":5}'


def test_digits_are_read_and_their_message_does_not_show_them():
    """A PIN could not be typed, or would stand in a traceback."""
    keys = mqtt_messages.decode_keys(GOOD_KEYS)
    assert (keys.id, keys.digits, keys.at_ms) == ("k-1", "0042", 5)
    assert "0042" not in repr(keys)
    assert "0042" not in str(keys)


BAD_KEYS = {
    "too few": GOOD_KEYS.replace(b"0042", b"042"),
    "too many": GOOD_KEYS.replace(b"0042", b"0123456789012"),
    "a letter": GOOD_KEYS.replace(b"0042", b"004A"),
    "a sign": GOOD_KEYS.replace(b"0042", b"004#"),
    "full width": GOOD_KEYS.replace(b"0042", "００４２".encode()),
    "a line end": GOOD_KEYS.replace(b"0042", b"0042\\n"),
    "a number": b'{"id":"k-1","digits":1234,"at_ms":5}',
    "null": b'{"id":"k-1","digits":null,"at_ms":5}',
    "no id": b'{"digits":"0042","at_ms":5}',
    "no time": b'{"id":"k-1","digits":"0042"}',
    "unknown field": GOOD_KEYS.replace(b"}", b',"holder":"x"}'),
    "cut short": GOOD_KEYS[:-1],
}


@pytest.mark.parametrize("payload", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_what_is_not_exactly_digits_is_refused(payload):
    """Half a PIN would count as a miss, or lock somebody out."""
    with pytest.raises(PayloadRefused) as refused:
        mqtt_messages.decode_keys(payload)
    assert refused.value.why is Refusal.MALFORMED
    assert str(refused.value) == "malformed"


@pytest.mark.parametrize("count", [b"0", b"10", b"-1", b"1.5", b'"1"', b"true", b"null", b"[1]"])
def test_a_count_is_one_to_nine(count):
    """A broken counter would count an army, or nobody."""
    assert mqtt_messages.decode_count(b'{"id":"n","count":9,"at_ms":5}').count == 9
    with pytest.raises(PayloadRefused):
        mqtt_messages.decode_count(b'{"id":"n","count":%s,"at_ms":5}' % count)


BAD_INPUTS = {
    "neither": b'{"id":"c","at_ms":5}',
    "both": b'{"id":"c","is_active":true,"fault":"cut","at_ms":5}',
    "fault null beside a state": b'{"id":"c","is_active":true,"fault":null,"at_ms":5}',
    "state null beside a fault": b'{"id":"c","is_active":null,"fault":"cut","at_ms":5}',
    "fault unknown": b'{"id":"c","fault":"noisy","at_ms":5}',
    "fault a number": b'{"id":"c","fault":1,"at_ms":5}',
}


@pytest.mark.req("B-09")
@pytest.mark.parametrize("payload", BAD_INPUTS.values(), ids=BAD_INPUTS.keys())
def test_a_line_is_open_closed_or_faulty_and_one_of_them(payload):
    """A cut wire could be taken for a closed door."""
    assert mqtt_messages.decode_input(b'{"id":"c","fault":"cut","at_ms":5}').fault == "cut"
    with pytest.raises(PayloadRefused) as refused:
        mqtt_messages.decode_input(payload)
    assert refused.value.why is Refusal.MALFORMED


@pytest.mark.parametrize(
    "command",
    [
        Release(id="", for_ms=5000, issued_ms=0, not_after_ms=0),
        Release(id="k", for_ms=0, issued_ms=0, not_after_ms=0),
        Release(id="k", for_ms=600_001, issued_ms=0, not_after_ms=0),
        Secure(id="k", issued_ms=-1, not_after_ms=0),
    ],
)
def test_our_own_mistake_does_not_reach_a_device(command):
    """A strike would be held on for ever by a number out of range."""
    with pytest.raises(ValueError, match="refused by the device"):
        mqtt_messages.encode_command(command)


@given(st.binary(max_size=1100))
def test_random_bytes_are_refused_and_never_raise_anything_else(payload):
    """A device with a broken memory would end the link."""
    for decode in (
        mqtt_messages.decode_card,
        mqtt_messages.decode_keys,
        mqtt_messages.decode_count,
        mqtt_messages.decode_input,
        mqtt_messages.decode_done,
        mqtt_messages.decode_state,
    ):
        if payload in (b"online", b"offline"):
            continue
        with pytest.raises(PayloadRefused):
            decode(payload)


@given(st.integers(min_value=0, max_value=len(GOOD_CARD) - 1))
def test_a_truncated_read_is_no_read(cut):
    """The first half of a message would be decided on."""
    with pytest.raises(PayloadRefused):
        mqtt_messages.decode_card(GOOD_CARD[:cut])
