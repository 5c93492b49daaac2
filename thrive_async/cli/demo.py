"""`thrive demo`: the main job on a sandbox, in seconds, without network or account."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from xml.sax.saxutils import escape

from cyclopts import Parameter

from thrive_async.cli._applying import Applying, rows_of, show_plan, show_report, summary_of
from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import read_sheet, source_of
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import Flag
from thrive_async.cli._page.written import Pages
from thrive_async.cli._plan_views import MembersView
from thrive_async.cli._progress import ProgressView
from thrive_async.cli._report_file import ReportFile
from thrive_async.cli._running import run_async

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.sandbox import Sandbox
    from thrive_async.sync import MemberPlan

__all__ = ["demo"]

AUDIENCE = "field-sales"
_USERS = 6000
_STAY, _LEAVE, _JOIN = 4572, 228, 412
_UNKNOWN = (
    "max.mustermann@example.org", "j.doe@example.org", "temp-0417", "temp-0418", "contractor@example.net",
)  # fmt: skip
_DUPLICATES = 9
#: Seconds that the sandbox takes to answer: long enough to see the bar move.
_LATENCY = 0.03


@dataclass(frozen=True)
class _People:
    """What the demo plays with.

    Attributes:
        rows: The rows of HR's file.
        unknown: The names in it that Thrive does not know.
        moved: The id of a member whom the file names by an address that Thrive does not know yet.
        protected: The address of a member who is not in the file, and stays.
    """

    rows: list[tuple[str, str, str]]
    unknown: frozenset[str]
    moved: str
    protected: str


def demo(
    *,
    keep: Annotated[str | None, Parameter(metavar="FOLDER")] = None,
    open: Flag = False,  # noqa: A002
) -> int:
    """Show the main job in seconds: make the 5,000 people in a file the members of an audience. No account needed.

    A sandbox starts inside this process; nothing leaves this machine. At the end the demo undoes what it did.

    Args:
        keep: The folder for the file, the plan, the journal and the reports; by default a temporary one.
        open: Open the report in your browser.
    """
    import tempfile  # noqa: PLC0415 - `--help` does without
    import webbrowser  # noqa: PLC0415

    folder = Path(keep or tempfile.mkdtemp(prefix="thrive-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"--keep {keep}: {error.strerror or error}") from error
    code = run_async(lambda: _show(folder))
    page = (folder / "report.html").resolve()
    out("")
    out(f"The report, to look at: {page}" + ("" if open else "  (--open shows it in your browser)"))
    out("Beside it: people.xlsx, plan.json, run.jsonl, report.csv.")
    if open:
        webbrowser.open(page.as_uri())
    return code


async def _show(folder: Path) -> int:
    from thrive_async import sync  # noqa: PLC0415 - after the parsing
    from thrive_async.sandbox import Sandbox  # noqa: PLC0415

    async with Sandbox(users=_USERS, seed=1, latency=_LATENCY) as sandbox, sandbox.client() as thrive:
        people = _arrange(sandbox)
        file = folder / "people.xlsx"
        _write(file, people.rows)
        members = sandbox.state.audiences[AUDIENCE].members
        before = set(members)
        out(f"A sandbox of Thrive runs at {sandbox.base_url} with {_USERS:,} users;")
        out(f"its audience {AUDIENCE} has {len(members):,} members.")
        out(f"The workbook {file.name} from HR names {len(people.rows):,} people who should be in it.")

        out("")
        out("The plan (only reads). A member is protected; another may be someone in the file with a new address:")
        sheet = read_sheet(str(file))
        desired = sheet.column()
        plan = await sync.plan_members(thrive, AUDIENCE, desired, protect=[people.protected])
        plan.source = source_of([sheet])
        plan.save(folder / "plan.json")
        show_plan(MembersView(plan))

        out("")
        out("Applying it:")
        report = await _apply(plan, folder, thrive)

        out("")
        out("Planning again with the same file:")
        again = await sync.plan_members(thrive, AUDIENCE, desired, protect=[people.protected])
        out(str(again))
        left = frozenset(again.to_add)
        failed = frozenset(outcome.reference for outcome in report.failed)
        done = left == people.unknown == failed and [one.user_id for one in again.to_remove] == [people.moved]
        if not done:
            out("This should not have happened: something else is left to do.")
            return Exit.SOME_FAILED
        out(f"Only the {len(left)} people that Thrive does not know are left, and the member whom one of them may be.")

        out("")
        out("Undoing it, from the journal:")
        undo = await sync.plan_undo(thrive, folder / "run.jsonl")
        out(str(undo))
        await undo.apply(journal=folder / "run.jsonl")
        whole = set(members) == before
        out(
            f"{AUDIENCE} has {len(members):,} members again{', the same as before' if whole else ', but not the same'}."
        )
    return Exit.DONE if whole else Exit.SOME_FAILED


async def _apply(plan: MemberPlan, folder: Path, thrive: ThriveClient) -> Any:
    """Apply the plan, show what came of it, and write the reports."""
    view = MembersView(plan)
    pages = Pages(view, Applying().how(), page=str(folder / "report.html"))
    await pages.read_names(thrive)
    with ProgressView(AUDIENCE) as progress:
        report = await plan.apply(on_progress=progress, journal=folder / "run.jsonl")
    show_report(report, view)
    rows = list(rows_of(report, view))
    ReportFile(str(folder / "report.csv")).write(summary_of(report), [*rows, *view.unplanned()])
    pages.report({AUDIENCE: (report, rows)})
    return report


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
    moved, protected = leave[:2]
    unknown = (*_UNKNOWN, moved["email"].partition("@")[0] + "@new-company.example")
    rows += [("Unknown", name, "") for name in unknown]
    rows.append(rows[0])
    chance.shuffle(rows)
    return _People(rows, frozenset(unknown), moved["id"], protected["email"])


_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORKBOOK = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_SHEETS}" xmlns:r="{_OFFICE}"><sheets>'
    '<sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
    f'Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def _write(file: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write the least that Excel takes for a workbook: text in cells, and no formats."""
    cells = (
        "".join(f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>' for text in row)
        for row in (("Name", "E-mail", "Site"), *rows)
    )
    sheet = "".join(f"<row>{row}</row>" for row in cells)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as workbook:
        for name, text in _WORKBOOK.items():
            workbook.writestr(name, text)
        workbook.writestr(
            "xl/worksheets/sheet1.xml", f'<worksheet xmlns="{_SHEETS}"><sheetData>{sheet}</sheetData></worksheet>'
        )
