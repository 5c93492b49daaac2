"""The application of `test_workers.py`, for real servers with workers."""

import asyncio
import os
from pathlib import Path
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from uvicorn_worker import UvicornWorker

from thrive_async import ApiKey, ThriveClient, ThrivePool
from thrive_async.contrib.fastapi import client_of, lifespan, ready_route, tenant_client_of, webhook_route
from thrive_async.models import CompletionEvent

TENANT = os.environ["THRIVE_TENANT_ID"]


class Worker(UvicornWorker):
    """A worker of gunicorn that gives open requests no time."""

    CONFIG_KWARGS: ClassVar = {**UvicornWorker.CONFIG_KWARGS, "timeout_graceful_shutdown": 0}


def used_client() -> ThriveClient:
    """Return a client that was used when its module was imported, on a loop that has ended."""
    client = ThriveClient.from_env()
    asyncio.run(client.users.get_by_ref("E00001"))
    return client


def used_pool() -> ThrivePool:
    """Return a pool that was used when its module was imported, on a loop that has ended."""
    pool = ThrivePool(lambda _: ApiKey(os.environ["THRIVE_API_KEY"]), base_url=os.environ["THRIVE_BASE_URL"])

    async def use() -> None:
        await (await pool.client(TENANT)).users.get_by_ref("E00001")

    asyncio.run(use())
    return pool


async def completed(event: CompletionEvent) -> None:
    """Look the person of an event up, and note that it was handled."""
    assert event.user is not None
    async with ThriveClient.from_env() as thrive:
        await thrive.users.get_by_ref(str(event.user.reference))
    with Path("handled").open("a", encoding="utf-8") as file:  # noqa: ASYNC230 - a few bytes
        file.write(f"{event.user.reference}\n")


source: Any = {"function": lambda: ThriveClient.from_env, "client": used_client, "pool": used_pool}[
    os.environ.get("SOURCE", "function")
]()
app = FastAPI(
    lifespan=lifespan(source, grace=float(os.environ.get("GRACE", "60"))),
    routes=[
        ready_route("/ready", call=False),
        webhook_route("/thrive", secrets=os.environ["WEBHOOK_SECRET"], handlers={"content.completed": completed}),
    ],
)


@app.get("/people/{ref}")
async def person(ref: str, request: Request) -> int:
    """Look somebody up, and return which worker did."""
    pooled = isinstance(source, ThrivePool)
    thrive = await tenant_client_of(request, TENANT) if pooled else client_of(request)
    await thrive.users.get_by_ref(ref)
    return os.getpid()
