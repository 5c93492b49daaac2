"""The names that `thrive_async` and its packages show, at run time; `public_names.py` says what type checkers see."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import thrive_async
from thrive_async import resources, sandbox, sync

MODULES = [
    "auth",
    "client",
    "config",
    "errors",
    "hooks",
    "models",
    "pagination",
    "pool",
    "resources",
    "sandbox",
    "sync",
    "webhooks",
]


@pytest.mark.parametrize("name", MODULES)
def test_public_modules_are_attributes_and_imported_when_asked_for(name: str) -> None:
    """`import thrive_async` is enough for `thrive_async.models.User`, but does not load the modules itself."""
    program = (
        f"import sys, thrive_async; assert 'thrive_async.{name}' not in sys.modules; "
        f"print(thrive_async.{name}.__name__, thrive_async.{name} is sys.modules['thrive_async.{name}'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"thrive_async.{name}", "True"]


def test_the_version_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    assert "version" in tomllib.loads(project)["project"]["dynamic"]


@pytest.mark.parametrize("name", ["ThriveClent", "model", "_nothing", "attrs"])
def test_a_name_that_does_not_exist_is_an_attribute_error(name: str) -> None:
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(thrive_async, name)


@pytest.mark.parametrize("module", [thrive_async, resources, sandbox, sync], ids=lambda module: module.__name__)
def test_completion_shows_the_public_names_alone(module: ModuleType) -> None:
    """Neither the modules inside of a package nor what they import."""
    modules = MODULES if module is thrive_async else []
    assert dir(module) == sorted([*module.__all__, *modules])
    assert all(hasattr(module, name) for name in dir(module))
