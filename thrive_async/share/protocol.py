"""The methods of a share. You can write your own class with them; `thrive_async.share.conformance` tests it."""

import math
from typing import Final, Protocol

import attrs

__all__ = ["Cipher", "Place", "Scope", "Share", "Stored"]


@attrs.frozen
class Scope:
    """What processes have in common: one quota, one set of tokens and leases.

    Attributes:
        host: The API's host, with its port if it has one of its own.
        tenant: The tenant id.
    """

    host: str
    tenant: str

    @classmethod
    def of(cls, base_url: str, tenant: str) -> "Scope":
        """Return the scope of the clients of a tenant with this base URL."""
        return cls(base_url.partition("://")[2], tenant)

    def __str__(self) -> str:
        return f"{self.host}/{self.tenant}"


@attrs.frozen
class Place:
    """The answer to a process that asked for a place in the row.

    Attributes:
        taken: True if the place is reserved. False if nothing was changed: the cool-down is still on, or the place
            would have come too late.
        wait: Seconds until the place, or until it is worth asking again.
        cooling: Whether the wait is for a cool-down to end.
    """

    taken: bool
    wait: float
    cooling: bool = False


AT_ONCE: Final = Place(taken=True, wait=0.0)


@attrs.frozen
class Stored:
    """A value and the time it has left.

    Attributes:
        value: The value.
        seconds: How long the share will still keep it.
    """

    value: bytes = attrs.field(repr=False)
    seconds: float


class Cipher(Protocol):
    """Encrypts tokens before they are stored, such as `Fernet` and `MultiFernet` of the library cryptography."""

    def encrypt(self, data: bytes, /) -> bytes:
        """Return the encrypted bytes."""
        ...

    def decrypt(self, token: bytes, /) -> bytes:
        """Return the plain bytes, or raise any exception if that is impossible."""
        ...


class Share(Protocol):
    """Places, a cool-down, values and leases that processes have in common.

    Each method is one step: it changes the store atomically and returns without waiting. The parts that wait and
    repeat (`Row`, `SharedTokens`, `lease`) are built on these steps, and work with every share. All seconds are
    counted by the share's own clock, so the clocks of the processes may differ.

    Every method raises `ShareUnavailable` if the store cannot be reached. A share may answer `place` and `cool_down`
    anyway, from what its own process knows.

    Attributes:
        tokens: Whether access tokens may be stored: True, False, or a cipher that encrypts them first.
    """

    @property
    def tokens(self) -> bool | Cipher:
        """Whether access tokens may be stored: True, False, or a cipher that encrypts them first."""
        ...

    async def place(self, scope: Scope, *, rate: float | None, burst: int = 1, within: float = math.inf) -> Place:
        """Reserve the next place in the row (GCRA), unless the scope is cooling down.

        Args:
            scope: The host and tenant to call.
            rate: Calls per second over all processes; None for no limit.
            burst: Calls that may start at once after a quiet time, at least 1.
            within: Seconds. A place further away is not taken.

        Returns:
            The place, or how long to wait before asking again.
        """
        ...

    async def cool_down(self, scope: Scope, seconds: float) -> float:
        """Give out no places for some time. A longer cool-down that has already begun stays.

        Args:
            scope: The host and tenant that answered 429.
            seconds: How long.

        Returns:
            The seconds until the cool-down ends.
        """
        ...

    async def load(self, scope: Scope, name: str) -> Stored | None:
        """Return a value, or None if there is none or it has expired."""
        ...

    async def store(self, scope: Scope, name: str, value: bytes, seconds: float) -> None:
        """Keep a value for some seconds, in place of an earlier one."""
        ...

    async def forget(self, scope: Scope, name: str, value: bytes) -> None:
        """Drop a value, but only if it is still this one."""
        ...

    async def take(self, scope: Scope, name: str, seconds: float) -> int | None:
        """Take a lease if it is free.

        Args:
            scope: The host and tenant.
            name: What the lease protects.
            seconds: When it ends unless it is renewed.

        Returns:
            The fencing number, larger than every earlier one of this lease; None if someone else has it.
        """
        ...

    async def renew(self, scope: Scope, name: str, fence: int, seconds: float) -> bool:
        """Let a lease end later.

        Returns:
            False if it is no longer the holder's.
        """
        ...

    async def give_back(self, scope: Scope, name: str, fence: int) -> None:
        """End a lease if it is still the holder's."""
        ...

    async def seen(self, scope: Scope, key: str, seconds: float) -> bool:
        """Note a key, such as the id of a webhook delivery.

        Args:
            scope: The host and tenant.
            key: What to note.
            seconds: How long to remember it.

        Returns:
            True if it was noted before and is still remembered.
        """
        ...

    async def aclose(self) -> None:
        """Close what the share opened. You can close it twice."""
        ...
