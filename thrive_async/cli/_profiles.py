"""Profiles: the options of a `thrive sync` in a TOML file, so that a nightly job is reviewed like code.

The keys of a profile are the names of the command's options, and its values become words of the command line. So a
profile can say what the command line can, and a mistake in it gets the message of the command line, with its line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cyclopts import App, CycloptsError, MissingArgumentError

from thrive_async.cli._errors import CliError, describe, say
from thrive_async.cli._files import STDIN

if TYPE_CHECKING:
    from inspect import BoundArguments

    from cyclopts import Argument, ArgumentCollection

__all__ = ["KINDS", "Profile", "load_profile"]

#: The syncs that a profile can describe: the commands below `thrive sync`.
KINDS = ("members", "managers", "audiences", "users")
#: The words of the command line that have no option's name.
_WORDS = ("audience", "file")


@dataclass(frozen=True)
class Profile:
    """A profile that was read and checked.

    Attributes:
        path: Its file.
        kind: The sync: "members", "managers", "audiences" or "users".
        values: What it says, by key.
        lines: The line of each key.
        command: The command that it is for.
        arguments: What the command takes.
    """

    path: str
    kind: str
    values: Mapping[str, Any]
    lines: Mapping[str, int]
    command: App = field(repr=False)
    arguments: ArgumentCollection = field(repr=False)

    def parsed(self, options: Sequence[str] = ()) -> tuple[Any, BoundArguments]:
        """Return the command's function, and its arguments.

        Args:
            options: More words of the command line; they go before what the profile says about the same.

        Raises:
            CliError: A value cannot be meant; if it is the profile's, with its line.
        """
        given = {option.partition("=")[0] for option in options if option.startswith("-")}
        keys = [key for key in self.values if key != "sync" and given.isdisjoint(_names(self.arguments, key))]
        # The words without an option's name come first, in their order.
        keys.sort(key=lambda key: _WORDS.index(key) if key in _WORDS else len(_WORDS))
        if any(not option.startswith("-") for option in options):
            # A file on the command line goes before that of the profile; unless it is an option's value.
            with suppress(CycloptsError):
                return self._parsed([key for key in keys if key != "file"], options)
        try:
            return self._parsed(keys, options)
        except CycloptsError as error:
            error.verbose = False
            if isinstance(error, MissingArgumentError) and "file" not in self.values:
                raise CliError(
                    f'{self.path} names no file: write file = "people.xlsx", or name one after the options'
                ) from error
            key = next((key for key in keys if re.search(rf"--{key}(?![\w-])", str(error))), None)
            where = f"{self.path}: line {self.lines[key]}: " if key is not None else ""
            raise CliError(f"{where}{error} See `thrive sync {self.kind} --help`.") from error

    def _parsed(self, keys: Sequence[str], options: Sequence[str]) -> tuple[Any, BoundArguments]:
        words = [word for key in keys for word in self._words(key)]
        function, bound, _ignored = self.command.parse_args([*words, *options], exit_on_error=False, print_error=False)
        return function, bound

    def _words(self, key: str) -> list[str]:
        argument = _argument(self.arguments, key)
        values = _texts(self.values[key])
        if argument is None:
            return []
        if argument.parameter.metavar == "FILE":
            folder = Path(self.path).parent
            values = [value if value == STDIN else str(folder / value) for value in values]
        if not argument.names[0].startswith("--"):
            return values
        if isinstance(self.values[key], bool):
            return [argument.names[0]] if self.values[key] else list(argument.negatives)
        return [f"{argument.names[0]}={value}" for value in values]

    def run(self, options: Sequence[str]) -> int:
        """Run the sync; a mistake in a value of the profile is told with its line."""
        function, bound = self.parsed(options)
        try:
            return cast("int", function(*bound.args, **bound.kwargs))
        except Exception as error:
            message, code = describe(error)
            located = self.located(message, options)
            if located == message:
                raise
            raise CliError(located, code) from error

    def located(self, message: str, options: Sequence[str] = ()) -> str:
        """Return a message about an option with the line of the profile that says it."""
        given = {option.partition("=")[0].removeprefix("--") for option in options}
        named = (match[1] for match in re.finditer(r"--([a-z][a-z-]*)", message))
        key = next((key for key in named if key in self.lines and key not in given), None)
        return message if key is None else f"{self.path}: line {self.lines[key]}: {message}"


def _argument(arguments: ArgumentCollection, key: str) -> Argument | None:
    """Return the argument of a command that a key of the profile stands for."""
    wanted = {key.upper()} if key in _WORDS else set[str]()
    for argument in arguments:
        if (argument.parse and not wanted.isdisjoint(argument.names)) or f"--{key}" in argument.names[:1]:
            return argument
    return None


def _names(arguments: ArgumentCollection, key: str) -> set[str]:
    argument = _argument(arguments, key)
    return set(argument.names) | set(argument.negatives) if argument is not None else set()


def _keys(arguments: ArgumentCollection) -> list[str]:
    """Return the keys that a profile for a command may have."""
    names = (argument.names[0] for argument in arguments if argument.parse)
    keys = [name.removeprefix("--") for name in names if name.startswith("--") and len(name) > 2]
    return ["sync", *(key for key in _WORDS if _argument(arguments, key) is not None and key not in keys), *keys]


def _texts(value: Any) -> list[str]:
    """Return a value of TOML as the values of an option; a table becomes pairs: {Status = "Active"}."""
    if isinstance(value, dict):
        return [f"{key}={_pair(item)}" for key, item in cast("dict[str, Any]", value).items()]
    if isinstance(value, list):
        return [text for item in cast("list[Any]", value) for text in _texts(item)]
    return [value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)]


def _pair(value: Any) -> str:
    if not isinstance(value, list):
        return _texts(value)[0]
    return ",".join(f'"{text}"' if "," in text else text for text in _texts(value))


def load_profile(path: str, syncs: App) -> Profile:
    """Read a profile.

    Args:
        path: Its file.
        syncs: The commands below `thrive sync`.

    Raises:
        CliError: It cannot be read, or something in it cannot be meant. Each mistake is told with its line.
    """
    import tomllib  # noqa: PLC0415 - only for profiles

    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        hint = "; `thrive profile init FILE` writes one" if isinstance(error, FileNotFoundError) else ""
        raise CliError(f"cannot read {path}: {error.strerror or error}{hint}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is not UTF-8: save it as UTF-8") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)|\(at end of document\)", str(error))
        line = found[1] if found is not None and found[1] else str(text.count("\n") + 1)
        what = str(error).partition(" (at")[0]
        raise CliError(f"{path}: line {line}: {what[:1].lower()}{what[1:]} (a profile is TOML)") from error
    lines = _lines(text, values)
    kind = values.get("sync")
    if kind not in KINDS:
        where = f"line {lines['sync']}: sync is {kind!r}" if "sync" in lines else "line 1: sync is missing"
        raise CliError(f'{path}: {where}; write sync = "members", or one of {", ".join(KINDS)}')
    command = syncs[kind]
    arguments = command.assemble_argument_collection()
    mistakes = [
        f"{path}: line {lines[key]}: {mistake}"
        for key, value in values.items()
        if (mistake := _mistake(kind, arguments, key, value)) is not None
    ]
    needed = _argument(arguments, "audience")
    if needed is not None and needed.required and "audience" not in values:
        mistakes.append(f'{path}: line {lines["sync"]}: the {kind} of which audience? Write audience = "sales-emea"')
    for mistake in mistakes[:-1]:
        say(f"thrive: {mistake}")
    if mistakes:
        raise CliError(mistakes[-1])
    return Profile(path, kind, values, lines, command, arguments)


def _lines(text: str, values: Mapping[str, Any]) -> dict[str, int]:
    """Return the line of each key; tomllib does not tell."""
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r"""\s*\[?\s*(?:"([^"]+)"|'([^']+)'|([\w-]+))\s*[\].=]""", line)
        key = next(filter(None, match.groups()), "") if match is not None else ""
        if key in values:
            found.setdefault(key, number)
    return {key: found.get(key, 1) for key in values}


def _mistake(kind: str, arguments: ArgumentCollection, key: str, value: Any) -> str | None:
    if key == "sync":
        return None
    argument = _argument(arguments, key)
    if argument is None:
        return f"{key!r} is not a key of a profile for `thrive sync {kind}`{_meant(arguments, key)}"
    several = "tuple" in str(argument.hint) or key == "file"
    if isinstance(value, dict):
        if not (several and "=" in str(argument.parameter.metavar)):
            return f"{key} is one value, not a table"
    elif isinstance(value, list) and not several:
        return f"{key} is one value, not a list"
    is_flag = "bool" in str(argument.hint)
    if is_flag != isinstance(value, bool):
        return f"{key} is true or false" if is_flag else f"{key} is not true or false; write a value"
    texts = _texts(value)
    if not is_flag and not all(text.strip() for text in texts or ([] if several and key != "file" else [""])):
        return f"{key} is empty: write a value, or leave the line out"
    return None


def _meant(arguments: ArgumentCollection, key: str) -> str:
    import difflib  # noqa: PLC0415 - only for a mistake

    known = _keys(arguments)
    folded = key.replace("_", "-").casefold()
    alike = difflib.get_close_matches(folded, known, n=1) or [one for one in known if folded == f"{one}s"]
    return f"; did you mean {alike[0]}?" if alike else f"; the keys are the names of its options, such as {known[1]}"
