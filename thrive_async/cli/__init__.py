"""The `thrive` command: words and files in, words and files out; no rule about people is here.

It is the extra ``cli`` (``pip install "thrive-async[cli]"``). It may import everything of the SDK, and nothing of the
SDK imports it. A module imports the SDK inside the command that needs it, so that ``thrive --help`` answers at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from thrive_async.cli._errors import is_of_the_extra

__all__ = ["main"]


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; the console script `thrive` exits with it.

    Args:
        tokens: The words after `thrive`; by default those that this process was started with.

    Returns:
        0 all done, 1 some entities failed, 2 wrong usage or configuration, 3 a guard refused, 4 Thrive refused or
        could not be reached, 130 interrupted.
    """
    if tokens is None:
        # The process is ours. Listing 20,000 users took 834 collections, 1.0 of 5.5 s, up to 100 ms each; now 0.
        gc.set_threshold(100_000, 50, 100)
    try:
        from thrive_async.cli.app import run  # noqa: PLC0415 - without the extra there is nothing to import

        return run(sys.argv[1:] if tokens is None else list(tokens))
    except KeyboardInterrupt:
        # While the modules load, before anything has begun; after that `run` handles it.
        return 130
    except ModuleNotFoundError as error:
        if not is_of_the_extra(error):
            raise
        sys.stderr.write('thrive: the command line is an extra, install it with: pip install "thrive-async[cli]"\n')
        return 2
