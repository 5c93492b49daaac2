"""`list` and `get`: every resource, three formats, filters, and nothing that acts on a terminal."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from thrive_async.cli import main
from thrive_async.cli._formats import OutputFormat, Writer, flatten
from thrive_async.errors import InvalidArgument
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run

PERIOD = ("--since", "2020-01-01", "--until", "2030-01-01")


def _first(kind: str) -> Callable[[Sandbox], str]:
    return lambda served: next(iter(getattr(served.state, kind)))


def _learning(kind: str) -> Callable[[Sandbox], str]:
    return lambda served: next(iter(getattr(served.state.learning, kind)))


LISTS: list[tuple[tuple[str, ...], Callable[[Sandbox], str] | None]] = [
    (("users", "list"), None),
    (("audiences", "list"), None),
    (("audiences", "members", "list"), lambda _: AUDIENCE),
    (("audiences", "managers", "list"), lambda _: AUDIENCE),
    (("assignments", "list"), None),
    (("assignments", "enrolments", "list"), _learning("assignments")),
    (("completions", "list"), None),
    (("contents", "list"), None),
    (("activities", "list"), None),
    (("cpd", "categories", "list"), None),
    (("cpd", "entries", "list"), None),
    (("cpd", "requirements", "list"), None),
    (("cpd", "user-summaries", "list", *PERIOD), None),
    (("tags", "list"), None),
    (("skills", "levels"), None),
    (("skills", "list"), None),
]
GETS: list[tuple[tuple[str, ...], Callable[[Sandbox], str]]] = [
    (("users", "get"), _first("users")),
    (("audiences", "get"), lambda _: AUDIENCE),
    (("assignments", "get"), _learning("assignments")),
    (("completions", "get"), _learning("completions")),
    (("contents", "get"), _first("contents")),
    (("activities", "get"), _first("activities")),
    (("cpd", "categories", "get"), _first("categories")),
    (("cpd", "entries", "get"), _first("entries")),
    (("cpd", "requirements", "get"), _first("requirements")),
    (("tags", "get"), _first("tags")),
]


@pytest.mark.parametrize(
    ("command", "argument"), LISTS, ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_resource_lists_the_same_items_in_every_format(
    run: Run, served: Sandbox, command: tuple[str, ...], argument: Callable[[Sandbox], str] | None
) -> None:
    tokens = (*command, *((argument(served),) if argument else ()))
    lines = run(*tokens, "--format", "jsonl")
    assert lines.code == 0, lines
    items = [json.loads(line) for line in lines.lines]
    assert lines.err == ""
    written = run(*tokens, "--format", "csv")
    rows = list(csv.reader(written.lines))
    assert len(rows[0]) == len(set(rows[0]))
    assert len(list(csv.reader(written.out.splitlines(keepends=True)))) == len(items) + 1
    table = run(*tokens)
    assert len(table.lines) == len(items) + 1
    assert table.err == ""
    if items:
        # Every field that a CSV holds by default is one that Thrive sends, or may send.
        known = {name for item in items for name in item}
        assert {name.partition(".")[0] for name in rows[0]} & known


@pytest.mark.parametrize(
    ("command", "argument"), GETS, ids=lambda value: "-".join(value) if isinstance(value, tuple) else ""
)
def test_every_resource_shows_one_item_in_every_format(
    run: Run, served: Sandbox, command: tuple[str, ...], argument: Callable[[Sandbox], str]
) -> None:
    tokens = (*command, argument(served))
    item = json.loads(run(*tokens, "--format", "jsonl").out)
    shown = run(*tokens)
    assert shown.code == 0, shown
    identifier = next(value for name, value in item.items() if name.lower().endswith("id") and value)
    assert identifier in shown.out
    rows = list(csv.reader(run(*tokens, "--format", "csv").out.splitlines(keepends=True)))
    assert len(rows) == 2
    assert identifier in rows[1]


def test_an_enrolment_and_a_user_by_reference_are_found(run: Run, served: Sandbox) -> None:
    enrolment = next(iter(served.state.learning.enrolments.values()))
    result = run("assignments", "enrolments", "get", enrolment["assignmentId"], enrolment["id"])
    assert enrolment["userId"] in result.out
    user = next(user for user in served.state.users.values() if user.get("ref"))
    assert user["id"] in run("users", "get", user["ref"], "--ref").out


def test_filters_reach_thrive_in_its_own_form(run: Run, served: Sandbox) -> None:
    for tokens, expected in {
        ("users", "list", "--statuses", "active, new", "--updated-since", "2026-01-01"): {
            "statuses": "active,new",
            "updatedSince": "2026-01-01T00:00:00.000Z",
        },
        ("users", "list", "--status", "active", "--omit-statuses", "new"): {"status": "active", "omitStatuses": "new"},
        ("audiences", "list", "--api-controlled"): {"apiControlled": "true"},
        ("audiences", "list", "--no-api-controlled"): {"apiControlled": "false"},
        ("assignments", "list", "--audience", AUDIENCE): {"audienceId": AUDIENCE},
        ("completions", "list", "--rpl", "--completed-from", "2026-01-01T08:00:00+02:00"): {"isRPL": "true"},
        ("contents", "list", "--types", "video,article"): {"types": "video,article"},
        ("activities", "list", "--since", "2026-01-31", "--actions", "viewed"): {
            "timestampFrom": "2026-01-31 00:00:00",
            "actions": "viewed",
        },
        ("cpd", "user-summaries", "list", *PERIOD): {"entryDateFrom": "2020-01-01T00:00:00"},
    }.items():
        assert run(*tokens).code == 0, tokens
        sent = served.requests[-1].query
        assert expected.items() <= sent.items(), (tokens, sent)


def test_a_list_names_the_option_where_the_sdk_names_the_argument(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise InvalidArgument("$updated_at_to needs $updated_at_from", "updated_at_to", "updated_at_from")

    monkeypatch.setattr("thrive_async.resources.enrolments.Enrolments.list", refused)
    result = run("assignments", "enrolments", "list", "a1", "--updated-to", "2026-01-31")
    assert result.code == 2
    assert result.one_line() == "thrive: --updated-to needs --updated-from"


def test_a_date_that_is_none_is_refused(run: Run, served: Sandbox) -> None:
    result = run("users", "list", "--updated-since", "yesterday")
    assert result.code == 2
    assert "write 2026-01-31" in result.one_line()


def test_a_limit_asks_for_no_more_than_it_shows(run: Run, served: Sandbox) -> None:
    assert len(run("users", "list", "--limit", "3", "--format", "jsonl").lines) == 3
    assert [entry.query["perPage"] for entry in served.requests] == ["3"]
    assert len(run("audiences", "managers", "list", AUDIENCE, "--limit", "1", "--format", "jsonl").lines) <= 1
    for _ in range(120):
        served.state.add_user()
    assert len(run("users", "list", "--limit", "150", "--format", "jsonl").lines) == 150
    result = run("users", "list", "--limit", "0")
    assert result.code == 2
    assert "at least 1" in result.one_line()


def test_columns_are_chosen_by_dotted_names(run: Run, served: Sandbox) -> None:
    result = run("audiences", "list", "--columns", "reference,parent.reference", "--format", "csv")
    assert result.lines[0] == "reference,parent.reference"
    assert f"{AUDIENCE},emea" in result.lines
    line = json.loads(run("audiences", "get", AUDIENCE, "--columns", "reference", "--format", "jsonl").out)
    assert line == {"reference": AUDIENCE}
    assert run("audiences", "get", AUDIENCE, "--columns", "reference").lines == ["reference", AUDIENCE]
    refused = run("audiences", "list", "--columns", "colour")
    assert refused.code == 2
    assert "there is no such field; choose from id, reference" in refused.one_line()


def test_unknown_fields_of_thrives_are_in_json_lines(run: Run, served: Sandbox) -> None:
    served.state.add_user(email="x@example.com", favouriteColour="blue")
    assert '"favouriteColour":"blue"' in run("users", "list", "--format", "jsonl").out


EVIL = "\x1b]0;owned\x07=1+1\u202e"


def test_what_a_name_holds_neither_runs_in_a_spreadsheet_nor_forges_a_row(run: Run, served: Sandbox) -> None:
    served.state.add_user(email="x@example.com", firstName="=HYPERLINK(1)", lastName="a\nid  ref")
    rows = list(csv.DictReader(run("users", "list", "--format", "csv").out.splitlines(keepends=True)))
    assert rows[-1]["firstName"] == "'=HYPERLINK(1)"
    assert rows[-1]["lastName"] == "a\nid  ref"
    assert run("users", "list").lines[-1].split("  ")[-2] != "id"
    assert "a id  ref" in run("users", "list").lines[-1]


@pytest.mark.parametrize("format_", ["table", "jsonl", "csv"])
def test_no_control_character_reaches_a_terminal(
    terminal: Callable[..., tuple[int, str, str]], served: Sandbox, format_: str
) -> None:
    served.state.add_user(email="x@example.com", firstName=EVIL, lastName=EVIL)
    user = list(served.state.users)[-1]
    for command in (("users", "list"), ("users", "get", user)):
        code, out, _ = terminal(*command, "--format", format_, "--columns", "firstName")
        assert code == 0
        body = out.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert "\x1b" not in body
        assert "\x07" not in body
        assert "\u202e" not in body
    code, out, _ = terminal("users", "get", user)
    assert "\x07" not in out


def test_no_control_character_in_a_key_reaches_a_terminal(
    terminal: Callable[..., tuple[int, str, str]], run: Run, served: Sandbox
) -> None:
    """The tenant names additional fields and the data of activities: a key is as foreign as a value."""
    user = served.state.add_user(email="x@example.com", additionalFields={EVIL: "x", "a\nb": {EVIL: "y"}})
    activity = next(iter(served.state.activities.values()))
    activity["data"] = {EVIL: 1}
    for command in (("users", "get", user["id"]), ("activities", "get", activity["id"])):
        for format_ in ("table", "jsonl", "csv"):
            code, out, _ = terminal(*command, "--format", format_)
            assert code == 0
            piped = run(*command, "--format", format_).out
            for text in (out.replace("\x1b[1m", "").replace("\x1b[0m", ""), piped):
                assert "\x1b" not in text
                assert "\x07" not in text
    assert "additionalFields.a b." in run("users", "get", user["id"]).out


def test_a_bare_carriage_return_in_a_name_makes_no_row_in_a_csv(run: Run, served: Sandbox) -> None:
    r"""Python 3.11 and 3.12 quote only the breaks they end lines with; `\r=1+1` would pass the formula guard."""
    served.state.add_user(email="x@example.com", firstName="Ada\r=1+1", lastName="L")
    text = run("users", "list", "--columns", "firstName,lastName", "--format", "csv").out
    assert text.endswith('"Ada\r=1+1",L\n')
    assert list(csv.reader(io.StringIO(text, newline="")))[-1] == ["Ada\r=1+1", "L"]


def test_an_object_nested_deeper_than_python_calls_is_shown() -> None:
    deep: dict[str, object] = {"end": 1}
    for _ in range(5000):
        deep = {"a": deep}
    (name,) = flatten(deep)
    assert name.endswith(".a.end")


def test_an_audience_whose_name_holds_a_line_break_forges_no_line(run: Run, served: Sandbox, tmp_path: Path) -> None:
    forged = "team\nsales-emea: 5 added\x1b[2J"
    file = tmp_path / "people.csv"
    file.write_text("email\na@example.com\n", encoding="utf-8")
    rows = tmp_path / "audiences.jsonl"
    rows.write_text(json.dumps({"audience": forged, "member": "a@example.com"}) + "\n", encoding="utf-8")
    for result in (run("sync", "members", forged, str(file)), run("sync", "audiences", str(rows))):
        assert result.code == 3
        for text in (result.out, result.err):
            assert "\x1b" not in text
            assert "\nsales-emea" not in text


def test_a_table_fits_the_terminal_and_says_how_many(
    terminal: Callable[..., tuple[int, str, str]], served: Sandbox
) -> None:
    code, out, err = terminal("users", "list")
    assert code == 0
    assert all(len(line.replace("\x1b[1m", "").replace("\x1b[0m", "")) <= 80 for line in out.splitlines())
    assert err == "60 users\n"


def test_a_narrow_table_cuts_names_before_ids_and_times_and_ids_before_it_overflows(
    terminal: Callable[..., tuple[int, str, str]], served: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = next(iter(served.state.contents.values()))
    record["title"] = "A title that is longer than any terminal of forty columns can show"
    record["updatedAt"] = "2026-01-31T08:15:30.123Z"
    monkeypatch.setenv("COLUMNS", "80")
    line = terminal("contents", "list")[1].splitlines()[1]
    assert record["id"] in line
    assert "2026-01-31 08:15" in line
    assert "A title" in line
    assert "…" in line
    monkeypatch.setenv("COLUMNS", "40")
    narrow = (
        terminal("contents", "list", "--columns", "id,author,tags")[1].replace("\x1b[1m", "").replace("\x1b[0m", "")
    )
    assert all(len(line) <= 40 for line in narrow.splitlines())
    monkeypatch.setenv("COLUMNS", "12")
    assert terminal("contents", "list", "--columns", "id,title,type")[0] == 0


def test_markup_in_a_name_is_shown_as_it_is(terminal: Callable[..., tuple[int, str, str]], served: Sandbox) -> None:
    served.state.add_user(email="x@example.com", firstName="[red]R[/red]")
    assert "[red]R[/red]" in terminal("users", "list", "--columns", "firstName")[1]


def test_a_list_that_cannot_be_had_writes_nothing(run: Run, served: Sandbox) -> None:
    served.faults.add("status", operation="searchUsers", status=400, times=None)
    result = run("users", "list", "--format", "csv")
    assert result.code == 4
    assert result.out == ""


def test_the_tree_draws_children_below_their_parents(run: Run, served: Sandbox) -> None:
    served.state.add_audience("anz", name="ANZ", category="structure")
    result = run("audiences", "tree", "--counts")
    assert result.code == 0
    lines = result.lines
    assert lines[0] == "anz  ANZ  (structure)"
    emea = next(number for number, line in enumerate(lines) if line.startswith("emea"))
    child = next(line for line in lines[emea:] if AUDIENCE in line)
    assert child.startswith(("├── ", "└── "))
    assert f"({len(served.state.audiences[AUDIENCE].members)} members)" in child
    assert any("smart" in line for line in lines)
    assert any("not API-controlled" in line for line in lines)


def test_a_tree_of_parents_in_a_circle_leaves_nobody_out() -> None:
    from thrive_async.cli._audience_tree import tree_lines

    loop = [{"id": "a", "reference": "a", "parent": {"id": "b"}}, {"id": "b", "reference": "b", "parent": {"id": "a"}}]
    lines = list(tree_lines([*loop, {"id": "c", "parent": {"id": "gone"}}, {"id": "d", "parent": {"id": "d"}}], {}))
    assert [line.split()[0] for line in lines] == ["c", "d", "a", "b"]
    assert "circle" in lines[2]


def test_a_failed_count_fails_the_tree(run: Run, served: Sandbox) -> None:
    served.faults.add("status", operation="listMembers", status=403, times=None)
    assert run("audiences", "tree", "--counts").code == 4


def test_an_empty_list_has_a_header(run: Run, served: Sandbox) -> None:
    served.state.tags.clear()
    assert run("tags", "list", "--format", "csv").lines == ["id,tag,contents,campaigns,interests,skills"]
    assert run("tags", "list").lines == ["id  tag"]
    assert run("tags", "list", "--format", "jsonl").out == ""


@pytest.mark.parametrize(("format_", "expected"), [("table", "id\nA\n"), ("csv", "id\nA\n"), ("jsonl", '{"id":"A"}\n')])
async def test_what_came_before_an_error_is_written(format_: OutputFormat, expected: str) -> None:
    async def items() -> AsyncGenerator[dict[str, str]]:
        yield {"id": "A"}
        raise ConnectionError

    stream = io.StringIO()
    with pytest.raises(ConnectionError):
        await Writer(format_, defaults=("id",), stream=stream).drain(items())
    assert stream.getvalue() == expected


def test_nobody_reading_is_no_error_of_ours(
    run: Run, served: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    assert main(["tags", "list"]) == 141
    assert capsys.readouterr().err == ""


def test_per_page_holds_for_every_list_and_is_checked(run: Run, served: Sandbox) -> None:
    """`--per-page` lowers the pages of every command; a short `--limit` stays one page."""
    served.requests.clear()
    assert run("users", "list", "--per-page", "7", "--format", "jsonl").code == 0
    assert {entry.query["perPage"] for entry in served.requests} == {"7"}
    served.requests.clear()
    assert run("users", "list", "--per-page", "7", "--limit", "3", "--format", "jsonl").code == 0
    assert [entry.query["perPage"] for entry in served.requests] == ["3"]
    wrong = run("users", "list", "--per-page", "0")
    assert wrong.code == 2
    assert "per_page" in wrong.err or "--per-page" in wrong.err
