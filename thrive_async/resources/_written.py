"""Writes whose reply is the thing written: if the reply does not hold it, it is read.

Thrive may confirm a write with a bare 204, or with `{"status", "message"}`. The write is done all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

import attrs

from thrive_async._base.problems import Problems
from thrive_async._base.unset import UNSET
from thrive_async._generated.operations import Operation
from thrive_async._http.request import Reply
from thrive_async.config import Timeouts
from thrive_async.errors import ResultUnknown, ThriveError
from thrive_async.resources._base import Resource, read_reply
from thrive_async.resources._models import models

T = TypeVar("T")

Again = Callable[[str | None, Timeouts], Awaitable[T | None]]
"""Reads what was written, by the id that the reply names, if it does, within some time limits; None if it cannot."""


class WritingResource(Resource):
    """A group of operations of which some write."""

    async def _write(
        self,
        operation: Operation,
        cls: type[T],
        again: Again[T],
        *,
        path: Mapping[str, str] = {},
        body: object = UNSET,
        timeouts: Timeouts | None = None,
    ) -> T:
        """Make a write and return the thing written, from the reply or by reading it.

        Raises:
            ResultUnknown: The write was done, and the thing written is neither in the reply nor could it be read.
        """
        began = asyncio.get_running_loop().time()
        reply = await self._send(operation, path=path, body=body, timeouts=timeouts)
        return await self._result(operation, cls, again, reply, self._left(timeouts, began))

    async def _result(self, operation: Operation, cls: type[T], again: Again[T], reply: Reply, timeouts: Timeouts) -> T:
        fields = record(reply.value)
        named = fields.get("id")
        known_id = str(named) if isinstance(named, str | int) and named not in ("", True, False) else None
        # An id alone, perhaps beside a status and a message, is no more than the name of the thing.
        if known_id is not None and not _others(cast("Any", cls)).isdisjoint(fields):
            return read_reply(operation, cls, reply, self._transport.problems)
        reading: ThriveError | None = None
        try:
            found = await again(known_id, timeouts)
        except ThriveError as error:
            found, reading = None, error
        if found is not None:
            return found
        if known_id is not None:
            return read_reply(operation, cls, reply, self._transport.problems)
        why = "it could not be found by reading" if reading is None else f"reading it failed: {reading}"
        text = f"done (status {reply.status}), but the reply does not hold the result, and {why}"
        unknown = ResultUnknown(text, operation=operation.id, body=reply.body, status=reply.status, reading=reading)
        unknown.came_with(reply.info)
        raise unknown

    def _left(self, timeouts: Timeouts | None, began: float) -> Timeouts:
        """Return the time limits of a call that goes on since then."""
        timeouts = self._transport.time_limits(timeouts)
        if timeouts.total is None:
            return timeouts
        spent = asyncio.get_running_loop().time() - began
        return attrs.evolve(timeouts, total=max(timeouts.total - spent, 0.001))


def record(value: object) -> Mapping[str, Any]:
    """Return a decoded JSON object; an empty one for any other value."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


@cache
def _others(cls: Any) -> frozenset[str]:
    """The fields of a model but its id, as JSON has them."""
    return frozenset(field.metadata.get("json", field.name) for field in attrs.fields(cls)) - {"id"}


def acknowledgement(operation: Operation, reply: Reply, problems: Problems) -> models.Acknowledgement:
    """Read what Thrive said about a write; whatever came, it was done."""
    if not isinstance(reply.value, dict):
        words = reply.value if isinstance(reply.value, str) else None
        return models.Acknowledgement(status=reply.status, message=words)
    said = read_reply(operation, models.Acknowledgement, reply, problems)
    if said.status is None:
        said.status = reply.status
    return said


def member_operation(operation: Operation, reply: Reply, problems: Problems) -> models.MemberOperationResult:
    """Read the outcome of a batch; if the reply names nobody, that is what the result says (`is_known` False)."""
    parts = {name: record(reply.value).get(name) for name in ("success", "failure")}
    if not any(isinstance(part, dict) for part in parts.values()):
        return models.MemberOperationResult()
    return read_reply(operation, models.MemberOperationResult, reply, problems)
