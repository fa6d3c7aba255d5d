"""What somebody with an officer's sign-in asks of the ledger's addresses: paths that lead out, numbers too large for a
database, headers that say another thing. None of it is an error of ours, and none is kept by a cache.
"""

from __future__ import annotations

import pytest

from tests.api.test_ledger import LEDGER, Face, face  # noqa: F401 - a fixture

pytestmark = pytest.mark.req("A-27")

BIG = ("9" * 18, "9223372036854775807", "9223372036854775808", "1" + "0" * 30, "9" * 5000, "-1", "0x1", "1e3", "１", "")
PATHS = (
    *("tile/0/../../checkpoint", "tile/0/%2e%2e/%2e%2e/checkpoint", "tile/0/..%2f..%2fapi.db", "tile//000"),
    *("tile/0/x000/000", "tile/0/0000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/64/000"),
    *(
        "tile/entries/000%00",
        "tile/entries/000?x=/../y",
        "tile/0/000/",
        "tile/0/000.p/1/",
        "tile/entries/x999/x999/x999/999",
    ),
)


def test_no_question_about_the_ledger_is_an_error_of_ours(face: Face) -> None:  # noqa: F811 - the fixture
    """Whoever asks oddly enough learns what an error of ours says, or has it kept for others under a true address."""
    face.grows(3, 300)
    asked = [*PATHS]
    for number in BIG:
        asked += [f"records/{number}/proof", f"consistency?old={number}", f"consistency?old=1&new={number}"]
        asked += [f"tile/0/{number}", f"tile/{number}/000", f"tile/entries/000.p/{number}"]
    for path in asked:
        answer = face.get(path)
        assert answer.status_code < 500, path
        if answer.status_code != 200:
            assert "immutable" not in answer.headers.get("cache-control", ""), path
    assert face.get("tile/0/000").headers["cache-control"] == face.get("tile/0/000?x=1").headers["cache-control"]


def test_where_an_officer_resumes_is_a_number_or_nothing(face: Face) -> None:  # noqa: F811 - the fixture
    """A hostile page's header ends the stream of everybody, or a line of it is read as an event."""
    for given in ("9" * 17, "1 data: x", "--1", "1.5", "+1", "\u0661"):
        headers = {"Last-Event-ID": given.encode("utf-8", "replace")}
        answer = face.web.client.get("/api/v1/events/stream", headers=headers)
        assert 400 <= answer.status_code < 500, given


def test_a_forged_host_or_method_changes_nothing(face: Face) -> None:  # noqa: F811 - the fixture
    """A cache in between keeps a tile of ours under somebody else's name, or a write reaches the ledger."""
    assert face.get("tile/0/000", Host="evil.example").status_code >= 400
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert face.web.client.request(method, f"{LEDGER}/checkpoint").status_code in (403, 404, 405)
