"""The units of a fleet on Celery and Redis.

    celery -A celery_tasks worker --concurrency 4
    python -c "from celery_tasks import submit; submit('tenants.toml')"

A worker that is killed gives its unit back only after `visibility_timeout`: Redis cannot tell a dead worker from a busy
one. So it must be longer than your longest unit, and recovery takes as long. A unit that is delivered twice does no
harm: the second run waits for the lock of the first (give the workers a share, THRIVE_SHARE), and finds nothing to do.
"""

import asyncio
import os
from typing import Any

from celery import Celery, Task

from thrive_async.fleet import load_tenants, run_unit, units

app = Celery("celery_tasks", broker=os.environ.get("CELERY_BROKER_URL", "redis://localhost:6379/1"))
app.conf.update(
    # A unit is taken out of the queue when it is done, not when it begins.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    # No unit waits in a worker that is busy, or that dies.
    worker_prefetch_multiplier=1,
    broker_transport_options={"visibility_timeout": float(os.environ.get("VISIBILITY_TIMEOUT", "3600"))},
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
)


@app.task(bind=True, max_retries=4, name="run_unit")
def run(task: Task, unit: dict[str, Any]) -> dict[str, Any]:
    """Run one unit; try again if Thrive or another run was in the way."""
    result = asyncio.run(run_unit(unit))
    if result.outcome == "stopped":
        raise task.retry(countdown=2 * 4**task.request.retries)
    return result.as_dict()


def submit(path: str) -> int:
    """Put the units of all tenants into the queue, in turns."""
    todo = [unit.as_dict() for unit in units(load_tenants(path))]
    for unit in todo:
        run.delay(unit)
    return len(todo)
