"""`thrive demo`: the main job on a sandbox, in seconds, without network or account."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from thrive_async.cli._applying import rows_of, show_plan, show_report, summary_of
from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import read_sheet
from thrive_async.cli._formats import out
from thrive_async.cli._plan_views import MembersView
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._report_file import ReportFile
from thrive_async.cli._running import run_async

if TYPE_CHECKING:
    from thrive_async.sandbox import Sandbox

__all__ = ["demo"]

AUDIENCE = "field-sales"
_USERS = 6000
_STAY, _LEAVE, _JOIN = 4572, 228, 412
_UNKNOWN = (
    "max.mustermann@example.org", "j.doe@example.org", "temp-0417", "temp-0418", "contractor@example.net",
    "no.such.person@example.com",
)  # fmt: skip
_DUPLICATES = 9
#: Seconds that the sandbox takes to answer: long enough to see the bar move.
_LATENCY = 0.03


@dataclass(frozen=True)
class _People:
    """The rows of the demo's file."""

    rows: list[tuple[str, str, str]]
    unknown: frozenset[str]


def demo(*, keep: Annotated[str | None, Parameter(metavar="FOLDER")] = None) -> int:
    """Show the main job in seconds: make the 5,000 people in a file the members of an audience. No account needed.

    A sandbox starts inside this process; nothing leaves this machine.

    Args:
        keep: Keep the file, the plan, the journal and the report in this folder.
    """
    import tempfile  # noqa: PLC0415 - `--help` does without

    with ExitStack() as stack:
        if keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thrive-demo-")))
        else:
            folder = Path(keep)
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise CliError(f"--keep {keep}: {error.strerror or error}") from error
        return run_async(lambda: _show(folder, kept=keep is not None))


async def _show(folder: Path, *, kept: bool) -> int:
    from thrive_async import sync  # noqa: PLC0415 - after the parsing
    from thrive_async.sandbox import Sandbox  # noqa: PLC0415

    async with Sandbox(users=_USERS, seed=1, latency=_LATENCY) as sandbox, sandbox.client() as thrive:
        people = _arrange(sandbox)
        file = folder / "people.csv"
        _write(file, people.rows)
        members = sandbox.state.audiences[AUDIENCE].members
        out(f"A sandbox of Thrive runs at {sandbox.base_url} with {_USERS:,} users;")
        out(f"its audience {AUDIENCE} has {len(members):,} members.")
        out(f"The file {file.name} from HR names {len(people.rows):,} people who should be in it.")

        out("")
        out("The plan (only reads):")
        desired = read_sheet(str(file)).column()
        plan = await sync.plan_members(thrive, AUDIENCE, desired)
        show_plan(MembersView(plan))

        out("")
        out("Applying it:")
        with ProgressView(AUDIENCE) as progress:
            report = await plan.apply(on_progress=progress, journal=folder / "run.jsonl")
        show_report(report, MembersView(plan))

        out("")
        out("Planning again with the same file:")
        again = await sync.plan_members(thrive, AUDIENCE, desired)
        show_plan(MembersView(again))
        left = frozenset(again.to_add)
        failed = frozenset(outcome.reference for outcome in report.failed)
        done = not again.to_remove and left == people.unknown == failed
        if done:
            out(f"Only the {len(left)} people that Thrive does not know are left: they would fail again.")
            out(f"{AUDIENCE} has {len(members):,} members now.")
        else:
            out("This should not have happened: something else is left to do.")
        if kept:
            plan.save(folder / "plan.json")
            ReportFile(str(folder / "report.csv")).write(summary_of(report), rows_of(report, MembersView(plan)))
            out("")
            out(f"Kept in {folder}: people.csv, plan.json, run.jsonl, report.csv")
    return Exit.DONE if done else Exit.SOME_FAILED


def _arrange(sandbox: Sandbox) -> _People:
    """Make the audience and the rows of the file: most stay, some join, some leave, and some rows are odd."""
    import random  # noqa: PLC0415 - `--help` does without

    chance = random.Random(1)  # noqa: S311 - the demo is the same each time
    state = sandbox.state
    users: list[Any] = [user for user in state.users.values() if user.get("email") and user.get("ref")]
    chance.shuffle(users)
    stay, leave, join = users[:_STAY], users[_STAY : _STAY + _LEAVE], users[_STAY + _LEAVE :][:_JOIN]
    state.add_audience(AUDIENCE, name="Field sales", parent="emea", members=[user["id"] for user in (*stay, *leave)])

    def row(user: Any, name: str) -> tuple[str, str, str]:
        full = " ".join(part for part in (user.get("firstName"), user.get("lastName")) if part)
        return full, name, chance.choice(("Berlin", "Lyon", "Milano", "Kraków", "Zürich"))

    def written(user: Any) -> str:
        # Three systems feed this file: e-mails in any case, personnel numbers.
        email: str = user["email"]
        return chance.choice((email, email, email.upper(), user["ref"]))

    rows = [row(user, written(user)) for user in (*stay, *join)]
    # The same person again: written the same way, or in another.
    rows += [row(user, user["ref"]) for user in chance.sample([*stay, *join], _DUPLICATES)]
    rows += [("Unknown", name, "") for name in _UNKNOWN]
    rows.append(rows[0])
    chance.shuffle(rows)
    return _People(rows, frozenset(_UNKNOWN))


def _write(file: Path, rows: list[tuple[str, str, str]]) -> None:
    # As Excel saves it in half of Europe: semicolons and a byte order mark.
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(("Name", "E-mail", "Site"))
        writer.writerows(rows)
