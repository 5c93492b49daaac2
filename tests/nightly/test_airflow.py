"""The DAG of docs/nightly/airflow/ is imported by Airflow, and its tasks run.

Airflow is in an environment of its own, whose Python AIRFLOW_PYTHON names: `nox -s nightly` makes it.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import RECIPES, Night

DAG = RECIPES / "airflow" / "thrive_nightly.py"
PYTHON = os.environ.get("AIRFLOW_PYTHON", "")
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="Airflow is not installed: `nox -s nightly` brings it"),
    pytest.mark.timeout(400),
]

IMPORT = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
dag = bag.dags["thrive_nightly"]
tasks = {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
print("RESULT", json.dumps({"errors": bag.import_errors, "tasks": tasks, "runs": dag.max_active_runs}))
"""

# `test` runs the tasks one after the other in this process. Nobody approves here, so that task counts as done.
RUN = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
dag = DagBag(sys.argv[1]).dags["thrive_nightly"]
runs = [dag.test(mark_success_pattern="approve") for _night in range(2)]
print("RESULT", json.dumps([{one.task_id: str(one.state) for one in run.get_task_instances()} for run in runs]))
"""


ENDED = """
import json, runpy, sys
from airflow.sdk.exceptions import AirflowException
module = runpy.run_path(sys.argv[1] + "/thrive_nightly.py")
ended = {}
for code in (0, 1, 2, 3, 4, 10, 143):
    for step in ("--dry-run", "--yes"):
        try:
            module["thrive"](str(code), step)
        except AirflowException as error:
            ended[f"{code} {step}"] = type(error).__name__
print("RESULT", json.dumps(ended))
"""


@dataclass
class Airflow:
    """An Airflow with a database and the DAG, whose paths lead to this machine."""

    night: Night
    home: Path

    def run(self, program: str) -> Any:
        done = subprocess.run(
            [PYTHON, "-c", program, str(self.home / "dags")],
            capture_output=True, text=True, check=False, cwd=self.home, env=self.environment, timeout=300,
        )  # fmt: skip
        results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert results, done.stdout + done.stderr
        return json.loads(results[-1].removeprefix("RESULT "))

    @property
    def environment(self) -> dict[str, str]:
        names = ("THRIVE_TENANT_ID", "THRIVE_API_KEY_FILE", "PYTHONPATH")
        known = {name: value for name, value in self.night.environment.items() if name not in names}
        sandbox = self.night.sandbox.environment
        connection = {
            "conn_type": "generic", "login": sandbox["THRIVE_TENANT_ID"], "password": sandbox["THRIVE_API_KEY"],
        }  # fmt: skip
        return known | {
            "HOME": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_THRIVE": json.dumps(connection),
        }


@pytest.fixture
def airflow(night: Night) -> Airflow:
    home = night.folder / "airflow"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / DAG.name).write_text(night.here(DAG.read_text()))
    # The command has its own Python, and does not inherit the path of Airflow's.
    command = night.folder / "bin" / "thrive"
    command.write_text(command.read_text().replace("exec ", f"PYTHONPATH='{night.environment['PYTHONPATH']}' exec "))
    return Airflow(night, home)


def test_airflow_imports_the_dag(airflow: Airflow) -> None:
    """Plan, then approve, then apply, and one run at a time."""
    assert airflow.run(IMPORT) == {
        "errors": {},
        "tasks": {"plan": ["approve"], "approve": ["apply"], "apply": []},
        "runs": 1,
    }


def test_only_what_may_get_better_is_tried_again(airflow: Airflow) -> None:
    """Airflow repeats a task after an AirflowException, and not after an AirflowFailException."""
    (airflow.night.folder / "bin" / "thrive").write_text("#!/bin/sh\nexit $1\n")
    again, never = "AirflowException", "AirflowFailException"
    ended = {f"{code} {step}": never for code in (1, 2, 3, 143) for step in ("--dry-run", "--yes")}
    ended |= {"0 --dry-run": "AirflowSkipException", "4 --dry-run": again, "4 --yes": again}
    assert airflow.run(ENDED) == ended


def test_two_nights_run_as_printed(airflow: Airflow) -> None:
    """The second has nothing to do."""
    before = airflow.night.members
    migrate = [Path(PYTHON).parent / "airflow", "db", "migrate"]
    subprocess.run(migrate, check=True, capture_output=True, env=airflow.environment, timeout=300)
    first, second = airflow.run(RUN)
    assert first == {"plan": "success", "approve": "success", "apply": "success"}
    assert len(airflow.night.members ^ before) == 3
    assert second == {"plan": "skipped", "approve": "skipped", "apply": "skipped"}
