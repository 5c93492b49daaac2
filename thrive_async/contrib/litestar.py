"""Litestar: a client for the life of the application, errors as answers, webhooks, streams and readiness.

Return models as `user.to_dict()`: Litestar would write attrs classes under their Python names.

Example:
    @get("/people/{ref:str}")
    async def person(ref: FromPath[str], thrive: NamedDependency[ThriveClient]) -> dict[str, Any]:
        return (await thrive.users.get_by_ref(ref)).to_dict()

    app = Litestar(
        route_handlers=[person, webhook_route("/thrive", secrets=SECRET, handlers=HANDLERS)],
        dependencies={"thrive": client(deadline=5)},
        lifespan=[lifespan(ThriveClient.from_env)],
        exception_handlers=error_handlers,
    )
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, TypeVar, Unpack, cast

try:
    from litestar import Litestar, Request, Response, get, post
    from litestar.di import Provide
    from litestar.exceptions import NotFoundException
    from litestar.handlers import HTTPRouteHandler
    from litestar.response import Stream
except ModuleNotFoundError as _error:
    from thrive_async.contrib._missing import needed_by

    raise ModuleNotFoundError(needed_by("litestar"), name=_error.name) from _error

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
    "body_of",
    "client",
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
AnyRequest = Request[Any, Any, Any]
_NEEDS: Final = "pass lifespan=[lifespan(ThriveClient.from_env)] to it"


def lifespan(
    source: Source | None = None, *, grace: float = 10.0
) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens a client or pool with the application and closes it at the end.

    At the end, new webhook deliveries get a 503, syncs in the background are cancelled, and webhook handlers and calls
    under way may finish.

    Args:
        source: A function that returns a `ThriveClient` or a `ThrivePool`, such as `ThriveClient.from_env`, or one of
            them. Either is closed at the end, so a function serves applications that start again, as in tests. None
            for an application that only receives webhooks.
        grace: The seconds that everything together may take to end.

    Example:
        app = Litestar(route_handlers=handlers, lifespan=[lifespan(ThriveClient.from_env)])
    """

    @asynccontextmanager
    async def life(app: Litestar) -> AsyncGenerator[None]:
        async with opened(source, grace) as held:
            app.state[KEY] = held
            yield

    return life


def _held(request: AnyRequest) -> Held:
    return held_by(request.app.state.get(KEY), _NEEDS)


def client_of(request: AnyRequest, *, deadline: float | None = None) -> ThriveClient:
    """Return the application's client.

    Args:
        request: The request.
        deadline: The seconds that each call may take, retries included. A handler is not cancelled when its browser
            leaves, so without a deadline a call may go on for `Timeouts.total`.

    Raises:
        ConfigurationError: The application was not opened with `lifespan`, or with a pool.
    """
    return _held(request).client(deadline)


async def tenant_client_of(request: AnyRequest, tenant_id: str, *, deadline: float | None = None) -> ThriveClient:
    """Return the client of a tenant from the application's `ThrivePool`.

    Args:
        request: The request.
        tenant_id: The tenant. Take it from your session, and not from what the browser sends.
        deadline: The seconds that each call may take, retries included.

    Raises:
        ConfigurationError: The application was not opened with a pool, or the tenant's credentials cannot work.
    """
    return await _held(request).tenant_client(tenant_id, deadline)


def client(*, deadline: float | None = None) -> Provide:
    """Return a dependency: the application's client.

    Args:
        deadline: The seconds that each call may take, retries included.

    Example:
        app = Litestar(route_handlers=handlers, dependencies={"thrive": client(deadline=5)})
    """

    async def dependency(request: AnyRequest) -> ThriveClient:
        return client_of(request, deadline=deadline)

    return Provide(dependency)


async def body_of(request: AnyRequest, model: type[M]) -> M:
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


def runs_of(request: AnyRequest) -> SyncRuns:
    """Return the syncs that the application has started in the background, to start or watch one."""
    return _held(request).runs


def _answered(request: AnyRequest, error: Exception) -> Response[Mapping[str, object]]:
    del request
    answer = answer_to(cast("ThriveError", error))
    return Response(answer.body, status_code=answer.status, headers=answer.headers, media_type="application/json")


def _gone(request: AnyRequest, error: Exception) -> Response[bytes]:
    del request, error
    return Response(b"", status_code=499)  # read by no one


error_handlers: Final[dict[int | type[Exception], Any]] = {ThriveError: _answered, BrowserLeft: _gone}
"""For `exception_handlers=`: errors of the SDK become answers in words of our own, never Thrive's."""


def webhook_route(
    path: str, *, secrets: str | Sequence[str], handlers: Mapping[str, Handler], **options: Unpack[WebhookOptions]
) -> HTTPRouteHandler:
    """Return a route that receives Thrive's webhooks: verified, once each, answered at once and handled afterwards.

    A handler takes the event, as an async or a plain function; a plain one must not block. If it raises, this is
    counted and logged, and the event is not sent again. Events that may not be lost belong into a queue of yours: let
    the handler only put them there.

    Args:
        path: Where Thrive delivers.
        secrets: The secret agreed on with Thrive's support. While you replace it, the new and the old one.
        handlers: The handler of each event type, such as `{"content.completed": completed}`.
        **options: See `WebhookOptions`.

    Returns:
        The route. Its `opt["counts"]` is a `WebhookCounts`.

    Raises:
        ConfigurationError: A secret is empty, a handler is not a function, or an option makes no sense.

    Example:
        route_handlers = [webhook_route("/thrive", secrets=SECRET, handlers={"content.completed": completed})]
    """
    concealed = hidden(secrets)
    del secrets
    inbox = Inbox(path, secrets=concealed, handlers=handlers, **options)

    # No limit of Litestar's: the inbox has its own, and reads no further.
    @post(path, include_in_schema=False, request_max_body_size=None, opt={"counts": inbox.counts})
    async def deliver(request: AnyRequest) -> Response[bytes]:
        _held(request).admit(inbox)
        length, signature = request.headers.get("content-length"), request.headers.get(SIGNATURE_HEADER)
        verdict = await inbox.receive(request.stream(), length, signature)
        return Response(b"", status_code=verdict.status, headers=dict(verdict.headers))

    return deliver


def ready_route(path: str = "/ready", *, call: bool = True, deadline: float = 2.0) -> HTTPRouteHandler:
    """Return a route that answers 200 if the application can serve, else 503.

    Args:
        path: The path.
        call: Also ask Thrive for a small list, at most once in ten seconds. Not done with a pool.
        deadline: The seconds that Thrive may take to answer.
    """

    @get(path, include_in_schema=False)
    async def ready(request: AnyRequest) -> Response[Mapping[str, object]]:
        problem = await _held(request).problem(call=call, deadline=deadline)
        return Response({"ready": problem is None, "detail": problem}, status_code=200 if problem is None else 503)

    return ready


async def ndjson_response(items: Paginator[Any], *, fields: Sequence[str] | None = None) -> Stream:
    """Return a list as lines of JSON, read from Thrive no faster than the browser takes it.

    The last line says whether the list was whole: `{"end": {"whole": true, "items": 1000}}`. An error on the first page
    is raised, and so answered with its status; a later one ends the list with `"whole": false`.

    Args:
        items: The list, such as `thrive.users.list()`.
        fields: The fields of each line, in Thrive's names, with dots into nested objects. By default all.

    Raises:
        ThriveError: The first page could not be read.
    """
    return Stream(await ndjson_chunks(items, fields), media_type=NDJSON)


async def csv_response(items: Paginator[Any], *, columns: Sequence[str], filename: str = "thrive.csv") -> Stream:
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
    return Stream(await csv_chunks(items, columns), media_type=CSV, headers=headers)


def event_stream(run: SyncRun | None) -> Stream:
    """Return the progress of a sync as Server-Sent Events: `progress`, then `report`, `error` or `cancelled`.

    Leaving ends the watching, and not the sync.

    Args:
        run: What `SyncRuns.start` or `SyncRuns.get` returned.

    Raises:
        NotFoundException: There is no such run in this process.
    """
    if run is None:
        raise NotFoundException
    return Stream(sent_events(run), media_type=EVENTS, headers={"Cache-Control": "no-store"})


async def while_connected(request: AnyRequest, awaitable: Awaitable[T]) -> T:
    """Await something as long as the browser is there, and cancel it when the browser leaves.

    Read the body of the request first: from here on it is lost.

    Args:
        request: The request.
        awaitable: What the browser asked for, such as a call.

    Raises:
        BrowserLeft: The browser left. `error_handlers` covers it.

    Example:
        user = await while_connected(request, thrive.users.get_by_ref(ref))
    """
    return await until_left(request.receive, awaitable)
