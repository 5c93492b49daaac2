"""aiohttp.web: a client for the life of the application, errors as answers, webhooks, streams and readiness.

Run the application with `handler_cancellation=True`: then a handler, and its calls, are cancelled when the browser
leaves.

Example:
    async def person(request: web.Request) -> web.Response:
        user = await client_of(request, deadline=5).users.get_by_ref(request.match_info["ref"])
        return web.json_response(user.to_dict())

    app = web.Application(middlewares=[error_middleware])
    app.cleanup_ctx.append(lifespan(ThriveClient.from_env))
    app.add_routes([
        web.get("/people/{ref}", person),
        webhook_route("/thrive", secrets=SECRET, handlers=HANDLERS),
    ])
    web.run_app(app, handler_cancellation=True)
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Unpack

from aiohttp import web

from thrive_async.client import ThriveClient
from thrive_async.contrib._answers import answer_to
from thrive_async.contrib._bodies import M, model_of
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
    "error_middleware",
    "event_stream",
    "lifespan",
    "ndjson_response",
    "ready_route",
    "runs_of",
    "tenant_client_of",
    "webhook_route",
]

_HELD: Final = web.AppKey(KEY, Held)
_NEEDS: Final = "app.cleanup_ctx.append(lifespan(ThriveClient.from_env))"


def lifespan(source: Source | None = None, *, grace: float = 10.0) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that opens a client or pool with the application and closes it at the end.

    At the end, new webhook deliveries get a 503, syncs in the background are cancelled, and webhook handlers and calls
    under way may finish.

    Args:
        source: A function that returns a `ThriveClient` or a `ThrivePool`, such as `ThriveClient.from_env`, or one of
            them. Either is closed at the end. None for an application that only receives webhooks.
        grace: The seconds that everything together may take to end.

    Example:
        app.cleanup_ctx.append(lifespan(ThriveClient.from_env))
    """

    async def life(app: web.Application) -> AsyncIterator[None]:
        async with opened(source, grace) as held:
            app[_HELD] = held
            yield

    return life


def _held(request: web.Request) -> Held:
    return held_by(request.config_dict.get(_HELD), _NEEDS)


def client_of(request: web.Request, *, deadline: float | None = None) -> ThriveClient:
    """Return the application's client.

    Args:
        request: The request.
        deadline: The seconds that each call may take, retries included. Without `handler_cancellation=True` a handler
            is not cancelled when its browser leaves, so a call may go on for `Timeouts.total`.

    Raises:
        ConfigurationError: The application was not opened with `lifespan`, or with a pool.
    """
    return _held(request).client(deadline)


async def tenant_client_of(request: web.Request, tenant_id: str, *, deadline: float | None = None) -> ThriveClient:
    """Return the client of a tenant from the application's `ThrivePool`.

    Args:
        request: The request.
        tenant_id: The tenant. Take it from your session, and not from what the browser sends.
        deadline: The seconds that each call may take, retries included.

    Raises:
        ConfigurationError: The application was not opened with a pool, or the tenant's credentials cannot work.
    """
    return await _held(request).tenant_client(tenant_id, deadline)


async def body_of(request: web.Request, model: type[M]) -> M:
    """Read the body of a request as a model. What is left out stays UNSET, and null clears a field.

    Args:
        request: The request.
        model: A request model, such as `UserUpdate`.

    Raises:
        InvalidArgument: The body is not JSON, has an unknown field, or a wrong value: a 422 that names the place.

    Example:
        change = await body_of(request, UserUpdate)
    """
    return model_of(await request.read(), model)


def runs_of(request: web.Request) -> SyncRuns:
    """Return the syncs that the application has started in the background, to start or watch one."""
    return _held(request).runs


@web.middleware
async def error_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer errors of the SDK in words of our own, never Thrive's.

    Example:
        app = web.Application(middlewares=[error_middleware])
    """
    try:
        return await handler(request)
    except ThriveError as error:
        answer = answer_to(error)
    return web.json_response(answer.body, status=answer.status, headers=answer.headers)


class WebhookRoute(web.AbstractRouteDef):
    """What `webhook_route` returns, for `app.add_routes([...])`.

    Attributes:
        counts: What has become of the deliveries, in this process.
    """

    def __init__(self, path: str, inbox: Inbox) -> None:
        self._path, self._inbox = path, inbox
        self.counts: WebhookCounts = inbox.counts

    def register(self, router: web.UrlDispatcher) -> list[web.AbstractRoute]:
        """Add the route to a router. `app.add_routes` calls this."""
        return [router.add_post(self._path, self._deliver)]

    async def _deliver(self, request: web.Request) -> web.Response:
        _held(request).admit(self._inbox)
        chunks = request.content.iter_any()
        length = request.headers.get("Content-Length")
        verdict = await self._inbox.receive(chunks, length, request.headers.get(SIGNATURE_HEADER))
        response = web.Response(status=verdict.status, headers=verdict.headers)
        if verdict.status == 413:
            response.force_close()  # or aiohttp would read the rest
        return response


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
        app.add_routes([webhook_route("/thrive", secrets=SECRET, handlers={"content.completed": completed})])
    """
    concealed = hidden(secrets)
    del secrets
    return WebhookRoute(path, Inbox(path, secrets=concealed, handlers=handlers, **options))


def ready_route(path: str = "/ready", *, call: bool = True, deadline: float = 2.0) -> web.RouteDef:
    """Return a route that answers 200 if the application can serve, else 503.

    Args:
        path: The path.
        call: Also ask Thrive for a small list, at most once in ten seconds. Not done with a pool.
        deadline: The seconds that Thrive may take to answer.
    """

    async def ready(request: web.Request) -> web.Response:
        problem = await _held(request).problem(call=call, deadline=deadline)
        return web.json_response({"ready": problem is None, "detail": problem}, status=200 if problem is None else 503)

    return web.get(path, ready)


async def ndjson_response(
    request: web.Request, items: Paginator[Any], *, fields: Sequence[str] | None = None
) -> web.StreamResponse:
    """Answer with a list as lines of JSON, read from Thrive no faster than the browser takes it.

    The last line says whether the list was whole: `{"end": {"whole": true, "items": 1000}}`. An error on the first page
    is raised, and so answered with its status; a later one ends the list with `"whole": false`.

    Args:
        request: The request.
        items: The list, such as `thrive.users.list()`.
        fields: The fields of each line, in Thrive's names, with dots into nested objects. By default all.

    Raises:
        ThriveError: The first page could not be read.
    """
    return await _streamed(request, await ndjson_chunks(items, fields), {"Content-Type": NDJSON})


async def csv_response(
    request: web.Request, items: Paginator[Any], *, columns: Sequence[str], filename: str = "thrive.csv"
) -> web.StreamResponse:
    """Answer with a list as CSV, read from Thrive no faster than the browser takes it.

    Text that a spreadsheet would compute gets an apostrophe before it. The last row says whether the list was whole:
    `# whole: 1000 rows`. An error on the first page is raised, and so answered with its status; a later one ends the
    list with `# cut short after 500 rows`.

    Args:
        request: The request.
        items: The list, such as `thrive.users.list()`.
        columns: The columns, in Thrive's names, with dots into nested objects.
        filename: Under which a browser saves it: letters, digits, `.`, `-` and `_`.

    Raises:
        InvalidArgument: There are no columns, or the file cannot have this name.
        ThriveError: The first page could not be read.
    """
    headers = {"Content-Type": CSV, **attachment(filename)}
    return await _streamed(request, await csv_chunks(items, columns), headers)


async def event_stream(request: web.Request, run: SyncRun | None) -> web.StreamResponse:
    """Answer with the progress of a sync as Server-Sent Events: `progress`, then `report`, `error` or `cancelled`.

    Leaving ends the watching, and not the sync.

    Args:
        request: The request.
        run: What `SyncRuns.start` or `SyncRuns.get` returned.

    Raises:
        HTTPNotFound: There is no such run in this process.
    """
    if run is None:
        raise web.HTTPNotFound
    return await _streamed(request, sent_events(run), {"Content-Type": EVENTS, "Cache-Control": "no-store"})


async def _streamed(
    request: web.Request, chunks: AsyncGenerator[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    async with aclosing(chunks):
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response
