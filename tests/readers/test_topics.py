"""readers/topics.py: what may stand on a broker for all to see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import topics
from readers.topics import Address

PUBLISHED = [
    ("sekisho/v1/reader-7/card", Address(device="reader-7", channel="card")),
    ("sekisho/v1/lab-east/input/contact", Address(device="lab-east", channel="input", line="contact")),
    ("sekisho/v1/lab-east/input/rex", Address(device="lab-east", channel="input", line="rex")),
    ("sekisho/v1/lab-east/input/fire", Address(device="lab-east", channel="input", line="fire")),
    ("sekisho/v1/lab-east/input/tamper", Address(device="lab-east", channel="input", line="tamper")),
    ("sekisho/v1/lab-east/input/power", Address(device="lab-east", channel="input", line="power")),
    ("sekisho/v1/reader-7/keys", Address(device="reader-7", channel="keys")),
    ("sekisho/v1/over-door/count", Address(device="over-door", channel="count")),
    ("sekisho/v1/0/state", Address(device="0", channel="state")),
    ("sekisho/v1/relay-1/done", Address(device="relay-1", channel="done")),
]


@pytest.mark.parametrize("topic,address", PUBLISHED)
def test_what_devices_send_is_recognised(topic, address):
    """A reader's message would be taken for nobody's."""
    assert topics.parse(topic) == address


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "sekisho/v1/reader-7",
        "sekisho/v1/reader-7/",
        "sekisho/v1//card",
        "sekisho/v1/Reader/card",
        "sekisho/v1/reader_7/card",
        "sekisho/v1/reader-7/card/",
        "sekisho/v1/reader-7/card\n",
        "sekisho/v1/reader-7/input",
        "sekisho/v1/reader-7/input/bell",
        "sekisho/v1/reader-7/keys/1",
        "sekisho/v1/reader-7/input/keys",
        "sekisho/v1/reader-7/command",
        "sekisho/v1/reader-7/show",
        "sekisho/v2/reader-7/card",
        "sekisho/v1/+/card",
        "sekisho/v1/" + "a" * 65 + "/card",
        "sekisho/v1/読取機/card",
        "sekisho/v1/reader-٣/card",
    ],
)
def test_anything_else_is_nobodys(topic):
    """A stranger's topic, or our own command coming back, would be read as a device's word."""
    assert topics.parse(topic) is None


@given(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True))
def test_every_topic_that_is_built_is_read_back(device):
    """A device would be configured that is never heard."""
    assert topics.parse(topics.card(device)) == Address(device=device, channel="card")
    assert topics.parse(topics.state(device)) == Address(device=device, channel="state")
    assert topics.parse(topics.keys(device)) == Address(device=device, channel="keys")
    assert topics.parse(topics.count(device)) == Address(device=device, channel="count")
    assert topics.parse(topics.done(device)) == Address(device=device, channel="done")
    for line in topics.INPUT_LINES:
        assert topics.parse(topics.input_line(device, line)) == Address(device=device, channel="input", line=line)
    assert topics.sender(topics.command(device)) == device


@given(st.text(max_size=120))
def test_no_text_breaks_the_parser(text):
    """A hostile topic would end the link's thread."""
    assert topics.parse(text) is None or text.startswith("sekisho/v1/")
    topics.sender(text)


@pytest.mark.parametrize("device", ["", "A", "a/b", "+", "#", "a" * 65, "a b", "a\n", "名"])
def test_a_device_id_that_could_widen_a_topic_is_refused(device):
    """A site file with `+` as a device id would command every relay at once."""
    with pytest.raises(ValueError, match="a-z, 0-9 and '-'"):
        topics.command(device)


def test_an_unknown_input_line_is_refused():
    """A misspelt line would be subscribed and never heard."""
    with pytest.raises(ValueError, match="contact"):
        topics.input_line("lab", "bell")


@pytest.mark.req("E-11")
def test_topics_speak_of_devices_and_of_nothing_else():
    """Whoever watches the network would learn from a topic's words what a zone protects or who passes."""
    built = [topics.card("d"), topics.state("d"), topics.done("d"), topics.command("d"), topics.show("d")]
    built += [topics.keys("d"), topics.count("d")]
    built += [topics.input_line("d", line) for line in topics.INPUT_LINES]
    words = {word for topic in (*built, *topics.SUBSCRIPTIONS) for word in topic.split("/")}
    said = {
        "card",
        "keys",
        "count",
        "input",
        "contact",
        "rex",
        "tamper",
        "fire",
        "power",
        "state",
        "done",
        "command",
        "show",
    }
    assert words == {"sekisho", "v1", "d", "+", *said}


def test_every_line_is_listened_to_before_reads():
    """A fire alarm would wait behind a thousand reads, or be heard by nobody."""
    for line in topics.INPUT_LINES:
        assert f"sekisho/v1/+/input/{line}" in topics.INPUTS
    assert not set(topics.INPUTS) & set(topics.READS)
    assert {"sekisho/v1/+/keys", "sekisho/v1/+/count"} < set(topics.ACTS)


@pytest.mark.req("B-22")
def test_the_controller_never_listens_to_commands():
    """A command that somebody published would come back to the controller as news."""
    assert not any(topic.endswith(("command", "show", "#")) for topic in topics.SUBSCRIPTIONS)
