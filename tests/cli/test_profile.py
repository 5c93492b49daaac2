"""A profile says what the command line says, is checked before anything is read, and each mistake names its line."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from docs_pages import BLOCKS

from thrive_async.cli._profiles import KINDS, load_profile
from thrive_async.cli.sync import app as syncs
from thrive_async.sandbox import Sandbox

from .conftest import AUDIENCE, Run
from .workbooks import xlsx

Write = Callable[..., str]
HEADER = ["Personnel number", "First name", "Surname", "E-mail", "Department", "Status"]
PEOPLE = [
    ["E1", "Anna", "A", "a@x.org", "Field Sales", "Active"],
    ["E2", "Bo", "B", "b@x.org", "Law", "Active"],
    ["E3", "Cy", "C", "c@x.org", "Law", "Left"],
    *([f"E{at}", "Di", f"D{at}", f"d{at}@x.org", "Law", "Active"] for at in range(4, 8)),
]

NO_KEY = "is not a key of a profile for `thrive sync members`"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into the folder that the commands run in."""
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "hr.toml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


@pytest.fixture
def hr(write: Write) -> str:
    return write(xlsx({"People": [HEADER, *PEOPLE]}), "hr.xlsx")


def test_a_profile_becomes_the_words_of_the_command_line(write: Write) -> None:
    """Tables become pairs, paths are seen from the profile's folder, and flags are there or not."""
    path = write(
        'sync = "users"\nfile = ["a.csv", "/b.csv"]\nskip-lines = 2\nallow-empty = true\nallow-takeover = false\n'
        'max-changes = 7\nprotect = "board.csv"\nwhere = ["A=b"]\n'
        '[map]\nref = "Nr"\n"additional_fields.Site" = "Site"\n[prefer]\nPrimary = ["Y", "Yes, please"]\n',
        "jobs/hr.toml",
    )
    given = load_profile(path, syncs).parsed()[1].arguments
    assert given["file"] == str(Path("jobs/a.csv"))
    assert given["more"] == (str(Path("/b.csv")),)
    assert given["map_"] == ("ref=Nr", "additional_fields.Site=Site")
    assert given["allow_empty"] is True
    assert given.get("allow_takeover", False) is False
    assert given["applying"].max_changes == "7"
    assert given["applying"].protect == str(Path("jobs/board.csv"))
    assert (given["reading"].skip_lines, given["reading"].where) == (2, ("A=b",))
    assert given["reading"].prefer == ('Primary=Y,"Yes, please"',)


def test_a_flag_with_an_opposite_can_be_false(write: Write) -> None:
    path = write(f'sync = "members"\naudience = "{AUDIENCE}"\nfile = "a.csv"\nverify = false\nheader = false\n')
    given = load_profile(path, syncs).parsed()[1].arguments
    assert given["applying"].verify is False
    assert given["reading"].header is False


def test_the_command_line_goes_before_the_profile(write: Write) -> None:
    path = write('sync = "members"\naudience = "a"\nfile = "a.csv"\ncolumn = "E"\nyes = true\nmax-removals = "5%"\n')
    profile = load_profile(path, syncs)
    given = profile.parsed(["--dry-run", "--max-removals", "3", "-c", "F", "today.csv"])[1].arguments
    assert (given["file"], given["column"], given.get("more", ())) == ("today.csv", "F", ())
    assert (given["applying"].max_removals, given["applying"].dry_run, given["applying"].yes) == ("3", True, True)
    assert profile.parsed(["--max-removals", "3"])[1].arguments["file"] == "a.csv"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('columns = "a"', f"line 4: 'columns' {NO_KEY}; did you mean column?"),
        ('max_removals = "5%"', f"line 4: 'max_removals' {NO_KEY}; did you mean max-removals?"),
        ("xyz = 1", f"line 4: 'xyz' {NO_KEY}; the keys are the names of its options"),
        ("[map]\nref = 'x'", "line 4: 'map' is not a key"),
        ('yes = "true"', "line 4: yes is true or false"),
        ("journal = true", "line 4: journal is not true or false; write a value"),
        ('sheet = ["a"]', "line 4: sheet is one value, not a list"),
        ("\n[sheet]\nA = 1", "line 5: sheet is one value, not a table"),
        ('column = " "', "line 4: column is empty"),
        ('skip-lines = "x"', 'line 4: Invalid value for --skip-lines: unable to convert "x" into int'),
        ("skip-lines = -1", 'line 4: Invalid value "-1" for --skip-lines'),
        ('unknown = "foo"', 'line 4: Invalid value "foo" for --unknown'),
        ('max-removals = "a lot"', "line 4: --max-removals a lot: write a number of people"),
        ('where = "Status"', "line 4: --where 'Status': write the column and the value"),
        ('where = "State=A"', "line 4: hr.xlsx: no column 'State'; --where can be"),
        ('sheet = "Q"', "line 4: hr.xlsx: no sheet 'Q'; --sheet can be"),
        ('report = "a.txt"', "line 4: --report a.txt: the name must end in"),
        ("a = ]", "line 4: invalid value (a profile is TOML)"),
        ('journal = "hr.xlsx"', "line 4: --journal hr.xlsx would be written over the file hr.xlsx"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", [("profile", "check", "hr.toml"), ("sync", "--profile", "hr.toml")])
def test_a_mistake_is_told_with_its_line_and_nothing_is_sent(  # noqa: PLR0917 - fixtures
    run: Run, served: Sandbox, write: Write, hr: str, text: str, told: str, command: tuple[str, ...]
) -> None:
    write(f'sync = "members"\naudience = "{AUDIENCE}"\nfile = "{hr}"\n{text}\n')
    result = run(*command)
    assert result.code == 2
    assert told in result.one_line()
    assert len(served.requests) == 0


@pytest.mark.parametrize(("text", "told"), [
    ("", 'hr.toml: line 1: sync is missing; write sync = "members", or one of members, managers, audiences, users'),
    ("\nsync = 'member'", "hr.toml: line 2: sync is 'member'"),
    ("sync = 'members'\nfile = 'a.csv'", "line 1: the members of which audience?"),
    ("sync = 'members'\naudience = 'a'", "hr.toml names no file: write file ="),
    ("sync = 'members'\naudience = ''\nfile = 'a.csv'", "line 2: audience is empty"),
])  # fmt: skip
def test_what_is_missing_is_told(run: Run, write: Write, text: str, told: str) -> None:
    write(text)
    result = run("profile", "check", "hr.toml")
    assert result.code == 2
    assert told in result.one_line()


def test_check_and_a_run_take_a_file_instead_of_that_of_the_profile(
    run: Run, served: Sandbox, write: Write, hr: str
) -> None:
    write(f'sync = "members"\naudience = "{AUDIENCE}"\nkeep-extra = true\n')
    assert "names no file" in run("profile", "check", "hr.toml").one_line()
    assert "It reads 7 rows" in run("profile", "check", "hr.toml", hr).out
    result = run("sync", "--profile", "hr.toml", "--dry-run", hr)
    assert (result.code, result.lines[0].startswith(f"{AUDIENCE}: +7 -0")) == (0, True)


def test_all_mistakes_are_told_at_once(run: Run, write: Write) -> None:
    write('sync = "users"\na = 1\nb = 2\n')
    result = run("sync", "--profile", "hr.toml")
    assert [line.partition(": '")[0] for line in result.err.splitlines()] == [
        "thrive: hr.toml: line 2", "thrive: hr.toml: line 3",
    ]  # fmt: skip


def test_a_profile_that_cannot_be_read_is_named(run: Run, write: Write) -> None:
    assert "`thrive profile init FILE` writes one" in run("sync", "--profile", "none.toml").one_line()
    write(b"\xff\xfe")
    assert "is not UTF-8" in run("sync", "--profile", "hr.toml").one_line()


def test_a_misspelt_sync_and_option_are_told(run: Run, write: Write) -> None:
    assert "thrive sync has no 'membrs'; did you mean members?" in run("sync", "membrs", "a").one_line()
    assert "there are members, managers, audiences, users" in run("sync", "--x").one_line()
    write('sync = "members"\naudience = "a"\nfile = "a.csv"\n')
    told = run("sync", "--profile", "hr.toml", "--dry-runn").one_line()
    assert "Did you mean --dry-run? See `thrive sync members --help`." in told
    assert "--profile" in run("sync").out


def test_a_nightly_job_runs_from_its_profile(
    run: Run, served: Sandbox, members: list[str], write: Write, tmp_path: Path
) -> None:
    rows = [[email, "Active"] for email in members[1:]]
    write(xlsx({"P": [["Email", "Status"], [members[0], "Left"], *rows]}), "jobs/people.xlsx")
    write(
        f'sync = "members"\naudience = "{AUDIENCE}"\nfile = "people.xlsx"\nwhere = {{ Status = "Active" }}\n'
        'max-removals = "50%"\nyes = true\njournal = "run.jsonl"\n',
        "jobs/hr.toml",
    )
    result = run("sync", "--profile", "jobs/hr.toml")
    assert result.code == 0, result
    assert result.lines[-1] == f"{AUDIENCE}: 0 added, 1 removed, 0 failed, 0 not attempted, 0 found to differ"
    assert (tmp_path / "jobs" / "run.jsonl").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_profile_that_init_writes_is_one_that_check_understands(run: Run, write: Write, hr: str, kind: str) -> None:
    audience = () if kind in ("audiences", "users") else ("--audience", "sales")
    result = run("profile", "init", hr, "--sync", kind, *audience)
    assert result.code == 0, result
    text = Path("thrive.toml").read_text(encoding="utf-8")
    if kind == "managers":
        text = 'grant = "peopleManager.insights"\n' + text
    # What is proposed is right, too.
    for line in ('# protect = "protected.csv"', '# "Status" = ["Active"]', "# yes = true"):
        assert line in text
        text = text.replace(line, line.removeprefix("# "))
    write("email\nboss@x.org\n", "protected.csv")
    write(text, "thrive.toml")
    result = run("profile", "check")
    assert result.code == 0, result
    assert "It reads 7 rows" in result.out
    assert "It never" in result.out
    assert {
        "members": "by column 'E-mail': 6 entries that pass the filters.",
        "managers": "by column 'E-mail': 6 entries that pass the filters.",
        "audiences": "Audiences: 2, the largest are dept-law (5), dept-field-sales (1).",
        "users": "Fields: ref from 'Personnel number', first_name from 'First name', last_name from 'Surname'",
    }[kind] in result.out


def test_init_looks_at_the_file(run: Run, write: Write, hr: str) -> None:
    """It finds the sync, the column, and the values of columns with few; what the options say stays."""
    file = write("note\naudience,email\nA,a@x.org\n", "lists.csv")
    assert run("profile", "init", file, "a.toml", "--skip-lines", "1").code == 0
    found = tomllib.loads(Path("a.toml").read_text())
    assert (found["sync"], found["skip-lines"], "audience" in found) == ("audiences", 1, False)
    assert (
        run(
            "profile",
            "init",
            hr,
            "b.toml",
            "--audience",
            "dept-{Department}",
            "--where",
            "Status!=Left",
            "--prefer",
            "Department=Law",
            "--header",
        ).code
        == 0
    )
    text = Path("b.toml").read_text()
    found = tomllib.loads(text)
    assert (found["sync"], found["audience"], found["where"]) == (
        "audiences", "dept-{Department}", ["Status!=Left"],
    )  # fmt: skip
    assert '# Column "Department": Law 5, Field Sales 1' in text
    assert (found["prefer"], found["header"]) == (["Department=Law"], True)
    assert "It reads 7 rows: 6 entries" in run("profile", "check", "b.toml").out
    # No names of people.
    assert "Anna" not in text


def test_init_overwrites_nothing_and_reads_no_standard_input(run: Run, write: Write, hr: str) -> None:
    write("mine", "thrive.toml")
    assert "thrive.toml exists already" in run("profile", "init", hr).one_line()
    assert Path("thrive.toml").read_text() == "mine"
    assert "standard input has none" in run("profile", "init", "-", "x.toml").one_line()


def test_a_member_profile_without_an_audience_says_what_is_missing(run: Run, write: Write, hr: str) -> None:
    assert run("profile", "init", hr).code == 0
    assert "audience is empty: write a value" in run("profile", "check").one_line()


def test_check_says_what_a_run_may_do(run: Run, served: Sandbox, write: Write, hr: str) -> None:
    write(
        f'sync = "members"\naudience = "a"\nfile = "{hr}"\nkeep-extra = true\nreport = "r.csv"\ndry-run = true\n'
        'save-plan = "p.json"\n'
    )
    assert run("profile", "check", "hr.toml").lines == [
        "hr.toml makes the members of a equal to hr.xlsx.",
        "It reads 7 rows, by column 'E-mail': 7 entries that pass the filters.",
        "It only adds: people who are not in the list stay.",
        "It writes a report: r.csv.",
        "It writes a plan: p.json.",
        "It is a dry run: nothing is changed.",
    ]
    write(f'sync = "members"\naudience = "a"\nfile = "{hr}"\nmax-removals = "none"\n')
    assert "It may remove any number of people." in run("profile", "check", "hr.toml").lines
    assert len(served.requests) == 0


PRINTED = [block.source for block in BLOCKS if block.language == "toml" and block.page.name == "files.md"]


@pytest.mark.parametrize("text", PRINTED)
def test_a_printed_profile_is_understood(write: Write, text: str) -> None:
    assert load_profile(write(text), syncs).parsed()
