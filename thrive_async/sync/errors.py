"""What a sync raises on purpose."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from thrive_async.errors import ThriveError, named

if TYPE_CHECKING:
    from thrive_async.sync.report import SyncReport

__all__ = ["GuardRefused", "SyncError"]


class SyncError(ThriveError):
    """A sync did not do all that it had planned.

    Attributes:
        report: What became of every planned change; None if nothing was attempted.
    """

    def __init__(self, text: str, *, report: "SyncReport | None" = None) -> None:
        super().__init__(text)
        self.report = report


class GuardRefused(SyncError):  # noqa: N818 - the public name
    """A guard stopped a sync before its first write; nothing was changed.

    Attributes:
        text: Why, with the figures; `$name` stands for an argument.
        argument: The argument that lifts the guard; None if none does.
        named: Other arguments that the text names.
        value: What to pass for it.
        figures: The numbers that the guard compared, such as ``{"removals": 18, "current": 100, "allowed": 10}``.
        remedy: What passing the value is for: "If this is meant", "To wait for it".
    """

    def __init__(
        self,
        text: str,
        *,
        argument: str | None = None,
        value: object = None,
        figures: Mapping[str, float] | None = None,
        remedy: str = "If this is meant",
        named: Sequence[str] = (),
    ) -> None:
        self.text = text
        self.argument = argument
        self.value = value
        self.figures: dict[str, float] = dict(figures or {})
        self.remedy = remedy
        self.named: tuple[str, ...] = tuple(named)
        super().__init__(self.told(lambda name: name, lambda name, value: f"{name}={value!r}"))

    def told(self, name_of: Callable[[str], str], passed: Callable[[str, object], str]) -> str:
        """Say it in the words of a face of the SDK, such as a command line with options in place of arguments.

        Args:
            name_of: Returns what an argument is called there.
            passed: Returns how a value is passed for an argument there.

        Returns:
            One line.
        """
        text = named(self.text, (*self.named, *([self.argument] if self.argument else [])), name_of)
        if self.argument is None:
            return text
        return f"{text}. {self.remedy}, pass {passed(self.argument, self.value)}"
