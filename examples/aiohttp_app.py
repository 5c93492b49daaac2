"""A small application on aiohttp.web: find people, put them into audiences, receive webhooks, run and watch a sync.

`python examples/aiohttp_app.py` serves it on http://127.0.0.1:8000, on a sandbox unless you have set
`THRIVE_TENANT_ID`. docs/examples.md explains it.
"""

import json
import os
from collections import deque
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from on_sandbox import unless_configured

from thrive_async import ThriveClient, sync, webhooks
from thrive_async.contrib.aiohttp_web import (
    client_of,
    error_middleware,
    event_stream,
    lifespan,
    ready_route,
    runs_of,
    webhook_route,
)
from thrive_async.models import CompletionEvent, UserEvent
from thrive_async.share import FileShare

routes = web.RouteTableDef()


@routes.get("/")
async def page(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(Path(__file__).with_name("page.html"))


@routes.get("/people")
async def people(request: web.Request) -> web.Response:
    """Thrive has no search, so read its list until 20 people fit."""
    words, found = request.query.get("q", "").casefold(), list[dict[str, Any]]()
    async for user in client_of(request, deadline=10).users.list():
        name = " ".join(filter(None, (user.first_name, user.last_name)))
        if words in f"{name} {user.ref} {user.email}".casefold():
            found.append({"id": user.id, "name": name, "ref": user.ref, "email": user.email})
            if len(found) == 20:
                break
    return web.json_response(found)


@routes.get("/audiences")
async def audiences(request: web.Request) -> web.Response:
    """Those whose members the API may change."""
    every = client_of(request, deadline=10).audiences.list(api_controlled=True)
    return web.json_response([{"id": one.id, "name": one.name} async for one in every if one.category == "audience"])


@routes.post("/audiences/{audience}/members")
async def add(request: web.Request) -> web.Response:
    match await json_of(request):
        case {"person": str(person)}:
            thrive = client_of(request, deadline=10)
            result = await thrive.audiences.members.add(request.match_info["audience"], [person])
        case _:
            raise web.HTTPUnprocessableEntity(text='send {"person": "E00001"}')
    if result.is_partial:
        raise web.HTTPNotFound(text="Thrive does not know this person")
    return web.Response(status=204)


@routes.post("/audiences/{audience}/sync")
async def start(request: web.Request) -> web.StreamResponse:
    """Start a sync and tell about it in one answer: with several workers, another request could reach another one."""
    match await json_of(request):
        case {"people": [*wanted], "remove_others": bool(others)} if all(isinstance(one, str) for one in wanted):
            audience = request.match_info["audience"]
            job = partial(sync.sync_members, client_of(request), audience, wanted, removals=others)
        case _:
            raise web.HTTPUnprocessableEntity(text='send {"people": ["E00001"], "remove_others": false}')
    return await event_stream(request, runs_of(request).start(lambda told: job(on_progress=told)))


async def json_of(request: web.Request) -> Any:
    """Return the body; None if it is not JSON, or declared as something that a form of another site could send."""
    try:
        return await request.json() if request.content_type == "application/json" else None
    except ValueError:
        return None


def folder() -> Path:
    """Where the workers of this machine meet: their quota, the deliveries seen, and the events received."""
    return Path(os.environ.get("APP_FOLDER", "app-data"))


def received(event: webhooks.Event) -> None:
    """Keep an event where each worker sees it. If you may not lose any, put it into a queue of yours instead."""
    user = event.user if isinstance(event, CompletionEvent | UserEvent) else None
    told = {
        "type": event.event_type,
        "person": user and user.reference,
        "at": event.created_at and event.created_at.isoformat(),
    }
    with (folder() / "events").open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")


@routes.get("/events")
async def events(_request: web.Request) -> web.Response:
    """Return the last 20 events, the newest first."""
    with (folder() / "events").open("a+", encoding="utf-8") as file:
        file.seek(0)
        return web.json_response([json.loads(line) for line in reversed(deque(file, 20))])


def create_app() -> web.Application:
    """Return the application, with the secrets of the environment."""
    share = FileShare(folder())
    secret = os.environ["WEBHOOK_SECRET"]
    app = web.Application(middlewares=[error_middleware], client_max_size=16 * 2**20)
    app.cleanup_ctx.append(lifespan(partial(ThriveClient.from_env, share=share)))
    app.add_routes(
        [
            *routes,
            ready_route("/ready"),
            webhook_route("/thrive", secrets=secret, handlers={}, default=received, store=share),
        ]
    )
    return app


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with unless_configured(port):
        web.run_app(create_app(), host="127.0.0.1", port=port, handler_cancellation=True, shutdown_timeout=10)
