"""Watching a client: what its calls belong to."""

from contextvars import ContextVar
from typing import Final

__all__ = ["correlation_id"]

correlation_id: Final[ContextVar[str | None]] = ContextVar("thrive_async.correlation_id", default=None)
"""Set it to the id of what your calls are part of, such as a web request.

They then carry it as `X-Correlation-Id`, and the log has it. Of the value only printable ASCII without spaces is used,
200 characters at most.

Example:
    >>> token = correlation_id.set("web-request-7")
    >>> correlation_id.reset(token)
"""
