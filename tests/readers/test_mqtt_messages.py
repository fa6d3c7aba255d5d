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


def test_what_a_reader_shows():
    """A reader would stay dark."""
    shown = json.loads(mqtt_messages.encode_show(Show(id="s-1", show="refused", not_after_ms=4000)))
    assert shown == {"id": "s-1", "show": "refused", "not_after_ms": 4000}


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
