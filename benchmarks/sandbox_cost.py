"""Compare the sandbox's cost of a reply with the client's, so that tests do not measure the sandbox."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Bench, Row
from thrive_async import ApiKey, ThriveClient

_ROOT = Path(__file__).resolve().parent.parent

_SERVE = """
import asyncio, json, sys
from thrive_async.sandbox import Sandbox

async def main():
    async with Sandbox(users=int(sys.argv[1]), seed=1) as sandbox:
        secret = sandbox.credentials.secret.reveal()
        print(json.dumps([sandbox.base_url, sandbox.tenant_id, secret]), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


def sandbox(bench: Bench) -> list[Row]:
    """Compare CPU time of sandbox and client for a page of 1,000 users, and for adding 100 members."""
    users, repeats = bench.size(1000, 20), bench.size(20, 1)
    command = [sys.executable, "-c", _SERVE, str(users)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        base_url, tenant, key = json.loads(process.stdout.readline())
        client = ThriveClient(tenant, ApiKey(key), base_url=base_url)
        try:
            made = bench.run(_measured(client, process.pid, repeats))
        finally:
            bench.run(client.aclose())
            process.stdin.close()
    return made


async def _measured(client: ThriveClient, pid: int, repeats: int) -> list[Row]:
    refs = [user.ref or user.id async for user in client.users.list()]
    count = min(100, len(refs))

    async def page() -> None:
        await client.users.list(prefetch=1).collect()

    async def add() -> None:
        await client.audiences.members.add("sales-emea", refs[:count])

    made: list[Row] = []
    for work, call in ((f"sandbox: a page of {len(refs):,} users", page), (f"sandbox: {count} members added", add)):
        await call()
        theirs, mine = await _cost(call, pid, repeats)
        detail = f"server {theirs * 1e3:.2f} / client {mine * 1e3:.2f} ms CPU"
        made.append(Row(work, "the client's own cost", theirs / mine, 1.0, detail))
    return made


async def _cost(call: Any, pid: int, repeats: int) -> tuple[float, float]:
    """Return the CPU seconds per call of the server and of this process."""
    server, client = _cpu_of(pid), time.process_time()
    for _ in range(repeats):
        await call()
    client, server = time.process_time() - client, _cpu_of(pid) - server
    await asyncio.sleep(0)
    return server / repeats, client / repeats


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds of another process; on Linux its clock's id derives from its process id."""
    return time.clock_gettime((~pid << 3) | 2)
