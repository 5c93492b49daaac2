"""Filters leave rows out by what a column says, tell how many, and never turn a doubt into a removal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from thrive_async.cli._errors import CliError
from thrive_async.cli._option_types import Input
from thrive_async.cli._sync_audiences import audiences_by_rule, grouped
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run
from .workbooks import xlsx

Written = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def written(content: str | bytes, name: str = "people.csv") -> str:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return written


LIST = "ref,Status,Site\nE1,Active,Ulm\nE2,left,Ulm\nE3, LEAVE ,Bonn\n\nE4,,Bonn\n"


@pytest.mark.parametrize(("where", "kept"), [
    (("Status=Active",), ["E1"]),
    (("status = active",), ["E1"]),
    (("Status=Active,Leave",), ["E1", "E3"]),
    (("Status!=Left",), ["E1", "E3", "E4"]),
    (("Status!=Left", "Site=Bonn"), ["E3", "E4"]),
    (("Status=",), ["E4"]),
    (("Status!=",), ["E1", "E2", "E3"]),
    (("2=left",), ["E2"]),
])  # fmt: skip
def test_a_filter_keeps_the_rows_with_these_values(written: Written, where: tuple[str, ...], kept: list[str]) -> None:
    (sheet,) = Input(where=where).read_all([written(LIST)])
    assert [name for name in sheet.column("ref") if name] == kept


def test_values_of_json_are_compared_as_they_are_written(written: Written) -> None:
    file = written('{"ref": "E1", "share": 0.5, "on": true}\n{"ref": "E2", "share": 1.0, "on": null}\n', "a.jsonl")
    assert Input(where=("share=0.5",)).read(file).column("ref") == ["E1"]
    assert Input(where=("on=TRUE",)).read(file).column("ref") == ["E1"]
    assert Input(where=("on=",)).read(file).column("ref") == ["E2"]


def test_users_are_refused_while_a_filter_cannot_tell(run: Run, served: Sandbox, written: Written) -> None:
    """A row that it left out would look like a leaver."""
    file = written("ref,Status\nE1,Active\nE2,#N/A\n")
    result = run("sync", "users", file, "--map", "ref=ref", "--where", "Status=Active", "--leavers", "suspend")
    assert result.code == 2
    assert f"{file}: line 3: column 'Status' holds #N/A, so --where 'Status=Active' cannot tell" in result.err
    assert len(served.requests) == 0


def test_a_value_with_a_comma_stands_in_quotes(written: Written) -> None:
    (sheet,) = Input(where=('Site="Ulm, Old Town",Bonn',)).read_all(
        [written('ref,Site\nE1,"Ulm, Old Town"\nE2,Ulm\nE3,Bonn\n')]
    )
    assert sheet.column("ref") == ["E1", "E3"]


def test_each_filter_tells_how_many_rows_it_left_out(written: Written, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(LIST)
    Input(where=("Status!=Left", "Site=Bonn")).read_all([file])
    assert capsys.readouterr().err.splitlines() == [
        f"{file}: --where 'Status!=Left' left out 1 row, kept 3",
        f"{file}: --where 'Site=Bonn' left out 1 row, kept 2",
    ]


@pytest.mark.parametrize(("reading", "words"), [
    (Input(where=("State=Active",)), "no column 'State'; --where can be 'ref', 'Status', 'Site'"),
    (Input(where=("Status",)), "--where 'Status': write the column and the value, as in Status=Active"),
    (Input(where=("=x",)), "write the column and the value"),
    (Input(where=("Status=Aktive",)), "--where 'Status=Aktive' keeps no row: nothing was read, so nothing is changed"),
    (Input(stop_at="Total"), "no row begins with 'Total' (--stop-at): the file may be cut off"),
    (Input(stop_at="ref"), "is the first row"),
    (Input(stop_at=" "), "--stop-at is empty"),
    (Input(skip_lines=99), "is empty"),
])  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_an_error(written: Written, reading: Input, words: str) -> None:
    with pytest.raises(CliError) as caught:
        reading.read_all([written(LIST)])
    assert words in caught.value.message


def test_lines_before_the_header_and_a_footer_are_left_out(written: Written) -> None:
    file = written("Report of 1 May\nmade by Anna\nref,Site\nE1,Ulm\nE2,Bonn\nTotal: 2,\nConfidential")
    (sheet,) = Input(skip_lines=2, stop_at="total").read_all([file])
    sheet = sheet.with_header()
    assert sheet.column("ref") == ["E1", "E2"]
    assert sheet.where(0) == "line 4"
    assert sheet.row_count == 2
    # The end of the list is not the end of the file.
    assert not sheet.may_be_cut


def test_what_a_filter_cannot_tell_holds_the_removals(
    run: Run, served: Sandbox, members: list[str], written: Written
) -> None:
    """An error in the filter's column, a shifted row, a row that may be cut off: each may be anyone's."""
    rows = "".join(f"{email},Active\n" for email in members[2:])
    for odd in (f"{members[0]},#N/A\n", f"{members[0]},Active,oops\n", f"{members[0]},Act"):
        file = written(f"email,Status\n{rows}{odd}")
        command = ("sync", "members", AUDIENCE, file, "--where", "Status=Active", "--max-removals", "none", "--yes")
        result = run(*command)
        assert not [entry for entry in served.requests if entry.method == "DELETE"], odd
        assert result.code == 1, (odd, result)


@pytest.mark.parametrize(("last", "kept", "doubts"), [
    ("E2,Act", ["E1", "E2"], 1), ("E2", ["E1", "E2"], 0), ("E2,", ["E1", "E2"], 1), ("E2,Left", ["E1"], 0),
    ("E2,Active", ["E1", "E2"], 0), ("E2,Act\n", ["E1"], 0),
])  # fmt: skip
def test_a_last_cell_that_may_be_cut_off_is_in_doubt(written: Written, last: str, kept: list[str], doubts: int) -> None:
    (sheet,) = Input(where=("Status=Active",)).read_all([written(f"ref,Status\nE1,Active\n{last}")])
    assert sheet.column("ref") == kept
    assert len(sheet.doubts) == doubts


def test_of_two_rows_of_a_person_the_preferred_one_is_read(written: Written) -> None:
    file = written(
        "email,Primary,Dept\nA@x.org,Y,Sales\na@X.org,N,Law\nb@x.org,N,Law\nc@x.org,N,Law\nc@x.org,N,Sales\n,N,Law\n"
    )
    reading = Input(prefer=("Primary=Y",))
    desired = grouped(reading.read_all([file]), None, None, rule="dept-{Dept}", reading=reading)
    assert {name: [entry.name for entry in entries] for name, entries in desired.items()} == {
        "dept-Sales": ["A@x.org", "c@x.org"],
        "dept-Law": ["b@x.org", "c@x.org", None],
    }


def test_a_preference_counts_across_files(written: Written) -> None:
    files = [written("ref,P,Dept\nE1,N,Law\n", "a.csv"), written("Dept,P,ref\nSales,Y,E1\n", "b.csv")]
    reading = Input(prefer=("P=Y",))
    desired = grouped(reading.read_all(files), None, None, rule="{Dept:slug}", reading=reading)
    assert list(desired) == ["sales"]


def test_several_files_are_one_list_each_with_its_own_header(
    run: Run, served: Sandbox, members: list[str], written: Written
) -> None:
    one = written("".join(["Name,Email\n", *(f"x,{email}\n" for email in members[:3])]), "a.csv")
    two = written(xlsx({"P": [["E-mail"], *([email] for email in members[3:-1])]}), "b.xlsx")
    result = run("sync", "members", AUDIENCE, one, two, "--dry-run")
    assert result.code == 0, result
    assert result.lines[0].startswith(f"{AUDIENCE}: +0 -1 ={len(members) - 1}")
    assert f"{one} + {two}" in result.err
    bad = written("Email\n#N/A\n", "c.csv")
    result = run("sync", "members", AUDIENCE, one, two, bad, "--dry-run")
    assert f"{bad}: line 2" in result.out
    stdin = "".join(["Email\n", *(f"{email}\n" for email in members[:3])]).encode()
    result = run("sync", "members", AUDIENCE, "-", two, "--dry-run", stdin=stdin)
    assert result.lines[0].startswith(f"{AUDIENCE}: +0 -1 ={len(members) - 1}")


def test_the_users_of_several_files_are_one_export(run: Run, served: Sandbox, written: Written) -> None:
    one, two = written("Nr,Title\nE00001,Boss\n", "a.csv"), written("Title,Nr\nChief,E00002\n", "b.csv")
    result = run("sync", "users", one, two, "--map", "ref=Nr", "job_title=Title", "--dry-run")
    assert result.code == 0, result
    assert "~2" in result.lines[0]


@pytest.mark.parametrize(("rule", "made"), [
    ("dept-{Dept}", ["dept-Field Sales", "", "dept-R&D (EU)"]),
    ("{dept:slug}.x", ["field-sales.x", "", "r-d-eu.x"]),
    ("{Dept:slug}-{Site}", ["field-sales-Ulm", "", ""]),
])  # fmt: skip
def test_an_audience_is_called_after_columns(written: Written, rule: str, made: list[str]) -> None:
    sheet = Input().read(written("Dept,Site\n Field Sales ,Ulm\n,Bonn\nR&D (EU),\n")).with_header()
    assert audiences_by_rule(sheet, rule) == made


@pytest.mark.parametrize(("rule", "words"), [
    ("sales", "name at least one column in braces"), ("{}", "name at least one column"),
    ("{Dept}-{", "name at least one column"), ("{Team}", "no column 'Team'"),
])  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_an_error(written: Written, rule: str, words: str) -> None:
    with pytest.raises(CliError, match=words):
        audiences_by_rule(Input().read(written("Dept,Site\nA,B\n")).with_header(), rule)


def test_a_person_without_an_audience_and_an_error_for_one_stop_the_sync(
    run: Run, served: Sandbox, written: Written
) -> None:
    """A person left out of their audience because of a bad cell would be removed from it."""
    for cell, words in (("", "line 3 names a member, but no audience"), ("#N/A", "holds #N/A instead of an audience")):
        file = written(f"email,Dept\na@x.org,A\nb@x.org,{cell}\n")
        result = run("sync", "audiences", file, "--audience", "dept-{Dept}")
        assert result.code == 2
        assert words in result.one_line()
    assert len(served.requests) == 0


def test_audiences_by_rule_are_synced(run: Run, served: Sandbox, members: list[str], written: Written) -> None:
    file = written("".join(["Email,Region\n", *(f"{email},EMEA\n" for email in members[1:])]))
    result = run("sync", "audiences", file, "--audience", "sales-{Region:slug}", "--dry-run")
    assert result.code == 0, result
    assert result.lines[0].startswith(f"{AUDIENCE}: +0 -1")
