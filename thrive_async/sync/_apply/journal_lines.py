"""What the lines of a journal hold: JSON, one object per line, written and read here. Does no I/O.

`journal` writes them, and reads what is open. `records` and `audit` read whole runs.
"""

import getpass
import json
import os
from collections.abc import Mapping
from typing import Any, Final

import attrs

__all__ = ["NOBODY", "OPENING", "Person", "as_line", "by_action", "operator", "parsed", "people_of"]

OPENING: Final = b'{"run": '
"""What every journal begins with."""


@attrs.frozen(repr=False)
class Person:
    """What is known of a person: their names, and where the list names them.

    Attributes:
        id: Thrive's id.
        ref: The reference.
        email: The e-mail address.
        row: Where the list names them, such as ``"line 7"``.
    """

    id: str | None = None
    ref: str | None = None
    email: str | None = None
    row: str | None = None

    @property
    def known(self) -> dict[str, str]:
        """The attributes that have a value, by name."""
        pairs = (("id", self.id), ("ref", self.ref), ("email", self.email), ("row", self.row))
        return {name: value for name, value in pairs if value}


NOBODY: Final = Person()


def operator() -> str:
    """Return who runs this: `THRIVE_OPERATOR`, else the account's login name or number."""
    named = os.environ.get("THRIVE_OPERATOR", "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def by_action(people: Mapping[tuple[str, str], Person]) -> dict[str, dict[str, dict[str, str]]]:
    """Return people as `people_of` reads them."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for (action, reference), person in people.items():
        if person.known:
            found.setdefault(action, {})[reference] = person.known
    return found


def as_line(value: Mapping[str, object]) -> bytes:
    """Return a line of a journal."""
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    if not text.isprintable():
        # Escaped, so that a terminal does not obey what a name holds; it is the same JSON.
        text = "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return text.encode() + b"\n"


def parsed(line: bytes) -> Any:
    """Return the JSON of a line.

    Raises:
        ValueError, RecursionError: It is no JSON.
    """
    import msgspec  # noqa: PLC0415 - costs import time

    try:
        # A fifth of the time that `json` takes, which reads NaN and lone surrogates, too. orjson would make a float of
        # an integer of more than 64 bits, and undoing would write that.
        return msgspec.json.decode(line)
    except ValueError:
        return json.loads(line)


def people_of(opening: Mapping[str, Any]) -> dict[tuple[str, str], Person]:
    """Return what the line that opens a run says of its people; empty if an older release wrote it."""
    return {
        (action, reference): Person(*(known.get(name) for name in ("id", "ref", "email", "row")))
        for action, people in opening.get("people", {}).items()
        for reference, known in people.items()
    }
