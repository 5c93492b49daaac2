"""Fixtures of the sandbox's own tests."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from sandbox.raw_api import Api, connect
from thrive_async.sandbox import Sandbox


@pytest.fixture
async def open_api() -> AsyncIterator[Any]:
    """Start a sandbox with the given arguments, every reply checked, and give an `Api` on it."""
    opened: list[tuple[Sandbox, aiohttp.ClientSession]] = []

    async def start(users: int = 40, seed: int = 1, **choices: Any) -> Api:
        sandbox = Sandbox(users, seed, **{"check_replies": True, **choices})
        await sandbox.start()
        session = connect()
        opened.append((sandbox, session))
        return Api(sandbox, session)

    yield start
    for sandbox, session in reversed(opened):
        await session.close()
        await sandbox.stop()
        assert not sandbox.violations


@pytest.fixture
async def api(open_api: Any) -> Api:
    """An `Api` on a sandbox with 40 users."""
    return await open_api()
