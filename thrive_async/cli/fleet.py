"""`thrive fleet`: the audiences and users of many tenants, on workers that share a PostgreSQL."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import FileArgument, Flag
from thrive_async.cli._running import run_async
from thrive_async.cli._safe_text import counted

if TYPE_CHECKING:
    from procrastinate import App as Queue

    from thrive_async.fleet.procrastinate import FleetStatus

__all__ = ["app"]

_LOOK_EACH = 2.0
_SHOWN = 20

app: App = App(
    name="fleet",
    help="Sync many tenants: submit units of work, run workers, see how far they are. Needs a PostgreSQL, named by "
    "THRIVE_FLEET_DATABASE or libpq's own variables, such as PGHOST.",
)


def _database() -> str:
    from thrive_async._environment import Environment  # noqa: PLC0415 - after the parsing

    return Environment().text("THRIVE_FLEET_DATABASE") or ""


def _on_queue(do: Callable[[Queue], Awaitable[int]]) -> int:
    """Do something with the queue.

    Raises:
        CliError: The extra is not installed, or the database cannot be reached.
    """
    _check_installed()
    # What it says about a database that is away is told once, as the error.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())

    async def main() -> int:
        from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - an extra
        from psycopg import OperationalError  # noqa: PLC0415
        from psycopg.errors import ReadOnlySqlTransaction  # noqa: PLC0415
        from psycopg_pool import PoolTimeout  # noqa: PLC0415

        from thrive_async.fleet.procrastinate import opened  # noqa: PLC0415 - after the parsing

        try:
            async with opened(_database()) as queue:
                return await do(queue)
        except (ConnectorException, OperationalError, ReadOnlySqlTransaction, PoolTimeout) as error:
            raise CliError(
                f"the database of the fleet cannot be used ({error.__cause__ or error}): check THRIVE_FLEET_DATABASE, "
                "or PGHOST, PGUSER, PGPASSWORD and PGDATABASE",
                Exit.REFUSED,
            ) from None

    return run_async(main)


def _check_installed() -> None:
    try:
        for name in ("procrastinate", "psycopg"):
            import_module(name)
    except ImportError as error:
        raise CliError('thrive fleet needs Procrastinate: pip install "thrive-async[fleet]"') from error


@app.command
def submit(file: FileArgument, /, *, tenant: Annotated[tuple[str, ...], Parameter(negative="")] = ()) -> int:
    """Submit a unit of work for each audience, and for the users, of every tenant in a file.

    A unit that waits in the queue already is left out, so you can submit again at any time.

    Args:
        file: The tenants, as TOML.
        tenant: Only the tenants with these ids.
    """
    _check_installed()
    from thrive_async.fleet import load_tenants, units  # noqa: PLC0415 - after the parsing

    tenants = load_tenants(file)
    unknown = set(tenant) - {one.id for one in tenants}
    if unknown:
        raise CliError(f"{file} has no tenant {', '.join(sorted(unknown))}")
    chosen = [one for one in tenants if not tenant or one.id in tenant]

    async def main(queue: Queue) -> int:
        from thrive_async.fleet.procrastinate import submit  # noqa: PLC0415 - an extra

        out(str(await submit(queue, units(chosen))))
        return Exit.DONE

    return _on_queue(main)


@app.command
def worker(
    file: FileArgument | None = None,
    /,
    *,
    concurrency: int = 4,
    journals: Annotated[str | None, Parameter(metavar="FOLDER")] = None,
    until_empty: Flag = False,
) -> int:
    """Run units until you stop it. Start as many workers as you like, on as many machines.

    Ctrl-C or SIGTERM lets the units under way end, for 20 s at most; what is left goes back into the queue. The units
    of a worker that dies are run by the others.

    Args:
        file: Tenants with a schedule, by which the workers submit all units themselves.
        concurrency: How many units to run at once.
        journals: A folder for the journals, one file per unit.
        until_empty: End when no unit waits or runs.
    """
    if concurrency < 1:
        raise CliError("--concurrency must be at least 1")
    _check_installed()
    from thrive_async.fleet import load_fleet  # noqa: PLC0415 - after the parsing

    if file is not None and load_fleet(file).schedule is None:
        raise CliError(f'{file} has no schedule: write, for example, schedule = "0 2 * * *" at its top, in UTC')

    async def main() -> int:
        from thrive_async.fleet.procrastinate import work  # noqa: PLC0415 - an extra

        say(f"working on {counted(concurrency, 'units')} at once")
        await work(_database(), concurrency=concurrency, tenants=file, journals=journals, until_empty=until_empty)
        return Exit.DONE

    return run_async(main, notice="stopping: the units under way get 20 s to end")


@app.command
def status(
    *,
    watch: Flag = False,
    batch: str | None = None,
    html: Annotated[str | None, Parameter(metavar="FILE")] = None,
) -> int:
    """Show how far the last submission is, and which units need you.

    The exit code is 0 if all units are done, 1 if some are not, or not yet.

    Args:
        watch: Show it again and again until all units have ended.
        batch: The id of an earlier submission.
        html: Write a page with all tenants, and each unit that is not done.
    """

    async def main(queue: Queue) -> int:
        import asyncio  # noqa: PLC0415 - `--help` does without
        from pathlib import Path  # noqa: PLC0415

        from thrive_async.fleet.procrastinate import status  # noqa: PLC0415 - an extra

        found = await status(queue, batch)
        shown = ""
        while watch and not found.ended:
            if str(found) != shown:
                shown = str(found)
                say(shown)
            await asyncio.sleep(_LOOK_EACH)
            found = await status(queue, batch)
        _show(found)
        if html is not None:
            await asyncio.to_thread(Path(html).write_text, found.summary.to_html(found.batch), encoding="utf-8")
        return Exit.DONE if found.summary.ok and found.ended and not found.paused else Exit.SOME_FAILED

    return _on_queue(main)


def _show(found: FleetStatus) -> None:
    out(str(found))
    to_look_at = found.summary.to_look_at
    for one in to_look_at[:_SHOWN]:
        out(f"  {one.outcome}  {one.tenant} {one.target or one.kind}: {one.reason}")
    if len(to_look_at) > _SHOWN:
        out(f"  ... and {len(to_look_at) - _SHOWN:,} more: --html FILE lists them all")


def _of_tenant(tenant: str, name: str, words: str) -> int:
    async def main(queue: Queue) -> int:
        from thrive_async.fleet import procrastinate  # noqa: PLC0415 - an extra

        count: int = await getattr(procrastinate, name)(queue, tenant)
        out(f"{tenant}: {counted(count, 'units')} {words}")
        return Exit.DONE

    return _on_queue(main)


@app.command
def pause(tenant: str, /) -> int:
    """Begin no more units of a tenant, until you resume it. Units under way go on to their end.

    Args:
        tenant: The tenant's id.
    """
    return _of_tenant(tenant, "pause", "wait for `thrive fleet resume`")


@app.command
def resume(tenant: str, /) -> int:
    """Let the units of a paused tenant go on.

    Args:
        tenant: The tenant's id.
    """
    return _of_tenant(tenant, "resume", "go on")


@app.command
def cancel(tenant: str, /) -> int:
    """Take all units of a tenant out of the queue, and stop those under way. What they did stays done.

    Args:
        tenant: The tenant's id.
    """
    return _of_tenant(tenant, "cancel", "cancelled")
