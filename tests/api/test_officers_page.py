"""The pages of officers: who holds which post and can sign; posts and passkeys are given and ended by signatures."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from api.names import Name
from api.officer_posts import BLOCKED, LONELY, UNSIGNED, posts_today, signers_of_end
from api.signin.key_code import code_of
from simulators.passkey import SoftPasskey
from zones.ids import OfficerId, OfficerKeyId
from zones.moment import JST
from zones.officers import Officer, OfficerKey, Role
from zones.policy import Policy

DAY = datetime.now(UTC).astimezone(JST).date()
PERIOD = {"from_on": DAY.isoformat(), "until_on": (DAY + timedelta(days=300)).isoformat()}
LEFT = {"reason": "left"}


def proposed(web: Any, answer: Any) -> dict[str, Any]:
    """The proposal that a form led to."""
    assert answer.status_code == 303, answer.text
    return dict(web.client.get("/api/v1" + answer.headers["location"]).json())


def signed(web: Any, told: dict[str, Any]) -> None:
    for officer in ("officer-01", "officer-03")[: told["signers_needed"]]:
        assert web.sign(told["id"], officer).status_code == 200
    web.caught_up()


def shown(web: Any, address: str = "/officers") -> str:
    """A page in English, without its frame, as text."""
    answer = web.as_("officer-01").get(address, params={"lang": "en"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2]))


@pytest.mark.req("D-07", "A-31")
def test_an_officer_comes_by_two_signatures_and_goes_by_one(shared: Any, kit: Any) -> None:
    """Nobody but whoever has the machine could name the third officer, or the one who left stays in post."""
    client = shared.as_("officer-01")
    sent = {"id": "officer-77", "role": ["AUDITOR"], "reason": "enrolment", **PERIOD}
    told = proposed(shared, client.post("/officers", data=sent))
    assert (told["weight"], told["signers_needed"], told["reason"]) == ("WIDENS", 2, "enrolment")
    assert "officer-77 is to become an officer" in shown(shared)
    signed(shared, told)
    assert "None: cannot sign" in shown(shared, "/officers/officer-77")
    again = client.post("/officers", data={**sent, "role": ["GUARD"]})
    assert again.status_code == 422, "who is there is not written over"
    ticket = re.findall(r"/enrol#(skv_[\w-]+)", client.post("/officers/officer-77/link").text)[0]
    key, page = SoftPasskey("of 77"), shared.page()
    options = page.post("/api/v1/enrolment/options", json={"ticket": ticket}).json()["publicKey"]
    made = page.post("/api/v1/enrolment", json={"ticket": ticket, "response": kit.created(key, options)}).json()
    for where in ("/officers", "/officers/officer-77"):
        assert code_of(key.credential, key.public_key) in shown(shared, where), "what two people compare by voice"
    assert code_of(key.credential, key.public_key) in client.get(f"/proposals/{made['proposal']}").text
    row = {"id": "pk-thief", "officer": "officer-77", "enrolled_on": DAY.isoformat(), "credential": key.credential}
    put = {"table": "officer_key", "row": {**row, "public_key": SoftPasskey("a thief's").public_key}}
    answer = client.post("/api/v1/proposals", json={"puts": [put], "reason": "enrolment"})
    thief = client.get(f"/proposals/{answer.json()['id']}").text
    assert code_of(key.credential, key.public_key) not in thief and key.credential[-8:] not in thief
    assert client.post(f"/api/v1/proposals/{answer.json()['id']}/withdraw").status_code == 200
    signed(shared, client.get(f"/api/v1/proposals/{made['proposal']}").json())
    assert "wait for signatures" not in shown(shared) and "1 registered" in shown(shared)
    told = proposed(shared, client.post("/officers/officer-77/end", data=LEFT))
    assert (told["weight"], told["signers_needed"], told["reason"]) == ("NARROWS", 1, "left")
    signed(shared, told)
    assert client.post("/officers/officer-77/link").status_code == 404
    assert client.post("/officers/officer-77/end", data=LEFT).status_code == 404
    assert "Name again" in shown(shared, "/officers/officer-77")
    until = {"until_on": PERIOD["until_on"], "reason": "renewal"}
    told = proposed(shared, client.post("/officers/officer-77/term", data=until))
    assert told["signers_needed"] == 2 and told["changes"][0]["row"].get("ended_on") is None


@pytest.mark.req("A-31", "D-07")
def test_posts_and_terms_of_others_are_changed_here_and_ones_own_are_not(shared: Any) -> None:
    """An officer makes his own term longer, or a term runs out because nobody could say so before."""
    client, until = shared.as_("officer-01"), (DAY + timedelta(days=364)).isoformat()
    row = {"id": "guard-88", "roles": ["GUARD"], "from_on": "2026-01-01", "until_on": f"{DAY + timedelta(days=9)}"}
    shared.controller.edit(("officer", row))
    shared.caught_up()
    assert "9 days left" in shown(shared) and "9 days left" in shown(shared, "/officers/guard-88")
    told = proposed(shared, client.post("/officers/guard-88/term", data={"until_on": until, "reason": "renewal"}))
    assert told["signers_needed"] == 2
    assert "A change about this officer awaits" in shown(shared, "/officers/guard-88")
    signed(shared, told)
    assert "days left" not in shown(shared, "/officers/guard-88")
    boxes = {"role": ["GUARD", "WORK_MANAGER"], "zone": ["office"], "reason": "transferred"}
    told = proposed(shared, client.post("/officers/guard-88/posts", data=boxes))
    assert told["changes"][0]["row"]["zones"] == ["office"] and told["signers_needed"] == 2
    wrong = client.post("/officers/guard-88/posts", data={**boxes, "role": ["GUARD"]})
    assert wrong.status_code == 422 and 'id="problem"' in wrong.text, "zones belong to a work manager"
    for what, sent in (("term", {"until_on": "2100-01-01"}), ("posts", {"role": ["PROTECTION_OFFICER", "GUARD"]})):
        own = client.post(f"/officers/officer-01/{what}", data=sent)
        assert own.status_code == 422 and "Location" not in own.headers
    assert client.post("/officers/officer-01/link").status_code == 403
    own = shown(shared, "/officers/officer-01")
    assert "changed by others" in own and "Make a link" not in own and "Change posts" not in own


@pytest.mark.req("A-30")
def test_a_stolen_passkey_is_ended_by_one_other_officer(shared: Any) -> None:
    """A passkey is in somebody's hands, and signs until two officers were found."""
    row = {"id": "pk-77", "officer": "officer-02", "credential": "77" * 16, "public_key": SoftPasskey("77").public_key}
    shared.controller.edit(("officer_key", {**row, "enrolled_on": DAY.isoformat()}))
    shared.caught_up()
    code = code_of(row["credential"], row["public_key"])
    assert len(code) == 19 and code in shown(shared, "/officers/officer-02") and "2 registered" in shown(shared)
    told = proposed(shared, shared.as_("officer-01").post("/officers/officer-02/keys/pk-77/end", data={}))
    assert (told["weight"], told["signers_needed"]) == ("NARROWS", 1)
    signed(shared, told)
    assert code not in shown(shared, "/officers/officer-02")


@pytest.mark.req("A-31", "D-07")
def test_that_a_third_is_missing_is_said_in_time(shared: Any) -> None:
    """Two officers alone: a year later nobody can make their terms longer, and the page never said so."""
    row = shared.parts.view.row("officer", "officer-02")
    for ended_on, is_said in ((DAY.isoformat(), True), (None, False)):
        more = {} if ended_on is None else {"ended_on": ended_on}
        shared.controller.edit(("officer", {key: row[key] for key in row if key != "ended_on"} | more))
        shared.caught_up()
        assert ("Name a third" in shown(shared)) is is_said


def test_officers_stand_in_the_order_of_their_names(shared: Any) -> None:
    """An officer looks for a colleague by name and finds numbers."""
    for at, (name, kana) in enumerate((("渡辺 誠", "わたなべ まこと"), ("青木 陽", "あおき よう"))):
        row = {"id": f"sort-{at}", "roles": ["GUARD"], "cardholder": f"h-sort-{at}", **PERIOD}
        shared.controller.edit(("cardholder", {"id": f"h-sort-{at}"}), ("officer", row))
        shared.caught_up()
        shared.parts.view.set_name(Name(cardholder=f"h-sort-{at}", name=name, kana=kana, roman=""))
    page = shared.as_("officer-01").get("/officers", params={"lang": "ja"}).text.rpartition('id="officers"')[2]
    assert -1 < page.find("青木") < page.find("渡辺") < page.find("auditor-01")


@pytest.mark.parametrize(
    ("who", "address", "status"),
    [("guard-01", "/officers", 403), ("officer-02", "/officers", 403), ("officer-01", "/officers/nobody/end", 404),
     ("officer-01", "/officers/nobody/posts", 404), ("officer-01", "/officers/officer-02/keys/pk-nowhere/end", 404),
     ("officer-01", "/officers/officer-02/keys/k-guard-01/end", 404), ("officer-01", "/officers", 422),
     ("officer-01", "/officers/guard-01/term", 422)],
)  # fmt: skip
def test_what_is_not_his_or_not_there_is_refused(shared: Any, who: str, address: str, status: int) -> None:
    """A guard makes himself an officer; or a form without anything in it is a fault of ours."""
    assert shared.as_(who).post(address, data={}).status_code == status


@pytest.mark.req("A-30", "D-07")
def test_the_api_tells_officers_to_whom_it_may(shared: Any) -> None:
    """A guard learns who can sign; or a program that watches terms must read pages."""
    told = {one["id"]: one for one in shared.as_("officer-01").get("/api/v1/officers").json()["items"]}
    assert told["officer-02"]["zones"] == ["office"] and told["officer-02"]["signs"]
    assert told["officer-01"]["signed_in"] and told["line-01"]["fills"] == ["LINE"]
    assert not {"public_key", "credential"} & set(told["officer-01"]["passkeys"][0])
    first = shared.as_("officer-01").get("/api/v1/officers", params={"limit": 1}).json()
    after = shared.as_("officer-01").get("/api/v1/officers", params={"limit": 1, "cursor": first["next"]}).json()
    assert first["items"][0]["id"] < after["items"][0]["id"]
    guard = shared.as_("guard-01")
    assert guard.get("/api/v1/officers").status_code == 403
    assert guard.get("/api/v1/officers/guard-01").json() == told["guard-01"] | {
        "signed_in": guard.get("/api/v1/officers/guard-01").json()["signed_in"]
    }
    assert guard.get("/api/v1/officers/officer-01").status_code == 404
    assert shared.as_("officer-01").get("/api/v1/officers/guard-01").status_code == 200


# -- who holds what, as values -----------------------------------------------------------------------------------------

P, W, G = Role.PROTECTION_OFFICER, Role.WORK_MANAGER, Role.GUARD
ON = date(2026, 11, 30)


def house(*officers: tuple[str, tuple[Role, ...], tuple[Role, ...], bool]) -> Policy:
    """Officers by (id, posts, deputises, has a passkey)."""
    rows = [
        Officer(id=OfficerId(name), roles=roles, deputises=fills, from_on=date(2026, 1, 1), until_on=date(2027, 1, 1))
        for name, roles, fills, _has in officers
    ]
    keys = [
        OfficerKey(id=OfficerKeyId(f"k-{name}"), officer=OfficerId(name), credential=f"{at:02}" * 16,
                   public_key="a1" * 40, enrolled_on=ON)
        for at, (name, _roles, _fills, has) in enumerate(officers) if has
    ]  # fmt: skip
    return Policy(officers={one.id: one for one in rows}, officer_keys={key.id: key for key in keys})


@pytest.mark.req("D-07")
@pytest.mark.parametrize(
    ("officers", "says"),
    [
        ([("a", (W,), (P,), True)], BLOCKED[P]),
        ([("a", (P,), (), False), ("b", (W,), (), True)], UNSIGNED),
        ([("a", (P,), (), True), ("b", (W,), (), True)], LONELY),
        ([("a", (P,), (), True), ("b", (W,), (P,), True)], None),
        ([("a", (P,), (), True), ("b", (P,), (), True)], None),
    ],
    ids=["vacant, with a deputy", "held without a passkey", "held by one", "with a deputy", "held by two"],
)
def test_what_waits_because_of_how_the_post_is_held_is_said(officers: Any, says: Any) -> None:
    """The post of protection officer is vacant, everything waits, and no page says why."""
    post = posts_today(house(*officers), ON)[0]
    assert post.role is P and post.warning is says


@pytest.mark.req("D-07")
@pytest.mark.parametrize(
    ("others", "signers"), [(2, 1), (1, 2)], ids=["two are left who can sign", "one is left who can sign"]
)
def test_how_many_sign_an_end_is_said_before(others: int, signers: int) -> None:
    """An officer begins what one may sign, and it waits for two; or makes himself the only one."""
    left = [(f"o{at}", (P,), (), True) for at in range(others)]
    policy = house(*left, ("gone", (W,), (), True), ("guard", (G,), (), True))
    assert signers_of_end(policy, policy.officers[OfficerId("gone")], ON) == signers
    assert signers_of_end(policy, policy.officer_keys[OfficerKeyId("k-gone")], ON) == signers
    assert signers_of_end(policy, policy.officers[OfficerId("guard")], ON) == 1
