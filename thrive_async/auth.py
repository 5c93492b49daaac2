"""Credentials: an API key, OAuth 2.0 client credentials, or tokens that you bring yourself.

Evidence: https://docs.thrivelearning.com/apidocs/oauth-api-authentication for hosts, scopes, lifetime and the bearer
header. The form of the token request is inferred: the tenant id and the scopes look like those of Amazon Cognito, so
the request follows Cognito's `/oauth2/token`. If the endpoint refuses that form, the other plausible one is tried.
"""

import asyncio
import base64
import copy
import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, cast
from urllib.parse import quote_plus, urlencode

import attrs

from thrive_async.config import Region
from thrive_async.errors import ConfigurationError, ThriveError, TokenProviderError

if TYPE_CHECKING:
    from thrive_async.share import SharedToken, SharedTokens

__all__ = ["AccessToken", "ApiKey", "ClientCredentials", "TokenProvider"]

WEBHOOKS_SCOPE: Final = "api/webhooks"
DEFAULT_SCOPES: Final = ("api/all",)
DEFAULT_LIFETIME: Final = 3600.0
_RENEW_EARLY: Final = 60.0
# Seconds that a renewal may take while the old token still holds, and until it is tried again.
_PATIENCE: Final = 5.0
_TRY_AGAIN: Final = 10.0
# RFC 6749, section 3.3, without the comma: a list with commas is a common mistake.
_SCOPE: Final = r"[!#-+\--\[\]-~]+"

_BEARER: Final = re.compile(r"\s*bearer\s+", re.IGNORECASE)
_TOKEN: Final = re.compile(r"[!-~]+")

ClientAuth = Literal["auto", "basic", "post"]


class Secret:
    """A string that no repr, log line or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself. Put it straight into a header."""
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
        ConfigurationError: It is empty or contains control characters.
    """
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("the secret is empty: Thrive issues it with the tenant id")
    if not value.isprintable():
        raise ConfigurationError("the secret contains a line break or another control character: copy it again")
    return Secret(value)


@attrs.frozen
class ApiKey:
    """An API key. It is sent as the password of HTTP Basic, with the tenant id as the user.

    Args:
        secret: The key as Thrive issued it. It never appears in a repr, a log line or an error.

    Raises:
        ConfigurationError: The key is empty or contains control characters.
    """

    secret: Secret = attrs.field(converter=checked_secret, repr=False)


def checked_token(value: object) -> Secret:
    """Wrap a token, without the `Bearer ` that may stand in front of it.

    Raises:
        ConfigurationError: It is empty, or cannot be sent in a header.
    """
    token = value.reveal() if isinstance(value, Secret) else value
    del value
    if isinstance(token, str):
        token = _BEARER.sub("", token).strip()
        if _TOKEN.fullmatch(token):
            return Secret(token)
    del token
    raise ConfigurationError("an access token must be printable ASCII without spaces")


def _lifetime(_instance: object, _attribute: object, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError("the lifetime of an access token must be a positive number of seconds")


def _scopes(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(value.split())
    return tuple(cast("Iterable[str]", value)) if isinstance(value, Iterable) else (cast("str", value),)


def _checked_scopes(_instance: object, _attribute: object, value: tuple[object, ...]) -> None:
    # Only their form: Thrive may have undocumented scopes, and refuses those it does not know.
    if not all(isinstance(scope, str) and re.fullmatch(_SCOPE, scope) for scope in value):
        raise ConfigurationError(
            '$scopes are strings such as "api/read", or one string with spaces between them', "scopes"
        )


def _client_id(_instance: object, _attribute: object, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("$client_id is empty: Thrive Support issues it with the client secret", "client_id")
    if not value.isprintable():
        raise ConfigurationError(
            "$client_id contains a line break or another control character: copy it again", "client_id"
        )


def _client_auth(_instance: object, _attribute: object, value: str) -> None:
    if value not in ("auto", "basic", "post"):
        raise ConfigurationError(f'client_auth must be "auto", "basic" or "post", not {value!r}')


@attrs.frozen
class ClientCredentials:
    """OAuth 2.0 client credentials. The client fetches and renews the tokens by itself.

    Args:
        client_id: As Thrive Support issued it.
        client_secret: As Thrive Support issued it. It never appears in a repr, a log line or an error.
        scopes: Any of `api/all`, `api/read`, `api/write` and `api/webhooks`, as strings or as one string with spaces.
            With `api/webhooks` and without `api/all`, tokens come from the region's webhooks host. Other scopes are
            sent as they are. With no scope, `()`, Thrive decides what the token may do.
        client_auth: How the client names itself to the token endpoint: "basic" (an Authorization header), "post" (form
            fields), or "auto": the header first, then the form fields if the header is refused with anything but 429.
            The way that worked is remembered.

    Raises:
        ConfigurationError: An argument is empty or malformed.
    """

    client_id: str = attrs.field(validator=_client_id)
    client_secret: Secret = attrs.field(converter=checked_secret, repr=False)
    scopes: tuple[str, ...] = attrs.field(default=DEFAULT_SCOPES, converter=_scopes, validator=_checked_scopes)
    client_auth: ClientAuth = attrs.field(default="auto", validator=_client_auth)

    def token_base_url(self, region: Region) -> str:
        """Return the host that issues tokens with these scopes in a region."""
        webhooks_only = WEBHOOKS_SCOPE in self.scopes and "api/all" not in self.scopes
        return region.webhooks_url if webhooks_only else region.api_url

    def for_webhooks(self) -> "ClientCredentials":
        """Return the credentials that ask for a token of the webhooks host: these, or these with the scope it wants."""
        if not self.scopes or not {"api/all", WEBHOOKS_SCOPE}.isdisjoint(self.scopes):
            return self
        return attrs.evolve(self, scopes=(WEBHOOKS_SCOPE,))

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
    """Knows the Authorization header of a request."""

    async def header(self) -> Secret:
        """Return the header to send now."""
        ...

    def current(self) -> Secret | None:
        """Return the header to send now, or None if `header` would have to wait for it."""
        ...

    def reject(self, header: Secret) -> bool:
        """Note that Thrive answered 401 to this header, and return whether there may be another one."""
        ...

    def move(self) -> None:
        """Serve another loop from now on."""
        ...


class FixedHeader:
    """Sends always the same header, or no header at all."""

    def __init__(self, header: Secret | None) -> None:
        self._header = header or Secret("")

    async def header(self) -> Secret:
        """Return the header."""
        return self._header

    def current(self) -> Secret:
        """Return the header."""
        return self._header

    def reject(self, header: Secret) -> bool:  # noqa: ARG002 - the protocol's argument
        """Return False: there is no other header to try."""
        return False

    def move(self) -> None:
        """Serve another loop from now on."""


class KeyAuthorizer(FixedHeader):
    """Sends an API key."""

    def __init__(self, tenant_id: str, key: ApiKey) -> None:
        super().__init__(basic_header(f"{tenant_id}:{key.secret.reveal()}"))


@attrs.frozen
class AccessToken:
    """An access token, as a token provider returns it.

    Args:
        token: The token, with or without `Bearer ` in front. It never appears in a repr, a log line or an error.
        lifetime: Seconds from now until it expires.

    Raises:
        ConfigurationError: The token is not printable ASCII without spaces, or the lifetime is not a positive number.
    """

    token: Secret = attrs.field(converter=checked_token, repr=False)
    lifetime: float = attrs.field(default=DEFAULT_LIFETIME, validator=_lifetime)

    @property
    def header(self) -> Secret:
        """The Authorization header that carries it."""
        return Secret(f"Bearer {self.token.reveal()}")


TokenProvider: TypeAlias = Callable[[], Awaitable[AccessToken | tuple[str, float]]]
"""An async function without arguments that returns an access token and its lifetime in seconds."""


def checked_provider(provider: TokenProvider) -> Callable[[], Awaitable[AccessToken]]:
    """Return an async function that calls a token provider and checks what it returns.

    Args:
        provider: The caller's.

    Returns:
        The function. It raises what the provider raises if that is a `ThriveError`, else `TokenProviderError`.
    """

    async def fetch() -> AccessToken:
        try:
            awaitable: object = provider()
            value: object = (await awaitable) if inspect.isawaitable(awaitable) else None
        except ThriveError:
            raise
        except Exception as error:
            raise TokenProviderError(
                f"the token provider raised {type(error).__name__}, so nothing was sent: see the cause of this error"
            ) from error
        if isinstance(value, AccessToken):
            return value
        # What it is stays out of the error and its frames: it may hold the token.
        wrong, value = _wrong_token(value), _access_token(value)
        if value is None:
            raise TokenProviderError(
                f"the token provider must be an async function that returns (token, lifetime in seconds): {wrong}"
            )
        return value

    return fetch


def _access_token(value: object) -> AccessToken | None:
    try:
        token, lifetime = cast("tuple[Any, Any]", value)
        return AccessToken(token, lifetime)
    except (TypeError, ValueError):
        return None


def _wrong_token(value: object) -> str:
    if not isinstance(value, tuple) or len(cast("tuple[object, ...]", value)) != 2:
        return f"it returned {'something else' if value is not None else 'None'}"
    return "its token must be printable ASCII without spaces, its lifetime a positive number"


class TokenAuthorizer:
    """Keeps one bearer token and renews it a minute early. If many calls wait for a token, one of them fetches it.

    Args:
        fetch: Gets a token, or raises `ThriveError`.
        early: Seconds before its end at which a token is renewed, but not before half of its time.
    """

    def __init__(self, fetch: Callable[[], Awaitable[AccessToken]], *, early: float = _RENEW_EARLY) -> None:
        self._fetch = fetch
        self._early = early
        self._lock = asyncio.Lock()
        self._header: Secret | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._failures = 0
        self._failure: Exception | None = None

    async def header(self) -> Secret:
        """Return a fresh header. The first caller that finds no token fetches one.

        Raises:
            ThriveError: There is no token. All callers that waited for that one request get its error; the next call
                tries again.
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
                # A copy, so that its receivers do not share one traceback.
                raise copy.copy(self._failure) from self._failure.__cause__
            loop = asyncio.get_running_loop()
            # While the old token still holds, a slow or refusing endpoint must not stop the calls.
            old = self._header if loop.time() + _PATIENCE < self._ends_at else None
            try:
                async with asyncio.timeout(None if old is None else _PATIENCE):
                    token = await self._fetch()
            except Exception as error:
                if old is not None:
                    self._renew_at = min(self._ends_at, loop.time() + _TRY_AGAIN)
                    return old
                self._failures += 1
                self._failure = error
                raise
            self._failure = None
            self._header = header = token.header
            self._ends_at = loop.time() + token.lifetime
            self._renew_at = self._ends_at - min(self._early, token.lifetime / 2)
            return header

    def reject(self, header: Secret) -> bool:
        """Drop the token that Thrive refused, unless it has been renewed in the meantime."""
        if self._header is header:
            self._header = None
        return True

    def move(self) -> None:
        """Serve another loop from now on, with the same token."""
        self._lock = asyncio.Lock()

    def current(self) -> Secret | None:
        """Return the token's header, or None if there is none that lasts."""
        if self._header is not None and asyncio.get_running_loop().time() < self._renew_at:
            return self._header
        return None


class SharedTokenAuthorizer(TokenAuthorizer):
    """Uses the token that all processes share: one of them fetches it.

    Args:
        shared: The tokens of the processes.
    """

    def __init__(self, shared: "SharedTokens") -> None:
        # A token comes with the time that is left for its use.
        super().__init__(self._fetch_shared, early=0.0)
        self._shared = shared
        self._token: SharedToken | None = None
        self._refused: SharedToken | None = None

    async def _fetch_shared(self) -> AccessToken:
        self._token = await self._shared.token(refused=self._refused)
        return AccessToken(self._token.text, self._token.seconds)

    def reject(self, header: Secret) -> bool:
        """Drop the token that Thrive refused, here and in the share, unless another one has replaced it."""
        if self._header is header:
            self._refused = self._token
        return super().reject(header)


def lifetime_of(expires_in: object) -> float:
    """Read the lifetime in a token reply: a number, also in a string; an hour, as documented, if it is neither."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_LIFETIME
    return seconds if 0 < seconds < 10 * 365 * 86400 else DEFAULT_LIFETIME
