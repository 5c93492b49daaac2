"""Starlette: a client for the life of the application, errors as answers, webhooks, streams and readiness.

Example:
    async def person(request: Request) -> Response:
        user = await client_of(request, deadline=5).users.get_by_ref(request.path_params["ref"])
        return JSONResponse(user.to_dict())

    app = Starlette(
        routes=[Route("/people/{ref}", person), webhook_route("/thrive", secrets=SECRET, handlers=HANDLERS)],
        lifespan=lifespan(ThriveClient.from_env),
        exception_handlers=error_handlers,
    )
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar, Unpack, cast

try:
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, HTTPConnection, Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route
except ModuleNotFoundError as _error:
    from thrive_async.contrib._missing import needed_by

    raise ModuleNotFoundError(needed_by("starlette"), name=_error.name) from _error

from thrive_async.client import ThriveClient
from thrive_async.contrib._answers import answer_to
from thrive_async.contrib._bodies import M, model_of
from thrive_async.contrib._leaving import BrowserLeft, until_left
from thrive_async.contrib._lifetime import KEY, Held, Source, held_by, opened
from thrive_async.contrib._streams import (
    CSV,
    EVENTS,
    NDJSON,
    SyncRun,
    SyncRuns,
    attachment,
    csv_chunks,
    ndjson_chunks,
    sent_events,
)
from thrive_async.contrib._webhooks import Handler, Inbox, WebhookCounts, WebhookOptions, hidden
from thrive_async.errors import ThriveError
from thrive_async.pagination import Paginator
from thrive_async.webhooks import SIGNATURE_HEADER

__all__ = [
    "SyncRun",
    "SyncRuns",
    "WebhookCounts",
    "WebhookOptions",
    "WebhookRoute",
    "body_of",
    "client_of",
    "csv_response",
    "error_handlers",
    "event_stream",
    "lifespan",
    "ndjson_response",
    "ready_route",
    "runs_of",
    "tenant_client_of",
    "webhook_route",
    "while_connected",
]

T = TypeVar("T")
_NEEDS: Final = "pass lifespan=lifespan(ThriveClient.from_env) to it, or enter lifespan(...)(app) in your own"


def lifespan(
    source: Source | None = None, *, grace: float = 10.0
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan that opens a client or pool with the application and closes it at the end.

    At the end, new webhook deliveries get a 503, syncs in the background are cancelled, and webhook handlers and calls
    under way may finish.

    Args:
        source: A function that returns a `ThriveClient` or a `ThrivePool`, such as `ThriveClient.from_env`, or one of
            them. Either is closed at the end, so a function serves applications that start again, as in tests. None
            for an application that only receives webhooks.
        grace: The seconds that everything together may take to end.

    Example:
        app = Starlette(routes=routes, lifespan=lifespan(ThriveClient.from_env))
    """

    @asynccontextmanager
    async def life(app: Starlette) -> AsyncGenerator[Mapping[str, Any]]:
        async with opened(source, grace) as held:
            setattr(app.state, KEY, held)
            yield {KEY: held}

    return life


def _held(connection: HTTPConnection) -> Held:
    # The state of the lifespan reaches mounted applications as well; the other one, those with a lifespan of their own.
    state = cast("Mapping[str, Any]", connection.scope.get("state") or {})
    return held_by(state.get(KEY) or getattr(connection.app.state, KEY, None), _NEEDS)


def client_of(request: HTTPConnection, *, deadline: float | None = None) -> ThriveClient:
    """Return the application's client.

    Args:
        request: The request.
        deadline: The seconds that each call may take, retries included. A plain handler is not cancelled when its
            browser leaves, so without a deadline a call may go on for `Timeouts.total`.

    Raises:
        ConfigurationError: The application was not opened with `lifespan`, or with a pool.
    """
    return _held(request).client(deadline)


async def tenant_client_of(request: HTTPConnection, tenant_id: str, *, deadline: float | None = None) -> ThriveClient:
    """Return the client of a tenant from the application's `ThrivePool`.

    Args:
        request: The request.
        tenant_id: The tenant. Take it from your session, and not from what the browser sends.
        deadline: The seconds that each call may take, retries included.

    Raises:
        ConfigurationError: The application was not opened with a pool, or the tenant's credentials cannot work.
    """
    return await _held(request).tenant_client(tenant_id, deadline)


async def body_of(request: Request, model: type[M]) -> M:
    """Read the body of a request as a model. What is left out stays UNSET, and null clears a field.

    Args:
        request: The request.
        model: A request model, such as `UserUpdate`.

    Raises:
        InvalidArgument: The body is not JSON, has an unknown field, or a wrong value: a 422 that names the place.

    Example:
        change = await body_of(request, UserUpdate)
    """
    return model_of(await request.body(), model)


def runs_of(request: Request) -> SyncRuns:
    """Return the syncs that the application has started in the background, to start or watch one."""
    return _held(request).runs


async def _answered(request: Request, error: Exception) -> Response:
    del request
    answer = answer_to(cast("ThriveError", error))
    return JSONResponse(answer.body, answer.status, answer.headers)


async def _gone(request: Request, error: Exception) -> Response:
    del request, error
    return Response(status_code=499)  # read by no one


error_handlers: Final[dict[int | type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    ThriveError: _answered,
    ClientDisconnect: _gone,
}
"""For `exception_handlers=`: errors of the SDK become answers in words of our own, never Thrive's."""


class WebhookRoute(Route):
    """What `webhook_route` returns.

    Attributes:
        counts: What has become of the deliveries, in this process.
    """

    def __init__(self, path: str, inbox: Inbox) -> None:
        async def deliver(request: Request) -> Response:
            _held(request).admit(inbox)
            length = request.headers.get("content-length")
            try:
                verdict = await inbox.receive(request.stream(), length, request.headers.get(SIGNATURE_HEADER))
            except ClientDisconnect:
                return Response(status_code=400)  # the sender left before the end, and sends it again
            return Response(status_code=verdict.status, headers=verdict.headers)

        super().__init__(path, deliver, methods=["POST"], include_in_schema=False)
        self.counts: WebhookCounts = inbox.counts


def webhook_route(
    path: str, *, secrets: str | Sequence[str], handlers: Mapping[str, Handler], **options: Unpack[WebhookOptions]
) -> WebhookRoute:
    """Return a route that receives Thrive's webhooks: verified, once each, answered at once and handled afterwards.

    A handler takes the event, as an async or a plain function; a plain one must not block. If it raises, this is
    counted and logged, and the event is not sent again. Events that may not be lost belong into a queue of yours: let
    the handler only put them there.

    Args:
        path: Where Thrive delivers.
        secrets: The secret agreed on with Thrive's support. While you replace it, the new and the old one.
        handlers: The handler of each event type, such as `{"content.completed": completed}`.
        **options: See `WebhookOptions`.

    Raises:
        ConfigurationError: A secret is empty, a handler is not a function, or an option makes no sense.

    Example:
        routes = [webhook_route("/thrive", secrets=SECRET, handlers={"content.completed": completed})]
    """
    concealed = hidden(secrets)
    del secrets
    return WebhookRoute(path, Inbox(path, secrets=concealed, handlers=handlers, **options))


def ready_route(path: str = "/ready", *, call: bool = True, deadline: float = 2.0) -> Route:
    """Return a route that answers 200 if the application can serve, else 503.

    Args:
        path: The path.
        call: Also ask Thrive for a small list, at most once in ten seconds. Not done with a pool.
        deadline: The seconds that Thrive may take to answer.
    """

    async def ready(request: Request) -> Response:
        problem = await _held(request).problem(call=call, deadline=deadline)
        return JSONResponse({"ready": problem is None, "detail": problem}, 200 if problem is None else 503)

    return Route(path, ready, methods=["GET"], include_in_schema=False)


async def ndjson_response(items: Paginator[Any], *, fields: Sequence[str] | None = None) -> StreamingResponse:
    """Return a list as lines of JSON, read from Thrive no faster than the browser takes it.

    The last line says whether the list was whole: `{"end": {"whole": true, "items": 1000}}`. An error on the first page
    is raised, and so answered with its status; a later one ends the list with `"whole": false`.

    Args:
        items: The list, such as `thrive.users.list()`.
        fields: The fields of each line, in Thrive's names, with dots into nested objects. By default all.

    Raises:
        ThriveError: The first page could not be read.
    """
    return StreamingResponse(await ndjson_chunks(items, fields), media_type=NDJSON)


async def csv_response(
    items: Paginator[Any], *, columns: Sequence[str], filename: str = "thrive.csv"
) -> StreamingResponse:
    """Return a list as CSV, read from Thrive no faster than the browser takes it.

    Text that a spreadsheet would compute gets an apostrophe before it. The last row says whether the list was whole:
    `# whole: 1000 rows`. An error on the first page is raised, and so answered with its status; a later one ends the
    list with `# cut short after 500 rows`.

    Args:
        items: The list, such as `thrive.users.list()`.
        columns: The columns, in Thrive's names, with dots into nested objects.
        filename: Under which a browser saves it: letters, digits, `.`, `-` and `_`.

    Raises:
        InvalidArgument: There are no columns, or the file cannot have this name.
        ThriveError: The first page could not be read.
    """
    headers = attachment(filename)
    return StreamingResponse(await csv_chunks(items, columns), media_type=CSV, headers=headers)


def event_stream(run: SyncRun | None) -> StreamingResponse:
    """Return the progress of a sync as Server-Sent Events: `progress`, then `report`, `error` or `cancelled`.

    Leaving ends the watching, and not the sync.

    Args:
        run: What `SyncRuns.start` or `SyncRuns.get` returned.

    Raises:
        HTTPException: 404, if there is no such run in this process.
    """
    if run is None:
        raise HTTPException(404)
    return StreamingResponse(sent_events(run), media_type=EVENTS, headers={"Cache-Control": "no-store"})


async def while_connected(request: Request, awaitable: Awaitable[T]) -> T:
    """Await something as long as the browser is there, and cancel it when the browser leaves.

    Read the body of the request first: from here on it is lost.

    Args:
        request: The request.
        awaitable: What the browser asked for, such as a call.

    Raises:
        ClientDisconnect: The browser left. `error_handlers` covers it.

    Example:
        user = await while_connected(request, thrive.users.get_by_ref(ref))
    """
    try:
        return await until_left(request.receive, awaitable)
    except BrowserLeft:
        raise ClientDisconnect from None
