"""One small application in four frameworks, each served over a real socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any

import uvicorn
from aiohttp import web
from fastapi import Depends, FastAPI, Request
from litestar import Litestar, get, patch, post
from litestar import Request as LitestarRequest
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thrive_async import ThriveClient, sync
from thrive_async.contrib import aiohttp_web, fastapi, litestar, starlette
from thrive_async.models import BasicUser, UserAccount, UserUpdate

COLUMNS = ("id", "ref", "email", "firstName", "rank.currentLevel")
AnyRequest = LitestarRequest[Any, Any, Any]


@asynccontextmanager
async def under_uvicorn(app: Any, **options: Any) -> AsyncIterator[str]:
    """Serve an ASGI application by uvicorn, on this loop."""
    options = {"timeout_graceful_shutdown": 10, **options}
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="on", ws="none", **options))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: server.started)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def under_aiohttp(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def served(app: Any, **options: Any) -> AbstractAsyncContextManager[str]:
    return under_aiohttp(app) if isinstance(app, web.Application) else under_uvicorn(app, **options)


def syncing(thrive: ThriveClient, people: list[str]) -> Callable[[Any], Any]:
    return lambda told: sync.sync_members(thrive, "sales-emea", people, removals=False, on_progress=told)


def starlette_app(source: Any, routes: list[Any], grace: float = 10.0) -> Starlette:
    async def person(request: StarletteRequest) -> Response:
        call = starlette.client_of(request, deadline=5).users.get_by_ref(request.path_params["ref"])
        user = await starlette.while_connected(request, call)
        return JSONResponse(user.to_dict())

    async def change(request: StarletteRequest) -> Response:
        body = await starlette.body_of(request, UserUpdate)
        account = await starlette.client_of(request).users.update(request.path_params["ref"], body)
        return JSONResponse(account.to_dict())

    async def lines(request: StarletteRequest) -> Response:
        per_page = int(request.query_params.get("per_page", "20"))
        return await starlette.ndjson_response(starlette.client_of(request).users.list(per_page=per_page))

    async def table(request: StarletteRequest) -> Response:
        users = starlette.client_of(request).users.list(per_page=20)
        return await starlette.csv_response(users, columns=COLUMNS)

    async def start(request: StarletteRequest) -> Response:
        run = starlette.runs_of(request).start(syncing(starlette.client_of(request), await request.json()))
        return JSONResponse({"id": run.id})

    async def watch(request: StarletteRequest) -> Response:
        return starlette.event_stream(starlette.runs_of(request).get(request.path_params["run"]))

    return Starlette(
        routes=[
            Route("/people/{ref}", person),
            Route("/people/{ref}", change, methods=["PATCH"]),
            Route("/people.ndjson", lines),
            Route("/people.csv", table),
            Route("/syncs", start, methods=["POST"]),
            Route("/syncs/{run}", watch),
            *routes,
        ],
        lifespan=starlette.lifespan(source, grace=grace),
        exception_handlers=starlette.error_handlers,
    )


def fastapi_app(source: Any, routes: list[Any], grace: float = 10.0) -> FastAPI:
    app = FastAPI(
        lifespan=fastapi.lifespan(source, grace=grace),
        exception_handlers=fastapi.error_handlers,
        routes=routes,
    )
    thrive_of = Depends(fastapi.client(deadline=5))

    @app.get("/people/{ref}")
    async def person(ref: str, request: Request, thrive: Annotated[ThriveClient, thrive_of]) -> BasicUser:
        return await fastapi.while_connected(request, thrive.users.get_by_ref(ref))

    @app.patch("/people/{ref}")
    async def change(
        ref: str, body: fastapi.BodyOf[UserUpdate], thrive: Annotated[ThriveClient, thrive_of]
    ) -> UserAccount:
        return await thrive.users.update(ref, body)

    @app.get("/people.ndjson")
    async def lines(thrive: Annotated[ThriveClient, thrive_of], per_page: int = 20) -> Any:
        return await fastapi.ndjson_response(thrive.users.list(per_page=per_page))

    @app.get("/people.csv")
    async def table(thrive: Annotated[ThriveClient, thrive_of]) -> Any:
        return await fastapi.csv_response(thrive.users.list(per_page=20), columns=COLUMNS)

    runs_of = Depends(fastapi.runs_of)

    @app.post("/syncs")
    async def start(
        people: list[str],
        thrive: Annotated[ThriveClient, thrive_of],
        runs: Annotated[fastapi.SyncRuns, runs_of],
    ) -> dict[str, str]:
        return {"id": runs.start(syncing(thrive, people)).id}

    @app.get("/syncs/{run}")
    async def watch(run: str, runs: Annotated[fastapi.SyncRuns, runs_of]) -> Any:
        return fastapi.event_stream(runs.get(run))

    return app


def aiohttp_app(source: Any, routes: list[Any], grace: float = 10.0) -> web.Application:
    async def person(request: web.Request) -> web.StreamResponse:
        user = await aiohttp_web.client_of(request, deadline=5).users.get_by_ref(request.match_info["ref"])
        return web.json_response(user.to_dict())

    async def change(request: web.Request) -> web.StreamResponse:
        body = await aiohttp_web.body_of(request, UserUpdate)
        account = await aiohttp_web.client_of(request).users.update(request.match_info["ref"], body)
        return web.json_response(account.to_dict())

    async def lines(request: web.Request) -> web.StreamResponse:
        per_page = int(request.query.get("per_page", "20"))
        return await aiohttp_web.ndjson_response(request, aiohttp_web.client_of(request).users.list(per_page=per_page))

    async def table(request: web.Request) -> web.StreamResponse:
        users = aiohttp_web.client_of(request).users.list(per_page=20)
        return await aiohttp_web.csv_response(request, users, columns=COLUMNS)

    async def start(request: web.Request) -> web.StreamResponse:
        run = aiohttp_web.runs_of(request).start(syncing(aiohttp_web.client_of(request), await request.json()))
        return web.json_response({"id": run.id})

    async def watch(request: web.Request) -> web.StreamResponse:
        run = aiohttp_web.runs_of(request).get(request.match_info["run"])
        return await aiohttp_web.event_stream(request, run)

    app = web.Application(middlewares=[aiohttp_web.error_middleware])
    app.cleanup_ctx.append(aiohttp_web.lifespan(source, grace=grace))
    app.add_routes(
        [
            web.get("/people/{ref}", person),
            web.patch("/people/{ref}", change),
            web.get("/people.ndjson", lines),
            web.get("/people.csv", table),
            web.post("/syncs", start),
            web.get("/syncs/{run}", watch),
            *routes,
        ]
    )
    return app


def litestar_app(source: Any, routes: list[Any], grace: float = 10.0) -> Litestar:
    @get("/people/{ref:str}")
    async def person(request: AnyRequest, ref: FromPath[str], thrive: NamedDependency[ThriveClient]) -> dict[str, Any]:
        return (await litestar.while_connected(request, thrive.users.get_by_ref(ref))).to_dict()

    @patch("/people/{ref:str}")
    async def change(request: AnyRequest, ref: FromPath[str], thrive: NamedDependency[ThriveClient]) -> dict[str, Any]:
        body = await litestar.body_of(request, UserUpdate)
        return (await thrive.users.update(ref, body)).to_dict()

    @get("/people.ndjson")
    async def lines(thrive: NamedDependency[ThriveClient], per_page: FromQuery[int] = 20) -> Stream:
        return await litestar.ndjson_response(thrive.users.list(per_page=per_page))

    @get("/people.csv")
    async def table(thrive: NamedDependency[ThriveClient]) -> Stream:
        return await litestar.csv_response(thrive.users.list(per_page=20), columns=COLUMNS)

    @post("/syncs")
    async def start(request: AnyRequest, thrive: NamedDependency[ThriveClient]) -> dict[str, str]:
        return {"id": litestar.runs_of(request).start(syncing(thrive, await request.json())).id}

    @get("/syncs/{run:str}")
    async def watch(request: AnyRequest, run: FromPath[str]) -> Stream:
        return litestar.event_stream(litestar.runs_of(request).get(run))

    return Litestar(
        route_handlers=[person, change, lines, table, start, watch, *routes],
        dependencies={"thrive": litestar.client(deadline=5)},
        lifespan=[litestar.lifespan(source, grace=grace)],
        exception_handlers=litestar.error_handlers,
        openapi_config=None,
        logging_config=None,  # or it would take the log from pytest
    )


FRAMEWORKS: Mapping[str, SimpleNamespace] = {
    "fastapi": SimpleNamespace(app=fastapi_app, module=fastapi),
    "starlette": SimpleNamespace(app=starlette_app, module=starlette),
    "aiohttp": SimpleNamespace(app=aiohttp_app, module=aiohttp_web),
    "litestar": SimpleNamespace(app=litestar_app, module=litestar),
}


async def until(done: Callable[[], object]) -> None:
    """Let other loops and processes work until something is true."""
    for _ in range(3_000):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


def counts_of(route: Any) -> fastapi.WebhookCounts:
    return route.opt["counts"] if hasattr(route, "opt") else route.counts
