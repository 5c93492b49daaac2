"""The transport of a client with other options: the same session, gate, token and problems."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias

import attrs

from thrive_async._base.problems import Problems
from thrive_async._http.attempt import Options
from thrive_async._http.headers import check_header
from thrive_async._http.request import Reply, Request
from thrive_async._http.transport import Transport
from thrive_async.auth import Authorizer
from thrive_async.config import Limits, Retry, Timeouts
from thrive_async.errors import InvalidArgument

# The other fields of `Limits` belong to the gate and the session.
_LIMITS_OF_VIEWS: Final = frozenset({"max_reply_bytes", "per_page"})


class View:
    """Sends through a transport, with options of its own for each call.

    Args:
        transport: The client's transport.
        options: The options that differ from the client's.
    """

    def __init__(self, transport: Transport, options: Options) -> None:
        self._transport = transport
        self._options = options

    @property
    def problems(self) -> Problems:
        """As for the client."""
        return self._transport.problems

    @property
    def limits(self) -> Limits:
        """Those of this view, or the client's."""
        return self._options.limits or self._transport.limits

    @property
    def retry(self) -> Retry:
        """Those of this view, or the client's."""
        return self._options.retry or self._transport.retry

    @property
    def timeouts(self) -> Timeouts:
        """Those of this view, or the client's."""
        return self._options.timeouts or self._transport.timeouts

    @property
    def webhooks_authorizer(self) -> Authorizer:
        """As for the client."""
        return self._transport.webhooks_authorizer

    def time_limits(self, timeouts: Timeouts | None) -> Timeouts:
        """Return the timeouts of a call: its own, this view's, or the client's."""
        return self._transport.time_limits(self._options.timeouts if timeouts is None else timeouts)

    async def send(
        self,
        request: Request,
        timeouts: Timeouts | None = None,
        *,
        wanted: asyncio.Event | None = None,
        authorizer: Authorizer | None = None,
    ) -> Reply:
        """Send a request as `Transport.send` does."""
        return await self._transport.send(
            request, self.time_limits(timeouts), wanted=wanted, authorizer=authorizer, options=self._options
        )

    async def aclose(self, drain: float = 0.0) -> None:
        """Do nothing: close the client itself."""


Sender: TypeAlias = Transport | View
"""What resources send their calls through."""


def added_headers(options: Options, headers: Mapping[str, str]) -> Options:
    """Return the options with more headers, which replace those of the same name.

    Raises:
        TypeError: A name or a value is not a string.
        InvalidArgument: A header is the client's own, or cannot be sent.
    """
    merged = {name.lower(): (name, value) for name, value in options.headers}
    for name, value in headers.items():
        check_header(name, value)
        merged[name.lower()] = (name, value)
    return attrs.evolve(options, headers=tuple(merged.values()))


def view_limits(limits: Limits, given: Limits) -> Limits:
    """Return limits with what is given for a view. A field that is given at its default keeps its value.

    Raises:
        InvalidArgument: A field that all views share would change.
    """
    changes: dict[str, int] = {}
    for field in attrs.fields(Limits):
        name, value, current = field.name, getattr(given, field.name), getattr(limits, field.name)
        if value in (field.default, current):
            continue
        if name not in _LIMITS_OF_VIEWS:
            raise InvalidArgument(
                f"$Limits.{name} cannot be {value} in a view: all views of a client share one gate, where it is "
                f"{current}. Leave it out here, or set it where you build the client or pool",
                f"Limits.{name}",
            )
        changes[name] = value
    return attrs.evolve(limits, **changes)
