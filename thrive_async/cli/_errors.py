"""How a command ends: its exit code, and the one line that says why."""

from __future__ import annotations

import enum
import os
import sys

from thrive_async.cli._text import one_line

__all__ = ["CliError", "Exit", "describe", "report_error", "say"]


class Exit(enum.IntEnum):
    """The exit codes of every command."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    GUARD = 3
    REFUSED = 4
    #: A bug of ours, not the user's mistake nor Thrive's answer (`EX_SOFTWARE` of sysexits).
    BUG = 70
    HANGUP = 129
    INTERRUPTED = 130
    #: The reader of our output went away, as with `| head`; what a shell shows for SIGPIPE.
    PIPE = 141
    TERMINATED = 143


class CliError(Exception):
    """A command cannot go on; the message says what to do about it.

    Args:
        message: one line for a person.
        code: what the process exits with.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def say(message: str) -> None:
    """Write one line to standard error, where everything goes that is not data."""
    # sys.stderr is looked up each time: a progress bar puts its own there, so that lines and bar do not mix.
    sys.stderr.write(one_line(message) + "\n")
    sys.stderr.flush()


def describe(error: BaseException) -> tuple[str, Exit]:
    """Say what an exception means to the person at the command line.

    Args:
        error: whatever a command raised.

    Returns:
        One line, and the exit code.
    """
    if isinstance(error, CliError):
        return error.message, error.code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", Exit.INTERRUPTED
    # Imported here: an error of the command line itself must not wait for the SDK to load.
    from thrive_async import errors  # noqa: PLC0415

    if isinstance(error, errors.ConfigurationError):
        return _as_options(str(error)), Exit.USAGE
    if isinstance(error, errors.InvalidArgument):
        return error.told(_option), Exit.USAGE
    if isinstance(error, errors.GuardRefused):
        return f"refused: {_as_options(error.told(_option, _passed))}", Exit.GUARD
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


_OPTIONS = (
    ("create_missing= of sync_audiences", "--create-missing of thrive sync audiences"),
    ("create_missing ", "--create-missing "),
    ("Timeouts.total ", "--timeout "),
    ("Timeouts.attempt ", "--timeout "),
    ("Limits.concurrency ", "--concurrency "),
    ("Limits.rate ", "--rate "),
    ("Retry.max_attempts ", "--attempts "),
    (", or None for no limit", ""),
)


def _option(argument: str) -> str:
    return f"--{argument.replace('_', '-')}"


def _passed(argument: str, value: object) -> str:
    return _option(argument) if value is True else f"{_option(argument)} {value}"


def _as_options(text: str) -> str:
    """Name the options of the command line where an error's words name arguments of the SDK."""
    for argument, option in _OPTIONS:
        text = text.replace(argument, option)
    return text


def report_error(error: BaseException) -> int:
    """Print why a command failed as one line on standard error, and give its exit code.

    With the environment variable THRIVE_DEBUG set, the traceback comes first.

    Args:
        error: whatever a command raised.

    Returns:
        The exit code.
    """
    if os.environ.get("THRIVE_DEBUG") and not isinstance(error, CliError):
        import traceback  # noqa: PLC0415 - only who debugs waits for it

        traceback.print_exception(error, file=sys.stderr)
    message, code = describe(error)
    say(f"thrive: {message}")
    return int(code)
