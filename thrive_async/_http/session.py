"""The aiohttp session of a client: its owner, its event loop, its certificate authorities and its proxies."""

import asyncio
import contextlib
import os
import ssl
import urllib.request
import warnings
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
import attrs
from yarl import URL

from thrive_async.config import is_loopback
from thrive_async.errors import ConfigurationError

CLOSED: Final = "this ThriveClient is closed: build a new one"


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
    """Owns the connections of one client, or borrows the user's session.

    Args:
        given: The user's session, never closed here; None to make one on first use.
        base_urls: The hosts that will be asked.
        connections: How many connections there may be.
        proxy: The proxy for all hosts; wins over the environment.
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
        self._end_of_loop: AsyncGenerator[None] | None = None
        self._connections = connections
        self._base_urls = frozenset(base_urls)
        self._proxies: dict[str, Proxy] = {} if proxy is None else dict.fromkeys(self._base_urls, proxy)
        self._trust_env = trust_env
        self._ca_file = ca_file
        _sessions.add(self)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live on the running loop: the first one that asks, and after its end the next.

        Raises:
            ConfigurationError: The client is closed, or lives on another loop.
        """
        if self.closed:
            raise ConfigurationError(CLOSED)
        if self._owned and self._loop is not None and self._loop.is_closed():
            self._leave()
        if self._loop is None:
            # A user's session already has a loop, and aiohttp's own error would not say what is wrong.
            self._loop = getattr(self._session, "_loop", loop)
        if self._loop is not loop:
            raise ConfigurationError(
                "this ThriveClient, or its session, is in use on another event loop, which is still open and where its "
                "connections live: build one client per loop, for example inside the coroutine given to asyncio.run"
            )

    def _leave(self) -> None:
        """Leave a closed loop. Most loops closed the session before they ended."""
        if self._session is not None:
            with contextlib.suppress(StopIteration):
                # There is nothing to wait for: on a closed loop aiohttp can only let go of the connections.
                self._session.close().send(None)
        self.forget()

    def forget(self) -> tuple[object, ...]:
        """Forget everything, and return the session."""
        forgotten = self._session, self._loop, self._end_of_loop
        self._session = self._loop = self._end_of_loop = None
        self._opening = asyncio.Lock()
        return forgotten

    @property
    def owned(self) -> bool:
        """Whether the session is the client's own and not the user's."""
        return self._owned

    @property
    def current(self) -> aiohttp.ClientSession | None:
        """The session, if there is already one that can be used."""
        session = self._session
        return None if session is None or self.closed or session.closed else session

    async def opened(self) -> aiohttp.ClientSession:
        """Return the session. The first caller makes it.

        Raises:
            ConfigurationError: The client was closed, the user's session is closed, `ca_file` cannot be
                read, or the environment names a proxy that cannot be used.
        """
        if self.current is None and self._owned:
            async with self._opening:
                if self.current is None and not self.closed:
                    await self._open()
        if self.closed or self._session is None:
            raise ConfigurationError(CLOSED)
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
        forget_tracing(self._session)
        self._end_of_loop = _closed_at_the_end_of_its_loop(self._session)
        await anext(self._end_of_loop)

    def proxy_for(self, base_url: str) -> Proxy:
        """Return the proxy for a host. Its URL is None for a direct connection."""
        return self._proxies.get(base_url, _DIRECT)

    async def aclose(self) -> None:
        """Close the client's own connections. You can close them twice.

        Raises:
            ConfigurationError: The connections belong to another loop that is still open.
        """
        if self._session is not None and self._owned and not self._session.closed:
            self.bind(asyncio.get_running_loop())
        self.closed = True
        session, end_of_loop = self._session, self._end_of_loop
        if session is None or end_of_loop is None:
            return
        self._session = self._end_of_loop = None
        await session.close()
        with contextlib.suppress(RuntimeError):  # the loop is closing it itself
            await end_of_loop.aclose()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        session = getattr(self, "_session", None)
        if session is not None and self._owned and not session.closed:
            _warn(
                "a ThriveClient or ThrivePool was never closed: use it with `async with`, or await its `aclose()`",
                ResourceWarning,
                source=self,
                stacklevel=2,
            )


async def _closed_at_the_end_of_its_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None]:
    # `asyncio.run` ends the generators of its loop before it closes it: the last moment for a session that is to be
    # closed there, because its client lives on.
    try:
        yield
    finally:
        await session.close()


def forget_tracing(session: aiohttp.ClientSession) -> None:
    """Drop what instrumentations of aiohttp add to each new session: they record URLs, which name people."""
    session.trace_configs.clear()


_sessions: Final[WeakSet[Session]] = WeakSet()
_of_the_parent: Final[list[tuple[object, ...]]] = []


def _after_fork() -> None:
    """Forget the connections of the parent process, without closing them: parent and child share the sockets."""
    _of_the_parent.extend(session.forget() for session in _sessions if session.owned)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


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
