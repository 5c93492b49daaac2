"""Connects a command: the client from the environment and the options, and a loop that signals can stop."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from cyclopts import Group, Parameter

from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._text import one_line

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from thrive_async import ThriveClient

__all__ = ["CONNECTION", "Connection", "Interrupted", "ask", "run_async"]

T = TypeVar("T")
# Windows has no SIGHUP; it sends SIGBREAK for Ctrl-Break, and when its console window is closed.
_EXITS: Final = {
    signal.Signals[name]: code
    for name, code in (
        ("SIGINT", Exit.INTERRUPTED),
        ("SIGTERM", Exit.TERMINATED),
        ("SIGHUP", Exit.HANGUP),
        ("SIGBREAK", Exit.HANGUP),
    )
    if name in signal.Signals.__members__
}

CONNECTION = Group(
    "Connection",
    help="The key and the secret come from the environment or from a file that it names, never from an option: "
    "THRIVE_API_KEY or THRIVE_API_KEY_FILE; or THRIVE_CLIENT_ID with THRIVE_CLIENT_SECRET or "
    "THRIVE_CLIENT_SECRET_FILE.",
    sort_key=90,
)


@Parameter(name="*", group=CONNECTION)
@dataclass(frozen=True, kw_only=True)
class Connection:
    """Which Thrive to ask, and how fast."""

    tenant_id: Annotated[str | None, Parameter(env_var="THRIVE_TENANT_ID")] = None
    """The tenant, as in eu-west-2_AbcdEfghI."""
    region: Annotated[str | None, Parameter(env_var="THRIVE_REGION")] = None
    """production (the default), staging, production-mea or staging-mea."""
    base_url: Annotated[str | None, Parameter(env_var="THRIVE_BASE_URL")] = None
    """A host to use instead of the region's, such as the sandbox's http://127.0.0.1:8080."""
    rate: float | None = None
    """Requests per second; by default as many as Thrive allows."""
    concurrency: int | None = None
    """Requests at the same time (default 10)."""
    per_page: int | None = None
    """Items per page of every list; by default as many as Thrive documents: 1000, or 100."""
    timeout: float | None = None
    """Seconds for one call with all its attempts and pauses (default 120)."""
    attempts: int | None = None
    """Attempts per call (default 5)."""

    def client(self) -> ThriveClient:
        """Return the client; nothing is sent.

        Raises:
            CliError: The environment lacks something.
            ConfigurationError: Something in it cannot work.
        """
        from thrive_async import Limits, Region, Retry, ThriveClient, Timeouts  # noqa: PLC0415 - after the parsing
        from thrive_async._environment import Environment  # noqa: PLC0415

        if self.tenant_id is None:
            raise CliError(
                "no tenant: set THRIVE_TENANT_ID (and THRIVE_API_KEY), or try `thrive demo`, which needs neither"
            )
        if not self.tenant_id.strip():
            raise CliError("THRIVE_TENANT_ID (or --tenant-id) is empty: Thrive issues it, as in eu-west-2_AbcdEfghI")
        limits: dict[str, Any] = {"rate": self.rate, "concurrency": self.concurrency, "per_page": self.per_page}
        timeouts: dict[str, Any] = {}
        if self.timeout is not None:
            # An attempt cannot take longer than its call.
            timeouts = {"total": self.timeout, "attempt": min(Timeouts().attempt or self.timeout, self.timeout)}
        return ThriveClient(
            self.tenant_id.strip(),
            Environment().credentials(),
            region=Region.parse(self.region) if self.region and self.region.strip() else Region.PRODUCTION,
            base_url=self.base_url or None,
            timeouts=Timeouts(**timeouts),
            retry=Retry() if self.attempts is None else Retry(max_attempts=self.attempts),
            limits=Limits(**{name: value for name, value in limits.items() if value is not None}),
        )


class Interrupted(Exception):  # noqa: N818 - not an error: someone asked for it
    """The command was asked to stop, and has reported what it did.

    Args:
        code: What the process exits with.
    """

    def __init__(self, code: Exit = Exit.INTERRUPTED) -> None:
        super().__init__("interrupted")
        self.code = code


def run_async(main: Callable[[], Coroutine[Any, Any, T]], *, notice: str | None = None) -> T:
    """Run a command's coroutine; Ctrl-C, SIGTERM and SIGHUP cancel it, so that it can report before it ends.

    A SIGHUP that is ignored, as under `nohup`, stays ignored.

    Args:
        main: Makes the coroutine. When cancelled it prints what it has done so far and lets the cancellation pass.
        notice: Told at the first signal.

    Returns:
        What the coroutine returns, even if a signal came when it was done already.

    Raises:
        Interrupted: A signal cancelled it.
    """
    import asyncio  # noqa: PLC0415 - `--help` does without

    caught: list[signal.Signals] = []

    async def watched() -> T:
        task = asyncio.ensure_future(main())

        def stop(number: signal.Signals) -> None:
            first = not caught
            caught.append(number)
            task.cancel()
            if notice is not None and first:
                try:
                    say(notice)
                except OSError:
                    _mute()

        with _handled(asyncio.get_running_loop(), stop):
            return await task

    try:
        return asyncio.run(watched())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise Interrupted(max((_EXITS[number] for number in caught), default=Exit.INTERRUPTED)) from None


@contextmanager
def _handled(loop: AbstractEventLoop, stop: Callable[[signal.Signals], None]) -> Generator[None]:
    """Call `stop` in the loop at each signal that ends a command; outside the main thread signals are left alone."""
    before: dict[signal.Signals, Any] = {}
    added: list[signal.Signals] = []

    def called(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(stop, signal.Signals(number))

    try:
        with suppress(ValueError, RuntimeError):
            for number in _EXITS:
                if number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                try:
                    loop.add_signal_handler(number, stop, number)
                    added.append(number)
                except NotImplementedError:
                    # The loops of Windows.
                    before[number] = signal.signal(number, called)
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)
        for number, handler in before.items():
            signal.signal(number, handler)


def _mute() -> None:
    """Send nothing more to a terminal that has gone: writing there fails, and the report is still to be written."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def ask(question: str) -> bool:
    """Ask on the terminal and wait; nothing else is under way then, so the loop waits too.

    Args:
        question: The question, without "[y/N]".

    Returns:
        True for "y" or "yes"; False for anything else and at the end of input.

    Raises:
        asyncio.CancelledError: Ctrl-C.
    """
    import asyncio  # noqa: PLC0415 - `--help` does without

    try:
        # The loop's own handler would note the Ctrl-C and go on waiting for a line.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    except ValueError:  # not the main thread
        previous = None
    try:
        sys.stderr.write(f"{one_line(question)} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise asyncio.CancelledError from None
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)
    if not answer:
        sys.stderr.write("\n")
    return answer.strip().casefold() in {"y", "yes"}
