"""Fixtures for every test: its own sandbox, and a client for it."""

import errno
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from raw_server import USER, RawServer

from thrive_async import ThriveClient
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync._apply import journal as journals

# For what tests share, and for codegen and benchmarks; at the end, so that an installed thrive_async goes before.
sys.path.append(str(Path(__file__).parents[1]))

# Hypothesis measures real time twice: how long an example takes, and how long it takes to make one up.
settings.register_profile("timeless", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("timeless")


@pytest.fixture(autouse=True, scope="session")
def _lock_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The locks of the tests are beside those of the machine's own runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.getbasetemp()))
        yield


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A seeded Thrive on loopback; every reply is checked against the specification."""
    async with Sandbox(users=60, seed=1, check_replies=True) as running:
        yield running


@pytest.fixture
async def thrive(sandbox: Sandbox) -> AsyncIterator[ThriveClient]:
    """A client on `sandbox`."""
    async with sandbox.client() as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    """A server that answers with a user."""
    async with RawServer([USER]) as running:
        yield running


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the journal take this many lines with an outcome, and no more."""
    write = os.write

    def fill(lines: int) -> None:
        left = [lines]

        def full(descriptor: int, data: Any) -> int:
            if b'"outcome"' in bytes(data):
                left[0] -= 1
                if left[0] < 0:
                    raise OSError(errno.ENOSPC, "no space")
            return write(descriptor, data)

        monkeypatch.setattr(journals.os, "write", full)

    return fill


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox, with the environment pointing to it."""
    with Sandbox(users=60, seed=1, check_replies=True) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        yield sandbox
        assert sandbox.violations == []


@pytest.fixture
async def clock() -> AsyncIterator[VirtualClock]:
    """Virtual time for the loop: waiting takes no real time."""
    with VirtualClock().installed() as installed:
        yield installed
