"""`thrive plan`: look at a saved plan, and apply it once it is approved."""

from __future__ import annotations

import getpass
import os
import sys
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from thrive_async.cli._applying import SAFETY, PlanApplying, PlanPages, apply_plan, finish, show_plan
from thrive_async.cli._approval import check_approved
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import Exit, say
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import Flag
from thrive_async.cli._plan_views import PlanView, counted_calls, load_plan, read_plan
from thrive_async.cli._report_file import FIELDS
from thrive_async.cli._resource_commands import Kind, Single, writer
from thrive_async.cli._running import run_async
from thrive_async.cli._sync_audiences import apply_audiences, planned_rows, refusal_rows, show_audiences

if TYPE_CHECKING:
    from thrive_async.cli._page.names import Names
    from thrive_async.sync import AudiencesPlan

__all__ = ["app"]

_CHANGES = Kind(noun="changes", table=FIELDS, fields=FIELDS)

app: App = App(name="plan", help="Look at saved plans, and apply them.")


@app.command
def show(
    file: str,
    /,
    *,
    output: Single = Single(),  # noqa: B008 - frozen
    pages: PlanPages = PlanPages(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Show what a saved plan would change. Thrive is asked only for --names.

    Args:
        file: A plan that --save-plan wrote.
        output: How to show it.
        pages: What else to show.
        connection: The Thrive tenant to use for --names.
    """
    to = writer(output, _CHANGES)
    pages.check(file)
    loaded, names = _looked_at(file, read_plan(file), connection, names=pages.names)
    written = pages.of(loaded, names)
    if output.format == "table" and not to.columns:
        detailed = "who" not in pages.show
        if isinstance(loaded, PlanView):
            show_plan(loaded, detailed=detailed)
            made_at, calls = loaded.plan.made_at, loaded.calls
        else:
            show_audiences(loaded, detailed=detailed)
            made_at, calls = loaded.made_at, counted_calls(loaded.calls)
        written.show()
        say(f"made {made_at:%Y-%m-%d %H:%M} UTC; {calls}")
    else:
        if isinstance(loaded, PlanView):
            rows = chain(loaded.planned(), loaded.unplanned())
        else:
            rows = chain(planned_rows(loaded), refusal_rows(loaded.errors))
        for row in rows:
            to.write(row)
        to.close()
    written.plan()
    return Exit.DONE


@app.command
def review(
    file: str,
    /,
    *,
    names: Flag = False,
    connection: Connection = Connection(),  # noqa: B008 - frozen
) -> int:
    """Look at a saved plan in your browser, and approve or reject it.

    Prints the address of a page on this machine, which is gone once you have decided. The decision is written beside
    the plan, as in plan.json.approval.json; `thrive plan apply --require-approval` needs it. Exits with 0 if the plan
    is approved and with 3 if it is rejected.

    Args:
        file: A plan that --save-plan wrote.
        names: Read people's names from Thrive.
        connection: The Thrive tenant to use for --names.
    """
    from thrive_async.cli._page.content import Subjects, plan_content  # noqa: PLC0415 - after the parsing
    from thrive_async.cli._review import review as reviewed  # noqa: PLC0415

    text = read_plan(file)
    loaded, known = _looked_at(file, text, connection, names=names)
    content = plan_content(Subjects(loaded), known, PlanApplying().how())

    def told(address: str) -> None:
        say("open this page in a browser on this machine; the address is secret, and Ctrl-C ends the review")
        out(address)
        sys.stdout.flush()

    decision = run_async(lambda: reviewed(file, text, content, who=_operator(), told=told))
    say(f"{file} was {decision}")
    return Exit.DONE if decision.decision == "approved" else Exit.GUARD


def _looked_at(
    file: str, text: bytes, connection: Connection, *, names: bool
) -> tuple[PlanView[Any] | AudiencesPlan, Names]:
    """Load a plan to look at it, and read people's names from Thrive if that is asked for."""
    from thrive_async.cli._page.content import Subjects  # noqa: PLC0415 - after the parsing
    from thrive_async.cli._page.names import Names  # noqa: PLC0415
    from thrive_async.cli._page.written import look_up  # noqa: PLC0415

    if not names:
        return load_plan(file, text=text), Names()
    thrive = connection.client()
    loaded = load_plan(file, thrive, text=text)

    async def read() -> Names:
        async with thrive:
            return await look_up(thrive, Subjects(loaded))

    return loaded, run_async(read)


def _operator() -> str:
    """Return who is probably at the keyboard."""
    try:
        return os.environ.get("THRIVE_OPERATOR") or getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as in some containers.
        return ""


@app.command
def apply(
    file: str,
    /,
    *,
    require_approval: Annotated[bool, Parameter(negative="", show_default=False, group=SAFETY)] = False,
    applying: PlanApplying = PlanApplying(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Apply a saved plan, with the same guards as `thrive sync`.

    The lists are read once more: what no longer holds is dropped, and told. A plan that is too old, was applied before,
    or was overtaken by another run is refused.

    Args:
        file: A plan that --save-plan wrote.
        require_approval: Refuse the plan unless `thrive plan review` approved this very file.
        applying: What may happen.
        connection: The Thrive tenant to use.
    """
    applying.check(file)
    protected = applying.protected()
    thrive = connection.client()
    text = read_plan(file)
    if require_approval:
        say(f"{file} was {check_approved(file, text)}")
    loaded = load_plan(file, thrive, text=text)
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
