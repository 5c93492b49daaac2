"""A sandbox for the examples, so that you can try them without a tenant of Thrive."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from thrive_async.sandbox import Sandbox


@contextmanager
def unless_configured(port: int) -> Generator[None]:
    """Start a sandbox and point the environment to it, unless `THRIVE_TENANT_ID` names a tenant.

    Args:
        port: The port of the application, to which the sandbox sends its webhooks.
    """
    if os.environ.get("THRIVE_TENANT_ID"):
        yield
        return
    # It answers slowly, so that there is a progress to watch.
    with Sandbox(users=1000, latency=0.5) as sandbox, TemporaryDirectory() as folder:
        os.environ.update(sandbox.environment, APP_FOLDER=folder)
        secret = os.environ.setdefault("WEBHOOK_SECRET", secrets.token_urlsafe())
        sandbox.webhooks.subscribe(f"http://127.0.0.1:{port}/thrive", secret=secret)
        print(f"A sandbox with 1,000 made-up people is at {sandbox.base_url}/", flush=True)
        yield
