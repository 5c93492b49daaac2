"""`thrive sync managers`: make an audience's managers and their permissions equal to a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from thrive_async.cli._applying import PeopleApplying, apply_plan, finish, show_plan
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, say
from thrive_async.cli._files import Sheet, fold, source_of
from thrive_async.cli._formats import flatten
from thrive_async.cli._option_types import FileArgument, Flag, Input, MoreFiles, Unknown, wanted
from thrive_async.cli._people import People, people_of
from thrive_async.cli._plan_views import ManagersView, save
from thrive_async.cli._safe_text import counted
from thrive_async.cli._suggestions import suggesting

if TYPE_CHECKING:
    from thrive_async.sync import Entry

__all__ = ["granted", "managers"]

_WHOLE = "permissions"
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


def managers(
    audience: str,
    file: FileArgument,
    /,
    *more: MoreFiles,
    column: Annotated[str | None, Parameter(alias="-c", metavar="NAME|N")] = None,
    grant: Annotated[tuple[str, ...], Parameter(negative="", metavar="PERMISSION", show_default=False)] = (),
    keep_extra: Flag = False,
    allow_empty: Flag = False,
    unknown: Unknown = "hold",
    save_plan: Annotated[str | None, Parameter(metavar="FILE")] = None,
    applying: PeopleApplying = PeopleApplying(),  # noqa: B008 - frozen
    reading: Input = Input(),  # noqa: B008
    connection: Connection = Connection(),  # noqa: B008
) -> int:
    """Make an audience's managers and their permissions equal to a file with one row per manager.

    Name a column after a permission, such as peopleManager.insights, to say yes or no for each manager, or use --grant
    to give a permission to all of them. Permissions that you do not give are taken away. `thrive audiences managers
    list` prints such a file.

    Args:
        audience: The id or reference of the audience or structure.
        file: The people who should be managers.
        more: More files, each with its own header; their rows are one list.
        column: The column that names people, or its number from 1. By default the only column, or id, userId, ref,
            reference or email; where that is blank, the next of these.
        grant: A permission for all managers in the file, such as peopleManager.insights. Repeat it for several.
        keep_extra: Only add and change: managers who are not in the file stay.
        allow_empty: Let a file without people remove all managers.
        unknown: What to do while Thrive does not know a name in the file: hold leaves alone the people it may mean,
            hold-all leaves everyone alone, remove ignores it.
        save_plan: Write the plan to a file, for `thrive plan show` and `thrive plan apply`.
        applying: What the run may do.
        reading: How to read the file.
        connection: The Thrive tenant to use.
    """
    applying.check(file, *more, save_plan=save_plan)
    sheets, people = people_of(reading.read_all((file, *more), wanted(column)), column, reading)
    desired = [entry for sheet, one in zip(sheets, people, strict=True) for entry in granted(sheet, one, grant)]
    source = source_of(sheets)
    protected = applying.protected()
    thrive = connection.client()
    report = applying.report_file()

    async def main() -> int:
        from thrive_async import sync  # noqa: PLC0415 - after the parsing

        async with thrive, applying.alone():
            entries = counted(len(desired), "entries")
            say(f"comparing managers of {audience} with {source.name}, {people[0].column}: {entries}")
            planning = sync.plan_managers(
                thrive,
                audience,
                desired,
                removals=not keep_extra,
                allow_empty=allow_empty,
                unknown=unknown,
                protect=protected,
            )
            view = ManagersView(await suggesting(thrive, audience, planning))
            view.plan.source = source
            show_plan(view)
            if save_plan is not None:
                save(view.plan, save_plan)
            return await apply_plan(view, applying, report, thrive)

    return finish(main, report)


def granted(sheet: Sheet, people: People, given: tuple[str, ...]) -> list[Entry]:
    """Read the desired managers and their permissions.

    Args:
        sheet: The file, with its header if it has one.
        people: The people in its rows.
        given: The permissions for all managers.

    Returns:
        An entry with the permissions for each row.

    Raises:
        CliError: A permission does not exist, a cell is neither yes nor no, a row is incomplete or has no usable name,
            or no permission is given at all.
    """
    import attrs  # noqa: PLC0415 - after the parsing

    from thrive_async.sync.permissions import PERMISSIONS, restored_grant  # noqa: PLC0415 - after the parsing

    everybody = {_permission(name, f"--grant {name}"): True for name in given}
    columns = dict(_columns(sheet))
    if not columns and not everybody:
        raise CliError(
            f"{sheet.source}: nothing says what these managers may do: name a column after a permission, such "
            "as peopleManager.insights, or give one to all with --grant"
        )
    sheet.check_whole()
    grants: list[Entry] = []
    for place, (row, entry) in enumerate(zip(sheet.rows, people.entries, strict=True)):
        if entry is None:
            continue
        if entry.doubt is not None:
            raise CliError(f"{sheet.located(place)} does not say who the manager is: {entry.doubt}; see --column")
        flags = dict.fromkeys(PERMISSIONS, False)
        for at, permission in columns.items():
            flags |= _flags(row[at] if at < len(row) else "", permission, sheet.located(place))
        flags |= everybody
        # Every permission is sent, except an administrator's unset ones, which exist only for structures.
        said = {
            PERMISSIONS[permission]: flag
            for permission, flag in flags.items()
            if flag or not permission.startswith("administrator")
        }
        grant = restored_grant({"reference": entry.name or entry.also[0], "permissions": said})
        grants.append(attrs.evolve(entry, permissions=grant.permissions))
    return grants


@cache
def _permissions() -> tuple[dict[str, str], frozenset[str]]:
    """Return Thrive's names of all permissions by their folded form, and the read-only ones."""
    from thrive_async.sync.permissions import PERMISSIONS, READ_ONLY  # noqa: PLC0415 - after the parsing

    return {fold(name): name for name in (*PERMISSIONS, *READ_ONLY)}, READ_ONLY


def _columns(sheet: Sheet) -> Iterator[tuple[int, str]]:
    """Find the permission columns: pairs of their index and the permission, or `_WHOLE`."""
    names, read_only = _permissions()
    groups = {name.partition(".")[0] for name in names}
    for at, name in enumerate(sheet.names or ()):
        folded = fold(name)
        bare = folded.removeprefix(f"{_WHOLE}.")
        if bare in (_WHOLE, *names):
            if names.get(bare) not in read_only:
                yield at, names.get(bare, _WHOLE)
        elif bare != folded or bare.partition(".")[0] in groups:
            # Ignoring a misspelt permission would take it away from all managers.
            _permission(name, f"{sheet.source}: column {name!r}")


def _permission(name: str, where: str) -> str:
    names, read_only = _permissions()
    found = names.get(fold(name))
    if found is None or found in read_only:
        writable = ", ".join(one for one in names.values() if one not in read_only)
        raise CliError(f"{where}: no such permission; there are {writable}")
    return found


def _flags(cell: object, permission: str, where: str) -> dict[str, bool]:
    """Read one cell: yes or no, or a whole object of permissions as Thrive returns it."""
    if permission == _WHOLE:
        return dict(_whole(cell, where))
    text = "" if cell is None else json.dumps(cell) if not isinstance(cell, str) else cell.strip()
    if text.lower() not in _TRUTH:
        raise CliError(f"{where}: {permission} must be yes or no, not {text[:40]!r}")
    return {permission: _TRUTH[text.lower()]}


def _whole(cell: object, where: str) -> Iterator[tuple[str, bool]]:
    if isinstance(cell, str) and cell.strip():
        try:
            cell = json.loads(cell)
        except ValueError:
            raise CliError(
                f"{where}: permissions must be JSON, as `thrive audiences managers list` prints it"
            ) from None
    if cell is None or cell == "":
        return
    if not isinstance(cell, dict):
        raise CliError(f"{where}: permissions must be an object, as `thrive audiences managers list` prints it")
    for name, value in flatten(cast("dict[str, Any]", cell)).items():
        if name in _permissions()[1] or value == {}:
            continue
        if not isinstance(value, bool):
            raise CliError(f"{where}: {name} must be true or false")
        yield _permission(name, where), value
