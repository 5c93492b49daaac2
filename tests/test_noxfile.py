"""What the sessions of noxfile.py decide by themselves."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nox", reason="nox is no part of its own sessions")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def noxfile(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(ROOT)
    spec = importlib.util.spec_from_file_location("noxfile_of_the_project", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_nobody_looked_up_is_not_taken_for_safe(noxfile: Any) -> None:
    """pip-audit calls a package that its index does not know skipped, and says that no vulnerability was found."""
    report = {
        "dependencies": [
            {"name": "safe", "version": "1", "vulns": []},
            {"name": "hurt", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": []}, {"id": "CVE-2"}]},
            {"name": "nowhere", "skip_reason": "Dependency not found on PyPI"},
        ],
        "fixes": [],
    }
    assert noxfile.audited(json.dumps(report)) == (["hurt 2 (CVE-1, CVE-2)"], ["nowhere"])
