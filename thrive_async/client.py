"""`ThriveClient`: configuration, lifetime, and the resources."""

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from thrive_async import _request
from thrive_async._generated.operations import Operation
from thrive_async._transport import Transport
from thrive_async._unset import UNSET
from thrive_async.auth import ApiKey, ClientCredentials
from thrive_async.config import Limits, Region, Retry, Timeouts, checked_base_url
from thrive_async.errors import ConfigurationError
from thrive_async.resources import (
    Activities,
    Assignments,
    Audiences,
    Completions,
    Contents,
    Cpd,
    Skills,
    Tags,
    Users,
)

__all__ = ["ThriveClient"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_LEFT_IN_PATHS: Final = "/%:@!$&'()*+,;=~"


class ThriveClient:
    """An async client of one Thrive tenant.

    It can be built anywhere, also without a running loop; its connections are made on first use and belong to that
    loop. Use it with `async with`, or call `aclose` yourself. One client serves any number of concurrent calls.

    Args:
        tenant_id: The tenant, of the form `eu-west-2_AbcdEfghI`; live, staging and each domain have their own.
        credentials: `ApiKey` or `ClientCredentials`.
        region: Where the tenant lives; its name or a `Region`.
        base_url: Overrides the region's host, for API and tokens: `http://127.0.0.1:8080`, without `/rest/v1`. Plain
            http is for loopback hosts only.
        timeouts: For every call that brings none of its own.
        retry: How often a call is repeated, and with what pauses.
        limits: Concurrency, rate, and the size of a reply.
        session: Your `aiohttp.ClientSession`: used, never closed here.
        proxy: The URL of an HTTP proxy.
        trust_env: Take the proxy from the environment (`HTTPS_PROXY`, `NO_PROXY`, `.netrc`).
        ca_file: A PEM file of the certificate authorities to trust instead of the system's.

    Attributes:
        users: Accounts: read, create, update, suspend, delete; their tags and skills.
        audiences: Audiences and structures, with `.members` and `.managers`.
        assignments: Mandatory training, with `.enrolments`.
        completions: Completion records.
        contents: Content.
        activities: What people did.
        cpd: Continuing professional development: `.categories`, `.entries`, `.requirements`, `.user_summaries`.
        tags: Tags.
        skills: Skill levels.

    Raises:
        ConfigurationError: An argument cannot work; nothing was sent.

    Example:
        async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret")) as thrive:
            async for user in thrive.users.list():
                print(user.id)
    """

    def __init__(
        self,
        tenant_id: str,
        credentials: ApiKey | ClientCredentials,
        *,
        region: Region | str = Region.PRODUCTION,
        base_url: str | None = None,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        limits: Limits | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ca_file: str | Path | None = None,
    ) -> None:
        tenant_id = _checked_tenant(tenant_id)
        if not isinstance(credentials, ApiKey | ClientCredentials):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError('credentials must be ApiKey("...") or ClientCredentials("id", "secret")')
        if isinstance(region, str):
            region = Region.parse(region)
        if session is not None and (trust_env or ca_file is not None):
            raise ConfigurationError("trust_env and ca_file are for the client's own session: set them up on yours")
        token_base_url = region.api_url
        if isinstance(credentials, ClientCredentials):
            token_base_url = credentials.token_base_url(region)
        url = region.api_url
        if base_url is not None:
            url = token_base_url = checked_base_url(base_url)
        self.tenant_id = tenant_id
        self.base_url = url
        self._transport = Transport(
            base_url=url,
            token_base_url=token_base_url,
            tenant_id=tenant_id,
            credentials=credentials,
            timeouts=timeouts or Timeouts(),
            retry=retry or Retry(),
            limits=limits or Limits(),
            session=session,
            proxy=proxy,
            trust_env=trust_env,
            ca_file=Path(ca_file) if ca_file is not None else None,
        )
        self.users: Users = Users(self._transport)
        self.audiences: Audiences = Audiences(self._transport)
        self.assignments: Assignments = Assignments(self._transport)
        self.completions: Completions = Completions(self._transport)
        self.contents: Contents = Contents(self._transport)
        self.activities: Activities = Activities(self._transport)
        self.cpd: Cpd = Cpd(self._transport)
        self.tags: Tags = Tags(self._transport)
        self.skills: Skills = Skills(self._transport)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> "ThriveClient":
        """Build a client from environment variables.

        Reads `THRIVE_TENANT_ID`; `THRIVE_API_KEY`, or `THRIVE_CLIENT_ID` with `THRIVE_CLIENT_SECRET`; and where they
        are set `THRIVE_REGION` (production, staging, production-mea, staging-mea) and `THRIVE_BASE_URL`.

        Args:
            environ: Read instead of `os.environ`.
            **overrides: Keyword arguments of `ThriveClient`, which win over the environment.

        Raises:
            ConfigurationError: A variable is missing, contradicts another or cannot work; the text names it.
        """
        env = os.environ if environ is None else environ

        def given(name: str) -> str | None:
            return env.get(name, "").strip() or None

        tenant_id = given("THRIVE_TENANT_ID")
        if tenant_id is None:
            raise ConfigurationError(
                "THRIVE_TENANT_ID is not set: it holds your tenant id, such as eu-west-2_AbcdEfghI"
            )
        key, client_id, client_secret = (
            given(name) for name in ("THRIVE_API_KEY", "THRIVE_CLIENT_ID", "THRIVE_CLIENT_SECRET")
        )
        credentials: ApiKey | ClientCredentials
        if key is not None and (client_id is not None or client_secret is not None):
            raise ConfigurationError("both THRIVE_API_KEY and THRIVE_CLIENT_ID/THRIVE_CLIENT_SECRET are set: keep one")
        if key is not None:
            credentials = ApiKey(key)
        elif client_id is not None and client_secret is not None:
            credentials = ClientCredentials(client_id, client_secret)
        else:
            raise ConfigurationError("set THRIVE_API_KEY, or THRIVE_CLIENT_ID and THRIVE_CLIENT_SECRET")
        settings: dict[str, Any] = {"base_url": given("THRIVE_BASE_URL")}
        region = given("THRIVE_REGION")
        if region is not None:
            settings["region"] = region
        return cls(tenant_id, credentials, **(settings | overrides))

    @property
    def limits(self) -> Limits:
        """How hard this client may press on Thrive."""
        return self._transport.limits

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = UNSET,
        timeouts: Timeouts | None = None,
    ) -> Any:
        """Reach what the SDK does not know yet, with the same authorisation, retries, limits and errors.

        GET, HEAD, PUT and DELETE are repeated after a lost answer, POST and PATCH only where nothing can be done yet.

        Args:
            method: The HTTP method.
            path: From the host on: `"/rest/v1/users"`. Encode a segment of your own with `urllib.parse.quote(x, "")`.
            params: Query parameters: strings, numbers, booleans, aware datetimes (ISO 8601), or lists of them (joined
                by commas); None is left out.
            json: The body, if there is one.
            timeouts: For this call.

        Returns:
            The decoded JSON; None for an empty body.

        Raises:
            ValueError: The method or path cannot be meant; nothing was sent.
            ThriveError: As for every call.
        """
        request = _ad_hoc_request(method.upper(), path, params or {}, json)
        reply = await self._transport.send(request, timeouts)
        return reply.json() if reply.value is UNSET else reply.value

    async def aclose(self) -> None:
        """Close the connections this client opened; harmless to repeat. A session given by you stays open."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ThriveClient {self.base_url}>"


def _checked_tenant(tenant_id: object) -> str:
    if not isinstance(tenant_id, str) or not tenant_id.strip():
        raise ConfigurationError("the tenant id is empty: it looks like eu-west-2_AbcdEfghI, and comes with the key")
    tenant_id = tenant_id.strip()
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", tenant_id):
        raise ConfigurationError("the tenant id holds characters that none has: it looks like eu-west-2_AbcdEfghI")
    return tenant_id


def _ad_hoc_request(method: str, path: str, params: Mapping[str, object], json: object) -> _request.Request:
    if method not in _METHODS:
        raise ValueError(f"unknown HTTP method {method[:20]!r}")
    if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
        raise ValueError('path must look like "/rest/v1/users", without a query: give params= for that')
    if any(segment.lower().replace("%2e", ".") in (".", "..") for segment in path.split("/")):
        raise ValueError("path must not hold '.' or '..' segments")
    operation = Operation(
        id=f"{method} by hand",
        resource="",
        method=method,
        path=_masked_path(path),
        path_parameters=(),
        query={name: _encoding_of(value) for name, value in params.items()},
        required_query=(),
        paging="none",
        per_page=None,
        safe=method in _REPEATABLE_METHODS,
        body=True,
        body_required=False,
        min_items=None,
        max_items=None,
        statuses=(),
        scopes=(),
    )
    built = _request.build(operation, query=params, body=json)
    target = quote(path, safe=_LEFT_IN_PATHS)
    query = built.target.partition("?")[2]
    return _request.Request(
        operation, f"{target}?{query}" if query else target, built.body, (*built.arguments, *path.split("/")[3:])
    )


def _masked_path(path: str) -> str:
    """Keep what names the collection: what follows may name a person, and this ends up in logs and errors."""
    kept = path.split("/")[1:4]
    return "/" + "/".join(quote(segment, safe="") for segment in kept) + ("/..." if path.count("/") > len(kept) else "")


def _encoding_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, datetime):
        return "date-iso"
    return "list" if isinstance(value, list | tuple | set | frozenset) else "text"
