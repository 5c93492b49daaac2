"""The `thrive` command: the demo, the sandbox, bulk sync, and a look at every resource.

It is the extra ``cli`` (``pip install "thrive-async[cli]"``). Nothing of the SDK imports it, and it imports the SDK
only inside the command that needs it, so that ``thrive --help`` answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

#: Packages that only the extra brings; one of them missing means that the extra is.
_OF_THE_EXTRA = frozenset({"cyclopts", "rich", "jsonschema_rs"})


def is_of_the_extra(error: ModuleNotFoundError) -> bool:
    """Whether what is missing comes with the extra."""
    return (error.name or "").partition(".")[0] in _OF_THE_EXTRA


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command line and give back its exit code; the console script `thrive` exits with it.

    Args:
        tokens: the words after `thrive`; by default those this process was started with.

    Returns:
        0 all done, 1 some entities failed, 2 wrong usage or configuration, 3 a guard refused, 4 Thrive refused or
        could not be reached, 130 interrupted.
    """
    try:
        from thrive_async.cli.app import run  # noqa: PLC0415 - without the extra there is nothing to import

        return run(sys.argv[1:] if tokens is None else list(tokens))
    except KeyboardInterrupt:
        # While the modules load: nothing has begun. `run` answers for all that follows.
        return 130
    except ModuleNotFoundError as error:
        if not is_of_the_extra(error):
            raise
        sys.stderr.write('thrive: the command line is an extra, install it with: pip install "thrive-async[cli]"\n')
        return 2
