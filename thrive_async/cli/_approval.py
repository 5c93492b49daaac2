"""The approval of a saved plan: a file beside it, bound to the plan by its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

from thrive_async.cli._errors import CliError, Exit
from thrive_async.cli._files import load_json
from thrive_async.cli._private_file import PrivateFile

__all__ = ["Approval", "approval_path", "check_approved", "read_approval"]

Decision = Literal["approved", "rejected"]
_KIND: Final = "approval of a plan"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """Somebody's decision about one plan.

    Attributes:
        plan: The SHA-256 of the plan's file.
        decision: Whether the plan may be applied.
        who: Who decided, as they wrote it.
        reason: Why; may be empty if approved.
        when: When they decided.
    """

    plan: str
    decision: Decision
    who: str
    reason: str
    when: datetime

    def __str__(self) -> str:
        because = f": {self.reason}" if self.reason else ""
        return f"{self.decision} by {self.who} at {self.when:%Y-%m-%d %H:%M} UTC{because}"

    def save(self, path: Path) -> None:
        """Write it with a hash over all of it, so that a slip of an editor shows.

        Raises:
            OSError: It cannot be written.
        """
        content = {"kind": _KIND, **asdict(self), "when": self.when.isoformat()}
        text = json.dumps({**content, "sha256": _hash(content)}, indent=1)
        with PrivateFile(str(path), "the approval").replaced() as file:
            file.write(text + "\n")


def approval_path(plan: str) -> Path:
    """Return where the approval of a plan is."""
    return Path(f"{plan}.approval.json")


def read_approval(plan: str) -> Approval | None:
    """Read the approval beside a plan; it may be one of another plan.

    Args:
        plan: The plan's file.

    Returns:
        The approval; None if there is none.

    Raises:
        CliError: It cannot be read, or was changed since it was written.
    """
    path = approval_path(plan)
    again = f"decide again with: thrive plan review {plan}"
    try:
        content: Any = load_json(path.read_bytes())
        expected = content.pop("sha256")
        if content.pop("kind") != _KIND or expected != _hash({"kind": _KIND, **content}):
            raise CliError(f"{path} was changed since it was written: {again}")
        when = datetime.fromisoformat(content.pop("when")).astimezone(UTC)
        return Approval(**cast("dict[str, Any]", content), when=when)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CliError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CliError(f"{path} is not the approval of a plan: {again}") from error


def check_approved(plan: str, text: bytes) -> Approval:
    """Refuse a plan that is not approved.

    Args:
        plan: The plan's file.
        text: Its bytes.

    Raises:
        CliError: There is no approval, or it is a rejection (exit code 3); or the approval cannot be read or is one of
            another plan (exit code 2).
    """
    found = read_approval(plan)
    if found is None:
        raise CliError(
            f"{plan} is not approved, so nothing was changed: approve it with: thrive plan review {plan}", Exit.GUARD
        )
    if found.plan != hashlib.sha256(text).hexdigest():
        raise CliError(
            f"{approval_path(plan)} is about another plan, or {plan} was changed since; nothing was changed. "
            f"Look at it again with: thrive plan review {plan}"
        )
    if found.decision != "approved":
        raise CliError(f"{plan} was {found}; nothing was changed", Exit.GUARD)
    return found


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
