"""The tenants of a fleet: who they are, where their people and their credentials are found."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

import attrs

from thrive_async._environment import Environment
from thrive_async.auth import ApiKey, ClientCredentials
from thrive_async.errors import ConfigurationError
from thrive_async.fleet.sources import located

__all__ = ["Fleet", "Tenant", "credentials_of", "load_fleet", "load_tenants"]

_SECRETS: Final = ("api_key", "client_secret")
_CONNECTION: Final[Mapping[str, Any]] = {
    "region": str,
    "base_url": str,
    "allow_http": bool,
    "rate": int | float,
    "concurrency": int,
    "client_id": str,
    "scopes": str,
    **{f"{secret}_{how}": str for secret in _SECRETS for how in ("file", "env")},
}
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "members": {
        "source": str,
        "removals": bool,
        "allow_empty": bool,
        "unknown": str,
        "protect": list,
        "max_removals": int | float,
        "strategy": str,
        "verify": bool,
    },
    "users": {
        "source": str,
        "columns": dict,
        "leavers": str,
        "returning": str,
        "blank": str,
        "allow_empty": bool,
        "protect": list,
        "max_removals": int | float,
        "max_changes": int | float,
    },
}


@attrs.frozen(kw_only=True)
class Tenant:
    """One tenant of a fleet.

    Attributes:
        id: The tenant id.
        connection: `region` or `base_url` with `allow_http`, `rate`, `concurrency`; and where the credentials are:
            `api_key_file` or `api_key_env`, or `client_id` with `client_secret_file` or `client_secret_env`, and
            `scopes` if you need them. The secrets themselves are never in it.
        members: `source`, and arguments of `sync_members`; empty if no audiences are synced.
        users: `source`, and arguments of `sync_users`; empty if no users are synced.
        priority: Tenants with a larger one go first, from -2000 to 2000.
    """

    id: str
    connection: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    members: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    users: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    priority: int = 0


@attrs.frozen(kw_only=True)
class Fleet:
    """A file of tenants.

    Attributes:
        tenants: The tenants.
        schedule: When the workers submit all units by themselves, as in crontab, in UTC; None for never.
    """

    tenants: tuple[Tenant, ...]
    schedule: str | None = None


def load_fleet(path: str | os.PathLike[str]) -> Fleet:
    """Read a file of tenants. Paths in it are relative to its folder.

    Args:
        path: A TOML file: see docs/scale.md.

    Raises:
        ConfigurationError: The file is not TOML, or something in it is unknown, missing or of the wrong type.
        OSError: It cannot be read.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from error
    folder = file.absolute().parent
    _check(f"{file}", content, {"schedule": str, "defaults": dict, "tenant": list})
    defaults: dict[str, Any] = content.get("defaults", {})
    tenants: list[Tenant] = []
    for number, entry in enumerate(cast("list[Any]", content.get("tenant", [])), start=1):
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{file}: write each tenant as [[tenant]]")
        given = cast("dict[str, Any]", entry)
        where = f"{file}: tenant {given.get('id') or number}"
        tables = {
            name: {**defaults.get(name, {}), **given[name]}
            for name in ("members", "users")
            if isinstance(given.get(name), dict)
        }
        tenants.append(_tenant(where, {**defaults, **given, **tables}, given, folder))
    if not tenants:
        raise ConfigurationError(f"{file} has no [[tenant]]")
    ids = [one.id for one in tenants]
    twice = next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None
    if twice is not None:
        raise ConfigurationError(f"{file} has the tenant {twice} twice")
    return Fleet(tenants=tuple(tenants), schedule=content.get("schedule"))


def load_tenants(path: str | os.PathLike[str]) -> tuple[Tenant, ...]:
    """Read the tenants of a file; see `load_fleet`."""
    return load_fleet(path).tenants


def _tenant(where: str, values: Mapping[str, Any], given: Mapping[str, Any], folder: Path) -> Tenant:
    _check(where, values, {"id": str, "priority": int, "members": dict, "users": dict, **_CONNECTION})
    if not values.get("id"):
        raise ConfigurationError(f"{where} has no id")
    if not -2_000 <= values.get("priority", 0) <= 2_000:
        raise ConfigurationError(f"{where}: priority must be from -2000 to 2000")
    tables: dict[str, dict[str, Any]] = {}
    for name in ("members", "users"):
        # What is synced is each tenant's own to say; the defaults only say how.
        table: dict[str, Any] = dict(values[name]) if name in given else {}
        if not table:
            continue
        _check(f"{where}, {name}", table, _OPTIONS[name])
        if not table.get("source"):
            raise ConfigurationError(f"{where}: {name} needs a source: a file, a folder or module:object")
        table["source"] = located(table["source"], folder)
        tables[name] = table
    if not tables:
        raise ConfigurationError(f"{where} syncs nothing: give it members, users or both")
    connection = {name: value for name, value in values.items() if name in _CONNECTION}
    for secret in _SECRETS:
        if f"{secret}_file" in connection:
            connection[f"{secret}_file"] = str(folder / connection[f"{secret}_file"])
    return Tenant(id=values["id"], connection=connection, priority=values.get("priority", 0), **tables)


def _check(where: str, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name not in known:
            raise ConfigurationError(f"{where}: {name} is unknown; it can be {', '.join(known)}")
        wanted = known[name]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            names = " or ".join(one.__name__ for one in get_args(wanted) or (wanted,))
            raise ConfigurationError(f"{where}: {name} must be {names}, not {type(value).__name__}")


def credentials_of(connection: Mapping[str, Any]) -> ApiKey | ClientCredentials:
    """Read the credentials that a connection points to.

    Args:
        connection: As in `Tenant`.

    Raises:
        ConfigurationError: They are missing, contradict each other or cannot work.
    """
    environ = {
        f"THRIVE_{secret.upper()}{suffix}": connection[f"{secret}_{how}"]
        if how == "file"
        else os.environ.get(connection[f"{secret}_{how}"], "")
        for secret in _SECRETS
        for how, suffix in (("file", "_FILE"), ("env", ""))
        if f"{secret}_{how}" in connection
    }
    environ |= {f"THRIVE_{name.upper()}": connection[name] for name in ("client_id", "scopes") if name in connection}
    try:
        return Environment(environ).credentials()
    except ConfigurationError as error:
        sought = ", ".join(f"{name} = {connection[name]}" for name in connection if name.endswith(("_file", "_env")))
        raise ConfigurationError(
            f"the credentials of the tenant cannot be used ({sought or 'it names neither api_key_file nor api_key_env'}"
            f"): {error}"
        ) from None
