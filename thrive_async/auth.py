"""Who calls: an API key, or OAuth 2.0 client credentials with their token kept fresh.

Evidence: https://docs.thrivelearning.com/apidocs/oauth-api-authentication for hosts, scopes, lifetime and the bearer
header. The form of the token request is inferred: the tenant id and the scopes have the shape of Amazon Cognito's, so
the request follows Cognito's `/oauth2/token`, and what the endpoint may want otherwise is tried.
"""

import asyncio
import base64
import copy
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Literal, Protocol, cast
from urllib.parse import quote_plus, urlencode

import attrs

from thrive_async.config import Region
from thrive_async.errors import ConfigurationError

__all__ = ["ApiKey", "ClientCredentials"]

WEBHOOKS_SCOPE: Final = "api/webhooks"
DEFAULT_SCOPES: Final = ("api/all",)
DEFAULT_LIFETIME: Final = 3600.0
_RENEW_EARLY: Final = 60.0
# RFC 6749, section 3.3, but for the comma, which is taken for a space too often.
_SCOPE: Final = r"[!#-+\--\[\]-~]+"

ClientAuth = Literal["auto", "basic", "post"]


class Secret:
    """A string that no repr, log line or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself, to be put straight into a header."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


def checked_secret(value: object) -> Secret:
    """Wrap a secret that came as a string.

    Raises:
        ConfigurationError: It is empty or holds control characters.
    """
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("the secret is empty: Thrive issues it with the tenant id")
    if not value.isprintable():
        raise ConfigurationError("the secret holds a line break or another control character: was it cut or pasted?")
    return Secret(value)


@attrs.frozen
class ApiKey:
    """An API key, sent as the password of HTTP Basic with the tenant id as its user.

    Args:
        secret: The key as Thrive issued it. It is shown nowhere: not in a repr, a log line or an error.

    Raises:
        ConfigurationError: The key is empty or holds control characters.
    """

    secret: Secret = attrs.field(converter=checked_secret, repr=False)


def _scopes(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(cast("Iterable[str]", value)) if isinstance(value, Iterable) else (cast("str", value),)


def _checked_scopes(_instance: object, _attribute: object, value: tuple[object, ...]) -> None:
    # Only their form: Thrive may have scopes that nobody has documented, and says itself what it does not know.
    if not all(isinstance(scope, str) and re.fullmatch(_SCOPE, scope) for scope in value):
        raise ConfigurationError(
            '$scopes are strings such as "api/read", or one string with spaces between them', "scopes"
        )


def _client_id(_instance: object, _attribute: object, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("$client_id is empty: Thrive Support issues it with the client secret", "client_id")
    if not value.isprintable():
        raise ConfigurationError(
            "$client_id holds a line break or another control character: was it cut or pasted?", "client_id"
        )


def _client_auth(_instance: object, _attribute: object, value: str) -> None:
    if value not in ("auto", "basic", "post"):
        raise ConfigurationError(f'client_auth must be "auto", "basic" or "post", not {value!r}')


@attrs.frozen
class ClientCredentials:
    """OAuth 2.0 client credentials; the client fetches and renews tokens by itself.

    Args:
        client_id: As Thrive Support issued it.
        client_secret: As Thrive Support issued it. It is shown nowhere.
        scopes: Any of `api/all`, `api/read`, `api/write`, `api/webhooks`; a string may hold several, by spaces.
            With `api/webhooks` among them and no `api/all`, tokens come from the region's webhooks host. Another
            scope is sent as it is: what Thrive does not know, its token endpoint refuses. With none at all, `()`,
            Thrive decides what the token may do.
        client_auth: How the token endpoint is told who asks: "basic" (an Authorization header), "post" (form fields),
            or "auto": the header, and where that is refused the fields; what worked is remembered.

    Raises:
        ConfigurationError: An argument is empty or malformed.
    """

    client_id: str = attrs.field(validator=_client_id)
    client_secret: Secret = attrs.field(converter=checked_secret, repr=False)
    scopes: tuple[str, ...] = attrs.field(default=DEFAULT_SCOPES, converter=_scopes, validator=_checked_scopes)
    client_auth: ClientAuth = attrs.field(default="auto", validator=_client_auth)

    def token_base_url(self, region: Region) -> str:
        """Return the host that issues tokens of these scopes in a region."""
        webhooks_only = WEBHOOKS_SCOPE in self.scopes and "api/all" not in self.scopes
        return region.webhooks_url if webhooks_only else region.api_url

    def token_request(self, client_auth: Literal["basic", "post"]) -> tuple[bytes, Secret | None]:
        """Return the form and, for "basic", the Authorization header that ask for a token."""
        form = {"grant_type": "client_credentials"}
        if self.scopes:
            form["scope"] = " ".join(self.scopes)
        if client_auth == "post":
            form |= {"client_id": self.client_id, "client_secret": self.client_secret.reveal()}
            return urlencode(form).encode(), None
        # RFC 6749, section 2.3.1: both halves are form-encoded before they are joined.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret.reveal())}"
        return urlencode(form).encode(), basic_header(pair)


def basic_header(pair: str) -> Secret:
    """Return the Authorization header for a `user:password` pair."""
    return Secret("Basic " + base64.b64encode(pair.encode()).decode("ascii"))


class Authorizer(Protocol):
    """What the transport asks for a request's Authorization header."""

    async def header(self) -> Secret:
        """Return the header to send now."""
        ...

    def current(self) -> Secret | None:
        """Return the header to send now if it is at hand; None if it must be waited for."""
        ...

    def reject(self, header: Secret) -> bool:
        """Note that Thrive answered 401 to this header; tell whether another one can be had."""
        ...


class FixedHeader:
    """Sends one header, or none at all."""

    def __init__(self, header: Secret | None) -> None:
        self._header = header or Secret("")

    async def header(self) -> Secret:
        """Return the one header there is."""
        return self._header

    def current(self) -> Secret:
        """Return the one header there is."""
        return self._header

    def reject(self, header: Secret) -> bool:  # noqa: ARG002 - the protocol's argument
        """Tell that there is no other one to try."""
        return False


class KeyAuthorizer(FixedHeader):
    """Sends an API key."""

    def __init__(self, tenant_id: str, key: ApiKey) -> None:
        super().__init__(basic_header(f"{tenant_id}:{key.secret.reveal()}"))


@attrs.frozen
class Token:
    """A token as the endpoint gave it."""

    header: Secret
    lifetime: float


class TokenAuthorizer:
    """Keeps one bearer token, renewed a minute early; however many calls wait, one of them fetches.

    Args:
        fetch: Asks the token endpoint; raises `ThriveError` if there is no token to be had.
    """

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._header: Secret | None = None
        self._renew_at = 0.0
        self._failures = 0
        self._failure: Exception | None = None

    async def header(self) -> Secret:
        """Return a fresh header, fetched by the first caller that finds none.

        Raises:
            ThriveError: The token endpoint refused or cannot be reached. All callers that waited for that one request
                get its error; the next call tries again.
        """
        fresh = self.current()
        if fresh is not None:
            return fresh
        failures = self._failures
        async with self._lock:
            fresh = self.current()
            if fresh is not None:
                return fresh
            if self._failures != failures and self._failure is not None:
                # A copy: its many receivers do not share one traceback.
                raise copy.copy(self._failure)
            try:
                token = await self._fetch()
            except Exception as error:
                self._failures += 1
                self._failure = error
                raise
            self._failure = None
            self._header = token.header
            early = min(_RENEW_EARLY, token.lifetime / 2)
            self._renew_at = asyncio.get_running_loop().time() + token.lifetime - early
            return token.header

    def reject(self, header: Secret) -> bool:
        """Drop the token that Thrive refused, unless it has been renewed meanwhile."""
        if self._header is header:
            self._header = None
        return True

    def current(self) -> Secret | None:
        """Return the token's header while it lasts."""
        if self._header is not None and asyncio.get_running_loop().time() < self._renew_at:
            return self._header
        return None


def lifetime_of(expires_in: object) -> float:
    """Read `expires_in`: a number, a number in a string, or nothing (an hour, as documented)."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return DEFAULT_LIFETIME
    return seconds if 0 < seconds < 10 * 365 * 86400 else DEFAULT_LIFETIME
