"""Made-up officers sign what a test proposes, on the pages' own paths, so that it comes into force."""

from __future__ import annotations

from typing import Any

SIGNERS = ("officer-01", "officer-03")
"""Two who can sign anything together; officer-01 is `web.client`."""

PLACES = {"need_to_know": "needs-to-know"}


def sign(web: Any, id: str, officer: str) -> Any:
    """One officer's signature; the answer."""
    client = web.as_(officer)
    options = client.get(f"/api/v1/proposals/{id}").json()["publicKey"]
    assert options is not None, f"{officer} is not asked to sign {id}"
    return client.post(f"/api/v1/proposals/{id}/signature", json=web.asserted(officer, options))


def signed(web: Any, response: Any, *, signers: tuple[str, ...] = SIGNERS) -> dict[str, Any]:
    """The proposal that `response` is, signed by as many as it takes."""
    assert response.status_code == 202, response.text
    told: dict[str, Any] = response.json()
    for officer in signers[: told["signers_needed"]]:
        answer = sign(web, told["id"], officer)
        assert answer.status_code == 200, answer.text
        told = answer.json()
    return told


def in_force(web: Any, response: Any, *, signers: tuple[str, ...] = SIGNERS) -> dict[str, Any]:
    """Signs it, and gives the last row that it put, as the API shows it (as it was put, where that has no address)."""
    told = signed(web, response, signers=signers)
    assert told["state"] == "IN_FORCE", told
    change = told["changes"][-1]
    table, row = change["table"], change["id"]
    shown = web.client.get(f"/api/v1/{PLACES.get(table, table + 's')}/{row}")
    return dict(shown.json()) if shown.status_code == 200 else dict(change["row"])


def patch(web: Any, place: str, asked: dict[str, Any]) -> Any:
    """A change of what is shown at `place` now; the answer."""
    etag = web.client.get(place).headers["etag"]
    return web.client.patch(place, json=asked, headers={"If-Match": etag})
