"""`thrive plan`: look at a plan that was saved, and apply it once somebody has agreed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App

from thrive_async.cli._apply import Applying, apply_plan, finish, planned_fates, show_plan
from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._listing import Single
from thrive_async.cli._output import Writer
from thrive_async.cli._reports import FIELDS
from thrive_async.cli._session import Connection

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.sync import MemberPlan

__all__ = ["app"]

app: App = App(name="plan", help="Look at saved plans, and apply them.")


def load(file: str, thrive: ThriveClient | None = None) -> MemberPlan:
    """Read a plan that --save-plan wrote.

    Raises:
        CliError: it cannot be read.
        ConfigurationError: it is no plan, or was changed since.
    """
    from thrive_async.sync import MemberPlan  # noqa: PLC0415 - after the parsing

    try:
        return MemberPlan.load(file, thrive)
    except OSError as error:
        raise CliError(f"cannot read {file}: {error.strerror or error}") from error


@app.command
def show(file: str, /, *, output: Single = Single()) -> int:  # noqa: B008 - frozen
    """Show what a saved plan would change; Thrive is not asked.

    Args:
        file: A plan written by --save-plan.
        output: How to show it.
    """
    plan = load(file)
    if output.format == "table":
        show_plan(plan, detailed=True)
        calls = plan.calls
        say(f"made {plan.made_at:%Y-%m-%d %H:%M} UTC; {calls['diff']:,} requests, {calls['rebuild']:,} by rebuild")
        return Exit.DONE
    writer = Writer(output.format, columns=(), defaults=FIELDS)
    for fate in planned_fates(plan):
        writer.write(fate)
    writer.close()
    return Exit.DONE


@app.command
def apply(
    file: str,
    /,
    *,
    applying: Applying = Applying(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Apply a saved plan. Its guards hold as they do for `thrive sync`.

    What has changed in Thrive since the plan was made is not looked at again: apply it soon.

    Args:
        file: A plan written by --save-plan.
        applying: What may happen.
        connection: Whom to ask.
    """
    applying.limit()
    thrive = connection.client()
    plan = load(file, thrive)
    report = applying.report_file()

    async def main() -> int:
        async with thrive:
            show_plan(plan)
            return await apply_plan(plan, applying, report)

    return finish(main, report)
