"""The published form of a record on the way: `docs/schema/stream-record.schema.json`, made from `StreamRecord`.

JSON Schema 2020-12; what stands in `body` is `record.schema.json`. Written by `sekisho ledger schema`, held by a test.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller.streams.outgoing import StreamRecord

BASE: Final = "https://sekisho.example/schema/"
FILE: Final = "stream-record.schema.json"

_MEANS: Final = {
    "v": "version of this envelope",
    "origin": "which ledger: the first line of its checkpoints; with seq the record's name everywhere",
    "seq": "its place in the ledger, from 0 without a gap",
    "class": "how long its body is kept",
    "leaf": "the exact text of the leaf (docs/ledger.md §1)",
    "type": "of the body; absent where the body was dropped or is of a later schema",
    "at_ms": "of the body: UTC milliseconds since 1970",
    "zone": "of the body",
    "late_ms": "how long after at_ms it was sent, where that is more than 10 s",
    "salt": "hex; absent with the body",
    "body": "its canonical form (RFC 8785) is what SHA-256(salt, body) in the leaf is over; absent where dropped",
    "checkpoint": "signed tree head (C2SP tlog-checkpoint), where the record closed a commit",
}


def stream_record_schema() -> dict[str, Any]:
    """The schema of a record as webhook and MQTT carry it."""
    _, parts = msgspec.json.schema_components([StreamRecord])
    whole: dict[str, Any] = parts["StreamRecord"]
    properties = {name: {"description": _MEANS[name], **_plain(kind)} for name, kind in whole["properties"].items()}
    properties["body"] |= {"type": "object", "$comment": f"{BASE}record.schema.json says what is in it"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": BASE + FILE,
        "title": "A record of the Sekisho ledger on its way",
        "description": "docs/streams.md §2",
        "type": "object",
        "properties": properties,
        "required": whole["required"],
        "additionalProperties": False,
    }


def _plain(kind: dict[str, Any]) -> dict[str, Any]:
    """Null is never written: what does not apply is absent."""
    options = [one for one in kind.get("anyOf", ()) if one != {"type": "null"}]
    return options[0] if options else {key: value for key, value in kind.items() if key != "default"}


def published() -> dict[str, bytes]:
    """File name -> text."""
    return {FILE: msgspec.json.format(msgspec.json.encode(stream_record_schema()), indent=1) + b"\n"}
