"""What every resource does the same way: send, read into models, list."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeVar

from thrive_async._base.unset import UNSET
from thrive_async._generated.operations import Operation
from thrive_async._http.request import Reply, build
from thrive_async._http.transport import Transport
from thrive_async._wire import convert
from thrive_async.config import Timeouts
from thrive_async.errors import DecodeError
from thrive_async.pagination import Paginator
from thrive_async.resources._checks import whole
from thrive_async.resources._models import models

T = TypeVar("T")

_NO_ARGUMENTS: Final[Mapping[str, Any]] = {}


class Resource:
    """A group of operations over the client's transport; has no I/O of its own."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def _send(
        self,
        operation: Operation,
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        body: object = UNSET,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """Make a call whose reply is looked at by the caller, or not at all."""
        if body is not UNSET:
            _check_body(operation, body)
        return await self._transport.send(build(operation, path=path, query=query, body=body), timeouts)

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
        """Make a call whose reply is one model."""
        if body is not UNSET:
            _check_body(operation, body)
        reply = await self._transport.send(build(operation, path=path, query=query, body=body), timeouts)
        return read_reply(operation, cls, reply)

    async def _read_list(
        self,
        operation: Operation,
        cls: type[T],
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        timeouts: Timeouts | None = None,
    ) -> list[T]:
        """Make a call whose reply is an array of models, not paged."""
        return await self._list(operation, cls, path=path, query=query, timeouts=timeouts).collect()

    def _list(
        self,
        operation: Operation,
        cls: type[T],
        *,
        path: Mapping[str, str] = _NO_ARGUMENTS,
        query: Mapping[str, object] = _NO_ARGUMENTS,
        per_page: int | None = None,
        prefetch: int = 4,
        timeouts: Timeouts | None = None,
    ) -> Paginator[T]:
        """Prepare a walk over a list; nothing is sent before it begins.

        Raises:
            TypeError: A value of a type that its parameter cannot take.
            ValueError: `per_page` or `prefetch` is no whole number of its range, a datetime is naive, a name in the
                path empty.
        """
        if per_page is None:
            per_page = operation.per_page
        else:
            whole("per_page", per_page, 1, operation.per_page)
        whole("prefetch", prefetch, 1)
        # What cannot be meant shows where it was written, and not where the first page is asked for.
        request = build(operation, path=path, query=query)
        timeouts = self._transport.time_limits(timeouts)
        send = self._transport.send

        async def fetch(number: int, size: int | None, wanted: asyncio.Event | None) -> Reply:
            return await send(request if size is None else request.page(number, size), timeouts, wanted=wanted)

        return Paginator(
            fetch,
            partial(convert.read_list, cls),
            operation=operation.id,
            per_page=per_page,
            prefetch=prefetch,
        )


def _check_body(operation: Operation, body: object) -> None:
    """Refuse what is not the model that an operation takes; lists have been checked by `batch`.

    Above all a model that was read: written back, all that Thrive left out would be null, which clears it.

    Raises:
        TypeError: It is something else.
    """
    wanted = operation.body_model
    if wanted is None or isinstance(body, getattr(models, wanted)):
        return
    raise TypeError(f"{operation.id} takes a thrive_async.models.{wanted}, not a {type(body).__name__}")


def read_reply(operation: Operation, cls: type[T], reply: Reply) -> T:
    """Read a whole reply into one model.

    Raises:
        DecodeError: The reply is not what the specification says.
    """
    try:
        return convert.read(cls, reply.value)
    except DecodeError as error:
        error.operation = operation.id
        error.body = reply.body
        raise
