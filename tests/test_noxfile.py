"""The decisions that the sessions of noxfile.py make themselves."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nox", reason="nox is not installed in its own sessions")
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


def test_a_skipped_package_does_not_count_as_safe(noxfile: Any) -> None:
    """A package that pip-audit skips, because its index does not know it, is not reported as safe."""
    report = {
        "dependencies": [
            {"name": "safe", "version": "1", "vulns": []},
            {"name": "hurt", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": []}, {"id": "CVE-2"}]},
            {"name": "nowhere", "skip_reason": "Dependency not found on PyPI"},
        ],
        "fixes": [],
    }
    assert noxfile.audited(json.dumps(report)) == (["hurt 2 (CVE-1, CVE-2)"], ["nowhere"])
