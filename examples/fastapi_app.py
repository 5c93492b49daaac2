"""A small application on FastAPI: find people, put them into audiences, receive webhooks, run a sync and watch it.

`python examples/fastapi_app.py` serves it with two workers on http://127.0.0.1:8000, on a sandbox unless you have set
`THRIVE_TENANT_ID`. docs/examples.md explains it.
"""

import json
import os
from collections import deque
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from on_sandbox import unless_configured
from pydantic import BaseModel

from thrive_async import ThriveClient, sync, webhooks
from thrive_async.contrib.fastapi import (
    SyncRuns,
    client,
    error_handlers,
    event_stream,
    lifespan,
    ready_route,
    runs_of,
    webhook_route,
    while_connected,
)
from thrive_async.models import CompletionEvent, UserEvent
from thrive_async.share import FileShare

Thrive = Annotated[ThriveClient, Depends(client(deadline=10))]
Patient = Annotated[ThriveClient, Depends(client())]
Runs = Annotated[SyncRuns, Depends(runs_of)]
router = APIRouter()


class Person(BaseModel):
    id: str
    name: str
    ref: str | None
    email: str | None


class Audience(BaseModel):
    id: str
    name: str | None


class NewMember(BaseModel):
    person: str


class Members(BaseModel):
    people: list[str]
    remove_others: bool = False


@router.get("/", include_in_schema=False)
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("page.html"))


@router.get("/people")
async def people(q: str, request: Request, thrive: Thrive) -> list[Person]:
    return await while_connected(request, find(thrive, q))


async def find(thrive: ThriveClient, words: str) -> list[Person]:
    """Thrive has no search, so read its list until 20 people fit."""
    found: list[Person] = []
    async for user in thrive.users.list():
        name = " ".join(filter(None, (user.first_name, user.last_name)))
        if words.casefold() in f"{name} {user.ref} {user.email}".casefold():
            found.append(Person(id=user.id, name=name, ref=user.ref, email=user.email))
            if len(found) == 20:
                break
    return found


@router.get("/audiences")
async def audiences(thrive: Thrive) -> list[Audience]:
    """Those whose members the API may change."""
    every = thrive.audiences.list(api_controlled=True)
    return [Audience(id=one.id, name=one.name) async for one in every if one.category == "audience"]


@router.post("/audiences/{audience}/members", status_code=204)
async def add(audience: str, new: NewMember, thrive: Thrive) -> None:
    result = await thrive.audiences.members.add(audience, [new.person])
    if result.is_partial:
        raise HTTPException(404, "Thrive does not know this person")


@router.post("/audiences/{audience}/sync")
async def start(audience: str, wanted: Members, thrive: Patient, runs: Runs) -> StreamingResponse:
    """Start a sync and tell about it in one answer: another request could reach another worker."""
    job = partial(sync.sync_members, thrive, audience, wanted.people, removals=wanted.remove_others)
    return event_stream(runs.start(lambda told: job(on_progress=told)))


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


@router.get("/events")
def events() -> list[dict[str, Any]]:
    """Return the last 20 events, the newest first."""
    with (folder() / "events").open("a+", encoding="utf-8") as file:
        file.seek(0)
        return [json.loads(line) for line in reversed(deque(file, 20))]


def create_app() -> FastAPI:
    """Return the application, with the secrets of the environment."""
    share = FileShare(folder())
    secret = os.environ["WEBHOOK_SECRET"]
    app = FastAPI(
        lifespan=lifespan(partial(ThriveClient.from_env, share=share)),
        exception_handlers=error_handlers,
        routes=[
            ready_route("/ready"),
            webhook_route("/thrive", secrets=secret, handlers={}, default=received, store=share),
        ],
    )
    app.include_router(router)
    return app


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    with unless_configured(port):
        create_app()  # so that a missing secret ends here, and not one worker after the other
        uvicorn.run(
            "fastapi_app:create_app",
            factory=True,
            port=port,
            workers=2,
            timeout_graceful_shutdown=10,
            timeout_worker_healthcheck=30,  # by default, a worker has 5 seconds to start
        )
