"""Plans as JSON files: what they hold, their fingerprint, and the refusal of one that was changed."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Self, TypeVar, cast

from thrive_async.client import ThriveClient
from thrive_async.errors import ConfigurationError, SyncError

__all__ = ["SavedPlan", "check_ready", "restored_plan", "saved_content", "summed_up"]

P = TypeVar("P", bound="SavedPlan")
_VERSION: Final = 1


class SavedPlan(ABC):
    """A plan that can be written to a file and read again.

    Attributes:
        kind: What it is a plan for, as saved.
        made_at: When it was made.
    """

    __slots__ = ()

    kind: ClassVar[str]
    made_at: datetime

    @abstractmethod
    def _content(self) -> dict[str, Any]:
        """Return what the plan holds, as JSON takes it."""

    @classmethod
    @abstractmethod
    def _restored(cls, content: Mapping[str, Any], made_at: datetime, thrive: ThriveClient | None) -> Self:
        """Make a plan of what `_content` returned."""

    @property
    def fingerprint(self) -> str:
        """A hash of what the plan would do, to tell it from others; the journal opens with it."""
        return _fingerprint(self._content())

    def to_json(self) -> str:
        """Return the plan as JSON. It holds people's identifiers."""
        content = self._content()
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
            ConfigurationError: It is no such plan, or was changed since it was saved.
        """
        try:
            decoded: Any = json.loads(text)
            content = dict(cast("dict[str, Any]", decoded))
            kind, version, expected = content.pop("kind"), content.pop("version"), content.pop("fingerprint")
            made_at = datetime.fromisoformat(content.pop("made_at"))
        except (ValueError, TypeError, KeyError) as error:
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
            return cls._restored(content, made_at, thrive)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError("this is not a saved plan") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], thrive: ThriveClient | None = None) -> Self:
        """Read a plan that `save` wrote.

        Args:
            path: The file.
            thrive: The client to apply it with; None only to look at it.

        Raises:
            ConfigurationError: It is no such plan, or was changed since it was saved.
            OSError: It cannot be read.
        """
        return cls.from_json(Path(path).read_bytes(), thrive)


def saved_content(plan: SavedPlan) -> dict[str, Any]:
    """Return what a plan holds, to be saved within another."""
    return plan._content()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def restored_plan(kind: type[P], content: Mapping[str, Any], made_at: datetime, thrive: ThriveClient | None) -> P:
    """Make a plan of what `saved_content` returned."""
    return kind._restored(content, made_at, thrive)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def check_ready(subject: str, thrive: ThriveClient | None, *, applied: bool) -> None:
    """Refuse to apply a plan that has no client, or was applied before.

    Args:
        subject: What the plan is for, for the error.
        thrive: The plan's client, if it has one.
        applied: Whether the plan was applied before.

    Raises:
        SyncError: It has none, or was applied before.
    """
    if thrive is None:
        raise SyncError("this plan was loaded without a client: load it with one to apply it")
    if applied:
        raise SyncError(f"{subject}: this plan was applied before: make it again to go on")


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
