"""An audience of known people for each test of the sync."""

from collections.abc import AsyncIterator

import attrs
import pytest

from thrive_async import Retry, ThriveClient
from thrive_async.sandbox import Sandbox, VirtualClock
from thrive_async.sync._apply.journal import Scope


@attrs.define
class World:
    """A sandbox with an audience `team`: its first `members` users are in it.

    Attributes:
        sandbox: The server, on a virtual clock: every wait is free.
        thrive: A client on it.
        ids: The users' ids, in order.
    """

    sandbox: Sandbox
    thrive: ThriveClient
    ids: list[str]

    @property
    def members(self) -> set[str]:
        """The ids of the members, as they are now."""
        return set(self.sandbox.state.audiences["team"].members)

    @property
    def scope(self) -> Scope:
        """What a sync of the members is about, for the journal."""
        return Scope("members", self.thrive.tenant_id, self.sandbox.state.audiences["team"]["id"])

    def set_members(self, ids: list[str]) -> None:
        """Let the audience have these members."""
        self.sandbox.state.audiences["team"].members.replace(self.sandbox.state.users[one] for one in ids)

    def email(self, at: int) -> str:
        """The e-mail address of a user."""
        email = self.sandbox.state.users[self.ids[at]]["email"]
        assert email
        return str(email)

    def ref(self, at: int) -> str:
        """The ref of a user."""
        ref = self.sandbox.state.users[self.ids[at]]["ref"]
        assert ref
        return str(ref)

    def writes(self) -> list[str]:
        """The operations of the writes that arrived, in order."""
        return [entry.operation for entry in self.sandbox.requests if entry.method != "GET" and entry.operation]

    def arrived(self, operation: str) -> int:
        """How many requests of an operation arrived."""
        return sum(1 for entry in self.sandbox.requests if entry.operation == operation)


def people(sandbox: Sandbox, count: int) -> list[str]:
    """Add users with plain names and return their ids."""
    add = sandbox.state.add_user
    return [add(ref=f"P-{at:05}", email=f"person.{at}@example.org")["id"] for at in range(count)]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """600 people, the first 300 of them in the audience `team`."""
    async with Sandbox(users=0, seed=1, clock=VirtualClock(), check_replies=True) as sandbox:
        ids = people(sandbox, 600)
        sandbox.state.add_audience("team", members=ids[:300])
        async with sandbox.client(retry=Retry(max_attempts=3)) as thrive:
            yield World(sandbox, thrive, ids)
        assert not sandbox.violations
