"""The token endpoint: how it is asked, and what its answer means.

Nothing here raises from a frame that holds a secret or a token, and no error keeps an answer that may hold a token.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Literal

import attrs

from thrive_async._generated.operations import CREATE_ACCESS_TOKEN
from thrive_async._http.request import Reply, Request, build
from thrive_async.auth import ClientCredentials, Secret, Token, lifetime_of
from thrive_async.errors import AuthenticationError, BadRequestError, DecodeError

Style = Literal["basic", "post"]


class TokenEndpoint:
    """Fetches tokens, and remembers how the endpoint wants to be told who asks.

    Args:
        credentials: Who asks.
        tenant_id: For which tenant.
        send: Sends a request with an Authorization header, or with none.
    """

    def __init__(
        self,
        credentials: ClientCredentials,
        tenant_id: str,
        send: Callable[[Request, Secret | None], Awaitable[Reply]],
    ) -> None:
        self._credentials = credentials
        self._tenant_id = tenant_id
        self._send = send
        self._style: Style | None = None if credentials.client_auth == "auto" else credentials.client_auth

    async def fetch(self) -> Token:
        """Ask for a token.

        Raises:
            ThriveError: The endpoint refused, answered something else, or cannot be reached.
        """
        if self._style is not None:
            return await self._ask(self._style)
        try:
            token = await self._ask("basic")
        except (AuthenticationError, BadRequestError) as error:
            refusal = error
        else:
            self._style = "basic"
            return token
        try:
            token = await self._ask("post")
        except (AuthenticationError, BadRequestError):
            # The header is the way of the standard: its refusal says more.
            raise refusal from None
        self._style = "post"
        return token

    async def _ask(self, style: Style) -> Token:
        request, header = self._request(style)
        reply = await self._send(request, header)
        token = _token_of(reply.value)
        reply.body, reply.value = b"", None
        if token is None:
            raise DecodeError("it holds no access token", path="$.access_token", operation=CREATE_ACCESS_TOKEN.id)
        return token

    def _request(self, style: Style) -> tuple[Request, Secret | None]:
        form, header = self._credentials.token_request(style)
        built = build(CREATE_ACCESS_TOKEN, path={"tenantId": self._tenant_id}, form=form)
        # Errors show their names where the endpoint's words repeat them.
        secrets = (
            ("client_id", self._credentials.client_id),
            ("client_secret", self._credentials.client_secret.reveal()),
        )
        return attrs.evolve(built, arguments=(*built.arguments, *secrets), keep_body=False), header


def _token_of(value: Any) -> Token | None:
    if not isinstance(value, dict):
        return None
    token: object = value.get("access_token")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(token, str) or not token or not token.isprintable() or not token.isascii():
        return None
    return Token(Secret(f"Bearer {token}"), lifetime_of(value.get("expires_in")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
