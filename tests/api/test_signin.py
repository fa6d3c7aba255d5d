"""Signing in with passkeys, sessions and their end: what a burglar tries with cookies, challenges and copies."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from api.signin.challenges import LIFE_MS, Challenges
from api.signin.sessions import EACH_MAX, FRESH_MS
from api.signin.sessions import LIFE_MS as SESSION_MS
from simulators.passkey import SoftPasskey

OPTIONS, SIGN_IN = "/api/v1/sign-in/passkey/options", "/api/v1/sign-in/passkey"
STEP_UP = "/api/v1/session/step-up"


def asked(page: Any) -> dict[str, Any]:
    options: dict[str, Any] = page.post(OPTIONS).json()["publicKey"]
    return options


def notes(web: Any) -> list[tuple[str, str, str | None]]:
    return [(one["type"], one["officer"], one.get("purpose")) for one in web.controller.heard_of("note")]


@pytest.mark.req("A-30")
def test_an_officer_signs_in_with_a_passkey_and_it_is_recorded_first(web: Any) -> None:
    """Somebody would look at names and nobody could say who, or a script could read the cookie."""
    answer = web.sign_in("officer-01")
    told, cookie = answer.json(), answer.headers["set-cookie"]
    assert cookie.startswith("__Host-sekisho=") and "Domain" not in cookie
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert (told["officer"], told["roles"], told["strength"]) == ("officer-01", ["PROTECTION_OFFICER"], 3)
    assert told["is_fresh"] and "officers" in told["may"]
    assert web.sign_in("officer-01").status_code == 200
    assert notes(web) == [("SIGN_IN", "officer-01", "passkey_after_long"), ("SIGN_IN", "officer-01", "passkey")]
    secret = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    kept = b"".join(path.read_bytes() for path in web.settings.state_dir.glob("api.db*"))
    assert secret.encode() not in kept, "a copy of api.db would sign in"


def test_a_wrong_answer_signs_nobody_in(web: Any, kit: Any) -> None:
    """A passkey of another site, of nobody here, or that did not check its user would open the registers."""
    page, key = web.page(), web.key("officer-01")
    good = kit.asserted(key, asked(page))
    other = dict(good["response"])
    other["signature"] = kit.asserted(web.key("guard-01"), asked(page))["response"]["signature"]
    unverified = SoftPasskey("officer-01", is_verified=False)
    unverified.count = 50
    wrong: dict[str, dict[str, Any]] = {
        "other origin": kit.asserted(key, asked(page), origin="http://evil.example"),
        "the same name, another port": kit.asserted(key, asked(page), origin="http://localhost:1"),
        "other rp": kit.asserted(key, {**asked(page), "rpId": "evil.example"}),
        "nobody's passkey": kit.asserted(SoftPasskey("stranger"), asked(page)),
        "user not verified": kit.asserted(unverified, asked(page)),
        "a challenge of somebody else's": kit.asserted(key, {**asked(page), "challenge": kit.wire(b"x" * 56)}),
        "no challenge": kit.asserted(key, {**asked(page), "challenge": ""}),
        "another's signature": {**good, "response": other},
        "a registration": {**good, "response": {**good["response"], "clientDataJSON": kit.wire(
            kit.unwire(good["response"]["clientDataJSON"]).replace(b"webauthn.get", b"webauthn.create"))}},
        "no JSON": {**good, "response": {**good["response"], "clientDataJSON": kit.wire(b"{" * 3000)}},
        "a list": {**good, "response": {**good["response"], "clientDataJSON": kit.wire(b'{"type":[],"challenge":1}')}},
        "a frame of another site": {**good, "response": {**good["response"], "clientDataJSON": kit.wire(
            kit.unwire(good["response"]["clientDataJSON"]).replace(b'"crossOrigin": false', b'"crossOrigin": true'))}},
    }  # fmt: skip
    for what, response in wrong.items():
        answer = page.post(SIGN_IN, json={"response": response})
        assert answer.status_code == 401 and "set-cookie" not in answer.headers, what
    assert {kind for kind, _, _ in notes(web)} == {"SIGN_IN_REFUSED"} and len(notes(web)) >= 9
    assert page.post(SIGN_IN, json={"response": kit.asserted(key, asked(page))}).status_code == 200


def test_an_answer_is_good_once_and_for_what_was_asked(web: Any, kit: Any) -> None:
    """Whoever sees one sign-in could repeat it, or use it for what the officer never agreed to."""
    page, key = web.page(), web.key("officer-01")
    response = kit.asserted(key, asked(page))
    assert page.post(SIGN_IN, json={"response": response}).status_code == 200
    again = page.post(SIGN_IN, json={"response": response})
    assert again.status_code == 401 and again.json()["code"] == "challenge_over"
    client = web.as_("officer-01")
    for_step_up = kit.asserted(key, client.post(STEP_UP + "/options").json()["publicKey"])
    assert page.post(SIGN_IN, json={"response": for_step_up}).status_code == 401
    for_sign_in = kit.asserted(key, asked(page))
    assert client.post(STEP_UP, json={"response": for_sign_in}).status_code == 401


def test_a_challenge_ends_with_its_time() -> None:
    """An answer that somebody caught could be used tomorrow."""
    clock = [1_000_000]
    challenges = Challenges(lambda: clock[0])
    made = [challenges.make("sign-in") for _ in range(3)]
    assert not challenges.take(made[0], "step-up") and challenges.take(made[0], "sign-in")
    assert not challenges.take(made[0], "sign-in") and not challenges.take(made[1][:-1] + b"\0", "sign-in")
    clock[0] += LIFE_MS
    assert challenges.take(made[1], "sign-in")
    clock[0] += 1
    assert not challenges.take(made[2], "sign-in") and not challenges.take(b"", "sign-in")


def test_a_copied_passkey_is_told_by_its_count(web: Any, kit: Any) -> None:
    """A copy of a key would work beside it, unnoticed."""
    web.key("officer-01").count = 7
    assert web.sign_in("officer-01").status_code == 200
    web.key("officer-01").count = 3
    assert web.sign_in("officer-01").status_code == 401
    assert notes(web)[-1] == ("SIGN_IN_REFUSED", "officer-01", "copied_passkey")


def test_without_a_record_nobody_signs_in_and_everybody_can_sign_out(web: Any) -> None:
    """Somebody could look at names while nothing can be recorded, or could not leave."""
    client = web.as_("officer-01")
    web.controller.stop()
    answer = web.sign_in("officer-03")
    assert answer.status_code == 503 and "set-cookie" not in answer.headers
    assert client.get("/api/v1/session").status_code == 200
    assert client.post("/api/v1/sign-out").status_code == 204
    assert client.get("/api/v1/session").status_code == 401


# -- cookies ---------------------------------------------------------------------------------------------------------


def test_every_sign_in_and_step_up_gives_a_new_id_and_the_old_one_is_dead(web: Any, kit: Any) -> None:
    """An id that somebody planted in a browser, or caught before, would be signed in with it."""
    planted = "planted-by-a-burglar-0123456789"
    page = web.page(planted)
    first = kit.cookie_of(page.post(SIGN_IN, json={"response": kit.asserted(web.key("officer-01"), asked(page))}))
    assert first != planted and web.page(planted).get("/api/v1/session").status_code == 401
    page = web.page(first)
    second = kit.cookie_of(page.post(SIGN_IN, json={"response": kit.asserted(web.key("officer-01"), asked(page))}))
    assert web.page(first).get("/api/v1/session").status_code == 401
    page = web.page(second)
    options = page.post(STEP_UP + "/options").json()["publicKey"]
    assert [one["id"] for one in options["allowCredentials"]] == [kit.wire(web.key("officer-01").credential_id)]
    third = kit.cookie_of(page.post(STEP_UP, json={"response": kit.asserted(web.key("officer-01"), options)}))
    assert web.page(second).get("/api/v1/session").status_code == 401
    assert web.page(third).get("/api/v1/session").status_code == 200


def test_a_sign_in_is_not_answered_again_and_nothing_after_the_end(web: Any, kit: Any) -> None:
    """Whoever caught one request could have its session's cookie, or its answer, by sending it once more."""
    sent = {"response": kit.asserted(web.key("officer-01"), asked(web.page()))}
    page = web.page(**{"Idempotency-Key": "sign-in-0001"})
    assert page.post(SIGN_IN, json=sent).status_code == 200
    again = page.post(SIGN_IN, json=sent)
    assert again.status_code == 401 and "set-cookie" not in again.headers
    client, key = web.as_("officer-01"), {"Idempotency-Key": "release-0001"}
    released = [client.post("/api/v1/portals/front/release", json={"reason": "other"}, headers=key) for _ in range(2)]
    assert [one.status_code for one in released] == [200, 200] and "idempotency-replayed" in released[1].headers
    client.post("/api/v1/sign-out")
    late = client.post("/api/v1/portals/front/release", json={"reason": "other"}, headers=key)
    assert late.status_code == 401


def test_nobody_steps_up_for_another(web: Any, kit: Any) -> None:
    """A guard at an officer's open page could make it do what needs the officer."""
    client = web.as_("officer-01")
    options = client.post(STEP_UP + "/options").json()["publicKey"]
    assert client.post(STEP_UP, json={"response": kit.asserted(web.key("guard-01"), options)}).status_code == 401
    options = web.as_("guard-01").post(STEP_UP + "/options").json()["publicKey"]
    answer = client.post(STEP_UP, json={"response": kit.asserted(web.key("officer-01"), options)})
    assert answer.status_code == 401, "asked for another session"


@pytest.mark.req("A-30")
def test_a_session_ends_when_nobody_does_anything_and_when_its_day_is_over(web: Any) -> None:
    """A page left open would be anybody's who sits down."""
    sessions, clock = web.parts.signing_in.sessions, [0]
    client, busy = web.as_("officer-01"), web.signed_in("officer-01")
    began = max(one.seen_ms for one in sessions.all())
    sessions._clock = lambda: began + clock[0]
    clock[0] = 14 * 60_000
    assert client.get("/api/v1/session", headers={"Sec-Fetch-Mode": "cors"}).status_code == 200
    assert busy.post("/api/v1/session/seen").status_code == 204
    clock[0] = 16 * 60_000
    assert client.get("/api/v1/session").status_code == 401, "what a page fetches by itself kept it alive"
    assert busy.get("/api/v1/session").status_code == 200
    for minute in range(16, SESSION_MS // 60_000, 14):
        clock[0] = minute * 60_000
        assert busy.get("/api/v1/session").status_code == 200
    clock[0] = SESSION_MS
    assert busy.get("/api/v1/session").status_code == 401


def test_what_is_dangerous_asks_for_the_passkey_again(web: Any) -> None:
    """Whoever finds an open page could let somebody in."""
    client, sessions = web.as_("officer-01"), web.parts.signing_in.sessions
    session = sessions.all()[0]
    sessions._all[session.id_hash] = replace(session, fresh_ms=session.fresh_ms - FRESH_MS)
    answer = client.post("/api/v1/portals/front/release", json={"reason": "delivery"})
    assert answer.status_code == 403 and answer.json()["code"] == "step_up"
    assert not web.controller.heard_of("command") and not client.get("/api/v1/session").json()["is_fresh"]


def test_two_sign_ins_at_once_are_two_sessions(web: Any) -> None:
    """One of two officers would be signed in as the other, or not at all."""
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(web.sign_in, ("officer-01", "officer-03")))
    assert [one.json()["officer"] for one in both] == ["officer-01", "officer-03"]
    assert len({one.headers["set-cookie"] for one in both}) == 2


def test_sessions_outlive_a_restart_of_the_web_process(web: Any, kit: Any) -> None:
    """Everybody would be thrown out by an upgrade."""
    cookie = web.as_("officer-01").headers["cookie"]
    web.stop()
    again = kit.serve(web.settings, web.controller)
    try:
        again.caught_up()
        assert again.anonymous(Cookie=cookie).get("/api/v1/session").json()["officer"] == "officer-01"
    finally:
        again.stop()


# -- ends ------------------------------------------------------------------------------------------------------------


def test_one_sees_and_ends_ones_own_sessions_and_an_officer_those_of_others(web: Any) -> None:
    """A lost phone would stay signed in, or anybody could throw anybody out."""
    guard, first, officer = web.as_("guard-01"), web.as_("officer-02"), web.as_("officer-01")
    second = web.signed_in("officer-02")
    mine = first.get("/api/v1/sessions").json()
    assert len(mine) == 2 and sum(one["is_this"] for one in mine) == 1
    assert guard.get("/api/v1/sessions", params={"everybody": "true"}).status_code == 403
    other = next(one["name"] for one in mine if not one["is_this"])
    assert guard.delete(f"/api/v1/sessions/{other}").status_code == 404
    assert first.delete(f"/api/v1/sessions/{other}").status_code == 204
    assert second.get("/api/v1/zones").status_code == 401 and first.get("/api/v1/zones").status_code == 200
    every = officer.get("/api/v1/sessions", params={"everybody": "true"}).json()
    assert {one["officer"] for one in every} == {"guard-01", "officer-01", "officer-02"}
    theirs = next(one["name"] for one in every if one["officer"] == "guard-01")
    assert officer.delete(f"/api/v1/sessions/{theirs}").status_code == 204
    assert guard.get("/api/v1/session").status_code == 401
    ended = [one for one in web.controller.heard_of("note") if one["type"] == "SESSION_REVOKED"]
    assert [(one["officer"], one.get("second")) for one in ended] == [("officer-02", None), ("officer-01", "guard-01")]


@pytest.mark.parametrize("how", ["revoked", "signed out", "ended in the policy"])
def test_an_open_stream_ends_with_its_session(web: Any, how: str) -> None:
    """Somebody who was thrown out would go on watching."""
    client, officer = web.signed_in("officer-03"), web.as_("officer-01")
    ended, begun = threading.Event(), threading.Event()

    def listen() -> None:
        with web.page(client.headers["cookie"].partition("=")[2]).stream("GET", "/api/v1/events/stream") as answer:
            for _ in answer.iter_bytes():
                begun.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    assert begun.wait(5)
    if how == "revoked":
        every = officer.get("/api/v1/sessions", params={"everybody": "true"}).json()
        name = next(one["name"] for one in every if one["officer"] == "officer-03")
        assert officer.delete(f"/api/v1/sessions/{name}").status_code == 204
    elif how == "signed out":
        assert client.post("/api/v1/sign-out").status_code == 204
    else:
        row = {"id": "officer-03", "roles": ["PROTECTION_OFFICER"], "from_on": "2026-01-01", "until_on": "2099-12-31"}
        web.controller.edit(("officer", row | {"ended_on": "2026-01-02"}))
    assert ended.wait(5), "the stream went on"
    assert client.get("/api/v1/session").status_code == 401


@pytest.mark.req("A-30")
def test_an_officer_whose_post_is_over_is_out_at_once_and_stays_out(web: Any) -> None:
    """Somebody who left could go on with the tab that he left open."""
    client, officer = web.as_("officer-03"), {"id": "officer-03", "roles": ["PROTECTION_OFFICER"]}
    assert client.get("/api/v1/session").status_code == 200
    web.controller.edit(("officer", officer | {"from_on": "2026-01-01", "until_on": "2026-01-02"}))
    web.caught_up()
    assert client.get("/api/v1/session").status_code == 401 and client.get("/api/v1/zones").status_code == 401
    assert web.sign_in("officer-03").status_code == 401
    web.controller.edit(("officer", officer | {"from_on": "2026-01-01", "until_on": "2099-01-01"}))
    web.caught_up()
    assert client.get("/api/v1/session").status_code == 401, "the old session came back with a new post"
    assert web.sign_in("officer-03").status_code == 200


def test_a_passkey_that_was_ended_signs_nobody_in(web: Any, kit: Any) -> None:
    """A key that was lost would open the registers."""
    row = next(row for table, row in kit.posts("officer-03") if table == "officer_key")
    web.controller.edit(("officer_key", row | {"ended_on": "2026-01-02"}))
    web.caught_up()
    assert web.sign_in("officer-03").status_code == 401


def test_roles_are_those_of_today(web: Any) -> None:
    """Somebody would keep what he may from when he signed in."""
    client = web.as_("guard-01")
    assert client.get("/api/v1/session").json()["roles"] == ["GUARD"]
    web.controller.edit(
        ("officer", {"id": "guard-01", "roles": ["LINE"], "from_on": "2026-01-01", "until_on": "2099-01-01"})
    )
    web.caught_up()
    told = client.get("/api/v1/session").json()
    assert told["roles"] == ["LINE"] and told["may"] == ["own"]


def test_sessions_of_one_officer_are_bounded(shared: Any) -> None:
    """Somebody with a script would fill the memory, and the list that he should look through."""
    signing_in = shared.parts.signing_in
    for _ in range(EACH_MAX + 3):
        signing_in.sessions.open(officer="line-01", way="passkey", strength=3, agent="x")
    assert sum(one.officer == "line-01" for one in signing_in.sessions.all()) == EACH_MAX


@pytest.mark.parametrize("path", [OPTIONS, SIGN_IN, "/api/v1/sign-in/password", "/api/v1/sign-in/link",
                                  "/api/v1/enrolment/options", "/api/v1/sign-out"])  # fmt: skip
def test_no_other_site_signs_a_browser_in_or_out(shared: Any, path: str) -> None:
    """An officer would work in a session that somebody else watches."""
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {}):
        assert shared.anonymous(**headers).post(path, json={}).json()["code"] == "other_site"
