"""The application of `test_workers.py`, for `uvicorn contrib.worker_app:app --workers 2`."""

import asyncio
import os
from pathlib import Path

from contrib.serving import FRAMEWORKS
from thrive_async import ThriveClient

HANDLED = Path(os.environ.get("HANDLED", os.devnull))
SECRET = "s3cret-agreed-on"


async def take(_: object) -> None:
    await asyncio.sleep(0.5)
    HANDLED.write_text("handled", encoding="utf-8")  # noqa: ASYNC240 - a few bytes


_route = FRAMEWORKS["fastapi"].module.webhook_route("/thrive", secrets=SECRET, handlers={"content.completed": take})
app = FRAMEWORKS["fastapi"].app(ThriveClient.from_env, [_route], 2.0)
