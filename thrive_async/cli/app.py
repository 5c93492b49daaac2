"""The tree of commands, and how each ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError, Group

from thrive_async.cli._errors import Exit, is_of_the_extra, report_error, say
from thrive_async.cli._formats import abandon_output
from thrive_async.cli._running import Interrupted
from thrive_async.cli.check import check
from thrive_async.cli.demo import demo
from thrive_async.cli.fleet import app as fleet
from thrive_async.cli.journal import app as journal
from thrive_async.cli.plan import app as plan
from thrive_async.cli.profile import app as profile
from thrive_async.cli.resources import apps as looks
from thrive_async.cli.sandbox import sandbox
from thrive_async.cli.spec import spec
from thrive_async.cli.sync import app as sync
from thrive_async.cli.undo import undo

__all__ = ["app", "run"]


def _version() -> str:
    from thrive_async import __version__  # noqa: PLC0415 - only `--version` asks

    return __version__


app: App = App(
    name="thrive",
    help="Thrive Learning from the command line. `thrive demo` shows what it does, without an account.",
    help_epilogue=(
        "Exit codes: 0 all done, 1 some failed, 2 wrong usage or configuration, 3 a guard refused, "
        "4 Thrive refused or could not be reached, 130 interrupted."
    ),
    version=_version,
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
_JOBS = Group("Jobs", sort_key=1)
_LOOK = Group("A look at what is there (list, get)", sort_key=2)
app.command(demo, group=_JOBS)
app.command(sandbox, group=_JOBS)
app.command(check, group=_JOBS)
app.command(spec, group=_JOBS)
app.command(undo, group=_JOBS)
for _part in (sync, plan, profile, journal, fleet):
    _part.group = (_JOBS,)
    app.command(_part)
for _part in looks():
    _part.group = (_LOOK,)
    app.command(_part)


def run(tokens: Sequence[str]) -> int:
    """Run one command line.

    Args:
        tokens: The words after `thrive`.

    Returns:
        The exit code; every error was told on standard error by then.
    """
    _prepare_streams()
    try:
        result = app(list(tokens), exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        command = " ".join(("thrive", *(error.command_chain or ())))
        error.verbose = False
        say(f"thrive: {error} See `{command} --help`.")
        return Exit.USAGE
    except Interrupted as interrupted:
        return interrupted.code
    except (Exception, KeyboardInterrupt) as error:
        if _reader_is_gone(error):
            abandon_output()
            return Exit.PIPE
        if isinstance(error, ModuleNotFoundError) and is_of_the_extra(error):
            raise
        return report_error(error)
    return result if isinstance(result, int) else Exit.DONE


def _prepare_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character shows its code instead of ending the command.
        options = {"errors": "backslashreplace"}
        if sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
            # Data in a file or a pipe is the same on every system: not in cp1252, no CR doubled within a CSV's cell.
            options |= {"encoding": "utf-8", "newline": "\n"}
        with suppress(AttributeError, ValueError):
            stream.reconfigure(**options)  # type: ignore[union-attr]


def _reader_is_gone(error: BaseException) -> bool:
    """Return whether standard output has no reader any more, as after `| head`; Windows calls that EINVAL."""
    unread = isinstance(error, OSError) and error.errno == errno.EINVAL and not error.filename
    return isinstance(error, BrokenPipeError) or (unread and sys.platform == "win32")
