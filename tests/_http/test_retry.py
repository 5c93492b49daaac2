"""The import of `backoff`: the archived package of that name is told apart."""

import runpy
import sys
import types

import pytest

from thrive_async._http import retry
from thrive_async.cli._errors import describe

# The archived package overwrites the files of python-backoff; these are its names in version 2.2.1.
ARCHIVED = types.ModuleType("backoff")
ARCHIVED.__dict__.update(dict.fromkeys(("on_predicate", "on_exception", "constant", "expo", "fibo", "runtime")))


@pytest.mark.parametrize(
    "found", [ARCHIVED, None], ids=["overwritten", "taken along when the archived one was removed"]
)
def test_without_the_right_backoff_one_line_says_what_to_do(
    found: types.ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "backoff", found)
    with pytest.raises(ImportError, match="pip uninstall -y backoff python-backoff") as caught:
        runpy.run_path(retry.__file__)
    told, code = describe(caught.value)
    assert told.startswith("the archived package `backoff`")
    assert "\n" not in told
    assert code == 2
