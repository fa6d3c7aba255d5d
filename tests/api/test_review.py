"""Questions about decisions over HTTP: answered from the controller's records, for whoever holds the token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zones.decision import Evidence, Method, Request, decide
from zones.edits import apply
from zones.moment import Moment
from zones.occupancy import Occupancy
from zones.policy import EMPTY

ANA: list[tuple[str, dict[str, Any]]] = [
    ("cardholder", {"id": "h-ana"}),
    ("credential", {"id": "c-ana", "cardholder": "h-ana", "number_hash": "a" * 64, "last4": "0001", "state": "ACTIVE"}),
    ("roster", {"id": "r-ana", "cardholder": "h-ana", "zone": "office", "from_on": "2020-01-01",
                "until_on": "2099-01-01", "review_on": "2098-12-31"}),
]  # fmt: skip
ENDED = ["roster", {**ANA[2][1], "ended_on": "2020-01-02"}]


def decided(controller: Any, point: str, credential: str | None, number: str | None = None) -> int:
    """The record that the controller would make of a card with one factor at `point`; its sequence number."""
    from controller.link.recorded import at_of, edit_of
    from zones.review.values import trace_of

    policy = EMPTY
    for line in controller.records:
        body = json.loads(line["body"])
        if body["type"] == "POLICY_EDITED":
            policy = apply(policy, edit_of(body["detail"]["edit"]))
    row = None if credential is None else policy.credentials[credential]
    number_hash = "f" * 64 if row is None else row.number_hash
    evidence = Evidence(number_hash=number_hash, method=Method.CHALLENGE, factors=1)
    now = Moment(at=at_of(1_790_000_000_000), tick_ms=0)
    decision = decide(policy, Occupancy(), Request(access_point=point, evidence=evidence), now)
    trace = trace_of(decision.findings)
    fields: dict[str, Any] = {
        "at_ms": 1_790_000_000_000, "access_point": point, "portal": decision.portal, "zone": decision.zone,
        "outcome": decision.outcome.value, "reason": decision.reason.value, "revision": controller.revision,
        "evidence": {"method": "CHALLENGE", "factors": 1},
        "trace": {"passed": trace.passed, "waived": trace.waived, "failed": trace.failed, "exempt": trace.exempt},
    }  # fmt: skip
    if row is not None:
        fields["subject"] = {"cardholder": row.cardholder, "credential": row.id}
    if number is not None:
        fields["number"] = number
    return int(controller.record("ACCESS_GRANTED" if decision.is_granted else "ACCESS_DENIED", **fields))


@pytest.fixture
def site(web: Any, controller: Any) -> Any:
    """A house with Ana on the office's roster, one entry of hers and one of a stranger's card."""
    controller.edit(*ANA)
    web.seqs = [decided(controller, "front.in", "c-ana"), decided(controller, "front.in", None, "7KQX")]
    web.caught_up()
    assert web.client, "signed in: a record"
    return web


@pytest.mark.parametrize("path", ["decisions/1/explanation", "replay", "zones/office/who-can", "lint", "proofs"])
def test_nobody_asks_without_the_token(site: Any, path: str) -> None:
    """Anybody on the machine could ask who may enter the vault."""
    assert site.anonymous().get(f"/api/v1/{path}").status_code == 401
    assert site.anonymous().post("/api/v1/what-if", json={}).status_code == 401


def test_a_refusal_is_explained_by_its_record_and_by_its_number(site: Any) -> None:
    """The officer at the telephone is told four characters, and finds nothing."""
    granted, denied = site.seqs
    by_seq = site.client.get(f"/api/v1/decisions/{denied}/explanation").json()
    assert by_seq == site.client.get("/api/v1/decisions/7kqx/explanation").json()
    assert (by_seq["decision"]["reason"], by_seq["is_same"]) == ("CARD_UNKNOWN", True)
    assert [step["code"] for step in by_seq["flips"][0]["steps"]] == ["issue_credential"]
    assert site.client.get(f"/api/v1/decisions/{granted}/explanation").json()["decision"]["outcome"] == "GRANTED"
    assert site.client.get("/api/v1/decisions/0/explanation").status_code == 404
    assert site.client.get("/api/v1/decisions/9999/explanation").status_code == 404
    assert site.client.get("/api/v1/decisions/ZZZZ/explanation").status_code == 404


def test_history_is_replayed_and_a_changed_record_is_found(site: Any, controller: Any) -> None:
    """A ledger that was rewritten would be shown as sound."""
    told = site.client.get("/api/v1/replay").json()
    assert (told["is_same"], told["decisions"]) == (True, 2)
    record = controller.records[site.seqs[1]]
    record["body"] = record["body"].replace('"reason":"CARD_UNKNOWN"', '"reason":"FULL"')
    told = site.client.get(f"/api/v1/replay?from={site.seqs[1]}").json()
    assert [(one["seq"], one["was"], one["is_now"]) for one in told["differences"]] == [
        (site.seqs[1], "FULL", "CARD_UNKNOWN")
    ]


def test_an_edit_is_tried_on_history_and_changes_nothing(site: Any, controller: Any) -> None:
    """The officer learns what an edit does after it was made."""
    before = len(controller.records)
    kept = site.client.post("/api/v1/what-if", json={"puts": [ENDED]}).json()
    assert (kept["flips"], kept["flips_withheld"], kept["flipped"]) == ([], 1, 1)
    assert len(controller.records) == before
    told = site.client.post("/api/v1/what-if", json={"puts": [ENDED], "purpose": "audit"}).json()
    assert [(flip["seq"], flip["was"], flip["would_be"]) for flip in told["flips"]] == [
        (site.seqs[0], "OK", "NOT_ON_ROSTER")
    ]
    assert told["loses"] == [{"cardholder": "h-ana", "zone": "office"}]
    assert (told["gains"], told["stranded"]) == ([], [])
    noted = [json.loads(one["body"]) for one in controller.records[before:]]
    assert [(one["detail"]["kind"], one["subject"]["cardholder"]) for one in noted] == [("VIEW_PERSONAL", "h-ana")]
    refused = site.client.post("/api/v1/what-if", json={"puts": [["roster", {"id": "r-1", "colour": "red"}]]})
    assert (refused.status_code, refused.json()["code"]) == (422, "edit_refused")


@pytest.mark.req("E-07")
def test_an_edit_on_history_is_no_way_round_the_record_of_a_look(site: Any, controller: Any) -> None:
    """Whoever may try an edit could read where everybody was, and leave no trace."""
    ben = [[table, json.loads(json.dumps(row).replace("ana", "ben"))] for table, row in ANA if table != "zone"]
    ben[1][1]["number_hash"] = "e" * 64
    controller.edit(*[(table, row) for table, row in ben])
    decided(controller, "front.in", "c-ana")
    decided(controller, "front.in", "c-ben")
    site.caught_up()
    ended = [ENDED, ["roster", {**ben[2][1], "ended_on": "2020-01-02"}]]

    def tried(**more: str) -> Any:
        return site.client.post("/api/v1/what-if", json={"puts": ended, **more})

    assert tried().json()["flips_withheld"] == 2
    alone = tried(purpose="audit")
    assert (alone.status_code, alone.json()["code"]) == (409, "two_people") and "flips" not in alone.json()
    named = tried(purpose="audit", second="officer-03")
    assert named.status_code in (409, 422), "a second officer who is only named has agreed to nothing"
    odd = site.client.post("/api/v1/what-if", json={"puts": [ENDED], "purpose": "curiosity"})
    assert (odd.status_code, odd.json()["code"]) == (422, "no_purpose")
    assert not [note for note in controller.heard_of("note") if note["type"] == "EXPORT"]
    controller.refusals.append({"code": "ledger_unavailable"})
    assert site.client.post("/api/v1/what-if", json={"puts": [ENDED], "purpose": "audit"}).status_code == 503


@pytest.mark.req("E-07", "A-31")
def test_a_work_manager_reads_nothing_of_zones_that_are_not_his(site: Any, controller: Any) -> None:
    """By a made-up edit, a proof or a history he would learn who is cleared for what is nobody's business of his."""
    period = {"from_on": "2026-01-01", "until_on": "2099-12-31"}
    controller.edit(("officer", {"id": "officer-02", "roles": ["WORK_MANAGER"], "zones": ["vault"], **period}))
    decided(controller, "vault-door.in", "c-ana")
    site.caught_up()
    for client, sees in ((site.client, True), (site.as_("officer-02"), False)):
        told = client.post("/api/v1/what-if", json={"puts": [ENDED]}).json()
        assert bool(told["loses"]) is sees and (told["decisions"] is not None) is sees, told
        assert told.get("flips_withheld", 0) == (1 if sees else 0)
        proofs = client.get("/api/v1/proofs").json()["proofs"]
        assert {one["zone"] for one in proofs} >= {"vault"}
        assert (client.get("/api/v1/proofs", params={"zone": "office"}).status_code == 200) is sees
        events = client.get("/api/v1/cardholders/h-ana/history", params={"purpose": "incident"}).json()["items"]
        assert any(one["zone"] == "vault" for one in events)
        assert any(one["zone"] == "office" for one in events) is sees


def test_who_can_enter_now_and_who_could_then(site: Any, controller: Any) -> None:
    """The list of who may enter is not the one that the doors go by."""
    (way,) = [one for one in site.client.get("/api/v1/zones/office/who-can").json()["ways"] if one["portal"] == "front"]
    assert (way["cardholder"], way["is_open"], way["keys"]) == ("h-ana", True, {"roster": ["r-ana"]})
    controller.edit(("roster", ENDED[1]))
    site.caught_up()
    assert site.client.get("/api/v1/zones/office/who-can").json()["ways"] == []
    with_all = site.client.get("/api/v1/zones/office/who-can?all=true").json()["ways"]
    assert {entry["missing"][0]["reason"] for entry in with_all} == {"NOT_ON_ROSTER"}
    assert site.client.get("/api/v1/zones/nowhere/who-can").status_code == 404


def test_another_ledger_is_not_answered_from_the_old_one(site: Any, controller: Any) -> None:
    """After a restore the page would explain doors that this controller never had."""
    assert site.client.get("/api/v1/zones/office/who-can").json()["ways"]
    controller.records.clear()
    controller.vkey = "another+00000000+AAAA"
    controller.record("CONTROLLER_STARTED")
    assert site.client.get("/api/v1/zones/office/who-can").status_code == 404


def test_a_controller_that_is_away_is_said_to_be_away(site: Any, controller: Any) -> None:
    """An empty list of who may enter would be believed."""
    controller.stop()
    answer = site.client.get("/api/v1/zones/office/who-can")
    assert (answer.status_code, answer.json()["code"]) == (503, "controller_away")


def test_the_site_is_linted_and_proven(site: Any) -> None:
    """An unsafe door is found by whoever uses it."""
    findings = site.client.get("/api/v1/lint").json()["findings"]
    assert all(one["path"] and one["words"]["ja"] for one in findings)
    proofs = site.client.get("/api/v1/proofs").json()["proofs"]
    assert {one["name"] for one in proofs} >= {"KEYS", "EXIT"}
    assert all(one["words"]["ja"] for one in proofs)
    assert site.client.get("/api/v1/proofs?zone=nowhere").status_code == 404
