"""A share from one line of text, as the environment holds it."""

import os

from thrive_async.errors import ConfigurationError
from thrive_async.share.files import FileShare
from thrive_async.share.protocol import Share
from thrive_async.share.redis import RedisShare

__all__ = ["open_share"]


def open_share(text: str) -> Share:
    """Make the share that a text names.

    Args:
        text: A URL for `RedisShare`, such as `redis://localhost/0?processes=4&on_loss=wait`, or the absolute path of a
            folder for `FileShare`.

    Returns:
        The share; nothing has been sent yet.

    Raises:
        ConfigurationError: The text is neither, or the share cannot be used.
    """
    if text.startswith(("redis://", "rediss://", "unix://")):
        return RedisShare(text)
    if "://" in text:
        raise ConfigurationError(
            "$share must be a folder or a URL that begins with redis://, rediss:// or unix://", "share"
        )
    if not os.path.isabs(text):  # noqa: PTH117 - a text
        raise ConfigurationError("$share must be an absolute path, the same folder for all processes", "share")
    return FileShare(text)
