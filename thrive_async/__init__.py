"""The async Python SDK for the Thrive Learning REST API.

`ThriveClient` talks to a tenant, `thrive_async.sync` reconciles people with audiences, `thrive_async.models` holds the
types, and `thrive_async.sandbox` is a Thrive of your own to test against.
"""

from thrive_async._unset import UNSET, Unset
from thrive_async.auth import ApiKey, ClientCredentials
from thrive_async.client import ThriveClient
from thrive_async.config import Limits, Region, Retry, Timeouts
from thrive_async.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectionFailed,
    DecodeError,
    GuardRefused,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeout,
    ServerError,
    SyncError,
    ThriveError,
    UnprocessableError,
)
from thrive_async.pagination import Page, Paginator

__version__ = "0.1.0"

__all__ = [
    "APIError",
    "ApiKey",
    "AuthenticationError",
    "BadRequestError",
    "ClientCredentials",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "DecodeError",
    "GuardRefused",
    "Limits",
    "NotFoundError",
    "Page",
    "Paginator",
    "PermissionDeniedError",
    "RateLimitError",
    "Region",
    "RequestTimeout",
    "Retry",
    "ServerError",
    "SyncError",
    "ThriveClient",
    "ThriveError",
    "Timeouts",
    "UNSET",
    "UnprocessableError",
    "Unset",
    "__version__",
]
