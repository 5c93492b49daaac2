"""`thrive undo`: bring back what a run did, by a plan like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from thrive_async.cli._applying import AnyApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, say
from thrive_async.cli._plan_views import ManagersView, MembersView, PlanView, UsersView, save
from thrive_async.cli._safe_text import counted
from thrive_async.cli._sync_audiences import apply_audiences, show_audiences

if TYPE_CHECKING:
    from thrive_async.sync import ManagerPlan, MemberPlan, UserPlan

__all__ = ["undo"]


def undo(
    journal: str,
    /,
    *,
    run: str | None = None,
    only: Literal["removals", "additions", "changes"] | None = None,
    returning: Literal["report", "unsuspend"] = "report",
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: AnyApplying = AnyApplying(),  # noqa: B008 - frozen
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Bring back what a run did: add the removed again, remove the added, put changed fields back.

    What was changed again since is held, with the reason. The undo is a run of its own in the same journal, so it can
    be undone, too.

    Args:
        journal: The journal of the run.
        run: The run, by its id or how that begins; `thrive journal runs` lists them. By default the last run that
            changed something. The audiences of one command are one run.
        only: Undo only what the run removed or suspended, added or created, or changed.
        returning: What to do with users that the run suspended; unsuspend sends a legacy event for each.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the undo may do.
        connection: The Thrive tenant to use.
    """
    if not Path(journal).is_file():
        raise CliError(f"cannot read {journal}: no such file")
    applying = replace(applying, journal=applying.journal or journal)
    applying.check(save_plan=save_plan)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        import asyncio  # noqa: PLC0415 - after the parsing

        from thrive_async import sync  # noqa: PLC0415

        async with thrive, applying.alone():
            plan = await sync.plan_undo(thrive, journal, run, only, returning=returning, protect=protected)
            say(await asyncio.to_thread(_told, journal, plan.undoes))
            if isinstance(plan, sync.AudiencesPlan):
                show_audiences(plan)
                if save_plan is not None:
                    save(plan, save_plan)
                return await apply_audiences(plan, applying, report, thrive)
            view = _view(plan)
            show_plan(view)
            if save_plan is not None:
                save(plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)


def _view(plan: MemberPlan | ManagerPlan | UserPlan) -> PlanView[Any]:
    from thrive_async import sync  # noqa: PLC0415 - after the parsing

    if isinstance(plan, sync.UserPlan):
        return UsersView(plan)
    return ManagersView(plan) if isinstance(plan, sync.ManagerPlan) else MembersView(plan)


def _told(journal: str, undone: str | None) -> str:
    """Say which run is undone."""
    from thrive_async.sync._apply.records import calls_of  # noqa: PLC0415 - after the parsing

    call = next(one for one in calls_of(journal).values() if undone in (one.id, *one.openings))
    opening = call.openings[undone] if undone in call.openings else next(iter(call.openings.values()))
    audiences = str(opening["audience"]) if undone != call.id or len(call.openings) == 1 else ""
    what = audiences or counted(len(call.openings), "audiences")
    source = f" from {opening['source']['name']}" if opening.get("source") else ""
    counts = ", ".join(f"{call.counts.get(word, 0):,} {word}" for word in ("added", "changed", "removed"))
    who = f" by {opening['operator']}" if opening.get("operator") else ""
    return f"undoing run {undone} of {call.at[:16].replace('T', ' ')} UTC{who}: {what}{source}, {counts}"
