"""`thrive journal`: what was done to whom and why, and how long the journal keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import App, Parameter

from thrive_async.cli._errors import CliError, Exit, say
from thrive_async.cli._option_types import Date, When, duration
from thrive_async.cli._report_file import in_words
from thrive_async.cli._resource_commands import Kind, Single, writer
from thrive_async.cli._running import run_async
from thrive_async.cli._safe_text import counted

__all__ = ["app"]

app: App = App(name="journal", help="What was done to whom and why; and how long the journal keeps it.")

_TABLE = ("at", "audience", "person", "outcome", "because", "details", "operator", "run")
_RUNS = Kind(
    noun="runs",
    table=("run", "at", "audiences", "added", "changed", "removed", "failed", "source", "operator", "note"),
    fields=(
        "run",
        "at",
        "audiences",
        "added",
        "changed",
        "removed",
        "failed",
        "not_attempted",
        "source",
        "operator",
        "note",
    ),
)


@app.command
def show(
    file: str,
    /,
    *,
    person: str | None = None,
    audience: str | None = None,
    since: When = None,
    output: Single = Single(),  # noqa: B008 - frozen
) -> int:
    """Show what was done to people: when, by which list, and who ran it.

    Thrive is not asked. The archive of `thrive journal compact` is read, too.

    Args:
        file: The journal.
        person: Only this person, by id, ref or e-mail: `--person ada@example.com` says why she was removed.
        audience: Only this audience, by its name in the journal or its id.
        since: Only what happened on this day or later.
        output: How to show it.
    """
    from thrive_async.sync._apply.audit import FIELDS, told  # noqa: PLC0415 - after the parsing

    to = writer(output, Kind(noun="changes", table=_TABLE, fields=FIELDS))
    for row in told(file, person=person, audience=audience, since=since):
        to.write(_readable(row) if output.format == "table" else row)
    to.close()
    if not to.count:
        about = f" about {person}" if person is not None else ""
        say(f"{file} says nothing{about}{' of that' if audience is not None or since is not None else ''}")
    return Exit.DONE


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    details = [str(row["reason"] or ""), in_words(row["changes"] or {})]
    return {
        **row,
        "person": row["email"] or row["ref"] or row["reference"],
        "outcome": row["outcome"] if row["outcome"] != "failed" else f"{row['action']} failed",
        "details": "; ".join(one for one in details if one),
        "run": str(row["sync"] or row["run"])[:8],
    }


@app.command
def runs(file: str, /, *, output: Single = Single()) -> int:  # noqa: B008 - frozen
    """List the runs of a journal, oldest first. The audiences of one command are one run.

    Args:
        file: The journal.
        output: How to show them.
    """
    to = writer(output, _RUNS)
    for row in _runs(file):
        to.write(row)
    to.close()
    return Exit.DONE


def _runs(file: str) -> Iterator[dict[str, Any]]:
    from thrive_async.sync._apply.records import calls_of, source_in  # noqa: PLC0415 - after the parsing

    for call in calls_of(file).values():
        names = [str(opening["audience"]) for opening in call.openings.values()]
        first = next(iter(call.openings.values()))
        undoes = f"undo of {str(first['undoes'])[:8]}" if first.get("undoes") else ""
        redacted = f"redacted on {call.redacted[:10]}" if call.redacted else ""
        yield {
            "run": call.id,
            "at": call.at,
            "audiences": names[0] if len(names) == 1 else f"{len(names):,} audiences",
            **{word: call.counts.get(word, 0) for word in ("added", "changed", "removed", "failed", "not_attempted")},
            "source": source_in(first).get("name"),
            "operator": first.get("operator"),
            "note": "; ".join(one for one in (undoes, redacted) if one) or None,
        }


@app.command
def compact(file: str, /, *, older_than: Annotated[str, Parameter(metavar="TIME")] = "30d") -> int:
    """Move finished runs that ended long ago to an archive beside the journal, as in run.jsonl.gz.

    Nothing is lost: `thrive journal show` and `thrive undo` read the archive. Unfinished runs stay. The journal is
    replaced as a whole, so an interruption changes nothing.

    Args:
        file: The journal.
        older_than: How long ago a run must have ended, such as 30d or 12h.
    """
    age = duration(older_than, "--older-than")
    from thrive_async.sync._apply import upkeep  # noqa: PLC0415 - after the parsing

    done = run_async(lambda: upkeep.compact(_there(file), age))
    say(f"{file}: {counted(done.runs, 'runs')} moved to {done.archive}; {done.before:,} bytes are now {done.after:,}")
    return Exit.DONE


@app.command
def redact(file: str, /, *, before: Date) -> int:
    """Drop the people of runs that ended before a day, for data protection. The counts of each run stay.

    The archive is redacted, too. Unfinished runs stay as they are. A redacted run cannot be undone.

    Args:
        file: The journal.
        before: The day, such as 2026-01-31.
    """
    from thrive_async.sync._apply import upkeep  # noqa: PLC0415 - after the parsing

    done = run_async(lambda: upkeep.redact(_there(file), before))
    say(f"{file}: {counted(done.runs, 'runs')} redacted; {done.before:,} bytes are now {done.after:,}")
    return Exit.DONE


def _there(file: str) -> str:
    from pathlib import Path  # noqa: PLC0415

    if not Path(file).is_file():
        raise CliError(f"cannot read {file}: no such file")
    return file
