"""How a passkey comes in: with the console's ticket, with an officer's link; and the pages of signing in."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from simulators.passkey import SoftPasskey

ENROL = "/api/v1/enrolment"
TICKET = "0123456789abcdef0123456789abcdef"


def challenge(site: str, ticket: str) -> bytes:
    """As docs/officers.md §4 writes it, by hand."""
    canonical = json.dumps({"site": site, "ticket": ticket}, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(b"sekisho enrolment v1\n" + canonical).digest()


def test_the_consoles_ticket_and_the_passkey_go_to_the_controller(web: Any, kit: Any) -> None:
    """The first officer could not come in, or with a passkey for another site."""
    page, key = web.page(), SoftPasskey("newcomer")
    options = page.post(ENROL + "/options", json={"ticket": TICKET}).json()["publicKey"]
    assert kit.unwire(options["challenge"]) == challenge(web.controller.vkey, TICKET)
    chosen = options["authenticatorSelection"]
    assert chosen["residentKey"] == "required" and chosen["userVerification"] == "required"
    assert options["attestation"] == "none" and options["rp"]["id"] == "localhost"
    wrong = [
        kit.created(key, options, origin="http://evil.example"),
        kit.created(key, {**options, "rp": {"id": "evil.example"}}),
        kit.created(key, {**options, "challenge": kit.wire(b"x" * 32)}),
        kit.created(SoftPasskey("newcomer", is_verified=False), options),
    ]
    for response in wrong:
        web.parts.signing_in.delays._failures.clear()
        answer = page.post(ENROL, json={"ticket": TICKET, "response": response})
        assert answer.status_code == 422 and answer.json()["code"] == "passkey_wrong"
    assert not web.controller.heard_of("enrol_key")
    answer = page.post(ENROL, json={"ticket": TICKET, "response": kit.created(key, options)})
    assert answer.status_code == 200 and answer.json()["seq"] == len(web.controller.records) - 1
    (heard,) = web.controller.heard_of("enrol_key")
    assert heard["ticket"] == TICKET and key.public_key in heard["authenticator_data"]
    assert bytes.fromhex(heard["client_data"]).startswith(b'{"type": "webauthn.create"')
    web.controller.refusals.append({"code": "bad_ticket"})
    assert page.post(ENROL, json={"ticket": TICKET, "response": kit.created(key, options)}).status_code == 403


@pytest.mark.req("A-31")
def test_an_invitation_makes_a_passkey_that_officers_sign(web: Any, kit: Any) -> None:
    """One officer alone could let somebody in who then signs with him."""
    officer, page, key = web.as_("officer-01"), web.page(), SoftPasskey("second key")
    assert web.as_("guard-01").post("/api/v1/officers/guard-01/invitation").status_code == 403
    assert officer.post("/api/v1/officers/nobody-1/invitation").status_code == 404
    made = officer.post("/api/v1/officers/guard-01/invitation")
    assert made.status_code == 201 and made.json()["link"].startswith("http://localhost/enrol#skv_")
    ticket = made.json()["link"].partition("#")[2]
    options = page.post(ENROL + "/options", json={"ticket": ticket}).json()["publicKey"]
    assert options["user"]["name"] == "guard-01"
    assert [one["id"] for one in options["excludeCredentials"]] == [kit.wire(web.key("guard-01").credential_id)]
    other = page.post(ENROL + "/options", json={"ticket": TICKET}).json()["publicKey"]
    answer = page.post(ENROL, json={"ticket": ticket, "response": kit.created(key, other)})
    assert answer.status_code == 401, "a challenge that was made for another link"
    answer = page.post(ENROL, json={"ticket": ticket, "response": kit.created(key, options)})
    assert answer.status_code == 200, answer.text
    proposal = officer.get(f"/api/v1/proposals/{answer.json()['proposal']}").json()
    assert proposal["signers_needed"] == 2 and proposal["reason"] == "enrolment"
    row = proposal["changes"][0]["row"]
    assert (row["officer"], row["credential"], row["public_key"]) == ("guard-01", key.credential, key.public_key)
    again = page.post(ENROL + "/options", json={"ticket": ticket})
    assert again.status_code == 401 and again.json()["code"] == "link_over"


def test_the_first_start_says_what_to_do_and_nothing_else(kit: Any, tmp_path: Any) -> None:
    """Whoever finds the page first would become its officer, or nobody would know how to begin."""
    controller = kit.stand_in.StandIn(tmp_path / "c.sock")
    controller.record("CONTROLLER_STARTED")
    controller.edit(*kit.stand_in.HOUSE)
    controller.start()
    settings = kit.Settings(socket=tmp_path / "c.sock", state_dir=tmp_path / "api", port=0, origin=kit.ORIGIN)
    web = kit.serve(settings, controller)
    try:
        web.caught_up()
        page = web.page(Accept="text/html")
        assert page.get("/").headers["location"].startswith("/sign-in")
        for language, words in (("ja", "最初の2人"), ("en", "first two")):
            shown = page.get("/sign-in", params={"lang": language})
            assert "sekisho officer add" in shown.text and words in shown.text
            assert "<form" not in shown.text and "data-passkey" not in shown.text
    finally:
        web.stop()
        controller.stop()


ONWARD = [("/people", "/people"), ("/why?number=7QK4", "/why?number=7QK4"), ("//evil.example", "/"), ("/\\evil", "/"),
          ("https://evil.example/", "/"), ("javascript:alert(1)", "/"), ("/sign-in", "/"), ("", "/"), ("/a\nb", "/"),
          ]  # fmt: skip


@pytest.mark.parametrize(("next", "address"), ONWARD)
def test_signing_in_leads_to_a_page_of_ours(shared: Any, next: str, address: str) -> None:
    """A link in a mail would lead an officer through our sign-in to somebody else's page."""
    shown = shared.page(Accept="text/html").get("/sign-in", params={"next": next})
    assert shown.status_code == 200 and f'data-next="{address}"'.replace("&", "&amp;") in shown.text
    signed_in = shared.as_("officer-01").get("/sign-in", params={"next": next})
    assert signed_in.status_code == 303 and signed_in.headers["location"] == address


PAGES = ["/sign-in", "/enrol", "/enrolled", "/own-link", "/sessions", "/sessions?everybody=1"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_pages_of_signing_in_are_whole_in_both_languages(shared: Any, path: str, lang: str) -> None:
    """An officer would read half of it in a language that he does not read, or nothing."""
    client = shared.as_("officer-01") if path.startswith("/sessions") else shared.page()
    shown = client.get(path, params={"lang": lang}, headers={"Accept": "text/html"})
    assert shown.status_code == 200 and f'<html lang="{lang}"' in shown.text
    assert " style=" not in shown.text and " onclick=" not in shown.text and "<script>" not in shown.text


def test_a_page_sends_whoever_is_not_signed_in_to_the_sign_in_and_back(shared: Any) -> None:
    """Somebody whose session ended would see an error, or names."""
    for path in ("/", "/people", "/sessions"):
        answer = shared.page(Accept="text/html").get(path)
        assert answer.status_code == 303 and answer.headers["location"] == f"/sign-in?next={path}"


def test_what_is_ones_own_is_changed_with_forms(web: Any, kit: Any) -> None:
    """An officer without a programmer could neither end a session nor make a token."""
    client, other = web.as_("officer-01"), web.signed_in("officer-01")
    shown = client.get("/sessions")
    name = next(one for one in web.parts.signing_in.sessions.all() if one.id_hash[:16] in shown.text
                and f"/sessions/{one.name}/end" in shown.text).name  # fmt: skip
    assert client.post(f"/sessions/{name}/end").status_code == 303
    assert other.get("/api/v1/session").status_code == 401
    made = client.post("/tokens", data={"name": "見張り <b>", "days": "30", "scope": ["live", "devices"]})
    assert made.status_code == 200 and "skt_" in made.text and "<b>見張り" not in made.text
    assert "skt_" not in client.get("/sessions").text
    for wrong in ({"name": "", "days": "30"}, {"name": "x", "days": "x"}, {"name": "x", "days": "999"}):
        assert client.post("/tokens", data=wrong).status_code == 422
    token = web.parts.signing_in.tokens.all()[0].id
    assert client.post(f"/tokens/{token}/end").status_code == 303 and not web.parts.signing_in.tokens.all()
    unequal = {"password": "korobanu saki no tsue", "again": "x", "secret": "A" * 32, "code": "000000"}
    assert client.post("/password", data=unequal).status_code == 422
    stranger = web.anonymous(Cookie=client.headers["cookie"], Origin="http://evil.example")
    assert stranger.post("/tokens", data={"name": "x", "days": "1"}).status_code == 403
    out = client.post("/sign-out")
    assert out.status_code == 303 and out.headers["location"] == "/sign-in"
    assert client.get("/api/v1/session").status_code == 401


@pytest.mark.req("E-13")
def test_the_reception_makes_the_link_on_a_page(web: Any) -> None:
    """A person who asks what is kept about him would be sent away."""
    web.controller.edit(("cardholder", {"id": "c-1"}))
    web.caught_up()
    guard = web.as_("guard-01")
    assert 'href="/own-links"' in guard.get("/").text and guard.get("/own-links").status_code == 200
    made = guard.post("/own-links", data={"cardholder": "c-1"})
    assert made.status_code == 200 and "/own-link#skv_" in made.text
    for wrong in ("nobody", "", "<b>"):
        refused = guard.post("/own-links", data={"cardholder": wrong})
        assert refused.status_code == 404 and "skv_" not in refused.text and "<b>" + "<" not in refused.text
    assert web.as_("auditor-01").post("/own-links", data={"cardholder": "c-1"}).status_code == 403


def test_the_form_with_a_password_works_without_scripts(shared: Any) -> None:
    """Whoever has no passkey at hand could not sign in on an old browser."""
    page = shared.page()
    sent = {"officer": "officer-01", "password": "not the right one", "code": "000000", "next": "/people"}
    answer = page.post("/sign-in/password", data=sent)
    assert answer.status_code == 401 and "not the right one" not in answer.text and 'value="/people"' in answer.text
    assert page.post("/sign-in/password", data={**sent, "code": "x"}).status_code == 401
    assert page.post("/sign-in/password", data={**sent, "officer": "<script>"}).status_code == 401
