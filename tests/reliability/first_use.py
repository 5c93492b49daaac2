"""The first client of a fresh interpreter at work, with an eye on its loop: run by test_first_use.py.

Takes a JSON object of settings as its argument, and prints, as JSON, what was opened or imported on the loop's thread
after the client was built; blockbuster raises where anything blocks otherwise.
"""

import asyncio
import json
import logging
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from blockbuster import BlockBuster

from thrive_async import (
    ApiKey,
    ClientCredentials,
    DecodeError,
    NotFoundError,
    PermissionDeniedError,
    Retry,
    ThriveClient,
    sync,
)
from thrive_async.models import AudienceCreate, ManagerGrant, ManagerGrantPermissions, UserCreate, UserUpdate

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
RETRY = Retry(base_delay=0.001, max_delay=0.001)

watched = threading.Event()
found: list[str] = []


def notice(event: str, arguments: tuple[Any, ...]) -> None:
    if (
        watched.is_set()
        and event in ("open", "import", "os.listdir")
        and threading.current_thread() is threading.main_thread()
    ):
        frames = traceback.StackSummary.extract(traceback.walk_stack(None), lookup_lines=False)
        ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "importlib" not in frame.filename]
        found.append(f"{event} {arguments[0]} at {' < '.join(ours[1:6])}")


@asynccontextmanager
async def nothing_opened() -> AsyncIterator[None]:
    buster = BlockBuster()
    # A lock's note is written on the loop by design, as the journal is.
    buster.functions["os.write"].can_block_in("sync/_apply/locks.py", {"_note"})
    buster.activate()
    watched.set()
    try:
        yield
    finally:
        watched.clear()
        buster.deactivate()


def client() -> ThriveClient:
    credentials = ClientCredentials(SETTINGS["client_id"], SETTINGS["client_secret"])
    return ThriveClient(SETTINGS["tenant_id"], credentials, base_url=SETTINGS["base_url"], retry=RETRY)


# A reply of another shape is a warning, which would be taken for a failure of this process.
logging.getLogger("thrive_async").setLevel(logging.ERROR)


async def everything(thrive: ThriveClient) -> None:
    """Reads, lists, writes, errors, repeats, a sync, and a token before all of them."""
    users = await thrive.users.list(per_page=7).collect()
    user = await thrive.users.get(users[0].id)
    with suppress(NotFoundError):
        await thrive.users.get("0" * 24)
    await thrive.tags.list().collect()  # refused first, with the date of another try
    with suppress(DecodeError):
        await thrive.skills.levels()  # of another shape
    with suppress(PermissionDeniedError):
        await thrive.contents.list().first()  # refused, with a page for people
    await thrive.activities.list(per_page=5).collect(limit=20)
    async for _completion in thrive.completions.list(per_page=5):
        break
    await thrive.audiences.create(AudienceCreate(name="n", reference="n", parent_id="emea", category="audience"))
    await thrive.audiences.members.add("n", [user.id, "nobody@example.org"])
    grant = ManagerGrant(reference=str(user.ref), permissions=ManagerGrantPermissions())
    await thrive.audiences.managers.add("n", [grant])
    await thrive.users.create(UserCreate(ref="E-new", first_name="A", last_name="B", email="ab@example.org"))
    await thrive.users.update("E-new", UserUpdate(job_title="Engineer"))
    plan = await sync.plan_members(thrive, "n", [user.id for user in users[:20]])
    report = await plan.apply(max_removals=None)
    report.raise_for_failures()
    await thrive.request("GET", "/rest/v1/tags", params={"page": 1})
    await thrive.audiences.delete("n")


async def over_tls() -> None:
    """A host by name, an authority of one's own, a proxy of the environment that there is not, a packed reply."""
    settings: dict[str, Any] = {"base_url": SETTINGS["tls_url"], "ca_file": SETTINGS["ca_file"], "trust_env": True}
    thrive = ThriveClient(SETTINGS["tenant_id"], ApiKey("k"), **settings)
    async with nothing_opened(), thrive:
        await thrive.skills.levels()


async def main(thrive: ThriveClient | None) -> None:
    thrive = thrive or client()
    async with nothing_opened(), thrive:
        await everything(thrive)
    await over_tls()


sys.addaudithook(notice)
asyncio.run(main(client() if SETTINGS["built"] == "outside" else None))
sys.stdout.write(json.dumps(found))
