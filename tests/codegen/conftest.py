"""The whole generator on small specifications: what it prints is imported and used."""

from __future__ import annotations

import importlib
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.append(str(ROOT))  # for `codegen`; at the end, so that an installed thrive_async goes before the checkout

from thrive_async._generated import readers as real_readers  # noqa: E402
from thrive_async._wire import convert  # noqa: E402

_numbers = itertools.count()


@dataclass
class Built:
    """What was generated, imported."""

    files: dict[str, str]
    models: ModuleType
    readers: ModuleType
    operations: ModuleType

    def fast(self, name: str, value: object) -> Any:
        """Read with the generated reader only."""
        return self.readers.READERS[getattr(self.models, name)](value)

    def read(self, name: str, value: object) -> Any:
        """Read as the SDK does."""
        return convert.read(getattr(self.models, name), value)

    def refuses(self, name: str, value: object) -> tuple[str, str]:
        """The path and the reason with which both readers refuse a value."""
        with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
            self.fast(name, value)
        with pytest.raises(convert.DecodeError) as caught:
            self.read(name, value)
        return caught.value.path, caught.value.reason


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Generate from the YAML of `components.schemas`, or of a whole specification, and import the result."""
    from codegen.output import generate

    patch = pytest.MonkeyPatch()

    def build(schemas: str = "", *, whole: str = "") -> Built:
        indented = "\n".join("    " + line for line in schemas.splitlines())
        head = 'openapi: 3.1.0\ninfo: {title: small, version: "1"}\npaths: {}\n'
        files = generate(whole or f"{head}components:\n  schemas:\n{indented}\n")
        package = f"generated_{next(_numbers)}"
        folder = tmp_path_factory.mktemp("generated")
        (folder / package).mkdir()
        for name, text in files.items():
            # The base classes are those of the SDK: `_convert` knows them.
            if name in ("__init__.py", "models.py", "readers.py", "operations.py"):
                own = text.replace("thrive_async._generated.models import", f"{package}.models import")
                (folder / package / name).write_text(own, encoding="utf-8")
        patch.syspath_prepend(str(folder))
        modules = [importlib.import_module(f"{package}.{name}") for name in ("models", "readers", "operations")]
        built = Built(files, *modules)
        convert.prepare()
        for cls, reader in built.readers.READERS.items():
            patch.setitem(convert._readers, cls, reader)
        for cls, wire in built.readers.BARE.items():
            patch.setitem(real_readers.BARE, cls, wire)
        return built

    yield build
    patch.undo()
