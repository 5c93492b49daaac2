"""Plans as JSON files: what they hold, their fingerprint, and the refusal of one that was changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, cast

from thrive_async.errors import ConfigurationError

__all__ = ["fingerprint", "from_json", "no_plan", "read", "to_json", "write"]

_VERSION: Final = 1


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return a hash of a plan's content, the same wherever and whenever it is computed."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def to_json(kind: str, content: Mapping[str, Any], made_at: datetime) -> str:
    """Return a plan as JSON.

    Args:
        kind: ``"members"``, ``"managers"`` or ``"users"``.
        content: What the plan holds.
        made_at: When it was made; not part of the fingerprint.
    """
    head = {"kind": kind, "version": _VERSION, "fingerprint": fingerprint(content), "made_at": made_at.isoformat()}
    return json.dumps({**head, **content}, ensure_ascii=True, indent=1)


def from_json(kind: str, text: str | bytes) -> tuple[dict[str, Any], datetime]:
    """Return what a saved plan holds, and when it was made.

    Args:
        kind: The kind it must be of.
        text: The JSON.

    Raises:
        ConfigurationError: It is no such plan, or was changed since it was saved.
    """
    try:
        decoded: Any = json.loads(text)
        content = dict(cast("dict[str, Any]", decoded))
        found_kind, version, expected = content.pop("kind"), content.pop("version"), content.pop("fingerprint")
        made_at = datetime.fromisoformat(content.pop("made_at"))
    except (ValueError, TypeError, KeyError) as error:
        raise no_plan() from error
    if found_kind != kind:
        raise ConfigurationError(f"this is a plan for {found_kind}, not for {kind}")
    if version != _VERSION:
        raise ConfigurationError(f"this plan has version {version}; this release reads version {_VERSION}")
    if fingerprint(content) != expected:
        raise ConfigurationError("this plan was changed since it was saved (its fingerprint differs): make it again")
    return content, made_at


def no_plan() -> ConfigurationError:
    """Return the refusal of something that is no saved plan."""
    return ConfigurationError("this is not a saved plan")


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a plan to a file that only its owner can read, all of it or nothing.

    Args:
        path: The file; replaced if it exists.
        text: What to write.
    """
    target = Path(path)
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike[str]) -> bytes:
    """Return a file's bytes.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be read.
    """
    return Path(path).read_bytes()
