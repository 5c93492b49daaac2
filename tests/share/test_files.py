"""`FileShare`: real processes on one folder, its files, and what may be wrong with them."""

import asyncio
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import thrive_async
from thrive_async.errors import ConfigurationError
from thrive_async.share import FileShare, Place, Scope, ShareUnavailable
from thrive_async.share import files as module
from thrive_async.share._files import locked, opened

SCOPE = Scope("thrive.example", "tenant")
SLOW = 0.001

WORKER = """
import asyncio, json, sys
from thrive_async.share import FileShare, Scope

async def main(folder):
    share, scope = FileShare(folder), Scope("thrive.example", "tenant")
    print("ready", flush=True)
    sys.stdin.readline()
    waits = [(await share.place(scope, rate=0.001)).wait for _ in range(50)]
    fence = await share.take(scope, "run", 5_000)
    news = [key for key in map(str, range(20)) if not await share.seen(scope, key, 5_000)]
    print(json.dumps([waits, fence, news]), flush=True)
    sys.stdin.readline()

asyncio.run(main(sys.argv[1]))
"""


def started(folder: Path, source: str = WORKER) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(thrive_async.__file__).parent.parent)}
    command = [sys.executable, "-c", source, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def told(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


async def test_processes_share_places_leases_and_keys(tmp_path: Path) -> None:
    """Of 150 places of three processes each is given out once; one has the lease; each key is new once."""
    processes = [started(tmp_path) for _ in range(3)]
    try:
        for process in processes:
            told(process)
        results = [json.loads(answer(process)) for process in processes]
    finally:
        ended(*processes)
    places = sorted(round(wait / 1_000 + 0.4) for waits, _, _ in results for wait in waits)
    assert places == list(range(150))
    assert sum(fence is not None for _, fence, _ in results) == 1
    assert sorted(key for _, _, news in results for key in news) == sorted(map(str, range(20)))


HOLDER = """
import sys
from pathlib import Path
from thrive_async.share._files import locked, opened
for path in Path(sys.argv[1]).glob("*.row"):
    assert locked(opened(path, 0o600))
print("ready", flush=True)
sys.stdin.readline()
"""


async def test_a_killed_process_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is stopped while it has the lock is told of, not waited for without end."""
    share = FileShare(tmp_path)
    await share.place(SCOPE, rate=SLOW)
    holder = started(tmp_path, HOLDER)
    try:
        holder.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(module, "_PATIENCE", 0.05)
        with pytest.raises(ShareUnavailable, match="locked for"):
            await share.place(SCOPE, rate=SLOW)
        monkeypatch.undo()
        waiting = asyncio.create_task(share.place(SCOPE, rate=SLOW))
        await asyncio.sleep(0.02)
        assert not waiting.done()
    finally:
        ended(holder)
    assert (await waiting).taken
    await share.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
async def test_a_fork_opens_its_own_files(tmp_path: Path) -> None:
    """A lock belongs to an open file: with the parent's, a child would never find it taken."""
    share = FileShare(tmp_path)
    await share.place(SCOPE, rate=SLOW)
    before = dict(share._rows)
    assert locked(before[SCOPE])
    share._pid = -1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "close", lambda _descriptor: None)
        patch.setattr(module, "_PATIENCE", 0.0)
        with pytest.raises(ShareUnavailable):
            await share.place(SCOPE, rate=SLOW)
    os.close(before[SCOPE])
    await share.aclose()


async def test_a_thousand_tenants_need_few_descriptors(tmp_path: Path) -> None:
    share = FileShare(tmp_path)
    for number in range(1_000):
        await share.place(Scope("thrive.example", f"tenant-{number}"), rate=SLOW)
    assert len(share._rows) == module._OPEN_ROWS
    place = await share.place(Scope("thrive.example", "tenant-0"), rate=SLOW)
    assert place.wait > 400
    await share.aclose()
    assert not share._rows


@pytest.mark.parametrize(("mode", "wanted"), [(None, 0o600), (0o770, 0o660)])
async def test_files_have_the_permissions_of_their_folder(tmp_path: Path, mode: int | None, wanted: int) -> None:
    """A folder that is made here is for this account alone: it holds tokens."""
    folder = tmp_path / "a" / "share"
    if mode is not None:
        folder.mkdir(parents=True)
        folder.chmod(mode)
    async with FileShare(folder) as share:
        await share.place(SCOPE, rate=SLOW)
        await share.store(SCOPE, "token", b"secret", 60)
    assert stat.S_IMODE(folder.stat().st_mode) == (mode or 0o700)
    found = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert found == {wanted}


async def test_a_restart_of_the_machine_ends_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its monotonic clock begins anew: nothing of before is taken for something of the future."""
    share = FileShare(tmp_path)
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + 1e6)
    await share.place(SCOPE, rate=SLOW)
    await share.cool_down(SCOPE, 10)
    await share.store(SCOPE, "token", b"old", 5_000)
    first = await share.take(SCOPE, "run", 5_000)
    monkeypatch.undo()
    place = await share.place(SCOPE, rate=SLOW)
    assert place.wait < 11
    assert await share.load(SCOPE, "token") is None
    second = await share.take(SCOPE, "run", 5_000)
    assert first is not None
    assert second is not None
    assert second > first
    await share.aclose()


async def test_a_damaged_row_is_an_empty_one(tmp_path: Path) -> None:
    share = FileShare(tmp_path)
    await share.place(SCOPE, rate=SLOW)
    row = next(tmp_path.glob("*.row"))  # noqa: ASYNC240 - a test
    for content in (b"", b"half a ro"):
        row.write_bytes(content)
        assert await share.place(SCOPE, rate=SLOW) == Place(taken=True, wait=0.0)
    await share.aclose()


async def test_a_damaged_database_is_told_and_rows_still_work(tmp_path: Path) -> None:
    share = FileShare(tmp_path)
    (tmp_path / "share.db").write_bytes(b"this is no database, and long enough to be sure of it" * 100)
    with pytest.raises(ShareUnavailable, match=r"share\.db"):
        await share.take(SCOPE, "run", 60)
    assert (await share.place(SCOPE, rate=SLOW)).taken
    await share.aclose()


async def test_what_has_ended_is_removed(tmp_path: Path) -> None:
    share = FileShare(tmp_path)
    for number in range(20):
        await share.seen(SCOPE, f"{number}", 0.001)
    await asyncio.sleep(0.01)
    await share.seen(SCOPE, "last", 60)
    assert await share._on_kept(lambda kept: kept._connection.execute("SELECT count(*) FROM kept").fetchone()) == (1,)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        FileShare(tmp_path / "file" / "share")


async def test_a_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    share = FileShare(tmp_path / "share")
    (tmp_path / "share").rmdir()
    with pytest.raises(ShareUnavailable, match="cannot be used"):
        await share.place(SCOPE, rate=SLOW)
    with pytest.raises(ShareUnavailable, match="cannot be used"):
        await share.take(SCOPE, "run", 60)


async def test_a_full_disk_is_told_and_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    share = FileShare(tmp_path)

    def full(_descriptor: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(ShareUnavailable, match="No space left"):
            await share.place(SCOPE, rate=SLOW)
    assert (await FileShare(tmp_path).place(SCOPE, rate=SLOW)).wait == 0
    assert (await share.place(SCOPE, rate=SLOW)).wait > 400
    await share.aclose()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Someone else could point it at a file of yours."""
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="link"):
        opened(tmp_path / "link", 0o600)
