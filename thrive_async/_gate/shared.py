"""The gate of a client that shares its rate and its cool-downs with other processes."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from attrs import evolve

from thrive_async._gate.gate import Gate, TurnTooLate
from thrive_async.auth import AccessToken
from thrive_async.config import Limits, Priority, Retry
from thrive_async.share import Row, Scope, Share, SharedTokens, ShareUnavailable
from thrive_async.share import TurnTooLate as PlaceTooLate

__all__ = ["SharedGate"]


class SharedGate(Gate):
    """A gate whose requests also wait for a place in the row of all processes.

    The concurrency and the learned pace stay those of this client.

    Args:
        limits: Concurrency, and the rate of all processes together.
        retry: The pauses after a 429.
        share: What the processes share.
        scope: The host and tenant.
    """

    def __init__(self, limits: Limits, retry: Retry, share: Share, scope: Scope) -> None:
        super().__init__(evolve(limits, rate=None, burst=None), retry)
        self._share = share
        self._scope = scope
        self._limits = limits
        self._row = self._row_of(limits)

    def enter_at_once(self, now: float, priority: Priority = "interactive") -> int | None:  # noqa: ARG002 - the base's arguments
        """Return None: the share must be asked."""
        return None

    def moved(self) -> "SharedGate":
        """Return a gate for another loop: see `Gate.moved`."""
        gate = super().moved()
        gate._row = self._row_of(self._limits)  # noqa: SLF001 - a copy of this one
        return gate

    def _row_of(self, limits: Limits) -> Row:
        return Row(self._share, self._scope, rate=limits.rate, burst=limits.burst or 1)

    async def enter(self, deadline: float | None = None, priority: Priority = "interactive") -> int:
        """Wait for a slot, a turn of this client and a place in the row of all: see `Gate.enter`.

        Raises:
            ShareUnavailable: The share cannot be reached and cannot go on without its store.
        """
        ticket = await super().enter(deadline, priority)
        try:
            await self._row.turn(deadline, priority=priority)
        except BaseException as error:
            self.leave(ticket)
            if isinstance(error, PlaceTooLate):
                raise TurnTooLate(error.seconds or 0.0, asked=self._row.cooling) from None
            raise
        # The gate may have been closed meanwhile, and the request is sent after that.
        return self.closings

    async def spread(self, pause: float) -> None:
        """Make all processes keep a pause that Thrive asked of this client.

        Args:
            pause: Seconds.
        """
        with suppress(ShareUnavailable):
            # This client keeps to it anyway.
            await self._row.cool_down(pause)

    def tokens(self, identity: tuple[str, ...], fetch: Callable[[], Awaitable[AccessToken]]) -> SharedTokens:
        """Return the tokens that the processes share.

        Args:
            identity: What they depend on.
            fetch: Gets one.
        """

        async def fetch_pair() -> tuple[str, float]:
            token = await fetch()
            return token.token.reveal(), token.lifetime

        return SharedTokens(self._share, self._scope, identity, fetch_pair)

    async def aclose(self) -> None:
        """End all waiting."""
        await self._row.aclose()
