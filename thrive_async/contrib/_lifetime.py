"""What one application holds from its start to its end: a client or pool, webhook handlers, and syncs under way."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from thrive_async.client import ThriveClient
from thrive_async.config import Timeouts
from thrive_async.contrib._answers import answer_to
from thrive_async.contrib._streams import SyncRuns
from thrive_async.contrib._webhooks import Inbox
from thrive_async.errors import ConfigurationError, ThriveError
from thrive_async.pool import ThrivePool

__all__ = ["KEY", "Held", "Source", "held_by", "opened"]

Source = ThriveClient | ThrivePool | Callable[[], ThriveClient | ThrivePool | Awaitable[ThriveClient | ThrivePool]]
"""A client or pool, or a function that makes one each time the application starts."""

KEY: Final = "thrive_held"
"""Under which an application's state keeps what it holds."""
_CHECKED_FOR: Final = 10.0
"""Seconds for which the result of a readiness check counts, so that probes do not become traffic of their own."""


class Held:
    """What one application holds.

    Attributes:
        runs: The syncs that it has started.
    """

    def __init__(self, source: ThriveClient | ThrivePool | None) -> None:
        self._source = source
        self.runs = SyncRuns()
        self._inboxes: set[Inbox] = set()
        self._closing = False
        self._checked: tuple[float, str | None] | None = None

    def client(self, deadline: float | None) -> ThriveClient:
        """Return the client, or a view of it with a deadline."""
        if not isinstance(self._source, ThriveClient):
            raise ConfigurationError(
                "this application holds a ThrivePool: ask for the client of a tenant"
                if isinstance(self._source, ThrivePool)
                else "this application has no client: pass one to its lifespan"
            )
        return _within(self._source, deadline)

    async def tenant_client(self, tenant_id: str, deadline: float | None) -> ThriveClient:
        """Return the client of a tenant, or a view of it with a deadline."""
        if not isinstance(self._source, ThrivePool):
            raise ConfigurationError("this application holds no ThrivePool: pass one to its lifespan")
        return _within(await self._source.client(tenant_id), deadline)

    def admit(self, inbox: Inbox) -> None:
        """Open an inbox before its first delivery, to be closed with the application."""
        if inbox not in self._inboxes and not self._closing:
            self._inboxes.add(inbox)
            inbox.open()

    async def problem(self, *, call: bool, deadline: float) -> str | None:
        """Return why the application is not ready; None if it is.

        Args:
            call: Whether to ask Thrive, at most once in ten seconds.
            deadline: The seconds that Thrive may take to answer.
        """
        if self._closing:
            return "stopping"
        if not call or not isinstance(self._source, ThriveClient):
            return None
        now = asyncio.get_running_loop().time()
        if self._checked is None or self._checked[0] <= now:
            try:
                await _within(self._source, deadline).skills.levels()
            except ThriveError as error:
                self._checked = now + _CHECKED_FOR, answer_to(error).detail
            else:
                self._checked = now + _CHECKED_FOR, None
        return self._checked[1]

    async def aclose(self, grace: float) -> None:
        """Close everything within some seconds: syncs and handlers first, then the client with its calls."""
        self._closing = True
        ends = asyncio.get_running_loop().time() + grace

        def left() -> float:
            return max(0.0, ends - asyncio.get_running_loop().time())

        try:
            await asyncio.gather(self.runs.aclose(grace), *(inbox.aclose(grace) for inbox in self._inboxes))
        finally:
            if self._source is not None:
                await self._source.aclose(drain=left())
            # A sync whose requests have just been broken off still writes its journal.
            await self.runs.wait(1.0)


@asynccontextmanager
async def opened(source: Source | None, grace: float) -> AsyncGenerator[Held]:
    """Hold a client or pool while an application runs."""
    if source is not None and not isinstance(source, ThriveClient | ThrivePool):
        made = source()
        source = await made if inspect.isawaitable(made) else made
    held = Held(source)
    try:
        yield held
    finally:
        await held.aclose(grace)


def _within(client: ThriveClient, deadline: float | None) -> ThriveClient:
    if deadline is None:
        return client
    attempt = client.timeouts.attempt
    attempt = deadline if attempt is None else min(attempt, deadline)
    return client.with_options(timeouts=Timeouts(attempt=attempt, total=deadline))


def held_by(found: Any, framework: str) -> Held:
    """Return what an application holds, or say what is missing."""
    if not isinstance(found, Held):
        raise ConfigurationError(f"this application has not been opened: {framework}")
    return found
