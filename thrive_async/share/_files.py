"""Files that processes of one machine lock: `flock`, on Windows `msvcrt`.

The lock belongs to the kernel: however a process ends, its lock ends with it.
"""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked", "opened", "unlock"]

_BUSY = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)
_FAR = 1 << 30
"""The byte that Windows locks: far behind the content, because others cannot read a locked byte."""


def opened(path: Path, mode: int) -> int:
    """Open a file to read and write, made if it is missing.

    Args:
        path: The file.
        mode: The permissions of a new file, whatever the umask is.

    Returns:
        The descriptor, not inherited by children.

    Raises:
        OSError: It cannot be opened, or is a symbolic link.
    """
    flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        try:
            # Without O_CREAT first: Linux refuses that for a file of another account in a sticky folder.
            return os.open(path, flags)
        except FileNotFoundError:
            with suppress(FileExistsError):
                descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
                if hasattr(os, "fchmod"):
                    os.fchmod(descriptor, mode)
                return descriptor


def locked(descriptor: int) -> bool:
    """Lock a file if it is free.

    Returns:
        Whether it was free.

    Raises:
        OSError: The file system cannot lock.
    """
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Give the lock back; closing the descriptor does the same."""
    if sys.platform == "win32":
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
