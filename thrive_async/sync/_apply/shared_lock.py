"""One run of a target at a time on all machines that use one share: a lease, and a mark of the last run.

The mark names the last run that changed the target: by its fencing number, and whether it has begun, ended or died. A
plan keeps the mark it was made under; if the mark has changed since, another run has changed what the plan was based
on. No clock is compared, so those of the machines may differ.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, cast

import attrs

from thrive_async.share import Lease, LeaseTaken, Scope, Share, ShareUnavailable, lease
from thrive_async.sync.errors import GuardRefused

__all__ = ["Shared", "SharedLock", "leased"]

_POLL: Final = 0.5
"""Seconds between two tries to reach a share that is away."""
_KEPT: Final = 90 * 86_400.0
"""Seconds for which the mark is kept: longer than anyone keeps a plan."""


@attrs.frozen
class Shared:
    """What one target is to a share.

    Attributes:
        share: The share of the client.
        scope: The host and tenant.
        name: The name of the lease.
        subject: What people call the target.
    """

    share: Share
    scope: Scope
    name: str
    subject: str

    async def mark(self) -> dict[str, Any]:
        """Return what the share says about the last run: `last`, and `host` and `process` of the last holder.

        Raises:
            ShareUnavailable: The share cannot be reached.
        """
        stored = await self.share.load(self.scope, self._mark_name)
        try:
            found: Any = json.loads(stored.value) if stored is not None else None
        except ValueError:
            found = None
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    async def last_run(self) -> str | None:
        """Return the last run that changed the target; empty if there is none, None if the share is away."""
        try:
            return str((await self.mark()).get("last", ""))
        except ShareUnavailable:
            return None

    async def set_mark(self, last: str) -> None:
        """Name the last run, and this process as the holder.

        Raises:
            ShareUnavailable: The share cannot be reached.
        """
        mark = {"last": last, "host": socket.gethostname(), "process": os.getpid()}
        await self.share.store(self.scope, self._mark_name, json.dumps(mark).encode(), _KEPT)

    @property
    def _mark_name(self) -> str:
        return f"{self.name} last"


class SharedLock:
    """The lease of a target, held by this run.

    Attributes:
        lease: The lease.
        last_run: The last run that changed the target.
    """

    def __init__(self, shared: Shared, held: Lease, last_run: str) -> None:
        self.lease = held
        self.last_run = last_run
        self._shared = shared
        self._wrote = False

    async def writing(self) -> None:
        """Note that the target is about to be changed, which makes older plans stale, also if the run is killed.

        Raises:
            GuardRefused: The share cannot be reached.
        """
        last_run = f"{self.lease.fence} begun"
        try:
            await self._shared.set_mark(last_run)
        except ShareUnavailable as error:
            raise _away(self._shared, error) from error
        self.last_run, self._wrote = last_run, True

    async def end(self) -> None:
        """Note that the run has ended, unless another one may have the lease by now."""
        if self._wrote and self.lease.held:
            # If the share is away, the next run finds this one begun, and takes it for dead.
            with suppress(ShareUnavailable):
                await self._shared.set_mark(f"{self.lease.fence} ended")


@asynccontextmanager
async def leased(shared: Shared, wait: float) -> AsyncGenerator[SharedLock]:
    """Hold the lease of a target for as long as the context lasts.

    Args:
        shared: The target.
        wait: Seconds to wait for another run, or for a share that is away; 0 to be refused at once.

    Raises:
        GuardRefused: Another run has the lease, or the share cannot be reached: a lock never opens because it is
            broken.
    """
    loop = asyncio.get_running_loop()
    give_up = loop.time() + wait
    while True:
        holding = lease(shared.share, shared.scope, shared.name, wait=max(0.0, give_up - loop.time()))
        try:
            held = await holding.__aenter__()
            break
        except LeaseTaken:
            raise await _going_on(shared) from None
        except ShareUnavailable as error:
            left = give_up - loop.time()
            if left <= 0:
                raise _away(shared, error) from error
            await asyncio.sleep(min(_POLL, left))
    try:
        lock = await _marked(shared, held)
        try:
            yield lock
        finally:
            await lock.end()
    finally:
        await holding.__aexit__(None, None, None)


async def _marked(shared: Shared, held: Lease) -> SharedLock:
    try:
        # If the run before did not end, plans that were made meanwhile may be half true.
        last_run = str((await shared.mark()).get("last", "")).replace(" begun", " died")
        await shared.set_mark(last_run)
    except ShareUnavailable as error:
        raise _away(shared, error) from error
    return SharedLock(shared, held, last_run)


async def _going_on(shared: Shared) -> GuardRefused:
    which = ""
    with suppress(ShareUnavailable):
        mark = await shared.mark()
        if {"host", "process"} <= mark.keys():
            which = f" (host {mark['host']}, process {mark['process']})"
    return GuardRefused(
        f"{shared.subject}: another run is going on{which}; two at once would undo each other's work, so nothing was "
        "changed",
        argument="wait",
        value=600,
        remedy="To wait for it",
    )


def _away(shared: Shared, error: ShareUnavailable) -> GuardRefused:
    return GuardRefused(
        f"{shared.subject}: the share cannot be reached, so another run may be going on ({error}); nothing was changed",
        argument="wait",
        value=600,
        remedy="To wait for it",
    )
