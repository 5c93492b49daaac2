"""`ThriveClient`: configuration, lifetime, and the resources."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Never, Self, cast, get_args
from urllib.parse import quote, unquote

import aiohttp
from attrs import evolve

from thrive_async._base.problems import Problems
from thrive_async._base.unset import UNSET
from thrive_async._environment import VARIABLES, Environment, set_up_log
from thrive_async._generated.operations import Operation
from thrive_async._http.attempt import NO_OPTIONS
from thrive_async._http.request import Request, build, written_datetime
from thrive_async._http.session import Proxy
from thrive_async._http.transport import Transport
from thrive_async._http.view import Sender, View, added_headers, view_limits
from thrive_async._wire import convert
from thrive_async.auth import ApiKey, ClientCredentials, TokenProvider
from thrive_async.config import Limits, Priority, Region, Retry, Timeouts, checked_base_url
from thrive_async.errors import ConfigurationError, InvalidArgument
from thrive_async.hooks import Hooks
from thrive_async.resources import (
    Activities,
    Assignments,
    Audiences,
    Completions,
    Contents,
    Cpd,
    Provisioning,
    Skills,
    Tags,
    Users,
)
from thrive_async.resources._base import Resource, through

if TYPE_CHECKING:
    from thrive_async.share import Lease, Share

__all__ = ["ThriveClient"]

# asyncio imports it when it first looks up a host name, in the middle of a call.
_IMPORTED_BY_ASYNCIO: Final = "concurrent.futures.thread"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_REPEATABLE_METHODS: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_LEFT_IN_PATHS: Final = "/%:@!$&'()*+,;=~"


class ThriveClient:
    """An async client of one Thrive tenant.

    Use it with `async with`, or call `aclose` yourself. One client serves any number of concurrent calls.

    You can build it anywhere, even without a running loop. It connects on first use, and its connections belong to that
    loop. A new loop or a forked process gets its own connections but keeps the token and the learned pace, so one
    client can serve several calls of `asyncio.run`.

    Args:
        tenant_id: The tenant, of the form `eu-west-2_AbcdEfghI`; live, staging and each domain have their own.
        credentials: `ApiKey`, `ClientCredentials`, or a token provider: an async function that returns an access token
            and its lifetime in seconds, as a tuple or an `AccessToken`. However many calls wait for a token, it is
            called once; again a minute before the token expires, and once after Thrive refused it with a 401.
        region: The tenant's region, as a `Region` or its name.
        base_url: Overrides the region's host, for API and tokens: `http://127.0.0.1:8080`, or
            `https://gateway.example.com/thrive`, without `/rest/v1`.
        allow_http: Let `base_url` be plain http to a host that is not loopback, such as `http://sandbox:8080` under
            docker-compose. Credentials and people's data then cross that network unencrypted.
        timeouts: The timeouts of calls that set none of their own.
        retry: How often a call is repeated, and how long the client waits in between.
        limits: Concurrency, rate, and the size of a reply.
        session: Your own `aiohttp.ClientSession`. The client uses it but never closes it, and leaves its cookies alone.
        proxy: The URL of an HTTP proxy, with user and password if it needs them.
        trust_env: Take the proxy from the environment (`HTTPS_PROXY`, `NO_PROXY`), looked up once.
        ca_file: A PEM file of the certificate authorities to trust instead of the system's.
        share: What this client shares with the clients of other processes: the rate, the cool-down after a 429 and the
            tokens. A `FileShare`, a `RedisShare` or another `Share`, which stays open when the client is closed; or the
            text of one for `open_share`, such as `redis://localhost/0` or `/run/thrive`, closed with the client.
        strict: Raise a `DecodeError` for any value in a reply that differs from the specification. Use it for tests and
            for a first look at a tenant. By default such a value is read as far as possible, counted in `problems` and
            logged.
        hooks: Your functions, called as calls, attempts and waits begin and end.

    Attributes:
        share: What this client shares with the clients of other processes; None if it shares nothing.
        users: Accounts: read, create, update, suspend, delete; their tags and skills.
        audiences: Audiences and structures, with `.members` and `.managers`.
        assignments: Mandatory training, with `.enrolments`.
        completions: Completion records.
        contents: Content.
        activities: What people did.
        cpd: Continuing professional development: `.categories`, `.entries`, `.requirements`, `.user_summaries`.
        tags: Tags.
        skills: Skill levels.
        provisioning: Legacy events about accounts, among them the only way to bring a suspended user back.

    Raises:
        ConfigurationError: An argument is invalid. Nothing was sent.

    Example:
        async with ThriveClient("eu-west-2_AbcdEfghI", ApiKey("secret")) as thrive:
            async for user in thrive.users.list():
                print(user.id)
    """

    def __init__(
        self,
        tenant_id: str,
        credentials: ApiKey | ClientCredentials | TokenProvider,
        *,
        region: Region | str = Region.PRODUCTION,
        base_url: str | None = None,
        allow_http: bool = False,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        limits: Limits | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ca_file: str | Path | None = None,
        share: "Share | str | None" = None,
        strict: bool = False,
        hooks: Hooks | None = None,
    ) -> None:
        # First, so that no variable of this frame shows a password to a crash reporter.
        through = None if proxy is None else Proxy.parse(proxy)
        del proxy
        if isinstance(tenant_id, ApiKey | ClientCredentials):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                'the tenant id comes before the credentials: ThriveClient("tenant", ApiKey("..."))'
            )
        tenant_id = _checked_tenant(tenant_id)
        if not isinstance(credentials, ApiKey | ClientCredentials) and not callable(credentials):  # pyright: ignore[reportUnnecessaryComparison]
            raise ConfigurationError(
                'credentials must be ApiKey("..."), ClientCredentials("id", "secret") or a token provider'
            )
        for name, value, wanted in (
            ("region", region, Region | str),
            ("timeouts", timeouts, Timeouts | None),
            ("retry", retry, Retry | None),
            ("limits", limits, Limits | None),
            ("session", session, aiohttp.ClientSession | None),
            ("allow_http", allow_http, bool),
            ("trust_env", trust_env, bool),
            ("strict", strict, bool),
            ("hooks", hooks, Hooks | None),
            ("ca_file", ca_file, str | Path | None),
        ):
            _check_type(name, value, wanted)
        if isinstance(region, str):
            region = Region.parse(region)
        if session is not None and (trust_env or ca_file is not None):
            raise ConfigurationError("trust_env and ca_file are for the client's own session: set them up on yours")
        token_base_url, webhooks_token_base_url = region.api_url, region.webhooks_url
        if isinstance(credentials, ClientCredentials):
            token_base_url = credentials.token_base_url(region)
        url = region.api_url
        if base_url is not None:
            url = token_base_url = webhooks_token_base_url = checked_base_url(base_url, allow_http=allow_http)
        self._own_share: Share | None = None
        if isinstance(share, str):
            # Imported here, because it takes time and most clients share nothing.
            from thrive_async.share import open_share  # noqa: PLC0415

            share = self._own_share = open_share(share)
        elif share is not None and not callable(getattr(share, "place", None)):
            raise ConfigurationError(
                f'$share must be a FileShare, a RedisShare or a text such as "/run/thrive", not {type(share).__name__}',
                "share",
            )
        self.tenant_id = tenant_id
        self.base_url = url
        self.share: Share | None = share
        # Now, because the first calls would otherwise take twenty times as long and read files on the loop.
        set_up_log()
        convert.prepare()
        import_module(_IMPORTED_BY_ASYNCIO)
        self._options = NO_OPTIONS
        self._main = Transport(
            base_url=url,
            token_base_url=token_base_url,
            webhooks_token_base_url=webhooks_token_base_url,
            tenant_id=tenant_id,
            credentials=credentials,
            timeouts=timeouts or Timeouts(),
            retry=retry or Retry(),
            limits=limits or Limits(),
            session=session,
            proxy=through,
            trust_env=trust_env,
            ca_file=Path(ca_file) if ca_file is not None else None,
            share=share,
            problems=Problems(strict=strict),
            hooks=hooks,
        )
        self._transport: Sender = self._main
        self.users: Users = Users(self._transport)
        self.audiences: Audiences = Audiences(self._transport)
        self.assignments: Assignments = Assignments(self._transport)
        self.completions: Completions = Completions(self._transport)
        self.contents: Contents = Contents(self._transport)
        self.activities: Activities = Activities(self._transport)
        self.cpd: Cpd = Cpd(self._transport)
        self.tags: Tags = Tags(self._transport)
        self.skills: Skills = Skills(self._transport)
        self.provisioning: Provisioning = Provisioning(self._transport)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> "ThriveClient":
        """Build a client from environment variables.

        Reads `THRIVE_TENANT_ID`; `THRIVE_API_KEY`, or `THRIVE_CLIENT_ID` and `THRIVE_CLIENT_SECRET` with optional
        `THRIVE_SCOPES` (separated by spaces); and optional `THRIVE_REGION` (production, staging, production-mea,
        staging-mea), `THRIVE_BASE_URL`, `THRIVE_ALLOW_HTTP` (true or false) and `THRIVE_SHARE` (the URL of a Redis, or
        the path of a folder). `THRIVE_API_KEY_FILE` and `THRIVE_CLIENT_SECRET_FILE` name a file that holds the secret
        instead. A blank variable counts as not set.

        Args:
            environ: Read instead of `os.environ`.
            **overrides: Arguments of `ThriveClient`, which win over the environment: `tenant_id=` and `credentials=`
                too, whose variables are then not read.

        Returns:
            The client; nothing has been sent yet.

        Raises:
            ConfigurationError: A variable is missing, contradicts another or cannot work; the text names it.
        """
        env = Environment(environ)
        del environ
        names = [name for name in ("tenant_id", "region", "base_url", "share") if name not in overrides]
        settings: dict[str, Any] = {name: text for name in names if (text := env.text(VARIABLES[name])) is not None}
        if "tenant_id" not in settings and "tenant_id" not in overrides:
            raise ConfigurationError(
                "THRIVE_TENANT_ID is not set: it holds your tenant id, such as eu-west-2_AbcdEfghI"
            )
        if "allow_http" not in overrides:
            settings["allow_http"] = env.flag("THRIVE_ALLOW_HTTP")
        if "credentials" not in overrides:
            settings["credentials"] = env.credentials()
        try:
            return cls(**settings, **overrides)
        except ConfigurationError as error:
            told = error.told(lambda name: VARIABLES.get(name, name) if name in settings else name)
            raise ConfigurationError(told, *error.arguments) from None

    @property
    def limits(self) -> Limits:
        """How hard this client may press on Thrive."""
        return self._transport.limits

    @property
    def problems(self) -> Problems:
        """The values in the replies so far that do not match the specification; empty if all is well.

        A mapping: the path, such as `$.results[].positions[].startDate`, -> what was expected, what came, how often.
        """
        return self._transport.problems

    @property
    def calls_under_way(self) -> int:
        """How many calls of this client, and of its views, have begun and not ended."""
        return self._main.calls_under_way

    @property
    def retry(self) -> Retry:
        """How often this client repeats a call."""
        return self._transport.retry

    @property
    def timeouts(self) -> Timeouts:
        """How long a call may take that sets no timeouts itself."""
        return self._transport.timeouts

    @property
    def priority(self) -> Priority | None:
        """What `with_options` chose for the calls of this view; None if it chose nothing."""
        return self._options.priority

    def with_options(
        self,
        *,
        timeouts: Timeouts | None = None,
        retry: Retry | None = None,
        limits: Limits | None = None,
        headers: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        lease: "Lease | None" = None,
    ) -> "ThriveClient":
        """Return a view of this client with other options, but the same connections, rate and token.

        It takes 0.1 ms, so you can make one for each web request. Options that you omit keep this client's values.
        Closing a view does nothing: close the client.

        Args:
            timeouts: The timeouts of calls that set none of their own.
            retry: How often a call is repeated, and how long the client waits in between.
            limits: A `per_page` and `max_reply_bytes` for this view, as in `Limits(per_page=200)`. A field at its
                default keeps this client's value; `limits` of the view tells what holds. All views share one gate, so
                its fields (`concurrency`, `rate`, `burst`) cannot have other values than the client's.
            headers: Headers to send with each call, such as `traceparent`. You cannot replace the client's own headers,
                such as Authorization.
            priority: "interactive" for calls that a person waits for. They start before all waiting "bulk" calls,
                which still get one start in ten, and bulk leaves a slot free for them. Calls are interactive by
                default; a sync's calls are bulk. For a single call, make a view for it.
            lease: A lease of a share. Once it is lost, nothing more is sent, and the calls raise `LeaseLost`.

        Raises:
            TypeError: An argument has the wrong type.
            InvalidArgument: A header is the client's own or cannot be sent, a limit belongs to the gate that all views
                share, or there is no such priority.

        Example:
            quick = thrive.with_options(timeouts=Timeouts(total=2), headers={"traceparent": traceparent})
            user = await quick.users.get(user_id)
        """
        for name, value, wanted in (
            ("timeouts", timeouts, Timeouts),
            ("retry", retry, Retry),
            ("limits", limits, Limits),
        ):
            if value is not None and not isinstance(value, wanted):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{name} must be {wanted.__name__}, not {type(value).__name__}")
        if priority not in (None, "interactive", "bulk"):
            raise InvalidArgument('$priority must be "interactive" or "bulk"', "priority")
        if lease is not None and not hasattr(lease, "held"):
            raise TypeError(f"lease must be a Lease, not {type(lease).__name__}")
        options, transport = self._options, self._main
        if timeouts is not None:
            options = evolve(options, timeouts=timeouts)
        if retry is not None:
            options = evolve(options, retry=retry, repeated=transport.repeating(retry))
        if limits is not None:
            options = evolve(options, limits=view_limits(self.limits, limits))
        if headers is not None:
            options = added_headers(options, headers)
        if priority is not None:
            options = evolve(options, priority=priority)
        if lease is not None:
            options = evolve(options, lease=lease)
        sender = View(transport, options)
        view = object.__new__(type(self))
        attributes = vars(view)
        attributes.update(vars(self), _options=options, _transport=sender)
        for name, value in attributes.items():
            if isinstance(value, Resource | Cpd):
                attributes[name] = through(value, sender)
        return view

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        timeouts: Timeouts | None = None,
    ) -> Any:
        """Call an endpoint that the SDK does not know yet, with the same authorisation, retries, limits and errors.

        GET, HEAD, PUT and DELETE are repeated after a lost answer; POST and PATCH only if nothing was done yet.

        Args:
            method: The HTTP method.
            path: The path after the host, such as `"/rest/v1/users"`. Encode a segment of your own with
                `urllib.parse.quote(x, "")`.
            params: Query parameters: strings, numbers, booleans, aware datetimes (ISO 8601), dates, or lists of them
                (joined by commas). None is omitted.
            json: The body; None sends no body.
            timeouts: The timeouts of this call.

        Returns:
            The decoded JSON. None for an empty body, and for a write whose answer is not JSON.

        Raises:
            TypeError: An argument has the wrong type. Nothing was sent.
            InvalidArgument: An argument is invalid. Nothing was sent.
            ThriveError: As for every call.
        """
        query: Mapping[str, object] = {} if params is None else params
        _check_request("method", method, str, 'a string such as "GET"')
        _check_request("path", path, str, 'a string such as "/rest/v1/users"')
        _check_request("params", query, Mapping, "a mapping of names to values")
        request = _ad_hoc_request(method.upper(), path, query, json)
        reply = await self._transport.send(request, timeouts)
        if reply.value is not UNSET:
            return reply.value
        try:
            return reply.json()
        except ValueError:
            return None

    async def aclose(self, *, drain: float = 0.0) -> None:
        """Close the connections that this client opened. Your own session stays open, and you can close twice.

        Args:
            drain: How many seconds calls under way may take to end, with their retries. New calls are refused
                meanwhile. Calls that are left after this time end with `ConnectionFailed`, and a write among them may
                have taken effect.

        Raises:
            InvalidArgument: `drain` is not a number of seconds, 0 or more.
        """
        if isinstance(drain, bool) or not isinstance(drain, int | float) or not 0 <= drain < math.inf:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgument(f"$drain must be a number of seconds, 0 or more, not {drain!r}", "drain")
        await self._transport.aclose(drain)
        if self._own_share is not None and self._transport is self._main:
            await self._own_share.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __reduce_ex__(self, protocol: object) -> Never:
        # For `copy` and `pickle`.
        raise TypeError(
            "a ThriveClient holds connections, so it cannot be copied or pickled: share it, or build another"
        )

    def __repr__(self) -> str:
        # Also while it is being built: crash reporters print the frames of an error in `__init__`.
        return f"<ThriveClient {getattr(self, 'base_url', 'not built')}>"


def _check_type(name: str, value: object, wanted: Any) -> None:
    if not isinstance(value, wanted):
        names = " or ".join(one.__name__ for one in get_args(wanted) or (wanted,) if one is not NoneType)
        raise ConfigurationError(f"${name} must be {names}, not {type(value).__name__}", name)


def _check_request(name: str, value: object, wanted: type, words: str) -> None:
    if not isinstance(value, wanted):
        raise TypeError(f"{name} must be {words}, not {type(value).__name__}")


def _checked_tenant(tenant_id: object) -> str:
    if tenant_id is not None and not isinstance(tenant_id, str):
        raise ConfigurationError(
            f"$tenant_id is a string such as eu-west-2_AbcdEfghI, not {type(tenant_id).__name__}", "tenant_id"
        )
    if not tenant_id or not tenant_id.strip():
        raise ConfigurationError(
            "$tenant_id is empty: it looks like eu-west-2_AbcdEfghI, and comes with the key", "tenant_id"
        )
    tenant_id = tenant_id.strip()
    if not re.fullmatch(r"[A-Za-z0-9._~-]+", tenant_id):
        raise ConfigurationError(
            "$tenant_id must look like eu-west-2_AbcdEfghI: it holds other characters", "tenant_id"
        )
    return tenant_id


def _ad_hoc_request(method: str, path: str, params: Mapping[str, object], json: object) -> Request:
    if method not in _METHODS:
        raise InvalidArgument(f"$method {method[:20]!r} is unknown", "method")
    if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
        raise InvalidArgument('$path must look like "/rest/v1/users"; a query goes into $params', "path", "params")
    if any(segment.lower().replace("%2e", ".") in (".", "..") for segment in path.split("/")):
        raise InvalidArgument("$path must not hold '.' or '..' segments", "path")
    if not all(isinstance(name, str) for name in params):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError("the names of params must be strings")
    written = {name: _written(name, value) for name, value in params.items()}
    operation = Operation(
        id=f"{method} by hand",
        resource="",
        method=method,
        path=_masked_path(path),
        path_parameters=(),
        query={name: "list" if isinstance(value, list) else "text" for name, value in written.items()},
        required_query=(),
        paging="none",
        per_page=None,
        safe=method in _REPEATABLE_METHODS,
        any_answer=method == "DELETE",
        body=True,
        body_required=False,
        body_model=None,
        min_items=None,
        max_items=None,
        statuses=(),
        scopes=(),
    )
    built = build(operation, query=written, body=UNSET if json is None else json)
    target = quote(path, safe=_LEFT_IN_PATHS)
    query = built.target.partition("?")[2]
    return evolve(
        built,
        target=f"{target}?{query}" if query else target,
        arguments=(*built.arguments, *(("path", unquote(segment)) for segment in path.split("/")[4:])),
        may_be_empty=True,
    )


def _masked_path(path: str) -> str:
    """Keep only the name of the collection: the rest may name a person, and paths end up in logs and errors."""
    kept = re.match(r"/rest/v[0-9]+/[A-Za-z]+(?=/|$)|/[A-Za-z]+(?=/|$)", path)
    if kept is None:
        return "/..."
    return kept[0] + ("/..." if len(path) > kept.end() else "")


def _written(name: str, value: object) -> object:
    """Write a query value as text, or a list of them. Invalid values are left for `build` to refuse."""
    if isinstance(value, list | tuple | set | frozenset):
        return [_written(name, item) for item in cast("Iterable[object]", value)]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return written_datetime(value, "date-iso", name=name)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else value
