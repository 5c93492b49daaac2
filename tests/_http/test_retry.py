"""The import of `backoff`: the archived package of that name is told apart."""

import runpy
import sys
import types

import pytest

from thrive_async._http import retry


def test_the_archived_backoff_fails_with_words_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """It overwrites the files of python-backoff; its names are those of version 2.2.1."""
    archived = types.ModuleType("backoff")
    archived.__dict__.update(dict.fromkeys(("on_predicate", "on_exception", "constant", "expo", "fibo", "runtime")))
    monkeypatch.setitem(sys.modules, "backoff", archived)
    with pytest.raises(ImportError, match="pip uninstall -y backoff python-backoff"):
        runpy.run_path(retry.__file__)
