"""`thrive plan`: look at a plan that was saved, and apply it once somebody has agreed to it."""

from __future__ import annotations

from itertools import chain

from cyclopts import App

from thrive_async.cli._apply import MemberApplying, apply_plan, finish, show_plan
from thrive_async.cli._errors import Exit, say
from thrive_async.cli._listing import Kind, Single, columns_of
from thrive_async.cli._output import Writer
from thrive_async.cli._plans import PlanView, counted_calls, load_plan
from thrive_async.cli._reports import FIELDS
from thrive_async.cli._session import Connection
from thrive_async.cli._sync_audiences import apply_audiences, planned_fates, refusal_fates, show_audiences

__all__ = ["app"]

_CHANGES = Kind(noun="changes", table=FIELDS, fields=FIELDS)

app: App = App(name="plan", help="Look at saved plans, and apply them.")


@app.command
def show(file: str, /, *, output: Single = Single()) -> int:  # noqa: B008 - frozen
    """Show what a saved plan would change; Thrive is not asked.

    Args:
        file: A plan written by --save-plan.
        output: How to show it.
    """
    columns = columns_of(output, _CHANGES)
    loaded = load_plan(file)
    if output.format == "table" and not columns:
        if isinstance(loaded, PlanView):
            show_plan(loaded, detailed=True)
            made_at, calls = loaded.plan.made_at, loaded.calls
        else:
            show_audiences(loaded, detailed=True)
            made_at, calls = loaded.made_at, counted_calls(loaded.calls)
        say(f"made {made_at:%Y-%m-%d %H:%M} UTC; {calls}")
        return Exit.DONE
    if isinstance(loaded, PlanView):
        fates = chain(loaded.planned(), loaded.unplanned())
    else:
        fates = chain(planned_fates(loaded), refusal_fates(loaded.errors))
    writer = Writer(output.format, columns=columns, defaults=FIELDS)
    for fate in fates:
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
    applying.check(file)
    thrive = connection.client()
    loaded = load_plan(file, thrive)
    report = applying.report_file()

    async def main() -> int:
        async with thrive:
            if isinstance(loaded, PlanView):
                show_plan(loaded)
                return await apply_plan(loaded, applying, report)
            show_audiences(loaded)
            return await apply_audiences(loaded, applying, report)

    return finish(main, report)
