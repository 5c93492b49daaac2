"""A share from one line of text."""

from pathlib import Path

import pytest

from thrive_async.errors import ConfigurationError
from thrive_async.share import FileShare, RedisShare, open_share


def test_a_url_is_redis_and_a_path_is_a_folder(tmp_path: Path) -> None:
    assert isinstance(open_share("rediss://redis.example/0"), RedisShare)
    assert isinstance(open_share(f"{tmp_path}/share"), FileShare)


@pytest.mark.parametrize("text", ["http://redis.example", "share", "./share", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        open_share(text)
