"""The async Python SDK for the Thrive Learning REST API.

`ThriveClient` talks to a tenant, `thrive_async.sync` reconciles people with audiences, `thrive_async.models` holds the
types, and `thrive_async.sandbox` is a Thrive of your own to test against.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from thrive_async._base.version import __version__

if TYPE_CHECKING:
    from thrive_async import auth as auth
    from thrive_async import client as client
    from thrive_async import config as config
    from thrive_async import errors as errors
    from thrive_async import hooks as hooks
    from thrive_async import models as models
    from thrive_async import pagination as pagination
    from thrive_async import pool as pool
    from thrive_async import resources as resources
    from thrive_async import sandbox as sandbox
    from thrive_async import sync as sync
    from thrive_async import webhooks as webhooks
    from thrive_async._base.problems import Problem, Problems, unread
    from thrive_async._base.replies import ReplyInfo, reply_of
    from thrive_async._base.unset import UNSET, Unset
    from thrive_async.auth import AccessToken, ApiKey, ClientCredentials, TokenProvider
    from thrive_async.client import ThriveClient
    from thrive_async.config import Limits, Priority, Region, Retry, Timeouts
    from thrive_async.errors import (
        APIError,
        AuthenticationError,
        BadRequestError,
        ConfigurationError,
        ConflictError,
        ConnectionFailed,
        DecodeError,
        IncompleteList,
        InvalidArgument,
        NotFoundError,
        PermissionDeniedError,
        RateLimitError,
        RequestTimeout,
        ResultUnknown,
        ServerError,
        SignatureError,
        ThriveError,
        TokenProviderError,
        UnprocessableError,
    )
    from thrive_async.hooks import (
        AttemptEvent,
        AttemptStart,
        CallEvent,
        CallStart,
        Hooks,
        WaitEvent,
        correlation_id,
    )
    from thrive_async.pagination import Page, Paginator
    from thrive_async.pool import PoolReport, ThrivePool
    from thrive_async.sync.errors import GuardRefused, SyncError

__all__ = [
    "UNSET",
    "APIError",
    "AccessToken",
    "ApiKey",
    "AttemptEvent",
    "AttemptStart",
    "AuthenticationError",
    "BadRequestError",
    "CallEvent",
    "CallStart",
    "ClientCredentials",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailed",
    "DecodeError",
    "GuardRefused",
    "Hooks",
    "IncompleteList",
    "InvalidArgument",
    "Limits",
    "NotFoundError",
    "Page",
    "Paginator",
    "PermissionDeniedError",
    "PoolReport",
    "Priority",
    "Problem",
    "Problems",
    "RateLimitError",
    "Region",
    "ReplyInfo",
    "RequestTimeout",
    "ResultUnknown",
    "Retry",
    "ServerError",
    "SignatureError",
    "SyncError",
    "ThriveClient",
    "ThriveError",
    "ThrivePool",
    "Timeouts",
    "TokenProvider",
    "TokenProviderError",
    "UnprocessableError",
    "Unset",
    "WaitEvent",
    "__version__",
    "correlation_id",
    "reply_of",
    "unread",
]

# The pytest plugin lives in this package, and every pytest run of its users imports the package to load it: nothing
# heavier than this may happen before a name is used.
_MODULES = {
    "_base.problems": ("Problem", "Problems", "unread"),
    "_base.replies": ("ReplyInfo", "reply_of"),
    "_base.unset": ("UNSET", "Unset"),
    "auth": ("AccessToken", "ApiKey", "ClientCredentials", "TokenProvider"),
    "client": ("ThriveClient",),
    "config": ("Limits", "Priority", "Region", "Retry", "Timeouts"),
    "hooks": ("AttemptEvent", "AttemptStart", "CallEvent", "CallStart", "Hooks", "WaitEvent", "correlation_id"),
    "pagination": ("Page", "Paginator"),
    "pool": ("PoolReport", "ThrivePool"),
    "sync.errors": ("GuardRefused", "SyncError"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_PUBLIC_MODULES = (
    "auth",
    "client",
    "config",
    "errors",
    "hooks",
    "models",
    "pagination",
    "pool",
    "resources",
    "sandbox",
    "sync",
    "webhooks",
)


if not TYPE_CHECKING:  # or a checker would take any name, however misspelt, for one of these

    def __getattr__(name: str) -> object:
        if name in _PUBLIC_MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{_MODULE_OF.get(name, 'errors')}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted((*__all__, *_PUBLIC_MODULES))
