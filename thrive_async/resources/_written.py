"""Writes that return the record they wrote: if the reply does not hold it, the SDK reads it.

Thrive may confirm a write with an empty 204 or with `{"status", "message"}`. The write is still done.
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
from thrive_async.resources import _models as models
from thrive_async.resources._base import Resource, read_reply

T = TypeVar("T")

Again = Callable[[str | None, Timeouts], Awaitable[T | None]]
"""Reads the written record within the time limits, by the id in the reply if there is one. None if not found."""


class WritingResource(Resource):
    """A group of operations that includes writes."""

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
        """Make a write and return the written record, from the reply or by reading it.

        Raises:
            ResultUnknown: The write is done, but the reply does not hold the record and reading it failed.
        """
        began = asyncio.get_running_loop().time()
        reply = await self._send(operation, path=path, body=body, timeouts=timeouts)
        return await self._result(operation, cls, again, reply, self._left(timeouts, began))

    async def _result(self, operation: Operation, cls: type[T], again: Again[T], reply: Reply, timeouts: Timeouts) -> T:
        fields = record(reply.value)
        named = fields.get("id")
        known_id = str(named) if isinstance(named, str | int) and named not in ("", True, False) else None
        # An id, perhaps with a status and a message, is not yet the record.
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
        """Return the time limits that remain for a call begun at this time."""
        timeouts = self._transport.time_limits(timeouts)
        if timeouts.total is None:
            return timeouts
        spent = asyncio.get_running_loop().time() - began
        return attrs.evolve(timeouts, total=max(timeouts.total - spent, 0.001))


def record(value: object) -> Mapping[str, Any]:
    """Return the value if it is a JSON object, or else an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


@cache
def _others(cls: Any) -> frozenset[str]:
    """Return the JSON names of a model's fields, except its id."""
    return frozenset(field.metadata.get("json", field.name) for field in attrs.fields(cls)) - {"id"}


def acknowledgement(operation: Operation, reply: Reply, problems: Problems) -> models.Acknowledgement:
    """Read Thrive's answer to a write. The write is done, whatever the answer holds."""
    if not isinstance(reply.value, dict):
        words = reply.value if isinstance(reply.value, str) else None
        return models.Acknowledgement(status=reply.status, message=words)
    said = read_reply(operation, models.Acknowledgement, reply, problems)
    if said.status is None:
        said.status = reply.status
    return said


def member_operation(operation: Operation, reply: Reply, problems: Problems) -> models.MemberOperationResult:
    """Read the outcome of a batch. If the reply names no users, the result has `is_known` False."""
    parts = {name: record(reply.value).get(name) for name in ("success", "failure")}
    if not any(isinstance(part, dict) for part in parts.values()):
        return models.MemberOperationResult()
    return read_reply(operation, models.MemberOperationResult, reply, problems)
