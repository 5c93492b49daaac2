"""One run of a target at a time on one machine, however the run before it ended."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from thrive_async.errors import ConfigurationError
from thrive_async.sandbox import VirtualClock
from thrive_async.sync._apply import locks
from thrive_async.sync._apply.locks import Lock, Target, held, lock_folder
from thrive_async.sync.errors import GuardRefused

SALES = Target("eu-west-2_A", "members", "a1", "sales-emea")
LEGAL = Target("eu-west-2_A", "members", "a2", "legal")

OTHER_PROCESS = """
import sys, time
from thrive_async.sync._apply.locks import Lock, Target
assert Lock(Target("eu-west-2_A", "members", "a1", "sales-emea")).take() or sys.exit(3)
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THRIVE_LOCK_DIR", str(tmp_path / "locks"))
    return tmp_path / "locks"


@contextmanager
def other_process() -> Iterator["subprocess.Popen[str]"]:
    """A process that has the lock of SALES until it ends."""
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_a_second_run_of_a_target_is_refused_and_told_which_process_has_it() -> None:
    with other_process() as process:
        with pytest.raises(GuardRefused, match=rf"sales-emea: another run is going on \(process {process.pid}, since"):
            async with held([SALES]):
                pass
        async with held([LEGAL]):  # another target is free
            pass


async def test_two_runs_in_one_process_exclude_each_other_too() -> None:
    async with held([SALES]):
        with pytest.raises(GuardRefused, match=f"process {os.getpid()}"):
            async with held([SALES]):
                pass
    async with held([SALES]):
        pass


@pytest.mark.skipif(os.name != "posix", reason="signals and zombies are POSIX's")
def test_a_killed_run_frees_its_target_even_as_a_zombie() -> None:
    """Was: a worker killed -9 whose parent had not reaped it cost an hour of refusals."""
    with other_process() as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        os.kill(process.pid, 0)  # its id still answers
        assert Lock(SALES).take()


def test_the_note_of_a_living_process_without_the_lock_keeps_no_run_out(folder: Path) -> None:
    """A process id is used again; only the kernel's lock counts."""
    folder.mkdir()
    (folder / SALES.file_name).write_text(json.dumps({"process": os.getppid(), "since": "2020-01-01T00:00:00+00:00"}))
    assert Lock(SALES).take()


async def test_who_waits_gets_the_lock_when_the_other_run_ends(clock: VirtualClock) -> None:
    first, entered = Lock(SALES), asyncio.Event()
    assert first.take()

    async def second() -> None:
        async with held([SALES], wait=600):
            entered.set()

    waiting = asyncio.create_task(second())
    await asyncio.sleep(30)
    assert not entered.is_set()
    first.release()
    await waiting
    assert entered.is_set()


async def test_who_waited_in_vain_is_refused(clock: VirtualClock) -> None:
    first = Lock(SALES)
    assert first.take()
    with pytest.raises(GuardRefused, match="To wait for it, pass wait=600"):
        async with held([SALES], wait=5):
            pass
    first.release()


async def test_two_runs_that_want_the_same_targets_in_another_order_never_wait_for_each_other(
    clock: VirtualClock,
) -> None:
    done: list[str] = []

    async def run(name: str, *targets: Target) -> None:
        async with held(targets, wait=60):
            await asyncio.sleep(1)
            done.append(name)

    await asyncio.gather(run("a", SALES, LEGAL), run("b", LEGAL, SALES))
    assert sorted(done) == ["a", "b"]


async def test_a_cancel_while_a_lock_is_taken_leaves_none_behind() -> None:
    for _ in range(20):
        task = asyncio.create_task(held([SALES]).__aenter__())
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    lock = Lock(SALES)
    assert lock.take()
    lock.release()


async def test_what_is_refused_gives_back_what_it_had_taken() -> None:
    last = max((SALES, LEGAL), key=lambda target: target.file_name)
    blocker = Lock(last)
    assert blocker.take()
    with pytest.raises(GuardRefused):
        async with held([SALES, LEGAL]):
            pass
    blocker.release()
    async with held([SALES, LEGAL]):
        pass


def test_the_end_of_a_run_is_known_to_the_next() -> None:
    lock = Lock(SALES)
    assert lock.last_ended is None
    assert lock.take()
    assert lock.last_ended is None
    lock.writing("a plan")
    assert Lock(SALES).last_ended is not None  # as a killed run leaves it
    lock.release()
    assert Lock(SALES).last_ended is not None
    assert datetime.now(UTC) - Lock(SALES).last_ended < timedelta(seconds=60)


def test_a_run_that_wrote_nothing_makes_no_plan_stale() -> None:
    lock = Lock(SALES)
    assert lock.take()
    lock.release()
    assert Lock(SALES).last_ended is None


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[]", b'{"ended": 7}', b"\xff\x00", b"[" * 4000, b'{"ended": "2020-01-01"}']
)
def test_a_damaged_note_keeps_no_run_out(folder: Path, note: bytes) -> None:
    folder.mkdir()
    (folder / SALES.file_name).write_bytes(note)
    lock = Lock(SALES)
    assert lock.last_ended is None
    assert lock.take()
    lock.writing("a plan")
    lock.release()
    assert lock.last_ended is not None


def test_the_file_says_nothing_of_what_it_is_about(folder: Path) -> None:
    lock = Lock(SALES)
    assert lock.take()
    held_now = "".join(f"{file.name}{file.read_text()}" for file in folder.iterdir())
    lock.release()
    assert "sales" not in held_now
    assert "eu-west" not in held_now


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_runs_of_other_accounts_find_the_lock(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        lock = Lock(SALES)
        assert lock.take()
    finally:
        os.umask(before)
    lock.release()
    assert (folder / SALES.file_name).stat().st_mode & 0o777 == 0o666


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_the_usual_folder_is_shared_as_the_temporary_folder_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THRIVE_LOCK_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert lock_folder() == tmp_path / "thrive-async-locks"
    assert lock_folder().stat().st_mode & 0o7777 == 0o1777


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_in_place_of_the_folder_or_the_file_is_not_followed(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "precious").write_text("kept")
    folder.mkdir()
    (folder / SALES.file_name).symlink_to(tmp_path / "precious")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Lock(SALES).take()
    assert (tmp_path / "precious").read_text() == "kept"
    monkeypatch.setenv("THRIVE_LOCK_DIR", str(tmp_path / "link"))
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(ConfigurationError, match="set THRIVE_LOCK_DIR"):
        lock_folder()


def test_a_folder_that_cannot_be_used_refuses_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a lock no run begins."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("THRIVE_LOCK_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="set THRIVE_LOCK_DIR"):
        Lock(SALES).take()


def test_a_journal_that_is_replaced_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `journal compact` does: a lock on the old file would keep no one out."""
    journal, opened = tmp_path / "run.jsonl", locks._locked
    journal.write_text("old")

    def replaced(descriptor: int, what: str, advice: str) -> bool:
        monkeypatch.setattr(locks, "_locked", opened)
        (tmp_path / "new").write_text("new")
        (tmp_path / "new").replace(journal)
        return opened(descriptor, what, advice)

    monkeypatch.setattr(locks, "_locked", replaced)
    first, second = locks._JournalLock(journal), locks._JournalLock(journal)
    assert first.take()
    assert not second.take()
    first.release()
    assert second.take()
    second.release()
