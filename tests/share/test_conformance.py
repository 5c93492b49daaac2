"""Every share keeps the rules of `thrive_async.share.conformance`."""

from pathlib import Path

import pytest

from benchmarks.redis_server import RedisServer
from thrive_async.sandbox import VirtualClock
from thrive_async.share import FileShare, MemoryShare, RedisShare, Share
from thrive_async.share.conformance import ShareConformance


class TestMemoryShare(ShareConformance):
    @pytest.fixture(autouse=True)
    def store(self) -> None:
        self.share = MemoryShare()

    def new_share(self) -> Share:
        return self.share

    def run(self, test) -> None:
        async def on_virtual_time() -> None:
            with VirtualClock().installed():
                await test

        super().run(on_virtual_time())


class TestFileShare(ShareConformance):
    @pytest.fixture(autouse=True)
    def store(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "share"

    def new_share(self) -> Share:
        return FileShare(self.folder)


class TestRedisShare(ShareConformance):
    @pytest.fixture(autouse=True)
    def store(self, shared_redis: RedisServer) -> None:
        self.url = shared_redis.url

    def new_share(self) -> Share:
        # Patient: a busy machine is not a Redis that is away.
        return RedisShare(self.url, timeout=30)
