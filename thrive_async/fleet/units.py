"""Units of work: one audience, or the users of one tenant. Plain data that any engine can carry."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, Self

import attrs

from thrive_async.config import Region, checked_base_url
from thrive_async.fleet.sources import open_source
from thrive_async.fleet.tenants import Tenant
from thrive_async.share import Scope

__all__ = ["Kind", "Unit", "units"]

Kind = Literal["members", "users"]

_RANK: Final = 1_000_000


@attrs.frozen(kw_only=True)
class Unit:
    """One audience of a tenant, or the users of a tenant.

    A unit holds no people and no secrets: it says where both are found. It can be run twice: the second run finds
    nothing left to do.

    Attributes:
        key: The same for the same work, each night and on each machine. Let an engine run one unit of a key at a time.
        tenant: The tenant id.
        kind: ``"members"`` or ``"users"``.
        target: The audience's id or reference; empty for users.
        source: Where the people are: see `Tenant`.
        connection: How to reach the tenant, and where its credentials are: see `Tenant`.
        options: Arguments of `sync_members` or `sync_users`.
        priority: Larger ones first. It falls from unit to unit of a tenant, so that a tenant with many units leaves
            room for the others.
    """

    key: str
    tenant: str
    kind: Kind
    target: str
    source: str
    connection: Mapping[str, Any]
    options: Mapping[str, Any]
    priority: int

    def as_dict(self) -> dict[str, Any]:
        """Return the unit as values that JSON can hold."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a unit from the result of `as_dict`."""
        return cls(**values)


def units(tenants: Iterable[Tenant]) -> Iterator[Unit]:
    """Yield the units of tenants in turns: the first of each tenant, then the second of each, and so on.

    The names of the audiences are read, but no people. Users come before audiences, whose members they may be.

    Args:
        tenants: The tenants, such as those of `load_tenants`.

    Raises:
        ConfigurationError: A source cannot be opened.
        OSError: A source cannot be read.
        ValueError: A source holds something else than it should.

    Example:
        ```python
        for unit in units(load_tenants("tenants.toml")):
            queue.put(unit.as_dict())
        ```
    """
    waiting = [_units_of(tenant) for tenant in tenants]
    while waiting:
        still: list[Iterator[Unit]] = []
        for rest in waiting:
            unit = next(rest, None)
            if unit is not None:
                yield unit
                still.append(rest)
        waiting = still


def _units_of(tenant: Tenant) -> Iterator[Unit]:
    targets: list[tuple[Kind, str, Mapping[str, Any]]] = []
    if tenant.users:
        targets.append(("users", "", tenant.users))
    if tenant.members:
        names = open_source(tenant.members["source"]).audiences(tenant.id)
        targets.extend(("members", name, tenant.members) for name in dict.fromkeys(names))
    scope = Scope.of(_base_url(tenant.connection), tenant.id)
    for turn, (kind, target, table) in enumerate(targets):
        yield Unit(
            key=f"{scope}/{kind}/{target}".rstrip("/"),
            tenant=tenant.id,
            kind=kind,
            target=target,
            source=table["source"],
            connection=dict(tenant.connection),
            options={name: value for name, value in table.items() if name != "source"},
            priority=tenant.priority * _RANK - turn,
        )


def _base_url(connection: Mapping[str, Any]) -> str:
    if "base_url" in connection:
        return checked_base_url(connection["base_url"], allow_http=connection.get("allow_http", False))
    return Region.parse(connection.get("region", "production")).api_url
