"""Plans as JSON files: what they hold, their fingerprint, and the refusal of one that was changed."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar, cast

import attrs

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError
from thrive_async.sync.errors import SyncError

__all__ = ["SavedPlan", "restored_plan", "saved_content", "summed_up"]

P = TypeVar("P", bound="SavedPlan")
_VERSION: Final = 3


@attrs.define(kw_only=True, repr=False, eq=False)
class SavedPlan(ABC):
    """A plan that can be written to a file and read again.

    Attributes:
        kind: What it is a plan for, as saved.
        tenant: The id of the tenant it was made for; no other may apply it.
        made_at: When it was made.
    """

    kind: ClassVar[str]
    tenant: str
    made_at: datetime = attrs.field(factory=lambda: datetime.now(UTC))
    _thrive: ThriveClient | None = attrs.field(default=None, alias="thrive")
    _applying: bool = attrs.field(default=False, init=False)

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return what the plan holds, as JSON takes it."""

    @classmethod
    @abstractmethod
    def _restored(cls, content: Mapping[str, Any], **common: Any) -> Self:
        """Make a plan of what `_content` returned, and of what all plans have in common."""

    def _client(self, subject: str) -> ThriveClient:
        """Return the client to apply the plan with.

        Args:
            subject: What the plan is for, for the error.

        Raises:
            SyncError: There is none, or the plan was applied before.
        """
        if self._thrive is None:
            raise SyncError("this plan was loaded without a client: load it with one to apply it")
        if self._applying:
            raise SyncError(f"{subject}: this plan was applied before: make it again to go on")
        return self._thrive

    @property
    def fingerprint(self) -> str:
        """A hash of what the plan would do, to tell it from others; the journal opens with it."""
        return _fingerprint({"tenant": self.tenant, **self._content()})

    def to_json(self) -> str:
        """Return the plan as JSON. It holds people's identifiers."""
        content = {"tenant": self.tenant, **self._content()}
        head = {
            "kind": self.kind,
            "version": _VERSION,
            "fingerprint": _fingerprint(content),
            "made_at": self.made_at.isoformat(),
        }
        return json.dumps({**head, **content}, ensure_ascii=True, indent=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan to a file that only its owner can read, all of it or nothing.

        Args:
            path: The file; replaced if it exists.

        Raises:
            OSError: It cannot be written.
        """
        target = Path(path)
        draft = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(self.to_json())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @classmethod
    def from_json(cls, text: str | bytes, thrive: ThriveClient | None = None) -> Self:
        """Make a plan of what `to_json` returned.

        Args:
            text: The JSON.
            thrive: The client to apply it with; None only to look at it.

        Raises:
            ConfigurationError: It is no such plan, was changed since it was saved, or was made for another tenant.
        """
        try:
            decoded: Any = json.loads(text)
            content = dict(cast("dict[str, Any]", decoded))
            kind, version, expected = content.pop("kind"), content.pop("version"), content.pop("fingerprint")
            made_at = datetime.fromisoformat(content.pop("made_at"))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ConfigurationError("this is not a saved plan") from error
        if kind != cls.kind:
            raise ConfigurationError(f"this is a plan for {kind}, not for {cls.kind}")
        if version != _VERSION:
            raise ConfigurationError(f"this plan has version {version}; this release reads version {_VERSION}")
        if _fingerprint(content) != expected:
            raise ConfigurationError(
                "this plan was changed since it was saved (its fingerprint differs): make it again"
            )
        try:
            tenant = content.pop("tenant")
            plan = cls._restored(content, tenant=tenant, made_at=made_at, thrive=thrive)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError("this is not a saved plan") from error
        if thrive is not None and thrive.tenant_id != tenant:
            # Refs such as E-1001 are somebody else in another tenant.
            raise ConfigurationError(f"this plan was made for the tenant {tenant}, the client is {thrive.tenant_id}'s")
        return plan

    @classmethod
    def load(cls, path: str | os.PathLike[str], thrive: ThriveClient | None = None) -> Self:
        """Read a plan that `save` wrote.

        Args:
            path: The file.
            thrive: The client to apply it with; None only to look at it.

        Raises:
            ConfigurationError: It is no such plan, was changed since it was saved, or was made for another tenant.
            OSError: It cannot be read.
        """
        return cls.from_json(Path(path).read_bytes(), thrive)


def saved_content(plan: SavedPlan) -> dict[str, Any]:
    """Return what a plan holds, to be saved within another."""
    return plan._content()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def restored_plan(kind: type[P], content: Mapping[str, Any], **common: Any) -> P:
    """Make a plan of what `saved_content` returned, and of what it has in common with the other."""
    return kind._restored(content, **common)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def _fingerprint(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def summed_up(line: str, *notes: tuple[int, str, str]) -> str:
    """Return a plan in one line: what it does, and in parentheses what is odd about it.

    Args:
        line: What it does.
        notes: Counts with the words for one and for many; what is zero is left out.
    """
    noted = ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in notes if count)
    return f"{line} ({noted})" if noted else line
