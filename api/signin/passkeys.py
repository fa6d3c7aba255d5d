"""Passkeys at the page (Web Authentication Level 3): what a browser is asked, and whether what it answers is so.

The public keys come from the policy; only the counts are kept here. The controller checks signatures of changes again
by itself: here it is decided only who sits at the page.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy import Engine
from sqlmodel import Session
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_cbor, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticatorTransport

from api.problems import Problem
from api.signin.posts import Posts, now_ms
from api.signin.tables import PasskeyCountRow
from controller.link.messages import Signature
from zones.officers import OfficerKey

ALGORITHMS: Final = (
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
TIMEOUT_MS: Final = 120_000
_Part = Annotated[str, StringConstraints(max_length=16_000, pattern=r"^[A-Za-z0-9_-]*={0,2}$")]


class _Sent(BaseModel):
    """As browsers write it (`PublicKeyCredential.toJSON`); what we do not ask about is passed over."""

    model_config = ConfigDict(extra="ignore", strict=True)


class AssertionParts(_Sent):
    clientDataJSON: _Part  # noqa: N815  the standard's names
    authenticatorData: _Part  # noqa: N815
    signature: _Part
    userHandle: _Part | None = None  # noqa: N815


class AssertionSent(_Sent):
    """What `navigator.credentials.get` gave, as JSON."""

    id: _Part
    rawId: _Part  # noqa: N815
    type: Literal["public-key"] = "public-key"
    response: AssertionParts


class RegistrationParts(_Sent):
    clientDataJSON: _Part  # noqa: N815
    attestationObject: _Part  # noqa: N815


class RegistrationSent(_Sent):
    """What `navigator.credentials.create` gave, as JSON."""

    id: _Part
    rawId: _Part  # noqa: N815
    type: Literal["public-key"] = "public-key"
    response: RegistrationParts


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A new passkey: what stands in a row of `officer_key`, and the parts that the controller checks. Hex."""

    credential: str
    public_key: str
    client_data: str
    authenticator_data: str


class CountWentBack(Exception):
    """A passkey says that it was used less often than it was: somebody has a copy of it."""


class Passkeys:
    """Asks and judges passkeys for one relying party. `origins`: where our pages are."""

    def __init__(self, engine: Engine, posts: Posts, *, rp_id: str, origins: list[str]) -> None:
        self._engine = engine
        self._posts = posts
        self.rp_id = rp_id
        self.origins = origins
        self._lock = threading.Lock()

    def request_options(self, challenge: bytes, allowed: list[OfficerKey] | None = None) -> dict[str, Any]:
        """`publicKey` of navigator.credentials.get; with `allowed`, of these passkeys alone."""
        return {
            "challenge": bytes_to_base64url(challenge), "rpId": self.rp_id, "timeout": TIMEOUT_MS,
            "userVerification": "required",
            "allowCredentials": [
                {"type": "public-key", "id": bytes_to_base64url(bytes.fromhex(key.credential))}
                for key in allowed or ()
            ],
        }  # fmt: skip

    def creation_options(self, challenge: bytes, officer: str) -> dict[str, Any]:
        """`publicKey` of navigator.credentials.create, for a passkey that is found without a name. The id of its
        account is by chance: what somebody else kept under an equal one would be written over.
        """
        name = officer or "Sekisho"
        return {
            "challenge": bytes_to_base64url(challenge), "rp": {"id": self.rp_id, "name": "Sekisho"},
            "user": {"id": bytes_to_base64url(secrets.token_bytes(16)), "name": name, "displayName": name},
            "pubKeyCredParams": [{"type": "public-key", "alg": int(one)} for one in ALGORITHMS],
            "timeout": TIMEOUT_MS, "attestation": "none",
            "authenticatorSelection": {
                "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
            },
            "excludeCredentials": [
                {"type": "public-key", "id": bytes_to_base64url(bytes.fromhex(key.credential)),
                 "transports": [one.value for one in AuthenticatorTransport]}
                for key in self._posts.keys_of(officer)
            ],
        }  # fmt: skip

    def judge(self, sent: AssertionSent, challenge: bytes) -> OfficerKey:
        """Whose passkey answered `challenge`. Raises Problem 401 `passkey_wrong`, CountWentBack."""
        key = self._posts.key(_bytes(sent.rawId).hex())
        if key is None:
            raise Problem("passkey_wrong", 401)
        with self._lock:
            try:
                verified = verify_authentication_response(
                    credential=sent.model_dump(exclude_none=True), expected_challenge=challenge,
                    expected_rp_id=self.rp_id, expected_origin=self.origins,
                    credential_public_key=bytes.fromhex(key.public_key), credential_current_sign_count=0,
                    require_user_verification=True,
                )  # fmt: skip
            except (WebAuthnException, ValueError) as error:
                raise Problem("passkey_wrong", 401) from error
            self._count(key.credential, verified.new_sign_count)
        return key

    def _count(self, credential: str, count: int) -> None:
        with Session(self._engine) as session:
            row = session.get(PasskeyCountRow, credential)
            last = row.count if row is not None else 0
            if (count or last) and count <= last:
                raise CountWentBack(credential)
            session.merge(PasskeyCountRow(credential=credential, count=count, used_ms=now_ms()))
            session.commit()

    def used_ms(self, credential: str) -> int | None:
        """When a passkey was shown last."""
        with Session(self._engine) as session:
            row = session.get(PasskeyCountRow, credential)
            return None if row is None else row.used_ms

    def registered(self, sent: RegistrationSent, challenge: bytes) -> Registered:
        """A new passkey that answered `challenge`. Raises Problem 422 `passkey_wrong`."""
        try:
            made = verify_registration_response(
                credential=sent.model_dump(exclude_none=True), expected_challenge=challenge,
                expected_rp_id=self.rp_id, expected_origin=self.origins, require_user_verification=True,
                supported_pub_key_algs=list(ALGORITHMS),
            )  # fmt: skip
            whole = parse_cbor(_bytes(sent.response.attestationObject))
        except (WebAuthnException, ValueError) as error:
            raise Problem("passkey_wrong", 422) from error
        return Registered(
            credential=made.credential_id.hex(), public_key=made.credential_public_key.hex(),
            client_data=_bytes(sent.response.clientDataJSON).hex(),
            authenticator_data=bytes(whole["authData"]).hex(),
        )  # fmt: skip


def challenge_in(client_data: str) -> bytes:
    """The challenge that a browser says it was asked with. Raises Problem 401 where it says nothing legible."""
    try:
        found = parse_client_data_json(_bytes(client_data))
        if found.cross_origin:  # asked from within another site's page (§5.8.1)
            raise Problem("passkey_wrong", 401)
        return bytes(found.challenge)
    except (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Problem("passkey_wrong", 401) from error


def signature_of(sent: AssertionSent) -> Signature:
    """The same as the controller takes it."""
    parts = sent.response
    return Signature(
        credential=_bytes(sent.rawId).hex(), client_data=_bytes(parts.clientDataJSON).hex(),
        authenticator_data=_bytes(parts.authenticatorData).hex(), signature=_bytes(parts.signature).hex(),
    )  # fmt: skip


def _bytes(text: str) -> bytes:
    """Base64url, with or without its padding. Raises Problem."""
    try:
        return base64url_to_bytes(text.rstrip("="))
    except ValueError as error:
        raise Problem("passkey_wrong", 401) from error
