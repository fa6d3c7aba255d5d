"""docs/asyncapi.yaml and docs/schema/stream-record.schema.json say what the program sends."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from api.models import EventPublic
from controller.streams import mqtt_message
from controller.streams.mqtt_message import Kept, Piece
from controller.streams.outgoing import outgoing, stream_record
from controller.streams.schema import FILE, published, stream_record_schema
from controller.streams.webhook import payload_of
from controller.streams.webhook_signature import signature, webhook_id
from tests.controller.streams.made_ledger import ORIGIN, START_MS, made, record

DOCS = Path(__file__).parents[3] / "docs"
PAGE: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text("utf-8"))
MESSAGES: dict[str, Any] = PAGE["components"]["messages"]
SAMPLES = (
    made(0, zone="区画"),
    made(1, START_MS + 20_000),
    outgoing(msgspec.structs.replace(record(2), body=None, salt=None, checkpoint=None), ORIGIN, START_MS),
    outgoing(msgspec.structs.replace(record(3), body='{"v":2}'), ORIGIN, START_MS),
)
"""In time, late, with its body dropped, and of a later schema."""


@pytest.mark.req("A-28")
def test_the_published_schema_is_what_the_program_sends():
    """Whoever reads our records by the published schema refuses them."""
    assert (DOCS / "schema" / FILE).read_bytes() == published()[FILE], "run `sekisho ledger schema docs/schema`"
    is_valid = jsonschema_rs.validator_for(stream_record_schema())
    for one in SAMPLES:
        assert is_valid.is_valid(json.loads(stream_record(one))), one
    assert not is_valid.is_valid(json.loads(stream_record(SAMPLES[0])) | {"name": "Sato"})


def test_every_reference_leads_somewhere():
    """A generator of clients stops at a name that is not there."""
    for target in re.findall(r'\$ref: "([^"]+)"', (DOCS / "asyncapi.yaml").read_text("utf-8")):
        if not target.startswith("#/"):
            assert (DOCS / target).exists(), target
            continue
        place: Any = PAGE
        for name in target[2:].split("/"):
            place = place[name]
    assert PAGE["asyncapi"] == "3.0.0"
    assert {one["action"] for one in PAGE["operations"].values()} == {"send", "receive"}


def test_topics_and_their_messages():
    """A collector subscribes to a topic that nobody speaks on."""
    addresses = {name: one["address"].replace("{node}", "lab") for name, one in PAGE["channels"].items()}
    assert addresses["ledger"] == mqtt_message.ledger_topic("lab")
    assert addresses["checkpoint"] == mqtt_message.checkpoint_topic("lab")
    assert addresses["kept"] == mqtt_message.kept_topic("lab")
    assert MESSAGES["record"]["contentType"] == mqtt_message.RECORD_TYPE
    assert MESSAGES["piece"]["contentType"] == mqtt_message.PIECE_TYPE
    assert MESSAGES["checkpoint"]["contentType"] == mqtt_message.CHECKPOINT_TYPE
    for name, kind in (("piece", Piece), ("kept", Kept)):
        assert set(MESSAGES[name]["payload"]["properties"]) == set(kind.__struct_fields__)


@pytest.mark.req("A-28")
def test_a_webhook_is_as_told():
    """A receiver that was generated from the page refuses what comes."""
    payload = MESSAGES["webhook"]["payload"]["schema"]
    payload["properties"]["data"] = stream_record_schema()
    is_valid = jsonschema_rs.validator_for(payload)
    for one in SAMPLES:
        assert is_valid.is_valid(json.loads(payload_of(one))), one
    pattern = MESSAGES["webhook"]["headers"]["properties"]["webhook-signature"]["pattern"]
    for keys in ([bytes(24)], [bytes(24), bytes(32)]):
        assert re.fullmatch(pattern, signature(keys, webhook_id(SAMPLES[0].number), 1, b"{}"))
    assert base64.b64decode(signature([bytes(24)], "x", 1, b"")[3:])


def test_server_sent_events_are_as_told():
    """A wall display waits for a field that is called otherwise."""
    told = MESSAGES["event"]["payload"]
    names = {field.serialization_alias or field.alias or name for name, field in EventPublic.model_fields.items()}
    assert set(told["properties"]) == names == set(told["required"])
