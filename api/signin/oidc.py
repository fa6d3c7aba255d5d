"""Sign-in through the company's own provider, where it has one (OpenID Connect: code flow, PKCE, state, nonce).

The provider says who it is, and with `amr` whether he showed two factors. That may read and propose; it signs nothing.
What it answers is believed only over the connection to it, signed by its keys, for us, for this browser, now.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api.problems import Problem

FLOW_S_MAX: Final = 600.0
FLOWS_MAX: Final = 256
FETCH_S_MAX: Final = 5.0
BYTES_MAX: Final = 256 * 1024
SKEW_S: Final = 60
KNOWN_S: Final = 3600.0
RETRY_S: Final = 10.0
"""So long after it did not answer it is not asked again."""

ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA"]
TWO_FACTORS: Final = "mfa"
"""What stands in `amr` where somebody showed two (RFC 8176)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """`claim`: which claim of the ID token is the officer's id. `secret_file`: the client's secret, mode 0600."""

    issuer: str
    client_id: str
    secret_file: Path
    claim: str = "preferred_username"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the browser is sent, and what it keeps in a cookie until it is back."""

    address: str
    flow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Whom the provider named. `has_two`: it says that he showed two factors."""

    officer: str
    has_two: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flow:
    verifier: str
    nonce: str
    state: str
    tick: float


class Oidc:
    """One provider. `redirect`: the address on our side where browsers come back."""

    def __init__(self, settings: OidcSettings, redirect: str) -> None:
        self._settings = settings
        self._redirect = redirect
        self._lock = threading.Lock()
        self._flows: dict[str, _Flow] = {}
        self._asking = threading.Lock()
        self._failed_tick = float("-inf")
        self._known: tuple[float, dict[str, Any], KeySet] | None = None

    def begin(self) -> Begun:
        """A new sign-in. Raises Problem 503 where the provider does not answer."""
        described, _ = self._provider()
        flow = _Flow(
            verifier=generate_token(64), nonce=generate_token(32), state=generate_token(32), tick=time.monotonic()
        )  # fmt: skip
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._flows = {key: one for key, one in self._flows.items() if flow.tick - one.tick < FLOW_S_MAX}
            while len(self._flows) >= FLOWS_MAX:
                self._flows.pop(next(iter(self._flows)))
            self._flows[name] = flow
        asked = {
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": self._redirect,
            "scope": "openid profile", "state": flow.state, "nonce": flow.nonce, "code_challenge_method": "S256",
            "code_challenge": create_s256_code_challenge(flow.verifier),
        }  # fmt: skip
        where = str(described["authorization_endpoint"])
        return Begun(address=f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", flow=name)

    def finish(self, flow_name: str, state: str, code: str) -> Named:
        """Whom the provider named, for a browser that came back. Raises Problem 401 `oidc_failed`, 503."""
        with self._lock:
            flow = self._flows.pop(flow_name, None)
        if flow is None or time.monotonic() - flow.tick > FLOW_S_MAX or not secrets.compare_digest(
            flow.state.encode(), state.encode("utf-8", "surrogatepass")
        ):  # fmt: skip
            raise Problem("oidc_failed", 401)
        described, keys = self._provider()
        answer = _fetch(
            str(described["token_endpoint"]),
            {
                "grant_type": "authorization_code", "code": code, "redirect_uri": self._redirect,
                "client_id": self._settings.client_id, "client_secret": self._secret(), "code_verifier": flow.verifier,
            },
        )  # fmt: skip
        return self._named(self._claims(str(answer.get("id_token", "")), keys), flow)

    def _claims(self, id_token: str, keys: KeySet) -> dict[str, Any]:
        settings = self._settings
        wanted = jwt.JWTClaimsRegistry(
            leeway=SKEW_S, iss={"essential": True, "value": settings.issuer}, exp={"essential": True},
            iat={"essential": True}, sub={"essential": True}, aud={"essential": True, "value": settings.client_id},
        )  # fmt: skip
        try:
            token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
            wanted.validate(token.claims)
        except (JoseError, ValueError) as error:
            self._known = None  # its keys may have changed
            raise Problem("oidc_failed", 401) from error
        return dict(token.claims)

    def _named(self, claims: dict[str, Any], flow: _Flow) -> Named:
        settings, officer, ways = self._settings, claims.get(self._settings.claim), claims.get("amr")
        is_ours = secrets.compare_digest(str(claims.get("nonce", "")).encode(), flow.nonce.encode())
        several = isinstance(claims.get("aud"), list) and len(claims["aud"]) > 1
        if not is_ours or (several and claims.get("azp") != settings.client_id) or not isinstance(officer, str):
            raise Problem("oidc_failed", 401)
        return Named(officer=officer, has_two=isinstance(ways, list) and TWO_FACTORS in ways)

    def _secret(self) -> str:
        try:
            return self._settings.secret_file.read_text("utf-8").strip()
        except OSError as error:
            raise Problem("oidc_failed", 503) from error

    def _provider(self) -> tuple[dict[str, Any], KeySet]:
        with self._asking:  # one asks, the others wait for what it hears
            known = self._known
            if known is not None and time.monotonic() - known[0] < KNOWN_S:
                return known[1], known[2]
            if time.monotonic() - self._failed_tick < RETRY_S:  # strangers' attempts must not hold up every thread
                raise Problem("oidc_failed", 503, headers={"Retry-After": str(int(RETRY_S))})
            self._failed_tick = time.monotonic()
            found = self._fetched()
            self._failed_tick = float("-inf")
            return found

    def _fetched(self) -> tuple[dict[str, Any], KeySet]:
        described = _fetch(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if described.get("issuer") != self._settings.issuer:  # OIDC Discovery §4.3
            raise Problem("oidc_failed", 503)
        ends = [described.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(one, str) and _is_safe(one) for one in ends):
            raise Problem("oidc_failed", 503)
        try:
            keys = KeySet.import_key_set(_fetch(str(described["jwks_uri"])))  # type: ignore[arg-type]  # checked there
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Problem("oidc_failed", 503) from error
        self._known = (time.monotonic(), described, keys)
        return described, keys


def _is_safe(address: str) -> bool:
    """HTTPS, or a provider on this very machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))


class _NoTurns(HTTPRedirectHandler):
    """What the provider answers comes from the provider."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetch(address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    """A JSON object from the provider. Raises Problem: 401 where it says no, 503 where it does not answer."""
    if not _is_safe(address):
        raise Problem("oidc_failed", 503)
    sent = None if form is None else urlencode(form).encode()
    request = Request(address, data=sent, headers={"Accept": "application/json"})  # noqa: S310  judged above
    try:
        with build_opener(_NoTurns).open(request, timeout=FETCH_S_MAX) as answer:
            found = json.loads(answer.read(BYTES_MAX))
    except (URLError, OSError, ValueError) as error:
        raise Problem("oidc_failed", 401 if form is not None else 503) from error
    if not isinstance(found, dict):
        raise Problem("oidc_failed", 503)
    return found
