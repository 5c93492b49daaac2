"""Makes the `list` and `get` commands of a resource from a row of the table in `resources.py`."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Group, Parameter

from thrive_async._base.arguments import argument
from thrive_async._generated.operations import Operation
from thrive_async.cli._connection import Connection
from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._formats import OutputFormat, Writer, flatten, note_count, print_record
from thrive_async.cli._option_types import Date, When, texts
from thrive_async.cli._running import run_async

if TYPE_CHECKING:
    from thrive_async import ThriveClient
    from thrive_async.pagination import Paginator

__all__ = ["Filter", "Kind", "Listing", "Look", "Resource", "Single", "add_commands", "as_json", "show_one", "writer"]

OUTPUT = Group("Output", sort_key=70)


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class Single:
    """How to show one item."""

    format: OutputFormat = "table"
    """table is for people, jsonl has every field, csv puts ' before cells that a spreadsheet would run."""
    columns: Annotated[str, Parameter(show_default=False)] = ""
    """Fields to show, separated by commas; dots reach into objects, as in parent.reference."""


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class Listing(Single):
    """How to show a list."""

    limit: int | None = None
    """Show at most this many."""


@dataclass(frozen=True)
class Kind:
    """What is known about one kind of item before any has come.

    Attributes:
        noun: What the items are called, in the plural.
        table: The fields that a table shows.
        fields: The fields that Thrive documents: the columns of a CSV.
    """

    noun: str
    table: tuple[str, ...]
    fields: tuple[str, ...]


# The type of an option, by how its query parameter is written.
_DATES = ("date-iso", "date-iso-or-day", "date-space", "date-local")
_REQUIRED: Mapping[str, Any] = dict.fromkeys(_DATES, Date)
_OPTIONAL: Mapping[str, Any] = {
    "text": str | None,
    "list": Annotated[str | None, Parameter(metavar="A,B")],
    "boolean": Annotated[bool | None, Parameter(show_default=False)],
    **dict.fromkeys(_DATES, When),
}


def _told(kind: Any, text: str) -> Any:
    return Annotated[kind, Parameter(help=text)]


@dataclass(frozen=True)
class Filter:
    """An option of a `list` command; the operation says of what type it is and whether it is required.

    Attributes:
        name: The option, in snake case.
        help: What it does.
        query: The query parameter that it becomes; by default the option's name in camel case.
    """

    name: str
    help: str
    query: str = ""

    @property
    def parameter(self) -> str:
        """The query parameter that it becomes."""
        first, *others = self.name.split("_")
        return self.query or first + "".join(map(str.title, others))


@dataclass(frozen=True)
class Look:
    """One command: the operation it calls, and what its help says.

    Attributes:
        operation: The operation.
        help: What the command does.
        arguments: What each positional argument is, in the order of the operation's path parameters.
        filters: The options that choose items.
    """

    operation: Operation
    help: str
    arguments: Mapping[str, str] = field(default_factory=dict[str, str])
    filters: tuple[Filter, ...] = ()

    def argument(self, one: Filter) -> str:
        """Return the argument of the SDK that a filter becomes."""
        return argument(self.operation.resource, one.parameter)

    def option(self, name: str) -> str:
        """Return the option that becomes an argument of the SDK."""
        named = {self.argument(one): one.name for one in self.filters}
        return f"--{named.get(name, name).replace('_', '-')}"

    def typed(self, one: Filter) -> dict[str, Any]:
        """Return the type and the default of a filter, as the operation has it."""
        written = self.operation.query[one.parameter]
        if one.parameter in self.operation.required_query:
            return {"annotation": _told(_REQUIRED[written], one.help)}
        return {"annotation": _told(_OPTIONAL[written], one.help), "default": None}


@dataclass(frozen=True)
class Resource:
    """A resource of the client, and its commands.

    Attributes:
        words: The words of the command, such as "cpd user-summaries"; the attributes of the client are called alike.
        help: What the command is for.
        kind: What its items look like.
        list: The command that lists items.
        get: The command that shows one.
    """

    words: str
    help: str
    kind: Kind
    list: Look | None = None
    get: Look | None = None

    def of(self, thrive: ThriveClient) -> Any:
        """Return the resource of a client."""
        return attrgetter(self.words.replace("-", "_").replace(" ", "."))(thrive)


def add_commands(app: App, resource: Resource) -> None:
    """Add the `list` and the `get` of a resource to its command."""
    for name, look, output in (("list", resource.list, Listing()), ("get", resource.get, Single())):
        if look is not None:
            app.command(_command(resource, look, output), name=name)


def _command(resource: Resource, look: Look, output: Single) -> Callable[..., int]:
    """Make a command with the signature and the docstring that cyclopts turns into options and help."""

    def command(*words: str, output: Single = output, connection: Connection = Connection(), **given: Any) -> int:  # noqa: B008 - frozen
        if not isinstance(output, Listing):
            return show_one(resource.kind, lambda thrive: resource.of(thrive).get(*words), output, connection)
        filters = {
            look.argument(one): texts(value) if look.operation.query[one.parameter] == "list" else value
            for one in look.filters
            if (value := given.get(one.name)) is not None
        }
        return show_list(
            resource.kind,
            look,
            lambda thrive, paging: resource.of(thrive).list(*words, **filters, **paging),
            output,
            connection,
        )

    of = inspect.Parameter
    parameters = [
        *(of(name, of.POSITIONAL_ONLY, annotation=_told(str, told)) for name, told in look.arguments.items()),
        *(of(one.name, of.KEYWORD_ONLY, **look.typed(one)) for one in look.filters),
        of("output", of.KEYWORD_ONLY, default=output, annotation=type(output)),
        of("connection", of.KEYWORD_ONLY, default=Connection(), annotation=Connection),
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__doc__ = look.help
    return command


def writer(output: Single, kind: Kind) -> Writer:
    """Make the writer of a command's items.

    Raises:
        CliError: `--columns` names a field that no item of this kind has.
    """
    columns = tuple(name.strip() for name in output.columns.split(",") if name.strip())
    known = {name.partition(".")[0] for name in kind.fields}
    for name in columns:
        if name.partition(".")[0] not in known:
            raise CliError(f"--columns {name}: there is no such field; choose from {', '.join(kind.fields)}")
    return Writer(output.format, columns=columns, defaults=kind.table, fields=kind.fields)


async def _raw_items(paginator: Paginator[Any], limit: int | None) -> AsyncGenerator[dict[str, Any]]:
    left = limit
    async with aclosing(paginator.pages()) as pages:
        async for page in pages:
            for item in page.raw[:left]:
                yield item
            left = None if left is None else left - len(page.raw)
            if left is not None and left <= 0:
                return


@contextmanager
def _named_by(look: Look) -> Generator[None]:
    """Say which option is wrong where the SDK says which argument is."""
    from thrive_async.errors import InvalidArgument  # noqa: PLC0415 - after the parsing

    try:
        yield
    except InvalidArgument as error:
        raise CliError(error.told(look.option)) from error


def show_list(
    kind: Kind,
    look: Look,
    ask: Callable[[ThriveClient, dict[str, int]], Paginator[Any]],
    output: Listing,
    connection: Connection,
) -> int:
    """Walk a list and write each item as it comes.

    Args:
        kind: What is listed.
        look: The command.
        ask: Calls the resource's `list` with the arguments for paging.
        output: How to show it.
        connection: The Thrive tenant to use.

    Returns:
        The exit code.
    """
    if output.limit is not None and output.limit < 1:
        raise CliError(f"--limit {output.limit}: at least 1")
    to = writer(output, kind)
    paging: dict[str, int] = {}
    most = look.operation.per_page or 0
    if output.limit is not None and output.limit <= min(most, connection.per_page or most):
        # A short list is one small page, so nothing is asked for that is not shown.
        paging = {"per_page": output.limit, "prefetch": 1}

    async def walk() -> int:
        async with connection.client() as thrive:
            with _named_by(look):
                await to.drain(_raw_items(ask(thrive, paging), output.limit))
            if output.format == "table":
                note_count(to.count, kind.noun)
            return Exit.DONE

    return run_async(walk)


def show_one(
    kind: Kind, ask: Callable[[ThriveClient], Awaitable[object]], output: Single, connection: Connection
) -> int:
    """Ask for one item and write it; a table has a line per field.

    Args:
        kind: What is asked for.
        ask: Calls the resource's `get`.
        output: How to show it.
        connection: The Thrive tenant to use.

    Returns:
        The exit code.
    """
    to = writer(output, kind)

    async def one() -> int:
        async with connection.client() as thrive:
            record = as_json(await ask(thrive))
        if output.format == "table" and not to.columns:
            print_record(flatten(record))
        else:
            to.write(record)
            to.close()
        return Exit.DONE

    return run_async(one)


def as_json(model: object) -> dict[str, Any]:
    """Turn a model back into a JSON object with Thrive's names."""
    import json  # noqa: PLC0415

    from thrive_async._wire.convert import dump  # noqa: PLC0415 - after the parsing

    decoded: dict[str, Any] = json.loads(dump(model))
    return decoded
