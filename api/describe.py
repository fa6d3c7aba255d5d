"""The OpenAPI description, finished: tags, words for every parameter and error, examples that are valid, Retry-After.

What routes say of themselves stays; what they leave out is filled in here from tables, so that a route that is added
tomorrow is described tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.problem_words import PROBLEMS
from controller.link.messages import REFUSAL_CODES

Doc = dict[str, Any]

PARTS_OF_IT: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "sign-in": (
            "Who is signed in, and by what: passkeys, sessions, API tokens, one-time links.",
            ("sign-in", "sign-out", "session", "sessions", "enrolment", "officers", "password", "tokens", "oidc"),
        ),
        "proposals": ("Changes that wait for their officers' signatures.", ("proposals", "suggestions", "cards")),
        "registers": (
            "Who may enter where: each change is a proposal.",
            (
                *("cardholders", "credentials", "clearances", "needs-to-know", "rosters", "items", "trainings"),
                *("declarations", "visits", "overrides", "reviews", "review"),
            ),
        ),
        "places": (
            "Zones, doors and devices, as they stand.",
            ("zones", "portals", "devices", "site-status", "presence", "fire", "plan"),
        ),
        "alarms": ("What is wrong, and what it was; who is inside.", ("alarms", "roll-call", "log-review", "reports")),
        "decisions": (
            "Why, again, what if; whether the site is sound.",
            ("decisions", "replay", "what-if", "lint", "proofs"),
        ),
        "records": ("What happened, as a list and as a stream; the ledger and its proofs.", ("events", "ledger")),
        "files": ("Registers as files.", ("exports", "imports", "agreements")),
        "own": ("What is one's own.", ("me",)),
        "service": ("Whether this process lives.", ("health", "webhooks", "settings")),
    }
)
"""Tag -> what it holds, and the first parts of its addresses."""

PARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "id": "its id",
        "name": "its id",
        "limit": "how many at most on one page",
        "cursor": "`next` of the page before; the first page has none",
        "after": "the last record that is known; what comes behind it is answered",
        "cardholder": "only of this person",
        "zone": "only of this zone",
        "q": "part of an id, or of a name in any of its forms",
        "sort": "in which order",
        "state": "only those that stand so",
        "type": "only of these kinds",
        "everybody": "those of all officers, for who may see them",
        "decision": "a record's number, or the four characters of a refusal",
        "level": "of the tree; 0 are the hashes of records",
        "old": "size of the older tree",
        "new": "size of the newer tree; the newest where it is left out",
        "seq": "the record's number",
        "accept": "text/plain for C2SP tlog-proof, else JSON",
        "last-event-id": "where a client that was cut off goes on",
        "register": "which register",
        "format": "of the file",
        "from_on": "first day",
        "until_on": "last day",
    }
)

ERRORS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        400: ("The request cannot be taken apart.", "bad_request"),
        401: ("Nobody is signed in, or the token is over.", "no_token"),
        403: (
            "Not this officer's to see or to do, from another site, or the passkey is asked for again.",
            "not_your_role",
        ),
        404: ("There is no such thing, or not for this officer.", "not_found"),
        405: ("The address does not take that method; `Allow` says which it takes.", "method_not_allowed"),
        409: ("It does not go together with how things stand.", "stale_base"),
        412: ("It was changed since it was looked at: `If-Match` is old.", "stale_etag"),
        413: ("The body is larger than is taken.", "too_large"),
        421: ("This server does not answer for that host name.", "other_host"),
        422: (
            "Fields are not valid (`errors` says which), or the rules of the registers do not take them.",
            "not_valid",
        ),
        428: ("`If-Match` is missing.", "if_match_missing"),
        429: ("Too often; `Retry-After` says when to try again.", "sign_in_delayed"),
        500: ("A fault of ours. Doors go on.", "internal"),
        502: ("The controller answered what nobody expected.", "not_done"),
        503: ("The controller is away, or too much waits; `Retry-After` says when to try again.", "controller_away"),
    }
)
"""Status -> what it means, and the code of its example."""

EVERYWHERE: Final = (400, 429, 502)
"""What any operation may answer, beside what it says itself."""

EXAMPLES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "cardholder": "c-12",
        "zone": "lab",
        "portal": "lab-east",
        "item": "item-0042",
        "name": "佐藤 花子",
        "kana": "さとう はなこ",
        "roman": "SATO Hanako",
        "number": "04a1b2c3d4e5f6",
        "last4": "e5f6",
        "officer": "officer-01",
        "course": "entry-2026",
        "purpose_code": "P-01",
        "pin": "493817",
        "duress": "718394",
        "from_on": "2026-04-01",
        "until_on": "2027-03-31",
        "review_on": "2026-06-30",
        "notified_on": "2026-04-01",
        "last_valid_on": "2036-03-31",
        "recert_on": "2026-09-30",
        "done_on": "2026-04-01",
        "due_on": "2027-03-31",
        "designated_until": "2031-03-31",
        "requested_by": "officer-02",
        "recorded_by": "officer-01",
        "confirmed_by": "officer-03",
        "purpose": "audit",
        "at": "2026-04-01T09:00:00.000+09:00",
        "sponsor": "officer-02",
        "note": "清掃業者の通行",
        "incident": "INC-2026-7",
        "id": "r-0a1b2c3d4e5f",
        "locker": "L-7",
        "scopes": "events",
        "table": "roster",
        "row": {
            "id": "r-0a1b2c3d4e5f",
            "cardholder": "c-12",
            "zone": "lab",
            "from_on": "2026-04-01",
            "until_on": "2027-03-31",
            "review_on": "2026-06-30",
        },
    }
)
"""Field -> what stands in it in an example, where its schema takes that."""


def describe(app: FastAPI) -> Doc:
    """The description of `app`, in which every error is a problem and nothing else; made once."""
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        described["tags"] = [{"name": name, "description": says} for name, (says, _) in PARTS_OF_IT.items()]
        schemas = described["components"]["schemas"]
        _finish_problem(schemas)
        for path, operations in described["paths"].items():
            for method, operation in operations.items():
                _finish(path, method, operation, schemas)
        app.openapi_schema = described
    return app.openapi_schema


def _finish(path: str, method: str, operation: Doc, schemas: Doc) -> None:
    """One operation: its tag, its words, its errors, its examples."""
    operation["tags"] = [part_of(path)]
    operation.setdefault("description", f"{operation['summary']}.")
    for parameter in operation.get("parameters", ()):
        if "description" not in parameter and (says := PARAMETERS.get(parameter["name"].lower())):
            parameter["description"] = says
    responses = operation["responses"]
    for status in EVERYWHERE:
        responses.setdefault(str(status), {})
    for status, response in responses.items():
        if int(status) >= 400:
            _finish_error(path, int(status), response)
        elif method != "delete":
            _give_examples(response.get("content", {}), schemas)
    _give_examples(operation.get("requestBody", {}).get("content", {}), schemas)


def part_of(path: str) -> str:
    """The tag of an address, by the part behind /api/v1/."""
    first = path.removeprefix("/api/v1/").partition("/")[0]
    return next((name for name, (_, firsts) in PARTS_OF_IT.items() if first in firsts), "service")


def _finish_error(path: str, status: int, response: Doc) -> None:
    says, code = ERRORS.get(status, ERRORS[400])
    title, detail = PROBLEMS[code]["en"] if code in PROBLEMS else PROBLEMS["not_done"]["en"]
    example = {
        "type": f"urn:sekisho:problem:{code}", "title": title, "status": status, "detail": detail, "instance": path,
        "code": code,
    }  # fmt: skip
    response["description"] = says
    schema = {"$ref": "#/components/schemas/ProblemPublic"}
    response["content"] = {"application/problem+json": {"schema": schema, "example": example}}
    if status in (429, 503):
        response["headers"] = {
            "Retry-After": {"description": "seconds to wait, where that is known", "schema": {"type": "integer"}}
        }


def _finish_problem(schemas: Doc) -> None:
    """The codes of problems, each with its words."""
    codes = sorted({*PROBLEMS, *REFUSAL_CODES})
    lines = [f"- `{code}`: {' — '.join(PROBLEMS[code]['en'])}" for code in codes if code in PROBLEMS]
    schemas["ProblemPublic"]["properties"]["code"] |= {"enum": codes, "description": "Stable.\n" + "\n".join(lines)}


# -- examples ----------------------------------------------------------------------------------------------------------


def _give_examples(content: Doc, schemas: Doc) -> None:
    for media, described in content.items():
        if media == "application/json" and "example" not in described and "schema" in described:
            described["example"] = example_of(described["schema"], schemas)


def example_of(schema: Doc, schemas: Doc, name: str = "", depth: int = 0) -> Any:
    """A value that the schema takes, with what stands in EXAMPLES where a field of that name is asked for."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth)
    for said in ("example", "const", "default"):
        if said in schema and (said != "default" or schema[said] not in ("", None, [])):
            return schema[said]
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return example_of(next((one for one in options if one.get("type") != "null"), options[0]), schemas, name, depth)
    return _plain(schema, schemas, name, depth)


def _plain(schema: Doc, schemas: Doc, name: str, depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object" and not schema.get("properties") and isinstance(EXAMPLES.get(name), dict):
        return EXAMPLES[name]
    if kind == "object":
        return dict(_fields(schema, schemas, depth)) if depth < 6 else {}
    if kind == "array":
        few = schema.get("items") and depth < 6 and schema.get("maxItems", 1) > 0
        if "prefixItems" in schema:
            return [example_of(one, schemas, name, depth + 1) for one in schema["prefixItems"]]
        return [example_of(schema["items"], schemas, name, depth + 1)] if few else []
    if kind == "integer":
        return max(int(schema.get("minimum", 1)), 1)
    if kind in ("boolean", "number"):
        return False if kind == "boolean" else 1
    if kind == "string":
        return _text(schema, name)
    return None


def _fields(schema: Doc, schemas: Doc, depth: int) -> Iterator[tuple[str, Any]]:
    """Needed fields, and the others as well, where they say anything."""
    needed = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        value = example_of(one, schemas, name, depth + 1)
        if name in needed or value not in (None, [], {}, False):
            yield name, value


_HINTS: Final[Mapping[str, str]] = MappingProxyType({"date": "2026-04-01", "date-time": "2026-04-01T09:00:00+09:00"})
_LIKELY: Final = (
    *(
        "c-01",
        "123456",
        "7QK4",
        "04a1b2c3",
        "P-01",
        "ACCESS_DENIED",
        "AAAABBBBCCCCDDDDAAAABBBBCCCCDDDD",
        "AAAABBBBCCCC",
    ),
    *("2026-04-01", "2026-04-01T09:00:00+09:00", "0" * 64, "…"),
)


def _text(schema: Doc, name: str) -> str:
    """The first text that the schema takes."""
    pattern, least = re.compile(schema.get("pattern", "")), int(schema.get("minLength", 0))
    most = int(schema.get("maxLength", 1000))
    named = (EXAMPLES.get(name), _HINTS.get(schema.get("format", "")), f"{name.replace('_', '-')}-01")
    likely = [one for one in (*named, *_LIKELY) if isinstance(one, str)]
    return next((one for one in likely if pattern.search(one) and least <= len(one) <= most), "A" * max(least, 1))
