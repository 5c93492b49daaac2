"""Fixtures of the tests in frameworks."""

from collections.abc import AsyncIterator

import aiohttp
import pytest


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session
