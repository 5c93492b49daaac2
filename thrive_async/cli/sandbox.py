"""`thrive sandbox`: serves a sandbox of Thrive until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import seconds
from thrive_async.cli._running import Interrupted, run_async

if TYPE_CHECKING:
    from thrive_async.sandbox import Sandbox

__all__ = ["sandbox"]

_JOURNAL = 1000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def sandbox(
    *,
    port: int = 8080,
    host: str = "127.0.0.1",
    users: int = 1000,
    seed: int = 1,
    latency: Annotated[str, Parameter(metavar="TIME")] = "0ms",
    rate_limit: Annotated[float | None, Parameter(metavar="R")] = None,
) -> int:
    """Serve a stateful sandbox of Thrive with made-up people on this machine, and print how to reach it.

    Ctrl-C stops it. In a browser, its address shows every operation with a form to try it, and the latest requests.

    Args:
        port: The port; 0 for any free one.
        host: Where to listen; by default only this machine can reach it.
        users: How many people to make up.
        seed: The same seed makes the same people, ids and secrets.
        latency: How long each request takes, such as 50ms.
        rate_limit: Requests per second; more get a 429.
    """
    delay = seconds(latency, "--latency")
    if users < 0:
        raise CliError(f"--users {users}: zero or more")
    if not 0 <= port <= 65535:
        raise CliError(f"--port {port}: 0 to 65535")
    if rate_limit is not None and rate_limit <= 0:
        raise CliError(f"--rate-limit {rate_limit:g}: requests per second, above zero")

    async def serve() -> int:
        import asyncio  # noqa: PLC0415 - `--help` does without

        from thrive_async.sandbox import Sandbox  # noqa: PLC0415 - after the parsing

        made = Sandbox(users, seed, host=host, port=port, latency=delay, rate_limit=rate_limit, journal_size=_JOURNAL)
        try:
            await made.start()
        except OSError as error:
            why = error.strerror or str(error)
            raise CliError(f"cannot listen on {host} port {port}: {why}; --port 0 takes any free one") from error
        try:
            announce(made, users=users, seed=seed)
            await asyncio.Event().wait()
        finally:
            await made.stop()
        return Exit.DONE

    try:
        return run_async(serve)
    except Interrupted:
        # This is how serving ends.
        return Exit.DONE


def announce(made: Sandbox, *, users: int, seed: int) -> None:
    """Print how to reach a running sandbox, for people and for a shell."""
    import sys  # noqa: PLC0415

    tokens = made.tokens
    say(f"Thrive sandbox with {users:,} users (seed {seed}); Ctrl-C stops it. In a browser: {made.base_url}/")
    if made.host not in _LOOPBACK:
        say(f"It listens on {made.host}: anyone who reaches this machine can read and change its data.")
    for name, value in (
        ("base URL", made.base_url),
        ("tenant", tokens.tenant_id),
        ("API key", tokens.api_key),
        ("client id", tokens.client_id),
        ("client secret", tokens.client_secret),
    ):
        out(f"{name:<15}{value}")
    out("")
    for name, value in made.environment.items():
        out(f"export {name}={value}")
    sys.stdout.flush()
