"""The example of Celery: all units are done, also those of a worker that was killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("celery")

from benchmarks.redis_server import SERVER, RedisServer
from tests.fleet.conftest import Company

EXAMPLES = Path(__file__).parents[2] / "examples"
SUBMIT = "import sys; from celery_tasks import submit; print(submit(sys.argv[1]))"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of workers on a Redis; a killed worker's unit comes back after a moment."""
    if SERVER is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path)
    path = os.pathsep.join([str(EXAMPLES), *sys.path])
    own = {"CELERY_BROKER_URL": server.url, "PYTHONPATH": path, "VISIBILITY_TIMEOUT": "0"}
    yield os.environ | own
    server.kill()


@contextmanager
def worker(environment: dict[str, str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker with one process; a group of its own, so that it is killed whole."""
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--concurrency=1", "--loglevel=ERROR"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True, **quiet) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - the sandbox has no event for it
        await asyncio.sleep(0.05)


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")
async def test_the_units_of_a_killed_worker_are_done_by_another(
    company: Company, tenants: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    company.sandbox.faults.add("latency", operation="addMembers", times=1, seconds=1)
    submitted = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", SUBMIT, str(tenants)], env=environment, capture_output=True, check=True
    )
    assert submitted.stdout == b"3\n"
    with worker(environment, tmp_path):
        await until(lambda: company.writes)
    with worker(environment, tmp_path):
        await until(lambda: not company.wrong)
