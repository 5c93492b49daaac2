"""`thrive profile`: write a profile from a file, and say in words what one would read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import STDIN, Sheet, fold, source_of
from thrive_async.cli._files.sheet import names_people
from thrive_async.cli._formats import out
from thrive_async.cli._option_types import FileArgument, Input, MoreFiles, wanted
from thrive_async.cli._people import People, people_of
from thrive_async.cli._profiles import Profile, load_profile
from thrive_async.cli._safe_text import counted, one_line
from thrive_async.cli._sync_audiences import grouped
from thrive_async.cli._sync_managers import granted
from thrive_async.cli._sync_users import columns_of, mapping
from thrive_async.cli.sync import app as syncs

__all__ = ["app"]

app: App = App(name="profile", help="Keep the options of a sync in a file: write one, and check what it would read.")

Kind = Literal["members", "managers", "audiences", "users"]
#: The folded names that HR systems give to the columns of user fields.
_FIELDS: Mapping[str, Sequence[str]] = {
    "ref": (
        "ref", "reference", "employeeid", "employeenumber", "employeeno", "personnelnumber", "personnelno", "personid",
        "staffid", "staffnumber", "workerid", "payrollnumber",
    ),
    "first_name": ("firstname", "givenname", "forename", "preferredname"),
    "last_name": ("lastname", "surname", "familyname"),
    "email": ("email", "emailaddress", "workemail", "mail", "primaryemail"),
    "job_title": ("jobtitle", "title", "position", "role", "businesstitle"),
    "manager_ref": ("managerref", "managerid", "manageremployeeid", "managernumber", "supervisorid", "linemanagerid"),
    "start_date": ("startdate", "hiredate", "joiningdate", "dateofjoining"),
    "end_date": ("enddate", "leavingdate", "terminationdate", "dateofleaving", "leaverdate"),
}  # fmt: skip
_STATUS = ("status", "employmentstatus", "employeestatus", "workerstatus", "state")
_DEPARTMENT = ("department", "dept", "team", "division", "businessunit", "costcentre", "costcenter", "region", "site")
_GONE = ("left", "leaver", "terminated", "inactive", "former", "resigned", "ended", "no", "false", "0", "t", "i", "l")
_FEW = 8


@app.command
def init(
    file: FileArgument,
    profile: str = "thrive.toml",
    /,
    *,
    sync: Kind | None = None,
    audience: Annotated[str | None, Parameter(metavar="NAME|RULE")] = None,
    reading: Input = Input(),  # noqa: B008 - frozen
) -> int:
    """Write a profile for a file after a look at its columns. Nothing is sent to Thrive.

    Args:
        file: The file that HR sends.
        profile: The profile to write; it must not exist yet.
        sync: What to make equal to the file; by default audiences if a column names them, else members.
        audience: The audience; for audiences, the rule such as dept-{Department}.
        reading: How to read the file.
    """
    if file == STDIN:
        raise CliError("a profile is for a file with a name; standard input has none")
    target = Path(profile)
    sheet = reading.read(file).with_header()
    if sync is None:
        by_row = "audience" in map(fold, sheet.names or ()) or (audience is not None and "{" in audience)
        sync = "audiences" if by_row else "members"
    text = "\n".join(_written(sheet, _relative(file, target), sync, audience, reading)) + "\n"
    try:
        with target.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise CliError(f"{profile} exists already: name another file, or remove it first") from error
    out(f"{profile} written: look it over, then `thrive profile check {profile}` says what it would read")
    return Exit.DONE


def _relative(file: str, profile: Path) -> str:
    """Return the path of a file as seen from the folder of the profile, if it is below it."""
    path, folder = Path(file).absolute(), profile.absolute().parent
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _toml(value: str | bool) -> str:  # noqa: FBT001 - a value
    return json.dumps(value, ensure_ascii=False)


def _written(sheet: Sheet, file: str, sync: Kind, audience: str | None, reading: Input) -> Iterator[str]:
    names = [name for name in sheet.names or () if name]
    yield f"# Run by `thrive sync --profile THIS-FILE`. The keys are the options of `thrive sync {sync}`."
    yield f'sync = "{sync}"'
    yield f"file = {_toml(file)}  # as seen from this file's folder"
    if sync != "users":
        example = "dept-{Department}" if sync == "audiences" else "sales-emea"
        if audience is not None:
            yield f"audience = {_toml(audience)}"
        elif sync != "audiences":
            yield f"audience = {_toml('')}  # its id or reference, such as {example}"
        elif "audience" not in map(fold, names):
            column = next((name for name in names if fold(name) in _DEPARTMENT), names[0])
            yield f"audience = {_toml('dept-{' + column + ':slug}')}  # how an audience is called after its column"
    if sync in ("members", "managers"):
        yield from _column_line(sheet)
    for key, value in (("sheet", reading.sheet), ("encoding", reading.encoding), ("delimiter", reading.delimiter)):
        if value is not None:
            yield f"{key} = {_toml(value)}"
    if reading.skip_lines:
        yield f"skip-lines = {reading.skip_lines}"
    if reading.stop_at is not None:
        yield f"stop-at = {_toml(reading.stop_at)}"
    if reading.input_format != "auto":
        yield f"input-format = {_toml(reading.input_format)}"
    if reading.header is not None:
        yield f"header = {_toml(reading.header)}"
    for key, given in (("where", reading.where), ("prefer", reading.prefer)):
        if given:
            yield f"{key} = [{', '.join(map(_toml, given))}]"
    if sync == "users":
        yield 'leavers = "ignore"  # or "suspend": users who are not in the file'
    yield ""
    yield "# The guards: a run that removes more is refused."
    yield 'max-removals = "10%,min 1"'
    yield '# protect = "protected.csv"  # people who are never removed or suspended'
    yield '# journal = "run.jsonl"'
    yield '# report = "report.csv"'
    yield "# yes = true  # without a terminal, removals need it"
    yield ""
    yield from _where_lines(sheet, reading)
    if sync == "users":
        yield ""
        yield from _map_lines(names)


def _column_line(sheet: Sheet) -> Iterator[str]:
    names = sheet.names or ()
    try:
        at = sheet.choose()[0]
        yield f"column = {_toml(names[at] or str(at + 1))}"
    except CliError:
        likely = [name for name in names if names_people((name,)) or fold(name) in _FIELDS["ref"]]
        yield f"column = {_toml(likely[0] if likely else '')}  # who a row is: one of {', '.join(map(_toml, names))}"


def _where_lines(sheet: Sheet, reading: Input) -> Iterator[str]:
    """Describe the columns with few values, which filters can use."""
    for at, name in enumerate(sheet.names or ()):
        values = Counter(text.strip() for text in sheet.texts(at))
        if name and 1 < len(values) <= _FEW and len(values) * 3 <= len(sheet.rows):
            listed = ", ".join(f"{one_line(value) or 'blank'} {count:,}" for value, count in values.most_common())
            yield f"# Column {_toml(name)}: {listed}"
    if reading.where:
        return
    yield "[where]  # read only these rows"
    status = next((at for at, name in enumerate(sheet.names or ()) if fold(name) in _STATUS), None)
    if status is not None:
        found = dict.fromkeys(text.strip() for text in sheet.texts(status))
        stay = [value for value in found if value and value.casefold() not in _GONE][:_FEW]
        yield f"# {_toml((sheet.names or ())[status])} = [{', '.join(map(_toml, stay))}]"


def _map_lines(names: Sequence[str]) -> Iterator[str]:
    yield "[map]  # the column of each field"
    used: set[str] = set()
    for user_field, known in _FIELDS.items():
        found = next((name for word in known for name in names if fold(name) == word and name not in used), None)
        if found is not None:
            used.add(found)
            yield f"{user_field} = {_toml(found)}"
        elif user_field in ("ref", "first_name", "last_name", "email"):
            yield f'# {user_field} = ""'
    rest = [name for name in names if name not in used]
    if rest:
        yield f"# Other columns: {', '.join(map(_toml, rest))}"


@app.command
def check(profile: str = "thrive.toml", /, *files: MoreFiles) -> int:
    """Say in words what a profile would read and do. Its files are read; nothing is sent to Thrive.

    Args:
        profile: The profile.
        files: Files to read instead of those of the profile.
    """
    read = load_profile(profile, syncs)
    try:
        _function, bound = read.parsed(files)
        bound.apply_defaults()
        for line in _described(read, bound.arguments):
            out(line)
    except CliError as error:
        raise CliError(read.located(error.message), error.code) from error
    return Exit.DONE


_DEEDS = {
    "members": "makes the members of {audience} equal to {file}",
    "managers": "makes the managers of {audience} equal to {file}",
    "audiences": "makes the members of many audiences equal to {file}",
    "users": "makes the users of the tenant equal to {file}",
}


def _described(profile: Profile, given: Mapping[str, Any]) -> Iterator[str]:
    reading: Input = given["reading"]
    files = (given["file"], *given["more"])
    applying = given["applying"]
    applying.check(*files, save_plan=given["save_plan"])
    applying.report_file()
    deed = _DEEDS[profile.kind].format(audience=given.get("audience"), file=" and ".join(files))
    yield f"{profile.path} {deed}."
    yield from _lists(profile.kind, files, reading, given)
    yield from _guards(applying, given)


def _lists(kind: str, files: Sequence[str], reading: Input, given: Mapping[str, Any]) -> Iterator[str]:
    if kind == "users":
        pairs = given["map_"]
        sheets = [one.with_header() for one in reading.read_all(files, wanted(*columns_of(pairs).values()))]
        columns, rows = mapping(pairs, sheets, reading, left=given["left"], date_format=given["date_format"])
        yield f"It reads {counted(source_of(sheets).rows, 'rows')}, and {counted(len(rows), 'rows')} pass the filters."
        yield f"Fields: {', '.join(f'{user_field} from {name!r}' for user_field, name in columns.items())}."
        return
    if kind == "audiences":
        named = given["audience_column"], given["member_column"]
        sheets = [reading.headed(sheet) for sheet in reading.read_all(files, wanted(*named))]
        desired = grouped(sheets, *named, rule=given["audience"], reading=reading)
        total = sum(map(len, desired.values()))
        yield f"It reads {counted(source_of(sheets).rows, 'rows')}: {counted(total, 'entries')} that pass the filters."
        largest = sorted(desired, key=lambda name: -len(desired[name]))[:_FEW]
        listed = ", ".join(f"{name} ({len(desired[name]):,})" for name in largest)
        yield f"Audiences: {len(desired):,}, the largest are {listed}."
        return
    column = given["column"]
    sheets, people = people_of(reading.read_all(files, wanted(column)), column, reading)
    if kind == "managers":
        for sheet, one in zip(sheets, people, strict=True):
            granted(sheet, one, given["grant"])
    yield _people_read(sheets, people)


def _people_read(sheets: Sequence[Sheet], people: Sequence[People]) -> str:
    entries = [entry for one in people for entry in one.desired]
    doubts = sum(entry.doubt is not None for entry in entries)
    told = f", {counted(doubts, 'rows')} of them in doubt" if doubts else ""
    rows = counted(source_of(sheets).rows, "rows")
    return f"It reads {rows}, {people[0].column}: {counted(len(entries), 'entries')} that pass the filters{told}."


def _guards(applying: Any, given: Mapping[str, Any]) -> Iterator[str]:
    verb = "suspend" if "leavers" in given else "remove"
    if given.get("keep_extra"):
        yield "It only adds: people who are not in the list stay."
    elif applying.max_removals.strip().casefold() == "none":
        yield f"It may {verb} any number of people."
    else:
        yield f"It is refused if it would {verb} more than {applying.max_removals}."
    protected = applying.protected()
    if protected:
        yield f"It never {verb}s the people in {applying.protect} ({counted(len(protected), 'names')})."
    for what, file in (("journal", applying.journal), ("report", applying.report), ("plan", given["save_plan"])):
        if file is not None:
            yield f"It writes a {what}: {file}."
    if applying.dry_run:
        yield "It is a dry run: nothing is changed."
    elif not applying.yes:
        yield f"It asks before it {verb}s anyone; without a terminal it needs `yes = true`."
