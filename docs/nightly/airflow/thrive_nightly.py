"""Plan the Thrive sync every night, wait for an approval, and apply the approved plan. Needs Airflow 3.1 or newer.

The connection `thrive` holds the tenant id (login) and the API key (password). The three paths below are on a disk that
all workers of the queue share.
"""

import os
import subprocess
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseHook, dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

THRIVE = "/opt/thrive/bin/thrive"
LIST = "/srv/hr/memberships.csv"
STATE = "/var/lib/thrive"

ENDED = {
    1: f"Some people failed or were left alone. The reasons are in the CSV files of {STATE}.",
    2: "The file, the settings or the command line are wrong. Nothing was changed.",
    3: "A guard refused, or another run was going on. Is the file complete?",
    4: "Thrive refused or could not be reached.",
}


def thrive(*arguments: str) -> None:
    """Run a command of Thrive's; its output goes to the log of the task.

    Raises:
        AirflowSkipException: A dry run found nothing to do.
        AirflowException: Another try may help.
        AirflowFailException: Another try would not help.
    """
    connection = BaseHook.get_connection("thrive")
    secrets = {"THRIVE_TENANT_ID": connection.login or "", "THRIVE_API_KEY": connection.password or ""}
    environment = os.environ | secrets | {"THRIVE_LOCK_DIR": f"{STATE}/locks"}
    with subprocess.Popen([THRIVE, *arguments], env=environment) as process:
        try:
            code = process.wait()
        except BaseException:
            # The task was stopped: so is the command, which writes its report before it ends.
            process.terminate()
            raise
    if code == 0 and "--dry-run" in arguments:
        raise AirflowSkipException("Nothing to do.")
    if code not in (0, 10):
        error = AirflowException if code == 4 else AirflowFailException
        raise error(f"thrive ended with {code}. {ENDED.get(code, 'Read the log.')}")


@dag(
    # In no time zone does this hour come twice, or not at all, when the clocks change.
    schedule="30 4 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/London"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=3)},
    tags=["thrive"],
)
def thrive_nightly() -> None:
    """Make Thrive's audiences match the file from HR."""

    @task
    def plan() -> None:
        thrive(
            *("sync", "audiences", LIST, "--dry-run", "--detailed-exitcode"),
            *("--save-plan", f"{STATE}/plan.json", "--report", f"{STATE}/plan.csv"),
        )

    approve = ApprovalOperator(
        task_id="approve",
        subject="Apply tonight's plan to Thrive?",
        body=f"Read the log of the task `plan`, or `{STATE}/plan.csv` for everyone.",
        # A plan that waited longer is stale, and the next night makes a new one.
        execution_timeout=timedelta(hours=20),
        defaults="Reject",
    )

    @task
    def apply() -> None:
        thrive(
            *("plan", "apply", f"{STATE}/plan.json", "--yes", "--wait", "10m"),
            *("--journal", f"{STATE}/journal.jsonl", "--report", f"{STATE}/report.csv"),
        )

    plan() >> approve >> apply()


thrive_nightly()
