"""The tree of commands, and how each of them ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

from cyclopts import App, CycloptsError, Group

from thrive_async.cli import audiences, cpd, is_of_the_extra, learning, users
from thrive_async.cli._errors import Exit, report_error, say
from thrive_async.cli._session import Interrupted
from thrive_async.cli.check import check
from thrive_async.cli.demo import demo
from thrive_async.cli.plan import app as plan
from thrive_async.cli.sandbox import sandbox
from thrive_async.cli.sync import app as sync

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
for _part in (sync, plan):
    _part.group = (_JOBS,)
    app.command(_part)
for _part in (
    users.app,
    audiences.app,
    learning.assignments,
    learning.completions,
    learning.contents,
    learning.activities,
    cpd.app,
    cpd.tags,
    cpd.skills,
):
    _part.group = (_LOOK,)
    app.command(_part)


def run(tokens: Sequence[str]) -> int:
    """Run one command line.

    Args:
        tokens: the words after `thrive`.

    Returns:
        The exit code; every error has been told on standard error by then.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal or pipe that cannot show a character shows its code instead of ending the command.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
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
    except BrokenPipeError:
        # Nobody reads on, as with `| head`; and nothing may be flushed to them at exit.
        with suppress(OSError, ValueError):
            import os  # noqa: PLC0415

            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.PIPE
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, ModuleNotFoundError) and is_of_the_extra(error):
            raise
        return report_error(error)
    return result if isinstance(result, int) else Exit.DONE
