"""`thrive plan`: look at a plan that was saved, and apply it once somebody has agreed to it."""

from __future__ import annotations

from cyclopts import App

from thrive_async.cli._apply import MemberApplying, apply_plan, finish, show_plan
from thrive_async.cli._errors import Exit, say
from thrive_async.cli._listing import Single
from thrive_async.cli._output import Writer
from thrive_async.cli._plans import load_plan
from thrive_async.cli._reports import FIELDS
from thrive_async.cli._session import Connection

__all__ = ["app"]

app: App = App(name="plan", help="Look at saved plans, and apply them.")


@app.command
def show(file: str, /, *, output: Single = Single()) -> int:  # noqa: B008 - frozen
    """Show what a saved plan would change; Thrive is not asked.

    Args:
        file: A plan written by --save-plan.
        output: How to show it.
    """
    view = load_plan(file)
    if output.format == "table":
        show_plan(view, detailed=True)
        say(f"made {view.plan.made_at:%Y-%m-%d %H:%M} UTC; {view.calls}")
        return Exit.DONE
    writer = Writer(output.format, columns=(), defaults=FIELDS)
    for fate in (*view.planned(), *view.unplanned()):
        writer.write(fate)
    writer.close()
    return Exit.DONE


@app.command
def apply(
    file: str,
    /,
    *,
    applying: MemberApplying = MemberApplying(),  # noqa: B008 - frozen
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
    view = load_plan(file, thrive)
    report = applying.report_file()

    async def main() -> int:
        async with thrive:
            show_plan(view)
            return await apply_plan(view, applying, report)

    return finish(main, report)
