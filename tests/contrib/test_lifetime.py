"""What an application holds from its start to its end."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import aiohttp
import pytest
from fastapi import Depends, FastAPI, Header
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from contrib.serving import FRAMEWORKS, served, until
from thrive_async import ApiKey, ConfigurationError, ThriveClient, ThrivePool, sync
from thrive_async.contrib import fastapi, starlette
from thrive_async.contrib._lifetime import opened
from thrive_async.contrib._streams import SyncRuns
from thrive_async.models import BasicUser
from thrive_async.sandbox import Sandbox


async def person(request: Request) -> JSONResponse:
    return JSONResponse((await starlette.client_of(request).users.get_by_ref("E00001")).to_dict())


async def test_a_function_makes_a_client_each_time_and_it_is_closed_each_time(sandbox: Sandbox) -> None:
    """As when a module is reloaded, or a test starts the application again."""
    made: list[ThriveClient] = []

    def make() -> ThriveClient:
        made.append(sandbox.client())
        return made[-1]

    for _ in range(2):
        async with opened(make, 1.0) as held:
            assert await held.client(None).skills.levels()
    assert len(made) == 2
    for client in made:
        with pytest.raises(ConfigurationError, match="closed"):
            await client.skills.levels()


async def test_the_function_may_be_async_and_the_client_may_come_as_it_is(sandbox: Sandbox) -> None:
    async def make() -> ThriveClient:
        return sandbox.client()

    async with opened(make, 1.0) as held:
        assert await held.client(None).skills.levels()
    async with opened(sandbox.client(), 1.0) as held:
        assert await held.client(None).skills.levels()


async def test_a_deadline_bounds_each_call_and_its_attempts(sandbox: Sandbox) -> None:
    async with opened(sandbox.client, 1.0) as held:
        view = held.client(5)
        assert (view.timeouts.attempt, view.timeouts.total) == (5, 5)
        assert held.client(60).timeouts.attempt == 30
        assert held.client(None) is held.client(None)


async def test_a_tenant_gets_its_own_client_of_a_pool(sandbox: Sandbox, browser: aiohttp.ClientSession) -> None:
    asked: list[str] = []

    def credentials_of(tenant_id: str) -> ApiKey:
        asked.append(tenant_id)
        return sandbox.credentials

    def tenant_of(x_session: Annotated[str, Header()]) -> str:
        return {"s-1": sandbox.tenant_id}[x_session]

    pool_of = lambda: ThrivePool(credentials_of, base_url=sandbox.base_url)  # noqa: E731
    app = FastAPI(lifespan=fastapi.lifespan(pool_of), exception_handlers=fastapi.error_handlers)
    app.router.routes.append(fastapi.ready_route())

    @app.get("/person")
    async def person(
        thrive: Annotated[ThriveClient, Depends(fastapi.tenant_client(tenant_of, deadline=5))],
    ) -> BasicUser:
        return await thrive.users.get_by_ref("E00001")

    @app.get("/mistaken")
    async def mistaken(thrive: Annotated[ThriveClient, Depends(fastapi.client())]) -> BasicUser:
        return await thrive.users.get_by_ref("E00001")

    async with served(app) as url:
        async with browser.get(f"{url}/person", headers={"X-Session": "s-1"}) as answer:
            assert (await answer.json())["ref"] == "E00001"
        async with browser.get(f"{url}/mistaken") as answer:
            assert answer.status == 500
        async with browser.get(f"{url}/ready") as answer:
            assert answer.status == 200
    assert asked == [sandbox.tenant_id]


async def test_an_application_mounted_in_another_uses_its_client(
    sandbox: Sandbox, browser: aiohttp.ClientSession
) -> None:
    inner = Starlette(routes=[Route("/person", person)])
    outer = Starlette(routes=[Mount("/inner", inner)], lifespan=starlette.lifespan(sandbox.client))
    async with served(outer) as url, browser.get(f"{url}/inner/person") as answer:
        assert answer.status == 200


async def test_a_lifespan_of_your_own_may_enter_ours(sandbox: Sandbox, browser: aiohttp.ClientSession) -> None:
    @asynccontextmanager
    async def life(app: Starlette) -> AsyncIterator[None]:
        async with starlette.lifespan(sandbox.client)(app):
            yield

    app = Starlette(routes=[Route("/person", person)], lifespan=life)
    async with served(app) as url, browser.get(f"{url}/person") as answer:
        assert answer.status == 200


async def test_an_application_without_a_client_says_what_is_missing(
    browser: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether the lifespan was forgotten, or was given no client."""
    routes, handlers = [Route("/person", person)], starlette.error_handlers
    for life, told in ((None, "has not been opened"), (starlette.lifespan(), "has no client")):
        app = Starlette(routes=routes, lifespan=life, exception_handlers=handlers)
        async with served(app) as url, browser.get(f"{url}/person") as answer:
            assert answer.status == 500
            assert (await answer.json())["detail"] == "This service is not set up correctly"
        assert told in caplog.text


async def test_a_client_that_was_closed_is_a_500_and_a_log_line(
    sandbox: Sandbox, browser: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    client = sandbox.client()
    await client.aclose()
    app = FRAMEWORKS["starlette"].app(client, [])
    async with served(app) as url, browser.get(f"{url}/people/E00001") as answer:
        assert answer.status == 500
    assert "this ThriveClient is closed" in caplog.text


@pytest.mark.usefixtures("clock")
async def test_an_end_in_the_middle_of_a_sync_leaves_a_report(sandbox: Sandbox) -> None:
    sandbox.faults.add("latency", operation="addMembers", times=None, seconds=3600)
    newcomers = [sandbox.state.add_user()["ref"] for _ in range(10)]
    async with opened(sandbox.client, 5.0) as held:
        plan = await sync.plan_members(held.client(None), "sales-emea", newcomers, removals=False)
        run = held.runs.start(lambda told: plan.apply(on_progress=told))
        events = run.events()
        await until(lambda: sandbox.requests.of("addMembers"))
    assert [name async for name, _ in events][-1] == "cancelled"
    assert plan.report is not None
    assert len(plan.report.failed) + len(plan.report.not_attempted) + len(plan.report.added) == 10


async def test_a_sync_that_raises_something_else_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Any) -> None:
        raise ValueError("ada@example.com")

    runs = SyncRuns()
    run = runs.start(fail)
    assert [event async for event in run.events()] == [("error", {"status": 500, "detail": "The sync failed"})]
    assert "a sync raised ValueError at " in caplog.text
    assert "ada@" not in caplog.text


async def test_runs_that_are_over_are_kept_for_a_while_and_then_forgotten() -> None:
    async def nothing(_: Any) -> None: ...

    runs = SyncRuns()
    started = []
    for _ in range(150):
        started.append(runs.start(nothing))
        await started[-1].task
    known = [run for run in started if runs.get(run.id) is run]
    assert 100 <= len(known) <= 101
    assert known[-1] is started[-1]


@pytest.mark.parametrize("name", ["fastapi", "starlette", "litestar"])
def test_a_framework_that_is_missing_is_told_in_one_line(name: str) -> None:
    program = (
        f"import sys; sys.modules[{name!r}] = None\n"
        f"try: import thrive_async.contrib.{name}\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = f'thrive_async.contrib.{name} needs {name}: pip install "thrive-async[{name}]"'
    assert done.stdout.strip() == told


def test_importing_the_sdk_and_its_models_imports_no_framework() -> None:
    program = (
        "import sys, thrive_async; from thrive_async.models import User; User(id='1').to_dict()\n"
        "print({'pydantic', 'pydantic_core', 'fastapi', 'starlette', 'litestar'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
