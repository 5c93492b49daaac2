"""The token endpoint: how to ask it, and how to read its answer.

No frame that raises holds a secret or a token, and no error keeps an answer that may hold a token.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, cast

import attrs

from thrive_async._generated.operations import CREATE_ACCESS_TOKEN
from thrive_async._http.request import Reply, Request, build
from thrive_async.auth import AccessToken, ClientCredentials, Secret, lifetime_of
from thrive_async.errors import APIError, ConfigurationError, DecodeError

Style = Literal["basic", "post"]
# The statuses that tell what is wrong with the credentials or the form.
_TELLING: Final = frozenset({400, 401, 403})


class TokenEndpoint:
    """Fetches tokens, and remembers which of the two ways to send credentials the endpoint accepts.

    Args:
        credentials: The client id and secret.
        tenant_id: The tenant.
        send: Sends a request, with an Authorization header or without.
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

    async def fetch(self) -> AccessToken:
        """Ask for a token.

        Raises:
            ThriveError: The endpoint refused, sent something other than a token, or cannot be reached.
        """
        if self._style is not None:
            return await self._ask(self._style)
        try:
            token = await self._ask("basic")
        except (APIError, DecodeError) as error:
            # A 200 without a token is a refusal too. A redirect is not: it says that the host has moved.
            if _status(error) == 429 or 300 <= _status(error) < 400:
                raise
            refusal = error
        else:
            self._style = "basic"
            return token
        try:
            token = await self._ask("post")
        except (APIError, DecodeError) as error:
            # The header is the standard way, so its refusal says more, unless it was refused for other reasons.
            if _status(refusal) not in _TELLING and _status(error) in _TELLING:
                refusal = error
        else:
            self._style = "post"
            return token
        # Outside the `except`, so that the error does not keep the other one as its context.
        raise refusal

    async def _ask(self, style: Style) -> AccessToken:
        request, header = self._request(style)
        reply = await self._send(request, header)
        token = _token_of(reply.value)
        reply.body, reply.value = b"", None
        if token is None:
            raise DecodeError("it has no access token", path="$.access_token", operation=CREATE_ACCESS_TOKEN.id)
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


def _status(refusal: APIError | DecodeError) -> int:
    return refusal.status if isinstance(refusal, APIError) else 200


def _token_of(value: Any) -> AccessToken | None:
    if not isinstance(value, dict):
        return None
    fields = cast("Mapping[str, object]", value)
    lifetime = lifetime_of(fields.get("expires_in") or fields.get("expiresIn"))
    try:
        return AccessToken(cast("Any", fields.get("access_token") or fields.get("accessToken")), lifetime)
    except ConfigurationError:
        return None
