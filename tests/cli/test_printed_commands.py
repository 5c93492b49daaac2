"""The `thrive` commands of the pages run as they are printed, in order, on files as the pages describe them.

The tutorial, docs/examples.md and docs/nightly have tests of their own.
"""

import csv
import gzip
import json
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from docs_pages import PAGES, blocks_of

from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

# These serve until they are stopped, open a browser, or need a PostgreSQL. Each has tests of its own.
ELSEWHERE = re.compile(r"thrive (sandbox|demo|fleet|plan review)\b")
# Nobody has reviewed this plan, so the command ends with 3, as its page says. All others end with 0.
UNREVIEWED = "thrive plan apply plan.json --require-approval --yes"

KEPT = ("--yes", "--save-plan", "plan.json", "--journal", "run.jsonl")


def commands_of(page: Path) -> Iterator[str]:
    for block in blocks_of(page):
        for line in block.source.replace("\\\n", " ").splitlines() if block.language == "sh" else ():
            if line.startswith(("thrive ", "zcat ")) and not ELSEWHERE.match(line):
                yield line


TESTED = [page for page in PAGES if page.name != "tutorial.md" and "nightly" not in page.parts and [*commands_of(page)]]


@pytest.fixture
def assignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: Sandbox, run: Run) -> str:
    """Enter a folder with the files that the pages speak of, and return the id of an assignment.

    The lists of people name everyone of the audience but one, and somebody new.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    users = [*served.state.users.values()]
    for number, user in enumerate(users, 1):
        user |= {"ref": f"E{number:05}", "email": f"user{number}@example.com"}
    inside = served.state.audiences[AUDIENCE].members
    refs = [user["ref"] for user in users if user["id"] in inside][1:]
    refs.append(next(user["ref"] for user in users if user["id"] not in inside and user["status"] == "active"))

    def write(name: str, *rows: list[str], delimiter: str = ",", encoding: str = "utf-8") -> None:
        with Path(name).open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)

    write("people.csv", ["ref"], *([ref] for ref in refs))
    addresses = [user["email"] for user in users if user["ref"] in refs]
    write(
        *("people.xml.csv", ["Größe", "E-mail address"], *(["ä", one] for one in addresses)),
        delimiter=";",
        encoding="cp1252",
    )
    Path("people.jsonl.gz").write_bytes(gzip.compress("".join(f'{{"ref": "{ref}"}}\n' for ref in refs).encode()))
    write("memberships.csv", ["audience", "member"], *([AUDIENCE, ref] for ref in refs), ["dept-emea", refs[0]])
    write("audiences.csv", ["reference", "name", "parent"], ["dept-emea", "EMEA", "emea"])
    named = ["EmployeeID", "Given name", "Surname", "Work e-mail", "Title"]
    keys = ("ref", "firstName", "lastName", "email")
    write("export.csv", named, *([*(str(user.get(key) or "") for key in keys), "Analyst"] for user in users))

    table = [
        ["ref", "Department", "Primary", "Status", "Site"],
        *([ref, "Emea", "Y", "Active", "Lyon"] for ref in refs),
    ]
    workbook("people.xlsx", {"People": table, "Sales team": [["Made by HR"], [], [], *table, ["Total", len(refs)]]})
    workbook("berlin.xlsx", {"People": table[:3]})
    write("lyon.csv", *table)
    Path("milano.csv.gz").write_bytes(gzip.compress(f"ref\n{refs[0]}\n".encode()))
    workbook("export.xlsx", {"People": [["EmployeeID", "Last day", "Status"], [refs[0], "31/12/2025", "Left"]]})
    return json.loads(run("assignments", "list", "--limit", "1", "--format", "jsonl").out)["id"]


def workbook(name: str, sheets: dict[str, list[list[Any]]]) -> None:
    with xlsxwriter.Workbook(name) as book:
        for title, rows in sheets.items():
            sheet = book.add_worksheet(title)
            for at, row in enumerate(rows):
                sheet.write_row(at, 0, row)


@pytest.mark.parametrize("page", TESTED, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_they_are_printed(
    page: Path, assignment: str, run: Run, terminal: Callable[..., tuple[int, str, str]]
) -> None:
    """At a terminal, where the reader answers every question with yes."""
    # The pages begin with a plan, and with a run in a journal.
    begun = run("sync", "audiences", "memberships.csv", "--create-missing", "audiences.csv", *KEPT)
    assert begun.code == 0, begun.err
    for printed in commands_of(page):
        recent = json.loads(Path("run.jsonl").read_text().splitlines()[-1])["run"]
        line = printed.replace("5f3a", recent).replace("63f57d805d8ecbf46f5b5278", assignment)
        line = line.replace("/srv/hr/", "").replace("/var/lib/thrive/", "")
        before, _, command = os.path.expandvars(line).rpartition("| ")
        _, *words = shlex.split(command)
        if before:
            assert before == "zcat people.jsonl.gz "
            done = run(*words, stdin=gzip.decompress(Path("people.jsonl.gz").read_bytes()))
            code, told = done.code, done.out + done.err
        elif ">" in words:
            done = run(*words[:-2])
            Path(words[-1]).write_text(done.out, encoding="utf-8")
            code, told = done.code, done.err
        else:
            code, *said = terminal(*words, keys="y\n")
            told = "".join(said)
        assert code == (3 if printed == UNREVIEWED else 0), f"{printed}: {code}\n{told}"
        assert "thrive: refused" not in told, f"{printed}\n{told}"
