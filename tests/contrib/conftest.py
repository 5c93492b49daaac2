"""Fixtures of the tests in frameworks."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from thrive_async.sandbox import Sandbox


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture
def served_sandbox(served: Sandbox) -> Sandbox:
    """The sandbox of the fixture `served`, whose name the helper that serves applications has as well."""
    return served
