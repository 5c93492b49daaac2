"""One access token for all processes: fetched once, kept until a minute before its end."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from thrive_async.share.errors import LeaseTaken, ShareUnavailable
from thrive_async.share.leases import lease
from thrive_async.share.protocol import Cipher, Scope, Share

__all__ = ["SharedToken", "SharedTokens"]

_RENEW_EARLY: Final = 60.0
_LOCK: Final = 10.0
"""How many seconds a process that died while fetching can keep the others from fetching."""
_FIRST_POLL: Final = 0.02
_SLOWEST_POLL: Final = 0.5


@attrs.frozen
class SharedToken:
    """A token and the time it can be used.

    Attributes:
        text: The token.
        seconds: How long it can be used from now on.
    """

    text: str = attrs.field(repr=False)
    seconds: float


class SharedTokens:
    """The tokens of one set of credentials.

    A stored token is a secret at rest: anyone who can read the share can call Thrive with it until it expires. A
    share with `tokens=False` stores no tokens, and one with a cipher stores them encrypted.

    Args:
        share: What the processes share.
        scope: The host and tenant.
        identity: What the token depends on, such as the client id and the scopes. It is stored as a hash.
        fetch: Asks the token endpoint; returns the token and its lifetime in seconds.
    """

    def __init__(
        self, share: Share, scope: Scope, identity: tuple[str, ...], fetch: Callable[[], Awaitable[tuple[str, float]]]
    ) -> None:
        self._share = share
        self._scope = scope
        self._name = f"token {hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]}"
        self._fetch = fetch

    async def token(self, *, refused: SharedToken | None = None) -> SharedToken:
        """Return the token that all processes use, fetched by one of them.

        Keep it for its seconds: each call asks the share, and repeatedly while another process fetches. While the
        share cannot be reached, each process fetches its own.

        Args:
            refused: A token that Thrive answered with 401. It is forgotten, unless another one has replaced it.

        Raises:
            Exception: What `fetch` raises.
        """
        if self._share.tokens is False:
            return _usable(*await self._fetch())
        pause = _FIRST_POLL
        try:
            while True:
                kept = await self._kept(refused)
                if kept is not None:
                    return kept
                try:
                    return await self._fetch_alone(refused)
                except LeaseTaken:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _SLOWEST_POLL)
        except ShareUnavailable:
            return _usable(*await self._fetch())

    async def _fetch_alone(self, refused: SharedToken | None) -> SharedToken:
        # The lease is renewed for as long as the endpoint takes, and ends soon if this process dies.
        async with lease(self._share, self._scope, self._name, seconds=_LOCK) as held:
            kept = await self._kept(refused)
            if kept is not None:
                return kept
            token = _usable(*await self._fetch())
            if held.held:
                try:
                    await self._share.store(self._scope, self._name, self._sealed(token.text), token.seconds)
                except ShareUnavailable:
                    # The token is good anyway.
                    return token
            return token

    async def _kept(self, refused: SharedToken | None) -> SharedToken | None:
        stored = await self._share.load(self._scope, self._name)
        if stored is None:
            return None
        text = self._unsealed(stored.value)
        if text is None or (refused is not None and text == refused.text):
            await self._share.forget(self._scope, self._name, stored.value)
            return None
        return SharedToken(text, stored.seconds)

    def _sealed(self, text: str) -> bytes:
        cipher = self._share.tokens
        return text.encode() if isinstance(cipher, bool) else cipher.encrypt(text.encode())

    def _unsealed(self, value: bytes) -> str | None:
        cipher: bool | Cipher = self._share.tokens
        try:
            return (value if isinstance(cipher, bool) else cipher.decrypt(value)).decode()
        except Exception:  # noqa: BLE001 - sealed with another key, or damaged: as good as no token
            return None


def _usable(text: str, lifetime: float) -> SharedToken:
    return SharedToken(text, lifetime - min(_RENEW_EARLY, lifetime / 2))
