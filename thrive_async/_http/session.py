"""The aiohttp session of a client: its owner, its event loop, its certificate authorities and its proxies."""

import asyncio
import ssl
import urllib.request
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import aiohttp
import attrs
from yarl import URL

from thrive_async.config import is_loopback
from thrive_async.errors import ConfigurationError

_CLOSED: Final = "this ThriveClient is closed: build a new one"


@attrs.frozen
class Proxy:
    """A proxy; its repr does not show the URL, which may hold a password."""

    url: str | None = attrs.field(repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Read a proxy's URL.

        Raises:
            ConfigurationError: Not an http(s) URL with a host.
        """
        parsed = _parsed(url)
        # It may hold a password: neither the error's text nor its frame shows it.
        del url
        if parsed is None:
            raise ConfigurationError("a proxy must be a URL such as http://proxy.example.com:3128 (http or https)")
        return cls(str(parsed))


_DIRECT: Final = Proxy(None)


class Session:
    """Owns the connections of one client, or borrows its user's session.

    Args:
        given: The user's session, never closed here; None to make one on first use.
        base_urls: The hosts that will be asked.
        connections: How many connections there may be.
        proxy: For all hosts; wins over the environment.
        trust_env: Take the proxy from the environment.
        ca_file: A PEM file of the authorities to trust, read off the loop.
    """

    def __init__(
        self,
        given: aiohttp.ClientSession | None,
        *,
        base_urls: Iterable[str],
        connections: int,
        proxy: Proxy | None,
        trust_env: bool,
        ca_file: Path | None,
    ) -> None:
        self.closed = False
        self._session = given
        self._owned = given is None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._connections = connections
        self._base_urls = frozenset(base_urls)
        self._proxies: dict[str, Proxy] = {} if proxy is None else dict.fromkeys(self._base_urls, proxy)
        self._trust_env = trust_env
        self._ca_file = ca_file

    def bound_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop, to which the first use binds this session.

        Raises:
            ConfigurationError: The client is closed, or lives on another loop.
        """
        loop = asyncio.get_running_loop()
        if self.closed:
            raise ConfigurationError(_CLOSED)
        if self._loop is None:
            # A user's session has a loop already, and aiohttp's own error would not say what is wrong.
            self._loop = getattr(self._session, "_loop", loop)
        if self._loop is not loop:
            raise ConfigurationError(
                "this ThriveClient, or its session, has been used on another event loop, where its connections live: "
                "build one client per loop, for example inside the coroutine given to asyncio.run"
            )
        return loop

    @property
    def current(self) -> aiohttp.ClientSession | None:
        """The session, if there is one already and it can be used."""
        session = self._session
        return None if session is None or self.closed or session.closed else session

    async def opened(self) -> aiohttp.ClientSession:
        """Return the session, made by the first caller.

        Raises:
            ConfigurationError: The client was closed meanwhile, the user's session is closed, `ca_file` cannot be
                read, or the environment names a proxy that cannot be used.
        """
        if self._session is None:
            async with self._opening:
                if self._session is None and not self.closed:
                    await self._open()
        if self.closed or self._session is None:
            raise ConfigurationError(_CLOSED)
        if self._session.closed:
            raise ConfigurationError("the aiohttp session given to this ThriveClient is closed")
        return self._session

    async def _open(self) -> None:
        tls: ssl.SSLContext | Literal[True] = True
        if self._ca_file is not None:
            tls = await asyncio.to_thread(_trusting, self._ca_file)
        if self._trust_env:
            # aiohttp would ask a thread before every request, and read .netrc.
            self._proxies = await asyncio.to_thread(_proxies_of_the_environment, self._base_urls) | self._proxies
        if self.closed:
            return
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=tls), cookie_jar=aiohttp.DummyCookieJar()
        )

    def proxy_for(self, base_url: str) -> Proxy:
        """Return the proxy to reach a host through; its URL is None for a direct connection."""
        return self._proxies.get(base_url, _DIRECT)

    async def aclose(self) -> None:
        """Close what was opened here; harmless to repeat.

        Raises:
            ConfigurationError: There are connections, and they live on another loop.
        """
        if self._session is None or not self._owned or self._session.closed:
            self.closed = True
            return
        self.bound_loop()
        self.closed = True
        session, self._session = self._session, None
        await session.close()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        session = getattr(self, "_session", None)
        if session is not None and self._owned and not session.closed:
            _warn(
                "a ThriveClient was never closed: use `async with ThriveClient(...)` or `await client.aclose()`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(f"ca_file cannot be read as PEM certificates: {why}") from None


def _proxies_of_the_environment(base_urls: Iterable[str]) -> dict[str, Proxy]:
    known = urllib.request.getproxies()
    found: dict[str, Proxy] = {}
    for base_url in base_urls:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        proxy = known.get(parts.scheme) or known.get("all")
        # Through a proxy, requests to a loopback host would leave this machine unencrypted.
        if proxy and not is_loopback(host) and not urllib.request.proxy_bypass(host):
            found[base_url] = Proxy.parse(proxy if "://" in proxy else f"http://{proxy}")
    return found


def _parsed(url: str) -> URL | None:
    try:
        parsed = URL(url)
    except (TypeError, ValueError):
        return None
    return parsed if parsed.scheme in ("http", "https") and parsed.host else None
