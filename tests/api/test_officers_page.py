"""The page of officers: posts and passkeys are given and ended by signatures, and the page only begins that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

DAY = datetime.now(UTC).date()
PERIOD = {"from_on": DAY.isoformat(), "until_on": (DAY + timedelta(days=300)).isoformat()}


def proposed(web: Any, answer: Any) -> dict[str, Any]:
    """The proposal that a form led to."""
    assert answer.status_code == 303, answer.text
    return dict(web.client.get("/api/v1" + answer.headers["location"]).json())


def signed(web: Any, told: dict[str, Any]) -> None:
    for officer in ("officer-01", "officer-03")[: told["signers_needed"]]:
        assert web.sign(told["id"], officer).status_code == 200
    web.caught_up()


@pytest.mark.req("D-07", "A-31")
def test_an_officer_comes_by_two_signatures_and_goes_by_one(shared: Any) -> None:
    """Nobody but whoever has the machine could name the third officer, or the one who left stays in post."""
    sent = {"id": "officer-77", "role": ["AUDITOR"], **PERIOD}
    told = proposed(shared, shared.as_("officer-01").post("/officers", data=sent))
    assert (told["weight"], told["signers_needed"]) == ("WIDENS", 2)
    page = shared.as_("officer-01").get("/officers", params={"lang": "ja"}).text
    assert "officer-77を担当者にする変更案が署名待ちです" in page
    signed(shared, told)
    page = shared.as_("officer-01").get("/officers", params={"lang": "ja"}).text
    assert "officer-77" in page and "なし（署名できません）" in page
    link = shared.as_("officer-01").post("/officers/officer-77/link", data={})
    assert link.status_code == 200 and "/enrol#skv_" in link.text
    told = proposed(shared, shared.as_("officer-01").post("/officers/officer-77/end", data={}))
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    signed(shared, told)
    assert shared.as_("officer-01").post("/officers/officer-77/link", data={}).status_code == 404


def test_a_stolen_passkey_is_ended_by_one_other_officer(shared: Any) -> None:
    """A passkey is in somebody's hands, and signs until two officers were found."""
    row = {"id": "pk-77", "officer": "officer-02", "credential": "77" * 16, "public_key": "a1" * 40}
    shared.controller.edit(("officer_key", {**row, "enrolled_on": DAY.isoformat()}))
    shared.caught_up()
    assert "77777777…" in shared.as_("officer-01").get("/officers").text
    told = proposed(shared, shared.as_("officer-01").post("/officers/officer-02/keys/pk-77/end", data={}))
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    signed(shared, told)
    assert "77777777…" not in shared.as_("officer-01").get("/officers").text


@pytest.mark.parametrize(
    ("who", "address", "status"),
    [("guard-01", "/officers", 403), ("officer-02", "/officers", 403), ("officer-01", "/officers/nobody/end", 404),
     ("officer-01", "/officers/officer-02/keys/pk-nowhere/end", 404), ("officer-01", "/officers", 422)],
)  # fmt: skip
def test_what_is_not_his_or_not_there_is_refused(shared: Any, who: str, address: str, status: int) -> None:
    """A guard makes himself an officer; or a form without anything in it is a fault of ours."""
    assert shared.as_(who).post(address, data={}).status_code == status
