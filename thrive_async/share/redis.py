"""A share for the processes of many machines, on Redis or Valkey."""

import asyncio
import functools
import hashlib
import logging
import math
import os
import re
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, Self, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit
from weakref import WeakKeyDictionary

from thrive_async.errors import ConfigurationError
from thrive_async.share import _scripts as scripts
from thrive_async.share.errors import ShareUnavailable
from thrive_async.share.memory import MemoryShare
from thrive_async.share.protocol import Cipher, Place, Scope, Stored

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.cluster import RedisCluster

__all__ = ["OnLoss", "RedisShare"]

OnLoss = Literal["split", "wait", "open"]

_log: Final = logging.getLogger("thrive_async")
_AGAIN: Final = 1.0
"""Seconds between two tries to reach a Redis that does not answer."""
_SETTLE: Final = 2.0
"""Seconds after its return for which a process keeps to its part as well: the others notice up to a second later."""
_POLL: Final = 0.1
"""After how many seconds a call that waits for Redis asks again."""
_CONNECTING: Final = 5
"""How many times the timeout a client of the user's may take to connect: TCP, TLS, a greeting, a cluster's nodes."""


class _Line:
    """The connection of one event loop, and whether it works."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.answered = False
        self.away = False
        self.settled_at = -math.inf
        self.probe: asyncio.Task[None] | None = None


class RedisShare:
    """Shares places, cool-down, tokens and leases between all processes that reach one Redis or Valkey.

    While Redis cannot be reached, no call fails because of it: `on_loss` says how calls go on. Leases and `seen` raise
    `ShareUnavailable` then, and each process fetches a token of its own. The share tries to reach Redis again each
    second, and warns once in the log.

    Args:
        url: `redis://user:password@host:6379/0`, `rediss://` for TLS or `unix://`, with redis-py's options in its
            query, and perhaps `processes` and `on_loss`; or a client of your own, such as
            `redis.asyncio.cluster.RedisCluster`, which stays open when the share is closed.
        processes: How many processes share, for `on_loss="split"`; None for as many as were seen in the last minute.
        on_loss: While Redis is away, "split" gives each process its part of the rate, "wait" lets calls wait until
            their deadline, and "open" lets them go as if no rate were set.
        tokens: Whether access tokens are stored: True, False, or a cipher that encrypts them first, such as a
            `cryptography.fernet.Fernet`. A stored token is a secret at rest.
        prefix: What the names of all keys begin with.
        timeout: Seconds after which a Redis that does not answer counts as away.

    Raises:
        ConfigurationError: An argument is invalid, or redis-py is not installed.

    Example:
        ```python
        share = RedisShare("redis://localhost:6379/0", processes=4)
        ```
    """

    def __init__(
        self,
        url: "str | Redis | RedisCluster",
        *,
        processes: int | None = None,
        on_loss: OnLoss = "split",
        tokens: bool | Cipher = True,
        prefix: str = "thrive",
        timeout: float = 0.5,
    ) -> None:
        self._connect: Callable[[], Any]
        if isinstance(url, str):
            options, url = _own_options(url)
            processes = options.get("processes", processes)
            on_loss = options.get("on_loss", on_loss)
            self._connect = _connecting(url, timeout)
            self._where = _where(url)
        else:
            client = url
            self._connect = lambda: client
            self._where = "the client given"
        self._own_client = isinstance(url, str)
        if on_loss not in get_args(OnLoss):
            raise ConfigurationError(f'on_loss must be "split", "wait" or "open", not {on_loss!r}')
        if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int) or processes < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"processes must be a whole number of at least 1, not {processes!r}")
        self.tokens: bool | Cipher = tokens
        self._processes = processes
        self._counted = 1
        self._on_loss = on_loss
        self._prefix = prefix
        self._timeout = timeout
        self._me = secrets.token_hex(8)
        self._pid = os.getpid()
        self._local = MemoryShare()
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()
        self._lines_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<RedisShare {self._where}>"

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        """Reserve the next place: see `Share.place`. While Redis is away, `on_loss` decides."""
        line = self._line()
        if not line.away:
            in_part = 0.0
            if self._on_loss == "split" and line.settled_at > asyncio.get_running_loop().time():
                part = await self._part(scope, rate, burst, within)
                if not part.taken:
                    return part
                in_part = part.wait
            try:
                taken, wait, seen = await self._run(
                    line,
                    scripts.PLACE,
                    (self._key(scope, "row"), self._key(scope, "processes")),
                    (1.0 / rate if rate else 0, burst, min(within, 1e9), "" if self._processes else self._me),
                )
            except ShareUnavailable:
                pass
            else:
                self._counted = seen or 1
                return Place(taken=taken == 1, wait=max(wait / 1e6, in_part), cooling=taken == -1)
        if self._on_loss == "wait":
            return Place(taken=False, wait=min(_POLL, within))
        if self._on_loss == "open":
            return await self._local.place(scope, rate=None)
        return await self._part(scope, rate, burst, within)

    async def _part(self, scope: Scope, rate: float | None, burst: int, within: float) -> Place:
        """Reserve a place in this process's part of the row."""
        processes = self._processes or self._counted
        part = None if rate is None else rate / processes
        return await self._local.place(scope, rate=part, burst=max(1, burst // processes), within=within)

    async def cool_down(self, scope: Scope, seconds: float) -> float:
        """Give out no place for some time: see `Share.cool_down`. While Redis is away, this process keeps to it."""
        left = await self._local.cool_down(scope, seconds)
        line = self._line()
        if not line.away:
            with suppress(ShareUnavailable):
                shared: int = await self._run(line, scripts.COOL_DOWN, (self._key(scope, "row"),), (seconds,))
                return max(left, shared / 1e6)
        return left

    async def load(self, scope: Scope, name: str) -> Stored | None:
        """Return a value that is still kept: see `Share.load`."""
        value, milliseconds = await self._step(scripts.LOAD, (self._key(scope, f"value:{name}"),), ())
        return None if value is None or milliseconds <= 0 else Stored(value, milliseconds / 1e3)

    async def store(self, scope: Scope, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds: see `Share.store`."""
        key = self._key(scope, f"value:{name}")
        await self._step("redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])", (key,), (value, _milliseconds(seconds)))

    async def forget(self, scope: Scope, name: str, value: bytes) -> None:
        """Drop a value if it is still this one: see `Share.forget`."""
        await self._step(scripts.FORGET, (self._key(scope, f"value:{name}"),), (value,))

    async def take(self, scope: Scope, name: str, seconds: float) -> int | None:
        """Take a lease if it is free: see `Share.take`."""
        keys = self._key(scope, f"lease:{name}"), self._key(scope, "fence")
        fence = await self._step(scripts.TAKE, keys, (_milliseconds(seconds), secrets.token_hex(8)))
        return None if fence is None else int(fence)

    async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
        """Let a lease end later: see `Share.renew`."""
        key = self._key(scope, f"lease:{name}")
        return bool(await self._step(scripts.RENEW, (key,), (fence, _milliseconds(seconds))))

    async def give_back(self, scope: Scope, name: str, fence: int) -> None:
        """End a lease that is still the holder's: see `Share.give_back`."""
        await self._step(scripts.GIVE_BACK, (self._key(scope, f"lease:{name}"),), (fence,))

    async def seen(self, scope: Scope, key: str, seconds: float) -> bool:
        """Tell whether a key was noted before, and note it: see `Share.seen`."""
        noted = self._key(scope, f"seen:{key}")
        return bool(await self._step(scripts.SEEN, (noted,), (secrets.token_hex(8), _milliseconds(seconds))))

    async def aclose(self) -> None:
        """Close the connections of this event loop. You can close them twice."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is None:
            return
        if line.probe is not None:
            line.probe.cancel()
            await asyncio.wait((line.probe,))
        if self._own_client:
            await line.client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.aclose()

    def _key(self, scope: Scope, name: str) -> str:
        # The braces are a hash tag: a cluster keeps all keys of a scope in one place.
        return f"{self._prefix}:{{{scope}}}:{name}"

    def _line(self) -> _Line:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None or self._pid != os.getpid():
            with self._lines_lock:
                if self._pid != os.getpid():
                    # A fork: the parent's connections are not this process's.
                    self._pid, self._me = os.getpid(), secrets.token_hex(8)
                    self._lines = WeakKeyDictionary()
                line = self._lines[loop] = _Line(self._connect())
        return line

    async def _step(self, script: str, keys: Sequence[str], arguments: Sequence[bytes | str | float]) -> Any:
        line = self._line()
        if line.away:
            raise ShareUnavailable(f"Redis at {self._where} is away")
        return await self._run(line, script, keys, arguments)

    async def _run(
        self, line: _Line, script: str, keys: Sequence[str], arguments: Sequence[bytes | str | float]
    ) -> Any:
        """Run a script on Redis.

        Raises:
            ShareUnavailable: It cannot be reached, or cannot do it. From now on it counts as away.
            ConfigurationError: It refused the user or the password at the first try.
        """
        try:
            # The client of a URL has limits of its own, one a reply; that of a user may have none.
            limit = None if self._own_client else self._timeout * (1 if line.answered else _CONNECTING)
            async with asyncio.timeout(limit):
                result = await _evaluate(line.client, script, keys, arguments)
        except _failures() as error:
            if not line.answered and _is_refusal(error):
                raise ConfigurationError(
                    f"Redis at {self._where} refused the user, the password or a command ({error}): check the URL, "
                    "and the commands that docs/sharing.md lists for the user"
                ) from None
            self._lost(line, error)
            raise ShareUnavailable(f"Redis at {self._where} is away ({_words(error)})") from error
        line.answered = True
        return result

    def _lost(self, line: _Line, error: BaseException) -> None:
        if line.away:
            return
        line.away = True
        goes_on = {
            "split": "each process keeps to its part of the rate",
            "wait": "calls wait for it until their deadline",
            "open": "calls go on without a shared rate",
        }
        _log.warning("Redis at %s is away (%s): %s", self._where, _words(error), goes_on[self._on_loss])
        line.probe = asyncio.get_running_loop().create_task(self._until_back(line))

    async def _until_back(self, line: _Line) -> None:
        while line.away:
            await asyncio.sleep(_AGAIN)
            with suppress(*_failures()):
                async with asyncio.timeout(_CONNECTING * self._timeout):
                    # A write, because Redis may be full.
                    await line.client.set(f"{self._prefix}:{{probe}}", "", px=1_000)
                line.settled_at = asyncio.get_running_loop().time() + _SETTLE
                line.away = False
                _log.info("Redis at %s is back", self._where)


async def _evaluate(client: Any, script: str, keys: Sequence[str], arguments: Sequence[bytes | str | float]) -> Any:
    from redis.exceptions import NoScriptError  # noqa: PLC0415 - an extra

    try:
        return await client.evalsha(_digest(script), len(keys), *keys, *arguments)
    except NoScriptError:
        # A Redis that was restarted, or that sees the script for the first time.
        return await client.eval(script, len(keys), *keys, *arguments)


@functools.cache
def _digest(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()  # noqa: S324 - Redis's name for a script


def _connecting(url: str, timeout: float) -> Callable[[], Any]:
    try:
        from redis.asyncio import Redis  # noqa: PLC0415 - an extra
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.exceptions import ConnectionError as Disconnected  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError("RedisShare needs redis-py: pip install 'thrive-async[redis]'") from error

    def connect() -> Any:
        return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            # All steps of a process are short and come one at a time: a pool would cost a tenth more.
            single_connection_client=True,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            # Once, at once: a connection that was idle may have been closed meanwhile.
            retry=Retry(NoBackoff(), 1, supported_errors=(Disconnected,)),
        )

    try:
        connect()
    except ValueError as error:
        raise ConfigurationError(f"the URL of Redis cannot be used: {error}") from None
    return connect


def _own_options(url: str) -> tuple[dict[str, Any], str]:
    """Take `processes` and `on_loss` out of a URL's query: the rest is for redis-py."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    options: dict[str, Any] = {name: value for name, value in query if name in ("processes", "on_loss")}
    if "processes" in options:
        if not re.fullmatch("[0-9]{1,6}", options["processes"]):
            raise ConfigurationError("processes in the URL of Redis must be a whole number of at least 1")
        options["processes"] = int(options["processes"])
    rest = urlencode([(name, value) for name, value in query if name not in options])
    return options, parts._replace(query=rest).geturl()


def _where(url: str) -> str:
    """Return a URL without its user and password, to show it."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}" if parts.scheme != "unix" else parts.path


@functools.cache
def _failures() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError  # noqa: PLC0415 - an extra

    return RedisError, OSError, TimeoutError


def _is_refusal(error: BaseException) -> bool:
    from redis.exceptions import AuthenticationError, NoPermissionError  # noqa: PLC0415 - an extra

    return isinstance(error, AuthenticationError | NoPermissionError) or str(error).startswith(("NOAUTH", "WRONGPASS"))


def _words(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1_000))
