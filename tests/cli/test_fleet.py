"""`thrive fleet`: many tenants through one queue, from the shell."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("procrastinate")

import psycopg

from tests.fleet.conftest import Company, company, database, postgres, tenants  # noqa: F401 - fixtures
from thrive_async.fleet.procrastinate import opened
from thrive_async.fleet.procrastinate import status as status_of

from .conftest import Run


@pytest.fixture
def fleet(run: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: F811
    """Run `thrive fleet` with a database."""
    monkeypatch.setenv("THRIVE_FLEET_DATABASE", database)
    return lambda *tokens: run("fleet", *tokens)


def test_a_night_from_the_shell(fleet: Run, company: Company, tenants: Path, tmp_path: Path) -> None:  # noqa: F811
    assert fleet("status").out == "no batch: 0 waiting, 0 running; 0 units of 0 tenants: nothing; no changes\n"
    submitted = fleet("submit", str(tenants))
    assert (submitted.code, submitted.out.split()[:2]) == (0, ["3", "units"])
    assert fleet("submit", str(tenants)).out.endswith("3 waiting already\n")
    tenant = company.sandbox.tenant_id
    assert fleet("pause", tenant).out == f"{tenant}: 3 units wait for `thrive fleet resume`\n"
    waiting = fleet("status", "--watch")
    assert (waiting.code, "3 paused" in waiting.out) == (1, True)
    assert fleet("resume", tenant).out == f"{tenant}: 3 units go on\n"
    worked = fleet("worker", "--until-empty", "--journals", str(tmp_path / "journals"))
    assert (worked.code, company.wrong) == (0, [])
    page = tmp_path / "night.html"
    done = fleet("status", "--watch", "--html", str(page))
    assert (done.code, "3 done; 3 added, 3 removed" in done.out) == (0, True)
    assert tenant in page.read_text()
    assert fleet("cancel", tenant).out == f"{tenant}: 0 units cancelled\n"


def test_what_needs_someone_is_listed_and_told_by_the_exit_code(fleet: Run, company: Company, tenants: Path) -> None:  # noqa: F811
    (company.folder / "key").write_text("revoked")
    assert fleet("submit", str(tenants), "--tenant", company.sandbox.tenant_id).code == 0
    assert fleet("worker", "--until-empty").code == 0
    told = fleet("status")
    assert told.code == 1
    assert told.lines[1].startswith(f"  refused  {company.sandbox.tenant_id} team-0: ")
    assert "401" in told.lines[1]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (("submit", "none.toml"), "none.toml: No such file"),
        (("submit", "TENANTS", "--tenant", "other"), "has no tenant other"),
        (("worker", "TENANTS"), "has no schedule: write, for example"),
        (("worker", "--concurrency", "0"), "--concurrency must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_one_line(run: Run, tenants: Path, tokens: tuple[str, ...], words: str) -> None:  # noqa: F811
    result = run("fleet", *(str(tenants) if token == "TENANTS" else token for token in tokens))
    assert (result.code, words in result.one_line()) == (2, True)


def test_a_database_that_is_away_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRIVE_FLEET_DATABASE", "postgresql://me:secret@127.0.0.1:1/x")
    result = run("fleet", "status")
    assert (result.code, "check THRIVE_FLEET_DATABASE" in result.one_line()) == (4, True)
    assert "secret" not in result.err


def test_a_standby_is_one_line(fleet: Run, database: str) -> None:  # noqa: F811
    with psycopg.connect(database, autocommit=True) as connection:
        name = database.rpartition("/")[2]
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    result = fleet("status")
    assert (result.code, "read-only" in result.one_line()) == (4, True)


def test_without_the_extra_the_command_says_how_to_get_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "procrastinate", None)
    result = run("fleet", "status")
    assert (result.code, result.one_line()) == (
        2,
        'thrive: thrive fleet needs Procrastinate: pip install "thrive-async[fleet]"',
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_worker_ends_when_it_is_asked_to(database: str) -> None:  # noqa: F811
    """SIGTERM, as from Kubernetes or systemd; nothing is under way, so at once."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "thrive_async.cli", "fleet", "worker"],
        env=os.environ | {"THRIVE_FLEET_DATABASE": database},
        stderr=subprocess.PIPE,
        text=True,
    )
    with worker:
        assert worker.stderr is not None
        assert worker.stderr.readline() == "working on 4 units at once\n"
        asyncio.run(_registered(database))
        worker.send_signal(signal.SIGTERM)
        _, told = worker.communicate()
    assert (worker.returncode, "Traceback" in told) == (143, False)


async def _registered(database: str) -> None:  # noqa: F811
    async with opened(database) as app:
        assert (await status_of(app)).batch == ""
        rows: list[Any] = []
        while not rows:
            rows = await app.connector.execute_query_all_async("SELECT id FROM procrastinate_workers")
