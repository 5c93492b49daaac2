"""What all resources share: send a call, read its reply into models, and list."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import orjson

from thrive_async._base.arguments import argument
from thrive_async._base.problems import Problems
from thrive_async._base.replies import remember_reply
from thrive_async._base.unset import UNSET
from thrive_async._generated.operations import Operation
from thrive_async._http.request import Reply, build
from thrive_async._http.view import Sender
from thrive_async._wire import convert
from thrive_async.config import Timeouts
from thrive_async.errors import DecodeError
from thrive_async.pagination import PageSizes, Paginator
from thrive_async.resources import _models as models
from thrive_async.resources._checks import strings, whole

T = TypeVar("T")

_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}
_PAGING: Final = frozenset({"page", "perPage", "limit"})


class Resource:
    """A group of operations that use the client's transport."""

    def __init__(self, transport: Sender) -> None:
        self._transport = transport
        # By operation and page size: views with a size of their own learn apart from the client, but together.
        self._page_sizes: dict[tuple[str, int | None], PageSizes] = {}

    def _send(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        body: object = UNSET,
        timeouts: Timeouts | None = None,
        decode: Callable[[bytes], Any] = orjson.loads,
    ) -> Coroutine[Any, Any, Reply]:
        """Make a call; await it for the raw reply."""
        if body is not UNSET:
            check_body(operation, body)
        return self._transport.send(build(operation, path=path, query=query, body=body, decode=decode), timeouts)

    async def _read(
        self,
        operation: Operation,
        cls: type[T],
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        body: object = UNSET,
        timeouts: Timeouts | None = None,
    ) -> T:
        """Make a call and read its reply into a model."""
        decode = convert.decoder(cls)
        reply = await self._send(operation, path=path, query=query, body=body, timeouts=timeouts, decode=decode)
        return read_reply(operation, cls, reply, self._transport.problems)

    def _list(self, operation: Operation, cls: type[T], given: Mapping[str, Any]) -> Paginator[T]:
        """Make the paginator of a list. It sends nothing until you read it.

        Args:
            operation: The operation.
            cls: The model of an item.
            given: The arguments of the public method, as returned by `locals()`. The operation knows which of them
                belong in the path and which in the query.

        Raises:
            TypeError: A value has a type that its parameter does not accept.
            InvalidArgument: `per_page` or `prefetch` is not a whole number in its range, a datetime is naive, or a
                path parameter or filter is empty.
        """
        per_page: int | None = given.get("per_page")
        prefetch: int = given.get("prefetch", 1)
        if per_page is not None:
            whole("per_page", per_page, 1, operation.per_page)
        whole("prefetch", prefetch, 1)
        path = {wire: given[argument(operation.resource, wire)] for wire in operation.path_parameters}
        query: dict[str, object] = {}
        for wire, kind in operation.query.items():
            if wire not in _PAGING:
                name = argument(operation.resource, wire)
                query[wire] = strings(name, given[name]) if kind == "list" else given[name]
        # Check arguments now, so that a wrong one raises where you pass it and not when you read the first page.
        request = build(operation, path=path, query=query, decode=convert.page_decoder(cls))
        timeouts = self._transport.time_limits(given["timeouts"])
        send = self._transport.send

        async def fetch(number: int, size: int | None, wanted: asyncio.Event | None) -> Reply:
            return await send(request if size is None else request.page(number, size), timeouts, wanted=wanted)

        return Paginator(
            fetch,
            partial(convert.read_list, cls),
            operation=operation.id,
            per_page=per_page,
            prefetch=prefetch,
            problems=self._transport.problems,
            sizes=self._sizes_of(operation),
        )

    def _sizes_of(self, operation: Operation) -> PageSizes:
        most, wanted = operation.per_page, self._transport.limits.per_page
        size = most if most is None or wanted is None else min(most, wanted)
        sizes = self._page_sizes.get((operation.id, size))
        if sizes is None:
            sizes = self._page_sizes[operation.id, size] = PageSizes(size)
        return sizes


R = TypeVar("R")


def through(resource: R, transport: Sender) -> R:
    """Return a resource, and what hangs on it, that sends through another transport."""
    view = object.__new__(type(resource))
    attributes = vars(view)
    attributes.update(vars(resource), _transport=transport)
    for name, value in attributes.items():
        if isinstance(value, Resource):
            attributes[name] = through(value, transport)
    return view


def check_body(operation: Operation, body: object) -> None:
    """Refuse a body that is not the operation's model. `batch` checks lists.

    This matters most for a model you have read: writing it back would send null for every field that Thrive left out,
    and so clear the field.

    Raises:
        TypeError: The body is not the operation's model.
    """
    wanted = operation.body_model
    if wanted is None or isinstance(body, getattr(models, wanted)):
        return
    raise TypeError(f"{operation.id} takes a thrive_async.models.{wanted}, not a {type(body).__name__}")


def read_reply(operation: Operation, cls: type[T], reply: Reply, problems: Problems) -> T:
    """Read a whole reply into one model. Values that do not match the specification go to `problems`.

    Raises:
        DecodeError: The reply does not fit the specification.
    """
    found = problems.found()
    try:
        model = convert.read(cls, reply.value, found)
    except DecodeError as error:
        error.operation = operation.id
        error.body = reply.body
        error.came_with(reply.info)
        raise
    remember_reply(model, reply.status, reply.headers, reply.attempts)
    if found:
        problems.add(found, operation.id, "$")
    return model
