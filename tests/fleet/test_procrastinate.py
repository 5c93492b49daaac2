"""Units on a real PostgreSQL: nothing is lost, nothing is written twice, whatever dies."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

pytest.importorskip("procrastinate")

import procrastinate.utils
import psycopg
from procrastinate import App

from tests.fleet.conftest import Company
from thrive_async.fleet import Clients, load_tenants, units
from thrive_async.fleet import procrastinate as engine
from thrive_async.fleet.procrastinate import FleetStatus, cancel, opened, pause, resume, status, submit, work

WORKER = "import asyncio, sys; from thrive_async.fleet.procrastinate import work; asyncio.run(work(sys.argv[1]))"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for the pauses of an engine."""
    monkeypatch.setattr(engine, "_FIRST_PAUSE", 0)
    monkeypatch.setattr(engine, "_RESCUE_EACH", 0.1)
    monkeypatch.setattr(engine, "_LEASE_LEFT", 0.0)
    monkeypatch.setattr(engine, "_AGAIN", 0.1)


@pytest.fixture
async def app(database: str) -> AsyncIterator[App]:
    async with opened(database) as found:
        yield found


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    while not await condition():  # noqa: ASYNC110 - a database has no event for it
        await asyncio.sleep(0.02)


@asynccontextmanager
async def working(database: str, **options: Any) -> AsyncIterator[None]:
    """A worker in this process."""
    task = asyncio.create_task(work(database, **options))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ended(app: App) -> FleetStatus:
    """Wait until the last batch has ended."""
    found: list[FleetStatus] = []

    async def is_ended() -> bool:
        found.append(await status(app))
        return found[-1].ended

    await until(is_ended)
    return found[-1]


async def with_dead_workers(app: App) -> None:
    """Let a minute pass for the heartbeats of all workers so far."""
    await app.connector.execute_query_async(
        "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 minute'"
    )


async def test_all_units_are_run_and_the_same_night_again_writes_nothing(
    company: Company, tenants: Path, database: str, app: App, tmp_path: Path
) -> None:
    assert str(await status(app)).startswith("no batch: 0 waiting, 0 running; 0 units")
    listed = list(units(load_tenants(tenants)))
    submitted = await submit(app, listed, batch="monday")
    assert str(submitted) == "3 units submitted as monday, 0 waiting already"
    waiting = await status(app)
    assert (waiting.waiting, waiting.running, waiting.ended) == (3, 0, False)
    await work(database, until_empty=True, journals=tmp_path / "journals")
    found = await status(app)
    assert (found.ended, found.summary.ok, found.summary.units) == (True, True, 3)
    assert found.summary.changes["added"] == found.summary.changes["removed"] == 3
    assert company.wrong == []
    assert len(list((tmp_path / "journals").iterdir())) == 3
    writes = len(company.writes)
    await submit(app, listed, batch="tuesday")
    await work(database, until_empty=True)
    assert (await status(app)).summary.units == 3
    assert (await status(app)).batch == "tuesday"
    assert (await status(app, "monday")).summary.changes["added"] == 3
    assert len(company.writes) == writes


async def test_workers_that_start_together_make_the_tables_once(database: str) -> None:
    async def start() -> None:
        async with opened(database) as app:
            assert (await status(app)).ended

    await asyncio.gather(*(start() for _ in range(4)))


async def test_when_two_nights_overlap_a_unit_waits_once(company: Company, tenants: Path, app: App) -> None:
    listed = list(units(load_tenants(tenants)))
    await submit(app, listed[:2])
    second = await submit(app, listed)
    assert (second.new, second.waiting) == (1, 2)


async def test_two_workers_never_run_one_unit_at_once(company: Company, tenants: Path, database: str, app: App) -> None:
    """The second job of a unit waits for the first, however many workers there are."""
    company.sandbox.faults.add("latency", times=None, seconds=0.05)
    listed = list(units(load_tenants(tenants)))
    async with working(database, concurrency=2), working(database, concurrency=2):
        await submit(app, listed)

        async def has_begun() -> bool:
            return bool(company.writes)

        await until(has_begun)
        await submit(app, listed)
        assert (await ended(app)).summary.ok
    assert company.wrong == []
    assert len(set(company.writes)) == len(company.writes)


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
async def test_the_units_of_a_killed_worker_are_done_by_another(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    company.sandbox.faults.add("latency", operation="addMembers", times=3, seconds=0.2)
    await submit(app, units(load_tenants(tenants)))
    process = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-c", WORKER, database])
    try:

        async def writes() -> bool:
            return bool(company.writes)

        await until(writes)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    await with_dead_workers(app)
    async with working(database):
        found = await ended(app)
    assert found.summary.ok, str(found)
    assert found.summary.units == 3
    assert company.wrong == []


async def stalled(app: App, attempts: int = 0) -> None:
    """Let a worker that is dead now have taken the first unit."""
    worker = await app.job_manager.register_worker()
    assert await app.job_manager.fetch_job(queues=["thrive"], worker_id=worker)
    await app.connector.execute_query_async(
        "UPDATE procrastinate_jobs SET attempts = %(attempts)s WHERE status = 'doing'", attempts=attempts
    )
    await with_dead_workers(app)


async def test_a_unit_that_kills_its_workers_is_given_up(company: Company, tenants: Path, app: App) -> None:
    """And told, until it is submitted again."""
    listed = list(units(load_tenants(tenants)))[:1]
    await submit(app, listed)
    await stalled(app, attempts=4)
    await engine._rescue(app)
    found = await status(app)
    assert found.ended
    assert [one.reason for one in found.summary.to_look_at] == [
        "its worker died or failed, try 5: see the log of the workers"
    ]
    assert (await submit(app, listed)).new == 1


async def test_a_stalled_unit_that_was_submitted_again_is_not_queued_twice(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    listed = list(units(load_tenants(tenants)))[:1]
    await submit(app, listed, batch="monday")
    await stalled(app)
    assert (await submit(app, listed, batch="tuesday")).new == 1
    await engine._rescue(app)
    assert (await status(app, "monday")).ended
    await work(database, until_empty=True)
    assert (await status(app, "tuesday")).summary.ok


async def test_living_workers_keep_their_units(company: Company, tenants: Path, app: App) -> None:
    await submit(app, units(load_tenants(tenants)))
    worker = await app.job_manager.register_worker()
    await app.job_manager.fetch_job(queues=["thrive"], worker_id=worker)
    await engine._rescue(app)
    assert (await status(app)).running == 1


async def test_a_thrive_that_is_down_is_tried_again_and_a_guard_is_not(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    company.sandbox.faults.add("status", operation="getAudience", times=1, status=409)
    listed = list(units(load_tenants(tenants)))
    (company.folder / "audiences.csv").write_text("audience,member\nteam-0,x\nteam-1," + company.people[1] + "\n")
    await submit(app, listed[:2])
    await work(database, until_empty=True, concurrency=1)
    found = await status(app)
    assert found.ended
    assert {one.outcome for one in found.summary.to_look_at} <= {"refused", "incomplete"}
    assert company.sandbox.faults is not None
    tried = sum(one.operation == "getAudience" for one in company.sandbox.requests)
    assert tried == 3


async def test_a_paused_tenant_waits_and_a_cancelled_one_is_done_with(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    listed = list(units(load_tenants(tenants)))
    await submit(app, listed[:1], batch="monday")
    assert await pause(app, company.sandbox.tenant_id) == 1
    await submit(app, listed, batch="tuesday")  # also what comes later
    await work(database, until_empty=True)
    found = await status(app)
    assert (found.paused, found.waiting, found.ended) == (2, 0, True)
    assert "2 paused" in str(found)
    assert company.writes == []
    assert await resume(app, "another") == 0
    assert await resume(app, company.sandbox.tenant_id) == 3
    assert await cancel(app, company.sandbox.tenant_id) == 3
    await work(database, until_empty=True)
    assert company.writes == []
    assert {one.reason for one in (await status(app)).summary.to_look_at} == {"cancelled before it began"}
    await submit(app, listed, batch="wednesday")
    await work(database, until_empty=True)
    assert company.wrong == []


async def test_a_unit_that_was_taken_just_before_the_pause_waits_too(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    await submit(app, units(load_tenants(tenants)))
    await app.connector.execute_query_async(
        "INSERT INTO thrive_fleet_paused (tenant) VALUES (%(tenant)s)", tenant=company.sandbox.tenant_id
    )
    await work(database, until_empty=True)
    assert (await status(app)).paused == 3
    assert company.writes == []


async def test_a_cancel_stops_a_unit_that_runs(company: Company, tenants: Path, database: str, app: App) -> None:
    company.sandbox.faults.add("latency", operation="listMembers", times=None, seconds=0.3)
    await submit(app, list(units(load_tenants(tenants)))[:1])
    async with working(database):

        async def runs() -> bool:
            return any(one.operation == "listMembers" for one in company.sandbox.requests)

        await until(runs)
        assert await cancel(app, company.sandbox.tenant_id) == 1
        found = await ended(app)
    assert [one.reason for one in found.summary.to_look_at] == ["cancelled while it ran"]
    assert company.writes == []


async def test_a_worker_that_is_asked_to_stop_gives_its_unit_back(
    company: Company, tenants: Path, database: str, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time it has, as before Kubernetes kills it."""
    monkeypatch.setattr(engine, "_GRACE", 0.0)
    company.sandbox.faults.add("latency", operation="listMembers", times=1, seconds=0.5)
    await submit(app, list(units(load_tenants(tenants)))[:1])
    async with working(database):

        async def runs() -> bool:
            return any(one.operation == "listMembers" for one in company.sandbox.requests)

        await until(runs)
    assert (await status(app)).waiting == 1
    await work(database, until_empty=True)
    assert (await status(app)).summary.ok


async def test_a_database_that_is_restarted_costs_nothing_but_time(
    company: Company, tenants: Path, postgres: Any, database: str
) -> None:
    company.sandbox.faults.add("latency", operation="addMembers", times=3, seconds=0.2)
    async with opened(database) as before:
        await submit(before, units(load_tenants(tenants)))
    async with working(database, concurrency=1):

        async def writes() -> bool:
            return bool(company.writes)

        await until(writes)
        await asyncio.to_thread(postgres.stop)
        await asyncio.to_thread(postgres.start)
        async with opened(database) as app:
            await with_dead_workers(app)
            found = await ended(app)
    assert found.summary.ok, str(found)
    assert found.summary.units == 3
    assert company.wrong == []


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
async def test_a_database_that_is_stopped_and_goes_on_has_nothing_written_twice(
    company: Company, tenants: Path, postgres: Any, database: str, app: App
) -> None:
    """Its workers live, but their heartbeats are old: their units are put back while they run, and run twice."""
    company.sandbox.faults.add("latency", operation="addMembers", times=3, seconds=0.2)
    await submit(app, units(load_tenants(tenants)))
    async with working(database, concurrency=1):

        async def writes() -> bool:
            return bool(company.writes)

        async def removes() -> bool:
            return any(operation == "removeMember" for operation, _ in company.writes)

        await until(writes)
        postgres.stop_answering()
        try:
            # The unit that runs needs no database until its end.
            await until(removes)
        finally:
            postgres.answer_again()
        await with_dead_workers(app)
        found = await ended(app)
    assert found.summary.ok, str(found)
    assert found.summary.units == 3
    assert company.wrong == []
    assert len(set(company.writes)) == len(company.writes)


async def test_a_database_that_cannot_write_is_waited_for(
    company: Company, tenants: Path, postgres: Any, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its disk is full, or it is a standby that takes over in a moment."""
    async with opened(database) as before:
        await submit(before, units(load_tenants(tenants)))

    async def writable(*, on: bool) -> None:
        words = "off" if on else "on"
        async with await psycopg.AsyncConnection.connect(postgres.new_database(), autocommit=True) as admin:
            name = database.rpartition("/")[2]
            await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {words}".encode())
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    async def waited_for() -> bool:
        return "read-only" in caplog.text

    await writable(on=False)
    async with working(database):
        await until(waited_for)
        assert company.writes == []
        await writable(on=True)
        async with opened(database) as afterwards:
            assert (await ended(afterwards)).summary.ok
    assert company.wrong == []


async def test_the_clocks_of_workers_may_differ(
    company: Company, tenants: Path, database: str, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a unit is due again is counted by the database's clock: neither an hour later nor at once."""
    monkeypatch.setattr(engine, "_LEASE_LEFT", 15.0)
    monkeypatch.setattr(engine, "_FIRST_PAUSE", 100)
    await submit(app, units(load_tenants(tenants)))
    await stalled(app)
    now = datetime.now(UTC)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now + timedelta(hours=1)

    monkeypatch.setattr(engine, "datetime", Ahead)
    monkeypatch.setattr(procrastinate.utils, "utcnow", lambda: now + timedelta(hours=1))
    await engine._rescue(app)
    assert [round(left, -1) for left in await due(app)] in ([10], [20])
    # One that was stopped waits, too.
    company.sandbox.faults.add("status", operation="getAudience", times=2, status=409)
    await app.run_worker_async(wait=False, install_signal_handlers=False, concurrency=1)
    assert [round(left, -1) for left in await due(app)][-2:] == [100, 100]


async def due(app: App) -> list[float]:
    """In how many seconds the units are due that wait for their time."""
    rows = await app.connector.execute_query_all_async(
        "SELECT extract(epoch FROM scheduled_at - now())::float AS left FROM procrastinate_jobs "
        "WHERE status = 'todo' AND scheduled_at IS NOT NULL ORDER BY scheduled_at"
    )
    return [row["left"] for row in rows]


async def test_the_next_unit_is_found_as_fast_in_a_long_queue(
    company: Company, tenants: Path, database: str, app: App
) -> None:
    """Also when nothing had waited before, as each evening; by the blocks that PostgreSQL reads for it."""
    (unit,) = list(units(load_tenants(tenants)))[:1]

    async def blocks_read() -> int:
        worker = await app.job_manager.register_worker()
        async with await psycopg.AsyncConnection.connect(database) as connection:
            blocks = 0
            for _ in range(2):  # once to warm up
                cursor = await connection.execute(
                    "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT procrastinate_fetch_job_v2(ARRAY['thrive'], %s)",
                    [worker],
                )
                ((plan,),) = await cursor.fetchall()
                blocks = plan[0]["Plan"]["Shared Hit Blocks"]
                await connection.rollback()
            return blocks

    found = []
    for night, size in enumerate((100, 8_000)):
        await submit(app, [attrs.evolve(unit, key=f"{unit.key}-{night}-{at}", priority=-at) for at in range(size)])
        found.append(await blocks_read())
        await app.connector.execute_query_async("UPDATE procrastinate_jobs SET status = 'succeeded'")
        await app.connector.execute_query_async("ANALYZE procrastinate_jobs")
    assert found[1] < 2 * found[0], found


async def test_a_unit_takes_four_statements(company: Company, tenants: Path, database: str, app: App) -> None:
    """To take it, to see whether its tenant is paused, to keep its result and to end it; by PostgreSQL's count."""

    async def committed() -> int:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            # A connection tells what it did when it ends; this one and that of `app` are left.
            backends = count = 0
            while not backends or backends > 2:
                await connection.execute("SELECT pg_stat_clear_snapshot()")
                cursor = await connection.execute(
                    "SELECT numbackends, xact_commit FROM pg_stat_database WHERE datname = current_database()"
                )
                ((backends, count),) = await cursor.fetchall()
            return count

    (unit,) = list(units(load_tenants(tenants)))[:1]
    spent = []
    for size in (1, 41):
        await submit(app, [attrs.evolve(unit, key=f"{size}-{at}") for at in range(size)])
        before = await committed()
        await work(database, until_empty=True, concurrency=1)
        spent.append(await committed() - before)
    assert spent[1] - spent[0] < 5 * 40, spent


@pytest.fixture
def scheduled(tenants: Path) -> Path:
    """The same tenants, each second."""
    tenants.write_text('schedule = "* * * * * *"\n' + tenants.read_text())
    return tenants


async def test_workers_submit_by_the_schedule_of_the_file(
    company: Company, scheduled: Path, database: str, app: App
) -> None:
    """Each time once, however many workers have it."""
    async with working(database, tenants=scheduled), working(database, tenants=scheduled):

        async def submitted() -> bool:
            return (await status(app)).batch != ""

        await until(submitted)
        await ended(app)
    assert company.wrong == []
    batches = await app.connector.execute_query_all_async(
        "SELECT args->>'timestamp' AS at FROM procrastinate_jobs WHERE task_name = 'thrive:submit'"
    )
    assert len({row["at"] for row in batches}) == len(batches)


async def test_old_jobs_and_results_are_dropped(company: Company, tenants: Path, database: str, app: App) -> None:
    await submit(app, units(load_tenants(tenants)))
    await work(database, until_empty=True)
    await engine._clean(app)
    assert (await status(app)).summary.units == 3
    for table in ("procrastinate_events", "thrive_fleet_results"):
        await app.connector.execute_query_async(f"UPDATE {table} SET at = at - interval '15 days'")
    await engine._clean(app)
    assert (await status(app)).batch == ""


async def test_an_app_of_ones_own_runs_the_task_too(company: Company, tenants: Path, database: str, app: App) -> None:
    """With other tasks beside it, and without `work`."""
    await submit(app, units(load_tenants(tenants)))
    await app.run_worker_async(wait=False, install_signal_handlers=False)
    assert company.wrong == []
    async with Clients() as clients:
        assert clients is not None
