"""The published form of a record: `docs/schema/catalogue.json` and `docs/schema/record.schema.json` (A-20, A-21).

Both are made from `controller.ledger.catalogue` and `controller.ledger.body` and are held to them by a test. The schema
is JSON Schema 2020-12: a record's body, and for each type what its detail may hold. Written by
`sekisho ledger schema`; docs/ledger.md §5 and §6 say the same in words.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller.ledger.body import SCHEMA, Body
from controller.ledger.canonical import INTEGER_MAX
from controller.ledger.catalogue import CATALOGUE, RecordType

BASE: Final = "https://sekisho.example/schema/"

_TEXT: Final = {"type": "string"}
_WHOLE: Final = {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}
_TRUTH: Final = {"type": "boolean"}
_TEXTS: Final = {"type": "array", "items": _TEXT}
_SIGNATURE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": dict.fromkeys(("authenticator_data", "client_data", "credential", "signature"), _TEXT),
    "required": ["authenticator_data", "client_data", "credential", "signature"],
    "additionalProperties": False,
}
_STAND_INS: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}, {"enum": ["@1", "@2"]}]},
}
"""Which put, which field, and what stood there when it was signed."""

_RANGES: Final = {
    "type": "array",
    "items": {"type": "array", "prefixItems": [_WHOLE, _WHOLE], "minItems": 2, "items": False},
}
_ROW: Final = {"type": "array", "prefixItems": [_TEXT, {"type": "object"}], "minItems": 2, "items": False}
_PLACE: Final = {"type": "array", "prefixItems": [_TEXT, _TEXT], "minItems": 2, "items": False}
_EDIT: Final = {
    "type": "object",
    "properties": {"puts": {"type": "array", "items": _ROW}, "drops": {"type": "array", "items": _PLACE}},
    "required": ["puts", "drops"],
    "additionalProperties": False,
}

_WHOLES: Final = frozenset(
    {
        *("count", "counted", "granted", "first", "from_seq", "to_seq", "size", "records_lost"),
        *("term_days", "used_percent", "free_mb", "version"),
    }
)
"""Keys that hold integers, besides those that end in a unit."""

_DECISION: Final = ("outcome", "reason", "access_point", "evidence", "trace", "revision", "detail")
_NEEDED: Final = {
    "ACCESS_GRANTED": (*_DECISION, "zone", "portal", "subject", "corr"),
    "ACCESS_DENIED": _DECISION,
    "EXIT_GRANTED": _DECISION,
    "PASSAGE": ("zone", "portal", "direction", "corr"),
    "RELEASED": ("zone", "portal", "actor", "corr", "detail"),
    "POLICY_EDITED": ("actor", "revision", "detail"),
    "EDIT_REFUSED": ("actor", "detail"),
    "COMMAND_REFUSED": ("actor", "detail"),
    "NOTE": ("actor", "detail"),
    "PURGED": ("detail",),
}
"""What a record of a type is no evidence without (A-21): who, where, how it came out and why, by which device."""

_DETAIL_NEEDED: Final = {
    "ACCESS_GRANTED": ("device",),
    "ACCESS_DENIED": ("device",),
    "EXIT_GRANTED": ("device",),
    "POLICY_EDITED": ("base", "edit", "id", "revision", "signed"),
    "NOTE": ("id", "kind"),
    "PURGED": ("code", "count", "of_class", "ranges", "reckoned_ms", "term_days"),
}
_VERSION_IS_TEXT: Final = "CONTROLLER_STARTED"
"""The product's version is text there; a key's (KEY_ROTATED) is a number."""


def detail_schema(row: RecordType) -> dict[str, Any]:
    """What the detail of one type may hold, as JSON Schema."""
    keys = sorted(row.keys.split())
    return {"type": "object", "properties": {key: _key(row.type, key) for key in keys}, "additionalProperties": False}


def _key(type_: str, key: str) -> dict[str, Any]:
    if key == "edit":
        return _EDIT
    if key == "ranges":
        return _RANGES
    if key == "signatures":
        return {"type": "array", "items": _SIGNATURE}
    if key == "stand_ins":
        return _STAND_INS
    if key == "roles":
        return _TEXTS
    if key == "signed" or key.startswith("is_"):
        return _TRUTH
    if (key in _WHOLES or key.endswith("_ms")) and not (key == "version" and type_ == _VERSION_IS_TEXT):
        return _WHOLE
    return _TEXT


def record_schema() -> dict[str, Any]:
    """JSON Schema of a record's body, strict in what each type's detail may hold."""
    (body,), parts = msgspec.json.schema_components([Body], ref_template="#/$defs/{name}")
    whole: dict[str, Any] = parts.pop(body["$ref"].rsplit("/", 1)[1])
    types = [row.type for row in CATALOGUE]
    whole["properties"]["type"] = {"enum": types}
    whole["properties"]["detail"] = {"type": "object"}
    cases = [_case(row) for row in CATALOGUE]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{BASE}record.schema.json",
        "title": "Body of a record of the Sekisho ledger",
        "description": "docs/ledger.md §5 and §6. Schema version " + str(SCHEMA),
        **{key: _plain(value) for key, value in whole.items() if key not in ("title", "description")},
        "allOf": cases,
        "$defs": {name: _plain(part) for name, part in sorted(parts.items())},
    }


def _case(row: RecordType) -> dict[str, Any]:
    """What holds where a record is of one type: an empty detail is left out of a record altogether."""
    then: dict[str, Any] = {"not": {"required": ["detail"]}}
    if row.keys:
        needed = list(_DETAIL_NEEDED.get(row.type, ()))
        then = {"properties": {"detail": detail_schema(row) | ({"required": needed} if needed else {})}}
    if row.type in _NEEDED:
        then["required"] = list(_NEEDED[row.type])
    return {"if": {"properties": {"type": {"const": row.type}}, "required": ["type"]}, "then": then}


def _plain(value: Any) -> Any:
    """As JSON has it. An absent field does not apply and null is never written, so no default and no null is told."""
    if isinstance(value, dict):
        found = {key: _plain(one) for key, one in value.items() if key != "default"}
        if isinstance(found.get("description"), str):  # a docstring: its indentation differs by Python and msgspec
            found["description"] = " ".join(found["description"].split())
        options = [one for one in found.get("anyOf", ()) if one != {"type": "null"}]
        return options[0] if "anyOf" in found and len(options) == 1 else found
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def catalogue() -> dict[str, Any]:
    """Every type of record, machine-readable, with its reason (A-20)."""
    records = [
        {
            "type": row.type,
            "class": row.class_,
            "is_floor": row.is_floor,
            "why": row.why,
            "detail": detail_schema(row)["properties"],
        }
        for row in CATALOGUE
    ]
    return {"$id": f"{BASE}catalogue.json", "v": SCHEMA, "records": records}


def published() -> dict[str, bytes]:
    """File name -> text, of everything that is published."""
    return {
        "catalogue.json": _file(catalogue()),
        "record.schema.json": _file(record_schema()),
    }


def _file(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
