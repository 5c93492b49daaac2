"""Pytest fixtures that give your tests a sandbox.

Pytest finds the plugin itself. It imports aiohttp, the client and the sandbox only when a test uses one of its
fixtures.

- `thrive_sandbox`: a running `Sandbox` on the test's loop, under pytest-asyncio or anyio. For a test that is not a
  coroutine, it runs in a thread.
- `thrive_client`: a `ThriveClient` for that sandbox, closed at the end of the test.
- `@pytest.mark.thrive(users=1000, seed=7, rate_limit=20)`: the sandbox's arguments. `clock="virtual"` gives it a
  `VirtualClock`, which makes every wait instant. On a class or module, the marker applies to all of its tests; the
  nearest marker wins.

Example:
    ```python
    @pytest.mark.thrive(users=500, clock="virtual")
    async def test_a_rate_limit_only_delays_the_job(thrive_sandbox, thrive_client):
        thrive_sandbox.faults.add("rate_limited", retry_after=30)
        await thrive_client.audiences.members.add("sales-emea", ["E00001"])
        assert "E00001" in thrive_sandbox.state.audiences["sales-emea"].members
    ```
"""

import inspect
from collections.abc import AsyncGenerator, Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import pytest

if TYPE_CHECKING:
    from thrive_async.client import ThriveClient
    from thrive_async.sandbox import Sandbox

__all__ = ["thrive_client", "thrive_sandbox"]

_SCOPES: Final[tuple[Literal["function", "class", "module", "package", "session"], ...]] = (
    "function",
    "class",
    "module",
    "package",
    "session",
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and register fixtures for pytest-asyncio if it is installed."""
    config.addinivalue_line(
        "markers",
        'thrive(users=100, seed=1, clock="virtual", **choices): arguments of the sandbox behind thrive_sandbox and '
        "thrive_client.",
    )
    if config.pluginmanager.hasplugin("asyncio"):
        config.pluginmanager.register(_asyncio_fixtures(), "thrive_async_asyncio")


def _make(request: pytest.FixtureRequest) -> "Sandbox":
    from thrive_async.sandbox import Sandbox, VirtualClock  # noqa: PLC0415 - nothing is imported until used

    arguments: dict[str, Any] = {}
    # The nearest marker comes first and wins.
    for marker in reversed(list(request.node.iter_markers("thrive"))):
        if marker.args:
            raise pytest.UsageError(f"{request.node.nodeid}: the marker thrive takes only keyword arguments")
        arguments.update(marker.kwargs)
    if isinstance(arguments.get("clock"), str):
        if arguments["clock"] != "virtual":
            raise pytest.UsageError(f'{request.node.nodeid}: clock is "virtual" or a VirtualClock')
        arguments["clock"] = VirtualClock()
    try:
        return Sandbox(**arguments)
    except (TypeError, ValueError) as error:
        raise pytest.UsageError(f"{request.node.nodeid}: the marker thrive: {error}") from None


def _serving() -> "Callable[[pytest.FixtureRequest], AsyncGenerator[Sandbox, None]]":
    """Make a fixture function. Each fixture needs its own, because pytest-asyncio stores the loop's scope on it."""

    async def serve(request: pytest.FixtureRequest) -> "AsyncGenerator[Sandbox, None]":
        async with _make(request) as sandbox:
            yield sandbox

    return serve


def _asyncio_fixtures() -> ModuleType:
    """Fixtures for pytest-asyncio, one for each scope that a test's loop may have."""
    import pytest_asyncio  # noqa: PLC0415 - it is loaded already, by pytest

    fixtures = ModuleType("thrive_async_asyncio")
    for scope in _SCOPES:
        name = f"_thrive_sandbox_asyncio_{scope}"
        make: Any = pytest_asyncio.fixture(loop_scope=scope, name=name)
        setattr(fixtures, name, make(_serving()))
    return fixtures


# anyio runs a plain async fixture for each of its tests.
_thrive_sandbox_anyio = pytest.fixture(name="_thrive_sandbox_anyio")(_serving())


@pytest.fixture(name="_thrive_sandbox_thread")
def _thrive_sandbox_thread(request: pytest.FixtureRequest) -> "Iterator[Sandbox]":  # pyright: ignore[reportUnusedFunction]
    with _make(request) as sandbox:
        yield sandbox


def _loop_scope(item: Any) -> str:
    """Return the scope of the loop on which pytest-asyncio runs a test."""
    marker = item.get_closest_marker("asyncio")
    chosen = marker.kwargs.get("loop_scope", marker.kwargs.get("scope")) if marker is not None else None
    return chosen or item.config.getini("asyncio_default_test_loop_scope") or "function"


def _runs_on_trio(item: Any, request: pytest.FixtureRequest) -> bool:
    """Return whether anyio or pytest-trio runs a test on trio."""
    backend: object = request.getfixturevalue("anyio_backend") if "anyio_backend" in item.fixturenames else ""
    # The backend is a name, or a tuple of a name and options.
    name = cast("tuple[object, ...]", backend)[0] if isinstance(backend, tuple) else backend
    return name == "trio" or item.get_closest_marker("trio") is not None


@pytest.fixture
def thrive_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """A running sandbox for this test, with the arguments from the marker `thrive`.

    Returns:
        The `Sandbox`: `.state`, `.faults`, `.requests`, `.base_url`, `.client()`...
    """
    item: Any = request.node
    function = getattr(item, "obj", None)
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    if _runs_on_trio(item, request):
        raise pytest.UsageError(
            f"{item.nodeid}: thrive_sandbox and thrive_client need asyncio, but this test runs on trio: let the "
            'fixture anyio_backend return "asyncio"'
        )
    if "anyio_backend" in item.fixturenames:
        if type(item).__module__.startswith("pytest_asyncio"):
            raise pytest.UsageError(
                f"{item.nodeid}: both anyio and pytest-asyncio want this test: set asyncio_mode = strict, or drop the "
                "anyio marker"
            )
        name = "_thrive_sandbox_anyio"
    elif inspect.iscoroutinefunction(inner) and item.config.pluginmanager.hasplugin("asyncio"):
        name = f"_thrive_sandbox_asyncio_{_loop_scope(item)}"
    else:
        name = "_thrive_sandbox_thread"
    sandbox: Sandbox = request.getfixturevalue(name)
    return sandbox


@pytest.fixture
def thrive_client(thrive_sandbox: "Sandbox") -> "ThriveClient":
    """A client of the sandbox, closed with it.

    Returns:
        A `ThriveClient` with an API key that gives access to everything.
    """
    return thrive_sandbox.client()
