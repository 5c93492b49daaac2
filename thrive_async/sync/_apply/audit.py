"""Tell what a journal says of people: what was done to them, when, by which run, and why."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from thrive_async.sync._apply.journal_lines import NOBODY, Person, people_of
from thrive_async.sync._apply.records import Key, entries, planned_in, run_of, source_in
from thrive_async.sync._match.names import lowered

__all__ = ["FIELDS", "told"]

FIELDS: Final = (
    "at", "audience", "action", "reference", "id", "ref", "email", "outcome", "reason", "because", "row", "source",
    "sha256", "operator", "undoes", "changes", "kind", "run", "sync", "version",
)  # fmt: skip
"""The keys of what is told."""
_OPEN: Final = "no outcome yet: the run goes on, or was interrupted"


@attrs.define(repr=False)
class _Run:
    opening: Mapping[str, Any]
    people: Mapping[Key, Person]
    left: dict[Key, None]


def told(
    path: str | os.PathLike[str],
    *,
    person: str | None = None,
    audience: str | None = None,
    since: datetime | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield every change that a journal and its archive tell of, oldest runs first.

    A change without an outcome has the outcome ``"open"``. If the people of a run were redacted, its counts are told
    instead, unless you ask for a person.

    Args:
        path: The journal.
        person: Only the changes of this person, by any name that the journal connects with them.
        audience: Only the changes of this audience, as it was named or by id.
        since: Only what happened from this moment on.

    Raises:
        ConfigurationError: It is not a journal.
        OSError: It cannot be read.
    """
    names = None if person is None else _aliases(path, person)
    begin = "" if since is None else _written(since)
    runs: dict[str, _Run] = {}

    def wanted(at: str, key: Key, known: Person) -> bool:
        return at >= begin and (names is None or not names.isdisjoint(_names(key[1], known)))

    for entry in entries(path):
        run_id = run_of(entry)
        if "planned" in entry:
            if audience is None or audience in _audiences(entry):
                runs[run_id] = run = _Run(entry, people_of(entry), planned_in(entry))
                at = str(entry.get("ended", entry["at"]))
                if "counts" in entry and names is None and at >= begin:
                    yield _counted(run, at)
        elif run_id in runs:
            run, key, at = runs[run_id], (str(entry["action"]), str(entry["reference"])), str(entry["at"])
            run.left.pop(key, None)
            known = run.people.get(key) or Person(
                entry.get("id"), entry.get("ref"), entry.get("email"), entry.get("row")
            )
            if wanted(at, key, known):
                yield _row(run, key, known, at=at, outcome=str(entry["outcome"]), reason=entry["reason"])
    for run in runs.values():
        for key in run.left:
            known, at = run.people.get(key, NOBODY), str(run.opening["at"])
            if wanted(at, key, known):
                yield _row(run, key, known, at=at, outcome="open", reason=_OPEN)


def _row(run: _Run, key: Key, known: Person, *, at: str, outcome: str, reason: str | None) -> dict[str, Any]:
    opening, (action, reference) = run.opening, key
    source = source_in(opening)
    said = {
        "at": at,
        "audience": opening["audience"],
        "action": action,
        "reference": reference,
        "id": known.id,
        "ref": known.ref,
        "email": known.email,
        "outcome": outcome,
        "reason": reason,
        "because": _because(opening, action, known.row),
        "row": known.row,
        "source": source.get("name"),
        "sha256": source.get("sha256"),
        "changes": opening.get("changes", {}).get(reference),
    }
    also = ("operator", "undoes", "kind", "run", "sync", "version")
    return {**dict.fromkeys(FIELDS), **said, **{name: opening.get(name) for name in also}}


def _counted(run: _Run, at: str) -> dict[str, Any]:
    counts = ", ".join(f"{count:,} {word.replace('_', ' ')}" for word, count in run.opening["counts"].items())
    outcome = "redacted" if "redacted" in run.opening else "archived"
    row = _row(run, ("", ""), NOBODY, at=at, outcome=outcome, reason=counts or "no changes")
    return {**row, "because": None}


def _because(opening: Mapping[str, Any], action: str, row: str | None) -> str:
    if opening.get("undoes"):
        return f"undo of {str(opening['undoes'])[:8]}"
    source = str(source_in(opening).get("name") or "the list")
    if row:
        return f"{row} of {source}"
    return f"not in {source}" if action in ("remove", "suspend") else f"in {source}"


def _audiences(opening: Mapping[str, Any]) -> tuple[str, ...]:
    name = str(opening["audience"])
    return name, name.removesuffix(" (managers)"), str(opening["target"])


def _names(reference: str, person: Person) -> set[str]:
    return {_same(name) for name in (reference, person.id, person.ref, person.email) if name}


def _same(name: str) -> str:
    return lowered(name) if "@" in name else name


def _aliases(path: str | os.PathLike[str], person: str) -> set[str]:
    """Return all names that the journal connects with a person: the id of a removal, the ref of an addition."""
    names, before = {_same(person.strip())}, 0
    while len(names) > before:
        before = len(names)
        for entry in entries(path, b'"people"'):
            for (_action, reference), known in people_of(entry).items():
                found = _names(reference, known)
                if not names.isdisjoint(found):
                    names |= found
    return names


def _written(moment: datetime) -> str:
    """Return a moment as the journal writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
