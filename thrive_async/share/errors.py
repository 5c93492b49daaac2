"""The errors of a share."""

from thrive_async.errors import ThriveError

__all__ = ["LeaseLost", "LeaseTaken", "ShareUnavailable", "TurnTooLate"]


class ShareUnavailable(ThriveError, ConnectionError):  # noqa: N818 - the public name
    """The share cannot be reached or cannot answer."""


class TurnTooLate(ThriveError, TimeoutError):  # noqa: N818 - the public name
    """A call's place would come after its deadline, so it was not taken.

    Attributes:
        seconds: The seconds until that place; None if it is unknown.
    """

    def __init__(self, seconds: float | None) -> None:
        known = "" if seconds is None else f": it is {seconds:.1f} s away"
        super().__init__(f"the next free place comes after the call's deadline{known}")
        self.seconds = seconds


class LeaseTaken(ThriveError):  # noqa: N818 - the public name
    """Someone else has the lease."""


class LeaseLost(ThriveError):  # noqa: N818 - the public name
    """The lease ended while its holder was still working: someone else may have it by now.

    Attributes:
        maybe_applied: Whether a call that was not sent again may have taken effect before.
    """

    def __init__(self, text: str, *, maybe_applied: bool = False) -> None:
        super().__init__(text)
        self.maybe_applied = maybe_applied
