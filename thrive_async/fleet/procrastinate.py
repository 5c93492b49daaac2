"""Units of work on PostgreSQL, with Procrastinate: its queue, its locks, its retries.

`submit` puts units into the queue, `work` runs them until it is cancelled, `status` tells how far they are. The tables
are made when they are missing. Needs the extra ``fleet``: ``pip install "thrive-async[fleet]"``.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import attrs
import psycopg
import psycopg_pool
from procrastinate import App, BaseRetryStrategy, Blueprint, JobContext, PsycopgConnector, RetryDecision
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.job_context import AbortReason
from procrastinate.jobs import Job, Status
from procrastinate.schema import SchemaManager

from thrive_async.fleet.report import Result, Summary, summary
from thrive_async.fleet.running import Clients, run_unit
from thrive_async.fleet.tenants import load_fleet
from thrive_async.fleet.units import Unit, units

__all__ = ["FleetStatus", "Submitted", "cancel", "opened", "pause", "resume", "status", "submit", "tasks", "work"]

QUEUE: Final = "thrive"
_TASK: Final = "thrive:run_unit"

_log: Final = logging.getLogger("thrive_async.fleet")
_AT_ONCE: Final = 500
_LAST_ATTEMPT: Final = 5
_FIRST_PAUSE: Final = 2
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_HEARTBEAT: Final = 5.0
_STALLED: Final = 15.0
"""Seconds without a heartbeat after which a worker counts as dead: three of them."""
_RESCUE_EACH: Final = 5.0
_LEASE_LEFT: Final = 15.0
"""Seconds until the lease of a dead run has ended, too. Its unit waits for that in the queue, not in a worker, where it
would keep others out."""
_CLEAN_EACH: Final = 3_600.0
_KEPT_HOURS: Final = 14 * 24
_GRACE: Final = 20.0
"""Seconds that units get to end when their worker is asked to stop, less than Kubernetes waits."""
_CONNECT: Final = 10
_AGAIN: Final = 2.0
_LOCK: Final = 0x7468_7269_7665
"""The key of the advisory lock: "thrive"."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS thrive_fleet_results (
    batch text NOT NULL,
    key text NOT NULL,
    result jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (batch, key)
);
CREATE TABLE IF NOT EXISTS thrive_fleet_paused (tenant text PRIMARY KEY, since timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS thrive_fleet_batches ON procrastinate_jobs ((args->>'batch')) WHERE queue_name = 'thrive';
-- Procrastinate looks for other jobs with the lock of the next one: 1.6 ms with 19,000 in the queue, so 0.2 ms.
CREATE INDEX IF NOT EXISTS thrive_fleet_locks ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing');
"""
_AWAY: Final = (
    ConnectorException,
    psycopg.OperationalError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, before it takes over
    psycopg_pool.PoolTimeout,
    psycopg_pool.PoolClosed,
)


class _Again(Exception):  # noqa: N818 - not an error: the unit is run again
    """The unit may succeed if it is run again.

    Attributes:
        since: When it was stopped by the database's clock, which decides when a job is due; None to run it at once.
    """

    def __init__(self, reason: str = "", since: datetime | None = None) -> None:
        super().__init__(reason)
        self.since = since


class _Paused(Exception):  # noqa: N818
    """The tenant is paused."""


class _Retries(BaseRetryStrategy):
    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, _Paused):
            return RetryDecision(retry_at=_NEVER)
        if not isinstance(exception, _Again | ConnectorException) or job.attempts + 1 >= _LAST_ATTEMPT:
            return None
        since = datetime.now(UTC)
        if isinstance(exception, _Again):
            since = exception.since or _LONG_AGO
        # 2, 8, 32 and 128 s.
        return RetryDecision(retry_at=since + timedelta(seconds=_FIRST_PAUSE * 4**job.attempts))


def tasks() -> Blueprint:
    """Return the task, for an app of your own: ``app.add_tasks_from(tasks(), namespace="thrive")``."""
    # A new one each time: an app renames the tasks that it is given.
    blueprint = Blueprint()
    blueprint.task(name="run_unit", queue=QUEUE, pass_context=True, retry=_Retries())(_run_unit)
    return blueprint


async def _run_unit(context: JobContext, *, unit: dict[str, Any], batch: str) -> None:
    app = context.app
    found = Unit.from_dict(unit)
    if await _rows(app, "SELECT 1 AS paused FROM thrive_fleet_paused WHERE tenant = %(tenant)s", tenant=found.tenant):
        raise _Paused
    mine = cast("dict[str, Any]", context.additional_context)  # pyright: ignore[reportUnknownMemberType]
    folder: Path | None = mine.get("journals")
    journal = None
    if folder is not None:
        journal = folder / f"{hashlib.sha256(found.key.encode()).hexdigest()[:32]}.jsonl"
    try:
        result = await run_unit(found, clients=mine.get("clients"), journal=journal)
    except asyncio.CancelledError:
        if context.abort_reason() is AbortReason.SHUTDOWN:
            raise _Again from None
        raise
    (row,) = await _rows(
        app,
        "INSERT INTO thrive_fleet_results (batch, key, result) VALUES (%(batch)s, %(key)s, %(result)s) "
        "ON CONFLICT (batch, key) DO UPDATE SET result = EXCLUDED.result, at = now() RETURNING at",
        batch=batch,
        key=found.key,
        result=result.as_dict(),
    )
    if result.outcome == "stopped":
        raise _Again(result.reason, row["at"])


async def _rows(app: App, query: Any, **arguments: Any) -> list[dict[str, Any]]:
    return await app.connector.execute_query_all_async(query, **arguments)


@asynccontextmanager
async def opened(database: str = "", *, connections: int = 4) -> AsyncGenerator[App]:
    """Open a Procrastinate app on a database, with the tables it needs.

    Args:
        database: A connection string, such as ``postgresql://fleet@db/fleet``; what it leaves out comes from libpq's
            own variables, such as ``PGHOST`` and ``PGPASSWORD``.
        connections: How many connections it may open.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
    """
    # Not from the pool: it would try for 30 s, and could not say why it failed.
    async with await psycopg.AsyncConnection.connect(database, connect_timeout=_CONNECT) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor = await connection.execute("SELECT to_regclass('procrastinate_jobs')")
        if await cursor.fetchone() == (None,):
            await connection.execute(SchemaManager.get_schema())
        await connection.execute(_TABLES)
    # Two at least: a rescue holds one while it asks for others.
    app = App(
        connector=PsycopgConnector(
            conninfo=database, min_size=1, max_size=max(2, connections), pool_factory=_pool_of_living
        )
    )
    app.add_tasks_from(tasks(), namespace="thrive")
    async with app.open_async():
        yield app


def _pool_of_living(**options: Any) -> psycopg_pool.AsyncConnectionPool:
    options["check"] = _check_life
    return psycopg_pool.AsyncConnectionPool(**options)


async def _check_life(connection: psycopg.AsyncConnection[Any]) -> None:
    """Raise if the server has closed the connection.

    Procrastinate's pool asks the server, a second round trip for each statement: 0.7 of the 3.1 ms of CPU that the
    queue costs a unit.
    """
    connection.pgconn.consume_input()


# Submitting


@attrs.frozen
class Submitted:
    """What `submit` put into the queue.

    Attributes:
        batch: The id of this submission.
        new: How many units are new in the queue.
        waiting: How many were left out, because they wait already, for example since last night.
    """

    batch: str
    new: int
    waiting: int

    def __str__(self) -> str:
        return f"{self.new:,} units submitted as {self.batch}, {self.waiting:,} waiting already"


async def submit(app: App, todo: Iterable[Unit], *, batch: str | None = None) -> Submitted:
    """Put units into the queue. A unit that waits there already is left out.

    Args:
        app: An app of `opened`, or your own with `tasks`.
        todo: The units. They are taken a few hundred at a time.
        batch: The id under which `status` finds them; the time by default.
    """
    batch = batch or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    new = total = 0
    rest = iter(todo)
    while some := await asyncio.to_thread(lambda: list(islice(rest, _AT_ONCE))):
        paused = {row["tenant"] for row in await _rows(app, "SELECT tenant FROM thrive_fleet_paused")}
        jobs = [_job(unit, batch, paused=unit.tenant in paused) for unit in some]
        new += await _deferred(app, jobs)
        if not total:
            # PostgreSQL remembers a table in which nothing waits. Until it looks again, a minute later or more, it
            # would sort the whole queue for each job that it gives out: 200 ms with 20,000 of them, now 1 ms.
            await app.connector.execute_query_async("ANALYZE procrastinate_jobs")
        total += len(jobs)
    return Submitted(batch, new, total - new)


def _job(unit: Unit, batch: str, *, paused: bool) -> Job:
    return Job(
        queue=QUEUE,
        task_name=_TASK,
        lock=unit.key,
        queueing_lock=unit.key,
        priority=unit.priority,
        scheduled_at=_NEVER if paused else None,
        task_kwargs={"unit": unit.as_dict(), "batch": batch},
    )


async def _deferred(app: App, jobs: list[Job]) -> int:
    """Defer all jobs at once; if some of them wait already, halve until the others are in."""
    try:
        await app.job_manager.batch_defer_jobs_async(jobs)
    except AlreadyEnqueued:
        if len(jobs) == 1:
            return 0
        middle = len(jobs) // 2
        return await _deferred(app, jobs[:middle]) + await _deferred(app, jobs[middle:])
    return len(jobs)


# Working


async def work(
    database: str = "",
    *,
    concurrency: int = 4,
    tenants: str | os.PathLike[str] | None = None,
    clients: Clients | None = None,
    journals: str | os.PathLike[str] | None = None,
    until_empty: bool = False,
) -> None:
    """Run units until this is cancelled. A database that is away is waited for.

    Units of dead workers go back into the queue 15 to 20 s after their last heartbeat, and begin again 15 s later, when
    the lease of the dead run has ended. A unit that was tried five times is given up until it is submitted again.

    Args:
        database: As for `opened`.
        concurrency: How many units to run at once.
        tenants: A file of tenants with a `schedule`, by which this worker submits all units. Any number of workers may
            have it: each time is submitted once.
        clients: The clients; by default those of `THRIVE_SHARE`, closed at the end.
        journals: A folder for the journals, a file per unit.
        until_empty: End when no unit waits or runs.

    Raises:
        ConfigurationError: The file of tenants cannot be used.
        OSError: It cannot be read, or the folder of the journals cannot be made.
    """
    folder = None if journals is None else Path(journals)
    if folder is not None:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)

    def scheduled(app: App) -> None:
        if tenants is not None and schedule is not None:
            _submit_by(app, schedule, tenants)

    schedule = None if tenants is None else (await asyncio.to_thread(load_fleet, tenants)).schedule
    if clients is None:
        async with Clients() as own:
            return await _work(database, concurrency, scheduled, own, folder, until_empty=until_empty)
    return await _work(database, concurrency, scheduled, clients, folder, until_empty=until_empty)


async def _work(
    database: str,
    concurrency: int,
    scheduled: Callable[[App], None],
    clients: Clients,
    journals: Path | None,
    *,
    until_empty: bool,
) -> None:
    while True:
        try:
            async with opened(database, connections=concurrency + 4) as app:
                scheduled(app)
                rescuing = asyncio.create_task(_rescue_forever(app))
                if not until_empty:
                    app.worker_defaults["shutdown_graceful_timeout"] = _GRACE
                try:
                    # It also returns if it loses the database; a cancel lets its units end first.
                    await app.run_worker_async(
                        queues=[QUEUE],
                        concurrency=concurrency,
                        wait=not until_empty,
                        install_signal_handlers=False,
                        update_heartbeat_interval=_HEARTBEAT,
                        stalled_worker_timeout=_STALLED,
                        additional_context={"clients": clients, "journals": journals},
                    )
                finally:
                    rescuing.cancel()
                    with suppress(asyncio.CancelledError):
                        await rescuing
                if until_empty and not await _left(app):
                    return
        except _AWAY as error:
            _log.warning("the database is away (%s): trying again", " ".join(str(error.__cause__ or error).split()))
        await asyncio.sleep(_AGAIN)


def _submit_by(app: App, schedule: str, tenants: str | os.PathLike[str]) -> None:
    @app.periodic(cron=schedule)
    @app.task(name="thrive:submit", queue=QUEUE, queueing_lock="thrive:submit", priority=2**31 - 1)
    async def _submit(timestamp: int) -> None:
        fleet = await asyncio.to_thread(load_fleet, tenants)
        batch = f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"
        _log.info("%s", await submit(app, units(fleet.tenants), batch=batch))


async def _rescue_forever(app: App) -> None:
    loop = asyncio.get_running_loop()
    clean_at = 0.0
    while True:
        try:
            await _rescue(app)
            if loop.time() >= clean_at:
                clean_at = loop.time() + _CLEAN_EACH
                await _clean(app)
        except _AWAY as error:
            _log.info("stalled units could not be looked for (%s)", type(error).__name__)
        await asyncio.sleep(_RESCUE_EACH)


async def _rescue(app: App) -> None:
    """Put the units of dead workers back into the queue."""
    connector = app.connector
    assert isinstance(connector, PsycopgConnector)  # noqa: S101 - that of `opened`
    async with connector.pool.connection() as connection:
        # One worker at a time, or a second one would take a unit for stalled that has just begun again.
        # And by the database's clock, which decides when a job is due.
        cursor = await connection.execute(
            "SELECT now() + make_interval(secs => %s) WHERE pg_try_advisory_xact_lock(%s)", [_LEASE_LEFT, _LOCK + 1]
        )
        alone = await cursor.fetchone()
        if alone is None:
            return
        for job in await app.job_manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=_STALLED):
            _log.warning("%s: its worker is dead, so it goes back into the queue", job.lock or job.task_name)
            if job.attempts + 1 < _LAST_ATTEMPT:
                try:
                    await app.job_manager.retry_job(job, retry_at=alone[0])
                    continue
                except UniqueViolation:
                    pass  # The same unit was submitted again and waits, so this one is not needed.
            await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=False)


async def _clean(app: App) -> None:
    await app.job_manager.delete_old_jobs(
        _KEPT_HOURS, queue=QUEUE, include_failed=True, include_cancelled=True, include_aborted=True
    )
    await app.connector.execute_query_async(
        "DELETE FROM thrive_fleet_results WHERE at < now() - make_interval(hours => %(hours)s)", hours=_KEPT_HOURS
    )


# Looking, pausing, cancelling


@attrs.frozen(kw_only=True)
class FleetStatus:
    """How far a batch is.

    Attributes:
        batch: Its id; empty if nothing was ever submitted.
        waiting: Units that wait for a worker, or for their next try.
        running: Units that a worker runs.
        paused: Units of paused tenants.
        summary: The results so far.
    """

    batch: str
    waiting: int
    running: int
    paused: int
    summary: Summary

    @property
    def ended(self) -> bool:
        """Whether no unit waits or runs; those of paused tenants do not count."""
        return not (self.waiting or self.running)

    def __str__(self) -> str:
        paused = f", {self.paused:,} paused" if self.paused else ""
        return f"{self.batch or 'no batch'}: {self.waiting:,} waiting, {self.running:,} running{paused}; {self.summary}"


async def status(app: App, batch: str | None = None) -> FleetStatus:
    """Tell how far a batch is.

    Args:
        app: As for `submit`.
        batch: Its id; by default that of the last one.
    """
    if batch is None:
        last = "SELECT args->>'batch' AS batch FROM procrastinate_jobs WHERE task_name = %(task)s ORDER BY id DESC"
        found = await _rows(app, f"{last} LIMIT 1", task=_TASK)
        batch = str(found[0]["batch"]) if found else ""
    still = await _rows(
        app,
        "SELECT status::text, scheduled_at >= %(never)s AS paused, count(*) AS count FROM procrastinate_jobs "
        "WHERE queue_name = %(queue)s AND args->>'batch' = %(batch)s AND status IN ('todo', 'doing') GROUP BY 1, 2",
        queue=QUEUE,
        batch=batch,
        never=_NEVER,
    )
    ended = await _rows(
        app,
        "SELECT job.args->'unit' AS unit, job.status::text, job.attempts, found.result FROM procrastinate_jobs job "
        "LEFT JOIN thrive_fleet_results found ON found.batch = %(batch)s AND found.key = job.lock "
        "WHERE job.queue_name = %(queue)s AND job.args->>'batch' = %(batch)s AND job.status NOT IN ('todo', 'doing') "
        "ORDER BY job.id",
        queue=QUEUE,
        batch=batch,
    )
    counts = {(row["status"], bool(row["paused"])): row["count"] for row in still}
    return FleetStatus(
        batch=batch,
        waiting=counts.get(("todo", False), 0),
        running=counts.get(("doing", False), 0) + counts.get(("doing", True), 0),
        paused=counts.get(("todo", True), 0),
        summary=summary(_result(row) for row in ended),
    )


def _result(row: dict[str, Any]) -> Result:
    if row["status"] in ("succeeded", "failed") and row["result"] is not None:
        return Result.from_dict(row["result"])
    unit = Unit.from_dict(row["unit"])
    words = {"cancelled": "cancelled before it began", "aborted": "cancelled while it ran"}
    reason = words.get(row["status"], f"its worker died or failed, try {row['attempts']}: see the log of the workers")
    return Result(
        key=unit.key, tenant=unit.tenant, kind=unit.kind, target=unit.target, outcome="stopped", reason=reason
    )


async def _left(app: App) -> bool:
    return bool(
        await _rows(
            app,
            "SELECT 1 AS one FROM procrastinate_jobs WHERE queue_name = %(queue)s AND (status = 'doing' OR "
            "(status = 'todo' AND (scheduled_at IS NULL OR scheduled_at < %(never)s))) LIMIT 1",
            queue=QUEUE,
            never=_NEVER,
        )
    )


async def pause(app: App, tenant: str) -> int:
    """Begin no more units of a tenant until `resume`. Those that run go on to their end.

    Returns:
        How many units wait for that.
    """
    await app.connector.execute_query_async(
        "INSERT INTO thrive_fleet_paused (tenant) VALUES (%(tenant)s) ON CONFLICT DO NOTHING", tenant=tenant
    )
    return len(await _rescheduled(app, tenant, _NEVER))


async def resume(app: App, tenant: str) -> int:
    """Let the units of a paused tenant go on.

    Returns:
        How many units had waited for that.
    """
    await app.connector.execute_query_async("DELETE FROM thrive_fleet_paused WHERE tenant = %(tenant)s", tenant=tenant)
    return len(await _rescheduled(app, tenant, None))


async def _rescheduled(app: App, tenant: str, at: datetime | None) -> list[dict[str, Any]]:
    return await _rows(
        app,
        "UPDATE procrastinate_jobs SET scheduled_at = %(at)s::timestamptz "
        "WHERE task_name = %(task)s AND status = 'todo' AND args->'unit'->>'tenant' = %(tenant)s RETURNING id",
        task=_TASK,
        tenant=tenant,
        at=at,
    )


async def cancel(app: App, tenant: str) -> int:
    """Take all units of a tenant out of the queue, and stop those that run.

    A run stops after the requests it has under way; what it did stays done.

    Returns:
        How many units were cancelled or asked to stop.
    """
    jobs = await _rows(
        app,
        "SELECT id FROM procrastinate_jobs WHERE task_name = %(task)s AND status IN ('todo', 'doing') "
        "AND args->'unit'->>'tenant' = %(tenant)s",
        task=_TASK,
        tenant=tenant,
    )
    return sum([await app.job_manager.cancel_job_by_id_async(job["id"], abort=True) for job in jobs])
