"""Passwords, one-time codes, API tokens and one-time links: none signs, none locks anybody out, each is worth once what
it says.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest
from sqlmodel import Session

from api.access import Permission, Who, refuse_weak
from api.problems import Problem
from api.signin.delays import FREE, WAIT_S_MAX, Delays
from api.signin.notes import FAILURES_MAX, SignInNotes
from api.signin.passwords import refuse_weak_password
from api.signin.tables import PasswordRow, SignedInRow

GOOD = "korobanu saki no tsue 7"
BY_PASSWORD = "/api/v1/sign-in/password"


def with_password(web: Any, officer: str, password: str = GOOD) -> pyotp.TOTP:
    """Sets it on the page's own paths; the codes of his phone."""
    client = web.as_(officer)
    secret = client.post("/api/v1/password/code-secret").json()["secret"]
    codes = pyotp.TOTP(secret)
    sent = {"password": password, "secret": secret, "code": codes.at(time.time() - 30)}
    answer = client.put("/api/v1/password", json=sent)
    assert answer.status_code == 200, answer.text
    web.parts.signing_in.delays._failures.clear()
    return codes


def tried(web: Any, officer: str, password: str, code: str, page: Any = None) -> Any:
    """One attempt by password."""
    sent = {"officer": officer, "password": password, "code": code}
    return (page or web.page()).post(BY_PASSWORD, json=sent)


def test_a_password_is_set_after_a_passkey_and_reads_without_signing(shared: Any, kit: Any) -> None:
    """A password would be enough to approve what somebody may enter."""
    codes = with_password(shared, "officer-02")
    answer = tried(shared, "officer-02", GOOD, codes.now())
    assert answer.status_code == 200 and answer.json()["strength"] == 2 and not answer.json()["is_fresh"]
    page = shared.page(kit.cookie_of(answer))
    assert page.get("/api/v1/cardholders").status_code == 200
    assert page.post("/api/v1/tokens", json={"name": "x", "scopes": [], "days": 1}).json()["code"] == "step_up"
    assert page.post("/api/v1/password/code-secret").json()["code"] == "step_up"
    assert (
        page.put("/api/v1/password", json={"password": GOOD, "secret": "A" * 32, "code": "123456"}).status_code == 403
    )
    release = page.post("/api/v1/portals/front/release", json={"reason": "delivery"})
    assert release.status_code == 403 and not shared.controller.heard_of("command")
    kept = b"".join(path.read_bytes() for path in shared.settings.state_dir.glob("api.db*"))
    assert GOOD.encode() not in kept and b"$argon2id$v=19$m=19456,t=2,p=1$" in kept


def test_a_code_is_taken_once_even_by_two_at_once(shared: Any) -> None:
    """Whoever looks over an officer's shoulder could sign in with the same code."""
    codes = with_password(shared, "engineer-01")
    code = codes.now()
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: tried(shared, "engineer-01", GOOD, code).status_code, range(2)))
    assert sorted(both) == [200, 401]
    assert tried(shared, "engineer-01", GOOD, code).status_code == 401


def test_nobody_learns_who_is_an_officer(shared: Any) -> None:
    """A stranger would learn whose password to guess."""
    with_password(shared, "auditor-01")
    answers, took = [], []
    for officer in ("auditor-01", "guard-01", "nobody-77"):
        times = []
        for _ in range(3):
            shared.parts.signing_in.delays._failures.clear()
            began = time.perf_counter()
            answers.append(tried(shared, officer, "quite another word", "000000"))
            times.append(time.perf_counter() - began)
        took.append(min(times))
    assert {one.status_code for one in answers} == {401} and len({one.text for one in answers}) == 1
    assert max(took) < 4 * min(took), took
    told = [one for one in shared.controller.heard_of("note") if one["type"] == "SIGN_IN_REFUSED"][-9::3]
    assert [one["officer"] for one in told] == ["auditor-01", "guard-01", "unknown"]


def test_attempts_slow_down_and_a_passkey_is_never_held_up(shared: Any) -> None:
    """Somebody could guess on, or lock an officer out by guessing."""
    codes = with_password(shared, "officer-03")
    answers = [tried(shared, "officer-03", "quite another word", "000000") for _ in range(FREE + 2)]
    assert [one.status_code for one in answers] == [401] * (FREE + 1) + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1 and answers[-1].json()["code"] == "sign_in_delayed"
    assert tried(shared, "officer-03", GOOD, codes.now()).status_code == 429
    assert shared.sign_in("officer-03").status_code == 200
    shared.parts.signing_in.delays._failures.clear()


def test_waits_grow_to_five_minutes_and_end() -> None:
    """A guess a second for a month, or an officer who waits for ever."""
    clock = [0.0]
    delays = Delays(lambda: clock[0])
    waits = []
    for _ in range(20):
        assert delays.begin("officer a", "address x") == 0.0
        waits.append(delays.wait_s("officer a"))
        clock[0] += waits[-1]
    assert waits[:6] == [0, 0, 0, 2, 4, 8] and waits[-1] == WAIT_S_MAX == max(waits)
    assert delays.begin("officer a", "address y") == 0.0, "the wait is over"
    assert delays.begin("officer a", "address y") == WAIT_S_MAX, "an attempt while waiting does not make it longer"
    clock[0] += WAIT_S_MAX
    assert delays.begin("officer a", "address y") == 0.0
    delays.succeed("officer a", "address y")
    assert delays.wait_s("officer a") == 0.0
    assert delays.wait_s("officer b", "address x") == 0.0, "a stranger's guesses hold up nobody else for long"
    clock[0] += 4000
    delays.begin("officer a", "address x")
    assert delays.wait_s("officer a", "address x") == 0.0


def test_attempts_from_elsewhere_do_not_hold_up_an_officer_at_his_own_desk(shared: Any) -> None:
    """A stranger on the network could keep an officer from his password for ever."""
    signing_in = shared.parts.signing_in
    codes = with_password(shared, "officer-01")
    for _ in range(FREE + 2):
        signing_in.delays.begin("officer officer-01", "address 192.0.2.7")
    assert tried(shared, "officer-01", GOOD, codes.now()).status_code == 200


@pytest.mark.req("A-30")
def test_whoever_was_away_for_long_needs_a_passkey(shared: Any) -> None:
    """An account that nobody uses would be open to whoever finds its password."""
    codes = with_password(shared, "line-01")
    with Session(shared.parts.view._engine) as session:
        session.merge(SignedInRow(officer="line-01", at_ms=int((time.time() - 91 * 86400) * 1000)))
        session.commit()
    answer = tried(shared, "line-01", GOOD, codes.now())
    assert answer.status_code == 403 and answer.json()["code"] == "passkey_only"
    assert shared.sign_in("line-01").status_code == 200
    assert shared.controller.heard_of("note")[-1]["purpose"] == "passkey_after_long"


WEAK = [
    *("short", "password1234", "P@ssw0rd2026!", "officer-01-2026", "sekisho-sekisho", "123456789012345", "x" * 200),
    *(
        "qwertyuiop12",
        "せきしょ関所せきしょ関所",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabc",
        "Sekisho2026!",
        "officer01officer",
    ),
]


@pytest.mark.parametrize("password", WEAK)
def test_what_everybody_tries_first_is_no_password(password: str) -> None:
    """The first guess would be right."""
    with pytest.raises(Problem, match="password_weak"):
        refuse_weak_password(password, "officer-01")


@pytest.mark.parametrize(
    "password", [GOOD, "tsukimi-udon to nori", "関所の松は今日も緑だった春", "correct horse battery"]
)
def test_a_good_password_is_taken(password: str) -> None:
    """Officers would write on a slip of paper what they cannot choose."""
    refuse_weak_password(password, "officer-01")


def test_a_new_password_signs_out_what_the_old_one_opened(shared: Any, kit: Any) -> None:
    """Somebody who knew the old one would stay."""
    codes = with_password(shared, "officer-02")
    page = shared.page(kit.cookie_of(tried(shared, "officer-02", GOOD, codes.now())))
    assert page.get("/api/v1/session").status_code == 200
    codes = with_password(shared, "officer-02", "another sentence of mine")
    assert page.get("/api/v1/session").status_code == 401
    assert tried(shared, "officer-02", GOOD, codes.now()).status_code == 401
    assert shared.as_("officer-02").delete("/api/v1/password").status_code == 204
    assert tried(shared, "officer-02", "another sentence of mine", codes.now()).status_code == 401


def test_a_weaker_hash_is_made_again(shared: Any) -> None:
    """Old passwords would stay as weak as on the day they were set."""
    from argon2 import PasswordHasher

    codes = with_password(shared, "guard-01")
    with Session(shared.parts.view._engine) as session:
        row = session.get(PasswordRow, "guard-01")
        row.hashed = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(GOOD)
        session.add(row)
        session.commit()
    assert tried(shared, "guard-01", GOOD, codes.now()).status_code == 200
    with Session(shared.parts.view._engine) as session:
        assert "m=19456,t=2,p=1" in session.get(PasswordRow, "guard-01").hashed


@pytest.mark.req("A-30")
def test_nobody_edits_what_asks_for_more_than_he_showed() -> None:
    """A password would be enough to open the vault that takes card, PIN and a second person."""
    who = Who(officer="officer-01", roles=frozenset(), strength=1)
    refuse_weak(who, 1)
    with pytest.raises(Problem, match="sign_in_too_weak"):
        refuse_weak(who, 3)


def test_failures_do_not_fill_the_ledger(shared: Any) -> None:
    """A stranger's script could fill the disk with records."""
    clock, before = [0.0], len(shared.controller.heard_of("note"))
    notes = SignInNotes(shared.parts.requests, lambda: clock[0])
    for _ in range(FAILURES_MAX + 50):
        notes.failure("SIGN_IN_REFUSED", "unknown", "password")
    clock[0] = 61.0
    notes.failure("SIGN_IN_REFUSED", "unknown", "password")
    made = shared.controller.heard_of("note")[before:]
    assert len(made) == FAILURES_MAX + 1 and made[-1]["count"] == 51


# -- API tokens ----------------------------------------------------------------------------------------------------


def made_token(web: Any, who: str, scopes: list[str], days: int = 30) -> dict[str, Any]:
    """A new token of that officer."""
    answer = web.as_(who).post("/api/v1/tokens", json={"name": "勤怠", "scopes": scopes, "days": days})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_token_may_what_it_says_and_no_more(shared: Any) -> None:
    """A program for figures could read who may enter where."""
    token = made_token(shared, "officer-01", ["live", "devices"])
    program = shared.anonymous(Authorization=f"Bearer {token['token']}")
    assert program.get("/api/v1/zones").status_code == 200
    assert program.get("/api/v1/cardholders").status_code == 403
    assert program.get("/api/v1/sessions", params={"everybody": "true"}).status_code == 403
    assert program.post("/api/v1/portals/front/release", json={"reason": "delivery"}).status_code == 403
    for path in ("/api/v1/tokens", "/api/v1/session/step-up/options", "/api/v1/password/code-secret"):
        assert program.post(path, json={"name": "x", "scopes": [], "days": 1}).status_code == 403, path
    listed = shared.as_("officer-01").get("/api/v1/tokens").json()
    mine = next(one for one in listed if one["id"] == token["id"])
    assert "token" not in mine and mine["used"] is not None
    kept = b"".join(path.read_bytes() for path in shared.settings.state_dir.glob("api.db*"))
    assert token["token"].encode() not in kept


@pytest.mark.req("D-17", "E-12")
def test_a_token_of_personnel_sees_nothing_and_the_attempt_is_recorded(shared: Any) -> None:
    """Whoever pays wages could learn who has no clearance (D-17)."""
    token = made_token(shared, "line-01", ["own"])
    program = shared.anonymous(Authorization=f"Bearer {token['token']}")
    told = len(shared.controller.heard_of("note"))
    for path in ("clearances", "rosters", "needs-to-know", "trainings", "cardholders", "zones", "events"):
        answer = program.get(f"/api/v1/{path}")
        assert answer.status_code == 403 and answer.json()["code"] == "not_your_role", path
    attempts = shared.controller.heard_of("note")[told:]
    assert attempts and {(one["type"], one["officer"]) for one in attempts} == {("REFUSED_ATTEMPT", "line-01")}


def test_nobody_makes_a_token_for_more_than_he_may(shared: Any) -> None:
    """A guard could make himself a key to the registers."""
    guard = shared.as_("guard-01")
    for scopes, status in ((["people"], 403), (["live", "rights"], 403), (["nonsense"], 422), (["live"] * 65, 422)):
        asked = {"name": "x", "scopes": scopes, "days": 1}
        assert guard.post("/api/v1/tokens", json=asked).status_code == status, scopes
    for days in (0, 366):
        assert guard.post("/api/v1/tokens", json={"name": "x", "scopes": [], "days": days}).status_code == 422


def test_a_token_ends_by_time_by_hand_and_with_its_officer(web: Any) -> None:
    """A program would go on for somebody who is gone."""
    first, second, third = (made_token(web, "officer-03", ["live"], days) for days in (1, 2, 3))
    one, two, three = (web.anonymous(Authorization=f"Bearer {made['token']}") for made in (first, second, third))
    assert {client.get("/api/v1/zones").status_code for client in (one, two, three)} == {200}
    assert web.as_("guard-01").delete(f"/api/v1/tokens/{second['id']}").status_code == 404
    assert web.as_("officer-01").delete(f"/api/v1/tokens/{second['id']}").status_code == 204
    assert two.get("/api/v1/zones").status_code == 401
    web.parts.signing_in.tokens._clock = lambda: int((time.time() + 86400) * 1000)
    assert one.get("/api/v1/zones").status_code == 401 and three.get("/api/v1/zones").status_code == 200
    ended = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    row = {"id": "officer-03", "roles": ["PROTECTION_OFFICER"], "from_on": "2026-01-01", "until_on": ended}
    web.controller.edit(("officer", row))
    web.caught_up()
    assert three.get("/api/v1/zones").status_code == 401
    kinds = [(one["type"], one.get("second")) for one in web.controller.heard_of("note")]
    assert kinds.count(("TOKEN_MADE", None)) == 3 and ("TOKEN_REVOKED", "officer-03") in kinds


# -- one-time links ------------------------------------------------------------------------------------------------


@pytest.mark.req("E-13")
def test_the_reception_hands_out_a_look_at_what_is_ones_own(web: Any, kit: Any) -> None:
    """A person could not learn what is kept about him, or somebody else could."""
    web.controller.edit(("cardholder", {"id": "c-1"}), ("cardholder", {"id": "c-2", "ended_on": "2026-01-02"}))
    web.caught_up()
    guard = web.as_("guard-01")
    assert web.as_("auditor-01").post("/api/v1/cardholders/c-1/own-link").status_code == 403
    assert guard.post("/api/v1/cardholders/c-2/own-link").status_code == 404
    asked = {"name": "desk", "scopes": ["desk"], "days": 1}
    token = guard.post("/api/v1/tokens", json=asked).json()["token"]
    program = web.page(Authorization=f"Bearer {token}")
    assert program.post("/api/v1/cardholders/c-1/own-link").status_code == 403, "a program reads nobody's own"
    older = guard.post("/api/v1/cardholders/c-1/own-link").json()["link"].partition("#")[2]
    made = guard.post("/api/v1/cardholders/c-1/own-link").json()
    assert made["link"].startswith("http://localhost/own-link#")
    ticket = made["link"].partition("#")[2]
    page = web.page()
    assert page.post("/api/v1/sign-in/link", json={"ticket": older}).json()["code"] == "link_over"
    answer = page.post("/api/v1/sign-in/link", json={"ticket": ticket})
    assert answer.status_code == 200 and answer.json()["may"] == ["own"] and answer.json()["cardholder"] == "c-1"
    assert page.post("/api/v1/sign-in/link", json={"ticket": ticket}).status_code == 401, "used once"
    own = web.page(kit.cookie_of(answer))
    assert own.get("/api/v1/session").json()["roles"] == []
    web.caught_up()
    looks = own.get("/api/v1/me").json()["looks"]
    assert [(one["kind"], one["officer"]) for one in looks] == [("LINK_MADE", "guard-01")] * 2, "or uses it himself"
    assert "One-time link made" in own.get("/me", params={"lang": "en"}).text
    for path in ("cardholders", "cardholders/c-1", "zones", "events", "rosters"):
        assert own.get(f"/api/v1/{path}").status_code == 403, path
    assert own.post("/api/v1/tokens", json={"name": "x", "scopes": ["own"], "days": 1}).status_code == 403
    web.controller.edit(("cardholder", {"id": "c-1", "ended_on": "2026-01-02"}))
    web.caught_up()
    assert own.get("/api/v1/session").status_code == 401


def test_a_link_ends_with_its_day(shared: Any) -> None:
    """A slip of paper in a bin would be good for ever."""
    links, clock = shared.parts.signing_in.links, [time.time_ns() // 1_000_000]
    links._clock = lambda: clock[0]
    ticket, until_ms = links.make("own", "c-9", "guard-01")
    assert links.look("invitation", ticket) is None, "of another kind"
    clock[0] = until_ms
    assert links.take("own", ticket) is None
    ticket, until_ms = links.make("own", "c-9", "guard-01")
    clock[0] = until_ms - 1
    assert links.take("own", ticket).who == "c-9" and links.take("own", ticket) is None
    assert Permission.OWN
