"""Authentication: Basic, bearer tokens with their scopes, and the token endpoint."""

import base64
import binascii
import random
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import attrs
import orjson

from thrive_async._generated.operations import Operation
from thrive_async.sandbox.handlers.replies import Refusal, Reply, error_body
from thrive_async.sandbox.settings import Settings

__all__ = ["SCOPES", "TOKEN_OPERATION", "Tokens"]

TOKEN_OPERATION: Final = "createAccessToken"  # noqa: S105
SCOPES: Final = ("api/all", "api/read", "api/write", "api/webhooks")

_FIELDS: Final = frozenset({"grant_type", "scope", "client_id", "client_secret"})


@attrs.define
class _Token:
    expires: float
    scopes: frozenset[str]


class Tokens:
    """The accounts of one sandbox: an API key, an OAuth client, and the tokens issued to it.

    Attributes:
        tenant_id: The tenant: the user name of Basic authentication.
        api_key: Its API key.
        client_id: The OAuth client.
        client_secret: Its secret.
        client_scopes: The scopes that the client may request.
        issued: The number of tokens issued.
    """

    def __init__(self, seed: int, settings: Settings) -> None:
        rng = random.Random(f"{seed} secrets")  # noqa: S311 - the secrets of a sandbox are no secrets: its page shows them
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
        self.tenant_id: str = "eu-west-2_" + "".join(rng.choices(letters, k=9))
        self.api_key: str = "sandbox-key-" + "".join(rng.choices(letters, k=24))
        self.client_id: str = "sandbox-client-" + "".join(rng.choices(letters, k=12))
        self.client_secret: str = "sandbox-secret-" + "".join(rng.choices(letters, k=32))
        self.client_scopes: frozenset[str] = frozenset(SCOPES)
        self.issued: int = 0
        self._rng = rng
        self._settings = settings
        self._tokens: dict[str, _Token] = {}
        self._basic = "Basic " + base64.b64encode(f"{self.tenant_id}:{self.api_key}".encode()).decode()

    def revoke(self, authorization: str | None = None) -> None:
        """Revoke the token in this header, or every token issued so far."""
        if authorization is None:
            self._tokens.clear()
        else:
            self._tokens.pop(authorization.partition(" ")[2].strip(), None)

    def check(self, authorization: str | None, operation: Operation, now: float) -> None:
        """Check a request's credentials and scope.

        Raises:
            Refusal: 401 if the credentials are not valid, 403 if the token lacks the scope.
        """
        if authorization == self._basic:
            return
        scheme, _, value = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic":
                if _basic_pair(value) == (self.tenant_id, self.api_key):
                    return
                raise _unauthorized("The tenant id or the API key is wrong.")
            case "bearer":
                token = self._tokens.get(value.strip())
                if token is None:
                    raise _unauthorized("The access token is invalid.")
                if token.expires <= now:
                    raise _unauthorized("The access token has expired.")
                if not token.scopes.intersection(operation.scopes):
                    raise Refusal(
                        403,
                        {
                            "reason": "The access token lacks the necessary scope.",
                            "required": sorted(operation.scopes),
                        },
                    )
            case _:
                raise _unauthorized("Authentication is required.")

    def issue(self, tenant_id: str, headers: Mapping[str, str], body: bytes, now: float) -> Reply:
        """Answer a request to the token endpoint.

        Args:
            tenant_id: The tenant in the path.
            headers: The request's headers.
            body: The form.
            now: The loop's time.
        """
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
        except ValueError:
            return self.refuse(400, "invalid_request", "The body is not a form.")
        form = dict(pairs)
        wrong = next((name for name, value in pairs if name not in _FIELDS or not value), None)
        if wrong is not None or len(form) < len(pairs):
            return self.refuse(400, "invalid_request", f"A field is unknown, empty or given twice: {wrong}")
        if not headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
            return self.refuse(400, "invalid_request", "Content-Type must be application/x-www-form-urlencoded.")
        authorization = headers.get("authorization", "")
        if authorization and form.get("client_secret") is not None:
            return self.refuse(400, "invalid_request", "Two ways of authentication at once.")
        if authorization:
            style, client = "basic", _basic_pair(authorization.partition(" ")[2], unquote=True)
        else:
            style, client = "post", (form.get("client_id", ""), form.get("client_secret", ""))
        right = client == (self.client_id, self.client_secret) and tenant_id == self.tenant_id
        if self._settings.token_auth not in ("both", style):
            return self.refuse(self._settings.token_refusal, "invalid_client", "The client's style is wrong.")
        if not right:
            return self.refuse(401, "invalid_client", "The client is unknown, or its secret is wrong.")
        if form.get("grant_type") != "client_credentials":
            return self.refuse(400, "unsupported_grant_type", "grant_type must be client_credentials.")
        scopes = frozenset(form.get("scope", "").split()) or self.client_scopes
        if not scopes <= self.client_scopes:
            return self.refuse(400, "invalid_scope", "The client may not ask for this scope.")
        self.issued += 1
        value = f"sandbox-token-{self.issued}-{self._rng.getrandbits(128):032x}"
        self._tokens[value] = _Token(now + self._settings.token_lifetime, scopes)
        shape = self._settings.token_reply
        value = f"Bearer {value}" if shape == "bearer" else value
        answer: dict[str, Any] = {"access_token": value, "token_type": "Bearer"}
        lifetime = int(self._settings.token_lifetime)
        if self._settings.token_expires_in == "number":  # noqa: S105
            answer["expires_in"] = lifetime
        elif self._settings.token_expires_in == "string":  # noqa: S105
            answer["expires_in"] = str(lifetime)
        if shape == "camel":
            names = {"access_token": "accessToken", "token_type": "tokenType", "expires_in": "expiresIn"}
            answer = {names[name]: item for name, item in answer.items()}
        return Reply(200, orjson.dumps(answer), {"Cache-Control": "no-store"})

    def refuse(self, status: int, error: str, description: str) -> Reply:
        """Make a refusal of the token endpoint, in the shape that `token_error` selects."""
        if self._settings.token_error == "oauth":  # noqa: S105
            return Reply(status, orjson.dumps({"error": error, "error_description": description}))
        return Reply(status, orjson.dumps(error_body(status, description)))


def _unauthorized(message: str) -> Refusal:
    return Refusal(401, message, headers={"WWW-Authenticate": 'Basic realm="Thrive", Bearer realm="Thrive"'})


def _basic_pair(encoded: str, *, unquote: bool = False) -> tuple[str, str] | None:
    """Read name and secret from a Basic header. OAuth form-encodes them inside it (RFC 6749, 2.3.1)."""
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if not colon:
        return None
    return (unquote_plus(name), unquote_plus(secret)) if unquote else (name, secret)
