"""FastAPI: everything of `thrive_async.contrib.starlette`, with dependencies for the client.

Models of the SDK are results as they are, and bodies as `BodyOf[UserUpdate]`.

Example:
    app = FastAPI(lifespan=lifespan(ThriveClient.from_env), exception_handlers=error_handlers)
    Thrive = Annotated[ThriveClient, Depends(client(deadline=5))]

    @app.get("/people/{ref}")
    async def person(ref: str, thrive: Thrive) -> BasicUser:
        return await thrive.users.get_by_ref(ref)

    @app.patch("/people/{ref}")
    async def change(ref: str, body: BodyOf[UserUpdate], thrive: Thrive) -> UserAccount:
        return await thrive.users.update(ref, body)
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

try:
    from fastapi import Body, Depends, Request
except ModuleNotFoundError as _error:
    from thrive_async.contrib._missing import needed_by

    raise ModuleNotFoundError(needed_by("fastapi"), name=_error.name) from _error

from thrive_async.client import ThriveClient
from thrive_async.contrib.starlette import (
    SyncRun,
    SyncRuns,
    WebhookCounts,
    WebhookOptions,
    WebhookRoute,
    client_of,
    csv_response,
    error_handlers,
    event_stream,
    lifespan,
    ndjson_response,
    ready_route,
    runs_of,
    tenant_client_of,
    webhook_route,
    while_connected,
)

__all__ = [
    "BodyOf",
    "SyncRun",
    "SyncRuns",
    "WebhookCounts",
    "WebhookOptions",
    "WebhookRoute",
    "client",
    "client_of",
    "csv_response",
    "error_handlers",
    "event_stream",
    "lifespan",
    "ndjson_response",
    "ready_route",
    "runs_of",
    "tenant_client",
    "tenant_client_of",
    "webhook_route",
    "while_connected",
]

T = TypeVar("T")

# FastAPI asks whether a class is pydantic's, a dataclass, a sequence or a mapping, not whether pydantic can read it.
# A model that passed for one of these would lose its fields wherever it is written as one.
BodyOf = Annotated[T, Body()]
"""The body of a request as a model: `BodyOf[UserUpdate]`, or `BodyOf[UserUpdate | None]` if it may be missing.

Without it, FastAPI takes the parameter for a part of the query: a body that may be missing would then never arrive.
"""


def client(*, deadline: float | None = None) -> Callable[[Request], Awaitable[ThriveClient]]:
    """Return a dependency: the application's client.

    Args:
        deadline: The seconds that each call may take, retries included. A handler is not cancelled when its browser
            leaves, so without a deadline a call may go on for `Timeouts.total`.

    Example:
        Thrive = Annotated[ThriveClient, Depends(client(deadline=5))]
    """

    # `async`, or FastAPI would run it in a thread.
    async def dependency(request: Request) -> ThriveClient:
        return client_of(request, deadline=deadline)

    return dependency


def tenant_client(
    tenant_of: Callable[..., Any], *, deadline: float | None = None
) -> Callable[..., Awaitable[ThriveClient]]:
    """Return a dependency: the client of a tenant from the application's `ThrivePool`.

    Args:
        tenant_of: A dependency that returns the tenant id. Take it from your session, and not from what the browser
            sends.
        deadline: The seconds that each call may take, retries included.

    Example:
        Thrive = Annotated[ThriveClient, Depends(tenant_client(tenant_of_session, deadline=5))]
    """

    async def dependency(request: Request, tenant_id: Annotated[str, Depends(tenant_of)]) -> ThriveClient:
        return await tenant_client_of(request, tenant_id, deadline=deadline)

    return dependency
