"""Runs a command: a loop that signals can stop, and questions on the terminal."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from thrive_async.cli._errors import Exit, say
from thrive_async.cli._safe_text import one_line

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Interrupted", "ask", "run_async"]

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
        notice: What to print at the first signal.

    Returns:
        What the coroutine returns, even if a signal came after it had finished.

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
    """Send nothing more to a terminal that is gone: writing would fail, and the report is not yet written."""
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
