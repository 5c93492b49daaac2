"""The DAG of docs/nightly/airflow/ is imported by Airflow, and its tasks run.

Airflow is in an environment of its own, whose Python AIRFLOW_PYTHON names: `nox -s nightly` makes it.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from .conftest import RECIPES, Night, nightly

DAG = RECIPES / "airflow" / "thrive_nightly.py"
PYTHON = os.environ.get("AIRFLOW_PYTHON", "")
pytestmark = pytest.mark.skipif(not PYTHON, reason="Airflow is not installed: `nox -s nightly` brings it")

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
run = dag.test(mark_success_pattern="approve")
states = {one.task_id: str(one.state) for one in run.get_task_instances()}
print("RESULT", json.dumps(states))
"""


@dataclass
class Airflow:
    """An Airflow with a database and the DAG, whose paths lead to this machine."""

    night: Night
    home: Path

    def run(self, program: str) -> dict[str, object]:
        done = subprocess.run(
            [PYTHON, "-c", program, str(self.home / "dags")],
            capture_output=True, text=True, check=False, cwd=self.home, env=self.environment, timeout=110,
        )  # fmt: skip
        results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert results, done.stdout + done.stderr
        result: dict[str, object] = json.loads(results[-1].removeprefix("RESULT "))
        return result

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
    airflow = Airflow(night, home)
    done = subprocess.run(
        [Path(PYTHON).parent / "airflow", "db", "migrate"],
        capture_output=True, text=True, check=False, env=airflow.environment, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return airflow


def test_airflow_imports_the_dag(airflow: Airflow) -> None:
    """Plan, then approve, then apply, and one run at a time."""
    assert airflow.run(IMPORT) == {
        "errors": {},
        "tasks": {"plan": ["approve"], "approve": ["apply"], "apply": []},
        "runs": 1,
    }


def test_a_night_runs_as_printed(airflow: Airflow) -> None:
    before = airflow.night.members
    assert airflow.run(RUN) == {"plan": "success", "approve": "success", "apply": "success"}
    assert len(airflow.night.members ^ before) == 3
    states = airflow.run(RUN)
    assert states["plan"] == "skipped"
    assert states["apply"] == "skipped"
