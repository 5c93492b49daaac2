"""A journal is kept small and loses its people in time, and whoever is killed meanwhile loses nothing."""

import gzip
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from thrive_async import ConfigurationError, GuardRefused
from thrive_async.sync._apply import journal as journals
from thrive_async.sync._apply import upkeep
from thrive_async.sync._apply.audit import told
from thrive_async.sync._apply.journal import Journal, Scope, history, unfinished
from thrive_async.sync._apply.journal_index import index_of
from thrive_async.sync._apply.journal_lines import Person
from thrive_async.sync._apply.records import archive_of, calls_of, entries

NOW = datetime.now(UTC)


def written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def add_run(
    path: Path, run: str, age: timedelta, *, people: int = 3, left: int = 0, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Write a run of an age, some of whose changes have no outcome."""
    monkeypatch.setattr(journals, "_now", lambda: written(NOW - age))
    refs = [f"{run}-{at}" for at in range(people)]
    known = {("remove", ref): Person(ref, f"R-{ref}", f"{ref}@example.org") for ref in refs}
    scope = Scope("members", "tenant", f"a-{run}")
    with Journal(path, run, f"audience-{run}") as journal:
        journal.open_run(
            scope, fingerprint="f", strategy="diff", planned={"remove": refs}, people=known, made_at=NOW - age
        )
        journal.record([("remove", ref, "removed", None) for ref in refs[left:]])
    monkeypatch.undo()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of three old runs, one of them open, and a new one."""
    file = tmp_path / "run.jsonl"
    add_run(file, "old1", timedelta(days=90), monkeypatch=monkeypatch)
    add_run(file, "open", timedelta(days=80), left=1, monkeypatch=monkeypatch)
    add_run(file, "old2", timedelta(days=60), people=2, monkeypatch=monkeypatch)
    add_run(file, "new", timedelta(days=1), monkeypatch=monkeypatch)
    return file


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def whole_text_of(path: Path) -> str:
    """What a journal and its archive hold."""
    archive = archive_of(path).read_bytes()
    return text_of(path) + (gzip.decompress(archive).decode() if archive else "")


def refill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def remove(path: Path) -> None:
    path.unlink()


def everything(path: Path) -> list[dict[str, Any]]:
    return sorted(told(path), key=lambda row: json.dumps(row, sort_keys=True))


async def test_old_runs_move_to_the_archive_and_nothing_is_lost(path: Path) -> None:
    """What the journal tells, what is open and what was applied stay the same; the counts stay in the journal."""
    before, state = everything(path), history(path)
    counts = {name: call.counts for name, call in calls_of(path).items()}
    done = await upkeep.compact(path, timedelta(days=30))
    assert (done.runs, done.archive) == (2, archive_of(path))
    assert done.after < done.before
    assert everything(path) == before
    assert history(path) == state
    assert {name: call.counts for name, call in calls_of(path).items()} == counts
    assert "old1-0" not in text_of(path)
    assert "open-0" in text_of(path)
    assert [mode for mode in (path, archive_of(path)) if mode.stat().st_mode & 0o777 != 0o600] == []
    # Any tool can read the archive.
    assert b"old1-0@example.org" in gzip.decompress(archive_of(path).read_bytes())
    assert (await upkeep.compact(path, timedelta(days=30))).runs == 0


async def test_a_journal_goes_on_after_it_was_compacted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is compacted again, into the same archive."""
    await upkeep.compact(path, timedelta(days=70))
    add_run(path, "later", timedelta(days=40), monkeypatch=monkeypatch)
    before = everything(path)
    await upkeep.compact(path, timedelta(days=30))
    assert everything(path) == before
    assert [json.loads(line)["run"] for line in gzip.decompress(archive_of(path).read_bytes()).splitlines()] == [
        *["old1"] * 4, *["old2"] * 3, *["later"] * 4,
    ]  # fmt: skip


async def test_redaction_drops_people_everywhere_and_keeps_counts(path: Path) -> None:
    """From the journal and from its archive; unfinished runs and newer ones stay as they are."""
    await upkeep.compact(path, timedelta(days=70))
    counts = {name: call.counts for name, call in calls_of(path).items()}
    done = await upkeep.redact(path, NOW - timedelta(days=30))
    assert done.runs == 2
    assert {name: call.counts for name, call in calls_of(path).items()} == counts
    assert {name for name, call in calls_of(path).items() if call.redacted} == {"old1", "old2"}
    for gone in ("old1-", "old2-"):
        assert gone not in whole_text_of(path)
    assert "open-0" in whole_text_of(path)
    assert "new-0" in whole_text_of(path)
    outcomes = Counter(row["outcome"] for row in told(path))
    assert outcomes == {"redacted": 2, "removed": 5, "open": 1}
    assert {row["reason"] for row in told(path) if row["outcome"] == "redacted"} == {"3 removed", "2 removed"}
    assert list(told(path, person="old1-0")) == []
    assert (await upkeep.redact(path, NOW - timedelta(days=30))).runs == 0


async def test_what_cannot_be_read_or_belongs_to_no_run_is_redacted_by_its_time(path: Path) -> None:
    """A torn line may hold a name; so may the lines of a run whose opening line was torn."""
    orphan = {"run": "x", "audience": "a", "action": "add", "reference": "ada", "outcome": "added", "reason": None}
    lines = [json.dumps({**orphan, "at": written(NOW - timedelta(days=age))}) for age in (50, 2)]
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join([*lines, '{"run": "y", "reference": "torn']))
    await upkeep.redact(path, NOW - timedelta(days=30))
    assert text_of(path).count('"ada"') == 1
    assert "torn" not in text_of(path)


class Killed(BaseException):
    """Stands for kill -9: nothing of the program runs after it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, moment: int) -> Callable[[], None]:
    """Let everything that changes a file fail from some call on."""
    calls = [moment]

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            calls[0] -= 1
            if calls[0] < 0:
                raise Killed
            return real(*args, **named)

        return call

    for owner, name in (
        (upkeep, "_sync"), (upkeep, "packed"), (upkeep.os, "fdopen"),
        (Path, "replace"), (Path, "chmod"), (Path, "unlink"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    return monkeypatch.undo


@pytest.mark.parametrize("work", ["compact", "redact"])
@pytest.mark.parametrize("moment", range(14))
async def test_killed_at_any_moment_it_leaves_the_old_journal_or_the_new_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: int, work: str
) -> None:
    """And the next one does the whole job, without a run twice."""
    await upkeep.compact(path, timedelta(days=70))
    before, state = everything(path), history(path)
    undo = killed_at(monkeypatch, moment)

    async def done() -> None:
        if work == "compact":
            await upkeep.compact(path, timedelta(days=30))
        else:
            await upkeep.redact(path, NOW - timedelta(days=30))

    try:
        await done()
    except Killed:
        pass
    finally:
        undo()
    assert unfinished(path) == state.unfinished
    if work == "compact":
        assert everything(path) == before
    else:
        # Until the next one, a run of the archive may be there without its people.
        assert all(row in before for row in everything(path) if row["outcome"] not in ("redacted", "archived"))
    await done()
    assert [one.name for one in path.parent.iterdir() if one.name.endswith(".part")] == []
    if work == "compact":
        assert everything(path) == before
        runs = [json.loads(line)["run"] for line in gzip.decompress(archive_of(path).read_bytes()).splitlines()]
        assert Counter(runs) == {"old1": 4, "old2": 3}
    else:
        assert Counter(row["outcome"] for row in told(path)) == {"redacted": 2, "removed": 5, "open": 1}


@pytest.mark.parametrize("cut", range(1, 60, 7))
async def test_an_archive_that_was_cut_within_a_run_goes_on_before_it(path: Path, cut: int) -> None:
    """A machine that lost power may have lost the end of what was appended; the journal still has those runs."""
    full = text_of(path)
    await upkeep.compact(path, timedelta(days=30))
    before = everything(path)
    os.truncate(archive_of(path), archive_of(path).stat().st_size - cut)
    refill(path, full)
    await upkeep.compact(path, timedelta(days=30))
    assert everything(path) == before


async def test_an_archive_that_is_none_is_left_alone(path: Path) -> None:
    """It may be somebody's file, or have a hole in the middle: what comes after that is not thrown away."""
    await upkeep.compact(path, timedelta(days=70))
    archive = archive_of(path)
    refill(archive, "not an archive at all")
    with pytest.raises(ConfigurationError, match=r"run\.jsonl\.gz is damaged at byte 0"):
        await upkeep.compact(path, timedelta(days=30))
    assert text_of(archive) == "not an archive at all"
    remove(archive)
    assert [row["outcome"] for row in told(path) if row["run"] == "old1"] == ["archived"]


async def test_a_run_of_another_machine_keeps_the_journal_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on writing to the file that was replaced."""
    monkeypatch.setattr(journals.socket, "gethostname", lambda: "elsewhere")
    monkeypatch.setattr(journals, "_machine", lambda: "another")
    with Journal(path, "going", "team") as journal:
        journal.open_run(Scope("members", "t", "1"), fingerprint="f", strategy="diff", planned={"add": ["a"]})
    monkeypatch.undo()
    before = text_of(path)
    with pytest.raises(GuardRefused, match="run going of the host elsewhere has not ended"):
        await upkeep.compact(path, timedelta(days=30))
    assert text_of(path) == before


# The index


def same(path: Path) -> None:
    """What the index makes of a journal is what reading all of it makes."""
    found, whole = history(path, NOW - timedelta(days=6)), history(path)
    assert found.unfinished == whole.unfinished
    lately = {pair for pair in whole.applied if pair[1] >= (NOW - timedelta(days=6)).isoformat()}
    assert lately <= set(found.applied) <= set(whole.applied)


def test_with_the_index_only_what_is_open_and_what_is_new_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is some megabytes; the next reading takes what came since, from the oldest open run on."""
    file = path.with_name("big.jsonl")
    for at in range(40):
        add_run(file, f"done{at}", timedelta(days=9, minutes=-at), people=60, monkeypatch=monkeypatch)
    history(file, NOW)
    assert index_of(file).is_file()
    assert index_of(file).stat().st_mode & 0o777 == 0o600
    assert "done" not in index_of(file).read_text(encoding="utf-8")
    read: list[bytes] = []
    real = journals.parsed
    monkeypatch.setattr(journals, "parsed", lambda line: read.append(line) or real(line))
    assert history(file, NOW).unfinished == {}
    assert read == []
    monkeypatch.undo()
    add_run(file, "now", timedelta(0), people=3, left=1, monkeypatch=monkeypatch)
    monkeypatch.setattr(journals, "parsed", lambda line: read.append(line) or real(line))
    (runs,) = history(file, NOW).unfinished.values()
    assert [one.pending for one in runs] == [(("remove", "now-0"),)]
    assert len(read) == 3
    monkeypatch.undo()
    same(file)
    # A plan that is older than the index knows makes it read all.
    assert len(history(file, NOW - timedelta(days=20)).applied) == 41


@pytest.mark.parametrize("seed", range(3))
def test_a_journal_that_is_cut_at_any_byte_is_read_as_if_there_were_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Killed while it wrote, lost with the power, gone on after it: whatever the index knew, it never adds or hides."""
    monkeypatch.setattr(journals, "_WORTH_AN_INDEX", 0)
    dice = random.Random(seed)
    file = tmp_path / "run.jsonl"
    patch = pytest.MonkeyPatch()
    for at in range(4):
        add_run(file, f"r{at}", timedelta(hours=9 - at), people=3, left=dice.choice([0, 0, 1]), monkeypatch=patch)
        history(file, NOW - timedelta(days=6))
    saved = index_of(file).read_bytes()
    add_run(file, "last", timedelta(0), people=2, left=1, monkeypatch=patch)
    whole = file.read_bytes()
    for cut in range(len(whole) - 900, len(whole) + 1, 1 + seed):
        file.write_bytes(whole[:cut])
        index_of(file).write_bytes(saved)
        same(file)
        if cut % 50 == 0:
            add_run(file, "next", timedelta(0), people=1, left=1, monkeypatch=patch)
            same(file)


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"end": 3}', b'{"end": -1, "start": 0, "tail": ""}', b"\xff"])
def test_an_index_that_is_none_costs_nothing_but_time(
    path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes
) -> None:
    """Torn, empty or of a later release."""
    monkeypatch.setattr(journals, "_WORTH_AN_INDEX", 0)
    index_of(path).write_bytes(broken)
    same(path)
    same(path)


def test_a_folder_that_cannot_be_written_has_no_index(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal itself may still be."""
    monkeypatch.setattr(journals, "_WORTH_AN_INDEX", 0)
    real = os.open

    def refused(file: Any, *args: Any, **named: Any) -> int:
        if ".index." in str(file):
            raise PermissionError(13, "refused")
        return real(file, *args, **named)

    monkeypatch.setattr("thrive_async.sync._apply.journal_index.os.open", refused)
    same(path)
    assert not index_of(path).exists()


def test_lines_of_an_older_release_are_read(tmp_path: Path) -> None:
    """They say less: no names, no call, no operator."""
    file = tmp_path / "run.jsonl"
    opening = {
        "run": "1", "audience": "team", "kind": "members", "tenant": "t", "target": "7", "host": "h", "process": 1,
        "fingerprint": "f", "strategy": "diff", "planned": {"add": ["a"]}, "at": "2026-01-31T02:15:07.123Z",
    }  # fmt: skip
    outcome = {"run": "1", "audience": "team", "action": "add", "reference": "a", "outcome": "added", "reason": None}
    lines = [opening, {**outcome, "at": "2026-01-31T02:15:08.123Z"}, {"run": "1"}, ["run"], {"run": "1", "planned": {}}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert len(list(entries(file))) == 2
    (row,) = told(file)
    assert (row["reference"], row["email"], row["because"], row["operator"]) == ("a", None, "in the list", None)
    assert unfinished(file) == {}
