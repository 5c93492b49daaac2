"""Run one unit of work, with a client of its tenant."""

import asyncio
import json
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from thrive_async._environment import Environment
from thrive_async.client import ThriveClient
from thrive_async.config import Limits
from thrive_async.errors import (
    AuthenticationError,
    ConfigurationError,
    GuardRefused,
    InvalidArgument,
    PermissionDeniedError,
    ThriveError,
)
from thrive_async.fleet.report import Outcome, Result
from thrive_async.fleet.sources import open_source
from thrive_async.fleet.tenants import credentials_of
from thrive_async.fleet.units import Unit
from thrive_async.pool import ThrivePool
from thrive_async.share import Share, open_share
from thrive_async.sync import SyncReport, sync_members, sync_users

__all__ = ["Clients", "run_unit"]

# Running it again changes nothing about these; someone must look.
_NEEDS_YOU: Final = (AuthenticationError, PermissionDeniedError, ConfigurationError, InvalidArgument, GuardRefused)


class Clients:
    """The clients of a worker: one for each tenant, over few connections, with one share for all.

    Args:
        share: What the workers share; by default what `THRIVE_SHARE` names.
        connections: How many connections there may be in total for each host.
    """

    def __init__(self, share: Share | str | None = None, *, connections: int = 100) -> None:
        text = share or Environment().text("THRIVE_SHARE")
        self._opened = open_share(text) if isinstance(text, str) else None
        self._share = self._opened or share
        self._connections = connections
        self._pools: dict[str, ThrivePool] = {}
        self._units: dict[str, Unit] = {}

    async def of(self, unit: Unit) -> ThriveClient:
        """Return the client for a unit.

        Raises:
            ConfigurationError: The tenant's connection or credentials cannot work.
        """
        before = self._units.get(unit.tenant)
        if before is not None and before.connection != unit.connection:
            self.forget(before)
        self._units[unit.tenant] = unit
        return await self._pool(unit).client(unit.tenant)

    def forget(self, unit: Unit) -> None:
        """Read the tenant's credentials again before its next unit: they were refused, or have changed."""
        self._pool(unit).forget(unit.tenant)

    def _pool(self, unit: Unit) -> ThrivePool:
        settings = {
            name: unit.connection[name] for name in ("region", "base_url", "allow_http") if name in unit.connection
        }
        limits = {name: unit.connection[name] for name in ("rate", "concurrency") if name in unit.connection}
        key = json.dumps([settings, limits], sort_keys=True)
        if key not in self._pools:
            self._pools[key] = ThrivePool(
                lambda tenant: credentials_of(self._units[tenant].connection),
                connections=self._connections,
                limits=Limits(**limits),
                share=self._share,
                **settings,
            )
        return self._pools[key]

    async def aclose(self) -> None:
        """Close all clients, and the share if `THRIVE_SHARE` or a text named it."""
        for pool in self._pools.values():
            await pool.aclose()
        if self._opened is not None:
            await self._opened.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def run_unit(
    unit: Unit | Mapping[str, Any],
    *,
    clients: Clients | None = None,
    wait: float = 60.0,
    journal: str | os.PathLike[str] | None = None,
) -> Result:
    """Make one audience, or the users of one tenant, equal to their source.

    It does not raise what can happen on an ordinary night: the result says it. Run it as often as you like: what is
    done already is not sent again. Two runs of one unit never write at once (see docs/sharing.md).

    Args:
        unit: The unit, or the result of its `as_dict`.
        clients: The clients of this worker; by default one is made for this unit alone.
        wait: Seconds to wait for another run of the same unit.
        journal: A file that gets one line per outcome, as it happens.

    Returns:
        What became of it.

    Example:
        ```python
        async with Clients() as clients:
            result = await run_unit(unit, clients=clients)
        ```
    """
    todo = unit if isinstance(unit, Unit) else Unit.from_dict(unit)
    if clients is None:
        async with Clients() as own:
            return await run_unit(todo, clients=own, wait=wait, journal=journal)
    loop = asyncio.get_running_loop()
    began = loop.time()
    outcome: Outcome
    report: SyncReport | None = None
    try:
        report = await _synced(await clients.of(todo), todo, wait=wait, journal=journal)
        outcome, reason = _outcome(report)
    except ThriveError as error:
        outcome, reason = _of_error(error), str(error)
        if isinstance(error, AuthenticationError):
            clients.forget(todo)
    except (OSError, ValueError, TypeError) as error:
        # The source is missing or broken, or an option cannot be meant.
        outcome, reason = "refused", f"{type(error).__name__}: {error}"
    else:
        if isinstance(report.cause, AuthenticationError):
            clients.forget(todo)
    counts = {} if report is None else {name: len(getattr(report, name)) for name in _COUNTED}
    return Result(
        key=todo.key,
        tenant=todo.tenant,
        kind=todo.kind,
        target=todo.target,
        outcome=outcome,
        reason=reason,
        seconds=round(loop.time() - began, 3),
        **counts,
    )


_COUNTED: Final = ("added", "changed", "removed", "failed", "not_attempted", "held")


async def _synced(
    thrive: ThriveClient, unit: Unit, *, wait: float, journal: str | os.PathLike[str] | None
) -> SyncReport:
    source = open_source(unit.source)
    options: dict[str, Any] = dict(unit.options)
    if unit.kind == "users":
        return await sync_users(thrive, source.users(unit.tenant), wait=wait, journal=journal, **options)
    people = source.members(unit.tenant, unit.target)
    return await sync_members(thrive, unit.target, people, wait=wait, journal=journal, **options)


def _outcome(report: SyncReport) -> tuple[Outcome, str]:
    if report.ok:
        return "done", ""
    if report.cause is not None:
        return _of_error(report.cause), str(report.cause)
    return "incomplete", str(report)


def _of_error(error: BaseException) -> Outcome:
    if isinstance(error, GuardRefused) and error.argument == "wait":
        return "stopped"  # Another run is going on, or the share is away: both pass.
    return "refused" if isinstance(error, _NEEDS_YOU) else "stopped"
