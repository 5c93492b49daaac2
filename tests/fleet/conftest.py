"""A sandbox with two tenants' worth of audiences, and a real PostgreSQL where Debian's package is installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thrive_async.sandbox import Sandbox


class Company:
    """A tenant on a sandbox, and the files that a coordinator reads.

    Args:
        folder: For the files.
        sandbox: Its Thrive.
        audiences: How many there are; their lists say ten people each, the audiences hold other ten.
    """

    def __init__(self, folder: Path, sandbox: Sandbox, audiences: int = 3) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.people = list(sandbox.state.users)
        self.names = [f"team-{at}" for at in range(audiences)]
        folder.mkdir(exist_ok=True)
        (folder / "key").write_text(sandbox.environment["THRIVE_API_KEY"])
        lines = ["audience,member"]
        for at, name in enumerate(self.names):
            sandbox.state.add_audience(name, members=self.people[at : at + 10])
            lines += [f"{name},{one}" for one in self.wanted(name)]
        (folder / "audiences.csv").write_text("\n".join(lines) + "\n")

    def wanted(self, name: str) -> list[str]:
        """Who should be in an audience: all but one of its members, and another one."""
        at = self.names.index(name)
        return self.people[at + 1 : at + 11]

    @property
    def toml(self) -> str:
        """Its part of tenants.toml."""
        return (
            f'[[tenant]]\nid = "{self.sandbox.tenant_id}"\nbase_url = "{self.sandbox.base_url}"\n'
            f'api_key_file = "{self.folder.name}/key"\n[tenant.members]\nsource = "{self.folder.name}/audiences.csv"\n'
            "max_removals = 0.5\n"
        )

    @property
    def wrong(self) -> list[str]:
        """The audiences that are not as the lists say."""
        audiences = self.sandbox.state.audiences
        return [name for name in self.names if set(audiences[name].members) != set(self.wanted(name))]

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Operation and path of the writes that arrived."""
        return [(str(one.operation), one.path) for one in self.sandbox.requests if one.method != "GET"]


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """One tenant; its sandbox runs in a thread."""
    with Sandbox(users=40, seed=1) as sandbox:
        yield Company(tmp_path / "acme", sandbox)


@pytest.fixture
def tenants(tmp_path: Path, company: Company) -> Path:
    """The file tenants.toml."""
    path = tmp_path / "tenants.toml"
    path.write_text(company.toml)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[object]:
    """One server for the session."""
    from benchmarks.postgres_server import BINARIES, PostgresServer

    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def database(postgres) -> str:
    """A new database on it."""
    return postgres.new_database()
