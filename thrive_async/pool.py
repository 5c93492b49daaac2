"""`ThrivePool`: the clients of many tenants over one set of connections."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import attrs

from thrive_async._http.session import Session
from thrive_async.auth import ApiKey, ClientCredentials, TokenProvider
from thrive_async.client import ThriveClient
from thrive_async.config import Limits
from thrive_async.errors import ConfigurationError

if TYPE_CHECKING:
    from thrive_async.share import Share

__all__ = ["PoolReport", "ThrivePool"]

Credentials = ApiKey | ClientCredentials | TokenProvider

# What belongs to the one session that the pool makes.
_NOT_FOR_A_POOL: Final = frozenset({"session", "trust_env", "ca_file"})


@attrs.frozen
class PoolReport:
    """What a pool holds at a moment.

    Attributes:
        clients: How many tenants have a client.
        busy: How many of them have calls under way.
        connections: How many connections are in use.
        most_connections: How many there may be in total.
    """

    clients: int
    busy: int
    connections: int
    most_connections: int


@attrs.define(eq=False)
class _Held:
    client: ThriveClient
    used_at: float


class ThrivePool:
    """Hands out clients by tenant, over one connector with one cache of host names and one TLS context.

    Nothing of one tenant reaches another: each client has its own token, limits and cool-down, and no cookie is kept or
    sent. With a share, all processes that call a tenant have these in common. A client is built when you first ask for
    its tenant, and dropped when it has been idle.

    Like a client, a pool can be built anywhere. Its connections belong to the loop of its first use. A new loop or a
    forked process gets its own connections and clients, and what it had in a share.

    Args:
        credentials: Returns a tenant's credentials, or an awaitable of them, so that secrets can come from a vault. It
            is called when a client is built; `forget` a tenant after its secret has changed.
        connections: How many connections there may be in total.
        limits: The limits of each tenant. Their `concurrency` is the most connections that one tenant can hold.
        idle: After how many seconds without calls a client is dropped.
        share: What all clients share with other processes, as for `ThriveClient`. The text of one is opened once, and
            closed with the pool.
        **settings: Other keyword arguments of `ThriveClient`, for every tenant.

    Raises:
        ConfigurationError: A setting is invalid, or `limits.concurrency` is above `connections`.

    Example:
        async with ThrivePool(vault.credentials_of, connections=100) as pool:
            thrive = await pool.client("eu-west-2_AbcdEfghI")
            user = await thrive.users.get(user_id)
    """

    def __init__(
        self,
        credentials: Callable[[str], Awaitable[Credentials] | Credentials],
        *,
        connections: int = 100,
        limits: Limits | None = None,
        idle: float = 600.0,
        share: "Share | str | None" = None,
        **settings: Any,
    ) -> None:
        self._limits = limits or Limits()
        if not callable(credentials):  # pyright: ignore[reportUnnecessaryComparison]
            raise ConfigurationError("credentials must be a function that takes a tenant id")
        if isinstance(connections, bool) or not isinstance(connections, int) or connections < self._limits.concurrency:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                "$connections must be a whole number, at least Limits.concurrency: one tenant can hold that many",
                "connections",
            )
        if isinstance(idle, bool) or not isinstance(idle, int | float) or not idle > 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("$idle must be a positive number of seconds", "idle")
        if not _NOT_FOR_A_POOL.isdisjoint(settings):
            raise ConfigurationError(
                "a pool makes the session of its clients: it takes no session, trust_env or ca_file"
            )
        self._credentials = credentials
        self._connections = connections
        self._idle = idle
        self._own_share: Share | None = None
        if isinstance(share, str):
            # Here, for it takes its time and most pools share nothing.
            from thrive_async.share import open_share  # noqa: PLC0415

            share = self._own_share = open_share(share)
        self._share = share
        self._settings = settings
        self._held: dict[str, _Held] = {}
        self._building: dict[str, asyncio.Task[ThriveClient]] = {}
        self._session = Session(None, base_urls=(), connections=connections, proxy=None, trust_env=False, ca_file=None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._look_again_at = 0.0

    async def client(self, tenant_id: str) -> ThriveClient:
        """Return the client of a tenant, built on first use. Do not close or keep it: ask the pool each time.

        Args:
            tenant_id: The tenant.

        Raises:
            ConfigurationError: The pool is closed or in use on another loop, or the tenant id or its credentials are
                invalid.
        """
        if self._closed:
            raise ConfigurationError("this ThrivePool is closed: build a new one")
        loop = asyncio.get_running_loop()
        self._session.bind(loop)
        if self._loop is not loop:
            # What there is belongs to a loop that has ended, or to the process that forked this one.
            self._held.clear()
            self._building.clear()
            self._loop = loop
        now = loop.time()
        held = self._held.get(tenant_id)
        if held is not None:
            held.used_at = now
            return held.client
        self._let_idle_go(now)
        building = self._building.get(tenant_id)
        if building is None:
            # A separate task, so that a caller who gives up does not cancel it for the others.
            building = self._building[tenant_id] = asyncio.create_task(self._build(tenant_id))
            building.add_done_callback(lambda done: self._built(tenant_id, done))
        return await asyncio.shield(building)

    async def _build(self, tenant_id: str) -> ThriveClient:
        credentials = self._credentials(tenant_id)
        if inspect.isawaitable(credentials):
            credentials = await credentials
        if self._closed:
            raise ConfigurationError("this ThrivePool is closed: build a new one")
        client = ThriveClient(
            tenant_id,
            credentials,
            session=await self._session.opened(),
            limits=self._limits,
            share=self._share,
            **self._settings,
        )
        self._held[tenant_id] = _Held(client, asyncio.get_running_loop().time())
        return client

    def _built(self, tenant_id: str, done: "asyncio.Task[ThriveClient]") -> None:
        self._building.pop(tenant_id, None)
        if not done.cancelled():
            done.exception()  # raised where callers wait; without any, it is dropped

    def forget(self, tenant_id: str) -> None:
        """Drop a tenant's client, so that the next one is built with new credentials. Calls under way continue."""
        self._held.pop(tenant_id, None)

    def _let_idle_go(self, now: float) -> None:
        if now < self._look_again_at:
            return
        self._look_again_at = now + self._idle / 4
        for tenant_id, held in list(self._held.items()):
            if held.used_at + self._idle <= now and not held.client.calls_under_way:
                del self._held[tenant_id]

    @property
    def report(self) -> PoolReport:
        """What the pool holds now. You can read it from any thread."""
        session = self._session.current
        connector = None if session is None else session.connector
        in_use = len(connector._acquired) if connector is not None else 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - aiohttp tells it nowhere else
        busy = sum(held.client.calls_under_way > 0 for held in list(self._held.values()))
        return PoolReport(len(self._held), busy, in_use, self._connections)

    async def aclose(self, *, drain: float = 0.0) -> None:
        """Close all clients and their connections. You can close a pool twice.

        Args:
            drain: How many seconds calls under way may take to end. New calls are refused meanwhile.
        """
        self._closed = True
        try:
            await asyncio.gather(*(held.client.aclose(drain=drain) for held in self._held.values()))
        finally:
            for building in self._building.values():
                building.cancel()
            self._held.clear()
            await self._session.aclose()
            if self._own_share is not None:
                await self._own_share.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ThrivePool of {len(self._held):,} clients>"
