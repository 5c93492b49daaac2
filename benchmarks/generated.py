"""Clients that other generators make from openapi/thrive.yaml, at run time and in a temporary folder."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.contenders import OPC, OPENAPI_GENERATOR

SPECIFICATION = Path(__file__).resolve().parent.parent / "openapi" / "thrive.yaml"


class Generated:
    """Generates them on entry and deletes them on exit; `names` are the packages you can import."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.names: set[str] = set()
        self.folder = Path(tempfile.mkdtemp(prefix="thrive-benchmarks-"))

    def __enter__(self) -> Self:
        self._openapi_python_client()
        self._openapi_generator()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _openapi_python_client(self) -> None:
        if find_spec("openapi_python_client") is None:
            self._note("openapi-python-client is not installed: left out")
            return
        target = str(self.folder / OPC)
        command = ["-m", "openapi_python_client", "generate", "--meta", "none", "--path", str(SPECIFICATION)]
        # It calls ruff by name to format its output.
        self._make(OPC, [sys.executable, *command, "--output-path", target])

    def _openapi_generator(self) -> None:
        if shutil.which("java") is None:
            self._note("openapi-generator needs Java, which is not on this machine: left out")
            return
        if any(find_spec(name) is None for name in ("openapi_generator_cli", "aiohttp_retry", "dateutil", "pydantic")):
            self._note("openapi-generator-cli, aiohttp-retry, python-dateutil or pydantic is not installed: left out")
            return
        source = self.folder / "source"
        package = find_spec("openapi_generator_cli")
        assert package is not None
        assert package.origin is not None
        jar = next(Path(package.origin).parent.glob("*.jar"))
        self._make(
            OPENAPI_GENERATOR,
            [
                *("java", "-jar", str(jar), "generate", "-i", str(SPECIFICATION), "-g", "python"),
                *("--library", "asyncio", "-o", str(source), "--package-name", OPENAPI_GENERATOR),
                "--skip-validate-spec",
            ],
        )
        if OPENAPI_GENERATOR in self.names:
            (source / OPENAPI_GENERATOR).rename(self.folder / OPENAPI_GENERATOR)

    def _make(self, name: str, command: list[str]) -> None:
        path = {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=path)
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()
            self._note(f"{name} could not be generated: {words[-1] if words else done.returncode}")
        else:
            self.names.add(name)
