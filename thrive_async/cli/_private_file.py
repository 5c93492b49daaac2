"""A file for a command to write: only its owner can read it, and it is put in place when it is complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from thrive_async.cli._errors import CliError

__all__ = ["PrivateFile"]


class PrivateFile:
    """A file that only its owner can read.

    It is written to a temporary file beside the target, which it replaces when it is complete. So you never read half a
    file, and an earlier one stays until the new one is ready.

    Args:
        path: Where to.
        option: The option that names it, for messages.

    Raises:
        CliError: No file can be written there.
    """

    def __init__(self, path: str, option: str) -> None:
        self.path = Path(path)
        self._told = f"{option} {path}"
        if self.path.is_dir():
            raise CliError(f"{self._told} is a folder: name a file in it")
        try:
            # Tried before anything is changed.
            file, part = self._part()
            file.close()
            part.unlink()
        except OSError as error:
            raise CliError(f"{self._told}: cannot write there: {error.strerror or error}") from error

    def __str__(self) -> str:
        return self._told

    def _part(self) -> tuple[IO[str], Path]:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.", suffix=".part")
        # Broken text, such as half a character from a file, is written as its code, because a report must not fail.
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline=""), Path(name)

    @contextmanager
    def replaced(self) -> Generator[IO[str]]:
        """Open the new file; it is put in place at the end of the block.

        Raises:
            OSError: It cannot be written; nothing of it is left, and a file that was there before still is. If only the
                target cannot be replaced (open in Excel, for example), the error names the new one.
        """
        file, part = self._part()
        try:
            with file:
                yield file
        except BaseException:
            part.unlink()
            raise
        try:
            part.replace(self.path)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; the new file is {part}", str(self.path)) from error
