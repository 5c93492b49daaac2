"""The settings of a client, each checked when it is built, so that a mistake shows where it was made."""

import math
import re
from enum import Enum
from ipaddress import ip_address
from typing import Final, Literal, TypeAlias

import attrs

from thrive_async.errors import ConfigurationError

__all__ = ["Limits", "Priority", "Region", "Retry", "Timeouts"]

Priority: TypeAlias = Literal["interactive", "bulk"]
"""How urgent a call is: "interactive" if a person waits for it, or "bulk", as in a nightly job."""


class Region(Enum):
    """Where a tenant lives; each region has a host for the API and one for webhook tokens.

    Evidence: https://docs.thrivelearning.com/apidocs/oauth-api-authentication
    """

    PRODUCTION = "production"
    """Production, every region but the Middle East and Africa."""
    STAGING = "staging"
    """Staging, every region but the Middle East and Africa."""
    PRODUCTION_MEA = "production-mea"
    """Production, Middle East and Africa."""
    STAGING_MEA = "staging-mea"
    """Staging, Middle East and Africa."""

    @property
    def api_url(self) -> str:
        """The base URL of the REST API and of its tokens, without a path."""
        return f"https://public.api.{_DOMAINS[self]}"

    @property
    def webhooks_url(self) -> str:
        """The base URL of the tokens with the scope `api/webhooks`, without a path."""
        return f"https://user.api.{_DOMAINS[self]}"

    @classmethod
    def parse(cls, name: str) -> "Region":
        """Read a region's name.

        Args:
            name: In any case, with `-`, `_` or a space between its words: `production-mea`.

        Returns:
            The region.

        Raises:
            ConfigurationError: There is no such region; the text lists those there are.
        """
        wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
        for region in cls:
            if region.value == wanted:
                return region
        known = ", ".join(region.value for region in cls)
        raise ConfigurationError(f"$region {name[:40]!r} is unknown: choose one of {known}", "region")


_DOMAINS: Final = {
    Region.PRODUCTION: "learn.link",
    Region.STAGING: "learnstaging.link",
    Region.PRODUCTION_MEA: "mea.learn.tech",
    Region.STAGING_MEA: "meastaging.learn.tech",
}


def _positive(value: object, name: str, unit: str = "seconds", *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"${name} must be a positive number of {unit}, not {value!r}", name)


def _count(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"${name} must be a whole number of at least 1, not {value!r}", name)


@attrs.frozen
class Timeouts:
    """How long a call may take.

    Args:
        attempt: Seconds for one request and its whole answer; None for no limit.
        total: Seconds for the call as its caller sees it: waiting for a slot, every attempt, every pause between
            them; None for no limit.

    Raises:
        ConfigurationError: A value is not a positive number.
    """

    attempt: float | None = 30.0
    total: float | None = 120.0

    def __attrs_post_init__(self) -> None:
        _positive(self.attempt, "Timeouts.attempt", optional=True)
        _positive(self.total, "Timeouts.total", optional=True)


@attrs.frozen
class Retry:
    """How often a call is repeated, and with what pauses.

    The n-th pause is a random time between half of `base_delay * 2**(n-1)` and the whole of it, at most `max_delay`.
    If Thrive asks for a longer pause (`Retry-After`), the client waits for that long, up to `longest_pause`.

    Args:
        max_attempts: Requests per call, the first included; 1 switches repeating off.
        base_delay: Seconds.
        max_delay: Seconds. A pause that Thrive asks for may be longer.
        longest_pause: Seconds. No pause that Thrive asks for lasts longer than this, so that one odd `Retry-After`
            cannot close a client for years. After a longer one a single request goes first, and the others follow once
            Thrive has taken it. The pause as Thrive gave it is the error's `retry_after`.

    Raises:
        ConfigurationError: A value is out of range.
    """

    max_attempts: int = 5
    base_delay: float = 0.5
    max_delay: float = 30.0
    longest_pause: float = 300.0

    def __attrs_post_init__(self) -> None:
        _count(self.max_attempts, "Retry.max_attempts")
        _positive(self.base_delay, "Retry.base_delay")
        _positive(self.max_delay, "Retry.max_delay")
        _positive(self.longest_pause, "Retry.longest_pause")


@attrs.frozen
class Limits:
    """How hard a client may press on Thrive.

    Args:
        concurrency: Requests under way at once, at least 1.
        rate: Requests per second, over all calls of the client; None for no fixed rate, in which case the client
            learns a pace from the 429s it meets.
        burst: Requests that may start at once after a quiet time before `rate` holds them apart; 1 if None.
        max_reply_bytes: Bytes that one decompressed reply may have; a larger one is a `DecodeError`. The default is
            16 MiB, several times a page of 1,000 users.
        per_page: The most items to ask for in one page of any list whose call names no `per_page`; None for the
            documented maximum of each (1,000 or 100).

    Raises:
        ConfigurationError: A value is out of range, or `burst` is given without `rate`.
    """

    concurrency: int = 10
    rate: float | None = None
    burst: int | None = None
    max_reply_bytes: int = 16 * 1024 * 1024
    per_page: int | None = None

    def __attrs_post_init__(self) -> None:
        _count(self.concurrency, "Limits.concurrency")
        _count(self.max_reply_bytes, "Limits.max_reply_bytes")
        if self.per_page is not None:
            _count(self.per_page, "Limits.per_page")
        _positive(self.rate, "Limits.rate", "requests per second", optional=True)
        if self.burst is not None:
            _count(self.burst, "Limits.burst")
            if self.rate is None:
                raise ConfigurationError("$Limits.burst needs $Limits.rate", "Limits.burst", "Limits.rate")


_REST: Final = re.compile(r"/rest(/|$)")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or address alone: nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base_url(url: str, *, allow_http: bool = False) -> str:
    """Return a base URL without its trailing slash, or say what is wrong with it.

    Args:
        url: A host, perhaps with a path in front of `/rest/v1`.
        allow_http: Whether plain http may go to other hosts than loopback ones.

    Raises:
        ConfigurationError: Not an http(s) URL of a host, or http to a host that is not loopback: credentials would
            cross the network in the clear.
    """
    from yarl import URL  # noqa: PLC0415 - comes with aiohttp; kept out of what only wants the settings

    try:
        parsed = URL(url)
    except (TypeError, ValueError):
        raise ConfigurationError(
            "$base_url is not a URL: give a host such as https://public.api.learn.link", "base_url"
        ) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConfigurationError("$base_url must begin with https:// and name a host", "base_url")
    if parsed.user or parsed.password:
        raise ConfigurationError("$base_url must not hold a user or password: give them as credentials", "base_url")
    prefix = parsed.raw_path.rstrip("/")
    if parsed.query_string or parsed.fragment or _REST.search(prefix):
        raise ConfigurationError(
            "$base_url must end before /rest/v1, as in https://public.api.learn.link: the SDK adds the rest itself",
            "base_url",
        )
    if parsed.scheme == "http" and not allow_http and not is_loopback(parsed.host):
        raise ConfigurationError(
            f"$base_url http://{parsed.host} would send credentials unencrypted: "
            "use https, or set $allow_http if the network in between is yours",
            "base_url",
            "allow_http",
        )
    return f"{parsed.origin()}{prefix}"
