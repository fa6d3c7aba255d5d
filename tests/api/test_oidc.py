"""Sign-in through the company's provider: a small one that speaks real HTTP, honest, mistaken, or somebody else's."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

SECRET = "the-clients-secret"
FLOW = "__Host-sekisho-company"


class Provider:
    """An OpenID provider with one key. `claims`: put over those of the next token; `forger`: signs it in its place."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
        self.claims: dict[str, Any] = {}
        self.forger: ECKey | None = None
        self.is_down = False
        self.codes: dict[str, dict[str, str]] = {}
        self.heard: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._speaks())
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def agrees(self, address: str) -> tuple[str, str]:
        """The officer signs in there: state and code of the address that the browser is sent back to."""
        asked = {name: said[0] for name, said in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return asked["state"], code

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.is_down:
            return 500, {}
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return 200, {"issuer": self.issuer, **{name: self.issuer + end for name, end in ends.items()}}
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        self.heard.append(form)
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or form["client_secret"] != SECRET
            or challenge.decode().rstrip("=") != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": asked["client_id"], "sub": "s-1", "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], "preferred_username": "officer-01", **self.claims,
        }  # fmt: skip
        token = jwt.encode({"alg": "ES256", "kid": "k1"}, claims, self.forger or self.key)
        return 200, {"id_token": token, "access_token": "x", "token_type": "Bearer"}

    def _speaks(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Speaks(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._tell({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._tell({name: said[0] for name, said in parse_qs(body).items()})

            def _tell(self, form: dict[str, str]) -> None:
                status, told = provider.answer(self.path, form)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(told).encode())

            def log_message(self, *_: Any) -> None:
                pass

        return Speaks


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def company(provider: Provider, tmp_path_factory: pytest.TempPathFactory, api_kit: Any) -> Iterator[Any]:
    """The web process with that provider set up."""
    folder = tmp_path_factory.mktemp("company")
    (folder / "secret").write_text(SECRET + "\n")
    with api_kit.house(
        folder, oidc_issuer=provider.issuer, oidc_client_id="sekisho", oidc_secret_file=folder / "secret"
    ) as web:
        yield web


OWN = {"Sec-Fetch-Site": "same-origin"}


def begun(web: Any) -> tuple[str, str]:
    """Where the browser is sent, and its cookie."""
    answer = web.anonymous(**OWN).get("/sign-in/company")
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{FLOW}=") and "HttpOnly" in cookie and "SameSite=lax" in cookie
    return answer.headers["location"], cookie.partition("=")[2].partition(";")[0]


def back(web: Any, flow: str, state: str, code: str) -> Any:
    """The browser comes back from the provider: from another site, as browsers tell."""
    page = web.anonymous(**{"Cookie": f"{FLOW}={flow}", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    return page.get("/sign-in/company/back", params={"state": state, "code": code})


def signed_in(web: Any, provider: Provider, **claims: Any) -> Any:
    """The whole way."""
    provider.claims = claims
    address, flow = begun(web)
    return back(web, flow, *provider.agrees(address))


@pytest.mark.parametrize(("claims", "strength"), [({}, 1), ({"amr": ["pwd"]}, 1), ({"amr": ["pwd", "mfa"]}, 2)])
def test_an_officer_comes_in_through_the_company(
    company: Any, provider: Provider, api_kit: Any, claims: dict[str, Any], strength: int
) -> None:
    """Somebody who showed one factor would count as one who showed more."""
    company.sign_in("officer-01")
    answer = signed_in(company, provider, **claims)
    assert answer.status_code == 200 and 'content="0; url=/"' in answer.text
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(api_kit.COOKIE + "="))
    told = company.page(cookie.partition("=")[2].partition(";")[0]).get("/api/v1/session").json()
    assert (told["officer"], told["strength"], told["is_fresh"]) == ("officer-01", strength, False)
    sent = provider.heard[-1]
    assert sent["grant_type"] == "authorization_code" and 43 <= len(sent["code_verifier"]) <= 128


NOW = int(time.time())
WRONG: list[dict[str, Any]] = [
    {"nonce": "another"}, {"aud": "somebody-else"}, {"aud": ["sekisho", "other"]}, {"iss": "http://evil.example"},
    {"exp": NOW - 3600}, {"preferred_username": "nobody-1"}, {"preferred_username": ["officer-01"]},
    {"preferred_username": None}, {"sub": None},
]  # fmt: skip


@pytest.mark.parametrize("claims", WRONG)
def test_what_the_provider_did_not_say_to_us_is_not_believed(
    company: Any, provider: Provider, claims: dict[str, Any]
) -> None:
    """A token for another program, another day or another browser would sign somebody in."""
    company.sign_in("officer-01")
    answer = signed_in(company, provider, **claims)
    assert answer.status_code == 401 and "__Host-sekisho=" not in str(answer.headers), claims


def test_state_browser_and_code_belong_together_and_are_good_once(company: Any, provider: Provider) -> None:
    """A burglar could have an officer sign in as the burglar, or use a code that he caught."""
    provider.claims = {}
    company.sign_in("officer-01")
    address, flow = begun(company)
    state, code = provider.agrees(address)
    assert back(company, "", state, code).status_code == 401, "another browser"
    assert back(company, flow, "wrong", code).status_code == 401, "another state; and the attempt is over"
    assert back(company, flow, state, code).status_code == 401
    address, flow = begun(company)
    state, code = provider.agrees(address)
    assert back(company, flow, state, code).status_code == 200
    assert back(company, flow, state, code).status_code == 401
    other, mine = begun(company), begun(company)
    state, code = provider.agrees(other[0])
    assert back(company, mine[1], state, code).status_code == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
def test_no_other_site_begins_a_sign_in(company: Any, site: str) -> None:
    """Another site's page opens ours, and an officer whose provider asks nothing is signed in without an act of his."""
    sent = {"Sec-Fetch-Site": site} if site else {}
    answer = company.anonymous(**sent).get("/sign-in/company")
    assert answer.status_code == 403 and "location" not in answer.headers


def test_another_key_signs_nobody_in(company: Any, provider: Provider) -> None:
    """Whoever can write a token would be any officer."""
    company.sign_in("officer-01")
    provider.forger = ECKey.generate_key("P-256", {"kid": "k1", "use": "sig", "alg": "ES256"})
    try:
        assert signed_in(company, provider).status_code == 401
    finally:
        provider.forger = None
    assert signed_in(company, provider).status_code == 200


def test_where_the_provider_is_away_passkeys_go_on(company: Any, provider: Provider) -> None:
    """A cut line to the company's provider would lock everybody out."""
    company.parts.signing_in.oidc._known = None
    provider.is_down = True
    try:
        assert company.anonymous(**OWN).get("/sign-in/company").status_code == 503
        assert company.sign_in("officer-01").status_code == 200
    finally:
        provider.is_down = False
    assert company.anonymous(**OWN).get("/sign-in/company").headers["retry-after"] == "10", "not asked again at once"
    company.parts.signing_in.oidc._failed_tick = float("-inf")
    assert company.anonymous(**OWN).get("/sign-in/company").status_code == 303


def test_without_a_provider_there_is_no_such_way(shared: Any) -> None:
    """A button would lead nowhere."""
    assert shared.anonymous(**OWN).get("/sign-in/company").status_code == 404
    assert "/sign-in/company" not in shared.anonymous().get("/sign-in").text
