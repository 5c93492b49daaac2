"""`Sandbox`: start and stop the server, and reach its data, faults and requests."""

import asyncio
import contextlib
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, cast

import attrs
from aiohttp import web

from thrive_async.sandbox.checks import is_whole
from thrive_async.sandbox.server.clock import VirtualClock
from thrive_async.sandbox.server.engine import Engine
from thrive_async.sandbox.server.faults import Faults
from thrive_async.sandbox.server.journal import Journal
from thrive_async.sandbox.server.page import mount as mount_page
from thrive_async.sandbox.server.specification import specification
from thrive_async.sandbox.server.tokens import Tokens
from thrive_async.sandbox.server.webhooks import Delivery, Webhooks
from thrive_async.sandbox.settings import Settings
from thrive_async.sandbox.state.seed import EPOCH, seed_state
from thrive_async.sandbox.state.state import State

if TYPE_CHECKING:
    from thrive_async.auth import ApiKey, ClientCredentials
    from thrive_async.client import ThriveClient

__all__ = ["Sandbox"]

# asyncio needs this many turns of the loop to hand an accepted connection to aiohttp.
_TURNS_OF_AN_ACCEPT: Final = 3


class Sandbox:
    """Run your own Thrive on loopback.

    With `async with` it runs on your event loop, and a `VirtualClock` makes every wait instant. In code without a
    loop, use `with`: the sandbox then runs in its own thread.

    Args:
        users: The number of users to start with. The other records come in proportion.
        seed: The same seed gives the same data, ids, secrets and faults.
        clock: A `VirtualClock` for the loop. The sandbox's time then starts at the beginning of 2026 and moves only
            while everything waits. By default, the sandbox uses the machine's time.
        host: The address to listen on. Keep it on loopback: the sandbox's page shows its keys.
        port: The port, or 0 for a free one.
        check_replies: Check every reply against the specification too. A reply that breaks it becomes a 500 and an
            entry in `violations`.
        settings: All choices at once. Keyword arguments override it.
        **choices: The fields of `Settings`, such as `rate_limit=20` or `all_failed_batch=422`.

    Attributes:
        state: The data, for you to arrange and inspect: `add_user`, `users`, `add_audience`, `audiences`...
        faults: The faults you inject: `add(kind, ...)`, `clear()`.
        requests: The requests received, in order.
        tokens: The accounts: tenant, API key, OAuth client.
        webhooks: Sends events: `subscribe(url, secret=...)`.
        settings: The choices.

    Raises:
        ModuleNotFoundError: jsonschema-rs is missing. The message says how to install it.
        TypeError: A choice is unknown, or the clock or settings have the wrong type.
        ValueError: A choice has a value that the sandbox does not offer.

    Example:
        ```python
        async with Sandbox(users=1000, seed=1) as sandbox, sandbox.client() as thrive:
            async for user in thrive.users.list():
                print(user.id)
        ```
    """

    def __init__(
        self,
        users: int = 100,
        seed: int = 1,
        *,
        clock: VirtualClock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        check_replies: bool = False,
        settings: Settings | None = None,
        **choices: Any,
    ) -> None:
        if not is_whole(users, 0):
            raise ValueError(f"users must be a whole number, zero or more, not {users!r}")
        if not is_whole(port, 0, 65535):
            raise ValueError(f"port must be a whole number from 0 to 65535, not {port!r}")
        _check_kinds(clock, settings, choices)
        self.settings: Settings = attrs.evolve(settings, **choices) if settings is not None else Settings(**choices)
        self.clock = clock
        self.host = host
        self.port: int = port
        self._began: float | None = None
        self.state: State = State(self.now, seed)
        self.faults: Faults = Faults(seed)
        self.requests: Journal = Journal(self.settings.journal_size)
        self.tokens: Tokens = Tokens(seed, self.settings)
        self._engine = Engine(
            state=self.state,
            settings=self.settings,
            faults=self.faults,
            journal=self.requests,
            tokens=self.tokens,
            specification=specification(),
            check_replies=check_replies,
        )
        self.webhooks: Webhooks = Webhooks(
            now=self.now,
            settings=self.settings,
            tenant_id=self.tokens.tenant_id,
            schemas=specification().document["components"]["schemas"],
        )
        self._clients: list[ThriveClient] = []
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._thread: _Thread | None = None
        seed_state(self.state, users, seed)
        self.state.announce = self.webhooks.announce

    # Address and credentials

    @property
    def base_url(self) -> str:
        """The address the sandbox listens on, without `/rest/v1`: pass it to `ThriveClient(base_url=...)`.

        Raises:
            RuntimeError: The sandbox is not running.
        """
        if not self.port:
            raise RuntimeError("the sandbox has no port yet: start it with `async with` or `await sandbox.start()`")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def tenant_id(self) -> str:
        """The tenant's id, made from the seed."""
        return self.tokens.tenant_id

    @property
    def credentials(self) -> "ApiKey":
        """The API key, as credentials for a client."""
        from thrive_async.auth import ApiKey  # noqa: PLC0415 - only these three lines need the client; nothing else of it is shared

        return ApiKey(self.tokens.api_key)

    @property
    def oauth(self) -> "ClientCredentials":
        """The OAuth client with the scope `api/all`, as credentials for a client."""
        from thrive_async.auth import ClientCredentials  # noqa: PLC0415

        return ClientCredentials(self.tokens.client_id, self.tokens.client_secret, scopes=("api/all",))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that point `ThriveClient.from_env()` at the sandbox."""
        return {
            "THRIVE_BASE_URL": self.base_url,
            "THRIVE_TENANT_ID": self.tenant_id,
            "THRIVE_API_KEY": self.tokens.api_key,
        }

    @property
    def violations(self) -> list[str]:
        """Replies that broke the specification (if `check_replies` is on), and failures of the sandbox itself."""
        return self._engine.violations

    def client(self, **overrides: Any) -> "ThriveClient":
        """Make a client for this sandbox. It closes with the sandbox, if you have not closed it before.

        Args:
            **overrides: Arguments of `ThriveClient`, including `tenant_id` and `credentials`.
        """
        from thrive_async.client import ThriveClient  # noqa: PLC0415

        arguments: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "credentials": self.credentials,
            "base_url": self.base_url,
            **overrides,
        }
        client = ThriveClient(**arguments)
        if self._thread is None:
            self._clients.append(client)
        return client

    async def deliver(
        self, event: str | bytes | Mapping[str, Any], *, to: str, secret: str | None = None, retry: bool = False
    ) -> Delivery:
        """Sign a webhook event and deliver it to a URL of yours.

        Args:
            event: An event type such as `content.completed`, for the specification's example of it; or an event of your
                own as a mapping, or the bytes of any body.
            to: The URL.
            secret: Signs the delivery. None for no signature.
            retry: Whether to send it again as Thrive does, if it is not answered with a 2xx.

        Returns:
            The delivery: `.status`, and `.statuses` of all attempts.

        Example:
            ```python
            delivery = await sandbox.deliver("content.completed", to=f"{url}/thrive", secret="hush")
            assert delivery.status == 204
            ```
        """
        return await self.webhooks.deliver(event, to=to, secret=secret, retry=retry)

    def now(self) -> datetime:
        """The sandbox's time, as it appears on records that change."""
        if self.clock is None:
            return datetime.now(UTC)
        began = self._began
        return EPOCH if began is None else EPOCH + timedelta(seconds=self.clock.time() - began)

    # Life

    async def start(self) -> None:
        """Start listening. `async with` does it for you.

        Raises:
            RuntimeError: The sandbox is already running.
            OSError: The port is in use.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is already running")
        if self.clock is not None:
            self.clock.install()
            if self._began is None:
                self._began = self.clock.time()
        self._engine.begin()
        self.webhooks.open()
        app = web.Application(client_max_size=16 * 1024**2)
        mount_page(app, self.state, self.tokens, self.requests)
        # ".*" would miss a newline, which a ref may contain.
        app.router.add_route("*", r"/{path:[\s\S]*}", self._engine.handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        try:
            await self._runner.setup()
            # aiohttp's `TCPSite` hides the server, which has to stop accepting before it closes.
            accepted = cast("web.Server", self._runner.server)
            server = await asyncio.get_running_loop().create_server(accepted, self.host, self.port, backlog=1024)
        except BaseException:
            await self.stop()
            raise
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, drop requests in progress, and close the clients made by `client()`. Safe to repeat."""
        runner, self._runner = self._runner, None
        server, self._server = self._server, None
        if runner is None:
            return
        clients, self._clients = self._clients, []
        try:
            await self.webhooks.aclose()
            for client in clients:
                await client.aclose()
            if server is not None:
                await _close(server)
            await runner.cleanup()
        finally:
            if self.clock is not None:
                self.clock.uninstall()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        if self.clock is not None:
            raise RuntimeError(
                "a virtual clock needs `async with`: under `with`, the sandbox runs on another thread's loop"
            )
        self._thread = _Thread(self)
        try:
            self._thread.begin()
        except BaseException:
            self._thread = None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()


async def _close(server: asyncio.Server) -> None:
    """Stop listening without losing a connection accepted in this turn of the loop.

    asyncio's `Server.close` leaves a connection open that it has accepted but not yet handed on.
    """
    for listening in server.sockets:
        with contextlib.suppress(NotImplementedError):  # Windows' own loop
            asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_TURNS_OF_AN_ACCEPT):
        await asyncio.sleep(0)
    server.close()


def _check_kinds(clock: object, settings: object, choices: Mapping[str, object]) -> None:
    for name, value, kind in (("clock", clock, VirtualClock), ("settings", settings, Settings)):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name} must be a {kind.__name__} or None, not {value!r}")
    known = [field.name for field in attrs.fields(Settings)]
    for name in choices:
        if name not in known:
            raise TypeError(
                f"Sandbox has no argument {name!r}: it takes users, seed, clock, host, port, check_replies, settings, "
                f"and the choices {', '.join(known)}"
            )


class _Thread:
    """Runs a sandbox on its own loop in a thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="thrive-sandbox", daemon=True)

    def begin(self) -> None:
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def end(self) -> None:
        if self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._sandbox.start()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
            return
        finally:
            self._ready.set()
        await self._over.wait()
        await self._sandbox.stop()
