"""The examples as processes, started by the command that their pages name, on free ports."""

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from contrib.processes import Running, started

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = ("fastapi_app", "aiohttp_app")
SECRET = "agreed"


@contextmanager
def running(name: str, folder: Path, environment: Mapping[str, str]) -> Generator[Running]:
    """Run an example until the end of the block, with these variables of Thrive and no others.

    Args:
        name: The example.
        folder: Where it runs, and where its log goes.
        environment: The variables.
    """
    command = [sys.executable, "-W", "error::ResourceWarning", str(FOLDER / f"{name}.py")]
    variables = {"WEBHOOK_SECRET": SECRET, **environment}
    workers = 2 if name == "fastapi_app" else 0
    with started(lambda _port: command, folder / f"{name}.log", variables, workers=workers) as example:
        yield example
    assert "Traceback" not in example.log, example.log
