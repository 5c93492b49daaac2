"""How a command ends: its exit code, and one line that says why."""

from __future__ import annotations

import enum
import os
import sys
from datetime import timedelta

from thrive_async.cli._safe_text import one_line, visible

__all__ = ["CliError", "Exit", "describe", "is_of_the_extra", "report_error", "say"]


class Exit(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    GUARD = 3
    REFUSED = 4
    #: A dry run with --detailed-exitcode found something to do.
    CHANGES = 10
    #: A bug of ours (`EX_SOFTWARE` of sysexits).
    BUG = 70
    HANGUP = 129
    INTERRUPTED = 130
    #: The reader of our output has gone, as after `| head`; what a shell shows for SIGPIPE.
    PIPE = 141
    TERMINATED = 143


class CliError(Exception):
    """A command cannot go on; the message says what to do about it.

    Args:
        message: One line for a person.
        code: What the process exits with.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


#: Packages that only the extra brings.
_OF_THE_EXTRA = frozenset({"cyclopts", "jinja2", "jsonschema_rs", "rich"})


def is_of_the_extra(error: ModuleNotFoundError) -> bool:
    """Return whether the missing package comes with the extra."""
    return (error.name or "").partition(".")[0] in _OF_THE_EXTRA


def say(message: str) -> None:
    """Write one line to standard error, where everything goes that is not data."""
    # Looked up each time: a progress bar replaces sys.stderr, so that lines and bar do not mix.
    sys.stderr.write(one_line(message) + "\n")
    sys.stderr.flush()


def describe(error: BaseException) -> tuple[str, Exit]:
    """Say what an exception means to the person at the command line.

    Args:
        error: What a command raised.

    Returns:
        One line, and the exit code.
    """
    if isinstance(error, CliError):
        return error.message, error.code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", Exit.INTERRUPTED
    if isinstance(error, ImportError) and error.name == "backoff":  # the message says what to do
        return f"{error}", Exit.USAGE
    from thrive_async import errors  # noqa: PLC0415 - an error of the command line does not wait for the SDK

    if isinstance(error, errors.ConfigurationError | errors.InvalidArgument):
        return error.told(_option), Exit.USAGE
    if isinstance(error, errors.GuardRefused):
        return f"refused: {error.told(_option, _passed)}", Exit.GUARD
    if isinstance(error, errors.SyncError):
        return f"{error}", Exit.SOME_FAILED
    if isinstance(error, errors.AuthenticationError):
        hint = "check THRIVE_TENANT_ID and THRIVE_API_KEY, or THRIVE_CLIENT_ID and THRIVE_CLIENT_SECRET"
        return f"{error} ({hint})", Exit.REFUSED
    if isinstance(error, errors.ThriveError):
        return f"{error}", Exit.REFUSED
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror or error}", Exit.USAGE
    if isinstance(error, ValueError):
        return f"{error}", Exit.USAGE
    return f"internal error, please report it: {type(error).__name__}: {error} (THRIVE_DEBUG=1 shows where)", Exit.BUG


# Where an option is not called as the argument that it becomes.
_OPTIONS = {
    "Timeouts.total": "--timeout",
    "Timeouts.attempt": "--timeout",
    "Retry.max_attempts": "--attempts",
    "columns": "--map",
    "removals": "--keep-extra",
    "share": "THRIVE_SHARE",
}


def _option(argument: str) -> str:
    return _OPTIONS.get(argument, f"--{argument.rpartition('.')[2].replace('_', '-')}")


def _passed(argument: str, value: object) -> str:
    if isinstance(value, timedelta):
        value = f"{value // timedelta(hours=1)}h"
    return _option(argument) if value is True else f"{_option(argument)} {value}"


def report_error(error: BaseException) -> int:
    """Print why a command failed as one line on standard error, and give its exit code.

    With the environment variable THRIVE_DEBUG set, the traceback comes first.

    Args:
        error: What a command raised.

    Returns:
        The exit code.
    """
    if os.environ.get("THRIVE_DEBUG") and not isinstance(error, CliError):
        import traceback  # noqa: PLC0415 - only for debugging

        sys.stderr.write(visible("".join(traceback.format_exception(error))))
    message, code = describe(error)
    say(f"thrive: {message}")
    return int(code)
