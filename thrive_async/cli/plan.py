"""`thrive plan`: look at a saved plan, and apply it once it is approved."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain

from cyclopts import App

from thrive_async.cli._applying import PlanApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import Exit, say
from thrive_async.cli._plan_views import PlanView, counted_calls, load_plan
from thrive_async.cli._report_file import FIELDS
from thrive_async.cli._resource_commands import Kind, Single, writer
from thrive_async.cli._sync_audiences import apply_audiences, planned_rows, refusal_rows, show_audiences

__all__ = ["app"]

_CHANGES = Kind(noun="changes", table=FIELDS, fields=FIELDS)

app: App = App(name="plan", help="Look at saved plans, and apply them.")


@app.command
def show(file: str, /, *, output: Single = Single()) -> int:  # noqa: B008 - frozen
    """Show what a saved plan would change, without asking Thrive.

    Args:
        file: A plan that --save-plan wrote.
        output: How to show it.
    """
    to = writer(output, _CHANGES)
    loaded = load_plan(file)
    if output.format == "table" and not to.columns:
        if isinstance(loaded, PlanView):
            show_plan(loaded, detailed=True)
            made_at, calls = loaded.plan.made_at, loaded.calls
        else:
            show_audiences(loaded, detailed=True)
            made_at, calls = loaded.made_at, counted_calls(loaded.calls)
        say(f"made {made_at:%Y-%m-%d %H:%M} UTC; {calls}")
        return Exit.DONE
    if isinstance(loaded, PlanView):
        rows = chain(loaded.planned(), loaded.unplanned())
    else:
        rows = chain(planned_rows(loaded), refusal_rows(loaded.errors))
    for row in rows:
        to.write(row)
    to.close()
    return Exit.DONE


@app.command
def apply(
    file: str,
    /,
    *,
    applying: PlanApplying = PlanApplying(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Apply a saved plan, with the same guards as `thrive sync`.

    The lists are read once more: what no longer holds is dropped, and told. A plan that is too old, was applied before,
    or was overtaken by another run is refused.

    Args:
        file: A plan that --save-plan wrote.
        applying: What may happen.
        connection: The Thrive tenant to use.
    """
    applying.check(file)
    protected = applying.protected()
    thrive = connection.client()
    loaded = load_plan(file, thrive)
    report = applying.report_file()

    async def main() -> int:
        async with thrive, applying.alone():
            plan = loaded.plan if isinstance(loaded, PlanView) else loaded
            say(f"made {_ago(plan.age)} ago, at {plan.made_at:%Y-%m-%d %H:%M} UTC; reading the lists once more")
            plan.check_age(file, applying.how()["max_age"])
            await plan.refresh()
            if isinstance(loaded, PlanView):
                loaded.protect(protected)
                show_plan(loaded)
                return await apply_plan(loaded, applying, report, thrive)
            for one in loaded.plans.values():
                one.protect(protected)
            show_audiences(loaded)
            return await apply_audiences(loaded, applying, report, thrive)

    return finish(main, report)


def _ago(age: timedelta) -> str:
    minutes = age // timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"
