"""Writes pages: to a file, to the summary of a job, and to the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from thrive_async.cli._errors import CliError, Exit, describe, say
from thrive_async.cli._page.content import Content, Subjects, plan_content, report_content
from thrive_async.cli._page.markdown import markdown
from thrive_async.cli._page.names import Names, read_names
from thrive_async.cli._page.render import html
from thrive_async.cli._page.terminal import print_bars, print_who
from thrive_async.cli._plan_views import PersonRow, PlanView
from thrive_async.cli._private_file import PrivateFile

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.sync import AudiencesPlan, SyncReport

__all__ = ["Pages", "Show", "check_targets", "look_up"]

Show = Literal["who", "bars"]


def check_targets(page: str | None, summary: str | None) -> None:
    """Refuse files that cannot be written, before anything is changed.

    Args:
        page: The file of `--html`.
        summary: The file of `--summary`.

    Raises:
        CliError: One of them cannot be written, or the page's name does not end in .html.
    """
    if page is not None:
        if Path(page).suffix.lower() not in (".html", ".htm"):
            raise CliError(f"--html {page}: the name must end in .html")
        PrivateFile(page, "--html")
    if summary is not None:
        try:
            with Path(summary).open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise CliError(f"--summary {summary}: cannot write there: {error.strerror or error}") from error


async def look_up(thrive: ThriveClient, subjects: Subjects) -> Names:
    """Read what the people of a plan are called; without their names, the page is still worth having."""
    from thrive_async.errors import ThriveError  # noqa: PLC0415 - after the parsing

    try:
        return await read_names(thrive, subjects.references())
    except ThriveError as error:
        say(f"names could not be read, so the page goes without them: {describe(error)[0]}")
        return Names()


class Pages:
    """What a command shows of its plan, and then of its report.

    Args:
        plan: The view of a plan, or a plan for several audiences.
        how: What `Applying.how` returns: the limits.
        page: The file of `--html`.
        summary: The file of `--summary`, which gets the text added.
        show: What the terminal shows.
        names: What people are called.
    """

    def __init__(
        self,
        plan: PlanView[Any] | AudiencesPlan,
        how: Mapping[str, Any],
        *,
        page: str | None = None,
        summary: str | None = None,
        show: Sequence[Show] = (),
        names: Names | None = None,
    ) -> None:
        self.subjects: Subjects = Subjects(plan)
        self._how = how
        self._page = page
        self._summary = summary
        self._show = show
        self._names = names or Names()

    @property
    def _wanted(self) -> bool:
        return self._page is not None or self._summary is not None

    async def read_names(self, thrive: ThriveClient | None) -> None:
        """Read the names that the page or the terminal shows."""
        if thrive is not None and (self._page is not None or "who" in self._show):
            self._names = await look_up(thrive, self.subjects)

    def show(self) -> None:
        """Print what `--show` asks for."""
        if self._show:
            content = self._plan()
            if "bars" in self._show:
                print_bars(content)
            if "who" in self._show:
                print_who(content)

    def _plan(self, refused: BaseException | None = None) -> Content:
        return plan_content(self.subjects, self._names, self._how, refused=refused)

    def plan(self, refused: BaseException | None = None) -> None:
        """Write the plan.

        Args:
            refused: Why it was not applied, if that was tried.

        Raises:
            OSError: A file cannot be written.
        """
        if self._wanted:
            self._write(self._plan(refused))

    def report(
        self,
        done: Mapping[str, tuple[SyncReport, Iterable[PersonRow]]],
        errors: Mapping[str, BaseException] | None = None,
    ) -> Exit:
        """Write the report.

        Args:
            done: Each subject's report and the rows of its outcomes.
            errors: Why nothing was done for a subject.

        Returns:
            DONE, or SOME_FAILED if a file cannot be written.
        """
        if not self._wanted:
            return Exit.DONE
        try:
            self._write(report_content(self.subjects, self._names, self._how, done, errors or {}))
        except OSError as error:
            say(f"thrive: {error.filename}: cannot be written: {error.strerror or error}")
            return Exit.SOME_FAILED
        return Exit.DONE

    def _write(self, content: Content) -> None:
        if self._page is not None:
            with PrivateFile(self._page, "--html").replaced() as file:
                file.write(html(content))
            say(f"page written: {self._page}")
        if self._summary is not None:
            # The file of a job may belong to another user or hold what an earlier step wrote, so it is not replaced.
            with Path(self._summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(markdown(content))
