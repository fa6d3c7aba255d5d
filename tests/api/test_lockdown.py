"""The page of lockdown and reset: what shuts takes one signature, what opens again two."""

from __future__ import annotations

from typing import Any

import pytest


def sent(web: Any, address: str, who: str, **fields: Any) -> Any:
    return web.as_(who).post(address, data=fields)


def proposed(web: Any, answer: Any) -> dict[str, Any]:
    """The proposal that a form led to."""
    assert answer.status_code == 303, answer.text
    return dict(web.client.get("/api/v1" + answer.headers["location"]).json())


@pytest.mark.req("D-07")
@pytest.mark.parametrize(("address", "row"), [("/lockdown/site", "site"), ("/lockdown/zones/office", "office")])
def test_a_guard_shuts_at_once_and_two_officers_open_again(shared: Any, address: str, row: str) -> None:
    """An intruder is in the house, and doors let people in until a second officer was found; or one lets in again."""
    told = proposed(shared, sent(shared, address, "guard-01", on="1"))
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    assert shared.sign(told["id"], "guard-01").status_code == 200
    shared.caught_up()
    table = "site_status" if row == "site" else "zone_status"
    assert shared.parts.view.row(table, row)["is_locked_down"] is True
    page = shared.as_("guard-01").get("/lockdown", params={"lang": "ja"}).text
    assert "封鎖中" in page and "解除を申請する" in page
    told = proposed(shared, sent(shared, address, "officer-01"))
    assert (told["weight"], told["signers_needed"]) == ("WIDENS", 2)
    assert "署名待ち" in shared.as_("guard-01").get("/lockdown", params={"lang": "ja"}).text
    for officer in ("officer-01", "officer-03"):
        assert shared.sign(told["id"], officer).status_code == 200
    shared.caught_up()
    assert shared.parts.view.row(table, row)["is_locked_down"] is False


@pytest.mark.req("D-25")
def test_doors_lock_again_when_an_officer_says_so(shared: Any) -> None:
    """After a fire the doors stand open for ever, or somebody types at a developer's console."""
    for act in ("reset_fire", "forgive_presence"):
        answer = sent(shared, f"/lockdown/orders/{act}", "guard-01", key=f"key-{act}-0001")
        assert answer.status_code == 200 and "実行し、記録しました" in answer.text
        heard = shared.controller.heard_of("order")[-1]
        assert (heard["act"], heard["officer"]) == (act, "guard-01")


def test_what_is_not_there_or_not_his_is_not_locked(shared: Any) -> None:
    """A typing mistake shuts nothing and says it did."""
    assert sent(shared, "/lockdown/zones/nowhere", "guard-01", on="1").status_code == 404
    assert sent(shared, "/lockdown/orders/unlock_pin", "guard-01").status_code == 404
    assert shared.as_("auditor-01").get("/lockdown").status_code == 403
